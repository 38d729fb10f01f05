//! What a thief gets, row by row of the table in the threat model.
//!
//! Run as root, vault, adapters, agents and admin are different users; otherwise the rows that need no other user are
//! still played.

use std::sync::Arc;

use claviger_canonical::{Canonical, Presentation, ProofKey};
use claviger_proto::v1::{
    FreezeRequest, ListAgentsRequest, ListSecretsRequest, ListToolsRequest, OpenRequest, StatusRequest,
};
use claviger_tests::world::raw::{call_adapter, channel_as, class, class_in, dial_as, mint, send};
use claviger_tests::world::users::Who;
use claviger_tests::world::{AGENT, Plan, World, disk};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::memory::KEYED;

/// A world in which all are different users, where the test may make one.
async fn world() -> World {
    match World::multi_user().await {
        Some(world) => world,
        None => World::ready().await,
    }
}

const SEARCH: &str = "gmail.search_messages";
const LABELS: &str = "gmail.list_labels";
const SEND: &str = "gmail.send_message";

fn letter() -> Value {
    json!({"to": ["mona@example.com"], "subject": "Hello", "body": "Hello."})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_id_is_worth_nothing() {
    let world = world().await;
    let victim = world.thief(AGENT).await;
    // Another agent, with a grant and a proof key of its own, and the id from a transcript.
    world.grant(&["other", "gmail/me", "--tool", LABELS]).await;
    let other = world.thief("other").await;
    assert_eq!(other.opened.agent, "other");
    assert!(
        !other.opened.handles.iter().any(|handle| victim
            .opened
            .handles
            .iter()
            .any(|his| his.id == handle.id))
    );
    let arguments = Canonical::from_json(&letter()).unwrap();
    let (stolen, _) = victim.claim(SEND, &arguments);
    let own_key = other.claim(LABELS, &arguments).1;
    let mcp = world.mcp_client("gmail", Who::Other).await;
    for key in [own_key, ProofKey::new([0; 32])] {
        let forged = Presentation::sign(&key, stolen.clone());
        let result = call_adapter(&mcp, SEND, &letter(), forged.as_str()).await;
        assert_eq!(class_in(&result), "bad-presentation");
    }
    // Nor is the id itself a presentation, nor is anything that only looks like one.
    let id = victim.handle(SEND).id.clone();
    for text in [id.as_str(), "claviger1.", "", "claviger1.AAAA"] {
        assert_eq!(
            class_in(&call_adapter(&mcp, SEND, &letter(), text).await),
            "bad-presentation",
            "{text:?}"
        );
    }
    assert!(world.google.outbox().is_empty());
    assert!(!world.google.log().iter().any(|request| request.path.ends_with("/send")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presentation_is_good_once_and_64_racers_have_one_winner() {
    let world = world().await;
    let agent = world.thief(AGENT).await;
    let presented = agent.present(SEND, &letter());
    let start = Arc::new(Barrier::new(64));
    let mut racers = Vec::new();
    // 8 connections of the right adapter, 8 racers on each.
    for _ in 0..8 {
        let adapter = world.adapter("gmail").await;
        for _ in 0..8 {
            let (mut adapter, presented, start) = (adapter.clone(), presented.clone(), Arc::clone(&start));
            racers.push(tokio::spawn(async move {
                start.wait().await;
                mint(&mut adapter, presented).await
            }));
        }
    }
    let (mut won, mut lost) = (Vec::new(), Vec::new());
    for racer in racers {
        match racer.await.unwrap() {
            Ok(minted) => won.push(minted),
            Err(status) => lost.push(class(&status)),
        }
    }
    assert_eq!((won.len(), lost.len()), (1, 63));
    assert!(lost.iter().all(|class| class == "bad-presentation"), "{lost:?}");

    // The one capability is for one request: 64 racers for it, and one mail.
    let capability = won.remove(0).capability;
    let start = Arc::new(Barrier::new(64));
    let mut racers = Vec::new();
    for _ in 0..8 {
        let adapter = world.adapter("gmail").await;
        for _ in 0..8 {
            let (mut adapter, capability, start) = (adapter.clone(), capability.clone(), Arc::clone(&start));
            racers.push(tokio::spawn(async move {
                start.wait().await;
                send(&mut adapter, &capability, "send", &[]).await
            }));
        }
    }
    let mut sent = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(answer) => {
                assert_eq!(answer.status, 200);
                sent += 1;
            }
            Err(status) => assert_eq!(class(&status), "bad-capability"),
        }
    }
    assert_eq!((sent, world.google.outbox().len()), (1, 1));

    // The whole way round: what the client has sent once is dead for whoever copied it.
    let mcp = world.mcp_client("gmail", Who::Stranger).await;
    let (presentation, _) = presented;
    assert_eq!(class_in(&call_adapter(&mcp, SEND, &letter(), &presentation).await), "bad-presentation");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presentation_is_good_for_its_adapter_its_tool_and_its_arguments() {
    let world = world().await;
    let agent = world.thief(AGENT).await;
    let (mut gmail, mut drive) = (world.adapter("gmail").await, world.adapter("drive").await);
    let refused = async |adapter: &mut _, presented| class(&mint(adapter, presented).await.unwrap_err());
    // The confused deputy: at the other adapter, even as who it is.
    let presented = agent.present(SEND, &letter());
    let at_other = refused(&mut drive, presented.clone()).await;
    assert!(["bad-presentation", "not-granted"].contains(&at_other.as_str()), "{at_other}");
    // Other arguments than those that were signed.
    let other =
        Canonical::from_json(&json!({"to": ["theo@example.com"], "subject": "x", "body": "x"})).unwrap();
    let swapped = (agent.present(SEND, &letter()).0, other.bytes().to_vec());
    assert_eq!(refused(&mut gmail, swapped).await, "bad-presentation");
    // The same arguments, written otherwise.
    let (presentation, bytes) = agent.present(SEND, &letter());
    let spaced = String::from_utf8(bytes).unwrap().replace(':', ": ").into_bytes();
    let class_of = refused(&mut gmail, (presentation, spaced)).await;
    assert!(["bad-arguments", "bad-presentation"].contains(&class_of.as_str()), "{class_of}");
    // Every byte of it is under the proof.
    let (whole, bytes) = agent.present(LABELS, &json!({}));
    for at in (0..whole.len()).step_by(7) {
        let mut tampered = whole.clone().into_bytes();
        tampered[at] = if tampered[at] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(tampered).unwrap();
        let said = refused(&mut gmail, (tampered, bytes.clone())).await;
        // A changed handle or boot id is not found before the proof is looked at.
        assert!(["bad-presentation", "stale", "revoked"].contains(&said.as_str()), "byte {at}: {said}");
    }
    // Another tool, made out of nothing.
    let (mut claim, key) = agent.claim(LABELS, &Canonical::from_json(&json!({})).unwrap());
    claim.tool = SEND.parse().unwrap();
    let forged = (Presentation::sign(&key, claim).into_text(), b"{}".to_vec());
    assert_ne!(refused(&mut gmail, forged).await, "", "the labels' handle does not send");
    // Late, and from the future.
    for offset in [-40_000_i64, 40_000] {
        let empty = Canonical::from_json(&json!({})).unwrap();
        let (mut claim, key) = agent.claim(LABELS, &empty);
        claim.issued_at_ms = claim.issued_at_ms.checked_add_signed(offset).unwrap();
        let late = (Presentation::sign(&key, claim).into_text(), empty.bytes().to_vec());
        assert_eq!(refused(&mut gmail, late).await, "bad-presentation", "{offset} ms");
    }
    // Untouched, it still works: nothing of all that spent it.
    let minted = mint(&mut gmail, (whole, bytes)).await.unwrap();
    assert_eq!(minted.tool, LABELS);
    assert!(world.google.outbox().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capability_is_good_for_its_adapter_alone() {
    let world = world().await;
    let agent = world.thief(AGENT).await;
    let (mut gmail, mut drive) = (world.adapter("gmail").await, world.adapter("drive").await);
    let minted = mint(&mut gmail, agent.present(SEND, &letter())).await.unwrap();
    let asked = world.google.log().len();
    assert_eq!(
        class(&send(&mut drive, &minted.capability, "send", &[]).await.unwrap_err()),
        "bad-capability"
    );
    let mut wrong = minted.capability.clone();
    wrong[31] ^= 1;
    assert_eq!(class(&send(&mut gmail, &wrong, "send", &[]).await.unwrap_err()), "bad-capability");
    for bytes in [&[][..], &[0; 16], &[0; 32], &[0; 33]] {
        assert_eq!(class(&send(&mut gmail, bytes, "send", &[]).await.unwrap_err()), "bad-capability");
    }
    assert_eq!(world.google.log().len(), asked, "the upstream was asked");
    // It was not spent by those who were not allowed to.
    assert_eq!(send(&mut gmail, &minted.capability, "send", &[]).await.unwrap().status, 200);
    assert_eq!(
        class(&send(&mut gmail, &minted.capability, "send", &[]).await.unwrap_err()),
        "bad-capability"
    );
    assert_eq!(world.google.outbox().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapters_user_sees_the_calls_that_happen_and_no_more() {
    let world = world().await;
    let agent = world.thief(AGENT).await;
    let mut gmail = world.adapter("gmail").await;
    let tools = gmail.list_tools(ListToolsRequest {}).await.unwrap().into_inner().tools;
    assert!(tools.iter().all(|tool| tool.name.starts_with("gmail.")));

    let outside = world.google.mail_id("Your password reset code").unwrap();
    let minted = mint(&mut gmail, agent.present(SEARCH, &json!({}))).await.unwrap();
    let capability = minted.capability;
    let mut refused = async |step: &str, params: &[(&str, &str)]| {
        class(&send(&mut gmail, &capability, step, params).await.unwrap_err())
    };
    // Steps of other tools, steps that are the vault's own, steps that are none.
    for step in ["send", "get", "modify", "labels", "message_labels", "", "../send", "list\0"] {
        assert_eq!(refused(step, &[]).await, "bad-step", "{step:?}");
    }
    // An id that no answer of this call contained; parameters that come from the arguments, or from nowhere.
    assert_eq!(refused("summary", &[("message_id", &outside)]).await, "bad-step");
    assert_eq!(refused("summary", &[("message_id", "../../../drive/v3/files")]).await, "bad-step");
    assert_eq!(refused("list", &[("label", "Label_2")]).await, "out-of-scope", "a label outside the grant");
    let label = world.google.label_id("AI").unwrap();
    for extra in ["from", "q", "maxResults", "host", "url", "Authorization"] {
        assert_eq!(refused("list", &[("label", &label), (extra, "x")]).await, "bad-step", "{extra}");
    }
    assert!(!world.google.log().iter().any(|request| request.path.contains(&outside)));
    // What the call is for does work, and what it yields opens the next step.
    let listed = send(&mut gmail, &capability, "list", &[("label", &label)]).await.unwrap();
    let listed: Value = serde_json::from_slice(&listed.body).unwrap();
    let id = listed["messages"][0]["id"].as_str().unwrap();
    let summary = send(&mut gmail, &capability, "summary", &[("message_id", id)]).await.unwrap();
    assert_eq!(summary.status, 200);
    for (name, _) in summary.headers.iter().map(|header| (header.name.as_str(), &header.value)) {
        assert_eq!(name, "content-type", "a header of the upstream passes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agents_user_gets_nothing_after_a_freeze_or_a_revocation() {
    let world = world().await;
    let agent = world.thief(AGENT).await;
    let mut gmail = world.adapter("gmail").await;
    let sending = mint(&mut gmail, agent.present(SEND, &letter())).await.unwrap().capability;
    let later = agent.present(SEND, &letter());

    world.admin(&["freeze", AGENT, "--why", "a test"]).await;
    assert_eq!(class(&send(&mut gmail, &sending, "send", &[]).await.unwrap_err()), "frozen");
    assert_eq!(class(&mint(&mut gmail, later).await.unwrap_err()), "frozen");
    assert_eq!(world.call("gmail_send_message", letter()).await.refused().class, "frozen");
    world.admin(&["thaw", AGENT]).await;
    let _ = world.call("gmail_send_message", letter()).await.ok();
    assert_eq!(world.google.outbox().len(), 1);

    let sending = mint(&mut gmail, agent.present(SEND, &letter())).await.unwrap().capability;
    let later = agent.present(SEND, &letter());
    let grant = agent.handle(SEND).grant.clone();
    world.admin(&["revoke", &grant]).await;
    assert_eq!(class(&send(&mut gmail, &sending, "send", &[]).await.unwrap_err()), "revoked");
    assert_eq!(class(&mint(&mut gmail, later).await.unwrap_err()), "revoked");
    // A removed agent's connection ends, and its socket lets nobody in.
    world.admin(&["agent", "rm", AGENT]).await;
    let _ = world.agent(&["ls"]).await.code(1);
    assert_eq!(world.google.outbox().len(), 1);
}

/// Every user at every socket: who is not who a socket is for, gets no answer at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_reaches_the_socket_of_its_role_and_no_other() {
    let Some(world) = World::multi_user().await else { return };
    for who in [Who::Vault, Who::Agent, Who::Other, Who::Gmail, Who::Drive, Who::Stranger] {
        let let_in = match world.admin_client(who).await {
            Ok(mut client) => client.status(StatusRequest {}).await.is_ok(),
            Err(_) => false,
        };
        assert!(!let_in, "{who:?} is an admin");
    }
    for who in [Who::Vault, Who::Admin, Who::Gmail, Who::Drive, Who::Stranger] {
        let let_in = match world.agent_client(AGENT, who).await {
            Ok(mut client) => client.open(OpenRequest::default()).await.is_ok(),
            Err(_) => false,
        };
        assert!(!let_in, "{who:?} is an agent");
    }
    for who in [Who::Vault, Who::Admin, Who::Agent, Who::Other, Who::Stranger] {
        let let_in = match world.adapter_client("gmail", who).await {
            Ok(mut client) => client.list_tools(ListToolsRequest {}).await.is_ok(),
            Err(_) => false,
        };
        assert!(!let_in, "{who:?} is an adapter");
    }
    // Root is nobody special, where it is not listed.
    let root = dial_as(&world.admin_socket(), 0).unwrap();
    drop(root);
    // Who has a role reaches its own service, and on that connection no other service answers.
    let mut admin = world.admin_client(Who::Admin).await.unwrap();
    assert!(admin.status(StatusRequest {}).await.is_ok());
    let channel = channel_as(&world.agent_socket(AGENT), world.users.uid(Who::Agent)).await.unwrap();
    let mut as_admin = claviger_proto::v1::admin_service_client::AdminServiceClient::new(channel.clone());
    let status = as_admin.list_secrets(ListSecretsRequest {}).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unimplemented);
    let status =
        as_admin.freeze(FreezeRequest { name: AGENT.to_owned(), why: String::new() }).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unimplemented);
    let mut as_adapter = claviger_proto::v1::adapter_service_client::AdapterServiceClient::new(channel);
    assert_eq!(
        as_adapter.list_tools(ListToolsRequest {}).await.unwrap_err().code(),
        tonic::Code::Unimplemented
    );
    // Each agent opens its own grants alone.
    assert!(world.thief("other").await.opened.handles.is_empty());
    // No file of the vault's can be read by the others.
    for who in [Who::Admin, Who::Agent, Who::Gmail, Who::Stranger] {
        let mut command = world.users.command(who, std::path::Path::new("/bin/ls"), world.base());
        command.arg(world.home());
        let _ = claviger_tests::world::ran::Ran::of(&mut command, "").await.code(2);
        let mut command = world.users.command(who, std::path::Path::new("/bin/cat"), world.base());
        command.arg(world.identity());
        let _ = claviger_tests::world::ran::Ran::of(&mut command, "").await.code(1);
    }
    // A second role for one user is refused.
    let uid = world.users.uid(Who::Agent).to_string();
    let _ = world.claviger(&["adapter", "add", "rest", "--uid", &uid]).await.code(1);
    let admin_uid = world.users.uid(Who::Admin).to_string();
    let _ = world.claviger(&["agent", "add", "third", "--uid", &admin_uid]).await.code(1);
    assert_eq!(admin.list_agents(ListAgentsRequest {}).await.unwrap().into_inner().agents.len(), 2);
}

/// What a stolen disk, a stolen backup and a stolen log are worth.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_and_the_logs_hold_no_secret_and_no_content() {
    // Small segments: all of them are looked through several times.
    let audit = "segment-bytes = \"1 MiB\"".to_owned();
    let mut world = World::start(Plan { audit, services: vec![("keyed", KEYED)], ..Plan::default() }).await;
    let [gmail, drive] = world.add_secrets().await;
    world.usual_grants().await;
    world.admin(&["freeze", "other", "--why", "a test"]).await;
    let _ = world
        .claviger_with(
            &["secret", "add", "keyed/canary", "--kind", "bearer", "--stdin"],
            "CANARY-bearer-token\n",
        )
        .await
        .success();
    let body = "CANARY-body of a mail";
    let letter = json!({"to": ["canary@example.com"], "subject": "CANARY-subject", "body": body});
    let _ = world.call("gmail_send_message", letter).await.ok();
    let stranger = json!({"to": ["stranger-canary@evil.example"], "subject": "CANARY-subject", "body": body});
    let _ = world.call("gmail_send_message", stranger).await.refused();
    let invoice = world.google.mail_id("Invoice 2026-118 for November").unwrap();
    let read = world.call("gmail_get_message", json!({"message_id": invoice})).await;
    assert!(read.ok()["body"].as_str().unwrap().contains("249.00 EUR"));
    let notes = world.google.file_id("Agent/Notes.txt").unwrap();
    let _ = world.call("drive_read_file", json!({"file_id": notes})).await.ok();
    let _ = world.call("gmail_search_messages", json!({"words": "CANARY-term"})).await.ok();
    // A handle that is a thief's, and garbage in every field that takes text.
    let _ = world.claviger(&["secret", "show", "CANARY-name/x"]).await.code(1);

    let session = world.thief(AGENT).await;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let keys = session.opened.handles.iter().map(|handle| hex(&handle.proof_key));
    let mut needles: Vec<String> = [
        gmail.as_str(),
        drive.as_str(),
        world.google.client_secret(),
        // Every access token of the stand-in begins so, and every refresh token and client secret.
        "ya29.a0",
        "1//0",
        "GOCSPX-",
        "CANARY-bearer-token",
        "CANARY-body",
        "CANARY-subject",
        "CANARY-term",
        "canary@example.com",
        "stranger-canary",
        "249.00 EUR",
        "The fence is green",
        "AGE-SECRET-KEY-",
        "claviger1.",
    ]
    .map(str::to_owned)
    .to_vec();
    needles.extend(keys);
    // While it runs: the store's journal, the log, the sidecar, what the programs have said.
    assert_eq!(disk::find(&world.home(), &needles), []);
    assert_eq!(disk::find(&world.base().join("logs"), &needles), []);
    let status = world.stop_vault().await;
    assert!(status.success(), "{status}");
    assert_eq!(disk::find(&world.home(), &needles), []);
    assert_eq!(disk::find(&world.base().join("logs"), &needles), []);
    // The looking does find what is there: the identities, which are not in the home.
    assert!(!disk::find(&world.base().join("keys"), &needles).is_empty());

    // Without the sidecar the log tells who, when and which tool, and verifies; the arguments are gone.
    let copy = world.base().join("copy");
    disk::copy(&world.home().join("audit"), &copy);
    let names: Vec<_> = std::fs::read_dir(&copy).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.is_empty());
    let known = [SEND.to_owned(), AGENT.to_owned()];
    let told = disk::find(&copy, &known);
    assert!(!told.is_empty(), "the log has who and which tool: {names:?}");
}

/// A stolen store, keys directory and log, without an identity, cannot be opened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stolen_backup_does_not_open_without_an_identity() {
    let mut world = World::ready().await;
    assert!(world.stop_vault().await.success());
    let other = World::lay_out(Plan::default()).await;
    let mut command = world.vault_command(&[]);
    command.arg("--identity").arg(other.identity());
    let ran = claviger_tests::world::ran::Ran::of(&mut command, "").await.code(1);
    assert!(ran.err.contains("hint: "), "{}", ran.err);
    assert!(!ran.err.contains("AGE-SECRET-KEY"), "{}", ran.err);
}
