//! The only way out: requests with credentials, each secret through a client of its own.
//!
//! - `client`: one client per secret and pin, their number bounded; implements [`Upstream`](crate::port::Upstream).
//! - `request`: what the vault rendered becomes an HTTP request, or is refused before anything is sent.
//! - `inject`: where the credential goes in.
//! - `dial`, `resolve`: TLS to the pinned roots, TCP to addresses that were checked and to no other.
//! - `answer`: the answer is read within limits; redirects and encoded bodies are refused.
//! - `outgoing`, `pieces`: bodies and answers that are too long to be held, piece by piece.
//! - `watch`: the answer is looked through for the secrets that must not come back.
//!
//! Deliberately absent: redirects, retries, cookies, proxies and their environment variables, decompression,
//! protocol upgrades, HTTP without TLS, the process-wide default of rustls.

mod answer;
mod client;
mod dial;
mod inject;
mod outgoing;
mod pieces;
mod request;
mod resolve;
mod watch;

#[cfg(test)]
mod tests;

pub use client::{Egress, Options};
pub use watch::{Needles, Watcher};
