//! What the broker knows, in memory. The store is read once, at unseal; after that this is what decides.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

use claviger_domain::grant::{Grant, Handle};
use claviger_domain::id::{GrantId, HandleId};
use claviger_domain::name::{AdapterName, AgentName, SecretName};
use claviger_domain::origin::Pin;
use claviger_domain::tool::Endpoint;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::counters::Counter;
use super::decoys::Decoys;
use super::handles::Handles;
use super::made::Made;
use super::records::{AdapterRecord, AgentRecord, SecretRecord};
use super::taint::Taint;
use super::token::Tokens;

/// Everything, by name.
#[derive(Default)]
pub(super) struct State {
    /// Whether the records have been read and checked.
    pub(super) unsealed: bool,
    pub(super) agents: BTreeMap<AgentName, AgentEntry>,
    pub(super) adapters: BTreeMap<AdapterName, AdapterEntry>,
    pub(super) secrets: BTreeMap<SecretName, Arc<SecretEntry>>,
    pub(super) grants: HashMap<GrantId, Arc<GrantEntry>>,
    pub(super) handles: Handles,
    /// Children that have ended, with their grants if they are known, as long as the store may still have them.
    pub(super) ended: HashMap<HandleId, Option<GrantId>>,
    /// OAuth clients already known, by provider: the version of the record that holds each.
    pub(super) clients: HashMap<String, ClientEntry>,
    /// What agents made.
    pub(super) made: Made,
    pub(super) decoys: Decoys,
}

pub(super) struct AgentEntry {
    pub(super) record: AgentRecord,
    pub(super) version: u64,
    /// How many of its answers were withheld because they held a secret, in this run.
    pub(super) echoes: Arc<AtomicU32>,
    /// How often it was frozen in this run: whoever writes its record can tell that a freeze came meanwhile.
    pub(super) freezes: u64,
    /// What it has read.
    pub(super) taint: Arc<Taint>,
    /// Its grants, in the order they were made.
    pub(super) grants: Vec<GrantId>,
    /// Grows in this run whenever something is taken away from what its grants say: a grant is changed, or one is made
    /// that forbids. What was decided before must be decided anew.
    pub(super) rules: u64,
}

impl AgentEntry {
    pub(super) fn new(record: AgentRecord, version: u64) -> Self {
        let taint = Taint::of(&record);
        Self { record, version, echoes: Arc::default(), freezes: 0, taint, grants: Vec::new(), rules: 0 }
    }
}

pub(super) struct AdapterEntry {
    pub(super) record: AdapterRecord,
    pub(super) version: u64,
}

pub(super) struct GrantEntry {
    pub(super) grant: Grant,
    pub(super) version: u64,
    /// Bites in memory before the store has it.
    pub(super) revoked: AtomicBool,
}

pub(super) struct HandleEntry {
    pub(super) handle: Handle,
    pub(super) counter: Counter,
}

/// An OAuth client, sealed as it came from the store.
#[derive(Clone)]
pub(super) struct ClientEntry {
    pub(super) version: u64,
    pub(super) sealed: Vec<u8>,
}

/// A secret: what is known of it, and its current value, sealed until the moment of use.
pub(super) struct SecretEntry {
    pub(super) record: SecretRecord,
    pub(super) version: u64,
    pub(super) pin: Pin,
    pub(super) provider: Option<Arc<PinnedProvider>>,
    /// The value of the current version.
    pub(super) value: Arc<ValueEntry>,
    /// Set as soon as the upstream refuses the credential; the record follows.
    pub(super) needs_login: Arc<AtomicBool>,
    /// Access tokens of the current version.
    pub(super) tokens: Arc<Tokens>,
    /// Uses of the current version that are under way.
    pub(super) leases: TaskTracker,
}

/// A sealed value with the version its record has in the store.
pub(super) struct ValueEntry {
    /// Which version of the secret it is.
    pub(super) number: u32,
    /// The store's version of the record, and the sealed bytes: replaced together when a provider renews the token.
    pub(super) sealed: std::sync::Mutex<SealedValue>,
    /// Grows with each replacement, so that a reader can tell.
    pub(super) renewals: AtomicU64,
}

/// A sealed record, and the version under which it opens.
#[derive(Clone)]
pub(super) struct SealedValue {
    pub(super) version: u64,
    pub(super) bytes: Vec<u8>,
    /// A renewed value that the store has not taken yet: until it has, the secret is not used.
    pub(super) unsaved: Option<Arc<zeroize::Zeroizing<Vec<u8>>>>,
}

/// An OAuth provider as a secret pinned it.
pub(super) struct PinnedProvider {
    pub(super) token: Endpoint,
    pub(super) revoke: Option<Endpoint>,
    /// How its endpoints are reached.
    pub(super) pin: Pin,
}

impl SecretEntry {
    /// The version that is used now.
    pub(super) fn current(&self) -> u32 {
        self.record.current
    }

    pub(super) fn name(&self) -> &str {
        &self.record.name
    }
}

impl State {
    /// The grants of an agent that stand at that time, in the order they were made.
    pub(super) fn live_grants<'a>(
        &'a self,
        agent: &AgentName,
        now_ms: u64,
    ) -> impl Iterator<Item = &'a Arc<GrantEntry>> {
        self.grants_of(agent).filter(move |entry| entry.alive(now_ms).is_ok())
    }

    /// How many live grants there are that `wanted` picks.
    pub(super) fn count_grants(&self, now_ms: u64, wanted: impl Fn(&Grant) -> bool) -> u32 {
        let count =
            self.grants.values().filter(|entry| wanted(&entry.grant) && entry.alive(now_ms).is_ok()).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The current version of a secret, and a place among its uses under way. A rotation replaces the version under
    /// the same lock, so it cannot pass between the look and the place: once the old version's uses have ended, none of
    /// it begins.
    pub(super) fn lease(&self, name: &SecretName) -> Option<(Arc<SecretEntry>, TaskTrackerToken)> {
        let entry = self.secrets.get(name)?;
        Some((Arc::clone(entry), entry.leases.token()))
    }

    /// Users that are taken, with by whom.
    pub(super) fn uid_taken(&self, uid: u32) -> Option<String> {
        let agents =
            self.agents.values().map(|entry| (entry.record.uid, format!("agent {}", entry.record.name)));
        let adapters =
            self.adapters.values().map(|entry| (entry.record.uid, format!("adapter {}", entry.record.name)));
        agents.chain(adapters).find(|(taken, _)| *taken == Some(uid)).map(|(_, who)| who)
    }

    /// A handle with all above it, nearest first; `None` where it or one of them is gone.
    pub(super) fn chain(&self, id: HandleId) -> Option<(Arc<HandleEntry>, Vec<Arc<HandleEntry>>)> {
        let handle = self.handles.get(id)?.clone();
        let above = handle.handle.ancestors.iter().map(|id| self.handles.get(*id).cloned());
        let above = above.collect::<Option<Vec<_>>>()?;
        Some((handle, above))
    }

    /// The children of a grant, in the order they were made.
    pub(super) fn children(&self, grant: GrantId) -> Vec<&Arc<HandleEntry>> {
        let mut found: Vec<_> = self.handles.children(grant).iter().collect();
        found.sort_by_key(|entry| (entry.handle.created_at_ms, entry.handle.id));
        found
    }

    /// The grants of an agent, whether they stand or not, in the order they were made.
    pub(super) fn grants_of<'a>(&'a self, agent: &AgentName) -> impl Iterator<Item = &'a Arc<GrantEntry>> {
        let ids = self.agents.get(agent).map(|entry| entry.grants.as_slice()).unwrap_or_default();
        ids.iter().filter_map(|id| self.grants.get(id))
    }

    /// Removes a grant's handles from what can be presented.
    pub(super) fn forget_handles(&mut self, grant: GrantId) -> Vec<Arc<HandleEntry>> {
        let root = self.grants.get(&grant).map(|entry| entry.grant.root);
        let children = self.handles.children(grant).iter().map(|entry| entry.handle.id);
        let gone = children.chain(root).collect::<Vec<_>>();
        self.forget(gone)
    }

    /// Removes a handle and all below it from what can be presented. Returns those that lived.
    pub(super) fn forget_subtree(&mut self, id: HandleId) -> Vec<Arc<HandleEntry>> {
        let live = self.handles.get(id).map(|entry| entry.handle.grant);
        let Some(grant) = live.or_else(|| self.ended.get(&id).copied().flatten()) else {
            return Vec::new();
        };
        let below = self.handles.children(grant).iter().filter(|entry| entry.handle.ancestors.contains(&id));
        let gone = below.map(|entry| entry.handle.id).chain([id]).collect::<Vec<_>>();
        self.forget(gone)
    }

    /// Removes those that live. Of what ends only so, the store must be told: a root lives and dies with its grant.
    fn forget(&mut self, ids: Vec<HandleId>) -> Vec<Arc<HandleEntry>> {
        let mut gone = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(entry) = self.handles.remove(id) else { continue };
            if !entry.handle.ancestors.is_empty() {
                self.ended.insert(id, Some(entry.handle.grant));
            }
            gone.push(entry);
        }
        gone
    }
}

impl GrantEntry {
    /// Whether it may be used now: not revoked here or in its record, and not over.
    pub(super) fn alive(&self, now_ms: u64) -> Result<(), claviger_domain::refusal::Denial> {
        if self.revoked.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(claviger_domain::refusal::Denial::new(claviger_domain::refusal::Class::Revoked)
                .field("grant")
                .fix("the grant was revoked; make a new one"));
        }
        self.grant.alive(now_ms)
    }
}
