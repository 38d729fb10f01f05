//! The MCP server, seen by an MCP client.

use std::sync::Arc;
use std::time::Duration;

use claviger_agent::bridge::{Settings, serve};
use claviger_canonical::presentation::META_KEY;
use claviger_proto::connect::Server;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, ClientConfig, ClientRequest, Implementation,
    ProgressNotificationParam, ProtocolVersion, RequestMetaObject, ResultType, ServerNotification,
    ServerResult, SubscriptionFilter,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt as _, NotificationContext, PeerRequestOptions, RunningService,
};
use rmcp::transport::IntoTransport;
use rmcp::{ClientHandler, RoleClient, ServiceError, ServiceExt as _};
use serde_json::json;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use crate::world::{Still, World, tool};

/// An MCP host that writes down what it is told.
pub(crate) struct Host {
    version: ProtocolVersion,
    changed: mpsc::UnboundedSender<()>,
    progress: mpsc::UnboundedSender<ProgressNotificationParam>,
}

impl ClientHandler for Host {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(Default::default(), Implementation::new("host", "1"))
            .with_protocol_version(self.version.clone())
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.send(()).unwrap();
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.send(params).unwrap();
    }
}

pub(crate) struct Connected {
    pub(crate) client: RunningService<RoleClient, Host>,
    changed: Mutex<mpsc::UnboundedReceiver<()>>,
    progress: Mutex<mpsc::UnboundedReceiver<ProgressNotificationParam>>,
}

pub(crate) async fn connect(world: &World, version: ProtocolVersion) -> Connected {
    connect_by(world, version, &[]).await
}

/// A bridge for these handles alone.
pub(crate) async fn connect_by(world: &World, version: ProtocolVersion, handles: &[&str]) -> Connected {
    let (near, far) = tokio::io::duplex(1 << 16);
    let settings = Settings {
        clock: Arc::new(Still),
        backoff: (Duration::from_millis(5), Duration::from_millis(20)),
        handles: handles.iter().map(|handle| (*handle).to_owned()).collect(),
        ..Settings::new(world.vault_socket(), Server::OwnerOfDirectory)
    };
    tokio::spawn(serve(settings, tokio::io::split(far), CancellationToken::new()));
    introduce(near, version).await
}

/// An MCP host of that version, on whatever leads to a bridge.
pub(crate) async fn introduce<T, E, A>(near: T, version: ProtocolVersion) -> Connected
where
    T: IntoTransport<RoleClient, E, A>,
    E: std::error::Error + Send + Sync + 'static,
{
    let (changed, changed_out) = mpsc::unbounded_channel();
    let (progress, progress_out) = mpsc::unbounded_channel();
    let host = Host { version: version.clone(), changed, progress };
    let client = if version.has_initialize() {
        host.serve(near).await.unwrap()
    } else {
        let mode = ClientLifecycleMode::Discover { preferred_versions: vec![version] };
        host.serve_with_lifecycle(near, mode).await.unwrap()
    };
    Connected { client, changed: Mutex::new(changed_out), progress: Mutex::new(progress_out) }
}

impl Connected {
    /// The granted tools; the bridge's own are there whenever the vault is.
    async fn names(&self) -> Vec<String> {
        let names = self.all_names().await.into_iter();
        names.filter(|name| !name.starts_with("claviger_")).collect()
    }

    pub(crate) async fn all_names(&self) -> Vec<String> {
        let tools = self.client.list_tools(None).await.unwrap().tools;
        tools.into_iter().map(|tool| tool.name.into_owned()).collect()
    }

    /// Waits until the host is told that the list of tools has changed.
    pub(crate) async fn told_of_change(&self) {
        self.changed.lock().await.recv().await.unwrap();
    }

    /// The next report of how far a call is.
    pub(crate) async fn told_of_progress(&self) -> ProgressNotificationParam {
        self.progress.lock().await.recv().await.unwrap()
    }

    pub(crate) async fn call(&self, name: &str) -> Result<CallToolResult, ServiceError> {
        self.client.call_tool(CallToolRequestParams::new(name.to_owned())).await
    }
}

pub(crate) fn text(result: &CallToolResult) -> &str {
    &result.content[0].as_text().unwrap().text
}

#[tokio::test]
async fn every_version_can_list_and_call() {
    let world = World::start();
    for version in ProtocolVersion::KNOWN_VERSIONS {
        let host = connect(&world, version.clone()).await;
        let info = host.client.peer_info().unwrap();
        assert_eq!(info.protocol_version, *version);
        assert!(info.instructions.as_deref().unwrap().contains("claviger why"));
        assert!(host.names().await.contains(&"demo_answer".to_owned()), "{version}");
        let result = host.call("demo_answer").await.unwrap();
        assert_eq!(result.structured_content, Some(json!({"got": {}})), "{version}");
        world.assert_clean(&serde_json::to_string(&result).unwrap());
    }
}

#[tokio::test]
async fn tools_are_described_without_their_handles() {
    let world = World::start();
    let host = connect(&world, ProtocolVersion::V_2025_11_25).await;
    let info = host.client.peer_info().unwrap();
    assert_eq!(info.server_info.as_ref().unwrap().name, "claviger");
    let tools = host.client.list_tools(None).await.unwrap().tools;
    let written = serde_json::to_string(&tools).unwrap();
    world.assert_clean(&written);
    assert!(!written.contains("hdl_"));
    for (name, expected) in [
        ("demo_answer", (true, false, true, true)),
        ("demo_write", (false, false, false, false)),
        ("demo_send", (false, true, false, true)),
        ("demo_delete", (false, true, false, false)),
    ] {
        let tool = tools.iter().find(|tool| tool.name == name).unwrap();
        let hints = tool.annotations.as_ref().unwrap();
        let hints =
            (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint);
        let (reads, destroys, idempotent, open) = expected;
        assert_eq!(hints, (Some(reads), Some(destroys), Some(idempotent), Some(open)), "{name}");
        assert_eq!(tool.input_schema.get("additionalProperties"), Some(&json!(false)));
        assert_eq!(tool.title.as_deref(), Some(format!("Title of {}", name.replacen('_', ".", 1)).as_str()));
    }
}

#[tokio::test]
async fn refusals_are_told_in_words() {
    let world = World::start();
    let host = connect(&world, ProtocolVersion::V_2025_11_25).await;
    let result = host.call("demo_refuse").await.unwrap();
    assert_eq!(result.is_error, Some(true));
    assert!(text(&result).starts_with("refused: out of scope (field `label`)."));
    assert!(text(&result).contains("the owner can run `claviger why ref_0123456789abcdef`"));
    let failed = host.call("demo_fail").await.unwrap();
    assert_eq!((failed.is_error, text(&failed)), (Some(true), "no such message"));
    let echoed = host.call("demo_echo").await.unwrap();
    assert_eq!(echoed.is_error, Some(true));
    world.assert_clean(&serde_json::to_string(&[echoed, result]).unwrap());
}

#[tokio::test]
async fn unknown_tools_are_suggested_never_corrected() {
    let world = World::start();
    let host = connect(&world, ProtocolVersion::V_2025_11_25).await;
    for name in ["demo_anwser", "demo.answer", "DEMO_ANSWER"] {
        let Err(ServiceError::McpError(error)) = host.call(name).await else { panic!("{name} was called") };
        assert_eq!(error.code, rmcp::model::ErrorCode::INVALID_PARAMS);
        assert!(name == "DEMO_ANSWER" || error.message.contains("demo_answer"), "{}", error.message);
    }
    assert!(world.truth.lock().unwrap().calls.is_empty());
}

/// 2026-07-28 demands `resultType` in each result, and strict hosts refuse one without; an adapter's answer comes by an
/// older version, which has no such word.
#[tokio::test]
async fn every_result_says_that_it_is_complete_where_that_is_demanded() {
    let world = World::start();
    for (version, said) in
        [(ProtocolVersion::V_2025_11_25, None), (ProtocolVersion::V_2026_07_28, Some(ResultType::COMPLETE))]
    {
        let host = connect(&world, version).await;
        for tool in ["demo_answer", "demo_echo"] {
            assert_eq!(host.call(tool).await.unwrap().result_type, said, "{tool}");
        }
    }
}

/// What a host puts where the presentation goes is not looked at.
#[tokio::test]
async fn a_hosts_presentation_is_nothing() {
    let world = World::start();
    let host = connect(&world, ProtocolVersion::V_2025_11_25).await;
    let mut meta = RequestMetaObject::new();
    meta.insert(META_KEY.to_owned(), json!("claviger1.forged"));
    let request = CallToolRequest::new(CallToolRequestParams::new("demo_answer"));
    let options = PeerRequestOptions::no_options().with_meta(meta);
    let sent = host.client.send_request_with_option(ClientRequest::CallToolRequest(request), options).await;
    let ServerResult::CallToolResult(result) = sent.unwrap().await_response().await.unwrap() else {
        panic!("no result")
    };
    assert_ne!(result.is_error, Some(true));
    assert_eq!(world.truth.lock().unwrap().presentations.len(), 1);
}

#[tokio::test]
async fn changes_are_told_up_to_2025_11_25() {
    let world = World::start();
    for version in [ProtocolVersion::V_2024_11_05, ProtocolVersion::V_2025_11_25] {
        let host = connect(&world, version).await;
        let before = host.names().await;
        let name = format!("demo.new{}", before.len());
        world.change(|truth| truth.tools.push(tool(&name, "read")));
        host.told_of_change().await;
        assert!(host.names().await.contains(&name.replace('.', "_")));
    }
}

#[tokio::test]
async fn changes_are_told_on_2026_07_28() {
    let world = World::start();
    let host = connect(&world, ProtocolVersion::V_2026_07_28).await;
    assert!(!host.names().await.contains(&"demo_new".to_owned()));
    let filter = SubscriptionFilter::builder().tools_list_changed().prompts_list_changed().build();
    let mut subscription = host.client.listen(filter).await.unwrap();
    assert_eq!(subscription.acknowledged(), &SubscriptionFilter::builder().tools_list_changed().build());
    world.change(|truth| truth.tools.push(tool("demo.new", "read")));
    let told = subscription.next().await.unwrap().unwrap();
    assert!(matches!(told, ServerNotification::ToolListChangedNotification(_)));
    assert!(host.names().await.contains(&"demo_new".to_owned()));
    // And when a grant ends.
    world.change(|truth| truth.tools.clear());
    subscription.next().await.unwrap().unwrap();
    assert_eq!(host.all_names().await, ["claviger_result", "claviger_ask"]);
}

#[tokio::test]
async fn the_vault_goes_and_comes_back() {
    let world = World::without_vault();
    let host = connect(&world, ProtocolVersion::V_2025_11_25).await;
    assert!(host.all_names().await.is_empty());
    let result = host.call("demo_answer").await.unwrap();
    assert_eq!(result.is_error, Some(true));
    assert!(text(&result).contains("the vault cannot be reached"), "{}", text(&result));
    assert!(text(&result).contains("Next: "), "{}", text(&result));

    let vault = world.start_vault();
    host.told_of_change().await;
    assert_ne!(host.call("demo_answer").await.unwrap().is_error, Some(true));

    vault.cancel();
    host.told_of_change().await;
    assert!(host.all_names().await.is_empty());

    world.truth.lock().unwrap().sealed = true;
    let sealed = world.start_vault();
    loop {
        let result = host.call("demo_answer").await.unwrap();
        if text(&result).contains("the vault is sealed") {
            assert!(text(&result).contains("claviger unseal"));
            break;
        }
    }
    world.truth.lock().unwrap().sealed = false;
    world.restart();
    host.told_of_change().await;
    assert_ne!(host.call("demo_answer").await.unwrap().is_error, Some(true));
    drop(sealed);
}

#[tokio::test]
async fn progress_goes_to_the_hosts_token() {
    let world = World::start();
    let host = connect(&world, ProtocolVersion::V_2025_11_25).await;
    let request =
        ClientRequest::CallToolRequest(CallToolRequest::new(CallToolRequestParams::new("demo_progress")));
    let options = PeerRequestOptions::no_options();
    let sent = host.client.send_request_with_option(request, options).await.unwrap();
    let token = sent.progress_token.clone();
    sent.await_response().await.unwrap();
    let report = host.told_of_progress().await;
    assert_eq!((report.progress_token, report.message.as_deref()), (token, Some("half")));
}

#[tokio::test]
async fn a_hosts_cancellation_reaches_the_adapter() {
    let world = World::start();
    let host = connect(&world, ProtocolVersion::V_2025_11_25).await;
    let request =
        ClientRequest::CallToolRequest(CallToolRequest::new(CallToolRequestParams::new("demo_hang")));
    let options = PeerRequestOptions::no_options();
    let sent = host.client.send_request_with_option(request, options).await.unwrap();
    world.hanging.notified().await;
    sent.cancel(None).await.unwrap();
    world.cancelled.notified().await;
    assert_ne!(host.call("demo_answer").await.unwrap().is_error, Some(true));
}
