//! The end-to-end tests, and those that hold the repository to its own rules, in one program.
//!
//! Each end-to-end test has a world of its own (`claviger_tests::world`): a vault, adapters, an agent, and a stand-in
//! Google.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::disallowed_methods, reason = "tests run at the real time, in a real environment")]

mod adversary;
mod approvals;
mod arrows;
mod calendar;
mod disk;
mod exposures;
mod faults;
mod github;
mod hostile;
mod http;
mod hygiene;
mod import;
mod kills;
mod lessons;
mod mails;
mod manual;
mod memory;
mod peers;
mod refusals;
mod reload;
mod renewal;
mod rotation;
mod sealing;
mod shim;
mod story;
mod streams;
mod theft;
