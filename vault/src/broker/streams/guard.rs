//! What cuts a stream: whatever is taken away while it flows, and time.

use std::sync::Arc;

use claviger_domain::refusal::{Class, Denial};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::exchange::{Lease, Version};
use super::{IDLE_MS, LONGEST_MS};
use crate::broker::Broker;
use crate::broker::errand::Errand;
use crate::port::BoxFuture;

/// How long a stream may go on with a version of its secret that was replaced, in microseconds, from when that is noticed:
/// together with the longest silence it is shorter than what a rotation waits, so that nothing flows any more when the old
/// version is retired.
const GRACE_US: u64 = 25_000_000;

/// The word for a vault that seals or stops.
pub(super) const SEAL: &str = "seal";

/// Why a stream ended before its end.
pub(super) struct Cut {
    /// The word in the log.
    pub(super) word: &'static str,
    /// What the peer is told.
    pub(super) denial: Box<Denial>,
}

impl Cut {
    pub(super) fn of(word: &'static str, denial: Denial) -> Self {
        Self { word, denial: Box::new(denial) }
    }

    fn new(word: &'static str, class: Class, why: &str) -> Self {
        Self::of(word, Denial::new(class).field("stream").fix(why))
    }

    /// The peer is gone, silent, or said what makes no sense.
    pub(super) fn peer(why: &str) -> Self {
        Self::new("peer", Class::BadArguments, why)
    }

    /// The upstream is gone, silent, or said what makes no sense.
    pub(super) fn upstream(why: &str) -> Self {
        Self::new("upstream", Class::Upstream, why)
    }

    fn sealed() -> Self {
        Self::of(SEAL, Denial::new(Class::Sealed))
    }
}

/// Whose turn it is: who is to blame where nothing comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Peer,
    Upstream,
}

/// Watches over one stream.
pub(super) struct Guard<'a> {
    broker: Arc<Broker>,
    errand: &'a Errand,
    lease: &'a Lease,
    /// Intake is closed: the vault seals or stops.
    until: CancellationToken,
    changes: watch::Receiver<u64>,
    overall: BoxFuture<'static, ()>,
    /// Since when the secret's version is an old one.
    replaced_us: Option<u64>,
}

impl<'a> Guard<'a> {
    pub(super) fn new(
        broker: &Arc<Broker>,
        errand: &'a Errand,
        lease: &'a Lease,
        until: CancellationToken,
    ) -> Self {
        Self {
            broker: Arc::clone(broker),
            errand,
            lease,
            until,
            changes: broker.changes.subscribe(),
            overall: broker.ports.clock.sleep_ms(LONGEST_MS),
            replaced_us: None,
        }
    }

    /// Whether the next piece may go: looked at in memory alone.
    pub(super) fn check(&mut self) -> Result<(), Cut> {
        if self.until.is_cancelled() {
            return Err(Cut::sealed());
        }
        let purpose = &self.errand.purpose;
        self.broker.still_allowed(purpose).map_err(|denial| {
            let word = match denial.class {
                Class::Frozen => "freeze",
                Class::Sealed => SEAL,
                Class::Unavailable => "clock",
                _ => "revocation",
            };
            Cut::of(word, denial)
        })?;
        let gone = |what: &'static str| Cut::new("revocation", Class::Revoked, what);
        let current = {
            let state = self.broker.read();
            let adapter = purpose.about.adapter.as_ref();
            if !adapter.is_some_and(|name| state.adapters.contains_key(name)) {
                return Err(gone("the adapter was removed"));
            }
            state.secrets.get(&self.errand.secret).map(|entry| Version::of(entry))
        };
        match current {
            None => Err(gone("the secret was removed")),
            Some(current) if current == self.lease.version() => Ok(()),
            Some(_) => {
                let now_us = self.broker.ports.clock.mono_us();
                let since_us = *self.replaced_us.get_or_insert(now_us);
                if now_us.saturating_sub(since_us) < GRACE_US {
                    return Ok(());
                }
                Err(Cut::new("rotation", Class::Unavailable, "the secret was rotated; call it again"))
            }
        }
    }

    /// Waits for something, as long as the stream may go on.
    pub(super) async fn wait<T>(&mut self, turn: Turn, what: impl Future<Output = T>) -> Result<T, Cut> {
        let mut what = std::pin::pin!(what);
        let mut idle = self.broker.ports.clock.sleep_ms(IDLE_MS);
        loop {
            self.check()?;
            tokio::select! {
                biased;
                () = self.until.cancelled() => return Err(Cut::sealed()),
                // Something changed: it is looked at above. The sender lives as long as the broker does.
                _ = self.changes.changed() => {}
                () = &mut self.overall => return Err(Cut::new("time", Class::Unavailable, "it took too long")),
                done = &mut what => return Ok(done),
                () = &mut idle => return Err(match turn {
                    Turn::Peer => Cut::peer("nothing came for too long, or nothing was taken"),
                    Turn::Upstream => Cut::upstream("the upstream was silent for too long"),
                }),
            }
        }
    }
}
