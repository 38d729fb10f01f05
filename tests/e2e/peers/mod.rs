//! Programs that nobody here wrote: MCP clients as hosts, and an emulator of Google as the upstream.
//!
//! - [`emulator`]: `mcporter` and the emulator, from the host to the upstream without a line of ours between.
//! - [`every_tool`]: each tool of each service, and the bridge's own, by three clients.
//! - [`clients`]: those clients.
//! - [`conformance`]: MCP's own suite, against the server on a port.
//!
//! They need Node and Python, and what `npm ci` and `pip install` bring; `cargo xtask test` does both.

mod clients;
mod conformance;
mod emulator;
mod every_tool;

use std::path::{Path, PathBuf};

use claviger_tests::binaries;
use claviger_tests::world::{AGENT, World, note};
use serde_json::{Value, json};
use tokio::process::Command;

/// `mcporter`'s program.
const MCPORTER: &str = "node_modules/mcporter/dist/cli.js";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// Whether that foreign program is there. On CI it has to be.
fn installed(program: &str) -> bool {
    let there = folder().join(program).is_file();
    let told = std::env::var_os("CLAVIGER_NO_PEERS").is_some();
    let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    if there && !told {
        return true;
    }
    assert!(!ci, "on CI the peers must run: run cargo xtask test");
    note(&format!("skipped, for there is no {program}: run cargo xtask test"));
    false
}

/// A program, with nothing of this environment but where programs are.
fn bare(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).kill_on_drop(true);
    command
}

/// The entry of an MCP host's configuration that starts the agent's bridge.
fn server(world: &World) -> Value {
    json!({
        "command": binaries::path("claviger-agent"), "args": ["mcp"],
        "env": {"CLAVIGER_AGENT_SOCKET": world.agent_socket(AGENT), "CLAVIGER_FOLDER": world.folder()},
    })
}

/// A configuration with that one server, named `claviger`, in the form most hosts read.
fn config(world: &World) -> PathBuf {
    let file = world.base().join("hosts.json");
    let text = json!({"mcpServers": {"claviger": server(world)}, "imports": []}).to_string();
    std::fs::write(&file, text).unwrap();
    file
}
