//! A file that is sent beside the arguments, and bound by them: its name, its size, and the SHA-256 of all of it.

use claviger_canonical::Value;

use crate::codec::attachment::is_file_name;

/// A file as the arguments bind it. Only [`Upload::parse`] makes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Upload {
    name: String,
    sha256: [u8; 32],
    size: u64,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Upload({} bytes)", self.size)
    }
}

impl Upload {
    /// Reads `{name, sha256, size}`: a file's name without a path, 64 digits of lower-case hex, a size in bytes of at most
    /// `max`.
    ///
    /// # Errors
    /// The rule that it breaks, as the end of a sentence that begins with the argument's name.
    pub fn parse(value: &Value, max: u64) -> Result<Self, String> {
        const SHAPE: &str = "is an object of exactly name, sha256 and size";
        let Value::Object(members) = value else { return Err(SHAPE.to_owned()) };
        let text = |name: &str| members.get(name).and_then(Value::as_str).ok_or_else(|| SHAPE.to_owned());
        let (name, hash) = (text("name")?, text("sha256")?);
        let size = members.get("size").and_then(Value::as_integer).ok_or_else(|| SHAPE.to_owned())?;
        if members.iter().count() != 3 {
            return Err(SHAPE.to_owned());
        }
        if !is_file_name(name) {
            return Err(
                "has a name of 1 to 200 bytes without / \\ : or control and invisible characters".to_owned()
            );
        }
        let sha256 = from_hex(hash).ok_or_else(|| "has a sha256 of 64 digits 0-9a-f".to_owned())?;
        match u64::try_from(size) {
            Ok(size) if size <= max => Ok(Self { name: name.to_owned(), sha256, size }),
            _ => Err(format!("has at most {max} bytes")),
        }
    }

    /// The file's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the whole file.
    #[must_use]
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// Its size, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What a person reads of it: name, size, and the SHA-256.
    #[must_use]
    pub fn describe(&self) -> String {
        let hex: String = self.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{} ({} bytes, sha256 {hex})", self.name, self.size)
    }
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let bytes = text.as_bytes();
    if bytes.len() != 64 {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(bytes.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use claviger_canonical::Canonical;
    use serde_json::json;

    fn parse(value: serde_json::Value) -> Result<Upload, String> {
        let whole = Canonical::from_json(&json!({ "file": value })).unwrap();
        let Value::Object(members) = whole.value() else { panic!() };
        Upload::parse(members.get("file").unwrap(), 1000)
    }

    #[test]
    fn a_file_is_bound_by_name_hash_and_size() {
        let hash = "0123456789abcdef".repeat(4);
        let upload = parse(json!({ "name": "a b.pdf", "sha256": hash, "size": 1000 })).unwrap();
        assert_eq!(
            (upload.name(), upload.size(), upload.sha256()[..2].to_vec()),
            ("a b.pdf", 1000, vec![1, 0x23])
        );
        assert_eq!(upload.describe(), format!("a b.pdf (1000 bytes, sha256 {hash})"));
        assert!(parse(json!({ "name": "empty", "sha256": hash, "size": 0 })).is_ok());
    }

    #[test]
    fn anything_else_is_refused() {
        let hash = "0123456789abcdef".repeat(4);
        for (name, value) in [
            ("", json!({ "name": "", "sha256": hash, "size": 1 })),
            ("path", json!({ "name": "../x", "sha256": hash, "size": 1 })),
            ("dots", json!({ "name": "..", "sha256": hash, "size": 1 })),
            ("hidden", json!({ "name": "a\u{202e}fdp.exe", "sha256": hash, "size": 1 })),
            ("line", json!({ "name": "a\nb", "sha256": hash, "size": 1 })),
            ("backslash", json!({ "name": "a\\b", "sha256": hash, "size": 1 })),
            ("upper", json!({ "name": "a", "sha256": hash.to_uppercase(), "size": 1 })),
            ("short", json!({ "name": "a", "sha256": hash[1..], "size": 1 })),
            ("long", json!({ "name": "a", "sha256": format!("{hash}0"), "size": 1 })),
            ("large", json!({ "name": "a", "sha256": hash, "size": 1001 })),
            ("negative", json!({ "name": "a", "sha256": hash, "size": -1 })),
            ("text size", json!({ "name": "a", "sha256": hash, "size": "1" })),
            ("no size", json!({ "name": "a", "sha256": hash })),
            ("more", json!({ "name": "a", "sha256": hash, "size": 1, "path": "x" })),
            ("text", json!("a")),
            ("list", json!([])),
        ] {
            assert!(parse(value).is_err(), "{name}");
        }
    }
}
