//! The one decision: may this call be made? A yes is a [`Permit`], which cannot be copied, forged or used twice.

use claviger_canonical::Canonical;
use claviger_canonical::presentation::Verified;

use crate::arg::Arguments;
use crate::caveat::Caveat;
use crate::grant::{Grant, Handle};
use crate::name::{AdapterName, ToolName};
use crate::rate::Rate;
use crate::refusal::{Class, Denial};
use crate::scope::Scope;
use crate::tool::{Service, Tool};

/// All that the decision looks at.
#[derive(Debug)]
pub struct Question<'a> {
    /// The vault's time, in milliseconds since 1970.
    pub now_ms: u64,
    /// Who asks to serve the call.
    pub adapter: &'a AdapterName,
    /// Whether the agent is frozen.
    pub frozen: bool,
    /// The handle presented.
    pub handle: &'a Handle,
    /// Its ancestors, nearest first, all of them.
    pub ancestors: &'a [&'a Handle],
    /// Its grant.
    pub grant: &'a Grant,
    /// The service of the grant's secret, as the catalog has it now.
    pub service: &'a Service,
}

/// A yes to one call. No `Clone`, no public fields, one constructor; whoever mints consumes it.
///
/// ```compile_fail
/// fn twice(permit: claviger_domain::permit::Permit) {
///     let copy = permit.clone();
/// }
/// ```
///
/// ```compile_fail
/// let forged = claviger_domain::permit::Permit { arguments: todo!(), scope: todo!(), tool: todo!() };
/// ```
#[derive(Debug)]
pub struct Permit {
    tool: ToolName,
    arguments: Arguments,
    scope: Scope,
}

impl Permit {
    /// A permit that nobody decided, for this crate's own tests.
    #[cfg(test)]
    pub(crate) fn for_tests(tool: ToolName, arguments: Arguments, scope: Scope) -> Self {
        Self { tool, arguments, scope }
    }

    /// The arguments that were decided on.
    #[must_use]
    pub fn arguments(&self) -> &Arguments {
        &self.arguments
    }

    /// What the call may touch.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Takes the permit apart; it is gone then.
    #[must_use]
    pub fn consume(self) -> (ToolName, Arguments, Scope) {
        (self.tool, self.arguments, self.scope)
    }
}

/// Checks all of a call that needs no counter and no look at an object, in the order that tells a stranger least:
/// first who asks, then whether the handle lives, then whether the proof holds for these arguments, then the bounds.
///
/// The proof itself was checked by whoever holds the key: `verified` is the witness.
///
/// # Errors
/// The first rule that says no.
pub fn decide(question: &Question<'_>, verified: &Verified, arguments: &Canonical) -> Result<Permit, Denial> {
    alive(question)?;
    proven(question, verified, arguments)?;
    within(question, verified, arguments)
}

/// As [`decide`], where an agent has several grants for one tool of one secret: what it presented by the one's root
/// handle may be allowed by the other. A child handle stands for nothing but itself.
///
/// # Errors
/// The first rule that says no; class `not-granted` where the other may not stand in for the one.
pub fn decide_by(
    presented: &Question<'_>,
    by: &Question<'_>,
    verified: &Verified,
    arguments: &Canonical,
) -> Result<Permit, Denial> {
    if presented.handle.id == by.handle.id {
        return decide(by, verified, arguments);
    }
    alive(by)?;
    proven(presented, verified, arguments)?;
    let root = |question: &Question<'_>| {
        question.handle.id == question.grant.root
            && question.handle.grant == question.grant.id
            && question.handle.ancestors.is_empty()
            && question.ancestors.is_empty()
    };
    if !root(presented)
        || !root(by)
        || presented.grant.agent != by.grant.agent
        || presented.grant.secret != by.grant.secret
    {
        return Err(Denial::new(Class::NotGranted).field("handle"));
    }
    within(by, verified, arguments)
}

/// Whether the proof is for this handle, with all its ancestors, and for these arguments.
fn proven(question: &Question<'_>, verified: &Verified, arguments: &Canonical) -> Result<(), Denial> {
    let claim = verified.claim();
    if claim.handle != *question.handle.id.as_bytes() || question.handle.grant != question.grant.id {
        return Err(Denial::new(Class::BadPresentation).field("handle"));
    }
    // A child is bound by its parents too: where one of them is missing, what it says cannot be checked.
    let ancestors = question.ancestors.iter().map(|ancestor| ancestor.id);
    if !ancestors.eq(question.handle.ancestors.iter().copied())
        || question.ancestors.iter().any(|ancestor| ancestor.grant != question.grant.id)
    {
        return Err(Denial::new(Class::BadPresentation)
            .field("handle")
            .fix("a parent of the handle is gone"));
    }
    if claim.digest != arguments.digest() {
        return Err(Denial::new(Class::BadPresentation).field("digest"));
    }
    Ok(())
}

/// Whether the tool was granted, and the call is within every bound.
fn within(question: &Question<'_>, verified: &Verified, arguments: &Canonical) -> Result<Permit, Denial> {
    let tool = granted(question, verified.claim().tool.as_str())?;
    let arguments = Arguments::parse(&tool.args, arguments.value())?;
    for caveat in caveats(question) {
        caveat.decide(tool, &arguments, question.now_ms)?;
    }
    // A grant's bounds were found enforceable by each of its tools. A child's need only one tool that can: whichever
    // other cannot is not allowed by it.
    for caveat in
        question.ancestors.iter().flat_map(|ancestor| &ancestor.caveats).chain(&question.handle.caveats)
    {
        caveat
            .enforceable(tool)
            .map_err(|why| Denial::new(Class::OutOfScope).field("tool").caveat(caveat.to_text()).fix(why))?;
    }
    Ok(Permit { tool: tool.name.clone(), arguments, scope: Scope::of(caveats(question)) })
}

/// Whether the handle may be used at all by that adapter.
///
/// # Errors
/// Class `bad-presentation` for another service's adapter, `frozen`, or `revoked`.
pub fn alive(question: &Question<'_>) -> Result<(), Denial> {
    if question.adapter.as_str() != question.service.id.as_str() {
        return Err(Denial::new(Class::BadPresentation).field("adapter"));
    }
    question.grant.alive(question.now_ms)?;
    if question.frozen {
        return Err(Denial::new(Class::Frozen)
            .field("agent")
            .fix("look at its log, then run `claviger thaw`"));
    }
    Ok(())
}

/// All caveats a call is under: the grant's, its handle's and those of all its handle's ancestors.
pub fn caveats<'a>(question: &Question<'a>) -> impl Iterator<Item = &'a Caveat> + use<'a> {
    let (grant, handle, ancestors) = (question.grant, question.handle, question.ancestors);
    let inherited = ancestors.iter().rev().flat_map(|ancestor| &ancestor.caveats);
    grant.caveats.iter().chain(inherited).chain(&handle.caveats)
}

/// The counters a call charges: every `rate`, and the least of all `calls`.
pub fn counters<'a>(caveats: impl Iterator<Item = &'a Caveat>) -> (Vec<Rate>, Option<u64>) {
    let mut rates = Vec::new();
    let mut calls = None;
    for caveat in caveats {
        match caveat {
            Caveat::Rate(rate) => rates.push(*rate),
            Caveat::Calls(most) => calls = Some(calls.map_or(*most, |least: u64| least.min(*most))),
            _ => {}
        }
    }
    (rates, calls)
}

/// The granted tool of that name, if its definition is still the one that was granted.
fn granted<'a>(question: &Question<'a>, name: &str) -> Result<&'a Tool, Denial> {
    let not_granted = || Denial::new(Class::NotGranted).field("tool").value(name);
    let granted = question
        .grant
        .tools
        .iter()
        .find(|tool| tool.name.to_string() == name)
        .ok_or_else(|| not_granted().fix("make a grant that names this tool"))?;
    // The grant's secret goes to its own service only, whatever the grant's list of tools says.
    if granted.name.service() != &question.service.id
        || question.grant.secret.service() != &question.service.id
    {
        return Err(not_granted().fix("the grant's secret is for another service"));
    }
    let changed = || {
        Denial::new(Class::ToolChanged)
            .field("tool")
            .fix("the tool's definition is not the one that was granted; look at it with `claviger services`, then revoke and grant anew")
    };
    let tool = question.service.tools.get(granted.name.tool()).ok_or_else(changed)?;
    if tool.definition == granted.definition { Ok(tool) } else { Err(changed()) }
}
