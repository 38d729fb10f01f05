//! The MCP hosts that are known: which file is theirs, where in it servers stand, and what our entry is there.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::Value;

use super::super::failure::Failure;
use super::super::world::World;
use super::json_text::{self, Unfit};
use super::ordered::{Layout, Ordered};
use super::toml_text;

/// What our entry is called, everywhere.
pub(in crate::cli) const NAME: &str = "claviger";
/// The table of servers in Codex's file.
const CODEX: &str = "mcp_servers";
/// The variable that tells `claviger-agent` where the vault serves its agent. The socket's path is no secret.
const SOCKET: &str = "CLAVIGER_AGENT_SOCKET";

/// An MCP host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Host {
    /// Claude Code: `.mcp.json` of the current directory.
    ClaudeCode,
    /// OpenClaw: `~/.openclaw/openclaw.json`, `mcp.servers`.
    Openclaw,
    /// mcporter: `config/mcporter.json` if it is there, else `~/.mcporter/mcporter.json`.
    Mcporter,
    /// Cursor: `~/.cursor/mcp.json`.
    Cursor,
    /// Codex: `~/.codex/config.toml`.
    Codex,
}

impl Host {
    /// Its name for people.
    pub(in crate::cli) fn title(self) -> &'static str {
        match self {
            Host::ClaudeCode => "Claude Code",
            Host::Openclaw => "OpenClaw",
            Host::Mcporter => "mcporter",
            Host::Cursor => "Cursor",
            Host::Codex => "Codex",
        }
    }

    /// Its file, unless somebody says another.
    pub(in crate::cli) fn file(self, world: &World) -> Result<PathBuf, Failure> {
        let home = |path: &str| {
            let home = world.user_home.as_deref().filter(|home| home.is_absolute());
            home.map(|home| home.join(path))
                .ok_or_else(|| Failure::new("HOME says no directory").hint("--file or FILE names the file"))
        };
        match self {
            Host::ClaudeCode => Ok(world.directory.join(".mcp.json")),
            Host::Openclaw => home(".openclaw/openclaw.json"),
            Host::Mcporter => {
                let own = world.directory.join("config/mcporter.json");
                if std::fs::symlink_metadata(&own).is_ok() {
                    Ok(own)
                } else {
                    home(".mcporter/mcporter.json")
                }
            }
            Host::Cursor => home(".cursor/mcp.json"),
            Host::Codex => home(".codex/config.toml"),
        }
    }

    /// The names that lead to its servers.
    pub(in crate::cli) fn path(self) -> &'static [&'static str] {
        match self {
            Host::Openclaw => &["mcp", "servers"],
            Host::Codex => &[CODEX],
            Host::ClaudeCode | Host::Mcporter | Host::Cursor => &["mcpServers"],
        }
    }

    /// The entry as it would stand alone in a file.
    pub(super) fn alone(self, entry: &Entry) -> String {
        if self == Host::Codex {
            return format!("[{CODEX}.{NAME}]\n{}", entry.toml());
        }
        let around = |inner, name: &&'static str| Ordered::Object(vec![(name, inner)]);
        let whole = self.path().iter().rev().fold(Ordered::Object(vec![(NAME, entry.ordered())]), around);
        format!("{}\n", whole.text(&Layout::fresh()))
    }

    /// What stands under our name in that text.
    pub(in crate::cli) fn there(self, text: &str) -> Result<Option<Value>, Unfit> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        if self == Host::Codex {
            let table: toml::Table = text.parse().map_err(|_| Unfit::NotToml)?;
            return toml_text::member(&table, CODEX, NAME)
                .map(|value| serde_json::to_value(value).map_err(|_| Unfit::Shape))
                .transpose();
        }
        let root = json_text::parse(text)?;
        let found = self.path().iter().try_fold(&root, |value, step| value.get(step));
        Ok(found.and_then(|servers| servers.get(NAME)).cloned())
    }

    /// The text with our entry in it, in place of whatever has our name.
    pub(in crate::cli) fn with(self, text: &str, entry: &Entry) -> Result<String, Unfit> {
        if text.trim().is_empty() {
            return Ok(self.alone(entry));
        }
        if self == Host::Codex {
            return toml_text::put(text, CODEX, NAME, &entry.toml());
        }
        json_text::put(text, self.path(), NAME, &entry.ordered())
    }
}

/// Our entry: how a host starts the agent's client. It holds no secret.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Entry {
    socket: String,
}

impl Entry {
    /// The entry for the agent that is served at that socket.
    pub(in crate::cli) fn new(agent: &str, socket: &str) -> Result<Self, Failure> {
        if !Path::new(socket).is_absolute() || socket.chars().any(char::is_control) {
            return Err(Failure::new(format!("the vault tells no usable socket for {agent}"))
                .hint("`claviger agent ls` shows the sockets"));
        }
        Ok(Self { socket: socket.to_owned() })
    }

    /// Where the agent is served.
    pub(in crate::cli) fn socket(&self) -> &str {
        &self.socket
    }

    /// The entry as JSON.
    pub(in crate::cli) fn value(&self) -> Value {
        self.ordered().value()
    }

    fn ordered(&self) -> Ordered {
        Ordered::Object(vec![
            ("command", Ordered::Text("claviger-agent".to_owned())),
            ("args", Ordered::Texts(vec!["mcp".to_owned()])),
            ("env", Ordered::Object(vec![(SOCKET, Ordered::Text(self.socket.clone()))])),
        ])
    }

    fn toml(&self) -> String {
        let socket = toml::Value::from(self.socket.as_str());
        format!("command = \"claviger-agent\"\nargs = [\"mcp\"]\nenv = {{ {SOCKET} = {socket} }}\n")
    }
}

/// What of an entry under our name can be shown: it is somebody's, and its texts may be secrets.
pub(super) fn outline(entry: &Value) -> Vec<(&'static str, String)> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let command = text("command").unwrap_or_default();
    let ours = Path::new(command).file_name().is_some_and(|name| name == "claviger-agent");
    let args: Vec<_> = entry.get("args").and_then(Value::as_array).into_iter().flatten().collect();
    let args = match args.len() {
        0 => String::new(),
        _ if ours => args.iter().filter_map(|arg| arg.as_str()).collect::<Vec<_>>().join(" "),
        count => format!("{count}, not shown"),
    };
    let env = entry.get("env").and_then(Value::as_object);
    let env = env.into_iter().flatten().map(|(name, value)| match value.as_str() {
        Some(value) if name == SOCKET => format!("{name}={value}"),
        _ => format!("{name}, not shown"),
    });
    let mut others: Vec<_> = entry.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    others.retain(|name| !matches!(*name, "command" | "args" | "env"));
    vec![
        ("command", command.to_owned()),
        ("args", args),
        ("env", env.collect::<Vec<_>>().join("\n")),
        ("and", others.join(", ")),
    ]
}
