//! Kills at random instants under mixed load, and what an outsider finds after each.
//!
//! A world has one vault, two adapters, four agents, an admin and a stand-in for the service. It goes on over many rounds:
//! each starts again what was killed, never from a fresh store. In a round several agents call at once (reads, mails, files
//! made, uploads and downloads of some hundred KB, calls that a person must agree to, calls under a count and under a
//! rate), an admin makes, revokes, freezes, thaws, rotates, agrees and signs; then something gets SIGKILL.
//!
//! *The instants.* A quarter of the kills come 0–2 ms after the load has begun, a quarter 0–30 ms, a quarter 0–200 ms, each
//! evenly spread by the seeded generator; the last quarter 0–3 ms after the n-th request of the round (n from 1 to 12) has
//! reached the service, so that many fall between a request and what is made of its answer. In most rounds some answers of
//! the service come 0–40 ms late, or never.
//!
//! *What is compared.* What the callers were told, what the service has (its outbox, its files, its own log), what the
//! vault has (grants, agents, counters, versions, approvals) and the exported audit log, which is verified each time:
//! - what was told as done is there, once; what was refused is not; nothing is there twice, whatever was told;
//! - a grant that was told is there, a revocation and a freeze hold, no use begins after them, a rotation holds although
//!   the token it has replaced is dead; what a person agreed to can still be had;
//! - each request at the service has an intent of its own of the same form that is older, each intent one outcome;
//!   what was recorded as answered did arrive, what as not sent did not;
//! - a grant of so many calls, and one of so many an hour, never gave more, over all restarts;
//! - where the service renews refresh tokens, nothing that came with a new one was used before that was durable.
//!
//! In CI `e2e::kills` does 100 rounds. By hand: `CLAVIGER_TEST_KILLS=2000 cargo nextest run -p claviger-tests
//! kills::`, with `CLAVIGER_TEST_KILLS_SEED` for the same throws again (what falls where also depends on the machine).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
#![allow(missing_debug_implementations, reason = "a test shows what it needs")]

pub mod admin;
pub mod check;
pub mod dice;
pub mod ledger;
pub mod load;
mod scene;
pub mod uses;

use std::time::Duration;

use dice::Dice;
pub use scene::Scene;

use crate::world::note;

/// The agent whose grants come and go.
pub const DOOR: &str = "door";
/// The mail secret, which is rotated.
pub const MAIL: &str = "gmail/me";
/// The other one.
pub const FILES: &str = "drive/me";
/// How many rounds one world lives for: a log that is read whole at each start makes later rounds slower.
const ROUNDS: usize = 100;
/// After how many rounds the audit log is compared.
const AUDIT_EVERY: usize = 10;

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The vault; its adapters end by themselves.
    Vault,
    /// The vault and its adapters, at one instant.
    All,
    /// An adapter.
    Adapter,
    /// Programs of the agent in the middle of a call.
    Client,
}

const VICTIMS: [(Victim, u64); 4] =
    [(Victim::Vault, 10), (Victim::All, 5), (Victim::Adapter, 2), (Victim::Client, 3)];

/// What was done and found.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Rounds.
    pub rounds: u64,
    /// Worlds, each with some of the rounds.
    pub worlds: u64,
    /// Kills of the vault alone, of vault and adapters, of an adapter, of clients.
    pub kills: [u64; 4],
    /// Mails and files that were tried.
    pub tried: u64,
    /// Of these, told as done.
    pub done: u64,
    /// Told as refused.
    pub refused: u64,
    /// Without an answer that helps.
    pub unclear: u64,
    /// Mails and files at the service.
    pub made: u64,
    /// Reads that were answered.
    pub reads: u64,
    /// Changes by the admin that were told as done.
    pub changes: u64,
    /// Rotations among these.
    pub rotations: u64,
    /// Refresh tokens that died with the vault between the service and the store.
    pub lost_renewals: u64,
    /// Requests that were compared with intents.
    pub requests: u64,
    /// Intents.
    pub intents: u64,
    /// Of these, ended as unknown.
    pub unknown: u64,
    /// Not sent.
    pub not_sent: u64,
    /// What must not be, each with its seed and round.
    pub violations: Vec<String>,
}

/// Runs so many rounds. A violation ends its world, and the next rounds have another.
pub async fn run(rounds: usize, seed: u64) -> Counts {
    let mut dice = Dice::new(seed);
    let mut counts = Counts::default();
    while (counts.rounds as usize) < rounds {
        let most = ROUNDS.min(rounds - counts.rounds as usize);
        let began = counts.rounds;
        let mut scene = Scene::set(most).await;
        counts.worlds += 1;
        let mut troubles = Vec::new();
        for number in 0..most {
            counts.rounds += 1;
            let victim = dice.pick(&VICTIMS);
            troubles = scene.round(&mut dice, victim).await;
            counts.kills[victim as usize] += 1;
            if troubles.is_empty() && (number + 1) % AUDIT_EVERY == 0 {
                troubles = check::audit(&mut scene, false).await;
            }
            if !troubles.is_empty() {
                break;
            }
        }
        if troubles.is_empty() {
            troubles = check::audit(&mut scene, true).await;
        }
        if !troubles.is_empty() {
            let place = scene.keep();
            let head = format!(
                "seed {seed}, round {} (world {} from round {began} on), kept in {place}",
                counts.rounds, counts.worlds
            );
            let shown = &troubles[..troubles.len().min(20)];
            note(&format!("VIOLATION: {head}, {} of these:\n{}", troubles.len(), shown.join("\n")));
            counts.violations.push(format!("{head}: {}", troubles[0]));
        }
        scene.add_to(&mut counts);
        note(&format!("{} rounds: {counts:?}", counts.rounds));
        scene.end().await;
    }
    counts
}

#[allow(clippy::disallowed_methods, reason = "other processes have to get there, and have no clock of ours")]
pub(crate) async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// Kills these processes at an instant: a thread of its own waits, since a runtime's timer counts whole milliseconds.
async fn kill_after(wait: Duration, pids: Vec<u32>) {
    #[allow(clippy::disallowed_methods, reason = "the instant of the kill is what is looked for")]
    let killed = tokio::task::spawn_blocking(move || {
        std::thread::sleep(wait);
        pids.into_iter().for_each(crate::world::kill);
    });
    killed.await.unwrap();
}
