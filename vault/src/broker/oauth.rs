//! Talking to an OAuth provider: refresh, code exchange, revocation, userinfo. Each is a use of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use claviger_domain::codec::form;
use claviger_domain::effect::Effect;
use claviger_domain::event::{Actor, Detail, Ending, Kind};
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::render::Request;
use claviger_domain::secret::SecretBytes;
use claviger_domain::step::Method;
use claviger_domain::tool::Endpoint;
use serde_json::Value;
use zeroize::Zeroizing;

use super::error::AdminError;
use super::persist::{Plain, Put};
use super::records::{self, ValueRecord};
use super::refuse::About;
use super::state::SecretEntry;
use super::token::{AccessToken, needs_login};
use super::usage::{Purposeful, Sending};
use super::{Broker, lock, secrets};
use crate::port::{Answer, Inject, Purpose};

/// A token whose end the provider does not tell is taken to live this long, in seconds.
const UNSAID_LIFE_S: u64 = 300;

/// What a token endpoint answered (RFC 6749, section 5.1). Its secrets are in their newtypes at once.
pub(super) struct TokenAnswer {
    pub(super) access_token: SecretBytes,
    pub(super) refresh_token: Option<SecretBytes>,
    pub(super) expires_in_s: u64,
    /// The scopes, if the provider said.
    pub(super) scopes: Option<Vec<String>>,
}

/// Why a token endpoint gave none.
pub(super) enum TokenFault {
    /// `error` of RFC 6749, section 5.2: a word of the provider's, with what characters the RFC allows.
    Refused(String),
    /// The use itself failed.
    Denied(Denial),
}

impl Broker {
    /// An access token of that scope: one that is kept, or a new one. Parallel callers wait for one refresh.
    pub(super) async fn access_token(
        self: &Arc<Self>,
        secret: &Arc<SecretEntry>,
        scope: &str,
        purpose: &Purposeful,
    ) -> Result<SecretBytes, Denial> {
        let now_us = self.ports.clock.mono_us();
        if let Some(token) = secret.tokens.find(scope, now_us) {
            return Ok(token);
        }
        let _turn = secret.tokens.refreshing.lock().await;
        if let Some(token) = secret.tokens.find(scope, self.ports.clock.mono_us()) {
            return Ok(token);
        }
        if secret.needs_login.load(Ordering::SeqCst) {
            return Err(needs_login(secret));
        }
        self.save_renewed(secret).await?;
        self.refresh(secret, scope, purpose).await
    }

    /// Trades the refresh token for an access token. Called by one at a time.
    async fn refresh(
        self: &Arc<Self>,
        secret: &Arc<SecretEntry>,
        scope: &str,
        purpose: &Purposeful,
    ) -> Result<SecretBytes, Denial> {
        let value = self.open_value(secret)?;
        let mut fields: Vec<(&[u8], &[u8])> = vec![
            (b"grant_type", b"refresh_token"),
            (b"refresh_token", &value.value),
            (b"client_id", value.id.as_bytes()),
            (b"client_secret", &value.client_secret),
        ];
        if !scope.is_empty() {
            fields.push((b"scope", scope.as_bytes()));
        }
        let body = SecretBytes::new(form::encode(&fields).to_vec());
        let answer = match self.ask_for_token(secret, body, &self.token_purpose(secret, purpose)).await {
            Ok(answer) => answer,
            Err(TokenFault::Denied(denial)) => return Err(denial),
            Err(TokenFault::Refused(word)) => {
                // RFC 6749: the refresh token is invalid, expired or revoked. Nothing but a login helps.
                if matches!(word.as_str(), "invalid_grant" | "invalid_client" | "unauthorized_client") {
                    self.mark_needs_login(secret).await;
                    return Err(needs_login(secret).value(word));
                }
                return Err(Denial::new(Class::Upstream).field("token").value(word));
            }
        };
        if let Some(new) = &answer.refresh_token {
            self.renew(secret, value, new)?;
            self.save_renewed(secret).await?;
        }
        let now_us = self.ports.clock.mono_us();
        let ends_us = now_us.saturating_add(answer.expires_in_s.saturating_mul(1_000_000));
        let token = answer.access_token.duplicate();
        secret.tokens.keep(scope.to_owned(), AccessToken { token: answer.access_token, ends_us });
        Ok(token)
    }

    /// Puts a renewed refresh token in the place of the old one, in memory; it is not used before it is durable.
    fn renew(&self, secret: &SecretEntry, mut value: ValueRecord, new: &SecretBytes) -> Result<(), Denial> {
        // EXPOSE: goes into the record that is sealed.
        let same = subtle::ConstantTimeEq::ct_eq(value.value.as_slice(), new.expose_secret());
        if bool::from(same) {
            return Ok(());
        }
        // EXPOSE: as above.
        value.value = new.expose_secret().to_vec();
        let plain = Arc::new(Zeroizing::new(records::encode(&value)));
        lock(&secret.value.sealed).unsaved = Some(plain);
        secret.value.renewals.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Makes a renewed refresh token durable, if there is one that is not.
    async fn save_renewed(&self, secret: &SecretEntry) -> Result<(), Denial> {
        let unavailable = || {
            Denial::new(Class::Unavailable).field("secret").fix("the renewed token cannot be made durable")
        };
        let sealed = lock(&secret.value.sealed).clone();
        let Some(plain) = sealed.unsaved else { return Ok(()) };
        let name = secret.name().parse().map_err(|_| unavailable())?;
        let key = secrets::value_key(&name, secret.value.number);
        let put = Put {
            key: key.clone(),
            version: sealed.version,
            plain: Plain::Sealed(Purpose::Record, plain.to_vec()),
        };
        self.commit(vec![put]).await.map_err(|error| {
            tracing::error!(secret = secret.name(), %error, "a renewed refresh token is not durable yet");
            unavailable()
        })?;
        let version = sealed.version + 1;
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
        let answer =
            self.ask_provider(secret, &provider.token, body, purpose).await.map_err(TokenFault::Denied)?;
        parse_token(&answer)
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
        let answer = self.ask_provider(secret, endpoint, body, purpose).await?;
        match answer.status {
            200..=299 => Ok(()),
            // RFC 7009, section 2.2: an invalid token is as good as a revoked one; Google says 400 to it.
            400 if oauth_error(&answer).as_deref() == Some("invalid_token") => Ok(()),
            status => Err(Denial::new(Class::Upstream)
                .field("revoke")
                .fix(format!("the provider answered {status}"))),
        }
    }

    /// One form sent to one of the provider's endpoints, with intent and outcome.
    async fn ask_provider(
        &self,
        secret: &SecretEntry,
        endpoint: &Endpoint,
        body: SecretBytes,
        purpose: &Purposeful,
    ) -> Result<Answer, Denial> {
        let provider =
            secret.provider.as_ref().ok_or_else(|| Denial::new(Class::Unavailable).field("secret"))?;
        let begun = self.begin(purpose, secret, body.len()).await?;
        let sending = Sending {
            secret,
            pin: &provider.pin,
            origin: endpoint.origin.clone(),
            request: Request {
                method: Method::Post,
                path_and_query: endpoint.path.clone(),
                content_type: Some(form::CONTENT_TYPE.to_owned()),
                body: Vec::new(),
            },
            inject: Inject::Form(body),
            watch: Vec::new(),
            answers_with_secrets: true,
        };
        let (begun, answer) = self.send_begun(begun, purpose, sending).await?;
        self.end(begun, Ending::Released, Some(answer.status), answer.body.len(), Detail::default()).await?;
        Ok(answer)
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
                method: Method::Get,
                path_and_query: endpoint.path.clone(),
                content_type: None,
                body: Vec::new(),
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
        let value: Value = serde_json::from_slice(&answer.body).map_err(|_| unclear())?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let subject =
            text("sub").filter(|subject| answer.status == 200 && is_plain(subject)).ok_or_else(unclear)?;
        Ok((subject, text("email").filter(|email| is_plain(email))))
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

    /// Remembers, and makes durable, that only a login helps.
    pub(super) async fn mark_needs_login(&self, secret: &Arc<SecretEntry>) {
        if secret.needs_login.swap(true, Ordering::SeqCst) {
            return;
        }
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

    async fn save_needs_login(&self, secret: &Arc<SecretEntry>) -> Result<(), AdminError> {
        let mut record = secret.record.clone();
        record.needs_login = true;
        let name = record.name.parse().map_err(|_| AdminError::Conflict)?;
        let plain = Plain::Sealed(Purpose::Record, records::encode(&record));
        self.commit(vec![Put { key: secrets::key(&name), version: secret.version, plain }]).await?;
        self.adopt_record(secret, record);
        Ok(())
    }

    pub(super) fn about_secret(&self, secret: &SecretEntry, step: &str) -> About {
        About { secret: secret.name().parse().ok(), step: Some(step.to_owned()), ..About::default() }
    }
}

/// Reads a token endpoint's answer, strictly: what is not as the RFC says is no token.
fn parse_token(answer: &Answer) -> Result<TokenAnswer, TokenFault> {
    let unclear = || {
        TokenFault::Denied(
            Denial::new(Class::Upstream).field("token").fix("the token endpoint's answer is not OAuth's"),
        )
    };
    if answer.status != 200 {
        return Err(match oauth_error(answer) {
            Some(word) => TokenFault::Refused(word),
            None => TokenFault::Denied(
                Denial::new(Class::Upstream)
                    .field("token")
                    .fix(format!("the token endpoint answered {}", answer.status)),
            ),
        });
    }
    let mut value: Value = serde_json::from_slice(&answer.body).map_err(|_| unclear())?;
    let mut secret = |name: &str| match value.get_mut(name).map(Value::take) {
        Some(Value::String(text)) if is_plain(&text) => Some(SecretBytes::from_text(text)),
        _ => None,
    };
    let access_token = secret("access_token").ok_or_else(unclear)?;
    let refresh_token = secret("refresh_token");
    let bearer = value
        .get("token_type")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
    if !bearer {
        return Err(unclear());
    }
    Ok(TokenAnswer {
        access_token,
        refresh_token,
        expires_in_s: value.get("expires_in").and_then(Value::as_u64).unwrap_or(UNSAID_LIFE_S).min(86_400),
        scopes: value
            .get("scope")
            .and_then(Value::as_str)
            .map(|text| text.split(' ').map(str::to_owned).collect()),
    })
}

/// The `error` of an OAuth error answer, if it is one (RFC 6749, section 5.2).
fn oauth_error(answer: &Answer) -> Option<String> {
    let value: Value = serde_json::from_slice(&answer.body).ok()?;
    let word = value.get("error")?.as_str()?;
    let plain = |b: u8| b.is_ascii_lowercase() || b == b'_';
    (word.len() <= 64 && word.bytes().all(plain)).then(|| word.to_owned())
}

/// Printable ASCII of a bearable length: what a token, a subject or an address may be.
fn is_plain(text: &str) -> bool {
    (1..=4096).contains(&text.len()) && text.bytes().all(|b| (0x21..=0x7e).contains(&b))
}
