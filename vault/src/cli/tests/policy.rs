//! Files of grants, and the questions before they count.

use std::fs;

use claviger_proto::v1::*;

use super::Exit;
use super::fake::Fake;
use crate::cli::grants_file::parse;

const FILE: &str = r#"
[[grant]]
name = "mail"
agent = "openclaw"
secret = "gmail/me"
tools = ["gmail.search_messages", "gmail.get_message"]
resource.label = ["AI", "Work"]
rate = "60/1h"
expires = "30d"

[[grant]]
agent = "openclaw"
secret = "gmail/me"
tool = "gmail.send_message"
recipients = ["*@example.com", "family@example.org"]
bound = ["bcc.absent"]
approve = "never"

[[grant]]
agent = "openclaw"
secret = "drive/me"
effects = ["read"]
deny = true

[[test]]
agent = "openclaw"
tool = "gmail.send_message"
args = { to = ["stranger@evil.example"], subject = "x", body = "y" }
expect = "no"
"#;

#[test]
fn a_file_says_what_flags_say() {
    let file = parse(FILE).unwrap();
    assert_eq!(file.grants.len(), 3);
    let [mail, send, deny] = file.grants.as_slice() else { panic!("three") };
    assert_eq!((mail.name.as_str(), mail.tools.len(), mail.expires_in_seconds), ("mail", 2, 2_592_000));
    assert!(mail.caveats.iter().any(|caveat| matches!(
        &caveat.kind,
        Some(caveat::Kind::Resource(Resource { name, values, .. })) if name == "label" && values == &["AI", "Work"]
    )));
    assert!(send.caveats.iter().any(|caveat| matches!(
        &caveat.kind,
        Some(caveat::Kind::Recipients(patterns)) if patterns.patterns == ["*@example.com", "family@example.org"]
    )));
    assert_eq!(send.approve, "never");
    assert_eq!((deny.deny, deny.effects.as_slice()), (true, ["read".to_owned()].as_slice()));
    let [test] = file.tests.as_slice() else { panic!("one") };
    assert_eq!(test.expect, "no");
    assert_eq!(
        std::str::from_utf8(&test.arguments).unwrap(),
        r#"{"body":"y","subject":"x","to":["stranger@evil.example"]}"#
    );
}

#[test]
fn what_no_flag_says_is_told_with_where_it_stands() {
    for (text, part) in [
        ("[[grants]]\nagent = \"a\"", "neither [[grant]] nor [[test]]"),
        ("[[grant]]\nsecret = \"gmail/me\"", "[[grant]] 1: agent is missing"),
        ("[[grant]]\nagent = \"a\"\nsecret = \"gmail/me\"\nread = true\nspeed = 3", "--speed"),
        ("[[grant]]\nagent = \"a\"\nsecret = \"gmail/me\"\ntools = []", "would allow nothing"),
        ("[[grant]]\nagent = \"a\"\nsecret = \"gmail/me\"\nread = true\nrate = 1.5", "rate is a text"),
        ("[[grant]]\nagent = \"a\"\nsecret = \"gmail/me\"\nread = true\nrate = \"often\"", "[[grant]] 1"),
        ("[[grant]]\nagent = \"--all\"\nsecret = 3\nread = true", "secret is a text"),
        ("[[test]]\nagent = \"a\"\ntool = \"gmail.get_message\"", "expect is missing"),
        ("[[test]]\nagent = \"a\"\ntool = \"t\"\nexpect = \"no\"\nwhen = 1", "a test has no `when`"),
        ("grant = 3", "neither"),
        ("[[grant", "expected"),
    ] {
        let failure = parse(text).unwrap_err();
        assert!(failure.message.contains(part), "{text}: {}", failure.message);
    }
    // What looks like a flag in a value is a value.
    let file = parse("[[grant]]\nagent = \"--json\"\nsecret = \"gmail/me\"\nread = true").unwrap();
    assert_eq!(file.grants[0].agent, "--json");
}

#[test]
fn plan_shows_and_apply_applies_what_was_shown() {
    let vault = Fake::start();
    let path = vault.dir.path().join("grants.toml");
    fs::write(&path, FILE).unwrap();
    let path = path.to_str().unwrap();
    vault.run(&["plan", "-f", path], &[]).said(&[
        "~ change mail gr_0011223344556677",
        "- rate = 60/1h",
        "+ rate = 30/1h",
        "tests: 1 of 1 hold",
        "`claviger apply` does it",
    ]);
    vault.run(&["apply", "-f", path, "--prune"], &[]).said(&["applied"]);
    let calls: Vec<PlanRequest> = vault.all("plan");
    let facts: Vec<_> = calls.iter().map(|call| (call.apply, call.digest.as_str(), call.prune)).collect();
    assert_eq!(facts, [(false, "", false), (false, "", true), (true, "d1", true)]);
    fs::write(path, FILE.replace("expect = \"no\"", "expect = \"yes\"")).unwrap();
    let ran = vault
        .run(&["apply", "-f", path], &[])
        .failed(Exit::Failed, &["a test does not hold", "would be no", "nothing was changed"]);
    assert!(!ran.err.contains("\\n") && ran.err.contains("\ntests: "), "{}", ran.err);
    assert_eq!(vault.all::<PlanRequest>("plan").len(), 4, "it was not applied");
    vault.run(&["plan", "-f", "/nowhere/grants.toml"], &[]).failed(Exit::Failed, &["/nowhere/grants.toml"]);
}

#[test]
fn can_says_why_not() {
    let vault = Fake::start();
    vault.run(&["can", "openclaw", "gmail.get_message", "message_id=m1"], &[]).said(&[
        "no",
        "gr_0011223344556677: out-of-scope (to)",
        "recipients = *@example.com",
        "a@b.cd",
    ]);
    vault
        .run(&["can", "openclaw", "gmail.get_message", "message_id"], &[])
        .failed(Exit::Usage, &["is no KEY=VALUE"]);
    vault.run(&["can", "openclaw", "gmail.get_mesage"], &[]).failed(Exit::Failed, &["gmail.get_message"]);
}
