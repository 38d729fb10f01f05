//! Talking to an OAuth provider: refresh, code exchange, revocation, userinfo. Each is a use of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use claviger_domain::codec::form;
use claviger_domain::effect::Effect;
use claviger_domain::event::{Actor, Detail, Ending, Kind};
use claviger_domain::name::SecretName;
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::render::Request;
use claviger_domain::secret::SecretBytes;
use claviger_domain::step::Method;
use claviger_domain::tool::Endpoint;
use zeroize::{Zeroize, Zeroizing};

use super::error::AdminError;
use super::persist::Plain;
use super::records::{self, ValueRecord};
use super::refuse::About;
use super::state::SecretEntry;
use super::token::{AccessToken, needs_login};
use super::usage::{Purposeful, Sending};
use super::{Broker, lock, secrets, token_answer};
use crate::port::{Answer, Inject, Purpose};

/// What a token endpoint answered (RFC 6749, section 5.1). Its secrets are in their newtypes at once.
pub(super) struct TokenAnswer {
    pub(super) access_token: SecretBytes,
    pub(super) refresh_token: Option<SecretBytes>,
    pub(super) expires_in_s: u64,
    /// The scopes, if the provider said.
    pub(super) scopes: Option<Vec<String>>,
    /// Why the access token must not be used. The refresh token is kept all the same: the provider may have ended the
    /// one before.
    pub(super) withheld: Option<Denial>,
}

/// Why a token endpoint gave none.
pub(super) enum TokenFault {
    /// `error` of RFC 6749, section 5.2: a word of the provider's, with what characters the RFC allows.
    Refused(String),
    /// The use itself failed.
    Denied(Denial),
}

impl Broker {
    /// An access token of that scope, or of all scopes where the provider knows no narrower ones, with the scope it was
    /// asked for: one that is kept, or a new one. Parallel callers wait for one refresh. `None` where the version was
    /// replaced meanwhile.
    pub(super) async fn access_token(
        self: &Arc<Self>,
        secret: &Arc<SecretEntry>,
        scope: String,
        purpose: &Purposeful,
    ) -> Result<Option<(String, SecretBytes)>, Denial> {
        let tokens = &secret.tokens;
        let effective =
            || if tokens.only_whole.load(Ordering::SeqCst) { String::new() } else { scope.clone() };
        let failed_before = lock(&tokens.failed).0;
        if let Some(token) = tokens.find(&effective(), self.ports.clock.mono_us()) {
            return Ok(Some((effective(), token)));
        }
        let turn = tokens.refreshing.lock().await;
        let scope = effective();
        if let Some(token) = tokens.find(&scope, self.ports.clock.mono_us()) {
            return Ok(Some((scope, token)));
        }
        if !self.is_current(secret) {
            return Ok(None);
        }
        if secret.needs_login.load(Ordering::SeqCst) {
            return Err(needs_login(secret));
        }
        // Whoever waited while the provider failed is not made to wait for as long again.
        let (failed, told) = lock(&tokens.failed).clone();
        if let Some(denial) = told.filter(|_| failed > failed_before) {
            return Err(denial);
        }
        self.save_renewed(secret).await?;
        match self.refresh(secret, scope, purpose).await {
            Ok(found) => Ok(Some(found)),
            // RFC 6749: the refresh token is invalid, expired or revoked. Nothing but a login helps.
            Err(TokenFault::Refused(word))
                if matches!(word.as_str(), "invalid_grant" | "invalid_client" | "unauthorized_client") =>
            {
                secret.needs_login.store(true, Ordering::SeqCst);
                // An admin who holds the turn may wait for this lock, so the turn is never waited for under it.
                drop(turn);
                self.mark_needs_login(secret).await;
                Err(needs_login(secret).value(word))
            }
            Err(fault) => {
                let denial = match fault {
                    TokenFault::Refused(word) => Denial::new(Class::Upstream).field("token").value(word),
                    TokenFault::Denied(denial) => denial,
                };
                if denial.class == Class::Upstream {
                    let mut failed = lock(&tokens.failed);
                    *failed = (failed.0 + 1, Some(denial.clone()));
                }
                Err(denial)
            }
        }
    }

    /// Trades the refresh token for an access token of that scope. Called by one at a time.
    async fn refresh(
        self: &Arc<Self>,
        secret: &Arc<SecretEntry>,
        scope: String,
        purpose: &Purposeful,
    ) -> Result<(String, SecretBytes), TokenFault> {
        let value = self.open_value(secret).map_err(TokenFault::Denied)?;
        let asked_us = self.ports.clock.mono_us();
        let (scope, answer) = match self.ask_refresh(secret, &value, &scope, purpose).await {
            // A provider that does not narrow says so once (RFC 6749, section 5.2), and gives the whole.
            Err(TokenFault::Refused(word)) if word == "invalid_scope" && !scope.is_empty() => {
                let answer = self.ask_refresh(secret, &value, "", purpose).await?;
                secret.tokens.only_whole.store(true, Ordering::SeqCst);
                (String::new(), answer)
            }
            answer => (scope, answer?),
        };
        if let Some(new) = &answer.refresh_token {
            self.renew(secret, value, new);
            self.save_renewed(secret).await.map_err(TokenFault::Denied)?;
        }
        if let Some(denial) = answer.withheld {
            return Err(TokenFault::Denied(of_the_token(denial)));
        }
        let token = answer.access_token.duplicate();
        secret
            .tokens
            .keep(scope.clone(), AccessToken::new(answer.access_token, asked_us, answer.expires_in_s));
        Ok((scope, token))
    }

    async fn ask_refresh(
        &self,
        secret: &SecretEntry,
        value: &ValueRecord,
        scope: &str,
        purpose: &Purposeful,
    ) -> Result<TokenAnswer, TokenFault> {
        let body = refresh_form(value, scope);
        let answer = self.ask_for_token(secret, body, &self.token_purpose(secret, purpose)).await;
        answer.map_err(|fault| match fault {
            TokenFault::Denied(denial) => TokenFault::Denied(of_the_token(denial)),
            fault => fault,
        })
    }

    /// Puts a renewed refresh token in the place of the old one, in memory; it is not used before it is durable.
    pub(super) fn renew(&self, secret: &SecretEntry, mut value: ValueRecord, new: &SecretBytes) {
        // EXPOSE: goes into the record that is sealed.
        let same = subtle::ConstantTimeEq::ct_eq(value.value.as_slice(), new.expose_secret());
        if bool::from(same) {
            return;
        }
        value.value.zeroize();
        // EXPOSE: as above.
        value.value = new.expose_secret().to_vec();
        let plain = Arc::new(Zeroizing::new(records::encode(&value)));
        lock(&secret.value.sealed).unsaved = Some(plain);
        secret.value.renewals.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether that version of the secret is the one to use now.
    fn is_current(&self, secret: &SecretEntry) -> bool {
        let Ok(name) = secret.name().parse::<SecretName>() else { return false };
        self.read().secrets.get(&name).is_some_and(|now| Arc::ptr_eq(&now.value, &secret.value))
    }

    /// Makes a renewed refresh token durable, if there is one that is not.
    pub(super) async fn save_renewed(&self, secret: &SecretEntry) -> Result<(), Denial> {
        let unavailable = || {
            Denial::new(Class::Unavailable).field("secret").fix("the renewed token cannot be made durable")
        };
        let sealed = lock(&secret.value.sealed).clone();
        let Some(plain) = sealed.unsaved else { return Ok(()) };
        let name = secret.name().parse().map_err(|_| unavailable())?;
        let key = secrets::value_key(&name, secret.value.number);
        let put = || Plain::Sealed(Purpose::Record, plain.to_vec());
        let version = self.put_over(&key, sealed.version, put).await.map_err(|error| {
            tracing::error!(secret = secret.name(), %error, "a renewed refresh token is not durable yet");
            unavailable()
        })?;
        let bytes =
            self.ports.sealer.seal(Purpose::Record, &key, version, &plain).map_err(|_| unavailable())?;
        let mut held = lock(&secret.value.sealed);
        held.version = version;
        held.bytes = bytes;
        held.unsaved = None;
        Ok(())
    }

    /// A request to the token endpoint that the secret pins.
    pub(super) async fn ask_for_token(
        &self,
        secret: &SecretEntry,
        body: SecretBytes,
        purpose: &Purposeful,
    ) -> Result<TokenAnswer, TokenFault> {
        let provider = secret
            .provider
            .as_ref()
            .ok_or_else(|| TokenFault::Denied(Denial::new(Class::Unavailable).field("secret")))?;
        let (answer, recorded) =
            self.ask_provider(secret, &provider.token, body, purpose).await.map_err(TokenFault::Denied)?;
        match (token_answer::parse(&answer), recorded) {
            (Ok(answer), Err(denial)) => Ok(TokenAnswer { withheld: Some(denial), ..answer }),
            (Err(_), Err(denial)) => Err(TokenFault::Denied(denial)),
            (parsed, Ok(())) => parsed,
        }
    }

    /// Revokes a token at the provider (RFC 7009).
    pub(super) async fn revoke_token(
        &self,
        secret: &SecretEntry,
        endpoint: &Endpoint,
        token: &SecretBytes,
        purpose: &Purposeful,
    ) -> Result<(), Denial> {
        // EXPOSE: goes into the body of the revocation request.
        let body = SecretBytes::new(form::encode(&[(b"token".as_slice(), token.expose_secret())]).to_vec());
        let (answer, recorded) = self.ask_provider(secret, endpoint, body, purpose).await?;
        recorded?;
        match answer.status {
            200..=299 => Ok(()),
            // RFC 7009, section 2.2: an invalid token is as good as a revoked one; Google says 400 to it.
            400 if token_answer::error(&answer).as_deref() == Some("invalid_token") => Ok(()),
            status => Err(Denial::new(Class::Upstream)
                .field("revoke")
                .fix(format!("the provider answered {status}"))),
        }
    }

    /// One form sent to one of the provider's endpoints, with intent and outcome. The answer comes back even where its
    /// outcome could not be recorded, with that: it may hold the only refresh token that still works.
    async fn ask_provider(
        &self,
        secret: &SecretEntry,
        endpoint: &Endpoint,
        body: SecretBytes,
        purpose: &Purposeful,
    ) -> Result<(Answer, Result<(), Denial>), Denial> {
        let provider =
            secret.provider.as_ref().ok_or_else(|| Denial::new(Class::Unavailable).field("secret"))?;
        let begun = self.begin(purpose, secret, body.len()).await?;
        let sending = Sending {
            secret,
            pin: &provider.pin,
            origin: endpoint.origin.clone(),
            request: Request {
                if_match: None,
                headers: Vec::new(),
                method: Method::Post,
                path_and_query: endpoint.path.clone(),
                content_type: Some(form::CONTENT_TYPE.to_owned()),
                body: Vec::new(),
                around: None,
            },
            inject: Inject::Form(body),
            watch: Vec::new(),
            answers_with_secrets: true,
        };
        let (begun, answer) = self.send_begun(begun, purpose, sending).await?;
        // What a token is good for may be less, or other, than what was asked: the owner can see it in the log.
        let mut detail = Detail::default();
        detail.add("scope", token_answer::scope(&answer).as_deref());
        let ended = self.end(begun, Ending::Released, Some(answer.status), answer.body.len(), detail).await;
        Ok((answer, ended))
    }

    /// Who the account is, by OpenID Connect's userinfo: subject and address.
    pub(super) async fn userinfo(
        &self,
        secret: &SecretEntry,
        endpoint: &Endpoint,
        token: &SecretBytes,
        purpose: &Purposeful,
    ) -> Result<(String, Option<String>), Denial> {
        let provider =
            secret.provider.as_ref().ok_or_else(|| Denial::new(Class::Unavailable).field("secret"))?;
        let mut pin = provider.pin.clone();
        pin.origins.push(endpoint.origin.clone());
        let begun = self.begin(purpose, secret, 0).await?;
        let sending = Sending {
            secret,
            pin: &pin,
            origin: endpoint.origin.clone(),
            request: Request {
                if_match: None,
                headers: Vec::new(),
                method: Method::Get,
                path_and_query: endpoint.path.clone(),
                content_type: None,
                body: Vec::new(),
                around: None,
            },
            inject: Inject::Bearer(token.duplicate()),
            watch: Vec::new(),
            answers_with_secrets: false,
        };
        let (begun, answer) = self.send_begun(begun, purpose, sending).await?;
        self.end(begun, Ending::Released, Some(answer.status), answer.body.len(), Detail::default()).await?;
        let unclear = || {
            Denial::new(Class::Upstream).field("userinfo").fix("the provider does not say who the account is")
        };
        let told: Told = serde_json::from_slice(&answer.body).map_err(|_| unclear())?;
        let subject =
            told.sub.filter(|subject| answer.status == 200 && is_plain(subject)).ok_or_else(unclear)?;
        Ok((subject, told.email.filter(|email| is_plain(email))))
    }

    /// What the vault does at a provider for a call: under the call's grant, so that a revocation stops it too.
    fn token_purpose(&self, secret: &SecretEntry, purpose: &Purposeful) -> Purposeful {
        let mut about = purpose.about.clone();
        about.step = Some("token".to_owned());
        about.secret = secret.name().parse().ok();
        about.arguments = None;
        Purposeful {
            actor: Actor::Vault,
            about,
            // A refresh may spend the refresh token, so its outcome must be durable before anything comes of it.
            effect: Effect::Write,
            ancestors: purpose.ancestors.clone(),
            digest: None,
            taints: false,
        }
    }

    /// Makes durable that only a login helps. In memory it is known already.
    async fn mark_needs_login(&self, secret: &SecretEntry) {
        tracing::warn!(secret = secret.name(), "the upstream no longer takes the secret; it needs a login");
        let mut event = self.event(Kind::NeedsLogin, Actor::Vault);
        event.secret = secret.name().parse().ok();
        event.secret_version = Some(secret.current());
        let recorded = self.ports.audit.record(event, Detail::default()).await;
        let saved = self.save_needs_login(secret).await;
        if let Err(error) = recorded.map_err(AdminError::from).and(saved) {
            tracing::warn!(secret = secret.name(), %error, "that it needs a login is known in memory only");
        }
    }

    async fn save_needs_login(&self, secret: &SecretEntry) -> Result<(), AdminError> {
        let name = secret.name().parse().map_err(|_| AdminError::Conflict)?;
        let _turn = self.admin.lock().await;
        // A login or a new value may have come meanwhile, and then all is well.
        if !self.is_current(secret) {
            return Ok(());
        }
        let entry = self.secret_entry(&name)?;
        let mut record = entry.record.clone();
        record.needs_login = true;
        let plain = || Plain::Sealed(Purpose::Record, records::encode(&record));
        let version = self.put_over(&secrets::key(&name), entry.version, plain).await?;
        self.adopt_record(&entry, record, version);
        Ok(())
    }

    pub(super) fn about_secret(&self, secret: &SecretEntry, step: &str) -> About {
        About { secret: secret.name().parse().ok(), step: Some(step.to_owned()), ..About::default() }
    }
}

/// The form that trades a refresh token for an access token (RFC 6749, section 6).
pub(super) fn refresh_form(value: &ValueRecord, scope: &str) -> SecretBytes {
    let mut fields: Vec<(&[u8], &[u8])> = vec![
        (b"grant_type", b"refresh_token"),
        (b"refresh_token", &value.value),
        (b"client_id", value.id.as_bytes()),
        (b"client_secret", &value.client_secret),
    ];
    if !scope.is_empty() {
        fields.push((b"scope", scope.as_bytes()));
    }
    SecretBytes::new(form::encode(&fields).to_vec())
}

/// What is not known of a token request is the fate of the token; of the call it was for nothing was sent.
fn of_the_token(denial: Denial) -> Denial {
    match (denial.class, denial.field.as_deref()) {
        (Class::Unknown, Some("audit")) => Denial { class: Class::Unavailable, ..denial },
        (Class::Unknown, _) => Denial { class: Class::Upstream, ..denial },
        _ => denial,
    }
}

/// What is read of an account's description (OpenID Connect Core, section 5.3.2).
#[derive(serde::Deserialize)]
struct Told {
    sub: Option<String>,
    email: Option<String>,
}

/// Printable ASCII of a bearable length: what a token, a subject or an address may be.
pub(super) fn is_plain(text: &str) -> bool {
    (1..=4096).contains(&text.len()) && text.bytes().all(|b| (0x21..=0x7e).contains(&b))
}
