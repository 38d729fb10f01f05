//! Encoded words (RFC 2047): what a header says, for people.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How long an encoded word may be, in bytes. RFC 2047 section 2 allows 75, but some programs write longer ones; no line of
/// a mail is longer (RFC 5322 section 2.1.1). Without an end to the looking, many beginnings would each be looked through
/// to the end of the header.
const LONGEST: usize = 998;

/// The value with its encoded words decoded, the white space between two of them dropped. A word in a character set that
/// is not known here stays as it is.
pub(super) fn decode(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    let mut after_word = false;
    while let Some(start) = rest.find("=?") {
        let (before, tail) = rest.split_at(start);
        let Some((word, after)) = encoded_word(tail) else {
            out.push_str(before);
            out.push_str("=?");
            rest = &tail[2..];
            after_word = false;
            continue;
        };
        if !(after_word && before.trim().is_empty()) {
            out.push_str(before);
        }
        out.push_str(&word);
        rest = after;
        after_word = true;
    }
    out.push_str(rest);
    out
}

fn encoded_word(whole: &str) -> Option<(String, &str)> {
    let most = (0..=LONGEST.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at)).unwrap_or(0);
    let (near, far) = whole.split_at(most);
    let (charset, rest) = near.strip_prefix("=?")?.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (data, after) = rest.split_once("?=")?;
    let bytes = match encoding {
        "B" | "b" => STANDARD.decode(data).ok()?,
        "Q" | "q" => quoted(data)?,
        _ => return None,
    };
    let charset = charset.split('*').next().unwrap_or_default().to_ascii_lowercase();
    let text = match charset.as_str() {
        "utf-8" | "us-ascii" => String::from_utf8(bytes).ok()?,
        "iso-8859-1" | "iso-8859-15" | "windows-1252" => bytes.into_iter().map(char::from).collect(),
        _ => return None,
    };
    // What follows the word is all that follows it, not only what was near.
    let after = &whole[whole.len() - far.len() - after.len()..];
    Some((text, after))
}

fn quoted(data: &str) -> Option<Vec<u8>> {
    let mut bytes = data.bytes();
    let mut out = Vec::with_capacity(data.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'_' => b' ',
            b'=' => {
                let (high, low) =
                    (char::from(bytes.next()?).to_digit(16)?, char::from(bytes.next()?).to_digit(16)?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    Some(out)
}
