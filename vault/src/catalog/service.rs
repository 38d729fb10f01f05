//! Service files: what stands around the steps.

use std::collections::BTreeMap;

use claviger_canonical::{Digest, Value as Canonical};
use claviger_domain::arg::{Arg, ArgKind};
use claviger_domain::effect::Effect;
use claviger_domain::name::{Ident, ServiceId, ToolName};
use claviger_domain::origin::Pin;
use claviger_domain::pointer::Pointer;
use claviger_domain::reserved::Reserved;
use claviger_domain::step::{AnswerKind, ParamSource, Step};
use claviger_domain::tool::{Auth, Definition, Nested, Resource, Service, Tool};

use super::raw::{RawArg, RawAuth, RawNested, RawResource, RawService, RawTool};
use super::step::{self, Place};
use super::{ServiceOverride, look, stream};

/// Reads one service file; the error is every fault found in it.
pub(super) fn parse(text: &str) -> Result<Service, Vec<String>> {
    let raw: RawService = toml::from_str(text).map_err(|error| vec![error.to_string()])?;
    let table: toml::Table = toml::from_str(text).map_err(|error| vec![error.to_string()])?;
    let mut faults = Vec::new();
    let service = build(raw, &table, &mut faults);
    match service {
        Some(service) if faults.is_empty() => Ok(service),
        _ => Err(faults),
    }
}

pub(super) fn apply(service: &mut Service, change: &ServiceOverride) {
    let ServiceOverride { origin, private, roots_pem } = change;
    if let Some(origin) = origin {
        service.pin.origins = vec![origin.clone()];
    }
    service.pin.private = *private;
    service.pin.roots_pem.clone_from(roots_pem);
}

/// Keeps a value, or notes its fault with where it stands.
pub(super) fn keep<T>(faults: &mut Vec<String>, at: &str, result: Result<T, impl ToString>) -> Option<T> {
    result.map_err(|fault| faults.push(format!("{at}: {}", fault.to_string()))).ok()
}

fn build(raw: RawService, table: &toml::Table, faults: &mut Vec<String>) -> Option<Service> {
    let id: Option<ServiceId> = keep(faults, "id", raw.id.parse());
    let origins = match &raw.origin {
        Some(origin) => keep(faults, "origin", origin.parse()).map(|origin| vec![origin]),
        None => Some(Vec::new()),
    };
    let auth = keep(faults, "auth", auth(raw.auth));
    let mut resources = BTreeMap::new();
    for (name, raw) in raw.resource {
        let at = format!("resource.{name}");
        if Reserved::from_word(&name).is_some_and(|reserved| reserved != Reserved::File) {
            faults.push(format!("{at}: that is built in, and no resource"));
        }
        if let (Some(name), Some(resource)) =
            (keep(faults, &at, name.parse()), keep(faults, &at, resource(raw)))
        {
            resources.insert(name, resource);
        }
    }
    let mut steps = BTreeMap::new();
    let headers = raw.headers;
    for (name, raw) in raw.step {
        let at = format!("step.{name}");
        let Some(name) = keep::<Ident>(faults, &at, name.parse()) else { continue };
        let place =
            Place { at: &at, args: None, headers: &headers, resources: &resources, steps: None, looks: &[] };
        if let Some(step) = step::build(raw, Some(name.clone()), &place, faults) {
            steps.insert(name, step);
        }
    }
    for (name, resource) in &resources {
        if !steps.contains_key(&resource.step) {
            faults.push(format!("resource.{name}: no step {}", resource.step));
        }
        if let Some(nested) = &resource.nested
            && let Err(fault) = fits_nested(nested, &steps)
        {
            faults.push(format!("resource.{name}.nested: {fault}"));
        }
    }
    let (id, origins, auth) = (id?, origins?, auth?);
    let shared = shared_definition(table);
    let mut tools = BTreeMap::new();
    for (name, raw) in raw.tool {
        let at = format!("tool.{name}");
        let Some(ident) = keep::<Ident>(faults, &at, name.parse()) else { continue };
        let own = table.get("tool").and_then(|tools| tools.get(&name));
        let definition = keep(faults, &at, definition(&id, &shared, own));
        let full = ToolName::new(id.clone(), ident.clone());
        let shared = Shared { auth: &auth, headers: &headers, resources: &resources, steps: &steps };
        let tool = tool(raw, full, &shared, faults);
        if let (Some(mut tool), Some(definition)) = (tool, definition) {
            tool.definition = definition;
            tools.insert(ident, tool);
        }
    }
    let local = |step: &Step| step.local;
    let mut own = tools.values().flat_map(|tool: &Tool| &tool.steps);
    if origins.is_empty() && (!steps.is_empty() || !own.all(local)) {
        faults.push("origin: only a service whose steps are all local has none".to_owned());
    }
    if auth != Auth::None && tools.values().flat_map(|tool| &tool.steps).any(local) {
        faults.push("auth: a service with local steps is of kind none".to_owned());
    }
    let pin = Pin { origins, private: raw.private, roots_pem: raw.roots_pem };
    Some(Service { id, title: raw.title, pin, auth, resources, steps, tools })
}

fn auth(raw: RawAuth) -> Result<Auth, String> {
    match (raw.kind.as_str(), raw.provider, raw.header) {
        ("oauth2", Some(provider), None) => Ok(Auth::OAuth2 { provider }),
        ("bearer", None, None) => Ok(Auth::Bearer),
        ("basic", None, None) => Ok(Auth::Basic),
        ("none", None, None) => Ok(Auth::None),
        ("header", None, Some(name)) => {
            let name = name.to_ascii_lowercase();
            match http::HeaderName::from_bytes(name.as_bytes()) {
                Ok(_) => Ok(Auth::Header { name }),
                Err(_) => Err("header is not a header's name".to_owned()),
            }
        }
        _ => Err("kind is oauth2 (with provider), bearer, header (with header), basic or none".to_owned()),
    }
}

fn resource(raw: RawResource) -> Result<Resource, String> {
    let pointer = |text: &str| text.parse::<Pointer>().map_err(|error| error.to_string());
    Ok(Resource {
        summary: raw.summary,
        step: raw.resolve.step.parse().map_err(|error: claviger_domain::name::BadName| error.to_string())?,
        list: pointer(&raw.resolve.list)?,
        name: pointer(&raw.resolve.r#match)?,
        id: pointer(&raw.resolve.take)?,
        nested: raw.nested.map(nested).transpose()?,
    })
}

fn nested(raw: RawNested) -> Result<Nested, String> {
    let bad = |error: claviger_domain::name::BadName| format!("nested: {error}");
    let pointer = |text: &str| text.parse::<Pointer>().map_err(|error| format!("nested: {error}"));
    Ok(Nested {
        step: raw.step.parse().map_err(bad)?,
        list: pointer(&raw.list)?,
        id: pointer(&raw.take)?,
        param: raw.arg.parse().map_err(bad)?,
    })
}

fn fits_nested(nested: &Nested, steps: &BTreeMap<Ident, Step>) -> Result<(), String> {
    let step = steps.get(&nested.step).ok_or_else(|| format!("no step {}", nested.step))?;
    if step.local || !matches!(step.answer, AnswerKind::Json { .. }) {
        return Err("its step is a request that is answered with JSON".to_owned());
    }
    if nested.list.is_many() || nested.id.is_many() {
        return Err("list and take each point at one place, without a star".to_owned());
    }
    if step.names().iter().any(|name| **name != nested.param) || step.names().is_empty() {
        return Err(format!("its step takes {} and nothing else", nested.param));
    }
    Ok(())
}

/// What all tools of a service have in common.
struct Shared<'a> {
    auth: &'a Auth,
    headers: &'a BTreeMap<String, String>,
    resources: &'a BTreeMap<Ident, Resource>,
    steps: &'a BTreeMap<Ident, Step>,
}

fn tool(raw: RawTool, name: ToolName, shared: &Shared<'_>, faults: &mut Vec<String>) -> Option<Tool> {
    let Shared { auth, headers, resources, steps } = *shared;
    let at = format!("tool.{}", name.tool());
    let effect = keep(faults, &at, raw.effect.parse::<Effect>());
    let untrusted = match raw.answers.as_deref() {
        Some("trusted") => false,
        Some("untrusted") | None => true,
        Some(_) => {
            faults.push(format!("{at}: answers is trusted or untrusted"));
            true
        }
    };
    let mut args = BTreeMap::new();
    for (arg_name, raw) in raw.args {
        let at = format!("{at}.args.{arg_name}");
        if let (Some(arg_name), Some(arg)) =
            (keep(faults, &at, arg_name.parse::<Ident>()), keep(faults, &at, arg(raw)))
        {
            args.insert(arg_name, arg);
        }
    }
    let looks = look::build(raw.look, &at, &args, steps, faults);
    let mut own = Vec::new();
    for raw in raw.step {
        let at = format!("{at}.step.{}", raw.name.as_deref().unwrap_or("?"));
        let place =
            Place { at: &at, args: Some(&args), headers, resources, steps: Some(steps), looks: &looks };
        own.extend(step::build(raw, None, &place, faults));
    }
    let mut fault = |text: &str| faults.push(format!("{at}: {text}"));
    if own.is_empty() {
        fault("a tool has at least one step");
    }
    if own.iter().enumerate().any(|(n, step)| own[..n].iter().any(|other| other.name == step.name)) {
        fault("two steps have one name");
    }
    if matches!(auth, Auth::OAuth2 { .. }) && raw.scope.is_empty() {
        fault("scope names the OAuth scopes of which any one suffices");
    }
    if name.mcp_name(None).is_none() {
        fault("its name is too long for MCP hosts");
    }
    for text in stream::tool_faults(effect, raw.answers.as_deref() != Some("trusted"), &args, &own) {
        fault(&text);
    }
    let adapters =
        |step: &Step| step.params.values().any(|source| !matches!(source, ParamSource::Look { .. }));
    if effect.is_some_and(|effect| !effect.is_read()) && own.iter().any(adapters) {
        fault(
            "only a tool that reads takes parameters besides its arguments: anything else is made of the arguments alone",
        );
    }
    let show = raw.show.iter().filter_map(|text| {
        let known = args.keys().find(|known| known.as_str() == text).cloned();
        if known.is_none() {
            fault(&format!("show: no argument {text}"));
        }
        known
    });
    let show = show.collect();
    let sends_with = raw.sends_with.iter().filter_map(|text| {
        let known = args.keys().find(|known| known.as_str() == text).cloned();
        if known.is_none() {
            fault(&format!("sends_with: no argument {text}"));
        }
        known
    });
    let sends_with: Vec<Ident> = sends_with.collect();
    if !sends_with.is_empty() && effect != Some(Effect::Write) {
        fault("sends_with is for a tool that writes: what else a tool does is said by its effect alone");
    }
    Some(Tool {
        name,
        summary: raw.summary,
        effect: effect?,
        sends_with,
        untrusted,
        scope: raw.scope,
        requests: raw.requests.unwrap_or(u32::try_from(own.len()).unwrap_or(u32::MAX)),
        rescopes: raw.rescopes,
        carries: raw.carries,
        show,
        args,
        looks,
        steps: own,
        definition: Definition([0; 32]),
    })
}

fn arg(raw: RawArg) -> Result<Arg, String> {
    let most = |default: usize| -> Result<usize, String> {
        raw.max.map_or(Ok(default), |max| usize::try_from(max).map_err(|_| "max is not negative".to_owned()))
    };
    let kind = match raw.r#type.as_str() {
        "id" => ArgKind::Id,
        "ids" => ArgKind::Ids { max: most(100)? },
        "line" => ArgKind::Line { max: most(500)? },
        "text" => ArgKind::Text { max: most(100_000)? },
        "integer" => ArgKind::Integer {
            min: raw.min.ok_or("an integer has min and max")?,
            max: raw.max.ok_or("an integer has min and max")?,
        },
        "boolean" => ArgKind::Boolean,
        "date" => ArgKind::Date,
        "datetime" => ArgKind::DateTime,
        "calendar" => ArgKind::Calendar,
        "calendars" => ArgKind::Calendars { max: most(50)? },
        "event" => ArgKind::Event,
        "addresses" => ArgKind::Addresses { max: most(50)? },
        "choice" if !raw.of.is_empty() => ArgKind::Choice(raw.of),
        "page" => ArgKind::Page,
        "attachments" => ArgKind::Attachments { max: most(5)? },
        "path" => ArgKind::Path,
        "name" => ArgKind::Name,
        "branch" => ArgKind::Branch,
        "url" => ArgKind::Url,
        "upload" => ArgKind::Upload {
            max: raw.max.map_or(Ok(stream::MOST), u64::try_from).map_err(|_| "max is not negative")?,
        },
        _ => {
            return Err(
                "type is id, ids, line, text, integer, boolean, date, datetime, calendar, calendars, event, addresses, attachments, choice (with of), page, path, name, branch, url or upload"
                    .to_owned(),
            );
        }
    };
    let default = match raw.default {
        None => None,
        Some(value) => {
            let value = to_canonical(&value)?;
            let default = kind.parse(&value).map_err(|why| format!("default: it {why}"))?;
            if default
                .texts()
                .iter()
                .any(|text| raw.deny.iter().any(|denied| denied.eq_ignore_ascii_case(text)))
            {
                return Err("default: it is denied".to_owned());
            }
            Some(default)
        }
    };
    Ok(Arg { kind, required: raw.required, default, deny: raw.deny, summary: raw.summary })
}

/// What every tool of a service depends on besides its own table: how objects are looked at, and how names resolve.
fn shared_definition(table: &toml::Table) -> Vec<toml::Value> {
    ["auth", "headers", "resource", "step"].iter().filter_map(|key| table.get(*key).cloned()).collect()
}

/// SHA-256 over the canonical form of all that defines a tool: a change of any of it needs the admin's word.
fn definition(
    id: &ServiceId,
    shared: &[toml::Value],
    own: Option<&toml::Value>,
) -> Result<Definition, String> {
    let own = own.ok_or("the tool has no table")?;
    let whole = toml::Value::Array(
        [toml::Value::from("claviger tool v1"), toml::Value::from(id.as_str()), own.clone()]
            .into_iter()
            .chain(shared.iter().cloned())
            .collect(),
    );
    Ok(Definition(*Digest::of(&to_canonical(&whole)?.to_canonical()).as_bytes()))
}

fn to_canonical(value: &toml::Value) -> Result<Canonical, String> {
    let json = serde_json::to_value(value).map_err(|error| error.to_string())?;
    Canonical::try_from(&json).map_err(|kind| format!("{kind:?}"))
}
