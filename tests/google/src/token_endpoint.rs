//! The client's half of OAuth: `/token` (RFC 6749 sections 4.1.3 and 6, RFC 7636) and `/revoke` (RFC 7009).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use ring::hmac;
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use crate::google_error as refuse;
use crate::oauth::join;
use crate::random;
use crate::scopes;
use crate::tokens::{GrantError, Issued};
use crate::wire::{Answer, Call, Params, Reply};
use crate::world::World;

/// `POST /token`.
pub(crate) fn token(world: &mut World, call: &Call) -> Answer {
    let form = form(call)?;
    let (client_id, secret) = client(world, call, &form)?;
    let issued = match form.get("grant_type") {
        Some("authorization_code") => by_code(world, call, &form, &client_id)?,
        Some("refresh_token") => by_refresh(world, call, &form, &client_id)?,
        Some(_) => return Err(refuse::oauth(400, "unsupported_grant_type", "Invalid grant_type")),
        None => {
            return Err(refuse::oauth(400, "invalid_request", "Required parameter is missing: grant_type"));
        }
    };
    let mut answer = json!({
        "access_token": issued.access,
        "expires_in": world.tokens.lifetime.as_secs(),
        "scope": join(&issued.scopes),
        "token_type": "Bearer",
    });
    if let Some(refresh) = &issued.refresh {
        answer["refresh_token"] = json!(refresh);
    }
    if scopes::has(&issued.scopes, "openid") {
        answer["id_token"] = json!(id_token(world, call, &issued, &client_id, &secret));
    }
    Ok(Reply::json(200, &answer).with("cache-control", "no-store").with("pragma", "no-cache"))
}

/// `POST /revoke`: kills the token and everything that came from the same consent.
pub(crate) fn revoke(world: &mut World, call: &Call) -> Answer {
    let form = form(call)?;
    let Some(token) = form.get("token") else {
        return Err(refuse::oauth(400, "invalid_request", "Required parameter is missing: token"));
    };
    if world.tokens.revoke(token, call.now_ms) {
        Ok(Reply::json(200, &json!({})))
    } else {
        Err(refuse::oauth(400, "invalid_token", "Token expired or revoked"))
    }
}

/// The form of a POST: the right type, nothing twice, nothing in the query (tokens do not belong into URLs).
fn form(call: &Call) -> Result<Params, Reply> {
    if call.method != Method::POST {
        return Err(Reply::new(405, "").with("allow", "POST"));
    }
    let kind =
        call.header("content-type").unwrap_or("").split(';').next().unwrap_or("").trim().to_lowercase();
    if kind != "application/x-www-form-urlencoded" {
        return Err(refuse::oauth(400, "invalid_request", "The body is not a form"));
    }
    let form = Params::parse(&call.body);
    if form.repeated().is_some()
        || call.query.get("token").is_some()
        || call.query.get("client_secret").is_some()
    {
        return Err(refuse::oauth(400, "invalid_request", "A parameter comes twice or in the URL"));
    }
    Ok(form)
}

/// Authenticates the client by form or by Basic (RFC 6749 section 2.3.1); both at once is an error.
fn client(world: &World, call: &Call, form: &Params) -> Result<(String, String), Reply> {
    let denied = || refuse::oauth(401, "invalid_client", "Unauthorized");
    let basic = call.header("authorization").map(|value| basic(value).ok_or_else(denied)).transpose()?;
    let (id, secret) = match (basic, form.get("client_secret")) {
        (Some(_), Some(_)) => {
            return Err(refuse::oauth(400, "invalid_request", "Two ways of client authentication"));
        }
        (Some((id, secret)), None) => {
            if form.get("client_id").is_some_and(|named| named != id) {
                return Err(denied());
            }
            (id, secret)
        }
        (None, Some(secret)) => (form.get("client_id").unwrap_or("").to_owned(), secret.to_owned()),
        (None, None) => return Err(refuse::oauth(400, "invalid_request", "client_secret is missing.")),
    };
    let known = world.tokens.clients.get(&id).ok_or_else(denied)?;
    if bool::from(known.secret.as_bytes().ct_eq(secret.as_bytes())) {
        Ok((id, secret))
    } else {
        Err(denied())
    }
}

fn basic(header: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(header.strip_prefix("Basic ")?).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |part: &str| {
        url::form_urlencoded::parse(format!("x={part}").as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
    };
    Some((decode(id)?, decode(secret)?))
}

fn by_code(world: &mut World, call: &Call, form: &Params, client_id: &str) -> Result<Issued, Reply> {
    let missing =
        |name: &str| refuse::oauth(400, "invalid_request", &format!("Missing required parameter: {name}"));
    let code = form.get("code").ok_or_else(|| missing("code"))?;
    let redirect_uri = form.get("redirect_uri").ok_or_else(|| missing("redirect_uri"))?;
    let verifier = form.get("code_verifier").ok_or_else(|| missing("code_verifier"))?;
    // RFC 7636 section 4.1 fixes the length and the alphabet.
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(unreserved) {
        return Err(refuse::oauth(400, "invalid_grant", "Invalid code verifier."));
    }
    let challenge = random::sha256_base64url(verifier.as_bytes());
    world
        .tokens
        .exchange(code, client_id, call.now_ms, |kept| {
            let same: bool = kept.challenge.as_bytes().ct_eq(challenge.as_bytes()).into();
            same && kept.redirect_uri == redirect_uri
        })
        .map_err(grant_error)
}

fn by_refresh(world: &mut World, call: &Call, form: &Params, client_id: &str) -> Result<Issued, Reply> {
    let Some(token) = form.get("refresh_token") else {
        return Err(refuse::oauth(400, "invalid_request", "Missing required parameter: refresh_token"));
    };
    let wanted =
        form.get("scope").map(scopes::parse).transpose().map_err(|_| grant_error(GrantError::Scope))?;
    world.tokens.refresh(token, client_id, wanted, call.now_ms).map_err(grant_error)
}

fn grant_error(error: GrantError) -> Reply {
    match error {
        GrantError::Invalid => refuse::oauth(400, "invalid_grant", "Token has been expired or revoked."),
        GrantError::Scope => refuse::oauth(400, "invalid_scope", "Some requested scopes were not granted."),
    }
}

/// An ID token, signed with HS256 under the client's secret (OpenID Connect Core section 10.1).
///
/// Google signs with RS256 and publishes its keys; a client that checks signatures must know that this is a stand-in.
fn id_token(world: &World, call: &Call, issued: &Issued, client_id: &str, secret: &str) -> String {
    let seconds = call.now_ms.div_euclid(1000);
    let lifetime = i64::try_from(world.tokens.lifetime.as_secs()).unwrap_or(i64::MAX);
    let mut claims = json!({
        "iss": call.origin, "aud": client_id, "azp": client_id, "sub": world.owner.sub,
        "iat": seconds, "exp": seconds.saturating_add(lifetime),
    });
    if scopes::has(&issued.scopes, "userinfo.email") {
        claims["email"] = json!(world.owner.email);
        claims["email_verified"] = json!(true);
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "JWT" })), part(&claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
    format!("{signed}.{signature}")
}
