//! What an owner may see: status, the log, and why something was refused. And the vault's own bookkeeping.

use std::sync::Arc;

use claviger_domain::event::{Actor, Detail, Ending, Event, Kind};
use claviger_domain::grant::GrantedTool;
use claviger_domain::id::Ref;

use super::error::AdminError;
use super::state::GrantEntry;
use super::view::{Explained, LogAsk, StatusView};
use super::{Broker, lock};
use crate::port::AuditFault;

/// How many events one answer holds at most.
const MOST: usize = 1_000;

impl Broker {
    /// How the vault is. Answers while sealed too, with less.
    #[must_use]
    pub fn status(&self) -> StatusView {
        let now_ms = self.now_ms();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let mut warnings = Vec::new();
        let (mut view, live) = {
            let state = self.read();
            for (name, secret) in &state.secrets {
                if secret.needs_login.load(std::sync::atomic::Ordering::SeqCst) {
                    warnings.push(format!("{name} needs a login: claviger connect {name} --renew --for …"));
                }
            }
            for (name, agent) in &state.agents {
                if let Some(why) = &agent.record.frozen {
                    warnings.push(format!("agent {name} is frozen: {why}"));
                }
            }
            let live: Vec<Arc<GrantEntry>> =
                state.grants.values().filter(|entry| entry.alive(now_ms).is_ok()).cloned().collect();
            let view = StatusView {
                sealed: !state.unsealed,
                agents: count(state.agents.len()),
                adapters: count(state.adapters.len()),
                secrets: count(state.secrets.len()),
                grants: count(live.len()),
                ..StatusView::default()
            };
            (view, live)
        };
        warnings.extend(self.waiting());
        // With nothing locked: there may be many, and nobody's call waits for a look at the status.
        let catalog = self.catalog();
        for GrantEntry { grant, .. } in live.iter().map(|entry| &**entry) {
            let changed = |tool: &&GrantedTool| {
                catalog.tool(&tool.name).map(|now| now.definition) != Some(tool.definition)
            };
            if let Some(tool) = grant.tools.iter().find(changed) {
                warnings.push(format!(
                    "{} of {} has changed since it was granted: look at it, then grant anew",
                    tool.name, grant.id
                ));
            }
        }
        view.warnings = warnings;
        view.audit_trouble = self.ports.audit.trouble().map(|fault| fault.to_string());
        view.clock_refuses = self.clock_refuses();
        view.live_capabilities = lock(&self.capabilities).len() as u64;
        (view.alerts, view.newest_alerts) = self.alerts_today();
        view
    }

    /// The newest events that fit, newest first. That somebody looked is recorded too.
    ///
    /// # Errors
    /// The vault is sealed, or the log cannot be read or written.
    pub async fn log(&self, admin: Actor, ask: LogAsk) -> Result<Vec<(Event, Detail)>, AdminError> {
        self.require_unsealed()?;
        self.record_view(admin, "log").await?;
        let LogAsk { agent, secret, tool, refused, alerts, since_ms, limit } = ask;
        let wanted = move |event: &Event| {
            event.at_ms >= since_ms
                && agent.as_ref().is_none_or(|agent| event.agent.as_ref() == Some(agent))
                && secret.as_ref().is_none_or(|secret| event.secret.as_ref() == Some(secret))
                && tool.as_ref().is_none_or(|tool| event.tool.as_ref() == Some(tool))
                && (!refused || matches!(event.kind, Kind::Refused | Kind::Coalesced))
                && (!alerts || event.kind == Kind::Alert)
        };
        Ok(self.ports.audit.query(Box::new(wanted), limit.clamp(1, MOST)).await?)
    }

    /// What stands behind a reference: the event, its grant, and the whole call it belongs to.
    ///
    /// # Errors
    /// The vault is sealed, nothing has that reference, or the log cannot be read or written.
    pub async fn why(&self, admin: Actor, reference: Ref) -> Result<Explained, AdminError> {
        self.require_unsealed()?;
        self.record_view(admin, "why").await?;
        let found = match self.ports.audit.find(reference).await? {
            Some(found) => Some(found),
            // What was read is named by its call, in the shape of a reference.
            None => {
                let call = claviger_domain::id::CallId::from_bytes(*reference.as_bytes());
                let minted = move |event: &Event| event.call == Some(call) && event.kind == Kind::Minted;
                self.ports.audit.query(Box::new(minted), 1).await?.pop()
            }
        };
        let event = found.ok_or_else(|| AdminError::Missing {
            what: "event",
            name: reference.to_string(),
            near: Vec::new(),
        })?;
        let grant = event.0.grant.and_then(|id| self.grant(id).ok());
        let mut call = match event.0.call {
            None => Vec::new(),
            Some(call) => {
                self.ports.audit.query(Box::new(move |event| event.call == Some(call)), MOST).await?
            }
        };
        call.reverse();
        Ok(Explained { event, grant, call })
    }

    pub(super) async fn record_view(&self, admin: Actor, what: &str) -> Result<(), AdminError> {
        let mut event = self.event(Kind::Viewed, admin);
        event.step = Some(what.to_owned());
        // The log is read most when it is in trouble, so a full log does not hide itself.
        match self.ports.audit.record(event, Detail::default()).await {
            Ok(()) | Err(AuditFault::Full | AuditFault::Broken | AuditFault::Busy) => Ok(()),
            Err(fault @ AuditFault::Closed) => Err(fault.into()),
        }
    }

    /// Records something about the vault itself: started, unsealed, sealed, stopped.
    ///
    /// # Errors
    /// It could not be recorded.
    pub async fn record(&self, kind: Kind, actor: Actor) -> Result<(), AuditFault> {
        let event = self.event(kind, actor);
        match kind {
            Kind::Sealed | Kind::Stopped => {
                self.ports.audit.record_from_reserve(event, Detail::default()).await
            }
            _ => self.ports.audit.record(event, Detail::default()).await,
        }
    }

    /// Gives intents of an earlier run that have no outcome the only one that is true: unknown. Nothing is retried.
    pub async fn recover(&self, intents: Vec<Event>) {
        for intent in intents {
            let own = self.event(Kind::Outcome, Actor::Vault);
            let event = Event {
                kind: Kind::Outcome,
                reference: own.reference,
                at_ms: own.at_ms,
                boot: own.boot,
                ..intent
            };
            let event = Event { ending: Some(Ending::Unknown), bytes: None, ..event };
            if let Err(error) = self.ports.audit.record(event, Detail::default()).await {
                tracing::warn!(%error, "an intent of an earlier run has no outcome yet");
            }
        }
    }

    /// What is done now and then: what is over goes, and the clock's mark moves up.
    pub async fn tick(self: &Arc<Self>) {
        let now_us = self.ports.clock.mono_us();
        lock(&self.capabilities).sweep(now_us);
        lock(&self.nonces).sweep(now_us / 1000);
        {
            let state = self.read();
            // An answer that came as its grant was revoked may have left a page behind.
            lock(&self.pages).retain(|handle| state.handles.contains(*handle));
        }
        if self.is_unsealed() {
            self.sweep_children().await;
            self.mark_time().await;
            self.save_taints().await;
            self.save_habits().await;
            self.sweep_approvals().await;
        }
    }
}
