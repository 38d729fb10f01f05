//! Nothing that anybody can see holds a secret: every kind of credential, through every path, looked for everywhere.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

use claviger_domain::caveat::Caveat;
use claviger_domain::event::Kind;
use claviger_domain::secret::SecretBytes;
use serde_json::json;

use super::upstream::json as answer;
use super::world::{ADMIN, World, agent, ask, oauth, secret, within};
use crate::broker::view::{LogAsk, NewValue};
use crate::port::UpstreamFault;

/// What every secret of this test contains.
const CANARY: &str = "CANARY";

struct Everything(Vec<String>);

impl Everything {
    fn look(&mut self, what: &(impl Debug + ?Sized)) {
        self.0.push(format!("{what:?}"));
        self.0.push(format!("{what:#?}"));
    }

    fn clean(&self) {
        for text in &self.0 {
            assert!(!text.contains(CANARY), "{text}");
            // As a list of bytes, in hexadecimal, in base64.
            assert!(!text.contains("67, 65, 78, 65, 82, 89"), "{text}");
            assert!(!text.to_lowercase().contains("43414e415259"), "{text}");
            assert!(!text.contains("Q0FOQVJZ"), "{text}");
        }
    }
}

fn log(world: &World, all: &mut Everything) {
    for (_, event, detail) in &*world.audit.records.lock().unwrap() {
        all.look(event);
        all.look(detail);
        // What `Debug` of a detail does not show, the owner's page does.
        all.look(&detail.0);
    }
}

fn disk(world: &World) {
    for key in world.store.keys() {
        let value = world.store.item(&key).unwrap().value;
        assert!(
            !value.windows(CANARY.len()).any(|part| part == CANARY.as_bytes()),
            "{key} holds a secret in the clear"
        );
    }
}

#[tokio::test]
async fn oauth_secrets_show_nowhere() {
    let mut world = World::empty().await;
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, false).await.unwrap();
    for (name, uid) in [("gmail", 3001), ("drive", 3002)] {
        world.broker.add_adapter(ADMIN, super::world::adapter(name), Some(uid), None).await.unwrap();
    }
    let mut all = Everything(Vec::new());
    {
        let mut google = world.google.lock().unwrap();
        google.refresh = vec!["CANARY-refresh".to_owned(), "CANARY-refresh-2".to_owned()];
        google.renews = true;
    }
    // Access and refresh tokens of the provider's carry it too.
    let google = super::google::serve(&world.google);
    let shared = world.google.clone();
    world.upstream.answer_with(move |seen| {
        let mut result = google(seen);
        if let (true, Ok(answer)) = (seen.is_token(), &mut result) {
            let text = String::from_utf8_lossy(&answer.body)
                .replace("access-", "CANARY-access-")
                .replace("\"refresh-", "\"CANARY-refresh-");
            let mut google = shared.lock().unwrap();
            let named: Vec<String> =
                google.access.keys().filter(|token| !token.starts_with(CANARY)).cloned().collect();
            for token in named {
                google.access.insert(format!("CANARY-{token}"), String::new());
            }
            let known = google.refresh.clone();
            google.refresh.extend(known.into_iter().map(|token| format!("CANARY-{token}")));
            answer.body = text.into();
        }
        result
    });
    all.look(&world.broker.add_secret(ADMIN, secret("gmail/me"), oauth("CANARY-refresh")).await.unwrap());
    all.look(&super::connect::connect(&world, "drive/me", false).await.unwrap());
    all.look(&super::connect::connect(&world, "gmail/me", true).await);
    all.look(&world.broker.add_secret(ADMIN, secret("gmail/me"), oauth("CANARY-refresh")).await);
    all.look(
        &world
            .grant(&["gmail.get_message", "gmail.send_message", "gmail.list_labels"], vec![Caveat::Calls(40)])
            .await,
    );
    all.look(&world.try_grant("ann", &["gmail.search_messages"], vec![within("label", &["Label_ai"])]).await);
    all.look(&world.broker.add_grant(ADMIN, ask("ann", &["gmail.get_message"], vec![])).await);
    let opened = world.broker.open(&agent("ann")).unwrap();
    all.look(&opened.handles.iter().flat_map(|handle| &handle.tools).collect::<Vec<_>>());
    all.look(&world.call("gmail.get_message", json!({"message_id": "m1"})).await.unwrap());
    all.look(&world.call("gmail.get_message", json!({"message_id": "absent"})).await);
    all.look(
        &world
            .call("gmail.send_message", json!({"to": ["a@example.com"], "subject": "s", "body": "b"}))
            .await,
    );
    all.look(&world.broker.rotate_secret(ADMIN, &secret("gmail/me"), None).await);
    all.look(&world.broker.rotate_secret(ADMIN, &secret("gmail/me"), Some(oauth("CANARY-refresh-2"))).await);
    all.look(&world.broker.rotate_secret(ADMIN, &secret("gmail/me"), Some(oauth("CANARY\nrefresh"))).await);
    all.look(
        &world
            .broker
            .rotate_secret(
                ADMIN,
                &secret("gmail/me"),
                Some(NewValue::Bearer(SecretBytes::from_text("CANARY".to_owned()))),
            )
            .await,
    );
    // Faults of every kind, and a token endpoint that is out of order or refuses.
    for fault in
        [UpstreamFault::Echo, UpstreamFault::Slow, UpstreamFault::Broken("x"), UpstreamFault::Redirect(302)]
    {
        world.upstream.answer_with(move |_| Err(fault.clone()));
        world.clock.advance(3_600_000);
        all.look(&world.call("gmail.get_message", json!({"message_id": "m1"})).await);
    }
    let _ = world.broker.thaw(ADMIN, &agent("ann")).await;
    world.upstream.answer_with(|_| answer(400, &json!({"error": "invalid_grant"})));
    all.look(&world.call("gmail.list_labels", json!({})).await);
    all.look(&world.broker.status());
    all.look(&world.broker.secrets());
    all.look(&world.broker.agents());
    all.look(&world.broker.adapters());
    all.look(&world.broker.grants(None, true));
    all.look(&world.broker.log(ADMIN, LogAsk { limit: 1000, ..LogAsk::default() }).await);
    for (_, event, _) in world.audit.events(Kind::Refused) {
        all.look(&world.broker.why(ADMIN, event.reference).await);
    }
    disk(&world);
    world.restart().await;
    all.look(&world.broker.remove_secret(ADMIN, &secret("gmail/me"), true).await);
    log(&world, &mut all);
    disk(&world);
    // The test itself looks in the right place: the upstream did get them.
    assert!(world.upstream.seen.lock().unwrap().iter().any(|seen| seen.credential.contains("CANARY-access")));
    assert!(
        world.upstream.seen.lock().unwrap().iter().any(|seen| seen.credential.contains("CANARY-refresh"))
    );
    all.clean();
}

/// A service of the test's own, for the kinds that the built-in ones do not have.
async fn plain_service(auth: &str, value: NewValue) -> World {
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        r#"
id = "box"
title = "Box"
origin = "https://box.example"
auth = {auth}
[tool.look]
summary = "Look"
effect = "read"
answers = "trusted"
[[tool.look.step]]
name = "look"
method = "GET"
path = "/look"
fields = ["id"]
"#
    );
    std::fs::write(directory.path().join("box.toml"), text).unwrap();
    let mut world = World::empty().await;
    world.catalog =
        crate::catalog::load(Some(Path::new(directory.path())), &BTreeMap::new(), &BTreeMap::new()).unwrap();
    world.restart().await;
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, false).await.unwrap();
    world.broker.add_adapter(ADMIN, super::world::adapter("box"), Some(3001), None).await.unwrap();
    world.broker.add_secret(ADMIN, secret("box/me"), value).await.unwrap();
    world.grant(&["box.look"], vec![]).await;
    world
}

#[tokio::test]
async fn plain_secrets_go_where_they_belong_and_show_nowhere() {
    let text = || SecretBytes::from_text("CANARY-value".to_owned());
    let cases = [
        (r#"{ kind = "bearer" }"#, NewValue::Bearer(text()), "CANARY-value"),
        (r#"{ kind = "header", header = "x-api-key" }"#, NewValue::Header(text()), "CANARY-value"),
        (r#"{ kind = "basic" }"#, NewValue::Basic("me".to_owned(), text()), "me:CANARY-value"),
    ];
    for (auth, value, sent) in cases {
        let world = plain_service(auth, value).await;
        let mut all = Everything(Vec::new());
        world.upstream.answer_with(|_| answer(200, &json!({"id": "x"})));
        all.look(&world.call("box.look", json!({})).await.unwrap());
        assert_eq!(world.upstream.calls()[0].credential, sent, "{auth}");
        world.upstream.answer_with(|_| answer(401, &json!({})));
        all.look(&world.call("box.look", json!({})).await);
        assert_eq!(world.upstream.calls().len(), 2, "a plain secret is not tried twice");
        all.look(&world.broker.secrets());
        log(&world, &mut all);
        disk(&world);
        all.clean();
    }
}
