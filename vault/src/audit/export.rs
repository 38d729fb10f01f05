//! Reading a whole log out again, for other programs: checked first, then told record by record.

use std::path::Path;

use claviger_domain::event::Event;

use super::scan::{Tail, scan};
use super::verify::{Report, VerifyFault, verify};

/// Checks the log in that folder as [`verify`] does, then calls `each` with the index and the event of every record
/// that was checked, oldest first. Details are sealed, and not read.
///
/// A vault may go on writing meanwhile: what it adds after the check is left out.
///
/// # Errors
/// [`VerifyFault`]: nothing was told if the check failed. Should the log change between the check and the reading, what
/// was told by then cannot be relied on, and the fault says that.
pub fn export(
    dir: &Path,
    key: &str,
    given: Option<&str>,
    each: &mut dyn FnMut(u64, Event),
) -> Result<Report, VerifyFault> {
    let report = verify(dir, key, given)?;
    let mut root = None;
    let scanned = scan(&dir.join("segments"), Tail::Strict, &mut |framed, record, tree, _| {
        if framed.index < report.records {
            each(framed.index, record.event);
        }
        if tree.size() == report.records {
            root = Some(tree.root());
        }
    });
    match root {
        // Behind the records that were checked a write may be under way; it is no concern of this reading.
        Some(root) if root == report.root => Ok(report),
        None if report.records == 0 => Ok(report),
        Some(_) => Err(VerifyFault::Root { size: report.records }),
        None => {
            scanned?;
            Err(VerifyFault::Root { size: report.records })
        }
    }
}
