//! Segment files: a header that chains to the segment before, then framed records, then zeros.
//!
//! ```text
//! header  magic 8 | first index u64 | previous first u64 | previous length u64 | flags u8 | root 32 | check 32
//! record  magic 4 | length u32 | group u32 | check 16 | bytes
//! ```
//! Numbers are big-endian. *Group* is the offset at which the write began that brought the record: since a group is
//! written only after the one before was synced, a record vouches that everything before its group was durable. So a
//! reader can tell a torn last group (nobody was told that it is there) from damage to what was acknowledged.

use std::io;
use std::path::{Path, PathBuf};

use super::record::MAX_RECORD;
use super::tree::{Hash, leaf_hash, plain_hash};

/// How many bytes a segment's header has.
pub const HEADER: usize = 97;
/// How many bytes stand before a record's own.
pub const FRAME: usize = 28;
/// The most bytes that one record takes in a segment.
pub const MAX_FRAMED: u64 = (FRAME + MAX_RECORD) as u64;

const MAGIC: &[u8; 8] = b"CLVSEG1\n";
const RECORD_MAGIC: &[u8; 4] = b"cRec";
/// How many places a record may be tried in before what is behind a bad end counts as damage: far more than the rest of any
/// torn write asks for, and a fraction of a second of work.
const LOOKS: u64 = 250_000;

/// How the segment before this one ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Previous {
    /// The index of its first record.
    pub first: u64,
    /// Its last durable length in bytes: what stands behind it is no part of the log.
    pub len: u64,
    /// Whether it was given up because writing or syncing failed, or the process died; then bytes behind its length
    /// may be anything. Else they are zeros.
    pub abandoned: bool,
}

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The index of its first record.
    pub first: u64,
    /// The segment before; `None` for the first of the log.
    pub previous: Option<Previous>,
    /// The root of the tree over all records before this segment.
    pub root: Hash,
}

impl Header {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let (previous_first, previous_len, flags) =
            self.previous.map_or((0, 0, 0), |p| (p.first, p.len, 1 | u8::from(p.abandoned) << 1));
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&self.first.to_be_bytes());
        bytes[16..24].copy_from_slice(&previous_first.to_be_bytes());
        bytes[24..32].copy_from_slice(&previous_len.to_be_bytes());
        bytes[32] = flags;
        bytes[33..65].copy_from_slice(&self.root);
        let check = plain_hash(&[&bytes[..65]]);
        bytes[65..].copy_from_slice(&check);
        bytes
    }

    /// The header at the beginning of a segment; `None` where there is no whole and sound one.
    #[must_use]
    pub fn decode(segment: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER] = segment.first_chunk()?;
        let first = number(&bytes[8..16])?;
        let previous = Previous {
            first: number(&bytes[16..24])?,
            len: number(&bytes[24..32])?,
            abandoned: bytes[32] & 2 != 0,
        };
        let header = Self {
            first,
            previous: (bytes[32] & 1 != 0).then_some(previous),
            root: bytes[33..65].try_into().ok()?,
        };
        (header.encode() == *bytes).then_some(header)
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

fn check(leaf: &Hash, index: u64, len: u32, group: u32) -> [u8; 16] {
    let hash = plain_hash(&[leaf, &index.to_be_bytes(), &len.to_be_bytes(), &group.to_be_bytes()]);
    let mut check = [0; 16];
    check.copy_from_slice(&hash[..16]);
    check
}

/// Appends one framed record to a buffer and returns its leaf hash. `payload` is at most [`MAX_RECORD`] bytes,
/// `group` the offset in the segment at which this write begins.
pub fn frame(out: &mut Vec<u8>, index: u64, group: u32, payload: &[u8]) -> Hash {
    let leaf = leaf_hash(payload);
    let len = payload.len() as u32;
    out.extend(RECORD_MAGIC);
    out.extend(len.to_be_bytes());
    out.extend(group.to_be_bytes());
    out.extend(check(&leaf, index, len, group));
    out.extend(payload);
    leaf
}

/// One record as it stands in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framed<'a> {
    /// Where it begins in the file.
    pub offset: usize,
    /// Where the write began that brought it.
    pub group: usize,
    /// Its index in the tree.
    pub index: u64,
    /// Its leaf hash.
    pub leaf: Hash,
    /// Its bytes.
    pub payload: &'a [u8],
}

/// Why a walk over a segment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing but zeros, or nothing, follows.
    Clean,
    /// Something follows that is no record.
    Bad(&'static str),
}

/// Walks over the records of a segment from its first.
#[derive(Debug)]
pub struct Walk<'a> {
    bytes: &'a [u8],
    offset: usize,
    group: usize,
    index: u64,
}

impl<'a> Walk<'a> {
    /// Over the segment of these bytes (header included), whose first record has that index.
    #[must_use]
    pub fn new(bytes: &'a [u8], first: u64) -> Self {
        Self { bytes, offset: HEADER, group: HEADER, index: first }
    }

    /// Where the next record would begin.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The index of the next record.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The next record, or why there is none.
    ///
    /// # Errors
    /// [`End`]: the walk is over, in good order or not.
    pub fn step(&mut self) -> Result<Framed<'a>, End> {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        if rest.iter().take(FRAME).all(|byte| *byte == 0) {
            return Err(if rest.iter().all(|byte| *byte == 0) {
                End::Clean
            } else {
                End::Bad("bytes behind the last record")
            });
        }
        let (group, leaf, payload) = parse(rest, self.index).map_err(End::Bad)?;
        if group != self.offset && group != self.group {
            return Err(End::Bad("a record of another group"));
        }
        let framed = Framed { offset: self.offset, group, index: self.index, leaf, payload };
        self.group = group;
        self.offset += FRAME + payload.len();
        self.index += 1;
        Ok(framed)
    }

    /// After a bad end: whether a sound record stands further on whose group begins behind the bad place. Then what
    /// is bad was durable once, and this is damage; else it is the rest of a write that nobody was told of.
    #[must_use]
    pub fn damaged(&self) -> bool {
        let tail = self.bytes.get(self.offset..).unwrap_or_default();
        let mut looks = LOOKS;
        (0..tail.len()).any(|skip| {
            tail[skip..].starts_with(RECORD_MAGIC) && {
                let Ok(found) = Found::at(&tail[skip..]) else { return false };
                // A record of the torn write itself vouches for nothing.
                if found.group as usize <= self.offset {
                    return false;
                }
                // How many records are missing between is not known, but no more than bytes would hold. Bytes that were
                // made to be looked at for ever are no write of ours.
                let most = (skip / FRAME) as u64 + 1;
                looks = looks.saturating_sub(most + found.payload.len() as u64 / 64);
                let leaf = leaf_hash(found.payload);
                looks == 0 || (0..=most).any(|ahead| found.is_number(self.index + ahead, &leaf))
            }
        })
    }
}

/// A record as its frame says, before it is known whether the frame tells the truth.
struct Found<'a> {
    payload: &'a [u8],
    group: u32,
    check: &'a [u8],
}

impl<'a> Found<'a> {
    fn at(rest: &'a [u8]) -> Result<Self, &'static str> {
        let head: &[u8; FRAME] = rest.first_chunk().ok_or("an incomplete record")?;
        if &head[..4] != RECORD_MAGIC {
            return Err("no record begins here");
        }
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (len, group) = (word(4), word(8));
        if len as usize > MAX_RECORD {
            return Err("a record of impossible length");
        }
        let payload = rest.get(FRAME..FRAME + len as usize).ok_or("an incomplete record")?;
        Ok(Self { payload, group, check: &rest[12..FRAME] })
    }

    /// Whether this is the record of that index, whole and in its place. `leaf` is its leaf hash.
    fn is_number(&self, index: u64, leaf: &Hash) -> bool {
        check(leaf, index, self.payload.len() as u32, self.group) == *self.check
    }
}

fn parse(rest: &[u8], index: u64) -> Result<(usize, Hash, &[u8]), &'static str> {
    let found = Found::at(rest)?;
    let leaf = leaf_hash(found.payload);
    if !found.is_number(index, &leaf) {
        return Err("a record that was changed or moved");
    }
    Ok((found.group as usize, leaf, found.payload))
}

/// The name of the segment whose first record has that index.
#[must_use]
pub fn file_name(first: u64) -> String {
    format!("{first:020}.log")
}

/// The segments of a folder with the indices of their first records, in order. Other files are passed over.
///
/// # Errors
/// What the system says.
pub fn list(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(first) = name.strip_suffix(".log").and_then(|digits| digits.parse().ok())
            && name == file_name(first)
        {
            found.push((first, path));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

    use super::*;

    fn header() -> Header {
        Header { first: 7, previous: Some(Previous { first: 3, len: 4000, abandoned: true }), root: [9; 32] }
    }

    #[test]
    fn a_header_has_one_form() {
        for header in [header(), Header { previous: None, ..header() }] {
            let bytes = header.encode();
            assert_eq!(Header::decode(&bytes), Some(header));
            for at in 0..HEADER {
                let mut bent = bytes;
                bent[at] ^= 1;
                assert_eq!(Header::decode(&bent), None, "byte {at}");
            }
            assert_eq!(Header::decode(&bytes[..HEADER - 1]), None);
        }
    }

    /// A segment with these groups of records; every record is `size` bytes.
    fn segment(groups: &[usize], size: usize) -> Vec<u8> {
        let mut bytes = header().encode().to_vec();
        let mut index = 7;
        for group in groups {
            let start = bytes.len() as u32;
            for _ in 0..*group {
                frame(&mut bytes, index, start, &vec![index as u8; size]);
                index += 1;
            }
        }
        bytes
    }

    fn walk(bytes: &[u8]) -> (u64, End, bool) {
        let mut walk = Walk::new(bytes, 7);
        loop {
            if let Err(end) = walk.step() {
                return (walk.index() - 7, end, walk.damaged());
            }
        }
    }

    #[test]
    fn records_are_read_up_to_the_zeros() {
        let mut bytes = segment(&[1, 3, 1], 10);
        assert_eq!(walk(&bytes), (5, End::Clean, false));
        bytes.resize(bytes.len() + 1000, 0);
        assert_eq!(walk(&bytes), (5, End::Clean, false));
        let len = bytes.len();
        bytes[len - 1] = 1;
        assert!(matches!(walk(&bytes), (5, End::Bad(_), false)));
    }

    #[test]
    fn a_torn_last_group_is_not_damage_wherever_it_is_torn() {
        let whole = segment(&[2, 4], 10);
        let start = segment(&[2], 10).len();
        for lost in start..whole.len() {
            // One byte of the last group did not reach the disk, though others behind it did.
            let mut bytes = whole.clone();
            bytes[lost] ^= 0xff;
            let (count, end, damaged) = walk(&bytes);
            assert!((2..6).contains(&count) && matches!(end, End::Bad(_)) && !damaged, "byte {lost}");
            let (_, _, damaged) = walk(&whole[..lost]);
            assert!(!damaged, "cut at {lost}");
        }
    }

    #[test]
    fn a_bad_record_before_the_last_group_is_damage() {
        let whole = segment(&[2, 3, 1], 10);
        let last = segment(&[2, 3], 10).len();
        for at in HEADER..last {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            let (_, end, damaged) = walk(&bytes);
            assert!(matches!(end, End::Bad(_)) && damaged, "byte {at}");
        }
    }

    /// Both took hours: each place in the tail was hashed anew for each number that its record could have.
    #[test]
    fn a_long_tail_is_judged_in_bearable_time() {
        // A torn write of many records: the first of its group is missing.
        let mut torn = segment(&[1, 20_000], 40);
        let first = segment(&[1], 40).len();
        torn[first] ^= 1;
        assert!(matches!(walk(&torn), (1, End::Bad(_), false)));
        // Bytes that only look like the beginnings of records of later groups.
        let mut made = segment(&[1], 40);
        let frame = [&RECORD_MAGIC[..], &[0; 4], &[0x7f; 4], &[7; 16]].concat();
        made.extend(frame.iter().cycle().take(2 << 20));
        made[first] ^= 1;
        assert!(matches!(walk(&made), (1, End::Bad(_), true)), "what nobody can judge is damage");
    }

    #[test]
    fn swapped_records_of_one_group_are_found_where_they_are() {
        let mut bytes = segment(&[3], 10);
        let (one, two) = bytes[HEADER..].split_at_mut(FRAME + 10);
        one.swap_with_slice(&mut two[..FRAME + 10]);
        assert!(matches!(walk(&bytes), (0, End::Bad(_), _)));
    }
}
