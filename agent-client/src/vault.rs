//! The connection to the vault.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use claviger_proto::connect::{Server, connect};
use claviger_proto::v1::agent_service_client::AgentServiceClient;
use claviger_proto::v1::{
    AskRequest, AskResponse, Changed, CollectRequest, CollectResponse, NarrowRequest, OpenRequest,
    ReleaseRequest, WatchRequest,
};
use tonic::Streaming;
use tonic::transport::Channel;

use crate::error::ClientError;
use crate::grants::{Grants, handle_bytes};
use crate::narrow::Child;

/// How long the vault may take to accept, to answer `Open`, and to begin `Watch`.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes of an answer: room for some thousand tools with their schemas.
const MAX_ANSWER: usize = 16 << 20;

/// A checked connection to the vault's `AgentService`; made again, with the same check, whenever it was lost.
#[derive(Clone)]
pub(crate) struct Vault {
    client: AgentServiceClient<Channel>,
    /// These handles alone; the roots of all grants where there is none.
    only: Arc<[String]>,
}

impl Vault {
    /// Connects, after looking who serves `socket`. Opens the handles of `only`, or the roots where there is none.
    pub(crate) async fn connect(socket: &Path, server: Server, only: &[String]) -> Result<Self, ClientError> {
        if only.iter().any(|handle| handle_bytes(handle).is_none()) {
            return Err(ClientError::NoSuchHandle);
        }
        let connecting = connect(socket, server);
        let channel = within(connecting).await?.map_err(ClientError::Connect)?;
        let client = AgentServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER);
        Ok(Self { client, only: only.into() })
    }

    /// The handles it opens; none for the roots of all grants.
    pub(crate) fn only(&self) -> &[String] {
        &self.only
    }

    /// Makes a child handle. Its proof key is not kept: whoever uses it opens it.
    pub(crate) async fn narrow(&self, request: NarrowRequest) -> Result<Child, ClientError> {
        let mut client = self.client.clone();
        let answer = within(client.narrow(request)).await?;
        let answer = answer.map_err(|status| ClientError::of_call(&status))?.into_inner();
        Child::read(answer.handle.ok_or(ClientError::BadAnswer("there is no handle in it"))?)
    }

    /// Ends a child handle; returns how many ended with it.
    pub(crate) async fn release(&self, handle: &str) -> Result<u32, ClientError> {
        let mut client = self.client.clone();
        let answer = within(client.release(ReleaseRequest { handle: handle.to_owned() })).await?;
        Ok(answer.map_err(|status| ClientError::of_call(&status))?.into_inner().released)
    }

    /// What is granted now.
    pub(crate) async fn open(&self) -> Result<Grants, ClientError> {
        let mut client = self.client.clone();
        let answer = within(client.open(OpenRequest { handles: self.only.to_vec() })).await?;
        let answer = answer.map_err(|status| ClientError::from_status(&status))?;
        Grants::read(answer.into_inner())
    }

    /// That handle of this agent's, a child too; nothing where it is not live.
    pub(crate) async fn open_handle(&self, id: &str) -> Result<Grants, ClientError> {
        let mut client = self.client.clone();
        let answer = within(client.open(OpenRequest { handles: vec![id.to_owned()] })).await?;
        let answer = answer.map_err(|status| ClientError::from_status(&status))?;
        Grants::read(answer.into_inner())
    }

    /// What became of something that waits for a person.
    pub(crate) async fn collect(&self, id: String) -> Result<CollectResponse, ClientError> {
        let mut client = self.client.clone();
        let answer = within(client.collect(CollectRequest { id })).await?;
        Ok(answer.map_err(|status| ClientError::of_call(&status))?.into_inner())
    }

    /// Asks the owner.
    pub(crate) async fn ask(&self, request: AskRequest) -> Result<AskResponse, ClientError> {
        let mut client = self.client.clone();
        let answer = within(client.ask(request)).await?;
        Ok(answer.map_err(|status| ClientError::of_call(&status))?.into_inner())
    }

    /// One message now, and one for each change.
    pub(crate) async fn watch(&self) -> Result<Streaming<Changed>, ClientError> {
        let mut client = self.client.clone();
        let answer = within(client.watch(WatchRequest {})).await?;
        Ok(answer.map_err(|status| ClientError::from_status(&status))?.into_inner())
    }
}

/// Waits for an answer as long as the vault may take.
pub(crate) async fn within<T>(answer: impl Future<Output = T>) -> Result<T, ClientError> {
    tokio::time::timeout(PATIENCE, answer).await.map_err(|_| ClientError::Rpc(tonic::Code::DeadlineExceeded))
}
