//! Text of strangers, without characters that deceive whoever reads it.
//!
//! Control and bidirectional characters, and the "tag" block that hides ASCII from people but not from models, become
//! visible as `<U+202E>`. Characters that are merely invisible (soft hyphens, zero-width spaces) are left out of bodies
//! and shown in single lines. Joiners (U+200C, U+200D) stay: emoji and several scripts need them.

use serde_json::{Map, Value};

/// What to do with a character.
enum Kind {
    Plain,
    Invisible,
    Deceptive,
}

fn kind(c: char) -> Kind {
    match c {
        '\u{00}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => Kind::Deceptive,
        '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}' => Kind::Deceptive,
        '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => Kind::Deceptive,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{3164}' => {
            Kind::Invisible
        }
        '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{ffa0}' => {
            Kind::Invisible
        }
        // Variation selectors beyond the sixteen of emoji: they can carry any bytes unseen.
        '\u{e0100}'..='\u{e01ef}' => Kind::Invisible,
        _ => Kind::Plain,
    }
}

fn show(c: char, out: &mut String) {
    use std::fmt::Write;
    // Writing to a string does not fail.
    let _ = write!(out, "<U+{:04X}>", u32::from(c));
}

/// One line, such as a subject: line breaks and tabs become spaces; at most `max` characters, with `…` where it was
/// cut.
#[must_use]
pub fn line(text: &str, max: usize) -> String {
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == max {
            out.push('…');
            break;
        }
        match kind(c) {
            Kind::Plain => out.push(c),
            _ if matches!(c, '\t' | '\n' | '\r') => out.push(' '),
            Kind::Invisible | Kind::Deceptive => show(c, &mut out),
        }
    }
    out
}

/// A text of many lines: line breaks become `\n`, tabs stay.
#[must_use]
pub fn block(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    out.push('\n');
                }
            }
            '\u{2028}' | '\u{2029}' => out.push('\n'),
            _ => match kind(c) {
                Kind::Plain => out.push(c),
                Kind::Invisible => {}
                Kind::Deceptive => show(c, &mut out),
            },
        }
    }
    out
}

/// JSON of which every string and key went through [`block`].
#[must_use]
pub fn json(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(block(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(json).collect()),
        Value::Object(members) => Value::Object(
            members.into_iter().map(|(key, value)| (block(&key), json(value))).collect::<Map<_, _>>(),
        ),
        other => other,
    }
}

/// The beginning of a text: at most `max` bytes, whole characters.
#[must_use]
pub fn head(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    &text[..end]
}

/// Cuts a text to its [`head`]. Says whether something was cut.
pub fn cut(text: &mut String, max: usize) -> bool {
    let end = head(text, max).len();
    let cut = end < text.len();
    text.truncate(end);
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_show_what_deceives() {
        for (input, expected) in [
            ("plain Grüße 你好 👩‍💻", "plain Grüße 你好 👩‍💻"),
            ("a\r\nBcc: b\tc", "a  Bcc: b c"),
            ("invoice\u{202e}fdp.exe", "invoice<U+202E>fdp.exe"),
            ("\u{1b}[31mred", "<U+001B>[31mred"),
            ("a\u{200b}b", "a<U+200B>b"),
            ("\u{e0041}", "<U+E0041>"),
            ("\u{85}\u{2028}", "<U+0085><U+2028>"),
        ] {
            assert_eq!(line(input, 100), expected, "{input:?}");
        }
        assert_eq!(line("abcdef", 3), "abc…");
        assert_eq!(line("abc", 3), "abc");
    }

    #[test]
    fn blocks_keep_lines_and_lose_the_invisible() {
        assert_eq!(block("a\r\nb\rc\n\td"), "a\nb\nc\n\td");
        assert_eq!(block("so\u{ad}ft\u{200b} \u{2066}x\u{2069}"), "soft <U+2066>x<U+2069>");
        assert_eq!(block("\u{e0049}\u{e0067}"), "<U+E0049><U+E0067>");
    }

    #[test]
    fn cuts_between_characters() {
        let mut text = "aé".to_owned();
        assert!(cut(&mut text, 2));
        assert_eq!(text, "a");
        assert!(!cut(&mut text, 1));
    }
}
