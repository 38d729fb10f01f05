//! Words for a search that has no query language of its own, as those of Google Calendar and of the People API.
//!
//! Their `q` and `query` are documented as plain words. This codec sees to it that they stay so: no character that is an
//! operator in any of the provider's other searches gets through, and no word that is one there when written large.

use super::term::{Fault, QueryError, unquoted, visible};

/// The words, in small ASCII letters, one space between them. Upper and lower case find the same things.
///
/// # Errors
/// [`QueryError`] for a text that is blank, has an invisible character or a quotation mark, or has ASCII punctuation
/// that words do not have: only `@`, `.`, `_`, `'` and `-` stay, and none of them begins a word.
pub fn render(field: &'static str, text: &str) -> Result<String, QueryError> {
    visible(field, text)?;
    unquoted(field, text)?;
    let words: Vec<String> = text.split_whitespace().map(str::to_ascii_lowercase).collect();
    if words.iter().all(|word| is_word(word)) {
        Ok(words.join(" "))
    } else {
        Err(QueryError { field, fault: Fault::Word })
    }
}

fn is_word(word: &str) -> bool {
    let letter = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric();
    word.starts_with(letter) && word.chars().all(|c| letter(c) || "@._'-".contains(c))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_stay_words() {
        for (text, kept) in [
            ("Garden meeting", "garden meeting"),
            ("  a\u{a0}b ", "a b"),
            ("mona@example.com", "mona@example.com"),
            ("O'Neill Jean-Luc v1.2", "o'neill jean-luc v1.2"),
            ("this OR that NOT AROUND", "this or that not around"),
            ("Grüße 会議 हिन्दी", "grüße 会議 हिन्दी"),
        ] {
            assert_eq!(render("words", text).unwrap(), kept);
        }
    }

    #[test]
    fn nothing_that_means_more_elsewhere_is_taken() {
        for (text, fault) in [
            ("", Fault::Empty),
            (" \t", Fault::Empty),
            ("a\u{200b}b", Fault::Invisible),
            ("a\"b", Fault::Quote),
            ("“a”", Fault::Quote),
            ("a\\b", Fault::Quote),
            ("-secret", Fault::Word),
            ("+a", Fault::Word),
            ("who:ann", Fault::Word),
            ("a|b", Fault::Word),
            ("(a)", Fault::Word),
            ("{a b}", Fault::Word),
            ("a*", Fault::Word),
            ("a~b", Fault::Word),
            ("a=b", Fault::Word),
            ("<a>", Fault::Word),
            ("a,b", Fault::Word),
            ("a/b", Fault::Word),
            ("a&b", Fault::Word),
            ("'a", Fault::Word),
            ("@a", Fault::Word),
        ] {
            assert_eq!(render("words", text).unwrap_err().fault, fault, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn only_letters_digits_and_five_marks_get_through(text in "\\PC{0,16}") {
            if let Ok(kept) = render("words", &text) {
                prop_assert!(kept.chars().all(|c| !c.is_ascii() || c.is_ascii_alphanumeric() || "@._'- ".contains(c)));
                prop_assert!(!kept.is_empty() && !kept.starts_with('-') && !kept.contains(" -"));
                prop_assert_eq!(render("words", &kept), Ok(kept.clone()));
            }
        }
    }
}
