//! `claviger-agent mcp --http`, and requests to it that are written by hand.

use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Child;

use super::users::Who;
use super::{AGENT, PATIENCE, World};
use crate::binaries;

/// The version of MCP that is spoken by hand.
const VERSION: &str = "2026-07-28";

/// A port on which the agent's tools are served.
pub struct Port {
    url: String,
    server: Child,
}

impl World {
    /// Starts `claviger-agent mcp --http` on a free port, as the agent's user.
    pub async fn port(&self) -> Port {
        let mut command = self.users.command(Who::Agent, &binaries::path("claviger-agent"), self.base());
        command.env("CLAVIGER_AGENT_SOCKET", self.agent_socket(AGENT)).args(["mcp", "--http", "127.0.0.1:0"]);
        let log = std::fs::File::create(self.base().join("logs/port.log")).unwrap();
        let mut server = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it says nothing");
        let url = line.unwrap().expect("it ended before it served anything");
        Port { url, server }
    }
}

impl Port {
    /// What a host is configured with.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Address and port.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/mcp")).unwrap()
    }

    /// The head and the body of a request, as the newest version of MCP has them.
    #[must_use]
    pub fn request(&self, method: &str, params: Value) -> String {
        let mut params = params;
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientInfo": {"name": "by hand", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let name = params["name"].as_str().map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {VERSION}\r\n\
             Mcp-Method: {method}\r\n{name}Content-Length: {}\r\n\r\n{body}",
            self.authority(),
            body.len(),
        )
    }

    /// Sends a request over a connection, and returns all that comes until its end: nothing from a server that hung up.
    pub async fn over(&self, mut stream: TcpStream, request: &str) -> String {
        // Whoever is not let in may find the connection closed.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let read = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.expect("no answer");
            match read {
                Ok(read @ 1..) => answer.extend_from_slice(&buffer[..read]),
                Ok(0) | Err(_) => return String::from_utf8(answer).unwrap(),
            }
        }
    }

    /// Sends a request as this test's user.
    pub async fn send(&self, request: &str) -> String {
        self.over(TcpStream::connect(self.authority()).await.unwrap(), request).await
    }

    /// The result of a request, where it was answered with one.
    #[must_use]
    pub fn result(answer: &str) -> Option<Value> {
        let line = answer.lines().find_map(|line| line.strip_prefix("data:")).or(answer.lines().last())?;
        let mut message: Value = serde_json::from_str(line.trim()).ok()?;
        message.get_mut("result").map(Value::take)
    }

    /// Asks it to end, as systemd does, and waits.
    pub async fn stop(mut self) -> ExitStatus {
        let pid = self.server.id().expect("it runs until it is stopped");
        kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::TERM).unwrap();
        tokio::time::timeout(PATIENCE, self.server.wait()).await.expect("it does not end").unwrap()
    }
}
