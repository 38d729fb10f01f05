//! Files that somebody made to do harm, or that are merely broken.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// Refused with those words, and nothing was asked of the vault that changes anything.
#[track_caller]
fn refused(owner: &Owner, line: &[&str], parts: &[&str]) {
    owner.run(line).failed(Exit::Failed, parts);
    assert!(!owner.vault.was_called("add_secret") && !owner.vault.was_called("plan"));
}

#[test]
fn files_that_are_not_taken_at_their_word() {
    let owner = Owner::new();
    let line = ["import", "claude", "--apply"];
    refused(&owner, &line, &[".mcp.json is not there"]);
    for (text, why) in [
        (
            "{\"mcpServers\": {\"a\": {}, \"a\": {\"env\": {\"X_TOKEN\": \"c4nary\"}}}}".to_owned(),
            "same name twice",
        ),
        (format!("{}1{}", "[".repeat(1000), "]".repeat(1000)), "64 levels deep"),
        ("c4nary".to_owned(), "not strict JSON"),
        ("// c4nary\n{}".to_owned(), "not strict JSON"),
    ] {
        owner.write(".mcp.json", &text);
        refused(&owner, &line, &[why]);
    }
    let file = owner.path(".mcp.json");
    fs::File::create(&file).unwrap().set_len(5 << 20).unwrap();
    refused(&owner, &line, &["longer than 4 MiB"]);
    fs::remove_file(&file).unwrap();
    symlink(".mcp.json", &file).unwrap();
    refused(&owner, &line, &["a link to a link"]);
    fs::remove_file(&file).unwrap();
    owner.write(".mcp.json", "{}");
    fs::set_permissions(owner.home.path(), fs::Permissions::from_mode(0o770)).unwrap();
    refused(&owner, &line, &["others can write"]);
    refused(&owner, &["import", "env"], &["others can write"]);
    refused(&owner, &["import", "allowed-actions", file.to_str().unwrap()], &["others can write"]);
    // A shape that nobody expected is no server.
    fs::set_permissions(owner.home.path(), fs::Permissions::from_mode(0o700)).unwrap();
    for text in [
        "[]",
        "{\"mcpServers\": 1}",
        "{\"mcpServers\": {\"a\": 1, \"b\": {\"command\": {}, \"args\": 5, \"env\": []}}}",
    ] {
        owner.write(".mcp.json", text);
        owner.run(&line).said(&["nothing to do"]);
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}

#[test]
fn credentials_in_places_that_are_not_believed_are_not_taken() {
    let owner = Owner::new();
    let file = owner.mcporter();
    let before = fs::read(&file).unwrap();
    fs::set_permissions(owner.path(".gmail-mcp"), fs::Permissions::from_mode(0o777)).unwrap();
    owner.import(&["--apply"]).said(&["others can write to the directory", "nothing to do"]);
    fs::set_permissions(owner.path(".gmail-mcp"), fs::Permissions::from_mode(0o700)).unwrap();
    for text in [
        "c4nary",
        "{\"refresh_token\": \"\"}",
        "{\"refresh_token\": [\"c4nary\"]}",
        "{\"refresh_token\": \"c4nary\\nX: y\"}",
        "{\"refresh_token\": \" c4nary\"}",
    ] {
        owner.write(".gmail-mcp/credentials.json", text);
        owner.import(&["--apply"]).said(&["nothing to do"]);
    }
    assert_eq!(fs::read(&file).unwrap(), before);
    assert!(!owner.vault.was_called("add_secret"));
}

#[test]
fn names_are_shown_harmlessly_and_lead_nowhere() {
    let owner = Owner::new();
    owner.gmail();
    let evil = "\u{1b}[2J\u{202e}x\ny";
    let gmail = json!({ "command": "npx", "args": ["@gongrzhe/server-gmail-autoauth-mcp"] });
    let servers = json!({ evil: { "command": "x", "env": { format!("{evil}_TOKEN"): "c4nary" } }, "../../etc": gmail, "z".repeat(10_000): {} });
    let file = owner.write(".mcporter/mcporter.json", &json!({ "mcpServers": servers }).to_string());
    owner.write(".mcporter/tokens.json", "{}");
    owner.write("etc/tokens.json", "{}");
    for more in [&[][..], &["--apply"]] {
        let ran = owner.import(more).said(&["\\u{1b}[2J\\u{202e}x\\ny"]);
        assert!(!ran.out.contains('\u{1b}') && !ran.out.contains('\u{202e}'));
        assert!(!ran.out.contains(&"z".repeat(200)));
        assert!(!ran.out.contains("tokens.json"), "{}", ran.out);
    }
    assert!(read(&file)["mcpServers"].get("../../etc").is_none());
    let list = owner.write("list.txt", "c4nary-in-the-wrong-file\nc4nary=x\n\u{1b}[2J.x\n");
    owner.run(&["import", "allowed-actions", list.to_str().unwrap()]).said(&[
        "line 1 is no `server.tool`",
        "line 3 is",
        "nothing to do",
    ]);
}

#[test]
fn a_file_that_changes_meanwhile_or_our_name_taken_by_another() {
    let owner = Owner::new();
    owner.gmail();
    let gmail = json!({ "command": "npx", "args": ["@gongrzhe/server-gmail-autoauth-mcp"] });
    let servers =
        json!({ "claviger": { "command": "other", "env": { "A_TOKEN": "c4nary" } }, "gmail": gmail });
    let file = owner.write(".mcp.json", &json!({ "mcpServers": servers }).to_string());
    owner
        .run(&["import", "claude", "--apply"])
        .said(&["another entry is called claviger there and stays", "done"]);
    assert_eq!(read(&file), json!({ "mcpServers": { "claviger": servers["claviger"] } }));
}

#[test]
fn without_the_vaults_recipients_the_copy_is_under_a_passphrase() {
    let owner = Owner::new();
    let file = owner.mcporter();
    let before = fs::read(&file).unwrap();
    fs::remove_file(owner.vault.path("keys/ring.toml")).unwrap();
    owner.import(&["--apply"]).failed(Exit::Failed, &["passphrase"]);
    owner.import(&["--apply", "--passphrase-stdin"]).failed(Exit::Failed, &["no passphrase on stdin"]);
    assert!(!owner.vault.was_called("add_secret"), "nothing without a copy");
    assert_eq!(fs::read(&file).unwrap(), before);
    let line = ["import", "mcporter", "--apply", "--passphrase-stdin"];
    let ran = owner
        .vault
        .run_in(owner.home.path(), &line, &["correct horse"])
        .said(&["and the passphrase", "done"]);
    assert!(!ran.out.contains("correct horse") && !ran.err.contains("correct horse"));
    let copy = fs::read(owner.path(".mcporter/mcporter.json.before-claviger.age")).unwrap();
    let decryptor = String::from_utf8_lossy(&copy[..200.min(copy.len())]).into_owned();
    assert!(decryptor.contains("-> scrypt"), "{decryptor}");
}

#[test]
fn an_old_copy_is_never_written_over() {
    let owner = Owner::new();
    owner.mcporter();
    let old = owner.write(".mcporter/mcporter.json.before-claviger.age", "old");
    owner.import(&["--apply"]).said(&["mcporter.json.before-claviger-1.age"]);
    assert_eq!(fs::read_to_string(old).unwrap(), "old");
}
