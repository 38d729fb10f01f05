//! Values on their way in: asked for without echo, or read from stdin. Never arguments.

use std::io;

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::failure::Failure;
use super::world::World;

/// Asks for one value: the next line of stdin, or a prompt that does not show what is typed.
pub(super) fn value(world: &mut World, what: &str, stdin: bool) -> Result<SecretString, Failure> {
    let value = if stdin {
        world.ask.line().map_err(|error| {
            Failure::new(format!("no {what} on stdin: {error}")).hint("one value a line, each in UTF-8")
        })?
    } else {
        world.ask.hidden(&format!("{what}: ")).map_err(|error| no_terminal(what, &error, "--stdin"))?
    };
    check(&value, what)?;
    Ok(value)
}

/// The passphrase that unlocks the vault.
pub(super) fn passphrase(world: &mut World, stdin: bool) -> Result<SecretString, Failure> {
    if stdin {
        return world.ask.line().map_err(|error| {
            Failure::new(format!("no passphrase on stdin: {error}")).hint("it is the first line of stdin")
        });
    }
    world.ask.hidden("Passphrase: ").map_err(|error| no_terminal("passphrase", &error, "--passphrase-stdin"))
}

/// A new passphrase, asked for twice.
pub(super) fn new_passphrase(world: &mut World, stdin: bool) -> Result<SecretString, Failure> {
    let passphrase = passphrase(world, stdin)?;
    // EXPOSE: only its length is looked at.
    if passphrase.expose_secret().len() < 8 {
        return Err(Failure::new("the passphrase is shorter than 8 bytes")
            .hint("four or five random words are good, and can be remembered"));
    }
    if !stdin {
        let again = world
            .ask
            .hidden("Again: ")
            .map_err(|error| no_terminal("passphrase", &error, "--passphrase-stdin"))?;
        // EXPOSE: compared in constant time.
        let same = passphrase.expose_secret().as_bytes().ct_eq(again.expose_secret().as_bytes());
        if !bool::from(same) {
            return Err(
                Failure::new("the two passphrases are not the same").hint("try again; nothing was made")
            );
        }
    }
    Ok(passphrase)
}

fn no_terminal(what: &str, error: &io::Error, flag: &str) -> Failure {
    Failure::new(format!("the {what} cannot be asked for: {error}"))
        .hint(format!("without a terminal, hand it in with {flag}"))
}

/// What no credential is: empty, with control characters, or with the spaces of a careless copy around it.
pub(super) fn check(value: &SecretString, what: &str) -> Result<(), Failure> {
    // EXPOSE: looked through for what cannot be meant; nothing of it is told.
    let text = value.expose_secret();
    let problem = if text.is_empty() {
        "is empty"
    } else if text.chars().any(char::is_control) {
        "contains a control character"
    } else if text.trim() != text {
        "begins or ends with a space"
    } else {
        return Ok(());
    };
    Err(Failure::new(format!("the {what} {problem}")).hint("nothing was sent; copy it again"))
}

/// The text of a value, for the message that carries it to the vault.
pub(super) fn into_message(value: &SecretString) -> String {
    // EXPOSE: it goes into the request to the vault, over the checked socket.
    value.expose_secret().to_owned()
}
