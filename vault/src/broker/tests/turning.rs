//! Pages to the letter: how many elements one has, how it is asked for again, and what a later page is bound to.

use std::sync::atomic::{AtomicBool, Ordering};

use claviger_domain::caveat::Caveat;
use claviger_domain::refusal::Class;
use serde_json::json;

use super::lists::{Item, Kind, Lists, file, kind};
use super::shelf::{Shelf, books, owner, shelf};
use super::upstream::json as answer;
use super::world::{ADMIN, class, within};
use crate::port::UpstreamFault;

const FEW: &str = "shelf.few";
const MANY: &str = "shelf.many";
const ALL: &str = "shelf.all";
const PLACE: &str = "shelf.place";

fn files(count: usize) -> Vec<Item> {
    (0..count).map(|n| file(&format!("in{n}"), "me@x.org", "a", "2026-05-01T10:00:00Z")).collect()
}

fn told(class: Class, field: &str) -> (Class, Option<String>) {
    (class, Some(field.to_owned()))
}

/// The sizes that were asked for, one after the other.
fn sizes(shelf: &Shelf) -> Vec<u32> {
    let asked = shelf.asked();
    asked.iter().map(|target| target.strip_prefix("/books?size=").unwrap().parse().unwrap()).collect()
}

/// Pages longer than so many elements are too long to be taken.
async fn short(most: u32, tool: &str) -> Shelf {
    let shelf = shelf(books(3)).await;
    shelf.world.grant(&[tool], vec![owner()]).await;
    shelf.instead(move |seen| {
        let size = seen.target.strip_prefix("/books?size=")?.split('&').next()?.parse::<u32>().ok()?;
        (size > most).then(|| Err(UpstreamFault::Answer("it is too long")))
    });
    shelf
}

/// Where the catalog names no argument that says how many.
#[tokio::test]
async fn a_page_of_no_said_size_has_fifty_elements() {
    let shelf = shelf(books(60)).await;
    shelf.world.grant(&[ALL], vec![owner()]).await;
    let (first, mark) = shelf.ids(ALL, json!({})).await.unwrap();
    assert_eq!((first.len(), first[49].as_str()), (50, "b49"));
    let (second, none) = shelf.ids(ALL, json!({ "page": mark.unwrap() })).await.unwrap();
    assert_eq!((second.len(), second[0].as_str(), none), (10, "b50", None));
    assert_eq!(shelf.asked(), ["/books"]);
}

#[tokio::test]
async fn a_page_is_halved_down_to_one_element_and_no_further() {
    let shelf = short(1, FEW).await;
    assert_eq!(shelf.ids(FEW, json!({ "count": 1 })).await.unwrap().0, ["b0"]);
    assert_eq!(shelf.asked()[..3], ["/books?size=4", "/books?size=2", "/books?size=1"]);
    // One element alone may be too long: a page of none would say nothing.
    let shelf = short(0, FEW).await;
    assert_eq!(shelf.ids(FEW, json!({})).await, Err(told(Class::Upstream, "answer")));
    assert_eq!(sizes(&shelf), [4, 2, 1]);
}

#[tokio::test]
async fn a_page_is_asked_for_eight_times_at_most() {
    let shelf = short(0, MANY).await;
    assert_eq!(shelf.ids(MANY, json!({})).await, Err(told(Class::Upstream, "answer")));
    assert_eq!(sizes(&shelf), [1000, 500, 250, 125, 62, 31, 15, 7]);
    let shelf = short(7, MANY).await;
    assert_eq!(shelf.ids(MANY, json!({})).await.unwrap().0, ["b0", "b1"]);
}

#[tokio::test]
async fn what_is_enough_is_not_added_to() {
    let kind = kind("owners");
    let lists = Lists::of(&kind, files(250)).await;
    assert_eq!(lists.ids(&kind, 2, None).await.0, ["in0", "in1"]);
    assert_eq!(lists.asked().0, 1);
}

/// The mark is one step's: the call's other steps are what they are on the first page.
#[tokio::test]
async fn what_stands_on_a_later_page_can_be_looked_at_too() {
    let kind = kind("senders");
    let lists = Lists::of(&kind, (0..5).map(kind.inside).collect()).await;
    let (_, mark) = lists.ids(&kind, 2, None).await;
    let args = json!({ "words": "plan", "max_results": 2, "page": mark.unwrap() });
    let minted = lists.world.mint(kind.tool, args).await.unwrap();
    lists.world.send(&minted, "list", &[]).await.unwrap();
    lists.world.send(&minted, "summary", &[("message_id", "in2")]).await.unwrap();
    // What stood on the first was told to another call.
    let earlier = lists.world.send(&minted, "summary", &[("message_id", "in0")]).await;
    assert_eq!(class(earlier), Class::BadStep);
}

/// The place is moved while its list is on the way.
#[tokio::test]
async fn what_is_looked_at_again_is_not_listed_from_where_it_no_longer_is() {
    let grant = async |shelf: &Shelf| {
        shelf.world.grant(&[PLACE], vec![owner(), within("folder", &["in"])]).await;
    };
    let args = json!({ "place_id": "p" });
    let still = shelf(books(2)).await;
    grant(&still).await;
    assert_eq!(still.ids(PLACE, args.clone()).await.unwrap().0, ["b0", "b1"]);
    assert_eq!(still.asked(), ["/places/p", "/books", "/places/p"]);
    let moved = shelf(books(2)).await;
    grant(&moved).await;
    let listed = AtomicBool::new(false);
    moved.instead(move |seen| match seen.target.as_str() {
        "/books" => {
            listed.store(true, Ordering::SeqCst);
            None
        }
        _ => listed.load(Ordering::SeqCst).then(|| answer(200, &json!({ "parents": ["out"] }))),
    });
    assert_eq!(moved.ids(PLACE, args).await, Err(told(Class::OutOfScope, "object")));
}

/// A deny grant is lifted between two pages: what waits comes before whatever the upstream has.
#[tokio::test]
async fn what_waits_is_still_there_when_nothing_is_dropped_any_more() {
    let kind = kind("a forbidden folder");
    let lists = Lists::of(&kind, files(6)).await;
    let (first, mark) = lists.ids(&kind, 2, None).await;
    assert_eq!(first, ["in0", "in1"]);
    let grants = lists.world.broker.grants(None, false).unwrap();
    let deny = grants.iter().find(|view| view.grant.deny).unwrap().grant.id;
    lists.world.broker.revoke(ADMIN, deny).await.unwrap();
    let (second, mark) = lists.ids(&kind, 2, mark.as_deref()).await;
    assert_eq!(second, ["in2", "in3"]);
    assert_eq!(lists.ids(&kind, 2, mark.as_deref()).await, (vec!["in4".to_owned(), "in5".to_owned()], None));
    assert_eq!(lists.asked().0, 1);
}

/// Each page of a list that nothing bounds is the upstream's, the later ones too.
#[tokio::test]
async fn later_pages_of_an_open_list_are_asked_for_as_the_caller_asked() {
    let open = Kind { bounds: vec![], ..kind("owners") };
    let lists = Lists::of(&open, files(5)).await;
    let (_, mark) = lists.ids(&open, 2, None).await;
    let (second, mark) = lists.ids(&open, 2, mark.as_deref()).await;
    assert_eq!(second, ["in2", "in3"]);
    assert_eq!(lists.ids(&open, 2, mark.as_deref()).await, (vec!["in4".to_owned()], None));
    let calls = lists.world.upstream.calls();
    let asked: Vec<bool> = calls.iter().map(|call| call.target.contains("pageSize=2&")).collect();
    assert_eq!(asked, [true; 3]);
}

/// Whoever has released more than its day has nothing asked for any more.
#[tokio::test]
async fn nothing_is_asked_for_once_the_days_bytes_are_used_up() {
    let shelf = shelf(books(20)).await;
    shelf.world.grant(&[FEW], vec![owner(), Caveat::BytesADay(100)]).await;
    assert_eq!(shelf.ids(FEW, json!({})).await.unwrap_err().0, Class::RateLimited);
    let asked = shelf.asked().len();
    assert_eq!(shelf.ids(FEW, json!({})).await.unwrap_err().0, Class::RateLimited);
    assert_eq!((asked, shelf.asked().len()), (1, 1));
    shelf.world.clock.advance(86_400_000);
    shelf.ids(FEW, json!({})).await.unwrap_err();
    assert_eq!(shelf.asked().len(), 2, "it is another day's");
}

/// A call looks at so many objects. It fails where it would need more, and changes nothing then.
#[tokio::test]
async fn a_call_has_so_many_probes() {
    let ids = |count: usize| (0..count).map(|n| format!("b{n}")).collect::<Vec<_>>();
    for (count, looked, asked, allowed) in [(199, 199, 1, true), (200, 200, 0, true), (201, 200, 0, false)] {
        let shelf = shelf(books(201)).await;
        let name = super::world::secret("shelf/me");
        let patterns = vec!["*@family.example".to_owned()];
        shelf.world.broker.trust_authors(ADMIN, &name, patterns).await.unwrap();
        shelf.world.grant(&["shelf.batch"], vec![within("folder", &["in"])]).await;
        let sent = shelf.world.call("shelf.batch", json!({ "books": ids(count) })).await;
        match allowed {
            true => drop(sent.unwrap()),
            false => assert_eq!(class(sent), Class::BadCapability, "{count}"),
        }
        assert_eq!(shelf.asked_for("/books/"), looked, "{count}");
        // Who wrote it is a probe as well. Where none is left for that, a stranger did.
        assert_eq!(shelf.asked_for("/who"), asked, "{count}");
        let tainted = shelf.world.broker.is_tainted(&super::world::agent("ann"));
        assert_eq!(tainted, allowed && asked == 0, "{count}");
        assert_eq!(shelf.asked_for("/batch"), usize::from(allowed), "{count}");
    }
}
