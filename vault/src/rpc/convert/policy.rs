//! Questions about what grants mean, and their answers.

use claviger_canonical::Canonical;
use claviger_domain::grant::Grant;
use claviger_domain::id::GrantId;
use claviger_domain::name::AgentName;
use claviger_domain::policy::Verdict;
use claviger_domain::refusal::Denial;
use claviger_domain::sentence::{sentence, warnings};
use claviger_proto::v1;

use super::ask::{Asked, agent, few, grant, invalid, named, optional, secret};
use super::caveats;
use crate::broker::policy::{CanAsk, Change, Expectation, PlanAsk, Planned, Replayed, Simulated, Suggested};
use crate::broker::view::GrantAsk;

/// Which call is asked about.
///
/// # Errors
/// A name that is none, or arguments that are not in canonical form.
pub fn can(request: v1::CanRequest) -> Asked<CanAsk> {
    let v1::CanRequest { agent: whose, tool, arguments, secret: with } = request;
    Ok(CanAsk {
        agent: agent(&whose)?,
        tool: named(&tool, "gmail.send_message")?,
        secret: optional(&with, secret)?,
        arguments: Canonical::from_bytes(&arguments).map_err(|bad| {
            invalid(
                format!("the arguments are not in canonical form: {bad}"),
                "use a command line of its version",
            )
        })?,
    })
}

/// What is to be there, and what must hold then.
///
/// # Errors
/// As for one grant; a test that expects no such word.
pub fn plan(request: v1::PlanRequest) -> Asked<PlanAsk> {
    let v1::PlanRequest { grants, tests, prune, apply, digest } = request;
    few(&tests, "tests")?;
    Ok(PlanAsk {
        grants: list(grants)?,
        tests: tests.into_iter().map(expectation).collect::<Asked<_>>()?,
        prune,
        apply: apply.then_some(digest),
    })
}

fn list(grants: Vec<v1::AddGrantRequest>) -> Asked<Vec<GrantAsk>> {
    few(&grants, "grants")?;
    grants.into_iter().map(grant).collect()
}

fn expectation(test: v1::PlanTest) -> Asked<Expectation> {
    let v1::PlanTest { agent, tool, arguments, secret, expect } = test;
    let word = ["yes", "no", "approval"].into_iter().find(|word| *word == expect);
    let word =
        word.ok_or_else(|| invalid("a test expects yes, no or approval", "such as expect = \"no\""))?;
    Ok(Expectation { call: can(v1::CanRequest { agent, tool, arguments, secret })?, word })
}

/// Which grants to ask about the calls of whom, since when.
///
/// # Errors
/// As for one grant; a name that is none.
pub fn simulate(request: v1::SimulateRequest) -> Asked<(Vec<GrantAsk>, Option<AgentName>, u64)> {
    let v1::SimulateRequest { grants, since_ms, agent: whose } = request;
    Ok((list(grants)?, optional(&whose, agent)?, since_ms))
}

/// What the grants say.
#[must_use]
pub fn verdict(verdict: Verdict) -> v1::CanResponse {
    let answer = verdict.word().to_owned();
    match verdict {
        Verdict::Yes { grant, conditions } | Verdict::Approval { grant, conditions } => {
            v1::CanResponse { answer, grant: grant.to_string(), conditions, objections: Vec::new() }
        }
        Verdict::No { objections } => v1::CanResponse {
            answer,
            grant: String::new(),
            conditions: Vec::new(),
            objections: objections.into_iter().map(objection).collect(),
        },
    }
}

fn objection((grant, denial): (Option<GrantId>, Denial)) -> v1::Objection {
    let Denial { class, field, caveat, value, fix, approval: _ } = denial;
    v1::Objection {
        grant: grant.map(|grant| grant.to_string()).unwrap_or_default(),
        class: class.as_str().to_owned(),
        field: field.unwrap_or_default(),
        caveat: caveat.unwrap_or_default(),
        value: value.unwrap_or_default(),
        fix: fix.unwrap_or_default(),
    }
}

/// What a list of grants would change, or changed.
#[must_use]
pub fn planned(planned: Planned) -> v1::PlanResponse {
    let Planned { changes, tests, digest, applied } = planned;
    let tests = tests.into_iter().map(|(test, got)| v1::TestResult {
        holds: test.word == got.word(),
        got: Some(verdict(got)),
        test: Some(v1::PlanTest {
            agent: test.call.agent.to_string(),
            tool: test.call.tool.to_string(),
            arguments: test.call.arguments.bytes().to_vec(),
            secret: test.call.secret.map(|secret| secret.to_string()).unwrap_or_default(),
            expect: test.word.to_owned(),
        }),
    });
    v1::PlanResponse {
        changes: changes.into_iter().map(change).collect(),
        tests: tests.collect(),
        digest,
        applied,
    }
}

fn change(change: Change) -> v1::Change {
    let Change { kind, before, after } = change;
    let lines = |grant: &Option<Grant>| grant.as_ref().map(lines).unwrap_or_default();
    let (was, is) = (lines(&before), lines(&after));
    let shown = after.as_ref().or(before.as_ref());
    v1::Change {
        kind: kind.as_str().to_owned(),
        grant: before.as_ref().map(|grant| grant.id.to_string()).unwrap_or_default(),
        name: shown.and_then(|grant| grant.name.clone()).unwrap_or_default(),
        agent: shown.map(|grant| grant.agent.to_string()).unwrap_or_default(),
        before: was.iter().filter(|line| !is.contains(line)).cloned().collect(),
        after: is.iter().filter(|line| !was.contains(line)).cloned().collect(),
        sentence: shown.map(sentence).unwrap_or_default(),
        warnings: after.as_ref().map(warnings).unwrap_or_default(),
    }
}

/// A grant, a line for each thing that can differ.
fn lines(grant: &Grant) -> Vec<String> {
    let mut lines: Vec<String> =
        grant.tools.iter().map(|tool| format!("tool {} [{}]", tool.name, tool.definition.short())).collect();
    lines.extend(grant.caveats.iter().map(claviger_domain::caveat::Caveat::to_text));
    lines.push(format!("approve = {}", grant.approve.as_str()));
    lines.push(match grant.lasts_s {
        Some(seconds) => format!("expires after {seconds} s"),
        None => "expires never".to_owned(),
    });
    if grant.deny {
        lines.push("deny".to_owned());
    }
    if grant.trusted_sink {
        lines.push("trusted sink".to_owned());
    }
    lines
}

/// What the calls on record would have needed.
#[must_use]
pub fn suggested(suggested: Suggested) -> v1::SuggestResponse {
    let Suggested { grants, unused, looked_at, forgotten } = suggested;
    let (grants, calls): (Vec<_>, Vec<u64>) = grants.into_iter().unzip();
    let unused = unused.into_iter().map(|(grant, tools, whole)| v1::Unused {
        grant: grant.to_string(),
        tools: tools.iter().map(ToString::to_string).collect(),
        whole,
    });
    v1::SuggestResponse {
        grants: grants.into_iter().map(proposal).collect(),
        calls,
        unused: unused.collect(),
        looked_at,
        forgotten,
    }
}

fn proposal(ask: GrantAsk) -> v1::AddGrantRequest {
    let GrantAsk { agent, secret, tools, effects, caveats, expires_in_s, approve, deny, trusted_sink, name } =
        ask;
    let approve = match approve {
        claviger_domain::grant::Approve::Default => String::new(),
        word => word.as_str().to_owned(),
    };
    v1::AddGrantRequest {
        agent: agent.to_string(),
        secret: secret.to_string(),
        tools: tools.iter().map(ToString::to_string).collect(),
        effects: effects.iter().map(ToString::to_string).collect(),
        caveats: caveats.into_iter().map(caveats::answer).collect(),
        expires_in_seconds: expires_in_s.unwrap_or(0),
        approve,
        deny,
        trusted_sink,
        name: name.unwrap_or_default(),
    }
}

/// What a list of grants would have said.
#[must_use]
pub fn simulated(simulated: Simulated) -> v1::SimulateResponse {
    let Simulated { differing, same, forgotten } = simulated;
    let replayed = |replayed: Replayed| {
        let Replayed { reference, at_ms, agent, tool, secret, then, now } = replayed;
        v1::Replayed {
            reference: reference.to_string(),
            at_ms,
            agent: agent.to_string(),
            tool: tool.to_string(),
            secret: secret.to_string(),
            then: then.to_owned(),
            now: Some(verdict(now)),
        }
    };
    v1::SimulateResponse { differing: differing.into_iter().map(replayed).collect(), same, forgotten }
}
