#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs::{File, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::*;
use crate::port::Write;
use crate::store::contract::{HISTORY, committed, contract, must_put, put, transaction};
use crate::store::file::beside;

fn fresh() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    (directory, path)
}

fn new() -> Options {
    Options { create: true, ..Options::default() }
}

fn open(path: &Path) -> Result<SqliteStore, OpenFault> {
    SqliteStore::open(path, Options::default())
}

fn fault(path: &Path) -> OpenFault {
    open(path).map(|_| ()).unwrap_err()
}

/// Copies the files as they are now, as a power cut would leave them.
fn cut_power(path: &Path) -> (TempDir, PathBuf) {
    let (directory, copy) = fresh();
    std::fs::copy(path, &copy).unwrap();
    std::fs::copy(beside(path, "-wal"), beside(&copy, "-wal")).unwrap();
    (directory, copy)
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_the_contract() {
    let directories = Mutex::new(Vec::new());
    contract(|| {
        let (directory, path) = fresh();
        directories.lock().unwrap().push(directory);
        SqliteStore::open(&path, Options { history: HISTORY, ..new() }).unwrap()
    })
    .await;
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_close_and_after_a_power_cut() {
    let (_directory, path) = fresh();
    let store = SqliteStore::open(&path, new()).unwrap();
    let first = transaction(&[("a", 0)], vec![Write::Put("a".into(), vec![1])]);
    let revision = committed(store.commit(first.clone()).await);
    let (_copied, copy) = cut_power(&path);
    let after_cut = open(&copy).unwrap();
    assert_eq!(after_cut.get("a").await, store.get("a").await);
    assert_eq!((after_cut.revision(), after_cut.happened(first.id).await), (revision, Ok(Some(revision))));
    store.close();
    let store = SqliteStore::open(&path, new()).unwrap();
    assert_eq!(store.get("a").await.unwrap().unwrap().value, [1]);
    assert!(must_put(&store, "b", 0, b"").await > revision, "revisions go on where they were");
    drop(store);
    assert_eq!(open(&path).unwrap().scan("").await.unwrap().1.len(), 2);
}

/// Not a test but the process that `a_killed_process_loses_nothing_acknowledged` kills: without the variable it does
/// nothing.
#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "how a test talks to its own child")]
async fn child_that_commits_until_it_is_killed() {
    let Some(path) = std::env::var_os("CLAVIGER_TEST_STORE") else { return };
    let store = SqliteStore::open(Path::new(&path), new()).unwrap();
    for version in 0..1_000_000 {
        must_put(&store, "count", version, &[9; 5000]).await;
        writeln!(std::io::stderr(), "committed {}", version + 1).unwrap();
    }
}

#[tokio::test]
async fn a_killed_process_loses_nothing_acknowledged() {
    let (_directory, path) = fresh();
    let mut acknowledged = 0;
    for wait_for in [1, 20, 300] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::sqlite::tests::child_that_commits_until_it_is_killed", "--nocapture"])
            .env("CLAVIGER_TEST_STORE", &path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let count =
            |line: &str| line.rsplit_once("committed ").and_then(|(_, count)| count.parse::<u64>().ok());
        let (mut killed, mut said) = (false, Vec::new());
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            let Some(count) = count(&line) else {
                said.push(line);
                continue;
            };
            acknowledged = count;
            if count >= wait_for && !killed {
                child.kill().unwrap();
                killed = true;
            }
        }
        child.wait().unwrap();
        assert!(acknowledged >= wait_for, "the child died by itself: {said:#?}");
        let store = open(&path).unwrap();
        let version = store.get("count").await.unwrap().unwrap().version;
        assert!(version >= acknowledged, "{acknowledged} was acknowledged, {version} is there");
        committed(store.commit(transaction(&[], vec![Write::Delete("count".into())])).await);
    }
}

#[tokio::test]
async fn a_full_store_says_so_keeps_what_it_has_and_recovers() {
    let (_directory, path) = fresh();
    let store = SqliteStore::open(&path, Options { max_pages: Some(100), ..new() }).unwrap();
    let mut count = 0;
    let big = vec![7; 30_000];
    while let Commit::Committed(_) = put(&store, &format!("k{count}"), 0, &big).await {
        count += 1;
    }
    assert!(count > 3);
    let before = store.scan("").await.unwrap();
    assert_eq!(put(&store, "more", 0, &big).await, Commit::Full);
    assert_eq!(store.scan("").await.unwrap(), before);
    // Removing needs no room that it does not make.
    committed(store.commit(transaction(&[], vec![Write::Delete("k0".into())])).await);
    // What fits, fits: also in one group with what does not, before it or after it.
    let huge = vec![7; 200_000];
    let (small, large, last) = tokio::join!(
        put(&store, "small", 0, b"x"),
        put(&store, "large", 0, &huge),
        put(&store, "small", 1, b"y")
    );
    committed(small);
    assert_eq!(large, Commit::Full);
    committed(last);
    committed(store.commit(transaction(&[], vec![Write::Delete("k1".into())])).await);
    must_put(&store, "more", 0, &big).await;
    drop(store);
    let roomy = open(&path).unwrap();
    for key in ["k0", "k1"] {
        must_put(&roomy, key, 0, &big).await;
    }
    assert_eq!(roomy.scan("").await.unwrap().1.len(), count + 2);
}

#[test]
fn every_commit_is_synced_and_nobody_else_looks_on() {
    let (_directory, path) = fresh();
    drop(SqliteStore::open(&path, new()).unwrap());
    let files = Files::claim(&path, false).unwrap();
    let connection = files.connect(&Options::default(), false).unwrap();
    let text = |pragma: &str| {
        connection
            .query_row(&format!("PRAGMA {pragma}"), [], |row| {
                row.get::<_, String>(0).or_else(|_| row.get::<_, i64>(0).map(|number| number.to_string()))
            })
            .unwrap()
    };
    assert_eq!(text("synchronous"), "2", "FULL");
    assert_eq!(text("journal_mode"), "wal");
    assert_eq!(text("locking_mode"), "exclusive");
    assert_eq!(text("busy_timeout"), "0");
    assert!(!beside(&path, "-shm").exists(), "the journal's index is shared");
}

#[test]
fn only_one_opens_it() {
    let (_directory, path) = fresh();
    let store = SqliteStore::open(&path, new()).unwrap();
    assert_eq!(fault(&path), OpenFault::AlreadyOpen);
    // Not even a program that does not know our lock.
    let other = rusqlite::Connection::open(&path).unwrap();
    other.busy_timeout(std::time::Duration::ZERO).unwrap();
    assert!(other.query_row("SELECT count(*) FROM records", [], |row| row.get::<_, i64>(0)).is_err());
    drop(other);
    drop(store);
    drop(open(&path).unwrap());
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    assert_eq!(fault(&path), OpenFault::AlreadyOpen);
}

#[test]
fn a_missing_store_is_made_only_on_purpose() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vault").join("store.db");
    assert_eq!(fault(&path), OpenFault::Missing);
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        0,
        "looking for it left something behind"
    );
    drop(SqliteStore::open(&path, new()).unwrap());
    drop(open(&path).unwrap());
    // The journal of a store that is gone would be replayed into a new one.
    std::fs::remove_file(&path).unwrap();
    File::create(beside(&path, "-wal")).unwrap();
    let result = SqliteStore::open(&path, new()).map(|_| ()).unwrap_err();
    assert!(matches!(result, OpenFault::Damaged(_)), "{result:?}");
}

#[tokio::test]
async fn others_can_neither_read_nor_swap_it() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join("vault");
    let path = home.join("store.db");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let store = SqliteStore::open(&path, new()).unwrap();
    must_put(&store, "a", 0, b"").await;
    assert_eq!(mode(&home), 0o700);
    for file in [path.clone(), beside(&path, "-wal"), beside(&path, ".lock")] {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    drop(store);
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    drop(open(&path).unwrap());
    assert_eq!(mode(&path), 0o600);
    for exposed in [0o720, 0o702] {
        std::fs::set_permissions(&home, Permissions::from_mode(exposed)).unwrap();
        assert_eq!(fault(&path), OpenFault::Exposed);
    }
    std::fs::set_permissions(&home, Permissions::from_mode(0o755)).unwrap();
    drop(open(&path).unwrap());
    let elsewhere = home.join("elsewhere.db");
    std::fs::rename(&path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    assert_eq!(fault(&path), OpenFault::Damaged("it is not a regular file".into()));
}

#[tokio::test]
async fn truncation_and_garbage_are_damage() {
    let (_directory, path) = fresh();
    let store = SqliteStore::open(&path, new()).unwrap();
    for n in 0..20 {
        must_put(&store, &format!("k{n}"), 0, &[7; 3000]).await;
    }
    drop(store);
    let good = std::fs::read(&path).unwrap();
    let damaged = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let result = open(&path).map(|_| ());
        // SQLite may not have written anything into it either.
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        matches!(result, Err(OpenFault::Damaged(_)))
    };
    for len in (0..good.len()).step_by(1024).chain([1, 50, 99, 100, good.len() - 1]) {
        assert!(damaged(&good[..len]), "cut at {len} of {}", good.len());
    }
    assert!(damaged(&[&good[..], b"x"].concat()), "longer than it says");
    assert!(damaged(&vec![b'x'; good.len()]));
    let mut bad = good.clone();
    bad[4096..8192].fill(0xff);
    assert!(damaged(&bad), "a page of garbage");
    std::fs::write(&path, &good).unwrap();
    assert_eq!(open(&path).unwrap().scan("k").await.unwrap().1.len(), 20);
}

#[test]
fn a_store_of_a_newer_or_another_program_is_not_touched() {
    let (_directory, path) = fresh();
    drop(SqliteStore::open(&path, new()).unwrap());
    let set = |pragma: &str| {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch(&format!("PRAGMA {pragma}")).unwrap();
    };
    let check = |expected: OpenFault| {
        let before = std::fs::read(&path).unwrap();
        assert_eq!(fault(&path), expected);
        assert_eq!(SqliteStore::open(&path, new()).map(|_| ()).unwrap_err(), expected);
        assert_eq!(std::fs::read(&path).unwrap(), before);
    };
    let known = crate::store::schema::newest();
    // In another journal mode than ours, as a newer program may have it: opening it our way would write to it.
    set("journal_mode = DELETE");
    set(&format!("user_version = {}", known + 1));
    check(OpenFault::Newer { found: known + 1, known });
    set(&format!("user_version = {known}"));
    set("application_id = 1");
    check(OpenFault::NotOurs);
    set(&format!("application_id = {}", crate::store::schema::APPLICATION));
    drop(open(&path).unwrap());
    // Tables that are not what the version says.
    rusqlite::Connection::open(&path).unwrap().execute_batch("DROP TABLE meta").unwrap();
    assert!(matches!(fault(&path), OpenFault::Damaged(_)));
}

#[test]
fn revisions_that_do_not_fit_are_damage() {
    let (_directory, path) = fresh();
    drop(SqliteStore::open(&path, new()).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("INSERT INTO records VALUES ('a', 1, 5, x'00')").unwrap();
    drop(connection);
    assert_eq!(fault(&path), OpenFault::Damaged("its revisions do not fit together".into()));
}

/// The tables as each version of this program made them, brought up to date: the steps are never edited.
#[test]
fn every_step_of_the_schema_is_walked() {
    use crate::store::schema;

    for start in 0..=schema::MIGRATIONS.len() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        for step in &schema::MIGRATIONS[..start] {
            connection.execute_batch(step).unwrap();
        }
        connection.execute_batch(&format!("PRAGMA user_version = {start}")).unwrap();
        schema::migrate(&connection).unwrap();
        let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(found, schema::newest());
        schema::migrate(&connection).unwrap();
    }
}

#[test]
fn what_an_older_program_wrote_is_kept() {
    use crate::port::Revision;
    use crate::store::{engine, schema};

    let connection = rusqlite::Connection::open_in_memory().unwrap();
    connection.execute_batch(schema::MIGRATIONS[0]).unwrap();
    connection.execute_batch("PRAGMA user_version = 1; UPDATE meta SET revision = 9").unwrap();
    // Not in the order of their keys, and one that does not fit a page.
    let written: [(_, u32, u32, _); 3] =
        [("b", 3, 9, vec![1; 40_000]), ("a", 1, 2, vec![]), ("c/1", 2, 7, vec![2; 300])];
    for (key, version, revision, value) in &written {
        connection
            .execute(
                "INSERT INTO records VALUES (?1, ?2, ?3, ?4)",
                rusqlite::params![key, version, revision, value],
            )
            .unwrap();
    }
    schema::migrate(&connection).unwrap();
    let found = engine::scan(&connection, "").unwrap();
    let mut wanted: Vec<Item> = written
        .into_iter()
        .map(|(key, version, revision, value)| Item {
            key: key.to_owned(),
            version: version.into(),
            revision: Revision(revision.into()),
            value,
        })
        .collect();
    wanted.sort_by(|one, other| one.key.cmp(&other.key));
    assert_eq!(found, wanted);
    assert_eq!(engine::revision(&connection).unwrap(), Some(Revision(9)));
}

fn with_fault() -> (TempDir, SqliteStore, Arc<Mutex<Option<CommitFault>>>) {
    let (directory, path) = fresh();
    let fault = Arc::new(Mutex::new(None));
    let store = SqliteStore::open(&path, Options { fault: Some(Arc::clone(&fault)), ..new() }).unwrap();
    (directory, store, fault)
}

#[tokio::test]
async fn an_unknown_commit_can_be_asked_for() {
    let (_directory, store, fault) = with_fault();
    let base = must_put(&store, "a", 0, b"").await;
    for (kind, happened) in [(CommitFault::AnswerLost, true), (CommitFault::NotDone, false)] {
        let watcher = store.watch(store.revision());
        let before = store.scan("").await.unwrap();
        let id_known = transaction(&[("b", 0)], vec![Write::Put("b".into(), vec![1])]);
        *fault.lock().unwrap() = Some(kind);
        assert_eq!(store.commit(id_known.clone()).await, Commit::Unknown);
        let revision = store.happened(id_known.id).await.unwrap();
        assert_eq!(revision.is_some(), happened, "{kind:?}");
        assert_eq!(store.get("b").await.unwrap().is_some(), happened);
        if happened {
            // Who watches hears of it though nobody was told that it was committed.
            let told = tokio::time::timeout(std::time::Duration::from_secs(20), watcher).await.unwrap();
            assert_eq!(told.unwrap(), [(revision.unwrap(), vec!["b".to_owned()])]);
            committed(store.commit(transaction(&[], vec![Write::Delete("b".into())])).await);
        } else {
            assert_eq!(store.scan("").await.unwrap(), before);
            assert!(
                committed(store.commit(id_known).await) > base,
                "it can be tried again under the same id"
            );
        }
    }
}

/// A sync that failed is not tried once more and then believed: what the journal holds is written anew, and until that
/// was synced nothing is acknowledged, read or told.
#[tokio::test]
async fn after_a_failed_sync_nothing_is_believed_before_it_is_written_anew() {
    let (_directory, path) = fresh();
    let (fault, settle) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(None)));
    let options =
        Options { fault: Some(Arc::clone(&fault)), settle_fault: Some(Arc::clone(&settle)), ..new() };
    let store = SqliteStore::open(&path, options).unwrap();
    must_put(&store, "a", 0, b"").await;
    assert_eq!(store.trouble(), None);
    for code in [rusqlite::ffi::SQLITE_IOERR_FSYNC, rusqlite::ffi::SQLITE_FULL] {
        let lost = transaction(&[], vec![Write::Delete("b".into()), Write::Delete("a".into())]);
        *settle.lock().unwrap() = Some(code);
        *fault.lock().unwrap() = Some(CommitFault::AnswerLost);
        assert_eq!(store.commit(lost.clone()).await, Commit::Unknown);
        for _ in 0..3 {
            assert_eq!(put(&store, "c", 0, b"").await, Commit::Unavailable);
            assert!(matches!(store.happened(lost.id).await, Err(StoreFault::Unavailable(_))));
            assert!(matches!(store.get("a").await, Err(StoreFault::Unavailable(_))));
        }
        assert!(store.trouble().is_some());
        *settle.lock().unwrap() = None;
        assert!(store.happened(lost.id).await.unwrap().is_some(), "it had reached the journal");
        assert_eq!(std::fs::metadata(beside(&path, "-wal")).map_or(0, |file| file.len()), 0);
        must_put(&store, "a", 0, b"").await;
        assert_eq!(store.trouble(), None);
    }
}

/// What a killed run left in the journal is in the database before anything is added to it.
#[tokio::test]
async fn a_journal_that_was_left_is_emptied_first() {
    let (_directory, path) = fresh();
    let store = SqliteStore::open(&path, new()).unwrap();
    for version in 0..5 {
        must_put(&store, "a", version, b"x").await;
    }
    let (_copied, copy) = cut_power(&path);
    let journal = beside(&copy, "-wal");
    assert!(std::fs::metadata(&journal).unwrap().len() > 0);
    let after = open(&copy).unwrap();
    assert_eq!(std::fs::metadata(&journal).unwrap().len(), 0);
    assert_eq!(after.get("a").await.unwrap().unwrap().version, 5);
    drop(after);
    // A full disk is no reason not to start: that journal was synced, as far as anybody knows.
    let (_copied, copy) = cut_power(&path);
    let full = Arc::new(Mutex::new(Some(rusqlite::ffi::SQLITE_FULL)));
    let options = Options { settle_fault: Some(Arc::clone(&full)), ..Options::default() };
    let after = SqliteStore::open(&copy, options.clone()).unwrap();
    assert_eq!(after.get("a").await.unwrap().unwrap().version, 5);
    drop(after);
    *full.lock().unwrap() = Some(rusqlite::ffi::SQLITE_IOERR_FSYNC);
    assert!(matches!(SqliteStore::open(&copy, options), Err(OpenFault::Unavailable(_))));
}

#[tokio::test]
async fn no_room_at_the_commit_itself_changes_nothing() {
    let (_directory, store, fault) = with_fault();
    must_put(&store, "a", 0, b"").await;
    let before = store.scan("").await.unwrap();
    *fault.lock().unwrap() = Some(CommitFault::NoRoom);
    assert_eq!(put(&store, "b", 0, b"").await, Commit::Full);
    assert_eq!(store.scan("").await.unwrap(), before);
    must_put(&store, "b", 0, b"").await;
}

#[tokio::test]
async fn a_dead_thread_is_an_answer_not_a_panic() {
    let (directory, store, fault) = with_fault();
    let since = must_put(&store, "a", 0, b"").await;
    *fault.lock().unwrap() = Some(CommitFault::Die);
    assert_eq!(put(&store, "b", 0, b"").await, Commit::Unknown, "nobody knows how far it came");
    while !store.thread.as_ref().unwrap().is_finished() {
        tokio::task::yield_now().await;
    }
    assert_eq!(put(&store, "b", 0, b"").await, Commit::Unavailable);
    assert!(matches!(store.get("a").await, Err(StoreFault::Unavailable(_))));
    assert!(matches!(store.watch(since).await, Err(StoreFault::Unavailable(_))));
    drop(store);
    let store = open(&directory.path().join("store.db")).unwrap();
    assert!(store.get("a").await.unwrap().is_some());
}

#[tokio::test]
async fn a_commit_whose_caller_has_gone_is_seen_by_the_next_read() {
    let (_directory, path) = fresh();
    let store = SqliteStore::open(&path, new()).unwrap();
    let abandoned = transaction(&[("a", 0)], vec![Write::Put("a".into(), vec![])]);
    let mut commit = store.commit(abandoned.clone());
    // Polled once, so that it is queued, and dropped.
    assert!(!matches!(futures_util::poll!(&mut commit), std::task::Poll::Ready(Commit::Conflict)));
    drop(commit);
    assert!(store.happened(abandoned.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_group_answers_each_transaction_for_itself() {
    let (_directory, path) = fresh();
    let store = SqliteStore::open(&path, new()).unwrap();
    let results = futures_util::future::join_all((0..200).map(|n| {
        let store = &store;
        async move { put(store, &format!("k{}", n / 2), 0, b"").await }
    }))
    .await;
    let won = results.iter().filter(|commit| matches!(commit, Commit::Committed(_))).count();
    let lost = results.iter().filter(|commit| **commit == Commit::Conflict).count();
    assert_eq!((won, lost), (100, 100));
    assert_eq!(store.scan("k").await.unwrap().1.len(), 100);
}
