//! Logins: PKCE, state, one try, the same account, and what was not granted.

use claviger_canonical::Digest;
use claviger_domain::effect::Effect;
use claviger_domain::secret::SecretBytes;

use super::world::{ADMIN, World, secret};
use crate::broker::error::AdminError;
use crate::broker::view::{ConnectAsk, ConnectBegun, Connected};

pub(super) fn ask(name: &str, renew: bool, client: bool) -> ConnectAsk {
    ConnectAsk {
        secret: secret(name),
        effects: vec![Effect::Read, Effect::Send],
        tools: Vec::new(),
        redirect_uri: "http://127.0.0.1:8085/callback".to_owned(),
        client: client
            .then(|| ("client-1".to_owned(), SecretBytes::from_text("CANARY-client-secret".to_owned()))),
        renew,
    }
}

pub(super) fn param(begun: &ConnectBegun, name: &str) -> String {
    let (_, query) = begun.authorize_url.split_once('?').unwrap();
    query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).unwrap().to_owned()
}

pub(super) async fn finish(
    world: &World,
    begun: &ConnectBegun,
    state: &str,
) -> Result<Connected, AdminError> {
    let code = SecretBytes::from_text("CANARY-code".to_owned());
    world.broker.finish_connect(ADMIN, &begun.session, code, state).await
}

/// A whole login.
pub(super) async fn connect(world: &World, name: &str, renew: bool) -> Result<Connected, AdminError> {
    let begun = world.broker.begin_connect(ADMIN, ask(name, renew, true)).await?;
    let state = param(&begun, "state");
    finish(world, &begun, &state).await
}

pub(super) fn invalid<T>(result: Result<T, AdminError>) -> String {
    match result {
        Err(AdminError::Invalid { why, hints }) => {
            assert!(!hints.is_empty());
            why
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was allowed"),
    }
}

#[tokio::test]
async fn the_challenge_is_the_verifiers_and_the_verifier_stays_here() {
    use base64::Engine;
    let world = World::empty().await;
    let begun = world.broker.begin_connect(ADMIN, ask("gmail/me", false, true)).await.unwrap();
    assert_eq!(param(&begun, "code_challenge_method"), "S256");
    let state = param(&begun, "state");
    let done = finish(&world, &begun, &state).await.unwrap();
    let token = &world.upstream.token_requests()[0];
    let verifier = token.field("code_verifier").unwrap();
    let challenge =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Digest::of(verifier.as_bytes()).as_bytes());
    assert_eq!(param(&begun, "code_challenge"), challenge);
    assert!((43..=128).contains(&verifier.len()));
    assert!(!begun.authorize_url.contains(&verifier) && !begun.authorize_url.contains("CANARY"));
    assert_eq!(token.field("code").as_deref(), Some("CANARY-code"));
    assert_eq!(done.secret.subject.as_deref(), Some("subject-1"));
    assert_eq!(done.secret.email.as_deref(), Some("me@example.org"));
    assert!(done.missing_scopes.is_empty() && done.crippled_tools.is_empty());
    assert!(done.secret.default);
    world.all_announced();
}

#[tokio::test]
async fn another_state_a_second_try_and_a_late_one() {
    let world = World::empty().await;
    let begun = world.broker.begin_connect(ADMIN, ask("gmail/me", false, true)).await.unwrap();
    let state = param(&begun, "state");
    assert!(invalid(finish(&world, &begun, "another").await).contains("state"));
    assert!(
        invalid(finish(&world, &begun, &state).await).contains("not under way"),
        "used up by the first try"
    );
    let begun = world.broker.begin_connect(ADMIN, ask("gmail/me", false, true)).await.unwrap();
    let other = world.broker.begin_connect(ADMIN, ask("drive/me", false, true)).await.unwrap();
    assert!(invalid(finish(&world, &begun, &param(&other, "state")).await).contains("state"));
    let begun = world.broker.begin_connect(ADMIN, ask("gmail/me", false, true)).await.unwrap();
    world.clock.advance(10 * 60_000);
    let state = param(&begun, "state");
    assert!(invalid(finish(&world, &begun, &state).await).contains("ten minutes"));
    assert!(world.upstream.seen.lock().unwrap().is_empty());
    assert!(world.broker.secrets().unwrap().is_empty());
}

#[tokio::test]
async fn logins_under_way_are_bounded() {
    let world = World::empty().await;
    for _ in 0..16 {
        world.broker.begin_connect(ADMIN, ask("gmail/me", false, true)).await.unwrap();
    }
    invalid(world.broker.begin_connect(ADMIN, ask("gmail/me", false, true)).await);
    world.clock.advance(10 * 60_000);
    world.broker.begin_connect(ADMIN, ask("gmail/me", false, true)).await.unwrap();
}

#[tokio::test]
async fn redirects_go_to_this_machine_only() {
    let world = World::empty().await;
    for uri in [
        "https://127.0.0.1:8085/",
        "http://127.0.0.1/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:80@evil.example/",
        "http://127.0.0.1.evil.example:80/",
        "http://localhost:8085/",
        "http://evil.example:8085/",
        "http://127.0.0.1:8085/?x=http://evil.example",
        "http://127.0.0.1:8085/#x",
        "",
    ] {
        let mut asked = ask("gmail/me", false, true);
        asked.redirect_uri = uri.to_owned();
        invalid(world.broker.begin_connect(ADMIN, asked).await);
    }
    let mut asked = ask("gmail/me", false, true);
    asked.redirect_uri = "http://[::1]:8085/callback".to_owned();
    world.broker.begin_connect(ADMIN, asked).await.unwrap();
}

#[tokio::test]
async fn a_renewed_login_is_the_same_accounts() {
    let mut world = World::new().await;
    invalid(connect(&world, "gmail/me", false).await);
    let missing = world.broker.begin_connect(ADMIN, ask("gmail/other", true, true)).await;
    assert!(matches!(missing, Err(AdminError::Missing { .. })));
    connect(&world, "gmail/me", true).await.unwrap();
    let first = world.broker.secret(&secret("gmail/me")).unwrap();
    assert_eq!((first.version, first.subject.as_deref()), (2, Some("subject-1")));
    world.google.lock().unwrap().subject = "subject-2".to_owned();
    assert!(invalid(connect(&world, "gmail/me", true).await).contains("another account"));
    assert_eq!(world.broker.secret(&secret("gmail/me")).unwrap().version, 2);
    world.restart().await;
    assert_eq!(world.broker.secret(&secret("gmail/me")).unwrap().version, 2);
}

#[tokio::test]
async fn what_was_not_granted_is_told() {
    let world = World::empty().await;
    let given = "openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/gmail.readonly";
    world.google.lock().unwrap().grants = Some(given.to_owned());
    let done = connect(&world, "gmail/me", false).await.unwrap();
    assert!(
        done.missing_scopes.iter().any(|scope| scope.ends_with("gmail.send")),
        "{:?}",
        done.missing_scopes
    );
    let crippled: Vec<String> = done.crippled_tools.iter().map(ToString::to_string).collect();
    assert!(crippled.contains(&"gmail.send_message".to_owned()), "{crippled:?}");
    assert!(!crippled.contains(&"gmail.get_message".to_owned()), "{crippled:?}");
}

#[tokio::test]
async fn a_refused_code_and_a_login_without_refresh_token() {
    let world = World::empty().await;
    world.google.lock().unwrap().token_error = Some((400, "invalid_grant"));
    assert!(matches!(connect(&world, "gmail/me", false).await, Err(AdminError::Upstream { .. })));
    world.google.lock().unwrap().token_error = None;
    world.upstream.answer_with(|_| {
        super::upstream::json(
            200,
            &serde_json::json!({"access_token": "x", "token_type": "Bearer", "scope": "a"}),
        )
    });
    assert!(matches!(connect(&world, "gmail/me", false).await, Err(AdminError::Upstream { .. })));
    assert!(world.broker.secrets().unwrap().is_empty());
}

#[tokio::test]
async fn the_client_is_remembered_sealed() {
    let mut world = World::empty().await;
    invalid(world.broker.begin_connect(ADMIN, ask("gmail/me", false, false)).await);
    connect(&world, "gmail/me", false).await.unwrap();
    for key in world.store.keys() {
        let value = world.store.item(&key).unwrap().value;
        assert!(!String::from_utf8_lossy(&value).contains("CANARY"), "{key}");
    }
    world.restart().await;
    let begun = world.broker.begin_connect(ADMIN, ask("drive/me", false, false)).await.unwrap();
    assert_eq!(param(&begun, "client_id"), "client-1");
    finish(&world, &begun, &param(&begun, "state")).await.unwrap();
    let request = world.upstream.token_requests().pop().unwrap();
    assert_eq!(request.field("client_secret").as_deref(), Some("CANARY-client-secret"));
}

#[tokio::test]
async fn a_client_file_with_nonsense_and_a_service_without_login() {
    let world = World::empty().await;
    for (id, text) in [("", "x"), ("x", ""), ("a b", "x"), ("a", "x\ny"), ("é", "x")] {
        let mut asked = ask("gmail/me", false, true);
        asked.client = Some((id.to_owned(), SecretBytes::from_text(text.to_owned())));
        invalid(world.broker.begin_connect(ADMIN, asked).await);
    }
    let mut nothing = ask("gmail/me", false, true);
    nothing.effects.clear();
    invalid(world.broker.begin_connect(ADMIN, nothing).await);
    let mut other = ask("gmail/me", false, true);
    other.tools.push("drive.read_file".parse().unwrap());
    assert!(matches!(world.broker.begin_connect(ADMIN, other).await, Err(AdminError::Missing { .. })));
}

/// What was granted serves some tools and not others, and the secret says which.
#[tokio::test]
async fn a_secret_says_which_tools_it_is_good_for() {
    let world = World::empty().await;
    let done = connect(&world, "gmail/me", false).await.unwrap();
    let all: std::collections::BTreeSet<_> = world
        .catalog
        .service_of(&done.secret.name)
        .unwrap()
        .tools
        .values()
        .map(|tool| tool.name.clone())
        .collect();
    let (can, cannot) = (done.secret.serves, done.secret.cannot_serve);
    assert!(!can.is_empty());
    assert_eq!(can.iter().chain(&cannot).cloned().collect::<std::collections::BTreeSet<_>>(), all);
    assert!(done.crippled_tools.iter().all(|tool| cannot.contains(tool)));
    for tool in &can {
        let narrow = world.catalog.tool(tool).unwrap();
        assert!(narrow.scope.iter().any(|scope| done.secret.scopes.iter().any(|had| had.ends_with(scope))));
    }
    // A refresh token that was typed in says nothing of its scopes.
    let typed =
        world.broker.add_secret(ADMIN, secret("gmail/typed"), super::world::oauth("r")).await.unwrap();
    assert!(typed.serves.is_empty() && typed.cannot_serve.is_empty());
}
