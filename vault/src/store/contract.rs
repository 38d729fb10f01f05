//! What every engine must do, as tests that any engine's own tests can call.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::port::{Commit, Item, Precondition, Revision, Store, StoreFault, Transaction, Write};

/// How many revisions the stores under test keep.
pub(crate) const HISTORY: u64 = 40;

/// Runs every test, each on a store of its own that `make` returns empty, with a history of [`HISTORY`]. Needs a
/// multi-threaded runtime with time.
pub(crate) async fn contract<S: Store + 'static>(make: impl Fn() -> S) {
    reads_what_was_written(&make()).await;
    scans_by_prefix_in_order_at_one_revision(&make()).await;
    pages_come_whole_and_in_order(&make()).await;
    preconditions_hold_or_nothing_changes(&make()).await;
    a_record_that_was_deleted_begins_anew(&make()).await;
    limits_are_held(&make()).await;
    a_transaction_happens_once(&make()).await;
    history_is_told_and_forgotten(&make()).await;
    a_watcher_is_woken(&make()).await;
    long_histories_come_whole(&make()).await;
    of_many_writers_one_wins_each_version(make()).await;
}

/// A transaction's id: no two are alike, also of two processes that write one store.
pub(crate) fn new_id() -> [u8; 16] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one("transaction"));
    let count = u128::from(NEXT.fetch_add(1, Ordering::Relaxed));
    (u128::from(*PROCESS) << 64 | count).to_be_bytes()
}

/// A transaction under a new id: preconditions and writes.
pub(crate) fn transaction(preconditions: &[(&str, u64)], writes: Vec<Write>) -> Transaction {
    let preconditions = preconditions
        .iter()
        .map(|(key, version)| Precondition { key: (*key).to_owned(), version: *version })
        .collect();
    Transaction { id: new_id(), preconditions, writes }
}

/// Writes one key that must have that version.
pub(crate) async fn put(store: &impl Store, key: &str, version: u64, value: &[u8]) -> Commit {
    store.commit(transaction(&[(key, version)], vec![Write::Put(key.into(), value.into())])).await
}

/// The same, which must succeed.
pub(crate) async fn must_put(store: &impl Store, key: &str, version: u64, value: &[u8]) -> Revision {
    committed(put(store, key, version, value).await)
}

/// The revision of what must have been committed.
pub(crate) fn committed(commit: Commit) -> Revision {
    match commit {
        Commit::Committed(revision) => revision,
        other => panic!("not committed: {other:?}"),
    }
}

async fn delete(store: &impl Store, key: &str) -> Revision {
    committed(store.commit(transaction(&[], vec![Write::Delete(key.into())])).await)
}

async fn keys(store: &impl Store, prefix: &str) -> Vec<String> {
    store.scan(prefix).await.unwrap().1.into_iter().map(|item| item.key).collect()
}

async fn reads_what_was_written(store: &impl Store) {
    assert_eq!(store.get("a").await, Ok(None));
    let first = must_put(store, "a", 0, b"one").await;
    assert!(first > Revision(0));
    let item =
        |version, revision, value: &[u8]| Item { key: "a".into(), version, revision, value: value.into() };
    assert_eq!(store.get("a").await, Ok(Some(item(1, first, b"one"))));
    let second = must_put(store, "a", 1, b"").await;
    assert!(second > first, "revisions must grow");
    assert_eq!(store.get("a").await, Ok(Some(item(2, second, b""))));
    let other = must_put(store, "b", 0, &[0, 255]).await;
    assert!(other > second);
    assert_eq!(store.get("a").await, Ok(Some(item(2, second, b""))), "another key's commit touched it");
    assert_eq!(store.get("").await, Ok(None));
    assert_eq!(store.get("no such key: ä").await, Ok(None));
}

async fn scans_by_prefix_in_order_at_one_revision(store: &impl Store) {
    assert_eq!(store.scan("").await, Ok((Revision(0), vec![])));
    let all = ["a/1", "a/10", "a/2", "a/~~", "a0", "b/1"];
    let puts = all.iter().rev().map(|key| Write::Put((*key).into(), key.as_bytes().into())).collect();
    let preconditions: Vec<_> = all.iter().map(|key| (*key, 0)).collect();
    let revision = committed(store.commit(transaction(&preconditions, puts)).await);
    assert_eq!(keys(store, "").await, all);
    assert_eq!(keys(store, "a/").await, ["a/1", "a/10", "a/2", "a/~~"]);
    assert_eq!(keys(store, "a/1").await, ["a/1", "a/10"]);
    assert_eq!(keys(store, "A").await, [""; 0], "keys that differ in case are different");
    assert_eq!(keys(store, "%").await, [""; 0]);
    let (at, items) = store.scan("a/").await.unwrap();
    assert_eq!(at, revision);
    assert!(items.iter().all(|item| item.revision == revision && item.version == 1));
    let later = delete(store, "a/10").await;
    assert_eq!(store.scan("b").await.unwrap().0, later, "a scan's revision is the store's, not its items'");
}

async fn pages_come_whole_and_in_order(store: &impl Store) {
    assert_eq!(store.page("", None, 10).await, Ok(vec![]));
    let all = ["a/1", "a/10", "a/2", "a/~~", "a0", "b/1"];
    for key in all {
        must_put(store, key, 0, key.as_bytes()).await;
    }
    for most in 1..=all.len() {
        for prefix in ["", "a/", "a/1", "a/~~", "b", "c", "A", "%"] {
            let (_, whole) = store.scan(prefix).await.unwrap();
            let (mut read, mut after) = (Vec::new(), None);
            loop {
                let page = store.page(prefix, after.take(), most).await.unwrap();
                assert!(page.len() <= most);
                let Some(last) = page.last() else { break };
                after = Some(last.key.clone());
                read.extend(page);
            }
            assert_eq!(read, whole, "{prefix} by {most}");
        }
    }
    // A key before the prefix, or beyond it, leads nowhere else.
    assert_eq!(store.page("a/", Some("A".into()), 1).await.unwrap()[0].key, "a/1");
    assert_eq!(store.page("a/", Some("a0".into()), 10).await, Ok(vec![]));
    assert_eq!(store.page("a/", Some("a/10".into()), 10).await.unwrap()[0].key, "a/2");
}

async fn preconditions_hold_or_nothing_changes(store: &impl Store) {
    must_put(store, "a", 0, b"1").await;
    let before = store.scan("").await.unwrap();
    for (key, version) in [("a", 0), ("a", 2), ("b", 1), ("a", u64::MAX)] {
        assert_eq!(put(store, key, version, b"x").await, Commit::Conflict, "{key} {version}");
    }
    // One that does not hold is enough, wherever it stands; what came before it is undone.
    let puts =
        || vec![Write::Put("b".into(), vec![]), Write::Put("a".into(), vec![]), Write::Delete("a2".into())];
    for wrong in [[("b", 0), ("a", 2)], [("b", 1), ("a", 1)]] {
        assert_eq!(store.commit(transaction(&wrong, puts())).await, Commit::Conflict);
    }
    assert_eq!(store.scan("").await.unwrap(), before);
    // A precondition on a key that is not written counts too.
    let other = || vec![Write::Delete("a".into())];
    assert_eq!(store.commit(transaction(&[("c", 1)], other())).await, Commit::Conflict);
    assert_eq!(store.scan("").await.unwrap(), before);
    committed(store.commit(transaction(&[("b", 0), ("a", 1)], puts())).await);
    assert_eq!(keys(store, "").await, ["a", "b"]);
}

async fn a_record_that_was_deleted_begins_anew(store: &impl Store) {
    must_put(store, "a", 0, b"1").await;
    must_put(store, "a", 1, b"2").await;
    let gone = delete(store, "a").await;
    assert_eq!(store.get("a").await, Ok(None));
    assert_eq!(put(store, "a", 2, b"3").await, Commit::Conflict);
    let anew = must_put(store, "a", 0, b"3").await;
    assert!(anew > gone);
    assert_eq!(store.get("a").await.unwrap().unwrap().version, 1);
    assert!(delete(store, "nothing").await > anew, "removing what is not there is no conflict");
}

async fn limits_are_held(store: &impl Store) {
    let name = |n: usize| format!("k{n:02}");
    let many = |count: usize| {
        let preconditions = (0..count).map(|n| Precondition { key: name(n), version: 0 }).collect();
        let writes = (0..count).map(|n| Write::Put(name(n), vec![7; 100])).collect();
        Transaction { id: new_id(), preconditions, writes }
    };
    let refused = [
        many(65),
        transaction(&[], vec![Write::Put("a".into(), vec![])]),
        transaction(&[("a b", 0)], vec![Write::Put("a b".into(), vec![])]),
        transaction(&[("", 0)], vec![]),
        transaction(&[("a", 0)], vec![Write::Put("a".into(), vec![0; 1024 * 1024 + 1])]),
        transaction(&[("a", 0)], vec![Write::Put("a".into(), vec![]), Write::Delete("a".into())]),
    ];
    for transaction in refused {
        assert_eq!(store.commit(transaction).await, Commit::Conflict);
    }
    assert_eq!(keys(store, "").await, [""; 0]);
    committed(store.commit(many(64)).await);
    assert_eq!(keys(store, "k").await.len(), 64);
    let (key, value) = ("k".repeat(256), vec![7; 1024 * 1024]);
    must_put(store, &key, 0, &value).await;
    assert_eq!(store.get(&key).await.unwrap().unwrap().value, value);
}

async fn a_transaction_happens_once(store: &impl Store) {
    assert_eq!(store.happened(new_id()).await, Ok(None));
    let first = transaction(&[("a", 0)], vec![Write::Put("a".into(), vec![1])]);
    let revision = committed(store.commit(first.clone()).await);
    assert_eq!(store.happened(first.id).await, Ok(Some(revision)));
    // Sent again, by who did not hear the answer.
    assert_eq!(store.commit(first).await, Commit::Committed(revision));
    assert_eq!(store.get("a").await.unwrap().unwrap().version, 1);
    let refused = transaction(&[("a", 9)], vec![]);
    assert_eq!(store.commit(refused.clone()).await, Commit::Conflict);
    assert_eq!(store.happened(refused.id).await, Ok(None));
}

async fn history_is_told_and_forgotten(store: &impl Store) {
    let one = must_put(store, "a", 0, b"").await;
    let puts =
        vec![Write::Put("c".into(), vec![]), Write::Put("b".into(), vec![]), Write::Delete("nothing".into())];
    let two = committed(store.commit(transaction(&[("c", 0), ("b", 0)], puts)).await);
    let three = delete(store, "a").await;
    let told =
        |revision, keys: &[&str]| (revision, keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>());
    let all = vec![told(one, &["a"]), told(two, &["b", "c"]), told(three, &["a"])];
    let sorted = |mut changes: Vec<(Revision, Vec<String>)>| {
        changes.iter_mut().for_each(|(_, keys)| keys.sort());
        changes
    };
    assert_eq!(store.watch(Revision(0)).await.map(sorted), Ok(all.clone()));
    assert_eq!(store.watch(one).await.map(sorted), Ok(all[1..].to_vec()));
    assert_eq!(store.watch(two).await.map(sorted), Ok(all[2..].to_vec()));
    // One that has not been yet: the store is older than who asks.
    assert_eq!(store.watch(Revision(three.0 + 1)).await, Err(StoreFault::Compacted));
    let mut last = three;
    for version in 0..HISTORY {
        last = must_put(store, "d", version, b"").await;
    }
    assert_eq!(store.watch(one).await, Err(StoreFault::Compacted));
    assert_eq!(store.watch(Revision(last.0 - 1)).await, Ok(vec![told(last, &["d"])]));
}

async fn a_watcher_is_woken(store: &impl Store) {
    let since = must_put(store, "a", 0, b"").await;
    let mut watcher = store.watch(since);
    tokio::select! {
        biased;
        told = &mut watcher => panic!("told before anything changed: {told:?}"),
        _ = store.get("a") => {}
    }
    assert_eq!(put(store, "a", 7, b"").await, Commit::Conflict);
    committed(store.commit(transaction(&[("a", 1)], vec![])).await);
    tokio::select! {
        biased;
        told = &mut watcher => panic!("told of a commit that changed no key: {told:?}"),
        _ = store.get("a") => {}
    }
    let revision = must_put(store, "b", 0, b"").await;
    let told = tokio::time::timeout(Duration::from_secs(20), watcher).await.unwrap();
    assert_eq!(told, Ok(vec![(revision, vec!["b".to_owned()])]));
}

async fn long_histories_come_whole(store: &impl Store) {
    // More rows than one answer may have, if an engine bounds it; no commit is told in two parts.
    let name = |n: usize| format!("k{n:02}");
    for version in 0..HISTORY {
        let preconditions = (0..64).map(|n| Precondition { key: name(n), version }).collect();
        let writes = (0..64).map(|n| Write::Put(name(n), vec![])).collect();
        committed(store.commit(Transaction { id: new_id(), preconditions, writes }).await);
    }
    let (last, _) = store.scan("k").await.unwrap();
    let (mut since, mut told) = (Revision(last.0 - HISTORY), 0);
    while since < last {
        for (revision, keys) in store.watch(since).await.unwrap() {
            assert!(revision > since && keys.len() == 64, "a commit was cut");
            since = revision;
            told += 1;
        }
    }
    assert_eq!(told, HISTORY);
}

async fn of_many_writers_one_wins_each_version<S: Store + 'static>(store: S) {
    const WRITERS: u64 = 64;
    let store = Arc::new(store);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                loop {
                    let version = store.get("one").await.unwrap().map_or(0, |item| item.version);
                    match put(&*store, "one", version, &writer.to_be_bytes()).await {
                        Commit::Committed(revision) => return (version + 1, revision, writer),
                        Commit::Conflict => {}
                        other => panic!("{other:?}"),
                    }
                }
            })
        })
        .collect();
    let mut wins = BTreeSet::new();
    for writer in writers {
        wins.insert(writer.await.unwrap());
    }
    assert_eq!(wins.iter().map(|win| win.0).collect::<Vec<_>>(), (1..=WRITERS).collect::<Vec<_>>());
    let mut revisions: Vec<_> = wins.iter().map(|win| win.1).collect();
    revisions.dedup();
    assert!(revisions.len() as u64 == WRITERS && revisions.is_sorted(), "revisions must grow with versions");
    let (_, last, writer) = *wins.last().unwrap();
    let item = store.get("one").await.unwrap().unwrap();
    assert_eq!((item.version, item.revision, &item.value[..]), (WRITERS, last, &writer.to_be_bytes()[..]));
}
