//! The audit log: what happened, in an order that cannot be changed afterwards without showing.
//!
//! - [`record`]: how an event is written. [`tree`]: the Merkle tree over the records. [`segment`]: their files.
//! - [`checkpoint`]: what the vault signs. [`verify`]: how anybody checks, with the public key alone.
//! - [`export()`]: the same, read out for other programs.
//! - [`sidecar`]: the sealed details, which can be erased. [`refusals`]: what keeps a refused peer from filling it all.
//! - [`log`]: the log as the broker uses it, with one writer thread behind it.
//!
//! The folder of a log:
//! ```text
//! audit.pub        the public key, `name+id+key`      checkpoint   the last signed checkpoint
//! segments/        00000000000000000000.log …          sidecar/     2026-11-23.details …
//! lock             held by the one process that writes
//! ```
//!
//! Deliberately absent: proofs over the network, tiles, removal of old segments.

pub mod checkpoint;
pub mod disk;
mod export;
pub mod log;
mod query;
mod queue;
pub mod record;
mod refusals;
mod scan;
pub mod segment;
mod sidecar;
pub mod tree;
pub mod verify;
mod writer;

pub use export::export;
pub use log::{AuditLog, OpenFault, Options};
pub use queue::CheckpointFault;
pub use scan::{Damage, ScanFault};
pub use verify::{Report, VerifyFault, verify};
pub use writer::{CHECKPOINT_EVERY, RESERVE};

#[cfg(test)]
mod tests;
