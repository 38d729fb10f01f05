//! The broker's tests: each promise, and each way somebody could try to get round it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod fakes;
mod google;
mod upstream;
mod world;

mod accounts;
mod alerts;
mod between;
mod bytes;
mod canary;
mod connect;
mod consent;
mod counters;
mod decoys;
mod drive;
mod forbidden;
mod gmail;
mod grants;
mod load;
mod mint;
mod narrow;
mod oauth;
mod objects;
mod policy;
mod promise;
mod rotate;
mod scope;
mod send;
mod several;
mod taint;
mod takeaway;
mod told;
mod trees;
mod wishes;
