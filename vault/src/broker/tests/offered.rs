//! What a client is offered: handles that stand, tools that are as granted, and what their arguments may be.

use claviger_domain::caveat::{Bound, Caveat};
use claviger_domain::id::HandleId;
use claviger_domain::schema::schema;
use claviger_domain::tool::Definition;
use serde_json::Value;

use super::world::{ADMIN, World, adapter, agent, ask, catalog, within};
use crate::broker::DecoyKind;

const GET: &str = "gmail.get_message";
const LABELS: &str = "gmail.list_labels";

fn short() -> Caveat {
    Caveat::Argument("message_id".parse().unwrap(), Bound::MaxLength(9))
}

/// What GET is shown to take, by each handle that offers it.
fn shown(world: &World) -> Vec<Value> {
    let handles = world.broker.open(&agent("ann")).unwrap().handles;
    let tools = handles.into_iter().flat_map(|handle| handle.tools);
    tools.filter(|tool| tool.name.to_string() == GET).map(|tool| tool.schema).collect()
}

/// Whoever names a handle that was never issued is frozen, by the door that clients come in by too.
#[tokio::test]
async fn to_open_a_decoy_is_to_use_it() {
    let world = World::new().await;
    world.grant(&[GET], vec![]).await;
    let decoy = world.broker.add_decoy(ADMIN, DecoyKind::Handle, "").await.unwrap();
    let frozen = || world.broker.show_agent(&agent("ann")).unwrap().frozen.is_some();
    world.broker.open_handles(&agent("ann"), &[HandleId::from_bytes([9; 16])]).unwrap();
    world.broker.open(&agent("ann")).unwrap();
    assert!(!frozen());
    let opened = world.broker.open_handles(&agent("ann"), &[decoy.value.parse().unwrap()]).unwrap();
    assert!(opened.handles.is_empty() && frozen());
}

/// What is over is not offered, nor what hangs from it, though nothing has swept it away yet.
#[tokio::test]
async fn nothing_below_what_is_over_is_offered() {
    let world = World::new().await;
    let root = world.grant(&[GET], vec![]).await.grant.root;
    let ann = agent("ann");
    let ends = world.broker.now_ms() + 1000;
    let above = world.broker.narrow(&ann, root, vec![Caveat::Expires(ends)], String::new()).await.unwrap();
    let below = world.broker.narrow(&ann, above.id, vec![], String::new()).await.unwrap();
    let brief = {
        let mut asked = ask("ann", &[LABELS], vec![]);
        asked.expires_in_s = Some(60);
        world.broker.add_grant(ADMIN, asked).await.unwrap().grant.root
    };
    let child = world.broker.narrow(&ann, brief, vec![], String::new()).await.unwrap();
    let all = [root, above.id, below.id, brief, child.id];
    let open = || {
        let opened = world.broker.open_handles(&ann, &all).unwrap();
        opened.handles.iter().map(|handle| handle.id).collect::<Vec<_>>()
    };
    assert_eq!(open(), all);
    world.clock.advance(1000);
    assert_eq!(open(), [root, brief, child.id]);
    world.clock.advance(59_000);
    assert_eq!(open(), [root]);
}

#[tokio::test]
async fn an_adapter_is_told_its_services_tools_and_no_others() {
    let world = World::new().await;
    for name in ["gmail", "drive"] {
        let told: Vec<String> = world
            .broker
            .tools(&adapter(name))
            .unwrap()
            .into_iter()
            .map(|tool| {
                let known = world.catalog.tool(&tool.name).unwrap();
                assert_eq!((tool.schema, tool.definition), (schema(known, &[]), known.definition));
                tool.name.to_string()
            })
            .collect();
        let service = world.catalog.services.values().find(|service| service.id.as_str() == name).unwrap();
        let all: Vec<String> = service.tools.values().map(|tool| tool.name.to_string()).collect();
        assert_eq!(told, all);
        assert!(!told.is_empty());
    }
    assert!(world.broker.tools(&adapter("nothing")).unwrap().is_empty());
}

/// Where an adapter is found: where it was registered to be, or else in the usual place.
#[tokio::test]
async fn a_client_is_told_where_the_adapter_serves() {
    let world = World::new().await;
    world.broker.remove_adapter(ADMIN, &adapter("drive")).await.unwrap();
    let own = Some("/srv/drive.sock".to_owned());
    world.broker.add_adapter(ADMIN, adapter("drive"), Some(3002), own).await.unwrap();
    world.grant(&[GET], vec![]).await;
    world.grant(&["drive.read_file"], vec![]).await;
    let opened = world.broker.open(&agent("ann")).unwrap();
    let places: Vec<_> =
        opened.handles.iter().map(|handle| (handle.adapter.uid, handle.adapter.endpoint.as_str())).collect();
    assert_eq!(places, [(Some(3001), "/run/claviger/gmail.sock"), (Some(3002), "/srv/drive.sock")]);
}

/// Only a grant that could allow the call makes what is shown wider.
#[tokio::test]
async fn what_is_shown_is_what_the_grants_for_it_allow() {
    let world = World::new().await;
    let tool = world.catalog.tool(&GET.parse().unwrap()).unwrap().clone();
    let narrow = schema(&tool, &[&short()]);
    assert_ne!(narrow, schema(&tool, &[]));
    world.grant(&[GET], vec![short()]).await;
    assert_eq!(shown(&world), std::slice::from_ref(&narrow));
    // Another tool's, another agent's, and one that forbids some calls, say nothing of it.
    world.grant(&[LABELS], vec![]).await;
    world.grant(&["drive.read_file"], vec![]).await;
    world.try_grant("bob", &[GET], vec![]).await.unwrap();
    let mut asked = ask("ann", &[GET], vec![within("label", &["Label_1"])]);
    (asked.deny, asked.approve) = (true, claviger_domain::grant::Approve::Default);
    world.broker.add_grant(ADMIN, asked).await.unwrap();
    assert_eq!(shown(&world), std::slice::from_ref(&narrow));
    // Another of the same does.
    world.grant(&[GET], vec![]).await;
    assert_eq!(shown(&world), [schema(&tool, &[]), schema(&tool, &[])]);
}

/// What was granted when the tool was another one allows nothing, so it shows nothing; and its owner is told.
#[tokio::test]
async fn a_grant_of_what_a_tool_was_does_not_widen_what_it_is() {
    let world = World::new().await;
    world.grant(&[GET, LABELS], vec![]).await;
    let changes = |line: &&String| line.contains("has changed since it was granted");
    assert!(!world.broker.status().warnings.iter().any(|line| changes(&line)));
    let mut other = catalog();
    for tool in other.services.values_mut().flat_map(|service| service.tools.values_mut()) {
        if tool.name.to_string() == GET {
            tool.definition = Definition([7; 32]);
        }
    }
    world.broker.reload(other).await.unwrap();
    let told = world.broker.status().warnings;
    let told: Vec<_> = told.iter().filter(changes).collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with(GET), "{told:?}");
    assert!(shown(&world).is_empty());
    world.grant(&[GET], vec![short()]).await;
    let tool = world.catalog.tool(&GET.parse().unwrap()).unwrap();
    assert_eq!(shown(&world), [schema(tool, &[&short()])]);
}
