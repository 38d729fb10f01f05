//! Reading: what lies in a directory, what a file is and holds, and where files of some name are.

use std::os::fd::AsFd;

use rustix::fs::{Dir, Stat, fstat};
use rustix::io::Errno;

use super::area::{Area, Place, Root};
use super::open::{self, Fault};
use super::path::{DEEPEST, FilePath};

/// How many entries of one directory are looked at.
const MOST_ENTRIES: usize = 100_000;
/// How many visible entries one search looks at.
const MOST_SEARCHED: usize = 20_000;
/// How many bytes one call reads at most.
pub(super) const LONGEST_READ: u64 = 1024 * 1024;

/// A file or directory as agents may know it.
///
/// Of a directory neither size nor time is told: both change with what is hidden in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) path: String,
    pub(super) name: String,
    /// `None` for a directory.
    pub(super) file: Option<Facts>,
}

/// What is told of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    /// In bytes.
    pub(super) size: u64,
    /// When it was last changed, in seconds since 1970.
    pub(super) modified: i64,
}

/// A part of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) node: Node,
    pub(super) bytes: Vec<u8>,
}

/// What a search found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) nodes: Vec<Node>,
    /// Whether there was more to look at, or to tell.
    pub(super) cut: bool,
}

impl Facts {
    pub(super) fn of(stat: &Stat) -> Self {
        #[allow(clippy::unnecessary_cast, reason = "the width is the platform's")]
        let modified = stat.st_mtime as i64;
        Self { size: open::size(stat), modified }
    }
}

impl Node {
    fn new(root: &Root, below: &[String], stat: &Stat) -> Self {
        let path = std::iter::once(root.name.as_str()).chain(below.iter().map(String::as_str));
        let path = path.collect::<Vec<_>>().join("/");
        let name = below.last().unwrap_or(&root.name).clone();
        Self { path, name, file: open::is_file(stat).then(|| Facts::of(stat)) }
    }
}

/// What lies there.
pub(super) fn info(area: &Area, path: &FilePath) -> Result<Node, Fault> {
    let place = area.place(path)?;
    let stat = open::look(&place.dir, &place.below)?;
    Ok(Node::new(place.root, &place.below, &stat))
}

/// Up to `length` bytes of a file from `offset` on.
pub(super) fn read(area: &Area, path: &FilePath, offset: u64, length: u64) -> Result<Part, Fault> {
    let place = area.place(path)?;
    let (file, stat) = open::file(&place.dir, &place.below)?;
    let length = length.min(LONGEST_READ).min(open::size(&stat).saturating_sub(offset));
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    let mut filled = 0;
    while filled < bytes.len() {
        let at = offset.saturating_add(filled as u64);
        match rustix::io::pread(&file, &mut bytes[filled..], at) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Fault::System(errno)),
        }
    }
    bytes.truncate(filled);
    Ok(Part { node: Node::new(place.root, &place.below, &stat), bytes })
}

/// What lies in a directory, by name, of what follows `after`.
pub(super) fn list(area: &Area, path: &FilePath, after: Option<&str>, most: usize) -> Result<Found, Fault> {
    let place = area.place(path)?;
    let stat = open::look(&place.dir, &place.below)?;
    if !open::is_directory(&stat) {
        return Err(Fault::unfit("This is a file: read_file shows what stands in it."));
    }
    let mut nodes = entries(area, &place, &place.below)?;
    nodes.retain(|node| after.is_none_or(|after| node.name.as_str() > after));
    let cut = nodes.len() > most;
    nodes.truncate(most);
    Ok(Found { nodes, cut })
}

/// Files and directories below a directory whose names hold all these words, nearest first.
pub(super) fn search(area: &Area, path: &FilePath, words: &str, most: usize) -> Result<Found, Fault> {
    let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
    let place = area.place(path)?;
    let stat = open::look(&place.dir, &place.below)?;
    if !open::is_directory(&stat) {
        return Err(Fault::unfit("This is a file: a search begins in a directory."));
    }
    let mut found = Found { nodes: Vec::new(), cut: false };
    let mut looked_at = 0;
    let mut waiting = std::collections::VecDeque::from([place.below.clone()]);
    while let Some(below) = waiting.pop_front() {
        let nodes = match entries(area, &place, &below) {
            Ok(nodes) => nodes,
            // It went away meanwhile, or is not for this user to read.
            Err(Fault::Absent) if below.len() > place.below.len() => continue,
            Err(fault) => return Err(fault),
        };
        for node in nodes {
            looked_at += 1;
            if looked_at > MOST_SEARCHED || found.nodes.len() == most {
                found.cut = true;
                return Ok(found);
            }
            if node.file.is_none() && below.len() < DEEPEST - 2 {
                waiting.push_back(below.iter().cloned().chain([node.name.clone()]).collect());
            }
            let name = node.name.to_lowercase();
            if words.iter().all(|word| name.contains(word.as_str())) {
                found.nodes.push(node);
            }
        }
    }
    Ok(found)
}

/// What can be seen in a directory, in the order of the names.
pub(super) fn entries(area: &Area, place: &Place<'_>, below: &[String]) -> Result<Vec<Node>, Fault> {
    let dir = open::directory(&place.dir, below)?;
    let device = open::device_of(&fstat(&dir)?);
    let mut nodes = Vec::new();
    for name in names(&dir)? {
        let inner: Vec<String> = below.iter().cloned().chain([name]).collect();
        if area.denies(place.root, &inner) {
            continue;
        }
        if let Some(stat) = inner.last().and_then(|name| open::entry(&dir, device, name)) {
            nodes.push(Node::new(place.root, &inner, &stat));
        }
    }
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(nodes)
}

/// The names in an open directory that can be asked for.
pub(super) fn names(dir: impl AsFd) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    for (count, entry) in Dir::read_from(dir)?.enumerate() {
        if count == MOST_ENTRIES {
            return Err(Fault::unfit("The directory has too many entries to be listed."));
        }
        names.extend(open::name(entry?.file_name()).map(str::to_owned));
    }
    Ok(names)
}
