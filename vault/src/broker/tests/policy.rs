//! Asking before it counts, lists of grants, and what the calls on record say.

use claviger_canonical::Canonical;
use claviger_domain::caveat::{Bound, Caveat};
use claviger_domain::grant::Approve;
use claviger_domain::policy::Verdict;
use claviger_domain::refusal::Class;
use serde_json::{Value, json};

use super::world::{ADMIN, World, agent, ask, class, within};
use crate::broker::error::AdminError;
use crate::broker::policy::{CanAsk, ChangeKind, Expectation, PlanAsk, Planned};
use crate::broker::view::GrantAsk;

const GET: &str = "gmail.get_message";
const SEND: &str = "gmail.send_message";

pub(super) fn call(tool: &str, args: Value) -> CanAsk {
    CanAsk {
        agent: agent("ann"),
        tool: tool.parse().unwrap(),
        secret: None,
        arguments: Canonical::from_json(&args).unwrap(),
    }
}

pub(super) fn rate(text: &str) -> Caveat {
    Caveat::Rate(text.parse().unwrap())
}

pub(super) fn to(addresses: &[&str]) -> Caveat {
    Caveat::Recipients(addresses.iter().map(|address| address.parse().unwrap()).collect())
}

pub(super) fn mail(address: &str) -> Value {
    json!({"to": [address], "subject": "s", "body": "b"})
}

pub(super) fn called(name: &str, mut grant: GrantAsk) -> GrantAsk {
    grant.name = Some(name.to_owned());
    grant
}

pub(super) async fn plan(world: &World, grants: Vec<GrantAsk>, apply: bool) -> Result<Planned, AdminError> {
    let ask = PlanAsk { grants, tests: Vec::new(), prune: false, apply: None };
    let planned = world.broker.plan(ADMIN, ask.clone()).await?;
    if !apply {
        return Ok(planned);
    }
    world.broker.plan(ADMIN, PlanAsk { apply: Some(planned.digest), ..ask }).await
}

pub(super) fn kinds(planned: &Planned) -> Vec<ChangeKind> {
    planned.changes.iter().map(|change| change.kind).collect()
}

/// What is said before is what happens: the same words for the same calls, and nothing is charged by asking.
#[tokio::test]
async fn asking_says_what_minting_does() {
    let world = World::new().await;
    world.grant(&[GET], vec![rate("2/1h")]).await;
    world
        .grant(&[SEND], vec![to(&["*@example.com"]), Caveat::Argument("bcc".parse().unwrap(), Bound::Absent)])
        .await;
    let calls = [
        (GET, json!({"message_id": "m1"})),
        (GET, json!({"message_id": "m1", "more": 1})),
        (GET, json!({})),
        (SEND, mail("a@example.com")),
        (SEND, mail("a@example.org")),
        (SEND, json!({"to": ["a@example.com"], "bcc": ["b@example.com"], "subject": "s", "body": "b"})),
        ("gmail.list_labels", json!({})),
    ];
    for _ in 0..5 {
        for (tool, args) in &calls {
            world.broker.can(&call(tool, args.clone())).unwrap();
        }
    }
    for (tool, args) in calls {
        let said = world.broker.can(&call(tool, args.clone())).unwrap();
        match world.mint(tool, args.clone()).await {
            Ok(_) => assert_eq!(said.word(), "yes", "{tool} {args}"),
            Err(refusal) => {
                let Verdict::No { objections } = &said else { panic!("{tool} {args}: {said:?}") };
                assert!(
                    objections.iter().any(|(_, denial)| denial.class == refusal.class),
                    "{tool}: {said:?}"
                );
            }
        }
    }
    assert!(matches!(
        world.broker.can(&CanAsk { agent: agent("nobody"), ..call(GET, json!({})) }),
        Err(AdminError::Missing { what: "agent", .. })
    ));
    assert!(matches!(
        world.broker.can(&call("gmail.fly", json!({}))),
        Err(AdminError::Missing { what: "tool", .. })
    ));
}

#[tokio::test]
async fn a_no_names_grant_bound_value_and_fix() {
    let world = World::new().await;
    let grant = world.grant(&[SEND], vec![to(&["a@example.com"])]).await.grant.id;
    let Verdict::No { objections } = world.broker.can(&call(SEND, mail("eve@evil.example"))).unwrap() else {
        panic!("it was allowed");
    };
    let [(by, denial)] = objections.as_slice() else { panic!("{objections:?}") };
    assert_eq!(*by, Some(grant));
    assert_eq!(denial.caveat.as_deref(), Some("recipients = a@example.com"));
    assert_eq!(denial.value.as_deref(), Some("eve@evil.example"));
    assert!(denial.fix.as_deref().unwrap().contains("add eve@evil.example"));
}

#[tokio::test]
async fn a_yes_says_what_it_depends_on() {
    let world = World::new().await;
    world.grant(&[GET], vec![within("label", &["Label_ai"]), Caveat::Calls(3)]).await;
    let Verdict::Yes { conditions, .. } = world.broker.can(&call(GET, json!({"message_id": "m1"}))).unwrap()
    else {
        panic!("it was refused");
    };
    assert!(conditions.iter().any(|line| line.contains("Label_ai")), "{conditions:?}");
    assert!(conditions.iter().any(|line| line.contains("3 calls")), "{conditions:?}");
    for _ in 0..3 {
        world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    }
    let spent = world.broker.can(&call(GET, json!({"message_id": "m1"}))).unwrap();
    assert!(
        matches!(&spent, Verdict::No { objections } if objections[0].1.class == Class::RateLimited),
        "{spent:?}"
    );
}

#[tokio::test]
async fn what_nobody_said_never_about_is_asked() {
    let world = World::new().await;
    let mut asked = ask("ann", &[SEND], vec![]);
    asked.approve = Approve::Default;
    world.broker.add_grant(ADMIN, asked).await.unwrap();
    assert_eq!(world.broker.can(&call(SEND, mail("a@example.com"))).unwrap().word(), "approval");
}

/// The same list twice changes nothing: the handle, the counters and the end are those of the first time.
#[tokio::test]
async fn a_list_applied_twice_is_applied_once() {
    let world = World::new().await;
    let list = || {
        let mut reads = ask("ann", &[GET], vec![Caveat::Calls(3)]);
        reads.expires_in_s = Some(3600);
        vec![called("reads", reads), ask("ann", &[SEND], vec![to(&["a@example.com"])])]
    };
    let first = plan(&world, list(), true).await.unwrap();
    assert_eq!(kinds(&first), [ChangeKind::Add, ChangeKind::Add]);
    assert!(first.applied);
    let before = world.broker.grants(Some(&agent("ann")), false).unwrap();
    world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    world.clock.advance(60_000);
    let second = plan(&world, list(), true).await.unwrap();
    assert_eq!(kinds(&second), [ChangeKind::Keep, ChangeKind::Keep]);
    let after = world.broker.grants(Some(&agent("ann")), false).unwrap();
    let facts = |views: &[crate::broker::view::GrantView]| {
        views
            .iter()
            .map(|view| (view.grant.id, view.grant.root, view.grant.expires_at_ms))
            .collect::<Vec<_>>()
    };
    assert_eq!(facts(&before), facts(&after));
    let counted = after.iter().find(|view| view.grant.name.as_deref() == Some("reads")).unwrap();
    assert_eq!(counted.calls_made, 1);
}

#[tokio::test]
async fn a_change_in_place_keeps_the_handle_and_bites_at_once() {
    let mut world = World::new().await;
    let list = |calls: u64, label: &str| {
        let mut grant = ask("ann", &[GET], vec![Caveat::Calls(calls), within("label", &[label])]);
        grant.expires_in_s = Some(3600);
        vec![called("reads", grant)]
    };
    plan(&world, list(5, "Label_ai"), true).await.unwrap();
    let before = world.broker.grants(None, false).unwrap().remove(0).grant;
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    world.clock.advance(1000);
    let changed = plan(&world, list(2, "Label_ai"), true).await.unwrap();
    assert_eq!(kinds(&changed), [ChangeKind::Change]);
    for _ in 0..2 {
        let after = world.broker.grants(None, false).unwrap().remove(0);
        assert_eq!((after.grant.id, after.grant.root), (before.id, before.root));
        assert_eq!(after.grant.expires_at_ms, before.expires_at_ms, "the same span, so the same end");
        assert_eq!(after.calls_made, 1);
        assert!(after.grant.caveats.contains(&Caveat::Calls(2)));
        world.restart().await;
    }
    let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    assert_eq!(class(world.mint(GET, json!({"message_id": "m1"})).await), Class::RateLimited);
    plan(&world, list(9, "Label_other"), true).await.unwrap();
    assert_eq!(
        class(world.send(&minted, "get", &[]).await),
        Class::BadCapability,
        "minted under what was wider"
    );
    assert_eq!(class(world.call(GET, json!({"message_id": "m1"})).await), Class::OutOfScope);
}

#[tokio::test]
async fn another_span_is_another_end() {
    let world = World::new().await;
    let list = |seconds| {
        let mut grant = ask("ann", &[GET], vec![]);
        grant.expires_in_s = Some(seconds);
        vec![grant]
    };
    plan(&world, list(3600), true).await.unwrap();
    let end =
        |world: &World| world.broker.grants(None, false).unwrap().remove(0).grant.expires_at_ms.unwrap();
    let before = end(&world);
    world.clock.advance(5000);
    assert_eq!(kinds(&plan(&world, list(7200), true).await.unwrap()), [ChangeKind::Change]);
    assert_eq!(end(&world), before + 5000 + 3_600_000);
}

#[tokio::test]
async fn a_test_that_does_not_hold_changes_nothing() {
    let world = World::new().await;
    let test = |address: &str, word| Expectation { call: call(SEND, mail(address)), word };
    let grants = vec![ask("ann", &[SEND], vec![to(&["*@example.com"])])];
    let ask = |tests| PlanAsk { grants: grants.clone(), tests, prune: false, apply: None };
    let planned = world
        .broker
        .plan(ADMIN, ask(vec![test("a@example.com", "yes"), test("a@evil.example", "no")]))
        .await
        .unwrap();
    assert!(planned.tests.iter().all(|(test, got)| test.word == got.word()));
    for tests in [vec![test("a@evil.example", "yes")], vec![test("a@example.com", "approval")]] {
        let apply = Some(planned.digest.clone());
        let refused = world.broker.plan(ADMIN, PlanAsk { apply, ..ask(tests) }).await;
        assert!(matches!(refused, Err(AdminError::Invalid { .. })), "{refused:?}");
    }
    assert!(world.broker.grants(None, false).unwrap().is_empty());
}

#[tokio::test]
async fn a_plan_that_is_no_longer_true_is_not_carried_out() {
    let world = World::new().await;
    let list = vec![called("reads", ask("ann", &[GET], vec![rate("5/1h")]))];
    let look = PlanAsk { grants: list.clone(), tests: Vec::new(), prune: true, apply: None };
    let planned = world.broker.plan(ADMIN, look.clone()).await.unwrap();
    world.grant(&["gmail.list_labels"], vec![]).await;
    let late = world.broker.plan(ADMIN, PlanAsk { apply: Some(planned.digest), ..look }).await;
    assert!(matches!(late, Err(AdminError::Conflict)), "{late:?}");
    assert_eq!(world.broker.grants(None, false).unwrap().len(), 1);
}

#[tokio::test]
async fn what_the_list_does_not_name_stays_unless_it_is_pruned() {
    let world = World::new().await;
    let other = world.grant(&["gmail.list_labels"], vec![]).await.grant.id;
    world.try_grant("bob", &[GET], vec![]).await.unwrap();
    let list = vec![ask("ann", &[GET], vec![])];
    let planned = plan(&world, list.clone(), true).await.unwrap();
    assert_eq!(kinds(&planned), [ChangeKind::Add, ChangeKind::Unmanaged]);
    let prune = PlanAsk { grants: list, tests: Vec::new(), prune: true, apply: None };
    let planned = world.broker.plan(ADMIN, prune.clone()).await.unwrap();
    assert_eq!(kinds(&planned), [ChangeKind::Revoke, ChangeKind::Keep], "what goes comes first");
    world.broker.plan(ADMIN, PlanAsk { apply: Some(planned.digest), ..prune }).await.unwrap();
    assert_eq!(world.broker.grant(other).unwrap().state, "revoked");
    assert_eq!(world.broker.grants(Some(&agent("bob")), false).unwrap().len(), 1, "not an agent of the list");
}

#[tokio::test]
async fn a_name_with_another_secret_is_another_grant() {
    let world = World::new().await;
    let first = plan(&world, vec![called("x", ask("ann", &[GET], vec![]))], true).await.unwrap();
    let old = first.changes[0].after.as_ref().unwrap().id;
    let planned =
        plan(&world, vec![called("x", ask("ann", &["drive.read_file"], vec![]))], true).await.unwrap();
    assert_eq!(kinds(&planned), [ChangeKind::Revoke, ChangeKind::Add]);
    assert_eq!(world.broker.grant(old).unwrap().state, "revoked");
    let twice = vec![called("x", ask("ann", &[GET], vec![])), called("x", ask("ann", &[SEND], vec![]))];
    assert!(matches!(plan(&world, twice, false).await, Err(AdminError::Invalid { .. })));
}

#[tokio::test]
async fn a_suggestion_is_enough_for_the_calls_and_for_no_others() {
    let world = World::new().await;
    world.grant(&[GET, "gmail.list_labels"], vec![within("label", &["Label_ai"])]).await;
    world.grant(&[SEND], vec![]).await;
    for address in ["a@example.com", "b@example.com", "a@example.com"] {
        world.mint(SEND, mail(address)).await.unwrap();
    }
    world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    let suggested = world.broker.suggest(&agent("ann"), 0).await.unwrap();
    assert_eq!((suggested.looked_at, suggested.forgotten), (4, 0));
    let sends = suggested.grants.iter().find(|(grant, _)| grant.tools == [SEND.parse().unwrap()]).unwrap();
    assert_eq!(sends.1, 3);
    assert!(sends.0.caveats.contains(&to(&["a@example.com", "b@example.com"])), "{:?}", sends.0.caveats);
    assert!(sends.0.caveats.contains(&rate("3/1h")));
    assert!(sends.0.caveats.contains(&Caveat::Argument("bcc".parse().unwrap(), Bound::Absent)));
    assert_eq!(suggested.unused.len(), 1);
    assert_eq!(suggested.unused[0].1, ["gmail.list_labels".parse().unwrap()]);
    assert!(!suggested.unused[0].2);
    // What was proposed lets the calls on record through, and a stranger's not.
    let mut grants: Vec<GrantAsk> = suggested.grants.into_iter().map(|(grant, _)| grant).collect();
    for grant in &mut grants {
        grant.approve = Approve::Never;
        for caveat in &mut grant.caveats {
            if let Caveat::Resource(bound) = caveat {
                bound.ids = bound.ids.iter().map(|id| format!("id:{id}")).collect();
                bound.shown = Vec::new();
            }
        }
    }
    let simulated = world.broker.simulate(ADMIN, grants.clone(), None, 0).await.unwrap();
    assert_eq!((simulated.same, simulated.differing.len()), (4, 0), "{simulated:?}");
    world.mint(SEND, mail("eve@evil.example")).await.unwrap();
    let simulated = world.broker.simulate(ADMIN, grants, None, 0).await.unwrap();
    assert_eq!(simulated.differing.len(), 1);
    assert_eq!((simulated.differing[0].then, simulated.differing[0].now.word()), ("yes", "no"));
}

#[tokio::test]
async fn a_simulation_tells_what_a_wider_list_would_let_through() {
    let world = World::new().await;
    world.grant(&[SEND], vec![to(&["a@example.com"])]).await;
    assert_eq!(class(world.mint(SEND, mail("b@example.com")).await), Class::OutOfScope);
    let wider = vec![ask("ann", &[SEND], vec![to(&["*@example.com"])])];
    let simulated = world.broker.simulate(ADMIN, wider, Some(agent("ann")), 0).await.unwrap();
    let [differing] = simulated.differing.as_slice() else { panic!("{simulated:?}") };
    assert_eq!((differing.then, differing.now.word()), ("out-of-scope", "yes"));
    let later = crate::port::Clock::wall_ms(&*world.clock) + 1;
    let none = world.broker.simulate(ADMIN, Vec::new(), None, later).await.unwrap();
    assert_eq!((none.same, none.differing.len()), (0, 0), "nothing is on record since then");
}

/// What forbids is there before what it is to forbid, and goes after it: a plan that stops on the way allows no more than
/// its whole.
#[tokio::test]
async fn what_forbids_has_the_first_turn() {
    let world = World::new().await;
    let mut deny = ask("ann", &[SEND], vec![to(&["eve@evil.example"])]);
    deny.deny = true;
    deny.approve = Approve::Default;
    let list = vec![called("all", ask("ann", &[SEND], vec![])), deny];
    let planned = plan(&world, list, true).await.unwrap();
    let denies: Vec<bool> =
        planned.changes.iter().map(|change| change.after.as_ref().unwrap().deny).collect();
    assert_eq!(denies, [true, false]);
    assert_eq!(class(world.mint(SEND, mail("eve@evil.example")).await), Class::NotGranted);
    world.mint(SEND, mail("a@example.com")).await.unwrap();
}

/// Tests of a list ask the grants in the order in which calls will: an older one that asks nobody comes first.
#[tokio::test]
async fn an_older_grant_answers_the_tests_of_a_list() {
    let mut world = World::new().await;
    world.grant(&[SEND], vec![]).await;
    let mut asked = ask("ann", &[SEND], vec![to(&["*@example.com"])]);
    asked.approve = Approve::Always;
    let test = Expectation { call: call(SEND, mail("a@example.com")), word: "approval" };
    let list = PlanAsk { grants: vec![called("new", asked)], tests: vec![test], prune: false, apply: None };
    let planned = world.broker.plan(ADMIN, list).await.unwrap();
    assert_eq!(planned.tests[0].1.word(), "yes", "{planned:?}");
    // Grants of one moment are asked in the order they were made, after a restart too.
    let made: Vec<_> =
        (0..4).map(|n| called(&n.to_string(), ask("ann", &[GET], vec![Caveat::Calls(n + 1)]))).collect();
    plan(&world, made, true).await.unwrap();
    for _ in 0..2 {
        let views = world.broker.grants(None, false).unwrap();
        let order: Vec<_> = views.iter().filter_map(|view| view.grant.name.as_deref()).collect();
        assert_eq!(order, ["0", "1", "2", "3"]);
        world.restart().await;
    }
}

/// A use that is under way when its grant is changed was decided by rules that are gone: it sends nothing more.
#[tokio::test]
async fn a_change_bites_uses_that_are_under_way() {
    let world = World::new().await;
    let label = "gmail.label_message";
    let list = |bound: &str| vec![called("sort", ask("ann", &[label], vec![within("label", &[bound])]))];
    plan(&world, list("Label_ai"), true).await.unwrap();
    let args = json!({"message_id": "m1", "add": ["STARRED"]});
    let minted = world.mint(label, args).await.unwrap();
    world.upstream.gate(false);
    let before = world.upstream.calls().len();
    let change = async {
        // Its token is asked for first.
        world.upstream.wait_for(1).await;
        plan(&world, list("Label_other"), true).await.unwrap();
        world.upstream.gate(true);
    };
    let (sent, ()) = tokio::join!(world.send(&minted, "modify", &[]), change);
    assert_eq!(class(sent), Class::Revoked);
    assert!(
        world.upstream.calls()[before..].iter().all(|call| call.method == "GET"),
        "it was done all the same"
    );
}

/// A moment among the bounds counts as it is now, in both directions.
#[tokio::test]
async fn another_moment_is_another_end() {
    use crate::port::Clock;
    let world = World::new().await;
    let at = world.clock.wall_ms() + 100_000;
    let list = |end: u64| vec![called("x", ask("ann", &[GET], vec![Caveat::Expires(end)]))];
    plan(&world, list(at), true).await.unwrap();
    let end =
        |world: &World| world.broker.grants(None, false).unwrap().remove(0).grant.expires_at_ms.unwrap();
    for moment in [at + 50_000, at - 50_000] {
        assert_eq!(kinds(&plan(&world, list(moment), true).await.unwrap()), [ChangeKind::Change]);
        assert_eq!(end(&world), moment);
    }
}
