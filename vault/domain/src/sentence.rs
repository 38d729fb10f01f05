//! What a grant lets an agent do, in one plain sentence, and what an owner should think about.

use crate::caveat::Caveat;
use crate::effect::Effect;
use crate::grant::{Approve, Grant};

/// "openclaw may read (search_messages, get_message) with gmail/me, only label AI, at most 60/1h."
#[must_use]
pub fn sentence(grant: &Grant) -> String {
    let mut doing = Vec::new();
    for effect in Effect::ALL {
        let tools: Vec<&str> = grant
            .tools
            .iter()
            .filter(|tool| tool.effect == effect)
            .map(|tool| tool.name.tool().as_str())
            .collect();
        if !tools.is_empty() {
            doing.push(format!("{effect} ({})", tools.join(", ")));
        }
    }
    let mut text = format!("{} may {} with {}", grant.agent, join(&doing), grant.secret);
    for caveat in &grant.caveats {
        text.push_str(&match caveat {
            Caveat::Rate(rate) => format!(", at most {rate}"),
            Caveat::Calls(calls) => format!(", {calls} times altogether"),
            Caveat::Recipients(patterns) => {
                let names: Vec<String> = patterns.iter().map(ToString::to_string).collect();
                format!(", only to {}", join(&names))
            }
            Caveat::Resource(bound) => format!(", only {} {}", bound.resource, join(&bound.names())),
            _ => format!(", only with {}", caveat.to_text()),
        });
    }
    if grant.approve == Approve::Never && grant.tools.iter().any(|tool| tool.effect.needs_approval_word()) {
        text.push_str(", without asking you");
    }
    text.push('.');
    text
}

/// What is lopsided or wide open about a grant, a sentence each.
#[must_use]
pub fn warnings(grant: &Grant) -> Vec<String> {
    let mut found = Vec::new();
    let bounded = grant.caveats.iter().any(|caveat| matches!(caveat, Caveat::Resource(_)));
    let reads = grant.tools.iter().any(|tool| tool.effect == Effect::Read);
    let sends = grant.tools.iter().any(|tool| tool.effect.needs_approval_word());
    if reads && !bounded {
        found.push(format!(
            "it reads everything that {} can see; bound it by a label or a folder",
            grant.secret
        ));
    }
    let recipients = grant.caveats.iter().find_map(|caveat| match caveat {
        Caveat::Recipients(patterns) => Some(patterns),
        _ => None,
    });
    match recipients {
        Some(patterns) if patterns.iter().any(|pattern| pattern.to_string() == "*") => {
            found.push("it sends to anybody: `*` bounds nothing".to_owned());
        }
        None if sends && !bounded => {
            found.push("it sends or deletes without a bound; bound it by recipients or a folder".to_owned());
        }
        _ => {}
    }
    let counted = grant.caveats.iter().any(|caveat| matches!(caveat, Caveat::Rate(_) | Caveat::Calls(_)));
    if !counted {
        found.push("nothing limits how often; add a rate".to_owned());
    }
    if grant.expires_at_ms.is_none() {
        found.push("it never expires".to_owned());
    }
    found
}

fn join(parts: &[String]) -> String {
    match parts {
        [] => "do nothing".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
