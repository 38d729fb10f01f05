//! `key=value` words to arguments, as the tool's JSON Schema says.
//!
//! A value is only ever itself: no `@`, no address, no `~` and no `$` in it means anything.

use std::collections::BTreeMap;

use claviger_canonical::{Limits, MAX_SAFE_INTEGER};
use serde_json::{Map, Value};

use crate::suggest;

/// What a schema takes for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    List,
    Object,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "true or false",
            Self::List => "list",
            Self::Object => "JSON object",
        }
    }

    /// By the schema's `type`; the first that is not `null` of several. Without one it is text.
    fn of(schema: &Value) -> Self {
        let word = match schema.get("type") {
            Some(Value::Array(words)) => {
                words.iter().filter_map(Value::as_str).find(|word| *word != "null").unwrap_or_default()
            }
            Some(Value::String(word)) => word,
            _ => "",
        };
        match word {
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            "array" => Self::List,
            "object" => Self::Object,
            _ => Self::Text,
        }
    }
}

/// One argument that a tool takes.
pub(super) struct Argument<'a> {
    pub(super) key: &'a str,
    pub(super) kind: Kind,
    pub(super) required: bool,
    pub(super) description: &'a str,
    schema: &'a Value,
}

/// The arguments that a tool takes, by key.
pub(super) struct Arguments<'a>(BTreeMap<&'a str, Argument<'a>>);

impl<'a> Arguments<'a> {
    pub(super) fn of(schema: &'a Map<String, Value>) -> Self {
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|keys| keys.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let argument = |(key, schema): (&'a String, &'a Value)| {
            let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            let required = required.contains(&key.as_str());
            (key.as_str(), Argument { key, kind: Kind::of(schema), required, description, schema })
        };
        Self(properties.map(argument).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Argument<'a>> {
        self.0.values()
    }

    fn get(&self, key: &str) -> Result<&Argument<'a>, ArgumentError> {
        self.0.get(key).ok_or_else(|| ArgumentError::Unknown {
            known: self.0.keys().map(|key| (*key).to_owned()).collect(),
            suggestions: suggest::similar(key, self.0.keys().copied()),
        })
    }
}

/// Why words are no arguments of a tool. Names keys of the tool's schema, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// A word has no `=`.
    #[error("word {0} of the arguments is neither key=value nor key:=JSON")]
    NotAPair(usize),
    /// The tool takes no such key.
    #[error("the tool has no argument of that name; {}{}", listed(.known), meant(.suggestions))]
    Unknown {
        /// Those it takes.
        known: Vec<String>,
        /// Those that look like it.
        suggestions: Vec<String>,
    },
    /// The value is not of the key's kind.
    #[error("`{key}` takes {expected}")]
    Kind {
        /// The key.
        key: String,
        /// What it takes.
        expected: &'static str,
    },
    /// The key was given twice, and is no list.
    #[error("`{0}` is given more than once")]
    Twice(String),
    /// The value after `:=` is not strict JSON.
    #[error("`{key}` is not JSON that can be sent: {fault}")]
    Json {
        /// The key.
        key: String,
        /// What is wrong with it.
        fault: claviger_canonical::ParseError,
    },
    /// Keys that the tool needs.
    #[error("the tool also needs {}", .0.join(", "))]
    Missing(Vec<String>),
}

fn listed(known: &[String]) -> String {
    if known.is_empty() { "it takes none".to_owned() } else { format!("it takes {}", known.join(", ")) }
}

fn meant(suggestions: &[String]) -> String {
    if suggestions.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", suggestions.join(" or "))
    }
}

/// Reads `key=value` and `key:=JSON` words by a tool's JSON Schema.
///
/// # Errors
/// Any word that does not fit, before anything is sent.
pub fn parse(schema: &Map<String, Value>, words: &[String]) -> Result<Map<String, Value>, ArgumentError> {
    parse_with(schema, Map::new(), words)
}

/// As [`parse`], beside arguments that are there as they stand; a key is in one of the two.
///
/// # Errors
/// As [`parse`]; and a key that the tool does not take.
pub(super) fn parse_with(
    schema: &Map<String, Value>,
    object: Map<String, Value>,
    words: &[String],
) -> Result<Map<String, Value>, ArgumentError> {
    let arguments = Arguments::of(schema);
    for key in object.keys() {
        arguments.get(key)?;
    }
    let mut given: BTreeMap<&str, Vec<Word<'_>>> = BTreeMap::new();
    for (index, word) in words.iter().enumerate() {
        let (key, value) = split(word).ok_or(ArgumentError::NotAPair(index + 1))?;
        given.entry(key).or_default().push(value);
    }
    let mut parsed = object;
    for (key, values) in given {
        if parsed.insert(key.to_owned(), value(arguments.get(key)?, &values)?).is_some() {
            return Err(ArgumentError::Twice(key.to_owned()));
        }
    }
    let missing: Vec<String> = arguments
        .iter()
        .filter(|argument| argument.required && !parsed.contains_key(argument.key))
        .map(|argument| argument.key.to_owned())
        .collect();
    if missing.is_empty() { Ok(parsed) } else { Err(ArgumentError::Missing(missing)) }
}

#[derive(Clone, Copy)]
enum Word<'a> {
    Plain(&'a str),
    Json(&'a str),
}

/// At the first `=`; a `:` right before it says that JSON follows.
fn split(word: &str) -> Option<(&str, Word<'_>)> {
    let (key, value) = word.split_once('=')?;
    let (key, value) = match key.strip_suffix(':') {
        Some(key) => (key, Word::Json(value)),
        None => (key, Word::Plain(value)),
    };
    (!key.is_empty()).then_some((key, value))
}

fn value(argument: &Argument<'_>, words: &[Word<'_>]) -> Result<Value, ArgumentError> {
    match words {
        [Word::Json(text)] => json(argument.key, text),
        [Word::Plain(text)] if argument.kind == Kind::List && text.starts_with('[') => {
            let list = json(argument.key, text)?;
            if list.is_array() { Ok(list) } else { Err(wrong(argument.key, Kind::List)) }
        }
        words if argument.kind == Kind::List => words
            .iter()
            .map(|word| match word {
                Word::Plain(text) => element(argument, text),
                Word::Json(_) => Err(ArgumentError::Twice(argument.key.to_owned())),
            })
            .collect::<Result<Vec<_>, _>>()
            .map(Value::Array),
        [Word::Plain(text)] => plain(argument.key, argument.kind, text),
        _ => Err(ArgumentError::Twice(argument.key.to_owned())),
    }
}

/// One element of a list, by the schema of its `items`.
fn element(list: &Argument<'_>, text: &str) -> Result<Value, ArgumentError> {
    let kind = list.schema.get("items").map_or(Kind::Text, Kind::of);
    plain(list.key, kind, text)
}

fn plain(key: &str, kind: Kind, text: &str) -> Result<Value, ArgumentError> {
    let wrong = || wrong(key, kind);
    match kind {
        Kind::Text => Ok(Value::String(text.to_owned())),
        Kind::Integer => {
            let integer: i64 = text.parse().map_err(|_| wrong())?;
            if integer.unsigned_abs() > MAX_SAFE_INTEGER.unsigned_abs() || integer.to_string() != text {
                return Err(wrong());
            }
            Ok(integer.into())
        }
        Kind::Boolean => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(wrong()),
        },
        Kind::Number => Some(json(key, text)?).filter(Value::is_number).ok_or_else(wrong),
        Kind::List => Some(json(key, text)?).filter(Value::is_array).ok_or_else(wrong),
        Kind::Object => Some(json(key, text)?).filter(Value::is_object).ok_or_else(wrong),
    }
}

fn wrong(key: &str, kind: Kind) -> ArgumentError {
    let expected = match kind {
        Kind::Text => "text",
        Kind::Integer => "an integer",
        Kind::Number => "a number",
        Kind::Boolean => "true or false",
        Kind::List => "a list: repeat the key, or give a JSON array",
        Kind::Object => "a JSON object",
    };
    ArgumentError::Kind { key: key.to_owned(), expected }
}

/// The members of a JSON object that stands for all arguments, or for some; `key` is what it is told as.
pub(super) fn object(key: &str, text: &str) -> Result<Map<String, Value>, ArgumentError> {
    match json(key, text)? {
        Value::Object(members) => Ok(members),
        _ => Err(wrong(key, Kind::Object)),
    }
}

/// Strict JSON: no duplicate keys, nothing that would be rounded.
fn json(key: &str, text: &str) -> Result<Value, ArgumentError> {
    claviger_canonical::parse(text.as_bytes(), &Limits::ARGUMENTS)
        .map(|value| Value::from(&value))
        .map_err(|fault| ArgumentError::Json { key: key.to_owned(), fault })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use serde_json::json;

    fn with(words: &[&str]) -> Result<Value, String> {
        let schema = json!({
            "type": "object",
            "properties": {
                "subject": {"type": "string"},
                "max": {"type": "integer"},
                "ratio": {"type": "number"},
                "unread": {"type": "boolean"},
                "to": {"type": "array", "items": {"type": "string"}},
                "sizes": {"type": "array", "items": {"type": "integer"}},
                "extra": {"type": "object"},
                "folder": {"type": ["null", "string"]},
                "kind": {"enum": ["a", "b"]},
            },
            "required": ["subject"],
        });
        let words: Vec<String> =
            std::iter::once("subject=s").chain(words.iter().copied()).map(str::to_owned).collect();
        let parsed = parse(schema.as_object().unwrap(), &words);
        parsed.map_err(|error| error.to_string()).map(|mut arguments| {
            arguments.remove("subject");
            Value::Object(arguments)
        })
    }

    #[test]
    fn words_that_fit() {
        for (words, expected) in [
            (&[][..], json!({})),
            (&["folder=@/etc/passwd"], json!({"folder": "@/etc/passwd"})),
            (&["folder=https://a.example/?b=c"], json!({"folder": "https://a.example/?b=c"})),
            (&["folder=$(id) ~ `id` -"], json!({"folder": "$(id) ~ `id` -"})),
            (&["folder="], json!({"folder": ""})),
            (&["folder=1"], json!({"folder": "1"})),
            (&["folder=a:=b"], json!({"folder": "a:=b"})),
            (&["kind=a"], json!({"kind": "a"})),
            (&["max=7"], json!({"max": 7})),
            (&["max=-9007199254740991"], json!({"max": -9_007_199_254_740_991_i64})),
            (&["ratio=0.5"], json!({"ratio": 0.5})),
            (&["unread=true"], json!({"unread": true})),
            (&["to=a"], json!({"to": ["a"]})),
            (&["to=a", "max=1", "to=@b"], json!({"to": ["a", "@b"], "max": 1})),
            (&["to=[\"a\",\"b\"]"], json!({"to": ["a", "b"]})),
            (&["to:=[\"[a]\"]"], json!({"to": ["[a]"]})),
            (&["to:=[]"], json!({"to": []})),
            (&["sizes=1", "sizes=2"], json!({"sizes": [1, 2]})),
            (&["extra={\"a\":1}"], json!({"extra": {"a": 1}})),
            // Raw JSON is what it is; whether it fits, the vault says.
            (&["max:=\"7\""], json!({"max": "7"})),
        ] {
            assert_eq!(with(words).unwrap(), expected, "{words:?}");
        }
    }

    #[test]
    fn words_that_do_not() {
        for (words, expected) in [
            (&["canary"][..], "word 2 of the arguments is neither"),
            (&["=canary"], "word 2 of the arguments is neither"),
            (&[":=1"], "word 2 of the arguments is neither"),
            (
                &["canary=1"],
                "the tool has no argument of that name; it takes extra, folder, kind, max, ratio",
            ),
            (&["maxx=1"], "did you mean max?"),
            (&["Max=1"], "no argument of that name"),
            (&["max =1"], "no argument of that name"),
            (&["max=canary"], "`max` takes an integer"),
            (&["max=1.0"], "`max` takes an integer"),
            (&["max=+1"], "`max` takes an integer"),
            (&["max=01"], "`max` takes an integer"),
            (&["max="], "`max` takes an integer"),
            (&["max=9007199254740992"], "`max` takes an integer"),
            (&["max=@1"], "`max` takes an integer"),
            (&["ratio=canary"], "`ratio` is not JSON"),
            (&["unread=yes"], "`unread` takes true or false"),
            (&["max=1", "max=2"], "`max` is given more than once"),
            (&["max:=1", "max:=2"], "`max` is given more than once"),
            (&["to=a", "to:=[\"b\"]"], "`to` is given more than once"),
            (&["to=[canary"], "`to` is not JSON"),
            (&["sizes=1", "sizes=canary"], "`sizes` takes an integer"),
            (&["extra=[]"], "`extra` takes a JSON object"),
            (&["extra:={\"canary\":1,\"canary\":2}"], "`extra` is not JSON that can be sent: duplicate key"),
            (&["max:=9007199254740993"], "`max` is not JSON that can be sent"),
        ] {
            let error = with(words).unwrap_err();
            assert!(error.contains(expected), "{words:?}: {error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn an_object_and_words_make_one() {
        let schema =
            json!({"properties": {"a": {"type": "integer"}, "b": {}, "c=:d": {}}, "required": ["a"]});
        let with = |text: &str, words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let parsed = object("--args", text)
                .and_then(|members| parse_with(schema.as_object().unwrap(), members, &words));
            parsed.map(Value::Object).map_err(|error| error.to_string())
        };
        assert_eq!(with(r#"{"a":1}"#, &["b=@x"]).unwrap(), json!({"a": 1, "b": "@x"}));
        assert_eq!(with(r#"{"a":1,"c=:d":"x"}"#, &[]).unwrap(), json!({"a": 1, "c=:d": "x"}));
        for (text, words, expected) in [
            (r#"{"a":1}"#, &["a=1"][..], "`a` is given more than once"),
            (r#"{"b":1}"#, &[], "the tool also needs a"),
            (r#"{"z":1}"#, &["a=1"], "no argument of that name"),
            (r#"{"a":1,"a":2}"#, &[], "`--args` is not JSON that can be sent: duplicate key"),
            ("[]", &["a=1"], "`--args` takes a JSON object"),
            ("@/etc/passwd", &["a=1"], "`--args` is not JSON"),
            ("-", &["a=1"], "`--args` is not JSON"),
        ] {
            let error = with(text, words).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let schema = json!({"properties": {"a": {}, "b": {}, "c": {}}, "required": ["c", "a"]});
        let error = parse(schema.as_object().unwrap(), &["b=1".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "the tool also needs a, c");
        let nothing = Map::new();
        assert_eq!(parse(&nothing, &[]), Ok(Map::new()));
        let error = parse(&nothing, &["a=1".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "the tool has no argument of that name; it takes none");
    }
}
