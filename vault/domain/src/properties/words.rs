//! Words of the wire, the store and the log: each leads back to what it stands for, and to nothing else.

use std::fmt::Debug;

use crate::effect::Effect;
use crate::event::{Detail, Ending, Kind};
use crate::grant::Approve;
use crate::refusal::Class;
use crate::reserved::Reserved;
use crate::secret::SecretBytes;
use crate::step::{Codec, Method};

/// No two share a word, and each word leads back.
fn all_lead_back<T: Copy + Debug + PartialEq>(
    all: &[T],
    word: impl Fn(T) -> &'static str,
    of: impl Fn(&str) -> Option<T>,
) {
    for one in all {
        let text = word(*one);
        assert!(
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b"-_.".contains(&b)),
            "{text:?}"
        );
        assert_eq!(of(text), Some(*one));
    }
    for none in ["", "Read", "xyzzy", " read"] {
        assert_eq!(of(none), None);
    }
}

#[test]
fn each_word_has_one_meaning() {
    all_lead_back(&Effect::ALL, Effect::as_str, |word| word.parse().ok());
    all_lead_back(&Kind::ALL, Kind::as_str, Kind::from_word);
    all_lead_back(&Ending::ALL, Ending::as_str, Ending::from_word);
    all_lead_back(&Class::ALL, Class::as_str, Class::from_word);
    all_lead_back(&Reserved::ALL, Reserved::as_str, Reserved::from_word);
    let codecs = Codec::ALL.map(|(codec, word, fields)| {
        assert!(!fields.is_empty());
        assert_eq!(Codec::from_word(word), Some((codec, fields)));
        word
    });
    assert!(codecs.iter().enumerate().all(|(n, word)| !codecs[..n].contains(word)));
    assert_eq!(Codec::from_word("xml"), None);
    assert_eq!(Class::ALL.map(|class| class.to_string()), Class::ALL.map(|class| class.as_str().to_owned()));
    let methods = [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete];
    assert_eq!(methods.map(Method::as_str), ["GET", "POST", "PUT", "PATCH", "DELETE"]);
    assert_eq!(Approve::ALL.map(Approve::as_str), ["default", "never", "tainted", "new", "always"]);
    assert_eq!(Effect::ALL.map(|effect| effect.to_string()), ["read", "write", "send", "delete"]);
}

#[test]
fn a_detail_holds_what_there_is_and_shows_nothing() {
    let mut detail = Detail::default();
    detail.add("value", None);
    detail.add("arguments", Some("{\"to\":\"ann\"}"));
    assert_eq!(detail.0, [("arguments".to_owned(), "{\"to\":\"ann\"}".to_owned())]);
    assert_eq!(format!("{detail:?}"), "Detail(1 entries)");
}

#[test]
fn a_secret_tells_its_length_and_nothing_else() {
    let (some, none) = (SecretBytes::from_text("hunter2".to_owned()), SecretBytes::new(Vec::new()));
    assert_eq!((some.len(), some.is_empty(), none.len(), none.is_empty()), (7, false, 0, true));
    assert_eq!((some.duplicate().len(), SecretBytes::new(vec![0]).is_empty()), (7, false));
    assert_eq!(format!("{some:?}"), "SecretBytes(…)");
}

#[test]
fn a_rate_is_written_in_its_largest_unit() {
    for (text, kept) in [
        ("2/1d", "2/1d"),
        ("2/24h", "2/1d"),
        ("2/36h", "2/36h"),
        ("1/60s", "1/1m"),
        ("1/90s", "1/90s"),
        ("5/3d", "5/3d"),
    ] {
        assert_eq!(text.parse::<crate::rate::Rate>().unwrap().to_string(), kept);
    }
}
