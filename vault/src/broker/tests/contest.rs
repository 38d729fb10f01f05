//! Calls that race for the last unit of a grant, where another grant allows them too.

use std::collections::BTreeMap;
use std::sync::Arc;

use claviger_domain::caveat::{Bound, Caveat, PeopleBound, Role};
use claviger_domain::event::Kind;
use claviger_domain::grant::{Approve, Grant};
use claviger_domain::refusal::{Class, Refusal};
use claviger_domain::secret::SecretBytes;
use serde_json::json;

use super::upstream::json as answer;
use super::world::{ADMIN, World, adapter, agent, ask, secret, within};
use crate::broker::view::{Minted, NewValue};
use crate::port::Commit;

const BOX: &str = r#"
id = "box"
title = "Box"
origin = "https://box.example"
auth = { kind = "bearer" }

[step.facts]
method = "GET"
path = "/things/{thing_id}"
[step.below]
method = "GET"
path = "/folders/{folder_id}/folders"

[resource.folder]
summary = "folders"
resolve = { step = "below", list = "/folders", match = "/name", take = "/id" }

[tool.update]
summary = "Change a thing"
effect = "write"
requests = 2
args.thing_id = { type = "id", required = true, summary = "" }
[[tool.update.look]]
name = "thing"
step = "facts"
people = ["/guests/*/mail"]
[[tool.update.step]]
name = "put"
method = "PUT"
path = "/things/{thing_id}"
body = { codec = "json", fields = { title = "x" } }
check.folder = { probe = "facts", at = "/parents" }
"#;

const UPDATE: &str = "box.update";

/// A service whose one thing lies in the folder `in` and has a guest of `x.example`.
async fn world() -> Arc<World> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("box.toml"), BOX).unwrap();
    let catalog = crate::catalog::load(Some(folder.path()), &BTreeMap::new(), &BTreeMap::new()).unwrap();
    let world = World::with(catalog).await;
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, false).await.unwrap();
    world.broker.add_adapter(ADMIN, adapter("box"), Some(3001), None).await.unwrap();
    let value = NewValue::Bearer(SecretBytes::from_text("token".to_owned()));
    world.broker.add_secret(ADMIN, secret("box/me"), value).await.unwrap();
    world.upstream.answer_with(|_| {
        answer(200, &json!({ "id": "thing", "parents": ["in"], "guests": [{ "mail": "a@x.example" }] }))
    });
    Arc::new(world)
}

fn guests(pattern: &str) -> Caveat {
    Caveat::People(PeopleBound { role: Role::Attendee, patterns: [pattern.parse().unwrap()].into() })
}

fn made(world: &World, grant: &Grant) -> u64 {
    world.broker.grant(grant.id).unwrap().calls_made
}

/// So many calls at once. Each has found room, and is looking at the thing, before any of them is charged.
async fn race(world: &Arc<World>, callers: usize) -> Vec<Result<Minted, Refusal>> {
    let before = world.upstream.calls().len();
    world.upstream.gate(false);
    let mints: Vec<_> = (0..callers)
        .map(|_| {
            let world = Arc::clone(world);
            tokio::spawn(async move { world.mint(UPDATE, json!({ "thing_id": "thing" })).await })
        })
        .collect();
    world.upstream.wait_for(before + callers).await;
    world.upstream.gate(true);
    let mut results = Vec::new();
    for mint in mints {
        results.push(mint.await.unwrap());
    }
    results
}

/// The classes of those that were refused.
fn refused(results: &[Result<Minted, Refusal>]) -> Vec<Class> {
    results.iter().filter_map(|result| result.as_ref().err().map(|refusal| refusal.class)).collect()
}

#[tokio::test]
async fn who_loses_the_last_unit_goes_on_to_the_next_grant() {
    let world = world().await;
    let few = world.grant(&[UPDATE], vec![Caveat::Calls(1)]).await.grant;
    let more = world.grant(&[UPDATE], vec![Caveat::Calls(5)]).await.grant;
    assert_eq!(refused(&race(&world, 2).await), []);
    assert_eq!((made(&world, &few), made(&world, &more)), (1, 1));
    // Each looked once, and the log says under which grant each call is.
    assert_eq!(world.upstream.calls().len(), 2);
    let minted = world.audit.events(Kind::Minted);
    let under: Vec<_> = minted.iter().map(|event| (event.1.grant, event.1.handle)).collect();
    assert_eq!(under, [(Some(few.id), Some(few.root)), (Some(more.id), Some(more.root))]);
    world.all_announced();
}

#[tokio::test]
async fn what_was_seen_is_judged_by_each_grant_and_asked_for_once() {
    // A probe of the folder and a look at the guests, for each of the two callers.
    for (bounds, why) in [
        (vec![within("folder", &["in"]), guests("*@x.example")], None),
        (vec![within("folder", &["out"]), guests("*@x.example")], Some(Class::OutOfScope)),
        (vec![within("folder", &["in"]), guests("*@y.example")], Some(Class::OutOfScope)),
    ] {
        let world = world().await;
        let few = vec![within("folder", &["in"]), guests("*@x.example"), Caveat::Calls(1)];
        let few = world.grant(&[UPDATE], few).await.grant;
        let more = world.grant(&[UPDATE], [bounds, vec![Caveat::Calls(5)]].concat()).await.grant;
        assert_eq!(refused(&race(&world, 2).await), Vec::from_iter(why));
        assert_eq!((made(&world, &few), made(&world, &more)), (1, u64::from(why.is_none())));
        assert_eq!(world.upstream.calls().len(), 4);
    }
}

/// Capabilities are used on what is there then, never on what was seen when the call was decided.
#[tokio::test]
async fn what_is_done_is_looked_at_anew() {
    let world = world().await;
    world.grant(&[UPDATE], vec![Caveat::Calls(1)]).await;
    world.grant(&[UPDATE], vec![guests("*@x.example"), Caveat::Calls(1)]).await;
    let results = race(&world, 2).await;
    world.upstream.answer_with(|_| {
        answer(200, &json!({ "id": "thing", "parents": ["in"], "guests": [{ "mail": "a@evil.example" }] }))
    });
    for minted in results {
        let sent = world.send(&minted.unwrap(), "put", &[]).await;
        assert_eq!(sent.unwrap_err().class, Class::OutOfScope);
    }
    assert!(world.upstream.calls().iter().all(|call| call.method == "GET"));
}

#[tokio::test]
async fn as_many_win_as_there_are_units_and_none_is_charged_twice() {
    for (callers, units) in [(4, vec![1, 1, 1]), (9, vec![2, 1, 3]), (6, vec![1])] {
        let world = world().await;
        let mut grants = Vec::new();
        for unit in &units {
            grants.push(world.grant(&[UPDATE], vec![Caveat::Calls(*unit)]).await.grant);
        }
        let sum: u64 = units.iter().sum();
        let results = race(&world, callers).await;
        let lost = callers - usize::try_from(sum).unwrap();
        assert_eq!(refused(&results), vec![Class::RateLimited; lost], "{units:?}");
        for (grant, unit) in grants.iter().zip(&units) {
            assert_eq!(made(&world, grant), *unit, "{units:?}");
        }
        assert_eq!(world.upstream.calls().len(), callers);
    }
}

/// The one that was presented speaks for all, as if the race had been over before.
#[tokio::test]
async fn where_none_is_left_the_refusal_is_that_of_the_one_presented() {
    let world = world().await;
    let short = Caveat::Argument("thing_id".parse().unwrap(), Bound::MaxLength(3));
    let presented = world.grant(&[UPDATE], vec![short]).await.grant;
    let few = world.grant(&[UPDATE], vec![Caveat::Calls(1)]).await.grant;
    assert_eq!(refused(&race(&world, 2).await), [Class::OutOfScope]);
    assert_eq!(made(&world, &few), 1);
    let told = world.audit.events(Kind::Refused);
    assert_eq!((told[0].1.grant, told[0].1.handle), (Some(presented.id), Some(presented.root)));
}

#[tokio::test]
async fn who_goes_on_is_under_all_of_the_next_grants_rules() {
    let world = world().await;
    let few = world.grant(&[UPDATE], vec![Caveat::Calls(1)]).await.grant;
    let mut asked = ask("ann", &[UPDATE], vec![Caveat::Calls(5)]);
    asked.approve = Approve::Always;
    let asking = world.broker.add_grant(ADMIN, asked).await.unwrap().grant;
    assert_eq!(refused(&race(&world, 2).await), [Class::Pending]);
    assert_eq!((made(&world, &few), made(&world, &asking)), (1, 0));
    let waiting = world.broker.approvals(None, false).await.unwrap();
    assert_eq!(waiting[0].approval.call.as_ref().map(|call| call.grant), Some(asking.id));
}

/// A charge of which nobody knows whether it stands is no "used up": the call ends there.
#[tokio::test]
async fn a_charge_that_may_stand_sends_nobody_on() {
    for (commit, happens) in [(Commit::Unknown, true), (Commit::Unavailable, false), (Commit::Full, false)] {
        let world = world().await;
        let few = world.grant(&[UPDATE], vec![Caveat::Calls(1)]).await.grant;
        let more = world.grant(&[UPDATE], vec![Caveat::Calls(5)]).await.grant;
        world.store.fail(&format!("counter/{}", few.root), commit, happens);
        let minted = world.mint(UPDATE, json!({ "thing_id": "thing" })).await;
        assert!(minted.is_ok() == happens || refused(&[minted]) == [Class::Unavailable], "{happens}");
        assert_eq!(made(&world, &more), 0);
    }
}
