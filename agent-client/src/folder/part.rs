//! A file that is being saved: its bytes come into a `.part` file, and it gets its name when it is whole.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;

use claviger_beneath::{beneath, beneath_with};
use ring::digest::{Context, SHA256};
use rustix::fs::{
    AtFlags, Dir, FlockOperation, Mode, OFlags, RenameFlags, flock, fstat, linkat, renameat_with, statat,
    unlinkat,
};
use rustix::io::Errno;

use super::name::{fit, numbered};
use super::{Folder, FolderError, hex, is_file};

/// How names of parts begin and end.
const BEGIN: &str = "claviger-";
const END: &str = ".part";
/// How long a part is kept, in seconds.
const KEPT: u64 = 24 * 60 * 60;
/// How many files may have one name.
const NUMBERS: u32 = 1000;

/// Which part belongs to which call: named for what was asked, and for the state of the file that was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartName {
    /// 16 hex digits: the call without where it begins.
    pub(crate) asked: String,
    /// 16 hex digits: name, size, checksum and version of the file.
    pub(crate) state: String,
}

impl PartName {
    /// The part of a call, of a file in that state.
    pub(crate) fn new(asked: &str, state: &[u8]) -> Self {
        Self { asked: asked.to_owned(), state: short(state) }
    }

    fn file(&self) -> String {
        format!("{BEGIN}{}-{}{END}", self.asked, self.state)
    }

    fn read(name: &str) -> Option<Self> {
        let (asked, state) = name.strip_prefix(BEGIN)?.strip_suffix(END)?.split_once('-')?;
        let digits =
            |text: &str| text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (digits(asked) && digits(state)).then(|| Self { asked: asked.to_owned(), state: state.to_owned() })
    }
}

/// 16 hex digits of the SHA-256.
pub(crate) fn short(bytes: &[u8]) -> String {
    hex(&ring::digest::digest(&SHA256, bytes).as_ref()[..8])
}

/// What a part must be when its bytes have come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    /// Bytes of the whole.
    pub(crate) size: Option<u64>,
    /// SHA-256 of the whole, lower-case hex.
    pub(crate) sha256: Option<String>,
}

/// What was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saved {
    /// Its name in the folder.
    pub(crate) name: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its SHA-256, lower-case hex.
    pub(crate) sha256: String,
}

/// A part that is open, and nobody else's. Dropped, it is removed, unless it is to be kept.
pub(crate) struct Part {
    dir: OwnedFd,
    file: File,
    name: String,
    size: u64,
    whole: Context,
    /// Of the bytes that came since it was opened.
    came: (u64, Context),
    after: After,
}

/// What becomes of a part when it is dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// It goes.
    Remove,
    /// It stays, if there is a byte in it.
    Keep,
    /// It has its name, and is no part any more.
    Named,
}

impl Folder {
    /// The part that was kept of a call, and how many bytes it has; removes what was kept for too long. `now_ms`: since
    /// 1970.
    pub(crate) fn kept(&self, asked: &str, now_ms: u64) -> Result<Option<(PartName, u64)>, FolderError> {
        let dir = self.dir()?;
        let mut found = None;
        for entry in Dir::read_from(&dir)? {
            let entry = entry?;
            let Some(part) = entry.file_name().to_str().ok().and_then(PartName::read) else { continue };
            let name = part.file();
            let Ok(stat) = statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if is_file(&stat).is_err() {
                continue;
            }
            let changed = u64::try_from(stat.st_mtime).unwrap_or(0);
            if changed.saturating_add(KEPT) < now_ms / 1000 {
                remove_idle(&dir, &name);
            } else if part.asked == asked {
                found = Some((part, u64::try_from(stat.st_size).unwrap_or(0)));
            }
        }
        Ok(found)
    }

    /// Removes a part, if no other call writes into it.
    pub(crate) fn forget(&self, part: &PartName) -> Result<(), FolderError> {
        remove_idle(&self.dir()?, &part.file());
        Ok(())
    }

    /// Opens a part that has `offset` bytes already: makes it where that is none, and reads it once where there are some.
    /// `keep`: whether it stays when the bytes stop coming. Blocks.
    pub(crate) fn part(&self, part: &PartName, offset: u64, keep: bool) -> Result<Part, FolderError> {
        let (dir, name) = (self.dir()?, part.file());
        if offset == 0 {
            // One that is left over is begun anew; if somebody writes into it, it cannot be opened below.
            remove_idle(&dir, &name);
        }
        let new = if offset == 0 { OFlags::CREATE | OFlags::EXCL } else { OFlags::empty() };
        let mode = if offset == 0 { Mode::RUSR | Mode::WUSR } else { Mode::empty() };
        let flags = OFlags::RDWR | OFlags::NONBLOCK | new;
        let below = [name.clone()];
        let opened = beneath_with(&dir, &below, flags, mode).map_err(|errno| match errno {
            Errno::EXIST => FolderError::Busy,
            other => other.into(),
        })?;
        flock(&opened, FlockOperation::NonBlockingLockExclusive).map_err(|_| FolderError::Busy)?;
        let stat = fstat(&opened)?;
        is_file(&stat)?;
        // Nothing but a file that this user made here, and that has no other name, is written into.
        let ours = stat.st_uid == rustix::process::geteuid().as_raw() && stat.st_nlink == 1;
        if !ours || u64::try_from(stat.st_size).ok() != Some(offset) {
            return Err(FolderError::Changed);
        }
        let mut part = Part {
            dir,
            file: File::from(opened),
            name,
            size: 0,
            whole: Context::new(&SHA256),
            came: (0, Context::new(&SHA256)),
            after: After::Keep,
        };
        part.read_what_is_there()?;
        if !keep {
            part.after = After::Remove;
        }
        if part.size == offset { Ok(part) } else { Err(FolderError::Changed) }
    }
}

impl Part {
    fn read_what_is_there(&mut self) -> Result<(), FolderError> {
        let mut buffer = vec![0; 64 * 1024];
        self.file.seek(SeekFrom::Start(0))?;
        loop {
            match self.file.read(&mut buffer)? {
                0 => return Ok(()),
                count => {
                    self.whole.update(&buffer[..count]);
                    self.size += count as u64;
                }
            }
        }
    }

    /// Writes what came. Blocks.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), FolderError> {
        if let Err(error) = self.file.write_all(bytes) {
            // What is half written is no beginning.
            self.after = After::Remove;
            return Err(error.into());
        }
        self.whole.update(bytes);
        self.size += bytes.len() as u64;
        self.came.0 += bytes.len() as u64;
        self.came.1.update(bytes);
        Ok(())
    }

    /// It goes, whatever is in it.
    pub(crate) fn discard(&mut self) {
        self.after = After::Remove;
    }

    /// Gives it its name, if what came is what was sent (`length` and `sha256` of what came), and the whole is what was
    /// expected. `None`, and it is removed, where it is not.
    pub(crate) fn finish(
        mut self,
        length: u64,
        sha256: &[u8],
        expected: &Expected,
        name: &str,
    ) -> Result<Option<Saved>, FolderError> {
        self.after = After::Remove;
        let came = self.came.1.clone().finish();
        let whole = hex(self.whole.clone().finish().as_ref());
        let fits = self.came.0 == length
            && came.as_ref() == sha256
            && expected.size.is_none_or(|size| size == self.size)
            && expected.sha256.as_ref().is_none_or(|sha256| *sha256 == whole);
        if !fits {
            return Ok(None);
        }
        let name = self.give_name(&fit(name))?;
        Ok(Some(Saved { name, size: self.size, sha256: whole }))
    }

    /// The first name that is free, taken at once: a file that is there is never replaced.
    fn give_name(&mut self, name: &str) -> Result<String, FolderError> {
        for number in 1..=NUMBERS {
            let name = numbered(name, number);
            match renameat_with(&self.dir, &self.name, &self.dir, &name, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(self.named(name)),
                Err(Errno::EXIST) => {}
                // Some file systems know no such rename; a link never replaces either.
                Err(Errno::INVAL | Errno::NOSYS) => {
                    match linkat(&self.dir, &self.name, &self.dir, &name, AtFlags::empty()) {
                        Ok(()) => {
                            let _ = unlinkat(&self.dir, &self.name, AtFlags::empty());
                            return Ok(self.named(name));
                        }
                        Err(Errno::EXIST) => {}
                        Err(errno) => return Err(FolderError::System(errno.into())),
                    }
                }
                Err(errno) => return Err(FolderError::System(errno.into())),
            }
        }
        Err(FolderError::Crowded)
    }

    /// It has its name now, and nothing is to be removed.
    fn named(&mut self, name: String) -> String {
        self.after = After::Named;
        name
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let goes = match self.after {
            After::Remove => true,
            After::Keep => self.size == 0,
            After::Named => false,
        };
        if goes {
            let _ = unlinkat(&self.dir, &self.name, AtFlags::empty());
        }
    }
}

/// Removes a part that no other call writes into.
fn remove_idle(dir: &OwnedFd, name: &str) {
    let Ok(file) = beneath(dir, &[name.to_owned()], OFlags::RDONLY | OFlags::NONBLOCK) else { return };
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
        let _ = unlinkat(dir, name, AtFlags::empty());
    }
}
