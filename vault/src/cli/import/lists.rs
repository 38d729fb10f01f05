//! What lists of allowed actions become: tools of ours, allowed or forbidden, for each server and its account.

use std::collections::{BTreeMap, BTreeSet};

use super::found::{Reading, shown};
use super::known::{self, Known};
use super::plan::{Given, Plan};

/// What lists say, in tools of ours.
#[derive(Default)]
pub(super) struct Mapped {
    /// The tools of each server, by service.
    pub(super) of_server: BTreeMap<String, BTreeMap<String, Tools>>,
    /// The servers that a list speaks of.
    pub(super) listed: BTreeSet<String>,
}

/// Tools of one service.
#[derive(Default)]
pub(super) struct Tools {
    /// Allowed.
    pub(super) allow: Vec<String>,
    /// Forbidden.
    pub(super) deny: Vec<String>,
}

/// Reads the lists as tools of ours; what becomes none is said.
pub(super) fn map(given: &Given, reading: &Reading, plan: &mut Plan) -> Mapped {
    let listed: BTreeSet<String> = reading.lines.iter().map(|line| line.server.clone()).collect();
    let kinds: BTreeMap<&str, Result<&'static Known, &str>> =
        listed.iter().map(|name| (name.as_str(), kind(reading, name))).collect();
    let mut of_server = BTreeMap::<String, BTreeMap<String, Tools>>::new();
    for line in &reading.lines {
        let what = format!("{}.{}", shown(&line.server), shown(&line.tool));
        let what = if line.allowed { what } else { format!("{what} (forbidden)") };
        let kind = kinds.get(line.server.as_str()).copied().unwrap_or(Err("there is no such server"));
        let ours = match kind {
            _ if given.keep.contains(&line.server) => Err("its server stays, as you said".to_owned()),
            Err(why) => Err(why.to_owned()),
            Ok(known) => known.ours(&line.tool).and_then(|ours| in_catalog(given, ours)),
        };
        match ours {
            Err(why) => plan.not_taken.push((what, why)),
            Ok(ours) => {
                let tools =
                    of_server.entry(line.server.clone()).or_default().entry(service(&ours)).or_default();
                let list = if line.allowed { &mut tools.allow } else { &mut tools.deny };
                if !list.contains(&ours) {
                    list.push(ours);
                }
            }
        }
    }
    for server in reading.servers.iter().filter(|server| !listed.contains(&server.name)) {
        let (Some(known), false) = (server.known, given.keep.contains(&server.name)) else { continue };
        if !given.read || server.limited {
            plan.notes.push(format!(
                "no list says what is allowed of {}: nothing of it is granted; --read grants what only reads",
                shown(&server.name)
            ));
            continue;
        }
        let reads = known.tools.iter().filter_map(|(_, ours)| ours.ok());
        for ours in reads.filter(|ours| effect(given, ours) == Some("read")) {
            let tools = of_server.entry(server.name.clone()).or_default().entry(service(ours)).or_default();
            if !tools.allow.iter().any(|tool| tool == ours) {
                tools.allow.push(ours.to_owned());
            }
        }
    }
    Mapped { of_server, listed }
}

/// The tools by service, of the servers that have an account there.
pub(super) fn merge(
    given: &Given,
    mapped: &Mapped,
    has: impl Fn(&str, &str) -> bool,
    plan: &mut Plan,
) -> BTreeMap<String, Tools> {
    let mut merged = BTreeMap::<String, Tools>::new();
    for (server, services) in &mapped.of_server {
        for (service, tools) in services {
            let secret = given.secret(service);
            if !has(server, &secret) {
                let why = format!("{secret} is not the account of {}, or is not there", shown(server));
                plan.not_taken
                    .extend(tools.allow.iter().chain(&tools.deny).map(|tool| (tool.clone(), why.clone())));
                continue;
            }
            let into = merged.entry(service.clone()).or_default();
            for (from, into) in [(&tools.allow, &mut into.allow), (&tools.deny, &mut into.deny)] {
                let new: Vec<_> = from.iter().filter(|tool| !into.contains(tool)).cloned().collect();
                into.extend(new);
            }
        }
    }
    // What somebody forbade stays forbidden, whatever else allows it.
    for Tools { allow, deny } in merged.values_mut() {
        let both: Vec<_> = allow.iter().filter(|tool| deny.contains(tool)).cloned().collect();
        allow.retain(|tool| !both.contains(tool));
        plan.notes
            .extend(both.iter().map(|tool| format!("{tool} is both allowed and forbidden: it is forbidden")));
    }
    merged
}

/// Which known server a name of a list is.
fn kind(reading: &Reading, name: &str) -> Result<&'static Known, &'static str> {
    // Beside a configuration, what is not in it may be anybody's: another account's, one that went long ago.
    if reading.host.is_some() {
        let server = reading
            .servers
            .iter()
            .find(|server| server.name == name)
            .ok_or("its server is not in the file")?;
        return server.known.ok_or("its server is not one that is known here");
    }
    let of = |name: &str| {
        let tools = reading.lines.iter().filter(|line| line.server == name).map(|line| line.tool.as_str());
        known::of_tools(tools.collect::<Vec<_>>().into_iter())
    };
    let known = of(name).ok_or("its server is not one that is known here")?;
    let shares = |other: &str| {
        of(other).is_some_and(|other| other.services.iter().any(|service| known.services.contains(service)))
    };
    if reading.lines.iter().any(|line| line.server != name && shares(&line.server)) {
        return Err(
            "another server of the list is for the same service, and which account is whose cannot be told",
        );
    }
    Ok(known)
}

fn service(tool: &str) -> String {
    tool.split('.').next().unwrap_or_default().to_owned()
}

fn effect<'g>(given: &'g Given, tool: &str) -> Option<&'g str> {
    let mut tools = given.catalog.iter().flat_map(|service| &service.tools);
    tools.find(|known| known.name == tool).map(|known| known.effect.as_str())
}

fn in_catalog(given: &Given, tool: &str) -> Result<String, String> {
    match effect(given, tool) {
        Some(_) => Ok(tool.to_owned()),
        None => Err(format!("this vault's catalog has no {tool}")),
    }
}
