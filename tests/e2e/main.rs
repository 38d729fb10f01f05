//! The whole of Claviger with its real programs, in one binary of tests.
//!
//! Each test has a world of its own (`claviger_tests::world`): a vault, adapters, an agent, and a stand-in Google.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod faults;
mod hostile;
mod lessons;
mod peers;
mod refusals;
mod rotation;
mod sealing;
mod story;
mod theft;
