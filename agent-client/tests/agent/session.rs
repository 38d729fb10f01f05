//! The library.

use std::sync::Arc;
use std::time::Duration;

use claviger_agent::{CallOptions, CallOutcome, ClientError, Session};
use claviger_canonical::{Canonical, Presentation, ProofKey};
use claviger_proto::connect::{ConnectError, Server};
use rmcp::model::CallToolResult;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::{UnixListener, UnixStream};

use crate::world::{NOW, Still, World};

fn arguments(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn answered(outcome: Result<CallOutcome, ClientError>) -> CallToolResult {
    match outcome.unwrap() {
        CallOutcome::Answered(result) => result,
        CallOutcome::Refused(refusal) => panic!("{refusal}"),
    }
}

fn refused(outcome: Result<CallOutcome, ClientError>) -> String {
    match outcome.unwrap() {
        CallOutcome::Answered(_) => panic!("not refused"),
        CallOutcome::Refused(refusal) => refusal.to_string(),
    }
}

#[tokio::test]
async fn a_call_arrives_as_it_was_signed() {
    let world = World::start();
    let session = world.session().await;
    let sent = json!({"words": "Grüße\n\u{1}", "max": -7, "to": ["b", "a"], "a": 0.1});
    let result = answered(session.call("demo_answer", arguments(sent.clone())).await);
    // The adapter has checked digest, tool, nonce and time against what it got.
    assert_eq!(result.structured_content, Some(json!({"got": sent})));
    answered(session.call("demo_answer", arguments(sent.clone())).await);
    let truth = world.truth.lock().unwrap();
    let (name, got, claim) = &truth.calls[0];
    assert_eq!((name.as_str(), got), ("demo.answer", &sent));
    assert_eq!(claim.digest, Canonical::from_json(&sent).unwrap().digest());
    assert_eq!((claim.issued_at_ms, claim.boot, claim.replica), (NOW, [0xb0; 16], [0xaa; 8]));
    assert_eq!(claim.approval, None);
    assert_ne!(claim.nonce, truth.calls[1].2.nonce);
    assert_eq!(world.opens(), 1);
}

#[tokio::test]
async fn a_presentation_is_made_for_one_tool_and_its_arguments() {
    let world = World::start();
    let session = world.session().await;
    let canonical = Canonical::from_json(&json!({"max": 1})).unwrap();
    let presentation = session.present("demo_answer", &canonical).unwrap();
    assert_eq!(format!("{presentation:?} {session:?}"), "Presentation(..) Session(..)");
    let key = ProofKey::new(world.truth.lock().unwrap().key);
    let claim = Presentation::parse(presentation.as_str()).unwrap().verify(&key).unwrap().into_claim();
    assert_eq!((claim.tool.as_str(), claim.digest), ("demo.answer", canonical.digest()));
    assert!(matches!(session.present("demo.answer", &canonical), Err(ClientError::UnknownTool { .. })));
}

#[tokio::test]
async fn stale_opens_once_and_tries_once() {
    let world = World::start();
    let session = world.session().await;
    world.restart();
    answered(session.call("demo_answer", Map::new()).await);
    assert_eq!(world.opens(), 2);
    assert_eq!(world.truth.lock().unwrap().presentations.len(), 2);
    // The new key serves on.
    answered(session.call("demo_answer", Map::new()).await);
    assert_eq!(world.opens(), 2);
}

/// An adapter that calls everything stale gets no second presentation: the vault is asked, and has not restarted.
#[tokio::test]
async fn stale_without_a_restart_is_told() {
    let world = World::start();
    let session = world.session().await;
    world.truth.lock().unwrap().always_stale = true;
    let refusal = refused(session.call("demo_answer", Map::new()).await);
    assert!(refusal.starts_with("refused: the vault has restarted"), "{refusal}");
    assert_eq!((world.opens(), world.truth.lock().unwrap().presentations.len()), (2, 1));
}

/// What stays stale after a restart is tried once more, not for ever.
#[tokio::test]
async fn stale_twice_is_told() {
    let world = World::start();
    let session = world.session().await;
    world.restart();
    world.truth.lock().unwrap().always_stale = true;
    let refusal = refused(session.call("demo_answer", Map::new()).await);
    assert!(refusal.starts_with("refused: the vault has restarted"), "{refusal}");
    assert_eq!((world.opens(), world.truth.lock().unwrap().presentations.len()), (2, 2));
}

#[tokio::test]
async fn a_vault_that_restarted_sealed_is_told() {
    let world = World::start();
    let session = world.session().await;
    world.restart();
    world.truth.lock().unwrap().sealed = true;
    assert!(matches!(session.call("demo_answer", Map::new()).await, Err(ClientError::Sealed)));
    assert_eq!((world.opens(), world.truth.lock().unwrap().presentations.len()), (2, 1));
}

#[tokio::test]
async fn calls_that_are_stale_together_open_once() {
    let world = World::start();
    let session = world.session().await;
    // Connected before, so that both are in flight at once.
    answered(session.call("demo_answer", Map::new()).await);
    world.restart();
    let (one, two) =
        tokio::join!(session.call("demo_answer", Map::new()), session.call("demo_send", Map::new()));
    answered(one);
    answered(two);
    assert_eq!(world.opens(), 2);
}

#[tokio::test]
async fn no_other_refusal_is_tried_again() {
    let world = World::start();
    let session = world.session().await;
    let refusal = refused(session.call("demo_refuse", Map::new()).await);
    assert!(refusal.starts_with("refused: out of scope (field `label`)."), "{refusal}");
    assert!(refusal.ends_with("the owner can run `claviger why ref_0123456789abcdef`."), "{refusal}");
    assert_eq!((world.opens(), world.truth.lock().unwrap().calls.len()), (1, 1));
}

/// Whoever serves at the adapter's place as another user gets not one byte.
#[tokio::test]
async fn an_adapter_of_another_user_hears_nothing() {
    let world = World::without_vault();
    let expected = rustix::process::getuid().as_raw() + 1;
    world.truth.lock().unwrap().adapter_uid = Some(expected);
    world.start_vault();
    std::fs::remove_file(world.adapter_socket()).unwrap();
    let listener = UnixListener::bind(world.adapter_socket()).unwrap();
    let session = world.session().await;
    let error = session.call("demo_answer", Map::new()).await.unwrap_err();
    assert!(matches!(error, ClientError::Adapter(ConnectError::Impostor { .. })), "{error}");
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert!(heard.is_empty());
}

#[tokio::test]
async fn a_vault_of_another_user_hears_nothing() {
    let world = World::without_vault();
    let listener = UnixListener::bind(world.vault_socket()).unwrap();
    let server = Server::Uid(rustix::process::getuid().as_raw() + 1);
    let error = Session::open_with(&world.vault_socket(), server, Arc::new(Still)).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect(ConnectError::Impostor { .. })), "{error}");
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert!(heard.is_empty());
}

#[tokio::test]
async fn arguments_without_a_canonical_form_are_not_sent() {
    let world = World::start();
    let session = world.session().await;
    let mut deep = json!(1);
    for _ in 0..40 {
        deep = json!([deep]);
    }
    for bad in [
        json!({"a": 1.0}),
        json!({"a": 9_007_199_254_740_993_u64}),
        json!({"a": deep}),
        json!({"a": "x".repeat(300_000)}),
    ] {
        let error = session.call("demo_answer", arguments(bad)).await.unwrap_err();
        assert!(matches!(error, ClientError::Arguments(_)), "{error}");
    }
    assert!(world.truth.lock().unwrap().calls.is_empty());
}

/// Values that would mean something to other tools are values.
#[tokio::test]
async fn values_are_only_values() {
    let world = World::start();
    let session = world.session().await;
    let sent = json!({"words": "@/etc/passwd", "to": ["https://a.example", "--stdio", "$(id)", "file:///etc/passwd"]});
    let result = answered(session.call("demo_answer", arguments(sent.clone())).await);
    assert_eq!(result.structured_content, Some(json!({"got": sent})));
}

#[tokio::test]
async fn the_presentation_does_not_come_back() {
    let world = World::start();
    let session = world.session().await;
    let result = answered(session.call("demo_echo_meta", Map::new()).await);
    world.assert_clean(&serde_json::to_string(&result).unwrap());
    assert_eq!(result.meta.unwrap().get("other"), Some(&json!(1)));
    let error = session.call("demo_echo", Map::new()).await.unwrap_err();
    assert!(matches!(error, ClientError::Echo));
    world.assert_clean(&format!("{error} {error:?}"));
}

#[tokio::test]
async fn an_adapters_fault_is_not_its_text() {
    let world = World::start();
    let session = world.session().await;
    let error = session.call("demo_protocol", Map::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "the tool's adapter answered with protocol error -32603");
    // A tool that ran and failed is an answer.
    assert_eq!(answered(session.call("demo_fail", Map::new()).await).is_error, Some(true));
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_at_the_adapter() {
    let world = World::start();
    let session = world.session().await;
    tokio::select! {
        _ = session.call("demo_hang", Map::new()) => panic!("it hangs"),
        () = world.hanging.notified() => {}
    }
    world.cancelled.notified().await;
    // The connection serves on.
    answered(session.call("demo_answer", Map::new()).await);
}

#[tokio::test]
async fn a_late_call_is_cancelled_at_the_adapter() {
    let world = World::start();
    let session = world.session().await;
    let options = CallOptions { timeout: Some(Duration::from_millis(20)), progress: None };
    let error = session.call_with("demo_hang", Map::new(), &options).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut), "{error}");
    world.cancelled.notified().await;
}

#[tokio::test]
async fn progress_is_passed_on() {
    let world = World::start();
    let session = world.session().await;
    let (sender, mut reports) = tokio::sync::mpsc::channel(4);
    let options = CallOptions { timeout: None, progress: Some(sender) };
    answered(session.call_with("demo_progress", Map::new(), &options).await);
    let report = reports.recv().await.unwrap();
    assert_eq!((report.progress, report.message.as_deref()), (0.5, Some("half")));
}

/// Accepts one client and takes it through the handshake by hand.
async fn accept(listener: &UnixListener) -> Lines<BufReader<UnixStream>> {
    let (stream, _) = listener.accept().await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let asked: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    let result = json!({
        "protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "a", "version": "1"},
    });
    reply(&mut lines, &json!({"jsonrpc": "2.0", "id": asked["id"], "result": result})).await;
    assert!(lines.next_line().await.unwrap().unwrap().contains("notifications/initialized"));
    lines
}

async fn reply(lines: &mut Lines<BufReader<UnixStream>>, message: &Value) {
    lines.get_mut().get_mut().write_all(format!("{message}\n").as_bytes()).await.unwrap();
}

/// Nobody knows what became of it, so it is told and not repeated; the next call connects anew.
#[tokio::test]
async fn a_call_that_was_cut_off_is_not_repeated() {
    let world = World::start();
    std::fs::remove_file(world.adapter_socket()).unwrap();
    let listener = UnixListener::bind(world.adapter_socket()).unwrap();
    let session = world.session().await;
    let cut = async {
        let mut lines = accept(&listener).await;
        let asked = lines.next_line().await.unwrap().unwrap();
        assert!(asked.contains("\"demo.send\""), "{asked}");
    };
    let (outcome, ()) = tokio::join!(session.call("demo_send", Map::new()), cut);
    assert!(matches!(outcome, Err(ClientError::AdapterLost)), "{outcome:?}");
    let answer = async {
        let mut lines = accept(&listener).await;
        let asked: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        assert_eq!(asked["params"]["name"], "demo.answer");
        let result = json!({"content": [{"type": "text", "text": "here"}]});
        reply(&mut lines, &json!({"jsonrpc": "2.0", "id": asked["id"], "result": result})).await;
        // Kept open until the client has read it.
        lines
    };
    let (outcome, _open) = tokio::join!(session.call("demo_answer", Map::new()), answer);
    assert_eq!(answered(outcome).content.len(), 1);
}

/// Calls share one connection to an adapter.
#[tokio::test]
async fn the_connection_is_kept() {
    let world = World::start();
    let session = world.session().await;
    answered(session.call("demo_answer", Map::new()).await);
    // Nobody can connect there any more.
    std::fs::remove_file(world.adapter_socket()).unwrap();
    answered(session.call("demo_answer", Map::new()).await);
}

#[tokio::test]
async fn a_missing_adapter_is_told() {
    let world = World::start();
    std::fs::remove_file(world.adapter_socket()).unwrap();
    let session = world.session().await;
    let error = session.call("demo_answer", Map::new()).await.unwrap_err();
    assert!(matches!(error, ClientError::Adapter(ConnectError::Io { .. })), "{error}");
    assert!(error.next_step().contains("claviger adapter ls"));
}
