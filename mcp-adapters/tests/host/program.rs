//! The program itself.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rmcp::ServiceExt;
use serde_json::json;

use crate::fake::{Fake, GOOD, Reply, Rig, own_uid, params};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claviger-mcp"));
    command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn usage_is_told() {
    let help = program().arg("--help").output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    let help = String::from_utf8(help.stdout).unwrap();
    for word in
        ["CLAVIGER_ADAPTER_SOCKET", "CLAVIGER_MCP_ENDPOINT", "CLAVIGER_VAULT_UID", "--single-user", "Example"]
    {
        assert!(help.contains(word), "{word} is missing in:\n{help}");
    }
    let wrong = program().arg("gmail").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("--vault-socket"));
}

#[test]
fn it_fails_with_a_reason() {
    let output = program()
        .args(["gmail", "--vault-socket", "/nonexistent/v", "--endpoint", "/nonexistent/e", "--log", "off"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("claviger-mcp: cannot listen on /nonexistent/e"), "{told}");
}

#[test]
#[allow(clippy::disallowed_methods, reason = "another process that starts gives no event to wait for")]
fn it_stops_when_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = dir.path().join("mcp");
    for signal in [nix::sys::signal::Signal::SIGTERM, nix::sys::signal::Signal::SIGINT] {
        let mut child = program()
            .arg("gmail")
            .arg("--single-user")
            .env("CLAVIGER_ADAPTER_SOCKET", dir.path().join("vault"))
            .env("CLAVIGER_MCP_ENDPOINT", &endpoint)
            .spawn()
            .unwrap();
        let begin = Instant::now();
        while !endpoint.exists() {
            assert!(begin.elapsed() < Duration::from_secs(20), "it does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(endpoint.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(!endpoint.exists());
    }
}

/// At its most talkative, the log names tools and calls, and nothing that anybody said.
#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::disallowed_methods, reason = "another process that starts gives no event to wait for")]
async fn the_log_has_no_values() {
    let fake = Fake::new("gmail.get_message", |_, params| match params.len() {
        0 => Reply::Status(400, json!({"error": {"message": "canary-upstream"}})),
        _ => Reply::Broken,
    });
    let rig = Rig::new("gmail", fake).await;
    let endpoint = rig.dir.path().join("second");
    let mut child = program()
        .args(["gmail", "--single-user", "--log", "debug", "--vault-uid", &own_uid().to_string()])
        .env("CLAVIGER_ADAPTER_SOCKET", rig.dir.path().join("vault"))
        .env("CLAVIGER_MCP_ENDPOINT", &endpoint)
        .env("RUST_LOG", "trace")
        .spawn()
        .unwrap();
    let begin = Instant::now();
    let stream = loop {
        match tokio::net::UnixStream::connect(&endpoint).await {
            Ok(stream) => break stream,
            Err(_) => assert!(begin.elapsed() < Duration::from_secs(20), "it does not listen"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let client = ().serve(stream).await.unwrap();
    let arguments = json!({"message_id": "canary-argument"});
    for presentation in [GOOD, "canary-presentation"] {
        let params = params("gmail.get_message", arguments.clone(), Some(presentation));
        client.peer().call_tool(params).await.unwrap();
    }
    client.cancel().await.unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(log.contains("gmail") && log.contains("call ended"), "{log}");
    for secret in ["canary", "CANARY", GOOD] {
        assert!(!log.contains(secret), "{log}");
    }
}
