//! SIGHUP: services and the log's level are read anew while agents work.

use claviger_tests::world::World;
use rmcp::model::ProtocolVersion;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

const GMAIL: &str = include_str!("../../vault/services/gmail.toml");

fn hang_up(world: &World) {
    kill_process(Pid::from_raw(world.vault_pid().cast_signed()).unwrap(), Signal::HUP).unwrap();
}

/// Whether the vault's log says that so often.
async fn said(world: &World, what: &str, times: usize) {
    let counted = async || (world.logs().matches(what).count() == times).then_some(());
    world.eventually(&format!("{what:?} is said"), counted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_service_counts_from_the_signal_on() {
    let mut world = World::ready().await;
    let host = world.host(ProtocolVersion::V_2025_11_25).await;
    host.ok("gmail_list_labels", json!({})).await;
    let services = world.home().join("services");
    std::fs::create_dir_all(&services).unwrap();
    let file = services.join("gmail.toml");
    let give = |text: &str| {
        std::fs::write(&file, text).unwrap();
        hang_up(&world);
    };

    // Half of it is no service at all: all stays as it was.
    give(&GMAIL[..GMAIL.len() / 2]);
    said(&world, "nothing is reloaded", 1).await;
    host.ok("gmail_list_labels", json!({})).await;

    // A tool that is another now is no longer the one that was granted. The others serve on.
    let (head, tail) = GMAIL.split_once("[tool.list_labels]\nsummary = \"").unwrap();
    give(&format!("{head}[tool.list_labels]\nsummary = \"Now it lists something else. {tail}"));
    said(&world, "services have changed", 1).await;
    // Until the list has come, the vault alone refuses it.
    let refused = async || match host.try_call("gmail_list_labels", json!({})).await {
        Ok(result) => {
            assert_eq!(result.is_error, Some(true), "{result:?}");
            None
        }
        Err(refused) => Some(refused.to_string()),
    };
    let refused = world.eventually("it is offered no more", refused).await;
    assert!(refused.contains("unknown tool"), "{refused}");
    host.ok("gmail_search_messages", json!({"words": "plan"})).await;
    let log = world.admin(&["log", "--limit", "500"]).await;
    let kinds: Vec<&str> =
        log["events"].as_array().unwrap().iter().filter_map(|event| event["kind"].as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "reloaded").count(), 1, "{kinds:?}");

    // As it was before: what was granted is what there is.
    give(GMAIL);
    said(&world, "services have changed", 2).await;
    host.ok("gmail_list_labels", json!({})).await;
    assert!(world.stop_vault().await.success());
}
