//! Which calls on record count, where a list of grants is held against them or grants are suggested from them.

use claviger_domain::caveat::Caveat;
use claviger_domain::event::Kind;
use claviger_domain::refusal::Class;
use serde_json::json;

use super::policy::mail;
use super::world::{ADMIN, World, adapter, agent, ask, class, within};
use crate::broker::error::AdminError;
use crate::port::Clock;

const GET: &str = "gmail.get_message";
const SEND: &str = "gmail.send_message";

/// Of a call whose arguments are no longer kept, or whose agent is gone, nobody can say what it would be told.
#[tokio::test]
async fn what_is_gone_is_counted_as_forgotten() {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    world.try_grant("bob", &[GET], vec![]).await.unwrap();
    for _ in 0..2 {
        world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    }
    let (text, bytes) = world.present_as("bob", GET, &json!({"message_id": "m1"}), |_| {});
    world.broker.mint(&adapter("gmail"), &text, &bytes).await.unwrap();
    {
        let mut records = world.audit.records.lock().unwrap();
        records.iter_mut().find(|(_, event, _)| event.kind == Kind::Minted).unwrap().2.0.clear();
    }
    let suggested = world.broker.suggest(&agent("ann"), 0).await.unwrap();
    assert_eq!((suggested.looked_at, suggested.forgotten), (2, 1));
    assert_eq!(suggested.grants.iter().map(|(_, calls)| calls).collect::<Vec<_>>(), [&1]);
    let simulated = world.broker.simulate(ADMIN, vec![], None, 0).await.unwrap();
    assert_eq!((simulated.forgotten, simulated.same, simulated.differing.len()), (1, 0, 2));
    world.broker.remove_agent(ADMIN, &agent("bob")).await.unwrap();
    let simulated = world.broker.simulate(ADMIN, vec![], None, 0).await.unwrap();
    assert_eq!((simulated.forgotten, simulated.same, simulated.differing.len()), (2, 0, 1));
}

/// A refusal says something about the grants where a rule refused the call, and only then.
#[tokio::test]
async fn a_refusal_of_the_moment_or_of_a_step_is_not_replayed() {
    let world = World::new().await;
    let bounds = || vec![within("label", &["Label_ai"]), Caveat::Calls(3)];
    world.grant(&[GET], bounds()).await;
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    // Refused once its answer was seen.
    assert_eq!(class(world.call(GET, json!({"message_id": "secret1"})).await), Class::OutOfScope);
    world.call(GET, json!({"message_id": "m2"})).await.unwrap();
    assert_eq!(class(world.mint(GET, json!({"message_id": "m1"})).await), Class::RateLimited);
    assert!(world.mint(SEND, mail("a@example.com")).await.is_err());
    let grants = vec![ask("ann", &[GET], bounds())];
    let simulated = world.broker.simulate(ADMIN, grants, None, 0).await.unwrap();
    assert_eq!((simulated.forgotten, simulated.same, simulated.differing.len()), (0, 4, 0), "{simulated:?}");
    // What was refused needs no grant.
    let suggested = world.broker.suggest(&agent("ann"), 0).await.unwrap();
    assert_eq!((suggested.looked_at, suggested.forgotten), (3, 0));
}

#[tokio::test]
async fn a_call_of_the_very_moment_counts() {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    let now = world.clock.wall_ms();
    for (since, calls) in [(now, 1), (now + 1, 0)] {
        assert_eq!(world.broker.suggest(&agent("ann"), since).await.unwrap().looked_at, calls);
    }
}

#[tokio::test]
async fn nothing_is_suggested_for_nobody() {
    let world = World::new().await;
    let nobody = world.broker.suggest(&agent("nobody"), 0).await;
    assert!(matches!(&nobody, Err(AdminError::Missing { what: "agent", .. })), "{nobody:?}");
}
