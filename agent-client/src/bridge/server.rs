//! The MCP server that hosts talk to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, Implementation,
    ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ProgressToken, ResultType,
    ServerCapabilities, ServerConfig, SubscriptionFilter, Tool as McpTool,
};
use rmcp::service::{NotificationContext, Peer, RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::describe::INSTRUCTIONS;
use super::link::{Link, State};
use super::own;
use crate::error::ClientError;
use crate::outcome::CallOutcome;
use crate::session::CallOptions;

/// How many reports of progress may wait for a slow host.
const PROGRESS_WAITING: usize = 16;

/// What one host sees. Any number of them share one link.
pub(super) struct Bridge {
    link: Link,
    patience: Duration,
    /// Ends what tells this host of changes: when the program is to end, and when the host is gone.
    stop: CancellationToken,
    _stop_at_end: DropGuard,
    /// Whether the host is being told of changes in the older way; it may announce itself only once.
    telling: AtomicBool,
    /// What the host has seen last, if it has asked.
    listed: Arc<Mutex<Option<Arc<Vec<McpTool>>>>>,
}

impl Bridge {
    pub(super) fn new(link: Link, patience: Duration, stop: CancellationToken) -> Self {
        let stop = stop.child_token();
        let _stop_at_end = stop.clone().drop_guard();
        Self { link, patience, stop, _stop_at_end, telling: AtomicBool::new(false), listed: Arc::default() }
    }

    /// How it stands with the vault, once that is known: the first attempt has its own time limit.
    async fn state(&self) -> State {
        let mut state = self.link.state.clone();
        match state.wait_for(|state| !matches!(state, State::Unknown)).await {
            Ok(state) => state.clone(),
            // The keeper is gone, so this server is about to be.
            Err(_) => State::Unknown,
        }
    }

    /// Changes of the list from now on, or from the list that the host has seen, if that was an older one.
    async fn changes(&self) -> watch::Receiver<Arc<Vec<McpTool>>> {
        self.state().await;
        let mut tools = self.link.tools.clone();
        let current = tools.borrow_and_update().clone();
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if listed.is_some_and(|listed| !Arc::ptr_eq(&listed, &current)) {
            tools.mark_changed();
        }
        tools
    }

    async fn call(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let session = match self.state().await {
            State::Open(session) => session,
            State::Away(error) => return Ok(failed(&error)),
            State::Unknown => return Err(ErrorData::internal_error("shutting down", None)),
        };
        if own::is_own(&request.name) {
            let arguments = request.arguments.unwrap_or_default();
            return tokio::select! {
                () = context.ct.cancelled() => Err(ErrorData::internal_error("cancelled", None)),
                result = own::call(&session, &request.name, arguments, self.patience) => result,
            };
        }
        // Of what the host says beside name and arguments, only the progress token is read: a presentation that came
        // from there is nothing to us.
        let token = context.meta.get_progress_token();
        let (sender, mut reports) = mpsc::channel(PROGRESS_WAITING);
        let options =
            CallOptions { timeout: Some(self.patience), progress: token.is_some().then_some(sender) };
        let call = session.call_with(&request.name, request.arguments.unwrap_or_default(), &options);
        tokio::pin!(call);
        let outcome = loop {
            tokio::select! {
                biased;
                // Dropping the call tells the adapter.
                () = context.ct.cancelled() => return Err(ErrorData::internal_error("cancelled", None)),
                Some(report) = reports.recv() => pass_on(&context.peer, token.as_ref(), report).await,
                outcome = &mut call => break outcome,
            }
        };
        while let Ok(report) = reports.try_recv() {
            pass_on(&context.peer, token.as_ref(), report).await;
        }
        match outcome {
            Ok(CallOutcome::Answered(result)) => Ok(result),
            Ok(CallOutcome::Refused(refusal)) => {
                Ok(CallToolResult::error(vec![ContentBlock::text(refusal.to_string())]))
            }
            // MCP has a place of its own for this one.
            Err(error @ ClientError::UnknownTool { .. }) => {
                Err(ErrorData::invalid_params(format!("unknown tool: {error}"), None))
            }
            Err(error) => Ok(failed(&error)),
        }
    }
}

/// What went wrong, as a model can use it.
pub(super) fn failed(error: &ClientError) -> CallToolResult {
    let text = format!("not done: {error}. Next: {}.", error.next_step());
    CallToolResult::error(vec![ContentBlock::text(text)])
}

async fn pass_on(peer: &Peer<RoleServer>, token: Option<&ProgressToken>, report: ProgressNotificationParam) {
    let Some(token) = token else { return };
    let mut passed = ProgressNotificationParam::new(token.clone(), report.progress);
    passed.total = report.total;
    passed.message = report.message;
    // A host that has gone does not want to know.
    let _ = peer.notify_progress(passed).await;
}

impl ServerHandler for Bridge {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build())
            .with_server_info(Implementation::new("claviger", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.state().await;
        let tools = self.link.tools.borrow().clone();
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = Some(tools.clone());
        Ok(ListToolsResult::with_all_items(tools.as_ref().clone()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let mut result = self.call(request, &context).await?;
        // An adapter's answer comes by an older version, without the word that 2026-07-28 demands in each result; strict
        // hosts refuse one that lacks it. For older hosts the library takes it off again.
        result.result_type = Some(ResultType::COMPLETE);
        Ok(CallToolResponse::Complete(result))
    }

    /// Up to version 2025-11-25: the host is told unasked.
    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        if self.telling.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut changes = self.changes().await;
        let stop = self.stop.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    changed = changes.changed() => if changed.is_err() { return },
                }
                if context.peer.notify_tool_list_changed().await.is_err() {
                    return;
                }
            }
        });
    }

    /// From version 2026-07-28: the host subscribes.
    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.changes().await;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                () = context.cancelled() => return Ok(()),
                changed = changes.changed() => if changed.is_err() { return Ok(()) },
            }
            if context.accepted().tools_list_changed == Some(true)
                && context.sink().notify_tool_list_changed().await.is_err()
            {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, link};
    use super::*;
    use claviger_proto::connect::Server;

    /// Over HTTP, hosts come and go while the program runs: what tells one of them must not outlive it.
    #[tokio::test]
    async fn with_its_host_a_bridge_ends_what_it_began_and_nothing_else() {
        let stop = CancellationToken::new();
        let settings = Settings::new("/nowhere/agent.sock".into(), Server::OwnerOfDirectory);
        let link = link::keep(settings, stop.clone());
        let (first, second) = (
            Bridge::new(link.clone(), Duration::ZERO, stop.clone()),
            Bridge::new(link, Duration::ZERO, stop.clone()),
        );
        let told = first.stop.clone();
        drop(first);
        assert!(told.is_cancelled() && !second.stop.is_cancelled() && !stop.is_cancelled());
        stop.cancel();
        assert!(second.stop.is_cancelled());
    }
}
