//! What one agent usually does, remembered within bounds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use claviger_domain::id::GrantId;
use claviger_domain::name::{Ident, SecretName};

use super::Alert;
use crate::broker::records::{HabitsRecord, HourRecord, UsedRecord, WroteRecord};

/// So many refusals within [`BURST_MS`] are a burst.
const BURST: usize = 20;
const BURST_MS: u64 = 60_000;

/// Each type at most this often for one agent, in milliseconds.
const QUIET_MS: u64 = 60_000;

const HOUR_MS: u64 = 3_600_000;

/// How many hours are looked back to tell what is usual.
const HOURS: u64 = 7 * 24;

/// So many times the busiest hour, and at least so many calls, are unusual.
const TIMES: u64 = 4;
const FEWEST: u64 = 100;

/// How many grants' tools, and how many addresses of one secret, are remembered. What is beyond is told each time.
const GRANTS: usize = 256;
const ADDRESSES: usize = 2000;

/// What one agent does.
#[derive(Default)]
pub(super) struct Habits {
    pub(super) version: u64,
    pub(super) unsaved: bool,
    /// Times of the latest refusals, oldest first.
    refusals: VecDeque<u64>,
    /// When each type was told last, and how many were not told since.
    told: BTreeMap<Alert, (u64, u64)>,
    /// Calls by hour since 1970.
    hours: BTreeMap<u64, u64>,
    /// The hour whose volume was told.
    told_hour: u64,
    used: BTreeMap<GrantId, BTreeSet<Ident>>,
    wrote: BTreeMap<SecretName, BTreeSet<String>>,
}

impl Habits {
    /// Whether this one is to be told now: how many it stands for, itself included.
    pub(super) fn due(&mut self, alert: Alert, now_ms: u64) -> Option<u64> {
        let (last, missed) = self.told.entry(alert).or_insert((0, 0));
        if *last != 0 && now_ms.saturating_sub(*last) < QUIET_MS {
            *missed += 1;
            return None;
        }
        let count = *missed + 1;
        (*last, *missed) = (now_ms.max(1), 0);
        Some(count)
    }

    pub(super) fn refused(&mut self, now_ms: u64) -> bool {
        self.refusals.push_back(now_ms);
        if self.refusals.len() > BURST {
            self.refusals.pop_front();
        }
        let oldest = self.refusals.front().copied().unwrap_or(now_ms);
        self.refusals.len() == BURST && now_ms.saturating_sub(oldest) < BURST_MS
    }

    /// Counts a call; whether this hour has become unusual by it, which is told once.
    pub(super) fn called(&mut self, now_ms: u64) -> bool {
        let hour = now_ms / HOUR_MS;
        let count = self.hours.entry(hour).or_insert(0);
        *count += 1;
        let count = *count;
        while let Some(first) = self.hours.first_entry().filter(|first| first.key() + HOURS < hour) {
            first.remove();
        }
        let busiest = self.hours.range(..hour).map(|(_, count)| *count).max().unwrap_or(0);
        let unusual = count >= FEWEST && count > TIMES * busiest && self.told_hour != hour;
        if unusual {
            self.told_hour = hour;
        }
        unusual
    }

    pub(super) fn first_use(&mut self, grant: GrantId, tool: &Ident) -> bool {
        if self.used.get(&grant).is_some_and(|tools| tools.contains(tool)) {
            return false;
        }
        if self.used.len() >= GRANTS && !self.used.contains_key(&grant) {
            self.used.pop_first();
        }
        self.used.entry(grant).or_default().insert(tool.clone())
    }

    /// Those of the addresses that are new, in lower case.
    pub(super) fn new_recipients(&mut self, secret: &SecretName, addresses: Vec<String>) -> Vec<String> {
        let known = self.wrote.entry(secret.clone()).or_default();
        let mut new = Vec::new();
        for address in addresses.into_iter().map(|address| address.to_ascii_lowercase()) {
            if !known.contains(&address) && !new.contains(&address) {
                if known.len() < ADDRESSES {
                    known.insert(address.clone());
                }
                new.push(address);
            }
        }
        new
    }

    pub(super) fn restored(record: HabitsRecord, version: u64) -> Self {
        let HabitsRecord { hours, used, wrote } = record;
        let used = used.into_iter().filter_map(|UsedRecord { grant, tools }| {
            let tools = tools.iter().filter_map(|tool| tool.parse().ok()).collect();
            Some((GrantId::from_slice(&grant)?, tools))
        });
        let wrote = wrote.into_iter().filter_map(|WroteRecord { secret, addresses }| {
            Some((secret.parse().ok()?, addresses.into_iter().collect()))
        });
        Self {
            version,
            hours: hours.into_iter().map(|HourRecord { hour, calls }| (hour, calls)).collect(),
            used: used.collect(),
            wrote: wrote.collect(),
            ..Self::default()
        }
    }

    pub(super) fn record(&self) -> HabitsRecord {
        let used = self.used.iter().map(|(grant, tools)| UsedRecord {
            grant: grant.as_bytes().to_vec(),
            tools: tools.iter().map(ToString::to_string).collect(),
        });
        let wrote = self.wrote.iter().map(|(secret, addresses)| WroteRecord {
            secret: secret.to_string(),
            addresses: addresses.iter().cloned().collect(),
        });
        HabitsRecord {
            hours: self.hours.iter().map(|(hour, calls)| HourRecord { hour: *hour, calls: *calls }).collect(),
            used: used.collect(),
            wrote: wrote.collect(),
        }
    }
}
