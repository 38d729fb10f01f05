//! Bytes in some character set, as text.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// Decodes `bytes`, labelled `charset` (a MIME charset, as in RFC 2046; empty for none).
///
/// Bytes that are valid UTF-8 are taken as UTF-8 whatever the label says (Gmail relabels nothing when it converts),
/// unless the label names an encoding that is itself 7-bit. Unknown labels fall back to windows-1252, which knows every
/// byte. Returns no error: what cannot be decoded becomes U+FFFD.
#[must_use]
pub fn decode(bytes: &[u8], charset: &str) -> String {
    let named = Encoding::for_label_no_replacement(charset.trim().as_bytes());
    let stateful = named.is_some_and(|encoding| !encoding.is_ascii_compatible());
    if !stateful && let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let encoding = match named {
        // Labelled UTF-8 and not valid: some characters are broken, most are not.
        Some(encoding) => encoding,
        None if charset.trim().is_empty() && mostly_utf8(bytes) => UTF_8,
        None => WINDOWS_1252,
    };
    encoding.decode(bytes).0.into_owned()
}

/// Whether only the end of the bytes is not UTF-8: a text that was cut.
fn mostly_utf8(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(fault) => fault.error_len().is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charsets() {
        for (bytes, charset, expected) in [
            (&b"plain"[..], "us-ascii", "plain"),
            ("Grüße".as_bytes(), "utf-8", "Grüße"),
            ("Grüße".as_bytes(), "", "Grüße"),
            (b"Gr\xfc\xdfe", "ISO-8859-1", "Grüße"),
            (b"Gr\xfc\xdfe", "", "Grüße"),
            (b"\x80 5", "latin1", "€ 5"),
            (b"\xf0\xd2\xc9", "koi8-r", "При"),
            (b"\x1b$B$3$s\x1b(B", "iso-2022-jp", "こん"),
            ("Grüße".as_bytes(), "iso-8859-1", "Grüße"),
            (b"Gr\xfc\xdfe", "no-such-charset", "Grüße"),
            (b"a\xffb", "utf-8", "a\u{fffd}b"),
            (b"x", "utf-7", "x"),
        ] {
            assert_eq!(decode(bytes, charset), expected, "{charset}");
        }
    }
}
