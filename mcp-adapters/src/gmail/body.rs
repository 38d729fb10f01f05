//! The body of a mail: one readable text out of a tree of parts.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Value, json};

use super::header;
use crate::text::{charset, clean, html};

/// How deep parts are followed; mails that nest deeper are made to hurt.
const DEPTH: usize = 20;
/// How many parts are looked at.
const PARTS: usize = 500;

/// Gmail writes base64url, with or without padding.
pub(super) const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What was found in the tree.
#[derive(Default)]
pub(super) struct Found {
    /// `{name, mime_type, size, part}` of each attachment.
    pub(super) attachments: Vec<Value>,
    /// What could not be read, for people.
    pub(super) problems: Vec<String>,
    parts: usize,
}

/// A text, and whether HTML is where it comes from.
pub(super) struct Text {
    pub(super) text: String,
    pub(super) from_html: bool,
}

/// The readable text of a part and what is below it; `None` if there is none.
///
/// Of alternatives, the first plain one that says something counts, else the first that says anything. Other
/// multiparts are put one after the other.
pub(super) fn read(part: &Value, found: &mut Found) -> Option<Text> {
    walk(part, 0, found)
}

fn walk(part: &Value, depth: usize, found: &mut Found) -> Option<Text> {
    found.parts += 1;
    if depth > DEPTH || found.parts > PARTS {
        let problem = "parts nested too deeply, or too many, were left out";
        if !found.problems.iter().any(|known| known == problem) {
            found.problems.push(problem.to_owned());
        }
        return None;
    }
    let mime = mime_type(part);
    let children = part.get("parts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if is_attachment(part, &mime) {
        found.attachments.push(attachment(part, &mime));
        // A mail attached whole has parts of its own: its attachments are told, its text is not this mail's.
        children.iter().for_each(|child| drop(walk(child, depth + 1, found)));
        return None;
    }
    if !children.is_empty() {
        let texts: Vec<Text> = children.iter().filter_map(|child| walk(child, depth + 1, found)).collect();
        return if mime == "multipart/alternative" { choose(texts) } else { join(texts) };
    }
    match mime.as_str() {
        "text/html" => decode(part, found)
            .map(|html| Text { text: clean::block(&html::to_text(&html)), from_html: true }),
        "text/plain" | "" => {
            decode(part, found).map(|text| Text { text: clean::block(text.trim_end()), from_html: false })
        }
        _ => {
            if size(part) > 0 {
                found.attachments.push(attachment(part, &mime));
            }
            None
        }
    }
    .filter(|text| !text.text.trim().is_empty())
}

fn choose(texts: Vec<Text>) -> Option<Text> {
    let plain = texts.iter().position(|text| !text.from_html).unwrap_or(0);
    texts.into_iter().nth(plain)
}

fn join(texts: Vec<Text>) -> Option<Text> {
    texts.into_iter().reduce(|mut all, next| {
        all.text.push_str("\n\n");
        all.text.push_str(&next.text);
        all.from_html |= next.from_html;
        all
    })
}

fn mime_type(part: &Value) -> String {
    let mime = part.get("mimeType").and_then(Value::as_str).unwrap_or_default();
    clean::line(mime, 100).to_ascii_lowercase()
}

fn is_attachment(part: &Value, mime: &str) -> bool {
    let named = part.get("filename").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
    let elsewhere = part.pointer("/body/attachmentId").is_some();
    let declared = header::raw(part, "Content-Disposition")
        .is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("attachment"));
    !mime.starts_with("multipart/") && (named || elsewhere || declared)
}

fn size(part: &Value) -> u64 {
    part.pointer("/body/size").and_then(Value::as_u64).unwrap_or(0)
}

fn attachment(part: &Value, mime: &str) -> Value {
    let line = |pointer: &str| {
        part.pointer(pointer).and_then(Value::as_str).map(|text| clean::line(text, 500)).unwrap_or_default()
    };
    json!({
        "name": line("/filename"),
        "mime_type": mime,
        "size": size(part),
        "part": line("/partId"),
    })
}

/// The part of that id, if it is an attachment.
pub(super) fn part<'a>(root: &'a Value, id: &str) -> Option<&'a Value> {
    let mut waiting = vec![(root, 0)];
    let mut looked = 0;
    while let Some((part, depth)) = waiting.pop() {
        looked += 1;
        if looked > PARTS {
            return None;
        }
        if part.get("partId").and_then(Value::as_str) == Some(id) {
            let attached =
                is_attachment(part, &mime_type(part)) || part.pointer("/body/attachmentId").is_some();
            return Some(part).filter(|_| attached);
        }
        let children = part.get("parts").and_then(Value::as_array).filter(|_| depth < DEPTH);
        waiting.extend(children.into_iter().flatten().map(|child| (child, depth + 1)));
    }
    None
}

/// The character set that a part says it is in; empty if it does not.
pub(super) fn charset_of(part: &Value) -> String {
    header::parameter(header::raw(part, "Content-Type").unwrap_or_default(), "charset")
}

fn decode(part: &Value, found: &mut Found) -> Option<String> {
    let data = part.pointer("/body/data").and_then(Value::as_str)?;
    // The standard alphabet is taken as well: not everything that says it speaks Gmail's language is Gmail.
    let data: String = data.trim().replace('+', "-").replace('/', "_");
    let Ok(bytes) = BASE64URL.decode(data) else {
        let id = part.get("partId").and_then(Value::as_str).unwrap_or_default();
        found.problems.push(clean::line(&format!("part {id} could not be decoded"), 100));
        return None;
    };
    Some(charset::decode(&bytes, &charset_of(part)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    fn leaf(mime: &str, charset: &str, bytes: &[u8]) -> Value {
        json!({
            "partId": "1", "mimeType": mime, "filename": "",
            "headers": [{"name": "Content-Type", "value": format!("{mime}; charset={charset}")}],
            "body": {"size": bytes.len(), "data": BASE64URL.encode(bytes)},
        })
    }

    fn multi(kind: &str, parts: &[Value]) -> Value {
        json!({"mimeType": format!("multipart/{kind}"), "filename": "", "body": {"size": 0}, "parts": parts})
    }

    fn file(name: &str) -> Value {
        json!({"partId": "7", "mimeType": "application/pdf", "filename": name, "body": {"attachmentId": "a1", "size": 9}})
    }

    fn check(part: &Value, expected: Option<(&str, bool)>, attachments: usize, problems: usize) {
        let mut found = Found::default();
        let text = read(part, &mut found);
        assert_eq!(text.as_ref().map(|text| (text.text.as_str(), text.from_html)), expected, "{part}");
        assert_eq!((found.attachments.len(), found.problems.len()), (attachments, problems), "{part}");
    }

    #[test]
    fn bodies() {
        let plain = leaf("text/plain", "utf-8", "Grüße".as_bytes());
        let html = leaf("text/html", "utf-8", b"<p>Hi <b>you</b></p>");
        check(&plain, Some(("Grüße", false)), 0, 0);
        check(&html, Some(("Hi you", true)), 0, 0);
        check(&multi("alternative", &[plain.clone(), html.clone()]), Some(("Grüße", false)), 0, 0);
        check(&multi("alternative", &[html.clone(), plain.clone()]), Some(("Grüße", false)), 0, 0);
        let empty = leaf("text/plain", "utf-8", b" \r\n");
        check(&multi("alternative", &[empty, html.clone()]), Some(("Hi you", true)), 0, 0);
        let nested = multi(
            "mixed",
            &[
                multi("alternative", &[plain.clone(), multi("related", &[html, file("logo")])]),
                file("b.pdf"),
                plain,
            ],
        );
        check(&nested, Some(("Grüße\n\nGrüße", false)), 2, 0);
    }

    #[test]
    fn character_sets_and_broken_encodings() {
        check(&leaf("text/plain", "iso-8859-1", b"Gr\xfc\xdfe"), Some(("Grüße", false)), 0, 0);
        check(&leaf("text/plain", "us-ascii", b"x"), Some(("x", false)), 0, 0);
        check(&json!({"mimeType": "text/plain", "body": {"data": "a+b/"}}), Some(("kæÿ", false)), 0, 0);
        check(&json!({"mimeType": "text/plain", "body": {"data": "$$$"}}), None, 0, 1);
        check(&json!({"mimeType": "text/plain", "body": {"data": 7}}), None, 0, 0);
        check(&json!({}), None, 0, 0);
        check(&json!(null), None, 0, 0);
    }

    #[test]
    fn attachments() {
        let mut declared = leaf("text/plain", "utf-8", b"not the body");
        declared["headers"][0] = json!({"name": "content-disposition", "value": " Attachment; x"});
        check(&declared, None, 1, 0);
        let mut found = Found::default();
        read(&file("a\u{202e}fdp.exe"), &mut found);
        assert_eq!(
            found.attachments,
            [json!({"name": "a<U+202E>fdp.exe", "mime_type": "application/pdf", "size": 9, "part": "7"})]
        );
        // A mail inside a mail.
        let inner = json!({
            "mimeType": "message/rfc822", "filename": "fwd.eml", "body": {"size": 5, "attachmentId": "a2"},
            "parts": [leaf("text/plain", "utf-8", b"inner"), file("deep.pdf")],
        });
        check(&multi("mixed", &[leaf("text/plain", "utf-8", b"outer"), inner]), Some(("outer", false)), 2, 0);
    }

    #[test]
    fn a_part_is_found_by_its_id_if_it_is_an_attachment() {
        let tree = multi("mixed", &[leaf("text/plain", "utf-8", b"x"), multi("mixed", &[file("b.pdf")])]);
        assert_eq!(part(&tree, "7").and_then(|found| found.get("filename")), Some(&json!("b.pdf")));
        assert_eq!(part(&tree, "1"), None);
        assert_eq!(part(&tree, ""), None);
        assert_eq!(part(&json!(null), "7"), None);
    }

    #[test]
    fn hostile_trees_are_bounded() {
        let mut deep = leaf("text/plain", "utf-8", b"deep");
        for _ in 0..60 {
            deep = multi("mixed", &[deep]);
        }
        check(&deep, None, 0, 1);
        let wide = multi("mixed", &vec![file("x"); 2000]);
        check(&wide, None, PARTS - 1, 1);
    }
}
