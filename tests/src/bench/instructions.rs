//! How many instructions the vault executes for one operation, as valgrind's callgrind counts them: the same on a busy
//! machine as on an idle one, so that two runs of the bench, and two versions of the vault, can be compared.
//!
//! The same vault runs several times: without the operation, and with many of it. The difference, by their number, is what
//! one costs. All of its threads count, those that wait and wake too, which is why two counts differ a little; see
//! [`DRIFT`].

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::options::Count;
use super::upstream::Upstream;
use super::vault::Vault;

/// How many of an operation are counted.
const COUNTED: usize = 200;
/// How many are done before without being counted. So many presentations, too, are signed at a time: they are good for 30
/// seconds, and a vault under valgrind is slow.
const WARM: usize = 20;
/// How long the vault may take to write down what it counted.
const ENDING: Duration = Duration::from_secs(60);
/// What two counts of the same program may differ by: a fiftieth.
const DRIFT: f64 = 0.02;

/// What is counted.
const OPERATIONS: [(&str, Operation); 2] = [("mint", Operation::Mint), ("mint and send", Operation::Both)];

#[derive(Clone, Copy)]
enum Operation {
    Mint,
    Both,
}

/// Counts, and prints; or compares with what was printed as JSON before.
///
/// # Errors
/// There is no valgrind, a vault failed under it, or the file is not what `--json` printed.
pub(crate) async fn run(count: Count) -> anyhow::Result<()> {
    // Read first: what is no file of counts should not take minutes to be told so.
    let before = count.compare.as_deref().map(read).transpose()?;
    let dir = tempfile::Builder::new().prefix("clvb").tempdir()?;
    let upstream = Upstream::start(false).await?;
    let mut found = BTreeMap::new();
    let counted = async |name: &str, operation: Option<Operation>| {
        eprintln!("bench: counting {name}");
        let out = dir.path().join("callgrind.out");
        let total = one(&dir.path().join(name), &out, &upstream, operation).await?;
        if let (Some(kept), Some(Operation::Both)) = (&count.profile, operation) {
            std::fs::copy(&out, kept).with_context(|| format!("{} cannot be written", kept.display()))?;
        }
        anyhow::Ok(total)
    };
    let nothing = counted("the start", None).await?;
    for (name, operation) in OPERATIONS {
        let total = counted(name, Some(operation)).await?;
        found.insert(name.to_owned(), total.saturating_sub(nothing) as f64 / COUNTED as f64);
    }
    found.insert("start and stop".to_owned(), nothing as f64);
    let debug = cfg!(debug_assertions);
    if count.json {
        println!("{}", json!({"instructions": found, "debug": debug}));
    } else {
        print!("{}", table(&found, before.as_ref(), debug));
    }
    Ok(())
}

/// The instructions of a vault's whole life, with so many operations in it.
async fn one(
    home: &Path,
    out: &Path,
    upstream: &Upstream,
    operation: Option<Operation>,
) -> anyhow::Result<u64> {
    let sockets = tempfile::Builder::new().prefix("clvb").tempdir()?;
    let mut vault =
        Vault::start_under(Some(out), home, &home.with_extension("audit"), sockets.path(), upstream).await?;
    let signed = vault.sign(WARM)?;
    for number in 0..WARM {
        signed.both(number).await?;
    }
    for _ in 0..COUNTED / WARM {
        let signed = vault.sign(WARM)?;
        for number in 0..WARM {
            match operation {
                None => break,
                Some(Operation::Mint) => drop(signed.mint(number).await?),
                Some(Operation::Both) => signed.both(number).await?,
            }
        }
    }
    let pid = Pid::from_raw(vault.process().cast_signed()).context("the vault has no process")?;
    kill_process(pid, Signal::TERM)?;
    tokio::time::timeout(ENDING, vault.ended()).await.context("the vault does not end")??;
    total(&std::fs::read_to_string(out).context("callgrind wrote nothing")?)
}

/// The sum of a callgrind profile (its format: `totals: N`, or in one part `summary: N`).
fn total(profile: &str) -> anyhow::Result<u64> {
    let line = |word| profile.lines().find_map(|line| line.strip_prefix(word));
    let number = line("totals:").or_else(|| line("summary:")).context("there is no sum in the profile")?;
    number.split_whitespace().next().context("the sum is empty")?.parse().context("the sum is no number")
}

/// What an earlier run counted.
fn read(path: &Path) -> anyhow::Result<(BTreeMap<String, f64>, bool)> {
    let told = || format!("{} is not what `cargo xtask bench --instructions --json` prints", path.display());
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let value: Value = serde_json::from_str(&text).with_context(told)?;
    let counts = serde_json::from_value(value["instructions"].clone()).with_context(told)?;
    let debug = value["debug"].as_bool().with_context(told)?;
    Ok((counts, debug))
}

fn table(
    found: &BTreeMap<String, f64>,
    before: Option<&(BTreeMap<String, f64>, bool)>,
    debug: bool,
) -> String {
    let mut text = String::from("instructions of the vault, all threads, by callgrind\n");
    if debug {
        text.push_str("NOT a release build\n");
    }
    if before.is_some_and(|(_, then)| *then != debug) {
        text.push_str("one of the two is a release build and the other is not: the drift means nothing\n");
    }
    for (name, count) in found {
        text.push_str(&format!("{name:20} {:>14.0}", count));
        if let Some(then) = before.and_then(|(counts, _)| counts.get(name)) {
            let ratio = count / then;
            let word = match ratio {
                _ if !ratio.is_finite() => "not comparable",
                _ if ratio > 1.0 + DRIFT => "MORE",
                _ if ratio < 1.0 - DRIFT => "less",
                _ => "as before",
            };
            text.push_str(&format!("   {then:>14.0} before   {ratio:6.3}   {word}"));
        }
        text.push('\n');
    }
    text
}

/// What valgrind is told: to count, and to write the counts there.
pub(crate) fn callgrind(out: &Path) -> Vec<String> {
    let own = ["--tool=callgrind", "--quiet", "--error-exitcode=0"].map(str::to_owned);
    // Its own words, such as those on system calls that it does not know, are kept out of the vault's.
    let files = [format!("--callgrind-out-file={}", out.display()), "--log-file=/dev/null".to_owned()];
    own.into_iter().chain(files).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn sums_are_found_or_missed() {
        assert_eq!(total("events: Ir\nfn=(1)\n0 7\ntotals: 1234\n").unwrap(), 1234);
        assert_eq!(total("summary: 99\n").unwrap(), 99);
        for bad in ["", "totals:\n", "totals: many\n", "0 1234\n"] {
            assert!(total(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn drift_is_told() {
        let counts = |mint: f64| BTreeMap::from([("mint".to_owned(), mint)]);
        let then = (counts(1000.0), false);
        let line = |now: f64| table(&counts(now), Some(&then), false).lines().nth(1).unwrap().to_owned();
        assert!(line(1021.0).ends_with("1.021   MORE"));
        assert!(line(979.0).ends_with("0.979   less"));
        assert!(line(1019.0).ends_with("1.019   as before"));
        assert!(table(&counts(1.0), Some(&then), true).contains("the drift means nothing"));
        let none = (counts(0.0), false);
        assert!(table(&counts(1.0), Some(&none), false).contains("not comparable"));
    }

    #[test]
    fn only_files_of_counts_are_compared_with() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("counts.json");
        assert!(read(&file).is_err());
        for bad in ["", "{}", r#"{"instructions": {"mint": "x"}, "debug": false}"#, r#"{"instructions": {}}"#]
        {
            std::fs::write(&file, bad).unwrap();
            assert!(read(&file).is_err(), "{bad}");
        }
        std::fs::write(&file, r#"{"instructions": {"mint": 12.5}, "debug": false}"#).unwrap();
        assert_eq!(read(&file).unwrap().0["mint"], 12.5);
    }
}
