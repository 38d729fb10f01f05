//! A JSON value with one form for each meaning.

use std::fmt;

use crate::number::Fraction;
use crate::object::Object;
use crate::write;

/// A JSON value as arguments may hold it.
///
/// Integers from [`parse`](crate::parse::parse) and from `serde_json` lie within ±(2^53 − 1); an `Integer` built by
/// hand beyond that is written in full, and refused by whoever reads it.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fractional part. Whether an argument may be one, the tool's schema says.
    Fraction(Fraction),
    /// Unicode text, not normalised.
    String(String),
    /// Values in order.
    Array(Vec<Value>),
    /// Members by key.
    Object(Object),
}

impl Value {
    /// Returns the canonical bytes (RFC 8785, UTF-8, no whitespace).
    #[must_use]
    pub fn to_canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        write::value(self, &mut bytes);
        bytes
    }

    /// Returns the truth value if this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(inner) = self { Some(*inner) } else { None }
    }

    /// Returns the integer if this is one; a fraction never is.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(inner) = self { Some(*inner) } else { None }
    }

    /// Returns the text if this is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(inner) = self { Some(inner) } else { None }
    }

    /// Returns the elements if this is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Self::Array(inner) = self { Some(inner) } else { None }
    }

    /// Returns the object if this is one.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        if let Self::Object(inner) = self { Some(inner) } else { None }
    }
}

/// Shows the kind and the size, never the content: arguments do not belong in logs.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Bool(_) => f.write_str("Bool(..)"),
            Self::Integer(_) => f.write_str("Integer(..)"),
            Self::Fraction(_) => f.write_str("Fraction(..)"),
            Self::String(text) => write!(f, "String({} bytes)", text.len()),
            Self::Array(elements) => write!(f, "Array({} elements)", elements.len()),
            Self::Object(object) => object.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn a_list_gives_its_elements() {
        let list = Value::Array(vec![Value::Bool(true)]);
        assert_eq!(list.as_array().map(<[Value]>::len), Some(1));
        assert!(Value::Null.as_array().is_none());
    }

    #[test]
    fn debug_shows_no_content() {
        let mut object = Object::new();
        object.insert("canary-key".to_owned(), Value::String("canary-text".to_owned())).unwrap();
        let inner = Value::Object(object);
        for (value, expected) in [
            (inner.clone(), "Object(1 members)"),
            (Value::Array(vec![inner]), "Array(1 elements)"),
            (Value::String("canary".to_owned()), "String(6 bytes)"),
            (Value::Integer(4711), "Integer(..)"),
            (Value::Bool(true), "Bool(..)"),
            (Value::Null, "Null"),
        ] {
            assert_eq!(format!("{value:?}"), expected);
        }
    }

    #[test]
    fn accessors_do_not_convert() {
        let half = Value::Fraction(Fraction::new(0.5).unwrap());
        assert_eq!(half.as_integer(), None);
        assert_eq!(Value::Integer(1).as_integer(), Some(1));
        assert_eq!(Value::Integer(1).as_bool(), None);
        assert_eq!(Value::Bool(true).as_bool(), Some(true));
        assert_eq!(Value::String("1".to_owned()).as_integer(), None);
        assert_eq!(Value::String("1".to_owned()).as_str(), Some("1"));
        assert_eq!(Value::Array(Vec::new()).as_array(), Some(&[][..]));
        assert_eq!(Value::Array(Vec::new()).as_object(), None);
        assert_eq!(Value::Object(Object::new()).as_object(), Some(&Object::new()));
    }
}
