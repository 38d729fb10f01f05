//! What an owner means, before it counts: what a call would be told, what a list of grants would change, what the calls
//! on record would have needed or been told.

mod can;
mod plan;
mod simulate;
mod suggest;

use claviger_canonical::Canonical;
use claviger_domain::grant::Grant;
use claviger_domain::id::{GrantId, Ref};
use claviger_domain::name::{AgentName, SecretName, ToolName};
use claviger_domain::policy::Verdict;

use super::view::GrantAsk;

/// A call that is asked about.
#[derive(Debug, Clone)]
pub struct CanAsk {
    /// Whose.
    pub agent: AgentName,
    /// Which tool.
    pub tool: ToolName,
    /// With which secret; `None` for any.
    pub secret: Option<SecretName>,
    /// Its arguments.
    pub arguments: Canonical,
}

/// A test of a list of grants: what a call is to be told.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// The call.
    pub call: CanAsk,
    /// `yes`, `no` or `approval`.
    pub word: &'static str,
}

/// A list of grants, as an owner wrote it.
#[derive(Debug, Clone)]
pub struct PlanAsk {
    /// What is to be there.
    pub grants: Vec<GrantAsk>,
    /// What must hold then.
    pub tests: Vec<Expectation>,
    /// Whether other grants of the same agents go.
    pub prune: bool,
    /// The digest of the plan to carry out; `None` only to look.
    pub apply: Option<String>,
}

/// One difference between what is there and what is to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What would happen.
    pub kind: ChangeKind,
    /// The grant as it is, if it is there.
    pub before: Option<Grant>,
    /// The grant as it would be, if it would be there.
    pub after: Option<Grant>,
}

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// A grant is made.
    Add,
    /// A grant is changed in place: its handle, its counters and, where the span is the same, its end stay.
    Change,
    /// A grant is as it is to be.
    Keep,
    /// A grant is revoked.
    Revoke,
    /// A grant of one of the agents that the list does not describe, and that stays.
    Unmanaged,
}

impl ChangeKind {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ChangeKind::Add => "add",
            ChangeKind::Change => "change",
            ChangeKind::Keep => "keep",
            ChangeKind::Revoke => "revoke",
            ChangeKind::Unmanaged => "unmanaged",
        }
    }
}

/// What a plan comes to.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The differences, in the order of the list, then what is not in it.
    pub changes: Vec<Change>,
    /// Each test with what it got.
    pub tests: Vec<(Expectation, Verdict)>,
    /// Names this plan: the same differences have the same.
    pub digest: String,
    /// Whether it was carried out.
    pub applied: bool,
}

/// What the calls on record would have needed.
#[derive(Debug, Clone, Default)]
pub struct Suggested {
    /// Grants, each with how many calls it stands for.
    pub grants: Vec<(GrantAsk, u64)>,
    /// Tools of live grants that no call used; whether that is all of a grant's tools.
    pub unused: Vec<(GrantId, Vec<ToolName>, bool)>,
    /// Calls that were looked at.
    pub looked_at: u64,
    /// Calls whose arguments are no longer kept.
    pub forgotten: u64,
}

/// A call on record to which the list of grants would say something else.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// Its event.
    pub reference: Ref,
    /// When it was, in milliseconds since 1970.
    pub at_ms: u64,
    /// Whose.
    pub agent: AgentName,
    /// Which tool.
    pub tool: ToolName,
    /// With which secret.
    pub secret: SecretName,
    /// What it was told then: `yes`, `approval`, or the class of the refusal.
    pub then: &'static str,
    /// What the list says.
    pub now: Verdict,
}

/// What a list of grants would have said to the calls on record.
#[derive(Debug, Clone, Default)]
pub struct Simulated {
    /// Where it differs from what was said, newest first.
    pub differing: Vec<Replayed>,
    /// Calls to which it says the same.
    pub same: u64,
    /// Calls whose arguments are no longer kept.
    pub forgotten: u64,
}

/// How many records of the log one question looks at, at most.
const MOST_RECORDS: usize = 50_000;
