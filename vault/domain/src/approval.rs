//! Approvals: a person's word on one exact call, or on something an agent asked for.
//!
//! ```text
//!            yes                    collected, in the commit that charges the call
//! pending ───────▶ approved ─────────────────────────────────────────────────────▶ done
//!    │  ╲ no          │
//!    │   ╲────▶ denied│
//!    └────── time ────┴────▶ expired
//! ```

use std::collections::BTreeSet;

use claviger_canonical::Digest;

use crate::arg::{ArgValue, Arguments};
use crate::effect::Effect;
use crate::grant::Approve;
use crate::id::{ApprovalId, GrantId, HandleId};
use crate::name::{AgentName, SecretName, ToolName};
use crate::refusal::{Class, Denial};
use crate::seen::{Party, Seen};
use crate::tool::{Definition, Tool};

/// How long an approval of a call lives, from the moment it was asked for, in milliseconds.
pub const CALL_LIFE_MS: u64 = 10 * 60 * 1000;

/// How long a task, a grant or a question waits for its answer, in milliseconds: an owner sleeps.
pub const ASK_LIFE_MS: u64 = 24 * 60 * 60 * 1000;

/// How many of an agent's may be pending at a time, of all kinds together.
pub const MOST_PENDING: usize = 5;

/// What waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// One exact call.
    Call,
    /// A child handle whose calls need no further approval.
    Task,
    /// A grant.
    Grant,
    /// A question, answered in words.
    Question,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 4] = [Kind::Call, Kind::Task, Kind::Grant, Kind::Question];

    /// The word on the wire and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Call => "call",
            Kind::Task => "task",
            Kind::Grant => "grant",
            Kind::Question => "question",
        }
    }

    /// The kind of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// How it stands with an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Nobody has decided.
    Pending,
    /// A person said yes.
    Approved,
    /// A person said no.
    Denied,
    /// Nobody decided in time, or the yes was not used in time.
    Expired,
    /// The yes is used up.
    Done,
}

impl State {
    /// All states.
    pub const ALL: [State; 5] = [State::Pending, State::Approved, State::Denied, State::Expired, State::Done];

    /// The word on the wire and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Approved => "approved",
            State::Denied => "denied",
            State::Expired => "expired",
            State::Done => "done",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        State::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing more can come of it.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, State::Denied | State::Expired | State::Done)
    }
}

/// What happens to an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A person said yes.
    Yes,
    /// A person said no.
    No,
    /// The call it is for is charged.
    Use,
}

/// One exact call, as an approval binds it: all of it, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Whose call.
    pub agent: AgentName,
    /// Under which grant.
    pub grant: GrantId,
    /// By which handle.
    pub handle: HandleId,
    /// With which secret.
    pub secret: SecretName,
    /// With which version of it.
    pub secret_version: u32,
    /// Of which tool.
    pub tool: ToolName,
    /// As it was defined.
    pub definition: Definition,
    /// SHA-256 of the canonical arguments.
    pub digest: Digest,
    /// What the object was like when it was looked at ([`Seen::digest`]).
    pub seen: Option<[u8; 32]>,
}

/// What waits, or waited, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Names it.
    pub id: ApprovalId,
    /// What it is.
    pub kind: Kind,
    /// Who asks.
    pub agent: AgentName,
    /// The call, where it is one.
    pub call: Option<Call>,
    /// How it stood when it was last written; [`Approval::state`] also knows the time.
    pub written: State,
    /// When it was asked for, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// When it is over, in milliseconds since 1970.
    pub expires_at_ms: u64,
    /// Why a person is asked, in words of the vault's.
    pub why: String,
}

impl Approval {
    /// How it stands at that time. A task, a grant or an answer that was given stays given.
    #[must_use]
    pub fn state(&self, now_ms: u64) -> State {
        let waits = match self.written {
            State::Pending => true,
            State::Approved => self.kind == Kind::Call,
            State::Denied | State::Expired | State::Done => false,
        };
        if waits && now_ms >= self.expires_at_ms { State::Expired } else { self.written }
    }

    /// What it becomes.
    ///
    /// # Errors
    /// The state in which that cannot happen.
    pub fn after(&self, event: Event, now_ms: u64) -> Result<State, State> {
        match (self.state(now_ms), event) {
            (State::Pending, Event::Yes) => Ok(State::Approved),
            (State::Pending, Event::No) => Ok(State::Denied),
            (State::Approved, Event::Use) => Ok(State::Done),
            (state, _) => Err(state),
        }
    }

    /// Whether this is a person's yes to exactly that call, now.
    ///
    /// # Errors
    /// Class `bad-presentation` where it is for another call or is over, `pending` where nobody has decided, or the
    /// call has changed since somebody did (then the field says `secret` or `object`); `denied` where somebody said no.
    pub fn covers(&self, call: &Call, now_ms: u64) -> Result<(), Denial> {
        let other = || {
            Denial::new(Class::BadPresentation)
                .field("approval")
                .fix("the approval it names is not one of this call: only what a person was shown is run")
        };
        let bound = self.call.as_ref().filter(|_| self.kind == Kind::Call).ok_or_else(other)?;
        let Call { agent, grant, handle, secret, secret_version, tool, definition, digest, seen } = bound;
        if self.agent != call.agent
            || *agent != call.agent
            || *grant != call.grant
            || *handle != call.handle
            || *secret != call.secret
            || *tool != call.tool
            || *digest != call.digest
        {
            return Err(other());
        }
        match self.state(now_ms) {
            State::Approved => {}
            State::Pending => return Err(Denial::new(Class::Pending).approval(self.id)),
            State::Denied => {
                return Err(Denial::new(Class::Denied).field("approval").fix("a person said no to it"));
            }
            State::Expired => {
                return Err(Denial::new(Class::BadPresentation)
                    .field("approval")
                    .fix("it was not used within 10 minutes; call the tool again to ask anew"));
            }
            State::Done => {
                return Err(Denial::new(Class::BadPresentation)
                    .field("approval")
                    .fix("it is used up: an approval is for one call"));
            }
        }
        let changed = |field: &str, why: &str| Denial::new(Class::Pending).field(field).fix(why);
        if *definition != call.definition {
            return Err(Denial::new(Class::ToolChanged).field("tool"));
        }
        if *secret_version != call.secret_version {
            return Err(changed("secret", "the secret has a new version since a person agreed"));
        }
        if *seen != call.seen {
            return Err(changed("object", "what the call acts on has changed since a person agreed"));
        }
        Ok(())
    }
}

/// Whom, where or what a call reaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Somebody, by address, in lower case: for what is remembered two spellings are one mailbox or the stricter side.
    Person(String),
    /// A host, in lower case.
    Host(String),
    /// An object of that resource, by id: `label`, `folder`, `calendar`.
    Place(String, String),
    /// Somebody who cannot be read: always new, never remembered.
    Unknown,
}

impl Reach {
    /// The form in which it is remembered, shown and forgotten; `None` for what cannot be remembered.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        match self {
            Reach::Person(address) => Some(format!("to:{address}")),
            Reach::Host(host) => Some(format!("host:{host}")),
            Reach::Place(resource, id) => Some(format!("{resource}:{id}")),
            Reach::Unknown => None,
        }
    }

    /// Everything that a call reaches: the recipients among its arguments, the people that were seen, and each object
    /// of a resource that its arguments name.
    #[must_use]
    pub fn of(tool: &Tool, arguments: &Arguments, seen: &Seen) -> BTreeSet<Reach> {
        let mut found = BTreeSet::new();
        for name in tool.recipient_args() {
            match arguments.get(name) {
                None => {}
                Some(ArgValue::Addresses(addresses)) => {
                    found.extend(addresses.iter().map(|to| Reach::Person(to.as_str().to_ascii_lowercase())));
                }
                Some(_) => drop(found.insert(Reach::Unknown)),
            }
        }
        found.extend(arguments.iter().filter_map(|(_, value)| match value {
            ArgValue::Url(url) => Some(Reach::Host(url.host().to_ascii_lowercase())),
            _ => None,
        }));
        for party in &seen.people {
            found.insert(match party {
                Party::Address(address) => Reach::Person(address.as_str().to_ascii_lowercase()),
                Party::Unknown => Reach::Unknown,
            });
        }
        for (resource, check) in tool.steps.iter().flat_map(|step| &step.checks) {
            let probe = check.probe.as_ref();
            let named = [&check.arg, &probe.and_then(|probe| probe.add.clone())];
            for name in named.into_iter().flatten() {
                let ids = arguments.get(name).map(ArgValue::texts).unwrap_or_default();
                found.extend(ids.into_iter().map(|id| Reach::Place(resource.to_string(), id)));
            }
        }
        found
    }
}

/// Why a person is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The grant says nothing, and the call sends or deletes.
    Effect(Effect),
    /// The agent has read what strangers can write, and the call is no read.
    Tainted,
    /// It reaches what was not agreed to before: these, as [`Reach::to_text`] writes them.
    New(Vec<String>),
    /// It sends or deletes, and whom or where it reaches cannot be told.
    Unnamed,
    /// The grant says that each call is asked for.
    Always,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Why::Effect(Effect::Delete) => {
                f.write_str("it destroys something, and the grant does not say never to ask")
            }
            Why::Effect(_) => {
                f.write_str("it can reach somebody else, and the grant does not say never to ask")
            }
            Why::Tainted => f.write_str("the agent has read what strangers can write"),
            Why::New(news) => write!(f, "new under this grant: {}", news.join(", ")),
            Why::Unnamed => f.write_str("whom or what it reaches cannot be told"),
            Why::Always => f.write_str("the grant says to ask each time"),
        }
    }
}

/// All that decides whether a person is asked.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The grant's word.
    pub approve: Approve,
    /// The effect that the call would have, as it was seen.
    pub effect: Effect,
    /// Whether the agent has read what strangers can write.
    pub tainted: bool,
    /// Whether the grant's recipients were declared harmless.
    pub trusted_sink: bool,
    /// Whether the owner agreed to the handle as a task.
    pub task: bool,
    /// What the call reaches.
    pub reaches: &'a BTreeSet<Reach>,
    /// What was agreed to before under this grant.
    pub known: &'a BTreeSet<String>,
}

/// Whether a person is asked, and why.
#[must_use]
pub fn due(asking: &Asking<'_>) -> Option<Why> {
    let Asking { approve, effect, tainted, trusted_sink, task, reaches, known } = *asking;
    if task {
        return None;
    }
    match approve {
        Approve::Never => None,
        Approve::Always => Some(Why::Always),
        Approve::Default => effect.needs_approval_word().then_some(Why::Effect(effect)),
        // What is declared harmless is to whom it goes; nobody declared a destruction harmless.
        Approve::Tainted => {
            let harmless = trusted_sink && effect != Effect::Delete;
            (tainted && !effect.is_read() && !harmless).then_some(Why::Tainted)
        }
        Approve::New if effect.is_read() => None,
        Approve::New if reaches.is_empty() => effect.needs_approval_word().then_some(Why::Unnamed),
        Approve::New => {
            let news: Vec<String> = reaches
                .iter()
                .filter_map(|reach| match reach.to_text() {
                    None => Some("somebody who cannot be named".to_owned()),
                    Some(text) => (!known.contains(&text)).then_some(text),
                })
                .collect();
            (!news.is_empty()).then_some(Why::New(news))
        }
    }
}

/// How long after a denial the same may not be asked again, in milliseconds: 5 minutes, doubled with each denial in a
/// row, at most an hour. `denials` counts from 1.
#[must_use]
pub fn cool_down_ms(denials: u32) -> u64 {
    const FIRST: u64 = 5 * 60 * 1000;
    const MOST: u64 = 60 * 60 * 1000;
    (FIRST << denials.saturating_sub(1).min(8)).min(MOST)
}
