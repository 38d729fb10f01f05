//! base64url (RFC 4648 section 5), the form in which Gmail takes a whole mail.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;

/// The bytes as base64url, *with* padding: it is what Gmail's own examples send.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE.encode(bytes)
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
            prop_assert_eq!(URL_SAFE.decode(text).unwrap(), bytes);
        }
    }
}
