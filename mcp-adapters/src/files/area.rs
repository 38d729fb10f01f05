//! The roots, and where a path leads: to a root's directory and what lies below it, if nothing on the way is denied.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use super::guard::{Guard, fold};
use super::open::{Fault, beneath, directory};
use super::path::FilePath;
use super::settings::{FilesSettings, Quota};

/// Why the adapter does not serve.
#[derive(Debug, thiserror::Error)]
pub enum AreaError {
    /// A root is not there, or is no directory.
    #[error("root {name}: {} cannot be used: {source}", path.display())]
    Root {
        /// The root.
        name: String,
        /// Its directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A root lies in what is never touched, or has a name that cannot be compared with it.
    #[error("root {name}: {} is denied by name", path.display())]
    Denied {
        /// The root.
        name: String,
        /// Its directory.
        path: PathBuf,
    },
    /// A pattern of what is denied says nothing.
    #[error("deny: {0}")]
    Pattern(String),
    /// Without this call of the kernel's nothing keeps a path beneath its root.
    #[error("this system has no openat2 (Linux 5.6): nothing would keep a path beneath its root")]
    Kernel,
}

/// All that can be reached.
#[derive(Debug)]
pub(super) struct Area {
    roots: Vec<Root>,
    guard: Guard,
    pub(super) quota: Quota,
    writing: Mutex<()>,
}

/// One root.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) name: String,
    /// Its directory, without symbolic links when it was looked up.
    dir: PathBuf,
    pub(super) writable: bool,
    /// The other names by which what lies in it can be reached, because one root lies in another.
    views: Vec<View>,
}

/// Another root's sight of the same files.
#[derive(Debug)]
enum View {
    /// This root lies in the other one, at these segments.
    Inside { names: Vec<String> },
    /// The other root lies in this one, at these segments, folded.
    Below { name: String, at: Vec<Vec<char>> },
}

/// Where a path leads. Nothing on it is denied.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) root: &'a Root,
    /// The root's directory, opened now.
    pub(super) dir: OwnedFd,
    pub(super) below: Vec<String>,
}

impl Area {
    /// Looks at each root.
    pub(super) fn new(settings: &FilesSettings) -> Result<Self, AreaError> {
        let guard = Guard::new(&settings.deny).map_err(AreaError::Pattern)?;
        let mut roots: Vec<Root> = Vec::new();
        for root in &settings.roots {
            let (name, path) = (root.name.clone(), root.path.clone());
            let found = path.canonicalize().and_then(|dir| {
                let opened = open_root(&dir).map_err(std::io::Error::from)?;
                Ok((dir, opened))
            });
            let (dir, opened) = match found {
                Ok(found) => found,
                Err(source) => return Err(AreaError::Root { name, path, source }),
            };
            match beneath(&opened, &[], OFlags::PATH) {
                Ok(_) => {}
                Err(Errno::NOSYS | Errno::INVAL | Errno::TOOBIG) => return Err(AreaError::Kernel),
                Err(errno) => return Err(AreaError::Root { name, path, source: errno.into() }),
            }
            match names(&dir) {
                Some(names) if !guard.denies(names.iter().map(String::as_str)) => {}
                _ => return Err(AreaError::Denied { name, path }),
            }
            roots.push(Root { name, dir, writable: root.writable, views: Vec::new() });
        }
        for at in 0..roots.len() {
            let views = roots.iter().enumerate().filter(|(other, _)| *other != at);
            let views = views.filter_map(|(_, other)| View::of(&roots[at], other)).collect();
            roots[at].views = views;
        }
        Ok(Self { roots, guard, quota: settings.quota, writing: Mutex::new(()) })
    }

    /// The roots, in the order of their settings.
    pub(super) fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// Where a path leads.
    ///
    /// # Errors
    /// Absent for what is denied by name, for an unknown root and for a root that is away.
    pub(super) fn place(&self, path: &FilePath) -> Result<Place<'_>, Fault> {
        self.lead(path, false)
    }

    /// Where a path leads that is to be changed. What can only be read is told before anything is looked at.
    ///
    /// # Errors
    /// As for [`Area::place`]; unfit for a root that can only be read.
    pub(super) fn place_to_change(&self, path: &FilePath) -> Result<Place<'_>, Fault> {
        self.lead(path, true)
    }

    fn lead(&self, path: &FilePath, writing: bool) -> Result<Place<'_>, Fault> {
        let (name, below) = path.split().ok_or(Fault::Absent)?;
        let root = self.roots.iter().find(|root| root.name == name).ok_or(Fault::Absent)?;
        if self.denies(root, below) {
            return Err(Fault::Absent);
        }
        if writing && !root.writable {
            return Err(Fault::unfit(format!("{} can only be read.", root.name)));
        }
        let dir = open_root(&root.dir)?;
        spelled(&dir, below)?;
        Ok(Place { root, dir, below: below.to_vec() })
    }

    /// Whether what lies there is denied, under any name by which it can be reached.
    pub(super) fn denies(&self, root: &Root, below: &[String]) -> bool {
        let rest = |from: usize| below[from..].iter().map(String::as_str);
        self.guard.denies([root.name.as_str()].into_iter().chain(rest(0)))
            || root.views.iter().any(|view| match view {
                View::Inside { names } => self.guard.denies(names.iter().map(String::as_str).chain(rest(0))),
                View::Below { name, at } => {
                    let leads = below.len() >= at.len()
                        && below.iter().zip(at).all(|(segment, at)| fold(segment) == *at);
                    leads && self.guard.denies([name.as_str()].into_iter().chain(rest(at.len())))
                }
            })
    }

    /// One writer at a time: a quota that two of them read before either has written bounds neither.
    pub(super) fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl View {
    fn of(root: &Root, other: &Root) -> Option<Self> {
        if let Ok(inner) = root.dir.strip_prefix(&other.dir) {
            let names = [other.name.clone()].into_iter().chain(names(inner)?).collect();
            return Some(Self::Inside { names });
        }
        let inner = other.dir.strip_prefix(&root.dir).ok()?;
        let at = names(inner)?.iter().map(|name| fold(name)).collect();
        Some(Self::Below { name: other.name.clone(), at })
    }
}

/// Whether each directory on the way lists the next name, byte for byte. Some file systems open one file by several names
/// (`CREDEN~1`, other case, other accents), and what is denied is denied by the name that is listed. What is not there at
/// all has no other name.
///
/// # Errors
/// Absent for what is there under another name only.
fn spelled(dir: &OwnedFd, below: &[String]) -> Result<(), Fault> {
    for (at, name) in below.iter().enumerate() {
        match beneath(dir, &below[..=at], OFlags::PATH) {
            Ok(_) => {}
            // A symbolic link is refused by whoever opens it.
            Err(Errno::NOENT | Errno::LOOP) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
        let mut found = false;
        for entry in Dir::read_from(directory(dir, &below[..at])?)? {
            if entry?.file_name().to_bytes() == name.as_bytes() {
                found = true;
                break;
            }
        }
        if !found {
            return Err(Fault::Absent);
        }
    }
    Ok(())
}

/// A path's segments as text; `None` where one is none.
fn names(path: &Path) -> Option<Vec<String>> {
    path.iter().filter(|name| *name != "/").map(|name| name.to_str().map(str::to_owned)).collect()
}

/// A root is opened for each call: a disk that comes and goes is there when it is there.
fn open_root(dir: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(dir, flags, Mode::empty())
}
