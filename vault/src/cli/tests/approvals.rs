//! A person's word on the command line: nothing is agreed to unseen.

use super::fake::Fake;
use super::*;
use claviger_proto::v1::DecideRequest;

const ID: &str = "ap_00112233445566778899aabbccddeef1";

fn decisions(vault: &Fake) -> Vec<DecideRequest> {
    vault.all("decide")
}

#[test]
fn what_waits_is_listed_and_shown_whole() {
    let vault = Fake::start();
    vault.run(&["approvals"], &[]).said(&[
        "APPROVAL",
        ID,
        "gmail.send_message",
        "pending",
        "in 9 min",
        "denied",
    ]);
    let shown = vault.run(&["approvals", ID], &[]).said(&["to (1 of 1)\n  │ mona@example.com\n"]);
    // What stands in the body stays in the body.
    assert!(shown.out.contains("body\n  │ Hello\n  │ to (1 of 1)\n  │ boss@example.com\n"), "{}", shown.out);
    assert_eq!(vault.run(&["--json", "approvals", ID], &[]).json()["shown"][0]["text"], "mona@example.com");
    vault.run(&["grant", "forget", "gr_0011223344556677", "to:mona@example.com"], &[]).said(&["asked again"]);
}

#[test]
fn nothing_is_agreed_to_unseen() {
    let vault = Fake::start();
    for answer in ["", "n", "no", "yo", "Yes please"] {
        let ran = vault.run(&["approve", ID], &[answer]).failed(Exit::Failed, &["it still waits", "[y/N]"]);
        assert!(ran.err.contains("  │ mona@example.com"), "{}", ran.err);
    }
    // Nobody there to see it.
    vault.run(&["approve", ID], &[]).failed(Exit::Usage, &["nobody sits here", "--yes"]);
    assert!(decisions(&vault).is_empty());
    vault.run(&["approve", ID, "--message", "fine"], &["y"]).said(&["once, within 10 minutes"]);
    vault.run(&["--json", "approve", ID, "--yes"], &[]).said(&["\"state\": \"approved\""]);
    vault.run(&["deny", ID, "--why", "not today"], &[]).said(&["refused"]);
    let told: Vec<(bool, String)> = decisions(&vault).into_iter().map(|d| (d.yes, d.answer)).collect();
    assert_eq!(told, [(true, "fine".into()), (true, String::new()), (false, "not today".into())]);
}

#[test]
fn a_question_is_answered_in_words() {
    let vault = Fake::start();
    let question = "ap_00112233445566778899aabbccddeef0";
    vault.run(&["approve", question, "--yes"], &[]).failed(Exit::Usage, &["--message"]);
    vault.run(&["approve", question, "--yes", "--message", "the blue one"], &[]).said(&[]);
}
