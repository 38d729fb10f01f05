//! Text that strangers may have written, made safe for a terminal.
//!
//! Nothing stays invisible, nothing moves the cursor.

use std::fmt::Write;

/// The text with every control, format and bidirectional character shown as `\u{…}`.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if hides(c) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    shown
}

/// JSON text with the same characters as JSON escapes. They can only stand inside strings there.
pub(super) fn visible_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && hides(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Control characters (C0, C1), and the default-ignorable and bidirectional ones of Unicode's UAX #9 and UTS #39.
fn hides(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hides() {
        let check = |text: &str, expected: &str| assert_eq!(visible(text), expected);
        check("plain ä 漢", "plain ä 漢");
        check("\x1b[2Jx", "\\u{1b}[2Jx");
        check("a\u{202e}b\u{200b}", "a\\u{202e}b\\u{200b}");
        check("a\r\nb\t", "a\\r\\nb\\t");
        check("\u{9b}31m", "\\u{9b}31m");
        check("\u{e0041}", "\\u{e0041}");
        assert_eq!(visible_json("\"a\u{202e}\u{e0041}\"\n"), "\"a\\u202e\\udb40\\udc41\"\n");
    }
}
