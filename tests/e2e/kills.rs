//! Killed at any instant: see `claviger_tests::kills` for what is done and compared.

use claviger_tests::kills;

/// A number from the environment.
fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().map_or(usual, |text| text.parse().expect("a number"))
}

/// 100 rounds, or as many as `CLAVIGER_TEST_KILLS` says; the throws are those of `CLAVIGER_TEST_KILLS_SEED`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_instant_nothing_acknowledged_is_lost_and_nothing_is_sent_twice() {
    let (rounds, seed) = (number("CLAVIGER_TEST_KILLS", 100), number("CLAVIGER_TEST_KILLS_SEED", 1));
    let counts = kills::run(rounds as usize, seed).await;
    assert!(counts.violations.is_empty(), "{:#?}", counts.violations);
    assert!(counts.done > rounds / 2 && counts.requests > rounds, "it did too little: {counts:?}");
}
