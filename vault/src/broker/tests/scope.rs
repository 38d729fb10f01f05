//! Objects in scope before and after; and worlds that differ only in what is out of scope look the same.

use std::sync::atomic::{AtomicU32, Ordering};

use claviger_domain::event::{Ending, Kind};
use claviger_domain::refusal::Class;
use serde_json::{Value, json};

use super::google::serve;
use super::world::{ADMIN, World, class, within};

const LABEL: &str = "gmail.label_message";
const READ: &str = "drive.read_file";

async fn labelling() -> World {
    let world = World::new().await;
    world.grant(&[LABEL], vec![within("label", &["Label_ai"])]).await;
    world
}

fn posts(world: &World) -> usize {
    world.upstream.calls().iter().filter(|call| call.method == "POST").count()
}

#[tokio::test]
async fn an_object_is_looked_at_before_it_is_changed() {
    let world = labelling().await;
    let sent = world.call(LABEL, json!({"message_id": "m1", "add": ["STARRED"]})).await.unwrap();
    assert!(String::from_utf8_lossy(&sent.body).contains("STARRED"));
    let targets: Vec<String> = world.upstream.calls().into_iter().map(|call| call.target).collect();
    assert_eq!(
        targets,
        [
            "/gmail/v1/users/me/messages/m1?fields=id%2ClabelIds&format=minimal",
            "/gmail/v1/users/me/messages/m1/modify"
        ]
    );
    // Out of scope, and absent: nothing is changed, and both are told alike.
    let mut told = Vec::new();
    for id in ["secret1", "absent1"] {
        let refusal = world.call(LABEL, json!({"message_id": id, "add": ["STARRED"]})).await.err().unwrap();
        told.push((refusal.class, refusal.field));
    }
    assert_eq!(told, vec![(Class::OutOfScope, Some("object".to_owned())); 2]);
    assert_eq!(posts(&world), 1);
    assert_eq!(world.google.lock().unwrap().mails["secret1"], ["INBOX"]);
    world.all_announced();
}

#[tokio::test]
async fn the_bound_itself_cannot_be_taken_off() {
    let world = labelling().await;
    for args in [
        json!({"message_id": "m1", "remove": ["Label_ai"]}),
        json!({"message_id": "m1", "add": ["Label_ai"], "remove": ["Label_ai"]}),
        json!({"message_id": "m1", "add": ["INBOX"], "remove": ["UNREAD", "Label_ai"]}),
    ] {
        let refusal = world.call(LABEL, args.clone()).await.err().unwrap();
        assert_eq!(refusal.class, Class::OutOfScope, "{args}");
        let why = world.broker.why(ADMIN, refusal.reference.unwrap()).await.unwrap();
        assert!(why.event.1.0.iter().any(|(name, text)| name == "fix" && text.contains("leave the label")));
    }
    assert_eq!(posts(&world), 0);
    // Nor one's own label put on what is outside.
    assert_eq!(
        class(world.call(LABEL, json!({"message_id": "secret1", "add": ["Label_ai"]})).await),
        Class::OutOfScope
    );
    assert_eq!(posts(&world), 0);
}

#[tokio::test]
async fn a_file_is_looked_at_before_and_after_its_content_came() {
    let world = World::new().await;
    world.grant(&[READ], vec![within("folder", &["folder_ai"])]).await;
    let content = async |id: &str| {
        let minted = world.mint(READ, json!({"file_id": id})).await.unwrap();
        world.send(&minted, "content", &[]).await
    };
    assert_eq!(content("f1").await.unwrap().body, "the content");
    let media = || world.upstream.calls().iter().filter(|call| call.target.contains("alt=media")).count();
    assert_eq!((world.upstream.calls().len(), media()), (3, 1));
    for id in ["hidden1", "absent1"] {
        let refusal = content(id).await.err().unwrap();
        assert_eq!((refusal.class, refusal.field.as_deref()), (Class::OutOfScope, Some("object")), "{id}");
    }
    assert_eq!(media(), 1, "nothing was fetched that was out of scope");
    // It is moved away while its content is on the way.
    let (google, shared) = (serve(&world.google), world.google.clone());
    world.upstream.answer_with(move |seen| {
        let answer = google(seen);
        if seen.target.contains("alt=media") {
            shared.lock().unwrap().files.insert("f1".to_owned(), vec!["folder_other".to_owned()]);
        }
        answer
    });
    assert_eq!(class(content("f1").await), Class::OutOfScope);
    assert_eq!(media(), 2);
    let outcomes = world.audit.events(Kind::Outcome);
    let (_, main, _) =
        outcomes.iter().rfind(|(_, event, _)| event.step.as_deref() == Some("content")).unwrap();
    assert_eq!(main.ending, Some(Ending::Withheld));
}

#[tokio::test]
async fn a_probe_that_says_nothing_is_a_no() {
    for (status, body) in [
        (200, json!({"id": "f1"})),
        (200, json!({"id": "f1", "parents": []})),
        (200, json!({"id": "f1", "parents": "folder_ai_not"})),
        (200, json!({"id": "f1", "parents": [{"id": "folder_ai"}]})),
        (200, json!([])),
        (200, json!(null)),
        (403, json!({})),
        (500, json!({"parents": ["folder_ai"]})),
        (206, json!({"parents": []})),
    ] {
        let world = World::new().await;
        world.grant(&[READ], vec![within("folder", &["folder_ai"])]).await;
        let google = serve(&world.google);
        let told = body.clone();
        world.upstream.answer_with(move |seen| {
            if seen.target.contains("fields=id") {
                super::upstream::json(status, &told)
            } else {
                google(seen)
            }
        });
        let minted = world.mint(READ, json!({"file_id": "f1"})).await.unwrap();
        let refused = class(world.send(&minted, "content", &[]).await);
        assert!(matches!(refused, Class::OutOfScope | Class::Upstream), "{body}: {refused}");
        assert!(world.upstream.calls().iter().all(|call| !call.target.contains("alt=media")), "{body}");
    }
}

#[tokio::test]
async fn the_probe_is_a_use_of_its_own_and_stops_with_the_log() {
    let world = World::new().await;
    world.grant(&[READ], vec![within("folder", &["folder_ai"])]).await;
    let minted = world.mint(READ, json!({"file_id": "f1"})).await.unwrap();
    let steps = AtomicU32::new(0);
    let audit = world.audit.clone();
    *world.audit.on_intent.lock().unwrap() = Some(Box::new(move |_| {
        // Token, probe, content: the log breaks after the first probe.
        if steps.fetch_add(1, Ordering::SeqCst) == 1 {
            audit.break_door(super::fakes::Door::Intent);
        }
    }));
    assert_eq!(class(world.send(&minted, "content", &[]).await), Class::Unavailable);
    assert_eq!(world.upstream.calls().len(), 1);
}

#[tokio::test]
async fn elements_out_of_scope_are_dropped() {
    let world = World::new().await;
    world.grant(&["drive.search_files", "drive.list_folder"], vec![within("folder", &["folder_ai"])]).await;
    let sent = world.call("drive.search_files", json!({"name": "x"})).await.unwrap();
    let files: Value = serde_json::from_slice(&sent.body).unwrap();
    let ids: Vec<&str> =
        files["files"].as_array().unwrap().iter().map(|file| file["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["f1"]);
    assert_eq!(
        class(world.mint("drive.list_folder", json!({"folder_id": "folder_other"})).await),
        Class::OutOfScope
    );
}

/// All that a peer can see of a few calls.
async fn look(change: impl Fn(&mut super::google::Google)) -> Vec<String> {
    let world = World::new().await;
    change(&mut world.google.lock().unwrap());
    let label = || vec![within("label", &["Label_ai"])];
    world.grant(&["gmail.search_messages", "gmail.get_message", "gmail.list_labels", LABEL], label()).await;
    let folder = vec![within("folder", &["folder_ai"])];
    world.grant(&["drive.search_files", "drive.get_file_metadata", READ], folder).await;
    let mut seen = Vec::new();
    for (tool, args) in [
        ("gmail.search_messages", json!({"words": "hello"})),
        ("gmail.list_labels", json!({})),
        ("gmail.get_message", json!({"message_id": "m1"})),
        ("gmail.get_message", json!({"message_id": "secret1"})),
        ("gmail.get_message", json!({"message_id": "secret2"})),
        (LABEL, json!({"message_id": "secret1", "add": ["STARRED"]})),
        (LABEL, json!({"message_id": "secret2", "add": ["STARRED"]})),
        ("drive.search_files", json!({"name": "x"})),
        ("drive.get_file_metadata", json!({"file_id": "hidden1"})),
        (READ, json!({"file_id": "hidden1"})),
    ] {
        seen.push(match world.call(tool, args).await {
            // The page's mark is random.
            Ok(sent) => {
                let body = String::from_utf8_lossy(&sent.body).into_owned();
                let mut value: Value = serde_json::from_str(&body).unwrap();
                if let Some(mark) = value.get_mut("nextPageToken") {
                    *mark = json!(mark.as_str().map(str::len));
                }
                format!("{} {:?} {value}", sent.status, sent.headers)
            }
            Err(refusal) => format!("{} {:?}", refusal.class, refusal.field),
        });
    }
    seen
}

#[tokio::test]
async fn worlds_that_differ_out_of_scope_look_the_same() {
    let small = look(|google| {
        google.mails.remove("secret1");
        google.files.remove("hidden1");
    })
    .await;
    let big = look(|google| {
        for number in 0..50 {
            google.mails.insert(format!("secret{number}"), vec!["INBOX".to_owned(), "Label_1".to_owned()]);
            google.files.insert(format!("hidden{number}"), vec!["folder_other".to_owned()]);
        }
        google.labels.push(("Label_77".to_owned(), "Private".to_owned()));
    })
    .await;
    assert_eq!(small, big);
    assert!(small[0].contains("m1") && !small[0].contains("secret"), "{}", small[0]);
}
