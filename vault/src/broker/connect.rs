//! Connecting an account: the OAuth authorization code flow with PKCE (RFC 6749, 7636, 8252). The verifier and the code
//! never leave the vault; the admin's client carries the browser's answer and nothing else.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use claviger_canonical::Digest;
use claviger_domain::codec::{form, percent};
use claviger_domain::effect::Effect;
use claviger_domain::event::Actor;
use claviger_domain::name::ToolName;
use claviger_domain::secret::SecretBytes;
use claviger_domain::tool::{Auth, Provider, Service, Tool};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::error::AdminError;
use super::oauth::{TokenAnswer, TokenFault};
use super::persist::Plain;
use super::records::{self, ValueRecord};
use super::state::{ClientEntry, SecretEntry};
use super::view::{ConnectAsk, ConnectBegun, Connected};
use super::{Broker, lock};
use crate::port::Purpose;

/// How long a login may take, in milliseconds.
const LIFE_MS: u64 = 10 * 60_000;

/// How many logins may be under way at once.
const SESSIONS: usize = 16;

/// Logins under way.
#[derive(Default)]
pub(super) struct Sessions(HashMap<String, Session>);

struct Session {
    ask: ConnectAsk,
    state: Zeroizing<String>,
    verifier: Zeroizing<String>,
    client: Client,
    scopes: Vec<String>,
    tools: Vec<ToolName>,
    ends_ms: u64,
}

/// An OAuth client: the application that the owner made at the provider.
struct Client {
    id: String,
    secret: SecretBytes,
}

impl Sessions {
    /// Forgets them all: they begin anew.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Broker {
    /// Begins a login: what to ask for, and the address that the owner's browser must open.
    ///
    /// # Errors
    /// A service without OAuth, a tool or an effect that asks for nothing, a redirect that is not on this machine, an
    /// unknown client, or a name that is taken (or, renewing, that is not there).
    pub async fn begin_connect(
        &self,
        _admin: Actor,
        mut ask: ConnectAsk,
    ) -> Result<ConnectBegun, AdminError> {
        self.require_unsealed()?;
        let service = &self.known_service(&ask.secret)?;
        let provider = &self.provider_of(service)?;
        require_loopback(&ask.redirect_uri)?;
        let tools = asked_tools(service, &ask)?;
        let exists = self.read().secrets.contains_key(&ask.secret);
        match (ask.renew, exists) {
            (false, true) => {
                return Err(AdminError::invalid(
                    format!("there is already a secret {}", ask.secret),
                    "add --renew to log in to the same account again",
                ));
            }
            (true, false) => {
                return Err(self
                    .secret(&ask.secret)
                    .map_or_else(|missing| missing, |_| AdminError::Conflict));
            }
            _ => {}
        }
        let old = if ask.renew { Some(self.secret_entry(&ask.secret)?) } else { None };
        let client = self.client(provider, ask.client.take(), old.as_deref())?;
        let scopes = scopes_of(provider, service, &tools);
        let state = Zeroizing::new(self.token_text());
        let verifier = Zeroizing::new(self.token_text());
        let session = hex(&self.random::<16>());
        let authorize_url = authorize_url(provider, &client, &ask.redirect_uri, &scopes, &state, &verifier);
        let now_ms = self.ports.clock.mono_us() / 1000;
        let mut sessions = lock(&self.sessions);
        sessions.0.retain(|_, session| session.ends_ms > now_ms);
        if sessions.0.len() >= SESSIONS {
            return Err(AdminError::invalid(
                "too many logins are under way",
                "wait ten minutes, or finish one",
            ));
        }
        let tools = tools.iter().map(|tool| tool.name.clone()).collect();
        sessions.0.insert(
            session.clone(),
            Session { ask, state, verifier, client, scopes, tools, ends_ms: now_ms + LIFE_MS },
        );
        Ok(ConnectBegun { session, authorize_url })
    }

    /// Ends a login with the code that came back: the code becomes tokens, the account is named, the secret is kept.
    ///
    /// # Errors
    /// An unknown or finished session, another state, a code that the provider refuses, another account than before, or
    /// it could not be recorded or made durable. A session is used up by the first try.
    pub async fn finish_connect(
        self: &Arc<Self>,
        admin: Actor,
        session: &str,
        code: SecretBytes,
        state: &str,
    ) -> Result<Connected, AdminError> {
        self.require_unsealed()?;
        let (broker, session, state) =
            (Arc::clone(self), session.to_owned(), Zeroizing::new(state.to_owned()));
        self.in_task(async move { broker.try_finish(admin, &session, code, &state).await }).await
    }

    async fn try_finish(
        self: &Arc<Self>,
        admin: Actor,
        session: &str,
        code: SecretBytes,
        state: &str,
    ) -> Result<Connected, AdminError> {
        let begun = lock(&self.sessions).0.remove(session);
        let now_ms = self.ports.clock.mono_us() / 1000;
        let again = "begin again with `claviger connect`";
        let begun = begun.filter(|session| session.ends_ms > now_ms);
        let begun = begun.ok_or_else(|| {
            AdminError::invalid("this login is not under way, or took longer than ten minutes", again)
        })?;
        if !bool::from(begun.state.as_bytes().ct_eq(state.as_bytes())) {
            return Err(AdminError::invalid(
                "the answer belongs to another login (its state differs)",
                again,
            ));
        }
        let service = &self.known_service(&begun.ask.secret)?;
        let provider = &self.provider_of(service)?;
        let _turn = self.admin.lock().await;
        let (draft, old) = self.draft(service, &begun)?;
        let answer = self.exchange(&admin, &draft, &begun, &code).await?;
        if let Some(denial) = answer.withheld {
            // Nobody knows yet whose account it is, so nothing is kept. What there was before works as before.
            return Err(AdminError::from_denial(denial));
        }
        let refresh = answer.refresh_token.as_ref().ok_or_else(|| AdminError::Upstream {
            why: "the provider gave no refresh token".to_owned(),
            hints: vec!["remove the app's access in the account's settings, then connect again".to_owned()],
        })?;
        let (subject, email) = self.account(&admin, &draft, provider, &answer).await?;
        if let (Some(old), Some(new)) = (old.as_ref().and_then(|old| old.record.subject.as_ref()), &subject)
            && old != new
        {
            return Err(AdminError::invalid(
                format!("this is another account than the one that {} belongs to", begun.ask.secret),
                "log in to the same account, or connect under another name",
            ));
        }
        let granted = answer.scopes.clone().unwrap_or_else(|| begun.scopes.clone());
        // EXPOSE: both go into the record that is sealed.
        let (value, client_secret) =
            (refresh.expose_secret().to_vec(), begun.client.secret.expose_secret().to_vec());
        let value = ValueRecord { value, id: begun.client.id.clone(), client_secret };
        let mut record = draft.record.clone();
        record.subject = subject;
        record.email = email;
        record.scopes.clone_from(&granted);
        self.keep_client(provider, &value).await?;
        let name = begun.ask.secret.clone();
        match old {
            None => drop(self.keep_secret(admin, name.clone(), record, value).await?),
            Some(old) => {
                self.put_version(&admin, &name, &old, record, value, None).await?;
                drop(_turn);
                self.retire(&admin, &name, &old, None).await;
            }
        }
        let missing_scopes = begun.scopes.iter().filter(|scope| !granted.contains(scope)).cloned().collect();
        Ok(Connected {
            secret: self.secret(&name)?,
            missing_scopes,
            crippled_tools: crippled(service, provider, &begun.tools, &granted),
        })
    }

    /// The secret as it will be, to reach the provider through before there is one; and the one it renews.
    fn draft(
        &self,
        service: &Service,
        begun: &Session,
    ) -> Result<(SecretEntry, Option<Arc<SecretEntry>>), AdminError> {
        let name = &begun.ask.secret;
        let old = if begun.ask.renew { Some(self.secret_entry(name)?) } else { None };
        let record = match &old {
            // What a secret pins changes only with the secret: a renewed login goes where the old one went.
            Some(old) => old.record.clone(),
            None => self.fresh_record(service, name)?,
        };
        let number = record.current;
        let draft = self.entry(record, 0, name, number, 1, &[])?;
        Ok((draft, old))
    }

    async fn exchange(
        &self,
        admin: &Actor,
        draft: &SecretEntry,
        begun: &Session,
        code: &SecretBytes,
    ) -> Result<TokenAnswer, AdminError> {
        // EXPOSE: code and client secret go into the body of the token request.
        let (code, client_secret) = (code.expose_secret(), begun.client.secret.expose_secret());
        let fields: [(&[u8], &[u8]); 6] = [
            (b"grant_type", b"authorization_code"),
            (b"code", code),
            (b"redirect_uri", begun.ask.redirect_uri.as_bytes()),
            (b"client_id", begun.client.id.as_bytes()),
            (b"client_secret", client_secret),
            (b"code_verifier", begun.verifier.as_bytes()),
        ];
        let body = SecretBytes::new(form::encode(&fields).to_vec());
        let purpose = self.admin_purpose(admin, draft, "token", Effect::Write);
        self.ask_for_token(draft, body, &purpose).await.map_err(|fault| match fault {
            TokenFault::Refused(word) => AdminError::Upstream {
                why: format!("the provider refused the login: {word}"),
                hints: vec!["begin again; a code works once and for a minute".to_owned()],
            },
            TokenFault::Denied(denial) => AdminError::from_denial(denial),
        })
    }

    /// Who the account is; nothing where the provider does not say.
    async fn account(
        &self,
        admin: &Actor,
        draft: &SecretEntry,
        provider: &Provider,
        answer: &TokenAnswer,
    ) -> Result<(Option<String>, Option<String>), AdminError> {
        let pinned = draft.record.provider.as_ref().and_then(|pin| pin.userinfo.as_ref());
        let Some(endpoint) = pinned.and_then(|url| url.parse().ok()).or_else(|| provider.userinfo.clone())
        else {
            return Ok((None, None));
        };
        let purpose = self.admin_purpose(admin, draft, "userinfo", Effect::Read);
        let (subject, email) = self
            .userinfo(draft, &endpoint, &answer.access_token, &purpose)
            .await
            .map_err(AdminError::from_denial)?;
        Ok((Some(subject), email))
    }

    fn provider_of(&self, service: &Service) -> Result<Provider, AdminError> {
        match &service.auth {
            Auth::OAuth2 { provider } => {
                self.catalog().provider(provider).cloned().ok_or(AdminError::Conflict)
            }
            other => Err(AdminError::invalid(
                format!("{} has no OAuth login; it takes a secret of kind {}", service.id, other.kind()),
                format!("claviger secret add {}/NAME --kind {}", service.id, other.kind()),
            )),
        }
    }

    /// The client that was given, or the one this provider is known by, or the one that the secret was entered with.
    fn client(
        &self,
        provider: &Provider,
        given: Option<(String, SecretBytes)>,
        old: Option<&SecretEntry>,
    ) -> Result<Client, AdminError> {
        if let Some((id, secret)) = given {
            let plain = |text: &[u8]| !text.is_empty() && text.iter().all(|b| (0x21..=0x7e).contains(b));
            // EXPOSE: looked at for characters that no client secret has.
            if !plain(id.as_bytes()) || !plain(secret.expose_secret()) {
                return Err(AdminError::invalid(
                    "the OAuth client's id or secret is malformed",
                    "use the file that the provider lets you download",
                ));
            }
            return Ok(Client { id, secret });
        }
        let known = self.read().clients.get(&provider.id).cloned();
        let Some(known) = known else {
            return old.and_then(|old| self.own_client(old)).ok_or_else(|| AdminError::invalid(
                format!("no OAuth client of {} is known yet", provider.id),
                "add --client-file client_secret.json, the file that the provider's console lets you download",
            ));
        };
        let plain = self
            .ports
            .sealer
            .open(Purpose::Record, &client_key(provider), known.version, &known.sealed)
            .map_err(|_| AdminError::Sealed)?;
        let mut record: ValueRecord = records::decode(&plain).map_err(|_| AdminError::Conflict)?;
        Ok(Client {
            id: record.id.clone(),
            secret: SecretBytes::new(std::mem::take(&mut record.client_secret)),
        })
    }

    /// The client that a secret was entered with. Whether the provider still takes its token is no matter.
    fn own_client(&self, secret: &SecretEntry) -> Option<Client> {
        let mut value = self.open_value(secret).ok().filter(|value| !value.id.is_empty())?;
        Some(Client {
            id: value.id.clone(),
            secret: SecretBytes::new(std::mem::take(&mut value.client_secret)),
        })
    }

    /// Remembers the client, so that the next service of the same provider needs no file.
    async fn keep_client(&self, provider: &Provider, value: &ValueRecord) -> Result<(), AdminError> {
        let record = ValueRecord {
            value: Vec::new(),
            id: value.id.clone(),
            client_secret: value.client_secret.clone(),
        };
        let plain = Zeroizing::new(records::encode(&record));
        let version = self.read().clients.get(&provider.id).map_or(0, |known| known.version);
        let key = client_key(provider);
        let put = || Plain::Sealed(Purpose::Record, plain.to_vec());
        let version = self.put_over(&key, version, put).await?;
        let sealed =
            self.ports.sealer.seal(Purpose::Record, &key, version, &plain).map_err(|_| AdminError::Sealed)?;
        self.write().clients.insert(provider.id.clone(), ClientEntry { version, sealed });
        Ok(())
    }

    /// 256 random bits as 64 hexadecimal digits: fit for a state, and for a verifier (RFC 7636, section 4.1).
    fn token_text(&self) -> String {
        hex(&self.random::<32>())
    }
}

fn client_key(provider: &Provider) -> String {
    format!("oauth-client/{}", provider.id)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The tools to ask scopes for.
fn asked_tools<'a>(service: &'a Service, ask: &ConnectAsk) -> Result<Vec<&'a Tool>, AdminError> {
    if let Some(unknown) = ask
        .tools
        .iter()
        .find(|name| *name.service() != service.id || !service.tools.contains_key(name.tool()))
    {
        return Err(AdminError::Missing {
            what: "tool",
            name: unknown.to_string(),
            near: service.tools.values().map(|tool| tool.name.to_string()).collect(),
        });
    }
    let wanted = |tool: &&Tool| ask.effects.contains(&tool.effect) || ask.tools.contains(&tool.name);
    let tools: Vec<&Tool> = service.tools.values().filter(wanted).collect();
    if tools.is_empty() {
        let effects: BTreeSet<Effect> = service.tools.values().map(|tool| tool.effect).collect();
        let known = effects.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        return Err(AdminError::invalid(
            "nothing would be asked for",
            format!("say what it is for: --for {known}"),
        ));
    }
    Ok(tools)
}

/// The narrowest scope of each tool, and those that name the account. One that would suffice for several tools takes no
/// other's place: each tool's token is as narrow as it can be, which is the second wall. What a tool's looks need, and the
/// question who wrote what it answers, is asked for where none of these suffices.
fn scopes_of(provider: &Provider, service: &Service, tools: &[&Tool]) -> Vec<String> {
    let mut scopes: Vec<String> = provider.identity_scopes.clone();
    for scope in tools.iter().filter_map(|tool| tool.scope.first()) {
        let scope = provider.full_scope(scope);
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    let looks = tools.iter().flat_map(|tool| &tool.looks).map(|look| &look.step);
    let authors = tools.iter().flat_map(|tool| &tool.steps).flat_map(|step| &step.authors);
    let asked = looks.chain(authors.filter_map(|authors| authors.step.as_ref()));
    for step in asked.filter_map(|step| service.steps.get(step)) {
        let accepted: Vec<String> = step.scope.iter().map(|scope| provider.full_scope(scope)).collect();
        if !accepted.iter().any(|scope| scopes.contains(scope)) {
            scopes.extend(accepted.into_iter().take(1));
        }
    }
    scopes
}

/// Tools of which no scope was granted.
fn crippled(service: &Service, provider: &Provider, tools: &[ToolName], granted: &[String]) -> Vec<ToolName> {
    let works = |tool: &Tool| tool.scope.iter().any(|scope| granted.contains(&provider.full_scope(scope)));
    tools.iter().filter(|name| !service.tools.get(name.tool()).is_some_and(works)).cloned().collect()
}

/// A redirect goes to this machine and nowhere else (RFC 8252, section 7.3).
fn require_loopback(uri: &str) -> Result<(), AdminError> {
    let rest = uri
        .strip_prefix("http://127.0.0.1:")
        .or_else(|| uri.strip_prefix("http://[::1]:"))
        .unwrap_or_default();
    let (port, path) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_'));
    if port.parse::<u16>().is_ok_and(|port| port > 0) && plain {
        Ok(())
    } else {
        Err(AdminError::invalid(
            "the redirect does not go to this machine",
            "it is http://127.0.0.1:PORT/PATH",
        ))
    }
}

fn authorize_url(
    provider: &Provider,
    client: &Client,
    redirect_uri: &str,
    scopes: &[String],
    state: &str,
    verifier: &str,
) -> String {
    let challenge = {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Digest::of(verifier.as_bytes()).as_bytes())
    };
    let scope = scopes.join(" ");
    let mut pairs: Vec<(String, String)> = [
        ("client_id", client.id.as_str()),
        ("redirect_uri", redirect_uri),
        ("response_type", "code"),
        ("scope", &scope),
        ("state", state),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    pairs.extend(provider.authorize_params.iter().map(|(name, value)| (name.clone(), value.clone())));
    format!("{}?{}", provider.authorize, percent::join_query(&pairs))
}
