//! Domain to wire: what peers and admins are shown.

use claviger_domain::event::{Detail, Event};
use claviger_domain::grant::{Grant, GrantedTool, Handle};
use claviger_domain::name::ToolName;
use claviger_domain::tool::Service;
use claviger_proto::v1;

use super::caveats;
use crate::broker::view::{
    AdapterView, AgentView, ChildView, Connected, Explained, GrantView, Minted, Opened, OpenedHandle,
    SecretView, Sent, ToolView, VersionView,
};

/// What an agent's client opens.
#[must_use]
pub fn opened(opened: Opened) -> v1::OpenResponse {
    let Opened { agent, boot, replica, frozen, handles } = opened;
    v1::OpenResponse {
        agent: agent.to_string(),
        boot: boot.as_bytes().to_vec(),
        replica: replica.as_bytes().to_vec(),
        handles: handles.into_iter().map(handle).collect(),
        frozen,
    }
}

/// A handle, as its agent's client gets it.
#[must_use]
pub fn handle(handle: OpenedHandle) -> v1::OpenHandle {
    let OpenedHandle { id, parent, label, grant, secret, proof_key, tools, expires_at_ms, adapter } = handle;
    let AdapterView { name, uid, endpoint } = adapter;
    v1::OpenHandle {
        id: id.to_string(),
        grant: grant.to_string(),
        secret: secret.to_string(),
        proof_key: proof_key.to_vec(),
        tools: tools.into_iter().map(tool).collect(),
        expires_at_ms: expires_at_ms.unwrap_or(0),
        parent: parent.map(|parent| parent.to_string()).unwrap_or_default(),
        label,
        adapter: Some(v1::Endpoint { adapter: name.to_string(), socket: endpoint, uid }),
    }
}

/// A tool, as a host needs to know it.
#[must_use]
pub fn tool(tool: ToolView) -> v1::Tool {
    let ToolView { name, mcp_name, summary, schema, effect, untrusted, definition } = tool;
    v1::Tool {
        title: title(&name),
        name: name.to_string(),
        mcp_name,
        description: summary,
        input_schema: schema.to_string().into_bytes(),
        effect: effect.as_str().to_owned(),
        untrusted,
        definition: definition.to_string(),
    }
}

/// `gmail.search_messages` as people read it: "Search messages".
fn title(name: &ToolName) -> String {
    let words = name.tool().as_str().replace('_', " ");
    let mut chars = words.chars();
    chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}

/// A capability, for the adapter that it is bound to.
#[must_use]
pub fn minted(minted: Minted) -> v1::MintResponse {
    let Minted { capability, call, expires_in_ms, requests, tool, effect, untrusted, choices } = minted;
    let choices = choices.into_iter().map(|(resource, ids)| v1::Choice { resource, ids });
    v1::MintResponse {
        capability: capability.to_vec(),
        call: call.to_string(),
        expires_in_ms,
        requests,
        tool: tool.to_string(),
        effect: effect.as_str().to_owned(),
        untrusted,
        choices: choices.collect(),
    }
}

/// An upstream's answer.
#[must_use]
pub fn sent(sent: Sent) -> v1::SendResponse {
    let Sent { status, headers, body, untrusted, flags } = sent;
    let headers = headers.into_iter().map(|(name, value)| v1::Header { name, value });
    v1::SendResponse { status: u32::from(status), headers: headers.collect(), body, untrusted, flags }
}

/// An agent, with the socket that it opens.
#[must_use]
pub fn agent(agent: AgentView, socket: String) -> v1::Agent {
    let AgentView { name, uid, frozen, opaque, inputs_vault_only, tainted, tainted_at_ms, taint, grants } =
        agent;
    v1::Agent {
        name: name.to_string(),
        uid,
        frozen: frozen.is_some(),
        frozen_why: frozen.unwrap_or_default(),
        opaque_refusals: opaque,
        inputs: if inputs_vault_only { "vault" } else { "open" }.to_owned(),
        tainted,
        socket,
        grants,
        taint: taint.into_iter().map(super::watch::taint_source).collect(),
        tainted_at_ms,
    }
}

/// An adapter, with the socket on which the vault serves it.
#[must_use]
pub fn adapter(adapter: AdapterView, socket: String) -> v1::Adapter {
    let AdapterView { name, uid, endpoint } = adapter;
    v1::Adapter { name: name.to_string(), uid, endpoint, socket }
}

/// A service with its tools.
#[must_use]
pub fn service(service: &Service, tools: Vec<ToolView>) -> v1::Service {
    let Service { id, title, pin, auth, resources, steps: _, tools: _ } = service;
    v1::Service {
        id: id.to_string(),
        title: title.clone(),
        origin: pin.origins.first().map(ToString::to_string).unwrap_or_default(),
        auth: auth.kind().to_owned(),
        tools: tools.into_iter().map(tool).collect(),
        resources: resources.keys().map(ToString::to_string).collect(),
        private: pin.private,
    }
}

/// All that may be known of a secret.
#[must_use]
pub fn secret(secret: SecretView) -> v1::Secret {
    let SecretView {
        name,
        kind,
        version,
        origins,
        private,
        token_endpoint,
        subject,
        email,
        scopes,
        created_at_ms,
        rotated_at_ms,
        needs_login,
        default,
        grants,
        versions,
        trusted_authors,
        serves,
        cannot_serve,
    } = secret;
    let versions = versions.into_iter().map(|VersionView { number, state, created_at_ms }| {
        v1::SecretVersion { number, state: state.to_owned(), created_at_ms }
    });
    v1::Secret {
        name: name.to_string(),
        kind,
        version,
        origins,
        token_endpoint: token_endpoint.unwrap_or_default(),
        subject: subject.unwrap_or_default(),
        email: email.unwrap_or_default(),
        scopes,
        created_at_ms,
        rotated_at_ms,
        needs_login,
        default,
        grants,
        private,
        versions: versions.collect(),
        trusted_authors,
        serves: serves.iter().map(ToString::to_string).collect(),
        cannot_serve: cannot_serve.iter().map(ToString::to_string).collect(),
    }
}

/// What came of connecting an account.
#[must_use]
pub fn connected(connected: Connected) -> v1::FinishConnectResponse {
    let Connected { secret: view, missing_scopes, crippled_tools } = connected;
    v1::FinishConnectResponse {
        secret: Some(secret(view)),
        missing_scopes,
        crippled_tools: crippled_tools.iter().map(ToString::to_string).collect(),
    }
}

/// A grant.
#[must_use]
pub fn grant(grant: GrantView) -> v1::Grant {
    let GrantView { grant, state, calls_made, changed, known, sentence, warnings, children } = grant;
    let Grant {
        id,
        agent,
        secret,
        tools,
        caveats,
        expires_at_ms,
        approve,
        deny,
        trusted_sink,
        name,
        lasts_s: _,
        created_at_ms,
        // The word beside it also knows the clock.
        state: _,
        root,
    } = grant;
    let tools = tools.into_iter().map(|GrantedTool { name, effect, definition: _ }| v1::GrantedTool {
        effect: effect.as_str().to_owned(),
        changed: changed.contains(&name),
        name: name.to_string(),
    });
    v1::Grant {
        id: id.to_string(),
        agent: agent.to_string(),
        secret: secret.to_string(),
        tools: tools.collect(),
        caveats: caveats.into_iter().map(caveats::answer).collect(),
        expires_at_ms: expires_at_ms.unwrap_or(0),
        approve: approve.as_str().to_owned(),
        state: state.to_owned(),
        created_at_ms,
        handle: root.to_string(),
        calls_made,
        sentence,
        warnings,
        deny,
        trusted_sink,
        known,
        children: children.into_iter().map(child).collect(),
        name: name.unwrap_or_default(),
    }
}

fn child(child: ChildView) -> v1::ChildHandle {
    let ChildView { handle, calls_made } = child;
    // Its grant is the one it is shown with.
    let Handle { id, grant: _, ancestors, caveats, label, task, created_at_ms } = handle;
    v1::ChildHandle {
        id: id.to_string(),
        parent: text(ancestors.first()),
        label,
        caveats: caveats.into_iter().map(caveats::answer).collect(),
        calls_made,
        created_at_ms,
        task,
    }
}

/// One event, with what an owner may read about it.
#[must_use]
pub fn event((event, detail): (Event, Detail)) -> v1::LogEvent {
    let Event {
        kind,
        reference,
        at_ms,
        boot: _,
        actor,
        agent,
        adapter,
        secret,
        secret_version,
        grant,
        handle,
        ancestors: _,
        call,
        use_id,
        tool,
        step,
        effect,
        taints,
        status,
        bytes,
        micros,
        ending,
        class,
        field,
        count,
        // Equal for equal arguments, and worth nothing without the key: of no use to who reads.
        digest: _,
    } = event;
    let Detail(lines) = detail;
    v1::LogEvent {
        reference: reference.to_string(),
        at_ms,
        kind: kind.as_str().to_owned(),
        actor: actor.to_string(),
        agent: text(agent),
        adapter: text(adapter),
        secret: text(secret),
        secret_version: secret_version.unwrap_or(0),
        grant: text(grant),
        handle: text(handle),
        call: text(call),
        r#use: text(use_id),
        tool: text(tool),
        step: step.unwrap_or_default(),
        effect: text(effect),
        status: status.map(u32::from).unwrap_or(0),
        bytes: bytes.unwrap_or(0),
        micros: micros.unwrap_or(0),
        ending: ending.map(|ending| ending.as_str().to_owned()).unwrap_or_default(),
        class: text(class),
        field: field.unwrap_or_default(),
        count: count.unwrap_or(0),
        taints,
        detail: lines.into_iter().map(|(name, text)| v1::DetailLine { name, text }).collect(),
    }
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// Why something happened.
#[must_use]
pub fn explained(explained: Explained) -> v1::WhyResponse {
    let Explained { event: about, grant: by, call } = explained;
    v1::WhyResponse {
        event: Some(event(about)),
        grant: by.map(grant),
        call: call.into_iter().map(event).collect(),
    }
}
