//! The arrows: which part may know which. They point one way, so that a part can be read, tested and trusted alone.

use std::collections::BTreeSet;
use std::fs;

use claviger_tests::metadata::Metadata;
use claviger_tests::repository::{read, root};
use claviger_tests::source::{Source, Word, sources, words};

/// The modules of the vault, and the others that each may name. Of these only `daemon` puts parts together.
const ARROWS: &[(&str, &[&str])] = &[
    ("port", &[]),
    ("system", &["port"]),
    ("catalog", &[]),
    ("config", &["catalog"]),
    ("broker", &["port"]),
    ("store", &["port"]),
    ("egress", &["port"]),
    ("audit", &["port"]),
    ("keys", &["port"]),
    ("rpc", &["broker", "port"]),
    // What works without a running vault: init, audit verify. Of the configuration: paths, and writing the first one.
    ("cli", &["keys", "store", "audit", "config", "port"]),
];

/// The one that composes.
const COMPOSER: &str = "daemon";

/// Crates that only some modules of the vault may name.
const RESERVED: &[(&str, &[&str])] = &[
    ("claviger_proto", &["rpc", "cli"]),
    ("tonic", &["rpc", "cli", COMPOSER]),
    ("rusqlite", &["store"]),
    ("age", &["keys"]),
    ("hyper", &["egress"]),
    ("clap", &["cli"]),
];

/// What of the world the pure crates may not touch, by how a path to it begins.
const WORLD: &[&str] = &[
    "std::fs",
    "std::env",
    "std::os",
    "std::process",
    "std::thread",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::time::SystemTime",
    "std::time::Instant",
    "SystemTime::now",
    "Instant::now",
    "jiff::Timestamp::now",
    "Timestamp::now",
    "Zoned::now",
    "ring::rand",
];

/// The crates that may be behind the pure ones.
const PURE: [(&str, &[&str]); 2] = [
    ("claviger-canonical", &["ring", "serde_json", "subtle", "thiserror", "zeroize"]),
    (
        "claviger-domain",
        &["claviger-canonical", "base64", "jiff", "secrecy", "serde_json", "subtle", "thiserror", "zeroize"],
    ),
];

#[test]
fn modules_of_the_vault_name_only_what_their_arrows_allow() {
    let sources = sources("vault/src");
    let modules = modules();
    assert!(sources.len() > 50 && modules.contains("broker"), "the sources are found");
    let faults: Vec<String> = sources.iter().flat_map(|source| wrong_arrows(source, &modules)).collect();
    assert!(faults.is_empty(), "arrows that point the wrong way:\n{}", faults.join("\n"));
}

#[test]
fn every_module_of_the_vault_has_its_arrows() {
    let known: BTreeSet<String> =
        ARROWS.iter().map(|(name, _)| *name).chain([COMPOSER]).map(str::to_owned).collect();
    let strange: Vec<String> = modules().difference(&known).cloned().collect();
    assert!(strange.is_empty(), "say in this test what {strange:?} may name");
}

#[test]
fn the_root_of_the_vault_only_declares() {
    // A name brought up to the root would be an arrow that nobody sees.
    let text = read("vault/src/lib.rs");
    let used = text.lines().find(|line| line.trim_start().starts_with("use ") || line.contains("pub use "));
    assert_eq!(used, None);
}

#[test]
fn the_program_of_the_vault_only_joins_command_line_and_daemon() {
    let text = read("vault/src/bin/claviger.rs");
    let source = Source { path: "vault/src/bin/claviger.rs".into(), module: Vec::new(), text };
    let named: BTreeSet<String> = source
        .paths()
        .into_iter()
        .filter(|found| found.segments[0] == "claviger_vault")
        .map(|found| found.segments[1].clone())
        .collect();
    let allowed = BTreeSet::from(["cli".to_owned(), COMPOSER.to_owned()]);
    assert!(!named.is_empty() && named.is_subset(&allowed), "{named:?}");
}

#[test]
fn reserved_crates_stay_where_they_belong() {
    let mut faults = Vec::new();
    for source in sources("vault/src") {
        for found in source.paths() {
            let Some((name, places)) = RESERVED.iter().find(|(name, _)| *name == found.segments[0]) else {
                continue;
            };
            let from = source.module.first().map_or("lib", String::as_str);
            if !places.contains(&from) {
                faults.push(format!("{}:{}: {name} is for {places:?}", source.path.display(), found.line));
            }
        }
    }
    assert!(faults.is_empty(), "crates out of place:\n{}", faults.join("\n"));
}

#[test]
fn the_pure_crates_touch_nothing_of_the_world() {
    let mut faults = Vec::new();
    for folder in ["proto/canonical/src", "vault/domain/src"] {
        for source in sources(folder) {
            for found in source.paths() {
                if let Some(what) = of_the_world(&found.segments) {
                    faults.push(format!("{}:{}: {what}", source.path.display(), found.line));
                }
            }
        }
    }
    assert!(faults.is_empty(), "not pure:\n{}", faults.join("\n"));
}

#[test]
fn the_pure_crates_depend_on_pure_ones() {
    let metadata = Metadata::read();
    for (member, allowed) in PURE {
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        let strange: Vec<&str> = metadata.direct(member).difference(&allowed).copied().collect();
        assert!(strange.is_empty(), "{member} must not depend on {strange:?}");
        let tree = metadata.tree(member);
        for runtime in ["tokio", "tonic", "hyper", "prost", "rand"] {
            assert!(!tree.contains(runtime), "{runtime} is behind {member}");
        }
    }
}

#[test]
fn crates_know_only_the_crates_below_them() {
    let metadata = Metadata::read();
    let ours: BTreeSet<&str> =
        metadata.packages().filter(|package| package.ours).map(|package| package.name.as_str()).collect();
    for (member, allowed) in [
        ("claviger-canonical", &[][..]),
        ("claviger-beneath", &[]),
        ("claviger-proto", &[]),
        ("claviger-domain", &["claviger-canonical"]),
        ("claviger-vault", &["claviger-canonical", "claviger-domain", "claviger-proto"]),
        ("claviger-agent", &["claviger-beneath", "claviger-canonical", "claviger-proto"]),
        ("claviger-mcp", &["claviger-beneath", "claviger-canonical", "claviger-proto"]),
        ("stand-in-google", &[]),
        ("claviger-fuzz", &["claviger-canonical", "claviger-domain", "claviger-proto", "claviger-vault"]),
        ("xtask", &[]),
    ] {
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        let used: BTreeSet<&str> = metadata.direct(member).intersection(&ours).copied().collect();
        assert!(used.is_subset(&allowed), "{member} knows {used:?}, not only {allowed:?}");
    }
}

#[test]
fn whatever_the_vault_depends_on_is_used_and_says_what_for() {
    let manifest = read("vault/Cargo.toml");
    let (_, rest) = manifest.split_once("\n[dependencies]\n").unwrap();
    let lines: Vec<&str> = rest.lines().take_while(|line| !line.starts_with('[')).collect();
    let named: BTreeSet<String> = sources("vault/src")
        .iter()
        .flat_map(|source| words(&source.text))
        // What starts the program counts too.
        .chain(words(&read("vault/src/bin/claviger.rs")))
        .filter_map(|token| match token.word {
            Word::Name(name) => Some(name),
            _ => None,
        })
        .collect();
    let mut count = 0;
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
    {
        let name = line.split(['.', ' ']).next().unwrap();
        assert!(named.contains(&name.replace('-', "_")), "{name} is not used");
        let says = line.contains(" # ") || at > 0 && lines[at - 1].starts_with("# ");
        assert!(says, "{name}: say in vault/Cargo.toml what it is for");
        count += 1;
    }
    assert!(count > 20, "the dependencies are read");
}

#[test]
fn no_stranger_is_in_the_vaults_tree() {
    let tree =
        Metadata::read().tree("claviger-vault").into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    assert!(tree.contains("ring") && tree.contains("tonic"), "the tree is read");
    for banned in ["rmcp", "reqwest", "openssl-sys", "native-tls", "aws-lc-rs", "jsonschema"] {
        assert!(!tree.contains(banned), "{banned} is in the vault's tree");
    }
}

#[test]
fn a_wrong_arrow_is_seen() {
    let modules = modules();
    for (module, text, wrong) in [
        ("broker", "use crate::store::Sqlite;", true),
        ("broker", "use crate::{port::Clock, egress};", true),
        ("broker", "fn f() { super::store::open() }", true),
        ("store", "use crate::audit::Log;", true),
        ("audit", "mod inner { use super::super::keys::Ring; }", true),
        ("rpc", "use crate::config::Config;", true),
        ("config", "use crate::broker::Broker;", true),
        ("broker", "use crate::port::Clock;", false),
        ("broker", "// use crate::store::Sqlite;", false),
        ("broker", "#[cfg(test)] mod tests { use crate::store::Sqlite; }", false),
        (COMPOSER, "use crate::{store, egress, audit, keys, broker, rpc, config};", false),
    ] {
        let source =
            Source { path: "made-up.rs".into(), module: vec![module.to_owned()], text: text.to_owned() };
        assert_eq!(!wrong_arrows(&source, &modules).is_empty(), wrong, "{module}: {text}");
    }
    let path = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
    for impure in [
        "std::fs::read",
        "std::net::TcpStream",
        "std::net",
        "std::time::SystemTime",
        "tokio::spawn",
        "Timestamp::now",
    ] {
        assert!(of_the_world(&path(impure)).is_some(), "{impure}");
    }
    for pure in ["std::fmt::Display", "std::time::Duration", "std::net::IpAddr", "jiff::Timestamp"] {
        assert_eq!(of_the_world(&path(pure)), None, "{pure}");
    }
}

/// What a source names of other modules without being allowed to.
fn wrong_arrows(source: &Source, modules: &BTreeSet<String>) -> Vec<String> {
    let from = source.module.first().map_or("lib", String::as_str);
    let allowed = ARROWS.iter().find(|(name, _)| *name == from).map_or(&[][..], |(_, allowed)| allowed);
    let wrong = source.paths().into_iter().filter_map(|found| {
        let to = source.resolve(&found)?.into_iter().next()?;
        let fine = from == COMPOSER || to == from || allowed.contains(&to.as_str()) || !modules.contains(&to);
        (!fine).then(|| format!("{}:{}: {from} -> {to}", source.path.display(), found.line))
    });
    wrong.collect()
}

/// What of the world this path leads to, if it does.
fn of_the_world(segments: &[String]) -> Option<String> {
    let path = segments.join("::");
    let leads =
        |begin: &str| path == begin || path.strip_prefix(begin).is_some_and(|rest| rest.starts_with("::"));
    let runtime =
        ["tokio", "rand", "getrandom", "futures_util"].iter().any(|runtime| segments[0] == *runtime);
    // Addresses are values; what opens a connection is not.
    let net = leads("std::net") && !segments.last().is_some_and(|last| last.starts_with("Ip"));
    (runtime || net || WORLD.iter().any(|begin| leads(begin))).then_some(path)
}

/// The names of the vault's modules: its files and folders.
fn modules() -> BTreeSet<String> {
    let entries = fs::read_dir(root().join("vault/src")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().replace(".rs", ""));
    names.filter(|name| !["lib", "bin"].contains(&name.as_str())).collect()
}
