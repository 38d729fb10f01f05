//! Paths below a root, as arguments and bounds name them.

use std::fmt;
use std::str::FromStr;

/// A relative path in its one form: segments with single slashes between, none of them empty, `.` or `..`; the empty
/// path is the root itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelativePath(String);

/// The text is no relative path in its one form. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a path is relative, without empty segments, `.` or `..`, and without control characters")]
pub struct BadPath;

impl RelativePath {
    /// The path, with slashes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is that path or lies below it, segment by segment.
    #[must_use]
    pub fn is_within(&self, above: &RelativePath) -> bool {
        above.0.is_empty()
            || self.0 == above.0
            || self.0.strip_prefix(&above.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl FromStr for RelativePath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let plain = |segment: &str| {
            !segment.is_empty()
                && segment.len() <= 255
                && !matches!(segment, "." | "..")
                && !segment.chars().any(|c| c.is_control() || c == '\\' || crate::codec::is_invisible(c))
        };
        if text.is_empty() || (text.len() <= 4096 && text.split('/').all(plain)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadPath)
        }
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
