//! Opening: beneath a root, no symbolic link followed, no other file system entered. The kernel does the walk.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, OFlags, Stat, fstat, statat};
use rustix::io::Errno;

use super::path::is_segment;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not there, or not for anybody here. One fault for both.
    Absent,
    /// It cannot be done; the text is ours and says why.
    Unfit(String),
    /// The system has trouble; nothing was changed.
    System(Errno),
    /// The system had trouble after the change was begun.
    Unknown(Errno),
}

impl Fault {
    pub(super) fn unfit(text: impl Into<String>) -> Self {
        Self::Unfit(text.into())
    }
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::ISDIR
            | Errno::LOOP
            | Errno::XDEV
            | Errno::ACCESS
            | Errno::PERM
            | Errno::NAMETOOLONG
            | Errno::NXIO
            | Errno::NODEV => Self::Absent,
            other => Self::System(other),
        }
    }
}

pub(super) use claviger_beneath::beneath;

/// Opens a directory for listing.
pub(super) fn directory(dir: impl AsFd, below: &[String]) -> Result<OwnedFd, Errno> {
    beneath(dir, below, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Looks at what is there without opening it: a device that is only looked at does nothing.
pub(super) fn look(dir: impl AsFd, below: &[String]) -> Result<Stat, Fault> {
    let stat = fstat(beneath(dir, below, OFlags::PATH)?)?;
    if is_file(&stat) || is_directory(&stat) { Ok(stat) } else { Err(Fault::Absent) }
}

/// Opens a regular file for reading. It is looked at first, and again once it is open.
pub(super) fn file(dir: impl AsFd, below: &[String]) -> Result<(OwnedFd, Stat), Fault> {
    let before = look(&dir, below)?;
    if !is_file(&before) {
        return Err(Fault::unfit("This is a directory: list_directory shows what lies in it."));
    }
    // Should it have become a pipe meanwhile, then opening it does not wait.
    let opened = beneath(&dir, below, OFlags::RDONLY | OFlags::NONBLOCK)?;
    let stat = fstat(&opened)?;
    if is_file(&stat) { Ok((opened, stat)) } else { Err(Fault::Absent) }
}

/// What an entry of an open directory is; `None` for what is neither file nor directory, or of another file system.
pub(super) fn entry(dir: impl AsFd, device: u64, name: &str) -> Option<Stat> {
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    ((is_file(&stat) || is_directory(&stat)) && device_of(&stat) == device).then_some(stat)
}

/// A name of the disk that can be asked for.
pub(super) fn name(raw: &CStr) -> Option<&str> {
    raw.to_str().ok().filter(|name| is_segment(name))
}

pub(super) fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

pub(super) fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// The size in bytes.
pub(super) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

#[allow(clippy::unnecessary_cast, reason = "the width is the platform's")]
pub(super) fn device_of(stat: &Stat) -> u64 {
    stat.st_dev as u64
}

#[allow(clippy::useless_conversion, reason = "the width is the platform's")]
pub(super) fn links(stat: &Stat) -> u64 {
    u64::try_from(stat.st_nlink).unwrap_or(u64::MAX)
}
