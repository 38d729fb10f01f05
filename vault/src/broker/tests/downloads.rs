//! Answers that are passed on piece by piece: what they may be, what cuts them, and what is recorded of them.

mod edges;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use claviger_canonical::Digest;
use claviger_domain::caveat::Caveat;
use claviger_domain::event::{Actor, Ending, Kind};
use claviger_domain::refusal::{Class, Refusal};
use claviger_domain::step::AnswerKind;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::fakes::Door;
use super::upstream::json as answer;
use super::world::{ADMIN, World, adapter, agent, ask, catalog, class, within};
use crate::broker::view::Minted;
use crate::broker::{Downloading, Flow};
use crate::port::{Answer, Head, PIECE, UpstreamFault};

type Sender = mpsc::UnboundedSender<Result<Bytes, UpstreamFault>>;

/// A vault with a grant, and a call of `drive.download_file` under way up to its mint.
async fn world(caveats: Vec<Caveat>) -> World {
    let world = World::new().await;
    world.grant(&["drive.download_file"], caveats).await;
    world
}

async fn mint(world: &World, offset: u64) -> Minted {
    world.mint("drive.download_file", json!({ "file_id": "f1", "offset": offset })).await.unwrap()
}

async fn open(world: &World, minted: &Minted, until: &CancellationToken) -> Result<Downloading, Refusal> {
    let name = adapter(minted.tool.service().as_str());
    world.broker.download(&name, &minted.capability, "content", Default::default(), until.clone()).await
}

async fn start(world: &World) -> Result<Downloading, Refusal> {
    let minted = mint(world, 0).await;
    open(world, &minted, &CancellationToken::new()).await
}

/// The upstream answers with this head, and with what is sent through what is returned.
fn flowing(world: &World, status: u16, length: Option<u64>, range: Option<&str>) -> Arc<Mutex<Vec<Sender>>> {
    let senders: Arc<Mutex<Vec<Sender>>> = Arc::default();
    let (known, range) = (Arc::clone(&senders), range.map(str::to_owned));
    world.upstream.flow_with(move |seen| {
        assert!(seen.target.contains("alt=media"), "{}", seen.target);
        let (sender, pieces) = mpsc::unbounded_channel();
        known.lock().unwrap().push(sender);
        let mut headers = vec![
            ("content-type".to_owned(), b"text/plain".to_vec()),
            ("x-upload-url".to_owned(), b"hidden".to_vec()),
        ];
        headers.extend(range.iter().map(|range| ("content-range".to_owned(), range.as_bytes().to_vec())));
        Some((Head { status, headers, length }, pieces))
    });
    senders
}

fn send(senders: &Mutex<Vec<Sender>>, piece: impl Into<Bytes>) {
    // Whoever is cut takes nothing more.
    let _ = senders.lock().unwrap().last().unwrap().send(Ok(piece.into()));
}

fn end(senders: &Mutex<Vec<Sender>>) {
    senders.lock().unwrap().clear();
}

async fn piece(downloading: &mut Downloading) -> Bytes {
    match downloading.pieces.recv().await {
        Some(Ok(Flow::Piece(piece))) => piece,
        other => panic!("{other:?}"),
    }
}

/// How it ended, after whatever pieces still came.
async fn ending(mut downloading: Downloading) -> Result<(u64, [u8; 32]), Class> {
    loop {
        match downloading.pieces.recv().await {
            Some(Ok(Flow::Piece(_))) => {}
            Some(Ok(Flow::End { length, sha256 })) => return Ok((length, sha256)),
            Some(Err(refusal)) => return Err(refusal.class),
            None => panic!("no end and no word"),
        }
    }
}

/// The word of the newest record of an end, and the bytes.
fn finished(world: &World) -> (String, u64) {
    let (door, event, _) = world.audit.events(Kind::Finished).pop().expect("its end is recorded");
    assert_eq!(door, Door::Record);
    (event.field.unwrap(), event.bytes.unwrap())
}

/// Endings of the uses whose outcome was durable before anything was passed on.
fn durable(world: &World) -> Vec<Ending> {
    let events = world.audit.events(Kind::Outcome);
    events
        .iter()
        .filter(|(door, event, _)| *door == Door::Outcome && event.step.as_deref() == Some("content"))
        .filter_map(|(_, event, _)| event.ending)
        .collect()
}

#[tokio::test]
async fn a_file_comes_piece_by_piece() {
    let world = world(vec![within("folder", &["folder_ai"])]).await;
    let text: Vec<u8> = (0..3 * PIECE + 17).map(|at| (at % 251) as u8).collect();
    let senders = flowing(&world, 200, Some(text.len() as u64), None);
    let mut downloading = start(&world).await.unwrap();
    assert_eq!((downloading.status, downloading.untrusted), (200, true));
    assert_eq!(downloading.headers, [("content-type".to_owned(), b"text/plain".to_vec())]);
    assert_eq!(downloading.extent.length, Some(text.len() as u64));
    // Its release is durable before its first byte has come.
    assert_eq!(durable(&world), [Ending::Released]);
    assert_eq!(world.audit.count(Kind::Finished), 0);
    let mut got = Vec::new();
    for part in text.chunks(PIECE) {
        send(&senders, Bytes::copy_from_slice(part));
        got.extend_from_slice(&piece(&mut downloading).await);
    }
    assert_eq!(got, text);
    end(&senders);
    let (length, sha256) = ending(downloading).await.unwrap();
    assert_eq!((length, sha256), (text.len() as u64, *Digest::of(&text).as_bytes()));
    assert_eq!(finished(&world), ("complete".to_owned(), text.len() as u64));
    // The file was looked at before it was asked for, and again when its head had come.
    let calls = world.upstream.calls();
    let order: Vec<bool> = calls.iter().map(|seen| seen.target.contains("alt=media")).collect();
    assert_eq!(order, [false, true, false]);
    assert_eq!(calls[1].header("range"), None);
    // The record of the end names the use that it is the end of.
    let use_id = |kind| world.audit.events(kind).pop().unwrap().1.use_id.unwrap();
    let mut outcomes = world.audit.events(Kind::Outcome).into_iter();
    let released = outcomes.find(|(_, event, _)| event.step.as_deref() == Some("content"));
    assert_eq!(use_id(Kind::Finished), released.unwrap().1.use_id.unwrap());
    world.all_announced();
}

#[tokio::test]
async fn what_is_taken_away_cuts_between_two_pieces() {
    for (word, expected) in [
        ("freeze", Class::Frozen),
        ("revoke", Class::Revoked),
        ("forbid", Class::Revoked),
        ("adapter", Class::Revoked),
        ("secret", Class::Revoked),
        ("seal", Class::Sealed),
        ("shut", Class::Sealed),
    ] {
        for waits in [true, false] {
            let world = World::new().await;
            let grant = world.grant(&["drive.download_file"], vec![]).await;
            let senders = flowing(&world, 200, Some(100), None);
            let until = CancellationToken::new();
            let minted = mint(&world, 0).await;
            let mut downloading = open(&world, &minted, &until).await.unwrap();
            send(&senders, "first");
            assert_eq!(piece(&mut downloading).await, "first");
            match word {
                "freeze" => drop(world.broker.freeze(ADMIN, &agent("ann"), "enough").await.unwrap()),
                "revoke" => drop(world.broker.revoke(ADMIN, grant.grant.id).await.unwrap()),
                "forbid" => {
                    let mut deny = ask("ann", &["drive.download_file"], vec![]);
                    deny.deny = true;
                    deny.approve = claviger_domain::grant::Approve::Default;
                    world.broker.add_grant(ADMIN, deny).await.unwrap();
                }
                "adapter" => world.broker.remove_adapter(ADMIN, &adapter("drive")).await.unwrap(),
                "secret" => {
                    drop(world.broker.remove_secret(ADMIN, &"drive/me".parse().unwrap(), true).await);
                }
                "seal" => until.cancel(),
                _ => world.broker.shut(),
            }
            // Whether the upstream goes on or is silent: what was taken away holds at once.
            if !waits {
                send(&senders, "second");
            } else if word == "shut" || word == "secret" {
                continue;
            }
            let told = downloading.pieces.recv().await;
            match told {
                Some(Err(refusal)) => {
                    let fine =
                        refusal.class == expected || (word == "forbid" && refusal.class == Class::NotGranted);
                    assert!(fine, "{word} {waits}: {refusal:?}");
                }
                None if word == "seal" || word == "shut" => {}
                other => panic!("{word} {waits}: {other:?}"),
            }
            let (ended, bytes) = finished(&world);
            assert_eq!(bytes, 5, "{word}");
            let expected = match word {
                "freeze" => "freeze",
                "seal" | "shut" => "seal",
                _ => "revocation",
            };
            assert_eq!(ended, expected, "{word} {waits}");
        }
    }
}

#[tokio::test]
async fn a_seal_does_not_wait_for_a_peer_that_does_not_read() {
    let world = world(vec![]).await;
    let senders = flowing(&world, 200, Some(100), None);
    let until = CancellationToken::new();
    let minted = mint(&world, 0).await;
    let downloading = open(&world, &minted, &until).await.unwrap();
    for _ in 0..5 {
        send(&senders, "piece");
    }
    until.cancel();
    world.broker.drain().await;
    assert_eq!(finished(&world).0, "seal");
    drop(downloading);
}

#[tokio::test]
async fn the_rest_of_a_file_is_asked_for_and_nothing_else_is_taken_for_it() {
    let world = world(vec![]).await;
    let senders = flowing(&world, 206, Some(6), Some("bytes 4-9/10"));
    let minted = mint(&world, 4).await;
    let downloading = open(&world, &minted, &CancellationToken::new()).await.unwrap();
    assert_eq!((downloading.status, downloading.extent.offset, downloading.extent.total), (206, 4, Some(10)));
    assert_eq!(world.upstream.calls().pop().unwrap().header("range"), Some("bytes=4-"));
    send(&senders, "456789");
    end(&senders);
    assert_eq!(ending(downloading).await.unwrap().0, 6);
    for (status, length, range) in [
        (200, Some(10), None),
        (206, Some(6), None),
        (206, Some(6), Some("bytes 3-8/10")),
        (206, Some(5), Some("bytes 4-9/10")),
        (206, Some(5), Some("bytes 4-8/10")),
    ] {
        flowing(&world, status, length, range);
        let before = durable(&world).len();
        let minted = mint(&world, 4).await;
        let refused = open(&world, &minted, &CancellationToken::new()).await;
        assert_eq!(class(refused), Class::Upstream, "{status} {length:?} {range:?}");
        assert_eq!(durable(&world).len(), before, "nothing was released");
        let (_, last, _) = world.audit.events(Kind::Outcome).pop().unwrap();
        assert_eq!(last.ending, Some(Ending::Withheld));
    }
    // A part of a whole that was asked for whole.
    flowing(&world, 206, Some(10), Some("bytes 0-9/10"));
    assert_eq!(class(start(&world).await), Class::Upstream);
    // And where there is no byte any more.
    world.upstream.flow_with(|_| None);
    let google = super::google::serve(&world.google);
    world.upstream.answer_with(move |seen| match seen.target.contains("alt=media") {
        true => answer(416, &json!({})),
        false => google(seen),
    });
    let minted = mint(&world, 4).await;
    let refused = open(&world, &minted, &CancellationToken::new()).await.err().unwrap();
    assert_eq!((refused.class, refused.field.as_deref()), (Class::BadArguments, Some("offset")));
}

#[tokio::test]
async fn an_answer_that_lies_about_its_length_is_cut() {
    for (pieces, expected) in [(vec!["0123456789", "x"], 10), (vec!["01234"], 5), (vec!["01234567890"], 0)] {
        let world = world(vec![]).await;
        let senders = flowing(&world, 200, Some(10), None);
        let downloading = start(&world).await.unwrap();
        pieces.into_iter().for_each(|piece| send(&senders, piece));
        end(&senders);
        assert_eq!(ending(downloading).await, Err(Class::Upstream));
        assert_eq!(finished(&world), ("upstream".to_owned(), expected));
    }
}

#[tokio::test]
async fn an_endless_answer_ends() {
    let mut catalog = catalog();
    let drive = catalog.services.get_mut(&"drive".parse().unwrap()).unwrap();
    let step = &mut drive.tools.get_mut(&"download_file".parse().unwrap()).unwrap().steps[1];
    let AnswerKind::Stream(streamed) = &mut step.answer else { panic!() };
    streamed.max = 100;
    let world = World::with(catalog).await;
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, false).await.unwrap();
    world.broker.add_adapter(ADMIN, adapter("drive"), Some(3002), None).await.unwrap();
    world
        .broker
        .add_secret(ADMIN, "drive/me".parse().unwrap(), super::world::oauth("refresh-0"))
        .await
        .unwrap();
    world.grant(&["drive.download_file"], vec![]).await;
    let senders = flowing(&world, 200, None, None);
    let downloading = start(&world).await.unwrap();
    for _ in 0..11 {
        send(&senders, "0123456789");
    }
    assert_eq!(ending(downloading).await, Err(Class::Upstream));
    assert_eq!(finished(&world), ("upstream".to_owned(), 100));
    // One that says beforehand that it is longer does not begin.
    flowing(&world, 200, Some(101), None);
    assert_eq!(class(start(&world).await), Class::Upstream);
}

#[tokio::test]
async fn silence_is_bounded_either_way() {
    // The upstream's.
    let world = world(vec![]).await;
    let senders = flowing(&world, 200, Some(100), None);
    let mut downloading = start(&world).await.unwrap();
    send(&senders, "a");
    piece(&mut downloading).await;
    world.clock.advance(29_000);
    // Bytes that cannot leave yet are bytes all the same.
    send(&senders, "");
    settle().await;
    world.clock.advance(29_000);
    send(&senders, "b");
    assert_eq!(piece(&mut downloading).await, "b");
    settle().await;
    world.clock.advance(30_000);
    assert_eq!(ending(downloading).await, Err(Class::Upstream));
    assert_eq!(finished(&world), ("upstream".to_owned(), 2));

    // The peer's, who does not read: one piece waits for it, and the next behind that.
    let downloading = start(&world).await.unwrap();
    for _ in 0..3 {
        send(&senders, "a");
    }
    settle().await;
    world.clock.advance(30_000);
    settle().await;
    assert_eq!(finished(&world), ("peer".to_owned(), 1));
    drop(downloading);

    // One that is gone.
    let downloading = start(&world).await.unwrap();
    drop(downloading);
    send(&senders, "a");
    settle().await;
    assert_eq!(finished(&world), ("peer".to_owned(), 0));

    // And no stream lasts for ever, however busy it is.
    let mut downloading = start(&world).await.unwrap();
    for _ in 0..6 * 60 * 3 {
        send(&senders, "");
        settle().await;
        world.clock.advance(20_000);
        settle().await;
    }
    let last = downloading.pieces.recv().await;
    assert!(matches!(last, Some(Err(Refusal { class: Class::Unavailable, .. }))), "{last:?}");
    assert_eq!(finished(&world).0, "time");
}

/// Lets everything that can go on do so.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_agent_has_four_at_a_time() {
    let world = world(vec![]).await;
    let _senders = flowing(&world, 200, Some(100), None);
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(start(&world).await.unwrap());
    }
    assert_eq!(class(start(&world).await), Class::Busy);
    held.pop();
    settle().await;
    assert!(start(&world).await.is_ok());
}

#[tokio::test]
async fn the_day_s_bytes_hold() {
    let world = world(vec![Caveat::BytesADay(1000)]).await;
    // Known beforehand: refused before the first byte, and not counted.
    flowing(&world, 200, Some(1001), None);
    assert_eq!(class(start(&world).await), Class::RateLimited);
    assert_eq!(durable(&world), []);
    let senders = flowing(&world, 200, Some(600), None);
    let downloading = start(&world).await.unwrap();
    send(&senders, vec![b'x'; 600]);
    end(&senders);
    assert_eq!(ending(downloading).await.unwrap().0, 600);
    // Not known: piece by piece.
    let senders = flowing(&world, 200, None, None);
    let downloading = start(&world).await.unwrap();
    for _ in 0..5 {
        send(&senders, vec![b'x'; 100]);
    }
    assert_eq!(ending(downloading).await, Err(Class::RateLimited));
    assert_eq!(finished(&world), ("bytes".to_owned(), 400));
}

#[tokio::test]
async fn a_file_that_moves_away_is_not_passed_on() {
    let world = world(vec![within("folder", &["folder_ai"])]).await;
    // Out of scope from the beginning.
    let minted = world.mint("drive.download_file", json!({ "file_id": "hidden1" })).await.unwrap();
    assert_eq!(class(open(&world, &minted, &CancellationToken::new()).await), Class::OutOfScope);
    // Moved while it is asked for: between the look and its head.
    let google = Arc::clone(&world.google);
    world.upstream.flow_with(move |_| {
        google.lock().unwrap().files.insert("f1".to_owned(), vec!["folder_other".to_owned()]);
        let (sender, pieces) = mpsc::unbounded_channel();
        sender.send(Ok(Bytes::from_static(b"content"))).unwrap();
        Some((Head { status: 200, headers: vec![], length: Some(7) }, pieces))
    });
    let refused = start(&world).await.err().unwrap();
    assert_eq!((refused.class, refused.field.as_deref()), (Class::OutOfScope, Some("object")));
    assert_eq!(durable(&world), []);
    // What is not there is told the same.
    let minted = world.mint("drive.download_file", json!({ "file_id": "absent" })).await.unwrap();
    assert_eq!(class(open(&world, &minted, &CancellationToken::new()).await), Class::OutOfScope);
}

#[tokio::test]
async fn an_echo_in_the_stream_cuts_and_freezes_at_the_second_time() {
    let world = world(vec![]).await;
    for time in 0..2 {
        let senders = flowing(&world, 200, None, None);
        let mut downloading = start(&world).await.unwrap();
        send(&senders, "fine");
        piece(&mut downloading).await;
        senders.lock().unwrap()[0].send(Err(UpstreamFault::Echo)).unwrap();
        assert_eq!(ending(downloading).await, Err(Class::Withheld));
        assert_eq!(finished(&world), ("watch".to_owned(), 4));
        assert_eq!(world.audit.count(Kind::Echo), time + 1);
        let frozen = world.broker.show_agent(&agent("ann")).unwrap().frozen.is_some();
        assert_eq!(frozen, time == 1);
    }
}

#[tokio::test]
async fn each_door_takes_its_own_steps() {
    let world = world(vec![]).await;
    let minted = mint(&world, 0).await;
    assert_eq!(class(world.send(&minted, "content", &[]).await), Class::BadStep);
    let name = adapter("drive");
    for expected in [Class::BadStep, Class::BadCapability] {
        let until = CancellationToken::new();
        let other = world.broker.download(&name, &minted.capability, "metadata", Default::default(), until);
        assert_eq!(class(other.await), expected, "its requests are two");
    }
    let minted = mint(&world, 0).await;
    let token = CancellationToken::new();
    let wrong =
        world.broker.download(&name, &minted.capability, "metadata", Default::default(), token.clone());
    assert_eq!(class(wrong.await), Class::BadStep);
    let wrong = world.broker.upload(&name, &minted.capability, "content", Default::default(), token.clone());
    assert_eq!(class(wrong.await), Class::BadStep);
    // Another adapter's capability is none.
    let minted = mint(&world, 0).await;
    let other = adapter("gmail");
    let stolen = world.broker.download(&other, &minted.capability, "content", Default::default(), token);
    assert_eq!(class(stolen.await), Class::BadCapability);
    assert!(world.upstream.calls().is_empty());
}

#[tokio::test]
async fn no_record_no_stream() {
    let world = world(vec![]).await;
    flowing(&world, 200, Some(4), None);
    let minted = mint(&world, 0).await;
    world.audit.break_door(Door::Intent);
    assert_eq!(class(open(&world, &minted, &CancellationToken::new()).await), Class::Unavailable);
    assert!(world.upstream.calls().is_empty());
    world.audit.mend();
    // Released only when that is durable.
    let minted = mint(&world, 0).await;
    world.audit.break_door(Door::Outcome);
    assert_eq!(class(open(&world, &minted, &CancellationToken::new()).await), Class::Unavailable);
    world.audit.mend();
    // Without a record of its end it has none.
    let senders = flowing(&world, 200, Some(4), None);
    let mut downloading = start(&world).await.unwrap();
    send(&senders, "1234");
    piece(&mut downloading).await;
    world.audit.break_door(Door::Record);
    end(&senders);
    assert_eq!(ending(downloading).await, Err(Class::Unavailable));
}

#[tokio::test]
async fn a_freeze_that_comes_before_the_first_byte_holds() {
    let world = world(vec![]).await;
    flowing(&world, 200, Some(4), None);
    let minted = mint(&world, 0).await;
    let broker = Arc::clone(&world.broker);
    *world.audit.on_intent.lock().unwrap() = Some(Box::new(move |event| {
        if event.step.as_deref() == Some("content") {
            broker.freeze_now(&agent("ann"), "now").unwrap();
        }
    }));
    assert_eq!(class(open(&world, &minted, &CancellationToken::new()).await), Class::Frozen);
    assert!(world.upstream.calls().is_empty(), "nothing went out");
}

#[tokio::test]
async fn a_file_taints_before_its_first_byte() {
    let world = World::empty().await;
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, true).await.unwrap();
    world.broker.add_adapter(ADMIN, adapter("drive"), Some(3002), None).await.unwrap();
    world
        .broker
        .add_secret(ADMIN, "drive/me".parse().unwrap(), super::world::oauth("refresh-0"))
        .await
        .unwrap();
    world.grant(&["drive.download_file"], vec![]).await;
    let minted = mint(&world, 0).await;
    let audit = Arc::clone(&world.audit);
    world.upstream.flow_with(move |_| {
        assert_eq!(audit.count(Kind::Tainted), 1, "durable before it is asked for");
        let (_, pieces) = mpsc::unbounded_channel();
        Some((Head { status: 200, headers: vec![], length: Some(0) }, pieces))
    });
    let downloading = open(&world, &minted, &CancellationToken::new()).await.unwrap();
    assert_eq!(ending(downloading).await.unwrap().0, 0);
    assert!(world.broker.show_agent(&agent("ann")).unwrap().tainted);
}

#[tokio::test]
async fn a_rotation_cuts_before_the_old_version_is_retired() {
    let world = world(vec![]).await;
    let senders = flowing(&world, 200, Some(100), None);
    let mut downloading = start(&world).await.unwrap();
    send(&senders, "a");
    piece(&mut downloading).await;
    world.google.lock().unwrap().refresh.push("refresh-1".to_owned());
    let broker = Arc::clone(&world.broker);
    let rotating = tokio::spawn(async move {
        let name = "drive/me".parse().unwrap();
        broker.rotate_secret(ADMIN, &name, Some(super::world::oauth("refresh-1"))).await
    });
    settle().await;
    // It goes on for a while, for the new version is used already.
    send(&senders, "b");
    assert_eq!(piece(&mut downloading).await, "b");
    assert!(!rotating.is_finished(), "the old version's use is waited for");
    for _ in 0..2 {
        world.clock.advance(13_000);
        send(&senders, "");
        settle().await;
    }
    assert_eq!(ending(downloading).await, Err(Class::Unavailable));
    assert_eq!(finished(&world), ("rotation".to_owned(), 2));
    rotating.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_attachment_is_decoded_as_it_comes() {
    let world = World::new().await;
    world.grant(&["gmail.download_attachment"], vec![within("label", &["Label_ai"])]).await;
    let content: Vec<u8> = (0..200_000u32).map(|at| (at % 253) as u8).collect();
    let text = claviger_domain::codec::base64url::encode(&content);
    let google = super::google::serve(&world.google);
    let body = Arc::new(Mutex::new(format!(r#"{{"size":200000,"data":"{text}"}}"#)));
    let sent = Arc::clone(&body);
    world.upstream.answer_with(move |seen| {
        if seen.target.contains("/attachments/") {
            let body = sent.lock().unwrap().clone();
            return Ok(Answer { status: 200, headers: vec![], body: body.into() });
        }
        if seen.target.contains("format=full") {
            let payload = json!({ "parts": [{ "body": { "attachmentId": "att1" } }] });
            return answer(200, &json!({ "id": "m1", "labelIds": ["Label_ai"], "payload": payload }));
        }
        google(seen)
    });
    let get = async || {
        let minted = world
            .mint("gmail.download_attachment", json!({ "message_id": "m1", "part": "1" }))
            .await
            .unwrap();
        world.send(&minted, "message", &[]).await.unwrap();
        let params = [("attachment_id".to_owned(), "att1".to_owned())].into();
        let until = CancellationToken::new();
        world.broker.download(&adapter("gmail"), &minted.capability, "attachment", params, until).await
    };
    let downloading = get().await.unwrap();
    assert_eq!(downloading.extent.length, None);
    let (length, sha256) = ending(downloading).await.unwrap();
    assert_eq!((length, sha256), (200_000, *Digest::of(&content).as_bytes()));
    // Cut where it is not what it should be, with what was good before that.
    for odd in [r#"{"size":1}"#, r#"{"data":"AAAA"#, r#"{"data":"AAAA","data":"AAAA"}"#, "[]"] {
        *body.lock().unwrap() = odd.to_owned();
        assert_eq!(ending(get().await.unwrap()).await, Err(Class::Upstream), "{odd}");
        assert_eq!(finished(&world).0, "upstream", "{odd}");
    }
    // An id that no answer of this call named is none.
    let minted =
        world.mint("gmail.download_attachment", json!({ "message_id": "m1", "part": "1" })).await.unwrap();
    let params = [("attachment_id".to_owned(), "att1".to_owned())].into();
    let until = CancellationToken::new();
    let guessed =
        world.broker.download(&adapter("gmail"), &minted.capability, "attachment", params, until).await;
    assert_eq!(class(guessed), Class::BadStep);
    world.all_announced();
}

#[tokio::test]
async fn a_dead_access_token_is_renewed_once() {
    let world = world(vec![]).await;
    let senders = flowing(&world, 200, Some(2), None);
    // The first one is dead when it is used.
    let google = Arc::clone(&world.google);
    let mut first = true;
    let known = Arc::clone(&senders);
    world.upstream.flow_with(move |seen| {
        if std::mem::take(&mut first) {
            google.lock().unwrap().access.remove(&seen.credential);
            return None;
        }
        let (sender, pieces) = mpsc::unbounded_channel();
        known.lock().unwrap().push(sender);
        Some((Head { status: 200, headers: vec![], length: Some(2) }, pieces))
    });
    let downloading = start(&world).await.unwrap();
    send(&senders, "ok");
    end(&senders);
    assert_eq!(ending(downloading).await.unwrap().0, 2);
    let asked = world.upstream.calls().into_iter().filter(|seen| seen.target.contains("alt=media")).count();
    assert_eq!(asked, 2);
    let refused = world.audit.events(Kind::Refused);
    assert!(refused.is_empty());
    assert!(matches!(
        refused.first(),
        None | Some((_, claviger_domain::event::Event { actor: Actor::Vault, .. }, _))
    ));
}
