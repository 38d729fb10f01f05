//! One step after the other: how it is named, what is told of an answer nobody can judge, and what is recorded of a use
//! whose record is in trouble.

use std::sync::Arc;

use claviger_domain::event::{Detail, Ending, Kind};
use claviger_domain::refusal::{Class, Refusal};
use serde_json::json;

use super::boxes::{READ, boxes, thing};
use super::fakes::Door;
use super::lists::{Lists, kind};
use super::upstream::json as answer;
use super::world::{World, agent, within};
use crate::port::{Answer, UpstreamFault};

const GET: &str = "gmail.get_message";
const SEND: &str = "gmail.send_message";
const THREAD: &str = "gmail.search_messages";

fn told<T>(result: Result<T, Refusal>) -> (Class, Option<String>) {
    let refusal = result.err().expect("it was allowed");
    (refusal.class, refusal.field)
}

fn field(class: Class, field: &str) -> (Class, Option<String>) {
    (class, Some(field.to_owned()))
}

fn value(detail: &Detail, name: &str) -> Option<String> {
    detail.0.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone())
}

/// Answers everything but token requests with this.
fn always(world: &World, status: u16, body: &'static [u8]) {
    let google = super::google::serve(&world.google);
    world.upstream.answer_with(move |seen| match seen.is_token() {
        true => google(seen),
        false => Ok(Answer { status, headers: Vec::new(), body: body.into() }),
    });
}

async fn world() -> World {
    let world = World::new().await;
    world.grant(&[GET, SEND, THREAD], vec![]).await;
    // The token is there, so that what follows is the call's own.
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    world
}

fn mail() -> serde_json::Value {
    json!({"to": ["a@example.com"], "subject": "s", "body": "b"})
}

#[tokio::test]
async fn only_a_tool_of_one_step_is_sent_without_naming_it() {
    let world = world().await;
    let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    assert_eq!(told(world.send(&minted, "nonsense", &[]).await), field(Class::BadStep, "step"));
    let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    world.send(&minted, "", &[]).await.unwrap();
    let several = world.mint(THREAD, json!({})).await.unwrap();
    assert!(world.catalog.tool(&THREAD.parse().unwrap()).unwrap().steps.len() > 1);
    assert_eq!(told(world.send(&several, "", &[]).await), field(Class::BadStep, "step"));
}

#[tokio::test]
async fn an_answer_nobody_can_read_says_nothing_of_an_object_that_is_bounded() {
    let unreadable: &[u8] = b"neither JSON nor short";
    for (bounded, status, expected) in [
        (true, 200, field(Class::OutOfScope, "object")),
        (false, 200, field(Class::Upstream, "answer")),
        (true, 500, field(Class::Upstream, "status")),
        (true, 429, field(Class::Upstream, "rate")),
        (true, 401, field(Class::NeedsLogin, "credential")),
    ] {
        // One that the answer itself must show to be within, and another that its arguments show.
        let boxes = boxes(&[("t", thing(json!({})))]).await;
        let bounds = if bounded { vec![within("folder", &["in"])] } else { vec![] };
        boxes.world.grant(&[READ], bounds).await;
        boxes
            .world
            .upstream
            .answer_with(move |_| Ok(Answer { status, headers: Vec::new(), body: unreadable.into() }));
        assert_eq!(told(boxes.call(READ, json!({"thing_id": "t"})).await), expected, "{bounded} {status}");
    }
}

/// What is not known beats what is not recorded, and what is not recorded beats what the upstream said.
#[tokio::test]
async fn of_two_troubles_the_worse_is_told() {
    let world = world().await;
    always(&world, 500, b"{}");
    world.audit.break_door(Door::Outcome);
    assert_eq!(told(world.call(SEND, mail()).await), field(Class::Unknown, "status"));
    world.audit.break_door(Door::OutcomeQueued);
    assert_eq!(told(world.call(GET, json!({"message_id": "m1"})).await), field(Class::Unavailable, "audit"));
}

#[tokio::test]
async fn the_outcome_says_what_the_refusal_says() {
    let world = world().await;
    always(&world, 500, b"quota exceeded");
    told(world.call(GET, json!({"message_id": "m1"})).await);
    let (_, outcome, detail) = world.audit.events(Kind::Outcome).pop().unwrap();
    assert_eq!(outcome.ending, Some(Ending::Withheld));
    assert_eq!(value(&detail, "value").as_deref(), Some("quota exceeded"));
}

#[tokio::test]
async fn a_dead_tokens_try_that_is_not_recorded_is_the_last() {
    let world = world().await;
    always(&world, 401, b"{}");
    world.audit.break_door(Door::OutcomeQueued);
    let before = world.upstream.calls().len();
    assert_eq!(told(world.call(GET, json!({"message_id": "m1"})).await), field(Class::Unavailable, "audit"));
    assert_eq!(world.upstream.calls().len(), before + 1);
}

#[tokio::test]
async fn what_is_taken_away_and_cannot_be_recorded_is_told_as_not_recorded() {
    let world = world().await;
    let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    let (broker, audit) = (Arc::clone(&world.broker), Arc::clone(&world.audit));
    *world.audit.on_intent.lock().unwrap() = Some(Box::new(move |_| {
        broker.freeze_now(&agent("ann"), "test").unwrap();
        audit.break_door(Door::OutcomeQueued);
    }));
    let sent = world.send(&minted, "get", &[]).await;
    *world.audit.on_intent.lock().unwrap() = None;
    assert_eq!(told(sent), field(Class::Unavailable, "audit"));
    assert_eq!(world.upstream.calls().len(), 1);
}

#[tokio::test]
async fn a_clock_that_goes_back_while_the_intent_is_written_sends_nothing() {
    let world = world().await;
    let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    let clock = Arc::clone(&world.clock);
    *world.audit.on_intent.lock().unwrap() = Some(Box::new(move |_| clock.step(-120_000)));
    let sent = world.send(&minted, "get", &[]).await;
    *world.audit.on_intent.lock().unwrap() = None;
    assert_eq!(told(sent), field(Class::Unavailable, "clock"));
    assert_eq!(world.upstream.calls().len(), 1);
}

#[tokio::test]
async fn an_outcome_says_how_long_it_took() {
    let world = world().await;
    let (clock, google) = (Arc::clone(&world.clock), super::google::serve(&world.google));
    world.upstream.answer_with(move |seen| {
        clock.advance(5);
        google(seen)
    });
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    let (_, outcome, _) = world.audit.events(Kind::Outcome).pop().unwrap();
    assert_eq!(outcome.micros, Some(5000));
}

#[tokio::test]
async fn a_body_is_sent_as_what_it_is() {
    let world = world().await;
    world.call(SEND, mail()).await.unwrap();
    let sent = world.upstream.calls().pop().unwrap();
    assert_eq!(sent.header("content-type"), Some("application/json"));
}

/// At the second time, and for good.
#[tokio::test]
async fn an_agent_whose_answers_held_the_secret_twice_is_frozen_over_a_restart() {
    let mut world = world().await;
    world.upstream.answer_with(|_| Err(UpstreamFault::Echo));
    for frozen in [false, true] {
        assert_eq!(told(world.call(GET, json!({"message_id": "m1"})).await), field(Class::Withheld, "echo"));
        assert_eq!(world.broker.show_agent(&agent("ann")).unwrap().frozen.is_some(), frozen);
    }
    world.restart().await;
    assert!(world.broker.show_agent(&agent("ann")).unwrap().frozen.is_some());
}

/// An owner sees of a call what the catalog says is worth seeing.
#[tokio::test]
async fn a_use_is_recorded_with_what_it_is_about() {
    let world = world().await;
    world.call(SEND, mail()).await.unwrap();
    let (_, _, detail) = world.audit.events(Kind::Intent).pop().unwrap();
    let arguments = value(&detail, "arguments").unwrap();
    assert!(arguments.contains("to=a@example.com"), "{arguments}");
}

#[tokio::test]
async fn each_element_is_looked_at_once_whatever_bounds_it() {
    let kind = kind("senders and days");
    let lists = Lists::of(&kind, (0..3).map(kind.inside).collect()).await;
    assert_eq!(lists.ids(&kind, 10, None).await.0, ["in0", "in1", "in2"]);
    assert_eq!(lists.asked(), (1, 3));
}

#[tokio::test]
async fn no_more_elements_are_looked_at_than_are_wanted() {
    let kind = kind("senders");
    // One that is outside, those that are told, and one that says whether there is another page.
    for (outside, wanted, most) in [(1, 2, 4), (0, 1, 2)] {
        let mut items: Vec<_> = (0..outside).map(kind.outside).collect();
        items.extend((0..9).map(kind.inside));
        let lists = Lists::of(&kind, items).await;
        assert_eq!(lists.ids(&kind, wanted, None).await.0.len(), wanted);
        assert_eq!(lists.asked().1, most);
    }
}

/// An upstream in trouble says nothing of the element; one that will not tell of it says that it is there.
#[tokio::test]
async fn an_element_that_is_refused_is_not_there_and_trouble_is_told() {
    let kind = kind("senders");
    for (status, expected) in [(499, None), (400, None), (500, Some("Upstream Some(\"status\")"))] {
        let lists = Lists::of(&kind, (0..3).map(kind.inside).collect()).await;
        lists.instead(move |seen| {
            seen.target.contains("/messages/in1").then(|| answer(status, &json!({ "error": "x" })))
        });
        match expected {
            Some(told) => assert_eq!(lists.page(&kind, 10, None).await.0, told, "{status}"),
            None => assert_eq!(lists.ids(&kind, 10, None).await.0, ["in0", "in2"], "{status}"),
        }
    }
}

/// A further page of a list that nothing bounds passes as it came.
#[tokio::test]
async fn a_page_of_an_unbounded_list_is_the_upstreams_own() {
    let world = world().await;
    let google = super::google::serve(&world.google);
    world.upstream.answer_with(move |seen| match seen.is_token() {
        true => google(seen),
        false => {
            let mut page = answer(200, &json!({ "messages": [{ "id": "m1" }], "nextPageToken": "T" }))?;
            page.headers = vec![("content-type".to_owned(), b"application/json; of=upstream".to_vec())];
            Ok(page)
        }
    });
    let mut mark = None;
    for page in 0..3 {
        let args = mark.map_or(json!({}), |mark: String| json!({ "page": mark }));
        let sent = world.call(THREAD, args).await.unwrap();
        assert_eq!(sent.headers[0].1, b"application/json; of=upstream", "{page}");
        let told: serde_json::Value = serde_json::from_slice(&sent.body).unwrap();
        mark = Some(told["nextPageToken"].as_str().unwrap().to_owned());
    }
}

/// Bytes that are passed on as they are come from an answer of success alone.
#[tokio::test]
async fn nothing_of_a_failed_answer_of_bytes_is_passed_on() {
    let world = World::new().await;
    world.grant(&["drive.read_file"], vec![]).await;
    let minted = world.mint("drive.read_file", json!({ "file_id": "f1" })).await.unwrap();
    always(&world, 500, b"an error page");
    assert_eq!(told(world.send(&minted, "content", &[]).await), field(Class::Upstream, "status"));
}

/// A list without pages is looked through as one with pages is.
#[tokio::test]
async fn elements_of_a_list_without_pages_are_looked_at_too() {
    let boxes = boxes(&[]).await;
    boxes.world.grant(&["box.glance"], vec![within("folder", &["in"])]).await;
    for (id, parent) in [("a", "in"), ("b", "out"), ("c", "in")] {
        boxes.set(id, thing(json!({ "id": id, "parents": [parent] })));
    }
    let told = boxes.call("box.glance", json!({})).await.unwrap();
    let ids: Vec<&str> =
        told["things"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a", "c"]);
    // Trouble with one of them is told, and nothing of the list.
    boxes.world.upstream.answer_with(|seen| match seen.target.as_str() {
        "/things" => answer(200, &json!({ "things": [{ "id": "a" }, { "id": "b" }] })),
        _ => answer(500, &json!({})),
    });
    assert_eq!(told_of(&boxes).await, field(Class::Upstream, "status"));
}

async fn told_of(boxes: &super::boxes::Boxes) -> (Class, Option<String>) {
    told(boxes.call("box.glance", json!({})).await)
}
