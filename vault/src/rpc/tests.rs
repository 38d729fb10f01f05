//! The accept loop and the sockets, with peers out of a book.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

pub(crate) mod clock;
mod doors;
mod knocking;
