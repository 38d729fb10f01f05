//! How steps of service files are held to what a grant bounds.

use std::collections::BTreeMap;

use claviger_domain::arg::ArgKind;
use claviger_domain::name::Ident;
use claviger_domain::pointer::Pointer;
use claviger_domain::reserved::Reserved;
use claviger_domain::step::{
    AnswerKind, Check, Each, Elements, Of, ParamSource, Probe, QueryFilter, Refuse, Step, Template,
};

use super::raw::{RawCheck, RawRefuse};
use super::service::keep;
use super::step::{Place, known_arg, known_resource};

/// Reads all checks of a step into it; faults are noted.
pub(super) fn build(
    raw: BTreeMap<String, RawCheck>,
    step: &mut Step,
    place: &Place<'_>,
    faults: &mut Vec<String>,
) {
    for (name, raw) in raw {
        let at = format!("{}.check.{name}", place.at);
        if name == "recipients" {
            step.recipients = keep(faults, &at, recipients(raw, place)).unwrap_or_default();
            continue;
        }
        let reserved = Reserved::from_word(&name);
        let known = match reserved {
            Some(_) => name.parse::<Ident>().map_err(|error| error.to_string()),
            None => known_resource(&name, place),
        };
        if let (Some(known), Some(check)) =
            (keep(faults, &at, known), keep(faults, &at, check(raw, reserved, step, place)))
        {
            step.checks.insert(known, check);
        }
    }
}

/// Reads what an answer may not have.
pub(super) fn refuse(raw: RawRefuse, answer: &AnswerKind) -> Result<Refuse, String> {
    if !answer.is_json() {
        return Err("an answer of bytes says nothing to refuse".to_owned());
    }
    let RawRefuse { elements, at, is } = raw;
    Ok(Refuse { elements: elements.map(list).transpose()?, at: pointer(at)?, is: word(&is)? })
}

/// A text, or yes or no.
pub(super) fn word(value: &toml::Value) -> Result<serde_json::Value, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone().into()),
        toml::Value::Boolean(yes) => Ok((*yes).into()),
        _ => Err("is: a text, true or false".to_owned()),
    }
}

pub(super) fn pointer(text: String) -> Result<Pointer, String> {
    text.parse::<Pointer>().map_err(|error| error.to_string())
}

/// A list whose elements can each be judged, and nothing beside them passes unseen.
fn list(text: String) -> Result<Pointer, String> {
    // A star would make the list unreachable for the judge; siblings of a deeper list would go out unjudged.
    if text.matches('/').count() != 1 || text.contains('*') {
        return Err("elements is a list at the top of the answer, such as /files".to_owned());
    }
    pointer(text)
}

fn recipients(raw: RawCheck, place: &Place<'_>) -> Result<Vec<Ident>, String> {
    match raw {
        RawCheck {
            args: Some(args),
            query: None,
            param: None,
            arg: None,
            below: false,
            response: None,
            elements: None,
            probe: None,
            at: None,
            again: false,
            add: None,
            remove: None,
            nonempty: false,
            each: None,
            r#as: None,
            take: None,
            adds,
            removes,
        } if adds.is_empty() && removes.is_empty() && !args.is_empty() => args
            .iter()
            .map(|arg| known_arg(arg, place, |kind| matches!(kind, ArgKind::Addresses { .. })))
            .collect(),
        _ => Err("recipients are checked in args, a list of arguments of type addresses".to_owned()),
    }
}

/// What a check under that name may be made of: a path is an argument; people and days stand in answers.
fn fits(raw: &RawCheck, reserved: Option<Reserved>) -> Result<(), String> {
    let seen = raw.response.is_some() || raw.elements.is_some() || raw.probe.is_some();
    let told = raw.query.is_some()
        || raw.arg.is_some()
        || raw.add.is_some()
        || raw.remove.is_some()
        || !raw.adds.is_empty()
        || !raw.removes.is_empty();
    match reserved {
        Some(Reserved::Path) if seen || raw.query.is_some() || raw.arg.is_none() => {
            Err("a path is checked in one arg of type path".to_owned())
        }
        Some(Reserved::Person(_) | Reserved::Date) if told => {
            Err("people and days are checked in what the upstream says: response, elements or probe"
                .to_owned())
        }
        _ => Ok(()),
    }
}

fn check(raw: RawCheck, reserved: Option<Reserved>, step: &Step, place: &Place<'_>) -> Result<Check, String> {
    fits(&raw, reserved)?;
    let RawCheck {
        query,
        param,
        arg,
        below,
        args,
        response,
        elements,
        probe,
        at,
        again,
        add,
        remove,
        nonempty,
        each,
        r#as,
        take,
        adds,
        removes,
    } = raw;
    if args.is_some() {
        return Err("args is for recipients; a resource is checked in one arg".to_owned());
    }
    if below && reserved != Some(Reserved::Path) {
        return Err("below is for paths".to_owned());
    }
    if step.local && (response.is_some() || elements.is_some() || query.is_some() || probe.is_some()) {
        return Err("a local step has no answer and no upstream; it is checked in an arg".to_owned());
    }
    let kind = |kind: &ArgKind| match reserved {
        Some(Reserved::Path) => *kind == ArgKind::Path,
        _ => {
            matches!(
                kind,
                ArgKind::Id
                    | ArgKind::Ids { .. }
                    | ArgKind::Calendar
                    | ArgKind::Calendars { .. }
                    | ArgKind::Event
            )
        }
    };
    let mut check = Check {
        query: None,
        arg: arg.map(|arg| known_arg(&arg, place, kind)).transpose()?,
        below,
        response: response.map(pointer).transpose()?,
        elements: None,
        probe: None,
    };
    if check.response.is_some() && !step.answer.is_json() {
        return Err("an answer of bytes says nothing of where it belongs; use a probe".to_owned());
    }
    // One element in scope must not speak for its neighbours. Of people and days every one must be in scope.
    let every = matches!(reserved, Some(Reserved::Person(_) | Reserved::Date));
    if !every && check.response.as_ref().is_some_and(Pointer::is_many) {
        return Err(
            "response points at one object's attribute, without a star; judge a list by elements".to_owned()
        );
    }
    match (query, param) {
        (Some(query), Some(param)) => {
            let param: Ident =
                param.parse().map_err(|error: claviger_domain::name::BadName| error.to_string())?;
            if !matches!(step.params.get(&param), Some(ParamSource::Scope(_))) {
                return Err(format!("{param} is no parameter from the scope"));
            }
            match step.query.iter().find(|(name, _)| *name == query) {
                Some((_, template)) if uses(template, &param) => {}
                _ => return Err(format!("query {query} is not filled with {param}")),
            }
            check.query = Some(QueryFilter { query, param });
        }
        (None, None) => {}
        _ => return Err("query and param go together".to_owned()),
    }
    if nonempty && elements.is_none() {
        return Err("nonempty goes with elements".to_owned());
    }
    let of = match (&elements, &probe, take) {
        (Some(text), Some(_), Some(id)) => {
            let param = r#as.clone().ok_or("as names the parameter that takes an element's id")?;
            let param = param.parse().map_err(|error: claviger_domain::name::BadName| error.to_string())?;
            Some(Of { list: list(text.clone())?, id: super::step::one(id)?, param })
        }
        (_, _, None) => None,
        _ => return Err("take goes with elements and a probe of each".to_owned()),
    };
    let (elements, r#as) = if of.is_some() { (None, None) } else { (elements, r#as) };
    if of.is_some() && (each.is_some() || nonempty || again || !step.answer.is_json()) {
        return Err("a probe of each element stands alone, and after an answer of JSON".to_owned());
    }
    if (!adds.is_empty() || !removes.is_empty()) && (probe.is_none() || of.is_some()) {
        return Err("without a probe, adds and removes change nothing that is looked at".to_owned());
    }
    let each = match (each, r#as) {
        (Some(arg), Some(param)) => Some(Each {
            arg: known_arg(&arg, place, |kind| matches!(kind, ArgKind::Ids { .. }))?,
            param: param.parse().map_err(|error: claviger_domain::name::BadName| error.to_string())?,
        }),
        (None, None) => None,
        _ => return Err("each names a list of ids, and as the parameter that takes one of them".to_owned()),
    };
    if (again || each.is_some()) && probe.is_none() {
        return Err("without a probe, again and each check nothing".to_owned());
    }
    match (elements, probe, at) {
        (Some(text), None, Some(at)) => {
            if !step.answer.is_json() {
                return Err("an answer of bytes has no elements; use a probe".to_owned());
            }
            check.elements = Some(Elements { list: list(text)?, at: pointer(at)?, nonempty });
        }
        (None, Some(name), Some(at)) => {
            let steps = place.steps.ok_or("a service's own step has no probe")?;
            let found =
                steps.values().find(|step| step.name.as_str() == name).ok_or(format!("no step {name}"))?;
            let taken = each.as_ref().map(|each| &each.param).or(of.as_ref().map(|of| &of.param));
            fillable(found, step, taken, place)?;
            let list = |arg: Option<String>| {
                arg.map(|arg| known_arg(&arg, place, |kind| matches!(kind, ArgKind::Ids { .. }))).transpose()
            };
            let at = pointer(at)?;
            if !every && at.is_many() {
                return Err("a probe points at one object's attribute, without a star".to_owned());
            }
            check.probe = Some(Probe {
                step: found.name.clone(),
                at,
                again,
                add: list(add)?,
                remove: list(remove)?,
                each,
                of,
                adds,
                removes,
            });
        }
        (None, None, None) => {}
        _ => return Err("at goes with elements or with probe".to_owned()),
    }
    let Check { query, arg, below: _, response, elements, probe } = &check;
    if query.is_none() && arg.is_none() && response.is_none() && elements.is_none() && probe.is_none() {
        return Err("it checks nothing".to_owned());
    }
    Ok(check)
}

/// Whether all that a probe's path needs is known where it is used.
pub(super) fn fillable(
    probe: &Step,
    user: &Step,
    taken: Option<&Ident>,
    place: &Place<'_>,
) -> Result<(), String> {
    if probe.local || !probe.answer.is_json() {
        return Err("a probe is a request that is answered with JSON".to_owned());
    }
    if let Some(param) = taken
        && !probe.names().contains(&param)
    {
        return Err(format!("the probe takes no {param}"));
    }
    // An argument beats a parameter, and the same object would be looked at each time.
    if taken.is_some_and(|param| place.args.is_some_and(|args| args.contains_key(param))) {
        return Err("as is a name that no argument has".to_owned());
    }
    for name in probe.path_names() {
        let known = place.args.is_some_and(|args| args.contains_key(name))
            || user.params.contains_key(name)
            || taken == Some(name);
        if !known {
            return Err(format!("the probe needs {name}"));
        }
    }
    Ok(())
}

fn uses(template: &Template, param: &Ident) -> bool {
    match template {
        Template::Literal(_) => false,
        Template::Param(name) => name == param,
        Template::List(items) => items.iter().any(|item| uses(item, param)),
        Template::Object(fields) | Template::Codec(_, fields) => {
            fields.values().any(|field| uses(field, param))
        }
    }
}
