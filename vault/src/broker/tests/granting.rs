//! Making grants: in which order, under which name, out of which tools; and what an owner is told of them.

use claviger_domain::caveat::Caveat;
use claviger_domain::effect::Effect;
use claviger_domain::grant::Approve;
use claviger_domain::name::AgentName;
use serde_json::json;

use super::boxes::boxes;
use super::world::{ADMIN, World, adapter, agent, ask, oauth, secret, within};
use crate::broker::error::AdminError;
use crate::broker::view::{GrantAsk, GrantView};
use crate::port::Commit;

const GET: &str = "gmail.get_message";

fn deny(account: &str, tools: &[&str]) -> GrantAsk {
    let asked = ask("ann", tools, vec![]);
    GrantAsk { secret: secret(account), deny: true, approve: Approve::Default, ..asked }
}

fn rules(world: &World) -> u64 {
    world.broker.read().agents[&agent("ann")].rules
}

/// Why it was refused, with its hints.
fn refused(made: Result<GrantView, AdminError>) -> (String, String) {
    match made {
        Err(AdminError::Invalid { why, hints }) => (why, hints.join(" ")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_owner_is_told_exactly_which_tools_were_left_out() {
    let world = World::new().await;
    let asked =
        GrantAsk { effects: vec![Effect::Read], ..ask("ann", &[], vec![within("label", &["INBOX"])]) };
    let made = world.broker.add_grant(ADMIN, asked).await.unwrap();
    let gmail = world.catalog.service(&"gmail".parse().unwrap()).unwrap();
    let reads = gmail.tools.values().filter(|tool| tool.effect == Effect::Read);
    let missing: Vec<&str> = reads
        .filter(|tool| made.grant.tool(&tool.name).is_none())
        .map(|tool| tool.name.tool().as_str())
        .collect();
    assert!(!missing.is_empty() && !made.grant.tools.is_empty());
    let told: Vec<&String> = made.warnings.iter().filter(|line| line.starts_with("left out")).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].split(": ").last(), Some(missing.join(", ").as_str()));
}

#[tokio::test]
async fn grants_are_asked_in_the_order_they_were_made() {
    let mut world = World::new().await;
    let now = world.broker.now_ms();
    let mut made = Vec::new();
    for _ in 0..6 {
        made.push(world.grant(&[GET], vec![]).await.grant);
    }
    assert_eq!(made[0].created_at_ms, now);
    assert!(made.is_sorted_by(|one, next| one.created_at_ms < next.created_at_ms), "all in one moment");
    let order: Vec<_> = made.iter().map(|grant| grant.id).collect();
    let known = |world: &World| world.broker.read().agents[&agent("ann")].grants.clone();
    assert_eq!(known(&world), order);
    world.restart().await;
    assert_eq!(known(&world), order);
}

/// A grant that may be in the store is one of the agent's: what is made after it comes after it in the next run.
#[tokio::test]
async fn a_grant_of_unknown_fate_has_its_place() {
    let mut world = World::new().await;
    world.store.fail("grant/", Commit::Unknown, true);
    world.store.down(true);
    assert_eq!(world.try_grant("ann", &[GET], vec![]).await.err(), Some(AdminError::StoreUnknown));
    world.store.down(false);
    let unknown = world.broker.grants(None, true).unwrap()[0].grant.clone();
    let next = world.grant(&[GET], vec![]).await.grant;
    assert!(unknown.created_at_ms < next.created_at_ms);
    world.restart().await;
    assert_eq!(world.broker.read().agents[&agent("ann")].grants, [unknown.id, next.id]);
}

#[tokio::test]
async fn what_ends_now_has_ended() {
    let world = World::new().await;
    let now = world.broker.now_ms();
    let made = world.try_grant("ann", &[GET], vec![Caveat::Expires(now)]).await;
    assert!(refused(made).0.contains("ended already"));
    world.grant(&[GET], vec![Caveat::Expires(now + 1)]).await;
}

#[tokio::test]
async fn a_rule_that_forbids_counts_for_its_agent_alone_and_has_no_name() {
    let mut world = World::new().await;
    let gmail = world.catalog.services.get_mut(&"gmail".parse().unwrap()).unwrap();
    let mut tool = gmail.tools[&"get_message".parse().unwrap()].clone();
    tool.name = "gmail.work_get_message".parse().unwrap();
    gmail.tools.insert("work_get_message".parse().unwrap(), tool);
    world.restart().await;
    world.broker.add_secret(ADMIN, secret("gmail/work"), oauth("r")).await.unwrap();
    world.grant(&[GET, "gmail.work_get_message"], vec![]).await;
    world.try_grant("bob", &[GET], vec![]).await.unwrap();
    assert_eq!(rules(&world), 0, "what gives takes nothing away");
    let args = json!({ "message_id": "m1" });
    let (text, bytes) = world.present_as("bob", GET, &args, |_| {});
    let bobs = world.broker.mint(&adapter("gmail"), &text, &bytes).await.unwrap();
    let anns = world.mint(GET, args.clone()).await.unwrap();
    // The other account's tool would have the same name, if it had one.
    world.broker.add_grant(ADMIN, deny("gmail/work", &[GET])).await.unwrap();
    world.send(&anns, "get", &[]).await.expect_err("what was decided before is decided anew");
    assert_eq!(rules(&world), 1);
    let anns = world.mint(GET, args).await.unwrap();
    world.broker.add_grant(ADMIN, deny("gmail/me", &[GET])).await.unwrap();
    world.send(&anns, "get", &[]).await.expect_err("forbidden");
    world.send(&bobs, "get", &[]).await.unwrap();
    assert_eq!(rules(&world), 2);
}

#[tokio::test]
async fn an_agents_grants_are_its_own_and_those_that_are_over_are_shown_with_all() {
    let world = World::new().await;
    let (gone, live) = (world.grant(&[GET], vec![]).await, world.grant(&[GET], vec![]).await);
    let bobs = world.try_grant("bob", &[GET], vec![]).await.unwrap();
    world.broker.revoke(ADMIN, gone.grant.id).await.unwrap();
    let ids = |name: Option<&str>, all: bool| {
        let name: Option<AgentName> = name.map(agent);
        let found = world.broker.grants(name.as_ref(), all).unwrap();
        let mut ids: Vec<_> = found.into_iter().map(|view| view.grant.id).collect();
        ids.sort();
        ids
    };
    let sorted = |mut ids: Vec<claviger_domain::id::GrantId>| {
        ids.sort();
        ids
    };
    let (gone, live, bobs) = (gone.grant.id, live.grant.id, bobs.grant.id);
    assert_eq!(ids(Some("ann"), false), [live]);
    assert_eq!(ids(Some("ann"), true), sorted(vec![gone, live]));
    assert_eq!(ids(Some("bob"), true), [bobs]);
    assert_eq!(ids(None, false), sorted(vec![live, bobs]));
    assert_eq!(ids(None, true), sorted(vec![gone, live, bobs]));
    let nobody = world.broker.grants(Some(&agent("zoe")), true);
    assert!(matches!(nobody, Err(AdminError::Missing { what: "agent", .. })));
}

/// An owner is never given a tool that was not named, nor a grant of nothing.
#[tokio::test]
async fn only_tools_of_the_service_are_granted_and_never_none() {
    let boxes = boxes(&[]).await;
    let of_box = |effects: Vec<Effect>, caveats: Vec<Caveat>| {
        let asked = ask("ann", &[], caveats);
        GrantAsk { secret: secret("box/me"), effects, ..asked }
    };
    let add = async |asked: GrantAsk| refused(boxes.world.broker.add_grant(ADMIN, asked).await);
    assert!(add(of_box(vec![], vec![])).await.0.contains("names no tool"));
    assert_eq!(add(of_box(vec![Effect::Delete], vec![])).await.0, "box has no tool of that effect");
    let to = Caveat::Recipients(vec!["a@x.org".parse().unwrap()]);
    let (why, _) = add(of_box(vec![Effect::Read], vec![to])).await;
    assert!(!why.contains("no tool of that effect"), "it has, and none that can keep to it: {why}");
    // Of another service, though this one calls a tool the same.
    let other = GrantAsk { secret: secret("box/me"), ..ask("ann", &["nas.read"], vec![]) };
    let other = boxes.world.broker.add_grant(ADMIN, other).await;
    assert!(matches!(other, Err(AdminError::Missing { what: "tool", .. })), "{other:?}");
    assert!(boxes.world.broker.grants(None, true).unwrap().is_empty());
    // The hint is of what was asked for.
    let sink = GrantAsk { trusted_sink: true, ..ask("ann", &["box.update"], vec![]) };
    assert!(add(sink).await.1.contains("--trusted-sink"));
    let forbids = GrantAsk { deny: true, ..ask("ann", &["box.update"], vec![Caveat::Calls(1)]) };
    assert!(add(forbids).await.1.contains("grant deny"));
}
