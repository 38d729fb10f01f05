//! What a set of grants says to a call, without making it: nothing is charged, sent or looked at.
//!
//! It asks the same questions in the same order as minting does, of the same functions. What only the object can
//! answer, or a counter, is told as a condition of the yes.

use std::collections::BTreeSet;

use claviger_canonical::Value;

use crate::approval::{Asking, Reach, Why, due};
use crate::arg::Arguments;
use crate::caveat::Caveat;
use crate::deny::forbids;
use crate::grant::Grant;
use crate::id::GrantId;
use crate::refusal::{Class, Denial};
use crate::seen::Seen;
use crate::tool::{Service, Tool};

/// A call that is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The service of the secret.
    pub service: &'a Service,
    /// The tool.
    pub tool: &'a Tool,
    /// Its arguments.
    pub arguments: &'a Value,
    /// The vault's time, in milliseconds since 1970.
    pub now_ms: u64,
    /// Whether the agent has read what strangers can write.
    pub tainted: bool,
}

/// What the grants say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It would be made.
    Yes {
        /// By which grant.
        grant: GrantId,
        /// What it still depends on.
        conditions: Vec<String>,
    },
    /// It would be made once a person has agreed.
    Approval {
        /// By which grant.
        grant: GrantId,
        /// Why a person is asked, and what it still depends on.
        conditions: Vec<String>,
    },
    /// It would be refused.
    No {
        /// What each grant that was asked says, or no grant where none was.
        objections: Vec<(Option<GrantId>, Denial)>,
    },
}

impl Verdict {
    /// The word for it: `yes`, `approval` or `no`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Yes { .. } => "yes",
            Verdict::Approval { .. } => "approval",
            Verdict::No { .. } => "no",
        }
    }
}

/// Asks grants about a call, in the order they are given, which must be the order they were made in. They must be one
/// agent's, and with secrets of the case's service; what forbids among them beats what allows.
#[must_use]
pub fn judge<'a>(grants: impl Iterator<Item = &'a Grant> + Clone, case: &Case<'_>) -> Verdict {
    let no = |grant, denial| Verdict::No { objections: vec![(grant, denial)] };
    let args = match Arguments::parse(&case.tool.args, case.arguments) {
        Ok(args) => args,
        Err(denial) => return no(None, denial),
    };
    let mut objections = Vec::new();
    for grant in grants.clone().filter(|grant| !grant.deny && grant.tool(&case.tool.name).is_some()) {
        let forbidden = grants
            .clone()
            .filter(|other| other.secret == grant.secret && other.alive(case.now_ms).is_ok())
            .find_map(|other| forbids(other, case.tool, &args).err().map(|denial| (other.id, denial)));
        if let Some((by, denial)) = forbidden {
            objections.push((Some(by), denial));
            continue;
        }
        match allows(grant, case, &args) {
            Err(denial) => objections.push((Some(grant.id), denial)),
            Ok(mut conditions) => {
                return match asks(grant, case, &args) {
                    None => Verdict::Yes { grant: grant.id, conditions },
                    Some(why) => {
                        conditions.insert(0, why);
                        Verdict::Approval { grant: grant.id, conditions }
                    }
                };
            }
        }
    }
    if objections.is_empty() {
        let denial = Denial::new(Class::NotGranted)
            .field("tool")
            .value(case.tool.name.to_string())
            .fix("make a grant that names this tool");
        return no(None, denial);
    }
    Verdict::No { objections }
}

/// What the grant's yes would depend on.
fn allows(grant: &Grant, case: &Case<'_>, args: &Arguments) -> Result<Vec<String>, Denial> {
    grant.alive(case.now_ms)?;
    if grant.tool(&case.tool.name).is_none_or(|granted| granted.definition != case.tool.definition) {
        return Err(Denial::new(Class::ToolChanged).field("tool").fix("the tool has changed; grant it anew"));
    }
    let mut conditions = Vec::new();
    for caveat in &grant.caveats {
        caveat.decide(case.tool, args, case.now_ms)?;
        conditions.extend(condition(caveat, case.tool));
    }
    if case.tool.looks.iter().any(|look| look.is_due(args)) {
        conditions.push(
            "the object is looked at first: whom it reaches counts, and may make it something you are asked about"
                .to_owned(),
        );
    }
    Ok(conditions)
}

/// What only the object or a counter can answer about a bound.
fn condition(caveat: &Caveat, tool: &Tool) -> Option<String> {
    match caveat {
        Caveat::Rate(rate) => Some(format!("not more often than {rate}")),
        Caveat::Calls(calls) => Some(format!("while fewer than {calls} calls were made")),
        Caveat::BytesADay(_) | Caveat::MadeByAgent | Caveat::People(_) | Caveat::Within(_) => {
            Some(format!("as long as the object keeps to {}", caveat.to_text()))
        }
        Caveat::Resource(bound) if tool.resource_args(&bound.resource).is_empty() => {
            Some(format!("if the {} is {}", bound.resource, bound.names().join(" or ")))
        }
        _ => None,
    }
}

/// Why a person would be asked, as far as the arguments tell: what was agreed to before is not looked up here.
fn asks(grant: &Grant, case: &Case<'_>, args: &Arguments) -> Option<String> {
    let seen = Seen::nothing(case.tool.effect_of(args));
    let why = due(&Asking {
        approve: grant.approve,
        effect: seen.effect,
        tainted: case.tainted,
        trusted_sink: grant.trusted_sink,
        task: false,
        reaches: &Reach::of(case.tool, args, &seen),
        known: &BTreeSet::new(),
    })?;
    let before = if matches!(why, Why::New(_)) { ", unless it was agreed to before" } else { "" };
    Some(format!("you are asked: {why}{before}"))
}
