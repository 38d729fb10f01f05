//! Files that are saved and sent, past the model.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use claviger_agent::{
    ApprovalId, CallOptions, CallOutcome, ClientError, Folder, FolderError, Session, Waited,
};
use claviger_canonical::{Canonical, base64url};
use claviger_proto::bulk::PIECE;
use claviger_proto::v1::bulk_service_server::{BulkService, BulkServiceServer};
use claviger_proto::v1::{self, fetch_frame, put_frame, put_reply};
use ring::digest::{SHA256, digest};
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value, json};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::cli::agent;
use crate::world::{APPROVAL, HANDLE, World, refused};

const TICKET: [u8; 16] = *b"canary-of-ticket";

type Frames = Vec<Result<v1::FetchFrame, Status>>;

/// How the adapter takes a body.
struct Take {
    /// From where it wants it.
    offset: u64,
    /// What happens before it says so.
    before: Box<dyn Fn() + Send + Sync>,
    /// What it answers; without one it breaks off after the first piece.
    done: Option<CallToolResult>,
}

#[derive(Default)]
struct Said {
    fetches: VecDeque<Frames>,
    puts: VecDeque<Take>,
    tickets: Vec<Vec<u8>>,
    /// The bodies that came, and whether each was told to be whole.
    bodies: Vec<(Vec<u8>, bool)>,
}

#[derive(Clone, Default)]
struct Bulk(Arc<Mutex<Said>>);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl BulkService for Bulk {
    type FetchStream = Answers<v1::FetchFrame>;
    type PutStream = Answers<v1::PutReply>;

    async fn fetch(&self, request: Request<v1::FetchRequest>) -> Result<Response<Self::FetchStream>, Status> {
        let mut said = self.0.lock().unwrap();
        said.tickets.push(request.into_inner().ticket);
        let frames = said.fetches.pop_front().unwrap();
        Ok(Response::new(Box::pin(tokio_stream::iter(frames))))
    }

    async fn put(
        &self,
        request: Request<Streaming<v1::PutFrame>>,
    ) -> Result<Response<Self::PutStream>, Status> {
        let (said, mut frames) = (self.0.clone(), request.into_inner());
        let (replies, answers) = mpsc::channel(1);
        tokio::spawn(async move {
            let Some(v1::PutFrame { frame: Some(put_frame::Frame::Ticket(ticket)) }) =
                frames.message().await.unwrap()
            else {
                panic!("no ticket")
            };
            let take = {
                let mut said = said.lock().unwrap();
                said.tickets.push(ticket);
                said.puts.pop_front().unwrap()
            };
            (take.before)();
            let reply = |reply| Ok(v1::PutReply { reply: Some(reply) });
            replies.send(reply(put_reply::Reply::Go(v1::UploadGo { offset: take.offset }))).await.unwrap();
            let (mut body, mut whole) = (Vec::new(), false);
            loop {
                match frames.message().await {
                    Ok(Some(v1::PutFrame { frame: Some(put_frame::Frame::Piece(piece)) })) => {
                        assert!((1..=PIECE).contains(&piece.len()));
                        body.extend(piece);
                    }
                    Ok(Some(_)) => panic!("two tickets"),
                    Ok(None) => {
                        whole = true;
                        break;
                    }
                    Err(_) => break,
                }
                if take.done.is_none() {
                    break;
                }
            }
            said.lock().unwrap().bodies.push((body, whole));
            if let Some(done) = take.done {
                let result = serde_json::to_vec(&done).unwrap();
                let _ = replies.send(reply(put_reply::Reply::Done(v1::PutDone { result }))).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers).map(|answer| answer))))
    }
}

struct Files {
    world: Arc<World>,
    bulk: Bulk,
    session: Session,
    folder: PathBuf,
    _dir: tempfile::TempDir,
}

fn tool(name: &str, schema: Value) -> v1::Tool {
    v1::Tool { input_schema: schema.to_string().into_bytes(), ..crate::world::tool(name, "read") }
}

fn tools() -> [v1::Tool; 3] {
    let id = json!({"type": "string"});
    let offset = json!({"type": "integer", "x-claviger": "offset"});
    let file = json!({"type": "string", "x-claviger": "upload"});
    let object = |properties: Value| json!({"type": "object", "properties": properties});
    let mut once = object(json!({"id": id}));
    once["x-claviger"] = json!("download");
    [
        tool("demo.file_down", object(json!({"id": id, "offset": offset}))),
        tool("demo.file_once", once),
        tool("demo.file_up", object(json!({"file": file, "name": id}))),
    ]
}

async fn files() -> Files {
    let world = World::start();
    world.truth.lock().unwrap().tools.extend(tools());
    let bulk = Bulk::default();
    let listener = UnixListener::bind(world.path().join("adapter.bulk.sock")).unwrap();
    let service = BulkServiceServer::new(bulk.clone());
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(UnixListenerStream::new(listener)),
    );
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let session = world.session().await.with_folder(Some(Arc::new(Folder::open(&folder).unwrap())));
    Files { world, bulk, session, folder, _dir: dir }
}

fn ticket(direction: &str, extra: Value) -> CallToolResult {
    let mut ticket = json!({
        "ticket": base64url::encode(&TICKET), "socket": "adapter.bulk.sock", "direction": direction, "name": "a.bin",
    });
    ticket.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let mut result = CallToolResult::success(vec![ContentBlock::text("a.bin, a file")]);
    result.structured_content = Some(json!({"id": "f1"}));
    result.meta = serde_json::from_value(json!({"claviger/ticket": ticket, "other": 1})).unwrap();
    result
}

fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All frames of an answer that goes well.
fn whole(offset: u64, bytes: &[u8]) -> Frames {
    let mut frames = cut(offset, bytes);
    let sha256 = digest(&SHA256, bytes).as_ref().to_vec();
    let end = v1::FetchEnd { length: bytes.len() as u64, sha256 };
    frames.push(Ok(v1::FetchFrame { frame: Some(fetch_frame::Frame::End(end)) }));
    frames
}

/// Without the end.
fn cut(offset: u64, bytes: &[u8]) -> Frames {
    let head = v1::DownloadHead { status: 200, offset, ..Default::default() };
    let mut frames = vec![Ok(v1::FetchFrame { frame: Some(fetch_frame::Frame::Head(head)) })];
    for piece in bytes.chunks(PIECE) {
        frames.push(Ok(v1::FetchFrame { frame: Some(fetch_frame::Frame::Piece(piece.to_vec())) }));
    }
    frames
}

impl Files {
    fn will_say(&self, result: CallToolResult) {
        self.world.truth.lock().unwrap().results.push_back(result);
    }

    fn will_send(&self, frames: Frames) {
        self.bulk.0.lock().unwrap().fetches.push_back(frames);
    }

    fn will_take(&self, offset: u64, done: Option<CallToolResult>) {
        self.will_take_after(offset, done, || ());
    }

    fn will_take_after(
        &self,
        offset: u64,
        done: Option<CallToolResult>,
        before: impl Fn() + Send + Sync + 'static,
    ) {
        self.bulk.0.lock().unwrap().puts.push_back(Take { offset, before: Box::new(before), done });
    }

    async fn call(&self, name: &str, arguments: Value) -> Result<CallToolResult, ClientError> {
        let Value::Object(arguments) = arguments else { panic!() };
        match self.session.call(name, arguments).await? {
            CallOutcome::Answered(result) => {
                let shown = format!("{}{result:?}", serde_json::to_string(&result).unwrap());
                assert!(
                    !shown.contains(&base64url::encode(&TICKET)) && !shown.contains("claviger/ticket"),
                    "{shown}"
                );
                Ok(result)
            }
            CallOutcome::Refused(refusal) => panic!("{refusal}"),
        }
    }

    async fn fails(&self, name: &str, arguments: Value) -> ClientError {
        self.call(name, arguments).await.unwrap_err()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.join(name)).unwrap()
    }

    /// The arguments that were presented.
    fn presented(&self) -> Vec<Value> {
        self.world.truth.lock().unwrap().calls.iter().map(|(_, arguments, _)| arguments.clone()).collect()
    }
}

fn text(result: &CallToolResult) -> String {
    result.content.iter().map(|block| block.as_text().unwrap().text.clone()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_download_is_saved_and_told() {
    let files = files().await;
    let bytes: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    for (number, name) in ["a.bin", "a (2).bin"].into_iter().enumerate() {
        files.will_say(ticket(
            "fetch",
            json!({"size": bytes.len(), "sha256": sha256(&bytes), "version": "1"}),
        ));
        files.will_send(whole(0, &bytes));
        let result = files.call("demo_file_down", json!({"id": "f1"})).await.unwrap();
        assert!(files.read(name) == bytes);
        assert_eq!(
            result.structured_content,
            Some(
                json!({"id": "f1", "saved_as": name, "folder": files.folder, "saved_bytes": 300_000, "sha256": sha256(&bytes)})
            )
        );
        let told = text(&result);
        assert!(
            told.starts_with(&format!("a.bin, a file\nSaved in {} as \"a", files.folder.display())),
            "{told}"
        );
        // What else the adapter put there stays.
        assert_eq!(result.meta.unwrap().0["other"], 1);
        assert_eq!(files.presented()[number], json!({"id": "f1"}));
    }
    // Where it begins is this client's to say.
    files.will_say(ticket("fetch", json!({})));
    files.will_send(whole(0, b"hello"));
    files.call("demo_file_down", json!({"id": "f1", "offset": 7})).await.unwrap();
    assert_eq!(files.presented()[2], json!({"id": "f1"}));
    fs::remove_file(files.folder.join("a (3).bin")).unwrap();
    assert_eq!(files.names(), ["a (2).bin", "a.bin"]);
    assert_eq!(files.bulk.0.lock().unwrap().tickets, [TICKET; 3]);
}

#[tokio::test]
async fn names_of_strangers_stay_in_the_folder() {
    let files = files().await;
    for (name, saved) in [("../../x", "_._.._x"), ("/etc/passwd", "_etc_passwd"), (".bashrc", "_bashrc")] {
        files.will_say(ticket("fetch", json!({"name": name})));
        files.will_send(whole(0, b"hello"));
        let result = files.call("demo_file_once", json!({"id": "f1"})).await.unwrap();
        assert_eq!(result.structured_content.unwrap()["saved_as"], saved);
    }
    assert_eq!(files.names().len(), 3);
    assert_eq!(fs::read_dir(files.folder.parent().unwrap()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_download_that_was_cut_goes_on() {
    let files = files().await;
    let bytes: Vec<u8> = (0..200_000_u32).map(|at| (at % 241) as u8).collect();
    let facts = |offset: usize| json!({"size": bytes.len(), "sha256": sha256(&bytes), "version": "1", "offset": offset});
    let refusal = v1::Refusal { class: "unavailable".to_owned(), ..Default::default() };
    for (end, broken) in [
        (70_000, Status::unavailable("canary")),
        (150_000, claviger_proto::refusal::to_status(Code::FailedPrecondition, &refusal)),
    ] {
        let begin = files.names().first().map_or(0, |name| files.read(name).len());
        files.will_say(ticket("fetch", facts(begin)));
        let mut frames = cut(begin as u64, &bytes[begin..end]);
        frames.push(Err(broken));
        files.will_send(frames);
        let error = files.fails("demo_file_down", json!({"id": "f1"})).await;
        assert!(matches!(error, ClientError::Cut { kept: true }), "{error}");
        assert_eq!(files.names().len(), 1);
        let name = files.names()[0].clone();
        assert!(name.starts_with("claviger-") && name.ends_with(".part"), "{name}");
        assert!(files.read(&name) == bytes[..end]);
    }
    // Another call of the same tool knows nothing of it.
    files.will_say(ticket("fetch", json!({"version": "1"})));
    files.will_send(whole(0, b"other"));
    files.call("demo_file_down", json!({"id": "f2"})).await.unwrap();
    files.will_say(ticket("fetch", facts(150_000)));
    files.will_send(whole(150_000, &bytes[150_000..]));
    let result = files.call("demo_file_down", json!({"id": "f1"})).await.unwrap();
    let told = result.structured_content.unwrap();
    assert_eq!((&told["sha256"], &told["saved_bytes"]), (&json!(sha256(&bytes)), &json!(200_000)));
    assert!(files.read(told["saved_as"].as_str().unwrap()) == bytes);
    assert_eq!(files.names(), ["a (2).bin", "a.bin"]);
    let offsets: Vec<Value> = files.presented().iter().map(|arguments| arguments["offset"].clone()).collect();
    assert_eq!(offsets, [json!(null), json!(70_000), json!(null), json!(150_000)]);
}

/// What came of one version is never joined with another.
#[tokio::test]
async fn another_version_begins_anew_once() {
    let files = files().await;
    files.will_say(ticket("fetch", json!({"version": "1"})));
    files.will_send(cut(0, b"hel"));
    assert!(matches!(
        files.fails("demo_file_down", json!({"id": "f1"})).await,
        ClientError::Cut { kept: true }
    ));
    files.will_say(ticket("fetch", json!({"version": "2", "offset": 3})));
    files.will_say(ticket("fetch", json!({"version": "2"})));
    files.will_send(whole(0, b"Hello you"));
    files.call("demo_file_down", json!({"id": "f1"})).await.unwrap();
    assert_eq!((files.names(), files.read("a.bin")), (vec!["a.bin".to_owned()], b"Hello you".to_vec()));
    assert_eq!(
        files.presented(),
        [json!({"id": "f1"}), json!({"id": "f1", "offset": 3}), json!({"id": "f1"})]
    );
    assert_eq!(files.bulk.0.lock().unwrap().tickets.len(), 2);
}

/// Without a word for the version, or a way to begin in the middle, there is nothing to go on with.
#[tokio::test]
async fn what_cannot_go_on_is_removed() {
    let files = files().await;
    for (name, facts) in
        [("demo_file_down", json!({"size": 10})), ("demo_file_once", json!({"version": "1"}))]
    {
        files.will_say(ticket("fetch", facts));
        files.will_send(cut(0, b"hel"));
        let error = files.fails(name, json!({"id": "f1"})).await;
        assert!(matches!(error, ClientError::Cut { kept: false }), "{error}");
        assert!(files.names().is_empty());
    }
}

#[tokio::test]
async fn what_is_not_what_was_told_is_removed() {
    let files = files().await;
    let other = {
        let mut frames = whole(0, b"hello");
        frames[1] = Ok(v1::FetchFrame { frame: Some(fetch_frame::Frame::Piece(b"hellO".to_vec())) });
        frames
    };
    let elsewhere = whole(2, b"llo");
    let two_heads = [cut(0, b""), whole(0, b"hello")].concat();
    let large = vec![
        cut(0, b"").pop().unwrap(),
        Ok(v1::FetchFrame { frame: Some(fetch_frame::Frame::Piece(vec![0; PIECE + 1])) }),
    ];
    for (what, facts, frames) in [
        ("size", json!({"size": 6, "version": "1"}), whole(0, b"hello")),
        ("endless", json!({"size": 4, "version": "1"}), whole(0, b"hello")),
        ("checksum", json!({"sha256": "ab".repeat(32)}), whole(0, b"hello")),
        ("on the way", json!({"size": 5, "version": "1"}), other),
        ("begins elsewhere", json!({"version": "1"}), elsewhere),
        ("two heads", json!({"size": 5}), two_heads),
        ("a large piece", json!({"size": 70_000}), large),
    ] {
        files.will_say(ticket("fetch", facts));
        files.will_send(frames);
        let error = files.fails("demo_file_down", json!({"id": "f1"})).await;
        assert!(matches!(error, ClientError::OtherContent | ClientError::Bulk(_)), "{what}: {error}");
        assert!(files.names().is_empty(), "{what}: {:?}", files.names());
    }
}

#[tokio::test]
async fn a_refusal_on_the_way_is_one() {
    let files = files().await;
    files.will_say(ticket("fetch", json!({"version": "1"})));
    let refusal = v1::Refusal {
        class: "revoked".to_owned(),
        reference: "ref_00aa".to_owned(),
        message: "canary".to_owned(),
        ..Default::default()
    };
    let mut frames = cut(0, b"hel");
    frames.push(Err(claviger_proto::refusal::to_status(Code::PermissionDenied, &refusal)));
    files.will_send(frames);
    let outcome = files.session.call("demo_file_down", Map::new()).await.unwrap();
    let CallOutcome::Refused(refusal) = outcome else { panic!("not refused") };
    assert_eq!((refusal.class(), refusal.reference()), ("revoked", Some("ref_00aa")));
}

/// Nothing is presented that could not be carried out.
#[tokio::test]
async fn without_a_folder_nothing_is_presented() {
    let files = files().await;
    let session = files.world.session().await;
    for name in ["demo_file_down", "demo_file_once", "demo_file_up"] {
        let error = session.call(name, Map::new()).await.unwrap_err();
        assert!(matches!(error, ClientError::NoFolder), "{error}");
        assert!(error.next_step().contains("--folder"));
    }
    assert!(files.presented().is_empty());
    // Where the schema does not say so, the ticket is not used.
    files.will_say(ticket("fetch", json!({})));
    files.world.truth.lock().unwrap().tools.push(tool("demo.file_silent", json!({"type": "object"})));
    session.refresh().await.unwrap();
    let error = session.call("demo_file_silent", Map::new()).await.unwrap_err();
    assert!(matches!(error, ClientError::NoFolder), "{error}");
    assert!(files.bulk.0.lock().unwrap().tickets.is_empty());
}

/// The adapter's word leads to no other socket.
#[tokio::test]
async fn a_ticket_leads_nowhere_else() {
    let files = files().await;
    for socket in ["../agent.sock", "/run/agent.sock", "..", ""] {
        files.will_say(ticket("fetch", json!({"socket": socket})));
        let error = files.fails("demo_file_down", json!({"id": "f1"})).await;
        assert!(matches!(error, ClientError::Bulk(_)), "{socket}: {error}");
    }
    files.will_say(ticket("fetch", json!({"socket": "nobody.sock"})));
    assert!(matches!(files.fails("demo_file_down", json!({"id": "f1"})).await, ClientError::Adapter(_)));
    // Bytes are asked for that this call does not send.
    files.will_say(ticket("put", json!({"size": 3})));
    assert!(matches!(files.fails("demo_file_down", json!({"id": "f1"})).await, ClientError::Bulk(_)));
    assert!(files.names().is_empty());
}

fn answer(text: &str) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

#[tokio::test]
async fn a_file_is_told_by_what_it_is_and_then_sent() {
    let files = files().await;
    let bytes: Vec<u8> = (0..200_000_u32).map(|at| (at % 239) as u8).collect();
    fs::create_dir(files.folder.join("sub")).unwrap();
    fs::write(files.folder.join("sub/a.bin"), &bytes).unwrap();
    for offset in [0, 70_000, 200_000] {
        files.will_say(ticket("put", json!({"size": 200_000})));
        files.will_take(offset as u64, Some(answer("made")));
        let result = files.call("demo_file_up", json!({"file": "sub/a.bin", "name": "n"})).await.unwrap();
        assert_eq!(text(&result), "made");
        assert!(files.bulk.0.lock().unwrap().bodies.pop().unwrap() == (bytes[offset..].to_vec(), true));
    }
    let file = json!({"name": "a.bin", "size": 200_000, "sha256": sha256(&bytes)});
    assert_eq!(files.presented()[0], json!({"file": file, "name": "n"}));
    // Its answer is held to the same as any.
    files.will_say(ticket("put", json!({})));
    files.will_take(0, Some(refused("withheld")));
    let arguments = json!({"file": "sub/a.bin"}).as_object().unwrap().clone();
    let outcome = files.session.call("demo_file_up", arguments).await.unwrap();
    assert!(matches!(outcome, CallOutcome::Refused(refusal) if refusal.class() == "withheld"));
    fs::write(files.folder.join("empty"), "").unwrap();
    files.will_say(ticket("put", json!({})));
    files.will_take(0, Some(answer("made")));
    files.call("demo_file_up", json!({"file": "empty"})).await.unwrap();
    assert_eq!(files.bulk.0.lock().unwrap().bodies.pop().unwrap(), (Vec::new(), true));
}

#[tokio::test]
async fn paths_out_of_the_folder_are_not_sent() {
    let files = files().await;
    let outside = files.folder.parent().unwrap().join("secret");
    fs::write(&outside, "canary").unwrap();
    symlink(&outside, files.folder.join("link")).unwrap();
    symlink("/dev/zero", files.folder.join("zero")).unwrap();
    for path in
        ["../secret", outside.to_str().unwrap(), "link", "zero", ".", "", "nothing", "/dev/zero", "~/x"]
    {
        let error = files.fails("demo_file_up", json!({"file": path})).await;
        let expected = [FolderError::BadPath.to_string(), FolderError::Absent.to_string()];
        assert!(expected.contains(&error.to_string()), "{path}: {error}");
    }
    assert!(files.presented().is_empty());
}

#[tokio::test]
async fn a_file_that_changes_on_the_way_is_never_whole() {
    let files = files().await;
    let path = files.folder.join("a.bin");
    for changed in [vec![2; 200_000], vec![1; 200_001], vec![1; 199_999]] {
        fs::write(&path, vec![1; 200_000]).unwrap();
        files.will_say(ticket("put", json!({})));
        let there = path.clone();
        files.will_take_after(0, Some(answer("made")), move || fs::write(&there, &changed).unwrap());
        let error = files.fails("demo_file_up", json!({"file": "a.bin"})).await;
        assert!(matches!(error, ClientError::Folder(FolderError::Changed)), "{error}");
        let body = loop {
            if let Some(body) = files.bulk.0.lock().unwrap().bodies.pop() {
                break body;
            }
            tokio::task::yield_now().await;
        };
        assert!(body.0.len() < 200_000);
    }
    // Another file in its place changes nothing: the open one is sent.
    fs::write(&path, vec![1; 200_000]).unwrap();
    files.will_say(ticket("put", json!({})));
    let (there, new) = (path.clone(), files.folder.join("new"));
    files.will_take_after(0, Some(answer("made")), move || {
        fs::write(&new, "other").unwrap();
        fs::rename(&new, &there).unwrap();
    });
    files.call("demo_file_up", json!({"file": "a.bin"})).await.unwrap();
    assert!(files.bulk.0.lock().unwrap().bodies.pop().unwrap() == (vec![1; 200_000], true));
}

#[tokio::test]
async fn an_upload_that_is_broken_off_made_nothing() {
    let files = files().await;
    fs::write(files.folder.join("a.bin"), vec![1; 3_000_000]).unwrap();
    files.will_say(ticket("put", json!({})));
    files.will_take(0, None);
    let error = files.fails("demo_file_up", json!({"file": "a.bin"})).await;
    assert!(matches!(error, ClientError::UploadCut), "{error}");
    assert!(error.to_string().contains("nothing was made"));
}

/// A person agrees to these bytes; they are looked for again, and nothing else is sent.
#[tokio::test]
async fn what_was_agreed_to_is_what_is_sent() {
    let files = files().await;
    fs::create_dir(files.folder.join("sub")).unwrap();
    fs::write(files.folder.join("sub/a.bin"), "hello").unwrap();
    files.will_say(refused("pending"));
    let arguments = json!({"file": "sub/a.bin"}).as_object().unwrap().clone();
    let outcome = files.session.call("demo_file_up", arguments).await.unwrap();
    assert!(matches!(outcome, CallOutcome::Refused(refusal) if refusal.class() == "pending"));
    let kept = files.presented().pop().unwrap();
    let agreed = v1::CollectResponse {
        state: "approved".to_owned(),
        handle: HANDLE.to_owned(),
        tool: "demo.file_up".to_owned(),
        arguments: Canonical::from_json(&kept).unwrap().bytes().to_vec(),
        ..Default::default()
    };
    files.world.truth.lock().unwrap().waiting.push((APPROVAL.to_owned(), agreed));
    let id = ApprovalId::parse(APPROVAL).unwrap();
    // Changed meanwhile: the yes is not used up.
    fs::write(files.folder.join("sub/a.bin"), "hellO").unwrap();
    let error = files.session.result(id, &CallOptions::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::UploadGone), "{error}");
    assert_eq!(files.presented().len(), 1);
    fs::write(files.folder.join("sub/a.bin"), "hello").unwrap();
    files.will_say(ticket("put", json!({})));
    files.will_take(0, Some(answer("made")));
    let ran = files.session.result(id, &CallOptions::default()).await.unwrap();
    assert!(matches!(ran, Waited::Ran(CallOutcome::Answered(result)) if text(&result) == "made"));
    assert_eq!(files.presented()[1], kept);
    // Another process, after this one has died, finds it by its name.
    fs::rename(files.folder.join("sub/a.bin"), files.folder.join("a.bin")).unwrap();
    let folder = Some(Arc::new(Folder::open(&files.folder).unwrap()));
    let later = files.world.session().await.with_folder(folder);
    files.will_say(ticket("put", json!({})));
    files.will_take(0, Some(answer("made")));
    assert!(matches!(later.result(id, &CallOptions::default()).await.unwrap(), Waited::Ran(_)));
}

#[tokio::test]
async fn progress_goes_to_who_asked() {
    let files = files().await;
    let (progress, mut reports) = mpsc::channel(16);
    files.will_say(ticket("fetch", json!({"size": 300_000})));
    files.will_send(whole(0, &vec![1; 300_000]));
    let options = CallOptions { timeout: None, progress: Some(progress) };
    files.session.call_with("demo_file_down", Map::new(), &options).await.unwrap();
    // The clock of this session stands still: one report.
    let report = reports.try_recv().unwrap();
    assert_eq!((report.progress, report.total), (PIECE as f64, Some(300_000.0)));
    assert!(reports.try_recv().is_err());
}

#[tokio::test]
async fn the_program_takes_a_folder() {
    let files = files().await;
    let folder = files.folder.to_str().unwrap();
    files.will_say(ticket("fetch", json!({})));
    files.will_send(whole(0, b"hello"));
    let (exit, out, err) =
        agent(&files.world, &["call", "--folder", folder, "demo_file_down", "id=f1"]).await;
    assert_eq!((exit as u8, err.as_str()), (0, ""), "{out}");
    assert!(
        out.ends_with(&format!("Saved in {folder} as \"a.bin\": 5 bytes, sha256 {}\n", sha256(b"hello"))),
        "{out}"
    );
    for (words, expected) in [
        (&["call", "demo_file_down", "id=f1"][..], "no folder is configured"),
        (
            &["call", "--folder", "/nonexistent/x", "demo_file_down"],
            "the folder /nonexistent/x cannot be used",
        ),
        (&["call", "--folder", folder, "demo_file_up", "file=../x"], "no path below the folder"),
    ] {
        let (exit, _, err) = agent(&files.world, words).await;
        assert_eq!(exit as u8, 2, "{err}");
        assert!(err.contains(expected), "{err}");
    }
    // The argument that only the client fills in is not offered, and neither are the marks.
    let (_, out, _) = agent(&files.world, &["ls", "--json"]).await;
    assert!(!out.contains("offset") && !out.contains("x-claviger"), "{out}");
}
