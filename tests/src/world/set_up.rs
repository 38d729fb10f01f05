//! How a world comes to be.

use std::path::Path;
use std::process::Stdio;

use stand_in_google::{Config, Seed, StandIn};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::process::Program;
use super::ran::Ran;
use super::users::{Users, Who};
use super::{ADAPTERS, AGENT, FURTHER, PATIENCE, World, process};
use crate::binaries;

/// What a world is made with.
pub struct Plan {
    /// Who runs as whom.
    pub users: Users,
    /// The upstream.
    pub google: Config,
    /// More lines of `[audit]` in the configuration.
    pub audit: String,
    /// Another upstream than the stand-in: the origin of everything, and the PEM of its authority.
    pub upstream: Option<(String, String)>,
    /// Services of the vault's own catalog, which it finds at the upstream: the id and the file of each.
    pub services: Vec<(&'static str, &'static str)>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            users: Users::single(),
            google: Config { seed: Seed::demo(), ..Config::default() },
            audit: String::new(),
            upstream: None,
            services: Vec::new(),
        }
    }
}

impl World {
    /// Makes a vault, starts it, registers the agent and the adapters.
    pub async fn start(plan: Plan) -> Self {
        let mut world = Self::lay_out(plan).await;
        world.start_vault_unsealed_only().await;
        world.register().await;
        world
    }

    async fn start_vault_unsealed_only(&mut self) {
        let args = self.unsealed();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.start_vault(&args).await;
    }

    /// A vault on the disk and its upstream; nothing runs yet.
    pub async fn lay_out(plan: Plan) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let Plan { users, google, audit, upstream, services } = plan;
        let google = StandIn::start(google).await.unwrap();
        // A short path: a socket's whole path has at most 107 bytes.
        let dir = tempfile::Builder::new().prefix("clv").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let base = dir.path().to_owned();
        let own = || (google.origin().to_owned(), google.ca_pem().to_owned());
        let (origin, ca) = upstream.unwrap_or_else(own);
        std::fs::write(base.join("ca.pem"), ca).unwrap();
        std::fs::create_dir(base.join("logs")).unwrap();
        users.make_dir(Who::Vault, &base.join("home"), 0o700);
        users.make_dir(Who::Vault, &base.join("keys"), 0o700);
        if !users.is_single() {
            users.make_dir(Who::Vault, &base.join("run"), 0o755);
            for name in ADAPTERS {
                users.make_dir(Users::adapter(name), &base.join(format!("mcp-{name}")), 0o755);
            }
        }
        let world =
            Self { dir: Some(dir), google, users, vault: None, adapters: Vec::new(), starts: 0, kept: false };
        world.init().await;
        world.own_services(&services);
        world.configure(&origin, &audit, &services);
        world
    }

    async fn init(&self) {
        let mut command = self.users.command(Who::Vault, &binaries::path("claviger"), self.base());
        command.arg("--home").arg(self.home()).arg("init");
        if !self.users.is_single() {
            let admin = self.users.uid(Who::Admin).to_string();
            command.args(["--multi-user", "--admin-uid", &admin]).arg("--run-dir").arg(self.run_dir());
        }
        command.arg("--daily-identity-out").arg(self.identity()).arg("--allow-key-on-disk");
        command.arg("--recovery-out").arg(self.recovery());
        let _ = Ran::of(&mut command, "").await.success();
    }

    fn own_services(&self, services: &[(&str, &str)]) {
        let folder = self.home().join("services");
        for (id, text) in services {
            std::fs::write(folder.join(format!("{id}.toml")), text).unwrap();
        }
    }

    /// Points the vault at the upstream.
    fn configure(&self, origin: &str, audit: &str, services: &[(&str, &str)]) {
        let file = self.home().join("claviger.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let ca = self.base().join("ca.pem").display().to_string();
        let text = text.replacen("[audit]\n", &format!("[audit]\n{audit}\n"), 1);
        let place = format!("private = true\nca = \"{ca}\"\n");
        let mut text = format!("{text}\n");
        let own = services.iter().map(|(id, _)| id);
        for service in ADAPTERS.iter().chain(&FURTHER).chain(own) {
            text.push_str(&format!("[service.{service}]\norigin = \"{origin}\"\n{place}\n"));
        }
        text.push_str(&format!(
            "[provider.google]\nauthorize = \"{origin}/o/oauth2/v2/auth\"\ntoken = \"{origin}/token\"\n\
             revoke = \"{origin}/revoke\"\nuserinfo = \"{origin}/oauth2/v3/userinfo\"\n{place}"
        ));
        // Written over, so that the file stays its owner's.
        std::fs::write(&file, text).unwrap();
    }

    async fn register(&mut self) {
        let uid = |who: Who| self.users.uid(who).to_string();
        let single = self.users.is_single();
        let (agent, other) = (uid(Who::Agent), uid(Who::Other));
        for (name, uid) in [(AGENT, &agent), ("other", &other)] {
            let line = ["agent", "add", name, "--uid", uid];
            self.admin(if single { &line[..3] } else { &line }).await;
        }
        for name in ADAPTERS {
            let (uid, endpoint) = (uid(Users::adapter(name)), self.mcp_socket(name).display().to_string());
            let line = ["adapter", "add", name, "--uid", &uid, "--endpoint", &endpoint];
            self.admin(if single { &line[..3] } else { &line }).await;
        }
        if !single {
            self.start_adapters();
        }
        self.wait_for_adapters().await;
    }

    /// Starts the adapters as users of their own.
    fn start_adapters(&mut self) {
        for name in ADAPTERS {
            let program = binaries::path("claviger-mcp");
            let mut command = self.users.command(Users::adapter(name), &program, self.base());
            command.arg(name).arg("--vault-socket").arg(self.adapter_socket(name));
            command.arg("--endpoint").arg(self.mcp_socket(name));
            let log = self.base().join(format!("logs/{name}.log"));
            self.adapters.push(Program::start(&mut command, &log));
        }
    }

    /// Stores `gmail/me` and `drive/me` by refresh tokens that the stand-in gave out; returns the two tokens.
    pub async fn add_secrets(&self) -> [String; 2] {
        let gmail = self.google.direct_refresh_token(&["gmail.modify", "gmail.send"]);
        let drive = self.google.direct_refresh_token(&["drive", "drive.readonly"]);
        for (name, token) in [("gmail/me", &gmail), ("drive/me", &drive)] {
            self.add_secret(name, token).await;
        }
        [gmail, drive]
    }

    /// Stores a secret by its refresh token.
    pub async fn add_secret(&self, name: &str, token: &str) {
        self.add_secret_of((self.google.client_id(), self.google.client_secret()), name, token).await;
    }

    /// As [`World::add_secret`], of another OAuth client: its id and its secret.
    pub async fn add_secret_of(&self, client: (&str, &str), name: &str, token: &str) {
        let line = ["secret", "add", name, "--kind", "oauth2", "--client-id", client.0, "--stdin"];
        let values = format!("{}\n{token}\n", client.1);
        let _ = self.claviger_with(&line, &values).await.success();
    }

    /// Connects an account by the whole OAuth dance, with a browser that agrees to everything. `paste`: as on a machine
    /// without a browser, the address is copied instead of opened.
    pub async fn connect(&self, name: &str, more: &[&str], paste: bool) -> Ran {
        let mut command = self.users.command(Who::Admin, &binaries::path("claviger"), self.base());
        if self.users.is_single() {
            command.arg("--home").arg(self.home());
        } else {
            command.arg("--socket").arg(self.admin_socket());
        }
        command.args(["--json", "connect", name, "--no-browser"]).args(more);
        if !more.contains(&"--renew") {
            command.args(["--client-id", self.google.client_id(), "--stdin"]);
        }
        let line = format!("{:?}", command.as_std());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        if !more.contains(&"--renew") {
            stdin.write_all(format!("{}\n", self.google.client_secret()).as_bytes()).await.unwrap();
        }
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        while let Some(line) = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap() {
            said.push_str(&line);
            said.push('\n');
            let Some(address) = line.trim().strip_prefix("https://") else { continue };
            let address = format!("https://{address}");
            let back = self.browse(&address, paste).await;
            if paste {
                stdin.write_all(format!("{}\n", back.trim()).as_bytes()).await.unwrap();
            }
        }
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
        drop(stdin);
        Ran {
            line,
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: said,
        }
    }

    /// Does in a login what the owner's browser does.
    async fn browse(&self, address: &str, print: bool) -> String {
        let mut browser = tokio::process::Command::new(binaries::path("stand-in-browser"));
        browser.arg("--ca").arg(self.base().join("ca.pem")).arg(address);
        if print {
            browser.arg("--print");
        }
        let ran = Ran::of(&mut browser, "").await;
        // A login that is refused has its way back, too; what it means is the other program's to say.
        ran.out
    }

    /// Makes a grant; returns it.
    pub async fn grant(&self, args: &[&str]) -> serde_json::Value {
        let line: Vec<&str> = ["grant", "add"].iter().chain(args).copied().collect();
        self.admin(&line).await
    }

    /// The grants of the story: mails under the label `AI` to read and to label, mails to `example.com` to send, files
    /// of the folder `Agent` to read and to make.
    pub async fn usual_grants(&self) -> Vec<serde_json::Value> {
        let lines: [&[&str]; 4] = [
            &[AGENT, "gmail/me", "--read", "--write", "--label", "AI"],
            &[
                AGENT,
                "gmail/me",
                "--tool",
                "gmail.send_message",
                "--recipients",
                "*@example.com",
                "--approve",
                "never",
            ],
            &[AGENT, "drive/me", "--read", "--folder", "Agent"],
            &[AGENT, "drive/me", "--tool", "drive.create_file", "--folder", "Agent", "--approve", "never"],
        ];
        let mut grants = Vec::new();
        for line in lines {
            grants.push(self.grant(line).await);
        }
        grants
    }

    /// Runs a second vault on the same home, to its end.
    pub async fn second_vault(&self, home: &Path) -> Ran {
        let mut command = self.users.command(Who::Vault, &binaries::path("claviger"), self.base());
        command.arg("--home").arg(home).arg("serve").arg("--identity").arg(self.identity());
        Ran::of(&mut command, "").await
    }

    /// Kills the adapters of a world of one user, which are children of the vault.
    pub fn kill_children_of_vault(&self) {
        for child in process::children(self.vault_pid()) {
            process::kill(child);
        }
    }
}
