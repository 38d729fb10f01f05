//! `AdapterService`: what an adapter may ask.

use std::sync::Arc;

use claviger_domain::name::AdapterName;
use claviger_domain::refusal::Class;
use claviger_proto::v1;
use claviger_proto::v1::adapter_service_server::AdapterService;
use tonic::{Request, Response, Status};

use super::convert::answer;
use super::gate::Gate;
use super::peer::Peer;
use super::status::{bare, refused};
use crate::broker::Broker;

/// The service for adapters.
#[derive(Clone)]
pub struct Adapters {
    broker: Arc<Broker>,
    gate: Gate,
}

impl Adapters {
    /// Over that broker, behind that gate.
    #[must_use]
    pub fn new(broker: Arc<Broker>, gate: Gate) -> Self {
        Self { broker, gate }
    }

    /// Who asks; refused while the vault is sealed.
    fn caller<T>(&self, request: &Request<T>) -> Result<AdapterName, Status> {
        match request.extensions().get::<Peer>() {
            Some(Peer::Adapter(name, _)) if self.broker.is_unsealed() => Ok(name.clone()),
            Some(Peer::Adapter(..)) => Err(bare(Class::Sealed)),
            Some(Peer::Admin(_) | Peer::Agent(..)) | None => Err(bare(Class::NotGranted)),
        }
    }
}

#[tonic::async_trait]
impl AdapterService for Adapters {
    async fn list_tools(
        &self,
        request: Request<v1::ListToolsRequest>,
    ) -> Result<Response<v1::ListToolsResponse>, Status> {
        let _inside = self.gate.enter().map_err(|_| bare(Class::Sealed))?;
        let adapter = self.caller(&request)?;
        let v1::ListToolsRequest {} = request.into_inner();
        let tools = self.broker.tools(&adapter).map_err(|refusal| refused(&refusal))?;
        Ok(Response::new(v1::ListToolsResponse { tools: tools.into_iter().map(answer::tool).collect() }))
    }

    async fn mint(&self, request: Request<v1::MintRequest>) -> Result<Response<v1::MintResponse>, Status> {
        let _inside = self.gate.enter().map_err(|_| bare(Class::Sealed))?;
        let adapter = self.caller(&request)?;
        let v1::MintRequest { presentation, arguments } = request.into_inner();
        let minted = self.broker.mint(&adapter, &presentation, &arguments).await;
        Ok(Response::new(answer::minted(minted.map_err(|refusal| refused(&refusal))?)))
    }

    async fn send(&self, request: Request<v1::SendRequest>) -> Result<Response<v1::SendResponse>, Status> {
        let _inside = self.gate.enter().map_err(|_| bare(Class::Sealed))?;
        let adapter = self.caller(&request)?;
        let v1::SendRequest { capability, step, params } = request.into_inner();
        let capability = zeroize::Zeroizing::new(capability);
        let params = params.into_iter().collect();
        let sent = self.broker.send(&adapter, &capability, &step, params).await;
        Ok(Response::new(answer::sent(sent.map_err(|refusal| refused(&refusal))?)))
    }
}
