//! What can be asked for.

use std::path::PathBuf;

use anyhow::bail;

/// How it is used.
pub(crate) const USAGE: &str = "usage: claviger-bench [--quick] [--json] [--http1] [--rounds N] [--dir DIR]
       claviger-bench --instructions [--json] [--compare FILE] [--profile FILE]

  --quick     few and short blocks: shows that it works, and no more
  --json      print JSON instead of the table
  --http1     the upstream speaks HTTP/1.1 only, not HTTP/2
  --rounds N  how many rounds of alternating blocks
  --dir DIR   where the vault with its audit log on disk is made; else the directory of this program

  --instructions  count the vault's instructions for an operation, by valgrind's callgrind
  --compare FILE  count, and say what has changed since FILE, which --instructions --json has printed
  --profile FILE  leave the callgrind profile of many mints and sends there (callgrind_annotate reads it)";

/// Which part this process plays.
pub(crate) enum Part {
    /// The floor: a bare echo on a unix socket.
    Echo {
        /// Where to listen.
        socket: PathBuf,
    },
    /// The service behind the vault.
    Upstream {
        /// Whether HTTP/2 is left out.
        http1: bool,
    },
    /// The one that measures.
    Measure(Options),
    /// The one that counts instructions.
    Instructions(Count),
    /// Says how it is used.
    Help,
}

/// How to count.
#[derive(Debug, Clone, Default)]
pub(crate) struct Count {
    /// Print JSON.
    pub(crate) json: bool,
    /// What an earlier run has printed as JSON.
    pub(crate) compare: Option<PathBuf>,
    /// Where the profile is left.
    pub(crate) profile: Option<PathBuf>,
}

/// How to measure.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Print JSON.
    pub(crate) json: bool,
    /// The upstream speaks HTTP/1.1 only.
    pub(crate) http1: bool,
    /// Rounds of alternating blocks.
    pub(crate) rounds: usize,
    /// Operations in one block at concurrency 1.
    pub(crate) serial: usize,
    /// Operations in one block of many callers.
    pub(crate) parallel: usize,
    /// Where the vault with its audit log on disk is made.
    pub(crate) dir: Option<PathBuf>,
}

/// Reads the arguments.
///
/// # Errors
/// One that is not known, or lacks its value.
pub(crate) fn parse(arguments: Vec<String>) -> anyhow::Result<Part> {
    let mut options = Options { json: false, http1: false, rounds: 9, serial: 300, parallel: 600, dir: None };
    let (mut count, mut counts) = (Count::default(), false);
    let mut words = arguments.into_iter();
    let mut first = true;
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| anyhow::anyhow!("{word} needs a value\n{USAGE}"));
        match word.as_str() {
            "echo" if first => return Ok(Part::Echo { socket: value()?.into() }),
            "upstream" if first => {
                return Ok(Part::Upstream { http1: words.next().as_deref() == Some("--http1") });
            }
            "-h" | "--help" => return Ok(Part::Help),
            "--json" => options.json = true,
            "--http1" => options.http1 = true,
            "--quick" => (options.rounds, options.serial, options.parallel) = (3, 60, 120),
            "--rounds" => options.rounds = value()?.parse()?,
            "--dir" => options.dir = Some(value()?.into()),
            "--instructions" => counts = true,
            "--compare" => (count.compare, counts) = (Some(value()?.into()), true),
            "--profile" => (count.profile, counts) = (Some(value()?.into()), true),
            other => bail!("{other:?} is not understood\n{USAGE}"),
        }
        first = false;
    }
    if counts {
        count.json = options.json;
        anyhow::ensure!(
            !(count.json && count.compare.is_some()),
            "--compare prints a table, not JSON\n{USAGE}"
        );
        return Ok(Part::Instructions(count));
    }
    options.rounds = options.rounds.max(1);
    Ok(Part::Measure(options))
}
