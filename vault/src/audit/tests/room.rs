//! Room, grouping, and what happens when the disk refuses.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use claviger_domain::event::{Detail, Kind};

use super::fakes::{World, detail, event, of_use, vault};
use crate::audit::{CheckpointFault, verify};
use crate::port::{AuditFault, AuditSink as _};

fn none() -> Detail {
    Detail::default()
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_intents_share_syncs() {
    let world = World::new();
    let log = Arc::new(world.open());
    log.record(event(Kind::Started, 0), none()).await.unwrap();
    let before = world.faults.syncs.load(Ordering::SeqCst);
    world.faults.hold();
    let tasks: Vec<_> = (1..=64)
        .map(|number| {
            let log = Arc::clone(&log);
            tokio::spawn(
                async move { log.intent(of_use(Kind::Intent, number, number), none()).await.map(drop) },
            )
        })
        .collect();
    tokio::task::yield_now().await;
    world.faults.release();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let syncs = world.faults.syncs.load(Ordering::SeqCst) - before;
    assert!((1..64).contains(&syncs), "{syncs} syncs for 64 intents");
    assert_eq!(log.size(), 65);
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_synced() {
    let world = World::new();
    let log = Arc::new(world.open());
    log.record(event(Kind::Started, 0), none()).await.unwrap();
    world.faults.hold();
    let intent = log.intent(event(Kind::Intent, 1), none());
    tokio::pin!(intent);
    for _ in 0..1000 {
        assert!(futures_util::poll!(&mut intent).is_pending());
        std::thread::yield_now();
    }
    assert_eq!(log.size(), 1);
    world.faults.release();
    intent.await.unwrap();
}

/// Fills a log of limited size with intents whose rooms are kept; returns the rooms.
async fn fill(log: &crate::audit::AuditLog) -> Vec<crate::port::Room> {
    let mut rooms = Vec::new();
    for number in 1.. {
        match log.intent(of_use(Kind::Intent, number, number), none()).await {
            Ok(room) => rooms.push(room),
            Err(fault) => {
                assert_eq!(fault, AuditFault::Full);
                break;
            }
        }
    }
    rooms
}

#[tokio::test]
async fn a_full_log_refuses_uses_and_still_takes_outcomes_and_revocations() {
    let mut world = World::new();
    world.options.max_bytes = 256 << 10;
    let log = world.open();
    log.unsealed(vault()).await.unwrap();
    let rooms = fill(&log).await;
    assert!(rooms.len() > 20);
    // A small record may still find room where an intent and its outcome do not.
    while log.record(event(Kind::Minted, 9001), none()).await.is_ok() {}
    assert_eq!(log.record(event(Kind::Minted, 9001), none()).await, Err(AuditFault::Full));
    assert_eq!(log.trouble(), Some(AuditFault::Full));
    assert!(!log.refusal(event(Kind::Refused, 9002), none()));
    log.record_from_reserve(event(Kind::GrantRevoked, 9003), none()).await.unwrap();
    // Every intent that was accepted has its outcome recorded, however long the outcome is.
    for (number, room) in rooms.into_iter().enumerate() {
        let mut outcome = of_use(Kind::Outcome, 10_000 + number as u64, number as u64 + 1);
        outcome.field = Some("x".repeat(3900));
        log.outcome(room, outcome, none()).await.unwrap();
    }
    log.record_from_reserve(event(Kind::Sealed, 9004), none()).await.unwrap();
    assert!(
        log.find(event(Kind::GrantRevoked, 9003).reference).await.unwrap().is_some(),
        "queries are served"
    );
    let used: u64 = std::fs::read_dir(world.dir().join("segments"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(used <= world.options.max_bytes, "{used}");
    log.checkpoint(None).await.unwrap();
    log.close().await;
    verify(world.dir(), &world.key(), None).unwrap();
    // The reserve outlives a restart of the full log.
    let log = world.open();
    while log.record(event(Kind::Minted, 9005), none()).await.is_ok() {}
    assert_eq!(log.trouble(), Some(AuditFault::Full));
    log.record_from_reserve(event(Kind::Frozen, 9006), none()).await.unwrap();
}

#[tokio::test]
async fn the_reserve_is_bounded_and_never_takes_the_room_of_outcomes() {
    let mut world = World::new();
    world.options.max_bytes = 256 << 10;
    let log = world.open();
    let rooms = fill(&log).await;
    let mut revoked = 0;
    while log.record_from_reserve(event(Kind::GrantRevoked, 20_000 + revoked), none()).await.is_ok() {
        revoked += 1;
    }
    let one = crate::audit::record::encode(&event(Kind::GrantRevoked, 20_000), None).unwrap();
    let one = (crate::audit::segment::FRAME + one.len()) as u64;
    assert!(
        (revoked + 1) * one > crate::audit::RESERVE,
        "only {revoked} of {one} bytes: the reserve was eaten into"
    );
    for room in rooms {
        log.outcome(room, event(Kind::Outcome, 5), none()).await.unwrap();
    }
}

#[tokio::test]
async fn a_room_that_is_dropped_is_given_back() {
    let mut world = World::new();
    world.options.max_bytes = 256 << 10;
    let log = world.open();
    for number in 0..400 {
        drop(log.intent(of_use(Kind::Intent, number, number), none()).await.unwrap());
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers_without_a_restart() {
    let world = World::new();
    world.faults.quota.store(300 << 10, Ordering::SeqCst);
    let log = world.open();
    log.unsealed(vault()).await.unwrap();
    let rooms = fill(&log).await;
    assert_eq!(log.trouble(), Some(AuditFault::Full));
    log.record_from_reserve(event(Kind::GrantRevoked, 9000), none()).await.unwrap();
    for room in rooms {
        log.outcome_queued(room, event(Kind::Outcome, 9001), none()).unwrap();
    }
    world.faults.quota.store(0, Ordering::SeqCst);
    log.intent(event(Kind::Intent, 9002), none()).await.unwrap();
    assert_eq!(log.trouble(), None);
    log.close().await;
    verify(world.dir(), &world.key(), None).unwrap();
}

#[tokio::test]
async fn trouble_goes_away_by_being_asked_about() {
    let world = World::new();
    world.faults.quota.store(300 << 10, Ordering::SeqCst);
    let log = world.open();
    let _rooms = fill(&log).await;
    world.faults.quota.store(0, Ordering::SeqCst);
    assert_eq!(log.trouble(), Some(AuditFault::Full));
    // Answered in order: the probe is behind us.
    log.sweep(0).await.unwrap();
    assert_eq!(log.trouble(), None);
}

#[tokio::test]
async fn a_restart_on_a_full_disk_still_has_a_reserve() {
    let world = World::new();
    world.faults.quota.store(140 << 10, Ordering::SeqCst);
    let log = world.open();
    drop(fill(&log).await);
    log.close().await;
    let size = log.size();
    drop(log);
    let log = world.open();
    assert_eq!(log.size(), size);
    log.record_from_reserve(event(Kind::GrantRevoked, 9000), none()).await.unwrap();
    assert!(log.find(event(Kind::GrantRevoked, 9000).reference).await.unwrap().is_some());
}

#[tokio::test]
async fn after_a_failed_sync_the_file_is_not_trusted_again() {
    let world = World::new();
    let log = world.open();
    log.unsealed(vault()).await.unwrap();
    for number in 0..3 {
        log.record(event(Kind::Minted, number), none()).await.unwrap();
    }
    let segments = world.dir().join("segments");
    let count = || std::fs::read_dir(&segments).unwrap().count();
    assert_eq!(count(), 1);
    let first = segments.join(crate::audit::segment::file_name(0));
    let synced = std::fs::metadata(&first).unwrap().len();
    world.faults.failing_syncs.store(1, Ordering::SeqCst);
    let room = log.intent(of_use(Kind::Intent, 3, 3), none()).await.unwrap();
    assert_eq!(count(), 2, "acknowledged from a new segment");
    assert!(std::fs::metadata(&first).unwrap().len() < synced, "cut to what was durable");
    log.outcome(room, of_use(Kind::Outcome, 4, 3), none()).await.unwrap();
    assert_eq!((log.size(), log.trouble()), (5, None));
    let note = log.checkpoint(Some(7)).await.unwrap();
    let report = verify(world.dir(), &world.key(), Some(&note)).unwrap();
    assert_eq!((report.records, report.signed, report.segments), (5, 5, 2));
    // Whatever the failed file holds behind its durable length is no part of the log.
    let mut bytes = std::fs::read(&first).unwrap();
    bytes.extend(b"what an untrusted write may have left");
    std::fs::write(&first, bytes).unwrap();
    assert_eq!(verify(world.dir(), &world.key(), Some(&note)).unwrap().records, 5);
    log.close().await;
    drop(log);
    assert_eq!(world.open().size(), 5);
}

#[tokio::test]
async fn a_disk_that_stays_broken_refuses_uses_until_it_works() {
    let world = World::new();
    let log = world.open();
    log.unsealed(vault()).await.unwrap();
    let room = log.intent(of_use(Kind::Intent, 1, 1), none()).await.unwrap();
    world.faults.failing_syncs.store(usize::MAX, Ordering::SeqCst);
    assert_eq!(log.intent(event(Kind::Intent, 2), none()).await.map(drop), Err(AuditFault::Broken));
    assert_eq!(log.trouble(), Some(AuditFault::Broken));
    assert_eq!(log.record_from_reserve(event(Kind::Frozen, 3), none()).await, Err(AuditFault::Broken));
    // Nobody waits for the outcome of a read: it is kept until it can be written.
    log.outcome_queued(room, of_use(Kind::Outcome, 4, 1), none()).unwrap();
    log.sweep(0).await.unwrap();
    assert_eq!(log.size(), 1);
    world.faults.failing_syncs.store(0, Ordering::SeqCst);
    log.record(event(Kind::Minted, 5), none()).await.unwrap();
    assert_eq!((log.size(), log.trouble()), (3, None));
    assert!(log.find(event(Kind::Outcome, 4).reference).await.unwrap().is_some());
    assert!(
        log.find(event(Kind::Intent, 2).reference).await.unwrap().is_none(),
        "what failed is not in the log"
    );
    log.close().await;
    assert_eq!(verify(world.dir(), &world.key(), None).unwrap().records, 3);
}

#[tokio::test]
async fn no_room_in_the_middle_of_a_write_loses_nothing() {
    let world = World::new();
    let log = world.open();
    log.unsealed(vault()).await.unwrap();
    log.record(event(Kind::Started, 0), none()).await.unwrap();
    world.faults.write_budget.store(60, Ordering::SeqCst);
    assert_eq!(log.record(event(Kind::Minted, 1), none()).await, Err(AuditFault::Full));
    assert_eq!(log.size(), 1);
    world.faults.write_budget.store(0, Ordering::SeqCst);
    log.record(event(Kind::Minted, 2), none()).await.unwrap();
    log.close().await;
    assert_eq!(verify(world.dir(), &world.key(), None).unwrap().records, 2);
    drop(log);
    assert_eq!(world.open().size(), 2);
}

#[tokio::test]
async fn short_writes_are_finished() {
    let world = World::new();
    world.faults.short_writes.store(true, Ordering::SeqCst);
    let log = world.open();
    log.unsealed(vault()).await.unwrap();
    for number in 0..20 {
        log.record(event(Kind::Minted, number), detail("x")).await.unwrap();
    }
    log.close().await;
    let report = verify(world.dir(), &world.key(), None).unwrap();
    assert_eq!((report.records, report.signed, report.details), (20, 20, 20));
}

#[tokio::test]
async fn a_segment_whose_name_is_not_durable_acknowledges_nothing() {
    let world = World::new();
    let log = world.open();
    log.unsealed(vault()).await.unwrap();
    world.faults.failing_syncs.store(1, Ordering::SeqCst);
    world.faults.failing_dir_syncs.store(2, Ordering::SeqCst);
    assert_eq!(log.record(event(Kind::Minted, 1), none()).await, Err(AuditFault::Broken));
    assert_eq!(log.record(event(Kind::Minted, 2), none()).await, Err(AuditFault::Broken));
    log.record(event(Kind::Minted, 3), none()).await.unwrap();
    log.close().await;
    verify(world.dir(), &world.key(), None).unwrap();
    drop(log);
    world.open();
}

#[tokio::test]
async fn a_flood_of_refusals_is_bounded_and_counted() {
    let world = World::new();
    let log = world.open();
    let own = (0..10_000).filter(|number| log.refusal(event(Kind::Refused, *number), detail("no"))).count();
    assert_eq!(own, 30);
    world.clock.0.store(61_000, Ordering::SeqCst);
    log.sweep(0).await.unwrap();
    let counted = log.query(Box::new(|event| event.kind == Kind::Coalesced), 10).await.unwrap();
    assert_eq!(counted.len(), 1);
    assert_eq!(counted[0].0.count, Some(10_000 - 30));
    assert_eq!(log.size(), 31);
    let known = log.find(event(Kind::Refused, 3).reference).await.unwrap().unwrap();
    assert_eq!(known.1, detail("no"));
}

#[tokio::test]
async fn a_queue_that_is_full_says_busy_and_takes_outcomes_all_the_same() {
    let mut world = World::new();
    world.options.queue = 2;
    let log = Arc::new(world.open());
    let room = log.intent(of_use(Kind::Intent, 1, 1), none()).await.unwrap();
    world.faults.hold();
    let mut waiting = Vec::new();
    let mut busy = 0;
    for number in 2..10 {
        let mut intent = log.intent(event(Kind::Intent, number), none());
        match futures_util::poll!(&mut intent) {
            std::task::Poll::Ready(answer) => {
                assert_eq!(answer.map(drop), Err(AuditFault::Busy));
                busy += 1;
            }
            std::task::Poll::Pending => waiting.push(intent),
        }
    }
    assert!(busy >= 1);
    log.outcome_queued(room, of_use(Kind::Outcome, 11, 1), none()).unwrap();
    world.faults.release();
    for intent in waiting {
        intent.await.unwrap();
    }
    log.close().await;
    assert_eq!(log.intent(event(Kind::Intent, 12), none()).await.map(drop), Err(AuditFault::Closed));
    drop(log);
    let log = world.open();
    assert!(log.find(event(Kind::Outcome, 11).reference).await.unwrap().is_some(), "closing drains");
}

#[tokio::test]
async fn what_is_recorded_while_sealed_is_signed_after_the_unseal() {
    let world = World::new();
    world.sealer.sealed.store(true, Ordering::SeqCst);
    let log = world.open();
    log.record(event(Kind::Started, 0), detail("dropped: nothing can seal it")).await.unwrap();
    assert_eq!(log.checkpoint(None).await, Err(CheckpointFault::Sealed));
    assert_eq!(log.unsealed(vault()).await, Err(CheckpointFault::Sealed));
    world.sealer.sealed.store(false, Ordering::SeqCst);
    log.unsealed(vault()).await.unwrap();
    log.checkpoint(Some(41)).await.unwrap();
    assert_eq!(verify(world.dir(), &world.key(), None).unwrap().signed, 1);
    log.record(event(Kind::Sealed, 1), none()).await.unwrap();
    log.sealing().await.unwrap();
    log.record(event(Kind::Stopped, 2), none()).await.unwrap();
    log.close().await;
    drop(log);
    let report = verify(world.dir(), &world.key(), None).unwrap();
    assert_eq!((report.signed, report.records), (2, 3));
    let log = world.open();
    assert_eq!(log.last_checkpoint().unwrap().store_revision, Some(41));
    log.unsealed(vault()).await.unwrap();
    assert_eq!(verify(world.dir(), &world.key(), None).unwrap().signed, 3);
    world.sealer.root.store(9, Ordering::SeqCst);
    assert_eq!(log.unsealed(vault()).await, Err(CheckpointFault::OtherKey));
}

#[tokio::test]
async fn a_checkpoint_is_signed_every_so_many_records() {
    let mut world = World::new();
    world.options.queue = 10_000;
    let log = Arc::new(world.open());
    log.unsealed(vault()).await.unwrap();
    let tasks: Vec<_> = (0..2100)
        .map(|number| {
            let log = Arc::clone(&log);
            tokio::spawn(async move { log.record(event(Kind::Minted, number), none()).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    // Answered by the writer after its checkpoint.
    log.sweep(0).await.unwrap();
    assert!(log.last_checkpoint().unwrap().size >= 1024);
}

#[tokio::test]
async fn the_long_detail_of_a_refusal_is_cut() {
    let world = World::new();
    let log = world.open();
    assert!(log.refusal(event(Kind::Refused, 1), detail(&"x".repeat(200_000))));
    // Answered by the writer, behind the refusal that nobody waits for.
    log.sweep(0).await.unwrap();
    let (_, kept) = log.find(event(Kind::Refused, 1).reference).await.unwrap().unwrap();
    assert!((1..2000).contains(&kept.0[0].1.len()));
}

#[tokio::test]
async fn closing_tries_kept_outcomes_once_more() {
    let world = World::new();
    let log = world.open();
    let room = log.intent(of_use(Kind::Intent, 1, 1), none()).await.unwrap();
    world.faults.failing_syncs.store(usize::MAX, Ordering::SeqCst);
    log.outcome_queued(room, of_use(Kind::Outcome, 2, 1), none()).unwrap();
    log.sweep(0).await.unwrap();
    assert_eq!(log.size(), 1);
    world.faults.failing_syncs.store(0, Ordering::SeqCst);
    log.close().await;
    assert_eq!(log.size(), 2);
    drop(log);
    assert!(world.open().pending_intents().is_empty());
}

#[tokio::test]
async fn an_open_without_any_room_loses_nothing() {
    let world = World::new();
    let log = world.open();
    log.record(event(Kind::Minted, 1), none()).await.unwrap();
    log.record(event(Kind::Minted, 2), none()).await.unwrap();
    drop(log);
    world.faults.quota.store(1, Ordering::SeqCst);
    let log = world.open();
    assert_eq!((log.size(), log.trouble()), (2, Some(AuditFault::Full)));
    assert_eq!(log.record(event(Kind::Minted, 3), none()).await, Err(AuditFault::Full));
    assert_eq!(log.query(Box::new(|_| true), 9).await.unwrap().len(), 2);
    drop(log);
    world.faults.quota.store(0, Ordering::SeqCst);
    let log = world.open();
    assert_eq!(log.size(), 2);
    log.record(event(Kind::Minted, 3), none()).await.unwrap();
}
