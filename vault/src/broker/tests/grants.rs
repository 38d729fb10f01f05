//! Grants: what can be enforced is made, what cannot is refused with the reason.

use claviger_domain::caveat::{Bound, Caveat, ResourceBound};
use claviger_domain::effect::Effect;
use claviger_domain::event::Kind;
use claviger_domain::grant::Approve;

use super::fakes::Door;
use super::world::{ADMIN, World, agent, ask, within};
use crate::broker::error::AdminError;
use crate::port::Commit;

const GET: &str = "gmail.get_message";

fn named(resource: &str, names: &[&str]) -> Caveat {
    Caveat::Resource(ResourceBound {
        resource: resource.parse().unwrap(),
        ids: names.iter().map(|name| (*name).to_owned()).collect(),
        shown: Vec::new(),
        nested: false,
    })
}

#[tokio::test]
async fn several_grants_may_name_one_tool() {
    let world = World::new().await;
    let first = world.grant(&[GET, "gmail.list_labels"], vec![]).await;
    world.try_grant("ann", &["gmail.search_messages", GET], vec![]).await.unwrap();
    world.try_grant("bob", &[GET], vec![]).await.unwrap();
    world.broker.add_secret(ADMIN, "gmail/work".parse().unwrap(), super::world::oauth("r")).await.unwrap();
    let mut other = ask("ann", &[GET], vec![]);
    other.secret = "gmail/work".parse().unwrap();
    world.broker.add_grant(ADMIN, other).await.unwrap();
    // The second account's tools have longer names, which tell them apart.
    let names: Vec<String> = world
        .broker
        .open(&agent("ann"))
        .unwrap()
        .handles
        .iter()
        .flat_map(|handle| handle.tools.iter().map(|tool| tool.mcp_name.clone()))
        .collect();
    assert!(
        names.contains(&"gmail_get_message".to_owned())
            && names.contains(&"gmail_work_get_message".to_owned()),
        "{names:?}"
    );
    world.broker.revoke(ADMIN, first.grant.id).await.unwrap();
    world.grant(&[GET], vec![]).await;
}

#[tokio::test]
async fn two_accounts_tools_never_share_a_name() {
    let mut world = World::new().await;
    let gmail = world.catalog.services.get_mut(&"gmail".parse().unwrap()).unwrap();
    let mut tool = gmail.tools[&"get_message".parse().unwrap()].clone();
    tool.name = "gmail.work_get_message".parse().unwrap();
    gmail.tools.insert("work_get_message".parse().unwrap(), tool);
    world.restart().await;
    world.broker.add_secret(ADMIN, "gmail/work".parse().unwrap(), super::world::oauth("r")).await.unwrap();
    let first = world.grant(&["gmail.work_get_message"], vec![]).await;
    let of_work = || {
        let mut other = ask("ann", &[GET], vec![]);
        other.secret = "gmail/work".parse().unwrap();
        other
    };
    let refused = world.broker.add_grant(ADMIN, of_work()).await;
    assert!(
        matches!(&refused, Err(AdminError::Invalid { why, .. }) if why.contains("gmail_work_get_message")),
        "{refused:?}"
    );
    world.broker.revoke(ADMIN, first.grant.id).await.unwrap();
    world.broker.add_grant(ADMIN, of_work()).await.unwrap();
}

#[tokio::test]
async fn two_admins_at_once_make_a_grant_each() {
    let world = World::new().await;
    let (first, second) =
        tokio::join!(world.try_grant("ann", &[GET], vec![]), world.try_grant("ann", &[GET], vec![]));
    assert_ne!(first.unwrap().grant.id, second.unwrap().grant.id);
}

#[tokio::test]
async fn effects_stand_for_their_tools() {
    let world = World::new().await;
    let mut asked = ask("ann", &[], vec![]);
    asked.effects = vec![Effect::Read];
    asked.approve = Approve::Default;
    let made = world.broker.add_grant(ADMIN, asked).await.unwrap();
    let reads = world.catalog.service(&"gmail".parse().unwrap()).unwrap().tools.values();
    assert_eq!(made.grant.tools.len(), reads.filter(|tool| tool.effect == Effect::Read).count());
    assert!(made.grant.tools.iter().all(|tool| tool.effect == Effect::Read));
}

/// An owner who says "read" means what can be read within the bounds; one who names a tool means that tool.
#[tokio::test]
async fn of_an_effect_only_those_come_that_can_keep_to_the_bounds() {
    let world = World::new().await;
    let mut asked = ask("ann", &[], vec![within("label", &["Label_ai"])]);
    asked.effects = vec![Effect::Read, Effect::Send];
    let made = world.broker.add_grant(ADMIN, asked.clone()).await.unwrap();
    assert!(made.grant.tool(&GET.parse().unwrap()).is_some());
    assert!(made.grant.tool(&"gmail.send_message".parse().unwrap()).is_none());
    assert!(made.warnings.iter().any(|line| line.contains("left out") && line.contains("send_message")));
    asked.effects = vec![Effect::Delete];
    asked.caveats.push(Caveat::Recipients(vec!["*@example.com".parse().unwrap()]));
    let none = world.broker.add_grant(ADMIN, asked.clone()).await;
    assert!(matches!(none, Err(AdminError::Invalid { .. })), "{none:?}");
    asked.caveats.pop();
    asked.effects = vec![Effect::Read];
    asked.tools = vec!["gmail.send_message".parse().unwrap()];
    let named = world.broker.add_grant(ADMIN, asked).await;
    assert!(matches!(named, Err(AdminError::Invalid { .. })), "{named:?}");
}

#[tokio::test]
async fn a_bound_that_a_tool_cannot_keep_to_is_refused_with_the_reason() {
    let world = World::new().await;
    let arg = |name: &str, bound: Bound| Caveat::Argument(name.parse().unwrap(), bound);
    for (tools, caveat) in [
        (vec![GET], Caveat::Recipients(vec!["*@example.com".parse().unwrap()])),
        (vec!["gmail.send_message"], within("label", &["Label_ai"])),
        (vec![GET, "gmail.send_message"], within("label", &["Label_ai"])),
        (vec![GET], arg("words", Bound::Absent)),
        (vec![GET], arg("message_id", Bound::Max(3))),
        (vec!["gmail.search_messages"], arg("words", Bound::EachIn(vec!["x".to_owned()]))),
    ] {
        let refused = world.try_grant("ann", &tools, vec![caveat.clone()]).await;
        assert!(
            matches!(refused, Err(AdminError::Invalid { .. })),
            "{tools:?} {}: {refused:?}",
            caveat.to_text()
        );
    }
    assert!(matches!(
        world.try_grant("ann", &[GET], vec![within("folder", &["x"])]).await,
        Err(AdminError::Invalid { why, .. }) if why.ends_with("has no folder")
    ));
    assert!(matches!(
        world.try_grant("ann", &[GET], vec![within("label", &[])]).await,
        Err(AdminError::Invalid { .. })
    ));
    assert!(world.broker.grants(None, true).unwrap().is_empty());
    assert_eq!(world.audit.count(Kind::GrantAdded), 0);
}

#[tokio::test]
async fn names_become_ids_and_only_one_will_do() {
    let world = World::new().await;
    let made = world.grant(&[GET], vec![named("label", &["AI", "id:Label_9", "AI"])]).await;
    let Caveat::Resource(bound) = &made.grant.caveats[0] else { panic!("{:?}", made.grant.caveats) };
    assert_eq!(
        (bound.ids.clone(), bound.shown.clone()),
        (vec!["Label_ai".to_owned(), "Label_9".to_owned()], vec!["AI".to_owned(), "Label_9".to_owned()],)
    );
    match world.try_grant("bob", &[GET], vec![named("label", &["Twice"])]).await {
        Err(AdminError::Invalid { why, hints }) => {
            assert!(why.starts_with("2 are called"), "{why}");
            assert_eq!(hints, ["say which: id:Label_1", "say which: id:Label_2"]);
        }
        other => panic!("{other:?}"),
    }
    match world.try_grant("bob", &[GET], vec![named("label", &["ai"])]).await {
        Err(AdminError::Invalid { why, hints }) => {
            assert!(why.contains("ai"), "{why}");
            assert!(hints.iter().any(|hint| hint.contains("AI")), "{hints:?}");
        }
        other => panic!("{other:?}"),
    }
    for bad in ["id:", "id:../x", "id:a b", "id:a/b"] {
        assert!(world.try_grant("bob", &[GET], vec![named("label", &[bad])]).await.is_err(), "{bad}");
    }
    // A look at the upstream is a use: intent, outcome, under the admin's name.
    let intents = world.audit.events(Kind::Intent);
    assert!(
        intents
            .iter()
            .any(|(_, event, _)| event.actor == ADMIN && event.step.as_deref() == Some("resolve labels"))
    );
    world.all_announced();
}

#[tokio::test]
async fn folders_by_name_that_need_quoting() {
    let world = World::new().await;
    world.google.lock().unwrap().files.retain(|id, _| id == "f1");
    let made = world.try_grant("ann", &["drive.read_file"], vec![named("folder", &["AI"])]).await.unwrap();
    let Caveat::Resource(bound) = &made.grant.caveats[0] else { panic!("{:?}", made.grant.caveats) };
    assert_eq!(bound.ids, ["f1"]);
    let _ = world.try_grant("bob", &["drive.read_file"], vec![named("folder", &["x' or name != '"])]).await;
    let query = world.upstream.calls().pop().unwrap().target;
    assert!(!query.contains("x%27%20or") || query.contains("x%5C%27"), "{query}");
}

#[tokio::test]
async fn unknown_names_and_odd_times() {
    let world = World::new().await;
    for asked in [
        ask("nobody", &[GET], vec![]),
        ask("ann", &["gmail.nothing"], vec![]),
        ask("ann", &[GET, "drive.read_file"], vec![]),
        ask("ann", &[], vec![]),
    ] {
        assert!(world.broker.add_grant(ADMIN, asked).await.is_err());
    }
    let mut other = ask("ann", &[GET], vec![]);
    other.secret = "gmail/nobody".parse().unwrap();
    assert!(matches!(
        world.broker.add_grant(ADMIN, other).await,
        Err(AdminError::Missing { what: "secret", .. })
    ));
    for seconds in [0, u64::MAX, 11 * 366 * 86_400] {
        let mut asked = ask("ann", &[GET], vec![]);
        asked.expires_in_s = Some(seconds);
        assert!(
            matches!(world.broker.add_grant(ADMIN, asked).await, Err(AdminError::Invalid { .. })),
            "{seconds}"
        );
    }
}

#[tokio::test]
async fn not_recorded_or_not_durable_is_not_granted() {
    let mut world = World::new().await;
    world.audit.break_door(Door::Record);
    assert!(matches!(world.try_grant("ann", &[GET], vec![]).await, Err(AdminError::Audit(_))));
    world.audit.mend();
    for fault in [Commit::Full, Commit::Unavailable, Commit::Conflict, Commit::Unknown] {
        world.store.fail("grant/", fault, false);
        assert!(world.try_grant("ann", &[GET], vec![]).await.is_err(), "{fault:?}");
    }
    assert!(world.broker.open(&agent("ann")).unwrap().handles.is_empty());
    let made = world.grant(&[GET], vec![Caveat::Calls(3)]).await;
    world.restart().await;
    let again = world.broker.grant(made.grant.id).unwrap();
    assert_eq!(again.grant, made.grant);
    assert_eq!(again.sentence, made.sentence);
}

#[tokio::test]
async fn an_opaque_agent_is_told_class_and_reference_only() {
    let world = World::new().await;
    world.broker.add_agent(ADMIN, agent("cat"), Some(2003), true, false).await.unwrap();
    let caveat = Caveat::Argument("message_id".parse().unwrap(), Bound::OneOf(vec!["m1".to_owned()]));
    world.try_grant("cat", &[GET], vec![caveat]).await.unwrap();
    let opened = world.broker.open(&agent("cat")).unwrap();
    assert!(!opened.handles[0].tools[0].schema.to_string().contains("m1"));
    let (text, bytes) = world.present_as("cat", GET, &serde_json::json!({"message_id": "m2"}), |_| {});
    let refusal = world.broker.mint(&super::world::adapter("gmail"), &text, &bytes).await.err().unwrap();
    assert_eq!(refusal.field, None);
    assert!(refusal.reference.is_some());
}

fn refused(made: Result<crate::broker::view::GrantView, AdminError>, part: &str) {
    match made {
        Err(AdminError::Invalid { why, hints }) => {
            assert!(why.contains(part) && !hints.is_empty(), "{part} is not in {why}");
        }
        other => panic!("{part}: {other:?}"),
    }
}

#[tokio::test]
async fn a_grant_that_cannot_be_meant_is_not_made() {
    let world = World::new().await;
    let to = |texts: &[&str]| Caveat::Recipients(texts.iter().map(|text| text.parse().unwrap()).collect());
    let send = |caveats| ask("ann", &["gmail.send_message"], caveats);
    let sink = |caveats| changed(send(caveats), |ask| ask.trusted_sink = true);
    refused(world.broker.add_grant(ADMIN, sink(vec![])).await, "--recipients");
    refused(world.broker.add_grant(ADMIN, sink(vec![to(&["*@example.com"])])).await, "whole addresses");
    let deny = |caveats| {
        changed(send(caveats), |ask| {
            ask.deny = true;
            ask.approve = Approve::Default;
        })
    };
    refused(
        world.broker.add_grant(ADMIN, deny(vec![Caveat::Calls(1)])).await,
        "nothing can be forbidden by calls",
    );
    let two = vec![to(&["a@example.org"]), to(&["b@example.org"])];
    refused(world.broker.add_grant(ADMIN, deny(two)).await, "one bound at most");
    let mut asks = deny(vec![]);
    asks.approve = Approve::Always;
    refused(world.broker.add_grant(ADMIN, asks).await, "asks nobody");
    // The list of a search tells nothing of the labels: what is forbidden there would be seen.
    let mut search = deny(vec![named("label", &["id:Label_1"])]);
    search.tools = vec!["gmail.search_messages".parse().unwrap()];
    refused(world.broker.add_grant(ADMIN, search).await, "its lists do not tell");
    // A moment that has passed ends a grant before it begins; one to come ends it then.
    refused(world.broker.add_grant(ADMIN, send(vec![Caveat::Expires(1)])).await, "ended already");
    let end = world.broker.now_ms() + 5_000;
    let made = world
        .broker
        .add_grant(ADMIN, send(vec![Caveat::Expires(end), to(&["me@example.org"])]))
        .await
        .unwrap();
    assert_eq!(made.grant.expires_at_ms, Some(end));
    world.broker.revoke(ADMIN, made.grant.id).await.unwrap();
    let made = world.broker.add_grant(ADMIN, sink(vec![to(&["me@example.org"])])).await.unwrap();
    assert!(made.grant.trusted_sink && made.sentence.contains("even while it has read"), "{}", made.sentence);
    world.broker.revoke(ADMIN, made.grant.id).await.unwrap();
    let made = world.broker.add_grant(ADMIN, deny(vec![to(&["*@evil.example"])])).await.unwrap();
    assert!(made.grant.deny && made.sentence.contains("may never send"), "{}", made.sentence);
}

fn changed(
    mut ask: crate::broker::view::GrantAsk,
    change: impl FnOnce(&mut crate::broker::view::GrantAsk),
) -> crate::broker::view::GrantAsk {
    change(&mut ask);
    ask
}
