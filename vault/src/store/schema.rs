//! The tables, and how they came to be: each step once, in order, never edited after it was released.

use rusqlite::Connection;

use super::sqlite::OpenFault;

/// `PRAGMA application_id`: "CLVG". A file with another one is not ours.
pub(super) const APPLICATION: u32 = 0x434c_5647;

/// Step n takes a store from `PRAGMA user_version` n to n + 1.
///
/// 1. `meta` has one row: the last revision, and the floor, up to which revisions are no longer known. `records` is
///    what is kept; the value stands last, so that reading the rest does not read it. `changes` are the keys that each
///    revision after the floor changed. `transactions` are the ids committed after the floor.
/// 2. `records` lie in the order of their keys, and there is no index beside them: a start reads a kind of records from
///    end to end, and a write touches one tree. It takes as much room as the records have, once.
pub(super) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE meta (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        revision INTEGER NOT NULL,
        floor INTEGER NOT NULL
    ) STRICT;
    INSERT INTO meta VALUES (1, 0, 0);
    CREATE TABLE records (
        key TEXT NOT NULL PRIMARY KEY,
        version INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        value BLOB NOT NULL
    ) STRICT;
    CREATE TABLE changes (
        revision INTEGER NOT NULL,
        key TEXT NOT NULL,
        PRIMARY KEY (revision, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE transactions (
        id BLOB NOT NULL PRIMARY KEY,
        revision INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX transactions_by_revision ON transactions (revision);
",
    "
    CREATE TABLE sorted (
        key TEXT NOT NULL PRIMARY KEY,
        version INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO sorted SELECT key, version, revision, value FROM records ORDER BY key;
    DROP TABLE records;
    ALTER TABLE sorted RENAME TO records;
",
];

/// The newest `user_version` that this program knows.
pub(super) fn newest() -> u32 {
    MIGRATIONS.len() as u32
}

/// Brings the tables up to [`newest`], each step in a transaction of its own that also counts `user_version` up.
///
/// # Errors
/// If they are newer than this program, which changes nothing, or if a step fails, which undoes that step.
pub(super) fn migrate(connection: &Connection) -> Result<(), OpenFault> {
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > newest() {
        return Err(OpenFault::Newer { found, known: newest() });
    }
    for (version, step) in MIGRATIONS.iter().enumerate().skip(found as usize) {
        let transaction = connection.unchecked_transaction()?;
        transaction.execute_batch(step)?;
        transaction.execute_batch(&format!("PRAGMA user_version = {}", version + 1))?;
        transaction.commit()?;
    }
    Ok(())
}
