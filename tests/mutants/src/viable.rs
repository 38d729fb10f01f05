//! Finds the mutants that do not compile: all are compiled at once, and each error is led back to a switch.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::bail;
use serde_json::Value;

use crate::instrument::Mutant;
use crate::switches::{Switch, Switches};
use crate::tree::{Tree, cargo};

/// How often the compiler is asked at most. It tells all errors of one kind at a time.
const ROUNDS: usize = 25;

/// Instruments the copy so that it compiles. Adds to `unviable` the keys of what had to be left out; gives every mutant.
///
/// # Errors
/// The copy does not compile even so, or for a reason that is not a mutant's.
pub(crate) fn settle(
    tree: &Tree,
    under: &Path,
    unviable: &mut HashSet<String>,
) -> anyhow::Result<Vec<Mutant>> {
    for round in 1..=ROUNDS {
        let mutants = tree.instrument(under, unviable)?;
        let errors = errors(tree)?;
        if errors.is_empty() {
            return Ok(mutants);
        }
        let guilty = guilty(tree, &errors)?;
        eprintln!("round {round}: {} errors, {} mutants do not compile", errors.len(), guilty.len());
        if guilty.is_empty() {
            let told: Vec<&str> = errors.iter().map(|error| error.told.as_str()).take(5).collect();
            bail!("the copy does not compile, and no mutant is to blame:\n{}", told.join("\n"));
        }
        let keys = guilty.iter().filter_map(|id| mutants.get(usize::try_from(*id).ok()?)).map(Mutant::key);
        unviable.extend(keys);
    }
    bail!("still errors after {ROUNDS} rounds")
}

/// One error of the compiler: where it points, and how it reads.
struct Fault {
    spans: Vec<(String, Range<usize>)>,
    told: String,
}

/// What the compiler says against the copy.
fn errors(tree: &Tree) -> anyhow::Result<Vec<Fault>> {
    let output = cargo()
        .args(["check", "--lib", "--message-format", "json", "--package", &tree.package])
        .env("CARGO_TARGET_DIR", tree.target())
        .current_dir(&tree.copy)
        .output()?;
    let mut faults = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        let message = &message["message"];
        if message["level"] != "error" {
            continue;
        }
        let told = message["rendered"].as_str().unwrap_or_default().to_owned();
        let mut spans: Vec<(bool, (String, Range<usize>))> = Vec::new();
        for span in message["spans"].as_array().into_iter().flatten() {
            spans.extend(place(outermost(span)).map(|place| (span["is_primary"] != true, place)));
        }
        spans.sort_by_key(|(secondary, _)| *secondary);
        let spans: Vec<_> = spans.into_iter().map(|(_, place)| place).collect();
        // "aborting due to 7 previous errors" points nowhere.
        if !spans.is_empty() {
            faults.push(Fault { spans, told });
        }
    }
    if faults.is_empty() && !output.status.success() {
        bail!("cargo check: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(faults)
}

/// Where a macro was called, for what is in it.
fn outermost(span: &Value) -> &Value {
    match &span["expansion"] {
        Value::Object(expansion) => expansion.get("span").map_or(span, outermost),
        _ => span,
    }
}

fn place(span: &Value) -> Option<(String, Range<usize>)> {
    let byte = |name: &str| usize::try_from(span[name].as_u64()?).ok();
    Some((span["file_name"].as_str()?.to_owned(), byte("byte_start")?..byte("byte_end")?))
}

/// The mutants that these errors are about.
fn guilty(tree: &Tree, faults: &[Fault]) -> anyhow::Result<BTreeSet<u32>> {
    let mut files: HashMap<&str, Vec<Switch>> = HashMap::new();
    let mut guilty = BTreeSet::new();
    let mut vague: BTreeMap<&str, Vec<&Range<usize>>> = BTreeMap::new();
    for fault in faults {
        let mut found = false;
        for (file, at) in &fault.spans {
            if !files.contains_key(file.as_str()) {
                let Ok(text) = fs::read_to_string(tree.copy.join(file)) else { continue };
                files.insert(file, Switches::read(&text)?.0);
            }
            if let Some(id) = blame(&files[file.as_str()], at) {
                guilty.insert(id);
                found = true;
                break;
            }
        }
        if let (false, Some((file, at))) = (found, fault.spans.first()) {
            vague.entry(file).or_default().push(at);
        }
    }
    // Only when nothing better is known: the switch that stands nearest.
    if guilty.is_empty() {
        for (file, places) in vague {
            let Some(switches) = files.get(file) else { continue };
            for at in places {
                let nearest = switches.iter().min_by_key(|switch| switch.at.start.abs_diff(at.start));
                guilty.extend(nearest.map(|switch| switch.id));
            }
        }
    }
    Ok(guilty)
}

/// The mutant behind an error: the changed form that the error is in, else the innermost one that it is beside.
fn blame(switches: &[Switch], at: &Range<usize>) -> Option<u32> {
    let holds = |range: &Range<usize>| range.start <= at.start && at.end <= range.end;
    let narrowest = |range: fn(&Switch) -> Option<&Range<usize>>| {
        let holding = switches.iter().filter(|switch| range(switch).is_some_and(holds));
        holding
            .min_by_key(|switch| range(switch).map_or(usize::MAX, ExactSizeIterator::len))
            .map(|switch| switch.id)
    };
    narrowest(|switch| Some(&switch.at))
        .or_else(|| narrowest(|switch| switch.changed.as_ref()))
        .or_else(|| narrowest(|switch| switch.whole.as_ref()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn an_error_is_led_back_to_the_form_it_is_in() {
        let text = "fn f() { (if crate::__mutants::on(3u32) { a - b } else if crate::__mutants::on(4u32) { c } else { d }) }";
        let switches = Switches::read(text).unwrap().0;
        let at = |word: &str| text.find(word).map(|start| start..start + word.len()).unwrap();
        assert_eq!(blame(&switches, &at("a - b")), Some(3));
        assert_eq!(blame(&switches, &at("{ c }")), Some(4));
        // In what was there before: the change and it do not go together.
        assert_eq!(blame(&switches, &at("{ d }")), Some(4));
        assert_eq!(blame(&switches, &at("fn f")), None);
    }
}
