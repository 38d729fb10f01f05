//! `get_attachment`: one attachment of a mail.
//!
//! `message_id`, `part`, `name`, `mime_type`, `size` (bytes) and `content`: `text` (then `text` holds it) or `blob` (then
//! the bytes follow as an embedded resource, base64).
//!
//! `download_attachment`: the same without `content`; the bytes, however many, go over the bulk socket.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{ContentBlock, MetaObject, ResourceContents};
use serde_json::{Map, Value};

use super::body::{self, BASE64URL};
use super::text;
use crate::call::Call;
use crate::failure::Failure;
use crate::host::mark::UNTRUSTED_KEY;
use crate::service::Shaped;
use crate::text::{charset, clean};
use crate::transfer::{Fetch, Source, Transfer};

/// How many bytes of an attachment can be read: its base64 must fit into one answer of the vault's.
const LARGEST: u64 = 760 * 1024;
/// How many bytes of text are told.
const LONGEST_TEXT: usize = 200 * 1024;

pub(super) async fn run(call: &Call) -> Result<Shaped, Failure> {
    let wanted = wanted(call);
    let message = call.json("message", &[]).await?;
    let part = part(&message, wanted)?;
    let size = part.pointer("/body/size").and_then(Value::as_u64).unwrap_or(0);
    if size > LARGEST {
        return Err(Failure::Unfit(format!(
            "The attachment has {size} bytes; attachments of up to {LARGEST} bytes (760 KiB) can be read."
        )));
    }
    let data = match part.pointer("/body/attachmentId").and_then(Value::as_str) {
        Some(id) => call.json("attachment", &[("attachment_id", id)]).await?.get("data").cloned(),
        // Gmail gives small parts along with the mail.
        None => part.pointer("/body/data").cloned(),
    };
    let bytes = decoded(data.as_ref())?;
    let mut told = Map::from_iter([
        ("message_id".to_owned(), text(&message, "id").into()),
        ("part".to_owned(), clean::line(wanted, 40).into()),
        ("name".to_owned(), text(part, "filename").into()),
        ("size".to_owned(), bytes.len().into()),
    ]);
    let mime_type = text(part, "mimeType").to_ascii_lowercase();
    told.insert("mime_type".to_owned(), mime_type.clone().into());
    Ok(shape(told, &mime_type, part, &bytes))
}

/// Tells what the attachment is; its bytes are fetched.
pub(super) async fn download(call: &Call) -> Result<Shaped, Failure> {
    let wanted = wanted(call);
    let message = call.json("message", &[]).await?;
    let part = part(&message, wanted)?;
    let source = match part.pointer("/body/attachmentId").and_then(Value::as_str) {
        Some(id) => {
            Source::Step { name: "attachment", params: vec![("attachment_id".to_owned(), id.to_owned())] }
        }
        // Gmail gives small parts along with the mail.
        None => Source::Here(decoded(part.pointer("/body/data"))?),
    };
    let (name, mime_type) = (text(part, "filename"), text(part, "mimeType").to_ascii_lowercase());
    let size = part.pointer("/body/size").and_then(Value::as_u64);
    let bytes = size.map(|size| format!(", {size} bytes")).unwrap_or_default();
    let line = format!("{name} ({mime_type}{bytes})");
    let told = Map::from_iter([
        ("message_id".to_owned(), text(&message, "id").into()),
        ("part".to_owned(), clean::line(wanted, 40).into()),
        ("name".to_owned(), name.clone().into()),
        ("mime_type".to_owned(), mime_type.into()),
        ("size".to_owned(), size.into()),
    ]);
    // Gmail does not promise that its size is exact, and has no checksum.
    let fetch = Fetch { name, size: None, sha256: None, version: None, offset: 0, source };
    Ok(Shaped::new(told, line).with_transfer(Transfer::Fetch(fetch)))
}

fn wanted(call: &Call) -> &str {
    call.argument("part").and_then(Value::as_str).unwrap_or_default()
}

fn part<'a>(message: &'a Value, wanted: &str) -> Result<&'a Value, Failure> {
    let payload = message.get("payload").ok_or_else(Failure::unexpected)?;
    body::part(payload, wanted).ok_or_else(|| {
        Failure::Unfit("The mail has no such attachment: get_message lists the parts there are.".to_owned())
    })
}

fn decoded(data: Option<&Value>) -> Result<Vec<u8>, Failure> {
    let data = data.and_then(Value::as_str).ok_or_else(Failure::unexpected)?;
    let data = data.trim().replace('+', "-").replace('/', "_");
    BASE64URL.decode(data).map_err(|_| Failure::unexpected())
}

fn shape(mut told: Map<String, Value>, mime_type: &str, part: &Value, bytes: &[u8]) -> Shaped {
    let name = told.get("name").and_then(Value::as_str).unwrap_or_default();
    let head = format!("{name} ({mime_type}, {} bytes)", bytes.len());
    if is_text(mime_type) && !bytes.contains(&0) {
        let mut content = clean::block(&charset::decode(bytes, &body::charset_of(part)));
        let cut = clean::cut(&mut content, LONGEST_TEXT);
        let note = if cut { "\n(cut: only the first 200 KiB are shown)" } else { "" };
        let line = format!("{head}\n\n{content}{note}");
        told.insert("content".to_owned(), "text".into());
        told.insert("truncated".to_owned(), cut.into());
        told.insert("text".to_owned(), content.into());
        return Shaped::new(told, line);
    }
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')).collect()
    };
    let field = |name: &str| plain(told.get(name).and_then(Value::as_str).unwrap_or_default());
    let uri = format!("gmail:///{}/{}", field("message_id"), field("part"));
    told.insert("content".to_owned(), "blob".into());
    let mark = MetaObject(Map::from_iter([(UNTRUSTED_KEY.to_owned(), Value::Bool(true))]));
    let kind = if is_media_type(mime_type) { mime_type } else { "application/octet-stream" };
    let resource = ResourceContents::blob(STANDARD.encode(bytes), uri).with_mime_type(kind).with_meta(mark);
    let mut shaped = Shaped::new(told, format!("{head}\n\n(no text: the bytes follow as a resource)"));
    shaped.attached.push(ContentBlock::resource(resource));
    shaped
}

fn is_media_type(text: &str) -> bool {
    text.contains('/') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/!#$&^_.+-".contains(&b))
}

fn is_text(mime_type: &str) -> bool {
    mime_type.starts_with("text/")
        || mime_type.ends_with("+json")
        || mime_type.ends_with("+xml")
        || matches!(
            mime_type,
            "application/json" | "application/xml" | "application/yaml" | "application/x-yaml"
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_is_text_and_the_rest_is_not() {
        for (mime_type, bytes, text) in [
            ("text/csv", &b"a,b\r\n"[..], true),
            ("application/json", b"{}", true),
            ("text/plain", b"a\0b", false),
            ("application/pdf", b"%PDF", false),
            ("", b"x", false),
        ] {
            let shaped = shape(Map::new(), mime_type, &json!({}), bytes);
            assert_eq!(shaped.structured["content"], if text { "text" } else { "blob" }, "{mime_type}");
            assert_eq!(shaped.attached.is_empty(), text);
        }
        assert!(is_media_type("application/pdf") && !is_media_type("a/b\u{202e}") && !is_media_type("x"));
    }
}
