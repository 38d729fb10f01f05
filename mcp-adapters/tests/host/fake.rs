//! A vault with canned answers, a host in front of it, and an MCP client.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use claviger_mcp::files::Files;
use claviger_mcp::host::{Clients, HostOptions, run};
use claviger_proto::connect::Server;
use claviger_proto::refusal::to_status;
use claviger_proto::v1;
use claviger_proto::v1::adapter_service_server::{AdapterService, AdapterServiceServer};
use rmcp::ServiceExt;
use rmcp::model::{CallToolRequestParams, CallToolResult, MetaObject, RequestMetaObject};
use rmcp::service::{RoleClient, RunningService};
use serde_json::{Map, Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};

/// The secret half of every capability here; it must never be seen anywhere.
pub(crate) const CANARY: &[u8; 16] = b"CANARYCANARYCANA";
/// What the fake vault takes for a good presentation.
pub(crate) const GOOD: &str = "good-presentation";

/// What the upstream, or the vault in its place, answers to a step.
#[derive(Clone)]
pub(crate) enum Reply {
    Json(Value),
    Status(u16, Value),
    Bytes(Vec<u8>),
    Refuse(&'static str, &'static str, &'static str),
    /// No gRPC details, as when something other than a refusal went wrong.
    Broken,
}

pub(crate) type Script = dyn Fn(&str, &HashMap<String, String>) -> Reply + Send + Sync;

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) mints: Vec<(String, Vec<u8>)>,
    pub(crate) steps: Vec<(String, Vec<(String, String)>)>,
}

pub(crate) struct Fake {
    pub(crate) minted: v1::MintResponse,
    pub(crate) script: Box<Script>,
    pub(crate) seen: Mutex<Seen>,
    /// Each step takes one; tests that do not care leave plenty.
    pub(crate) gate: Semaphore,
    /// One for each step that came, also if it waits at the gate.
    pub(crate) arrived: Semaphore,
    pub(crate) streams: Streams,
}

impl Fake {
    pub(crate) fn new(
        tool: &str,
        script: impl Fn(&str, &HashMap<String, String>) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let mut capability = vec![1; 16];
        capability.extend_from_slice(CANARY);
        Self {
            minted: v1::MintResponse {
                capability,
                call: "call_0123456789abcdef".into(),
                expires_in_ms: 60_000,
                requests: 80,
                tool: tool.into(),
                effect: "read".into(),
                untrusted: true,
                choices: vec![],
            },
            script: Box::new(script),
            seen: Mutex::default(),
            gate: Semaphore::new(1_000_000),
            arrived: Semaphore::new(0),
            streams: Streams::default(),
        }
    }

    pub(crate) fn choice(mut self, resource: &str, ids: &[&str]) -> Self {
        let ids = ids.iter().map(|&id| id.to_owned()).collect();
        self.minted.choices.push(v1::Choice { resource: resource.into(), ids });
        self
    }

    pub(crate) fn trusted(mut self, effect: &str) -> Self {
        self.minted.untrusted = false;
        self.minted.effect = effect.into();
        self
    }

    pub(crate) fn closed(mut self) -> Self {
        self.gate = Semaphore::new(0);
        self
    }
}

pub(crate) fn refuse(class: &str, field: &str, reference: &str) -> Status {
    let refusal = v1::Refusal {
        approval: String::new(),
        class: class.into(),
        field: field.into(),
        reference: reference.into(),
        message: String::new(),
        hints: vec![],
    };
    to_status(Code::PermissionDenied, &refusal)
}

fn no_stream() -> Status {
    refuse("unavailable", "", "ref_00000000000000cc")
}

/// What the vault's streams say, in the hands of the test.
#[derive(Default)]
pub(crate) struct Streams {
    pub(crate) begun: Mutex<Vec<v1::SendRequest>>,
    pub(crate) download: Mutex<Option<mpsc::Receiver<Result<v1::DownloadFrame, Status>>>>,
    pub(crate) upload: Mutex<Option<Upload>>,
}

/// Where what the adapter sends goes, and what it is answered.
pub(crate) type Upload =
    (mpsc::Sender<Result<Option<v1::UploadFrame>, Status>>, mpsc::Receiver<Result<v1::UploadReply, Status>>);

struct Service(Arc<Fake>);

#[tonic::async_trait]
impl AdapterService for Service {
    type DownloadStream = ReceiverStream<Result<v1::DownloadFrame, Status>>;
    type UploadStream = ReceiverStream<Result<v1::UploadReply, Status>>;

    async fn download(
        &self,
        request: Request<v1::SendRequest>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        self.0.streams.begun.lock().unwrap().push(request.into_inner());
        let frames = self.0.streams.download.lock().unwrap().take();
        frames.map(|frames| Response::new(ReceiverStream::new(frames))).ok_or_else(no_stream)
    }

    async fn upload(
        &self,
        request: Request<tonic::Streaming<v1::UploadFrame>>,
    ) -> Result<Response<Self::UploadStream>, Status> {
        let (heard, replies) = self.0.streams.upload.lock().unwrap().take().ok_or_else(no_stream)?;
        let mut frames = request.into_inner();
        tokio::spawn(async move {
            loop {
                let frame = frames.message().await;
                let last = !matches!(frame, Ok(Some(_)));
                if heard.send(frame).await.is_err() || last {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(replies)))
    }

    async fn list_tools(
        &self,
        _: Request<v1::ListToolsRequest>,
    ) -> Result<Response<v1::ListToolsResponse>, Status> {
        let tool = |name: &str, effect: &str, schema: &str| v1::Tool {
            name: name.into(),
            mcp_name: name.replace('.', "_"),
            title: "A title".into(),
            description: "What it does".into(),
            input_schema: schema.as_bytes().to_vec(),
            effect: effect.into(),
            untrusted: effect == "read",
            definition: "ab".repeat(32),
        };
        let schema = r#"{"type":"object","properties":{"message_id":{"type":"string"}}}"#;
        let tools = vec![
            tool("gmail.get_message", "read", schema),
            tool("gmail.label_message", "write", schema),
            tool("gmail.send_message", "send", schema),
            tool("gmail.broken", "read", "not a schema"),
        ];
        Ok(Response::new(v1::ListToolsResponse { tools }))
    }

    async fn mint(&self, request: Request<v1::MintRequest>) -> Result<Response<v1::MintResponse>, Status> {
        let v1::MintRequest { presentation, arguments } = request.into_inner();
        self.0.seen.lock().unwrap().mints.push((presentation.clone(), arguments));
        if presentation != GOOD {
            return Err(refuse("bad-presentation", "", "ref_00000000000000aa"));
        }
        Ok(Response::new(self.0.minted.clone()))
    }

    async fn send(&self, request: Request<v1::SendRequest>) -> Result<Response<v1::SendResponse>, Status> {
        let v1::SendRequest { capability, step, params } = request.into_inner();
        if capability != self.0.minted.capability {
            return Err(refuse("bad-capability", "", "ref_00000000000000bb"));
        }
        let mut sorted: Vec<_> = params.clone().into_iter().collect();
        sorted.sort();
        self.0.seen.lock().unwrap().steps.push((step.clone(), sorted));
        self.0.arrived.add_permits(1);
        self.0.gate.acquire().await.unwrap().forget();
        let (status, body) = match (self.0.script)(&step, &params) {
            Reply::Json(value) => (200, value.to_string().into_bytes()),
            Reply::Status(status, value) => (status, value.to_string().into_bytes()),
            Reply::Bytes(bytes) => (200, bytes),
            Reply::Refuse(class, field, reference) => return Err(refuse(class, field, reference)),
            Reply::Broken => return Err(Status::internal("canary-of-the-status")),
        };
        let untrusted = self.0.minted.untrusted;
        Ok(Response::new(v1::SendResponse {
            flags: Vec::new(),
            status: status.into(),
            headers: vec![],
            body: body.into(),
            untrusted,
        }))
    }
}

/// A host in a directory of its own, with its vault.
pub(crate) struct Rig {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) fake: Arc<Fake>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) host: tokio::task::JoinHandle<()>,
    vault: Mutex<Option<(CancellationToken, tokio::task::JoinHandle<()>)>>,
}

pub(crate) type Client = RunningService<RoleClient, ()>;

impl Rig {
    pub(crate) async fn new(name: &str, fake: Fake) -> Self {
        Self::with(name, fake, Clients::single_user(), own_uid()).await
    }

    /// The same for the adapter of local files.
    pub(crate) async fn serving(name: &str, fake: Fake, files: Files) -> Self {
        Self::start(name, fake, Clients::single_user(), own_uid(), Some(files)).await
    }

    pub(crate) async fn with(name: &str, fake: Fake, clients: Clients, vault_uid: u32) -> Self {
        Self::start(name, fake, clients, vault_uid, None).await
    }

    async fn start(name: &str, fake: Fake, clients: Clients, vault_uid: u32, files: Option<Files>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fake = Arc::new(fake);
        let shutdown = CancellationToken::new();
        let options = HostOptions {
            name: name.into(),
            vault_socket: dir.path().join("vault"),
            vault: Server::Uid(vault_uid),
            endpoint: dir.path().join("mcp"),
            clients,
            files,
        };
        let stop = shutdown.clone();
        let host = tokio::spawn(async move { run(options, stop).await.unwrap() });
        let rig = Self { dir, fake, shutdown, host, vault: Mutex::default() };
        rig.raw().await;
        rig.start_vault();
        rig
    }

    /// Starts the vault. The host is there first, as it may be when a machine starts.
    pub(crate) fn start_vault(&self) {
        let listener = UnixListener::bind(self.dir.path().join("vault")).unwrap();
        let service = AdapterServiceServer::new(Service(Arc::clone(&self.fake)));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let task = tokio::spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            server.serve_with_incoming_shutdown(UnixListenerStream::new(listener), stopped).await.unwrap();
        });
        *self.vault.lock().unwrap() = Some((stop, task));
    }

    /// Ends the vault and its connections, and removes its socket.
    pub(crate) async fn stop_vault(&self) {
        let (stop, task) = self.vault.lock().unwrap().take().unwrap();
        stop.cancel();
        task.await.unwrap();
        std::fs::remove_file(self.dir.path().join("vault")).unwrap();
    }

    pub(crate) fn endpoint(&self) -> PathBuf {
        self.dir.path().join("mcp")
    }

    /// A bare connection, as soon as the host listens.
    pub(crate) async fn raw(&self) -> UnixStream {
        for _ in 0..500 {
            if let Ok(stream) = UnixStream::connect(self.endpoint()).await {
                return stream;
            }
            #[allow(
                clippy::disallowed_methods,
                reason = "a program or task that starts has no event to wait for"
            )]
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the host does not listen");
    }

    pub(crate) async fn client(&self) -> Client {
        ().serve(self.raw().await).await.unwrap()
    }

    /// One call with a good presentation, on a connection of its own.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> CallToolResult {
        let client = self.client().await;
        let result = client.peer().call_tool(params(tool, arguments, Some(GOOD))).await.unwrap();
        client.cancel().await.unwrap();
        // Whatever comes out, the capability does not.
        let shown = format!("{}{result:?}", serde_json::to_string(&result).unwrap());
        assert!(!shown.contains("CANARY") && !shown.contains("Q0FOQVJZ"), "{shown}");
        result
    }

    /// The names of the steps sent so far.
    pub(crate) fn steps(&self) -> Vec<String> {
        self.fake.seen.lock().unwrap().steps.iter().map(|(step, _)| step.clone()).collect()
    }
}

pub(crate) fn own_uid() -> u32 {
    nix::unistd::getuid().as_raw()
}

pub(crate) fn params(tool: &str, arguments: Value, presentation: Option<&str>) -> CallToolRequestParams {
    let mut params = CallToolRequestParams::new(tool.to_owned());
    if let Value::Object(arguments) = arguments {
        params = params.with_arguments(arguments);
    }
    params.meta = presentation.map(|text| {
        RequestMetaObject(MetaObject(Map::from_iter([("claviger/presentation".to_owned(), json!(text))])))
    });
    params
}

pub(crate) fn text(result: &CallToolResult) -> String {
    result.content[0].as_text().unwrap().text.clone()
}

pub(crate) fn structured(result: &CallToolResult) -> &Value {
    assert_eq!(result.is_error, Some(false), "{}", text(result));
    result.structured_content.as_ref().unwrap()
}

pub(crate) fn refusal(result: &CallToolResult) -> Value {
    assert_eq!(result.is_error, Some(true), "{}", text(result));
    result.meta.as_ref().unwrap().0["claviger/refusal"].clone()
}
