//! Live capabilities: in memory only, as hashes, bounded per adapter.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use claviger_domain::capability::Capability;
use claviger_domain::id::CapabilityId;
use claviger_domain::name::AdapterName;

/// How many one adapter may hold at a time.
const PER_ADAPTER: usize = 16_384;

/// A capability and whatever its call learns while it lives.
pub(super) type Live = Arc<Mutex<Capability>>;

/// All live capabilities.
#[derive(Default)]
pub(super) struct Capabilities {
    live: HashMap<CapabilityId, Live>,
    held: HashMap<AdapterName, usize>,
    /// In the order they were minted, which is the order they expire in.
    order: std::collections::VecDeque<(CapabilityId, AdapterName, u64)>,
}

impl Capabilities {
    /// Keeps a new one; `false` where its adapter holds too many.
    pub(super) fn keep(&mut self, capability: Capability, now_us: u64) -> bool {
        self.sweep(now_us);
        let minted = capability.minted().clone();
        let held = self.held.entry(minted.adapter.clone()).or_default();
        if *held >= PER_ADAPTER {
            return false;
        }
        *held += 1;
        self.order.push_back((minted.id, minted.adapter, now_us));
        self.live.insert(minted.id, Arc::new(Mutex::new(capability)));
        true
    }

    /// The capability of that public id.
    pub(super) fn find(&self, id: CapabilityId) -> Option<Live> {
        self.live.get(&id).cloned()
    }

    /// Drops those whose time is over.
    pub(super) fn sweep(&mut self, now_us: u64) {
        while let Some((id, adapter, minted_us)) = self.order.front() {
            if now_us.saturating_sub(*minted_us) < claviger_domain::capability::LIFE_US {
                break;
            }
            self.live.remove(id);
            if let Some(held) = self.held.get_mut(adapter) {
                *held = held.saturating_sub(1);
            }
            self.order.pop_front();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.live.len()
    }
}
