//! Peers that speak to the sockets without any of our programs, as whichever user they like: thieves, mostly.

use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;

use claviger_canonical::presentation::META_KEY;
use claviger_canonical::{Canonical, Claim, Presentation, ProofKey};
use claviger_proto::v1::adapter_service_client::AdapterServiceClient;
use claviger_proto::v1::admin_service_client::AdminServiceClient;
use claviger_proto::v1::agent_service_client::AgentServiceClient;
use claviger_proto::v1::{
    MintRequest, MintResponse, OpenRequest, OpenResponse, Refusal, SendRequest, SendResponse,
};
use hyper_util::rt::TokioIo;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest, RequestMetaObject, ServerResult,
};
use rmcp::service::{PeerRequestOptions, RunningService};
use rmcp::{RoleClient, ServiceExt as _};
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::World;
use super::users::{Users, Who};

/// Connects to a socket as that user. Only the thread that connects becomes the user, and it ends with that.
///
/// # Errors
/// The system does not let that user connect.
pub fn dial_as(path: &Path, uid: u32) -> io::Result<StdStream> {
    let path = path.to_owned();
    become_and(uid, move || {
        let stream = StdStream::connect(path)?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    })
}

/// Connects to a port as that user, in the same way.
///
/// # Errors
/// Nobody listens there.
pub fn dial_port_as(authority: &str, uid: u32) -> io::Result<TcpStream> {
    let authority = authority.to_owned();
    let stream = become_and(uid, move || {
        let stream = std::net::TcpStream::connect(authority)?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    })?;
    TcpStream::from_std(stream)
}

fn become_and<T: Send + 'static>(
    uid: u32,
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    std::thread::spawn(move || {
        if uid != rustix::process::geteuid().as_raw() {
            let uid = rustix::process::Uid::from_raw(uid);
            rustix::thread::set_thread_res_uid(uid, uid, uid)?;
        }
        act()
    })
    .join()
    .unwrap()
}

/// A gRPC channel over one connection, made as that user.
///
/// # Errors
/// Nobody lets that user in.
pub async fn channel_as(path: &Path, uid: u32) -> Result<Channel, String> {
    let stream = dial_as(path, uid).map_err(|error| error.to_string())?;
    let mut stream = Some(UnixStream::from_std(stream).map_err(|error| error.to_string())?);
    let connector = tower::service_fn(move |_: http::Uri| {
        let stream = stream.take();
        async move { stream.map(TokioIo::new).ok_or_else(|| io::Error::other("it was closed")) }
    });
    let endpoint = Endpoint::from_static("http://vault.invalid");
    endpoint.connect_with_connector(connector).await.map_err(|error| format!("{error:?}"))
}

/// What stands in a refusal of the vault.
///
/// # Panics
/// It is none.
#[must_use]
#[track_caller]
pub fn refusal(status: &Status) -> Refusal {
    claviger_proto::refusal::from_status(status).unwrap_or_else(|| panic!("no refusal: {status:?}"))
}

/// The class of a refusal of the vault.
#[must_use]
#[track_caller]
pub fn class(status: &Status) -> String {
    refusal(status).class
}

/// An agent's side without our client.
pub struct Thief {
    /// What the vault opened for it.
    pub opened: OpenResponse,
}

impl World {
    /// The vault's adapter service, as somebody.
    ///
    /// # Errors
    /// They are not let in.
    pub async fn adapter_client(
        &self,
        name: &str,
        who: Who,
    ) -> Result<AdapterServiceClient<Channel>, String> {
        let channel = channel_as(&self.adapter_socket(name), self.users.uid(who)).await?;
        Ok(AdapterServiceClient::new(channel))
    }

    /// The vault's adapter service, as the adapter of that name.
    pub async fn adapter(&self, name: &str) -> AdapterServiceClient<Channel> {
        self.adapter_client(name, Users::adapter(name)).await.unwrap()
    }

    /// The vault's agent service, as somebody, at the socket of that agent.
    ///
    /// # Errors
    /// They are not let in.
    pub async fn agent_client(&self, name: &str, who: Who) -> Result<AgentServiceClient<Channel>, String> {
        let channel = channel_as(&self.agent_socket(name), self.users.uid(who)).await?;
        Ok(AgentServiceClient::new(channel))
    }

    /// The vault's admin service, as somebody.
    ///
    /// # Errors
    /// They are not let in.
    pub async fn admin_client(&self, who: Who) -> Result<AdminServiceClient<Channel>, String> {
        let channel = channel_as(&self.admin_socket(), self.users.uid(who)).await?;
        Ok(AdminServiceClient::new(channel))
    }

    /// Opens as the agent of that name does.
    pub async fn thief(&self, name: &str) -> Thief {
        let who = if name == super::AGENT { Who::Agent } else { Who::Other };
        let mut client = self.agent_client(name, who).await.unwrap();
        Thief { opened: client.open(OpenRequest::default()).await.unwrap().into_inner() }
    }

    /// Connects to an adapter's MCP socket with a plain MCP client.
    pub async fn mcp_client(&self, name: &str, who: Who) -> RunningService<RoleClient, ()> {
        let stream = dial_as(&self.mcp_socket(name), self.users.uid(who)).unwrap();
        ().serve(UnixStream::from_std(stream).unwrap()).await.unwrap()
    }
}

impl Thief {
    /// The claim of a presentation of that tool (`gmail.get_message`), with a new nonce, and the proof key as it was
    /// opened.
    #[must_use]
    pub fn claim(&self, tool: &str, arguments: &Canonical) -> (Claim, ProofKey) {
        let handle = self.handle(tool);
        #[allow(clippy::disallowed_methods, reason = "a client of the real programs has their clock")]
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let mut nonce = [0; 12];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut nonce).unwrap();
        let claim = Claim {
            handle: id_bytes(&handle.id),
            tool: tool.parse().unwrap(),
            digest: arguments.digest(),
            issued_at_ms: now.as_millis() as u64,
            nonce,
            replica: self.opened.replica.as_slice().try_into().unwrap(),
            boot: self.opened.boot.as_slice().try_into().unwrap(),
            approval: None,
        };
        (claim, ProofKey::new(handle.proof_key.as_slice().try_into().unwrap()))
    }

    /// A good presentation of that tool with those arguments.
    #[must_use]
    pub fn present(&self, tool: &str, arguments: &Value) -> (String, Vec<u8>) {
        let canonical = Canonical::from_json(arguments).unwrap();
        let (claim, key) = self.claim(tool, &canonical);
        (Presentation::sign(&key, claim).into_text(), canonical.bytes().to_vec())
    }

    /// The handle by which that tool is granted.
    #[must_use]
    pub fn handle(&self, tool: &str) -> &claviger_proto::v1::OpenHandle {
        let holds =
            |handle: &&claviger_proto::v1::OpenHandle| handle.tools.iter().any(|held| held.name == tool);
        self.opened.handles.iter().find(holds).expect("the tool is granted")
    }
}

/// The 16 bytes of `hdl_…`.
#[must_use]
pub fn id_bytes(id: &str) -> [u8; 16] {
    let digits = id.split_once('_').unwrap().1;
    let bytes: Vec<u8> =
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

/// Mints at the vault as an adapter does.
///
/// # Errors
/// The vault's refusal.
pub async fn mint(
    adapter: &mut AdapterServiceClient<Channel>,
    presented: (String, Vec<u8>),
) -> Result<MintResponse, Status> {
    let (presentation, arguments) = presented;
    Ok(adapter.mint(MintRequest { presentation, arguments }).await?.into_inner())
}

/// Sends a step as an adapter does.
///
/// # Errors
/// The vault's refusal.
pub async fn send(
    adapter: &mut AdapterServiceClient<Channel>,
    capability: &[u8],
    step: &str,
    params: &[(&str, &str)],
) -> Result<SendResponse, Status> {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let request = SendRequest { capability: capability.to_vec(), step: step.to_owned(), params };
    Ok(adapter.send(request).await?.into_inner())
}

/// Calls a tool at an adapter by plain MCP, with that text as the presentation.
pub async fn call_adapter(
    client: &RunningService<RoleClient, ()>,
    tool: &str,
    arguments: &Value,
    presentation: &str,
) -> CallToolResult {
    let mut meta = RequestMetaObject::new();
    meta.insert(META_KEY.to_owned(), Value::String(presentation.to_owned()));
    let arguments = arguments.as_object().unwrap().clone();
    let request = CallToolRequest::new(CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments));
    let options = PeerRequestOptions::no_options().with_meta(meta);
    let sent = client.send_request_with_option(ClientRequest::CallToolRequest(request), options).await;
    match sent.unwrap().await_response().await.unwrap() {
        ServerResult::CallToolResult(result) => result,
        other => panic!("no result: {other:?}"),
    }
}

/// The class in an adapter's refusal.
#[must_use]
pub fn class_in(result: &CallToolResult) -> String {
    let meta = result.meta.as_ref().expect("a refusal is told in _meta");
    meta.get(claviger_agent::REFUSAL_KEY).unwrap()["class"].as_str().unwrap().to_owned()
}
