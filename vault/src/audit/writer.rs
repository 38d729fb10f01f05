//! The one thread that writes.
//!
//! It takes whatever waits, writes it with one write, makes it durable with one sync, and wakes who waits. While one
//! group is being synced the next gathers. Only where nobody waits for a group does it gather for a moment longer, so that
//! no intent waits for the sync of the mint before it.
//!
//! Room: the current segment is allocated ahead, and after every group
//! `free ≥ rooms × ROOM + RESERVE` holds, less what was drawn from the reserve. So whoever holds a [`crate::port::Room`]
//! has blocks on the disk for the outcome, and a revocation can be recorded when nothing else can.
//!
//! A write or sync that failed leaves a file of which nobody knows what is on the disk. It is closed at its last
//! durable length, and what was not yet acknowledged is written to a new segment.

mod room;
mod sign;

use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use super::checkpoint::Signer;
use super::disk::{Disk, DiskFile, write_all};
use super::queue::{Class, Item, Job, Reply, Shared, locked};
use super::record::Record;
use super::segment::{HEADER, Previous, frame};
use super::sidecar::Sidecar;
use super::tree::Frontier;
use crate::port::{AuditFault, Clock};

/// What is kept for revoking, freezing and sealing when the log is full, in bytes.
pub const RESERVE: u64 = 64 << 10;
/// After how many records a checkpoint is signed without being asked for.
pub const CHECKPOINT_EVERY: u64 = 1024;
/// The most bytes in one group.
const MAX_GROUP: u64 = 1 << 20;

/// A segment that is no longer written.
#[derive(Debug, Clone)]
pub(super) struct Closed {
    pub(super) first: u64,
    /// Its durable length.
    pub(super) len: u64,
    pub(super) abandoned: bool,
    /// What its own header says of the one before.
    pub(super) previous: Option<Previous>,
}

impl Closed {
    fn holds_nothing(&self) -> bool {
        self.len <= HEADER as u64
    }
}

struct Current {
    file: Box<dyn DiskFile>,
    first: u64,
    previous: Option<Previous>,
    /// Durable bytes.
    used: u64,
    /// Allocated bytes.
    cap: u64,
    /// Whether its name is durable.
    named: bool,
}

/// How much the log may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_bytes: u64,
    pub(super) segment_bytes: u64,
    pub(super) retention_ms: u64,
}

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) dir: PathBuf,
    pub(super) limits: Limits,
    pub(super) sidecar: Sidecar,
    /// Over all records, also those in `carry`.
    pub(super) tree: Frontier,
    /// The records of the last group of an earlier run, and the tree before them: nothing says that they were synced,
    /// so they go to the next segment as well.
    pub(super) carry: Vec<Vec<u8>>,
    pub(super) carry_base: Frontier,
    /// Bytes in closed segments.
    pub(super) closed_bytes: u64,
    /// The segment before the next one, while there is no current one.
    pub(super) last: Option<Closed>,
    current: Option<Current>,
    signer: Option<Box<Signer>>,
    store_revision: Option<u64>,
    unsigned: u64,
    /// Outcomes that nobody waits for and that could not be written yet; their rooms bound them.
    retained: Vec<Job>,
    _lock: File,
}

/// What a writer starts from.
pub(super) struct Start {
    pub(super) shared: Arc<Shared>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) dir: PathBuf,
    pub(super) limits: Limits,
    pub(super) sidecar: Sidecar,
    pub(super) tree: Frontier,
    pub(super) carry: Vec<Vec<u8>>,
    pub(super) carry_base: Frontier,
    pub(super) closed_bytes: u64,
    pub(super) last: Option<Closed>,
    pub(super) store_revision: Option<u64>,
    pub(super) lock: File,
}

impl Writer {
    pub(super) fn new(start: Start) -> Self {
        let Start {
            shared,
            disk,
            clock,
            dir,
            limits,
            sidecar,
            tree,
            carry,
            carry_base,
            closed_bytes,
            last,
            store_revision,
            lock,
        } = start;
        let mut writer = Self {
            shared,
            disk,
            clock,
            dir,
            limits,
            sidecar,
            tree,
            carry,
            carry_base,
            closed_bytes,
            last,
            current: None,
            signer: None,
            store_revision,
            unsigned: 0,
            retained: Vec::new(),
            _lock: lock,
        };
        // Without a segment the log still opens: it says what the trouble is, and tries again at every record.
        if writer.make_room(Class::Normal, 0).is_err() {
            // With less than the whole reserve if need be: a full disk must not cost the record of a revocation.
            let _ = writer.make_room(Class::Reserve, 0);
        }
        writer
    }

    /// Works until the log is closed and nothing waits.
    pub(super) fn run(mut self) {
        struct Gone(Arc<Shared>);
        impl Drop for Gone {
            fn drop(&mut self) {
                self.0.abandon();
            }
        }
        let _gone = Gone(Arc::clone(&self.shared));
        while let Some(items) = self.shared.drain() {
            self.batch(items);
            if self.unsigned >= CHECKPOINT_EVERY && self.signer.is_some() {
                self.unsigned = 0;
                if let Err(fault) = self.checkpoint() {
                    tracing::warn!(%fault, "no checkpoint of the audit log");
                }
            }
        }
        // A last try for outcomes that could not be written before.
        self.batch(VecDeque::new());
        if self.signer.is_some()
            && let Err(fault) = self.checkpoint()
        {
            tracing::warn!(%fault, "no last checkpoint of the audit log");
        }
        self.sync_details();
    }

    fn batch(&mut self, items: VecDeque<Item>) {
        let mut group = Vec::new();
        let mut bytes = 0;
        let retained = std::mem::take(&mut self.retained);
        let retained = retained.into_iter().map(|job| Item::Record(Box::new(job)));
        // Once there was no room, asking the disk again for each record of the same batch is no use.
        let mut refused = None;
        for item in retained.chain(items) {
            match item {
                Item::Record(job) => self.admit(*job, &mut group, &mut bytes, &mut refused),
                Item::Control(control) => {
                    self.commit(std::mem::take(&mut group));
                    bytes = 0;
                    self.control(control);
                }
            }
        }
        self.commit(group);
    }

    fn admit(&mut self, job: Job, group: &mut Vec<Job>, bytes: &mut u64, refused: &mut Option<AuditFault>) {
        if *bytes + job.framed() > MAX_GROUP {
            self.commit(std::mem::take(group));
            *bytes = 0;
        }
        if !self.fits(job.class, *bytes + job.framed()) {
            self.commit(std::mem::take(group));
            *bytes = 0;
            let last_resort = matches!(job.class, Class::Outcome | Class::Reserve);
            let fits = self.fits(job.class, job.framed());
            let made = match refused {
                _ if fits => Ok(()),
                Some(fault) if !last_resort => Err(fault.clone()),
                _ => self.make_room(job.class, job.framed()),
            };
            if let Err(fault) = made {
                *refused = Some(fault.clone());
                self.fail(job, &fault);
                return;
            }
        }
        *bytes += job.framed();
        let mut job = job;
        if job.class == Class::Intent {
            job.room = Some(self.shared.reserve_room());
        }
        group.push(job);
    }

    /// Writes and syncs a group, and tells who waits.
    fn commit(&mut self, group: Vec<Job>) {
        if group.is_empty() {
            return;
        }
        match self.write(&group) {
            Ok(()) => self.finish(group),
            Err(fault) => {
                tracing::error!(%fault, "the audit log could not be written");
                self.shared.set_trouble(Some(fault.clone()));
                for job in group {
                    self.fail(job, &fault);
                }
            }
        }
    }

    fn write(&mut self, group: &[Job]) -> Result<(), AuditFault> {
        self.name_current()?;
        // `admit` found or made a segment; it is gone only if an earlier group of this batch broke it.
        let Some(current) = &mut self.current else {
            return self.start_segment(group, self.kept(Class::Reserve));
        };
        let mut tree = self.tree.clone();
        let mut bytes = Vec::new();
        let start = u32::try_from(current.used).map_err(|_| AuditFault::Broken)?;
        for job in group {
            let leaf = frame(&mut bytes, tree.size(), start, &job.payload);
            tree.append(leaf);
        }
        let written =
            write_all(current.file.as_mut(), current.used, &bytes).and_then(|()| current.file.sync());
        match written {
            Ok(()) => {
                current.used += bytes.len() as u64;
                self.tree = tree;
                Ok(())
            }
            Err(fault) => {
                tracing::error!(%fault, "a segment of the audit log is given up");
                if let Some(bad) = self.current.take() {
                    self.closed_bytes += bad.used;
                    self.last = Some(Closed {
                        first: bad.first,
                        len: bad.used,
                        abandoned: true,
                        previous: bad.previous,
                    });
                }
                self.start_segment(group, self.kept(Class::Reserve))
            }
        }
    }

    /// What happens once a group is durable.
    fn finish(&mut self, group: Vec<Job>) {
        let mut index = self.tree.size() - group.len() as u64;
        self.unsigned += group.len() as u64;
        self.write_details(&group);
        for job in group {
            let record = Record { event: job.event, detail: job.commitment };
            if matches!(job.class, Class::Normal | Class::Intent) {
                self.shared.set_trouble(None);
            }
            self.shared.remember(index, record);
            index += 1;
            self.shared.set_size(index);
            match (job.reply, job.room) {
                (Reply::Done(reply), room) => {
                    drop(room);
                    // Whoever asked may be gone; the record stands.
                    let _ = reply.send(Ok(()));
                }
                (Reply::Room(reply), Some(room)) => {
                    let _ = reply.send(Ok(room));
                }
                (Reply::Room(_) | Reply::None, _) => {}
            }
        }
    }

    fn fail(&mut self, job: Job, fault: &AuditFault) {
        match (job.class, job.reply) {
            (Class::Outcome, Reply::None) => self.retained.push(Job { reply: Reply::None, ..job }),
            (Class::Refusal, _) => {
                locked(&self.shared.refusals).count(&job.event, self.clock.mono_us() / 1000);
            }
            (_, Reply::Done(reply)) => {
                drop(job.room);
                let _ = reply.send(Err(fault.clone()));
            }
            (_, Reply::Room(reply)) => {
                drop(job.room);
                let _ = reply.send(Err(fault.clone()));
            }
            (_, Reply::None) => {}
        }
    }
}
