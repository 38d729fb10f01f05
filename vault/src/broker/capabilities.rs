//! Live capabilities: in memory only, as hashes, bounded per agent and adapter.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use claviger_domain::capability::Capability;
use claviger_domain::id::{CapabilityId, GrantId};
use claviger_domain::name::{AdapterName, AgentName};

/// How much one agent's calls through one adapter may hold at a time, in bytes: no agent can use up another's room.
const PER_AGENT: usize = 64 << 20;

/// What a capability weighs besides its arguments, in bytes, roughly.
const WEIGHT: usize = 1024;

/// Whose room a capability takes.
type Holder = (AdapterName, AgentName);

/// A capability and whatever its call learns while it lives.
pub(super) type Live = Arc<Mutex<Capability>>;

/// When a capability was minted, and whose room it takes.
struct Kept {
    id: CapabilityId,
    holder: Holder,
    weight: usize,
    minted_us: u64,
}

/// All live capabilities.
#[derive(Default)]
pub(super) struct Capabilities {
    live: HashMap<CapabilityId, Live>,
    held: HashMap<Holder, usize>,
    /// In the order they were minted, which is the order they expire in.
    order: VecDeque<Kept>,
}

impl Capabilities {
    /// Keeps a new one whose arguments have that many bytes; `false` where its agent holds too much.
    pub(super) fn keep(&mut self, capability: Capability, argument_bytes: usize, now_us: u64) -> bool {
        self.sweep(now_us);
        let minted = capability.minted();
        let (id, holder) = (minted.id, (minted.adapter.clone(), minted.agent.clone()));
        // Once as they came, once parsed.
        let weight = WEIGHT + 2 * argument_bytes;
        let held = self.held.entry(holder.clone()).or_default();
        if *held + weight > PER_AGENT {
            return false;
        }
        *held += weight;
        self.order.push_back(Kept { id, holder, weight, minted_us: now_us });
        self.live.insert(id, Arc::new(Mutex::new(capability)));
        true
    }

    /// The capability of that public id.
    pub(super) fn find(&self, id: CapabilityId) -> Option<Live> {
        self.live.get(&id).cloned()
    }

    /// Ends those of a grant that says something else now; the room they take is theirs until their time is over.
    pub(super) fn forget(&mut self, grant: GrantId) {
        let of_grant = |live: &Live| super::lock(live).minted().grant == grant;
        self.live.retain(|_, live| !of_grant(live));
    }

    /// Drops those whose time is over.
    pub(super) fn sweep(&mut self, now_us: u64) {
        let over =
            |kept: &Kept| now_us.saturating_sub(kept.minted_us) >= claviger_domain::capability::LIFE_US;
        while self.order.front().is_some_and(over) {
            let Some(Kept { id, holder, weight, .. }) = self.order.pop_front() else { break };
            self.live.remove(&id);
            if let Some(held) = self.held.get_mut(&holder) {
                *held = held.saturating_sub(weight);
                if *held == 0 {
                    self.held.remove(&holder);
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.live.len()
    }
}
