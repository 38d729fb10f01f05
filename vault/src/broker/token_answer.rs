//! Reading a token endpoint's answer, strictly: what is not as RFC 6749 says is no token.

use std::fmt;

use claviger_domain::refusal::{Class, Denial};
use claviger_domain::secret::SecretBytes;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Visitor};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::oauth::{TokenAnswer, TokenFault, is_plain};
use crate::port::Answer;

/// A token whose end the provider does not tell is taken to live this long, in seconds.
const UNSAID_LIFE_S: u64 = 300;

/// How many scopes an answer may name.
const MOST_SCOPES: usize = 100;

/// The longest name of a scope, in bytes.
const LONGEST_SCOPE: usize = 256;

/// What is read of an answer of success (RFC 6749, section 5.1). All else is skipped over, not copied.
#[derive(serde::Deserialize)]
struct Told {
    access_token: Option<Wiped>,
    refresh_token: Option<Wiped>,
    token_type: Option<String>,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
    scope: Option<String>,
}

/// What is read of an answer of failure (RFC 6749, section 5.2).
#[derive(serde::Deserialize)]
struct ToldError {
    error: Option<String>,
}

/// A text that is wiped when dropped, on every way out of the parser too.
struct Wiped(Zeroizing<String>);

impl<'de> Deserialize<'de> for Wiped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Wiped;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Wiped, E> {
                Ok(Wiped(Zeroizing::new(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<Wiped, E> {
                Ok(Wiped(Zeroizing::new(text)))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A whole number of seconds; anything else is as if it were not said.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(serde_json::Value::deserialize(deserializer)?.as_u64())
}

/// What a token endpoint answered.
pub(super) fn parse(answer: &Answer) -> Result<TokenAnswer, TokenFault> {
    if answer.status != 200 {
        return Err(match error(answer) {
            Some(word) => TokenFault::Refused(word),
            None => TokenFault::Denied(
                Denial::new(Class::Upstream)
                    .field("token")
                    .fix(format!("the token endpoint answered {}", answer.status)),
            ),
        });
    }
    let told = object::<Told>(answer).ok_or_else(|| TokenFault::Denied(unclear()))?;
    let scopes = scopes(&told);
    let Told { access_token, refresh_token, token_type, expires_in, scope: _ } = told;
    let bearer = token_type.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
    match access_token.and_then(secret) {
        Some(access_token) if bearer => Ok(TokenAnswer {
            access_token,
            refresh_token: refresh_token.and_then(secret),
            expires_in_s: expires_in.unwrap_or(UNSAID_LIFE_S).min(86_400),
            withheld: scopes.is_err().then(unclear),
            scopes: scopes.unwrap_or_default(),
        }),
        _ => Err(TokenFault::Denied(unclear())),
    }
}

/// The scope that an answer of success names, fit for the log.
pub(super) fn scope(answer: &Answer) -> Option<String> {
    let told = object::<Told>(answer).filter(|_| answer.status == 200)?;
    Some(scopes(&told).ok()??.join(" "))
}

/// The `error` of an error answer, if it is one (RFC 6749, section 5.2).
pub(super) fn error(answer: &Answer) -> Option<String> {
    let word = object::<ToldError>(answer)?.error?;
    let plain = |b: u8| b.is_ascii_lowercase() || b == b'_';
    (word.len() <= 64 && word.bytes().all(plain)).then_some(word)
}

/// The scopes of an answer (RFC 6749, section 3.3). They are stored and shown, so nothing but names of scopes may pass
/// for one, and a token least of all. An empty scope says as little as none.
fn scopes(told: &Told) -> Result<Option<Vec<String>>, ()> {
    let words: Vec<&str> = told.scope.iter().flat_map(|text| text.split_ascii_whitespace()).collect();
    let tokens = || [&told.access_token, &told.refresh_token].into_iter().flatten();
    let name = |word: &&str| {
        word.len() <= LONGEST_SCOPE && is_plain(word) && !tokens().any(|token| holds(word, &token.0))
    };
    if words.len() > MOST_SCOPES || !words.iter().all(name) {
        return Err(());
    }
    Ok(Some(words.into_iter().map(str::to_owned).collect::<Vec<_>>()).filter(|scopes| !scopes.is_empty()))
}

/// Whether the token is anywhere in the word; in a time that does not tell how much of it is.
fn holds(word: &str, token: &str) -> bool {
    let windows = word.as_bytes().windows(token.len().max(1));
    bool::from(windows.fold(Choice::from(0), |held, window| held | window.ct_eq(token.as_bytes())))
}

fn secret(mut text: Wiped) -> Option<SecretBytes> {
    is_plain(&text.0).then(|| SecretBytes::from_text(std::mem::take(&mut *text.0)))
}

/// A JSON object; a list that could be taken for one by its order is none.
fn object<T: DeserializeOwned>(answer: &Answer) -> Option<T> {
    let body = answer.body.trim_ascii_start();
    serde_json::from_slice(body).ok().filter(|_| body.starts_with(b"{"))
}

fn unclear() -> Denial {
    Denial::new(Class::Upstream).field("token").fix("the token endpoint's answer is not OAuth's")
}
