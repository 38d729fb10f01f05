//! Where a step's answer says who wrote what is in it.

use claviger_domain::arg::ArgKind;
use claviger_domain::authors::{Authors, IfGiven, Who};
use claviger_domain::look::Holds;
use claviger_domain::pointer::Pointer;
use claviger_domain::step::{AnswerKind, Step};

use super::check::{fillable, pointer, word};
use super::raw::{RawAuthors, RawAuthorsList, RawHolds, RawIfGiven};
use super::step::{Place, known_arg, one};

/// Reads `authors = …` of a step: one table, or a list of some.
pub(super) fn all(raw: RawAuthorsList, step: &Step, place: &Place<'_>) -> Result<Vec<Authors>, String> {
    let raw = match raw {
        RawAuthorsList::One(one) => vec![*one],
        RawAuthorsList::Several(several) if several.is_empty() => {
            return Err("an empty list of authors says nothing; leave it out".to_owned());
        }
        RawAuthorsList::Several(several) => several,
    };
    raw.into_iter().map(|raw| authors(raw, step, place)).collect()
}

fn authors(raw: RawAuthors, step: &Step, place: &Place<'_>) -> Result<Authors, String> {
    let RawAuthors {
        step: asked,
        elements,
        nobody,
        mail,
        provider,
        editors,
        sharers,
        writers,
        people,
        must,
        if_given,
        calendar,
        hide,
    } = raw;
    let asked = match asked {
        None if !step.answer.is_json() => {
            return Err("an answer of bytes does not say who wrote it; name a step that does".to_owned());
        }
        None => None,
        Some(_) if !hide.is_empty() => {
            return Err("what another step answers is never released, and so not hidden".to_owned());
        }
        Some(name) => {
            let steps = place.steps.ok_or("a service's own step asks no other")?;
            let found =
                steps.values().find(|step| step.name.as_str() == name).ok_or(format!("no step {name}"))?;
            fillable(found, step, None, place)?;
            Some(found.name.clone())
        }
    };
    let mut who = Vec::new();
    match (mail, provider) {
        (Some(headers), Some(provider)) if is_host(&provider) => {
            who.push(Who::Mail { headers: one(headers)?, provider });
        }
        (None, None) => {}
        _ => return Err("mail goes with provider, the name of a host".to_owned()),
    }
    for (list, kind) in [
        (editors, Who::Editors as fn(Pointer) -> Who),
        (sharers, Who::Sharers as fn(Pointer) -> Who),
        (writers, Who::Writers as fn(Pointer) -> Who),
    ] {
        who.extend(list.map(one).transpose()?.map(kind));
    }
    if let Some(people) = people {
        if people.is_empty() {
            return Err("people names at least one place".to_owned());
        }
        who.push(Who::People(people.into_iter().map(pointer).collect::<Result<_, _>>()?));
    }
    match (nobody, who.is_empty()) {
        (true, true) if asked.is_none() => who.push(Who::Nobody),
        (false, false) => {}
        _ => {
            return Err(
                "authors is nobody = true; or any of mail with provider, editors, sharers, writers and \
                        people, all of which must be trusted"
                    .to_owned(),
            );
        }
    }
    let calendar =
        calendar.map(|name| known_arg(&name, place, |kind| *kind == ArgKind::Calendar)).transpose()?;
    // A field of the answer that is not released anyway could not be hidden, nor looked at.
    if let (AnswerKind::Json { fields }, None) = (&step.answer, &elements)
        && let Some(name) = hide.iter().find(|name| !fields.contains(name))
    {
        return Err(format!("hide: {name} is none of the fields"));
    }
    Ok(Authors {
        step: asked,
        elements: elements.map(one).transpose()?,
        who,
        must: must.into_iter().map(holds).collect::<Result<_, _>>()?,
        if_given: if_given.into_iter().map(given).collect::<Result<_, _>>()?,
        calendar,
        hide,
    })
}

fn holds(RawHolds { at, is }: RawHolds) -> Result<Holds, String> {
    Ok(Holds { at: one(at)?, is: word(&is)? })
}

fn given(RawIfGiven { at, is }: RawIfGiven) -> Result<IfGiven, String> {
    Ok(IfGiven { at: one(at)?, is: is.as_ref().map(word).transpose()? })
}

/// An authserv-id is a host's name: what is compared must not be empty, or a pattern.
fn is_host(text: &str) -> bool {
    text.contains('.') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
}
