//! The stage: a throw-away home, the processes that run in it, and commands whose output is shown as it is.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::{PATIENCE, say};
use crate::steps::now;

/// What the demo's vault is unlocked by. It guards nothing but the demo.
pub(super) const PASSPHRASE: &str = "correct horse battery staple";

/// The place and its processes; both go when it is dropped.
pub(super) struct Stage {
    directory: PathBuf,
    bin: PathBuf,
    google: Option<Child>,
    vault: Option<Child>,
    /// Origin, client and ids of the stand-in.
    pub(super) info: Value,
    kept: bool,
}

/// What a command came to.
pub(super) struct Shown {
    pub(super) code: i32,
    pub(super) text: String,
}

impl Stage {
    /// Makes the place and starts the stand-in.
    pub(super) fn set() -> anyhow::Result<Self> {
        let directory = std::env::temp_dir().join(format!("claviger-demo-{}", std::process::id()));
        fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
        let bin = release_directory()?;
        let mut stage = Self { directory, bin, google: None, vault: None, info: Value::Null, kept: false };
        say("Starting a stand-in for Google: not Google, and with an invented account.");
        let (ca, info) = (stage.path("google-ca.pem"), stage.path("google.json"));
        let google = stage
            .command("stand-in-google")
            .arg("--ca-out")
            .arg(&ca)
            .arg("--info-out")
            .arg(&info)
            .arg("--rotate-refresh")
            .stderr(stage.log("google.log")?)
            .spawn()?;
        stage.google = Some(google);
        wait("the stand-in", || info.exists())?;
        stage.info = serde_json::from_str(&fs::read_to_string(&info)?)?;
        Ok(stage)
    }

    /// A path in the place.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The vault's home.
    pub(super) fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// The socket of an agent.
    pub(super) fn agent_socket(&self, agent: &str) -> PathBuf {
        self.home().join("run/agents").join(format!("{agent}.sock"))
    }

    /// A text of the stand-in's description, by JSON pointer.
    pub(super) fn fact(&self, pointer: &str) -> anyhow::Result<String> {
        let fact = self.info.pointer(pointer).and_then(Value::as_str);
        Ok(fact.with_context(|| format!("the stand-in does not tell {pointer}"))?.to_owned())
    }

    /// Points a new vault at the stand-in: the same code as for Google, at another place with its own root.
    pub(super) fn configure(&self) -> anyhow::Result<()> {
        let origin = self.fact("/origin")?;
        let ca = self.path("google-ca.pem");
        let reach = format!("private = true\nca = \"{}\"\n", ca.display());
        let mut text = String::new();
        for service in ["gmail", "drive", "calendar"] {
            text.push_str(&format!("\n[service.{service}]\norigin = \"{origin}\"\n{reach}"));
        }
        text.push_str(&format!(
            "\n[provider.google]\nauthorize = \"{origin}/o/oauth2/v2/auth\"\ntoken = \"{origin}/token\"\n\
             revoke = \"{origin}/revoke\"\nuserinfo = \"{origin}/oauth2/v3/userinfo\"\n{reach}"
        ));
        let mut file = fs::OpenOptions::new().append(true).open(self.home().join("claviger.toml"))?;
        Ok(file.write_all(text.as_bytes())?)
    }

    /// Starts vault and adapters, and waits until they answer.
    pub(super) fn up(&mut self) -> anyhow::Result<()> {
        say("$ claviger up        # in the background; asks for the passphrase");
        let mut vault = self
            .command("claviger")
            .args(["up", "--passphrase-stdin"])
            .stdin(Stdio::piped())
            .stdout(self.log("vault.out")?)
            .stderr(self.log("vault.log")?)
            .spawn()?;
        if let Some(mut stdin) = vault.stdin.take() {
            writeln!(stdin, "{PASSPHRASE}")?;
        }
        self.vault = Some(vault);
        wait("the vault", || {
            let status = self.command("claviger").args(["--json", "status"]).stderr(Stdio::null()).output();
            status.is_ok_and(|status| {
                let value: Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
                value.get("sealed") == Some(&Value::Bool(false))
            })
        })
        .with_context(|| fs::read_to_string(self.path("vault.log")).unwrap_or_default())
    }

    /// Waits until an adapter listens.
    pub(super) fn wait_for_adapter(&self, name: &str) -> anyhow::Result<()> {
        let socket = self.home().join("run/mcp").join(format!("{name}.sock"));
        wait(name, || socket.exists())
            .with_context(|| fs::read_to_string(self.path("vault.log")).unwrap_or_default())
    }

    /// Shows a command line, runs it, and shows what it prints: at most `lines` lines of it, an empty one not counted
    /// nor shown, each cut where the screen ends. What is left out is said.
    pub(super) fn show(&self, line: &str, lines: usize) -> anyhow::Result<Shown> {
        say(&format!("$ {line}"));
        let shown = self.quiet(line)?;
        print(&shown.text, lines);
        Ok(shown)
    }

    /// Runs a command line of plain words and 'quoted ones' without showing it.
    pub(super) fn quiet(&self, line: &str) -> anyhow::Result<Shown> {
        let words = words(line);
        let (program, arguments) = words.split_first().context("an empty line")?;
        let output = self.command(program).args(arguments).stdin(Stdio::null()).output()?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(Shown { code: output.status.code().unwrap_or(-1), text })
    }

    /// As [`Stage::show`], and the command must succeed.
    pub(super) fn must(&self, line: &str, lines: usize) -> anyhow::Result<String> {
        let shown = self.show(line, lines)?;
        ensure!(shown.code == 0, "that command failed with exit code {}", shown.code);
        Ok(shown.text)
    }

    /// As [`Stage::show`], and the command must be refused. Returns the reference it names.
    pub(super) fn refused(&self, line: &str, class: &str) -> anyhow::Result<Option<String>> {
        let shown = self.show(line, 3)?;
        ensure!(shown.code == 1, "that command should be refused, but its exit code is {}", shown.code);
        ensure!(shown.text.contains(class), "that refusal should be of class {class}");
        let reference = shown.text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        Ok(reference.filter(|word| word.starts_with("ref_")).map(str::to_owned).next())
    }

    /// One of the programs, in this stage's environment and no other.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command
            .env_clear()
            .env("HOME", &self.directory)
            .env("CLAVIGER_HOME", self.home())
            .env("CLAVIGER_AGENT_SOCKET", self.agent_socket("openclaw"))
            .env("NO_COLOR", "1")
            .current_dir(&self.directory);
        command
    }

    /// Leaves everything running, and says how to go on.
    pub(super) fn keep(mut self) -> anyhow::Result<()> {
        self.kept = true;
        let entry = serde_json::json!({ "mcpServers": { "claviger": {
            "command": self.bin.join("claviger-agent"),
            "args": ["mcp"],
            "env": { "CLAVIGER_AGENT_SOCKET": self.agent_socket("openclaw") },
        }}});
        let pids: Vec<String> =
            [&self.vault, &self.google].into_iter().flatten().map(|child| child.id().to_string()).collect();
        say(&format!(
            "\nLeft running. Paste this into an MCP host:\n\n{}\n\nAdminister it with\n  export CLAVIGER_HOME={}\n  {} status\n\nEnd it with\n  kill {} && rm -r {}",
            serde_json::to_string_pretty(&entry)?,
            self.home().display(),
            self.bin.join("claviger").display(),
            pids.join(" "),
            self.directory.display(),
        ));
        Ok(())
    }

    fn log(&self, name: &str) -> anyhow::Result<File> {
        Ok(File::create(self.path(name))?)
    }

    /// The place itself.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        for child in [self.vault.take(), self.google.take()].into_iter().flatten() {
            end(child);
        }
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            say(&format!("{} stays behind: {error}", self.directory.display()));
        }
    }
}

/// How wide the screen is taken to be.
const WIDTH: usize = 108;

/// Prints the first lines of a text as a command's output.
pub(super) fn print(text: &str, lines: usize) {
    let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    for line in all.iter().take(lines) {
        let mut shown: String = line.chars().take(WIDTH).collect();
        if line.chars().count() > WIDTH {
            shown.push('…');
        }
        say(&format!("  {shown}"));
    }
    if all.len() > lines && lines > 1 {
        say(&format!("  … {} more lines", all.len() - lines));
    }
}

/// Asks a process to end, so that it can end its own children, and waits.
fn end(mut child: Child) {
    let asked =
        Command::new("kill").arg(child.id().to_string()).status().is_ok_and(|status| status.success());
    let started = now();
    while asked && started.elapsed() < PATIENCE {
        if let Ok(Some(_)) = child.try_wait() {
            return;
        }
        pause();
    }
    let _ = child.kill();
    let _ = child.wait();
}

pub(super) fn wait(what: &str, ready: impl Fn() -> bool) -> anyhow::Result<()> {
    let started = now();
    while !ready() {
        if started.elapsed() > PATIENCE {
            bail!("{what} did not come up");
        }
        pause();
    }
    Ok(())
}

#[allow(
    clippy::disallowed_methods,
    reason = "a process of another program is waited for; there is no clock to inject"
)]
fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(50));
}

/// Words at blanks; 'single quotes' keep blanks together.
fn words(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            match found.last_mut() {
                Some(last) if !line.split('\'').nth(at - 1).unwrap_or_default().ends_with(' ') => {
                    let last: &mut String = last;
                    last.push_str(part);
                }
                _ => found.push(part.to_owned()),
            }
        } else {
            found.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    found
}

/// Where the release programs are: beside this one's profile directory.
fn release_directory() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.parent().and_then(Path::parent).context("this program is in no target directory")?;
    Ok(target.join("release"))
}
