//! Properties of canonical arguments that hold for every value and for every sequence of bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use proptest::prelude::*;

use crate::{
    Canonical, ErrorKind, Fraction, Limits, MAX_SAFE_INTEGER, Object, Value, parse, require_canonical,
};

fn any_value() -> impl Strategy<Value = Value> {
    let text = || prop_oneof![any::<String>(), "[\\x00-\\x20\"\\\\/a\u{e000}\u{fb33}\u{1f600}]{0,6}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).prop_map(Value::Integer),
        any::<u64>()
            .prop_filter_map("integral", |bits| Fraction::new(f64::from_bits(bits)).map(Value::Fraction)),
        (-1e6..1e6).prop_filter_map("integral", |number| Fraction::new(number).map(Value::Fraction)),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            proptest::collection::vec((text(), inner), 0..6).prop_map(|members| {
                let mut object = Object::new();
                for (key, member) in members {
                    // A key that came twice keeps its first value.
                    let _ = object.insert(key, member);
                }
                Value::Object(object)
            }),
        ]
    })
}

/// The offsets of a canonical text that lie outside its strings, and those of the unescaped characters inside.
fn inside_and_outside(text: &str) -> (Vec<usize>, Vec<usize>) {
    let (mut outside, mut inside) = (vec![], vec![]);
    let (mut in_string, mut escaped) = (false, 0);
    for (at, character) in text.char_indices() {
        if !in_string {
            outside.push(at);
            in_string = character == '"';
        } else if escaped > 0 {
            escaped -= 1;
            if character == 'u' && escaped == 0 && text[..at].ends_with('\\') {
                escaped = 4;
            }
        } else if character == '\\' {
            escaped = 1;
        } else if character == '"' {
            in_string = false;
        } else {
            inside.push(at);
        }
    }
    outside.push(text.len());
    (outside, inside)
}

proptest! {
    #[test]
    fn parse_undoes_write(value in any_value()) {
        let bytes = value.to_canonical();
        prop_assert!(parse(&bytes, &Limits::ARGUMENTS).as_ref() == Ok(&value), "{}", String::from_utf8_lossy(&bytes));
        prop_assert!(require_canonical(&bytes) == Ok(value));
    }

    #[test]
    fn serde_json_reads_the_same(value in any_value()) {
        let read: serde_json::Value = serde_json::from_slice(&value.to_canonical()).unwrap();
        // serde_json may be off by one bit in fractions; everything else is equal.
        if !value.to_canonical().contains(&b'.') && !value.to_canonical().contains(&b'e') {
            prop_assert_eq!(&read, &serde_json::Value::from(&value));
        }
        prop_assert!(Value::try_from(&serde_json::Value::from(&value)) == Ok(value));
    }

    #[test]
    fn both_ways_in_agree(value in any_value()) {
        let mut object = Object::new();
        object.insert("arguments".to_owned(), value).unwrap();
        let client = Canonical::from_json(&serde_json::Value::from(&Value::Object(object))).unwrap();
        let vault = Canonical::from_bytes(client.bytes()).unwrap();
        prop_assert_eq!(client.digest(), vault.digest());
        prop_assert!(client == vault);
    }

    #[test]
    fn added_whitespace_is_refused(value in any_value(), place in any::<prop::sample::Index>(), space in "[ \t\r\n]{1,3}") {
        let mut text = String::from_utf8(value.to_canonical()).unwrap();
        let (outside, _) = inside_and_outside(&text);
        text.insert_str(*place.get(&outside), &space);
        // Inside a number or a word the text breaks; anywhere else it is only not canonical.
        prop_assert!(require_canonical(text.as_bytes()).is_err(), "{text}");
    }

    #[test]
    fn needless_escapes_are_refused(value in any_value(), place in any::<prop::sample::Index>(), upper in any::<bool>()) {
        let text = String::from_utf8(value.to_canonical()).unwrap();
        let (_, inside) = inside_and_outside(&text);
        prop_assume!(!inside.is_empty());
        let at = *place.get(&inside);
        let character = text[at..].chars().next().unwrap();
        let escape: String = character
            .encode_utf16(&mut [0; 2])
            .iter()
            .map(|unit| if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") })
            .collect();
        let changed = format!("{}{escape}{}", &text[..at], &text[at + character.len_utf8()..]);
        let fault = require_canonical(changed.as_bytes()).unwrap_err();
        prop_assert_eq!(fault.kind(), ErrorKind::NotCanonical, "{}", changed);
        // It is the same value all the same: an escape changes the form, never the meaning.
        prop_assert!(parse(changed.as_bytes(), &Limits::ARGUMENTS) == Ok(value));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes, &Limits::ARGUMENTS);
    }

    /// Texts that look like JSON reach further into the parser than noise does; whatever is accepted is canonical
    /// after one pass, and the fault lies within the text.
    #[test]
    fn near_json_never_panics(text in "[\\[\\]{}:,\"\\\\u0dD18eE.+\\-9ntfals \u{e9}\u{1f600}]{0,60}") {
        match parse(text.as_bytes(), &Limits::ARGUMENTS) {
            Ok(value) => prop_assert!(require_canonical(&value.to_canonical()) == Ok(value)),
            Err(fault) => prop_assert!(fault.offset() <= text.len()),
        }
    }

    #[test]
    fn cut_or_changed_canonical_bytes_never_panic(value in any_value(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = value.to_canonical();
        let at = place.index(bytes.len());
        let _ = parse(&bytes[..at], &Limits::ARGUMENTS);
        bytes[at] = byte;
        if let Ok(changed) = require_canonical(&bytes) {
            prop_assert_eq!(changed.to_canonical(), bytes);
        }
    }

    #[test]
    fn the_order_of_keys_does_not_matter(mut keys in proptest::collection::hash_set("[a\u{e000}\u{ffff}\u{10000}\u{1f600}]{0,3}", 0..12).prop_map(Vec::from_iter), turn in 0usize..12) {
        let object = |keys: &[String]| {
            let mut object = Object::new();
            for key in keys {
                object.insert(key.clone(), Value::Null).unwrap();
            }
            Value::Object(object).to_canonical()
        };
        let first = object(&keys);
        let middle = turn.min(keys.len());
        keys.rotate_left(middle);
        prop_assert_eq!(object(&keys), first);
        let mut by_units: Vec<Vec<u16>> = keys.iter().map(|key| key.encode_utf16().collect()).collect();
        by_units.sort();
        let parsed = parse(&object(&keys), &Limits::ARGUMENTS).unwrap();
        let order: Vec<Vec<u16>> = parsed.as_object().unwrap().iter().map(|(key, _)| key.encode_utf16().collect()).collect();
        prop_assert_eq!(order, by_units);
    }
}
