//! What can be typed, and what cannot.

use clap::CommandFactory;

use super::super::args::Cli;
use super::*;

fn walk(command: &clap::Command, path: &str, see: &mut impl FnMut(&str, &clap::Arg)) {
    for argument in command.get_arguments() {
        see(&format!("{path} {}", argument.get_id()), argument);
    }
    for inner in command.get_subcommands() {
        walk(inner, &format!("{path} {}", inner.get_name()), see);
    }
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn no_argument_takes_a_secret() {
    walk(&Cli::command(), "claviger", &mut |path, argument| {
        let id = argument.get_id().as_str();
        let takes_value = argument.get_action().takes_values();
        for word in ["password", "passphrase", "token", "value", "client_secret", "code", "refresh"] {
            assert!(!(takes_value && id.contains(word)), "{path} takes a value that is secret");
        }
    });
}

#[test]
fn every_command_and_argument_is_explained() {
    walk(&Cli::command(), "claviger", &mut |path, argument| {
        assert!(argument.get_help().is_some(), "{path} has no help");
    });
    let help = claviger(&["--help"], &[]).said(&["CLAVIGER_HOME", "3 sealed", "Usage: claviger"]);
    assert!(!help.out.contains('\x1b'));
    claviger(&["--version"], &[]).said(&["claviger 0.1.0"]);
}

#[test]
fn usage_errors_suggest() {
    let check = |line: &[&str], part: &str| {
        claviger(line, &[]).failed(Exit::Usage, &[part]);
    };
    check(&["stauts"], "'status'");
    check(&["grant", "add", "bot", "gmail/me"], "--read");
    check(&["grant", "add", "bot", "gmail/me", "--reed"], "'--read'");
    check(&["grant", "add", "bot", "gmail/me", "--send", "--approve", "always"], "never");
    check(&["grant", "add", "bot", "gmail/me", "--read", "--rate", "often"], "60/1h");
    check(&["grant", "add", "bot", "gmail/me", "--read", "--expires", "soon"], "30d");
    check(&["grant", "add", "bot", "gmail/me", "--read", "--calls", "0"], "at least 1");
    check(&["grant", "add", "bot", "gmail/me", "--read", "--bound", "limit.mx=3"], "did you mean `max`?");
    check(&["grant", "add", "bot", "gmail/me", "--read", "--label", ""], "empty");
    check(&["connect", "gmail/me"], "--for");
    check(&["connect", "gmail/me", "--for", "reed"], "'read'");
    check(&["connect", "gmail/me", "--for", "read", "--stdin"], "--client-id");
    check(
        &["connect", "gmail/me", "--for", "read", "--client-id", "x", "--client-file", "y"],
        "cannot be used",
    );
    check(&["secret", "add", "x/y", "--stdin"], "--kind bearer");
    check(&["secret", "add", "x/y", "--kind", "beerer"], "'bearer'");
    check(&["secret", "add", "x/y", "s3cret", "--kind", "bearer"], "unexpected argument");
    check(&["init", "--multi-user"], "--admin-uid");
    check(&["init", "--admin-uid", "5"], "--multi-user");
    check(&["unseal", "--identity", "x", "--passphrase-stdin"], "cannot be used");
    check(&["log", "--limit", "0"], "1..=10000");
    check(&["log", "--since", "yesterday"], "30d");
}

#[test]
fn completions_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        claviger(&["completions", shell], &[]).said(&["claviger", "unseal"]);
    }
}
