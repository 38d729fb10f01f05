//! Sealed means sealed; and after it all goes on by itself.

use claviger_proto::v1::{ListSecretsRequest, OpenRequest, StatusRequest};
use claviger_tests::world::raw::{class, mint, send};
use claviger_tests::world::users::Who;
use claviger_tests::world::{AGENT, World};
use rmcp::model::ProtocolVersion;
use serde_json::json;

async fn unseal(world: &World) {
    world.admin(&["unseal", "--identity", world.identity().to_str().unwrap()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vault_that_starts_sealed_says_so_and_nothing_else() {
    let mut world = World::ready().await;
    assert!(world.stop_vault().await.success());
    world.start_vault(&["--sealed"]).await;
    let status = world.admin(&["status"]).await;
    assert_eq!((&status["sealed"], &status["grants"]), (&json!(true), &json!(0)));
    assert_eq!(status["recipients"], json!(["daily", "recovery"]), "who could open it is known");
    for line in [
        &["secret", "ls"][..],
        &["grant", "ls"],
        &["log"],
        &["why", "ref_0000000000000000"],
        &["freeze", AGENT],
        &["revoke", "gr_00000000000000000000000000000000"],
        &["audit", "checkpoint"],
        &["secret", "rotate", "gmail/me"],
    ] {
        let ran = world.claviger(line).await.code(3);
        assert!(ran.err.contains("unseal"), "{line:?}: {}", ran.err);
    }
    let _ = world.agent(&["ls"]).await.code(3);
    // Every other RPC, by hand.
    let mut admin = world.admin_client(Who::Admin).await.unwrap();
    assert!(admin.status(StatusRequest {}).await.is_ok());
    assert_eq!(class(&admin.list_secrets(ListSecretsRequest {}).await.unwrap_err()), "sealed");
    let mut agent = world.agent_client(AGENT, Who::Agent).await.unwrap();
    assert_eq!(class(&agent.open(OpenRequest::default()).await.unwrap_err()), "sealed");
    let mut gmail = world.adapter("gmail").await;
    let refused = mint(&mut gmail, ("claviger1.AAAA".to_owned(), b"{}".to_vec())).await.unwrap_err();
    assert_eq!(class(&refused), "sealed");
    assert_eq!(class(&send(&mut gmail, &[0; 32], "send", &[]).await.unwrap_err()), "sealed");

    unseal(&world).await;
    world.wait_for_adapters().await;
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_identities_open_nothing() {
    let mut world = World::ready().await;
    assert!(world.stop_vault().await.success());
    world.start_vault(&["--sealed"]).await;
    let other = world.base().join("keys/other.txt");
    let stranger =
        "# a stranger's\nAGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQSZ4Z4X\n";
    for text in [stranger, "CANARY not an identity\n", ""] {
        std::fs::write(&other, text).unwrap();
        std::os::unix::fs::chown(&other, None, None).unwrap();
        std::fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let ran = world.claviger(&["unseal", "--identity", other.to_str().unwrap()]).await.code(1);
        assert!(!ran.all().contains("AGE-SECRET-KEY-1Q") && !ran.all().contains("CANARY"), "{}", ran.err);
        assert!(ran.err.contains("hint: "));
    }
    let ran = world.claviger_with(&["unseal", "--passphrase-stdin"], "CANARY passphrase\n").await.code(1);
    assert!(!ran.all().contains("CANARY"));
    assert_eq!(world.admin(&["status"]).await["sealed"], true);
    assert!(!world.logs().contains("CANARY"));
    // The recovery key opens it as well. Failed attempts are spaced.
    world
        .eventually("the recovery key is taken", async || {
            let recovery = world.recovery();
            let line = ["unseal", "--identity", recovery.to_str().unwrap()];
            (world.claviger(&line).await.code == 0).then_some(())
        })
        .await;
    let _ = world.call("gmail_list_labels", json!({})).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealing_starts_the_same_process_anew_on_the_same_sockets() {
    let mut world = World::ready().await;
    let pid = world.vault_pid();
    let host = world.host(ProtocolVersion::V_2025_11_25).await;
    let _ = host.ok("gmail_list_labels", json!({})).await;
    let agent = world.thief(AGENT).await;
    let mut gmail = world.adapter("gmail").await;
    let old = agent.present("gmail.list_labels", &json!({}));
    let capability =
        mint(&mut gmail, agent.present("gmail.list_labels", &json!({}))).await.unwrap().capability;
    let program = std::fs::metadata(format!("/proc/{pid}/exe")).is_ok();
    assert!(program);
    let inode =
        |path: std::path::PathBuf| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap());
    let sockets = [world.admin_socket(), world.agent_socket(AGENT), world.adapter_socket("gmail")];
    let before: Vec<u64> = sockets.iter().cloned().map(inode).collect();

    world.admin(&["seal"]).await;
    assert_eq!(world.admin(&["status"]).await["sealed"], true);
    assert_eq!(world.vault_pid(), pid);
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists(), "it is another process");
    let after: Vec<u64> = sockets.iter().cloned().map(inode).collect();
    assert_eq!(before, after, "the sockets are others");
    assert!(world.logs().contains("sealed; starting anew without a key"));
    world
        .eventually("the host is told that the vault is sealed", async || {
            let told = host.refused("gmail_list_labels", json!({})).await;
            told.contains("sealed").then_some(())
        })
        .await;

    unseal(&world).await;
    world.wait_for_adapters().await;
    // What was presented or minted before is dead.
    let mut gmail = world.adapter("gmail").await;
    assert_eq!(class(&mint(&mut gmail, old).await.unwrap_err()), "stale");
    assert_eq!(class(&send(&mut gmail, &capability, "list", &[]).await.unwrap_err()), "bad-capability");
    // The host goes on without being restarted: its server opens again by itself.
    world
        .eventually("the host's calls work again", async || {
            let result = host.try_call("gmail_list_labels", json!({})).await.ok()?;
            (result.is_error != Some(true)).then_some(())
        })
        .await;
    // The log of both lives is whole, and says what happened.
    let log = world.admin(&["log", "--limit", "500"]).await;
    let kinds: Vec<&str> =
        log["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    let count = |kind: &str| kinds.iter().filter(|found| **found == kind).count();
    assert_eq!((count("sealed"), count("unsealed"), count("started")), (1, 2, 2), "{kinds:?}");
    assert!(world.stop_vault().await.success());
    let _ = world.offline(&["audit", "verify"]).await.success();
}

/// A session that was opened before the vault started anew presents once, is told "stale", opens and presents again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_before_opens_again_by_itself() {
    let mut world = World::ready().await;
    let session = world.session().await;
    let call = async || session.call("gmail_list_labels", serde_json::Map::new()).await.unwrap();
    assert!(matches!(call().await, claviger_agent::CallOutcome::Answered(_)));
    assert!(world.stop_vault().await.success());
    world.start_unsealed().await;
    let outcome = call().await;
    assert!(matches!(outcome, claviger_agent::CallOutcome::Answered(_)), "{outcome:?}");
}

/// Whoever comes after the answer to `seal` is served by the process that comes after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_falls_between_two_lives() {
    let world = World::with_secrets().await;
    for _ in 0..6 {
        world.admin(&["seal"]).await;
        let _ = world.claviger(&["secret", "ls"]).await.code(3);
        unseal(&world).await;
        assert_eq!(world.admin(&["secret", "ls"]).await["secrets"].as_array().unwrap().len(), 2);
    }
}

/// The program that comes after a seal is not unsealed by what unsealed the one before, nor stopped by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_service_managers_credential_unsealed_seals_too() {
    let mut world = World::ready().await;
    assert!(world.stop_vault().await.success());
    let folder = world.base().join("credentials");
    std::fs::create_dir(&folder).unwrap();
    // A copy has the rights of what it was copied from.
    std::fs::copy(world.identity(), folder.join("claviger.identity")).unwrap();
    std::fs::copy(world.identity(), folder.join("mine")).unwrap();
    for words in [&["--credential"][..], &["--credential", "mine"], &["--credential=mine"]] {
        let mut command = world.vault_command(words);
        command.env("CREDENTIALS_DIRECTORY", &folder);
        world.start_vault_by(command).await;
        assert_eq!(world.admin(&["status"]).await["sealed"], false, "{words:?}");
        let pid = world.vault_pid();
        world.admin(&["seal"]).await;
        assert_eq!(world.admin(&["status"]).await["sealed"], true, "{words:?}");
        assert_eq!(world.vault_pid(), pid);
        unseal(&world).await;
        assert!(world.stop_vault().await.success(), "{words:?}");
    }
}
