//! The vault's time: the wall clock, but never earlier than what was seen before.

use std::sync::atomic::{AtomicU64, Ordering};

use claviger_domain::event::{Actor, Detail, Kind};
use claviger_domain::refusal::{Class, Denial};

use super::Broker;
use super::error::AdminError;
use super::persist::Plain;
use super::records::{self, ClockRecord};
use crate::port::{Clock, Purpose};

/// A step back of more than this, in milliseconds, refuses uses.
pub(super) const STEP_BACK_MS: u64 = 60_000;

/// How far the wall clock may run ahead of the durable mark before the mark is moved, in milliseconds.
const MARK_EVERY_MS: u64 = 30_000;

/// Where the mark is kept.
pub(super) const KEY: &str = "meta/clock";

/// The high-water mark of the wall clock.
#[derive(Debug)]
pub(super) struct VaultTime {
    high_ms: AtomicU64,
    saved_ms: AtomicU64,
    version: AtomicU64,
}

impl VaultTime {
    pub(super) fn new(clock: &dyn Clock) -> Self {
        Self {
            high_ms: AtomicU64::new(clock.wall_ms()),
            saved_ms: AtomicU64::new(0),
            version: AtomicU64::new(0),
        }
    }

    /// Milliseconds since 1970: the greatest the wall clock has shown.
    pub(super) fn now_ms(&self, clock: &dyn Clock) -> u64 {
        let wall = clock.wall_ms();
        self.high_ms.fetch_max(wall, Ordering::Relaxed).max(wall)
    }

    /// Whether the wall clock stands too far behind what was seen before.
    pub(super) fn went_back(&self, clock: &dyn Clock) -> bool {
        clock.wall_ms() + STEP_BACK_MS < self.high_ms.load(Ordering::Relaxed)
    }

    /// Takes over the mark that an earlier run left.
    pub(super) fn restore(&self, high_ms: u64, version: u64) {
        self.high_ms.fetch_max(high_ms, Ordering::Relaxed);
        self.saved_ms.store(high_ms, Ordering::Relaxed);
        self.version.store(version, Ordering::Relaxed);
    }
}

impl Broker {
    /// The vault's time, in milliseconds since 1970.
    pub(super) fn now_ms(&self) -> u64 {
        self.time.now_ms(&*self.ports.clock)
    }

    /// Whether the wall clock went back so far that uses are refused.
    #[must_use]
    pub fn clock_refuses(&self) -> bool {
        self.time.went_back(&*self.ports.clock)
    }

    pub(super) fn require_clock(&self) -> Result<(), Denial> {
        if self.clock_refuses() {
            Err(Denial::new(Class::Unavailable)
                .field("clock")
                .fix("the clock went back; run `claviger clock reset` when it is right"))
        } else {
            Ok(())
        }
    }

    /// Moves the durable mark up if it has fallen behind. Called now and then by the daemon.
    pub(super) async fn mark_time(&self) {
        let now = self.now_ms();
        if now.saturating_sub(self.time.saved_ms.load(Ordering::Relaxed)) < MARK_EVERY_MS
            || self.clock_refuses()
        {
            return;
        }
        self.save_mark(now)
            .await
            .unwrap_or_else(|error| tracing::warn!(%error, "the clock's mark was not saved"));
    }

    async fn save_mark(&self, high_ms: u64) -> Result<(), AdminError> {
        let version = self.time.version.load(Ordering::Relaxed);
        let plain = || Plain::Sealed(Purpose::Record, records::encode(&ClockRecord { high_ms }));
        let version = self.put_over(KEY, version, plain).await?;
        self.time.version.store(version, Ordering::Relaxed);
        self.time.saved_ms.store(high_ms, Ordering::Relaxed);
        Ok(())
    }

    /// It was at least so late in an earlier run, in milliseconds since 1970: the durable mark of a run that was killed may be
    /// older than what that run had shown.
    pub fn was_as_late_as(&self, at_ms: u64) {
        self.time.high_ms.fetch_max(at_ms, Ordering::Relaxed);
    }

    /// Accepts the wall clock as it is now, after it was wrong. Returns the time, in milliseconds since 1970.
    ///
    /// # Errors
    /// It could not be recorded or made durable; then nothing changed.
    pub async fn reset_clock(&self, admin: Actor) -> Result<u64, AdminError> {
        let _turn = self.admin.lock().await;
        self.require_unsealed()?;
        let wall = self.ports.clock.wall_ms();
        self.ports.audit.record(self.event(Kind::ClockReset, admin), Detail::default()).await?;
        self.save_mark(wall).await?;
        self.time.high_ms.store(wall, Ordering::Relaxed);
        Ok(wall)
    }
}
