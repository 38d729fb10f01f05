//! What an owner may see: the log as it was asked for, why something happened, and that somebody looked.

use std::collections::BTreeMap;

use claviger_domain::event::{Actor, Ending, Event, Kind};
use claviger_domain::id::{CallId, HandleId, Ref};
use serde_json::json;

use super::fakes::Door;
use super::world::{ADMIN, World, adapter, agent, secret};
use crate::broker::error::AdminError;
use crate::broker::lock;
use crate::broker::pages::{Onward, Page};
use crate::broker::view::LogAsk;

const GET: &str = "gmail.get_message";
const READ: &str = "drive.read_file";

/// Two agents, two services, calls and refusals of both, alerts, at two times. Returns the second.
async fn busy() -> (World, u64) {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    world.grant(&[READ], vec![]).await;
    world.try_grant("bob", &[GET], vec![]).await.unwrap();
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    world.clock.advance(1000);
    let later = world.broker.now_ms();
    world.call(READ, json!({"file_id": "f1"})).await.unwrap();
    world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    for id in ["m1", "m1"] {
        let (text, bytes) = world.present_as("bob", GET, &json!({"message_id": id}), |_| {});
        // The second is the same presentation again.
        let _ = world.broker.mint(&adapter("gmail"), &text, &bytes).await;
    }
    world.clock.advance(1000);
    assert!(world.mint(GET, json!({"nonsense": 1})).await.is_err());
    (world, later)
}

type Wanted = fn(&Event, u64) -> bool;

#[tokio::test]
async fn the_log_shows_what_was_asked_for_and_nothing_else() {
    let (world, later) = busy().await;
    let any = || LogAsk { limit: 1000, ..LogAsk::default() };
    let (ann, me) = (Some(agent("ann")), Some(secret("gmail/me")));
    let asks: Vec<(LogAsk, Wanted)> = vec![
        (LogAsk { agent: ann.clone(), ..any() }, |event, _| event.agent == Some(agent("ann"))),
        (LogAsk { secret: me.clone(), ..any() }, |event, _| event.secret == Some(secret("gmail/me"))),
        (LogAsk { tool: Some(GET.parse().unwrap()), ..any() }, |event, _| {
            event.tool.as_ref().is_some_and(|tool| tool.to_string() == GET)
        }),
        (LogAsk { refused: true, ..any() }, |event, _| event.kind == Kind::Refused),
        (LogAsk { alerts: true, ..any() }, |event, _| event.kind == Kind::Alert),
        (LogAsk { since_ms: later, ..any() }, |event, later| event.at_ms >= later),
        (LogAsk { agent: ann, secret: me, refused: true, since_ms: later, ..any() }, |event, later| {
            event.agent == Some(agent("ann"))
                && event.secret == Some(secret("gmail/me"))
                && event.kind == Kind::Refused
                && event.at_ms >= later
        }),
    ];
    for (at, (ask, wanted)) in asks.into_iter().enumerate() {
        let log = world.broker.log(ADMIN, ask).await.unwrap();
        let records = world.audit.records.lock().unwrap();
        let fits: Vec<Ref> = records
            .iter()
            .rev()
            .filter(|(_, event, _)| wanted(event, later))
            .map(|(_, event, _)| event.reference)
            .collect();
        assert!(!fits.is_empty() && fits.len() < records.len(), "{at}");
        assert_eq!(log.iter().map(|(event, _)| event.reference).collect::<Vec<_>>(), fits, "{at}");
    }
    // Some event is exactly as old as was asked for.
    assert!(world.audit.records.lock().unwrap().iter().any(|(_, event, _)| event.at_ms == later));
}

/// A look that cannot be recorded because the log is closed is not granted.
#[tokio::test]
async fn nobody_reads_the_log_unrecorded() {
    let (world, _) = busy().await;
    let reference = world.audit.events(Kind::Minted)[0].1.reference;
    world.broker.why(ADMIN, reference).await.unwrap();
    let (_, looked, _) = world.audit.events(Kind::Viewed).pop().unwrap();
    assert_eq!((looked.actor, looked.step.as_deref()), (ADMIN, Some("why")));
    world.audit.close_door(Door::Record);
    assert!(world.broker.log(ADMIN, LogAsk { limit: 9, ..LogAsk::default() }).await.is_err());
    assert!(world.broker.why(ADMIN, reference).await.is_err());
}

/// What an agent has read is named by its call: the mint of exactly that call is what stands behind it.
#[tokio::test]
async fn a_call_is_found_by_its_name() {
    let (world, _) = busy().await;
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    for (_, minted, _) in world.audit.events(Kind::Minted) {
        let call: CallId = minted.call.unwrap();
        let why = world.broker.why(ADMIN, Ref::from_bytes(*call.as_bytes())).await.unwrap();
        assert_eq!((why.event.0.kind, why.event.0.reference), (Kind::Minted, minted.reference));
        assert!(why.call.iter().all(|(event, _)| event.call == Some(call)) && !why.call.is_empty());
    }
    let none = world.broker.why(ADMIN, Ref::from_bytes([0; 8])).await;
    assert!(matches!(none, Err(AdminError::Missing { what: "event", .. })));
}

/// What the vault says last is said from the room that is kept for it.
#[tokio::test]
async fn the_last_words_are_written_where_there_is_always_room() {
    let world = World::empty().await;
    for (kind, door) in
        [(Kind::Sealed, Door::Reserve), (Kind::Stopped, Door::Reserve), (Kind::Unsealed, Door::Record)]
    {
        world.broker.record(kind, Actor::Vault).await.unwrap();
        assert_eq!(world.audit.events(kind).pop().unwrap().0, door);
    }
    world.audit.break_door(Door::Record);
    world.broker.record(Kind::Sealed, Actor::Vault).await.unwrap();
}

/// A use of an earlier run that nobody saw the end of is told as that, once, and is not done again.
#[tokio::test]
async fn an_intent_without_an_outcome_gets_the_only_true_one() {
    let (mut world, _) = busy().await;
    let intents: Vec<Event> =
        world.audit.events(Kind::Intent).into_iter().map(|(_, event, _)| event).take(2).collect();
    let before = (world.audit.count(Kind::Outcome), world.upstream.seen.lock().unwrap().len());
    world.restart().await;
    world.clock.advance(5);
    world.broker.recover(intents.clone()).await;
    let outcomes = world.audit.events(Kind::Outcome).split_off(before.0);
    assert_eq!(outcomes.len(), 2);
    for ((door, event, _), intent) in outcomes.into_iter().zip(intents) {
        assert_eq!((door, event.ending, event.bytes), (Door::Record, Some(Ending::Unknown), None));
        assert_eq!((event.use_id, event.call, event.agent), (intent.use_id, intent.call, intent.agent));
        assert_eq!((event.boot, event.at_ms), (world.broker.boot(), world.broker.now_ms()));
        assert!(event.reference != intent.reference && event.use_id.is_some());
    }
    assert_eq!(world.upstream.seen.lock().unwrap().len(), before.1);
}

#[tokio::test]
async fn the_status_tells_who_is_frozen_and_counts_what_stands() {
    let world = World::new().await;
    let gone = world.grant(&[GET], vec![]).await.grant.id;
    world.grant(&[READ], vec![]).await;
    assert_eq!((world.broker.status().grants, world.broker.status().warnings.len()), (2, 0));
    world.broker.revoke(ADMIN, gone).await.unwrap();
    world.broker.freeze(ADMIN, &agent("ann"), "odd mails").await.unwrap();
    let status = world.broker.status();
    assert_eq!(status.grants, 1);
    assert_eq!(status.warnings, ["agent ann is frozen: odd mails"]);
}

/// What an answer left behind as its grant was revoked is gone with the next look around.
#[tokio::test]
async fn pages_of_handles_that_are_gone_are_forgotten() {
    let world = World::new().await;
    let live = world.grant(&[GET], vec![]).await.grant.root;
    let gone = HandleId::from_bytes([9; 16]);
    let (tool, step) = (GET.parse().unwrap(), "get".parse().unwrap());
    let onward = || Onward { rest: "[1]".to_owned(), token: None };
    for handle in [live, gone] {
        let page = Page {
            tool: GET.parse().unwrap(),
            step: "get".parse().unwrap(),
            params: BTreeMap::new(),
            terms: [0; 32],
            onward: onward(),
        };
        lock(&world.broker.pages).keep(&agent("ann"), handle, "m".to_owned(), page);
    }
    let kept = |handle| lock(&world.broker.pages).find(&agent("ann"), handle, "m", &tool, &step).is_some();
    assert!(kept(live) && kept(gone));
    world.broker.tick().await;
    assert!(kept(live) && !kept(gone));
}
