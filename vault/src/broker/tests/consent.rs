//! A person's word: on one exact call, once, in time; and each way to make one yes serve for something else.

mod doubt;
mod known;
mod shown;
mod store;
mod trouble;

use std::sync::Arc;

use claviger_domain::approval::{CALL_LIFE_MS, State};
use claviger_domain::caveat::Caveat;
use claviger_domain::event::Kind;
use claviger_domain::grant::Approve;
use claviger_domain::id::ApprovalId;
use claviger_domain::refusal::{Class, Refusal};
use serde_json::{Value, json};

use super::fakes::Door;
use super::world::{ADMIN, World, adapter, agent, ask, class, oauth, secret};
use crate::broker::error::AdminError;
use crate::broker::view::{GrantView, Minted};
use crate::port::Commit;

const SEND: &str = "gmail.send_message";

fn mail(to: &str) -> Value {
    json!({"to": [to], "subject": "s", "body": "b"})
}

impl World {
    async fn grant_with(
        &self,
        who: &str,
        tools: &[&str],
        approve: Approve,
        caveats: Vec<Caveat>,
    ) -> GrantView {
        let ask = crate::broker::view::GrantAsk { approve, ..ask(who, tools, caveats) };
        self.broker.add_grant(ADMIN, ask).await.unwrap()
    }

    /// Mints with an approval.
    async fn mint_with(&self, who: &str, args: &Value, id: ApprovalId) -> Result<Minted, Refusal> {
        let mut nonce = [0; 12];
        crate::port::Entropy::fill(&*self.entropy, &mut nonce);
        let (text, bytes) = self.present_as(who, SEND, args, |claim| {
            claim.nonce = nonce;
            claim.approval = Some(*id.as_bytes());
        });
        self.broker.mint(&adapter("gmail"), &text, &bytes).await
    }

    /// Asks for it and says yes.
    async fn agreed(&self, args: &Value) -> ApprovalId {
        let id = pending(self.mint(SEND, args.clone()).await);
        self.broker.decide(ADMIN, id, true, String::new()).await.unwrap();
        id
    }

    async fn state(&self, id: ApprovalId) -> State {
        self.broker.collect(&agent("ann"), id).await.unwrap().state
    }
}

#[track_caller]
fn pending<T>(result: Result<T, Refusal>) -> ApprovalId {
    let refusal = result.err().expect("it was allowed");
    assert_eq!(refusal.class, Class::Pending, "{refusal}");
    refusal.approval.expect("no id to collect by")
}

async fn world() -> World {
    let world = World::new().await;
    world.grant_with("ann", &[SEND], Approve::Default, vec![Caveat::Calls(10)]).await;
    world
}

#[tokio::test]
async fn asked_shown_agreed_collected_and_run_once() {
    let world = world().await;
    let args = mail("a@example.org");
    let id = pending(world.mint(SEND, args.clone()).await);
    assert_eq!(world.upstream.calls().len(), 0, "something was sent");
    assert_eq!(world.broker.grants(None, false).unwrap()[0].calls_made, 0, "asking is not calling");
    assert_eq!(world.state(id).await, State::Pending);
    assert!(world.broker.collect(&agent("ann"), id).await.unwrap().arguments.is_empty());
    assert_eq!(
        world.broker.status().warnings.iter().filter(|line| line.contains("claviger approvals")).count(),
        1
    );

    let shown = world.broker.show_approval(ADMIN, id).await.unwrap();
    let text =
        |name: &str| shown.shown.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str());
    assert_eq!(text("to (1 of 1)"), Some("a@example.org"));
    assert_eq!((text("Agent"), text("Tool")), (Some("ann"), Some(SEND)));
    assert!(text("Effect").unwrap().starts_with("send"));

    world.broker.decide(ADMIN, id, true, "fine".to_owned()).await.unwrap();
    let collected = world.broker.collect(&agent("ann"), id).await.unwrap();
    assert_eq!((collected.state, collected.answer.as_str()), (State::Approved, "fine"));
    let exact: Value = serde_json::from_slice(&collected.arguments).unwrap();
    assert_eq!((exact, collected.tool.unwrap().to_string()), (args.clone(), SEND.to_owned()));

    world.mint_with("ann", &args, id).await.unwrap();
    assert_eq!(world.state(id).await, State::Done);
    assert_eq!(world.broker.grants(None, false).unwrap()[0].calls_made, 1);
    // Once.
    assert_eq!(class(world.mint_with("ann", &args, id).await), Class::BadPresentation);
    // And the same call again is asked for again.
    assert_ne!(pending(world.mint(SEND, args).await), id);
    for kind in [Kind::ApprovalAsked, Kind::Approved] {
        let (door, event, detail) = &world.audit.events(kind)[0];
        assert_eq!((*door, event.tool.clone().unwrap().to_string()), (Door::Record, SEND.to_owned()));
        assert!(detail.0.iter().any(|(name, text)| name == "arguments" && text.contains("a@example.org")));
    }
}

#[tokio::test]
async fn a_yes_to_one_call_is_none_to_another() {
    let world = world().await;
    world.grant_with("bob", &[SEND], Approve::Default, vec![]).await;
    let args = mail("a@example.org");
    let id = world.agreed(&args).await;
    let composed = json!({"to": ["a@example.org"], "subject": "caf\u{e9}", "body": "b"});
    let decomposed = json!({"to": ["a@example.org"], "subject": "cafe\u{301}", "body": "b"});
    for other in [
        mail("b@example.org"),
        mail("A@example.org"),
        json!({"to": ["a@example.org"], "subject": "s", "body": "b "}),
        json!({"to": ["a@example.org"], "cc": ["b@example.org"], "subject": "s", "body": "b"}),
        composed.clone(),
        decomposed.clone(),
    ] {
        assert_eq!(class(world.mint_with("ann", &other, id).await), Class::BadPresentation, "{other}");
    }
    let accent = world.agreed(&composed).await;
    assert_eq!(class(world.mint_with("ann", &decomposed, accent).await), Class::BadPresentation);
    // Another agent's, by an id that it has seen or guessed: as if there were none.
    let refused = |result: Result<_, Refusal>| result.map(|_: Minted| ()).unwrap_err().field;
    let guessed = ApprovalId::from_bytes([0; 16]);
    assert_eq!(
        refused(world.mint_with("bob", &args, id).await),
        refused(world.mint_with("bob", &args, guessed).await)
    );
    assert_eq!(class(world.broker.collect(&agent("bob"), id).await), Class::OutOfScope);
    assert_eq!(class(world.broker.collect(&agent("bob"), guessed).await), Class::OutOfScope);
    // Nothing of all that has used it up.
    world.mint_with("ann", &args, id).await.unwrap();
}

#[tokio::test]
async fn not_before_a_yes_not_after_a_no_not_too_late() {
    let world = world().await;
    let args = mail("a@example.org");
    let id = pending(world.mint(SEND, args.clone()).await);
    assert_eq!(pending(world.mint_with("ann", &args, id).await), id, "the same one still waits");
    world.clock.advance(CALL_LIFE_MS - 1000);
    world.broker.decide(ADMIN, id, true, String::new()).await.unwrap();
    world.clock.advance(1000);
    assert_eq!(class(world.mint_with("ann", &args, id).await), Class::BadPresentation);
    assert_eq!(world.state(id).await, State::Expired);
    assert!(matches!(
        world.broker.decide(ADMIN, id, true, String::new()).await,
        Err(AdminError::Invalid { .. })
    ));

    let id = pending(world.mint(SEND, args.clone()).await);
    world.broker.decide(ADMIN, id, false, "no".to_owned()).await.unwrap();
    assert_eq!(class(world.mint_with("ann", &args, id).await), Class::Denied);
    assert_eq!(world.broker.collect(&agent("ann"), id).await.unwrap().answer, "no");
    assert!(world.broker.decide(ADMIN, id, true, String::new()).await.is_err(), "a no became a yes");
}

#[tokio::test]
async fn after_a_no_nobody_is_asked_for_a_while() {
    let world = world().await;
    for minutes in [5, 10, 20] {
        let id = pending(world.mint(SEND, mail("a@example.org")).await);
        world.broker.decide(ADMIN, id, false, String::new()).await.unwrap();
        assert_eq!(class(world.mint(SEND, mail("z@example.org")).await), Class::Denied);
        world.clock.advance(minutes * 60_000 - 1);
        assert_eq!(class(world.mint(SEND, mail("z@example.org")).await), Class::Denied, "{minutes}");
        world.clock.advance(1);
    }
    // A yes ends the row.
    let _ = world.agreed(&mail("a@example.org")).await;
    let id = pending(world.mint(SEND, mail("b@example.org")).await);
    world.broker.decide(ADMIN, id, false, String::new()).await.unwrap();
    world.clock.advance(5 * 60_000);
    pending(world.mint(SEND, mail("c@example.org")).await);
}

#[tokio::test]
async fn a_denial_outlives_a_restart() {
    let mut world = world().await;
    let id = pending(world.mint(SEND, mail("a@example.org")).await);
    world.broker.decide(ADMIN, id, false, String::new()).await.unwrap();
    world.restart().await;
    assert_eq!(class(world.mint(SEND, mail("z@example.org")).await), Class::Denied);
}

#[tokio::test]
async fn the_same_call_is_one_approval_and_no_more_than_five_wait() {
    let world = world().await;
    let first = pending(world.mint(SEND, mail("a0@example.org")).await);
    for _ in 0..20 {
        assert_eq!(pending(world.mint(SEND, mail("a0@example.org")).await), first);
    }
    for at in 1..5 {
        pending(world.mint(SEND, mail(&format!("a{at}@example.org"))).await);
    }
    for at in 5..30 {
        let refusal = world.mint(SEND, mail(&format!("a{at}@example.org"))).await.err().unwrap();
        assert_eq!((refusal.class, refusal.field.as_deref()), (Class::Busy, Some("approvals")));
    }
    assert_eq!(world.broker.approvals(None, false).await.unwrap().len(), 5);
    // Another agent is not in their way.
    world.grant_with("bob", &[SEND], Approve::Default, vec![]).await;
    let (text, bytes) = world.present_as("bob", SEND, &mail("b@example.org"), |_| {});
    pending(world.broker.mint(&adapter("gmail"), &text, &bytes).await);
}

#[tokio::test]
async fn what_is_over_does_not_fill_the_store() {
    let world = world().await;
    for at in 0..80 {
        pending(world.mint(SEND, mail(&format!("a{at}@example.org"))).await);
        world.clock.advance(CALL_LIFE_MS / 4);
    }
    let kept = || world.store.keys().iter().filter(|key| key.starts_with("approval/")).count();
    assert!(kept() <= 55, "{}", kept());
    world.clock.advance(25 * 3_600_000);
    for _ in 0..3 {
        world.broker.tick().await;
    }
    assert_eq!(kept(), 0);
    assert!(world.broker.approvals(None, true).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_call_that_counters_refuse_keeps_its_yes() {
    let world = World::new().await;
    world.grant_with("ann", &[SEND], Approve::Always, vec![Caveat::Rate("1/1m".parse().unwrap())]).await;
    let (one, two) = (mail("a@example.org"), mail("b@example.org"));
    let (first, second) = (world.agreed(&one).await, world.agreed(&two).await);
    world.mint_with("ann", &one, first).await.unwrap();
    assert_eq!(class(world.mint_with("ann", &two, second).await), Class::RateLimited);
    world.clock.advance(60_000);
    world.mint_with("ann", &two, second).await.unwrap();
}

#[tokio::test]
async fn what_was_taken_away_meanwhile_stays_away() {
    let world = world().await;
    let args = mail("a@example.org");
    let id = world.agreed(&args).await;
    world.broker.freeze(ADMIN, &agent("ann"), "test").await.unwrap();
    let late = {
        world.broker.thaw(ADMIN, &agent("ann")).await.unwrap();
        let presented = world.present_as("ann", SEND, &args, |claim| {
            claim.approval = Some(*id.as_bytes());
            claim.nonce = [3; 12];
        });
        world.broker.freeze(ADMIN, &agent("ann"), "test").await.unwrap();
        presented
    };
    assert_eq!(class(world.broker.mint(&adapter("gmail"), &late.0, &late.1).await), Class::Frozen);
    // Agreed to while it is frozen: it runs when it is thawed, and not before.
    world.broker.thaw(ADMIN, &agent("ann")).await.unwrap();
    let other = mail("b@example.org");
    let frozen = pending(world.mint(SEND, other.clone()).await);
    world.broker.freeze(ADMIN, &agent("ann"), "test").await.unwrap();
    world.broker.decide(ADMIN, frozen, true, String::new()).await.unwrap();
    world.broker.thaw(ADMIN, &agent("ann")).await.unwrap();
    world.mint_with("ann", &other, frozen).await.unwrap();

    let (text, bytes) = world.present_as("ann", SEND, &args, |claim| {
        claim.approval = Some(*id.as_bytes());
        claim.nonce = [4; 12];
    });
    let grant = world.broker.grants(None, false).unwrap()[0].grant.id;
    world.broker.revoke(ADMIN, grant).await.unwrap();
    assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, &bytes).await), Class::Revoked);
    // A new grant of the same is another grant.
    world.grant_with("ann", &[SEND], Approve::Default, vec![]).await;
    assert_eq!(class(world.mint_with("ann", &args, id).await), Class::BadPresentation);
}

#[tokio::test]
async fn a_secret_that_was_changed_meanwhile_is_asked_for_anew() {
    let world = world().await;
    let args = mail("a@example.org");
    let id = world.agreed(&args).await;
    world.google.lock().unwrap().refresh.push("refresh-new".to_owned());
    world.broker.rotate_secret(ADMIN, &secret("gmail/me"), Some(oauth("refresh-new"))).await.unwrap();
    let anew = pending(world.mint_with("ann", &args, id).await);
    assert_ne!(anew, id);
    let shown = world.broker.show_approval(ADMIN, anew).await.unwrap();
    assert!(shown.approval.why.contains("new version"), "{}", shown.approval.why);
    world.broker.decide(ADMIN, anew, true, String::new()).await.unwrap();
    world.mint_with("ann", &args, anew).await.unwrap();
}

#[tokio::test]
async fn each_recipient_is_asked_for_once_and_can_be_forgotten() {
    let mut world = World::new().await;
    let grant = world.grant_with("ann", &[SEND], Approve::New, vec![]).await.grant.id;
    let (one, two) = (
        mail("a@example.org"),
        json!({"to": ["A@example.org"], "bcc": ["b@example.org"], "subject": "s", "body": "b"}),
    );
    let id = world.agreed(&one).await;
    // Agreed to, but not done: nothing is remembered yet.
    assert!(world.broker.grant(grant).unwrap().known.is_empty());
    world.mint_with("ann", &one, id).await.unwrap();
    world.mint(SEND, one.clone()).await.unwrap();
    world.mint(SEND, mail("A@EXAMPLE.org")).await.unwrap();
    let id = pending(world.mint(SEND, two.clone()).await);
    let why = world.broker.show_approval(ADMIN, id).await.unwrap().approval.why;
    assert!(why.contains("to:b@example.org") && !why.contains("to:a@"), "{why}");
    world.broker.decide(ADMIN, id, true, String::new()).await.unwrap();
    world.mint_with("ann", &two, id).await.unwrap();
    world.restart().await;
    world.mint(SEND, two.clone()).await.unwrap();
    assert_eq!(world.broker.grant(grant).unwrap().known, ["to:a@example.org", "to:b@example.org"]);

    let known =
        world.broker.forget_known(ADMIN, grant, Some("to:a@example.org".to_owned())).await.unwrap().known;
    assert_eq!(known, ["to:b@example.org"]);
    pending(world.mint(SEND, one).await);
    world.mint(SEND, mail("b@example.org")).await.unwrap();
    assert!(world.broker.forget_known(ADMIN, grant, Some("to:x@example.org".to_owned())).await.is_err());
    assert!(world.broker.forget_known(ADMIN, grant, None).await.unwrap().known.is_empty());
    world.restart().await;
    pending(world.mint(SEND, mail("b@example.org")).await);
}

#[tokio::test]
async fn a_tainted_agent_is_asked_and_another_is_not() {
    let world = World::new().await;
    world.broker.add_agent(ADMIN, agent("clean"), Some(2003), false, true).await.unwrap();
    for who in ["ann", "clean"] {
        world.grant_with(who, &[SEND], Approve::Tainted, vec![]).await;
    }
    // Inputs from anywhere: it always counts as tainted.
    pending(world.mint(SEND, mail("a@example.org")).await);
    let (text, bytes) = world.present_as("clean", SEND, &mail("a@example.org"), |_| {});
    world.broker.mint(&adapter("gmail"), &text, &bytes).await.unwrap();
}

#[tokio::test]
async fn never_and_reads_are_not_asked_and_always_is() {
    let world = World::new().await;
    world.grant_with("ann", &[SEND], Approve::Never, vec![]).await;
    world.mint(SEND, mail("a@example.org")).await.unwrap();
    world.grant_with("ann", &["gmail.get_message"], Approve::Default, vec![]).await;
    world.mint("gmail.get_message", json!({"message_id": "m1"})).await.unwrap();
    world.grant_with("ann", &["gmail.list_labels"], Approve::Always, vec![]).await;
    pending(world.mint("gmail.list_labels", json!({})).await);
    // An id of nothing does not open what needs none.
    let refused = world.mint_with("ann", &mail("a@example.org"), ApprovalId::from_bytes([7; 16])).await;
    assert_eq!(class(refused), Class::BadPresentation);
}

#[tokio::test]
async fn opaque_agents_are_told_what_to_collect_by_and_nothing_else() {
    let world = World::new().await;
    world.broker.add_agent(ADMIN, agent("quiet"), Some(2004), true, false).await.unwrap();
    world.grant_with("quiet", &[SEND], Approve::Default, vec![]).await;
    let (text, bytes) = world.present_as("quiet", SEND, &mail("a@example.org"), |_| {});
    let refusal = world.broker.mint(&adapter("gmail"), &text, &bytes).await.err().unwrap();
    assert_eq!((refusal.class, refusal.field), (Class::Pending, None));
    assert!(refusal.approval.is_some());
}
