//! Streams: answers and bodies that are too long to be held, passed on piece by piece.
//!
//! All that bounds a call is decided before its first byte, as of any other call. What may change while bytes flow is looked
//! at in memory before each piece, and whenever anything was taken away: a revocation, a freeze, a deny grant, a rotation's
//! grace and the seal cut a stream between two pieces.

mod download;
mod exchange;
mod guard;
mod hash;
mod resume;
mod session;
mod transfer;
mod upload;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use claviger_domain::name::AgentName;
use claviger_domain::range::Extent;
use claviger_domain::refusal::{Class, Denial, Refusal};
use tokio::sync::{mpsc, oneshot};

use super::lock;
use super::view::Sent;

pub(super) use session::Sessions;

/// How many streams one agent may have under way.
const PER_AGENT: usize = 4;
/// How many all agents may have together.
const IN_ALL: usize = 32;
/// How long a stream may be without a byte, either way, in milliseconds.
const IDLE_MS: u64 = 30_000;
/// How long a stream may last, in milliseconds: six hours.
const LONGEST_MS: u64 = 6 * 60 * 60 * 1000;

/// An answer that is passed on as it comes.
pub struct Downloading {
    /// The upstream's status, 200 or 206.
    pub status: u16,
    /// Headers that may pass.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Which bytes follow.
    pub extent: Extent,
    /// Whether strangers can have written it.
    pub untrusted: bool,
    /// Its pieces, and its end. Without an end it was cut; whoever drops this cuts it.
    pub pieces: mpsc::Receiver<Result<Flow, Refusal>>,
}

/// What comes of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    /// A piece of at most [`crate::port::PIECE`] bytes.
    Piece(Bytes),
    /// All of it came.
    End {
        /// How many bytes were passed on.
        length: u64,
        /// SHA-256 of them.
        sha256: [u8; 32],
    },
}

/// A body that is taken as it comes.
pub struct Uploading {
    /// From which byte on it is wanted.
    pub offset: u64,
    /// Where its pieces go, each of at most [`crate::port::PIECE`] bytes; an empty one says that all of it came. To drop this
    /// before is to cut it.
    pub pieces: mpsc::Sender<Bytes>,
    /// What became of it.
    pub done: oneshot::Receiver<Result<Sent, Refusal>>,
}

/// The streams under way, counted. Cheap to share.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<AgentName, usize>>>);

/// One stream under way; it frees its place when it is dropped.
struct Place {
    places: Places,
    agent: AgentName,
}

impl Places {
    /// Takes a place.
    ///
    /// # Errors
    /// Class `busy` where there are too many.
    fn begin(&self, agent: &AgentName) -> Result<Place, Denial> {
        let busy = |why| Err(Denial::new(Class::Busy).field("streams").fix(why));
        let mut counts = lock(&self.0);
        if counts.get(agent).is_some_and(|count| *count >= PER_AGENT) {
            return busy("the agent has too many files under way");
        }
        if counts.values().sum::<usize>() >= IN_ALL {
            return busy("the vault has too many files under way");
        }
        *counts.entry(agent.clone()).or_default() += 1;
        Ok(Place { places: self.clone(), agent: agent.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.places.0);
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
        let places = Places::default();
        let agent = |number: usize| format!("a{number}").parse::<AgentName>().unwrap();
        let take = |number| places.begin(&agent(number));
        let mut held: Vec<Place> = (0..PER_AGENT).map(|_| take(0).unwrap()).collect();
        assert_eq!(take(0).err().map(|denial| denial.class), Some(Class::Busy));
        held.extend((0..IN_ALL - PER_AGENT).map(|number| take(1 + number / PER_AGENT).unwrap()));
        assert!(take(99).is_err(), "the vault is full");
        held.remove(0);
        assert!(take(99).is_ok());
        drop(held);
        assert!(lock(&places.0).is_empty());
    }

    /// The last but one that ends leaves one place taken.
    #[test]
    fn whoever_ends_frees_its_own_place_alone() {
        let places = Places::default();
        let ann: AgentName = "ann".parse().unwrap();
        for held in 1..=PER_AGENT {
            let mut taken: Vec<Place> = (0..held).map(|_| places.begin(&ann).unwrap()).collect();
            taken.pop();
            taken.extend((held..=PER_AGENT).map(|_| places.begin(&ann).unwrap()));
            assert!(places.begin(&ann).is_err(), "{held}");
        }
    }
}
