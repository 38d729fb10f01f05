//! Wire to domain: strict, each fault in words and with what to do. What is not exactly right is refused, not mended.

mod secrets;

use std::str::FromStr;

use claviger_domain::caveat::Caveat;
use claviger_domain::effect::Effect;
use claviger_domain::grant::Approve;
use claviger_domain::id::{GrantId, HandleId, Ref};
use claviger_domain::name::{AdapterName, AgentName, BadName, SecretName, ToolName};
use claviger_proto::v1;

use super::caveats;
use crate::broker::error::AdminError;
use crate::broker::view::{GrantAsk, LogAsk};

pub use secrets::{Key, add_secret, begin_connect, finish_connect, key, rotate_secret};

/// The longest text of any other kind, in bytes.
const MAX_TEXT: usize = 2048;
/// The longest name of a grant, in characters.
const MAX_LABEL: usize = 60;
/// The most items of any list.
const MAX_ITEMS: usize = 1000;
/// The longest life of a grant that has an end, in seconds: a hundred years of 365 days.
const MAX_LIFE_S: u64 = 100 * 365 * 86_400;
/// How many events are shown where nothing is said, and at most.
const LOG_LINES: (u32, u32) = (100, 10_000);
/// The longest path of a unix socket, in bytes (`sun_path` of unix(7), without the final zero).
const SOCKET_PATH_MAX: usize = 107;

pub(super) type Asked<T> = Result<T, AdminError>;

pub(super) fn invalid(why: impl Into<String>, hint: impl Into<String>) -> AdminError {
    AdminError::Invalid { why: why.into(), hints: vec![hint.into()] }
}

pub(super) fn named<T: FromStr<Err = BadName>>(text: &str, example: &str) -> Asked<T> {
    text.parse().map_err(|bad: BadName| invalid(bad.to_string(), format!("for example: {example}")))
}

/// An agent's name.
///
/// # Errors
/// It is none.
pub fn agent(text: &str) -> Asked<AgentName> {
    named(text, "openclaw")
}

/// An adapter's name.
///
/// # Errors
/// It is none.
pub fn adapter(text: &str) -> Asked<AdapterName> {
    named(text, "gmail")
}

/// A secret's name.
///
/// # Errors
/// It is none.
pub fn secret(text: &str) -> Asked<SecretName> {
    named(text, "gmail/me")
}

fn tools(texts: &[String]) -> Asked<Vec<ToolName>> {
    few(texts, "tools")?;
    texts.iter().map(|text| named(text, "gmail.search_messages")).collect()
}

fn effects(texts: &[String]) -> Asked<Vec<Effect>> {
    few(texts, "effects")?;
    let effect = |text: &String| {
        text.parse::<Effect>().map_err(|bad| invalid(bad.to_string(), "for example: --all-effects read"))
    };
    texts.iter().map(effect).collect()
}

pub(super) fn few<T>(items: &[T], what: &str) -> Asked<()> {
    if items.len() <= MAX_ITEMS {
        Ok(())
    } else {
        Err(invalid(format!("there are more than {MAX_ITEMS} {what}"), "make several grants"))
    }
}

/// A text that people wrote: not too long, and nothing in it that moves a cursor.
fn line(text: String, what: &str) -> Asked<String> {
    if text.len() > MAX_TEXT {
        return Err(invalid(format!("{what} is longer than {MAX_TEXT} bytes"), "say it shorter"));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid(format!("{what} contains a control character"), "type it again, on one line"));
    }
    Ok(text)
}

/// Who is to be registered as an agent: name, user, opaque refusals, inputs only from the vault.
///
/// # Errors
/// A name, a user or a word that is none.
pub fn add_agent(
    request: v1::AddAgentRequest,
    users: &super::super::peer::Users,
) -> Asked<(AgentName, Option<u32>, bool, bool)> {
    let v1::AddAgentRequest { name, uid, opaque_refusals, inputs } = request;
    let vault_only = match inputs.as_str() {
        "" | "open" => false,
        "vault" => true,
        _ => return Err(invalid("inputs are `open` or `vault`", "leave it away for `open`")),
    };
    Ok((agent(&name)?, user(uid, users)?, opaque_refusals, vault_only))
}

/// Who is to be registered as an adapter: name, user, endpoint.
///
/// # Errors
/// A name, a user or a path that is none.
pub fn add_adapter(
    request: v1::AddAdapterRequest,
    users: &super::super::peer::Users,
) -> Asked<(AdapterName, Option<u32>, Option<String>)> {
    let v1::AddAdapterRequest { name, uid, endpoint } = request;
    let endpoint = match line(endpoint, "the endpoint")? {
        endpoint if endpoint.is_empty() => None,
        endpoint if endpoint.starts_with('/') && endpoint.len() <= SOCKET_PATH_MAX => Some(endpoint),
        _ => {
            return Err(invalid(
                format!("an endpoint is an absolute path of at most {SOCKET_PATH_MAX} bytes"),
                "leave it away for the default place",
            ));
        }
    };
    Ok((adapter(&name)?, user(uid, users)?, endpoint))
}

/// A user that can be told from the vault's own and from nobody in particular.
fn user(uid: Option<u32>, users: &super::super::peer::Users) -> Asked<Option<u32>> {
    let Some(uid) = uid else { return Ok(None) };
    let hint = "make a user of its own for it: `useradd --system NAME`";
    if uid == u32::MAX || uid == users.overflow {
        return Err(invalid(format!("uid {uid} is no user: the kernel shows others by it"), hint));
    }
    if uid == 0 || uid == users.own {
        return Err(invalid(format!("uid {uid} can reach into the vault itself"), hint));
    }
    Ok(Some(uid))
}

/// Which agent to freeze, and why.
///
/// # Errors
/// A name that is none, or a reason that cannot be shown.
pub fn freeze(request: v1::FreezeRequest) -> Asked<(AgentName, String)> {
    let v1::FreezeRequest { name, why } = request;
    Ok((agent(&name)?, line(why, "the reason")?))
}

/// Which secret to remove, and whether at its provider too.
///
/// # Errors
/// A name that is none.
pub fn remove_secret(request: v1::RemoveSecretRequest) -> Asked<(SecretName, bool)> {
    let v1::RemoveSecretRequest { name, revoke_upstream } = request;
    Ok((secret(&name)?, revoke_upstream))
}

/// What to grant.
///
/// # Errors
/// A name, a word or a bound that is none; a bound that nothing can satisfy.
pub fn grant(request: v1::AddGrantRequest) -> Asked<GrantAsk> {
    let v1::AddGrantRequest {
        agent: to,
        secret: with,
        tools: whole,
        effects: of,
        caveats,
        expires_in_seconds,
        approve,
        deny,
        trusted_sink,
        name,
    } = request;
    few(&caveats, "bounds")?;
    let words = Approve::ALL.into_iter().filter(|word| *word != Approve::Default);
    let approve = match approve.as_str() {
        "" => Approve::Default,
        word => words.into_iter().find(|known| known.as_str() == word).ok_or_else(|| {
            invalid(
                "approve is never, tainted, new or always",
                "leave it away to be asked for sends and deletes",
            )
        })?,
    };
    if expires_in_seconds > MAX_LIFE_S {
        return Err(invalid(
            "the grant would live longer than a hundred years",
            "use --expires never for no end",
        ));
    }
    Ok(GrantAsk {
        agent: agent(&to)?,
        secret: secret(&with)?,
        tools: tools(&whole)?,
        effects: effects(&of)?,
        caveats: caveats.into_iter().map(caveats::ask).collect::<Asked<_>>()?,
        expires_in_s: (expires_in_seconds > 0).then_some(expires_in_seconds),
        approve,
        deny,
        trusted_sink,
        name: label(name)?,
    })
}

/// What a list of grants knows a grant by: one short printable line, or nothing.
fn label(name: String) -> Asked<Option<String>> {
    if name.chars().count() > MAX_LABEL {
        return Err(invalid(
            format!("a grant's name has at most {MAX_LABEL} characters"),
            "such as name = \"read-mail\"",
        ));
    }
    let name = line(name, "the grant's name")?;
    Ok((!name.is_empty()).then_some(name))
}

/// A list that something can satisfy: no empty list, no empty word.
pub(super) fn words(words: Vec<String>, what: &str) -> Asked<Vec<String>> {
    few(&words, what)?;
    if words.is_empty() {
        return Err(invalid(
            format!("the list of {what} is empty, and would allow nothing"),
            "name at least one",
        ));
    }
    let word = |word: String| match line(word, what)? {
        word if word.is_empty() => Err(invalid(format!("one of {what} is empty"), "look at the commas")),
        word => Ok(word),
    };
    words.into_iter().map(word).collect()
}

/// Whose grants to list, and whether those that are over, too.
///
/// # Errors
/// A name that is none.
pub fn list_grants(request: v1::ListGrantsRequest) -> Asked<(Option<AgentName>, bool)> {
    let v1::ListGrantsRequest { agent: whose, all } = request;
    Ok((optional(&whose, agent)?, all))
}

pub(super) fn optional<T>(text: &str, parse: impl FnOnce(&str) -> Asked<T>) -> Asked<Option<T>> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

/// A grant, or a handle of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantOrHandle {
    /// A grant.
    Grant(GrantId),
    /// A handle.
    Handle(HandleId),
}

/// Which grant, by its own id or by a handle's.
///
/// # Errors
/// Neither.
pub fn grant_or_handle(text: &str) -> Asked<GrantOrHandle> {
    let by_grant = text.parse().map(GrantOrHandle::Grant);
    by_grant.or_else(|_| text.parse().map(GrantOrHandle::Handle)).map_err(|_| {
        invalid("that is neither a grant (gr_…) nor a handle (hdl_…)", "`claviger grant ls` lists them")
    })
}

/// The handles that a client asks for.
///
/// # Errors
/// One that is none, or too many.
pub fn handles(texts: &[String]) -> Asked<Vec<HandleId>> {
    few(texts, "handles")?;
    texts.iter().map(|text| handle(text)).collect()
}

/// A handle.
///
/// # Errors
/// It is none.
pub fn handle(text: &str) -> Asked<HandleId> {
    text.parse()
        .map_err(|_| invalid("that is no handle (hdl_ and 32 digits)", "`claviger-agent handles` lists them"))
}

/// Which handle to narrow, by what, and what for. Whether it may be so is for the broker to say.
///
/// # Errors
/// A handle or a bound that is none.
pub fn narrow(request: v1::NarrowRequest) -> Asked<(HandleId, Vec<Caveat>, String)> {
    let v1::NarrowRequest { handle: parent, caveats: bounds, label } = request;
    few(&bounds, "bounds")?;
    let bounds = bounds.into_iter().map(caveats::ask).collect::<Asked<_>>()?;
    Ok((handle(&parent)?, bounds, line(label, "the label")?))
}

/// What `claviger why` was given.
///
/// # Errors
/// It is no reference.
pub fn reference(request: v1::WhyRequest) -> Asked<Ref> {
    let v1::WhyRequest { reference } = request;
    reference.parse().map_err(|_| {
        invalid(
            "that is no reference (ref_ and 16 digits)",
            "it stands in the refusal, and in `claviger log`",
        )
    })
}

/// What to look for in the log.
///
/// # Errors
/// A name that is none.
pub fn log(request: v1::ReadLogRequest) -> Asked<LogAsk> {
    let v1::ReadLogRequest { agent: whose, secret: of, tool, refused, since_ms, limit, alerts } = request;
    let (default, most) = LOG_LINES;
    let limit = if limit == 0 { default } else { limit.min(most) };
    Ok(LogAsk {
        agent: optional(&whose, agent)?,
        secret: optional(&of, secret)?,
        tool: optional(&tool, |text| named(text, "gmail.search_messages"))?,
        refused,
        alerts,
        since_ms,
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
    })
}
