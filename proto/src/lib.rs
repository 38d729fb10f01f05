//! The wire of Claviger: generated messages, clients and servers of `claviger.v1`.
//!
//! The code is checked in so that a build needs no `protoc`; a test holds it to the `.proto` files.

/// Version 1 of the wire: `AgentService`, `AdapterService`, `AdminService`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated code")]
pub mod v1 {
    include!("generated/claviger.v1.rs");
}

pub mod bulk;
pub mod connect;
pub mod refusal;
mod silent;

/// The name of the gRPC metadata entry that carries an encoded [`v1::Refusal`].
pub const REFUSAL_KEY: &str = "claviger-refusal-bin";
