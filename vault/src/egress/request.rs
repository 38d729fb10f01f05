//! From what the vault rendered to an HTTP request, or to a refusal before anything is sent.

use std::sync::Arc;

use bytes::Bytes;
use claviger_domain::origin::Pin;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HeaderName, USER_AGENT};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::Full;

use super::inject;
use super::watch::Needles;
use crate::port::{Outbound, UpstreamFault};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("claviger/", env!("CARGO_PKG_VERSION")));

/// How the answer to a request is to be taken.
#[derive(Debug)]
pub(super) struct Expect {
    /// What must not come back; `None` where new secrets are expected.
    pub(super) needles: Option<Arc<Needles>>,
    /// The longest body, in bytes.
    pub(super) max_answer: usize,
    /// Whether the answer's length is of a body that does not come (RFC 9110, section 9.3.2).
    pub(super) head: bool,
    /// Whether a 308 is an answer, and no redirect.
    pub(super) resumes: bool,
}

/// Whether a header is set by egress or by HTTP itself, and so is none of a template's business: the credential's,
/// the connection's (RFC 9110, section 7.6.1), the length, a session's.
pub(super) fn is_ours(name: &HeaderName) -> bool {
    const OURS: [&str; 13] = [
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    ];
    OURS.contains(&name.as_str()) || name.as_str().starts_with("proxy-")
}

/// Builds the request with its credential, for an origin that the pin must name.
///
/// # Errors
/// [`UpstreamFault::NotPinned`], or [`UpstreamFault::Connect`] where the request itself is unfit: both are certain
/// that nothing was sent.
pub(super) fn build(pin: &Pin, request: Outbound) -> Result<(Request<Full<Bytes>>, Expect), UpstreamFault> {
    let Outbound {
        method,
        origin,
        path_and_query,
        headers: rendered,
        body,
        inject,
        watch,
        answers_with_secrets,
        max_answer,
        timeout_ms: _,
    } = request;
    if !pin.origins.contains(&origin) {
        return Err(UpstreamFault::NotPinned);
    }
    // CONNECT makes tunnels, TRACE sends a request's headers back.
    if method == Method::CONNECT || method == Method::TRACE {
        return Err(UpstreamFault::Connect("the request's method is not one that is sent"));
    }
    const BAD_PATH: UpstreamFault = UpstreamFault::Connect("the request's path is not one that is sent");
    let path = PathAndQuery::try_from(path_and_query.as_str()).map_err(|_| BAD_PATH)?;
    // What the parser would drop (a fragment) or what is no path (`*`) was not meant by anybody.
    if path.as_str() != path_and_query || !path_and_query.starts_with('/') {
        return Err(BAD_PATH);
    }
    let uri = Uri::builder()
        .scheme(Scheme::HTTPS)
        .authority(origin.authority())
        .path_and_query(path)
        .build()
        .map_err(|_| BAD_PATH)?;

    let mut headers = HeaderMap::new();
    for (name, value) in rendered {
        if is_ours(&name) {
            return Err(UpstreamFault::Connect("the request carries a header that is not its own to set"));
        }
        headers.append(name, value);
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, AGENT);

    let mut needles = Needles::default();
    for secret in &watch {
        // EXPOSE: becomes a pattern to look for in the answer, held in memory that is wiped.
        needles.add(secret.expose_secret());
    }
    let body = inject::place(inject, &mut headers, body, &mut needles)?;
    // RFC 9110, section 8.6: of what could have a body it is said that there is none. Some refuse what says nothing.
    if body.is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(&method) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }

    let expect = Expect {
        needles: (!answers_with_secrets).then(|| Arc::new(needles)),
        max_answer,
        head: method == Method::HEAD,
        resumes: false,
    };
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok((request, expect))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

    use claviger_domain::secret::SecretBytes;

    use super::*;
    use crate::port::Inject;

    fn outbound(path: &str) -> Outbound {
        Outbound {
            method: Method::GET,
            origin: "https://api.example:8443".parse().unwrap(),
            path_and_query: path.to_owned(),
            headers: vec![("accept".parse().unwrap(), HeaderValue::from_static("application/json"))],
            body: Bytes::new(),
            inject: Inject::Bearer(SecretBytes::from_text("token".to_owned())),
            watch: vec![],
            answers_with_secrets: false,
            max_answer: 10,
            timeout_ms: 10,
        }
    }

    fn pin() -> Pin {
        let origins = vec!["https://api.example:8443".parse().unwrap()];
        Pin { origins, private: false, roots_pem: None }
    }

    #[test]
    fn a_request_is_what_was_rendered_and_what_is_ours() {
        let (request, _) = build(&pin(), outbound("/v1/x?a=%2F&b")).unwrap();
        assert_eq!(request.uri().to_string(), "https://api.example:8443/v1/x?a=%2F&b");
        assert_eq!(request.headers()["accept"], "application/json");
        assert_eq!(request.headers()["accept-encoding"], "identity");
        assert_eq!(request.headers()["authorization"], "Bearer token");
        assert!(request.headers()["user-agent"].to_str().unwrap().starts_with("claviger/"));
        assert_eq!(request.headers().len(), 4);
    }

    #[test]
    fn other_origins_are_not_pinned() {
        for origin in ["https://api.example", "https://other.example:8443", "https://api.example:8444"] {
            let request = Outbound { origin: origin.parse().unwrap(), ..outbound("/") };
            assert_eq!(build(&pin(), request).unwrap_err(), UpstreamFault::NotPinned, "{origin}");
        }
        // However the path looks, the authority stays the pinned one.
        for path in ["//evil.example/", "/@evil.example/", "/\\evil.example"] {
            if let Ok((request, _)) = build(&pin(), outbound(path)) {
                assert_eq!(request.uri().authority().unwrap(), "api.example:8443", "{path}");
            }
        }
    }

    #[test]
    fn unfit_requests_are_refused_before_anything_is_sent() {
        for path in
            ["", "x", "*", "/a#b", "/a b", "https://evil.example/", "@evil.example/", "/a\r\nx: y", "/\0"]
        {
            let fault = build(&pin(), outbound(path)).expect_err(path);
            assert!(fault.nothing_sent(), "{path:?}");
        }
        for name in [
            "authorization",
            "host",
            "cookie",
            "connection",
            "transfer-encoding",
            "content-length",
            "te",
            "upgrade",
            "proxy-authorization",
            "proxy-connection",
            "accept-encoding",
            "user-agent",
            "expect",
            "keep-alive",
        ] {
            let headers = vec![(name.parse().unwrap(), HeaderValue::from_static("canary"))];
            let fault = build(&pin(), Outbound { headers, ..outbound("/") }).expect_err(name);
            assert!(fault.nothing_sent() && !format!("{fault}{fault:?}").contains("canary"), "{name}");
        }
        for method in [Method::CONNECT, Method::TRACE] {
            assert!(build(&pin(), Outbound { method, ..outbound("/") }).unwrap_err().nothing_sent());
        }
    }
}
