//! What is done on an open database: one group of transactions, and reads.

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Row, params};

use crate::port::{Commit, Item, Revision, StoreFault, Transaction, Write};

/// The most rows that one answer of [`changes`] is made from.
const CHANGES: usize = 4096;

/// How a group ended: one answer per transaction, and whether the connection can still be trusted.
pub(super) struct Group {
    pub(super) answers: Vec<Commit>,
    /// The last revision now.
    pub(super) revision: Revision,
    /// After a commit of unknown fate, or a rollback that failed: what SQLite has in memory may not be what is on disk.
    pub(super) broken: bool,
    /// The fault of one undid them all, before any was committed: each may be tried by itself.
    pub(super) undone: bool,
}

/// Why a transaction was not applied, though no engine error occurred, or that it was.
enum Applied {
    Now,
    /// The same id was committed earlier, at that revision: it is not applied twice.
    Before(Revision),
    Conflict,
}

/// Applies the transactions in order within one SQLite transaction, each in a savepoint: one that conflicts leaves the
/// others as they are. A fault of one does too where SQLite lets it; a full disk makes it undo the whole. Nothing is
/// durable before `commit` has returned.
pub(super) fn group(
    connection: &Connection,
    base: Revision,
    history: u64,
    transactions: &[Transaction],
    commit: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Group {
    if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
        return lost(connection, base, transactions.len(), &error);
    }
    let mut answers = Vec::with_capacity(transactions.len());
    let mut revision = base;
    for transaction in transactions {
        match one(connection, Revision(revision.0 + 1), transaction) {
            Ok(Applied::Now) => {
                revision.0 += 1;
                answers.push(Commit::Committed(revision));
            }
            Ok(Applied::Before(earlier)) => answers.push(Commit::Committed(earlier)),
            Ok(Applied::Conflict) => answers.push(Commit::Conflict),
            Err(error) => {
                let undone = connection.execute_batch("ROLLBACK TO one; RELEASE one");
                if undone.is_err() || connection.is_autocommit() {
                    // https://www.sqlite.org/lang_transaction.html, "Response To Errors Within A Transaction".
                    return lost(connection, base, transactions.len(), &error);
                }
                answers.push(before_commit(&error));
            }
        }
    }
    if revision > base
        && let Err(error) = advance(connection, revision, history)
    {
        return lost(connection, base, transactions.len(), &error);
    }
    match commit(connection) {
        Ok(()) => Group { answers, revision, broken: false, undone: false },
        Err(error) => {
            let fate = after_commit(&error);
            let broken = fate == Commit::Unknown || !rolled_back(connection);
            // What was decided on top of changes that are now in doubt is in doubt itself.
            for answer in &mut answers {
                match answer {
                    Commit::Committed(at) if *at > base => *answer = fate,
                    Commit::Conflict => *answer = Commit::Unavailable,
                    _ => {}
                }
            }
            Group { answers, revision: base, broken, undone: false }
        }
    }
}

fn lost(connection: &Connection, base: Revision, count: usize, error: &rusqlite::Error) -> Group {
    // No room is no fault of the connection's; after anything else a new one may do better.
    let answer = before_commit(error);
    let broken = !rolled_back(connection) || answer != Commit::Full;
    Group { answers: vec![answer; count], revision: base, broken, undone: true }
}

fn rolled_back(connection: &Connection) -> bool {
    connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok()
}

fn one(connection: &Connection, revision: Revision, transaction: &Transaction) -> rusqlite::Result<Applied> {
    connection.execute_batch("SAVEPOINT one")?;
    let applied = apply(connection, revision, transaction)?;
    connection.execute_batch("RELEASE one")?;
    Ok(applied)
}

fn apply(
    connection: &Connection,
    revision: Revision,
    transaction: &Transaction,
) -> rusqlite::Result<Applied> {
    if let Some(earlier) = happened(connection, transaction.id)? {
        return Ok(Applied::Before(earlier));
    }
    let mut version = connection.prepare_cached("SELECT version FROM records WHERE key = ?1")?;
    for precondition in &transaction.preconditions {
        let found: Option<i64> = version.query_row([&precondition.key], |row| row.get(0)).optional()?;
        if natural(found.unwrap_or(0)) != precondition.version {
            return Ok(Applied::Conflict);
        }
    }
    let mut put = connection.prepare_cached(
        "INSERT INTO records (key, version, revision, value) VALUES (?1, 1, ?2, ?3)
         ON CONFLICT (key) DO UPDATE SET version = version + 1, revision = ?2, value = ?3",
    )?;
    let mut delete = connection.prepare_cached("DELETE FROM records WHERE key = ?1")?;
    let mut changed = connection.prepare_cached("INSERT INTO changes (revision, key) VALUES (?1, ?2)")?;
    for write in &transaction.writes {
        let (key, rows) = match write {
            Write::Put(key, value) => (key, put.execute(params![key, integer(revision.0), value])?),
            Write::Delete(key) => (key, delete.execute([key])?),
        };
        if rows > 0 {
            changed.execute(params![integer(revision.0), key])?;
        }
    }
    connection
        .prepare_cached("INSERT INTO transactions (id, revision) VALUES (?1, ?2)")?
        .execute(params![&transaction.id[..], integer(revision.0)])?;
    Ok(Applied::Now)
}

/// Writes the last revision down and forgets those that are more than `history` older.
fn advance(connection: &Connection, revision: Revision, history: u64) -> rusqlite::Result<()> {
    let floor = integer(revision.0.saturating_sub(history));
    connection
        .prepare_cached("UPDATE meta SET revision = ?1, floor = max(floor, ?2)")?
        .execute(params![integer(revision.0), floor])?;
    if floor > 0 {
        connection.prepare_cached("DELETE FROM changes WHERE revision <= ?1")?.execute([floor])?;
        connection.prepare_cached("DELETE FROM transactions WHERE revision <= ?1")?.execute([floor])?;
    }
    Ok(())
}

/// The last revision, having looked that no record is newer.
pub(super) fn revision(connection: &Connection) -> rusqlite::Result<Option<Revision>> {
    let sql = "SELECT revision, (SELECT coalesce(max(revision), 0) FROM records) FROM meta WHERE id = 1";
    let found: Option<(i64, i64)> =
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(found.filter(|(last, newest)| *last >= 0 && newest <= last).map(|(last, _)| Revision(natural(last))))
}

pub(super) fn get(connection: &Connection, key: &str) -> rusqlite::Result<Option<Item>> {
    connection
        .prepare_cached("SELECT key, version, revision, value FROM records WHERE key = ?1")?
        .query_row([key], item)
        .optional()
}

pub(super) fn scan(connection: &Connection, prefix: &str) -> rusqlite::Result<Vec<Item>> {
    // Keys are printable ASCII, so everything that begins with the prefix sorts before prefix and DEL.
    connection
        .prepare_cached(
            "SELECT key, version, revision, value FROM records WHERE key >= ?1 AND key < ?1 || char(127) ORDER BY key",
        )?
        .query_map([prefix], item)?
        .collect()
}

/// The first records of that prefix after that key.
pub(super) fn page(
    connection: &Connection,
    prefix: &str,
    after: Option<&str>,
    most: usize,
) -> rusqlite::Result<Vec<Item>> {
    // One lower bound, so that SQLite begins there and not at the prefix. A key that does not begin with it, but comes
    // after it, is beyond the upper bound.
    let (sql, from) = match after {
        None => (
            "SELECT key, version, revision, value FROM records
             WHERE key >= ?1 AND key < ?2 || char(127) ORDER BY key LIMIT ?3",
            prefix,
        ),
        Some(after) => (
            "SELECT key, version, revision, value FROM records
             WHERE key > ?1 AND key < ?2 || char(127) ORDER BY key LIMIT ?3",
            after.max(prefix),
        ),
    };
    connection.prepare_cached(sql)?.query_map(params![from, prefix, integer(most as u64)], item)?.collect()
}

pub(super) fn happened(connection: &Connection, id: [u8; 16]) -> rusqlite::Result<Option<Revision>> {
    connection
        .prepare_cached("SELECT revision FROM transactions WHERE id = ?1")?
        .query_row([&id[..]], |row| Ok(Revision(natural(row.get(0)?))))
        .optional()
}

/// The keys that each commit after `since` changed: whole commits, the oldest first, as many as fit one answer.
/// `None` if some of them are forgotten, or if `since` has not been yet.
#[allow(clippy::type_complexity, reason = "the port's own shape")]
pub(super) fn changes(
    connection: &Connection,
    since: Revision,
) -> rusqlite::Result<Option<Vec<(Revision, Vec<String>)>>> {
    let known = connection
        .prepare_cached("SELECT ?1 BETWEEN floor AND revision FROM meta WHERE id = 1")?
        .query_row([integer(since.0)], |row| row.get::<_, bool>(0))?;
    if !known {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(
        "SELECT revision, key FROM changes WHERE revision > ?1 ORDER BY revision, key LIMIT ?2",
    )?;
    let mut rows = statement.query(params![integer(since.0), integer(CHANGES as u64)])?;
    let mut all = Vec::<(Revision, Vec<String>)>::new();
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let (revision, key) = (Revision(natural(row.get(0)?)), row.get(1)?);
        match all.last_mut() {
            Some((last, keys)) if *last == revision => keys.push(key),
            _ => all.push((revision, vec![key])),
        }
    }
    // The last commit may have been cut; it is told with the next answer. One commit alone never fills an answer.
    if count == CHANGES {
        all.pop();
    }
    Ok(Some(all))
}

/// A commit's end when an error came before `COMMIT` was tried: nothing changed.
fn before_commit(error: &rusqlite::Error) -> Commit {
    tracing::warn!(code = ?error.sqlite_error_code(), "the store did not take a transaction");
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Commit::Full,
        _ => Commit::Unavailable,
    }
}

/// A commit's end when `COMMIT` itself failed. SQLite reports a full disk only when a write fell short, and the
/// frame that makes a commit valid is the last one written; a lock is refused before anything is written. After all
/// else the frames may be in the journal and valid, and be believed at the next start.
fn after_commit(error: &rusqlite::Error) -> Commit {
    tracing::error!(code = ?error.sqlite_error_code(), "the store's commit failed");
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Commit::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Commit::Unavailable,
        _ => Commit::Unknown,
    }
}

/// A read's fault, and whether the connection should be made anew.
pub(super) fn read_fault(error: &rusqlite::Error) -> (StoreFault, bool) {
    let code = error.sqlite_error_code();
    match (error, code) {
        (_, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) => {
            (StoreFault::Damaged("its pages do not fit together".into()), false)
        }
        (_, Some(code)) => (StoreFault::Unavailable(format!("{code:?}")), true),
        // Not SQLite's word but ours: a column is not of the type it was written with.
        (_, None) => (StoreFault::Damaged("a row is not what was written".into()), false),
    }
}

fn item(row: &Row<'_>) -> rusqlite::Result<Item> {
    Ok(Item {
        key: row.get(0)?,
        version: natural(row.get(1)?),
        revision: Revision(natural(row.get(2)?)),
        value: row.get(3)?,
    })
}

/// SQLite's integers are signed; a count that no store reaches stays the greatest.
fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// No count that was written is negative; one that is was not written by us and fits no precondition but 0's.
fn natural(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use rusqlite::ffi;

    use super::*;
    use crate::store::contract::transaction;
    use crate::store::schema;

    /// Three of which the second conflicts because of the first, and one that was committed before.
    fn mixed(connection: &Connection, commit: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Group {
        schema::migrate(connection).unwrap();
        let put = |key: &str| vec![Write::Put(key.into(), vec![])];
        let earlier = transaction(&[("z", 0)], put("z"));
        let first =
            group(connection, Revision(0), 10, std::slice::from_ref(&earlier), |c| c.execute_batch("COMMIT"));
        assert_eq!(
            (first.revision, &first.answers[..]),
            (Revision(1), &[Commit::Committed(Revision(1))][..])
        );
        let all = [
            transaction(&[("a", 0)], put("a")),
            transaction(&[("a", 0)], put("a")),
            transaction(&[], vec![]),
            earlier,
        ];
        group(connection, first.revision, 10, &all, commit)
    }

    #[test]
    fn a_group_is_one_commit_with_an_answer_for_each() {
        let connection = Connection::open_in_memory().unwrap();
        let mut commits = 0;
        let ended = mixed(&connection, |connection| {
            commits += 1;
            connection.execute_batch("COMMIT")
        });
        let done = |revision| Commit::Committed(Revision(revision));
        assert_eq!(ended.answers, [done(2), Commit::Conflict, done(3), done(1)]);
        assert_eq!((commits, ended.revision, ended.broken), (1, Revision(3), false));
        assert_eq!(revision(&connection).unwrap(), Some(Revision(3)));
    }

    #[test]
    fn a_failed_commit_leaves_no_answer_that_built_on_it() {
        use Commit::{Full, Unavailable, Unknown};
        for (code, fate, broken) in [
            (ffi::SQLITE_IOERR_FSYNC, Unknown, true),
            (ffi::SQLITE_FULL, Full, false),
            (ffi::SQLITE_BUSY, Unavailable, false),
        ] {
            let connection = Connection::open_in_memory().unwrap();
            let ended = mixed(&connection, |_| Err(error(code)));
            // What was durable before this group is so still.
            assert_eq!(ended.answers, [fate, Unavailable, fate, Commit::Committed(Revision(1))]);
            assert_eq!((ended.revision, ended.broken, ended.undone), (Revision(1), broken, false));
            if !broken {
                assert!(connection.is_autocommit(), "the transaction was left open");
                assert_eq!(get(&connection, "a").unwrap(), None);
            }
        }
    }

    fn error(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn errors_say_no_more_than_is_known() {
        let check = |code, before, after| {
            assert_eq!(before_commit(&error(code)), before);
            assert_eq!(after_commit(&error(code)), after);
        };
        check(ffi::SQLITE_FULL, Commit::Full, Commit::Full);
        check(ffi::SQLITE_BUSY, Commit::Unavailable, Commit::Unavailable);
        check(ffi::SQLITE_LOCKED, Commit::Unavailable, Commit::Unavailable);
        check(ffi::SQLITE_READONLY, Commit::Unavailable, Commit::Unknown);
        check(ffi::SQLITE_CANTOPEN, Commit::Unavailable, Commit::Unknown);
        check(ffi::SQLITE_IOERR, Commit::Unavailable, Commit::Unknown);
        check(ffi::SQLITE_IOERR_FSYNC, Commit::Unavailable, Commit::Unknown);
        check(ffi::SQLITE_CORRUPT, Commit::Unavailable, Commit::Unknown);
        check(ffi::SQLITE_NOMEM, Commit::Unavailable, Commit::Unknown);
        assert!(matches!(read_fault(&error(ffi::SQLITE_CORRUPT)), (StoreFault::Damaged(_), false)));
        assert!(matches!(read_fault(&error(ffi::SQLITE_IOERR)), (StoreFault::Unavailable(_), true)));
        let row = rusqlite::Error::InvalidColumnType(0, "value".into(), rusqlite::types::Type::Text);
        assert!(matches!(read_fault(&row), (StoreFault::Damaged(_), false)));
    }
}
