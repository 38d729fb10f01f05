//! What a command has to say when it worked.

use serde_json::Value;

use super::page::Page;

/// A command's result, in both its forms.
pub(super) struct Report {
    /// For `--json`.
    pub(super) json: Option<Value>,
    /// For people; ends with a line break unless empty.
    pub(super) text: String,
}

impl Report {
    /// Both forms.
    pub(super) fn new(json: Value, page: Page) -> Self {
        Self { json: Some(json), text: page.into_text() }
    }

    /// Text alone, the same with and without `--json`, such as a script for a shell.
    pub(super) fn text(text: String) -> Self {
        Self { json: None, text }
    }
}
