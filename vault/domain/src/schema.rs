//! The JSON Schema (2020-12) of a tool's arguments, already narrowed by what bounds them.

use serde_json::{Map, Value, json};

use crate::arg::{Arg, ArgKind};
use crate::caveat::{Bound, Caveat};
use crate::name::Ident;
use crate::tool::Tool;

/// The schema of a tool's arguments under these caveats; with none, the schema the catalog declares.
#[must_use]
pub fn schema(tool: &Tool, caveats: &[&Caveat]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, arg) in &tool.args {
        let bounds: Vec<&Caveat> =
            caveats.iter().copied().filter(|caveat| concerns(caveat, tool, name)).collect();
        if bounds.iter().any(|caveat| matches!(caveat, Caveat::Argument(_, Bound::Absent))) {
            continue;
        }
        let mut property = base(arg);
        bounds.iter().for_each(|caveat| narrow(&mut property, caveat));
        // Without a default that the bounds allow, a call that leaves the argument out would be refused.
        let needed = bounds.iter().any(|caveat| needs(caveat)) && !property.contains_key("default");
        if arg.required || needed {
            required.push(Value::from(name.as_str()));
        }
        properties.insert(name.to_string(), Value::Object(property));
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn concerns(caveat: &Caveat, tool: &Tool, name: &Ident) -> bool {
    match caveat {
        Caveat::Argument(arg, _) => arg == name,
        Caveat::Recipients(_) => tool.recipient_args().contains(&name),
        Caveat::Resource(bound) => tool.resource_args(&bound.resource).contains(&name),
        Caveat::Rate(_) | Caveat::Calls(_) => false,
    }
}

/// Whether a call without the argument would be refused by it.
fn needs(caveat: &Caveat) -> bool {
    match caveat {
        Caveat::Argument(_, bound) => *bound != Bound::Absent,
        Caveat::Resource(_) => true,
        Caveat::Recipients(_) | Caveat::Rate(_) | Caveat::Calls(_) => false,
    }
}

fn base(arg: &Arg) -> Map<String, Value> {
    let schema = match &arg.kind {
        ArgKind::Id => json!({ "type": "string", "minLength": 1, "maxLength": 256 }),
        ArgKind::Ids { max } => {
            json!({ "type": "array", "items": { "type": "string" }, "maxItems": max, "uniqueItems": true })
        }
        ArgKind::Line { max } => json!({ "type": "string", "minLength": 1, "maxLength": max }),
        ArgKind::Text { max } => json!({ "type": "string", "maxLength": max }),
        ArgKind::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        ArgKind::Boolean => json!({ "type": "boolean" }),
        ArgKind::Date => json!({ "type": "string", "format": "date" }),
        ArgKind::Addresses { max } => {
            json!({ "type": "array", "items": { "type": "string", "format": "email" }, "maxItems": max })
        }
        ArgKind::Choice(words) => json!({ "type": "string", "enum": words }),
        ArgKind::Page => json!({ "type": "string" }),
    };
    let mut property = match schema {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    property.insert("description".to_owned(), arg.summary.clone().into());
    if let Some(default) = &arg.default
        && let Some(value) = default_value(default)
    {
        property.insert("default".to_owned(), value);
    }
    property
}

fn default_value(default: &crate::arg::ArgValue) -> Option<Value> {
    use crate::arg::ArgValue;
    match default {
        ArgValue::Text(text) => Some(text.clone().into()),
        ArgValue::Integer(number) => Some((*number).into()),
        ArgValue::Boolean(yes) => Some((*yes).into()),
        ArgValue::Date(date) => Some(date.to_string().into()),
        ArgValue::Texts(_) | ArgValue::Addresses(_) => None,
    }
}

fn narrow(property: &mut Map<String, Value>, caveat: &Caveat) {
    let list = property.get("type") == Some(&Value::from("array"));
    match caveat {
        Caveat::Recipients(patterns) => {
            let exact: Vec<String> =
                patterns.iter().filter(|p| !p.is_wild()).map(ToString::to_string).collect();
            if exact.len() == patterns.len() {
                set_items(property, "enum", exact.into());
            } else {
                let all = patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                describe(property, &format!("Allowed: {all}"));
            }
        }
        Caveat::Resource(bound) => {
            let target = if list { "items" } else { "" };
            if target.is_empty() {
                property.insert("enum".to_owned(), bound.ids.clone().into());
            } else {
                set_items(property, "enum", bound.ids.clone().into());
            }
            let names: Vec<String> =
                bound.ids.iter().zip(bound.names()).map(|(id, name)| format!("{id} is {name}")).collect();
            describe(property, &names.join(", "));
        }
        Caveat::Argument(_, bound) => match bound {
            Bound::EachIn(words) => {
                set_items(property, "enum", words.clone().into());
                property.insert("minItems".to_owned(), 1.into());
            }
            Bound::OneOf(words) => narrow_one_of(property, words),
            Bound::Max(number) => {
                let declared = property.get("maximum").and_then(Value::as_i64).unwrap_or(i64::MAX);
                property.insert("maximum".to_owned(), (*number).min(declared).into());
                // A default above the bound would be refused, so it is none.
                if property.get("default").and_then(Value::as_i64).is_some_and(|default| default > *number) {
                    property.remove("default");
                }
            }
            Bound::MaxLength(length) => {
                property.insert(if list { "maxItems" } else { "maxLength" }.to_owned(), (*length).into());
            }
            Bound::MinLength(length) => {
                property.insert(if list { "minItems" } else { "minLength" }.to_owned(), (*length).into());
            }
            Bound::Absent => {}
        },
        Caveat::Rate(_) | Caveat::Calls(_) => {}
    }
}

/// An enum of the argument's own type: numbers for a number, texts for a text.
fn narrow_one_of(property: &mut Map<String, Value>, words: &[String]) {
    let typed: Vec<Value> = match property.get("type").and_then(Value::as_str) {
        Some("integer") => {
            words.iter().filter_map(|word| word.parse::<i64>().ok()).map(Value::from).collect()
        }
        Some("boolean") => {
            words.iter().filter_map(|word| word.parse::<bool>().ok()).map(Value::from).collect()
        }
        _ => words.iter().cloned().map(Value::from).collect(),
    };
    property.insert("enum".to_owned(), typed.into());
}

fn set_items(property: &mut Map<String, Value>, key: &str, value: Value) {
    if let Some(Value::Object(items)) = property.get_mut("items") {
        items.insert(key.to_owned(), value);
    }
}

fn describe(property: &mut Map<String, Value>, more: &str) {
    let before = property.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    property.insert("description".to_owned(), format!("{before}. {more}").into());
}
