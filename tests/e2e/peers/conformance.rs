//! `claviger-agent mcp --http` as others see it: MCP's own conformance suite, once for each way of the wire (with sessions,
//! and without), and `mcporter`.
//!
//! The suite is made for a test server with tools, prompts and resources of its own, which ours has not. What fails for
//! such a reason stands in `tests/peers/conformance/*.yaml`, each line with its reason; whatever else fails fails here, and
//! so does a line that has become untrue.

use claviger_tests::world::World;
use claviger_tests::world::port::Port;
use claviger_tests::world::ran::Ran;
use serde_json::{Value, json};

use super::{MCPORTER, bare, folder, installed};

/// The suite's program. The Node that it needs lies beside it.
const SUITE: &str = "conformance/node_modules/@modelcontextprotocol/conformance/dist/index.js";

async fn conforms(version: &str, least: usize) {
    if !installed(SUITE) {
        return;
    }
    let world = World::ready().await;
    let port = world.port().await;
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let mut command = bare(folder().join(format!("conformance/node_modules/node-linux-{machine}/bin/node")));
    command.current_dir(world.base()).env("HOME", world.base()).arg(folder().join(SUITE));
    command.args(["server", "--url", port.url(), "--suite", "all", "--spec-version", version]);
    command.arg("--expected-failures").arg(folder().join(format!("conformance/{version}.yaml")));
    command.arg("--output-dir").arg(world.base().join("conformance"));
    let ran = Ran::of(&mut command, "").await;
    assert_eq!(ran.code, 0, "{}", ran.all());
    // A suite that runs nothing finds no fault.
    let total = ran.out.lines().find_map(|line| line.strip_prefix("Total: ")).expect("a summary");
    let passed: usize = total.split(' ').next().unwrap().parse().unwrap();
    assert!(passed >= least, "only {passed} checks passed:\n{}", ran.all());
}

#[tokio::test]
async fn the_server_conforms_to_2025_11_25() {
    conforms("2025-11-25", 43).await;
}

#[tokio::test]
async fn the_server_conforms_to_2026_07_28() {
    conforms("2026-07-28", 88).await;
}

#[tokio::test]
async fn mcporter_lists_and_calls_over_http() {
    if !installed(MCPORTER) {
        return;
    }
    let world = World::ready().await;
    let port = world.port().await;
    let listed = mcporter(&world, &port, &["list", "claviger", "--json"]).await;
    let tools = listed["tools"].as_array().unwrap_or_else(|| panic!("no tools: {listed}"));
    assert!(tools.iter().any(|tool| tool["name"] == "gmail_list_labels"), "{listed}");
    let call = ["call", "claviger.gmail_list_labels", "--args", "{}", "--output", "json"];
    let answer = mcporter(&world, &port, &call).await;
    assert!(answer.to_string().contains("AI"), "{answer}");
}

async fn mcporter(world: &World, port: &Port, words: &[&str]) -> Value {
    let file = world.base().join("ports.json");
    let text = json!({"mcpServers": {"claviger": {"baseUrl": port.url()}}, "imports": []}).to_string();
    std::fs::write(&file, text).unwrap();
    let mut command = bare("node");
    command.current_dir(world.base()).env("HOME", world.base());
    command.arg(folder().join(MCPORTER)).arg("--config").arg(&file).args(words);
    Ran::of(&mut command, "").await.success().json()
}
