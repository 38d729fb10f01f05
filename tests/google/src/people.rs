//! The People API: a search in the owner's contacts, and in those whom the owner wrote to without keeping them.
//!
//! As Google documents it, a search looks into a cache that only a request with an empty query brings up to date; a
//! client that never sends one finds nothing.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use crate::fields::Fields;
use crate::google_error as refuse;
use crate::seed::SeedContact;
use crate::wire::{Answer, Call, Reply};
use crate::world::World;

/// The contacts.
#[derive(Debug, Default)]
pub(crate) struct People {
    contacts: Vec<SeedContact>,
    /// The lists whose cache is warm.
    warm: BTreeSet<bool>,
}

impl People {
    /// Puts a contact in.
    pub(crate) fn add(&mut self, contact: &SeedContact) {
        self.contacts.push(contact.clone());
        self.warm.clear();
    }
}

/// What a search answers, from Google's reference of the People API, as far as a mask here can ask for it.
const PERSON: &str = "results(person(resourceName,etag,metadata,names(metadata,displayName,displayNameLastFirst,\
    unstructuredName,familyName,givenName,middleName,honorificPrefix,honorificSuffix),\
    emailAddresses(metadata,value,type,formattedType,displayName),\
    phoneNumbers(metadata,value,canonicalForm,type,formattedType),organizations))";

/// Answers everything below `/v1`; `rest` is what follows.
pub(crate) fn route(world: &mut World, call: &Call, rest: &[&str]) -> Answer {
    world.live(call)?;
    match (&call.method, rest) {
        (&Method::GET, ["people:searchContacts"]) => search(world, call, true),
        (&Method::GET, ["otherContacts:search"]) => search(world, call, false),
        _ => Err(refuse::not_found("Not Found")),
    }
}

fn search(world: &mut World, call: &Call, kept: bool) -> Answer {
    world.authorize(call, if kept { "people.searchContacts" } else { "people.otherContacts.search" })?;
    call.query.check(&["query", "readMask", "pageSize", "sources"], &[])?;
    let fields = call.query.get("fields").map(Fields::parse).transpose()?;
    if let Some(fields) = &fields {
        fields.within(PERSON)?;
    }
    let mask: Vec<&str> = call.query.get("readMask").unwrap_or("").split(',').collect();
    let known = ["names", "emailAddresses", "phoneNumbers", "metadata", "organizations"];
    let others = ["names", "emailAddresses", "phoneNumbers", "metadata"];
    let allowed: &[&str] = if kept { &known } else { &others };
    if mask.iter().any(|name| !allowed.contains(name)) {
        return Err(refuse::bad_request("Invalid readMask: at least one valid field is required."));
    }
    let size = call.query.number("pageSize", 10, 1, 30)?;
    let query = call.query.get("query").unwrap_or("").to_lowercase();
    if query.is_empty() {
        world.people.warm.insert(kept);
        return Ok(Reply::json(200, &json!({})));
    }
    let found: Vec<Value> = world
        .people
        .contacts
        .iter()
        .filter(|contact| contact.kept == kept && world.people.warm.contains(&kept) && fits(contact, &query))
        .take(size)
        .map(|contact| json!({ "person": person(contact, &mask) }))
        .collect();
    let answer = if found.is_empty() { json!({}) } else { json!({ "results": found }) };
    Ok(Reply::json(200, &fields.map_or(answer.clone(), |fields| fields.project(&answer))))
}

/// Each word begins a word of the name or of an address.
fn fits(contact: &SeedContact, query: &str) -> bool {
    let text = format!("{} {}", contact.name, contact.addresses.join(" ")).to_lowercase();
    query.split_whitespace().all(|word| text.split_whitespace().any(|known| known.starts_with(word)))
}

fn person(contact: &SeedContact, mask: &[&str]) -> Value {
    let id: u64 = contact.name.bytes().fold(7, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte));
    let mut person = json!({ "resourceName": format!("people/c{id}"), "etag": "%EgMBAjc=" });
    if mask.contains(&"names") {
        person["names"] = json!([{ "displayName": contact.name, "unstructuredName": contact.name }]);
    }
    if mask.contains(&"emailAddresses") {
        person["emailAddresses"] =
            contact.addresses.iter().map(|address| json!({ "value": address, "type": "home" })).collect();
    }
    if mask.contains(&"phoneNumbers") {
        person["phoneNumbers"] = json!([{ "value": contact.phone, "type": "mobile" }]);
    }
    person
}
