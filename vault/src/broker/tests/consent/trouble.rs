//! Approvals where several ask at once, answers are lost, the vault starts anew, and records are not what they were.

use super::*;

#[tokio::test]
async fn a_flood_at_once_leaves_five() {
    let world = Arc::new(world().await);
    let racers: Vec<_> = (0..40)
        .map(|at| {
            let world = Arc::clone(&world);
            tokio::spawn(
                async move { world.mint(SEND, mail(&format!("a{}@example.org", at % 20))).await.err() },
            )
        })
        .collect();
    for racer in racers {
        let refusal = racer.await.unwrap().unwrap();
        assert!(matches!(refusal.class, Class::Pending | Class::Busy));
    }
    assert_eq!(world.broker.approvals(None, true).await.unwrap().len(), 5);
    assert_eq!(world.store.keys().iter().filter(|key| key.starts_with("approval/")).count(), 5);
}

#[tokio::test]
async fn two_at_once_with_one_yes() {
    let world = Arc::new(world().await);
    let args = mail("a@example.org");
    let id = world.agreed(&args).await;
    let racers: Vec<_> = (0..32)
        .map(|_| {
            let (world, args) = (Arc::clone(&world), args.clone());
            tokio::spawn(async move { world.mint_with("ann", &args, id).await.is_ok() })
        })
        .collect();
    let mut won = 0;
    for racer in racers {
        won += u32::from(racer.await.unwrap());
    }
    assert_eq!(won, 1);
    assert_eq!(world.broker.grants(None, false).unwrap()[0].calls_made, 1);
}

#[tokio::test]
async fn asked_before_a_restart_collected_after_it() {
    let mut world = world().await;
    let args = mail("a@example.org");
    let id = pending(world.mint(SEND, args.clone()).await);
    world.restart().await;
    assert_eq!(world.state(id).await, State::Pending);
    world.broker.decide(ADMIN, id, true, String::new()).await.unwrap();
    world.restart().await;
    let collected = world.broker.collect(&agent("ann"), id).await.unwrap();
    assert_eq!(collected.state, State::Approved);
    assert_eq!(serde_json::from_slice::<Value>(&collected.arguments).unwrap(), args);
    world.mint_with("ann", &args, id).await.unwrap();
    world.restart().await;
    assert_eq!(world.state(id).await, State::Done);
    assert_eq!(class(world.mint_with("ann", &args, id).await), Class::BadPresentation);
}

#[tokio::test]
async fn an_answer_that_was_lost_is_not_a_second_yes() {
    let world = world().await;
    let args = mail("a@example.org");
    // It happened, and the store can say so.
    let id = world.agreed(&args).await;
    world.store.fail("approval/", Commit::Unknown, true);
    world.mint_with("ann", &args, id).await.unwrap();
    assert_eq!(world.state(id).await, State::Done);
    // It happened, and nobody can say so just now.
    let id = world.agreed(&args).await;
    world.store.fail("approval/", Commit::Unavailable, true);
    assert_eq!(class(world.mint_with("ann", &args, id).await), Class::Unavailable);
    assert_eq!(class(world.mint_with("ann", &args, id).await), Class::BadPresentation);
    assert_eq!(world.state(id).await, State::Done);
    // It did not happen: the yes is still good.
    let id = world.agreed(&args).await;
    world.store.fail("approval/", Commit::Full, false);
    assert_eq!(class(world.mint_with("ann", &args, id).await), Class::Unavailable);
    assert_eq!(world.state(id).await, State::Approved);
    world.mint_with("ann", &args, id).await.unwrap();
}

#[tokio::test]
async fn what_is_remembered_and_what_is_used_up_are_one_commit() {
    let mut world = World::new().await;
    let grant = world.grant_with("ann", &[SEND], Approve::New, vec![]).await.grant.id;
    let (one, two) = (mail("a@example.org"), mail("b@example.org"));
    let (first, second) = (world.agreed(&one).await, world.agreed(&two).await);
    world.store.fail("known/", Commit::Full, false);
    assert_eq!(class(world.mint_with("ann", &one, first).await), Class::Unavailable);
    assert!(world.broker.grant(grant).unwrap().known.is_empty());
    // Both at once: neither loses what the other remembers.
    let (left, right) =
        tokio::join!(world.mint_with("ann", &one, first), world.mint_with("ann", &two, second));
    assert!(left.is_ok() && right.is_ok());
    world.restart().await;
    assert_eq!(world.broker.grant(grant).unwrap().known.len(), 2);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_asked() {
    let world = world().await;
    world.audit.break_door(Door::Record);
    assert_eq!(class(world.mint(SEND, mail("a@example.org")).await), Class::Unavailable);
    world.audit.mend();
    assert!(world.broker.approvals(None, true).await.unwrap().is_empty());
    world.store.fail("approval/", Commit::Full, false);
    assert_eq!(class(world.mint(SEND, mail("a@example.org")).await), Class::Unavailable);
    assert!(world.broker.approvals(None, true).await.unwrap().is_empty());
    // A yes that is not recorded, or not durable, is none.
    let args = mail("a@example.org");
    let id = pending(world.mint(SEND, args.clone()).await);
    world.audit.break_door(Door::Record);
    assert!(world.broker.decide(ADMIN, id, true, String::new()).await.is_err());
    world.audit.mend();
    assert_eq!(pending(world.mint_with("ann", &args, id).await), id);
    world.store.fail("approval/", Commit::Full, false);
    assert!(world.broker.decide(ADMIN, id, true, String::new()).await.is_err());
    assert_eq!(pending(world.mint_with("ann", &args, id).await), id);
    world.broker.decide(ADMIN, id, true, String::new()).await.unwrap();
    world.mint_with("ann", &args, id).await.unwrap();
}

#[tokio::test]
async fn two_admins_decide_once() {
    let world = world().await;
    let id = pending(world.mint(SEND, mail("a@example.org")).await);
    let (yes, no) = tokio::join!(
        world.broker.decide(ADMIN, id, true, String::new()),
        world.broker.decide(ADMIN, id, false, String::new())
    );
    assert!(yes.is_ok() != no.is_ok(), "{yes:?} {no:?}");
}

#[tokio::test]
async fn a_record_that_was_tampered_with_opens_no_vault() {
    let world = world().await;
    let id = pending(world.mint(SEND, mail("a@example.org")).await);
    let other = pending(world.mint(SEND, mail("b@example.org")).await);
    // The yes to one, laid over another.
    world.broker.decide(ADMIN, id, true, String::new()).await.unwrap();
    let store = world.store.copy();
    let yes = store.item(&format!("approval/{id}")).unwrap();
    store.tamper(|items| {
        let item = items.get_mut(&format!("approval/{other}")).unwrap();
        item.value = yes.value;
        item.version = yes.version;
    });
    let ports = crate::broker::Ports { store, ..world.broker.ports.clone() };
    let broker =
        crate::broker::Broker::new(ports, world.catalog.clone(), crate::broker::tests::world::settings());
    assert!(broker.load().await.is_err());
}
