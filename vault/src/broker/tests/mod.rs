//! The broker's tests: each promise, and each way somebody could try to get round it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod boxes;
mod fakes;
mod google;
mod lists;
mod upstream;
mod world;

mod alerts;
mod authors;
mod below;
mod bounds;
mod bytes;
mod canary;
mod connect;
mod consent;
mod contest;
mod counters;
mod decoys;
mod downloads;
mod drive;
mod gmail;
mod grants;
mod load;
mod local;
mod mint;
mod narrow;
mod oauth;
mod objects;
mod pages;
mod policy;
mod promise;
mod rotate;
mod same;
mod scope;
mod send;
mod several;
mod standstill;
mod taint;
mod takeaway;
mod trees;
mod uploads;
mod wishes;
