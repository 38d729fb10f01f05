//! The log as the broker and the daemon use it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use claviger_domain::event::{Detail, Event, Kind};
use claviger_domain::id::{Ref, UseId, VaultId};
use tokio::sync::oneshot;

use super::checkpoint::{Checkpoint, Signer, Verifier};
use super::disk::{Disk, RealDisk, lock, make_dir};
use super::query::query;
use super::queue::{CheckpointFault, Class, Control, Job, Reply, Shared, locked};
use super::record;
use super::scan::{ScanFault, Scanned, Tail, scan};
use super::sidecar::{self, Sidecar};
use super::tree::{Frontier, plain_hash};
use super::verify::VerifyFault;
use super::writer::{Limits, RESERVE, Start, Writer};
use crate::port::{AuditFault, AuditSink, BoxFuture, Clock, Entropy, Purpose, Room, Sealer};

/// How long details are kept unless the owner says otherwise, in milliseconds: 30 days.
pub const RETENTION_MS: u64 = 30 * 86_400_000;
/// How long a question waits for what was recorded just before it, in milliseconds.
const SETTLE_MS: u64 = 1000;
/// The smallest and the largest segment, in bytes.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 2 * RESERVE..=1 << 30;

/// Where the log is and how much it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Its folder; made, for this user only, if it is not there.
    pub dir: PathBuf,
    /// The most bytes that all segments may take, and again the most that all details may take.
    pub max_bytes: u64,
    /// How many bytes a segment is allocated with, 128 KiB to 1 GiB.
    pub segment_bytes: u64,
    /// How long details are kept, in milliseconds; [`RETENTION_MS`] if the owner says nothing.
    pub retention_ms: u64,
    /// How many records may wait for the writer before callers are told `Busy`.
    pub queue: usize,
}

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    /// The options make no sense together.
    #[error("the audit log's sizes cannot work: {0}")]
    Options(&'static str),
    /// Another process writes this log.
    #[error("another process has the audit log open")]
    Locked,
    /// The system says no.
    #[error("the audit log cannot be opened: {0}")]
    Io(#[from] std::io::Error),
    /// The log is not what was written.
    #[error(transparent)]
    Damaged(#[from] VerifyFault),
}

impl From<ScanFault> for OpenFault {
    fn from(fault: ScanFault) -> Self {
        Self::Damaged(fault.into())
    }
}

/// The audit log. Cheap calls from many tasks, one writer thread behind them.
pub struct AuditLog {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    dir: PathBuf,
    sealer: Arc<dyn Sealer>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    pending: Vec<Event>,
}

impl AuditLog {
    /// Opens the log of that folder, or begins it. Reads all of it once (checking every record), cuts a write that a
    /// crash tore, and starts the writer. Blocks; call it where that is allowed.
    ///
    /// # Errors
    /// [`OpenFault`]; damage above all. A disk that is full is no error: then the log serves queries and says
    /// [`AuditFault::Full`].
    pub fn open(
        options: Options,
        sealer: Arc<dyn Sealer>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenFault> {
        Self::open_on(Arc::new(RealDisk), options, sealer, clock, entropy)
    }

    /// The same, writing through that disk.
    ///
    /// # Errors
    /// As [`AuditLog::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        options: Options,
        sealer: Arc<dyn Sealer>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenFault> {
        let Options { dir, max_bytes, segment_bytes, retention_ms, queue } = options;
        if !SEGMENT_BYTES.contains(&segment_bytes) {
            return Err(OpenFault::Options("a segment has 128 KiB to 1 GiB"));
        }
        if max_bytes < segment_bytes {
            return Err(OpenFault::Options("the whole log is smaller than one segment"));
        }
        let segments = dir.join("segments");
        for folder in [&dir, &segments, &dir.join("sidecar")] {
            make_dir(folder)?;
        }
        let lock = lock(&dir.join("lock")).map_err(|fault| match fault.kind() {
            std::io::ErrorKind::WouldBlock => OpenFault::Locked,
            _ => OpenFault::Io(fault),
        })?;
        disk.sync_dir(&dir)?;

        let signed = last_checkpoint(&dir)?;
        let shared = Arc::new(Shared::new(queue));
        let (scanned, pending) = load(&segments, signed.as_ref(), &shared)?;
        shared.set_size(scanned.tree.size());
        let store_revision = signed.as_ref().and_then(|checkpoint| checkpoint.store_revision);
        shared.set_last_checkpoint(signed);
        let writer = Writer::new(Start {
            shared: Arc::clone(&shared),
            sidecar: Sidecar::new(Arc::clone(&disk), dir.join("sidecar"), max_bytes)?,
            disk,
            clock: Arc::clone(&clock),
            dir: dir.clone(),
            limits: Limits { max_bytes, segment_bytes, retention_ms },
            tree: scanned.tree,
            carry: scanned.carry,
            carry_base: scanned.carry_base,
            closed_bytes: scanned.bytes,
            last: scanned.last,
            store_revision,
            lock,
        });
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(|| writer.run())?;
        Ok(Self { shared, writer: Mutex::new(Some(thread)), dir, sealer, clock, entropy, pending })
    }

    /// The intents that had no outcome when the log was opened, oldest first. Each owes an outcome `unknown`.
    #[must_use]
    pub fn pending_intents(&self) -> &[Event] {
        &self.pending
    }

    /// Call once the vault is unsealed: makes the signing key, keeps its public half in `audit.pub`, and signs what was
    /// recorded while there was no key.
    ///
    /// # Errors
    /// [`CheckpointFault::OtherKey`] where `audit.pub` holds another key; else what kept it from signing.
    pub async fn unsealed(&self, vault: VaultId) -> Result<(), CheckpointFault> {
        let seed = self
            .sealer
            .derive(Purpose::Checkpoint, &[b"audit checkpoint key 1", vault.as_bytes()])
            .map_err(|_| CheckpointFault::Sealed)?;
        let signer = Signer::new(vault, &seed).ok_or(CheckpointFault::Sealed)?;
        self.ask(|reply| Control::Unsealed(Box::new(signer), reply)).await?
    }

    /// Signs all that is durable now, with the revision that the store has, keeps the note beside the log and returns
    /// its text. Keep a copy elsewhere: only that shows a cut tail.
    ///
    /// # Errors
    /// [`CheckpointFault`].
    pub async fn checkpoint(&self, store_revision: Option<u64>) -> Result<String, CheckpointFault> {
        self.ask(|reply| Control::Checkpoint(store_revision, reply)).await?
    }

    /// Call when the vault is about to be sealed: records what is still counted, signs, and forgets the key. What is
    /// recorded after that is signed after the next unseal.
    ///
    /// # Errors
    /// [`CheckpointFault`]; the key is forgotten all the same.
    pub async fn sealing(&self) -> Result<(), CheckpointFault> {
        self.flush_refusals(true);
        self.ask(Control::Sealing).await?
    }

    /// Erases the details of days that ended longer ago than the retention, and records the counts of refusals that
    /// have waited a minute. Call it every minute or so. Returns how many days were erased.
    ///
    /// # Errors
    /// [`AuditFault`].
    pub async fn sweep(&self, now_ms: u64) -> Result<usize, AuditFault> {
        self.flush_refusals(false);
        self.ask(|reply| Control::Sweep(now_ms, reply)).await?
    }

    /// How many records the log has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.shared.size()
    }

    /// The last checkpoint that was written, by this run or an earlier one.
    #[must_use]
    pub fn last_checkpoint(&self) -> Option<Checkpoint> {
        self.shared.last_checkpoint()
    }

    /// Writes what waits, signs a last checkpoint if there is a key, and ends the writer. Later calls are refused as
    /// `Closed`.
    pub async fn close(&self) {
        self.flush_refusals(true);
        self.shared.close();
        let thread = locked(&self.writer).take();
        if let Some(thread) = thread {
            // A writer that panicked has told its waiters already.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    async fn ask<T>(&self, control: impl FnOnce(oneshot::Sender<T>) -> Control) -> Result<T, AuditFault> {
        let (reply, answer) = oneshot::channel();
        self.shared.control(control(reply))?;
        answer.await.map_err(|_| AuditFault::Closed)
    }

    fn job(
        &self,
        class: Class,
        event: Event,
        detail: &Detail,
        room: Option<Room>,
        reply: Reply,
    ) -> Result<Job, AuditFault> {
        let sealed = sidecar::seal(self.sealer.as_ref(), event.reference, detail);
        let commitment = sealed.as_deref().map(|sealed| plain_hash(&[sealed]));
        let payload = record::encode(&event, commitment).map_err(|fault| {
            tracing::error!(%fault, kind = event.kind.as_str(), "an event cannot be recorded");
            AuditFault::Full
        })?;
        Ok(Job { class, event, commitment, payload, sealed, room, reply })
    }

    async fn written(
        &self,
        class: Class,
        event: Event,
        detail: Detail,
        room: Option<Room>,
    ) -> Result<(), AuditFault> {
        let (reply, answer) = oneshot::channel();
        let job = self.job(class, event, &detail, room, Reply::Done(reply))?;
        self.shared.push(job)?;
        answer.await.map_err(|_| AuditFault::Closed)?
    }

    /// Waits until what was queued before is durable, or for a second: a disk that hangs must not hide what is known.
    async fn settle(&self) {
        tokio::select! {
            biased;
            _ = self.ask(Control::Settle) => {}
            () = self.clock.sleep_ms(SETTLE_MS) => {}
        }
    }

    fn now_ms(&self) -> u64 {
        self.clock.mono_us() / 1000
    }

    fn flush_refusals(&self, all: bool) {
        let due = locked(&self.shared.refusals).due(self.now_ms(), all);
        for counted in due {
            let mut reference = [0; Ref::BYTES];
            self.entropy.fill(&mut reference);
            let mut event = Event::new(
                Kind::Coalesced,
                Ref::from_bytes(reference),
                self.clock.wall_ms(),
                counted.boot,
                counted.actor.clone(),
            );
            event.count = Some(counted.count);
            let queued = self
                .job(Class::Refusal, event, &Detail::default(), None, Reply::None)
                .and_then(|job| self.shared.push(job));
            if queued.is_err() {
                locked(&self.shared.refusals).put_back(counted, self.now_ms());
            }
        }
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(thread) = locked(&self.writer).take() {
            // What waits is written before the log is gone; a writer that panicked has nothing to say.
            let _ = thread.join();
        }
    }
}

impl AuditSink for AuditLog {
    fn record(&self, event: Event, detail: Detail) -> BoxFuture<'_, Result<(), AuditFault>> {
        Box::pin(self.written(Class::Normal, event, detail, None))
    }

    fn record_queued(&self, event: Event, detail: Detail) -> Result<(), AuditFault> {
        if let Some(fault) = self.trouble() {
            return Err(fault);
        }
        let job = self.job(Class::Normal, event, &detail, None, Reply::None)?;
        self.shared.push(job)
    }

    fn intent(&self, event: Event, detail: Detail) -> BoxFuture<'_, Result<Room, AuditFault>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let job = self.job(Class::Intent, event, &detail, None, Reply::Room(reply))?;
            self.shared.push(job)?;
            answer.await.map_err(|_| AuditFault::Closed)?
        })
    }

    fn outcome(&self, room: Room, event: Event, detail: Detail) -> BoxFuture<'_, Result<(), AuditFault>> {
        Box::pin(self.written(Class::Outcome, event, detail, Some(room)))
    }

    fn outcome_queued(&self, room: Room, event: Event, detail: Detail) -> Result<(), AuditFault> {
        let job = self.job(Class::Outcome, event, &detail, Some(room), Reply::None)?;
        self.shared.push(job)
    }

    fn record_from_reserve(&self, event: Event, detail: Detail) -> BoxFuture<'_, Result<(), AuditFault>> {
        Box::pin(self.written(Class::Reserve, event, detail, None))
    }

    fn refusal(&self, event: Event, detail: Detail) -> bool {
        self.flush_refusals(false);
        if !locked(&self.shared.refusals).admit(&event, self.now_ms()) {
            return false;
        }
        let counted = event.clone();
        let queued = if self.trouble().is_some() {
            Err(AuditFault::Full)
        } else {
            self.job(Class::Refusal, event, &sidecar::bounded(detail), None, Reply::None)
                .and_then(|job| self.shared.push(job))
        };
        if queued.is_err() {
            locked(&self.shared.refusals).count(&counted, self.now_ms());
        }
        queued.is_ok()
    }

    fn query(
        &self,
        filter: Box<dyn Fn(&Event) -> bool + Send>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(Event, Detail)>, AuditFault>> {
        let (shared, dir, sealer) = (Arc::clone(&self.shared), self.dir.clone(), Arc::clone(&self.sealer));
        Box::pin(async move {
            self.settle().await;
            let look = move || query(&shared, &dir, sealer.as_ref(), &filter, limit);
            let found = tokio::task::spawn_blocking(look).await.map_err(|_| AuditFault::Broken)?;
            found.map_err(|fault| {
                tracing::warn!(%fault, "the audit log cannot be read");
                AuditFault::Broken
            })
        })
    }

    fn find(&self, reference: Ref) -> BoxFuture<'_, Result<Option<(Event, Detail)>, AuditFault>> {
        Box::pin(async move {
            Ok(self.query(Box::new(move |event| event.reference == reference), 1).await?.pop())
        })
    }

    fn trouble(&self) -> Option<AuditFault> {
        let trouble = self.shared.trouble();
        if trouble.is_some() {
            // Who asks gets what is known now, and the next one what the disk says then. A closed log has no writer to
            // ask, and its trouble stays what it was.
            let _ = self.shared.control(Control::Probe);
        }
        trouble
    }
}

/// The checkpoint beside the log, if there is one; it must be good by the key beside it.
fn last_checkpoint(dir: &Path) -> Result<Option<Checkpoint>, OpenFault> {
    let read = |name: &str| match std::fs::read_to_string(dir.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    };
    let (key, note) = (read("audit.pub")?, read("checkpoint")?);
    let Some(note) = note else { return Ok(None) };
    let key = key.unwrap_or_default();
    let verifier = Verifier::parse(&key).map_err(VerifyFault::Key)?;
    Ok(Some(verifier.checkpoint(&note).map_err(VerifyFault::Checkpoint)?))
}

/// Reads all records: fills the memory of the newest, finds the intents without outcome, compares with what was signed.
fn load(
    segments: &Path,
    signed: Option<&Checkpoint>,
    shared: &Shared,
) -> Result<(Scanned, Vec<Event>), OpenFault> {
    let differs = |tree: &Frontier| {
        signed.is_some_and(|signed| signed.size == tree.size() && signed.root != tree.root())
    };
    let mut changed = differs(&Frontier::default());
    let mut open: HashMap<UseId, (u64, Event)> = HashMap::new();
    let scanned = scan(segments, Tail::Recover, &mut |framed, record, tree, _| {
        changed |= differs(tree);
        match (record.event.kind, record.event.use_id) {
            (Kind::Intent, Some(use_id)) => {
                open.insert(use_id, (framed.index, record.event.clone()));
            }
            (Kind::Outcome, Some(use_id)) => {
                open.remove(&use_id);
            }
            _ => {}
        }
        shared.remember(framed.index, record);
    })?;
    if let Some(signed) = signed {
        let found = scanned.tree.size();
        if changed {
            return Err(VerifyFault::Root { size: signed.size }.into());
        }
        if found < signed.size {
            return Err(VerifyFault::Cut { signed: signed.size, found }.into());
        }
    }
    let mut pending: Vec<(u64, Event)> = open.into_values().collect();
    pending.sort_by_key(|(index, _)| *index);
    Ok((scanned, pending.into_iter().map(|(_, event)| event).collect()))
}
