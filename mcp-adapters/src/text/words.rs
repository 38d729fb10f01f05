//! Encoded words in headers (RFC 2047): `=?utf-8?B?R3LDvMOfZQ==?=`.

use base64::Engine;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::engine::{DecodePaddingMode, GeneralPurpose};

use super::{charset, clean};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// How long an encoded word may be, in bytes.
const LONGEST: usize = 1024;

/// Replaces the encoded words of a header's value by what they say. What is not well-formed stays as it is.
#[must_use]
pub fn decode(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    let mut after_word = false;
    while let Some(start) = rest.find("=?") {
        let (before, from) = rest.split_at(start);
        // White space between two encoded words is not part of the text (section 6.2).
        if !(after_word && before.trim().is_empty()) {
            out.push_str(before);
        }
        match word(from) {
            Some((text, length)) => {
                out.push_str(&text);
                rest = &from[length..];
                after_word = true;
            }
            None => {
                out.push_str("=?");
                rest = &from[2..];
                after_word = false;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The encoded word at the beginning of `text`: what it says, and its length in bytes.
fn word(text: &str) -> Option<(String, usize)> {
    // 75 characters are allowed, some programs write more; without a bound, a header of false beginnings would be read
    // to its end from each of them.
    let text = clean::head(text, LONGEST);
    let mut parts = text.strip_prefix("=?")?.splitn(3, '?');
    let (charset, encoding, tail) = (parts.next()?, parts.next()?, parts.next()?);
    let data = &tail[..tail.find("?=")?];
    // RFC 2231 allows a language after the charset.
    let label = charset.split('*').next()?;
    let fine = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic());
    if !fine(label) || data.bytes().any(|b| !b.is_ascii_graphic()) {
        return None;
    }
    let bytes = match encoding {
        "B" | "b" => BASE64.decode(data).ok()?,
        "Q" | "q" => quoted(data)?,
        _ => return None,
    };
    let length = 2 + charset.len() + 1 + encoding.len() + 1 + data.len() + 2;
    Some((charset::decode(&bytes, label), length))
}

fn quoted(data: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(data.len());
    let mut bytes = data.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'_' => b' ',
            b'=' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words() {
        for (input, expected) in [
            ("plain", "plain"),
            ("=?utf-8?B?R3LDvMOfZQ==?=", "Grüße"),
            ("=?UTF-8?b?R3LDvMOfZQ?= x", "Grüße x"),
            ("=?iso-8859-1?Q?Gr=FC=DFe_an?= <a@example.com>", "Grüße an <a@example.com>"),
            ("=?utf-8?Q?a?= =?utf-8?Q?b?= c", "ab c"),
            ("=?utf-8*de?Q?a?=", "a"),
            ("a =? b", "a =? b"),
            ("=?utf-8?B?!!!?=", "=?utf-8?B?!!!?="),
            ("=?utf-8?Q?=GG?=", "=?utf-8?Q?=GG?="),
            ("=?utf-8?X?a?=", "=?utf-8?X?a?="),
            ("=?utf-8?Q?unended", "=?utf-8?Q?unended"),
            ("=?", "=?"),
        ] {
            assert_eq!(decode(input), expected, "{input}");
        }
    }

    #[test]
    fn hostile_headers_take_linear_time() {
        // Quadratic work here would take minutes.
        for hostile in ["=?".repeat(200_000), "x=?a?b".repeat(100_000)] {
            assert_eq!(decode(&hostile), hostile);
        }
    }
}
