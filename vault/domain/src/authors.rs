//! Who wrote what an answer holds, as far as somebody else than its author vouches for it.
//!
//! An agent that reads only what trusted people wrote is not tainted. So what counts is never what a text says of
//! itself: a mail's author counts by the verdict of the server that received it, a file's by all who may edit it, an
//! event's by organiser and guests. Whatever is missing, doubled or unreadable makes the answer a stranger's.

mod mail;
mod results;

use serde_json::Value;

use crate::address::{Address, Pattern};
use crate::name::Ident;
use crate::pointer::Pointer;

pub use mail::from_address;
pub use results::{BadResults, Outcome, Results};

/// Where it stands who wrote what a step answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authors {
    /// A step of the service that is asked for it after the answer came; `None` where the answer itself says it.
    pub step: Option<Ident>,
    /// The list whose elements each have authors of their own; `None` where there is one object.
    pub elements: Option<Pointer>,
    /// In the object or the element.
    pub who: Who,
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
    /// A list of Drive's permissions: each of those that may edit must be one known user.
    Editors(Pointer),
    /// Addresses of all who may write into it. A pointer without a star must find exactly one.
    People(Vec<Pointer>),
}

impl Authors {
    /// Whether everybody who may have written any of this is one of the trusted. `own` is the account's own address,
    /// which may edit its own files and stands among the guests of its own events; a mail that bears it needs the same
    /// proof as any other, and a pattern that names it.
    #[must_use]
    pub fn all_trusted(&self, answer: &Value, trusted: &[Pattern], own: Option<&Address>) -> bool {
        match &self.elements {
            None => self.who.is_trusted(answer, trusted, own),
            Some(list) if list.is_left_out(answer) => only_marks(answer),
            Some(list) => match list.select(answer).as_slice() {
                [Value::Array(items)] => {
                    items.iter().all(|item| self.who.is_trusted(item, trusted, own))
                        && beside(answer, list).is_some_and(|rest| only_marks(&rest))
                }
                _ => false,
            },
        }
    }
}

impl Who {
    fn is_trusted(&self, object: &Value, trusted: &[Pattern], own: Option<&Address>) -> bool {
        let listed = |address: &Address| trusted.iter().any(|pattern| pattern.matches(address));
        let known = |address: &Address| listed(address) || own.is_some_and(|own| own == address);
        match self {
            Who::Nobody => only_marks(object),
            Who::Mail { headers, provider } => match headers.select(object).as_slice() {
                [Value::Array(headers)] => {
                    mail::author(headers, provider).is_some_and(|author| listed(&author))
                }
                _ => false,
            },
            Who::Editors(list) => match list.select(object).as_slice() {
                [Value::Array(permissions)] => editors(permissions, known),
                _ => false,
            },
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

/// Roles of Drive's permissions that change nothing in the file.
const READERS: [&str; 2] = ["reader", "commenter"];

/// Whether all who may edit are known. An empty list says nothing: somebody owns every file.
fn editors(permissions: &[Value], known: impl Fn(&Address) -> bool) -> bool {
    let mut writers = 0_u32;
    for permission in permissions {
        let text = |name: &str| permission.get(name).and_then(Value::as_str);
        let (Some(role), Some(kind)) = (text("role"), text("type")) else { return false };
        if READERS.contains(&role) {
            continue;
        }
        // A group's members, a domain's and everybody are people whom nobody has named.
        let address = text("emailAddress").and_then(|address| address.parse::<Address>().ok());
        if kind != "user" || !address.is_some_and(|address| known(&address)) {
            return false;
        }
        writers += 1;
    }
    writers > 0
}

fn people(object: &Value, pointer: &Pointer, known: impl Fn(&Address) -> bool) -> bool {
    let Some(found) = pointer.select_strictly(object) else { return false };
    if !pointer.is_many() && found.len() != 1 {
        return false;
    }
    found.iter().all(|value| {
        value.as_str().and_then(|text| text.parse::<Address>().ok()).is_some_and(|address| known(&address))
    })
}

#[cfg(test)]
mod tests;
