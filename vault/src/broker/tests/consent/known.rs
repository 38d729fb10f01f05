//! What is remembered of what was agreed to: when it counts, when it is written, and how it is forgotten.

use super::*;
use crate::broker::persist::{Plain, Put};
use crate::broker::records::{self, KnownRecord};
use crate::port::Purpose;

const ANN: &str = "to:a@example.org";

/// A grant that asks for what is new, and one recipient who is no longer new.
async fn knowing() -> (World, claviger_domain::id::GrantId) {
    let world = World::new().await;
    let grant = world.grant_with("ann", &[SEND], Approve::New, vec![]).await.grant.id;
    let args = mail("a@example.org");
    let id = world.agreed(&args).await;
    world.mint_with("ann", &args, id).await.unwrap();
    (world, grant)
}

#[tokio::test]
async fn it_counts_at_once_and_is_not_read_again() {
    let (world, grant) = knowing().await;
    assert_eq!(world.broker.grant(grant).unwrap().known, [ANN]);
    world.store.down(true);
    world.mint(SEND, mail("a@example.org")).await.unwrap();
}

/// It was written, and nobody could say so: then the store is asked, and what is written next is written over it.
#[tokio::test]
async fn what_the_store_may_have_is_read_again() {
    let world = World::new().await;
    let grant = world.grant_with("ann", &[SEND], Approve::New, vec![]).await.grant.id;
    let (one, two) = (mail("a@example.org"), mail("b@example.org"));
    let id = world.agreed(&one).await;
    world.store.fail("known/", Commit::Unavailable, true);
    assert_eq!(class(world.mint_with("ann", &one, id).await), Class::Unavailable);
    world.mint(SEND, one).await.unwrap();
    let id = world.agreed(&two).await;
    world.mint_with("ann", &two, id).await.unwrap();
    assert_eq!(world.broker.grant(grant).unwrap().known, [ANN, "to:b@example.org"]);
}

#[tokio::test]
async fn what_is_known_is_not_written_again() {
    let world = World::new().await;
    let grant = world.grant_with("ann", &[SEND], Approve::Always, vec![]).await.grant.id;
    for _ in 0..2 {
        let id = world.agreed(&mail("a@example.org")).await;
        world.mint_with("ann", &mail("a@example.org"), id).await.unwrap();
    }
    assert_eq!(world.store.item(&format!("known/{grant}")).unwrap().version, 1);
}

/// Whom there is no more room for is asked for each time.
#[tokio::test]
async fn a_thousand_are_remembered_and_no_more() {
    let mut world = World::new().await;
    let grant = world.grant_with("ann", &[SEND], Approve::New, vec![]).await.grant.id;
    let values = (0..999).map(|n| format!("to:{n}@example.net")).collect();
    let plain = Plain::Sealed(Purpose::Record, records::encode(&KnownRecord { values }));
    world.broker.commit(vec![Put { key: format!("known/{grant}"), version: 0, plain }]).await.unwrap();
    world.restart().await;
    for (to, remembered) in [("a@example.org", true), ("b@example.org", false)] {
        let id = world.agreed(&mail(to)).await;
        world.mint_with("ann", &mail(to), id).await.unwrap();
        assert_eq!(world.mint(SEND, mail(to)).await.is_ok(), remembered, "{to}");
    }
    assert_eq!(world.broker.grant(grant).unwrap().known.len(), 1000);
}

#[tokio::test]
async fn what_cannot_be_forgotten_is_still_known() {
    let (world, grant) = knowing().await;
    let forget = || world.broker.forget_known(ADMIN, grant, Some(ANN.to_owned()));
    world.audit.break_door(Door::Record);
    assert!(matches!(forget().await, Err(AdminError::Audit(_))));
    world.audit.mend();
    world.store.fail("known/", Commit::Full, false);
    assert!(matches!(forget().await, Err(AdminError::Store(_))));
    assert_eq!(world.broker.grant(grant).unwrap().known, [ANN]);
    world.mint(SEND, mail("a@example.org")).await.unwrap();
    assert!(forget().await.unwrap().known.is_empty());
    pending(world.mint(SEND, mail("a@example.org")).await);
}

#[tokio::test]
async fn a_vault_that_is_shut_forgets_nothing_and_records_nothing() {
    let (world, grant) = knowing().await;
    let changes = world.audit.count(Kind::GrantChanged);
    world.broker.shut();
    assert_eq!(world.broker.forget_known(ADMIN, grant, None).await.err(), Some(AdminError::Sealed));
    assert_eq!(world.audit.count(Kind::GrantChanged), changes);
    assert_eq!(world.store.item(&format!("known/{grant}")).unwrap().version, 1);
}
