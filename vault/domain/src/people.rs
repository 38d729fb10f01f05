//! People, as objects name them: addresses, and headers of addresses (RFC 5322 section 3.4).
//!
//! Two readers that find different people in one header are a way around a bound on people. So this reader takes the
//! forms that all readers read alike, and says of everything else that it cannot be read. Names are never looked at:
//! what stands in quotes, in comments and in encoded words (RFC 2047) is whatever its author wanted it to be.

use serde_json::Value;

use crate::address::{Address, Pattern};
use crate::pointer::Pointer;
use crate::seen::Party;

/// The longest header that is read, in bytes. 2000 addresses are shorter.
const LONGEST: usize = 64 * 1024;

/// How deep comments may lie in comments.
const NESTED: usize = 8;

/// What names people names them in a way that readers could take differently, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the people cannot be read")]
pub struct Unreadable;

/// The addresses of a header, or of a text that is one address; empty for a group of nobody.
///
/// # Errors
/// [`Unreadable`], as a whole: one address that cannot be read could be anybody's.
pub fn addresses(text: &str) -> Result<Vec<Address>, Unreadable> {
    if text.len() > LONGEST || text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(Unreadable);
    }
    Reader { tokens: tokens(text)?, at: 0 }.list(false)
}

/// The people at that place of an object: texts, or lists of texts. `None` where any of it is missing, of another type
/// or cannot be read; empty where a list is empty.
#[must_use]
pub fn people(object: &Value, at: &Pointer) -> Option<Vec<Address>> {
    read(at.every(object)?)
}

/// As [`people`], but a list that the object has left out altogether is an empty one: an event without guests has no
/// list of them.
#[must_use]
pub fn people_if_any(object: &Value, at: &Pointer) -> Option<Vec<Address>> {
    read(at.every_given(object)?)
}

fn read(values: Vec<&Value>) -> Option<Vec<Address>> {
    let mut found = Vec::new();
    for value in values {
        match value {
            Value::String(text) => found.extend(addresses(text).ok()?),
            Value::Array(items) => {
                for item in items {
                    found.extend(addresses(item.as_str()?).ok()?);
                }
            }
            _ => return None,
        }
    }
    Some(found)
}

/// The first of these people whom no pattern allows; [`Party::Unknown`] is allowed by none.
#[must_use]
pub fn stranger<'a>(patterns: &[Pattern], people: impl IntoIterator<Item = &'a Party>) -> Option<&'a Party> {
    people.into_iter().find(|party| match party {
        Party::Address(address) => !patterns.iter().any(|pattern| pattern.matches(address)),
        Party::Unknown => true,
    })
}

/// What a header is made of. Comments and blanks are nothing.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// Neither blank nor special; an address has its `@` within.
    Word(String),
    /// In quotes: a name.
    Quoted,
    /// Between `<` and `>`.
    Angle(String),
    Comma,
    Colon,
    Semicolon,
}

fn tokens(text: &str) -> Result<Vec<Token>, Unreadable> {
    let mut found = Vec::new();
    let mut chars = text.chars().peekable();
    // `a(x)@b` and `"a"@b` are addresses to some: what touches a word without a blank between is not read.
    let mut touches = false;
    while let Some(c) = chars.next() {
        let joined = std::mem::replace(&mut touches, true);
        match c {
            ' ' | '\t' => touches = false,
            '(' => {
                comment(&mut chars)?;
                // A comment separates as a blank does, so what follows must not make one address of two words.
                if matches!(found.last(), Some(Token::Word(_)))
                    && chars.peek().is_some_and(|next| !matches!(next, ' ' | '\t' | ',' | ';'))
                {
                    return Err(Unreadable);
                }
                touches = false;
            }
            '"' => {
                if joined && matches!(found.last(), Some(Token::Word(_) | Token::Quoted)) {
                    return Err(Unreadable);
                }
                quoted(&mut chars)?;
                found.push(Token::Quoted);
            }
            '<' => found.push(Token::Angle(angle(&mut chars)?)),
            ',' => found.push(Token::Comma),
            ':' => found.push(Token::Colon),
            ';' => found.push(Token::Semicolon),
            '>' | ')' | '[' | ']' | '\\' => return Err(Unreadable),
            first => {
                if joined && matches!(found.last(), Some(Token::Quoted | Token::Angle(_))) {
                    return Err(Unreadable);
                }
                let mut word = String::from(first);
                while let Some(next) = chars.next_if(|c| !" \t()<>[]:;,\\\"".contains(*c)) {
                    word.push(next);
                }
                found.push(Token::Word(word));
            }
        }
    }
    Ok(found)
}

fn comment(chars: &mut impl Iterator<Item = char>) -> Result<(), Unreadable> {
    let mut depth = 1;
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next().ok_or(Unreadable)?),
            '(' if depth == NESTED => return Err(Unreadable),
            '(' => depth += 1,
            ')' if depth == 1 => return Ok(()),
            ')' => depth -= 1,
            _ => {}
        }
    }
    Err(Unreadable)
}

fn quoted(chars: &mut impl Iterator<Item = char>) -> Result<(), Unreadable> {
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next().ok_or(Unreadable)?),
            '"' => return Ok(()),
            _ => {}
        }
    }
    Err(Unreadable)
}

fn angle(chars: &mut impl Iterator<Item = char>) -> Result<String, Unreadable> {
    let mut text = String::new();
    for c in chars {
        match c {
            '>' => return Ok(text.trim_matches([' ', '\t']).to_owned()),
            // A quote or a comment could hide a bracket from some readers, and not from others.
            '<' | '"' | '(' | ')' | '\\' | ',' | ';' | ':' => return Err(Unreadable),
            c => text.push(c),
        }
    }
    Err(Unreadable)
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
}

impl Reader {
    /// A list of mailboxes and, at the top, of groups.
    fn list(&mut self, in_group: bool) -> Result<Vec<Address>, Unreadable> {
        let mut found = Vec::new();
        if in_group && self.tokens.get(self.at) == Some(&Token::Semicolon) {
            return Ok(found);
        }
        loop {
            let start = self.at;
            while matches!(self.tokens.get(self.at), Some(Token::Word(_) | Token::Quoted)) {
                self.at += 1;
            }
            let words = &self.tokens[start..self.at];
            let names = |words: &[Token]| {
                words.iter().all(|token| !matches!(token, Token::Word(word) if word.contains('@')))
            };
            match self.tokens.get(self.at) {
                Some(Token::Angle(text)) if names(words) => {
                    found.push(address(text)?);
                    self.at += 1;
                }
                Some(Token::Colon) if !in_group && !words.is_empty() && names(words) => {
                    self.at += 1;
                    found.extend(self.list(true)?);
                    if self.tokens.get(self.at) != Some(&Token::Semicolon) {
                        return Err(Unreadable);
                    }
                    self.at += 1;
                }
                _ => match words {
                    [Token::Word(word)] => found.push(address(word)?),
                    _ => return Err(Unreadable),
                },
            }
            match self.tokens.get(self.at) {
                Some(Token::Comma) => self.at += 1,
                Some(Token::Semicolon) if in_group => return Ok(found),
                None if !in_group => return Ok(found),
                _ => return Err(Unreadable),
            }
        }
    }
}

fn address(text: &str) -> Result<Address, Unreadable> {
    // An encoded word has no place in an address, yet some readers decode it there.
    if text.contains("=?") { Err(Unreadable) } else { text.parse().map_err(|_| Unreadable) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<String> = addresses(text).expect(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn what_all_readers_read_alike() {
        check("a@x.org", &["a@x.org"]);
        check(" <a@x.org> ", &["a@x.org"]);
        check("Ann <a@X.org>, b@y.org", &["a@x.org", "b@y.org"]);
        check("\"Ann, of X\" <a@x.org>", &["a@x.org"]);
        check("\"Ann \\\" <b@y.org>\" <a@x.org>", &["a@x.org"]);
        check("Ann B. C <a@x.org> (at work, <b@y.org>)", &["a@x.org"]);
        check("a@x.org (Ann (of \\) X))", &["a@x.org"]);
        check("=?utf-8?Q?=C3=84nn?= <a@x.org>", &["a@x.org"]);
        check("\u{c4}nn <a@x.org>", &["a@x.org"]);
        check("Team: Ann <a@x.org>, b@y.org;, c@z.org", &["a@x.org", "b@y.org", "c@z.org"]);
        check("undisclosed-recipients:;", &[]);
    }

    #[test]
    fn a_name_is_nobody() {
        check("\"good@x.org\" <evil@y.org>", &["evil@y.org"]);
        check("\"<good@x.org>\" <evil@y.org>", &["evil@y.org"]);
        check("=?utf-8?Q?good=40x.org?= <evil@y.org>", &["evil@y.org"]);
        check("(good@x.org) evil@y.org", &["evil@y.org"]);
        check("evil@y.org (good@x.org)", &["evil@y.org"]);
        check("good: evil@y.org;", &["evil@y.org"]);
        check("\"good@x.org\": evil@y.org;", &["evil@y.org"]);
    }

    #[test]
    fn what_readers_read_differently_is_not_read() {
        for text in [
            "",
            " ",
            "good@x.org <evil@y.org>",
            "<good@x.org> <evil@y.org>",
            "<good@x.org>evil@y.org",
            "<good@x.org> evil@y.org",
            "evil@y.org <good@x.org",
            "good@x.org evil@y.org",
            "good@x.org\0 <evil@y.org>",
            "good@x.org\0",
            "good@x.org\r\n\tevil@y.org",
            "good@x.org\n",
            "good@x.org,",
            ",good@x.org",
            "good@x.org,,evil@y.org",
            "good@x.org;evil@y.org",
            "good@x.org;",
            "<@y.org:good@x.org>",
            "<@y.org,@z.org:good@x.org>",
            "\"evil@y.org\"@x.org",
            "\"good\"@x.org",
            "good\"x\"@x.org",
            "good(c)@x.org",
            "good@(c)x.org",
            "good@x.org(c).evil.org",
            "good @x.org",
            "good@ x.org",
            "good@x.org@y.org",
            "good@[127.0.0.1]",
            "good\\@y.org@x.org",
            "<good@x.org(>evil@y.org)>",
            "<\"good@x.org>\"evil@y.org>",
            "=?utf-8?q?evil=40y.org=2C?=@x.org",
            "<=?utf-8?q?evil?=@x.org>",
            "\u{ff07}good@x.org",
            "good\u{ff20}x.org",
            "good@x\u{3002}org",
            "g\u{43e}od@x.org",
            "good@x.org\u{200b}",
            "\"unfinished <good@x.org>",
            "(unfinished <good@x.org>",
            "team: good@x.org",
            "team: inner: good@x.org;;",
            ": good@x.org;",
            "good@x.org: evil@y.org;",
            "nobody",
            "Ann",
            "<>",
            "> <good@x.org>",
        ] {
            assert_eq!(addresses(text), Err(Unreadable), "{text:?}");
        }
        assert!(addresses(&format!("{}good@x.org", " ".repeat(LONGEST))).is_err());
        assert!(addresses(&format!("{}{} a@x.org", "(".repeat(9), ")".repeat(9))).is_err());
    }

    #[test]
    fn nobody_is_passed_over() {
        let at = |object: Value, at: &str| {
            people(&object, &at.parse().unwrap())
                .map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let from = "/h/*[name=From]/value";
        let two =
            json!({ "h": [{ "name": "From", "value": "a@x.org" }, { "name": "from", "value": "b@y.org" }] });
        assert_eq!(at(two, from).unwrap(), ["a@x.org", "b@y.org"]);
        let odd = json!({ "h": [{ "name": "From", "value": "a@x.org" }, { "name": "FROM", "value": "?" }] });
        assert_eq!(at(odd, from), None);
        assert_eq!(at(json!({ "g": [{ "m": "a@x.org" }, {}] }), "/g/*/m"), None);
        assert_eq!(at(json!({ "g": [{ "m": "a@x.org" }, { "m": 1 }] }), "/g/*/m"), None);
        assert_eq!(at(json!({ "g": ["a@x.org", "b@y.org"] }), "/g").unwrap(), ["a@x.org", "b@y.org"]);
        assert_eq!(at(json!({ "g": ["a@x.org", null] }), "/g"), None);
        assert_eq!(at(json!({ "g": [] }), "/g/*/m").unwrap(), Vec::<String>::new());
        assert_eq!(at(json!({}), "/g"), None);
    }

    #[test]
    fn the_unknown_is_always_a_stranger() {
        let any: Vec<Pattern> = vec!["*".parse().unwrap()];
        let good = Party::Address("a@x.org".parse().unwrap());
        assert_eq!(stranger(&any, [&good]), None);
        assert_eq!(stranger(&any, [&good, &Party::Unknown]), Some(&Party::Unknown));
        assert_eq!(stranger(&[], [&good]), Some(&good));
        assert_eq!(stranger(&[], []), None);
    }

    proptest! {
        /// Whatever is written around it, an address that a bound forbids is found or the whole is refused.
        #[test]
        fn nobody_hides(before in "[ -~\t]{0,12}", after in "[ -~\t]{0,12}") {
            let text = format!("{before}<evil@y.org>{after}");
            if let Ok(found) = addresses(&text) {
                let hidden = before.contains(['"', '(']) ;
                prop_assert!(hidden || found.iter().any(|a| a.as_str() == "evil@y.org"), "{text:?}: {found:?}");
            }
        }

        #[test]
        fn no_text_panics(text in "[\"<>(),:;@.\\\\a-c =?]{0,24}|.{0,24}") {
            let _ = addresses(&text);
        }
    }
}
