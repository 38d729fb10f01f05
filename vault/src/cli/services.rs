//! `claviger services`: what agents can be given.

use clap::Args;
use claviger_proto::v1::{ListServicesRequest, Service, Tool};
use serde_json::{Value, json};

use super::client::{Session, unknown};
use super::failure::Failure;
use super::json;
use super::page::Page;
use super::report::Report;

/// Arguments of `services`.
#[derive(Debug, Args)]
pub(super) struct ServicesArgs {
    /// One service, or one tool, with its arguments.
    name: Option<String>,
}

/// Runs `claviger services`.
pub(super) async fn run(session: &mut Session<'_>, args: ServicesArgs) -> Result<Report, Failure> {
    let services = session.admin().await?.list_services(ListServicesRequest {}).await?.into_inner().services;
    let mut page = session.page();
    let Some(name) = args.name else {
        list(&mut page, &services);
        let json = json!({ "services": services.iter().map(json::service).collect::<Vec<_>>() });
        return Ok(Report::new(json, page));
    };
    let (id, tool) = name.split_once('.').map_or((name.as_str(), None), |(id, _)| (id, Some(name.as_str())));
    let Some(mut service) = services.iter().find(|service| service.id == id).cloned() else {
        let known: Vec<_> = services.into_iter().map(|service| service.id).collect();
        let hint = unknown(id, &known, "service", "services").unwrap_or_default();
        return Err(Failure::new(format!("the catalog has no service `{id}`")).hint(hint));
    };
    if let Some(tool) = tool {
        let known: Vec<_> = service.tools.iter().map(|tool| tool.name.clone()).collect();
        service.tools.retain(|known| known.name == tool);
        if let Some(hint) = unknown(tool, &known, "tool", &format!("services {id}")) {
            return Err(Failure::new(format!("{id} has no tool `{tool}`")).hint(hint));
        }
    }
    detail(&mut page, &service);
    Ok(Report::new(json::service(&service), page))
}

fn list(page: &mut Page, services: &[Service]) {
    let rows: Vec<_> = services
        .iter()
        .map(|service| {
            vec![
                service.id.clone(),
                service.title.clone(),
                service.auth.clone(),
                service.tools.len().to_string(),
                service.resources.join(", "),
                service.origin.clone(),
            ]
        })
        .collect();
    page.table(&["id", "title", "auth", "tools", "bound by", "origin"], &rows, "the catalog is empty");
    if !rows.is_empty() {
        page.line("`claviger services NAME` shows tools and arguments");
    }
}

fn detail(page: &mut Page, service: &Service) {
    page.line(format!("{} ({})", service.title, service.id));
    page.fields(&[
        ("origin", service.origin.clone() + if service.private { ", private" } else { "" }),
        ("auth", service.auth.clone()),
        ("bound by", service.resources.iter().map(|name| format!("--{name}")).collect::<Vec<_>>().join(", ")),
    ]);
    for tool in &service.tools {
        page.gap();
        page.line(format!("{}  [{}]", tool.name, tool.effect));
        page.line(format!("  {}", tool.description));
        if tool.untrusted {
            page.line("  its answers are written by strangers");
        }
        arguments(page, tool);
    }
}

/// The tool's arguments, with the bounds that a grant can set on each.
fn arguments(page: &mut Page, tool: &Tool) {
    let schema: Value = serde_json::from_slice(&tool.input_schema).unwrap_or(Value::Null);
    let Some(properties) = schema.get("properties").and_then(Value::as_object).filter(|all| !all.is_empty())
    else {
        page.line("  takes no arguments");
        return;
    };
    let is_required = |name: &str| {
        let required = schema.get("required").and_then(Value::as_array);
        required.is_some_and(|all| all.iter().any(|item| item.as_str() == Some(name)))
    };
    let rows: Vec<_> = properties
        .iter()
        .map(|(name, schema)| {
            let kind = schema.get("type").and_then(Value::as_str).unwrap_or("any");
            vec![
                format!("  {name}"),
                kind.to_owned(),
                if is_required(name) { "required" } else { "" }.to_owned(),
                bounds(kind).to_owned(),
                schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned(),
            ]
        })
        .collect();
    page.table(&["  argument", "type", "", "--bound", "meaning"], &rows, "");
}

fn bounds(kind: &str) -> &'static str {
    match kind {
        "string" => "one-of max-length min-length absent",
        "integer" | "number" => "max one-of absent",
        "array" => "each-in max-length min-length absent",
        _ => "absent",
    }
}
