//! What waits for a person, to the letter: what is listed, what is shown, how much is kept, and what a yes makes.

use std::sync::{Arc, Mutex};

use claviger_domain::approval::{CALL_LIFE_MS, Kind as Of, State};
use claviger_domain::caveat::Caveat;
use claviger_domain::effect::Effect;
use claviger_domain::event::{Detail, Kind};
use claviger_domain::grant::Approve;
use claviger_domain::id::{ApprovalId, GrantId, HandleId};
use claviger_domain::refusal::{Class, Refusal};
use futures_util::FutureExt;
use serde_json::{Value, json};

use super::fakes::Door;
use super::world::{ADMIN, World, adapter, agent, ask, class, within};
use crate::broker::error::AdminError;
use crate::broker::view::{ApprovalView, GrantAsk, Wish};
use crate::port::Commit;

const SEND: &str = "gmail.send_message";
const GET: &str = "gmail.get_message";

/// How long an approval is kept after it is over.
const KEPT_MS: u64 = 24 * 3_600_000;

fn mail(to: &str) -> Value {
    json!({"to": [to], "subject": "s", "body": "b"})
}

fn question(purpose: &str) -> Wish {
    Wish {
        purpose: purpose.to_owned(),
        handle: None,
        secret: None,
        tools: vec![],
        caveats: vec![],
        expires_in_s: 0,
    }
}

fn task(handle: HandleId, seconds: u64) -> Wish {
    Wish { handle: Some(handle), tools: vec![SEND.parse().unwrap()], expires_in_s: seconds, ..question("t") }
}

fn draft(seconds: u64) -> Wish {
    Wish {
        secret: Some("gmail/me".parse().unwrap()),
        tools: vec![GET.parse().unwrap()],
        expires_in_s: seconds,
        ..question("g")
    }
}

async fn world() -> (World, GrantId, HandleId) {
    let world = World::new().await;
    let asked = GrantAsk { approve: Approve::Always, ..ask("ann", &[SEND, GET], vec![]) };
    let grant = world.broker.add_grant(ADMIN, asked).await.unwrap().grant;
    (world, grant.id, grant.root)
}

async fn pending(world: &World, to: &str) -> ApprovalId {
    let refusal = world.mint(SEND, mail(to)).await.err().expect("it was allowed");
    assert_eq!(refusal.class, Class::Pending, "{refusal}");
    refusal.approval.unwrap()
}

async fn wish(world: &World, wish: Wish) -> ApprovalId {
    world.broker.ask(&agent("ann"), wish).await.unwrap().id
}

async fn decide(world: &World, id: ApprovalId, yes: bool) -> Result<ApprovalView, AdminError> {
    world.broker.decide(ADMIN, id, yes, String::new()).await
}

async fn listed(world: &World, all: bool) -> Vec<ApprovalId> {
    let list = world.broker.approvals(None, all).await.unwrap();
    list.into_iter().map(|view| view.approval.id).collect()
}

fn lines(view: &ApprovalView, name: &str) -> Vec<String> {
    view.shown.iter().filter(|(known, _)| known == name).map(|(_, text)| text.clone()).collect()
}

fn value(detail: &Detail, name: &str) -> Option<String> {
    detail.0.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone())
}

fn told<T>(result: Result<T, Refusal>) -> (Class, Option<String>) {
    let refusal = result.err().expect("it was allowed");
    (refusal.class, refusal.field)
}

fn kept(world: &World) -> usize {
    world.store.keys().iter().filter(|key| key.starts_with("approval/")).count()
}

/// A call that was agreed to and not made yet can still be used: it stands in the list. What else was decided does not.
#[tokio::test]
async fn the_list_is_of_what_something_can_come_of() {
    let (world, ..) = world().await;
    world
        .broker
        .add_grant(ADMIN, GrantAsk { approve: Approve::Always, ..ask("bob", &[SEND], vec![]) })
        .await
        .unwrap();
    let call = pending(&world, "a@example.org").await;
    let asked = wish(&world, question("q")).await;
    let (text, bytes) = world.present_as("bob", SEND, &mail("b@example.org"), |_| {});
    let bobs = world.broker.mint(&adapter("gmail"), &text, &bytes).await.err().unwrap().approval.unwrap();
    let of = async |who: &str| {
        let list = world.broker.approvals(Some(&agent(who)), false).await.unwrap();
        list.into_iter().map(|view| view.approval.id).collect::<Vec<_>>()
    };
    assert_eq!(of("bob").await, [bobs]);
    assert_eq!(of("ann").await.len(), 2);
    let nobody = world.broker.approvals(Some(&agent("nobody")), false).await;
    assert!(matches!(nobody, Err(AdminError::Missing { .. })));
    for id in [call, asked] {
        decide(&world, id, true).await.unwrap();
    }
    assert_eq!(of("ann").await, [call]);
    assert_eq!(listed(&world, true).await.len(), 3);
    // An owner is told how many wait, and for whom.
    let waits = |count: &str| format!("{count} for your word to ann: claviger approvals");
    let told = || world.broker.status().warnings;
    assert!(!told().iter().any(|line| line.contains("to ann")));
    pending(&world, "c@example.org").await;
    assert!(told().contains(&waits("1 thing waits")), "{:?}", told());
    pending(&world, "d@example.org").await;
    assert!(told().contains(&waits("2 things wait")), "{:?}", told());
}

/// What is on its way to the store is nobody's yet, and what is being decided is nobody else's.
#[tokio::test]
async fn nothing_is_done_with_what_is_not_durable() {
    let (world, ..) = world().await;
    let broker = Arc::clone(&world.broker);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let found = Arc::clone(&seen);
    *world.store.hook.lock().unwrap() = Some(Box::new(move |keys| {
        let Some(id) = keys.iter().find_map(|key| key.strip_prefix("approval/")) else { return };
        let id: ApprovalId = id.parse().unwrap();
        let (got, taken) = {
            let mut table = broker.approvals.lock();
            let got = table.get(id).is_some();
            (got, broker.approvals.take(&mut table, id).is_ok())
        };
        let listed = broker.approvals(None, true).now_or_never().map(|list| list.unwrap().len());
        let waits = broker.status().warnings.iter().any(|line| line.contains("claviger approvals"));
        found.lock().unwrap().push((got, taken, listed, waits));
    }));
    let id = pending(&world, "a@example.org").await;
    assert_eq!(*seen.lock().unwrap(), [(false, false, Some(0), false)]);
    seen.lock().unwrap().clear();
    decide(&world, id, true).await.unwrap();
    let (got, taken, ..) = seen.lock().unwrap()[0];
    assert_eq!((got, taken), (true, false));
    *world.store.hook.lock().unwrap() = None;
    // One whose fate is not known is not taken either, before it was read again.
    let other = pending(&world, "b@example.org").await;
    world.store.down(true);
    decide(&world, other, true).await.unwrap_err();
    let taken = world.broker.approvals.take(&mut world.broker.approvals.lock(), other).is_ok();
    assert!(!taken);
    assert!(world.broker.collect(&agent("ann"), other).await.is_err(), "nobody can say how it stands");
    world.store.down(false);
    let state = world.broker.collect(&agent("ann"), other).await.unwrap().state;
    assert_eq!(state, State::Pending);
    decide(&world, other, true).await.unwrap();
}

#[tokio::test]
async fn what_is_sure_is_told_without_the_store() {
    let (world, ..) = world().await;
    let id = pending(&world, "a@example.org").await;
    world.store.down(true);
    assert_eq!(world.broker.collect(&agent("ann"), id).await.unwrap().state, State::Pending);
    assert_eq!(listed(&world, false).await, [id]);
    // What stands in it is in the store alone.
    assert!(world.broker.show_approval(ADMIN, id).await.is_err());
    assert!(decide(&world, id, true).await.is_err());
}

#[tokio::test]
async fn nothing_is_shown_that_is_not_recorded_as_shown() {
    let (world, ..) = world().await;
    let id = pending(&world, "a@example.org").await;
    // A log that is full or broken does not hide what waits; one that is closed tells nothing more.
    world.audit.break_door(Door::Record);
    world.broker.show_approval(ADMIN, id).await.unwrap();
    world.audit.close_door(Door::Record);
    assert!(world.broker.show_approval(ADMIN, id).await.is_err());
}

/// Fifty calls that are over are kept of each agent, and what was asked for in words is kept its day.
#[tokio::test]
async fn of_calls_that_are_over_the_newest_fifty_stay() {
    let (world, ..) = world().await;
    world
        .broker
        .add_grant(ADMIN, GrantAsk { approve: Approve::Always, ..ask("bob", &[SEND], vec![]) })
        .await
        .unwrap();
    for at in 0..3 {
        let (text, bytes) = world.present_as("bob", SEND, &mail(&format!("b{at}@example.org")), |claim| {
            claim.nonce = [at; 12];
        });
        assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, &bytes).await), Class::Pending);
    }
    let asked = wish(&world, question("q")).await;
    decide(&world, asked, true).await.unwrap();
    let mut ids = Vec::new();
    for at in 0..60 {
        ids.push(pending(&world, &format!("a{at}@example.org")).await);
        world.clock.advance(CALL_LIFE_MS);
    }
    // The one that was asked for last makes room for itself.
    let all = listed(&world, true).await;
    let calls: Vec<_> = ids.iter().filter(|id| all.contains(id)).copied().collect();
    assert_eq!(calls, ids[10..]);
    // Bob's three and the question are over, and not yet old enough.
    assert_eq!((all.len(), kept(&world)), (54, 54));
}

#[tokio::test]
async fn what_is_over_is_kept_for_a_day_to_the_millisecond() {
    let (world, ..) = world().await;
    let expired = pending(&world, "a@example.org").await;
    let denied = wish(&world, question("q")).await;
    decide(&world, denied, false).await.unwrap();
    world.clock.advance(CALL_LIFE_MS - 1);
    let late = pending(&world, "b@example.org").await;
    world.clock.advance(1 + KEPT_MS - CALL_LIFE_MS - 1);
    world.broker.tick().await;
    assert_eq!(listed(&world, true).await.len(), 3);
    world.clock.advance(1);
    world.broker.tick().await;
    assert!(!listed(&world, true).await.contains(&denied), "since it was decided");
    world.clock.advance(CALL_LIFE_MS - 1);
    world.broker.tick().await;
    assert_eq!(listed(&world, true).await, [expired, late]);
    world.clock.advance(1);
    world.broker.tick().await;
    assert_eq!(listed(&world, true).await, [late], "since it was over");
    // What an agent left goes with it, though it waits.
    let waits = wish(&world, question("q")).await;
    world.broker.tick().await;
    assert!(listed(&world, true).await.contains(&waits));
    world.broker.remove_agent(ADMIN, &agent("ann")).await.unwrap();
    world.broker.tick().await;
    assert_eq!((listed(&world, true).await.len(), kept(&world)), (0, 0));
}

#[tokio::test]
async fn a_sweep_that_the_store_does_not_take_is_done_again() {
    let (world, ..) = world().await;
    pending(&world, "a@example.org").await;
    world.clock.advance(CALL_LIFE_MS + KEPT_MS);
    world.store.fail("approval/", Commit::Unavailable, false);
    world.broker.tick().await;
    assert_eq!(kept(&world), 1);
    assert_eq!(listed(&world, true).await.len(), 1);
    world.broker.tick().await;
    assert_eq!(kept(&world), 0);
}

/// A no cools down for some minutes; who asks meanwhile is told for how long, and it is forgotten a day later.
#[tokio::test]
async fn a_denial_is_told_with_its_time_and_forgotten() {
    let (world, ..) = world().await;
    for (denials, minutes) in [(1, 5), (2, 10)] {
        let id = pending(&world, "a@example.org").await;
        decide(&world, id, false).await.unwrap();
        world.clock.advance(60_000);
        assert_eq!(class(world.mint(SEND, mail("b@example.org")).await), Class::Denied);
        let (_, _, detail) = world.audit.events(Kind::Refused).pop().unwrap();
        let fix = value(&detail, "fix").unwrap();
        assert!(fix.ends_with(&format!(" in {} s", (minutes - 1) * 60)), "{denials}: {fix}");
        world.clock.advance((minutes - 1) * 60_000);
    }
    // A day after the row of denials has cooled down, the next one is a first one.
    world.clock.advance(KEPT_MS);
    for _ in 0..2 {
        world.broker.tick().await;
    }
    let id = pending(&world, "a@example.org").await;
    decide(&world, id, false).await.unwrap();
    world.clock.advance(5 * 60_000);
    pending(&world, "b@example.org").await;
}

#[tokio::test]
async fn a_call_is_shown_with_all_that_it_stands_on() {
    let (mut world, grant, root) = world().await;
    let id = pending(&world, "a@example.org").await;
    let view = world.broker.show_approval(ADMIN, id).await.unwrap();
    assert_eq!(view.effect, Some(Effect::Send));
    assert_eq!((view.handle, view.approval.kind), (Some(root), Of::Call));
    assert!(lines(&view, "Under")[0].starts_with(&format!("{grant}: ")), "{:?}", view.shown);
    assert!(lines(&view, "By").is_empty(), "{:?}", view.shown);
    assert!(!lines(&view, "Careful").iter().any(|line| line.contains("definition")), "{:?}", view.shown);
    // By a child, the child is named as it was labelled.
    let child = world.broker.narrow(&agent("ann"), root, vec![], "the club".to_owned()).await.unwrap();
    let opened = world.broker.open_handles(&agent("ann"), &[child.id]).unwrap();
    let key = claviger_canonical::ProofKey::new(*opened.handles[0].proof_key);
    let arguments = claviger_canonical::Canonical::from_json(&mail("c@example.org")).unwrap();
    let claim = claviger_canonical::Claim {
        handle: *child.id.as_bytes(),
        tool: SEND.parse().unwrap(),
        digest: arguments.digest(),
        issued_at_ms: crate::port::Clock::wall_ms(&*world.clock),
        nonce: [9; 12],
        replica: *opened.replica.as_bytes(),
        boot: *opened.boot.as_bytes(),
        approval: None,
    };
    let text = claviger_canonical::Presentation::sign(&key, claim).into_text();
    let refusal = world.broker.mint(&adapter("gmail"), &text, arguments.bytes()).await.err().unwrap();
    let view = world.broker.show_approval(ADMIN, refusal.approval.unwrap()).await.unwrap();
    assert_eq!(lines(&view, "By"), [format!("{} \u{201c}the club\u{201d}", child.id)]);
    // A tool that the catalog defines otherwise since then is pointed out, and its old summary is not told.
    let another = world.catalog.tool(&GET.parse().unwrap()).unwrap().definition;
    let gmail = world.catalog.services.get_mut(&"gmail".parse().unwrap()).unwrap();
    gmail.tools.get_mut(&"send_message".parse().unwrap()).unwrap().definition = another;
    world.restart().await;
    let view = world.broker.show_approval(ADMIN, id).await.unwrap();
    assert!(lines(&view, "Careful").iter().any(|line| line.contains("definition")), "{:?}", view.shown);
}

/// The names that ids were pinned by are shown beside them.
#[tokio::test]
async fn a_call_names_what_its_bounds_name() {
    let world = World::new().await;
    let label = Caveat::Resource(claviger_domain::caveat::ResourceBound {
        resource: "label".parse().unwrap(),
        ids: vec!["AI".to_owned()],
        shown: Vec::new(),
        nested: false,
    });
    let tool = "gmail.label_message";
    let asked = GrantAsk { approve: Approve::Always, ..ask("ann", &[tool], vec![label]) };
    world.broker.add_grant(ADMIN, asked).await.unwrap();
    let args = json!({"message_id": "m1", "add": ["Label_ai"]});
    let refusal = world.mint(tool, args).await.err().unwrap();
    assert_eq!(refusal.class, Class::Pending, "{refusal}");
    let view = world.broker.show_approval(ADMIN, refusal.approval.unwrap()).await.unwrap();
    assert!(
        view.shown.iter().any(|(_, text)| text.contains("Label_ai") && text.contains("AI")),
        "{:?}",
        view.shown
    );
}

#[tokio::test]
async fn a_wish_is_shown_with_all_that_it_stands_on() {
    let world = World::empty().await;
    // One that reads nothing outside the vault, and has read nothing.
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, true).await.unwrap();
    world.broker.add_adapter(ADMIN, adapter("gmail"), Some(3001), None).await.unwrap();
    for name in ["gmail/me", "gmail/work"] {
        let secret = name.parse().unwrap();
        world.broker.add_secret(ADMIN, secret, super::world::oauth("refresh-0")).await.unwrap();
    }
    let asked = GrantAsk { approve: Approve::Always, ..ask("ann", &[SEND], vec![]) };
    let grant = world.broker.add_grant(ADMIN, asked).await.unwrap().grant;
    // Another account's grant says nothing of this one's.
    let mut other = ask("ann", &[GET], vec![]);
    other.secret = "gmail/work".parse().unwrap();
    world.broker.add_grant(ADMIN, other).await.unwrap();
    let spans = [(90, "90 s"), (900, "15 min"), (7 * 3600, "7 h"), (7 * 86_400, "7 d"), (86_401, "86401 s")];
    for (seconds, span) in spans {
        let id = wish(&world, task(grant.root, seconds)).await;
        let view = world.broker.show_approval(ADMIN, id).await.unwrap();
        assert_eq!(lines(&view, "For"), [span]);
        assert_eq!(view.handle, Some(grant.root));
        assert!(lines(&view, "Under")[0].starts_with(&format!("{}: ", grant.id)), "{:?}", view.shown);
        assert!(lines(&view, "With").is_empty() && lines(&view, "Careful").is_empty(), "{:?}", view.shown);
        decide(&world, id, true).await.unwrap();
        // Whose handle came of it is told instead.
        let made = world.broker.show_approval(ADMIN, id).await.unwrap().handle;
        assert!(made.is_some_and(|made| made != grant.root));
    }
    for (seconds, span) in [(0, "30 d"), (3600, "1 h"), (90 * 86_400, "90 d")] {
        let id = wish(&world, draft(seconds)).await;
        let view = world.broker.show_approval(ADMIN, id).await.unwrap();
        assert_eq!(
            (lines(&view, "For"), lines(&view, "With")),
            (vec![span.to_owned()], vec!["gmail/me".to_owned()])
        );
        assert!(lines(&view, "New").iter().any(|line| line.contains(GET)), "{:?}", view.shown);
        assert!(lines(&view, "Under").is_empty());
        decide(&world, id, false).await.unwrap();
        world.clock.advance(KEPT_MS);
    }
    let id = wish(&world, question("q")).await;
    let view = world.broker.show_approval(ADMIN, id).await.unwrap();
    assert!(lines(&view, "For").is_empty() && lines(&view, "With").is_empty());
    decide(&world, id, true).await.unwrap();
    // One that has read strangers' words is shown as such, and one whose handle is gone.
    let late = wish(&world, task(grant.root, 60)).await;
    world.broker.revoke(ADMIN, grant.id).await.unwrap();
    world.grant(&[GET], vec![]).await;
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    let view = world.broker.show_approval(ADMIN, late).await.unwrap();
    let careful = lines(&view, "Careful");
    assert!(careful.iter().any(|line| line.contains("strangers")), "{careful:?}");
    assert!(careful.iter().any(|line| line.contains("handle is gone")), "{careful:?}");
}

#[tokio::test]
async fn a_task_lasts_as_long_as_was_agreed() {
    let (world, grant, root) = world().await;
    let id = wish(&world, task(root, 3600)).await;
    decide(&world, id, true).await.unwrap();
    let child = world.broker.collect(&agent("ann"), id).await.unwrap().handle.unwrap();
    let now_ms = world.broker.now_ms();
    let ends = world.broker.read().handles.get(child).unwrap().handle.ends_at_ms();
    assert_eq!(ends, Some(now_ms + 3_600_000));
    let id = wish(&world, draft(0)).await;
    decide(&world, id, true).await.unwrap();
    let made = world.broker.collect(&agent("ann"), id).await.unwrap().handle.unwrap();
    let grants = world.broker.grants(None, false).unwrap();
    let made = grants.iter().find(|view| view.grant.root == made).unwrap();
    assert_eq!(made.grant.expires_at_ms, Some(now_ms + 30 * 86_400_000));
    assert_ne!(made.grant.id, grant);
}

#[tokio::test]
async fn an_answer_has_its_bounds_and_stands_in_the_log() {
    let (world, _, root) = world().await;
    let id = wish(&world, task(root, 60)).await;
    let long = world.broker.decide(ADMIN, id, true, "x".repeat(2001)).await;
    assert!(matches!(long, Err(AdminError::Invalid { .. })));
    world.broker.decide(ADMIN, id, true, "x".repeat(2000)).await.unwrap();
    let (_, event, detail) = world.audit.events(Kind::Approved).pop().unwrap();
    assert_eq!((event.handle, event.agent), (Some(root), Some(agent("ann"))));
    assert_eq!(value(&detail, "purpose").as_deref(), Some("t"));
    assert_eq!(value(&detail, "answer").map(|answer| answer.len()), Some(2000));
    let silent = wish(&world, question("q")).await;
    decide(&world, silent, false).await.unwrap();
    let (_, _, detail) = world.audit.events(Kind::ApprovalDenied).pop().unwrap();
    assert_eq!(value(&detail, "answer"), None);
}

/// A record that somebody changed under the vault is not decided on.
#[tokio::test]
async fn what_was_changed_behind_the_vault_is_not_decided() {
    let (world, ..) = world().await;
    let id = pending(&world, "a@example.org").await;
    world.store.tamper(|items| items.get_mut(&format!("approval/{id}")).unwrap().version += 1);
    decide(&world, id, true).await.unwrap_err();
    assert_eq!(world.audit.count(Kind::Approved), 0);
}

#[tokio::test]
async fn a_wish_is_bounded_to_the_letter() {
    let (world, grant, root) = world().await;
    let many = |count: usize| vec![SEND.parse().unwrap(); count];
    let bounds = |count: usize| vec![Caveat::Calls(1); count];
    let refused = async |wish: Wish| told(world.broker.ask(&agent("ann"), wish).await);
    let field = |name: &str| (Class::BadArguments, Some(name.to_owned()));
    assert_eq!(refused(Wish { tools: many(51), ..task(root, 60) }).await, field("tools"));
    assert_eq!(refused(Wish { caveats: bounds(51), ..task(root, 60) }).await, field("tools"));
    assert_eq!(refused(question(&"x".repeat(2001))).await, field("purpose"));
    assert_eq!(refused(draft(90 * 86_400 + 1)).await, field("expires_in_seconds"));
    // What cannot be held is refused before a person is asked.
    let label = vec![within("label", &["Label_ai"])];
    let of_send = Wish { tools: many(1), caveats: label, ..draft(60) };
    assert_eq!(refused(of_send).await, field("caveats"));
    // A tool of another service, by its own name.
    let file = Wish { tools: vec!["drive.read_file".parse().unwrap()], ..task(root, 60) };
    assert_eq!(refused(file).await, (Class::NotGranted, Some("tools".to_owned())));
    assert!(listed(&world, true).await.is_empty());
    for wanted in [
        Wish { tools: many(50), caveats: bounds(50), ..task(root, 60) },
        question(&"x".repeat(2000)),
        draft(90 * 86_400),
    ] {
        wish(&world, wanted).await;
    }
    // Under a grant that is over nothing is asked for.
    world.broker.write().grants[&grant].revoked.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(refused(task(root, 61)).await.0, Class::Revoked);
}

#[tokio::test]
async fn what_no_person_can_read_is_asked_of_none() {
    use super::boxes::{UPDATE, boxes, thing};
    for (length, expected) in [(720 * 1024, Class::BadArguments), (600 * 1024, Class::Pending)] {
        let boxes = boxes(&[("t", thing(json!({ "title": "x".repeat(length) })))]).await;
        let asked = GrantAsk { approve: Approve::Always, ..ask("ann", &[UPDATE], vec![]) };
        boxes.world.broker.add_grant(ADMIN, asked).await.unwrap();
        assert_eq!(told(boxes.world.mint(UPDATE, json!({ "thing_id": "t" })).await).0, expected, "{length}");
        let waits = usize::from(expected == Class::Pending);
        assert_eq!(listed(&boxes.world, true).await.len(), waits);
    }
}

/// What was agreed to under a grant is read again where it is not sure that it was written, and written once.
#[tokio::test]
async fn what_is_known_follows_the_store() {
    let (mut world, ..) = world().await;
    let asked = GrantAsk { approve: Approve::New, ..ask("bob", &[SEND], vec![]) };
    let grant = world.broker.add_grant(ADMIN, asked).await.unwrap().grant.id;
    let mint = async |world: &World, to: &str, id: Option<ApprovalId>| {
        let mut nonce = [0; 12];
        crate::port::Entropy::fill(&*world.entropy, &mut nonce);
        let (text, bytes) = world.present_as("bob", SEND, &mail(to), |claim| {
            claim.nonce = nonce;
            claim.approval = id.map(|id| *id.as_bytes());
        });
        world.broker.mint(&adapter("gmail"), &text, &bytes).await
    };
    let agreed = async |world: &World, to: &str| {
        let id = mint(world, to, None).await.err().unwrap().approval.unwrap();
        decide(world, id, true).await.unwrap();
        id
    };
    let first = agreed(&world, "a@example.org").await;
    // It was written, and the vault was told that it was not.
    world.store.fail("known/", Commit::Unavailable, true);
    assert_eq!(told(mint(&world, "a@example.org", Some(first)).await).0, Class::Unavailable);
    mint(&world, "a@example.org", None).await.unwrap();
    let second = agreed(&world, "b@example.org").await;
    mint(&world, "b@example.org", Some(second)).await.unwrap();
    let all = ["to:a@example.org", "to:b@example.org"];
    assert_eq!(world.broker.grant(grant).unwrap().known, all);
    let forget = async |world: &World, value: &str| {
        world.broker.forget_known(ADMIN, grant, Some(value.to_owned())).await
    };
    // What is not recorded or not durable is not forgotten.
    world.audit.break_door(Door::Record);
    forget(&world, all[0]).await.unwrap_err();
    world.audit.mend();
    assert_eq!(world.broker.grant(grant).unwrap().known, all);
    world.store.fail("known/", Commit::Full, false);
    forget(&world, all[0]).await.unwrap_err();
    mint(&world, "a@example.org", None).await.unwrap();
    assert_eq!(forget(&world, all[0]).await.unwrap().known, [all[1]]);
    world.restart().await;
    assert_eq!(world.broker.grant(grant).unwrap().known, [all[1]]);
}
