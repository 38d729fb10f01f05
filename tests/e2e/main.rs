//! The end-to-end tests, and those that hold the repository to its own rules, in one program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod arrows;
mod exposures;
mod hygiene;
