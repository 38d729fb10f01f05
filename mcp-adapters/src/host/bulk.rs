//! The bulk socket: what is too long for a tool's result goes over it, in pieces, with a ticket.
//!
//! It lies beside the MCP endpoint, with the same mode and the same checks of who connects. A ticket ([`tickets`]) stands
//! for one open call: whoever redeems it, the same user and once, gets the bytes that the vault passes on for that call, or
//! gives those that it takes. Nothing is kept here: a piece is taken when the one before has been passed on, so a slow
//! reader slows the upstream, and only pieces that are under way are in memory.
//!
//! What is refused, cut or broken off is told as a refusal in the gRPC status ([`claviger_proto::refusal`]); of an upload
//! it is the tool's result.

mod fetch;
mod put;
mod serve;
mod tickets;

use std::time::{Duration, Instant};

pub(super) use serve::serve;
pub(super) use tickets::Tickets;

/// How long either side may take for the next piece. The vault's own bound is shorter.
const IDLE: Duration = Duration::from_secs(45);
/// How long the vault may take to begin, and to tell what came of a body that is whole: it asks the upstream for both.
const ANSWER: Duration = Duration::from_secs(120);
/// How long a new request may take to show its ticket.
const SHOW: Duration = Duration::from_secs(10);

/// The time by which tickets are good.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock; tickets take the time as a parameter"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}
