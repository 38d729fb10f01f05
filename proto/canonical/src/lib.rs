//! Canonical arguments (RFC 8785) and presentations, pure.
