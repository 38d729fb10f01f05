//! The adapter's line to the vault.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use claviger_proto::bulk::MESSAGE;
use claviger_proto::connect::{ConnectError, Server, connect, connect_for_streams};
use claviger_proto::refusal::from_status;
use claviger_proto::v1;
use claviger_proto::v1::adapter_service_client::AdapterServiceClient;
use futures_util::StreamExt as _;
use secrecy::SecretSlice;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::call::Minted;
use crate::failure::Refused;

/// How long the vault may take to list tools or to mint: it asks nobody else.
const OWN_WORK: Duration = Duration::from_secs(20);
/// How long a step may take. A capability lives 60 seconds at most, and bounds when a step starts.
const STEP: Duration = Duration::from_secs(90);
/// How many long streams are under way at most: as many as there are tickets.
pub(super) const STREAMS: u32 = 64;
/// The first pause between attempts to reach the vault; doubled up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// The vault's `AdapterService`. Connects when first needed; later losses are healed by the channel, which makes the
/// same check of who serves again.
pub struct Vault {
    path: PathBuf,
    server: Server,
    channel: Mutex<Option<Channel>>,
    /// One of their own for long streams, so that a reader that is slow keeps no call waiting.
    streams: Mutex<Option<Channel>>,
}

impl Vault {
    /// The vault behind that socket, served by that user. Does not connect yet.
    #[must_use]
    pub fn new(path: PathBuf, server: Server) -> Self {
        Self { path, server, channel: Mutex::new(None), streams: Mutex::new(None) }
    }

    /// Tries to reach the vault until it has answered once, with growing pauses.
    pub async fn greet(self: std::sync::Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.tools().await {
                Ok(tools) => {
                    tracing::info!(tools = tools.len(), "the vault answers");
                    return;
                }
                Err(refused) => tracing::warn!(class = refused.class, "the vault does not serve us yet"),
            }
            #[allow(
                clippy::disallowed_methods,
                reason = "a pause between attempts; nothing is decided by it"
            )]
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// The tools of this adapter's service.
    ///
    /// # Errors
    /// A refusal, `unavailable` where the vault cannot be reached.
    pub async fn tools(&self) -> Result<Vec<v1::Tool>, Refused> {
        let mut client = self.client().await?;
        let listed = timeout(OWN_WORK, client.list_tools(v1::ListToolsRequest {})).await;
        Ok(settle(listed, Refused::UNAVAILABLE)?.tools)
    }

    /// Turns a presentation into a capability. Returns what may be told of it, and the capability itself.
    ///
    /// # Errors
    /// A refusal, `unavailable` where the vault cannot be reached.
    pub async fn mint(
        &self,
        presentation: &str,
        arguments: &[u8],
    ) -> Result<(Minted, SecretSlice<u8>), Refused> {
        let mut client = self.client().await?;
        let request =
            v1::MintRequest { presentation: presentation.to_owned(), arguments: arguments.to_vec() };
        let minted = timeout(OWN_WORK, client.mint(request)).await;
        let v1::MintResponse {
            capability,
            call,
            expires_in_ms: _,
            requests,
            tool,
            effect,
            untrusted,
            choices,
        } = settle(minted, Refused::UNAVAILABLE)?;
        let choices = choices
            .into_iter()
            .map(|v1::Choice { resource, ids }| (resource, ids))
            .collect::<HashMap<_, _>>();
        Ok((Minted { tool, call, effect, untrusted, requests, choices }, SecretSlice::from(capability)))
    }

    /// Sends one step. `harmless`: the tool only reads, so that a lost answer leaves nothing in doubt.
    ///
    /// # Errors
    /// A refusal; `unknown` where the connection broke and the step may have had its effect.
    pub async fn send(&self, request: v1::SendRequest, harmless: bool) -> Result<v1::SendResponse, Refused> {
        let mut client = self.client().await?;
        let sent = timeout(STEP, client.send(request)).await;
        settle(sent, if harmless { Refused::UNAVAILABLE } else { Refused::UNKNOWN })
    }

    /// Begins a step whose answer is long, and returns it as it comes.
    ///
    /// # Errors
    /// A refusal.
    pub async fn download(&self, request: v1::SendRequest) -> Result<Streaming<v1::DownloadFrame>, Refused> {
        let mut client = self.streaming().await?;
        settle(timeout(STEP, client.download(request)).await, Refused::UNAVAILABLE)
    }

    /// Begins a step whose body is long: returns where its pieces go, and what the vault replies. The body ends when the
    /// sender goes. One that is shorter than its arguments say is one that was broken off: the vault counts.
    ///
    /// # Errors
    /// A refusal.
    pub async fn upload(
        &self,
        begin: v1::SendRequest,
    ) -> Result<(mpsc::Sender<Vec<u8>>, Streaming<v1::UploadReply>), Refused> {
        use v1::upload_frame::Frame;
        let mut client = self.streaming().await?;
        let (sender, mut pieces) = mpsc::channel::<Vec<u8>>(1);
        let pieces = futures_util::stream::poll_fn(move |context| pieces.poll_recv(context));
        let begin = futures_util::stream::once(std::future::ready(Frame::Begin(begin)));
        let frames = begin.chain(pieces.map(Frame::Piece));
        let frames = frames.map(|frame| v1::UploadFrame { frame: Some(frame) });
        let replies = settle(timeout(STEP, client.upload(frames)).await, Refused::UNKNOWN)?;
        Ok((sender, replies))
    }

    async fn streaming(&self) -> Result<AdapterServiceClient<Channel>, Refused> {
        let mut channel = self.streams.lock().await;
        let channel = match channel.as_ref() {
            Some(channel) => channel.clone(),
            None => match connect_for_streams(&self.path, self.server, STREAMS).await {
                Ok(new) => channel.insert(new).clone(),
                Err(fault) => {
                    tracing::warn!(%fault, "no connection to the vault");
                    return Err(Refused::here(Refused::UNAVAILABLE));
                }
            },
        };
        Ok(AdapterServiceClient::new(channel).max_decoding_message_size(MESSAGE))
    }

    async fn client(&self) -> Result<AdapterServiceClient<Channel>, Refused> {
        let mut channel = self.channel.lock().await;
        let channel = match channel.as_ref() {
            Some(channel) => channel.clone(),
            None => match connect(&self.path, self.server).await {
                Ok(new) => channel.insert(new).clone(),
                Err(fault) => {
                    tracing::warn!(%fault, "no connection to the vault");
                    return Err(Refused::here(Refused::UNAVAILABLE));
                }
            },
        };
        Ok(AdapterServiceClient::new(channel))
    }
}

/// Sorts what came of an RPC. `lost` is the class for an RPC whose answer never came.
fn settle<T>(
    result: Result<Result<tonic::Response<T>, Status>, tokio::time::error::Elapsed>,
    lost: &'static str,
) -> Result<T, Refused> {
    let status = match result {
        Ok(Ok(response)) => return Ok(response.into_inner()),
        Ok(Err(status)) => status,
        Err(_) => {
            tracing::warn!("the vault took too long");
            return Err(Refused::here(lost));
        }
    };
    Err(refused(&status, lost))
}

/// What a status of the vault's means. `lost` is the class for one that is no refusal.
pub(super) fn refused(status: &Status, lost: &'static str) -> Refused {
    if let Some(refusal) = from_status(status) {
        return Refused::from_wire(refusal);
    }
    let unsent = never_sent(status);
    // The code only: a status' message is not ours to vouch for. The connection's own fault names paths and uids.
    tracing::warn!(code = ?status.code(), fault = unsent, "the vault did not answer");
    Refused::here(if unsent.is_some() { Refused::UNAVAILABLE } else { lost })
}

/// Why no byte of the request was sent, if that is certain: there was no connection to send it on.
fn never_sent(status: &Status) -> Option<String> {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref::<ConnectError>() {
            return Some(fault.to_string());
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(fault) = inner.and_then(|inner| inner.downcast_ref::<ConnectError>()) {
            return Some(fault.to_string());
        }
        cause = error.source();
    }
    None
}
