//! Handing on a part: children made by command, by tool and by library, and bridges that serve nothing but them.

use claviger_agent::cli::Exit;
use claviger_agent::{Bounds, ClientError};
use claviger_proto::connect::Server;
use claviger_proto::v1::caveat::Kind;
use rmcp::model::{CallToolRequestParams, CallToolResult, ProtocolVersion};
use serde_json::{Value, json};

use crate::bridge::{Connected, connect_by, text};
use crate::cli::agent;
use crate::world::{CHILD, HANDLE, NOW, Still, World};

const VERSION: ProtocolVersion = ProtocolVersion::V_2025_11_25;

async fn tool(host: &Connected, name: &str, arguments: Value) -> Result<CallToolResult, rmcp::ServiceError> {
    let arguments = arguments.as_object().unwrap().clone();
    host.client.call_tool(CallToolRequestParams::new(name.to_owned()).with_arguments(arguments)).await
}

fn kinds(world: &World) -> Vec<Kind> {
    let truth = world.truth.lock().unwrap();
    truth.narrowed.last().unwrap().caveats.iter().filter_map(|caveat| caveat.kind.clone()).collect()
}

#[tokio::test]
async fn narrow_prints_the_childs_id_and_ls_shows_what_is_left() {
    let world = World::start();
    let words = [
        "narrow",
        HANDLE,
        "--tool",
        "demo_answer",
        "--tool",
        "demo.send",
        "--label",
        "summaries",
        "--expires",
        "1h",
        "--rate",
        "10/1h",
        "--calls",
        "5",
        "--recipients",
        "a@b.example,*@c.example",
        "--resource",
        "folder=F1",
        "--resource",
        "folder=F2",
        "--bound",
        "max.max=3",
        "--path",
        "a/b",
    ];
    let (exit, out, err) = agent(&world, &words).await;
    assert_eq!((exit, out, err.as_str()), (Exit::Ok, format!("{CHILD}\n"), ""));
    let said = kinds(&world);
    assert!(
        matches!(&said[0], Kind::Tools(tools) if tools.names == ["demo.answer", "demo.send"]),
        "{said:?}"
    );
    assert_eq!(said[1], Kind::ExpiresAtMs(NOW + 3_600_000));
    assert!(
        matches!(&said[5], Kind::Resource(resource) if resource.values == ["id:F1", "id:F2"]),
        "{said:?}"
    );
    assert_eq!(said.len(), 8);
    let (_, out, _) = agent(&world, &["narrow", HANDLE, "--tool", "demo_answer", "--json"]).await;
    let made: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&made["handle"], &made["parent"], &made["tools"]),
        (&json!(CHILD), &json!(HANDLE), &json!(["demo_answer"]))
    );
    let (_, out, _) = agent(&world, &["ls", "--handle", CHILD]).await;
    assert_eq!(out, "demo_answer  read    Title of demo.answer\n");
    let (_, out, _) = agent(&world, &["handles", "--handle", CHILD]).await;
    assert!(out.contains(&format!("child of {HANDLE}")), "{out}");
    let (exit, ..) = agent(&world, &["call", "--handle", CHILD, "demo_answer"]).await;
    assert_eq!(exit, Exit::Ok);
    let claim = world.truth.lock().unwrap().calls.last().unwrap().2.clone();
    assert_eq!(claim.handle[0], 0xc0);
    let (exit, ..) = agent(&world, &["call", "--handle", CHILD, "demo_send"]).await;
    assert_eq!(exit, Exit::Usage);
    let (exit, out, _) = agent(&world, &["release", CHILD]).await;
    assert_eq!((exit, out.as_str()), (Exit::Ok, "2 handles have ended\n"));
    assert_eq!(world.truth.lock().unwrap().released, [CHILD]);
}

#[tokio::test]
async fn what_is_wrong_is_said_before_anything_is_sent() {
    let world = World::start();
    for (words, expected) in [
        (&["narrow", HANDLE, "--tool", "demo_anwser"][..], Exit::Usage),
        (&["narrow", HANDLE, "--bound", "max=3"], Exit::Usage),
        (&["narrow", "hdl_1"], Exit::Failed),
        (&["ls", "--handle", CHILD], Exit::Failed),
        (&["ls", "--handle", ""], Exit::Failed),
        (&["release", "gr_0001020304050607"], Exit::Failed),
    ] {
        let (exit, _, err) = agent(&world, words).await;
        assert_eq!(exit, expected, "{words:?}");
        assert!(err.contains("next: "), "{err}");
    }
    assert!(world.truth.lock().unwrap().narrowed.is_empty());
    let (exit, _, err) = agent(&world, &["narrow", HANDLE, "--label", "refuse"]).await;
    assert_eq!(exit, Exit::Failed);
    assert!(err.contains("too many") && err.contains("claviger why ref_0123456789abcdef"), "{err}");
}

#[tokio::test]
async fn a_model_can_hand_on_a_part_and_end_it() {
    let world = World::start();
    let host = connect_by(&world, VERSION, &[]).await;
    assert!(host.all_names().await.contains(&"claviger_narrow".to_owned()));
    let arguments = json!({
        "tools": ["demo_answer"], "label": "summaries", "expires_in_seconds": 60, "calls": 3, "rate": "1/1m",
        "recipients": ["a@b.example"], "resources": {"folder": ["F1"]},
    });
    let made = tool(&host, "claviger_narrow", arguments).await.unwrap();
    assert_eq!(made.is_error, Some(false));
    assert!(text(&made).contains(&format!("claviger-agent mcp --handle {CHILD}")), "{}", text(&made));
    world.assert_clean(&serde_json::to_string(&made).unwrap());
    assert_eq!(made.structured_content.as_ref().unwrap()["handle"], json!(CHILD));
    // By default the handle that has the tool.
    assert_eq!(world.truth.lock().unwrap().narrowed[0].handle, HANDLE);
    assert_eq!(kinds(&world).len(), 6);
    for bad in [
        json!({"tools": []}),
        json!({}),
        json!({"tools": ["demo_answer"], "recipients": []}),
        json!({"tools": ["demo_answer"], "resources": {"folder": []}}),
        json!({"tools": ["demo_answer"], "calls": 0}),
        json!({"tools": ["demo_answer"], "call": 1}),
        json!({"tools": ["demo_answer"], "rate": "often"}),
    ] {
        assert!(tool(&host, "claviger_narrow", bad.clone()).await.is_err(), "{bad}");
    }
    let unknown = tool(&host, "claviger_narrow", json!({"tools": ["demo_nothing"]})).await.unwrap();
    assert_eq!(unknown.is_error, Some(true));
    let refused =
        tool(&host, "claviger_narrow", json!({"tools": ["demo_answer"], "label": "refuse"})).await.unwrap();
    assert!(
        text(&refused).starts_with("refused: there are too many child handles (field `children`). Release"),
        "{}",
        text(&refused)
    );
    assert_eq!(world.truth.lock().unwrap().narrowed.len(), 1);
    let ended = tool(&host, "claviger_release", json!({"handle": CHILD})).await.unwrap();
    assert_eq!(ended.structured_content, Some(json!({"released": 2})));
}

#[tokio::test]
async fn a_bridge_for_a_child_never_reaches_its_parent() {
    let world = World::start();
    let words = ["narrow", HANDLE, "--tool", "demo_answer"];
    assert_eq!(agent(&world, &words).await.0, Exit::Ok);
    let host = connect_by(&world, VERSION, &[CHILD]).await;
    let own = ["claviger_narrow", "claviger_release", "claviger_result", "claviger_ask"];
    assert_eq!(host.all_names().await, [&["demo_answer"][..], &own].concat());
    assert!(tool(&host, "demo_send", json!({})).await.is_err());
    for arguments in [json!({"tools": ["demo_answer"], "handle": HANDLE}), json!({"tools": ["demo_send"]})] {
        let refused = tool(&host, "claviger_narrow", arguments).await.unwrap();
        assert_eq!(refused.is_error, Some(true));
    }
    let refused = tool(&host, "claviger_release", json!({"handle": HANDLE})).await.unwrap();
    assert_eq!(refused.is_error, Some(true));
    {
        let truth = world.truth.lock().unwrap();
        assert_eq!((truth.narrowed.len(), truth.released.len()), (1, 0));
    }
    // Its own children it may make, and make children of.
    let made = tool(&host, "claviger_narrow", json!({"tools": ["demo_answer"]})).await.unwrap();
    assert_eq!(made.is_error, Some(false));
    assert_eq!(world.truth.lock().unwrap().narrowed[1].handle, CHILD);
    assert_eq!(
        tool(&host, "demo_answer", json!({})).await.unwrap().structured_content,
        Some(json!({"got": {}}))
    );
    let claim = world.truth.lock().unwrap().calls.last().unwrap().2.clone();
    assert_eq!(claim.handle[0], 0xc0);
}

#[tokio::test]
async fn a_session_for_handles_that_have_ended_has_nothing() {
    let world = World::start();
    let clock = std::sync::Arc::new(Still);
    let open = |handles: Vec<String>| {
        let clock = clock.clone();
        let socket = world.vault_socket();
        async move {
            claviger_agent::Session::open_handles(&socket, Server::OwnerOfDirectory, &handles, clock).await
        }
    };
    let session = open(vec![CHILD.to_owned()]).await.unwrap();
    assert!(!session.is_complete() && session.tools().is_empty());
    let made = session.narrow(HANDLE, &Bounds::default()).await;
    assert!(matches!(made, Err(ClientError::NoSuchHandle)));
    assert!(matches!(open(vec!["hdl_".to_owned()]).await, Err(ClientError::NoSuchHandle)));
    let session = open(Vec::new()).await.unwrap();
    assert!(session.is_complete());
    assert_eq!(session.narrow(HANDLE, &Bounds::default()).await.unwrap().id, CHILD);
}
