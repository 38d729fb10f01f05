//! Making grants: what was asked for becomes what can be enforced, or is refused with the reason.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use claviger_domain::caveat::Caveat;
use claviger_domain::deny::Forbids;
use claviger_domain::effect::Effect;
use claviger_domain::event::{Actor, Detail, Kind};
use claviger_domain::grant::{Grant, GrantedTool, Handle, State as GrantState};
use claviger_domain::id::{GrantId, HandleId};
use claviger_domain::name::{AgentName, SecretName, ToolName};
use claviger_domain::sentence::{sentence, warnings};
use claviger_domain::sound::sound;
use claviger_domain::tool::{Service, Tool};

use super::counters::Counter;
use super::error::AdminError;
use super::peers::near;
use super::persist::{Plain, Put};
use super::records::{self, GrantRecord, HandleRecord};
use super::revoke::missing;
use super::state::{GrantEntry, HandleEntry, State};
use super::view::{ChildView, GrantAsk, GrantView};
use super::{Broker, lock};
use crate::port::Purpose;

/// The longest a grant may run, in seconds; longer is said as "no end".
const LONGEST_S: u64 = 10 * 366 * 86_400;

impl Broker {
    /// Makes a grant and its root handle.
    ///
    /// # Errors
    /// An unknown name; a caveat that a tool cannot enforce; a send or delete without the word on approvals; a
    /// name that resolves to nothing or to several; or it could not be recorded or made durable.
    pub async fn add_grant(self: &Arc<Self>, admin: Actor, ask: GrantAsk) -> Result<GrantView, AdminError> {
        self.require_unsealed()?;
        let broker = Arc::clone(self);
        self.in_task(async move { broker.try_add_grant(admin, ask).await }).await
    }

    async fn try_add_grant(self: &Arc<Self>, admin: Actor, ask: GrantAsk) -> Result<GrantView, AdminError> {
        let effects = ask.effects.clone();
        let grant = self.proposed(admin.clone(), ask).await?;
        let left_out = self.left_out(&grant, &effects);
        let mut made = self.make_grant(admin, grant).await?;
        if !left_out.is_empty() {
            let names = left_out.join(", ");
            made.warnings.push(format!("left out, because they cannot keep to all of these bounds: {names}"));
        }
        Ok(made)
    }

    /// The tools of these effects that a grant does not have.
    fn left_out(&self, grant: &Grant, effects: &[Effect]) -> Vec<String> {
        let catalog = self.catalog();
        let tools = catalog.service_of(&grant.secret).into_iter().flat_map(|service| service.tools.values());
        let missing = tools.filter(|tool| effects.contains(&tool.effect) && grant.tool(&tool.name).is_none());
        missing.map(|tool| tool.name.tool().to_string()).collect()
    }

    /// The grant that was asked for, with its names resolved, before it counts.
    pub(super) async fn proposed(self: &Arc<Self>, admin: Actor, ask: GrantAsk) -> Result<Grant, AdminError> {
        let service = &self.asked_service(&ask.agent, &ask.secret)?;
        let named = named_tools(service, &ask)?;
        let caveats = self.resolve_caveats(admin.clone(), &ask.secret, service, &ask.caveats).await?;
        let tools = asked_tools(service, &ask, named, &caveats)?;
        let approve = ask.approve;
        let now_ms = self.now_ms();
        let expires_at_ms = match ask.expires_in_s {
            None => None,
            Some(seconds @ 1..=LONGEST_S) => Some(now_ms + seconds * 1000),
            Some(_) => {
                return Err(AdminError::invalid(
                    "a grant runs from 1 second to 10 years",
                    "leave --expires out for no end",
                ));
            }
        };
        // A moment among the bounds ends it as well.
        let moments = caveats.iter().filter_map(|caveat| match caveat {
            Caveat::Expires(at_ms) => Some(*at_ms),
            _ => None,
        });
        let expires_at_ms = moments.chain(expires_at_ms).min();
        if expires_at_ms.is_some_and(|end| end <= now_ms) {
            return Err(AdminError::invalid("it would have ended already", "name a moment that is to come"));
        }
        let grant = Grant {
            id: GrantId::from_bytes(self.random()),
            agent: ask.agent,
            secret: ask.secret,
            tools: tools
                .iter()
                .map(|tool| GrantedTool {
                    name: tool.name.clone(),
                    effect: tool.effect,
                    definition: tool.definition,
                })
                .collect(),
            caveats,
            expires_at_ms,
            approve,
            deny: ask.deny,
            trusted_sink: ask.trusted_sink,
            name: ask.name,
            lasts_s: ask.expires_in_s,
            created_at_ms: now_ms,
            state: GrantState::Active,
            root: HandleId::from_bytes(self.random()),
        };
        sensible(&grant)?;
        Ok(grant)
    }

    /// Makes a proposed grant count.
    pub(super) async fn make_grant(&self, admin: Actor, mut grant: Grant) -> Result<GrantView, AdminError> {
        let _turn = self.admin.lock().await;
        grant.created_at_ms = self.next_moment(&grant.agent).max(grant.created_at_ms);
        // The names were looked up before the turn came; they may have gone since.
        self.asked_service(&grant.agent, &grant.secret)?;
        let now_ms = self.now_ms();
        self.require_own_names(&grant, now_ms)?;
        self.keep_grant(admin, grant).await
    }

    async fn keep_grant(&self, admin: Actor, grant: Grant) -> Result<GrantView, AdminError> {
        let mut event = self.event(Kind::GrantAdded, admin);
        event.agent = Some(grant.agent.clone());
        event.secret = Some(grant.secret.clone());
        event.grant = Some(grant.id);
        event.handle = Some(grant.root);
        let mut detail = Detail::default();
        detail.add("grant", Some(&sentence(&grant)));
        self.ports.audit.record(event, detail).await?;

        let handle = Handle {
            id: grant.root,
            grant: grant.id,
            ancestors: Vec::new(),
            caveats: Vec::new(),
            label: String::new(),
            task: false,
            created_at_ms: grant.created_at_ms,
        };
        let record = HandleRecord::of(&handle);
        let sealed = |bytes| Plain::Sealed(Purpose::Record, bytes);
        let kept = self
            .commit(vec![
                Put {
                    key: format!("grant/{}", grant.id),
                    version: 0,
                    plain: sealed(records::encode(&GrantRecord::of(&grant))),
                },
                Put {
                    key: format!("handle/{}", handle.id),
                    version: 0,
                    plain: sealed(records::encode(&record)),
                },
            ])
            .await;
        let id = grant.id;
        if kept == Err(AdminError::StoreUnknown) {
            // It may be in the store, and a restart would bring it to life: so it is known here, denied, and can be
            // revoked. Version 0 is right where it is not there, and looked up where it is.
            let mut state = self.write();
            if let Some(agent) = state.agents.get_mut(&grant.agent) {
                agent.grants.push(id);
            }
            let entry = GrantEntry { grant, version: 0, revoked: AtomicBool::new(true) };
            state.grants.insert(id, Arc::new(entry));
            return Err(AdminError::StoreUnknown);
        }
        kept?;
        {
            let mut state = self.write();
            if let Some(agent) = state.agents.get_mut(&grant.agent) {
                agent.grants.push(id);
            }
            if grant.deny
                && let Some(agent) = state.agents.get_mut(&grant.agent)
            {
                agent.rules += 1;
            }
            state.handles.insert(Arc::new(HandleEntry { handle, counter: Counter::default() }));
            state
                .grants
                .insert(id, Arc::new(GrantEntry { grant, version: 1, revoked: AtomicBool::new(false) }));
        }
        let made = self.grant(id)?;
        if made.grant.deny {
            // What was minted before it carries no such bound.
            let (agent, secret) = (made.grant.agent.clone(), made.grant.secret.clone());
            lock(&self.capabilities).forget(|minted| minted.agent == agent && minted.secret == secret);
        }
        self.changed();
        Ok(made)
    }

    /// A moment after every grant of the agent's: they are asked in the order they were made, after a restart too.
    fn next_moment(&self, agent: &AgentName) -> u64 {
        let state = self.read();
        state.grants_of(agent).map(|entry| entry.grant.created_at_ms + 1).max().unwrap_or_default()
    }

    /// The service of the secret asked for, once agent and secret are known to be there.
    fn asked_service(&self, agent: &AgentName, secret: &SecretName) -> Result<Service, AdminError> {
        let state = self.read();
        if !state.agents.contains_key(agent) {
            return Err(AdminError::Missing {
                what: "agent",
                name: agent.to_string(),
                near: near(&state.agents),
            });
        }
        if !state.secrets.contains_key(secret) {
            return Err(AdminError::Missing {
                what: "secret",
                name: secret.to_string(),
                near: near(&state.secrets),
            });
        }
        let catalog = self.catalog();
        catalog.service_of(secret).cloned().ok_or_else(|| AdminError::Missing {
            what: "service",
            name: secret.service().to_string(),
            near: near(&catalog.services),
        })
    }

    /// Two accounts' tools may come to one name, such as `x_a_b` of one and `a_b` of an account `x`: a host would call
    /// the one and mean the other.
    pub(super) fn require_own_names(&self, grant: &Grant, now_ms: u64) -> Result<(), AdminError> {
        // What forbids is offered under no name.
        if grant.deny {
            return Ok(());
        }
        let state = self.read();
        let names = |grant: &Grant| -> BTreeSet<String> {
            let default = state.secrets.get(&grant.secret).is_some_and(|secret| secret.record.default);
            let account = (!default).then(|| grant.secret.account());
            grant.tools.iter().filter_map(|tool| tool.name.mcp_name(account)).collect()
        };
        let new = names(grant);
        for entry in state
            .live_grants(&grant.agent, now_ms)
            .filter(|entry| entry.grant.secret != grant.secret && !entry.grant.deny)
        {
            if let Some(name) = names(&entry.grant).intersection(&new).next() {
                return Err(AdminError::invalid(
                    format!("{} has a tool called {name} by {} already", grant.agent, entry.grant.id),
                    format!("revoke it first: claviger revoke {}", entry.grant.id),
                ));
            }
        }
        Ok(())
    }

    /// All grants of an agent, or of all; live ones only, or all.
    ///
    /// # Errors
    /// The vault is sealed, or there is no such agent.
    pub fn grants(&self, agent: Option<&AgentName>, all: bool) -> Result<Vec<GrantView>, AdminError> {
        self.require_unsealed()?;
        let (state, now_ms) = (self.read(), self.now_ms());
        if let Some(name) = agent.filter(|name| !state.agents.contains_key(*name)) {
            return Err(AdminError::Missing {
                what: "agent",
                name: name.to_string(),
                near: near(&state.agents),
            });
        }
        let mut found: Vec<&Arc<GrantEntry>> = match agent {
            Some(agent) if !all => state.live_grants(agent, now_ms).collect(),
            // What is over may have been an earlier agent's of that name.
            _ => {
                let grants = state.grants.values();
                let of_agent = grants.filter(|entry| agent.is_none_or(|agent| entry.grant.agent == *agent));
                of_agent.filter(|entry| all || entry.alive(now_ms).is_ok()).collect()
            }
        };
        found.sort_by_key(|entry| (entry.grant.created_at_ms, entry.grant.id));
        Ok(found.into_iter().map(|entry| self.grant_view(&state, entry, now_ms)).collect())
    }

    /// One grant.
    ///
    /// # Errors
    /// The vault is sealed, or there is no such grant.
    pub fn grant(&self, id: GrantId) -> Result<GrantView, AdminError> {
        self.require_unsealed()?;
        let (state, now_ms) = (self.read(), self.now_ms());
        let entry = state.grants.get(&id).ok_or_else(|| missing(id))?;
        Ok(self.grant_view(&state, entry, now_ms))
    }

    fn grant_view(&self, state: &State, entry: &GrantEntry, now_ms: u64) -> GrantView {
        let grant = &entry.grant;
        let revoked =
            entry.revoked.load(Ordering::SeqCst) || matches!(grant.state, GrantState::Revoked { .. });
        let changed = |tool: &&GrantedTool| {
            self.catalog().tool(&tool.name).map(|now| now.definition) != Some(tool.definition)
        };
        GrantView {
            state: match (revoked, entry.alive(now_ms)) {
                (true, _) => "revoked",
                (false, Err(_)) => "expired",
                (false, Ok(())) => "active",
            },
            calls_made: state
                .handles
                .get(grant.root)
                .and_then(|handle| handle.counter.calls())
                .unwrap_or_default(),
            changed: grant.tools.iter().filter(changed).map(|tool| tool.name.clone()).collect(),
            known: self.glance_known(grant.id),
            sentence: sentence(grant),
            warnings: warnings(grant),
            children: state.children(grant.id).into_iter().map(|child| child_view(child)).collect(),
            grant: grant.clone(),
        }
    }
}

fn child_view(entry: &HandleEntry) -> ChildView {
    ChildView { handle: entry.handle.clone(), calls_made: entry.counter.calls().unwrap_or_default() }
}

/// The tools that were named one by one.
fn named_tools<'a>(service: &'a Service, ask: &GrantAsk) -> Result<Vec<&'a Tool>, AdminError> {
    let names: BTreeSet<ToolName> = ask.tools.iter().cloned().collect();
    if names.is_empty() && ask.effects.is_empty() {
        return Err(AdminError::invalid(
            "the grant names no tool",
            format!("look at `claviger services {}`", service.id),
        ));
    }
    let find = |name: &ToolName| {
        let tool = service.tools.get(name.tool()).filter(|_| *name.service() == service.id);
        tool.ok_or_else(|| AdminError::Missing {
            what: "tool",
            name: name.to_string(),
            near: service.tools.values().map(|tool| tool.name.to_string()).collect(),
        })
    };
    names.iter().map(find).collect()
}

/// The grant as a whole can be meant.
fn sensible(grant: &Grant) -> Result<(), AdminError> {
    let hint = if grant.deny {
        "claviger grant deny AGENT SECRET --tool … with one of --recipients, --label, --folder, --path, \
         --bound ARG.one-of=…, or none to forbid the tools altogether"
    } else {
        "a trusted sink is --tool … --trusted-sink --recipients me@example.org,you@example.org"
    };
    sound(grant).map_err(|why| AdminError::invalid(why, hint))
}

/// The tools of a grant: those named one by one, and of those named by their effect the ones that can keep to every
/// bound. A caveat is enforced by every tool of the grant, or the grant is not made.
fn asked_tools<'a>(
    service: &'a Service,
    ask: &GrantAsk,
    named: Vec<&'a Tool>,
    caveats: &[Caveat],
) -> Result<Vec<&'a Tool>, AdminError> {
    let against = |tool: &Tool| -> Vec<String> {
        // What forbids is kept to in another way than what allows; whether it can be meant at all is asked later.
        match ask.deny.then(|| Forbids::read(caveats)) {
            Some(forbids) => {
                forbids.ok().and_then(|forbids| forbids.enforceable(tool).err()).into_iter().collect()
            }
            None => caveats.iter().filter_map(|caveat| caveat.enforceable(tool).err()).collect(),
        }
    };
    let mut reasons: Vec<String> = named.iter().flat_map(|tool| against(tool)).collect();
    let mut tools = named;
    let mut unfit = Vec::new();
    for tool in service.tools.values().filter(|tool| ask.effects.contains(&tool.effect)) {
        let against = against(tool);
        match (against.is_empty(), tools.iter().any(|known| known.name == tool.name)) {
            (true, false) => tools.push(tool),
            (true, true) => {}
            (false, _) => unfit.extend(against),
        }
    }
    if tools.is_empty() {
        reasons.append(&mut unfit);
    }
    if tools.is_empty() && reasons.is_empty() {
        reasons.push(format!("{} has no tool of that effect", service.id));
    }
    if reasons.is_empty() {
        tools.sort_by(|one, other| one.name.cmp(&other.name));
        return Ok(tools);
    }
    Err(AdminError::Invalid {
        why: reasons.join("; "),
        hints: vec!["a bound holds for every tool of its grant: make one grant for the tools it fits, and another for the rest".to_owned()],
    })
}
