//! Looking things up: first among the newest records in memory, then in the segments, newest first.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::path::Path;

use claviger_domain::event::{Detail, Event};
use claviger_domain::id::Ref;

use super::queue::{RECENT, Shared};
use super::record::{self, Record};
use super::segment::{Walk, list};
use super::sidecar;
use crate::port::Sealer;

const DAY_MS: u64 = 86_400_000;

/// The newest events that the filter accepts, newest first, with their details. One segment at most is in memory.
pub(super) fn query(
    shared: &Shared,
    dir: &Path,
    sealer: &dyn Sealer,
    filter: &dyn Fn(&Event) -> bool,
    limit: usize,
) -> io::Result<Vec<(Event, Detail)>> {
    let limit = limit.min(RECENT);
    let (mut found, known_from) = shared.recall(filter, limit);
    if found.len() < limit && known_from > 0 {
        older(&dir.join("segments"), known_from, filter, limit, &mut found)?;
    }
    Ok(with_details(&dir.join("sidecar"), sealer, found))
}

/// Adds matches among the records below that index, newest first.
fn older(
    segments: &Path,
    mut below: u64,
    filter: &dyn Fn(&Event) -> bool,
    limit: usize,
    found: &mut Vec<Record>,
) -> io::Result<()> {
    for (first, path) in list(segments)?.into_iter().rev() {
        if first >= below {
            continue;
        }
        let bytes = std::fs::read(&path)?;
        let wanted = limit - found.len();
        let mut matches = VecDeque::new();
        let mut walk = Walk::new(&bytes, first);
        // What stands from `below` on is another segment's, or a group that is being written.
        while walk.index() < below
            && let Ok(framed) = walk.step()
        {
            if let Ok(record) = record::decode(framed.payload)
                && filter(&record.event)
            {
                if matches.len() == wanted {
                    matches.pop_front();
                }
                matches.push_back(record);
            }
        }
        found.extend(matches.into_iter().rev());
        if found.len() >= limit {
            break;
        }
        below = first;
    }
    Ok(())
}

/// Each event with what is still there of its detail; a day's file is read once.
fn with_details(dir: &Path, sealer: &dyn Sealer, records: Vec<Record>) -> Vec<(Event, Detail)> {
    let mut wanted: HashMap<u64, HashSet<Ref>> = HashMap::new();
    for record in records.iter().filter(|record| record.detail.is_some()) {
        wanted.entry(record.event.at_ms / DAY_MS).or_default().insert(record.event.reference);
    }
    let mut details = HashMap::new();
    for (day, references) in wanted {
        match sidecar::read(dir, day * DAY_MS, &references) {
            Ok(found) => details.extend(found),
            Err(fault) => tracing::warn!(%fault, "details of audit events cannot be read"),
        }
    }
    records
        .into_iter()
        .map(|Record { event, detail }| {
            let sealed = details.get(&event.reference);
            let detail = detail
                .zip(sealed)
                .map(|(commitment, sealed)| sidecar::open(sealer, event.reference, &commitment, sealed));
            (event, detail.unwrap_or_default())
        })
        .collect()
}
