//! The plain definition of what [`super::check`] decides, as the property tests hold it against the real one: every
//! reading in full, one character at a time, with no thought for its cost.

use super::reading::{MOST, entities, is_ignored, percent, soft_breaks, wide};
use super::token::{closes, ends_authority, is_east_asian, is_host, is_top};
use super::{OTHER, WEB};
use crate::host::{self, HostPattern};

pub(super) fn check(text: &str, allowed: &[HostPattern]) -> Result<(), String> {
    let readings = of(text).ok_or("text that is encoded over and over")?;
    readings.iter().try_for_each(|reading| Scan { reading, allowed }.run())
}

struct Scan<'a> {
    reading: &'a Reading,
    allowed: &'a [HostPattern],
}

impl Scan<'_> {
    fn run(&self) -> Result<(), String> {
        let text = self.reading.text.as_slice();
        let mut at = 0;
        while at < text.len() {
            at = match text[at] {
                ':' => self.after_colon(at)?,
                c if is_slash(&c) && text.get(at + 1).is_some_and(is_slash) => self.authority(at)?,
                c if is_host(c) && !self.reading.only_marked => self.bare(at)?,
                _ => at + 1,
            };
        }
        Ok(())
    }

    /// A colon: it may end a scheme. Returns where to go on.
    fn after_colon(&self, colon: usize) -> Result<usize, String> {
        let text = &self.reading.text;
        let scheme_char = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let begin = colon - text[..colon].iter().rev().take_while(|c| scheme_char(c)).count();
        let scheme: String = text[begin..colon].iter().map(char::to_ascii_lowercase).collect();
        let after = text.get(colon + 1);
        let slashes = text[colon + 1..].iter().take(2).filter(|c| is_slash(c)).count() == 2;
        if WEB.contains(&scheme.as_str()) {
            // `https:host` and `https:/host` lead there as well.
            return if after.is_none_or(|c| c.is_whitespace()) {
                Ok(colon + 1)
            } else {
                self.authority(colon + 1)
            };
        }
        // The end of a longer word counts too: where a scheme begins, readers differ.
        let last = scheme.rsplit(['+', '.']).next().unwrap_or_default();
        let runs = ["javascript", "vbscript", "livescript"].iter().any(|word| last.ends_with(word));
        let media = last == "data" && is_media(&text[colon + 1..]);
        if runs || media || (OTHER.contains(&last) && after.is_some_and(|c| !c.is_whitespace())) {
            return Err(excerpt(&text[begin..]));
        }
        // Any other scheme leads to another program, and nobody knows where that goes.
        if slashes && !scheme.is_empty() && text.get(colon + 3).is_some_and(|c| !c.is_whitespace()) {
            return Err(excerpt(&text[begin..]));
        }
        Ok(colon + 1)
    }

    /// Slashes or the end of a scheme: what follows is a host, whatever it looks like. Returns where to go on.
    fn authority(&self, slashes: usize) -> Result<usize, String> {
        let text = &self.reading.text;
        let begin = slashes + text[slashes..].iter().take_while(|c| is_slash(c)).count();
        let rest = &text[begin..];
        if rest.first().is_none_or(|c| c.is_whitespace()) {
            return Ok(begin);
        }
        let whole = rest.iter().take_while(|c| !ends_authority(**c)).count();
        let host = rest.iter().take_while(|c| is_host(**c) || **c == '.').count();
        let refuse = || Err(excerpt(rest));
        // Whoever stands before an `@` is no host, and what stands there is meant to look like one.
        if rest[..whole].contains(&'@') || host == 0 {
            return refuse();
        }
        // Dots at the end of a sentence; one of them may be the host's own.
        let name: String = rest[..host].iter().collect();
        let name = name.trim_end_matches('.');
        if name.starts_with(['-', '_']) || name.ends_with('-') || !self.allows(name) {
            return refuse();
        }
        let mut end = begin + host;
        if let Some(port) = port(&text[end..]) {
            end += port;
        }
        // The full stop of the sentence.
        end += text[end..].iter().take_while(|c| **c == '.').count();
        // What may stand right behind a host and is surely none of it.
        match text.get(end) {
            None => Ok(end),
            Some(c) if c.is_whitespace() || closes(*c) => Ok(end),
            Some('/') => Ok(self.path(end)),
            _ => refuse(),
        }
    }

    /// Something that could be a host without any mark. Returns where to go on.
    fn bare(&self, begin: usize) -> Result<usize, String> {
        let text = &self.reading.text;
        let end = begin + text[begin..].iter().take_while(|c| is_host(**c) || **c == '.').count();
        let run: String = text[begin..end].iter().collect();
        // What stands around it makes it a host where it would otherwise be a file's name.
        let goes_on = text.get(end + 1).is_some_and(|c| !c.is_whitespace());
        let marked = (begin > 0 && text[begin - 1] == '@')
            || text.get(end).is_some_and(|c| matches!(c, '/' | '@') || (matches!(c, '?' | '#') && goes_on));
        let mut found = false;
        for candidate in candidates(&run, marked) {
            found = true;
            if !self.allows(candidate) {
                return Err(excerpt(&text[begin..]));
            }
        }
        if !found {
            return Ok(end);
        }
        let end = end + port(&text[end..]).unwrap_or(0);
        Ok(if text.get(end) == Some(&'/') { self.path(end) } else { end })
    }

    /// The path of an allowed host: dots in it make no host, as long as it is plain. Returns where it ends.
    fn path(&self, begin: usize) -> usize {
        let text = &self.reading.text;
        let mut end = begin;
        while let Some(c) = text.get(end) {
            let plain = c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '.' | '_' | '~');
            // A second slash could begin a host.
            if !plain || (*c == '/' && text.get(end + 1) == Some(&'/')) {
                break;
            }
            end += 1;
        }
        // An `@` behind it makes a user's name of all that stands before, to some readers: look at it again, whole.
        if text.get(end) == Some(&'@') { begin + 1 } else { end }
    }

    fn allows(&self, name: &str) -> bool {
        let name = name.trim_matches(['-', '_']);
        host::ascii(name).is_some_and(|name| self.allowed.iter().any(|pattern| pattern.matches_ascii(&name)))
    }
}

/// Whether a `data:` is followed by what makes it a URL, also after spaces: a media type or a comma.
fn is_media(rest: &[char]) -> bool {
    let mut rest =
        rest.iter().skip_while(|c| c.is_whitespace()).skip_while(|c| c.is_ascii_alphanumeric() || **c == '-');
    matches!(rest.next(), Some('/' | ',' | ';'))
}

fn is_slash(c: &char) -> bool {
    matches!(c, '/' | '\\')
}

fn excerpt(text: &[char]) -> String {
    text.iter().take_while(|c| !c.is_whitespace()).take(100).collect()
}

// ---- readings
/// One reading.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    /// Its characters.
    text: Vec<char>,
    /// It is read only where a scheme or slashes mark a host: line ends were taken out of it, and bare words of two lines
    /// are one only to a reader that was in the middle of a URL.
    only_marked: bool,
}

/// All readings of a text, or `None` where there are too many.
fn of(text: &str) -> Option<Vec<Reading>> {
    let mut texts = vec![text.to_owned()];
    let mut at = 0;
    while at < texts.len() {
        for decode in [percent, entities, soft_breaks] {
            if let Some(decoded) = decode(&texts[at])
                && !texts.contains(&decoded)
            {
                texts.push(decoded);
            }
        }
        if texts.len() > MOST {
            return None;
        }
        at += 1;
    }
    let mut readings: Vec<Reading> = Vec::with_capacity(texts.len());
    let mut add = |text: Vec<char>, only_marked: bool| {
        let reading = Reading { text, only_marked };
        if !readings.contains(&reading) {
            readings.push(reading);
        }
    };
    for text in &texts {
        // In a URL of HTML or Markdown, and in none of a plain text, tabs and line ends are left out (WHATWG URL, 4.4).
        // A scheme that runs a script is looked for across them everywhere.
        let broken = text.contains(['\t', '\n', '\r']);
        let markup = text.contains('<') || text.contains("](") || text.contains("]:") || text.contains("=\"");
        for folds in Fold::all(text) {
            if broken && (markup || scripts(text)) {
                add(folds.apply(text.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r'))), true);
            }
            add(folds.apply(text.chars()), false);
        }
    }
    Some(readings)
}

/// Whether a scheme that runs something may be in it, once its lines are joined. Cheap, and never wrong about a no.
fn scripts(text: &str) -> bool {
    let joined: String =
        text.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).map(|c| c.to_ascii_lowercase()).collect();
    ["javascript:", "vbscript:", "livescript:"].iter().any(|scheme| joined.contains(scheme))
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
    /// The ways that differ for this text.
    fn all(text: &str) -> Vec<Self> {
        let fold = |split_invisible, split_wide| Fold { split_invisible, split_wide };
        if text.is_ascii() {
            return vec![fold(false, false)];
        }
        vec![fold(false, false), fold(true, false), fold(false, true), fold(true, true)]
    }

    fn apply(self, text: impl Iterator<Item = char>) -> Vec<char> {
        let mut out = Vec::new();
        for c in text {
            match c {
                c if c.is_ascii() => out.push(c),
                c if is_ignored(c) => out.extend(self.split_invisible.then_some(' ')),
                c => match wide(c) {
                    None => out.extend(numbered(c)),
                    Some(ascii) if self.split_wide && ascii.is_ascii_punctuation() => out.push(' '),
                    Some(ascii) => out.push(ascii),
                },
            }
        }
        out
    }
}

/// The character itself, or the number and full stop that it stands for (U+2488 to U+249B).
fn numbered(c: char) -> Vec<char> {
    match c {
        '\u{2488}'..='\u{249b}' => {
            let number = u32::from(c) - 0x2487;
            number.to_string().chars().chain(['.']).collect()
        }
        c => vec![c],
    }
}

// ---- tokens
/// The length of `:8080` here, if that is what stands here.
fn port(text: &[char]) -> Option<usize> {
    if text.first() != Some(&':') {
        return None;
    }
    let digits = text[1..].iter().take_while(|c| c.is_ascii_digit()).count();
    (1..=5).contains(&digits).then_some(digits + 1)
}

/// What of a run of labels and dots some reader could take for a host. `marked` says that what stands around it tells
/// it for one.
fn candidates(run: &str, marked: bool) -> Vec<&str> {
    let mut found = Vec::new();
    // Two dots in a row are in no host, so each part stands for itself.
    for part in run.split("..") {
        found.extend(longest(part.trim_matches('.'), marked));
        // East Asian text has no spaces, and some readers end a link where another script ends.
        if part.contains(is_east_asian) {
            found.extend(
                part.split(is_east_asian).filter_map(|piece| longest(piece.trim_matches('.'), marked)),
            );
        }
    }
    found
}

/// The longest beginning of it that could be a host: its last label could be a top-level domain, or all of it is an
/// address in numbers.
fn longest(part: &str, marked: bool) -> Option<&str> {
    let mut name = part;
    let mut marked = marked;
    while let Some((before, last)) = name.rsplit_once('.') {
        if is_top(last, marked) || is_numbers(name) || is_www(name) {
            return Some(name);
        }
        name = before.trim_end_matches('.');
        // Only the whole is next to the mark.
        marked = false;
    }
    None
}

/// Four numbers in any of the ways of writing an IPv4 address (inet_aton).
fn is_numbers(name: &str) -> bool {
    let number = |label: &str| {
        let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
        match hex {
            Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
            None => !label.is_empty() && label.bytes().all(|b| b.is_ascii_digit()),
        }
    };
    name.split('.').count() == 4 && name.split('.').all(number)
}

fn is_www(name: &str) -> bool {
    name.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case("www.")) && name.len() > 4
}
