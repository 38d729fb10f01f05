//! A person's word: whether a call needs it, and whether it was given.

use std::sync::Arc;

use claviger_domain::grant::Approve;
use claviger_domain::id::ApprovalId;
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::seen::Seen;

use super::Broker;
use super::mint::Calling;
use super::persist::Put;

/// A person's word on one call, to be used up in the commit that charges it.
#[derive(Default)]
pub(super) struct Consent {
    puts: Vec<Put>,
}

impl Consent {
    /// What the commit writes besides the counters.
    pub(super) fn puts(&self) -> &[Put] {
        &self.puts
    }
}

impl Broker {
    /// Whether the call may go on without a person, or with the word that was given.
    ///
    /// # Errors
    /// Class `pending` with what to collect by, or `denied`.
    pub(super) async fn consent(
        self: &Arc<Self>,
        calling: &Calling<'_>,
        seen: &Seen,
        approval: Option<ApprovalId>,
    ) -> Result<Consent, Denial> {
        let due = match calling.presented.grant.grant.approve {
            Approve::Never => false,
            Approve::Default => seen.effect.needs_approval_word(),
            Approve::Tainted => self.is_tainted(&calling.presented.grant.grant.agent),
            Approve::New | Approve::Always => true,
        };
        if due || approval.is_some() {
            return Err(Denial::new(Class::Denied));
        }
        Ok(Consent::default())
    }

    /// The commit that used it up is durable.
    pub(super) fn consented(&self, _consent: Consent) {}
}
