//! The name of a tool, as presentations may carry it.

use std::fmt;
use std::str::FromStr;

/// A tool's name, such as `gmail.send_message`: 1 to 64 of `a-z`, `0-9`, `_`, `.` and `-`.
///
/// The set is closed so that no name has a second spelling (case, Unicode, escapes) by which a rule could be passed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ToolName(String);

impl ToolName {
    /// The most bytes of a name.
    pub const MAX: usize = 64;

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ToolName {
    type Err = BadToolName;

    fn from_str(name: &str) -> Result<Self, BadToolName> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
        if (1..=Self::MAX).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            Err(BadToolName)
        }
    }
}

impl fmt::Display for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no tool's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tool's name is 1 to 64 of a-z, 0-9, `_`, `.` and `-`")]
pub struct BadToolName;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["a", "gmail.send_message", "0-9_.-", &"x".repeat(64)] {
            let parsed = name.parse::<ToolName>();
            assert_eq!(parsed.as_ref().map(ToolName::as_str), Ok(name));
            assert_eq!(parsed.as_ref().map(ToString::to_string), Ok(name.to_owned()));
        }
        for name in
            ["", "A", "gmail send", "gmail/send", "gmäil", "a\0", "a\n", "a%2e", "a:b", &"x".repeat(65)]
        {
            assert_eq!(name.parse::<ToolName>(), Err(BadToolName), "{name:?}");
        }
    }
}
