//! Secrets come in, are described, are removed. None comes out.

use std::sync::Arc;

use claviger_domain::effect::Effect;
use claviger_domain::event::{Actor, Detail, Kind};
use claviger_domain::grant::{Grant, State as GrantState};
use claviger_domain::name::SecretName;
use claviger_domain::secret::SecretBytes;
use claviger_domain::tool::{Auth, Provider, Service};

use super::Broker;
use super::error::AdminError;
use super::load::entry_of;
use super::peers::near;
use super::persist::{Plain, Put};
use super::records::{self, ProviderPin, SecretRecord, ValueRecord, VersionRecord};
use super::state::{SecretEntry, State};
use super::usage::Purposeful;
use super::view::{NewValue, SecretView, VersionView};
use crate::port::{Item, Purpose, Revision};

/// The longest value of a secret, in bytes.
const LONGEST: usize = 16 * 1024;

/// The state of a version in its record.
pub(super) const CURRENT: u32 = 0;
/// Replaced; uses of it may still be under way.
pub(super) const RETIRING: u32 = 1;
/// Replaced and done with.
pub(super) const RETIRED: u32 = 2;

/// The key of a secret's record.
pub(super) fn key(name: &SecretName) -> String {
    format!("secret/{name}")
}

/// The key of one version's value.
pub(super) fn value_key(name: &SecretName, number: u32) -> String {
    format!("secret-value/{name}/{number}")
}

impl Broker {
    /// Puts in a secret. Its origins, and for OAuth its endpoints, are pinned as the catalog has them now.
    ///
    /// # Errors
    /// No such service, a value of another kind than the service takes, a name that is taken, or it could not be
    /// recorded or made durable.
    pub async fn add_secret(
        &self,
        admin: Actor,
        name: SecretName,
        value: NewValue,
    ) -> Result<SecretView, AdminError> {
        self.require_unsealed()?;
        let service = &self.known_service(&name)?;
        let value = value_record(service, value, None)?;
        let _turn = self.admin.lock().await;
        let record = self.fresh_record(service, &name)?;
        self.keep_secret(admin, name, record, value).await
    }

    /// A new record that pins what the catalog says; refuses a name that is taken.
    pub(super) fn fresh_record(
        &self,
        service: &Service,
        name: &SecretName,
    ) -> Result<SecretRecord, AdminError> {
        let state = self.read();
        if state.secrets.contains_key(name) {
            return Err(AdminError::Exists { what: "a secret", name: name.to_string() });
        }
        // The first secret of a service has the short tool names, and keeps them: names never change.
        let default = !state.secrets.keys().any(|other| other.service() == name.service());
        let provider = match &service.auth {
            Auth::OAuth2 { provider } => self.catalog().provider(provider).map(provider_pin),
            _ => None,
        };
        let header = match &service.auth {
            Auth::Header { name } => Some(name.clone()),
            _ => None,
        };
        Ok(SecretRecord {
            name: name.to_string(),
            kind: service.auth.kind().to_owned(),
            origins: service.pin.origins.iter().map(ToString::to_string).collect(),
            private: service.pin.private,
            roots_pem: service.pin.roots_pem.clone(),
            provider,
            header,
            subject: None,
            email: None,
            scopes: Vec::new(),
            created_at_ms: self.now_ms(),
            needs_login: false,
            default,
            current: 1,
            versions: vec![VersionRecord { number: 1, state: CURRENT, created_at_ms: self.now_ms() }],
            trusted_authors: Vec::new(),
        })
    }

    /// Records and writes a new secret with its first value. The caller holds the admins' turn.
    pub(super) async fn keep_secret(
        &self,
        admin: Actor,
        name: SecretName,
        record: SecretRecord,
        value: ValueRecord,
    ) -> Result<SecretView, AdminError> {
        let mut event = self.event(Kind::SecretAdded, admin);
        event.secret = Some(name.clone());
        event.secret_version = Some(1);
        self.ports.audit.record(event, Detail::default()).await?;
        // It may be another account than the one that had this name before.
        self.forget_made("made/", |_, secret| *secret == name).await?;
        let sealed = |bytes| Plain::Sealed(Purpose::Record, bytes);
        let plain = zeroize::Zeroizing::new(records::encode(&value));
        // Over what an earlier try may have left, of which it was not known whether the store took it.
        let (key, value_key) = (key(&name), value_key(&name, 1));
        let version = self.version_of(&key).await?;
        let value_version = self.version_of(&value_key).await?;
        self.commit(vec![
            Put { key, version, plain: sealed(records::encode(&record)) },
            Put { key: value_key, version: value_version, plain: sealed(plain.to_vec()) },
        ])
        .await?;
        let entry = self.entry(record, version + 1, &name, 1, value_version + 1, &plain)?;
        self.write().secrets.insert(name.clone(), Arc::new(entry));
        self.changed();
        self.secret(&name)
    }

    /// A secret's entry in memory, its value sealed as the store has it.
    pub(super) fn entry(
        &self,
        record: SecretRecord,
        version: u64,
        name: &SecretName,
        number: u32,
        value_version: u64,
        plain: &[u8],
    ) -> Result<SecretEntry, AdminError> {
        let key = value_key(name, number);
        let value = self
            .ports
            .sealer
            .seal(Purpose::Record, &key, value_version, plain)
            .map_err(|_| AdminError::Sealed)?;
        let item = Item { key, version: value_version, revision: Revision(0), value };
        entry_of(record, version, item).ok_or_else(|| {
            AdminError::invalid("the secret's pins make no sense", "look at the service's file")
        })
    }

    /// Takes over a changed record of a secret whose value stays: tokens and uses under way stay too.
    pub(super) fn adopt_record(&self, entry: &Arc<SecretEntry>, record: SecretRecord, version: u64) {
        let Ok(name) = record.name.parse::<SecretName>() else { return };
        let new = SecretEntry {
            needs_login: Arc::clone(&entry.needs_login),
            record,
            version,
            pin: entry.pin.clone(),
            provider: entry.provider.clone(),
            value: Arc::clone(&entry.value),
            tokens: Arc::clone(&entry.tokens),
            leases: entry.leases.clone(),
        };
        let mut state = self.write();
        // Somebody may have rotated it meanwhile; what is newer stays.
        if state.secrets.get(&name).is_some_and(|now| Arc::ptr_eq(now, entry)) {
            state.secrets.insert(name, Arc::new(new));
        }
    }

    /// All secrets, without their values.
    ///
    /// # Errors
    /// The vault is sealed.
    pub fn secrets(&self) -> Result<Vec<SecretView>, AdminError> {
        self.require_unsealed()?;
        let (state, now_ms) = (self.read(), self.now_ms());
        Ok(state.secrets.iter().map(|(name, entry)| self.secret_view(&state, name, entry, now_ms)).collect())
    }

    /// One secret, without its value.
    ///
    /// # Errors
    /// The vault is sealed, or there is no such secret.
    pub fn secret(&self, name: &SecretName) -> Result<SecretView, AdminError> {
        self.require_unsealed()?;
        let (state, now_ms) = (self.read(), self.now_ms());
        let entry = state.secrets.get(name).ok_or_else(|| missing(&state, name))?;
        Ok(self.secret_view(&state, name, entry, now_ms))
    }

    /// Removes a secret with all grants that use it. Returns what the upstream said, and how many grants there were.
    ///
    /// # Errors
    /// No such secret; a revocation of a grant that is not durable; or it could not be recorded or made durable.
    pub async fn remove_secret(
        self: &Arc<Self>,
        admin: Actor,
        name: &SecretName,
        revoke_upstream: bool,
    ) -> Result<(String, u32), AdminError> {
        self.require_unsealed()?;
        let (broker, name) = (Arc::clone(self), name.clone());
        self.in_task(async move { broker.try_remove_secret(admin, &name, revoke_upstream).await }).await
    }

    async fn try_remove_secret(
        self: &Arc<Self>,
        admin: Actor,
        name: &SecretName,
        revoke_upstream: bool,
    ) -> Result<(String, u32), AdminError> {
        let entry = self.secret_entry(name)?;
        let (_turn, grants) = self.revoke_where(&admin, |grant| grant.secret == *name).await?;
        let upstream = if revoke_upstream {
            self.retire_upstream(&admin, &entry, false).await
        } else {
            "not asked for".to_owned()
        };
        let entry = self.secret_entry(name)?;
        let mut event = self.event(Kind::SecretRemoved, admin);
        event.secret = Some(name.clone());
        let mut detail = Detail::default();
        detail.add("upstream", Some(&upstream));
        self.ports.audit.record(event, detail).await?;
        let mut deletes = vec![(key(name), entry.version)];
        for version in &entry.record.versions {
            let key = value_key(name, version.number);
            // What cannot be looked up may be there, and would outlive its secret.
            let item = self.ports.store.get(&key).await;
            let item = item.map_err(|_| AdminError::Store("it does not answer"))?;
            deletes.extend(item.map(|item| (key, item.version)));
        }
        self.delete_over(deletes).await?;
        self.write().secrets.remove(name);
        self.ports.upstream.forget(name);
        self.changed();
        Ok((upstream, grants))
    }

    /// Revokes every such grant, then takes the admins' turn at a moment when none is left. Returns how many there
    /// were. A grant that was made meanwhile would otherwise outlive what it stands on, and come back to life with the
    /// next thing of that name.
    pub(super) async fn revoke_where(
        &self,
        admin: &Actor,
        wanted: impl Fn(&Grant) -> bool,
    ) -> Result<(tokio::sync::MutexGuard<'_, ()>, u32), AdminError> {
        let mut revoked = 0;
        loop {
            let turn = self.admin.lock().await;
            // By what is durable: a revocation that holds in memory only would be undone by a restart.
            let standing: Vec<_> = {
                let state = self.read();
                let grants = state.grants.values().map(|entry| &entry.grant);
                grants.filter(|g| wanted(g) && g.state == GrantState::Active).map(|g| g.id).collect()
            };
            if standing.is_empty() {
                return Ok((turn, revoked));
            }
            drop(turn);
            for id in standing {
                self.revoke(admin.clone(), id).await?;
                revoked += 1;
            }
        }
    }

    pub(super) fn secret_entry(&self, name: &SecretName) -> Result<Arc<SecretEntry>, AdminError> {
        let state = self.read();
        state.secrets.get(name).cloned().ok_or_else(|| missing(&state, name))
    }

    pub(super) fn known_service(&self, name: &SecretName) -> Result<Service, AdminError> {
        let catalog = self.catalog();
        catalog.service_of(name).cloned().ok_or_else(|| AdminError::Missing {
            what: "service",
            name: name.service().to_string(),
            near: near(&catalog.services),
        })
    }

    /// A use of an admin's, under no grant.
    pub(super) fn admin_purpose(
        &self,
        admin: &Actor,
        secret: &SecretEntry,
        step: &str,
        effect: Effect,
    ) -> Purposeful {
        Purposeful {
            actor: admin.clone(),
            about: self.about_secret(secret, step),
            effect,
            ancestors: Vec::new(),
            digest: None,
            taints: false,
        }
    }
}

/// What a secret pins of its provider.
pub(super) fn provider_pin(provider: &Provider) -> ProviderPin {
    ProviderPin {
        id: provider.id.clone(),
        token: provider.token.to_string(),
        revoke: provider.revoke.as_ref().map(ToString::to_string),
        private: provider.private,
        roots_pem: provider.roots_pem.clone(),
        scope_prefix: provider.scope_prefix.clone(),
        userinfo: provider.userinfo.as_ref().map(ToString::to_string),
        revokes_account: provider.revokes_account,
    }
}

/// Fits a value to its service. What is left empty in a new version is kept from the old one.
pub(super) fn value_record(
    service: &Service,
    value: NewValue,
    old: Option<&ValueRecord>,
) -> Result<ValueRecord, AdminError> {
    let wrong = |given: &str| {
        let kind = service.auth.kind();
        AdminError::invalid(
            format!("{} takes a secret of kind {kind}, not {given}", service.id),
            format!("use --kind {kind}"),
        )
    };
    let (kind, record) = match value {
        NewValue::Bearer(token) => ("bearer", plain(&token)),
        NewValue::Header(value) => ("header", plain(&value)),
        NewValue::Basic(user, password) => {
            let mut record = plain(&password);
            record.id =
                if user.is_empty() { old.map(|old| old.id.clone()).unwrap_or_default() } else { user };
            if record.id.is_empty() || record.id.contains(':') || record.id.chars().any(char::is_control) {
                return Err(AdminError::invalid(
                    "a basic credential has a user without a colon",
                    "say which with --user",
                ));
            }
            ("basic", record)
        }
        NewValue::OAuth2 { client_id, client_secret, refresh_token } => {
            let mut record = plain(&refresh_token);
            match old.filter(|_| client_id.is_empty()) {
                Some(old) => {
                    record.id.clone_from(&old.id);
                    record.client_secret.clone_from(&old.client_secret);
                }
                None => {
                    record.id = client_id;
                    // EXPOSE: goes into the record that is sealed.
                    record.client_secret = client_secret.expose_secret().to_vec();
                }
            }
            if record.id.is_empty() {
                return Err(AdminError::invalid(
                    "an OAuth secret has a client",
                    "say which with --client-id",
                ));
            }
            ("oauth2", record)
        }
        NewValue::None => ("none", ValueRecord::default()),
    };
    if kind != service.auth.kind() {
        return Err(wrong(kind));
    }
    if kind == "none" {
        return Ok(record);
    }
    if record.value.is_empty() || record.value.len() > LONGEST {
        return Err(AdminError::invalid(
            format!("a value has 1 to {LONGEST} bytes"),
            "give it on standard input or at the prompt",
        ));
    }
    if record.value.iter().chain(&record.client_secret).any(|b| *b < 0x20 || *b == 0x7f) {
        return Err(AdminError::invalid(
            "a value has no control characters and no line ends",
            "check what was copied",
        ));
    }
    Ok(record)
}

fn plain(value: &SecretBytes) -> ValueRecord {
    // EXPOSE: goes into the record that is sealed.
    ValueRecord { value: value.expose_secret().to_vec(), id: String::new(), client_secret: Vec::new() }
}

pub(super) fn described(state: &State, name: &SecretName, entry: &SecretEntry, now_ms: u64) -> SecretView {
    let record = &entry.record;
    let created = |number: u32| {
        record.versions.iter().find(|version| version.number == number).map(|version| version.created_at_ms)
    };
    SecretView {
        name: name.clone(),
        kind: record.kind.clone(),
        version: record.current,
        origins: record.origins.clone(),
        private: record.private,
        token_endpoint: record.provider.as_ref().map(|pin| pin.token.clone()),
        subject: record.subject.clone(),
        email: record.email.clone(),
        scopes: record.scopes.clone(),
        created_at_ms: record.created_at_ms,
        rotated_at_ms: created(record.current).unwrap_or(record.created_at_ms),
        needs_login: entry.needs_login.load(std::sync::atomic::Ordering::SeqCst),
        default: record.default,
        grants: state.count_grants(now_ms, |grant| grant.secret == *name),
        versions: record
            .versions
            .iter()
            .map(|version| VersionView {
                number: version.number,
                state: match version.state {
                    CURRENT => "current",
                    RETIRING => "retiring",
                    _ => "retired",
                },
                created_at_ms: version.created_at_ms,
            })
            .collect(),
        trusted_authors: record.trusted_authors.clone(),
        serves: Vec::new(),
        cannot_serve: Vec::new(),
    }
}

fn missing(state: &State, name: &SecretName) -> AdminError {
    AdminError::Missing { what: "secret", name: name.to_string(), near: near(&state.secrets) }
}
