//! Why something could not be done, and what to do about it.

use claviger_canonical::CanonicalError;
use claviger_proto::connect::ConnectError;
use tonic::{Code, Status};

use crate::folder::FolderError;
use crate::outcome::Refusal;

/// Why the client could not open a session or make a call. Holds no secret, no argument and no text of a peer's.
///
/// A call that was refused is no error: see [`CallOutcome`](crate::CallOutcome).
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The vault's socket was not used.
    #[error("the vault cannot be reached: {0}")]
    Connect(#[source] ConnectError),
    /// The vault is sealed: it has no key, and does nothing.
    #[error("the vault is sealed")]
    Sealed,
    /// The vault refused to open the session.
    #[error("the vault refused to open a session ({})", .0.class())]
    OpenRefused(Refusal),
    /// The vault refused what it was asked for, besides a session or a call.
    #[error("{0}")]
    Refused(Refusal),
    /// A bound that is none; nothing was sent.
    #[error("the bounds cannot be sent: {0}")]
    Bounds(&'static str),
    /// What was given is no handle, or one that this session may not use.
    #[error(
        "there is no such handle here: it has ended, is not this agent's, or was not opened by this session"
    )]
    NoSuchHandle,
    /// That is no id of something that waits for a person.
    #[error("that is no approval: `ap_` and 32 digits")]
    NoApproval,
    /// What was agreed to is under a handle that is not open to this agent any more.
    #[error("the handle of what was agreed to is gone")]
    HandleGone,
    /// The vault did not answer as it should; with the gRPC code.
    #[error("the vault did not answer ({0:?})")]
    Rpc(Code),
    /// The vault's answer does not have the form it should.
    #[error("the vault's answer is malformed: {0}")]
    BadAnswer(&'static str),
    /// No granted tool has that name. It is not guessed which one was meant, only suggested.
    #[error("no tool of that name is granted{}", list(.suggestions))]
    UnknownTool {
        /// Names of granted tools that look like it; at most three, perhaps none.
        suggestions: Vec<String>,
    },
    /// The arguments have no canonical form.
    #[error("the arguments cannot be sent: {0}")]
    Arguments(#[source] CanonicalError),
    /// No adapter serves the tool.
    #[error("no adapter serves this tool")]
    NoAdapter,
    /// The adapter's socket was not used.
    #[error("the tool's adapter cannot be reached: {0}")]
    Adapter(#[source] ConnectError),
    /// The adapter took the connection and did not speak MCP on it.
    #[error("the tool's adapter did not answer the handshake")]
    AdapterHandshake,
    /// The connection to the adapter ended during the call.
    #[error("the connection to the adapter was lost; it is not known whether the call was carried out")]
    AdapterLost,
    /// The adapter answered with a protocol error; with its JSON-RPC code.
    #[error("the tool's adapter answered with protocol error {0}")]
    AdapterProtocol(i32),
    /// The time limit of the call has passed. The adapter was told to stop.
    #[error("the call took too long and was cancelled; it is not known whether it was carried out")]
    TimedOut,
    /// The adapter's answer contained the presentation; nothing of it is passed on.
    #[error("the adapter's answer was withheld: it repeated what proves the call")]
    Echo,
    /// The tool reads or saves files, and it was not said where.
    #[error("this tool reads or saves files, and no folder is configured for them")]
    NoFolder,
    /// The folder, or a file in it.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The adapter's stream does not have the form it should.
    #[error("the adapter's stream is malformed: {0}")]
    Bulk(&'static str),
    /// A download ended before its end.
    #[error("the transfer was cut; {}", if *.kept {
        "what came is kept for a day, and the same call goes on from there"
    } else {
        "nothing is kept of it"
    })]
    Cut {
        /// Whether the same call goes on from where it was.
        kept: bool,
    },
    /// An upload ended before its last piece: the service has made nothing of it.
    #[error(
        "the upload was cut before its end: nothing was made; the same call sends what is missing, or all of it"
    )]
    UploadCut,
    /// What was begun is another version than what is there now.
    #[error("the file is another than the one that was begun")]
    OtherVersion,
    /// What came is not what the service had said.
    #[error("what came does not have the size or the checksum that the service told; it was removed")]
    OtherContent,
    /// What was agreed to cannot be sent any more.
    #[error("the file that was agreed to is not in the folder, or is another now")]
    UploadGone,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Entropy,
}

impl ClientError {
    /// One line that says what to do next.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Connect(ConnectError::Io { .. }) => {
                "start the vault (`claviger serve`), or correct --socket / CLAVIGER_AGENT_SOCKET"
            }
            Self::Connect(ConnectError::Impostor { .. }) => {
                "find out who serves that socket; if the vault's user has changed, correct --vault-uid"
            }
            Self::Connect(ConnectError::OpenDirectory { .. })
            | Self::Adapter(ConnectError::OpenDirectory { .. }) => {
                "take the write permission of others away from that directory"
            }
            Self::Sealed => "the owner can run `claviger unseal`",
            Self::OpenRefused(_) => {
                "the owner can run `claviger agent ls` and `claviger why` with the reference"
            }
            Self::Refused(_) => {
                "look at what was asked for; the owner can run `claviger why` with the reference"
            }
            Self::Bounds(_) => "see `claviger-agent narrow --help`",
            Self::NoSuchHandle => {
                "`claviger-agent handles` lists the handles; whoever made a child has its id"
            }
            Self::NoApproval => "it stands in the answer that said a person must agree",
            Self::HandleGone => "call the tool again, if it is still granted: `claviger-agent ls`",
            Self::Rpc(_) => "the owner can run `claviger status`",
            Self::BadAnswer(_) => "install `claviger` and `claviger-agent` of the same version",
            Self::UnknownTool { .. } => "`claviger-agent ls` lists the granted tools; names are exact",
            Self::Arguments(_) => "correct the arguments; `claviger-agent ls -v` lists them",
            Self::NoAdapter => "the owner can run `claviger adapter ls` and add one for this service",
            Self::Adapter(ConnectError::Io { .. }) | Self::AdapterHandshake => {
                "the owner can look whether the adapter runs: `claviger adapter ls`"
            }
            Self::Adapter(ConnectError::Impostor { .. }) => {
                "find out who serves that socket; the adapter's user is the one in `claviger adapter ls`"
            }
            Self::AdapterLost | Self::TimedOut => {
                "look whether it was done before trying again; the owner can run `claviger log`"
            }
            Self::AdapterProtocol(_) => "install `claviger-mcp` and `claviger-agent` of the same version",
            Self::Echo => "the owner should look at the adapter: it must not repeat what it is given",
            Self::NoFolder => {
                "start claviger-agent with --folder DIR, or set CLAVIGER_FOLDER: one directory for its files alone"
            }
            Self::Folder(error) => error.next_step(),
            Self::Bulk(_) => "install `claviger-mcp` and `claviger-agent` of the same version",
            Self::Cut { .. } | Self::UploadCut => "call again; the owner can run `claviger log` to see why",
            Self::OtherVersion | Self::OtherContent => "call again: it begins anew",
            Self::UploadGone => "put it back under its name, unchanged, and collect again",
            Self::Entropy => "look at the system's log",
        }
    }

    /// What a failed RPC means, where it was not about opening a session.
    pub(crate) fn of_call(status: &Status) -> Self {
        match Self::from_status(status) {
            Self::OpenRefused(refusal) => Self::Refused(refusal),
            other => other,
        }
    }

    /// What a failed RPC means.
    pub(crate) fn from_status(status: &Status) -> Self {
        match claviger_proto::refusal::from_status(status) {
            Some(refusal) if refusal.class == "sealed" => Self::Sealed,
            Some(refusal) => {
                match Refusal::new(&refusal.class, Some(&refusal.field), Some(&refusal.reference)) {
                    Some(refusal) => Self::OpenRefused(refusal),
                    None => Self::BadAnswer("a refusal without a class"),
                }
            }
            None => Self::Rpc(status.code()),
        }
    }
}

/// `; did you mean a or b?`, or nothing.
fn list(suggestions: &[String]) -> String {
    if suggestions.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", suggestions.join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use claviger_proto::v1;

    #[test]
    fn statuses_become_errors_without_the_peers_text() {
        let refused = |class: &str| {
            let refusal =
                v1::Refusal { class: class.to_owned(), message: "canary".to_owned(), ..Default::default() };
            ClientError::from_status(&claviger_proto::refusal::to_status(Code::PermissionDenied, &refusal))
        };
        assert!(matches!(refused("sealed"), ClientError::Sealed));
        assert_eq!(refused("not-granted").to_string(), "the vault refused to open a session (not-granted)");
        assert!(matches!(refused("CANARY \u{1b}[2J"), ClientError::BadAnswer(_)));
        let plain = ClientError::from_status(&Status::internal("canary"));
        assert_eq!(plain.to_string(), "the vault did not answer (Internal)");
    }
}
