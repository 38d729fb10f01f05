//! How much of the log one agent may fill: its calls are recorded with their arguments, and a grant need have no rate. And
//! how much it may have looked at for calls that come to nothing, and so are charged to no grant.

use std::collections::HashMap;

use claviger_domain::name::AgentName;

/// How many bytes an agent may write at once.
const CAPACITY: u64 = 512 << 20;

/// How many bytes more it may write each day.
const PER_DAY: u64 = 1 << 30;

/// What a call writes besides its arguments, in bytes, roughly.
const WEIGHT: u64 = 1024;

/// A day, in microseconds.
const DAY_US: u64 = 86_400_000_000;

/// How many agents' budgets are kept before those that are full again are dropped.
const SWEEP_AT: usize = 1024;

/// What an agent may still write.
struct Budget {
    /// In bytes times [`DAY_US`], so that nothing is lost to rounding.
    left: u128,
    at_us: u64,
}

/// All agents' budgets. Time is monotonic and comes in.
#[derive(Default)]
pub(super) struct Budgets(HashMap<AgentName, Budget>);

impl Budgets {
    /// Takes a call with so many bytes of arguments from the agent's budget; `false`, and takes nothing, where that is
    /// used up.
    pub(super) fn spend(&mut self, agent: &AgentName, argument_bytes: usize, now_us: u64) -> bool {
        let full = u128::from(CAPACITY) * u128::from(DAY_US);
        let level = |budget: &Budget| {
            let earned = u128::from(now_us.saturating_sub(budget.at_us)) * u128::from(PER_DAY);
            (budget.left + earned).min(full)
        };
        if self.0.len() >= SWEEP_AT {
            self.0.retain(|_, budget| level(budget) < full);
        }
        let budget = self.0.entry(agent.clone()).or_insert(Budget { left: full, at_us: now_us });
        *budget = Budget { left: level(budget), at_us: budget.at_us.max(now_us) };
        let bytes = u64::try_from(argument_bytes).unwrap_or(u64::MAX).saturating_add(WEIGHT);
        let left = budget.left.checked_sub(u128::from(bytes) * u128::from(DAY_US));
        budget.left = left.unwrap_or(budget.left);
        left.is_some()
    }
}

/// How many requests the vault makes at once for an agent's calls that then do not stand.
const LOOKS: u64 = 600;

/// How long until one of them comes back, in microseconds: all of them do within ten minutes.
const LOOK_US: u64 = 1_000_000;

/// When each agent's looks will all have come back (GCRA). Time is monotonic and comes in.
#[derive(Default)]
pub(super) struct Looks(HashMap<AgentName, u64>);

impl Looks {
    /// Takes one look from the agent's; `false`, and takes nothing, where they are used up.
    pub(super) fn spend(&mut self, agent: &AgentName, now_us: u64) -> bool {
        if self.0.len() >= SWEEP_AT {
            self.0.retain(|_, back_us| *back_us > now_us);
        }
        let back_us = self.0.entry(agent.clone()).or_insert(now_us);
        let next = (*back_us).max(now_us).saturating_add(LOOK_US);
        let fits = next <= now_us.saturating_add(LOOKS * LOOK_US);
        if fits {
            *back_us = next;
        }
        fits
    }

    /// Gives so many back: the call stands, and its grant counts it.
    pub(super) fn give_back(&mut self, agent: &AgentName, looks: u32) {
        if let Some(back_us) = self.0.get_mut(agent) {
            *back_us = back_us.saturating_sub(u64::from(looks) * LOOK_US);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn a_days_use_is_bounded_and_refills_evenly() {
        let (mut budgets, ann) = (Budgets::default(), "ann".parse().unwrap());
        let weight = usize::try_from(WEIGHT).unwrap();
        let mebibyte = (1 << 20) - weight;
        assert_eq!((0..2000).filter(|_| budgets.spend(&ann, mebibyte, 0)).count(), 512);
        assert!(budgets.spend(&"bob".parse().unwrap(), mebibyte, 0), "another's is its own");
        // A mebibyte comes back in 84.375 seconds, asked for ever so often.
        let mut spent = 0;
        for now_ms in 0..84_375 {
            spent += u32::from(budgets.spend(&ann, mebibyte, now_ms * 1000));
        }
        assert_eq!(spent, 0);
        assert!(budgets.spend(&ann, mebibyte, 84_375_000));
        // Never more than all of it.
        let late = 100 * DAY_US;
        assert_eq!((0..2000).filter(|_| budgets.spend(&ann, mebibyte, late)).count(), 512);
        // Tens of thousands of small calls within a minute are honest use.
        let cat = "cat".parse().unwrap();
        assert!((0..100_000).all(|_| budgets.spend(&cat, 200, late)));
    }

    #[test]
    fn looks_come_back_one_by_one_or_with_their_call() {
        let (mut looks, ann) = (Looks::default(), "ann".parse().unwrap());
        assert_eq!((0..1000).filter(|_| looks.spend(&ann, 5)).count(), 600);
        assert!(looks.spend(&"bob".parse().unwrap(), 5), "another's are its own");
        looks.give_back(&ann, 2);
        assert_eq!((0..9).filter(|_| looks.spend(&ann, 5)).count(), 2);
        assert!(!looks.spend(&ann, LOOK_US));
        assert!(looks.spend(&ann, LOOK_US + 5));
        // Never more than all of them.
        assert_eq!((0..1000).filter(|_| looks.spend(&ann, DAY_US)).count(), 600);
        looks.give_back(&ann, 600);
        assert_eq!((0..1000).filter(|_| looks.spend(&ann, DAY_US)).count(), 600);
    }

    #[test]
    fn budgets_that_are_full_again_are_dropped() {
        let mut budgets = Budgets::default();
        for number in 0..3 * SWEEP_AT {
            let agent = format!("a{number}").parse().unwrap();
            assert!(budgets.spend(&agent, 10, number as u64 * DAY_US));
        }
        assert!(budgets.0.len() <= SWEEP_AT);
    }

    /// Agents come in a crowd: who has used up its own is not forgotten among them, and who has all of it again is.
    #[test]
    fn in_a_crowd_only_those_that_are_full_are_dropped() {
        let (ann, bob): (AgentName, AgentName) = ("ann".parse().unwrap(), "bob".parse().unwrap());
        let crowd: Vec<AgentName> = (1..SWEEP_AT).map(|at| format!("a{at}").parse().unwrap()).collect();
        let (mut budgets, mut looks) = (Budgets::default(), Looks::default());
        while budgets.spend(&ann, 1 << 20, 5) {}
        while budgets.spend(&ann, 0, 5) {}
        while looks.spend(&ann, 5) {}
        assert!(crowd.iter().all(|agent| budgets.spend(agent, 0, 5) && looks.spend(agent, 5)));
        assert!(!budgets.spend(&ann, 0, 5) && !looks.spend(&ann, 5));
        assert_eq!((budgets.0.len(), looks.0.len()), (SWEEP_AT, SWEEP_AT));
        // The crowd's looks are all back then, and of the one who used up its own one is.
        assert!(budgets.spend(&bob, 0, DAY_US) && looks.spend(&bob, 5 + LOOK_US));
        assert_eq!((budgets.0.len(), looks.0.len()), (1, 2));
    }
}
