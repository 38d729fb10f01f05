//! Drive's query language. What it does not know is a 400, as at Google.

use super::store::{Drive, File};
use crate::clock::parse_rfc3339;
use crate::google_error as refuse;
use crate::query::{has_phrase, has_prefix};
use crate::seed::SeedFile;
use crate::wire::Reply;

const MAX_DEPTH: usize = 16;

/// A parsed query; an empty one fits every file.
#[derive(Debug)]
pub(super) struct Search(Option<Term>);

#[derive(Debug)]
enum Term {
    And(Box<Term>, Box<Term>),
    Or(Box<Term>, Box<Term>),
    Not(Box<Term>),
    Name(Match, String),
    FullText(String),
    MimeType(Match, String),
    Trashed(bool),
    SharedWithMe(bool),
    Starred(bool),
    Modified(Order, i64),
    Created(Order, i64),
    Parent(String),
    Owner(String),
}

#[derive(Debug, Clone, Copy)]
enum Match {
    Equal,
    Unequal,
    Contains,
}

#[derive(Debug, Clone, Copy)]
enum Order {
    Less,
    LessOrEqual,
    Equal,
    Unequal,
    GreaterOrEqual,
    Greater,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Operator(&'static str),
    Open,
    Close,
}

impl Search {
    /// Parses; 400 for what is no query. `me` and `root` are aliases in it.
    pub(super) fn parse(text: &str, me: &str, root: &str) -> Result<Self, Reply> {
        if text.trim().is_empty() {
            return Ok(Self(None));
        }
        let wrong = || refuse::error(400, "INVALID_ARGUMENT", "invalid", "Invalid Value: q");
        let tokens = tokens(text).ok_or_else(wrong)?;
        let mut parser = Parser { tokens: &tokens, me, root };
        let term = parser.or(0).filter(|_| parser.tokens.is_empty()).ok_or_else(wrong)?;
        Ok(Self(Some(term)))
    }

    /// Whether a file is found.
    pub(super) fn fits(&self, file: &File, drive: &Drive) -> bool {
        self.0.as_ref().is_none_or(|term| fits(term, file, drive))
    }

    /// Whether the query looks into files, which the metadata scopes do not allow.
    pub(super) fn reads_content(&self) -> bool {
        fn reads(term: &Term) -> bool {
            match term {
                Term::And(a, b) | Term::Or(a, b) => reads(a) || reads(b),
                Term::Not(term) => reads(term),
                Term::FullText(_) => true,
                _ => false,
            }
        }
        self.0.as_ref().is_some_and(reads)
    }
}

fn fits(term: &Term, file: &File, drive: &Drive) -> bool {
    match term {
        Term::And(a, b) => fits(a, file, drive) && fits(b, file, drive),
        Term::Or(a, b) => fits(a, file, drive) || fits(b, file, drive),
        Term::Not(term) => !fits(term, file, drive),
        Term::Name(Match::Equal, text) => file.name.to_lowercase() == text.to_lowercase(),
        Term::Name(Match::Unequal, text) => file.name.to_lowercase() != text.to_lowercase(),
        Term::Name(Match::Contains, text) => has_prefix(&file.name, text),
        Term::FullText(text) => {
            let searchable = file.mime_type.starts_with("text/") || file.mime_type == SeedFile::DOCUMENT;
            has_phrase(&file.name, text)
                || file.description.as_ref().is_some_and(|description| has_phrase(description, text))
                || searchable && has_phrase(&String::from_utf8_lossy(&file.content), text)
        }
        Term::MimeType(Match::Equal, text) => file.mime_type == *text,
        Term::MimeType(Match::Unequal, text) => file.mime_type != *text,
        Term::MimeType(Match::Contains, text) => file.mime_type.starts_with(text),
        Term::Trashed(wanted) => drive.is_trashed(file) == *wanted,
        Term::SharedWithMe(wanted) => drive.json(file)["ownedByMe"].as_bool() != Some(*wanted),
        Term::Starred(wanted) => !wanted,
        Term::Modified(order, ms) => order.holds(file.modified_ms, *ms),
        Term::Created(order, ms) => order.holds(file.created_ms, *ms),
        Term::Parent(id) => file.parents.contains(id),
        Term::Owner(address) => file.owner.eq_ignore_ascii_case(address),
    }
}

impl Order {
    fn from_token(text: &str) -> Option<Self> {
        Some(match text {
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            "=" => Self::Equal,
            "!=" => Self::Unequal,
            ">=" => Self::GreaterOrEqual,
            ">" => Self::Greater,
            _ => return None,
        })
    }

    fn holds(self, a: i64, b: i64) -> bool {
        match self {
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::Equal => a == b,
            Self::Unequal => a != b,
            Self::GreaterOrEqual => a >= b,
            Self::Greater => a > b,
        }
    }
}

/// Words, strings in single quotes (`\'` and `\\` are the only escapes), operators, brackets.
fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut out = Vec::new();
    let mut input = text.chars().peekable();
    while let Some(c) = input.next() {
        let token = match c {
            c if c.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            '\'' => {
                let mut string = String::new();
                loop {
                    match input.next()? {
                        '\'' => break,
                        '\\' => string.push(input.next().filter(|c| *c == '\'' || *c == '\\')?),
                        other => string.push(other),
                    }
                }
                Token::Text(string)
            }
            '=' => Token::Operator("="),
            '!' => {
                input.next_if_eq(&'=')?;
                Token::Operator("!=")
            }
            '<' => Token::Operator(if input.next_if_eq(&'=').is_some() { "<=" } else { "<" }),
            '>' => Token::Operator(if input.next_if_eq(&'=').is_some() { ">=" } else { ">" }),
            c if c.is_ascii_alphabetic() => {
                let mut word = String::from(c);
                while let Some(c) = input.next_if(char::is_ascii_alphabetic) {
                    word.push(c);
                }
                Token::Word(word)
            }
            _ => return None,
        };
        out.push(token);
    }
    Some(out)
}

struct Parser<'a> {
    tokens: &'a [Token],
    me: &'a str,
    root: &'a str,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn takes(&mut self, word: &str) -> bool {
        let there = matches!(self.tokens.first(), Some(Token::Word(next)) if next == word);
        if there {
            self.next();
        }
        there
    }

    fn or(&mut self, depth: usize) -> Option<Term> {
        let mut left = self.and(depth)?;
        while self.takes("or") {
            left = Term::Or(Box::new(left), Box::new(self.and(depth)?));
        }
        Some(left)
    }

    fn and(&mut self, depth: usize) -> Option<Term> {
        let mut left = self.single(depth)?;
        while self.takes("and") {
            left = Term::And(Box::new(left), Box::new(self.single(depth)?));
        }
        Some(left)
    }

    fn single(&mut self, depth: usize) -> Option<Term> {
        if depth > MAX_DEPTH {
            return None;
        }
        if self.takes("not") {
            return Some(Term::Not(Box::new(self.single(depth + 1)?)));
        }
        match self.next()? {
            Token::Open => {
                let inside = self.or(depth + 1)?;
                (self.next()? == &Token::Close).then_some(inside)
            }
            Token::Text(value) => self.membership(value),
            Token::Word(field) => self.comparison(field),
            _ => None,
        }
    }

    fn membership(&mut self, value: &str) -> Option<Term> {
        if !self.takes("in") {
            return None;
        }
        if self.takes("parents") {
            let id = if value == "root" { self.root } else { value };
            return Some(Term::Parent(id.to_owned()));
        }
        let address = if value == "me" { self.me } else { value };
        self.takes("owners").then(|| Term::Owner(address.to_owned()))
    }

    fn comparison(&mut self, field: &str) -> Option<Term> {
        let operator = match self.next()? {
            Token::Operator(operator) => operator,
            Token::Word(word) if word == "contains" => "contains",
            _ => return None,
        };
        match (field, operator, self.next()?) {
            ("name", _, Token::Text(text)) => Some(Term::Name(matching(operator)?, text.clone())),
            ("mimeType", _, Token::Text(text)) => Some(Term::MimeType(matching(operator)?, text.clone())),
            ("fullText", "contains", Token::Text(text)) => Some(Term::FullText(text.clone())),
            ("modifiedTime", _, Token::Text(text)) => {
                Some(Term::Modified(Order::from_token(operator)?, parse_rfc3339(text)?))
            }
            ("createdTime", _, Token::Text(text)) => {
                Some(Term::Created(Order::from_token(operator)?, parse_rfc3339(text)?))
            }
            (_, "=" | "!=", Token::Word(word)) => {
                let value = match word.as_str() {
                    "true" => operator == "=",
                    "false" => operator == "!=",
                    _ => return None,
                };
                match field {
                    "trashed" => Some(Term::Trashed(value)),
                    "sharedWithMe" => Some(Term::SharedWithMe(value)),
                    "starred" => Some(Term::Starred(value)),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

fn matching(operator: &str) -> Option<Match> {
    match operator {
        "=" => Some(Match::Equal),
        "!=" => Some(Match::Unequal),
        "contains" => Some(Match::Contains),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use crate::seed::Seed;

    fn check(query: &str, expected: &[&str]) {
        let mut drive = Drive::new("owner@example.com");
        for file in Seed::demo().files {
            drive.add(&file).unwrap();
        }
        let search = Search::parse(query, "owner@example.com", drive.root()).unwrap();
        let mut found: Vec<_> =
            drive.all().filter(|file| search.fits(file, &drive)).map(|file| file.name.clone()).collect();
        found.sort();
        assert_eq!(found, expected, "{query}");
    }

    #[test]
    fn every_operator_finds_what_it_should() {
        check("name contains 'note'", &["Notes.txt"]);
        check("name = 'notes.txt'", &["Notes.txt"]);
        check("fullText contains 'fence'", &["Notes.txt"]);
        check("fullText contains 'fen'", &[]);
        check("'root' in parents", &["Agent", "Private"]);
        check("'root' in parents and name != 'Agent'", &["Private"]);
        check("mimeType = 'application/vnd.google-apps.document'", &["Plan"]);
        check(
            "mimeType contains 'text/' and not name contains 'P'",
            &["Diary.txt", "Notes.txt", "October.txt", "Shared list.txt"],
        );
        check("trashed = true", &[]);
        check("modifiedTime > '2026-11-04T00:00:00Z'", &["Passwords.txt"]);
        check(
            "modifiedTime >= '2026-11-04T00:00:00' and trashed = false",
            &["Passwords.txt", "Shared list.txt"],
        );
        check("(name = 'Plan' or name = 'Diary.txt') and 'me' in owners", &["Diary.txt", "Plan"]);
        check("name = 'it\\'s \\\\ here'", &[]);
    }

    #[test]
    fn what_is_no_query_is_refused() {
        for bad in [
            "name",
            "name contains",
            "name contains 'x",
            "name ~ 'x'",
            "name = \"x\"",
            "nonsense = 'x'",
            "'x' in readers2",
            "trashed = maybe",
            "name = 'a' name = 'b'",
            "name = 'a' and",
            "(name = 'a'",
            "name = 'a\\n'",
            "modifiedTime > 'yesterday'",
            "fullText = 'x'",
        ] {
            assert_eq!(Search::parse(bad, "me", "root").unwrap_err().status, 400, "{bad}");
        }
        assert!(Search::parse(&"(".repeat(100_000), "me", "root").is_err());
        assert!(Search::parse(&"not ".repeat(100_000), "me", "root").is_err());
    }
}
