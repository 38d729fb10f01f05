//! The way to the vault's admin socket, and suggestions for names it does not know.

use std::path::{Path, PathBuf};

use claviger_proto::connect::{Server, connect};
use claviger_proto::v1::admin_service_client::AdminServiceClient;
use claviger_proto::v1::{ListAdaptersRequest, ListAgentsRequest, ListSecretsRequest, ListServicesRequest};
use tonic::Status;
use tonic::transport::Channel;

use super::failure::Failure;
use super::page::Page;
use super::world::World;
use crate::config::nearest::nearest;
use crate::config::{Config, ConfigError, MULTI_USER_RUN_DIR, env};

/// The longest answer that is taken, in bytes: a long stretch of the log with its details.
const MAX_ANSWER: usize = 64 << 20;

/// A client of the admin service.
pub(super) type Admin = AdminServiceClient<Channel>;

/// One run of the command line: the world, and the flags that go for every command.
pub(super) struct Session<'w> {
    /// The world.
    pub(super) world: &'w mut World,
    /// `--home`.
    pub(super) home: Option<PathBuf>,
    /// `--socket`.
    pub(super) socket: Option<PathBuf>,
}

impl Session<'_> {
    /// An empty page in this world's colours.
    pub(super) fn page(&self) -> Page {
        Page::new(self.world.colour)
    }

    /// The home directory that is meant.
    pub(super) fn home(&self) -> Result<PathBuf, Failure> {
        Ok(env::home(self.home.clone())?)
    }

    /// The configuration.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        Ok(Config::load(&self.home()?)?)
    }

    /// A connection to the vault, whose user was checked before a byte was sent.
    pub(super) async fn admin(&self) -> Result<Admin, Failure> {
        let (path, server) = self.admin_socket()?;
        let channel = connect(&path, server).await?;
        Ok(Admin::new(channel).max_decoding_message_size(MAX_ANSWER))
    }

    /// Which socket, and who must serve it.
    fn admin_socket(&self) -> Result<(PathBuf, Server), Failure> {
        if let Some(path) = &self.socket {
            return Ok((std::path::absolute(path)?, Server::OwnerOfDirectory));
        }
        let own = Server::Uid(rustix::process::geteuid().as_raw());
        match Config::load(&env::home(self.home.clone())?) {
            Ok(config) if config.single_user() => Ok((config.admin_socket(), own)),
            Ok(config) => Ok((config.admin_socket(), Server::OwnerOfDirectory)),
            // Admins of a multi-user vault are other users than the one whose home it has.
            Err(ConfigError::Missing { .. })
                if self.home.is_none() && !env::home_is_named() && is_system_vault() =>
            {
                Ok((system_socket(), Server::OwnerOfDirectory))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn system_socket() -> PathBuf {
    Path::new(MULTI_USER_RUN_DIR).join("admin.sock")
}

fn is_system_vault() -> bool {
    system_socket().exists()
}

/// A name that was typed and might be mistyped.
pub(super) enum Named<'a> {
    /// An agent's.
    Agent(&'a str),
    /// An adapter's.
    Adapter(&'a str),
    /// A secret's.
    Secret(&'a str),
    /// A service's.
    Service(&'a str),
    /// A tool's.
    Tool(&'a str),
}

/// The failure of a refused call; where one of the names is not known to the vault, with the name that was probably
/// meant, in place of the vault's list of all there are.
pub(super) async fn explained(admin: &mut Admin, status: Status, names: &[Named<'_>]) -> Failure {
    let mut failure = Failure::from(status);
    let asked = matches!(failure.class.as_deref(), Some("out-of-scope" | "not-granted" | "bad-arguments"));
    let lists = |hint: &String| hint.starts_with("there is only ") || hint.starts_with("there are ");
    if !asked || !failure.hints.iter().all(lists) {
        return failure;
    }
    let mut hints = Vec::new();
    for name in names {
        hints.extend(hint_for(admin, name).await);
    }
    let meant = hints.iter().any(|hint| hint.starts_with(MEANT));
    if meant || failure.hints.is_empty() {
        failure.hints = hints;
    }
    failure
}

/// How a suggestion begins.
const MEANT: &str = "did you mean ";

/// A line about a name that the vault does not know; `None` if it does.
pub(super) async fn hint_for(admin: &mut Admin, name: &Named<'_>) -> Option<String> {
    let (written, known, what, list): (&str, Vec<String>, &str, &str) = match name {
        Named::Agent(written) => {
            let agents = admin.list_agents(ListAgentsRequest {}).await.ok()?.into_inner().agents;
            (written, agents.into_iter().map(|agent| agent.name).collect(), "agent", "agent ls")
        }
        Named::Adapter(written) => {
            let adapters = admin.list_adapters(ListAdaptersRequest {}).await.ok()?.into_inner().adapters;
            (written, adapters.into_iter().map(|adapter| adapter.name).collect(), "adapter", "adapter ls")
        }
        Named::Secret(written) => {
            let secrets = admin.list_secrets(ListSecretsRequest {}).await.ok()?.into_inner().secrets;
            (written, secrets.into_iter().map(|secret| secret.name).collect(), "secret", "secret ls")
        }
        Named::Service(written) => (written, services(admin, false).await?, "service", "services"),
        Named::Tool(written) => {
            let known = services(admin, true).await?;
            // Where a service is named beside it, a tool may be written without one.
            if known.iter().any(|name| name.split_once('.').is_some_and(|(_, own)| own == *written)) {
                return None;
            }
            let near = |name: &String| name.split_once('.').map(|(_, own)| own.to_owned());
            let short =
                if written.contains('.') { Vec::new() } else { known.iter().filter_map(near).collect() };
            (written, [known, short].concat(), "tool", "services")
        }
    };
    unknown(written, &known, what, list)
}

async fn services(admin: &mut Admin, tools: bool) -> Option<Vec<String>> {
    let services = admin.list_services(ListServicesRequest {}).await.ok()?.into_inner().services;
    Some(match tools {
        false => services.into_iter().map(|service| service.id).collect(),
        true => services.into_iter().flat_map(|service| service.tools).map(|tool| tool.name).collect(),
    })
}

/// The line for a name that is not among the known ones; `None` if it is.
pub(super) fn unknown(written: &str, known: &[String], what: &str, list: &str) -> Option<String> {
    if known.iter().any(|name| name == written) {
        return None;
    }
    // A tool may be written without its service.
    let short = known.iter().find(|name| name.split_once('.').is_some_and(|(_, own)| own == written));
    let short = short.map(String::as_str);
    Some(match short.or_else(|| nearest(written, known.iter().map(String::as_str))) {
        Some(name) => format!("{MEANT}`{name}`?"),
        None => format!("there is no {what} `{written}`; `claviger {list}` lists them"),
    })
}
