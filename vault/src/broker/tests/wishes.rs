//! What an agent asks its owner for: inert until somebody agrees, bounded in number, and never more than was shown.

use claviger_domain::approval::{ASK_LIFE_MS, State};
use claviger_domain::caveat::{Caveat, ResourceBound};
use claviger_domain::event::Kind;
use claviger_domain::grant::Approve;
use claviger_domain::id::{ApprovalId, HandleId};
use claviger_domain::refusal::{Class, Refusal};
use serde_json::{Value, json};

use super::fakes::Door;
use super::world::{ADMIN, World, adapter, agent, ask, class, within};
use crate::broker::error::AdminError;
use crate::broker::view::{Asked, GrantAsk, Minted, Wish};

const SEND: &str = "gmail.send_message";
const GET: &str = "gmail.get_message";

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

fn task(handle: HandleId) -> Wish {
    Wish {
        handle: Some(handle),
        tools: vec![SEND.parse().unwrap()],
        caveats: vec![Caveat::Recipients(vec!["*@example.org".parse().unwrap()])],
        expires_in_s: 3600,
        ..question("Invite the club")
    }
}

fn draft() -> Wish {
    Wish {
        secret: Some("gmail/me".parse().unwrap()),
        tools: vec![GET.parse().unwrap()],
        ..question("Read the mails about the garden")
    }
}

fn mail(to: &str) -> Value {
    json!({"to": [to], "subject": "s", "body": "b"})
}

impl World {
    async fn wish(&self, wish: Wish) -> Result<Asked, Refusal> {
        self.broker.ask(&agent("ann"), wish).await
    }

    async fn yes(&self, id: ApprovalId) -> Result<(), AdminError> {
        self.broker.decide(ADMIN, id, true, String::new()).await.map(drop)
    }

    async fn root(&self) -> HandleId {
        let ask = GrantAsk { approve: Approve::Always, ..ask("ann", &[SEND, GET], vec![]) };
        self.broker.add_grant(ADMIN, ask).await.unwrap().grant.root
    }

    /// Presents by a handle that is no grant's root.
    async fn mint_by(&self, handle: HandleId, tool: &str, args: &Value) -> Result<Minted, Refusal> {
        let mut nonce = [0; 12];
        crate::port::Entropy::fill(&*self.entropy, &mut nonce);
        let opened = self.broker.open(&agent("ann")).unwrap();
        let key = self.broker.proof_key(handle, &agent("ann")).unwrap();
        let arguments = claviger_canonical::Canonical::from_json(args).unwrap();
        let claim = claviger_canonical::Claim {
            handle: *handle.as_bytes(),
            tool: tool.parse().unwrap(),
            digest: arguments.digest(),
            issued_at_ms: crate::port::Clock::wall_ms(&*self.clock),
            nonce,
            replica: *opened.replica.as_bytes(),
            boot: *opened.boot.as_bytes(),
            approval: None,
        };
        let key = claviger_canonical::ProofKey::new(*key);
        let text = claviger_canonical::Presentation::sign(&key, claim).into_text();
        self.broker.mint(&adapter("gmail"), &text, arguments.bytes()).await
    }
}

#[tokio::test]
async fn a_task_is_asked_once_and_bounds_what_it_opens() {
    let mut world = World::new().await;
    let root = world.root().await;
    let asked = world.wish(task(root)).await.unwrap();
    assert_eq!(world.wish(task(root)).await.unwrap(), asked, "the same again is the same");
    assert_eq!(class(world.mint(SEND, mail("a@example.org")).await), Class::Pending, "asking opens nothing");
    let shown = world.broker.show_approval(ADMIN, asked.id).await.unwrap();
    let has =
        |name: &str, part: &str| shown.shown.iter().any(|(known, text)| known == name && text.contains(part));
    assert!(
        has("In its own words", "Invite the club") && has("Bounded by", "*@example.org") && has("For", "1 h")
    );
    assert!(has("Tool", "gmail.send_message [send]"));
    world.yes(asked.id).await.unwrap();
    let collected = world.broker.collect(&agent("ann"), asked.id).await.unwrap();
    let child = collected.handle.unwrap();
    assert_eq!(collected.state, State::Approved);

    world.mint_by(child, SEND, &mail("a@example.org")).await.unwrap();
    world.restart().await;
    world.mint_by(child, SEND, &mail("b@example.org")).await.unwrap();
    assert_eq!(class(world.mint_by(child, SEND, &mail("a@evil.example")).await), Class::OutOfScope);
    assert_eq!(class(world.mint_by(child, GET, &json!({"message_id": "m1"})).await), Class::OutOfScope);
    assert_eq!(class(world.mint_by(root, SEND, &mail("a@example.org")).await), Class::Pending);
    world.clock.advance(3_600_000);
    assert_eq!(class(world.mint_by(child, SEND, &mail("a@example.org")).await), Class::Revoked);
    // It is used up, and cannot be agreed to again.
    assert!(world.yes(asked.id).await.is_err());
}

#[tokio::test]
async fn a_yes_that_cannot_be_kept_gives_nothing() {
    let mut world = World::new().await;
    let root = world.root().await;
    for wish in [task(root), draft()] {
        let asked = world.wish(wish).await.unwrap();
        let before = world.broker.grants(None, false).unwrap();
        world.store.fail("approval/", crate::port::Commit::Full, false);
        let said = world.yes(asked.id).await;
        assert!(matches!(said, Err(AdminError::Undone { .. })), "{said:?}");
        for restarted in [false, true] {
            if restarted {
                world.restart().await;
            }
            let alive = world.broker.grants(None, false).unwrap();
            assert_eq!(alive.len(), before.len());
            assert!(world.broker.read().children(alive[0].grant.id).is_empty());
        }
        // It still waits, and can be agreed to.
        world.yes(asked.id).await.unwrap();
        if let Some(child) = world.broker.collect(&agent("ann"), asked.id).await.unwrap().handle {
            if world.broker.read().handles.get(child).unwrap().handle.ancestors.is_empty() {
                continue;
            }
            world.broker.revoke_handle(ADMIN, child).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_task_dies_with_its_grant() {
    let world = World::new().await;
    let root = world.root().await;
    let asked = world.wish(task(root)).await.unwrap();
    let late = world.wish(Wish { expires_in_s: 60, ..task(root) }).await.unwrap();
    world.yes(asked.id).await.unwrap();
    let child = world.broker.collect(&agent("ann"), asked.id).await.unwrap().handle.unwrap();
    let grant = world.broker.grants(None, false).unwrap()[0].grant.id;
    world.broker.revoke(ADMIN, grant).await.unwrap();
    assert_eq!(class(world.mint_by(child, SEND, &mail("a@example.org")).await), Class::Revoked);
    assert!(matches!(world.yes(late.id).await, Err(AdminError::Invalid { .. })));
}

#[tokio::test]
async fn wishes_that_make_no_sense() {
    let world = World::new().await;
    let root = world.root().await;
    let bobs = world.try_grant("bob", &[SEND], vec![]).await.unwrap().grant.root;
    let label = || vec![within("label", &["Label_ai"])];
    for (wish, expected) in [
        (question(""), Class::BadArguments),
        (question(" \n"), Class::BadArguments),
        (question(&"x".repeat(2001)), Class::BadArguments),
        (Wish { expires_in_s: 5, ..question("q") }, Class::BadArguments),
        (Wish { tools: vec![SEND.parse().unwrap()], ..question("q") }, Class::BadArguments),
        (Wish { expires_in_s: 0, ..task(root) }, Class::BadArguments),
        (Wish { expires_in_s: 7 * 86_400 + 1, ..task(root) }, Class::BadArguments),
        (Wish { tools: vec![], ..task(root) }, Class::BadArguments),
        (Wish { tools: vec!["gmail.list_labels".parse().unwrap()], ..task(root) }, Class::NotGranted),
        (Wish { tools: vec!["gmail.nothing".parse().unwrap()], ..task(root) }, Class::NotGranted),
        (Wish { caveats: label(), ..task(root) }, Class::BadArguments),
        (Wish { secret: Some("gmail/me".parse().unwrap()), ..task(root) }, Class::BadArguments),
        (task(bobs), Class::Revoked),
        (task(HandleId::from_bytes([0; 16])), Class::Revoked),
        (Wish { tools: vec![], ..draft() }, Class::BadArguments),
        (Wish { tools: vec!["drive.read_file".parse().unwrap()], ..draft() }, Class::BadArguments),
        (Wish { expires_in_s: 91 * 86_400, ..draft() }, Class::BadArguments),
    ] {
        let shown = format!("{wish:?}");
        assert_eq!(class(world.wish(wish).await), expected, "{shown}");
    }
    assert!(world.broker.approvals(None, true).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_draft_becomes_a_grant_by_the_owners_word_alone() {
    let world = World::new().await;
    // A secret that is not there is not told from one that is.
    let nowhere = Wish { secret: Some("gmail/nobody".parse().unwrap()), ..draft() };
    let nobody = world.wish(nowhere).await.unwrap();
    assert!(world.yes(nobody.id).await.is_err());
    assert_eq!(world.broker.collect(&agent("ann"), nobody.id).await.unwrap().state, State::Pending);

    world.grant(&[GET], vec![within("label", &["Label_ai"])]).await;
    let before = world.broker.grants(None, true).unwrap().len();
    let asked = world.wish(draft()).await.unwrap();
    assert_eq!(world.broker.grants(None, true).unwrap().len(), before, "a draft is inert");
    let shown = world.broker.show_approval(ADMIN, asked.id).await.unwrap();
    let has =
        |name: &str, part: &str| shown.shown.iter().any(|(known, text)| known == name && text.contains(part));
    assert!(has("Wider", "resource.label"), "{:?}", shown.shown);
    let other = Wish {
        tools: vec![SEND.parse().unwrap()],
        caveats: vec![Caveat::Recipients(vec!["a@example.org".parse().unwrap()])],
        ..draft()
    };
    let other = world.wish(other).await.unwrap();
    let shown = world.broker.show_approval(ADMIN, other.id).await.unwrap();
    assert!(shown.shown.iter().any(|(name, text)| name == "New" && text.contains(SEND)));
    world.yes(other.id).await.unwrap();
    let collected = world.broker.collect(&agent("ann"), other.id).await.unwrap();
    let grants = world.broker.grants(None, false).unwrap();
    let made = &grants.iter().find(|view| Some(view.grant.root) == collected.handle).unwrap().grant;
    assert_eq!(made.approve, Approve::Default);
    assert!(made.expires_at_ms.is_some());
    // What it opens is asked for: an agent does not ask itself free.
    assert_eq!(class(world.mint(SEND, mail("a@example.org")).await), Class::Pending);
}

#[tokio::test]
async fn a_question_is_answered_in_words() {
    let mut world = World::new().await;
    let asked = world.wish(question("Which Mona\u{202e}?\nto: x")).await.unwrap();
    let shown = world.broker.show_approval(ADMIN, asked.id).await.unwrap();
    assert_eq!(shown.purpose, "Which Mona\\u{202e}?\nto: x");
    world.clock.advance(3_600_000);
    world.broker.decide(ADMIN, asked.id, true, "the one at work".to_owned()).await.unwrap();
    world.restart().await;
    let collected = world.broker.collect(&agent("ann"), asked.id).await.unwrap();
    assert_eq!((collected.state, collected.answer.as_str()), (State::Approved, "the one at work"));
    assert_eq!(class(world.broker.collect(&agent("bob"), asked.id).await), Class::OutOfScope);
    assert_eq!(world.audit.count(Kind::Asked), 1);
    let unanswered = world.wish(question("And?")).await.unwrap();
    world.clock.advance(ASK_LIFE_MS);
    assert_eq!(world.broker.collect(&agent("ann"), unanswered.id).await.unwrap().state, State::Expired);
}

#[tokio::test]
async fn an_agent_asks_no_more_than_it_may() {
    let mut world = World::new().await;
    let root = world.root().await;
    for at in 0..4 {
        world.wish(question(&format!("q{at}"))).await.unwrap();
    }
    // Calls and wishes share the places.
    assert_eq!(class(world.mint(SEND, mail("a@example.org")).await), Class::Pending);
    assert_eq!(class(world.wish(task(root)).await), Class::Busy);
    assert_eq!(class(world.mint(SEND, mail("b@example.org")).await), Class::Busy);
    for at in 4..20 {
        for view in world.broker.approvals(None, false).await.unwrap() {
            // One that was agreed to and not used yet stands in the list too.
            if view.state == State::Pending {
                world.yes(view.approval.id).await.unwrap();
            }
        }
        world.wish(question(&format!("q{at}"))).await.unwrap();
    }
    for view in world.broker.approvals(None, false).await.unwrap() {
        let _ = world.yes(view.approval.id).await;
    }
    assert_eq!(class(world.wish(question("q20")).await), Class::RateLimited);
    world.restart().await;
    assert_eq!(class(world.wish(question("q20")).await), Class::RateLimited, "a restart gives new ones");
    world.clock.advance(ASK_LIFE_MS);
    world.wish(question("q20")).await.unwrap();
}

#[tokio::test]
async fn a_frozen_agent_and_a_denied_one_ask_nothing() {
    let world = World::new().await;
    let asked = world.wish(question("q")).await.unwrap();
    world.broker.decide(ADMIN, asked.id, false, "stop".to_owned()).await.unwrap();
    assert_eq!(class(world.wish(question("q2")).await), Class::Denied);
    // Another kind of wish is another matter.
    let root = world.root().await;
    world.wish(task(root)).await.unwrap();
    world.broker.freeze(ADMIN, &agent("ann"), "test").await.unwrap();
    assert_eq!(class(world.wish(draft()).await), Class::Frozen);
}

#[tokio::test]
async fn what_cannot_be_kept_was_not_asked() {
    let world = World::new().await;
    world.audit.break_door(Door::Record);
    assert_eq!(class(world.wish(question("q")).await), Class::Unavailable);
    world.audit.mend();
    world.store.fail("approval/", crate::port::Commit::Full, false);
    assert_eq!(class(world.wish(question("q")).await), Class::Unavailable);
    assert!(world.broker.approvals(None, true).await.unwrap().is_empty());
    world.wish(question("q")).await.unwrap();
}

#[tokio::test]
async fn a_task_under_a_grant_that_is_over_is_not_begun() {
    let world = World::new().await;
    let mut short = GrantAsk { approve: Approve::Always, ..ask("ann", &[SEND], vec![]) };
    short.expires_in_s = Some(3600);
    let root = world.broker.add_grant(ADMIN, short).await.unwrap().grant.root;
    let asked = world.wish(task(root)).await.unwrap();
    world.clock.advance(3_600_000);
    assert!(matches!(world.yes(asked.id).await, Err(AdminError::Invalid { .. })));
    assert_eq!(world.audit.count(Kind::Narrowed), 0);
    world.broker.decide(ADMIN, asked.id, false, String::new()).await.unwrap();
}

#[tokio::test]
async fn a_task_is_not_begun_where_its_grant_goes_while_names_are_looked_up() {
    let world = World::new().await;
    let root = world.root().await;
    let label = Caveat::Resource(ResourceBound {
        resource: "label".parse().unwrap(),
        ids: vec!["AI".to_owned()],
        shown: vec![],
        nested: false,
    });
    let wish = Wish { tools: vec![GET.parse().unwrap()], caveats: vec![label], ..task(root) };
    let asked = world.wish(wish).await.unwrap();
    let grant = world.broker.grants(None, false).unwrap()[0].grant.id;
    world.upstream.gate(false);
    let revoke = async {
        world.upstream.wait_for(1).await;
        world.broker.revoke(ADMIN, grant).await.unwrap();
        world.upstream.gate(true);
    };
    let (said, ()) = tokio::join!(world.yes(asked.id), revoke);
    assert!(matches!(said, Err(AdminError::Invalid { .. })), "{said:?}");
    assert_eq!(world.audit.count(Kind::Narrowed), 0);
}
