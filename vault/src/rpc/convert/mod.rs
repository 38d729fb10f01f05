//! Between the wire and the domain, field by field: a message is taken apart without `..`, so a new field breaks the
//! build until somebody has thought about it.

pub mod answer;
pub mod approvals;
pub mod ask;
mod caveats;
pub mod policy;
pub mod watch;

#[cfg(test)]
mod tests;
