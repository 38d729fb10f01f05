//! `application/x-www-form-urlencoded`, the body of OAuth token requests (RFC 6749 appendix B).

use zeroize::Zeroizing;

/// The `Content-Type` that goes with [`encode`].
pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

/// Names and values in the order given, as a form; empty for no pairs.
///
/// Letters, digits and `* - . _` stay, a space is `+`, all other bytes are `%XX`, as browsers do it (WHATWG URL,
/// section 5.2). The values are client secrets, codes and refresh tokens: the buffer is wiped when it is dropped, and
/// is made large enough at once, so that growing leaves no copy behind.
#[must_use]
pub fn encode<N: AsRef<[u8]>, V: AsRef<[u8]>>(pairs: &[(N, V)]) -> Zeroizing<Vec<u8>> {
    let room = pairs.iter().map(|(name, value)| 3 * (name.as_ref().len() + value.as_ref().len()) + 2).sum();
    let mut out = Zeroizing::new(Vec::with_capacity(room));
    for (i, (name, value)) in pairs.iter().enumerate() {
        if i > 0 {
            out.push(b'&');
        }
        component(&mut out, name.as_ref());
        out.push(b'=');
        component(&mut out, value.as_ref());
    }
    out
}

fn component(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &b in bytes {
        if b.is_ascii_alphanumeric() || b"*-._".contains(&b) {
            out.push(b);
        } else if b == b' ' {
            out.push(b'+');
        } else {
            out.extend([b'%', HEX[usize::from(b >> 4)], HEX[usize::from(b & 0xf)]]);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms() {
        let none: [(&str, &str); 0] = [];
        assert_eq!(encode(&none).as_slice(), b"");
        assert_eq!(
            encode(&[
                ("grant_type", "refresh_token"),
                ("scope", "a b"),
                ("refresh_token", "1//0g&x=y+z"),
                ("e", "")
            ])
            .as_slice(),
            b"grant_type=refresh_token&scope=a+b&refresh_token=1%2F%2F0g%26x%3Dy%2Bz&e="
        );
        // RFC 6749, appendix B.
        assert_eq!(encode(&[("v", " %&+\u{a3}\u{20ac}")]).as_slice(), b"v=+%25%26%2B%C2%A3%E2%82%AC");
        assert_eq!(encode(&[("k", [0_u8, 0xff].as_slice())]).as_slice(), b"k=%00%FF");
    }

    fn decode(component: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut bytes = component.iter().copied();
        while let Some(b) = bytes.next() {
            out.push(match b {
                b'+' => b' ',
                b'%' => {
                    let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
                }
                b => b,
            });
        }
        out
    }

    proptest! {
        #[test]
        fn a_form_has_the_pairs_it_was_given_and_never_grew(
            pairs in proptest::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..5)
        ) {
            let form = encode(&pairs);
            let room: usize = pairs.iter().map(|(n, v)| 3 * (n.len() + v.len()) + 2).sum();
            prop_assert!(form.len() <= room && form.capacity() == room);
            let read: Vec<(Vec<u8>, Vec<u8>)> = form
                .split(|b| *b == b'&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| pair.split_at(pair.iter().position(|b| *b == b'=').unwrap()))
                .map(|(name, value)| (decode(name), decode(&value[1..])))
                .collect();
            prop_assert_eq!(read, pairs);
        }
    }
}
