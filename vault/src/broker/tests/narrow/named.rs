//! What a child is refused for, and what stands in the log of one that is made.

use super::*;
use crate::broker::decoys::DecoyKind;
use crate::broker::view::GrantAsk;

fn told<T>(result: Result<T, Refusal>) -> (Class, Option<String>) {
    let refusal = result.err().expect("it was allowed");
    (refusal.class, refusal.field)
}

fn written(world: &World) -> (usize, usize) {
    let keys = world.store.keys();
    (world.audit.count(Kind::Narrowed), keys.iter().filter(|key| key.starts_with("handle/")).count())
}

/// Of what is over no child is even written.
#[tokio::test]
async fn of_what_is_over_nothing_is_written() {
    let world = World::new().await;
    let asked = GrantAsk { expires_in_s: Some(100), ..super::super::world::ask("ann", &[GET], vec![]) };
    let root = world.broker.add_grant(ADMIN, asked).await.unwrap().grant.root;
    let ends = Caveat::Expires(world.broker.now_ms() + 50_000);
    let above = child(&world, root, vec![ends]).await;
    let before = written(&world);
    world.clock.advance(50_000);
    assert_eq!(told(narrow(&world, above, vec![]).await).0, Class::Revoked);
    world.clock.advance(50_000);
    assert_eq!(told(narrow(&world, root, vec![]).await).0, Class::Revoked);
    assert_eq!(written(&world), before);
}

/// Who would make a child of a decoy has used it.
#[tokio::test]
async fn a_decoy_has_no_children_and_tells_on_who_asks() {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    let decoy = world.broker.add_decoy(ADMIN, DecoyKind::Handle, "").await.unwrap();
    narrow(&world, root(&world), vec![]).await.unwrap();
    assert_eq!(told(narrow(&world, HandleId::from_bytes([9; 16]), vec![]).await).0, Class::Revoked);
    assert!(world.broker.show_agent(&agent("ann")).unwrap().frozen.is_none());
    assert_eq!(told(narrow(&world, decoy.value.parse().unwrap(), vec![]).await).0, Class::Revoked);
    assert!(world.broker.show_agent(&agent("ann")).unwrap().frozen.is_some());
}

#[tokio::test]
async fn a_childs_label_stands_in_the_log_where_it_has_one() {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    for (label, logged) in [("", None), ("the club", Some("the club"))] {
        world.broker.narrow(&agent("ann"), root(&world), vec![], label.to_owned()).await.unwrap();
        let (_, _, detail) = world.audit.events(Kind::Narrowed).pop().unwrap();
        let found = detail.0.iter().find(|(name, _)| name == "label").map(|(_, text)| text.as_str());
        assert_eq!(found, logged);
    }
}
