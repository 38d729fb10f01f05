//! What waits for the writer, and what everybody may know of the log without asking it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use claviger_domain::event::Event;
use tokio::sync::oneshot;

use super::checkpoint::{Checkpoint, Signer};
use super::record::{MAX_RECORD, Record};
use super::refusals::Refusals;
use super::segment::FRAME;
use super::tree::Hash;
use crate::port::{AuditFault, Room};

/// How many of the newest records are kept in memory for queries.
pub(super) const RECENT: usize = 10_000;
/// How long a record that nobody waits for may stay in memory for others to join it. A call's mint is followed by its
/// intent within that time, and a read's outcome often by the next call: written one by one, each would make the next
/// wait for a sync that nobody needs. What a crash can lose grows by no more than this.
const LINGER: Duration = Duration::from_millis(2);
/// How often the writer looks again, that long apart, before it sleeps until it is woken: under load nobody who queues a
/// record pays for waking it, and an idle vault does nothing.
const LOOKS: u32 = 16;
/// How many records may wait that draw on the reserve, beyond the bound of the queue.
const RESERVE_QUEUE: usize = 64;

/// How a record may use the room of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Leaves the reserve and all reserved rooms alone.
    Normal,
    /// The same, and reserves room for an outcome.
    Intent,
    /// Uses the room that its intent reserved.
    Outcome,
    /// May use the reserve.
    Reserve,
    /// Like a normal one; nobody waits, and a failure is counted.
    Refusal,
}

/// Who is told that the record is durable.
pub(super) enum Reply {
    /// Nobody.
    None,
    /// Somebody.
    Done(oneshot::Sender<Result<(), AuditFault>>),
    /// Somebody who also gets the room.
    Room(oneshot::Sender<Result<Room, AuditFault>>),
}

/// A record on its way.
pub(super) struct Job {
    pub(super) class: Class,
    pub(super) event: Event,
    pub(super) commitment: Option<Hash>,
    pub(super) payload: Vec<u8>,
    pub(super) sealed: Option<Vec<u8>>,
    /// Held until the record is durable, and released with the job.
    pub(super) room: Option<Room>,
    pub(super) reply: Reply,
}

impl Job {
    /// How many bytes it takes in a segment.
    pub(super) fn framed(&self) -> u64 {
        (FRAME + self.payload.len()) as u64
    }
}

/// Why no checkpoint could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointFault {
    /// The vault is sealed: there is no key to sign with.
    #[error("the vault is sealed: there is no key to sign a checkpoint with")]
    Sealed,
    /// The log was signed with another key: it belongs to another vault, or the root key is another.
    #[error("the audit log belongs to another key")]
    OtherKey,
    /// The log has a fault of its own.
    #[error(transparent)]
    Log(#[from] AuditFault),
}

/// Something else than a record.
pub(super) enum Control {
    /// Takes the signing key and signs.
    Unsealed(Box<Signer>, oneshot::Sender<Result<(), CheckpointFault>>),
    /// Signs, with a revision of the store.
    Checkpoint(Option<u64>, oneshot::Sender<Result<String, CheckpointFault>>),
    /// Signs and forgets the key.
    Sealing(oneshot::Sender<Result<(), CheckpointFault>>),
    /// Erases old details; says how many days.
    Sweep(u64, oneshot::Sender<Result<usize, AuditFault>>),
    /// Answers once everything before it is durable, or has failed.
    Settle(oneshot::Sender<()>),
    /// Looks whether there is room again.
    Probe,
}

pub(super) enum Item {
    Record(Box<Job>),
    Control(Control),
}

#[derive(Default)]
struct Waiting {
    items: VecDeque<Item>,
    /// How many of them are bounded by the queue's length.
    bounded: usize,
    reserve: usize,
    /// Whether somebody waits for one of them, or so many wait that they should go.
    due: bool,
    /// The writer looks no more by itself.
    asleep: bool,
    probing: bool,
    closed: bool,
}

/// What the log and its writer share.
pub(super) struct Shared {
    waiting: Mutex<Waiting>,
    bell: Condvar,
    bound: usize,
    linger: Duration,
    rooms: Arc<AtomicU64>,
    size: AtomicU64,
    trouble: Mutex<Option<AuditFault>>,
    recent: Mutex<VecDeque<(u64, Record)>>,
    last: Mutex<Option<Checkpoint>>,
    pub(super) refusals: Mutex<Refusals>,
}

/// The data stay usable if a thread panicked: nothing under these locks is left half changed.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(bound: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            bell: Condvar::new(),
            bound: bound.max(1),
            linger: LINGER,
            rooms: Arc::default(),
            size: AtomicU64::new(0),
            trouble: Mutex::default(),
            recent: Mutex::default(),
            last: Mutex::default(),
            refusals: Mutex::default(),
        }
    }

    /// Queues a record, unless too many wait already. Outcomes are always taken: their rooms bound them.
    pub(super) fn push(&self, job: Job) -> Result<(), AuditFault> {
        let mut waiting = locked(&self.waiting);
        if waiting.closed {
            return Err(AuditFault::Closed);
        }
        match job.class {
            Class::Outcome => {}
            Class::Reserve if waiting.reserve >= RESERVE_QUEUE => return Err(AuditFault::Busy),
            Class::Reserve => waiting.reserve += 1,
            _ if waiting.bounded >= self.bound => return Err(AuditFault::Busy),
            _ => waiting.bounded += 1,
        }
        waiting.due |= !matches!(job.reply, Reply::None) || waiting.bounded > self.bound / 2;
        // A writer that is awake finds it when it looks again.
        let wake = waiting.due || waiting.asleep;
        waiting.items.push_back(Item::Record(Box::new(job)));
        drop(waiting);
        if wake {
            self.bell.notify_one();
        }
        Ok(())
    }

    pub(super) fn control(&self, control: Control) -> Result<(), AuditFault> {
        let mut waiting = locked(&self.waiting);
        if waiting.closed {
            return Err(AuditFault::Closed);
        }
        if matches!(control, Control::Probe) && std::mem::replace(&mut waiting.probing, true) {
            return Ok(());
        }
        waiting.items.push_back(Item::Control(control));
        waiting.due = true;
        drop(waiting);
        self.bell.notify_one();
        Ok(())
    }

    /// Waits for something and takes all of it; `None` once closed and empty. What nobody waits for is left to gather
    /// for a moment.
    pub(super) fn drain(&self) -> Option<VecDeque<Item>> {
        let mut waiting = locked(&self.waiting);
        let mut looked = 0;
        loop {
            if waiting.items.is_empty() && !waiting.closed && looked >= LOOKS {
                waiting.asleep = true;
                let idle = |waiting: &mut Waiting| waiting.items.is_empty() && !waiting.closed;
                waiting = self.bell.wait_while(waiting, idle).unwrap_or_else(PoisonError::into_inner);
                waiting.asleep = false;
            }
            let gathering = |waiting: &mut Waiting| !waiting.due && !waiting.closed;
            waiting = match self.bell.wait_timeout_while(waiting, self.linger, gathering) {
                Ok((waiting, _)) => waiting,
                Err(poisoned) => poisoned.into_inner().0,
            };
            if !waiting.items.is_empty() {
                break;
            }
            if waiting.closed {
                return None;
            }
            looked += 1;
        }
        waiting.bounded = 0;
        waiting.reserve = 0;
        waiting.due = false;
        waiting.probing = false;
        Some(std::mem::take(&mut waiting.items))
    }

    /// No more is taken; what waits is still written.
    pub(super) fn close(&self) {
        locked(&self.waiting).closed = true;
        self.bell.notify_all();
    }

    /// The writer is gone: who still waits is told by its dropped reply.
    pub(super) fn abandon(&self) {
        let mut waiting = locked(&self.waiting);
        waiting.closed = true;
        waiting.items.clear();
    }

    /// How many rooms are reserved now.
    pub(super) fn rooms(&self) -> u64 {
        self.rooms.load(Ordering::Acquire)
    }

    /// Reserves one more; released when the room is dropped.
    pub(super) fn reserve_room(&self) -> Room {
        self.rooms.fetch_add(1, Ordering::AcqRel);
        let rooms = Arc::clone(&self.rooms);
        Room::new(Box::new(move || {
            rooms.fetch_sub(1, Ordering::AcqRel);
        }))
    }

    pub(super) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    pub(super) fn set_size(&self, size: u64) {
        self.size.store(size, Ordering::Release);
    }

    pub(super) fn trouble(&self) -> Option<AuditFault> {
        locked(&self.trouble).clone()
    }

    pub(super) fn set_trouble(&self, trouble: Option<AuditFault>) {
        *locked(&self.trouble) = trouble;
    }

    pub(super) fn last_checkpoint(&self) -> Option<Checkpoint> {
        locked(&self.last).clone()
    }

    pub(super) fn set_last_checkpoint(&self, checkpoint: Option<Checkpoint>) {
        *locked(&self.last) = checkpoint;
    }

    /// Keeps a record in memory for queries, and forgets the oldest.
    pub(super) fn remember(&self, index: u64, record: Record) {
        let mut recent = locked(&self.recent);
        if recent.len() >= RECENT {
            recent.pop_front();
        }
        recent.push_back((index, record));
    }

    /// The newest records in memory that the filter accepts, newest first, at most `limit`; and the index below which
    /// memory knows nothing.
    pub(super) fn recall(&self, filter: &dyn Fn(&Event) -> bool, limit: usize) -> (Vec<Record>, u64) {
        let recent = locked(&self.recent);
        let known_from = recent.front().map_or_else(|| self.size(), |(index, _)| *index);
        let found = recent.iter().rev().map(|(_, record)| record).filter(|record| filter(&record.event));
        (found.take(limit).cloned().collect(), known_from)
    }
}

/// The room that one outcome may take, in bytes.
pub(super) const ROOM: u64 = (FRAME + MAX_RECORD) as u64;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use claviger_domain::event::{Actor, Kind};
    use claviger_domain::id::{BootId, Ref};

    use super::*;

    fn job(reply: Reply) -> Job {
        let event =
            Event::new(Kind::Minted, Ref::from_bytes([1; 8]), 0, BootId::from_bytes([1; 16]), Actor::Vault);
        Job {
            class: Class::Normal,
            event,
            commitment: None,
            payload: Vec::new(),
            sealed: None,
            room: None,
            reply,
        }
    }

    fn awaited() -> Job {
        // Whoever waits is gone: it is queued all the same.
        job(Reply::Done(oneshot::channel().0))
    }

    /// Where things gather for so long that a test which waited for it would never end.
    fn patient(bound: usize) -> Arc<Shared> {
        Arc::new(Shared { linger: Duration::from_secs(86_400), ..Shared::new(bound) })
    }

    fn due(shared: &Shared) -> bool {
        locked(&shared.waiting).due
    }

    #[test]
    fn what_nobody_waits_for_goes_with_what_somebody_waits_for() {
        let shared = patient(100);
        shared.push(job(Reply::None)).unwrap();
        shared.push(job(Reply::None)).unwrap();
        assert!(!due(&shared));
        let writer = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.drain().unwrap().len()
        });
        shared.push(awaited()).unwrap();
        assert_eq!(writer.join().unwrap(), 3);
        assert!(!due(&shared), "taken, and forgotten");
    }

    #[test]
    fn a_writer_that_sleeps_is_woken_and_one_that_looks_is_not() {
        let shared = Arc::new(Shared { linger: Duration::from_micros(10), ..Shared::new(100) });
        let writer = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || std::iter::from_fn(|| shared.drain()).map(|items| items.len()).sum::<usize>()
        });
        // Now while it looks, now when it sleeps: each is taken, and it sleeps again.
        for round in 0..1000 {
            while round % 3 == 0 && !locked(&shared.waiting).asleep {
                std::thread::yield_now();
            }
            shared.push(job(Reply::None)).unwrap();
            if round % 7 == 0 {
                shared.push(awaited()).unwrap();
            }
            while !locked(&shared.waiting).items.is_empty() {
                std::thread::yield_now();
            }
        }
        shared.close();
        assert_eq!(writer.join().unwrap(), 1000 + 1000_usize.div_ceil(7));
    }

    #[test]
    fn it_goes_alone_when_nothing_joins_it_and_at_once_when_the_log_closes() {
        let shared = Shared { linger: Duration::ZERO, ..Shared::new(100) };
        shared.push(job(Reply::None)).unwrap();
        assert_eq!(shared.drain().unwrap().len(), 1);
        let shared = patient(100);
        shared.push(job(Reply::None)).unwrap();
        shared.close();
        assert_eq!(shared.drain().unwrap().len(), 1);
        assert!(shared.drain().is_none());
    }

    #[test]
    fn a_queue_that_fills_does_not_linger() {
        let shared = patient(4);
        for _ in 0..2 {
            shared.push(job(Reply::None)).unwrap();
            assert!(!due(&shared));
        }
        shared.push(job(Reply::None)).unwrap();
        assert_eq!(shared.drain().unwrap().len(), 3);
        shared.control(Control::Probe).unwrap();
        assert_eq!(shared.drain().unwrap().len(), 1);
    }
}
