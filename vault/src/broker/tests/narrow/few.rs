//! What makes room and what does not; what is written of a child that ends, and of one that was never given out; and which
//! ids and names it carries.

use super::super::boxes::{READ, boxes};
use super::*;
use crate::broker::lock;

fn stored(world: &World, handle: HandleId) -> bool {
    world.store.keys().contains(&format!("handle/{handle}"))
}

fn told<T>(result: Result<T, Refusal>) -> (Class, Option<String>) {
    let refusal = result.err().expect("it was allowed");
    (refusal.class, refusal.field)
}

fn labels(ids: &[&str]) -> Caveat {
    Caveat::Resource(ResourceBound {
        resource: "label".parse().unwrap(),
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        shown: Vec::new(),
        nested: false,
    })
}

#[tokio::test]
async fn whoever_is_frozen_while_its_child_is_made_gets_none() {
    let world = World::new().await;
    let grant = world.grant(&[GET], vec![]).await.grant;
    let broker = Arc::clone(&world.broker);
    *world.store.hook.lock().unwrap() =
        Some(Box::new(move |_| broker.freeze_now(&agent("ann"), "stop").unwrap()));
    assert_eq!(class(narrow(&world, grant.root, vec![]).await), Class::Revoked);
    *world.store.hook.lock().unwrap() = None;
    world.broker.thaw(ADMIN, &agent("ann")).await.unwrap();
    assert!(world.broker.read().handles.children(grant.id).is_empty());
    world.broker.tick().await;
    let handles = world.store.keys().into_iter().filter(|key| key.starts_with("handle/")).count();
    assert_eq!(handles, 1, "the root's alone");
}

#[tokio::test]
async fn a_child_whose_time_is_over_takes_no_room() {
    let world = World::new().await;
    let top = world.grant(&[GET], vec![]).await.grant.root;
    let end = world.broker.now_ms() + 1000;
    for _ in 0..16 {
        child(&world, top, vec![Caveat::Expires(end)]).await;
    }
    assert_eq!(told(narrow(&world, top, vec![]).await), (Class::Busy, Some("children".to_owned())));
    world.clock.advance(1000);
    child(&world, top, vec![]).await;
}

#[tokio::test]
async fn whoever_has_filled_its_share_of_the_log_releases_nothing() {
    let world = World::new().await;
    let top = world.grant(&[GET], vec![]).await.grant.root;
    let one = child(&world, top, vec![]).await;
    let (ann, now_us) = (agent("ann"), world.clock.mono_us());
    while lock(&world.broker.budgets).spend(&ann, 1 << 20, now_us) {}
    while lock(&world.broker.budgets).spend(&ann, 0, now_us) {}
    let released = world.broker.release_handle(&ann, one).await;
    assert_eq!(told(released), (Class::Busy, Some("audit".to_owned())));
    assert_eq!(world.audit.count(Kind::Released), 0);
    world.clock.advance(60_000);
    get(&world, one).await.unwrap();
    assert_eq!(world.broker.release_handle(&ann, one).await.unwrap(), 1);
    assert_eq!(
        world.broker.read().handles.parents().count(),
        0,
        "no grant is looked at for children it has not"
    );
}

/// What says that it is durable now is durable now, and not with the next sweep.
#[tokio::test]
async fn ended_again_it_is_deleted_at_once() {
    let world = World::new().await;
    let top = world.grant(&[GET], vec![]).await.grant.root;
    let one = child(&world, top, vec![]).await;
    world.store.fail("handle/", Commit::Unavailable, false);
    assert!(world.broker.revoke_handle(ADMIN, one).await.is_err());
    assert!(stored(&world, one));
    world.broker.revoke_handle(ADMIN, one).await.unwrap();
    assert!(!stored(&world, one));
    assert_eq!(world.audit.events(Kind::Released).last().unwrap().1.count, Some(1));
}

#[tokio::test]
async fn of_a_child_that_was_never_written_nothing_is_deleted() {
    let world = World::new().await;
    let top = world.grant(&[GET], vec![]).await.grant.root;
    world.store.fail("handle/", Commit::Full, false);
    assert_eq!(class(narrow(&world, top, vec![]).await), Class::Unavailable);
    assert_eq!(world.broker.read().ended.len(), 1);
    *world.store.hook.lock().unwrap() =
        Some(Box::new(|keys| assert!(!keys.is_empty(), "a commit of nothing")));
    world.broker.sweep_children().await;
    assert!(world.broker.read().ended.is_empty());
}

#[tokio::test]
async fn a_family_whose_time_is_over_ends_once() {
    let world = World::new().await;
    let top = world.grant(&[GET], vec![]).await.grant.root;
    let end = Caveat::Expires(world.broker.now_ms() + 1000);
    let above = child(&world, top, vec![end.clone()]).await;
    child(&world, above, vec![end]).await;
    world.clock.advance(1000);
    world.broker.sweep_children().await;
    let ended: Vec<_> = world.audit.events(Kind::Released);
    let ended: Vec<_> = ended.into_iter().map(|(_, event, _)| (event.handle, event.count)).collect();
    assert_eq!(ended, [(Some(above), Some(2))]);
}

#[tokio::test]
async fn ids_are_ids_and_those_of_one_resource_say_nothing_of_another() {
    let world = World::new().await;
    let top = world.grant(&[GET], vec![]).await.grant.root;
    let refused = told(narrow(&world, top, vec![labels(&["AI label"])]).await);
    assert_eq!(refused, (Class::BadArguments, Some("label".to_owned())));
    child(&world, top, vec![labels(&["Label_1"])]).await;
    let boxes = boxes(&[]).await;
    let top = boxes.world.grant(&[READ], vec![within("folder", &["in"])]).await.grant.root;
    child(&boxes.world, top, vec![within("file", &["one"])]).await;
    let refused = told(narrow(&boxes.world, top, vec![within("folder", &["one"])]).await);
    assert_eq!(refused, (Class::BadArguments, Some("folder".to_owned())));
}

#[tokio::test]
async fn a_child_shows_the_names_that_its_owner_gave() {
    let world = World::new().await;
    let top = world.grant(&[GET], vec![labels(&["id:Label_9", "AI"])]).await.grant.root;
    child(&world, top, vec![labels(&["id:Label_ai"])]).await;
    let grants = world.broker.grants(None, false).unwrap();
    let Caveat::Resource(bound) = &grants[0].children[0].handle.caveats[0] else { panic!("a bound") };
    assert_eq!(
        (bound.ids.as_slice(), bound.shown.as_slice()),
        (&["Label_ai".to_owned()][..], &["AI".to_owned()][..])
    );
}
