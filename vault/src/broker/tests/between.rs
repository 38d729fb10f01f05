//! What is taken away while a call waits: for the store to take its charge, or for the log to take its intent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use claviger_domain::caveat::Caveat;
use claviger_domain::event::{Ending, Kind};
use claviger_domain::id::GrantId;
use claviger_domain::refusal::Class;
use serde_json::json;

use super::fakes::FakeClock;
use super::world::{ADMIN, World, adapter, agent, ask, catalog, class};
use crate::broker::Broker;
use crate::broker::state::GrantEntry;

const GET: &str = "gmail.get_message";

/// How long the grant lasts, in seconds.
const LASTS_S: u64 = 100;

/// Each thing that can be taken away, and what the agent is told then.
const TAKEN: [(&str, Class); 9] = [
    ("the grant is revoked", Class::Revoked),
    ("the grant is over", Class::Revoked),
    ("its handles are gone", Class::Revoked),
    ("the agent is frozen", Class::Frozen),
    ("the agent is removed", Class::Revoked),
    ("it is forbidden", Class::NotGranted),
    ("its rules are changed", Class::Revoked),
    ("the services are others", Class::Revoked),
    ("nothing", Class::Busy),
];

/// What an admin's command does first, in memory.
fn take_away(what: &str, broker: &Broker, clock: &FakeClock, id: GrantId) {
    let ann = agent("ann");
    match what {
        "the grant is revoked" => broker.write().grants[&id].revoked.store(true, Ordering::SeqCst),
        "the grant is over" => clock.advance(LASTS_S * 1000),
        "its handles are gone" => drop(broker.write().forget_handles(id)),
        "the agent is frozen" => broker.freeze_now(&ann, "test").unwrap(),
        "the agent is removed" => drop(broker.write().agents.remove(&ann)),
        "it is forbidden" => {
            let mut state = broker.write();
            let mut grant = state.grants[&id].grant.clone();
            (grant.id, grant.deny, grant.caveats) = (GrantId::from_bytes([9; 8]), true, Vec::new());
            state.agents.get_mut(&ann).unwrap().grants.push(grant.id);
            let entry = GrantEntry { version: 1, revoked: AtomicBool::new(false), grant };
            state.grants.insert(entry.grant.id, Arc::new(entry));
        }
        "its rules are changed" => broker.write().agents.get_mut(&ann).unwrap().rules += 1,
        "the services are others" => broker.replace(catalog()),
        _ => {}
    }
}

async fn world(caveats: Vec<Caveat>) -> (World, GrantId) {
    let world = World::new().await;
    let mut asked = ask("ann", &[GET], caveats);
    asked.expires_in_s = Some(LASTS_S);
    let id = world.broker.add_grant(ADMIN, asked).await.unwrap().grant.id;
    (world, id)
}

#[tokio::test]
async fn what_is_taken_away_while_the_charge_is_written_mints_nothing() {
    for (what, told) in TAKEN {
        let (world, id) = world(vec![Caveat::Calls(5)]).await;
        let (broker, clock) = (Arc::clone(&world.broker), Arc::clone(&world.clock));
        let done = Arc::new(Mutex::new(false));
        let once = Arc::clone(&done);
        *world.store.hook.lock().unwrap() = Some(Box::new(move |keys| {
            let mut done = once.lock().unwrap();
            if !*done && keys.iter().any(|key| key.starts_with("counter/")) {
                *done = true;
                take_away(what, &broker, &clock, id);
            }
        }));
        let (text, bytes) = world.present(GET, &json!({"message_id": "m1"}));
        let minted = world.broker.mint(&adapter("gmail"), &text, &bytes).await;
        *world.store.hook.lock().unwrap() = None;
        assert!(*done.lock().unwrap(), "the charge was written");
        if what == "nothing" {
            minted.unwrap();
            continue;
        }
        assert_eq!(class(minted), told, "{what}");
        assert_eq!(world.broker.status().live_capabilities, 0, "{what}");
        assert_eq!(world.audit.count(Kind::Minted), 0, "{what}");
    }
}

#[tokio::test]
async fn what_is_taken_away_while_the_intent_is_written_sends_nothing() {
    for (what, told) in TAKEN.into_iter().chain([("the vault is sealed", Class::Sealed)]) {
        let (world, id) = world(vec![]).await;
        // The token is fetched first, so that what follows is the call's own intent.
        world.call(GET, json!({"message_id": "m1"})).await.unwrap();
        let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
        let (broker, clock) = (Arc::clone(&world.broker), Arc::clone(&world.clock));
        *world.audit.on_intent.lock().unwrap() = Some(Box::new(move |_| match what {
            "the vault is sealed" => broker.write().unsealed = false,
            _ => take_away(what, &broker, &clock, id),
        }));
        let sent = world.send(&minted, "get", &[]).await;
        *world.audit.on_intent.lock().unwrap() = None;
        if what == "nothing" {
            sent.unwrap();
            continue;
        }
        assert_eq!(class(sent), told, "{what}");
        assert_eq!(world.upstream.calls().len(), 1, "{what}");
        let (_, outcome, _) = world.audit.events(Kind::Outcome).pop().unwrap();
        assert_eq!(outcome.ending, Some(Ending::NotSent), "{what}");
    }
}

#[tokio::test]
async fn a_presentation_of_another_run_or_replica_is_stale_whatever_else_fits() {
    let (world, _) = world(vec![]).await;
    for other in ["boot", "replica", "both"] {
        let (text, bytes) = world.present_as("ann", GET, &json!({"message_id": "m1"}), |claim| {
            if other != "replica" {
                claim.boot[0] ^= 1;
            }
            if other != "boot" {
                claim.replica[0] ^= 1;
            }
        });
        assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, &bytes).await), Class::Stale, "{other}");
    }
}
