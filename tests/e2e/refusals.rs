//! What is refused, how it is told to the agent, and how it is explained to the owner.

use claviger_tests::world::called::{Called, Refused};
use claviger_tests::world::ran::Ran;
use claviger_tests::world::{AGENT, World};
use serde_json::{Value, json};

/// What `claviger why` says of a refusal, as JSON; its text has to name the same things.
async fn why(world: &World, refused: &Refused, mentions: &[&str]) -> Value {
    let json = world.admin(&["why", &refused.reference]).await;
    let event = &json["event"];
    assert_eq!(
        (event["class"].as_str(), event["agent"].as_str()),
        (Some(refused.class.as_str()), Some(AGENT))
    );
    let text = world.claviger(&["why", &refused.reference]).await.success().out;
    for mention in mentions {
        assert!(text.contains(mention), "`why` does not say {mention:?}:\n{text}");
    }
    json
}

fn grant_id(grants: &[Value], tool: &str) -> String {
    let holds = |grant: &&Value| grant["tools"].as_array().unwrap().iter().any(|held| held["name"] == tool);
    grants.iter().find(holds).unwrap()["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_outside_the_label_reads_as_one_that_is_not_there() {
    let world = World::with_secrets().await;
    let grants = world.usual_grants().await;
    let outside = world.google.mail_id("Your password reset code").unwrap();
    let called = world.call("gmail_get_message", json!({"message_id": outside})).await;
    let absent = world.call("gmail_get_message", json!({"message_id": "18f0000000000000"})).await;
    let (refused, gone) = (called.refused(), absent.refused());
    assert_eq!((refused.class.as_str(), &refused.field), ("out-of-scope", &gone.field));
    assert_eq!(refused.class, gone.class);
    let same = |ran: &Called, reference: &str| ran.ran.all().replace(reference, "REF");
    assert_eq!(
        same(&called, &refused.reference),
        same(&absent, &gone.reference),
        "the agent can tell them apart"
    );
    assert!(!called.ran.all().contains("493 028"), "the mail's text is told");
    let grant = grant_id(&grants, "gmail.get_message");
    let told = why(&world, &refused, &["gmail.get_message", &grant, "label", &outside]).await;
    assert_eq!(told["grant"]["id"], grant);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_to_a_stranger_however_the_address_is_written() {
    let world = World::with_secrets().await;
    let grants = world.usual_grants().await;
    let letter = |more: Value| {
        let mut letter = json!({"subject": "Hello", "body": "Hello."});
        letter.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        letter
    };
    let stranger = "attacker@evil.example";
    for (more, field) in [
        (json!({"to": [stranger]}), "to"),
        (json!({"to": ["mona@example.com"], "cc": [stranger]}), "cc"),
        (json!({"to": ["mona@example.com"], "bcc": [stranger]}), "bcc"),
        (json!({"to": ["mona@example.com"], "reply_to": [stranger]}), "reply_to"),
        (json!({"to": ["mona@example.com", stranger]}), "to"),
        (json!({"to": ["mona@example.com.evil.example"]}), "to"),
        (json!({"to": ["mona@xexample.com"]}), "to"),
    ] {
        world.call("gmail_send_message", letter(more)).await.assert_refused("out-of-scope", field);
    }
    for bad in [
        json!({"to": ["mona@example.com\r\nBcc: attacker@evil.example"]}),
        json!({"to": ["=?utf-8?q?attacker=40evil.example?= <mona@example.com>"]}),
        json!({"to": ["friends: attacker@evil.example;"]}),
        json!({"to": ["\"attacker@evil.example\" <mona@example.com>"]}),
        json!({"to": ["\"attacker@evil.example,\"@example.com"]}),
        json!({"to": []}),
        json!({"to": ["mona@example.com"], "subject": "x\r\nBcc: attacker@evil.example"}),
    ] {
        let refused = world.call("gmail_send_message", letter(bad.clone())).await.refused();
        assert!(["bad-arguments", "out-of-scope"].contains(&refused.class.as_str()), "{bad}: {refused:?}");
    }
    assert!(world.google.outbox().is_empty(), "a mail went out");
    assert!(
        !world.google.log().iter().any(|request| request.path.ends_with("/send")),
        "the upstream was asked"
    );

    let called = world.call("gmail_send_message", letter(json!({"to": [stranger]}))).await;
    let refused = called.refused();
    assert!(!called.ran.all().contains("evil.example"), "a refusal never holds a value");
    let grant = grant_id(&grants, "gmail.send_message");
    let mentions = [grant.as_str(), "recipients", "*@example.com", stranger, "fix", "new grant"];
    let _ = why(&world, &refused, &mentions).await;
    // The owner can do what is proposed, and then it works.
    world.admin(&["revoke", &grant]).await;
    let line =
        [AGENT, "gmail/me", "--tool", "gmail.send_message", "--recipients", stranger, "--approve", "never"];
    world.grant(&line).await;
    let _ = world.call("gmail_send_message", letter(json!({"to": [stranger]}))).await.ok();
    assert_eq!(world.google.outbox().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_outside_the_folder_are_not_there() {
    let world = World::with_secrets().await;
    let grants = world.usual_grants().await;
    let id = |path: &str| world.google.file_id(path).unwrap();
    let deep = id("Agent/Reports/October.txt");
    for (tool, args) in [
        ("drive_read_file", json!({"file_id": id("Private/Diary.txt")})),
        ("drive_get_file_metadata", json!({"file_id": id("Private/Passwords.txt")})),
        // Direct children only.
        ("drive_read_file", json!({"file_id": deep})),
        ("drive_list_folder", json!({"folder_id": id("Private")})),
        ("drive_create_file", json!({"folder_id": id("Private"), "name": "x", "content": "x"})),
    ] {
        let called = world.call(tool, args.clone()).await;
        assert_eq!(called.refused().class, "out-of-scope", "{tool} {args}");
        for secret in ["Nobody reads", "4711", "Diary", "Passwords", "October"] {
            assert!(!called.ran.all().contains(secret), "{tool} tells {secret}");
        }
    }
    assert!(world.google.file_id("Private/x").is_none());
    let found = world.call("drive_search_files", json!({"name": "Diary"})).await;
    assert_eq!(found.ok()["files"], json!([]));
    let refused = world.call("drive_read_file", json!({"file_id": deep})).await.refused();
    let grant = grant_id(&grants, "drive.read_file");
    let _ = why(&world, &refused, &[&grant, "folder", &deep]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arguments_that_no_tool_takes_reach_nobody() {
    let world = World::ready().await;
    let before = world.google.log().len();
    // By the command line they do not even leave the client.
    for words in [&["query:=\"in:anywhere\""][..], &["q=in:anywhere"], &["max_results=ten"]] {
        let line = [&["call", "gmail_search_messages"][..], words].concat();
        let ran = world.agent(&line).await.code(2);
        assert!(!ran.err.contains("in:anywhere") && ran.err.contains("next: "), "{}", ran.err);
    }
    let duplicate = ["call", "gmail_get_message", "message_id=a", "message_id=b"];
    let _ = world.agent(&duplicate).await.code(2);
    // By the library they do, and the vault says no, without the value.
    let session = world.session().await;
    for (tool, args, field) in [
        ("gmail_search_messages", json!({"q": "in:anywhere"}), None),
        ("gmail_search_messages", json!({"max_results": 1_000_000}), Some("max_results")),
        ("gmail_search_messages", json!({"max_results": -1}), Some("max_results")),
        ("gmail_search_messages", json!({"max_results": 1.5}), Some("max_results")),
        ("gmail_search_messages", json!({"from": "x OR label:Private"}), None),
        ("gmail_search_messages", json!({"subject": "a\u{0}b"}), Some("subject")),
        ("gmail_get_message", json!({}), Some("message_id")),
        ("gmail_get_message", json!({"message_id": "../messages"}), Some("message_id")),
        ("gmail_get_message", json!({"message_id": "a/b"}), Some("message_id")),
        ("gmail_get_message", json!({"message_id": "a%2fb"}), Some("message_id")),
        ("gmail_get_message", json!({"message_id": "a\u{0}"}), Some("message_id")),
        ("gmail_get_message", json!({"message_id": ".."}), Some("message_id")),
        ("gmail_label_message", json!({"message_id": "a", "add": ["TRASH"]}), Some("add")),
        (
            "drive_create_file",
            json!({"folder_id": "a", "name": "x", "content": "x", "mime_type": "text/html"}),
            None,
        ),
    ] {
        let outcome = session.call(tool, args.as_object().unwrap().clone()).await.unwrap();
        match outcome {
            claviger_agent::CallOutcome::Refused(refusal) => {
                assert_eq!(refusal.class(), "bad-arguments", "{tool} {args}: {refusal}");
                if let Some(field) = field {
                    assert_eq!(refusal.field(), Some(field), "{tool} {args}");
                }
                assert!(refusal.reference().is_some());
            }
            // A quoted term finds nothing; it is no operator.
            claviger_agent::CallOutcome::Answered(answer) => {
                assert_eq!(tool, "gmail_search_messages", "{args}: {answer:?}");
                assert_eq!(answer.structured_content.unwrap()["messages"], json!([]), "{args}");
            }
        }
    }
    let asked = world.google.log();
    let ids = asked[before..].iter().filter(|request| request.path.contains("/messages/")).count();
    assert_eq!(ids, 0, "an id that is none was put into a path: {asked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_bounds_and_ends_hold() {
    let world = World::with_secrets().await;
    let line = [AGENT, "gmail/me", "--tool", "gmail.search_messages", "--label", "AI", "--calls", "2"];
    let grant = world
        .grant(&[&line[..], &["--bound", "max_results.max=3", "--bound", "words.absent"]].concat())
        .await;
    let search = |args: Value| world.call("gmail_search_messages", args);
    // What the bounds rule out is not offered, and refused to a client that asks all the same.
    let _ = world.agent(&["call", "gmail_search_messages", "words=x"]).await.code(2);
    let session = world.session().await;
    for (args, field) in
        [(json!({"max_results": 5}), "max_results"), (json!({"max_results": 3, "words": "x"}), "words")]
    {
        let outcome = session.call("gmail_search_messages", args.as_object().unwrap().clone()).await.unwrap();
        let claviger_agent::CallOutcome::Refused(refusal) = outcome else { panic!("{args} was answered") };
        assert_eq!((refusal.class(), refusal.field()), ("out-of-scope", Some(field)));
    }
    let _ = search(json!({"max_results": 3})).await.ok();
    let _ = search(json!({"max_results": 3})).await.ok();
    let refused = search(json!({"max_results": 3})).await.refused();
    assert_eq!(refused.class, "rate-limited");
    let _ = why(&world, &refused, &[grant["id"].as_str().unwrap(), "calls", "2"]).await;
    let shown = world.admin(&["grant", "show", grant["id"].as_str().unwrap()]).await;
    assert_eq!(shown["calls_made"], 2, "a refused call is not charged");

    let slow = world
        .grant(&[AGENT, "drive/me", "--tool", "drive.search_files", "--folder", "Agent", "--rate", "1/1h"])
        .await;
    let _ = world.call("drive_search_files", json!({})).await.ok();
    let refused = world.call("drive_search_files", json!({})).await.refused();
    assert_eq!(refused.class, "rate-limited");
    let _ = why(&world, &refused, &[slow["id"].as_str().unwrap(), "1/1h"]).await;

    let brief = world.grant(&[AGENT, "gmail/me", "--tool", "gmail.list_labels", "--expires", "1s"]).await;
    assert!(brief["expires_at_ms"].as_u64().unwrap() > 0);
    world
        .eventually("the grant ends by itself", async || {
            let called = world.call("gmail_list_labels", json!({})).await;
            // Either it is gone from the list, or it is refused: there is no cleaner to wait for.
            (called.ran.code != 0).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_that_cannot_be_held_are_not_made() {
    let world = World::with_secrets().await;
    let cases: [(&[&str], &str); 5] = [
        (&["openclaw", "gmail/me", "--read", "--folder", "Agent"], "folder"),
        (&["openclaw", "drive/me", "--read", "--label", "AI"], "label"),
        (&["openclaw", "gmail/me", "--read", "--label", "Nothing"], "label"),
        (&["openclow", "gmail/me", "--read"], "openclaw"),
        (&["openclaw", "gmail/me", "--tool", "gmail.serach_messages"], "gmail.search_messages"),
    ];
    for (args, mention) in cases {
        let line = [&["grant", "add"][..], args].concat();
        let ran = world.claviger(&line).await;
        assert!([1, 2].contains(&ran.code), "{ran:?}");
        assert!(ran.err.contains(mention) && ran.err.contains("hint: "), "{mention}: {}", ran.err);
    }
    assert_eq!(world.admin(&["grant", "ls"]).await["grants"], json!([]));
    // Two grants may name one tool.
    world.grant(&["openclaw", "gmail/me", "--read", "--label", "AI"]).await;
    let line = ["grant", "add", "openclaw", "gmail/me", "--tool", "gmail.get_message", "--label", "AI"];
    let _ = world.claviger(&line).await.code(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opaque_agents_learn_class_and_reference_alone() {
    let world = World::with_secrets().await;
    world.admin(&["agent", "rm", "other"]).await;
    world.admin(&["agent", "add", "quiet", "--opaque-refusals"]).await;
    let socket = world.agent_socket("quiet");
    world.eventually("the agent's socket", async || socket.exists().then_some(())).await;
    let line = [
        "quiet",
        "gmail/me",
        "--tool",
        "gmail.send_message",
        "--recipients",
        "a@example.com",
        "--approve",
        "never",
    ];
    world.grant(&line).await;
    let args = json!({"to": ["b@example.com"], "subject": "x", "body": "x"});
    let refused = world.call_as("quiet", "gmail_send_message", args).await.refused();
    assert_eq!((refused.class.as_str(), refused.field.as_str()), ("out-of-scope", ""));
    let told = world.admin(&["why", &refused.reference]).await;
    assert_eq!(told["event"]["field"], "to", "the owner is told");
}

fn json_error(ran: &Ran) -> Value {
    let value: Value = serde_json::from_str(&ran.err).unwrap_or_else(|error| panic!("{error}: {}", ran.err));
    assert!(!value["error"]["hints"].as_array().unwrap().is_empty());
    value["error"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exit_codes_and_json_are_for_programs() {
    let world = World::ready().await;
    // 0: every list is JSON.
    for line in [
        &["status"][..],
        &["agent", "ls"],
        &["adapter", "ls"],
        &["secret", "ls"],
        &["secret", "show", "gmail/me"],
        &["grant", "ls", "--all"],
        &["log"],
        &["services"],
        &["audit", "key"],
    ] {
        assert!(world.admin(line).await.is_object(), "{line:?}");
    }
    // 1: failed or denied.
    let ran = world.claviger(&["--json", "secret", "show", "gmail/mee"]).await.code(1);
    assert_eq!(json_error(&ran)["exit"], 1);
    assert!(ran.err.contains("gmail/me"), "no suggestion: {}", ran.err);
    let _ = world.claviger(&["why", "ref_0000000000000000"]).await.code(1);
    let refused = world.call("gmail_get_message", json!({"message_id": "18f0000000000000"})).await;
    assert_eq!(refused.ran.code, 1);
    // 2: wrong usage.
    for line in
        [&["statsu"][..], &["grant", "add"], &["grant", "add", AGENT, "gmail/me"], &["log", "--limit", "0"]]
    {
        let ran = world.claviger(line).await.code(2);
        assert!(!ran.err.is_empty());
    }
    assert!(world.claviger(&["statsu"]).await.err.contains("status"));
    let _ = world.agent(&["call", "no_such_tool"]).await.code(2);
    let ran = world.agent(&["call", "gmail_serach_messages"]).await.code(2);
    assert!(ran.err.contains("gmail_search_messages"), "{}", ran.err);
    // 3: sealed.
    world.admin(&["seal"]).await;
    let ran = world.claviger(&["--json", "grant", "ls"]).await.code(3);
    assert_eq!(json_error(&ran)["class"], "sealed");
    let _ = world.agent(&["ls"]).await.code(3);
    let _ = world.agent(&["call", "gmail_list_labels"]).await.code(3);
}
