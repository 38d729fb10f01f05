//! The broker's tests: each promise, and each way somebody could try to get round it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod fakes;
mod google;
mod upstream;
mod world;

mod canary;
mod connect;
mod counters;
mod drive;
mod grants;
mod load;
mod mint;
mod oauth;
mod objects;
mod policy;
mod promise;
mod rotate;
mod scope;
mod send;
mod takeaway;
