//! `mcp`: what an owner has who let an agent run mcporter by `sudo` and a list of names, with the tricks by which such a
//! list is passed, each tried at the real programs.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use claviger_tests::binaries;
use claviger_tests::world::ran::Ran;
use claviger_tests::world::users::Who;
use claviger_tests::world::{AGENT, World};
use serde_json::Value;

/// A world whose agent may read mails with a label, write to `*@example.com`, and list the labels of a second account.
async fn world() -> World {
    let world = World::with_secrets().await;
    let token = world.google.direct_refresh_token(&["gmail.modify", "gmail.send"]);
    world.add_secret("gmail/work", &token).await;
    let send = ["--recipients", "*@example.com", "--approve", "never"];
    world.grant(&[AGENT, "gmail/me", "--read", "--label", "AI"]).await;
    world.grant(&[&[AGENT, "gmail/me", "--tool", "gmail.send_message"][..], &send].concat()).await;
    world.grant(&[AGENT, "gmail/work", "--tool", "gmail.list_labels"]).await;
    world
}

/// The program under another name.
fn link(world: &World, name: &str) -> PathBuf {
    let link = world.base().join("links").join(name);
    std::fs::create_dir_all(link.parent().unwrap()).unwrap();
    if !link.exists() {
        std::os::unix::fs::symlink(binaries::path("claviger-agent"), &link).unwrap();
    }
    link
}

async fn run(world: &World, program: &Path, socket: &Path, words: &[&str]) -> Ran {
    let mut command = world.users.command(Who::Agent, program, world.base());
    command.env("CLAVIGER_AGENT_SOCKET", socket).args(words);
    Ran::of(&mut command, "CANARY of standard input\n").await
}

/// `mcp` with these words, as the agent.
async fn mcp(world: &World, words: &[&str]) -> Ran {
    run(world, &link(world, "mcp"), &world.agent_socket(AGENT), words).await
}

#[track_caller]
fn assert_denied(ran: &Ran) {
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
    assert!(ran.err.starts_with("Denied: "), "{ran:?}");
}

/// What the owner wanted of the set-up that this replaces: the list works, what is allowed succeeds, all else fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shim_does_what_the_list_of_names_did() {
    let world = world().await;
    let listed = mcp(&world, &["list"]).await.success().out;
    let names: Vec<&str> = listed.lines().map(|line| line.split_once("  ").unwrap().0.trim_end()).collect();
    for name in ["gmail.get_message", "gmail.search_messages", "gmail.send_message", "gmail_work.list_labels"]
    {
        assert!(names.contains(&name), "{name} is not in\n{listed}");
    }
    for name in ["gmail.reply", "gmail.trash_message", "gmail_work.send_message", "drive.read_file"] {
        assert!(!names.contains(&name), "{name} is in\n{listed}");
    }
    // The same tools that the other command line has, one to one.
    let ours = world.agent(&["ls", "--json"]).await.success().json();
    let mut ours: Vec<&str> =
        ours["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    let mut joined: Vec<String> = names.iter().map(|name| name.replace('.', "_")).collect();
    ours.sort_unstable();
    joined.sort_unstable();
    assert_eq!(joined, ours);
    let json = mcp(&world, &["list", "gmail_work", "--json"]).await.success().json();
    assert_eq!((&json["mode"], &json["name"]), (&Value::from("server"), &Value::from("gmail_work")));
    assert_eq!(json["tools"].as_array().unwrap().len(), 1);

    for words in
        [["call", "gmail.list_labels"], ["tool", "gmail.list_labels"], ["call", "gmail_work.list_labels"]]
    {
        assert!(mcp(&world, &words).await.success().out.contains("AI"), "{words:?}");
    }
    let found = mcp(&world, &["call", "gmail.search_messages", "--output", "json"]).await.success().json();
    assert_eq!(found["untrusted"], true, "{found}");
    let sent = ["call", "gmail.send_message", "to=mona@example.com", "subject=Hello", "body=there"];
    let _ = mcp(&world, &sent).await.success();
    assert_eq!(world.google.outbox().len(), 1);

    let asked = world.google.log().len();
    for name in
        ["gmail.reply", "gmail_work.send_message", "drive.read_file", "calendar.list_events", "mcp_a.foo"]
    {
        assert_denied(&mcp(&world, &["call", name, "to=mona@example.com"]).await);
        assert_denied(&mcp(&world, &["list", name]).await);
    }
    // A name that is granted is no leave for anything: that is what the list of names did not hold.
    let beyond = ["call", "gmail.send_message", "to=eve@evil.example", "subject=Hello", "body=there"];
    let ran = mcp(&world, &beyond).await;
    assert_denied(&ran);
    assert!(
        ran.err.contains("out of scope (field `to`)") && ran.err.contains("claviger why ref_"),
        "{ran:?}"
    );
    assert_eq!((world.google.log().len(), world.google.outbox().len()), (asked, 1));

    let status = mcp(&world, &["daemon", "status"]).await.success().out;
    assert!(status.contains("vault: reachable, unsealed") && status.contains(AGENT), "{status}");
    world.admin(&["freeze", AGENT]).await;
    let ran = mcp(&world, &["call", "gmail.list_labels"]).await;
    assert_denied(&ran);
    assert!(ran.err.contains("frozen"), "{ran:?}");
    let ran = mcp(&world, &["list"]).await.success();
    assert!(ran.out.is_empty() && ran.err.contains("frozen"), "{ran:?}");
    assert!(mcp(&world, &["daemon", "status"]).await.code(1).out.contains("frozen"));
    world.admin(&["thaw", AGENT]).await;
    world.admin(&["seal"]).await;
    let ran = mcp(&world, &["daemon", "status"]).await.code(1);
    assert!(ran.out.contains("vault: "), "{ran:?}");
}

/// What a word cannot do here, it cannot do without the vault either: nobody connects.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shim_denies_without_reaching_the_vault() {
    let world = World::single_user().await;
    let folder = world.base().join("nobody");
    world.users.make_dir(Who::Vault, &folder, 0o700);
    let socket = folder.join("agent.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let program = link(&world, "mcp");
    let trace = world.base().join("trace");
    let touch = format!("touch {}", trace.display());
    let lines: [&[&str]; 22] = [
        &["auth"],
        &["auth", "gmail", "--http-url", "https://evil.example/mcp"],
        &["config", "add", "x", "--command", &touch],
        &["generate-cli", "--command", &touch],
        &["inspect-cli", "/etc/passwd"],
        &["serve", "--stdio"],
        &["emit-ts", "gmail", "--out", trace.to_str().unwrap()],
        &["resource", "gmail"],
        &["record", "--", "sh", "-c", &touch],
        &["vault", "export"],
        &["daemon", "start", "--foreground"],
        &["daemon", "stop"],
        &["daemon", "restart"],
        &["call", "--stdio", &touch, "gmail.list_labels"],
        &["call", "gmail.list_labels", "--stdio", &touch],
        &["call", "gmail.list_labels", "--env", "A=b", "--persist", trace.to_str().unwrap()],
        &["call", &touch, "list_labels"],
        &["call", "https://evil.example/mcp.list_labels"],
        &["call", "gmail.list_labels()"],
        &["gmail.list_labels"],
        &["--config", "/tmp/mcporter.json", "list"],
        &["list", "--sse", "https://evil.example/mcp"],
    ];
    for words in lines {
        assert_denied(&run(&world, &program, &socket, words).await);
        assert!(listener.accept().is_err(), "{words:?} has asked");
    }
    assert!(!trace.exists(), "a command was run, or a file written");
    // What is not denied is asked there, so that the look above is one.
    assert_eq!(run(&world, &program, &world.base().join("nowhere.sock"), &["list"]).await.code, 1);
    let (ran, asked) = tokio::join!(run(&world, &program, &socket, &["list"]), async {
        let listener = tokio::net::UnixListener::from_std(listener).unwrap();
        listener.accept().await.is_ok()
    });
    assert!(asked && ran.code == 1, "{ran:?}");
}

/// Elsewhere `mcp_a.ecoh` is corrected to what is allowed, and what is allowed to what is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shim_never_corrects_a_name() {
    let world = world().await;
    let asked = world.google.log().len();
    for name in [
        "gmail.list_lables",
        "gmail.list_label",
        "gmail.list_labelss",
        "gmail.listlabels",
        "gmail.list-labels",
        "gmail.listLabels",
        "gmail.LIST_LABELS",
        "Gmail.list_labels",
        "gmial.list_labels",
        "gmail_me.list_labels",
        "gmail.me_list_labels",
        "gmail.work_list_labels",
        "gmail_work_list.labels",
        "gmail_work.list_label",
        "claviger.gmail_list_labels",
        "gmail_list_labels",
        "gmail.list_labels.",
        "gmail.list_labels ",
        "gmail.list_labels\n",
        "gmail.list_labels\ngmail.list_labels",
        "gmail.list_labels#",
        "#gmail.list_labels",
        "gmail.*",
        "gmail.list_\u{200b}labels",
        "gmail\u{2024}list_labels",
        "gma\u{456}l.list_labels",
        "gmail%2elist_labels",
        "gmail..list_labels",
        "./gmail.list_labels",
        "",
    ] {
        assert_denied(&mcp(&world, &["call", name]).await);
    }
    // The tool is the first word, and no later one is.
    for words in [
        ["call", "gmail", "list_labels"],
        ["call", "gmail", "tool=list_labels"],
        ["call", "server=gmail", "tool=list_labels"],
        ["call", "--server=gmail", "--tool=list_labels"],
    ] {
        assert_denied(&mcp(&world, &words).await);
    }
    assert_eq!(mcp(&world, &["call", "gmail.list_labels", "tool=send_message"]).await.code, 1);
    assert_eq!(world.google.log().len(), asked, "the upstream was asked");
}

/// Elsewhere `k=@/path` reads a file as the servers' user, and `-` their standard input.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shim_takes_a_value_as_it_stands() {
    let world = world().await;
    let file = world.base().join("letter.txt");
    std::fs::write(&file, "CANARY of a file").unwrap();
    let at = format!("@{}", file.display());
    let twice = format!("@{at}");
    let values = [at.as_str(), twice.as_str(), "-", "@-", "/dev/stdin", "file:///dev/stdin", "$HOME", "`id`"];
    for value in values {
        let body = format!("body={value}");
        let words = ["call", "gmail.send_message", "to=mona@example.com", "subject=x", &body];
        assert!(!mcp(&world, &words).await.success().all().contains("CANARY"));
        let sent = world.google.outbox().pop().unwrap();
        let raw = String::from_utf8_lossy(&sent.raw).into_owned();
        assert!(!raw.contains("CANARY"), "{value}: it was read");
        let object =
            serde_json::json!({"to": ["mona@example.com"], "subject": "x", "body": value}).to_string();
        let _ = mcp(&world, &["call", "gmail.send_message", "--args", &object]).await.success();
        let sent = world.google.outbox().pop().unwrap();
        assert!(!String::from_utf8_lossy(&sent.raw).contains("CANARY"), "{value}: it was read");
    }
    for object in [at.as_str(), "-", "@-", "/dev/stdin", "{\"to\":[]}garbage"] {
        for option in ["--args", "--json"] {
            assert_denied(&mcp(&world, &["call", "gmail.send_message", option, object]).await);
        }
    }
    assert_eq!(world.google.outbox().len(), 2 * values.len());
}

/// Elsewhere the whole environment of whoever calls reaches the servers, and variables say where the configuration is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shim_lets_no_environment_through() {
    let world = world().await;
    let config = world.base().join("mcporter.json");
    let trace = world.base().join("trace");
    let evil = serde_json::json!({"mcpServers": {"evil": {"command": "touch", "args": [trace]}}});
    std::fs::write(&config, evil.to_string()).unwrap();
    let plain = mcp(&world, &["list"]).await.success();
    for words in [&["list"][..], &["call", "gmail.list_labels"]] {
        let mut command = world.users.command(Who::Agent, &link(&world, "mcp"), world.base());
        command.env("CLAVIGER_AGENT_SOCKET", world.agent_socket(AGENT));
        command
            .env("MCPORTER_CONFIG", &config)
            .env("MCPORTER_CALL_TIMEOUT", "1")
            .env("MCPORTER_LIST_TIMEOUT", "1");
        command.env("MCPORTER_DAEMON_SOCKET", world.base().join("none.sock")).env("CANARY", "CANARY");
        command
            .env("LD_DEBUG_OUTPUT", "CANARY")
            .env("NODE_OPTIONS", "CANARY")
            .env("HTTPS_PROXY", "http://CANARY");
        let ran = Ran::of(command.args(words), "").await.success();
        assert!(words[0] != "list" || ran.out == plain.out, "{ran:?}");
        for pid in world.adapter_pids() {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
            assert!(!String::from_utf8_lossy(&environment).contains("CANARY"), "an adapter has it");
        }
    }
    assert!(!trace.exists(), "mcporter's configuration was read");
    assert_denied(&mcp(&world, &["list", "evil"]).await);
}

/// The name is `mcp`, and nothing that looks like it; under any other the words are those of `claviger-agent`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shim_is_meant_by_one_name() {
    let world = world().await;
    let socket = world.agent_socket(AGENT);
    for name in ["MCP", "Mcp", "mcp.exe", "mcp ", "mcporter", "mcp/claviger-agent", "m\u{441}p"] {
        let program = link(&world, &format!("others/{name}"));
        let ran = run(&world, &program, &socket, &["list"]).await;
        assert!(ran.code == 2 && !ran.err.contains("Denied"), "{name}: {ran:?}");
        let _ = run(&world, &program, &socket, &["ls"]).await.success();
    }
    let hard = world.base().join("links/hard/mcp");
    std::fs::create_dir_all(hard.parent().unwrap()).unwrap();
    let program = binaries::path("claviger-agent");
    if std::fs::hard_link(&program, &hard).is_err() {
        std::fs::copy(&program, &hard).unwrap();
    }
    let _ = run(&world, &hard, &socket, &["list"]).await.success();
    assert_denied(&run(&world, &hard, &socket, &["ls"]).await);
}
