//! Steps of service files whose answer or body is too long to be held.

use std::collections::BTreeMap;

use claviger_domain::arg::{Arg, ArgKind};
use claviger_domain::codec::attachment::MediaType;
use claviger_domain::effect::Effect;
use claviger_domain::name::Ident;
use claviger_domain::step::{
    AnswerKind, Codec, Method, Segment, Step, Streamed, Template, UploadBody, Within,
};
use toml::Value;

use super::raw::{RawDecode, RawResumable};
use super::service::keep;
use super::step::{Place, known_arg};
use super::template::{self, Names};

/// How many bytes a stream has at most where the file does not say: 16 GiB.
pub(super) const MOST: u64 = 16 << 30;

/// Reads what is said of an answer that is a stream.
pub(super) fn answer(
    offset: Option<String>,
    decode: Option<RawDecode>,
    max: Option<u64>,
    place: &Place<'_>,
) -> Result<Streamed, String> {
    let offset = offset.map(|text| self::offset(&text, place)).transpose()?;
    let member = decode.map(member).transpose()?;
    if offset.is_some() && member.is_some() {
        return Err(
            "decode and offset do not go together: no range of JSON is a range of what it holds".to_owned()
        );
    }
    Ok(Streamed { offset, member, max: max.unwrap_or(MOST) })
}

fn offset(text: &str, place: &Place<'_>) -> Result<Ident, String> {
    const WRONG: &str = "offset is an argument of type integer whose min is 0, as \"{name}\"";
    let name = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or(WRONG)?;
    known_arg(name, place, |kind| matches!(kind, ArgKind::Integer { min: 0, .. }))
        .map_err(|_| WRONG.to_owned())
}

fn member(raw: RawDecode) -> Result<String, String> {
    let RawDecode { json, r#as } = raw;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    match json.strip_prefix('/') {
        Some(name) if !name.is_empty() && name.bytes().all(plain) && r#as == "base64url" => {
            Ok(name.to_owned())
        }
        _ => Err(
            "decode is a member at the top of the answer, such as { json = \"/data\", as = \"base64url\" }"
                .to_owned(),
        ),
    }
}

/// Reads `body = { upload = "ARG", type = …, within = …, max = … }`; `None` for any other body.
pub(super) fn upload(
    body: Option<&Value>,
    resumable: Option<RawResumable>,
    names: &Names<'_>,
    place: &Place<'_>,
    faults: &mut Vec<String>,
) -> Option<UploadBody> {
    let at = format!("{}.body", place.at);
    let table = match body {
        Some(Value::Table(table)) if table.contains_key("upload") => table,
        _ => {
            if resumable.is_some() {
                faults.push(format!("{at}: resumable is for a body that is an upload"));
            }
            return None;
        }
    };
    let read = || -> Result<UploadBody, String> {
        if table.keys().any(|key| !matches!(key.as_str(), "upload" | "type" | "within" | "max")) {
            return Err("an upload has a type, within and max, and nothing else".to_owned());
        }
        let arg = table.get("upload").and_then(Value::as_str).ok_or("upload names an argument")?;
        let arg = known_arg(arg, place, |kind| matches!(kind, ArgKind::Upload { .. }))?;
        let content_type = table.get("type").map(|value| template::media_type(value, names)).transpose()?;
        let start = resumable.map(|raw| start(&raw.start, place)).transpose()?;
        let within = match (table.get("within"), table.get("max")) {
            (None, None) => None,
            (Some(mail), Some(Value::Integer(max))) if start.is_some() => {
                attachable(content_type.as_ref(), place)?;
                Some(within(mail, *max, names)?)
            }
            _ => {
                return Err(
                    "within goes with max, a number of bytes, and with resumable: what a service makes of \
                            a part of a mail, nobody knows"
                        .to_owned(),
                );
            }
        };
        Ok(UploadBody { arg, content_type, start, within })
    };
    keep(faults, &at, read())
}

/// That whatever the file may be said to be has a place in a mail, so that rendering cannot fail on the catalog's account.
fn attachable(kind: Option<&Template>, place: &Place<'_>) -> Result<(), String> {
    let words = match kind {
        Some(Template::Literal(text)) => std::slice::from_ref(text),
        Some(Template::Param(name)) => {
            match place.args.and_then(|args| args.get(name)).map(|arg| &arg.kind) {
                Some(ArgKind::Choice(words)) => words.as_slice(),
                _ => &[],
            }
        }
        _ => &[],
    };
    words
        .iter()
        .try_for_each(|word| MediaType::parse(word).map(drop).map_err(|error| format!("type {error}")))
}

/// The mail that a file stands in.
fn within(mail: &Value, max: i64, names: &Names<'_>) -> Result<Within, String> {
    let max = u64::try_from(max).map_err(|_| "max is not negative".to_owned())?;
    match template::parse(mail, names)? {
        mail @ Template::Codec(Codec::Rfc5322, _) => Ok(Within { mail, max }),
        _ => Err("a file stands within a mail: within is of the codec rfc5322".to_owned()),
    }
}

/// The step that begins a session is made of the call's arguments alone, and looked at by nobody but the vault.
fn start(name: &str, place: &Place<'_>) -> Result<Ident, String> {
    let steps = place.steps.ok_or("a service's own step has no upload")?;
    let found = steps.values().find(|step| step.name.as_str() == name).ok_or(format!("no step {name}"))?;
    if found.local || found.is_streamed() || found.method == Method::Get || !found.checks.is_empty() {
        return Err(format!(
            "{name} does not begin an upload: it is a request that changes something, without checks"
        ));
    }
    for name in found.names() {
        if !place.args.is_some_and(|args| args.contains_key(name)) {
            return Err(format!("the step that begins the upload needs {name}, which is no argument"));
        }
    }
    Ok(found.name.clone())
}

/// What a step must be for its answer or its body to be a stream: every bound is decided before the first byte, for
/// nothing can be taken back.
pub(super) fn fits(step: &Step, place: &Place<'_>, faults: &mut Vec<String>) {
    let mut fault = |text: &str| faults.push(format!("{}: {text}", place.at));
    if !step.is_streamed() {
        return;
    }
    if place.args.is_none() {
        fault("only a tool's step is a stream");
    }
    if step.page.is_some() || step.letter.is_some() || step.local {
        fault("a stream has no pages and no letter, and is not local");
    }
    if let AnswerKind::Stream(_) = step.answer {
        if step.method != Method::Get || step.body.is_some() || step.upload.is_some() {
            fault("an answer that is a stream is asked for by GET");
        }
        if !step.yields.is_empty() || !step.authors.is_empty() {
            fault("an answer that is a stream names no ids and no authors");
        }
        let late = |check: &claviger_domain::step::Check| {
            check.response.is_some()
                || check.elements.is_some()
                || check.probe.as_ref().is_some_and(|probe| probe.of.is_some())
        };
        for (name, _) in step.checks.iter().filter(|(_, check)| late(check)) {
            fault(&format!(
                "check.{name}: a stream is bounded before its first byte: by arg, by query or by probe"
            ));
        }
    }
    if let Some(upload) = &step.upload {
        let fits = match (&upload.start, step.method) {
            // The rest of it goes where the upstream said, which is at or below this.
            (Some(_), Method::Put) => {
                step.path.iter().all(|part| matches!(part, Segment::Literal(_))) && step.query.is_empty()
            }
            (None, Method::Put | Method::Post) => true,
            _ => false,
        };
        if !fits {
            fault("an upload is a PUT or a POST; a resumable one a PUT below a path without parameters");
        }
        if !step.answer.is_json() {
            fault("an upload is answered with JSON");
        }
    }
}

/// What else a tool with a stream must be.
pub(super) fn tool_faults(
    effect: Option<Effect>,
    untrusted: bool,
    args: &BTreeMap<Ident, Arg>,
    steps: &[Step],
) -> Vec<String> {
    let mut faults = Vec::new();
    let down = steps.iter().any(|step| matches!(step.answer, AnswerKind::Stream(_)));
    if down && effect.is_some_and(|effect| !effect.is_read()) {
        faults.push("an answer that is a stream is a read's".to_owned());
    }
    if down && !untrusted {
        faults.push("what passes by unseen is nobody's to trust: answers = \"untrusted\"".to_owned());
    }
    if steps.iter().any(|step| step.upload.is_some()) && effect.is_some_and(Effect::is_read) {
        faults.push("a tool that uploads does not only read".to_owned());
    }
    for (name, _) in args.iter().filter(|(_, arg)| matches!(arg.kind, ArgKind::Upload { .. })) {
        let used = steps.iter().filter(|step| step.upload.as_ref().is_some_and(|upload| upload.arg == *name));
        if used.count() != 1 {
            faults.push(format!("args.{name}: one step, and one only, sends it"));
        }
    }
    faults
}
