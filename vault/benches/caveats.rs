//! What a full set of caveats costs a mint, beside what a mint does anyway with its arguments.
//!
//! `cargo bench -p claviger-vault --bench caveats` prints the least time of many rounds, in nanoseconds: a busy machine
//! makes rounds slower and none faster. The floor is parsing the same arguments, measured in the same run. All together
//! must stay below 5000 ns.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, and fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use claviger_canonical::Canonical;
use claviger_domain::arg::Arguments;
use claviger_domain::caveat::{Bound, Caveat};
use claviger_domain::name::Ident;
use serde_json::json;

/// Rounds of each measurement, and how many times each round does it.
const ROUNDS: u32 = 200;
const TIMES: u32 = 200;

/// The least time that one `run` took, in nanoseconds.
fn least(mut run: impl FnMut()) -> f64 {
    let round = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..TIMES).for_each(|_| run());
        start.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
    };
    (0..ROUNDS).map(|_| round(&mut run)).fold(f64::INFINITY, f64::min)
}

fn main() {
    let catalog = claviger_vault::catalog::load(None, &BTreeMap::new(), &BTreeMap::new()).unwrap();
    let tool = catalog.tool(&"gmail.send_message".parse().unwrap()).unwrap();
    let body = "Dear Mona, the minutes are below. See you on Saturday. ".repeat(8);
    let given = json!({
        "to": ["mona@example.com", "family@example.org"],
        "cc": ["theo@example.com"],
        "subject": "Minutes of the garden meeting",
        "body": body,
    });
    let canonical = Canonical::from_json(&given).unwrap();
    let args = Arguments::parse(&tool.args, canonical.value()).unwrap();
    let arg = |name: &str, bound: Bound| Caveat::Argument(name.parse::<Ident>().unwrap(), bound);
    let now_ms = 1_800_000_000_000;
    let plain = vec![
        Caveat::Rate("60/1h".parse().unwrap()),
        Caveat::Calls(1000),
        Caveat::BytesADay(1 << 30),
        Caveat::Expires(now_ms + 1),
        Caveat::NotBefore(now_ms - 1),
        Caveat::Hours("mon-sun,00:00-24:00,Europe/Berlin".parse().unwrap()),
        Caveat::Tools(vec!["gmail.reply".parse().unwrap(), tool.name.clone()]),
        Caveat::Recipients(
            ["family@example.org", "*@example.net", "x@example.com", "y@example.com", "*@example.com"]
                .map(|pattern| pattern.parse().unwrap())
                .to_vec(),
        ),
        arg("bcc", Bound::Absent),
        arg("reply_to", Bound::Absent),
        arg("to", Bound::MaxLength(5)),
        arg("subject", Bound::MaxLength(200)),
        arg("body", Bound::MaxLength(10_000)),
    ];
    let links = vec![Caveat::Links(vec!["example.org".parse().unwrap()])];
    let decide = |list: &[Caveat]| {
        for caveat in list {
            assert!(caveat.enforceable(tool).is_ok(), "{}", caveat.to_text());
            assert!(black_box(caveat).decide(tool, black_box(&args), now_ms).is_ok(), "{}", caveat.to_text());
        }
        least(|| {
            for caveat in list {
                let _ = black_box(black_box(caveat).decide(tool, black_box(&args), now_ms));
            }
        })
    };
    let floor = least(|| drop(black_box(Arguments::parse(&tool.args, black_box(canonical.value())))));
    println!("arguments of {} bytes parsed (the floor)     {floor:8.0} ns", canonical.bytes().len());
    let all = [plain.as_slice(), &links].concat();
    let lists = [
        ("13 caveats, all but links", &plain),
        ("links alone, on the same text", &links),
        ("all 14 together", &all),
    ];
    for (what, list) in lists {
        let cost = decide(list);
        println!("{what:<44} {cost:8.0} ns   {:5.2} of the floor", cost / floor);
    }
}
