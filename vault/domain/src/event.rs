//! What the audit log records.
//!
//! An event holds who, when, which tool, and keyed digests: no secret, no content. What an owner may read (the
//! arguments, the offending value) travels beside it as a [`Detail`] and ends in the sealed sidecar.

use crate::effect::Effect;
use crate::id::{BootId, CallId, GrantId, HandleId, Ref, UseId};
use crate::name::{AdapterName, AgentName, SecretName, ToolName};
use crate::refusal::Class;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The vault process started.
    Started,
    /// The vault was unsealed.
    Unsealed,
    /// The vault was sealed, or is about to be.
    Sealed,
    /// The vault process ended in good order.
    Stopped,
    /// A capability was minted: one tool call begins.
    Minted,
    /// A credentialed request is about to be sent.
    Intent,
    /// What became of it.
    Outcome,
    /// A peer was refused.
    Refused,
    /// An answer was withheld because it contained the secret.
    Echo,
    /// An agent was registered.
    AgentAdded,
    /// An agent was removed.
    AgentRemoved,
    /// An agent was frozen.
    Frozen,
    /// An agent was thawed.
    Thawed,
    /// An adapter was registered.
    AdapterAdded,
    /// An adapter was removed.
    AdapterRemoved,
    /// A secret was put in.
    SecretAdded,
    /// A secret has a new current version.
    SecretRotated,
    /// An old version of a secret was retired; whether upstream too, the outcome says.
    SecretRetired,
    /// A secret was removed.
    SecretRemoved,
    /// The upstream no longer takes the secret.
    NeedsLogin,
    /// A grant was made.
    GrantAdded,
    /// A grant was revoked.
    GrantRevoked,
    /// An admin looked at something: the log, a refusal, a secret's description.
    Viewed,
    /// The clock's high-water mark was reset by an admin.
    ClockReset,
    /// Refusals of one peer that were not recorded one by one; the count says how many.
    Coalesced,
    /// An agent made a child of one of its handles.
    Narrowed,
    /// A child handle ended, with all below it.
    Released,
    /// A grant was changed in place.
    GrantChanged,
    /// A call waits for a person.
    ApprovalAsked,
    /// A person said yes.
    Approved,
    /// A person said no.
    ApprovalDenied,
    /// An agent asked its owner for something.
    Asked,
    /// An agent has read what strangers can write.
    Tainted,
    /// An admin forgot what an agent had read.
    Untainted,
    /// An answer held what looks like words to the model.
    Flagged,
    /// Something an owner should look at soon.
    Alert,
    /// A decoy was made.
    DecoyAdded,
    /// A decoy was removed.
    DecoyRemoved,
    /// Whose writing does not taint was changed.
    TrustChanged,
    /// An answer that was passed on piece by piece has ended; the field says how.
    Finished,
    /// Other services, or other rules of theirs, were taken up while the vault ran.
    Reloaded,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 41] = [
        Kind::Started,
        Kind::Unsealed,
        Kind::Sealed,
        Kind::Stopped,
        Kind::Minted,
        Kind::Intent,
        Kind::Outcome,
        Kind::Refused,
        Kind::Echo,
        Kind::AgentAdded,
        Kind::AgentRemoved,
        Kind::Frozen,
        Kind::Thawed,
        Kind::AdapterAdded,
        Kind::AdapterRemoved,
        Kind::SecretAdded,
        Kind::SecretRotated,
        Kind::SecretRetired,
        Kind::SecretRemoved,
        Kind::NeedsLogin,
        Kind::GrantAdded,
        Kind::GrantRevoked,
        Kind::Viewed,
        Kind::ClockReset,
        Kind::Coalesced,
        Kind::Narrowed,
        Kind::Released,
        Kind::GrantChanged,
        Kind::ApprovalAsked,
        Kind::Approved,
        Kind::ApprovalDenied,
        Kind::Asked,
        Kind::Tainted,
        Kind::Untainted,
        Kind::Flagged,
        Kind::Alert,
        Kind::DecoyAdded,
        Kind::DecoyRemoved,
        Kind::TrustChanged,
        Kind::Finished,
        Kind::Reloaded,
    ];

    /// The word in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Started => "started",
            Kind::Unsealed => "unsealed",
            Kind::Sealed => "sealed",
            Kind::Stopped => "stopped",
            Kind::Minted => "minted",
            Kind::Intent => "intent",
            Kind::Outcome => "outcome",
            Kind::Refused => "refused",
            Kind::Echo => "echo",
            Kind::AgentAdded => "agent-added",
            Kind::AgentRemoved => "agent-removed",
            Kind::Frozen => "frozen",
            Kind::Thawed => "thawed",
            Kind::AdapterAdded => "adapter-added",
            Kind::AdapterRemoved => "adapter-removed",
            Kind::SecretAdded => "secret-added",
            Kind::SecretRotated => "secret-rotated",
            Kind::SecretRetired => "secret-retired",
            Kind::SecretRemoved => "secret-removed",
            Kind::NeedsLogin => "needs-login",
            Kind::GrantAdded => "grant-added",
            Kind::GrantRevoked => "grant-revoked",
            Kind::Viewed => "viewed",
            Kind::ClockReset => "clock-reset",
            Kind::Coalesced => "coalesced",
            Kind::Narrowed => "narrowed",
            Kind::Released => "handle-released",
            Kind::GrantChanged => "grant-changed",
            Kind::ApprovalAsked => "approval-asked",
            Kind::Approved => "approved",
            Kind::ApprovalDenied => "approval-denied",
            Kind::Asked => "asked",
            Kind::Tainted => "tainted",
            Kind::Untainted => "untainted",
            Kind::Flagged => "flagged",
            Kind::Alert => "alert",
            Kind::DecoyAdded => "decoy-added",
            Kind::DecoyRemoved => "decoy-removed",
            Kind::TrustChanged => "trust-changed",
            Kind::Finished => "finished",
            Kind::Reloaded => "reloaded",
        }
    }

    /// The kind of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Actor {
    /// The vault by itself: a refresh, a start, a sweep.
    Vault,
    /// An admin, by operating-system user id.
    Admin(u32),
    /// An agent's client.
    Agent(AgentName),
    /// An adapter.
    Adapter(AdapterName),
    /// A connection that was no registered peer, by operating-system user id.
    Stranger(u32),
}

/// As people read it: `vault`, `admin uid 1000`, `agent openclaw`.
impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Actor::Vault => f.write_str("vault"),
            Actor::Admin(uid) => write!(f, "admin uid {uid}"),
            Actor::Agent(name) => write!(f, "agent {name}"),
            Actor::Adapter(name) => write!(f, "adapter {name}"),
            Actor::Stranger(uid) => write!(f, "stranger uid {uid}"),
        }
    }
}

/// How a use, or an upstream revocation, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The upstream answered, the answer was checked and released.
    Released,
    /// The upstream answered, and the answer was not released.
    Withheld,
    /// Nothing reached the upstream; of an upload: not all of it, so nothing was made.
    NotSent,
    /// It is not known whether the upstream acted. Never retried.
    Unknown,
}

impl Ending {
    /// All endings.
    pub const ALL: [Ending; 4] = [Ending::Released, Ending::Withheld, Ending::NotSent, Ending::Unknown];

    /// The word in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Ending::Released => "released",
            Ending::Withheld => "withheld",
            Ending::NotSent => "not-sent",
            Ending::Unknown => "unknown",
        }
    }

    /// The ending of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Ending::ALL.into_iter().find(|ending| ending.as_str() == word)
    }
}

/// One record of the audit log. Flat on purpose: it is written often, filtered often, and read by eye.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: Kind,
    /// Names this event; what a refused peer was given.
    pub reference: Ref,
    /// When, in milliseconds since 1970 by the vault's own time.
    pub at_ms: u64,
    /// Which run of the vault.
    pub boot: BootId,
    /// Who did it.
    pub actor: Actor,
    /// Whose authority was used.
    pub agent: Option<AgentName>,
    /// Through which adapter.
    pub adapter: Option<AdapterName>,
    /// Which secret.
    pub secret: Option<SecretName>,
    /// Which version of it.
    pub secret_version: Option<u32>,
    /// Under which grant.
    pub grant: Option<GrantId>,
    /// By which handle.
    pub handle: Option<HandleId>,
    /// Its ancestors, nearest first.
    pub ancestors: Vec<HandleId>,
    /// Which tool call.
    pub call: Option<CallId>,
    /// Which use; an intent and its outcome share it.
    pub use_id: Option<UseId>,
    /// Which tool.
    pub tool: Option<ToolName>,
    /// Which step of it, or what else the vault did with the credential (`probe`, `token`, `revoke`).
    pub step: Option<String>,
    /// The tool's effect.
    pub effect: Option<Effect>,
    /// Whether the answer taints the agent.
    pub taints: bool,
    /// The upstream's status.
    pub status: Option<u16>,
    /// Body bytes sent, in an intent, or received, in an outcome.
    pub bytes: Option<u64>,
    /// How long it took, in microseconds.
    pub micros: Option<u64>,
    /// How it ended.
    pub ending: Option<Ending>,
    /// The class of a refusal.
    pub class: Option<Class>,
    /// The field of a refusal; how a stream ended.
    pub field: Option<String>,
    /// How many refusals a coalesced record stands for.
    pub count: Option<u64>,
    /// Keyed digest of the canonical arguments: equal for equal arguments, and worth nothing without the key.
    pub digest: Option<[u8; 32]>,
}

impl Event {
    /// An event with everything optional left out.
    #[must_use]
    pub fn new(kind: Kind, reference: Ref, at_ms: u64, boot: BootId, actor: Actor) -> Self {
        Self {
            kind,
            reference,
            at_ms,
            boot,
            actor,
            agent: None,
            adapter: None,
            secret: None,
            secret_version: None,
            grant: None,
            handle: None,
            ancestors: Vec::new(),
            call: None,
            use_id: None,
            tool: None,
            step: None,
            effect: None,
            taints: false,
            status: None,
            bytes: None,
            micros: None,
            ending: None,
            class: None,
            field: None,
            count: None,
            digest: None,
        }
    }
}

/// What an owner may read about an event: pairs of a name and a text, in the order they are shown
/// (`arguments`, `caveat`, `value`, `fix`, `upstream`). Sealed, kept for a retention time, erasable.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Detail(pub Vec<(String, String)>);

impl Detail {
    /// Adds a pair where there is something to add.
    pub fn add(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.0.push((name.to_owned(), text.to_owned()));
        }
    }
}

impl std::fmt::Debug for Detail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Detail({} entries)", self.0.len())
    }
}
