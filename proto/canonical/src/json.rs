//! To and from `serde_json`, for callers whose arguments were already parsed by somebody else.
//!
//! What that parser has rounded or dropped cannot be seen any more; what can still be seen is refused.

use crate::number::{Fraction, is_safe};
use crate::object::Object;
use crate::parse::{ErrorKind, Limits};
use crate::value::Value;

impl TryFrom<&serde_json::Value> for Value {
    type Error = ErrorKind;

    /// Takes a parsed value under the depth limit of arguments. A double without a fractional part is refused as
    /// [`ErrorKind::NonCanonicalNumber`]: it was written `1.0`, or was an integer too large to be kept.
    fn try_from(value: &serde_json::Value) -> Result<Self, ErrorKind> {
        convert(value, 0)
    }
}

/// Converts what stands inside `depth` open containers.
fn convert(value: &serde_json::Value, depth: u8) -> Result<Value, ErrorKind> {
    let deeper = || if depth < Limits::ARGUMENTS.depth { Ok(depth + 1) } else { Err(ErrorKind::TooDeep) };
    Ok(match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(inner) => Value::Bool(*inner),
        serde_json::Value::Number(number) => convert_number(number)?,
        serde_json::Value::String(text) => Value::String(text.clone()),
        serde_json::Value::Array(elements) => {
            let depth = deeper()?;
            Value::Array(elements.iter().map(|element| convert(element, depth)).collect::<Result<_, _>>()?)
        }
        serde_json::Value::Object(members) => {
            let depth = deeper()?;
            let mut object = Object::new();
            for (key, member) in members {
                object.insert(key.clone(), convert(member, depth)?).map_err(|_| ErrorKind::DuplicateKey)?;
            }
            Value::Object(object)
        }
    })
}

fn convert_number(number: &serde_json::Number) -> Result<Value, ErrorKind> {
    if let Some(integer) = number.as_i64() {
        return if is_safe(integer) {
            Ok(Value::Integer(integer))
        } else {
            Err(ErrorKind::IntegerOutOfRange)
        };
    }
    if number.is_u64() {
        return Err(ErrorKind::IntegerOutOfRange);
    }
    number.as_f64().and_then(Fraction::new).map(Value::Fraction).ok_or(ErrorKind::NonCanonicalNumber)
}

impl From<&Value> for serde_json::Value {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(inner) => Self::Bool(*inner),
            Value::Integer(integer) => Self::from(*integer),
            Value::Fraction(fraction) => Self::from(fraction.get()),
            Value::String(text) => Self::String(text.clone()),
            Value::Array(elements) => Self::Array(elements.iter().map(Self::from).collect()),
            Value::Object(object) => Self::Object(
                object.iter().map(|(key, member)| (key.to_owned(), Self::from(member))).collect(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    fn check(json: &str, expected: Result<&str, ErrorKind>) {
        let parsed: serde_json::Value = serde_json::from_str(json).unwrap();
        let got = Value::try_from(&parsed).map(|value| String::from_utf8(value.to_canonical()).unwrap());
        assert_eq!(got, expected.map(str::to_owned), "{json}");
    }

    #[test]
    fn numbers() {
        check("9007199254740991", Ok("9007199254740991"));
        check("-9007199254740991", Ok("-9007199254740991"));
        check("0.5", Ok("0.5"));
        check("9007199254740992", Err(ErrorKind::IntegerOutOfRange));
        check("-9007199254740992", Err(ErrorKind::IntegerOutOfRange));
        check("18446744073709551615", Err(ErrorKind::IntegerOutOfRange));
        for text in
            ["18446744073709551616", "-9223372036854775809", "1.0", "1e3", "-0", "-0.0", "0.0", "1e300"]
        {
            check(text, Err(ErrorKind::NonCanonicalNumber));
        }
    }

    /// Fails if somebody turns on a feature of serde_json that keeps numbers as text or keys in the order of the
    /// input: both would let two readers of one call see different arguments.
    #[test]
    fn serde_json_has_no_dangerous_features() {
        let parsed: serde_json::Value = serde_json::from_str(r#"{"b":1e2,"a":2}"#).unwrap();
        assert_eq!(parsed.to_string(), r#"{"a":2,"b":100.0}"#);
    }

    #[test]
    fn structure() {
        check(r#"{"b":[null,true,"x"],"a":{}}"#, Ok(r#"{"a":{},"b":[null,true,"x"]}"#));
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        check(&nested(32), Ok(&nested(32)));
        check(&nested(33), Err(ErrorKind::TooDeep));
    }

    #[test]
    fn and_back() {
        let json =
            serde_json::json!({"a": [1, -2, 0.5, null, true, "\u{0}x"], "\u{fb33}": {}, "\u{1f600}": []});
        assert_eq!(serde_json::Value::from(&Value::try_from(&json).unwrap()), json);
    }
}
