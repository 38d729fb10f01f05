//! What `--json` prints: the messages of the wire under the names they have there, ids and numbers as they are.
//!
//! Destructured without `..`, so that a new field on the wire must find its place here before this compiles.

use claviger_proto::v1::{
    Adapter, Agent, ArgumentBound, Caveat, DetailLine, Grant, GrantedTool, LogEvent, Rate, Resource, Secret,
    SecretVersion, Service, StatusResponse, Tool, argument_bound, caveat,
};
use serde_json::{Value, json};

pub(super) fn status(status: &StatusResponse) -> Value {
    let StatusResponse {
        sealed,
        version,
        vault,
        started_at_ms,
        single_user,
        key_memory,
        warnings,
        audit_trouble,
        audit_records,
        agents,
        adapters,
        secrets,
        grants,
        live_capabilities,
        clock_refuses,
        recipients,
    } = status;
    json!({
        "sealed": sealed, "version": version, "vault": vault, "started_at_ms": started_at_ms,
        "single_user": single_user, "key_memory": key_memory, "warnings": warnings,
        "audit_trouble": audit_trouble, "audit_records": audit_records, "agents": agents, "adapters": adapters,
        "secrets": secrets, "grants": grants, "live_capabilities": live_capabilities,
        "clock_refuses": clock_refuses, "recipients": recipients,
    })
}

pub(super) fn agent(agent: &Agent) -> Value {
    let Agent { name, uid, frozen, frozen_why, opaque_refusals, inputs, tainted, socket, grants } = agent;
    json!({
        "name": name, "uid": uid, "frozen": frozen, "frozen_why": frozen_why, "opaque_refusals": opaque_refusals,
        "inputs": inputs, "tainted": tainted, "socket": socket, "grants": grants,
    })
}

pub(super) fn adapter(adapter: &Adapter) -> Value {
    let Adapter { name, uid, endpoint, socket } = adapter;
    json!({ "name": name, "uid": uid, "endpoint": endpoint, "socket": socket })
}

pub(super) fn secret(secret: &Secret) -> Value {
    let Secret {
        name,
        kind,
        version,
        origins,
        token_endpoint,
        subject,
        email,
        scopes,
        created_at_ms,
        rotated_at_ms,
        needs_login,
        default,
        grants,
        private,
        versions,
    } = secret;
    let version_json = |version: &SecretVersion| {
        let SecretVersion { number, state, created_at_ms } = version;
        json!({ "number": number, "state": state, "created_at_ms": created_at_ms })
    };
    json!({
        "name": name, "kind": kind, "version": version, "origins": origins, "token_endpoint": token_endpoint,
        "subject": subject, "email": email, "scopes": scopes, "created_at_ms": created_at_ms,
        "rotated_at_ms": rotated_at_ms, "needs_login": needs_login, "default": default, "grants": grants,
        "private": private, "versions": versions.iter().map(version_json).collect::<Vec<_>>(),
    })
}

pub(super) fn service(service: &Service) -> Value {
    let Service { id, title, origin, auth, tools, resources, private } = service;
    json!({
        "id": id, "title": title, "origin": origin, "auth": auth, "resources": resources, "private": private,
        "tools": tools.iter().map(tool).collect::<Vec<_>>(),
    })
}

fn tool(tool: &Tool) -> Value {
    let Tool { name, mcp_name, title, description, input_schema, effect, untrusted, definition } = tool;
    json!({
        "name": name, "mcp_name": mcp_name, "title": title, "description": description, "effect": effect,
        "untrusted": untrusted, "definition": definition,
        "input_schema": serde_json::from_slice::<Value>(input_schema).unwrap_or(Value::Null),
    })
}

pub(super) fn grant(grant: &Grant) -> Value {
    let Grant {
        id,
        agent,
        secret,
        tools,
        caveats,
        expires_at_ms,
        approve,
        state,
        created_at_ms,
        handle,
        calls_made,
        sentence,
        warnings,
    } = grant;
    let tool = |tool: &GrantedTool| {
        let GrantedTool { name, effect, changed } = tool;
        json!({ "name": name, "effect": effect, "changed": changed })
    };
    json!({
        "id": id, "agent": agent, "secret": secret, "tools": tools.iter().map(tool).collect::<Vec<_>>(),
        "caveats": caveats.iter().map(caveat).collect::<Vec<_>>(), "expires_at_ms": expires_at_ms,
        "approve": approve, "state": state, "created_at_ms": created_at_ms, "handle": handle,
        "calls_made": calls_made, "sentence": sentence, "warnings": warnings,
    })
}

fn caveat(caveat: &Caveat) -> Value {
    match &caveat.kind {
        None => Value::Null,
        Some(caveat::Kind::Rate(Rate { count, per_seconds })) => {
            json!({ "rate": { "count": count, "per_seconds": per_seconds } })
        }
        Some(caveat::Kind::Calls(calls)) => json!({ "calls": calls }),
        Some(caveat::Kind::Recipients(patterns)) => json!({ "recipients": patterns.patterns }),
        Some(caveat::Kind::Resource(Resource { name, values, shown })) => {
            json!({ "resource": { "name": name, "values": values, "shown": shown } })
        }
        Some(caveat::Kind::Argument(ArgumentBound { argument, bound })) => {
            use argument_bound::Bound;
            let bound = match bound {
                None => Value::Null,
                Some(Bound::EachIn(patterns)) => json!({ "each_in": patterns.patterns }),
                Some(Bound::OneOf(patterns)) => json!({ "one_of": patterns.patterns }),
                Some(Bound::Max(max)) => json!({ "max": max }),
                Some(Bound::Absent(absent)) => json!({ "absent": absent }),
                Some(Bound::MaxLength(length)) => json!({ "max_length": length }),
                Some(Bound::MinLength(length)) => json!({ "min_length": length }),
            };
            json!({ "argument": { "name": argument, "bound": bound } })
        }
    }
}

pub(super) fn event(event: &LogEvent) -> Value {
    let LogEvent {
        reference,
        at_ms,
        kind,
        actor,
        agent,
        adapter,
        secret,
        secret_version,
        grant,
        handle,
        call,
        r#use,
        tool,
        step,
        effect,
        status,
        bytes,
        micros,
        ending,
        class,
        field,
        count,
        taints,
        detail,
    } = event;
    let line = |line: &DetailLine| json!({ "name": line.name, "text": line.text });
    json!({
        "reference": reference, "at_ms": at_ms, "kind": kind, "actor": actor, "agent": agent,
        "adapter": adapter, "secret": secret, "secret_version": secret_version, "grant": grant,
        "handle": handle, "call": call, "use": r#use, "tool": tool, "step": step, "effect": effect,
        "status": status, "bytes": bytes, "micros": micros, "ending": ending, "class": class, "field": field,
        "count": count, "taints": taints, "detail": detail.iter().map(line).collect::<Vec<_>>(),
    })
}
