//! `claviger import`: what people have already, taken over. First a plan without values; then, with `--apply`, the deed.
//!
//! Reads a client's configuration, and the files it leads to; puts known credentials into the vault by the same call as
//! `secret add`; makes of a list of allowed actions the grants that mean the same; and takes the servers out that are
//! no longer needed. Values are never shown, nor anything of them.
//!
//! Deliberately absent: starting a server, following an address, reading a shell's history, and removing any copy.

mod allowed;
mod apply;
mod copies;
mod dotenv;
mod found;
mod google;
mod journal;
mod known;
mod lists;
mod plan;
mod reference;
mod servers;
mod show;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use claviger_domain::name::Account;
use claviger_proto::v1::{ListSecretsRequest, ListServicesRequest, Service};

use super::client::Session;
use super::client_install::{For, Held, Host, agent_of, parse};
use super::failure::Failure;
use super::limits::{self, Ends};
use super::report::Report;
use super::world::World;
use found::Reading;
use journal::Journal;
use plan::Given;

/// Arguments of `import`.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// What to read.
    #[arg(value_enum)]
    source: Source,
    /// The file; the usual one where left out.
    file: Option<PathBuf>,
    /// For which agent; may be left out where there is only one.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Do it. Without this it is only said what would be done.
    #[arg(long)]
    apply: bool,
    /// What the secrets are called after the slash.
    #[arg(long, default_value = "me", value_name = "NAME")]
    account: Account,
    /// The list of allowed actions; for mcporter, /etc/mcporter/allowed-actions.txt is read if it is there.
    #[arg(long, value_name = "FILE")]
    allowed: Option<PathBuf>,
    /// Grant what only reads, of servers of which no list says what is allowed.
    #[arg(long)]
    read: bool,
    /// What is in the vault under a secret's name already is the account that was found, and is used for it.
    #[arg(long)]
    use_existing: bool,
    /// Leave this server, or variable, as it is; can be repeated.
    #[arg(long, value_name = "SERVER")]
    keep: Vec<String>,
    /// How long the grants live, such as 30d, until when, such as 2027-01-31, or `never` for no end.
    #[arg(long, value_parser = limits::expires, default_value = "30d", value_name = "SPAN")]
    expires: Ends,
    /// Read the passphrase of the encrypted copy from the first line of stdin, where one is needed.
    #[arg(long)]
    passphrase_stdin: bool,
}

/// What can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Source {
    /// mcporter's configuration.
    Mcporter,
    /// A list of allowed actions, `server.tool` line by line: it becomes grants, and what is commented out is forbidden.
    AllowedActions,
    /// Claude Code's `.mcp.json`.
    Claude,
    /// OpenClaw's configuration.
    Openclaw,
    /// A file of variables, `.env`.
    Env,
}

/// Runs `claviger import`.
pub(super) async fn run(session: &mut Session<'_>, args: ImportArgs) -> Result<Report, Failure> {
    let ImportArgs {
        source,
        file,
        agent,
        apply,
        account,
        allowed,
        read,
        use_existing,
        keep,
        expires,
        passphrase_stdin,
    } = args;
    let mut admin = session.admin().await?;
    let agent = agent_of(&mut admin, agent.as_deref()).await?;
    let catalog = admin.list_services(ListServicesRequest {}).await?.into_inner().services;
    let secrets = admin.list_secrets(ListSecretsRequest {}).await?.into_inner().secrets;
    let reading = reading(session.world, &catalog, source, file, allowed)?;
    let account = account.to_string();
    let journal = match &reading.file {
        Some(held) => Journal::read(held.path())?,
        None => Journal::default(),
    };
    let given = Given { agent, catalog, secrets, account, keep, read, expires, use_existing, journal };
    let mut plan = plan::make(&given, &reading)?;
    plan.compare(&mut admin).await?;
    let done = match apply && !plan.is_done() {
        false => None,
        true => Some(apply::run(session, &mut admin, &plan, reading.file.as_ref(), passphrase_stdin).await?),
    };
    let file = reading.file.as_ref().map(|held| held.path().display().to_string()).unwrap_or_default();
    let mut page = session.page();
    show::page(&mut page, &given.agent.name, &file, &plan, done.as_ref());
    Ok(Report::new(show::as_json(&given.agent.name, &file, &plan, done.as_ref()), page))
}

/// Reads the source, and the list that goes with it.
fn reading(
    world: &World,
    catalog: &[Service],
    source: Source,
    file: Option<PathBuf>,
    list: Option<PathBuf>,
) -> Result<Reading, Failure> {
    let mut reading = Reading::default();
    let missing = |path: &Path| {
        Failure::new(format!("{} is not there", path.display()))
            .hint("name the file: claviger import SOURCE FILE")
    };
    let host = match source {
        Source::Mcporter => Some(Host::Mcporter),
        Source::Claude => Some(Host::ClaudeCode),
        Source::Openclaw => Some(Host::Openclaw),
        Source::Env | Source::AllowedActions => None,
    };
    let mut list = (list.clone(), list.is_some());
    match (source, host) {
        (_, Some(host)) => {
            let path = file.map_or_else(|| host.file(world), Ok)?;
            let held = Held::open(&path, For::Writing)?;
            if !held.exists() {
                return Err(missing(&path));
            }
            let root = parse(held.text()).map_err(|unfit| {
                Failure::new(format!("{} was not read: {unfit}", held.path().display())).hint(
                    "make a plain copy of it, import that with FILE, and take the servers out of it by hand",
                )
            })?;
            servers::read(&servers::Around { world, catalog }, &held, host, &root, &mut reading);
            (reading.file, reading.host) = (Some(held), Some(host));
            if host == Host::Mcporter && list.0.is_none() {
                list.0 = Some(PathBuf::from(allowed::FILE));
            }
        }
        (Source::Env, None) => {
            let held = Held::open(&file.unwrap_or_else(|| world.directory.join(".env")), For::Writing)?;
            if !held.exists() {
                return Err(missing(held.path()));
            }
            (reading.finds, reading.notes) = dotenv::finds(&held, catalog);
            reading.file = Some(held);
        }
        (_, None) => list = (Some(file.or(list.0).unwrap_or_else(|| PathBuf::from(allowed::FILE))), true),
    }
    let (Some(list), needed) = list else { return Ok(reading) };
    // The directory of the usual list is only there where somebody has one.
    if !needed && std::fs::symlink_metadata(&list).is_err() {
        return Ok(reading);
    }
    let allowed::List { lines, notes } = allowed::read(&list)?.ok_or_else(|| missing(&list))?;
    // A list is the whole word on what is allowed: what it does not name, it does not allow.
    for server in &mut reading.servers {
        server.limited = true;
    }
    reading.lines.extend(lines);
    reading.notes.extend(notes);
    Ok(reading)
}
