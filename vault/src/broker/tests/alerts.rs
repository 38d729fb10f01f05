//! Alerts: each is told, none is told so often that it drowns the others.

use claviger_domain::event::Kind;
use claviger_domain::grant::Approve;
use claviger_domain::refusal::Class;
use serde_json::{Value, json};

use super::world::{ADMIN, World, agent, ask, class};
use crate::broker::records::HabitsRecord;
use crate::broker::view::LogAsk;
use crate::port::{Commit, UpstreamFault};

const GET: &str = "gmail.get_message";
const SEND: &str = "gmail.send_message";

async fn world() -> World {
    let world = World::new().await;
    world.grant(&[GET, SEND], vec![]).await;
    world
}

fn told(world: &World, what: &str) -> Vec<u64> {
    let alerts = world.audit.events(Kind::Alert);
    let ours = alerts.iter().filter(|(_, event, _)| event.step.as_deref() == Some(what));
    ours.map(|(_, event, _)| event.count.unwrap()).collect()
}

async fn get(world: &World) {
    world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
}

fn mail(to: &str) -> Value {
    json!({"to": [to], "cc": ["Boss@example.org"], "subject": "s", "body": "b"})
}

#[tokio::test]
async fn the_first_call_of_a_tool_is_told_once_and_remembered() {
    let mut world = world().await;
    get(&world).await;
    assert_eq!(told(&world, "first-use"), [1]);
    world.clock.advance(120_000);
    get(&world).await;
    assert_eq!(told(&world, "first-use"), [1]);
    world.broker.tick().await;
    world.restart().await;
    world.clock.advance(120_000);
    get(&world).await;
    assert_eq!(told(&world, "first-use"), [1]);
    world.mint(SEND, mail("a@example.org")).await.unwrap();
    assert_eq!(told(&world, "first-use"), [1, 1], "another tool");
    // Another grant is another matter.
    let grants = world.broker.grants(None, false).unwrap();
    world.broker.revoke(ADMIN, grants[0].grant.id).await.unwrap();
    world.grant(&[GET], vec![]).await;
    world.clock.advance(120_000);
    get(&world).await;
    assert_eq!(told(&world, "first-use").len(), 3);
}

#[tokio::test]
async fn an_address_never_written_to_is_told() {
    let mut world = world().await;
    world.mint(SEND, mail("a@example.org")).await.unwrap();
    let (_, event, detail) = world
        .audit
        .events(Kind::Alert)
        .into_iter()
        .find(|(_, e, _)| e.step.as_deref() == Some("new-recipient"))
        .unwrap();
    assert_eq!(detail.0, [("value".to_owned(), "a@example.org, boss@example.org".to_owned())]);
    assert_eq!(event.agent, Some(agent("ann")));
    world.broker.tick().await;
    world.restart().await;
    world.clock.advance(60_000);
    world.mint(SEND, mail("A@EXAMPLE.org")).await.unwrap();
    assert_eq!(told(&world, "new-recipient"), [1]);
    world.mint(SEND, mail("eve@example.org")).await.unwrap();
    assert_eq!(told(&world, "new-recipient"), [1, 1]);
    // At most one a minute: the next one says how many there were.
    for n in 0..5 {
        world.mint(SEND, mail(&format!("eve{n}@example.org"))).await.unwrap();
    }
    assert_eq!(told(&world, "new-recipient"), [1, 1]);
    world.clock.advance(60_000);
    world.mint(SEND, mail("mallory@example.org")).await.unwrap();
    assert_eq!(told(&world, "new-recipient"), [1, 1, 6]);
    // A refused mint wrote to nobody.
    world.clock.advance(60_000);
    assert_eq!(class(world.mint(SEND, mail("not an address")).await), Class::BadArguments);
    assert_eq!(told(&world, "new-recipient").len(), 3);
}

#[tokio::test]
async fn a_burst_of_refusals_is_told_once_a_minute() {
    let world = world().await;
    let refused = async |count: usize| {
        for _ in 0..count {
            assert!(world.mint(GET, json!({})).await.is_err());
        }
    };
    refused(19).await;
    assert!(told(&world, "denial-burst").is_empty());
    // Spread over more than a minute they are no burst.
    world.clock.advance(61_000);
    refused(19).await;
    assert!(told(&world, "denial-burst").is_empty());
    refused(1).await;
    assert_eq!(told(&world, "denial-burst"), [1]);
    refused(200).await;
    assert_eq!(told(&world, "denial-burst"), [1]);
    world.clock.advance(60_000);
    refused(20).await;
    assert_eq!(told(&world, "denial-burst"), [1, 201]);
}

#[tokio::test]
async fn an_hour_unlike_the_last_seven_days_is_told() {
    let mut world = world().await;
    // A usual hour of thirty calls.
    for _ in 0..30 {
        get(&world).await;
    }
    world.broker.tick().await;
    world.restart().await;
    world.clock.advance(3_600_000);
    for _ in 0..120 {
        get(&world).await;
        world.clock.advance(1);
    }
    assert!(told(&world, "unusual-volume").is_empty(), "four times as much is still usual");
    get(&world).await;
    assert_eq!(told(&world, "unusual-volume"), [1]);
    world.clock.advance(61_000);
    get(&world).await;
    assert_eq!(told(&world, "unusual-volume"), [1], "once for that hour");
    // Now that is what is usual; eight days later it is forgotten.
    world.clock.advance(8 * 24 * 3_600_000);
    for _ in 0..99 {
        get(&world).await;
        world.clock.advance(1);
    }
    assert_eq!(told(&world, "unusual-volume"), [1]);
    get(&world).await;
    assert_eq!(told(&world, "unusual-volume"), [1, 1]);
}

#[tokio::test]
async fn an_echo_is_told_and_the_status_shows_the_last_day() {
    let mut world = world().await;
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    world.upstream.answer_with(|_| Err(UpstreamFault::Echo));
    assert_eq!(class(world.call(GET, json!({"message_id": "m1"})).await), Class::Withheld);
    assert_eq!(told(&world, "secret-echoed"), [1]);
    let status = world.broker.status();
    assert_eq!(status.alerts, 2);
    assert_eq!(status.newest_alerts[0].what, "secret-echoed");
    assert_eq!(status.newest_alerts[0].agent, "ann");
    let log = world.broker.log(ADMIN, LogAsk { alerts: true, limit: 9, ..LogAsk::default() }).await.unwrap();
    assert_eq!(log.len(), 2);
    assert_eq!(log[0].0.reference.to_string(), status.newest_alerts[0].reference);
    world.broker.tick().await;
    world.restart().await;
    assert_eq!(world.broker.status().alerts, 2);
    world.clock.advance(24 * 3_600_000 + 1);
    assert_eq!(world.broker.status().alerts, 0);
    assert!(world.broker.status().newest_alerts.is_empty());
    // An agent that goes takes its habits along.
    world.broker.remove_agent(ADMIN, &agent("ann")).await.unwrap();
    assert!(!world.store.keys().iter().any(|key| key == "habits/ann"));
}

/// To wait for the owner's word is no refusal, however often it is asked whether it came.
#[tokio::test]
async fn what_waits_for_the_owner_is_no_burst() {
    let world = World::new().await;
    let mut asked = ask("ann", &[SEND], vec![]);
    asked.approve = Approve::Default;
    world.broker.add_grant(ADMIN, asked).await.unwrap();
    for _ in 0..25 {
        assert_eq!(class(world.mint(SEND, mail("a@example.org")).await), Class::Pending);
    }
    assert!(told(&world, "denial-burst").is_empty());
}

/// A name that is no agent's has no habits: whoever makes names up fills nothing.
#[tokio::test]
async fn nothing_is_remembered_of_who_is_no_agent() {
    let world = world().await;
    for _ in 0..25 {
        assert!(world.broker.open(&agent("nobody")).is_err());
    }
    assert!(told(&world, "denial-burst").is_empty());
    world.broker.tick().await;
    assert!(!world.store.keys().iter().any(|key| key == "habits/nobody"));
}

#[tokio::test]
async fn a_minute_a_day_and_a_week_end_when_they_are_over() {
    let world = world().await;
    // Twenty refusals within exactly a minute are not within less than one.
    assert!(world.mint(GET, json!({})).await.is_err());
    world.clock.advance(60_000);
    for _ in 0..19 {
        assert!(world.mint(GET, json!({})).await.is_err());
    }
    assert!(told(&world, "denial-burst").is_empty());
    // An alert of exactly a day ago is not today's.
    get(&world).await;
    world.clock.advance(24 * 3_600_000 - 1);
    assert_eq!(world.broker.status().alerts, 1);
    world.clock.advance(1);
    assert_eq!(world.broker.status().alerts, 0);
}

/// The hour of exactly a week ago still says what is usual.
#[tokio::test]
async fn a_busy_hour_is_known_for_a_whole_week() {
    let world = world().await;
    for _ in 0..30 {
        get(&world).await;
    }
    world.clock.advance(7 * 24 * 3_600_000);
    for _ in 0..120 {
        get(&world).await;
        world.clock.advance(1);
    }
    assert!(told(&world, "unusual-volume").is_empty());
    get(&world).await;
    assert_eq!(told(&world, "unusual-volume"), [1]);
}

/// What is usual is written at most once a minute, and what the store did not take is written with the next.
#[tokio::test]
async fn what_is_usual_is_written_now_and_then_and_is_not_lost() {
    let world = world().await;
    let version = || world.store.item("habits/ann").map(|item| item.version);
    get(&world).await;
    world.store.fail("habits/", Commit::Full, false);
    world.broker.tick().await;
    assert_eq!(version(), None);
    world.clock.advance(60_000);
    world.broker.tick().await;
    assert_eq!(version(), Some(1));
    get(&world).await;
    world.clock.advance(59_999);
    world.broker.tick().await;
    assert_eq!(version(), Some(1), "too soon");
    world.clock.advance(1);
    world.broker.tick().await;
    assert_eq!(version(), Some(2));
}

/// However many grants and addresses an agent has had, so many of them are remembered.
#[tokio::test]
async fn what_is_remembered_of_an_agent_is_bounded() {
    let world = World::new().await;
    for _ in 0..257 {
        let id = world.grant(&[GET], vec![]).await.grant.id;
        get(&world).await;
        world.broker.revoke(ADMIN, id).await.unwrap();
        world.clock.advance(60_000);
    }
    world.grant(&[SEND], vec![]).await;
    for mails in 0..41 {
        let to: Vec<String> = (0..50).map(|n| format!("a{mails}-{n}@example.org")).collect();
        world.mint(SEND, json!({"to": to, "subject": "s", "body": "b"})).await.unwrap();
    }
    world.broker.tick().await;
    let item = world.store.item("habits/ann").unwrap();
    let record: HabitsRecord = world.broker.read_sealed(&item).unwrap();
    assert_eq!(record.used.len(), 256);
    assert_eq!(record.wrote[0].addresses.len(), 2000);
}
