//! What an owner should think about before they leave a grant as it is.

use crate::address::Pattern;
use crate::caveat::{Bound, Caveat};
use crate::deny::Forbids;
use crate::effect::Effect;
use crate::grant::{Approve, Grant};

/// What is lopsided or wide open about a grant, a sentence each.
#[must_use]
pub fn warnings(grant: &Grant) -> Vec<String> {
    if grant.deny {
        return of_a_deny(grant);
    }
    let has = |effect: Effect| grant.tools.iter().any(|tool| tool.effect == effect);
    let any = |is: fn(&Caveat) -> bool| grant.caveats.iter().any(is);
    let bounded = any(is_on_objects);
    let recipients: Vec<&Vec<Pattern>> = grant.caveats.iter().filter_map(recipients).collect();
    let (sends, deletes) = (has(Effect::Send), has(Effect::Delete));
    let mut found = Vec::new();
    let mut say = |when: bool, what: String| {
        if when {
            found.push(what);
        }
    };

    let secret = &grant.secret;
    say(
        has(Effect::Read) && !bounded,
        format!(
            "it reads everything that {secret} can see; bound it by a label, a folder, a repository or people"
        ),
    );
    let anybody = |patterns: &&Vec<Pattern>| patterns.iter().any(|pattern| pattern.to_string() == "*");
    let to_anybody = !recipients.is_empty() && recipients.iter().all(anybody);
    say(to_anybody, "it sends to anybody: `*` bounds nothing".to_owned());
    let unbounded = recipients.is_empty();
    say(
        (sends || deletes) && unbounded && !bounded,
        "it sends or deletes without a bound; bound it by recipients, a folder or a repository".to_owned(),
    );
    // Who sees what is sent there, is decided there.
    let in_repository =
        any(|caveat| matches!(caveat, Caveat::Resource(bound) if bound.resource.as_str() == "repository"));
    say(
        sends && unbounded && in_repository,
        "whoever sees a repository sees what it sends there; a public one everybody sees".to_owned(),
    );
    say(
        sends && unbounded && bounded && !in_repository,
        "it is bounded in what it touches, but not in whom it sends to; --recipients bounds that".to_owned(),
    );
    let some = grant.caveats.iter().find_map(|caveat| match caveat {
        Caveat::Argument(name, Bound::EachIn(_)) if matches!(name.as_str(), "to" | "cc" | "bcc") => {
            Some(name)
        }
        _ => None,
    });
    if let Some(name) = some {
        say(
            unbounded,
            format!(
                "only {name} is bounded: the other ways to name a recipient are open; --recipients bounds them all"
            ),
        );
    }
    let wild = recipients.iter().all(|patterns| patterns.iter().any(Pattern::is_wild));
    say(
        grant.approve == Approve::Never && sends && unbounded,
        "nobody is asked, and nothing says to whom it may send".to_owned(),
    );
    say(
        sends && wild && !any(|caveat| matches!(caveat, Caveat::Links(_))),
        "what it sends may hold links to anywhere; bound them with --links".to_owned(),
    );
    say(
        grant.trusted_sink && wild,
        "it is a trusted sink, and its recipients are a pattern: a stranger may be able to register one"
            .to_owned(),
    );
    let writes = grant.tools.iter().filter(|tool| tool.effect == Effect::Write);
    let ways: Vec<&str> = writes
        .map(|tool| tool.name.tool().as_str())
        .filter(|name| ["draft", "share", "event", "filter", "forward"].iter().any(|way| name.contains(way)))
        .collect();
    let watched = sends && matches!(grant.approve, Approve::Default | Approve::Always);
    say(
        watched && grant.approve == Approve::Default && !ways.is_empty(),
        format!("you are asked before it sends, but not before {}, which can lead to one", ways.join(", ")),
    );
    say(
        !any(|caveat| matches!(caveat, Caveat::Rate(_) | Caveat::Calls(_))),
        "nothing limits how often; add a rate".to_owned(),
    );
    say(
        grant.expires_at_ms.is_none() && !any(|caveat| matches!(caveat, Caveat::Expires(_))),
        "it never expires".to_owned(),
    );
    found
}

/// What a deny grant may miss.
fn of_a_deny(grant: &Grant) -> Vec<String> {
    let mut found = Vec::new();
    match Forbids::of(grant) {
        Ok(Forbids::Recipients(patterns))
            if patterns.iter().any(|pattern| !pattern.to_string().starts_with('*')) =>
        {
            found.push("one person has many addresses; a whole domain is surer: *@example.com".to_owned());
        }
        Ok(Forbids::Argument(..)) => {
            found.push(
                "a value has other spellings; to allow what is meant is surer than to forbid the rest"
                    .to_owned(),
            );
        }
        _ => {}
    }
    if grant.expires_at_ms.is_some() {
        found.push("what it forbids is no longer forbidden once it has expired".to_owned());
    }
    found
}

fn recipients(caveat: &Caveat) -> Option<&Vec<Pattern>> {
    match caveat {
        Caveat::Recipients(patterns) => Some(patterns),
        _ => None,
    }
}

fn is_on_objects(caveat: &Caveat) -> bool {
    matches!(
        caveat,
        Caveat::Resource(_) | Caveat::People(_) | Caveat::Within(_) | Caveat::Paths(_) | Caveat::MadeByAgent
    )
}
