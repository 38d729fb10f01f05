//! Google Contacts: people with their addresses.
//!
//! `search_contacts` and `search_other_contacts` give `contacts: [{name, addresses}]`. Google searches a cache that only a
//! request without words brings up to date, so each call sends that one first.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::failure::Failure;
use crate::service::{Service, Shaped};
use crate::text::clean;

/// How many addresses of one person are told.
const ADDRESSES_MAX: usize = 10;

/// The module of Google Contacts.
pub struct Contacts;

impl Service for Contacts {
    fn run<'a>(&'a self, tool: &'a str, call: &'a Call) -> BoxFuture<'a, Result<Shaped, Failure>> {
        async move {
            match tool {
                "search_contacts" | "search_other_contacts" => {
                    let _ = call.send("warm", &[]).await?.success()?;
                    Ok(people(&call.json("search", &[]).await?))
                }
                // A tool that an admin added in an overriding catalog file.
                _ => crate::generic::Generic.run(tool, call).await,
            }
        }
        .boxed()
    }
}

fn people(answer: &Value) -> Shaped {
    let all =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |value: &Value, name: &str, max: usize| {
        value.get(name).and_then(Value::as_str).map(|text| clean::line(text, max)).unwrap_or_default()
    };
    let mut told = Vec::new();
    let mut lines = Vec::new();
    for result in all(answer, "results") {
        let Some(person) = result.get("person") else { continue };
        let name =
            all(person, "names").first().map(|name| text(name, "displayName", 200)).unwrap_or_default();
        let addresses: Vec<String> = all(person, "emailAddresses")
            .iter()
            .map(|address| text(address, "value", 320))
            .filter(|address| !address.is_empty())
            .take(ADDRESSES_MAX)
            .collect();
        lines.push(format!(
            "{name}: {}",
            if addresses.is_empty() { "no address".to_owned() } else { addresses.join(", ") }
        ));
        told.push(json!({ "name": name, "addresses": addresses }));
    }
    let text = if lines.is_empty() { "Nobody found.".to_owned() } else { lines.join("\n") };
    Shaped::new(Map::from_iter([("contacts".to_owned(), told.into())]), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_and_nothing_else() {
        let shaped = people(&json!({ "results": [
            { "person": { "resourceName": "people/c1", "names": [{ "displayName": "Mona\u{202e} Miller" }],
                          "emailAddresses": [{ "value": "mona@x.org" }, { "value": "" }, { "type": "work" }],
                          "phoneNumbers": [{ "value": "1" }] } },
            { "person": { "names": [] } },
            {},
        ] }));
        assert_eq!(
            Value::Object(shaped.structured),
            json!({ "contacts": [
                { "name": "Mona<U+202E> Miller", "addresses": ["mona@x.org"] },
                { "name": "", "addresses": [] },
            ] })
        );
        assert_eq!(shaped.text, "Mona<U+202E> Miller: mona@x.org\n: no address");
        assert_eq!(people(&json!({})).text, "Nobody found.");
    }
}
