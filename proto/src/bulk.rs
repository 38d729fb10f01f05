//! What an adapter and an agent's client agree on, beside the messages, where bytes are too many for a tool's result.
//!
//! The adapter's result then carries a *ticket* in its `_meta`, under [`TICKET_KEY`]: an object of
//!
//! | member | meaning |
//! |---|---|
//! | `ticket` | [`TICKET_BYTES`] random bytes, base64url without padding; good once, for [`TICKET_SECONDS`], for the user that made the call |
//! | `socket` | the name of the bulk socket, one segment: it lies beside the socket of the call |
//! | `direction` | `fetch`: out of the service, `BulkService.Fetch`; `put`: into it, `BulkService.Put` |
//! | `name` | what the bytes are called; of a `fetch`, in the words of strangers |
//! | `size` | bytes of the whole, where that is known |
//! | `offset` | where the bytes begin in the whole |
//! | `sha256` | of the whole, lower-case hex, where the service told it |
//! | `version` | a word for this state of the object, where the service told one: bytes of two versions are never joined |
//!
//! The client takes it out before anybody sees the result.

/// Where a ticket stands in the `_meta` of a result.
pub const TICKET_KEY: &str = "claviger/ticket";
/// The length of a ticket, in bytes.
pub const TICKET_BYTES: usize = 16;
/// How long a ticket is good, in seconds.
pub const TICKET_SECONDS: u64 = 30;
/// The most bytes of one piece of a stream.
pub const PIECE: usize = 64 * 1024;
/// The most bytes of one message of a stream: a piece, a head with its headers, or a tool's result of an upload.
pub const MESSAGE: usize = 2 * 1024 * 1024;
/// `direction`: out of the service.
pub const FETCH: &str = "fetch";
/// `direction`: into the service.
pub const PUT: &str = "put";
/// The class of a ticket that is not good: unknown, used, late, or another user's. One class for all.
pub const BAD_TICKET: &str = "bad-ticket";

/// The bulk socket's place beside the MCP endpoint: `mcp.sock` has `mcp.bulk.sock`.
#[must_use]
pub fn socket_name(endpoint: &str) -> String {
    match endpoint.strip_suffix(".sock") {
        Some(stem) => format!("{stem}.bulk.sock"),
        None => format!("{endpoint}.bulk"),
    }
}
