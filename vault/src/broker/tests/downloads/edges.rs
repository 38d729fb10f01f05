//! The edges of a stream: what is told of a head that is none, and what cuts between its parts.

use super::*;

/// Answers requests for the file's content whole, with this status.
fn whole(world: &World, status: u16) {
    world.upstream.flow_with(|_| None);
    let google = super::super::google::serve(&world.google);
    world.upstream.answer_with(move |seen| match seen.target.contains("alt=media") {
        true => answer(status, &json!({})),
        false => google(seen),
    });
}

fn contents(world: &World) -> usize {
    world.upstream.calls().iter().filter(|seen| seen.target.contains("alt=media")).count()
}

fn told<T>(result: Result<T, Refusal>) -> (Class, Option<String>) {
    let refusal = result.err().expect("it was allowed");
    (refusal.class, refusal.field)
}

fn field(class: Class, field: &str) -> (Class, Option<String>) {
    (class, Some(field.to_owned()))
}

#[tokio::test]
async fn the_second_byte_is_asked_for_as_any_other() {
    let world = world(vec![]).await;
    for (offset, range) in [(0, None), (1, Some("bytes=1-"))] {
        flowing(&world, 200, Some(4), None);
        let minted = mint(&world, offset).await;
        drop(open(&world, &minted, &CancellationToken::new()).await);
        assert_eq!(world.upstream.calls().pop().unwrap().header("range"), range);
    }
}

#[tokio::test]
async fn what_refuses_a_stream_is_told_as_of_any_call() {
    for (bounded, status, offset, expected) in [
        (false, 403, 0, field(Class::Upstream, "status")),
        (true, 403, 0, field(Class::OutOfScope, "object")),
        (false, 404, 0, field(Class::OutOfScope, "object")),
        (false, 416, 0, field(Class::Upstream, "status")),
        (false, 416, 1, field(Class::BadArguments, "offset")),
        (false, 500, 1, field(Class::Upstream, "status")),
    ] {
        let bounds = if bounded { vec![within("folder", &["folder_ai"])] } else { vec![] };
        let world = world(bounds).await;
        whole(&world, status);
        let minted = mint(&world, offset).await;
        let refused = told(open(&world, &minted, &CancellationToken::new()).await);
        assert_eq!(refused, expected, "{bounded} {status} {offset}");
    }
}

/// What is out of scope is not even asked for.
#[tokio::test]
async fn a_file_is_looked_at_before_it_is_asked_for() {
    let world = world(vec![within("folder", &["folder_ai"])]).await;
    flowing(&world, 200, Some(4), None);
    let minted = world.mint("drive.download_file", json!({ "file_id": "hidden1" })).await.unwrap();
    assert_eq!(class(open(&world, &minted, &CancellationToken::new()).await), Class::OutOfScope);
    assert_eq!(contents(&world), 0);
}

#[tokio::test]
async fn a_credential_that_is_dead_twice_is_told_and_not_tried_for_ever() {
    let world = world(vec![]).await;
    whole(&world, 401);
    assert_eq!(told(start(&world).await), field(Class::NeedsLogin, "credential"));
    assert_eq!(contents(&world), 2);
    // Where the first try cannot be recorded there is no second.
    world.audit.break_door(Door::OutcomeQueued);
    assert_eq!(told(start(&world).await), field(Class::Unavailable, "audit"));
    assert_eq!(contents(&world), 3);
}

#[tokio::test]
async fn what_is_taken_away_while_the_head_comes_is_not_passed_on() {
    let world = world(vec![]).await;
    let broker = Arc::clone(&world.broker);
    world.upstream.flow_with(move |_| {
        broker.freeze_now(&agent("ann"), "now").unwrap();
        let (sender, pieces) = mpsc::unbounded_channel();
        sender.send(Ok(Bytes::from_static(b"content"))).unwrap();
        Some((Head { status: 200, headers: vec![], length: Some(7) }, pieces))
    });
    assert_eq!(class(start(&world).await), Class::Frozen);
    assert_eq!(durable(&world), []);
}

#[tokio::test]
async fn a_clock_that_goes_back_cuts() {
    let world = world(vec![]).await;
    let senders = flowing(&world, 200, Some(100), None);
    let mut downloading = start(&world).await.unwrap();
    send(&senders, "first");
    piece(&mut downloading).await;
    world.clock.step(-120_000);
    send(&senders, "second");
    assert_eq!(ending(downloading).await, Err(Class::Unavailable));
    assert_eq!(finished(&world), ("clock".to_owned(), 5));
}

#[tokio::test]
async fn a_file_as_long_as_the_step_allows_is_passed_on() {
    let catalog = catalog();
    let tool = catalog.tool(&"drive.download_file".parse().unwrap()).unwrap();
    let step = tool.steps.iter().find(|step| step.name.as_str() == "content").unwrap();
    let AnswerKind::Stream(streamed) = &step.answer else { panic!() };
    let world = world(vec![]).await;
    for (length, fits) in [(streamed.max, true), (streamed.max + 1, false)] {
        flowing(&world, 200, Some(length), None);
        assert_eq!(start(&world).await.is_ok(), fits, "{length}");
    }
}

/// Why a stream was cut stands in its record, how long it took too, and who went away is refused nothing.
#[tokio::test]
async fn the_record_of_its_end_says_why_and_how_long() {
    let world = world(vec![]).await;
    let senders = flowing(&world, 200, Some(10), None);
    let mut downloading = start(&world).await.unwrap();
    send(&senders, "12345");
    piece(&mut downloading).await;
    world.clock.advance(7);
    end(&senders);
    assert_eq!(ending(downloading).await, Err(Class::Upstream));
    let (_, event, detail) = world.audit.events(Kind::Finished).pop().unwrap();
    assert_eq!((event.micros, event.class), (Some(7000), Some(Class::Upstream)));
    assert!(detail.0.iter().any(|(name, text)| name == "fix" && text.contains("complete")), "{detail:?}");
    assert_eq!(world.audit.count(Kind::Refused), 1);
    drop(start(&world).await.unwrap());
    settle().await;
    assert_eq!(finished(&world).0, "peer");
    assert_eq!(world.audit.count(Kind::Refused), 1);
    // What is released says how long its head took.
    let clock = Arc::clone(&world.clock);
    world.upstream.flow_with(move |_| {
        clock.advance(3);
        let (_, pieces) = mpsc::unbounded_channel();
        Some((Head { status: 200, headers: vec![], length: Some(0) }, pieces))
    });
    ending(start(&world).await.unwrap()).await.unwrap();
    let (_, event, _) = world.audit.events(Kind::Outcome).pop().unwrap();
    assert_eq!((event.ending, event.micros), (Some(Ending::Released), Some(3000)));
}

/// The old version may be used up to the end of its grace, and no longer.
#[tokio::test]
async fn a_rotation_cuts_at_the_end_of_its_grace() {
    let world = world(vec![]).await;
    let senders = flowing(&world, 200, Some(100), None);
    let mut downloading = start(&world).await.unwrap();
    send(&senders, "a");
    piece(&mut downloading).await;
    world.google.lock().unwrap().refresh.push("refresh-1".to_owned());
    let broker = Arc::clone(&world.broker);
    let rotating = tokio::spawn(async move {
        let name = "drive/me".parse().unwrap();
        broker.rotate_secret(ADMIN, &name, Some(super::super::world::oauth("refresh-1"))).await
    });
    settle().await;
    send(&senders, "b");
    assert_eq!(piece(&mut downloading).await, "b");
    let grace_ms = 25_000;
    world.clock.advance(grace_ms - 1);
    send(&senders, "c");
    assert_eq!(piece(&mut downloading).await, "c");
    world.clock.advance(1);
    send(&senders, "d");
    assert_eq!(ending(downloading).await, Err(Class::Unavailable));
    assert_eq!(finished(&world), ("rotation".to_owned(), 3));
    rotating.await.unwrap().unwrap();
}

/// A text that carries the bytes may be odd before its end: nothing after that passes.
#[tokio::test]
async fn what_cannot_be_decoded_cuts_at_once() {
    let world = World::new().await;
    world.grant(&["gmail.download_attachment"], vec![]).await;
    let google = super::super::google::serve(&world.google);
    let body = r#"{"data":"AAAA!!!!AAAA"}"#;
    world.upstream.answer_with(move |seen| {
        if seen.target.contains("/attachments/") {
            return Ok(Answer { status: 200, headers: vec![], body: body.into() });
        }
        if seen.target.contains("format=full") {
            let payload = json!({ "parts": [{ "body": { "attachmentId": "att1" } }] });
            return answer(200, &json!({ "id": "m1", "payload": payload }));
        }
        google(seen)
    });
    let args = json!({ "message_id": "m1", "part": "1" });
    let minted = world.mint("gmail.download_attachment", args).await.unwrap();
    world.send(&minted, "message", &[]).await.unwrap();
    let params = [("attachment_id".to_owned(), "att1".to_owned())].into();
    let until = CancellationToken::new();
    let downloading =
        world.broker.download(&adapter("gmail"), &minted.capability, "attachment", params, until).await;
    assert_eq!(ending(downloading.unwrap()).await, Err(Class::Upstream));
    let (_, _, detail) = world.audit.events(Kind::Finished).pop().unwrap();
    let why = detail.0.iter().find(|(name, _)| name == "fix").unwrap();
    assert!(!why.1.contains("complete"), "{why:?}");
}

/// What waited for its turn when the peer went away was not passed on.
#[tokio::test]
async fn a_piece_that_nobody_took_does_not_count() {
    let world = world(vec![]).await;
    let senders = flowing(&world, 200, Some(10), None);
    let downloading = start(&world).await.unwrap();
    // One lies ready to be taken, the next one waits for its place.
    send(&senders, "a");
    send(&senders, "bc");
    settle().await;
    drop(downloading);
    settle().await;
    assert_eq!(finished(&world), ("peer".to_owned(), 1));
}

/// Its head came, and stays here: what is not recorded as released is not.
#[tokio::test]
async fn a_release_that_is_not_recorded_is_none() {
    let world = world(vec![]).await;
    for recorded in [true, false] {
        let senders = flowing(&world, 200, Some(4), None);
        if recorded {
            let downloading = start(&world).await.unwrap();
            send(&senders, "1234");
            end(&senders);
            ending(downloading).await.unwrap();
        } else {
            world.audit.break_door(Door::Outcome);
            assert_eq!(told(start(&world).await), field(Class::Unavailable, "audit"));
        }
    }
    assert_eq!((contents(&world), world.audit.count(Kind::Finished)), (2, 1));
}

/// A place that is free again is one place.
#[tokio::test]
async fn for_one_that_ended_one_more_begins() {
    let world = world(vec![]).await;
    let _senders = flowing(&world, 200, Some(100), None);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(start(&world).await.unwrap());
    }
    held.pop();
    settle().await;
    held.push(start(&world).await.unwrap());
    assert_eq!(class(start(&world).await), Class::Busy);
}
