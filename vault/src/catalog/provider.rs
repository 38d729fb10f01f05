//! Provider files.

use claviger_domain::tool::{Endpoint, Provider};

use super::ProviderOverride;
use super::raw::RawProvider;

/// Parameters of an authorization request that the vault sets itself.
const OURS: [&str; 9] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "response_mode",
];

pub(super) fn parse(text: &str) -> Result<Provider, String> {
    let raw: RawProvider = toml::from_str(text).map_err(|error| error.to_string())?;
    if let Some(ours) = raw.authorize_params.keys().find(|name| OURS.contains(&name.as_str())) {
        return Err(format!("authorize_params: {ours} is set by the vault"));
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if raw.id.is_empty() || !raw.id.bytes().all(plain) {
        return Err("id: lower-case letters, digits and hyphens".to_owned());
    }
    let revokes_account = revokes_account(raw.revokes.as_deref())?;
    Ok(Provider {
        revokes_account,
        authorize: endpoint("authorize", &raw.authorize)?,
        token: endpoint("token", &raw.token)?,
        revoke: raw.revoke.map(|url| endpoint("revoke", &url)).transpose()?,
        userinfo: raw.userinfo.map(|url| endpoint("userinfo", &url)).transpose()?,
        id: raw.id,
        scope_prefix: raw.scope_prefix,
        identity_scopes: raw.identity_scopes,
        authorize_params: raw.authorize_params,
        private: raw.private,
        roots_pem: raw.roots_pem,
    })
}

pub(super) fn apply(provider: &mut Provider, change: &ProviderOverride) -> Result<(), String> {
    let ProviderOverride { authorize, token, revoke, revokes, userinfo, private, roots_pem } = change;
    if let Some(url) = authorize {
        provider.authorize = endpoint("authorize", url)?;
    }
    if let Some(url) = token {
        provider.token = endpoint("token", url)?;
    }
    if let Some(url) = revoke {
        provider.revoke = Some(endpoint("revoke", url)?);
    }
    if revokes.is_some() {
        provider.revokes_account = revokes_account(revokes.as_deref())?;
    }
    if let Some(url) = userinfo {
        provider.userinfo = Some(endpoint("userinfo", url)?);
    }
    provider.private = *private;
    provider.roots_pem.clone_from(roots_pem);
    Ok(())
}

fn endpoint(name: &str, url: &str) -> Result<Endpoint, String> {
    url.parse().map_err(|error| format!("{name}: {error}"))
}

fn revokes_account(word: Option<&str>) -> Result<bool, String> {
    match word {
        Some("token") => Ok(false),
        Some("account") | None => Ok(true),
        Some(_) => Err("revokes is token or account".to_owned()),
    }
}
