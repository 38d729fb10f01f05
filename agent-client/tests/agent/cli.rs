//! The program, as its users see it.

use std::process::Stdio;
use std::sync::Arc;

use clap::Parser as _;
use claviger_agent::cli::{Cli, Exit, run};
use rmcp::ServiceExt as _;
use rmcp::model::CallToolRequestParams;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

use crate::world::{HANDLE, Still, World};

pub(crate) async fn agent(world: &World, words: &[&str]) -> (Exit, String, String) {
    let socket = world.vault_socket();
    let words =
        ["claviger-agent", "--socket", socket.to_str().unwrap()].into_iter().chain(words.iter().copied());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(
        Cli::try_parse_from(words).unwrap(),
        Arc::new(Still),
        &mut out,
        &mut err,
        CancellationToken::new(),
    )
    .await;
    let (out, err) = (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap());
    world.assert_clean(&out);
    world.assert_clean(&err);
    (exit, out, err)
}

#[tokio::test]
async fn ls_shows_a_line_for_each_tool() {
    let world = World::start();
    let (exit, out, err) = agent(&world, &["ls"]).await;
    assert_eq!((exit, err.as_str()), (Exit::Ok, ""));
    assert_eq!(out.lines().count(), 11);
    assert!(out.contains("demo_send       send    Title of demo.send\n"), "{out}");
    let (_, out, _) = agent(&world, &["ls", "-v"]).await;
    assert!(out.contains("    words (text)  What to look for\ndemo_delete "), "{out}");
    let (_, out, _) = agent(&world, &["ls", "--json"]).await;
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["tools"][0]["name"], "demo_answer");
    assert_eq!(json["tools"][0]["input_schema"]["type"], "object");
}

#[tokio::test]
async fn handles_never_show_keys() {
    let world = World::start();
    let (exit, out, _) = agent(&world, &["handles"]).await;
    assert_eq!(exit, Exit::Ok);
    assert_eq!(out, format!("{HANDLE}  gr_0001020304050607  demo/me  11 tools  does not expire\n"));
    let (_, out, _) = agent(&world, &["handles", "--json"]).await;
    let json: Value = serde_json::from_str(&out).unwrap();
    let handle = json["handles"][0].as_object().unwrap();
    assert_eq!(
        handle.keys().collect::<Vec<_>>(),
        ["adapter", "expires_at_ms", "grant", "id", "label", "parent", "secret", "tools"]
    );
}

#[tokio::test]
async fn call_types_its_arguments() {
    let world = World::start();
    let words = ["call", "demo_answer", "words=@/etc/passwd", "max=7", "to=a", "to=b"];
    let (exit, out, err) = agent(&world, &words).await;
    assert_eq!((exit, err.as_str()), (Exit::Ok, ""));
    // Strangers' control characters do not reach the terminal.
    assert_eq!(out, "text\\u{1b}[2J\n");
    let sent = world.truth.lock().unwrap().calls[0].1.clone();
    assert_eq!(sent, serde_json::json!({"words": "@/etc/passwd", "max": 7, "to": ["a", "b"]}));
    let (_, out, _) = agent(&world, &["call", "--json", "demo_answer", "max:=8"]).await;
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&json["ok"], &json["structured"]["got"]["max"]), (&Value::Bool(true), &8.into()));
}

#[tokio::test]
async fn wrong_words_send_nothing() {
    let world = World::start();
    for (words, expected) in [
        (&["call", "demo_anwser"][..], "did you mean demo_answer"),
        (&["call", "demo_answer", "wrods=1"], "it takes max, to, words; did you mean words?"),
        (&["call", "demo_answer", "max=many"], "`max` takes an integer"),
        (&["call", "demo_answer", "--json", "max=many"], "`max` takes an integer"),
        (&["call", "demo_answer", "max:=1.0"], "`max` is not JSON that can be sent"),
    ] {
        let (exit, out, err) = agent(&world, words).await;
        assert_eq!(exit, Exit::Usage, "{err}");
        assert!(err.starts_with("error: ") && err.contains(expected), "{err}");
        assert!(err.lines().nth(1).unwrap().starts_with("next: "), "{err}");
        assert!(out.is_empty() || serde_json::from_str::<Value>(&out).unwrap()["ok"] == false);
    }
    assert!(world.truth.lock().unwrap().presentations.is_empty());
}

#[tokio::test]
async fn exit_codes() {
    let world = World::start();
    let (exit, out, _) = agent(&world, &["call", "demo_refuse"]).await;
    assert!(exit == Exit::Failed && out.starts_with("refused: out of scope"), "{out}");
    let (exit, out, _) = agent(&world, &["call", "--json", "demo_refuse"]).await;
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(exit, Exit::Failed);
    assert_eq!(json["refusal"]["class"], "out-of-scope");
    assert_eq!(json["refusal"]["reference"], "ref_0123456789abcdef");
    assert_eq!(agent(&world, &["call", "demo_fail"]).await.0, Exit::Failed);
    assert_eq!(agent(&world, &["call", "demo_echo"]).await.0, Exit::Failed);
    world.truth.lock().unwrap().sealed = true;
    let (exit, _, err) = agent(&world, &["ls"]).await;
    assert_eq!(
        (exit, err.as_str()),
        (Exit::Sealed, "error: the vault is sealed\nnext: the owner can run `claviger unseal`\n")
    );
    std::fs::remove_file(world.vault_socket()).unwrap();
    let (exit, out, err) = agent(&world, &["ls", "--json"]).await;
    assert_eq!(exit, Exit::Failed);
    assert!(err.contains("the vault cannot be reached") && err.contains("next: start the vault"), "{err}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["ok"], false);
}

#[tokio::test]
async fn a_directory_that_others_can_write_to_is_not_trusted() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::start();
    std::fs::set_permissions(world.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let (exit, _, err) = agent(&world, &["ls"]).await;
    assert_eq!(exit, Exit::Failed);
    assert!(err.contains("next: take the write permission"), "{err}");
    assert_eq!(world.opens(), 0);
}

#[tokio::test]
async fn completions_need_no_vault() {
    let cli = Cli::try_parse_from(["claviger-agent", "completions", "bash"]).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    assert_eq!(run(cli, Arc::new(Still), &mut out, &mut err, CancellationToken::new()).await, Exit::Ok);
    assert!(String::from_utf8(out).unwrap().contains("claviger-agent") && err.is_empty());
}

/// The real program over its real streams; logging as loud as it gets, and louder than asked by a library's variable.
#[tokio::test]
async fn mcp_logs_no_value_and_ends_with_its_host() {
    let world = World::start();
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_claviger-agent"))
        .args(["mcp", "--log", "debug"])
        .env("CLAVIGER_AGENT_SOCKET", world.vault_socket())
        .env("RUST_LOG", "trace")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let streams = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    let host = ().serve(streams).await.unwrap();
    let tools = host.list_tools(None).await.unwrap().tools;
    assert_eq!(tools.iter().filter(|tool| tool.name.starts_with("demo_")).count(), 11);
    // Made by the system's clock, so this world calls them too old; they were sent all the same.
    for tool in ["demo_answer", "demo_send"] {
        let arguments = serde_json::json!({"words": "canary-of-an-argument"}).as_object().unwrap().clone();
        let call = CallToolRequestParams::new(tool).with_arguments(arguments);
        let result = host.call_tool(call).await.unwrap();
        world.assert_clean(&serde_json::to_string(&result).unwrap());
    }
    world.restart();
    host.call_tool(CallToolRequestParams::new("demo_answer")).await.unwrap();
    assert_eq!(world.truth.lock().unwrap().presentations.len(), 4);
    host.cancel().await.unwrap();
    let mut logged = String::new();
    child.stderr.take().unwrap().read_to_string(&mut logged).await.unwrap();
    assert!(child.wait().await.unwrap().success());
    assert!(logged.contains("opening again"), "{logged}");
    assert!(!logged.contains("canary-of-an-argument"), "{logged}");
    world.assert_clean(&logged);
}
