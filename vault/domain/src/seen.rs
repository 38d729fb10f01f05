//! What a call would do, seen in the object it would do it to and not only in its arguments.

use crate::address::Address;
use crate::effect::Effect;

/// Somebody whom bytes would reach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// An address.
    Address(Address),
    /// Everybody, or somebody who could not be read: no pattern allows them.
    Unknown,
}

/// What the vault saw when it looked, before the call is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The effect the call would have: the tool's, or a worse one.
    pub effect: Effect,
    /// Whom bytes would reach besides those the arguments name.
    pub people: Vec<Party>,
    /// SHA-256 of what an approval by reference pins: the draft, the file, the event. `None` where nothing was looked
    /// at.
    pub digest: Option<[u8; 32]>,
    /// What a person must see of the object before agreeing: pairs of a name and a text.
    pub shown: Vec<(String, String)>,
}

impl Seen {
    /// Nothing was looked at: the tool's declared effect counts.
    #[must_use]
    pub fn nothing(effect: Effect) -> Self {
        Self { effect, people: Vec::new(), digest: None, shown: Vec::new() }
    }
}
