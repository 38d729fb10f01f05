//! The store of a single vault: one SQLite file, one thread, one fsync for many commits.
//!
//! Journal in WAL mode with `synchronous=FULL`: what was answered `Committed` survives a power cut. The store is locked
//! twice, by a lock file and by SQLite's exclusive mode, since two vaults on one store would undo each other's
//! revocations. A commit whose fate SQLite does not know is answered [`Commit::Unknown`]; the database is then opened
//! anew, which decides the fate, before anything else is done. A sync that failed is not tried again and then believed:
//! what the journal held is written into the database and synced there, or nothing is acknowledged any more.

use std::path::Path;
use std::thread::JoinHandle;

use rusqlite::ErrorCode;
use tokio::sync::{mpsc, oneshot, watch};

use super::file::Files;
use super::limits;
use super::thread::{Answer, Request, Worker};
use crate::port::{BoxFuture, Commit, Item, Revision, Store, StoreFault, Transaction};

/// How many requests wait before the next caller does.
const QUEUE: usize = 1024;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether it is made if it is not there. Only `init` says so: a running vault whose store is gone has lost it.
    pub create: bool,
    /// How many revisions `watch` and `happened` look back.
    pub history: u64,
    /// The most pages of 4096 bytes that the database may have; `None` for what the disk holds.
    pub max_pages: Option<u32>,
    /// The next commit's fault, taken when it occurs.
    #[cfg(test)]
    pub(crate) fault: Option<std::sync::Arc<std::sync::Mutex<Option<CommitFault>>>>,
    /// What SQLite says, for as long as it stands there, when the journal is to be emptied.
    #[cfg(test)]
    pub(crate) settle_fault: Option<std::sync::Arc<std::sync::Mutex<Option<std::ffi::c_int>>>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            create: false,
            history: 10_000,
            max_pages: None,
            #[cfg(test)]
            fault: None,
            #[cfg(test)]
            settle_fault: None,
        }
    }
}

/// What a test makes of a `COMMIT`.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
pub(crate) enum CommitFault {
    /// It happens, but SQLite says that it cannot tell.
    AnswerLost,
    /// It does not happen, and SQLite says that it cannot tell.
    NotDone,
    /// The disk is full.
    NoRoom,
    /// The thread panics.
    Die,
}

/// Why a store was not opened. Nothing was changed but by [`OpenFault::Unavailable`], where a migration's earlier
/// steps stay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenFault {
    /// Another process, or another part of this one, has it.
    #[error("another process has the store open")]
    AlreadyOpen,
    /// There is none, and none was to be made.
    #[error("there is no store at that path")]
    Missing,
    /// It is not what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// A newer program wrote it.
    #[error("the store is of version {found}, and this program knows up to {known}")]
    Newer {
        /// The version found.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// A SQLite database of some other program.
    #[error("the file is a database of another program")]
    NotOurs,
    /// Others can write the directory, and so swap the store.
    #[error("the store's directory can be written by others than its owner")]
    Exposed,
    /// The file system or SQLite refused.
    #[error("the store cannot be opened: {0}")]
    Unavailable(String),
}

impl From<std::io::Error> for OpenFault {
    fn from(error: std::io::Error) -> Self {
        OpenFault::Unavailable(error.kind().to_string())
    }
}

impl From<rusqlite::Error> for OpenFault {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenFault::AlreadyOpen,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                OpenFault::Damaged("its pages do not fit together".into())
            }
            // A table or a column that should be there is not.
            Some(ErrorCode::Unknown) | None => OpenFault::Damaged("its tables are not what was made".into()),
            Some(code) => OpenFault::Unavailable(format!("{code:?}")),
        }
    }
}

/// A store in one SQLite file. Dropping it closes it: what is queued is done first.
pub struct SqliteStore {
    /// `None` only while it is dropped.
    inbox: Option<mpsc::Sender<Request>>,
    revision: watch::Receiver<Revision>,
    trouble: watch::Receiver<Option<&'static str>>,
    thread: Option<JoinHandle<()>>,
}

impl SqliteStore {
    /// Opens the store at that path and starts its thread. Reads the whole file once, to check it: not for a
    /// runtime's own thread.
    ///
    /// # Errors
    /// See [`OpenFault`].
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenFault> {
        let worker = Worker::open(Files::claim(path, options.create)?, options)?;
        let (revision, trouble) = (worker.revisions(), worker.troubles());
        let (inbox, requests) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || worker.run(requests))?;
        Ok(Self { inbox: Some(inbox), revision, trouble, thread: Some(thread) })
    }

    /// The last revision that this process has seen committed.
    #[must_use]
    pub fn revision(&self) -> Revision {
        *self.revision.borrow()
    }

    /// Why it took no change the last time one was tried, in words for an owner; `None` where it did.
    #[must_use]
    pub fn trouble(&self) -> Option<&'static str> {
        *self.trouble.borrow()
    }

    /// Does what is queued, closes the file and gives up its lock. Blocks until that is done.
    pub fn close(self) {
        drop(self);
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, StoreFault> {
        let (answer, answered) = oneshot::channel();
        let gone = || StoreFault::Unavailable("its thread has ended".into());
        self.inbox.as_ref().ok_or_else(gone)?.send(request(answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Store for SqliteStore {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Item>, StoreFault>> {
        Box::pin(self.ask(|answer| Request::Get(key.to_owned(), answer)))
    }

    fn scan<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<(Revision, Vec<Item>), StoreFault>> {
        Box::pin(self.ask(|answer| Request::Scan(prefix.to_owned(), answer)))
    }

    fn page<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<String>,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<Item>, StoreFault>> {
        Box::pin(self.ask(move |answer| Request::Page(prefix.to_owned(), after, most, answer)))
    }

    /// A transaction beyond the limits (64 preconditions, 64 writes, keys of 1 to 256 printable ASCII characters,
    /// values of 1 MiB), with a put that has no precondition on its key, or with a key twice is a fault of the caller:
    /// it is logged and answered [`Commit::Conflict`]. An id that was committed before is answered as it was then and
    /// not applied again.
    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Commit> {
        Box::pin(async move {
            // Before the queue, so that what is too large is not even held there.
            if let Err(misuse) = limits::check(&transaction) {
                tracing::error!(%misuse, "a transaction that no store applies was refused");
                return Commit::Conflict;
            }
            let (answer, answered) = oneshot::channel();
            let Some(inbox) = &self.inbox else { return Commit::Unavailable };
            if inbox.send(Request::Commit(transaction, answer)).await.is_err() {
                return Commit::Unavailable;
            }
            // The thread took it and died: nobody knows how far it came.
            answered.await.unwrap_or(Commit::Unknown)
        })
    }

    fn happened(&self, id: [u8; 16]) -> BoxFuture<'_, Result<Option<Revision>, StoreFault>> {
        Box::pin(self.ask(move |answer| Request::Happened(id, answer)))
    }

    fn watch(&self, since: Revision) -> BoxFuture<'_, Result<Vec<(Revision, Vec<String>)>, StoreFault>> {
        Box::pin(async move {
            let mut revision = self.revision.clone();
            loop {
                // Marked as seen before asking: a commit in between wakes the wait below.
                revision.borrow_and_update();
                let changes = self.ask(|answer| Request::Changes(since, answer)).await?;
                if !changes.is_empty() {
                    return Ok(changes);
                }
                let gone = |_| StoreFault::Unavailable("its thread has ended".into());
                revision.changed().await.map_err(gone)?;
            }
        })
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.inbox = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has closed the file already.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SqliteStore(revision {})", self.revision().0)
    }
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
