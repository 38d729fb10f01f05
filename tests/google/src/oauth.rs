//! The browser's half of OAuth: the consent page (RFC 6749 section 4.1.1, RFC 7636) and the user's own data.

use std::collections::BTreeSet;

use http::Method;
use serde_json::json;
use url::{Host, Url};

use crate::config::ConsentMode;
use crate::google_error as refuse;
use crate::scopes;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

const SINGLE: &[&str] = &[
    "client_id",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "access_type",
    "prompt",
    "login_hint",
    "include_granted_scopes",
    "nonce",
    "deny",
];

/// `GET /o/oauth2/v2/auth`: consents at once for the seeded user and answers 302 to the redirect URI.
///
/// A bad client or redirect URI is told to the user (400) and never redirected; every other fault goes back to the
/// client as RFC 6749 section 4.1.2.1 says. `deny=1` makes the user press "cancel" this once.
pub(crate) fn authorize(world: &mut World, call: &Call) -> Answer {
    if call.method != Method::GET {
        return Err(Reply::new(405, "").with("allow", "GET"));
    }
    let query = &call.query;
    if query.repeated().is_some() {
        return Err(refuse::oauth(400, "invalid_request", "a parameter comes twice"));
    }
    query.check(SINGLE, &[])?;
    let client_id = query.get("client_id").unwrap_or("");
    if !world.tokens.clients.contains_key(client_id) {
        return Err(refuse::oauth(400, "invalid_client", "The OAuth client was not found."));
    }
    let Some(target) = query.get("redirect_uri").and_then(loopback) else {
        return Err(refuse::oauth(
            400,
            "redirect_uri_mismatch",
            "The redirect URI is not a loopback address.",
        ));
    };
    let state = query.get("state");
    let back = |error: &str| Ok(redirect(&target, state, &[("error", error)]));
    if query.get("response_type") != Some("code") {
        return back("unsupported_response_type");
    }
    if query.get("code_challenge_method") != Some("S256") {
        return back("invalid_request");
    }
    let Some(challenge) = query.get("code_challenge").filter(|text| is_s256(text)) else {
        return back("invalid_request");
    };
    let asked = match scopes::parse(query.get("scope").unwrap_or("")) {
        Ok(asked) if !asked.is_empty() => asked,
        _ => return back("invalid_scope"),
    };
    if query.get("deny") == Some("1") {
        return back("access_denied");
    }
    let granted: BTreeSet<String> = match &world.consent {
        ConsentMode::Grant => asked,
        ConsentMode::Deny => return back("access_denied"),
        ConsentMode::Partial(ticked) => asked.into_iter().filter(|scope| ticked.contains(scope)).collect(),
    };
    if granted.is_empty() {
        return back("access_denied");
    }
    let again = query.get("prompt").is_some_and(|prompt| prompt.split(' ').any(|word| word == "consent"));
    let first = world
        .tokens
        .clients
        .get_mut(client_id)
        .is_some_and(|kept| !std::mem::replace(&mut kept.consented, true));
    let offline = query.get("access_type") == Some("offline") && (first || again);
    let scope = join(&granted);
    let redirect_uri = query.get("redirect_uri").unwrap_or("");
    let code = world.tokens.new_code(client_id, redirect_uri, challenge, granted, offline, call.now_ms);
    Ok(redirect(&target, state, &[("code", &code), ("scope", &scope)]))
}

/// `GET /oauth2/v3/userinfo`: `sub` for any of the sign-in scopes, `email` and `name` only for their own.
pub(crate) fn userinfo(world: &mut World, call: &Call) -> Answer {
    if call.method != Method::GET {
        return Err(Reply::new(405, "").with("allow", "GET"));
    }
    let access = world.authorize(call, "oauth2.userinfo")?;
    call.query.check(&[], &[])?;
    let mut user = json!({ "sub": world.owner.sub });
    if scopes::has(&access.scopes, "userinfo.email") {
        user["email"] = json!(world.owner.email);
        user["email_verified"] = json!(true);
    }
    if scopes::has(&access.scopes, "userinfo.profile") {
        user["name"] = json!(world.owner.name);
    }
    Ok(Reply::json(200, &user))
}

/// Scopes as the wire has them: joined by spaces.
pub(crate) fn join(scopes: &BTreeSet<String>) -> String {
    scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// A redirect URI of an installed app: http, a loopback host, a port, no fragment, no user (RFC 8252 section 7.3).
fn loopback(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let local = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    (url.scheme() == "http" && local && plain && url.port().is_some()).then_some(url)
}

/// 43 characters of base64url: what SHA-256 gives.
fn is_s256(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn redirect(target: &Url, state: Option<&str>, pairs: &[(&str, &str)]) -> Reply {
    let mut url = target.clone();
    {
        let mut query = url.query_pairs_mut();
        if let Some(state) = state {
            query.append_pair("state", state);
        }
        for (name, value) in pairs {
            query.append_pair(name, value);
        }
    }
    Reply::new(302, "").with("location", url.as_str()).with("cache-control", "no-store")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn only_loopback_redirects_pass() {
        assert!(loopback("http://127.0.0.1:1234/cb").is_some());
        assert!(loopback("http://localhost:1234").is_some());
        assert!(loopback("http://[::1]:1234/").is_some());
        for bad in [
            "https://127.0.0.1:1/",
            "http://127.0.0.1/",
            "http://example.com:1/",
            "http://localhost.evil.example:1/",
            "http://u@127.0.0.1:1/",
            "http://127.0.0.1:1/#f",
            "urn:ietf:wg:oauth:2.0:oob",
            "",
        ] {
            assert!(loopback(bad).is_none(), "{bad}");
        }
    }
}
