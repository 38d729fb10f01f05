//! Rotation: a new version becomes current at one instant, uses under way end with the old one, then that is retired.

use std::sync::Arc;

use claviger_domain::effect::Effect;
use claviger_domain::event::{Actor, Detail, Kind};
use claviger_domain::name::SecretName;
use claviger_domain::refusal::Denial;
use claviger_domain::secret::SecretBytes;
use zeroize::Zeroizing;

use super::Broker;
use super::error::AdminError;
use super::oauth::{TokenFault, refresh_form};
use super::persist::{Plain, Put};
use super::records::{self, SecretRecord, ValueRecord, VersionRecord};
use super::secrets::{self, CURRENT, RETIRED, RETIRING, value_record};
use super::state::SecretEntry;
use super::token::AccessToken;
use super::view::{NewValue, SecretView};
use crate::port::Purpose;

/// How long uses under way may take to end before the old version is retired all the same, in milliseconds.
const GRACE_MS: u64 = 60_000;

/// How many versions' numbers and dates are remembered.
const REMEMBERED: usize = 32;

impl Broker {
    /// Makes a new version current, waits for uses of the old one, and retires it, upstream too where that is possible.
    ///
    /// Without a value, an OAuth secret's refresh token is renewed at its provider, if that gives out new ones.
    ///
    /// # Errors
    /// No such secret, a value of the wrong kind, a provider that renews nothing, or it could not be recorded or made
    /// durable; then the old version stays.
    pub async fn rotate_secret(
        self: &Arc<Self>,
        admin: Actor,
        name: &SecretName,
        value: Option<NewValue>,
    ) -> Result<(SecretView, String), AdminError> {
        self.require_unsealed()?;
        let (broker, name) = (Arc::clone(self), name.clone());
        self.in_task(async move { broker.try_rotate(admin, &name, value).await }).await
    }

    async fn try_rotate(
        self: &Arc<Self>,
        admin: Actor,
        name: &SecretName,
        value: Option<NewValue>,
    ) -> Result<(SecretView, String), AdminError> {
        let service = &self.known_service(name)?;
        let turn = self.admin.lock().await;
        let entry = self.secret_entry(name)?;
        let upstream = match value {
            Some(value) => {
                let old = self.open_durable(&entry).await.map_err(AdminError::from_denial)?;
                let fresh = value_record(service, value, Some(&old))?;
                self.put_version(&admin, name, &entry, entry.record.clone(), fresh, None).await?;
                None
            }
            None => {
                self.renew_version(&admin, name, &entry).await?;
                Some("the provider ended it when it gave out the new one".to_owned())
            }
        };
        drop(turn);
        let upstream = self.retire(&admin, name, &entry, upstream).await;
        Ok((self.secret(name)?, upstream))
    }

    /// Has the provider renew the refresh token, and makes that the new version.
    async fn renew_version(
        &self,
        admin: &Actor,
        name: &SecretName,
        entry: &Arc<SecretEntry>,
    ) -> Result<(), AdminError> {
        if entry.record.kind != "oauth2" {
            return Err(AdminError::invalid(
                "this secret needs a new value",
                "give it with --stdin or at the prompt",
            ));
        }
        // Nobody else may spend the refresh token: not while it is renewed, and not the old one after that.
        let _alone = entry.tokens.refreshing.lock().await;
        self.save_renewed(entry).await.map_err(AdminError::from_denial)?;
        let old = self.open_value(entry).map_err(AdminError::from_denial)?;
        let (fresh, token, withheld) = self.renewed_value(admin, entry, &old).await?;
        let new = SecretBytes::new(fresh.value.clone());
        // Only a token of all scopes is of use to uses that ask for all.
        let token = entry.record.scopes.is_empty().then_some(token);
        let put = match withheld {
            None => self.put_version(admin, name, entry, entry.record.clone(), fresh, token).await,
            Some(denial) => Err(AdminError::from_denial(denial)),
        };
        if put.is_err() {
            // The provider has ended the old one: the new one takes its place in this version, and waits there until
            // the store takes it.
            self.renew(entry, old, &new);
            if let Err(denial) = self.save_renewed(entry).await {
                tracing::error!(secret = entry.name(), class = %denial.class, "the renewed token is in memory only");
            }
        }
        put
    }

    /// A new refresh token from the provider, the access token that came with it, and why that is not to be used.
    async fn renewed_value(
        &self,
        admin: &Actor,
        entry: &Arc<SecretEntry>,
        old: &ValueRecord,
    ) -> Result<(ValueRecord, AccessToken, Option<Denial>), AdminError> {
        let connect = format!("claviger connect {} --renew --for …", entry.name());
        let body = refresh_form(old, "");
        let asked_us = self.ports.clock.mono_us();
        let purpose = self.admin_purpose(admin, entry, "token", Effect::Write);
        let answer = self.ask_for_token(entry, body, &purpose).await.map_err(|fault| match fault {
            TokenFault::Refused(word) => AdminError::Upstream {
                why: format!("the provider refused to renew it: {word}"),
                hints: vec![connect.clone()],
            },
            TokenFault::Denied(denial) => AdminError::from_denial(denial),
        })?;
        let new = answer.refresh_token.ok_or_else(|| AdminError::Invalid {
            why: "this provider does not give out new refresh tokens".to_owned(),
            hints: vec![format!("log in again instead: {connect}")],
        })?;
        let mut fresh = old.clone();
        zeroize::Zeroize::zeroize(&mut fresh.value);
        // EXPOSE: goes into the record that is sealed.
        fresh.value = new.expose_secret().to_vec();
        let token = AccessToken::new(answer.access_token, asked_us, answer.expires_in_s);
        Ok((fresh, token, answer.withheld))
    }

    /// Writes a new version and makes it current, in one commit and then in one step in memory. The caller holds the
    /// admins' turn.
    pub(super) async fn put_version(
        &self,
        admin: &Actor,
        name: &SecretName,
        entry: &Arc<SecretEntry>,
        mut record: SecretRecord,
        value: ValueRecord,
        token: Option<AccessToken>,
    ) -> Result<(), AdminError> {
        let number = entry.current() + 1;
        let now_ms = self.now_ms();
        for version in record.versions.iter_mut().filter(|version| version.state == CURRENT) {
            version.state = RETIRING;
        }
        record.versions.push(VersionRecord { number, state: CURRENT, created_at_ms: now_ms });
        let surplus = record.versions.len().saturating_sub(REMEMBERED);
        record.versions.drain(..surplus);
        record.current = number;
        record.needs_login = false;

        let mut event = self.event(Kind::SecretRotated, admin.clone());
        event.secret = Some(name.clone());
        event.secret_version = Some(number);
        self.ports.audit.record(event, Detail::default()).await?;
        let plain = Zeroizing::new(records::encode(&value));
        let sealed = |bytes| Plain::Sealed(Purpose::Record, bytes);
        // Over what an earlier try may have left, of which it was not known whether the store took it.
        let (key, value_key) = (secrets::key(name), secrets::value_key(name, number));
        let version = self.version_of(&key).await?;
        let value_version = self.version_of(&value_key).await?;
        if version == 0 {
            return Err(AdminError::Conflict);
        }
        self.commit(vec![
            Put { key, version, plain: sealed(records::encode(&record)) },
            Put { key: value_key, version: value_version, plain: sealed(plain.to_vec()) },
        ])
        .await?;
        let new = self.entry(record, version + 1, name, number, value_version + 1, &plain)?;
        if let Some(token) = token {
            new.tokens.keep(String::new(), token);
        }
        self.write().secrets.insert(name.clone(), Arc::new(new));
        Ok(())
    }

    /// Waits for the old version's uses, closes its connections, ends it upstream, and erases its value. The new version
    /// is current already, so whatever goes wrong here is told in words, and put right by the next rotation.
    pub(super) async fn retire(
        self: &Arc<Self>,
        admin: &Actor,
        name: &SecretName,
        old: &Arc<SecretEntry>,
        upstream: Option<String>,
    ) -> String {
        old.leases.close();
        tokio::select! {
            () = old.leases.wait() => {}
            () = self.ports.clock.sleep_ms(GRACE_MS) => {
                tracing::warn!(secret = %name, "uses of the old version did not end in time");
            }
        }
        self.ports.upstream.forget(name);
        let upstream = match upstream {
            Some(known) => known,
            None => self.retire_upstream(admin, old, true).await,
        };
        let mut event = self.event(Kind::SecretRetired, admin.clone());
        event.secret = Some(name.clone());
        event.secret_version = Some(old.current());
        let mut detail = Detail::default();
        detail.add("upstream", Some(&upstream));
        let recorded = self.ports.audit.record(event, detail).await.map_err(AdminError::from);
        match recorded.and(self.mark_retired(name, old.current()).await) {
            Ok(()) => upstream,
            Err(error) => format!("{upstream}; its end is not on record: {error}"),
        }
    }

    /// Marks the versions up to that one as retired, those too that an earlier run was stopped at, and erases their
    /// values.
    async fn mark_retired(&self, name: &SecretName, number: u32) -> Result<(), AdminError> {
        let _turn = self.admin.lock().await;
        let entry = self.secret_entry(name)?;
        let mut record = entry.record.clone();
        let mut deletes = Vec::new();
        for version in record.versions.iter_mut().filter(|version| version.number <= number) {
            if version.state != RETIRING {
                continue;
            }
            version.state = RETIRED;
            let key = secrets::value_key(name, version.number);
            let item = self.ports.store.get(&key).await;
            let item = item.map_err(|_| AdminError::Store("it does not answer"))?;
            deletes.extend(item.map(|item| (key, item.version)));
        }
        let plain = Plain::Sealed(Purpose::Record, records::encode(&record));
        let put = Put { key: secrets::key(name), version: entry.version, plain };
        self.commit_all(vec![put], deletes).await?;
        self.adopt_record(&entry, record, entry.version + 1);
        Ok(())
    }

    /// Opens a secret's value. A renewed one that the store did not take yet is offered to it again first: the one before
    /// is spent, and a secret that nobody uses would wait for ever.
    async fn open_durable(&self, secret: &SecretEntry) -> Result<ValueRecord, Denial> {
        // Whoever refreshes it at this moment saves it too.
        if let Ok(_alone) = secret.tokens.refreshing.try_lock() {
            self.save_renewed(secret).await?;
        }
        self.open_value(secret)
    }

    /// Another secret that stands on the same account at the same provider, as far as is known.
    fn shares_account(&self, old: &SecretEntry) -> Option<SecretName> {
        let provider = |record: &SecretRecord| record.provider.as_ref().map(|pin| pin.id.clone());
        let same = |other: &SecretRecord| {
            other.name != old.record.name
                && provider(other) == provider(&old.record)
                && (other.subject == old.record.subject
                    || other.subject.is_none()
                    || old.record.subject.is_none())
        };
        let state = self.read();
        state.secrets.iter().find(|(_, entry)| same(&entry.record)).map(|(name, _)| name.clone())
    }

    /// Ends a version at its provider where that is possible and harms nothing newer. Says in words what came of it.
    pub(super) async fn retire_upstream(
        &self,
        admin: &Actor,
        old: &Arc<SecretEntry>,
        replaced: bool,
    ) -> String {
        let Some(pinned) = &old.record.provider else {
            return "not possible: only the service itself can end such a credential".to_owned();
        };
        let Some(endpoint) = old.provider.as_ref().and_then(|provider| provider.revoke.as_ref()) else {
            return "not possible: the provider has no revocation endpoint".to_owned();
        };
        if replaced && pinned.revokes_account {
            return format!("not done: {} would end the new version too", pinned.id);
        }
        if let Some(other) = self.shares_account(old).filter(|_| pinned.revokes_account) {
            return format!("not done: {} would end {other} too", pinned.id);
        }
        let value = match self.open_durable(old).await {
            Ok(value) => value,
            Err(denial) => return format!("failed: {}", denial.class),
        };
        let token = SecretBytes::new(value.value.clone());
        let purpose = self.admin_purpose(admin, old, "revoke", Effect::Delete);
        match self.revoke_token(old, endpoint, &token, &purpose).await {
            Ok(()) => "revoked".to_owned(),
            Err(denial) => format!("failed: {}", denial.fix.unwrap_or_else(|| denial.class.to_string())),
        }
    }
}
