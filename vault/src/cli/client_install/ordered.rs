//! JSON that is written: members in the order they were thought of, laid out as what stands around them.

use serde_json::Value;

/// A JSON value to be written, with its members in this order.
#[derive(Debug, Clone)]
pub(super) enum Ordered {
    /// An object.
    Object(Vec<(&'static str, Ordered)>),
    /// A list of texts, on one line.
    Texts(Vec<String>),
    /// A text.
    Text(String),
}

impl Ordered {
    /// The same as the parser would have it.
    pub(super) fn value(&self) -> Value {
        match self {
            Ordered::Object(members) => {
                members.iter().map(|(name, value)| ((*name).to_owned(), value.value())).collect()
            }
            Ordered::Texts(texts) => texts.iter().cloned().collect(),
            Ordered::Text(text) => text.as_str().into(),
        }
    }

    /// As text, in that layout.
    pub(super) fn text(&self, layout: &Layout) -> String {
        match self {
            Ordered::Text(text) => quoted(text),
            Ordered::Texts(texts) => {
                format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
            }
            Ordered::Object(members) => {
                let inner = layout.deeper();
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| format!("{}{}: {}", inner.lead(), quoted(name), value.text(&inner)))
                    .collect();
                let space = if layout.lines { "" } else { " " };
                format!("{{{}{space}{}}}", members.join(","), layout.lead_of_close())
            }
        }
    }
}

/// A text as JSON has it.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// How the lines around a place are written.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// Whether each member has a line of its own.
    pub(super) lines: bool,
    /// How lines end.
    pub(super) newline: &'static str,
    /// What a member's line begins with.
    pub(super) indent: String,
    /// What a level deeper adds to that.
    pub(super) unit: String,
}

impl Layout {
    /// That of a new file.
    pub(super) fn fresh() -> Self {
        Self { lines: true, newline: "\n", indent: String::new(), unit: "  ".to_owned() }
    }

    fn deeper(&self) -> Self {
        Self { indent: format!("{}{}", self.indent, self.unit), ..self.clone() }
    }

    /// What stands before a member at this depth.
    pub(super) fn lead(&self) -> String {
        if self.lines { format!("{}{}", self.newline, self.indent) } else { " ".to_owned() }
    }

    fn lead_of_close(&self) -> String {
        if self.lines { self.lead() } else { String::new() }
    }
}
