//! The tools of Calendar and of contacts, with answers in Google's shapes.

use serde_json::json;

use crate::fake::{Fake, Reply, Rig, refusal, structured, text};

#[tokio::test]
async fn events_are_listed_with_their_page() {
    let fake = Fake::new("calendar.list_events", |_, _| {
        Reply::Json(json!({
            "items": [{ "id": "e1", "summary": "Plants", "start": { "date": "2026-12-01" }, "end": { "date": "2026-12-02" } }],
            "nextPageToken": "page_0123456789abcdef",
        }))
    });
    let rig = Rig::new("calendar", fake).await;
    let result =
        rig.call("calendar.list_events", json!({"calendar_id": "me@x.org", "from": "2026-12-01"})).await;
    let told = structured(&result);
    assert_eq!((&told["events"][0]["title"], &told["untrusted"]), (&json!("Plants"), &json!(true)));
    assert_eq!(told["next_page"], "page_0123456789abcdef");
    assert!(text(&result).contains("2026-12-01 to 2026-12-02: Plants (id e1)"));
    assert_eq!(rig.steps(), ["list"]);
}

#[tokio::test]
async fn a_deleted_event_has_no_answer() {
    let fake = Fake::new("calendar.delete_event", |_, _| Reply::Bytes(Vec::new())).trusted("delete");
    let rig = Rig::new("calendar", fake).await;
    assert_eq!(structured(&rig.call("calendar.delete_event", json!({})).await), &json!({"deleted": true}));
}

#[tokio::test]
async fn an_event_whose_answer_is_lost_is_unknown_and_a_changed_one_is_told() {
    let rig = Rig::new(
        "calendar",
        Fake::new("calendar.create_event", |_, _| Reply::Json(json!({}))).trusted("write"),
    );
    let result = rig.await.call("calendar.create_event", json!({})).await;
    assert_eq!(refusal(&result), json!({"class": "unknown", "field": "", "reference": ""}));
    let rig = Rig::new(
        "calendar",
        Fake::new("calendar.update_event", |_, _| Reply::Status(412, json!({}))).trusted("send"),
    );
    let result = rig.await.call("calendar.update_event", json!({})).await;
    assert_eq!(result.is_error, Some(true));
}

#[tokio::test]
async fn contacts_are_warmed_up_before_they_are_searched() {
    let fake = Fake::new("contacts.search_contacts", |step, _| match step {
        "warm" => Reply::Json(json!({})),
        _ => Reply::Json(json!({ "results": [{ "person": {
            "names": [{ "displayName": "Mona" }], "emailAddresses": [{ "value": "mona@x.org" }],
        } }] })),
    });
    let rig = Rig::new("contacts", fake).await;
    let result = rig.call("contacts.search_contacts", json!({"words": "mo"})).await;
    assert_eq!(structured(&result)["contacts"], json!([{"name": "Mona", "addresses": ["mona@x.org"]}]));
    assert_eq!(structured(&result)["untrusted"], true);
    assert_eq!(rig.steps(), ["warm", "search"]);
}
