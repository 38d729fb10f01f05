//! Steps: each is announced, timed, and told again at the end.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

/// How a step ended, unless it failed.
pub(crate) enum Ending {
    /// Done.
    Passed,
    /// Not done, and why that is no fault.
    Skipped(String),
}

enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
    /// What it needs is not there: the named step did not pass.
    NotRun(&'static str),
}

/// The steps so far.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(&'static str, Duration, Outcome)>,
}

impl Steps {
    /// Does one step, whatever became of the others.
    pub(crate) fn step(&mut self, name: &'static str, act: impl FnOnce() -> Result<Ending>) {
        println!("\n=== {name}");
        let start = now();
        let outcome = match act() {
            Ok(Ending::Passed) => Outcome::Passed,
            Ok(Ending::Skipped(why)) => Outcome::Skipped(why),
            Err(error) => Outcome::Failed(format!("{error:#}")),
        };
        let time = start.elapsed();
        println!("=== {name}: {} after {}", words(&outcome), seconds(time));
        self.done.push((name, time, outcome));
    }

    /// Does one step that makes no sense unless the step `needs` passed.
    pub(crate) fn after(
        &mut self,
        needs: &'static str,
        name: &'static str,
        act: impl FnOnce() -> Result<Ending>,
    ) {
        if self.passed(needs) {
            self.step(name, act);
        } else {
            self.done.push((name, Duration::ZERO, Outcome::NotRun(needs)));
        }
    }

    /// Whether the step of this name was done and passed.
    pub(crate) fn passed(&self, name: &str) -> bool {
        self.done.iter().any(|(done, _, outcome)| *done == name && matches!(outcome, Outcome::Passed))
    }

    /// Prints the table. The exit code is a failure if any step failed, or was not run because of one that did.
    pub(crate) fn finish(self) -> ExitCode {
        let width = self.done.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        println!("\n=== summary");
        for (name, time, outcome) in &self.done {
            println!("{name:width$}  {:>8}  {}", seconds(*time), words(outcome));
        }
        let total = self.done.iter().map(|(_, time, _)| *time).sum();
        println!("{:width$}  {:>8}", "", seconds(total));
        let bad = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_) | Outcome::NotRun(_));
        if self.done.iter().any(|(.., outcome)| bad(outcome)) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => "passed".to_owned(),
        Outcome::Skipped(why) => format!("SKIPPED: {why}"),
        Outcome::Failed(why) => format!("FAILED: {why}"),
        Outcome::NotRun(needs) => format!("NOT RUN: needs `{needs}`, which did not pass"),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[allow(clippy::disallowed_methods, reason = "how long a step took is told to whoever waits for it")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn code(act: impl FnOnce(&mut Steps)) -> String {
        let mut steps = Steps::default();
        act(&mut steps);
        format!("{:?}", steps.finish())
    }

    #[test]
    fn one_failed_step_fails_the_whole_and_what_needs_it_is_not_run() {
        let (good, bad) = (format!("{:?}", ExitCode::SUCCESS), format!("{:?}", ExitCode::FAILURE));
        assert_eq!(code(|steps| steps.step("a", || Ok(Ending::Passed))), good);
        assert_eq!(code(|steps| steps.step("a", || Ok(Ending::Skipped("no a here".into())))), good);
        assert_eq!(code(|steps| steps.step("a", || bail!("broken"))), bad);
        let mut ran = false;
        let failed_first = code(|steps| {
            steps.step("a", || bail!("broken"));
            steps.after("a", "b", || {
                ran = true;
                Ok(Ending::Passed)
            });
            steps.step("c", || Ok(Ending::Passed));
        });
        assert_eq!(failed_first, bad);
        assert!(!ran, "b needs a");
    }
}
