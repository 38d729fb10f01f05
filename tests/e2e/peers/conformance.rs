//! MCP's own conformance suite against `claviger-agent mcp --http`, once for each way of the wire: with sessions, and
//! without.
//!
//! The suite is made for a test server with tools, prompts and resources of its own, which ours has not. What fails for
//! such a reason stands in `tests/peers/conformance/*.yaml`, each line with its reason; whatever else fails fails here, and
//! so does a line that has become untrue.

use claviger_tests::world::World;
use claviger_tests::world::ran::Ran;

use super::{bare, folder, installed};

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
    let passed = ran.all().lines().filter(|line| line.starts_with('✓')).count();
    assert!(passed >= least, "only {passed} scenarios passed:\n{}", ran.all());
}

#[tokio::test]
async fn the_server_conforms_to_2025_11_25() {
    conforms("2025-11-25", 1).await;
}

#[tokio::test]
async fn the_server_conforms_to_2026_07_28() {
    conforms("2026-07-28", 1).await;
}
