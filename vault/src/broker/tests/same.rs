//! Worlds that differ in what is out of scope alone cannot be told apart by turning pages.

use super::lists::{Item, Kind, Lists, kind, kinds};

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }
}

/// Elements within, with so many outside before each, and after the last.
fn mixed(kind: &Kind, gaps: &[usize]) -> Vec<Item> {
    let (mut items, mut hidden) = (Vec::new(), 0);
    for (at, gap) in gaps.iter().enumerate() {
        items.extend((hidden..hidden + gap).map(kind.outside));
        hidden += gap;
        if at + 1 < gaps.len() {
            items.push((kind.inside)(at));
        }
    }
    items
}

/// The longest run of elements outside: well within reach, and over the ends of several of the upstream's pages.
fn longest(kind: &Kind) -> usize {
    if kind.tool.starts_with("gmail.search") { 14 } else { 60 }
}

#[tokio::test]
async fn no_page_tells_of_what_is_out_of_scope() {
    for kind in kinds() {
        let mut dice = Dice(kind.name.len() as u64);
        for round in 0..4 {
            let within = dice.below(8);
            // Now nearly as many as there are, now a few, now one by one.
            let wanted = 1 + dice.below(within.clamp(1, 4));
            let most = [1, 4, longest(&kind)][round % 3];
            let gaps: Vec<usize> = (0..=within).map(|_| dice.below(most + 1)).collect();
            let full = Lists::of(&kind, mixed(&kind, &gaps)).await;
            let bare = Lists::of(&kind, mixed(&kind, &vec![0; within + 1])).await;
            let (full_pages, bare_pages) = (full.walk(&kind, wanted).await, bare.walk(&kind, wanted).await);
            assert_eq!(full_pages, bare_pages, "{}: {gaps:?}, {wanted} at a time", kind.name);
            if kind.tool != "calendar.list_calendars" {
                assert_eq!(bare_pages.len(), within.div_ceil(wanted).max(1), "{}: {gaps:?}", kind.name);
            }
            assert!(bare_pages.iter().all(|page| page.starts_with("(200")), "{}: {bare_pages:?}", kind.name);
            full.world.all_announced();
        }
    }
}

/// Neither the first page nor a later one, and neither order nor number: one element outside at each place in turn.
#[tokio::test]
async fn one_element_outside_is_seen_nowhere() {
    for name in ["senders", "owners", "days of events", "made drafts"] {
        let kind = kind(name);
        let bare = Lists::of(&kind, mixed(&kind, &[0; 5])).await.walk(&kind, 2).await;
        for at in 0..5 {
            let mut gaps = [0; 5];
            gaps[at] = 1;
            let full = Lists::of(&kind, mixed(&kind, &gaps)).await;
            assert_eq!(full.walk(&kind, 2).await, bare, "{name} at {at}");
        }
    }
}

/// An upstream that fails does so alike, whichever of its pages it is asked for.
#[tokio::test]
async fn no_error_tells_on_which_page_it_was() {
    use super::upstream::json as answer;
    use crate::port::UpstreamFault;
    use serde_json::json;
    type Failing = fn() -> super::upstream::Reply;
    let faults: [Failing; 8] = [
        || answer(500, &json!({})),
        || answer(404, &json!({})),
        || answer(403, &json!({})),
        || answer(429, &json!({})),
        || answer(200, &json!({ "messages": {}, "files": "x", "items": 1 })),
        || answer(200, &json!([])),
        || Err(UpstreamFault::Slow),
        || Err(UpstreamFault::Redirect(302)),
    ];
    for name in ["senders", "owners", "days of events"] {
        let kind = kind(name);
        for (number, fault) in faults.into_iter().enumerate() {
            // With nothing outside the first page fails; with many, a later one.
            let mut told = Vec::new();
            for outside in [0, 120] {
                let lists = Lists::of(&kind, mixed(&kind, &[outside, 0, 0])).await;
                lists.instead(move |seen| {
                    let listed = seen.target.contains("maxResults=") || seen.target.contains("pageSize=");
                    let later = outside == 0 || seen.target.contains("pageToken=");
                    (listed && later).then(fault)
                });
                told.push(lists.page(&kind, 1, None).await.0);
                let (asked, _) = lists.asked();
                assert_eq!(asked, if outside == 0 { 1 } else { 2 }, "{name}, fault {number}");
            }
            assert_eq!(told[0], told[1], "{name}, fault {number}");
            // Gmail's list of ids is nothing that elements say themselves: one that is no list has none.
            assert!(!told[0].starts_with("(200") || (name == "senders" && number == 4), "{name} {}", told[0]);
        }
    }
}

/// An element that cannot be looked at is one that is not there, whatever its bounds.
#[tokio::test]
async fn no_element_fails_the_list_that_hides_it() {
    use super::upstream::json as answer;
    use crate::port::UpstreamFault;
    use serde_json::json;
    type Failing = fn() -> super::upstream::Reply;
    let faults: [Failing; 7] = [
        || answer(404, &json!({})),
        || answer(403, &json!({})),
        || answer(400, &json!({})),
        || answer(200, &json!([])),
        || Ok(crate::port::Answer { status: 200, headers: Vec::new(), body: "{".into() }),
        || Err(UpstreamFault::Answer("it is too long")),
        || Err(UpstreamFault::Redirect(302)),
    ];
    let kind = kind("senders");
    let bare = Lists::of(&kind, mixed(&kind, &[0; 4])).await.walk(&kind, 2).await;
    for (number, fault) in faults.into_iter().enumerate() {
        let full = Lists::of(&kind, mixed(&kind, &[1, 2, 0, 1])).await;
        full.instead(move |seen| seen.target.contains("/messages/out").then(fault));
        assert_eq!(full.walk(&kind, 2).await, bare, "fault {number}");
    }
    // An upstream in trouble is told as such.
    let full = Lists::of(&kind, mixed(&kind, &[1, 2, 0, 1])).await;
    full.instead(|seen| seen.target.contains("/messages/").then(|| answer(503, &json!({}))));
    assert_eq!(full.page(&kind, 2, None).await.0, "Upstream Some(\"status\")");
}
