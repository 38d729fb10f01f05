//! What must hold of the rules together, for any arguments, bounds and answers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod approval;
mod arguments;
mod authors;
mod bounds;
mod capability;
mod catalog;
mod caveats;
mod decision;
mod deny;
mod filling;
mod forms;
mod grants;
mod kinds;
mod looks;
mod moments;
mod objects;
mod pages;
mod permits;
mod policy;
mod rate;
mod render;
mod schema;
mod scope;
mod trees;
mod words;
mod world;
