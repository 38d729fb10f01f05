//! Percent-encoding of the parts of a URL (RFC 3986 section 2).
//!
//! Only *unreserved* characters stay; whatever else stands in an argument is `%XX` in upper case. So an argument cannot
//! end its segment or its query component, and each argument has one spelling.

/// The text cannot be one segment of a path. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSegment {
    /// Nothing: the path would lose a segment, and name another thing.
    #[error("a part of a path cannot be empty")]
    Empty,
    /// `.` or `..`: the path would be another one.
    #[error("a part of a path cannot be or hold a step to another folder")]
    Dots,
    /// A control character.
    #[error("a part of a path cannot hold a control character")]
    Control,
}

/// One segment of a path.
///
/// # Errors
/// [`BadSegment`] for an empty text, for one with control characters, and for a dot segment (RFC 3986 section 5.2.4).
/// Also for one *behind* a slash, a backslash or a `;` (`x/..`, `..;a`): those are encoded here, but servers exist that
/// decode first and resolve dots afterwards.
pub fn path_segment(text: &str) -> Result<String, BadSegment> {
    if text.is_empty() {
        return Err(BadSegment::Empty);
    }
    if text.chars().any(char::is_control) {
        return Err(BadSegment::Control);
    }
    if text.split(['/', '\\', ';']).any(|part| part == "." || part == "..") {
        return Err(BadSegment::Dots);
    }
    Ok(query_component(text))
}

/// A name or a value of a query. A space is `%20`, never `+`, so every server reads it alike.
#[must_use]
pub fn query_component(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push('%');
            out.push(upper_hex(b >> 4));
            out.push(upper_hex(b & 0xf));
        }
    }
    out
}

/// A whole query, without the `?`: names and values encoded, in the order given; empty for no pairs.
#[must_use]
pub fn join_query(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", query_component(name), query_component(value)))
        .collect();
    pairs.join("&")
}

/// The digit for a number below 16.
fn upper_hex(nibble: u8) -> char {
    char::from(if nibble < 10 { b'0' + nibble } else { b'A' + (nibble - 10) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn decode(text: &str) -> String {
        let mut out = Vec::new();
        let mut bytes = text.bytes();
        while let Some(b) = bytes.next() {
            out.push(if b == b'%' {
                let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
            } else {
                b
            });
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn segments() {
        for (text, expected) in [
            ("18c2f", "18c2f"),
            ("A-z_0.9~", "A-z_0.9~"),
            ("a/b", "a%2Fb"),
            ("a b+c", "a%20b%2Bc"),
            ("%2e%2e", "%252e%252e"),
            ("a?b#c", "a%3Fb%23c"),
            ("x;y", "x%3By"),
            ("a:b@c", "a%3Ab%40c"),
            ("ü", "%C3%BC"),
            ("...", "..."),
            ("..a", "..a"),
            (".git", ".git"),
        ] {
            assert_eq!(path_segment(text).as_deref(), Ok(expected));
        }
        for (text, error) in [
            ("", BadSegment::Empty),
            (".", BadSegment::Dots),
            ("..", BadSegment::Dots),
            ("../x", BadSegment::Dots),
            ("x/..", BadSegment::Dots),
            ("x\\..\\y", BadSegment::Dots),
            ("..;a=b", BadSegment::Dots),
            ("x/./y", BadSegment::Dots),
            ("a\0", BadSegment::Control),
            ("a\r\nHost: x", BadSegment::Control),
            ("\u{85}", BadSegment::Control),
        ] {
            assert_eq!(path_segment(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn queries() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(join_query(&[]), "");
        assert_eq!(
            join_query(&[
                pair("q", "a=b&c d"),
                pair("labelIds", "Label_1"),
                pair("labelIds", ""),
                pair("a&b", "+")
            ]),
            "q=a%3Db%26c%20d&labelIds=Label_1&labelIds=&a%26b=%2B"
        );
    }

    proptest! {
        #[test]
        fn nothing_leaves_its_component(text in any::<String>()) {
            let encoded = query_component(&text);
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
            prop_assert_eq!(decode(&encoded), text);
        }

        #[test]
        fn nothing_leaves_its_segment(text in "[./\\\\;%a\u{0}-]{0,6}") {
            if let Ok(encoded) = path_segment(&text) {
                prop_assert!(!encoded.contains(['/', '\\', ';', '?', '#']));
                prop_assert!(!["", ".", ".."].contains(&encoded.as_str()));
                prop_assert_eq!(decode(&encoded), text);
            }
        }

        #[test]
        fn a_query_has_the_pairs_it_was_given(pairs in proptest::collection::vec((any::<String>(), any::<String>()), 0..5)) {
            let query = join_query(&pairs);
            let read: Vec<(String, String)> = query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| pair.split_once('=').unwrap())
                .map(|(name, value)| (decode(name), decode(value)))
                .collect();
            prop_assert_eq!(read, pairs);
        }
    }
}
