//! MCP adapters of Claviger: a host that mints and sends, and one thin shaping module a service.
//!
//! An adapter serves the tools of one service over MCP on a unix socket. It holds no credential and names no URL: each
//! tool call brings a presentation in its `_meta`, the [`host`] turns it into a capability at the vault, and a
//! [`service::Service`] asks the vault, step by step, for what the call may have and shapes a readable result. A service
//! whose tools have one step needs no code here; [`generic`] serves it.
//!
//! One service is none: [`files`] serves directories of this machine, and asks the vault before it touches anything.
//!
//! Deliberately absent: any knowledge of scope (the vault decides), any copy of the catalog, and any way to reach a
//! network.
//!
//! What a result looks like is described at [`host::result`].

pub mod calendar;
pub mod call;
pub mod contacts;
pub mod drive;
pub mod failure;
pub mod files;
pub mod generic;
pub mod github;
pub mod gmail;
pub mod host;
pub mod service;
pub mod settings;
pub mod text;
pub mod transfer;
#[cfg(target_os = "linux")]
pub mod wrap;
