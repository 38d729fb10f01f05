//! The vault is killed at every write, and what it had acknowledged is still there.

use std::collections::HashSet;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use claviger_domain::event::{Detail, Kind};
use claviger_domain::id::Ref;

use super::fakes::{Op, World, copy_dir, detail, event, of_use, vault};
use crate::audit::{OpenFault, VerifyFault, verify};
use crate::port::AuditSink as _;

/// What the disk would hold after a crash, and what had been acknowledged until then.
struct Snapshot {
    dir: PathBuf,
    acknowledged: Vec<Ref>,
}

struct Camera {
    home: PathBuf,
    log: PathBuf,
    taken: Mutex<Vec<Snapshot>>,
    acknowledged: Mutex<Vec<Ref>>,
}

impl Camera {
    fn snap(&self, change: impl Fn(&std::path::Path)) {
        let mut taken = self.taken.lock().unwrap();
        let dir = self.home.join(format!("crash-{}", taken.len()));
        copy_dir(&self.log, &dir);
        change(&dir);
        taken.push(Snapshot { dir, acknowledged: self.acknowledged.lock().unwrap().clone() });
    }

    /// As [`Camera::snap`], and bytes of one file are others; nothing where the file is not there.
    fn snap_with(&self, path: &std::path::Path, offset: u64, bytes: &[u8]) {
        let inside = path.strip_prefix(&self.log).unwrap();
        self.snap(|dir| {
            if let Ok(file) = std::fs::OpenOptions::new().write(true).open(dir.join(inside)) {
                file.write_all_at(bytes, offset).unwrap();
            }
        });
    }

    fn look(&self, op: Op<'_>) {
        self.snap(|_| {});
        match op {
            // The crash comes when half of the write is in the file, or when only its end is.
            Op::Write { path, offset, bytes } => {
                let half = bytes.len() / 2;
                self.snap_with(path, offset, &bytes[..half]);
                self.snap_with(path, offset + half as u64, &bytes[half..]);
            }
            // What was not synced is lost in a power cut: all, or the first part.
            Op::Sync { path, unsynced } => {
                for (offset, len) in unsynced {
                    self.snap_with(path, offset, &vec![0; len]);
                    self.snap_with(path, offset, &vec![0; len / 2]);
                }
            }
            Op::Other => {}
        }
    }
}

async fn crash_everywhere(failing_sync_at: Option<u64>) {
    let world = World::new();
    let camera = Arc::new(Camera {
        home: world.home.path().to_owned(),
        log: world.dir().to_owned(),
        taken: Mutex::default(),
        acknowledged: Mutex::default(),
    });
    {
        let log = world.open();
        log.unsealed(vault()).await.unwrap();
        let lens = Arc::clone(&camera);
        *world.faults.hook.lock().unwrap() = Some(Box::new(move |op| lens.look(op)));
        for number in 0..6 {
            if failing_sync_at == Some(number) {
                world.faults.failing_syncs.store(1, Ordering::SeqCst);
            }
            let event = of_use(Kind::Intent, number, number);
            let reference = event.reference;
            log.intent(event, detail("to whom")).await.unwrap();
            camera.acknowledged.lock().unwrap().push(reference);
        }
        log.close().await;
    }
    {
        // Killed once more while it opens after a restart.
        let log = world.open();
        log.unsealed(vault()).await.unwrap();
        log.record(event(Kind::Started, 77), Detail::default()).await.unwrap();
        camera.acknowledged.lock().unwrap().push(event(Kind::Started, 77).reference);
        log.close().await;
    }
    *world.faults.hook.lock().unwrap() = None;
    let taken = std::mem::take(&mut *camera.taken.lock().unwrap());
    assert!(taken.len() > 50, "{} snapshots", taken.len());
    for (at, snapshot) in taken.iter().enumerate() {
        let log = world.open_copy(&snapshot.dir).unwrap_or_else(|fault| panic!("snapshot {at}: {fault}"));
        let there = log.query(Box::new(|_| true), 1000).await.unwrap();
        let references: HashSet<Ref> = there.iter().map(|(event, _)| event.reference).collect();
        for reference in &snapshot.acknowledged {
            assert!(references.contains(reference), "snapshot {at} lost {reference}");
        }
        assert_eq!(references.len(), there.len(), "snapshot {at}: a record is there twice");
        assert_eq!(log.pending_intents().len(), there.iter().filter(|(e, _)| e.kind == Kind::Intent).count());
        log.unsealed(vault()).await.unwrap();
        log.record(event(Kind::Stopped, 99), Detail::default()).await.unwrap();
        log.close().await;
        let report = verify(&snapshot.dir, &world.key(), None);
        report.unwrap_or_else(|fault| panic!("snapshot {at}: {fault}"));
    }
}

#[tokio::test]
async fn killed_at_any_write_nothing_acknowledged_is_lost() {
    crash_everywhere(None).await;
}

#[tokio::test]
async fn killed_at_any_write_around_a_failed_sync_nothing_acknowledged_is_lost() {
    crash_everywhere(Some(3)).await;
}

#[tokio::test]
async fn a_torn_last_write_is_cut_and_a_bad_byte_before_it_is_damage() {
    let world = World::new();
    let log = world.open();
    for number in 0..4 {
        log.record(event(Kind::Minted, number), Detail::default()).await.unwrap();
    }
    drop(log);
    let path = world.dir().join("segments").join(crate::audit::segment::file_name(0));
    let whole = std::fs::read(&path).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let copy = world.home.path().join("copy");
    let with = |at: usize| {
        let _ = std::fs::remove_dir_all(&copy);
        copy_dir(world.dir(), &copy);
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        std::fs::write(copy.join("segments").join(crate::audit::segment::file_name(0)), bytes).unwrap();
        world.open_copy(&copy)
    };
    assert_eq!(with(end).unwrap().size(), 3, "nobody can tell it from a write that was never acknowledged");
    assert!(matches!(with(end / 2), Err(OpenFault::Damaged(VerifyFault::Damage(_)))));
    assert!(matches!(with(20), Err(OpenFault::Damaged(VerifyFault::Damage(_)))));
}

#[tokio::test]
async fn what_a_checkpoint_signed_cannot_be_taken_for_torn() {
    let world = World::new();
    let log = world.open();
    log.unsealed(vault()).await.unwrap();
    log.record(event(Kind::Minted, 1), Detail::default()).await.unwrap();
    log.close().await;
    drop(log);
    let path = world.dir().join("segments").join(crate::audit::segment::file_name(0));
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(world.try_open(), Err(OpenFault::Damaged(VerifyFault::Cut { signed: 1, found: 0 }))));
}

#[tokio::test]
async fn one_process_writes() {
    let world = World::new();
    let log = world.open();
    assert!(matches!(world.try_open(), Err(OpenFault::Locked)));
    drop(log);
    world.open();
}

#[tokio::test]
async fn an_intent_without_outcome_is_pending_after_a_restart() {
    let world = World::new();
    let log = world.open();
    for number in 0..10 {
        let room = log.intent(of_use(Kind::Intent, number, number), Detail::default()).await.unwrap();
        if number % 3 == 0 {
            log.outcome(room, of_use(Kind::Outcome, 100 + number, number), Detail::default()).await.unwrap();
        } else if number % 3 == 1 {
            log.outcome_queued(room, of_use(Kind::Outcome, 100 + number, number), Detail::default()).unwrap();
        }
    }
    log.close().await;
    drop(log);
    let log = world.open();
    let pending: Vec<_> = log.pending_intents().iter().map(|event| event.reference).collect();
    assert_eq!(pending, [2, 5, 8].map(|number| event(Kind::Intent, number).reference));
    for (number, event) in log.pending_intents().to_vec().into_iter().enumerate() {
        let mut unknown = of_use(Kind::Outcome, 200 + number as u64, 0);
        unknown.use_id = event.use_id;
        log.record(unknown, Detail::default()).await.unwrap();
    }
    drop(log);
    assert!(world.open().pending_intents().is_empty());
}

/// What a dead process wrote and perhaps never synced can be read back from the page cache, and be gone later.
#[tokio::test]
async fn the_last_group_of_an_earlier_run_is_written_again() {
    let world = World::new();
    let log = world.open();
    log.unsealed(vault()).await.unwrap();
    for number in 0..3 {
        log.record(event(Kind::Minted, number), Detail::default()).await.unwrap();
    }
    drop(log);
    drop(world.open());
    let segments = crate::audit::segment::list(&world.dir().join("segments")).unwrap();
    assert_eq!(segments.iter().map(|(first, _)| *first).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(verify(world.dir(), &world.key(), None).unwrap().records, 3);
}
