//! A clock that is set back gives nothing again, and one that is set forward takes nothing for good.

use claviger_domain::caveat::Caveat;
use claviger_domain::rate::Rate;
use claviger_domain::refusal::Class;
use serde_json::json;

use super::fakes::Door;
use super::world::{ADMIN, World, agent, ask};
use crate::broker::error::AdminError;
use crate::broker::view::GrantAsk;

const GET: &str = "gmail.get_message";
/// The most that a clock may be set back before uses are refused, in milliseconds.
const SLACK: i64 = 60_000;

async fn mint(world: &World) -> Result<(), Class> {
    world.mint(GET, json!({"message_id": "m1"})).await.map(drop).map_err(|refusal| refusal.class)
}

/// Expired is expired: by each way in which the clock can be set back, restarts included.
#[tokio::test]
async fn what_has_expired_does_not_come_back() {
    for (restart, back) in [(false, SLACK), (false, 3_600_000), (true, SLACK), (true, 3_600_000)] {
        let mut world = World::new().await;
        let ask = GrantAsk { expires_in_s: Some(100), ..ask("ann", &[GET], vec![]) };
        let grant = world.broker.add_grant(ADMIN, ask).await.unwrap();
        mint(&world).await.unwrap();
        let (text, bytes) = world.present(GET, &json!({"message_id": "m1"}));
        world.clock.advance(100_000);
        world.broker.tick().await;
        world.clock.step(-back);
        if restart {
            world.restart().await;
        }
        let answer = world.broker.mint(&super::world::adapter("gmail"), &text, &bytes).await;
        assert!(answer.is_err(), "{restart} {back}");
        assert!(world.broker.open(&agent("ann")).unwrap().handles.is_empty(), "{restart} {back}");
        let shown = world.broker.grants(None, true).unwrap();
        let shown = shown.iter().find(|shown| shown.grant.id == grant.grant.id).unwrap();
        assert!(shown.grant.alive(world.broker.now_ms()).is_err(), "{restart} {back}");
    }
}

/// A rate's calls come back with time that passes, not with a clock that is set back and runs again.
#[tokio::test]
async fn a_rate_is_not_had_twice() {
    for restart in [false, true] {
        let mut world = World::new().await;
        let hourly = Rate::new(8, 3600).unwrap();
        world.grant(&[GET], vec![Caveat::Rate(hourly)]).await;
        for _ in 0..8 {
            mint(&world).await.unwrap();
        }
        world.broker.tick().await;
        // Within the slack it is the same instant again and again.
        let mut given = 0;
        for _ in 0..20 {
            world.clock.step(-SLACK);
            if restart {
                world.restart().await;
            }
            given += usize::from(mint(&world).await.is_ok());
            world.clock.advance(60_000);
            given += usize::from(mint(&world).await.is_ok());
        }
        assert_eq!(given, 0, "{restart}");
        // Set back by hours, and the owner says that it is right: what was used up still is, for at most the rate's span.
        world.clock.step(-7_200_000);
        world.broker.reset_clock(ADMIN).await.unwrap();
        for _ in 0..8 {
            assert_eq!(mint(&world).await, Err(Class::RateLimited), "{restart}");
        }
        world.clock.advance(3_600_000);
        mint(&world).await.unwrap();
    }
}

/// Set forward by mistake and then right: the owner's word brings back what the wrong time ended, and nothing more.
#[tokio::test]
async fn a_wrong_time_ahead_is_undone_by_the_owner_alone() {
    let mut world = World::new().await;
    let ask = GrantAsk { expires_in_s: Some(1000), ..ask("ann", &[GET], vec![Caveat::Calls(2)]) };
    world.broker.add_grant(ADMIN, ask).await.unwrap();
    mint(&world).await.unwrap();
    world.clock.step(86_400_000);
    world.broker.tick().await;
    assert!(world.broker.open(&agent("ann")).unwrap().handles.is_empty());
    world.clock.step(-86_400_000);
    for _ in 0..2 {
        assert!(world.broker.clock_refuses());
        world.restart().await;
    }
    world.broker.reset_clock(ADMIN).await.unwrap();
    mint(&world).await.unwrap();
    assert_eq!(mint(&world).await, Err(Class::RateLimited), "a call was given back");
}

fn mark(world: &World) -> u64 {
    world.store.item("meta/clock").map_or(0, |item| item.version)
}

/// The mark follows the time, half a minute behind it at most, and is not written at each tick.
#[tokio::test]
async fn the_time_is_made_durable_now_and_then() {
    let world = World::new().await;
    world.broker.tick().await;
    let first = mark(&world);
    assert!(first > 0);
    for _ in 0..3 {
        world.broker.tick().await;
    }
    world.clock.advance(29_999);
    world.broker.tick().await;
    assert_eq!(mark(&world), first);
    world.clock.advance(1);
    world.broker.tick().await;
    world.broker.tick().await;
    assert_eq!(mark(&world), first + 1);
    // A time of which nobody knows whether it was right is not kept for the next run.
    world.clock.step(40_000);
    let ahead = world.broker.now_ms();
    world.clock.step(-SLACK - 40_000);
    world.broker.tick().await;
    assert!(world.broker.clock_refuses());
    assert_eq!((world.broker.now_ms(), mark(&world)), (ahead, first + 1));
}

/// What the log of an earlier run says of the time counts, where the mark is older: and it never sets the time back.
#[tokio::test]
async fn it_is_never_earlier_than_the_log_says() {
    let world = World::new().await;
    let now = world.broker.now_ms();
    world.broker.was_as_late_as(now - 1);
    assert_eq!(world.broker.now_ms(), now);
    world.broker.was_as_late_as(now + 60_000);
    assert_eq!((world.broker.now_ms(), world.broker.clock_refuses()), (now + 60_000, false));
    world.broker.was_as_late_as(now + 60_001);
    assert_eq!((world.broker.now_ms(), world.broker.clock_refuses()), (now + 60_001, true));
}

#[tokio::test]
async fn a_clock_is_not_believed_again_before_that_is_on_record() {
    let world = World::new().await;
    world.clock.step(-SLACK - 1);
    assert!(world.broker.clock_refuses());
    let (now, kept) = (world.broker.now_ms(), mark(&world));
    world.audit.break_door(Door::Record);
    let refused = world.broker.reset_clock(ADMIN).await;
    assert!(matches!(refused, Err(AdminError::Audit(_))), "{refused:?}");
    assert_eq!((world.broker.now_ms(), mark(&world)), (now, kept));
    assert!(world.broker.clock_refuses());
    world.audit.mend();
    world.broker.reset_clock(ADMIN).await.unwrap();
    assert!(!world.broker.clock_refuses() && world.broker.now_ms() < now);
}
