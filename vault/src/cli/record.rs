//! One record of the audit log as a line of JSON, for programs that collect logs.

use claviger_domain::event::Event;
use serde_json::{Map, Value};

use super::audit::hex;

/// The record under the names that `log --json` uses, with its index; what it does not have is left out. Ids, the
/// vault's run and the keyed digest of the arguments (64 hex digits; equal for equal arguments) are strings, times are
/// milliseconds since 1970, durations microseconds, sizes bytes.
///
/// Destructured without `..`, so that a new field must find its place here before this compiles.
pub(super) fn record(index: u64, event: Event) -> Value {
    let Event {
        kind,
        reference,
        at_ms,
        boot,
        actor,
        agent,
        adapter,
        secret,
        secret_version,
        grant,
        handle,
        ancestors,
        call,
        use_id,
        tool,
        step,
        effect,
        taints,
        status,
        bytes,
        micros,
        ending,
        class,
        field,
        count,
        digest,
    } = event;
    let mut line = Map::new();
    let mut add = |name: &str, value: Option<Value>| line.extend(value.map(|value| (name.to_owned(), value)));
    add("index", Some(index.into()));
    add("reference", Some(reference.to_string().into()));
    add("at_ms", Some(at_ms.into()));
    add("boot", Some(boot.to_string().into()));
    add("kind", Some(kind.as_str().into()));
    add("actor", Some(actor.to_string().into()));
    add("agent", word(agent));
    add("adapter", word(adapter));
    add("secret", word(secret));
    add("secret_version", secret_version.map(Value::from));
    add("grant", word(grant));
    add("handle", word(handle));
    let above: Vec<Value> = ancestors.iter().map(|id| id.to_string().into()).collect();
    add("ancestors", (!above.is_empty()).then_some(Value::Array(above)));
    add("call", word(call));
    add("use", word(use_id));
    add("tool", word(tool));
    add("step", step.map(Value::from));
    add("effect", word(effect));
    add("taints", taints.then_some(Value::Bool(true)));
    add("status", status.map(Value::from));
    add("bytes", bytes.map(Value::from));
    add("micros", micros.map(Value::from));
    add("ending", ending.map(|ending| ending.as_str().into()));
    add("class", word(class));
    add("field", field.map(Value::from));
    add("count", count.map(Value::from));
    add("digest", digest.map(|digest| hex(&digest).into()));
    Value::Object(line)
}

fn word(value: Option<impl ToString>) -> Option<Value> {
    value.map(|value| value.to_string().into())
}
