//! The one thread that writes.
//!
//! It takes whatever waits, writes it with one write, makes it durable with one sync, and wakes who waits. While one
//! group is being synced the next gathers, so there is no timer.
//!
//! Room: the current segment is allocated ahead, and after every group
//! `free ≥ rooms × ROOM + RESERVE` holds, less what was drawn from the reserve. So whoever holds a [`crate::port::Room`]
//! has blocks on the disk for the outcome, and a revocation can be recorded when nothing else can.
//!
//! A write or sync that failed leaves a file of which nobody knows what is on the disk. It is closed at its last
//! durable length, and what was not yet acknowledged is written to a new segment.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::{Checkpoint, Signer};
use super::disk::{Disk, DiskFile, is_full, replace, write_all};
use super::queue::{CheckpointFault, Class, Control, Item, Job, ROOM, Reply, Shared, locked};
use super::record::Record;
use super::segment::{FRAME, HEADER, Header, Previous, file_name, frame};
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
            if self.unsigned >= CHECKPOINT_EVERY && self.signer.is_some() {
                self.unsigned = 0;
                if let Err(fault) = self.checkpoint() {
                    tracing::warn!(%fault, "no checkpoint of the audit log");
                }
            }
        }
        if self.signer.is_some()
            && let Err(fault) = self.checkpoint()
        {
            tracing::warn!(%fault, "no last checkpoint of the audit log");
        }
        self.sync_details();
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

    /// What must stay free behind a record of that class, in bytes.
    fn kept(&self, class: Class) -> u64 {
        let rooms = self.shared.rooms() * ROOM;
        match class {
            Class::Normal | Class::Refusal => rooms + RESERVE,
            Class::Intent => rooms + ROOM + RESERVE,
            Class::Reserve => rooms,
            Class::Outcome => 0,
        }
    }

    fn fits(&self, class: Class, bytes: u64) -> bool {
        self.current
            .as_ref()
            .is_some_and(|current| current.cap.saturating_sub(current.used) >= bytes + self.kept(class))
    }

    /// A new segment in which that many bytes fit, for a record of that class.
    fn make_room(&mut self, class: Class, bytes: u64) -> Result<(), AuditFault> {
        let kept = self.kept(class).max(self.shared.rooms() * ROOM);
        let result = self.start_segment(&[], bytes + kept);
        match &result {
            Ok(()) if matches!(class, Class::Normal | Class::Intent | Class::Refusal) => {
                self.shared.set_trouble(None);
            }
            Ok(()) => {}
            Err(fault) => self.shared.set_trouble(Some(fault.clone())),
        }
        result
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
        if !current.named {
            self.disk.sync_dir(&self.dir.join("segments")).map_err(|_| AuditFault::Broken)?;
            current.named = true;
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

    /// Begins a segment that holds the carried records and these, with at least `free` bytes behind them. It gets its
    /// name only when all of that is durable; until then the current segment stays what it is.
    fn start_segment(&mut self, group: &[Job], free: u64) -> Result<(), AuditFault> {
        let before = match &self.current {
            Some(current) => Some(Closed {
                first: current.first,
                len: current.used,
                abandoned: false,
                previous: current.previous,
            }),
            None => self.last.clone(),
        };
        let base = if self.carry.is_empty() { &self.tree } else { &self.carry_base };
        // A segment in which nothing is durable is replaced, name and all: the new one has the same first index.
        let previous = match &before {
            Some(closed) if closed.holds_nothing() => closed.previous,
            Some(closed) => {
                Some(Previous { first: closed.first, len: closed.len, abandoned: closed.abandoned })
            }
            None => None,
        };
        let header = Header { first: base.size(), previous, root: base.root() };
        let mut bytes = header.encode().to_vec();
        let mut tree = base.clone();
        for payload in self.carry.iter().chain(group.iter().map(|job| &job.payload)) {
            let leaf = frame(&mut bytes, tree.size(), HEADER as u32, payload);
            tree.append(leaf);
        }

        let taken = self.closed_bytes + self.current.as_ref().map_or(0, |current| current.used);
        let least = bytes.len() as u64 + free;
        let most = self.limits.segment_bytes.max(least).min(self.limits.max_bytes.saturating_sub(taken));
        if most < least {
            return Err(AuditFault::Full);
        }
        let segments = self.dir.join("segments");
        let path = segments.join(file_name(header.first));
        let mut created = self.create_segment(&segments, &path, &bytes, most, least);
        // Behind the durable length of a segment that is given up there is nothing of worth (but the carried records):
        // its room is used for the new one. The current segment's room stays: it is the reserve.
        if let (Err(fault), None, Some(closed)) = (&created, &self.current, &before)
            && is_full(fault)
        {
            self.shrink(&segments, closed, closed.len + self.carry_len());
            created = self.create_segment(&segments, &path, &bytes, most, least);
        }
        let (file, cap, named) = created.map_err(|fault| {
            tracing::warn!(%fault, "no new segment of the audit log");
            if is_full(&fault) { AuditFault::Full } else { AuditFault::Broken }
        })?;

        self.closed_bytes = match &before {
            Some(closed) if closed.holds_nothing() => taken.saturating_sub(closed.len),
            _ => taken,
        };
        self.tree = tree;
        self.carry = Vec::new();
        self.last = None;
        let used = bytes.len() as u64;
        self.current = Some(Current { file, first: header.first, previous, used, cap, named: named.is_ok() });
        if let Err(fault) = named {
            // The segment is there, and perhaps not after a power cut: nothing is acknowledged until its name is synced.
            tracing::warn!(%fault, "the name of a new segment of the audit log is not durable");
            return Err(AuditFault::Broken);
        }
        if let Some(closed) = &before
            && !closed.holds_nothing()
        {
            self.shrink(&segments, closed, closed.len);
        }
        Ok(())
    }

    /// How many bytes the carried records take behind the durable length of the last segment.
    fn carry_len(&self) -> u64 {
        self.carry.iter().map(|payload| (FRAME + payload.len()) as u64).sum()
    }

    fn create_segment(
        &self,
        segments: &Path,
        path: &Path,
        bytes: &[u8],
        most: u64,
        least: u64,
    ) -> io::Result<(Box<dyn DiskFile>, u64, io::Result<()>)> {
        let new = segments.join("segment.new");
        let attempt = |cap: u64| {
            let mut file = self.disk.create(&new)?;
            file.preallocate(cap)?;
            write_all(file.as_mut(), 0, bytes)?;
            file.sync()?;
            self.disk.rename(&new, path)?;
            Ok((file, cap, self.disk.sync_dir(segments)))
        };
        let mut cap = most;
        loop {
            match attempt(cap) {
                Ok(made) => return Ok(made),
                Err(fault) => {
                    // What is left of it takes room that others need.
                    let _ = self.disk.remove(&new);
                    if !is_full(&fault) || cap == least {
                        return Err(fault);
                    }
                    cap = (cap / 4).max(least);
                }
            }
        }
    }

    /// Gives back what a closed segment has allocated behind that length. Only a saving: readers stop at its end.
    fn shrink(&self, segments: &Path, closed: &Closed, keep: u64) {
        let path = segments.join(file_name(closed.first));
        let cut = self.disk.open(&path).and_then(|mut file| file.truncate(keep));
        if let Err(fault) = cut {
            tracing::warn!(%fault, "a closed segment of the audit log keeps its allocated room");
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

    /// Details are a service to the owner, not part of the promise: a failure costs them and nothing else.
    fn write_details(&mut self, group: &[Job]) {
        const DAY_MS: u64 = 86_400_000;
        let mut details = group
            .iter()
            .filter_map(|job| Some((job.event.at_ms, (job.event.reference, job.sealed.as_deref()?))))
            .peekable();
        while let Some((at_ms, first)) = details.next() {
            let mut same_day = vec![first];
            while let Some((_, next)) = details.next_if(|(at, _)| at / DAY_MS == at_ms / DAY_MS) {
                same_day.push(next);
            }
            if let Err(fault) = self.sidecar.append(at_ms, &same_day) {
                tracing::warn!(%fault, "details of audit events are not kept");
            }
        }
    }

    fn sync_details(&mut self) {
        if let Err(fault) = self.sidecar.sync() {
            tracing::warn!(%fault, "details of audit events may be lost");
        }
    }

    fn control(&mut self, control: Control) {
        // Whoever asked may be gone: the answers are sent for what they are worth.
        match control {
            Control::Unsealed(signer, reply) => {
                let _ = reply.send(self.unseal(signer));
            }
            Control::Checkpoint(revision, reply) => {
                self.store_revision = self.store_revision.max(revision);
                let _ = reply.send(self.checkpoint());
            }
            Control::Sealing(reply) => {
                let signed = self.checkpoint().map(|_| ());
                self.sync_details();
                self.signer = None;
                let _ = reply.send(signed);
            }
            Control::Sweep(now_ms, reply) => {
                let erased = self.sidecar.sweep(now_ms, self.limits.retention_ms);
                let _ = reply.send(erased.map_err(|_| AuditFault::Broken));
            }
            Control::Probe => {
                if self.fits(Class::Intent, ROOM) {
                    self.shared.set_trouble(None);
                } else {
                    let _ = self.make_room(Class::Intent, ROOM);
                }
            }
        }
    }

    fn unseal(&mut self, signer: Box<Signer>) -> Result<(), CheckpointFault> {
        let text = signer.verifier().text() + "\n";
        match std::fs::read_to_string(self.dir.join("audit.pub")) {
            Ok(there) if there == text => {}
            Ok(_) => return Err(CheckpointFault::OtherKey),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                replace(self.disk.as_ref(), &self.dir, "audit.pub", text.as_bytes()).map_err(broken)?;
            }
            Err(fault) => return Err(broken(fault)),
        }
        self.signer = Some(signer);
        self.checkpoint().map(|_| ())
    }

    /// Signs all that is durable, and keeps the note.
    fn checkpoint(&mut self) -> Result<String, CheckpointFault> {
        let signer = self.signer.as_ref().ok_or(CheckpointFault::Sealed)?;
        if !self.carry.is_empty() {
            return Err(self.shared.trouble().unwrap_or(AuditFault::Broken).into());
        }
        let root = self.tree.root();
        let note = signer.sign(self.tree.size(), &root, self.store_revision);
        replace(self.disk.as_ref(), &self.dir, "checkpoint", note.as_bytes()).map_err(broken)?;
        self.shared.set_last_checkpoint(Some(Checkpoint {
            origin: note.lines().next().unwrap_or_default().to_owned(),
            size: self.tree.size(),
            root,
            store_revision: self.store_revision,
        }));
        self.unsigned = 0;
        self.sync_details();
        Ok(note)
    }
}

fn broken(fault: io::Error) -> CheckpointFault {
    tracing::warn!(%fault, "the checkpoint of the audit log could not be written");
    CheckpointFault::Log(if is_full(&fault) { AuditFault::Full } else { AuditFault::Broken })
}
