//! Links: every host that any reader of a text could be led to, and whether it is one of those allowed.
//!
//! A text has no grammar: mail programs, browsers and chat clients each find links in it in ways of their own. So this
//! does not look for URLs as one of them would. It looks for whatever *any* of them could take for a host, in every
//! reading of the text ([`reading`]), and allows the text only if all of these are on the list. Over-strict is right
//! here: `end.Next` without a space reads as a host, and is refused as one.
//!
//! What it cannot see: an address spelled out for a person (`evil dot com`), a picture of one, and what is encoded for a
//! program that decodes it (base64, a script's own escapes).

mod reading;
mod token;

use crate::host::{self, HostPattern};
use reading::Reading;

/// Whether every host in the text is one of these; with none, whether it has no host at all.
///
/// # Errors
/// What was found that is not allowed, as it reads once decoded: at most 100 characters, for the owner.
pub fn check(text: &str, allowed: &[HostPattern]) -> Result<(), String> {
    let mut readings = reading::of(text).ok_or("text that is encoded over and over")?;
    readings.iter_mut().try_for_each(|reading| Scan { reading, allowed }.run())
}

/// Schemes that lead to a host.
const WEB: [&str; 5] = ["http", "https", "ftp", "ws", "wss"];

/// Schemes that do something without `//`, and that no list of hosts can speak of.
const OTHER: [&str; 20] = [
    "javascript",
    "vbscript",
    "livescript",
    "data",
    "blob",
    "filesystem",
    "file",
    "view-source",
    "mhtml",
    "jar",
    "intent",
    "mailto",
    "tel",
    "sms",
    "facetime",
    "skype",
    "magnet",
    "about",
    "cid",
    "res",
];

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
                c if token::is_host(c) && !self.reading.only_marked => self.bare(at)?,
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
        let whole = rest.iter().take_while(|c| !token::ends_authority(**c)).count();
        let host = rest.iter().take_while(|c| token::is_host(**c) || **c == '.').count();
        let refuse = || Err(excerpt(rest));
        // Whoever stands before an `@` is no host, and what stands there is meant to look like one.
        if rest[..whole].contains(&'@') || host == 0 {
            return refuse();
        }
        // Dots at the end of a sentence; one of them may be the host's own.
        let name: String = rest[..host].iter().collect();
        if !self.allows(name.trim_end_matches('.')) {
            return refuse();
        }
        let mut end = begin + host;
        if let Some(port) = token::port(&text[end..]) {
            end += port;
        }
        // The full stop of the sentence.
        end += text[end..].iter().take_while(|c| **c == '.').count();
        // What may stand right behind a host and is surely none of it.
        match text.get(end) {
            None => Ok(end),
            Some(c) if c.is_whitespace() || token::closes(*c) => Ok(end),
            Some('/') => Ok(self.path(end)),
            _ => refuse(),
        }
    }

    /// Something that could be a host without any mark. Returns where to go on.
    fn bare(&self, begin: usize) -> Result<usize, String> {
        let text = &self.reading.text;
        let end = begin + text[begin..].iter().take_while(|c| token::is_host(**c) || **c == '.').count();
        let run: String = text[begin..end].iter().collect();
        // What stands around it makes it a host where it would otherwise be a file's name.
        let goes_on = text.get(end + 1).is_some_and(|c| !c.is_whitespace());
        let marked = (begin > 0 && text[begin - 1] == '@')
            || text.get(end).is_some_and(|c| matches!(c, '/' | '@') || (matches!(c, '?' | '#') && goes_on));
        let mut found = false;
        for candidate in token::candidates(&run, marked) {
            found = true;
            if !self.allows(candidate) {
                return Err(excerpt(&text[begin..]));
            }
        }
        if !found {
            return Ok(end);
        }
        let end = end + token::port(&text[end..]).unwrap_or(0);
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

#[cfg(test)]
mod tests;
