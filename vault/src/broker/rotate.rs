//! Rotation: a new version becomes current at one instant, uses under way end with the old one, then that is retired.

use std::sync::Arc;

use claviger_domain::codec::form;
use claviger_domain::effect::Effect;
use claviger_domain::event::{Actor, Detail, Kind};
use claviger_domain::name::SecretName;
use claviger_domain::secret::SecretBytes;
use zeroize::Zeroizing;

use super::Broker;
use super::error::AdminError;
use super::oauth::TokenFault;
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
        let service = self.known_service(name)?;
        let turn = self.admin.lock().await;
        let entry = self.secret_entry(name)?;
        let old = self.open_value(&entry).map_err(AdminError::from_denial)?;
        let (fresh, token, upstream) = match value {
            Some(value) => (value_record(service, value, Some(&old))?, None, None),
            None => {
                // Nobody else may spend the refresh token while it is renewed.
                let _alone = entry.tokens.refreshing.lock().await;
                let (fresh, token) = self.renewed_value(&admin, &entry, &old).await?;
                (fresh, Some(token), Some("the provider ended it when it gave out the new one".to_owned()))
            }
        };
        drop(old);
        let record = entry.record.clone();
        self.put_version(&admin, name, &entry, record, fresh, token).await?;
        drop(turn);
        let upstream = self.retire(&admin, name, &entry, upstream).await?;
        Ok((self.secret(name)?, upstream))
    }

    /// A new refresh token from the provider, and the access token that came with it.
    async fn renewed_value(
        &self,
        admin: &Actor,
        entry: &Arc<SecretEntry>,
        old: &ValueRecord,
    ) -> Result<(ValueRecord, AccessToken), AdminError> {
        let connect = format!("claviger connect {} --renew", entry.name());
        if entry.record.kind != "oauth2" {
            return Err(AdminError::invalid(
                "this secret needs a new value",
                "give it with --stdin or at the prompt",
            ));
        }
        let fields: [(&[u8], &[u8]); 4] = [
            (b"grant_type", b"refresh_token"),
            (b"refresh_token", &old.value),
            (b"client_id", old.id.as_bytes()),
            (b"client_secret", &old.client_secret),
        ];
        let body = SecretBytes::new(form::encode(&fields).to_vec());
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
        // EXPOSE: goes into the record that is sealed.
        fresh.value = new.expose_secret().to_vec();
        let ends_us = self.ports.clock.mono_us().saturating_add(answer.expires_in_s * 1_000_000);
        Ok((fresh, AccessToken { token: answer.access_token, ends_us }))
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
        self.commit(vec![
            Put { key: secrets::key(name), version: entry.version, plain: sealed(records::encode(&record)) },
            Put { key: secrets::value_key(name, number), version: 0, plain: sealed(plain.to_vec()) },
        ])
        .await?;
        let new = self.entry(record, entry.version + 1, name, number, 1, &plain)?;
        if let Some(token) = token {
            new.tokens.keep(String::new(), token);
        }
        self.write().secrets.insert(name.clone(), Arc::new(new));
        Ok(())
    }

    /// Waits for the old version's uses, closes its connections, ends it upstream, and erases its value.
    pub(super) async fn retire(
        self: &Arc<Self>,
        admin: &Actor,
        name: &SecretName,
        old: &Arc<SecretEntry>,
        upstream: Option<String>,
    ) -> Result<String, AdminError> {
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
            None => {
                let current = self.secret_entry(name)?;
                self.retire_upstream(admin, old, Some(&current)).await
            }
        };
        let mut event = self.event(Kind::SecretRetired, admin.clone());
        event.secret = Some(name.clone());
        event.secret_version = Some(old.current());
        let mut detail = Detail::default();
        detail.add("upstream", Some(&upstream));
        self.ports.audit.record(event, detail).await?;
        self.mark_retired(name, old.current()).await?;
        Ok(upstream)
    }

    async fn mark_retired(&self, name: &SecretName, number: u32) -> Result<(), AdminError> {
        let _turn = self.admin.lock().await;
        let entry = self.secret_entry(name)?;
        let mut record = entry.record.clone();
        for version in record.versions.iter_mut().filter(|version| version.number == number) {
            version.state = RETIRED;
        }
        let key = secrets::value_key(name, number);
        let item = self.ports.store.get(&key).await.map_err(|_| AdminError::Store("it does not answer"))?;
        let deletes = item.map(|item| (key, item.version)).into_iter().collect();
        let plain = Plain::Sealed(Purpose::Record, records::encode(&record));
        self.commit_all(vec![Put { key: secrets::key(name), version: entry.version, plain }], deletes)
            .await?;
        self.adopt_record(&entry, record);
        Ok(())
    }

    /// Ends a version at its provider where that is possible and harms nothing newer. Says in words what came of it.
    pub(super) async fn retire_upstream(
        &self,
        admin: &Actor,
        old: &Arc<SecretEntry>,
        newer: Option<&SecretEntry>,
    ) -> String {
        let Some(pinned) = &old.record.provider else {
            return "not possible: only the service itself can end such a credential".to_owned();
        };
        let Some(endpoint) = old.provider.as_ref().and_then(|provider| provider.revoke.as_ref()) else {
            return "not possible: the provider has no revocation endpoint".to_owned();
        };
        if newer.is_some() && pinned.revokes_account {
            return format!("not done: {} would end the new version too", pinned.id);
        }
        let value = match self.open_value(old) {
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
