//! The vault: the one process that holds secrets and uses them.

pub mod audit;
pub mod broker;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod egress;
pub mod keys;
pub mod port;
pub mod rpc;
pub mod store;
pub mod system;
