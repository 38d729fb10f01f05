//! The whole tool, on a crate with one function that is tested and one that is not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const MANIFEST: &str = r#"[package]
name = "fixture"
version = "0.1.0"
edition = "2024"

[workspace]
"#;

const ROOT: &str = r#"//! One function that is tested, one that is not, one that nothing runs.

mod rooms;

/// A number, counted while compiling: no mutant is made of it.
pub const MOST: usize = 2 + 3;

/// Something without a default: replacing a body by one does not compile.
pub struct Plain(pub bool);

pub fn tested(age: u32, names: &[&str]) -> bool {
    age >= 18 && !names.is_empty()
}

pub fn untested(age: u32, names: &[&str]) -> bool {
    age >= 18 && !names.is_empty()
}

pub fn unreached(name: &str) -> Plain {
    Plain(name == "x")
}

/// Runs for ever when it no longer counts.
pub fn counted(most: u32) -> u32 {
    let mut count = 0;
    while count < most {
        count += 2;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn helper() -> bool {
        1 + 1 == 2
    }

    #[test]
    fn who_is_old_enough_and_named() {
        assert!(tested(18, &["a"]) && tested(19, &["a"]) && helper());
        assert!(!tested(17, &["a"]) && !tested(18, &[]));
    }

    #[test]
    fn runs_it_and_asks_nothing() {
        untested(18, &["a"]);
    }

    #[test]
    fn counts() {
        assert_eq!(counted(4), 4);
    }

    #[test]
    fn rooms_are_kept() {
        assert_eq!(rooms::kept(&[Some(1), None, Some(9)]), [9]);
        assert!(rooms::open("door").is_ok() && rooms::open("").is_err());
        let _nobody_asks = rooms::open("wall");
    }
}
"#;

const ROOMS: &str = r#"//! A module in a file of its own.

pub(crate) fn kept(rooms: &[Option<u8>]) -> Vec<u8> {
    rooms.iter().filter(|room| matches!(room, Some(n) if *n > 5)).filter_map(|room| *room).collect()
}

pub(crate) fn open(door: &str) -> Result<(), String> {
    checked(door)?;
    if let Some(first) = door.chars().next() && first == '#' {
        return Err("a number".to_owned());
    }
    match door {
        "wall" => Err("no door".to_owned()),
        _ => Ok(()),
    }
}

fn checked(door: &str) -> Result<(), String> {
    if door.is_empty() {
        return Err("no name".to_owned());
    }
    Ok(())
}
"#;

#[test]
fn what_is_tested_is_caught_and_what_is_not_survives() {
    let folder = fixture("whole");
    let first = mutants(&folder, &[]);
    assert_eq!(first.status.code(), Some(1), "{}", String::from_utf8_lossy(&first.stderr));
    let fates = fates(&folder);
    let of = |what: &str, within: &str| {
        let found: Vec<&str> = fates
            .iter()
            .filter(|(key, _)| key.contains(&format!(": {what} in ")) && key.ends_with(&format!(" {within}")))
            .map(|(_, fate)| fate.as_str())
            .collect();
        assert_eq!(found.len(), 1, "{what} in {within}: {found:?} of {fates:#?}");
        found[0].to_owned()
    };
    for what in [
        "replace && with ||",
        "replace >= with >",
        "replace >= with <",
        "replace 18 with 17 in a comparison by >=",
        "delete !",
        "negate .is_empty()",
        "replace the body with true",
        "replace the body with false",
    ] {
        assert_eq!(of(what, "tested"), "caught", "{what}");
        assert_eq!(of(what, "untested"), "survived", "{what}");
    }
    assert_eq!(of("replace == with !=", "unreached"), "not reached");
    assert_eq!(of("replace the body with Default::default()", "unreached"), "unviable");
    assert_eq!(of("replace += with -=", "counted"), "caught");
    assert_eq!(of("replace the body with 0", "counted"), "caught");
    assert_eq!(of("let everything through .filter()", "kept"), "caught");
    assert_eq!(of("negate matches!", "kept"), "caught");
    assert_eq!(of("replace the body with Vec::new()", "kept"), "caught");
    assert_eq!(of("ignore the error of ?", "open"), "caught");
    assert_eq!(of("delete match arm \"wall\"", "open"), "survived");
    assert_eq!(of("replace == with !=", "open"), "caught");
    assert_eq!(of("replace the body with Ok(())", "checked"), "caught");
    // Tests, and what is worked out while compiling, have no mutants.
    assert!(!fates.keys().any(|key| key.contains("helper") || key.contains("lib.rs:6:")), "{fates:#?}");

    let list = fs::read_to_string(results(&folder, "txt")).unwrap();
    assert!(list.contains("src/lib.rs:16:9: replace >= with > in untested\n"), "{list}");
    assert!(list.contains(" in unreached (not reached)\n") && !list.contains(" in tested\n"), "{list}");

    // What is known is not tried again, until its file or the answer to it changes.
    let before = fs::read_to_string(results(&folder, "jsonl")).unwrap();
    mutants(&folder, &[]);
    assert_eq!(fs::read_to_string(results(&folder, "jsonl")).unwrap(), before);
    let better = ROOT.replace(
        "        untested(18, &[\"a\"]);",
        "        assert!(untested(18, &[\"a\"]) && untested(19, &[\"a\"]));
         assert!(!untested(17, &[\"a\"]) && !untested(18, &[]));",
    );
    fs::write(folder.join("src/lib.rs"), better).unwrap();
    mutants(&folder, &["--survivors"]);
    assert_eq!(of_all(&folder, " in untested"), ["caught"]);
    // The changed file's results are known once more; the other file's stayed.
    assert_eq!(of_all(&folder, ": let everything through .filter() in kept"), ["caught"]);
}

#[test]
fn shards_share_the_mutants() {
    let folder = fixture("shards");
    mutants(&folder, &["--shard", "0/2"]);
    let first = tried(&folder);
    mutants(&folder, &["--shard", "1/2"]);
    let both = tried(&folder);
    let all = mutants(&folder, &["--list"]);
    assert!(first > 0 && both > first && both == String::from_utf8_lossy(&all.stdout).lines().count());
}

#[test]
fn only_what_is_asked_for_is_changed() {
    let folder = fixture("under");
    let listed = mutants(&folder, &["--list", "--under", "src/rooms.rs"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.lines().count() > 5 && listed.lines().all(|line| line.starts_with("src/rooms.rs:")),
        "{listed}"
    );
}

#[test]
fn a_crate_that_does_not_compile_is_told_of() {
    let folder = fixture("broken");
    fs::write(folder.join("src/rooms.rs"), "fn lost() -> u8 { nowhere }").unwrap();
    let output = mutants(&folder, &[]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("nowhere") || said.contains("does not compile"), "{said}");
}

/// A folder with the fixture in it, made anew.
fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(folder.join("src")).unwrap();
    for (file, text) in [("Cargo.toml", MANIFEST), ("src/lib.rs", ROOT), ("src/rooms.rs", ROOMS)] {
        fs::write(folder.join(file), text).unwrap();
    }
    folder
}

fn mutants(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_claviger-mutants"))
        .args(["--package", "fixture"])
        .args(words)
        .env_remove("CARGO_TARGET_DIR")
        .current_dir(folder)
        .output()
        .unwrap()
}

fn results(folder: &Path, kind: &str) -> PathBuf {
    folder.join(format!("target/mutants/fixture.results.{kind}"))
}

/// By key, the last that was said of each mutant.
fn fates(folder: &Path) -> BTreeMap<String, String> {
    let lines = fs::read_to_string(results(folder, "jsonl")).unwrap();
    let line = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        (text("key"), text("fate"))
    };
    lines.lines().map(line).collect()
}

/// The different fates of the mutants whose keys end so, or say so.
fn of_all(folder: &Path, within: &str) -> Vec<String> {
    let mut found: Vec<String> =
        fates(folder).into_iter().filter(|(key, _)| key.ends_with(within)).map(|(_, fate)| fate).collect();
    found.sort();
    found.dedup();
    found
}

fn tried(folder: &Path) -> usize {
    fates(folder).len()
}
