//! What a tool does to the world.

use std::fmt;
use std::str::FromStr;

/// What one tool call does, from harmless to irreversible.
///
/// The order is the order of alarm: a list of tools is judged by its worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Nothing changes upstream.
    Read,
    /// Something of the owner's changes, and nobody else can see it.
    Write,
    /// Bytes can reach somebody besides the secret's owner, or become public. Not knowing means send.
    Send,
    /// Something is destroyed.
    Delete,
}

impl Effect {
    /// All effects, in order of alarm.
    pub const ALL: [Effect; 4] = [Effect::Read, Effect::Write, Effect::Send, Effect::Delete];

    /// The word used in the catalog, on the wire and in the audit log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Effect::Read => "read",
            Effect::Write => "write",
            Effect::Send => "send",
            Effect::Delete => "delete",
        }
    }

    /// Whether an answer may be released before its outcome is durable (only a read's may).
    #[must_use]
    pub fn is_read(self) -> bool {
        self == Effect::Read
    }

    /// Whether a grant of such a tool must settle the question of approval in so many words.
    #[must_use]
    pub fn needs_approval_word(self) -> bool {
        matches!(self, Effect::Send | Effect::Delete)
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is none of the four effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an effect is read, write, send or delete")]
pub struct UnknownEffect;

impl FromStr for Effect {
    type Err = UnknownEffect;

    fn from_str(text: &str) -> Result<Self, UnknownEffect> {
        Effect::ALL.into_iter().find(|effect| effect.as_str() == text).ok_or(UnknownEffect)
    }
}
