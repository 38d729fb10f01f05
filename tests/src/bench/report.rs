//! What was found, as a table of ratios or as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::stats::Figure;

/// About the machine and the run; no place on it.
pub(crate) struct Facts {
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// Where the audit log on disk is.
    pub(crate) filesystem: String,
    /// Where the other audit log is.
    pub(crate) memory_filesystem: String,
    /// What the upstream speaks.
    pub(crate) http: &'static str,
    /// Whether this is no release build.
    pub(crate) debug: bool,
    pub(crate) rounds: usize,
    pub(crate) serial: usize,
    pub(crate) parallel: usize,
}

/// Resident memory in MB (10^6 bytes).
pub(crate) struct Memory {
    pub(crate) vault_idle: Option<f64>,
    pub(crate) adapter_idle: Option<f64>,
    pub(crate) agent_idle: Option<f64>,
    /// After all rounds.
    pub(crate) vault_after: Option<f64>,
}

/// Each quantity's value in every round: microseconds, or operations a second.
#[derive(Default)]
pub(crate) struct Rounds(BTreeMap<&'static str, Vec<f64>>);

impl Rounds {
    /// Adds one round.
    pub(crate) fn push(&mut self, values: Vec<(&'static str, f64)>) {
        for (name, value) in values {
            self.0.entry(name).or_default().push(value);
        }
    }

    fn of(&self, name: &str) -> &[f64] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    fn figure(&self, name: &str) -> Figure {
        Figure::of(self.of(name))
    }
}

/// All of it.
pub(crate) struct Report {
    pub(crate) facts: Facts,
    pub(crate) memory: Memory,
    pub(crate) rounds: Rounds,
}

/// One line: what, how much, what was aimed at, and what it is made of.
struct Line {
    name: &'static str,
    figure: Figure,
    unit: &'static str,
    aim: &'static str,
    of: String,
}

impl Report {
    fn lines(&self) -> Vec<Line> {
        let rounds = &self.rounds;
        let ratio = |name, value: &str, floor: &str, aim, unit: &str| Line {
            name,
            figure: Figure::ratio(rounds.of(value), rounds.of(floor)),
            unit: "x",
            aim,
            of: format!("{:.0} / {:.0} {unit}", rounds.figure(value).median, rounds.figure(floor).median),
        };
        let added = |name, value: &str, aim| Line {
            name,
            figure: Figure::combined(rounds.of(value), rounds.of("direct.p50"), |value, floor| {
                (value - floor) / 1000.0
            }),
            unit: "ms",
            aim,
            of: format!("{:.0} - {:.0} us", rounds.figure(value).median, rounds.figure("direct.p50").median),
        };
        let syncs = Figure::combined(
            &Figure::each(rounds.of("both.disk.p50"), rounds.of("both.tmpfs.p50"), |disk, tmpfs| {
                disk - tmpfs
            }),
            rounds.of("fsync"),
            |more, sync| more / sync,
        );
        vec![
            ratio("mint, p50, 1 caller, by an echo", "mint.tmpfs.p50", "echo.p50", "1.3", "us"),
            ratio("  the same, audit on disk", "mint.disk.p50", "echo.p50", "1.3", "us"),
            ratio("mint, throughput, 16 callers, by an echo", "mint.tmpfs.16", "echo.16", "0.7", "/s"),
            ratio("  the same, audit on disk", "mint.disk.16", "echo.16", "0.7", "/s"),
            added("mint and send, p50, over direct, audit on tmpfs", "both.tmpfs.p50", "+0.15"),
            added("  the same, audit on disk", "both.disk.p50", ""),
            Line {
                name: "  which is that on tmpfs, and k durable writes: k",
                figure: syncs,
                unit: "",
                aim: "",
                of: format!("fdatasync of 4 KiB, appended: {:.0} us", rounds.figure("fsync").median),
            },
            ratio("mint and send, throughput, 16 callers, by direct", "both.tmpfs.16", "direct.16", "", "/s"),
            ratio("  the same, audit on disk", "both.disk.16", "direct.16", "", "/s"),
            ratio("mint and send, throughput, 64 callers, by direct", "both.tmpfs.64", "direct.64", "", "/s"),
            ratio("  the same, audit on disk", "both.disk.64", "direct.64", "", "/s"),
            ratio(
                "  that, by a direct request and a shared append",
                "both.disk.64",
                "least.disk.64",
                "",
                "/s",
            ),
            added("a whole call by MCP, p50, over direct, audit on disk", "call.disk.p50", ""),
        ]
    }

    /// Where the time of one mint and send goes: medians of the rounds, in microseconds.
    fn parts(&self, where_: &str) -> Vec<(&'static str, f64)> {
        let rounds = &self.rounds;
        let of = |part: &str| rounds.figure(&format!("both.{where_}.{part}")).median;
        let (echo, direct) = (rounds.figure("echo.p50").median, rounds.figure("direct.p50").median);
        let (mint, send, spent) = (of("mint"), of("send"), of("use"));
        vec![
            ("mint: the RPC as such (an echo)", echo),
            ("mint: what the vault does", mint - echo),
            ("send: the RPC as such (an echo)", echo),
            ("send: until the intent is durable, and the way back", send - spent - echo),
            ("send: the upstream's own time (direct)", direct),
            ("send: the rest of the use (inject, watch, judge)", spent - direct),
            ("together", mint + send),
        ]
    }

    /// The table.
    pub(crate) fn table(&self) -> String {
        let Facts { cores, kernel, filesystem, memory_filesystem, http, debug, rounds, serial, parallel } =
            &self.facts;
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{cores} cores, Linux {kernel}; audit log on {filesystem} and on {memory_filesystem}; upstream by {http}"
        );
        let _ = writeln!(
            text,
            "{rounds} rounds of alternating blocks, {serial} operations at 1 caller, {parallel} at many: median [min .. max]"
        );
        if *debug {
            let _ = writeln!(text, "NOT a release build: these figures mean nothing");
        }
        let _ = writeln!(text);
        for Line { name, figure: Figure { median, min, max }, unit, aim, of } in self.lines() {
            let aim = if aim.is_empty() { String::new() } else { format!("aim {aim}") };
            let _ = writeln!(text, "{name:52} {median:7.2} {unit:2} [{min:5.2} ..{max:6.2}]  {aim:9}  {of}");
        }
        for (name, value, aim) in self.memory.lines() {
            let value = value.map_or("unknown".to_owned(), |value| format!("{value:7.1} MB"));
            let _ = writeln!(text, "{name:52} {value:27}  {aim}");
        }
        for (title, where_) in [("tmpfs", "tmpfs"), ("disk", "disk")] {
            let _ = writeln!(
                text,
                "\nwhere the time of one mint and send goes, audit on {title}, in us (medians of parts)"
            );
            for (name, value) in self.parts(where_) {
                let _ = writeln!(text, "  {name:52} {value:7.0}");
            }
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// The same for programs, with every round's value.
    pub(crate) fn json(&self) -> String {
        let Facts { cores, kernel, filesystem, memory_filesystem, http, debug, rounds, serial, parallel } =
            &self.facts;
        let figures: Vec<Value> = self
            .lines()
            .into_iter()
            .map(|Line { name, figure: Figure { median, min, max }, unit, aim, of }| {
                json!({"name": name.trim(), "median": median, "min": min, "max": max, "unit": unit, "aim": aim, "of": of})
            })
            .collect();
        let memory: Vec<Value> = self
            .memory
            .lines()
            .into_iter()
            .map(|(name, value, aim)| json!({"name": name, "mb": value, "aim": aim}))
            .collect();
        json!({
            "machine": {"cores": cores, "kernel": kernel, "filesystem": filesystem, "memory_filesystem": memory_filesystem},
            "run": {"upstream": http, "debug": debug, "rounds": rounds, "serial": serial, "parallel": parallel},
            "figures": figures,
            "memory": memory,
            "parts": {"tmpfs": of_parts(&self.parts("tmpfs")), "disk": of_parts(&self.parts("disk"))},
            "rounds": self.rounds.0,
        })
        .to_string()
    }
}

fn of_parts(parts: &[(&'static str, f64)]) -> Value {
    parts.iter().map(|(name, micros)| json!({"name": name, "us": micros})).collect()
}

impl Memory {
    fn lines(&self) -> Vec<(&'static str, Option<f64>, &'static str)> {
        vec![
            ("resident memory, vault, idle after unseal", self.vault_idle, "aim 30"),
            ("resident memory, adapter (gmail), idle", self.adapter_idle, ""),
            ("resident memory, agent (MCP server), idle", self.agent_idle, ""),
            ("resident memory, vault, after all rounds", self.vault_after, ""),
        ]
    }
}
