//! Secrets in every encoding, in every position, in chunks of every size.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use proptest::prelude::*;

use super::*;

const SECRET: &str = "ya29.a0+B/x y=~\"\\é-_Zq";

fn sees(secret: &[u8], text: &[u8], chunk: usize) -> bool {
    let mut needles = Needles::default();
    needles.add(secret);
    let mut watcher = Watcher::new(Arc::new(needles));
    text.chunks(chunk).fold(false, |_, chunk| watcher.feed(chunk))
}

fn percent(text: &[u8], spare: impl Fn(u8) -> bool, upper: bool) -> String {
    text.iter()
        .map(|b| match (spare(*b), upper) {
            (true, _) => char::from(*b).to_string(),
            (false, true) => format!("%{b:02X}"),
            (false, false) => format!("%{b:02x}"),
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn forms() -> Vec<(String, String)> {
    forms_of(SECRET)
}

fn forms_of(s: &str) -> Vec<(String, String)> {
    let bytes = s.as_bytes();
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    let mut forms = vec![
        ("raw", s.to_owned()),
        ("percent, upper", percent(bytes, unreserved, true)),
        ("percent, lower", percent(bytes, unreserved, false)),
        ("percent, everything", percent(bytes, |_| false, true)),
        ("percent, almost nothing", percent(bytes, |b| !b" \"\\%".contains(&b) && b.is_ascii(), true)),
        ("form", percent(bytes, |b| unreserved(b) || b == b' ', true).replace(' ', "+")),
        ("hex", hex(bytes)),
        ("hex, upper", hex(bytes).to_uppercase()),
        ("json", serde_json::to_string(s).unwrap()),
        ("json, slashes", serde_json::to_string(s).unwrap().replace('/', "\\/")),
        ("json, all \\u", s.encode_utf16().map(|u| format!("\\u{u:04x}")).collect()),
        ("json, all \\U", s.encode_utf16().map(|u| format!("\\u{u:04X}")).collect()),
        ("base64 in json", STANDARD.encode(format!("??{s}>>")).replace('/', "\\/")),
        (
            "base64 in a query",
            percent(STANDARD.encode(format!("??{s}>>")).as_bytes(), |b| b != b'/' && b != b'+', true),
        ),
    ]
    .into_iter()
    .map(|(name, form)| (name.to_owned(), form))
    .collect::<Vec<_>>();
    for before in ["", "a", "ab", "abc", "user:", "\u{3ff}"] {
        for after in ["", "x", "xy", "xyz", "\u{3ff}"] {
            let whole = format!("{before}{s}{after}");
            forms.push((format!("base64 {before:?} {after:?}"), STANDARD.encode(&whole)));
            forms.push((format!("base64 unpadded {before:?} {after:?}"), STANDARD_NO_PAD.encode(&whole)));
            forms.push((format!("base64url {before:?} {after:?}"), URL_SAFE.encode(&whole)));
        }
    }
    forms
}

#[test]
fn every_encoding_in_every_chunk_size() {
    for (name, form) in forms() {
        let text = format!("{{\"error\":\"%zz \\q you sent {form} and 100%\\u12\"}}");
        for chunk in [1, 2, 3, 5, 7, 16, 61, text.len()] {
            assert!(sees(SECRET.as_bytes(), text.as_bytes(), chunk), "{name}, by {chunk}");
        }
    }
}

#[test]
fn an_escape_just_before_the_secret_does_not_hide_it() {
    // Views skip what they show like the text itself; the skipping must not lose what an escape changed.
    for lead in ["%2", "%", "\\", "\\u00", "\\ud83d", "%41", "+", "\\n"] {
        let text = format!("{lead}{}%2Fend", "secret-value");
        for chunk in 1..text.len() {
            assert!(sees(b"secret-value/end", text.as_bytes(), chunk), "{lead}, by {chunk}");
        }
    }
    let long = format!("{}a%2Fb{}cdefghij", "x".repeat(100), "");
    for chunk in 1..long.len() {
        assert!(sees(b"a/bcdefghij", long.as_bytes(), chunk), "by {chunk}");
    }
}

#[test]
fn surrogate_pairs() {
    assert!(sees("key-🔑-1234".as_bytes(), br"key-\ud83d\udd11-1234", 1));
    assert!(sees("key-🔑-1234".as_bytes(), br"\ud83d key-\ud83d\udd11-1234", 3));
}

#[test]
fn other_text_is_not_the_secret() {
    let text = "ya29.a0+B/x y=~\"\\é-_Z and ya29.a0+B/x y=~\"\\é-_ZQ".repeat(50);
    assert!(!sees(SECRET.as_bytes(), text.as_bytes(), 64));
    assert!(!sees(b"", b"anything", 3));
    assert!(!sees(SECRET.as_bytes(), b"", 3));
}

#[test]
fn short_secrets_are_not_looked_for() {
    assert!(!sees(b"1234567", b"1234567", 7));
    assert!(sees(b"12345678", b"12345678", 7));
}

#[test]
fn only_what_is_too_short_for_every_form_is_passed_over() {
    let mut needles = Needles::default();
    needles.add(b"secret-value");
    needles.add(b"9 letters");
    assert!(needles.exceed(8) && !needles.exceed(9), "the shorter of two decides");
    for secret in ["12345678", "123456789", "1234567890", SECRET] {
        let mut needles = Needles::default();
        needles.add(secret.as_bytes());
        for (name, form) in forms_of(secret) {
            assert!(!needles.exceed(form.len()), "{name}");
        }
    }
    assert!(Needles::default().exceed(1 << 20), "nothing is looked for");
}

#[test]
fn once_seen_stays_seen() {
    let mut needles = Needles::default();
    needles.add(b"first-secret");
    needles.add(b"other-secret");
    let mut watcher = Watcher::new(Arc::new(needles));
    assert!(!watcher.feed(b"nothing"));
    assert!(watcher.feed(b"other-secret"));
    assert!(watcher.feed(b"nothing"));
}

#[test]
fn nothing_is_shown() {
    let mut needles = Needles::default();
    needles.add(b"canary-canary");
    let watcher = Watcher::new(Arc::new(needles));
    assert!(!format!("{watcher:?} {:?}", watcher.needles).contains("canary"));
}

#[test]
fn secret_fields_of_a_form() {
    let form = b"grant_type=refresh_token&refresh_token=1%2F%2Fabc+d&client_id=me&client_secret=s%3D&token";
    let values = form_values(form);
    let values = values.iter().map(|value| value.as_slice()).collect::<Vec<_>>();
    assert_eq!(values, [b"1//abc d".as_slice(), b"s=".as_slice()]);
}

/// Whether any way of reading the whole text at once shows a needle anywhere.
fn shows(secret: &[u8], text: &[u8]) -> bool {
    let mut needles = Needles::default();
    needles.add(secret);
    let read = |undo| {
        let mut view = View::new(undo, 1000);
        view.take(text);
        view.shown().to_vec()
    };
    let views = [Undo::Nothing, Undo::Percent, Undo::PercentAndPlus, Undo::Json].map(read);
    views.iter().any(|text| needles.text.iter().any(|needle| contains(text, needle)))
        || needles.lower.iter().any(|needle| contains(&read(Undo::Case), needle))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Only what may have changed is searched anew: it must find what searching everything finds, and no more.
    #[test]
    fn searching_less_finds_the_same(
        secret in "[ab/ +]{8,10}",
        tokens in proptest::collection::vec("a|b|ab|ba|/|%2[fF]|%20|%6[12]|%|%2|\\+| |\\\\/|\\\\u002f|\\\\u0061|\\\\u00|\\\\ud83d|\\\\n|\\\\", 0..60),
        at in any::<proptest::sample::Index>(),
        form in 0_usize..5,
        chunk in 1_usize..70,
    ) {
        let written = match form {
            0 => String::new(),
            1 => percent(secret.as_bytes(), |b| b == b'a', true),
            2 => percent(secret.as_bytes(), |b| b == b' ' || b == b'b', false).replace(' ', "+"),
            3 => secret.replace('/', "\\u002f").replace('a', "\\u0061"),
            _ => secret.clone(),
        };
        let at = at.index(tokens.len() + 1);
        let text = [tokens[..at].concat(), written, tokens[at..].concat()].concat();
        prop_assert_eq!(sees(secret.as_bytes(), text.as_bytes(), chunk), shows(secret.as_bytes(), text.as_bytes()), "{}", text);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_found_wherever_they_lie(
        secret in proptest::collection::vec(any::<u8>(), 8..40),
        before in proptest::collection::vec(any::<u8>(), 0..40),
        after in proptest::collection::vec(any::<u8>(), 0..40),
        chunk in 1_usize..50,
    ) {
        let whole = [before.as_slice(), &secret, &after].concat();
        prop_assert!(sees(&secret, &whole, chunk));
        prop_assert!(sees(&secret, STANDARD.encode(&whole).as_bytes(), chunk));
        prop_assert!(sees(&secret, URL_SAFE.encode(&whole).as_bytes(), chunk));
        prop_assert!(sees(&secret, hex(&whole).as_bytes(), chunk));
        prop_assert!(sees(&secret, percent(&whole, |b| b.is_ascii_alphanumeric(), false).as_bytes(), chunk));
    }
}
