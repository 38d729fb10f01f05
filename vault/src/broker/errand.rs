//! What a step of a call comes to before its first byte leaves: the capability, the parameters, the rendered request.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use claviger_domain::arg::Arguments;
use claviger_domain::capability::CapabilitySecret;
use claviger_domain::event::Actor;
use claviger_domain::id::CapabilityId;
use claviger_domain::name::{AdapterName, Ident, SecretName, ServiceId};
use claviger_domain::pointer::Pointer;
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::render::{Filling, Request, render};
use claviger_domain::scope::Scope;
use claviger_domain::step::Step;
use claviger_domain::tool::Tool;
use serde_json::Value;

use super::capabilities::Live;
use super::flights::Flight;
use super::look::is_filled_later;
use super::mint::shown;
use super::pages::{Onward, Page};
use super::refuse::About;
use super::usage::Purposeful;
use super::{Broker, lock};

/// One step of one call, ready to be done.
pub(super) struct Errand {
    /// Its place among the agent's uses under way.
    _flight: Flight,
    pub(super) live: Live,
    pub(super) step: Ident,
    pub(super) params: BTreeMap<Ident, String>,
    pub(super) args: Arguments,
    pub(super) scope: Scope,
    /// The page that is turned to.
    pub(super) page: Option<Page>,
    /// Whether the vault turns the upstream's pages itself.
    turned: bool,
    /// Rendered, but where it is made of what is seen right before it is sent, and where nothing is sent.
    pub(super) request: Option<Request>,
    pub(super) purpose: Purposeful,
    pub(super) secret: SecretName,
    pub(super) service: ServiceId,
    pub(super) tool: Ident,
}

impl Errand {
    /// The list of that step, where the vault turns the upstream's pages itself.
    pub(super) fn turned<'a>(&self, step: &'a Step) -> Option<&'a Pointer> {
        step.page.as_ref().filter(|_| self.turned)?.list.as_ref()
    }
}

/// An answer that was judged. The default is one of which nothing is released.
#[derive(Default)]
pub(super) struct Judged {
    /// What is released: as it came, or what was printed of the value when its length was counted.
    pub(super) body: Bytes,
    pub(super) json: Option<Value>,
    /// How many elements a list with counted pages had, before any was dropped.
    pub(super) came: usize,
    /// The id of what was made.
    pub(super) made: Option<String>,
    /// Signs in it that it speaks to the model.
    pub(super) flags: Vec<String>,
    /// Where a list goes on whose pages the vault turns.
    pub(super) onward: Option<Onward>,
}

impl Judged {
    /// One of which that JSON may be released.
    pub(super) fn of(json: Value) -> Self {
        Self { json: Some(json), ..Self::default() }
    }
}

impl Broker {
    /// Everything before the first byte leaves: the capability, the parameters, the rendered request.
    pub(super) fn prepare(
        &self,
        adapter: &AdapterName,
        capability: &[u8],
        step: &str,
        params: &BTreeMap<String, String>,
        about: &mut About,
    ) -> Result<Errand, Denial> {
        if !self.is_unsealed() {
            return Err(Denial::new(Class::Sealed));
        }
        let unknown = || Denial::new(Class::BadCapability).fix("it is unknown");
        // A connection may outlive its adapter's registration.
        if !self.read().adapters.contains_key(adapter) {
            return Err(Denial::new(Class::BadCapability).fix("the adapter was removed"));
        }
        let (id, secret) = capability.split_at_checked(CapabilityId::BYTES).ok_or_else(unknown)?;
        let id = CapabilityId::from_slice(id).ok_or_else(unknown)?;
        let secret = CapabilitySecret::new(secret.try_into().map_err(|_| unknown())?);
        let live = lock(&self.capabilities).find(id).ok_or_else(unknown)?;

        let mut held = lock(&live);
        held.spend(adapter, &secret, self.ports.clock.mono_us())?;
        let flight = self.flights.begin(&held.minted().agent)?;
        let minted = held.minted().clone();
        about.agent = Some(minted.agent.clone());
        about.secret = Some(minted.secret.clone());
        about.grant = Some(minted.grant);
        about.handle = Some(minted.handle);
        about.call = Some(minted.call);
        about.tool = Some(held.tool().clone());
        about.rules = Some(minted.rules);
        about.opaque = self.is_opaque(&minted.agent);

        let changed = || Denial::new(Class::ToolChanged).field("tool");
        let catalog = self.catalog();
        let service = catalog.service_of(&minted.secret).ok_or_else(changed)?;
        let tool = service.tools.get(held.tool().tool()).ok_or_else(changed)?;
        let step = named_step(tool, step)?;
        about.step = Some(step.name.to_string());
        let mut params = held.params(step, params)?;
        let args = held.arguments().clone();
        about.arguments = Some(shown(tool, &args));
        about.args = Some(Arc::new(args.clone()));
        let scope = held.scope().clone();
        scope.checks(step)?;
        let page = self.turn_page(&minted, tool, step, &args, &mut params)?;
        let turned = step.page.is_some()
            && (scope.drops(step)?
                || step.page.as_ref().is_some_and(|paging| paging.numbered)
                || page.as_ref().is_some_and(|page| page.onward.is_kept()));
        let token = page.as_ref().and_then(|page| page.onward.token.as_deref());
        let filling = Filling { args: &args, params: &params, page_token: token };
        let request = match step.local || is_filled_later(step) {
            true => None,
            false => Some(render(step, filling)?),
        };
        let effect = minted.effect;
        drop(held);

        // Whatever it does to the account: what is released of strangers' text taints, and what carries it on.
        let taints = tool.untrusted || tool.carries;
        let purpose = Purposeful {
            actor: Actor::Adapter(adapter.clone()),
            about: about.clone(),
            effect,
            ancestors: minted.ancestors,
            digest: Some(minted.digest),
            taints,
        };
        Ok(Errand {
            _flight: flight,
            live,
            step: step.name.clone(),
            params,
            args,
            scope,
            page,
            turned,
            request,
            purpose,
            secret: minted.secret,
            service: service.id.clone(),
            tool: tool.name.tool().clone(),
        })
    }
}

/// The step of that name. A tool of one step needs no name for it: that is how a generic adapter asks.
fn named_step<'a>(tool: &'a Tool, name: &str) -> Result<&'a Step, Denial> {
    let only = if name.is_empty() && tool.steps.len() == 1 { tool.steps.first() } else { None };
    only.or_else(|| tool.step(name))
        .ok_or_else(|| Denial::new(Class::BadStep).field("step").fix("the tool has no such step"))
}
