//! Deny grants: what they name is forbidden, and no other grant can allow it.

use crate::address::Pattern;
use crate::arg::{ArgValue, Arguments};
use crate::caveat::{Bound, Caveat, ResourceBound};
use crate::effect::Effect;
use crate::grant::{Approve, Grant};
use crate::name::Ident;
use crate::path::RelativePath;
use crate::refusal::{Class, Denial};
use crate::reserved::Reserved;
use crate::scope::tells;
use crate::seen::Party;
use crate::tool::Tool;

/// What a deny grant forbids, of the tools that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forbids<'a> {
    /// Any call.
    Tools,
    /// Calls that reach one of these.
    Recipients(&'a [Pattern]),
    /// Objects that belong to one of these, or do not say what they belong to.
    Resource(&'a ResourceBound),
    /// Calls that give this argument one of these values.
    Argument(&'a Ident, &'a [String]),
    /// Paths under one of these; and, for calls that change something or take in all that lies below, paths above one.
    Paths(&'a [RelativePath]),
}

impl<'a> Forbids<'a> {
    /// What the grant forbids.
    ///
    /// # Errors
    /// Why it cannot be meant, as a clause for the admin.
    pub fn of(grant: &'a Grant) -> Result<Self, String> {
        Self::read(&grant.caveats)
    }

    /// The same of a grant's caveats alone.
    ///
    /// # Errors
    /// As for [`Forbids::of`].
    pub fn read(caveats: &'a [Caveat]) -> Result<Self, String> {
        let what = match caveats {
            [] => return Ok(Forbids::Tools),
            [Caveat::Recipients(patterns)] if !patterns.is_empty() => Forbids::Recipients(patterns),
            [Caveat::Resource(bound)] if !bound.ids.is_empty() => Forbids::Resource(bound),
            [Caveat::Argument(name, Bound::OneOf(words) | Bound::EachIn(words))] if !words.is_empty() => {
                Forbids::Argument(name, words)
            }
            [Caveat::Paths(paths)] if !paths.is_empty() => Forbids::Paths(paths),
            [_, _, ..] => {
                return Err(
                    "a deny grant has one bound at most: make one for each thing forbidden".to_owned()
                );
            }
            [other] => return Err(format!("nothing can be forbidden by {}", other.to_text())),
        };
        Ok(what)
    }

    /// Whether that tool can be kept from it.
    ///
    /// # Errors
    /// Why it cannot, as a clause for the admin.
    pub fn enforceable(self, tool: &Tool) -> Result<(), String> {
        match self {
            Forbids::Tools => Ok(()),
            Forbids::Recipients(patterns) => Caveat::Recipients(patterns.to_vec()).enforceable(tool),
            Forbids::Paths(paths) => Caveat::Paths(paths.to_vec()).enforceable(tool),
            Forbids::Argument(name, words) => {
                let fits = |bound: Bound| Caveat::Argument(name.clone(), bound).enforceable(tool);
                fits(Bound::OneOf(words.to_vec())).or_else(|_| fits(Bound::EachIn(words.to_vec())))
            }
            Forbids::Resource(bound) => {
                tool.bounds(&bound.resource)?;
                let told =
                    tool.steps.iter().all(|step| step.check(bound.resource.as_str()).is_some_and(tells));
                if told {
                    Ok(())
                } else {
                    Err(format!(
                        "{} cannot be kept from a {}: its lists do not tell",
                        tool.name, bound.resource
                    ))
                }
            }
        }
    }
}

/// Whether a deny grant can be meant as it stands.
///
/// # Errors
/// Why not, as a clause for the admin.
pub fn check(grant: &Grant) -> Result<(), String> {
    Forbids::of(grant)?;
    if grant.trusted_sink {
        return Err("a deny grant trusts nobody".to_owned());
    }
    if grant.approve != Approve::Default {
        return Err("a deny grant asks nobody: leave --approve out".to_owned());
    }
    Ok(())
}

/// Whether this grant forbids a call of that tool with these arguments. Objects are decided by [`excluded`], and people
/// who are seen only in the object by [`forbids_seen`].
///
/// What is forbidden has other spellings, so this is no exact comparison: ASCII case does not count, nor do dots and a
/// `+tag` in the part of an address before the `@`.
///
/// # Errors
/// Class `not-granted`, field `deny`. A deny grant that cannot be meant forbids its tools altogether; and so does one that a
/// tool can no longer be held to, because its definition is another than when the grant was made.
pub fn forbids(grant: &Grant, tool: &Tool, args: &Arguments) -> Result<(), Denial> {
    if !grant.deny || grant.tool(&tool.name).is_none() {
        return Ok(());
    }
    let no = |value: String| Err(denial(grant, value));
    match Forbids::of(grant) {
        Err(_) | Ok(Forbids::Tools) => no(tool.name.to_string()),
        // Whether this call is one of those that are meant cannot be told.
        Ok(what) if what.enforceable(tool).is_err() => no(tool.name.to_string()),
        Ok(Forbids::Recipients(patterns)) => {
            for name in tool.recipient_args() {
                match args.get(name) {
                    None => {}
                    Some(ArgValue::Addresses(addresses)) => {
                        let meant =
                            addresses.iter().find(|address| patterns.iter().any(|p| p.resembles(address)));
                        if let Some(address) = meant {
                            return no(address.to_string());
                        }
                    }
                    // Recipients that are no addresses cannot be compared.
                    Some(other) => return no(other.texts().join(", ")),
                }
            }
            Ok(())
        }
        Ok(Forbids::Resource(bound)) => {
            let named = tool.resource_args(&bound.resource).into_iter().filter_map(|name| args.get(name));
            let added = tool.steps.iter().filter_map(|step| {
                args.get(step.check(bound.resource.as_str())?.probe.as_ref()?.add.as_ref()?)
            });
            let texts: Vec<String> = named.chain(added).flat_map(ArgValue::texts).collect();
            match texts.into_iter().find(|text| is_one(&bound.ids, text)) {
                Some(text) => no(text),
                None => Ok(()),
            }
        }
        Ok(Forbids::Argument(name, words)) => {
            let texts = args.get(name).map(ArgValue::texts).unwrap_or_default();
            match texts.into_iter().find(|text| is_one(words, text)) {
                Some(text) => no(text),
                None => Ok(()),
            }
        }
        Ok(Forbids::Paths(paths)) => {
            let checks = tool.steps.iter().filter_map(|step| step.check(Reserved::Path.as_str()));
            for check in checks {
                let Some(value) = check.arg.as_ref().and_then(|name| args.get(name)) else { continue };
                let ArgValue::Path(path) = value else { return no(value.texts().join(", ")) };
                let whole = check.below || tool.effect != Effect::Read;
                if paths.iter().any(|never| touches(whole, path, never)) {
                    return no(path.to_string());
                }
            }
            Ok(())
        }
    }
}

/// Whether this grant forbids a call of that tool that would reach these people, whom a look has seen.
///
/// # Errors
/// As for [`forbids`]. Somebody who cannot be read could be anybody.
pub fn forbids_seen(grant: &Grant, tool: &Tool, people: &[Party]) -> Result<(), Denial> {
    if !grant.deny || grant.tool(&tool.name).is_none() {
        return Ok(());
    }
    let Ok(Forbids::Recipients(patterns)) = Forbids::of(grant) else { return Ok(()) };
    for party in people {
        match party {
            Party::Unknown => {
                return Err(denial(grant, "(somebody who cannot be read, or everybody)".to_owned()));
            }
            Party::Address(address) if patterns.iter().any(|pattern| pattern.resembles(address)) => {
                return Err(denial(grant, address.to_string()));
            }
            Party::Address(_) => {}
        }
    }
    Ok(())
}

/// The objects that a call of that tool must not touch; for `Scope::exclude`.
#[must_use]
pub fn excluded<'a>(grant: &'a Grant, tool: &Tool) -> Option<&'a ResourceBound> {
    if !grant.deny || grant.tool(&tool.name).is_none() {
        return None;
    }
    match Forbids::of(grant) {
        Ok(Forbids::Resource(bound)) => Some(bound),
        _ => None,
    }
}

/// Whether a call on that path touches what lies under the forbidden one. To move, delete or search a folder, as a
/// `whole`, is to do it to what is in it. Case does not count: some file systems ignore it.
fn touches(whole: bool, path: &RelativePath, never: &RelativePath) -> bool {
    let lower = |path: &RelativePath| path.as_str().to_lowercase().parse::<RelativePath>();
    let (Ok(path), Ok(never)) = (lower(path), lower(never)) else { return true };
    path.is_within(&never) || (whole && never.is_within(&path))
}

fn is_one(words: &[String], text: &str) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(text))
}

fn denial(grant: &Grant, value: String) -> Denial {
    let what = grant.caveats.first().map(Caveat::to_text).unwrap_or_else(|| "all calls".to_owned());
    Denial::new(Class::NotGranted)
        .field("deny")
        .caveat(format!("deny: {what}"))
        .value(value)
        .fix(format!("{} forbids it; to take that back: claviger revoke {}", grant.id, grant.id))
}
