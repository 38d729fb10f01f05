//! Bodies that come piece by piece: what of them goes out, when the last of it does, and where one goes on after a cut.

mod mails;
mod sessions;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use claviger_canonical::Digest;
use claviger_domain::caveat::{Bound, Caveat};
use claviger_domain::event::{Ending, Kind};
use claviger_domain::grant::Approve;
use claviger_domain::refusal::{Class, Refusal};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::fakes::Door;
use super::upstream::{Seen, json as answer};
use super::world::{ADMIN, World, adapter, agent, ask, class, within};
use crate::broker::Uploading;
use crate::broker::view::{Minted, Sent};
use crate::port::{Answer, PIECE, UpstreamFault};

const TOOL: &str = "drive.upload_file";
/// What the upstream's address of an upload has in it; it must never be seen again.
const CANARY: &str = "CANARY-upload-id";
const MARK: usize = 256 * 1024;

/// What the upstream does.
struct Drive {
    /// Whether the folder is the owner's alone.
    shared: bool,
    /// Where it says that uploads go.
    location: String,
    /// What it has kept of an upload that was cut: the answer to who asks.
    asked: Reply,
    /// What it answers to the last byte.
    last: Reply,
    /// What it answers while bytes come.
    early: Option<u16>,
    /// Whether the answer that says where an upload goes is lost.
    lost: bool,
    made: usize,
}

#[derive(Clone)]
enum Reply {
    Made,
    /// 308, with so many bytes kept.
    Kept(u64),
    Status(u16),
    Broken,
}

type Shared = Arc<Mutex<Drive>>;

fn reply(drive: &mut Drive, what: Reply) -> Result<Answer, UpstreamFault> {
    match what {
        Reply::Made => {
            drive.made += 1;
            answer(200, &json!({ "id": "new1", "name": "a.bin", "parents": ["in"], "secretField": 1 }))
        }
        Reply::Kept(0) => Ok(Answer { status: 308, headers: vec![], body: Bytes::new() }),
        Reply::Kept(kept) => {
            let headers = vec![("range".to_owned(), format!("bytes=0-{}", kept - 1).into_bytes())];
            Ok(Answer { status: 308, headers, body: Bytes::new() })
        }
        Reply::Status(status) => answer(status, &json!({ "error": "odd" })),
        Reply::Broken => Err(UpstreamFault::Broken("it closed before the answer was complete")),
    }
}

fn serve(drive: &mut Drive, seen: &Seen) -> Result<Answer, UpstreamFault> {
    let folder = |shared: bool| {
        json!({
            "id": "in", "name": "In", "mimeType": "application/vnd.google-apps.folder", "trashed": false, "shared": shared,
            "owners": [{ "emailAddress": "me@example.org" }],
            "permissions": [{ "id": "1", "type": "user", "role": "owner", "emailAddress": "me@example.org" }],
        })
    };
    match seen.method.as_str() {
        "GET" => answer(200, &folder(drive.shared)),
        "EARLY" => match drive.early {
            Some(status) => {
                Ok(Answer { status, headers: vec![("x-early".to_owned(), vec![])], body: "{}".into() })
            }
            None => answer(200, &json!({})),
        },
        "POST" if drive.lost => reply(drive, Reply::Broken),
        "POST" => {
            let headers = vec![("location".to_owned(), drive.location.clone().into_bytes())];
            Ok(Answer { status: 200, headers, body: Bytes::new() })
        }
        "DELETE" => answer(499, &json!({})),
        "PUT" if seen.header("content-range").is_some_and(|range| range.starts_with("bytes */")) => {
            let asked = drive.asked.clone();
            reply(drive, asked)
        }
        "PUT" => {
            let last = drive.last.clone();
            reply(drive, last)
        }
        other => panic!("{other}"),
    }
}

/// A vault with a grant of uploads, and an upstream.
async fn world(caveats: Vec<Caveat>) -> (World, Shared) {
    let world = World::new().await;
    // By a login the vault knows the account's own address.
    world.broker.remove_secret(ADMIN, &"drive/me".parse().unwrap(), true).await.unwrap();
    world.google.lock().unwrap().grants = Some("https://www.googleapis.com/auth/drive".to_owned());
    super::connect::connect(&world, "drive/me", false).await.unwrap();
    world.grant(&[TOOL], caveats).await;
    let drive = Drive {
        shared: false,
        location: format!(
            "https://www.googleapis.com/upload/drive/v3/files?uploadType=resumable&upload_id={CANARY}"
        ),
        asked: Reply::Status(404),
        last: Reply::Made,
        early: None,
        lost: false,
        made: 0,
    };
    let drive = Arc::new(Mutex::new(drive));
    let (known, google) = (Arc::clone(&drive), super::google::serve(&world.google));
    world.upstream.answer_with(move |seen| {
        if seen.target.contains("/drive/v3/files") {
            return serve(&mut known.lock().unwrap(), seen);
        }
        google(seen)
    });
    (world, drive)
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| b'a' + (at * 7 % 23) as u8).collect()
}

fn args(content: &[u8]) -> Value {
    let hash: String = Digest::of(content).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "folder_id": "in", "file": { "name": "a.bin", "sha256": hash, "size": content.len() } })
}

async fn open(world: &World, minted: &Minted) -> Result<Uploading, Refusal> {
    let until = CancellationToken::new();
    world.broker.upload(&adapter("drive"), &minted.capability, "upload", Default::default(), until).await
}

async fn start(world: &World, args: Value) -> Result<Uploading, Refusal> {
    let minted = world.mint(TOOL, args).await?;
    open(world, &minted).await
}

/// Sends so much of it, in pieces.
async fn feed(uploading: &Uploading, bytes: &[u8]) -> bool {
    for piece in bytes.chunks(PIECE) {
        if uploading.pieces.send(Bytes::copy_from_slice(piece)).await.is_err() {
            return false;
        }
    }
    true
}

/// All came: what became of it.
async fn done(uploading: Uploading) -> Result<Sent, Refusal> {
    let Uploading { pieces, done, .. } = uploading;
    let _ = pieces.send(Bytes::new()).await;
    done.await.unwrap()
}

async fn upload(world: &World, content: &[u8]) -> Result<Sent, Refusal> {
    let uploading = start(world, args(content)).await?;
    let from = usize::try_from(uploading.offset).unwrap();
    feed(&uploading, &content[from..]).await;
    done(uploading).await
}

/// Lets everything that can go on do so.
async fn settle() {
    for _ in 0..300 {
        tokio::task::yield_now().await;
    }
}

/// What went upstream besides looks.
fn acts(world: &World) -> Vec<String> {
    let acts = world
        .upstream
        .calls()
        .into_iter()
        .filter(|seen| seen.method != "GET" && seen.target.contains("/upload/"));
    acts.map(|seen| {
        let range = seen.header("content-range").map(|range| format!(" {range}")).unwrap_or_default();
        format!("{}{range}", seen.method)
    })
    .collect()
}

/// How the uses of these steps ended, each with the door its outcome came in by.
fn endings(world: &World) -> Vec<(String, Ending)> {
    let mut all = Vec::new();
    for (door, event, _) in world.audit.events(Kind::Outcome) {
        let step = event.step.unwrap_or_default();
        if step.ends_with("upload") {
            assert_eq!(door, Door::Outcome, "{step}: durable");
            all.push((step, event.ending.unwrap()));
        }
    }
    all
}

fn ended(step: &str, ending: Ending) -> (String, Ending) {
    (step.to_owned(), ending)
}

/// Whatever happened, where the upload goes is seen by nobody.
fn nothing_leaks(world: &World) {
    let records = format!(
        "{:?}",
        world
            .audit
            .records
            .lock()
            .unwrap()
            .iter()
            .map(|(_, event, detail)| (event.clone(), detail.0.clone()))
            .collect::<Vec<_>>()
    );
    assert!(!records.contains(CANARY), "the log has it");
    world.all_announced();
}

#[tokio::test]
async fn a_file_goes_up_as_the_arguments_say() {
    let (world, drive) = world(vec![]).await;
    let content = content(3 * PIECE + 100);
    let uploading = start(&world, args(&content)).await.unwrap();
    assert_eq!(uploading.offset, 0);
    assert!(feed(&uploading, &content).await);
    settle().await;
    // All of it came, but nobody has said so: the last of it waits, and so nothing is made.
    assert_eq!(world.upstream.bodies.lock().unwrap()[0].0.len(), content.len() - PIECE);
    assert_eq!(drive.lock().unwrap().made, 0);
    let sent = done(uploading).await.unwrap();
    let shown: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(shown, json!({ "id": "new1", "name": "a.bin", "parents": ["in"] }));
    assert_eq!(world.upstream.bodies.lock().unwrap()[0], (content.clone(), true));
    assert_eq!(drive.lock().unwrap().made, 1);
    assert_eq!(acts(&world), ["POST", "PUT"]);
    let calls = world.upstream.calls();
    let begin = calls
        .iter()
        .find(|seen| seen.method == "POST" && seen.target.contains("uploadType=resumable"))
        .unwrap();
    assert_eq!(begin.header("x-upload-content-length"), Some(content.len().to_string().as_str()));
    assert_eq!(begin.header("x-upload-content-type"), Some("application/octet-stream"));
    let metadata: Value = serde_json::from_str(&begin.body).unwrap();
    assert_eq!(
        metadata,
        json!({ "name": "a.bin", "mimeType": "application/octet-stream", "parents": ["in"] })
    );
    let put = calls.iter().find(|seen| seen.method == "PUT").unwrap();
    assert!(put.target.ends_with(CANARY) && put.origin == "https://www.googleapis.com");
    assert_eq!(endings(&world), [ended("start upload", Ending::Released), ended("upload", Ending::Released)]);
    // Looked at before anything, and again before the last piece.
    let looks = |seen: &&Seen| seen.method == "GET" && seen.target.contains("/files/in");
    assert!(calls.iter().filter(looks).count() >= 3);
    nothing_leaks(&world);
    // A session that came to its end is none to go on with.
    upload(&world, &content).await.unwrap();
    assert_eq!(acts(&world), ["POST", "PUT", "POST", "PUT"]);
}

#[tokio::test]
async fn an_empty_file_and_one_of_a_byte() {
    let (world, drive) = world(vec![]).await;
    for length in [0, 1, PIECE - 1, PIECE, PIECE + 1] {
        upload(&world, &content(length)).await.unwrap_or_else(|refusal| panic!("{length}: {refusal:?}"));
    }
    assert_eq!(drive.lock().unwrap().made, 5);
    let lengths: Vec<usize> =
        world.upstream.bodies.lock().unwrap().iter().map(|(body, _)| body.len()).collect();
    assert_eq!(lengths, [1, PIECE - 1, PIECE, PIECE + 1]);
    // Nothing is sent of an empty file that is not the one that was named.
    let mut wrong = args(b"");
    wrong["file"]["sha256"] = json!("0".repeat(64));
    assert_eq!(class(start(&world, wrong).await), Class::BadArguments);
    assert_eq!(drive.lock().unwrap().made, 5);
}

#[tokio::test]
async fn bytes_that_are_not_those_of_the_arguments_make_nothing() {
    for length in [10, 3 * PIECE] {
        let (world, drive) = world(vec![]).await;
        let right = content(length);
        for at in [0, length / 2, length - 1] {
            let mut wrong = right.clone();
            wrong[at] ^= 1;
            let uploading = start(&world, args(&right)).await.unwrap();
            feed(&uploading, &wrong).await;
            let refused = done(uploading).await.err().unwrap();
            assert_eq!(
                (refused.class, refused.field.as_deref()),
                (Class::BadArguments, Some("file")),
                "{at}"
            );
        }
        assert_eq!(drive.lock().unwrap().made, 0);
        assert!(
            world.upstream.bodies.lock().unwrap().iter().all(|(body, whole)| !whole && body.len() < length)
        );
        assert_eq!(acts(&world)[..3], ["POST", "PUT", "DELETE"], "and the session is ended");
        assert!(endings(&world).contains(&ended("upload", Ending::Withheld)));
        nothing_leaks(&world);
    }
}

#[tokio::test]
async fn too_many_and_too_few_are_cut() {
    let (world, drive) = world(vec![]).await;
    let all = content(3 * PIECE);
    for extra in [1, PIECE] {
        let uploading = start(&world, args(&all)).await.unwrap();
        assert!(feed(&uploading, &all).await);
        feed(&uploading, &content(extra)).await;
        assert_eq!(class(done(uploading).await), Class::BadArguments, "{extra} too many");
    }
    for length in [0, 1, PIECE, 3 * PIECE - 1] {
        let uploading = start(&world, args(&all)).await.unwrap();
        feed(&uploading, &all[usize::try_from(uploading.offset).unwrap()..length]).await;
        assert_eq!(class(done(uploading).await), Class::BadArguments, "{length}");
    }
    // A piece that is too large is none.
    let uploading = start(&world, args(&all)).await.unwrap();
    uploading.pieces.send(Bytes::from(content(PIECE + 1))).await.unwrap();
    assert_eq!(class(done(uploading).await), Class::BadArguments);
    assert_eq!(drive.lock().unwrap().made, 0);
    assert!(endings(&world).iter().all(|(step, ending)| step != "upload" || *ending == Ending::NotSent));
}

#[tokio::test]
async fn who_breaks_off_has_not_said_that_all_came() {
    let (world, drive) = world(vec![]).await;
    for length in [0, 10, 2 * PIECE] {
        let all = content(length);
        let uploading = start(&world, args(&all)).await.unwrap();
        assert!(feed(&uploading, &all).await);
        let Uploading { pieces, done, .. } = uploading;
        drop(pieces);
        assert_eq!(class(done.await.unwrap()), Class::BadArguments, "{length}");
    }
    settle().await;
    assert_eq!(drive.lock().unwrap().made, 0);
}

#[tokio::test]
async fn what_is_taken_away_cuts_it_and_nothing_is_made() {
    for word in ["freeze", "revoke", "seal", "silence"] {
        let (world, drive) = world(vec![]).await;
        let all = content(4 * PIECE);
        let minted = world.mint(TOOL, args(&all)).await.unwrap();
        let until = CancellationToken::new();
        let name = adapter("drive");
        let uploading = world
            .broker
            .upload(&name, &minted.capability, "upload", Default::default(), until.clone())
            .await
            .unwrap();
        feed(&uploading, &all).await;
        settle().await;
        match word {
            "freeze" => drop(world.broker.freeze(ADMIN, &agent("ann"), "enough").await.unwrap()),
            "revoke" => {
                let grant = world.broker.open(&agent("ann")).unwrap().handles[0].grant;
                drop(world.broker.revoke(ADMIN, grant).await.unwrap());
            }
            "seal" => until.cancel(),
            _ => {
                world.clock.advance(30_000);
                settle().await;
            }
        }
        let refused = done(uploading).await.err().unwrap();
        let expected = match word {
            "freeze" => Class::Frozen,
            "revoke" => Class::Revoked,
            "seal" => Class::Sealed,
            _ => Class::BadArguments,
        };
        assert_eq!(refused.class, expected, "{word}");
        assert_eq!(drive.lock().unwrap().made, 0, "{word}");
        assert!(!world.upstream.bodies.lock().unwrap()[0].1);
        assert_eq!(endings(&world).pop(), Some(ended("upload", Ending::NotSent)), "{word}");
        nothing_leaks(&world);
    }
}

#[tokio::test]
async fn a_folder_that_is_shared_meanwhile_gets_nothing() {
    let (world, drive) = world(vec![]).await;
    let all = content(3 * PIECE);
    let uploading = start(&world, args(&all)).await.unwrap();
    feed(&uploading, &all).await;
    drive.lock().unwrap().shared = true;
    assert_eq!(class(done(uploading).await), Class::OutOfScope);
    assert_eq!(drive.lock().unwrap().made, 0);
    assert!(!world.upstream.bodies.lock().unwrap()[0].1);
    // Shared before it began: not even that.
    let minted = {
        drive.lock().unwrap().shared = false;
        world.mint(TOOL, args(&content(5))).await.unwrap()
    };
    drive.lock().unwrap().shared = true;
    let before = acts(&world).len();
    assert_eq!(class(open(&world, &minted).await), Class::OutOfScope);
    assert_eq!(acts(&world).len(), before);
}

#[tokio::test]
async fn an_upload_that_was_cut_goes_on_where_the_upstream_has_it() {
    let (world, drive) = world(vec![]).await;
    let all = content(4 * MARK + 77);
    let uploading = start(&world, args(&all)).await.unwrap();
    feed(&uploading, &all[..2 * MARK + 5000]).await;
    assert_eq!(class(done(uploading).await), Class::BadArguments, "the peer is gone");
    drive.lock().unwrap().asked = Reply::Kept(MARK as u64);
    let uploading = start(&world, args(&all)).await.unwrap();
    assert_eq!(uploading.offset, MARK as u64);
    feed(&uploading, &all[MARK..]).await;
    done(uploading).await.unwrap();
    assert_eq!(drive.lock().unwrap().made, 1);
    let size = all.len();
    assert_eq!(
        acts(&world),
        [
            "POST".to_owned(),
            "PUT".to_owned(),
            format!("PUT bytes */{size}"),
            format!("PUT bytes {MARK}-{}/{size}", size - 1)
        ]
    );
    assert_eq!(world.upstream.bodies.lock().unwrap()[1], (all[MARK..].to_vec(), true));
    assert_eq!(
        endings(&world)[1..],
        [
            ended("upload", Ending::NotSent),
            ended("resume upload", Ending::Released),
            ended("upload", Ending::Released)
        ]
    );
    nothing_leaks(&world);
}

/// The request that begins an upload makes nothing, and so may be made again; but it was sent, with the credential, and
/// the log does not say that it was not.
#[tokio::test]
async fn a_beginning_whose_answer_is_lost_was_sent_all_the_same() {
    let (world, drive) = world(vec![]).await;
    let all = content(PIECE);
    drive.lock().unwrap().lost = true;
    let minted = world.mint(TOOL, args(&all)).await.unwrap();
    assert_eq!(class(open(&world, &minted).await), Class::Upstream);
    assert_eq!(endings(&world), [ended("start upload", Ending::Unknown)]);
    drive.lock().unwrap().lost = false;
    let uploading = start(&world, args(&all)).await.unwrap();
    feed(&uploading, &all).await;
    done(uploading).await.unwrap();
    assert_eq!(drive.lock().unwrap().made, 1);
}

#[tokio::test]
async fn what_goes_on_is_hashed_with_what_went_before() {
    let (world, drive) = world(vec![]).await;
    let all = content(3 * MARK);
    // The beginning that the upstream keeps is another one than the arguments say.
    let mut evil = all.clone();
    evil[10] ^= 1;
    let uploading = start(&world, args(&all)).await.unwrap();
    feed(&uploading, &evil[..2 * MARK]).await;
    drop(done(uploading).await);
    drive.lock().unwrap().asked = Reply::Kept(MARK as u64);
    let uploading = start(&world, args(&all)).await.unwrap();
    assert_eq!(uploading.offset, MARK as u64);
    feed(&uploading, &all[MARK..]).await;
    assert_eq!(class(done(uploading).await), Class::BadArguments);
    assert_eq!(drive.lock().unwrap().made, 0);
    assert_eq!(acts(&world).last().unwrap(), "DELETE");
}

#[tokio::test]
async fn where_it_cannot_be_known_what_the_upstream_has_it_begins_anew() {
    for (asked, cancels) in [
        (Reply::Kept(MARK as u64 + 1), true),
        (Reply::Kept(0), false),
        (Reply::Kept(10 * MARK as u64), true),
        (Reply::Status(404), false),
        (Reply::Status(410), false),
    ] {
        let (world, drive) = world(vec![]).await;
        let all = content(4 * MARK);
        let uploading = start(&world, args(&all)).await.unwrap();
        feed(&uploading, &all[..3 * MARK]).await;
        drop(done(uploading).await);
        let kept_nothing = matches!(asked, Reply::Kept(0));
        drive.lock().unwrap().asked = asked;
        let uploading = start(&world, args(&all)).await.unwrap();
        assert_eq!(uploading.offset, 0);
        feed(&uploading, &all).await;
        done(uploading).await.unwrap();
        assert_eq!(drive.lock().unwrap().made, 1);
        let acts = acts(&world);
        assert_eq!(acts.contains(&"DELETE".to_owned()), cancels, "{acts:?}");
        let begun = acts.iter().filter(|act| *act == "POST").count();
        assert_eq!(begun, if kept_nothing { 1 } else { 2 });
    }
}

#[tokio::test]
async fn only_the_same_call_of_the_same_handle_goes_on() {
    let (world, drive) = world(vec![]).await;
    let all = content(3 * MARK);
    let uploading = start(&world, args(&all)).await.unwrap();
    feed(&uploading, &all[..2 * MARK]).await;
    drop(done(uploading).await);
    drive.lock().unwrap().asked = Reply::Kept(MARK as u64);
    // Other arguments, though the bytes are the same.
    let mut renamed = args(&all);
    renamed["file"]["name"] = json!("b.bin");
    assert_eq!(start(&world, renamed).await.unwrap().offset, 0);
    // Another agent.
    world.try_grant("bob", &[TOOL], vec![]).await.unwrap();
    let (text, bytes) = world.present_as("bob", TOOL, &args(&all), |_| {});
    let minted = world.broker.mint(&adapter("drive"), &text, &bytes).await.unwrap();
    assert_eq!(open(&world, &minted).await.unwrap().offset, 0);
    // Another version of the secret: it could be another account's.
    let uploading = start(&world, args(&all)).await.unwrap();
    assert_eq!(uploading.offset, MARK as u64);
    feed(&uploading, &all[MARK..2 * MARK]).await;
    drop(done(uploading).await);
    let name = "drive/me".parse().unwrap();
    world.google.lock().unwrap().refresh.push("refresh-x".to_owned());
    world.broker.rotate_secret(ADMIN, &name, Some(super::world::oauth("refresh-x"))).await.unwrap();
    assert_eq!(start(&world, args(&all)).await.unwrap().offset, 0);
    // After a while, too late. What was just cut is kept before the time passes.
    settle().await;
    world.clock.advance(600_001);
    assert_eq!(start(&world, args(&all)).await.unwrap().offset, 0);
    assert_eq!(acts(&world).iter().filter(|act| act.starts_with("PUT bytes */")).count(), 1);
}

#[tokio::test]
async fn an_answer_that_was_lost_is_unknown_and_found_out_by_the_same_call() {
    let (world, drive) = world(vec![]).await;
    let all = content(2 * PIECE);
    drive.lock().unwrap().last = Reply::Broken;
    assert_eq!(class(upload(&world, &all).await), Class::Unknown);
    assert_eq!(endings(&world).pop(), Some(ended("upload", Ending::Unknown)));
    // It had been made: the upstream says so, and not a byte goes there again.
    drive.lock().unwrap().asked = Reply::Made;
    let uploading = start(&world, args(&all)).await.unwrap();
    assert_eq!(uploading.offset, all.len() as u64);
    let sent = done(uploading).await.unwrap();
    assert!(String::from_utf8_lossy(&sent.body).contains("new1"));
    assert_eq!(world.upstream.bodies.lock().unwrap().len(), 1);
    // Where it cannot be found out it is not done again behind anybody's back.
    drive.lock().unwrap().asked = Reply::Status(404);
    assert_eq!(class(upload(&world, &all).await), Class::Unknown);
    assert_eq!(class(start(&world, args(&all)).await), Class::Unknown);
    assert_eq!(acts(&world).iter().filter(|act| *act == "POST").count(), 2);
}

#[tokio::test]
async fn an_upstream_in_trouble_keeps_what_it_has() {
    let (world, drive) = world(vec![]).await;
    let all = content(3 * MARK);
    // It answers before it has all.
    drive.lock().unwrap().early = Some(503);
    let uploading = start(&world, args(&all)).await.unwrap();
    feed(&uploading, &all).await;
    assert_eq!(class(done(uploading).await), Class::Upstream);
    drive.lock().unwrap().early = None;
    // And is still in trouble when it is asked.
    drive.lock().unwrap().asked = Reply::Status(503);
    assert_eq!(class(start(&world, args(&all)).await), Class::Upstream);
    drive.lock().unwrap().asked = Reply::Kept(MARK as u64);
    // With 503 to the last byte nobody knows.
    drive.lock().unwrap().last = Reply::Status(503);
    drop(start(&world, args(&all)).await.unwrap());
    settle().await;
    assert_eq!(drive.lock().unwrap().made, 0);
    // A refusal is one, and a success before the end is none.
    for (early, expected) in [(403, Class::Upstream), (200, Class::Unknown)] {
        let other = content(3 * MARK + early as usize);
        drive.lock().unwrap().early = Some(early);
        let uploading = start(&world, args(&other)).await.unwrap();
        feed(&uploading, &other).await;
        assert_eq!(class(done(uploading).await), expected, "{early}");
    }
    nothing_leaks(&world);
}

#[tokio::test]
async fn nothing_goes_where_it_may_not() {
    for location in [
        "https://evil.example/upload/drive/v3/files?upload_id=x",
        "http://www.googleapis.com/upload/drive/v3/files?upload_id=x",
        "https://www.googleapis.com/drive/v3/files/f1",
        "https://www.googleapis.com/upload/drive/v3/files/../../../../oauth",
        "/upload/drive/v3/files?upload_id=x",
        "",
    ] {
        let (world, drive) = world(vec![]).await;
        drive.lock().unwrap().location = location.to_owned();
        assert_eq!(class(start(&world, args(&content(5))).await), Class::Upstream, "{location}");
        assert_eq!(acts(&world), ["POST"]);
        assert_eq!(endings(&world), [ended("start upload", Ending::Withheld)]);
    }
}

#[tokio::test]
async fn a_person_agrees_to_one_file() {
    let (world, _drive) = world(vec![]).await;
    let grant = world.broker.open(&agent("ann")).unwrap().handles[0].grant;
    world.broker.revoke(ADMIN, grant).await.unwrap();
    let mut always = ask("ann", &[TOOL], vec![]);
    always.approve = Approve::Always;
    world.broker.add_grant(ADMIN, always).await.unwrap();
    let one = content(100);
    let refused = world.mint(TOOL, args(&one)).await.err().unwrap();
    assert_eq!(refused.class, Class::Pending);
    let shown = world.broker.show_approval(ADMIN, refused.approval.unwrap()).await.unwrap();
    let shown = format!("{:?}", shown.shown);
    let hash = args(&one)["file"]["sha256"].as_str().unwrap().to_owned();
    for text in ["a.bin", "100", hash.as_str()] {
        assert!(shown.contains(text), "{text} in {shown}");
    }
}

#[tokio::test]
async fn bounds_speak_of_a_file_s_name_and_size() {
    let bound = |bound: Bound| vec![Caveat::Argument("file".parse().unwrap(), bound)];
    for (caveats, length, fits) in [
        (bound(Bound::Max(10)), 10, true),
        (bound(Bound::Max(10)), 11, false),
        (bound(Bound::OneOf(vec!["a.bin".to_owned()])), 5, true),
        (bound(Bound::OneOf(vec!["b.bin".to_owned()])), 5, false),
        (bound(Bound::MaxLength(4)), 5, false),
        (vec![within("folder", &["in"])], 5, true),
        (vec![within("folder", &["out"])], 5, false),
        // What it answers counts too.
        (vec![Caveat::BytesADay(200)], 100, true),
        (vec![Caveat::BytesADay(10)], 11, false),
    ] {
        let shown = format!("{caveats:?} {length}");
        let (world, drive) = world(caveats).await;
        let sent = upload(&world, &content(length)).await;
        assert_eq!(sent.is_ok(), fits, "{shown}: {sent:?}", sent = sent.map(drop));
        assert_eq!(drive.lock().unwrap().made, usize::from(fits), "{shown}");
        if !fits {
            assert!(acts(&world).is_empty(), "{shown}: nothing went out");
        }
    }
}

#[tokio::test]
async fn no_record_no_upload() {
    let (world, drive) = world(vec![]).await;
    let minted = world.mint(TOOL, args(&content(5))).await.unwrap();
    world.audit.break_door(Door::Intent);
    assert_eq!(class(open(&world, &minted).await), Class::Unavailable);
    assert!(acts(&world).is_empty());
    world.audit.mend();
    // An outcome that cannot be recorded is not released.
    let uploading = start(&world, args(&content(5))).await.unwrap();
    feed(&uploading, &content(5)).await;
    world.audit.break_door(Door::Outcome);
    assert_eq!(class(done(uploading).await), Class::Unknown);
    assert_eq!(drive.lock().unwrap().made, 1);
}
