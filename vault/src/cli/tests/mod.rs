#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod approvals;
mod arguments;
mod bounds;
mod client_install;
mod fake;
mod import;
mod offline;
mod policy;
mod transcripts;
mod values;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex};

use secrecy::SecretString;
use url::Url;

use super::{Ask, DaemonOptions, Exit, Hooks, Serving, World, run};

/// Bytes that somebody else can read while they are written.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Someone who types prepared answers. `{redirect}` and `{state}` stand for what the address on stderr says.
struct Typist {
    answers: VecDeque<String>,
    err: Shared,
}

impl Ask for Typist {
    fn is_person(&self) -> bool {
        !self.answers.is_empty()
    }

    fn hidden(&mut self, prompt: &str) -> io::Result<SecretString> {
        write!(self.err, "{prompt}").unwrap();
        self.line()
    }

    fn line(&mut self) -> io::Result<SecretString> {
        self.answers.pop_front().map(SecretString::from).ok_or(io::ErrorKind::UnexpectedEof.into())
    }

    fn lines(&mut self) -> tokio::sync::mpsc::Receiver<String> {
        let (sender, receiver) = tokio::sync::mpsc::channel(16);
        let printed = self.err.text();
        let address = printed.lines().find_map(|line| line.trim().parse::<Url>().ok()).unwrap();
        for answer in self.answers.drain(..) {
            let line = answer
                .replace("{redirect}", &parameter(&address, "redirect_uri"))
                .replace("{state}", &parameter(&address, "state"));
            sender.try_send(line).unwrap();
        }
        receiver
    }
}

fn parameter(address: &Url, name: &str) -> String {
    address.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
}

/// A browser whose user agrees, or says no where the address has `/deny` in it.
fn browse(address: &Url) -> bool {
    let redirect: Url = parameter(address, "redirect_uri").parse().unwrap();
    let state = parameter(address, "state");
    let answer = if address.path() == "/deny" { "error=access_denied" } else { "code=c0de" };
    std::thread::spawn(move || {
        let host = format!("127.0.0.1:{}", redirect.port().unwrap());
        let mut stream = TcpStream::connect(&host).unwrap();
        write!(stream, "GET {}?state={state}&{answer} HTTP/1.1\r\nHost: {host}\r\n\r\n", redirect.path())
            .unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    });
    true
}

/// What a command printed and how it ended.
struct Ran {
    exit: Exit,
    out: String,
    err: String,
}

impl Ran {
    /// The JSON on stdout.
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {}{}", self.out, self.err))
    }

    /// Succeeded, and said all of that on stdout.
    #[track_caller]
    fn said(self, parts: &[&str]) -> Self {
        assert_eq!(self.exit, Exit::Done, "{}{}", self.out, self.err);
        for part in parts {
            assert!(self.out.contains(part), "{part:?} is missing in:\n{}", self.out);
        }
        self
    }

    /// Failed with that code, and said all of that on stderr, with a line on what to do next.
    #[track_caller]
    fn failed(self, exit: Exit, parts: &[&str]) -> Self {
        assert_eq!(self.exit, exit, "{}{}", self.out, self.err);
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is missing in:\n{}", self.err);
        }
        let next = ["hint: ", "\"hints\"", "--help", "tip: "];
        assert!(
            next.iter().any(|word| self.err.contains(word)),
            "nothing says what to do next:\n{}",
            self.err
        );
        self
    }
}

/// A daemon that ends at once and says what it was given, without the key itself.
fn no_daemon(options: DaemonOptions) -> Serving {
    Box::pin(async move {
        let unlock = match options.unlock {
            None => "sealed",
            Some(super::Unlock::Identity(_)) => "identity",
            Some(super::Unlock::Passphrase(_)) => "passphrase",
        };
        anyhow::bail!("daemon: {unlock}, adapters {}", options.adapters)
    })
}

/// Runs a command line, with those answers for whatever it asks.
fn claviger(line: &[&str], answers: &[&str]) -> Ran {
    claviger_at(line, answers, true)
}

fn claviger_at(line: &[&str], answers: &[&str], screen: bool) -> Ran {
    claviger_in(Path::new("/nonexistent"), line, answers, screen)
}

/// What the environment of these tests has.
fn variable(name: &str) -> Option<SecretString> {
    name.strip_prefix("SET_").map(|rest| format!("c4nary-{}", rest.to_lowercase()).into())
}

/// Runs a command line of a user with that home, in it.
fn claviger_in(home: &Path, line: &[&str], answers: &[&str], screen: bool) -> Ran {
    let (out, err) = (Shared::default(), Shared::default());
    let answers = answers.iter().map(|answer| (*answer).to_owned()).collect();
    let mut world = World {
        out: Box::new(out.clone()),
        err: Box::new(err.clone()),
        ask: Box::new(Typist { answers, err: err.clone() }),
        browse,
        now_ms: 1_800_000_000_000,
        colour: false,
        screen,
        user_home: Some(home.to_owned()),
        directory: home.to_owned(),
        variable,
    };
    let line = std::iter::once("claviger").chain(line.iter().copied()).map(OsString::from);
    let exit = run(line, &mut world, Hooks { serve: no_daemon });
    Ran { exit, out: out.text(), err: err.text() }
}
