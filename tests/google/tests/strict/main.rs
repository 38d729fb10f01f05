//! The stand-in's strictness, each rule through a real TLS client.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod access;
mod client;
mod drafts;
mod drive;
mod faults;
mod fuzz;
mod gmail;
mod oauth;
mod streams;
