#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use super::from_address;

#[test]
fn what_stands_in_quotes_is_no_address_and_two_are_nobody() {
    for (text, expected) in [
        ("\"Ann \\\" <x@evil.example>\" <ann@example.org>", Some("ann@example.org")),
        ("\"Ann \\\\\" <ann@example.org>", Some("ann@example.org")),
        ("(a \\) <x@evil.example>) ann@example.org", Some("ann@example.org")),
        ("(a (b) <x@evil.example>) ann@example.org", Some("ann@example.org")),
        ("\"Ann\r\nX: y\" <ann@example.org>", None),
        ("\"Ann\nX: y\" <ann@example.org>", None),
        ("(Ann\nX: y) <ann@example.org>", None),
        ("<x@evil.example> <ann@example.org>", None),
        ("<ann@example.org> <ann@example.org>", None),
        ("<ann@example.org> Ann", None),
        ("<ann@example.org> \t", Some("ann@example.org")),
        ("\t ann@example.org", Some("ann@example.org")),
        ("Ann) <ann@example.org>", None),
    ] {
        assert_eq!(from_address(text).as_ref().map(|a| a.as_str()), expected, "{text:?}");
    }
}
