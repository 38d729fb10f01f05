//! What calls use up. `calls` is durable before the capability is; `rate` reserves durable blocks ahead.

use claviger_domain::id::HandleId;
use claviger_domain::rate::{Arrival, Rate};
use claviger_domain::refusal::{Class, Denial};

use super::Broker;
use super::persist::{Plain, Put};
use super::records::{self, CounterRecord};
use super::state::HandleEntry;
use crate::port::Purpose;

/// A block of a rate that is reserved ahead is the rate's count divided by this, and at least one call: so much may be
/// lost at a restart, and never gained.
const BLOCKS: u32 = 8;

/// The key of a handle's counter.
pub(super) fn key(handle: HandleId) -> String {
    format!("counter/{handle}")
}

/// The counter of one handle. The lock is held while a commit is under way, so charges take turns.
#[derive(Default)]
pub(super) struct Counter(tokio::sync::Mutex<Tally>);

/// What was charged so far.
#[derive(Default)]
pub(super) struct Tally {
    /// The version of the record; 0 while there is none.
    version: u64,
    calls: u64,
    arrivals: Vec<Arrival>,
    reserved: Vec<Arrival>,
    /// A charge was on its way to the store when it was given up or went unanswered: the record may be ahead of this.
    unsure: bool,
}

impl Counter {
    /// As an earlier run left it. What it had reserved counts as used.
    pub(super) fn restored(record: &CounterRecord, version: u64) -> Self {
        let reserved: Vec<Arrival> = record.reserved_us.iter().copied().map(Arrival).collect();
        Self(tokio::sync::Mutex::new(Tally {
            version,
            calls: record.calls,
            arrivals: reserved.clone(),
            reserved,
            unsure: false,
        }))
    }

    /// Calls charged so far; `None` while a charge is being made durable.
    pub(super) fn calls(&self) -> Option<u64> {
        self.0.try_lock().ok().map(|tally| tally.calls)
    }
}

impl Broker {
    /// Charges one call to a handle: all its rates and its count, or none of them, in one commit with what else the
    /// call writes.
    ///
    /// # Errors
    /// Class `rate-limited` where a counter is used up; `unavailable` where a charge could not be made durable, and
    /// then it may count although the call does not happen.
    pub(super) async fn charge(
        &self,
        entry: &HandleEntry,
        rates: &[Rate],
        calls: Option<u64>,
        puts: &[Put],
    ) -> Result<(), Denial> {
        if rates.is_empty() && calls.is_none() && puts.is_empty() {
            return Ok(());
        }
        let mut tally = entry.counter.0.lock().await;
        tally.arrivals.resize(rates.len(), Arrival::default());
        tally.reserved.resize(rates.len(), Arrival::default());
        if tally.unsure {
            self.catch_up(entry.handle.id, &mut tally).await?;
        }
        if calls.is_some_and(|most| tally.calls >= most) {
            return Err(Denial::new(Class::RateLimited)
                .field("calls")
                .fix("all calls of the grant are made; make a new one"));
        }
        let now_us = self.now_ms() * 1000;
        // Never further ahead than a counter can be that was used up just now: a clock that was years ahead, until an
        // admin reset it, is not held against the agent for years.
        for (arrival, rate) in tally.arrivals.iter_mut().zip(rates) {
            let most = rate.interval_us().saturating_mul(u64::from(rate.count() + rate.count() / BLOCKS));
            *arrival = (*arrival).min(Arrival(now_us.saturating_add(most)));
        }
        let mut arrivals = Vec::with_capacity(rates.len());
        let mut reserved = tally.reserved.clone();
        let mut durable = calls.is_some() || !puts.is_empty();
        for (at, rate) in rates.iter().enumerate() {
            let arrival = rate.charge(tally.arrivals[at], now_us).map_err(|exceeded| {
                Denial::new(Class::RateLimited)
                    .field("rate")
                    .caveat(format!("rate = {rate}"))
                    .fix(format!("one more call passes in {} s", exceeded.retry_after_ms.div_ceil(1000)))
            })?;
            if arrival > reserved[at] {
                let block = rate.interval_us() * u64::from((rate.count() / BLOCKS).max(1) - 1);
                reserved[at] = Arrival(arrival.0 + block);
                durable = true;
            }
            arrivals.push(arrival);
        }
        let used = tally.calls + u64::from(calls.is_some());
        if durable {
            let record = CounterRecord {
                calls: used,
                reserved_us: reserved.iter().map(|arrival| arrival.0).collect(),
            };
            let put = Put {
                key: key(entry.handle.id),
                version: tally.version,
                plain: Plain::Sealed(Purpose::Record, records::encode(&record)),
            };
            // Until the store has answered: this future may be dropped while it waits.
            tally.unsure = true;
            self.commit(puts.iter().cloned().chain([put]).collect()).await.map_err(|error| {
                tracing::warn!(%error, "a call was not charged");
                unavailable()
            })?;
            tally.unsure = false;
            tally.version += 1;
            tally.reserved = reserved;
        }
        tally.arrivals = arrivals;
        tally.calls = used;
        Ok(())
    }

    /// Takes over what the store has of a counter. What may have been charged counts as charged.
    async fn catch_up(&self, handle: HandleId, tally: &mut Tally) -> Result<(), Denial> {
        if let Some(item) = self.ports.store.get(&key(handle)).await.map_err(|_| unavailable())? {
            let plain = self.unseal_item(Purpose::Record, &item).map_err(|_| unavailable())?;
            let record: CounterRecord = records::decode(&plain).map_err(|_| unavailable())?;
            tally.version = item.version;
            tally.calls = tally.calls.max(record.calls);
            for (at, reserved) in record.reserved_us.iter().copied().map(Arrival).enumerate() {
                if let Some(ours) = tally.reserved.get_mut(at) {
                    *ours = reserved.max(*ours);
                }
            }
        }
        tally.unsure = false;
        Ok(())
    }
}

fn unavailable() -> Denial {
    Denial::new(Class::Unavailable).field("counter").fix("the store could not take the charge")
}
