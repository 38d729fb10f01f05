//! The root key: how it is made, wrapped, held in memory and used.
//!
//! [`wrap`] keeps the root key on disk, encrypted by `age` once for each recipient, beside a [`ring`] that can be read
//! while the vault is sealed. [`root`] is the key in memory, on a page of its own ([`guard`]). [`sealer`] turns it into
//! one key per purpose and answers the port [`Sealer`](crate::port::Sealer); nothing hands out the root key or a
//! purpose's key. [`stack`] leaves nothing of either on a stack. [`parcel`] keeps
//! an owner's old file encrypted. [`harden`] keeps the process out of core dumps and away from debuggers.
//!
//! Deliberately absent: any way to write the root key in the clear, and a default passphrase.

pub mod entropy;
pub mod guard;
pub mod harden;
pub mod identity;
pub mod parcel;
pub mod ring;
pub mod root;
pub mod sealer;
pub mod stack;
pub mod wrap;
