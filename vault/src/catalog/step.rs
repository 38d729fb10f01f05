//! Steps of service files.

use std::collections::BTreeMap;

use claviger_domain::arg::{Arg, ArgKind};
use claviger_domain::look::{Look, needs_looks};
use claviger_domain::name::Ident;
use claviger_domain::pointer::Pointer;
use claviger_domain::step::{
    AnswerKind, Check, LetterAt, LookedUp, Method, Paging, ParamSource, Segment, Step, Template,
};
use claviger_domain::tool::Resource;

use super::authors;
use super::check;
use super::raw::{RawLetter, RawParam, RawPointers, RawStep};
use super::service::keep;
use super::stream;
use super::template::{self, Names};

/// Where a step stands, and what it may name.
pub(super) struct Place<'a> {
    /// For messages.
    pub(super) at: &'a str,
    /// The tool's arguments; `None` for a service's own step.
    pub(super) args: Option<&'a BTreeMap<Ident, Arg>>,
    /// Headers that the service's requests carry.
    pub(super) headers: &'a BTreeMap<String, String>,
    /// The service's resources.
    pub(super) resources: &'a BTreeMap<Ident, Resource>,
    /// The service's own steps, for probes; `None` while those are read.
    pub(super) steps: Option<&'a BTreeMap<Ident, Step>>,
    /// The tool's looks.
    pub(super) looks: &'a [Look],
}

/// Reads one step; faults are noted.
pub(super) fn build(
    mut raw: RawStep,
    name: Option<Ident>,
    place: &Place<'_>,
    faults: &mut Vec<String>,
) -> Option<Step> {
    let at = place.at;
    let given: Option<Ident> = raw.name.as_ref().and_then(|name| keep(faults, at, name.parse()));
    let name = match name.or(given) {
        Some(name) => name,
        None => {
            faults.push(format!("{at}: a tool's step has a name"));
            return None;
        }
    };
    if raw.local {
        fits_local(&raw, place, faults);
    }
    let method = match (&raw.method, raw.local) {
        (None, true) => Some(Method::Get),
        (method, _) => keep(faults, at, self::method(method.as_deref().unwrap_or_default())),
    };
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
    let names = Names { args: place.args, params: &params };
    let path = match (&raw.path, raw.local) {
        (None, true) => Some(Vec::new()),
        (path, _) => {
            keep(faults, &format!("{at}.path"), self::path(path.as_deref().unwrap_or_default(), &names))
        }
    };
    let mut query = Vec::new();
    for (key, value) in &raw.query {
        if let Some(template) = keep(faults, &format!("{at}.query.{key}"), template::parse(value, &names)) {
            query.push((key.clone(), template));
        }
    }
    let mut headers = if raw.local { BTreeMap::new() } else { place.headers.clone() };
    headers.extend(std::mem::take(&mut raw.headers));
    for (name, value) in &headers {
        keep(faults, &format!("{at}.headers.{name}"), header(name, value));
    }
    let upload = stream::upload(raw.body.as_ref(), raw.resumable, &names, place, faults);
    let body = raw
        .body
        .as_ref()
        .filter(|_| upload.is_none())
        .and_then(|body| keep(faults, &format!("{at}.body"), body_template(body, &names)));
    let mut yields = BTreeMap::new();
    for (param, pointer) in raw.yields {
        let at = format!("{at}.yields.{param}");
        let texts = match pointer {
            RawPointers::One(text) => vec![text],
            RawPointers::Several(texts) => texts,
        };
        let pointers = texts.into_iter().map(check::pointer).collect::<Result<Vec<_>, _>>();
        if let (Some(param), Some(pointers)) = (keep(faults, &at, param.parse()), keep(faults, &at, pointers))
        {
            yields.insert(param, pointers);
        }
    }
    let page = raw.page.and_then(|page| {
        let take = keep(faults, &format!("{at}.page"), one(page.take))?;
        if place.args.is_some_and(|args| !args.values().any(|arg| arg.kind == ArgKind::Page)) {
            faults.push(format!("{at}.page: the tool has no argument of type page"));
        }
        let size = page.size.and_then(|size| {
            let whole = |kind: &ArgKind| matches!(kind, ArgKind::Integer { .. });
            keep(faults, &format!("{at}.page.size"), known_arg(&size, place, whole))
        });
        if page.numbered && size.is_none() {
            faults.push(format!("{at}.page: pages that are counted have a size"));
        }
        Some(Paging { take, query: page.query, size, numbered: page.numbered, list: None })
    });
    let answer = match raw.answer.as_deref() {
        None | Some("json") => AnswerKind::Json { fields: raw.fields },
        Some("bytes") => AnswerKind::Bytes,
        Some("stream") => {
            let streamed = stream::answer(raw.offset.take(), raw.decode.take(), raw.max.take(), place);
            keep(faults, at, streamed).map_or(AnswerKind::Bytes, AnswerKind::Stream)
        }
        Some(_) => {
            faults.push(format!("{at}: answer is json, bytes or stream"));
            AnswerKind::Bytes
        }
    };
    if raw.offset.is_some() || raw.decode.is_some() || raw.max.is_some() {
        faults.push(format!("{at}: offset, decode and max are for an answer that is a stream"));
    }
    let refuse = raw
        .refuse
        .into_iter()
        .filter_map(|raw| keep(faults, &format!("{at}.refuse"), check::refuse(raw, &answer)))
        .collect();
    if raw.list.is_some() && !answer.is_json() {
        faults.push(format!("{at}.list: its answer is no list"));
    }
    let makes = raw.makes.and_then(|raw| keep(faults, &format!("{at}.makes"), one(raw.id)));
    if makes.is_some() && (!answer.is_json() || raw.local) {
        faults.push(format!("{at}.makes: its answer names nothing"));
    }
    let letter = raw.letter.and_then(|raw| keep(faults, &format!("{at}.letter"), letter(raw)));
    let if_match = raw.if_match.and_then(|name| {
        let found = place.looks.iter().find(|look| look.name.as_str() == name && look.etag.is_some());
        if found.is_none() {
            faults.push(format!("{at}.if_match: the tool has no look {name} with an etag"));
        }
        found.map(|look| look.name.clone())
    });
    let mut step = Step {
        name,
        method: method?,
        path: path?,
        query,
        headers: headers.into_iter().collect(),
        body,
        params,
        checks: BTreeMap::new(),
        recipients: Vec::new(),
        yields,
        answer,
        list: raw.list,
        page,
        scope: raw.scope,
        refuse,
        makes,
        local: raw.local,
        if_match,
        authors: Vec::new(),
        letter,
        upload,
    };
    if let Some(raw) = raw.authors {
        step.authors =
            keep(faults, &format!("{at}.authors"), authors::all(raw, &step, place)).unwrap_or_default();
    }
    check::build(raw.check, &mut step, place, faults);
    if let Some(list) = keep(faults, &format!("{at}.page"), turned(&step))
        && let Some(paging) = &mut step.page
    {
        paging.list = list;
    }
    stream::fits(&step, place, faults);
    Some(step)
}

/// The list of a step with pages whose elements a bound may drop. The vault turns such pages itself, asks as often as it
/// must, and puts together what remains.
fn turned(step: &Step) -> Result<Option<Pointer>, String> {
    let Some(paging) = &step.page else { return Ok(None) };
    let of = |check: &Check| check.probe.as_ref().and_then(|probe| Some(probe.of.as_ref()?.list.clone()));
    let elements = |check: &Check| Some(check.elements.as_ref()?.list.clone());
    let mut lists: Vec<Pointer> =
        step.checks.values().flat_map(|check| [of(check), elements(check)]).flatten().collect();
    if lists.is_empty() {
        return match step.page.as_ref().is_some_and(|page| page.numbered) {
            true => Err("pages that are counted go with a list whose elements are judged".to_owned()),
            false => Ok(None),
        };
    }
    lists.extend(step.refuse.iter().filter_map(|refuse| refuse.elements.clone()));
    lists.dedup();
    let nonempty = |check: &Check| check.elements.as_ref().is_some_and(|elements| elements.nonempty);
    if step.method != Method::Get || needs_looks(step) || step.body.is_some() {
        return Err(
            "a list whose elements are judged, and that has pages, is a GET that no look fills".to_owned()
        );
    }
    if step.checks.values().any(nonempty) {
        return Err("a list with pages may be empty: nonempty does not go with it".to_owned());
    }
    match (lists.pop(), lists.is_empty()) {
        (Some(list), true) if list != paging.take => Ok(Some(list)),
        _ => Err("a step with pages has one list whose elements are judged".to_owned()),
    }
}

/// A local step is words for what an adapter does: it has a name, checks, and nothing of a request.
fn fits_local(raw: &RawStep, place: &Place<'_>, faults: &mut Vec<String>) {
    let RawStep {
        name: _,
        local: _,
        check: _,
        authors,
        method,
        path,
        if_match,
        refuse,
        makes,
        letter,
        query,
        headers,
        body,
        list,
        fields,
        answer,
        offset,
        decode,
        max,
        resumable,
        page,
        param,
        yields,
        scope,
    } = raw;
    let bare = method.is_none()
        && path.is_none()
        && if_match.is_none()
        && refuse.is_empty()
        && makes.is_none()
        && authors.is_none()
        && letter.is_none()
        && query.is_empty()
        && headers.is_empty()
        && body.is_none()
        && list.is_none()
        && fields.is_empty()
        && answer.is_none()
        && offset.is_none()
        && decode.is_none()
        && max.is_none()
        && resumable.is_none()
        && page.is_none()
        && param.is_empty()
        && yields.is_empty()
        && scope.is_empty();
    if !bare {
        faults.push(format!("{}: a local step has a name and checks, and nothing of a request", place.at));
    }
    if place.args.is_none() {
        faults.push(format!("{}: only a tool's step is local", place.at));
    }
}

fn letter(raw: RawLetter) -> Result<LetterAt, String> {
    match raw {
        RawLetter { message: Some(at), raw: None } => one(at).map(LetterAt::Message),
        RawLetter { message: None, raw: Some(at) } => one(at).map(LetterAt::Raw),
        _ => Err("a letter is a message, or raw".to_owned()),
    }
}

/// A pointer to one place.
pub(super) fn one(text: String) -> Result<Pointer, String> {
    match check::pointer(text)? {
        many if many.is_many() => Err("it points at one place, without a star".to_owned()),
        one => Ok(one),
    }
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
    let last = rest.split('/').count() - 1;
    rest.split('/')
        .enumerate()
        .map(|(at, segment)| match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => match name.strip_suffix("...") {
                Some(name) if at == last => names.path_like(name).map(Segment::Rest),
                Some(_) => Err("only the end of a path is a path itself".to_owned()),
                None => names.find(name).map(Segment::Param),
            },
            None if segment.is_empty() || matches!(segment, "." | "..") || !segment.bytes().all(plain) => {
                Err(format!("{segment:?} is no plain segment"))
            }
            None => Ok(Segment::Literal(segment.to_owned())),
        })
        .collect()
}

/// A header of the catalog's: no word of how a request is framed, sent or let in, and plain text.
fn header(name: &str, value: &str) -> Result<(), String> {
    const NEVER: [&str; 18] = [
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "if-match",
        "keep-alive",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-http-method-override",
    ];
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if name.is_empty() || !plain || NEVER.contains(&name) || name.starts_with("proxy-") {
        return Err("is no header that a service file may set, in small letters".to_owned());
    }
    let text = value.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    if (1..=200).contains(&value.len()) && text && value.trim() == value {
        Ok(())
    } else {
        Err("has a plain text of 1 to 200 characters for its value".to_owned())
    }
}

fn body_template(value: &toml::Value, names: &Names<'_>) -> Result<Template, String> {
    match template::parse(value, names)? {
        codec @ Template::Codec(..) => Ok(codec),
        _ => Err("a body is made by a codec".to_owned()),
    }
}

fn source(raw: &RawParam, place: &Place<'_>) -> Result<ParamSource, String> {
    match raw {
        RawParam { from, resource: None, look: None, at: None, r#as: None } if from == "answer" => {
            Ok(ParamSource::Answer)
        }
        RawParam { from, resource: Some(resource), look: None, at: None, r#as: None } if from == "scope" => {
            known_resource(resource, place).map(ParamSource::Scope)
        }
        RawParam { from, resource: None, look: Some(look), at: Some(at), r#as } if from == "look" => {
            let found = place.looks.iter().find(|known| known.name.as_str() == look);
            let look = found.ok_or_else(|| format!("the tool has no look {look}"))?.name.clone();
            match r#as.as_deref() {
                None | Some("text") => {
                    Ok(ParamSource::Look { look, at: one(at.clone())?, kind: LookedUp::Text })
                }
                Some("addresses") => {
                    Ok(ParamSource::Look { look, at: check::pointer(at.clone())?, kind: LookedUp::Addresses })
                }
                Some("json") => Ok(ParamSource::Look { look, at: one(at.clone())?, kind: LookedUp::Json }),
                Some(_) => Err("as is text, addresses or json".to_owned()),
            }
        }
        _ => Err("from is answer, scope with a resource, or look with a look and at".to_owned()),
    }
}

pub(super) fn known_resource(text: &str, place: &Place<'_>) -> Result<Ident, String> {
    place
        .resources
        .keys()
        .find(|known| known.as_str() == text)
        .cloned()
        .ok_or_else(|| format!("the service has no resource {text}"))
}

pub(super) fn known_arg(
    text: &str,
    place: &Place<'_>,
    wanted: impl Fn(&ArgKind) -> bool,
) -> Result<Ident, String> {
    let args = place.args.ok_or("a service's own step has no arguments")?;
    match args.iter().find(|(name, _)| name.as_str() == text) {
        Some((name, arg)) if wanted(&arg.kind) => Ok(name.clone()),
        Some(_) => Err(format!("argument {text} is of the wrong type for this")),
        None => Err(format!("no argument {text}")),
    }
}
