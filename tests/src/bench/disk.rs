//! What one durable write costs in a directory, alone and shared by many.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::Context as _;
use tokio::sync::oneshot;

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

/// How many bytes a call's records have in the log, about: of a mint, an intent and an outcome.
const RECORDS: usize = 900;

/// The least that a durable log does for many callers: one thread appends whatever waits with one write and one
/// `fdatasync`, and then tells all of them.
pub(crate) struct Appender {
    queue: Sender<oneshot::Sender<()>>,
    path: PathBuf,
}

impl Appender {
    /// In that directory; its file goes with it.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn new(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("append.probe");
        let file = File::options().create_new(true).write(true).open(&path)?;
        let (queue, waiting) = channel();
        std::thread::spawn(move || append(&file, &waiting));
        Ok(Self { queue, path })
    }

    /// Appends what a call's records take; durable when this returns.
    ///
    /// # Errors
    /// It could not be written.
    pub(crate) async fn append(&self) -> anyhow::Result<()> {
        let (reply, told) = oneshot::channel();
        self.queue.send(reply)?;
        told.await.context("the disk took no more")
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        // It lies in a directory that goes next.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Ends when nobody can ask any more, or when the disk fails: then those who wait are told by their dropped replies.
fn append(file: &File, waiting: &Receiver<oneshot::Sender<()>>) {
    let mut at = 0;
    while let Ok(first) = waiting.recv() {
        let group: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
        let bytes = vec![7; group.len() * RECORDS];
        if file.write_all_at(&bytes, at).and_then(|()| file.sync_data()).is_err() {
            return;
        }
        at += bytes.len() as u64;
        for reply in group {
            // Whoever asked may be gone.
            let _ = reply.send(());
        }
    }
}
