//! When the vault asks an upstream who wrote something: before what changes it, and only where the answer could matter.

use claviger_domain::authors::{Authors, Who};
use claviger_domain::tool::Tool;
use serde_json::{Value, json};

use super::upstream::json as answer;
use super::world::{ADMIN, World, adapter, agent, catalog};
use crate::port::Answer;

/// An agent that reads nothing outside the vault, an account whose address is known and whose owner trusts nobody else, and
/// a tool of Drive that `change` has changed.
async fn world(tool: &str, change: impl FnOnce(&mut Tool)) -> World {
    let mut catalog = catalog();
    let drive = catalog.services.get_mut(&"drive".parse().unwrap()).unwrap();
    change(drive.tools.get_mut(&tool.parse().unwrap()).unwrap());
    let world = World::with(catalog).await;
    world.broker.add_agent(ADMIN, agent("ann"), Some(2001), false, true).await.unwrap();
    world.broker.add_adapter(ADMIN, adapter("drive"), Some(3002), None).await.unwrap();
    world.google.lock().unwrap().grants = Some("https://www.googleapis.com/auth/drive".to_owned());
    super::connect::connect(&world, "drive/me", false).await.unwrap();
    let name = format!("drive.{tool}");
    world.grant(&[name.as_str()], vec![]).await;
    let google = super::google::serve(&world.google);
    world.upstream.answer_with(move |seen| {
        if !seen.target.starts_with("/drive/") {
            return google(seen);
        }
        if seen.target.contains("alt=media") {
            return Ok(Answer { status: 200, headers: Vec::new(), body: "Dear all".into() });
        }
        match seen.method.as_str() {
            "GET" => answer(200, &own()),
            _ => answer(200, &json!({ "id": "f" })),
        }
    });
    world
}

/// A file that nobody but the owner may write into.
fn own() -> Value {
    json!({
        "id": "f", "name": "a plan", "mimeType": "text/plain", "parents": ["in"], "shared": false, "trashed": false,
        "owners": [{ "emailAddress": "me@example.org" }],
        "permissions": [{ "role": "owner", "type": "user", "emailAddress": "me@example.org" }],
        "lastModifyingUser": { "emailAddress": "me@example.org" },
    })
}

fn questions(world: &World) -> usize {
    world.upstream.calls().iter().filter(|seen| seen.target.contains("lastModifyingUser")).count()
}

fn tainted(world: &World) -> bool {
    world.broker.is_tainted(&agent("ann"))
}

/// The authors that the catalog names of that step.
fn authors<'a>(tool: &'a mut Tool, step: &str) -> &'a mut Vec<Authors> {
    &mut tool.steps.iter_mut().find(|known| known.name.as_str() == step).unwrap().authors
}

/// Each of several must be trusted: where one cannot be, the others are not asked about.
#[tokio::test]
async fn where_one_of_several_cannot_be_trusted_nobody_is_asked() {
    for (vouched, asked) in [(true, 1), (false, 0)] {
        let world = world("read_file", |tool| {
            let all = authors(tool, "content");
            if !vouched {
                // By mail only those are trusted whom the owner has named, and here that is nobody.
                let Who::Editors(headers) = all[0].who[0].clone() else { panic!() };
                let mail = Who::Mail { headers, provider: "mx.google.com".to_owned() };
                all.push(Authors { who: vec![mail], ..all[0].clone() });
            }
        });
        let world = world.await;
        let minted = world.mint("drive.read_file", json!({ "file_id": "f" })).await.unwrap();
        world.send(&minted, "content", &[]).await.unwrap();
        assert_eq!((questions(&world), tainted(&world)), (asked, !vouched));
    }
}

/// What taints nobody, whoever wrote it, is worth no request.
#[tokio::test]
async fn of_what_taints_nobody_is_asked() {
    let world = world("read_file", |tool| (tool.untrusted, tool.carries) = (false, false)).await;
    let minted = world.mint("drive.read_file", json!({ "file_id": "f" })).await.unwrap();
    world.send(&minted, "content", &[]).await.unwrap();
    assert_eq!((questions(&world), tainted(&world)), (0, false));
}

/// What changes something is asked about before, when its own answer has told nothing yet: and so it is a stranger's where
/// that would have to tell a part. To ask afterwards would be to ask when the stranger may be gone.
#[tokio::test]
async fn what_changes_something_is_not_vouched_for_by_its_own_answer() {
    for (partly_told, taints) in [(false, false), (true, true)] {
        let world = world("rename_file", |tool| {
            let all = authors(tool, "rename");
            if partly_told {
                let told = Authors { step: None, elements: None, who: vec![Who::Nobody], ..all[0].clone() };
                all.push(told);
            }
        });
        let world = world.await;
        world.call("drive.rename_file", json!({ "file_id": "f", "name": "mine" })).await.unwrap();
        assert_eq!(tainted(&world), taints);
        let calls = world.upstream.calls();
        let change = calls.iter().position(|seen| seen.method == "PATCH").unwrap();
        assert!(calls[change..].iter().all(|seen| !seen.target.contains("lastModifyingUser")));
    }
}
