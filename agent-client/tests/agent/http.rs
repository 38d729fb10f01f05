//! The MCP server over streamable HTTP, seen by an MCP client, and by one that writes its requests by hand.

use std::sync::Arc;
use std::time::Duration;

use claviger_agent::bridge::Settings;
use claviger_agent::bridge::http::{Listener, serve};
use claviger_agent::cli::Exit;
use claviger_proto::connect::Server;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientRequest, ProtocolVersion, ServerNotification,
    SubscriptionFilter,
};
use rmcp::service::PeerRequestOptions;
use rmcp::transport::{StreamableHttpClientTransport, UnixSocketHttpClient};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bridge::{Connected, introduce, text};
use crate::cli::agent;
use crate::world::{Still, World, tool};

/// A port on which the tools of a world are served.
struct Port {
    url: String,
    stop: CancellationToken,
    task: JoinHandle<()>,
    forward: tempfile::TempDir,
}

impl Port {
    async fn of(world: &World) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url = listener.url();
        let settings = Settings {
            clock: Arc::new(Still),
            backoff: (Duration::from_millis(5), Duration::from_millis(20)),
            ..Settings::new(world.vault_socket(), Server::OwnerOfDirectory)
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move { serve(settings, listener, stopped).await.unwrap() });
        let port = Self { url, stop, task, forward: tempfile::tempdir().unwrap() };
        port.forward();
        port
    }

    fn authority(&self) -> &str {
        self.url.strip_prefix("http://").unwrap().strip_suffix("/mcp").unwrap()
    }

    /// The library's client brings a way to unix sockets only, so what it writes is carried on.
    fn forward(&self) {
        let listener = UnixListener::bind(self.socket()).unwrap();
        let authority = self.authority().to_owned();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let Ok(mut far) = TcpStream::connect(&authority).await else { return };
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
            }
        });
    }

    fn socket(&self) -> String {
        self.forward.path().join("forward.sock").to_str().unwrap().to_owned()
    }

    async fn connect(&self, version: ProtocolVersion) -> Connected {
        let transport = StreamableHttpClientTransport::<UnixSocketHttpClient>::from_unix_socket(
            &self.socket(),
            self.url.as_str(),
        );
        introduce(transport, version).await
    }

    /// Sends a request and returns the connection.
    async fn begin(&self, method: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.authority()).await.unwrap();
        let (host, length) = (self.authority(), body.len());
        let mut request = format!(
            "{method} /mcp HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).await.unwrap();
        stream
    }

    /// Sends a request, and returns the status, the head and the body of what is answered.
    async fn send(&self, method: &str, headers: &[(&str, &str)], body: &str) -> (u16, String, String) {
        let mut stream = self.begin(method, headers, body).await;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
    }

    /// A request of 2026-07-28, by hand.
    async fn call(&self, tool: &str, meta: &[(&str, Value)]) -> TcpStream {
        let version = "2026-07-28";
        let mut all = json!({
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientInfo": {"name": "by hand", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        for (name, value) in meta {
            all[name] = value.clone();
        }
        let params = json!({"name": tool, "arguments": {}, "_meta": all});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
        let headers = [("MCP-Protocol-Version", version), ("Mcp-Method", "tools/call"), ("Mcp-Name", tool)];
        self.begin("POST", &headers, &body).await
    }

    /// Begins a session of an older version, by hand; its id.
    async fn session(&self) -> String {
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "h", "version": "1"},
        });
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string();
        let (status, head, _) = self.send("POST", &[], &body).await;
        assert_eq!(status, 200, "{head}");
        let line = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap();
        let session = line.to_owned();
        let told = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let (status, ..) = self.send("POST", &[("Mcp-Session-Id", &session)], told).await;
        assert_eq!(status, 202);
        session
    }
}

const PING: &str = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;

#[tokio::test]
async fn every_version_can_list_and_call_over_one_link() {
    let world = World::start();
    let port = Port::of(&world).await;
    let mut hosts = Vec::new();
    for version in ProtocolVersion::KNOWN_VERSIONS {
        let host = port.connect(version.clone()).await;
        let info = host.client.peer_info().unwrap();
        assert_eq!(info.protocol_version, *version);
        assert!(info.instructions.as_deref().unwrap().contains("claviger why"));
        assert!(host.all_names().await.contains(&"demo_answer".to_owned()), "{version}");
        let result = host.call("demo_answer").await.unwrap();
        assert_eq!(result.structured_content, Some(json!({"got": {}})), "{version}");
        world.assert_clean(&serde_json::to_string(&result).unwrap());
        let refused = host.call("demo_refuse").await.unwrap();
        assert!(text(&refused).starts_with("refused: out of scope (field `label`)."));
        hosts.push(host);
    }
    assert_eq!(world.opens(), 1, "all hosts share one link to the vault");
}

#[tokio::test]
async fn changes_are_told_to_every_session() {
    let world = World::start();
    let port = Port::of(&world).await;
    let first = port.connect(ProtocolVersion::V_2025_11_25).await;
    let second = port.connect(ProtocolVersion::V_2025_06_18).await;
    for name in ["demo.new", "demo.newer"] {
        for host in [&first, &second] {
            host.all_names().await;
        }
        world.change(|truth| truth.tools.push(tool(name, "read")));
        for host in [&first, &second] {
            host.told_of_change().await;
            assert!(host.all_names().await.contains(&name.replace('.', "_")));
        }
    }
}

#[tokio::test]
async fn changes_are_told_on_2026_07_28() {
    let world = World::start();
    let port = Port::of(&world).await;
    let host = port.connect(ProtocolVersion::V_2026_07_28).await;
    let filter = SubscriptionFilter::builder().tools_list_changed().build();
    let mut subscription = host.client.listen(filter).await.unwrap();
    world.change(|truth| truth.tools.push(tool("demo.new", "read")));
    let told = subscription.next().await.unwrap().unwrap();
    assert!(matches!(told, ServerNotification::ToolListChangedNotification(_)));
    assert!(host.all_names().await.contains(&"demo_new".to_owned()));
}

#[tokio::test]
async fn progress_comes_with_its_call() {
    let world = World::start();
    let port = Port::of(&world).await;
    for version in [ProtocolVersion::V_2025_11_25, ProtocolVersion::V_2026_07_28] {
        let host = port.connect(version.clone()).await;
        let request = CallToolRequest::new(CallToolRequestParams::new("demo_progress"));
        let options = PeerRequestOptions::no_options();
        let request = ClientRequest::CallToolRequest(request);
        let sent = host.client.send_request_with_option(request, options).await.unwrap();
        let token = sent.progress_token.clone();
        sent.await_response().await.unwrap();
        let report = host.told_of_progress().await;
        assert_eq!((report.progress_token, report.message.as_deref()), (token, Some("half")), "{version}");
    }
}

/// From 2026-07-28 whoever closes a request wants it no more.
#[tokio::test]
async fn closing_the_request_cancels_the_call() {
    let world = World::start();
    let port = Port::of(&world).await;
    let request = port.call("demo_hang", &[]).await;
    world.hanging.notified().await;
    drop(request);
    world.cancelled.notified().await;
}

/// Before, a notification says so.
#[tokio::test]
async fn a_sessions_cancellation_reaches_the_adapter() {
    let world = World::start();
    let port = Port::of(&world).await;
    let host = port.connect(ProtocolVersion::V_2025_11_25).await;
    let request =
        ClientRequest::CallToolRequest(CallToolRequest::new(CallToolRequestParams::new("demo_hang")));
    let options = PeerRequestOptions::no_options();
    let sent = host.client.send_request_with_option(request, options).await.unwrap();
    world.hanging.notified().await;
    sent.cancel(None).await.unwrap();
    world.cancelled.notified().await;
    assert_ne!(host.call("demo_answer").await.unwrap().is_error, Some(true));
}

/// What a host puts where the presentation goes is not looked at, and neither is any header.
#[tokio::test]
async fn a_hosts_presentation_is_nothing() {
    let world = World::start();
    let port = Port::of(&world).await;
    let forged = ("claviger/presentation", json!("claviger1.forged"));
    let mut request = port.call("demo_answer", &[forged]).await;
    let mut answer = String::new();
    request.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains(r#""structuredContent":{"got":{}}"#), "{answer}");
    world.assert_clean(&answer);
    assert_eq!(world.truth.lock().unwrap().presentations.len(), 1);
}

#[tokio::test]
async fn a_session_ends_when_it_is_told_to_and_others_do_not() {
    let world = World::start();
    let port = Port::of(&world).await;
    let (first, second) = (port.session().await, port.session().await);
    assert_ne!(first, second);
    let ping = async |session: &str| port.send("POST", &[("Mcp-Session-Id", session)], PING).await.0;
    assert_eq!((ping(&first).await, ping(&second).await), (200, 200));
    let (status, ..) = port.send("DELETE", &[("Mcp-Session-Id", &first)], "").await;
    assert!((200..300).contains(&status), "{status}");
    assert_eq!((ping(&first).await, ping(&second).await), (404, 200));
    for unknown in ["x", "00000000-0000-4000-8000-000000000000"] {
        assert_eq!(ping(unknown).await, 404);
    }
    assert_eq!(port.send("POST", &[], PING).await.0, 400, "without a session");
    // A session that has ended has no stream.
    assert_eq!(port.send("GET", &[("Mcp-Session-Id", &first)], "").await.0, 404);
}

/// Hosts that never end a session do not lock others out.
#[tokio::test]
async fn sessions_without_number_can_be_begun() {
    let world = World::start();
    let port = Port::of(&world).await;
    let first = port.session().await;
    for _ in 0..140 {
        port.session().await;
    }
    assert_eq!(port.send("POST", &[("Mcp-Session-Id", &first)], PING).await.0, 404);
    let last = port.session().await;
    assert_eq!(port.send("POST", &[("Mcp-Session-Id", &last)], PING).await.0, 200);
}

#[tokio::test]
async fn calls_end_in_order_when_the_program_is_told_to() {
    let world = World::start();
    for version in [ProtocolVersion::V_2025_11_25, ProtocolVersion::V_2026_07_28] {
        let port = Port::of(&world).await;
        let host = port.connect(version).await;
        let calling = tokio::spawn(async move { host.call("demo_hang").await.is_err() });
        world.hanging.notified().await;
        port.stop.cancel();
        world.cancelled.notified().await;
        port.task.await.unwrap();
        assert!(
            TcpStream::connect(port.url.strip_prefix("http://").unwrap().strip_suffix("/mcp").unwrap())
                .await
                .is_err()
        );
        calling.abort();
    }
}

#[tokio::test]
async fn the_vault_may_be_away() {
    let world = World::without_vault();
    let port = Port::of(&world).await;
    let host = port.connect(ProtocolVersion::V_2025_11_25).await;
    assert!(host.all_names().await.is_empty());
    let result = host.call("demo_answer").await.unwrap();
    assert!(text(&result).contains("the vault cannot be reached"), "{}", text(&result));
    world.start_vault();
    host.told_of_change().await;
    assert_ne!(host.call("demo_answer").await.unwrap().is_error, Some(true));
}

#[tokio::test]
async fn the_program_says_what_is_wrong_with_a_port() {
    let world = World::start();
    let port = Port::of(&world).await;
    let (exit, out, err) = agent(&world, &["mcp", "--http", port.authority()]).await;
    assert_eq!((exit, out.as_str()), (Exit::Failed, ""));
    assert!(err.contains("is taken: another process listens there\nnext: choose another port"), "{err}");
}
