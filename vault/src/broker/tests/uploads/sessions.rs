//! Where an upload goes on: what the upstream may say of it, and what that costs.

use super::*;

type Instead = Box<dyn Fn(&Seen) -> Option<Result<Answer, UpstreamFault>> + Send + Sync>;

/// What answers in the upstream's place.
fn instead(world: &World, drive: &Shared, reply: Instead) {
    let (known, google) = (Arc::clone(drive), super::super::google::serve(&world.google));
    world.upstream.answer_with(move |seen| {
        if let Some(reply) = reply(seen) {
            return reply;
        }
        if seen.target.contains("/drive/v3/files") {
            return serve(&mut known.lock().unwrap(), seen);
        }
        google(seen)
    });
}

fn begins(seen: &Seen) -> bool {
    seen.method == "POST" && seen.target.contains("/upload/")
}

fn place(named: &str) -> Vec<u8> {
    format!("https://www.googleapis.com/upload/drive/v3/files?uploadType=resumable&upload_id={named}")
        .into_bytes()
}

fn told<T>(result: Result<T, Refusal>) -> (Class, Option<String>) {
    let refusal = result.err().expect("it was allowed");
    (refusal.class, refusal.field)
}

fn field(class: Class, field: &str) -> (Class, Option<String>) {
    (class, Some(field.to_owned()))
}

/// Cut after so much of it.
async fn cut_at(world: &World, all: &[u8], at: usize) {
    let uploading = start(world, args(all)).await.unwrap();
    feed(&uploading, &all[usize::try_from(uploading.offset).unwrap()..at]).await;
    drop(done(uploading).await);
}

#[tokio::test]
async fn where_it_goes_is_said_once_and_by_its_own_header() {
    let (world, drive) = world(vec![]).await;
    let headers = |names: &[&'static str]| {
        names
            .iter()
            .enumerate()
            .map(|(at, name)| ((*name).to_owned(), place(&format!("{CANARY}{at}"))))
            .collect()
    };
    for (names, at) in [
        (&["x-location", "location", "content-location"][..], Some(1)),
        (&["location", "location"], None),
        (&["x-location"], None),
    ] {
        let headers: Vec<(String, Vec<u8>)> = headers(names);
        instead(
            &world,
            &drive,
            Box::new(move |seen| {
                begins(seen).then(|| Ok(Answer { status: 200, headers: headers.clone(), body: Bytes::new() }))
            }),
        );
        let sent = upload(&world, &content(5)).await;
        match at {
            Some(at) => {
                sent.unwrap();
                let put = world.upstream.calls().into_iter().find(|seen| seen.method == "PUT").unwrap();
                assert!(put.target.ends_with(&format!("{CANARY}{at}")));
            }
            None => assert_eq!(told(sent), field(Class::Upstream, "answer"), "{names:?}"),
        }
    }
}

#[tokio::test]
async fn an_upload_that_is_refused_at_once_is_told_as_any_call() {
    for (bounded, expected) in
        [(false, field(Class::Upstream, "status")), (true, field(Class::OutOfScope, "object"))]
    {
        let bounds = if bounded { vec![within("folder", &["in"])] } else { vec![] };
        let (world, drive) = world(bounds).await;
        instead(&world, &drive, Box::new(|seen| begins(seen).then(|| answer(403, &json!({})))));
        assert_eq!(told(start(&world, args(&content(5))).await), expected);
        assert_eq!(endings(&world), [ended("start upload", Ending::Withheld)]);
    }
}

/// Whoever asks where an upload goes has asked with the credential: without an answer nobody knows what came of it.
#[tokio::test]
async fn a_beginning_that_was_lost_may_have_been_taken() {
    for (fault, expected, how) in [
        (UpstreamFault::Broken("x"), field(Class::Upstream, "connection"), Ending::Unknown),
        (UpstreamFault::Slow, field(Class::Upstream, "connection"), Ending::Unknown),
        (UpstreamFault::Echo, field(Class::Withheld, "echo"), Ending::Withheld),
    ] {
        let (world, drive) = world(vec![]).await;
        let echo = fault == UpstreamFault::Echo;
        instead(&world, &drive, Box::new(move |seen| begins(seen).then(|| Err(fault.clone()))));
        assert_eq!(told(start(&world, args(&content(5))).await), expected);
        assert_eq!(endings(&world), [ended("start upload", how)]);
        assert_eq!(world.audit.count(Kind::Echo), usize::from(echo));
        assert_eq!(acts(&world), ["POST"]);
    }
}

#[tokio::test]
async fn no_record_of_a_session_no_upload() {
    let (world, drive) = world(vec![]).await;
    let all = content(3 * MARK);
    // The token is there, so that what is not recorded is the session.
    upload(&world, &content(5)).await.unwrap();
    world.audit.break_door(Door::Outcome);
    assert_eq!(told(start(&world, args(&all)).await), field(Class::Unknown, "audit"));
    world.audit.mend();
    assert_eq!(acts(&world), ["POST", "PUT", "POST"]);
    // Nor one that goes on, whatever the upstream says of it.
    for asked in [Reply::Kept(MARK as u64), Reply::Status(503), Reply::Status(404)] {
        cut_at(&world, &all, 2 * MARK).await;
        drive.lock().unwrap().asked = asked;
        let before = acts(&world).len();
        world.audit.break_door(Door::Outcome);
        assert_eq!(told(start(&world, args(&all)).await), field(Class::Unknown, "audit"));
        world.audit.mend();
        assert_eq!(acts(&world).len(), before + 1);
    }
    assert_eq!(drive.lock().unwrap().made, 1);
}

/// Only the rest is charged again, and it is.
#[tokio::test]
async fn what_goes_on_costs_its_rest() {
    let all = content(3 * MARK);
    let (size, rest) = (all.len() as u64, 2 * MARK as u64);
    for (limit, fits) in [(size + rest + 2000, true), (size + rest - 1, false)] {
        let (world, drive) = world(vec![Caveat::BytesADay(limit)]).await;
        cut_at(&world, &all, 2 * MARK).await;
        drive.lock().unwrap().asked = Reply::Kept(MARK as u64);
        let uploading = start(&world, args(&all)).await;
        if !fits {
            assert_eq!(class(uploading), Class::RateLimited);
            continue;
        }
        let uploading = uploading.unwrap();
        assert_eq!(uploading.offset, MARK as u64);
        let (_, intent, _) = world.audit.events(Kind::Intent).pop().unwrap();
        assert_eq!((intent.step.as_deref(), intent.bytes), (Some("upload"), Some(rest)));
        feed(&uploading, &all[MARK..]).await;
        done(uploading).await.unwrap();
    }
}

#[tokio::test]
async fn how_far_it_came_is_said_by_its_own_header() {
    let (world, drive) = world(vec![]).await;
    let all = content(3 * MARK);
    cut_at(&world, &all, 2 * MARK).await;
    instead(
        &world,
        &drive,
        Box::new(|seen| {
            seen.header("content-range").is_some_and(|range| range.starts_with("bytes */")).then(|| {
                let range = |end: usize| format!("bytes=0-{}", end - 1).into_bytes();
                let headers =
                    vec![("x-range".to_owned(), range(2 * MARK)), ("range".to_owned(), range(MARK))];
                Ok(Answer { status: 308, headers, body: Bytes::new() })
            })
        }),
    );
    assert_eq!(start(&world, args(&all)).await.unwrap().offset, MARK as u64);
}

/// An upstream that says it has made what it cannot have is not believed.
#[tokio::test]
async fn made_before_its_last_byte_went_is_unknown() {
    let (world, drive) = world(vec![]).await;
    let all = content(3 * MARK);
    for status in [200, 201, 204] {
        cut_at(&world, &all, 2 * MARK).await;
        drive.lock().unwrap().asked = Reply::Status(status);
        assert_eq!(class(start(&world, args(&all)).await), Class::Unknown, "{status}");
        assert_eq!(endings(&world).pop(), Some(ended("resume upload", Ending::Withheld)));
    }
}

/// Where an upload went is forgotten with the services that it was begun by.
#[tokio::test]
async fn an_upload_that_was_cut_does_not_outlive_its_services() {
    let all = content(3 * MARK);
    for other in [false, true] {
        let (world, drive) = world(vec![]).await;
        cut_at(&world, &all, 2 * MARK).await;
        drive.lock().unwrap().asked = Reply::Kept(MARK as u64);
        let mut catalog = super::super::world::catalog();
        if other {
            catalog.services.remove(&"contacts".parse().unwrap()).unwrap();
        }
        assert_eq!(world.broker.reload(catalog).await, Ok(other));
        let uploading = start(&world, args(&all)).await.unwrap();
        assert_eq!(uploading.offset, if other { 0 } else { MARK as u64 });
        assert_eq!(acts(&world).iter().filter(|act| *act == "POST").count(), 1 + usize::from(other));
    }
}

/// Trouble at the last byte leaves a session to ask about; a refusal leaves none.
#[tokio::test]
async fn after_the_last_byte_trouble_is_asked_about() {
    for (status, asks) in [(308, true), (500, true), (503, true), (499, false), (404, false)] {
        let (world, drive) = world(vec![]).await;
        let all = content(2 * PIECE);
        drive.lock().unwrap().last = Reply::Status(status);
        upload(&world, &all).await.err().unwrap();
        let before = acts(&world).len();
        drive.lock().unwrap().asked = Reply::Status(503);
        drop(start(&world, args(&all)).await);
        let next = acts(&world)[before].clone();
        assert_eq!(
            next,
            if asks { format!("PUT bytes */{}", all.len()) } else { "POST".to_owned() },
            "{status}"
        );
    }
}

/// An answer before the end that cannot be recorded is told as such.
#[tokio::test]
async fn an_early_answer_that_is_not_recorded_is_unknown() {
    let (world, drive) = world(vec![]).await;
    drive.lock().unwrap().early = Some(503);
    let all = content(3 * MARK);
    let uploading = start(&world, args(&all)).await.unwrap();
    world.audit.break_door(Door::Outcome);
    feed(&uploading, &all).await;
    assert_eq!(told(done(uploading).await), field(Class::Unknown, "audit"));
}

/// More than nothing is not an empty file, whatever the arguments say.
#[tokio::test]
async fn an_empty_file_has_no_bytes() {
    let (world, drive) = world(vec![]).await;
    let uploading = start(&world, args(b"")).await.unwrap();
    let Uploading { pieces, done, .. } = uploading;
    pieces.send(Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(class(done.await.unwrap()), Class::BadArguments);
    assert_eq!(drive.lock().unwrap().made, 0);
}

/// A service that takes a body in one request and keeps nothing of a part: charged before, and unknown once begun.
#[tokio::test]
async fn a_plain_upload_is_charged_first_and_unknown_once_it_began() {
    let mut catalog = super::super::world::catalog();
    let drive = catalog.services.get_mut(&"drive".parse().unwrap()).unwrap();
    let tool = drive.tools.get_mut(&"upload_file".parse().unwrap()).unwrap();
    for step in &mut tool.steps {
        if let Some(upload) = &mut step.upload {
            upload.start = None;
        }
    }
    let plain = async |caveats: Vec<Caveat>| {
        let mut world = World::with(catalog.clone()).await;
        world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, false).await.unwrap();
        world.broker.add_adapter(ADMIN, adapter("drive"), Some(3002), None).await.unwrap();
        world.catalog = catalog.clone();
        world.google.lock().unwrap().grants = Some("https://www.googleapis.com/auth/drive".to_owned());
        super::super::connect::connect(&world, "drive/me", false).await.unwrap();
        world.grant(&[TOOL], caveats).await;
        let drive = Arc::new(Mutex::new(Drive {
            shared: false,
            location: String::new(),
            asked: Reply::Status(404),
            last: Reply::Made,
            early: None,
            made: 0,
            lost: false,
        }));
        instead(&world, &drive, Box::new(|_| None));
        (world, drive)
    };
    let all = content(3 * MARK);
    let (world, _) = plain(vec![Caveat::BytesADay(all.len() as u64 - 1)]).await;
    assert_eq!(class(start(&world, args(&all)).await), Class::RateLimited);
    assert!(acts(&world).is_empty());
    for (fed, cause, expected) in [
        (0, "gone", (Class::BadArguments, Ending::NotSent)),
        (2 * MARK, "gone", (Class::Unknown, Ending::Unknown)),
        (3 * MARK, "wrong", (Class::Unknown, Ending::Unknown)),
        (10, "wrong", (Class::BadArguments, Ending::Withheld)),
    ] {
        let (world, drive) = plain(vec![]).await;
        let all = if fed == 10 { content(10) } else { all.clone() };
        let mut sent = all.clone();
        if cause == "wrong" {
            sent[0] ^= 1;
        }
        let uploading = start(&world, args(&all)).await.unwrap();
        feed(&uploading, &sent[..fed]).await;
        settle().await;
        assert_eq!(
            (class(done(uploading).await), endings(&world).pop().unwrap().1),
            expected,
            "{fed} {cause}"
        );
        assert_eq!(drive.lock().unwrap().made, 0);
    }
    // What is unknown stays so where it is not recorded either; what was not sent is told as not recorded.
    for (fed, expected) in [(0, Class::Unavailable), (2 * MARK, Class::Unknown)] {
        let (world, _) = plain(vec![]).await;
        let uploading = start(&world, args(&all)).await.unwrap();
        feed(&uploading, &all[..fed]).await;
        settle().await;
        world.audit.break_door(Door::Outcome);
        assert_eq!(class(done(uploading).await), expected, "{fed}");
    }
}
