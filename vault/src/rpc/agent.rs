//! `AgentService`: what an agent's client may ask.

use std::pin::Pin;
use std::sync::Arc;

use claviger_domain::name::AgentName;
use claviger_domain::refusal::Class;
use claviger_proto::v1;
use claviger_proto::v1::agent_service_server::AgentService;
use futures_util::Stream;
use tonic::{Request, Response, Status};

use super::convert::{answer, approvals, ask};
use super::gate::Gate;
use super::peer::Peer;
use super::status::{bare, refused};
use crate::broker::Broker;
use crate::broker::error::AdminError;

/// The service for agents.
#[derive(Clone)]
pub struct Agents {
    broker: Arc<Broker>,
    gate: Gate,
}

impl Agents {
    /// Over that broker, behind that gate.
    #[must_use]
    pub fn new(broker: Arc<Broker>, gate: Gate) -> Self {
        Self { broker, gate }
    }

    /// Who asks; refused while the vault is sealed.
    fn caller<T>(&self, request: &Request<T>) -> Result<AgentName, Status> {
        match request.extensions().get::<Peer>() {
            Some(Peer::Agent(..)) if !self.broker.is_unsealed() => Err(bare(Class::Sealed)),
            // Who connected while sealed was let in by a registry that nobody had checked yet.
            Some(Peer::Agent(name, uid))
                if self.broker.settings().single_user
                    || self.broker.agent_of_uid(*uid).as_ref() == Some(name) =>
            {
                Ok(name.clone())
            }
            Some(Peer::Agent(..)) => Err(bare(Class::NotGranted)),
            Some(Peer::Admin(_) | Peer::Adapter(..)) | None => Err(bare(Class::NotGranted)),
        }
    }
}

/// What cannot be understood is refused before the broker is asked. The words are for owners, not for agents.
fn malformed(_: AdminError) -> Status {
    bare(Class::BadArguments)
}

#[tonic::async_trait]
impl AgentService for Agents {
    async fn open(&self, request: Request<v1::OpenRequest>) -> Result<Response<v1::OpenResponse>, Status> {
        let _inside = self.gate.enter().map_err(|_| bare(Class::Sealed))?;
        let agent = self.caller(&request)?;
        let v1::OpenRequest { handles } = request.into_inner();
        let opened = match ask::handles(&handles).map_err(malformed)?.as_slice() {
            [] => self.broker.open(&agent),
            handles => self.broker.open_handles(&agent, handles),
        };
        let opened = opened.map_err(|refusal| refused(&refusal))?;
        Ok(Response::new(answer::opened(opened)))
    }

    async fn narrow(
        &self,
        request: Request<v1::NarrowRequest>,
    ) -> Result<Response<v1::NarrowResponse>, Status> {
        let _inside = self.gate.enter().map_err(|_| bare(Class::Sealed))?;
        let agent = self.caller(&request)?;
        let (handle, caveats, label) = ask::narrow(request.into_inner()).map_err(malformed)?;
        let child = self.broker.narrow(&agent, handle, caveats, label).await;
        let child = child.map_err(|refusal| refused(&refusal))?;
        Ok(Response::new(v1::NarrowResponse { handle: Some(answer::handle(child)) }))
    }

    async fn release(
        &self,
        request: Request<v1::ReleaseRequest>,
    ) -> Result<Response<v1::ReleaseResponse>, Status> {
        let _inside = self.gate.enter().map_err(|_| bare(Class::Sealed))?;
        let agent = self.caller(&request)?;
        let v1::ReleaseRequest { handle } = request.into_inner();
        let handle = ask::handle(&handle).map_err(malformed)?;
        let released = self.broker.release_handle(&agent, handle).await;
        let released = released.map_err(|refusal| refused(&refusal))?;
        Ok(Response::new(v1::ReleaseResponse { released }))
    }

    async fn collect(
        &self,
        request: Request<v1::CollectRequest>,
    ) -> Result<Response<v1::CollectResponse>, Status> {
        let _inside = self.gate.enter().map_err(|_| bare(Class::Sealed))?;
        let agent = self.caller(&request)?;
        let id = approvals::own(request.into_inner()).map_err(|refusal| refused(&refusal))?;
        let collected = self.broker.collect(&agent, id).await.map_err(|refusal| refused(&refusal))?;
        Ok(Response::new(approvals::collected(collected)))
    }

    async fn ask(&self, request: Request<v1::AskRequest>) -> Result<Response<v1::AskResponse>, Status> {
        let _inside = self.gate.enter().map_err(|_| bare(Class::Sealed))?;
        let agent = self.caller(&request)?;
        let wish = approvals::wish(request.into_inner()).map_err(|refusal| refused(&refusal))?;
        let asked = self.broker.ask(&agent, wish).await.map_err(|refusal| refused(&refusal))?;
        Ok(Response::new(approvals::asked(asked)))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::Changed, Status>> + Send>>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        // Not counted as inside: it ends when the gate closes.
        drop(self.gate.enter().map_err(|_| bare(Class::Sealed))?);
        self.caller(&request)?;
        let v1::WatchRequest {} = request.into_inner();
        let mut changes = self.broker.changes();
        // What is current counts as a change: the first message comes at once. Many changes in a row are one message,
        // so a client that does not read costs nothing.
        changes.mark_changed();
        let stream =
            futures_util::stream::unfold((changes, self.gate.ended()), |(mut changes, ended)| async {
                tokio::select! {
                    () = ended.cancelled() => None,
                    changed = changes.changed() => {
                        changed.ok()?;
                        let sequence = *changes.borrow_and_update();
                        Some((Ok(v1::Changed { sequence }), (changes, ended)))
                    }
                }
            });
        Ok(Response::new(Box::pin(stream)))
    }
}
