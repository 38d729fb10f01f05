//! How the broker's records are written to the store: versioned prost messages of the store's own.
//!
//! They are not the wire's messages: what is at rest outlives any protocol. Each record begins with one byte that
//! names its format; an unknown one is refused, never guessed at.

use claviger_domain::grant::{Approve, Grant, GrantedTool, Handle, State};
use claviger_domain::id::{GrantId, HandleId};
use claviger_domain::tool::Definition;
use prost::Message;

mod approvals;
mod caveats;
mod watch;

pub(super) use approvals::{ApprovalRecord, KnownRecord, SeenRecord, WishRecord};
pub(super) use caveats::CaveatRecord;
pub(super) use watch::{
    DecoyRecord, HabitsRecord, HourRecord, RecentAlert, RecentRecord, TaintRecord, UsedRecord, WroteRecord,
};

/// The only format there is so far.
const FORMAT: u8 = 1;

/// A record is not what this version of the vault writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record of the store is not readable by this version of the vault")]
pub(super) struct Unreadable;

/// Encodes a record with its format byte.
pub(super) fn encode(message: &impl Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + message.encoded_len());
    bytes.push(FORMAT);
    // A Vec grows, so encoding cannot run out of room.
    let _ = message.encode(&mut bytes);
    bytes
}

/// Decodes a record of this format.
pub(super) fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, Unreadable> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => M::decode(rest).map_err(|_| Unreadable),
        _ => Err(Unreadable),
    }
}

/// Makes something of each, in no more room than that takes: a list that collects on the way to an error keeps room to
/// grow, a hundred bytes or more for every handle.
pub(super) fn all<T, U>(
    records: &[T],
    make: impl Fn(&T) -> Result<U, Unreadable>,
) -> Result<Vec<U>, Unreadable> {
    let mut made = Vec::with_capacity(records.len());
    for record in records {
        made.push(make(record)?);
    }
    Ok(made)
}

/// An agent, in the registry.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AgentRecord {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(uint32, optional, tag = "2")]
    pub(super) uid: Option<u32>,
    #[prost(string, optional, tag = "3")]
    pub(super) frozen: Option<String>,
    #[prost(bool, tag = "4")]
    pub(super) opaque: bool,
    #[prost(bool, tag = "5")]
    pub(super) inputs_vault_only: bool,
    #[prost(bool, tag = "6")]
    pub(super) tainted: bool,
    /// Newest first.
    #[prost(message, repeated, tag = "7")]
    pub(super) taint: Vec<TaintRecord>,
    #[prost(uint64, tag = "8")]
    pub(super) tainted_at_ms: u64,
}

/// An adapter, in the registry.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AdapterRecord {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(uint32, optional, tag = "2")]
    pub(super) uid: Option<u32>,
    #[prost(string, tag = "3")]
    pub(super) endpoint: String,
}

/// What is known of a secret besides its values.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SecretRecord {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) kind: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) origins: Vec<String>,
    #[prost(bool, tag = "4")]
    pub(super) private: bool,
    #[prost(string, optional, tag = "5")]
    pub(super) roots_pem: Option<String>,
    #[prost(message, optional, tag = "6")]
    pub(super) provider: Option<ProviderPin>,
    #[prost(string, optional, tag = "7")]
    pub(super) header: Option<String>,
    #[prost(string, optional, tag = "8")]
    pub(super) subject: Option<String>,
    #[prost(string, optional, tag = "9")]
    pub(super) email: Option<String>,
    #[prost(string, repeated, tag = "10")]
    pub(super) scopes: Vec<String>,
    #[prost(uint64, tag = "11")]
    pub(super) created_at_ms: u64,
    #[prost(bool, tag = "12")]
    pub(super) needs_login: bool,
    #[prost(bool, tag = "13")]
    pub(super) default: bool,
    #[prost(uint32, tag = "14")]
    pub(super) current: u32,
    #[prost(message, repeated, tag = "15")]
    pub(super) versions: Vec<VersionRecord>,
    /// Patterns of addresses whose writing does not taint.
    #[prost(string, repeated, tag = "16")]
    pub(super) trusted_authors: Vec<String>,
}

/// Where an OAuth secret's tokens come from, as pinned when it was made.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ProviderPin {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(string, tag = "2")]
    pub(super) token: String,
    #[prost(string, optional, tag = "3")]
    pub(super) revoke: Option<String>,
    #[prost(bool, tag = "4")]
    pub(super) private: bool,
    #[prost(string, optional, tag = "5")]
    pub(super) roots_pem: Option<String>,
    #[prost(string, tag = "6")]
    pub(super) scope_prefix: String,
    #[prost(string, optional, tag = "7")]
    pub(super) userinfo: Option<String>,
    #[prost(bool, tag = "8")]
    pub(super) revokes_account: bool,
}

/// One version of a secret, without its value.
#[derive(Clone, PartialEq, Message)]
pub(super) struct VersionRecord {
    #[prost(uint32, tag = "1")]
    pub(super) number: u32,
    /// 0 current, 1 retiring, 2 retired.
    #[prost(uint32, tag = "2")]
    pub(super) state: u32,
    #[prost(uint64, tag = "3")]
    pub(super) created_at_ms: u64,
}

/// The value of one version of a secret. No derived `Debug`: it is the secret.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub(super) struct ValueRecord {
    /// The bearer token, the header's value, the password or the refresh token.
    #[prost(bytes = "vec", tag = "1")]
    pub(super) value: Vec<u8>,
    /// The user of a basic credential, or the OAuth client's id.
    #[prost(string, tag = "2")]
    pub(super) id: String,
    /// The OAuth client's secret.
    #[prost(bytes = "vec", tag = "3")]
    pub(super) client_secret: Vec<u8>,
}

impl std::fmt::Debug for ValueRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ValueRecord(…)")
    }
}

impl Drop for ValueRecord {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.value.zeroize();
        self.client_secret.zeroize();
    }
}

/// What a handle has used up.
#[derive(Clone, PartialEq, Message)]
pub(super) struct CounterRecord {
    #[prost(uint64, tag = "1")]
    pub(super) calls: u64,
    /// Per `rate` caveat, in order: the arrival time up to which room was reserved, in microseconds.
    #[prost(uint64, repeated, tag = "2")]
    pub(super) reserved_us: Vec<u64>,
    /// Bytes a day: which day (since 1970), and up to where they count as used.
    #[prost(uint64, tag = "3")]
    pub(super) bytes_day: u64,
    #[prost(uint64, tag = "4")]
    pub(super) bytes_reserved: u64,
}

/// The latest time this vault has seen.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ClockRecord {
    #[prost(uint64, tag = "1")]
    pub(super) high_ms: u64,
}

/// A handle.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HandleRecord {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) grant: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(super) ancestors: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "4")]
    pub(super) caveats: Vec<CaveatRecord>,
    #[prost(string, tag = "5")]
    pub(super) label: String,
    #[prost(bool, tag = "6")]
    pub(super) task: bool,
    #[prost(uint64, tag = "7")]
    pub(super) created_at_ms: u64,
}

/// A grant.
#[derive(Clone, PartialEq, Message)]
pub(super) struct GrantRecord {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(string, tag = "2")]
    agent: String,
    #[prost(string, tag = "3")]
    secret: String,
    #[prost(message, repeated, tag = "4")]
    tools: Vec<GrantedToolRecord>,
    #[prost(message, repeated, tag = "5")]
    caveats: Vec<CaveatRecord>,
    #[prost(uint64, optional, tag = "6")]
    expires_at_ms: Option<u64>,
    /// 1 default, 2 never, 3 tainted, 4 new, 5 always.
    #[prost(uint32, tag = "7")]
    approve: u32,
    #[prost(uint64, tag = "8")]
    created_at_ms: u64,
    #[prost(uint64, optional, tag = "9")]
    revoked_at_ms: Option<u64>,
    #[prost(bytes = "vec", tag = "10")]
    root: Vec<u8>,
    #[prost(bool, tag = "11")]
    deny: bool,
    #[prost(bool, tag = "12")]
    trusted_sink: bool,
    #[prost(string, optional, tag = "13")]
    name: Option<String>,
    #[prost(uint64, optional, tag = "14")]
    lasts_s: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct GrantedToolRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    effect: String,
    #[prost(bytes = "vec", tag = "3")]
    definition: Vec<u8>,
}

impl HandleRecord {
    pub(super) fn of(handle: &Handle) -> Self {
        let Handle { id, grant, ancestors, caveats, label, task, created_at_ms } = handle;
        Self {
            id: id.as_bytes().to_vec(),
            grant: grant.as_bytes().to_vec(),
            ancestors: ancestors.iter().map(|id| id.as_bytes().to_vec()).collect(),
            caveats: caveats.iter().map(CaveatRecord::of).collect(),
            label: label.clone(),
            task: *task,
            created_at_ms: *created_at_ms,
        }
    }
}

impl GrantRecord {
    pub(super) fn of(grant: &Grant) -> Self {
        let Grant {
            id,
            agent,
            secret,
            tools,
            caveats,
            expires_at_ms,
            approve,
            deny,
            trusted_sink,
            name,
            lasts_s,
            created_at_ms,
            state,
            root,
        } = grant;
        Self {
            id: id.as_bytes().to_vec(),
            agent: agent.to_string(),
            secret: secret.to_string(),
            tools: tools.iter().map(GrantedToolRecord::of).collect(),
            caveats: caveats.iter().map(CaveatRecord::of).collect(),
            expires_at_ms: *expires_at_ms,
            approve: match approve {
                Approve::Default => 1,
                Approve::Never => 2,
                Approve::Tainted => 3,
                Approve::New => 4,
                Approve::Always => 5,
            },
            created_at_ms: *created_at_ms,
            revoked_at_ms: match state {
                State::Active => None,
                State::Revoked { at_ms } => Some(*at_ms),
            },
            root: root.as_bytes().to_vec(),
            deny: *deny,
            trusted_sink: *trusted_sink,
            name: name.clone(),
            lasts_s: *lasts_s,
        }
    }

    pub(super) fn to_domain(&self) -> Result<Grant, Unreadable> {
        let Self {
            id,
            agent,
            secret,
            tools,
            caveats,
            expires_at_ms,
            approve,
            created_at_ms,
            revoked_at_ms,
            root,
            deny,
            trusted_sink,
            name,
            lasts_s,
        } = self;
        Ok(Grant {
            id: GrantId::from_slice(id).ok_or(Unreadable)?,
            agent: agent.parse().map_err(|_| Unreadable)?,
            secret: secret.parse().map_err(|_| Unreadable)?,
            tools: all(tools, GrantedToolRecord::to_domain)?,
            caveats: all(caveats, CaveatRecord::to_domain)?,
            expires_at_ms: *expires_at_ms,
            approve: match approve {
                1 => Approve::Default,
                2 => Approve::Never,
                3 => Approve::Tainted,
                4 => Approve::New,
                5 => Approve::Always,
                _ => return Err(Unreadable),
            },
            created_at_ms: *created_at_ms,
            state: match revoked_at_ms {
                None => State::Active,
                Some(at_ms) => State::Revoked { at_ms: *at_ms },
            },
            root: HandleId::from_slice(root).ok_or(Unreadable)?,
            deny: *deny,
            trusted_sink: *trusted_sink,
            name: name.clone(),
            lasts_s: *lasts_s,
        })
    }
}

impl GrantedToolRecord {
    fn of(tool: &GrantedTool) -> Self {
        let GrantedTool { name, effect, definition } = tool;
        Self { name: name.to_string(), effect: effect.to_string(), definition: definition.0.to_vec() }
    }

    fn to_domain(&self) -> Result<GrantedTool, Unreadable> {
        Ok(GrantedTool {
            name: self.name.parse().map_err(|_| Unreadable)?,
            effect: self.effect.parse().map_err(|_| Unreadable)?,
            definition: Definition(self.definition.as_slice().try_into().map_err(|_| Unreadable)?),
        })
    }
}
