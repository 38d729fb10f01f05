//! The few things the log asks of a filesystem, small enough for a test to let each of them fail.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};
use rustix::io::Errno;

/// An open file.
pub trait DiskFile: Send {
    /// Writes at that offset; returns how many bytes were taken, which may be fewer than given.
    ///
    /// # Errors
    /// What the system says.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize>;
    /// Makes everything written durable.
    ///
    /// # Errors
    /// What the system says. After an error it is unknown what is on the disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Makes the file that long, with blocks allocated, reading as zeros.
    ///
    /// # Errors
    /// What the system says, `StorageFull` above all.
    fn preallocate(&mut self, len: u64) -> io::Result<()>;
    /// Cuts the file to that length.
    ///
    /// # Errors
    /// What the system says.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

/// An object through which the log writes. Reading needs no seam: it goes to the same paths.
pub trait Disk: Send + Sync {
    /// A new, empty file in place of whatever had that path.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// The file of that path, made if it is not there.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Gives the file another name, replacing what had it.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// The real filesystem.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

/// How far ahead of what is written a file with allocated room holds real zeros, in bytes. The first write to a block
/// that was only allocated changes the filesystem's books, and so its sync has two things to make durable; a write over
/// zeros has one. (On ext4 that was 150 against 90 µs.)
const ZEROS_AHEAD: u64 = 256 << 10;

struct RealFile {
    file: File,
    /// How many bytes were allocated ahead; 0 where none were.
    allocated: u64,
    /// Up to where real zeros, or what was written, stand: no zeros go below.
    zeroed: u64,
}

impl RealFile {
    fn new(file: File) -> Self {
        Self { file, allocated: 0, zeroed: 0 }
    }

    /// Puts zeros where a write is about to go and a good way beyond: these read as they did before, so it does not
    /// matter to anybody when, or whether, they reach the disk.
    fn zeros_ahead(&mut self, offset: u64, end: u64) {
        if end <= self.zeroed || offset >= self.allocated {
            return;
        }
        let from = self.zeroed.max(offset);
        let to = end.saturating_add(ZEROS_AHEAD).min(self.allocated);
        let zeros = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
        // Only a saving: where it fails, the write itself says why. Never again below what is about to be written.
        let done = self.file.write_all_at(&zeros, from).is_ok();
        self.zeroed = if done { to } else { self.zeroed.max(end) };
    }
}

impl DiskFile for RealFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.zeros_ahead(offset, offset.saturating_add(bytes.len() as u64));
        self.file.write_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn preallocate(&mut self, len: u64) -> io::Result<()> {
        match fallocate(&self.file, FallocateFlags::empty(), 0, len) {
            Ok(()) => {
                self.allocated = len;
                Ok(())
            }
            // A filesystem that cannot allocate ahead gets real zeros: a reserve must be blocks, not a promise.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                let zeros = vec![0; 1 << 16];
                let mut at = self.file.metadata()?.len();
                while at < len {
                    let now = usize::try_from(len - at).unwrap_or(usize::MAX).min(zeros.len());
                    self.file.write_all_at(&zeros[..now], at)?;
                    at += now as u64;
                }
                Ok(())
            }
            Err(fault) => Err(fault.into()),
        }
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.allocated = 0;
        self.file.set_len(len)
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(Box::new(RealFile::new(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        Ok(Box::new(RealFile::new(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// Writes all of the bytes at that offset.
///
/// # Errors
/// What the file says, or `WriteZero` where it takes nothing more.
pub fn write_all(file: &mut dyn DiskFile, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(offset, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => {
                offset += taken as u64;
                bytes = bytes.get(taken..).unwrap_or_default();
            }
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

/// Replaces a small file as a whole: whoever reads sees the old bytes or the new ones, and never a part.
///
/// # Errors
/// What the disk says; the old file is then still there.
pub fn replace(disk: &dyn Disk, dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = dir.join(format!("{name}.new"));
    let mut file = disk.create(&new)?;
    write_all(file.as_mut(), 0, bytes)?;
    file.sync()?;
    disk.rename(&new, &dir.join(name))?;
    disk.sync_dir(dir)
}

/// Makes a directory that only this user may enter, if it is not there.
///
/// # Errors
/// What the system says.
pub fn make_dir(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Takes the lock of the log for as long as the returned file lives: one process writes.
///
/// # Errors
/// `WouldBlock` where another process holds it; else what the system says.
pub fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// Whether the failure means that there is no room.
#[must_use]
pub fn is_full(fault: &io::Error) -> bool {
    matches!(
        fault.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn zeros_ahead_change_nothing_that_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut file = RealDisk.create(&path).unwrap();
        let len = 3 * ZEROS_AHEAD;
        file.preallocate(len).unwrap();
        let mut expected = vec![0; usize::try_from(len).unwrap()];
        // Over the edge of what is zeroed, again and again, in pieces that fit no block; and once back into the middle.
        let mut at = 0;
        let mut step = 1;
        while at + step < len {
            let bytes = vec![u8::try_from(step % 251).unwrap() + 1; usize::try_from(step).unwrap()];
            write_all(file.as_mut(), at, &bytes).unwrap();
            let start = usize::try_from(at).unwrap();
            expected[start..start + bytes.len()].copy_from_slice(&bytes);
            at += step;
            step = step * 3 + 7;
        }
        write_all(file.as_mut(), 5, b"back").unwrap();
        expected[5..9].copy_from_slice(b"back");
        file.sync().unwrap();
        assert!(std::fs::read(&path).unwrap() == expected, "what was written, and zeros");
        file.truncate(10).unwrap();
        write_all(file.as_mut(), 10, b"end").unwrap();
        assert_eq!(std::fs::read(&path).unwrap().len(), 13, "a file that was cut gets no zeros");
    }
}
