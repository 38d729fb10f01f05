//! The store's files: who may have them open, how they begin, and whether they are what they should be.
//!
//! `PATH` is the database, `PATH-wal` its journal, `PATH.lock` the lock that keeps a second vault out. A new database
//! is made whole as `PATH.new` and renamed, so an empty or half-made `PATH` is always damage and never a fresh start:
//! a vault that took it for one would have forgotten every revocation.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema;
use super::sqlite::{OpenFault, Options};

/// The files of one store, locked against any other opener until this is dropped.
pub(super) struct Files {
    path: PathBuf,
    /// Held, never read. The file itself stays: removing a lock file lets two in.
    _lock: File,
}

impl Files {
    /// Locks the store at that path. If it may be made, makes its directory (0700, one level) if that is not there; if
    /// not, a store that is missing leaves no trace.
    pub(super) fn claim(path: &Path, create: bool) -> Result<Self, OpenFault> {
        let directory = directory_of(path);
        if !create && !exists(path)? {
            return Err(OpenFault::Missing);
        }
        if !exists(directory)? {
            DirBuilder::new().mode(0o700).create(directory)?;
        }
        // Who can write the directory can swap the store for another.
        if directory.metadata()?.permissions().mode() & 0o022 != 0 {
            return Err(OpenFault::Exposed);
        }
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(beside(path, ".lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OpenFault::AlreadyOpen),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Makes the database if there is none.
    pub(super) fn create_if_missing(&self) -> Result<(), OpenFault> {
        if exists(&self.path)? {
            Ok(())
        } else if exists(&beside(&self.path, "-wal"))? {
            // SQLite would replay the lost store's journal into the new one.
            Err(OpenFault::Damaged("its journal is there, but the store is not".into()))
        } else {
            self.create()
        }
    }

    fn create(&self) -> Result<(), OpenFault> {
        let fresh = beside(&self.path, ".new");
        for remains in [fresh.clone(), beside(&fresh, "-journal"), beside(&fresh, "-wal")] {
            match std::fs::remove_file(remains) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        let connection = Connection::open_with_flags(&fresh, flags())?;
        connection.execute_batch(&format!("PRAGMA application_id = {}", schema::APPLICATION))?;
        schema::migrate(&connection)?;
        connection.close().map_err(|(_, error)| error)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.path)?;
        File::open(directory_of(&self.path))?.sync_all()?;
        Ok(())
    }

    /// Opens the database for good: looked at before SQLite may touch it, exclusive, checked, brought up to date, its journal
    /// emptied. `doubt`: a write or a sync has failed since it was opened last, so nothing that the journal holds is
    /// believed to be on the disk.
    pub(super) fn connect(&self, options: &Options, doubt: bool) -> Result<Connection, OpenFault> {
        self.look()?;
        let connection = Connection::open_with_flags(&self.path, flags())?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        // Whoever holds it, holds it for good: waiting only delays the answer.
        connection.busy_timeout(std::time::Duration::ZERO)?;
        // Exclusive before the first read: SQLite then keeps the journal's index in its own memory, not in a file.
        pragma(&connection, "locking_mode", "EXCLUSIVE", Some("exclusive"))?;
        pragma(&connection, "trusted_schema", "OFF", None)?;
        pragma(&connection, "cell_size_check", "ON", None)?;
        pragma(&connection, "temp_store", "MEMORY", None)?;
        pragma(&connection, "journal_mode", "WAL", Some("wal"))?;
        pragma(&connection, "synchronous", "FULL", None)?;
        // After a burst the journal shrinks again, to 16 MiB.
        pragma(&connection, "journal_size_limit", "16777216", None)?;
        if let Some(pages) = options.max_pages {
            pragma(&connection, "max_page_count", &pages.to_string(), None)?;
        }
        let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if found != "ok" {
            return Err(OpenFault::Damaged("its pages do not fit together".into()));
        }
        settle(&connection, options, doubt)?;
        schema::migrate(&connection)?;
        Ok(connection)
    }

    /// Reads the file's first bytes (SQLite file format, 1.3) and tightens its mode, before anything may write to it.
    fn look(&self) -> Result<(), OpenFault> {
        if !exists(&self.path)? {
            return Err(OpenFault::Missing);
        }
        if !std::fs::symlink_metadata(&self.path)?.is_file() {
            return Err(OpenFault::Damaged("it is not a regular file".into()));
        }
        let mut file = File::open(&self.path)?;
        let mut head = [0; 100];
        file.read_exact(&mut head).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                OpenFault::Damaged("it ends within its first 100 bytes".into())
            }
            _ => error.into(),
        })?;
        if !head.starts_with(b"SQLite format 3\0") {
            return Err(OpenFault::Damaged("it does not begin as a store does".into()));
        }
        let number = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if number(68) != schema::APPLICATION {
            return Err(OpenFault::NotOurs);
        }
        if number(60) > schema::newest() {
            return Err(OpenFault::Newer { found: number(60), known: schema::newest() });
        }
        // SQLite fills up a last page that was cut. With a journal the length is in flux, and recovery sees to it.
        let journal =
            std::fs::symlink_metadata(beside(&self.path, "-wal")).is_ok_and(|journal| journal.len() > 0);
        // A page size of 65536 is written as 1.
        let page = match u64::from(u16::from_be_bytes([head[16], head[17]])) {
            1 => 65_536,
            size => size,
        };
        let len = file.metadata()?.len();
        if !journal && len != page * u64::from(number(28)) {
            return Err(OpenFault::Damaged("it is not as long as it says".into()));
        }
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        Ok(())
    }
}

/// Writes what the journal holds into the database, syncs that, and empties the journal.
///
/// After a sync that failed, a file reads back whole from the system's memory although some of it may never reach the
/// disk; and the next sync of it says nothing of that. So such a journal is not synced once more and then believed:
/// everything in it is written anew, to another file, whose own sync speaks for it.
fn settle(connection: &Connection, options: &Options, doubt: bool) -> Result<(), OpenFault> {
    match checkpoint(connection, options) {
        Ok(false) => Ok(()),
        Ok(true) => Err(OpenFault::Unavailable("its journal cannot be emptied".into())),
        // Its journal was synced, as far as is known, and can be added to: a full disk is no reason not to start.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) && !doubt => {
            tracing::warn!("there is no room to empty the store's journal");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether something kept it from its end.
#[cfg(not(test))]
fn checkpoint(connection: &Connection, _options: &Options) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
}

/// The same, or with a fault that a test asked for.
#[cfg(test)]
fn checkpoint(connection: &Connection, options: &Options) -> rusqlite::Result<bool> {
    if let Some(code) = options.settle_fault.as_ref().and_then(|fault| *fault.lock().ok()?) {
        return Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None));
    }
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
}

fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Sets a pragma, and where SQLite answers what it now is, checks the answer.
fn pragma(connection: &Connection, name: &str, value: &str, expected: Option<&str>) -> Result<(), OpenFault> {
    let mut answer = None;
    let mut statement = connection.prepare(&format!("PRAGMA {name} = {value}"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        answer = row.get::<_, String>(0).ok();
    }
    match (expected, answer) {
        (Some(expected), answer) if answer.as_deref() != Some(expected) => {
            Err(OpenFault::Unavailable(format!("{name} cannot be {value} here")))
        }
        _ => Ok(()),
    }
}

/// Whether anything is there, be it a dangling link; an error is not taken for a no.
fn exists(path: &Path) -> Result<bool, OpenFault> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The path with that ending.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
