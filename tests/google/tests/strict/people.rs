//! The People API's rules: a search that has to be warmed up, and a mask that has to be given.

use serde_json::{Value, json};

use crate::client::{Google, demo, query};

const KEPT: &str = "/v1/people:searchContacts";
const OTHERS: &str = "/v1/otherContacts:search";

async fn owner() -> (Google, String) {
    let google = demo().await;
    let token = google.stand_in.direct_token(&["contacts.readonly", "contacts.other.readonly"]);
    (google, token)
}

fn asking(path: &str, words: &str) -> String {
    format!("{path}?{}", query(&[("query", words), ("readMask", "names,emailAddresses"), ("pageSize", "10")]))
}

async fn found(google: &Google, token: &str, path: &str, words: &str) -> Vec<String> {
    let answer = google.get(token, &asking(path, words)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let results = answer.json()["results"].clone();
    let name = |one: &Value| one["person"]["names"][0]["displayName"].as_str().unwrap().to_owned();
    results.as_array().into_iter().flatten().map(name).collect()
}

#[tokio::test]
async fn a_search_finds_nothing_until_its_own_cache_is_warm() {
    let (google, token) = owner().await;
    assert!(found(&google, &token, KEPT, "mona").await.is_empty());
    assert_eq!(google.get(&token, &asking(OTHERS, "")).await.json(), json!({}));
    assert!(found(&google, &token, KEPT, "mona").await.is_empty(), "the other list's cache is another");
    assert_eq!(google.get(&token, &asking(KEPT, "")).await.json(), json!({}));
    assert_eq!(found(&google, &token, KEPT, "mona").await, ["Mona Miller"]);
    // The beginning of each word, of the name or of an address; no sign means anything.
    assert_eq!(found(&google, &token, KEPT, "MIL mon").await, ["Mona Miller"]);
    assert_eq!(found(&google, &token, KEPT, "theo@exam").await, ["Theo Tenner"]);
    for nothing in ["ona", "*", "%", "mona OR theo", "mona|theo", "\"mona\"", "-theo", "billing"] {
        assert!(found(&google, &token, KEPT, nothing).await.is_empty(), "{nothing}");
    }
    assert_eq!(found(&google, &token, OTHERS, "bill").await, ["Billing"]);
    assert!(found(&google, &token, OTHERS, "mona").await.is_empty());
}

#[tokio::test]
async fn what_it_does_not_know_is_refused() {
    let (google, token) = owner().await;
    for path in [KEPT, OTHERS] {
        for pairs in [
            &[("query", "mona")][..],
            &[("query", "mona"), ("readMask", "")],
            &[("query", "mona"), ("readMask", "secrets")],
            &[("query", "mona"), ("readMask", "names,")],
            &[("query", "mona"), ("readMask", "*")],
            &[("query", "mona"), ("readMask", "names"), ("pageSize", "0")],
            &[("query", "mona"), ("readMask", "names"), ("pageSize", "31")],
            &[("query", "mona"), ("readMask", "names"), ("pageSize", "ten")],
            &[("query", "mona"), ("readMask", "names"), ("pageToken", "x")],
            &[("query", "mona"), ("readMask", "names"), ("personFields", "names")],
            &[("query", "mona"), ("readMask", "names"), ("unheard", "of")],
            &[("query", "mona"), ("query", "theo"), ("readMask", "names")],
            &[("query", "mona"), ("readMask", "names"), ("readMask", "phoneNumbers")],
            &[("query", "mona"), ("readMask", "names"), ("fields", "secrets")],
            &[("query", "mona"), ("readMask", "names"), ("fields", "results(person(secrets))")],
            &[("query", "mona"), ("readMask", "names"), ("fields", "results(")],
        ] {
            let answer = google.get(&token, &format!("{path}?{}", query(pairs))).await;
            assert_eq!(answer.status, 400, "{path} {pairs:?}");
        }
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let answer = google.call(&token, method, &asking(path, "mona"), Some(json!({}))).await;
            assert_eq!(answer.status, 404, "{method} {path}");
        }
    }
    let organised = format!("{OTHERS}?{}", query(&[("query", "x"), ("readMask", "organizations")]));
    assert_eq!(google.get(&token, &organised).await.status, 400, "other contacts have none");
    for path in [
        "/v1/people/me/connections",
        "/v1/people/me",
        "/v1/people:batchGet",
        "/v1/contactGroups",
        "/v1/people:searchDirectoryPeople",
    ] {
        assert_eq!(google.get(&token, path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_mask_and_the_fields_say_what_comes() {
    let (google, token) = owner().await;
    google.get(&token, &asking(KEPT, "")).await;
    let ask = |mask: &str, fields: &str| {
        let mut pairs = vec![("query", "mona"), ("readMask", mask)];
        pairs.extend((!fields.is_empty()).then_some(("fields", fields)));
        format!("{KEPT}?{}", query(&pairs))
    };
    let person = google.get(&token, &ask("names", "")).await.json()["results"][0]["person"].clone();
    let members: Vec<&String> = person.as_object().unwrap().keys().collect();
    assert_eq!(members, ["etag", "names", "resourceName"], "{person}");
    let all = google.get(&token, &ask("names,emailAddresses,phoneNumbers", "")).await.json().to_string();
    assert!(all.contains("+49 30") && all.contains("mona@example.com"));
    let narrow = "results(person(names(displayName),emailAddresses(value)))";
    let told = google.get(&token, &ask("names,emailAddresses,phoneNumbers", narrow)).await.json();
    assert_eq!(
        told,
        json!({ "results": [{ "person": { "names": [{ "displayName": "Mona Miller" }], "emailAddresses": [{ "value": "mona@example.com" }] } }] })
    );
}

#[tokio::test]
async fn each_list_has_its_own_scope() {
    let google = demo().await;
    for (scope, kept, others) in [
        ("contacts.readonly", 200, 403),
        ("contacts", 200, 403),
        ("contacts.other.readonly", 403, 200),
        ("gmail.modify", 403, 403),
    ] {
        let token = google.stand_in.direct_token(&[scope]);
        assert_eq!(google.get(&token, &asking(KEPT, "mona")).await.status, kept, "{scope}");
        assert_eq!(google.get(&token, &asking(OTHERS, "mona")).await.status, others, "{scope}");
    }
    assert_eq!(google.get("none", &asking(KEPT, "mona")).await.status, 401);
}
