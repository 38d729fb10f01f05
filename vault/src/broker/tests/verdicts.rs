//! What a call would be told, where several grants, accounts and agents have a part in it.

use claviger_domain::caveat::Caveat;
use claviger_domain::id::GrantId;
use claviger_domain::policy::Verdict;
use claviger_domain::refusal::Class;
use serde_json::json;

use super::policy::{call, mail, to};
use super::world::{ADMIN, World, agent, ask, oauth, secret};
use crate::broker::error::AdminError;
use crate::broker::policy::{CanAsk, Expectation, PlanAsk};

const GET: &str = "gmail.get_message";
const SEND: &str = "gmail.send_message";

fn objections(verdict: Verdict) -> Vec<(Option<GrantId>, Class)> {
    match verdict {
        Verdict::No { objections } => objections.into_iter().map(|(id, why)| (id, why.class)).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_used_up_is_named_where_it_names_the_tool() {
    let world = World::new().await;
    let once = || vec![Caveat::Calls(1)];
    world.grant(&[SEND], once()).await;
    let gets = world.grant(&[GET], once()).await.grant.id;
    world.grant(&["gmail.list_labels"], vec![]).await;
    world.mint(SEND, mail("a@example.com")).await.unwrap();
    world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    let said = world.broker.can(&call(GET, json!({"message_id": "m1"}))).unwrap();
    assert_eq!(objections(said), [(Some(gets), Class::RateLimited)]);
    let said = world.broker.can(&call("gmail.search_messages", json!({}))).unwrap();
    assert_eq!(objections(said), [(None, Class::NotGranted)]);
}

#[tokio::test]
async fn a_secret_that_is_named_is_the_only_one_asked_about() {
    let world = World::new().await;
    world.broker.add_secret(ADMIN, secret("gmail/work"), oauth("refresh-0")).await.unwrap();
    world.grant(&[GET], vec![]).await;
    let with = |name: Option<&str>| {
        let ask = call(GET, json!({"message_id": "m1"}));
        world.broker.can(&CanAsk { secret: name.map(secret), ..ask })
    };
    assert_eq!(with(None).unwrap().word(), "yes");
    assert_eq!(with(Some("gmail/me")).unwrap().word(), "yes");
    assert_eq!(objections(with(Some("gmail/work")).unwrap()), [(None, Class::NotGranted)]);
    let other = with(Some("drive/me"));
    assert!(matches!(&other, Err(AdminError::Invalid { .. })), "{other:?}");
}

/// Nobody has what a list gives to somebody else.
#[tokio::test]
async fn a_test_of_a_list_asks_its_own_agents_grants() {
    let world = World::new().await;
    let grants = vec![ask("ann", &[GET], vec![]), ask("bob", &[SEND], vec![])];
    let test = |who: &str, word| {
        let ask = call(GET, json!({"message_id": "m1"}));
        Expectation { call: CanAsk { agent: agent(who), ..ask }, word }
    };
    let tests = vec![test("ann", "yes"), test("bob", "no")];
    let planned = PlanAsk { grants, tests, prune: false, apply: None };
    let planned = world.broker.plan(ADMIN, planned).await.unwrap();
    let got: Vec<_> = planned.tests.iter().map(|(_, got)| got.word()).collect();
    assert_eq!(got, ["yes", "no"]);
}

#[tokio::test]
async fn a_grant_that_is_not_there_yet_objects_once() {
    let world = World::new().await;
    let grants = vec![ask("ann", &[SEND], vec![to(&["a@example.com"])])];
    let test = Expectation { call: call(SEND, mail("b@example.com")), word: "no" };
    let planned = PlanAsk { grants, tests: vec![test], prune: false, apply: None };
    let mut planned = world.broker.plan(ADMIN, planned).await.unwrap();
    let id = planned.changes[0].after.as_ref().unwrap().id;
    assert_eq!(objections(planned.tests.remove(0).1), [(Some(id), Class::OutOfScope)]);
}
