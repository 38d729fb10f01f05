//! Suggested grants: enough for the calls on record, and no wider than they need.

use claviger_domain::caveat::{Bound, Caveat, ResourceBound};
use claviger_domain::grant::Approve;
use serde_json::{Value, json};

use super::policy::{mail, rate, to};
use super::upstream::json as answer;
use super::world::{ADMIN, World, agent, ask, bearer, secret, within};
use crate::broker::view::GrantAsk;

const SHELF: &str = r#"
id = "shelf"
title = "Shelf"
origin = "https://shelf.example"
auth = { kind = "bearer" }

[step.boxes]
method = "GET"
path = "/boxes"
[step.below]
method = "GET"
path = "/boxes/{box_id}/boxes"

[resource.box]
summary = "boxes"
resolve = { step = "boxes", list = "/boxes", match = "/name", take = "/id" }
nested = { step = "below", list = "/boxes", take = "/id", arg = "box_id" }
[resource.mark]
summary = "marks"
resolve = { step = "boxes", list = "/boxes", match = "/name", take = "/id" }

[tool.add]
summary = "Add a book"
effect = "write"
[[tool.add.step]]
name = "add"
method = "POST"
path = "/add"
fields = ["id"]

[tool.change]
summary = "Change a book"
effect = "write"
args.title = { type = "line", required = true, summary = "" }
args.note = { type = "line", summary = "" }
args.other = { type = "line", summary = "" }
[[tool.change.step]]
name = "change"
method = "POST"
path = "/change"
fields = ["id"]
body = { codec = "json", fields = { title = "{title}", note = "{note}", other = "{other}" } }

[tool.find]
summary = "Find books"
effect = "read"
args.count = { type = "integer", min = 1, max = 50, summary = "" }
args.size = { type = "integer", min = 1, max = 50, default = 10, summary = "" }
args.words = { type = "line", summary = "" }
[[tool.find.step]]
name = "find"
method = "GET"
path = "/find"
query = { count = "{count}", size = "{size}", words = "{words}" }
fields = ["books"]

[tool.list]
summary = "List books"
effect = "read"
[[tool.list.step]]
name = "list"
method = "GET"
path = "/list"
fields = ["books"]

[tool.open]
summary = "Open a box"
effect = "read"
args.box_id = { type = "id", summary = "" }
[[tool.open.step]]
name = "open"
method = "GET"
path = "/open"
query = { box = "{box_id}" }
fields = ["books"]
check.box = { arg = "box_id" }

[tool.peek]
summary = "Peek"
effect = "read"
[[tool.peek.step]]
name = "peek"
method = "GET"
path = "/peek"
fields = ["books"]

[tool.read]
summary = "Read a book"
effect = "read"
args.book_id = { type = "id", required = true, summary = "" }
[[tool.read.step]]
name = "read"
method = "GET"
path = "/books/{book_id}"
fields = ["id"]
check.box = { response = "/boxes" }
check.mark = { response = "/marks" }

[tool.walk]
summary = "Walk along a box and whatever else there is"
effect = "read"
args.box_id = { type = "id", required = true, summary = "" }
[[tool.walk.step]]
name = "walk"
method = "GET"
path = "/walk/{box_id}"
fields = ["books"]
check.box = { arg = "box_id" }
[[tool.walk.step]]
name = "rest"
method = "GET"
path = "/rest"
fields = ["books"]

[tool.zap]
summary = "Zap"
effect = "write"
[[tool.zap.step]]
name = "zap"
method = "POST"
path = "/zap"
fields = ["id"]
"#;

/// With a shelf that has one box of a name.
async fn shelf() -> World {
    let world = World::serving("shelf", SHELF).await;
    world.upstream.answer_with(|seen| match seen.target.as_str() {
        "/boxes" => answer(200, &json!({ "boxes": [{ "id": "b1", "name": "Fiction" }] })),
        _ => answer(200, &json!({ "boxes": [] })),
    });
    world
}

async fn suggested(world: &World) -> Vec<(GrantAsk, u64)> {
    world.broker.suggest(&agent("ann"), 0).await.unwrap().grants
}

/// What is suggested for a tool, but for how often.
async fn bounds(world: &World, tool: &str) -> Vec<Caveat> {
    let grants = suggested(world).await;
    let (grant, _) = grants.into_iter().find(|(grant, _)| grant.tools == [tool.parse().unwrap()]).unwrap();
    grant.caveats.into_iter().filter(|caveat| !matches!(caveat, Caveat::Rate(_))).collect()
}

fn argument(name: &str, bound: Bound) -> Caveat {
    Caveat::Argument(name.parse().unwrap(), bound)
}

/// A bound as it is suggested: the ids, and what each is called.
fn kept(resource: &str, ids: &[&str], shown: &[&str], nested: bool) -> Caveat {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let resource = resource.parse().unwrap();
    Caveat::Resource(ResourceBound { resource, ids: texts(ids), shown: texts(shown), nested })
}

#[tokio::test]
async fn reads_that_need_the_same_share_a_grant_and_nothing_else_does() {
    let world = shelf().await;
    let all = ["shelf.add", "shelf.list", "shelf.peek", "shelf.zap"];
    let mine = world.grant(&all, vec![]).await.grant.id;
    world.grant(&["shelf.read"], vec![within("box", &["in"])]).await;
    for tool in all {
        world.mint(tool, json!({})).await.unwrap();
    }
    world.mint("shelf.read", json!({ "book_id": "x" })).await.unwrap();
    // And one of them of another account.
    world.broker.revoke(ADMIN, mine).await.unwrap();
    world.broker.add_secret(ADMIN, secret("shelf/work"), bearer()).await.unwrap();
    let work = GrantAsk { secret: secret("shelf/work"), ..ask("ann", &["shelf.list"], vec![]) };
    world.broker.add_grant(ADMIN, work).await.unwrap();
    world.mint("shelf.list", json!({})).await.unwrap();
    let grants: Vec<(String, Vec<String>, u64)> = suggested(&world)
        .await
        .into_iter()
        .map(|(grant, calls)| {
            (grant.secret.to_string(), grant.tools.iter().map(ToString::to_string).collect(), calls)
        })
        .collect();
    let grant = |secret: &str, tools: &[&str], calls: u64| {
        (secret.to_owned(), tools.iter().map(|tool| (*tool).to_owned()).collect::<Vec<_>>(), calls)
    };
    assert_eq!(
        grants,
        [
            grant("shelf/me", &["shelf.add"], 1),
            grant("shelf/me", &["shelf.list", "shelf.peek"], 2),
            grant("shelf/me", &["shelf.read"], 1),
            grant("shelf/me", &["shelf.zap"], 1),
            grant("shelf/work", &["shelf.list"], 1),
        ]
    );
}

#[tokio::test]
async fn what_no_call_gave_stays_out() {
    let world = shelf().await;
    world.grant(&["shelf.change"], vec![]).await;
    world.mint("shelf.change", json!({ "title": "t", "note": "n" })).await.unwrap();
    world.mint("shelf.change", json!({ "title": "t" })).await.unwrap();
    assert_eq!(bounds(&world, "shelf.change").await, [argument("other", Bound::Absent)]);
}

#[tokio::test]
async fn a_number_that_each_call_gave_is_bounded_by_the_greatest() {
    let world = shelf().await;
    world.grant(&["shelf.find"], vec![]).await;
    for args in [json!({ "count": 7, "words": "w" }), json!({ "count": 3 })] {
        world.mint("shelf.find", args).await.unwrap();
    }
    assert_eq!(bounds(&world, "shelf.find").await, [argument("count", Bound::Max(7))]);
    // Who leaves it out gets what the service likes.
    world.mint("shelf.find", json!({})).await.unwrap();
    assert_eq!(bounds(&world, "shelf.find").await, []);
}

/// Where the arguments do not say which, the bounds of the grants that were used do; those of each resource apart.
#[tokio::test]
async fn the_bounds_of_the_grants_that_were_used_are_kept() {
    const READ: &str = "shelf.read";
    let world = shelf().await;
    let read = async || world.mint(READ, json!({ "book_id": "x" })).await.unwrap();
    let once = |caveat| vec![within("mark", &["m"]), caveat, Caveat::Calls(1)];
    world.grant(&[READ], once(within("box", &["a"]))).await;
    read().await;
    let one = [kept("box", &["a"], &["a"], false), kept("mark", &["m"], &["m"], false)];
    assert_eq!(bounds(&world, READ).await, one);
    // Another grant, when that one is used up.
    world.grant(&[READ], once(within("box", &["b"]))).await;
    read().await;
    let both = [kept("box", &["a", "b"], &["a", "b"], false), kept("mark", &["m"], &["m"], false)];
    assert_eq!(bounds(&world, READ).await, both);
    // And one that is bounded by no box.
    world.grant(&[READ], vec![within("mark", &["m"])]).await;
    read().await;
    assert_eq!(bounds(&world, READ).await, [kept("mark", &["m"], &["m"], false)]);
}

#[tokio::test]
async fn ids_in_the_arguments_are_the_bound_with_the_names_that_are_known() {
    const OPEN: &str = "shelf.open";
    let named = |ids: &[&str]| match within("box", &[]) {
        Caveat::Resource(bound) => {
            let ids = ids.iter().map(|id| (*id).to_owned()).collect();
            Caveat::Resource(ResourceBound { ids, ..bound })
        }
        other => other,
    };
    let world = shelf().await;
    world.grant(&[OPEN], vec![named(&["Fiction", "id:b2", "id:b3"])]).await;
    for id in ["b1", "b3"] {
        world.mint(OPEN, json!({ "box_id": id })).await.unwrap();
    }
    assert_eq!(bounds(&world, OPEN).await, [kept("box", &["b1", "b3"], &["Fiction", "b3"], false)]);
    // Under a grant without bounds the arguments are all there is.
    let world = shelf().await;
    world.grant(&[OPEN], vec![]).await;
    world.mint(OPEN, json!({ "box_id": "c" })).await.unwrap();
    assert_eq!(bounds(&world, OPEN).await, [kept("box", &["c"], &["c"], false)]);
    // A call that named none may have opened any.
    world.mint(OPEN, json!({})).await.unwrap();
    assert_eq!(bounds(&world, OPEN).await, []);
}

#[tokio::test]
async fn more_than_fifty_ids_are_no_bound_that_an_owner_reads() {
    const OPEN: &str = "shelf.open";
    let world = shelf().await;
    world.grant(&[OPEN], vec![]).await;
    for n in 0..50 {
        world.mint(OPEN, json!({ "box_id": format!("b{n}") })).await.unwrap();
    }
    let found = bounds(&world, OPEN).await;
    assert!(matches!(&found[..], [Caveat::Resource(bound)] if bound.ids.len() == 50), "{found:?}");
    world.mint(OPEN, json!({ "box_id": "b50" })).await.unwrap();
    assert_eq!(bounds(&world, OPEN).await, []);
}

/// What lies below a box counts too, so the box that an argument names may be any below: the grant's bound is kept.
#[tokio::test]
async fn a_bound_that_goes_deeper_stays_as_it_is() {
    let world = shelf().await;
    let nested = match within("box", &["in", "on"]) {
        Caveat::Resource(bound) => Caveat::Resource(ResourceBound { nested: true, ..bound }),
        other => other,
    };
    world.grant(&["shelf.open"], vec![nested]).await;
    world.mint("shelf.open", json!({ "box_id": "in" })).await.unwrap();
    assert_eq!(bounds(&world, "shelf.open").await, [kept("box", &["in", "on"], &["in", "on"], true)]);
}

/// Nothing is suggested that could not be granted: not all of this tool's steps can be held to a box.
#[tokio::test]
async fn what_the_tool_cannot_keep_to_is_not_suggested() {
    let world = shelf().await;
    world.grant(&["shelf.walk"], vec![]).await;
    world.mint("shelf.walk", json!({ "box_id": "in" })).await.unwrap();
    assert_eq!(bounds(&world, "shelf.walk").await, []);
}

#[tokio::test]
async fn recipients_are_named_one_by_one_up_to_fifty() {
    const DRAFT: &str = "gmail.create_draft";
    let draft = |most: usize, cc: &[&str]| -> Value {
        let to: Vec<String> = (0..most).map(|n| format!("a{n}@example.com")).collect();
        json!({ "to": to, "cc": cc, "subject": "s", "body": "b" })
    };
    let recipients = async |calls: &[Value]| {
        let world = World::new().await;
        world.grant(&[DRAFT], vec![]).await;
        for args in calls {
            world.mint(DRAFT, args.clone()).await.unwrap();
        }
        let found = bounds(&world, DRAFT).await;
        found.into_iter().find_map(|caveat| match caveat {
            Caveat::Recipients(patterns) => Some(patterns.len()),
            _ => None,
        })
    };
    assert_eq!(recipients(&[draft(50, &[])]).await, Some(50));
    assert_eq!(recipients(&[draft(50, &["b@example.com"])]).await, None);
    // One that goes to nobody is not bounded to nobody.
    assert_eq!(recipients(&[json!({ "subject": "s", "body": "b" })]).await, None);
}

/// The most within any hour; what is an hour later is in the next.
#[tokio::test]
async fn the_busiest_hour_is_the_rate() {
    let world = World::new().await;
    world.grant(&["gmail.send_message"], vec![]).await;
    for _ in 0..3 {
        world.mint("gmail.send_message", mail("a@example.com")).await.unwrap();
        world.clock.advance(30 * 60_000);
    }
    let grants = suggested(&world).await;
    assert!(grants[0].0.caveats.contains(&rate("2/1h")), "{:?}", grants[0].0.caveats);
    assert!(grants[0].0.caveats.contains(&to(&["a@example.com"])));
    assert_eq!(grants[0].1, 3);
}

/// What forbids is not left unused because nobody did it.
#[tokio::test]
async fn what_forbids_is_never_called_unused() {
    let world = World::new().await;
    let mut deny = ask("ann", &["gmail.send_message"], vec![]);
    (deny.deny, deny.approve) = (true, Approve::Default);
    world.broker.add_grant(ADMIN, deny).await.unwrap();
    let spare = world.grant(&["gmail.list_labels"], vec![]).await.grant.id;
    let unused = world.broker.suggest(&agent("ann"), 0).await.unwrap().unused;
    assert_eq!(unused, [(spare, vec!["gmail.list_labels".parse().unwrap()], true)]);
}
