//! A tool of two steps and two looks: which of them are looked at again, which probes wait, and what counts for whom.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use claviger_domain::effect::Effect;
use claviger_domain::refusal::{Class, Refusal};
use claviger_domain::secret::SecretBytes;
use serde_json::{Value, json};

use super::upstream::json as answer;
use super::world::{ADMIN, World, adapter, agent, secret, within};
use crate::broker::lock;
use crate::broker::view::{Minted, NewValue};
use crate::port::Clock;

const DESK: &str = r#"
id = "desk"
title = "Desk"
origin = "https://desk.example"
auth = { kind = "bearer" }

[step.facts]
method = "GET"
path = "/things/{thing_id}"
[step.owner]
method = "GET"
path = "/owners/{owner_id}"
[step.part]
method = "GET"
path = "/things/{thing_id}/parts/{part_id}"
[step.below]
method = "GET"
path = "/folders/{folder_id}/folders"

[resource.folder]
summary = "folders"
resolve = { step = "below", list = "/folders", match = "/name", take = "/id" }

[tool.update]
summary = "Change a part of a thing"
effect = "write"
requests = 5
args.thing_id = { type = "id", required = true, summary = "" }
args.owner_id = { type = "id", summary = "" }
[[tool.update.look]]
name = "thing"
step = "facts"
people = ["/guests/*/mail"]
[[tool.update.look]]
name = "owner"
step = "owner"
when = "owner_id"
optional = true
people = ["/mails/*"]
[[tool.update.step]]
name = "parts"
method = "GET"
path = "/things/{thing_id}/parts"
fields = ["parts"]
check.folder = { probe = "facts", at = "/parents" }
[[tool.update.step]]
name = "put"
method = "PUT"
path = "/things/{thing_id}"
fields = ["id"]
check.folder = { probe = "facts", at = "/parents" }

[tool.browse]
summary = "Read the parts of a thing"
effect = "read"
requests = 5
args.thing_id = { type = "id", required = true, summary = "" }
[[tool.browse.look]]
name = "thing"
step = "facts"
people = ["/guests/*/mail"]
[[tool.browse.step]]
name = "parts"
method = "GET"
path = "/things/{thing_id}/parts"
fields = ["parts"]
yields.part_id = "/parts/*/id"
check.folder = { probe = "facts", at = "/parents" }
[[tool.browse.step]]
name = "get"
method = "GET"
path = "/things/{thing_id}/parts/{part_id}"
fields = ["id"]
param.part_id = { from = "answer" }
check.folder = { probe = "part", at = "/parents" }
"#;

const UPDATE: &str = "desk.update";
const BROWSE: &str = "desk.browse";

/// What the upstream answers of an owner: its status.
type Status = Arc<Mutex<u16>>;

async fn desk() -> (World, Status) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("desk.toml"), DESK).unwrap();
    let catalog = crate::catalog::load(Some(folder.path()), &BTreeMap::new(), &BTreeMap::new()).unwrap();
    let world = World::with(catalog).await;
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, false).await.unwrap();
    world.broker.add_adapter(ADMIN, adapter("desk"), Some(3001), None).await.unwrap();
    let value = NewValue::Bearer(SecretBytes::from_text("token".to_owned()));
    world.broker.add_secret(ADMIN, secret("desk/me"), value).await.unwrap();
    let status: Status = Arc::new(Mutex::new(200));
    let owners = Arc::clone(&status);
    world.upstream.answer_with(move |seen| match seen.target.as_str() {
        "/things/t" => answer(200, &json!({ "id": "t", "parents": ["in"], "guests": [] })),
        "/things/t/parts" => answer(200, &json!({ "parts": [{ "id": "p" }] })),
        "/things/t/parts/p" => answer(200, &json!({ "id": "p", "parents": ["in"] })),
        "/owners/o" => answer(*owners.lock().unwrap(), &json!({ "mails": [] })),
        _ => answer(404, &json!({})),
    });
    (world, status)
}

fn told<T>(result: Result<T, Refusal>) -> (Class, Option<String>) {
    let refusal = result.err().expect("it was allowed");
    (refusal.class, refusal.field)
}

/// What a step asked the upstream for.
async fn asked(world: &World, minted: &Minted, step: &str, params: &[(&str, &str)]) -> Vec<String> {
    let before = world.upstream.calls().len();
    world.send(minted, step, params).await.unwrap();
    let calls = world.upstream.calls().split_off(before);
    calls.into_iter().map(|seen| format!("{} {}", seen.method, seen.target)).collect()
}

async fn mint(world: &World, args: Value) -> Result<Minted, Refusal> {
    world.mint(UPDATE, args).await
}

#[tokio::test]
async fn only_before_what_may_change_something_the_due_looks_are_done_again() {
    let (world, _) = desk().await;
    world.grant(&[UPDATE], vec![]).await;
    let minted = mint(&world, json!({ "thing_id": "t" })).await.unwrap();
    assert_eq!(world.upstream.calls().len(), 1, "the thing, and no owner");
    assert_eq!(asked(&world, &minted, "parts", &[]).await, ["GET /things/t/parts"]);
    assert_eq!(asked(&world, &minted, "put", &[]).await, ["GET /things/t", "PUT /things/t"]);
    let minted = mint(&world, json!({ "thing_id": "t", "owner_id": "o" })).await.unwrap();
    assert_eq!(asked(&world, &minted, "parts", &[]).await, ["GET /things/t/parts"]);
    let put = asked(&world, &minted, "put", &[]).await;
    assert_eq!(put, ["GET /things/t", "GET /owners/o", "PUT /things/t"]);
    world.all_announced();
}

#[tokio::test]
async fn a_look_that_may_fail_reaches_somebody_unknown_and_never_hides_trouble() {
    let (world, status) = desk().await;
    world.grant(&[UPDATE], vec![]).await;
    let look = async |found: u16, thing: &str| {
        *status.lock().unwrap() = found;
        mint(&world, json!({ "thing_id": thing, "owner_id": "o" })).await.map(|minted| minted.effect)
    };
    assert_eq!(look(200, "t").await.unwrap(), Effect::Write);
    for absent in [403, 404, 410] {
        assert_eq!(look(absent, "t").await.unwrap(), Effect::Send, "{absent}");
    }
    assert_eq!(told(look(429, "t").await), (Class::Upstream, Some("rate".to_owned())));
    // One that must be made is refused where it cannot.
    assert_eq!(told(look(200, "none").await), (Class::OutOfScope, Some("object".to_owned())));
}

#[tokio::test]
async fn a_probe_of_what_only_a_step_names_waits_for_that_step() {
    let (world, _) = desk().await;
    world.grant(&[BROWSE], vec![within("folder", &["in"])]).await;
    let minted = world.mint(BROWSE, json!({ "thing_id": "t" })).await.unwrap();
    let targets: Vec<String> = world.upstream.calls().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/things/t", "/things/t"], "a probe and a look");
    let parts = asked(&world, &minted, "parts", &[]).await;
    assert_eq!(parts, ["GET /things/t", "GET /things/t/parts"]);
    let part = asked(&world, &minted, "get", &[("part_id", "p")]).await;
    assert_eq!(part, ["GET /things/t/parts/p", "GET /things/t/parts/p"]);
}

#[tokio::test]
async fn looks_count_for_calls_that_come_to_nothing_and_fill_the_log_for_all() {
    let (world, _) = desk().await;
    world.grant(&[UPDATE], vec![]).await;
    let (ann, now_us) = (agent("ann"), world.clock.mono_us());
    let minted = mint(&world, json!({ "thing_id": "t" })).await.unwrap();
    asked(&world, &minted, "parts", &[]).await;
    while lock(&world.broker.looks).spend(&ann, now_us) {}
    let refused = told(mint(&world, json!({ "thing_id": "t" })).await);
    assert_eq!(refused, (Class::Busy, Some("looks".to_owned())));
    // What was minted is charged to its grant, its looks with it.
    asked(&world, &minted, "put", &[]).await;
    // There is room in the log for the call, and not for its look.
    world.clock.advance(600_000);
    let now_us = world.clock.mono_us();
    while lock(&world.broker.budgets).spend(&ann, 1 << 20, now_us) {}
    while lock(&world.broker.budgets).spend(&ann, 0, now_us) {}
    world.clock.advance(100);
    let before = world.upstream.calls().len();
    let refused = told(mint(&world, json!({ "thing_id": "t" })).await);
    assert_eq!(refused, (Class::Busy, Some("audit".to_owned())));
    assert_eq!(world.upstream.calls().len(), before);
    world.clock.advance(1000);
    mint(&world, json!({ "thing_id": "t" })).await.unwrap();
}
