//! The sidecar: what an owner may read about an event, sealed, in one file a day, erased after the retention.
//!
//! A record in the tree holds only the SHA-256 of its sealed detail, so erasing a detail changes no record, and a
//! detail that was swapped does not fit. Details are written by the log's thread before the waiters wake, but synced
//! only with a checkpoint: a power cut can lose the details of the last moments, never a record.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use claviger_domain::event::Detail;
use claviger_domain::id::Ref;
use prost::Message;
use zeroize::Zeroizing;

use super::disk::{Disk, DiskFile, write_all};
use super::tree::{Hash, plain_hash};
use crate::port::{Purpose, Sealer};

/// The longest sealed detail in bytes; the arguments of a call are at most half of it. A longer one is not kept.
pub(super) const MAX_DETAIL: usize = 512 << 10;
/// How many texts the detail of a refusal keeps, and how many bytes of each: refusals come without a grant, so their
/// room is bounded more tightly.
const REFUSAL_TEXTS: usize = 16;
const REFUSAL_BYTES: usize = 1024;

const MAGIC: &[u8; 4] = b"cDet";
/// magic 4 | length u32 | reference 8 | check 8
const FRAME: usize = 24;
const DAY_MS: u64 = 86_400_000;

#[derive(Clone, PartialEq, Message)]
struct Wire {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<WireEntry>,
}

#[derive(Clone, PartialEq, Message)]
struct WireEntry {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    text: String,
}

fn place(reference: Ref) -> String {
    format!("audit/{reference}")
}

/// The sealed detail, or `None` where there is nothing to keep or nothing to seal it with (the vault is sealed).
pub(super) fn seal(sealer: &dyn Sealer, reference: Ref, detail: &Detail) -> Option<Vec<u8>> {
    if detail.0.is_empty() {
        return None;
    }
    let entries =
        detail.0.iter().map(|(name, text)| WireEntry { name: name.clone(), text: text.clone() }).collect();
    let plain = Zeroizing::new(Wire { entries }.encode_to_vec());
    let sealed = sealer.seal(Purpose::Sidecar, &place(reference), 1, &plain).ok()?;
    (sealed.len() <= MAX_DETAIL).then_some(sealed)
}

/// The detail in these sealed bytes. Empty while the vault is sealed; one entry `fault` where the bytes are not those
/// that the record committed to.
pub(super) fn open(sealer: &dyn Sealer, reference: Ref, commitment: &Hash, sealed: &[u8]) -> Detail {
    let fault =
        || Detail(vec![("fault".to_owned(), "the detail is not the one that was recorded".to_owned())]);
    if plain_hash(&[sealed]) != *commitment {
        return fault();
    }
    match sealer.open(Purpose::Sidecar, &place(reference), 1, sealed) {
        Ok(plain) => Wire::decode(plain.as_slice())
            .map(|wire| Detail(wire.entries.into_iter().map(|entry| (entry.name, entry.text)).collect()))
            .unwrap_or_else(|_| fault()),
        Err(crate::port::SealFault::Sealed) => Detail::default(),
        Err(crate::port::SealFault::Forged) => fault(),
    }
}

/// Cuts the detail of a refusal to what is kept of it.
pub(super) fn bounded(mut detail: Detail) -> Detail {
    detail.0.truncate(REFUSAL_TEXTS);
    for (name, text) in &mut detail.0 {
        for text in [name, text] {
            if text.len() > REFUSAL_BYTES {
                let end = (0..=REFUSAL_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                text.truncate(end);
                text.push('…');
            }
        }
    }
    detail
}

/// The file of the day (UTC) that holds that moment, in milliseconds since 1970.
pub(super) fn day_name(at_ms: u64) -> String {
    let days = i64::try_from(at_ms / DAY_MS).unwrap_or(i64::MAX);
    let span = jiff::Span::new().try_days(days);
    let date = span.and_then(|span| jiff::civil::date(1970, 1, 1).checked_add(span));
    format!("{}.details", date.unwrap_or(jiff::civil::Date::MAX))
}

/// The last moment of a day file's day, in milliseconds since 1970; `None` for another file.
fn day_end(name: &str) -> Option<u64> {
    let date: jiff::civil::Date = name.strip_suffix(".details")?.parse().ok()?;
    let days = date.since(jiff::civil::date(1970, 1, 1)).ok()?.get_days();
    Some((u64::try_from(days).ok()? + 1) * DAY_MS)
}

/// The writing side, owned by the log's thread.
pub(super) struct Sidecar {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    max_bytes: u64,
    total: u64,
    day: Option<Day>,
}

struct Day {
    name: String,
    file: Box<dyn DiskFile>,
    len: u64,
    unsynced: bool,
}

impl Sidecar {
    /// Over that folder, which exists; all files together may take `max_bytes`.
    pub(super) fn new(disk: Arc<dyn Disk>, dir: PathBuf, max_bytes: u64) -> io::Result<Self> {
        let mut total = 0;
        for entry in std::fs::read_dir(&dir)? {
            total += entry?.metadata()?.len();
        }
        Ok(Self { disk, dir, max_bytes, total, day: None })
    }

    /// Appends sealed details of that day with one write.
    ///
    /// # Errors
    /// What the disk says, or `StorageFull` over the limit; the details are then not kept.
    pub(super) fn append(&mut self, at_ms: u64, details: &[(Ref, &[u8])]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for (reference, sealed) in details {
            bytes.extend(MAGIC);
            bytes.extend((sealed.len() as u32).to_be_bytes());
            bytes.extend(reference.as_bytes());
            bytes.extend(check(reference, sealed));
            bytes.extend(*sealed);
        }
        let name = day_name(at_ms);
        if self.day.as_ref().is_none_or(|day| day.name != name) {
            self.sync()?;
            self.day = None;
            let path = self.dir.join(&name);
            let len = sound_len(&path)?;
            let mut file = self.disk.open(&path)?;
            // A torn last detail of an earlier run would hide what is appended behind it.
            file.truncate(len)?;
            self.day = Some(Day { name, file, len, unsynced: false });
        }
        if self.total.saturating_add(bytes.len() as u64) > self.max_bytes {
            return Err(ErrorKind::StorageFull.into());
        }
        let Some(day) = &mut self.day else { return Ok(()) };
        if let Err(fault) = write_all(day.file.as_mut(), day.len, &bytes) {
            // The next one opens the file anew and cuts off what this one left.
            self.day = None;
            return Err(fault);
        }
        day.len += bytes.len() as u64;
        day.unsynced = true;
        self.total += bytes.len() as u64;
        Ok(())
    }

    /// Makes what was appended durable.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        match &mut self.day {
            Some(day) if day.unsynced => {
                day.unsynced = false;
                day.file.sync()?;
                self.disk.sync_dir(&self.dir)
            }
            _ => Ok(()),
        }
    }

    /// Erases the days that ended longer ago than the retention; returns how many.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn sweep(&mut self, now_ms: u64, retention_ms: u64) -> io::Result<usize> {
        let mut erased = 0;
        for entry in std::fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if day_end(name).is_some_and(|end| end.saturating_add(retention_ms) <= now_ms) {
                let len = entry.metadata()?.len();
                if self.day.as_ref().is_some_and(|day| day.name == name) {
                    self.day = None;
                }
                self.disk.remove(&entry.path())?;
                self.total = self.total.saturating_sub(len);
                erased += 1;
            }
        }
        if erased > 0 {
            self.disk.sync_dir(&self.dir)?;
        }
        Ok(erased)
    }
}

fn check(reference: &Ref, sealed: &[u8]) -> [u8; 8] {
    let hash = plain_hash(&[reference.as_bytes(), sealed]);
    let mut check = [0; 8];
    check.copy_from_slice(&hash[..8]);
    check
}

/// Calls `each` for every detail of a day file, with a way to read its bytes only where they are wanted. Returns how
/// long the sound part of the file is; 0 where there is no file.
fn walk(
    path: &Path,
    mut each: impl FnMut(Ref) -> bool,
    mut take: impl FnMut(Ref, Vec<u8>),
) -> io::Result<u64> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(0),
        Err(fault) => return Err(fault),
    };
    let total = file.metadata()?.len();
    let mut reader = BufReader::new(file);
    let mut at = 0;
    while total - at >= FRAME as u64 {
        let mut head = [0; FRAME];
        reader.read_exact(&mut head)?;
        let len = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let (Some(reference), true) = (Ref::from_slice(&head[8..16]), head.starts_with(MAGIC)) else { break };
        if len as usize > MAX_DETAIL || total - at < FRAME as u64 + u64::from(len) {
            break;
        }
        let end = at + FRAME as u64 + u64::from(len);
        // The last one is always looked at: only it can be torn.
        if each(reference) || end == total {
            let mut sealed = vec![0; len as usize];
            reader.read_exact(&mut sealed)?;
            if check(&reference, &sealed) != head[16..24] {
                break;
            }
            take(reference, sealed);
        } else {
            reader.seek_relative(i64::from(len))?;
        }
        at = end;
    }
    Ok(at)
}

fn sound_len(path: &Path) -> io::Result<u64> {
    walk(path, |_| true, |_, _| {})
}

/// The sealed details of these events, which all happened on the day of `at_ms`; those that are not there are left
/// out.
///
/// # Errors
/// What the system says.
pub(super) fn read(dir: &Path, at_ms: u64, wanted: &HashSet<Ref>) -> io::Result<HashMap<Ref, Vec<u8>>> {
    let mut found = HashMap::new();
    walk(
        &dir.join(day_name(at_ms)),
        |reference| wanted.contains(&reference),
        |reference, sealed| {
            if wanted.contains(&reference) {
                found.insert(reference, sealed);
            }
        },
    )?;
    Ok(found)
}

/// The SHA-256 of every sealed detail in the folder, by event.
///
/// # Errors
/// What the system says.
pub(super) fn digests(dir: &Path) -> io::Result<HashMap<Ref, Hash>> {
    let mut found = HashMap::new();
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(found),
        Err(fault) => return Err(fault),
    };
    for entry in entries {
        walk(
            &entry?.path(),
            |_| true,
            |reference, sealed| {
                found.insert(reference, plain_hash(&[&sealed]));
            },
        )?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

    use super::super::disk::RealDisk;
    use super::*;

    fn reference(byte: u8) -> Ref {
        Ref::from_bytes([byte; 8])
    }

    #[test]
    fn days_are_utc_days() {
        assert_eq!(day_name(0), "1970-01-01.details");
        assert_eq!(day_name(DAY_MS - 1), "1970-01-01.details");
        assert_eq!(day_name(1_790_000_000_000), "2026-09-21.details");
        assert_eq!(day_name(u64::MAX), "9999-12-31.details");
        assert_eq!(day_end("1970-01-01.details"), Some(DAY_MS));
        assert_eq!(day_end("2026-09-21.details"), Some((1_790_000_000_000 / DAY_MS + 1) * DAY_MS));
        for other in ["", "x", "1970-01-01", "1970-13-01.details", "notes.details"] {
            assert_eq!(day_end(other), None);
        }
    }

    #[test]
    fn a_torn_detail_hides_none_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut sidecar = Sidecar::new(Arc::new(RealDisk), dir.path().to_owned(), 1 << 20).unwrap();
        sidecar.append(5, &[(reference(1), b"one"), (reference(2), b"two")]).unwrap();
        let path = dir.path().join(day_name(5));
        let whole = std::fs::read(&path).unwrap();
        let wanted = [1, 2, 3].map(reference).into();
        for cut in FRAME + 3..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut again = Sidecar::new(Arc::new(RealDisk), dir.path().to_owned(), 1 << 20).unwrap();
            again.append(6, &[(reference(3), b"three")]).unwrap();
            let found = read(dir.path(), 7, &wanted).unwrap();
            assert_eq!(found.len(), 2, "cut at {cut}");
            assert_eq!(found[&reference(3)], b"three");
        }
    }

    #[test]
    fn old_days_are_erased_and_room_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut sidecar = Sidecar::new(Arc::new(RealDisk), dir.path().to_owned(), 100).unwrap();
        sidecar.append(0, &[(reference(1), &[0; 40])]).unwrap();
        let full = sidecar.append(DAY_MS, &[(reference(2), &[0; 40])]).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        assert_eq!(sidecar.sweep(DAY_MS + 9, 10).unwrap(), 0);
        assert_eq!(sidecar.sweep(DAY_MS + 10, 10).unwrap(), 1);
        sidecar.append(DAY_MS, &[(reference(2), &[0; 40])]).unwrap();
        assert_eq!(read(dir.path(), 0, &[reference(1)].into()).unwrap().len(), 0);
        assert_eq!(read(dir.path(), DAY_MS, &[reference(2)].into()).unwrap().len(), 1);
    }

    #[test]
    fn the_detail_of_a_refusal_is_cut() {
        let mut detail = Detail::default();
        for _ in 0..100 {
            detail.add("value", Some(&"ä".repeat(5000)));
        }
        let cut = bounded(detail);
        assert_eq!(cut.0.len(), REFUSAL_TEXTS);
        assert!(cut.0.iter().all(|(_, text)| text.len() <= REFUSAL_BYTES + 3));
    }
}
