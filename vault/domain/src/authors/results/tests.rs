#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use super::*;

fn bad(text: &str) {
    assert_eq!(Results::parse(text), Err(BadResults), "{text:?}");
}

#[test]
fn each_part_is_read_to_its_end() {
    let read =
        Results::parse("mx.x.org 1; DMARC=Pass reason=\"it; fits\" Header.From=Example.org; none=x").unwrap();
    assert_eq!(read.server, "mx.x.org");
    let [dmarc, none] = read.outcomes.as_slice() else { panic!("two outcomes") };
    assert_eq!((dmarc.method.as_str(), dmarc.result.as_str()), ("dmarc", "pass"));
    let pairs = [("reason", "it; fits"), ("header.from", "Example.org")];
    assert_eq!(dmarc.properties, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    // A method of that name is no `none`.
    assert_eq!((none.method.as_str(), none.result.as_str()), ("none", "x"));
    assert_eq!(Results::parse("mx.x.org; none").unwrap().outcomes, []);
    assert_eq!(Results::parse("mx.x.org; NONE ;").unwrap().outcomes, []);
    assert_eq!(Results::parse("mx.x.org;\n spf=pass"), Results::parse("mx.x.org;\r\n\tspf=pass"));
    assert_eq!(Results::parse("mx.x.org; spf=pass (a (b) c)"), Results::parse("mx.x.org; spf=pass"));
}

#[test]
fn what_is_malformed_anywhere_is_worth_nothing() {
    for text in [
        "",
        "mx.x.org",
        "mx.x.org;",
        "mx.x.org spf=pass",
        "mx.x.org 1 spf=pass",
        "mx.x.org; spf",
        "mx.x.org; spf;",
        "mx.x.org; =pass",
        "mx.x.org; spf=",
        "mx.x.org; spf:pass header.from=x.org",
        "mx.x.org; spf=pass header.=x.org",
        "mx.x.org; spf=pass header.from:x.org",
        "mx.x.org; spf=pass header.from=",
        "mx.x.org; spf=pass policy=x.org",
        "mx.x.org; spf=pass reason=\"x\"header.from=x.org",
        "mx.x.org; spf/2=pass",
        "mx.x.org1; spf=pass header.from=x.org\r",
        "mx.x.org;\r spf=pass",
        "mx.x.org;\nspf=pass",
        "mx.x.org; spf=pass (a\u{1}b)",
        "mx.x.org; spf=pass reason=\"a\u{7f}b\"",
    ] {
        bad(text);
    }
}

/// Wherever white space may stand a comment may, and one that never ends, or nests too deep, spoils all of it.
#[test]
fn a_comment_ends_or_nothing_is_read() {
    let places =
        ["", "mx.x.org", " 1", ";", "spf", "/", "1", "=", "pass ", "header", ".", "from", "=", "x.org", ";"];
    let whole = places.concat();
    let plain = Results::parse(&whole).unwrap();
    for at in 0..places.len() {
        let with = |comment: &str| [&places[..=at], &[comment], &places[at + 1..]].concat().concat();
        let deepest = format!("{}{}", "(".repeat(8), ")".repeat(8));
        assert_eq!(Results::parse(&with(&deepest)).as_ref(), Ok(&plain), "{}", with(&deepest));
        bad(&with(&format!("({deepest})")));
        bad(&with(&"(".repeat(9)));
        bad(&with("("));
    }
}

#[test]
fn a_value_has_a_longest() {
    let of = |length: usize| {
        let begin = "mx.x.org; spf=pass reason=\"";
        format!("{begin}{}\"", "x".repeat(length - begin.len() - 1))
    };
    assert!(Results::parse(&of(LONGEST)).is_ok());
    bad(&of(LONGEST + 1));
}
