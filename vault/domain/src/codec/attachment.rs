//! What is attached to a mail: a name without a path, a media type without parameters, and its bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger_canonical::{Digest, Value};

use super::is_invisible;

/// How many bytes all attachments of one call have together: the arguments, in base64, are 256 KiB at most.
pub const TOTAL_MAX: usize = 150 * 1024;
/// How many bytes a name has.
const NAME_MAX: usize = 200;

/// The attachment cannot be taken. It never repeats a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAttachment {
    /// Not an object of exactly `name`, `type` and `data`, all of them texts.
    #[error("is a list of objects with name, type and data, all of them texts")]
    Shape,
    /// A name that could be a path, or that does not look like what it is.
    #[error("has names of 1 to 200 bytes without / \\ : or control and invisible characters")]
    Name,
    /// Not `type/subtype`, or one that would be read as parts or as a mail of its own.
    #[error("has types such as application/pdf, without parameters, and never multipart or message")]
    Type,
    /// Not standard base64 with padding.
    #[error("has data in base64 (RFC 4648 section 4, with padding)")]
    Data,
    /// More than 150 KiB together.
    #[error("has at most 150 KiB of data in all attachments together")]
    TooLarge,
}

/// One attachment. Only [`Attachment::new`] makes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    name: String,
    media_type: MediaType,
    content: Vec<u8>,
}

/// A media type (RFC 2045 section 5.1) that says what bytes are, and nothing of how to read them. Only
/// [`MediaType::parse`] makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType(String);

impl MediaType {
    /// Reads `type/subtype` in any case, without parameters.
    ///
    /// # Errors
    /// [`BadAttachment::Type`] for one that would be read as parts or as a mail of its own, and for what is none.
    pub fn parse(text: &str) -> Result<Self, BadAttachment> {
        let token = |text: &str| {
            (1..=80).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
        };
        let text = text.to_ascii_lowercase();
        match text.split_once('/') {
            // A multipart brings parts of its own, a message brings headers: neither is bytes any more.
            Some((kind, rest)) if token(kind) && token(rest) && !matches!(kind, "multipart" | "message") => {
                Ok(Self(text))
            }
            _ => Err(BadAttachment::Type),
        }
    }

    /// `type/subtype`, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether it is a file's name that cannot be a path, and looks like what it is.
pub(crate) fn is_file_name(name: &str) -> bool {
    let hidden = |c: char| is_invisible(c) || matches!(c, '/' | '\\' | ':' | '\u{2215}' | '\u{2044}');
    (1..=NAME_MAX).contains(&name.len())
        && !name.chars().any(hidden)
        && name.trim() == name
        && !name.chars().all(|c| c == '.')
}

impl std::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attachment({} bytes)", self.content.len())
    }
}

impl Attachment {
    /// An attachment of that name, type and content.
    ///
    /// # Errors
    /// [`BadAttachment`] for a name or a type that could be read as more than it is.
    pub fn new(name: &str, media_type: &str, content: Vec<u8>) -> Result<Self, BadAttachment> {
        if !is_file_name(name) {
            return Err(BadAttachment::Name);
        }
        Ok(Self { name: name.to_owned(), media_type: MediaType::parse(media_type)?, content })
    }

    /// Reads a list of `{name, type, data}` as a call gives it.
    ///
    /// # Errors
    /// The rule that one of them breaks, or that all together do.
    pub fn list(items: &[Value]) -> Result<Vec<Self>, BadAttachment> {
        let mut total = 0;
        let mut all = Vec::with_capacity(items.len());
        for item in items {
            let Value::Object(members) = item else { return Err(BadAttachment::Shape) };
            let text = |name: &str| members.get(name).and_then(Value::as_str).ok_or(BadAttachment::Shape);
            let (name, media_type, data) = (text("name")?, text("type")?, text("data")?);
            if members.iter().count() != 3 {
                return Err(BadAttachment::Shape);
            }
            let content = STANDARD.decode(data).map_err(|_| BadAttachment::Data)?;
            total += content.len();
            if total > TOTAL_MAX {
                return Err(BadAttachment::TooLarge);
            }
            all.push(Self::new(name, media_type, content)?);
        }
        Ok(all)
    }

    /// The file's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `type/subtype`, in lower case.
    #[must_use]
    pub fn media_type(&self) -> &str {
        self.media_type.as_str()
    }

    /// The bytes.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// What a person reads of it: name, type, size, and the beginning of its SHA-256.
    #[must_use]
    pub fn describe(&self) -> String {
        let digest: String =
            Digest::of(&self.content).as_bytes().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!(
            "{} ({}, {} bytes, sha256 {digest}…)",
            self.name,
            self.media_type.as_str(),
            self.content.len()
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use claviger_canonical::Canonical;
    use serde_json::json;

    #[test]
    fn all_together_have_a_most_and_a_person_reads_what_each_is() {
        let file = |bytes: usize| json!({ "name": "a", "type": "text/plain", "data": STANDARD.encode(vec![0; bytes]) });
        assert!(list(json!([file(TOTAL_MAX)])).is_ok());
        assert!(list(json!([file(TOTAL_MAX - 1), file(1)])).is_ok());
        assert_eq!(list(json!([file(TOTAL_MAX), file(1)])), Err(BadAttachment::TooLarge));
        let one = Attachment::new("a.txt", "text/plain", b"hi".to_vec()).unwrap();
        // The SHA-256 of "hi".
        assert_eq!(one.describe(), "a.txt (text/plain, 2 bytes, sha256 8f434346648f6b96…)");
    }

    fn list(value: serde_json::Value) -> Result<Vec<Attachment>, BadAttachment> {
        let canonical = Canonical::from_json(&json!({ "a": value })).unwrap();
        let Value::Object(members) = canonical.value() else { panic!("an object") };
        Attachment::list(members.get("a").unwrap().as_array().unwrap())
    }

    #[test]
    fn names() {
        for good in ["a.pdf", "Übersicht Q3.pdf", "a=\"b\".txt", ".config", "'; rm -rf", "=?utf-8?q?x?="] {
            assert!(Attachment::new(good, "text/plain", vec![]).is_ok(), "{good:?}");
        }
        let long = "x".repeat(201);
        for bad in [
            "",
            ".",
            "..",
            "...",
            "a/b",
            "..\\b",
            "C:x",
            "a\r\nX: y",
            "a\0b",
            "a\u{202e}fdp.exe",
            " a",
            "a\n",
            "a\u{200b}",
            "a\u{2215}b",
            &long,
        ] {
            assert_eq!(Attachment::new(bad, "text/plain", vec![]), Err(BadAttachment::Name), "{bad:?}");
        }
    }

    #[test]
    fn types() {
        assert_eq!(Attachment::new("a", "Application/PDF", vec![]).unwrap().media_type(), "application/pdf");
        for bad in [
            "",
            "text",
            "text/",
            "/x",
            "text/plain; boundary=x",
            "text/plain\r\nX: y",
            "multipart/mixed",
            "Multipart/related",
            "message/rfc822",
            "MESSAGE/partial",
            "message/external-body",
            "text/pläin",
            "text/plain/x",
            "text/plain ",
        ] {
            assert_eq!(Attachment::new("a", bad, vec![]), Err(BadAttachment::Type), "{bad:?}");
        }
    }

    #[test]
    fn lists() {
        let one = |data: &str| json!([{ "name": "a", "type": "text/plain", "data": data }]);
        assert_eq!(list(one("aGk=")).unwrap()[0].content(), b"hi");
        assert_eq!(list(json!([])), Ok(vec![]));
        for bad in ["aGk", "aGk=\n", "aG k=", "a-_=", "====", "é"] {
            assert_eq!(list(one(bad)), Err(BadAttachment::Data), "{bad:?}");
        }
        for bad in [
            json!(["x"]),
            json!([{ "name": "a", "type": "text/plain" }]),
            json!([{ "name": "a", "type": "text/plain", "data": "", "id": "x" }]),
            json!([{ "name": "a", "type": "text/plain", "data": 1 }]),
            json!([{ "name": "a", "type": "text/plain", "content": "" }]),
        ] {
            assert_eq!(list(bad.clone()), Err(BadAttachment::Shape), "{bad}");
        }
        let half = STANDARD.encode(vec![0; TOTAL_MAX / 2 + 1]);
        let item = json!({ "name": "a", "type": "text/plain", "data": half });
        assert!(list(json!([item])).is_ok());
        assert_eq!(list(json!([item, item])), Err(BadAttachment::TooLarge));
    }
}
