//! What is known of each mutant, kept from run to run.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::instrument::Mutant;

/// What became of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fate {
    /// A test failed.
    Caught,
    /// A test did not end in time, or was stopped for its memory's sake.
    Timeout,
    /// Every test that reaches it passed.
    Survived,
    /// No test runs the place.
    NotReached,
    /// It does not compile.
    Unviable,
}

impl Fate {
    /// Each, in the order of the table.
    pub(crate) const ALL: [Fate; 5] =
        [Fate::Caught, Fate::Timeout, Fate::Survived, Fate::NotReached, Fate::Unviable];

    fn word(self) -> &'static str {
        match self {
            Fate::Caught => "caught",
            Fate::Timeout => "timeout",
            Fate::Survived => "survived",
            Fate::NotReached => "not reached",
            Fate::Unviable => "unviable",
        }
    }

    /// Whether it says that a test is missing.
    pub(crate) fn is_bad(self) -> bool {
        matches!(self, Fate::Survived | Fate::NotReached)
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The results of one package. A result counts as long as the file that the mutant is in stays as it was.
pub(crate) struct Results {
    path: PathBuf,
    file: File,
    /// By key: how it ended, and the print of its file then.
    known: BTreeMap<String, (Fate, String)>,
    prints: BTreeMap<String, String>,
    /// Files and the tests that caught a mutant of theirs, as they came.
    caught: Vec<(String, String)>,
}

impl Results {
    /// Takes the file of results, whether to forget what is in it, and the prints of the sources as they are now.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub(crate) fn open(path: PathBuf, again: bool, prints: BTreeMap<String, String>) -> anyhow::Result<Self> {
        if again && path.exists() {
            fs::remove_file(&path)?;
        }
        let (mut known, mut caught) = (BTreeMap::new(), Vec::new());
        for line in fs::read_to_string(&path).unwrap_or_default().lines() {
            // The last line of a run that was stopped may be half a line.
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            let (key, fate, print) = (text("key"), text("fate"), text("print"));
            if let Some(by) = line["by"].as_str() {
                caught.push((file_of(&key).to_owned(), by.to_owned()));
            }
            if let Some(fate) = Fate::ALL.into_iter().find(|known| known.word() == fate) {
                known.insert(key, (fate, print));
            }
        }
        known.retain(|key, (_, print)| prints.get(file_of(key)) == Some(print));
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        Ok(Results { path, file, known, prints, caught })
    }

    /// What is known of a mutant.
    pub(crate) fn of(&self, mutant: &Mutant) -> Option<Fate> {
        self.known.get(&mutant.key()).map(|(fate, _)| *fate)
    }

    /// The keys of what is known not to compile.
    pub(crate) fn unviable(&self) -> HashSet<String> {
        let unviable = self.known.iter().filter(|(_, (fate, _))| *fate == Fate::Unviable);
        unviable.map(|(key, _)| key.clone()).collect()
    }

    /// Files and the tests that caught a mutant of theirs in earlier runs, the latest last.
    pub(crate) fn caught(&self) -> impl Iterator<Item = (&str, &str)> {
        self.caught.iter().map(|(file, by)| (file.as_str(), by.as_str()))
    }

    /// Remembers what became of a mutant, and which test caught it, for this run and the next.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn learn(&mut self, mutant: &Mutant, fate: Fate, by: Option<&str>) -> anyhow::Result<()> {
        let key = mutant.key();
        let print = self.prints.get(&mutant.file).cloned().unwrap_or_default();
        let line = json!({ "key": &key, "fate": fate.word(), "print": &print, "by": by });
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.known.insert(key, (fate, print));
        Ok(())
    }

    /// Writes the counts, and each mutant that says that a test is missing, sorted by place.
    ///
    /// # Errors
    /// The file of survivors cannot be written.
    pub(crate) fn report(&self, mutants: &[&Mutant]) -> anyhow::Result<(String, PathBuf)> {
        let mut counts: BTreeMap<Fate, usize> = BTreeMap::new();
        let mut bad = Vec::new();
        for mutant in mutants {
            let Some(fate) = self.of(mutant) else { continue };
            *counts.entry(fate).or_default() += 1;
            if fate.is_bad() {
                bad.push((&mutant.file, mutant.line, mutant.column, fate, mutant.key()));
            }
        }
        bad.sort();
        let told: usize = counts.values().sum();
        let mut table: String = Fate::ALL
            .iter()
            .map(|fate| format!("{fate:<12}{:>7}\n", counts.get(fate).unwrap_or(&0)))
            .collect();
        table.push_str(&format!("{:<12}{told:>7} of {}\n", "all", mutants.len()));
        let mut list = format!("{table}\n");
        for (_, _, _, fate, key) in bad {
            list.push_str(&if fate == Fate::NotReached {
                format!("{key} (not reached)\n")
            } else {
                format!("{key}\n")
            });
        }
        let path = self.path.with_extension("txt");
        fs::write(&path, list)?;
        Ok((table, path))
    }
}

/// The file that a key begins with.
fn file_of(key: &str) -> &str {
    key.split(':').next().unwrap_or_default()
}
