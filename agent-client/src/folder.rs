//! The one folder that files come from and are saved in.
//!
//! Nothing outside of it is opened: a path has one form, and the kernel keeps the walk beneath the folder
//! ([`claviger_beneath`]). Nothing in it is ever overwritten: a name that is taken gets a number. What is saved is
//! readable by its owner alone.
//!
//! While bytes come they lie in a file `claviger-….part` ([`part`]). It is kept, and gone on with by the same call, where
//! the transfer was cut and the service tells one version of the file from another; everything else is removed at once,
//! and what was kept is removed after a day.

mod name;
pub(crate) mod part;
mod upload;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use claviger_beneath::{beneath, segments};
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat};
use rustix::io::Errno;

pub(crate) use upload::{Upload, hex};

/// Why the folder, or a file in it, was not used. Holds no path that an agent gave.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It is not there, is no directory, or is not to be entered.
    #[error("the folder {} cannot be used: {source}", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Anybody could put a file there, or take one away.
    #[error("anybody can write into the folder {} (mode {mode:o})", path.display())]
    OpenToAll {
        /// The folder.
        path: PathBuf,
        /// Its mode bits.
        mode: u32,
    },
    /// Nothing would keep a path beneath the folder.
    #[error("this system has no openat2 (Linux 5.6): nothing would keep a path beneath the folder")]
    Kernel,
    /// A path that is not relative, or has `.`, `..`, an empty segment, or a character that does not show.
    #[error("that is no path below the folder: it is relative, as in `a/b.pdf`")]
    BadPath,
    /// Nothing is there that could be read; a link and what lies elsewhere is nothing.
    #[error("there is no such file in the folder")]
    Absent,
    /// A directory, a device, a pipe.
    #[error("that is no file")]
    NotAFile,
    /// It is not what it was when it was measured.
    #[error("the file changed while it was read")]
    Changed,
    /// Another call saves the same.
    #[error("the same is being saved already")]
    Busy,
    /// A thousand files have that name.
    #[error("too many files of that name are in the folder")]
    Crowded,
    /// The system has trouble: no space, most likely.
    #[error("the folder has trouble: {0}")]
    System(#[source] std::io::Error),
}

impl From<Errno> for FolderError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::LOOP
            | Errno::XDEV
            | Errno::ACCESS
            | Errno::PERM
            | Errno::NAMETOOLONG
            | Errno::NXIO
            | Errno::NODEV => Self::Absent,
            Errno::ISDIR => Self::NotAFile,
            other => Self::System(other.into()),
        }
    }
}

impl From<std::io::Error> for FolderError {
    fn from(error: std::io::Error) -> Self {
        Self::System(error)
    }
}

impl FolderError {
    /// One line that says what to do next.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Unusable { .. } => "make the folder, or correct --folder / CLAVIGER_FOLDER",
            Self::OpenToAll { .. } => "give it to its user alone: chmod 700",
            Self::Kernel => "use a newer kernel",
            Self::BadPath | Self::Absent | Self::NotAFile => {
                "name a file that lies in the folder, by its path below it"
            }
            Self::Changed => "call again when nobody writes to the file any more",
            Self::Busy => "wait for the other call",
            Self::Crowded => "tidy the folder up",
            Self::System(_) => "look whether the disk is full",
        }
    }
}

/// The folder. It is opened for each use: a disk that comes and goes is there when it is there.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Looks at the folder.
    ///
    /// # Errors
    /// It is no directory, anybody can write to it, or the kernel cannot keep a path beneath it.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let unusable = |source| FolderError::Unusable { path: path.to_owned(), source };
        let folder = Self { path: path.canonicalize().map_err(unusable)? };
        let dir = folder.dir()?;
        #[allow(clippy::useless_conversion, reason = "the width is the platform's")]
        let mode = u32::from(fstat(&dir).map_err(|errno| unusable(errno.into()))?.st_mode);
        if mode & 0o002 != 0 {
            return Err(FolderError::OpenToAll { path: folder.path, mode: mode & 0o7777 });
        }
        match beneath(&dir, &[], OFlags::PATH) {
            Ok(_) => Ok(folder),
            Err(Errno::NOSYS | Errno::INVAL | Errno::TOOBIG) => Err(FolderError::Kernel),
            Err(errno) => Err(unusable(errno.into())),
        }
    }

    /// Where it is, without symbolic links when it was looked up.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn dir(&self) -> Result<OwnedFd, FolderError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::open(&self.path, flags, Mode::empty())
            .map_err(|errno| FolderError::Unusable { path: self.path.clone(), source: errno.into() })
    }

    /// Opens a regular file below the folder for reading. It is looked at first, and again once it is open: a device that
    /// is only looked at does nothing, and a pipe that came there meanwhile is not waited for.
    fn read(&self, path: &str) -> Result<(String, File, u64), FolderError> {
        let below = segments(path).ok_or(FolderError::BadPath)?;
        let name = below.last().ok_or(FolderError::BadPath)?.clone();
        let dir = self.dir()?;
        is_file(&fstat(beneath(&dir, &below, OFlags::PATH)?)?)?;
        let opened = beneath(&dir, &below, OFlags::RDONLY | OFlags::NONBLOCK)?;
        let stat = fstat(&opened)?;
        is_file(&stat)?;
        Ok((name, File::from(opened), u64::try_from(stat.st_size).unwrap_or(0)))
    }
}

fn is_file(stat: &Stat) -> Result<(), FolderError> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(()),
        _ => Err(FolderError::NotAFile),
    }
}

#[cfg(test)]
mod tests;
