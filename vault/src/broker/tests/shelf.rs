//! A service of books whose lists have pages of every kind, and that no credential opens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use claviger_domain::caveat::{Caveat, DateBound, Role};
use claviger_domain::refusal::{Class, Refusal};
use serde_json::{Value, json};

use super::lists::people;
use super::upstream::{Reply, Seen, json as answer};
use super::world::{ADMIN, World, adapter, agent, secret};
use crate::broker::view::NewValue;

const SHELF: &str = r#"
id = "shelf"
title = "Shelf"
origin = "https://shelf.example"
auth = { kind = "none" }

[step.facts]
method = "GET"
path = "/books/{book_id}"
[step.dates]
method = "GET"
path = "/dates/{book_id}"
[step.place]
method = "GET"
path = "/places/{place_id}"
[step.who]
method = "GET"
path = "/who"
[step.folders]
method = "GET"
path = "/folders"

[resource.folder]
summary = "books in one of these folders"
resolve = { step = "folders", list = "/folders", match = "/name", take = "/id" }

[tool.all]
summary = "List books, as many as there are on a page"
effect = "read"
args.page = { type = "page", summary = "" }
[[tool.all.step]]
name = "list"
method = "GET"
path = "/books"
fields = ["books", "next"]
page = { take = "/next", query = "page" }
check.owner = { elements = "/books", at = "/owner" }

[tool.few]
summary = "List few books"
effect = "read"
args.count = { type = "integer", min = 1, max = 4, default = 2, summary = "" }
args.page = { type = "page", summary = "" }
[[tool.few.step]]
name = "list"
method = "GET"
path = "/books"
fields = ["books", "next"]
query = { size = "{count}" }
page = { take = "/next", query = "page", size = "count" }
check.owner = { elements = "/books", at = "/owner" }

[tool.many]
summary = "List many books"
effect = "read"
args.count = { type = "integer", min = 1, max = 1000, default = 2, summary = "" }
args.page = { type = "page", summary = "" }
[[tool.many.step]]
name = "list"
method = "GET"
path = "/books"
fields = ["books", "next"]
query = { size = "{count}" }
page = { take = "/next", query = "page", size = "count" }
check.owner = { elements = "/books", at = "/owner" }

[tool.place]
summary = "List the books of a place, which is looked at before and after"
effect = "read"
args.place_id = { type = "id", required = true, summary = "" }
args.page = { type = "page", summary = "" }
[[tool.place.step]]
name = "list"
method = "GET"
path = "/books"
fields = ["books", "next"]
page = { take = "/next", query = "page" }
check.owner = { elements = "/books", at = "/owner" }
check.folder = { probe = "place", at = "/parents", again = true }

[tool.glance]
summary = "List books that do not say themselves who sent them, and when"
effect = "read"
[[tool.glance.step]]
name = "list"
method = "GET"
path = "/books"
fields = ["books"]
check.sender = { elements = "/books", take = "/id", probe = "facts", as = "book_id", at = "/from" }
check.date = { elements = "/books", take = "/id", probe = "dates", as = "book_id", at = "/when" }

[tool.batch]
summary = "Change many books, and carry on what stands in them"
effect = "write"
carries = true
args.books = { type = "ids", max = 300, summary = "" }
[[tool.batch.step]]
name = "post"
method = "POST"
path = "/batch"
body = { codec = "json", fields = { ids = "{books}" } }
authors = { step = "who", people = ["/people/*"] }
check.folder = { probe = "facts", at = "/parents", each = "books", as = "book_id" }
"#;

/// What may answer in the service's place.
type Instead = Arc<Mutex<Option<Box<dyn Fn(&Seen) -> Option<Reply> + Send>>>>;

/// A world with one shelf of books, and an agent that reads nothing outside the vault.
pub(super) struct Shelf {
    pub(super) world: Arc<World>,
    instead: Instead,
}

/// A book of the owner's, that a friend sent this year.
pub(super) fn book(id: &str) -> Value {
    json!({
        "id": id, "owner": "me@x.org", "from": "ann@x.org", "parents": ["in"],
        "when": "2026-05-01T10:00:00Z", "dated": "2026-05-01T10:00:00Z",
    })
}

/// So many of them.
pub(super) fn books(count: usize) -> Vec<Value> {
    (0..count).map(|n| book(&format!("b{n}"))).collect()
}

pub(super) fn owner() -> Caveat {
    people(Role::Owner, "me@x.org")
}

pub(super) fn sender() -> Caveat {
    people(Role::Sender, "*@x.org")
}

pub(super) fn of_2026() -> Caveat {
    let day = |text: &str| Some(text.parse().unwrap());
    Caveat::Within(DateBound { after: day("2026-01-01"), before: day("2027-01-01") })
}

/// A shelf of these books.
pub(super) async fn shelf(books: Vec<Value>) -> Shelf {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shelf.toml"), SHELF).unwrap();
    let catalog = crate::catalog::load(Some(folder.path()), &BTreeMap::new(), &BTreeMap::new()).unwrap();
    let world = World::with(catalog).await;
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, true).await.unwrap();
    world.broker.add_adapter(ADMIN, adapter("shelf"), Some(3001), None).await.unwrap();
    world.broker.add_secret(ADMIN, secret("shelf/me"), NewValue::None).await.unwrap();
    let instead = Instead::default();
    let other = Arc::clone(&instead);
    world.upstream.answer_with(move |seen| {
        let told = other.lock().unwrap().as_ref().and_then(|instead| instead(seen));
        told.unwrap_or_else(|| reply(seen, &books))
    });
    Shelf { world: Arc::new(world), instead }
}

fn reply(seen: &Seen, books: &[Value]) -> Reply {
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let number = |name: &str| {
        let text = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        text.map(|text| text.parse::<usize>().unwrap())
    };
    let found = |id: &str| books.iter().find(|book| book["id"] == id);
    match parts.as_slice() {
        ["books"] => {
            let (at, size) = (number("page").unwrap_or(0), number("size").unwrap_or(usize::MAX));
            let mut told = json!({ "books": books.iter().skip(at).take(size).collect::<Vec<_>>() });
            if books.len() - at > size {
                told["next"] = json!((at + size).to_string());
            }
            answer(200, &told)
        }
        ["books", id] => match found(id) {
            Some(book) => answer(200, book),
            None => answer(404, &json!({})),
        },
        ["dates", id] => match found(id) {
            Some(book) => answer(200, &json!({ "when": book["dated"] })),
            None => answer(404, &json!({})),
        },
        ["places", _] => answer(200, &json!({ "parents": ["in"] })),
        ["who"] => answer(200, &json!({ "people": ["mum@family.example"] })),
        _ => answer(200, &json!({})),
    }
}

impl Shelf {
    /// What may answer in the service's place from now on.
    pub(super) fn instead(&self, reply: impl Fn(&Seen) -> Option<Reply> + Send + 'static) {
        *self.instead.lock().unwrap() = Some(Box::new(reply));
    }

    /// The ids that a list tells, and the mark of its next page.
    pub(super) async fn ids(
        &self,
        tool: &str,
        args: Value,
    ) -> Result<(Vec<String>, Option<String>), (Class, Option<String>)> {
        let told = |refusal: Refusal| (refusal.class, refusal.field);
        let sent = self.world.call(tool, args).await.map_err(told)?;
        let value: Value = serde_json::from_slice(&sent.body).unwrap();
        let ids = value["books"].as_array().unwrap().iter().map(|book| book["id"].as_str().unwrap_or("?"));
        Ok((ids.map(str::to_owned).collect(), value["next"].as_str().map(str::to_owned)))
    }

    /// The targets that were asked for, in order.
    pub(super) fn asked(&self) -> Vec<String> {
        self.world.upstream.calls().into_iter().map(|call| call.target).collect()
    }

    /// How many of them begin so.
    pub(super) fn asked_for(&self, prefix: &str) -> usize {
        self.asked().iter().filter(|target| target.starts_with(prefix)).count()
    }
}
