//! An admin service that answers as the vault does, on a real socket, and remembers what it was asked.

pub(super) mod samples;
mod service;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use claviger_proto::refusal::to_status;
use claviger_proto::v1::admin_service_server::AdminServiceServer;
use claviger_proto::v1::{AddGrantRequest, Agent, Refusal, Secret, Service};
use prost::Message;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Code, Request, Response, Status};

use crate::config::{Fresh, Mode, write_fresh};

/// A vault that runs: a home, a socket, and the calls it got, by name and encoded message.
pub(super) struct Fake {
    pub(super) dir: tempfile::TempDir,
    calls: Calls,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

type Calls = Arc<Mutex<Vec<(&'static str, Vec<u8>)>>>;

impl Fake {
    /// One that does what it is asked.
    pub(super) fn start() -> Self {
        Self::refusing("", None)
    }

    /// One that refuses that call so.
    pub(super) fn refusing(call: &'static str, refusal: Option<Refusal>) -> Self {
        Self::stocked(call, refusal, Stock::default())
    }

    /// As [`Fake::refusing`], with what it has.
    pub(super) fn stocked(call: &'static str, refusal: Option<Refusal>, stock: Stock) -> Self {
        let dir = home();
        std::fs::create_dir(dir.path().join("run")).unwrap();
        let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o700);
        std::fs::set_permissions(dir.path().join("run"), mode).unwrap();
        let calls = Calls::default();
        let service = Vault { calls: Arc::clone(&calls), call, refusal, stock };
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let socket = dir.path().join("run/admin.sock");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::UnixListener::bind(socket).unwrap();
                ready.send(()).unwrap();
                let server =
                    tonic::transport::Server::builder().add_service(AdminServiceServer::new(service));
                let stopped = async move { drop(stopped.await) };
                server
                    .serve_with_incoming_shutdown(UnixListenerStream::new(listener), stopped)
                    .await
                    .unwrap();
            });
        });
        is_ready.recv().unwrap();
        Self { dir, calls, stop: Some(stop) }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs a command against it, by a user with that home, in it.
    pub(super) fn run_in(&self, home: &Path, line: &[&str], answers: &[&str]) -> super::Ran {
        let mut whole = vec!["--home", self.dir.path().to_str().unwrap()];
        whole.extend(line);
        super::claviger_in(home, &whole, answers, true)
    }

    /// Runs a command against it.
    pub(super) fn run(&self, line: &[&str], answers: &[&str]) -> super::Ran {
        let mut whole = vec!["--home", self.dir.path().to_str().unwrap()];
        whole.extend(line);
        super::claviger(&whole, answers)
    }

    /// The last message of that call.
    pub(super) fn got<M: Message + Default>(&self, call: &str) -> M {
        let calls = self.calls.lock().unwrap();
        let (_, bytes) = calls.iter().rev().find(|(name, _)| *name == call).expect("it was never called");
        M::decode(bytes.as_slice()).unwrap()
    }

    /// All messages of that call, in order.
    pub(super) fn all<M: Message + Default>(&self, call: &str) -> Vec<M> {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .filter(|(name, _)| *name == call)
            .map(|(_, bytes)| M::decode(bytes.as_slice()).unwrap())
            .collect()
    }

    pub(super) fn was_called(&self, call: &str) -> bool {
        self.calls.lock().unwrap().iter().any(|(name, _)| *name == call)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

/// A home with a configuration and nothing else.
pub(super) fn home() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("cli").tempdir_in(short()).unwrap();
    write_fresh(dir.path(), &Fresh { mode: Mode::SingleUser, run_dir: None, allow_key_on_disk: false })
        .unwrap();
    dir
}

fn short() -> &'static Path {
    // A socket's whole path has at most 107 bytes, and some machines have a long temporary directory.
    Path::new("/tmp")
}

pub(super) fn refusal(class: &str, field: &str) -> Option<Refusal> {
    Some(Refusal { class: class.into(), field: field.into(), ..Refusal::default() })
}

/// What a vault has.
pub(super) struct Stock {
    pub(super) agents: Vec<Agent>,
    pub(super) services: Vec<Service>,
    /// What was put in since; where it is `Some`, secrets and grants are kept as a vault keeps them.
    pub(super) kept: Option<Mutex<Kept>>,
}

/// What was put into a vault.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) secrets: Vec<Secret>,
    pub(super) grants: Vec<AddGrantRequest>,
}

impl Default for Stock {
    fn default() -> Self {
        Self { agents: vec![samples::agent("openclaw")], services: vec![samples::service()], kept: None }
    }
}

struct Vault {
    stock: Stock,
    calls: Calls,
    call: &'static str,
    refusal: Option<Refusal>,
}

impl Vault {
    fn answer<A, Q: Message>(
        &self,
        call: &'static str,
        request: &Request<Q>,
        answer: A,
    ) -> Result<Response<A>, Status> {
        self.calls.lock().unwrap().push((call, request.get_ref().encode_to_vec()));
        match &self.refusal {
            Some(refusal) if call == self.call => Err(to_status(Code::PermissionDenied, refusal)),
            _ => Ok(Response::new(answer)),
        }
    }
}
