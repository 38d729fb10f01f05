//! Where secrets are opened: each place says why, and a new one is seen in review because it changes this file.

use std::collections::BTreeMap;

use claviger_tests::repository::{files, read};
use claviger_tests::source::{Word, words};

/// How often each file opens a secret. Files of tests are not counted, but they too must say why.
const EXPOSURES: &[(&str, usize)] = &[
    ("mcp-adapters/src/call.rs", 1),
    ("vault/domain/src/secret.rs", 3),
    ("vault/src/broker/connect.rs", 5),
    ("vault/src/broker/oauth.rs", 3),
    ("vault/src/broker/rotate.rs", 1),
    ("vault/src/broker/secrets.rs", 2),
    ("vault/src/broker/streams/resume.rs", 1),
    ("vault/src/broker/streams/session.rs", 1),
    ("vault/src/broker/token.rs", 2),
    ("vault/src/cli/approval.rs", 1),
    ("vault/src/cli/callback.rs", 2),
    ("vault/src/cli/connect.rs", 1),
    ("vault/src/cli/entry.rs", 5),
    ("vault/src/cli/import/found.rs", 2),
    ("vault/src/cli/import/google.rs", 1),
    ("vault/src/cli/import/reference.rs", 2),
    ("vault/src/cli/import/servers.rs", 1),
    ("vault/src/cli/init.rs", 2),
    ("vault/src/cli/key_file.rs", 1),
    ("vault/src/cli/serve.rs", 1),
    ("vault/src/cli/taint.rs", 1),
    ("vault/src/egress/inject.rs", 4),
    ("vault/src/egress/request.rs", 1),
    ("vault/src/keys/identity.rs", 2),
    ("vault/src/keys/parcel.rs", 1),
    ("vault/src/keys/wrap.rs", 3),
    ("vault/src/rpc/convert/ask/secrets.rs", 1),
];

#[test]
fn every_opened_secret_says_why() {
    let mut silent = Vec::new();
    for path in files("", &["rs"]) {
        let text = read(&path);
        let lines: Vec<&str> = text.lines().collect();
        for line in opened(&text) {
            if !says_why(&lines, line) {
                silent.push(format!("{}:{line}", path.display()));
            }
        }
    }
    assert!(silent.is_empty(), "no `// EXPOSE: why` on the line above:\n{}", silent.join("\n"));
}

#[test]
fn secrets_are_opened_only_where_this_table_says() {
    let mut found = BTreeMap::new();
    for path in files("", &["rs"]) {
        let name = path.to_string_lossy().into_owned();
        let of_tests = path.iter().any(|part| {
            let part = part.to_string_lossy();
            part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs")
        });
        let count = if of_tests { 0 } else { opened(&read(&path)).len() };
        if count > 0 {
            found.insert(name, count);
        }
    }
    let table = EXPOSURES.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
    let shown = |map: &BTreeMap<String, usize>| {
        map.iter().map(|(name, count)| format!("    ({name:?}, {count}),\n")).collect::<String>()
    };
    assert!(found == table, "if each of these is needed, make the table:\n{}", shown(&found));
}

#[test]
fn a_silent_exposure_is_seen() {
    for (text, fine) in [
        ("// EXPOSE: goes into the record.\nlet a = b.expose_secret();", true),
        ("// EXPOSE: goes into the record.\nlet a = b\n    .expose_secret();", true),
        ("// EXPOSE: goes into the record,\n// which is sealed.\nlet a = b.expose_secret();", true),
        ("let a = b.expose_secret();", false),
        ("// EXPOSE:\nlet a = b.expose_secret();", false),
        ("// EXPOSE: once.\nlet a = b.expose_secret();\nlet c = d.expose_secret();", false),
        ("// EXPOSE: far.\n\n\nlet a = b.expose_secret();", false),
        ("let a = b.map(SecretBox::expose_secret);", false),
        ("let a = b.expose_secret_mut();", false),
    ] {
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(opened(text).into_iter().all(|line| says_why(&lines, line)), fine, "{text}");
    }
    assert!(opened("// x.expose_secret()\n\"y.expose_secret()\"\nfn expose_secret() {}").is_empty());
}

/// The lines, from 1, on which a secret is opened; a function that is only declared is none.
fn opened(text: &str) -> Vec<usize> {
    let tokens = words(text);
    let opens = |word: &Word| word.is("expose_secret") || word.is("expose_secret_mut");
    let declared = |at: usize| at > 0 && tokens[at - 1].word.is("fn");
    tokens
        .iter()
        .enumerate()
        .filter(|(at, token)| opens(&token.word) && !declared(*at))
        .map(|(_, t)| t.line)
        .collect()
}

/// Whether a comment with a reason is right above this line, or above the statement's line before it: a long statement
/// is broken by the formatter. A statement that ended in between ends the search.
fn says_why(lines: &[&str], line: usize) -> bool {
    let mut above = lines[..line - 1].iter().rev().map(|line| line.trim());
    let Some(mut first) = above.next() else { return false };
    let broken = !first.starts_with("//") && !first.ends_with([';', '}', ')']) && !first.is_empty();
    if broken {
        let Some(next) = above.next() else { return false };
        first = next;
    }
    let mut comment = std::iter::once(first).chain(above).take_while(|line| line.starts_with("//"));
    comment.any(|line| line.strip_prefix("// EXPOSE: ").is_some_and(|why| !why.is_empty()))
}
