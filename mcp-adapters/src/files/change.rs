//! Writing, in the writable folder only. What is written stands there whole or not at all: it is written beside its
//! place, made durable, and renamed.

use std::os::fd::{AsFd, OwnedFd};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, Stat, fchmod, fstat, fsync, mkdirat, openat, renameat, renameat_with,
    statat, unlinkat,
};
use rustix::io::Errno;

use super::area::{Area, Place};
use super::look::{self, Facts, Node};
use super::open::{self, Fault};
use super::path::FilePath;

/// What the names of unfinished files begin and end with.
const UNFINISHED: (&str, &str) = (".claviger-", ".tmp");
/// Mode bits of a new file and a new directory, before the umask.
const NEW_FILE: u32 = 0o664;
const NEW_DIRECTORY: u32 = 0o775;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteMode {
    /// Only where nothing is.
    Create,
    /// In the place of what is there, if anything is.
    Overwrite,
    /// After what stands there, if anything does.
    Append,
}

impl WriteMode {
    /// The mode of that name. Unsaid means the one that can destroy nothing.
    pub(super) fn from_word(word: Option<&str>) -> Option<Self> {
        match word {
            None | Some("create") => Some(Self::Create),
            Some("overwrite") => Some(Self::Overwrite),
            Some("append") => Some(Self::Append),
            Some(_) => None,
        }
    }
}

/// A name in an open directory of the writable folder.
struct Slot<'a> {
    place: Place<'a>,
    parent: OwnedFd,
    name: String,
}

impl<'a> Slot<'a> {
    fn open(area: &'a Area, path: &FilePath) -> Result<Self, Fault> {
        let place = area.place_to_change(path)?;
        let (name, above) = place
            .below
            .split_last()
            .ok_or_else(|| Fault::unfit("This is the writable folder itself: give a path below it."))?;
        let parent = open::directory(&place.dir, above)?;
        Ok(Self { name: name.clone(), parent, place })
    }

    /// What stands there: a regular file or directory of this file system. Anything else is not there, and stays.
    fn there(&self) -> Result<Option<Stat>, Fault> {
        let stat = match statat(&self.parent, self.name.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let device = open::device_of(&fstat(&self.parent)?);
        let known = open::is_file(&stat) || open::is_directory(&stat);
        if known && open::device_of(&stat) == device { Ok(Some(stat)) } else { Err(Fault::Absent) }
    }

    /// The regular file that stands there under this one name; `None` where nothing does.
    fn file(&self) -> Result<Option<Stat>, Fault> {
        match self.there()? {
            Some(stat) if open::is_directory(&stat) => {
                Err(Fault::unfit("There is a directory of that name."))
            }
            Some(stat) if open::links(&stat) > 1 => {
                Err(Fault::unfit("The file stands under other names, too, and is not written to."))
            }
            other => Ok(other),
        }
    }

    fn node(&self, size: u64) -> Result<Node, Fault> {
        let stat = statat(&self.parent, self.name.as_str(), AtFlags::SYMLINK_NOFOLLOW)?;
        let path: Vec<&str> = std::iter::once(self.place.root.name.as_str())
            .chain(self.place.below.iter().map(String::as_str))
            .collect();
        let file = open::is_file(&stat).then(|| Facts { size, ..Facts::of(&stat) });
        Ok(Node { path: path.join("/"), name: self.name.clone(), file })
    }
}

/// Writes a file.
pub(super) fn write(area: &Area, path: &FilePath, content: &[u8], mode: WriteMode) -> Result<Node, Fault> {
    let _alone = area.writing();
    let slot = Slot::open(area, path)?;
    let there = slot.file()?;
    if there.is_some() && mode == WriteMode::Create {
        return Err(taken());
    }
    let before =
        if mode == WriteMode::Append && there.is_some() { present(area, &slot)? } else { Vec::new() };
    let size = (before.len() as u64).saturating_add(content.len() as u64);
    if size > area.quota.file_bytes {
        let most = area.quota.file_bytes;
        return Err(Fault::unfit(format!("The file would have {size} bytes; at most {most} are allowed.")));
    }
    room(area, &slot.place, there.as_ref().map_or(0, open::size), size, there.is_none())?;
    let unfinished = unfinished(&slot.parent, &[&before, content], there.as_ref());
    let (name, written) = unfinished?;
    let moved = written.and_then(|()| match there {
        Some(_) => {
            renameat(&slot.parent, name.as_str(), &slot.parent, slot.name.as_str()).map_err(Fault::from)
        }
        None => take_place(&slot.parent, &name, &slot.parent, &slot.name),
    });
    if let Err(fault) = moved {
        // It is left over if this fails, too; the next write takes it away.
        let _ = unlinkat(&slot.parent, name.as_str(), AtFlags::empty());
        return Err(fault);
    }
    fsync(&slot.parent).map_err(Fault::Unknown)?;
    slot.node(size)
}

/// Makes a directory.
pub(super) fn make_directory(area: &Area, path: &FilePath) -> Result<Node, Fault> {
    let _alone = area.writing();
    let slot = Slot::open(area, path)?;
    if slot.there()?.is_some() {
        return Err(taken());
    }
    room(area, &slot.place, 0, 0, true)?;
    mkdirat(&slot.parent, slot.name.as_str(), Mode::from_raw_mode(NEW_DIRECTORY)).map_err(exists)?;
    fsync(&slot.parent).map_err(Fault::Unknown)?;
    slot.node(0)
}

/// Moves a file to where nothing is. A directory is not moved: what is denied by its path would be elsewhere then.
pub(super) fn move_file(area: &Area, from: &FilePath, to: &FilePath) -> Result<Node, Fault> {
    let _alone = area.writing();
    let (from, to) = (Slot::open(area, from)?, Slot::open(area, to)?);
    let stat = from.there()?.ok_or(Fault::Absent)?;
    if !open::is_file(&stat) {
        return Err(Fault::unfit("Only files are moved, no directories."));
    }
    if to.there()?.is_some() {
        return Err(taken());
    }
    take_place(&from.parent, &from.name, &to.parent, &to.name)?;
    fsync(&to.parent).and_then(|()| fsync(&from.parent)).map_err(Fault::Unknown)?;
    to.node(open::size(&stat))
}

/// Deletes a file. A directory is not deleted: whether that works would tell what is hidden in it.
pub(super) fn delete_file(area: &Area, path: &FilePath) -> Result<Node, Fault> {
    let _alone = area.writing();
    let slot = Slot::open(area, path)?;
    let stat = slot.there()?.ok_or(Fault::Absent)?;
    if !open::is_file(&stat) {
        return Err(Fault::unfit("Only files are deleted, no directories."));
    }
    let node = slot.node(open::size(&stat))?;
    unlinkat(&slot.parent, slot.name.as_str(), AtFlags::empty())?;
    fsync(&slot.parent).map_err(Fault::Unknown)?;
    Ok(node)
}

fn taken() -> Fault {
    Fault::unfit("There is something of that name already.")
}

fn exists(errno: Errno) -> Fault {
    if errno == Errno::EXIST { taken() } else { errno.into() }
}

/// What stands in the file that is appended to.
fn present(area: &Area, slot: &Slot<'_>) -> Result<Vec<u8>, Fault> {
    let too_large = || Fault::unfit("The file is too large to be appended to.");
    let (file, stat) = open::file(&slot.parent, std::slice::from_ref(&slot.name))?;
    if open::links(&stat) > 1 || open::size(&stat) > area.quota.file_bytes {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match rustix::io::pread(&file, &mut chunk, bytes.len() as u64) {
            Ok(0) => return Ok(bytes),
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Fault::System(errno)),
        }
        if bytes.len() as u64 > area.quota.file_bytes {
            return Err(too_large());
        }
    }
}

/// Writes the parts into a new file of a name that nobody can ask for, and makes them durable. The file is there also
/// where that failed.
fn unfinished(
    parent: &OwnedFd,
    parts: &[&[u8]],
    like: Option<&Stat>,
) -> Result<(String, Result<(), Fault>), Fault> {
    let mut random = [0; 16];
    SystemRandom::new().fill(&mut random).map_err(|_| Fault::System(Errno::AGAIN))?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{}{digits}{}", UNFINISHED.0, UNFINISHED.1);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(parent, name.as_str(), flags, Mode::from_raw_mode(NEW_FILE))?;
    let written = fill(&file, parts, like).map_err(Fault::System);
    Ok((name, written))
}

fn fill(file: &OwnedFd, parts: &[&[u8]], like: Option<&Stat>) -> Result<(), Errno> {
    if let Some(like) = like {
        // The permissions of what it takes the place of, and no more than permissions.
        fchmod(file, Mode::from_raw_mode(like.st_mode & 0o777))?;
    }
    for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            match rustix::io::write(file, rest) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    fsync(file)
}

/// Renames to where nothing is.
fn take_place(from: &OwnedFd, old: &str, to: &OwnedFd, new: &str) -> Result<(), Fault> {
    match renameat_with(from, old, to, new, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => take_place_in_turn(from, old, to, new),
        Err(errno) => Err(exists(errno)),
    }
}

/// The same where the file system cannot do it at once (network file systems): the name is taken by an empty file that
/// nobody else made, and that is what is replaced.
fn take_place_in_turn(from: &OwnedFd, old: &str, to: &OwnedFd, new: &str) -> Result<(), Fault> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(to, new, flags, Mode::from_raw_mode(NEW_FILE)).map_err(exists)?;
    renameat(from, old, to, new).map_err(|errno| {
        // Ours, and empty.
        let _ = unlinkat(to, new, AtFlags::empty());
        Fault::from(errno)
    })
}

/// Whether there is room for a file of `size` bytes in the place of one of `before`.
///
/// A directory below the top that this user cannot look into counts as one entry, and what lies in it does not count: one
/// that somebody else has closed must not stop all writes. It bounds an agent all the same, for no write goes into what
/// was not counted: [`Slot::open`] needs the same rights as the count, to list the directory and to look at what lies in
/// it. Who else may change the folder can take things out of the count so, as by moving them out of the folder.
fn room(area: &Area, place: &Place<'_>, before: u64, size: u64, new: bool) -> Result<(), Fault> {
    let (mut files, mut bytes) = (u64::from(new), size);
    let mut waiting = vec![Vec::new()];
    while let Some(below) = waiting.pop() {
        let nodes = open::directory(&place.dir, &below)
            .map_err(Fault::from)
            .and_then(clear_unfinished)
            .and_then(|()| look::entries(area, place, &below));
        let nodes = match nodes {
            // Closed to this user, or gone since it was listed.
            Err(Fault::Absent) if !below.is_empty() => continue,
            nodes => nodes?,
        };
        for node in nodes {
            files = files.saturating_add(1);
            match node.file {
                Some(facts) => bytes = bytes.saturating_add(facts.size),
                None => waiting.push(below.iter().cloned().chain([node.name]).collect()),
            }
        }
        if files > area.quota.files {
            let most = area.quota.files;
            return Err(Fault::unfit(format!("The folder holds at most {most} files and directories.")));
        }
    }
    if bytes.saturating_sub(before) > area.quota.total_bytes {
        let most = area.quota.total_bytes;
        return Err(Fault::unfit(format!("All files of the folder together may have {most} bytes.")));
    }
    Ok(())
}

/// Takes away what a writer left that was ended in the middle. Only one writes at a time, so it is nobody's.
fn clear_unfinished(dir: impl AsFd) -> Result<(), Fault> {
    for name in look::names(&dir)? {
        let ours = name
            .strip_prefix(UNFINISHED.0)
            .and_then(|rest| rest.strip_suffix(UNFINISHED.1))
            .is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()));
        if ours {
            let _ = unlinkat(&dir, name.as_str(), AtFlags::empty());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn a_name_is_taken_in_turn_and_never_over_another() {
        let dir = tempfile::tempdir().unwrap();
        let fd: OwnedFd = std::fs::File::open(dir.path()).unwrap().into();
        std::fs::write(dir.path().join("a"), "new").unwrap();
        take_place_in_turn(&fd, "a", &fd, "b").unwrap();
        assert_eq!(std::fs::read(dir.path().join("b")).unwrap(), b"new");
        assert!(!dir.path().join("a").exists());
        std::fs::write(dir.path().join("a"), "other").unwrap();
        assert_eq!(take_place_in_turn(&fd, "a", &fd, "b"), Err(taken()));
        assert_eq!(std::fs::read(dir.path().join("b")).unwrap(), b"new");
        std::os::unix::fs::symlink("elsewhere", dir.path().join("link")).unwrap();
        assert_eq!(take_place_in_turn(&fd, "a", &fd, "link"), Err(taken()));
        assert!(take_place_in_turn(&fd, "none", &fd, "c").is_err());
        assert!(!dir.path().join("c").exists());
    }
}
