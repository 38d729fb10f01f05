//! Who is meant, and from where: `Host`, `Origin`, and what browsers add of their own.
//!
//! A page in a browser can have a name of its own resolve to 127.0.0.1 and then speak to any port of this machine as if it
//! were the page's own server (DNS rebinding). What it cannot do is to write another `Host`, `Origin` or
//! `Sec-Fetch-Site` than the truth. So these must say that this server is meant, by no page but its own; and it has none.

use std::net::SocketAddr;

use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use hyper::http::uri::Scheme;
use hyper::{Method, StatusCode, Uri};

use super::PATH;
use super::address::authority;

/// Says of whom a page in a browser is that makes a request (W3C, Fetch Metadata).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What is answered to.
pub(super) const METHODS: [Method; 3] = [Method::GET, Method::POST, Method::DELETE];

/// The names by which this server is meant.
pub(super) struct Gate {
    /// Address and port, and `localhost` and port; also without the port where that is the one of `http`.
    names: Vec<String>,
}

impl Gate {
    /// For a server at that address.
    pub(super) fn new(address: SocketAddr) -> Self {
        let mut names = vec![authority(address), format!("localhost:{}", address.port())];
        if address.port() == 80 {
            let bare: Vec<String> =
                names.iter().filter_map(|name| name.strip_suffix(":80").map(str::to_owned)).collect();
            names.extend(bare);
        }
        Self { names }
    }

    /// What may stand in `Host`.
    pub(super) fn hosts(&self) -> impl Iterator<Item = String> {
        self.names.iter().cloned()
    }

    /// What may stand in `Origin`.
    pub(super) fn origins(&self) -> impl Iterator<Item = String> {
        self.names.iter().map(|name| format!("http://{name}"))
    }

    /// Whether a request may come in; looks at its head alone.
    ///
    /// # Errors
    /// The status to answer with.
    pub(super) fn admit(&self, method: &Method, target: &Uri, headers: &HeaderMap) -> Result<(), StatusCode> {
        if !self.is_meant(target, headers) || !self.is_from_no_page(headers) {
            return Err(StatusCode::FORBIDDEN);
        }
        if target.path() != PATH {
            return Err(StatusCode::NOT_FOUND);
        }
        if METHODS.contains(method) { Ok(()) } else { Err(StatusCode::METHOD_NOT_ALLOWED) }
    }

    /// Exactly one `Host`, and it is ours; so is the address in the target, where one stands there (RFC 9112, 3.2.2).
    fn is_meant(&self, target: &Uri, headers: &HeaderMap) -> bool {
        let absolute = match (target.scheme(), target.authority()) {
            (None, None) => true,
            (Some(scheme), Some(authority)) => *scheme == Scheme::HTTP && self.is_name(authority.as_str()),
            _ => false,
        };
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().and_then(text);
        absolute && hosts.next().is_none() && host.is_some_and(|host| self.is_name(host))
    }

    /// No `Origin`, or exactly one that is ours. A browser that says which site asks is let in only where it was a person
    /// and no site: a page of ours there is none, and another server may have had our name and port a moment ago.
    fn is_from_no_page(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(ORIGIN).iter();
        let origin = match (origins.next(), origins.next()) {
            (None, _) => true,
            (Some(origin), None) => text(origin)
                .and_then(|origin| origin.strip_prefix("http://"))
                .is_some_and(|name| self.is_name(name)),
            _ => false,
        };
        origin && headers.get_all(SEC_FETCH_SITE).iter().all(|site| site == "none")
    }

    /// Compared as a whole: nothing is parsed that could be parsed in two ways.
    fn is_name(&self, text: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(text))
    }
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    const OK: u16 = 200;

    fn ask(method: &str, target: &str, headers: &[(&str, &str)]) -> u16 {
        ask_at("127.0.0.1:8808", method, target, headers)
    }

    fn ask_at(address: &str, method: &str, target: &str, headers: &[(&str, &str)]) -> u16 {
        let gate = Gate::new(address.parse().unwrap());
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            map.append(name.parse::<HeaderName>().unwrap(), value);
        }
        let admitted = gate.admit(&method.parse().unwrap(), &target.parse().unwrap(), &map);
        admitted.map_or_else(|status| status.as_u16(), |()| OK)
    }

    #[test]
    fn a_host_that_is_ours_is_let_in_and_no_other() {
        for host in ["127.0.0.1:8808", "localhost:8808", "LOCALHOST:8808", "LocalHost:8808"] {
            assert_eq!(ask("POST", "/mcp", &[("host", host)]), OK, "{host}");
        }
        for host in HOSTILE {
            assert_eq!(ask("POST", "/mcp", &[("host", host)]), 403, "{host}");
        }
        assert_eq!(ask("POST", "/mcp", &[]), 403);
        // Two of them, whichever stands first, and though both were ours.
        let (ours, other) = (("host", "127.0.0.1:8808"), ("host", "evil.example"));
        for two in [[ours, other], [other, ours], [ours, ours]] {
            assert_eq!(ask("POST", "/mcp", &two), 403);
        }
    }

    /// As `Host`, and after `http://` as `Origin`.
    const HOSTILE: [&str; 32] = [
        "",
        " ",
        "127.0.0.1",
        "localhost",
        "127.0.0.1:8809",
        "127.0.0.1:08808",
        "127.0.0.1:80",
        "127.0.0.1:",
        ":8808",
        "127.0.0.2:8808",
        "127.1:8808",
        "2130706433:8808",
        "0x7f.1:8808",
        "0.0.0.0:8808",
        "[::1]:8808",
        "[::ffff:127.0.0.1]:8808",
        "localhost.:8808",
        "localhost.evil.example:8808",
        "evil.localhost:8808",
        "127.0.0.1.nip.io:8808",
        "evil.example",
        "evil.example:8808",
        "evil.example:8808@127.0.0.1:8808",
        "user@127.0.0.1:8808",
        "user:word@localhost:8808",
        "127.0.0.1:8808@evil.example",
        "127.0.0.1:8808#@evil.example",
        "127.0.0.1:8808/",
        "127.0.0.1:8808, evil.example",
        "127.0.0.1:8808 evil.example",
        "http://127.0.0.1:8808",
        "löcalhost:8808",
    ];

    #[test]
    fn an_origin_that_is_there_must_be_ours() {
        let host = ("host", "localhost:8808");
        for origin in ["http://localhost:8808", "http://127.0.0.1:8808", "http://LOCALHOST:8808"] {
            assert_eq!(ask("POST", "/mcp", &[host, ("origin", origin)]), OK, "{origin}");
        }
        let named = HOSTILE.map(|name| format!("http://{name}"));
        let odd = [
            "",
            "null",
            "NULL",
            "localhost:8808",
            "https://localhost:8808",
            "https://127.0.0.1:8808",
            "http:/localhost:8808",
            "http:localhost:8808",
            "//localhost:8808",
            "HTTPS://localhost:8808",
            "ws://localhost:8808",
            "file://",
            "file://localhost:8808",
            "chrome-extension://localhost:8808",
            "http://localhost:8808/",
            "http://localhost:8808?",
            "http://localhost:8808 http://evil.example",
            "http://evil.example",
            "about:blank",
        ];
        for origin in odd.into_iter().chain(named.iter().map(String::as_str)) {
            assert_eq!(ask("POST", "/mcp", &[host, ("origin", origin)]), 403, "{origin}");
        }
        let (ours, other) = (("origin", "http://localhost:8808"), ("origin", "http://evil.example"));
        for two in [[ours, other], [other, ours], [ours, ours]] {
            assert_eq!(ask("POST", "/mcp", &[host, two[0], two[1]]), 403);
        }
    }

    /// Another server that had the same name and port until now has a page that seems to be ours.
    #[test]
    fn a_page_is_refused_even_from_our_own_origin() {
        let host = ("host", "localhost:8808");
        for site in ["same-origin", "same-site", "cross-site", "", "None", "other"] {
            for origin in [None, Some(("origin", "http://localhost:8808"))] {
                let headers: Vec<_> = [host, ("sec-fetch-site", site)].into_iter().chain(origin).collect();
                assert_eq!(ask("POST", "/mcp", &headers), 403, "{site}");
            }
        }
        assert_eq!(ask("POST", "/mcp", &[host, ("sec-fetch-site", "none")]), OK);
        assert_eq!(ask("POST", "/mcp", &[host, ("sec-fetch-mode", "cors")]), OK, "as Node's fetch says");
        let two = [host, ("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")];
        assert_eq!(ask("POST", "/mcp", &two), 403);
    }

    #[test]
    fn a_target_that_names_a_server_must_name_this_one() {
        let host = [("host", "localhost:8808")];
        assert_eq!(ask("POST", "http://localhost:8808/mcp", &host), OK);
        assert_eq!(ask("POST", "http://127.0.0.1:8808/mcp", &host), OK);
        for target in [
            "http://evil.example/mcp",
            "http://localhost.evil.example:8808/mcp",
            "http://localhost/mcp",
            "http://user@localhost:8808/mcp",
            "https://localhost:8808/mcp",
            "ftp://localhost:8808/mcp",
            "localhost:8808",
            "evil.example:443",
        ] {
            assert_eq!(ask("POST", target, &host), 403, "{target}");
        }
        // Our name in the target does not make up for another in the header.
        assert_eq!(ask("POST", "http://localhost:8808/mcp", &[("host", "evil.example")]), 403);
        assert_eq!(ask("POST", "http://localhost:8808/mcp", &[]), 403);
    }

    #[test]
    fn one_path_and_three_methods() {
        let host = [("host", "localhost:8808")];
        for method in ["GET", "POST", "DELETE"] {
            assert_eq!(ask(method, "/mcp", &host), OK);
            assert_eq!(ask(method, "/mcp?x=1", &host), OK);
        }
        for method in ["OPTIONS", "HEAD", "PUT", "PATCH", "TRACE", "CONNECT", "get", "POSTS"] {
            assert_eq!(ask(method, "/mcp", &host), 405, "{method}");
        }
        for path in ["/", "/mcp/", "/mcp/x", "/MCP", "//mcp", "/./mcp", "/%6dcp", "/sse", "/.well-known/x"] {
            assert_eq!(ask("POST", path, &host), 404, "{path}");
        }
        // Who is not let in does not learn what is here.
        assert_eq!(ask("PUT", "/nothing", &[("host", "evil.example")]), 403);
    }

    #[test]
    fn the_names_are_those_of_the_address() {
        for (address, host, expected) in [
            ("[::1]:8808", "[::1]:8808", OK),
            ("[::1]:8808", "localhost:8808", OK),
            ("[::1]:8808", "::1:8808", 403),
            ("[::1]:8808", "[::1%25lo]:8808", 403),
            ("[::1]:8808", "[0:0:0:0:0:0:0:1]:8808", 403),
            ("[::1]:8808", "127.0.0.1:8808", 403),
            ("127.0.0.2:8808", "127.0.0.2:8808", OK),
            ("127.0.0.2:8808", "127.0.0.1:8808", 403),
            ("127.0.0.1:80", "127.0.0.1", OK),
            ("127.0.0.1:80", "localhost:80", OK),
            ("127.0.0.1:80", "localhost:", 403),
            ("127.0.0.1:8080", "localhost", 403),
        ] {
            assert_eq!(ask_at(address, "POST", "/mcp", &[("host", host)]), expected, "{address} {host}");
        }
        assert_eq!(
            ask_at("127.0.0.1:80", "POST", "/mcp", &[("host", "localhost"), ("origin", "http://localhost")]),
            OK
        );
    }
}
