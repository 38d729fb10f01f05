//! The host from outside: a real MCP client on its socket, and a vault that says what the test wants.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod calendar;
mod drive;
mod fake;
mod files;
mod gmail;
mod program;
mod streams;
mod walls;
