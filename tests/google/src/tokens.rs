//! Clients, codes, access and refresh tokens. All that comes from one consent is one *family*.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::log::LoggedRequest;
use crate::random;

/// How long an authorisation code lives. RFC 6749 section 4.1.2 allows ten minutes; a minute is plenty.
const CODE_LIFETIME_MS: i64 = 60_000;

/// A registered OAuth client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) secret: String,
    /// Whether the user has consented once; from then on a refresh token needs `prompt=consent`.
    pub(crate) consented: bool,
}

/// An authorisation code and what must come back with it.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) client_id: String,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: String,
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) offline: bool,
    expires_ms: i64,
    family: u64,
    used: bool,
}

/// An access token.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) client_id: String,
    pub(crate) scopes: BTreeSet<String>,
    expires_ms: i64,
    family: u64,
    /// Whether anybody came with it.
    used: Cell<bool>,
}

/// A refresh token.
#[derive(Debug)]
struct Refresh {
    client_id: String,
    scopes: BTreeSet<String>,
    family: u64,
    /// How many refresh tokens of its family were given out before it.
    generation: u64,
    /// When another one took its place.
    replaced_ms: Option<i64>,
    /// The access token that came with it; empty for one without the OAuth dance.
    access: String,
}

/// Where a token stands: all that comes from one consent is a family, and each refresh token of it a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lineage {
    /// The family's number.
    pub family: u64,
    /// How many refresh tokens the family had before the one that this one is, or came with.
    pub generation: u64,
}

/// Why a code or refresh token gave nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum GrantError {
    /// `invalid_grant`: unknown, expired, used, revoked, or another client's.
    Invalid,
    /// `invalid_scope`: more was asked than was granted.
    Scope,
}

/// Freshly issued tokens.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
    pub(crate) scopes: BTreeSet<String>,
}

/// Every token of one stand-in.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) clients: BTreeMap<String, Client>,
    pub(crate) lifetime: Duration,
    pub(crate) rotate: bool,
    /// How long a refresh token is still taken after another took its place; reuse after that revokes the family.
    pub(crate) grace: Duration,
    codes: BTreeMap<String, Code>,
    access: BTreeMap<String, Access>,
    refresh: BTreeMap<String, Refresh>,
    revoked: BTreeSet<u64>,
    families: u64,
    /// For each time that a replaced refresh token came back to a live family: whether the access token of the newest one
    /// had been used by then.
    pub(crate) reuses: Vec<bool>,
    /// How many refresh tokens each family has had.
    generations: BTreeMap<u64, u64>,
    /// Of each token, by its name in the log.
    lineages: HashMap<String, Lineage>,
}

impl Tokens {
    pub(crate) fn new(lifetime: Duration, rotate: bool) -> Self {
        Self {
            clients: BTreeMap::new(),
            lifetime,
            rotate,
            grace: Duration::ZERO,
            codes: BTreeMap::new(),
            access: BTreeMap::new(),
            refresh: BTreeMap::new(),
            revoked: BTreeSet::new(),
            families: 0,
            reuses: Vec::new(),
            generations: BTreeMap::new(),
            lineages: HashMap::new(),
        }
    }

    /// Registers a client; returns its id and secret.
    pub(crate) fn add_client(&mut self) -> (String, String) {
        let number = 118_000_000_000_u64 + u64::try_from(self.clients.len()).unwrap_or(0);
        let tail = random::sha256_hex(number.to_string().as_bytes());
        let id = format!("{number}-{}.apps.googleusercontent.com", tail.get(..32).unwrap_or(&tail));
        let secret = format!("GOCSPX-{}", random::token(21));
        self.clients.insert(id.clone(), Client { secret: secret.clone(), consented: false });
        (id, secret)
    }

    /// Makes a code after consent.
    pub(crate) fn new_code(
        &mut self,
        client_id: &str,
        redirect_uri: &str,
        challenge: &str,
        scopes: BTreeSet<String>,
        offline: bool,
        now_ms: i64,
    ) -> String {
        let code = format!("4/0A{}", random::token(48));
        let family = self.new_family();
        let kept = Code {
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            challenge: challenge.to_owned(),
            scopes,
            offline,
            expires_ms: now_ms.saturating_add(CODE_LIFETIME_MS),
            family,
            used: false,
        };
        self.codes.insert(code.clone(), kept);
        code
    }

    /// Exchanges a code. `fits` compares the redirect URI and the PKCE verifier with the code's.
    ///
    /// A code is spent by the first attempt, good or bad; a second attempt revokes what the first gave (RFC 6749
    /// section 4.1.2).
    pub(crate) fn exchange(
        &mut self,
        code: &str,
        client_id: &str,
        now_ms: i64,
        fits: impl Fn(&Code) -> bool,
    ) -> Result<Issued, GrantError> {
        let kept = self.codes.get_mut(code).ok_or(GrantError::Invalid)?;
        if kept.used {
            self.revoked.insert(kept.family);
            return Err(GrantError::Invalid);
        }
        kept.used = true;
        if kept.expires_ms <= now_ms || kept.client_id != client_id || !fits(kept) {
            return Err(GrantError::Invalid);
        }
        let (family, scopes, offline) = (kept.family, kept.scopes.clone(), kept.offline);
        let refresh = offline.then(|| self.new_refresh(client_id, scopes.clone(), family));
        let generation = self.generation(family);
        let access = self.new_access(client_id, scopes.clone(), Lineage { family, generation }, now_ms);
        self.belongs(refresh.as_ref(), &access);
        Ok(Issued { access, refresh, scopes })
    }

    /// Uses a refresh token, for fewer scopes if `wanted` says so.
    pub(crate) fn refresh(
        &mut self,
        token: &str,
        client_id: &str,
        wanted: Option<BTreeSet<String>>,
        now_ms: i64,
    ) -> Result<Issued, GrantError> {
        let kept = self.refresh.get_mut(token).ok_or(GrantError::Invalid)?;
        if kept.client_id != client_id || self.revoked.contains(&kept.family) {
            return Err(GrantError::Invalid);
        }
        let grace_ms = i64::try_from(self.grace.as_millis()).unwrap_or(i64::MAX);
        if kept.replaced_ms.is_some_and(|replaced_ms| now_ms >= replaced_ms.saturating_add(grace_ms)) {
            let family = kept.family;
            self.revoked.insert(family);
            let newest =
                self.refresh.values().find(|other| other.family == family && other.replaced_ms.is_none());
            let access = newest.and_then(|newest| self.access.get(&newest.access));
            self.reuses.push(access.is_some_and(|access| access.used.get()));
            return Err(GrantError::Invalid);
        }
        let scopes = wanted.unwrap_or_else(|| kept.scopes.clone());
        if scopes.is_empty() || !scopes.is_subset(&kept.scopes) {
            return Err(GrantError::Scope);
        }
        let (family, all) = (kept.family, kept.scopes.clone());
        if self.rotate {
            kept.replaced_ms.get_or_insert(now_ms);
        }
        let mut generation = kept.generation;
        let refresh = self.rotate.then(|| self.new_refresh(client_id, all, family));
        if refresh.is_some() {
            generation = self.generation(family);
        }
        let access = self.new_access(client_id, scopes.clone(), Lineage { family, generation }, now_ms);
        self.belongs(refresh.as_ref(), &access);
        Ok(Issued { access, refresh, scopes })
    }

    /// Revokes a token of either kind, and with it its whole family, as Google does. `false`: no such live token.
    pub(crate) fn revoke(&mut self, token: &str, now_ms: i64) -> bool {
        let live = self.access.get(token).filter(|kept| kept.expires_ms > now_ms).map(|kept| kept.family);
        let family = live.or_else(|| self.refresh.get(token).map(|kept| kept.family));
        family.is_some_and(|family| self.revoked.insert(family))
    }

    /// Revokes everything, as an owner does on the "third-party access" page.
    pub(crate) fn revoke_all(&mut self) {
        self.revoked.extend(0..=self.families);
    }

    /// Every access token and every refresh token that was ever given out.
    pub(crate) fn issued(&self) -> Vec<String> {
        self.access.keys().chain(self.refresh.keys()).cloned().collect()
    }

    /// A live access token, or `None` for unknown, expired and revoked ones.
    pub(crate) fn live(&self, token: &str, now_ms: i64) -> Option<&Access> {
        let kept = self.access.get(token)?;
        let live = kept.expires_ms > now_ms && !self.revoked.contains(&kept.family);
        kept.used.set(kept.used.get() || live);
        live.then_some(kept)
    }

    /// An access token without the OAuth dance, in a family of its own.
    pub(crate) fn direct_access(&mut self, client_id: &str, scopes: BTreeSet<String>, now_ms: i64) -> String {
        let lineage = Lineage { family: self.new_family(), generation: 0 };
        self.new_access(client_id, scopes, lineage, now_ms)
    }

    /// A refresh token without the OAuth dance, in a family of its own.
    pub(crate) fn direct_refresh(&mut self, client_id: &str, scopes: BTreeSet<String>) -> String {
        let family = self.new_family();
        self.new_refresh(client_id, scopes, family)
    }

    fn new_family(&mut self) -> u64 {
        self.families += 1;
        self.families
    }

    /// Where a token stands, by its name in the log.
    pub(crate) fn lineage(&self, token_id: &str) -> Option<Lineage> {
        self.lineages.get(token_id).copied()
    }

    /// That of a family's newest refresh token.
    pub(crate) fn generation(&self, family: u64) -> u64 {
        self.generations.get(&family).map_or(0, |count| count.saturating_sub(1))
    }

    /// Whether all of a family was revoked.
    pub(crate) fn is_revoked(&self, family: u64) -> bool {
        self.revoked.contains(&family)
    }

    fn new_access(
        &mut self,
        client: &str,
        scopes: BTreeSet<String>,
        lineage: Lineage,
        now_ms: i64,
    ) -> String {
        let token = format!("ya29.a0{}", random::token(96));
        let lifetime = i64::try_from(self.lifetime.as_millis()).unwrap_or(i64::MAX);
        let kept = Access {
            client_id: client.to_owned(),
            scopes,
            expires_ms: now_ms.saturating_add(lifetime),
            family: lineage.family,
            used: Cell::new(false),
        };
        self.lineages.insert(LoggedRequest::token_id(&token), lineage);
        self.access.insert(token.clone(), kept);
        token
    }

    /// Keeps in mind with which refresh token that access token came.
    fn belongs(&mut self, refresh: Option<&String>, access: &str) {
        if let Some(kept) = refresh.and_then(|token| self.refresh.get_mut(token)) {
            access.clone_into(&mut kept.access);
        }
    }

    fn new_refresh(&mut self, client: &str, scopes: BTreeSet<String>, family: u64) -> String {
        let token = format!("1//0{}", random::token(60));
        let count = self.generations.entry(family).or_default();
        let generation = *count;
        *count += 1;
        self.lineages.insert(LoggedRequest::token_id(&token), Lineage { family, generation });
        let kept = Refresh {
            client_id: client.to_owned(),
            scopes,
            family,
            generation,
            replaced_ms: None,
            access: String::new(),
        };
        self.refresh.insert(token.clone(), kept);
        token
    }
}
