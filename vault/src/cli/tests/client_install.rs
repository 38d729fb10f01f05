//! One entry in an MCP host's configuration: nothing else changes, and there is no secret in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use claviger_proto::v1::Agent;
use serde_json::Value;

use super::Exit;
use super::fake::{Fake, Stock, samples};

const SOCKET: &str = "/run/agents/openclaw.sock";

fn agents(list: Vec<Agent>) -> Fake {
    Fake::stocked("", None, Stock { agents: list, ..Stock::default() })
}

fn home() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in [".mcporter", ".cursor", ".codex", ".openclaw"] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(0o700)).unwrap();
    }
    dir
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn each_host_gets_one_entry_in_its_own_place() {
    let (vault, home) = (Fake::start(), home());
    let check = |host: &str, file: &str, pointer: &str| {
        let path = home.path().join(file);
        // Printing changes nothing.
        let line = ["client", "install", host, "--print"];
        vault.run_in(home.path(), &line, &[]).said(&["nothing was changed", file, SOCKET, "claviger-agent"]);
        assert!(!path.exists());
        vault.run_in(home.path(), &line[..3], &[]).said(&["has an entry claviger now", "no secret"]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        let read: Value = match host {
            "codex" => serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap(),
            _ => serde_json::from_str(&text).unwrap(),
        };
        let entry = read.pointer(pointer).unwrap_or_else(|| panic!("{host}: {text}"));
        let expected = serde_json::json!({
            "command": "claviger-agent", "args": ["mcp"], "env": { "CLAVIGER_AGENT_SOCKET": SOCKET },
        });
        assert_eq!(*entry, expected, "{host}");
        vault.run_in(home.path(), &line[..3], &[]).said(&["nothing to do"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        let told = vault.run_in(home.path(), &["--json", "client", "install", host], &[]).json();
        assert_eq!((&told["entry"], &told["changed"]), (&expected, &Value::Bool(false)));
    };
    check("claude-code", ".mcp.json", "/mcpServers/claviger");
    check("openclaw", ".openclaw/openclaw.json", "/mcp/servers/claviger");
    check("mcporter", ".mcporter/mcporter.json", "/mcpServers/claviger");
    check("cursor", ".cursor/mcp.json", "/mcpServers/claviger");
    check("codex", ".codex/config.toml", "/mcp_servers/claviger");
    // A project's own file goes before the user's.
    fs::create_dir(home.path().join("config")).unwrap();
    fs::write(home.path().join("config/mcporter.json"), "{\"imports\": []}").unwrap();
    vault.run_in(home.path(), &["client", "install", "mcporter"], &[]).said(&["config/mcporter.json has"]);
}

#[test]
fn what_is_not_understood_is_told_and_not_touched() {
    let (vault, home) = (Fake::start(), home());
    let file = home.path().join(".mcp.json");
    let line = ["client", "install", "claude-code"];
    for text in ["// mine\n{\"a\": 1}", "{\"a\": 1, \"a\": 2}", "{\"mcpServers\": 1}", "{", "[]"] {
        fs::write(&file, text).unwrap();
        vault.run_in(home.path(), &line, &[]).failed(Exit::Failed, &["was not touched", "by hand", SOCKET]);
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(&file, "{}").unwrap();
    vault.run_in(home.path(), &line, &[]).failed(Exit::Failed, &["others can write", "chmod go-w"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "{}");
}

#[test]
fn another_entry_of_our_name_is_shown_without_its_values_and_kept() {
    let (vault, home) = (Fake::start(), home());
    let file = home.path().join(".mcp.json");
    let text = r#"{"mcpServers": {"claviger": {"command": "other", "args": ["--token=c4nary"], "env": {"T": "c4nary"}, "headers": {"X": "c4nary"}}, "b": {}}}"#;
    fs::write(&file, text).unwrap();
    let ran = vault
        .run_in(home.path(), &["client", "install", "claude-code"], &[])
        .failed(Exit::Failed, &["another entry", "other", "T, not shown", "headers", "--replace"]);
    assert!(!ran.err.contains("c4nary") && !ran.out.contains("c4nary"), "{}{}", ran.out, ran.err);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    vault
        .run_in(home.path(), &["client", "install", "claude-code", "--replace"], &[])
        .said(&["has an entry"]);
    assert_eq!(json(&file)["mcpServers"]["claviger"]["command"], "claviger-agent");
    assert!(json(&file)["mcpServers"]["b"].is_object());
    // A child's entry is another entry: it is not widened in passing.
    fs::write(&file, format!(r#"{{"mcpServers": {{"claviger": {{"command": "claviger-agent", "args": ["mcp", "--handle", "hdl_1"], "env": {{"CLAVIGER_AGENT_SOCKET": "{SOCKET}"}}}}}}}}"#)).unwrap();
    vault
        .run_in(home.path(), &["client", "install", "claude-code"], &[])
        .failed(Exit::Failed, &["mcp --handle hdl_1", SOCKET]);
}

#[test]
fn which_agent_must_be_clear() {
    let home = home();
    let line = ["client", "install", "claude-code"];
    agents(Vec::new()).run_in(home.path(), &line, &[]).failed(Exit::Usage, &["no agent yet", "agent add"]);
    let two = agents(vec![samples::agent("openclaw"), samples::agent("coder")]);
    two.run_in(home.path(), &line, &[]).failed(Exit::Usage, &["openclaw, coder", "--agent NAME"]);
    let named = |name| ["client", "install", "claude-code", "--agent", name];
    two.run_in(home.path(), &named("codr"), &[]).failed(Exit::Usage, &["did you mean `coder`?"]);
    assert!(!home.path().join(".mcp.json").exists());
    two.run_in(home.path(), &named("coder"), &[]).said(&["/run/agents/coder.sock"]);
    // A vault that tells nonsense gets none of it into a file.
    let odd = |socket: &str| Agent { socket: socket.to_owned(), ..samples::agent("coder") };
    for socket in ["", "coder.sock", "/run/a\n[x]"] {
        agents(vec![odd(socket)]).run_in(home.path(), &line, &[]).failed(Exit::Failed, &["no usable socket"]);
    }
}

#[test]
fn the_host_of_another_user_is_not_ours_to_write() {
    let home = home();
    let vault = agents(vec![Agent {
        uid: Some(rustix::process::geteuid().as_raw() + 1),
        socket: "/run/claviger/agent.sock".into(),
        ..samples::agent("openclaw")
    }]);
    let ran = vault.run_in(home.path(), &["client", "install", "claude-code"], &[]);
    ran.said(&["its host reads that user's files", "/run/claviger/agent.sock", "nothing was changed"]);
    assert!(!home.path().join(".mcp.json").exists());
    let file = home.path().join("for-them.json");
    let line = ["client", "install", "claude-code", "--file", file.to_str().unwrap()];
    vault.run_in(home.path(), &line, &[]).said(&["has an entry claviger now"]);
    assert_eq!(
        json(&file)["mcpServers"]["claviger"]["env"]["CLAVIGER_AGENT_SOCKET"],
        "/run/claviger/agent.sock"
    );
}
