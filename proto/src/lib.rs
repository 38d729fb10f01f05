//! The wire of Claviger: generated gRPC types of claviger.v1.
