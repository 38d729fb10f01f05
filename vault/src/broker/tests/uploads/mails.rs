//! A mail whose attachment comes piece by piece: what goes out is the mail of the arguments with exactly that file in it, and
//! whatever is amiss, nothing is sent.

mod bounds;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use claviger_domain::caveat::Caveat;

use super::*;

const SEND_FILE: &str = "gmail.send_file";
const PLACE: &str = "/upload/gmail/v1/users/me/messages/send";
const CLOSED: &str = "--\r\n";

/// What Gmail does.
struct Gmail {
    /// What it answers to the last byte.
    last: Reply,
    /// What it answers to who asks what became of a mail.
    asked: Reply,
    /// What it answers to who ends a session.
    ends: u16,
    early: Option<u16>,
    sent: usize,
}

type Held = Arc<Mutex<Gmail>>;

impl Gmail {
    fn reply(&mut self, what: &Reply) -> Result<Answer, UpstreamFault> {
        match what {
            Reply::Made => {
                self.sent += 1;
                let told = json!({ "id": "new1", "threadId": "t1", "labelIds": ["SENT"], "secretField": 1 });
                answer(200, &told)
            }
            Reply::Kept(0) => Ok(Answer { status: 308, headers: vec![], body: Bytes::new() }),
            Reply::Kept(kept) => {
                let headers = vec![("range".to_owned(), format!("bytes=0-{}", kept - 1).into_bytes())];
                Ok(Answer { status: 308, headers, body: Bytes::new() })
            }
            Reply::Status(status) => answer(*status, &json!({ "error": "odd" })),
            Reply::Broken => Err(UpstreamFault::Broken("it closed before the answer was complete")),
        }
    }

    fn serve(&mut self, seen: &Seen) -> Result<Answer, UpstreamFault> {
        match (seen.method.as_str(), self.early) {
            ("EARLY", Some(status)) => {
                Ok(Answer { status, headers: vec![("x-early".to_owned(), vec![])], body: "{}".into() })
            }
            ("EARLY", None) => answer(200, &json!({})),
            ("POST", _) if seen.target == format!("{PLACE}?uploadType=resumable") => {
                let place =
                    format!("https://gmail.googleapis.com{PLACE}?uploadType=resumable&upload_id={CANARY}");
                let headers = vec![("location".to_owned(), place.into_bytes())];
                Ok(Answer { status: 200, headers, body: Bytes::new() })
            }
            ("POST", _) => answer(200, &json!({ "id": "held1", "threadId": "t1", "labelIds": ["SENT"] })),
            ("DELETE", _) => answer(self.ends, &json!({})),
            ("PUT", _) if seen.header("content-range").is_some_and(|range| range.starts_with("bytes */")) => {
                let asked = self.asked.clone();
                self.reply(&asked)
            }
            ("PUT", _) => {
                let last = self.last.clone();
                self.reply(&last)
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn world(caveats: Vec<Caveat>) -> (World, Held) {
    let world = World::new().await;
    world.grant(&[SEND_FILE], caveats).await;
    let gmail = Gmail { last: Reply::Made, asked: Reply::Status(404), ends: 499, early: None, sent: 0 };
    let gmail = Arc::new(Mutex::new(gmail));
    let (known, google) = (Arc::clone(&gmail), super::super::google::serve(&world.google));
    world.upstream.answer_with(move |seen| match seen.target.contains("/messages/send") {
        true => known.lock().unwrap().serve(seen),
        false => google(seen),
    });
    (world, gmail)
}

fn mail(content: &[u8]) -> Value {
    let mut mail = args(content);
    mail["file"]["name"] = json!("Bericht ü.pdf");
    mail.as_object_mut().unwrap().remove("folder_id");
    let rest = json!({
        "to": ["mona@example.org", "theo@example.org"], "cc": ["cy@example.org"], "bcc": ["di@example.org"],
        "reply_to": ["me@example.org"], "subject": "Grüße", "body": "On Friday.\nOlga", "mime_type": "application/pdf",
    });
    mail.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    mail
}

async fn opened(world: &World, minted: &Minted, until: CancellationToken) -> Result<Uploading, Refusal> {
    world.broker.upload(&adapter("gmail"), &minted.capability, "send", Default::default(), until).await
}

async fn begin(world: &World, args: Value) -> Result<Uploading, Refusal> {
    let minted = world.mint(SEND_FILE, args).await?;
    opened(world, &minted, CancellationToken::new()).await
}

/// Sends the file in pieces of these sizes, over and over.
async fn send(world: &World, content: &[u8], pieces: &[usize]) -> Result<Sent, Refusal> {
    let uploading = begin(world, mail(content)).await?;
    assert_eq!(uploading.offset, 0, "a mail begins at its beginning");
    let mut rest = content;
    for size in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        if uploading.pieces.send(Bytes::copy_from_slice(piece)).await.is_err() {
            break;
        }
        rest = after;
    }
    done(uploading).await
}

/// How the uses of the step ended, asides and all.
fn ends(world: &World) -> Vec<(String, Ending)> {
    let all = world.audit.events(Kind::Outcome).into_iter().filter_map(|(door, event, _)| {
        let step = event.step.filter(|step| step.ends_with("send"))?;
        assert_eq!(door, Door::Outcome, "{step}: durable");
        Some((step, event.ending.unwrap()))
    });
    all.collect()
}

/// What went out of the mail last, and whether that was all.
fn body(world: &World) -> (String, bool) {
    let bodies = world.upstream.bodies.lock().unwrap();
    let (bytes, whole) = bodies.last().unwrap();
    (String::from_utf8(bytes.clone()).unwrap(), *whole)
}

/// The mail with a known boundary.
fn unbound(mail: &str) -> String {
    let boundary = mail.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap();
    mail.replace(boundary, "B")
}

/// The file in the mail: what stands in its last part, decoded.
fn file_in(mail: &str) -> Vec<u8> {
    let mail = unbound(mail);
    let last = mail.split("--B").nth(2).unwrap();
    let (_, lines) = last.split_once("\r\n\r\n").unwrap();
    assert!(lines.split("\r\n").all(|line| line.len() <= 76));
    STANDARD.decode(lines.replace("\r\n", "")).unwrap()
}

#[tokio::test]
async fn it_is_the_mail_that_send_message_sends() {
    let (world, gmail) = world(vec![]).await;
    world.grant(&["gmail.send_message"], vec![]).await;
    let sizes = [0, 1, 2, 3, 55, 56, 57, 58, 75, 76, 77, 114, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 13];
    for (at, size) in sizes.into_iter().enumerate() {
        let content = content(size);
        let pieces: &[usize] = [&[PIECE][..], &[1000, 1, 57, 12_345], &[56, 58]][at % 3];
        let sent =
            send(&world, &content, pieces).await.unwrap_or_else(|refusal| panic!("{size}: {refusal:?}"));
        let shown: Value = serde_json::from_slice(&sent.body).unwrap();
        assert_eq!(shown, json!({ "id": "new1", "threadId": "t1", "labelIds": ["SENT"] }));
        let (streamed, whole) = body(&world);
        assert!(whole && file_in(&streamed) == content, "{size}");
        // The same by send_message.
        let mut held = mail(&content);
        let members = held.as_object_mut().unwrap();
        members.remove("file");
        members.remove("mime_type");
        let data = STANDARD.encode(&content);
        held["attachments"] = json!([{ "name": "Bericht ü.pdf", "type": "application/pdf", "data": data }]);
        let calls = world.upstream.calls().len();
        world.call("gmail.send_message", held).await.unwrap();
        let request: Value = serde_json::from_str(&world.upstream.calls()[calls].body).unwrap();
        let raw = URL_SAFE.decode(request["raw"].as_str().unwrap()).unwrap();
        assert_eq!(unbound(&streamed), unbound(&String::from_utf8(raw).unwrap()), "{size}");
        // What was announced is what came.
        let calls = world.upstream.calls();
        let begun = calls.iter().rev().find(|seen| seen.target.ends_with("uploadType=resumable")).unwrap();
        assert_eq!(begun.header("x-upload-content-length"), Some(streamed.len().to_string().as_str()));
        assert_eq!(begun.header("x-upload-content-type"), Some("message/rfc822"));
        assert!(begun.body.is_empty());
        let put = calls.iter().rev().find(|seen| seen.method == "PUT").unwrap();
        assert_eq!(put.header("content-type"), Some("message/rfc822"));
    }
    assert_eq!(gmail.lock().unwrap().sent, sizes.len());
    assert!(ends(&world).iter().all(|(_, ending)| *ending == Ending::Released));
    nothing_leaks(&world);
}

#[tokio::test]
async fn until_all_came_its_end_is_held_back_and_no_more_than_that() {
    let (world, gmail) = world(vec![]).await;
    let content = content(20 * PIECE + 5);
    let uploading = begin(&world, mail(&content)).await.unwrap();
    for (at, piece) in content.chunks(PIECE).enumerate() {
        uploading.pieces.send(Bytes::copy_from_slice(piece)).await.unwrap();
        settle().await;
        let lines = ((at + 1) * PIECE).min(content.len()) / 57 * 78;
        assert!(at == 0 || body(&world).0.len() + PIECE >= lines, "it holds more than a piece");
    }
    // All of it came, but nobody has said so.
    let (so_far, whole) = body(&world);
    assert!(!whole && !so_far.ends_with(CLOSED) && gmail.lock().unwrap().sent == 0);
    done(uploading).await.unwrap();
    let (mail, whole) = body(&world);
    assert!(whole && mail.ends_with(CLOSED) && mail.starts_with(&so_far) && file_in(&mail) == content);
    assert_eq!(acts(&world), ["POST", "PUT"]);
    let sent = [ended("start send", Ending::Released), ended("send", Ending::Released)];
    assert_eq!(ends(&world), sent);
    // Whatever stands around a file goes in pieces, too: the upstream takes none that is larger.
    for size in [0, 10, PIECE] {
        let content = self::content(size);
        let mut given = super::mails::mail(&content);
        given["body"] = json!("x".repeat(100_000));
        let uploading = begin(&world, given).await.unwrap();
        feed(&uploading, &content).await;
        done(uploading).await.unwrap();
        let (mail, whole) = body(&world);
        assert!(whole && mail.len() > 130_000 && file_in(&mail) == content);
    }
}

/// What was agreed to is what is sent: other bytes send nothing, and the session is ended.
#[tokio::test]
async fn bytes_that_are_not_those_of_the_arguments_send_nothing() {
    for length in [10, 3 * PIECE] {
        let right = content(length);
        for at in [0, length / 2, length - 1] {
            let (world, gmail) = world(vec![]).await;
            let mut wrong = right.clone();
            wrong[at] ^= 1;
            let uploading = begin(&world, mail(&right)).await.unwrap();
            feed(&uploading, &wrong).await;
            let refused = done(uploading).await.err().unwrap();
            assert_eq!((refused.class, refused.field.as_deref()), (Class::BadArguments, Some("file")));
            let (so_far, whole) = body(&world);
            assert!(!whole && !so_far.ends_with(CLOSED) && gmail.lock().unwrap().sent == 0);
            assert_eq!(acts(&world), ["POST", "PUT", "DELETE"]);
            assert_eq!(
                ends(&world)[1..],
                [ended("send", Ending::NotSent), ended("cancel send", Ending::Released)]
            );
            nothing_leaks(&world);
        }
    }
    // Of an empty file that is not the one that was named, not even a session is begun.
    let (world, gmail) = world(vec![]).await;
    let mut wrong = mail(b"");
    wrong["file"]["sha256"] = json!("0".repeat(64));
    assert_eq!(class(begin(&world, wrong).await), Class::BadArguments);
    assert!(acts(&world).is_empty() && gmail.lock().unwrap().sent == 0);
}

#[tokio::test]
async fn a_file_that_is_longer_or_shorter_sends_nothing() {
    let all = content(3 * PIECE);
    for length in [0, 1, PIECE, 3 * PIECE - 1, 3 * PIECE + 1, 4 * PIECE] {
        let (world, gmail) = world(vec![]).await;
        let uploading = begin(&world, mail(&all)).await.unwrap();
        feed(&uploading, &content(length)).await;
        let refused = done(uploading).await.err().unwrap();
        assert_eq!(
            (refused.class, refused.field.as_deref()),
            (Class::BadArguments, Some("stream")),
            "{length}"
        );
        assert!(gmail.lock().unwrap().sent == 0 && !body(&world).1, "{length}");
        assert_eq!(ends(&world)[1], ended("send", Ending::NotSent), "{length}");
        assert_eq!(acts(&world), ["POST", "PUT", "DELETE"], "{length}");
    }
    // An empty file has no bytes; whoever goes away has not said that all came.
    let (world, gmail) = world(vec![]).await;
    let uploading = begin(&world, mail(b"")).await.unwrap();
    feed(&uploading, b"x").await;
    assert_eq!(class(done(uploading).await), Class::BadArguments);
    for length in [0, 10, 2 * PIECE] {
        let uploading = begin(&world, mail(&content(length))).await.unwrap();
        assert!(feed(&uploading, &content(length)).await);
        let Uploading { pieces, done, .. } = uploading;
        drop(pieces);
        assert_eq!(class(done.await.unwrap()), Class::BadArguments, "{length}");
    }
    assert_eq!(gmail.lock().unwrap().sent, 0);
}

/// Whoever takes something away between two pieces, or after the last: nothing is sent.
#[tokio::test]
async fn what_is_taken_away_leaves_no_mail() {
    for word in ["freeze", "revoke", "forbid", "adapter", "secret", "seal", "silence"] {
        for fed in [2 * PIECE, 4 * PIECE] {
            let (world, gmail) = world(vec![]).await;
            let all = content(4 * PIECE);
            let minted = world.mint(SEND_FILE, mail(&all)).await.unwrap();
            let until = CancellationToken::new();
            let uploading = opened(&world, &minted, until.clone()).await.unwrap();
            feed(&uploading, &all[..fed]).await;
            settle().await;
            match word {
                "freeze" => drop(world.broker.freeze(ADMIN, &agent("ann"), "enough").await.unwrap()),
                "revoke" => {
                    let grant = world.broker.open(&agent("ann")).unwrap().handles[0].grant;
                    drop(world.broker.revoke(ADMIN, grant).await.unwrap());
                }
                "forbid" => {
                    let mut deny = ask("ann", &[SEND_FILE], vec![]);
                    (deny.deny, deny.approve) = (true, Approve::Default);
                    drop(world.broker.add_grant(ADMIN, deny).await.unwrap());
                }
                "adapter" => world.broker.remove_adapter(ADMIN, &adapter("gmail")).await.unwrap(),
                "secret" => {
                    drop(world.broker.remove_secret(ADMIN, &"gmail/me".parse().unwrap(), true).await);
                }
                "seal" => until.cancel(),
                _ => {
                    world.clock.advance(30_000);
                    settle().await;
                }
            }
            feed(&uploading, &all[fed..]).await;
            let refused = done(uploading).await.err().unwrap();
            let fits = match word {
                "freeze" => refused.class == Class::Frozen,
                "seal" => refused.class == Class::Sealed,
                "silence" => refused.class == Class::BadArguments,
                _ => matches!(refused.class, Class::Revoked | Class::NotGranted),
            };
            assert!(fits, "{word} {fed}: {refused:?}");
            assert!(gmail.lock().unwrap().sent == 0 && !body(&world).1, "{word} {fed}");
            assert!(ends(&world).contains(&ended("send", Ending::NotSent)), "{word} {fed}");
            // Where it may still be said, Gmail is told; and a seal does not wait for it.
            let told = acts(&world).contains(&"DELETE".to_owned());
            assert_eq!(told, matches!(word, "silence" | "adapter"), "{word} {fed}");
            assert_eq!(ends(&world).iter().any(|(step, _)| step == "cancel send"), told, "{word} {fed}");
            nothing_leaks(&world);
        }
    }
}

/// What Gmail kept of a mail is none to go on with: the same call begins anew, and of two only one can be sent.
#[tokio::test]
async fn after_a_cut_it_begins_anew() {
    let (world, gmail) = world(vec![]).await;
    let all = content(3 * MARK);
    gmail.lock().unwrap().asked = Reply::Kept(MARK as u64);
    for _ in 0..2 {
        let uploading = begin(&world, mail(&all)).await.unwrap();
        assert_eq!(uploading.offset, 0);
        feed(&uploading, &all[..2 * MARK]).await;
        assert_eq!(class(done(uploading).await), Class::BadArguments);
    }
    send(&world, &all, &[PIECE]).await.unwrap();
    assert_eq!(acts(&world), ["POST", "PUT", "DELETE", "POST", "PUT", "DELETE", "POST", "PUT"]);
    assert_eq!(gmail.lock().unwrap().sent, 1);
    // Frozen, the session is not even ended: it ends by itself, and without its last piece sends nothing.
    let uploading = begin(&world, mail(&all)).await.unwrap();
    feed(&uploading, &all[..2 * MARK]).await;
    world.broker.freeze(ADMIN, &agent("ann"), "enough").await.unwrap();
    assert_eq!(class(done(uploading).await), Class::Frozen);
    settle().await;
    assert_eq!(acts(&world).last().unwrap(), "PUT");
}

/// All of it went, and no answer came: Gmail is asked, and only where it says that it has nothing and ended it is the mail
/// sent by the same call.
#[tokio::test]
async fn a_mail_whose_answer_was_lost_is_not_sent_twice() {
    let all = content(2 * PIECE);
    for (last, asked, ends_with, expected, sent) in [
        (Reply::Broken, Reply::Made, 499, Ok(true), 1),
        (Reply::Status(503), Reply::Made, 499, Ok(true), 1),
        // It has a part, and ends it.
        (Reply::Broken, Reply::Kept(MARK as u64), 499, Ok(false), 1),
        (Reply::Broken, Reply::Kept(0), 204, Ok(false), 1),
        // It has a part, and does not say what became of it.
        (Reply::Broken, Reply::Kept(0), 404, Err(Class::Unknown), 0),
        (Reply::Broken, Reply::Kept(MARK as u64), 500, Err(Class::Unknown), 0),
        (Reply::Broken, Reply::Kept(0), 200, Err(Class::Unknown), 0),
        // It knows nothing of it any more.
        (Reply::Broken, Reply::Status(404), 499, Err(Class::Unknown), 0),
        (Reply::Broken, Reply::Status(503), 499, Err(Class::Upstream), 0),
    ] {
        let (world, gmail) = world(vec![]).await;
        gmail.lock().unwrap().last = last;
        let first = send(&world, &all, &[PIECE]).await;
        assert!(matches!(class(first), Class::Unknown | Class::Upstream));
        {
            let mut gmail = gmail.lock().unwrap();
            (gmail.asked, gmail.ends, gmail.last) = (asked, ends_with, Reply::Made);
        }
        let begun = || acts(&world).iter().filter(|act| *act == "POST").count();
        let again = begin(&world, mail(&all)).await;
        match (again, expected) {
            (Ok(uploading), Ok(was_sent)) => {
                assert_eq!(uploading.offset, if was_sent { all.len() as u64 } else { 0 });
                feed(&uploading, &all[usize::try_from(uploading.offset).unwrap()..]).await;
                let sent = done(uploading).await.unwrap();
                assert!(String::from_utf8_lossy(&sent.body).contains("new1"));
                assert_eq!(begun(), if was_sent { 1 } else { 2 });
            }
            (Err(refused), Err(expected)) => {
                assert_eq!(refused.class, expected);
                assert_eq!(begun(), 1);
            }
            (again, expected) => panic!("{expected:?}: {:?}", again.map(|uploading| uploading.offset)),
        }
        assert_eq!(gmail.lock().unwrap().sent, sent);
        nothing_leaks(&world);
    }
}

#[tokio::test]
async fn an_answer_before_the_end_sends_nothing_that_is_believed() {
    for (status, expected, ended) in [
        (503, Class::Upstream, true),
        (308, Class::Upstream, true),
        (403, Class::Upstream, false),
        (200, Class::Unknown, false),
    ] {
        let (world, gmail) = world(vec![]).await;
        gmail.lock().unwrap().early = Some(status);
        let all = content(3 * MARK);
        assert_eq!(class(send(&world, &all, &[PIECE]).await), expected, "{status}");
        assert_eq!(acts(&world).contains(&"DELETE".to_owned()), ended, "{status}");
        gmail.lock().unwrap().early = None;
        send(&world, &all, &[PIECE]).await.unwrap();
        assert_eq!(acts(&world).last().unwrap(), "PUT", "{status}: anew");
        assert_eq!(gmail.lock().unwrap().sent, 1);
    }
}
