//! Elements of lists that do not say themselves what they belong to: what each look decides, and how many there are.

use std::sync::Arc;

use claviger_domain::event::{Ending, Kind as Recorded};
use claviger_domain::refusal::Class;
use serde_json::json;

use super::lists::{Lists, kind};
use super::shelf::{book, books, of_2026, sender, shelf};
use super::upstream::json as answer;
use super::world::secret;

const GLANCE: &str = "shelf.glance";

/// Who sent it and when it is of are told by two looks: neither answers for the other.
#[tokio::test]
async fn each_bound_is_decided_by_its_own_look() {
    let mut all = books(6);
    all[1]["from"] = json!("eve@y.org");
    // What the other look says of its days is nothing that counts.
    all[2]["dated"] = json!("2025-05-01T10:00:00Z");
    all[4]["when"] = json!("2025-05-01T10:00:00Z");
    // What has no id that can be looked at is dropped, and nothing is asked for it.
    for (at, id) in [json!(null), json!(7), json!("../who"), json!("b0/../b1"), json!("")].iter().enumerate()
    {
        let mut odd = book("odd");
        odd["id"] = id.clone();
        all.insert(at, odd);
    }
    let shelf = shelf(all).await;
    shelf.world.grant(&[GLANCE], vec![sender(), of_2026()]).await;
    let (ids, mark) = shelf.ids(GLANCE, json!({})).await.unwrap();
    assert_eq!((ids, mark), (vec!["b0".to_owned(), "b3".to_owned(), "b4".to_owned(), "b5".to_owned()], None));
    assert_eq!((shelf.asked_for("/books/b"), shelf.asked_for("/dates/b")), (6, 5));
    assert_eq!(shelf.asked().len(), 12, "{:?}", shelf.asked());
    // No credential goes to a service that needs none.
    let secret = secret("shelf/me").to_string();
    assert!(
        shelf.world.upstream.calls().iter().all(|call| call.credential.is_empty() && call.secret == secret)
    );
    shelf.world.all_announced();
}

#[tokio::test]
async fn bounds_that_one_look_tells_cost_one_look() {
    let kind = kind("senders and days");
    let lists = Lists::of(&kind, (0..6).map(kind.inside).collect()).await;
    assert_eq!(lists.ids(&kind, 5, None).await.0.len(), 5);
    assert_eq!(lists.asked(), (1, 6));
}

#[tokio::test]
async fn an_upstream_in_trouble_fails_the_whole_list() {
    for at in 0..6 {
        let shelf = shelf(books(6)).await;
        shelf.world.grant(&[GLANCE], vec![sender()]).await;
        let target = format!("/books/b{at}");
        shelf.instead(move |seen| (seen.target == target).then(|| answer(503, &json!({}))));
        let told = shelf.ids(GLANCE, json!({})).await;
        assert_eq!(told, Err((Class::Upstream, Some("status".to_owned()))), "{at}");
        let outcomes = shelf.world.audit.events(Recorded::Outcome);
        let list = outcomes.iter().find(|(_, event, _)| event.step.as_deref() == Some("list")).unwrap();
        assert_eq!(list.1.ending, Some(Ending::Withheld), "{at}");
    }
}

/// 500 and up is the upstream's own trouble; anything less may be what it says of that element alone.
#[tokio::test]
async fn what_is_said_of_an_element_hides_it_and_what_is_said_of_the_upstream_does_not() {
    let kind = kind("senders");
    for (status, hides) in [(400, true), (451, true), (499, true), (500, false), (501, false), (599, false)] {
        let mut items: Vec<_> = (0..2).map(kind.inside).collect();
        items.insert(1, (kind.outside)(0));
        let lists = Lists::of(&kind, items).await;
        lists.instead(move |seen| seen.target.contains("/messages/out").then(|| answer(status, &json!({}))));
        let (told, _) = lists.page(&kind, 5, None).await;
        match hides {
            true => assert!(told.starts_with("(200") && told.contains("in1"), "{status}: {told}"),
            false => assert_eq!(told, "Upstream Some(\"status\")", "{status}"),
        }
    }
}

/// A list that has no pages ends where the call's looks end.
#[tokio::test]
async fn so_many_elements_are_looked_at_and_no_more() {
    let shelf = shelf(books(250)).await;
    shelf.world.grant(&[GLANCE], vec![sender()]).await;
    let (ids, _) = shelf.ids(GLANCE, json!({})).await.unwrap();
    assert_eq!(shelf.asked_for("/books/b"), 200);
    assert_eq!(ids, (0..200).map(|n| format!("b{n}")).collect::<Vec<_>>());
}

/// And so does one whose pages the vault turns: a further page is one look too.
#[tokio::test]
async fn pages_do_not_add_to_the_looks() {
    let kind = kind("senders");
    let mut items: Vec<_> = (0..196).map(kind.outside).collect();
    items.extend((0..2).map(kind.inside));
    let lists = Lists::of(&kind, items).await;
    assert_eq!(lists.ids(&kind, 2, None).await, (vec![], None));
    let (pages, looks) = lists.asked();
    // The first page is the call's own request.
    assert_eq!(pages - 1 + looks, 200);
}

/// Some services bear few requests at once.
#[tokio::test]
async fn few_are_looked_at_at_once() {
    let shelf = shelf(books(12)).await;
    shelf.world.grant(&[GLANCE], vec![sender()]).await;
    let upstream = Arc::clone(&shelf.world.upstream);
    shelf.instead(move |seen| {
        if seen.target == "/books" {
            upstream.gate(false);
        }
        None
    });
    let world = Arc::clone(&shelf.world);
    let call = tokio::spawn(async move { world.call(GLANCE, json!({})).await.is_ok() });
    shelf.world.upstream.wait_for(5).await;
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(shelf.asked_for("/books/b"), 4);
    shelf.world.upstream.gate(true);
    assert!(call.await.unwrap());
    assert_eq!(shelf.asked_for("/books/b"), 12);
}

/// One more than is asked for says whether there is a next page; what lies behind that is not looked at.
#[tokio::test]
async fn no_more_are_looked_at_than_the_page_needs() {
    let kind = kind("senders");
    let mut items: Vec<_> = (0..8).map(kind.inside).collect();
    items.insert(1, (kind.outside)(0));
    let lists = Lists::of(&kind, items).await;
    assert_eq!(lists.ids(&kind, 3, None).await.0, ["in0", "in1", "in2"]);
    assert_eq!(lists.asked(), (1, 5));
}
