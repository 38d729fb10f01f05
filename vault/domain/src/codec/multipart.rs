//! `multipart/related` (RFC 2387), the form in which Drive takes a new file with its metadata.

use claviger_canonical::Digest;
use serde_json::Value;

/// The body cannot be made. It never repeats the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// Not `type/subtype`, with parameters of plain tokens at most.
    #[error("the content type is not a media type such as text/plain")]
    ContentType,
    /// No boundary was found that is absent from the content; it would take a broken hash.
    #[error("no boundary fits the content")]
    Boundary,
}

/// A part of JSON and a part of bytes: the request's `Content-Type`, and its body.
///
/// The JSON is written compact with sorted members. The boundary comes from a SHA-256 of all parts, so the same
/// arguments give the same bytes, and who writes the content cannot choose the boundary; that it occurs in no part is
/// looked up all the same.
///
/// # Errors
/// [`MultipartError`] when `content_type` is no media type (it becomes a header line inside the body).
pub fn related(
    metadata: &Value,
    content_type: &str,
    content: &[u8],
) -> Result<(String, Vec<u8>), MultipartError> {
    if !is_media_type(content_type) {
        return Err(MultipartError::ContentType);
    }
    let metadata = metadata.to_string();
    let mut seed = Vec::with_capacity(4 + 3 * 32);
    seed.extend([0; 4]);
    for part in [metadata.as_bytes(), content_type.as_bytes(), content] {
        seed.extend(Digest::of(part).as_bytes());
    }
    let boundary = boundary(&[metadata.as_bytes(), content], |turn| {
        seed[..4].copy_from_slice(&turn.to_be_bytes());
        derive(&seed)
    })?;

    let mut body = Vec::with_capacity(metadata.len() + content.len() + content_type.len() + 320);
    for (kind, part) in [("application/json; charset=UTF-8", metadata.as_bytes()), (content_type, content)] {
        body.extend(format!("--{boundary}\r\nContent-Type: {kind}\r\n\r\n").into_bytes());
        body.extend(part);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{boundary}--\r\n").into_bytes());
    Ok((format!("multipart/related; boundary={boundary}"), body))
}

/// The first boundary of at most 16 that occurs in no part.
fn boundary(parts: &[&[u8]], mut derive: impl FnMut(u32) -> String) -> Result<String, MultipartError> {
    for turn in 0..16 {
        let boundary = derive(turn);
        if !parts.iter().any(|part| part.windows(boundary.len()).any(|window| window == boundary.as_bytes()))
        {
            return Ok(boundary);
        }
    }
    Err(MultipartError::Boundary)
}

/// 57 characters that need no quoting (RFC 2046 allows 70).
fn derive(seed: &[u8]) -> String {
    let hex: String = Digest::of(seed).as_bytes().iter().take(24).map(|b| format!("{b:02x}")).collect();
    format!("claviger-{hex}")
}

/// `type/subtype`, then any number of `; name=value`, all of them tokens (RFC 2045 section 5.1).
fn is_media_type(text: &str) -> bool {
    let token = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    let pair = |text: &str, separator| text.split_once(separator).is_some_and(|(a, b)| token(a) && token(b));
    let mut parts = text.split(';');
    text.len() <= 255
        && parts.next().is_some_and(|media| pair(media, '/'))
        && parts.all(|parameter| pair(parameter.strip_prefix(' ').unwrap_or(parameter), '='))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn one_body_byte_for_byte() {
        let (kind, body) =
            related(&json!({ "name": "a.txt", "mimeType": "text/plain" }), "text/plain", b"hi\n").unwrap();
        let boundary = kind.strip_prefix("multipart/related; boundary=").unwrap();
        assert_eq!(boundary.len(), 57);
        assert_eq!(
            String::from_utf8(body).unwrap(),
            format!(
                "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n\
                 {{\"mimeType\":\"text/plain\",\"name\":\"a.txt\"}}\r\n\
                 --{boundary}\r\nContent-Type: text/plain\r\n\r\nhi\n\r\n--{boundary}--\r\n"
            )
        );
    }

    #[test]
    fn a_media_type_has_a_longest() {
        let of = |length: usize| format!("a/{}", "b".repeat(length - 2));
        assert!(is_media_type(&of(255)) && !is_media_type(&of(256)));
    }

    #[test]
    fn the_boundary_comes_from_every_part() {
        let all: std::collections::BTreeSet<String> = [
            related(&json!(1), "text/plain", b"x"),
            related(&json!(2), "text/plain", b"x"),
            related(&json!(1), "text/csv", b"x"),
            related(&json!(1), "text/plain", b"y"),
        ]
        .into_iter()
        .map(|made| made.unwrap().0)
        .collect();
        assert_eq!(all.len(), 4);
        assert_eq!(related(&json!(1), "text/plain", b"x"), related(&json!(1), "text/plain", b"x"));
    }

    #[test]
    fn a_boundary_that_occurs_is_not_used() {
        let parts: [&[u8]; 2] = [b"..b0..", b"b1"];
        assert_eq!(boundary(&parts, |turn| format!("b{turn}")).as_deref(), Ok("b2"));
        assert_eq!(boundary(&parts, |_| "b1".to_owned()), Err(MultipartError::Boundary));
    }

    #[test]
    fn media_types() {
        for good in
            ["text/plain", "application/vnd.api+json", "text/plain; charset=utf-8", "text/csv;header=present"]
        {
            assert!(related(&json!({}), good, b"").is_ok(), "{good:?} was refused");
        }
        let long = format!("text/{}", "p".repeat(251));
        for bad in [
            "",
            "text",
            "/",
            "text/",
            "/plain",
            "text/plain/x",
            "text/plain\r\nX: y",
            "text/plain;",
            "text/plain; charset",
            "text/plain ",
            "text/*",
            "téxt/plain",
            "text/plain; a=\"b\"",
            "text/plain;  a=b",
            "text/plain; a=b=c",
            &long,
        ] {
            assert_eq!(related(&json!({}), bad, b""), Err(MultipartError::ContentType), "{bad:?}");
        }
    }

    fn find(text: &[u8], what: &[u8]) -> Option<usize> {
        text.windows(what.len()).position(|window| window == what)
    }

    proptest! {
        #[test]
        fn there_are_always_two_parts(
            name in any::<String>(),
            kind in "(text/plain|application/json|[a-z]{1,3}/[a-z]{1,3}|\\PC{0,8})",
            content in prop_oneof![any::<Vec<u8>>(), "(--|claviger-|\r\n|[0-9a-f]){0,20}".prop_map(String::into_bytes)],
        ) {
            let metadata = json!({ "name": name });
            if let Ok((header, body)) = related(&metadata, &kind, &content) {
                let boundary = header.strip_prefix("multipart/related; boundary=").unwrap();
                let line = format!("--{boundary}");
                let mut parts = Vec::new();
                let mut rest = body.strip_prefix(line.as_bytes()).unwrap();
                let border = format!("\r\n{line}");
                while let Some(at) = find(rest, border.as_bytes()) {
                    parts.push(&rest[..at]);
                    rest = &rest[at + border.len()..];
                }
                prop_assert_eq!(rest, b"--\r\n");
                prop_assert_eq!(parts.len(), 2);
                let split = |part: &[u8]| {
                    let at = find(part, b"\r\n\r\n").unwrap();
                    (String::from_utf8(part[..at].to_vec()).unwrap(), part[at + 4..].to_vec())
                };
                let (head, json) = split(parts[0]);
                prop_assert_eq!(head, "\r\nContent-Type: application/json; charset=UTF-8");
                prop_assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), metadata);
                let (head, read) = split(parts[1]);
                prop_assert_eq!(head, format!("\r\nContent-Type: {kind}"));
                prop_assert_eq!(read, content);
            }
        }
    }
}
