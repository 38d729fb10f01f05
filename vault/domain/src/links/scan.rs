//! One reading, from its beginning to its end: where a host could begin, how far it goes, and what it leads to.

use super::reading::Reading;
use super::{OTHER, WEB, token};
use crate::host::{self, HostPattern};

/// Whether every host in this reading is one of these.
///
/// # Errors
/// The beginning of what is not, at most 100 characters.
pub(super) fn run(reading: &Reading<'_>, allowed: &[HostPattern]) -> Result<(), String> {
    let scan = Scan {
        text: &reading.text,
        only_marked: reading.only_marked,
        allowed,
        no_user_before: 0,
        path_end: 0,
    };
    scan.run()
}

/// Positions are in bytes, at the beginning of a character.
struct Scan<'a> {
    text: &'a str,
    only_marked: bool,
    allowed: &'a [HostPattern],
    /// From the last authority to here stands no `@`, and nothing that ends an authority. Remembered, and so is the next,
    /// because many hosts in one long word would each look through the rest of it.
    no_user_before: usize,
    /// Where the last path ended.
    path_end: usize,
}

impl Scan<'_> {
    fn run(mut self) -> Result<(), String> {
        let text = self.text.as_bytes();
        let mut at = 0;
        // What stands before has been read, and is part of no other word.
        let mut from = 0;
        // Whatever leads to a host has one of these in it.
        let stops = |b: &u8| matches!(b, b'.' | b':' | b'/' | b'\\');
        while let Some(ahead) = text[at..].iter().position(stops) {
            let stop = at + ahead;
            let read_to = match text[stop] {
                b':' => Some(self.after_colon(stop)?),
                b'.' => self.word_around(from, stop)?,
                _ if text.get(stop + 1).is_some_and(is_slash) => Some(self.authority(stop)?),
                _ => None,
            };
            at = read_to.unwrap_or(stop + 1);
            from = read_to.unwrap_or(from);
        }
        Ok(())
    }

    /// A colon: it may end a scheme. Returns where to go on.
    fn after_colon(&mut self, colon: usize) -> Result<usize, String> {
        let scheme_char = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        let begin = colon - self.text.as_bytes()[..colon].iter().rev().take_while(scheme_char).count();
        let scheme = &self.text[begin..colon];
        let rest = &self.text[colon + 1..];
        let goes_on = is_followed(rest);
        if WEB.iter().any(|word| scheme.eq_ignore_ascii_case(word)) {
            // `https:host` and `https:/host` lead there as well.
            return if goes_on { self.authority(colon + 1) } else { Ok(colon + 1) };
        }
        // The end of a longer word counts too: where a scheme begins, readers differ.
        let last = scheme.rsplit(['+', '.']).next().unwrap_or_default();
        let runs = super::SCRIPTS.iter().any(|word| ends_with(last, word));
        let media = last.eq_ignore_ascii_case("data") && is_media(rest);
        if runs || media || (goes_on && OTHER.iter().any(|word| last.eq_ignore_ascii_case(word))) {
            return Err(excerpt(&self.text[begin..]));
        }
        // Any other scheme leads to another program, and nobody knows where that goes.
        let after_slashes = rest.strip_prefix(['/', '\\']).and_then(|rest| rest.strip_prefix(['/', '\\']));
        if !scheme.is_empty() && after_slashes.is_some_and(is_followed) {
            return Err(excerpt(&self.text[begin..]));
        }
        Ok(colon + 1)
    }

    /// Slashes or the end of a scheme: what follows is a host, whatever it looks like. Returns where to go on.
    fn authority(&mut self, slashes: usize) -> Result<usize, String> {
        let text = self.text;
        let begin = slashes + text.as_bytes()[slashes..].iter().take_while(|b| is_slash(b)).count();
        let rest = &text[begin..];
        if !is_followed(rest) {
            return Ok(begin);
        }
        let refuse = || Err(excerpt(rest));
        // Whoever stands before an `@` is no host, and what stands there is meant to look like one.
        if begin >= self.no_user_before {
            let ends = |c: char| c == '@' || token::ends_authority(c);
            self.no_user_before = rest.find(ends).map_or(text.len(), |length| begin + length);
            if text.as_bytes().get(self.no_user_before) == Some(&b'@') {
                return refuse();
            }
        }
        let host = &rest[..token::run_length(rest)];
        // Dots at the end of a sentence; one of them may be the host's own.
        let name = host.trim_end_matches('.');
        // Marks around a bare word are no part of it; right behind the slashes they are, and a dash at the end is for every
        // reader of URLs.
        if name.starts_with(['-', '_']) || name.ends_with('-') || !self.allows(name) {
            return refuse();
        }
        let mut end = begin + host.len();
        if let Some(port) = token::port(&text[end..]) {
            end += port;
        }
        // The full stop of the sentence.
        end += text.as_bytes()[end..].iter().take_while(|b| **b == b'.').count();
        // What may stand right behind a host and is surely none of it.
        match text[end..].chars().next() {
            None => Ok(end),
            Some(c) if c.is_whitespace() || token::closes(c) => Ok(end),
            Some('/') => Ok(self.path(end)),
            _ => refuse(),
        }
    }

    /// A full stop: the word that it is within may be a host, without any mark. Returns where to go on, or `None` where
    /// nothing was read.
    fn word_around(&mut self, from: usize, stop: usize) -> Result<Option<usize>, String> {
        if self.only_marked {
            return Ok(None);
        }
        let text = self.text;
        // A full stop at the edge of a word, or beside another one, is none of a host's.
        let before = text[from..stop].chars().next_back().is_some_and(token::is_host);
        if !before || !text[stop + 1..].chars().next().is_some_and(token::is_host) {
            return Ok(None);
        }
        let in_run = |c: char| c == '.' || token::is_host(c);
        let begin = stop - (text[from..stop].len() - text[from..stop].trim_end_matches(in_run).len());
        let begin = begin + text.as_bytes()[begin..].iter().take_while(|b| **b == b'.').count();
        self.bare(begin).map(Some)
    }

    /// Something that could be a host without any mark. Returns where to go on.
    fn bare(&mut self, begin: usize) -> Result<usize, String> {
        let text = self.text;
        let end = begin + token::run_length(&text[begin..]);
        // What stands around it makes it a host where it would otherwise be a file's name.
        let marked = text[..begin].ends_with('@')
            || match text.as_bytes().get(end) {
                Some(b'/' | b'@') => true,
                Some(b'?' | b'#') => is_followed(&text[end + 1..]),
                _ => false,
            };
        let mut found = false;
        for candidate in token::candidates(&text[begin..end], marked) {
            found = true;
            if !self.allows(candidate) {
                return Err(excerpt(&text[begin..]));
            }
        }
        if !found {
            return Ok(end);
        }
        let end = end + token::port(&text[end..]).unwrap_or(0);
        Ok(if text[end..].starts_with('/') { self.path(end) } else { end })
    }

    /// The path of an allowed host: dots in it make no host, as long as it is plain. Returns where it ends.
    fn path(&mut self, begin: usize) -> usize {
        let text = self.text.as_bytes();
        if begin >= self.path_end {
            let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'.' | b'_' | b'~');
            // A second slash could begin a host.
            let goes_on = |at: &usize| plain(&text[*at]) && !text[*at..].starts_with(b"//");
            self.path_end = begin + (begin..text.len()).take_while(goes_on).count();
        }
        // An `@` behind it makes a user's name of all that stands before, to some readers: look at it again, whole.
        if text.get(self.path_end) == Some(&b'@') { begin + 1 } else { self.path_end }
    }

    fn allows(&self, name: &str) -> bool {
        let name = name.trim_matches(['-', '_']);
        host::ascii(name).is_some_and(|name| self.allowed.iter().any(|pattern| pattern.matches_ascii(&name)))
    }
}

/// Whether a `data:` is followed by what makes it a URL, also after spaces: a media type or a comma.
fn is_media(rest: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    rest.trim_start().trim_start_matches(word).starts_with(['/', ',', ';'])
}

/// Whether anything but space follows.
fn is_followed(rest: &str) -> bool {
    rest.chars().next().is_some_and(|c| !c.is_whitespace())
}

fn is_slash(b: &u8) -> bool {
    matches!(b, b'/' | b'\\')
}

/// Whether the ASCII text ends with the word, in capitals or not.
fn ends_with(text: &str, word: &str) -> bool {
    text.len() >= word.len() && text[text.len() - word.len()..].eq_ignore_ascii_case(word)
}

fn excerpt(text: &str) -> String {
    text.chars().take_while(|c| !c.is_whitespace()).take(100).collect()
}
