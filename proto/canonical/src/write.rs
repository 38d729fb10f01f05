//! The writer of RFC 8785: no whitespace, sorted keys, shortest escapes.

use crate::value::Value;

/// Appends the canonical bytes of `value` to `out`. Recursion goes as deep as the value does, which
/// [`parse`](crate::parse::parse) bounds.
pub fn value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Integer(integer) => out.extend_from_slice(integer.to_string().as_bytes()),
        Value::Fraction(fraction) => out.extend_from_slice(fraction.to_text().as_bytes()),
        Value::String(text) => string(text, out),
        Value::Array(elements) => {
            out.push(b'[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                self::value(element, out);
            }
            out.push(b']');
        }
        Value::Object(object) => {
            out.push(b'{');
            for (index, (key, member)) in object.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                string(key, out);
                out.push(b':');
                self::value(member, out);
            }
            out.push(b'}');
        }
    }
}

/// Appends a string with the escapes of RFC 8785 section 3.2.2.2: two-character forms where JSON has them,
/// lower-case `\u00xx` for the other control characters, everything else as it is.
fn string(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x00..=0x1f => {
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 0x0f));
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[high], HEX[low]]);
            }
            // Bytes of multi-byte characters are all above 0x7f and pass unchanged.
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(String::from_utf8(Value::String(text.to_owned()).to_canonical()).as_deref(), Ok(expected));
    }

    #[test]
    fn the_two_character_escapes() {
        check("\u{8}\t\n\u{c}\r\"\\", r#""\b\t\n\f\r\"\\""#);
    }

    #[test]
    fn every_other_control_character_is_lower_case_hex() {
        for code in (0..0x20u8).filter(|code| !matches!(code, 8 | 9 | 10 | 12 | 13)) {
            check(&char::from(code).to_string(), &format!("\"\\u{code:04x}\""));
        }
    }

    #[test]
    fn nothing_else_is_escaped() {
        check(
            "/<>&'\u{7f}\u{80}\u{2028}\u{2029}\u{feff}\u{ffff}😀",
            "\"/<>&'\u{7f}\u{80}\u{2028}\u{2029}\u{feff}\u{ffff}😀\"",
        );
    }
}
