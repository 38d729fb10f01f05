//! Pages that the vault turns: how far it looks, what waits under a mark, and who may turn to it.

use claviger_domain::caveat::Caveat;
use claviger_domain::event::{Ending, Kind as Recorded};
use claviger_domain::refusal::{Class, Refusal};
use serde_json::{Value, json};

use super::lists::{Item, Lists, file, kind, mail};
use super::upstream::json as answer;
use super::world::{ADMIN, World, adapter, agent, class, within};
use crate::port::UpstreamFault;

const FILES: &str = "drive.search_files";
const MAILS: &str = "gmail.search_messages";

/// Files of the owner's.
fn files(count: usize) -> Vec<Item> {
    (0..count).map(|n| file(&format!("in{n}"), "me@x.org", "a", "2026-05-01T10:00:00Z")).collect()
}

fn mails(count: usize) -> Vec<Item> {
    (0..count).map(|n| mail(&format!("in{n}"), "ann@x.org", "1780272000000")).collect()
}

fn others(count: usize) -> Vec<Item> {
    (0..count).map(|n| mail(&format!("out{n}"), "eve@y.org", "1780272000000")).collect()
}

fn refused<T>(result: Result<T, Refusal>) -> (Class, Option<String>) {
    match result {
        Ok(_) => panic!("it was allowed"),
        Err(refusal) => (refusal.class, refusal.field),
    }
}

fn no_page() -> (Class, Option<String>) {
    (Class::OutOfScope, Some("page".to_owned()))
}

#[tokio::test]
async fn what_does_not_fit_waits_and_is_not_asked_for_again() {
    let kind = kind("owners");
    let lists = Lists::of(&kind, files(5)).await;
    let (first, mark) = lists.ids(&kind, 2, None).await;
    assert_eq!(first, ["in0", "in1"]);
    assert!(lists.world.upstream.calls()[0].target.contains("pageSize=100"), "as many as may be asked for");
    let (second, next) = lists.ids(&kind, 2, mark.as_deref()).await;
    assert_eq!(second, ["in2", "in3"]);
    // A page may be turned to again.
    assert_eq!(lists.ids(&kind, 2, mark.as_deref()).await.0, second);
    let (last, none) = lists.ids(&kind, 2, next.as_deref()).await;
    assert_eq!((last, none), (vec!["in4".to_owned()], None));
    assert_eq!(lists.asked(), (1, 0));
    // Nothing was sent for them, but each was a use, and has its records.
    let of = |kind| {
        let events = lists.world.audit.events(kind);
        events.iter().filter(|(_, event, _)| event.step.as_deref() == Some("list")).count()
    };
    assert_eq!((of(Recorded::Intent), of(Recorded::Outcome)), (4, 4));
}

#[tokio::test]
async fn nothing_but_the_list_and_its_mark_is_released() {
    for name in ["senders", "owners", "days of events", "made drafts"] {
        let kind = kind(name);
        let lists = Lists::of(&kind, (0..3).map(kind.inside).collect()).await;
        let mut args = kind.args.clone();
        args["max_results"] = json!(2);
        let sent = lists.world.call(kind.tool, args).await.unwrap();
        let value: Value = serde_json::from_slice(&sent.body).unwrap();
        let mut members: Vec<&String> = value.as_object().unwrap().keys().collect();
        members.retain(|name| !["messages", "files", "items", "drafts"].contains(&name.as_str()));
        assert_eq!(members, ["nextPageToken"], "{name}");
    }
}

/// A capability learns what was released, and neither what was dropped nor what waits.
#[tokio::test]
async fn what_waits_is_not_yet_told() {
    let kind = kind("senders");
    let mut all = mails(3);
    all.insert(1, others(1).remove(0));
    let lists = Lists::of(&kind, all).await;
    let minted = lists.world.mint(MAILS, json!({ "max_results": 1 })).await.unwrap();
    lists.world.send(&minted, "list", &[]).await.unwrap();
    for id in ["in1", "in2", "out0"] {
        let summary = lists.world.send(&minted, "summary", &[("message_id", id)]).await;
        assert_eq!(class(summary), Class::BadStep, "{id}");
    }
    lists.world.send(&minted, "summary", &[("message_id", "in0")]).await.unwrap();
}

#[tokio::test]
async fn a_search_looks_so_far_and_no_further() {
    // Mails are looked at one by one, files say themselves whose they are.
    for (name, found, hidden) in [("senders", 190, 200), ("owners", 799, 800)] {
        let kind = kind(name);
        let with = |hidden: usize| {
            let mut items: Vec<Item> = (0..hidden).map(kind.outside).collect();
            items.extend((0..3).map(kind.inside));
            items
        };
        let near = Lists::of(&kind, with(found)).await;
        assert_eq!(near.ids(&kind, 2, None).await.0[..1], ["in0"], "{name}");
        let far = Lists::of(&kind, with(hidden)).await;
        let empty = Lists::of(&kind, Vec::new()).await;
        let (told, mark) = far.page(&kind, 2, None).await;
        assert_eq!((&told, &mark), (&empty.page(&kind, 2, None).await.0, &None), "{name}");
        let (lists, looks) = far.asked();
        assert!(lists <= 8 && looks <= 200, "{name}: {lists} and {looks}");
        far.world.all_announced();
    }
}

/// What is looked at is no request of the adapter's: its call has as many left, whatever was dropped.
#[tokio::test]
async fn the_looks_are_not_taken_from_the_adapters_requests() {
    let kind = kind("senders");
    let mut items = others(170);
    items.extend(mails(2));
    let lists = Lists::of(&kind, items).await;
    let minted = lists.world.mint(MAILS, json!({ "max_results": 2 })).await.unwrap();
    lists.world.send(&minted, "list", &[]).await.unwrap();
    for request in 1..minted.requests {
        let summary = lists.world.send(&minted, "summary", &[("message_id", "in1")]).await;
        assert!(summary.is_ok(), "{request}");
    }
    assert_eq!(
        class(lists.world.send(&minted, "summary", &[("message_id", "in1")]).await),
        Class::BadCapability
    );
}

#[tokio::test]
async fn a_page_too_long_to_be_taken_is_asked_for_by_halves() {
    let kind = kind("days of events");
    let lists = Lists::of(&kind, (0..3).map(kind.inside).collect()).await;
    lists.instead(|seen| {
        let short =
            ["12", "6", "3", "1"].iter().any(|size| seen.target.contains(&format!("maxResults={size}&")));
        (seen.target.contains("maxResults=") && !short).then(|| Err(UpstreamFault::Answer("it is too long")))
    });
    assert_eq!(lists.ids(&kind, 2, None).await.0, ["in0", "in1"]);
    assert_eq!(lists.asked().0, 4, "100, 50, 25, 12");
    // One that is too long by itself is told as ever.
    let lists = Lists::of(&kind, (0..3).map(kind.inside).collect()).await;
    lists.instead(|seen| {
        seen.target.contains("maxResults=").then(|| Err(UpstreamFault::Answer("it is too long")))
    });
    assert_eq!(lists.page(&kind, 2, None).await.0, "Upstream Some(\"answer\")");
    assert!(lists.asked().0 <= 8);
}

/// Put together from several pages, an answer is no longer than one of the upstream's, and what is left over waits.
#[tokio::test]
async fn a_page_is_never_longer_than_an_answer_may_be() {
    let kind = kind("days of events");
    let long = |n: usize| {
        let mut item = (kind.inside)(n);
        item.shown["description"] = json!("x".repeat(300_000));
        item
    };
    let mut told = Vec::new();
    for hidden in [0, 50] {
        let mut items: Vec<Item> = (0..hidden).map(kind.outside).collect();
        items.extend((0..5).map(long));
        let lists = Lists::of(&kind, items).await;
        let (mut pages, mut mark) = (Vec::new(), None);
        loop {
            let (ids, next) = lists.ids(&kind, 100, mark.as_deref()).await;
            pages.push(ids.len());
            mark = next;
            if mark.is_none() {
                break;
            }
        }
        told.push(pages);
    }
    assert_eq!(told, [[3, 2], [3, 2]]);
}

#[tokio::test]
async fn an_upstream_whose_pages_go_in_a_circle_is_not_followed() {
    let kind = kind("owners");
    let lists = Lists::of(&kind, Vec::new()).await;
    lists.instead(|seen| {
        let page = json!({ "files": [], "nextPageToken": "same" });
        seen.target.contains("pageSize=").then(|| answer(200, &page))
    });
    lists.page(&kind, 2, None).await;
    assert_eq!(lists.asked().0, 2);
    // Tokens that are none end it too.
    for token in [json!(""), json!(7), json!(null), json!("x".repeat(9000))] {
        let lists = Lists::of(&kind, Vec::new()).await;
        let page = json!({ "files": [], "nextPageToken": token });
        lists.instead(move |seen| seen.target.contains("pageSize=").then(|| answer(200, &page)));
        assert_eq!(lists.page(&kind, 2, None).await.1, None, "{token}");
        assert_eq!(lists.asked().0, 1, "{token}");
    }
    // Nor is there a mark for one in a list that nothing bounds: it would be the first page again.
    let open = super::lists::Kind { bounds: vec![], ..kind };
    let lists = Lists::of(&open, Vec::new()).await;
    let page = json!({ "files": [], "nextPageToken": "" });
    lists.instead(move |seen| seen.target.contains("pageSize=").then(|| answer(200, &page)));
    assert_eq!(lists.page(&open, 2, None).await.1, None);
}

#[tokio::test]
async fn a_mark_is_good_for_one_list_of_one_handle() {
    let kind = kind("owners");
    let lists = Lists::of(&kind, files(5)).await;
    lists.world.try_grant("bob", &[FILES], kind.bounds.clone()).await.unwrap();
    let mark = lists.page(&kind, 2, None).await.1.unwrap();
    // Other terms, and another number.
    for args in [json!({ "name": "other" }), json!({ "name": "file", "text": "x" }), json!({})] {
        let mut args = args;
        args["page"] = json!(mark);
        args["max_results"] = json!(2);
        assert_eq!(refused(lists.world.call(FILES, args).await), no_page());
    }
    let more = json!({ "name": "file", "page": mark, "max_results": 3 });
    assert_eq!(refused(lists.world.call(FILES, more).await), no_page());
    // Guessed, and the upstream's own.
    for guess in ["page_0000000000000000", "page_ffffffffffffffff"] {
        let args = json!({ "name": "file", "page": guess, "max_results": 2 });
        assert_eq!(refused(lists.world.call(FILES, args).await), no_page());
    }
    // Another agent's handle.
    let args = json!({ "name": "file", "page": mark, "max_results": 2 });
    let (text, bytes) = lists.world.present_as("bob", FILES, &args, |_| {});
    let bobs = lists.world.broker.mint(&adapter("drive"), &text, &bytes).await.unwrap();
    assert_eq!(refused(lists.world.send(&bobs, "list", &[]).await), no_page());
    assert_eq!(lists.asked().0, 1, "nothing was asked for");
    lists.world.call(FILES, args).await.unwrap();
}

/// The owner takes something away between one page and the next.
#[tokio::test]
async fn what_waits_is_judged_by_todays_scope() {
    let owners = kind("owners");
    let mut items = files(5);
    items[2] = file("in2", "me@x.org", "private", "2026-05-01T10:00:00Z");
    items[4] = file("in4", "me@x.org", "private", "2026-05-01T10:00:00Z");
    let lists = Lists::of(&owners, items).await;
    let (_, mark) = lists.ids(&owners, 2, None).await;
    lists.deny(FILES, within("folder", &["private"])).await;
    let (ids, next) = lists.ids(&owners, 2, mark.as_deref()).await;
    assert_eq!((ids, next), (vec!["in3".to_owned()], None));
    // What does not say itself what it belongs to is looked at anew.
    let senders = kind("senders");
    let lists = Lists::of(&senders, mails(5)).await;
    let (_, mark) = lists.ids(&senders, 2, None).await;
    {
        let mut items = lists.items.lock().unwrap();
        items[2] = mail("in2", "eve@y.org", "1780272000000");
        items.remove(3);
    }
    let (ids, next) = lists.ids(&senders, 2, mark.as_deref()).await;
    assert_eq!((ids, next), (vec!["in4".to_owned()], None));
}

/// A page of a list that nothing bounded is turned by the vault once something does.
#[tokio::test]
async fn a_bound_that_comes_later_bounds_the_next_page() {
    let owners = kind("owners");
    let open = super::lists::Kind { bounds: vec![], ..kind("owners") };
    let mut items = files(6);
    items[3] = file("out", "me@x.org", "private", "2026-05-01T10:00:00Z");
    let lists = Lists::of(&open, items).await;
    let (first, mark) = lists.ids(&open, 2, None).await;
    assert_eq!(first, ["in0", "in1"]);
    assert!(lists.world.upstream.calls()[0].target.contains("pageSize=2&"), "as the caller asked");
    lists.deny(FILES, within("folder", &["private"])).await;
    let (second, next) = lists.ids(&owners, 2, mark.as_deref()).await;
    assert_eq!(second, ["in2", "in4"]);
    assert_eq!(lists.ids(&owners, 2, next.as_deref()).await, (vec!["in5".to_owned()], None));
}

#[tokio::test]
async fn pages_are_forgotten_with_what_they_were_given_for() {
    let kind = kind("owners");
    let args = |mark: &str| json!({ "name": "file", "page": mark, "max_results": 2 });
    // Frozen and thawed.
    let lists = Lists::of(&kind, files(5)).await;
    let mark = lists.page(&kind, 2, None).await.1.unwrap();
    lists.world.broker.freeze(ADMIN, &agent("ann"), "").await.unwrap();
    lists.world.broker.thaw(ADMIN, &agent("ann")).await.unwrap();
    assert_eq!(refused(lists.world.call(FILES, args(&mark)).await), no_page());
    // Revoked and granted anew.
    let mark = lists.page(&kind, 2, None).await.1.unwrap();
    let id = lists.world.broker.grants(None, false).unwrap()[0].grant.id;
    lists.world.broker.revoke(ADMIN, id).await.unwrap();
    lists.world.grant(&[FILES], kind.bounds.clone()).await;
    assert_eq!(refused(lists.world.call(FILES, args(&mark)).await), no_page());
    // Frozen while its answer was on the way.
    let broker = std::sync::Arc::clone(&lists.world.broker);
    lists.instead(move |_| {
        broker.freeze_now(&agent("ann"), "").unwrap();
        None
    });
    let mark = lists.page(&kind, 2, None).await.1.unwrap();
    lists.instead(|_| None);
    lists.world.broker.thaw(ADMIN, &agent("ann")).await.unwrap();
    assert_eq!(refused(lists.world.call(FILES, args(&mark)).await), no_page());
    // Sealed.
    let mark = lists.page(&kind, 2, None).await.1.unwrap();
    let handle = lists.world.broker.open(&agent("ann")).unwrap().handles[0].id;
    let waits = || {
        let (tool, step) = (FILES.parse().unwrap(), "list".parse().unwrap());
        let pages = crate::broker::lock(&lists.world.broker.pages);
        pages.find(&agent("ann"), handle, &mark, &tool, &step).is_some()
    };
    assert!(waits());
    lists.world.broker.shut();
    assert!(!waits());
}

/// What is taken away while the vault asks for page after page is gone with the next of them.
#[tokio::test]
async fn a_freeze_ends_the_turning_between_two_pages() {
    let kind = kind("owners");
    let items: Vec<Item> = (0..300).map(kind.outside).collect();
    let lists = Lists::of(&kind, items).await;
    let broker = std::sync::Arc::clone(&lists.world.broker);
    lists.instead(move |seen| {
        if seen.target.contains("pageToken=t100") {
            broker.freeze_now(&agent("ann"), "").unwrap();
        }
        None
    });
    assert_eq!(refused(lists.world.call(FILES, json!({})).await).0, Class::Frozen);
    assert_eq!(lists.asked().0, 2);
    let endings: Vec<_> = lists
        .world
        .audit
        .events(Recorded::Outcome)
        .iter()
        .map(|(_, event, _)| event.ending.unwrap())
        .collect();
    assert!(endings.contains(&Ending::NotSent) && endings.contains(&Ending::Withheld), "{endings:?}");
}

/// And what waits here is not released on the word of yesterday.
#[tokio::test]
async fn a_page_that_waits_is_not_released_to_whom_it_was_taken_from() {
    let kind = kind("owners");
    let lists = Lists::of(&kind, files(5)).await;
    let mark = lists.page(&kind, 2, None).await.1.unwrap();
    let minted =
        lists.world.mint(FILES, json!({ "name": "file", "page": mark, "max_results": 2 })).await.unwrap();
    lists.world.audit.block(true);
    let broker = std::sync::Arc::clone(&lists.world.broker);
    let capability = minted.capability.clone();
    let sending = tokio::spawn(async move {
        broker.send(&adapter("drive"), &capability, "list", std::collections::BTreeMap::new()).await
    });
    tokio::task::yield_now().await;
    lists.world.broker.freeze_now(&agent("ann"), "").unwrap();
    lists.world.audit.block(false);
    assert_eq!(class(sending.await.unwrap()), Class::Frozen);
}

/// Bytes count as they are released, so that the day's end tells nothing of what was dropped.
#[tokio::test]
async fn bytes_count_as_released() {
    let kind = super::lists::Kind {
        bounds: vec![kind("owners").bounds[0].clone(), Caveat::BytesADay(2000)],
        ..kind("owners")
    };
    let mut told = Vec::new();
    for hidden in [0, 250] {
        let mut items: Vec<Item> = (0..hidden).map(kind.outside).collect();
        items.extend(files(12));
        let lists = Lists::of(&kind, items).await;
        let mut pages = Vec::new();
        for _ in 0..6 {
            pages.push(lists.page(&kind, 3, None).await.0);
        }
        assert!(pages[0].starts_with("(200") && pages[5].starts_with("RateLimited"), "{pages:?}");
        told.push(pages);
    }
    assert_eq!(told[0], told[1]);
}

/// Labels are the upstream's own filter, and nothing is dropped: its pages stay as they are.
#[tokio::test]
async fn what_drops_nothing_is_turned_as_the_upstream_turns_it() {
    let world = World::new().await;
    world.grant(&[MAILS], vec![within("label", &["Label_ai"])]).await;
    world.call(MAILS, json!({ "max_results": 3 })).await.unwrap();
    assert!(world.upstream.calls()[0].target.contains("maxResults=3"));
}

/// One list's page is no other list's, though both are the same handle's and were asked for alike.
#[tokio::test]
async fn a_mark_of_one_list_is_none_of_another() {
    let world = World::new().await;
    world.grant(&[MAILS, "gmail.list_drafts"], vec![]).await;
    let google = super::google::serve(&world.google);
    world.upstream.answer_with(move |seen| match seen.is_token() {
        true => google(seen),
        false => answer(200, &json!({ "messages": [], "drafts": [], "nextPageToken": "T" })),
    });
    let sent = world.call(MAILS, json!({})).await.unwrap();
    let told: Value = serde_json::from_slice(&sent.body).unwrap();
    let args = json!({ "page": told["nextPageToken"].as_str().unwrap() });
    assert_eq!(refused(world.call("gmail.list_drafts", args.clone()).await), no_page());
    assert_eq!(world.upstream.calls().len(), 1);
    world.call(MAILS, args).await.unwrap();
}
