//! The bulk socket from outside, with a vault whose streams say what the test wants.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use claviger_canonical::base64url;
use claviger_mcp::host::{Clients, bulk_socket};
use claviger_proto::bulk::{MESSAGE, PIECE};
use claviger_proto::connect::{Server, connect_for_streams};
use claviger_proto::refusal::from_status;
use claviger_proto::v1;
use claviger_proto::v1::bulk_service_client::BulkServiceClient;
use claviger_proto::v1::{download_frame, fetch_frame, put_frame, put_reply, upload_frame, upload_reply};
use ring::digest::{SHA256, digest};
use rmcp::model::CallToolResult;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::fake::{Client, Fake, GOOD, Reply, Rig, own_uid, params, refusal, refuse, text};

type Frames = mpsc::Sender<Result<v1::DownloadFrame, Status>>;
type Heard = mpsc::Receiver<Result<Option<v1::UploadFrame>, Status>>;
type Replies = mpsc::Sender<Result<v1::UploadReply, Status>>;

/// An adapter for Drive with one file of that size.
async fn rig(tool: &str, size: usize) -> Rig {
    let fake = Fake::new(tool, move |step, _| match step {
        "metadata" => Reply::Json(json!({
            "id": "f1", "name": "a\u{202e}b.bin", "mimeType": "application/pdf", "size": size.to_string(),
            "sha256Checksum": "ab".repeat(32), "headRevisionId": "r7",
        })),
        _ => Reply::Broken,
    });
    Rig::new("drive", fake).await
}

/// The vault's next answer to `Download`. It holds one frame at a time.
fn download(rig: &Rig) -> Frames {
    let (frames, receiver) = mpsc::channel(1);
    *rig.fake.streams.download.lock().unwrap() = Some(receiver);
    frames
}

/// The vault's next answer to `Upload`.
fn upload(rig: &Rig) -> (Heard, Replies) {
    let (heard, hears) = mpsc::channel(1);
    let (replies, replied) = mpsc::channel(1);
    *rig.fake.streams.upload.lock().unwrap() = Some((heard, replied));
    (hears, replies)
}

async fn bulk(rig: &Rig) -> BulkServiceClient<Channel> {
    let socket = bulk_socket(&rig.endpoint());
    let channel = connect_for_streams(&socket, Server::Uid(own_uid()), 4).await.unwrap();
    BulkServiceClient::new(channel).max_decoding_message_size(MESSAGE)
}

async fn call(client: &Client, tool: &str, arguments: Value) -> CallToolResult {
    client.peer().call_tool(params(tool, arguments, Some(GOOD))).await.unwrap()
}

fn ticket(result: &CallToolResult) -> Vec<u8> {
    let told = &result.meta.as_ref().unwrap().0["claviger/ticket"];
    base64url::decode(told["ticket"].as_str().unwrap()).unwrap()
}

async fn open_fetch(rig: &Rig, client: &Client) -> Vec<u8> {
    let result = call(client, "drive.download_file", json!({"file_id": "f1"})).await;
    assert_eq!(rig.steps().last().unwrap(), "metadata");
    ticket(&result)
}

async fn fetch(rig: &Rig, ticket: &[u8]) -> Result<Streaming<v1::FetchFrame>, Status> {
    let request = v1::FetchRequest { ticket: ticket.to_vec() };
    Ok(bulk(rig).await.fetch(request).await?.into_inner())
}

fn head(length: Option<u64>) -> v1::DownloadFrame {
    let head = v1::DownloadHead { status: 200, length, total: length, untrusted: true, ..Default::default() };
    v1::DownloadFrame { frame: Some(download_frame::Frame::Head(head)) }
}

fn piece(bytes: &[u8]) -> v1::DownloadFrame {
    v1::DownloadFrame { frame: Some(download_frame::Frame::Piece(bytes.to_vec())) }
}

fn end(length: u64) -> v1::DownloadFrame {
    let end = v1::DownloadEnd { length, sha256: vec![7; 32] };
    v1::DownloadFrame { frame: Some(download_frame::Frame::End(end)) }
}

fn class(status: &Status) -> String {
    from_status(status).map(|refusal| refusal.class).unwrap_or_default()
}

/// Reads to the end, which is a status unless all was well.
async fn read(stream: &mut Streaming<v1::FetchFrame>) -> (Vec<u8>, Result<u64, String>) {
    let mut bytes = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(v1::FetchFrame { frame: Some(fetch_frame::Frame::Piece(piece)) })) => bytes.extend(piece),
            Ok(Some(v1::FetchFrame { frame: Some(fetch_frame::Frame::End(end)) })) => {
                assert!(stream.message().await.unwrap().is_none());
                return (bytes, Ok(end.length));
            }
            Ok(Some(_)) => {}
            Ok(None) => return (bytes, Err("no end".to_owned())),
            Err(status) => return (bytes, Err(class(&status))),
        }
    }
}

#[tokio::test]
async fn bytes_pass_once_for_a_ticket() {
    let rig = rig("drive.download_file", 5).await;
    let client = rig.client().await;
    let result = call(&client, "drive.download_file", json!({"file_id": "f1"})).await;
    let told = result.meta.as_ref().unwrap().0["claviger/ticket"].clone();
    assert_eq!(
        (&told["direction"], &told["socket"], &told["size"], &told["version"], &told["offset"]),
        (&json!("fetch"), &json!("mcp.bulk"), &json!(5), &json!("r7"), &json!(0))
    );
    // The ticket is in its one place alone, and the name does not deceive.
    let shown = serde_json::to_string(&result).unwrap();
    assert_eq!(shown.matches(told["ticket"].as_str().unwrap()).count(), 1);
    assert!(!shown.contains('\u{202e}'));
    let frames = download(&rig);
    let mut stream = fetch(&rig, &ticket(&result)).await.unwrap();
    for frame in [head(Some(5)), piece(b"hel"), piece(b"lo"), end(5)] {
        frames.send(Ok(frame)).await.unwrap();
    }
    assert_eq!(read(&mut stream).await, (b"hello".to_vec(), Ok(5)));
    let begun = rig.fake.streams.begun.lock().unwrap().pop().unwrap();
    assert_eq!((begun.step.as_str(), begun.params.len()), ("content", 0));
    assert_eq!(begun.capability, rig.fake.minted.capability);
    // Used, guessed, cut short: one class.
    for bad in [ticket(&result), vec![0; 16], ticket(&result)[..15].to_vec(), Vec::new()] {
        assert_eq!(class(&fetch(&rig, &bad).await.unwrap_err()), "bad-ticket");
    }
    assert!(rig.fake.streams.begun.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_socket_lies_beside_the_endpoint_and_goes_with_it() {
    let rig = rig("drive.download_file", 5).await;
    let socket = bulk_socket(&rig.endpoint());
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    rig.shutdown.cancel();
    rig.host.await.unwrap();
    assert!(!socket.exists());
}

/// The vault decides, between two pieces; what it says reaches the client.
#[tokio::test]
async fn a_cut_of_the_vaults_is_told() {
    let rig = rig("drive.download_file", 5).await;
    let client = rig.client().await;
    for (cut, expected) in [
        (refuse("revoked", "", "ref_00000000000000dd"), "revoked"),
        (refuse("frozen", "", ""), "frozen"),
        (Status::internal("canary"), "unavailable"),
    ] {
        let frames = download(&rig);
        let ticket = open_fetch(&rig, &client).await;
        let mut stream = fetch(&rig, &ticket).await.unwrap();
        frames.send(Ok(head(Some(5)))).await.unwrap();
        frames.send(Ok(piece(b"hel"))).await.unwrap();
        frames.send(Err(cut)).await.unwrap();
        assert_eq!(read(&mut stream).await, (b"hel".to_vec(), Err(expected.to_owned())));
    }
}

#[tokio::test]
async fn what_is_not_in_order_is_cut() {
    let rig = rig("drive.download_file", 5).await;
    let client = rig.client().await;
    let absent = |status| {
        let head = v1::DownloadHead { status, ..Default::default() };
        v1::DownloadFrame { frame: Some(download_frame::Frame::Head(head)) }
    };
    let elsewhere = {
        let head = v1::DownloadHead { status: 206, offset: 3, ..Default::default() };
        v1::DownloadFrame { frame: Some(download_frame::Frame::Head(head)) }
    };
    for (what, told, expected) in [
        ("no head", vec![piece(b"x")], "upstream"),
        ("two heads", vec![head(None), head(None)], "upstream"),
        ("too many", vec![head(Some(2)), piece(b"hel")], "upstream"),
        ("too few", vec![head(Some(5)), piece(b"hel"), end(3)], "upstream"),
        ("a lie", vec![head(None), piece(b"hel"), end(4)], "upstream"),
        ("too large", vec![head(None), piece(&vec![0; PIECE + 1])], "upstream"),
        ("empty", vec![head(None), piece(b"")], "upstream"),
        ("no end", vec![head(None), piece(b"hel")], "unavailable"),
        ("nothing", vec![], "unavailable"),
        ("not there", vec![absent(404)], "out-of-scope"),
        ("gone", vec![absent(410)], "out-of-scope"),
        ("a fault", vec![absent(500)], "upstream"),
        ("elsewhere", vec![elsewhere], "upstream"),
    ] {
        let frames = download(&rig);
        let ticket = open_fetch(&rig, &client).await;
        let mut stream = fetch(&rig, &ticket).await.unwrap();
        for frame in told {
            if frames.send(Ok(frame)).await.is_err() {
                break;
            }
        }
        drop(frames);
        assert_eq!(read(&mut stream).await.1, Err(expected.to_owned()), "{what}");
    }
}

/// A client that does not read stops the vault after a few pieces: nothing piles up here.
#[tokio::test]
async fn a_slow_reader_slows_the_vault() {
    let rig = rig("drive.download_file", 5).await;
    let client = rig.client().await;
    let frames = download(&rig);
    let ticket = open_fetch(&rig, &client).await;
    let mut stream = fetch(&rig, &ticket).await.unwrap();
    frames.send(Ok(head(None))).await.unwrap();
    let mut given = 0_u64;
    while let Ok(sent) =
        tokio::time::timeout(Duration::from_millis(500), frames.send(Ok(piece(&vec![1; PIECE])))).await
    {
        sent.unwrap();
        given += 1;
        assert!(given < 64, "it reads ahead without a bound");
    }
    // What is under way in the two windows, and in hand: under a megabyte and a half.
    assert!(given <= 24, "{given}");
    let writer = tokio::spawn(async move {
        for _ in 0..100 {
            frames.send(Ok(piece(&vec![1; PIECE]))).await.unwrap();
        }
        frames.send(Ok(end((given + 100) * PIECE as u64))).await.unwrap();
    });
    assert_eq!(read(&mut stream).await.1, Ok((given + 100) * PIECE as u64));
    writer.await.unwrap();
}

#[tokio::test]
async fn who_leaves_ends_the_vaults_stream() {
    let rig = rig("drive.download_file", 5).await;
    let client = rig.client().await;
    // The one who fetches.
    let frames = download(&rig);
    let ticket = open_fetch(&rig, &client).await;
    let mut stream = fetch(&rig, &ticket).await.unwrap();
    frames.send(Ok(head(None))).await.unwrap();
    stream.message().await.unwrap();
    drop(stream);
    frames.closed().await;
    // The one who called.
    let frames = download(&rig);
    let ticket = open_fetch(&rig, &client).await;
    let unused = open_fetch(&rig, &client).await;
    let mut stream = fetch(&rig, &ticket).await.unwrap();
    frames.send(Ok(head(None))).await.unwrap();
    stream.message().await.unwrap();
    client.cancel().await.unwrap();
    frames.closed().await;
    assert_eq!(read(&mut stream).await.1, Err("unavailable".to_owned()));
    assert_eq!(class(&fetch(&rig, &unused).await.unwrap_err()), "bad-ticket");
}

#[tokio::test]
async fn tickets_have_a_bound() {
    let rig = rig("drive.download_file", 5).await;
    let client = rig.client().await;
    for _ in 0..8 {
        open_fetch(&rig, &client).await;
    }
    let result = call(&client, "drive.download_file", json!({"file_id": "f1"})).await;
    assert_eq!(refusal(&result)["class"], "busy");
}

/// Through the adapter for all users too: who connects is asked of the kernel, and the ticket is for them.
#[tokio::test]
async fn an_upload_passes_and_its_answer_is_the_result() {
    let rig = rig("drive.upload_file", 0).await;
    let client = rig.client().await;
    let (mut heard, replies) = upload(&rig);
    let arguments = json!({"file": {"name": "a.bin", "sha256": "ab".repeat(32), "size": 8}});
    let result = call(&client, "drive.upload_file", arguments).await;
    let told = result.meta.as_ref().unwrap().0["claviger/ticket"].clone();
    assert_eq!((&told["direction"], &told["size"]), (&json!("put"), &json!(8)));
    let (pieces, mut answers) = put(&rig, ticket(&result)).await;
    let Ok(Some(v1::UploadFrame { frame: Some(upload_frame::Frame::Begin(begin)) })) =
        heard.recv().await.unwrap()
    else {
        panic!("no begin")
    };
    assert_eq!((begin.step.as_str(), begin.capability), ("upload", rig.fake.minted.capability.clone()));
    // An upload that was cut goes on in the middle.
    replies.send(Ok(go(3))).await.unwrap();
    assert_eq!(
        answers.message().await.unwrap().unwrap().reply,
        Some(put_reply::Reply::Go(v1::UploadGo { offset: 3 }))
    );
    pieces.send(bytes(b"lo")).await.unwrap();
    pieces.send(bytes(b" me")).await.unwrap();
    drop(pieces);
    let mut body = Vec::new();
    while let Ok(Some(v1::UploadFrame { frame: Some(upload_frame::Frame::Piece(piece)) })) =
        heard.recv().await.unwrap()
    {
        body.extend(piece);
    }
    assert_eq!(body, b"lo me");
    let answer = json!({"id": "f9", "size": "8", "modifiedTime": "2026-01-01T00:00:00Z"});
    let answer =
        v1::SendResponse { status: 200, body: answer.to_string().into_bytes().into(), ..Default::default() };
    replies.send(Ok(v1::UploadReply { reply: Some(upload_reply::Reply::Done(answer)) })).await.unwrap();
    let result = done(&mut answers).await;
    assert_eq!(result["structuredContent"]["id"], "f9");
    assert!(result["content"][0]["text"].as_str().unwrap().contains("Made"), "{result}");
}

/// A mail with a file: the adapter hands the bytes on as they come, and tells what Gmail answered as for any mail.
#[tokio::test]
async fn a_file_of_a_mail_passes_as_it_is() {
    for (answer, expected) in [
        (json!({"id": "m9", "threadId": "t9"}), Ok(("m9", "t9"))),
        // Gmail took it, or it did not.
        (json!({}), Err("unknown")),
    ] {
        let rig = Rig::new("gmail", Fake::new("gmail.send_file", |_, _| Reply::Broken)).await;
        let client = rig.client().await;
        let (mut heard, replies) = upload(&rig);
        let file = json!({"name": "a.pdf", "sha256": "ab".repeat(32), "size": 8});
        let arguments = json!({"to": ["a@example.org"], "subject": "s", "body": "b", "file": file});
        let result = call(&client, "gmail.send_file", arguments).await;
        let told = result.meta.as_ref().unwrap().0["claviger/ticket"].clone();
        assert_eq!((&told["direction"], &told["size"]), (&json!("put"), &json!(8)));
        let (pieces, mut answers) = put(&rig, ticket(&result)).await;
        let Ok(Some(v1::UploadFrame { frame: Some(upload_frame::Frame::Begin(begin)) })) =
            heard.recv().await.unwrap()
        else {
            panic!("no begin")
        };
        assert_eq!((begin.step.as_str(), begin.params.len()), ("send", 0));
        replies.send(Ok(go(0))).await.unwrap();
        answers.message().await.unwrap().unwrap();
        pieces.send(bytes(b"hello ")).await.unwrap();
        pieces.send(bytes(b"me")).await.unwrap();
        drop(pieces);
        let mut body = Vec::new();
        while let Ok(Some(v1::UploadFrame { frame: Some(upload_frame::Frame::Piece(piece)) })) =
            heard.recv().await.unwrap()
        {
            body.extend(piece);
        }
        assert_eq!(body, b"hello me");
        let answer = v1::SendResponse {
            status: 200,
            body: answer.to_string().into_bytes().into(),
            ..Default::default()
        };
        replies.send(Ok(v1::UploadReply { reply: Some(upload_reply::Reply::Done(answer)) })).await.unwrap();
        let result = done(&mut answers).await;
        match expected {
            Ok((id, thread)) => {
                let told = &result["structuredContent"];
                assert_eq!((&told["id"], &told["thread_id"]), (&json!(id), &json!(thread)));
            }
            Err(class) => assert_eq!(result["_meta"]["claviger/refusal"]["class"], class, "{result}"),
        }
    }
    // Without a file nothing waits for one.
    let rig = Rig::new("gmail", Fake::new("gmail.send_file", |_, _| Reply::Broken)).await;
    let client = rig.client().await;
    for file in [json!({"name": "a.pdf"}), json!("a.pdf"), json!(null)] {
        let result = call(&client, "gmail.send_file", json!({"file": file})).await;
        assert_eq!(refusal(&result)["class"], "bad-arguments");
    }
}

fn go(offset: u64) -> v1::UploadReply {
    v1::UploadReply { reply: Some(upload_reply::Reply::Go(v1::UploadGo { offset })) }
}

fn bytes(bytes: &[u8]) -> v1::PutFrame {
    v1::PutFrame { frame: Some(put_frame::Frame::Piece(bytes.to_vec())) }
}

async fn put(rig: &Rig, ticket: Vec<u8>) -> (mpsc::Sender<v1::PutFrame>, Streaming<v1::PutReply>) {
    let (pieces, frames) = mpsc::channel(1);
    pieces.send(v1::PutFrame { frame: Some(put_frame::Frame::Ticket(ticket)) }).await.unwrap();
    let answers = bulk(rig).await.put(ReceiverStream::new(frames)).await.unwrap();
    (pieces, answers.into_inner())
}

async fn done(answers: &mut Streaming<v1::PutReply>) -> Value {
    let Some(v1::PutReply { reply: Some(put_reply::Reply::Done(done)) }) = answers.message().await.unwrap()
    else {
        panic!("not done")
    };
    serde_json::from_slice(&done.result).unwrap()
}

/// An upload up to its `go`.
async fn begun(
    rig: &Rig,
    client: &Client,
) -> (Heard, Replies, mpsc::Sender<v1::PutFrame>, Streaming<v1::PutReply>) {
    let (mut heard, replies) = upload(rig);
    let arguments = json!({"file": {"name": "a.bin", "sha256": "ab".repeat(32), "size": 8}});
    let result = call(client, "drive.upload_file", arguments).await;
    let (pieces, mut answers) = put(rig, ticket(&result)).await;
    heard.recv().await.unwrap().unwrap().unwrap();
    replies.send(Ok(go(0))).await.unwrap();
    answers.message().await.unwrap().unwrap();
    (heard, replies, pieces, answers)
}

/// Whatever of the body is missing: it is short, and that is how the vault knows.
#[tokio::test]
async fn a_body_that_is_broken_off_is_short() {
    let rig = rig("drive.upload_file", 0).await;
    let client = rig.client().await;
    let ended_badly = async |mut heard: Heard| {
        let mut count = 0;
        while let Ok(Some(v1::UploadFrame { frame: Some(upload_frame::Frame::Piece(piece)) })) =
            heard.recv().await.unwrap()
        {
            count += piece.len();
        }
        assert!(count < 8, "the vault has {count} bytes");
    };
    // The client has gone.
    let (heard, _replies, pieces, answers) = begun(&rig, &client).await;
    pieces.send(bytes(b"hell")).await.unwrap();
    drop(answers);
    drop(pieces);
    ended_badly(heard).await;
    // It has gone after the last byte, and has not said that this was all.
    let (heard, _replies, pieces, answers) = begun(&rig, &client).await;
    pieces.send(bytes(b"hello ")).await.unwrap();
    pieces.send(bytes(b"me")).await.unwrap();
    drop(answers);
    // The request is broken off while its stream is still open.
    ended_badly(heard).await;
    drop(pieces);
    // It says that this is all.
    let (heard, _replies, pieces, mut answers) = begun(&rig, &client).await;
    pieces.send(bytes(b"hell")).await.unwrap();
    drop(pieces);
    assert_eq!(done(&mut answers).await["_meta"]["claviger/refusal"]["class"], "bad-arguments");
    drop(answers);
    ended_badly(heard).await;
    // It sends more than it said, a piece that is too large, an empty one, a ticket in between.
    for wrong in
        [bytes(b"hello you"), bytes(b""), v1::PutFrame { frame: Some(put_frame::Frame::Ticket(vec![0; 16])) }]
    {
        let (heard, _replies, pieces, mut answers) = begun(&rig, &client).await;
        pieces.send(wrong).await.unwrap();
        assert_eq!(done(&mut answers).await["_meta"]["claviger/refusal"]["class"], "bad-arguments");
        ended_badly(heard).await;
    }
    let (heard, _replies, pieces, _answers) = begun(&rig, &client).await;
    pieces.send(bytes(&vec![0; PIECE * 2])).await.unwrap();
    ended_badly(heard).await;
    // The one who called has gone.
    let (heard, _replies, pieces, _answers) = begun(&rig, &client).await;
    pieces.send(bytes(b"hell")).await.unwrap();
    client.cancel().await.unwrap();
    ended_badly(heard).await;
}

#[tokio::test]
async fn refusals_of_an_upload_are_its_result() {
    let rig = rig("drive.upload_file", 0).await;
    let client = rig.client().await;
    let (_heard, replies, pieces, mut answers) = begun(&rig, &client).await;
    pieces.send(bytes(b"hell")).await.unwrap();
    replies.send(Err(refuse("revoked", "", "ref_00000000000000dd"))).await.unwrap();
    let result = done(&mut answers).await;
    assert_eq!(result["_meta"]["claviger/refusal"]["class"], "revoked");
    assert_eq!(result["content"][0]["text"], "refused: revoked, ref_00000000000000dd");
    // Whole, and then silence: nobody knows.
    let (mut heard, replies, pieces, mut answers) = begun(&rig, &client).await;
    pieces.send(bytes(b"hello me")).await.unwrap();
    drop(pieces);
    while heard.recv().await.unwrap().unwrap().is_some() {}
    replies.send(Err(Status::internal("canary"))).await.unwrap();
    assert_eq!(done(&mut answers).await["_meta"]["claviger/refusal"]["class"], "unknown");
    // The service has said no.
    let (_heard, replies, pieces, mut answers) = begun(&rig, &client).await;
    pieces.send(bytes(b"hello me")).await.unwrap();
    drop(pieces);
    let answer = v1::SendResponse { status: 403, body: "{}".into(), ..Default::default() };
    replies.send(Ok(v1::UploadReply { reply: Some(upload_reply::Reply::Done(answer)) })).await.unwrap();
    assert_eq!(done(&mut answers).await["structuredContent"]["status"], 403);
}

#[tokio::test]
async fn documents_and_folders_have_no_bytes() {
    for mime_type in ["application/vnd.google-apps.folder", "application/vnd.google-apps.document"] {
        let fake = Fake::new("drive.download_file", move |_, _| {
            Reply::Json(json!({"id": "f1", "name": "n", "mimeType": mime_type}))
        });
        let rig = Rig::new("drive", fake).await;
        let result = rig.call("drive.download_file", json!({"file_id": "f1"})).await;
        assert_eq!(result.is_error, Some(true), "{}", text(&result));
        assert!(result.meta.is_none());
    }
}

/// Gmail gives small parts along with the mail: they pass the same way.
#[tokio::test]
async fn attachments_pass_too() {
    let fake = Fake::new("gmail.download_attachment", |_, _| {
        Reply::Json(json!({"id": "m1", "payload": {"mimeType": "multipart/mixed", "parts": [
            {"partId": "0", "mimeType": "application/pdf", "filename": "big.pdf", "body": {"attachmentId": "A1", "size": 9}},
            {"partId": "1", "mimeType": "text/plain", "filename": "s.txt", "body": {"size": 5, "data": "aGVsbG8"}},
        ]}}))
    });
    let rig = Rig::with("gmail", fake, Clients::single_user(), own_uid()).await;
    let client = rig.client().await;
    let small = call(&client, "gmail.download_attachment", json!({"message_id": "m1", "part": "1"})).await;
    let mut stream = fetch(&rig, &ticket(&small)).await.unwrap();
    let mut told = Vec::new();
    while let Some(frame) = stream.message().await.unwrap() {
        told.push(frame.frame.unwrap());
    }
    let sha256 = digest(&SHA256, b"hello").as_ref().to_vec();
    assert_eq!(told[1], fetch_frame::Frame::Piece(b"hello".to_vec()));
    assert_eq!(told[2], fetch_frame::Frame::End(v1::FetchEnd { length: 5, sha256 }));
    let large = call(&client, "gmail.download_attachment", json!({"message_id": "m1", "part": "0"})).await;
    let frames = download(&rig);
    let mut stream = fetch(&rig, &ticket(&large)).await.unwrap();
    for frame in [head(None), piece(b"%PDF"), end(4)] {
        frames.send(Ok(frame)).await.unwrap();
    }
    assert_eq!(read(&mut stream).await, (b"%PDF".to_vec(), Ok(4)));
    let begun = rig.fake.streams.begun.lock().unwrap().pop().unwrap();
    assert_eq!((begun.step.as_str(), begun.params["attachment_id"].as_str()), ("attachment", "A1"));
}
