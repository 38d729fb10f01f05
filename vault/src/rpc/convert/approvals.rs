//! Approvals and wishes on the wire, both ways.

use claviger_domain::approval::Approval;
use claviger_domain::id::ApprovalId;
use claviger_domain::name::AgentName;
use claviger_domain::refusal::{Class, Refusal};
use claviger_proto::v1;

use super::ask::{Asked, agent, invalid};
use super::caveats;
use crate::broker::view::{ApprovalView, Asked as WishAsked, Collected, Wish};

/// The most items of a list in a wish; the broker takes fewer.
const MAX_ITEMS: usize = 1000;

/// What an agent asks for.
///
/// # Errors
/// Class `bad-arguments` with the field, and nothing of what stood in it.
pub fn wish(request: v1::AskRequest) -> Result<Wish, Refusal> {
    let v1::AskRequest { purpose, handle, secret, tools, caveats: bounds, expires_in_seconds } = request;
    let bad = |field: &str| Refusal {
        class: Class::BadArguments,
        field: Some(field.to_owned()),
        reference: None,
        approval: None,
    };
    if tools.len() > MAX_ITEMS || bounds.len() > MAX_ITEMS {
        return Err(bad("tools"));
    }
    let given = |text: String| (!text.is_empty()).then_some(text);
    Ok(Wish {
        purpose,
        handle: given(handle).map(|text| text.parse()).transpose().map_err(|_| bad("handle"))?,
        secret: given(secret).map(|text| text.parse()).transpose().map_err(|_| bad("secret"))?,
        tools: tools.iter().map(|text| text.parse()).collect::<Result<_, _>>().map_err(|_| bad("tools"))?,
        caveats: bounds.into_iter().map(caveats::ask).collect::<Asked<_>>().map_err(|_| bad("caveats"))?,
        expires_in_s: expires_in_seconds,
    })
}

/// What waits for a person now.
#[must_use]
pub fn asked(asked: WishAsked) -> v1::AskResponse {
    let WishAsked { id, expires_at_ms } = asked;
    v1::AskResponse { id: id.to_string(), expires_at_ms }
}

/// Which approval an agent means; one that is none is absent, as another's is.
///
/// # Errors
/// Class `out-of-scope`.
pub fn own(request: v1::CollectRequest) -> Result<ApprovalId, Refusal> {
    let v1::CollectRequest { id } = request;
    id.parse().map_err(|_| Refusal {
        class: Class::OutOfScope,
        field: Some("approval".to_owned()),
        reference: None,
        approval: None,
    })
}

/// What became of it.
#[must_use]
pub fn collected(collected: Collected) -> v1::CollectResponse {
    let Collected { state, handle, tool, arguments, expires_at_ms, answer } = collected;
    v1::CollectResponse {
        state: state.as_str().to_owned(),
        handle: handle.map(|handle| handle.to_string()).unwrap_or_default(),
        tool: tool.map(|tool| tool.to_string()).unwrap_or_default(),
        arguments,
        expires_at_ms,
        answer,
    }
}

/// Which approval an admin means.
///
/// # Errors
/// It is no id of one.
pub fn id(text: &str) -> Asked<ApprovalId> {
    text.parse().map_err(|_| {
        invalid("that is no approval (ap_ and 32 digits)", "`claviger approvals` lists what waits")
    })
}

/// Whose approvals are to be listed, and whether those that are over too.
///
/// # Errors
/// The agent's name is none.
pub fn list(request: v1::ListApprovalsRequest) -> Asked<(Option<AgentName>, bool)> {
    let v1::ListApprovalsRequest { agent: of, all } = request;
    Ok(((!of.is_empty()).then(|| agent(&of)).transpose()?, all))
}

/// A person's decision.
///
/// # Errors
/// It names no approval.
pub fn decision(request: v1::DecideRequest) -> Asked<(ApprovalId, bool, String)> {
    let v1::DecideRequest { id: text, yes, answer } = request;
    Ok((id(&text)?, yes, answer))
}

/// An approval, as an admin sees it. In a list, the one line that it is about is what is shown of it.
#[must_use]
pub fn approval(view: ApprovalView) -> v1::Approval {
    let ApprovalView { approval, state, effect, secret, handle, summary, shown, purpose, answer } = view;
    // What is written may be older than what is so.
    let Approval { id, kind, agent, call, written: _, created_at_ms, expires_at_ms, why } = approval;
    let shown = if shown.is_empty() { vec![("summary".to_owned(), summary)] } else { shown };
    v1::Approval {
        id: id.to_string(),
        kind: kind.as_str().to_owned(),
        agent: agent.to_string(),
        secret: secret.map(|secret| secret.to_string()).unwrap_or_default(),
        grant: call.as_ref().map(|call| call.grant.to_string()).unwrap_or_default(),
        handle: handle.map(|handle| handle.to_string()).unwrap_or_default(),
        tool: call.map(|call| call.tool.to_string()).unwrap_or_default(),
        effect: effect.map(|effect| effect.to_string()).unwrap_or_default(),
        state: state.as_str().to_owned(),
        created_at_ms,
        expires_at_ms,
        why,
        shown: shown.into_iter().map(|(name, text)| v1::DetailLine { name, text }).collect(),
        purpose,
        answer,
    }
}
