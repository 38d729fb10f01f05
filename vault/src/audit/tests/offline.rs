//! `verify` finds what somebody with the whole folder and no key did to it.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use claviger_domain::event::{Detail, Kind};

use super::fakes::{World, copy_dir, event, vault};
use crate::audit::segment::{HEADER, Walk, file_name, frame};
use crate::audit::{VerifyFault, verify};
use crate::port::AuditSink as _;

/// A log of two segments (a sync failed between) with six signed records, and an older checkpoint of four.
async fn small() -> (World, String) {
    let world = World::new();
    let log = world.open();
    log.unsealed(vault()).await.unwrap();
    let mut note = String::new();
    for number in 0..6 {
        if number == 3 {
            world.faults.failing_syncs.store(1, Ordering::SeqCst);
        }
        log.record(event(Kind::Minted, number), Detail::default()).await.unwrap();
        if number == 3 {
            note = log.checkpoint(Some(1)).await.unwrap();
        }
    }
    log.close().await;
    drop(log);
    (world, note)
}

fn segment(dir: &Path, first: u64) -> PathBuf {
    dir.join("segments").join(file_name(first))
}

#[tokio::test]
async fn a_good_log_is_believed() {
    let (world, older) = small().await;
    let report = verify(world.dir(), &world.key(), Some(&older)).unwrap();
    assert_eq!((report.records, report.signed, report.segments), (6, 6, 2));
    assert!(verify(world.dir(), "nonsense", None).is_err());
    assert!(matches!(verify(world.dir(), &world.key(), Some("nonsense")), Err(VerifyFault::Given(_))));
}

#[tokio::test]
async fn every_flipped_byte_shows() {
    let (world, _) = small().await;
    let key = world.key();
    for path in [segment(world.dir(), 0), segment(world.dir(), 3), world.dir().join("checkpoint")] {
        let whole = std::fs::read(&path).unwrap();
        let used = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        // All that holds something, and a few of the zeros behind it.
        for at in (0..used).chain((used..whole.len()).step_by(9973)) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&path, bytes).unwrap();
            assert!(verify(world.dir(), &key, None).is_err(), "{} byte {at}", path.display());
        }
        std::fs::write(&path, whole).unwrap();
    }
    verify(world.dir(), &key, None).unwrap();
}

#[tokio::test]
async fn a_fault_is_told_with_its_place() {
    let (world, _) = small().await;
    let path = segment(world.dir(), 3);
    let mut bytes = std::fs::read(&path).unwrap();
    let mut walk = Walk::new(&bytes, 3);
    walk.step().unwrap();
    let offset = walk.offset();
    bytes[offset + 30] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let Err(VerifyFault::Damage(damage)) = verify(world.dir(), &world.key(), None) else { panic!() };
    assert_eq!((damage.index, damage.file, damage.offset), (4, file_name(3), offset as u64));
}

/// The segment's records, framed anew after the change, as somebody would who knows the format.
fn reframed(path: &Path, first: u64, change: impl Fn(&mut Vec<Vec<u8>>)) {
    let bytes = std::fs::read(path).unwrap();
    let mut records = Vec::new();
    let mut walk = Walk::new(&bytes, first);
    while let Ok(framed) = walk.step() {
        records.push(framed.payload.to_vec());
    }
    change(&mut records);
    let mut out = bytes[..HEADER].to_vec();
    for (index, record) in records.iter().enumerate() {
        let group = out.len() as u32;
        frame(&mut out, first + index as u64, group, record);
    }
    std::fs::write(path, out).unwrap();
}

#[tokio::test]
async fn swapped_edited_and_removed_records_show_even_when_framed_anew() {
    let (world, _) = small().await;
    let check = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let copy = world.home.path().join("copy");
        let _ = std::fs::remove_dir_all(&copy);
        copy_dir(world.dir(), &copy);
        reframed(&segment(&copy, 3), 3, change);
        verify(&copy, &world.key(), None)
    };
    check(&|_| {}).unwrap();
    assert!(matches!(check(&|records| records.swap(0, 1)), Err(VerifyFault::Root { size: 6 })));
    let edited = event(Kind::Viewed, 4);
    let edited = crate::audit::record::encode(&edited, None).unwrap();
    assert!(matches!(check(&|records| records[1] = edited.clone()), Err(VerifyFault::Root { size: 6 })));
    assert!(matches!(check(&|records| drop(records.pop())), Err(VerifyFault::Cut { signed: 6, found: 5 })));
    assert!(matches!(check(&|records| drop(records.remove(0))), Err(VerifyFault::Cut { .. })));
    assert!(matches!(check(&|records| records.insert(0, edited.clone())), Err(VerifyFault::Root { .. })));
    // In the closed segment the next one's header tells.
    let copy = world.home.path().join("copy");
    copy_dir(world.dir(), &copy);
    reframed(&segment(&copy, 0), 0, |records| records.swap(0, 1));
    assert!(matches!(verify(&copy, &world.key(), None), Err(VerifyFault::Damage(_))));
}

#[tokio::test]
async fn a_cut_tail_with_an_old_checkpoint_put_back_shows_by_one_seen_elsewhere() {
    let (world, older) = small().await;
    let newer = std::fs::read_to_string(world.dir().join("checkpoint")).unwrap();
    // Whoever has the disk goes back to four records and puts the checkpoint of then beside them.
    reframed(&segment(world.dir(), 3), 3, |records| records.truncate(1));
    std::fs::write(world.dir().join("checkpoint"), &older).unwrap();
    verify(world.dir(), &world.key(), None).unwrap();
    verify(world.dir(), &world.key(), Some(&older)).unwrap();
    assert!(matches!(
        verify(world.dir(), &world.key(), Some(&newer)),
        Err(VerifyFault::Cut { signed: 6, found: 4 })
    ));
    std::fs::remove_file(world.dir().join("checkpoint")).unwrap();
    assert!(matches!(verify(world.dir(), &world.key(), None), Err(VerifyFault::NoCheckpoint)));
    assert!(world.try_open().is_ok(), "opening cannot know: only a copy kept elsewhere can");
}

#[tokio::test]
async fn another_history_with_the_same_key_shows_by_an_older_checkpoint() {
    let (world, older) = small().await;
    let fork = World::new();
    let log = fork.open();
    log.unsealed(vault()).await.unwrap();
    for number in 10..20 {
        log.record(event(Kind::Minted, number), Detail::default()).await.unwrap();
    }
    log.close().await;
    assert_eq!(fork.key(), world.key());
    verify(fork.dir(), &fork.key(), None).unwrap();
    assert!(matches!(verify(fork.dir(), &fork.key(), Some(&older)), Err(VerifyFault::Root { size: 4 })));
}

#[tokio::test]
async fn a_missing_segment_shows() {
    let (world, _) = small().await;
    let copy = world.home.path().join("copy");
    for first in [0, 3] {
        copy_dir(world.dir(), &copy);
        std::fs::remove_file(segment(&copy, first)).unwrap();
        assert!(verify(&copy, &world.key(), None).is_err(), "without segment {first}");
        assert!(world.open_copy(&copy).is_err(), "without segment {first}");
    }
}

#[tokio::test]
async fn bytes_behind_a_segment_that_ended_in_good_order_show() {
    let world = World::new();
    let log = world.open();
    log.unsealed(vault()).await.unwrap();
    while crate::audit::segment::list(&world.dir().join("segments")).unwrap().len() < 2 {
        log.record(event(Kind::Minted, log.size()), Detail::default()).await.unwrap();
    }
    log.close().await;
    verify(world.dir(), &world.key(), None).unwrap();
    let path = segment(world.dir(), 0);
    let whole = std::fs::read(&path).unwrap();
    let with = |more: &[u8]| std::fs::write(&path, [whole.as_slice(), more].concat()).unwrap();
    with(&[0; 100]);
    verify(world.dir(), &world.key(), None).unwrap();
    with(&[0, 0, 1]);
    assert!(matches!(verify(world.dir(), &world.key(), None), Err(VerifyFault::Damage(_))));
}
