//! Taking over a set-up that is there: the credential works from inside the vault, and is nowhere else that it was not.

use std::os::unix::fs::PermissionsExt as _;

use claviger_tests::world::{AGENT, World, disk};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_imported_credential_works_and_is_told_nowhere() {
    let world = World::single_user().await;
    let token = world.google.direct_refresh_token(&["gmail.modify", "gmail.send"]);
    let secret = world.google.client_secret().to_owned();
    let old = world.base().join("old-set-up");
    std::fs::create_dir(&old).unwrap();
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o700)).unwrap();
    let put = |name: &str, text: String| {
        std::fs::write(old.join(name), text).unwrap();
        old.join(name).display().to_string()
    };
    let client = json!({ "installed": { "client_id": world.google.client_id(), "client_secret": secret } });
    let client = put("gcp-oauth.keys.json", client.to_string());
    let tokens = put("credentials.json", json!({ "refresh_token": token }).to_string());
    let server = json!({
        "command": "npx", "args": ["-y", "@gongrzhe/server-gmail-autoauth-mcp"],
        "env": { "GMAIL_OAUTH_PATH": client, "GMAIL_CREDENTIALS_PATH": tokens },
    });
    let file = put("mcporter.json", format!("{:#}", json!({ "mcpServers": { "gmail": server } })));
    let list =
        put("allowed.txt", "gmail.search_emails\ngmail.send_email\n#gmail.read_email - no\n".to_owned());

    let line = ["import", "mcporter", &file, "--allowed", &list, "--agent", AGENT];
    let mut said = String::new();
    let plan = world.claviger(&line).await.success();
    assert!(plan.out.contains("nothing was changed yet"), "{}", plan.out);
    said.push_str(&plan.out);
    let apply = [&line[..], &["--apply"]].concat();
    for expected in ["done", "nothing to do"] {
        let ran = world.claviger(&apply).await.success();
        assert!(ran.out.contains(expected), "{}", ran.out);
        said.push_str(&ran.out);
        said.push_str(&ran.err);
    }
    said.push_str(&world.admin(&apply).await.to_string());
    said.push_str(&world.admin(&["log"]).await.to_string());
    said.push_str(&world.offline(&["audit", "export"]).await.out);

    // What the list allowed works, what it forbade does not, and who sends is asked about.
    let found = world.call("gmail_search_messages", json!({})).await;
    assert!(!found.ok()["messages"].as_array().unwrap().is_empty());
    let mail = json!({ "to": ["a@example.com"], "subject": "s", "body": "b" });
    let can = |tool: &'static str, more: Vec<String>| {
        let line: Vec<String> =
            ["--json", "can", AGENT, tool].iter().map(|word| (*word).to_owned()).chain(more).collect();
        let world = &world;
        async move {
            let line: Vec<&str> = line.iter().map(String::as_str).collect();
            world.claviger(&line).await.out
        }
    };
    let send = can(
        "gmail.send_message",
        vec![format!("to={}", mail["to"][0].as_str().unwrap()), "subject=s".into(), "body=b".into()],
    );
    assert!(send.await.contains("\"approval\""));
    let read = can("gmail.get_message", vec!["message_id=1".into()]);
    assert!(read.await.contains("\"no\""));

    let needles = [token, secret];
    for needle in &needles {
        assert!(!said.contains(needle.as_str()), "it was told");
    }
    assert_eq!(disk::find(&world.home(), &needles), []);
    assert_eq!(disk::find(&world.base().join("logs"), &needles), []);
    // Only where it was before, in the files that the owner is told to remove.
    let left: Vec<_> = disk::find(&old, &needles).into_iter().map(|(path, _)| path).collect();
    for path in &left {
        assert!(said.contains(&format!("rm -- '{}'", path.display())), "{}", path.display());
    }
    assert_eq!(left.len(), 2);
    let after: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(after["mcpServers"].as_object().unwrap().keys().collect::<Vec<_>>(), ["claviger"]);
}
