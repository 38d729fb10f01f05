//! GitHub: what its catalog file says needs no code, but that a file comes in base64.
//!
//! Of a file `content` is `text` (then `text` holds it) or `blob` (then the bytes follow as an embedded resource, base64).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rmcp::model::{ContentBlock, MetaObject, ResourceContents};
use serde_json::{Map, Value};

use crate::call::Call;
use crate::failure::Failure;
use crate::generic::{Generic, ONLY_STEP};
use crate::host::mark::UNTRUSTED_KEY;
use crate::service::{Service, Shaped};
use crate::text::clean;

/// The GitHub module.
pub struct Github;

impl Service for Github {
    fn run<'a>(&'a self, tool: &'a str, call: &'a Call) -> BoxFuture<'a, Result<Shaped, Failure>> {
        async move {
            match tool {
                "get_file_contents" => contents(call.json(ONLY_STEP, &[]).await?),
                _ => Generic.run(tool, call).await,
            }
        }
        .boxed()
    }
}

/// A file with its content, or whatever else stands at a path.
fn contents(answer: Value) -> Result<Shaped, Failure> {
    let Value::Object(mut told) = answer else { return Err(Failure::unexpected()) };
    let content = told.remove("content");
    let encoding = told.remove("encoding");
    let is_file = told.get("type").and_then(Value::as_str) == Some("file");
    let found = match (content, encoding.as_ref().and_then(Value::as_str)) {
        (Some(Value::String(text)), Some("base64")) if is_file => decode(&text)?,
        // GitHub leaves out what has more than a megabyte.
        _ if is_file => {
            return Err(Failure::Unfit(
                "The file is too large to be read: up to some 700 KB can be.".to_owned(),
            ));
        }
        // A directory, a link, a repository within this one: there is no content.
        _ => return Ok(plain(told)),
    };
    Ok(match String::from_utf8(found) {
        Ok(text) => as_text(told, &text),
        Err(error) => as_blob(told, error.as_bytes()),
    })
}

/// Base64 in lines (RFC 2045 section 6.8).
fn decode(text: &str) -> Result<Vec<u8>, Failure> {
    let joined: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    STANDARD.decode(joined).map_err(|_| Failure::unexpected())
}

fn plain(told: Map<String, Value>) -> Shaped {
    let Value::Object(told) = clean::json(Value::Object(told)) else { return Shaped::new(Map::new(), "") };
    // A map of JSON values always has a text; the fallback is for the type only.
    let text = serde_json::to_string_pretty(&told).unwrap_or_default();
    Shaped::new(told, text)
}

fn as_text(told: Map<String, Value>, text: &str) -> Shaped {
    let mut shaped = plain(told);
    let text = clean::block(text);
    shaped.text = format!("{}\n\n{text}", shaped.text);
    shaped.structured.insert("content".to_owned(), "text".into());
    shaped.structured.insert("text".to_owned(), text.into());
    shaped
}

fn as_blob(told: Map<String, Value>, bytes: &[u8]) -> Shaped {
    let mut shaped = plain(told);
    shaped.text = format!("{}\n\n(no text: {} bytes follow as a resource)", shaped.text, bytes.len());
    let sha = shaped.structured.get("sha").and_then(Value::as_str).unwrap_or_default();
    let sha: String = sha.chars().filter(char::is_ascii_alphanumeric).collect();
    let mark = MetaObject(Map::from_iter([(UNTRUSTED_KEY.to_owned(), Value::Bool(true))]));
    let resource = ResourceContents::blob(STANDARD.encode(bytes), format!("github:///{sha}"))
        .with_mime_type("application/octet-stream")
        .with_meta(mark);
    shaped.structured.insert("content".to_owned(), "blob".into());
    shaped.attached.push(ContentBlock::resource(resource));
    shaped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use serde_json::json;

    fn file(bytes: &[u8]) -> Value {
        let encoded = STANDARD.encode(bytes);
        // As GitHub writes it: in lines.
        let lines: Vec<&str> =
            encoded.as_bytes().chunks(60).map(|line| std::str::from_utf8(line).unwrap()).collect();
        json!({ "type": "file", "path": "a/b", "sha": "abc", "encoding": "base64", "content": lines.join("\n") + "\n" })
    }

    #[test]
    fn a_text_is_a_text() {
        let long = format!("# T\n{}ä\u{202e}\n", "x".repeat(200));
        let shaped = contents(file(long.as_bytes())).unwrap();
        let expected = long.replace('\u{202e}', "<U+202E>");
        assert_eq!(shaped.structured["text"], json!(expected));
        assert_eq!(
            (&shaped.structured["content"], &shaped.structured["sha"]),
            (&json!("text"), &json!("abc"))
        );
        assert!(shaped.text.ends_with(&expected) && shaped.attached.is_empty());
        assert_eq!(contents(file(b"")).unwrap().structured["text"], "");
    }

    #[test]
    fn what_is_no_text_follows_as_bytes() {
        let shaped = contents(file(&[0xff, 0, 1])).unwrap();
        assert_eq!(shaped.structured["content"], "blob");
        assert_eq!(shaped.structured.get("text"), None);
        let attached = serde_json::to_value(&shaped.attached).unwrap();
        assert_eq!(attached[0]["resource"]["blob"], STANDARD.encode([0xff, 0, 1]));
        assert_eq!(attached[0]["resource"]["_meta"][UNTRUSTED_KEY], true);
    }

    #[test]
    fn a_directory_is_a_list() {
        let listed =
            json!({ "type": "dir", "path": "", "entries": [{ "name": "na\u{202e}me", "type": "file" }] });
        let shaped = contents(listed).unwrap();
        assert_eq!(shaped.structured["entries"][0]["name"], "na<U+202E>me");
        assert!(shaped.attached.is_empty());
        assert_eq!(contents(json!({ "type": "symlink", "target": "b" })).unwrap().structured["target"], "b");
    }

    #[test]
    fn what_is_too_large_or_odd_is_told() {
        let mut large = file(b"x");
        (large["encoding"], large["content"]) = (json!("none"), json!(""));
        assert!(matches!(contents(large), Err(Failure::Unfit(_))));
        let mut odd = file(b"x");
        odd["content"] = json!("!");
        assert!(contents(odd).is_err());
        assert!(contents(json!([])).is_err());
        assert!(matches!(contents(json!({ "type": "file" })), Err(Failure::Unfit(_))));
    }
}
