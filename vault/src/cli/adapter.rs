//! `claviger adapter`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use claviger_proto::v1::{AddAdapterRequest, ListAdaptersRequest, RemoveAdapterRequest};
use serde_json::json;

use super::agent::uid_text;
use super::client::{Named, Session, explained};
use super::failure::Failure;
use super::json;
use super::report::Report;

/// `claviger adapter …`.
#[derive(Debug, Subcommand)]
pub(super) enum AdapterCommand {
    /// Register an adapter.
    Add(AddArgs),
    /// List adapters.
    Ls,
    /// Remove an adapter; its tools stop working.
    Rm(NameArgs),
}

/// Arguments of `adapter add`.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// The service whose tools it serves.
    name: String,
    /// The user it runs as (multi-user mode); no other peer may have it.
    #[arg(long, value_name = "N")]
    uid: Option<u32>,
    /// The socket on which it serves MCP, if not at the usual place.
    #[arg(long, value_name = "PATH")]
    endpoint: Option<PathBuf>,
}

/// An adapter's name.
#[derive(Debug, Args)]
pub(super) struct NameArgs {
    /// The adapter.
    name: String,
}

/// Runs `claviger adapter …`.
pub(super) async fn run(session: &mut Session<'_>, command: AdapterCommand) -> Result<Report, Failure> {
    match command {
        AdapterCommand::Add(args) => add(session, args).await,
        AdapterCommand::Ls => list(session).await,
        AdapterCommand::Rm(args) => remove(session, args).await,
    }
}

async fn add(session: &mut Session<'_>, args: AddArgs) -> Result<Report, Failure> {
    let AddArgs { name, uid, endpoint } = args;
    let endpoint = match endpoint {
        None => String::new(),
        Some(path) => std::path::absolute(path)?
            .into_os_string()
            .into_string()
            .map_err(|_| Failure::usage("the endpoint is not UTF-8 text"))?,
    };
    let mut admin = session.admin().await?;
    let adapter = match admin.add_adapter(AddAdapterRequest { name: name.clone(), uid, endpoint }).await {
        Ok(response) => response.into_inner(),
        Err(status) => return Err(explained(&mut admin, status, &[Named::Service(&name)]).await),
    };
    let mut page = session.page();
    page.line(format!("adapter {} is registered", adapter.name));
    page.fields(&[
        ("socket", adapter.socket.clone()),
        ("endpoint", adapter.endpoint.clone()),
        ("uid", uid_text(adapter.uid)),
    ]);
    page.line(format!("next: start `claviger-mcp {}`, or let `claviger up` do it", adapter.name));
    Ok(Report::new(json::adapter(&adapter), page))
}

async fn list(session: &mut Session<'_>) -> Result<Report, Failure> {
    let adapters = session.admin().await?.list_adapters(ListAdaptersRequest {}).await?.into_inner().adapters;
    let mut page = session.page();
    let rows: Vec<_> = adapters
        .iter()
        .map(|adapter| {
            vec![
                adapter.name.clone(),
                uid_text(adapter.uid),
                adapter.endpoint.clone(),
                adapter.socket.clone(),
            ]
        })
        .collect();
    page.table(
        &["name", "uid", "endpoint", "socket"],
        &rows,
        "no adapters; `claviger adapter add SERVICE` registers one",
    );
    Ok(Report::new(json!({ "adapters": adapters.iter().map(json::adapter).collect::<Vec<_>>() }), page))
}

async fn remove(session: &mut Session<'_>, args: NameArgs) -> Result<Report, Failure> {
    let NameArgs { name } = args;
    let mut admin = session.admin().await?;
    if let Err(status) = admin.remove_adapter(RemoveAdapterRequest { name: name.clone() }).await {
        return Err(explained(&mut admin, status, &[Named::Adapter(&name)]).await);
    }
    let mut page = session.page();
    page.line(format!("adapter {name} is removed; its tools no longer work"));
    Ok(Report::new(json!({ "removed": name }), page))
}
