//! What a command says when it did not work: why, and what to do next. The exit code is part of the promise.

use std::fmt;
use std::io;

use claviger_proto::connect::ConnectError;
use claviger_proto::refusal::from_status;
use tonic::{Code, Status};

use crate::config::ConfigError;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed or denied.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// The vault is sealed.
    Sealed = 3,
    /// Waits for somebody.
    Pending = 4,
}

/// Why a command did not work. Never holds a secret.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The class of a refusal, where the vault refused.
    pub class: Option<String>,
    /// What went wrong.
    pub message: String,
    /// What to do next; where empty, something general is said.
    pub hints: Vec<String>,
    /// What `claviger why` takes.
    pub reference: Option<String>,
}

impl Failure {
    /// A failure of exit code 1.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, class: None, message: message.into(), hints: Vec::new(), reference: None }
    }

    /// Something typed that cannot be meant: exit code 2.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new(message) }
    }

    /// Says where it is, in front of what it is.
    pub(super) fn at(mut self, place: &str) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// What to do next; never empty.
    pub(super) fn all_hints(&self) -> Vec<String> {
        let mut hints = self.hints.clone();
        if hints.is_empty() {
            hints.push(self.general_hint().to_owned());
        }
        if let Some(reference) = &self.reference {
            hints.push(format!("`claviger why {reference}` tells more"));
        }
        hints
    }

    fn general_hint(&self) -> &'static str {
        match self.class.as_deref() {
            Some("sealed") => "`claviger unseal` hands in the key",
            Some("needs-login") => "`claviger connect SERVICE/NAME --renew --for …` signs in again",
            Some("frozen") => "`claviger thaw AGENT` lets it go on",
            Some("bad-arguments") => "see `claviger COMMAND --help` and `claviger services`",
            Some("tool-changed") => "look at the tool with `claviger services`, then make a new grant",
            Some("busy") => "try again in a moment",
            Some("upstream") => "look whether the service answers, then try again",
            Some("pending") => "try again when it has been decided",
            _ if self.exit == Exit::Usage => "see `claviger COMMAND --help`",
            _ => "`claviger status` says how the vault is",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What a class means, for a refusal that came without a line for people.
fn plain_words(class: &str, field: &str) -> String {
    let what = match class {
        "sealed" => "the vault is sealed",
        "bad-arguments" => "the vault does not take that",
        "not-granted" => "this user is not allowed to do that",
        "out-of-scope" => "there is no such thing",
        "rate-limited" => "too often: a limit is used up",
        "revoked" => "it was revoked, or is over",
        "frozen" => "the agent is frozen",
        "needs-login" => "the credential no longer works",
        "tool-changed" => "the tool's definition has changed",
        "upstream" => "the service did not answer as it should",
        "unavailable" => "the vault cannot do it now",
        "busy" => "the vault is busy",
        "unknown" => "it is not known whether it happened",
        other => return format!("refused ({other})"),
    };
    if field.is_empty() { what.to_owned() } else { format!("{what} ({field})") }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let Some(refusal) = from_status(&status) else {
            return match status.code() {
                Code::Unavailable => Failure::new("the vault went away while it was asked").hint(
                    "`claviger status` says whether it is back; what was asked may or may not have happened",
                ),
                Code::Unimplemented => Failure::new("the vault that runs does not know this command")
                    .hint("it is of another version: restart `claviger serve` with this one"),
                Code::PermissionDenied => Failure::new("this user may not administer the vault")
                    .hint("`admin-uids` in claviger.toml says who may"),
                // A connection that is dropped without an answer: how the vault treats users it does not know.
                Code::Unknown | Code::Cancelled => Failure::new(
                    "the vault closed the connection without an answer",
                )
                .hint(
                    "it talks only to users it knows: `admin-uids` in claviger.toml says who may administer",
                ),
                code => {
                    Failure::new(format!("the vault answered with an error: {code}: {}", status.message()))
                }
            };
        };
        let exit = match refusal.class.as_str() {
            "sealed" => Exit::Sealed,
            "pending" => Exit::Pending,
            _ => Exit::Failed,
        };
        let message = match refusal.message.as_str() {
            "" => plain_words(&refusal.class, &refusal.field),
            message => message.to_owned(),
        };
        Failure {
            exit,
            message,
            hints: refusal.hints,
            reference: Some(refusal.reference).filter(|reference| !reference.is_empty()),
            class: Some(refusal.class),
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let nobody = matches!(
            &error,
            ConnectError::Io { source, .. }
                if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
        );
        match &error {
            ConnectError::Io { path, .. } if nobody => {
                Failure::new(format!("no vault is running: nobody listens at {}", path.display()))
                    .hint("start it with `claviger serve`, or `claviger up` to run the adapters too")
            }
            ConnectError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Failure::new(error.to_string()).hint("run this as a user who may administer the vault")
            }
            ConnectError::Io { .. } => Failure::new(error.to_string()),
            ConnectError::Impostor { .. } => Failure::new(error.to_string())
                .hint("nothing was sent; find out who listens there before you go on"),
            ConnectError::OpenDirectory { directory, .. } => Failure::new(error.to_string())
                .hint(format!("nothing was sent; `chmod go-w {}`, if it is yours", directory.display())),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let failure = Failure::new(error.to_string());
        match error {
            ConfigError::Missing { .. } => {
                failure.hint("`claviger init` makes a vault; --home DIR or CLAVIGER_HOME says where one is")
            }
            ConfigError::Read { .. } => failure.hint("run this as the vault's user, or give --socket PATH"),
            ConfigError::Writable { path, .. } => {
                failure.hint(format!("look at what stands in it, then `chmod go-w {}`", path.display()))
            }
            ConfigError::Foreign { .. } => failure.hint("run this as its owner, or give --socket PATH"),
            ConfigError::Syntax { .. } | ConfigError::Faults { .. } => {
                failure.hint("correct the file, then try again")
            }
            ConfigError::NoHome => failure.hint("give --home DIR"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::new(error.to_string())
    }
}
