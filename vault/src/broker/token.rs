//! Credentials at the moment of use: what is opened, for how long, and the access tokens that OAuth gives for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, RwLock};

use claviger_domain::refusal::{Class, Denial};
use claviger_domain::secret::SecretBytes;
use zeroize::Zeroizing;

use super::records::{self, ValueRecord};
use super::state::{SealedValue, SecretEntry};
use super::usage::Purposeful;
use super::{Broker, lock, secrets};
use crate::port::{Inject, Purpose};

/// A token is renewed this long before it ends, in microseconds.
const EARLY_US: u64 = 60_000_000;

/// An access token in memory. It is never stored.
pub(super) struct AccessToken {
    pub(super) token: SecretBytes,
    /// Until when it is handed out, by the monotonic clock, in microseconds: a while before it ends.
    good_until_us: u64,
}

impl AccessToken {
    /// A token that was asked for at `asked_us` and lives for that many seconds. It is renewed a minute before its end,
    /// or at half of a shorter life, so that no short life makes every use renew it.
    pub(super) fn new(token: SecretBytes, asked_us: u64, life_s: u64) -> Self {
        let life_us = life_s.saturating_mul(1_000_000);
        let good_us = life_us - EARLY_US.min(life_us / 2);
        Self { token, good_until_us: asked_us.saturating_add(good_us) }
    }
}

/// The access tokens of one version of a secret, by the scope each was asked for.
#[derive(Default)]
pub(super) struct Tokens {
    by_scope: RwLock<HashMap<String, AccessToken>>,
    /// One refresh at a time: parallel ones would each spend the refresh token.
    pub(super) refreshing: tokio::sync::Mutex<()>,
    /// Set where the provider knows no narrower tokens than the whole: then none is asked for again.
    pub(super) only_whole: AtomicBool,
    /// How many refreshes the upstream's trouble ended, and what the last was told: whoever waited for it is told too.
    pub(super) failed: Mutex<(u64, Option<Denial>)>,
}

impl Tokens {
    /// A token for that scope that is good for a while yet.
    pub(super) fn find(&self, scope: &str, now_us: u64) -> Option<SecretBytes> {
        let tokens = self.by_scope.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let found = tokens.get(scope).filter(|token| token.good_until_us > now_us)?;
        Some(found.token.duplicate())
    }

    pub(super) fn keep(&self, scope: String, token: AccessToken) {
        self.by_scope.write().unwrap_or_else(std::sync::PoisonError::into_inner).insert(scope, token);
    }

    /// Drops a token that the upstream no longer takes, if it is still that one.
    pub(super) fn drop_token(&self, scope: &str, token: &SecretBytes) {
        use subtle::ConstantTimeEq;
        let mut tokens = self.by_scope.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let same = tokens.get(scope).is_some_and(|known| {
            // EXPOSE: two copies of one token are compared in constant time; neither leaves.
            bool::from(known.token.expose_secret().ct_eq(token.expose_secret()))
        });
        if same {
            tokens.remove(scope);
        }
    }
}

/// A credential ready to go into one request.
pub(super) struct Credential {
    pub(super) inject: Inject,
    /// What else must not come back.
    pub(super) watch: Vec<SecretBytes>,
    /// For OAuth: the scope it was asked for and a copy, to drop it from the cache if it is refused.
    pub(super) token: Option<(String, SecretBytes)>,
}

impl Broker {
    /// The credential for one request of a tool with these scopes; `None` where the secret's version was replaced
    /// while its token was waited for: the newest is the one to use.
    pub(super) async fn credential(
        self: &Arc<Self>,
        secret: &Arc<SecretEntry>,
        scopes: &[String],
        purpose: &Purposeful,
    ) -> Result<Option<Credential>, Denial> {
        let plain = |inject| Some(Credential { inject, watch: Vec::new(), token: None });
        match secret.record.kind.as_str() {
            "oauth2" => {
                let scope = self.narrowest(secret, scopes)?;
                // Trouble of the provider's is not the service's: nothing of it says anything about an object.
                let provider = |denial: Denial| match denial.class {
                    Class::Upstream => denial.field("token"),
                    _ => denial,
                };
                let access = self.access_token(secret, scope, purpose).await.map_err(provider)?;
                let Some((scope, token)) = access else {
                    return Ok(None);
                };
                let copy = token.duplicate();
                // The refresh token never goes to a service, so it cannot come back from one; the token endpoint
                // is not watched for it.
                Ok(Some(Credential {
                    inject: Inject::Bearer(token),
                    watch: Vec::new(),
                    token: Some((scope, copy)),
                }))
            }
            "bearer" => {
                Ok(plain(Inject::Bearer(SecretBytes::new(take(&mut self.open_value(secret)?.value)))))
            }
            "header" => {
                let name = secret.record.header.as_deref().unwrap_or_default();
                let name = http::HeaderName::from_bytes(name.as_bytes())
                    .map_err(|_| Denial::new(Class::Unavailable).field("secret"))?;
                Ok(plain(Inject::Header(name, SecretBytes::new(take(&mut self.open_value(secret)?.value)))))
            }
            "basic" => {
                let mut value = self.open_value(secret)?;
                let user = value.id.clone();
                Ok(plain(Inject::Basic { user, password: SecretBytes::new(take(&mut value.value)) }))
            }
            "none" => Ok(plain(Inject::Nothing)),
            _ => Err(Denial::new(Class::Unavailable)
                .field("secret")
                .fix("this version cannot use such a secret")),
        }
    }

    /// Opens the secret's current value. It is wiped when dropped, which is as soon as a request has it.
    pub(super) fn open_value(&self, secret: &SecretEntry) -> Result<ValueRecord, Denial> {
        let sealed: SealedValue = lock(&secret.value.sealed).clone();
        if sealed.unsaved.is_some() {
            return Err(Denial::new(Class::Unavailable)
                .field("secret")
                .fix("a renewed token is not durable yet"));
        }
        let name = secret.name().parse().map_err(|_| Denial::new(Class::Unavailable).field("secret"))?;
        let key = secrets::value_key(&name, secret.value.number);
        let plain: Zeroizing<Vec<u8>> =
            self.ports.sealer.open(Purpose::Record, &key, sealed.version, &sealed.bytes).map_err(|_| {
                Denial::new(Class::Unavailable).field("secret").fix("its record does not open")
            })?;
        records::decode(&plain).map_err(|_| Denial::new(Class::Unavailable).field("secret"))
    }

    /// The scope to ask a token for: the first of the tool's that the account granted. Where the provider never said
    /// what it granted, none is asked for, and the token is as wide as the account made it.
    fn narrowest(&self, secret: &SecretEntry, scopes: &[String]) -> Result<String, Denial> {
        if secret.needs_login.load(Ordering::SeqCst) {
            return Err(needs_login(secret));
        }
        let prefix = secret.record.provider.as_ref().map(|pin| pin.scope_prefix.as_str()).unwrap_or_default();
        let granted = &secret.record.scopes;
        if granted.is_empty() || scopes.is_empty() {
            return Ok(String::new());
        }
        let full =
            |scope: &String| if scope.contains(':') { scope.clone() } else { format!("{prefix}{scope}") };
        let found = scopes.iter().map(full).find(|scope| granted.contains(scope));
        found.ok_or_else(|| {
            Denial::new(Class::NeedsLogin).field("scope").value(scopes.join(" or ")).fix(format!(
                "the account did not grant it; run `claviger connect {} --renew --for …` and tick it",
                secret.name()
            ))
        })
    }
}

/// What an agent's call is told when the upstream no longer takes the secret.
pub(super) fn needs_login(secret: &SecretEntry) -> Denial {
    Denial::new(Class::NeedsLogin)
        .field("secret")
        .fix(format!("run `claviger connect {} --renew --for …`", secret.name()))
}

fn take(bytes: &mut Vec<u8>) -> Vec<u8> {
    std::mem::take(bytes)
}
