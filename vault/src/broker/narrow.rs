//! Narrowing: an agent makes children of its handles, each bounded further, and ends them. It asks nobody for it: a child
//! can never do more than its parent.

use std::collections::HashSet;
use std::sync::Arc;

use claviger_domain::arg::parse_id;
use claviger_domain::caveat::{Caveat, ResourceBound};
use claviger_domain::codec::is_invisible;
use claviger_domain::event::{Actor, Detail, Kind};
use claviger_domain::grant::{DEPTH, Handle};
use claviger_domain::id::{GrantId, HandleId};
use claviger_domain::name::AgentName;
use claviger_domain::refusal::{Class, Denial, Refusal};
use futures_util::future::{join_all, try_join_all};

use super::counters::{self, Counter};
use super::error::AdminError;
use super::mint::Presented;
use super::persist::{Plain, Put};
use super::records::{self, HandleRecord};
use super::state::{HandleEntry, State};
use super::view::OpenedHandle;
use super::{Broker, lock};
use crate::port::{Item, Purpose};

/// How many live children an agent may have, and how many of one parent.
const PER_AGENT: usize = 64;
const PER_PARENT: usize = 16;

/// The longest label, in characters.
const LABEL: usize = 60;

/// How many bounds one child may carry, and how many bytes they may take at rest.
const CAVEATS: usize = 32;
const RECORD: usize = 16 << 10;

/// What a child writes to the log and the store besides its record, in bytes, roughly.
const WEIGHT: usize = 8 << 10;

/// How often ending is tried where a counter is written at the same time.
const TRIES: u32 = 4;

/// How many handles one commit deletes: each has two records, and a commit has room for 64.
const AT_ONCE: usize = 32;

/// How many grants are looked at before whoever waits to change something has a turn.
const LOOKED_AT: usize = 512;

/// How many that have ended are deleted in one sweep.
const SWEPT: usize = 4096;

impl Broker {
    /// Makes a child of one of the agent's live handles. It is durable and recorded before it is given out.
    ///
    /// Resource bounds are ids, after `id:` or plain: no name is looked up with a secret because an agent asks.
    ///
    /// # Errors
    /// Class `revoked` for a handle that is not the agent's or no longer live, `frozen`, `bad-arguments` for bounds or a
    /// label that cannot be, `busy` where there are too many children, `unavailable`.
    pub async fn narrow(
        self: &Arc<Self>,
        agent: &AgentName,
        handle: HandleId,
        caveats: Vec<Caveat>,
        label: String,
    ) -> Result<OpenedHandle, Refusal> {
        let (broker, name) = (Arc::clone(self), agent.clone());
        // Whoever asked may go away: a child is made whole or not at all.
        let task = self.tasks.spawn(async move { broker.try_narrow(&name, handle, caveats, label).await });
        let made = task.await.unwrap_or_else(|_| Err(Denial::new(Class::Unknown)));
        self.refusable(agent, made)
    }

    async fn try_narrow(
        &self,
        agent: &AgentName,
        handle: HandleId,
        caveats: Vec<Caveat>,
        label: String,
    ) -> Result<OpenedHandle, Denial> {
        let parent = self.own_handle(agent, handle)?;
        let now_ms = self.now_ms();
        parent.grant.alive(now_ms)?;
        for entry in std::iter::once(&parent.handle).chain(&parent.ancestors) {
            if entry.handle.is_over(now_ms) {
                return Err(Denial::new(Class::Revoked).field("expires").fix("the handle is over"));
            }
        }
        let caveats = pinned(&parent, caveats, now_ms)?;
        let mut ancestors = vec![parent.handle.handle.id];
        ancestors.extend(&parent.handle.handle.ancestors);
        if ancestors.len() > DEPTH {
            return Err(bad("depth").fix(format!("a child has at most {DEPTH} handles above it")));
        }
        if label.chars().count() > LABEL || label.chars().any(is_invisible) {
            return Err(bad("label").fix(format!("a label is one line of at most {LABEL} characters")));
        }
        let child = Handle {
            id: HandleId::from_bytes(self.random()),
            grant: parent.grant.grant.id,
            ancestors,
            caveats,
            label,
            task: false,
            created_at_ms: now_ms,
        };
        self.require_a_tool(&parent, &child)?;
        let bytes = records::encode(&HandleRecord::of(&child)).len();
        if child.caveats.len() > CAVEATS || bytes > RECORD {
            return Err(bad("caveats").fix("a child carries fewer bounds, or shorter ones"));
        }
        let now_us = self.ports.clock.mono_us();
        if !lock(&self.budgets).spend(agent, WEIGHT + bytes, now_us) {
            return Err(Denial::new(Class::Busy)
                .field("audit")
                .fix("the agent has used up its room in the log"));
        }
        let _flight = self.flights.begin(agent)?;
        self.keep_child(Actor::Agent(agent.clone()), agent, child).await
    }

    /// A handle of this agent's own, and the agent not frozen.
    fn own_handle(&self, agent: &AgentName, id: HandleId) -> Result<Presented, Denial> {
        if !self.is_unsealed() {
            return Err(Denial::new(Class::Sealed));
        }
        self.require_clock()?;
        let frozen = {
            let state = self.read();
            let entry =
                state.agents.get(agent).ok_or_else(|| Denial::new(Class::NotGranted).field("agent"))?;
            entry.record.frozen.is_some()
        };
        if frozen {
            return Err(Denial::new(Class::Frozen)
                .field("agent")
                .fix("look at its log, then run `claviger thaw`"));
        }
        // Another's handle and none at all read the same.
        let own = self.presented(id).and_then(|found| {
            let own = found.grant.grant.agent == *agent;
            own.then_some(found).ok_or_else(|| {
                Denial::new(Class::Revoked).field("handle").fix("there is no such live handle")
            })
        });
        if own.is_err() {
            self.stranger_handle(agent, id);
        }
        own
    }

    /// A child that leaves no tool at all would only mislead.
    fn require_a_tool(&self, parent: &Presented, child: &Handle) -> Result<(), Denial> {
        let catalog = self.catalog();
        let service = catalog.service_of(&parent.grant.grant.secret).ok_or_else(|| {
            Denial::new(Class::ToolChanged).field("service").fix("the catalog no longer has it")
        })?;
        let mut ancestors = vec![Arc::clone(&parent.handle)];
        ancestors.extend(parent.ancestors.iter().cloned());
        let entry = HandleEntry { handle: child.clone(), counter: Counter::default() };
        let made = Presented { handle: Arc::new(entry), ancestors, ..parent.clone() };
        if !made.tools(service).is_empty() {
            return Ok(());
        }
        let tools = parent.tools(service);
        let reasons = child
            .caveats
            .iter()
            .filter_map(|caveat| {
                tools.iter().map(|tool| caveat.enforceable(tool).err()).collect::<Option<Vec<_>>>()
            })
            .flatten();
        let why: Vec<String> = reasons.take(5).collect();
        Err(bad("caveats").fix(if why.is_empty() { "no tool is left".to_owned() } else { why.join("; ") }))
    }

    /// Records a child, makes it durable, and lets it live: if its parents still do.
    pub(super) async fn keep_child(
        &self,
        actor: Actor,
        agent: &AgentName,
        child: Handle,
    ) -> Result<OpenedHandle, Denial> {
        let _turn = self.children.lock().await;
        self.require_few(agent, &child)?;
        let mut event = self.event(Kind::Narrowed, actor);
        event.agent = Some(agent.clone());
        event.grant = Some(child.grant);
        event.handle = Some(child.id);
        event.ancestors.clone_from(&child.ancestors);
        let mut detail = Detail::default();
        detail.add("label", Some(child.label.as_str()).filter(|label| !label.is_empty()));
        for caveat in &child.caveats {
            detail.add("bound", Some(&caveat.to_text()));
        }
        let recorded = self.ports.audit.record(event, detail).await;
        recorded.map_err(|fault| Denial::new(Class::Unavailable).field("audit").fix(fault.to_string()))?;
        let record = records::encode(&HandleRecord::of(&child));
        let put = Put { key: key(child.id), version: 0, plain: Plain::Sealed(Purpose::Record, record) };
        if let Err(error) = self.commit(vec![put]).await {
            // It may be in the store all the same, and nobody was told of it.
            self.write().ended.insert(child.id, Some(child.grant));
            return Err(Denial::new(Class::Unavailable).field("store").fix(error.to_string()));
        }
        let (id, grant) = (child.id, child.grant);
        let opened = {
            let mut state = self.write();
            let entry = Arc::new(HandleEntry { handle: child, counter: Counter::default() });
            state.handles.insert(entry);
            let found =
                state.presented(id).filter(|found| !found.frozen && found.grant.grant.agent == *agent);
            let opened =
                found.and_then(|found| self.opened_handle(&state, &found, self.now_ms()).ok().flatten());
            if opened.is_none() {
                state.handles.remove(id);
                state.ended.insert(id, Some(grant));
            }
            opened
        };
        // What it hangs from went while it was written, or it cannot be opened at all.
        let gone =
            || Denial::new(Class::Revoked).field("handle").fix("its parent is gone, or nothing serves it");
        opened.ok_or_else(gone)
    }

    fn require_few(&self, agent: &AgentName, child: &Handle) -> Result<(), Denial> {
        let (state, now_ms) = (self.read(), self.now_ms());
        let grants = state.grants_of(agent).flat_map(|grant| state.handles.children(grant.grant.id));
        let (mut all, mut siblings) = (0, 0);
        for handle in grants.map(|entry| &entry.handle).filter(|handle| !handle.is_over(now_ms)) {
            all += 1;
            siblings += usize::from(handle.ancestors.first() == child.ancestors.first());
        }
        if all >= PER_AGENT || siblings >= PER_PARENT {
            return Err(Denial::new(Class::Busy).field("children").fix(format!(
                "an agent has at most {PER_AGENT} children, {PER_PARENT} of one parent: release some"
            )));
        }
        Ok(())
    }

    /// Ends a child of the agent's with all below it. Returns how many handles that were.
    ///
    /// # Errors
    /// Class `revoked` for a handle that is not the agent's or no longer live, `bad-arguments` for a grant's root handle,
    /// `frozen`; `unavailable` where it is not durable yet, and then it holds until the vault is restarted.
    pub async fn release_handle(
        self: &Arc<Self>,
        agent: &AgentName,
        handle: HandleId,
    ) -> Result<u32, Refusal> {
        let (broker, name) = (Arc::clone(self), agent.clone());
        let task = self.tasks.spawn(async move { broker.try_release_handle(&name, handle).await });
        let ended = task.await.unwrap_or_else(|_| Err(Denial::new(Class::Unknown)));
        self.refusable(agent, ended)
    }

    async fn try_release_handle(&self, agent: &AgentName, handle: HandleId) -> Result<u32, Denial> {
        let found = self.own_handle(agent, handle)?;
        if found.handle.handle.ancestors.is_empty() {
            return Err(bad("handle").fix("a grant's own handle ends by `claviger revoke` alone"));
        }
        if !lock(&self.budgets).spend(agent, WEIGHT, self.ports.clock.mono_us()) {
            return Err(Denial::new(Class::Busy)
                .field("audit")
                .fix("the agent has used up its room in the log"));
        }
        let ended = self.end_child(Actor::Agent(agent.clone()), handle).await;
        ended.map_err(|error| Denial::new(Class::Unavailable).field("store").fix(error.to_string()))
    }

    /// Ends a child with all below it: in memory at once; durable and recorded when this returns. Returns how many.
    ///
    /// # Errors
    /// It could not be recorded or made durable: it holds until a restart, and can be repeated.
    pub(super) async fn end_child(&self, actor: Actor, id: HandleId) -> Result<u32, AdminError> {
        let ended = self.forget_children([id]);
        let count = ended.iter().map(|(_, gone)| gone.len()).sum::<usize>();
        let recorded = join_all(ended.iter().map(|(about, gone)| self.record_end(&actor, about, gone))).await;
        self.forget_records(ended.into_iter().flat_map(|(_, gone)| gone).collect()).await?;
        recorded.into_iter().collect::<Result<(), _>>()?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Takes children, each with all below it, out of use, in memory.
    fn forget_children(&self, ids: impl IntoIterator<Item = HandleId>) -> Vec<(Ended, Vec<HandleId>)> {
        let mut all = Vec::new();
        {
            let mut state = self.write();
            for handle in ids {
                let live = state.handles.get(handle).map(|entry| entry.handle.grant);
                let grant = live.or_else(|| state.ended.get(&handle).copied().flatten());
                let mut gone = state.forget_subtree(handle);
                // Those nearest to the root first: whatever is left of the rest has nothing to hang from.
                gone.sort_by_key(|entry| entry.handle.ancestors.len());
                let mut gone: Vec<HandleId> = gone.iter().map(|entry| entry.handle.id).collect();
                if live.is_none() {
                    // Ended before, and perhaps not durable yet.
                    gone.insert(0, handle);
                }
                let agent = grant.and_then(|grant| state.grants.get(&grant));
                let agent = agent.map(|entry| entry.grant.agent.clone());
                all.push((Ended { handle, grant, agent }, gone));
            }
        }
        let mut pages = lock(&self.pages);
        for handle in all.iter().flat_map(|(_, gone)| gone) {
            pages.forget(*handle);
        }
        drop(pages);
        self.changed();
        all
    }

    async fn record_end(&self, actor: &Actor, ended: &Ended, gone: &[HandleId]) -> Result<(), AdminError> {
        let mut event = self.event(Kind::Released, actor.clone());
        event.agent.clone_from(&ended.agent);
        event.grant = ended.grant;
        event.handle = Some(ended.handle);
        event.count = u64::try_from(gone.len()).ok();
        Ok(self.ports.audit.record_from_reserve(event, Detail::default()).await?)
    }

    /// Deletes what the store has of handles that have ended, and their counters, in the order given.
    async fn forget_records(&self, gone: Vec<HandleId>) -> Result<(), AdminError> {
        for some in gone.chunks(AT_ONCE) {
            self.forget_some(some).await?;
        }
        Ok(())
    }

    async fn forget_some(&self, gone: &[HandleId]) -> Result<(), AdminError> {
        let _turn = self.children.lock().await;
        for _ in 0..TRIES {
            let keys: Vec<String> = gone.iter().flat_map(|id| [key(*id), counters::key(*id)]).collect();
            let items = try_join_all(keys.iter().map(|key| self.ports.store.get(key))).await;
            let items = items.map_err(|_| AdminError::Store("it does not answer"))?;
            let deletes: Vec<_> =
                items.into_iter().flatten().map(|Item { key, version, .. }| (key, version)).collect();
            let done = if deletes.is_empty() { Ok(()) } else { self.commit_all(Vec::new(), deletes).await };
            match done {
                // A call that was minted before may have been charged in between.
                Err(AdminError::Conflict) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    let mut state = self.write();
                    for id in gone {
                        state.ended.remove(id);
                    }
                    return Ok(());
                }
            }
        }
        Err(AdminError::Conflict)
    }

    /// Ends the children whose time is over, and deletes what has ended; no more at a time than leaves room for calls
    /// in between.
    pub(super) async fn sweep_children(&self) {
        for grants in self.parents().chunks(LOOKED_AT) {
            let over = {
                let (state, now_ms) = (self.read(), self.now_ms());
                over(&state, grants, now_ms)
            };
            for some in over.chunks(AT_ONCE) {
                let ended = self.forget_children(some.iter().copied());
                let recorded = ended.iter().map(|(about, gone)| self.record_end(&Actor::Vault, about, gone));
                for error in join_all(recorded).await.into_iter().filter_map(Result::err) {
                    tracing::warn!(%error, "that a child's time is over could not be recorded");
                }
            }
            // The others of this runtime go first.
            tokio::task::yield_now().await;
        }
        let ended: Vec<HandleId> = self.read().ended.keys().copied().take(SWEPT).collect();
        if let Err(error) = self.forget_records(ended).await {
            tracing::warn!(%error, "handles that have ended could not be deleted yet");
        }
    }

    fn parents(&self) -> Vec<GrantId> {
        self.read().handles.parents().collect()
    }
}

/// What a record says of a child that ended.
struct Ended {
    handle: HandleId,
    /// Unknown where only a counter was left of it.
    grant: Option<GrantId>,
    agent: Option<AgentName>,
}

/// The topmost children of these grants whose time, or whose grant's time, has passed.
fn over(state: &State, grants: &[GrantId], now_ms: u64) -> Vec<HandleId> {
    let mut all = Vec::new();
    for grant in grants {
        let dead = state.grants.get(grant).is_none_or(|entry| entry.alive(now_ms).is_err());
        let children = state.handles.children(*grant).iter().map(|entry| &entry.handle);
        let over: Vec<&Handle> = children.filter(|handle| dead || handle.is_over(now_ms)).collect();
        let ids: HashSet<HandleId> = over.iter().map(|handle| handle.id).collect();
        let top = over.into_iter().filter(|handle| !handle.ancestors.iter().any(|above| ids.contains(above)));
        all.extend(top.map(|handle| handle.id));
    }
    all
}

/// The bounds as the child carries them: ids instead of what was written, and nothing that is over already.
fn pinned(parent: &Presented, caveats: Vec<Caveat>, now_ms: u64) -> Result<Vec<Caveat>, Denial> {
    caveats
        .into_iter()
        .map(|caveat| match caveat {
            Caveat::Resource(bound) => pinned_ids(parent, bound).map(Caveat::Resource),
            Caveat::Expires(end) if end <= now_ms => Err(bad("expires").fix("the end is in the past")),
            caveat => Ok(caveat),
        })
        .collect()
}

fn pinned_ids(parent: &Presented, bound: ResourceBound) -> Result<ResourceBound, Denial> {
    let above: Vec<&ResourceBound> = std::iter::once(&parent.handle)
        .chain(&parent.ancestors)
        .flat_map(|entry| &entry.handle.caveats)
        .chain(&parent.grant.grant.caveats)
        .filter_map(|caveat| match caveat {
            Caveat::Resource(known) if known.resource == bound.resource => Some(known),
            _ => None,
        })
        .collect();
    let refused = |id: &str, why: &str| bad(bound.resource.as_str()).value(id).fix(why.to_owned());
    let (mut ids, mut shown) = (Vec::new(), Vec::new());
    for text in &bound.ids {
        let id = text.strip_prefix("id:").unwrap_or(text);
        if parse_id(id).is_err() {
            return Err(refused(text, "an agent names objects by their ids, never by names"));
        }
        // Where what lies deeper counts, the id may be one of those: both bounds hold when the object is looked at.
        if above.iter().any(|known| !known.nested && !known.ids.iter().any(|known| known == id)) {
            return Err(refused(text, "the parent is not bounded to that id"));
        }
        let name = |known: &&ResourceBound| {
            let at = known.ids.iter().position(|known| known == id)?;
            known.shown.get(at).cloned()
        };
        shown.push(above.iter().find_map(name).unwrap_or_else(|| id.to_owned()));
        ids.push(id.to_owned());
    }
    if ids.is_empty() {
        return Err(refused("", "name at least one"));
    }
    Ok(ResourceBound { ids, shown, ..bound })
}

fn bad(field: &str) -> Denial {
    Denial::new(Class::BadArguments).field(field)
}

fn key(id: HandleId) -> String {
    format!("handle/{id}")
}
