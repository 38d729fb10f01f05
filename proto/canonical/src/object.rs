//! JSON objects without duplicate keys, in the order of RFC 8785.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use crate::value::Value;

/// A JSON object: each key once, ordered by the keys' UTF-16 code units (RFC 8785 section 3.2.3).
///
/// That order differs from the order of UTF-8 bytes: a character outside the basic plane is a surrogate pair in
/// UTF-16 and so comes before U+E000 to U+FFFF.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Object(BTreeMap<Key, Value>);

impl Object {
    /// Returns an empty object.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member. Returns [`Duplicate`] and changes nothing if the key is there already.
    pub fn insert(&mut self, key: String, value: Value) -> Result<(), Duplicate> {
        match self.0.entry(Key(key)) {
            std::collections::btree_map::Entry::Occupied(_) => Err(Duplicate),
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(value);
                Ok(())
            }
        }
    }

    /// Returns the value under exactly this key (no Unicode normalisation), if there is one.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        // The order is not that of `str`, so the map cannot be asked with one; a short copy is the plain way.
        self.0.get(&Key(key.to_owned()))
    }

    /// Returns the members in canonical order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.0.as_str(), value))
    }

    /// Returns the number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Says whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Shows the number of members only: arguments do not belong in logs.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({} members)", self.0.len())
    }
}

/// The key is already in the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the object has this key already")]
pub struct Duplicate;

/// A key, compared by UTF-16 code units.
#[derive(Clone, PartialEq, Eq)]
struct Key(String);

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.encode_utf16().cmp(other.0.encode_utf16())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    fn keys(input: &[&str]) -> Vec<String> {
        let mut object = Object::new();
        for key in input {
            object.insert((*key).to_owned(), Value::Null).unwrap();
        }
        object.iter().map(|(key, _)| key.to_owned()).collect()
    }

    /// The sorting sample of RFC 8785 section 3.2.3.
    #[test]
    fn rfc_8785_sorts_by_utf_16() {
        assert_eq!(
            keys(&["\u{20ac}", "\r", "\u{fb33}", "1", "\u{1f600}", "\u{80}", "\u{f6}"]),
            ["\r", "1", "\u{80}", "\u{f6}", "\u{20ac}", "\u{1f600}", "\u{fb33}"]
        );
    }

    #[test]
    fn a_prefix_comes_first() {
        assert_eq!(keys(&["ab", "a", "", "b"]), ["", "a", "ab", "b"]);
    }

    #[test]
    fn a_duplicate_is_refused_and_the_first_value_stays() {
        let mut object = Object::new();
        object.insert("a".to_owned(), Value::Integer(1)).unwrap();
        assert_eq!(object.insert("a".to_owned(), Value::Integer(2)), Err(Duplicate));
        assert_eq!((object.get("a"), object.len()), (Some(&Value::Integer(1)), 1));
        assert_eq!(object.get("b"), None);
        assert!(!object.is_empty() && Object::new().is_empty());
    }

    #[test]
    fn keys_are_not_normalised() {
        assert_eq!(keys(&["\u{e9}", "e\u{301}"]).len(), 2);
    }
}
