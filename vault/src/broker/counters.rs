//! What calls use up. `calls` is durable before the capability is; `rate` and bytes a day reserve durable blocks ahead.
//!
//! A child's call charges the child and everything above it, in one commit or not at all. Counters are locked from the
//! root down, so two calls of one tree never wait for each other.

use std::sync::{Arc, OnceLock};

use claviger_domain::caveat::Caveat;
use claviger_domain::id::HandleId;
use claviger_domain::permit;
use claviger_domain::rate::{Arrival, Rate};
use claviger_domain::refusal::{Class, Denial};
use tokio::sync::{Mutex, MutexGuard};

use super::Broker;
use super::mint::Presented;
use super::persist::{Plain, Put};
use super::records::{self, CounterRecord};
use super::state::HandleEntry;
use super::usage::Purposeful;
use crate::port::Purpose;

/// A block of a rate that is reserved ahead is the rate's count divided by this, and at least one call: so much may be
/// lost at a restart, and never gained. The same of a day's bytes.
const BLOCKS: u32 = 8;

/// The least block of a day's bytes that is reserved ahead.
const BYTE_BLOCK: u64 = 64 << 10;

/// A day (UTC), in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// The key of a handle's counter.
pub(super) fn key(handle: HandleId) -> String {
    format!("counter/{handle}")
}

/// The counter of one handle. The lock is held while a commit is under way, so charges take turns. Most handles are
/// never counted, and have room for it only once they are.
#[derive(Default)]
pub(super) struct Counter(OnceLock<Box<Mutex<Tally>>>);

/// What was charged so far.
#[derive(Default)]
pub(super) struct Tally {
    /// The version of the record; 0 while there is none.
    version: u64,
    calls: u64,
    arrivals: Vec<Arrival>,
    reserved: Vec<Arrival>,
    bytes: Bytes,
    /// A charge was on its way to the store when it was given up or went unanswered: the record may be ahead of this.
    unsure: bool,
}

/// One day's bytes.
#[derive(Default, Clone, Copy)]
struct Bytes {
    /// Days since 1970.
    day: u64,
    used: u64,
    /// Up to where the record says they are used.
    reserved: u64,
}

impl Bytes {
    /// A later day begins with nothing. An earlier one, after a clock was set right, takes over what was used.
    fn turn(&mut self, today: u64) {
        if today > self.day {
            *self = Self::default();
        }
        self.day = today;
    }

    /// Whether the day's bytes are used up, or would be with so many more.
    fn room(&self, limit: u64, more: u64) -> Result<(), Denial> {
        if self.used < limit && self.used.saturating_add(more) <= limit {
            return Ok(());
        }
        Err(Denial::new(Class::RateLimited)
            .field("bytes_a_day")
            .caveat(Caveat::BytesADay(limit).to_text())
            .fix("the bytes of this day (UTC) are used up"))
    }

    /// Takes so many; `true` where the record must say so first.
    fn take(&mut self, limit: u64, more: u64) -> bool {
        self.used = self.used.saturating_add(more);
        let ahead = self.used > self.reserved;
        if ahead {
            let block = (limit / u64::from(BLOCKS)).max(BYTE_BLOCK);
            self.reserved = self.used.saturating_add(block).min(limit).max(self.used);
        }
        ahead
    }
}

/// One handle of a chain with what its own bounds count; the grant's count at its root.
struct Node {
    entry: Arc<HandleEntry>,
    rates: Vec<Rate>,
    calls: Option<u64>,
    bytes: Option<u64>,
}

impl Node {
    fn of<'a>(entry: &Arc<HandleEntry>, caveats: impl Iterator<Item = &'a Caveat> + Clone) -> Self {
        let bytes = caveats.clone().filter_map(|caveat| match caveat {
            Caveat::BytesADay(limit) => Some(*limit),
            _ => None,
        });
        let bytes = bytes.min();
        let (rates, calls) = permit::counters(caveats);
        Self { entry: Arc::clone(entry), rates, calls, bytes }
    }

    fn counts_calls(&self) -> bool {
        !self.rates.is_empty() || self.calls.is_some()
    }
}

impl Presented {
    /// The chain from the root down.
    fn nodes(&self) -> Vec<Node> {
        let below = self.ancestors.iter().rev().chain([&self.handle]);
        below
            .enumerate()
            .map(|(depth, entry)| {
                let granted = if depth == 0 { self.grant.grant.caveats.as_slice() } else { &[] };
                Node::of(entry, granted.iter().chain(&entry.handle.caveats))
            })
            .collect()
    }
}

impl Counter {
    /// As an earlier run left it. What it had reserved counts as used.
    pub(super) fn restored(record: &CounterRecord, version: u64) -> Self {
        let mut tally = Tally { version, ..Tally::default() };
        tally.take_over(record);
        Self(OnceLock::from(Box::new(Mutex::new(tally))))
    }

    fn tally(&self) -> &Mutex<Tally> {
        self.0.get_or_init(Box::default)
    }

    /// Calls charged so far; `None` while a charge is being made durable.
    pub(super) fn calls(&self) -> Option<u64> {
        let Some(tally) = self.0.get() else { return Some(0) };
        tally.try_lock().ok().map(|tally| tally.calls)
    }
}

impl Tally {
    /// What the record says counts, and what is known beyond it.
    fn take_over(&mut self, record: &CounterRecord) {
        self.calls = self.calls.max(record.calls);
        let known = self.reserved.len().max(record.reserved_us.len());
        self.arrivals.resize(known, Arrival::default());
        self.reserved.resize(known, Arrival::default());
        for (at, reserved) in record.reserved_us.iter().copied().map(Arrival).enumerate() {
            self.arrivals[at] = self.arrivals[at].max(reserved);
            self.reserved[at] = self.reserved[at].max(reserved);
        }
        if record.bytes_day >= self.bytes.day {
            self.bytes.turn(record.bytes_day);
            self.bytes.used = self.bytes.used.max(record.bytes_reserved);
            self.bytes.reserved = self.bytes.reserved.max(record.bytes_reserved);
        }
    }

    /// Never further ahead than a counter can be that was used up just now: a clock that was years ahead, until an admin
    /// reset it, is not held against the agent for years.
    fn bring_back(&mut self, node: &Node, now_us: u64) {
        for (arrival, rate) in self.arrivals.iter_mut().zip(&node.rates) {
            let most = rate.interval_us().saturating_mul(u64::from(rate.count() + rate.count() / BLOCKS));
            *arrival = (*arrival).min(Arrival(now_us.saturating_add(most)));
        }
    }

    /// What one more call would make of it, and whether that must be durable first. Nothing is changed.
    fn charged(&self, node: &Node, now_us: u64) -> Result<(Charge, bool), Denial> {
        if node.calls.is_some_and(|most| self.calls >= most) {
            return Err(Denial::new(Class::RateLimited)
                .field("calls")
                .fix("all calls of the grant are made; make a new one"));
        }
        let mut charge = Charge {
            calls: self.calls + u64::from(node.calls.is_some()),
            arrivals: Vec::with_capacity(node.rates.len()),
            reserved: self.reserved.clone(),
            bytes: self.bytes,
        };
        charge.reserved.resize(node.rates.len(), Arrival::default());
        let mut durable = node.calls.is_some();
        for (at, rate) in node.rates.iter().enumerate() {
            let before = self.arrivals.get(at).copied().unwrap_or_default();
            let arrival = rate.charge(before, now_us).map_err(|exceeded| {
                Denial::new(Class::RateLimited)
                    .field("rate")
                    .caveat(format!("rate = {rate}"))
                    .fix(format!("one more call passes in {} s", exceeded.retry_after_ms.div_ceil(1000)))
            })?;
            if arrival > charge.reserved[at] {
                let block = rate.interval_us() * u64::from((rate.count() / BLOCKS).max(1) - 1);
                charge.reserved[at] = Arrival(arrival.0 + block);
                durable = true;
            }
            charge.arrivals.push(arrival);
        }
        Ok((charge, durable))
    }
}

/// What a tally becomes once its charge stands.
struct Charge {
    calls: u64,
    arrivals: Vec<Arrival>,
    reserved: Vec<Arrival>,
    bytes: Bytes,
}

impl Charge {
    fn record(&self) -> CounterRecord {
        CounterRecord {
            calls: self.calls,
            reserved_us: self.reserved.iter().map(|arrival| arrival.0).collect(),
            bytes_day: self.bytes.day,
            bytes_reserved: self.bytes.reserved,
        }
    }
}

impl Broker {
    /// Charges one call to a handle and everything above it: all rates and counts, or none of them, in one commit with
    /// what else the call writes.
    ///
    /// # Errors
    /// Class `rate-limited` where a counter is used up; `unavailable` where a charge could not be made durable, and
    /// then it may count although the call does not happen.
    pub(super) async fn charge(&self, presented: &Presented, puts: &[Put]) -> Result<(), Denial> {
        let nodes: Vec<Node> = presented.nodes().into_iter().filter(Node::counts_calls).collect();
        if nodes.is_empty() && puts.is_empty() {
            return Ok(());
        }
        let mut tallies = self.lock_all(&nodes).await?;
        let now_us = self.now_ms() * 1000;
        let charged = nodes.iter().zip(&mut tallies).map(|(node, tally)| {
            tally.bring_back(node, now_us);
            tally.charged(node, now_us)
        });
        let charges = charged.collect::<Result<Vec<_>, _>>()?;
        self.settle(&nodes, &mut tallies, charges, puts).await
    }

    /// Whether a call would be charged now, without charging it.
    ///
    /// # Errors
    /// As [`Broker::charge`].
    pub(super) async fn has_room(&self, presented: &Presented) -> Result<(), Denial> {
        let nodes: Vec<Node> = presented.nodes().into_iter().filter(Node::counts_calls).collect();
        let mut tallies = self.lock_all(&nodes).await?;
        let now_us = self.now_ms() * 1000;
        nodes.iter().zip(&mut tallies).try_for_each(|(node, tally)| {
            tally.bring_back(node, now_us);
            tally.charged(node, now_us).map(drop)
        })
    }

    /// Counts bytes that are about to be sent by a call, against the day of its handle and of everything above it.
    ///
    /// # Errors
    /// Class `rate-limited` where the day's bytes are used up or would be; nothing is counted then.
    pub(super) async fn bytes_out(&self, purpose: &Purposeful, bytes: usize) -> Result<(), Denial> {
        self.charge_bytes(purpose, bytes, false).await
    }

    /// Counts bytes that are about to be released to an adapter. They count even where they are too many.
    ///
    /// # Errors
    /// Class `rate-limited` where they are more than the day has left.
    pub(super) async fn bytes_in(&self, purpose: &Purposeful, bytes: usize) -> Result<(), Denial> {
        self.charge_bytes(purpose, bytes, true).await
    }

    async fn charge_bytes(&self, purpose: &Purposeful, bytes: usize, anyway: bool) -> Result<(), Denial> {
        let Some(handle) = purpose.about.handle else { return Ok(()) };
        // Where it was taken away meanwhile, the nearest above it counts: an agent may release its own child while it reads.
        let mut chain = std::iter::once(&handle).chain(&purpose.ancestors);
        let Some(presented) = chain.find_map(|handle| self.presented(*handle).ok()) else {
            // The whole grant is gone, which is no agent's to do. Whatever is about to be sent is stopped where its use
            // begins; what may have been bounded is not released uncounted.
            let bounded = !purpose.ancestors.is_empty()
                || purpose.about.grant.and_then(|id| self.read().grants.get(&id).cloned()).is_none_or(
                    |entry| entry.grant.caveats.iter().any(|caveat| matches!(caveat, Caveat::BytesADay(_))),
                );
            let gone = Denial::new(Class::Revoked).field("grant");
            return if anyway && bounded { Err(gone) } else { Ok(()) };
        };
        let nodes: Vec<Node> = presented.nodes().into_iter().filter(|node| node.bytes.is_some()).collect();
        if nodes.is_empty() {
            return Ok(());
        }
        let more = u64::try_from(bytes).unwrap_or(u64::MAX);
        let mut tallies = self.lock_all(&nodes).await?;
        let today = self.now_ms() / DAY_MS;
        let mut room = Ok(());
        let mut charges = Vec::with_capacity(nodes.len());
        for (node, tally) in nodes.iter().zip(&mut tallies) {
            let limit = node.bytes.unwrap_or_default();
            tally.bytes.turn(today);
            room = room.and(tally.bytes.room(limit, more));
            let mut bytes = tally.bytes;
            let durable = bytes.take(limit, more);
            let (arrivals, reserved) = (tally.arrivals.clone(), tally.reserved.clone());
            charges.push((Charge { calls: tally.calls, arrivals, reserved, bytes }, durable));
        }
        if room.is_ok() || anyway {
            self.settle(&nodes, &mut tallies, charges, &[]).await?;
        }
        room
    }

    /// Locks the counters from the root down, each as far as the store has it.
    async fn lock_all<'a>(&self, nodes: &'a [Node]) -> Result<Vec<MutexGuard<'a, Tally>>, Denial> {
        let mut tallies = Vec::with_capacity(nodes.len());
        for node in nodes {
            let mut tally = node.entry.counter.tally().lock().await;
            if tally.unsure {
                self.catch_up(node.entry.handle.id, &mut tally).await?;
            }
            tallies.push(tally);
        }
        Ok(tallies)
    }

    /// Makes charges stand: what must be durable first is, in one commit.
    async fn settle(
        &self,
        nodes: &[Node],
        tallies: &mut [MutexGuard<'_, Tally>],
        charges: Vec<(Charge, bool)>,
        puts: &[Put],
    ) -> Result<(), Denial> {
        let mut all = puts.to_vec();
        for ((node, tally), (charge, durable)) in nodes.iter().zip(&mut *tallies).zip(&charges) {
            if *durable {
                all.push(Put {
                    key: key(node.entry.handle.id),
                    version: tally.version,
                    plain: Plain::Sealed(Purpose::Record, records::encode(&charge.record())),
                });
                // Until the store has answered: this future may be dropped while it waits.
                tally.unsure = true;
            }
        }
        if !all.is_empty() {
            self.commit(all).await.map_err(|error| {
                tracing::warn!(%error, "a call was not charged");
                unavailable()
            })?;
        }
        for (tally, (charge, durable)) in tallies.iter_mut().zip(charges) {
            let Charge { calls, arrivals, reserved, bytes } = charge;
            if durable {
                tally.unsure = false;
                tally.version += 1;
            }
            (tally.calls, tally.arrivals, tally.reserved, tally.bytes) = (calls, arrivals, reserved, bytes);
        }
        Ok(())
    }

    /// Takes over what the store has of a counter. What may have been charged counts as charged.
    async fn catch_up(&self, handle: HandleId, tally: &mut Tally) -> Result<(), Denial> {
        if let Some(item) = self.ports.store.get(&key(handle)).await.map_err(|_| unavailable())? {
            let plain = self.unseal_item(Purpose::Record, &item).map_err(|_| unavailable())?;
            let record: CounterRecord = records::decode(&plain).map_err(|_| unavailable())?;
            tally.version = item.version;
            let arrivals = tally.arrivals.clone();
            tally.take_over(&record);
            // Of what this process reserved, it knows how much it has used.
            for (at, arrival) in arrivals.into_iter().enumerate() {
                tally.arrivals[at] = arrival;
            }
        }
        tally.unsure = false;
        Ok(())
    }
}

fn unavailable() -> Denial {
    Denial::new(Class::Unavailable).field("counter").fix("the store could not take the charge")
}
