//! An answer is read within limits and looked through, whole, before anybody sees any of it.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use zeroize::Zeroizing;

use super::request::Expect;
use super::watch::Watcher;
use crate::port::{Answer, UpstreamFault};

/// How many headers an answer may have.
pub(super) const MAX_HEADERS: usize = 100;
/// How long all names and values of an answer's headers may be together, in bytes.
pub(super) const MAX_HEADER_BYTES: usize = 64 * 1024;

const TOO_LONG: UpstreamFault = UpstreamFault::Answer("it is longer than allowed");

/// Takes the answer, or refuses it.
///
/// # Errors
/// [`UpstreamFault::Echo`] if a watched secret is in a header or in the body; [`UpstreamFault::Redirect`] for every
/// status of 3xx; [`UpstreamFault::Answer`] if it is over a limit or encoded; [`UpstreamFault::Broken`] if it ends
/// early.
pub(super) async fn take(response: Response<Incoming>, expect: &Expect) -> Result<Answer, UpstreamFault> {
    let (head, mut incoming) = response.into_parts();
    let status = head.status.as_u16();
    check_headers(&head.headers, expect)?;
    match status {
        308 if expect.resumes => {}
        300..=399 => return Err(UpstreamFault::Redirect(status)),
        200..=299 | 400..=599 => {}
        _ => return Err(UpstreamFault::Answer("its status is not one that is passed on")),
    }
    check_encoding(&head.headers)?;
    let announced = if expect.head { None } else { length(&head.headers)? };
    if announced.is_some_and(|length| length > expect.max_answer as u64) {
        return Err(TOO_LONG);
    }

    let mut watcher = expect.needles.as_ref().map(|needles| Watcher::new(Arc::clone(needles)));
    // Wiped when the last holder lets go of it: a token endpoint's answer is nothing but secrets.
    let room = announced.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    while let Some(frame) = incoming.frame().await {
        // Trailers are read past: nothing of ours looks at them, and nobody gets them.
        let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        if data.len() > expect.max_answer - body.len() {
            return Err(TOO_LONG);
        }
        if watcher.as_mut().is_some_and(|watcher| watcher.feed(&data)) {
            return Err(UpstreamFault::Echo);
        }
        body.extend_from_slice(&data);
    }
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    Ok(Answer { status, headers, body: Bytes::from_owner(body) })
}

pub(super) fn check_headers(headers: &HeaderMap, expect: &Expect) -> Result<(), UpstreamFault> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        return Err(UpstreamFault::Answer("its headers are too many or too long"));
    }
    let Some(needles) = &expect.needles else { return Ok(()) };
    let echoes = |value: &[u8]| !needles.exceed(value.len()) && Watcher::new(Arc::clone(needles)).feed(value);
    if headers.values().any(|value| echoes(value.as_bytes())) {
        return Err(UpstreamFault::Echo);
    }
    Ok(())
}

/// What is compressed cannot be looked through, and we said that we take identity only. A transfer coding besides
/// `chunked` would be compression by another name (RFC 9112, section 7).
pub(super) fn check_encoding(headers: &HeaderMap) -> Result<(), UpstreamFault> {
    let only = |name: HeaderName, fine: &str| {
        headers.get_all(name).iter().all(|value| {
            value.as_bytes().split(|b| *b == b',').all(|one| {
                let one = one.trim_ascii();
                one.is_empty() || one.eq_ignore_ascii_case(fine.as_bytes())
            })
        })
    };
    if only(CONTENT_ENCODING, "identity") && only(TRANSFER_ENCODING, "chunked") {
        Ok(())
    } else {
        Err(UpstreamFault::Answer("it is encoded, though identity was asked for"))
    }
}

/// The announced length of the body, in bytes.
pub(super) fn length(headers: &HeaderMap) -> Result<Option<u64>, UpstreamFault> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter().map(|value| {
        let digits = value.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        digits
            .and_then(|digits| digits.parse::<u64>().ok())
            .ok_or(UpstreamFault::Answer("its length is not a number"))
    });
    let first = lengths.next().transpose()?;
    for other in lengths {
        if Some(other?) != first {
            return Err(UpstreamFault::Answer("it has two lengths"));
        }
    }
    Ok(first)
}

/// Says in words of our own why an exchange broke off; a peer's words are not repeated.
pub(super) fn broken(error: &hyper::Error) -> UpstreamFault {
    if error.is_parse_too_large() {
        UpstreamFault::Answer("its headers are too many or too long")
    } else if error.is_parse() {
        UpstreamFault::Answer("it is not HTTP")
    } else if error.is_incomplete_message() {
        UpstreamFault::Broken("it closed before the answer was complete")
    } else {
        UpstreamFault::Broken("it failed before the answer was complete")
    }
}
