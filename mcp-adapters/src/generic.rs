//! Serves any service whose tools have one step each: what catalog templates can do needs no code.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use crate::call::Call;
use crate::failure::Failure;
use crate::service::{Service, Shaped};
use crate::text::clean;

/// The name of a tool's only step: the vault knows which one it is, and refuses it for a tool that has several.
pub const ONLY_STEP: &str = "";

/// The module without knowledge: sends the only step and passes on the JSON it gives.
pub struct Generic;

impl Service for Generic {
    fn run<'a>(&'a self, _tool: &'a str, call: &'a Call) -> BoxFuture<'a, Result<Shaped, Failure>> {
        async move {
            let answer = call.send(ONLY_STEP, &[]).await?.success()?;
            Ok(shape(answer.json()?))
        }
        .boxed()
    }
}

/// An object passes as it is; anything else goes under `result`, because structured content is an object.
fn shape(value: Value) -> Shaped {
    let structured = match clean::json(value) {
        Value::Object(object) => object,
        Value::Null => Map::new(),
        other => Map::from_iter([("result".to_owned(), other)]),
    };
    let text = if structured.is_empty() {
        "done".to_owned()
    } else {
        // A map of JSON values always has a text; the fallback is for the type only.
        serde_json::to_string_pretty(&structured).unwrap_or_default()
    };
    Shaped::new(structured, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(input: Value, structured: Value, text: &str) {
        let shaped = shape(input);
        assert_eq!(Value::Object(shaped.structured), structured);
        assert_eq!(shaped.text, text);
    }

    #[test]
    fn any_json_becomes_an_object() {
        check(json!({"a": 1}), json!({"a": 1}), "{\n  \"a\": 1\n}");
        check(json!([1]), json!({"result": [1]}), "{\n  \"result\": [\n    1\n  ]\n}");
        check(Value::Null, json!({}), "done");
    }

    #[test]
    fn what_deceives_the_eye_is_shown() {
        check(
            json!({"na\u{202e}me": "x\u{0007}"}),
            json!({"na<U+202E>me": "x<U+0007>"}),
            "{\n  \"na<U+202E>me\": \"x<U+0007>\"\n}",
        );
    }
}
