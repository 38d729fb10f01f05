//! `AdapterService`: what an adapter may ask.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claviger_domain::name::AdapterName;
use claviger_domain::refusal::Class;
use claviger_proto::v1;
use claviger_proto::v1::adapter_service_server::AdapterService;
use tonic::{Request, Response, Status, Streaming};

use super::convert::answer;
use super::gate::Gate;
use super::peer::Peer;
use super::status::{bare, refused};
use super::streams::{self, Frames};
use crate::broker::Broker;

/// The most calls that one adapter has in flight, on all its connections together: each may hold an answer of 1 MiB.
const MOST_CALLS: usize = 128;

/// The service for adapters.
#[derive(Clone)]
pub struct Adapters {
    broker: Arc<Broker>,
    gate: Gate,
    turns: Turns,
}

/// How many calls each adapter has in flight.
#[derive(Clone, Default)]
struct Turns(Arc<Mutex<HashMap<AdapterName, usize>>>);

/// One call in flight.
struct Turn {
    turns: Turns,
    adapter: AdapterName,
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, HashMap<AdapterName, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call; refused as `busy` where there are too many.
    fn begin(&self, adapter: &AdapterName) -> Result<Turn, Status> {
        let mut turns = self.lock();
        let calls = turns.entry(adapter.clone()).or_default();
        if *calls >= MOST_CALLS {
            return Err(bare(Class::Busy));
        }
        *calls += 1;
        Ok(Turn { turns: self.clone(), adapter: adapter.clone() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = self.turns.lock();
        let calls = turns.remove(&self.adapter).unwrap_or_default();
        if calls > 1 {
            turns.insert(self.adapter.clone(), calls - 1);
        }
    }
}

impl Adapters {
    /// Over that broker, behind that gate.
    #[must_use]
    pub fn new(broker: Arc<Broker>, gate: Gate) -> Self {
        Self { broker, gate, turns: Turns::default() }
    }

    /// Who asks; refused while the vault is sealed.
    fn caller<T>(&self, request: &Request<T>) -> Result<AdapterName, Status> {
        match request.extensions().get::<Peer>() {
            Some(Peer::Adapter(..)) if !self.broker.is_unsealed() => Err(bare(Class::Sealed)),
            // Who connected while sealed was let in by a registry that nobody had checked yet.
            Some(Peer::Adapter(name, uid))
                if self.broker.settings().single_user
                    || self.broker.adapter_of_uid(*uid).as_ref() == Some(name) =>
            {
                Ok(name.clone())
            }
            Some(Peer::Adapter(..)) => Err(bare(Class::NotGranted)),
            Some(Peer::Admin(_) | Peer::Agent(..)) | None => Err(bare(Class::NotGranted)),
        }
    }
}

#[tonic::async_trait]
impl AdapterService for Adapters {
    type DownloadStream = Frames<v1::DownloadFrame>;
    type UploadStream = Frames<v1::UploadReply>;

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
        let _turn = self.turns.begin(&adapter)?;
        let v1::MintRequest { presentation, arguments } = request.into_inner();
        let minted = self.broker.mint(&adapter, &presentation, &arguments).await;
        Ok(Response::new(answer::minted(minted.map_err(|refusal| refused(&refusal))?)))
    }

    async fn send(&self, request: Request<v1::SendRequest>) -> Result<Response<v1::SendResponse>, Status> {
        let inside = self.gate.enter().map_err(|_| bare(Class::Sealed))?;
        let adapter = self.caller(&request)?;
        let turn = self.turns.begin(&adapter)?;
        let v1::SendRequest { capability, step, params } = request.into_inner();
        let capability = zeroize::Zeroizing::new(capability);
        let params = params.into_iter().collect();
        // The places are held to the end of the use, not of the caller: who hangs up frees none.
        let held = (inside, turn);
        let sent = self.broker.send_holding(&adapter, &capability, &step, params, held).await;
        Ok(Response::new(answer::sent(sent.map_err(|refusal| refused(&refusal))?)))
    }

    async fn download(
        &self,
        request: Request<v1::SendRequest>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        let _inside = self.gate.enter().map_err(|_| bare(Class::Sealed))?;
        let adapter = self.caller(&request)?;
        let turn = self.turns.begin(&adapter)?;
        let v1::SendRequest { capability, step, params } = request.into_inner();
        let capability = zeroize::Zeroizing::new(capability);
        let params = params.into_iter().collect();
        // The vault's own task goes on from here, and is waited for at a seal, which cuts it.
        let until = self.gate.ended();
        let downloading = self.broker.download(&adapter, &capability, &step, params, until).await;
        Ok(Response::new(streams::download(downloading.map_err(|refusal| refused(&refusal))?, turn)))
    }

    async fn upload(
        &self,
        request: Request<Streaming<v1::UploadFrame>>,
    ) -> Result<Response<Self::UploadStream>, Status> {
        let _inside = self.gate.enter().map_err(|_| bare(Class::Sealed))?;
        let adapter = self.caller(&request)?;
        let turn = self.turns.begin(&adapter)?;
        let mut frames = request.into_inner();
        let v1::SendRequest { capability, step, params } = streams::begin(&mut frames).await?;
        let capability = zeroize::Zeroizing::new(capability);
        let params = params.into_iter().collect();
        let until = self.gate.ended();
        let uploading = self.broker.upload(&adapter, &capability, &step, params, until).await;
        let uploading = uploading.map_err(|refusal| refused(&refusal))?;
        Ok(Response::new(streams::upload(uploading, frames, turn)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn a_busy_adapter_takes_no_turn_of_another() {
        let turns = Turns::default();
        let (gmail, drive) = ("gmail".parse().unwrap(), "drive".parse().unwrap());
        let mut held: Vec<Turn> = (0..MOST_CALLS).map(|_| turns.begin(&gmail).ok().unwrap()).collect();
        assert!(turns.begin(&gmail).is_err());
        drop(turns.begin(&drive).ok().unwrap());
        drop(held.pop());
        held.push(turns.begin(&gmail).ok().unwrap());
        assert!(turns.begin(&gmail).is_err());
        drop(held);
        assert!(turns.lock().is_empty());
    }
}
