//! Files that pass beside the model: in bounded memory, cut by whoever may, resumed, and nowhere but in one folder.

use claviger_proto::v1::{self, FetchFrame, fetch_frame, put_frame, put_reply};
use claviger_tests::world::bulk::{peak_mb, read_on, ticket};
use claviger_tests::world::raw::{Thief, class};
use claviger_tests::world::users::{Users, Who};
use claviger_tests::world::{AGENT, Plan, World, note};
use ring::digest::{SHA256, digest};
use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};
use stand_in_google::{Config, Letter, LoggedRequest, Seed, SeedFile, SeedMail};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// When seeded files were made, in milliseconds since 1970.
const AT: i64 = 1_794_009_600_000;
/// The most memory of each process, in MB.
const MOST: f64 = 64.0;

/// The size of the large file, in bytes: 200 MiB, or as many as `CLAVIGER_TEST_LARGE_MIB` says.
fn large() -> usize {
    let mib = std::env::var("CLAVIGER_TEST_LARGE_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    mib * 1024 * 1024
}

/// Bytes that compress to nothing and repeat nowhere soon.
pub(crate) fn bytes(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A world with these files in the folder `Agent`, all of it granted.
async fn world(files: &[(&str, &[u8])], users: Users) -> World {
    let mut seed = Seed::demo();
    for (name, content) in files {
        let file = SeedFile::new(&format!("Agent/{name}"), "application/octet-stream", "", AT);
        seed.files.push(SeedFile { content: content.to_vec(), ..file });
    }
    let letter = Letter::new("mona@example.com", "me@example.org", "A large one").text("See there.").attach(
        "large.pdf",
        "application/pdf",
        &bytes(3_000_000, 5),
    );
    seed.mails.push(SeedMail::new(&["INBOX", "AI"], AT, letter));
    let world =
        World::start(Plan { users, google: Config { seed, ..Config::default() }, ..Plan::default() }).await;
    world.add_secrets().await;
    world.usual_grants().await;
    let upload =
        [AGENT, "drive/me", "--tool", "drive.upload_file", "--folder", "Agent", "--approve", "never"];
    world.grant(&upload).await;
    world
}

fn id(world: &World, name: &str) -> String {
    world.google.file_id(&format!("Agent/{name}")).unwrap()
}

/// What curl takes for the same way down and up, by itself and with a token in its hand.
fn by_curl(world: &World, id: &str) -> [std::time::Duration; 2] {
    let place = tempfile::tempdir().unwrap();
    let (pem, file) = (place.path().join("ca.pem"), place.path().join("file"));
    std::fs::write(&pem, world.google.ca_pem()).unwrap();
    let bearer = format!("Authorization: Bearer {}", world.google.direct_token(&["drive"]));
    let curl = |words: &[&str]| {
        let mut command = std::process::Command::new("curl");
        command.args(["--silent", "--fail", "--cacert"]).arg(&pem).args(["--header", &bearer]).args(words);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let origin = world.google.origin();
    let began = std::time::Instant::now();
    curl(&["--output", file.to_str().unwrap(), &format!("{origin}/drive/v3/files/{id}?alt=media")]);
    let down = began.elapsed();
    let began = std::time::Instant::now();
    let start = format!("{origin}/upload/drive/v3/files?uploadType=resumable");
    let head = curl(&["--include", "--json", "{\"name\":\"by-curl.bin\"}", &start]);
    let place = head
        .lines()
        .find_map(|line| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("location")));
    let (_, place) = place.expect("a place for the bytes");
    curl(&["--upload-file", file.to_str().unwrap(), place.trim()]);
    [down, began.elapsed()]
}

/// Down and up again, with the memory of each process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_passes_in_little_memory() {
    let large = large();
    let content = bytes(large, 1);
    let whole = sha256(&content);
    let world = world(&[("Large.bin", &content)], Users::single()).await;
    drop(content);
    let began = std::time::Instant::now();
    let (called, client_down) =
        world.transfer("drive_download_file", json!({"file_id": id(&world, "Large.bin")})).await;
    let down = began.elapsed();
    let told = called.ok();
    assert_eq!((&told["saved_as"], &told["sha256"]), (&json!("Large.bin"), &json!(whole)));
    assert_eq!(sha256(&std::fs::read(world.folder().join("Large.bin")).unwrap()), whole);
    let folder = world.google.file_id("Agent").unwrap();
    let up = json!({"folder_id": folder, "file": "Large.bin"});
    let began = std::time::Instant::now();
    let (called, client_up) = world.transfer("drive_upload_file", up).await;
    let times = [("down", down), ("up", began.elapsed())];
    let made = called.ok()["id"].as_str().unwrap().to_owned();
    assert_eq!(sha256(&world.google.file_content(&made).unwrap()), whole);
    let mut peaks = vec![("client, down".to_owned(), client_down), ("client, up".to_owned(), client_up)];
    peaks.push(("vault".to_owned(), peak_mb(world.vault_pid()).unwrap()));
    for pid in world.adapter_pids() {
        peaks.push((format!("adapter {pid}"), peak_mb(pid).unwrap()));
    }
    for (way, time) in times {
        note(&format!("{} MB {way} in {:.1} s", large / 1_000_000, time.as_secs_f64()));
    }
    for (who, peak) in &peaks {
        note(&format!("{who}: at most {peak:.1} MB of memory"));
    }
    if std::env::var_os("CLAVIGER_TEST_LARGE_MIB").is_some() {
        for ((way, time), floor) in times.into_iter().zip(by_curl(&world, &made)) {
            let rate = floor.as_secs_f64() / time.as_secs_f64();
            note(&format!(
                "{way}: curl takes {:.1} s, so this is {rate:.2} of its rate",
                floor.as_secs_f64()
            ));
        }
    }
    assert!(peaks.iter().all(|(_, peak)| (0.1..MOST).contains(peak)), "{peaks:?}");
}

/// The next frame, which must be there.
async fn piece(stream: &mut tonic::Streaming<FetchFrame>) -> u64 {
    loop {
        match stream.message().await.unwrap().unwrap().frame.unwrap() {
            fetch_frame::Frame::Piece(piece) => return piece.len() as u64,
            fetch_frame::Frame::Head(_) => {}
            fetch_frame::Frame::End(_) => panic!("it has ended"),
        }
    }
}

/// Whoever reads slowly holds a stream open; what is under way to them is all that still comes after the owner has said
/// no.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_and_freeze_cut_a_stream() {
    const SIZE: usize = 24 * 1024 * 1024;
    let world = world(&[("Large.bin", &bytes(SIZE, 2))], Users::single()).await;
    let args = json!({"file_id": id(&world, "Large.bin")});
    let (thief, mcp) = (world.thief(AGENT).await, world.mcp_client("drive", Who::Agent).await);
    let grant = thief.handle("drive.download_file").grant.clone();
    let freeze = vec!["freeze".to_owned(), AGENT.to_owned()];
    let revoke = vec!["revoke".to_owned(), grant];
    for (line, expected) in [(freeze, "frozen"), (revoke, "revoked")] {
        let ticket = ticket(&thief, &mcp, "drive.download_file", &args).await;
        let mut stream = world.fetch("drive", Who::Agent, &ticket).await.unwrap();
        let first = piece(&mut stream).await;
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        world.admin(&line).await;
        let (rest, ended) = read_on(&mut stream).await;
        assert_eq!(class(&ended.unwrap_err()), expected);
        assert!(first + rest < SIZE as u64 / 2, "{} bytes came", first + rest);
        if expected == "frozen" {
            world.admin(&["thaw", AGENT]).await;
        }
    }
    // The log says how many bytes went, and by what they were cut.
    let log = world.admin(&["log", "--agent", AGENT, "--limit", "500"]).await;
    let events = log["events"].as_array().unwrap();
    let finished: Vec<&Value> = events.iter().filter(|event| event["kind"] == "finished").collect();
    assert_eq!(finished.len(), 2, "{events:?}");
}

/// An upload by our own hand: a ticket, pieces, and what became of it.
pub(crate) struct Upload {
    pieces: mpsc::Sender<v1::PutFrame>,
    replies: tonic::Streaming<v1::PutReply>,
    /// From where the body is wanted.
    pub(crate) offset: u64,
}

impl Upload {
    /// Begins with a new presentation of these arguments.
    async fn begin(world: &World, thief: &Thief, args: &Value) -> Self {
        Self::of(world, thief, "drive.upload_file", args).await
    }

    /// The same by any tool.
    pub(crate) async fn of(world: &World, thief: &Thief, tool: &str, args: &Value) -> Self {
        let (adapter, _) = tool.split_once('.').unwrap();
        let mcp = world.mcp_client(adapter, Who::Agent).await;
        let ticket = ticket(thief, &mcp, tool, args).await;
        let (pieces, frames) = mpsc::channel(1);
        pieces.send(v1::PutFrame { frame: Some(put_frame::Frame::Ticket(ticket)) }).await.unwrap();
        let answer = world.bulk(adapter, Who::Agent).await.put(ReceiverStream::new(frames)).await;
        let mut replies = answer.unwrap().into_inner();
        let go = replies.message().await.unwrap().unwrap().reply.unwrap();
        let put_reply::Reply::Go(v1::UploadGo { offset }) = go else { panic!("{go:?}") };
        // The call's connection is what the transfer lives by.
        tokio::spawn(async move { mcp.waiting().await });
        Self { pieces, replies, offset }
    }

    /// Sends bytes, as long as anybody takes them.
    pub(crate) async fn send(&self, bytes: &[u8]) {
        for piece in bytes.chunks(65_536) {
            let frame = v1::PutFrame { frame: Some(put_frame::Frame::Piece(piece.to_vec())) };
            if self.pieces.send(frame).await.is_err() {
                return;
            }
        }
    }

    /// Says that this was all, and reads the tool's result.
    pub(crate) async fn end(self) -> Value {
        let Self { pieces, mut replies, .. } = self;
        drop(pieces);
        let reply = replies.message().await.unwrap().unwrap().reply.unwrap();
        let put_reply::Reply::Done(done) = reply else { panic!("{reply:?}") };
        serde_json::from_slice(&done.result).unwrap()
    }
}

fn upload_args(world: &World, name: &str, size: usize, sha256: &str) -> Value {
    let folder = world.google.file_id("Agent").unwrap();
    json!({"folder_id": folder, "file": {"name": name, "size": size, "sha256": sha256}})
}

/// Cut in the middle by the owner: nothing is made, and the same call goes on from what the service has kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_was_cut_goes_on_where_it_was() {
    let content = bytes(12 * 1024 * 1024, 4);
    let world = world(&[], Users::single()).await;
    let args = upload_args(&world, "Large.bin", content.len(), &sha256(&content));
    let thief = world.thief(AGENT).await;
    let upload = Upload::begin(&world, &thief, &args).await;
    assert_eq!(upload.offset, 0);
    upload.send(&content[..8 * 1024 * 1024]).await;
    world.admin(&["freeze", AGENT]).await;
    upload.send(&content[8 * 1024 * 1024..]).await;
    let result = upload.end().await;
    assert_eq!(result["_meta"]["claviger/refusal"]["class"], "frozen", "{result}");
    assert_eq!(world.google.file_id("Agent/Large.bin"), None);
    world.admin(&["thaw", AGENT]).await;
    let upload = Upload::begin(&world, &thief, &args).await;
    let offset = usize::try_from(upload.offset).unwrap();
    assert!(offset > 0 && offset < content.len(), "{offset}");
    upload.send(&content[offset..]).await;
    let result = upload.end().await;
    assert_eq!(result["isError"], false, "{result}");
    let made = world.google.file_id("Agent/Large.bin").unwrap();
    assert!(world.google.file_content(&made).unwrap() == content);
}

/// What was told, and agreed to, is what is made: other bytes make nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_not_those_of_the_arguments_make_nothing() {
    let content = bytes(1_000_000, 6);
    let world = world(&[], Users::single()).await;
    let thief = world.thief(AGENT).await;
    let other = {
        let mut other = content.clone();
        *other.last_mut().unwrap() ^= 1;
        other
    };
    for (name, sent) in [("other.bin", &other[..]), ("short.bin", &content[..999_999])] {
        let args = upload_args(&world, name, content.len(), &sha256(&content));
        let upload = Upload::begin(&world, &thief, &args).await;
        upload.send(sent).await;
        let result = upload.end().await;
        assert_eq!(result["isError"], true, "{name}: {result}");
        assert_eq!(world.google.file_id(&format!("Agent/{name}")), None, "{name}");
    }
}

/// What came before a cut is gone on with, byte for byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_that_was_cut_goes_on_where_it_was() {
    let content = bytes(40 * 1024 * 1024, 3);
    let world = world(&[("Large.bin", &content)], Users::single()).await;
    let args = json!({"file_id": id(&world, "Large.bin")});
    let cut = async {
        let parts = async || {
            let part = world.saved().into_iter().find(|name| name.ends_with(".part"))?;
            let size = std::fs::metadata(world.folder().join(part)).ok()?.len();
            (size > 1_000_000).then_some(())
        };
        world.eventually("a part is there", parts).await;
        world.admin(&["freeze", AGENT]).await;
    };
    let ((called, _), ()) = tokio::join!(world.transfer("drive_download_file", args.clone()), cut);
    if called.ran.code == 0 {
        note("the file was there before it could be cut");
        return;
    }
    let part = world.saved();
    assert!(part.len() == 1 && part[0].ends_with(".part"), "{part:?}");
    let kept = std::fs::read(world.folder().join(&part[0])).unwrap();
    assert!(!kept.is_empty() && kept.len() < content.len() && content.starts_with(&kept));
    world.admin(&["thaw", AGENT]).await;
    world.google.clear_log();
    let (called, _) = world.transfer("drive_download_file", args).await;
    assert_eq!(called.ok()["sha256"], sha256(&content));
    assert_eq!(world.saved(), ["Large.bin"]);
    assert!(std::fs::read(world.folder().join("Large.bin")).unwrap() == content);
    let asked = world.google.log();
    let ranges: Vec<Option<&str>> =
        asked.iter().filter(|asked| asked.query.contains("alt=media")).map(range).collect();
    assert_eq!(ranges, [Some(format!("bytes={}-", kept.len()).as_str())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_strangers_and_files_that_are_there_do_no_harm() {
    let files: [(&str, &[u8]); 3] = [("Plain.bin", b"one"), (".bashrc", b"two"), ("-rf \u{202e}x", b"three")];
    let world = world(&files, Users::single()).await;
    world.put("Plain.bin", b"precious");
    for ((name, content), saved) in files.iter().zip(["Plain (2).bin", "_bashrc", "_rf <U+202E>x"]) {
        let (called, _) = world.transfer("drive_download_file", json!({"file_id": id(&world, name)})).await;
        assert_eq!(called.ok()["saved_as"], saved);
        assert_eq!(std::fs::read(world.folder().join(saved)).unwrap(), *content);
    }
    assert_eq!(std::fs::read(world.folder().join("Plain.bin")).unwrap(), b"precious");
    assert_eq!(world.saved().len(), 4);
    // Out of scope is what it always is; nothing is saved.
    let private = world.google.file_id("Private").unwrap_or_else(|| "nothing".to_owned());
    let (called, _) = world.transfer("drive_download_file", json!({"file_id": private})).await;
    called.assert_refused("out-of-scope", "");
    // Without a folder nothing is asked.
    let asked = world.google.log().len();
    let ran = world.agent(&["call", "drive_download_file", "file_id=x"]).await.code(2);
    assert!(ran.err.contains("--folder"), "{}", ran.err);
    assert_eq!(world.google.log().len(), asked);
}

/// A path leads nowhere but below the folder, whatever it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_files_of_the_folder_are_sent() {
    let world = world(&[], Users::single()).await;
    let secret = world.base().join("secret.txt");
    std::fs::write(&secret, "CANARY").unwrap();
    world.put("mine.txt", b"hello");
    std::os::unix::fs::symlink(&secret, world.folder().join("link.txt")).unwrap();
    let folder = world.google.file_id("Agent").unwrap();
    let asked = world.google.log().len();
    for path in
        ["../secret.txt", secret.to_str().unwrap(), "link.txt", "nothing.txt", ".", "/proc/self/environ"]
    {
        let (called, _) =
            world.transfer("drive_upload_file", json!({"folder_id": folder, "file": path})).await;
        assert_eq!(called.ran.code, 2, "{path}: {:?}", called.ran);
    }
    assert_eq!(world.google.log().len(), asked);
    let (called, _) =
        world.transfer("drive_upload_file", json!({"folder_id": folder, "file": "mine.txt"})).await;
    let made = called.ok()["id"].as_str().unwrap().to_owned();
    assert_eq!(world.google.file_content(&made).unwrap(), b"hello");
}

/// A ticket is good once, for the user that made the call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_is_good_once_and_for_one_user() {
    let users = if rustix::process::geteuid().is_root() { Users::many() } else { Users::single() };
    let many = !users.is_single();
    let world = world(&[("Plain.bin", b"one")], users).await;
    let args = json!({"file_id": id(&world, "Plain.bin")});
    let (thief, mcp) = (world.thief(AGENT).await, world.mcp_client("drive", Who::Agent).await);
    let good = ticket(&thief, &mcp, "drive.download_file", &args).await;
    let (called, _) = world.transfer("drive_download_file", args.clone()).await;
    assert_eq!(called.ok()["saved_as"], "Plain.bin");
    if many {
        for who in [Who::Other, Who::Stranger, Who::Gmail, Who::Vault] {
            let refused = world.fetch("drive", who, &good).await.unwrap_err();
            assert_eq!(class(&refused), "bad-ticket", "{who:?}");
        }
    }
    let mut stream = world.fetch("drive", Who::Agent, &good).await.unwrap();
    assert!(matches!(read_on(&mut stream).await, (3, Ok(true))));
    let other_adapter = ticket(&thief, &mcp, "drive.download_file", &args).await;
    let refused = world.fetch("gmail", Who::Agent, &other_adapter).await.unwrap_err();
    assert_eq!(class(&refused), "bad-ticket");
    for bad in [good, vec![0; 16], Vec::new()] {
        assert_eq!(class(&world.fetch("drive", Who::Agent, &bad).await.unwrap_err()), "bad-ticket");
    }
    // It died with the connection that it came by.
    mcp.cancel().await.unwrap();
    let dead = world.eventually("the ticket is dead", async || {
        world.fetch("drive", Who::Agent, &other_adapter).await.err()
    });
    assert_eq!(class(&dead.await), "bad-ticket");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attachments_of_some_megabytes_pass_too() {
    let world = world(&[], Users::single()).await;
    let mail = world.google.mail_id("A large one").unwrap();
    let read = world.call("gmail_get_message", json!({"message_id": mail})).await;
    let part = read.ok()["attachments"][0]["part"].clone();
    let args = json!({"message_id": mail, "part": part});
    let (called, _) = world.transfer("gmail_download_attachment", args).await;
    assert_eq!(called.ok()["saved_as"], "large.pdf");
    assert!(std::fs::read(world.folder().join("large.pdf")).unwrap() == bytes(3_000_000, 5));
}

fn range(asked: &LoggedRequest) -> Option<&str> {
    asked.headers.iter().find(|(name, _)| name == "range").map(|(_, value)| value.as_str())
}

/// An MCP host: the model is told where the file is, the host how far it is, and neither sees a ticket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_saves_and_sends_files() {
    let content = bytes(5_000_000, 7);
    let world = world(&[("Large.bin", &content)], Users::single()).await;
    let host = world.host_with(ProtocolVersion::V_2025_11_25, Some(&world.folder())).await;
    let args = json!({"file_id": id(&world, "Large.bin")});
    let result = host.try_call("drive_download_file", args.clone()).await.unwrap();
    let shown = serde_json::to_string(&result).unwrap();
    assert!(!shown.contains("claviger/ticket") && !shown.contains("bulk.sock"), "{shown}");
    let told = result.structured_content.unwrap();
    assert_eq!((&told["saved_as"], &told["untrusted"]), (&json!("Large.bin"), &json!(true)));
    assert!(std::fs::read(world.folder().join("Large.bin")).unwrap() == content);
    let report = host.progress().await;
    assert!(report.progress > 0.0 && report.total == Some(5_000_000.0), "{report:?}");
    let folder = world.google.file_id("Agent").unwrap();
    let made = host.ok("drive_upload_file", json!({"folder_id": folder, "file": "Large.bin"})).await;
    assert!(world.google.file_content(made["id"].as_str().unwrap()).unwrap() == content);
    let plain = world.host(ProtocolVersion::V_2026_07_28).await;
    let refused = plain.refused("drive_download_file", args).await;
    assert!(refused.contains("no folder is configured") && refused.contains("--folder"), "{refused}");
}
