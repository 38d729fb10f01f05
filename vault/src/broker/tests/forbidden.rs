//! The order in which Mint says no: before anything is looked at, charged or used up; and whom a deny grant speaks of.

use std::sync::atomic::Ordering;

use claviger_domain::caveat::Caveat;
use claviger_domain::grant::{Approve, Grant};
use claviger_domain::refusal::{Class, Refusal};
use serde_json::json;

use super::boxes::{Boxes, boxes, thing};
use super::world::{ADMIN, World, adapter, agent, ask, class};
use crate::broker::lock;
use crate::port::Clock;

const GET: &str = "gmail.get_message";
const SEND: &str = "gmail.send_message";
const UPDATE: &str = "box.update";

fn to(patterns: &[&str]) -> Caveat {
    Caveat::Recipients(patterns.iter().map(|pattern| pattern.parse().unwrap()).collect())
}

async fn deny(world: &World, tools: &[&str], caveats: Vec<Caveat>) -> Grant {
    let mut asked = ask("ann", tools, caveats);
    (asked.deny, asked.approve) = (true, Approve::Default);
    world.broker.add_grant(ADMIN, asked).await.unwrap().grant
}

fn charged(world: &World, grant: &Grant) -> u64 {
    world.broker.grant(grant.id).unwrap().calls_made
}

fn told<T>(result: Result<T, Refusal>) -> (Class, Option<String>) {
    let refusal = result.err().expect("it was allowed");
    (refusal.class, refusal.field)
}

/// A thing whose guests are told when it is changed.
async fn with_guest(guest: &str) -> Boxes {
    boxes(&[("t", thing(json!({ "shared": true, "guests": [{ "mail": guest }] })))]).await
}

#[tokio::test]
async fn whom_the_object_reaches_is_forbidden_too_and_nothing_is_charged() {
    for (guest, forbidden) in [("eve@evil.example", true), ("mum@family.example", false)] {
        let boxes = with_guest(guest).await;
        let grant = boxes.world.grant(&[UPDATE], vec![Caveat::Calls(5)]).await.grant;
        deny(&boxes.world, &[UPDATE], vec![to(&["*@evil.example"])]).await;
        let minted = boxes.world.mint(UPDATE, json!({ "thing_id": "t" })).await;
        match forbidden {
            true => assert_eq!(class(minted), Class::NotGranted, "{guest}"),
            false => drop(minted.unwrap()),
        }
        assert_eq!(charged(&boxes.world, &grant), u64::from(!forbidden), "{guest}");
        assert_eq!(boxes.changes(), 0);
    }
}

#[tokio::test]
async fn nothing_is_looked_at_for_who_is_forbidden_or_has_used_up() {
    let boxes = with_guest("mum@family.example").await;
    let grant = boxes.world.grant(&[UPDATE], vec![Caveat::Calls(1)]).await.grant;
    let update = async || boxes.world.mint(UPDATE, json!({ "thing_id": "t" })).await;
    update().await.unwrap();
    let looked = boxes.world.upstream.calls().len();
    assert!(looked > 0, "the call is looked at");
    assert_eq!(class(update().await), Class::RateLimited);
    // Forbidden beats used up: the reason told is the one that lasts.
    let (text, bytes) = boxes.world.present(UPDATE, &json!({ "thing_id": "t" }));
    deny(&boxes.world, &[UPDATE], vec![]).await;
    assert_eq!(class(boxes.world.broker.mint(&adapter("box"), &text, &bytes).await), Class::NotGranted);
    assert_eq!(boxes.world.upstream.calls().len(), looked);
    assert_eq!(charged(&boxes.world, &grant), 1);
}

#[tokio::test]
async fn of_exactly_two_grants_the_other_serves_what_the_first_does_not() {
    let world = World::new().await;
    let work = world.grant(&[SEND], vec![to(&["*@work.example"]), Caveat::Calls(5)]).await.grant;
    let home = world.grant(&[SEND], vec![to(&["*@home.example"]), Caveat::Calls(5)]).await.grant;
    for (whom, by_work, by_home) in [("a@home.example", 0, 1), ("a@work.example", 1, 1)] {
        world.mint(SEND, json!({ "to": [whom], "subject": "s", "body": "b" })).await.unwrap();
        assert_eq!((charged(&world, &work), charged(&world, &home)), (by_work, by_home), "{whom}");
    }
}

#[tokio::test]
async fn an_adapter_that_was_removed_is_told_so_whatever_it_presents() {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    let (text, bytes) = world.present(GET, &json!({ "message_id": "m1" }));
    world.broker.remove_adapter(ADMIN, &adapter("gmail")).await.unwrap();
    let refused = told(world.broker.mint(&adapter("gmail"), &text, &bytes).await);
    assert_eq!(refused, (Class::BadPresentation, Some("adapter".to_owned())));
    let refused = told(world.broker.mint(&adapter("gmail"), "garbage", &bytes).await);
    assert_eq!(refused, (Class::BadPresentation, Some("adapter".to_owned())));
}

#[tokio::test]
async fn a_grant_revoked_in_memory_charges_nothing_and_spends_no_nonce() {
    let world = World::new().await;
    let grant = world.grant(&[GET], vec![Caveat::Calls(5)]).await.grant;
    let (text, bytes) = world.present(GET, &json!({ "message_id": "m1" }));
    let flag = |on| world.broker.write().grants[&grant.id].revoked.store(on, Ordering::SeqCst);
    flag(true);
    assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, &bytes).await), Class::Revoked);
    flag(false);
    assert_eq!(charged(&world, &grant), 0);
    world.broker.mint(&adapter("gmail"), &text, &bytes).await.unwrap();
}

#[tokio::test]
async fn an_agent_that_has_filled_its_share_of_the_log_mints_nothing() {
    let world = World::new().await;
    let grant = world.grant(&[GET], vec![Caveat::Calls(5)]).await.grant;
    world.try_grant("bob", &[GET], vec![]).await.unwrap();
    let now_us = world.clock.mono_us();
    while lock(&world.broker.budgets).spend(&agent("ann"), 1 << 20, now_us) {}
    while lock(&world.broker.budgets).spend(&agent("ann"), 0, now_us) {}
    let refused = told(world.mint(GET, json!({ "message_id": "m1" })).await);
    assert_eq!(refused, (Class::Busy, Some("audit".to_owned())));
    assert_eq!(charged(&world, &grant), 0);
    // Another's is its own, and its own comes back.
    let (text, bytes) = world.present_as("bob", GET, &json!({ "message_id": "m1" }), |_| {});
    world.broker.mint(&adapter("gmail"), &text, &bytes).await.unwrap();
    world.clock.advance(60_000);
    world.mint(GET, json!({ "message_id": "m1" })).await.unwrap();
}
