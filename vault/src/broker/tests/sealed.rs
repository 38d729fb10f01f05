//! A vault that is shut does and tells nothing, whoever asks; and one whose clock went back does nothing that counts time.

use std::collections::BTreeMap;

use claviger_canonical::Canonical;
use claviger_domain::event::Kind;
use claviger_domain::id::{ApprovalId, DecoyId, GrantId, HandleId, Ref};
use claviger_domain::refusal::{Class, Refusal};
use claviger_domain::secret::SecretBytes;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::world::{ADMIN, World, adapter, agent, ask, oauth, secret};
use crate::broker::decoys::DecoyKind;
use crate::broker::error::AdminError;
use crate::broker::policy::{CanAsk, PlanAsk};
use crate::broker::view::{ConnectAsk, LogAsk, Wish};

const GET: &str = "gmail.get_message";

fn shut<T>(result: Result<T, AdminError>) -> bool {
    matches!(result, Err(AdminError::Sealed))
}

fn told<T>(result: Result<T, Refusal>) -> (Class, Option<String>) {
    let refusal = result.err().expect("it was allowed");
    (refusal.class, refusal.field)
}

fn question() -> Wish {
    Wish {
        purpose: "q".to_owned(),
        handle: None,
        secret: None,
        tools: vec![],
        caveats: vec![],
        expires_in_s: 0,
    }
}

#[tokio::test]
async fn to_an_admin_it_says_that_it_is_sealed_and_nothing_else() {
    let world = World::new().await;
    let grant = world.grant(&[GET], vec![]).await.grant;
    let (ann, bob, me) = (agent("ann"), agent("bob"), secret("gmail/me"));
    let decoy = world.broker.add_decoy(ADMIN, DecoyKind::Handle, "").await.unwrap().id;
    let waits = world.broker.ask(&ann, question()).await.unwrap().id;
    let reference = world.audit.records.lock().unwrap()[0].1.reference;
    let kept = world.store.keys();
    let recorded = world.audit.records.lock().unwrap().len();
    let can = CanAsk {
        agent: ann.clone(),
        tool: GET.parse().unwrap(),
        secret: None,
        arguments: Canonical::from_json(&json!({"message_id": "m1"})).unwrap(),
    };
    let plan = PlanAsk { grants: vec![], tests: vec![], prune: false, apply: None };
    let connect = ConnectAsk {
        secret: secret("gmail/new"),
        effects: vec![],
        tools: vec![GET.parse().unwrap()],
        redirect_uri: "http://127.0.0.1:1/".to_owned(),
        client: Some(("client".to_owned(), SecretBytes::from_text("secret".to_owned()))),
        renew: false,
    };
    world.broker.shut();
    let broker = &world.broker;
    let code = SecretBytes::from_text("code".to_owned());
    for (what, shut) in [
        ("add_agent", shut(broker.add_agent(ADMIN, agent("eve"), Some(2009), false, false).await)),
        ("remove_agent", shut(broker.remove_agent(ADMIN, &bob).await)),
        ("show_agent", shut(broker.show_agent(&ann))),
        ("freeze", shut(broker.freeze(ADMIN, &ann, "").await)),
        ("thaw", shut(broker.thaw(ADMIN, &ann).await)),
        ("untaint", shut(broker.untaint(ADMIN, &ann).await)),
        ("add_adapter", shut(broker.add_adapter(ADMIN, adapter("calendar"), Some(3009), None).await)),
        ("remove_adapter", shut(broker.remove_adapter(ADMIN, &adapter("drive")).await)),
        ("add_secret", shut(broker.add_secret(ADMIN, secret("gmail/new"), oauth("r")).await)),
        ("secrets", shut(broker.secrets())),
        ("secret", shut(broker.secret(&me))),
        ("rotate_secret", shut(broker.rotate_secret(ADMIN, &me, Some(oauth("r"))).await)),
        ("trust_authors", shut(broker.trust_authors(ADMIN, &me, vec![]).await)),
        ("remove_secret", shut(broker.remove_secret(ADMIN, &me, false).await)),
        ("remove_secret of no use", shut(broker.remove_secret(ADMIN, &secret("drive/me"), false).await)),
        ("begin_connect", shut(broker.begin_connect(ADMIN, connect).await)),
        ("finish_connect", shut(broker.finish_connect(ADMIN, "s", code, "t").await)),
        ("add_grant", shut(broker.add_grant(ADMIN, ask("ann", &[GET], vec![])).await)),
        ("grants", shut(broker.grants(None, true))),
        ("grant", shut(broker.grant(grant.id))),
        ("forget_known", shut(broker.forget_known(ADMIN, grant.id, None).await)),
        ("revoke_handle", shut(broker.revoke_handle(ADMIN, grant.root).await)),
        ("revoke_handle of none", shut(broker.revoke_handle(ADMIN, HandleId::from_bytes([0; 16])).await)),
        ("revoke", shut(broker.revoke(ADMIN, grant.id).await)),
        ("revoke of none", shut(broker.revoke(ADMIN, GrantId::from_bytes([0; 8])).await)),
        ("plan", shut(broker.plan(ADMIN, plan).await)),
        ("can", shut(broker.can(&can))),
        ("simulate", shut(broker.simulate(ADMIN, vec![], None, 0).await)),
        ("suggest", shut(broker.suggest(&ann, 0).await)),
        ("approvals", shut(broker.approvals(None, true).await)),
        ("show_approval", shut(broker.show_approval(ADMIN, waits).await)),
        ("decide", shut(broker.decide(ADMIN, waits, true, String::new()).await)),
        ("add_decoy", shut(broker.add_decoy(ADMIN, DecoyKind::Handle, "").await)),
        ("decoys", shut(broker.decoys())),
        ("remove_decoy", shut(broker.remove_decoy(ADMIN, decoy).await)),
        ("remove_decoy of none", shut(broker.remove_decoy(ADMIN, DecoyId::from_bytes([0; 8])).await)),
        ("log", shut(broker.log(ADMIN, LogAsk { limit: 1, ..LogAsk::default() }).await)),
        ("why", shut(broker.why(ADMIN, reference).await)),
        ("why of none", shut(broker.why(ADMIN, Ref::from_bytes([0; 8])).await)),
        ("reset_clock", shut(broker.reset_clock(ADMIN).await)),
    ] {
        assert!(shut, "{what}");
    }
    assert_eq!(world.store.keys(), kept);
    assert_eq!(world.audit.records.lock().unwrap().len(), recorded);
    assert!(world.broker.read().agents[&ann].record.frozen.is_none());
}

#[tokio::test]
async fn to_an_agent_and_its_adapter_it_says_that_it_is_sealed_and_nothing_else() {
    let world = World::new().await;
    let root = world.grant(&[GET], vec![]).await.grant.root;
    let (ann, gmail) = (agent("ann"), adapter("gmail"));
    let child = world.broker.narrow(&ann, root, vec![], String::new()).await.unwrap().id;
    let waits = world.broker.ask(&ann, question()).await.unwrap().id;
    let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    let (text, bytes) = world.present(GET, &json!({"message_id": "m1"}));
    world.broker.shut();
    let broker = &world.broker;
    let sealed = (Class::Sealed, None);
    let until = CancellationToken::new();
    let none = BTreeMap::new;
    let capability = &minted.capability;
    for (what, refusal) in [
        ("open", told(broker.open(&ann))),
        ("open a stranger's", told(broker.open(&agent("nobody")))),
        ("open_handles", told(broker.open_handles(&ann, &[root]))),
        ("tools", told(broker.tools(&gmail))),
        ("mint", told(broker.mint(&gmail, &text, &bytes).await)),
        ("mint of nothing", told(broker.mint(&gmail, "", &bytes).await)),
        ("send", told(broker.send(&gmail, capability, "get", none()).await)),
        ("send of nothing", told(broker.send(&gmail, &[], "get", none()).await)),
        ("download", told(broker.download(&gmail, capability, "get", none(), until.clone()).await)),
        ("upload", told(broker.upload(&gmail, capability, "get", none(), until).await)),
        ("narrow", told(broker.narrow(&ann, root, vec![], String::new()).await)),
        (
            "narrow of nothing",
            told(broker.narrow(&ann, HandleId::from_bytes([0; 16]), vec![], String::new()).await),
        ),
        ("release", told(broker.release_handle(&ann, child).await)),
        ("ask", told(broker.ask(&ann, question()).await)),
        ("ask nonsense", told(broker.ask(&ann, Wish { purpose: String::new(), ..question() }).await)),
        ("collect", told(broker.collect(&ann, waits).await)),
        ("collect nothing", told(broker.collect(&ann, ApprovalId::from_bytes([0; 16])).await)),
    ] {
        assert_eq!(refusal, sealed, "{what}");
    }
    assert!(world.upstream.calls().is_empty());
    // Nothing can be sealed for the owner, and whoever knocks would fill the log: there is no record, and none to name.
    assert_eq!(world.audit.count(Kind::Refused), 0);
    let refusal = broker.mint(&gmail, &text, &bytes).await.err().unwrap();
    assert_eq!((refusal.reference, refusal.approval), (None, None));
}

#[tokio::test]
async fn a_clock_that_went_back_stops_what_counts_time() {
    let world = World::new().await;
    let root = world.grant(&[GET], vec![]).await.grant.root;
    let (ann, gmail) = (agent("ann"), adapter("gmail"));
    let child = world.broker.narrow(&ann, root, vec![], String::new()).await.unwrap().id;
    let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    world.clock.step(-60_001);
    let (text, bytes) = world.present(GET, &json!({"message_id": "m1"}));
    let broker = &world.broker;
    let refused = (Class::Unavailable, Some("clock".to_owned()));
    for (what, refusal) in [
        ("mint", told(broker.mint(&gmail, &text, &bytes).await)),
        ("send", told(broker.send(&gmail, &minted.capability, "get", BTreeMap::new()).await)),
        ("narrow", told(broker.narrow(&ann, root, vec![], String::new()).await)),
        ("release", told(broker.release_handle(&ann, child).await)),
        ("ask", told(broker.ask(&ann, question()).await)),
    ] {
        assert_eq!(refusal, refused, "{what}");
    }
    assert!(world.upstream.calls().is_empty());
    // Up to a minute back is a clock being set right.
    world.clock.step(1);
    broker.ask(&ann, question()).await.unwrap();
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
}
