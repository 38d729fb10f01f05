//! What calls use up: exact under racers, durable across restarts, never given back.

use std::sync::Arc;

use claviger_domain::caveat::Caveat;
use claviger_domain::refusal::Class;
use serde_json::json;

use super::world::{ADMIN, World, adapter, class};
use crate::port::Commit;

const GET: &str = "gmail.get_message";

async fn world(caveats: Vec<Caveat>) -> World {
    let world = World::new().await;
    world.grant(&[GET], caveats).await;
    world
}

async fn mint(world: &World) -> Result<(), Class> {
    world.mint(GET, json!({"message_id": "m1"})).await.map(drop).map_err(|refusal| refusal.class)
}

async fn mints(world: &World, tries: usize) -> usize {
    let mut won = 0;
    for _ in 0..tries {
        won += usize::from(mint(world).await.is_ok());
    }
    won
}

fn made(world: &World) -> u64 {
    world.broker.grants(None, false).unwrap()[0].calls_made
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_are_exact_however_many_race() {
    let world = Arc::new(world(vec![Caveat::Calls(10)]).await);
    let racers: Vec<_> = (0..64)
        .map(|_| {
            let (text, bytes) = world.present(GET, &json!({"message_id": "m1"}));
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.broker.mint(&adapter("gmail"), &text, &bytes).await.is_ok() })
        })
        .collect();
    let mut won = 0;
    for racer in racers {
        won += u32::from(racer.await.unwrap());
    }
    assert_eq!((won, made(&world)), (10, 10));
}

#[tokio::test]
async fn calls_survive_a_restart_and_the_least_bound_counts() {
    let mut world = world(vec![Caveat::Calls(9), Caveat::Calls(5)]).await;
    assert_eq!(mints(&world, 3).await, 3);
    world.restart().await;
    assert_eq!(made(&world), 3);
    assert_eq!(mints(&world, 9).await, 2);
    assert_eq!(mint(&world).await, Err(Class::RateLimited));
    world.clock.advance(86_400_000);
    assert_eq!(mint(&world).await, Err(Class::RateLimited));
}

#[tokio::test]
async fn a_refused_call_is_not_charged_and_an_unspent_one_not_given_back() {
    let world = world(vec![Caveat::Calls(2)]).await;
    assert_eq!(class(world.mint(GET, json!({"nonsense": 1})).await), Class::BadArguments);
    let (text, bytes) = world.present(GET, &json!({"message_id": "m1"}));
    assert_eq!(class(world.broker.mint(&adapter("drive"), &text, &bytes).await), Class::BadPresentation);
    assert_eq!(made(&world), 0);
    mint(&world).await.unwrap();
    world.clock.advance(60_000);
    world.broker.tick().await;
    assert_eq!(made(&world), 1);
}

#[tokio::test]
async fn no_charge_no_call() {
    for (fault, happens) in [
        (Commit::Full, false),
        (Commit::Unavailable, false),
        (Commit::Conflict, false),
        (Commit::Unknown, false),
        (Commit::Unknown, true),
    ] {
        let mut world = world(vec![Caveat::Calls(3)]).await;
        mint(&world).await.unwrap();
        world.store.fail("counter/", fault, happens);
        world.store.down(true);
        assert_eq!(mint(&world).await, Err(Class::Unavailable), "{fault:?}");
        // While it is not known what the store has, nothing is minted.
        assert_eq!(mint(&world).await, Err(Class::Unavailable), "{fault:?}");
        world.store.down(false);
        // What may have been charged counts; the counter works again, and never counts less than it should.
        let left = if happens { 1 } else { 2 };
        assert_eq!(mints(&world, 4).await, left, "{fault:?} {happens}");
        world.restart().await;
        assert_eq!(mints(&world, 1).await, 0);
    }
    // Found out by the store itself: the charge happened, so the call does.
    let world = world(vec![Caveat::Calls(1)]).await;
    world.store.fail("counter/", Commit::Unknown, true);
    mint(&world).await.unwrap();
    assert_eq!(mint(&world).await, Err(Class::RateLimited));
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_break_the_counter() {
    let world = world(vec![Caveat::Calls(5)]).await;
    for _ in 0..2 {
        let (text, bytes) = world.present(GET, &json!({"message_id": "m1"}));
        let gmail = adapter("gmail");
        let mut mint = Box::pin(world.broker.mint(&gmail, &text, &bytes));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(mint.as_mut().poll(&mut context).is_pending(), "it waits for the store");
        drop(mint);
    }
    assert_eq!(mints(&world, 9).await, 5, "nothing was charged, and the rest still works");
}

#[tokio::test]
async fn a_rate_allows_a_burst_and_then_evenly() {
    let world = world(vec![Caveat::Rate("3/30s".parse().unwrap())]).await;
    assert_eq!(mints(&world, 5).await, 3);
    world.clock.advance(9_999);
    assert_eq!(mint(&world).await, Err(Class::RateLimited));
    world.clock.advance(1);
    assert_eq!(mints(&world, 2).await, 1);
}

#[tokio::test]
async fn several_rates_each_hold_and_a_refusal_charges_none() {
    let world =
        world(vec![Caveat::Rate("4/1h".parse().unwrap()), Caveat::Rate("2/10s".parse().unwrap())]).await;
    assert_eq!(mints(&world, 20).await, 2);
    world.clock.advance(10_000);
    assert_eq!(mints(&world, 20).await, 2);
    world.clock.advance(10_000);
    assert_eq!(mints(&world, 20).await, 0);
}

#[tokio::test]
async fn what_a_rate_reserved_ahead_is_never_given_back() {
    let mut world = world(vec![Caveat::Rate("80/1h".parse().unwrap())]).await;
    // Blocks of ten are durable: eleven calls write twice.
    assert_eq!(mints(&world, 11).await, 11);
    let key = world.store.keys().into_iter().find(|key| key.starts_with("counter/")).unwrap();
    assert_eq!(world.store.item(&key).unwrap().version, 2);
    world.restart().await;
    // Nine of the second block are lost with the process, and none gained.
    assert_eq!(mints(&world, 100).await, 60);
}

#[tokio::test]
async fn restarts_never_make_a_rate_faster() {
    let mut world = world(vec![Caveat::Rate("16/16s".parse().unwrap())]).await;
    let mut won = 0;
    for _ in 0..20 {
        won += mints(&world, 3).await;
        world.restart().await;
    }
    assert!(won <= 16, "{won}");
}

#[tokio::test]
async fn a_clock_that_was_years_ahead_is_not_held_against_the_agent_for_years() {
    let world = world(vec![Caveat::Rate("8/1h".parse().unwrap())]).await;
    world.clock.step(86_400_000 * 365);
    assert_eq!(mints(&world, 9).await, 8);
    world.clock.step(-86_400_000 * 365);
    world.broker.reset_clock(ADMIN).await.unwrap();
    // As if all had been used up just now, no better and no worse.
    assert_eq!(mints(&world, 9).await, 0);
    world.clock.advance(2 * 3_600_000);
    assert_eq!(mints(&world, 9).await, 8);
}
