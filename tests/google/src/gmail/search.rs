//! Gmail's search language, as far as its help page promises it.

use std::iter::Peekable;
use std::str::Chars;

use super::mailbox::{Mail, Mailbox};
use crate::clock::parse_rfc3339;
use crate::query::has_phrase;

const MAX_DEPTH: usize = 16;

/// A parsed search; an empty one fits every mail.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Search(Term);

#[derive(Debug, PartialEq, Eq)]
enum Term {
    All(Vec<Term>),
    Any(Vec<Term>),
    Not(Box<Term>),
    /// Words one after the other, anywhere in the mail.
    Text(String),
    /// The same in one header.
    Header(&'static str, String),
    Label(String),
    Attachment,
    Filename(String),
    /// Not older than this (milliseconds since 1970).
    After(i64),
    /// Older than this (milliseconds since 1970).
    Before(i64),
    Never,
}

impl Search {
    /// Parses; Gmail has no malformed searches, so this cannot fail.
    pub(super) fn parse(text: &str) -> Self {
        Self(Term::All(group(&mut text.chars().peekable(), None, 0)))
    }

    /// Whether a mail is found.
    pub(super) fn fits(&self, mail: &Mail, mailbox: &Mailbox) -> bool {
        fits(&self.0, mail, mailbox)
    }

    /// Whether the search itself asks for spam or trash, which are else left out.
    pub(super) fn names_hidden(&self) -> bool {
        fn names(term: &Term) -> bool {
            match term {
                Term::All(terms) | Term::Any(terms) => terms.iter().any(names),
                Term::Label(name) => ["trash", "spam", "anywhere"].contains(&name.as_str()),
                _ => false,
            }
        }
        names(&self.0)
    }
}

fn fits(term: &Term, mail: &Mail, mailbox: &Mailbox) -> bool {
    match term {
        Term::All(terms) => terms.iter().all(|term| fits(term, mail, mailbox)),
        Term::Any(terms) => terms.iter().any(|term| fits(term, mail, mailbox)),
        Term::Not(term) => !fits(term, mail, mailbox),
        Term::Text(text) => {
            let headers = ["subject", "from", "to", "cc"];
            headers.iter().any(|name| has_phrase(mail.parsed.header(name), text))
                || has_phrase(&mail.parsed.text(), text)
        }
        Term::Header(name, text) => has_phrase(mail.parsed.header(name), text),
        Term::Label(name) if name == "anywhere" => true,
        Term::Label(name) => has_label(mail, mailbox, name),
        Term::Attachment => mail.parsed.walk().iter().any(|part| part.is_attachment()),
        Term::Filename(text) => mail.parsed.walk().iter().any(|part| has_phrase(&part.filename, text)),
        Term::After(ms) => mail.at_ms >= *ms,
        Term::Before(ms) => mail.at_ms < *ms,
        Term::Never => false,
    }
}

/// Labels are named by id or by name; Gmail writes spaces and slashes in a name as `-`.
fn has_label(mail: &Mail, mailbox: &Mailbox, wanted: &str) -> bool {
    let plain = |name: &str| name.to_lowercase().replace([' ', '/'], "-");
    let own =
        mailbox.user_labels().find(|(_, name)| plain(name) == plain(wanted)).map(|(id, _)| id.to_owned());
    own.or_else(|| mailbox.label_id(wanted)).is_some_and(|id| mail.labels.contains(&id))
}

/// Terms up to a closing bracket or the end.
fn group(input: &mut Peekable<Chars<'_>>, close: Option<char>, depth: usize) -> Vec<Term> {
    let mut terms: Vec<Term> = Vec::new();
    let mut or_next = false;
    while let Some(&c) = input.peek() {
        if c.is_whitespace() || (c == ')' || c == '}') && close != Some(c) {
            input.next();
            continue;
        }
        if close == Some(c) {
            input.next();
            break;
        }
        let Some(term) = term(input, depth) else {
            or_next = !terms.is_empty();
            continue;
        };
        match terms.pop() {
            Some(Term::Any(mut any)) if or_next => {
                any.push(term);
                terms.push(Term::Any(any));
            }
            Some(before) if or_next => terms.push(Term::Any(vec![before, term])),
            Some(before) => terms.extend([before, term]),
            None => terms.push(term),
        }
        or_next = false;
    }
    terms
}

/// One term; `None` for the word `OR`.
fn term(input: &mut Peekable<Chars<'_>>, depth: usize) -> Option<Term> {
    if depth > MAX_DEPTH {
        input.by_ref().for_each(drop);
        return Some(Term::Never);
    }
    match input.peek()? {
        '-' => {
            input.next();
            Some(term(input, depth + 1).map_or(Term::Never, |inner| Term::Not(Box::new(inner))))
        }
        '{' => {
            input.next();
            Some(Term::Any(group(input, Some('}'), depth + 1)))
        }
        '(' => {
            input.next();
            Some(Term::All(group(input, Some(')'), depth + 1)))
        }
        '"' => Some(Term::Text(phrase(input))),
        _ => {
            let word = word(input);
            if word == "OR" {
                return None;
            }
            let Some((key, value)) = word.split_once(':') else { return Some(Term::Text(word)) };
            let value = if value.is_empty() { operand(input) } else { value.to_owned() };
            Some(
                operator(&key.to_lowercase(), &value).unwrap_or_else(|| Term::Text(format!("{key} {value}"))),
            )
        }
    }
}

fn operator(key: &str, value: &str) -> Option<Term> {
    let text = value.to_owned();
    let lower = value.to_lowercase();
    let day = |text: &str| epoch_or_day(text).unwrap_or(i64::MAX);
    Some(match key {
        "from" => Term::Header("from", text),
        "to" => Term::Any(vec![
            Term::Header("to", text.clone()),
            Term::Header("cc", text.clone()),
            Term::Header("bcc", text),
        ]),
        "cc" => Term::Header("cc", text),
        "bcc" => Term::Header("bcc", text),
        "subject" => Term::Header("subject", text),
        "filename" => Term::Filename(text),
        "label" | "in" => Term::Label(lower),
        "is" => match lower.as_str() {
            "unread" | "starred" | "important" => Term::Label(lower),
            "read" => Term::Not(Box::new(Term::Label("unread".to_owned()))),
            _ => Term::Never,
        },
        "has" if lower == "attachment" => Term::Attachment,
        "has" => Term::Never,
        "after" | "newer" => Term::After(day(value)),
        "before" | "older" => epoch_or_day(value).map_or(Term::Never, Term::Before),
        _ => return None,
    })
}

/// `2026/11/05`, `2026-11-05` (both UTC midnight here) or seconds since 1970; in milliseconds.
fn epoch_or_day(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1000);
    }
    let mut parts = text.split(['/', '-']).map(str::parse::<i32>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    if parts.next().is_some() {
        return None;
    }
    parse_rfc3339(&format!("{year:04}-{month:02}-{day:02}T00:00:00Z"))
}

fn word(input: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::new();
    while let Some(c) = input.next_if(|c| !c.is_whitespace() && !"(){}\"".contains(*c)) {
        word.push(c);
    }
    word
}

/// A quoted phrase; the closing quote may be missing.
fn phrase(input: &mut Peekable<Chars<'_>>) -> String {
    input.next();
    input.by_ref().take_while(|c| *c != '"').collect()
}

/// What stands behind `key:` when it is quoted or in brackets.
fn operand(input: &mut Peekable<Chars<'_>>) -> String {
    match input.peek() {
        Some('"') => phrase(input),
        Some('(') => {
            input.next();
            input.by_ref().take_while(|c| *c != ')').filter(|c| *c != '"').collect()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use crate::compose::Letter;
    use crate::seed::SeedMail;

    fn mailbox() -> Mailbox {
        let mut mailbox = Mailbox::default();
        let at = parse_rfc3339("2026-11-05T10:00:00Z").unwrap();
        let bill = Letter::new("Ann Bill <ann@shop.example>", "owner@example.com", "Invoice 42")
            .text("please pay soon");
        mailbox.add(&SeedMail::new(&["INBOX", "AI", "To do"], at, bill.clone())).unwrap();
        let doc = Letter::new("bob@x.example", "owner@example.com", "Report").attach(
            "r.pdf",
            "application/pdf",
            b"1",
        );
        mailbox.add(&SeedMail::new(&["INBOX"], at + 86_400_000, doc)).unwrap();
        mailbox
    }

    fn check(query: &str, expected: &[&str]) {
        let mailbox = mailbox();
        let search = Search::parse(query);
        let found: Vec<_> = mailbox
            .newest_first()
            .into_iter()
            .filter(|mail| search.fits(mail, &mailbox))
            .map(|mail| mail.parsed.header("subject"))
            .collect();
        assert_eq!(found, expected, "{query}");
    }

    #[test]
    fn every_operator_finds_what_it_should() {
        check("", &["Report", "Invoice 42"]);
        check("from:ann", &["Invoice 42"]);
        check("from:ann@shop.example", &["Invoice 42"]);
        check("from:an", &[]);
        check("to:owner@example.com subject:report", &["Report"]);
        check("subject:\"invoice 42\"", &["Invoice 42"]);
        check("\"pay please\"", &[]);
        check("pay please", &["Invoice 42"]);
        check("has:attachment", &["Report"]);
        check("-has:attachment", &["Invoice 42"]);
        check("filename:pdf", &["Report"]);
        check("{from:ann from:bob}", &["Report", "Invoice 42"]);
        check("from:ann OR from:bob", &["Report", "Invoice 42"]);
        check("from:ann OR from:bob -subject:report", &["Invoice 42"]);
        check("(from:ann subject:report)", &[]);
        check("label:AI", &["Invoice 42"]);
        check("label:to-do", &["Invoice 42"]);
        check("label:Label_1", &["Invoice 42"]);
        check("label:none", &[]);
        check("after:2026/11/06", &["Report"]);
        check("before:2026/11/06", &["Invoice 42"]);
        check("after:2026/11/05 before:2026-11-06", &["Invoice 42"]);
        check("after:nonsense", &[]);
        check("before:nonsense", &[]);
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "(".repeat(100_000);
        assert_eq!(Search::parse(&"-".repeat(100_000)), Search::parse(&"-".repeat(100_000)));
        check(&deep, &[]);
    }
}
