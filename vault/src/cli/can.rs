//! `claviger can`: what a call would be told, without making it.

use clap::Args;
use claviger_canonical::Canonical;
use claviger_proto::v1::{CanRequest, CanResponse, ListServicesRequest, Objection, Tool};
use serde_json::{Map, Value, json};

use super::client::{Admin, Named, Session, explained};
use super::failure::Failure;
use super::page::{Page, Tone};
use super::report::Report;

/// Arguments of `can`.
#[derive(Debug, Args)]
pub(super) struct CanArgs {
    /// Whose call.
    agent: String,
    /// Which tool, such as gmail.send_message.
    tool: String,
    /// Its arguments; a list is written with commas, or as JSON.
    #[arg(value_name = "KEY=VALUE")]
    arguments: Vec<String>,
    /// Only with this secret.
    #[arg(long, default_value = "", value_name = "SECRET")]
    secret: String,
}

/// Runs `claviger can`.
pub(super) async fn run(session: &mut Session<'_>, args: CanArgs) -> Result<Report, Failure> {
    let CanArgs { agent, tool, arguments, secret } = args;
    let mut admin = session.admin().await?;
    let known = tools(&mut admin).await?;
    let tool = known.iter().find(|known| known.name == tool || known.mcp_name == tool).ok_or_else(|| {
        let near = super::client::unknown(
            &tool,
            &known.iter().map(|tool| tool.name.clone()).collect::<Vec<_>>(),
            "tool",
            "services",
        );
        let failure = Failure::new(format!("there is no tool {tool}"));
        near.into_iter().fold(failure, Failure::hint)
    })?;
    let arguments = written(&arguments, tool)?;
    let request = CanRequest {
        agent,
        tool: tool.name.clone(),
        arguments: canonical(&Value::Object(arguments))?,
        secret,
    };
    let answer = match admin.can(request.clone()).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => {
            let names = [Named::Agent(&request.agent), Named::Secret(&request.secret)];
            return Err(explained(&mut admin, status, &names).await);
        }
    };
    let mut page = session.page();
    say(&mut page, &answer);
    Ok(Report::new(json(&answer), page))
}

/// All tools of all services.
pub(super) async fn tools(admin: &mut Admin) -> Result<Vec<Tool>, Failure> {
    let services = admin.list_services(ListServicesRequest {}).await?.into_inner().services;
    Ok(services.into_iter().flat_map(|service| service.tools).collect())
}

/// Arguments in their canonical form (RFC 8785).
pub(super) fn canonical(arguments: &Value) -> Result<Vec<u8>, Failure> {
    let canonical = Canonical::from_json(arguments)
        .map_err(|error| Failure::usage(format!("the arguments have no canonical form: {error}")))?;
    Ok(canonical.bytes().to_vec())
}

/// `key=value` pairs as the tool's schema types them.
fn written(pairs: &[String], tool: &Tool) -> Result<Map<String, Value>, Failure> {
    let schema: Value = serde_json::from_slice(&tool.input_schema).map_err(|_| {
        Failure::new("the vault's schema of the tool is not readable")
            .hint("use a command line of its version")
    })?;
    let mut arguments = Map::new();
    for pair in pairs {
        let (key, text) = pair.split_once('=').ok_or_else(|| {
            Failure::usage(format!("`{pair}` is no KEY=VALUE")).hint("such as to=family@example.org")
        })?;
        let kind = schema["properties"][key]["type"].as_str().unwrap_or("string");
        if arguments.insert(key.to_owned(), value(key, text, kind)?).is_some() {
            return Err(Failure::usage(format!("{key} is given twice")).hint("a list is written with commas"));
        }
    }
    Ok(arguments)
}

fn value(key: &str, text: &str, kind: &str) -> Result<Value, Failure> {
    let wrong = |what: &str| Failure::usage(format!("{key} is {what}"));
    match kind {
        "integer" => text.parse::<i64>().map(Value::from).map_err(|_| wrong("a whole number")),
        "boolean" => text.parse::<bool>().map(Value::from).map_err(|_| wrong("true or false")),
        "array" | "object" if text.starts_with(['[', '{']) => {
            serde_json::from_str(text).map_err(|error| wrong(&format!("not JSON: {error}")))
        }
        "array" => {
            Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect())
        }
        "object" => Err(wrong("an object, written as JSON")),
        _ => Ok(text.into()),
    }
}

/// A verdict, for people.
pub(super) fn say(page: &mut Page, answer: &CanResponse) {
    match answer.answer.as_str() {
        "yes" => page.line(format!("yes, by {}", answer.grant)),
        "approval" => page.toned(Tone::Alarm, format!("after approval, by {}", answer.grant)),
        _ => page.toned(Tone::Alarm, "no"),
    }
    for condition in &answer.conditions {
        page.line(format!("  {condition}"));
    }
    for objection in &answer.objections {
        let Objection { grant, class, field, caveat, value, fix } = objection;
        let who = if grant.is_empty() { "no grant" } else { grant };
        page.line(format!(
            "  {who}: {class}{}",
            if field.is_empty() { String::new() } else { format!(" ({field})") }
        ));
        page.fields(&[("    bound", caveat.clone()), ("    value", value.clone()), ("    fix", fix.clone())]);
    }
}

/// A verdict, for programs.
pub(super) fn json(answer: &CanResponse) -> Value {
    let CanResponse { answer, grant, conditions, objections } = answer;
    let objections: Vec<Value> = objections
        .iter()
        .map(|objection| {
            let Objection { grant, class, field, caveat, value, fix } = objection;
            json!({ "grant": grant, "class": class, "field": field, "caveat": caveat, "value": value, "fix": fix })
        })
        .collect();
    json!({ "answer": answer, "grant": grant, "conditions": conditions, "objections": objections })
}
