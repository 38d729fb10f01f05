//! Several grants for one tool: the first that allows the call is charged, and one that forbids beats them all.

use claviger_domain::caveat::{Bound, Caveat};
use claviger_domain::event::Kind;
use claviger_domain::grant::{Approve, Grant};
use claviger_domain::id::HandleId;
use claviger_domain::refusal::Class;
use serde_json::{Value, json};

use super::world::{ADMIN, World, adapter, agent, ask, class};

const GET: &str = "gmail.get_message";
const SEND: &str = "gmail.send_message";

fn to(patterns: &[&str]) -> Caveat {
    Caveat::Recipients(patterns.iter().map(|pattern| pattern.parse().unwrap()).collect())
}

fn mail(to: &str) -> Value {
    json!({"to": [to], "subject": "s", "body": "b"})
}

fn made(world: &World, grant: &Grant) -> u64 {
    world.broker.grant(grant.id).unwrap().calls_made
}

async fn deny(world: &World, tools: &[&str], caveats: Vec<Caveat>) -> Grant {
    let mut asked = ask("ann", tools, caveats);
    asked.deny = true;
    asked.approve = Approve::Default;
    world.broker.add_grant(ADMIN, asked).await.unwrap().grant
}

#[tokio::test]
async fn the_first_that_allows_the_call_is_charged_alone() {
    let world = World::new().await;
    let work = world.grant(&[SEND], vec![to(&["*@work.example"]), Caveat::Calls(2)]).await.grant;
    let home = world.grant(&[SEND], vec![to(&["*@home.example"]), Caveat::Calls(1)]).await.grant;
    let both =
        world.grant(&[SEND], vec![to(&["*@work.example", "*@home.example"]), Caveat::Calls(1)]).await.grant;
    let minted = world.mint(SEND, mail("a@home.example")).await.unwrap();
    assert_eq!((made(&world, &work), made(&world, &home), made(&world, &both)), (0, 1, 0));
    // The log says whose authority it was.
    let events = world.audit.events(Kind::Minted);
    assert_eq!((events[0].1.grant, events[0].1.handle), (Some(home.id), Some(home.root)));
    // Used up, so the next that allows it.
    world.mint(SEND, mail("a@home.example")).await.unwrap();
    assert_eq!((made(&world, &work), made(&world, &home), made(&world, &both)), (0, 1, 1));
    // None left: the refusal is that of the one presented.
    assert_eq!(class(world.mint(SEND, mail("a@home.example")).await), Class::OutOfScope);
    for _ in 0..2 {
        world.mint(SEND, mail("a@work.example")).await.unwrap();
    }
    assert_eq!(class(world.mint(SEND, mail("a@work.example")).await), Class::RateLimited);
    assert_eq!((made(&world, &work), made(&world, &home), made(&world, &both)), (2, 1, 1));
    // Nobody's bounds are mixed.
    let mixed = json!({"to": ["a@work.example", "a@else.example"], "subject": "s", "body": "b"});
    assert_eq!(class(world.mint(SEND, mixed).await), Class::OutOfScope);
    // Revoking the one that was chosen stops the use.
    world.broker.revoke(ADMIN, home.id).await.unwrap();
    assert_eq!(class(world.send(&minted, "send", &[]).await), Class::Revoked);
}

#[tokio::test]
async fn two_grants_do_not_add_up_within_one_call() {
    let world = World::new().await;
    world.grant(&[SEND], vec![to(&["a@x.example"])]).await;
    world.grant(&[SEND], vec![to(&["b@x.example"])]).await;
    let both = json!({"to": ["a@x.example", "b@x.example"], "subject": "s", "body": "b"});
    assert_eq!(class(world.mint(SEND, both).await), Class::OutOfScope);
    // Each handle shows what the two allow together.
    for handle in world.broker.open(&agent("ann")).unwrap().handles {
        let schema = handle.tools[0].schema.to_string();
        assert!(!schema.contains("\"enum\":[\"a@x.example\"]"), "{schema}");
        assert!(!schema.contains("\"enum\":[\"b@x.example\"]"), "{schema}");
    }
}

#[tokio::test]
async fn a_child_uses_its_own_grant_only() {
    let world = World::new().await;
    let first = world.grant(&[SEND], vec![to(&["a@x.example"])]).await.grant;
    world.grant(&[SEND], vec![to(&["b@x.example"])]).await;
    let child = world.broker.narrow(&agent("ann"), first.root, vec![], String::new()).await.unwrap();
    let opened = world.broker.open_handles(&agent("ann"), &[child.id]).unwrap();
    assert!(opened.handles[0].tools[0].schema.to_string().contains("a@x.example"));
    let present = |id: HandleId, who: &str| {
        let (text, bytes) = world.present(SEND, &mail(who));
        let mut claim = claviger_canonical::Presentation::parse(&text).unwrap().claim().clone();
        claim.handle = *id.as_bytes();
        let key = claviger_canonical::ProofKey::new(*opened.handles[0].proof_key);
        (claviger_canonical::Presentation::sign(&key, claim).into_text(), bytes)
    };
    let gmail = adapter("gmail");
    let (text, bytes) = present(child.id, "a@x.example");
    world.broker.mint(&gmail, &text, &bytes).await.unwrap();
    let (text, bytes) = present(child.id, "b@x.example");
    assert_eq!(class(world.broker.mint(&gmail, &text, &bytes).await), Class::OutOfScope);
}

#[tokio::test]
async fn what_is_forbidden_is_forbidden_whatever_else_allows_it() {
    let mut world = World::new().await;
    world.grant(&[GET, SEND], vec![]).await;
    let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    let (text, bytes) = world.present(GET, &json!({"message_id": "m1"}));
    let no = deny(&world, &[GET], vec![]).await;
    // What was presented before, what was minted before, and what comes after.
    assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, &bytes).await), Class::NotGranted);
    assert_eq!(class(world.send(&minted, "get", &[]).await), Class::BadCapability);
    assert_eq!(class(world.mint(GET, json!({"message_id": "m1"})).await), Class::NotGranted);
    world.mint(SEND, mail("a@x.example")).await.unwrap();
    // It is no handle, and its tool is not offered.
    let opened = world.broker.open(&agent("ann")).unwrap();
    assert_eq!((opened.handles.len(), opened.handles[0].tools.len()), (1, 1));
    assert!(world.broker.open_handles(&agent("ann"), &[no.root]).unwrap().handles.is_empty());
    let child = world.broker.narrow(&agent("ann"), no.root, vec![], String::new()).await;
    assert_eq!(class(child), Class::Revoked);
    let (text, bytes) = world.present_as("ann", GET, &json!({"message_id": "m1"}), |claim| {
        claim.handle = *no.root.as_bytes();
    });
    assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, &bytes).await), Class::Revoked);
    // Of another agent, nothing is forbidden.
    world.try_grant("bob", &[GET], vec![]).await.unwrap();
    let (text, bytes) = world.present_as("bob", GET, &json!({"message_id": "m1"}), |_| {});
    world.broker.mint(&adapter("gmail"), &text, &bytes).await.unwrap();
    world.restart().await;
    assert_eq!(class(world.mint(GET, json!({"message_id": "m1"})).await), Class::NotGranted);
    world.broker.revoke(ADMIN, no.id).await.unwrap();
    world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
}

#[tokio::test]
async fn to_lift_what_is_forbidden_must_be_recorded_and_durable_first() {
    let world = World::new().await;
    world.grant(&[GET, SEND], vec![]).await;
    let no = deny(&world, &[GET], vec![]).await;
    let get = async || world.mint(GET, json!({"message_id": "m1"})).await;
    world.audit.break_door(super::fakes::Door::Reserve);
    assert!(world.broker.revoke(ADMIN, no.id).await.is_err());
    assert_eq!(class(get().await), Class::NotGranted);
    world.audit.mend();
    world.store.fail("grant/", crate::port::Commit::Full, false);
    assert!(world.broker.revoke(ADMIN, no.id).await.is_err());
    assert_eq!(class(get().await), Class::NotGranted);
    // While the log takes its time it still forbids.
    world.audit.block(true);
    let broker = std::sync::Arc::clone(&world.broker);
    let lifting = tokio::spawn(async move { broker.revoke(ADMIN, no.id).await.map(drop) });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(!lifting.is_finished());
    assert_eq!(class(get().await), Class::NotGranted);
    world.audit.block(false);
    lifting.await.unwrap().unwrap();
    get().await.unwrap();
}

#[tokio::test]
async fn a_child_is_forbidden_too() {
    let world = World::new().await;
    let grant = world.grant(&[GET], vec![]).await.grant;
    let limit = Caveat::Argument("message_id".parse().unwrap(), Bound::MaxLength(9));
    let child = world.broker.narrow(&agent("ann"), grant.root, vec![limit], String::new()).await.unwrap();
    deny(&world, &[GET], vec![]).await;
    assert!(world.broker.open_handles(&agent("ann"), &[child.id]).unwrap().handles.is_empty());
}
