//! The client against a vault and an adapter that are made here, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod bridge;
mod cli;
mod files;
mod http;
mod narrow;
mod session;
mod shim;
mod waiting;
mod world;
