//! Why a peer was refused: a fixed set of classes, a field's name and a reference. Never a value.

use std::fmt;

use crate::id::{ApprovalId, Ref};

/// The classes of refusal. The set is closed: whatever goes wrong is told to a peer as one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The arguments are not what the tool takes.
    BadArguments,
    /// The presentation is malformed, forged, expired, used before, or not this peer's.
    BadPresentation,
    /// The presentation was made for an earlier run of the vault: open again.
    Stale,
    /// Nothing grants this.
    NotGranted,
    /// A grant exists, and one of its bounds says no. Also what is not there: absent and out of scope are one.
    OutOfScope,
    /// A counter is used up.
    RateLimited,
    /// The grant is over, or was revoked.
    Revoked,
    /// The agent is frozen.
    Frozen,
    /// The capability is unknown, expired, spent, or another peer's.
    BadCapability,
    /// The step, or a parameter of it, is not one this call may use.
    BadStep,
    /// The tool's definition is no longer the one that was granted.
    ToolChanged,
    /// The credential must be renewed by the admin.
    NeedsLogin,
    /// The upstream could not be reached, or answered what may not be passed on.
    Upstream,
    /// The upstream's answer was withheld.
    Withheld,
    /// It is not known whether the upstream acted.
    Unknown,
    /// The vault is sealed.
    Sealed,
    /// The vault cannot do it now: no room for the audit, a store that does not answer, a clock that went back.
    Unavailable,
    /// Too much at once from this peer.
    Busy,
    /// A person must agree first: the refusal names what to collect by.
    Pending,
    /// A person said no, and it is too early to ask again.
    Denied,
}

impl Class {
    /// All classes.
    pub const ALL: [Class; 20] = [
        Class::BadArguments,
        Class::BadPresentation,
        Class::Stale,
        Class::NotGranted,
        Class::OutOfScope,
        Class::RateLimited,
        Class::Revoked,
        Class::Frozen,
        Class::BadCapability,
        Class::BadStep,
        Class::ToolChanged,
        Class::NeedsLogin,
        Class::Upstream,
        Class::Withheld,
        Class::Unknown,
        Class::Sealed,
        Class::Unavailable,
        Class::Busy,
        Class::Pending,
        Class::Denied,
    ];

    /// The word on the wire, in the audit log and in front of people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Class::BadArguments => "bad-arguments",
            Class::BadPresentation => "bad-presentation",
            Class::Stale => "stale",
            Class::NotGranted => "not-granted",
            Class::OutOfScope => "out-of-scope",
            Class::RateLimited => "rate-limited",
            Class::Revoked => "revoked",
            Class::Frozen => "frozen",
            Class::BadCapability => "bad-capability",
            Class::BadStep => "bad-step",
            Class::ToolChanged => "tool-changed",
            Class::NeedsLogin => "needs-login",
            Class::Upstream => "upstream",
            Class::Withheld => "withheld",
            Class::Unknown => "unknown",
            Class::Sealed => "sealed",
            Class::Unavailable => "unavailable",
            Class::Busy => "busy",
            Class::Pending => "pending",
            Class::Denied => "denied",
        }
    }

    /// The class of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Class::ALL.into_iter().find(|class| class.as_str() == word)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many characters of an offending value are kept.
const VALUE: usize = 500;

/// What a rule says when it refuses: the class and field for the peer, the rest for the owner alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// What the peer is told.
    pub class: Class,
    /// Which argument, caveat or parameter it was about; a name from the catalog, never text of the peer's.
    pub field: Option<String>,
    /// Which caveat refused, as the owner wrote it.
    pub caveat: Option<String>,
    /// The offending value. It goes to the sealed sidecar and to `claviger why`, nowhere else.
    pub value: Option<String>,
    /// The smallest change that would allow it, or what to do next, for `claviger why`.
    pub fix: Option<String>,
    /// What the agent collects by, once a person has agreed.
    pub approval: Option<ApprovalId>,
}

impl Denial {
    /// A denial of that class, with nothing else said yet.
    #[must_use]
    pub fn new(class: Class) -> Self {
        Self { class, field: None, caveat: None, value: None, fix: None, approval: None }
    }

    /// Names the field it is about.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Names the caveat that refused.
    #[must_use]
    pub fn caveat(mut self, caveat: impl Into<String>) -> Self {
        self.caveat = Some(caveat.into());
        self
    }

    /// Keeps the offending value for the owner, at most 500 characters of it: a peer's text may be long.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        let mut value = value.into();
        if let Some((end, _)) = value.char_indices().nth(VALUE) {
            value.truncate(end);
        }
        self.value = Some(value);
        self
    }

    /// Names what the agent collects by, once a person has agreed.
    #[must_use]
    pub fn approval(mut self, id: ApprovalId) -> Self {
        self.approval = Some(id);
        self
    }

    /// Says what would allow it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// A denial that was recorded: what goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}{}{}", field.as_deref().map(|f| format!(" ({f})")).unwrap_or_default(), reference.map(|r| format!(", {r}")).unwrap_or_default())]
pub struct Refusal {
    /// The class.
    pub class: Class,
    /// The field's name; `None` for an agent whose refusals are opaque.
    pub field: Option<String>,
    /// What `claviger why` takes; `None` only where the refusal could not be recorded.
    pub reference: Option<Ref>,
    /// Class `pending` only: what the agent collects by.
    pub approval: Option<ApprovalId>,
}
