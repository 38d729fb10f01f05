//! Writing for people and for programs.

use std::io::{self, Write};

use serde_json::{Value, json};

/// One JSON value and a line's end.
pub(super) fn json(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    writeln!(out, "{value}")
}

/// An error as JSON.
pub(super) fn error(out: &mut dyn Write, message: &str, next: &str) -> io::Result<()> {
    json(out, &json!({"ok": false, "error": {"message": message, "next": next}}))
}

/// Text for a terminal: line ends and tabs stay; other control characters, and those that change the direction of
/// writing or cannot be seen, are shown as `\u{…}`, so that no mail can move the cursor or hide a word.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => shown.push(character),
            '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{61c}'
            | '\u{e0000}'..='\u{e007f}' => shown.extend(character.escape_unicode()),
            _ if character.is_control() => shown.extend(character.escape_unicode()),
            _ => shown.push(character),
        }
    }
    shown
}

/// As [`visible`], on one line.
pub(super) fn line(text: &str) -> String {
    visible(text).replace(['\n', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_made_visible() {
        for (text, expected) in [
            ("Grüße\n\t😀", "Grüße\n\t😀"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\r\nb\u{7f}\u{9b}", "a\\u{d}\nb\\u{7f}\\u{9b}"),
            ("a\u{200b}\u{feff}", "a\\u{200b}\\u{feff}"),
        ] {
            assert_eq!(visible(text), expected);
        }
        assert_eq!(line("a\nb\tc"), "a b c");
    }
}
