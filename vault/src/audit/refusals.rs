//! One token bucket per refused peer, so that no peer fills the log by being refused.
//!
//! Agents share an adapter, and one of them must not use up the references of the others: a refusal that names an agent
//! counts for that agent. The broker names one only once its proof held, so nobody counts for another.
//!
//! What exceeds the bucket is counted, and the count becomes one `coalesced` record. Pure: time comes in.

use std::collections::HashMap;

use claviger_domain::event::{Actor, Event};
use claviger_domain::id::BootId;

/// How many refusals of one peer are recorded at once.
pub(super) const BURST: u64 = 30;
/// After how many milliseconds a peer may have one more.
pub(super) const REFILL_MS: u64 = 10_000;
/// How long a count may wait, in milliseconds, before it is recorded.
pub(super) const COALESCE_MS: u64 = 60_000;
/// How many peers have a bucket of their own; all others share one.
pub(super) const MAX_PEERS: usize = 1024;

/// Refusals of one peer that have no record of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counted {
    /// Whose. For the peers that share a bucket: the vault itself.
    pub(super) actor: Actor,
    /// How many.
    pub(super) count: u64,
    /// In which run of the vault.
    pub(super) boot: BootId,
}

struct Bucket {
    /// In milliseconds of refill: [`REFILL_MS`] each.
    tokens_ms: u64,
    filled_at_ms: u64,
    counted: u64,
    counted_since_ms: u64,
    boot: BootId,
}

/// The buckets of all peers.
#[derive(Default)]
pub(super) struct Refusals {
    peers: HashMap<Actor, Bucket>,
}

impl Refusals {
    /// Whether this refusal, at that monotonic moment in milliseconds, gets a record of its own. If not, it is counted.
    pub(super) fn admit(&mut self, event: &Event, now_ms: u64) -> bool {
        let bucket = self.bucket(event, now_ms);
        let earned = now_ms.saturating_sub(bucket.filled_at_ms);
        bucket.tokens_ms = bucket.tokens_ms.saturating_add(earned).min(BURST * REFILL_MS);
        bucket.filled_at_ms = bucket.filled_at_ms.max(now_ms);
        if bucket.tokens_ms >= REFILL_MS {
            bucket.tokens_ms -= REFILL_MS;
            return true;
        }
        bucket.count(1, now_ms);
        false
    }

    /// Counts a refusal that was admitted and could not be written after all.
    pub(super) fn count(&mut self, event: &Event, now_ms: u64) {
        self.bucket(event, now_ms).count(1, now_ms);
    }

    /// Puts back counts that could not be recorded.
    pub(super) fn put_back(&mut self, counted: Counted, now_ms: u64) {
        if let Some(bucket) = self.peers.get_mut(&counted.actor) {
            bucket.count(counted.count, now_ms);
        }
    }

    /// Takes the counts that have waited long enough, or all of them.
    pub(super) fn due(&mut self, now_ms: u64, all: bool) -> Vec<Counted> {
        let due = |bucket: &Bucket| {
            bucket.counted > 0 && (all || now_ms.saturating_sub(bucket.counted_since_ms) >= COALESCE_MS)
        };
        self.peers
            .iter_mut()
            .filter(|(_, bucket)| due(bucket))
            .map(|(actor, bucket)| Counted {
                actor: actor.clone(),
                count: std::mem::take(&mut bucket.counted),
                boot: bucket.boot,
            })
            .collect()
    }

    fn bucket(&mut self, event: &Event, now_ms: u64) -> &mut Bucket {
        let mut actor = event.agent.clone().map_or_else(|| event.actor.clone(), Actor::Agent);
        if !self.peers.contains_key(&actor) && self.peers.len() >= MAX_PEERS {
            // A peer that was quiet for so long that its bucket is full again loses nothing by being forgotten.
            self.peers.retain(|_, bucket| {
                bucket.counted > 0
                    || bucket.tokens_ms.saturating_add(now_ms.saturating_sub(bucket.filled_at_ms))
                        < BURST * REFILL_MS
            });
            if self.peers.len() >= MAX_PEERS {
                actor = Actor::Vault;
            }
        }
        self.peers.entry(actor).or_insert(Bucket {
            tokens_ms: BURST * REFILL_MS,
            filled_at_ms: now_ms,
            counted: 0,
            counted_since_ms: now_ms,
            boot: event.boot,
        })
    }
}

impl Bucket {
    fn count(&mut self, more: u64, now_ms: u64) {
        if self.counted == 0 {
            self.counted_since_ms = now_ms;
        }
        self.counted = self.counted.saturating_add(more);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

    use claviger_domain::event::Kind;
    use claviger_domain::id::Ref;

    use super::*;

    fn refused(uid: u32) -> Event {
        Event::new(
            Kind::Refused,
            Ref::from_bytes([0; 8]),
            0,
            BootId::from_bytes([1; 16]),
            Actor::Stranger(uid),
        )
    }

    #[test]
    fn a_peer_has_a_burst_then_a_trickle_and_the_rest_is_counted() {
        let mut refusals = Refusals::default();
        let recorded = (0..1000).filter(|_| refusals.admit(&refused(1), 5)).count() as u64;
        assert_eq!(recorded, BURST);
        assert!(refusals.admit(&refused(2), 5), "another peer is not affected");
        assert!(refusals.due(5 + COALESCE_MS - 1, false).is_empty());
        let counted = refusals.due(5 + COALESCE_MS, false);
        assert_eq!(counted.len(), 1);
        assert_eq!((counted[0].count, &counted[0].actor), (1000 - BURST, &Actor::Stranger(1)));
        assert!(refusals.due(u64::MAX, true).is_empty(), "taken once");
        assert!(refusals.admit(&refused(1), 5 + REFILL_MS));
        assert!(!refusals.admit(&refused(1), 5 + REFILL_MS));
        refusals.put_back(counted[0].clone(), 6);
        assert_eq!(refusals.due(0, true)[0].count, 1000 - BURST + 1);
    }

    #[test]
    fn agents_of_one_adapter_have_a_bucket_each() {
        let refused = |agent: Option<&str>| {
            let adapter = Actor::Adapter("gmail".parse().unwrap());
            let mut event =
                Event::new(Kind::Refused, Ref::from_bytes([0; 8]), 0, BootId::from_bytes([1; 16]), adapter);
            event.agent = agent.map(|name| name.parse().unwrap());
            event
        };
        let mut refusals = Refusals::default();
        while refusals.admit(&refused(Some("ann")), 0) {}
        assert!(refusals.admit(&refused(Some("bob")), 0));
        assert!(refusals.admit(&refused(None), 0), "the adapter itself is another peer");
        let counted = refusals.due(0, true);
        assert_eq!(counted[0].actor, Actor::Agent("ann".parse().unwrap()));
    }

    #[test]
    fn peers_without_end_share_one_bucket() {
        let mut refusals = Refusals::default();
        let recorded = (0..100_000).filter(|uid| refusals.admit(&refused(*uid), 0)).count();
        assert_eq!(recorded, MAX_PEERS + BURST as usize);
        assert!(refusals.peers.len() <= MAX_PEERS + 1);
        // The quiet ones make room.
        assert!(refusals.admit(&refused(200_000), BURST * REFILL_MS));
        assert!(refusals.peers.contains_key(&Actor::Stranger(200_000)));
    }
}
