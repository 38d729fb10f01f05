//! Tickets: who may fetch or put the bytes of which call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use claviger_proto::bulk::{TICKET_BYTES, TICKET_SECONDS};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

use crate::call::Call;
use crate::host::accept::{Seat, Seats};
use crate::transfer::{Fetch, Put, Transfer};

/// How many calls wait for their client or pass bytes, altogether.
const ALL: usize = super::super::vault::STREAMS as usize;
/// How many of one user's.
const PER_USER: usize = 8;
/// How long a ticket is good.
const GOOD: Duration = Duration::from_secs(TICKET_SECONDS);

/// The calls that wait for their client.
pub(in crate::host) struct Tickets {
    /// By the SHA-256 of the ticket: what is compared is not what is guessed.
    held: Mutex<HashMap<[u8; 32], Held>>,
    room: Arc<Seats>,
}

struct Held {
    uid: u32,
    until: Instant,
    open: Open,
}

/// A call whose bytes may pass now. Room for another is made when it is dropped.
pub(super) struct Open<T = Transfer> {
    pub(super) call: Call,
    pub(super) transfer: T,
    seat: Seat,
}

impl Tickets {
    pub(in crate::host) fn new() -> Self {
        Self { held: Mutex::default(), room: Arc::new(Seats::new(ALL, PER_USER)) }
    }

    /// A ticket for the bytes of a call, for that user. `None` where too many wait already, or the system has no random
    /// numbers.
    pub(in crate::host) fn issue(
        &self,
        uid: u32,
        call: Call,
        transfer: Transfer,
        now: Instant,
    ) -> Option<[u8; TICKET_BYTES]> {
        self.sweep(now);
        let seat = Seats::take(&self.room, uid)?;
        let mut ticket = [0; TICKET_BYTES];
        SystemRandom::new().fill(&mut ticket).ok()?;
        let open = Open { call, transfer, seat };
        let held = Held { uid, until: now + GOOD, open };
        self.lock().insert(key(&ticket), held);
        Some(ticket)
    }

    /// Takes a ticket for bytes that come out. `None` for one that is unknown, was used, is late, is another user's, is for
    /// the other direction, or whose connection has ended: a caller is not told which.
    pub(super) fn fetch(&self, uid: u32, ticket: &[u8], now: Instant) -> Option<Open<Fetch>> {
        let wanted = |transfer: &Transfer| matches!(transfer, Transfer::Fetch(_));
        let Open { call, transfer, seat } = self.take(uid, ticket, now, wanted)?;
        match transfer {
            Transfer::Fetch(transfer) => Some(Open { call, transfer, seat }),
            Transfer::Put(_) => None,
        }
    }

    /// As [`Tickets::fetch`], for bytes that go in.
    pub(super) fn put(&self, uid: u32, ticket: &[u8], now: Instant) -> Option<Open<Put>> {
        let wanted = |transfer: &Transfer| matches!(transfer, Transfer::Put(_));
        let Open { call, transfer, seat } = self.take(uid, ticket, now, wanted)?;
        match transfer {
            Transfer::Put(transfer) => Some(Open { call, transfer, seat }),
            Transfer::Fetch(_) => None,
        }
    }

    fn take(
        &self,
        uid: u32,
        ticket: &[u8],
        now: Instant,
        wanted: impl Fn(&Transfer) -> bool,
    ) -> Option<Open> {
        if ticket.len() != TICKET_BYTES {
            return None;
        }
        self.sweep(now);
        let mut held = self.lock();
        let key = key(ticket);
        // Somebody else who holds it takes nothing from whom it is for.
        held.get(&key).filter(|held| held.uid == uid && wanted(&held.open.transfer))?;
        held.remove(&key).map(|held| held.open)
    }

    /// Drops what nobody may redeem any more.
    pub(super) fn sweep(&self, now: Instant) {
        let dead: Vec<Held> = {
            let mut held = self.lock();
            let gone =
                |_: &[u8; 32], held: &mut Held| held.until <= now || held.open.call.stop().is_cancelled();
            held.extract_if(gone).map(|(_, held)| held).collect()
        };
        drop(dead);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(ticket: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, ticket).as_ref());
    key
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use crate::call::Minted;
    use crate::host::vault::Vault;
    use crate::transfer::Source;
    use claviger_proto::connect::Server;
    use serde_json::Map;
    use tokio_util::sync::CancellationToken;

    const ME: u32 = 7;

    fn call(stop: &CancellationToken) -> Call {
        let vault = Arc::new(Vault::new("/nowhere".into(), Server::Uid(0)));
        let minted = Minted {
            tool: "drive.download_file".into(),
            call: "call_00".into(),
            effect: "read".into(),
            untrusted: true,
            requests: 3,
            choices: HashMap::new(),
        };
        Call::new(vault, vec![0; 32].into(), minted, Map::new(), stop.clone())
    }

    fn fetch() -> Transfer {
        let source = Source::Here(Vec::new());
        Transfer::Fetch(Fetch {
            name: String::new(),
            size: None,
            sha256: None,
            version: None,
            offset: 0,
            source,
        })
    }

    fn issue(tickets: &Tickets, uid: u32, now: Instant) -> Option<[u8; TICKET_BYTES]> {
        tickets.issue(uid, call(&CancellationToken::new()), fetch(), now)
    }

    #[test]
    fn a_ticket_is_good_once_for_its_user_and_direction() {
        let (tickets, now) = (Tickets::new(), super::super::now());
        let ticket = issue(&tickets, ME, now).unwrap();
        let other = issue(&tickets, ME, now).unwrap();
        assert_ne!(ticket, other);
        assert!(tickets.fetch(ME + 1, &ticket, now).is_none(), "another user");
        assert!(tickets.fetch(0, &ticket, now).is_none(), "root is another user too");
        assert!(tickets.put(ME, &ticket, now).is_none(), "the other direction");
        for guessed in [&[][..], &ticket[..15], &[0; 16], &[ticket.as_slice(), &[0]].concat()] {
            assert!(tickets.fetch(ME, guessed, now).is_none(), "{guessed:?}");
        }
        assert!(tickets.fetch(ME, &ticket, now).is_some());
        assert!(tickets.fetch(ME, &ticket, now).is_none(), "used");
        assert!(tickets.fetch(ME, &other, now).is_some());
    }

    #[test]
    fn a_late_ticket_is_none_and_its_room_is_free_again() {
        let (tickets, now) = (Tickets::new(), super::super::now());
        let all: Vec<_> = (0..PER_USER).map(|_| issue(&tickets, ME, now).unwrap()).collect();
        assert!(issue(&tickets, ME, now).is_none(), "one user's share");
        assert!(issue(&tickets, ME + 1, now).is_some(), "another's is its own");
        let just = now + GOOD - Duration::from_millis(1);
        let redeemed = tickets.fetch(ME, &all[0], just).unwrap();
        assert!(tickets.fetch(ME, &all[1], now + GOOD).is_none(), "late");
        // What passes its bytes still takes room, what was never redeemed does not.
        let later = now + GOOD;
        assert_eq!((0..PER_USER).filter(|_| issue(&tickets, ME, later).is_some()).count(), PER_USER - 1);
        drop(redeemed);
        assert!(issue(&tickets, ME, later).is_some());
    }

    #[test]
    fn all_users_together_have_a_bound() {
        let (tickets, now) = (Tickets::new(), super::super::now());
        let given = (0..200).filter(|uid| issue(&tickets, *uid, now).is_some()).count();
        assert_eq!(given, ALL);
    }

    #[test]
    fn a_ticket_dies_with_the_connection_of_its_call() {
        let (tickets, now) = (Tickets::new(), super::super::now());
        let stop = CancellationToken::new();
        let ticket = tickets.issue(ME, call(&stop), fetch(), now).unwrap();
        stop.cancel();
        assert!(tickets.fetch(ME, &ticket, now).is_none());
        assert!(tickets.lock().is_empty());
    }
}
