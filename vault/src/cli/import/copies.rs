//! Copies of what was taken that still lie around, each with the command that removes it. Nothing is removed here.

use std::path::{Path, PathBuf};

use super::super::world::World;
use super::plan::Plan;

/// How editors and people call an old copy of a file.
const ENDS: [&str; 6] = [".bak", ".backup", ".old", ".orig", ".save", "~"];
/// Directories of mcporter's token caches that are looked at, at most.
const MOST: usize = 200;

/// A copy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Leftover {
    /// What it is.
    pub(super) what: String,
    /// How to be rid of it; empty where no one command does it.
    pub(super) command: String,
}

/// What still lies around. `file` is the one that was written anew.
pub(super) fn leftovers(world: &World, plan: &Plan, file: Option<&Path>) -> Vec<Leftover> {
    let mut found = Vec::new();
    for source in plan.sources.iter().filter(|source| Some(source.as_path()) != file) {
        found.push(remove(source, "read from here"));
    }
    for source in plan.sources.iter().map(PathBuf::as_path).chain(file) {
        for copy in ENDS.iter().map(|end| with_end(source, end)).filter(|copy| is_there(copy)) {
            found.push(remove(&copy, "an old copy"));
        }
        let swap = source.file_name().map(|name| {
            let mut swap = std::ffi::OsString::from(".");
            swap.push(name);
            swap.push(".swp");
            source.with_file_name(swap)
        });
        found.extend(swap.filter(|swap| is_there(swap)).map(|swap| remove(&swap, "an editor's copy")));
        if let Some(repository) = source.ancestors().skip(1).find(|above| is_there(&above.join(".git"))) {
            found.push(Leftover {
                what: format!(
                    "the history of the repository {} may have {}: have the service make a new token",
                    repository.display(),
                    source.display()
                ),
                command: String::new(),
            });
        }
    }
    if let Some(home) = &world.user_home {
        let home = home.join(".mcporter");
        let caches = plan.out.iter().take(MOST).map(|name| home.join(name)).filter(|cache| {
            // A server's name is not to lead out of there.
            cache.parent() == Some(home.as_path()) && is_there(&cache.join("tokens.json"))
        });
        found.extend(caches.map(|cache| remove(&cache.join("tokens.json"), "mcporter's token cache")));
        let vault = home.join("credentials.json");
        if !plan.out.is_empty() && is_there(&vault) {
            found.push(remove(&vault, "mcporter's tokens of all its servers"));
        }
    }
    for name in &plan.variables {
        found.push(Leftover {
            what: format!("the variable {name}: take it out of wherever your shell or service sets it"),
            command: format!("unset {name}"),
        });
    }
    found.dedup();
    found
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    path.into()
}

fn is_there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

fn remove(path: &Path, what: &str) -> Leftover {
    let quoted = path.display().to_string().replace('\'', r"'\''");
    Leftover { what: format!("{} ({what})", path.display()), command: format!("rm -- '{quoted}'") }
}
