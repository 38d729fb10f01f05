//! Steps of service files.

use std::collections::BTreeMap;

use claviger_domain::arg::{Arg, ArgKind};
use claviger_domain::name::Ident;
use claviger_domain::pointer::Pointer;
use claviger_domain::step::{
    AnswerKind, Check, Elements, Method, Paging, ParamSource, Probe, QueryFilter, Segment, Step, Template,
};
use claviger_domain::tool::Resource;

use super::raw::{RawCheck, RawParam, RawStep};
use super::service::keep;
use super::template::{self, Names};

/// Where a step stands, and what it may name.
pub(super) struct Place<'a> {
    /// For messages.
    pub(super) at: &'a str,
    /// The tool's arguments; `None` for a service's own step.
    pub(super) args: Option<&'a BTreeMap<Ident, Arg>>,
    /// The service's resources.
    pub(super) resources: &'a BTreeMap<Ident, Resource>,
    /// The service's own steps, for probes; `None` while those are read.
    pub(super) steps: Option<&'a BTreeMap<Ident, Step>>,
}

/// Reads one step; faults are noted.
pub(super) fn build(
    raw: RawStep,
    name: Option<Ident>,
    place: &Place<'_>,
    faults: &mut Vec<String>,
) -> Option<Step> {
    let at = place.at;
    let given: Option<Ident> = raw.name.and_then(|name| keep(faults, at, name.parse()));
    let name = match name.or(given) {
        Some(name) => name,
        None => {
            faults.push(format!("{at}: a tool's step has a name"));
            return None;
        }
    };
    let method = keep(faults, at, method(&raw.method));
    let mut params = BTreeMap::new();
    for (param, raw) in raw.param {
        let at = format!("{at}.param.{param}");
        if let (Some(param), Some(source)) =
            (keep(faults, &at, param.parse::<Ident>()), keep(faults, &at, source(&raw, place)))
        {
            if place.args.is_some_and(|args| args.contains_key(&param)) {
                faults.push(format!("{at}: an argument has that name"));
            }
            params.insert(param, source);
        }
    }
    let names = Names { args: place.args, params: params.keys().collect() };
    let path = keep(faults, &format!("{at}.path"), path(&raw.path, &names));
    let mut query = Vec::new();
    for (key, value) in &raw.query {
        if let Some(template) = keep(faults, &format!("{at}.query.{key}"), template::parse(value, &names)) {
            query.push((key.clone(), template));
        }
    }
    let body =
        raw.body.as_ref().and_then(|body| keep(faults, &format!("{at}.body"), body_template(body, &names)));
    let mut yields = BTreeMap::new();
    for (param, pointer) in raw.yields {
        let at = format!("{at}.yields.{param}");
        if let (Some(param), Some(pointer)) =
            (keep(faults, &at, param.parse()), keep(faults, &at, pointer.parse::<Pointer>()))
        {
            yields.insert(param, pointer);
        }
    }
    let page = raw.page.and_then(|page| {
        let take = keep(faults, &format!("{at}.page"), page.take.parse())?;
        if place.args.is_some_and(|args| !args.values().any(|arg| arg.kind == ArgKind::Page)) {
            faults.push(format!("{at}.page: the tool has no argument of type page"));
        }
        Some(Paging { take, query: page.query })
    });
    let answer = match raw.answer.as_deref() {
        None | Some("json") => AnswerKind::Json { fields: raw.fields },
        Some("bytes") => AnswerKind::Bytes,
        Some(_) => {
            faults.push(format!("{at}: answer is json or bytes"));
            AnswerKind::Bytes
        }
    };
    let mut step = Step {
        name,
        method: method?,
        path: path?,
        query,
        body,
        params,
        checks: BTreeMap::new(),
        recipients: Vec::new(),
        yields,
        answer,
        page,
        scope: raw.scope,
    };
    for (resource, raw) in raw.check {
        let at = format!("{at}.check.{resource}");
        if resource == "recipients" {
            step.recipients = keep(faults, &at, recipients(raw, place)).unwrap_or_default();
        } else if let (Some(resource), Some(check)) =
            (keep(faults, &at, known_resource(&resource, place)), keep(faults, &at, check(raw, &step, place)))
        {
            step.checks.insert(resource, check);
        }
    }
    Some(step)
}

fn method(text: &str) -> Result<Method, &'static str> {
    [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete]
        .into_iter()
        .find(|method| method.as_str() == text)
        .ok_or("method is GET, POST, PUT, PATCH or DELETE")
}

fn path(text: &str, names: &Names<'_>) -> Result<Vec<Segment>, String> {
    let rest = text.strip_prefix('/').ok_or("a path begins with a slash")?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:@".contains(&b);
    rest.split('/')
        .map(|segment| match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => names.find(name).map(Segment::Param),
            None if segment.is_empty() || matches!(segment, "." | "..") || !segment.bytes().all(plain) => {
                Err(format!("{segment:?} is no plain segment"))
            }
            None => Ok(Segment::Literal(segment.to_owned())),
        })
        .collect()
}

fn body_template(value: &toml::Value, names: &Names<'_>) -> Result<Template, String> {
    match template::parse(value, names)? {
        codec @ Template::Codec(..) => Ok(codec),
        _ => Err("a body is made by a codec".to_owned()),
    }
}

fn source(raw: &RawParam, place: &Place<'_>) -> Result<ParamSource, String> {
    match (raw.from.as_str(), &raw.resource) {
        ("answer", None) => Ok(ParamSource::Answer),
        ("scope", Some(resource)) => known_resource(resource, place).map(ParamSource::Scope),
        _ => Err("from is answer, or scope with a resource".to_owned()),
    }
}

fn known_resource(text: &str, place: &Place<'_>) -> Result<Ident, String> {
    place
        .resources
        .keys()
        .find(|known| known.as_str() == text)
        .cloned()
        .ok_or_else(|| format!("the service has no resource {text}"))
}

fn known_arg(text: &str, place: &Place<'_>, wanted: impl Fn(&ArgKind) -> bool) -> Result<Ident, String> {
    let args = place.args.ok_or("a service's own step has no arguments")?;
    match args.iter().find(|(name, _)| name.as_str() == text) {
        Some((name, arg)) if wanted(&arg.kind) => Ok(name.clone()),
        Some(_) => Err(format!("argument {text} is of the wrong type for this")),
        None => Err(format!("no argument {text}")),
    }
}

fn recipients(raw: RawCheck, place: &Place<'_>) -> Result<Vec<Ident>, String> {
    match raw {
        RawCheck {
            args: Some(args),
            query: None,
            param: None,
            arg: None,
            response: None,
            elements: None,
            probe: None,
            at: None,
            again: false,
            add: None,
            remove: None,
        } if !args.is_empty() => args
            .iter()
            .map(|arg| known_arg(arg, place, |kind| matches!(kind, ArgKind::Addresses { .. })))
            .collect(),
        _ => Err("recipients are checked in args, a list of arguments of type addresses".to_owned()),
    }
}

fn check(raw: RawCheck, step: &Step, place: &Place<'_>) -> Result<Check, String> {
    let RawCheck { query, param, arg, args, response, elements, probe, at, again, add, remove } = raw;
    if args.is_some() {
        return Err("args is for recipients; a resource is checked in one arg".to_owned());
    }
    let pointer = |text: String| text.parse::<Pointer>().map_err(|error| error.to_string());
    let list_or_id = |kind: &ArgKind| {
        use ArgKind::{Calendar, Calendars, Id, Ids};
        matches!(kind, Id | Ids { .. } | Calendar | Calendars { .. })
    };
    let mut check = Check {
        query: None,
        arg: arg.map(|arg| known_arg(&arg, place, list_or_id)).transpose()?,
        response: response.map(pointer).transpose()?,
        elements: None,
        probe: None,
    };
    if check.response.is_some() && step.answer == AnswerKind::Bytes {
        return Err("an answer of bytes says nothing of where it belongs; use a probe".to_owned());
    }
    // One element in scope must not speak for its neighbours.
    if check.response.as_ref().is_some_and(Pointer::is_many) {
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
    match (elements, probe, at) {
        (Some(list), None, Some(at)) => {
            // A star would make the list unreachable for the judge; siblings of a deeper list would go out unjudged.
            if list.matches('/').count() != 1 || list.contains('*') {
                return Err("elements is a list at the top of the answer, such as /files".to_owned());
            }
            if step.answer == AnswerKind::Bytes {
                return Err("an answer of bytes has no elements; use a probe".to_owned());
            }
            let list = pointer(list)?;
            check.elements = Some(Elements { list, at: pointer(at)? });
        }
        (None, Some(name), Some(at)) => {
            let steps = place.steps.ok_or("a service's own step has no probe")?;
            let found =
                steps.values().find(|step| step.name.as_str() == name).ok_or(format!("no step {name}"))?;
            fillable(found, step, place)?;
            let list = |arg: Option<String>| {
                arg.map(|arg| known_arg(&arg, place, |kind| matches!(kind, ArgKind::Ids { .. }))).transpose()
            };
            let at = pointer(at)?;
            if at.is_many() {
                return Err("a probe points at one object's attribute, without a star".to_owned());
            }
            check.probe =
                Some(Probe { step: found.name.clone(), at, again, add: list(add)?, remove: list(remove)? });
        }
        (None, None, None) => {}
        _ => return Err("at goes with elements or with probe".to_owned()),
    }
    let Check { query, arg, response, elements, probe } = &check;
    if query.is_none() && arg.is_none() && response.is_none() && elements.is_none() && probe.is_none() {
        return Err("it checks nothing".to_owned());
    }
    Ok(check)
}

/// Whether all that a probe's path needs is known where it is used.
fn fillable(probe: &Step, user: &Step, place: &Place<'_>) -> Result<(), String> {
    for segment in &probe.path {
        if let Segment::Param(name) = segment {
            let known =
                place.args.is_some_and(|args| args.contains_key(name)) || user.params.contains_key(name);
            if !known {
                return Err(format!("the probe needs {name}"));
            }
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
