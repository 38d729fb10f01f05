//! A mail in plain text, with attachments, as RFC 5322 and MIME (RFC 2045 to 2047, 2183, 2231) write it.
//!
//! There is no `From`, no `Date` and no `Message-ID`: Gmail fills them in when it sends, `From` with the account's own
//! address. So the bytes depend on the arguments alone, and no argument can choose a sender.
//!
//! No argument can add a header, a recipient or a part: header values are addresses, message ids, encoded words or one
//! line of plain ASCII; texts and attachments are base64, in which no boundary can stand; and the one thing that stands
//! as it is, a forwarded mail, is looked through for the boundary.

mod around;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger_canonical::Digest;

use crate::address::Address;
use crate::codec::attachment::Attachment;

pub use around::{Around, Lines};

/// Where lines are folded (RFC 5322 section 2.1.1). Only one address that is longer alone makes a longer line.
const FOLD: usize = 78;
/// Longest line with an encoded word in it, and of base64 (RFC 2047 section 2, RFC 2045 section 6.8).
const ENCODED_LINE: usize = 76;
/// Longest encoded word (RFC 2047 section 2).
const WORD_MAX: usize = 75;
const WORD_START: &str = "=?UTF-8?B?";
const WORD_END: &str = "?=";
/// How much of a name stands in one piece of a parameter (RFC 2231 section 3).
const NAME_PIECE: usize = 48;

/// The mail cannot be written. It never repeats a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// A control character, such as a line end, in the subject.
    #[error("the subject has a line end or another control character")]
    Subject,
    /// Nobody in to, cc and bcc.
    #[error("the mail has no recipient")]
    NoRecipient,
    /// What it answers is not named by message ids (RFC 5322 section 3.6.4).
    #[error("what the mail answers is not a message id")]
    Reference,
    /// No boundary was found that is absent from the content; it would take a broken hash.
    #[error("no boundary fits the content")]
    Boundary,
}

/// What a mail is made of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mail<'a> {
    /// Recipients.
    pub to: &'a [Address],
    /// Recipients of a copy.
    pub cc: &'a [Address],
    /// Recipients of a blind copy. Gmail takes this header off before it delivers.
    pub bcc: &'a [Address],
    /// Where answers should go; none means to the sender.
    pub reply_to: &'a [Address],
    /// Whether a mail without recipients will do, as it does for a draft.
    pub unaddressed: bool,
    /// The subject, one line of any text.
    pub subject: &'a str,
    /// The message id of the mail that this one answers, with its angle brackets; empty for none.
    pub in_reply_to: &'a str,
    /// The message ids of the thread, oldest first, apart by spaces; empty for none.
    pub references: &'a str,
    /// The text. Its line ends, of whatever kind, become CRLF.
    pub body: &'a str,
    /// What stands below the text, after an empty line; empty for nothing.
    pub quote: &'a str,
    /// What is attached, in this order.
    pub attachments: &'a [Attachment],
    /// A whole mail that is attached as it is, after the rest; only whom it went to blindly is left out of it.
    pub original: Option<&'a [u8]>,
}

/// The whole mail. Every byte of it is ASCII (but for those of an original), every line ends with CRLF, the same mail
/// gives the same bytes.
///
/// # Errors
/// [`MailError`] for a subject with control characters, for a mail without any recipient that needs one, and for
/// message ids that are none.
pub fn render(mail: &Mail<'_>) -> Result<Vec<u8>, MailError> {
    let head = head(mail)?;
    let text = text_part(mail);
    if mail.attachments.is_empty() && mail.original.is_none() {
        return Ok((head + &text).into_bytes());
    }
    let parts = parts(text, mail);
    let boundary = border(&parts)?;
    let mut out = with_parts(head, &boundary, &parts);
    out.extend(closing(&boundary).into_bytes());
    Ok(out)
}

/// The header fields, but for those that say what the body is.
fn head(mail: &Mail<'_>) -> Result<String, MailError> {
    let Mail { to, cc, bcc, reply_to, unaddressed, subject, in_reply_to, references, .. } = *mail;
    if subject.chars().any(char::is_control) {
        return Err(MailError::Subject);
    }
    if !unaddressed && to.is_empty() && cc.is_empty() && bcc.is_empty() {
        return Err(MailError::NoRecipient);
    }
    let mut out = String::with_capacity(1024);
    out.push_str("MIME-Version: 1.0\r\n");
    for (name, list) in [("To", to), ("Cc", cc), ("Bcc", bcc), ("Reply-To", reply_to)] {
        addresses(&mut out, name, list);
    }
    write_subject(&mut out, subject);
    message_ids(&mut out, "In-Reply-To", in_reply_to)?;
    message_ids(&mut out, "References", references)?;
    Ok(out)
}

/// The text with the headers that say how it is written.
fn text_part(mail: &Mail<'_>) -> String {
    let mut text = crlf(mail.body);
    if !mail.quote.is_empty() {
        text.truncate(text.trim_end().len());
        text.push_str(if text.is_empty() { "" } else { "\r\n\r\n" });
        text.push_str(&crlf(mail.quote));
    }
    let mut out =
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_owned();
    base64_lines(&mut out, text.as_bytes());
    out
}

fn base64_lines(out: &mut String, bytes: &[u8]) {
    let text = STANDARD.encode(bytes);
    for line in pieces(&text, ENCODED_LINE) {
        out.push_str(line);
        out.push_str("\r\n");
    }
}

/// A mail without the header fields that name blind recipients. The head is read as the most lenient reader would: any
/// line end counts, blanks before the colon and case do not.
fn without_bcc(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len());
    let (mut rest, mut fresh, mut left_out) = (mail, true, false);
    while let Some(first) = rest.first() {
        // Only an empty line that every reader sees ends the head.
        if fresh && (rest.starts_with(b"\r\n") || *first == b'\n') {
            break;
        }
        let end = rest
            .iter()
            .position(|b| matches!(b, b'\r' | b'\n'))
            .map_or(rest.len(), |at| if rest[at..].starts_with(b"\r\n") { at + 2 } else { at + 1 });
        let (line, after) = rest.split_at(end);
        if !matches!(first, b' ' | b'\t') {
            let name = line.split(|b| *b == b':').next().unwrap_or_default().trim_ascii_end();
            left_out = name.eq_ignore_ascii_case(b"bcc") || name.eq_ignore_ascii_case(b"resent-bcc");
        }
        if !left_out {
            out.extend_from_slice(line);
        }
        fresh = line.ends_with(b"\n");
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}

/// The text, the attachments and the original, each with its headers.
fn parts(text: String, mail: &Mail<'_>) -> Vec<Vec<u8>> {
    let mut parts: Vec<Vec<u8>> = vec![text.into_bytes()];
    parts.extend(mail.attachments.iter().map(|attachment| attached(attachment).into_bytes()));
    if let Some(original) = mail.original.map(without_bcc) {
        // No other encoding is allowed for a whole mail (RFC 2046 section 5.2.1).
        let encoding = if original.is_ascii() { "7bit" } else { "8bit" };
        let mut part = format!(
            "Content-Type: message/rfc822\r\nContent-Disposition: attachment; filename=\"original.eml\"\r\n\
             Content-Transfer-Encoding: {encoding}\r\n\r\n"
        )
        .into_bytes();
        part.extend_from_slice(&original);
        // The line end before a boundary belongs to the boundary: this one is not the original's.
        part.extend_from_slice(b"\r\n");
        parts.push(part);
    }
    parts
}

/// The beginning of a multipart (RFC 2046 section 5.1) up to the end of its last part.
fn with_parts(head: String, boundary: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    let mut out = head.into_bytes();
    out.extend(format!("Content-Type: multipart/mixed;\r\n boundary=\"{boundary}\"\r\n\r\n").into_bytes());
    for part in parts {
        out.extend(opening(boundary).into_bytes());
        out.extend(part);
        // Without content, the empty line after the headers would be taken for the boundary's.
        if part.ends_with(b"base64\r\n\r\n") {
            out.extend(b"\r\n");
        }
    }
    out
}

/// The line before a part.
fn opening(boundary: &str) -> String {
    format!("--{boundary}\r\n")
}

/// The line after the last part.
fn closing(boundary: &str) -> String {
    format!("--{boundary}--\r\n")
}

/// A boundary out of a SHA-256 of all parts: who writes them cannot choose it. That it stands in none of them is looked
/// up all the same. `=_` stands in no base64 and no quoted-printable.
fn border(parts: &[Vec<u8>]) -> Result<String, MailError> {
    let digests: Vec<u8> = parts.iter().flat_map(|part| *Digest::of(part).as_bytes()).collect();
    for turn in 0_u8..16 {
        let seed = [&[turn], digests.as_slice()].concat();
        let hex: String = Digest::of(&seed).as_bytes().iter().take(24).map(|b| format!("{b:02x}")).collect();
        let boundary = format!("=_{hex}");
        let stands =
            |part: &Vec<u8>| part.windows(boundary.len()).any(|window| window == boundary.as_bytes());
        if !parts.iter().any(stands) {
            return Ok(boundary);
        }
    }
    Err(MailError::Boundary)
}

/// One attachment with its headers.
fn attached(attachment: &Attachment) -> String {
    let mut kind = attachment.media_type().to_owned();
    if kind.starts_with("text/") && std::str::from_utf8(attachment.content()).is_ok() {
        kind.push_str("; charset=utf-8");
    }
    let mut out = file_head(&kind, attachment.name());
    base64_lines(&mut out, attachment.content());
    out
}

/// The headers of a file, whose content follows in base64.
fn file_head(kind: &str, name: &str) -> String {
    let mut out = format!("Content-Type: {kind}\r\nContent-Disposition: attachment;");
    file_name(&mut out, name);
    out.push_str("\r\nContent-Transfer-Encoding: base64\r\n\r\n");
    out
}

/// The parameter `filename`: quoted where it is plain and short, else in the pieces of RFC 2231, each on a line.
fn file_name(out: &mut String, name: &str) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b" ._-()+,".contains(&b);
    if name.len() <= NAME_PIECE && name.bytes().all(plain) {
        out.push_str(&format!("\r\n filename=\"{name}\""));
        return;
    }
    // Whole characters only: some readers decode each piece alone.
    let encoded = name.chars().map(|c| {
        let mut octets = [0; 4];
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
            return c.to_string();
        }
        c.encode_utf8(&mut octets).bytes().map(|b| format!("%{b:02X}")).collect::<String>()
    });
    let mut pieces = vec![String::new()];
    for character in encoded {
        if pieces.last().is_some_and(|piece| piece.len() + character.len() > NAME_PIECE) {
            pieces.push(String::new());
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push_str(&character);
        }
    }
    if let [only] = pieces.as_slice() {
        out.push_str(&format!("\r\n filename*=UTF-8''{only}"));
        return;
    }
    let last = pieces.len() - 1;
    for (n, piece) in pieces.iter().enumerate() {
        let (start, end) = (if n == 0 { "UTF-8''" } else { "" }, if n == last { "" } else { ";" });
        out.push_str(&format!("\r\n filename*{n}*={start}{piece}{end}"));
    }
}

/// A header of message ids, one a line; nothing at all for none.
fn message_ids(out: &mut String, name: &str, ids: &str) -> Result<(), MailError> {
    let ids: Vec<&str> = ids.split(' ').filter(|id| !id.is_empty()).collect();
    if !ids.iter().all(|id| is_message_id(id)) {
        return Err(MailError::Reference);
    }
    if !ids.is_empty() {
        out.push_str(&format!("{name}: {}\r\n", ids.join("\r\n ")));
    }
    Ok(())
}

/// Whether this is a message id that stands on one line: `<`, up to 250 visible ASCII characters, `>`.
pub(super) fn is_message_id(text: &str) -> bool {
    let inner = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or_default();
    (1..=250).contains(&inner.len()) && inner.bytes().all(|b| b.is_ascii_graphic() && !b"<>".contains(&b))
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
