//! The cage, attacked: each attack is tried outside first, where it has to work, and then in a cage.
//!
//! Run by root, everything is tried twice: by root, and by a user without any right. Python plays the hostile server, since
//! it can make any system call; the tests need `/usr/bin/python3`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod attempts;
mod calls;
mod ends;
mod library;
mod limits;
mod rig;
mod servers;
mod weak;
