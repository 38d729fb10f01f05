//! A mail in plain text, as RFC 5322 and MIME (RFC 2045, 2047) write it.
//!
//! There is no `From`, no `Date` and no `Message-ID`: Gmail fills them in when it sends, `From` with the account's own
//! address. So the bytes depend on the arguments alone, and no argument can choose a sender.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::address::Address;

/// Where lines are folded (RFC 5322 section 2.1.1). Only one address that is longer alone makes a longer line.
const FOLD: usize = 78;
/// Longest line with an encoded word in it, and of base64 (RFC 2047 section 2, RFC 2045 section 6.8).
const ENCODED_LINE: usize = 76;
/// Longest encoded word (RFC 2047 section 2).
const WORD_MAX: usize = 75;
const WORD_START: &str = "=?UTF-8?B?";
const WORD_END: &str = "?=";

/// The mail cannot be written. It never repeats a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// A control character, such as a line end, in the subject.
    #[error("the subject has a line end or another control character")]
    Subject,
    /// Nobody in to, cc and bcc.
    #[error("the mail has no recipient")]
    NoRecipient,
}

/// What a mail is made of.
#[derive(Debug, Clone, Copy)]
pub struct Mail<'a> {
    /// Recipients.
    pub to: &'a [Address],
    /// Recipients of a copy.
    pub cc: &'a [Address],
    /// Recipients of a blind copy. Gmail takes this header off before it delivers.
    pub bcc: &'a [Address],
    /// Where answers should go; none means to the sender.
    pub reply_to: &'a [Address],
    /// The subject, one line of any text.
    pub subject: &'a str,
    /// The text. Its line ends, of whatever kind, become CRLF.
    pub body: &'a str,
}

/// The whole mail. Every byte of it is ASCII, every line ends with CRLF, the same mail gives the same bytes.
///
/// # Errors
/// [`MailError`] for a subject with control characters, and for a mail without any recipient.
pub fn render(mail: &Mail<'_>) -> Result<Vec<u8>, MailError> {
    let Mail { to, cc, bcc, reply_to, subject, body } = *mail;
    if subject.chars().any(char::is_control) {
        return Err(MailError::Subject);
    }
    if to.is_empty() && cc.is_empty() && bcc.is_empty() {
        return Err(MailError::NoRecipient);
    }
    let mut out = String::with_capacity(512 + body.len() * 3 / 2);
    out.push_str("MIME-Version: 1.0\r\n");
    for (name, list) in [("To", to), ("Cc", cc), ("Bcc", bcc), ("Reply-To", reply_to)] {
        addresses(&mut out, name, list);
    }
    write_subject(&mut out, subject);
    out.push_str("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n");
    let text = STANDARD.encode(crlf(body));
    for line in pieces(&text, ENCODED_LINE) {
        out.push_str(line);
        out.push_str("\r\n");
    }
    Ok(out.into_bytes())
}

/// A header of addresses, folded after commas; nothing at all for an empty list.
fn addresses(out: &mut String, name: &str, list: &[Address]) {
    if list.is_empty() {
        return;
    }
    out.push_str(name);
    out.push(':');
    let mut column = name.len() + 1;
    for (i, address) in list.iter().enumerate() {
        let comma = usize::from(i + 1 < list.len());
        let width = 1 + address.as_str().len() + comma;
        // Never before the first: a first line without content is obsolete syntax.
        if i > 0 && column + width > FOLD {
            out.push_str("\r\n");
            column = 0;
        }
        out.push(' ');
        out.push_str(address.as_str());
        out.push_str(&","[..comma]);
        column += width;
    }
    out.push_str("\r\n");
}

fn write_subject(out: &mut String, subject: &str) {
    const NAME: &str = "Subject:";
    out.push_str(NAME);
    if subject.is_empty() {
        out.push_str("\r\n");
    } else if is_plain(subject) {
        let mut column = NAME.len();
        for (i, word) in subject.split(' ').enumerate() {
            if i > 0 && column + 1 + word.len() > FOLD {
                out.push_str("\r\n");
                column = 0;
            }
            out.push(' ');
            out.push_str(word);
            column += 1 + word.len();
        }
        out.push_str("\r\n");
    } else {
        let mut column = NAME.len();
        let mut rest = subject;
        while !rest.is_empty() {
            let room = WORD_MAX.min(ENCODED_LINE - column - 1) - WORD_START.len() - WORD_END.len();
            // Whole characters only: a reader may decode each word alone (RFC 2047 section 5).
            let (chunk, tail) = rest.split_at(boundary(rest, room / 4 * 3));
            out.push(' ');
            out.push_str(WORD_START);
            STANDARD.encode_string(chunk, out);
            out.push_str(WORD_END);
            out.push_str("\r\n");
            column = 0;
            rest = tail;
        }
    }
}

/// The last place at or before `most` where a character begins, or the text's end.
fn boundary(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

/// Whether a subject can stand as it is and read back the same.
///
/// Not with `=?`, which a reader would decode; not with two spaces or one at an end, which folding and trimming would
/// lose; not with a word that a line cannot hold.
fn is_plain(subject: &str) -> bool {
    !subject.contains("=?")
        && subject
            .split(' ')
            .all(|word| (1..=60).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_graphic()))
}

/// Every line end, be it CRLF, CR or LF, as CRLF.
fn crlf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}

/// ASCII text in pieces of this many bytes.
fn pieces(text: &str, size: usize) -> impl Iterator<Item = &str> {
    (0..text.len()).step_by(size).map(move |start| &text[start..text.len().min(start + size)])
}

#[cfg(test)]
mod tests;
