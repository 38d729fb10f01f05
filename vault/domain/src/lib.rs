//! The pure rules of Claviger.
//!
//! Nothing here touches a clock, a random source, a file, the environment or an async runtime: whatever these
//! rules need of the world comes in as a parameter. Whoever reads only this crate and `claviger-canonical` has
//! read everything that decides whether a call is allowed.

pub mod address;
pub mod approval;
pub mod arg;
pub mod authors;
pub mod calendar_id;
pub mod capability;
pub mod catalog;
pub mod caveat;
pub mod codec;
pub mod date;
pub mod decoy;
pub mod deny;
pub mod effect;
pub mod event;
pub mod grant;
pub mod guard;
pub mod host;
pub mod hours;
pub mod id;
pub mod links;
pub mod look;
pub mod moment;
pub mod name;
pub mod origin;
pub mod path;
pub mod people;
pub mod permit;
pub mod pointer;
pub mod policy;
pub mod range;
pub mod rate;
pub mod refusal;
pub mod render;
pub mod reserved;
pub mod schema;
pub mod scope;
pub mod secret;
pub mod seen;
pub mod sentence;
pub mod show;
pub mod sound;
pub mod step;
pub mod tool;
pub mod upload;
pub mod url;
pub mod version;
pub mod warning;
pub mod when;

#[cfg(test)]
mod properties;
