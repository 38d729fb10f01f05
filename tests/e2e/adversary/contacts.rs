//! Contacts: searches that would be other requests, other people's lists, and more of a person than name and addresses.

use claviger_tests::world::raw::{class, mint, send};
use claviger_tests::world::{AGENT, World};
use serde_json::{Value, json};

use super::adapter::{abuse, misuse, strange};
use super::{Attempt, FORM, Must, Puppet, SCOPE, UNGRANTED, attempt, control, harm, hold, pollution, with};

const SEARCH: &str = "contacts.search_contacts";
const OTHERS: &str = "contacts.search_other_contacts";
/// Telephone numbers, those whom the owner only wrote with, and Google's own names of people.
const HIDDEN: Must =
    Must::NotTell(&["+49 30", "billing@supplies", "people/c", "resourceName", "phoneNumbers", "EgMB"]);

/// One agent may search all contacts, and one may look up Mona and nobody else.
async fn world() -> World {
    let world = World::single_user().await;
    world.add_adapter("contacts").await;
    let token = world.google.direct_refresh_token(&["contacts.readonly", "contacts.other.readonly"]);
    world.add_secret("contacts/me", &token).await;
    world.grant(&[AGENT, "contacts/me", "--tool", SEARCH]).await;
    world.grant(&["other", "contacts/me", "--tool", SEARCH, "--bound", "words.one-of=mona"]).await;
    world
}

fn searches() -> Vec<Attempt> {
    let mut all = Vec::new();
    for words in [
        "mona&readMask=phoneNumbers",
        "mona%26readMask%3DphoneNumbers",
        "mona&pageSize=30",
        "mona&sources=READ_SOURCE_TYPE_PROFILE",
        "mona#",
        "mona?readMask=*",
        "mona\" OR \"billing",
        "mona OR billing",
        "mona | billing",
        "*",
        "%",
        ".*",
        "_",
        "a*",
        "billing",
        "billing@supplies.example",
        "+49 30 000000",
        "people/me",
        "resourceName:people/c1",
        "../people/me/connections",
        "..%2fpeople%2fme",
        "mona/../../v1/otherContacts:search",
        "query=billing",
        "phoneNumbers:+49",
        "-mona",
        "NOT mona",
        "()",
        "{}",
        "mona:",
        "source:other",
        "ｂilling",
        "bílling",
    ] {
        all.push(attempt(format!("the words {words:?}"), SEARCH, json!({"words": words}), HIDDEN));
    }
    let mona = json!({"words": "mona"});
    for words in [
        json!(""),
        json!(null),
        json!(1),
        json!(["mona"]),
        json!({"query": "mona"}),
        json!("mona\r\nX-HTTP-Method-Override: DELETE"),
        json!("mona\nbilling"),
        json!("mona\u{0}"),
        json!("mona\u{202e}"),
        json!("mona\u{2028}billing"),
        json!("x".repeat(101)),
    ] {
        all.push(attempt(format!("the words {words}"), SEARCH, json!({"words": words}), FORM));
    }
    all.push(attempt("no words", SEARCH, json!({}), FORM));
    for more in [
        json!({"readMask": "names,phoneNumbers"}),
        json!({"read_mask": "phoneNumbers"}),
        json!({"personFields": "phoneNumbers,birthdays,addresses"}),
        json!({"pageSize": 30}),
        json!({"page_size": 30}),
        json!({"pageToken": "x"}),
        json!({"page": "x"}),
        json!({"max_results": 1000}),
        json!({"sources": ["READ_SOURCE_TYPE_PROFILE", "READ_SOURCE_TYPE_DOMAIN_CONTACT"]}),
        json!({"resourceName": "people/me"}),
        json!({"resourceNames": ["people/c1"]}),
        json!({"resource": "otherContacts"}),
        json!({"query": "billing"}),
        json!({"Words": "billing"}),
        json!({"words ": "billing"}),
        json!({"requestSyncToken": true}),
        json!({"copyMask": "names"}),
        json!({"mergeSources": []}),
        json!({"__proto__": {"words": "billing"}}),
    ] {
        all.push(attempt(format!("a search with {more}"), SEARCH, with(&mona, more), FORM));
    }
    for (what, more) in pollution() {
        all.push(attempt(what, SEARCH, with(&mona, more), FORM));
    }
    for tool in [
        OTHERS,
        "contacts.get_person",
        "contacts.list_connections",
        "contacts.batch_get",
        "contacts.create_contact",
        "contacts.update_contact",
        "contacts.delete_contact",
        "contacts.copy_other_contact",
        "contacts.list_directory_people",
    ] {
        all.push(attempt(format!("a tool nobody granted: {tool}"), tool, mona.clone(), UNGRANTED));
    }
    all
}

/// For the agent that may look up Mona.
fn lookups() -> Vec<Attempt> {
    let mut all: Vec<Attempt> = [
        "theo",
        "Mona",
        "MONA",
        "m",
        "mo",
        "mon",
        "mona miller",
        "mona mona",
        "theo mona",
        "attacker",
        "ignore",
        "a",
        "e",
        "example.com",
        "mona@example.com",
        "mona.",
        "mona*",
    ]
    .into_iter()
    .map(|words| attempt(format!("the words {words:?}"), SEARCH, json!({"words": words}), SCOPE))
    .collect();
    for words in [" mona", "mona ", "ｍona", "mоna", "mona\u{301}", "mona\u{200b}"] {
        let either = Must::BeRefused(&["out-of-scope", "bad-arguments"]);
        all.push(attempt(format!("the words {words:?}"), SEARCH, json!({"words": words}), either));
    }
    all
}

/// Whatever was asked, one request of one shape went out, and the words were words.
fn only_searches(world: &World) {
    let asked: Vec<_> =
        world.google.log().into_iter().filter(|request| request.path.starts_with("/v1/")).collect();
    assert!(asked.len() >= 20, "{} requests", asked.len());
    for request in asked {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/v1/people:searchContacts"));
        assert!(request.body.is_empty());
        let mut pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(request.query.as_bytes()).into_owned().collect();
        pairs.sort();
        let words = pairs.iter().position(|(name, _)| name == "query").map(|at| pairs.remove(at).1).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let fields = "results(person(names(displayName),emailAddresses(value)))";
        let expected = match words.is_empty() {
            true => vec![pair("pageSize", "1"), pair("readMask", "names,emailAddresses")],
            false => {
                vec![pair("fields", fields), pair("pageSize", "10"), pair("readMask", "names,emailAddresses")]
            }
        };
        assert_eq!(pairs, expected, "{words:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compromised_agent_finds_names_and_addresses_and_no_more() {
    let world = world().await;
    let puppet = Puppet::new(&world).await;
    let attempts = searches();
    hold(&world, &puppet, &attempts, 70).await;
    let other = Puppet::of(&world, "other").await;
    let looked = lookups();
    hold(&world, &other, &looked, 20).await;
    // The good calls pass.
    for puppet in [&puppet, &other] {
        let found = puppet.call(SEARCH, &json!({"words": "mona"})).await.unwrap();
        assert!(found.contains("mona@example.com") && !found.contains("theo@example.com"), "{found}");
    }
    only_searches(&world);
    // Without the bound, and with the other tool, the same attempts do get through.
    let mut all = looked;
    all.push(attempt("the other list", OTHERS, json!({"words": "billing"}), UNGRANTED));
    control(&world, &all, 12).await;
    assert_eq!(harm::done(&world), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compromised_adapter_searches_for_the_words_that_were_called() {
    let world = world().await;
    let agent = world.thief(AGENT).await;
    let mut contacts = world.adapter("contacts").await;
    let call: Value = json!({"words": "mona"});
    let steps = [
        "",
        "get",
        "list",
        "people",
        "connections",
        "Search",
        "search ",
        "search\u{0}",
        "../search",
        "batchGet",
        "update",
        "delete",
        "search_other_contacts",
        "otherContacts",
        "warm/",
        "people:searchContacts",
    ];
    let params = [
        "query",
        "words",
        "readMask",
        "pageSize",
        "sources",
        "fields",
        "personFields",
        "resourceName",
        "pageToken",
        "key",
        "alt",
        "host",
        "origin",
        "path",
        "method",
        "userId",
    ];
    let mut misuses = strange("search", &steps, &params);
    misuses.extend(strange("warm", &[], &params));
    misuses.push(misuse("a mask and words", "search", &[("readMask", "phoneNumbers"), ("query", "a")]));
    let tried = misuses.len();
    assert!(tried >= 45, "{tried} attempts");
    let faults = abuse(&mut contacts, &agent, (SEARCH, &call), &misuses).await;
    assert!(faults.is_empty(), "{} of {tried}:\n{}", faults.len(), faults.join("\n"));
    assert!(!world.google.log().iter().any(|request| request.path.starts_with("/v1/")), "something went out");
    // What the call is for goes through, twice in all, and tells what it tells; so what was refused was the misuse.
    let minted = mint(&mut contacts, agent.present(SEARCH, &call)).await.unwrap();
    let _ = send(&mut contacts, &minted.capability, "warm", &[]).await.unwrap();
    let found = send(&mut contacts, &minted.capability, "search", &[]).await.unwrap();
    let found: Value = serde_json::from_slice(&found.body).unwrap();
    assert_eq!(
        found,
        json!({"results": [{"person": {
            "names": [{"displayName": "Mona Miller"}], "emailAddresses": [{"value": "mona@example.com"}],
        }}]})
    );
    let spent = send(&mut contacts, &minted.capability, "search", &[]).await.unwrap_err();
    assert_eq!(class(&spent), "bad-capability");
    // Another's words, under a good presentation of these.
    let (presentation, _) = agent.present(SEARCH, &call);
    let other = claviger_canonical::Canonical::from_json(&json!({"words": "theo"})).unwrap();
    assert!(mint(&mut contacts, (presentation, other.bytes().to_vec())).await.is_err());
    assert_eq!(harm::done(&world), Vec::<String>::new());
}
