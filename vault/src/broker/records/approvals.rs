//! Records of what waits for a person, and of what was agreed to before.

use claviger_canonical::Digest;
use claviger_domain::approval::{Approval, Call, Kind, State};
use claviger_domain::id::{ApprovalId, GrantId, HandleId};
use claviger_domain::seen::{Party, Seen};
use claviger_domain::tool::Definition;
use prost::Message;

use super::{CaveatRecord, Unreadable};

/// An approval, whole: what it binds, what it is about, and what became of it.
#[derive(Clone, PartialEq, Message)]
pub(in crate::broker) struct ApprovalRecord {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(string, tag = "2")]
    kind: String,
    #[prost(string, tag = "3")]
    agent: String,
    #[prost(message, optional, tag = "4")]
    call: Option<CallRecord>,
    #[prost(string, tag = "5")]
    state: String,
    #[prost(uint64, tag = "6")]
    created_at_ms: u64,
    #[prost(uint64, tag = "7")]
    expires_at_ms: u64,
    #[prost(string, tag = "8")]
    why: String,
    /// What it is about, in one line.
    #[prost(string, tag = "9")]
    pub(in crate::broker) summary: String,
    /// Of a call: its canonical arguments.
    #[prost(bytes = "vec", tag = "10")]
    pub(in crate::broker) arguments: Vec<u8>,
    /// Of a call: what was seen when it was asked for.
    #[prost(message, optional, tag = "11")]
    pub(in crate::broker) seen: Option<SeenRecord>,
    /// Of what an agent asked for.
    #[prost(message, optional, tag = "12")]
    pub(in crate::broker) wish: Option<WishRecord>,
    /// What the owner said.
    #[prost(string, tag = "13")]
    pub(in crate::broker) answer: String,
    /// When somebody decided, in milliseconds since 1970.
    #[prost(uint64, tag = "14")]
    pub(in crate::broker) decided_at_ms: u64,
    /// The how manieth denial in a row it was.
    #[prost(uint32, tag = "15")]
    pub(in crate::broker) denials: u32,
    /// The handle that came of it.
    #[prost(bytes = "vec", tag = "16")]
    pub(in crate::broker) made: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct CallRecord {
    #[prost(string, tag = "1")]
    agent: String,
    #[prost(bytes = "vec", tag = "2")]
    grant: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    handle: Vec<u8>,
    #[prost(string, tag = "4")]
    secret: String,
    #[prost(uint32, tag = "5")]
    secret_version: u32,
    #[prost(string, tag = "6")]
    tool: String,
    #[prost(bytes = "vec", tag = "7")]
    definition: Vec<u8>,
    #[prost(bytes = "vec", tag = "8")]
    digest: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "9")]
    seen: Option<Vec<u8>>,
}

/// What was seen of the object, and of the agent, when a call was asked for.
#[derive(Clone, PartialEq, Message)]
pub(in crate::broker) struct SeenRecord {
    #[prost(string, tag = "1")]
    effect: String,
    /// Addresses; empty for somebody who cannot be named.
    #[prost(string, repeated, tag = "2")]
    people: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    shown: Vec<LineRecord>,
    #[prost(bool, tag = "4")]
    pub(in crate::broker) tainted: bool,
}

#[derive(Clone, PartialEq, Message)]
struct LineRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    text: String,
}

/// What an agent asked for, as it asked.
#[derive(Clone, PartialEq, Message)]
pub(in crate::broker) struct WishRecord {
    #[prost(string, tag = "1")]
    pub(in crate::broker) purpose: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(in crate::broker) handle: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(in crate::broker) secret: String,
    #[prost(string, repeated, tag = "4")]
    pub(in crate::broker) tools: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    pub(in crate::broker) caveats: Vec<CaveatRecord>,
    #[prost(uint64, tag = "6")]
    pub(in crate::broker) expires_in_s: u64,
}

/// What was agreed to under a grant and is remembered.
#[derive(Clone, PartialEq, Message)]
pub(in crate::broker) struct KnownRecord {
    #[prost(string, repeated, tag = "1")]
    pub(in crate::broker) values: Vec<String>,
}

impl ApprovalRecord {
    /// With what only the record holds still empty.
    pub(in crate::broker) fn of(approval: &Approval) -> Self {
        let Approval { id, kind, agent, call, written, created_at_ms, expires_at_ms, why } = approval;
        Self {
            id: id.as_bytes().to_vec(),
            kind: kind.as_str().to_owned(),
            agent: agent.to_string(),
            call: call.as_ref().map(CallRecord::of),
            state: written.as_str().to_owned(),
            created_at_ms: *created_at_ms,
            expires_at_ms: *expires_at_ms,
            why: why.clone(),
            ..Self::default()
        }
    }

    /// As it is to be written next.
    pub(in crate::broker) fn set_state(&mut self, state: State) {
        state.as_str().clone_into(&mut self.state);
    }

    pub(in crate::broker) fn to_domain(&self) -> Result<Approval, Unreadable> {
        Ok(Approval {
            id: ApprovalId::from_slice(&self.id).ok_or(Unreadable)?,
            kind: Kind::from_word(&self.kind).ok_or(Unreadable)?,
            agent: self.agent.parse().map_err(|_| Unreadable)?,
            call: self.call.as_ref().map(CallRecord::to_domain).transpose()?,
            written: State::from_word(&self.state).ok_or(Unreadable)?,
            created_at_ms: self.created_at_ms,
            expires_at_ms: self.expires_at_ms,
            why: self.why.clone(),
        })
    }
}

impl CallRecord {
    fn of(call: &Call) -> Self {
        let Call { agent, grant, handle, secret, secret_version, tool, definition, digest, seen } = call;
        Self {
            agent: agent.to_string(),
            grant: grant.as_bytes().to_vec(),
            handle: handle.as_bytes().to_vec(),
            secret: secret.to_string(),
            secret_version: *secret_version,
            tool: tool.to_string(),
            definition: definition.0.to_vec(),
            digest: digest.as_bytes().to_vec(),
            seen: seen.map(|seen| seen.to_vec()),
        }
    }

    fn to_domain(&self) -> Result<Call, Unreadable> {
        let bytes = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).map_err(|_| Unreadable);
        Ok(Call {
            agent: self.agent.parse().map_err(|_| Unreadable)?,
            grant: GrantId::from_slice(&self.grant).ok_or(Unreadable)?,
            handle: HandleId::from_slice(&self.handle).ok_or(Unreadable)?,
            secret: self.secret.parse().map_err(|_| Unreadable)?,
            secret_version: self.secret_version,
            tool: self.tool.parse().map_err(|_| Unreadable)?,
            definition: Definition(bytes(&self.definition)?),
            digest: Digest::from_bytes(bytes(&self.digest)?),
            seen: self.seen.as_deref().map(bytes).transpose()?,
        })
    }
}

impl SeenRecord {
    pub(in crate::broker) fn of(seen: &Seen, tainted: bool) -> Self {
        // The digest stands with what the approval binds.
        let Seen { effect, people, digest: _, shown } = seen;
        let person = |party: &Party| match party {
            Party::Address(address) => address.to_string(),
            Party::Unknown => String::new(),
        };
        let line = |(name, text): &(String, String)| LineRecord { name: name.clone(), text: text.clone() };
        Self {
            effect: effect.to_string(),
            people: people.iter().map(person).collect(),
            shown: shown.iter().map(line).collect(),
            tainted,
        }
    }

    pub(in crate::broker) fn to_domain(&self) -> Result<Seen, Unreadable> {
        let person = |text: &String| match text.as_str() {
            "" => Ok(Party::Unknown),
            text => text.parse().map(Party::Address).map_err(|_| Unreadable),
        };
        Ok(Seen {
            effect: self.effect.parse().map_err(|_| Unreadable)?,
            people: self.people.iter().map(person).collect::<Result<_, _>>()?,
            digest: None,
            shown: self.shown.iter().map(|line| (line.name.clone(), line.text.clone())).collect(),
        })
    }
}
