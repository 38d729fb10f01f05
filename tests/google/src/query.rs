//! Words and phrases, as Gmail and Drive search for them: whole words, without regard to case.

/// A text as lower-case words; everything but letters and digits separates.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Whether the words of `phrase` stand in `text` one after the other. A phrase without words is nowhere.
pub(crate) fn has_phrase(text: &str, phrase: &str) -> bool {
    let phrase = words(phrase);
    !phrase.is_empty() && words(text).windows(phrase.len()).any(|window| window == phrase)
}

/// Whether some word of `text` starts `prefix`, which may go on into the following words.
pub(crate) fn has_prefix(text: &str, prefix: &str) -> bool {
    let (text, prefix) = (text.to_lowercase(), prefix.trim().to_lowercase());
    let mut before = None;
    !prefix.is_empty()
        && text.char_indices().any(|(at, c)| {
            let starts = before.is_none_or(|b: char| !b.is_alphanumeric());
            before = Some(c);
            starts && text.get(at..).is_some_and(|rest| rest.starts_with(&prefix))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_match() {
        assert!(has_phrase("Your Invoice 42, due", "invoice 42"));
        assert!(!has_phrase("Your invoices", "invoice"));
        assert!(!has_phrase("42 invoice", "invoice 42"));
        assert!(!has_phrase("anything", "..."));
    }

    #[test]
    fn names_match_by_the_start_of_a_word() {
        assert!(has_prefix("Meeting notes.txt", "note"));
        assert!(has_prefix("Meeting notes.txt", "meeting no"));
        assert!(!has_prefix("HelloWorld", "World"));
        assert!(!has_prefix("x", ""));
    }
}
