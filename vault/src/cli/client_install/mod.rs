//! `claviger client install`: one entry in the configuration of an MCP host, and no secret in it.

mod held;
mod host;
mod json_text;
mod ordered;
mod toml_text;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use claviger_proto::v1::{Agent, ListAgentsRequest};
use serde_json::{Value, json};

use super::client::{Admin, Named, Session, hint_for};
use super::failure::Failure;
use super::page::{Page, Tone};
use super::report::Report;
pub(super) use held::{For, Held, write_new};
pub(super) use host::{Entry, Host, NAME};
pub(super) use json_text::{Unfit, parse, take};

/// `claviger client …`.
#[derive(Debug, Subcommand)]
pub(super) enum ClientCommand {
    /// Put one entry for an agent into the configuration of an MCP host. It holds no secret.
    Install(InstallArgs),
}

/// Arguments of `client install`.
#[derive(Debug, Args)]
pub(super) struct InstallArgs {
    /// Which host.
    #[arg(value_enum)]
    host: Host,
    /// For which agent; may be left out where there is only one.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Another file than the host's usual one.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Show the entry and where it goes; change nothing.
    #[arg(long)]
    print: bool,
    /// Replace another entry that has our name.
    #[arg(long, conflicts_with = "print")]
    replace: bool,
}

/// Runs `claviger client …`.
pub(super) async fn run(session: &mut Session<'_>, command: ClientCommand) -> Result<Report, Failure> {
    match command {
        ClientCommand::Install(args) => install(session, args).await,
    }
}

async fn install(session: &mut Session<'_>, args: InstallArgs) -> Result<Report, Failure> {
    let InstallArgs { host, agent, file, print, replace } = args;
    let agent = agent_of(&mut session.admin().await?, agent.as_deref()).await?;
    let entry = entry_of(&agent)?;
    let named = file.is_some();
    let path = match file {
        Some(file) => file,
        None => host.file(session.world)?,
    };
    let told = Told { host, agent: &agent.name, entry: &entry, path: &path };
    if print {
        return Ok(told.by_hand(session.page(), &[]));
    }
    // What this user's host reads is of no use to an agent that is another user.
    let own = rustix::process::geteuid().as_raw();
    if let Some(uid) = agent.uid.filter(|uid| *uid != own && !named) {
        let why = format!("{} runs as uid {uid}: its host reads that user's files, not yours", agent.name);
        let into = "put this into that user's file, or name a file of yours with --file".to_owned();
        return Ok(told.by_hand(session.page(), &[why, into]));
    }
    let held = Held::open(&path, For::Writing)?;
    let unfit = |unfit: Unfit| {
        let mut failure = Failure::new(format!("{} was not touched: {unfit}", held.path().display()));
        failure.hints.push(format!("put this under {} by hand:", host.path().join(".")));
        failure.hints.extend(host.alone(&entry).lines().map(|line| format!("  {line}")));
        failure
    };
    match host.there(held.text()).map_err(unfit)? {
        Some(there) if there == entry.value() => {
            return Ok(told.done(session.page(), false));
        }
        Some(there) if !replace => {
            let mut page = Page::new(false);
            page.line(format!("{} has another entry called {NAME}:", held.path().display()));
            page.fields(&host::outline(&there));
            page.into_text().lines().for_each(|line| session.world.note(line));
            return Err(Failure::new(format!("another entry is called {NAME} there"))
                .hint("it was left alone; --replace puts ours in its place"));
        }
        _ => {}
    }
    let text = host.with(held.text(), &entry).map_err(unfit)?;
    held.write(&text)?;
    Ok(told.done(session.page(), true))
}

/// The agent that is meant: the one that is named, or the only one.
pub(super) async fn agent_of(admin: &mut Admin, name: Option<&str>) -> Result<Agent, Failure> {
    let mut agents = admin.list_agents(ListAgentsRequest {}).await?.into_inner().agents;
    let Some(name) = name else {
        return match agents.len() {
            0 => Err(Failure::usage("there is no agent yet").hint("`claviger agent add NAME` registers one")),
            1 => Ok(agents.remove(0)),
            _ => {
                let names: Vec<_> = agents.iter().map(|agent| agent.name.as_str()).collect();
                Err(Failure::usage(format!("there are several agents: {}", names.join(", ")))
                    .hint("say which with --agent NAME"))
            }
        };
    };
    if let Some(at) = agents.iter().position(|agent| agent.name == name) {
        return Ok(agents.remove(at));
    }
    let hint = hint_for(admin, &Named::Agent(name)).await.unwrap_or_default();
    Err(Failure::usage(format!("there is no agent `{name}`")).hint(hint))
}

/// The entry for that agent.
pub(super) fn entry_of(agent: &Agent) -> Result<Entry, Failure> {
    Entry::new(&agent.name, &agent.socket)
}

/// What is told of an installation.
struct Told<'t> {
    host: Host,
    agent: &'t str,
    entry: &'t Entry,
    path: &'t std::path::Path,
}

impl Told<'_> {
    /// The entry, for whoever puts it in.
    fn by_hand(&self, mut page: Page, notes: &[String]) -> Report {
        for note in notes {
            page.toned(Tone::Alarm, format!("note: {note}"));
        }
        page.line(format!(
            "{} reads this in {}, among whatever else is there:",
            self.host.title(),
            self.path.display()
        ));
        page.gap();
        self.host.alone(self.entry).lines().for_each(|line| page.line(line));
        page.gap();
        page.line("nothing was changed; there is no secret in it");
        Report::new(self.json(false), page)
    }

    fn done(&self, mut page: Page, changed: bool) -> Report {
        let path = self.path.display();
        if changed {
            page.toned(Tone::Good, format!("{path} has an entry {NAME} now, for the agent {}", self.agent));
        } else {
            page.line(format!("{path} has that entry already, for the agent {}: nothing to do", self.agent));
        }
        page.fields(&[("host", self.host.title().to_owned()), ("socket", self.entry.socket().to_owned())]);
        page.line("there is no secret in it; the host reads it when it starts anew");
        page.line(format!("next: claviger grant ls --agent {}", self.agent));
        Report::new(self.json(changed), page)
    }

    fn json(&self, changed: bool) -> Value {
        json!({
            "host": self.host.title(), "agent": self.agent, "file": self.path.to_string_lossy(),
            "under": self.host.path(), "name": NAME, "entry": self.entry.value(), "changed": changed,
        })
    }
}
