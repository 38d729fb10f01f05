//! Where a step's answer says who wrote what is in it.

use claviger_domain::authors::{Authors, Who};
use claviger_domain::pointer::Pointer;
use claviger_domain::step::Step;

use super::check::fillable;
use super::raw::RawAuthors;
use super::step::Place;

/// Reads `authors = { … }` of a step.
pub(super) fn authors(raw: RawAuthors, step: &Step, place: &Place<'_>) -> Result<Authors, String> {
    let RawAuthors { step: asked, elements, nobody, mail, provider, editors, people } = raw;
    let pointer = |text: String| text.parse::<Pointer>().map_err(|error| error.to_string());
    let one = |text: String| match pointer(text)? {
        pointer if pointer.is_many() => Err("it points at one list, without a star".to_owned()),
        pointer => Ok(pointer),
    };
    let asked = match asked {
        None if !step.answer.is_json() => {
            return Err("an answer of bytes does not say who wrote it; name a step that does".to_owned());
        }
        None => None,
        Some(name) => {
            let steps = place.steps.ok_or("a service's own step asks no other")?;
            let found =
                steps.values().find(|step| step.name.as_str() == name).ok_or(format!("no step {name}"))?;
            fillable(found, step, None, place)?;
            Some(found.name.clone())
        }
    };
    let who = match (nobody, mail, provider, editors, people) {
        (true, None, None, None, None) if asked.is_none() => Who::Nobody,
        (false, Some(headers), Some(provider), None, None) if is_host(&provider) => {
            Who::Mail { headers: one(headers)?, provider }
        }
        (false, None, None, Some(list), None) => Who::Editors(one(list)?),
        (false, None, None, None, Some(people)) if !people.is_empty() => {
            Who::People(people.into_iter().map(pointer).collect::<Result<_, _>>()?)
        }
        _ => {
            return Err(
                "authors is nobody = true, mail with provider, editors, or people: one of them".to_owned()
            );
        }
    };
    Ok(Authors { step: asked, elements: elements.map(one).transpose()?, who })
}

/// An authserv-id is a host's name: what is compared must not be empty, or a pattern.
fn is_host(text: &str) -> bool {
    text.contains('.') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
}
