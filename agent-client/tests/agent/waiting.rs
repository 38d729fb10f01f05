//! What waits for a person: told, collected, and run with exactly what was agreed to.

use claviger_agent::cli::Exit;
use claviger_agent::{ApprovalId, CallOptions, CallOutcome, ClientError, Session, State, Waited};
use claviger_proto::connect::Server;
use claviger_proto::v1::{CollectResponse, caveat};
use rmcp::model::{CallToolRequestParams, CallToolResult, ProtocolVersion};
use serde_json::{Value, json};

use crate::bridge::connect;
use crate::cli::agent;
use crate::world::{APPROVAL, CHILD, HANDLE, NOW, Still, World, tool};

const TASK: &str = "hdl_ffffffffffffffffffffffffffffffff";

fn id() -> ApprovalId {
    ApprovalId::parse(APPROVAL).unwrap()
}

fn agreed(handle: &str) -> CollectResponse {
    CollectResponse {
        state: "approved".to_owned(),
        handle: handle.to_owned(),
        tool: "demo.ask_first".to_owned(),
        arguments: br#"{"max":3,"words":"hi"}"#.to_vec(),
        expires_at_ms: NOW + 1000,
        answer: String::new(),
    }
}

/// A world in which the owner has answered so.
fn world(answer: CollectResponse) -> std::sync::Arc<World> {
    let world = World::start();
    world.change(|truth| {
        truth.tools.push(tool("demo.ask_first", "send"));
        truth.waiting.push((APPROVAL.to_owned(), answer));
    });
    world
}

fn text(result: &CallToolResult) -> String {
    result.content[0].as_text().unwrap().text.clone()
}

#[tokio::test]
async fn the_kept_arguments_run_with_the_approval_and_nothing_else_does() {
    for handle in [HANDLE, TASK] {
        let world = world(agreed(handle));
        world.change(|truth| truth.task = Some(TASK.to_owned()));
        let session = world.session().await;
        let refused = session.call("demo_ask_first", serde_json::Map::new()).await.unwrap();
        let CallOutcome::Refused(refusal) = refused else { panic!("it ran: {refused:?}") };
        assert_eq!((refusal.class(), refusal.approval()), ("pending", Some(APPROVAL)));

        let ran = session.result(id(), &CallOptions::default()).await.unwrap();
        assert!(matches!(ran, Waited::Ran(CallOutcome::Answered(_))), "{ran:?}");
        let truth = world.truth.lock().unwrap();
        let (name, arguments, claim) = truth.calls.last().unwrap();
        assert_eq!((name.as_str(), arguments), ("demo.ask_first", &json!({"words": "hi", "max": 3})));
        assert_eq!(claim.approval.map(|id| id[..2].to_vec()), Some(vec![0x00, 0x11]));
        assert_eq!(claim.handle[15], if handle == HANDLE { 15 } else { 255 });
    }
}

#[tokio::test]
async fn what_is_not_agreed_to_runs_nothing() {
    for state in ["pending", "denied", "expired", "done"] {
        // Arguments that a vault should not send along are not run either.
        let world =
            world(CollectResponse { state: state.to_owned(), answer: "no".to_owned(), ..agreed(HANDLE) });
        let told = world.session().await.result(id(), &CallOptions::default()).await.unwrap();
        let Waited::Told(collected) = told else { panic!("it ran: {told:?}") };
        assert_eq!((collected.state.as_str(), collected.answer.as_str()), (state, "no"));
        assert!(world.truth.lock().unwrap().calls.is_empty());
    }
    let world = world(agreed(TASK));
    let session = world.session().await;
    assert!(matches!(session.result(id(), &CallOptions::default()).await, Err(ClientError::HandleGone)));
    let other = ApprovalId::parse("ap_ffffffffffffffffffffffffffffffff").unwrap();
    assert!(matches!(session.collect(other).await, Err(ClientError::Refused(_))));
}

#[tokio::test]
async fn a_task_is_worked_under_until_it_does_not_go_that_far() {
    let task = CollectResponse { tool: String::new(), arguments: Vec::new(), ..agreed(TASK) };
    let world = world(task);
    world.change(|truth| truth.task = Some(TASK.to_owned()));
    let session = world.session().await;
    let told = session.result(id(), &CallOptions::default()).await.unwrap();
    assert!(matches!(told, Waited::Told(ref collected) if collected.state == State::Approved), "{told:?}");
    let ran = session.call("demo_ask_first", serde_json::Map::new()).await.unwrap();
    assert!(matches!(ran, CallOutcome::Answered(_)), "{ran:?}");
    assert_eq!(world.truth.lock().unwrap().calls.last().unwrap().2.handle, [255; 16]);
    // What the task does not allow is asked by the grant's own handle.
    let refused = session.call("demo_refuse", serde_json::Map::new()).await.unwrap();
    assert!(matches!(refused, CallOutcome::Refused(_)));
    let handles: Vec<u8> =
        world.truth.lock().unwrap().calls.iter().map(|(.., claim)| claim.handle[15]).collect();
    assert_eq!(handles, [255, 255, 15]);
    // After a restart of the vault it is collected again, or not used.
    world.restart();
    let refused = session.call("demo_ask_first", serde_json::Map::new()).await.unwrap();
    assert!(matches!(refused, CallOutcome::Refused(refusal) if refusal.class() == "pending"));
}

/// A refusal is an adapter's word. What is no read is not presented a second time on it, under another handle.
#[tokio::test]
async fn a_refusal_under_a_task_buys_no_second_presentation_but_for_a_read() {
    for stale in [false, true] {
        let task = CollectResponse { tool: String::new(), arguments: Vec::new(), ..agreed(TASK) };
        let world = world(task);
        world.change(|truth| {
            truth.task = Some(TASK.to_owned());
            let refuse = truth.tools.iter_mut().find(|tool| tool.name == "demo.refuse").unwrap();
            refuse.effect = "write".to_owned();
        });
        let session = world.session().await;
        let _ = session.result(id(), &CallOptions::default()).await.unwrap();
        world.change(|truth| truth.always_stale = stale);
        let before = world.truth.lock().unwrap().presentations.len();
        let refused = session.call("demo_refuse", serde_json::Map::new()).await.unwrap();
        assert!(matches!(refused, CallOutcome::Refused(_)));
        assert_eq!(world.truth.lock().unwrap().presentations.len(), before + 1, "stale: {stale}");
    }
}

/// Which handles the calls came by, since there were so many: the grant's own, or a task's.
fn by_task(world: &World, since: usize) -> Vec<bool> {
    let truth = world.truth.lock().unwrap();
    truth.calls[since..].iter().map(|(.., claim)| claim.handle == [255; 16]).collect()
}

/// A task that goes no further is no dead end: the call is refused, and the next one goes by what is granted anyway.
#[tokio::test]
async fn beyond_a_task_the_next_call_goes_by_the_grant() {
    // What the task's refusal means for the same call made again, and for another one.
    for (class, field, same, other) in [
        ("rate-limited", Some("calls"), &[false][..], &[false][..]),
        ("rate-limited", Some("rate"), &[false], &[false]),
        ("rate-limited", None, &[false], &[false]),
        ("out-of-scope", Some("to"), &[false], &[true]),
        ("not-granted", None, &[false], &[true]),
        ("revoked", None, &[false], &[false]),
        ("pending", Some("approval"), &[true], &[true]),
        ("unknown", None, &[true], &[true]),
        ("busy", None, &[true], &[true]),
    ] {
        let task = CollectResponse { tool: String::new(), arguments: Vec::new(), ..agreed(TASK) };
        let world = world(task);
        world.change(|truth| {
            truth.task = Some(TASK.to_owned());
            truth.beyond_task = Some((class, field));
        });
        let session = world.session().await;
        let _ = session.result(id(), &CallOptions::default()).await.unwrap();
        let call = async |words: &str| {
            let before = world.truth.lock().unwrap().calls.len();
            let arguments = json!({ "words": words }).as_object().unwrap().clone();
            let outcome = session.call("demo_send", arguments).await.unwrap();
            (outcome, by_task(&world, before))
        };
        // Whatever it is told, never two presentations of one call that may change something.
        let (outcome, by) = call("x").await;
        let CallOutcome::Refused(refusal) = outcome else { panic!("{class}: it ran: {outcome:?}") };
        assert_eq!((refusal.class(), by), (class, vec![true]), "{field:?}");
        let goes_on = same == [false];
        assert_eq!(refusal.to_string().contains("make the call again"), goes_on, "{refusal}");
        let (outcome, by) = call("x").await;
        assert_eq!((by.as_slice(), matches!(outcome, CallOutcome::Answered(_))), (same, goes_on), "{class}");
        let (_, by) = call("y").await;
        assert_eq!(by, other, "{class} {field:?}");
        // Collected again, it is worked under again.
        let _ = session.result(id(), &CallOptions::default()).await.unwrap();
        assert_eq!(call("x").await.1, [true], "{class}");
    }
}

/// A sub-agent that has heard of an approval of its parent's gets nowhere with it.
#[tokio::test]
async fn a_session_for_handles_runs_nothing_by_another() {
    let world = world(agreed(HANDLE));
    assert_eq!(agent(&world, &["narrow", HANDLE, "--tool", "demo_ask_first"]).await.0, Exit::Ok);
    world.change(|truth| truth.task = Some(TASK.to_owned()));
    let open = async |handle: &str| {
        let clock = std::sync::Arc::new(Still);
        let handles = [handle.to_owned()];
        Session::open_handles(&world.vault_socket(), Server::OwnerOfDirectory, &handles, clock).await.unwrap()
    };
    let child = open(CHILD).await;
    for handle in [HANDLE, TASK] {
        world.change(|truth| truth.waiting[0].1 = agreed(handle));
        let ran = child.result(id(), &CallOptions::default()).await;
        assert!(matches!(ran, Err(ClientError::NoSuchHandle)), "{ran:?}");
    }
    let task = CollectResponse { tool: String::new(), arguments: Vec::new(), ..agreed(TASK) };
    world.change(|truth| truth.waiting[0].1 = task);
    assert!(matches!(child.result(id(), &CallOptions::default()).await, Ok(Waited::Told(_))));
    assert!(world.truth.lock().unwrap().calls.is_empty());
    child.call("demo_ask_first", serde_json::Map::new()).await.unwrap();
    assert_eq!(world.truth.lock().unwrap().calls.last().unwrap().2.handle[0], 0xc0);
    let wish = claviger_agent::Ask { handle: HANDLE.to_owned(), seconds: 1, ..Default::default() };
    assert!(matches!(child.ask(wish).await, Err(ClientError::NoSuchHandle)));
    // What was agreed to under its own handle it may use.
    let parent = open(HANDLE).await;
    parent.result(id(), &CallOptions::default()).await.unwrap();
    parent.call("demo_ask_first", serde_json::Map::new()).await.unwrap();
    assert_eq!(world.truth.lock().unwrap().calls.last().unwrap().2.handle, [255; 16]);
}

#[tokio::test]
async fn the_command_line_says_what_to_do_and_exits_by_it() {
    let world = world(agreed(HANDLE));
    let (exit, out, _) = agent(&world, &["call", "demo_ask_first"]).await;
    assert_eq!(exit, Exit::Pending);
    assert!(out.contains(&format!("claviger_result with {APPROVAL}")), "{out}");
    let (exit, out, _) = agent(&world, &["call", "demo_ask_first", "--json"]).await;
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((exit, told["refusal"]["approval"].as_str()), (Exit::Pending, Some(APPROVAL)));
    let (exit, out, _) = agent(&world, &["result", APPROVAL]).await;
    assert_eq!((exit, out.as_str()), (Exit::Ok, "sent\n"));
    let (exit, _, err) = agent(&world, &["result", "ap_1"]).await;
    assert_eq!(exit, Exit::Usage, "{err}");
    for (state, expected) in [("pending", Exit::Pending), ("denied", Exit::Failed), ("done", Exit::Failed)] {
        world.change(|truth| truth.waiting[0].1.state = state.to_owned());
        let (exit, out, _) = agent(&world, &["result", APPROVAL, "--json"]).await;
        let told: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((exit, told["state"].as_str()), (expected, Some(state)));
    }
}

#[tokio::test]
async fn asking_is_passed_on_as_it_is() {
    let world = world(agreed(HANDLE));
    let line = [
        "ask",
        "Invite the club",
        "--tool",
        "demo_send",
        "--hours",
        "2",
        "--recipient",
        "*@example.org",
        "--calls",
        "5",
    ];
    let (exit, out, err) = agent(&world, &line).await;
    assert_eq!(exit, Exit::Pending, "{err}");
    assert!(out.contains(APPROVAL), "{out}");
    let (exit, ..) = agent(&world, &["ask", "More", "--tool", "demo_nothing", "--hours", "2"]).await;
    assert_eq!(exit, Exit::Usage);
    let (exit, ..) =
        agent(&world, &["ask", "Read", "--secret", "gmail/me", "--tool", "gmail.get_message"]).await;
    assert_eq!(exit, Exit::Pending);
    let truth = world.truth.lock().unwrap();
    let (task, grant) = (&truth.asked[0], &truth.asked[1]);
    assert_eq!(
        (task.handle.as_str(), &task.tools[..], task.expires_in_seconds),
        (HANDLE, &["demo.send".to_owned()][..], 7200)
    );
    assert!(matches!(task.caveats[0].kind, Some(caveat::Kind::Recipients(_))));
    assert!(matches!(task.caveats[1].kind, Some(caveat::Kind::Calls(5))));
    assert_eq!((grant.secret.as_str(), grant.handle.as_str()), ("gmail/me", ""));
    assert_eq!(grant.tools, ["gmail.get_message"]);
}

#[tokio::test]
async fn a_host_is_told_what_to_do_and_can_do_it() {
    let world = world(agreed(HANDLE));
    let host = connect(&world, ProtocolVersion::V_2025_11_25).await;
    let tools = host.client.list_all_tools().await.unwrap();
    for name in ["claviger_result", "claviger_ask"] {
        assert!(tools.iter().any(|tool| tool.name == name), "{name} is missing");
    }
    let call = async |name: &'static str, arguments: Value| {
        let request = CallToolRequestParams::new(name).with_arguments(arguments.as_object().unwrap().clone());
        host.client.call_tool(request).await.unwrap()
    };
    let pending = call("demo_ask_first", json!({})).await;
    assert_eq!(pending.is_error, Some(true));
    let told = text(&pending);
    assert!(told.contains("A person must agree") && told.contains(APPROVAL), "{told}");
    assert_eq!(text(&call("claviger_result", json!({"id": APPROVAL})).await), "sent");
    for wrong in
        [json!({}), json!({"id": 7}), json!({"id": "ap_1"}), json!({"id": APPROVAL, "arguments": {}})]
    {
        assert_eq!(call("claviger_result", wrong.clone()).await.is_error, Some(true), "{wrong}");
    }
    world.change(|truth| truth.waiting[0].1.state = "pending".to_owned());
    let waits = call("claviger_result", json!({"id": APPROVAL})).await;
    assert_eq!(waits.structured_content.as_ref().unwrap()["state"], "pending");

    let asked = call("claviger_ask", json!({"purpose": "Which Mona?"})).await;
    assert_eq!(asked.structured_content.as_ref().unwrap()["id"], APPROVAL);
    let wrong = call("claviger_ask", json!({"purpose": "x", "approve": "never"})).await;
    assert_eq!(wrong.is_error, Some(true));
    assert_eq!(world.truth.lock().unwrap().asked.len(), 1);
}
