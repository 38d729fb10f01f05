//! A stand-in for Google's OAuth, Gmail and Drive, strict where it matters, for tests and the demo.
