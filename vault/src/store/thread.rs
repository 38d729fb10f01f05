//! The one thread that touches the database.
//!
//! It takes what is queued without waiting for more: all commits of a batch become one SQLite transaction with one
//! fsync, then the reads are answered. So a read sees every commit that was queued before it, even one whose caller
//! has gone; and whoever is told `Committed` is told after the fsync.

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::engine;
use super::file::Files;
use super::sqlite::{OpenFault, Options};
use crate::port::{Commit, Item, Revision, StoreFault, Transaction, Write};

/// The most requests in one batch.
const BATCH: usize = 128;
/// A batch takes no more requests once its values have this many bytes.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreFault>>;
pub(super) type Changes = Vec<(Revision, Vec<String>)>;

/// What the thread is asked.
pub(super) enum Request {
    Commit(Transaction, oneshot::Sender<Commit>),
    Get(String, Answer<Option<Item>>),
    Scan(String, Answer<(Revision, Vec<Item>)>),
    Page(String, Option<String>, usize, Answer<Vec<Item>>),
    Happened([u8; 16], Answer<Option<Revision>>),
    Changes(Revision, Answer<Changes>),
}

/// The database and all it takes to open it again. Its fields are dropped in order: the connection before the lock.
pub(super) struct Worker {
    /// `None` after a fault that only a new connection clears.
    connection: Option<Connection>,
    options: Options,
    /// A write or a sync has failed, and the journal was not emptied since.
    doubt: bool,
    /// The last revision, for those who watch.
    revision: watch::Sender<Revision>,
    /// Why no change is taken.
    trouble: watch::Sender<Option<&'static str>>,
    files: Files,
}

impl Worker {
    pub(super) fn open(files: Files, options: Options) -> Result<Self, OpenFault> {
        if options.create {
            files.create_if_missing()?;
        }
        let mut worker = Self {
            connection: None,
            options,
            doubt: false,
            revision: watch::Sender::new(Revision(0)),
            trouble: watch::Sender::new(None),
            files,
        };
        worker.connect()?;
        Ok(worker)
    }

    pub(super) fn revisions(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }

    pub(super) fn troubles(&self) -> watch::Receiver<Option<&'static str>> {
        self.trouble.subscribe()
    }

    /// Runs until every sender is gone and the queue is empty, then closes the database.
    pub(super) fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        while let Some(first) = inbox.blocking_recv() {
            let (mut commits, mut waiting, mut reads) = (Vec::new(), Vec::new(), Vec::new());
            let mut bytes = 0;
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Commit(transaction, answer) => {
                        bytes += size(&transaction);
                        commits.push(transaction);
                        waiting.push(answer);
                    }
                    read => reads.push(read),
                }
                let full = commits.len() + reads.len() >= BATCH || bytes >= BATCH_BYTES;
                next = if full { None } else { inbox.try_recv().ok() };
            }
            if !commits.is_empty() {
                for (answer, waiting) in self.commit(&commits).into_iter().zip(waiting) {
                    self.note(answer);
                    // Who no longer waits is not told; the commit stands all the same.
                    let _ = waiting.send(answer);
                }
            }
            for read in reads {
                self.read(read);
            }
        }
    }

    /// Keeps in mind, for whoever looks after the vault, whether changes are taken.
    fn note(&self, answer: Commit) {
        match answer {
            Commit::Committed(_) => drop(self.trouble.send_replace(None)),
            Commit::Conflict => {}
            Commit::Full => drop(self.trouble.send_replace(Some("there is no room for them"))),
            Commit::Unavailable | Commit::Unknown => {
                self.trouble.send_replace(Some("writing or syncing its file fails"));
            }
        }
    }

    fn commit(&mut self, transactions: &[Transaction]) -> Vec<Commit> {
        let (answers, undone) = self.group(transactions);
        if undone && transactions.len() > 1 {
            // One that does not fit must not keep out those that do.
            return transactions.iter().flat_map(|one| self.group(std::slice::from_ref(one)).0).collect();
        }
        answers
    }

    /// Applies a group; also says whether the fault of one undid them all.
    fn group(&mut self, transactions: &[Transaction]) -> (Vec<Commit>, bool) {
        if self.connect().is_err() {
            return (vec![Commit::Unavailable; transactions.len()], false);
        }
        let Some(connection) = &self.connection else {
            return (vec![Commit::Unavailable; transactions.len()], false);
        };
        let base = *self.revision.borrow();
        let group = engine::group(connection, base, self.options.history, transactions, |connection| {
            commit(connection, &self.options)
        });
        if group.revision > base {
            self.revision.send_replace(group.revision);
        }
        if group.broken {
            self.connection = None;
            self.doubt = true;
            // At once, so that who watches hears of a commit that did happen. If it fails, the next request tries again.
            if let Err(fault) = self.connect() {
                tracing::error!(%fault, "the store could not be opened again");
            }
        }
        (group.answers, group.undone)
    }

    fn read(&mut self, request: Request) {
        match request {
            Request::Commit(_, answer) => {
                let _ = answer.send(Commit::Unavailable);
            }
            Request::Get(key, answer) => {
                let _ = answer.send(self.ask(|connection, _| engine::get(connection, &key)));
            }
            Request::Scan(prefix, answer) => {
                let _ = answer.send(
                    self.ask(|connection, revision| Ok((revision, engine::scan(connection, &prefix)?))),
                );
            }
            Request::Page(prefix, after, most, answer) => {
                let page =
                    self.ask(|connection, _| engine::page(connection, &prefix, after.as_deref(), most));
                let _ = answer.send(page);
            }
            Request::Happened(id, answer) => {
                let _ = answer.send(self.ask(|connection, _| engine::happened(connection, id)));
            }
            Request::Changes(since, answer) => {
                let known = self.ask(|connection, _| engine::changes(connection, since));
                let _ = answer.send(known.and_then(|changes| changes.ok_or(StoreFault::Compacted)));
            }
        }
    }

    fn ask<T>(
        &mut self,
        run: impl FnOnce(&Connection, Revision) -> rusqlite::Result<T>,
    ) -> Result<T, StoreFault> {
        self.connect().map_err(|fault| match fault {
            OpenFault::Damaged(what) => StoreFault::Damaged(what),
            other => StoreFault::Unavailable(other.to_string()),
        })?;
        let Some(connection) = &self.connection else {
            return Err(StoreFault::Unavailable("it is not open".into()));
        };
        let revision = *self.revision.borrow();
        run(connection, revision).map_err(|error| {
            let (fault, reconnect) = engine::read_fault(&error);
            tracing::error!(%fault, "a read of the store failed");
            if reconnect {
                self.connection = None;
            }
            fault
        })
    }

    /// Opens the database if it is not open. After a commit of unknown fate this is what decides it: SQLite recovers
    /// from the journal as after a crash, and what it recovers is made durable before anybody is told of it.
    fn connect(&mut self) -> Result<(), OpenFault> {
        if self.connection.is_some() {
            return Ok(());
        }
        let connection = self.files.connect(&self.options, self.doubt)?;
        let revision = engine::revision(&connection)?
            .ok_or_else(|| OpenFault::Damaged("its revisions do not fit together".into()))?;
        self.doubt = false;
        self.connection = Some(connection);
        self.revision.send_replace(revision);
        Ok(())
    }
}

/// What a transaction weighs in a batch, in bytes.
fn size(transaction: &Transaction) -> usize {
    let value = |write: &Write| match write {
        Write::Put(_, value) => value.len(),
        Write::Delete(_) => 0,
    };
    transaction.writes.iter().map(value).sum()
}

#[cfg(not(test))]
fn commit(connection: &Connection, _options: &Options) -> rusqlite::Result<()> {
    connection.execute_batch("COMMIT")
}

/// The same, or with a fault that a test asked for.
#[cfg(test)]
fn commit(connection: &Connection, options: &Options) -> rusqlite::Result<()> {
    use super::sqlite::CommitFault;

    let failure = |code| Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None));
    match options.fault.as_ref().and_then(|fault| fault.lock().ok()?.take()) {
        None => connection.execute_batch("COMMIT"),
        Some(CommitFault::AnswerLost) => {
            connection.execute_batch("COMMIT")?;
            failure(rusqlite::ffi::SQLITE_IOERR_FSYNC)
        }
        Some(CommitFault::NotDone) => {
            connection.execute_batch("ROLLBACK")?;
            failure(rusqlite::ffi::SQLITE_IOERR_FSYNC)
        }
        Some(CommitFault::NoRoom) => failure(rusqlite::ffi::SQLITE_FULL),
        #[allow(clippy::panic, reason = "a test asked the thread to die")]
        Some(CommitFault::Die) => panic!("a test asked the thread to die"),
    }
}
