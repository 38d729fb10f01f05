//! Stand-ins for clock, randomness, keys and disk, and a log over them.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use claviger_domain::event::{Actor, Detail, Event, Kind};
use claviger_domain::id::{BootId, Ref, UseId, VaultId};
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::audit::disk::{Disk, DiskFile, RealDisk};
use crate::audit::log::{AuditLog, OpenFault, Options};
use crate::audit::tree::plain_hash;
use crate::port::{BoxFuture, Clock, Entropy, Purpose, SealFault, Sealer};

pub(super) const DAY_MS: u64 = 86_400_000;
pub(super) const NOW_MS: u64 = 1_790_000_000_000;

#[derive(Default)]
pub(super) struct TestClock(pub(super) AtomicU64);

impl Clock for TestClock {
    fn wall_ms(&self) -> u64 {
        NOW_MS + self.0.load(Ordering::Relaxed)
    }

    fn mono_us(&self) -> u64 {
        self.0.load(Ordering::Relaxed) * 1000
    }

    fn sleep_ms(&self, _: u64) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

#[derive(Default)]
pub(super) struct TestEntropy(AtomicU64);

impl Entropy for TestEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let salt = self.0.fetch_add(1, Ordering::Relaxed);
        let hash = plain_hash(&[b"entropy", &salt.to_be_bytes()]);
        bytes.iter_mut().zip(hash.iter().cycle()).for_each(|(to, from)| *to = *from);
    }
}

/// A toy cipher with a salt and a check; what matters here is who can open what.
#[derive(Default)]
pub(super) struct TestSealer {
    pub(super) sealed: AtomicBool,
    pub(super) root: AtomicU8,
    salt: AtomicU64,
}

impl TestSealer {
    fn key(&self) -> Result<u8, SealFault> {
        if self.sealed.load(Ordering::SeqCst) {
            Err(SealFault::Sealed)
        } else {
            Ok(self.root.load(Ordering::SeqCst))
        }
    }
}

impl Sealer for TestSealer {
    fn seal(&self, purpose: Purpose, path: &str, version: u64, plain: &[u8]) -> Result<Vec<u8>, SealFault> {
        let key = self.key()?;
        let salt = self.salt.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        let context = format!("{key} {purpose:?} {path} {version}");
        let pad = plain_hash(&[context.as_bytes(), &salt]);
        let mut sealed = salt.to_vec();
        sealed.extend(plain.iter().zip(pad.iter().cycle()).map(|(byte, pad)| byte ^ pad));
        let tag = plain_hash(&[context.as_bytes(), &sealed]);
        sealed.extend(tag);
        Ok(sealed)
    }

    fn open(
        &self,
        purpose: Purpose,
        path: &str,
        version: u64,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealFault> {
        let key = self.key()?;
        let context = format!("{key} {purpose:?} {path} {version}");
        let (body, tag) = sealed.split_last_chunk::<32>().ok_or(SealFault::Forged)?;
        if plain_hash(&[context.as_bytes(), body]) != *tag {
            return Err(SealFault::Forged);
        }
        let (salt, body) = body.split_at(8);
        let pad = plain_hash(&[context.as_bytes(), salt]);
        Ok(Zeroizing::new(body.iter().zip(pad.iter().cycle()).map(|(byte, pad)| byte ^ pad).collect()))
    }

    fn derive(&self, purpose: Purpose, info: &[&[u8]]) -> Result<Zeroizing<[u8; 32]>, SealFault> {
        let key = self.key()?;
        Ok(Zeroizing::new(plain_hash(&[&[key], format!("{purpose:?}").as_bytes(), &info.concat()])))
    }
}

/// What the disk is about to do; called before it does it.
pub(super) enum Op<'a> {
    Write {
        path: &'a Path,
        offset: u64,
        bytes: &'a [u8],
    },
    /// With what was written since the last sync.
    Sync {
        path: &'a Path,
        unsynced: Vec<(u64, usize)>,
    },
    Other,
}

type Hook = Box<dyn Fn(Op<'_>) + Send + Sync>;

/// The real disk, with faults.
#[derive(Default)]
pub(super) struct Faults {
    /// Syncs of segments so far.
    pub(super) syncs: AtomicUsize,
    /// How many of the next syncs of segments fail.
    pub(super) failing_syncs: AtomicUsize,
    /// How many of the next directory syncs fail.
    pub(super) failing_dir_syncs: AtomicUsize,
    /// How many bytes segments may still take before writes end with `StorageFull`; 0 for no such limit.
    pub(super) write_budget: AtomicU64,
    /// Whether every write takes at most seven bytes.
    pub(super) short_writes: AtomicBool,
    /// Whether no file can be made.
    pub(super) no_create: AtomicBool,
    /// Bytes that allocated files may have together; 0 for no limit.
    pub(super) quota: AtomicU64,
    allocated: Mutex<HashMap<PathBuf, u64>>,
    held: Mutex<bool>,
    bell: Condvar,
    pub(super) hook: Mutex<Option<Hook>>,
}

impl Faults {
    pub(super) fn hold(&self) {
        *self.held.lock().unwrap() = true;
    }

    pub(super) fn release(&self) {
        *self.held.lock().unwrap() = false;
        self.bell.notify_all();
    }

    fn hook(&self, op: Op<'_>) {
        if let Some(hook) = self.hook.lock().unwrap().as_ref() {
            hook(op);
        }
    }

    fn allocate(&self, path: &Path, len: u64) -> io::Result<()> {
        let mut allocated = self.allocated.lock().unwrap();
        let others: u64 = allocated.iter().filter(|(other, _)| *other != path).map(|(_, len)| len).sum();
        let quota = self.quota.load(Ordering::SeqCst);
        if quota > 0 && others + len > quota {
            return Err(ErrorKind::StorageFull.into());
        }
        allocated.insert(path.to_owned(), len);
        Ok(())
    }
}

fn take_one(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

pub(super) struct FaultyDisk(pub(super) Arc<Faults>);

struct FaultyFile {
    faults: Arc<Faults>,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    unsynced: Vec<(u64, usize)>,
}

fn is_segment(path: &Path) -> bool {
    path.parent().is_some_and(|dir| dir.ends_with("segments"))
}

impl DiskFile for FaultyFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.faults.hook(Op::Write { path: &self.path, offset, bytes });
        let mut len = bytes.len();
        if self.faults.short_writes.load(Ordering::SeqCst) {
            len = len.min(7);
        }
        if is_segment(&self.path) {
            let budget = self.faults.write_budget.load(Ordering::SeqCst);
            if budget == 1 {
                return Err(ErrorKind::StorageFull.into());
            }
            if budget > 0 {
                len = len.min(budget as usize - 1);
                self.faults.write_budget.store(budget - len as u64, Ordering::SeqCst);
            }
        }
        self.unsynced.push((offset, len));
        self.file.write_at(offset, &bytes[..len])
    }

    fn sync(&mut self) -> io::Result<()> {
        if is_segment(&self.path) {
            let mut held = self.faults.held.lock().unwrap();
            while *held {
                held = self.faults.bell.wait(held).unwrap();
            }
            drop(held);
            self.faults.syncs.fetch_add(1, Ordering::SeqCst);
            if take_one(&self.faults.failing_syncs) {
                return Err(io::Error::other("injected"));
            }
        }
        self.faults.hook(Op::Sync { path: &self.path, unsynced: std::mem::take(&mut self.unsynced) });
        self.file.sync()
    }

    fn preallocate(&mut self, len: u64) -> io::Result<()> {
        self.faults.hook(Op::Other);
        self.faults.allocate(&self.path, len)?;
        self.file.preallocate(len)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.faults.hook(Op::Other);
        if is_segment(&self.path) {
            self.faults.allocated.lock().unwrap().insert(self.path.clone(), len);
        }
        self.file.truncate(len)
    }
}

impl FaultyDisk {
    fn wrap(&self, path: &Path, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        let faults = Arc::clone(&self.0);
        Box::new(FaultyFile { faults, path: path.to_owned(), file, unsynced: Vec::new() })
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.hook(Op::Other);
        if self.0.no_create.load(Ordering::SeqCst) {
            return Err(ErrorKind::ReadOnlyFilesystem.into());
        }
        Ok(self.wrap(path, RealDisk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.hook(Op::Other);
        Ok(self.wrap(path, RealDisk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.hook(Op::Other);
        let mut allocated = self.0.allocated.lock().unwrap();
        if let Some(len) = allocated.remove(from) {
            allocated.insert(to.to_owned(), len);
        }
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.hook(Op::Other);
        self.0.allocated.lock().unwrap().remove(path);
        RealDisk.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.hook(Op::Other);
        if take_one(&self.0.failing_dir_syncs) {
            return Err(io::Error::other("injected"));
        }
        RealDisk.sync_dir(path)
    }
}

/// A folder with a log in it, and all that the log is made of.
pub(super) struct World {
    pub(super) home: TempDir,
    pub(super) faults: Arc<Faults>,
    pub(super) sealer: Arc<TestSealer>,
    pub(super) clock: Arc<TestClock>,
    pub(super) options: Options,
}

impl World {
    pub(super) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let options = Options {
            dir: home.path().join("audit"),
            max_bytes: 64 << 20,
            segment_bytes: 128 << 10,
            retention_ms: 30 * DAY_MS,
            queue: 1024,
        };
        Self { home, faults: Arc::default(), sealer: Arc::default(), clock: Arc::default(), options }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.options.dir
    }

    pub(super) fn try_open(&self) -> Result<AuditLog, OpenFault> {
        AuditLog::open_on(
            Arc::new(FaultyDisk(Arc::clone(&self.faults))),
            self.options.clone(),
            Arc::clone(&self.sealer) as Arc<dyn Sealer>,
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            Arc::new(TestEntropy::default()),
        )
    }

    pub(super) fn open(&self) -> AuditLog {
        self.try_open().unwrap()
    }

    /// Opens the copy of the log in another folder, with a disk without faults.
    pub(super) fn open_copy(&self, dir: &Path) -> Result<AuditLog, OpenFault> {
        AuditLog::open(
            Options { dir: dir.to_owned(), ..self.options.clone() },
            Arc::clone(&self.sealer) as Arc<dyn Sealer>,
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            Arc::new(TestEntropy::default()),
        )
    }

    pub(super) fn key(&self) -> String {
        std::fs::read_to_string(self.dir().join("audit.pub")).unwrap()
    }
}

pub(super) fn vault() -> VaultId {
    VaultId::from_bytes([0xcd; 16])
}

pub(super) fn reference(number: u64) -> Ref {
    Ref::from_bytes(number.to_be_bytes())
}

pub(super) fn event(kind: Kind, number: u64) -> Event {
    let mut event = Event::new(
        kind,
        reference(number),
        NOW_MS + number,
        BootId::from_bytes([1; 16]),
        Actor::Agent("openclaw".parse().unwrap()),
    );
    event.tool = Some("gmail.send_message".parse().unwrap());
    event
}

/// An intent, or the outcome, of the use of that number.
pub(super) fn of_use(kind: Kind, number: u64, use_number: u64) -> Event {
    let mut event = event(kind, number);
    event.use_id = Some(UseId::from_bytes(use_number.to_be_bytes()));
    event
}

pub(super) fn detail(text: &str) -> Detail {
    Detail(vec![("arguments".to_owned(), text.to_owned())])
}

pub(super) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
