//! An MCP host: it drives `claviger-agent mcp` over stdio, as any host does.

use std::path::Path;
use std::process::Stdio;

use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientConfig, Implementation, ProgressNotificationParam,
    ProtocolVersion, SubscriptionFilter,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt as _, NotificationContext, RunningService, ServiceError,
};
use rmcp::{ClientHandler, RoleClient, ServiceExt as _};
use serde_json::Value;
use tokio::process::Child;
use tokio::sync::{Mutex, mpsc};

use super::users::Who;
use super::{AGENT, PATIENCE, World};
use crate::binaries;

/// What hears when the list of tools has changed.
struct Ears {
    version: ProtocolVersion,
    changed: mpsc::UnboundedSender<()>,
    progress: mpsc::UnboundedSender<ProgressNotificationParam>,
}

impl ClientHandler for Ears {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(Default::default(), Implementation::new("e2e", "1"))
            .with_protocol_version(self.version.clone())
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        // Nobody listens any more when the test is over.
        let _ = self.changed.send(());
    }

    async fn on_progress(&self, report: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        let _ = self.progress.send(report);
    }
}

/// A host with its server.
pub struct Host {
    client: RunningService<RoleClient, Ears>,
    changed: Mutex<mpsc::UnboundedReceiver<()>>,
    progress: Mutex<mpsc::UnboundedReceiver<ProgressNotificationParam>>,
    server: Child,
}

impl World {
    /// Starts `claviger-agent mcp` and speaks that version of MCP to it.
    pub async fn host(&self, version: ProtocolVersion) -> Host {
        self.host_with(version, None).await
    }

    /// As [`World::host`], with a folder for files.
    pub async fn host_with(&self, version: ProtocolVersion, folder: Option<&Path>) -> Host {
        let mut command = self.users.command(Who::Agent, &binaries::path("claviger-agent"), self.base());
        command.env("CLAVIGER_AGENT_SOCKET", self.agent_socket(AGENT)).arg("mcp");
        if let Some(folder) = folder {
            command.arg("--folder").arg(folder);
        }
        let log = std::fs::File::create(self.base().join("logs/host.log")).unwrap();
        let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let pipes = (server.stdout.take().unwrap(), server.stdin.take().unwrap());
        let (changed, heard) = mpsc::unbounded_channel();
        let (progress, reports) = mpsc::unbounded_channel();
        let ears = Ears { version: version.clone(), changed, progress };
        let client = if version.has_initialize() {
            ears.serve(pipes).await.unwrap()
        } else {
            let mode = ClientLifecycleMode::Discover { preferred_versions: vec![version] };
            ears.serve_with_lifecycle(pipes, mode).await.unwrap()
        };
        Host { client, changed: Mutex::new(heard), progress: Mutex::new(reports), server }
    }
}

impl Host {
    /// The server's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.id().expect("it runs as long as its host")
    }

    /// The version that was agreed on.
    #[must_use]
    pub fn version(&self) -> ProtocolVersion {
        self.client.peer_info().unwrap().protocol_version.clone()
    }

    /// The granted tools' names, sorted; the bridge's own (`claviger_…`) are there whenever the vault is.
    pub async fn names(&self) -> Vec<String> {
        let tools = self.client.list_all_tools().await.unwrap();
        let names = tools.into_iter().map(|tool| tool.name.into_owned());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with("claviger_")).collect();
        names.sort();
        names
    }

    /// Everything that is said about the tools.
    pub async fn tools(&self) -> Value {
        serde_json::to_value(self.client.list_all_tools().await.unwrap()).unwrap()
    }

    /// Calls a tool.
    ///
    /// # Errors
    /// The server answered with a protocol error.
    pub async fn try_call(&self, name: &str, args: Value) -> Result<CallToolResult, ServiceError> {
        let Value::Object(args) = args else { panic!("arguments are an object") };
        self.client.call_tool(CallToolRequestParams::new(name.to_owned()).with_arguments(args)).await
    }

    /// Calls a tool, and returns the structured answer of a call that went well.
    ///
    /// # Panics
    /// It did not go well.
    pub async fn ok(&self, name: &str, args: Value) -> Value {
        let result = self.try_call(name, args).await.unwrap();
        assert_ne!(result.is_error, Some(true), "{result:?}");
        result.structured_content.unwrap()
    }

    /// Calls a tool, and returns what the model is told instead of an answer.
    ///
    /// # Panics
    /// It was not refused.
    pub async fn refused(&self, name: &str, args: Value) -> String {
        let result = self.try_call(name, args).await.unwrap();
        assert_eq!(result.is_error, Some(true), "{result:?}");
        result.content[0].as_text().unwrap().text.clone()
    }

    /// The next report of how far a call is.
    pub async fn progress(&self) -> ProgressNotificationParam {
        let mut reports = self.progress.lock().await;
        tokio::time::timeout(PATIENCE, reports.recv()).await.expect("no progress").unwrap()
    }

    /// Waits until the server tells, by a notification, that the list of tools has changed (up to 2025-11-25).
    pub async fn told_of_change(&self) {
        let mut changed = self.changed.lock().await;
        tokio::time::timeout(PATIENCE, changed.recv()).await.expect("no list_changed").unwrap();
    }

    /// Subscribes to changes of the list of tools (2026-07-28); each item of what is returned is one.
    pub async fn listen(&self) -> rmcp::service::Subscription {
        let filter = SubscriptionFilter::builder().tools_list_changed().build();
        self.client.listen(filter).await.unwrap()
    }
}
