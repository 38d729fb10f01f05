//! What one durable write costs in a directory.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::load::{elapsed, now};
use super::stats::median;

/// How many bytes each write has.
const BYTES: usize = 4096;

/// The median of `count` times appending 4 KiB and `fdatasync`, in microseconds. Blocks.
///
/// # Errors
/// What the system says.
pub(crate) fn fdatasync(dir: &Path, count: usize) -> anyhow::Result<f64> {
    let path = dir.join("fdatasync.probe");
    let file = File::options().create_new(true).write(true).open(&path)?;
    let measured = measure(&file, count);
    std::fs::remove_file(&path)?;
    measured
}

fn measure(file: &File, count: usize) -> anyhow::Result<f64> {
    let bytes = [7; BYTES];
    let mut micros = Vec::with_capacity(count);
    for number in 0..count {
        let began = now();
        file.write_all_at(&bytes, (number * BYTES) as u64)?;
        file.sync_data()?;
        micros.push(elapsed(began));
    }
    Ok(median(&micros))
}
