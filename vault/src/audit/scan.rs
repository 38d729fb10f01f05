//! Reading a whole log from its first record, one segment in memory at a time, and checking all that can be checked
//! without a key: frames, indices, chain of headers, roots.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::record::{self, Record};
use super::segment::{End, Framed, HEADER, Header, Walk, list};
use super::tree::Frontier;
use super::writer::Closed;

/// Where the log is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {index} ({file}, byte {offset}): {what}")]
pub struct Damage {
    /// The index of the first record that is not vouched for.
    pub index: u64,
    /// The segment's file name.
    pub file: String,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What is wrong there.
    pub what: &'static str,
}

/// Why a log could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ScanFault {
    /// The system says no.
    #[error("the audit log cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The log was changed.
    #[error("the audit log is damaged at {0}")]
    Damage(#[from] Damage),
}

/// What to make of bytes behind the last sound record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// They are a fault.
    Strict,
    /// They are a write that was torn by a crash, unless a later record vouches for them.
    Recover,
}

/// What a whole log comes to.
pub(super) struct Scanned {
    /// Over all records.
    pub(super) tree: Frontier,
    /// How many segment files.
    pub(super) segments: usize,
    /// The last segment, closed where its last group begins.
    pub(super) last: Option<Closed>,
    /// The records of that last group, and the tree before them.
    pub(super) carry: Vec<Vec<u8>>,
    pub(super) carry_base: Frontier,
    /// Bytes of all segments up to the end of what counts, `last` included.
    pub(super) bytes: u64,
}

/// Reads the segments of that folder, and calls `each` with every record and the tree that ends with it.
pub(super) fn scan(
    segments: &Path,
    tail: Tail,
    each: &mut dyn FnMut(&Framed<'_>, Record, &Frontier, &Path),
) -> Result<Scanned, ScanFault> {
    let files = list(segments)?;
    let headers = files.iter().map(|(_, path)| read_header(path)).collect::<io::Result<Vec<_>>>()?;
    let mut scanned = Scanned {
        tree: Frontier::default(),
        segments: files.len(),
        last: None,
        carry: Vec::new(),
        carry_base: Frontier::default(),
        bytes: 0,
    };
    let mut before: Option<Closed> = None;
    for (at, (first, path)) in files.iter().enumerate() {
        let here = Place { path, index: *first };
        let header = headers[at].ok_or_else(|| here.damage(0, "the header of the segment"))?;
        let chained = match (&before, header.previous) {
            (None, None) => true,
            (Some(closed), Some(said)) => said.first == closed.first && said.len == closed.len,
            _ => false,
        };
        if header.first != *first || !chained || scanned.tree.size() != *first {
            return Err(here.damage(0, "the segment does not follow the one before").into());
        }
        if header.root != scanned.tree.root() {
            return Err(here.damage(0, "the records before are not those that the segment follows").into());
        }
        let bytes = std::fs::read(path)?;
        let next = headers.get(at + 1).map(|next| {
            // Faults of the next header are told when its turn comes.
            next.and_then(|next| next.previous).map(|said| (said.len, said.abandoned))
        });
        let closed = match next {
            Some(Some((len, abandoned))) => {
                read_closed(&bytes, &here, len, abandoned, &mut scanned, each)?;
                Closed { first: *first, len, abandoned, previous: header.previous }
            }
            Some(None) => {
                let (next_first, next_path) = &files[at + 1];
                let next = Place { path: next_path, index: *next_first };
                return Err(next.damage(0, "the header of the segment").into());
            }
            None => {
                let (len, abandoned) = read_last(&bytes, &here, tail, &mut scanned, each)?;
                Closed { first: *first, len, abandoned, previous: header.previous }
            }
        };
        scanned.bytes += closed.len;
        before = Some(closed);
    }
    scanned.last = before;
    Ok(scanned)
}

struct Place<'a> {
    path: &'a Path,
    index: u64,
}

impl Place<'_> {
    fn damage(&self, offset: usize, what: &'static str) -> Damage {
        Damage { index: self.index, file: name(self.path), offset: offset as u64, what }
    }
}

pub(super) fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn read_header(path: &PathBuf) -> io::Result<Option<Header>> {
    let mut bytes = Vec::with_capacity(HEADER);
    File::open(path)?.take(HEADER as u64).read_to_end(&mut bytes)?;
    Ok(Header::decode(&bytes))
}

type Each<'a> = &'a mut dyn FnMut(&Framed<'_>, Record, &Frontier, &Path);

fn take(framed: &Framed<'_>, here: &Place<'_>, scanned: &mut Scanned, each: Each<'_>) -> Result<(), Damage> {
    let record = record::decode(framed.payload).map_err(|_| Damage {
        index: framed.index,
        file: name(here.path),
        offset: framed.offset as u64,
        what: "a record in no known form",
    })?;
    scanned.tree.append(framed.leaf);
    each(framed, record, &scanned.tree, here.path);
    Ok(())
}

/// A segment that a later one follows: sound exactly up to the length that its successor says.
fn read_closed(
    bytes: &[u8],
    here: &Place<'_>,
    len: u64,
    abandoned: bool,
    scanned: &mut Scanned,
    each: Each<'_>,
) -> Result<(), Damage> {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let Some(counts) = bytes.get(..len) else {
        return Err(here.damage(bytes.len(), "the segment is shorter than its successor says"));
    };
    let mut walk = Walk::new(counts, here.index);
    let fault = loop {
        match walk.step() {
            Ok(framed) => take(&framed, here, scanned, each)?,
            Err(End::Bad(what)) => break Some(what),
            Err(End::Clean) if walk.offset() != len => break Some("records are missing"),
            Err(End::Clean) => break None,
        }
    };
    if let Some(what) = fault {
        let at = Place { path: here.path, index: walk.index() };
        return Err(at.damage(walk.offset(), what));
    }
    if !abandoned && let Some(at) = bytes[len..].iter().position(|byte| *byte != 0) {
        let behind = Place { path: here.path, index: walk.index() };
        return Err(behind.damage(len + at, "bytes behind the last record"));
    }
    Ok(())
}

/// The last segment. Returns where its last group begins and whether anything stands from there on.
fn read_last(
    bytes: &[u8],
    here: &Place<'_>,
    tail: Tail,
    scanned: &mut Scanned,
    each: Each<'_>,
) -> Result<(u64, bool), Damage> {
    scanned.carry_base = scanned.tree.clone();
    let mut group = HEADER;
    let mut walk = Walk::new(bytes, here.index);
    let end = loop {
        match walk.step() {
            Ok(framed) => {
                if framed.offset == framed.group {
                    group = framed.offset;
                    scanned.carry.clear();
                    scanned.carry_base = scanned.tree.clone();
                }
                scanned.carry.push(framed.payload.to_vec());
                take(&framed, here, scanned, each)?;
            }
            Err(end) => break end,
        }
    };
    if let End::Bad(what) = end {
        let at = Place { path: here.path, index: walk.index() };
        if tail == Tail::Strict || walk.damaged() {
            return Err(at.damage(walk.offset(), what));
        }
        tracing::warn!(
            file = name(here.path),
            offset = walk.offset(),
            "a torn write at the end of the audit log"
        );
    }
    Ok((group as u64, end != End::Clean || !scanned.carry.is_empty()))
}
