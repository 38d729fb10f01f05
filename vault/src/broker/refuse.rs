//! How a denial becomes what a peer is told, and what the owner can look up.

use claviger_domain::event::{Actor, Detail, Event, Kind};
use claviger_domain::id::GrantId;
use claviger_domain::name::{AdapterName, AgentName, SecretName, ToolName};
use claviger_domain::refusal::{Class, Denial, Refusal};

use super::Broker;
use super::mint::Presented;

/// Whom and what a refusal was about, as far as it was known when it happened.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    pub(super) agent: Option<AgentName>,
    pub(super) adapter: Option<AdapterName>,
    pub(super) secret: Option<SecretName>,
    pub(super) grant: Option<GrantId>,
    pub(super) handle: Option<claviger_domain::id::HandleId>,
    pub(super) call: Option<claviger_domain::id::CallId>,
    pub(super) tool: Option<ToolName>,
    pub(super) step: Option<String>,
    /// What an owner may read of the arguments.
    pub(super) arguments: Option<String>,
    /// The arguments as they were understood: a deny grant may come while the call is under way.
    pub(super) args: Option<std::sync::Arc<claviger_domain::arg::Arguments>>,
    /// Which rules of the agent's it was decided by; `None` for what stands under no grant.
    pub(super) rules: Option<u64>,
    /// How many requests the vault has made to decide it.
    pub(super) looked: std::sync::Arc<std::sync::atomic::AtomicU32>,
    /// Whether the agent is told class and reference only.
    pub(super) opaque: bool,
}

impl Broker {
    /// Records a denial and makes of it what the peer is told.
    pub(super) fn refuse(&self, actor: Actor, about: About, denial: Denial) -> Refusal {
        let Denial { class, field, caveat, value, fix, approval } = denial;
        // While sealed nothing can be sealed for the owner, and strangers' noise is not worth a record.
        if class == Class::Sealed {
            return Refusal { class, field: None, reference: None, approval: None };
        }
        self.count_refusal(&about, class);
        let opaque = about.opaque;
        let mut event = self.event(Kind::Refused, actor);
        about.fill(&mut event);
        event.class = Some(class);
        event.field.clone_from(&field);
        let mut detail = Detail::default();
        detail.add("arguments", about.arguments.as_deref());
        detail.add("caveat", caveat.as_deref());
        detail.add("value", value.as_deref());
        detail.add("fix", fix.as_deref());
        let reference = event.reference;
        let recorded = self.ports.audit.refusal(event, detail);
        Refusal {
            class,
            field: if opaque { None } else { field },
            reference: recorded.then_some(reference),
            approval,
        }
    }
}

impl About {
    /// Under whose authority.
    pub(super) fn under(&mut self, presented: &Presented) {
        self.grant = Some(presented.grant.grant.id);
        self.handle = Some(presented.handle.handle.id);
    }

    /// Puts what is known into an event.
    pub(super) fn fill(&self, event: &mut Event) {
        event.agent.clone_from(&self.agent);
        event.adapter.clone_from(&self.adapter);
        event.secret.clone_from(&self.secret);
        event.grant = self.grant;
        event.handle = self.handle;
        event.call = self.call;
        event.tool.clone_from(&self.tool);
        event.step.clone_from(&self.step);
    }
}
