//! A person's word, from the refusal that asks for it to the one mail that goes out.

use claviger_proto::v1::AddGrantRequest;
use claviger_tests::world::users::Who;
use claviger_tests::world::{AGENT, World};
use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};

const SEND: &str = "gmail_send_message";

fn letter(to: &str) -> Value {
    json!({"to": [to], "subject": "Grüße", "body": "On 3 December.\nOlga"})
}

/// A world whose agent may send, with the word on approvals that is given.
async fn world(approve: &str) -> (World, String) {
    let world = World::with_secrets().await;
    let mut admin = world.admin_client(Who::Admin).await.unwrap();
    let grant = AddGrantRequest {
        agent: AGENT.to_owned(),
        secret: "gmail/me".to_owned(),
        tools: vec!["gmail.send_message".to_owned()],
        approve: approve.to_owned(),
        expires_in_seconds: 86_400,
        ..Default::default()
    };
    let grant = admin.add_grant(grant).await.unwrap().into_inner();
    (world, grant.id)
}

/// Calls, and returns what is to be collected by.
async fn pending(world: &World, to: &str) -> String {
    let called = world.call(SEND, letter(to)).await;
    assert_eq!((called.ran.code, called.refused().class.as_str()), (4, "pending"), "{:?}", called.ran);
    called.json["refusal"]["approval"].as_str().unwrap().to_owned()
}

/// Collects by a client of its own: its exit code, and what it said.
async fn result(world: &World, id: &str) -> (i32, Value) {
    let ran = world.agent(&["result", "--json", id]).await;
    (ran.code, serde_json::from_str(&ran.out).unwrap_or(Value::Null))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agreed_to_once_sent_once_even_after_everything_was_killed() {
    let (mut world, grant) = world("").await;
    let id = pending(&world, "mona@example.com").await;
    assert_eq!(pending(&world, "mona@example.com").await, id, "the same call is the same approval");
    assert_eq!(result(&world, &id).await.0, 4);
    assert!(world.google.outbox().is_empty());

    let status = world.admin(&["status"]).await;
    assert!(status["warnings"].to_string().contains("claviger approvals"), "{status}");
    assert_eq!(world.admin(&["approvals"]).await["approvals"][0]["id"], id);
    let shown = world.claviger(&["approvals", &id]).await.success().out;
    for part in ["mona@example.com", "Grüße", "  │ On 3 December.\n  │ Olga", &grant, "send: it can reach"]
    {
        assert!(shown.contains(part), "{part:?} is missing in:\n{shown}");
    }
    // Nobody sits there, so nobody has seen it.
    assert_eq!(world.claviger(&["approve", &id]).await.code, 2);
    assert_eq!(result(&world, &id).await.0, 4);
    world.admin(&["approve", &id, "--yes", "--message", "Fine."]).await;

    // The client ended long ago; the vault and the adapters are killed too.
    world.kill_vault().await;
    world.start_unsealed().await;
    world.wait_for_adapters().await;
    let (code, answer) = result(&world, &id).await;
    assert_eq!((code, &answer["ok"]), (0, &json!(true)), "{answer}");
    let outbox = world.google.outbox();
    assert_eq!(outbox.len(), 1);
    assert_eq!(
        (&outbox[0].to[..], outbox[0].subject.as_str()),
        (&["mona@example.com".to_owned()][..], "Grüße")
    );
    let (code, answer) = result(&world, &id).await;
    assert_eq!((code, answer["state"].as_str()), (1, Some("done")));
    assert_eq!(world.google.outbox().len(), 1, "it was sent twice");
    // The owner sees who agreed to what.
    let log = world.admin(&["log", "--agent", AGENT]).await;
    for kind in ["approval-asked", "approved"] {
        assert!(log["events"].as_array().unwrap().iter().any(|event| event["kind"] == kind), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_sends_nothing_and_is_not_asked_again() {
    let (world, _) = world("always").await;
    let id = pending(&world, "mona@example.com").await;
    world.admin(&["deny", &id, "--why", "Not today."]).await;
    let (code, told) = result(&world, &id).await;
    assert_eq!(
        (code, told["state"].as_str(), told["answer"].as_str()),
        (1, Some("denied"), Some("Not today."))
    );
    world.call(SEND, letter("mona@example.com")).await.assert_refused("denied", "approval");
    assert!(world.google.outbox().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_new_recipient_is_asked_for_once() {
    let (world, grant) = world("new").await;
    let id = pending(&world, "mona@example.com").await;
    world.admin(&["approve", &id, "--yes"]).await;
    assert_eq!(result(&world, &id).await.0, 0);
    let _ = world.call(SEND, letter("mona@example.com")).await.ok();
    assert_eq!(world.google.outbox().len(), 2);
    pending(&world, "attacker@evil.example").await;
    let known = world.admin(&["grant", "show", &grant]).await;
    assert_eq!(known["known"], json!(["to:mona@example.com"]));
    world.admin(&["grant", "forget", &grant, "to:mona@example.com"]).await;
    pending(&world, "mona@example.com").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_waits_for_a_person_and_works_under_a_task() {
    let (world, _) = world("always").await;
    let host = world.host(ProtocolVersion::V_2025_11_25).await;
    let told = host.refused(SEND, letter("mona@example.com")).await;
    assert!(told.contains("A person must agree") && told.contains("claviger_result"), "{told}");
    let id = told.split_whitespace().find(|word| word.starts_with("ap_")).unwrap().to_owned();
    let waits = host.ok("claviger_result", json!({"id": id})).await;
    assert_eq!(waits["state"], "pending");
    world.admin(&["approve", &id, "--yes"]).await;
    let sent = host.ok("claviger_result", json!({"id": id})).await;
    assert!(!sent["id"].as_str().unwrap().is_empty());
    assert_eq!(world.google.outbox().len(), 1);

    let ask = json!({
        "purpose": "Invite the club", "tools": [SEND], "hours": 1, "recipients": ["*@example.com"], "calls": 2,
    });
    let asked = host.ok("claviger_ask", ask).await;
    let id = asked["id"].as_str().unwrap().to_owned();
    let shown = world.claviger(&["approvals", &id]).await.success().out;
    assert!(shown.contains("Invite the club") && shown.contains("*@example.com"), "{shown}");
    world.admin(&["approve", &id, "--yes"]).await;
    assert_eq!(host.ok("claviger_result", json!({"id": id})).await["state"], "approved");
    let told = host.refused(SEND, letter("eve@evil.example")).await;
    assert!(told.contains("out of scope") && told.contains("make the call again"), "{told}");
    let told = host.refused(SEND, letter("eve@evil.example")).await;
    assert!(told.contains("A person must agree"), "{told}");
    let _ = host.ok(SEND, letter("olga@example.com")).await;
    let _ = host.ok(SEND, letter("nina@example.com")).await;
    assert_eq!(world.google.outbox().len(), 3);
    // Beyond what was agreed to it is refused: whoever serves the call could say so of one that was made, so it is not
    // presented a second time by another handle. Made again, it goes by the grant, which asks.
    for (to, why) in [
        ("nina@example.com", "all calls that were granted are made"),
        ("a@evil.example", "A person must agree"),
    ] {
        let told = host.refused(SEND, letter(to)).await;
        assert!(told.contains(why), "{told}");
    }
    let told = host.refused(SEND, letter("nina@example.com")).await;
    assert!(told.contains("A person must agree"), "{told}");
    assert_eq!(world.google.outbox().len(), 3);
}
