//! Every input that fuzzing has kept, given to its target again, on the compiler that everything else is built with.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use claviger_fuzz::{TARGETS, Target};

/// The most that all corpora together may have: a checkout stays small, and this test quick.
const MOST_BYTES: u64 = 3 << 20;
const MOST_FILES: usize = 9_000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().parent().unwrap().join("fuzz")
}

/// The files of a folder below `fuzz`, sorted; none where there is no such folder.
fn files(folder: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root().join(folder)) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// The names of what lies in a folder below `fuzz`, without their endings.
fn names(folder: &str) -> BTreeSet<String> {
    files(folder).iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
}

fn replay(name: &str, target: Target) -> usize {
    let (corpus, regressions) = (files(&format!("corpus/{name}")), files(&format!("regressions/{name}")));
    assert!(!corpus.is_empty(), "fuzz/corpus/{name} has no file");
    for path in corpus.iter().chain(&regressions) {
        let bytes = fs::read(path).unwrap();
        let held = catch_unwind(|| target(&bytes));
        assert!(held.is_ok(), "{name} fails on {}", path.display());
    }
    corpus.len() + regressions.len()
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                assert!(replay(stringify!($name), claviger_fuzz::$name) > 0);
            }
        )*

        #[test]
        fn every_target_is_replayed_has_an_entry_point_and_a_corpus() {
            let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(targets.len(), TARGETS.len());
            assert_eq!(BTreeSet::from([$(stringify!($name).to_owned()),*]), targets, "a test for each");
            assert_eq!(names("fuzz_targets"), targets, "an entry point for each");
            assert_eq!(names("corpus"), targets, "a corpus for each");
            assert!(names("regressions").is_subset(&targets), "regressions of a target that there is");
            let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
            for (name, target) in TARGETS {
                let entry = fs::read_to_string(root().join(format!("fuzz_targets/{name}.rs"))).unwrap();
                let call = format!("fuzz_target!(|data: &[u8]| claviger_fuzz::{name}(data));\n");
                assert!(entry.ends_with(&call), "{name}: an entry point only calls its target");
                assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n")));
                // The list names the function that it says it names.
                let same = [$((stringify!($name), claviger_fuzz::$name as Target)),*];
                assert!(same.iter().any(|(known, function)| *known == name && std::ptr::fn_addr_eq(*function, target)));
            }
        }
    };
}

replays! { canonical links log mime_parse mime_render presentation record service step streams texts wire }

#[test]
fn the_corpora_stay_small() {
    let all: Vec<PathBuf> =
        names("corpus").iter().flat_map(|name| files(&format!("corpus/{name}"))).collect();
    let bytes: u64 = all.iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(bytes <= MOST_BYTES && all.len() <= MOST_FILES, "{} files of {bytes} bytes", all.len());
}
