//! The service's own log beside the audit log: every request has its intent, and every intent its end.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use stand_in_google::LoggedRequest;

use super::DOOR;
use super::ledger::{Book, Fate};
use crate::repository;

/// A request's form: its method, and its path with braces where an id stands.
type Form = (String, String);

/// The forms of the requests that the catalog's steps make.
#[derive(Debug)]
pub struct Forms {
    /// By service, tool (empty for a step that the vault uses itself) and step.
    steps: BTreeMap<(String, String, String), Form>,
    /// The vault's own step that a look takes, by service, tool and look.
    looks: BTreeMap<(String, String, String), String>,
}

/// What was compared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Compared {
    /// Requests of the service's log.
    pub requests: u64,
    /// Intents.
    pub intents: u64,
    /// Of these, how many ended as unknown.
    pub unknown: u64,
    /// And how many were not sent.
    pub not_sent: u64,
}

impl Forms {
    /// Reads them of the service files, whose every line of this kind is `key = "value"`.
    #[must_use]
    pub fn read() -> Self {
        let (mut steps, mut looks) = (BTreeMap::new(), BTreeMap::new());
        for service in ["gmail", "drive"] {
            let text = repository::read(format!("vault/services/{service}.toml"));
            let (mut tool, mut name, mut method) = (None, String::new(), String::new());
            for line in text.lines() {
                let inside = line.strip_prefix("[[tool.").and_then(|rest| rest.strip_suffix("]]"));
                let own = line.strip_prefix("[step.").and_then(|rest| rest.strip_suffix(']'));
                if let Some((head, "step" | "look")) = inside.and_then(|rest| rest.split_once('.')) {
                    (tool, name) = (Some(head.to_owned()), String::new());
                } else if let Some(head) = own.filter(|head| !head.contains('.')) {
                    (tool, name) = (Some(String::new()), head.to_owned());
                } else if line.starts_with('[') {
                    tool = None;
                } else if let (Some(tool), Some((key, value))) = (&tool, line.split_once('=')) {
                    let value = value.trim().trim_matches('"').to_owned();
                    let place = || (service.to_owned(), tool.clone(), name.clone());
                    match key.trim() {
                        "name" => name = value,
                        "method" => method = value,
                        "path" => drop(steps.insert(place(), (method.clone(), value))),
                        "step" => drop(looks.insert(place(), value)),
                        _ => {}
                    }
                }
            }
        }
        Self { steps, looks }
    }

    /// Of an intent; `None` for one that no step of ours makes.
    fn of_intent(&self, intent: &Value) -> Option<Form> {
        let text = |name: &str| intent[name].as_str().unwrap_or_default();
        let word = text("step");
        let token = |path: &str| Some(("POST".to_owned(), path.to_owned()));
        match word {
            "token" => return token("/token"),
            "revoke" => return token("/revoke"),
            _ => {}
        }
        let service = text("secret").split('/').next().unwrap_or_default().to_owned();
        let tool = text("tool").rsplit('.').next().unwrap_or_default().to_owned();
        let (how, step) = word.rsplit_once(' ').unwrap_or(("", word));
        let find = |tool: &str, step: &str| {
            self.steps.get(&(service.clone(), tool.to_owned(), step.to_owned())).cloned()
        };
        let look = self.looks.get(&(service.clone(), tool.clone(), step.to_owned()));
        let look = look.filter(|_| how == "look").and_then(|step| find("", step));
        let (method, path) = look.or_else(|| find(&tool, step)).or_else(|| find("", step))?;
        match how {
            // A resumable upload begins by a request of its own, and its end is asked for and called off by others.
            "start" => Some(("POST".to_owned(), path)),
            "cancel" => Some(("DELETE".to_owned(), path)),
            _ => Some((method, path)),
        }
    }

    /// Of a request; `None` for one that no step of ours makes.
    fn of_request(&self, request: &LoggedRequest) -> Option<Form> {
        if matches!(request.path.as_str(), "/token" | "/revoke") {
            return Some((request.method.clone(), request.path.clone()));
        }
        let fits = |path: &str| {
            let (form, real): (Vec<_>, Vec<_>) =
                (path.split('/').collect(), request.path.split('/').collect());
            form.len() == real.len()
                && form.iter().zip(&real).all(|(form, real)| form == real || form.starts_with('{'))
        };
        let paths: BTreeSet<&String> =
            self.steps.values().map(|(_, path)| path).filter(|path| fits(path)).collect();
        // One without braces is meant before one with them.
        let path = paths.iter().find(|path| !path.contains('{')).or(paths.first())?;
        Some((request.method.clone(), (*path).clone()))
    }
}

/// Braces differ in what they are called, not in what they stand for.
fn plain((method, path): Form) -> Form {
    let parts: Vec<&str> =
        path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect();
    (method, parts.join("/"))
}

/// Compares all requests that ever reached the service with the whole audit log (lines of `claviger audit export`).
/// Intents of the run that still goes on may be without an end where `ended` is false. Returns what must not be.
pub fn compare(
    forms: &Forms,
    requests: &[LoggedRequest],
    audit: &[Value],
    book: &Book,
    ended: bool,
) -> (Compared, Vec<String>) {
    let mut troubles = Vec::new();
    let mut compared = Compared { requests: requests.len() as u64, ..Compared::default() };
    let mut endings: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for outcome in audit.iter().filter(|line| line["kind"] == "outcome") {
        let id = outcome["use"].as_str().unwrap_or_default();
        endings.entry(id).or_default().push(outcome["ending"].as_str().unwrap_or_default());
    }
    let now = audit.iter().rev().find(|line| line["kind"] == "started").map(|line| line["boot"].clone());
    // By form: when each intent was written, whether it surely was sent, and whether it surely was not.
    let mut intents: BTreeMap<Form, Vec<(i64, bool, bool)>> = BTreeMap::new();
    for intent in audit.iter().filter(|line| line["kind"] == "intent") {
        compared.intents += 1;
        let ends = endings.remove(intent["use"].as_str().unwrap_or_default()).unwrap_or_default();
        let ending = match ends[..] {
            [one] => one,
            [] if !ended && now.as_ref() == Some(&intent["boot"]) => "",
            _ => {
                troubles.push(format!("an intent has these ends: {ends:?}: {intent}"));
                continue;
            }
        };
        compared.unknown += u64::from(ending == "unknown");
        compared.not_sent += u64::from(ending == "not-sent");
        let Some(form) = forms.of_intent(intent) else {
            troubles.push(format!("an intent that is of no step: {intent}"));
            continue;
        };
        let answered = matches!(ending, "released" | "withheld");
        let at_ms = intent["at_ms"].as_i64().unwrap_or(i64::MAX);
        intents.entry(plain(form)).or_default().push((at_ms, answered, ending == "not-sent"));
        if ending != "not-sent"
            && let Some(why) = forbidden(book, intent)
        {
            troubles.push(format!("{why}: {intent}, which ended {ending:?}"));
        }
    }
    troubles.extend(endings.keys().map(|id| format!("an outcome without intent: {id}")));

    let mut arrived: BTreeMap<Form, Vec<i64>> = BTreeMap::new();
    for request in requests {
        match forms.of_request(request) {
            Some(form) => arrived.entry(plain(form)).or_default().push(request.at_ms),
            None => troubles.push(format!("a request of no step: {} {}", request.method, request.path)),
        }
    }
    for form in intents.keys().chain(arrived.keys()).cloned().collect::<BTreeSet<_>>() {
        let mut times = arrived.remove(&form).unwrap_or_default();
        let meant = intents.remove(&form).unwrap_or_default();
        times.sort_unstable();
        // Only those that may have been sent stand for a request.
        let mut begun: Vec<i64> =
            meant.iter().filter(|(_, _, kept_back)| !kept_back).map(|(at_ms, ..)| *at_ms).collect();
        begun.sort_unstable();
        let answered = meant.iter().filter(|(_, answered, _)| *answered).count();
        if answered > times.len() {
            troubles.push(format!("{form:?}: {answered} answers, and {} requests", times.len()));
        }
        // The n-th request by time needs n intents that are as old: so each has one of its own, made before it.
        for (at, time) in times.iter().enumerate() {
            if begun.get(at).is_none_or(|begun| begun > time) {
                troubles.push(format!(
                    "{form:?}: request {} of {} at {time} has no intent ({} intents, that one at {:?})",
                    at + 1,
                    times.len(),
                    begun.len(),
                    begun.get(at)
                ));
                break;
            }
        }
    }
    (compared, troubles)
}

/// Whether a use began after the owner was told that none does.
fn forbidden(book: &Book, intent: &Value) -> Option<&'static str> {
    let at_ms = intent["at_ms"].as_u64().unwrap_or(0);
    if let Some((_, Fate::Revoked(told))) = intent["grant"].as_str().and_then(|id| book.grants.get(id))
        && at_ms > *told
    {
        return Some("used after it was revoked");
    }
    let frozen = |(from, to): &(u64, u64)| at_ms > *from && at_ms < *to;
    (intent["agent"] == DOOR && book.freezes.iter().any(frozen)).then_some("used while frozen")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kills::ledger::Book;

    const SEND: &str = "/gmail/v1/users/me/messages/send";

    fn request(path: &str, method: &str, at_ms: i64) -> LoggedRequest {
        LoggedRequest {
            method: method.to_owned(),
            path: path.to_owned(),
            query: String::new(),
            host: String::new(),
            authorization: None,
            headers: Vec::new(),
            body: bytes::Bytes::new(),
            status: 200,
            faulted: false,
            at_ms,
        }
    }

    fn intent(id: &str, at_ms: u64) -> Value {
        json!({
            "kind": "intent", "use": id, "at_ms": at_ms, "boot": "boot_1", "tool": "gmail.send_message",
            "step": "send", "secret": "gmail/me", "agent": "door", "grant": "gr_1",
        })
    }

    fn outcome(id: &str, ending: &str) -> Value {
        json!({ "kind": "outcome", "use": id, "ending": ending })
    }

    /// How many troubles there are.
    fn troubles(requests: &[LoggedRequest], audit: &[Value], book: &Book) -> usize {
        compare(&Forms::read(), requests, audit, book, true).1.len()
    }

    #[test]
    fn what_fits_is_no_trouble() {
        let requests = [request(SEND, "POST", 10), request(SEND, "POST", 20)];
        let audit = [
            intent("a", 10),
            outcome("a", "released"),
            intent("b", 15),
            outcome("b", "unknown"),
            intent("c", 16),
            outcome("c", "not-sent"),
        ];
        assert_eq!(troubles(&requests, &audit, &Book::default()), 0);
    }

    #[test]
    fn each_kind_of_lie_is_found() {
        let book = Book::default();
        let sent = [request(SEND, "POST", 10)];
        let of = |ending: &str| vec![intent("a", 5), outcome("a", ending)];
        assert_eq!(troubles(&sent, &[], &book), 1, "no intent");
        assert_eq!(troubles(&sent, &[intent("a", 11), outcome("a", "released")], &book), 1, "too late");
        assert_eq!(troubles(&sent, &of("not-sent"), &book), 1, "it was sent");
        assert_eq!(troubles(&[], &of("released"), &book), 1, "it was not sent");
        assert_eq!(troubles(&[], &of("unknown"), &book), 0, "nobody knows");
        let twice = [request(SEND, "POST", 10), request(SEND, "POST", 12)];
        assert_eq!(troubles(&twice, &of("released"), &book), 1, "sent twice");
        assert!(troubles(&[], &[intent("a", 5)], &book) > 0, "no end");
        assert!(
            troubles(&sent, &[of("released"), vec![outcome("a", "released")]].concat(), &book) > 0,
            "two ends"
        );
        assert_eq!(troubles(&[], &[outcome("a", "released")], &book), 1, "an end of nothing");
        let other = [request("/gmail/v1/users/me/messages/m1/trash", "POST", 10)];
        assert!(troubles(&other, &of("unknown"), &book) > 0, "another request than was meant");
    }

    #[test]
    fn what_was_taken_away_is_not_used() {
        let sent = [request(SEND, "POST", 10)];
        let audit = [intent("a", 6), outcome("a", "released")];
        let revoked = |told| Book {
            grants: [("gr_1".to_owned(), (String::new(), Fate::Revoked(told)))].into(),
            ..Book::default()
        };
        assert_eq!(
            troubles(&sent, &audit, &revoked(6)),
            0,
            "in the same instant nobody knows which was first"
        );
        assert_eq!(troubles(&sent, &audit, &revoked(5)), 1);
        let frozen = |from, to| Book { freezes: vec![(from, to)], ..Book::default() };
        assert_eq!(troubles(&sent, &audit, &frozen(5, 7)), 1);
        assert_eq!(troubles(&sent, &audit, &frozen(6, 9)), 0);
    }
}
