//! Bearers, scopes, TLS, the log.

use std::time::Duration;

use stand_in_google::{Config, LoggedRequest, Seed};

use crate::client::{client, demo, start};

const PROFILE: &str = "/gmail/v1/users/me/profile";

#[tokio::test]
async fn it_says_what_it_is() {
    let google = demo().await;
    let answer = google.try_send("GET", "/", &[], "").await.unwrap();
    assert_eq!((answer.status, answer.header("server")), (200, "stand-in-google"));
    assert!(String::from_utf8_lossy(&answer.body).contains("not Google"));
    assert_eq!(google.get("none", PROFILE).await.header("server"), "stand-in-google");
}

#[tokio::test]
async fn only_its_own_authority_vouches_for_it() {
    let google = demo().await;
    let request = || http::Request::get(google.stand_in.origin()).body(Default::default()).unwrap();
    assert!(client(None, true).request(request()).await.is_err());
    let other = demo().await;
    assert!(client(Some(other.stand_in.ca_pem()), true).request(request()).await.is_err());
    assert!(client(Some(google.stand_in.ca_pem()), true).request(request()).await.is_ok());
    let by_address = google.stand_in.origin().replace("localhost", "127.0.0.1");
    assert_eq!(google.try_send("GET", &by_address, &[], "").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_bearer_must_exist_and_come_once_in_the_header() {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["gmail.readonly"]);
    let bearer = format!("Bearer {token}");
    let ok = google.try_send("GET", PROFILE, &[("authorization", &bearer)], "").await.unwrap();
    assert_eq!(ok.status, 200);
    let bad: [&[(&str, &str)]; 5] = [
        &[],
        &[("authorization", "Bearer nonsense")],
        &[("authorization", &token)],
        &[("authorization", "Bearer ")],
        &[("authorization", &bearer), ("authorization", &bearer)],
    ];
    for headers in bad {
        let answer = google.try_send("GET", PROFILE, headers, "").await.unwrap();
        assert_eq!((answer.status, answer.reason().as_str()), (401, "authError"), "{headers:?}");
        assert_eq!(answer.json()["error"]["status"], "UNAUTHENTICATED");
        assert!(answer.header("www-authenticate").contains("invalid_token"));
    }
    let in_query = google.try_send("GET", &format!("{PROFILE}?access_token={token}"), &[], "").await.unwrap();
    assert_eq!(in_query.status, 401);
}

#[tokio::test]
async fn bearers_expire_by_the_injected_clock() {
    let google =
        start(Config { seed: Seed::demo(), token_lifetime: Duration::from_secs(100), ..Config::default() })
            .await;
    let token = google.stand_in.direct_token(&["gmail.readonly"]);
    google.stand_in.advance(Duration::from_secs(90));
    assert_eq!(google.get(&token, PROFILE).await.status, 200);
    google.stand_in.advance(Duration::from_secs(10));
    assert_eq!(google.get(&token, PROFILE).await.status, 401);
    assert_eq!(google.form("/revoke", &[("token", &token)]).await.status, 400);
}

#[tokio::test]
async fn revoke_all_revokes_all() {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["gmail.readonly"]);
    google.stand_in.revoke_all();
    assert_eq!(google.get(&token, PROFILE).await.status, 401);
    let fresh = google.stand_in.direct_token(&["gmail.readonly"]);
    assert_eq!(google.get(&fresh, PROFILE).await.status, 200);
    assert!(google.stand_in.revoke(&fresh));
    assert_eq!(google.get(&fresh, PROFILE).await.status, 401);
}

#[tokio::test]
async fn every_method_wants_one_of_its_scopes() {
    let google = demo().await;
    let mail = google.stand_in.mail_id("Your password reset code").unwrap();
    let file = google.stand_in.file_id("Agent/Notes.txt").unwrap();
    let message = format!("/gmail/v1/users/me/messages/{mail}");
    let cases = [
        ("GET", PROFILE.to_owned(), "gmail.labels"),
        ("GET", "/gmail/v1/users/me/messages".to_owned(), "gmail.send"),
        ("GET", message.clone(), "gmail.labels"),
        ("GET", format!("{message}/attachments/x"), "gmail.metadata"),
        ("POST", format!("{message}/modify"), "gmail.readonly"),
        ("POST", format!("{message}/trash"), "gmail.readonly"),
        ("POST", format!("{message}/untrash"), "gmail.readonly"),
        ("DELETE", message.clone(), "gmail.modify"),
        ("POST", "/gmail/v1/users/me/messages/send".to_owned(), "gmail.readonly"),
        ("GET", "/gmail/v1/users/me/labels".to_owned(), "gmail.send"),
        ("GET", "/gmail/v1/users/me/labels/INBOX".to_owned(), "gmail.send"),
        ("POST", "/gmail/v1/users/me/labels".to_owned(), "gmail.readonly"),
        ("GET", "/gmail/v1/users/me/threads".to_owned(), "gmail.send"),
        ("GET", format!("/gmail/v1/users/me/threads/{mail}"), "drive"),
        ("GET", "/drive/v3/files".to_owned(), "gmail.modify"),
        ("GET", format!("/drive/v3/files/{file}"), "gmail.modify"),
        ("GET", format!("/drive/v3/files/{file}?alt=media"), "drive.metadata.readonly"),
        ("GET", format!("/drive/v3/files/{file}/export?mimeType=text/plain"), "drive.metadata"),
        ("GET", format!("/drive/v3/files/{file}/permissions"), "openid"),
        ("POST", format!("/drive/v3/files/{file}/permissions"), "drive.metadata"),
        ("DELETE", format!("/drive/v3/files/{file}/permissions/x"), "drive.readonly"),
        ("POST", format!("/drive/v3/files/{file}/copy"), "drive.metadata"),
        ("GET", "/drive/v3/about".to_owned(), "gmail.modify"),
        ("POST", "/drive/v3/files".to_owned(), "drive.readonly"),
        ("PATCH", format!("/drive/v3/files/{file}"), "drive.readonly"),
        ("DELETE", format!("/drive/v3/files/{file}"), "drive.readonly"),
        ("POST", "/upload/drive/v3/files?uploadType=media".to_owned(), "drive.readonly"),
        ("PATCH", format!("/upload/drive/v3/files/{file}?uploadType=media"), "drive.metadata"),
        ("GET", "/oauth2/v3/userinfo".to_owned(), "gmail.modify"),
    ];
    let before = google.stand_in.info();
    for (method, path, scope) in cases {
        let token = google.stand_in.direct_token(&[scope]);
        let answer = google.call(&token, method, &path, None).await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (403, "insufficientPermissions"),
            "{method} {path}"
        );
        assert_eq!(answer.json()["error"]["status"], "PERMISSION_DENIED");
        assert!(answer.header("www-authenticate").contains("insufficient_scope"));
        let stranger = google.call("nonsense", method, &path, None).await;
        assert_eq!(stranger.status, 401, "{method} {path}");
    }
    assert_eq!(google.stand_in.info(), before);
}

#[tokio::test]
async fn unknown_paths_and_odd_ones_are_not_found() {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["https://mail.google.com/", "drive"]);
    for path in [
        "/gmail/v1/users/me/profile/",
        "/gmail//v1/users/me/profile",
        "/gmail/v1/users/me%2fprofile",
        "/gmail/v1/users/me/settings/forwardingAddresses",
        "/stand-in/log",
        "/stand-in/outbox",
    ] {
        assert_eq!(google.get(&token, path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_log_tells_what_arrived_without_the_bearer() {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["gmail.readonly"]);
    google.get(&token, "/gmail/v1/users/me/messages?q=a%20b").await;
    google.form("/token", &[("client_secret", "hidden")]).await;
    let log = google.stand_in.log();
    assert_eq!(log.len(), 2);
    assert_eq!((log[0].method.as_str(), log[0].path.as_str()), ("GET", "/gmail/v1/users/me/messages"));
    assert_eq!((log[0].query.as_str(), log[0].status), ("q=a%20b", 200));
    assert_eq!(log[0].authorization.as_deref(), Some(LoggedRequest::token_id(&token).as_str()));
    assert!(google.stand_in.origin().ends_with(&log[0].host));
    assert!(!format!("{log:?}").contains(&token));
    assert!(!format!("{log:?}").contains("hidden"));
    google.stand_in.clear_log();
    assert!(google.stand_in.log().is_empty());
}

#[tokio::test]
async fn the_demo_may_look_at_log_and_outbox() {
    let google = start(Config { seed: Seed::demo(), control: true, ..Config::default() }).await;
    google.get("none", PROFILE).await;
    let log = google.try_send("GET", "/stand-in/log", &[], "").await.unwrap().json();
    assert_eq!((log[0]["status"].as_u64(), log.as_array().unwrap().len()), (Some(401), 1));
    let outbox = google.try_send("GET", "/stand-in/outbox", &[], "").await.unwrap().json();
    assert_eq!(outbox, serde_json::json!([]));
}

#[tokio::test]
async fn it_ends_and_lets_go_of_the_port() {
    let google = demo().await;
    google.get("none", PROFILE).await;
    let address = google.stand_in.origin().replace("https://localhost", "127.0.0.1");
    google.stand_in.shutdown().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
