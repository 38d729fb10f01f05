//! One connection's MCP server: two methods, `tools/list` and `tools/call`.

use std::collections::BTreeSet;
use std::sync::Arc;

use claviger_canonical::presentation::{MAX_TEXT, META_KEY};
use claviger_canonical::{Canonical, base64url};
use claviger_proto::bulk::TICKET_KEY;
use claviger_proto::v1;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, Implementation, JsonObject,
    ListToolsResult, MetaObject, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    ToolAnnotations,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::bulk::{self, Tickets};
use super::vault::Vault;
use super::{result, ticket};
use crate::call::Call;
use crate::failure::{Failure, Refused};
use crate::service::Service;
use crate::transfer::Transfer;

/// The key in a tool's `_meta` that carries its effect.
const EFFECT_KEY: &str = "claviger/effect";
/// The key in a tool's `_meta` that carries the SHA-256 of its definition.
const DEFINITION_KEY: &str = "claviger/definition";

/// What all connections share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) name: Arc<str>,
    pub(super) vault: Arc<Vault>,
    pub(super) module: Arc<dyn Service>,
    /// The name of the bulk socket, and what may be fetched or put there.
    pub(super) bulk: Arc<str>,
    pub(super) tickets: Arc<Tickets>,
}

/// Who is at the other end of a connection.
pub(super) struct Peer {
    /// As the kernel said.
    pub(super) uid: u32,
    /// Cancelled when the connection has ended.
    pub(super) gone: CancellationToken,
}

/// One connection's server.
pub(super) struct Handler {
    shared: Shared,
    all_calls: Arc<Semaphore>,
    own_calls: Semaphore,
    peer: Peer,
    shutdown: CancellationToken,
}

impl Handler {
    pub(super) fn new(
        shared: Shared,
        all_calls: Arc<Semaphore>,
        own: usize,
        peer: Peer,
        shutdown: CancellationToken,
    ) -> Self {
        Self { shared, all_calls, own_calls: Semaphore::new(own), peer, shutdown }
    }

    async fn call(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        let refuse = |class| result::refusal(&Refused::here(class));
        if self.shutdown.is_cancelled() {
            return refuse(Refused::UNAVAILABLE);
        }
        let (Ok(_own), Ok(_all)) = (self.own_calls.try_acquire(), self.all_calls.try_acquire()) else {
            return refuse(Refused::BUSY);
        };
        // The library moves `_meta` out of the request into the context.
        let presentation = match context.meta.get(META_KEY).and_then(Value::as_str) {
            Some(text) if text.len() <= MAX_TEXT => text,
            _ => return refuse(Refused::BAD_PRESENTATION),
        };
        let json = Value::Object(request.arguments.unwrap_or_default());
        let Ok(canonical) = Canonical::from_json(&json) else {
            return refuse(Refused::BAD_ARGUMENTS);
        };
        let vault = &self.shared.vault;
        let minted = tokio::select! {
            () = context.ct.cancelled() => return result::of(Err(Failure::Cancelled), false, &BTreeSet::new()),
            minted = vault.mint(presentation, canonical.bytes()) => minted,
        };
        let (minted, capability) = match minted {
            Ok(minted) => minted,
            Err(refused) => return result::refusal(&refused),
        };
        // The presentation names the tool, and so does the request: a request that was sent under another name would be
        // shown to its caller under that name.
        let Some(tool) = (minted.tool == request.name).then(|| minted.tool.clone()) else {
            return refuse(Refused::BAD_PRESENTATION);
        };
        let Some((_, tool)) = tool.split_once('.') else {
            return refuse(Refused::BAD_PRESENTATION);
        };
        let Value::Object(arguments) = json else {
            return refuse(Refused::BAD_ARGUMENTS);
        };
        let call = Call::new(Arc::clone(vault), capability, minted, arguments, context.ct.clone());
        let mut outcome = self.shared.module.run(tool, &call).await;
        tracing::debug!(tool, call = call.minted().call, ok = outcome.is_ok(), "call ended");
        let transfer = outcome.as_mut().ok().and_then(|shaped| shaped.transfer.take());
        let result = result::of(outcome, call.untrusted(), &call.flags());
        match transfer {
            Some(transfer) if result.is_error != Some(true) => self.hand_out(call, transfer, result),
            _ => result,
        }
    }

    /// Keeps the call open for whoever comes to the bulk socket with the ticket that goes into the result.
    fn hand_out(&self, call: Call, transfer: Transfer, mut result: CallToolResult) -> CallToolResult {
        let mut told = ticket::told(&transfer, &self.shared.bulk);
        // The request's own token ends with its answer; the connection's is the one that counts from here on.
        let call = call.until(self.peer.gone.clone());
        let Some(ticket) = self.shared.tickets.issue(self.peer.uid, call, transfer, bulk::now()) else {
            return result::refusal(&Refused::here(Refused::BUSY));
        };
        told.insert("ticket".to_owned(), base64url::encode(&ticket).into());
        result.meta.get_or_insert_default().insert(TICKET_KEY.to_owned(), Value::Object(told));
        result
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build()).with_server_info(
            Implementation::new(format!("claviger-mcp-{}", self.shared.name), env!("CARGO_PKG_VERSION")),
        )
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let told = |class: &str| ErrorData::internal_error(class.to_owned(), None);
        let (Ok(_own), Ok(_all)) = (self.own_calls.try_acquire(), self.all_calls.try_acquire()) else {
            return Err(told(Refused::BUSY));
        };
        let tools = self.shared.vault.tools().await.map_err(|refused| told(&refused.class))?;
        Ok(ListToolsResult::with_all_items(tools.into_iter().filter_map(describe).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Ok(self.call(request, &context).await.into())
    }
}

/// A tool as the vault describes it, in MCP's words. `None` for a schema that is no JSON object: such a tool could not
/// be called.
fn describe(tool: v1::Tool) -> Option<Tool> {
    // The name in full: which of several accounts is meant is the agent client's business, who knows the handles.
    let v1::Tool { name, mcp_name: _, title, description, input_schema, effect, untrusted, definition } =
        tool;
    let Ok(schema) = serde_json::from_slice::<JsonObject>(&input_schema) else {
        tracing::warn!(tool = name, "the vault's schema is no JSON object");
        return None;
    };
    let read = effect == "read";
    let annotations = ToolAnnotations::from_raw(
        (!title.is_empty()).then(|| title.clone()),
        Some(read),
        // What is sent cannot be taken back; what is written can be.
        Some(!read && effect != "write"),
        Some(read),
        Some(untrusted || effect == "send"),
    );
    let meta = Map::from_iter([
        (EFFECT_KEY.to_owned(), Value::String(effect)),
        (DEFINITION_KEY.to_owned(), Value::String(definition)),
        (super::mark::UNTRUSTED_KEY.to_owned(), Value::Bool(untrusted)),
    ]);
    let mut described =
        Tool::new(name, description, schema).with_annotations(annotations).with_meta(MetaObject(meta));
    described.title = (!title.is_empty()).then_some(title);
    Some(described)
}
