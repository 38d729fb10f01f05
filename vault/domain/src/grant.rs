//! Grants and handles, and whether they are alive.

use crate::caveat::Caveat;
use crate::effect::Effect;
use crate::id::{GrantId, HandleId};
use crate::name::{AgentName, SecretName, ToolName};
use crate::refusal::{Class, Denial};
use crate::tool::Definition;

/// The admin's word on approvals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approve {
    /// Nothing was said: a call that sends or deletes is asked for each time, any other never.
    Default,
    /// The admin said, in so many words, that nobody is to be asked.
    Never,
    /// Every call of an agent that has read what strangers can write is asked for.
    Tainted,
    /// A call is asked for where it reaches a recipient, a host or a folder not yet agreed to under this grant.
    New,
    /// Every call is asked for.
    Always,
}

impl Approve {
    /// The word in a grant.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Approve::Default => "default",
            Approve::Never => "never",
            Approve::Tainted => "tainted",
            Approve::New => "new",
            Approve::Always => "always",
        }
    }

    /// All words.
    pub const ALL: [Approve; 5] =
        [Approve::Default, Approve::Never, Approve::Tainted, Approve::New, Approve::Always];
}

/// Whether a grant still stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It stands, until it expires.
    Active,
    /// It was revoked. Final.
    Revoked {
        /// When, in milliseconds since 1970.
        at_ms: u64,
    },
}

/// One tool of a grant, as it was defined when the grant was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedTool {
    /// The tool.
    pub name: ToolName,
    /// Its effect then.
    pub effect: Effect,
    /// Its definition then.
    pub definition: Definition,
}

/// The admin's word: this agent, this secret, these tools, these caveats, until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Names it.
    pub id: GrantId,
    /// To whom.
    pub agent: AgentName,
    /// With which secret.
    pub secret: SecretName,
    /// Which tools.
    pub tools: Vec<GrantedTool>,
    /// Within which bounds, all of them.
    pub caveats: Vec<Caveat>,
    /// Until when, in milliseconds since 1970; `None` for no end.
    pub expires_at_ms: Option<u64>,
    /// Whether a human is asked.
    pub approve: Approve,
    /// It forbids what it names, whatever other grants allow.
    pub deny: bool,
    /// Its recipients are a fixed list that the admin declared harmless, even for an agent that has read what
    /// strangers can write.
    pub trusted_sink: bool,
    /// What a list of grants knows it by.
    pub name: Option<String>,
    /// How long it was asked to last when it was made, in seconds; `None` for no end.
    pub lasts_s: Option<u64>,
    /// When it was made, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// Whether it stands.
    pub state: State,
    /// The handle that stands for the whole of it.
    pub root: HandleId,
}

impl Grant {
    /// Whether it may be used now.
    ///
    /// # Errors
    /// Class `revoked` where it was revoked or has expired.
    pub fn alive(&self, now_ms: u64) -> Result<(), Denial> {
        if let State::Revoked { .. } = self.state {
            return Err(Denial::new(Class::Revoked)
                .field("grant")
                .fix("the grant was revoked; make a new one"));
        }
        match self.expires_at_ms {
            Some(end) if now_ms >= end => {
                Err(Denial::new(Class::Revoked).field("expires").fix("the grant has expired; make a new one"))
            }
            _ => Ok(()),
        }
    }

    /// The tool of that name, if it was granted.
    #[must_use]
    pub fn tool(&self, name: &ToolName) -> Option<&GrantedTool> {
        self.tools.iter().find(|tool| tool.name == *name)
    }

    /// Whether this grant and another both speak of that tool with the same secret for the same agent.
    #[must_use]
    pub fn shares(&self, other: &Grant, tool: &ToolName) -> bool {
        self.agent == other.agent
            && self.secret == other.secret
            && self.tool(tool).is_some()
            && other.tool(tool).is_some()
    }
}

/// The opaque reference to a grant that an agent holds. A child carries further caveats than its parents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle {
    /// Names it.
    pub id: HandleId,
    /// Which grant it stands for.
    pub grant: GrantId,
    /// Its parents, nearest first; empty for a grant's root handle.
    pub ancestors: Vec<HandleId>,
    /// What it is bounded by beyond its grant and its parents.
    pub caveats: Vec<Caveat>,
    /// What whoever narrowed it called it; for people.
    pub label: String,
    /// Whether the owner agreed to it as a task: its calls need no further approval.
    pub task: bool,
    /// When it was made, in milliseconds since 1970.
    pub created_at_ms: u64,
}

/// How many handles may stand above a child.
pub const DEPTH: usize = 8;

impl Handle {
    /// Whether its own bounds in time allow a use now. Its grant and its ancestors have theirs.
    ///
    /// # Errors
    /// Class `revoked` before or after its time.
    pub fn alive(&self, now_ms: u64) -> Result<(), Denial> {
        let over = self.caveats.iter().find(|caveat| match caveat {
            Caveat::Expires(end) => now_ms >= *end,
            Caveat::NotBefore(start) => now_ms < *start,
            _ => false,
        });
        match over {
            None => Ok(()),
            Some(caveat) => Err(Denial::new(Class::Revoked).field("expires").caveat(caveat.to_text())),
        }
    }

    /// Whether its time has passed for good.
    #[must_use]
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.ends_at_ms().is_some_and(|end| now_ms >= end)
    }

    /// When its own bounds end it, in milliseconds since 1970; `None` for never.
    #[must_use]
    pub fn ends_at_ms(&self) -> Option<u64> {
        let ends = self.caveats.iter().filter_map(|caveat| match caveat {
            Caveat::Expires(end) => Some(*end),
            _ => None,
        });
        ends.min()
    }
}
