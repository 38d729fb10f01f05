//! Other services while the vault runs.

use bytes::Bytes;
use claviger_domain::catalog::Catalog;
use claviger_domain::caveat::Caveat;
use claviger_domain::event::Kind;
use claviger_domain::grant::Approve;
use claviger_domain::refusal::Class;
use claviger_domain::tool::Definition;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::boxes::boxes;
use super::fakes::Door;
use super::world::{ADMIN, World, adapter, agent, ask, catalog, class};
use crate::broker::Flow;
use crate::port::{AuditFault, Head};

const GET: &str = "gmail.get_message";

/// The catalog without that tool.
fn without(tool: &str) -> Catalog {
    let mut catalog = catalog();
    let service =
        catalog.services.values_mut().find(|service| tool.starts_with(service.id.as_str())).unwrap();
    service.tools.retain(|_, known| known.name.to_string() != tool);
    catalog
}

async fn world() -> World {
    let world = World::new().await;
    world.grant(&[GET, "gmail.list_labels"], vec![]).await;
    world
}

#[tokio::test]
async fn a_capability_does_not_outlive_the_services_it_was_minted_by() {
    let world = world().await;
    let changes = world.broker.changes();
    let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    assert!(world.broker.reload(without("gmail.list_labels")).await.unwrap());
    assert!(changes.has_changed().unwrap(), "agents are told");
    assert_eq!(class(world.send(&minted, "get", &[]).await), Class::BadCapability);
    assert!(world.upstream.calls().is_empty());
    assert_eq!(world.audit.count(Kind::Reloaded), 1);
    // What is still there serves; what is gone is refused, and no longer offered.
    world.call(GET, json!({"message_id": "m1"})).await.unwrap();
    assert_eq!(class(world.mint("gmail.list_labels", json!({})).await), Class::ToolChanged);
    let opened = world.broker.open(&agent("ann")).unwrap();
    let names: Vec<String> =
        opened.handles.iter().flat_map(|handle| &handle.tools).map(|tool| tool.name.to_string()).collect();
    assert_eq!(names, [GET]);
}

#[tokio::test]
async fn the_same_services_end_nothing() {
    let world = world().await;
    let minted = world.mint(GET, json!({"message_id": "m1"})).await.unwrap();
    assert!(!world.broker.reload(catalog()).await.unwrap());
    world.send(&minted, "get", &[]).await.unwrap();
    assert_eq!(world.audit.count(Kind::Reloaded), 0);
}

/// They are in force at once; that the log could not say so is told.
#[tokio::test]
async fn other_services_that_are_not_recorded_are_told_as_such() {
    let world = world().await;
    world.audit.break_door(Door::Record);
    assert_eq!(world.broker.reload(without(GET)).await, Err(AuditFault::Broken));
    world.audit.mend();
    assert_eq!(class(world.mint(GET, json!({"message_id": "m1"})).await), Class::ToolChanged);
    assert_eq!(world.broker.reload(without(GET)).await, Ok(false));
}

/// A step that the services no longer hold to a path does not go where a deny grant says it must not.
#[tokio::test]
async fn what_is_forbidden_stays_so_where_the_services_no_longer_tell_it() {
    let boxes = boxes(&[]).await;
    let world = &boxes.world;
    let paths = Caveat::Paths(vec!["private".parse().unwrap()]);
    let mut deny = ask("ann", &["nas.read"], vec![paths]);
    (deny.deny, deny.approve) = (true, Approve::Default);
    let no = world.broker.add_grant(ADMIN, deny).await.unwrap().grant.id;
    world.grant(&["nas.read"], vec![]).await;
    world.call("nas.read", json!({ "path": "notes" })).await.unwrap();
    assert_eq!(class(world.call("nas.read", json!({ "path": "private/a" })).await), Class::NotGranted);
    let mut other = (*world.broker.catalog()).clone();
    let nas = other.services.get_mut(&"nas".parse().unwrap()).unwrap();
    let read = nas.tools.get_mut(&"read".parse().unwrap()).unwrap();
    read.steps.iter_mut().for_each(|step| step.checks.clear());
    read.definition = Definition([9; 32]);
    world.broker.reload(other).await.unwrap();
    world.grant(&["nas.read"], vec![]).await;
    let forbidden = class(world.call("nas.read", json!({ "path": "private/a" })).await);
    assert_eq!(forbidden, Class::NotGranted);
    world.broker.revoke(ADMIN, no).await.unwrap();
    world.call("nas.read", json!({ "path": "private/a" })).await.unwrap();
}

#[tokio::test]
async fn a_stream_does_not_outlive_them_either() {
    let world = World::new().await;
    world.grant(&["drive.download_file"], vec![]).await;
    let (sender, pieces) = mpsc::unbounded_channel();
    let once = std::sync::Mutex::new(Some(pieces));
    world.upstream.flow_with(move |_| {
        let pieces = once.lock().unwrap().take()?;
        Some((Head { status: 200, headers: vec![], length: Some(2) }, pieces))
    });
    let minted = world.mint("drive.download_file", json!({"file_id": "f1", "offset": 0})).await.unwrap();
    let until = CancellationToken::new();
    let drive = adapter("drive");
    let streaming = world.broker.download(&drive, &minted.capability, "content", Default::default(), until);
    let mut streaming = streaming.await.unwrap();
    sender.send(Ok(Bytes::from_static(b"a"))).unwrap();
    assert!(matches!(streaming.pieces.recv().await, Some(Ok(Flow::Piece(_)))));
    world.broker.reload(without("drive.download_file")).await.unwrap();
    // It may be cut already, by the word alone.
    let _ = sender.send(Ok(Bytes::from_static(b"b")));
    match streaming.pieces.recv().await {
        Some(Err(refusal)) => assert_eq!(refusal.class, Class::Revoked),
        other => panic!("{other:?}"),
    }
}
