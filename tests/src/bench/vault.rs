//! A throw-away vault run by the real program, with one agent, one adapter and one OAuth secret.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use claviger_agent::Session;
use claviger_canonical::Canonical;
use claviger_proto::connect::{Server, connect};
use claviger_proto::v1;
use claviger_proto::v1::adapter_service_client::AdapterServiceClient;
use claviger_proto::v1::admin_service_client::AdminServiceClient;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tonic::transport::Channel;

use super::instructions::callgrind;
use super::load::pause;
use super::program::{Program, beside};
use super::upstream::{MESSAGE, Upstream};

/// The tool that is called, as hosts see it, and its one step.
const TOOL: &str = "gmail_get_message";
const STEP: &str = "get";
/// How often, and how many times, a program is asked whether it is there.
const PATIENCE: (Duration, usize) = (Duration::from_millis(25), 2400);

/// A vault that runs, unsealed.
pub(crate) struct Vault {
    program: Program,
    admin: AdminServiceClient<Channel>,
    session: Session,
    agent_socket: PathBuf,
    adapter_socket: PathBuf,
    endpoint: PathBuf,
    adapter: AdapterServiceClient<Channel>,
    arguments: Canonical,
    /// Where its audit log is.
    pub(crate) audit: PathBuf,
}

/// Presentations made ahead, so that signing them is not measured with the vault.
pub(crate) struct Signed {
    adapter: AdapterServiceClient<Channel>,
    arguments: Vec<u8>,
    presentations: Vec<String>,
}

impl Vault {
    /// Makes one in `home` with its audit log in `audit` and its sockets in `run`, starts and unseals it, and gives an
    /// agent one tool.
    ///
    /// # Errors
    /// Any step that failed.
    pub(crate) async fn start(
        home: &Path,
        audit: &Path,
        run: &Path,
        upstream: &Upstream,
    ) -> anyhow::Result<Self> {
        Self::start_under(None, home, audit, run, upstream).await
    }

    /// The same; where a file is named, its instructions are counted, and the counts go into that file when it ends.
    ///
    /// # Errors
    /// As there; or there is no valgrind where the system has its programs (`apt install valgrind`).
    pub(crate) async fn start_under(
        counts: Option<&Path>,
        home: &Path,
        audit: &Path,
        run: &Path,
        upstream: &Upstream,
    ) -> anyhow::Result<Self> {
        let program = beside("claviger")?;
        let identity = home.with_extension("identity");
        init(&program, home, &identity).await?;
        std::fs::write(home.with_extension("pem"), &upstream.authority)?;
        std::fs::write(home.join("claviger.toml"), configuration(home, audit, run, upstream))?;
        let mut serve = match counts {
            None => Command::new(&program),
            Some(out) => {
                let mut valgrind = Command::new("valgrind");
                valgrind.args(callgrind(out)).arg(&program);
                valgrind
            }
        };
        serve.arg("--home").arg(home).arg("serve").arg("--identity").arg(&identity);
        let program = Program::start(&mut serve)?;

        let mut admin = AdminServiceClient::new(reach(&run.join("admin.sock")).await?);
        let status = admin.status(v1::StatusRequest {}).await?.into_inner();
        anyhow::ensure!(!status.sealed, "the vault is sealed");
        let agent = v1::AddAgentRequest { name: "bench".to_owned(), ..v1::AddAgentRequest::default() };
        let agent_socket = PathBuf::from(admin.add_agent(agent).await?.into_inner().socket);
        let adapter = v1::AddAdapterRequest { name: "gmail".to_owned(), ..v1::AddAdapterRequest::default() };
        let v1::Adapter { socket, endpoint, .. } = admin.add_adapter(adapter).await?.into_inner();
        let oauth = v1::Oauth2Value {
            client_id: "bench".to_owned(),
            client_secret: "bench-client-secret".to_owned(),
            refresh_token: "bench-refresh-token-0123456789".to_owned(),
        };
        let value = v1::SecretValue { kind: Some(v1::secret_value::Kind::Oauth2(oauth)) };
        admin.add_secret(v1::AddSecretRequest { name: "gmail/me".to_owned(), value: Some(value) }).await?;
        let grant = v1::AddGrantRequest {
            agent: "bench".to_owned(),
            secret: "gmail/me".to_owned(),
            tools: vec!["gmail.get_message".to_owned()],
            ..v1::AddGrantRequest::default()
        };
        admin.add_grant(grant).await?;

        let adapter_socket = PathBuf::from(socket);
        let adapter = AdapterServiceClient::new(reach(&adapter_socket).await?);
        reach(&agent_socket).await?;
        let session = Session::open(&agent_socket, Server::OwnerOfDirectory).await?;
        let arguments = Canonical::from_json(&json!({ "message_id": MESSAGE }))?;
        Ok(Self {
            program,
            admin,
            session,
            agent_socket,
            adapter_socket,
            endpoint: PathBuf::from(endpoint),
            adapter,
            arguments,
            audit: audit.to_owned(),
        })
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.program.id
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// It failed.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        let status = self.program.child.wait().await?;
        anyhow::ensure!(status.success(), "the vault ended with {status}");
        Ok(())
    }

    /// Signs `count` presentations of the same call. They are good for 30 seconds.
    ///
    /// # Errors
    /// No random numbers.
    pub(crate) fn sign(&self, count: usize) -> anyhow::Result<Signed> {
        let sign = |_| anyhow::Ok(self.session.present(TOOL, &self.arguments)?.into_text());
        Ok(Signed {
            adapter: self.adapter.clone(),
            arguments: self.arguments.bytes().to_vec(),
            presentations: (0..count).map(sign).collect::<anyhow::Result<_>>()?,
        })
    }

    /// One whole tool call: the agent's library, the adapter over MCP, the vault, the upstream.
    ///
    /// # Errors
    /// The call was refused or lost.
    pub(crate) async fn call(&self) -> anyhow::Result<()> {
        let serde_json::Value::Object(arguments) = json!({ "message_id": MESSAGE }) else { return Ok(()) };
        match self.session.call(TOOL, arguments).await? {
            claviger_agent::CallOutcome::Answered(_) => Ok(()),
            claviger_agent::CallOutcome::Refused(refusal) => anyhow::bail!("refused: {refusal:?}"),
        }
    }

    /// How long the newest uses took from their durable intent to their outcome, as the audit log has it, in
    /// microseconds; at most `limit`.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) async fn uses(&self, limit: usize) -> anyhow::Result<Vec<f64>> {
        // Three events a call: minted, intent, outcome.
        let limit = u32::try_from(limit * 3)?;
        let request = v1::ReadLogRequest { limit, ..v1::ReadLogRequest::default() };
        let events = self.admin.clone().read_log(request).await?.into_inner().events;
        let outcomes = events.iter().filter(|event| event.kind == "outcome" && event.micros > 0);
        Ok(outcomes.map(|event| event.micros as f64).collect())
    }

    /// Starts the real adapter, and waits until it serves.
    ///
    /// # Errors
    /// It does not come up.
    pub(crate) async fn adapter(&self) -> anyhow::Result<Program> {
        let mut command = Command::new(beside("claviger-mcp")?);
        command.arg("gmail").arg("--vault-socket").arg(&self.adapter_socket);
        command.arg("--endpoint").arg(&self.endpoint).args(["--single-user", "--log", "error"]);
        let program = Program::start(&mut command)?;
        for _ in 0..PATIENCE.1 {
            if self.endpoint.exists() && self.call().await.is_ok() {
                return Ok(program);
            }
            pause(PATIENCE.0).await;
        }
        anyhow::bail!("the adapter does not serve")
    }

    /// Starts the agent's MCP server, and speaks with it as a host does, until it has listed its tools.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) async fn agent(&self) -> anyhow::Result<Program> {
        let mut command = Command::new(beside("claviger-agent")?);
        command.arg("--socket").arg(&self.agent_socket).args(["--log", "error", "mcp"]);
        let mut program = Program::start(&mut command)?;
        let mut input = program.child.stdin.take().context("it has no input")?;
        let mut output = BufReader::new(program.child.stdout.take().context("it has no output")?);
        let lines = [
            json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
                "protocolVersion": "2025-11-25", "capabilities": {},
                "clientInfo": {"name": "bench", "version": "1"}}}),
            json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
            json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}),
        ];
        for line in lines {
            input.write_all(format!("{line}\n").as_bytes()).await?;
        }
        let mut answer = String::new();
        while !answer.contains(r#""id":2"#) {
            answer.clear();
            anyhow::ensure!(output.read_line(&mut answer).await? > 0, "the agent's server ended");
        }
        // It ends when its input does.
        program.child.stdin = Some(input);
        program.child.stdout = Some(output.into_inner());
        Ok(program)
    }
}

impl Signed {
    /// The client that would use them.
    fn client(&self) -> AdapterServiceClient<Channel> {
        self.adapter.clone()
    }

    /// Mints with the presentation of that number.
    ///
    /// # Errors
    /// A refusal.
    pub(crate) async fn mint(&self, number: usize) -> anyhow::Result<Vec<u8>> {
        let presentation = self.presentations.get(number).context("too few presentations")?.clone();
        let request = v1::MintRequest { presentation, arguments: self.arguments.clone() };
        Ok(self.client().mint(request).await.map_err(refused)?.into_inner().capability)
    }

    /// Sends the one step.
    ///
    /// # Errors
    /// A refusal, or another answer than the mail.
    pub(crate) async fn send(&self, capability: Vec<u8>) -> anyhow::Result<()> {
        let request =
            v1::SendRequest { capability, step: STEP.to_owned(), params: std::collections::HashMap::new() };
        let sent = self.client().send(request).await.map_err(refused)?.into_inner();
        anyhow::ensure!(sent.status == 200 && sent.body.len() > 1000, "the vault answered {}", sent.status);
        Ok(())
    }

    /// Mints and sends.
    ///
    /// # Errors
    /// As those.
    pub(crate) async fn both(&self, number: usize) -> anyhow::Result<()> {
        let capability = self.mint(number).await?;
        self.send(capability).await
    }
}

fn refused(status: tonic::Status) -> anyhow::Error {
    match claviger_proto::refusal::from_status(&status) {
        Some(refusal) => anyhow::anyhow!("refused: {} {}", refusal.class, refusal.field),
        None => status.into(),
    }
}

/// A channel to a socket that is about to be there.
async fn reach(socket: &Path) -> anyhow::Result<Channel> {
    let mut tries = 0;
    loop {
        match connect(socket, Server::OwnerOfDirectory).await {
            Ok(channel) => return Ok(channel),
            Err(fault) if tries >= PATIENCE.1 => return Err(fault).context("the vault does not serve"),
            Err(_) => tries += 1,
        }
        pause(PATIENCE.0).await;
    }
}

async fn init(program: &Path, home: &Path, identity: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command.arg("--home").arg(home).args(["init", "--single-user", "--allow-key-on-disk"]);
    command.arg("--daily-identity-out").arg(identity);
    command.arg("--recovery-out").arg(home.with_extension("recovery"));
    let output = command.env_clear().stdin(Stdio::null()).output().await?;
    anyhow::ensure!(
        output.status.success(),
        "claviger init: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

fn configuration(home: &Path, audit: &Path, run: &Path, upstream: &Upstream) -> String {
    let origin = format!("https://{}", upstream.address);
    let ca = home.with_extension("pem");
    format!(
        r#"mode = "single-user"
run-dir = {run:?}
allow-key-on-disk = true
log = "warn"

[audit]
dir = {audit:?}
max-bytes = "256 MiB"
segment-bytes = "64 MiB"

[service.gmail]
origin = "{origin}"
private = true
ca = {ca:?}

[provider.google]
authorize = "{origin}/authorize"
token = "{origin}/token"
userinfo = "{origin}/userinfo"
private = true
ca = {ca:?}
"#
    )
}
