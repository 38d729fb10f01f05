//! What lies below a folder, and how much is looked at to find it.

use claviger_domain::event::Kind;
use claviger_domain::refusal::Class;
use serde_json::{Value, json};

use super::boxes::{Boxes, LIST, READ, UPDATE, absent, boxes, nested, thing, told};
use super::upstream::json as answer;
use super::world::{ADMIN, ask, class};

#[tokio::test]
async fn what_lies_below_is_in_scope() {
    let folder = |parent: &str| json!({ "folder": true, "parents": [parent] });
    let file = |id: &str, parent: &str| thing(json!({ "id": id, "parents": [parent] }));
    let boxes = boxes(&[
        ("one", folder("in")),
        ("two", folder("in")),
        ("deep", folder("two")),
        ("out1", folder("out")),
        ("a", file("a", "in")),
        ("b", file("b", "deep")),
        ("x", file("x", "out1")),
    ])
    .await;
    const IN: &str = "box.in_folder";
    boxes.world.grant(&[READ, LIST, IN], vec![nested(&["in"])]).await;
    boxes.call(READ, json!({ "thing_id": "a" })).await.unwrap();
    boxes.call(READ, json!({ "thing_id": "b" })).await.unwrap();
    assert_eq!(told(boxes.call(READ, json!({ "thing_id": "x" })).await), absent());
    let list = boxes.call(LIST, json!({})).await.unwrap();
    let ids: Vec<&str> = list["things"].as_array().unwrap().iter().filter_map(|t| t["id"].as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    // The adapter may choose among all of them, and an argument may name any.
    let minted = boxes.world.mint(IN, json!({ "folder_id": "deep" })).await.unwrap();
    assert_eq!(
        minted.choices,
        [("folder".to_owned(), ["deep", "in", "one", "two"].map(str::to_owned).to_vec())]
    );
    boxes.world.send(&minted, "list", &[("folder", "deep")]).await.unwrap();
    // An argument of the name that the listing takes does not choose what is listed.
    for id in ["out1", "out", "none"] {
        assert_eq!(class(boxes.world.mint(IN, json!({ "folder_id": id })).await), Class::OutOfScope);
    }
    // A folder that is moved out is out with the next call.
    boxes.set("two", folder("out"));
    assert_eq!(told(boxes.call(READ, json!({ "thing_id": "b" })).await), absent());
    boxes.world.all_announced();
    // What does not lie below a circle of folders does not come in by it, and the circle ends.
    boxes.set("two", folder("deep"));
    assert_eq!(told(boxes.call(READ, json!({ "thing_id": "b" })).await), absent());
    boxes.set("in", folder("one"));
    boxes.call(READ, json!({ "thing_id": "a" })).await.unwrap();
}

#[tokio::test]
async fn a_tree_without_end_is_not_followed_for_ever() {
    let things: Vec<(String, Value)> = (0..400)
        .map(|n| {
            (format!("f{n:03}"), json!({ "folder": true, "parents": [if n < 300 { "in" } else { "f000" }] }))
        })
        .collect();
    let boxes =
        boxes(&things.iter().map(|(id, thing)| (id.as_str(), thing.clone())).collect::<Vec<_>>()).await;
    boxes.world.grant(&[READ], vec![nested(&["in"])]).await;
    boxes.world.mint(READ, json!({ "thing_id": "a" })).await.unwrap();
    let asked = boxes.world.upstream.calls().len();
    assert!(asked <= 200, "{asked}");
}

/// A tool's looks and lists are many, and its arguments may be long: the log holds them once, with the mint.
#[tokio::test]
async fn looks_and_lists_are_recorded_without_the_arguments() {
    let boxes =
        boxes(&[("t", thing(json!({}))), ("two", json!({ "folder": true, "parents": ["in"] }))]).await;
    boxes.world.grant(&[UPDATE], vec![nested(&["in"])]).await;
    let guests = vec!["LONG-guest@x.org"];
    boxes.world.mint(UPDATE, json!({ "thing_id": "t", "guests": guests })).await.unwrap();
    let told = |kind| {
        let events = boxes.world.audit.events(kind);
        let long = |text: &str| text.contains("LONG-guest");
        let with = events.iter().filter(|event| event.2.0.iter().any(|(_, text)| long(text))).count();
        (events.len(), with)
    };
    assert_eq!(told(Kind::Minted), (1, 1));
    let (looks, with) = told(Kind::Intent);
    assert!(looks >= 3 && with == 0, "{looks} {with}");
}

/// A bound that forbids what lies below is kept to only if all of that is known.
#[tokio::test]
async fn what_lies_below_the_forbidden_is_forbidden_or_nothing_is_given() {
    let folder = |parent: &str| json!({ "folder": true, "parents": [parent] });
    let file = |id: &str, parent: &str| thing(json!({ "id": id, "parents": [parent] }));
    let deny = async |boxes: &Boxes| {
        boxes.world.grant(&[READ], vec![]).await;
        let mut asked = ask("ann", &[READ], vec![nested(&["in"])]);
        (asked.deny, asked.approve) = (true, claviger_domain::grant::Approve::Default);
        boxes.world.broker.add_grant(ADMIN, asked).await.unwrap();
    };
    let read = async |boxes: &Boxes, id: &str| boxes.call(READ, json!({ "thing_id": id })).await;
    let few =
        [("one", folder("in")), ("two", folder("one")), ("a", file("a", "two")), ("x", file("x", "out"))];
    let known = boxes(&few).await;
    deny(&known).await;
    assert_eq!(told(read(&known, "a").await), absent());
    read(&known, "x").await.unwrap();
    // A list that fails, is odd, has an id that is none, or goes round in a circle of pages.
    let odd = [
        (403, json!({})),
        (500, json!({})),
        (200, json!({ "folders": {} })),
        // Some upstreams leave an empty list out; and some error pages come with status 200.
        (200, json!({})),
        (200, json!({ "error": { "code": 503 } })),
        (200, json!({ "folders": [{ "id": 7 }] })),
        (200, json!({ "folders": [], "next": 7 })),
        (200, json!({ "folders": [], "next": "same" })),
        (200, json!({ "folders": (0..201).map(|n| json!({ "id": format!("f{n}") })).collect::<Vec<_>>() })),
    ];
    for (status, list) in odd {
        let failing = boxes(&few).await;
        deny(&failing).await;
        let reply = file("x", "out");
        let told_list = list.clone();
        failing.world.upstream.answer_with(move |seen| {
            let listed = seen.target.starts_with("/folders/");
            if listed { answer(status, &told_list) } else { answer(200, &reply) }
        });
        assert_eq!(class(read(&failing, "x").await), Class::OutOfScope, "{status} {list}");
    }
    // Deeper than is listed.
    let names: Vec<String> = (0..20).map(|n| format!("d{n}")).collect();
    let chain = names
        .iter()
        .enumerate()
        .map(|(n, name)| (name.as_str(), folder(if n == 0 { "in" } else { names[n - 1].as_str() })));
    let deep = boxes(&chain.chain([("x", file("x", "out"))]).collect::<Vec<_>>()).await;
    deny(&deep).await;
    assert_eq!(class(read(&deep, "x").await), Class::OutOfScope);
}

/// A call that is refused is charged to no grant: what is looked at for it counts on its own.
#[tokio::test]
async fn looks_for_calls_that_come_to_nothing_are_bounded() {
    let names: Vec<String> = (0..300).map(|n| format!("f{n:03}")).collect();
    let folder = json!({ "folder": true, "parents": ["in"] });
    let things: Vec<_> = names.iter().map(|name| (name.as_str(), folder.clone())).collect();
    let boxes = boxes(&things).await;
    const IN: &str = "box.in_folder";
    boxes.world.grant(&[IN], vec![nested(&["in"])]).await;
    // What stands is its grant's to count.
    for _ in 0..5 {
        boxes.world.mint(IN, json!({ "folder_id": "in" })).await.unwrap();
    }
    let before = boxes.world.upstream.calls().len();
    assert!(before > 600, "{before}");
    let refused = async || {
        for _ in 0..9 {
            let told = told(boxes.world.mint(IN, json!({ "folder_id": "none" })).await);
            if told == (Class::Busy, Some("looks".to_owned())) {
                return;
            }
            assert_eq!(told.0, Class::OutOfScope);
        }
        panic!("it was never too much");
    };
    refused().await;
    assert_eq!(boxes.world.upstream.calls().len(), before + 600);
    boxes.world.clock.advance(10_000);
    refused().await;
    assert_eq!(boxes.world.upstream.calls().len(), before + 610);
}

/// Answers what lies below each folder, and nothing of anything else.
fn folders(boxes: &Boxes, list: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static) {
    boxes.world.upstream.answer_with(move |seen| {
        let path = seen.target.split('?').next().unwrap_or_default();
        match path.strip_prefix("/folders/").and_then(|rest| rest.strip_suffix("/folders")) {
            Some(folder) => {
                let (status, list) = list(folder);
                answer(status, &list)
            }
            None => answer(200, &thing(json!({ "id": "a" }))),
        }
    });
}

/// The folders that a call may name, as they were found.
async fn found(boxes: &Boxes) -> Vec<String> {
    const IN: &str = "box.in_folder";
    boxes.world.grant(&[IN, READ], vec![nested(&["in"])]).await;
    let minted = boxes.world.mint(IN, json!({ "folder_id": "in" })).await.unwrap();
    minted.choices.into_iter().flat_map(|(_, ids)| ids).collect()
}

/// What an upstream calls an id, and is none, would be a piece of a path of its choosing.
#[tokio::test]
async fn what_is_no_id_is_not_found_below() {
    let boxes = boxes(&[]).await;
    folders(&boxes, |folder| match folder {
        "in" => {
            (200, json!({ "folders": [{ "id": "a/../b" }, { "id": "" }, { "id": "x?y" }, { "id": "ok" }] }))
        }
        _ => (200, json!({ "folders": [] })),
    });
    assert_eq!(found(&boxes).await, ["in", "ok"]);
}

/// A folder that is gone, or that somebody hides, takes nothing else along.
#[tokio::test]
async fn what_cannot_be_listed_below_leaves_the_rest_in_scope() {
    for status in [403, 404] {
        let boxes = boxes(&[]).await;
        folders(&boxes, move |folder| match folder {
            "in" => (200, json!({ "folders": [{ "id": "one" }, { "id": "two" }] })),
            "one" => (status, json!({})),
            _ => (200, json!({ "folders": [] })),
        });
        assert_eq!(found(&boxes).await, ["in", "one", "two"], "{status}");
        boxes.call(READ, json!({ "thing_id": "a" })).await.unwrap();
    }
}

#[tokio::test]
async fn so_many_folders_are_found_below_and_no_more() {
    let boxes = boxes(&[]).await;
    folders(&boxes, |folder| match folder {
        "in" => {
            let all = (0..300).map(|n| json!({ "id": format!("f{n:03}") })).collect::<Vec<_>>();
            (200, json!({ "folders": all }))
        }
        _ => (200, json!({ "folders": [] })),
    });
    assert_eq!(found(&boxes).await.len(), 1 + 200);
}

/// A circle of pages is left when it closes, not when the requests are used up.
#[tokio::test]
async fn the_same_page_again_is_not_asked_for_for_ever() {
    let boxes = boxes(&[]).await;
    folders(&boxes, |_| (200, json!({ "folders": [], "next": "same" })));
    assert_eq!(found(&boxes).await, ["in"]);
    assert_eq!(boxes.world.upstream.calls().len(), 2);
}
