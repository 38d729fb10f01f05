//! Taint, decoys and alerts, between wire and domain.

use claviger_domain::decoy::Look;
use claviger_domain::id::DecoyId;
use claviger_proto::v1;

use crate::broker::DecoyKind;
use crate::broker::error::AdminError;
use crate::broker::view::{AlertView, DecoyView, TaintView};

/// What decoy is wanted, and the note on it.
///
/// # Errors
/// Neither a handle nor a credential, a look that is none, or a look for a handle.
pub fn add_decoy(request: v1::AddDecoyRequest) -> Result<(DecoyKind, String), AdminError> {
    let v1::AddDecoyRequest { kind, note, look } = request;
    let wrong = || {
        AdminError::invalid(
            "a decoy is a handle, or a credential with a look",
            "say credential --look google, github, aws or slack; or handle",
        )
    };
    let kind = match (kind.as_str(), look.as_str()) {
        ("handle", "") => DecoyKind::Handle,
        ("credential", "") => DecoyKind::Credential(Look::Google),
        ("credential", look) => DecoyKind::Credential(Look::from_word(look).ok_or_else(wrong)?),
        _ => return Err(wrong()),
    };
    Ok((kind, note))
}

/// A decoy's id.
///
/// # Errors
/// It is none.
pub fn decoy_id(text: &str) -> Result<DecoyId, AdminError> {
    text.parse()
        .map_err(|_| AdminError::invalid("that is no decoy's id", "ids look like dec_0123456789abcdef"))
}

/// A decoy, with what to plant.
#[must_use]
pub fn decoy(decoy: DecoyView) -> v1::Decoy {
    let DecoyView { id, kind, value, note, created_at_ms, used } = decoy;
    v1::Decoy { id: id.to_string(), kind, value, note, created_at_ms, used }
}

/// What tainted an agent.
#[must_use]
pub fn taint_source(source: TaintView) -> v1::TaintSource {
    let TaintView { at_ms, tool, secret, reference } = source;
    v1::TaintSource { at_ms, tool, secret, reference }
}

/// One alert.
#[must_use]
pub fn alert(alert: AlertView) -> v1::RecentAlert {
    let AlertView { at_ms, what, agent, reference } = alert;
    v1::RecentAlert { at_ms, what, agent, reference }
}
