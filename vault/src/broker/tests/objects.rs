//! What sits in objects and not in arguments: looks, people, what was made, what lies below, and local steps.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use claviger_domain::caveat::{Caveat, DateBound, PeopleBound, ResourceBound, Role};
use claviger_domain::effect::Effect;
use claviger_domain::event::{Ending, Kind};
use claviger_domain::refusal::{Class, Refusal};
use claviger_domain::secret::SecretBytes;
use serde_json::{Value, json};

use super::upstream::{Seen, json as answer};
use super::world::{ADMIN, World, adapter, agent, ask, class, secret, within};
use crate::broker::error::AdminError;
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
    things: Things,
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
    fn set(&self, id: &str, thing: Value) {
        self.things.lock().unwrap().insert(id.to_owned(), thing);
    }

    /// Does something right before the upstream answers such a request, once.
    fn once(&self, wanted: impl Fn(&Seen) -> bool + Send + 'static, id: &str, thing: Value) {
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

    async fn call(&self, tool: &str, args: Value) -> Result<Value, Refusal> {
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

fn attendees(patterns: &[&str]) -> Caveat {
    let patterns = patterns.iter().map(|text| text.parse().unwrap()).collect();
    Caveat::People(PeopleBound { role: Role::Attendee, patterns })
}

fn senders(patterns: &[&str]) -> Caveat {
    let patterns = patterns.iter().map(|text| text.parse().unwrap()).collect();
    Caveat::People(PeopleBound { role: Role::Sender, patterns })
}

fn nested(ids: &[&str]) -> Caveat {
    match within("folder", ids) {
        Caveat::Resource(bound) => Caveat::Resource(ResourceBound { nested: true, ..bound }),
        other => other,
    }
}

fn told<T>(result: Result<T, Refusal>) -> (Class, Option<String>) {
    match result {
        Ok(_) => panic!("it was allowed"),
        Err(refusal) => (refusal.class, refusal.field),
    }
}

fn absent() -> (Class, Option<String>) {
    (Class::OutOfScope, Some("object".to_owned()))
}

const UPDATE: &str = "box.update";

#[tokio::test]
async fn the_effect_sits_in_the_object() {
    let boxes = boxes(&[("t", thing(json!({})))]).await;
    boxes.world.grant(&[UPDATE], vec![]).await;
    let effect = async |thing: Value| {
        boxes.set("t", thing);
        boxes.world.mint(UPDATE, json!({ "thing_id": "t" })).await.unwrap().effect
    };
    assert_eq!(effect(thing(json!({}))).await, Effect::Write);
    assert_eq!(effect(thing(json!({ "shared": true }))).await, Effect::Send);
    assert_eq!(effect(thing(json!({ "shared": null }))).await, Effect::Send);
    let mut silent = thing(json!({}));
    silent.as_object_mut().unwrap().remove("shared");
    assert_eq!(effect(silent).await, Effect::Send);
    assert_eq!(effect(thing(json!({ "guests": [{ "mail": "b@y.org" }] }))).await, Effect::Send);
    assert_eq!(effect(thing(json!({ "guests": [{ "mail": "me@x.org" }] }))).await, Effect::Write);
    // The intent and the outcome of what is sent say so too, and every look is a read of its own.
    let minted = boxes.world.mint(UPDATE, json!({ "thing_id": "t" })).await.unwrap();
    boxes.set("t", thing(json!({ "guests": [{ "mail": "me@x.org" }] })));
    boxes.world.send(&minted, "put", &[]).await.unwrap();
    let intents = boxes.world.audit.events(Kind::Intent);
    let of = |step: &str| {
        let of = intents.iter().filter(|(_, event, _)| event.step.as_deref() == Some(step));
        of.map(|(_, event, _)| event.effect.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(of("put"), [Effect::Write]);
    assert!(of("look thing").len() == 8 && of("look thing").iter().all(|effect| effect.is_read()));
    boxes.world.all_announced();
}

#[tokio::test]
async fn a_look_that_sees_nothing_is_told_like_an_absent_object() {
    let boxes = boxes(&[("t", thing(json!({}))), ("other", thing(json!({ "parents": ["out"] })))]).await;
    boxes.world.grant(&[UPDATE], vec![within("folder", &["in"])]).await;
    assert_eq!(told(boxes.call(UPDATE, json!({ "thing_id": "none" })).await), absent());
    assert_eq!(told(boxes.call(UPDATE, json!({ "thing_id": "other" })).await), absent());
    for (status, body) in [(403, json!({})), (410, json!({})), (500, json!({})), (200, json!([1]).clone())] {
        boxes.world.upstream.answer_with(move |_| answer(status, &body));
        let refused = told(boxes.call(UPDATE, json!({ "thing_id": "t" })).await);
        assert_eq!(refused, absent(), "{status}");
    }
    assert_eq!(boxes.changes(), 0);
}

/// Neither its effect nor a question to its owner tells that an object out of scope is there.
#[tokio::test]
async fn what_is_out_of_scope_is_refused_before_anybody_is_told_of_it() {
    let boxes = boxes(&[("other", thing(json!({ "parents": ["out"], "shared": true })))]).await;
    boxes.world.grant(&[UPDATE], vec![within("folder", &["in"])]).await;
    for id in ["other", "none"] {
        assert_eq!(told(boxes.world.mint(UPDATE, json!({ "thing_id": id })).await), absent(), "{id}");
    }
    let outcomes = boxes.world.audit.events(Kind::Outcome);
    assert!(outcomes.iter().all(|(_, event, _)| event.ending == Some(Ending::Withheld)));
    let looked =
        |(_, event, _): &(_, claviger_domain::event::Event, _)| event.step.as_deref() == Some("look thing");
    assert!(!outcomes.iter().any(looked));
}

#[tokio::test]
async fn what_was_decided_on_is_what_is_done() {
    let boxes = boxes(&[("t", thing(json!({})))]).await;
    boxes.world.grant(&[UPDATE], vec![]).await;
    // The vault fills the request from the second look, and guards it.
    boxes.call(UPDATE, json!({ "thing_id": "t" })).await.unwrap();
    let put = boxes.world.upstream.calls().into_iter().find(|call| call.method == "PUT").unwrap();
    assert_eq!(put.body, r#"{"raw":"old","title":"x"}"#);
    assert_eq!(put.if_match.as_deref(), Some("\"1\""));
    // Nobody but the vault says what it saw.
    let minted = boxes.world.mint(UPDATE, json!({ "thing_id": "t" })).await.unwrap();
    assert_eq!(class(boxes.world.send(&minted, "put", &[("raw", "mine")]).await), Class::BadStep);
    assert_eq!(boxes.changes(), 1);
    // It changes between mint and send, in whatever.
    for changed in [
        thing(json!({ "raw": "new" })),
        thing(json!({ "etag": "\"2\"" })),
        thing(json!({ "shared": true })),
        thing(json!({ "guests": [{ "mail": "b@y.org" }] })),
        thing(json!({ "title": "U" })),
    ] {
        boxes.set("t", thing(json!({})));
        let minted = boxes.world.mint(UPDATE, json!({ "thing_id": "t" })).await.unwrap();
        boxes.set("t", changed.clone());
        let refusal = boxes.world.send(&minted, "put", &[]).await.err().unwrap();
        assert_eq!(
            (refusal.class, refusal.field.as_deref()),
            (Class::OutOfScope, Some("object")),
            "{changed}"
        );
        let why = boxes.world.broker.why(ADMIN, refusal.reference.unwrap()).await.unwrap();
        assert!(why.event.1.0.iter().any(|(_, text)| text.contains("ask again")), "{changed}");
    }
    assert_eq!(boxes.changes(), 1);
    // And it changes between the second look and the request: the upstream refuses.
    boxes.set("t", thing(json!({})));
    let minted = boxes.world.mint(UPDATE, json!({ "thing_id": "t" })).await.unwrap();
    boxes.once(|seen| seen.method == "PUT", "t", thing(json!({ "etag": "\"3\"" })));
    assert_eq!(told(boxes.world.send(&minted, "put", &[]).await), absent());
    let outcomes = boxes.world.audit.events(Kind::Outcome);
    assert_eq!(outcomes.last().unwrap().1.ending, Some(Ending::Withheld));
    // An object without an etag that can be sent is not changed unguarded.
    boxes.set("t", thing(json!({ "etag": "a\r\nb" })));
    assert_eq!(told(boxes.call(UPDATE, json!({ "thing_id": "t" })).await), absent());
    assert_eq!(boxes.changes(), 2);
    boxes.world.all_announced();
}

#[tokio::test]
async fn adding_is_not_replacing() {
    let guests = |mails: &[&str]| {
        let guests: Vec<Value> = mails.iter().map(|mail| json!({ "mail": mail })).collect();
        thing(json!({ "guests": guests }))
    };
    for bound in [attendees(&["*@x.org"]), Caveat::Recipients(vec!["*@x.org".parse().unwrap()])] {
        let recipients = matches!(bound, Caveat::Recipients(_));
        let boxes = boxes(&[]).await;
        boxes.world.grant(&[UPDATE], vec![bound]).await;
        let check = async |there: Value, adds: &[&str], allowed: bool| {
            boxes.set("t", there.clone());
            let mut args = json!({ "thing_id": "t" });
            if !adds.is_empty() {
                args["guests"] = json!(adds);
            }
            let called = boxes.call(UPDATE, args).await;
            assert_eq!(called.is_ok(), allowed, "{there} and {adds:?}");
        };
        check(guests(&["a@x.org"]), &[], true).await;
        check(guests(&["a@x.org"]), &["b@x.org"], true).await;
        check(guests(&["a@x.org"]), &["b@y.org"], false).await;
        check(guests(&["evil@y.org"]), &["b@x.org"], false).await;
        check(guests(&["evil@y.org"]), &[], false).await;
        check(guests(&["a@x.org", "evil@y.org"]), &["b@x.org"], false).await;
        // Whoever cannot be read could be anybody.
        check(guests(&["a@x.org", "?"]), &["b@x.org"], false).await;
        check(thing(json!({ "guests": [{ "name": "a@x.org" }] })), &["b@x.org"], false).await;
        check(thing(json!({ "guests": "a@x.org" })), &["b@x.org"], false).await;
        // The owner is nobody else. A mail to nobody is none, an event without guests is the owner's.
        check(guests(&["me@x.org"]), &[], !recipients).await;
        check(thing(json!({})), &[], !recipients).await;
        check(thing(json!({})), &["b@x.org"], true).await;
    }
}

#[tokio::test]
async fn a_star_does_not_allow_whom_nobody_can_read() {
    let boxes = boxes(&[("t", thing(json!({ "guests": [{ "mail": "?" }] })))]).await;
    boxes.world.grant(&[UPDATE], vec![attendees(&["*"])]).await;
    assert_eq!(told(boxes.call(UPDATE, json!({ "thing_id": "t" })).await), absent());
}

const READ: &str = "box.read";
const LIST: &str = "box.list";

fn from(texts: &[&str]) -> Value {
    let headers: Vec<Value> = texts.iter().map(|text| json!({ "name": "From", "value": text })).collect();
    thing(json!({ "headers": headers }))
}

#[tokio::test]
async fn senders_are_read_as_all_readers_read_them() {
    let boxes = boxes(&[]).await;
    boxes.world.grant(&[READ], vec![senders(&["*@x.org"])]).await;
    for (there, allowed) in [
        (from(&["good@x.org"]), true),
        (from(&["Ann <good@x.org>"]), true),
        (from(&["\"evil@y.org\" <good@x.org>"]), true),
        (from(&["\"good@x.org\" <evil@y.org>"]), false),
        (from(&["good@x.org <evil@y.org>"]), false),
        (from(&["=?utf-8?Q?good=40x.org?= <evil@y.org>"]), false),
        (from(&["(good@x.org) <evil@y.org>"]), false),
        (from(&["good@x.org, evil@y.org"]), false),
        (from(&["Good: good@x.org, evil@y.org;"]), false),
        (from(&["good@x.org\0<evil@y.org>"]), false),
        (from(&["good@x.org\0"]), false),
        (from(&["good@x.org", "evil@y.org"]), false),
        (from(&["evil@y.org", "good@x.org"]), false),
        (from(&["good@x.org", "good2@x.org"]), true),
        (from(&["good@x.org", ""]), false),
        (from(&[]), false),
        (thing(json!({})), false),
        (thing(json!({ "headers": [{ "name": "Sender", "value": "good@x.org" }] })), false),
        (
            thing(
                json!({ "headers": [{ "name": "from", "value": "evil@y.org" }, { "name": "From", "value": "good@x.org" }] }),
            ),
            false,
        ),
    ] {
        boxes.set("t", there.clone());
        let read = boxes.call(READ, json!({ "thing_id": "t" })).await;
        assert_eq!(read.is_ok(), allowed, "{there}");
        if let Err(refusal) = read {
            assert_eq!((refusal.class, refusal.field.as_deref()), (Class::OutOfScope, Some("object")));
        }
    }
}

#[tokio::test]
async fn worlds_that_differ_in_what_is_out_of_scope_look_the_same() {
    let day = |text: &str| Some(text.parse().unwrap());
    let bounds: Vec<(Caveat, Value, Value)> = vec![
        (senders(&["*@x.org"]), from(&["good@x.org"]), from(&["evil@y.org"])),
        (
            Caveat::Within(DateBound { after: day("2026-01-01"), before: day("2026-02-01") }),
            thing(json!({ "when": "2026-01-31T23:59:59Z" })),
            thing(json!({ "when": "2026-01-31T23:59:59-01:00" })),
        ),
        (within("file", &["in1"]), thing(json!({ "id": "in1" })), thing(json!({ "id": "out1" }))),
        (within("folder", &["in"]), thing(json!({})), thing(json!({ "parents": ["out"] }))),
    ];
    for (bound, inside, outside) in bounds {
        let empty = boxes(&[("in1", inside.clone())]).await;
        let full = boxes(&[("in1", inside), ("out1", outside)]).await;
        let mut seen = Vec::new();
        for boxes in [&empty, &full] {
            boxes.world.grant(&[READ, LIST], vec![bound.clone()]).await;
            let list = boxes.world.call(LIST, json!({})).await.unwrap();
            let refused = told(boxes.call(READ, json!({ "thing_id": "out1" })).await);
            let inside = boxes.call(READ, json!({ "thing_id": "in1" })).await.unwrap();
            seen.push((list.status, list.headers, list.body, inside, refused.0));
        }
        assert_eq!(seen[0], seen[1], "{bound:?}");
    }
}

#[tokio::test]
async fn a_thread_of_nothing_in_scope_is_not_there() {
    let boxes = boxes(&[("a", thing(json!({ "parents": ["out"] })))]).await;
    boxes.world.grant(&["box.thread"], vec![within("folder", &["in"])]).await;
    assert_eq!(told(boxes.call("box.thread", json!({})).await), absent());
    boxes.things.lock().unwrap().clear();
    assert_eq!(told(boxes.call("box.thread", json!({})).await), absent());
    boxes.set("b", thing(json!({ "id": "b" })));
    boxes.set("a", thing(json!({ "parents": ["out"] })));
    let thread = boxes.call("box.thread", json!({})).await.unwrap();
    assert_eq!(thread["things"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_the_catalog_refuses_is_not_there() {
    let boxes = boxes(&[("t", thing(json!({ "kind": "shortcut" })))]).await;
    boxes.world.grant(&[READ, LIST], vec![]).await;
    assert_eq!(told(boxes.call(READ, json!({ "thing_id": "t" })).await), absent());
    assert_eq!(boxes.call(LIST, json!({})).await.unwrap()["things"], json!([]));
}

#[tokio::test]
async fn each_of_many_is_looked_at() {
    let boxes = boxes(&[
        ("a", thing(json!({}))),
        ("b", thing(json!({}))),
        ("x", thing(json!({ "parents": ["out"] }))),
    ])
    .await;
    boxes.world.grant(&["box.batch"], vec![within("folder", &["in"])]).await;
    boxes.call("box.batch", json!({ "things": ["a", "b"] })).await.unwrap();
    assert_eq!(boxes.changes(), 1);
    for ids in [json!(["a", "x"]), json!(["x", "a"]), json!(["a", "none"]), json!([])] {
        let refused = boxes.call("box.batch", json!({ "things": ids })).await;
        assert_eq!(class(refused), Class::OutOfScope);
    }
    assert_eq!(class(boxes.call("box.batch", json!({})).await), Class::OutOfScope);
    assert_eq!(boxes.changes(), 1);
}

#[tokio::test]
async fn what_lies_below_is_in_scope() {
    let folder = |parent: &str| json!({ "folder": true, "parents": [parent] });
    let file = |id: &str, parent: &str| thing(json!({ "id": id, "parents": [parent] }));
    let boxes = boxes(&[
        ("one", folder("in")),
        ("two", folder("in")),
        ("deep", folder("two")),
        ("out1", folder("out")),
        ("a", file("a", "in")),
        ("b", file("b", "deep")),
        ("x", file("x", "out1")),
    ])
    .await;
    const IN: &str = "box.in_folder";
    boxes.world.grant(&[READ, LIST, IN], vec![nested(&["in"])]).await;
    boxes.call(READ, json!({ "thing_id": "a" })).await.unwrap();
    boxes.call(READ, json!({ "thing_id": "b" })).await.unwrap();
    assert_eq!(told(boxes.call(READ, json!({ "thing_id": "x" })).await), absent());
    let list = boxes.call(LIST, json!({})).await.unwrap();
    let ids: Vec<&str> = list["things"].as_array().unwrap().iter().filter_map(|t| t["id"].as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    // The adapter may choose among all of them, and an argument may name any.
    let minted = boxes.world.mint(IN, json!({ "folder_id": "deep" })).await.unwrap();
    assert_eq!(
        minted.choices,
        [("folder".to_owned(), ["deep", "in", "one", "two"].map(str::to_owned).to_vec())]
    );
    boxes.world.send(&minted, "list", &[("folder", "deep")]).await.unwrap();
    // An argument of the name that the listing takes does not choose what is listed.
    for id in ["out1", "out", "none"] {
        assert_eq!(class(boxes.world.mint(IN, json!({ "folder_id": id })).await), Class::OutOfScope);
    }
    // A folder that is moved out is out with the next call.
    boxes.set("two", folder("out"));
    assert_eq!(told(boxes.call(READ, json!({ "thing_id": "b" })).await), absent());
    boxes.world.all_announced();
    // What does not lie below a circle of folders does not come in by it, and the circle ends.
    boxes.set("two", folder("deep"));
    assert_eq!(told(boxes.call(READ, json!({ "thing_id": "b" })).await), absent());
    boxes.set("in", folder("one"));
    boxes.call(READ, json!({ "thing_id": "a" })).await.unwrap();
}

#[tokio::test]
async fn a_tree_without_end_is_not_followed_for_ever() {
    let things: Vec<(String, Value)> = (0..400)
        .map(|n| {
            (format!("f{n:03}"), json!({ "folder": true, "parents": [if n < 300 { "in" } else { "f000" }] }))
        })
        .collect();
    let boxes =
        boxes(&things.iter().map(|(id, thing)| (id.as_str(), thing.clone())).collect::<Vec<_>>()).await;
    boxes.world.grant(&[READ], vec![nested(&["in"])]).await;
    boxes.world.mint(READ, json!({ "thing_id": "a" })).await.unwrap();
    let asked = boxes.world.upstream.calls().len();
    assert!(asked <= 200, "{asked}");
}

/// A tool's looks and lists are many, and its arguments may be long: the log holds them once, with the mint.
#[tokio::test]
async fn looks_and_lists_are_recorded_without_the_arguments() {
    let boxes =
        boxes(&[("t", thing(json!({}))), ("two", json!({ "folder": true, "parents": ["in"] }))]).await;
    boxes.world.grant(&[UPDATE], vec![nested(&["in"])]).await;
    let guests = vec!["LONG-guest@x.org"];
    boxes.world.mint(UPDATE, json!({ "thing_id": "t", "guests": guests })).await.unwrap();
    let told = |kind| {
        let events = boxes.world.audit.events(kind);
        let long = |text: &str| text.contains("LONG-guest");
        let with = events.iter().filter(|event| event.2.0.iter().any(|(_, text)| long(text))).count();
        (events.len(), with)
    };
    assert_eq!(told(Kind::Minted), (1, 1));
    let (looks, with) = told(Kind::Intent);
    assert!(looks >= 3 && with == 0, "{looks} {with}");
}

/// A bound that forbids what lies below is kept to only if all of that is known.
#[tokio::test]
async fn what_lies_below_the_forbidden_is_forbidden_or_nothing_is_given() {
    let folder = |parent: &str| json!({ "folder": true, "parents": [parent] });
    let file = |id: &str, parent: &str| thing(json!({ "id": id, "parents": [parent] }));
    let deny = async |boxes: &Boxes| {
        boxes.world.grant(&[READ], vec![]).await;
        let mut asked = ask("ann", &[READ], vec![nested(&["in"])]);
        (asked.deny, asked.approve) = (true, claviger_domain::grant::Approve::Default);
        boxes.world.broker.add_grant(ADMIN, asked).await.unwrap();
    };
    let read = async |boxes: &Boxes, id: &str| boxes.call(READ, json!({ "thing_id": id })).await;
    let few =
        [("one", folder("in")), ("two", folder("one")), ("a", file("a", "two")), ("x", file("x", "out"))];
    let known = boxes(&few).await;
    deny(&known).await;
    assert_eq!(told(read(&known, "a").await), absent());
    read(&known, "x").await.unwrap();
    // A list that fails, is odd, has an id that is none, or goes round in a circle of pages.
    let odd = [
        (403, json!({})),
        (500, json!({})),
        (200, json!({ "folders": {} })),
        (200, json!({ "folders": [{ "id": 7 }] })),
        (200, json!({ "folders": [], "next": 7 })),
        (200, json!({ "folders": [], "next": "same" })),
        (200, json!({ "folders": (0..201).map(|n| json!({ "id": format!("f{n}") })).collect::<Vec<_>>() })),
    ];
    for (status, list) in odd {
        let failing = boxes(&few).await;
        deny(&failing).await;
        let reply = file("x", "out");
        let told_list = list.clone();
        failing.world.upstream.answer_with(move |seen| {
            let listed = seen.target.starts_with("/folders/");
            if listed { answer(status, &told_list) } else { answer(200, &reply) }
        });
        assert_eq!(class(read(&failing, "x").await), Class::OutOfScope, "{status} {list}");
    }
    // Deeper than is listed.
    let names: Vec<String> = (0..20).map(|n| format!("d{n}")).collect();
    let chain = names
        .iter()
        .enumerate()
        .map(|(n, name)| (name.as_str(), folder(if n == 0 { "in" } else { names[n - 1].as_str() })));
    let deep = boxes(&chain.chain([("x", file("x", "out"))]).collect::<Vec<_>>()).await;
    deny(&deep).await;
    assert_eq!(class(read(&deep, "x").await), Class::OutOfScope);
}

/// A call that is refused is charged to no grant: what is looked at for it counts on its own.
#[tokio::test]
async fn looks_for_calls_that_come_to_nothing_are_bounded() {
    let names: Vec<String> = (0..300).map(|n| format!("f{n:03}")).collect();
    let folder = json!({ "folder": true, "parents": ["in"] });
    let things: Vec<_> = names.iter().map(|name| (name.as_str(), folder.clone())).collect();
    let boxes = boxes(&things).await;
    const IN: &str = "box.in_folder";
    boxes.world.grant(&[IN], vec![nested(&["in"])]).await;
    // What stands is its grant's to count.
    for _ in 0..5 {
        boxes.world.mint(IN, json!({ "folder_id": "in" })).await.unwrap();
    }
    let before = boxes.world.upstream.calls().len();
    assert!(before > 600, "{before}");
    let refused = async || {
        for _ in 0..9 {
            let told = told(boxes.world.mint(IN, json!({ "folder_id": "none" })).await);
            if told == (Class::Busy, Some("looks".to_owned())) {
                return;
            }
            assert_eq!(told.0, Class::OutOfScope);
        }
        panic!("it was never too much");
    };
    refused().await;
    assert_eq!(boxes.world.upstream.calls().len(), before + 600);
    boxes.world.clock.advance(10_000);
    refused().await;
    assert_eq!(boxes.world.upstream.calls().len(), before + 610);
}

#[tokio::test]
async fn made_by_agent_is_the_vaults_own_record() {
    const MAKE: &str = "box.make";
    let mut boxes = boxes(&[("t", thing(json!({})))]).await;
    boxes.world.grant(&[MAKE], vec![]).await;
    boxes.world.grant(&[READ, LIST], vec![Caveat::MadeByAgent]).await;
    let refused = class(boxes.call(READ, json!({ "thing_id": "t" })).await);
    assert_eq!(refused, Class::OutOfScope, "nothing was made yet");
    let made = boxes.call(MAKE, json!({})).await.unwrap()["id"].as_str().unwrap().to_owned();
    boxes.call(READ, json!({ "thing_id": made })).await.unwrap();
    assert_eq!(class(boxes.call(READ, json!({ "thing_id": "t" })).await), Class::OutOfScope);
    assert_eq!(boxes.call(LIST, json!({})).await.unwrap()["things"], json!([{ "id": made }]));
    // Another agent made none of it, and a restart forgets none.
    boxes.world.broker.add_grant(ADMIN, ask("bob", &[READ], vec![Caveat::MadeByAgent])).await.unwrap();
    let (text, bytes) = boxes.world.present_as("bob", READ, &json!({ "thing_id": made }), |_| {});
    assert_eq!(class(boxes.world.broker.mint(&adapter("box"), &text, &bytes).await), Class::OutOfScope);
    boxes.world.restart().await;
    boxes.call(READ, json!({ "thing_id": made })).await.unwrap();
    // The disk does not tell what was made, and does not take another's word.
    let key = "made/ann/box/me/00";
    let item = boxes.world.store.item(key).unwrap();
    assert!(!item.value.windows(made.len()).any(|part| part == made.as_bytes()));
    // The next secret of that name is another account, and the next agent another agent.
    boxes.world.broker.remove_secret(ADMIN, &secret("box/me"), false).await.unwrap();
    let value = NewValue::Bearer(SecretBytes::from_text("token2".to_owned()));
    boxes.world.broker.add_secret(ADMIN, secret("box/me"), value).await.unwrap();
    boxes.world.grant(&[READ], vec![Caveat::MadeByAgent]).await;
    assert_eq!(class(boxes.call(READ, json!({ "thing_id": made })).await), Class::OutOfScope);
    assert!(boxes.world.store.item(key).is_none());
}

#[tokio::test]
async fn a_local_step_is_a_yes_and_a_record() {
    let boxes = boxes(&[]).await;
    let paths = |texts: &[&str]| Caveat::Paths(texts.iter().map(|text| text.parse().unwrap()).collect());
    boxes.world.grant(&["nas.read", "nas.write"], vec![paths(&["notes"])]).await;
    for tool in ["nas.read", "nas.write"] {
        let sent = boxes.world.call(tool, json!({ "path": "notes/a.txt" })).await.unwrap();
        assert_eq!((sent.status, &sent.body[..]), (200, &b"{}"[..]));
        for path in ["other", "notes2/a", "", "note", "NOTES/a"] {
            assert_eq!(
                class(boxes.world.call(tool, json!({ "path": path })).await),
                Class::OutOfScope,
                "{path}"
            );
        }
        for path in ["notes/../other", "/notes/a", "notes//a", "./notes", "notes/a\0", "notes\\a"] {
            let refused = class(boxes.world.call(tool, json!({ "path": path })).await);
            assert_eq!(refused, Class::BadArguments, "{path}");
        }
    }
    assert!(boxes.world.upstream.seen.lock().unwrap().is_empty());
    assert_eq!((boxes.world.audit.count(Kind::Intent), boxes.world.audit.count(Kind::Outcome)), (2, 2));
    // No record, no yes.
    boxes.world.audit.break_door(super::fakes::Door::Outcome);
    assert_eq!(class(boxes.world.call("nas.write", json!({ "path": "notes/a" })).await), Class::Unknown);
    boxes.world.audit.break_door(super::fakes::Door::Intent);
    assert_eq!(class(boxes.world.call("nas.read", json!({ "path": "notes/a" })).await), Class::Unavailable);
    boxes.world.audit.mend();
    // What is taken away while the intent is written is gone.
    let minted = boxes.world.mint("nas.write", json!({ "path": "notes/a" })).await.unwrap();
    boxes.world.broker.freeze(ADMIN, &agent("ann"), "").await.unwrap();
    assert_eq!(class(boxes.world.send(&minted, "open", &[]).await), Class::Frozen);
}

#[tokio::test]
async fn bytes_that_pass_the_vault_by_are_not_bounded() {
    let boxes = boxes(&[]).await;
    let paths = Caveat::Paths(vec!["notes".parse().unwrap()]);
    let granted = boxes.world.try_grant("ann", &["nas.read"], vec![paths, Caveat::BytesADay(10)]).await;
    assert!(matches!(granted, Err(AdminError::Invalid { .. })));
}

#[tokio::test]
async fn only_a_service_without_credential_takes_a_secret_without_value() {
    let boxes = boxes(&[]).await;
    let added = boxes.world.broker.add_secret(ADMIN, secret("box/two"), NewValue::None).await;
    assert!(matches!(added, Err(AdminError::Invalid { .. })));
    let value = NewValue::Bearer(SecretBytes::from_text("token".to_owned()));
    let added = boxes.world.broker.add_secret(ADMIN, secret("nas/two"), value).await;
    assert!(matches!(added, Err(AdminError::Invalid { .. })));
    assert_eq!(boxes.world.broker.secret(&secret("nas/me")).unwrap().kind, "none");
}

#[tokio::test]
async fn only_what_can_be_checked_is_granted() {
    let boxes = boxes(&[]).await;
    let day = DateBound { after: Some("2026-01-01".parse().unwrap()), before: None };
    for (tool, caveat) in [
        (UPDATE, senders(&["*@x.org"])),
        (UPDATE, Caveat::Within(day)),
        (UPDATE, Caveat::MadeByAgent),
        (UPDATE, within("file", &["a"])),
        (READ, attendees(&["*@x.org"])),
        (READ, Caveat::Paths(vec!["a".parse().unwrap()])),
        ("box.make", attendees(&["*@x.org"])),
        (READ, within("made", &["a"])),
        (READ, within("sender", &["a"])),
    ] {
        let granted = boxes.world.try_grant("ann", &[tool], vec![caveat.clone()]).await;
        assert!(granted.is_err(), "{tool} {caveat:?}");
    }
    // Below a file lies nothing.
    let Caveat::Resource(bound) = within("file", &["a"]) else { return };
    let below = Caveat::Resource(ResourceBound { nested: true, ..bound });
    assert!(boxes.world.try_grant("ann", &[READ], vec![below]).await.is_err());
}

/// An audit log whose writer stands still stops no word of an admin's from biting.
#[tokio::test]
async fn freeze_and_revoke_bite_while_the_log_stands_still() {
    for freeze in [true, false] {
        let boxes = boxes(&[("t", thing(json!({})))]).await;
        let grant = boxes.world.grant(&[READ], vec![]).await;
        let minted = boxes.world.mint(READ, json!({ "thing_id": "t" })).await.unwrap();
        boxes.world.audit.block(true);
        // One use waits for its intent; its request must not go out once the word was said.
        let broker = Arc::clone(&boxes.world.broker);
        let (box_adapter, capability) = (adapter("box"), minted.capability.clone());
        let waiting =
            tokio::spawn(async move { broker.send(&box_adapter, &capability, "get", BTreeMap::new()).await });
        tokio::task::yield_now().await;
        let broker = Arc::clone(&boxes.world.broker);
        let taking = tokio::spawn(async move {
            match freeze {
                true => broker.freeze(ADMIN, &agent("ann"), "").await.map(drop),
                false => broker.revoke(ADMIN, grant.grant.id).await.map(drop),
            }
        });
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert!(!taking.is_finished(), "it is acknowledged when it is durable");
        let expected = if freeze { Class::Frozen } else { Class::Revoked };
        let refused = {
            let state = boxes.world.broker.open(&agent("ann")).unwrap();
            state.handles.is_empty()
        };
        if !freeze {
            assert!(refused, "what was revoked is no longer offered");
        }
        boxes.world.audit.block(false);
        assert_eq!(class(waiting.await.unwrap()), expected);
        taking.await.unwrap().unwrap();
        assert!(boxes.world.upstream.seen.lock().unwrap().is_empty(), "nothing went out");
    }
}

/// As above, for the freeze that the vault itself makes at the second echo of a secret.
#[tokio::test]
async fn a_second_echo_bites_while_the_log_stands_still() {
    let boxes = boxes(&[("t", thing(json!({})))]).await;
    boxes.world.grant(&[READ], vec![]).await;
    boxes.world.upstream.answer_with(|_| Err(UpstreamFault::Echo));
    assert_eq!(class(boxes.call(READ, json!({ "thing_id": "t" })).await), Class::Withheld);
    let minted = boxes.world.mint(READ, json!({ "thing_id": "t" })).await.unwrap();
    let audit = Arc::clone(&boxes.world.audit);
    boxes.world.upstream.answer_with(move |_| {
        audit.block(true);
        Err(UpstreamFault::Echo)
    });
    let broker = Arc::clone(&boxes.world.broker);
    let (box_adapter, capability) = (adapter("box"), minted.capability.clone());
    let waiting =
        tokio::spawn(async move { broker.send(&box_adapter, &capability, "get", BTreeMap::new()).await });
    boxes.world.upstream.wait_for(2).await;
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert!(boxes.world.broker.agent(&agent("ann")).unwrap().frozen.is_some());
    boxes.world.audit.block(false);
    assert_eq!(class(waiting.await.unwrap()), Class::Withheld);
}
