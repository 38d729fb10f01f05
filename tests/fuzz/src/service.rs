//! Service files: a fault, or a catalog that nothing later stumbles over.

use std::collections::{BTreeMap, BTreeSet};

use claviger_canonical::Canonical;
use claviger_domain::arg::Arguments;
use claviger_domain::catalog::Catalog;
use claviger_domain::effect::Effect;
use claviger_domain::render::{Filling, render};
use claviger_domain::schema::schema;
use claviger_domain::step::{Segment, Step};
use claviger_domain::tool::{Auth, Service, Tool};
use claviger_vault::catalog::{CatalogFault, of_files};
use serde_json::json;

const PROVIDER: &str = include_str!("../../../vault/services/google.provider.toml");

/// Any text as a service file, and as a provider's, and as one of signs: faults in words, or a catalog whose every tool
/// keeps to what the rest of the vault takes for granted.
///
/// # Panics
/// Where that does not hold.
pub fn service(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // What the file's first line says it is; a service if nothing.
    let (name, text) = match text.split_once('\n') {
        Some(("# provider", rest)) => ("some.provider.toml", rest),
        Some(("# guard", rest)) => ("guard.toml", rest),
        _ => ("some.toml", text),
    };
    let read = || read(name, text);
    match read() {
        Ok(catalog) => {
            let again = read().expect("the same again");
            assert_eq!((&again.services, &again.providers), (&catalog.services, &catalog.providers));
            sound(&catalog);
        }
        Err(faults) => {
            assert!(!faults.is_empty());
            for CatalogFault { file, fault } in faults {
                assert!(!file.is_empty() && !fault.is_empty());
            }
        }
    }
}

fn read(name: &str, text: &str) -> Result<Catalog, Vec<CatalogFault>> {
    let files = [("google.provider.toml", PROVIDER), (name, text)];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    of_files(files, &BTreeMap::new(), &BTreeMap::new())
}

fn sound(catalog: &Catalog) {
    for (id, service) in &catalog.services {
        assert_eq!(*id, service.id);
        if let Auth::OAuth2 { provider } = &service.auth {
            assert!(catalog.provider(provider).is_some(), "a provider that is there");
        }
        for step in service.steps.values() {
            step_is_sound(step, service);
        }
        for resource in service.resources.values() {
            assert!(service.steps.contains_key(&resource.step));
        }
        let mut names = BTreeSet::new();
        for (name, tool) in &service.tools {
            assert_eq!((tool.name.service(), tool.name.tool()), (&service.id, name));
            let shown = tool.name.mcp_name(None).expect("a name that every host takes");
            assert!(shown.len() <= 64 && names.insert(shown));
            tool_is_sound(tool, service);
        }
    }
}

fn tool_is_sound(tool: &Tool, service: &Service) {
    assert!(!tool.steps.is_empty() && tool.requests > 0, "{}", tool.name);
    let known = |name| tool.args.contains_key(name);
    assert!(tool.show.iter().all(known) && tool.recipient_args().into_iter().all(known));
    assert!(tool.sends_with.is_empty() || tool.effect == Effect::Write);
    let shown = schema(tool, &[]);
    let properties = shown["properties"].as_object().expect("properties");
    assert!(properties.keys().eq(tool.args.keys().map(|name| name.as_str())));
    assert_eq!(shown["additionalProperties"], json!(false));
    let none = Canonical::from_json(&json!({})).expect("an object");
    let args = Arguments::parse(&tool.args, none.value());
    let required = tool.args.values().any(|arg| arg.required);
    assert_eq!(args.is_err(), required, "{}: what is required is asked for", tool.name);
    for step in &tool.steps {
        step_is_sound(step, service);
        // Every name that a path needs is an argument or a parameter; nobody could give another.
        for name in step.path_names() {
            assert!(known(name) || step.params.contains_key(name), "{}: {name}", tool.name);
        }
        if let Ok(args) = &args {
            let filling = Filling { args, params: &BTreeMap::new(), page_token: None };
            assert!(render(step, filling) == render(step, filling));
        }
    }
    for look in &tool.looks {
        assert!(service.steps.contains_key(&look.step), "{}: a look's step", tool.name);
    }
}

fn step_is_sound(step: &Step, service: &Service) {
    if !step.local {
        assert_eq!(service.pin.origins.len(), 1, "one place to send to");
    }
    for segment in &step.path {
        if let Segment::Literal(text) = segment {
            let plain = |b: u8| b.is_ascii_graphic() && !b"/?#\\%".contains(&b);
            assert!(!matches!(text.as_str(), "." | ".." | "") && text.bytes().all(plain), "{text:?}");
        }
    }
    for check in step.checks.values() {
        if let Some(probe) = &check.probe {
            let probe = service.steps.get(&probe.step).expect("a probe's step");
            assert!(!probe.local && probe.answer.is_json());
        }
    }
}
