//! How typed arguments become the bytes of a request. Each codec is a pure function: the same arguments give the same
//! bytes, so what a human approved is what is sent.
//!
//! Each codec is also a wall: no argument can leave the place it was given, be it a path's segment, a header's line, a
//! quoted word or a part of a body.

pub mod attachment;
pub mod base64url;
pub mod drive_query;
pub mod event;
pub mod form;
pub mod gmail_query;
pub mod letter;
pub mod member;
pub mod multipart;
pub mod percent;
pub mod plain_words;
pub mod rfc5322;
mod term;

pub use term::{Fault, QueryError, is_invisible};
