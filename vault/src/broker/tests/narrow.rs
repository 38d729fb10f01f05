//! Children: never more than their parents, ended with them, counted with them, and few.

mod ends;
mod few;
mod named;

use std::sync::{Arc, Mutex};

use claviger_canonical::{Canonical, Claim, Presentation, ProofKey};
use claviger_domain::caveat::{Bound, Caveat, ResourceBound};
use claviger_domain::event::{Actor, Kind};
use claviger_domain::id::HandleId;
use claviger_domain::refusal::{Class, Refusal};
use serde_json::{Value, json};

use super::fakes::Door;
use super::world::{ADMIN, World, adapter, agent, class, within};
use crate::broker::error::AdminError;
use crate::broker::view::{Minted, OpenedHandle};
use crate::port::{Clock, Commit, Entropy};

const GET: &str = "gmail.get_message";
const LABELS: &str = "gmail.list_labels";
const SEND: &str = "gmail.send_message";

fn root(world: &World) -> HandleId {
    world.broker.open(&agent("ann")).unwrap().handles[0].id
}

async fn narrow(world: &World, parent: HandleId, caveats: Vec<Caveat>) -> Result<OpenedHandle, Refusal> {
    world.broker.narrow(&agent("ann"), parent, caveats, String::new()).await
}

async fn child(world: &World, parent: HandleId, caveats: Vec<Caveat>) -> HandleId {
    narrow(world, parent, caveats).await.unwrap().id
}

/// A presentation by that handle, as a client that opened it makes it.
fn present(world: &World, handle: HandleId, tool: &str, args: &Value) -> Option<(String, Vec<u8>)> {
    let opened = world.broker.open_handles(&agent("ann"), &[handle]).unwrap();
    let found = opened.handles.iter().find(|found| found.id == handle)?;
    let arguments = Canonical::from_json(args).unwrap();
    let mut nonce = [0; 12];
    world.entropy.fill(&mut nonce);
    let claim = Claim {
        handle: *handle.as_bytes(),
        tool: tool.parse().unwrap(),
        digest: arguments.digest(),
        issued_at_ms: world.clock.wall_ms(),
        nonce,
        replica: *opened.replica.as_bytes(),
        boot: *opened.boot.as_bytes(),
        approval: None,
    };
    let text = Presentation::sign(&ProofKey::new(*found.proof_key), claim).into_text();
    Some((text, arguments.bytes().to_vec()))
}

async fn mint(world: &World, handle: HandleId, tool: &str, args: Value) -> Result<Minted, Class> {
    let Some((text, bytes)) = present(world, handle, tool, &args) else { return Err(Class::Revoked) };
    let minted = world.broker.mint(&adapter("gmail"), &text, &bytes).await;
    minted.map_err(|refusal| refusal.class)
}

async fn get(world: &World, handle: HandleId) -> Result<(), Class> {
    mint(world, handle, GET, json!({"message_id": "m1"})).await.map(drop)
}

async fn gets(world: &World, handle: HandleId, tries: usize) -> usize {
    let mut won = 0;
    for _ in 0..tries {
        won += usize::from(get(world, handle).await.is_ok());
    }
    won
}

fn calls_of(world: &World, handle: HandleId) -> u64 {
    let grants = world.broker.grants(None, true).unwrap();
    let children = grants.iter().flat_map(|grant| &grant.children);
    children.filter(|child| child.handle.id == handle).map(|child| child.calls_made).sum()
}

#[tokio::test]
async fn a_child_is_shown_and_held_to_all_bounds_above_it() {
    let world = World::new().await;
    let tools = &["gmail.search_messages", GET, LABELS];
    world.grant(tools, vec![]).await;
    let only = |names: &[&str]| Caveat::Tools(names.iter().map(|name| name.parse().unwrap()).collect());
    let above = narrow(&world, root(&world), vec![only(&[GET, "gmail.search_messages"])]).await.unwrap();
    let names = |handle: &OpenedHandle| {
        let mut names: Vec<String> = handle.tools.iter().map(|tool| tool.name.to_string()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&above), [GET, "gmail.search_messages"]);
    assert_eq!((above.parent, above.label.as_str()), (Some(root(&world)), ""));
    // A bound that a tool cannot keep to leaves that tool out.
    let searches = world.catalog.tool(&"gmail.search_messages".parse().unwrap()).unwrap();
    let number = searches
        .args
        .iter()
        .find(|(_, arg)| matches!(arg.kind, claviger_domain::arg::ArgKind::Integer { .. }));
    let name = number.map(|(name, _)| name.clone()).unwrap();
    let bound = Caveat::Argument(name.clone(), Bound::Max(3));
    let below = narrow(&world, above.id, vec![bound]).await.unwrap();
    assert_eq!(names(&below), ["gmail.search_messages"]);
    assert_eq!(below.tools[0].schema["properties"][name.as_str()]["maximum"], json!(3));
    assert_eq!(class(narrow(&world, below.id, vec![only(&[LABELS])]).await), Class::BadArguments);
    assert_eq!(mint(&world, below.id, GET, json!({"message_id": "m1"})).await.err(), Some(Class::OutOfScope));
    assert_eq!(mint(&world, above.id, LABELS, json!({})).await.err(), Some(Class::OutOfScope));
    mint(&world, above.id, GET, json!({"message_id": "m1"})).await.unwrap();
    // Only what was asked for is opened; the roots alone where nothing was.
    assert_eq!(world.broker.open(&agent("ann")).unwrap().handles.len(), 1);
    let opened = world.broker.open_handles(&agent("ann"), &[below.id, below.id]).unwrap();
    assert_eq!(opened.handles.iter().map(|handle| handle.id).collect::<Vec<_>>(), [below.id]);
    let events = world.audit.events(Kind::Narrowed);
    let (_, event, _) = events.last().unwrap();
    assert_eq!(event.actor, Actor::Agent(agent("ann")));
    assert_eq!((event.handle, event.ancestors.as_slice()), (Some(below.id), &[above.id, root(&world)][..]));
}

#[tokio::test]
async fn objects_are_named_by_ids_that_the_parent_has() {
    let world = World::new().await;
    world.grant(&[GET], vec![within("label", &["Label_ai", "INBOX"])]).await;
    let bound = |ids: &[&str]| {
        Caveat::Resource(ResourceBound {
            resource: "label".parse().unwrap(),
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            shown: Vec::new(),
            nested: false,
        })
    };
    let before = world.upstream.calls().len();
    for bad in [&["AI label"][..], &["id:Label_1"], &["Label_1", "INBOX"], &["id:"], &["id:a/b"], &[]] {
        let refused = narrow(&world, root(&world), vec![bound(bad)]).await;
        assert_eq!(class(refused), Class::BadArguments, "{bad:?}");
    }
    let one = child(&world, root(&world), vec![bound(&["id:INBOX"])]).await;
    // Its child cannot take back what it gave up.
    assert_eq!(class(narrow(&world, one, vec![bound(&["Label_ai"])]).await), Class::BadArguments);
    child(&world, one, vec![bound(&["INBOX"])]).await;
    assert_eq!(world.upstream.calls().len(), before, "nobody was asked");
    // m2 has the label AI, and not the other.
    let minted = mint(&world, one, GET, json!({"message_id": "m2"})).await.unwrap();
    assert_eq!(class(world.send(&minted, "get", &[]).await), Class::OutOfScope);
    let minted = mint(&world, root(&world), GET, json!({"message_id": "m2"})).await.unwrap();
    world.send(&minted, "get", &[]).await.unwrap();
}

#[tokio::test]
async fn another_agents_child_is_none() {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    world.try_grant("bob", &[GET], vec![]).await.unwrap();
    let stolen = child(&world, root(&world), vec![]).await;
    let bob = agent("bob");
    assert!(world.broker.open_handles(&bob, &[stolen]).unwrap().handles.is_empty());
    let unknown = HandleId::from_bytes([9; 16]);
    for id in [stolen, root(&world), unknown] {
        let made = world.broker.narrow(&bob, id, vec![], String::new()).await;
        let refusal = made.err().unwrap();
        assert_eq!((refusal.class, refusal.field.as_deref()), (Class::Revoked, Some("handle")));
        let refusal = world.broker.release_handle(&bob, id).await.unwrap_err();
        assert_eq!((refusal.class, refusal.field.as_deref()), (Class::Revoked, Some("handle")));
    }
    // Nor does his own key prove it.
    let (text, bytes) = world.present_as("bob", GET, &json!({"message_id": "m1"}), |claim| {
        claim.handle = *stolen.as_bytes();
    });
    assert_eq!(class(world.broker.mint(&adapter("gmail"), &text, &bytes).await), Class::BadPresentation);
    get(&world, stolen).await.unwrap();
}

#[tokio::test]
async fn nothing_grows_from_what_is_over_or_frozen() {
    let world = World::new().await;
    let grant = world.grant(&[GET], vec![]).await.grant;
    let one = child(&world, grant.root, vec![]).await;
    world.broker.freeze(ADMIN, &agent("ann"), "").await.unwrap();
    assert_eq!(class(narrow(&world, grant.root, vec![]).await), Class::Frozen);
    assert_eq!(class(world.broker.release_handle(&agent("ann"), one).await), Class::Frozen);
    world.broker.thaw(ADMIN, &agent("ann")).await.unwrap();
    let now = world.clock.wall_ms();
    let short = child(&world, grant.root, vec![Caveat::Expires(now + 1000)]).await;
    assert_eq!(class(narrow(&world, grant.root, vec![Caveat::Expires(now)]).await), Class::BadArguments);
    world.clock.advance(1000);
    assert_eq!(class(narrow(&world, short, vec![]).await), Class::Revoked);
    world.broker.revoke(ADMIN, grant.id).await.unwrap();
    for id in [grant.root, one, short] {
        assert_eq!(class(narrow(&world, id, vec![]).await), Class::Revoked);
    }
    let mut asked = super::world::ask("ann", &[GET], vec![]);
    asked.expires_in_s = Some(10);
    let brief = world.broker.add_grant(ADMIN, asked).await.unwrap().grant;
    world.clock.advance(10_000);
    assert_eq!(class(narrow(&world, brief.root, vec![]).await), Class::Revoked);
}

#[tokio::test]
async fn children_are_not_deep() {
    let world = World::new().await;
    let grant = world.grant(&[GET], vec![]).await.grant;
    let mut last = grant.root;
    let mut chain = Vec::new();
    for _ in 0..8 {
        last = child(&world, last, vec![]).await;
        chain.push(last);
    }
    assert_eq!(class(narrow(&world, last, vec![]).await), Class::BadArguments);
    get(&world, last).await.unwrap();
    assert_eq!(world.broker.open_handles(&agent("ann"), &chain).unwrap().handles.len(), 8);
}

#[tokio::test]
async fn the_sixty_fifth_child_is_refused_until_one_is_released() {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    let top = root(&world);
    let mut parents = Vec::new();
    for _ in 0..4 {
        parents.push(child(&world, top, vec![]).await);
    }
    let mut all = Vec::new();
    for at in 0..60 {
        all.push(child(&world, parents[at / 15], vec![]).await);
    }
    let refusal = narrow(&world, top, vec![]).await.err().unwrap();
    assert_eq!((refusal.class, refusal.field.as_deref()), (Class::Busy, Some("children")));
    assert_eq!(world.broker.release_handle(&agent("ann"), all[0]).await.unwrap(), 1);
    child(&world, parents[0], vec![]).await;
    assert_eq!(class(narrow(&world, parents[0], vec![]).await), Class::Busy);
    // One with all below it.
    assert_eq!(world.broker.release_handle(&agent("ann"), parents[0]).await.unwrap(), 16);
    // Sixteen of one parent, although there is room for more.
    for _ in 0..13 {
        child(&world, top, vec![]).await;
    }
    assert_eq!(class(narrow(&world, top, vec![]).await), Class::Busy);
    // A parent's own handle does not end so.
    let refusal = world.broker.release_handle(&agent("ann"), top).await.unwrap_err();
    assert_eq!((refusal.class, refusal.field.as_deref()), (Class::BadArguments, Some("handle")));
    get(&world, top).await.unwrap();
}

#[tokio::test]
async fn labels_and_bounds_are_short_and_plain() {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    let top = root(&world);
    for label in ["a\nb", "a\u{202e}b", "\u{1b}[2J", &"x".repeat(61)] {
        let made = world.broker.narrow(&agent("ann"), top, vec![], label.to_owned()).await;
        assert_eq!(class(made), Class::BadArguments, "{label:?}");
    }
    let many = vec![Caveat::Calls(1); 33];
    assert_eq!(class(narrow(&world, top, many).await), Class::BadArguments);
    let words = vec!["x".repeat(2000); 9];
    let long = Caveat::Argument("message_id".parse().unwrap(), Bound::OneOf(words));
    assert_eq!(class(narrow(&world, top, vec![long]).await), Class::BadArguments);
    // What the tool cannot keep to is never taken on.
    let to = Caveat::Recipients(vec!["a@example.com".parse().unwrap()]);
    assert_eq!(class(narrow(&world, top, vec![to]).await), Class::BadArguments);
    let label = "x".repeat(60);
    let made = world.broker.narrow(&agent("ann"), top, vec![], label.clone()).await.unwrap();
    assert_eq!(made.label, label);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn siblings_never_exceed_their_parent_however_they_race() {
    let world = Arc::new(World::new().await);
    world.grant(&[GET], vec![Caveat::Calls(30)]).await;
    let middle = child(&world, root(&world), vec![Caveat::Calls(20)]).await;
    let mut leaves = Vec::new();
    for _ in 0..4 {
        leaves.push(child(&world, middle, vec![Caveat::Calls(7)]).await);
    }
    let racers: Vec<_> = (0..64)
        .map(|at| {
            let leaf = leaves[at % 4];
            let (text, bytes) = present(&world, leaf, GET, &json!({"message_id": "m1"})).unwrap();
            let world = Arc::clone(&world);
            tokio::spawn(
                async move { (leaf, world.broker.mint(&adapter("gmail"), &text, &bytes).await.is_ok()) },
            )
        })
        .collect();
    let mut won: Vec<HandleId> = Vec::new();
    for racer in racers {
        let (leaf, ok) = racer.await.unwrap();
        won.extend(ok.then_some(leaf));
    }
    assert_eq!(won.len(), 20);
    for leaf in &leaves {
        let own = won.iter().filter(|id| *id == leaf).count();
        assert!(own <= 7);
        assert_eq!(calls_of(&world, *leaf), own as u64);
    }
    assert_eq!(calls_of(&world, middle), 20);
    // What a child was refused for its parent's sake charged nobody.
    assert_eq!(world.broker.grants(None, false).unwrap()[0].calls_made, 20);
    assert_eq!(gets(&world, root(&world), 20).await, 10);
}

#[tokio::test]
async fn a_childs_rate_is_its_own_and_its_parents_too() {
    let world = World::new().await;
    world.grant(&[GET], vec![Caveat::Rate("4/40s".parse().unwrap())]).await;
    let top = root(&world);
    let slow = child(&world, top, vec![Caveat::Rate("1/40s".parse().unwrap())]).await;
    let free = child(&world, top, vec![]).await;
    assert_eq!(gets(&world, slow, 5).await, 1);
    assert_eq!(gets(&world, free, 5).await, 3);
    assert_eq!(gets(&world, top, 5).await, 0);
    world.clock.advance(10_000);
    assert_eq!(get(&world, slow).await, Err(Class::RateLimited));
    assert_eq!(gets(&world, top, 5).await, 1);
}

#[tokio::test]
async fn a_restart_keeps_the_tree_and_gives_nothing_back() {
    let mut world = World::new().await;
    world.grant(&[GET], vec![Caveat::Calls(9)]).await;
    let middle = child(&world, root(&world), vec![Caveat::Calls(5)]).await;
    let leaf = child(&world, middle, vec![Caveat::Rate("16/1h".parse().unwrap())]).await;
    assert_eq!(gets(&world, leaf, 3).await, 3);
    world.restart().await;
    assert_eq!(calls_of(&world, middle), 3);
    let opened = world.broker.open_handles(&agent("ann"), &[leaf]).unwrap();
    assert_eq!(opened.handles[0].parent, Some(middle));
    assert_eq!(gets(&world, leaf, 9).await, 2);
    assert_eq!(gets(&world, root(&world), 9).await, 4);
    // A commit that failed charged none of the three.
    let mut world = World::new().await;
    world.grant(&[GET], vec![Caveat::Calls(9)]).await;
    let leaf = child(&world, root(&world), vec![Caveat::Calls(9)]).await;
    get(&world, leaf).await.unwrap();
    world.store.fail("counter/", Commit::Full, false);
    assert_eq!(get(&world, leaf).await, Err(Class::Unavailable));
    world.restart().await;
    assert_eq!((calls_of(&world, leaf), world.broker.grants(None, false).unwrap()[0].calls_made), (1, 1));
}

#[tokio::test]
async fn what_is_not_recorded_or_not_durable_is_not_given_out() {
    let mut world = World::new().await;
    world.grant(&[GET], vec![]).await;
    let top = root(&world);
    world.audit.break_door(Door::Record);
    assert_eq!(class(narrow(&world, top, vec![]).await), Class::Unavailable);
    world.audit.mend();
    assert!(
        !world
            .store
            .keys()
            .iter()
            .filter(|key| key.starts_with("handle/"))
            .any(|key| !key.contains(&top.to_string()))
    );
    for happens in [false, true] {
        world.store.fail("handle/", Commit::Unknown, happens);
        let store = Arc::clone(&world.store);
        *world.store.hook.lock().unwrap() = Some(Box::new(move |_| store.down(true)));
        assert_eq!(class(narrow(&world, top, vec![]).await), Class::Unavailable);
        *world.store.hook.lock().unwrap() = None;
        world.store.down(false);
        assert!(world.broker.grants(None, false).unwrap()[0].children.is_empty());
        world.broker.tick().await;
        world.restart().await;
        assert!(world.broker.grants(None, false).unwrap()[0].children.is_empty(), "{happens}");
    }
}

#[tokio::test]
async fn no_agent_fills_the_log_by_narrowing() {
    let world = World::new().await;
    world.grant(&[SEND], vec![]).await;
    let top = root(&world);
    let now = world.clock.mono_us();
    while super::super::lock(&world.broker.budgets).spend(&agent("ann"), 1 << 20, now) {}
    while super::super::lock(&world.broker.budgets).spend(&agent("ann"), 1 << 10, now) {}
    let refusal = narrow(&world, top, vec![]).await.err().unwrap();
    assert_eq!((refusal.class, refusal.field.as_deref()), (Class::Busy, Some("audit")));
}
