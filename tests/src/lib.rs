//! What the end-to-end tests share: where the repository and its programs are, and how its sources are read.
//!
//! Everything here panics where something is missing: it serves tests, and these fail by panicking.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

pub mod binaries;
pub mod kills;
pub mod metadata;
pub mod peers;
pub mod repository;
pub mod source;
pub mod world;
