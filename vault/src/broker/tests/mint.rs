//! Minting: who, what, when, once; and the first rule that says no.

use std::sync::Arc;

use claviger_canonical::{Canonical, Digest};
use claviger_domain::caveat::{Bound, Caveat};
use claviger_domain::event::Kind;
use claviger_domain::refusal::Class;
use serde_json::json;

use super::fakes::Door;
use super::world::{ADMIN, World, adapter, agent, class, within};
use crate::broker::error::AdminError;
use crate::port::Commit;

const GET: &str = "gmail.get_message";

async fn world() -> World {
    let world = World::new().await;
    world.grant(&[GET], vec![within("label", &["Label_ai"])]).await;
    world
}

#[tokio::test]
async fn a_good_presentation_mints() {
    let world = world().await;
    let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    assert_eq!((minted.capability.len(), minted.requests, minted.expires_in_ms), (32, 1, 60_000));
    assert_eq!(world.audit.count(Kind::Minted), 1);
    assert_eq!(world.broker.status().live_capabilities, 1);
}

#[tokio::test]
async fn another_adapter_gets_nothing() {
    let world = world().await;
    let (text, bytes) = world.present(GET, &json!({"message_id": "m1"}));
    assert_eq!(class(world.broker.mint(&adapter("drive"), &text, &bytes).await), Class::BadPresentation);
    // And it has not used up the nonce of the right one's.
    world.broker.mint(&adapter("gmail"), &text, &bytes).await.unwrap();
    // One that is no longer registered, over a connection that is still open.
    world.broker.remove_adapter(ADMIN, &adapter("gmail")).await.unwrap();
    assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, &bytes).await), Class::BadPresentation);
}

#[tokio::test]
async fn forged_and_foreign_proofs() {
    let world = world().await;
    world.try_grant("bob", &[GET], vec![]).await.unwrap();
    let args = json!({"message_id": "m1"});
    let (text, bytes) = world.present(GET, &args);
    // One byte changed, at every place of the text.
    for at in 0..text.len() {
        let mut forged = text.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        let refused = class(world.broker.mint(&adapter("gmail"), &forged, &bytes).await);
        assert!(
            matches!(refused, Class::BadPresentation | Class::Stale | Class::Revoked),
            "byte {at} gave {refused}"
        );
    }
    // Bob's proof for ann's handle.
    let anns = world.broker.open(&agent("ann")).unwrap().handles[0].id;
    let (text, bytes) = world.present_as("bob", GET, &args, |claim| claim.handle = *anns.as_bytes());
    assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, &bytes).await), Class::BadPresentation);
    for garbage in ["", "claviger1.", "claviger2.AAAA", "\0", &"A".repeat(4000)] {
        assert_eq!(class(world.broker.mint(&adapter("gmail"), garbage, b"{}").await), Class::BadPresentation);
    }
    assert_eq!(world.audit.count(Kind::Minted), 0);
}

#[tokio::test]
async fn stale_after_a_restart() {
    let mut world = world().await;
    let (text, bytes) = world.present(GET, &json!({"message_id": "m1"}));
    world.restart().await;
    assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, &bytes).await), Class::Stale);
    world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
}

#[tokio::test]
async fn too_old_and_from_the_future() {
    let world = world().await;
    let args = json!({"message_id": "m1"});
    for (shift, fits) in [(0_i64, true), (-30_000, true), (-30_001, false), (5_000, true), (5_001, false)] {
        let (text, bytes) = world.present_as("ann", GET, &args, |claim| {
            claim.issued_at_ms = claim.issued_at_ms.saturating_add_signed(shift);
            claim.nonce[..8].copy_from_slice(&shift.to_be_bytes());
        });
        let result = world.broker.mint(&adapter("gmail"), &text, &bytes).await;
        assert_eq!(result.is_ok(), fits, "{shift} ms");
    }
}

#[tokio::test]
async fn one_presentation_mints_once_however_many_race() {
    let world = Arc::new(world().await);
    let (text, bytes) = world.present(GET, &json!({"message_id": "m1"}));
    let racers: Vec<_> = (0..64)
        .map(|_| {
            let (world, text, bytes) = (Arc::clone(&world), text.clone(), bytes.clone());
            tokio::spawn(async move { world.broker.mint(&adapter("gmail"), &text, &bytes).await.is_ok() })
        })
        .collect();
    let mut won = 0;
    for racer in racers {
        won += u32::from(racer.await.unwrap());
    }
    assert_eq!(won, 1);
    // Nor later, nor after the wall clock was set back so that it looks fresh again.
    world.clock.advance(20_000);
    assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, &bytes).await), Class::BadPresentation);
    world.clock.advance(20_000);
    world.clock.advance(36_000);
    world.clock.step(-59_000);
    world.broker.tick().await;
    assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, &bytes).await), Class::BadPresentation);
}

#[tokio::test]
async fn the_arguments_are_the_ones_signed() {
    let world = world().await;
    let (text, _) = world.present(GET, &json!({"message_id": "m1"}));
    let other = Canonical::from_json(&json!({"message_id": "m2"})).unwrap();
    let refusal = world.broker.mint(&adapter("gmail"), &text, other.bytes()).await.err().unwrap();
    assert_eq!((refusal.class, refusal.field.as_deref()), (Class::BadPresentation, Some("digest")));
    // Signed, but not canonical; or not JSON at all.
    for bytes in [
        &br#"{"message_id": "m1"}"#[..],
        br#"{"message_id":"m1","message_id":"m2"}"#,
        br#"{"message_id":"\u006d1"}"#,
        b"",
        b"null",
        b"[]",
        b"{\"message_id\":\"m1\"}\n",
        b"\xff",
    ] {
        let (text, _) = world.present_as("ann", GET, &json!({}), |claim| {
            claim.digest = Digest::of(bytes);
            claim.nonce.copy_from_slice(&Digest::of(bytes).as_bytes()[..12]);
        });
        assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, bytes).await), Class::BadArguments);
    }
}

#[tokio::test]
async fn unknown_missing_and_malformed_arguments() {
    let world = world().await;
    for args in [
        json!({}),
        json!({"message_id": "m1", "extra": 1}),
        json!({"message_id": 7}),
        json!({"message_id": ""}),
        json!({"message_id": "../m1"}),
        json!({"message_id": "a/b"}),
        json!({"message_id": "a%2fb"}),
        json!({"message_id": "a\u{0}b"}),
        json!({"message_id": "x".repeat(5000)}),
        json!({"Message_id": "m1"}),
    ] {
        assert_eq!(class(world.mint(GET, args.clone()).await), Class::BadArguments, "{args}");
    }
}

#[tokio::test]
async fn only_tools_that_were_granted_as_they_were() {
    let mut world = world().await;
    for tool in ["gmail.send_message", "gmail.nothing", "drive.read_file", "gmail.get_messag"] {
        let (text, bytes) = world.present(tool, &json!({"message_id": "m1"}));
        assert_eq!(
            class(world.broker.mint(&adapter("gmail"), &text, &bytes).await),
            Class::NotGranted,
            "{tool}"
        );
    }
    let service = world.catalog.services.get_mut(&"gmail".parse().unwrap()).unwrap();
    service.tools.get_mut(&"get_message".parse().unwrap()).unwrap().definition.0[0] ^= 1;
    world.grant(&["gmail.list_labels"], vec![]).await;
    world.restart().await;
    let first = world.broker.grants(None, false).unwrap();
    assert_eq!(first[0].changed.len(), 1);
    let changed = first[0].grant.root;
    assert!(world.broker.open(&agent("ann")).unwrap().handles.iter().all(|handle| handle.id != changed));
    let key = world.broker.proof_key(changed, &agent("ann")).unwrap();
    let args = Canonical::from_json(&json!({"message_id": "m1"})).unwrap();
    let opened = world.broker.open(&agent("ann")).unwrap();
    let claim = claviger_canonical::Claim {
        handle: *changed.as_bytes(),
        tool: GET.parse().unwrap(),
        digest: args.digest(),
        issued_at_ms: crate::port::Clock::wall_ms(&*world.clock),
        nonce: [9; 12],
        replica: *opened.replica.as_bytes(),
        boot: *opened.boot.as_bytes(),
        approval: None,
    };
    let text =
        claviger_canonical::Presentation::sign(&claviger_canonical::ProofKey::new(*key), claim).into_text();
    assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, args.bytes()).await), Class::ToolChanged);
    assert!(world.broker.status().warnings.iter().any(|warning| warning.contains("has changed")));
}

#[tokio::test]
async fn each_caveat_decides() {
    let arg = |name: &str, bound: Bound| Caveat::Argument(name.parse().unwrap(), bound);
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let search = "gmail.search_messages";
    let send = "gmail.send_message";
    let mail = |to: &str| json!({"to": [to], "subject": "s", "body": "b"});
    let recipients = || Caveat::Recipients(vec!["*@example.com".parse().unwrap()]);
    let cases = [
        (
            search,
            arg("from", Bound::OneOf(words(&["a@b.example"]))),
            json!({"from": "a@b.example"}),
            json!({"from": "c"}),
        ),
        (search, arg("from", Bound::OneOf(words(&["a"]))), json!({"from": "a"}), json!({})),
        (search, arg("max_results", Bound::Max(5)), json!({"max_results": 5}), json!({"max_results": 6})),
        (search, arg("words", Bound::Absent), json!({"from": "a"}), json!({"words": "x"})),
        (search, arg("words", Bound::MaxLength(3)), json!({"words": "abc"}), json!({"words": "abcd"})),
        (search, arg("words", Bound::MinLength(3)), json!({"words": "abc"}), json!({"words": "ab"})),
        (
            "gmail.label_message",
            arg("add", Bound::EachIn(words(&["STARRED"]))),
            json!({"message_id": "m1", "add": ["STARRED"]}),
            json!({"message_id": "m1", "add": ["STARRED", "INBOX"]}),
        ),
        (send, recipients(), mail("a@example.com"), mail("a@example.com.evil.example")),
        (
            send,
            recipients(),
            mail("b@example.com"),
            json!({"to": ["a@example.com"], "bcc": ["x@evil.example"], "subject": "s", "body": "b"}),
        ),
        (
            "drive.list_folder",
            within("folder", &["folder_ai"]),
            json!({"folder_id": "folder_ai"}),
            json!({"folder_id": "root"}),
        ),
    ];
    for (tool, caveat, good, bad) in cases {
        let world = World::new().await;
        let shown = caveat.to_text();
        world.grant(&[tool], vec![caveat]).await;
        world.mint(tool, good).await.unwrap_or_else(|refusal| panic!("{shown}: {refusal}"));
        assert_eq!(class(world.mint(tool, bad).await), Class::OutOfScope, "{shown}");
    }
}

#[tokio::test]
async fn frozen_revoked_and_over() {
    let world = world().await;
    let args = json!({"message_id": "m1"});
    let (text, bytes) = world.present(GET, &args);
    world.broker.freeze(ADMIN, &agent("ann"), "test").await.unwrap();
    assert!(world.broker.open(&agent("ann")).unwrap().handles.is_empty());
    assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, &bytes).await), Class::Frozen);
    world.broker.thaw(ADMIN, &agent("ann")).await.unwrap();
    world.broker.mint(&adapter("gmail"), &text, &bytes).await.unwrap();
    let (text, bytes) = world.present(GET, &args);
    let id = world.broker.grants(None, false).unwrap()[0].grant.id;
    world.broker.revoke(ADMIN, id).await.unwrap();
    assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, &bytes).await), Class::Revoked);

    let world = World::new().await;
    let mut ask = super::world::ask("ann", &[GET], vec![]);
    ask.expires_in_s = Some(10);
    world.broker.add_grant(ADMIN, ask).await.unwrap();
    world.clock.advance(9_999);
    world.mint(GET, args.clone()).await.unwrap();
    let (text, bytes) = world.present(GET, &args);
    world.clock.advance(1);
    assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, &bytes).await), Class::Revoked);
    assert!(world.broker.open(&agent("ann")).unwrap().handles.is_empty());
}

#[tokio::test]
async fn a_log_in_trouble_mints_nothing_and_charges_nothing() {
    let world = World::new().await;
    world.grant(&[GET], vec![Caveat::Calls(2)]).await;
    world.audit.in_trouble();
    assert_eq!(class(world.mint(GET, json!({"message_id": "m1"})).await), Class::Unavailable);
    assert_eq!(world.broker.grants(None, false).unwrap()[0].calls_made, 0);
    world.audit.mend();
    world.audit.break_door(Door::Queued);
    assert_eq!(class(world.mint(GET, json!({"message_id": "m1"})).await), Class::Unavailable);
    assert_eq!(world.broker.status().live_capabilities, 0);
    world.audit.mend();
    world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_went_back_refuses_until_an_admin_says_so() {
    let mut world = world().await;
    world.broker.tick().await;
    world.clock.step(-60_000);
    world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    world.clock.step(-1);
    let (text, bytes) = world.present(GET, &json!({"message_id": "m1"}));
    assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, &bytes).await), Class::Unavailable);
    assert!(world.broker.status().clock_refuses);
    // A restart does not help: the mark is durable.
    world.restart().await;
    assert_eq!(class(world.mint(GET, json!({"message_id": "m1"})).await), Class::Unavailable);
    world.store.fail("meta/clock", Commit::Full, false);
    assert!(matches!(world.broker.reset_clock(ADMIN).await, Err(AdminError::Store(_))));
    assert!(world.broker.clock_refuses());
    world.broker.reset_clock(ADMIN).await.unwrap();
    world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
}

#[tokio::test]
async fn sealed_answers_nothing() {
    let world = world().await;
    let (text, bytes) = world.present(GET, &json!({"message_id": "m1"}));
    let sealed = crate::broker::Broker::new(
        world.broker.ports.clone(),
        world.catalog.clone(),
        super::world::settings(),
    );
    sealed.load_registry().await.unwrap();
    assert_eq!(sealed.agent_of_uid(2001), Some(agent("ann")));
    assert_eq!(class(sealed.mint(&adapter("gmail"), &text, &bytes).await), Class::Sealed);
    assert_eq!(class(sealed.open(&agent("ann"))), Class::Sealed);
    assert_eq!(class(sealed.send(&adapter("gmail"), &[0; 32], "", Default::default()).await), Class::Sealed);
    assert!(matches!(sealed.secrets(), Err(AdminError::Sealed)));
    assert!(matches!(sealed.freeze(ADMIN, &agent("ann"), "x").await, Err(AdminError::Sealed)));
    assert!(sealed.status().sealed);
}
