//! The headers of a mail, readable and harmless.

use serde_json::Value;

use crate::text::{clean, words};

/// How many characters of a header are told. A list of recipients can be long.
const LONGEST: usize = 4000;

/// The header of that name (case does not matter): encoded words decoded, folds joined, deceiving characters visible.
/// The first one counts, as mail programs show it. Empty if there is none.
pub(super) fn get(part: &Value, name: &str) -> String {
    let Some(value) = raw(part, name) else { return String::new() };
    clean::line(words::decode(value).trim(), LONGEST)
}

/// The header as it came.
pub(super) fn raw<'a>(part: &'a Value, name: &str) -> Option<&'a str> {
    let headers = part.get("headers").and_then(Value::as_array)?;
    let header = headers.iter().find(|header| {
        header.get("name").and_then(Value::as_str).is_some_and(|found| found.eq_ignore_ascii_case(name))
    })?;
    header.get("value").and_then(Value::as_str)
}

/// A parameter of a structured header (RFC 2045), such as `charset` of `text/plain; charset="utf-8"`. Empty if there is
/// none.
pub(super) fn parameter(value: &str, name: &str) -> String {
    value
        .split(';')
        .skip(1)
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(found, _)| found.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().trim_matches('"').to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn headers() {
        let part = json!({"headers": [
            {"name": "FROM", "value": "=?utf-8?Q?J=C3=BCrgen?= <j@example.com>"},
            {"name": "Subject", "value": "invoice\u{202e}fdp.exe\r\n Bcc: x"},
            {"name": "subject", "value": "second"},
            {"nome": "Broken"}, 7,
        ]});
        assert_eq!(get(&part, "from"), "Jürgen <j@example.com>");
        assert_eq!(get(&part, "Subject"), "invoice<U+202E>fdp.exe   Bcc: x");
        assert_eq!(get(&part, "Date"), "");
        assert_eq!(get(&json!(null), "Date"), "");
        assert_eq!(parameter("text/plain; x=y; Charset=\"iso-8859-1\"", "charset"), "iso-8859-1");
        assert_eq!(parameter("text/plain", "charset"), "");
    }

    #[test]
    fn an_encoded_line_break_is_no_line_break() {
        let part = json!({"headers": [{"name": "From", "value": "=?utf-8?Q?a=0D=0Ab=1B?="}]});
        assert_eq!(get(&part, "from"), "a  b<U+001B>");
    }
}
