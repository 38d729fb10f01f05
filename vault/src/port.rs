//! What the broker needs of the world, each as small as a test can stand in for: clock, entropy, store, sealer,
//! audit sink, upstream.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use claviger_domain::event::{Detail, Event};
use claviger_domain::id::Ref;
use claviger_domain::name::SecretName;
use claviger_domain::origin::{Origin, Pin as OriginPin};
use claviger_domain::secret::SecretBytes;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// A boxed future, so that every port can be a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An object that tells the time.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970 by the wall clock, which may be stepped.
    fn wall_ms(&self) -> u64;
    /// Microseconds since some fixed moment; never goes back.
    fn mono_us(&self) -> u64;
    /// Completes after that many milliseconds of monotonic time.
    fn sleep_ms(&self, ms: u64) -> BoxFuture<'static, ()>;
}

/// An object that fills bytes with randomness fit for keys.
pub trait Entropy: Send + Sync {
    /// Fills the whole slice. A machine that cannot is not fit to run on: the implementation aborts the process.
    fn fill(&self, bytes: &mut [u8]);
}

/// A position in the store's history; later commits have greater ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// One record as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its path, such as `grant/gr_00…`.
    pub key: String,
    /// How often it has been written since it was created: 1 for a new record.
    pub version: u64,
    /// The commit that wrote it last.
    pub revision: Revision,
    /// Its bytes; nearly always sealed.
    pub value: Vec<u8>,
}

/// What must be true of a key for a commit to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition {
    /// The key.
    pub key: String,
    /// The version it must have; 0 means that it must not exist.
    pub version: u64,
}

/// One change of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Writes the value; its version grows by one (from 0).
    Put(String, Vec<u8>),
    /// Removes the key, if it is there.
    Delete(String),
}

/// A set of changes that happen together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Random, chosen by the caller: after an [`Commit::Unknown`] it tells whether the commit happened.
    pub id: [u8; 16],
    /// At most 64.
    pub preconditions: Vec<Precondition>,
    /// At most 64.
    pub writes: Vec<Write>,
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// Durable.
    Committed(Revision),
    /// A precondition did not hold; nothing changed.
    Conflict,
    /// Nothing changed; the store does not answer now.
    Unavailable,
    /// Nothing changed; there is no room.
    Full,
    /// It may or may not have happened. Not a failure: ask [`Store::happened`] with the transaction's id.
    Unknown,
}

/// Why a read of the store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// It does not answer now.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What it holds is not what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// Revisions from there on are no longer known: scan anew.
    #[error("the asked-for revision is no longer kept")]
    Compacted,
}

/// The keys that one commit changed.
pub type Change = (Revision, Vec<String>);

/// A small transactional store of sealed records.
pub trait Store: Send + Sync {
    /// The record under that key, if there is one.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Item>, StoreFault>>;
    /// All records whose key begins with that prefix, in the order of their keys, as of one revision.
    fn scan<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<(Revision, Vec<Item>), StoreFault>>;
    /// The first records whose key begins with that prefix and sorts after `after`, if that is given: at most `most`, in
    /// the order of their keys. Commits may fall between two pages.
    fn page<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<String>,
        most: usize,
    ) -> BoxFuture<'a, Result<Vec<Item>, StoreFault>>;
    /// Applies the transaction; it is durable when this returns [`Commit::Committed`].
    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Commit>;
    /// Whether the transaction of that id was committed, and at which revision.
    fn happened(&self, id: [u8; 16]) -> BoxFuture<'_, Result<Option<Revision>, StoreFault>>;
    /// The keys changed by each later commit, in order, waiting until there is at least one.
    fn watch(&self, since: Revision) -> BoxFuture<'_, Result<Vec<Change>, StoreFault>>;
}

/// What a key is for. One purpose, one key: no two purposes ever share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Seals records of the store.
    Record,
    /// Seals the audit log's sidecar.
    Sidecar,
    /// Roots the proof keys of handles.
    Handle,
    /// Authenticates the peer registry, which must be readable while sealed.
    Registry,
    /// Keys the digests of arguments in the audit log.
    Digest,
    /// Seeds the signing key of audit checkpoints.
    Checkpoint,
}

/// Why bytes could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    /// The vault is sealed: there is no key.
    #[error("the vault is sealed")]
    Sealed,
    /// The bytes are not what was sealed under that path and version.
    #[error("a sealed record does not open: it was changed, moved or belongs to another vault")]
    Forged,
}

/// An object that holds the root key and hands out what is made with it, never itself.
pub trait Sealer: Send + Sync {
    /// Encrypts under a fresh subkey, bound to vault, path, version and root generation.
    fn seal(&self, purpose: Purpose, path: &str, version: u64, plain: &[u8]) -> Result<Vec<u8>, SealFault>;
    /// Decrypts what [`Sealer::seal`] made under the same purpose, path and version.
    fn open(
        &self,
        purpose: Purpose,
        path: &str,
        version: u64,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealFault>;
    /// HKDF-SHA256 under the purpose's key with these fields, each length-prefixed, as info.
    fn derive(&self, purpose: Purpose, info: &[&[u8]]) -> Result<Zeroizing<[u8; 32]>, SealFault>;
}

/// Why something could not be recorded. No record, no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// There is no room for the record, or for the outcome it would need.
    #[error("the audit log has no room")]
    Full,
    /// Writing or syncing failed; a new segment will be tried.
    #[error("the audit log cannot be written")]
    Broken,
    /// The queue is full: the writer does not keep up.
    #[error("the audit log is busy")]
    Busy,
    /// The log was closed.
    #[error("the audit log is closed")]
    Closed,
}

/// Room that an intent has reserved for its outcome. Consumed by the outcome; there is no other way to make one.
pub struct Room {
    /// Returned to the log if no outcome is ever recorded.
    release: Option<Box<dyn FnOnce() + Send>>,
}

impl Room {
    /// Room whose release runs when it is dropped, used or not.
    #[must_use]
    pub fn new(release: Box<dyn FnOnce() + Send>) -> Self {
        Self { release: Some(release) }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            release();
        }
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Room")
    }
}

/// An object that records what happens, before it may happen.
pub trait AuditSink: Send + Sync {
    /// Records an event that needs no outcome; durable when this returns.
    fn record(&self, event: Event, detail: Detail) -> BoxFuture<'_, Result<(), AuditFault>>;
    /// Queues an event that nobody waits for; durable with the next group. Fails where uses would be refused.
    fn record_queued(&self, event: Event, detail: Detail) -> Result<(), AuditFault>;
    /// Records an intent and reserves room for its outcome; durable when this returns.
    fn intent(&self, event: Event, detail: Detail) -> BoxFuture<'_, Result<Room, AuditFault>>;
    /// Records an outcome in the room that its intent reserved; durable when this returns.
    fn outcome(&self, room: Room, event: Event, detail: Detail) -> BoxFuture<'_, Result<(), AuditFault>>;
    /// Queues an outcome (of a read) in the room that its intent reserved; durable with the next group.
    fn outcome_queued(&self, room: Room, event: Event, detail: Detail) -> Result<(), AuditFault>;
    /// Records from the reserve that is kept for revoking, freezing and sealing when the log is full.
    fn record_from_reserve(&self, event: Event, detail: Detail) -> BoxFuture<'_, Result<(), AuditFault>>;
    /// Records a refusal without waiting, by the peer's token bucket; what exceeds it is counted and coalesced.
    /// Returns whether this refusal has a record of its own, which is whether its reference can be looked up.
    fn refusal(&self, event: Event, detail: Detail) -> bool;
    /// The newest events that the filter accepts, newest first, at most `limit`, from those the log still holds
    /// in memory or on disk; the detail is empty where it was erased.
    fn query(
        &self,
        filter: Box<dyn Fn(&Event) -> bool + Send>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(Event, Detail)>, AuditFault>>;
    /// The event of that reference.
    fn find(&self, reference: Ref) -> BoxFuture<'_, Result<Option<(Event, Detail)>, AuditFault>>;
    /// Why uses are refused now, if the log cannot take records; `None` while it is well.
    fn trouble(&self) -> Option<AuditFault>;
}

/// How a credential goes into a request.
#[derive(Debug)]
pub enum Inject {
    /// No credential.
    Nothing,
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer(SecretBytes),
    /// A header of that name.
    Header(http::HeaderName, SecretBytes),
    /// `Authorization: Basic …` (RFC 7617).
    Basic {
        /// The user id; contains no colon.
        user: String,
        /// The password.
        password: SecretBytes,
    },
    /// The whole body is secret: an OAuth token or revocation request, as a form.
    Form(SecretBytes),
}

/// A request as the vault rendered it.
#[derive(Debug)]
pub struct Outbound {
    /// The method.
    pub method: http::Method,
    /// Where to; must be one of the pin's origins.
    pub origin: Origin,
    /// Path and query, already encoded.
    pub path_and_query: String,
    /// Headers besides those that egress sets itself (host, credential, length, accept-encoding, user-agent).
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// The body; empty for none. Must be empty with [`Inject::Form`].
    pub body: Bytes,
    /// The credential.
    pub inject: Inject,
    /// Secrets that must not come back in the answer, besides the injected one.
    pub watch: Vec<SecretBytes>,
    /// Whether the answer is expected to hold new secrets (a token endpoint): then it is not watched for echoes.
    pub answers_with_secrets: bool,
    /// The longest answer body taken, in bytes.
    pub max_answer: usize,
    /// The longest wait for the whole answer, in milliseconds.
    pub timeout_ms: u64,
}

/// What an upstream answered, complete and looked through.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status, 200 to 599; never a redirect.
    pub status: u16,
    /// All headers as they came, names in lower case; who releases them applies an allowlist.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, at most `max_answer` bytes.
    pub body: Bytes,
}

/// How long one piece of a stream is at most, in bytes.
pub const PIECE: usize = 64 * 1024;

/// A body that is sent piece by piece. It is cut, and never ends as if it were whole, where the sender goes before `length`
/// bytes came.
#[derive(Debug)]
pub struct Outflow {
    /// How many bytes it has.
    pub length: u64,
    /// Its pieces, in order.
    pub pieces: mpsc::Receiver<Bytes>,
}

/// A request whose body or answer is too long to be held.
#[derive(Debug)]
pub struct Streaming {
    /// The request; `timeout_ms` is until the head of its answer is there.
    pub request: Outbound,
    /// Its body, where that comes piece by piece: the request's own is empty then.
    pub outflow: Option<Outflow>,
    /// Whether an answer of success is wanted piece by piece.
    pub in_pieces: bool,
    /// Whether a 308 is an answer, as of an upload that goes on, and no redirect.
    pub resumes: bool,
}

/// The head of an answer that comes piece by piece, looked through.
#[derive(Debug, Clone)]
pub struct Head {
    /// Status, 200 to 299.
    pub status: u16,
    /// All headers as they came, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The length of its body in bytes, if it announced one.
    pub length: Option<u64>,
}

/// The body of an answer, piece by piece.
pub trait Pieces: Send {
    /// The next piece, of at most [`PIECE`] bytes; an empty one where bytes came and none may leave yet; `None` at the end.
    /// Each has been looked through, and so has what follows it, as far as the longest secret reaches. May be dropped
    /// while it waits, and asked again.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, UpstreamFault>>;
}

/// What an upstream answered to a [`Streaming`].
pub enum Inbound {
    /// All of it: no success, or not wanted in pieces.
    Whole(Answer),
    /// Its head, and the rest as it comes.
    Pieces(Head, Box<dyn Pieces>),
}

/// Why there is no answer to pass on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamFault {
    /// The origin is none of the pin's.
    #[error("the origin is not one that this secret may go to")]
    NotPinned,
    /// The name does not resolve, or to nothing that may be dialled.
    #[error("the address may not be dialled: {0}")]
    Address(&'static str),
    /// No connection, or no TLS: nothing was sent.
    #[error("no connection: {0}")]
    Connect(&'static str),
    /// It broke after bytes may have been sent.
    #[error("the connection broke: {0}")]
    Broken(&'static str),
    /// It took too long after bytes may have been sent.
    #[error("no answer in time")]
    Slow,
    /// It wanted to send us elsewhere; nobody followed.
    #[error("the upstream answered with a redirect ({0})")]
    Redirect(u16),
    /// The answer is longer than allowed, has too many headers, or is encoded though we asked for identity.
    #[error("the answer cannot be taken: {0}")]
    Answer(&'static str),
    /// The answer contains the secret.
    #[error("the answer contains the credential")]
    Echo,
}

impl UpstreamFault {
    /// Whether it is certain that the upstream received nothing.
    #[must_use]
    pub fn nothing_sent(&self) -> bool {
        matches!(self, UpstreamFault::NotPinned | UpstreamFault::Address(_) | UpstreamFault::Connect(_))
    }
}

/// An object that sends requests with credentials, each secret through a client of its own.
pub trait Upstream: Send + Sync {
    /// Sends one request to one of the pin's origins and returns its complete answer. Never follows, never retries.
    fn send<'a>(
        &'a self,
        secret: &'a SecretName,
        pin: &'a OriginPin,
        request: Outbound,
    ) -> BoxFuture<'a, Result<Answer, UpstreamFault>>;
    /// Sends one request whose body or answer comes piece by piece. Never follows, never retries. Dropped before the head
    /// is there, the request is cut.
    fn stream<'a>(
        &'a self,
        secret: &'a SecretName,
        pin: &'a OriginPin,
        request: Streaming,
    ) -> BoxFuture<'a, Result<Inbound, UpstreamFault>>;
    /// Closes the secret's client and its pool: after a rotation or a removal nothing of it stays open.
    fn forget(&self, secret: &SecretName);
}
