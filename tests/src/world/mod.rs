//! A whole small world for one test: the real programs, a stand-in Google, sockets and files that go away after it.
//!
//! - [`World`]: a vault that runs, its adapters, an agent, and what an admin and an agent can type.
//! - [`ran`]: what a program that ended has said. [`called`]: what became of a tool call.
//! - [`users`]: who runs as whom. [`host`]: an MCP host over `claviger-agent mcp`. [`port`]: the same over HTTP.
//! - [`raw`]: peers that speak to the sockets without any of our programs, as thieves do.
//! - [`bulk`]: files that pass beside the model.
//! - [`upstream`]: requests that go around the vault.
//! - [`disk`] and [`memory`]: what lies on the disk and in memory, for those who look for secrets in it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
#![allow(missing_debug_implementations, reason = "a test shows what it needs")]

pub mod bulk;
pub mod called;
pub mod disk;
pub mod host;
pub mod memory;
pub mod port;
mod process;
pub mod ran;
pub mod raw;
mod set_up;
pub mod upstream;
pub mod users;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use stand_in_google::StandIn;

use crate::binaries;
use called::Called;
use process::{Program, wait_for_socket};
use ran::Ran;
pub use set_up::Plan;
use users::{Users, Who};

/// The agent of every world.
pub const AGENT: &str = "openclaw";
/// The adapters of every world.
pub const ADAPTERS: [&str; 2] = ["gmail", "drive"];
/// Further services that each world's vault finds at the stand-in; a test that wants one registers its adapter.
pub const FURTHER: [&str; 2] = ["calendar", "contacts"];
/// How long a program may take to be ready or to end, on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running vault with all around it. Dropping it ends all that it started.
pub struct World {
    /// Everything lies here.
    dir: Option<tempfile::TempDir>,
    /// The upstream.
    pub google: StandIn,
    /// Who runs as whom.
    pub users: Users,
    vault: Option<Program>,
    adapters: Vec<Program>,
    /// How many times the vault was started.
    starts: usize,
    /// Whether the files stay.
    kept: bool,
}

impl World {
    /// A world of one user: `claviger up`, an agent, two adapters, no secret and no grant yet.
    pub async fn single_user() -> Self {
        Self::start(Plan::default()).await
    }

    /// As [`World::single_user`], with both secrets stored.
    pub async fn with_secrets() -> Self {
        let world = Self::single_user().await;
        world.add_secrets().await;
        world
    }

    /// As [`World::with_secrets`], with the grants that [`World::usual_grants`] gives.
    pub async fn ready() -> Self {
        let world = Self::with_secrets().await;
        world.usual_grants().await;
        world
    }

    /// A world in which vault, adapters, agent and admin are different users; with secrets and grants. `None`, and a line
    /// that says so, unless the test runs as root.
    pub async fn multi_user() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            note("skipped: only root can give each program a user of its own");
            return None;
        }
        let world = Self::start(Plan { users: Users::many(), ..Plan::default() }).await;
        world.add_secrets().await;
        world.usual_grants().await;
        Some(world)
    }

    /// The directory of everything.
    #[must_use]
    pub fn base(&self) -> &Path {
        self.dir.as_ref().expect("the world is still there").path()
    }

    /// The vault's home.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.base().join("home")
    }

    /// The directory of the vault's sockets.
    #[must_use]
    pub fn run_dir(&self) -> PathBuf {
        if self.users.is_single() { self.home().join("run") } else { self.base().join("run") }
    }

    /// The admins' socket.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.run_dir().join("admin.sock")
    }

    /// The socket on which the vault serves an agent.
    #[must_use]
    pub fn agent_socket(&self, name: &str) -> PathBuf {
        match self.users.is_single() {
            true => self.run_dir().join(format!("agents/{name}.sock")),
            false => self.run_dir().join("agent.sock"),
        }
    }

    /// The socket on which the vault serves an adapter.
    #[must_use]
    pub fn adapter_socket(&self, name: &str) -> PathBuf {
        match self.users.is_single() {
            true => self.run_dir().join(format!("adapters/{name}.sock")),
            false => self.run_dir().join("adapter.sock"),
        }
    }

    /// The socket on which an adapter serves MCP.
    #[must_use]
    pub fn mcp_socket(&self, name: &str) -> PathBuf {
        match self.users.is_single() {
            true => self.run_dir().join(format!("mcp/{name}.sock")),
            false => self.base().join(format!("mcp-{name}/mcp.sock")),
        }
    }

    /// The identity that unseals the vault.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.base().join("keys/daily.txt")
    }

    /// The other identity that unseals the vault.
    #[must_use]
    pub fn recovery(&self) -> PathBuf {
        self.base().join("keys/recovery.txt")
    }

    /// Runs `claviger` as the admin.
    pub async fn claviger(&self, args: &[&str]) -> Ran {
        self.claviger_with(args, "").await
    }

    /// Runs `claviger` as the admin, with that on its standard input.
    pub async fn claviger_with(&self, args: &[&str], stdin: &str) -> Ran {
        let mut command = self.users.command(Who::Admin, &binaries::path("claviger"), self.base());
        if self.users.is_single() {
            command.arg("--home").arg(self.home());
        } else {
            command.arg("--socket").arg(self.admin_socket());
        }
        Ran::of(command.args(args), stdin).await
    }

    /// Runs `claviger --json` as the admin, which has to succeed, and returns what it printed.
    pub async fn admin(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["--json"].iter().chain(args).copied().collect();
        self.claviger(&args).await.success().json()
    }

    /// Runs `claviger` offline on the vault's files, as the vault's user.
    pub async fn offline(&self, args: &[&str]) -> Ran {
        let mut command = self.users.command(Who::Vault, &binaries::path("claviger"), self.base());
        command.arg("--home").arg(self.home());
        Ran::of(command.args(args), "").await
    }

    /// Runs `claviger-agent` as the agent of every world.
    pub async fn agent(&self, args: &[&str]) -> Ran {
        self.agent_as(AGENT, args).await
    }

    /// Runs `claviger-agent` at the socket of that agent.
    pub async fn agent_as(&self, name: &str, args: &[&str]) -> Ran {
        let mut command = self.users.command(Who::Agent, &binaries::path("claviger-agent"), self.base());
        command.env("CLAVIGER_AGENT_SOCKET", self.agent_socket(name));
        Ran::of(command.args(args), "").await
    }

    /// Calls a tool by `claviger-agent call`. `args` is an object.
    pub async fn call(&self, tool: &str, args: Value) -> Called {
        self.call_as(AGENT, tool, args).await
    }

    /// As [`World::call`], at the socket of that agent.
    pub async fn call_as(&self, agent: &str, tool: &str, args: Value) -> Called {
        let words = called::words(&args);
        let mut line = vec!["call", "--json", tool];
        line.extend(words.iter().map(String::as_str));
        Called::read(self.agent_as(agent, &line).await)
    }

    /// A session of the agent's library, in this process; only in a world of one user.
    pub async fn session(&self) -> claviger_agent::Session {
        assert!(self.users.is_single(), "this process is not the agent's user");
        let server = claviger_proto::connect::Server::OwnerOfDirectory;
        claviger_agent::Session::open(&self.agent_socket(AGENT), server).await.unwrap()
    }

    /// As [`World::session`], of that agent, and with a folder for files.
    pub async fn session_of(
        &self,
        name: &str,
        folder: Option<std::sync::Arc<claviger_agent::Folder>>,
    ) -> claviger_agent::Session {
        assert!(self.users.is_single(), "this process is not the agent's user");
        let server = claviger_proto::connect::Server::OwnerOfDirectory;
        claviger_agent::Session::open(&self.agent_socket(name), server).await.unwrap().with_folder(folder)
    }

    /// Starts `claviger-agent call --folder` as the agent of every world, and leaves it to the caller.
    #[must_use]
    pub fn begin_call(&self, tool: &str, args: &Value) -> tokio::process::Child {
        let mut command = self.users.command(Who::Agent, &binaries::path("claviger-agent"), self.base());
        command.env("CLAVIGER_AGENT_SOCKET", self.agent_socket(AGENT)).env("CLAVIGER_FOLDER", self.folder());
        command.args(["call", "--json", tool]).args(called::words(args));
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
        command.spawn().unwrap()
    }

    /// The process id of the vault.
    #[must_use]
    pub fn vault_pid(&self) -> u32 {
        self.vault.as_ref().expect("the vault runs").pid()
    }

    /// The process ids of the adapters: children of the vault, or of this test.
    #[must_use]
    pub fn adapter_pids(&self) -> Vec<u32> {
        if self.users.is_single() {
            return process::children(self.vault_pid());
        }
        self.adapters.iter().map(Program::pid).collect()
    }

    /// Starts the vault (again) and waits until it serves. `args` follow `up` or `serve`.
    pub async fn start_vault(&mut self, args: &[&str]) {
        self.start_vault_by(self.vault_command(args)).await;
    }

    /// As [`World::start_vault`], by a command that was made from [`World::vault_command`].
    pub async fn start_vault_by(&mut self, command: tokio::process::Command) {
        self.spawn_vault(command);
        self.wait_for_vault().await;
    }

    fn spawn_vault(&mut self, mut command: tokio::process::Command) {
        self.starts += 1;
        let log = self.base().join(format!("logs/vault-{}.log", self.starts));
        self.vault = Some(Program::start(&mut command, &log));
    }

    /// The command that starts the vault.
    #[must_use]
    pub fn vault_command(&self, args: &[&str]) -> tokio::process::Command {
        let mut command = self.users.command(Who::Vault, &binaries::path("claviger"), self.base());
        let verb = if self.users.is_single() { "up" } else { "serve" };
        command.arg("--home").arg(self.home()).arg(verb).args(args);
        command
    }

    async fn wait_for_vault(&mut self) {
        let socket = self.admin_socket();
        wait_for_socket(&socket, self.vault.as_mut().expect("it was started")).await;
    }

    /// The arguments that let the vault start unsealed.
    #[must_use]
    pub fn unsealed(&self) -> Vec<String> {
        vec!["--identity".to_owned(), self.identity().display().to_string()]
    }

    /// Starts the vault unsealed, and waits for the adapters.
    pub async fn start_unsealed(&mut self) {
        let args = self.unsealed();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.start_vault(&args).await;
        self.wait_for_adapters().await;
    }

    /// Waits until every registered adapter serves and has reached the vault.
    pub async fn wait_for_adapters(&mut self) {
        let vault = self.vault.as_mut().expect("the vault runs");
        let users = self.users.clone();
        let (base, run) = (self.dir.as_ref().unwrap().path().to_owned(), vault);
        for name in ADAPTERS {
            let socket = match users.is_single() {
                true => base.join(format!("home/run/mcp/{name}.sock")),
                false => base.join(format!("mcp-{name}/mcp.sock")),
            };
            wait_for_socket(&socket, run).await;
        }
    }

    /// Registers the adapter of a further service, and waits until it serves; only in a world of one user.
    pub async fn add_adapter(&self, name: &str) {
        self.admin(&["adapter", "add", name]).await;
        let socket = self.mcp_socket(name);
        let serves = async || tokio::net::UnixStream::connect(&socket).await.ok();
        let _ = self.eventually("the adapter serves", serves).await;
    }

    /// Kills the vault without a warning, and in a world of one user its adapters with it.
    pub async fn kill_vault(&mut self) {
        let children = process::children(self.vault_pid());
        self.kill_vault_alone().await;
        for child in children {
            process::kill(child);
        }
    }

    /// Kills the vault without a warning, and nothing else.
    pub async fn kill_vault_alone(&mut self) {
        self.vault.take().expect("the vault runs").kill().await;
    }

    /// Asks the vault to end, and returns how it did.
    pub async fn stop_vault(&mut self) -> std::process::ExitStatus {
        self.vault.take().expect("the vault runs").stop().await
    }

    /// What all programs have written to standard error so far.
    #[must_use]
    pub fn logs(&self) -> String {
        let mut all = String::new();
        for entry in std::fs::read_dir(self.base().join("logs")).unwrap() {
            all.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default());
        }
        all
    }

    /// Waits until `found` has something, and returns it.
    ///
    /// # Panics
    /// It takes longer than [`PATIENCE`].
    pub async fn eventually<T>(&self, what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
        let search = async {
            loop {
                if let Some(found) = found().await {
                    return found;
                }
                // Another process has to get there; it has no clock that could be put forward.
                #[allow(clippy::disallowed_methods, reason = "as said above")]
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, search).await.unwrap_or_else(|_| panic!("never: {what}"))
    }
}

impl World {
    /// Leaves everything of this world on the disk when it ends.
    pub fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(vault) = &self.vault {
            for child in process::children(vault.pid()) {
                process::kill(child);
            }
        }
        self.vault = None;
        self.adapters.clear();
        if (self.kept || std::thread::panicking())
            && let Some(dir) = self.dir.take()
        {
            let logs = self.starts;
            note(&format!("kept for a look, with {logs} logs of the vault: {}", dir.keep().display()));
        }
    }
}

/// Kills a process that a world started; one that has ended is left alone.
pub fn kill(pid: u32) {
    process::kill(pid);
}

/// Whether that process still runs; one that has ended and waits for its parent does not.
#[must_use]
pub fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state stands behind the name, which is in brackets.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// A line for whoever runs the tests.
#[allow(clippy::print_stderr, reason = "this is what the test runner shows")]
pub fn note(line: &str) {
    eprintln!("{line}");
}
