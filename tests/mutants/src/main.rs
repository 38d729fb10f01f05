//! Mutation testing in one build: every mutant is compiled in behind a switch, and each run switches one on.
//!
//! See the README beside this crate's manifest for what it is for and how it is called.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program talks")]

mod instrument;
mod operators;
mod results;
mod switches;
mod tree;
mod trial;
mod values;
mod viable;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::instrument::Mutant;
use crate::results::{Fate, Results};
use crate::tree::Tree;
use crate::trial::{End, Tests, each};

const USAGE: &str =
    "usage: claviger-mutants --package NAME [--under FOLDER] [--tests PATHS] [--longest N] [--spend N] [--first WORDS] [--shard K/N] [--jobs N] \
                     [--survivors] [--optimise] [--again] [--list]

  --package NAME   the package whose library is changed; its unit tests are run
  --under FOLDER   only change files below this path (from the workspace's root)
  --tests PATHS    only run tests whose path begins with one of these (broker::mint,broker::send)
  --longest N      leave tests out that take more than N seconds, but where nothing else reaches a mutant
  --spend N        run about N seconds of tests for a mutant; what survives is worth another run without this
  --first WORDS    begin with files whose path has one of these in it (mint,send), in that order
  --shard K/N      only try every Nth mutant, beginning with the Kth (from 0)
  --jobs N         how many tests run at a time (default 2)
  --survivors      try again what survived or was not reached, with all cases of the property tests
  --optimise       build the package optimised: worth it where tests are slow and building is not
  --again          forget earlier results
  --list           only say which mutants there are";

/// What was asked for.
struct Asked {
    package: String,
    under: PathBuf,
    tests: String,
    longest: Duration,
    spend: Duration,
    first: Vec<String>,
    shard: (usize, usize),
    jobs: usize,
    survivors: bool,
    optimise: bool,
    again: bool,
    list: bool,
}

impl Asked {
    fn parse(mut words: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut asked = Asked {
            package: String::new(),
            under: PathBuf::new(),
            tests: String::new(),
            longest: Duration::MAX,
            spend: Duration::MAX,
            first: Vec::new(),
            shard: (0, 1),
            jobs: 2,
            survivors: false,
            optimise: false,
            again: false,
            list: false,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} takes a value"));
            match word.as_str() {
                "--package" => asked.package = value()?,
                "--under" => asked.under = value()?.into(),
                "--tests" => asked.tests = value()?,
                "--longest" => asked.longest = seconds(&word, &value()?)?,
                "--spend" => asked.spend = seconds(&word, &value()?)?,
                "--first" => asked.first = value()?.split(',').map(str::to_owned).collect(),
                "--shard" => asked.shard = shard(&value()?)?,
                "--jobs" => asked.jobs = value()?.parse().context("--jobs takes a number")?,
                "--survivors" => asked.survivors = true,
                "--optimise" => asked.optimise = true,
                "--again" => asked.again = true,
                "--list" => asked.list = true,
                _ => bail!("{word:?} is not understood\n{USAGE}"),
            }
        }
        if asked.package.is_empty() {
            bail!("say which package\n{USAGE}");
        }
        Ok(asked)
    }
}

fn seconds(word: &str, text: &str) -> anyhow::Result<Duration> {
    let number = text.parse().with_context(|| format!("{word} takes a number of seconds"))?;
    Ok(Duration::from_secs(number))
}

/// `K/N` with K < N.
fn shard(text: &str) -> anyhow::Result<(usize, usize)> {
    let parts = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    parts
        .filter(|(k, n)| k < n)
        .with_context(|| format!("{text:?} is no shard: K/N, with K from 0 and below N"))
}

fn main() -> ExitCode {
    match Asked::parse(std::env::args().skip(1)).and_then(|asked| run(&asked)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("claviger-mutants: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Does what was asked. Exit code 1 says that mutants survive or are not reached.
fn run(asked: &Asked) -> anyhow::Result<ExitCode> {
    let tree = Tree::find(&asked.package)?;
    tree.copy(asked.optimise)?;
    let path = tree.home.join(format!("{}.results.jsonl", asked.package));
    let mut results = Results::open(path, asked.again, tree.prints()?)?;
    let mut unviable = results.unviable();
    if asked.list {
        for mutant in tree.instrument(&asked.under, &unviable)? {
            println!("{}", mutant.key());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mutants = viable::settle(&tree, &asked.under, &mut unviable)?;
    for mutant in mutants.iter().filter(|mutant| unviable.contains(&mutant.key())) {
        if results.of(mutant).is_none() {
            results.learn(mutant, Fate::Unviable, None)?;
        }
    }
    eprintln!("{} mutants; building the tests", mutants.len());
    let tests = Tests::build(&tree, &asked.tests, asked.longest, asked.jobs)?;
    let (count, length) = tests.size();
    eprintln!("{count} tests, {:.1} s one after the other", length.as_secs_f64());

    let (k, n) = asked.shard;
    let asked_for: Vec<&Mutant> = mutants.iter().skip(k).step_by(n).collect();
    let mut left: Vec<&Mutant> = asked_for
        .iter()
        .copied()
        .filter(|mutant| match results.of(mutant) {
            None => true,
            Some(fate) => asked.survivors && fate.is_bad(),
        })
        .collect();
    let turn = |mutant: &Mutant| asked.first.iter().position(|word| mutant.file.contains(word));
    left.sort_by_key(|mutant| turn(mutant).unwrap_or(asked.first.len()));
    results.caught().for_each(|(file, by)| tests.remember(file, by));
    let results = Mutex::new(results);
    let done = AtomicUsize::new(0);
    each(asked.jobs, left.len(), |place| {
        let mutant = left[place];
        let (fate, by) = fate(&tests, mutant, asked)?;
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(100) {
            eprintln!("{done} of {}", left.len());
        }
        results.lock().unwrap_or_else(PoisonError::into_inner).learn(mutant, fate, by.as_deref())
    })?;
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (table, path) = results.report(&asked_for)?;
    print!("{table}");
    println!("survivors: {}", path.display());
    let bad = asked_for.iter().any(|mutant| results.of(mutant).is_some_and(Fate::is_bad));
    Ok(if bad { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// Tries one mutant, with few cases of the property tests, or with all of them where survivors are tried again. Returns the test
/// that caught it too.
fn fate(tests: &Tests, mutant: &Mutant, asked: &Asked) -> anyhow::Result<(Fate, Option<String>)> {
    if !tests.reaches(mutant.id) {
        return Ok((Fate::NotReached, None));
    }
    let (end, by) = tests.attempt(mutant, asked.survivors, asked.spend)?;
    let fate = match end {
        End::Failed => Fate::Caught,
        End::Late => Fate::Timeout,
        End::Passed => Fate::Survived,
    };
    Ok((fate, by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_one_of_several() {
        assert_eq!(shard("0/1").ok(), Some((0, 1)));
        assert_eq!(shard("3/4").ok(), Some((3, 4)));
        for wrong in ["4/4", "1", "/2", "-1/2", "1/0", "a/b"] {
            assert!(shard(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let asked = |words: &[&str]| Asked::parse(words.iter().map(|word| (*word).to_owned()));
        assert!(asked(&["--package", "p", "--survivors"]).is_ok_and(|asked| asked.survivors));
        for wrong in
            [&["--package"][..], &[], &["--package", "p", "--quick"], &["--package", "p", "--jobs", "x"]]
        {
            assert!(asked(wrong).is_err(), "{wrong:?}");
        }
    }
}
