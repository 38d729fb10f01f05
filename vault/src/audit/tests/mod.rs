//! The log as a whole, on a real folder, with a disk that fails when it is told to.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod crash;
mod fakes;
mod lookup;
mod offline;
mod room;
