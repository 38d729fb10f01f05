//! Servers of others, unmodified.
//!
//! [`cage`] starts a program that nobody has read between walls that the kernel holds. What may leave the cage, and with
//! which credential, is not decided there.

pub mod cage;
