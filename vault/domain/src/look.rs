//! Looks: what the vault must see of an object before it decides a call, because the arguments do not tell.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::name::Ident;
use crate::pointer::Pointer;

/// One look at the object of a call: before the call is decided, and again right before its request is sent. Both must
/// have seen the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Its name within its tool.
    pub name: Ident,
    /// A step of the service, rendered from the call's arguments.
    pub step: Ident,
    /// It is made only where the caller gave this argument.
    pub when: Option<Ident>,
    /// Whom bytes will reach: addresses, or headers of addresses.
    pub people: Vec<Pointer>,
    /// The owner's own addresses, which never count.
    pub except: Vec<Pointer>,
    /// Only where this holds is the object the owner's alone; anything else makes the call a send.
    pub private: Option<Holds>,
    /// Where something stands there, the call is a send.
    pub sends_if: Vec<Pointer>,
    /// What an approval pins; empty for the whole answer.
    pub pin: Vec<Pointer>,
    /// What a person sees before agreeing: a name for people, and where it stands.
    pub show: BTreeMap<String, Pointer>,
    /// Where the object's etag stands, for `If-Match`.
    pub etag: Option<Pointer>,
}

/// That one place of an answer has one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holds {
    /// The place.
    pub at: Pointer,
    /// The value: a text, or yes or no.
    pub is: Value,
}
