//! What waits for a person: kept in memory to decide by, and in the store to survive.
//!
//! Memory has what decides (what an approval binds, how it stands); the store has the rest too (the arguments, what was
//! seen). An entry that somebody is about to change is *taken*: whoever comes meanwhile is told so, and nothing waits. A
//! change that was given up, or whose fate is unknown, leaves the entry *unsure*: it is read again before it is believed.

mod ask;
mod collect;
mod decide;
mod known;
mod wish;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use claviger_canonical::Digest;
use claviger_domain::approval::{Approval, Kind, MOST_PENDING, State, cool_down_ms};
use claviger_domain::id::{ApprovalId, HandleId};
use claviger_domain::name::AgentName;
use claviger_domain::refusal::{Class, Denial};

use super::Broker;
use super::error::AdminError;
use super::persist::Plain;
use super::records::{self, ApprovalRecord};
use crate::port::{Item, Purpose};

pub(super) use known::{Knowns, Remembering};

/// How long an approval is kept after it is over, in milliseconds.
const KEPT_MS: u64 = 24 * 60 * 60 * 1000;

/// How many calls that are over are kept for each agent: their arguments take room in the store.
const KEPT_CALLS: usize = 50;

/// How many tasks, grants and questions an agent may ask for in 24 hours.
const ASKS_A_DAY: usize = 20;

/// How many records one sweep deletes at most.
const SWEEP: usize = 32;

/// The key of an approval's record.
fn key(id: ApprovalId) -> String {
    format!("approval/{id}")
}

/// An approval, as far as memory has it.
pub(super) struct Entry {
    pub(super) approval: Approval,
    /// The version of its record; 0 until it is durable.
    version: u64,
    summary: String,
    decided_at_ms: u64,
    denials: u32,
    made: Option<HandleId>,
    /// SHA-256 of what was asked for: the same again is the same wish.
    wish: Option<Digest>,
    taken: bool,
    unsure: bool,
}

impl Entry {
    fn new(approval: Approval, record: &ApprovalRecord, version: u64) -> Self {
        Self {
            approval,
            version,
            summary: record.summary.clone(),
            decided_at_ms: record.decided_at_ms,
            denials: record.denials,
            made: HandleId::from_slice(&record.made),
            wish: record.wish.as_ref().map(|wish| Digest::of(&records::encode(wish))),
            taken: false,
            unsure: false,
        }
    }

    /// When it was over; `None` while something can come of it.
    fn over_since(&self, now_ms: u64) -> Option<u64> {
        match self.approval.state(now_ms) {
            State::Pending => None,
            State::Approved if self.approval.kind == Kind::Call => None,
            State::Expired => Some(self.approval.expires_at_ms),
            State::Approved | State::Denied | State::Done => Some(self.decided_at_ms),
        }
    }

    /// What a denial of it keeps from being asked again.
    fn subject(&self) -> (AgentName, String) {
        (self.approval.agent.clone(), subject(&self.approval))
    }
}

/// The same agent, grant and tool; or the same kind of wish.
fn subject(approval: &Approval) -> String {
    match &approval.call {
        Some(call) => format!("{}/{}", call.grant, call.tool),
        None => approval.kind.as_str().to_owned(),
    }
}

/// Denials in a row, and until when the same may not be asked.
#[derive(Clone, Copy, Default)]
struct Cool {
    denials: u32,
    /// When the last of them was given.
    at_ms: u64,
    until_ms: u64,
}

/// All of them. Cheap to share.
#[derive(Clone, Default)]
pub(super) struct Approvals(Arc<Mutex<Table>>);

#[derive(Default)]
pub(super) struct Table {
    entries: BTreeMap<ApprovalId, Entry>,
    cool: HashMap<(AgentName, String), Cool>,
}

/// What a word that was given at that time means for asking the same again. A yes that is read again may be older than a
/// no, and then undoes nothing.
fn cool_down(
    cool: &mut HashMap<(AgentName, String), Cool>,
    subject: (AgentName, String),
    state: State,
    denials: u32,
    at_ms: u64,
) {
    match state {
        State::Denied => {
            let until_ms = at_ms + cool_down_ms(denials);
            let cool = cool.entry(subject).or_default();
            if until_ms >= cool.until_ms {
                *cool = Cool { denials, at_ms, until_ms };
            }
        }
        State::Approved => {
            if cool.get(&subject).is_some_and(|cool| cool.at_ms <= at_ms) {
                cool.remove(&subject);
            }
        }
        State::Pending | State::Expired | State::Done => {}
    }
}

/// An entry that nobody else changes while this lives.
pub(super) struct Taken {
    approvals: Approvals,
    pub(super) id: ApprovalId,
    /// The version its record had.
    pub(super) version: u64,
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(entry) = self.approvals.lock().entries.get_mut(&self.id) {
            entry.taken = false;
        }
    }
}

impl Approvals {
    /// A lock that a panicking thread left is taken all the same: every change under it is made whole or not at all.
    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an entry to change it. It is unsure from now until [`Table::settled`] says what became of it.
    ///
    /// # Errors
    /// Class `busy` where somebody else has it.
    pub(super) fn take(&self, table: &mut Table, id: ApprovalId) -> Result<Taken, Denial> {
        let entry = table.entries.get_mut(&id).filter(|entry| entry.version > 0);
        match entry {
            Some(entry) if !entry.taken && !entry.unsure => {
                (entry.taken, entry.unsure) = (true, true);
                Ok(Taken { approvals: self.clone(), id, version: entry.version })
            }
            _ => Err(Denial::new(Class::Busy).field("approval").fix("it is being used or decided just now")),
        }
    }
}

impl Table {
    /// The entry of that id, if it is durable.
    pub(super) fn get(&self, id: ApprovalId) -> Option<&Entry> {
        self.entries.get(&id).filter(|entry| entry.version > 0)
    }

    /// What became of an entry that was taken: it is durable as that record.
    pub(super) fn settled(&mut self, id: ApprovalId, record: &ApprovalRecord, version: u64) {
        let (Some(entry), Ok(approval)) = (self.entries.get_mut(&id), record.to_domain()) else { return };
        *entry = Entry { taken: entry.taken, ..Entry::new(approval, record, version) };
        let (subject, state) = (entry.subject(), entry.approval.written);
        cool_down(&mut self.cool, subject, state, record.denials, record.decided_at_ms);
    }

    /// How many denials in a row there would be with one more.
    fn next_denial(&self, entry: &Entry) -> u32 {
        self.cool.get(&entry.subject()).map_or(0, |cool| cool.denials) + 1
    }

    fn pending<'a>(&'a self, agent: &AgentName, now_ms: u64) -> impl Iterator<Item = &'a Entry> {
        self.entries
            .values()
            .filter(move |entry| entry.approval.agent == *agent)
            .filter(move |entry| entry.approval.state(now_ms) == State::Pending)
    }

    /// Keeps a place for one more of that agent's.
    ///
    /// # Errors
    /// Class `denied` while a denial cools down; `busy` where too much waits already.
    fn admit(&self, approval: &Approval, now_ms: u64) -> Result<(), Denial> {
        let subject = (approval.agent.clone(), subject(approval));
        if let Some(cool) = self.cool.get(&subject).filter(|cool| now_ms < cool.until_ms) {
            let seconds = (cool.until_ms - now_ms).div_ceil(1000);
            return Err(Denial::new(Class::Denied)
                .field("approval")
                .fix(format!("a person said no; the same may be asked again in {seconds} s")));
        }
        if self.pending(&approval.agent, now_ms).count() >= MOST_PENDING {
            return Err(Denial::new(Class::Busy)
                .field("approvals")
                .fix("the agent has 5 things waiting for a person; decide those: claviger approvals"));
        }
        let asks = self.entries.values().filter(|entry| {
            entry.approval.agent == approval.agent
                && entry.approval.kind != Kind::Call
                && entry.approval.created_at_ms + KEPT_MS > now_ms
        });
        if approval.kind != Kind::Call && asks.count() >= ASKS_A_DAY {
            return Err(Denial::new(Class::RateLimited)
                .field("asks")
                .fix("the agent has asked for 20 things within 24 hours"));
        }
        Ok(())
    }

    /// Calls of that agent's that are over and more than are kept, oldest first, with their versions.
    fn too_many(&self, agent: &AgentName, now_ms: u64) -> Vec<(ApprovalId, u64)> {
        let mut over: Vec<(u64, ApprovalId, u64)> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.approval.agent == *agent && entry.approval.kind == Kind::Call)
            .filter(|(_, entry)| !entry.taken && !entry.unsure && entry.version > 0)
            .filter_map(|(id, entry)| Some((entry.over_since(now_ms)?, *id, entry.version)))
            .collect();
        over.sort_unstable();
        let surplus = over.len().saturating_sub(KEPT_CALLS - 1).min(SWEEP);
        over.into_iter().take(surplus).map(|(_, id, version)| (id, version)).collect()
    }
}

impl Broker {
    /// Reads what an earlier run left.
    pub(super) fn approvals_of(&self, items: &[Item]) -> Result<Table, String> {
        let mut table = Table::default();
        for item in items {
            let unreadable = || item.key.clone();
            let record = self.approval_record(item).map_err(|_| unreadable())?;
            let approval = record.to_domain().map_err(|_| unreadable())?;
            if item.key != key(approval.id) {
                return Err(unreadable());
            }
            let entry = Entry::new(approval, &record, item.version);
            table.entries.insert(entry.approval.id, entry);
        }
        // As they were given, or an earlier yes would undo a later no: the store has them in the order of their ids. Of
        // two of one moment the no is the last. When a yes was given that is used up is no longer known: not before it
        // was asked for.
        let Table { entries, cool } = &mut table;
        let mut words: Vec<(u64, State, &Entry)> = entries
            .values()
            .map(|entry| match entry.approval.written {
                State::Done => (entry.approval.created_at_ms, State::Approved, entry),
                state => (entry.decided_at_ms, state, entry),
            })
            .collect();
        words.sort_by_key(|(at_ms, state, _)| (*at_ms, *state == State::Denied));
        for (at_ms, state, entry) in words {
            cool_down(cool, entry.subject(), state, entry.denials, at_ms);
        }
        Ok(table)
    }

    fn approval_record(&self, item: &Item) -> Result<ApprovalRecord, AdminError> {
        let plain = self.unseal_item(Purpose::Record, item).map_err(|_| AdminError::Sealed)?;
        records::decode(&plain).map_err(|_| AdminError::Store("a record is not readable"))
    }

    /// The whole record of an approval, as the store has it.
    pub(super) async fn read_approval(
        &self,
        id: ApprovalId,
    ) -> Result<Option<(ApprovalRecord, u64)>, AdminError> {
        let item = self.ports.store.get(&key(id)).await;
        let item = item.map_err(|_| AdminError::Store("it does not answer"))?;
        item.map(|item| Ok((self.approval_record(&item)?, item.version))).transpose()
    }

    pub(super) fn approval_put(record: &ApprovalRecord, id: ApprovalId, version: u64) -> super::persist::Put {
        let plain = Plain::Sealed(Purpose::Record, records::encode(record));
        super::persist::Put { key: key(id), version, plain }
    }

    /// Reads an entry again that nobody is sure of.
    pub(super) async fn make_sure(&self, id: ApprovalId) -> Result<(), AdminError> {
        let unsure = |table: &Table| table.get(id).is_some_and(|entry| entry.unsure && !entry.taken);
        if !unsure(&self.approvals.lock()) {
            return Ok(());
        }
        let read = self.read_approval(id).await?;
        let mut table = self.approvals.lock();
        if unsure(&table) {
            match read {
                Some((record, version)) => table.settled(id, &record, version),
                None => drop(table.entries.remove(&id)),
            }
        }
        Ok(())
    }

    /// Deletes what has been over for long enough, and what an agent left that is no more.
    pub(super) async fn sweep_approvals(&self) {
        let now_ms = self.now_ms();
        let over: Vec<(ApprovalId, u64, bool)> = {
            let (state, table) = (self.read(), self.approvals.lock());
            let gone = |entry: &Entry| !state.agents.contains_key(&entry.approval.agent);
            let old = |entry: &Entry| entry.over_since(now_ms).is_some_and(|at| at + KEPT_MS <= now_ms);
            let entries = table.entries.iter().filter(|(_, entry)| entry.version > 0 && !entry.taken);
            let entries = entries.filter(|(_, entry)| gone(entry) || old(entry)).take(SWEEP);
            entries.map(|(id, entry)| (*id, entry.version, entry.unsure)).collect()
        };
        let (unsure, old): (Vec<_>, Vec<_>) = over.into_iter().partition(|(_, _, unsure)| *unsure);
        // Of these the version is not known: one of them would keep all from going. They go next time.
        for (id, ..) in unsure {
            if let Err(error) = self.make_sure(id).await {
                tracing::warn!(%error, "an approval that is over could not be read again");
            }
        }
        let old: Vec<(ApprovalId, u64)> = old.into_iter().map(|(id, version, _)| (id, version)).collect();
        if old.is_empty() {
            return;
        }
        let deletes = old.iter().map(|(id, version)| (key(*id), *version)).collect();
        match self.commit_all(Vec::new(), deletes).await {
            Ok(()) => self.forget_entries(&old),
            Err(error) => {
                tracing::warn!(%error, "approvals that are over were not deleted");
                let mut table = self.approvals.lock();
                for (id, _) in old {
                    if let Some(entry) = table.entries.get_mut(&id) {
                        entry.unsure = true;
                    }
                }
                drop(table);
            }
        }
        let mut table = self.approvals.lock();
        table.cool.retain(|_, cool| cool.until_ms + KEPT_MS > now_ms);
    }

    fn forget_entries(&self, gone: &[(ApprovalId, u64)]) {
        let mut table = self.approvals.lock();
        for (id, _) in gone {
            table.entries.remove(id);
        }
    }

    /// Lines for an owner: what waits for them.
    pub(super) fn waiting(&self) -> Vec<String> {
        let now_ms = self.now_ms();
        let table = self.approvals.lock();
        let mut counts: BTreeMap<&AgentName, usize> = BTreeMap::new();
        for entry in table.entries.values().filter(|entry| entry.version > 0) {
            if entry.approval.state(now_ms) == State::Pending {
                *counts.entry(&entry.approval.agent).or_default() += 1;
            }
        }
        let line = |(agent, count): (&AgentName, &usize)| {
            let waits = if *count == 1 { "thing waits" } else { "things wait" };
            format!("{count} {waits} for your word to {agent}: claviger approvals")
        };
        counts.iter().map(|(agent, count)| line((agent, count))).collect()
    }
}
