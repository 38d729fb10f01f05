//! How a child ends: with its parent, by its time, by its holder, and even where nothing can be written.

use super::*;

#[tokio::test]
async fn revoking_takes_the_subtree_and_nothing_else() {
    let mut world = World::new().await;
    let grant = world.grant(&[GET], vec![Caveat::Calls(90)]).await.grant;
    let middle = child(&world, grant.root, vec![Caveat::Calls(50)]).await;
    let leaf = child(&world, middle, vec![Caveat::Calls(50)]).await;
    let other = child(&world, grant.root, vec![]).await;
    let minted = mint(&world, leaf, GET, json!({"message_id": "m1"})).await.unwrap();
    let view = world.broker.revoke_handle(ADMIN, middle).await.unwrap();
    assert_eq!((view.state, view.children.len()), ("active", 1));
    assert_eq!(class(world.send(&minted, "get", &[]).await), Class::Revoked);
    for id in [middle, leaf] {
        assert!(present(&world, id, GET, &json!({})).is_none());
        assert_eq!(class(narrow(&world, id, vec![]).await), Class::Revoked);
    }
    get(&world, other).await.unwrap();
    let left = |world: &World, id: HandleId| {
        world.store.keys().into_iter().filter(|key| key.contains(&id.to_string())).count()
    };
    assert_eq!((left(&world, middle), left(&world, leaf)), (0, 0), "nothing of them is kept");
    world.restart().await;
    assert!(present(&world, leaf, GET, &json!({})).is_none());
    get(&world, other).await.unwrap();
    // By its root's handle, the whole grant.
    assert_eq!(world.broker.revoke_handle(ADMIN, grant.root).await.unwrap().state, "revoked");
    assert!(present(&world, other, GET, &json!({})).is_none());
    world.broker.tick().await;
    assert_eq!(left(&world, other), 0);
    let unknown = world.broker.revoke_handle(ADMIN, HandleId::from_bytes([1; 16])).await;
    assert!(matches!(unknown, Err(AdminError::Missing { .. })));
}

/// As many as an agent may have, below one: the child, and each of those below it with a counter of its own.
async fn family(world: &World) -> (HandleId, Vec<HandleId>) {
    let top = child(world, root(world), vec![Caveat::Calls(90)]).await;
    let mut all = vec![top];
    while all.len() < 64 {
        // Sixteen of each, in the order they were made.
        let parent = all[(all.len() - 1) / 16];
        let made = child(world, parent, vec![Caveat::Calls(90)]).await;
        get(world, made).await.unwrap();
        all.push(made);
    }
    (top, all)
}

#[tokio::test]
async fn the_largest_family_ends_whole_and_for_good() {
    // Whether all of it is deleted, or the store fails after the first part.
    for cut in [false, true] {
        let mut world = World::new().await;
        world.grant(&[GET], vec![]).await;
        let (top, all) = family(&world).await;
        let of_them = |world: &World| {
            let ids: Vec<String> = all.iter().map(HandleId::to_string).collect();
            world.store.keys().into_iter().filter(|key| ids.iter().any(|id| key.ends_with(id))).count()
        };
        assert!(of_them(&world) > 120, "more than one commit can delete");
        if cut {
            let (store, mut commits) = (Arc::clone(&world.store), 0);
            *world.store.hook.lock().unwrap() = Some(Box::new(move |_| {
                commits += 1;
                if commits == 2 {
                    store.fail("", Commit::Unavailable, false);
                }
            }));
        }
        let released = world.broker.release_handle(&agent("ann"), top).await;
        *world.store.hook.lock().unwrap() = None;
        match cut {
            false => assert_eq!(released.unwrap(), 64),
            true => assert_eq!(class(released), Class::Unavailable),
        }
        assert_eq!(of_them(&world) == 0, !cut);
        // What hung from what is gone does not come back, and is deleted in time.
        world.restart().await;
        for id in &all {
            assert!(present(&world, *id, GET, &json!({})).is_none());
        }
        world.broker.tick().await;
        assert_eq!(of_them(&world), 0);
    }
}

#[tokio::test]
async fn many_that_end_at_one_moment_are_deleted_and_recorded() {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    let (_, all) = family(&world).await;
    let end = world.clock.wall_ms() + 60_000;
    let late = world.grant(&[GET], vec![]).await.grant;
    // The family takes an agent's whole room.
    assert_eq!(class(narrow(&world, late.root, vec![Caveat::Expires(end)]).await), Class::Busy);
    world.broker.release_handle(&agent("ann"), all[1]).await.unwrap();
    let mut short = Vec::new();
    for _ in 0..16 {
        short.push(child(&world, late.root, vec![Caveat::Expires(end)]).await);
    }
    world.clock.advance(60_000);
    let before = world.audit.count(Kind::Released);
    world.broker.sweep_children().await;
    assert_eq!(world.audit.count(Kind::Released) - before, 16, "one record for each");
    for id in short {
        assert!(!world.store.keys().iter().any(|key| key.ends_with(&id.to_string())));
    }
    // The others are as they were.
    assert!(present(&world, all[0], GET, &json!({})).is_some());
}

#[tokio::test]
async fn ending_a_child_bites_even_where_nothing_can_be_written() {
    for fault in [Commit::Full, Commit::Unavailable] {
        let mut world = World::new().await;
        world.grant(&[GET], vec![]).await;
        let (one, two) =
            (child(&world, root(&world), vec![]).await, child(&world, root(&world), vec![]).await);
        world.store.fail("handle/", fault, false);
        let result = world.broker.revoke_handle(ADMIN, one).await;
        assert!(matches!(result, Err(AdminError::NotDurable(_))), "{result:?}");
        assert_eq!(get(&world, one).await, Err(Class::Revoked));
        // Repeated, it is durable.
        world.broker.revoke_handle(ADMIN, one).await.unwrap();
        world.store.fail("handle/", fault, false);
        assert_eq!(class(world.broker.release_handle(&agent("ann"), two).await), Class::Unavailable);
        assert_eq!(get(&world, two).await, Err(Class::Revoked));
        // Or by the vault itself, in time.
        world.broker.tick().await;
        world.restart().await;
        for id in [one, two] {
            assert!(present(&world, id, GET, &json!({})).is_none());
        }
    }
    // A log that is broken does not stop it either.
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    let one = child(&world, root(&world), vec![]).await;
    world.audit.break_door(Door::Reserve);
    assert!(world.broker.revoke_handle(ADMIN, one).await.is_err(), "it is told that it was not recorded");
    assert_eq!(get(&world, one).await, Err(Class::Revoked));
    assert!(!world.store.keys().iter().any(|key| key.contains(&one.to_string())), "durable all the same");
}

#[tokio::test]
async fn a_parent_that_goes_while_its_child_is_made_takes_it_along() {
    let world = Arc::new(World::new().await);
    let grant = world.grant(&[GET], vec![]).await.grant;
    let middle = child(&world, grant.root, vec![]).await;
    let task = Arc::new(Mutex::new(None));
    let (broker, kept) = (Arc::clone(&world.broker), Arc::clone(&task));
    *world.store.hook.lock().unwrap() = Some(Box::new(move |keys| {
        let mut kept = kept.lock().unwrap();
        if kept.is_none() && keys.iter().any(|key| key.starts_with("handle/")) {
            let broker = Arc::clone(&broker);
            let mut revoke = Box::pin(async move { broker.revoke_handle(ADMIN, middle).await.map(drop) });
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(revoke.as_mut().poll(&mut context).is_pending(), "its first half, in memory");
            *kept = Some(revoke);
        }
    }));
    assert_eq!(class(narrow(&world, middle, vec![]).await), Class::Revoked);
    *world.store.hook.lock().unwrap() = None;
    let revoke = task.lock().unwrap().take().unwrap();
    revoke.await.unwrap();
    world.broker.tick().await;
    let handles = world.store.keys().into_iter().filter(|key| key.starts_with("handle/")).count();
    assert_eq!(handles, 1, "the root's alone");
}

#[tokio::test]
async fn a_parent_that_goes_while_a_childs_use_waits_for_its_intent_stops_it() {
    let world = Arc::new(World::new().await);
    let grant = world.grant(&[GET], vec![]).await.grant;
    let middle = child(&world, grant.root, vec![]).await;
    let leaf = child(&world, middle, vec![]).await;
    // The token is fetched first, so that what follows is the call's own intent.
    let minted = mint(&world, leaf, GET, json!({"message_id": "m1"})).await.unwrap();
    world.send(&minted, "get", &[]).await.unwrap();
    let before = world.upstream.calls().len();
    let minted = mint(&world, leaf, GET, json!({"message_id": "m1"})).await.unwrap();
    let held = Arc::new(Mutex::new(None));
    let (broker, kept) = (Arc::clone(&world.broker), Arc::clone(&held));
    *world.audit.on_intent.lock().unwrap() = Some(Box::new(move |_| {
        let mut kept = kept.lock().unwrap();
        if kept.is_none() {
            let broker = Arc::clone(&broker);
            let mut revoke = Box::pin(async move { broker.revoke_handle(ADMIN, middle).await.map(drop) });
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            let _ = revoke.as_mut().poll(&mut context);
            *kept = Some(revoke);
        }
    }));
    assert_eq!(class(world.send(&minted, "get", &[]).await), Class::Revoked);
    *world.audit.on_intent.lock().unwrap() = None;
    assert_eq!(world.upstream.calls().len(), before, "nothing went out");
}

#[tokio::test]
async fn time_ends_a_child_with_all_below_it() {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    let top = root(&world);
    let now = world.clock.wall_ms();
    let middle = narrow(&world, top, vec![Caveat::Expires(now + 5_000)]).await.unwrap();
    assert_eq!(middle.expires_at_ms, Some(now + 5_000));
    let leaf =
        narrow(&world, middle.id, vec![Caveat::Expires(now + 50_000), Caveat::Calls(5)]).await.unwrap();
    assert_eq!(leaf.expires_at_ms, Some(now + 5_000), "never later than what it hangs from");
    let minted = mint(&world, leaf.id, GET, json!({"message_id": "m1"})).await.unwrap();
    world.clock.advance(5_000);
    assert_eq!(
        class(world.send(&minted, "get", &[]).await),
        Class::Revoked,
        "while a call is under way, too"
    );
    assert_eq!(get(&world, leaf.id).await, Err(Class::Revoked));
    world.broker.tick().await;
    assert_eq!(world.broker.grants(None, false).unwrap()[0].children.len(), 0);
    let left = world.store.keys().into_iter().filter(|key| key.contains(&leaf.id.to_string())).count();
    assert_eq!(left, 0);
    let events = world.audit.events(Kind::Released);
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].1.handle, events[0].1.count), (Some(middle.id), Some(2)));
    get(&world, top).await.unwrap();
}

#[tokio::test]
async fn a_tree_whose_middle_is_missing_from_the_store_is_dead() {
    let mut world = World::new().await;
    world.grant(&[GET], vec![]).await;
    let middle = child(&world, root(&world), vec![Caveat::Calls(5)]).await;
    let leaf = child(&world, middle, vec![]).await;
    get(&world, leaf).await.unwrap();
    world.store.tamper(|items| drop(items.remove(&format!("handle/{middle}"))));
    world.restart().await;
    assert!(present(&world, leaf, GET, &json!({})).is_none());
    world.broker.tick().await;
    // Nor is the counter kept that it left behind.
    for id in [middle, leaf] {
        assert!(!world.store.keys().iter().any(|key| key.contains(&id.to_string())));
    }
    get(&world, root(&world)).await.unwrap();
}
