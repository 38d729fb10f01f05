//! Child handles: to gain by narrowing, to count anew by many children, to go on after the end.

use claviger_proto::v1::agent_service_client::AgentServiceClient;
use claviger_proto::v1::argument_bound::Bound;
use claviger_proto::v1::caveat::Kind;
use claviger_proto::v1::{
    ArgumentBound, Caveat, NarrowRequest, OpenHandle, OpenRequest, Patterns, Rate, ReleaseRequest, Resource,
    Tools,
};
use claviger_tests::world::raw::{Thief, class};
use claviger_tests::world::users::Who;
use claviger_tests::world::{AGENT, World};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::{Attempt, Must, Puppet, SCOPE, attempt, harm, play};

const SEND: &str = "gmail.send_message";
const GET: &str = "gmail.get_message";

type Client = AgentServiceClient<Channel>;

fn letter(to: &str) -> Value {
    json!({"to": [to], "subject": "Hello", "body": "Hello."})
}

fn labels(ids: &[&str]) -> Kind {
    let values = ids.iter().map(|id| (*id).to_owned()).collect();
    Kind::Resource(Resource { name: "label".to_owned(), values, shown: Vec::new(), nested: false })
}

fn to(patterns: &[&str]) -> Kind {
    Kind::Recipients(Patterns { patterns: patterns.iter().map(|text| (*text).to_owned()).collect() })
}

fn only(tools: &[&str]) -> Kind {
    Kind::Tools(Tools { names: tools.iter().map(|text| (*text).to_owned()).collect() })
}

async fn narrow(client: &mut Client, handle: &str, kinds: Vec<Kind>) -> Result<OpenHandle, String> {
    let caveats = kinds.into_iter().map(|kind| Caveat { kind: Some(kind) }).collect();
    let request = NarrowRequest { handle: handle.to_owned(), caveats, label: "x".to_owned() };
    let made = client.narrow(request).await.map_err(|status| class(&status))?;
    Ok(made.into_inner().handle.unwrap())
}

/// The agent's side with one handle.
async fn by(world: &World, client: &mut Client, handle: &str) -> Puppet {
    let request = OpenRequest { handles: vec![handle.to_owned()] };
    let opened = client.open(request).await.unwrap().into_inner();
    assert_eq!(opened.handles.len(), 1);
    Puppet { thief: Thief { opened }, adapters: Puppet::new(world).await.adapters }
}

async fn world() -> World {
    let world = World::with_secrets().await;
    world.grant(&[AGENT, "gmail/me", "--tool", GET, "--tool", "gmail.label_message", "--label", "AI"]).await;
    world
        .grant(&[
            AGENT,
            "gmail/me",
            "--tool",
            SEND,
            "--recipients",
            "*@example.com",
            "--calls",
            "5",
            "--approve",
            "never",
        ])
        .await;
    world.grant(&["other", "gmail/me", "--tool", GET]).await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_never_has_more_than_its_parent() {
    let world = world().await;
    let puppet = Puppet::new(&world).await;
    let mut client = world.agent_client(AGENT, Who::Agent).await.unwrap();
    let (reads, sends) = (puppet.thief.handle(GET).id.clone(), puppet.thief.handle(SEND).id.clone());
    let (ai, private) = (world.google.label_id("AI").unwrap(), world.google.label_id("Private").unwrap());
    let inside = world.google.mail_id("Invoice 2026-118 for November").unwrap();
    let hidden =
        ["Your password reset code", "Your laboratory results", "Your account statement for October"]
            .map(|subject| world.google.mail_id(subject).unwrap());
    // Bounds that would be wider, if a child's bound stood in the place of its parent's.
    let wider: Vec<(&str, Vec<Kind>)> = vec![
        (&reads, vec![]),
        (&reads, vec![labels(&[&format!("id:{private}")])]),
        (&reads, vec![labels(&["id:INBOX"])]),
        (&reads, vec![labels(&[&format!("id:{ai}"), &format!("id:{private}"), "id:INBOX"])]),
        (&reads, vec![labels(&["AI"]), labels(&["id:INBOX"])]),
        (&reads, vec![labels(&["*"])]),
        (&reads, vec![labels(&["id:"])]),
        (&reads, vec![labels(&[])]),
        (&reads, vec![labels(&["id:../x"])]),
        (&reads, vec![only(&[GET, SEND, "gmail.search_messages"])]),
        (&reads, vec![only(&["gmail.search_messages"])]),
        (&reads, vec![only(&["*"])]),
        (&reads, vec![Kind::ExpiresAtMs(u64::MAX)]),
        (&reads, vec![Kind::Calls(u64::MAX)]),
        (&reads, vec![Kind::MadeByAgent(false)]),
        (&sends, vec![to(&["*@*"])]),
        (&sends, vec![to(&["attacker@evil.example"])]),
        (&sends, vec![to(&["*@evil.example", "*@example.com"])]),
        (&sends, vec![to(&["*"])]),
        (&sends, vec![to(&[])]),
        (&sends, vec![Kind::Calls(1000)]),
        (&sends, vec![Kind::Calls(0)]),
        (&sends, vec![Kind::Rate(Rate { count: 1_000_000, per_seconds: 1 })]),
        (&sends, vec![Kind::Rate(Rate { count: 0, per_seconds: 0 })]),
        (&sends, vec![Kind::BytesADay(u64::MAX)]),
        (
            &sends,
            vec![Kind::Argument(ArgumentBound {
                argument: "to".to_owned(),
                bound: Some(Bound::OneOf(Patterns { patterns: vec!["attacker@evil.example".to_owned()] })),
            })],
        ),
        (&sends, vec![Kind::Argument(ArgumentBound { argument: "to".to_owned(), bound: None })]),
        (&sends, vec![only(&[GET])]),
    ];
    let (mut tried, mut faults) = (0, Vec::new());
    for (parent, kinds) in wider {
        tried += 1;
        let what = format!("{kinds:?}");
        let child = match narrow(&mut client, parent, kinds).await {
            Ok(child) => child,
            Err(class) => {
                assert!(["bad-arguments", "revoked", "busy"].contains(&class.as_str()), "{what}: {class}");
                continue;
            }
        };
        let below = by(&world, &mut client, &child.id).await;
        let tools: Vec<&str> = child.tools.iter().map(|tool| tool.name.as_str()).collect();
        if tools.iter().any(|tool| puppet.thief.handle(tool).id != *parent) {
            faults.push(format!("{what}: {tools:?}"));
        }
        let mut attempts: Vec<Attempt> = Vec::new();
        if parent == reads && tools.contains(&GET) {
            attempts
                .extend(hidden.iter().map(|id| attempt(what.clone(), GET, json!({"message_id": id}), SCOPE)));
        }
        if parent == sends && tools.contains(&SEND) {
            let refused = Must::BeRefused(&["out-of-scope", "rate-limited"]);
            attempts.push(attempt(what.clone(), SEND, letter("attacker@evil.example"), refused));
        }
        tried += attempts.len();
        faults.extend(play(&below, &attempts).await);
        client.release(ReleaseRequest { handle: child.id }).await.unwrap();
    }
    // Others' handles, none, and the key of a parent under the name of its child.
    let other = world.thief("other").await.opened.handles[0].id.clone();
    for strange in [
        other.clone(),
        format!("hdl_{}", "0".repeat(32)),
        String::new(),
        "hdl_".to_owned(),
        reads.to_uppercase(),
        reads.replace("hdl_", "grt_"),
    ] {
        tried += 3;
        assert!(narrow(&mut client, &strange, vec![]).await.is_err(), "{strange}");
        assert!(client.release(ReleaseRequest { handle: strange.clone() }).await.is_err(), "{strange}");
        let opened = client.open(OpenRequest { handles: vec![strange.clone()] }).await;
        assert!(opened.is_err() || opened.unwrap().into_inner().handles.is_empty(), "{strange}");
    }
    let child =
        narrow(&mut client, &reads, vec![labels(&[&format!("id:{ai}")]), Kind::Calls(1)]).await.unwrap();
    let mut swapped = by(&world, &mut client, &child.id).await;
    swapped.thief.opened.handles[0].proof_key = puppet.thief.handle(GET).proof_key.clone();
    let got = swapped.call(GET, &json!({"message_id": inside})).await;
    assert_eq!(got, Err("bad-presentation".to_owned()), "the parent's key is good for the child");
    let mut swapped = Puppet::new(&world).await;
    for handle in &mut swapped.thief.opened.handles {
        handle.proof_key = child.proof_key.clone();
    }
    let got = swapped.call(GET, &json!({"message_id": inside})).await;
    assert_eq!(got, Err("bad-presentation".to_owned()), "the child's key is good for its parent");
    assert!(tried >= 60, "{tried} attempts");
    assert!(faults.is_empty(), "{} of {tried}:\n{}", faults.len(), faults.join("\n"));
    assert!(world.google.outbox().is_empty());
    assert_eq!(harm::done(&world), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_children_have_the_calls_of_one_parent() {
    let mut world = world().await;
    let puppet = Puppet::new(&world).await;
    let mut client = world.agent_client(AGENT, Who::Agent).await.unwrap();
    let root = puppet.thief.handle(SEND).id.clone();
    let mut children: Vec<String> = Vec::new();
    for number in 0..10 {
        // Some below the root, some below each other.
        let parent = if number % 3 == 2 { children[number - 1].clone() } else { root.clone() };
        children.push(narrow(&mut client, &parent, vec![Kind::Calls(100)]).await.unwrap().id);
    }
    let mut side = Vec::new();
    for child in &children {
        side.push(by(&world, &mut client, child).await);
    }
    // All at once, twice; then by new children, and by the root itself.
    let friend = letter("mona@example.com");
    let mut sent = 0;
    for _ in 0..2 {
        for pair in side.chunks(2) {
            let (one, two) = tokio::join!(pair[0].call(SEND, &friend), pair[1].call(SEND, &friend));
            sent += usize::from(one.is_ok()) + usize::from(two.is_ok());
        }
    }
    assert_eq!((sent, world.google.outbox().len()), (5, 5));
    let spent = Must::BeRefused(&["rate-limited", "revoked"]);
    let again = [attempt("one more", SEND, friend.clone(), spent)];
    for child in [&children[0], &children[3], &children[6], &children[9]] {
        client.release(ReleaseRequest { handle: child.clone() }).await.unwrap();
    }
    if let Ok(fresh) = narrow(&mut client, &root, vec![Kind::Calls(5)]).await {
        let fresh = by(&world, &mut client, &fresh.id).await;
        assert_eq!(play(&fresh, &again).await, Vec::<String>::new());
    }
    assert_eq!(play(&puppet, &again).await, Vec::<String>::new());
    // A new start counts on.
    world.kill_vault().await;
    world.start_unsealed().await;
    world.wait_for_adapters().await;
    let puppet = Puppet::new(&world).await;
    assert_eq!(play(&puppet, &again).await, Vec::<String>::new());
    assert_eq!(world.google.outbox().len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_ended_does_nothing_more() {
    let world = world().await;
    let puppet = Puppet::new(&world).await;
    let mut client = world.agent_client(AGENT, Who::Agent).await.unwrap();
    let root = puppet.thief.handle(GET).id.clone();
    let child = narrow(&mut client, &root, vec![]).await.unwrap();
    let below = narrow(&mut client, &child.id, vec![]).await.unwrap();
    let sides = [by(&world, &mut client, &child.id).await, by(&world, &mut client, &below.id).await];
    let mail = json!({"message_id": world.google.mail_id("Invoice 2026-118 for November").unwrap()});
    for side in &sides {
        side.call(GET, &mail).await.unwrap();
    }
    assert_eq!(
        client.release(ReleaseRequest { handle: child.id.clone() }).await.unwrap().into_inner().released,
        2
    );
    for (side, id) in sides.iter().zip([&child.id, &below.id]) {
        assert_eq!(side.call(GET, &mail).await, Err("revoked".to_owned()));
        assert_eq!(narrow(&mut client, id, vec![]).await.unwrap_err(), "revoked");
        assert!(client.release(ReleaseRequest { handle: id.clone() }).await.is_err());
    }
    // A root is not the agent's to end, and its end is that of all below it.
    assert!(client.release(ReleaseRequest { handle: root.clone() }).await.is_err());
    puppet.call(GET, &mail).await.unwrap();
    let child = narrow(&mut client, &root, vec![]).await.unwrap();
    let side = by(&world, &mut client, &child.id).await;
    world.admin(&["revoke", &puppet.thief.handle(GET).grant]).await;
    assert_eq!(side.call(GET, &mail).await, Err("revoked".to_owned()));
    assert_eq!(puppet.call(GET, &mail).await, Err("revoked".to_owned()));
    assert_eq!(narrow(&mut client, &child.id, vec![]).await.unwrap_err(), "revoked");
    // Too many, too deep, too much.
    let sends = puppet.thief.handle(SEND).id.clone();
    let mut made = 0;
    while made < 200 && narrow(&mut client, &sends, vec![]).await.is_ok() {
        made += 1;
    }
    assert!((1..200).contains(&made), "{made} children");
}
