//! Checking a log with the public key alone, on any machine, without the vault.

use std::io;
use std::path::Path;

use super::checkpoint::{BadNote, Checkpoint, Verifier};
use super::scan::{Damage, ScanFault, Tail, scan};
use super::sidecar;
use super::tree::{Frontier, Hash};

/// Why a log is not believed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyFault {
    /// The system says no.
    #[error("the audit log cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The public key is none.
    #[error("the public key cannot be used: {0}")]
    Key(BadNote),
    /// The checkpoint beside the log is not this key's.
    #[error("the checkpoint beside the log is not good: {0}")]
    Checkpoint(BadNote),
    /// The checkpoint that was given is not this key's.
    #[error("the given checkpoint is not good: {0}")]
    Given(BadNote),
    /// Nothing signed is there to compare the log with.
    #[error("there is no checkpoint: nothing vouches for this log")]
    NoCheckpoint,
    /// The log is not what was written.
    #[error("the audit log is damaged at {0}")]
    Damage(#[from] Damage),
    /// Records that were signed are gone.
    #[error("the audit log was cut: {signed} records were signed, {found} are there")]
    Cut {
        /// How many the checkpoint signs.
        signed: u64,
        /// How many there are.
        found: u64,
    },
    /// The records are not those that were signed.
    #[error("the first {size} records are not those that were signed; none of them can be trusted")]
    Root {
        /// How many the checkpoint signs.
        size: u64,
    },
    /// A detail in the sidecar is not the one that was recorded.
    #[error("the detail of record {index} was changed")]
    Detail {
        /// The record.
        index: u64,
    },
}

impl From<ScanFault> for VerifyFault {
    fn from(fault: ScanFault) -> Self {
        match fault {
            ScanFault::Io(fault) => Self::Io(fault),
            ScanFault::Damage(damage) => Self::Damage(damage),
        }
    }
}

/// What a log that is believed holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How many records.
    pub records: u64,
    /// How many of them a checkpoint signs. The others are only chained: the next checkpoint will sign them.
    pub signed: u64,
    /// The root over all.
    pub root: Hash,
    /// How many segment files.
    pub segments: usize,
    /// How many details are there and fit their records.
    pub details: u64,
    /// How many details were erased, or lost in a crash.
    pub erased: u64,
    /// The newest checkpoint beside the log.
    pub checkpoint: Option<Checkpoint>,
}

/// Checks the log in that folder: every record, frame, header and zero behind the records; the checkpoint beside it;
/// the `given` checkpoint, which was seen elsewhere before, against the same tree; and the details that are there.
/// `key` is the text of `audit.pub`, from a place that who could change the log could not.
///
/// A log that a vault is writing may be read in the middle of a write; then it is read again.
///
/// # Errors
/// [`VerifyFault`], which says what and where.
pub fn verify(dir: &Path, key: &str, given: Option<&str>) -> Result<Report, VerifyFault> {
    let mut fault = match once(dir, key, given) {
        Ok(report) => return Ok(report),
        Err(fault) => fault,
    };
    for _ in 0..2 {
        let again = match once(dir, key, given) {
            Ok(report) => return Ok(report),
            Err(again) => again,
        };
        if again.to_string() == fault.to_string() {
            return Err(again);
        }
        fault = again;
    }
    Err(fault)
}

fn once(dir: &Path, key: &str, given: Option<&str>) -> Result<Report, VerifyFault> {
    let verifier = Verifier::parse(key).map_err(VerifyFault::Key)?;
    let given = given.map(|note| verifier.checkpoint(note)).transpose().map_err(VerifyFault::Given)?;
    let beside = match std::fs::read(dir.join("checkpoint")) {
        Ok(note) => Some(String::from_utf8(note).map_err(|_| VerifyFault::Checkpoint(BadNote::Form))?),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => None,
        Err(fault) => return Err(fault.into()),
    };
    let beside =
        beside.map(|note| verifier.checkpoint(&note)).transpose().map_err(VerifyFault::Checkpoint)?;
    let mut expected: Vec<&Checkpoint> = given.iter().chain(&beside).collect();
    expected.sort_by_key(|checkpoint| checkpoint.size);
    let signed = expected.last().ok_or(VerifyFault::NoCheckpoint)?.size;

    let digests = sidecar::digests(&dir.join("sidecar"))?;
    let (mut details, mut erased) = (0, 0);
    let mut fault = expected.iter().find_map(|checkpoint| mismatch(checkpoint, &Frontier::default()));
    let scanned = scan(&dir.join("segments"), Tail::Strict, &mut |framed, record, tree, _| {
        fault = fault.take().or_else(|| expected.iter().find_map(|checkpoint| mismatch(checkpoint, tree)));
        let Some(commitment) = record.detail else { return };
        match digests.get(&record.event.reference) {
            Some(digest) if *digest == commitment => details += 1,
            Some(_) => fault = fault.take().or(Some(VerifyFault::Detail { index: framed.index })),
            None => erased += 1,
        }
    })?;
    if let Some(fault) = fault {
        return Err(fault);
    }
    let found = scanned.tree.size();
    if found < signed {
        return Err(VerifyFault::Cut { signed, found });
    }
    Ok(Report {
        records: found,
        signed,
        root: scanned.tree.root(),
        segments: scanned.segments,
        details,
        erased,
        checkpoint: beside,
    })
}

/// What is wrong where the tree has just the size of the checkpoint and another root.
fn mismatch(checkpoint: &Checkpoint, tree: &Frontier) -> Option<VerifyFault> {
    (tree.size() == checkpoint.size && tree.root() != checkpoint.root)
        .then_some(VerifyFault::Root { size: checkpoint.size })
}
