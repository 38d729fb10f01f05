//! Words that nobody is sure of: what the store has counts, not what memory had; and words of before a restart.

use super::*;
use crate::broker::Broker;

/// The yes is durable, and nobody could say so. Until the store is asked, nobody is told what was true before.
#[tokio::test]
async fn nobody_is_told_what_nobody_is_sure_of() {
    let world = world().await;
    let args = mail("a@example.org");
    let id = pending(world.mint(SEND, args.clone()).await);
    world.store.fail("approval/", Commit::Unavailable, true);
    assert!(matches!(
        world.broker.decide(ADMIN, id, true, String::new()).await,
        Err(AdminError::Store("it does not answer"))
    ));
    let silent = || Some(AdminError::Store("it does not answer"));
    world.store.down(true);
    let refusal = world.broker.collect(&agent("ann"), id).await.err().unwrap();
    assert_eq!((refusal.class, refusal.field.as_deref()), (Class::Unavailable, Some("approval")));
    assert_eq!(world.broker.approvals(None, false).await.err(), silent());
    assert_eq!(world.broker.show_approval(ADMIN, id).await.err(), silent());
    assert_eq!(world.broker.decide(ADMIN, id, false, String::new()).await.err(), silent());
    world.store.down(false);
    // One read that fails is enough.
    world.store.blink();
    assert_eq!(world.broker.show_approval(ADMIN, id).await.err(), silent());
    assert_eq!(world.broker.show_approval(ADMIN, id).await.unwrap().state, State::Approved);
    assert_eq!(world.state(id).await, State::Approved);
    world.mint_with("ann", &args, id).await.unwrap();
}

/// Somebody else has written it meanwhile: the person has decided on something that is no longer there.
#[tokio::test]
async fn a_word_on_what_the_store_no_longer_has_is_none() {
    let world = world().await;
    let args = mail("a@example.org");
    let id = pending(world.mint(SEND, args.clone()).await);
    let (record, version) = world.broker.read_approval(id).await.unwrap().unwrap();
    world.broker.commit(vec![Broker::approval_put(&record, id, version)]).await.unwrap();
    let refused = world.broker.decide(ADMIN, id, true, String::new()).await;
    assert_eq!(refused.err(), Some(AdminError::Conflict));
    assert_eq!(world.audit.count(Kind::Approved), 0);
    assert_eq!(world.state(id).await, State::Pending);
    world.broker.decide(ADMIN, id, true, String::new()).await.unwrap();
    world.mint_with("ann", &args, id).await.unwrap();
}

/// The store has them in the order of their ids, and people give them in another.
#[tokio::test]
async fn after_a_restart_the_last_word_is_the_last() {
    // Whose id comes first, and what is said of it first.
    for (first, yes) in [(0, true), (0, false), (1, true), (1, false)] {
        let mut world = world().await;
        let mut ids = [
            pending(world.mint(SEND, mail("a@example.org")).await),
            pending(world.mint(SEND, mail("b@example.org")).await),
        ];
        ids.sort_unstable();
        world.broker.decide(ADMIN, ids[first], yes, String::new()).await.unwrap();
        world.clock.advance(1);
        world.broker.decide(ADMIN, ids[1 - first], !yes, String::new()).await.unwrap();
        for restarted in [false, true] {
            let expected = if yes { Class::Denied } else { Class::Pending };
            assert_eq!(class(world.mint(SEND, mail("z@example.org")).await), expected, "{first} {restarted}");
            world.restart().await;
        }
    }
}

/// A yes ends a row of denials, and a yes that was used up does after a restart too; but not one after it.
#[tokio::test]
async fn a_yes_that_was_used_up_ends_the_row_after_a_restart() {
    let mut world = world().await;
    let deny = async |world: &World, to: &str| {
        let id = pending(world.mint(SEND, mail(to)).await);
        world.broker.decide(ADMIN, id, false, String::new()).await.unwrap();
    };
    deny(&world, "a@example.org").await;
    world.clock.advance(5 * 60_000);
    deny(&world, "a@example.org").await;
    world.clock.advance(10 * 60_000);
    let args = mail("b@example.org");
    let id = world.agreed(&args).await;
    world.mint_with("ann", &args, id).await.unwrap();
    world.restart().await;
    // The first in a row again.
    deny(&world, "a@example.org").await;
    world.clock.advance(5 * 60_000);
    let used = mail("c@example.org");
    let id = world.agreed(&used).await;
    let other = pending(world.mint(SEND, mail("a@example.org")).await);
    world.broker.decide(ADMIN, other, false, String::new()).await.unwrap();
    world.clock.advance(1);
    world.mint_with("ann", &used, id).await.unwrap();
    world.restart().await;
    assert_eq!(class(world.mint(SEND, mail("z@example.org")).await), Class::Denied);
}

/// Whoever has a yes makes nobody sure of it where its use cannot be kept; when it is read again, a later no still stands.
#[tokio::test]
async fn a_yes_that_is_read_again_undoes_no_later_no() {
    let world = world().await;
    let args = mail("a@example.org");
    let id = world.agreed(&args).await;
    let other = pending(world.mint(SEND, mail("b@example.org")).await);
    world.clock.advance(1);
    world.broker.decide(ADMIN, other, false, String::new()).await.unwrap();
    world.store.fail("approval/", Commit::Full, false);
    assert_eq!(class(world.mint_with("ann", &args, id).await), Class::Unavailable);
    assert_eq!(world.state(id).await, State::Approved);
    assert_eq!(class(world.mint(SEND, mail("z@example.org")).await), Class::Denied);
    world.mint_with("ann", &args, id).await.unwrap();
}
