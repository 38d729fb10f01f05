//! What a stand-in is started with.

use std::time::Duration;

use crate::seed::Seed;

/// How to start a stand-in; `Config::default()` is an empty account on a free port.
#[derive(Debug, Clone)]
pub struct Config {
    /// The TCP port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The account: its owner, mails, labels and files.
    pub seed: Seed,
    /// How long an access token lives; Google's is 3600 s.
    pub token_lifetime: Duration,
    /// Whether each refresh also replaces the refresh token, and reuse of an old one revokes the whole family.
    pub rotate_refresh: bool,
    /// Whether `/stand-in/log` and `/stand-in/outbox` answer, without any authorisation. For the demo only.
    pub control: bool,
    /// Whether HTTP/2 is offered beside HTTP/1.1.
    pub http2: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 0,
            seed: Seed::default(),
            token_lifetime: Duration::from_secs(3600),
            rotate_refresh: false,
            control: false,
            http2: true,
        }
    }
}

/// What the pretended user does on the consent page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ConsentMode {
    /// Grants all that is asked.
    #[default]
    Grant,
    /// Unticks boxes: grants only those of the asked scopes that are listed here, as full URLs.
    Partial(Vec<String>),
    /// Presses "cancel"; the client gets `error=access_denied`.
    Deny,
}
