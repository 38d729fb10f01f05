//! Bounds as they are typed, and back: what is printed could be typed again.

use clap::Args;
use claviger_domain::caveat::{moment, size};
use claviger_proto::v1::argument_bound::Bound;
use claviger_proto::v1::{
    ArgumentBound, Caveat, Hosts, Hours, Paths, Patterns, People, Rate, Resource, Within, caveat,
};

use super::failure::Failure;
use super::limits;

/// The bounds of a grant.
#[derive(Debug, Args)]
pub(super) struct BoundArgs {
    /// Only what has this label; can be repeated (any of them). A name, or id:… for an id.
    #[arg(long = "label", value_name = "NAME", value_parser = limits::name)]
    labels: Vec<String>,
    /// Only what lies directly in this folder; can be repeated (any of them).
    #[arg(long = "folder", value_name = "NAME", value_parser = limits::name)]
    folders: Vec<String>,
    /// In folders of these folders too.
    #[arg(long, requires = "folders")]
    nested: bool,
    /// Only what is in this calendar; can be repeated (any of them).
    #[arg(long = "calendar", value_name = "NAME", value_parser = limits::name)]
    calendars: Vec<String>,
    /// Only what is in this repository; can be repeated (any of them). OWNER/NAME, or id:… for an id.
    #[arg(long = "repository", value_name = "OWNER/NAME", value_parser = limits::name)]
    repositories: Vec<String>,
    /// Only this file or object itself; can be repeated (any of them).
    #[arg(long = "file", value_name = "NAME", value_parser = limits::name)]
    files: Vec<String>,
    /// Only what belongs to this, for whatever else a service bounds by; can be repeated (any of them).
    #[arg(long = "resource", value_name = "KIND=NAME", value_parser = limits::resource)]
    resources: Vec<(String, String)>,
    /// Only under this path, `.` for the root; can be repeated (any of them).
    #[arg(long = "path", value_name = "PATH", value_parser = limits::path)]
    paths: Vec<String>,
    /// Only what this agent itself made with this secret.
    #[arg(long)]
    made_by_agent: bool,
    /// Only what says it is from these addresses; `*@example.com` for a whole domain.
    #[arg(long, value_name = "A,B", value_parser = limits::patterns)]
    senders: Option<Patterns>,
    /// Only what belongs to these addresses.
    #[arg(long, value_name = "A,B", value_parser = limits::patterns)]
    owners: Option<Patterns>,
    /// Only with these guests, the owner aside, in what results.
    #[arg(long, value_name = "A,B", value_parser = limits::patterns)]
    attendees: Option<Patterns>,
    /// Only what is dated from this day (UTC) on, such as 2026-01-31.
    #[arg(long, value_name = "DAY", value_parser = limits::day)]
    after: Option<String>,
    /// Only what is dated before this day (UTC).
    #[arg(long, value_name = "DAY", value_parser = limits::day)]
    before: Option<String>,
    /// Only to these addresses; `*@example.com` for a whole domain.
    #[arg(long, value_name = "A,B", value_parser = limits::patterns)]
    recipients: Option<Patterns>,
    /// Texts may lead only to these hosts, `*.example.org` for all below one, or `none`.
    #[arg(long, value_name = "HOST,HOST", value_parser = limits::links)]
    links: Option<Hosts>,
    /// Only at these hours, such as mon-fri,08:00-18:00,Europe/Berlin.
    #[arg(long, value_name = "DAYS,FROM-TO,ZONE", value_parser = limits::hours)]
    hours: Option<Hours>,
    /// Not before this moment, such as 2026-01-31 or 2026-01-31T08:00:00+01:00.
    #[arg(long, value_name = "MOMENT", value_parser = limits::moment)]
    not_before: Option<u64>,
    /// At most so often, such as 60/1h.
    #[arg(long, value_parser = limits::rate, value_name = "N/SPAN")]
    rate: Option<Rate>,
    /// At most so many calls altogether.
    #[arg(long, value_parser = limits::calls, value_name = "N")]
    calls: Option<u64>,
    /// At most so many bytes in and out in one day (UTC), such as 10MB.
    #[arg(long, value_parser = limits::size, value_name = "SIZE")]
    bytes_a_day: Option<u64>,
    /// A bound on an argument, such as limit.max=10, bcc.absent or url.hosts=example.org; can be repeated.
    #[arg(long = "bound", value_parser = limits::bound, value_name = "ARG.RULE=VALUE")]
    bounds: Vec<ArgumentBound>,
}

impl BoundArgs {
    /// The bounds as the vault is asked for them.
    pub(super) fn into_caveats(self) -> Result<Vec<Caveat>, Failure> {
        let BoundArgs {
            labels,
            folders,
            nested,
            calendars,
            repositories,
            files,
            resources,
            paths,
            made_by_agent,
            senders,
            owners,
            attendees,
            after,
            before,
            recipients,
            links,
            hours,
            not_before,
            rate,
            calls,
            bytes_a_day,
            bounds,
        } = self;
        let mut kinds: Vec<caveat::Kind> = Vec::new();
        kinds.extend(rate.map(caveat::Kind::Rate));
        kinds.extend(calls.map(caveat::Kind::Calls));
        kinds.extend(recipients.map(caveat::Kind::Recipients));
        let mut named = vec![
            ("label", labels),
            ("folder", folders),
            ("calendar", calendars),
            ("repository", repositories),
            ("file", files),
        ];
        for (kind, value) in &resources {
            match named.iter_mut().find(|(name, _)| name == kind) {
                Some((_, values)) => values.push(value.clone()),
                None => named.push((kind, vec![value.clone()])),
            }
        }
        for (name, values) in named.into_iter().filter(|(_, values)| !values.is_empty()) {
            let nested = nested && name == "folder";
            kinds.push(caveat::Kind::Resource(Resource {
                name: name.to_owned(),
                values,
                shown: Vec::new(),
                nested,
            }));
        }
        if !paths.is_empty() {
            kinds.push(caveat::Kind::Paths(Paths { prefixes: paths }));
        }
        if made_by_agent {
            kinds.push(caveat::Kind::MadeByAgent(true));
        }
        for (role, patterns) in [("sender", senders), ("owner", owners), ("attendee", attendees)] {
            let people = |Patterns { patterns }| People { role: role.to_owned(), patterns };
            kinds.extend(patterns.map(people).map(caveat::Kind::People));
        }
        match (after, before) {
            (None, None) => {}
            // Days are written so that they sort as texts.
            (Some(after), Some(before)) if after >= before => {
                return Err(Failure::usage("no day lies between --after and --before")
                    .hint("--after is the earlier day, and counts; --before is the later, and does not"));
            }
            (after, before) => kinds.push(caveat::Kind::Within(Within {
                after: after.unwrap_or_default(),
                before: before.unwrap_or_default(),
            })),
        }
        kinds.extend(links.map(caveat::Kind::Links));
        kinds.extend(hours.map(caveat::Kind::Hours));
        kinds.extend(not_before.map(caveat::Kind::NotBeforeMs));
        kinds.extend(bytes_a_day.map(caveat::Kind::BytesADay));
        kinds.extend(bounds.into_iter().map(caveat::Kind::Argument));
        Ok(kinds.into_iter().map(|kind| Caveat { kind: Some(kind) }).collect())
    }
}

/// A caveat as it could be typed, for a shell; what only explains it stands behind a `#`.
pub(super) fn text(caveat: &Caveat) -> String {
    match &caveat.kind {
        None => "# a bound that this version does not know".to_owned(),
        Some(caveat::Kind::Rate(Rate { count, per_seconds })) => {
            let rate = claviger_domain::rate::Rate::new(*count, *per_seconds);
            flag("rate", &rate.map_or_else(|_| format!("{count}/{per_seconds}s"), |rate| rate.to_string()))
        }
        Some(caveat::Kind::Calls(calls)) => flag("calls", &calls.to_string()),
        Some(caveat::Kind::Recipients(patterns)) => flag("recipients", &patterns.patterns.join(",")),
        Some(caveat::Kind::Resource(resource)) => resource_text(resource),
        Some(caveat::Kind::ExpiresAtMs(at)) => flag("expires", &moment(*at)),
        Some(caveat::Kind::NotBeforeMs(at)) => flag("not-before", &moment(*at)),
        Some(caveat::Kind::Hours(hours)) => flag("hours", &hours_text(hours)),
        Some(caveat::Kind::BytesADay(bytes)) => flag("bytes-a-day", &size(*bytes)),
        Some(caveat::Kind::Tools(tools)) => each("tool", tools.names.iter().cloned()),
        Some(caveat::Kind::People(people)) => flag(&format!("{}s", people.role), &people.patterns.join(",")),
        Some(caveat::Kind::Within(Within { after, before })) => {
            let sides = [("after", after), ("before", before)];
            let sides = sides.iter().filter(|(_, day)| !day.is_empty()).map(|(name, day)| flag(name, day));
            sides.collect::<Vec<_>>().join(" ")
        }
        Some(caveat::Kind::Paths(paths)) => {
            let root = |path: &String| if path.is_empty() { ".".to_owned() } else { path.clone() };
            each("path", paths.prefixes.iter().map(root))
        }
        Some(caveat::Kind::MadeByAgent(_)) => "--made-by-agent".to_owned(),
        Some(caveat::Kind::Links(hosts)) if hosts.hosts.is_empty() => "--links none".to_owned(),
        Some(caveat::Kind::Links(hosts)) => flag("links", &hosts.hosts.join(",")),
        Some(caveat::Kind::Argument(ArgumentBound { argument, bound })) => {
            let rule = match bound {
                None => return format!("# a rule on {argument} that this version does not know"),
                Some(Bound::EachIn(patterns)) => format!("each-in={}", patterns.patterns.join(",")),
                Some(Bound::OneOf(patterns)) => format!("one-of={}", patterns.patterns.join(",")),
                Some(Bound::Max(max)) => format!("max={max}"),
                Some(Bound::Absent(_)) => "absent".to_owned(),
                Some(Bound::MaxLength(length)) => format!("max-length={length}"),
                Some(Bound::MinLength(length)) => format!("min-length={length}"),
                Some(Bound::Hosts(Hosts { hosts, query: false })) => format!("hosts={}", hosts.join(",")),
                Some(Bound::Hosts(Hosts { hosts, query: true })) => {
                    format!("hosts-with-query={}", hosts.join(","))
                }
            };
            flag("bound", &format!("{argument}.{rule}"))
        }
    }
}

/// A resource's pinned ids, with what they were called; or the names, where nothing is pinned yet.
fn resource_text(resource: &Resource) -> String {
    let Resource { name, values, shown, nested } = resource;
    let pinned = !shown.is_empty();
    let value = |value: &String| if pinned { format!("id:{value}") } else { value.clone() };
    let known = matches!(name.as_str(), "label" | "folder" | "calendar" | "repository" | "file");
    let mut text = if known {
        each(name, values.iter().map(value))
    } else {
        each("resource", values.iter().map(|item| format!("{name}={}", value(item))))
    };
    if *nested {
        text.push_str(" --nested");
    }
    if pinned && shown != values {
        text.push_str(&format!("  # {}", shown.join(", ")));
    }
    text
}

fn hours_text(hours: &Hours) -> String {
    let Hours { zone, days, from_minute, to_minute } = hours;
    let small = |number: &u32| u16::try_from(*number).unwrap_or(u16::MAX);
    let days = days.iter().map(|day| u8::try_from(*day).unwrap_or(u8::MAX)).collect();
    let hours = claviger_domain::hours::Hours::new(zone, days, small(from_minute), small(to_minute));
    hours.map_or_else(
        |_| format!("hours in {zone} that this version does not know"),
        |hours| hours.to_string(),
    )
}

fn each(name: &str, values: impl Iterator<Item = String>) -> String {
    values.map(|value| flag(name, &value)).collect::<Vec<_>>().join(" ")
}

/// A flag and its value, so that a shell takes it for just that.
fn flag(name: &str, value: &str) -> String {
    let between = if value.starts_with('-') { '=' } else { ' ' };
    format!("--{name}{between}{}", quoted(value))
}

fn quoted(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&b);
    if !value.is_empty() && value.bytes().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}
