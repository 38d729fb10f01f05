//! A service of things that tests hold, and one of files that nobody sends anything for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use claviger_domain::caveat::{Caveat, PeopleBound, ResourceBound, Role};
use claviger_domain::refusal::{Class, Refusal};
use claviger_domain::secret::SecretBytes;
use serde_json::{Value, json};

use super::upstream::{Seen, json as answer};
use super::world::{ADMIN, World, adapter, agent, secret, within};
use crate::broker::view::NewValue;
use crate::port::UpstreamFault;

const BOX: &str = r#"
id = "box"
title = "Box"
origin = "https://box.example"
auth = { kind = "bearer" }

[step.facts]
method = "GET"
path = "/things/{thing_id}"
[step.part]
method = "GET"
path = "/things/{part}"
[step.below]
method = "GET"
path = "/folders/{folder_id}/folders"
page = { take = "/next", query = "page" }

[resource.folder]
summary = "folders"
resolve = { step = "below", list = "/folders", match = "/name", take = "/id" }
nested = { step = "below", list = "/folders", take = "/id", arg = "folder_id" }

[tool.update]
summary = "Change a thing"
effect = "write"
requests = 3
args.thing_id = { type = "id", required = true, summary = "" }
args.guests = { type = "addresses", summary = "" }
[[tool.update.look]]
name = "thing"
step = "facts"
people = ["/guests/*/mail"]
except = ["/me"]
private = { at = "/shared", is = false }
show = { Title = "/title" }
etag = "/etag"
[[tool.update.step]]
name = "put"
method = "PUT"
path = "/things/{thing_id}"
fields = ["id"]
if_match = "thing"
body = { codec = "json", fields = { raw = "{raw}", title = "x" } }
param.raw = { from = "look", look = "thing", at = "/raw" }
check.recipients = { args = ["guests"] }
check.folder = { probe = "facts", at = "/parents" }

[tool.read]
summary = "Read a thing"
effect = "read"
args.thing_id = { type = "id", required = true, summary = "" }
[[tool.read.step]]
name = "get"
method = "GET"
path = "/things/{thing_id}"
fields = ["id", "title"]
refuse = [{ at = "/kind", is = "shortcut" }]
check.folder = { response = "/parents" }
check.sender = { response = "/headers/*[name=From]/value" }
check.date = { response = "/when" }
check.file = { arg = "thing_id" }
check.made = { arg = "thing_id" }

[tool.list]
summary = "List things"
effect = "read"
[[tool.list.step]]
name = "list"
method = "GET"
path = "/things"
fields = ["things"]
refuse = [{ elements = "/things", at = "/kind", is = "shortcut" }]
check.folder = { elements = "/things", at = "/parents" }
check.sender = { elements = "/things", at = "/headers/*[name=From]/value" }
check.date = { elements = "/things", at = "/when" }
check.file = { elements = "/things", at = "/id" }
check.made = { elements = "/things", at = "/id" }

[tool.glance]
summary = "List things that do not say themselves what they belong to"
effect = "read"
[[tool.glance.step]]
name = "list"
method = "GET"
path = "/things"
fields = ["things"]
check.folder = { elements = "/things", take = "/id", probe = "facts", as = "thing_id", at = "/parents" }

[tool.thread]
summary = "Read a thread"
effect = "read"
[[tool.thread.step]]
name = "get"
method = "GET"
path = "/things"
fields = ["things"]
check.folder = { elements = "/things", at = "/parents", nonempty = true }

[tool.in_folder]
summary = "List a folder"
effect = "read"
args.folder_id = { type = "id", required = true, summary = "" }
[[tool.in_folder.step]]
name = "list"
method = "GET"
path = "/things"
fields = ["things"]
query = { in = "{folder}" }
param.folder = { from = "scope", resource = "folder" }
check.folder = { arg = "folder_id", elements = "/things", at = "/parents" }

[tool.make]
summary = "Make a thing"
effect = "write"
[[tool.make.step]]
name = "post"
method = "POST"
path = "/things"
fields = ["id"]
makes = { id = "/id" }

[tool.batch]
summary = "Change many"
effect = "write"
args.things = { type = "ids", summary = "" }
[[tool.batch.step]]
name = "post"
method = "POST"
path = "/batch"
body = { codec = "json", fields = { ids = "{things}" } }
check.folder = { probe = "part", at = "/parents", each = "things", as = "part" }
"#;

const NAS: &str = r#"
id = "nas"
title = "Files"
auth = { kind = "none" }
[tool.read]
summary = "Read"
effect = "read"
args.path = { type = "path", required = true, summary = "" }
[[tool.read.step]]
name = "open"
local = true
check.path = { arg = "path" }
[tool.write]
summary = "Write"
effect = "write"
args.path = { type = "path", required = true, summary = "" }
[[tool.write.step]]
name = "open"
local = true
check.path = { arg = "path" }
"#;

type Things = Arc<Mutex<BTreeMap<String, Value>>>;

/// What is called before each answer.
type Hooked = Arc<Mutex<Option<Box<dyn FnMut(&Seen) + Send>>>>;

/// A service of things, and what was done to it.
pub(super) struct Boxes {
    pub(super) world: World,
    pub(super) things: Things,
    /// Called before each answer, with the request.
    before: Hooked,
}

pub(super) async fn boxes(things: &[(&str, Value)]) -> Boxes {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("box.toml"), BOX).unwrap();
    std::fs::write(folder.path().join("nas.toml"), NAS).unwrap();
    let catalog = crate::catalog::load(Some(folder.path()), &BTreeMap::new(), &BTreeMap::new()).unwrap();
    let world = World::with(catalog).await;
    for (name, uid) in [("ann", 2001), ("bob", 2002)] {
        world.broker.add_agent(ADMIN, agent(name), Some(uid), false, false).await.unwrap();
    }
    for (name, uid) in [("box", 3001), ("nas", 3002)] {
        world.broker.add_adapter(ADMIN, adapter(name), Some(uid), None).await.unwrap();
    }
    let value = NewValue::Bearer(SecretBytes::from_text("token".to_owned()));
    world.broker.add_secret(ADMIN, secret("box/me"), value).await.unwrap();
    world.broker.add_secret(ADMIN, secret("nas/me"), NewValue::None).await.unwrap();
    let things: Things =
        Arc::new(Mutex::new(things.iter().map(|(id, thing)| ((*id).to_owned(), thing.clone())).collect()));
    let before: Hooked = Arc::default();
    let (all, hook) = (Arc::clone(&things), Arc::clone(&before));
    let made = AtomicUsize::new(0);
    world.upstream.answer_with(move |seen| {
        if let Some(hook) = &mut *hook.lock().unwrap() {
            hook(seen);
        }
        reply(seen, &mut all.lock().unwrap(), &made)
    });
    Boxes { world, things, before }
}

fn reply(
    seen: &Seen,
    things: &mut BTreeMap<String, Value>,
    made: &AtomicUsize,
) -> Result<crate::port::Answer, UpstreamFault> {
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (seen.method.as_str(), parts.as_slice()) {
        ("POST", ["things"]) => {
            let id = format!("made{}", made.fetch_add(1, Ordering::SeqCst));
            things.insert(id.clone(), json!({ "id": id }));
            answer(200, &json!({ "id": id }))
        }
        ("GET", ["things"]) => {
            let all: Vec<&Value> = things.values().collect();
            answer(200, &json!({ "things": all, "total": all.len() }))
        }
        ("GET", ["folders", id, "folders"]) => {
            let page = query.strip_prefix("page=").map_or(0, |page| page.parse::<usize>().unwrap());
            let below: Vec<Value> = things
                .iter()
                .filter(|(_, thing)| thing["folder"] == json!(true) && thing["parents"] == json!([*id]))
                .map(|(id, _)| json!({ "id": id }))
                .collect();
            let mut list = json!({ "folders": below.iter().skip(page).take(1).collect::<Vec<_>>() });
            if page + 1 < below.len() {
                list["next"] = json!((page + 1).to_string());
            }
            answer(200, &list)
        }
        (_, ["things", id]) => match things.get(*id) {
            Some(thing) if seen.method == "GET" => answer(200, thing),
            Some(thing) if seen.if_match.is_some() && seen.if_match.as_deref() != thing["etag"].as_str() => {
                answer(412, &json!({}))
            }
            Some(_) => answer(200, &json!({ "id": id })),
            None => answer(404, &json!({})),
        },
        _ => answer(200, &json!({})),
    }
}

impl Boxes {
    pub(super) fn set(&self, id: &str, thing: Value) {
        self.things.lock().unwrap().insert(id.to_owned(), thing);
    }

    /// Does something right before the upstream answers such a request, once.
    pub(super) fn once(&self, wanted: impl Fn(&Seen) -> bool + Send + 'static, id: &str, thing: Value) {
        let (things, id) = (Arc::clone(&self.things), id.to_owned());
        let done = AtomicBool::new(false);
        *self.before.lock().unwrap() = Some(Box::new(move |seen| {
            if wanted(seen) && !done.swap(true, Ordering::SeqCst) {
                things.lock().unwrap().insert(id.clone(), thing.clone());
            }
        }));
    }

    pub(super) fn changes(&self) -> usize {
        self.world.upstream.calls().iter().filter(|call| call.method != "GET").count()
    }

    pub(super) async fn call(&self, tool: &str, args: Value) -> Result<Value, Refusal> {
        let sent = self.world.call(tool, args).await?;
        Ok(serde_json::from_slice(&sent.body).unwrap())
    }
}

pub(super) fn thing(more: Value) -> Value {
    let mut thing = json!({
        "id": "t", "title": "T", "shared": false, "etag": "\"1\"", "raw": "old", "parents": ["in"], "me": "me@x.org",
    });
    thing.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    thing
}

pub(super) fn attendees(patterns: &[&str]) -> Caveat {
    let patterns = patterns.iter().map(|text| text.parse().unwrap()).collect();
    Caveat::People(PeopleBound { role: Role::Attendee, patterns })
}

pub(super) fn senders(patterns: &[&str]) -> Caveat {
    let patterns = patterns.iter().map(|text| text.parse().unwrap()).collect();
    Caveat::People(PeopleBound { role: Role::Sender, patterns })
}

pub(super) fn nested(ids: &[&str]) -> Caveat {
    match within("folder", ids) {
        Caveat::Resource(bound) => Caveat::Resource(ResourceBound { nested: true, ..bound }),
        other => other,
    }
}

pub(super) fn told<T>(result: Result<T, Refusal>) -> (Class, Option<String>) {
    match result {
        Ok(_) => panic!("it was allowed"),
        Err(refusal) => (refusal.class, refusal.field),
    }
}

pub(super) fn absent() -> (Class, Option<String>) {
    (Class::OutOfScope, Some("object".to_owned()))
}

pub(super) const UPDATE: &str = "box.update";

pub(super) const READ: &str = "box.read";
pub(super) const LIST: &str = "box.list";

pub(super) fn from(texts: &[&str]) -> Value {
    let headers: Vec<Value> = texts.iter().map(|text| json!({ "name": "From", "value": text })).collect();
    thing(json!({ "headers": headers }))
}
