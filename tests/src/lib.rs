//! End-to-end tests, peers and benches of Claviger.
