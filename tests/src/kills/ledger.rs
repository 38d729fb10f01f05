//! What was tried, and what was said of it: the side of those who called.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use claviger_agent::{CallOutcome, ClientError};

/// What became of a call, as its caller was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is under way, or its caller was killed.
    None,
    /// It was done.
    Done,
    /// It was refused, with that class.
    Refused(String),
    /// Nothing that helps: a connection that broke, a result that says it failed.
    Broken,
}

impl Answer {
    /// What the agent's library says of a call.
    #[must_use]
    pub fn of(outcome: &Result<CallOutcome, ClientError>) -> Self {
        match outcome {
            Ok(CallOutcome::Answered(result)) if result.is_error != Some(true) => Self::Done,
            Ok(CallOutcome::Refused(refusal)) => Self::Refused(refusal.class().to_owned()),
            _ => Self::Broken,
        }
    }

    /// Whether it says that nothing was done. Of `unknown` nobody knows, `withheld` and `upstream` come after the service
    /// was asked.
    #[must_use]
    pub fn denies(&self) -> bool {
        match self {
            Self::Refused(class) => !matches!(class.as_str(), "unknown" | "withheld" | "upstream"),
            _ => false,
        }
    }
}

/// How it stands with a grant that the admin made and may have revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is there.
    Active,
    /// A revocation was begun, and nobody knows whether it was done.
    Perhaps,
    /// It was revoked; told at that time, in milliseconds since 1970.
    Revoked(u64),
}

/// How it stands with an agent that is frozen and thawed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frost {
    /// It may call.
    Thawed,
    /// It was frozen; told at that time, in milliseconds since 1970.
    Frozen(u64),
    /// One or the other was begun.
    Perhaps,
}

/// What waits for a person.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// The subject of the mail; none where the vault's answer was lost and the admin found it in the list.
    pub subject: Option<String>,
    /// When a yes was told, in milliseconds since 1970.
    pub agreed_ms: Option<u64>,
    /// How often the agent tried to have it carried out.
    pub collected: u32,
    /// It came to its end.
    pub over: bool,
}

/// What the admin did.
#[derive(Debug, Default)]
pub struct Book {
    /// Grants of the agent whose grants come and go, by id; and their handles.
    pub grants: BTreeMap<String, (String, Fate)>,
    /// Of that agent.
    pub frost: Option<Frost>,
    /// When it was surely frozen: from, to, in milliseconds since 1970.
    pub freezes: Vec<(u64, u64)>,
    /// The version of the mail secret that was told last.
    pub version: u32,
    /// A rotation was begun.
    pub rotating: bool,
    /// Refresh tokens that a rotation which was told has replaced, and that still work at the service.
    pub replaced: Vec<String>,
    /// The one in use.
    pub token: String,
    /// How many changes were told as done.
    pub told: u64,
    /// How many rotations of these.
    pub rotations: u64,
}

/// All of that, for those who work at once.
#[derive(Debug, Default)]
pub struct Ledger {
    number: AtomicU64,
    things: Mutex<BTreeMap<String, Answer>>,
    wishes: Mutex<BTreeMap<String, Wish>>,
    book: Mutex<Book>,
    reads: AtomicU64,
}

impl Ledger {
    /// A name that nothing had before, and that is tried from now on.
    pub fn fresh(&self, kind: &str) -> String {
        let name = format!("{kind}-{}", self.number.fetch_add(1, Ordering::SeqCst));
        self.things().insert(name.clone(), Answer::None);
        name
    }

    /// Notes what the caller was told of it.
    pub fn answered(&self, name: &str, answer: Answer) {
        self.things().insert(name.to_owned(), answer);
    }

    /// Mails and files by their names.
    pub fn things(&self) -> MutexGuard<'_, BTreeMap<String, Answer>> {
        self.things.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Approvals by their ids.
    pub fn wishes(&self) -> MutexGuard<'_, BTreeMap<String, Wish>> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The admin's side.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a read that was answered.
    pub fn read(&self, answer: &Answer) {
        self.reads.fetch_add(u64::from(*answer == Answer::Done), Ordering::Relaxed);
    }

    /// How many reads were answered.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

/// The wall clock, in milliseconds since 1970.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "the programs under test run by this clock, too")]
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
