//! Bounds as a command line says them, and back.

use claviger_proto::v1::{ArgumentBound, Caveat, caveat};

use super::time::span;

/// A caveat as it was typed.
pub(super) fn text(caveat: &Caveat) -> String {
    use claviger_proto::v1::argument_bound::Bound;
    match &caveat.kind {
        None => "a bound that this version does not know".to_owned(),
        Some(caveat::Kind::Rate(rate)) => {
            format!("--rate {} calls in {}", rate.count, span(rate.per_seconds))
        }
        Some(caveat::Kind::Calls(calls)) => format!("--calls {calls}"),
        Some(caveat::Kind::Recipients(patterns)) => format!("--recipients {}", patterns.patterns.join(",")),
        Some(caveat::Kind::Resource(resource)) => {
            let values =
                resource.values.iter().enumerate().map(|(index, id)| match resource.shown.get(index) {
                    Some(shown) if shown != id => format!("{shown} (id {id})"),
                    _ => id.clone(),
                });
            format!("--{} {}", resource.name, values.collect::<Vec<_>>().join(" or "))
        }
        Some(caveat::Kind::ExpiresAtMs(at)) => format!("expires at {at}"),
        Some(caveat::Kind::NotBeforeMs(at)) => format!("not before {at}"),
        Some(caveat::Kind::Hours(hours)) => {
            format!("--hours {}-{} {}", hours.from_minute, hours.to_minute, hours.zone)
        }
        Some(caveat::Kind::BytesADay(bytes)) => format!("--bytes-a-day {bytes}"),
        Some(caveat::Kind::Tools(tools)) => format!("--tool {}", tools.names.join(" --tool ")),
        Some(caveat::Kind::People(people)) => format!("--{}s {}", people.role, people.patterns.join(",")),
        Some(caveat::Kind::Within(within)) => format!("--after {} --before {}", within.after, within.before),
        Some(caveat::Kind::Paths(paths)) => format!("--path {}", paths.prefixes.join(" --path ")),
        Some(caveat::Kind::MadeByAgent(_)) => "--made-by-agent".to_owned(),
        Some(caveat::Kind::Links(hosts)) => format!("--links {}", hosts.hosts.join(",")),
        Some(caveat::Kind::Argument(ArgumentBound { argument, bound })) => {
            let rule = match bound {
                None => "a rule that this version does not know".to_owned(),
                Some(Bound::EachIn(patterns)) => format!("each-in={}", patterns.patterns.join(",")),
                Some(Bound::OneOf(patterns)) => format!("one-of={}", patterns.patterns.join(",")),
                Some(Bound::Max(max)) => format!("max={max}"),
                Some(Bound::Absent(_)) => "absent".to_owned(),
                Some(Bound::MaxLength(length)) => format!("max-length={length}"),
                Some(Bound::MinLength(length)) => format!("min-length={length}"),
                Some(Bound::Hosts(hosts)) => format!("hosts={}", hosts.hosts.join(",")),
            };
            format!("--bound {argument}.{rule}")
        }
    }
}
