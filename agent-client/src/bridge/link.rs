//! The way to the vault, kept up: opened, watched, and tried again while the vault is away.

use std::sync::Arc;

use rmcp::model::Tool as McpTool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Settings;
use super::describe::describe;
use super::own;
use crate::error::ClientError;
use crate::session::Session;
use crate::vault::{Vault, within};

/// How it stands with the vault.
#[derive(Clone)]
pub(super) enum State {
    /// Not known yet: the first attempt is under way.
    Unknown,
    /// Open.
    Open(Arc<Session>),
    /// Not open, and why; tried again until it is.
    Away(Arc<ClientError>),
}

/// What the server reads.
#[derive(Clone)]
pub(super) struct Link {
    /// How it stands.
    pub(super) state: watch::Receiver<State>,
    /// The tools that hosts see; changes only when they do.
    pub(super) tools: watch::Receiver<Arc<Vec<McpTool>>>,
}

/// Starts a task that keeps the link until `stop`.
pub(super) fn keep(settings: Settings, stop: CancellationToken) -> Link {
    let (state, state_out) = watch::channel(State::Unknown);
    let (tools, tools_out) = watch::channel(Arc::default());
    let keeper = Keeper { settings, state, tools };
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = keeper.run() => {}
        }
    });
    Link { state: state_out, tools: tools_out }
}

struct Keeper {
    settings: Settings,
    state: watch::Sender<State>,
    tools: watch::Sender<Arc<Vec<McpTool>>>,
}

impl Keeper {
    async fn run(self) {
        let (first, most) = self.settings.backoff;
        let mut wait = first;
        loop {
            let mut opened = false;
            let error = match self.stay_open(&mut opened).await {
                Ok(()) => ClientError::Rpc(tonic::Code::Unavailable),
                Err(error) => error,
            };
            tracing::warn!(%error, "the vault is away");
            self.publish(State::Away(Arc::new(error)));
            if opened {
                wait = first;
            }
            #[allow(
                clippy::disallowed_methods,
                reason = "a pause between attempts; nothing is decided by it"
            )]
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(most);
        }
    }

    /// Opens, and opens again at each change, until the connection is lost.
    async fn stay_open(&self, opened: &mut bool) -> Result<(), ClientError> {
        let Settings { socket, server, handles, clock, folder, .. } = &self.settings;
        let vault = Vault::connect(socket, *server, handles).await?;
        // Watched first and opened then: a change in between is not missed.
        let mut changes = vault.watch().await?;
        let change = |status: tonic::Status| ClientError::from_status(&status);
        let mut sequence = match within(changes.message()).await?.map_err(change)? {
            Some(first) => first.sequence,
            None => return Ok(()),
        };
        let session = Session::over(vault, clock.clone()).await?;
        let session = Arc::new(session.with_folder(folder.clone()));
        *opened = true;
        self.publish(State::Open(session.clone()));
        while let Some(changed) = changes.message().await.map_err(change)? {
            if changed.sequence != sequence {
                sequence = changed.sequence;
                session.refresh().await?;
                self.publish(State::Open(session.clone()));
            }
        }
        Ok(())
    }

    fn publish(&self, state: State) {
        let tools = match &state {
            State::Open(session) => {
                let grants = session.grants();
                let mut tools: Vec<McpTool> = grants.tools().map(|tool| describe(tool)).collect();
                tools.extend(own::tools(!tools.is_empty()));
                tools
            }
            State::Unknown | State::Away(_) => Vec::new(),
        };
        // The tools first: whoever waits for the state then sees the list that belongs to it.
        self.tools.send_if_modified(|current| {
            let changed = **current != tools;
            if changed {
                *current = Arc::new(tools);
            }
            changed
        });
        self.state.send_replace(state);
    }
}
