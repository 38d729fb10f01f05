//! The pure rules of Claviger.
//!
//! Nothing here touches a clock, a random source, a file, the environment or an async runtime: whatever these
//! rules need of the world comes in as a parameter. Whoever reads only this crate and `claviger-canonical` has
//! read everything that decides whether a call is allowed.

pub mod address;
pub mod codec;
pub mod date;
pub mod effect;
pub mod event;
pub mod id;
pub mod name;
pub mod origin;
pub mod pointer;
pub mod refusal;
pub mod secret;
