//! The registry of peers: who is let in under which name and as which user; and that nobody comes or goes unless the log
//! and the store have it.

use claviger_domain::event::Kind;

use super::fakes::{Door, Seeded};
use super::world::{ADMIN, World, adapter, agent, sealer, settings};
use crate::broker::error::AdminError;
use crate::broker::{Broker, Ports};
use crate::port::Commit;

/// Who is registered, with the user of each.
fn listed(broker: &Broker) -> Vec<(String, Option<u32>)> {
    let agents = broker.agents().into_iter().map(|view| (view.name.to_string(), view.uid));
    let adapters = broker.adapters().into_iter().map(|view| (view.name.to_string(), view.uid));
    agents.chain(adapters).collect()
}

fn all(names: &[(&str, u32)]) -> Vec<(String, Option<u32>)> {
    names.iter().map(|(name, uid)| ((*name).to_owned(), Some(*uid))).collect()
}

const AT_FIRST: [(&str, u32); 4] = [("ann", 2001), ("bob", 2002), ("drive", 3002), ("gmail", 3001)];

/// What an admin's command came to, where it is refused for what was asked.
fn invalid<T: std::fmt::Debug>(result: Result<T, AdminError>) -> (String, Vec<String>) {
    match result {
        Err(AdminError::Invalid { why, hints }) => (why, hints),
        other => panic!("{other:?}"),
    }
}

/// The accept loop asks before the vault is unsealed, and must know who may connect.
#[tokio::test]
async fn who_is_registered_is_known_while_sealed_too() {
    let world = World::new().await;
    assert_eq!(listed(&world.broker), all(&AT_FIRST));
    let endpoints: Vec<String> = world.broker.adapters().into_iter().map(|view| view.endpoint).collect();
    assert_eq!(endpoints, ["/run/claviger/drive.sock", "/run/claviger/gmail.sock"]);
    let ports = Ports { sealer: sealer(99, Seeded::new(50)), ..world.broker.ports.clone() };
    let sealed = Broker::new(ports, world.catalog.clone(), settings());
    sealed.load_registry().await.unwrap();
    assert!(!sealed.is_unsealed());
    assert_eq!(listed(&sealed), all(&AT_FIRST));
}

#[tokio::test]
async fn nobody_comes_or_goes_unrecorded() {
    let world = World::new().await;
    let kept = world.store.keys();
    let broker = &world.broker;
    world.audit.break_door(Door::Record);
    for (what, refused) in [
        ("add_agent", broker.add_agent(ADMIN, agent("eve"), Some(2009), false, false).await.map(drop)),
        ("remove_agent", broker.remove_agent(ADMIN, &agent("bob")).await.map(drop)),
        ("add_adapter", broker.add_adapter(ADMIN, adapter("calendar"), Some(3009), None).await.map(drop)),
        ("remove_adapter", broker.remove_adapter(ADMIN, &adapter("drive")).await),
    ] {
        assert!(matches!(refused, Err(AdminError::Audit(_))), "{what}: {refused:?}");
    }
    world.audit.mend();
    assert_eq!(listed(broker), all(&AT_FIRST));
    assert_eq!(world.store.keys(), kept);
    assert_eq!((broker.agent_of_uid(2009), broker.adapter_of_uid(3009)), (None, None));
}

#[tokio::test]
async fn nobody_comes_or_goes_whom_the_store_does_not_take() {
    for fault in [Commit::Full, Commit::Unavailable, Commit::Unknown] {
        let mut world = World::new().await;
        for key in ["agent/eve", "agent/bob", "adapter/calendar", "adapter/drive"] {
            world.store.fail(key, fault, false);
        }
        let broker = &world.broker;
        for (what, refused) in [
            ("add_agent", broker.add_agent(ADMIN, agent("eve"), Some(2009), false, false).await.map(drop)),
            ("remove_agent", broker.remove_agent(ADMIN, &agent("bob")).await.map(drop)),
            ("add_adapter", broker.add_adapter(ADMIN, adapter("calendar"), Some(3009), None).await.map(drop)),
            ("remove_adapter", broker.remove_adapter(ADMIN, &adapter("drive")).await),
        ] {
            assert!(refused.is_err(), "{fault:?} {what}");
        }
        assert_eq!(listed(broker), all(&AT_FIRST), "{fault:?}");
        world.restart().await;
        assert_eq!(listed(&world.broker), all(&AT_FIRST), "{fault:?}");
        // It can be done again.
        let broker = &world.broker;
        broker.add_agent(ADMIN, agent("eve"), Some(2009), false, false).await.unwrap();
        broker.remove_agent(ADMIN, &agent("bob")).await.unwrap();
        broker.add_adapter(ADMIN, adapter("calendar"), Some(3009), None).await.unwrap();
        broker.remove_adapter(ADMIN, &adapter("drive")).await.unwrap();
        world.restart().await;
        let now = [("ann", 2001), ("eve", 2009), ("calendar", 3009), ("gmail", 3001)];
        assert_eq!(listed(&world.broker), all(&now), "{fault:?}");
    }
}

#[tokio::test]
async fn an_adapter_has_the_name_of_a_service_and_a_user_of_its_own() {
    let mut world = World::new().await;
    let broker = &world.broker;
    let (why, hints) = invalid(broker.add_adapter(ADMIN, adapter("nothing"), Some(3009), None).await);
    assert!(why.contains("nothing"), "{why}");
    assert!(hints.iter().any(|hint| hint.contains("gmail") && hint.contains("calendar")), "{hints:?}");
    for uid in [None, Some(2001), Some(3001), Some(1000)] {
        invalid(broker.add_adapter(ADMIN, adapter("calendar"), uid, None).await);
    }
    // Another of the name would be the one that all its capabilities are for.
    let again = broker.add_adapter(ADMIN, adapter("gmail"), Some(3009), None).await;
    let exists = AdminError::Exists { what: "an adapter", name: "gmail".to_owned() };
    assert_eq!(again.err(), Some(exists));
    assert_eq!(world.audit.count(Kind::AdapterAdded), 2, "nothing happened, and the log says so");
    world.restart().await;
    assert_eq!(listed(&world.broker), all(&AT_FIRST));
}

#[tokio::test]
async fn an_endpoint_is_an_absolute_path_that_fits() {
    let world = World::new().await;
    let broker = &world.broker;
    let longest = format!("/{}", "x".repeat(99));
    for endpoint in
        ["mcp.sock", "run/mcp.sock", "./x", "/run/a\0b", "/run/a\nb", "a\n", &format!("{longest}x")]
    {
        let (why, _) = invalid(
            broker.add_adapter(ADMIN, adapter("calendar"), Some(3009), Some(endpoint.to_owned())).await,
        );
        assert!(why.contains("endpoint"), "{endpoint:?}: {why}");
    }
    assert_eq!(listed(broker), all(&AT_FIRST));
    for (endpoint, place) in [
        (None, "/run/claviger/calendar.sock"),
        (Some(""), "/run/claviger/calendar.sock"),
        (Some("/run/mcp.sock"), "/run/mcp.sock"),
        (Some(longest.as_str()), longest.as_str()),
    ] {
        let endpoint = endpoint.map(str::to_owned);
        let view = broker.add_adapter(ADMIN, adapter("calendar"), Some(3009), endpoint).await.unwrap();
        assert_eq!(view.endpoint, place);
        assert!(broker.adapters().iter().any(|view| view.endpoint == place));
        broker.remove_adapter(ADMIN, &adapter("calendar")).await.unwrap();
    }
}

#[tokio::test]
async fn who_is_not_there_is_told_with_those_who_are() {
    let world = World::new().await;
    let near = |result: Result<(), AdminError>| match result {
        Err(AdminError::Missing { near, .. }) => near,
        other => panic!("{other:?}"),
    };
    let broker = &world.broker;
    assert_eq!(near(broker.remove_agent(ADMIN, &agent("an")).await.map(drop)), ["ann", "bob"]);
    assert_eq!(near(broker.show_agent(&agent("an")).map(drop)), ["ann", "bob"]);
    assert_eq!(near(broker.remove_adapter(ADMIN, &adapter("mail")).await), ["drive", "gmail"]);
    let secret = "gmail/you".parse().unwrap();
    assert_eq!(near(broker.secret(&secret).map(drop)), ["drive/me", "gmail/me"]);
    assert_eq!(near(broker.remove_secret(ADMIN, &secret, false).await.map(drop)), ["drive/me", "gmail/me"]);
    assert_eq!(listed(broker), all(&AT_FIRST));
}
