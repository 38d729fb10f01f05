//! Every credentialed request has a durable intent before its first byte; what has an effect, a durable outcome before
//! its release. And what was taken away between the two is gone.

use std::sync::{Arc, Mutex};

use claviger_domain::event::{Ending, Kind};
use claviger_domain::refusal::Class;
use serde_json::json;

use super::fakes::Door;
use super::world::{ADMIN, World, agent, class, within};
use crate::port::UpstreamFault;

const GET: &str = "gmail.get_message";
const SEND: &str = "gmail.send_message";

async fn world() -> World {
    let world = World::new().await;
    world.grant(&[GET, SEND], vec![]).await;
    world
}

fn mail() -> serde_json::Value {
    json!({"to": ["a@example.com"], "subject": "s", "body": "b"})
}

#[tokio::test]
async fn no_intent_no_request() {
    let world = world().await;
    world.audit.break_door(Door::Intent);
    for (tool, args) in [(GET, json!({"message_id": "m1"})), (SEND, mail())] {
        assert_eq!(class(world.call(tool, args).await), Class::Unavailable);
    }
    assert!(world.upstream.seen.lock().unwrap().is_empty());
    world.audit.mend();
    world.call(SEND, mail()).await.unwrap();
    world.all_announced();
}

#[tokio::test]
async fn an_effect_without_a_durable_outcome_is_not_released() {
    let world = world().await;
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    world.audit.break_door(Door::Outcome);
    let refusal = world.call(SEND, mail()).await.err().unwrap();
    // It was sent, so nobody is told to try again.
    assert_eq!((refusal.class, refusal.field.as_deref()), (Class::Unknown, Some("audit")));
    assert_eq!(world.upstream.calls().len(), 2, "it was sent, and the intent says so");
    // A read does not wait for the disk, but its outcome must at least be in the queue.
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    world.audit.break_door(Door::OutcomeQueued);
    assert_eq!(class(world.call(GET, json!({"message_id": "m1"})).await), Class::Unavailable);
}

#[tokio::test]
async fn outcomes_go_through_the_right_door() {
    let world = world().await;
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    world.call(SEND, mail()).await.unwrap();
    let doors: Vec<Door> = world.audit.events(Kind::Outcome).into_iter().map(|(door, ..)| door).collect();
    // A refresh may spend the refresh token, so its outcome is waited for as a write's is.
    assert_eq!(doors, [Door::Outcome, Door::OutcomeQueued, Door::Outcome]);
}

#[tokio::test]
async fn revoked_or_frozen_while_the_intent_was_written() {
    for what in ["revoke", "freeze", "remove agent", "clock"] {
        let world = Arc::new(world().await);
        world.call(GET, json!({"message_id": "m1"})).await.unwrap();
        let id = world.broker.grants(None, false).unwrap()[0].grant.id;
        let minted = world.mint(SEND, mail()).await.unwrap();
        let (broker, clock) = (Arc::clone(&world.broker), Arc::clone(&world.clock));
        *world.audit.on_intent.lock().unwrap() = Some(Box::new(move |_| {
            // What an admin's command does first, in memory.
            match what {
                "revoke" => {
                    broker.write().grants[&id].revoked.store(true, std::sync::atomic::Ordering::SeqCst)
                }
                "freeze" => {
                    broker.write().agents.get_mut(&agent("ann")).unwrap().record.frozen = Some("x".to_owned())
                }
                "remove agent" => drop(broker.write().agents.remove(&agent("ann"))),
                _ => clock.step(-61_000),
            }
        }));
        let refused = class(world.send(&minted, "send", &[]).await);
        assert!(matches!(refused, Class::Revoked | Class::Frozen | Class::Unavailable), "{what}: {refused}");
        assert_eq!(world.upstream.calls().len(), 1, "{what}");
        let (_, outcome, _) = world.audit.events(Kind::Outcome).pop().unwrap();
        assert_eq!(outcome.ending, Some(Ending::NotSent), "{what}");
    }
}

#[tokio::test]
async fn an_acknowledged_revocation_is_honoured_by_the_step_that_follows() {
    let world = World::new().await;
    world.grant(&["gmail.search_messages"], vec![within("label", &["Label_ai"])]).await;
    let minted = world.mint("gmail.search_messages", json!({})).await.unwrap();
    world.send(&minted, "list", &[]).await.unwrap();
    let id = world.broker.grants(None, false).unwrap()[0].grant.id;
    world.broker.revoke(ADMIN, id).await.unwrap();
    assert_eq!(class(world.send(&minted, "summary", &[("message_id", "m1")]).await), Class::Revoked);
}

#[tokio::test]
async fn a_broken_connection_leaves_an_effect_unknown_and_is_not_tried_again() {
    let world = world().await;
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    let cases = [
        (UpstreamFault::Broken("reset"), Class::Unknown, Ending::Unknown, Class::Upstream),
        (UpstreamFault::Slow, Class::Unknown, Ending::Unknown, Class::Upstream),
        (UpstreamFault::Connect("refused"), Class::Upstream, Ending::NotSent, Class::Upstream),
        (UpstreamFault::Address("private"), Class::Upstream, Ending::NotSent, Class::Upstream),
        (UpstreamFault::Redirect(302), Class::Unknown, Ending::Withheld, Class::Upstream),
        (UpstreamFault::Answer("encoded"), Class::Unknown, Ending::Withheld, Class::Upstream),
    ];
    for (fault, of_a_send, ending, of_a_read) in cases {
        let before = world.upstream.calls().len();
        let told = fault.clone();
        world.upstream.answer_with(move |_| Err(told.clone()));
        assert_eq!(class(world.call(SEND, mail()).await), of_a_send, "{fault}");
        let (door, outcome, _) = world.audit.events(Kind::Outcome).pop().unwrap();
        assert_eq!((door, outcome.ending), (Door::Outcome, Some(ending)), "{fault}");
        assert_eq!(class(world.call(GET, json!({"message_id": "m1"})).await), of_a_read, "{fault}");
        assert_eq!(world.upstream.calls().len(), before + 2, "{fault}");
    }
}

#[tokio::test]
async fn what_may_have_been_done_is_not_told_as_to_be_tried_again() {
    let world = world().await;
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    for (status, body, wanted) in [
        (500, json!({}), Class::Unknown),
        (503, json!({}), Class::Unknown),
        (304, json!({}), Class::Unknown),
        (200, json!("no object"), Class::Unknown),
        (400, json!({}), Class::Upstream),
        (429, json!({}), Class::Upstream),
    ] {
        world.upstream.answer_with(move |_| super::upstream::json(status, &body));
        assert_eq!(class(world.call(SEND, mail()).await), wanted, "{status}");
    }
    // A log in trouble does not make it less unknown.
    world.audit.break_door(Door::Outcome);
    world.upstream.answer_with(|_| Err(UpstreamFault::Slow));
    let refusal = world.call(SEND, mail()).await.err().unwrap();
    assert_eq!((refusal.class, refusal.field), (Class::Unknown, None));
    // Where nothing was sent it can be tried again.
    world.upstream.answer_with(|_| Err(UpstreamFault::Connect("refused")));
    assert_eq!(class(world.call(SEND, mail()).await), Class::Unavailable);
}

#[tokio::test]
async fn a_token_that_cannot_be_had_leaves_nothing_unknown_of_the_call() {
    let world = world().await;
    world.upstream.answer_with(|_| Err(UpstreamFault::Slow));
    assert_eq!(class(world.call(SEND, mail()).await), Class::Upstream);
    assert!(world.upstream.calls().is_empty());
}

#[tokio::test]
async fn a_task_that_panics_is_unknown_and_harms_nobody_else() {
    let world = world().await;
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    world.upstream.answer_with(|_| panic!("in the upstream"));
    let refusal = world.call(SEND, mail()).await.err().unwrap();
    assert_eq!((refusal.class, refusal.reference), (Class::Unknown, None));
    world.upstream.answer_with(super::google::serve(&world.google));
    world.call(SEND, mail()).await.unwrap();
    // The next start gives the open intent its outcome.
    let intents = world.audit.events(Kind::Intent);
    let outcomes = world.audit.events(Kind::Outcome);
    let open: Vec<_> = intents
        .into_iter()
        .map(|(_, event, _)| event)
        .filter(|intent| !outcomes.iter().any(|(_, outcome, _)| outcome.use_id == intent.use_id))
        .collect();
    assert_eq!(open.len(), 1);
    let use_id = open[0].use_id;
    world.broker.recover(open).await;
    let (_, outcome, _) = world.audit.events(Kind::Outcome).pop().unwrap();
    assert_eq!((outcome.use_id, outcome.ending), (use_id, Some(Ending::Unknown)));
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_lose_the_outcome() {
    let world = Arc::new(world().await);
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    let before = world.audit.count(Kind::Outcome);
    world.upstream.gate(false);
    let caller = tokio::spawn({
        let world = Arc::clone(&world);
        async move { world.call(SEND, mail()).await.is_ok() }
    });
    world.upstream.wait_for(3).await;
    caller.abort();
    assert!(caller.await.is_err());
    world.upstream.gate(true);
    world.broker.drain().await;
    assert_eq!(world.audit.count(Kind::Outcome), before + 1);
}

#[tokio::test]
async fn an_echo_is_withheld_told_and_freezes_at_the_second() {
    let world = world().await;
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    world.upstream.answer_with(|_| Err(UpstreamFault::Echo));
    assert_eq!(class(world.call(GET, json!({"message_id": "m1"})).await), Class::Withheld);
    assert_eq!(world.audit.count(Kind::Echo), 1);
    assert!(world.broker.agent(&agent("ann")).unwrap().frozen.is_none());
    // Even where the outcome cannot be recorded.
    world.audit.break_door(Door::Outcome);
    assert_eq!(class(world.call(SEND, mail()).await), Class::Unknown);
    world.audit.mend();
    assert_eq!(world.audit.count(Kind::Echo), 2);
    assert!(world.broker.agent(&agent("ann")).unwrap().frozen.unwrap().contains("twice"));
    assert!(world.broker.open(&agent("ann")).unwrap().frozen);
}

#[tokio::test]
async fn a_taint_is_durable_before_the_answer_that_makes_it() {
    let mut world = World::empty().await;
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, true).await.unwrap();
    world.broker.add_adapter(ADMIN, super::world::adapter("gmail"), Some(3001), None).await.unwrap();
    world
        .broker
        .add_secret(ADMIN, super::world::secret("gmail/me"), super::world::oauth("refresh-0"))
        .await
        .unwrap();
    world.grant(&[GET, "gmail.list_labels"], vec![]).await;
    world.call("gmail.list_labels", json!({})).await.unwrap();
    assert!(!world.broker.agent(&agent("ann")).unwrap().tainted);
    world.store.fail("agent/ann", crate::port::Commit::Full, false);
    assert_eq!(class(world.call(GET, json!({"message_id": "m1"})).await), Class::Unavailable);
    assert_eq!(world.upstream.calls().len(), 1, "nothing was read that could not be marked");
    let seen = Arc::new(Mutex::new(None));
    let (broker, marked) = (Arc::clone(&world.broker), Arc::clone(&seen));
    *world.audit.on_intent.lock().unwrap() = Some(Box::new(move |event| {
        if event.taints {
            *marked.lock().unwrap() = Some(broker.agent(&agent("ann")).unwrap().tainted);
        }
    }));
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), Some(true));
    *world.audit.on_intent.lock().unwrap() = None;
    world.restart().await;
    assert!(world.broker.agent(&agent("ann")).unwrap().tainted);
}
