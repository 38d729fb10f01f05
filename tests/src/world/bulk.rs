//! Files that pass beside the model, and what that takes of memory.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use claviger_canonical::base64url;
use claviger_mcp::host::bulk_socket;
use claviger_proto::v1::bulk_service_client::BulkServiceClient;
use claviger_proto::v1::{FetchFrame, FetchRequest, fetch_frame};
use rmcp::RoleClient;
use rmcp::model::CallToolResult;
use rmcp::service::RunningService;
use serde_json::Value;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::called::{self, Called};
use super::ran::Ran;
use super::raw::{Thief, call_adapter, channel_as};
use super::users::Who;
use super::{AGENT, World};
use crate::binaries;

/// How long a large file may take, on a machine that is busy.
const LONG: Duration = Duration::from_secs(1800);

impl World {
    /// The agent's folder; made at the first time.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        let folder = self.base().join("folder");
        if !folder.exists() {
            self.users.make_dir(Who::Agent, &folder, 0o700);
        }
        folder
    }

    /// Puts a file into the agent's folder.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.folder().join(name);
        std::fs::write(&path, bytes).unwrap();
        self.users.give(Who::Agent, &path);
    }

    /// The names of what lies in the agent's folder, sorted.
    #[must_use]
    pub fn saved(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Calls a tool by `claviger-agent call --folder`; returns what became of it, and the most memory that the client has
    /// held, in MB.
    pub async fn transfer(&self, tool: &str, args: Value) -> (Called, f64) {
        let folder = self.folder().display().to_string();
        let words = called::words(&args);
        let mut command = self.users.command(Who::Agent, &binaries::path("claviger-agent"), self.base());
        command.env("CLAVIGER_AGENT_SOCKET", self.agent_socket(AGENT)).env("CLAVIGER_FOLDER", folder);
        command.args(["call", "--json", tool]).args(words);
        let line = format!("{:?}", command.as_std());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let pid = child.id().unwrap();
        let ended = child.wait_with_output();
        tokio::pin!(ended);
        let mut peak: f64 = 0.0;
        let waiting = async {
            loop {
                tokio::select! {
                    output = &mut ended => return output.unwrap(),
                    // Another process is looked at, which tells nobody when it grows.
                    () = look_again() => peak = peak.max(peak_mb(pid).unwrap_or(0.0)),
                }
            }
        };
        let output = tokio::time::timeout(LONG, waiting).await.expect("it does not end");
        let ran = Ran {
            line,
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        (Called::read(ran), peak)
    }

    /// An adapter's bulk socket, as somebody.
    pub async fn bulk(&self, adapter: &str, who: Who) -> BulkServiceClient<Channel> {
        let socket = bulk_socket(&self.mcp_socket(adapter));
        let channel = channel_as(&socket, self.users.uid(who)).await.unwrap();
        BulkServiceClient::new(channel)
    }

    /// Fetches with a ticket, as somebody.
    ///
    /// # Errors
    /// The ticket is not good.
    pub async fn fetch(
        &self,
        adapter: &str,
        who: Who,
        ticket: &[u8],
    ) -> Result<Streaming<FetchFrame>, Status> {
        let request = FetchRequest { ticket: ticket.to_vec() };
        Ok(self.bulk(adapter, who).await.fetch(request).await?.into_inner())
    }
}

#[allow(clippy::disallowed_methods, reason = "as said where it is used")]
async fn look_again() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// Calls a tool at an adapter without our client, and returns the ticket of its result.
///
/// # Panics
/// There is none.
pub async fn ticket(
    thief: &Thief,
    mcp: &RunningService<RoleClient, ()>,
    tool: &str,
    args: &Value,
) -> Vec<u8> {
    let (presentation, _) = thief.present(tool, args);
    let result = call_adapter(mcp, tool, args, &presentation).await;
    ticket_of(&result)
}

/// The ticket of a result.
///
/// # Panics
/// There is none.
#[must_use]
pub fn ticket_of(result: &CallToolResult) -> Vec<u8> {
    let told = result.meta.as_ref().and_then(|meta| meta.get("claviger/ticket"));
    let told = told.unwrap_or_else(|| panic!("no ticket: {result:?}"));
    base64url::decode(told["ticket"].as_str().unwrap()).unwrap()
}

/// Reads until the stream ends or is cut: how many bytes came, and whether it had its end.
///
/// # Errors
/// What it was cut by.
pub async fn read_on(stream: &mut Streaming<FetchFrame>) -> (u64, Result<bool, Status>) {
    let mut bytes = 0;
    let mut end = false;
    loop {
        match stream.message().await {
            Ok(Some(FetchFrame { frame: Some(fetch_frame::Frame::Piece(piece)) })) => {
                bytes += piece.len() as u64
            }
            Ok(Some(FetchFrame { frame: Some(fetch_frame::Frame::End(_)) })) => end = true,
            Ok(Some(_)) => {}
            Ok(None) => return (bytes, Ok(end)),
            Err(status) => return (bytes, Err(status)),
        }
    }
}

/// The most memory that a process has held, in MB (10^6 bytes), as the kernel counts it (`VmHWM` of proc(5)).
#[must_use]
pub fn peak_mb(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}
