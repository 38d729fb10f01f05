//! Bytes a day: counted before they leave and before they are released, never given back.

use claviger_domain::caveat::Caveat;
use claviger_domain::refusal::Class;
use serde_json::json;

use super::boxes::{READ, boxes, thing};
use super::upstream::json as answer;
use super::world::{World, agent, class};
use crate::port::Commit;

const GET: &str = "gmail.get_message";
const SEND: &str = "gmail.send_message";
const DAY_MS: u64 = 86_400_000;

async fn world(limit: u64) -> World {
    let world = World::new().await;
    world.grant(&[GET, SEND], vec![Caveat::BytesADay(limit)]).await;
    world
}

/// Answers that come to this many bytes once they are released: `{"id":"…"}`.
fn answers_of(world: &World, length: usize) {
    let id = "x".repeat(length - 9);
    world.upstream.answer_with(move |seen| {
        if seen.is_token() {
            answer(200, &json!({"access_token": "access-1", "expires_in": 3600, "token_type": "Bearer"}))
        } else {
            answer(200, &json!({"id": id, "historyId": "not counted, for it is not released"}))
        }
    });
}

async fn get(world: &World) -> Result<(), Class> {
    world.call(GET, json!({"message_id": "m1"})).await.map(drop).map_err(|refusal| refusal.class)
}

#[tokio::test]
async fn answers_count_as_released_and_one_too_long_is_withheld() {
    let world = world(1000).await;
    answers_of(&world, 400);
    get(&world).await.unwrap();
    get(&world).await.unwrap();
    let calls = world.upstream.calls().len();
    // Withheld, and counted: the next is not even asked for.
    assert_eq!(get(&world).await, Err(Class::RateLimited));
    assert_eq!(world.upstream.calls().len(), calls + 1);
    answers_of(&world, 10);
    assert_eq!(get(&world).await, Err(Class::RateLimited));
    assert_eq!(world.upstream.calls().len(), calls + 1);
    // The next day, by the vault's own clock.
    world.clock.advance(DAY_MS);
    get(&world).await.unwrap();
    world.all_announced();
}

#[tokio::test]
async fn exactly_the_limit_is_allowed() {
    let world = world(800).await;
    answers_of(&world, 400);
    get(&world).await.unwrap();
    get(&world).await.unwrap();
    assert_eq!(get(&world).await, Err(Class::RateLimited));
}

#[tokio::test]
async fn what_is_sent_counts_before_it_leaves() {
    let world = world(2000).await;
    answers_of(&world, 10);
    let mail = json!({"to": ["a@example.com"], "subject": "s", "body": "x".repeat(3000)});
    assert_eq!(class(world.call(SEND, mail).await), Class::RateLimited);
    assert!(world.upstream.calls().is_empty(), "nothing left the vault");
    let mail = json!({"to": ["a@example.com"], "subject": "s", "body": "x"});
    world.call(SEND, mail.clone()).await.unwrap();
    // What may have been done is told as unknown where its answer cannot be released.
    answers_of(&world, 3000);
    assert_eq!(class(world.call(SEND, mail).await), Class::Unknown);
}

#[tokio::test]
async fn restarts_never_give_bytes_back() {
    let mut world = world(1 << 20).await;
    let mut won = 0_u64;
    for _ in 0..40 {
        answers_of(&world, 30_000);
        won += u64::from(get(&world).await.is_ok());
        world.restart().await;
    }
    assert!(won * 30_000 <= 1 << 20, "{won}");
    // Blocks of an eighth: eight restarts at most use it up, each with at least its own.
    assert!(won >= 7, "{won}");
}

#[tokio::test]
async fn few_commits_for_many_small_answers() {
    let world = world(1 << 20).await;
    answers_of(&world, 1000);
    for _ in 0..100 {
        get(&world).await.unwrap();
    }
    let key = world.store.keys().into_iter().find(|key| key.starts_with("counter/")).unwrap();
    assert_eq!(world.store.item(&key).unwrap().version, 1);
}

#[tokio::test]
async fn a_child_counts_against_its_parents_day_too() {
    let world = world(1000).await;
    answers_of(&world, 400);
    let top = world.broker.open(&agent("ann")).unwrap().handles[0].id;
    let child = world.broker.narrow(&agent("ann"), top, vec![Caveat::BytesADay(500)], String::new()).await;
    let child = child.unwrap();
    let mint = async || {
        let opened = world.broker.open_handles(&agent("ann"), &[child.id]).unwrap();
        let key = opened.handles[0].proof_key.clone();
        let mut nonce = [0; 12];
        crate::port::Entropy::fill(&*world.entropy, &mut nonce);
        let (text, bytes) = world.present_as("ann", GET, &json!({"message_id": "m1"}), |claim| {
            claim.handle = *child.id.as_bytes();
            claim.nonce = nonce;
        });
        // Signed again with the child's own key.
        let claim = claviger_canonical::Presentation::parse(&text).unwrap().claim().clone();
        let text = claviger_canonical::Presentation::sign(&claviger_canonical::ProofKey::new(*key), claim)
            .into_text();
        world.broker.mint(&super::world::adapter("gmail"), &text, &bytes).await.unwrap()
    };
    let minted = mint().await;
    world.send(&minted, "get", &[]).await.unwrap();
    let minted = mint().await;
    assert_eq!(class(world.send(&minted, "get", &[]).await), Class::RateLimited, "the child's own 500");
    // Both answers counted above it, the withheld one too.
    answers_of(&world, 201);
    assert_eq!(get(&world).await, Err(Class::RateLimited));
}

#[tokio::test]
async fn who_releases_its_child_while_it_reads_is_counted_above_it() {
    for whole in [false, true] {
        let world = world(1000).await;
        let (ann, top) = (agent("ann"), world.broker.open(&agent("ann")).unwrap().handles[0].id);
        let child = world.broker.narrow(&ann, top, vec![], String::new()).await.unwrap();
        let opened = world.broker.open_handles(&ann, &[child.id]).unwrap();
        let (text, bytes) = world.present(GET, &json!({"message_id": "m1"}));
        let mut claim = claviger_canonical::Presentation::parse(&text).unwrap().claim().clone();
        claim.handle = *child.id.as_bytes();
        let key = claviger_canonical::ProofKey::new(*opened.handles[0].proof_key);
        let text = claviger_canonical::Presentation::sign(&key, claim).into_text();
        let minted = world.broker.mint(&super::world::adapter("gmail"), &text, &bytes).await.unwrap();
        // Taken away between the request and its answer.
        let (broker, id) = (std::sync::Arc::clone(&world.broker), child.id);
        let grant = world.broker.grants(None, false).unwrap()[0].grant.id;
        let filler = "x".repeat(891);
        world.upstream.answer_with(move |seen| {
            if seen.is_token() {
                return answer(
                    200,
                    &json!({"access_token": "a", "expires_in": 3600, "token_type": "Bearer"}),
                );
            }
            let mut state = broker.write();
            if whole {
                state.forget_handles(grant);
            } else {
                state.forget_subtree(id);
            }
            answer(200, &json!({"id": filler}))
        });
        let sent = world.send(&minted, "get", &[]).await;
        if whole {
            assert_eq!(class(sent), Class::Revoked, "nothing is left to be counted by");
        } else {
            sent.unwrap();
            answers_of(&world, 200);
            assert_eq!(get(&world).await, Err(Class::RateLimited), "the grant's day has 100 left");
        }
    }
}

#[tokio::test]
async fn what_is_not_counted_durably_is_not_released() {
    for (fault, happens, after) in [
        (Commit::Full, false, None),
        // Of what may have been counted, all counts: here the whole day, which was reserved at once.
        (Commit::Unknown, true, Some(Class::RateLimited)),
    ] {
        let boxes = boxes(&[("t", thing(json!({})))]).await;
        boxes.world.grant(&[READ], vec![Caveat::BytesADay(1000)]).await;
        let read =
            async || boxes.call(READ, json!({ "thing_id": "t" })).await.map_err(|refusal| refusal.class);
        boxes.world.store.fail("counter/", fault, happens);
        boxes.world.store.down(true);
        assert_eq!(read().await, Err(Class::Unavailable), "{fault:?}");
        boxes.world.store.down(false);
        assert_eq!(read().await.err(), after, "{fault:?}");
        boxes.world.clock.advance(DAY_MS);
        read().await.unwrap();
    }
}

/// A grant that goes while it reads takes with it what counted: what was bounded stays here, and nothing else does.
#[tokio::test]
async fn of_a_grant_that_goes_only_what_was_unbounded_is_released() {
    for (caveat, released) in [(Caveat::BytesADay(1000), false), (Caveat::Calls(5), true)] {
        let boxes = boxes(&[]).await;
        let grant = boxes.world.grant(&[READ], vec![caveat.clone()]).await.grant.id;
        let minted = boxes.world.mint(READ, json!({ "thing_id": "t" })).await.unwrap();
        let broker = std::sync::Arc::clone(&boxes.world.broker);
        boxes.world.upstream.answer_with(move |_| {
            broker.write().forget_handles(grant);
            answer(200, &thing(json!({})))
        });
        let sent = boxes.world.send(&minted, "get", &[]).await;
        match released {
            true => drop(sent.unwrap()),
            false => assert_eq!(class(sent), Class::Revoked),
        }
    }
}
