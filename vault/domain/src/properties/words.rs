//! Words of the wire, the store and the log: each leads back to what it stands for, and to nothing else.

use std::fmt::Debug;

use crate::effect::Effect;
use crate::event::{Detail, Ending, Kind};
use crate::grant::Approve;

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
