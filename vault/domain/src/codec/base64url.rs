//! base64url (RFC 4648 section 5), the form in which Gmail takes a whole mail.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};

/// The bytes as base64url, *with* padding: it is what Gmail's own examples send.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE.encode(bytes)
}

/// The bytes of a text in base64url, with or without padding; `None` for a text that is none.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn vectors() {
        // RFC 4648 section 10, and two bytes where the alphabets differ.
        for (bytes, text) in [
            (b"".as_slice(), ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg=="),
            (&[0xfb, 0xff], "-_8="),
        ] {
            assert_eq!(encode(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn reads_back(bytes in any::<Vec<u8>>()) {
            let text = encode(&bytes);
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=".contains(&b)));
            prop_assert_eq!(text.len() % 4, 0);
            prop_assert_eq!(decode(text.trim_end_matches('=')), Some(bytes.clone()));
            prop_assert_eq!(URL_SAFE.decode(text).unwrap(), bytes);
        }
    }
}
