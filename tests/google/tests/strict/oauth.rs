//! The consent page, `/token` and `/revoke`.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use stand_in_google::{Config, ConsentMode, LoggedRequest};
use url::Url;

use crate::client::{Answer, Google, demo, query, start};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// RFC 7636 appendix B.
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT: &str = "http://127.0.0.1:51234/callback";
const READ: &str = "https://www.googleapis.com/auth/gmail.readonly";
const SEND: &str = "https://www.googleapis.com/auth/gmail.send";

/// Goes to the consent page; `change` overrides or (with `""`) removes parameters.
async fn consent(google: &Google, change: &[(&str, &str)]) -> Answer {
    let scope = format!("openid email {READ} {SEND}");
    let client_id = google.stand_in.client_id().to_owned();
    let mut all = BTreeMap::from([
        ("client_id", client_id.as_str()),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", &scope),
        ("state", "st&te"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("access_type", "offline"),
        ("prompt", "consent"),
    ]);
    all.extend(change.iter().copied());
    let pairs: Vec<_> = all.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    google.try_send("GET", &format!("/o/oauth2/v2/auth?{}", query(&pairs)), &[], "").await.unwrap()
}

/// What came back to the redirect URI.
fn returned(answer: &Answer) -> BTreeMap<String, String> {
    assert_eq!(answer.status, 302, "{answer:?}");
    let url = Url::parse(answer.header("location")).unwrap();
    assert!(url.as_str().starts_with(REDIRECT));
    url.query_pairs().into_owned().collect()
}

async fn exchange(google: &Google, code: &str, change: &[(&str, &str)]) -> Answer {
    let mut all = BTreeMap::from([
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
        ("client_id", google.stand_in.client_id()),
        ("client_secret", google.stand_in.client_secret()),
    ]);
    all.extend(change.iter().copied());
    let pairs: Vec<_> = all.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    google.form("/token", &pairs).await
}

async fn refresh(google: &Google, token: &str, scope: Option<&str>) -> Answer {
    let mut pairs = vec![
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", google.stand_in.client_id()),
        ("client_secret", google.stand_in.client_secret()),
    ];
    pairs.extend(scope.map(|scope| ("scope", scope)));
    google.form("/token", &pairs).await
}

async fn code(google: &Google) -> String {
    returned(&consent(google, &[]).await)["code"].clone()
}

async fn tokens(google: &Google) -> Value {
    let answer = exchange(google, &code(google).await, &[]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[tokio::test]
async fn the_whole_dance_gives_tokens_that_work() {
    let google = demo().await;
    let back = returned(&consent(&google, &[]).await);
    assert_eq!(back["state"], "st&te");
    assert!(back["scope"].contains(READ));
    let answer = exchange(&google, &back["code"], &[]).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    let tokens = answer.json();
    assert_eq!((text(&tokens, "token_type"), tokens["expires_in"].as_u64()), ("Bearer", Some(3600)));
    let mut scopes: Vec<_> = text(&tokens, "scope").split(' ').collect();
    scopes.sort_unstable();
    assert_eq!(
        scopes,
        [
            "https://www.googleapis.com/auth/gmail.readonly",
            SEND,
            "https://www.googleapis.com/auth/userinfo.email",
            "openid"
        ]
    );
    let claims = text(&tokens, "id_token").split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(text(&claims, "email"), "owner@example.com");
    let user = google.get(text(&tokens, "access_token"), "/oauth2/v3/userinfo").await.json();
    assert_eq!((text(&user, "sub"), text(&user, "email")), (text(&claims, "sub"), "owner@example.com"));
    assert!(user.get("name").is_none());
    assert_eq!(refresh(&google, text(&tokens, "refresh_token"), None).await.status, 200);
}

#[tokio::test]
async fn bad_clients_and_redirects_are_never_redirected() {
    let google = demo().await;
    for (name, value) in [
        ("client_id", "somebody"),
        ("redirect_uri", "https://evil.example/callback"),
        ("redirect_uri", "http://127.0.0.1/"),
        ("redirect_uri", ""),
        ("unheard", "of"),
    ] {
        let answer = consent(&google, &[(name, value)]).await;
        assert_eq!(answer.status, 400, "{name}={value}");
        assert!(answer.headers.get("location").is_none());
    }
}

#[tokio::test]
async fn faulty_requests_go_back_with_an_error() {
    let google = demo().await;
    let cases = [
        ("response_type", "token", "unsupported_response_type"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("scope", "", "invalid_scope"),
        ("scope", "gmail.everything", "invalid_scope"),
        ("deny", "1", "access_denied"),
    ];
    for (name, value, error) in cases {
        let back = returned(&consent(&google, &[(name, value)]).await);
        assert_eq!((back["error"].as_str(), back["state"].as_str()), (error, "st&te"), "{name}={value}");
        assert!(!back.contains_key("code"));
    }
}

#[tokio::test]
async fn the_user_may_refuse_or_grant_less() {
    let google = demo().await;
    google.stand_in.set_consent(ConsentMode::Deny);
    assert_eq!(returned(&consent(&google, &[]).await)["error"], "access_denied");
    google.stand_in.set_consent(ConsentMode::Partial(vec![READ.to_owned()]));
    let back = returned(&consent(&google, &[]).await);
    assert_eq!(back["scope"], READ);
    let tokens = exchange(&google, &back["code"], &[]).await.json();
    assert_eq!(text(&tokens, "scope"), READ);
    assert!(tokens.get("id_token").is_none());
    google.stand_in.set_consent(ConsentMode::Partial(vec![]));
    assert_eq!(returned(&consent(&google, &[]).await)["error"], "access_denied");
}

#[tokio::test]
async fn refresh_tokens_need_offline_and_consent() {
    let google = demo().await;
    for (change, expected) in [
        (vec![("prompt", "")], true),
        (vec![("prompt", "")], false),
        (vec![("access_type", "")], false),
        (vec![("access_type", "online")], false),
        (vec![], true),
    ] {
        let code = returned(&consent(&google, &change).await)["code"].clone();
        let tokens = exchange(&google, &code, &[]).await.json();
        assert_eq!(tokens.get("refresh_token").is_some(), expected, "{change:?}");
    }
}

#[tokio::test]
async fn a_code_needs_its_verifier_redirect_client_and_secret() {
    let google = demo().await;
    let (other, other_secret) = google.stand_in.add_client();
    let wrong_verifier = VERIFIER.replace('d', "e");
    for (change, status, error) in [
        (vec![("code_verifier", wrong_verifier.as_str())], 400, "invalid_grant"),
        (vec![("code_verifier", "short")], 400, "invalid_grant"),
        (vec![("code_verifier", "")], 400, "invalid_request"),
        (vec![("redirect_uri", "http://127.0.0.1:51234/other")], 400, "invalid_grant"),
        (vec![("redirect_uri", "")], 400, "invalid_request"),
        (vec![("client_secret", "wrong")], 401, "invalid_client"),
        (vec![("client_secret", "")], 400, "invalid_request"),
        (vec![("client_id", "nobody")], 401, "invalid_client"),
        (vec![("client_id", other.as_str()), ("client_secret", other_secret.as_str())], 400, "invalid_grant"),
        (vec![("grant_type", "password")], 400, "unsupported_grant_type"),
        (vec![("grant_type", "")], 400, "invalid_request"),
        (vec![("code", "4/0Anonsense")], 400, "invalid_grant"),
    ] {
        let answer = exchange(&google, &code(&google).await, &change).await;
        assert_eq!((answer.status, answer.oauth_error().as_str()), (status, error), "{change:?}");
    }
}

#[tokio::test]
async fn a_code_is_good_once_and_its_reuse_revokes() {
    let google = demo().await;
    let code = code(&google).await;
    let first = exchange(&google, &code, &[]).await.json();
    assert_eq!(google.get(text(&first, "access_token"), "/gmail/v1/users/me/profile").await.status, 200);
    assert_eq!(exchange(&google, &code, &[]).await.oauth_error(), "invalid_grant");
    assert_eq!(google.get(text(&first, "access_token"), "/gmail/v1/users/me/profile").await.status, 401);
    assert_eq!(refresh(&google, text(&first, "refresh_token"), None).await.oauth_error(), "invalid_grant");
}

#[tokio::test]
async fn a_code_dies_after_a_minute() {
    let google = demo().await;
    let code = code(&google).await;
    google.stand_in.advance(Duration::from_secs(60));
    assert_eq!(exchange(&google, &code, &[]).await.oauth_error(), "invalid_grant");
}

#[tokio::test]
async fn the_token_endpoint_wants_a_form_and_takes_basic() {
    let google = demo().await;
    let json = [("content-type", "application/json")];
    assert_eq!(google.try_send("POST", "/token", &json, "{}").await.unwrap().status, 400);
    assert_eq!(google.try_send("GET", "/token", &[], "").await.unwrap().status, 405);
    let token = google.stand_in.direct_refresh_token(&["gmail.readonly"]);
    let pair = format!("{}:{}", google.stand_in.client_id(), google.stand_in.client_secret());
    let basic = format!("Basic {}", STANDARD.encode(pair));
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", basic.as_str())];
    let body = query(&[("grant_type", "refresh_token"), ("refresh_token", &token)]);
    assert_eq!(google.try_send("POST", "/token", &headers, body.clone()).await.unwrap().status, 200);
    let both = format!("{body}&client_secret=x");
    assert_eq!(google.try_send("POST", "/token", &headers, both).await.unwrap().status, 400);
    let twice = format!("{body}&grant_type=refresh_token");
    assert_eq!(google.try_send("POST", "/token", &headers, twice).await.unwrap().status, 400);
}

#[tokio::test]
async fn a_refresh_narrows_and_never_widens() {
    let google = demo().await;
    let token = google.stand_in.direct_refresh_token(&["gmail.readonly", "gmail.send"]);
    let narrowed = refresh(&google, &token, Some(READ)).await.json();
    assert_eq!((text(&narrowed, "scope"), narrowed.get("refresh_token")), (READ, None));
    let answer = google
        .post(text(&narrowed, "access_token"), "/gmail/v1/users/me/messages/send", serde_json::json!({}))
        .await;
    assert_eq!((answer.status, answer.reason().as_str()), (403, "insufficientPermissions"));
    for wider in ["https://mail.google.com/", "", "nonsense"] {
        let answer = refresh(&google, &token, Some(wider)).await;
        assert_eq!((answer.status, answer.oauth_error().as_str()), (400, "invalid_scope"), "{wider:?}");
    }
    let all = refresh(&google, &token, None).await.json();
    assert_eq!(text(&all, "scope"), format!("{READ} {SEND}"));
}

#[tokio::test]
async fn a_rotated_refresh_token_used_again_revokes_the_family() {
    let google = start(Config { rotate_refresh: true, ..Config::default() }).await;
    let first = google.stand_in.direct_refresh_token(&["gmail.readonly"]);
    let second = refresh(&google, &first, None).await.json();
    assert_ne!(text(&second, "refresh_token"), first);
    assert_eq!(google.get(text(&second, "access_token"), "/gmail/v1/users/me/profile").await.status, 200);
    assert_eq!(refresh(&google, &first, None).await.oauth_error(), "invalid_grant");
    assert_eq!(google.get(text(&second, "access_token"), "/gmail/v1/users/me/profile").await.status, 401);
    let newest = text(&second, "refresh_token").to_owned();
    assert_eq!(refresh(&google, &newest, None).await.oauth_error(), "invalid_grant");
}

#[tokio::test]
async fn an_old_refresh_token_is_taken_within_its_grace_and_revokes_the_family_after_it() {
    let google = start(Config { rotate_refresh: true, ..Config::default() }).await;
    google.stand_in.set_refresh_grace(Duration::from_secs(60));
    let first = google.stand_in.direct_refresh_token(&["gmail.readonly"]);
    let newest = |token: &str| {
        let (lineage, revoked) = google.stand_in.newest(token).unwrap();
        (lineage.generation, revoked)
    };
    for generation in 1..3 {
        let answer = refresh(&google, &first, None).await.json();
        assert_eq!(newest(&first), (generation, false));
        let id = LoggedRequest::token_id(text(&answer, "access_token"));
        assert_eq!(google.stand_in.lineage(&id).unwrap().generation, generation);
    }
    // The grace counts from the first time.
    google.stand_in.advance(Duration::from_secs(61));
    assert_eq!(refresh(&google, &first, None).await.oauth_error(), "invalid_grant");
    assert_eq!(newest(&first), (2, true));
}

#[tokio::test]
async fn a_refresh_token_belongs_to_its_client() {
    let google = demo().await;
    let token = google.stand_in.direct_refresh_token(&["gmail.readonly"]);
    let (id, secret) = google.stand_in.add_client();
    let pairs = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token.as_str()),
        ("client_id", &id),
        ("client_secret", &secret),
    ];
    assert_eq!(google.form("/token", &pairs).await.oauth_error(), "invalid_grant");
}

#[tokio::test]
async fn revoking_either_token_kills_both() {
    for key in ["refresh_token", "access_token"] {
        let google = demo().await;
        let tokens = tokens(&google).await;
        assert_eq!(google.form("/revoke", &[("token", text(&tokens, key))]).await.status, 200);
        assert_eq!(google.get(text(&tokens, "access_token"), "/oauth2/v3/userinfo").await.status, 401);
        assert_eq!(
            refresh(&google, text(&tokens, "refresh_token"), None).await.oauth_error(),
            "invalid_grant"
        );
        let again = google.form("/revoke", &[("token", text(&tokens, key))]).await;
        assert_eq!((again.status, again.oauth_error().as_str()), (400, "invalid_token"));
    }
}

#[tokio::test]
async fn revocation_needs_a_token_in_the_form() {
    let google = demo().await;
    assert_eq!(google.form("/revoke", &[]).await.oauth_error(), "invalid_request");
    assert_eq!(google.form("/revoke", &[("token", "x")]).await.oauth_error(), "invalid_token");
    let token = google.stand_in.direct_token(&["openid"]);
    assert_eq!(google.form(&format!("/revoke?token={token}"), &[("token", &token)]).await.status, 400);
    assert_eq!(google.get(&token, "/oauth2/v3/userinfo").await.status, 200);
}
