//! One request as the handlers see it, and one answer as they make it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

use crate::google_error;

/// A handler's result; both sides are answers, so that `?` ends a handler with a refusal.
pub(crate) type Answer = Result<Reply, Reply>;

/// A request that was read to its end.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// The path as it came, still percent-encoded.
    pub(crate) path: String,
    /// The decoded path segments; `None` if one holds a slash, a dot segment or a control character.
    pub(crate) segments: Option<Vec<String>>,
    pub(crate) query: Params,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) now_ms: i64,
    /// `https://host:port` of this server.
    pub(crate) origin: String,
}

impl Call {
    /// The body as a JSON object; 400 for anything else.
    pub(crate) fn json_object(&self) -> Result<serde_json::Map<String, Value>, Reply> {
        let kind = self.header("content-type").unwrap_or("");
        if !kind.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/json") {
            return Err(google_error::bad_request(
                "Invalid JSON payload received. Content-Type is not JSON.",
            ));
        }
        parse_object(&self.body)
    }

    /// A header's value if it is there once and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.get_all(name).iter();
        match (all.next(), all.next()) {
            (Some(only), None) => only.to_str().ok(),
            _ => None,
        }
    }
}

/// Bytes as a JSON object; 400 for anything else.
pub(crate) fn parse_object(bytes: &[u8]) -> Result<serde_json::Map<String, Value>, Reply> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        _ => Err(google_error::bad_request("Invalid JSON payload received. Unable to parse JSON.")),
    }
}

/// Decoded `name=value` pairs of a query or a form, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads `application/x-www-form-urlencoded`.
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A name that comes more than once, if there is one.
    pub(crate) fn repeated(&self) -> Option<&str> {
        self.0
            .iter()
            .enumerate()
            .find(|(at, (key, _))| self.0.iter().skip(at + 1).any(|(other, _)| other == key))
            .map(|(_, (key, _))| key.as_str())
    }

    /// Refuses, as Google does, a parameter the method does not have, and a second value of a single one.
    pub(crate) fn check(&self, single: &[&str], multiple: &[&str]) -> Result<(), Reply> {
        const EVERYWHERE: [&str; 4] = ["alt", "fields", "prettyPrint", "quotaUser"];
        for (key, _) in &self.0 {
            let key = key.as_str();
            if multiple.contains(&key) {
                continue;
            }
            if !single.contains(&key) && !EVERYWHERE.contains(&key) {
                return Err(google_error::bad_request(&format!(
                    "Invalid JSON payload received. Unknown name \"{key}\": Cannot bind query parameter."
                )));
            }
            if self.all(key).count() > 1 {
                return Err(google_error::bad_request(&format!(
                    "Invalid JSON payload received. Proto field is not repeating, cannot start list: {key}"
                )));
            }
        }
        Ok(())
    }

    /// A boolean parameter, `false` when absent; 400 for another word.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Reply> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(google_error::bad_request(&format!("Invalid value at '{name}' (TYPE_BOOL)"))),
        }
    }

    /// A number parameter between bounds; 400 for anything else.
    pub(crate) fn number(&self, name: &str, default: usize, min: usize, max: usize) -> Result<usize, Reply> {
        let Some(text) = self.get(name) else { return Ok(default) };
        match text.parse::<usize>() {
            Ok(number) if (min..=max).contains(&number) => Ok(number),
            _ => Err(google_error::bad_request(&format!(
                "Invalid value at '{name}'. Values must be within the range: [{min}, {max}]"
            ))),
        }
    }
}

/// Splits a raw path into decoded segments; `None` for what no Google path has.
pub(crate) fn segments(path: &str) -> Option<Vec<String>> {
    let rest = path.strip_prefix('/')?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    rest.split('/').map(decode_segment).collect()
}

fn decode_segment(raw: &str) -> Option<String> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    let text = String::from_utf8(out).ok()?;
    let plain = !text.is_empty() && text != "." && text != ".." && !text.contains(['/', '\\']);
    (plain && !text.chars().any(char::is_control)).then_some(text)
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

impl Reply {
    /// An answer without headers.
    pub(crate) fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// A JSON answer.
    pub(crate) fn json(status: u16, value: &Value) -> Self {
        Self::new(status, value.to_string()).with("content-type", "application/json; charset=UTF-8")
    }

    /// 204 without a body.
    pub(crate) fn empty() -> Self {
        Self::new(204, Bytes::new())
    }

    /// The same answer with one more header; a value that is no header value is left out.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn odd_paths_have_no_segments() {
        assert_eq!(segments("/a/b%20c"), Some(vec!["a".to_owned(), "b c".to_owned()]));
        for bad in ["/a//b", "/a/../b", "/a/%2e%2e/b", "/a/b%2fc", "/a/%00", "/a/", "/a/%zz", "/a/%5c"] {
            assert_eq!(segments(bad), None, "{bad}");
        }
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused() {
        let params = Params::parse(b"q=a&labelIds=1&labelIds=2");
        assert!(params.check(&["q"], &["labelIds"]).is_ok());
        assert_eq!(params.check(&[], &["labelIds"]).unwrap_err().status, 400);
        assert_eq!(params.check(&["q", "labelIds"], &[]).unwrap_err().status, 400);
        assert_eq!(params.repeated(), Some("labelIds"));
    }
}
