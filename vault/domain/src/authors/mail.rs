//! A mail's author, as the receiving provider vouches for it.

use serde_json::Value;

use super::results::{Outcome, Results};
use crate::address::Address;

/// The author of a mail with these headers, topmost first: the one address of its one `From`, where the provider's own
/// `Authentication-Results`, the topmost of all, says that DMARC passed for exactly that domain.
///
/// RFC 8601 section 5 has a receiving server remove headers that claim to be its own. A second one that bears the
/// provider's name is therefore a forgery that got through, and nothing of that mail is believed.
pub(super) fn author(headers: &[Value], provider: &str) -> Option<Address> {
    let mut from = None;
    let mut results = None;
    for header in headers {
        let name = header.get("name")?.as_str()?;
        let value = header.get("value")?.as_str()?;
        let name = name.trim_matches([' ', '\t']);
        if name.eq_ignore_ascii_case("from") {
            if from.replace(value).is_some() {
                return None;
            }
        } else if name.eq_ignore_ascii_case("authentication-results") {
            match &results {
                None => results = Some(Results::parse(value).ok()?),
                // Of an earlier server on the way, or a forger's: of no interest, unless it poses as the provider.
                Some(_) if poses_as(value, provider) => return None,
                Some(_) => {}
            }
        }
    }
    let (author, results) = (from_address(from?)?, results?);
    if !results.server.eq_ignore_ascii_case(provider) {
        return None;
    }
    let mut verdicts = results.outcomes.iter().filter(|outcome| outcome.method == "dmarc");
    let verdict: &Outcome = verdicts.next()?;
    if verdicts.next().is_some() || verdict.result != "pass" {
        return None;
    }
    let mut domains = verdict.properties.iter().filter(|(name, _)| name == "header.from");
    let (_, domain) = domains.next()?;
    let agrees = domains.next().is_none() && domain.eq_ignore_ascii_case(author.domain());
    agrees.then_some(author)
}

/// Whether a header that may well be malformed begins with the provider's name, or hides its beginning.
fn poses_as(value: &str, provider: &str) -> bool {
    match Results::parse(value) {
        Ok(results) => results.server.eq_ignore_ascii_case(provider),
        Err(_) => value.to_ascii_lowercase().contains(&provider.to_ascii_lowercase()),
    }
}

/// The one address of a `From` (RFC 5322 section 3.6.2): `a@example.org` or `Name <a@example.org>`. A comment or a
/// quoted name may hold anything. Several authors, a group, a name that looks like an address: nobody.
#[must_use]
pub fn from_address(value: &str) -> Option<Address> {
    let mut outside = String::new();
    let mut inside: Option<String> = None;
    let mut chars = value.chars();
    let mut depth = 0_u32;
    while let Some(c) = chars.next() {
        match (depth, c) {
            (_, '\r' | '\n' | '\0') => return None,
            (0, '"') => loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => drop(chars.next()?),
                    '\r' | '\n' => return None,
                    _ => {}
                }
            },
            (_, '(') => depth += 1,
            (1.., ')') => depth -= 1,
            (1.., '\\') => drop(chars.next()?),
            (1.., _) => {}
            (0, '<') if inside.is_none() => {
                let mut address = String::new();
                loop {
                    match chars.next()? {
                        '>' => break,
                        c => address.push(c),
                    }
                }
                inside = Some(address);
            }
            (0, '<' | '>' | ')' | ',' | ';' | ':' | '\\') => return None,
            (0, c) if inside.is_some() && !matches!(c, ' ' | '\t') => return None,
            (0, c) => outside.push(c),
        }
    }
    if depth != 0 {
        return None;
    }
    match inside {
        Some(address) if !outside.contains('@') => address.parse().ok(),
        Some(_) => None,
        None => outside.trim_matches([' ', '\t']).parse().ok(),
    }
}

#[cfg(test)]
mod tests;
