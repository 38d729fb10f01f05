//! Rust source, read as far as the rules about it need: its paths (`crate::store::Store`), and which of them are in
//! tests. Comments and texts are left out, so that neither breaks a rule nor keeps one.

use std::path::{Path, PathBuf};

mod paths;
mod words;

pub use paths::Found;
pub use words::{Token, Word, words};

use crate::repository;

/// One file of a crate.
#[derive(Debug)]
pub struct Source {
    /// Its path from the root of the repository.
    pub path: PathBuf,
    /// The module that it is, from the crate's root: `["rpc", "agent"]` for `src/rpc/agent.rs`, nothing for `lib.rs`.
    pub module: Vec<String>,
    /// Its text.
    pub text: String,
}

impl Source {
    /// The paths in it.
    #[must_use]
    pub fn paths(&self) -> Vec<Found> {
        paths::paths(&self.text)
    }

    /// Where a path of this file leads within its crate, from the root: `["store", "Store"]` for `crate::store::Store`
    /// and for `super::store::Store` in `src/egress.rs`; `None` for one that leads to another crate, or that names
    /// something of its own module.
    #[must_use]
    pub fn resolve(&self, found: &Found) -> Option<Vec<String>> {
        let mut rest = found.segments.iter().peekable();
        let mut base: Vec<String> = self.module.iter().chain(&found.inside).cloned().collect();
        match rest.peek()?.as_str() {
            "crate" => {
                rest.next();
                base.clear();
            }
            "self" => {
                rest.next();
            }
            "super" => {}
            _ => return None,
        }
        while rest.next_if(|segment| *segment == "super").is_some() {
            base.pop();
        }
        Some(base.into_iter().chain(rest.cloned()).collect())
    }
}

/// The sources of a crate, given by its `src` folder, without its programs (`src/bin`) and without what is compiled for
/// tests only.
///
/// # Panics
/// When a file cannot be read.
#[must_use]
pub fn sources(folder: &str) -> Vec<Source> {
    let all: Vec<Source> = repository::files(folder, &["rs"])
        .into_iter()
        .filter(|path| !path.starts_with(Path::new(folder).join("bin")))
        .map(|path| Source { module: module(&path, folder), text: repository::read(&path), path })
        .collect();
    let tests: Vec<Vec<String>> = all
        .iter()
        .flat_map(|source| {
            paths::test_modules(&source.text)
                .into_iter()
                .map(|name| source.module.iter().cloned().chain([name]).collect())
        })
        .collect();
    all.into_iter().filter(|source| !tests.iter().any(|test| source.module.starts_with(test))).collect()
}

fn module(path: &Path, folder: &str) -> Vec<String> {
    let path = path.strip_prefix(folder).expect("a source is in its crate").with_extension("");
    let mut module: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod") || module == ["lib"] {
        module.pop();
    }
    module
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(module: &[&str], text: &str) -> Vec<String> {
        let module = module.iter().map(|&part| part.to_owned()).collect();
        let source = Source { path: PathBuf::new(), module, text: text.to_owned() };
        source.paths().iter().filter_map(|found| source.resolve(found)).map(|path| path.join("::")).collect()
    }

    #[test]
    fn paths_lead_from_the_root() {
        assert_eq!(resolved(&["rpc", "agent"], "use crate::store::Store;"), ["store::Store"]);
        assert_eq!(resolved(&["rpc", "agent"], "use super::super::store::Store;"), ["store::Store"]);
        assert_eq!(resolved(&["rpc", "agent"], "use super::peer::Peer;"), ["rpc::peer::Peer"]);
        assert_eq!(resolved(&["rpc"], "use self::peer::Peer;"), ["rpc::peer::Peer"]);
        assert_eq!(resolved(&["rpc"], "mod x { use super::super::store::Store; }"), ["store::Store"]);
        assert_eq!(resolved(&["rpc"], "use claviger_domain::id::Id; peer::go();"), [""; 0]);
    }

    #[test]
    fn a_file_is_the_module_that_its_path_says() {
        for (path, expected) in [
            ("vault/src/lib.rs", vec![]),
            ("vault/src/port.rs", vec!["port"]),
            ("vault/src/rpc/mod.rs", vec!["rpc"]),
            ("vault/src/rpc/agent.rs", vec!["rpc", "agent"]),
        ] {
            assert_eq!(module(Path::new(path), "vault/src"), expected, "{path}");
        }
    }
}
