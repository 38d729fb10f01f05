//! Where the credential goes into a request, and nowhere else.
//!
//! Copies made here are wiped when the request is dropped. What the HTTP library writes into its own send buffer stays
//! there for as long as the connection is kept, and is wiped with it by the program's allocator.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::request;
use super::watch::{Needles, form_values};
use crate::port::{Inject, UpstreamFault};

const UNFIT: UpstreamFault = UpstreamFault::Connect("the credential does not fit into a request");
const TWICE: UpstreamFault = UpstreamFault::Connect("the request already has what the credential would be");

/// Puts the credential into headers or body and tells `needles` what must not come back. Returns the body to send.
///
/// # Errors
/// [`UpstreamFault::Connect`] if the credential holds bytes that its place cannot carry (a line break would be a
/// header of its own), if it is empty, or if its place is taken. The message names no value.
pub(super) fn place(
    inject: Inject,
    headers: &mut HeaderMap,
    body: Bytes,
    needles: &mut Needles,
) -> Result<Bytes, UpstreamFault> {
    match inject {
        Inject::Nothing => Ok(body),
        Inject::Bearer(token) => {
            // EXPOSE: the token becomes the header that the upstream wants, and a pattern to look for.
            let token = token.expose_secret();
            if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
                return Err(UNFIT);
            }
            needles.add(token);
            put(headers, AUTHORIZATION, joined(&[b"Bearer ", token]))?;
            Ok(body)
        }
        Inject::Header(name, value) => {
            // Some services want `Authorization: token …`; every other header of the connection stays ours.
            if name != AUTHORIZATION && request::is_ours(&name) {
                return Err(UNFIT);
            }
            // EXPOSE: the value becomes the header that the upstream wants, and a pattern to look for.
            let value = value.expose_secret();
            let fits = |b: &u8| b.is_ascii_graphic() || *b == b' ';
            if value.is_empty() || !value.iter().all(fits) || value.starts_with(b" ") || value.ends_with(b" ")
            {
                return Err(UNFIT);
            }
            needles.add(value);
            put(headers, name, joined(&[value]))?;
            Ok(body)
        }
        Inject::Basic { user, password } => {
            // EXPOSE: user and password become one header (RFC 7617), and patterns to look for.
            let password = password.expose_secret();
            // RFC 7617, section 2: a colon would end the user id; neither part holds control characters.
            if user.contains(':')
                || user.chars().any(char::is_control)
                || password.iter().any(u8::is_ascii_control)
            {
                return Err(UNFIT);
            }
            if password.is_empty() {
                return Err(UNFIT);
            }
            let pair = joined(&[user.as_bytes(), b":", password]);
            needles.add(password);
            needles.add(&pair);
            let encoded = Zeroizing::new(STANDARD.encode(&pair));
            put(headers, AUTHORIZATION, joined(&[b"Basic ", encoded.as_bytes()]))?;
            Ok(body)
        }
        Inject::Form(form) => {
            if !body.is_empty() {
                return Err(TWICE);
            }
            // EXPOSE: the form becomes the body, and it and its secret fields patterns to look for.
            let form = form.expose_secret();
            if !form.iter().all(u8::is_ascii_graphic) {
                return Err(UNFIT);
            }
            needles.add(form);
            for value in form_values(form) {
                needles.add(&value);
            }
            headers
                .entry(CONTENT_TYPE)
                .or_insert(HeaderValue::from_static("application/x-www-form-urlencoded"));
            Ok(Bytes::from_owner(joined(&[form])))
        }
    }
}

/// One wiped buffer of the right size, so that growing leaves no copy behind.
fn joined(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let mut whole = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        whole.extend_from_slice(part);
    }
    whole
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Zeroizing<Vec<u8>>) -> Result<(), UpstreamFault> {
    if headers.contains_key(&name) {
        return Err(TWICE);
    }
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(value)).map_err(|_| UNFIT)?;
    // Not shown by Debug, and never put into HTTP/2's compression table (RFC 7541, section 7.1.3).
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

    use claviger_domain::secret::SecretBytes;

    use super::*;

    fn secret(text: &str) -> SecretBytes {
        SecretBytes::from_text(text.to_owned())
    }

    fn placed(inject: Inject) -> Result<(HeaderMap, Bytes), UpstreamFault> {
        let mut headers = HeaderMap::new();
        let body = place(inject, &mut headers, Bytes::new(), &mut Needles::default())?;
        Ok((headers, body))
    }

    #[test]
    fn each_kind_goes_to_its_place() {
        let (headers, _) = placed(Inject::Bearer(secret("abc.DEF"))).unwrap();
        assert_eq!(headers["authorization"], "Bearer abc.DEF");
        assert!(headers["authorization"].is_sensitive());
        let (headers, _) = placed(Inject::Header("x-api-key".parse().unwrap(), secret("k 1"))).unwrap();
        assert_eq!(headers["x-api-key"], "k 1");
        assert!(headers["x-api-key"].is_sensitive());
        let (headers, _) = placed(Inject::Header(AUTHORIZATION, secret("token abc"))).unwrap();
        assert_eq!(headers["authorization"], "token abc");
        // The example of RFC 7617, section 2.
        let user = "Aladdin".to_owned();
        let (headers, _) = placed(Inject::Basic { user, password: secret("open sesame") }).unwrap();
        assert_eq!(headers["authorization"], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(headers["authorization"].is_sensitive());
        let (headers, body) = placed(Inject::Form(secret("a=1&b=2"))).unwrap();
        assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
        assert_eq!(body, "a=1&b=2");
        let (headers, body) = placed(Inject::Nothing).unwrap();
        assert!(headers.is_empty() && body.is_empty());
    }

    #[test]
    fn what_would_break_out_of_its_place_is_refused_without_echo() {
        const CANARY: &str = "canary-7f3a";
        let with = |tail: &str| secret(&format!("{CANARY}{tail}"));
        let name = || HeaderName::from_static("x-key");
        let mut cases = Vec::new();
        for tail in ["\r\nx: y", "\n", "\r", "\0", "\x7f", "ä", "\u{1b}"] {
            cases.push(Inject::Bearer(with(tail)));
            cases.push(Inject::Header(name(), with(tail)));
            cases.push(Inject::Form(with(tail)));
            if tail != "ä" {
                cases.push(Inject::Basic { user: "u".to_owned(), password: with(tail) });
                cases.push(Inject::Basic { user: format!("u{tail}"), password: with("") });
            }
        }
        cases.push(Inject::Bearer(with(" two words")));
        cases.push(Inject::Header(name(), with(" ")));
        cases.push(Inject::Basic { user: "a:b".to_owned(), password: with("") });
        for name in
            ["host", "cookie", "content-length", "transfer-encoding", "connection", "proxy-authorization"]
        {
            cases.push(Inject::Header(HeaderName::from_static(name), with("")));
        }
        cases.push(Inject::Bearer(secret("")));
        cases.push(Inject::Header(name(), secret("")));
        cases.push(Inject::Basic { user: "u".to_owned(), password: secret("") });
        for inject in cases {
            let shown = format!("{inject:?}");
            let fault = placed(inject).expect_err(&shown);
            assert!(fault.nothing_sent());
            assert!(!format!("{fault:?} {fault}").contains(CANARY));
        }
    }

    #[test]
    fn a_place_that_is_taken_is_not_overwritten() {
        let mut headers = HeaderMap::new();
        headers.insert("x-key", HeaderValue::from_static("mine"));
        let inject = Inject::Header("x-key".parse().unwrap(), secret("k"));
        assert!(place(inject, &mut headers, Bytes::new(), &mut Needles::default()).is_err());
        let body = Bytes::from_static(b"body");
        assert!(place(Inject::Form(secret("a=b")), &mut headers, body, &mut Needles::default()).is_err());
    }
}
