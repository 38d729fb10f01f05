//! Lists of grants: which grant each line means, when it ends, and what becomes of a plan that others cross.

use claviger_domain::caveat::{Caveat, ResourceBound};
use claviger_domain::event::Kind;
use claviger_domain::grant::{Approve, Grant};

use super::fakes::Door;
use super::policy::{called, kinds, plan, to};
use super::world::{ADMIN, World, agent, ask, oauth, secret, within};
use crate::broker::error::AdminError;
use crate::broker::policy::{ChangeKind, PlanAsk, Planned};
use crate::broker::view::{GrantAsk, Wish};
use crate::port::Commit;

const GET: &str = "gmail.get_message";
const SEND: &str = "gmail.send_message";
const LABELS: &str = "gmail.list_labels";

/// One grant with a name and a bound.
fn few(calls: u64) -> Vec<GrantAsk> {
    vec![called("few", ask("ann", &[GET], vec![Caveat::Calls(calls)]))]
}

fn look(grants: Vec<GrantAsk>) -> PlanAsk {
    PlanAsk { grants, tests: Vec::new(), prune: false, apply: None }
}

async fn only(world: &World) -> Grant {
    world.broker.grants(Some(&agent("ann")), false).unwrap().remove(0).grant
}

/// The plan of a list, ready to be carried out.
async fn looked_at(world: &World, grants: Vec<GrantAsk>) -> PlanAsk {
    let planned = world.broker.plan(ADMIN, look(grants.clone())).await.unwrap();
    PlanAsk { apply: Some(planned.digest), ..look(grants) }
}

#[tokio::test]
async fn grants_come_in_the_order_of_the_list() {
    let world = World::new().await;
    let calls = |calls| ask("ann", &[GET], vec![Caveat::Calls(calls)]);
    let list = vec![calls(1), called("two", calls(2)), calls(3), called("four", calls(4))];
    let caveats = |grant: &Grant| grant.caveats.clone();
    let expected: Vec<_> = (1..=4).map(|calls| vec![Caveat::Calls(calls)]).collect();
    let planned = plan(&world, list, true).await.unwrap();
    let said: Vec<_> = planned.changes.iter().map(|change| caveats(change.after.as_ref().unwrap())).collect();
    assert_eq!(said, expected);
    let made: Vec<_> =
        world.broker.grants(None, false).unwrap().iter().map(|view| caveats(&view.grant)).collect();
    assert_eq!(made, expected);
}

#[tokio::test]
async fn a_name_is_each_agents_own_and_no_name_is_none() {
    let world = World::new().await;
    let list = vec![
        called("reads", ask("ann", &[GET], vec![])),
        called("reads", ask("bob", &[GET], vec![])),
        ask("ann", &[SEND], vec![]),
        ask("ann", &[LABELS], vec![]),
    ];
    assert_eq!(kinds(&plan(&world, list, true).await.unwrap()), [ChangeKind::Add; 4]);
    // What has a name is not meant by a line without one.
    let list = vec![ask("bob", &[GET], vec![])];
    let planned = plan(&world, list, false).await.unwrap();
    assert_eq!(kinds(&planned), [ChangeKind::Add, ChangeKind::Unmanaged]);
}

#[tokio::test]
async fn the_same_lines_in_another_order_are_no_change() {
    let world = World::new().await;
    let line = |calls| ask("ann", &[GET], vec![Caveat::Calls(calls)]);
    plan(&world, vec![line(1), line(2)], true).await.unwrap();
    let planned = plan(&world, vec![line(2), line(1)], false).await.unwrap();
    assert_eq!(kinds(&planned), [ChangeKind::Keep; 2]);
}

#[tokio::test]
async fn what_an_id_is_called_is_no_change() {
    let world = World::new().await;
    let bound = |id: &str| match within("label", &[]) {
        Caveat::Resource(bound) => {
            Caveat::Resource(ResourceBound { ids: vec![id.to_owned()], shown: vec![], ..bound })
        }
        other => other,
    };
    let list = |id: &str| vec![ask("ann", &[GET], vec![bound(id)])];
    plan(&world, list("AI"), true).await.unwrap();
    assert_eq!(kinds(&plan(&world, list("id:Label_ai"), true).await.unwrap()), [ChangeKind::Keep]);
    let Caveat::Resource(bound) = &only(&world).await.caveats[0] else { panic!("no bound") };
    assert_eq!((&*bound.ids[0], &*bound.shown[0]), ("Label_ai", "AI"));
}

#[tokio::test]
async fn a_list_has_at_most_five_hundred_grants() {
    let world = World::new().await;
    let list = |most: u32| (0..most).map(|n| called(&n.to_string(), ask("ann", &[GET], vec![]))).collect();
    let refused = world.broker.plan(ADMIN, look(list(501))).await;
    assert!(matches!(refused, Err(AdminError::Invalid { .. })));
    assert_eq!(world.broker.plan(ADMIN, look(list(500))).await.unwrap().changes.len(), 500);
}

/// A change leaves the end where it was said to be: its span does not begin anew because something else is said.
#[tokio::test]
async fn a_change_does_not_move_the_end_of_its_span() {
    let world = World::new().await;
    let list = |seconds, caveats| {
        let mut grant = ask("ann", &[GET], caveats);
        grant.expires_in_s = Some(seconds);
        vec![called("x", grant)]
    };
    plan(&world, list(60, vec![]), true).await.unwrap();
    let start = only(&world).await.created_at_ms;
    let moment = |seconds: u64| Caveat::Expires(start + seconds * 1000);
    for (after_s, span_s, caveats, end_s) in [
        // Another span: from now.
        (50, 120, vec![], 170),
        (10, 120, vec![Caveat::Calls(9)], 170),
        // A moment after its end, one before it.
        (10, 120, vec![moment(500)], 170),
        (60, 120, vec![moment(165)], 165),
        // When its span began is no longer known: no later than it could have, and not before the end that was said.
        (10, 120, vec![moment(500)], 165),
    ] {
        world.clock.advance(after_s * 1000);
        let changed = plan(&world, list(span_s, caveats), true).await.unwrap();
        assert_eq!(kinds(&changed), [ChangeKind::Change]);
        assert_eq!(only(&world).await.expires_at_ms, Some(start + end_s * 1000));
    }
    // A moment alone ended it.
    let world = World::new().await;
    plan(&world, list(60, vec![moment(10)]), true).await.unwrap();
    world.clock.advance(5000);
    plan(&world, list(60, vec![moment(500)]), true).await.unwrap();
    assert_eq!(only(&world).await.expires_at_ms, Some(start + 60_000));
}

#[tokio::test]
async fn a_plan_that_stops_says_so() {
    let world = World::new().await;
    let list = vec![ask("ann", &[GET], vec![]), ask("ann", &[SEND], vec![])];
    let ready = looked_at(&world, list).await;
    world.store.fail("grant/", Commit::Full, false);
    assert!(matches!(world.broker.plan(ADMIN, ready).await, Err(AdminError::Store(_))));
    assert!(world.broker.grants(None, false).unwrap().is_empty());
}

#[tokio::test]
async fn a_change_that_cannot_be_recorded_is_none() {
    let world = World::new().await;
    plan(&world, few(1), true).await.unwrap();
    let ready = looked_at(&world, few(2)).await;
    world.audit.break_door(Door::Record);
    assert!(matches!(world.broker.plan(ADMIN, ready).await, Err(AdminError::Audit(_))));
    assert_eq!(only(&world).await.caveats, [Caveat::Calls(1)]);
}

#[tokio::test]
async fn of_two_changes_at_once_one_is_made() {
    let world = World::new().await;
    plan(&world, few(1), true).await.unwrap();
    let (two, three) = (looked_at(&world, few(2)).await, looked_at(&world, few(3)).await);
    let (two, three) = tokio::join!(world.broker.plan(ADMIN, two), world.broker.plan(ADMIN, three));
    let conflict = |result: &Result<Planned, AdminError>| matches!(result, Err(AdminError::Conflict));
    let made = match (&two, &three) {
        (Ok(_), lost) if conflict(lost) => 2,
        (lost, Ok(_)) if conflict(lost) => 3,
        _ => panic!("{two:?} {three:?}"),
    };
    assert_eq!(only(&world).await.caveats, [Caveat::Calls(made)]);
    assert_eq!(world.audit.count(Kind::GrantChanged), 1);
}

/// Revoking bites before it has its turn: a change that had its turn first changes nothing any more.
#[tokio::test]
async fn what_is_being_revoked_is_not_changed() {
    let world = World::new().await;
    plan(&world, few(1), true).await.unwrap();
    let id = only(&world).await.id;
    let ready = looked_at(&world, few(2)).await;
    let pause = async || {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    };
    // Another command has the turn, and waits for the log.
    world.audit.block(true);
    let revoke = async {
        pause().await;
        world.broker.revoke(ADMIN, id).await
    };
    let go_on = async {
        pause().await;
        pause().await;
        world.audit.block(false);
    };
    let (other, changed, revoked, ()) =
        tokio::join!(world.try_grant("bob", &[GET], vec![]), world.broker.plan(ADMIN, ready), revoke, go_on);
    assert_eq!((other.unwrap().state, revoked.unwrap().state), ("active", "revoked"));
    assert!(matches!(changed, Err(AdminError::Conflict)), "{changed:?}");
    assert_eq!(world.audit.count(Kind::GrantChanged), 0);
}

/// Two accounts' tools must not come to one name by a change either.
#[tokio::test]
async fn a_change_takes_no_name_that_another_account_has() {
    let mut world = World::new().await;
    let gmail = world.catalog.services.get_mut(&"gmail".parse().unwrap()).unwrap();
    let mut tool = gmail.tools[&"get_message".parse().unwrap()].clone();
    tool.name = "gmail.work_get_message".parse().unwrap();
    gmail.tools.insert("work_get_message".parse().unwrap(), tool);
    world.restart().await;
    world.broker.add_secret(ADMIN, secret("gmail/work"), oauth("r")).await.unwrap();
    let list = |tool: &str| {
        vec![called("work", GrantAsk { secret: secret("gmail/work"), ..ask("ann", &[tool], vec![]) })]
    };
    plan(&world, list(LABELS), true).await.unwrap();
    world.grant(&["gmail.work_get_message"], vec![]).await;
    let refused = plan(&world, list(GET), true).await;
    assert!(
        matches!(&refused, Err(AdminError::Invalid { why, .. }) if why.contains("gmail_work_get_message")),
        "{refused:?}"
    );
    assert_eq!(only(&world).await.tools[0].name, LABELS.parse().unwrap());
}

/// Nobody agreed to a task under the new words; what the agent narrowed by itself is bounded by them as by the old.
#[tokio::test]
async fn a_change_ends_tasks_and_nothing_else() {
    let world = World::new().await;
    let list = |calls| {
        let asked = ask("ann", &[SEND], vec![Caveat::Calls(calls)]);
        vec![called("x", GrantAsk { approve: Approve::Always, ..asked })]
    };
    plan(&world, list(5), true).await.unwrap();
    let grant = only(&world).await;
    let wish = Wish {
        purpose: "Invite the club".to_owned(),
        handle: Some(grant.root),
        secret: None,
        tools: vec![SEND.parse().unwrap()],
        caveats: vec![],
        expires_in_s: 3600,
    };
    let ann = agent("ann");
    let asked = world.broker.ask(&ann, wish).await.unwrap();
    world.broker.decide(ADMIN, asked.id, true, String::new()).await.unwrap();
    let bounds = vec![to(&["a@example.com"])];
    let narrowed = world.broker.narrow(&ann, grant.root, bounds, String::new()).await.unwrap().id;
    let children = || {
        let children = world.broker.grant(grant.id).unwrap().children;
        children.into_iter().map(|child| (child.handle.id, child.handle.task)).collect::<Vec<_>>()
    };
    assert_eq!(children().len(), 2);
    plan(&world, list(6), true).await.unwrap();
    assert_eq!(children(), [(narrowed, false)]);
}

#[test]
fn each_change_has_its_word() {
    use ChangeKind::{Add, Change, Keep, Revoke, Unmanaged};
    let words = [Add, Change, Keep, Revoke, Unmanaged].map(ChangeKind::as_str);
    assert_eq!(words, ["add", "change", "keep", "revoke", "unmanaged"]);
}
