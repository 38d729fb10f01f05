//! A file of somebody's configuration: looked at with suspicion, written whole or not at all.
//!
//! Links are followed, one by one, because people keep their configuration in repositories and link to it. What is
//! believed: a regular file of the one who runs this (to read, also one of root), and on the way to it only directories
//! of theirs or of root that nobody else can write to.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::super::failure::Failure;
use crate::keys::entropy::SystemEntropy;
use crate::port::Entropy;

/// The longest file that is read, in bytes.
const MAX: u64 = 4 << 20;
/// How many links lead to a file, at most.
const MAX_LINKS: usize = 8;
/// The sticky bit: others can write to the directory, and cannot touch what is not theirs.
const STICKY: u32 = 0o1000;

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum For {
    /// Only to be looked at.
    Reading,
    /// To be written anew.
    Writing,
}

/// A file, as it was when it was read; or the place where it is not yet.
pub(in crate::cli) struct Held {
    path: PathBuf,
    before: Option<Metadata>,
    text: Zeroizing<String>,
}

impl Held {
    /// Opens the file at the end of that path.
    ///
    /// # Errors
    /// It is another user's, no regular file, no text, longer than 4 MiB, or others could change it or its place.
    pub(in crate::cli) fn open(path: &Path, what_for: For) -> Result<Self, Failure> {
        let path = resolved(path)?;
        let bad = |why: String| {
            Failure::new(format!("{}: {why}", path.display()))
                .hint("nothing was read or changed; --file or FILE names another file")
        };
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let flags = i32::try_from(flags.bits()).unwrap_or_default();
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path, before: None, text: Zeroizing::default() });
            }
            Err(error) => return Err(bad(error.to_string())),
        };
        let metadata = file.metadata().map_err(|error| bad(error.to_string()))?;
        if !metadata.is_file() {
            return Err(bad("it is no regular file".to_owned()));
        }
        let own = rustix::process::geteuid().as_raw();
        let fine = metadata.uid() == own || what_for == For::Reading && metadata.uid() == 0;
        if !fine {
            return Err(bad(format!("it belongs to another user (uid {})", metadata.uid()))
                .hint("make a copy of it that is yours, or run this as that user"));
        }
        if metadata.len() > MAX {
            return Err(bad("it is longer than 4 MiB".to_owned()));
        }
        // Room for all of it at once: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX as usize + 1));
        (&file).take(MAX + 1).read_to_end(&mut bytes).map_err(|error| bad(error.to_string()))?;
        if bytes.len() as u64 > MAX {
            return Err(bad("it is longer than 4 MiB".to_owned()));
        }
        let text = str::from_utf8(&bytes).map_err(|_| bad("it is not UTF-8 text".to_owned()))?;
        Ok(Self { text: Zeroizing::new(text.to_owned()), before: Some(metadata), path })
    }

    /// The file itself, with all links resolved.
    pub(in crate::cli) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is there.
    pub(in crate::cli) fn exists(&self) -> bool {
        self.before.is_some()
    }

    /// What is in it; nothing, if it is not there.
    pub(in crate::cli) fn text(&self) -> &str {
        &self.text
    }

    /// Puts a new text in its place, at once: after a crash there is the old file or the new one. Mode, owner and group
    /// stay; a file that was not there is its owner's alone.
    ///
    /// # Errors
    /// It has changed since it was read, or the new one cannot be made; the old one stands then.
    pub(in crate::cli) fn write(&self, text: &str) -> Result<(), Failure> {
        let failed = |error: io::Error| {
            Failure::new(format!("{} cannot be written: {error}", self.path.display()))
                .hint("it is as it was; --print shows what to put in by hand")
        };
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        let beside = Beside::make(&self.path).map_err(failed)?;
        (&beside.file).write_all(text.as_bytes()).map_err(failed)?;
        if let Some(before) = &self.before {
            let made = beside.file.metadata().map_err(failed)?;
            if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
                fchown(&beside.file, Some(before.uid()), Some(before.gid())).map_err(failed)?;
            }
            beside.file.set_permissions(Permissions::from_mode(before.mode() & 0o7777)).map_err(failed)?;
        }
        beside.file.sync_all().map_err(failed)?;
        self.unchanged()?;
        std::fs::rename(&beside.path, &self.path).map_err(failed)?;
        beside.keep();
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
    }

    /// Whether it is still what was read.
    fn unchanged(&self) -> Result<(), Failure> {
        let now = match std::fs::symlink_metadata(&self.path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let stamp = |metadata: &Metadata| {
            let at = (metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec());
            (metadata.dev(), metadata.ino(), metadata.len(), at)
        };
        if now.as_ref().map(stamp) == self.before.as_ref().map(stamp) {
            return Ok(());
        }
        Err(Failure::new(format!("{} has changed while it was looked at", self.path.display()))
            .hint("it was left alone; run this again"))
    }
}

/// Writes a new file that must not be there yet: its owner's alone, synced, and its directory too.
pub(in crate::cli) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.inspect_err(|_| {
        // It was made just now, by this process.
        let _ = std::fs::remove_file(path);
    })?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// A new file beside another, that goes unless it is kept.
struct Beside {
    file: File,
    path: PathBuf,
    kept: std::cell::Cell<bool>,
}

impl Beside {
    fn make(path: &Path) -> io::Result<Self> {
        let mut random = [0; 8];
        SystemEntropy::new().fill(&mut random);
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
        name.push(format!(".{:016x}", u64::from_be_bytes(random)));
        let path = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path, kept: std::cell::Cell::new(false) })
    }

    fn keep(&self) {
        self.kept.set(true);
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.kept.get() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The path with its links followed, each of which stands in a directory that is believed.
fn resolved(path: &Path) -> Result<PathBuf, Failure> {
    let mut path = std::path::absolute(path)?;
    for _ in 0..=MAX_LINKS {
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Failure::new(format!("{} is no file", path.display())).hint("name a file"));
        };
        let above = above.canonicalize().map_err(|error| {
            Failure::new(format!("{}: {error}", above.display()))
                .hint("is the program that reads this file installed for this user?")
                .hint("--print shows what to put in by hand; --file names another file")
        })?;
        believe(&above)?;
        path = above.join(name);
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => path = above.join(std::fs::read_link(&path)?),
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::new(format!("{} is a link to a link to a link…", path.display()))
        .hint("name the file itself"))
}

/// Whether nobody else can change what is in that directory, which is given without links.
fn believe(directory: &Path) -> Result<(), Failure> {
    let own = rustix::process::geteuid().as_raw();
    for (at, place) in directory.ancestors().enumerate() {
        let metadata = std::fs::metadata(place)?;
        let shown = place.display();
        if metadata.uid() != own && metadata.uid() != 0 {
            return Err(Failure::new(format!(
                "the directory {shown} belongs to another user (uid {})",
                metadata.uid()
            ))
            .hint("nothing was read or changed; --print shows what to put in by hand"));
        }
        // Above, a sticky bit is enough: others cannot move what is not theirs.
        let sticky = at > 0 && metadata.mode() & STICKY != 0;
        if metadata.mode() & 0o022 != 0 && !sticky {
            return Err(Failure::new(format!("others can write to the directory {shown}"))
                .hint(format!("nothing was read or changed; `chmod go-w {shown}`, if it is yours")));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
