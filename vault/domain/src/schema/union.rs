//! One schema for a tool that several grants offer.

use serde_json::{Map, Value, json};

/// The schema of all calls that fit any of these: per property only what all of them say, words united, asked for only
/// where all ask for it. The schemas are those that [`super::schema`] makes of one tool.
#[must_use]
pub fn union(schemas: &[Value]) -> Value {
    let Some((first, others)) = schemas.split_first() else {
        // No grant, no call.
        return json!({ "type": "object", "not": {} });
    };
    let mut properties = part(first, "properties");
    let mut required = needed(first);
    for other in others {
        for (name, property) in part(other, "properties") {
            let both = match (properties.get(&name), &property) {
                (Some(Value::Object(one)), Value::Object(two)) => Value::Object(either(one, two)),
                _ => property,
            };
            properties.insert(name, both);
        }
        let asked = needed(other);
        required.retain(|name| asked.contains(name));
    }
    let mut schema = json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
    // Of one tool, and so the same in all.
    if let Some(mark) = first.get(super::MARK) {
        schema[super::MARK] = mark.clone();
    }
    schema
}

fn part(schema: &Value, name: &str) -> Map<String, Value> {
    schema.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
}

fn needed(schema: &Value) -> Vec<Value> {
    schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// What fits the one or the other.
fn either(one: &Map<String, Value>, two: &Map<String, Value>) -> Map<String, Value> {
    // Nothing fits a `not` of everything.
    match (one.contains_key("not"), two.contains_key("not")) {
        (true, _) => return two.clone(),
        (false, true) => return one.clone(),
        (false, false) => {}
    }
    let mut both = Map::new();
    for (key, first) in one {
        let Some(second) = two.get(key) else { continue };
        let merged = match key.as_str() {
            "enum" => words(first, second),
            "minimum" | "minLength" | "minItems" => pick(first, second, |a, b| a <= b),
            "maximum" | "maxLength" | "maxItems" => pick(first, second, |a, b| a >= b),
            "items" => match (first, second) {
                (Value::Object(first), Value::Object(second)) => Some(Value::Object(either(first, second))),
                _ => None,
            },
            "description" => said(first, second),
            _ => (first == second).then(|| first.clone()),
        };
        if let Some(merged) = merged {
            both.insert(key.clone(), merged);
        }
    }
    both
}

fn words(one: &Value, two: &Value) -> Option<Value> {
    let mut all = one.as_array()?.clone();
    all.extend(
        two.as_array()?.iter().filter(|word| !one.as_array().is_some_and(|one| one.contains(word))).cloned(),
    );
    Some(Value::Array(all))
}

fn pick(one: &Value, two: &Value, first: fn(i64, i64) -> bool) -> Option<Value> {
    let (a, b) = (one.as_i64()?, two.as_i64()?);
    Some(if first(a, b) { one.clone() } else { two.clone() })
}

/// The sentences at the beginning that both say.
fn said(one: &Value, two: &Value) -> Option<Value> {
    let (one, two) = (one.as_str()?, two.as_str()?);
    let same = one.split(". ").zip(two.split(". ")).take_while(|(a, b)| a == b).map(|(a, _)| a);
    let same = same.collect::<Vec<_>>().join(". ");
    (!same.is_empty()).then(|| same.into())
}
