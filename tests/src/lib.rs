//! End-to-end tests, peers and benches of Claviger.

pub mod binaries;
pub mod world;
