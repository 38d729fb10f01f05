//! The agent's side of Claviger: library, MCP server for any host, command line.
//!
//! A [`Session`] asks the vault which tools its agent was granted, and calls them: it makes the arguments canonical,
//! proves that it holds the handle, and hands both to the tool's adapter. It never sees a stored secret. What it does
//! hold, the handles' proof keys, is erased when dropped and shown to nobody, least of all to a model.
//!
//! [`bridge`] serves those tools to any MCP host; [`cli`] is the program `claviger-agent`.
//!
//! A program that uses this library and logs must keep the targets of `rmcp` and `h2` out of its log: at `debug` they
//! show whole messages, with arguments and presentations. `claviger-agent` logs nothing but its own lines.
//!
//! A session may be given one [`Folder`]: then tools can save files in it, and send files that lie in it, past the model.
//!
//! Deliberately absent: nothing here takes an address or a command from an argument's value, or a file but for an argument
//! that the vault's schema marks as one, below that folder; nothing corrects a tool's name, or repeats a call, but for one
//! that the vault said it never looked at, and a download that begins anew because its file has changed.

mod adapter;
pub mod bridge;
mod bulk;
pub mod cli;
mod clock;
pub mod environment;
mod error;
mod folder;
mod grants;
mod narrow;
mod outcome;
mod session;
mod suggest;
mod vault;
mod waiting;

pub use clock::{Clock, SystemClock};
pub use error::ClientError;
pub use folder::{Folder, FolderError};
pub use grants::{Effect, Grants, Handle, Tool};
pub use narrow::{Bounds, Child};
pub use outcome::{CallOutcome, REFUSAL_KEY, Refusal};
pub use session::{CallOptions, Session};
pub use waiting::{ApprovalId, Ask, AskBounds, Collected, State, Waited};
