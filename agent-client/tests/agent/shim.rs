//! `mcp`: the words of mcporter, over what is granted.

use std::ffi::OsString;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use clap::Parser as _;
use claviger_agent::cli::shim::{Asked, run};
use claviger_agent::cli::{Cli, Exit};
use serde_json::{Value, json};

use crate::world::{APPROVAL, Still, World, tool};

/// `mcp` with these words, in this process, at that socket; denials too.
async fn mcp(world: &World, words: &[&str]) -> (Exit, String, String) {
    let asked = match Asked::read(words.iter().map(OsString::from)) {
        Ok(asked) => asked,
        Err(told) => return (told.exit, told.out, told.err),
    };
    let socket = world.vault_socket();
    let at = ["claviger-agent", "--socket", socket.to_str().unwrap(), "call", "-"];
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(asked, Cli::try_parse_from(at).unwrap(), Arc::new(Still), &mut out, &mut err).await;
    let (out, err) = (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap());
    world.assert_clean(&out);
    world.assert_clean(&err);
    (exit, out, err)
}

fn calls(world: &World) -> Vec<(String, Value)> {
    world.truth.lock().unwrap().calls.iter().map(|(tool, args, _)| (tool.clone(), args.clone())).collect()
}

#[tokio::test]
async fn a_list_is_what_is_granted_a_line_each() {
    let world = World::start();
    world.truth.lock().unwrap().tools = vec![tool("demo.send", "send"), tool("demo.answer", "read")];
    let (exit, out, err) = mcp(&world, &["list"]).await;
    assert_eq!((exit, err.as_str()), (Exit::Ok, ""));
    assert_eq!(out, "demo.answer  Title of demo.answer\ndemo.send    Title of demo.send\n");
    let (_, out, _) = mcp(&world, &["list", "demo.send"]).await;
    assert_eq!(
        out,
        "demo.send  Title of demo.send\n    max (integer)\n    to (list)\n    words (text)  What to look for\n"
    );
    let (_, out, _) = mcp(&world, &["list", "demo", "--schema"]).await;
    assert!(out.starts_with("demo.answer  Title of demo.answer\n    {\n"), "{out}");
    for (words, mode) in
        [(&["list", "--json"][..], "list"), (&["list", "demo", "--output", "json"], "server")]
    {
        let (_, out, _) = mcp(&world, words).await;
        let told: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(told["mode"], mode);
        let server = if mode == "list" { &told["servers"][0] } else { &told };
        assert_eq!((&server["name"], &server["status"]), (&json!("demo"), &json!("ok")));
        assert_eq!(server["tools"][1]["name"], "send");
        assert_eq!(server["tools"][1]["inputSchema"].is_object(), mode == "server");
    }
    for name in ["dem", "demo.sen", "drive"] {
        let (exit, out, err) = mcp(&world, &["list", name]).await;
        assert_eq!((exit, out.as_str()), (Exit::Failed, ""), "{name}");
        assert!(err.starts_with("Denied: nothing of that name is granted"), "{err}");
    }
    // Where there is nothing, no line could be taken for a tool.
    world.truth.lock().unwrap().tools = Vec::new();
    let (exit, out, err) = mcp(&world, &["list"]).await;
    assert_eq!((exit, out.as_str()), (Exit::Ok, ""));
    assert!(err.starts_with("nothing is granted"), "{err}");
}

#[tokio::test]
async fn call_and_tool_are_one() {
    let world = World::start();
    for verb in ["call", "tool"] {
        let (exit, out, err) =
            mcp(&world, &[verb, "demo.answer", "words=@/etc/passwd", "max=7", "to=a", "to=b"]).await;
        assert_eq!((exit, out.as_str(), err.as_str()), (Exit::Ok, "text\\u{1b}[2J\n", ""));
        let expected = json!({"words": "@/etc/passwd", "max": 7, "to": ["a", "b"]});
        assert_eq!(calls(&world).pop().unwrap(), ("demo.answer".to_owned(), expected));
    }
    let (exit, out, _) =
        mcp(&world, &["call", "demo.answer", "--args", r#"{"max":8}"#, "words=-", "--output", "json"]).await;
    assert_eq!(exit, Exit::Ok);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), json!({"got": {"max": 8, "words": "-"}}));
    // mcporter takes these two for the tool's name.
    let (exit, _, err) = mcp(&world, &["call", "demo.answer", "tool=delete", "server=demo"]).await;
    assert!(exit == Exit::Failed && err.contains("no argument of that name"), "{err}");
    assert_eq!(calls(&world).len(), 3);
}

#[tokio::test]
async fn everything_else_ends_with_one() {
    let world = World::start();
    let (exit, out, err) = mcp(&world, &["call", "demo.refuse"]).await;
    assert_eq!((exit, out.as_str()), (Exit::Failed, ""));
    assert!(err.starts_with("Denied: out of scope (field `label`). "), "{err}");
    let (exit, out, err) = mcp(&world, &["call", "demo.refuse", "--output", "json"]).await;
    assert!(exit == Exit::Failed && err.starts_with("Denied: "), "{err}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["refusal"]["class"], "out-of-scope");
    // A tool that ran and failed says so where mcporter has it.
    let (exit, out, err) = mcp(&world, &["call", "demo.fail"]).await;
    assert_eq!((exit, out.as_str(), err.as_str()), (Exit::Failed, "no such message\n", ""));
    let (exit, out, err) = mcp(&world, &["call", "demo.echo"]).await;
    assert!(exit == Exit::Failed && out.is_empty() && err.starts_with("error: "), "{err}");
    let (exit, _, err) = mcp(&world, &["call", "demo.hang", "--timeout", "20"]).await;
    assert!(exit == Exit::Failed && err.contains("took too long"), "{err}");
    let (exit, _, err) = mcp(&world, &["call", "demo.answer", "max=many"]).await;
    assert!(exit == Exit::Failed && err.contains("next: `mcp list SERVER.TOOL`"), "{err}");
    world.truth.lock().unwrap().tools.push(tool("demo.ask_first", "send"));
    let (exit, out, err) = mcp(&world, &["call", "demo.ask_first"]).await;
    assert_eq!((exit, out.as_str()), (Exit::Failed, ""));
    assert!(err.contains(&format!("next: claviger-agent result {APPROVAL}")), "{err}");
}

#[tokio::test]
async fn names_are_exact_and_never_corrected() {
    let world = World::start();
    for name in [
        "demo.anwser",
        "demo.answe",
        "demo.answerr",
        "demo.answer_",
        "demo_answer.x",
        "dem.answer",
        "dmeo.answer",
        "demo_me.answer",
        "demo.me_answer",
        "demo-answer.answer",
        "claviger.demo_answer",
        "DEMO.answer",
        "demo.Answer",
        "demo_answer",
        "demo.answer.",
        "demo..answer",
        " demo.answer",
        "demo.answer\u{a0}",
        "demo\u{ff0e}answer",
        "d\u{435}mo.answer",
        "demo.answer\0",
        "demo.answer\n",
    ] {
        let (exit, out, err) = mcp(&world, &["call", name]).await;
        assert_eq!((exit, out.as_str()), (Exit::Failed, ""), "{name:?}");
        assert!(err.starts_with("Denied: "), "{name:?}: {err}");
    }
    let (_, _, err) = mcp(&world, &["call", "demo.anwser"]).await;
    assert_eq!(
        err,
        "Denied: nothing of that name is granted; did you mean demo.answer?\nnext: `mcp list` shows what is granted; \
         names are exact\n"
    );
    assert!(world.truth.lock().unwrap().presentations.is_empty());
}

#[tokio::test]
async fn the_status_says_how_it_stands() {
    let world = World::start();
    let (exit, out, err) = mcp(&world, &["daemon", "status"]).await;
    assert_eq!((exit, err.as_str()), (Exit::Ok, ""));
    let expected = "There is no daemon to manage here: the owner runs the vault.\n\
                    vault: reachable, unsealed; 11 tools are granted to openclaw\n";
    assert_eq!(out, expected);
    world.truth.lock().unwrap().sealed = true;
    let (exit, out, err) = mcp(&world, &["daemon", "status"]).await;
    assert!(exit == Exit::Failed && out.ends_with("vault: reachable, and sealed\n"), "{out}");
    assert!(err.starts_with("error: the vault is sealed\nnext: "), "{err}");
    for words in [&["list"][..], &["call", "demo.answer"]] {
        let (exit, out, err) = mcp(&world, words).await;
        assert!(
            exit == Exit::Failed && out.is_empty() && err.starts_with("error: the vault is sealed"),
            "{err}"
        );
    }
    std::fs::remove_file(world.vault_socket()).unwrap();
    let (exit, out, err) = mcp(&world, &["daemon", "status"]).await;
    assert!(exit == Exit::Failed && out.ends_with("vault: not reachable\n"), "{out}");
    assert!(err.starts_with("error: the vault cannot be reached"), "{err}");
}

/// The real program under a name of the test's, and an empty environment but for where a vault would be.
fn started(name: &Path, socket: Option<&Path>, words: &[&str]) -> Output {
    let mut command = Command::new(name);
    command.env_clear().args(words).envs(socket.map(|socket| ("CLAVIGER_AGENT_SOCKET", socket)));
    command.output().unwrap()
}

fn link(folder: &Path, name: &str) -> PathBuf {
    let link = folder.join(name);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_claviger-agent"), &link).unwrap();
    link
}

#[test]
fn only_the_exact_name_makes_it_the_shim() {
    let folder = tempfile::tempdir().unwrap();
    let version = |program: &Path| String::from_utf8(started(program, None, &["--version"]).stdout).unwrap();
    let mcp = link(folder.path(), "mcp");
    assert!(version(&mcp).starts_with("mcp "));
    let hard = folder.path().join("hard");
    std::fs::create_dir(&hard).unwrap();
    // Another file system may have no hard link to it; then a copy is as good.
    if std::fs::hard_link(env!("CARGO_BIN_EXE_claviger-agent"), hard.join("mcp")).is_err() {
        std::fs::copy(env!("CARGO_BIN_EXE_claviger-agent"), hard.join("mcp")).unwrap();
    }
    assert!(version(&hard.join("mcp")).starts_with("mcp "));
    let below = folder.path().join("below/mcp");
    std::fs::create_dir_all(&below).unwrap();
    for other in ["MCP", "mcp.exe", "mcp2", "mcporter", "below/mcp/claviger-agent"] {
        let program = link(folder.path(), other);
        assert!(version(&program).starts_with("claviger-agent "), "{other}");
        // Under no other name does it know the words.
        assert_eq!(started(&program, None, &["list"]).status.code(), Some(2), "{other}");
    }
}

/// What is denied is denied before anything is asked: nobody connects to where the vault would be.
#[test]
fn what_is_denied_reaches_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("vault.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let mcp = link(folder.path(), "mcp");
    for words in [
        &["auth"][..],
        &["auth", "demo"],
        &["config", "list"],
        &["serve", "--stdio"],
        &["generate-cli", "--command", "id"],
        &["daemon", "start"],
        &["call", "--stdio", "id", "demo"],
        &["call", "demo.answer", "--stdio", "id"],
        &["call", "demo.answer", "--http-url", "https://host.example/mcp"],
        &["call", "https://host.example/mcp.answer"],
        &["call", "demo.answer(words: 1)"],
        &["call", "demo.answer", "--args", "@/etc/passwd"],
        &["call", "demo.answer", "--args", "-"],
        &["call", "Demo.answer"],
        &["list", "--config", "/tmp/mcporter.json"],
        &[],
    ] {
        let output = started(&mcp, Some(&socket), words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(output.stdout.is_empty() && output.stderr.starts_with(b"Denied: "), "{words:?}: {output:?}");
        assert!(listener.accept().is_err(), "{words:?} has asked");
        // Nor does it matter where the vault is.
        assert_eq!(started(&mcp, None, words).stderr, output.stderr);
    }
    for words in [["--help"], ["--version"]] {
        assert_eq!(started(&mcp, Some(&socket), &words).status.code(), Some(0));
        assert!(listener.accept().is_err());
    }
    let output = started(&mcp, None, &["list"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: it is not said where the vault is\nnext: set CLAVIGER_AGENT_SOCKET; the owner knows the path\n"
    );
    // What is not denied does come: a listener that ends at once is enough to see it.
    let asked = std::thread::spawn(move || {
        listener.set_nonblocking(false).unwrap();
        listener.accept().is_ok()
    });
    assert_eq!(started(&mcp, Some(&socket), &["list"]).status.code(), Some(1));
    assert!(asked.join().unwrap());
}
