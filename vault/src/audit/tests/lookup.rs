//! Queries, details, and what the segments never hold.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use claviger_domain::event::{Detail, Kind};

use super::fakes::{DAY_MS, NOW_MS, World, detail, event, reference, vault};
use crate::audit::{VerifyFault, verify};
use crate::port::AuditSink as _;

const CANARY: &str = "canary-3f9c71";

#[tokio::test]
async fn a_detail_is_never_readable_on_the_disk_and_comes_back_to_the_owner() {
    let world = World::new();
    let log = world.open();
    log.record(event(Kind::Minted, 1), detail(CANARY)).await.unwrap();
    assert!(log.refusal(event(Kind::Refused, 2), detail(CANARY)));
    log.close().await;
    fn every_file(dir: &std::path::Path, look: &mut dyn FnMut(&std::path::Path, Vec<u8>)) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { every_file(&path, look) } else { look(&path, std::fs::read(&path).unwrap()) }
        }
    }
    let mut files = 0;
    every_file(world.dir(), &mut |path, bytes| {
        files += 1;
        let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
        assert!(!found, "{}", path.display());
    });
    assert!(files >= 3);
    let found = log.find(reference(1)).await.unwrap().unwrap();
    assert_eq!(found, (event(Kind::Minted, 1), detail(CANARY)));
    assert_eq!(log.find(reference(2)).await.unwrap().unwrap().1, detail(CANARY));
    world.sealer.sealed.store(true, Ordering::SeqCst);
    assert_eq!(log.find(reference(1)).await.unwrap().unwrap().1, Detail::default());
}

#[tokio::test]
async fn erased_details_break_nothing() {
    let world = World::new();
    let log = world.open();
    log.unsealed(vault()).await.unwrap();
    for number in 0..5 {
        log.record(event(Kind::Minted, number), detail("subject")).await.unwrap();
    }
    let mut later = event(Kind::Minted, 5);
    later.at_ms = NOW_MS + 20 * DAY_MS;
    log.record(later, detail("later")).await.unwrap();
    assert_eq!(log.sweep(NOW_MS + 29 * DAY_MS).await, Ok(0));
    assert_eq!(log.sweep(NOW_MS + 32 * DAY_MS).await, Ok(1));
    assert_eq!(log.find(reference(3)).await.unwrap().unwrap(), (event(Kind::Minted, 3), Detail::default()));
    assert_eq!(log.find(reference(5)).await.unwrap().unwrap().1, detail("later"));
    log.close().await;
    let report = verify(world.dir(), &world.key(), None).unwrap();
    assert_eq!((report.records, report.details, report.erased), (6, 1, 5));
    std::fs::remove_dir_all(world.dir().join("sidecar")).unwrap();
    assert_eq!(verify(world.dir(), &world.key(), None).unwrap().erased, 6);
    drop(log);
    assert_eq!(world.open().size(), 6);
}

#[tokio::test]
async fn a_swapped_detail_shows() {
    let world = World::new();
    let other = World::new();
    for (world, text) in [(&world, "to alice"), (&other, "to mallo")] {
        let log = world.open();
        log.unsealed(vault()).await.unwrap();
        if text == "to mallo" {
            // Another salt than the first world's, as any two sealings have.
            let _ = log.record(event(Kind::Minted, 7), detail("x")).await;
        }
        log.record(event(Kind::Minted, 1), detail(text)).await.unwrap();
        log.close().await;
    }
    let day = std::fs::read_dir(other.dir().join("sidecar")).unwrap().next().unwrap().unwrap();
    std::fs::copy(day.path(), world.dir().join("sidecar").join(day.file_name())).unwrap();
    assert!(matches!(verify(world.dir(), &world.key(), None), Err(VerifyFault::Detail { index: 0 })));
    let log = world.open();
    let (_, detail) = log.find(reference(1)).await.unwrap().unwrap();
    assert_eq!(detail.0[0].0, "fault");
}

#[tokio::test]
async fn queries_reach_beyond_memory_newest_first() {
    let mut world = World::new();
    world.options.queue = 100_000;
    let log = Arc::new(world.open());
    let count = 12_500;
    let mut kinds = [Kind::Minted, Kind::Viewed].into_iter().cycle();
    let tasks: Vec<_> = (0..count)
        .map(|number| {
            let log = Arc::clone(&log);
            let kind = kinds.next().unwrap();
            tokio::spawn(async move { log.record(event(kind, number), Detail::default()).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(std::fs::read_dir(world.dir().join("segments")).unwrap().count() > 3);
    let newest = log.query(Box::new(|_| true), 3).await.unwrap();
    assert_eq!(newest.len(), 3);
    assert!(newest[0].0.at_ms > newest[2].0.at_ms);
    assert_eq!(log.find(reference(0)).await.unwrap().unwrap().0.at_ms, NOW_MS, "the oldest");
    assert_eq!(log.find(reference(count)).await.unwrap(), None);
    let old =
        |event: &claviger_domain::event::Event| event.at_ms < NOW_MS + 2000 && event.kind == Kind::Viewed;
    let some = log.query(Box::new(old), 10).await.unwrap();
    assert_eq!(some.len(), 10);
    assert!(some.windows(2).all(|pair| pair[0].0.at_ms > pair[1].0.at_ms));
    assert_eq!(log.query(Box::new(old), 5000).await.unwrap().len(), 1000);
    assert_eq!(log.query(Box::new(|_| true), 0).await.unwrap().len(), 0);
    log.close().await;
    drop(log);
    let log = world.open();
    assert_eq!(log.size(), count);
    assert_eq!(log.query(Box::new(old), 5000).await.unwrap().len(), 1000);
}

#[tokio::test]
async fn an_event_too_long_to_record_is_not_used() {
    let world = World::new();
    let log = world.open();
    let mut long = event(Kind::Intent, 1);
    long.field = Some("x".repeat(5000));
    assert!(log.intent(long, Detail::default()).await.is_err());
    assert_eq!(log.size(), 0);
}
