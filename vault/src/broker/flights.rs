//! Uses under way, counted per agent: no agent can take all the places that an adapter has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use claviger_domain::name::AgentName;
use claviger_domain::refusal::{Class, Denial};

/// How many uses one agent may have under way.
const PER_AGENT: usize = 64;

/// The counts. Cheap to share.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<AgentName, usize>>>);

/// One use under way; it frees its place when it is dropped.
pub(super) struct Flight {
    flights: Flights,
    agent: AgentName,
}

impl Flights {
    /// Takes a place.
    ///
    /// # Errors
    /// Class `busy` where the agent has too many.
    pub(super) fn begin(&self, agent: &AgentName) -> Result<Flight, Denial> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(agent.clone()).or_default();
        if *count >= PER_AGENT {
            return Err(Denial::new(Class::Busy)
                .field("agent")
                .fix("the agent has too many calls under way"));
        }
        *count += 1;
        Ok(Flight { flights: self.clone(), agent: agent.clone() })
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut counts = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = counts.remove(&self.agent).unwrap_or_default().saturating_sub(1);
        if left > 0 {
            counts.insert(self.agent.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn one_agent_takes_no_place_of_another() {
        let flights = Flights::default();
        let (bot, other): (AgentName, AgentName) = ("bot".parse().unwrap(), "other".parse().unwrap());
        let mut held: Vec<Flight> = (0..PER_AGENT).map(|_| flights.begin(&bot).unwrap()).collect();
        assert_eq!(flights.begin(&bot).err().map(|denial| denial.class), Some(Class::Busy));
        assert!(flights.begin(&other).is_ok());
        drop(held.pop());
        assert!(flights.begin(&bot).is_ok());
        drop(held);
        assert!(flights.0.lock().unwrap().is_empty());
    }
}
