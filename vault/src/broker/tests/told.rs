//! What is told of an answer that is not passed on, to the adapter and to the owner; and what of an answer is not kept.

use claviger_domain::event::Kind;
use claviger_domain::refusal::Class;
use serde_json::{Value, json};

use super::upstream::json as answer;
use super::world::{ADMIN, World, agent, class, within};
use crate::broker::pages;
use crate::port::Answer;

const GET: &str = "gmail.get_message";
const SEARCH: &str = "gmail.search_messages";

/// Answers everything but token requests with this.
fn always(world: &World, status: u16, body: Vec<u8>) {
    let google = super::google::serve(&world.google);
    world.upstream.answer_with(move |seen| match seen.is_token() {
        true => google(seen),
        false => Ok(Answer { status, headers: Vec::new(), body: body.clone().into() }),
    });
}

#[tokio::test]
async fn each_failure_of_the_upstream_has_its_own_name() {
    for (status, bounded, told, field) in [
        (400, false, Class::Upstream, "status"),
        (401, false, Class::NeedsLogin, "credential"),
        (403, false, Class::Upstream, "status"),
        (403, true, Class::OutOfScope, "object"),
        (404, false, Class::OutOfScope, "object"),
        (410, false, Class::OutOfScope, "object"),
        (412, false, Class::OutOfScope, "object"),
        (429, false, Class::Upstream, "rate"),
        (500, false, Class::Upstream, "status"),
    ] {
        let world = World::new().await;
        let bounds = if bounded { vec![within("label", &["Label_ai"])] } else { vec![] };
        world.grant(&[GET], bounds).await;
        always(&world, status, b"{}".to_vec());
        let refusal = world.call(GET, json!({"message_id": "m1"})).await.err().unwrap();
        assert_eq!((refusal.class, refusal.field.as_deref()), (told, Some(field)), "{status} {bounded}");
    }
}

#[tokio::test]
async fn the_owner_reads_the_beginning_of_a_failed_answer_and_nothing_that_acts() {
    for (body, read) in [
        (b"quota\x1b[2J exceeded\r\n".to_vec(), "quota [2J exceeded  ".to_owned()),
        (vec![b'x'; 1000], "x".repeat(300)),
        (Vec::new(), String::new()),
    ] {
        let world = World::new().await;
        world.grant(&[GET], vec![]).await;
        always(&world, 500, body);
        assert_eq!(class(world.call(GET, json!({"message_id": "m1"})).await), Class::Upstream);
        let (_, _, detail) = world.audit.events(Kind::Refused).pop().unwrap();
        let value = detail.0.iter().find(|(name, _)| name == "value").map(|(_, text)| text.clone());
        assert_eq!(value.unwrap_or_default(), read);
    }
}

#[tokio::test]
async fn a_page_token_of_any_length_stays_here() {
    // An empty one is none.
    for (length, next) in [(0, false), (pages::LONGEST, true), (pages::LONGEST + 1, false)] {
        let world = World::new().await;
        world.grant(&[SEARCH], vec![]).await;
        let (google, token) = (super::google::serve(&world.google), "T".repeat(length));
        world.upstream.answer_with(move |seen| match seen.is_token() {
            true => google(seen),
            false => answer(200, &json!({"messages": [], "nextPageToken": token})),
        });
        let sent = world.call(SEARCH, json!({})).await.unwrap();
        let told: Value = serde_json::from_slice(&sent.body).unwrap();
        let mark = told["nextPageToken"].as_str();
        assert_eq!(mark.is_some_and(|mark| mark.starts_with("page_")), next, "{length}: {told}");
        assert!(!String::from_utf8_lossy(&sent.body).contains("TT"), "{length}");
    }
}

#[tokio::test]
async fn why_an_agent_is_frozen_is_one_short_line() {
    let world = World::new().await;
    for (why, kept) in [
        ("it sent \u{1b}[31mspam\n\r", "it sent [31mspam".to_owned()),
        ("", "frozen by an admin".to_owned()),
        ("\n\u{7}", "frozen by an admin".to_owned()),
        (&"x".repeat(500), "x".repeat(200)),
    ] {
        let view = world.broker.freeze(ADMIN, &agent("ann"), why).await.unwrap();
        assert_eq!(view.frozen.as_deref(), Some(kept.as_str()));
    }
}
