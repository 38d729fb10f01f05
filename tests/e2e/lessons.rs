//! Other people's accidents, each as a test of what is built here. Those that are not here have a test elsewhere: echoes
//! and redirects in `hostile`, races and other peers in `theft`, rotation and revocation under calls in `rotation`.

use claviger_proto::v1::admin_service_client::AdminServiceClient;
use claviger_tests::world::raw::{call_adapter, class_in, mint};
use claviger_tests::world::users::Who;
use claviger_tests::world::{AGENT, World, disk};
use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};

/// A name allowlist in front of a client that corrects typing errors is no allowlist.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_exact_and_never_corrected() {
    let world = World::ready().await;
    let host = world.host(ProtocolVersion::V_2025_11_25).await;
    let asked = world.google.log().len();
    for name in [
        "gmail_serach_messages",
        "gmail_search_message",
        "GMAIL_SEARCH_MESSAGES",
        "gmail.search_messages",
        "gmail_search_messages ",
        " gmail_search_messages",
        "claviger.gmail_search_messages",
        "gmail_search_messages\u{0}",
        "gmail_me_search_messages",
        "gmail-search-messages",
        "",
    ] {
        assert!(host.try_call(name, json!({})).await.is_err(), "{name:?} was called");
    }
    for name in ["gmail_serach_messages", "GMAIL_SEARCH_MESSAGES", "gmail.search_messages"] {
        let ran = world.agent(&["call", name]).await.code(2);
        assert!(ran.err.contains("gmail_search_messages"), "suggested, not called: {}", ran.err);
    }
    // At the adapter, too: the presentation names the tool, and the request has to name the same.
    let agent = world.thief(AGENT).await;
    let mcp = world.mcp_client("gmail", Who::Agent).await;
    for name in ["gmail.list_label", "gmail_list_labels", "gmail.LIST_LABELS", "gmail.search_messages"] {
        let (presentation, _) = agent.present("gmail.list_labels", &json!({}));
        let result = call_adapter(&mcp, name, &json!({}), &presentation).await;
        assert_eq!(class_in(&result), "bad-presentation", "{name}");
    }
    assert_eq!(world.google.log().len(), asked, "the upstream was asked");
}

/// `key=@/path` reads files as the privileged user elsewhere. Here a value is only ever itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_address_or_command_is_taken_from_an_argument() {
    let world = World::ready().await;
    let file = world.base().join("letter.txt");
    std::fs::write(&file, "CANARY of a file").unwrap();
    for value in [
        format!("@{}", file.display()),
        format!("file://{}", file.display()),
        format!("$(cat {})", file.display()),
        format!("`cat {}`", file.display()),
        format!("<{}", file.display()),
        "$HOME ~ %HOME% ${PATH}".to_owned(),
        "-".to_owned(),
        "--help".to_owned(),
    ] {
        let body = format!("body={value}");
        let ran = world
            .agent(&["call", "gmail_send_message", "to=mona@example.com", "subject=x", &body])
            .await
            .success();
        assert!(!ran.all().contains("CANARY"));
        let sent = world.google.outbox().pop().unwrap();
        let raw = String::from_utf8_lossy(&sent.raw).into_owned();
        assert!(!raw.contains("CANARY of a file"), "{value}: a file was read");
    }
    let notes = world.google.file_id("Agent").unwrap();
    let new = json!({"folder_id": notes, "name": format!("@{}", file.display()), "content": format!("@{}", file.display())});
    let made = world.call("drive_create_file", new).await;
    let content = world.google.file_content(made.ok()["id"].as_str().unwrap()).unwrap();
    assert_eq!(content, format!("@{}", file.display()).as_bytes());
}

/// A poisoned package in an adapter would read its environment, its working directory, its open files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapters_surroundings_hold_no_secret() {
    let (world, multi) = match World::multi_user().await {
        Some(world) => (world, true),
        None => (World::ready().await, false),
    };
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
    let pids = world.adapter_pids();
    assert_eq!(pids.len(), 2);
    for pid in pids {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        for variable in environment.split('\0').filter(|variable| !variable.is_empty()) {
            let name = variable.split_once('=').unwrap().0;
            // In a world of many users this test itself hands out the environment.
            assert!(multi && ["PATH", "HOME"].contains(&name), "an adapter has {name} in its environment");
        }
        assert_eq!(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), std::path::Path::new("/"));
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        for secret in ["ya29", "1//0", "GOCSPX", "AGE-SECRET"] {
            assert!(!disk::contains(&line, secret.as_bytes()) && !environment.contains(secret));
        }
        // No file of the vault's home is open, and no listener of the vault's was passed on.
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
            let Ok(target) = std::fs::read_link(entry.unwrap().path()) else { continue };
            let target = target.display().to_string();
            for part in ["/store/", "/audit/", "/keys/", "claviger.toml"] {
                assert!(!target.contains(part), "an adapter has {target} open");
            }
        }
    }
}

/// An API could point the audit file at code, elsewhere. Here no RPC has a word about files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_rpc_names_a_file_or_changes_where_the_log_goes() {
    let admin = include_str!("../../proto/claviger/v1/admin.proto");
    let peers = [
        include_str!("../../proto/claviger/v1/agent.proto"),
        include_str!("../../proto/claviger/v1/adapter.proto"),
    ];
    let requests = admin
        .split("message ")
        .filter(|message| message.split_whitespace().next().is_some_and(|name| name.ends_with("Request")));
    for request in requests {
        let fields = request.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<String>();
        for word in ["path", "file", "dir", "audit", "target", "log_to", "command"] {
            assert!(
                !fields.to_lowercase().contains(&format!(" {word}")),
                "a request names a {word}: {fields}"
            );
        }
    }
    for peer in peers {
        assert!(!peer.contains("audit"));
    }
    // And from outside: nothing that an admin can type moves the log.
    let world = World::with_secrets().await;
    let before = std::fs::read(world.home().join("claviger.toml")).unwrap();
    let _ = world.claviger(&["audit", "--help"]).await.success();
    world.grant(&[AGENT, "gmail/me", "--tool", "gmail.list_labels"]).await;
    assert_eq!(
        std::fs::read(world.home().join("claviger.toml")).unwrap(),
        before,
        "the vault writes its configuration"
    );
}

/// Token passthrough: what an MCP client brings as a credential of its own goes nowhere, and what the vault uses comes
/// from nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_a_client_brings_is_not_passed_on() {
    let world = World::ready().await;
    let foreign = world.google.direct_token(&["https://mail.google.com/"]);
    let id = stand_in_google::LoggedRequest::token_id(&foreign);
    let agent = world.thief(AGENT).await;
    let mcp = world.mcp_client("gmail", Who::Agent).await;
    // As the presentation, as an argument, as a bound parameter.
    assert_eq!(
        class_in(&call_adapter(&mcp, "gmail.list_labels", &json!({}), &foreign).await),
        "bad-presentation"
    );
    let smuggled = json!({"authorization": format!("Bearer {foreign}")});
    let (presentation, _) = agent.present("gmail.list_labels", &smuggled);
    assert_eq!(
        class_in(&call_adapter(&mcp, "gmail.list_labels", &smuggled, &presentation).await),
        "bad-arguments"
    );
    let search = json!({"words": foreign});
    let _ = world.call("gmail_search_messages", search).await.ok();
    assert!(!world.google.log().iter().any(|request| request.authorization.as_deref() == Some(&id)));
}

/// A confused deputy: what one agent was given is worth nothing in another's hands, whatever order they come in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_agents_share_an_adapter_and_nothing_else() {
    let world = World::with_secrets().await;
    world.grant(&[AGENT, "gmail/me", "--tool", "gmail.get_message", "--label", "AI"]).await;
    world.grant(&["other", "gmail/me", "--tool", "gmail.get_message", "--label", "Private"]).await;
    let ai = world.google.mail_id("Invoice 2026-118 for November").unwrap();
    let private = world.google.mail_id("Your laboratory results").unwrap();
    for (agent, own, foreign) in [(AGENT, &ai, &private), ("other", &private, &ai), (AGENT, &ai, &private)] {
        let _ = world.call_as(agent, "gmail_get_message", json!({"message_id": own})).await.ok();
        let refused =
            world.call_as(agent, "gmail_get_message", json!({"message_id": foreign})).await.refused();
        assert_eq!(refused.class, "out-of-scope");
    }
    // A presentation of one agent's does not open the other's mail at the same adapter.
    let mut gmail = world.adapter("gmail").await;
    let mut presented = world.thief(AGENT).await.present("gmail.get_message", &json!({"message_id": ai}));
    presented.1 = serde_json::to_vec(&json!({"message_id": private})).unwrap();
    assert!(mint(&mut gmail, presented).await.is_err());
}

/// The address of the vault comes from trusted configuration, and a client looks who serves there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_tells_nothing_to_an_impostor() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::ready().await;
    let dir = world.base().join("trap");
    std::fs::create_dir(&dir).unwrap();
    let trap = dir.join("agent.sock");
    let listener = std::os::unix::net::UnixListener::bind(&trap).unwrap();
    listener.set_nonblocking(true).unwrap();
    // Somebody else could have put a socket into a directory that everybody can write to.
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o777)).unwrap();
    let ran = world.agent(&["--socket", trap.to_str().unwrap(), "ls"]).await.code(1);
    assert!(ran.err.contains("can be written to by others"), "{}", ran.err);
    assert!(listener.accept().is_err(), "it connected");
    // And where the directory says one user, another one is not talked to.
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    let ran = world.agent(&["--socket", trap.to_str().unwrap(), "--vault-uid", "4242", "ls"]).await.code(1);
    assert!(ran.err.contains("4242"), "{}", ran.err);
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(false).unwrap();
    let mut heard = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut heard).unwrap();
    assert!(heard.is_empty(), "it told the impostor {} bytes", heard.len());
}

/// No RPC returns a stored secret: every answer of every admin RPC that lists or shows, looked through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_holds_a_stored_secret() {
    let world = World::single_user().await;
    let [gmail, drive] = world.add_secrets().await;
    world.usual_grants().await;
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
    let _ = world.call("drive_search_files", json!({})).await.ok();
    let _ = world
        .call("gmail_send_message", json!({"to": ["a@evil.example"], "subject": "x", "body": "x"}))
        .await;
    let mut said = String::new();
    for line in [
        &["status"][..],
        &["secret", "ls"],
        &["secret", "show", "gmail/me"],
        &["secret", "show", "drive/me"],
        &["grant", "ls", "--all"],
        &["agent", "ls"],
        &["adapter", "ls"],
        &["log", "--limit", "10000"],
        &["services"],
        &["audit", "checkpoint"],
    ] {
        let args: Vec<&str> = ["--json"].iter().chain(line).copied().collect();
        said.push_str(&world.claviger(&args).await.success().all());
        said.push_str(&world.claviger(line).await.success().all());
    }
    said.push_str(&world.agent(&["handles", "--json"]).await.success().all());
    said.push_str(&world.agent(&["ls", "--json"]).await.success().all());
    said.push_str(&world.logs());
    for secret in
        [gmail.as_str(), &drive, world.google.client_secret(), "ya29.", "1//0", "GOCSPX-", "claviger1."]
    {
        assert!(!said.contains(secret), "{secret} is told");
    }
    let opened = format!("{:?}", world.thief(AGENT).await.opened);
    for secret in [gmail.as_str(), &drive, "ya29.", "GOCSPX-"] {
        assert!(!opened.contains(secret));
    }
}

/// Expiry is checked at use; nothing has to clean up first, and no restart brings back what is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_ended_is_over_at_once_and_stays_so() {
    let mut world = World::with_secrets().await;
    let grant = world.grant(&[AGENT, "gmail/me", "--tool", "gmail.list_labels", "--expires", "3s"]).await;
    let agent = world.thief(AGENT).await;
    let ends = grant["expires_at_ms"].as_u64().unwrap();
    let mut gmail = world.adapter("gmail").await;
    let presented = agent.present("gmail.list_labels", &json!({}));
    world
        .eventually("the grant's end", async || {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            (now.as_millis() as u64 > ends).then_some(())
        })
        .await;
    let status = mint(&mut gmail, presented).await.unwrap_err();
    assert_eq!(claviger_tests::world::raw::class(&status), "revoked");
    world.kill_vault().await;
    world.start_unsealed().await;
    assert_eq!(world.call("gmail_list_labels", json!({})).await.ran.code, 2, "it is not offered");
}

/// Limits are keyed on what was parsed: every way to write the same request counts against the one counter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_spelling_hits_one_counter() {
    let world = World::with_secrets().await;
    world
        .grant(&[AGENT, "gmail/me", "--tool", "gmail.search_messages", "--label", "AI", "--calls", "3"])
        .await;
    let mut answered = 0;
    for words in [
        &["max_results:=3"][..],
        &["max_results=3"],
        &["max_results:=3", "unread:=false"],
        &["max_results:=3", "subject:=\"\\u0061\""],
        &["max_results:=3", "subject=a"],
        &[],
    ] {
        let line = [&["call", "--json", "gmail_search_messages"][..], words].concat();
        let ran = world.agent(&line).await;
        let json: Value = ran.json();
        if json["ok"] == true {
            answered += 1;
        } else {
            assert_eq!(json["refusal"]["class"], "rate-limited", "{ran:?}");
        }
    }
    assert_eq!(answered, 3);
}

/// Whoever asks and is refused without end cannot fill the log: refusals of one peer are put together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_refusals_does_not_flood_the_log() {
    let world = World::ready().await;
    let records = async || world.admin(&["status"]).await["audit_records"].as_u64().unwrap();
    let before = records().await;
    let mut gmail = world.adapter("gmail").await;
    for _ in 0..2_000 {
        assert!(mint(&mut gmail, ("claviger1.AAAA".to_owned(), b"{}".to_vec())).await.is_err());
    }
    let more = records().await - before;
    assert!(more < 500, "{more} records for 2000 refusals");
    // The other adapter's refusals, and the calls, are recorded as ever.
    let _ = world.call("drive_search_files", json!({})).await.ok();
}

/// Admin RPCs do not exist for peers, whatever they call them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_have_no_admin_methods() {
    let world = World::ready().await;
    let own = world.users.uid(Who::Agent);
    for socket in [world.agent_socket(AGENT), world.adapter_socket("gmail")] {
        let channel = claviger_tests::world::raw::channel_as(&socket, own).await.unwrap();
        let mut admin = AdminServiceClient::new(channel);
        let unknown = tonic::Code::Unimplemented;
        assert_eq!(
            admin.list_grants(claviger_proto::v1::ListGrantsRequest::default()).await.unwrap_err().code(),
            unknown
        );
        assert_eq!(
            admin.thaw(claviger_proto::v1::ThawRequest { name: AGENT.to_owned() }).await.unwrap_err().code(),
            unknown
        );
        assert_eq!(admin.seal(claviger_proto::v1::SealRequest {}).await.unwrap_err().code(), unknown);
    }
    assert_eq!(world.admin(&["status"]).await["sealed"], false);
}
