//! Room: what fits, and how the log gets another segment.

use std::io;
use std::path::Path;

use super::super::disk::{DiskFile, is_full, write_all};
use super::super::queue::{Class, Job, ROOM};
use super::super::segment::{FRAME, HEADER, Header, Previous, file_name, frame};
use super::{Closed, Current, RESERVE, Writer};
use crate::port::AuditFault;

impl Writer {
    /// What must stay free behind a record of that class, in bytes.
    pub(super) fn kept(&self, class: Class) -> u64 {
        let rooms = self.shared.rooms() * ROOM;
        match class {
            Class::Normal | Class::Refusal => rooms + RESERVE,
            Class::Intent => rooms + ROOM + RESERVE,
            Class::Reserve => rooms,
            Class::Outcome => 0,
        }
    }

    pub(super) fn fits(&self, class: Class, bytes: u64) -> bool {
        self.current
            .as_ref()
            .is_some_and(|current| current.cap.saturating_sub(current.used) >= bytes + self.kept(class))
    }

    /// A new segment in which that many bytes fit, for a record of that class.
    pub(super) fn make_room(&mut self, class: Class, bytes: u64) -> Result<(), AuditFault> {
        let kept = self.kept(class).max(self.shared.rooms() * ROOM);
        let result = self.start_segment(&[], bytes + kept);
        match &result {
            Ok(()) if matches!(class, Class::Normal | Class::Intent | Class::Refusal) => {
                self.shared.set_trouble(None);
            }
            Ok(()) => {}
            Err(fault) => self.shared.set_trouble(Some(fault.clone())),
        }
        result
    }

    /// Makes the name of the current segment durable, where that failed before.
    pub(super) fn name_current(&mut self) -> Result<(), AuditFault> {
        if let Some(current) = &mut self.current
            && !current.named
        {
            self.disk.sync_dir(&self.dir.join("segments")).map_err(|_| AuditFault::Broken)?;
            current.named = true;
        }
        Ok(())
    }

    /// Begins a segment that holds the carried records and these, with at least `free` bytes behind them. It gets its
    /// name only when all of that is durable; until then the current segment stays what it is.
    pub(super) fn start_segment(&mut self, group: &[Job], free: u64) -> Result<(), AuditFault> {
        let before = match &self.current {
            Some(current) => Some(Closed {
                first: current.first,
                len: current.used,
                abandoned: false,
                previous: current.previous,
            }),
            None => self.last.clone(),
        };
        let base = if self.carry.is_empty() { &self.tree } else { &self.carry_base };
        // A segment in which nothing is durable is replaced, name and all: the new one has the same first index.
        let previous = match &before {
            Some(closed) if closed.holds_nothing() => closed.previous,
            Some(closed) => {
                Some(Previous { first: closed.first, len: closed.len, abandoned: closed.abandoned })
            }
            None => None,
        };
        let header = Header { first: base.size(), previous, root: base.root() };
        let mut bytes = header.encode().to_vec();
        let mut tree = base.clone();
        for payload in self.carry.iter().chain(group.iter().map(|job| &job.payload)) {
            let leaf = frame(&mut bytes, tree.size(), HEADER as u32, payload);
            tree.append(leaf);
        }

        let taken = self.closed_bytes + self.current.as_ref().map_or(0, |current| current.used);
        let least = bytes.len() as u64 + free;
        let most = self.limits.segment_bytes.max(least).min(self.limits.max_bytes.saturating_sub(taken));
        if most < least {
            return Err(AuditFault::Full);
        }
        let segments = self.dir.join("segments");
        let path = segments.join(file_name(header.first));
        let mut created = self.create_segment(&segments, &path, &bytes, most, least);
        // Behind the durable length of a segment that is given up there is nothing of worth (but the carried records):
        // its room is used for the new one. The current segment's room stays: it is the reserve.
        if let (Err(fault), None, Some(closed)) = (&created, &self.current, &before)
            && is_full(fault)
        {
            self.shrink(&segments, closed, closed.len + self.carry_len());
            created = self.create_segment(&segments, &path, &bytes, most, least);
        }
        let (file, cap, named) = created.map_err(|fault| {
            tracing::warn!(%fault, "no new segment of the audit log");
            if is_full(&fault) { AuditFault::Full } else { AuditFault::Broken }
        })?;

        self.closed_bytes = match &before {
            Some(closed) if closed.holds_nothing() => taken.saturating_sub(closed.len),
            _ => taken,
        };
        self.tree = tree;
        self.carry = Vec::new();
        self.last = None;
        let used = bytes.len() as u64;
        self.current = Some(Current { file, first: header.first, previous, used, cap, named: named.is_ok() });
        if let Err(fault) = named {
            // The segment is there, and perhaps not after a power cut: nothing is acknowledged until its name is synced.
            tracing::warn!(%fault, "the name of a new segment of the audit log is not durable");
            return Err(AuditFault::Broken);
        }
        if let Some(closed) = &before
            && !closed.holds_nothing()
        {
            self.shrink(&segments, closed, closed.len);
        }
        Ok(())
    }

    /// How many bytes the carried records take behind the durable length of the last segment.
    pub(super) fn carry_len(&self) -> u64 {
        self.carry.iter().map(|payload| (FRAME + payload.len()) as u64).sum()
    }

    pub(super) fn create_segment(
        &self,
        segments: &Path,
        path: &Path,
        bytes: &[u8],
        most: u64,
        least: u64,
    ) -> io::Result<(Box<dyn DiskFile>, u64, io::Result<()>)> {
        let new = segments.join("segment.new");
        let attempt = |cap: u64| {
            let mut file = self.disk.create(&new)?;
            file.preallocate(cap)?;
            write_all(file.as_mut(), 0, bytes)?;
            file.sync()?;
            self.disk.rename(&new, path)?;
            Ok((file, cap, self.disk.sync_dir(segments)))
        };
        let mut cap = most;
        loop {
            match attempt(cap) {
                Ok(made) => return Ok(made),
                Err(fault) => {
                    // What is left of it takes room that others need.
                    let _ = self.disk.remove(&new);
                    if !is_full(&fault) || cap == least {
                        return Err(fault);
                    }
                    cap = (cap / 4).max(least);
                }
            }
        }
    }

    /// Gives back what a closed segment has allocated behind that length. Only a saving: readers stop at its end.
    pub(super) fn shrink(&self, segments: &Path, closed: &Closed, keep: u64) {
        let path = segments.join(file_name(closed.first));
        let cut = self.disk.open(&path).and_then(|mut file| file.truncate(keep));
        if let Err(fault) = cut {
            tracing::warn!(%fault, "a closed segment of the audit log keeps its allocated room");
        }
    }
}
