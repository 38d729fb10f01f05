//! Requests that carry a secret: what unlocks, what connects, what is put in. It moves into its newtype first, and where it
//! was is wiped.

use claviger_domain::name::SecretName;
use claviger_domain::secret::SecretBytes;
use claviger_domain::tool::Auth;
use claviger_proto::v1;
use secrecy::SecretString;
use zeroize::Zeroize;

use super::{Asked, effects, invalid, line, secret, tools};
use crate::broker::error::AdminError;
use crate::broker::view::{ConnectAsk, NewValue};

/// The longest secret, in bytes: a header of any server takes less.
const MAX_SECRET: usize = 16 << 10;
/// What unlocks the root key.
pub enum Key {
    /// The text of an age identity file.
    Identity(SecretString),
    /// A passphrase.
    Passphrase(SecretString),
}

/// The key of an unseal request. The request's own copy is wiped.
///
/// # Errors
/// There is none.
pub fn key(request: v1::UnsealRequest) -> Asked<Key> {
    let v1::UnsealRequest { key } = request;
    let missing = || invalid("there is no key in the request", "give --identity FILE or a passphrase");
    match key.ok_or_else(missing)? {
        v1::unseal_request::Key::Identity(text) => Ok(Key::Identity(moved(text))),
        v1::unseal_request::Key::Passphrase(text) => Ok(Key::Passphrase(moved(text))),
    }
}

/// Moves a secret text into its newtype and wipes where it was.
fn moved(mut text: String) -> SecretString {
    let secret = SecretString::from(text.as_str());
    text.zeroize();
    secret
}

/// What to connect.
///
/// # Errors
/// A name, an address or a client that is none.
pub fn begin_connect(request: v1::BeginConnectRequest) -> Asked<ConnectAsk> {
    let v1::BeginConnectRequest {
        secret: name,
        effects: of,
        tools: whole,
        redirect_uri,
        client_id,
        client_secret,
        renew,
    } = request;
    let client_secret = SecretBytes::from_text(client_secret);
    let client_id = line(client_id, "the client id")?;
    let client = match (client_id.is_empty(), client_secret.is_empty()) {
        (true, true) => None,
        (true, false) => {
            return Err(invalid("a client secret came without a client id", "give both, or neither"));
        }
        (false, _) => {
            // A public client has an empty secret.
            if !client_secret.is_empty() {
                fit(&client_secret, "the client secret")?;
            }
            Some((client_id, client_secret))
        }
    };
    Ok(ConnectAsk {
        secret: secret(&name)?,
        effects: effects(&of)?,
        tools: tools(&whole)?,
        redirect_uri: line(redirect_uri, "the redirect address")?,
        client,
        renew,
    })
}

/// How a connection ended: session, code, state.
///
/// # Errors
/// One of them is missing.
pub fn finish_connect(request: v1::FinishConnectRequest) -> Asked<(String, SecretBytes, String)> {
    let v1::FinishConnectRequest { session, code, state } = request;
    let code = SecretBytes::from_text(code);
    fit(&code, "the code")?;
    Ok((line(session, "the session")?, code, line(state, "the state")?))
}

/// A new secret's name and value. `auth` tells how its service is authenticated to, if there is such a service.
///
/// # Errors
/// A name that is none, no value, or one that its service does not take.
pub fn add_secret(
    request: v1::AddSecretRequest,
    auth: impl FnOnce(&SecretName) -> Option<Auth>,
) -> Asked<(SecretName, NewValue)> {
    let v1::AddSecretRequest { name, value: given } = request;
    // Taken over first, so that a bad name does not leave the value unwiped.
    let given = given.map(taken).transpose()?;
    let name = secret(&name)?;
    let auth = auth(&name);
    let given = match given {
        None if auth == Some(Auth::None) => return Ok((name, NewValue::None)),
        given => given.ok_or_else(no_value)?,
    };
    check_header(&given, auth.as_ref())?;
    Ok((name, given.value))
}

/// A secret's name and its next value, if one is given.
///
/// # Errors
/// As [`add_secret`].
pub fn rotate_secret(
    request: v1::RotateSecretRequest,
    auth: impl FnOnce(&SecretName) -> Option<Auth>,
) -> Asked<(SecretName, Option<NewValue>)> {
    let v1::RotateSecretRequest { name, value: given } = request;
    let given = given.map(taken).transpose()?;
    let name = secret(&name)?;
    if let Some(given) = &given {
        check_header(given, auth(&name).as_ref())?;
    }
    Ok((name, given.map(|given| given.value)))
}

fn no_value() -> AdminError {
    invalid("there is no value in the request", "give one by prompt or with --stdin")
}

/// A value in its newtypes, with the header name that was said.
struct Given {
    value: NewValue,
    header: Option<String>,
}

fn taken(value: v1::SecretValue) -> Asked<Given> {
    use v1::secret_value::Kind;
    let v1::SecretValue { kind } = value;
    let (value, header) = match kind.ok_or_else(no_value)? {
        Kind::Bearer(token) => (NewValue::Bearer(sound(token, "the token")?), None),
        Kind::Header(v1::HeaderValue { name, value }) => {
            let value = sound(value, "the header's value")?;
            (NewValue::Header(value), Some(line(name, "the header's name")?).filter(|name| !name.is_empty()))
        }
        Kind::Basic(v1::BasicValue { user, password }) => {
            let password = sound(password, "the password")?;
            let user = line(user, "the user")?;
            if user.is_empty() || user.contains(':') {
                return Err(invalid("a user is not empty and has no colon (RFC 7617)", "look at --user"));
            }
            (NewValue::Basic(user, password), None)
        }
        Kind::Oauth2(v1::Oauth2Value { client_id, client_secret, refresh_token }) => {
            let client_secret = SecretBytes::from_text(client_secret);
            let refresh_token = sound(refresh_token, "the refresh token")?;
            if !client_secret.is_empty() {
                fit(&client_secret, "the client secret")?;
            }
            let client_id = line(client_id, "the client id")?;
            if client_id.is_empty() {
                return Err(invalid("there is no client id", "a refresh token works with its client only"));
            }
            (NewValue::OAuth2 { client_id, client_secret, refresh_token }, None)
        }
    };
    Ok(Given { value, header })
}

/// A header goes where its service says, never where a request says; a name that differs is a misunderstanding.
fn check_header(given: &Given, auth: Option<&Auth>) -> Asked<()> {
    let (Some(said), Some(Auth::Header { name })) = (&given.header, auth) else { return Ok(()) };
    if said.eq_ignore_ascii_case(name) {
        return Ok(());
    }
    Err(invalid(format!("this service takes its key in the header `{name}`"), "leave the header's name away"))
}

fn sound(text: String, what: &str) -> Asked<SecretBytes> {
    let secret = SecretBytes::from_text(text);
    fit(&secret, what)?;
    Ok(secret)
}

/// Whether it can be a credential at all. Nothing of it is told.
fn fit(secret: &SecretBytes, what: &str) -> Asked<()> {
    // EXPOSE: looked through for what would break a header or a form; only yes or no leaves.
    let bytes = secret.expose_secret();
    if bytes.is_empty() {
        return Err(invalid(format!("{what} is empty"), "copy it again"));
    }
    if bytes.len() > MAX_SECRET {
        return Err(invalid(format!("{what} is longer than {MAX_SECRET} bytes"), "copy it again"));
    }
    if bytes.iter().any(|byte| byte.is_ascii_control()) {
        return Err(invalid(format!("{what} contains a control character"), "copy it again, on one line"));
    }
    Ok(())
}
