//! Minting: a good presentation becomes a capability for one tool call.

use std::sync::Arc;

use claviger_canonical::presentation::{Presentation, Verified, WINDOW_MS, fresh};
use claviger_canonical::{Canonical, ProofKey};
use claviger_domain::arg::Arguments;
use claviger_domain::capability::{Capability, CapabilitySecret, LIFE_US, Minting};
use claviger_domain::caveat::ResourceBound;
use claviger_domain::deny::{excluded, forbids, forbids_seen};
use claviger_domain::event::{Actor, Detail, Kind};
use claviger_domain::grant::{Grant, Handle};
use claviger_domain::id::{CallId, CapabilityId, HandleId};
use claviger_domain::name::AdapterName;
use claviger_domain::permit::{self, Question};
use claviger_domain::refusal::{Class, Denial, Refusal};
use claviger_domain::scope::Scope;
use claviger_domain::seen::{Party, Seen};
use claviger_domain::tool::{Service, Tool};
use zeroize::Zeroizing;

use super::choose::{Stopped, Wanted, calling};
use super::look::Glances;
use super::nonces::Spent;
use super::refuse::About;
use super::state::{GrantEntry, HandleEntry, State};
use super::view::Minted;
use super::{Broker, lock};
use crate::port::Purpose;

/// A handle with all that decides on it, as it was at one moment.
#[derive(Clone)]
pub(super) struct Presented {
    pub(super) handle: Arc<HandleEntry>,
    /// Its ancestors, nearest first.
    pub(super) ancestors: Vec<Arc<HandleEntry>>,
    pub(super) grant: Arc<GrantEntry>,
    pub(super) frozen: bool,
    /// Which rules of the agent's this was read under.
    pub(super) rules: u64,
}

/// A call that its arguments allow, before anybody has looked further.
pub(super) struct Calling<'a> {
    /// Through whom.
    pub(super) adapter: &'a AdapterName,
    /// By which handle.
    pub(super) presented: &'a Presented,
    /// The service of its secret.
    pub(super) service: &'a Service,
    /// The tool.
    pub(super) tool: &'a Tool,
    /// The arguments as they were presented.
    pub(super) arguments: &'a Canonical,
    /// The arguments as they were understood.
    pub(super) args: &'a Arguments,
    /// What the call may touch.
    pub(super) scope: &'a Scope,
    /// What was seen for it under another grant, and is kept for the next.
    pub(super) glances: &'a Glances,
    /// For the log.
    pub(super) about: &'a About,
}

impl Presented {
    /// The ancestors as the decision takes them.
    pub(super) fn above(&self) -> Vec<&Handle> {
        self.ancestors.iter().map(|entry| &entry.handle).collect()
    }

    /// The question whether it may be used.
    pub(super) fn question<'a>(
        &'a self,
        adapter: &'a AdapterName,
        service: &'a Service,
        now_ms: u64,
        above: &'a [&'a Handle],
    ) -> Question<'a> {
        Question {
            now_ms,
            adapter,
            frozen: self.frozen,
            handle: &self.handle.handle,
            ancestors: above,
            grant: &self.grant.grant,
            service,
        }
    }
}

impl State {
    /// What is presented by a handle of that id, if it is one that can be.
    pub(super) fn presented(&self, id: HandleId) -> Option<Presented> {
        let (handle, ancestors) = self.chain(id)?;
        let grant = self.grants.get(&handle.handle.grant)?.clone();
        let agent = self.agents.get(&grant.grant.agent)?;
        let frozen = agent.record.frozen.is_some();
        let rules = agent.rules;
        (!grant.grant.deny).then_some(Presented { handle, ancestors, grant, frozen, rules })
    }
}

impl State {
    /// Whether nothing was taken away from what the agent's grants say since a call was decided.
    pub(super) fn same_rules(&self, about: &About) -> Result<(), Denial> {
        let now = about.agent.as_ref().and_then(|agent| self.agents.get(agent)).map(|entry| entry.rules);
        match about.rules {
            Some(then) if now != Some(then) => Err(Denial::new(Class::Revoked)
                .field("grant")
                .fix("the owner changed what is granted meanwhile; the call can be made anew")),
            _ => Ok(()),
        }
    }
}

impl Broker {
    /// Mints a capability for an adapter that was given this presentation with these argument bytes.
    ///
    /// # Errors
    /// The first rule that says no. Nothing is charged then, but where a charge could not be made durable.
    pub async fn mint(
        self: &Arc<Self>,
        adapter: &AdapterName,
        presentation: &str,
        arguments: &[u8],
    ) -> Result<Minted, Refusal> {
        let mut about = About { adapter: Some(adapter.clone()), ..About::default() };
        let result = self.try_mint(adapter, presentation, arguments, &mut about).await;
        result.map_err(|denial| self.refuse(Actor::Adapter(adapter.clone()), about, denial))
    }

    async fn try_mint(
        self: &Arc<Self>,
        adapter: &AdapterName,
        presentation: &str,
        arguments: &[u8],
        about: &mut About,
    ) -> Result<Minted, Denial> {
        if !self.is_unsealed() {
            return Err(Denial::new(Class::Sealed));
        }
        self.require_clock()?;
        // A connection may outlive its adapter's registration.
        if !self.read().adapters.contains_key(adapter) {
            return Err(Denial::new(Class::BadPresentation).field("adapter").fix("the adapter was removed"));
        }
        let bad = |why: &str| Denial::new(Class::BadPresentation).fix(why);
        let unverified = Presentation::parse(presentation).map_err(|_| bad("it is malformed"))?;
        let claim = unverified.claim();
        if claim.boot != *self.boot.as_bytes() || claim.replica != *self.replica.as_bytes() {
            return Err(Denial::new(Class::Stale).fix("the client opens again by itself"));
        }
        let id = HandleId::from_bytes(claim.handle);
        let presented = self.presented(id).inspect_err(|_| self.lured_through(adapter, id))?;
        let grant = &presented.grant.grant;
        // Nothing of the claim is believed, or told to the owner as the agent's, before its proof holds.
        let key = self.proof_key(id, &grant.agent).map_err(|_| Denial::new(Class::Sealed))?;
        let verified = unverified.verify(&ProofKey::new(*key)).map_err(|_| bad("its proof does not hold"))?;
        about.agent = Some(grant.agent.clone());
        about.secret = Some(grant.secret.clone());
        about.grant = Some(grant.id);
        about.handle = Some(id);
        about.tool = verified.claim().tool.as_str().parse().ok();
        about.opaque = self.is_opaque(&grant.agent);
        about.rules = Some(presented.rules);
        let catalog = self.catalog();
        let service = catalog.service_of(&grant.secret).ok_or_else(|| {
            Denial::new(Class::ToolChanged).field("service").fix("the catalog no longer has it")
        })?;
        let above = presented.above();
        let question = presented.question(adapter, service, self.now_ms(), &above);
        permit::alive(&question)?;
        presented.grant.alive(question.now_ms)?;
        self.spend_nonce(id, &verified)?;
        let arguments = Canonical::from_bytes(arguments)
            .map_err(|_| Denial::new(Class::BadArguments).fix("the arguments are not in canonical form"))?;
        about.arguments = std::str::from_utf8(arguments.bytes()).ok().map(str::to_owned);
        self.spring(&grant.agent, about, &arguments)?;
        let mut candidates = self.candidates(&presented, &verified);
        let (mut chosen, mut permit) = self.choose(&question, &mut candidates, &verified, &arguments).await?;
        about.under(&chosen);
        about.args = Some(Arc::new(permit.arguments().clone()));
        let tool = service
            .tools
            .values()
            .find(|tool| tool.name.to_string() == verified.claim().tool.as_str())
            .ok_or_else(|| Denial::new(Class::ToolChanged))?;
        self.not_forbidden(&self.read(), about, &[])?;
        // Asked before anything is charged: a log in trouble must not eat an agent's calls.
        if let Some(fault) = self.ports.audit.trouble() {
            return Err(Denial::new(Class::Unavailable).field("audit").fix(fault.to_string()));
        }
        // A call is recorded with its arguments, and a grant need have no rate: no agent fills the log by calling.
        let now_us = self.ports.clock.mono_us();
        if !lock(&self.budgets).spend(&grant.agent, arguments.bytes().len(), now_us) {
            return Err(Denial::new(Class::Busy)
                .field("audit")
                .fix("the agent has used up its room in the log"));
        }
        let glances = Glances::default();
        let wanted =
            Wanted { adapter, service, tool, verified: &verified, arguments: &arguments, glances: &glances };
        let seen = loop {
            glances.begin(candidates.is_last());
            match self.under(&wanted, &chosen, &mut permit, about).await {
                Ok(seen) => break seen,
                Err(Stopped::No(denial)) => return Err(denial),
                // Another call was faster. Nothing was charged, and each grant is tried once.
                Err(Stopped::UsedUp(denial)) => {
                    candidates.refused(chosen.handle.handle.id, denial);
                    about.under(&presented);
                    (chosen, permit) = self.choose(&question, &mut candidates, &verified, &arguments).await?;
                    about.under(&chosen);
                }
            }
        };
        let calling = calling(&wanted, &chosen, &permit, about);
        // The charge may have waited for the store: what was taken away since then is gone.
        let now = self.presented(chosen.handle.handle.id)?;
        now.grant.alive(self.now_ms())?;
        permit::alive(&Question { now_ms: self.now_ms(), frozen: now.frozen, ..question })?;
        self.not_forbidden(&self.read(), about, &seen.people)?;
        self.read().same_rules(about)?;

        self.notice(&calling, &seen);
        let (capability, secret, minted) =
            self.capability(adapter, &chosen, tool.requests, seen, permit, &arguments)?;
        let view = self.minted_view(&capability, secret, tool);
        about.call = Some(minted.call);
        self.record_mint(about, &minted, &arguments)?;
        let now_us = self.ports.clock.mono_us();
        if lock(&self.capabilities).keep(capability, arguments.bytes().len(), now_us) {
            Ok(view)
        } else {
            Err(Denial::new(Class::Busy).field("capabilities").fix("the agent holds too many calls at once"))
        }
    }

    /// The handle of that id, with its grant and its agent's state. Unknown and revoked read the same, and what forbids
    /// is no handle at all.
    pub(super) fn presented(&self, id: HandleId) -> Result<Presented, Denial> {
        let unknown = || Denial::new(Class::Revoked).field("handle").fix("there is no such live handle");
        self.read().presented(id).ok_or_else(unknown)
    }

    /// Whether no grant of the agent's that forbids speaks of this call, or of the people whom a look has seen. Such a
    /// grant bites from the moment it stands.
    pub(super) fn not_forbidden(&self, state: &State, about: &About, people: &[Party]) -> Result<(), Denial> {
        let (Some(agent), Some(secret), Some(name)) = (&about.agent, &about.secret, &about.tool) else {
            return Ok(());
        };
        let denies = state
            .live_grants(agent, self.now_ms())
            .map(|entry| &entry.grant)
            .filter(|grant| grant.deny && grant.secret == *secret && grant.tool(name).is_some());
        for grant in denies {
            // What cannot be looked at is forbidden.
            let catalog = self.catalog();
            let (Some(tool), Some(args)) = (catalog.tool(name), &about.args) else {
                return Err(Denial::new(Class::NotGranted).field("deny"));
            };
            forbids(grant, tool, args)?;
            forbids_seen(grant, tool, people)?;
        }
        Ok(())
    }

    /// The objects that no call of that tool may touch, by the agent's grants that forbid.
    pub(super) fn excluded(&self, grant: &Grant, tool: &Tool) -> Vec<ResourceBound> {
        let state = self.read();
        let denies = state.live_grants(&grant.agent, self.now_ms()).map(|entry| &entry.grant);
        denies
            .filter(|deny| deny.secret == grant.secret)
            .filter_map(|deny| excluded(deny, tool).cloned())
            .collect()
    }

    fn spend_nonce(&self, handle: HandleId, verified: &Verified) -> Result<(), Denial> {
        let claim = verified.claim();
        fresh(claim.issued_at_ms, self.ports.clock.wall_ms(), WINDOW_MS).map_err(|_| {
            Denial::new(Class::BadPresentation)
                .field("issued_at")
                .fix("it is not of the last 30 seconds; compare the clocks")
        })?;
        let now_ms = self.ports.clock.mono_us() / 1000;
        lock(&self.nonces).spend(handle, claim.nonce, now_ms).map_err(|spent| match spent {
            Spent::Before => {
                Denial::new(Class::BadPresentation).field("nonce").fix("it was presented before")
            }
            Spent::Full => Denial::new(Class::Busy).field("nonce").fix("the handle was presented too often"),
        })
    }

    fn capability(
        &self,
        adapter: &AdapterName,
        presented: &Presented,
        requests: u32,
        seen: Seen,
        permit: permit::Permit,
        arguments: &Canonical,
    ) -> Result<(Capability, Zeroizing<[u8; 16]>, Minting), Denial> {
        let grant = &presented.grant.grant;
        let secret = Zeroizing::new(self.random::<16>());
        let digest = self
            .ports
            .sealer
            .derive(Purpose::Digest, &[b"arguments", arguments.digest().as_bytes()])
            .map_err(|_| Denial::new(Class::Sealed))?;
        let minted = Minting {
            id: CapabilityId::from_bytes(self.random()),
            call: CallId::from_bytes(self.random()),
            adapter: adapter.clone(),
            agent: grant.agent.clone(),
            grant: grant.id,
            handle: presented.handle.handle.id,
            ancestors: presented.handle.handle.ancestors.clone(),
            secret: grant.secret.clone(),
            effect: seen.effect,
            seen: seen.digest,
            requests,
            rules: presented.rules,
            digest: *digest,
            now_us: self.ports.clock.mono_us(),
        };
        Ok((Capability::mint(permit, minted.clone(), &CapabilitySecret::new(*secret)), secret, minted))
    }

    fn minted_view(&self, capability: &Capability, secret: Zeroizing<[u8; 16]>, tool: &Tool) -> Minted {
        let minted = capability.minted();
        let mut bytes = Zeroizing::new(Vec::with_capacity(32));
        bytes.extend_from_slice(minted.id.as_bytes());
        bytes.extend_from_slice(&*secret);
        let choices = tool.choices().into_iter().filter_map(|resource| {
            let ids = capability.scope().choices(resource)?;
            Some((resource.to_string(), ids.into_iter().collect()))
        });
        Minted {
            choices: choices.collect(),
            capability: bytes,
            call: minted.call,
            expires_in_ms: u32::try_from(LIFE_US / 1000).unwrap_or(u32::MAX),
            requests: minted.requests,
            tool: tool.name.clone(),
            effect: minted.effect,
            untrusted: tool.untrusted,
        }
    }

    /// A call is in the log from its mint on. Nobody waits for it: without a durable intent nothing is used.
    fn record_mint(&self, about: &About, minted: &Minting, arguments: &Canonical) -> Result<(), Denial> {
        let mut event = self.event(Kind::Minted, Actor::Adapter(minted.adapter.clone()));
        about.fill(&mut event);
        event.effect = Some(minted.effect);
        event.ancestors.clone_from(&minted.ancestors);
        event.digest = Some(minted.digest);
        let mut detail = Detail::default();
        detail.add("arguments", std::str::from_utf8(arguments.bytes()).ok());
        self.ports
            .audit
            .record_queued(event, detail)
            .map_err(|fault| Denial::new(Class::Unavailable).field("audit").fix(fault.to_string()))
    }
}

/// What an owner sees of a call in a list: the arguments that the catalog says are worth seeing.
pub(super) fn shown(tool: &Tool, arguments: &Arguments) -> String {
    let pairs = tool.show.iter().filter_map(|name| {
        let texts = arguments.get(name)?.texts();
        Some(format!("{name}={}", texts.join(",")))
    });
    pairs.collect::<Vec<_>>().join(" ")
}
