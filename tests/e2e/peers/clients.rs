//! Three MCP clients, each behind the same two requests: which tools are there, and call one.

use std::path::PathBuf;
use std::process::Stdio;

use claviger_tests::binaries;
use claviger_tests::world::ran::Ran;
use claviger_tests::world::{AGENT, PATIENCE, World};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{MCPORTER, bare, config, folder, installed};

/// The inspector's program. The Node that it needs lies beside it.
const INSPECTOR: &str =
    "inspector/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js";
/// The Python that has the SDK.
const PYTHON: &str = "python/.venv/bin/python";

/// What a client was answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whether the tool said that it failed, or was refused.
    pub(super) failed: bool,
    /// The structured answer; null where there is none.
    pub(super) structured: Value,
    /// Everything that the client told.
    pub(super) all: String,
}

/// One of the three.
pub(super) enum Client {
    /// A process for each call.
    Mcporter(Place),
    /// A process for each call.
    Inspector(Place),
    /// One process and one connection for all.
    Python(Box<Session>),
}

/// Where a client runs.
pub(super) struct Place {
    config: PathBuf,
    home: PathBuf,
}

/// A running Python client.
pub(super) struct Session {
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Place {
    fn new(world: &World) -> Self {
        let home = world.base().join("client-home");
        std::fs::create_dir_all(&home).unwrap();
        Self { config: config(world), home }
    }

    fn at_home(&self, mut command: Command) -> Command {
        command.env("HOME", &self.home).current_dir(&self.home);
        command
    }
}

impl Client {
    /// `mcporter`.
    pub(super) fn mcporter(world: &World) -> Self {
        Self::Mcporter(Place::new(world))
    }

    /// The MCP inspector's command line.
    pub(super) fn inspector(world: &World) -> Self {
        Self::Inspector(Place::new(world))
    }

    /// The Python SDK.
    pub(super) fn python(world: &World) -> Self {
        let place = Place::new(world);
        let mut command = place.at_home(bare(folder().join(PYTHON)));
        command
            .env("CLAVIGER_AGENT_SOCKET", world.agent_socket(AGENT))
            .env("CLAVIGER_FOLDER", world.folder());
        command.arg(folder().join("python/client.py")).arg(binaries::path("claviger-agent")).arg("mcp");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self::Python(Box::new(Session { stdin: child.stdin.take().unwrap(), lines, _child: child }))
    }

    /// Whether that one of the three is installed.
    pub(super) fn installed(which: &str) -> bool {
        match which {
            "mcporter" => installed(MCPORTER),
            "inspector" => installed(INSPECTOR),
            _ => installed(PYTHON),
        }
    }

    /// The names of all tools that it is told of.
    pub(super) async fn names(&mut self) -> Vec<String> {
        let listed = match self {
            Self::Mcporter(place) => {
                let mut command = mcporter(place);
                Ran::of(command.args(["list", "claviger", "--json"]), "").await.success().json()
            }
            Self::Inspector(place) => {
                let mut command = inspector(place, "tools/list");
                Ran::of(&mut command, "").await.success().json()["result"].take()
            }
            Self::Python(session) => session.ask(json!({"list": true})).await,
        };
        let tools = listed["tools"].as_array().unwrap_or_else(|| panic!("no tools: {listed}"));
        let name = |tool: &Value| tool["name"].as_str().or(tool.as_str()).unwrap().to_owned();
        tools.iter().map(name).collect()
    }

    /// Calls a tool. `args` is an object.
    pub(super) async fn call(&mut self, tool: &str, args: &Value) -> Answer {
        match self {
            Self::Mcporter(place) => {
                let (tool, args) = (format!("claviger.{tool}"), args.to_string());
                let mut command = mcporter(place);
                command.args(["call", &tool, "--args", &args, "--output", "json"]);
                let ran = Ran::of(&mut command, "").await;
                let told: Value = serde_json::from_str(&ran.out).unwrap_or(Value::Null);
                // It prints the structured part alone where there is one and nothing else to say.
                let whole = told["content"].is_array();
                let structured = if whole { told["structuredContent"].clone() } else { told };
                Answer { failed: ran.code != 0, structured, all: ran.all() }
            }
            Self::Inspector(place) => {
                let mut command = inspector(place, "tools/call");
                command.args(["--tool-name", tool, "--tool-args-json", &args.to_string()]);
                let ran = Ran::of(&mut command, "").await;
                let mut told: Value = serde_json::from_str(&ran.out).unwrap_or(Value::Null);
                let result = told["result"].take();
                let failed = ran.code != 0 || result["isError"] == true;
                Answer { failed, structured: result["structuredContent"].clone(), all: ran.all() }
            }
            Self::Python(session) => {
                let mut told = session.ask(json!({"tool": tool, "args": args})).await;
                let all = told.to_string();
                Answer { failed: told["is_error"] == true, structured: told["structured"].take(), all }
            }
        }
    }
}

fn mcporter(place: &Place) -> Command {
    let mut command = place.at_home(bare("node"));
    command.arg(folder().join(MCPORTER)).arg("--config").arg(&place.config);
    command
}

fn inspector(place: &Place, method: &str) -> Command {
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let node = folder().join(format!("inspector/node_modules/node-linux-{machine}/bin/node"));
    let mut command = place.at_home(bare(node));
    command.arg(folder().join(INSPECTOR)).args(["--cli", "--config"]).arg(&place.config);
    command.args(["--server", "claviger", "--format", "json", "--quiet", "--method", method]);
    command
}

impl Session {
    async fn ask(&mut self, question: Value) -> Value {
        self.stdin.write_all(format!("{question}\n").as_bytes()).await.unwrap();
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("no answer in time");
        let line = line.unwrap().expect("the client ended");
        serde_json::from_str(&line).unwrap()
    }
}
