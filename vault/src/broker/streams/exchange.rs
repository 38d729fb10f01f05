//! One request of a stream's: its durable intent, its credential, and where it goes.

use std::sync::Arc;

use claviger_domain::event::{Detail, Ending};
use claviger_domain::name::SecretName;
use claviger_domain::origin::Origin;
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::render::Request;
use claviger_domain::secret::SecretBytes;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::broker::Broker;
use crate::broker::state::SecretEntry;
use crate::broker::usage::{Begun, Purposeful, TIMEOUT_MS, outbound};
use crate::port::{Answer, Inbound, Outflow, Streaming, UpstreamFault};

/// A place among the uses of one version of a secret.
pub(super) struct Lease {
    entry: Arc<SecretEntry>,
    _held: TaskTrackerToken,
}

/// A version of a secret, told from one of the same number of a secret that was removed and made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    number: u32,
    created_at_ms: u64,
}

impl Version {
    #[cfg(test)]
    pub(super) fn new(number: u32, created_at_ms: u64) -> Self {
        Self { number, created_at_ms }
    }

    /// The one that is used now.
    pub(super) fn of(entry: &SecretEntry) -> Self {
        let number = entry.current();
        let known = entry.record.versions.iter().find(|version| version.number == number);
        Self { number, created_at_ms: known.map_or(0, |version| version.created_at_ms) }
    }
}

impl Lease {
    /// Which version.
    pub(super) fn version(&self) -> Version {
        Version::of(&self.entry)
    }

    /// The secret.
    pub(super) fn entry(&self) -> &SecretEntry {
        &self.entry
    }
}

/// How a request goes out, and how its answer comes in.
#[derive(Default)]
pub(super) struct How {
    /// Where to, if not the secret's first origin.
    pub(super) origin: Option<Origin>,
    /// What else must not come back.
    pub(super) watch: Vec<SecretBytes>,
    /// Its body, where that comes piece by piece.
    pub(super) outflow: Option<Outflow>,
    /// How many bytes the body has.
    pub(super) bytes: u64,
    /// Whether an answer of success is wanted piece by piece.
    pub(super) in_pieces: bool,
    /// Whether a 308 is an answer.
    pub(super) resumes: bool,
    /// Until when the head of the answer must be there, in milliseconds; `None`: as for any request.
    pub(super) timeout_ms: Option<u64>,
}

/// A request whose intent is durable, ready to go.
pub(super) struct Ready {
    pub(super) begun: Begun,
    pub(super) streaming: Streaming,
    pub(super) lease: Lease,
    /// For OAuth: the scope that the access token was asked for, and a copy of it.
    token: Option<(String, SecretBytes)>,
}

impl Broker {
    /// Makes a request ready: its credential, and its intent, durable when this returns.
    pub(super) async fn make_ready(
        self: &Arc<Self>,
        name: &SecretName,
        scopes: &[String],
        purpose: &Purposeful,
        request: &Request,
        how: How,
    ) -> Result<Ready, Denial> {
        let How { origin, watch, outflow, bytes, in_pieces, resumes, timeout_ms } = how;
        let (entry, held, mut credential) = loop {
            // A rotation may have put a new version in its place; the newest is always the one to use.
            let leased = self.read().lease(name);
            let (entry, held) = leased
                .ok_or_else(|| Denial::new(Class::Revoked).field("secret").fix("the secret was removed"))?;
            if let Some(credential) = self.credential(&entry, scopes, purpose).await? {
                break (entry, held, credential);
            }
        };
        let unfit = || Denial::new(Class::Unavailable).field("secret");
        let origin = origin.or_else(|| entry.pin.origins.first().cloned()).ok_or_else(unfit)?;
        credential.watch.extend(watch);
        let mut request = outbound(origin, request.clone(), credential.inject, credential.watch, false)?;
        request.timeout_ms = timeout_ms.unwrap_or(TIMEOUT_MS);
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let begun = self.begin(purpose, &entry, bytes).await?;
        Ok(Ready {
            begun,
            streaming: Streaming { request, outflow, in_pieces, resumes },
            lease: Lease { entry, _held: held },
            token: credential.token,
        })
    }

    /// Sends a request whose body is held whole, with one more try where an access token turned out to be dead: a 401
    /// means that nothing was done. The use stays open.
    ///
    /// # Errors
    /// What was refused before anything was sent; and what the upstream did, with its use, for whoever knows what that
    /// means.
    pub(super) async fn converse(
        self: &Arc<Self>,
        name: &SecretName,
        scopes: &[String],
        purpose: &Purposeful,
        request: &Request,
        how: impl Fn() -> How,
    ) -> Result<(Begun, Lease, Result<Inbound, UpstreamFault>), Denial> {
        let mut last = false;
        loop {
            let ready = self.make_ready(name, scopes, purpose, request, how()).await?;
            let Ready { begun, streaming, lease, token } = ready;
            let result = self.ports.upstream.stream(name, &lease.entry.pin, streaming).await;
            match (&token, &result) {
                (Some((scope, token)), Ok(Inbound::Whole(Answer { status: 401, body, .. }))) if !last => {
                    last = true;
                    lease.entry.tokens.drop_token(scope, token);
                    self.end(begun, Ending::Withheld, Some(401), body.len(), Detail::default()).await?;
                }
                _ => return Ok((begun, lease, result)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::records::{SecretRecord, VersionRecord};
    use crate::broker::state::{SealedValue, ValueEntry};
    use claviger_domain::origin::Pin;

    fn entry(current: u32, versions: &[(u32, u64)]) -> SecretEntry {
        let version = |(number, created_at_ms): &(u32, u64)| VersionRecord {
            number: *number,
            state: 0,
            created_at_ms: *created_at_ms,
        };
        let versions = versions.iter().map(version).collect();
        SecretEntry {
            record: SecretRecord { current, versions, ..SecretRecord::default() },
            version: 1,
            pin: Pin { origins: Vec::new(), private: false, roots_pem: None },
            provider: None,
            value: Arc::new(ValueEntry {
                number: current,
                sealed: SealedValue { version: 1, bytes: Vec::new(), unsaved: None }.into(),
                renewals: 0.into(),
            }),
            needs_login: Arc::default(),
            tokens: Arc::default(),
            leases: tokio_util::task::TaskTracker::new(),
        }
    }

    #[test]
    fn a_version_is_its_number_and_when_it_came() {
        assert_eq!(Version::of(&entry(2, &[(1, 10), (2, 20)])), Version::new(2, 20));
        assert_eq!(Version::of(&entry(1, &[(1, 10), (2, 20)])), Version::new(1, 10));
        // A secret of the same name was removed, and made again.
        assert_ne!(Version::of(&entry(1, &[(1, 10)])), Version::of(&entry(1, &[(1, 30)])));
    }
}
