//! The vault's sockets: who is at the other end, what they may ask, and how it is said on the wire.
//!
//! - [`peer`]: who a connection is. [`accept`]: the one accept loop, its bounds, and how connections end early.
//! - [`listen`]: where sockets stand, and that nobody else could have put them there. [`server`]: all three services.
//! - [`gate`]: intake that can be closed. [`status`]: refusals as gRPC statuses. [`convert`]: wire and domain.
//! - [`agent`], [`adapter`], [`admin`]: the services, each a thin layer over the broker.
//!
//! ```text
//! UnixListener ─ accept: credentials ─ Peer ─ bounds ─ PeerStream ─ tonic ─ service: gate, sealed? ─ broker
//! ```
//!
//! Deliberately absent: sockets that answer strangers, reflection, health checks, HTTP/1.

pub mod accept;
pub mod adapter;
pub mod admin;
pub mod agent;
pub mod convert;
pub mod gate;
pub mod listen;
pub mod peer;
pub mod server;
pub mod status;
mod streams;

#[cfg(test)]
pub(crate) mod tests;
