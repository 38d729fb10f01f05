//! `read_file`: what stands in a file.
//!
//! Beside the file's own members: `content` is `text` (then `text` holds it) or `blob` (then the bytes follow as an
//! embedded resource, base64, with their MIME type). A Google document is read as plain text or Markdown, a presentation as
//! plain text, a sheet as CSV.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{ContentBlock, MetaObject, ResourceContents};
use serde_json::{Map, Value};

use super::{FOLDER, describe, file, size, text};
use crate::call::Call;
use crate::failure::Failure;
use crate::host::mark::UNTRUSTED_KEY;
use crate::service::Shaped;
use crate::text::clean;

/// How many bytes of a file are read.
const LARGEST: u64 = 1024 * 1024;

/// Google's own formats that can be exported, each with the steps for what they can be read as; the first is the usual.
const EXPORTED: &[(&str, &[(&str, &str)])] = &[
    ("application/vnd.google-apps.document", &[("text", "export_text"), ("markdown", "export_markdown")]),
    ("application/vnd.google-apps.presentation", &[("text", "export_text")]),
    ("application/vnd.google-apps.spreadsheet", &[("csv", "export_csv")]),
];

pub(super) async fn run(call: &Call) -> Result<Shaped, Failure> {
    let metadata = call.json("metadata", &[]).await?;
    let mime_type = text(&metadata, "mimeType");
    let format = call.argument("format").and_then(Value::as_str);
    let step = step(&mime_type, size(&metadata), format)?;
    let answer = call.send(step, &[]).await?.success()?;
    let told = file(&metadata);
    Ok(if step != "content" {
        as_text(told, decode(&answer.body))
    } else {
        content(told, &mime_type, answer.body)
    })
}

/// Which step gives the content; refused beforehand where none can.
fn step(mime_type: &str, size: Option<u64>, format: Option<&str>) -> Result<&'static str, Failure> {
    if let Some((_, formats)) = EXPORTED.iter().find(|(known, _)| *known == mime_type) {
        let found = formats.iter().find(|(known, _)| format.is_none_or(|format| format == *known));
        return found.map(|(_, step)| *step).ok_or_else(|| {
            let can: Vec<&str> = formats.iter().map(|(known, _)| *known).collect();
            Failure::Unfit(format!("This kind of Google file can be read as {} only.", can.join(" or ")))
        });
    }
    if mime_type == FOLDER {
        return Err(Failure::Unfit("This is a folder: list_folder shows what lies in it.".to_owned()));
    }
    if mime_type.starts_with("application/vnd.google-apps.") {
        return Err(Failure::Unfit(
            "This kind of Google file has no content that can be read as text.".to_owned(),
        ));
    }
    match size {
        Some(size) if size > LARGEST => Err(Failure::Unfit(format!(
            "The file has {size} bytes; files of up to {LARGEST} bytes (1 MiB) can be read."
        ))),
        // Without a size the vault's own bound holds.
        _ => Ok("content"),
    }
}

fn content(told: Map<String, Value>, mime_type: &str, body: Vec<u8>) -> Shaped {
    if is_text(mime_type) && std::str::from_utf8(strip_mark(&body)).is_ok() {
        return as_text(told, decode(&body));
    }
    as_blob(told, mime_type, &body)
}

fn as_text(mut told: Map<String, Value>, text: String) -> Shaped {
    let line = format!("{}\n\n{text}", describe(&told));
    told.insert("content".to_owned(), "text".into());
    told.insert("text".to_owned(), text.into());
    Shaped::new(told, line)
}

fn as_blob(mut told: Map<String, Value>, mime_type: &str, body: &[u8]) -> Shaped {
    let id: String = told
        .get("id")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .collect();
    let line = format!("{}\n\n(no text: {} bytes follow as a resource)", describe(&told), body.len());
    told.insert("content".to_owned(), "blob".into());
    let mark = MetaObject(Map::from_iter([(UNTRUSTED_KEY.to_owned(), Value::Bool(true))]));
    let resource = ResourceContents::blob(STANDARD.encode(body), format!("drive:///{id}"))
        .with_mime_type(if mime_type.is_empty() { "application/octet-stream" } else { mime_type })
        .with_meta(mark);
    let mut shaped = Shaped::new(told, line);
    shaped.attached.push(ContentBlock::resource(resource));
    shaped
}

fn is_text(mime_type: &str) -> bool {
    let essence = mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || matches!(
            essence.as_str(),
            "application/json"
                | "application/xml"
                | "application/javascript"
                | "application/x-javascript"
                | "application/yaml"
                | "application/x-yaml"
                | "application/toml"
                | "application/sql"
                | "application/x-sh"
                | "application/x-ndjson"
        )
}

fn strip_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

fn decode(body: &[u8]) -> String {
    clean::block(&String::from_utf8_lossy(strip_mark(body)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use serde_json::json;

    #[test]
    fn steps() {
        for (mime_type, size, format, expected) in [
            ("application/vnd.google-apps.document", None, None, Some("export_text")),
            ("application/vnd.google-apps.document", None, Some("text"), Some("export_text")),
            ("application/vnd.google-apps.document", None, Some("markdown"), Some("export_markdown")),
            ("application/vnd.google-apps.document", None, Some("csv"), None),
            ("application/vnd.google-apps.presentation", None, None, Some("export_text")),
            ("application/vnd.google-apps.presentation", None, Some("markdown"), None),
            ("application/vnd.google-apps.spreadsheet", None, None, Some("export_csv")),
            ("application/vnd.google-apps.spreadsheet", None, Some("text"), None),
            ("application/vnd.google-apps.folder", None, None, None),
            ("application/vnd.google-apps.form", None, None, None),
            ("text/plain", Some(LARGEST), Some("csv"), Some("content")),
            ("text/plain", Some(LARGEST + 1), None, None),
            ("", None, None, Some("content")),
        ] {
            assert_eq!(step(mime_type, size, format).ok(), expected, "{mime_type}");
        }
    }

    #[test]
    fn text_is_text_and_the_rest_is_not() {
        let told = || file(&json!({"id": "f1", "name": "n", "mimeType": "text/plain"}));
        for (mime_type, body, is_text) in [
            ("text/plain", &b"\xef\xbb\xbfhi\r\n"[..], true),
            ("application/vnd.x+json; charset=utf-8", b"hi\n", true),
            ("text/plain", b"\xff\xfe", false),
            ("image/png", b"hi\n", false),
        ] {
            let shaped = content(told(), mime_type, body.to_vec());
            assert_eq!(shaped.structured["content"] == "text", is_text, "{mime_type}");
            assert_eq!(shaped.attached.is_empty(), is_text);
            if is_text {
                assert_eq!(shaped.structured["text"], "hi\n");
            }
        }
    }
}
