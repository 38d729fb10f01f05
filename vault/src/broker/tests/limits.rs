//! What is kept in memory is bounded for each agent, to the byte and the millisecond.

use std::sync::Arc;

use claviger_canonical::presentation::{FUTURE_MS, WINDOW_MS};
use claviger_domain::capability::{Capability, LIFE_US};
use claviger_domain::id::HandleId;
use serde_json::json;

use super::world::{World, adapter, agent};
use crate::broker::capabilities::Capabilities;
use crate::broker::flights::{Flight, Flights};
use crate::broker::lock;
use crate::broker::nonces::{Nonces, Spent};
use crate::broker::time::STEP_BACK_MS;

const GET: &str = "gmail.get_message";

/// Capabilities as a vault mints them.
async fn capabilities(world: &World, count: usize) -> Vec<Capability> {
    let mut all = Vec::new();
    for _ in 0..count {
        let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
        let mut kept = lock(&world.broker.capabilities);
        let id = claviger_domain::id::CapabilityId::from_slice(&minted.capability[..16]).unwrap();
        let live = kept.find(id).unwrap();
        kept.forget(|minted| minted.id == id);
        all.push(Arc::try_unwrap(live).ok().unwrap().into_inner().unwrap());
    }
    all
}

#[tokio::test]
async fn an_agents_calls_take_their_room_until_their_time_is_over() {
    // 64 MiB for an agent; a call weighs 1 KiB, and its arguments twice.
    const BYTES: usize = ((1 << 20) - 1024) / 2;
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    world.try_grant("bob", &[GET], vec![]).await.unwrap();
    let mut all = capabilities(&world, 70).await.into_iter();
    let mut kept = Capabilities::default();
    let mut keep = |now_us: u64, bytes: usize| kept.keep(all.next().unwrap(), bytes, now_us);
    assert!(keep(0, BYTES));
    for _ in 1..64 {
        assert!(keep(1, BYTES));
    }
    assert!(!keep(1, 0), "not even one that weighs its least");
    assert!(!keep(LIFE_US - 1, 0));
    // The first one's time is over, and its room is free; the others' is not.
    assert!(keep(LIFE_US, BYTES));
    assert!(!keep(LIFE_US, 0));
    kept.sweep(LIFE_US + 1);
    assert_eq!(kept.len(), 1);
    // Another agent has its own room.
    let (text, bytes) = world.present_as("bob", GET, &json!({"message_id": "m1"}), |_| {});
    world.broker.mint(&adapter("gmail"), &text, &bytes).await.unwrap();
}

#[test]
fn a_nonce_is_known_as_long_as_it_could_be_presented() {
    const KEEP_MS: u64 = WINDOW_MS + FUTURE_MS + STEP_BACK_MS;
    let handle = HandleId::from_bytes([1; 16]);
    // Whenever within a generation it came.
    for at in [0, 1, KEEP_MS - 1, KEEP_MS, KEEP_MS + 1, 2 * KEEP_MS - 1, 2 * KEEP_MS, 2 * KEEP_MS + 1] {
        let mut nonces = Nonces::default();
        let start = 10 * KEEP_MS;
        assert_eq!(nonces.spend(handle, [1; 12], start), Ok(()));
        assert_eq!(nonces.spend(handle, [2; 12], start + at), Ok(()), "{at}");
        for later in [0, 1, 2, KEEP_MS / 2, KEEP_MS] {
            assert_eq!(nonces.spend(handle, [2; 12], start + at + later), Err(Spent::Before), "{at} {later}");
        }
    }
}

#[test]
fn whoever_ends_one_use_has_room_for_one() {
    let (flights, ann) = (Flights::default(), agent("ann"));
    let mut held: Vec<Flight> = (0..64).map(|_| flights.begin(&ann).unwrap()).collect();
    drop(held.pop());
    held.push(flights.begin(&ann).unwrap());
    assert!(flights.begin(&ann).is_err());
    // The last one counts as well.
    held.truncate(1);
    held.extend((1..64).map(|_| flights.begin(&ann).unwrap()));
    assert!(flights.begin(&ann).is_err());
}
