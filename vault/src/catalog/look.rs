//! Looks of service files.

use std::collections::BTreeMap;

use claviger_domain::arg::{Arg, ArgKind};
use claviger_domain::look::{Holds, Look};
use claviger_domain::name::Ident;
use claviger_domain::pointer::Pointer;
use claviger_domain::step::{AnswerKind, Step};

use super::check::{pointer, word};
use super::raw::{RawHolds, RawLook};
use super::service::keep;
use super::step::one;

/// Reads a tool's looks; faults are noted.
pub(super) fn build(
    raw: Vec<RawLook>,
    at: &str,
    args: &BTreeMap<Ident, Arg>,
    steps: &BTreeMap<Ident, Step>,
    faults: &mut Vec<String>,
) -> Vec<Look> {
    let mut looks: Vec<Look> = Vec::new();
    for raw in raw {
        let at = format!("{at}.look.{}", raw.name);
        if let Some(look) = look(raw, &at, args, steps, faults) {
            if looks.iter().any(|other| other.name == look.name) {
                faults.push(format!("{at}: two looks have one name"));
            }
            looks.push(look);
        }
    }
    looks
}

fn look(
    raw: RawLook,
    at: &str,
    args: &BTreeMap<Ident, Arg>,
    steps: &BTreeMap<Ident, Step>,
    faults: &mut Vec<String>,
) -> Option<Look> {
    let RawLook {
        name,
        step,
        optional,
        when,
        people,
        except,
        except_calendar,
        private,
        sends_if,
        pin,
        show,
        etag,
    } = raw;
    let name = keep(faults, at, name.parse::<Ident>());
    let when = when.and_then(|text| {
        let found = args.keys().find(|known| known.as_str() == text).cloned();
        if found.is_none() {
            faults.push(format!("{at}.when: no argument {text}"));
        }
        found
    });
    let except_calendar = except_calendar.and_then(|text| {
        let found = args.iter().find(|(known, arg)| known.as_str() == text && arg.kind == ArgKind::Calendar);
        if found.is_none() {
            faults.push(format!("{at}.except_calendar: no argument {text} of type calendar"));
        }
        found.map(|(name, _)| name.clone())
    });
    let found = steps.values().find(|known| known.name.as_str() == step);
    match found {
        None => faults.push(format!("{at}: no step {step}")),
        Some(step) => {
            if let Err(fault) = fillable(step, when.as_ref(), args) {
                faults.push(format!("{at}: {fault}"));
            }
        }
    }
    let mut pointers = |key: &str, texts: Vec<String>| -> Vec<Pointer> {
        let at = format!("{at}.{key}");
        texts.into_iter().filter_map(|text| keep(faults, &at, pointer(text))).collect()
    };
    let people = pointers("people", people);
    let except = pointers("except", except);
    let sends_if = pointers("sends_if", sends_if);
    let pin = pointers("pin", pin);
    let private = private.and_then(|RawHolds { at: place, is }| {
        let holds = one(place).and_then(|at| Ok(Holds { at, is: word(&is)? }));
        keep(faults, &format!("{at}.private"), holds)
    });
    let mut shown = BTreeMap::new();
    for (title, place) in show {
        if let Some(place) = keep(faults, &format!("{at}.show.{title}"), pointer(place)) {
            shown.insert(title, place);
        }
    }
    if optional && people.is_empty() {
        faults.push(format!("{at}: a look that may fail says by its people whom the call would reach"));
    }
    let etag = etag.and_then(|place| keep(faults, &format!("{at}.etag"), one(place)));
    Some(Look {
        name: name?,
        step: found?.name.clone(),
        optional,
        when,
        people,
        except,
        except_calendar,
        private,
        sends_if,
        pin,
        show: shown,
        etag,
    })
}

/// A look is made of the call's arguments alone: each name its request takes is one, and those of its path are there.
fn fillable(step: &Step, when: Option<&Ident>, args: &BTreeMap<Ident, Arg>) -> Result<(), String> {
    if step.local || !matches!(step.answer, AnswerKind::Json { .. }) {
        return Err("a look is a request that is answered with JSON".to_owned());
    }
    if !matches!(step.method, claviger_domain::step::Method::Get) {
        return Err("a look changes nothing: its step is a GET".to_owned());
    }
    for name in step.names() {
        if !args.contains_key(name) {
            return Err(format!("its step needs {name}, which is no argument"));
        }
    }
    for name in step.path_names() {
        let Some(arg) = args.get(name) else { continue };
        if matches!(arg.kind, ArgKind::Ids { .. } | ArgKind::Addresses { .. }) {
            return Err(format!("its step needs one {name}, which is a list"));
        }
        if !arg.required && arg.default.is_none() && when != Some(name) {
            return Err(format!("its step needs {name}, which may be left out: say when = \"{name}\""));
        }
    }
    Ok(())
}
