//! A yes and the store: what the store has is what was decided on, or nothing is used; and what is over goes from it.

use super::*;
use crate::broker::Broker;
use crate::broker::records;
use crate::port::Purpose;

/// A store that was put back, or that holds another word than memory does, ends no call with the word in memory.
#[tokio::test]
async fn what_the_store_has_is_what_was_decided_on_or_nothing_is_used() {
    let world = world().await;
    let args = mail("a@example.org");
    let made = || world.broker.grants(None, false).unwrap()[0].calls_made;
    // Another version of the same word.
    let id = world.agreed(&args).await;
    let (record, version) = world.broker.read_approval(id).await.unwrap().unwrap();
    world.broker.commit(vec![Broker::approval_put(&record, id, version)]).await.unwrap();
    assert_eq!(class(world.mint_with("ann", &args, id).await), Class::Unavailable);
    assert_eq!(made(), 0);
    // It was read again, and is the word that was given.
    world.mint_with("ann", &args, id).await.unwrap();
    // Another word, under the same version.
    let id = world.agreed(&args).await;
    let (mut record, version) = world.broker.read_approval(id).await.unwrap().unwrap();
    record.set_state(State::Denied);
    let key = format!("approval/{id}");
    let sealer = &world.broker.ports.sealer;
    let value = sealer.seal(Purpose::Record, &key, version, &records::encode(&record)).unwrap();
    world.store.tamper(|items| items.get_mut(&key).unwrap().value = value);
    assert_eq!(class(world.mint_with("ann", &args, id).await), Class::Unavailable);
    assert_eq!(class(world.mint_with("ann", &args, id).await), Class::Denied);
    assert_eq!(made(), 1);
}

/// Nobody knows whether it is used up, and the store does not say: that is the store's trouble, and told as such.
#[tokio::test]
async fn a_word_that_nobody_is_sure_of_waits_for_the_store() {
    // Nothing is counted, so nothing but the word is asked for.
    let world = World::new().await;
    world.grant_with("ann", &[SEND], Approve::Default, vec![]).await;
    let args = mail("a@example.org");
    let id = world.agreed(&args).await;
    world.store.fail("approval/", Commit::Unavailable, false);
    assert_eq!(class(world.mint_with("ann", &args, id).await), Class::Unavailable);
    world.store.down(true);
    let refusal = world.mint_with("ann", &args, id).await.err().unwrap();
    assert_eq!((refusal.class, refusal.field.as_deref()), (Class::Unavailable, Some("approval")));
    world.store.down(false);
    world.mint_with("ann", &args, id).await.unwrap();
}

/// A word that was used is known with the version it has now, so that it goes when its time is over.
#[tokio::test]
async fn a_word_that_was_used_goes_after_a_day() {
    let world = world().await;
    let args = mail("a@example.org");
    let id = world.agreed(&args).await;
    world.mint_with("ann", &args, id).await.unwrap();
    world.clock.advance(25 * 3_600_000);
    world.broker.tick().await;
    assert!(world.store.item(&format!("approval/{id}")).is_none());
}

/// One whose last commit went unanswered does not keep all others from going.
#[tokio::test]
async fn a_word_that_nobody_is_sure_of_goes_too_and_keeps_no_other() {
    let world = world().await;
    let args = mail("a@example.org");
    let unsure = world.agreed(&args).await;
    // It happened, and nobody could say so.
    world.store.fail("approval/", Commit::Unavailable, true);
    assert_eq!(class(world.mint_with("ann", &args, unsure).await), Class::Unavailable);
    let others = [mail("b@example.org"), mail("c@example.org")];
    for other in &others {
        pending(world.mint(SEND, other.clone()).await);
    }
    world.clock.advance(25 * 3_600_000);
    for _ in 0..3 {
        world.broker.tick().await;
    }
    let kept: Vec<String> =
        world.store.keys().into_iter().filter(|key| key.starts_with("approval/")).collect();
    assert!(kept.is_empty(), "{kept:?}");
}
