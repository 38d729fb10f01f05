//! What must not creep into the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use claviger_tests::metadata::Metadata;
use claviger_tests::repository::{files, read};
use claviger_tests::source::{Word, words};
use claviger_vault::catalog;
use serde_json::Value;

/// What marks something as not done, or switches a test off, by the kinds of file it is looked for in. Each is put
/// together here, so that this file does not hold it.
const UNFINISHED: &[(&str, &[&str])] = &[
    (concat!("TO", "DO"), &["rs", "toml", "proto", "mjs", "md", "yaml"]),
    (concat!("FIX", "ME"), &["rs", "toml", "proto", "mjs", "md", "yaml"]),
    (concat!("#[ig", "nore"), &["rs"]),
    (concat!("```ig", "nore"), &["rs", "md"]),
    (concat!("test.sk", "ip("), &["mjs"]),
    (concat!("test.to", "do("), &["mjs"]),
    (concat!("test.on", "ly("), &["mjs"]),
];

/// Features of `serde_json` that would change what numbers and objects mean, and with them what canonical bytes are.
const MEANINGS: [&str; 2] = ["arbitrary_precision", "preserve_order"];

/// The one manifest outside the workspace: libFuzzer's entry points need a nightly compiler with instrumentation, and their
/// macro an attribute that counts as unsafe code. They only call what is in the workspace, and a test there holds them to
/// that.
const OUTSIDE: &str = "fuzz/Cargo.toml";

/// How a lock file names crates.io, whatever mirror they really came from.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[test]
fn nothing_is_left_for_later() {
    let mut found = Vec::new();
    for &(mark, extensions) in UNFINISHED {
        for path in files("", extensions) {
            found.extend(
                lines_with(&read(&path), mark).map(|line| format!("{}:{line}: {mark}", path.display())),
            );
        }
    }
    for path in files("", &["rs"]) {
        found.extend(unwritten(&read(&path)).into_iter().map(|line| format!("{}:{line}", path.display())));
    }
    assert!(found.is_empty(), "left for later:\n{}", found.join("\n"));
}

#[test]
fn a_mark_is_seen_as_a_word_of_its_own() {
    let (mark, count) = (UNFINISHED[0].0, |text: &str| lines_with(text, UNFINISHED[0].0).count());
    assert_eq!(count(&format!("a\n// {mark}: later\n{mark}")), 2);
    assert_eq!(count(&format!("{mark}LIST in{mark} {mark}_LIST")), 0);
    assert_eq!(unwritten("fn f() {\n todo!() }\nfn g() { unimplemented!(\"h\") }"), [2, 3]);
    assert_eq!(unwritten("// todo!()\nlet todo = 1; todo != 2"), [0; 0]);
}

#[test]
fn numbers_and_objects_keep_their_meaning() {
    let metadata = Metadata::read();
    let json: Vec<_> = metadata.packages().filter(|package| package.name == "serde_json").collect();
    assert_eq!(json.len(), 1, "one serde_json");
    assert!(json[0].features.contains("std"), "the features are read");
    for meaning in MEANINGS {
        assert!(!json[0].features.contains(meaning), "serde_json/{meaning} is on");
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let root = read("Cargo.toml");
    assert!(
        lines_with(&root, "unsafe_code = \"forbid\"").count() == 1,
        "unsafe code is forbidden once, for all"
    );
    let (mut crates, ours) = (BTreeSet::new(), Metadata::read());
    for manifest in files("", &["toml"]).iter().filter(|path| path.ends_with("Cargo.toml")) {
        let text = read(manifest);
        let Some(name) = text.strip_prefix("[package]\nname = \"").and_then(|rest| rest.split('"').next())
        else {
            assert_eq!(
                manifest.as_path(),
                Path::new("Cargo.toml"),
                "a manifest begins with its package's name"
            );
            continue;
        };
        if manifest.as_path() == Path::new(OUTSIDE) {
            assert!(text.contains("\n[workspace]\n") && text.contains("\npublish = false\n"), "{OUTSIDE}");
            continue;
        }
        assert!(takes_the_lints(&text), "{}: no [lints] workspace = true", manifest.display());
        crates.insert(name.to_owned());
    }
    let members =
        ours.packages().filter(|package| package.ours).map(|package| package.name.clone()).collect();
    assert_eq!(crates, members, "every crate here is a member of the workspace");
    assert!(!takes_the_lints("[package]\n[lints]\nrust.unsafe_code = \"allow\"\n"));
}

#[test]
fn no_source_switches_a_wall_off() {
    let mut found = Vec::new();
    for path in files("", &["rs"]) {
        let text = read(&path);
        for lint in ["unsafe_code", "clippy::await_holding_lock", "clippy::await_holding_invalid_type"] {
            let allows = |line: &&str| line.contains("allow(") && line.contains(lint);
            found.extend(text.lines().filter(allows).map(|line| format!("{}: {line}", path.display())));
        }
        // An exception without a reason is one that nobody can judge.
        let attributes = text.split("#[allow(").skip(1).chain(text.split("#![allow(").skip(1));
        found.extend(
            attributes
                .map(|rest| rest.split(")]").next().unwrap_or_default())
                .filter(|allowed| !allowed.contains("reason = \"") && !path.ends_with("claviger.v1.rs"))
                .map(|allowed| format!("{}: allow({allowed}) without a reason", path.display())),
        );
    }
    // The sentences of this test itself.
    found.retain(|line| !line.starts_with(file!()));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_lock_file_or_setting_names_a_registry() {
    for file in ["tests/peers/package-lock.json", "tests/peers/inspector/package-lock.json"] {
        let lock: Value = serde_json::from_str(&read(file)).unwrap();
        let packages = lock["packages"].as_object().unwrap();
        assert!(packages.len() > 5, "the packages are read");
        for (name, package) in packages {
            assert!(package.get("resolved").is_none(), "{name} names where it came from");
            // What lies in another package's archive comes with that one's checksum.
            let held = package["integrity"].is_string() || package["inBundle"] == true;
            assert!(name.is_empty() || held, "{name} has no checksum");
        }
    }
    for setting in ["tests/peers/.npmrc", "tests/peers/inspector/.npmrc", ".cargo/config.toml"] {
        let text = read(setting);
        assert!(
            !text.contains("registry=") && !text.contains("[source") && !text.contains("[registr"),
            "{setting}"
        );
    }
    let python = read("tests/peers/python/requirements.txt");
    let lines: Vec<&str> = python.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert!(lines.len() > 50, "the requirements are read");
    for line in lines {
        let pinned = line.contains("==") || line.starts_with("--hash=sha256:");
        assert!(pinned && !line.contains("://"), "{line} is not pinned by version and checksum alone");
    }
    let locks = ["Cargo.lock", "fuzz/Cargo.lock"].map(read).concat();
    let sources: BTreeMap<String, usize> = locks
        .lines()
        .filter_map(|line| line.strip_prefix("source = "))
        .fold(BTreeMap::new(), |mut count, source| {
            *count.entry(source.trim_matches('"').to_owned()).or_default() += 1;
            count
        });
    assert_eq!(sources.keys().collect::<Vec<_>>(), [CRATES_IO]);
}

#[test]
fn every_file_of_the_catalog_is_compiled_in_and_loads() {
    let none = (BTreeMap::new(), BTreeMap::new());
    let catalog = catalog::load(None, &none.0, &none.1).unwrap_or_else(|faults| panic!("{faults:?}"));
    let files = files("vault/services", &["toml"]);
    assert!(!files.is_empty(), "the files are found");
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let known = match name.strip_suffix(".provider.toml") {
            Some(id) => catalog.providers.contains_key(id),
            None if name == "guard.toml" => !catalog.guard.is_empty(),
            None => catalog.services.keys().any(|service| format!("{}.toml", service.as_str()) == name),
        };
        assert!(known, "{name} is not in the catalog that is compiled in");
    }
}

/// The lines, from 1, with a macro that stands for code to come. In a comment it may be: an example that must not
/// compile needs a value of any type.
fn unwritten(text: &str) -> Vec<usize> {
    let tokens = words(text);
    let calls = tokens.windows(3).filter(|three| {
        (three[0].word.is("todo") || three[0].word.is("unimplemented"))
            && three[1].word == Word::Mark('!')
            && three[2].word != Word::Mark('=')
    });
    calls.map(|three| three[0].line).collect()
}

/// The numbers of the lines, from 1, that have this mark, not as a part of a longer name.
fn lines_with<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let whole = move |line: &str| {
        line.match_indices(mark).any(|(at, _)| {
            let open = mark.ends_with(|c: char| !c.is_alphanumeric());
            !part(line[..at].chars().next_back()) && (open || !part(line[at + mark.len()..].chars().next()))
        })
    };
    text.lines().enumerate().filter(move |(_, line)| whole(line)).map(|(number, _)| number + 1)
}

fn takes_the_lints(manifest: &str) -> bool {
    manifest.contains("\n[lints]\nworkspace = true\n")
}
