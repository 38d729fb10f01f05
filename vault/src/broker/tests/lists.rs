//! Lists upstream, whose pages are as long as they are asked for, and which say how many there are.

use std::sync::{Arc, Mutex};

use claviger_domain::caveat::{Caveat, DateBound, PeopleBound, Role};
use serde_json::{Value, json};

use super::google::serve;
use super::upstream::{Reply, Seen, json as answer};
use super::world::{ADMIN, World, adapter, ask, oauth, secret, within};

/// An element of a list, and what a look at it answers.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) shown: Value,
    pub(super) facts: Value,
}

/// What may answer in the list's place.
type Instead = Box<dyn Fn(&Seen) -> Option<Reply> + Send>;

/// A world with one list in it, and a grant on that.
pub(super) struct Lists {
    pub(super) world: World,
    pub(super) items: Arc<Mutex<Vec<Item>>>,
    pub(super) instead: Arc<Mutex<Option<Instead>>>,
}

/// One kind of list, one kind of bound, and what is within and what is not.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) tool: &'static str,
    pub(super) args: Value,
    pub(super) bounds: Vec<Caveat>,
    /// What a deny grant forbids.
    pub(super) denied: Option<Caveat>,
    pub(super) inside: fn(usize) -> Item,
    pub(super) outside: fn(usize) -> Item,
}

pub(super) fn people(role: Role, pattern: &str) -> Caveat {
    Caveat::People(PeopleBound { role, patterns: vec![pattern.parse().unwrap()] })
}

fn of_2026() -> Caveat {
    let day = |text: &str| Some(text.parse().unwrap());
    Caveat::Within(DateBound { after: day("2026-01-01"), before: day("2027-01-01") })
}

pub(super) fn mail(id: &str, from: &str, when: &str) -> Item {
    let headers = json!([{ "name": "From", "value": from }]);
    Item {
        id: id.to_owned(),
        shown: json!({ "id": id, "threadId": format!("t{id}") }),
        facts: json!({ "id": id, "internalDate": when, "payload": { "headers": headers } }),
    }
}

const IN_2026: &str = "1780272000000";
const IN_2025: &str = "1740000000000";

fn draft(id: String) -> Item {
    let shown = json!({ "id": id, "message": { "id": format!("m{id}") } });
    Item { facts: shown.clone(), shown, id }
}

pub(super) fn file(id: &str, owner: &str, folder: &str, when: &str) -> Item {
    let shown = json!({
        "id": id, "name": format!("file {id}"), "mimeType": "text/plain", "parents": [folder],
        "modifiedTime": when, "owners": [{ "emailAddress": owner }],
    });
    Item { id: id.to_owned(), facts: shown.clone(), shown }
}

fn event(id: &str, when: &str) -> Item {
    // An hour's event: what has no end is of no days.
    let end = when.replace("T10:", "T11:");
    let shown = json!({
        "id": id, "summary": format!("event {id}"), "start": { "dateTime": when }, "end": { "dateTime": end },
    });
    Item { id: id.to_owned(), facts: shown.clone(), shown }
}

fn calendar(id: String) -> Item {
    let shown = json!({ "id": id, "summary": format!("calendar {id}") });
    Item { facts: shown.clone(), shown, id }
}

const ME: &str = "me@x.org";
const EVE: &str = "eve@y.org";
const NEW: &str = "2026-05-01T10:00:00Z";
const OLD: &str = "2025-05-01T10:00:00Z";

/// All kinds.
pub(super) fn kinds() -> Vec<Kind> {
    let search = "gmail.search_messages";
    let files = "drive.search_files";
    let events = json!({ "calendar_id": "me@x.org", "from": "2025-01-01" });
    let mut found = json!({ "words": "plan" });
    found.as_object_mut().unwrap().extend(events.as_object().unwrap().clone());
    let ids: Vec<String> = (0..20).map(|n| format!("in{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let calendars: Vec<String> = (0..20).map(|n| format!("in{n}@x.org")).collect();
    let calendars: Vec<&str> = calendars.iter().map(String::as_str).collect();
    let plain = |name, tool, args: &Value, bounds, inside, outside| Kind {
        name,
        tool,
        args: args.clone(),
        bounds,
        denied: None,
        inside,
        outside,
    };
    let words = json!({ "words": "plan" });
    let none = json!({});
    vec![
        plain(
            "senders",
            search,
            &words,
            vec![people(Role::Sender, "*@x.org")],
            |n| mail(&format!("in{n}"), "Ann <ann@x.org>", IN_2026),
            |n| mail(&format!("out{n}"), EVE, IN_2026),
        ),
        plain(
            "days of mails",
            search,
            &words,
            vec![of_2026()],
            |n| mail(&format!("in{n}"), EVE, IN_2026),
            |n| mail(&format!("out{n}"), EVE, IN_2025),
        ),
        plain(
            "senders and days",
            search,
            &none,
            vec![people(Role::Sender, "*@x.org"), of_2026()],
            |n| mail(&format!("in{n}"), ME, IN_2026),
            |n| match n % 2 {
                0 => mail(&format!("out{n}"), ME, IN_2025),
                _ => mail(&format!("out{n}"), EVE, IN_2026),
            },
        ),
        plain(
            "made drafts",
            "gmail.list_drafts",
            &none,
            vec![Caveat::MadeByAgent],
            |n| draft(format!("made{n}")),
            |n| draft(format!("out{n}")),
        ),
        plain(
            "owners",
            files,
            &json!({ "name": "file" }),
            vec![people(Role::Owner, ME)],
            |n| file(&format!("in{n}"), ME, "a", NEW),
            |n| file(&format!("out{n}"), EVE, "a", NEW),
        ),
        plain(
            "owners in a folder",
            "drive.list_folder",
            &json!({ "folder_id": "a" }),
            vec![people(Role::Owner, ME)],
            |n| file(&format!("in{n}"), ME, "a", NEW),
            |n| file(&format!("out{n}"), EVE, "a", NEW),
        ),
        plain(
            "files",
            files,
            &none,
            vec![within("file", &ids)],
            |n| file(&format!("in{n}"), ME, "a", NEW),
            |n| file(&format!("out{n}"), ME, "a", NEW),
        ),
        plain(
            "days of files",
            files,
            &none,
            vec![of_2026()],
            |n| file(&format!("in{n}"), ME, "a", NEW),
            |n| file(&format!("out{n}"), ME, "a", OLD),
        ),
        Kind {
            denied: Some(within("folder", &["private"])),
            ..plain(
                "a forbidden folder",
                files,
                &none,
                vec![],
                |n| file(&format!("in{n}"), ME, "a", NEW),
                |n| file(&format!("out{n}"), ME, "private", NEW),
            )
        },
        plain(
            "days of events",
            "calendar.list_events",
            &events,
            vec![of_2026()],
            |n| event(&format!("in{n}"), NEW),
            |n| event(&format!("out{n}"), OLD),
        ),
        plain(
            "days of events that are searched for",
            "calendar.search_events",
            &found,
            vec![of_2026()],
            |n| event(&format!("in{n}"), NEW),
            |n| event(&format!("out{n}"), OLD),
        ),
        plain(
            "calendars",
            "calendar.list_calendars",
            &none,
            vec![within("calendar", &calendars)],
            |n| calendar(format!("in{n}@x.org")),
            |n| calendar(format!("out{n}@x.org")),
        ),
    ]
}

/// The kind of that name.
pub(super) fn kind(name: &str) -> Kind {
    kinds().into_iter().find(|kind| kind.name == name).unwrap()
}

fn pair<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn reply(seen: &Seen, items: &[Item]) -> Option<Reply> {
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (list, size) = match parts.as_slice() {
        ["gmail", "v1", "users", "me", "messages"] => ("messages", "maxResults"),
        ["gmail", "v1", "users", "me", "drafts"] => ("drafts", "maxResults"),
        ["drive", "v3", "files"] => ("files", "pageSize"),
        ["calendar", "v3", .., "events" | "calendarList"] => ("items", "maxResults"),
        ["gmail" | "drive" | "calendar", .., id] => {
            return Some(match items.iter().find(|item| item.id == *id) {
                Some(item) => answer(200, &item.facts),
                None => answer(404, &json!({})),
            });
        }
        _ => return None,
    };
    let at: usize = pair(query, "pageToken").map_or(0, |token| token[1..].parse().unwrap());
    let size: usize = pair(query, size).unwrap().parse().unwrap();
    let shown: Vec<&Value> = items.iter().skip(at).take(size).map(|item| &item.shown).collect();
    let total = items.len();
    let mut told = json!({ "resultSizeEstimate": total, "etag": format!("e{total}"), "kind": "list" });
    if !shown.is_empty() {
        told[list] = json!(shown);
    }
    if at + size < total {
        told["nextPageToken"] = json!(format!("t{}", at + size));
    }
    Some(answer(200, &told))
}

impl Lists {
    /// With these elements upstream, and granted.
    pub(super) async fn of(kind: &Kind, items: Vec<Item>) -> Self {
        let lists = Self::bare(items).await;
        lists.grant(kind).await;
        lists
    }

    async fn bare(items: Vec<Item>) -> Self {
        let world = World::new().await;
        world.broker.add_adapter(ADMIN, adapter("calendar"), Some(3003), None).await.unwrap();
        world.broker.add_secret(ADMIN, secret("calendar/me"), oauth("refresh-0")).await.unwrap();
        let items = Arc::new(Mutex::new(items));
        let instead: Arc<Mutex<Option<Instead>>> = Arc::default();
        let (google, held, other) = (serve(&world.google), Arc::clone(&items), Arc::clone(&instead));
        let made = std::sync::atomic::AtomicUsize::new(0);
        world.upstream.answer_with(move |seen| {
            if let Some(reply) = other.lock().unwrap().as_ref().and_then(|instead| instead(seen)) {
                return reply;
            }
            if seen.method == "POST" && seen.target.ends_with("/drafts") {
                let id = format!("made{}", made.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
                return answer(200, &json!({ "id": id }));
            }
            reply(seen, &held.lock().unwrap()).unwrap_or_else(|| google(seen))
        });
        Self { world, items, instead }
    }

    async fn grant(&self, kind: &Kind) {
        if kind.bounds.contains(&Caveat::MadeByAgent) {
            self.world.grant(&["gmail.create_draft"], vec![]).await;
            for _ in 0..8 {
                let draft = json!({ "subject": "s", "body": "b" });
                self.world.call("gmail.create_draft", draft).await.unwrap();
            }
        }
        self.world.grant(&[kind.tool], kind.bounds.clone()).await;
        if let Some(denied) = &kind.denied {
            self.deny(kind.tool, denied.clone()).await;
        }
    }

    /// A grant that forbids.
    pub(super) async fn deny(&self, tool: &str, caveat: Caveat) {
        let mut asked = ask("ann", &[tool], vec![caveat]);
        (asked.deny, asked.approve) = (true, claviger_domain::grant::Approve::Default);
        self.world.broker.add_grant(ADMIN, asked).await.unwrap();
    }

    /// What may answer in the upstream's place from now on.
    pub(super) fn instead(&self, reply: impl Fn(&Seen) -> Option<Reply> + Send + 'static) {
        *self.instead.lock().unwrap() = Some(Box::new(reply));
    }

    /// The requests that reached the upstream for lists, and for what is on them.
    pub(super) fn asked(&self) -> (usize, usize) {
        let calls = self.world.upstream.calls();
        let calls = calls.iter().filter(|call| call.method == "GET");
        let (lists, looks): (Vec<&Seen>, Vec<&Seen>) =
            calls.partition(|call| call.target.contains("maxResults=") || call.target.contains("pageSize="));
        (lists.len(), looks.len())
    }

    /// One page: what is told of it, and the mark of the next.
    pub(super) async fn page(
        &self,
        kind: &Kind,
        wanted: usize,
        mark: Option<&str>,
    ) -> (String, Option<String>) {
        let mut args = kind.args.clone();
        if kind.tool != "calendar.list_calendars" {
            args["max_results"] = json!(wanted);
        }
        if let Some(mark) = mark {
            args["page"] = json!(mark);
        }
        match self.world.call(kind.tool, args).await {
            Ok(sent) => {
                let text = String::from_utf8(sent.body.to_vec()).unwrap();
                let value: Value = serde_json::from_str(&text).unwrap();
                let mark = value["nextPageToken"].as_str().map(str::to_owned);
                let text = mark.iter().fold(text, |text, mark| text.replace(mark.as_str(), "MARK"));
                let length = mark.as_ref().map(String::len);
                let told = (sent.status, sent.headers, text, sent.untrusted, sent.flags, length);
                (format!("{told:?}"), mark)
            }
            Err(refusal) => (format!("{:?} {:?}", refusal.class, refusal.field), None),
        }
    }

    /// All pages to the end, turned one after the other.
    pub(super) async fn walk(&self, kind: &Kind, wanted: usize) -> Vec<String> {
        let (mut pages, mut mark) = (Vec::new(), None);
        for _ in 0..100 {
            let (told, next) = self.page(kind, wanted, mark.as_deref()).await;
            pages.push(told);
            match next {
                Some(next) => mark = Some(next),
                None => return pages,
            }
        }
        panic!("{}: the list has no end", kind.name);
    }

    /// The ids on one page, in order, and the mark of the next.
    pub(super) async fn ids(
        &self,
        kind: &Kind,
        wanted: usize,
        mark: Option<&str>,
    ) -> (Vec<String>, Option<String>) {
        let (told, next) = self.page(kind, wanted, mark).await;
        let ids = told.split("\\\"id\\\":\\\"").skip(1).filter_map(|rest| rest.split("\\\"").next());
        // A draft has its mail's id too.
        let ids = ids.filter(|id| !id.starts_with("mmade")).map(str::to_owned).collect();
        (ids, next)
    }
}
