//! The tests: which there are, which mutants each reaches, and how a run of some of them ends.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::instrument::Mutant;
use crate::tree::{FULL, Tree, cargo, output};

/// No run is stopped before it has used so much of a processor.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many times its usual length a run may take.
const SLACK: u32 = 5;

/// How many times longer a run may take than it may use a processor, so that a busy machine catches no mutants: only what
/// waits for ever is stopped by this.
const WAITING: u32 = 4;

/// Memory of one run, in KiB: a mutant that grows for ever is stopped by this.
const MEMORY: u64 = 6 << 20;

/// The first group of tests takes about this long; each further one twice as long. A group shares one process, and what
/// its tests read once.
const GROUP: Duration = Duration::from_millis(400);

/// No test costs less.
const LEAST: Duration = Duration::from_millis(5);

/// So many of the tests that caught a mutant's neighbours are tried first, together.
const NEIGHBOURS: usize = 3;

/// One test.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    name: String,
    /// Alone.
    took: Duration,
    /// Among others: without what all that share a process do once.
    costs: Duration,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Passed,
    Failed,
    /// Stopped.
    Late,
}

/// The built tests of a package.
pub(crate) struct Tests {
    binary: PathBuf,
    /// Where they are run, as cargo does.
    folder: PathBuf,
    covers: PathBuf,
    /// What was read: the tests that pass by themselves.
    tests: Vec<Test>,
    /// For each mutant that is reached, the tests that reach it, the quickest first: places in `tests`.
    reach: HashMap<u32, Vec<usize>>,
    /// For each file, the tests that caught its mutants, the latest first: what caught a neighbour is likely to catch the
    /// next.
    caught: Mutex<HashMap<String, Vec<usize>>>,
}

impl Tests {
    /// Builds the unit tests of the library, in the copy, and runs each alone to see what it reaches; only those whose
    /// path begins with `wanted`, or with one of several with commas between; those that take longer than `longest` are used only where nothing else reaches a place.
    ///
    /// # Errors
    /// They do not build, or cannot be run.
    pub(crate) fn build(tree: &Tree, wanted: &str, longest: Duration, jobs: usize) -> anyhow::Result<Self> {
        let mut cargo = cargo();
        cargo
            .args(["test", "--lib", "--no-run", "--message-format", "json", "--package", &tree.package])
            .env("CARGO_TARGET_DIR", tree.target())
            .current_dir(&tree.copy);
        let built = output(&mut cargo)?;
        let binary = String::from_utf8_lossy(&built)
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|message| message["profile"]["test"] == true)
            .find_map(|message| message["executable"].as_str().map(PathBuf::from))
            .context("cargo built no tests")?;
        let covers = tree.home.join("covers");
        let mut tests = Tests {
            binary,
            folder: tree.copy.join(&tree.folder),
            covers,
            tests: Vec::new(),
            reach: HashMap::new(),
            caught: Mutex::new(HashMap::new()),
        };
        tests.explore(wanted, longest, jobs)?;
        Ok(tests)
    }

    /// Lists the tests and runs each once.
    fn explore(&mut self, wanted: &str, longest: Duration, jobs: usize) -> anyhow::Result<()> {
        let listed = output(
            Command::new(&self.binary).args(["--list", "--format", "terse"]).current_dir(&self.folder),
        )?;
        let listed = String::from_utf8(listed)?;
        let names = listed.lines().filter_map(|line| line.strip_suffix(": test"));
        let wanted = |name: &&str| wanted.split(',').any(|path| name.starts_with(path));
        let names: Vec<&str> = names.filter(wanted).collect();
        if names.is_empty() {
            bail!("there are no tests");
        }
        self.covers.push(self.print()?);
        if !self.covers.exists() {
            // What an earlier build reached is worth nothing.
            if let Some(all) = self.covers.parent().filter(|all| all.exists()) {
                fs::remove_dir_all(all)?;
            }
            fs::create_dir_all(&self.covers)?;
        }
        let seen: Mutex<BTreeMap<usize, (Test, Vec<u32>)>> = Mutex::new(BTreeMap::new());
        let this = &*self;
        each(jobs, names.len(), |n| {
            let name = names[n].to_owned();
            let Some((took, ids)) = this.cover(&name)? else {
                eprintln!("left out, it does not pass by itself: {name}");
                return Ok(());
            };
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(n, (Test { name, took, costs: took }, ids));
            Ok(())
        })?;
        let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (place, (test, ids)) in seen.into_values().enumerate() {
            self.tests.push(test);
            for id in ids {
                self.reach.entry(id).or_default().push(place);
            }
        }
        let mut alone: Vec<Duration> = self.tests.iter().map(|test| test.took).collect();
        alone.sort();
        let once = alone.get(alone.len() / 4).copied().unwrap_or_default();
        for test in &mut self.tests {
            test.costs = test.took.saturating_sub(once).max(LEAST);
        }
        let tests = &self.tests;
        for places in self.reach.values_mut() {
            places.sort_by_key(|place| tests[*place].took);
            let short = places.partition_point(|place| tests[*place].took <= longest);
            places.truncate(short.max(1));
        }
        Ok(())
    }

    /// How long a test takes and what it reaches, from an earlier run of the same build or by running it; none where it
    /// does not pass.
    fn cover(&self, name: &str) -> anyhow::Result<Option<(Duration, Vec<u32>)>> {
        let path = self.covers.join(name);
        let read = || {
            let text = fs::read_to_string(&path).ok()?;
            let took = text.lines().last()?.strip_prefix("took ")?.parse().ok()?;
            Some((Duration::from_micros(took), text.lines().filter_map(|line| line.parse().ok()).collect()))
        };
        if let Some(known) = read() {
            return Ok(Some(known));
        }
        let _ = fs::remove_file(&path);
        let run =
            self.run(&[name], &[("MUTANT_COVER", &path.to_string_lossy())], Duration::from_secs(300))?;
        if run.end != End::Passed {
            return Ok(None);
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        writeln!(file, "took {}", run.took.as_micros())?;
        Ok(read())
    }

    /// A word that is another one for another build.
    fn print(&self) -> anyhow::Result<String> {
        let name = self.binary.file_name().context("a program has a name")?.to_string_lossy();
        let built = self.binary.metadata()?.modified()?.duration_since(UNIX_EPOCH)?;
        Ok(format!("{name}.{}", built.as_millis()))
    }

    /// How many tests there are, and how long all take one after the other.
    pub(crate) fn size(&self) -> (usize, Duration) {
        (self.tests.len(), self.tests.iter().map(|test| test.took).sum())
    }

    /// Whether any test reaches a mutant.
    pub(crate) fn reaches(&self, id: u32) -> bool {
        self.reach.contains_key(&id)
    }

    /// Runs the tests that reach a mutant with it switched on, until one fails: first those that caught its neighbours,
    /// then those that are named after its file (`tests::mint` or `mint::tests` for `mint.rs`), then the others, the
    /// quickest first, until they would take longer than `most`. Returns the name of the test that failed too.
    ///
    /// # Errors
    /// A run cannot be started.
    pub(crate) fn attempt(
        &self,
        mutant: &Mutant,
        full: bool,
        most: Duration,
    ) -> anyhow::Result<(End, Option<String>)> {
        let id = mutant.id.to_string();
        let mut environment = vec![("MUTANT", id.as_str())];
        match full {
            true => environment.push((FULL, "1")),
            false => environment.push(("PROPTEST_CASES", "32")),
        }
        let (places, neighbours) = self.order(mutant);
        let mut left = places.as_slice();
        let mut length = GROUP;
        let mut spent = Duration::ZERO;
        while !left.is_empty() && spent < most {
            let mut usual = Duration::ZERO;
            let count = left.iter().take_while(|place| {
                let fits = usual.is_zero() || usual + self.tests[**place].costs <= length;
                if fits {
                    usual += self.tests[**place].costs;
                }
                fits
            });
            let first = left.len() == places.len() && neighbours > 0;
            let count = if first { neighbours } else { count.count().max(1) };
            let (group, rest) = left.split_at(count);
            let usual: Duration = group.iter().map(|place| self.tests[*place].took).sum();
            let names: Vec<&str> = group.iter().map(|place| self.tests[*place].name.as_str()).collect();
            let slack = if full { SLACK * 8 } else { SLACK };
            let run = self.run(&names, &environment, PATIENCE.max(usual * slack))?;
            if run.end != End::Passed {
                if let Some(name) = &run.failed {
                    self.remember(&mutant.file, name);
                }
                return Ok((run.end, run.failed));
            }
            left = rest;
            spent += group.iter().map(|place| self.tests[*place].costs).sum::<Duration>();
            if !first {
                length *= 2;
            }
        }
        Ok((End::Passed, None))
    }

    /// The tests that reach a mutant, in the order in which they are worth trying, and how many of them caught neighbours.
    fn order(&self, mutant: &Mutant) -> (Vec<usize>, usize) {
        let name = Path::new(&mutant.file).file_stem().unwrap_or_default().to_string_lossy();
        let far = |place: usize| !self.tests[place].name.contains(&format!("{name}::"));
        let mut places = self.reach.get(&mutant.id).cloned().unwrap_or_default();
        let caught = self.caught.lock().unwrap_or_else(PoisonError::into_inner);
        let known = caught.get(&mutant.file).map(Vec::as_slice).unwrap_or_default();
        let turn = |place: usize| known.iter().position(|other| *other == place).unwrap_or(usize::MAX);
        // What caught something anywhere asks more than what only passes by.
        let idle = |place: usize| !caught.values().any(|known| known.contains(&place));
        places.sort_by_cached_key(|place| (turn(*place), far(*place), idle(*place)));
        let neighbours = places.iter().filter(|place| known.contains(place)).count();
        (places, neighbours.min(NEIGHBOURS))
    }

    /// Notes which test caught a mutant of a file.
    pub(crate) fn remember(&self, file: &str, name: &str) {
        let Some(place) = self.tests.iter().position(|test| test.name == name) else { return };
        let mut caught = self.caught.lock().unwrap_or_else(PoisonError::into_inner);
        let known = caught.entry(file.to_owned()).or_default();
        known.retain(|other| *other != place);
        known.insert(0, place);
    }

    /// Runs some tests, for so long at most.
    #[allow(clippy::disallowed_methods, reason = "how long a test takes is what is asked")]
    fn run(&self, names: &[&str], environment: &[(&str, &str)], patience: Duration) -> anyhow::Result<Run> {
        let begun = Instant::now();
        let output = Command::new("timeout")
            .args(["--signal=KILL", &format!("{}", (patience * WAITING).as_secs_f64())])
            .args([
                "sh",
                "-c",
                &format!(
                    "ulimit -c 0; ulimit -v {MEMORY}; ulimit -t {}; exec \"$0\" \"$@\"",
                    patience.as_secs() + 1
                ),
            ])
            .arg(&self.binary)
            .args(["--test-threads", "1", "--exact"])
            .args(names)
            .envs(environment.iter().copied())
            // The same cases in every run, no looking for smaller ones, nothing remembered.
            .env("PROPTEST_RNG_SEED", "7")
            .env("PROPTEST_MAX_SHRINK_ITERS", "0")
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
            .env("RUST_BACKTRACE", "0")
            .env("CARGO_MANIFEST_DIR", &self.folder)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .context("timeout(1) does not start")?;
        let failed = failed(&String::from_utf8_lossy(&output.stdout));
        Ok(Run { end: end(output.status), took: begun.elapsed(), failed })
    }
}

/// One run of some tests.
struct Run {
    end: End,
    took: Duration,
    /// The test that failed, or that was running when all ended.
    failed: Option<String>,
}

/// The last test that the harness began and did not call good.
fn failed(said: &str) -> Option<String> {
    let mut begun = said.lines().filter_map(|line| line.strip_prefix("test ")?.split_once(" ... "));
    begun.rfind(|(_, how)| !how.starts_with("ok")).map(|(name, _)| name.to_owned())
}

/// How the tests end at the first failure, see `runtime.rs.txt`; `timeout` then ends so itself.
const SIGABRT: i32 = 6;

/// What the exit of `timeout` says: 137 and 124 are its own, 152 is the limit on the processor, anything else the tests'.
fn end(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(0), _) => End::Passed,
        (None, Some(SIGABRT)) => End::Failed,
        (Some(124 | 137 | 152) | None, _) => End::Late,
        (Some(_), _) => End::Failed,
    }
}

/// Does `work` for each number below `count`, some at a time; the first error ends it.
pub(crate) fn each(
    jobs: usize,
    count: usize,
    work: impl Fn(usize) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    let next = AtomicUsize::new(0);
    let worker = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                return Ok(());
            }
            if let Err(error) = work(n) {
                next.store(count, Ordering::Relaxed);
                return Err(error);
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(result) => result,
            Err(_) => bail!("a worker panicked"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_that_was_running_is_known() {
        let said = "running 3 tests\ntest a::b ... ok\ntest a::c ... ";
        assert_eq!(failed(said).as_deref(), Some("a::c"));
        assert_eq!(
            failed("test a::b ... FAILED\ntest a::c ... ok\ntest result: FAILED").as_deref(),
            Some("a::b")
        );
        assert_eq!(failed("running 1 test\ntest a::b ... ok\n"), None);
    }
}
