//! Engines of the port [`Store`](crate::port::Store): where sealed records are kept.
//!
//! [`sqlite`] is the one for a single vault. What every engine must do is written once, as tests, in `contract`;
//! what every engine refuses stands in `limits`. Engines see sealed bytes and keys such as `grant/gr_00…`; they know
//! nothing of what is inside, and hold no key.

mod limits;
pub mod sqlite;

mod engine;
mod file;
mod schema;
mod thread;

#[cfg(test)]
pub(crate) mod contract;
