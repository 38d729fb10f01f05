//! Whole commands against a vault that answers: what is asked of it, what is printed, how it ends.

use claviger_proto::v1::*;

use super::fake::{Fake, home, refusal};
use super::*;

#[test]
fn what_each_command_says() {
    let vault = Fake::start();
    let check = |line: &[&str], parts: &[&str]| {
        vault.run(line, &[]).said(parts);
        let mut json = vec!["--json"];
        json.extend(line);
        let value = vault.run(&json, &[]).said(&[]).json();
        assert!(value.is_object(), "{line:?}: {value}");
    };
    check(
        &["status"],
        &[
            "unsealed",
            "daily, recovery",
            "12 records",
            "single-user: agents that run as this user are not isolated",
        ],
    );
    check(
        &["agent", "add", "bot"],
        &["/run/agents/bot.sock", "claviger-agent mcp", "next: claviger grant add bot"],
    );
    check(&["agent", "ls"], &["NAME", "openclaw", "active"]);
    check(
        &["agent", "show", "openclaw"],
        &["tainted since", "gmail.get_message", "ref_0123456789abcdef", "forgets these 1"],
    );
    check(&["agent", "untaint", "openclaw", "--yes"], &["is not tainted any more"]);
    check(
        &["secret", "trust", "gmail/me", "family@example.org", "*@example.com"],
        &["family@example.org, *@"],
    );
    check(&["secret", "trust", "gmail/me", "--none"], &["whatever is read with gmail/me taints"]);
    check(&["decoy", "add", "--look", "slack", "--note", "notes"], &["plant this", "AIzaSyDECOY"]);
    check(&["decoy", "add", "handle"], &["dec_0011223344556677"]);
    check(&["decoy", "ls"], &["in the old notes", "dec_0011223344556677 was used"]);
    check(&["decoy", "rm", "dec_0011223344556677"], &["is removed"]);
    check(&["log", "--alerts"], &["REFERENCE"]);
    check(&["status"], &["3 alerts in the last day", "1 min ago  decoy-used openclaw  ref_0123456789abcdef"]);
    check(&["agent", "rm", "openclaw"], &["2 of its grants were revoked"]);
    check(&["adapter", "add", "gmail"], &["adapter gmail is registered"]);
    check(&["adapter", "ls"], &["gmail"]);
    check(&["adapter", "rm", "gmail"], &["adapter gmail is removed"]);
    check(&["freeze", "openclaw", "--why", "odd"], &["is frozen", "claviger thaw openclaw"]);
    check(&["thaw", "openclaw"], &["may go on"]);
    check(
        &["secret", "ls"],
        &["gmail/me", "me@example.org", "16 min ago", "warning: the service no longer takes drive/me"],
    );
    check(&["secret", "show", "gmail/me"], &["gmail.readonly", "1234"]);
    check(&["secret", "rotate", "gmail/me"], &["version 2 now", "revoked"]);
    check(&["secret", "rm", "gmail/me"], &["1 grants were revoked", "still takes it"]);
    check(&["grant", "ls"], &["gr_0011223344556677", "in 30 d", "gmail.get_message"]);
    check(
        &["grant", "show", "gr_0011223344556677"],
        &["--label id:Label_7  # AI", "warning: it has no rate"],
    );
    check(&["grant", "rm", "gr_0011223344556677"], &["is revoked, for good"]);
    check(&["revoke", "hdl_00112233445566778899aabbccddeeff"], &["is revoked, for good"]);
    check(&["log", "--refused"], &["out-of-scope (to)", "gmail.send_message", "ref_0123456789abcdef"]);
    check(&["services"], &["gmail", "Gmail", "label"]);
    check(
        &["services", "gmail"],
        &["gmail.get_message  [read]", "message_id", "required", "max one-of absent", "--label"],
    );
    check(&["services", "gmail.get_message"], &["written by strangers"]);
    check(
        &["suggest", "openclaw"],
        &["[[grant]]", "rate = \"3/1h\"", "recipients = [\"a@b.cd\"]", "was not used at all"],
    );
    check(&["clock", "reset"], &["the vault's clock is now 2027-"]);
    check(&["audit", "key"], &["claviger+1+k"]);
    check(&["seal"], &["sealed"]);
}

#[test]
fn why_shows_bound_value_and_fix_and_nothing_that_moves_the_cursor() {
    let vault = Fake::start();
    let why = vault.run(&["why", "ref_0123456789abcdef"], &[]).said(&[
        "refused: out-of-scope (to)",
        "1 min ago",
        "bound  recipients *@example.com",
        "value  eve@evil.example\\u{1b}[2J\\u{202e}",
        "fix    add eve@evil.example",
        "by grant gr_0011223344556677 (active)",
        "openclaw may read mail",
        "the whole call:",
    ]);
    assert!(!why.out.contains(['\x1b', '\u{202e}']));
    let json = vault.run(&["why", "ref_0123456789abcdef", "--json"], &[]);
    assert!(!json.out.contains(['\x1b', '\u{202e}']), "{}", json.out);
    assert_eq!(json.json()["event"]["detail"][1]["text"], "eve@evil.example\u{1b}[2J\u{202e}");
}

#[test]
fn a_checkpoint_is_printed_byte_for_byte() {
    let vault = Fake::start();
    let ran = vault.run(&["audit", "checkpoint"], &[]).said(&[]);
    assert_eq!(ran.out, "claviger/vlt_1\n12\nroot\n\n— sig\n");
    assert_eq!(vault.run(&["--json", "audit", "checkpoint"], &[]).json()["key"], "claviger+1+k");
}

#[test]
fn a_grant_is_asked_for_as_it_was_typed() {
    let vault = Fake::start();
    let line = "grant add openclaw gmail/me --read --tool gmail.send_message --label AI --label Work --folder F \
                --recipients *@example.com,me@example.org --rate 60/1h --calls 20 --expires 2w --approve never \
                --bound limit.max=10 --bound bcc.absent";
    let line: Vec<&str> = line.split_whitespace().collect();
    vault.run(&line, &[]).said(&["openclaw may read mail of gmail/me.", "hdl_", "warning: it has no rate"]);
    let got: AddGrantRequest = vault.got("add_grant");
    assert_eq!(
        (got.agent.as_str(), got.secret.as_str(), got.approve.as_str()),
        ("openclaw", "gmail/me", "never")
    );
    assert_eq!((got.tools, got.effects), (vec!["gmail.send_message".to_owned()], vec!["read".to_owned()]));
    assert_eq!(got.expires_in_seconds, 14 * 86_400);
    let kinds: Vec<_> = got.caveats.into_iter().filter_map(|caveat| caveat.kind).collect();
    let strings = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
    let resource = |name: &str, values: &[&str]| {
        caveat::Kind::Resource(Resource {
            name: name.into(),
            values: strings(values),
            shown: vec![],
            nested: false,
        })
    };
    let argument = |name: &str, bound| {
        caveat::Kind::Argument(ArgumentBound { argument: name.into(), bound: Some(bound) })
    };
    assert_eq!(
        kinds,
        vec![
            caveat::Kind::Rate(Rate { count: 60, per_seconds: 3600 }),
            caveat::Kind::Calls(20),
            caveat::Kind::Recipients(Patterns { patterns: strings(&["*@example.com", "me@example.org"]) }),
            resource("label", &["AI", "Work"]),
            resource("folder", &["F"]),
            argument("limit", argument_bound::Bound::Max(10)),
            argument("bcc", argument_bound::Bound::Absent(true)),
        ]
    );
    vault.run(&["grant", "add", "openclaw", "gmail/me", "--read"], &[]).said(&[]);
    let got: AddGrantRequest = vault.got("add_grant");
    assert_eq!((got.expires_in_seconds, got.approve.as_str(), got.caveats.len()), (30 * 86_400, "", 0));
    vault.run(&["grant", "add", "a", "b/c", "--read", "--expires", "never"], &[]).said(&[]);
    assert_eq!(vault.got::<AddGrantRequest>("add_grant").expires_in_seconds, 0);
    assert!(got.caveats.iter().all(|caveat| caveat.kind.is_some()));
    let words = ["never", "tainted", "new", "always"];
    for word in words {
        vault
            .run(&["grant", "add", "a", "b/c", "--tool", "send", "--approve", word, "--trusted-sink"], &[])
            .said(&[]);
        let got: AddGrantRequest = vault.got("add_grant");
        assert_eq!((got.approve.as_str(), got.trusted_sink, got.deny), (word, true, false));
        // The secret tells the service.
        assert_eq!(got.tools, ["b.send"]);
    }
    vault.run(&["grant", "add", "a", "b/c", "--read", "--expires", "2027-01-31"], &[]).said(&[]);
    let got: AddGrantRequest = vault.got("add_grant");
    assert_eq!(got.caveats[0].kind, Some(caveat::Kind::ExpiresAtMs(1_801_353_600_000)));
    assert_eq!(got.expires_in_seconds, 0);
    let days = ["grant", "add", "a", "b/c", "--read", "--after", "2026-02-01", "--before", "2026-01-01"];
    vault.run(&days, &[]).failed(Exit::Usage, &["no day lies between"]);
    let empty = ["grant", "add", "a", "b/c", "--send", "--recipients", "a@b,,c@d"];
    vault.run(&empty, &[]).failed(Exit::Usage, &["a value between the commas is empty"]);
}

#[test]
fn what_is_forbidden_is_typed_like_what_is_given() {
    let vault = Fake::start();
    let line =
        ["grant", "deny", "openclaw", "gmail/me", "--tool", "send_message", "--recipients", "*@evil.example"];
    vault.run(&line, &[]).said(&["gr_0011223344556677"]);
    let got: AddGrantRequest = vault.got("add_grant");
    assert!(got.deny && !got.trusted_sink && got.approve.is_empty());
    assert_eq!((got.tools, got.expires_in_seconds), (vec!["gmail.send_message".to_owned()], 0));
    let patterns = Patterns { patterns: vec!["*@evil.example".to_owned()] };
    assert_eq!(got.caveats[0].kind, Some(caveat::Kind::Recipients(patterns)));
    vault.run(&["grant", "deny", "openclaw", "gmail/me", "--delete"], &[]).said(&[]);
    assert_eq!(vault.got::<AddGrantRequest>("add_grant").effects, ["delete"]);
    vault.run(&["grant", "deny", "openclaw", "gmail/me"], &[]).failed(Exit::Usage, &["--tool"]);
    let approve = ["grant", "deny", "openclaw", "gmail/me", "--send", "--approve", "never"];
    vault.run(&approve, &[]).failed(Exit::Usage, &["--approve"]);
}

#[test]
fn the_log_is_asked_as_it_was_typed() {
    let vault = Fake::start();
    let line = [
        "log",
        "--agent",
        "a",
        "--secret",
        "b/c",
        "--tool",
        "b.t",
        "--refused",
        "--since",
        "1h",
        "--limit",
        "7",
    ];
    vault.run(&line, &[]).said(&[]);
    let expected = ReadLogRequest {
        agent: "a".into(),
        secret: "b/c".into(),
        tool: "b.t".into(),
        refused: true,
        since_ms: 1_800_000_000_000 - 3_600_000,
        limit: 7,
        alerts: false,
    };
    assert_eq!(vault.got::<ReadLogRequest>("read_log"), expected);
}

#[test]
fn refusals_have_exit_codes_and_hints() {
    let check = |refusal: Option<Refusal>, exit: Exit, parts: &[&str]| {
        let vault = Fake::refusing("freeze", refusal);
        vault.run(&["freeze", "opencalw"], &[]).failed(exit, parts);
    };
    check(refusal("sealed", ""), Exit::Sealed, &["error: the vault is sealed", "hint: `claviger unseal`"]);
    check(refusal("pending", ""), Exit::Pending, &["hint: "]);
    check(refusal("unavailable", ""), Exit::Failed, &["hint: `claviger status`"]);
    check(refusal("something-new", ""), Exit::Failed, &["refused (something-new)", "hint: "]);
    // The server's silence about a mistyped name is made good by asking it what there is.
    check(refusal("out-of-scope", "agent"), Exit::Failed, &["did you mean `openclaw`?"]);
    let told = Refusal {
        class: "out-of-scope".into(),
        message: "no such agent\u{1b}[2J".into(),
        hints: vec!["said by the vault".into()],
        reference: "ref_0123456789abcdef".into(),
        ..Refusal::default()
    };
    let vault = Fake::refusing("freeze", Some(told.clone()));
    let ran = vault.run(&["freeze", "opencalw"], &[]).failed(
        Exit::Failed,
        &["error: no such agent\\u{1b}[2J", "hint: said by the vault", "claviger why ref_0123456789abcdef"],
    );
    assert!(!ran.err.contains("did you mean") && !ran.err.contains('\x1b') && ran.out.is_empty());
    let ran = vault.run(&["--json", "freeze", "opencalw"], &[]);
    let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!((error["error"]["exit"].as_u64(), ran.exit), (Some(1), Exit::Failed));
    assert_eq!(error["error"]["class"], "out-of-scope");
    assert_eq!(error["error"]["hints"][0], "said by the vault");
}

#[test]
fn mistyped_names_are_suggested() {
    let check = |call: &'static str, line: &[&str], part: &str| {
        let vault = Fake::refusing(call, refusal("out-of-scope", ""));
        vault.run(line, &[]).failed(Exit::Failed, &[part]);
    };
    check("add_grant", &["grant", "add", "opneclaw", "gmail/me", "--read"], "did you mean `openclaw`?");
    check("add_grant", &["grant", "add", "openclaw", "gmail/em", "--read"], "did you mean `gmail/me`?");
    check(
        "add_grant",
        &["grant", "add", "openclaw", "gmail/me", "--tool", "gmail.getmessage"],
        "did you mean `gmail.get_message`?",
    );
    check("show_secret", &["secret", "show", "gmial/me"], "did you mean `gmail/me`?");
    check("show_secret", &["secret", "show", "entirely/different"], "`claviger secret ls` lists them");
    check("show_grant", &["grant", "show", "gr_00"], "claviger grant ls");
    check("why", &["why", "ref_x"], "claviger log --refused");
    check("read_log", &["log", "--agent", "openclow"], "did you mean `openclaw`?");
    check("remove_adapter", &["adapter", "rm", "gmal"], "did you mean `gmail`?");
    // A tool without its service, where one has to be named.
    let vault = Fake::start();
    vault
        .run(&["can", "openclaw", "get_message", "message_id=x"], &[])
        .failed(Exit::Failed, &["did you mean `gmail.get_message`?"]);
    vault.run(&["plan", "-f", "nowhere.toml"], &[]).failed(Exit::Failed, &["claviger suggest AGENT"]);
    // Of the list of all there are, the one that was meant; of a fault that is no name, what the vault says.
    let listed = Refusal {
        hints: vec!["there are drive/me, gmail/me".into()],
        ..refusal("out-of-scope", "secret").unwrap()
    };
    let vault = Fake::refusing("add_grant", Some(listed.clone()));
    let ran = vault
        .run(&["grant", "add", "openclaw", "gmail/mee", "--read"], &[])
        .failed(Exit::Failed, &["did you mean `gmail/me`?"]);
    assert!(!ran.err.contains("drive/me"), "{}", ran.err);
    let vault = Fake::refusing("add_grant", Some(listed));
    let line = ["grant", "add", "openclaw", "gmail/me", "--tool", "get_message"];
    vault.run(&line, &[]).failed(Exit::Failed, &["there are drive/me, gmail/me"]);
    let vault = Fake::start();
    vault.run(&["services", "gmial"], &[]).failed(Exit::Failed, &["did you mean `gmail`?"]);
    vault
        .run(&["services", "gmail.get_mesage"], &[])
        .failed(Exit::Failed, &["did you mean `gmail.get_message`?"]);
}

#[test]
fn nobody_there_says_how_to_start_one() {
    let dir = home();
    let home = dir.path().to_str().unwrap();
    std::fs::create_dir(dir.path().join("run")).unwrap();
    claviger(&["--home", home, "status"], &[]).failed(
        Exit::Failed,
        &["no vault is running", "hint: start it with `claviger serve`", "claviger up"],
    );
    let nowhere = dir.path().join("nowhere");
    claviger(&["--home", nowhere.to_str().unwrap(), "status"], &[])
        .failed(Exit::Failed, &["there is no vault", "hint: `claviger init`"]);
}

#[test]
fn a_socket_that_others_could_have_put_there_is_not_talked_to() {
    let vault = Fake::start();
    let run = vault.path("run");
    let socket = run.join("admin.sock");
    let socket = socket.to_str().unwrap();
    claviger(&["--socket", socket, "status"], &[]).said(&["unsealed"]);
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o777);
    std::fs::set_permissions(&run, mode).unwrap();
    claviger(&["--socket", socket, "unseal", "--passphrase-stdin"], &["p4ssphrase"])
        .failed(Exit::Failed, &["can be written to by others", "nothing was sent"]);
    assert!(!vault.was_called("unseal"));
}

#[test]
fn faults_of_the_configuration_are_told_at_once() {
    let dir = home();
    std::fs::write(dir.path().join("claviger.toml"), "mode = \"single-user\"\nlgo = \"info\"\nrun-dir = 5\n")
        .unwrap();
    claviger(&["--home", dir.path().to_str().unwrap(), "status"], &[]).failed(
        Exit::Failed,
        &["2 faults", "\n  lgo: there is no such key (the key is called `log`)", "\n  run-dir: "],
    );
}

#[test]
fn connecting_with_a_browser() {
    let vault = Fake::start();
    let file = vault.path("client.json");
    std::fs::write(&file, r#"{"installed":{"client_id":"cl1ent","client_secret":"s3cret"}}"#).unwrap();
    let file = file.to_str().unwrap();
    let ran = vault.run(&["connect", "gmail/me", "--for", "read,send", "--client-file", file], &[]).said(&[
        "gmail/me is connected, as me@example.org",
        "missing        gmail.send",
        "will not work  gmail.send_message",
        "--renew",
    ]);
    assert!(ran.err.contains("https://accounts.example/auth?redirect_uri="), "{}", ran.err);
    let begin: BeginConnectRequest = vault.got("begin_connect");
    assert_eq!((begin.client_id.as_str(), begin.client_secret.as_str()), ("cl1ent", "s3cret"));
    assert_eq!(begin.effects, ["read", "send"]);
    assert!(begin.redirect_uri.starts_with("http://127.0.0.1:") && begin.redirect_uri.ends_with("/callback"));
    let finish: FinishConnectRequest = vault.got("finish_connect");
    assert_eq!(
        (finish.session.as_str(), finish.code.as_str(), finish.state.as_str()),
        ("s1", "c0de", "st4te")
    );
    for secret in ["s3cret", "c0de"] {
        assert!(!ran.out.contains(secret) && !ran.err.contains(secret));
    }
}

#[test]
fn connecting_without_a_browser_takes_the_pasted_address() {
    let vault = Fake::start();
    let pasted = [
        "l1ne",
        "",
        "what?",
        "{redirect}?state=wrong&code=x",
        "{redirect}?state={state}&code=p4sted&scope=a%20b",
    ];
    let line = ["connect", "gmail/me", "--for", "read", "--no-browser", "--client-id", "cl1ent", "--stdin"];
    let ran = vault.run(&line, &pasted).said(&["is connected"]);
    assert!(ran.err.contains("That is not the address: there is nothing at this address"), "{}", ran.err);
    assert!(
        ran.err.contains("That is not the address: the state is not that of this attempt"),
        "{}",
        ran.err
    );
    assert_eq!(vault.got::<FinishConnectRequest>("finish_connect").code, "p4sted");
    assert_eq!(vault.got::<BeginConnectRequest>("begin_connect").client_secret, "l1ne");
    // Without a screen the same happens unasked.
    let home = vault.dir.path().to_str().unwrap();
    let line = ["--home", home, "--json", "connect", "gmail/me", "--for", "read"];
    let ran = claviger_at(&line, &["{redirect}?state={state}&code=p4sted"], false).said(&[]);
    assert_eq!(ran.json()["crippled_tools"][0], "gmail.send_message");
}

#[test]
fn saying_no_in_the_browser_is_told_kindly() {
    let vault = Fake::start();
    vault
        .run(&["connect", "gmail/deny", "--for", "read"], &[])
        .failed(Exit::Failed, &["access was not given", "which is fine", "hint: run it again"]);
    assert!(!vault.was_called("finish_connect"));
    let plain = vault.run(&["connect", "gmail/plain", "--for", "read"], &[]);
    plain.failed(Exit::Failed, &["does not begin with https://"]);
}

#[test]
fn what_was_read_is_forgotten_only_when_somebody_says_so() {
    let line = ["agent", "untaint", "openclaw"];
    for (answer, agreed) in [("y", true), ("YES", true), ("", false), ("n", false), ("yy", false)] {
        let vault = Fake::start();
        let ran = vault.run(&line, &[answer]);
        assert!(ran.err.contains("gmail.get_message") && ran.err.contains("[y/N]"), "{}", ran.err);
        assert_eq!(vault.was_called("untaint"), agreed, "{answer:?}");
        assert_eq!(ran.exit == Exit::Done, agreed);
    }
    let vault = Fake::start();
    vault.run(&line, &[]).failed(Exit::Usage, &["nobody to ask", "--yes"]);
    assert!(!vault.was_called("untaint"));
    vault.run(&["secret", "trust", "gmail/me"], &[]).failed(Exit::Usage, &[]);
    vault
        .run(&["decoy", "add", "handle", "--look", "aws"], &[])
        .failed(Exit::Usage, &["looks like a handle"]);
}
