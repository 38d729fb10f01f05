//! Taking over what people have: nothing without --apply, everything once with it, and no value anywhere but in the vault.

mod hostile;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use claviger_proto::v1::secret_value::Kind;
use claviger_proto::v1::*;
use serde_json::{Value, json};

use super::fake::{Fake, Kept, Stock, refusal};
use super::{Exit, Ran};

const CANARY: &str = "c4nary";

/// What stands in the catalog of these vaults: services with their tools, each with its effect.
fn service(id: &str, auth: &str, tools: &[(&str, &str)]) -> Service {
    let tool = |(name, effect): &(&str, &str)| Tool {
        name: format!("{id}.{name}"),
        effect: (*effect).to_owned(),
        ..Tool::default()
    };
    Service {
        id: id.into(),
        auth: auth.into(),
        tools: tools.iter().map(tool).collect(),
        ..Service::default()
    }
}

fn stock() -> Stock {
    let gmail = [
        ("search_messages", "read"),
        ("get_message", "read"),
        ("list_labels", "read"),
        ("send_message", "send"),
        ("label_message", "write"),
    ];
    let services = vec![
        service("gmail", "oauth2", &gmail),
        service("calendar", "oauth2", &[("list_events", "read"), ("delete_event", "delete")]),
        service("github", "bearer", &[("get_issue", "read")]),
    ];
    Stock { services, kept: Some(Mutex::new(Kept::default())), ..Stock::default() }
}

/// An owner: a vault, and a home with the set-up that this project grew out of.
struct Owner {
    vault: Fake,
    home: tempfile::TempDir,
}

impl Owner {
    fn new() -> Self {
        Self::with(Fake::stocked("", None, stock()))
    }

    fn with(vault: Fake) -> Self {
        // The vault's own recipient, so that a copy needs no passphrase.
        let keys = vault.path("keys");
        fs::create_dir(&keys).unwrap();
        let (_, recipient) = crate::keys::identity::identity_new();
        let ring = format!(
            "version = 1\nvault = \"{}\"\ngeneration = 1\ncheck = \"0011223344556677\"\n\n[[recipient]]\nname = \"recovery\"\nkind = \"x25519\"\nrecipient = \"{recipient}\"\n",
            claviger_domain::id::VaultId::from_bytes([7; 16])
        );
        fs::write(keys.join("ring.toml"), ring).unwrap();
        Self { vault, home: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        let directory = path.parent().unwrap();
        fs::create_dir_all(directory).unwrap();
        for above in directory.ancestors().take_while(|above| above.starts_with(self.home.path())) {
            fs::set_permissions(above, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        }
        fs::write(&path, text).unwrap();
        path
    }

    /// The files of the Gmail server.
    fn gmail(&self) {
        let client = json!({ "installed": { "client_id": "id", "client_secret": "c4nary-client" } });
        self.write(".gmail-mcp/gcp-oauth.keys.json", &client.to_string());
        let token = json!({ "access_token": "c4nary-access", "refresh_token": "c4nary-refresh" });
        self.write(".gmail-mcp/credentials.json", &token.to_string());
    }

    /// mcporter's file, with a known server, one that is not known, and one at an address.
    fn mcporter(&self) -> PathBuf {
        self.gmail();
        let text = r#"{
    "mcpServers": {
        "gmail": { "command": "npx", "args": ["-y", "@gongrzhe/server-gmail-autoauth-mcp@1.1.11"] },
        "notes": { "command": "notes-mcp", "args": ["--api-key=c4nary-arg"], "env": { "NOTES_TOKEN": "c4nary-notes", "LANG": "C" } },
        "wiki": { "baseUrl": "https://wiki.example/mcp?key=c4nary-query", "headers": { "Authorization": "Bearer ${SET_WIKI}", "X-Api-Key": "$env:UNSET" } }
    },
    "imports": []
}
"#;
        self.write(".mcporter/mcporter.json", text)
    }

    fn allowed(&self) -> PathBuf {
        self.write("allowed.txt", "# mail\ngmail.search_emails\ngmail.read_email\ngmail.send_email\n#gmail.modify_email - no\n#gmail.delete_email - never\nnotes.read\n")
    }

    /// Runs a command, and looks for a value in everything it said.
    fn run(&self, line: &[&str]) -> Ran {
        let ran = self.vault.run_in(self.home.path(), line, &[]);
        assert!(!ran.out.contains(CANARY) && !ran.err.contains(CANARY), "{}{}", ran.out, ran.err);
        ran
    }

    fn import(&self, more: &[&str]) -> Ran {
        let line: Vec<&str> =
            ["import", "mcporter", "--agent", "openclaw"].iter().chain(more).copied().collect();
        self.run(&line)
    }

    /// Every file below the home, with its bytes.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let (mut found, mut todo) = (Vec::new(), vec![self.home.path().to_owned()]);
        while let Some(directory) = todo.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    todo.push(path)
                } else {
                    found.push((path.clone(), fs::read(&path).unwrap()))
                }
            }
        }
        found.sort();
        found
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_plan_says_everything_and_does_nothing() {
    let owner = Owner::new();
    owner.mcporter();
    let (allowed, before) = (owner.allowed(), owner.files());
    let allowed = allowed.to_str().unwrap();
    owner.import(&["--allowed", allowed]).said(&[
        "gmail/me",
        "OAuth client and refresh token",
        ".gmail-mcp/credentials.json",
        "notes.env.NOTES_TOKEN",
        "notes.args.--api-key",
        "wiki.headers.X-Api-Key",
        "it refers to UNSET, which is not set here",
        "+ gmail/me may: gmail.search_messages, gmail.get_message, gmail.send_message",
        "+ gmail/me never: gmail.label_message",
        "gmail.delete_email (forbidden): it deletes for good",
        "notes.read: its server is not one that is known here",
        "notes: it needs wrapping, which this version cannot do",
        "wiki: it is reached by an address",
        "  - gmail",
        "nothing was changed yet; --apply does it",
    ]);
    let told = owner.run(&["--json", "import", "mcporter", "--allowed", allowed]).json();
    assert_eq!((&told["applied"], &told["out"]), (&json!(false), &json!(["gmail"])));
    assert_eq!(owner.files(), before);
    assert!(!owner.vault.was_called("add_secret") && !owner.vault.was_called("plan"));
}

#[test]
fn what_is_applied_is_in_the_vault_and_out_of_the_file() {
    let owner = Owner::new();
    let (file, allowed) = (owner.mcporter(), owner.allowed());
    owner.write(".mcporter/mcporter.json.bak", "{}");
    owner.write(".mcporter/gmail/tokens.json", "{}");
    let line = ["--allowed", allowed.to_str().unwrap(), "--apply"];
    let home = owner.home.path().display().to_string();
    owner.import(&line).said(&[
        "done",
        "mcporter.json.before-claviger.age",
        "recovery identity",
        &format!("rm -- '{home}/.gmail-mcp/credentials.json'"),
        &format!("rm -- '{home}/.gmail-mcp/gcp-oauth.keys.json'"),
        &format!("rm -- '{home}/.mcporter/mcporter.json.bak'"),
        &format!("rm -- '{home}/.mcporter/gmail/tokens.json'"),
        "not looked into: shell history",
    ]);
    let added: AddSecretRequest = owner.vault.got("add_secret");
    let expected = Oauth2Value {
        client_id: "id".into(),
        client_secret: "c4nary-client".into(),
        refresh_token: "c4nary-refresh".into(),
    };
    assert_eq!(added.name, "gmail/me");
    assert!(added.value.and_then(|value| value.kind) == Some(Kind::Oauth2(expected)));

    let planned: PlanRequest = owner.vault.got("plan");
    assert!(planned.apply && planned.digest == "d1" && !planned.prune);
    let [may, never] = planned.grants.as_slice() else { panic!("{:?}", planned.grants) };
    assert_eq!(may.tools, ["gmail.search_messages", "gmail.get_message", "gmail.send_message"]);
    // Who sends is asked about, since nothing else is said.
    assert_eq!((may.approve.as_str(), may.expires_in_seconds, may.deny), ("", 2_592_000, false));
    assert_eq!(
        (never.tools.as_slice(), never.expires_in_seconds, never.deny),
        (&["gmail.label_message".to_owned()][..], 0, true)
    );

    // Our entry is in, the server is out, and all else is as it was.
    let text = fs::read_to_string(&file).unwrap();
    let expected = "{\n    \"mcpServers\": {\n        \"notes\": { \"command\": \"notes-mcp\",";
    assert!(text.starts_with(expected) && text.ends_with("    },\n    \"imports\": []\n}\n"), "{text}");
    assert_eq!(read(&file)["mcpServers"]["claviger"]["command"], "claviger-agent");
    assert!(read(&file)["mcpServers"].get("gmail").is_none());
    let copy = fs::read(owner.path(".mcporter/mcporter.json.before-claviger.age")).unwrap();
    assert!(
        copy.starts_with(b"age-encryption.org/v1") && !copy.windows(6).any(|part| part == CANARY.as_bytes())
    );

    // Again: nothing.
    let after = owner.files();
    owner.import(&line).said(&["nothing to do"]);
    assert_eq!(owner.files(), after);
    assert_eq!(owner.vault.all::<AddSecretRequest>("add_secret").len(), 1);
    // The list alone comes to the same.
    owner
        .run(&["import", "allowed-actions", allowed.to_str().unwrap(), "--apply"])
        .said(&["= gmail/me may", "nothing to do"]);
}

#[test]
fn cut_off_anywhere_it_goes_on() {
    for call in ["add_secret", "plan"] {
        let broken = Owner::with(Fake::stocked(call, refusal("unavailable", ""), stock()));
        let (file, allowed) = (broken.mcporter(), broken.allowed());
        let before = fs::read(&file).unwrap();
        let line = ["--allowed", allowed.to_str().unwrap(), "--apply"];
        broken.import(&line).failed(Exit::Failed, &["the file is as it was", "run it again"]);
        assert_eq!(fs::read(&file).unwrap(), before);
        assert!(broken.path(".gmail-mcp/credentials.json").exists());
        // The same home with a vault that has what was stored.
        let mut stock = stock();
        if call == "plan" {
            let stored = super::fake::samples::secret("gmail/me");
            stock.kept = Some(Mutex::new(Kept { secrets: vec![stored], ..Kept::default() }));
        }
        let Owner { home, .. } = broken;
        let whole = Owner { home, ..Owner::with(Fake::stocked("", None, stock)) };
        whole.import(&line).said(&["done"]);
        assert_eq!(whole.vault.was_called("add_secret"), call == "add_secret");
        assert!(whole.vault.got::<PlanRequest>("plan").apply);
        assert!(read(&file)["mcpServers"].get("gmail").is_none());
        whole.import(&line).said(&["nothing to do"]);
    }
}

#[test]
fn nothing_is_granted_that_no_list_allows() {
    let owner = Owner::new();
    owner.mcporter();
    owner.import(&[]).said(&["no list says what is allowed of gmail", "gmail/me"]);
    owner.import(&["--apply"]).said(&["done"]);
    assert!(!owner.vault.was_called("plan"));
    let owner = Owner::new();
    owner.mcporter();
    owner.import(&["--read", "--apply"]).said(&["done"]);
    let grants = owner.vault.got::<PlanRequest>("plan").grants;
    assert_eq!(grants.len(), 1);
    assert_eq!(grants[0].tools, ["gmail.get_message", "gmail.search_messages", "gmail.list_labels"]);
    // A list that is there is the whole word, whatever --read says.
    let owner = Owner::new();
    owner.mcporter();
    let list = owner.write("list.txt", "gmail.read_email\n");
    owner.import(&["--read", "--apply", "--allowed", list.to_str().unwrap()]).said(&["done"]);
    assert_eq!(owner.vault.got::<PlanRequest>("plan").grants[0].tools, ["gmail.get_message"]);
    let empty = Owner::new();
    let gmail =
        json!({ "command": "npx", "args": ["@gongrzhe/server-gmail-autoauth-mcp"], "allowedTools": [] });
    empty.gmail();
    empty.write(".mcporter/mcporter.json", &json!({ "mcpServers": { "gmail": gmail } }).to_string());
    empty.import(&["--read", "--apply"]).said(&["done"]);
    assert!(!empty.vault.was_called("plan"));
}

#[test]
fn a_servers_own_lists_count_and_what_is_forbidden_stays_so() {
    let owner = Owner::new();
    owner.gmail();
    let gmail = json!({
        "command": "npx", "args": ["@gongrzhe/server-gmail-autoauth-mcp"],
        "allowedTools": ["read_email", "modify_email", "made_up"], "blockedTools": ["modify_email", "send_email"],
    });
    owner.write("config/mcporter.json", &json!({ "mcpServers": { "gmail": gmail } }).to_string());
    owner.import(&["--expires", "never", "--apply"]).said(&[
        "gmail.label_message is both allowed and forbidden: it is forbidden",
        "gmail.made_up: @gongrzhe/server-gmail-autoauth-mcp has no tool of that name",
    ]);
    let grants = owner.vault.got::<PlanRequest>("plan").grants;
    let said: Vec<_> =
        grants.iter().map(|grant| (grant.deny, grant.tools.join(" "), grant.expires_in_seconds)).collect();
    assert_eq!(
        said,
        [(false, "gmail.get_message".into(), 0), (true, "gmail.label_message gmail.send_message".into(), 0)]
    );
}

#[test]
fn servers_can_be_kept_and_accounts_named() {
    let owner = Owner::new();
    let file = owner.mcporter();
    let before = fs::read(&file).unwrap();
    owner.import(&["--keep", "gmail", "--apply"]).said(&["gmail: you said so", "nothing to do"]);
    assert_eq!(fs::read(&file).unwrap(), before);
    owner.import(&["--account", "work", "--apply"]).said(&["gmail/work", "done"]);
    assert_eq!(owner.vault.got::<AddSecretRequest>("add_secret").name, "gmail/work");
    owner.import(&["--account", "No Good"]).failed(Exit::Usage, &["--account"]);
}

#[test]
fn what_is_in_the_vault_already_is_used_and_said() {
    let there = super::fake::samples::secret("gmail/me");
    let stock = Stock { kept: Some(Mutex::new(Kept { secrets: vec![there], ..Kept::default() })), ..stock() };
    let owner = Owner::with(Fake::stocked("", None, stock));
    let file = owner.mcporter();
    // Whose account it is, only its owner can say.
    let before = owner.files();
    owner.import(&["--apply"]).said(&["gmail/me is in the vault already as me@example.org", "nothing to do"]);
    assert_eq!(owner.files(), before);
    owner.import(&["--use-existing", "--apply"]).said(&["and is used", "done"]);
    assert!(!owner.vault.was_called("add_secret"));
    assert!(read(&file)["mcpServers"].get("gmail").is_none());
}

#[test]
fn two_accounts_of_one_service_do_not_become_one() {
    let owner = Owner::new();
    owner.gmail();
    let token = owner.write("other/credentials.json", r#"{"refresh_token": "c4nary-other"}"#);
    let gmail =
        |env: Value| json!({ "command": "npx", "args": ["@gongrzhe/server-gmail-autoauth-mcp"], "env": env });
    let servers = json!({ "a": gmail(json!({})), "b": gmail(json!({ "GMAIL_CREDENTIALS_PATH": token })), "c": gmail(json!({})) });
    let file = owner.write(".mcporter/mcporter.json", &json!({ "mcpServers": servers }).to_string());
    owner.import(&["--apply"]).said(&["gmail/me is another one already"]);
    assert_eq!(owner.vault.all::<AddSecretRequest>("add_secret").len(), 1);
    let left: Vec<_> = read(&file)["mcpServers"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(left, ["b", "claviger"]);
    // Nor later, when the name is taken; nor are its tools granted with the other's account.
    let list = owner.write("list.txt", "b.send_email\n");
    let list = list.to_str().unwrap();
    owner
        .import(&["--apply", "--allowed", list])
        .said(&["gmail/me is not the account of b", "nothing to do"]);
    assert!(!owner.vault.was_called("plan"));
    owner.import(&["--apply", "--allowed", list, "--account", "work"]).said(&["gmail/work", "done"]);
    let grants = owner.vault.got::<PlanRequest>("plan").grants;
    assert_eq!((grants.len(), grants[0].secret.as_str()), (1, "gmail/work"));
    let two = owner.write("two.txt", "a.read_email\nb.send_email\n");
    owner
        .run(&["import", "allowed-actions", two.to_str().unwrap()])
        .said(&["which account is whose cannot be told", "nothing to do"]);
}

#[test]
fn other_files_of_servers() {
    for (source, name, under) in [
        ("claude", ".mcp.json", vec!["mcpServers"]),
        ("openclaw", ".openclaw/openclaw.json", vec!["mcp", "servers"]),
    ] {
        let owner = Owner::new();
        owner.write("keys.json", r#"{"web": {"client_id": "id", "client_secret": "c4nary-client"}}"#);
        owner.write(
            ".config/google-calendar-mcp/tokens.json",
            r#"{"normal": {"refresh_token": "c4nary-refresh"}}"#,
        );
        let servers = json!({
            "cal": { "command": "npx", "args": ["@cocal/google-calendar-mcp"], "env": { "GOOGLE_OAUTH_CREDENTIALS": "~/keys.json" } },
            "git": { "command": "npx", "args": ["@modelcontextprotocol/server-github"], "env": { "GITHUB_PERSONAL_ACCESS_TOKEN": "${SET_GH}" } },
        });
        let inner = under.iter().rev().fold(servers, |inner, name| json!({ *name: inner }));
        let mut whole = inner;
        whole["channels"] = json!({ "telegram": { "botToken": "c4nary-bot" } });
        let file = owner.write(name, &format!("{whole:#}"));
        let ran = owner.run(&["import", source, "--apply"]).said(&[
            "calendar/me",
            "github/me",
            "unset SET_GH",
            "done",
        ]);
        assert_eq!(ran.out.contains("channels.telegram.botToken"), source == "openclaw", "{}", ran.out);
        let after = read(&file);
        let servers = under.iter().fold(&after, |value, name| &value[*name]);
        assert_eq!(servers.as_object().unwrap().keys().collect::<Vec<_>>(), ["claviger"], "{source}");
        assert_eq!(after["channels"], whole["channels"]);
        let values: Vec<AddSecretRequest> = owner.vault.all("add_secret");
        let github = values.into_iter().find(|add| add.name == "github/me").unwrap().value.unwrap();
        assert!(github.kind == Some(Kind::Bearer("c4nary-gh".into())));
        owner.run(&["import", source, "--apply"]).said(&["nothing to do"]);
    }
}

#[test]
fn files_of_variables() {
    let owner = Owner::new();
    let file = owner.write(".env", "LANG=C\nGITHUB_TOKEN='c4nary-gh'\nDB_PASSWORD=c4nary-db\nGOOGLE_CLIENT_SECRET=c4nary-go\nc4nary broken\n");
    owner.run(&["import", "env"]).said(&[
        "github/me",
        "DB_PASSWORD",
        "line 5 sets no variable",
        "an OAuth client alone",
        "nothing was changed yet",
    ]);
    assert!(!owner.vault.was_called("add_secret"));
    owner.run(&["import", "env", "--apply"]).said(&["done", ".env.before-claviger.age"]);
    assert!(
        owner.vault.got::<AddSecretRequest>("add_secret").value.unwrap().kind
            == Some(Kind::Bearer("c4nary-gh".into()))
    );
    let text = "LANG=C\n# GITHUB_TOKEN is in the vault now, as github/me\nDB_PASSWORD=c4nary-db\nGOOGLE_CLIENT_SECRET=c4nary-go\nc4nary broken\n";
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    owner.run(&["import", "env", "--apply"]).said(&["nothing to do"]);
    // One that stays stays.
    owner.write(".env", "GH_TOKEN=c4nary-gh\n");
    owner
        .run(&["import", "env", "--keep", "GH_TOKEN", "--apply"])
        .said(&["it stays, as you said", "nothing to do"]);
}
