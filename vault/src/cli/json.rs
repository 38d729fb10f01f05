//! What `--json` prints: the messages of the wire under the names they have there, ids and numbers as they are.
//!
//! Destructured without `..`, so that a new field on the wire must find its place here before this compiles.

use claviger_proto::v1::{
    Adapter, Agent, Approval, ArgumentBound, Caveat, ChildHandle, DetailLine, Grant, GrantedTool, Hours,
    LogEvent, People, Rate, RecentAlert, Resource, Secret, SecretVersion, Service, StatusResponse,
    TaintSource, Tool, Within, argument_bound, caveat,
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
        alerts,
        newest_alerts,
    } = status;
    let alert = |alert: &RecentAlert| {
        let RecentAlert { at_ms, what, agent, reference } = alert;
        json!({ "at_ms": at_ms, "what": what, "agent": agent, "reference": reference })
    };
    json!({
        "sealed": sealed, "version": version, "vault": vault, "started_at_ms": started_at_ms,
        "single_user": single_user, "key_memory": key_memory, "warnings": warnings,
        "audit_trouble": audit_trouble, "audit_records": audit_records, "agents": agents, "adapters": adapters,
        "secrets": secrets, "grants": grants, "live_capabilities": live_capabilities,
        "clock_refuses": clock_refuses, "recipients": recipients, "alerts": alerts,
        "newest_alerts": newest_alerts.iter().map(alert).collect::<Vec<_>>(),
    })
}

pub(super) fn agent(agent: &Agent) -> Value {
    let Agent {
        name,
        uid,
        frozen,
        frozen_why,
        opaque_refusals,
        inputs,
        tainted,
        socket,
        grants,
        taint,
        tainted_at_ms,
    } = agent;
    json!({
        "name": name, "uid": uid, "frozen": frozen, "frozen_why": frozen_why, "opaque_refusals": opaque_refusals,
        "inputs": inputs, "tainted": tainted, "tainted_at_ms": tainted_at_ms, "socket": socket, "grants": grants,
        "taint": taint.iter().map(taint_source).collect::<Vec<_>>(),
    })
}

fn taint_source(source: &TaintSource) -> Value {
    let TaintSource { at_ms, tool, secret, reference } = source;
    json!({ "at_ms": at_ms, "tool": tool, "secret": secret, "reference": reference })
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
        trusted_authors,
        serves,
        cannot_serve,
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
        "trusted_authors": trusted_authors, "serves": serves, "cannot_serve": cannot_serve,
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
        deny,
        trusted_sink,
        known,
        children,
        name,
    } = grant;
    let tool = |tool: &GrantedTool| {
        let GrantedTool { name, effect, changed } = tool;
        json!({ "name": name, "effect": effect, "changed": changed })
    };
    json!({
        "id": id, "agent": agent, "secret": secret, "tools": tools.iter().map(tool).collect::<Vec<_>>(),
        "caveats": caveats.iter().map(caveat).collect::<Vec<_>>(), "expires_at_ms": expires_at_ms,
        "approve": approve, "state": state, "created_at_ms": created_at_ms, "handle": handle,
        "calls_made": calls_made, "sentence": sentence, "warnings": warnings, "deny": deny,
        "trusted_sink": trusted_sink, "name": name, "known": known, "children": children.iter().map(child).collect::<Vec<_>>(),
    })
}

pub(super) fn approval(approval: &Approval) -> Value {
    let Approval {
        id,
        kind,
        agent,
        secret,
        grant,
        handle,
        tool,
        effect,
        state,
        created_at_ms,
        expires_at_ms,
        why,
        shown,
        purpose,
        answer,
    } = approval;
    let line = |line: &DetailLine| json!({ "name": line.name, "text": line.text });
    json!({
        "id": id, "kind": kind, "agent": agent, "secret": secret, "grant": grant, "handle": handle, "tool": tool,
        "effect": effect, "state": state, "created_at_ms": created_at_ms, "expires_at_ms": expires_at_ms, "why": why,
        "shown": shown.iter().map(line).collect::<Vec<_>>(), "purpose": purpose, "answer": answer,
    })
}

fn child(child: &ChildHandle) -> Value {
    let ChildHandle { id, parent, label, caveats, calls_made, created_at_ms, task } = child;
    json!({
        "id": id, "parent": parent, "label": label, "caveats": caveats.iter().map(caveat).collect::<Vec<_>>(),
        "calls_made": calls_made, "created_at_ms": created_at_ms, "task": task,
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
        Some(caveat::Kind::Resource(Resource { name, values, shown, nested })) => {
            json!({ "resource": { "name": name, "values": values, "shown": shown, "nested": nested } })
        }
        Some(caveat::Kind::ExpiresAtMs(at)) => json!({ "expires_at_ms": at }),
        Some(caveat::Kind::NotBeforeMs(at)) => json!({ "not_before_ms": at }),
        Some(caveat::Kind::Hours(Hours { zone, days, from_minute, to_minute })) => {
            json!({ "hours": { "zone": zone, "days": days, "from_minute": from_minute, "to_minute": to_minute } })
        }
        Some(caveat::Kind::BytesADay(bytes)) => json!({ "bytes_a_day": bytes }),
        Some(caveat::Kind::Tools(tools)) => json!({ "tools": tools.names }),
        Some(caveat::Kind::People(People { role, patterns })) => {
            json!({ "people": { "role": role, "patterns": patterns } })
        }
        Some(caveat::Kind::Within(Within { after, before })) => {
            json!({ "within": { "after": after, "before": before } })
        }
        Some(caveat::Kind::Paths(paths)) => json!({ "paths": paths.prefixes }),
        Some(caveat::Kind::MadeByAgent(made)) => json!({ "made_by_agent": made }),
        Some(caveat::Kind::Links(hosts)) => json!({ "links": hosts.hosts }),
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
                Some(Bound::Hosts(hosts)) => json!({ "hosts": hosts.hosts, "query": hosts.query }),
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
