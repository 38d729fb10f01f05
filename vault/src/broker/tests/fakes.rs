//! The world that the broker stands on, made of parts a test can hold, break and look into.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use claviger_canonical::Digest;
use claviger_domain::event::{Detail, Event, Kind};
use claviger_domain::id::Ref;
use tokio::sync::watch;

use crate::port::{
    AuditFault, AuditSink, BoxFuture, Change, Clock, Commit, Entropy, Item, Revision, Room, Store,
    StoreFault, Transaction, Write,
};

/// A clock that moves when it is told to.
pub(super) struct FakeClock {
    wall: AtomicU64,
    mono: watch::Sender<u64>,
}

impl FakeClock {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { wall: AtomicU64::new(1_800_000_000_000), mono: watch::Sender::new(5_000_000_000) })
    }

    /// Both clocks go on.
    pub(super) fn advance(&self, ms: u64) {
        self.wall.fetch_add(ms, Ordering::SeqCst);
        self.mono.send_modify(|us| *us += ms * 1000);
    }

    /// The wall clock is set.
    pub(super) fn step(&self, ms: i64) {
        self.wall.store(self.wall_ms().saturating_add_signed(ms), Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn wall_ms(&self) -> u64 {
        self.wall.load(Ordering::SeqCst)
    }

    fn mono_us(&self) -> u64 {
        *self.mono.borrow()
    }

    fn sleep_ms(&self, ms: u64) -> BoxFuture<'static, ()> {
        let mut mono = self.mono.subscribe();
        let end = *mono.borrow() + ms * 1000;
        Box::pin(async move {
            let _ = mono.wait_for(|now| *now >= end).await;
        })
    }
}

/// Bytes that look random and are the same in every run.
pub(super) struct Seeded(AtomicU64);

impl Seeded {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(seed << 32)))
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block = Digest::of(&self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes());
            chunk.copy_from_slice(&block.as_bytes()[..chunk.len()]);
        }
    }
}

/// What a commit that touches a key shall come to.
struct Fault {
    prefix: String,
    commit: Commit,
    happens: bool,
}

/// Records in memory, with the port's rules.
#[derive(Default)]
pub(super) struct MemStore {
    inner: Mutex<Records>,
    faults: Mutex<Vec<Fault>>,
    down: AtomicBool,
    /// How many reads are still to fail.
    blinks: AtomicU64,
    /// Called with the keys of each commit, before it is done.
    pub(super) hook: Mutex<Option<Hook<Vec<String>>>>,
}

#[derive(Default, Clone)]
struct Records {
    items: BTreeMap<String, Item>,
    revision: u64,
    done: HashMap<[u8; 16], Revision>,
}

pub(super) type Hook<T> = Box<dyn FnMut(&T) + Send>;

impl MemStore {
    /// The next commit that touches such a key ends like this; `happens` says whether it is done all the same.
    pub(super) fn fail(&self, prefix: &str, commit: Commit, happens: bool) {
        self.faults.lock().unwrap().push(Fault { prefix: prefix.to_owned(), commit, happens });
    }

    /// Reads fail too.
    pub(super) fn down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// The next read fails, and no other.
    pub(super) fn blink(&self) {
        self.blinks.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.inner.lock().unwrap().items.keys().cloned().collect()
    }

    pub(super) fn item(&self, key: &str) -> Option<Item> {
        self.inner.lock().unwrap().items.get(key).cloned()
    }

    /// What somebody with the disk in their hands can do.
    pub(super) fn tamper(&self, change: impl FnOnce(&mut BTreeMap<String, Item>)) {
        change(&mut self.inner.lock().unwrap().items);
    }

    /// A copy of the disk, now.
    pub(super) fn copy(&self) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::new(self.inner.lock().unwrap().clone()), ..Self::default() })
    }

    fn apply(&self, transaction: &Transaction) -> Commit {
        let mut records = self.inner.lock().unwrap();
        let version = |key: &str| records.items.get(key).map_or(0, |item| item.version);
        if transaction.preconditions.iter().any(|wanted| version(&wanted.key) != wanted.version) {
            return Commit::Conflict;
        }
        assert!(transaction.writes.len() <= 64 && transaction.preconditions.len() <= 64);
        records.revision += 1;
        let revision = Revision(records.revision);
        for write in &transaction.writes {
            match write {
                Write::Put(key, value) => {
                    let version = records.items.get(key).map_or(0, |item| item.version) + 1;
                    let item = Item { key: key.clone(), version, revision, value: value.clone() };
                    records.items.insert(key.clone(), item);
                }
                Write::Delete(key) => drop(records.items.remove(key)),
            }
        }
        records.done.insert(transaction.id, revision);
        Commit::Committed(revision)
    }

    fn up(&self) -> Result<(), StoreFault> {
        let fewer = |blinks: u64| blinks.checked_sub(1);
        let blinked = self.blinks.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok();
        if blinked || self.down.load(Ordering::SeqCst) {
            Err(StoreFault::Unavailable("down".to_owned()))
        } else {
            Ok(())
        }
    }
}

impl Store for MemStore {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Item>, StoreFault>> {
        Box::pin(async move { self.up().map(|()| self.item(key)) })
    }

    fn scan<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<(Revision, Vec<Item>), StoreFault>> {
        Box::pin(async move {
            self.up()?;
            let records = self.inner.lock().unwrap();
            let items = records.items.values().filter(|item| item.key.starts_with(prefix)).cloned().collect();
            Ok((Revision(records.revision), items))
        })
    }

    fn page<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<String>,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<Item>, StoreFault>> {
        Box::pin(async move {
            let (_, items) = self.scan(prefix).await?;
            // Small pages, so that every test that loads turns some.
            let later = items.into_iter().filter(|item| after.as_ref().is_none_or(|after| item.key > *after));
            Ok(later.take(most.min(2)).collect())
        })
    }

    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Commit> {
        Box::pin(async move {
            let keys: Vec<String> = transaction
                .writes
                .iter()
                .map(|write| match write {
                    Write::Put(key, _) | Write::Delete(key) => key.clone(),
                })
                .collect();
            // A real store's answer comes from another thread.
            tokio::task::yield_now().await;
            if let Some(hook) = &mut *self.hook.lock().unwrap() {
                hook(&keys);
            }
            let fault = {
                let mut faults = self.faults.lock().unwrap();
                let hit = |fault: &Fault| keys.iter().any(|key| key.starts_with(&fault.prefix));
                faults.iter().position(hit).map(|at| faults.remove(at))
            };
            let Some(fault) = fault else { return self.apply(&transaction) };
            if fault.happens {
                self.apply(&transaction);
            }
            fault.commit
        })
    }

    fn happened(&self, id: [u8; 16]) -> BoxFuture<'_, Result<Option<Revision>, StoreFault>> {
        Box::pin(async move { self.up().map(|()| self.inner.lock().unwrap().done.get(&id).copied()) })
    }

    fn watch(&self, _: Revision) -> BoxFuture<'_, Result<Vec<Change>, StoreFault>> {
        Box::pin(async { Err(StoreFault::Compacted) })
    }
}

/// Which door of the log an event came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Door {
    Record,
    Queued,
    Intent,
    Outcome,
    OutcomeQueued,
    Reserve,
    Refusal,
}

/// An audit log that remembers, and breaks where it is told to.
#[derive(Default)]
pub(super) struct FakeAudit {
    pub(super) records: Mutex<Vec<(Door, Event, Detail)>>,
    broken: Mutex<HashMap<Door, AuditFault>>,
    trouble: Mutex<Option<AuditFault>>,
    /// Called with each intent once it is durable, before the broker goes on.
    pub(super) on_intent: Mutex<Option<Hook<Event>>>,
    /// Closed: whatever must be durable waits.
    blocked: watch::Sender<bool>,
}

impl FakeAudit {
    pub(super) fn break_door(&self, door: Door) {
        self.broken.lock().unwrap().insert(door, AuditFault::Broken);
    }

    pub(super) fn close_door(&self, door: Door) {
        self.broken.lock().unwrap().insert(door, AuditFault::Closed);
    }

    /// The writer stands still, or goes on.
    pub(super) fn block(&self, blocked: bool) {
        self.blocked.send_replace(blocked);
    }

    async fn written(&self) {
        tokio::task::yield_now().await;
        let mut blocked = self.blocked.subscribe();
        let _ = blocked.wait_for(|blocked| !*blocked).await;
    }

    pub(super) fn mend(&self) {
        self.broken.lock().unwrap().clear();
        *self.trouble.lock().unwrap() = None;
    }

    pub(super) fn in_trouble(&self) {
        *self.trouble.lock().unwrap() = Some(AuditFault::Full);
    }

    pub(super) fn events(&self, kind: Kind) -> Vec<(Door, Event, Detail)> {
        let records = self.records.lock().unwrap();
        records.iter().filter(|(_, event, _)| event.kind == kind).cloned().collect()
    }

    pub(super) fn count(&self, kind: Kind) -> usize {
        self.events(kind).len()
    }

    fn take(&self, door: Door, event: Event, detail: Detail) -> Result<(), AuditFault> {
        if let Some(fault) = self.broken.lock().unwrap().get(&door) {
            return Err(fault.clone());
        }
        self.records.lock().unwrap().push((door, event, detail));
        Ok(())
    }
}

impl AuditSink for FakeAudit {
    fn record(&self, event: Event, detail: Detail) -> BoxFuture<'_, Result<(), AuditFault>> {
        Box::pin(async move {
            self.written().await;
            self.take(Door::Record, event, detail)
        })
    }

    fn record_queued(&self, event: Event, detail: Detail) -> Result<(), AuditFault> {
        self.take(Door::Queued, event, detail)
    }

    fn intent(&self, event: Event, detail: Detail) -> BoxFuture<'_, Result<Room, AuditFault>> {
        Box::pin(async move {
            self.written().await;
            self.take(Door::Intent, event.clone(), detail)?;
            if let Some(hook) = &mut *self.on_intent.lock().unwrap() {
                hook(&event);
            }
            Ok(Room::new(Box::new(|| {})))
        })
    }

    fn outcome(&self, room: Room, event: Event, detail: Detail) -> BoxFuture<'_, Result<(), AuditFault>> {
        Box::pin(async move {
            self.written().await;
            let _room = room;
            self.take(Door::Outcome, event, detail)
        })
    }

    fn outcome_queued(&self, room: Room, event: Event, detail: Detail) -> Result<(), AuditFault> {
        let _room = room;
        self.take(Door::OutcomeQueued, event, detail)
    }

    fn record_from_reserve(&self, event: Event, detail: Detail) -> BoxFuture<'_, Result<(), AuditFault>> {
        Box::pin(async move {
            self.written().await;
            self.take(Door::Reserve, event, detail)
        })
    }

    fn refusal(&self, event: Event, detail: Detail) -> bool {
        self.take(Door::Refusal, event, detail).is_ok()
    }

    fn query(
        &self,
        filter: Box<dyn Fn(&Event) -> bool + Send>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(Event, Detail)>, AuditFault>> {
        Box::pin(async move {
            let records = self.records.lock().unwrap();
            let found = records.iter().rev().filter(|(_, event, _)| filter(event)).take(limit);
            Ok(found.map(|(_, event, detail)| (event.clone(), detail.clone())).collect())
        })
    }

    fn find(&self, reference: Ref) -> BoxFuture<'_, Result<Option<(Event, Detail)>, AuditFault>> {
        Box::pin(async move {
            let records = self.records.lock().unwrap();
            let found = records.iter().find(|(_, event, _)| event.reference == reference);
            Ok(found.map(|(_, event, detail)| (event.clone(), detail.clone())))
        })
    }

    fn trouble(&self) -> Option<AuditFault> {
        self.trouble.lock().unwrap().clone()
    }
}
