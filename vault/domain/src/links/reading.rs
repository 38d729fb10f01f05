//! The readings of a text: what it is once somebody has decoded it, in each of the ways in which somebody may.

use std::borrow::Cow;

use super::SCRIPTS;

/// More distinct readings than this, and the text was made to have many.
pub(super) const MOST: usize = 24;

/// One reading.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reading<'a> {
    /// What it says.
    pub(super) text: Cow<'a, str>,
    /// It is read only where a scheme or slashes mark a host: line ends were taken out of it, and bare words of two lines
    /// are one only to a reader that was in the middle of a URL.
    pub(super) only_marked: bool,
}

/// All readings of a text, or `None` where there are too many.
pub(super) fn of(text: &str) -> Option<Vec<Reading<'_>>> {
    let mut texts = vec![Cow::Borrowed(text)];
    let mut at = 0;
    while at < texts.len() {
        for decode in [percent, entities, soft_breaks] {
            if let Some(decoded) = decode(&texts[at])
                && !texts.contains(&Cow::Borrowed(decoded.as_str()))
            {
                texts.push(Cow::Owned(decoded));
            }
        }
        if texts.len() > MOST {
            return None;
        }
        at += 1;
    }
    let mut readings = Vec::with_capacity(texts.len());
    for text in texts {
        // In a URL of HTML or Markdown, and in none of a plain text, tabs and line ends are left out (WHATWG URL, 4.4).
        // A scheme that runs a script is looked for across them everywhere.
        let joined = is_broken(&text) && (has_markup(&text) || scripts(&text));
        let joined = joined.then(|| text.replace(['\t', '\n', '\r'], ""));
        let folds = Fold::all(&text);
        for fold in &folds {
            if let Some(joined) = &joined {
                add(&mut readings, fold.apply(joined), true);
            }
            add(&mut readings, fold.apply(&text), false);
        }
        if folds.is_empty() {
            if let Some(joined) = joined {
                add(&mut readings, joined, true);
            }
            add(&mut readings, text, false);
        }
    }
    Some(readings)
}

fn add<'a>(readings: &mut Vec<Reading<'a>>, text: impl Into<Cow<'a, str>>, only_marked: bool) {
    let reading = Reading { text: text.into(), only_marked };
    if !readings.contains(&reading) {
        readings.push(reading);
    }
}

/// Whether the text has line ends or tabs.
fn is_broken(text: &str) -> bool {
    text.bytes().any(|b| matches!(b, b'\t' | b'\n' | b'\r'))
}

/// Whether it may be HTML or Markdown.
fn has_markup(text: &str) -> bool {
    text.contains('<')
        || text.as_bytes().windows(2).any(|pair| matches!(pair, [b']', b'(' | b':'] | [b'=', b'"']))
}

/// Whether a scheme that runs something may be in it, once its lines are joined. Cheap, and never wrong about a no.
fn scripts(text: &str) -> bool {
    text.match_indices(':').any(|(colon, _)| {
        let before = || {
            let kept = text.as_bytes()[..colon].iter().rev().filter(|b| !matches!(b, b'\t' | b'\n' | b'\r'));
            kept.map(u8::to_ascii_lowercase)
        };
        SCRIPTS.iter().any(|word| before().take(word.len()).eq(word.bytes().rev()))
    })
}

/// What is made of characters that some readers map to ASCII or leave out, and that end a word for others.
#[derive(Clone, Copy)]
struct Fold {
    /// Invisible characters end a word, instead of being left out.
    split_invisible: bool,
    /// Wide punctuation ends a word, instead of being mapped to ASCII.
    split_wide: bool,
}

impl Fold {
    /// The ways that differ for this text; none where each of them is the text itself.
    fn all(text: &str) -> Vec<Self> {
        if text.is_ascii() {
            return Vec::new();
        }
        let (mut ignored, mut wider, mut other) = (false, false, false);
        for c in text.chars().filter(|c| !c.is_ascii()) {
            ignored |= is_ignored(c);
            let ascii = wide(c);
            wider |= ascii.is_some_and(|ascii| ascii.is_ascii_punctuation());
            other |= ascii.is_some() || number(c).is_some();
        }
        if !(ignored || wider || other) {
            return Vec::new();
        }
        let fold = |split_invisible, split_wide| Fold { split_invisible, split_wide };
        let all = [fold(false, false), fold(true, false), fold(false, true), fold(true, true)];
        let differs = |fold: &Fold| (ignored || !fold.split_invisible) && (wider || !fold.split_wide);
        all.into_iter().filter(differs).collect()
    }

    fn apply(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                c if c.is_ascii() => out.push(c),
                c if is_ignored(c) => out.extend(self.split_invisible.then_some(' ')),
                c => match (wide(c), number(c)) {
                    (Some(ascii), _) if self.split_wide && ascii.is_ascii_punctuation() => out.push(' '),
                    (Some(ascii), _) => out.push(ascii),
                    (None, Some(number)) => {
                        out.push_str(&number.to_string());
                        out.push('.');
                    }
                    (None, None) => out.push(c),
                },
            }
        }
        out
    }
}

/// Characters that hosts and many eyes pass over (UTS #46: ignored; and the marks of direction).
pub(super) fn is_ignored(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// What UTS #46 maps to ASCII, of the characters that matter here.
pub(super) fn wide(c: char) -> Option<char> {
    match c {
        '\u{3002}' | '\u{ff61}' | '\u{2024}' | '\u{fe52}' => Some('.'),
        // Fractions, divisions and set minus look like slashes, and some programs take them for such.
        '\u{2044}' | '\u{2215}' | '\u{29f8}' => Some('/'),
        '\u{fe68}' | '\u{2216}' | '\u{29f5}' | '\u{29f9}' => Some('\\'),
        '\u{fe55}' | '\u{fe13}' | '\u{a789}' | '\u{2236}' => Some(':'),
        '\u{fe6b}' => Some('@'),
        '\u{fe5f}' => Some('#'),
        '\u{fe56}' => Some('?'),
        '\u{2010}' | '\u{2011}' => Some('-'),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        _ => None,
    }
}

/// The number of a number with a full stop in one character (U+2488 to U+249B).
fn number(c: char) -> Option<u32> {
    matches!(c, '\u{2488}'..='\u{249b}').then(|| u32::from(c) - 0x2487)
}

/// The text with each `%2e` decoded, where it has one.
pub(super) fn percent(text: &str) -> Option<String> {
    if !text.contains('%') {
        return None;
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1).copied().and_then(hex).zip(bytes.get(at + 2).copied().and_then(hex));
        match pair {
            Some((high, low)) if bytes[at] == b'%' => {
                out.push(high * 16 + low);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    (out != bytes).then(|| String::from_utf8_lossy(&out).into_owned())
}

fn hex(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The text without the line breaks that quoted-printable puts after a `=` (RFC 2045 section 6.7).
pub(super) fn soft_breaks(text: &str) -> Option<String> {
    if !text.as_bytes().windows(2).any(|pair| matches!(pair, [b'=', b'\r' | b'\n'])) {
        return None;
    }
    let joined = text.replace("=\r\n", "").replace("=\n", "").replace("=\r", "");
    Some(joined)
}

/// Names of HTML for what matters in a host. Their `;` may be left out (WHATWG HTML, 13.2.5.73, for some of them).
const NAMES: &[(&str, char)] = &[
    ("period", '.'),
    ("sol", '/'),
    ("bsol", '\\'),
    ("colon", ':'),
    ("commat", '@'),
    ("num", '#'),
    ("quest", '?'),
    ("percnt", '%'),
    ("lowbar", '_'),
    ("hyphen", '-'),
    ("dash", '-'),
    ("amp", '&'),
    ("AMP", '&'),
    ("lt", '<'),
    ("LT", '<'),
    ("gt", '>'),
    ("GT", '>'),
    ("quot", '"'),
    ("QUOT", '"'),
    ("apos", '\''),
    ("nbsp", '\u{a0}'),
    ("shy", '\u{ad}'),
    ("Tab", '\t'),
    ("NewLine", '\n'),
    ("zwj", '\u{200d}'),
    ("zwnj", '\u{200c}'),
    ("ZeroWidthSpace", '\u{200b}'),
    ("NoBreak", '\u{2060}'),
    ("lpar", '('),
    ("rpar", ')'),
    ("lsqb", '['),
    ("rsqb", ']'),
    ("equals", '='),
    ("semi", ';'),
];

/// The text with HTML's character references decoded, where it has any.
pub(super) fn entities(text: &str) -> Option<String> {
    if !text.contains('&') {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        match reference(after) {
            Some((c, length)) => {
                out.push(c);
                rest = &after[length..];
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    (out != text).then_some(out)
}

/// The character that a reference stands for, and how many bytes it takes after the `&`.
fn reference(after: &str) -> Option<(char, usize)> {
    let closed = |length: usize| length + usize::from(after[length..].starts_with(';'));
    if let Some(number) = after.strip_prefix('#') {
        let (digits, radix, begin) = match number.strip_prefix(['x', 'X']) {
            Some(digits) => (digits, 16, 2),
            None => (number, 10, 1),
        };
        let length = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        let zeros = digits[..length].trim_start_matches('0');
        let c = u32::from_str_radix(zeros, radix).ok().and_then(char::from_u32)?;
        return Some((c, closed(begin + length)));
    }
    let (name, c) =
        NAMES.iter().filter(|(name, _)| after.starts_with(name)).max_by_key(|(name, _)| name.len())?;
    Some((*c, closed(name.len())))
}
