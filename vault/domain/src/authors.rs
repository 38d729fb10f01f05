//! Who wrote what an answer holds, as far as somebody else than its author vouches for it.
//!
//! An agent that reads only what trusted people wrote is not tainted. So what counts is never what a text says of
//! itself: a mail's author counts by the verdict of the server that received it, a file's by all who may edit it, an
//! event's by organiser and guests. Whatever is missing, doubled or unreadable makes the answer a stranger's.

mod mail;
mod results;

use serde_json::Value;

use crate::address::{Address, Pattern};
use crate::look::Holds;
use crate::name::Ident;
use crate::pointer::Pointer;

pub use mail::from_address;
pub use results::{BadResults, Outcome, Results};

/// Where it stands who wrote what a step answers. Of several, each must say that all are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authors {
    /// A step of the service that is asked for it: after the answer of a read came, before anything else is done. `None`
    /// where the answer itself says it.
    pub step: Option<Ident>,
    /// The list whose elements each have authors of their own; `None` where there is one object.
    pub elements: Option<Pointer>,
    /// In the object or the element; each must hold. Of none, nobody is trusted.
    pub who: Vec<Who>,
    /// What stands in the object or the element, or somebody else may have written it.
    pub must: Vec<Holds>,
    /// What may stand there only so.
    pub if_given: Vec<IfGiven>,
    /// The argument that names a calendar. One that is no person's has an address, which counts as the owner's own.
    pub calendar: Option<Ident>,
    /// Members of the object or the element that are asked for only to decide this: taken out before the release.
    pub hide: Vec<String>,
}

/// What a place of an object may hold, where it holds anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfGiven {
    /// The place.
    pub at: Pointer,
    /// The one value; `None` where nothing at all may stand there.
    pub is: Option<Value>,
}

/// What vouches for an author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Nobody's words are in it: ids and page tokens alone. An answer that holds a text with a space belies it.
    Nobody,
    /// The headers of a mail, a list of `name` and `value`, and the name by which the receiving provider signs its
    /// own `Authentication-Results` (RFC 8601).
    Mail {
        /// The list of headers.
        headers: Pointer,
        /// The provider's authserv-id.
        provider: String,
    },
    /// A list of Drive's permissions: each of those that may edit, or comment, must be one known user.
    Editors(Pointer),
    /// A list of Drive's permissions, each of which must be one known user: everybody on it wrote a name into it.
    Sharers(Pointer),
    /// A list of a calendar's rules: each that lets somebody write must be for one known user.
    Writers(Pointer),
    /// Addresses of all who may write into it. A pointer without a star must find exactly one.
    People(Vec<Pointer>),
}

impl Authors {
    /// Whether everybody who may have written any of this is one of the trusted. `own` are the account's own addresses:
    /// it may edit its own files and stands among the guests of its own events. A mail that bears one needs the same
    /// proof as any other, and a pattern that names it.
    #[must_use]
    pub fn all_trusted(&self, answer: &Value, trusted: &[Pattern], own: &[Address]) -> bool {
        match &self.elements {
            None => self.is_trusted(answer, trusted, own),
            Some(list) if list.is_left_out(answer) => only_marks(answer),
            Some(list) => match list.select(answer).as_slice() {
                [Value::Array(items)] => {
                    items.iter().all(|item| self.is_trusted(item, trusted, own))
                        && beside(answer, list).is_some_and(|rest| only_marks(&rest))
                }
                _ => false,
            },
        }
    }

    /// Takes out what was asked for only to decide who wrote it.
    pub fn hide(&self, answer: &mut Value) {
        let strip = |object: &mut Value| {
            if let Value::Object(members) = object {
                members.retain(|name, _| !self.hide.contains(name));
            }
        };
        match &self.elements {
            _ if self.hide.is_empty() => {}
            None => strip(answer),
            Some(list) => {
                if let Some(Value::Array(items)) = list.get_mut(answer) {
                    items.iter_mut().for_each(strip);
                }
            }
        }
    }

    fn is_trusted(&self, object: &Value, trusted: &[Pattern], own: &[Address]) -> bool {
        let must =
            |Holds { at, is }: &Holds| matches!(at.every(object).as_deref(), Some([only]) if *only == is);
        let if_given = |IfGiven { at, is }: &IfGiven| {
            at.select(object).into_iter().all(|found| Some(found) == is.as_ref())
        };
        !self.who.is_empty()
            && self.must.iter().all(must)
            && self.if_given.iter().all(if_given)
            && self.who.iter().all(|who| who.is_trusted(object, trusted, own))
    }
}

impl Who {
    fn is_trusted(&self, object: &Value, trusted: &[Pattern], own: &[Address]) -> bool {
        let listed = |address: &Address| trusted.iter().any(|pattern| pattern.matches(address));
        let known = |address: &Address| listed(address) || own.contains(address);
        let list = |at: &Pointer, judge: &dyn Fn(&[Value]) -> bool| match at.select(object).as_slice() {
            [Value::Array(items)] => judge(items),
            _ => false,
        };
        match self {
            Who::Nobody => only_marks(object),
            Who::Mail { headers, provider } => list(headers, &|headers| {
                mail::author(headers, provider).is_some_and(|author| listed(&author))
            }),
            Who::Editors(at) => list(at, &|permissions| users(permissions, &READERS, known)),
            Who::Sharers(at) => list(at, &|permissions| users(permissions, &[], known)),
            Who::Writers(at) => list(at, &|rules| writers(rules, known)),
            Who::People(pointers) => pointers.iter().all(|pointer| people(object, pointer, known)),
        }
    }
}

/// What is left of the answer without its list of elements.
fn beside(answer: &Value, list: &Pointer) -> Option<Value> {
    let mut rest = answer.clone();
    list.replace_one(&mut rest, Value::Null)?;
    Some(rest)
}

/// Whether all its texts are marks that a machine made: printable ASCII without a space, of bearable length.
fn only_marks(value: &Value) -> bool {
    match value {
        Value::String(text) => text.len() <= 512 && text.bytes().all(|b| b.is_ascii_graphic()),
        Value::Array(items) => items.iter().all(only_marks),
        Value::Object(members) => members.values().all(only_marks),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Roles of Drive's permissions that write nothing. Who may comment writes: an export of a document ends with its
/// comments.
const READERS: [&str; 1] = ["reader"];

/// Whether all of Drive's permissions but those for these roles are for known users. An empty list says nothing: somebody
/// owns every file.
fn users(permissions: &[Value], passed_over: &[&str], known: impl Fn(&Address) -> bool) -> bool {
    let mut any = false;
    for permission in permissions {
        let text = |name: &str| permission.get(name).and_then(Value::as_str);
        let (Some(role), Some(kind)) = (text("role"), text("type")) else { return false };
        if passed_over.contains(&role) {
            continue;
        }
        // A group's members, a domain's and everybody are people whom nobody has named.
        if kind != "user" || !text("emailAddress").is_some_and(|text| is_known(text, &known)) {
            return false;
        }
        any = true;
    }
    any
}

/// Roles of a calendar's rules that write nothing.
const LOOKERS: [&str; 3] = ["none", "freeBusyReader", "reader"];

/// Whether all whom a calendar's rules let write are known users. Every calendar has an owner.
fn writers(rules: &[Value], known: impl Fn(&Address) -> bool) -> bool {
    let mut any = false;
    for rule in rules {
        let Some(role) = rule.get("role").and_then(Value::as_str) else { return false };
        if LOOKERS.contains(&role) {
            continue;
        }
        let scope = |name: &str| rule.get("scope").and_then(|scope| scope.get(name)).and_then(Value::as_str);
        if scope("type") != Some("user") || !scope("value").is_some_and(|text| is_known(text, &known)) {
            return false;
        }
        any = true;
    }
    any
}

fn is_known(text: &str, known: impl Fn(&Address) -> bool) -> bool {
    text.parse::<Address>().is_ok_and(|address| known(&address))
}

fn people(object: &Value, pointer: &Pointer, known: impl Fn(&Address) -> bool) -> bool {
    let Some(found) = pointer.select_strictly(object) else { return false };
    if !pointer.is_many() && found.len() != 1 {
        return false;
    }
    found.iter().all(|value| value.as_str().is_some_and(|text| is_known(text, &known)))
}

#[cfg(test)]
mod tests;
