//! What a tool needs of the folder, as the vault's schema says it.
//!
//! The schema carries marks of ours, `x-claviger`, that no model sees: at its root `download` for a tool whose bytes are
//! saved; at a text argument `upload` for a path below the folder, which becomes what the file is; at a number `offset` for
//! where the bytes are to begin, which only this client fills in.

use serde_json::{Map, Value};

/// The mark.
const MARK: &str = "x-claviger";

/// What a tool needs of the folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// It saves a file.
    pub(crate) download: bool,
    /// Arguments that are files.
    pub(crate) uploads: Vec<String>,
    /// The argument that says where the bytes begin.
    pub(crate) offset: Option<String>,
}

impl Needs {
    /// Reads the marks, and takes them out of the schema with what only this client fills in.
    pub(crate) fn take(schema: &mut Map<String, Value>) -> Self {
        let download = schema.remove(MARK).as_ref().and_then(Value::as_str) == Some("download");
        let mut needs = Self { download, ..Self::default() };
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            for (name, property) in properties.iter_mut() {
                let mark = property.as_object_mut().and_then(|property| property.remove(MARK));
                match mark.as_ref().and_then(Value::as_str) {
                    Some("upload") => needs.uploads.push(name.clone()),
                    Some("offset") => needs.offset = Some(name.clone()),
                    _ => {}
                }
            }
            if let Some(offset) = &needs.offset {
                needs.download = true;
                properties.remove(offset);
            }
        }
        if let (Some(offset), Some(Value::Array(required))) = (&needs.offset, schema.get_mut("required")) {
            required.retain(|name| name.as_str() != Some(offset));
        }
        needs
    }

    /// Whether it cannot be used without a folder.
    pub(crate) fn folder(&self) -> bool {
        self.download || !self.uploads.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use serde_json::json;

    #[test]
    fn marks_are_read_and_taken_out() {
        let mut schema = json!({
            "type": "object", "x-claviger": "download",
            "properties": {
                "file_id": {"type": "string"},
                "file": {"type": "string", "x-claviger": "upload"},
                "offset": {"type": "integer", "x-claviger": "offset"},
            },
            "required": ["file_id", "offset"],
        });
        let needs = Needs::take(schema.as_object_mut().unwrap());
        let expected =
            Needs { download: true, uploads: vec!["file".to_owned()], offset: Some("offset".to_owned()) };
        assert!(needs == expected && needs.folder());
        assert_eq!(
            schema,
            json!({
                "type": "object",
                "properties": {"file_id": {"type": "string"}, "file": {"type": "string"}},
                "required": ["file_id"],
            })
        );
        assert!(!Needs::take(schema.as_object_mut().unwrap()).folder());
    }
}
