//! What must hold for any bytes at all: one function for each thing that reads what others wrote.
//!
//! Each target is an ordinary function of bytes that panics where a property does not hold. libFuzzer drives them by the
//! entry points in `fuzz/fuzz_targets`, which do nothing else; and a test of this crate gives them, on stable, every file
//! of the corpora in `fuzz/corpus` and every input that once showed a fault, in `fuzz/regressions`.
//!
//! Where it can, a target asks a second reader that we did not write: `serde_json`, `url`, `http`, `mail-parser`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a target fails by panicking")]

mod canonical;
mod input;
mod links;
mod log;
mod mail;
mod presentation;
mod record;
mod service;
mod step;
mod streams;
mod texts;
mod wire;

pub use canonical::canonical;
pub use links::links;
pub use log::log;
pub use mail::{mime_parse, mime_render};
pub use presentation::presentation;
pub use record::record;
pub use service::service;
pub use step::step;
pub use streams::streams;
pub use texts::texts;
pub use wire::wire;

/// A target: takes any bytes, and panics where what must hold does not.
pub type Target = fn(&[u8]);

/// Every target with its name, which is that of its entry point and of its corpus.
pub const TARGETS: [(&str, Target); 12] = [
    ("canonical", canonical),
    ("links", links),
    ("log", log),
    ("mime_parse", mime_parse),
    ("mime_render", mime_render),
    ("presentation", presentation),
    ("record", record),
    ("service", service),
    ("step", step),
    ("streams", streams),
    ("texts", texts),
    ("wire", wire),
];
