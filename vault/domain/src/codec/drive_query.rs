//! Drive's search language, from typed terms only.
//!
//! Every value stands in single quotes, with `\` written `\\` and `'` written `\'`, as Drive's guide to search terms
//! says. Files in the bin are found only where that is said.

use super::term::{Fault, QueryError, unquoted, visible};
use crate::date::Date;

/// What to search for; what is `None` does not bound.
#[derive(Debug, Clone, Copy, Default)]
pub struct DriveTerms<'a> {
    /// The id of the folder in which a file lies directly.
    pub parent: Option<&'a str>,
    /// The file's whole name.
    pub name: Option<&'a str>,
    /// A part of the file's name. Drive matches it at the beginnings of words.
    pub name_contains: Option<&'a str>,
    /// A phrase in the file's text, name or description: these words, in this order.
    pub full_text: Option<&'a str>,
    /// The exact MIME type.
    pub mime_type: Option<&'a str>,
    /// Changed on this day (UTC) or later.
    pub modified_after: Option<Date>,
    /// Files in the bin too.
    pub with_trashed: bool,
}

/// The query for the parameter `q`, in a fixed order. It ends with `trashed = false`, but for `with_trashed`.
///
/// # Errors
/// [`QueryError`] for a blank term, one with control or invisible characters, a `parent` that is no id, or a
/// `full_text` with a double quote or a backslash: there Drive reads a second language inside the string.
pub fn render(terms: &DriveTerms<'_>) -> Result<String, QueryError> {
    let DriveTerms { parent, name, name_contains, full_text, mime_type, modified_after, with_trashed } =
        *terms;
    let mut query = Vec::new();
    if let Some(id) = parent {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if id.is_empty() || !id.bytes().all(plain) {
            return Err(QueryError { field: "parent", fault: Fault::Id });
        }
        query.push(format!("'{id}' in parents"));
    }
    if let Some(text) = name {
        query.push(format!("name = {}", string("name", text)?));
    }
    if let Some(text) = name_contains {
        query.push(format!("name contains {}", string("name_contains", text)?));
    }
    if let Some(text) = full_text {
        visible("full_text", text)?;
        unquoted("full_text", text)?;
        // Without the inner quotes a leading `-` or a `*` could mean more than itself.
        query.push(format!("fullText contains {}", string("full_text", &format!("\"{}\"", text.trim()))?));
    }
    if let Some(text) = mime_type {
        query.push(format!("mimeType = {}", string("mime_type", text)?));
    }
    query.extend(modified_after.map(|date| format!("modifiedTime >= '{date}T00:00:00Z'")));
    if !with_trashed {
        query.push("trashed = false".to_owned());
    }
    Ok(query.join(" and "))
}

fn string(field: &'static str, text: &str) -> Result<String, QueryError> {
    visible(field, text)?;
    Ok(format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_term_has_its_place() {
        assert_eq!(render(&DriveTerms::default()).unwrap(), "trashed = false");
        let binned = DriveTerms { parent: Some("F"), with_trashed: true, ..DriveTerms::default() };
        assert_eq!(render(&binned).unwrap(), "'F' in parents");
        let all = DriveTerms {
            parent: Some("1aB-_9"),
            name: Some("it's"),
            name_contains: Some("a\\b"),
            full_text: Some("quarterly plan's"),
            mime_type: Some("text/plain"),
            modified_after: Some("2026-01-31".parse().unwrap()),
            with_trashed: false,
        };
        assert_eq!(
            render(&all).unwrap(),
            r#"'1aB-_9' in parents and name = 'it\'s' and name contains 'a\\b' and fullText contains '"quarterly plan\'s"' and mimeType = 'text/plain' and modifiedTime >= '2026-01-31T00:00:00Z' and trashed = false"#
        );
    }

    #[test]
    fn bad_terms_are_refused() {
        fn check(terms: DriveTerms<'_>, field: &'static str, fault: Fault) {
            assert_eq!(render(&terms), Err(QueryError { field, fault }), "{terms:?}");
        }
        let none = DriveTerms::default();
        for bad in ["", "a b", "x' in parents or 'y", "a'", "a\\", "ä", "a\n", "../x", "a/b"] {
            check(DriveTerms { parent: Some(bad), ..none }, "parent", Fault::Id);
        }
        for (bad, fault) in [
            ("", Fault::Empty),
            ("  ", Fault::Empty),
            ("a\nb", Fault::Invisible),
            ("a\0", Fault::Invisible),
            ("a\u{202e}b", Fault::Invisible),
        ] {
            check(DriveTerms { name: Some(bad), ..none }, "name", fault);
            check(DriveTerms { name_contains: Some(bad), ..none }, "name_contains", fault);
            check(DriveTerms { full_text: Some(bad), ..none }, "full_text", fault);
            check(DriveTerms { mime_type: Some(bad), ..none }, "mime_type", fault);
        }
        for bad in ["a\"b", "a\" or \"b", "a\\", "“a”"] {
            check(DriveTerms { full_text: Some(bad), ..none }, "full_text", Fault::Quote);
        }
    }

    /// Reads a query as Drive does: strings, unescaped, and what stands between them.
    fn read(query: &str) -> (String, Vec<String>) {
        let (mut outside, mut strings) = (String::new(), Vec::new());
        let mut chars = query.chars();
        while let Some(c) = chars.next() {
            if c != '\'' {
                outside.push(c);
                continue;
            }
            let mut text = String::new();
            loop {
                match chars.next().expect("a string is closed") {
                    '\'' => break,
                    '\\' => text.push(chars.next().expect("an escape is whole")),
                    other => text.push(other),
                }
            }
            outside.push('$');
            strings.push(text);
        }
        (outside, strings)
    }

    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("'".to_owned()),
            Just("\\".to_owned()),
            Just("\"".to_owned()),
            Just("' or trashed = true or name = '".to_owned()),
            "[a-z ]{0,5}",
            "\\PC{0,3}",
        ];
        proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_term_leaves_its_quotes(name in hostile(), part in hostile(), text in hostile(), mime in hostile()) {
            let plain = DriveTerms { name: Some(&name), name_contains: Some(&part), mime_type: Some(&mime), ..DriveTerms::default() };
            if let Ok(query) = render(&plain) {
                let (outside, strings) = read(&query);
                prop_assert_eq!(outside, "name = $ and name contains $ and mimeType = $ and trashed = false");
                prop_assert_eq!(strings, vec![name, part, mime]);
            }
            let full = DriveTerms { full_text: Some(&text), ..DriveTerms::default() };
            if let Ok(query) = render(&full) {
                let (outside, strings) = read(&query);
                prop_assert_eq!(outside, "fullText contains $ and trashed = false");
                prop_assert_eq!(strings.len(), 1);
                let inner = strings[0].strip_prefix('"').unwrap().strip_suffix('"').unwrap();
                prop_assert!(!inner.contains(['"', '\\']));
                prop_assert_eq!(inner, text.trim());
            }
        }

        #[test]
        fn no_parent_leaves_its_quotes(id in "[a-zA-Z0-9_' \\\\-]{0,6}") {
            if let Ok(query) = render(&DriveTerms { parent: Some(&id), ..DriveTerms::default() }) {
                let (outside, strings) = read(&query);
                prop_assert_eq!(outside, "$ in parents and trashed = false");
                prop_assert_eq!(strings, vec![id]);
            }
        }
    }
}
