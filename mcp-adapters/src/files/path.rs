//! Paths as agents write them: `ROOT/relative`, in one form only.

pub(super) use claviger_beneath::{DEEPEST, is_segment, is_unseen};

/// A path in its one form: the name of a root, then segments. Without any, the list of the roots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FilePath {
    /// The root's name, then what lies below it.
    segments: Vec<String>,
}

impl FilePath {
    /// Reads a path; `None` where it is not in its one form: relative, single slashes, no segment empty, `.` or `..`,
    /// no control or invisible character, no backslash.
    ///
    /// The vault has refused all else before. This is the wall behind it: what is opened here is decided here.
    pub(super) fn parse(text: &str) -> Option<Self> {
        claviger_beneath::segments(text).map(|segments| Self { segments })
    }

    /// The root's name and the segments below it; `None` for the list of the roots.
    pub(super) fn split(&self) -> Option<(&str, &[String])> {
        self.segments.split_first().map(|(root, below)| (root.as_str(), below))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn one_form_only() {
        for (text, root, below) in [
            ("media", "media", &[][..]),
            ("media/a b/c.txt", "media", &["a b", "c.txt"]),
            ("media/...", "media", &["..."]),
            ("media/~", "media", &["~"]),
            ("media/%2e%2e/x", "media", &["%2e%2e", "x"]),
        ] {
            let path = FilePath::parse(text).unwrap();
            let (found, rest) = path.split().unwrap();
            assert_eq!((found, rest.iter().map(String::as_str).collect::<Vec<_>>()), (root, below.to_vec()));
        }
        assert_eq!(FilePath::parse("").unwrap().split(), None);
        let long = format!("media/{}", "a".repeat(256));
        let deep = vec!["a"; DEEPEST + 1].join("/");
        for bad in [
            "/",
            "/etc/passwd",
            "media/",
            "media//x",
            "./media",
            "media/.",
            "media/..",
            "../media",
            "media/../x",
            "media\\x",
            "media/a\0b",
            "media/a\nb",
            "media/a\u{202e}b",
            "media/\u{200b}",
            "media/a\u{e0041}",
            &long,
            &deep,
        ] {
            assert_eq!(FilePath::parse(bad), None, "{bad:?}");
        }
    }
}
