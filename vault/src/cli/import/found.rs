//! What a source holds: secrets, servers, and what is said to be allowed. Values are held apart, and are never shown.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use claviger_proto::v1::secret_value::Kind;
use claviger_proto::v1::{Oauth2Value, SecretValue};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::super::client_install::{Held, Host};
use super::super::entry;
use super::super::failure::Failure;

/// The longest name of a stranger's that is shown whole, in characters.
const LONGEST: usize = 80;

/// A credential on its way from a file into the vault.
pub(super) enum Value {
    /// A token.
    Bearer(SecretString),
    /// An OAuth client with a refresh token.
    Oauth2 {
        /// The client's id, which is no secret.
        client_id: String,
        /// Its secret.
        client_secret: SecretString,
        /// The token.
        refresh_token: SecretString,
    },
}

impl Value {
    /// Whether the other is the same credential.
    pub(super) fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Bearer(one), Value::Bearer(two)) => same(one, two),
            (Value::Oauth2 { refresh_token: one, .. }, Value::Oauth2 { refresh_token: two, .. }) => {
                same(one, two)
            }
            _ => false,
        }
    }

    /// Whether it can be a credential at all.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self {
            Value::Bearer(token) => entry::check(token, "token"),
            Value::Oauth2 { client_id, client_secret, refresh_token } => {
                entry::check(&client_id.as_str().into(), "client id")?;
                entry::check(client_secret, "client secret")?;
                entry::check(refresh_token, "refresh token")
            }
        }
    }

    /// For the request to the vault.
    pub(super) fn message(&self) -> SecretValue {
        let kind = match self {
            Value::Bearer(token) => Kind::Bearer(entry::into_message(token)),
            Value::Oauth2 { client_id, client_secret, refresh_token } => Kind::Oauth2(Oauth2Value {
                client_id: client_id.clone(),
                client_secret: entry::into_message(client_secret),
                refresh_token: entry::into_message(refresh_token),
            }),
        };
        SecretValue { kind: Some(kind) }
    }
}

fn same(one: &SecretString, two: &SecretString) -> bool {
    // EXPOSE: compared in constant time.
    one.expose_secret().as_bytes().ct_eq(two.expose_secret().as_bytes()).into()
}

/// Where a secret was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In a file.
    File(PathBuf),
    /// In a variable of the environment that a file refers to.
    Environment,
}

impl Place {
    /// For people.
    pub(super) fn text(&self) -> String {
        match self {
            Place::File(path) => path.display().to_string(),
            Place::Environment => "environment".to_owned(),
        }
    }
}

/// A secret that was found.
pub(super) struct Find {
    /// Where.
    pub(super) place: Place,
    /// Under which name there.
    pub(super) key: String,
    /// What kind of credential it is.
    pub(super) kind: &'static str,
    /// Of which server of the source; empty for none.
    pub(super) server: String,
    /// What it is good for.
    pub(super) fit: Fit,
    /// The other files that it was read from.
    pub(super) also: Vec<PathBuf>,
}

/// What a secret is good for.
pub(super) enum Fit {
    /// For the services of its server.
    Offered(Rc<Value>),
    /// For a service of the catalog that is known only by its name in the catalog.
    Named(String, Rc<Value>),
    /// It stays where it is, because.
    Left(String),
}

impl Find {
    /// One that stays, with the reason.
    pub(super) fn left(
        place: Place,
        key: &str,
        kind: &'static str,
        server: &str,
        why: impl Into<String>,
    ) -> Self {
        let server = server.to_owned();
        Self { place, key: shown(key), kind, server, fit: Fit::Left(why.into()), also: Vec::new() }
    }
}

/// An MCP server of the source.
pub(super) struct Server {
    /// Its name there.
    pub(super) name: String,
    /// Which of those that are known it is.
    pub(super) known: Option<&'static super::known::Known>,
    /// Why its credential was not found, where it was not.
    pub(super) missing: Option<String>,
    /// Whether it is reached by an address.
    pub(super) remote: bool,
    /// Whether it has a list of its own of what is allowed, which may be empty.
    pub(super) limited: bool,
}

/// A line of a list of what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// The server's name.
    pub(super) server: String,
    /// The tool's, as the server calls it.
    pub(super) tool: String,
    /// Whether it is allowed, or forbidden.
    pub(super) allowed: bool,
}

/// What a source and a list say together.
#[derive(Default)]
pub(super) struct Reading {
    /// The file that is written anew without its secrets.
    pub(super) file: Option<Held>,
    /// Whose it is; `None` for a file of variables.
    pub(super) host: Option<Host>,
    /// Its servers.
    pub(super) servers: Vec<Server>,
    /// The secrets in it, and where it leads.
    pub(super) finds: Vec<Find>,
    /// What is allowed, in order.
    pub(super) lines: Vec<Line>,
    /// What an owner should know.
    pub(super) notes: Vec<String>,
}

/// A name that a stranger may have chosen, short enough to be shown.
pub(super) fn shown(name: &str) -> String {
    let mut short: String = name.chars().take(LONGEST).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

/// Whether a name says that its value is a secret.
pub(super) fn looks_secret(name: &str) -> bool {
    let name: String = name.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_uppercase() }).collect();
    let is_place =
        ["_PATH", "_FILE", "_DIR", "_URL", "_URI", "_ENDPOINT"].iter().any(|end| name.ends_with(end));
    let parts = [
        "TOKEN",
        "SECRET",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "APIKEY",
        "API_KEY",
        "ACCESS_KEY",
        "PRIVATE_KEY",
        "CREDENTIAL",
        "AUTHORIZATION",
        "COOKIE",
    ];
    !is_place
        && (parts.iter().any(|part| name.contains(part))
            || ["_PAT", "_KEY", "_AUTH"].iter().any(|end| name.ends_with(end)))
}

/// The path that a configuration names: `~` is the home, and what is relative is so to the configuration.
pub(super) fn path_in(text: &str, home: Option<&Path>, directory: &Path) -> PathBuf {
    match (text.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => directory.join(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        for name in ["GITHUB_TOKEN", "x-api-key", "Authorization", "FOO_PAT", "dbPassword", "OPENAI_KEY"] {
            assert!(looks_secret(name), "{name}");
        }
        for name in ["PATH", "GMAIL_CREDENTIALS_PATH", "LANG", "PATTERN", "KEYBOARD", "TOKEN_FILE", "Accept"]
        {
            assert!(!looks_secret(name), "{name}");
        }
    }

    #[test]
    fn names_are_shown_short() {
        assert_eq!(shown("gmail"), "gmail");
        assert_eq!(shown(&"ä".repeat(1000)).chars().count(), LONGEST + 1);
    }
}
