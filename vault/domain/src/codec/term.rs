//! What a search term must be before any query language quotes it.

/// A search term cannot be sent. It says which one and why, and never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {fault}")]
pub struct QueryError {
    /// The term's name, as the tool's argument is called.
    pub field: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a search term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing but white space. A term that bounds nothing is a mistake, not a wish for everything.
    #[error("is empty: leave it out, or give it words")]
    Empty,
    /// A control, bidirectional or zero-width character: what is shown would not be what is sought.
    #[error("has a control or an invisible character")]
    Invisible,
    /// A quotation mark or a backslash, where the query language quotes.
    #[error("has a quotation mark or a backslash: give the words alone, the vault quotes them")]
    Quote,
    /// Not an identifier.
    #[error("is not an id: letters, digits, - and _ only")]
    Id,
    /// A mark that words do not have, where a search takes nothing but words.
    #[error("has a mark that is no part of a word: give letters and digits")]
    Word,
}

/// Holds for every term: it is not blank and has nothing invisible in it.
pub(super) fn visible(field: &'static str, text: &str) -> Result<(), QueryError> {
    if text.trim().is_empty() {
        return Err(QueryError { field, fault: Fault::Empty });
    }
    if text.chars().any(is_invisible) {
        return Err(QueryError { field, fault: Fault::Invisible });
    }
    Ok(())
}

/// Holds for a term that stands in double quotes.
///
/// The mark is refused rather than replaced: a changed term would find other things than the ones asked for, and
/// nobody would know. Typographic marks are refused too: phones type them for `"`, search fields take them for `"`,
/// and no page of the provider says whether its interface does.
pub(super) fn unquoted(field: &'static str, text: &str) -> Result<(), QueryError> {
    if text.chars().any(is_quote) { Err(QueryError { field, fault: Fault::Quote }) } else { Ok(()) }
}

fn is_quote(c: char) -> bool {
    matches!(
        c,
        '"' | '\\'
            | '\u{ab}' | '\u{bb}' // « »
            | '\u{201c}'..='\u{201f}' // “ ” „ ‟
            | '\u{2033}' | '\u{2036}' // double primes
            | '\u{275d}' | '\u{275e}' // ornaments
            | '\u{301d}'..='\u{301f}' // East Asian
            | '\u{ff02}' | '\u{ff3c}' // full-width quote and backslash
    )
}

/// Whether a character does not show, or makes what shows another thing than what is there.
///
/// Joiners (U+200C, U+200D) and the marks U+200E and U+200F stay: several scripts cannot be written without them.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}
