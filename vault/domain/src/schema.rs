//! The JSON Schema (2020-12) of a tool's arguments, already narrowed by what bounds them.

mod union;

use serde_json::{Map, Value, json};

use crate::address::{Address, Pattern};
use crate::arg::{Arg, ArgKind, ArgValue};
use crate::caveat::{Bound, Caveat, DateBound, PeopleBound, Role};
use crate::name::Ident;
use crate::reserved::Reserved;
use crate::step::{AnswerKind, Streamed};
use crate::tool::Tool;

pub use union::union;

/// The schema of a tool's arguments under these caveats; with none, the schema the catalog declares.
#[must_use]
pub fn schema(tool: &Tool, caveats: &[&Caveat]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, arg) in &tool.args {
        let bounds: Vec<&Caveat> =
            caveats.iter().copied().filter(|caveat| concerns(caveat, tool, name)).collect();
        let mut property = base(arg);
        for caveat in &bounds {
            narrow(&mut property, caveat);
            // A default that a bound would refuse is none.
            let taken = match (caveat, &arg.default) {
                (Caveat::Argument(_, bound), Some(default)) => bound.takes_default(name, default),
                (Caveat::Paths(paths), Some(ArgValue::Path(default))) => {
                    paths.iter().any(|above| default.is_within(above))
                }
                _ => true,
            };
            if !taken {
                property.remove("default");
            }
        }
        // Without a default that the bounds allow, a call that leaves the argument out would be refused.
        let needed = bounds.iter().any(|caveat| needs(caveat)) && !property.contains_key("default");
        let absent = bounds.iter().any(|caveat| matches!(caveat, Caveat::Argument(_, Bound::Absent)));
        // Forbidden and asked for at once allows no call: it stays, required, and no value fits it.
        if absent && !arg.required && !needed {
            continue;
        }
        if absent {
            property.insert("not".to_owned(), json!({}));
        }
        if arg.required || needed {
            required.push(Value::from(name.as_str()));
        }
        // Where bytes begin that were cut before, the client knows, and no model.
        if streams(tool).any(|stream| stream.offset.as_ref() == Some(name)) {
            property.insert(MARK.to_owned(), "offset".into());
        }
        properties.insert(name.to_string(), Value::Object(property));
    }
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    if streams(tool).next().is_some() {
        schema[MARK] = "download".into();
    }
    schema
}

/// What says to the agent's client, and to nobody else, what it does before and after the call: files go past the model.
const MARK: &str = "x-claviger";

/// The answers that are passed on as they come.
fn streams(tool: &Tool) -> impl Iterator<Item = &Streamed> {
    tool.steps.iter().filter_map(|step| match &step.answer {
        AnswerKind::Stream(stream) => Some(stream),
        _ => None,
    })
}

/// Whether a tool is to be shown at all under these caveats: none of them leaves it out, and it can keep to each.
#[must_use]
pub fn offered(tool: &Tool, caveats: &[&Caveat]) -> bool {
    let left_out = |caveat: &Caveat| matches!(caveat, Caveat::Tools(tools) if !tools.contains(&tool.name));
    !caveats.iter().any(|caveat| left_out(caveat) || caveat.enforceable(tool).is_err())
}

fn concerns(caveat: &Caveat, tool: &Tool, name: &Ident) -> bool {
    let is = |kind: &dyn Fn(&ArgKind) -> bool| tool.args.get(name).is_some_and(|arg| kind(&arg.kind));
    match caveat {
        Caveat::Argument(arg, _) => arg == name,
        Caveat::Recipients(_) | Caveat::People(PeopleBound { role: Role::Attendee, .. }) => {
            tool.recipient_args().contains(&name)
        }
        Caveat::Paths(_) => tool.resource_args_of(Reserved::Path.as_str()).contains(&name),
        Caveat::Within(_) => is(&|kind| matches!(kind, ArgKind::Date)) || dates(tool).any(|arg| arg == name),
        Caveat::Links(_) => is(&|kind| matches!(kind, ArgKind::Text { .. } | ArgKind::Url)),
        Caveat::Resource(bound) => tool.resource_args(&bound.resource).contains(&name),
        Caveat::Rate(_)
        | Caveat::Calls(_)
        | Caveat::BytesADay(_)
        | Caveat::Expires(_)
        | Caveat::NotBefore(_)
        | Caveat::Hours(_)
        | Caveat::Tools(_)
        | Caveat::People(_)
        | Caveat::MadeByAgent => false,
    }
}

/// The arguments that say when what a call makes or changes is to begin and to end.
fn dates(tool: &Tool) -> impl Iterator<Item = &Ident> {
    let spans = tool.steps.iter().filter_map(|step| step.check(Reserved::Date.as_str())?.span.as_ref());
    spans.filter_map(|span| span.given.as_ref()).flat_map(|(begins, ends)| [begins, ends])
}

/// Whether a call without the argument would be refused by it.
fn needs(caveat: &Caveat) -> bool {
    match caveat {
        Caveat::Argument(_, bound) => *bound != Bound::Absent,
        Caveat::Resource(_) | Caveat::Paths(_) => true,
        _ => false,
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
        // A day or a moment: no one `format` says that, and some hosts check formats.
        ArgKind::DateTime => json!({ "type": "string", "minLength": 10, "maxLength": 25 }),
        ArgKind::Calendar => json!({ "type": "string", "minLength": 1, "maxLength": 256 }),
        ArgKind::Calendars { max } => {
            json!({ "type": "array", "items": { "type": "string" }, "maxItems": max, "uniqueItems": true })
        }
        ArgKind::Event => json!({ "type": "string", "minLength": 1, "maxLength": 1024 }),
        ArgKind::Addresses { max } => {
            json!({ "type": "array", "items": { "type": "string", "format": "email" }, "maxItems": max })
        }
        ArgKind::Choice(words) => json!({ "type": "string", "enum": words }),
        ArgKind::Page => json!({ "type": "string" }),
        ArgKind::Attachments { max } => {
            let line = |description: &str| json!({ "type": "string", "description": description });
            json!({
                "type": "array", "maxItems": max,
                "items": {
                    "type": "object",
                    "properties": {
                        "name": line("The file's name, without a path"),
                        "type": line("Its media type, such as application/pdf"),
                        "data": line("Its bytes in base64 with padding; 150 KiB at most for all attachments together"),
                    },
                    "required": ["data", "name", "type"],
                    "additionalProperties": false,
                },
            })
        }
        ArgKind::Name => json!({ "type": "string", "minLength": 1, "maxLength": 100 }),
        ArgKind::Branch => json!({ "type": "string", "minLength": 1, "maxLength": 200 }),
        ArgKind::Path => json!({ "type": "string", "maxLength": 4096 }),
        ArgKind::Url => json!({ "type": "string", "format": "uri", "maxLength": 2048 }),
        // The model names a file; its client puts the object in its place that binds it, and says so to nobody else.
        ArgKind::Upload { .. } => {
            json!({ "type": "string", "minLength": 1, "maxLength": 4096, MARK: "upload" })
        }
    };
    let mut property = match schema {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    property.insert("description".to_owned(), arg.summary.clone().into());
    if let Some(default) = &arg.default {
        property.insert("default".to_owned(), default_value(default));
    }
    property
}

fn default_value(default: &ArgValue) -> Value {
    match default {
        ArgValue::Text(text) => text.clone().into(),
        ArgValue::Path(path) => path.as_str().into(),
        ArgValue::Url(url) => url.as_str().into(),
        ArgValue::Integer(number) => (*number).into(),
        ArgValue::Boolean(yes) => (*yes).into(),
        ArgValue::Date(date) => date.to_string().into(),
        ArgValue::DateTime(when) => when.to_string().into(),
        ArgValue::Texts(_) | ArgValue::Addresses(_) | ArgValue::Attachments(_) | ArgValue::Upload(_) => {
            default.texts().into()
        }
    }
}

fn narrow(property: &mut Map<String, Value>, caveat: &Caveat) {
    let list = property.get("type") == Some(&Value::from("array"));
    match caveat {
        Caveat::Recipients(patterns) | Caveat::People(PeopleBound { role: Role::Attendee, patterns }) => {
            let all: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            if patterns.iter().any(Pattern::is_wild) {
                describe(property, &format!("Allowed: {}", all.join(", ")));
            } else {
                allow_only(property, all.into_iter().map(Value::from).collect());
            }
        }
        Caveat::Resource(bound) => {
            allow_only(property, bound.ids.iter().cloned().map(Value::from).collect());
            if list {
                at_least(property, "minItems", 1);
            }
            let names: Vec<String> =
                bound.ids.iter().zip(bound.names()).map(|(id, name)| format!("{id} is {name}")).collect();
            describe(property, &names.join(", "));
        }
        Caveat::Argument(_, bound) if property.contains_key(MARK) => match bound {
            Bound::OneOf(names) => describe(property, &format!("Only a file named {}", listed(names))),
            Bound::Max(bytes) => describe(property, &format!("At most {bytes} bytes")),
            Bound::MaxLength(length) => {
                describe(property, &format!("Its name has at most {length} characters"))
            }
            Bound::MinLength(length) => {
                describe(property, &format!("Its name has at least {length} characters"))
            }
            Bound::EachIn(_) | Bound::Hosts { .. } | Bound::Absent => {}
        },
        Caveat::Argument(_, bound) => match bound {
            Bound::EachIn(words) => {
                allow_only(property, typed(property, words));
                at_least(property, "minItems", 1);
            }
            Bound::OneOf(words) => allow_only(property, typed(property, words)),
            Bound::Max(most) => {
                let declared = property.get("maximum").and_then(Value::as_i64).unwrap_or(i64::MAX);
                property.insert("maximum".to_owned(), (*most).min(declared).into());
            }
            Bound::MaxLength(length) => {
                let key = if list { "maxItems" } else { "maxLength" };
                let declared = property.get(key).and_then(Value::as_u64).unwrap_or(u64::MAX);
                property.insert(key.to_owned(), (*length).min(declared).into());
            }
            Bound::MinLength(length) => {
                at_least(property, if list { "minItems" } else { "minLength" }, *length);
            }
            Bound::Hosts { hosts, query } => {
                let bare = if *query { "" } else { ", without a query string or fragment" };
                describe(property, &format!("Only at {}{bare}", listed(hosts)));
            }
            Bound::Absent => {}
        },
        Caveat::Paths(paths) if paths.is_empty() => allow_only(property, Vec::new()),
        // The root is the empty path, and all lies below it.
        Caveat::Paths(paths) if paths.iter().any(|path| path.as_str().is_empty()) => {}
        Caveat::Paths(paths) => describe(property, &format!("Only {}, or below", listed(paths))),
        Caveat::Within(DateBound { after, before }) => {
            let after = after.map(|day| format!("from {day} on"));
            let before = before.map(|day| format!("before {day}"));
            let days: Vec<String> = after.into_iter().chain(before).collect();
            let days = days.join(" and ");
            let finds = property.get("format").and_then(Value::as_str) == Some("date");
            let text = if finds {
                format!("Only what is dated {days} is found")
            } else {
                format!("Only {days} (UTC)")
            };
            describe(property, &text);
        }
        Caveat::Links(hosts) if hosts.is_empty() => describe(property, "No links and no names of hosts"),
        Caveat::Links(hosts) => describe(property, &format!("Links only to {}", listed(hosts))),
        _ => {}
    }
}

fn listed(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// An owner's words as values of the argument's own type, each in the one spelling that an argument has; words that
/// can be no value are left out, for they allow nothing.
fn typed(property: &Map<String, Value>, words: &[String]) -> Vec<Value> {
    let kind = property.get("type").and_then(Value::as_str);
    let mail = property.get("items").and_then(|items| items.get("format")) == Some(&Value::from("email"));
    let value = |word: &String| match kind {
        Some("integer") => {
            word.parse::<i64>().ok().filter(|number| number.to_string() == *word).map(Value::from)
        }
        Some("boolean") => word.parse::<bool>().ok().map(Value::from),
        Some("array") if mail => word.parse::<Address>().ok().map(|address| address.to_string().into()),
        _ => Some(word.clone().into()),
    };
    words.iter().filter_map(value).collect()
}

/// Lets the value, or each element of a list, be one of these; together with what an earlier bound said.
fn allow_only(property: &mut Map<String, Value>, values: Vec<Value>) {
    let place = match property.get_mut("items") {
        Some(Value::Object(items)) => items,
        _ => property,
    };
    let both: Vec<Value> = match place.get("enum").and_then(Value::as_array) {
        Some(before) => before.iter().filter(|value| values.contains(value)).cloned().collect(),
        None => values,
    };
    if both.is_empty() || place.contains_key("not") {
        // An empty `enum` says the same, but some readers of schemas refuse it, and with it the whole list of tools.
        place.remove("enum");
        place.insert("not".to_owned(), json!({}));
    } else {
        place.insert("enum".to_owned(), both.into());
    }
}

fn at_least(property: &mut Map<String, Value>, key: &str, least: u64) {
    let before = property.get(key).and_then(Value::as_u64).unwrap_or(0);
    property.insert(key.to_owned(), before.max(least).into());
}

fn describe(property: &mut Map<String, Value>, more: &str) {
    let before = property.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    property.insert("description".to_owned(), format!("{before}. {more}").into());
}
