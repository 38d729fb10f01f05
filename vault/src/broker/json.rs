//! Reading JSON of an upstream's: an answer of bearable length must not become a tree of unbearable size.

use serde_json::Value;

/// How many objects and lists an answer may hold. A list of 500 mails with 20 headers each has some 12 000.
const MOST: usize = 50_000;

/// The value of that text, if it is JSON of bearable size. Brackets within texts are counted too.
pub(super) fn parse(body: &[u8]) -> Option<Value> {
    let brackets = body.iter().filter(|byte| matches!(byte, b'{' | b'[')).count();
    if brackets > MOST { None } else { serde_json::from_slice(body).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_tiny_objects_are_refused() {
        let list = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
        assert!(parse(list(MOST - 1).as_bytes()).is_some());
        assert_eq!(parse(list(MOST).as_bytes()), None);
        assert_eq!(parse(b"{"), None);
    }
}
