//! What a grant lets an agent do, in one plain sentence.

use crate::caveat::{Bound, Caveat, DateBound, PeopleBound, Role, size};
use crate::deny::Forbids;
use crate::effect::Effect;
use crate::grant::{Approve, Grant};

pub use crate::warning::warnings;

/// "openclaw may read (search_messages, get_message) with gmail/me, only label AI, at most 60/1h."
#[must_use]
pub fn sentence(grant: &Grant) -> String {
    let doing = join(&doings(grant));
    let (agent, secret) = (&grant.agent, &grant.secret);
    if grant.deny {
        let what = forbidden(grant);
        return format!("{agent} may never {doing} with {secret}{what}, whatever other grants say.");
    }
    let mut text = format!("{agent} may {doing} with {secret}");
    for caveat in &grant.caveats {
        text.push_str(", ");
        text.push_str(&clause(caveat));
    }
    text.push_str(approval(grant));
    if grant.trusted_sink {
        text.push_str(", and may send so even while it has read what strangers write");
    }
    text.push('.');
    text
}

/// "read (get_message)", one for each effect that its tools have.
fn doings(grant: &Grant) -> Vec<String> {
    let doing = |effect: Effect| {
        let tools: Vec<&str> = grant
            .tools
            .iter()
            .filter(|tool| tool.effect == effect)
            .map(|tool| tool.name.tool().as_str())
            .collect();
        (!tools.is_empty()).then(|| format!("{effect} ({})", tools.join(", ")))
    };
    Effect::ALL.into_iter().filter_map(doing).collect()
}

fn approval(grant: &Grant) -> &'static str {
    let alarming = grant.tools.iter().any(|tool| tool.effect.needs_approval_word());
    let harmless = grant.tools.iter().any(|tool| !tool.effect.needs_approval_word());
    match grant.approve {
        Approve::Default if alarming && harmless => ", after asking you each time it sends or deletes",
        Approve::Default if alarming => ", after asking you each time",
        Approve::Default => "",
        Approve::Always => ", after asking you each time",
        Approve::New => ", after asking you the first time it writes to somebody or somewhere new",
        Approve::Tainted => ", after asking you each time while it has read what strangers write",
        Approve::Never if alarming => ", without asking you",
        Approve::Never => "",
    }
}

/// A caveat as the end of a sentence.
fn clause(caveat: &Caveat) -> String {
    match caveat {
        Caveat::Rate(rate) => format!("at most {rate}"),
        Caveat::Calls(1) => "once altogether".to_owned(),
        Caveat::Calls(calls) => format!("{calls} times altogether"),
        Caveat::BytesADay(bytes) => format!("at most {} in and out a day", size(*bytes)),
        Caveat::Recipients(patterns) => format!("only to {}", either(&texts(patterns))),
        Caveat::Expires(at_ms) => format!("until {}", crate::caveat::moment(*at_ms)),
        Caveat::NotBefore(at_ms) => format!("from {} on", crate::caveat::moment(*at_ms)),
        Caveat::Hours(hours) => format!("only at these hours: {hours}"),
        Caveat::Tools(tools) => format!("only with {}", either(&texts(tools))),
        Caveat::People(PeopleBound { role, patterns }) => {
            let people = either(&texts(patterns));
            match role {
                Role::Sender => format!("only what says it is from {people}"),
                Role::Owner => format!("only what belongs to {people}"),
                Role::Attendee => format!("only with {people} as guests"),
            }
        }
        Caveat::Within(DateBound { after, before }) => match (after, before) {
            (Some(after), Some(before)) => format!("only what is dated from {after} on and before {before}"),
            (Some(after), None) => format!("only what is dated from {after} on"),
            (None, Some(before)) => format!("only what is dated before {before}"),
            (None, None) => "whatever its date".to_owned(),
        },
        Caveat::Paths(paths) => format!("only under {}", either(&places(paths))),
        Caveat::MadeByAgent => "only what it made itself".to_owned(),
        Caveat::Links(hosts) if hosts.is_empty() => "without links in its texts".to_owned(),
        Caveat::Links(hosts) => format!("with links in its texts only to {}", either(&texts(hosts))),
        Caveat::Resource(bound) => {
            let below = if bound.nested { " and all below" } else { "" };
            format!("only {} {}{below}", bound.resource, either(&bound.names()))
        }
        Caveat::Argument(name, bound) => match bound {
            Bound::EachIn(words) => format!("with each of {name} among {}", either(&quoted(words))),
            Bound::OneOf(words) => format!("with {name} {}", either(&quoted(words))),
            Bound::Max(most) => format!("with {name} at most {most}"),
            Bound::Absent => format!("without {name}"),
            Bound::MaxLength(most) => format!("with {name} no longer than {most}"),
            Bound::MinLength(least) => format!("with {name} no shorter than {least}"),
            Bound::Hosts { hosts, query } => {
                let bare = if *query { "" } else { ", without a query" };
                format!("with {name} only at {}{bare}", either(&texts(hosts)))
            }
        },
    }
}

fn forbidden(grant: &Grant) -> String {
    match Forbids::of(grant) {
        Err(_) | Ok(Forbids::Tools) => String::new(),
        Ok(Forbids::Recipients(patterns)) => format!(" to {}", either(&texts(patterns))),
        Ok(Forbids::Resource(bound)) => {
            let below = if bound.nested { " or below" } else { "" };
            format!(" what is in {} {}{below}", bound.resource, either(&bound.names()))
        }
        Ok(Forbids::Argument(name, words)) => format!(" where {name} is {}", either(&quoted(words))),
        Ok(Forbids::Paths(paths)) => format!(" under {}", either(&places(paths))),
    }
}

fn texts(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

/// Words that the owner typed, so that where one ends shows.
fn quoted(words: &[String]) -> Vec<String> {
    words.iter().map(|word| format!("`{}`", word.escape_debug())).collect()
}

fn places(paths: &[crate::path::RelativePath]) -> Vec<String> {
    paths
        .iter()
        .map(|path| if path.as_str().is_empty() { "the root".to_owned() } else { path.to_string() })
        .collect()
}

fn join(parts: &[String]) -> String {
    listing(parts, "and", "do nothing")
}

fn either(parts: &[String]) -> String {
    listing(parts, "or", "nothing")
}

fn listing(parts: &[String], word: &str, none: &str) -> String {
    match parts {
        [] => none.to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} {word} {last}", first.join(", ")),
    }
}
