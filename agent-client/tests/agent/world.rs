//! A vault and an adapter on sockets of their own, under the test's control.

use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use claviger_canonical::presentation::{META_KEY, fresh};
use claviger_canonical::{Canonical, Claim, Presentation, ProofKey};
use claviger_proto::connect::Server;
use claviger_proto::v1::agent_service_server::{AgentService, AgentServiceServer};
use claviger_proto::v1::{self, Changed, OpenRequest, OpenResponse, WatchRequest};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, MetaObject,
    ProgressNotificationParam, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler, ServiceExt as _};
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::sync::{Notify, watch};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};

pub(crate) const NOW: u64 = 1_700_000_000_000;
pub(crate) const APPROVAL: &str = "ap_00112233445566778899aabbccddeeff";
pub(crate) const HANDLE: &str = "hdl_000102030405060708090a0b0c0d0e0f";
pub(crate) const CHILD: &str = "hdl_c0c1c2c3c4c5c6c7c8c9cacbcccdcecf";
const HANDLE_BYTES: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// A clock that stands still.
pub(crate) struct Still;

impl claviger_agent::Clock for Still {
    fn now_ms(&self) -> u64 {
        NOW
    }
}

/// What vault and adapter agree on.
pub(crate) struct Truth {
    pub(crate) boot: [u8; 16],
    pub(crate) key: [u8; 32],
    pub(crate) tools: Vec<v1::Tool>,
    pub(crate) adapter_uid: Option<u32>,
    pub(crate) sealed: bool,
    /// The adapter's vault calls everything stale.
    pub(crate) always_stale: bool,
    /// What the adapter was asked, and the claim that came with it.
    pub(crate) calls: Vec<(String, Value, Claim)>,
    pub(crate) presentations: Vec<String>,
    /// What was narrowed, and what was released.
    pub(crate) narrowed: Vec<v1::NarrowRequest>,
    pub(crate) released: Vec<String>,
    /// What the vault answers to `Collect`, by id; without one, there is no such thing.
    pub(crate) waiting: Vec<(String, v1::CollectResponse)>,
    /// What the owner was asked.
    pub(crate) asked: Vec<v1::AskRequest>,
    /// The handle of a task under the grant's own, that can be opened by its id.
    pub(crate) task: Option<String>,
    /// What the adapter says of every call that is made by another handle than the grant's own: a class, and a field.
    pub(crate) beyond_task: Option<(&'static str, Option<&'static str>)>,
    /// What tools that are called `demo.file…` answer, one after the other.
    pub(crate) results: VecDeque<CallToolResult>,
}

pub(crate) struct World {
    pub(crate) truth: Mutex<Truth>,
    pub(crate) opens: AtomicUsize,
    pub(crate) changes: watch::Sender<u64>,
    /// A call has reached the adapter, and hangs.
    pub(crate) hanging: Notify,
    /// A call that hung was cancelled.
    pub(crate) cancelled: Notify,
    directory: tempfile::TempDir,
}

impl World {
    /// A vault and an adapter that run until the test ends.
    pub(crate) fn start() -> Arc<Self> {
        let world = Self::without_vault();
        world.start_vault();
        world
    }

    pub(crate) fn without_vault() -> Arc<Self> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let world = Arc::new(Self {
            truth: Mutex::new(Truth {
                boot: [0xb0; 16],
                key: *b"canary-of-the-proof-key-32-bytes",
                tools: tools(),
                adapter_uid: None,
                sealed: false,
                always_stale: false,
                calls: Vec::new(),
                presentations: Vec::new(),
                narrowed: Vec::new(),
                released: Vec::new(),
                waiting: Vec::new(),
                asked: Vec::new(),
                task: None,
                beyond_task: None,
                results: VecDeque::new(),
            }),
            opens: AtomicUsize::new(0),
            changes: watch::channel(1).0,
            hanging: Notify::new(),
            cancelled: Notify::new(),
            directory,
        });
        let listener = UnixListener::bind(world.adapter_socket()).unwrap();
        let adapter = Adapter(world.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let adapter = adapter.clone();
                tokio::spawn(async move {
                    if let Ok(running) = adapter.serve(stream).await {
                        let _ = running.waiting().await;
                    }
                });
            }
        });
        world
    }

    pub(crate) fn vault_socket(&self) -> PathBuf {
        self.directory.path().join("agent.sock")
    }

    pub(crate) fn adapter_socket(&self) -> PathBuf {
        self.directory.path().join("adapter.sock")
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Serves the vault until what is returned is cancelled; then its socket is gone at once.
    pub(crate) fn start_vault(self: &Arc<Self>) -> CancellationToken {
        let stop = CancellationToken::new();
        let socket = self.vault_socket();
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let vault = Vault { world: self.clone(), stop: stop.clone() };
        let stopped = stop.clone();
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(AgentServiceServer::new(vault))
                .serve_with_incoming_shutdown(UnixListenerStream::new(listener), async move {
                    stopped.cancelled().await;
                    let _ = std::fs::remove_file(socket);
                }),
        );
        stop
    }

    /// What a restart changes: everything that was opened before is stale.
    pub(crate) fn restart(&self) {
        let mut truth = self.truth.lock().unwrap();
        truth.boot = [0xb1; 16];
        truth.key = *b"another-canary-of-a-proof-key-32";
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Truth)) {
        change(&mut self.truth.lock().unwrap());
        self.changes.send_modify(|sequence| *sequence += 1);
    }

    pub(crate) fn opens(&self) -> usize {
        self.opens.load(Ordering::SeqCst)
    }

    pub(crate) async fn session(&self) -> claviger_agent::Session {
        claviger_agent::Session::open_with(&self.vault_socket(), Server::OwnerOfDirectory, Arc::new(Still))
            .await
            .unwrap()
    }

    /// Fails if any text that must stay inside is in `output`.
    pub(crate) fn assert_clean(&self, output: &str) {
        let truth = self.truth.lock().unwrap();
        for key in [truth.key, *b"canary-of-the-proof-key-32-bytes"] {
            let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            let raw = String::from_utf8(key.to_vec()).unwrap();
            for form in
                [raw, hex.to_uppercase(), hex, base64(&key, b"+/"), base64(&key, b"-_"), format!("{key:?}")]
            {
                assert!(!output.contains(&form), "a proof key is in {output}");
            }
        }
        for presentation in &truth.presentations {
            let proof = presentation.split_once('.').unwrap().1;
            assert!(!output.contains(proof), "a presentation is in {output}");
        }
        assert!(!output.contains(META_KEY), "the presentation's name is in {output}");
    }
}

/// Without padding, since a leak may be cut anywhere.
fn base64(bytes: &[u8], last: &[u8; 2]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks_exact(3) {
        let group = u32::from(chunk[0]) << 16 | u32::from(chunk[1]) << 8 | u32::from(chunk[2]);
        for shift in [18, 12, 6, 0] {
            let sextet = u8::try_from(group >> shift & 63).unwrap();
            text.push(char::from(match sextet {
                0..=25 => b'A' + sextet,
                26..=51 => b'a' + sextet - 26,
                52..=61 => b'0' + sextet - 52,
                _ => last[usize::from(sextet - 62)],
            }));
        }
    }
    text
}

pub(crate) fn tool(name: &str, effect: &str) -> v1::Tool {
    v1::Tool {
        name: name.to_owned(),
        mcp_name: name.replace('.', "_"),
        title: format!("Title of {name}"),
        description: format!("Describes {name}"),
        input_schema: json!({
            "type": "object",
            "properties": {
                "words": {"type": "string", "description": "What to look for"},
                "max": {"type": "integer"},
                "to": {"type": "array", "items": {"type": "string"}},
            },
            "additionalProperties": false,
        })
        .to_string()
        .into_bytes(),
        effect: effect.to_owned(),
        untrusted: effect == "read",
        definition: String::new(),
    }
}

/// Each is named for what the adapter does.
fn tools() -> Vec<v1::Tool> {
    let reads = ["answer", "refuse", "hang", "echo", "echo_meta", "fail", "progress", "protocol"];
    let mut tools: Vec<_> = reads.iter().map(|name| tool(&format!("demo.{name}"), "read")).collect();
    tools.push(tool("demo.send", "send"));
    tools.push(tool("demo.write", "write"));
    tools.push(tool("demo.delete", "delete"));
    tools
}

struct Vault {
    world: Arc<World>,
    stop: CancellationToken,
}

impl Vault {
    /// The one grant's handle; a task's, which is below it; or the child that was last made, with the tools that were
    /// left to it.
    fn handle(&self, truth: &Truth, id: &str) -> v1::OpenHandle {
        let made = truth.narrowed.last().filter(|_| id == CHILD);
        let parent = match made {
            Some(made) => made.handle.clone(),
            None if truth.task.as_deref() == Some(id) => HANDLE.to_owned(),
            None => String::new(),
        };
        let mut tools = truth.tools.clone();
        for caveat in made.into_iter().flat_map(|made| &made.caveats) {
            if let Some(v1::caveat::Kind::Tools(left)) = &caveat.kind {
                tools.retain(|tool| left.names.contains(&tool.name));
            }
        }
        v1::OpenHandle {
            id: id.to_owned(),
            grant: "gr_0001020304050607".to_owned(),
            secret: "demo/me".to_owned(),
            proof_key: truth.key.to_vec(),
            tools,
            expires_at_ms: 0,
            parent,
            label: made.map(|made| made.label.clone()).unwrap_or_default(),
            adapter: Some(v1::Endpoint {
                adapter: "demo".to_owned(),
                socket: self.world.adapter_socket().to_str().unwrap().to_owned(),
                uid: truth.adapter_uid,
            }),
        }
    }
}

#[tonic::async_trait]
impl AgentService for Vault {
    async fn open(&self, request: Request<OpenRequest>) -> Result<Response<OpenResponse>, Status> {
        self.world.opens.fetch_add(1, Ordering::SeqCst);
        let truth = self.world.truth.lock().unwrap();
        if truth.sealed {
            let refusal = v1::Refusal { class: "sealed".to_owned(), ..Default::default() };
            return Err(claviger_proto::refusal::to_status(Code::Unavailable, &refusal));
        }
        let wanted = request.into_inner().handles;
        let wanted = if wanted.is_empty() { vec![HANDLE.to_owned()] } else { wanted };
        let known = wanted.iter().filter(|id| {
            *id == HANDLE || (*id == CHILD && !truth.narrowed.is_empty()) || truth.task.as_ref() == Some(id)
        });
        Ok(Response::new(OpenResponse {
            agent: "openclaw".to_owned(),
            boot: truth.boot.to_vec(),
            replica: vec![0xaa; 8],
            frozen: false,
            handles: known.map(|id| self.handle(&truth, id)).collect(),
        }))
    }

    async fn narrow(
        &self,
        request: Request<v1::NarrowRequest>,
    ) -> Result<Response<v1::NarrowResponse>, Status> {
        let mut truth = self.world.truth.lock().unwrap();
        let request = request.into_inner();
        if request.label == "refuse" {
            let refusal = v1::Refusal {
                class: "busy".to_owned(),
                field: "children".to_owned(),
                reference: "ref_0123456789abcdef".to_owned(),
                ..Default::default()
            };
            return Err(claviger_proto::refusal::to_status(Code::ResourceExhausted, &refusal));
        }
        truth.narrowed.push(request);
        let handle = Some(self.handle(&truth, CHILD));
        Ok(Response::new(v1::NarrowResponse { handle }))
    }

    async fn release(
        &self,
        request: Request<v1::ReleaseRequest>,
    ) -> Result<Response<v1::ReleaseResponse>, Status> {
        self.world.truth.lock().unwrap().released.push(request.into_inner().handle);
        Ok(Response::new(v1::ReleaseResponse { released: 2 }))
    }

    async fn collect(
        &self,
        request: Request<v1::CollectRequest>,
    ) -> Result<Response<v1::CollectResponse>, Status> {
        let id = request.into_inner().id;
        let truth = self.world.truth.lock().unwrap();
        let found = truth.waiting.iter().find(|(known, _)| *known == id);
        let absent = v1::Refusal { class: "out-of-scope".to_owned(), ..Default::default() };
        let absent = || claviger_proto::refusal::to_status(Code::NotFound, &absent);
        found.map(|(_, answer)| Response::new(answer.clone())).ok_or_else(absent)
    }

    async fn ask(&self, request: Request<v1::AskRequest>) -> Result<Response<v1::AskResponse>, Status> {
        self.world.truth.lock().unwrap().asked.push(request.into_inner());
        Ok(Response::new(v1::AskResponse { id: APPROVAL.to_owned(), expires_at_ms: NOW + 1000 }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<Changed, Status>> + Send>>;

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (sender, receiver) = tokio::sync::mpsc::channel(8);
        let (mut changes, stop) = (self.world.changes.subscribe(), self.stop.clone());
        tokio::spawn(async move {
            loop {
                let sequence = *changes.borrow_and_update();
                if sender.send(Ok(Changed { sequence })).await.is_err() {
                    return;
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    changed = changes.changed() => if changed.is_err() { return },
                }
            }
        });
        let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
        Ok(Response::new(Box::pin(stream.map(|item| item))))
    }
}

#[derive(Clone)]
struct Adapter(Arc<World>);

impl Adapter {
    /// Checks the presentation as a vault would; `Err` holds the class of the refusal.
    fn admit(&self, name: &str, arguments: &Value, meta: &MetaObject) -> Result<String, &'static str> {
        let text = meta.get(META_KEY).and_then(Value::as_str).ok_or("bad-presentation")?;
        let unverified = Presentation::parse(text).map_err(|_| "bad-presentation")?;
        let mut truth = self.0.truth.lock().unwrap();
        truth.presentations.push(text.to_owned());
        if truth.always_stale || unverified.claim().boot != truth.boot {
            return Err("stale");
        }
        let verified = unverified.verify(&ProofKey::new(truth.key)).map_err(|_| "bad-presentation")?;
        let claim = verified.into_claim();
        let digest = Canonical::from_json(arguments).map_err(|_| "bad-arguments")?.digest();
        let now = NOW + 1;
        if claim.tool.as_str() != name
            || claim.digest != digest
            || fresh(claim.issued_at_ms, now, 10).is_err()
        {
            return Err("bad-presentation");
        }
        if truth.calls.iter().any(|(.., before)| before.nonce == claim.nonce) {
            return Err("bad-presentation");
        }
        truth.calls.push((name.to_owned(), arguments.clone(), claim));
        Ok(text.to_owned())
    }
}

pub(crate) fn refused(class: &str) -> CallToolResult {
    refused_at(class, Some("label"))
}

fn refused_at(class: &str, field: Option<&str>) -> CallToolResult {
    let mut result = CallToolResult::error(vec![ContentBlock::text("adapter's own words")]);
    let mut refusal = json!({"class": class, "field": field, "reference": "ref_0123456789abcdef"});
    if class == "pending" {
        refusal["approval"] = json!(APPROVAL);
    }
    let mut meta = MetaObject::new();
    meta.insert("claviger/refusal".to_owned(), refusal);
    result.meta = Some(meta);
    result
}

impl ServerHandler for Adapter {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let presentation = match self.admit(&request.name, &arguments, &context.meta) {
            Ok(presentation) => presentation,
            Err(class) => return Ok(CallToolResponse::Complete(refused(class))),
        };
        {
            let truth = self.0.truth.lock().unwrap();
            let by_task = truth.calls.last().is_some_and(|(.., claim)| claim.handle != HANDLE_BYTES);
            if let Some((class, field)) = truth.beyond_task.filter(|_| by_task) {
                return Ok(CallToolResponse::Complete(refused_at(class, field)));
            }
        }
        Ok(CallToolResponse::Complete(match request.name.as_ref() {
            "demo.refuse" => refused("out-of-scope"),
            "demo.ask_first" => match self.0.truth.lock().unwrap().calls.last() {
                Some((.., claim)) if claim.approval.is_some() || claim.handle != HANDLE_BYTES => {
                    CallToolResult::success(vec![ContentBlock::text("sent")])
                }
                _ => refused("pending"),
            },
            "demo.hang" => {
                self.0.hanging.notify_one();
                context.ct.cancelled().await;
                self.0.cancelled.notify_one();
                return Err(ErrorData::internal_error("cancelled", None));
            }
            "demo.echo" => CallToolResult::success(vec![ContentBlock::text(format!("I got {presentation}"))]),
            "demo.echo_meta" => {
                let mut result = CallToolResult::success(vec![ContentBlock::text("fine")]);
                let mut meta = MetaObject::new();
                meta.insert(META_KEY.to_owned(), json!(presentation));
                meta.insert("other".to_owned(), json!(1));
                result.meta = Some(meta);
                result
            }
            name if name.starts_with("demo.file") => {
                self.0.truth.lock().unwrap().results.pop_front().unwrap()
            }
            "demo.fail" => CallToolResult::error(vec![ContentBlock::text("no such message")]),
            "demo.protocol" => return Err(ErrorData::internal_error("canary of the adapter", None)),
            "demo.progress" => {
                let token = context.meta.get_progress_token().unwrap();
                let report = ProgressNotificationParam::new(token, 0.5).with_message("half");
                context.peer.notify_progress(report).await.unwrap();
                CallToolResult::success(vec![ContentBlock::text("done")])
            }
            _ => {
                let mut result = CallToolResult::success(vec![ContentBlock::text("text\u{1b}[2J")]);
                result.structured_content = Some(json!({"got": arguments}));
                result
            }
        }))
    }
}
