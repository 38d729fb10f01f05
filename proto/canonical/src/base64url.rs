//! base64url without padding (RFC 4648 section 5), with exactly one text for each byte string.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Returns the text of `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let octet = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = octet(0) << 16 | octet(1) << 8 | octet(2);
        // n octets need n + 1 characters.
        for shift in [18, 12, 6, 0].into_iter().take(chunk.len() + 1) {
            text.push(char::from(ALPHABET[(group >> shift & 0x3f) as usize]));
        }
    }
    text
}

/// Returns the bytes of `text`, or `None` if it is not exactly what [`encode`] gives for them: padding, whitespace,
/// characters of plain base64, impossible lengths and unused bits that are not zero are all refused.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        let mut group = 0u32;
        for character in chunk {
            group = group << 6 | sextet(*character)?;
        }
        // Octets carried by the chunk, and bits left over.
        let (octets, unused) = match chunk.len() {
            4 => (3, 0),
            3 => (2, 2),
            2 => (1, 4),
            _ => return None,
        };
        if group & ((1 << unused) - 1) != 0 {
            return None;
        }
        let [_, octet @ ..] = (group >> unused).to_be_bytes();
        bytes.extend_from_slice(&octet[3 - octets..]);
    }
    Some(bytes)
}

fn sextet(character: u8) -> Option<u32> {
    Some(u32::from(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 4648 section 10, without padding, and both characters that differ from plain base64.
    #[test]
    fn rfc_4648() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (b"fooba", "Zm9vYmE"),
            (b"foobar", "Zm9vYmFy"),
            (b"\xfb\xff\xfe", "-__-"),
        ] {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn any_other_text_is_refused() {
        for text in
            ["Zg==", "Zg=", "Zm8=", "Z", "Zm9vY", "Zh", "Zm9", "Zm 8", "Zm8\n", "+_", "//8", "Zmö", "Zg\0"]
        {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    /// Every text of up to three characters either is the encoding of what it decodes to, or is refused.
    #[test]
    fn one_text_for_each_byte_string() {
        let characters: Vec<u8> = (0x20..0x7f).collect();
        for first in &characters {
            for second in &characters {
                for text in [vec![*first, *second], vec![b'Z', *first, *second]] {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    if let Some(bytes) = decode(&text) {
                        assert_eq!(encode(&bytes), text);
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn what_decodes_encodes_back(text in "[A-Za-z0-9_=-]{0,40}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
