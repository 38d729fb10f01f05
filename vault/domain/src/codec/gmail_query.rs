//! Gmail's search language, from typed terms only.
//!
//! Each word of a term is put in double quotes of its own, with its operator before it: `subject:"Q3" subject:"plan"`.
//! Quoted text is searched for as it stands, so `OR`, `-`, `{}`, `()`, `label:` or `in:anywhere` in a term mean nothing.
//! Words are quoted singly because one operator does work inside quotes: `"secret AROUND 25 birthday"`. All words
//! must match.

use super::term::{QueryError, unquoted, visible};
use crate::date::Date;

/// What to search for; what is `None` does not bound.
#[derive(Debug, Clone, Copy, Default)]
pub struct GmailTerms<'a> {
    /// Words of the sender's name or address.
    pub from: Option<&'a str>,
    /// Words of a recipient's name or address.
    pub to: Option<&'a str>,
    /// Words of the name or address of one who got a copy.
    pub cc: Option<&'a str>,
    /// Words of the subject.
    pub subject: Option<&'a str>,
    /// Words anywhere in the mail.
    pub words: Option<&'a str>,
    /// Words of an attachment's name.
    pub filename: Option<&'a str>,
    /// Mails of this day or later. Gmail begins the day at midnight in Pacific time.
    pub after: Option<Date>,
    /// Mails before this day.
    pub before: Option<Date>,
    /// With an attachment, or without one.
    pub has_attachment: Option<bool>,
    /// Unread, or read.
    pub unread: Option<bool>,
}

/// The query for the parameter `q`, in a fixed order, or `None` when nothing bounds.
///
/// # Errors
/// [`QueryError`] for a term that is blank, or holds a quotation mark, a backslash, or a control or invisible
/// character.
pub fn render(terms: &GmailTerms<'_>) -> Result<Option<String>, QueryError> {
    let GmailTerms { from, to, cc, subject, words, filename, after, before, has_attachment, unread } = *terms;
    let mut query = Vec::new();
    for (field, operator, text) in [
        ("from", "from:", from),
        ("to", "to:", to),
        ("cc", "cc:", cc),
        ("subject", "subject:", subject),
        ("words", "", words),
        ("filename", "filename:", filename),
    ] {
        let Some(text) = text else { continue };
        visible(field, text)?;
        unquoted(field, text)?;
        query.extend(text.split_whitespace().map(|word| format!("{operator}\"{word}\"")));
    }
    query.extend(after.map(|date| format!("after:{}", date.with('/'))));
    query.extend(before.map(|date| format!("before:{}", date.with('/'))));
    query.extend(has_attachment.map(|yes| if yes { "has:attachment" } else { "-has:attachment" }.to_owned()));
    query.extend(unread.map(|yes| if yes { "is:unread" } else { "-is:unread" }.to_owned()));
    Ok(if query.is_empty() { None } else { Some(query.join(" ")) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::super::term::Fault;
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Result<Option<String>, QueryError> {
        render(&GmailTerms { words: Some(text), ..GmailTerms::default() })
    }

    #[test]
    fn every_term_has_its_place() {
        assert_eq!(render(&GmailTerms::default()), Ok(None));
        let all = GmailTerms {
            from: Some("bob@example.com"),
            to: Some("Jane Doe"),
            cc: Some("cy@example.com"),
            filename: Some("q3 report.pdf"),
            subject: Some("Q3 plan"),
            words: Some("  budget\u{a0}draft "),
            after: Some("2026-01-31".parse().unwrap()),
            before: Some("2026-02-01".parse().unwrap()),
            has_attachment: Some(true),
            unread: Some(false),
        };
        assert_eq!(
            render(&all).unwrap().unwrap(),
            "from:\"bob@example.com\" to:\"Jane\" to:\"Doe\" cc:\"cy@example.com\" subject:\"Q3\" subject:\"plan\" \"budget\" \"draft\" \
             filename:\"q3\" filename:\"report.pdf\" after:2026/01/31 before:2026/02/01 has:attachment -is:unread"
        );
        let other = GmailTerms { has_attachment: Some(false), unread: Some(true), ..GmailTerms::default() };
        assert_eq!(render(&other).unwrap().unwrap(), "-has:attachment is:unread");
    }

    #[test]
    fn operators_in_a_term_mean_nothing() {
        for (text, expected) in [
            ("a OR b", r#""a" "OR" "b""#),
            ("-label:secret", r#""-label:secret""#),
            ("in:anywhere", r#""in:anywhere""#),
            ("{a b}", r#""{a" "b}""#),
            ("(a) | b", r#""(a)" "|" "b""#),
            ("x AROUND 25 y", r#""x" "AROUND" "25" "y""#),
            ("it's", r#""it's""#),
        ] {
            assert_eq!(words(text).unwrap().unwrap(), expected);
        }
    }

    #[test]
    fn what_could_end_a_quote_is_refused() {
        for (text, fault) in [
            ("a\" OR label:secret OR \"b", Fault::Quote),
            ("\"", Fault::Quote),
            ("a\\", Fault::Quote),
            ("“a”", Fault::Quote),
            ("„a‟", Fault::Quote),
            ("＂a", Fault::Quote),
            ("«a»", Fault::Quote),
            ("a\nb", Fault::Invisible),
            ("a\tb", Fault::Invisible),
            ("a\0", Fault::Invisible),
            ("a\u{85}b", Fault::Invisible),
            ("a\u{200b}b", Fault::Invisible),
            ("a\u{202e}b", Fault::Invisible),
            ("a\u{2028}b", Fault::Invisible),
            ("a\u{feff}b", Fault::Invisible),
            ("", Fault::Empty),
            (" \u{a0}", Fault::Empty),
        ] {
            assert_eq!(words(text), Err(QueryError { field: "words", fault }), "{text:?}");
            let subject = render(&GmailTerms { subject: Some(text), ..GmailTerms::default() });
            assert_eq!(subject, Err(QueryError { field: "subject", fault }), "{text:?}");
        }
    }

    /// Reads a query as Gmail does: operator and word, where a double quote opens text that only the next one ends.
    fn read(query: &str) -> Vec<(String, String)> {
        let mut terms = Vec::new();
        let mut rest = query;
        while !rest.is_empty() {
            let end = rest.find([' ', '"']).unwrap_or(rest.len());
            let (operator, tail) = rest.split_at(end);
            rest = if let Some(quoted) = tail.strip_prefix('"') {
                let (word, after) = quoted.split_once('"').expect("a quote is closed");
                assert!(after.is_empty() || after.starts_with(' '), "a term ends where its quote ends");
                terms.push((operator.to_owned(), word.to_owned()));
                after
            } else {
                terms.push((operator.to_owned(), String::new()));
                tail
            };
            rest = rest.strip_prefix(' ').unwrap_or(rest);
        }
        terms
    }

    fn hostile() -> impl Strategy<Value = Option<String>> {
        let piece = prop_oneof![
            Just("\"".to_owned()),
            Just(" OR ".to_owned()),
            Just(" -label:x ".to_owned()),
            Just("in:anywhere".to_owned()),
            Just("\\".to_owned()),
            Just("{}()".to_owned()),
            "[a-z ]{0,5}",
            "\\PC{0,3}",
        ];
        proptest::option::of(proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat()))
    }

    proptest! {
        #[test]
        fn a_query_has_the_terms_it_was_given(
            from in hostile(), to in hostile(), subject in hostile(), words in hostile(), unread: Option<bool>
        ) {
            let terms = GmailTerms {
                from: from.as_deref(), to: to.as_deref(), subject: subject.as_deref(), words: words.as_deref(), unread,
                ..GmailTerms::default()
            };
            let mut expected = Vec::new();
            for (operator, text) in [("from:", &from), ("to:", &to), ("subject:", &subject), ("", &words)] {
                let words = text.iter().flat_map(|text| text.split_whitespace());
                expected.extend(words.map(|word| (operator.to_owned(), word.to_owned())));
            }
            expected.extend(unread.map(|yes| (if yes { "is:unread" } else { "-is:unread" }.to_owned(), String::new())));
            let quoted = [&from, &to, &subject, &words].into_iter().flatten().any(|text| text.contains(['"', '\\']));
            match render(&terms) {
                Ok(query) => {
                    prop_assert!(!quoted);
                    prop_assert_eq!(read(&query.unwrap_or_default()), expected);
                }
                Err(error) => prop_assert!(error.fault != Fault::Id),
            }
        }

        #[test]
        fn plain_words_are_never_refused(text in "[a-zA-Z0-9äöü'(){}:|+*@.-][a-zA-Z0-9 äöü'(){}:|+*@.-]{0,30}") {
            prop_assert!(words(&text).is_ok());
        }
    }
}
