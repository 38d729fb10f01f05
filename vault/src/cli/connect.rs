//! `claviger connect`: an OAuth account, by authorization code with PKCE.
//!
//! The verifier and the tokens stay in the vault; only the one-time code passes through here.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use claviger_proto::v1::{BeginConnectRequest, FinishConnectRequest, FinishConnectResponse};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc::Receiver;
use url::Url;
use zeroize::Zeroizing;

use super::args::EffectWord;
use super::callback::{Answer, Callback, from_pasted};
use super::client::{Named, Session, explained};
use super::failure::Failure;
use super::page::Tone;
use super::report::Report;
use super::{entry, json, secret};

/// How long the vault remembers an attempt.
const PATIENCE: Duration = Duration::from_secs(600);
/// The longest client file, in bytes.
const MAX_CLIENT_FILE: u64 = 64 * 1024;

/// Arguments of `connect`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub(super) struct ConnectArgs {
    /// SERVICE/NAME, such as gmail/me.
    name: String,
    /// What it shall be good for: the provider is asked for what these tools need, and for no more.
    #[arg(long = "for", value_enum, value_delimiter = ',', value_name = "EFFECTS", group = "what")]
    effects: Vec<EffectWord>,
    /// One tool besides; can be repeated.
    #[arg(long = "tool", value_name = "SERVICE.TOOL", group = "what")]
    tools: Vec<String>,
    /// The OAuth client as downloaded from the provider's console (client_secret.json).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["client_id", "stdin"])]
    client_file: Option<PathBuf>,
    /// The OAuth client's id; its secret is asked for.
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// Read the client's secret from the first line of stdin.
    #[arg(long, requires = "client_id")]
    stdin: bool,
    /// Do not open a browser; take the address it came back to on stdin.
    #[arg(long)]
    no_browser: bool,
    /// Sign in again for a secret that is there; the account must be the same.
    #[arg(long)]
    renew: bool,
}

/// An OAuth client.
struct Client {
    id: String,
    secret: SecretString,
}

/// Runs `claviger connect`.
pub(super) async fn run(session: &mut Session<'_>, args: ConnectArgs) -> Result<Report, Failure> {
    let ConnectArgs { name, effects, tools, client_file, client_id, stdin, no_browser, renew } = args;
    let mut admin = session.admin().await?;
    let client = match (client_file, client_id) {
        (Some(path), _) => Some(read_client(&path)?),
        (None, Some(id)) => Some(Client { id, secret: entry::value(session.world, "client secret", stdin)? }),
        (None, None) => None,
    };
    let callback = Callback::bind().await?;
    let redirect_uri = callback.redirect_uri();
    let begin = BeginConnectRequest {
        secret: name.clone(),
        effects: effects.into_iter().map(EffectWord::word).collect(),
        tools: tools.clone(),
        redirect_uri: redirect_uri.clone(),
        client_id: client.as_ref().map_or_else(String::new, |client| client.id.clone()),
        client_secret: client.as_ref().map_or_else(String::new, |client| entry::into_message(&client.secret)),
        renew,
    };
    drop(client);
    let begun = match admin.begin_connect(begin).await {
        Ok(response) => response.into_inner(),
        Err(status) => {
            let mut names = vec![Named::Service(secret::service(&name))];
            names.extend(tools.iter().map(|tool| Named::Tool(tool)));
            if renew {
                names.push(Named::Secret(&name));
            }
            return Err(explained(&mut admin, status, &names).await);
        }
    };
    let (address, state) = authorize_url(&begun.authorize_url)?;
    let pasted = invite(session, &address, no_browser);
    let waiting = wait(session, callback, &redirect_uri, &state, pasted);
    let answer = tokio::time::timeout(PATIENCE, waiting).await.map_err(|_| {
        Failure::new("nobody came back within 10 minutes").hint("run `claviger connect` again")
    })??;
    let code = match answer {
        Answer::Code(code) => code,
        Answer::Error(error) => return Err(denied(&error)),
    };
    let finish = FinishConnectRequest {
        session: begun.session,
        code: entry::into_message(&code),
        state: state.clone(),
    };
    let finished = admin.finish_connect(finish).await?.into_inner();
    Ok(report(session, &finished))
}

/// The address to open, if it is one that a browser may be sent to, and the state in it.
fn authorize_url(text: &str) -> Result<(Url, String), Failure> {
    let bad = |what: &str| {
        Failure::new(format!("the vault handed out an authorization address {what}"))
            .hint("look at the provider's addresses in claviger.toml and in the catalog")
    };
    let url = Url::parse(text).map_err(|_| bad("that is none"))?;
    if url.scheme() != "https" || url.host().is_none() {
        return Err(bad("that does not begin with https://"));
    }
    let states: Vec<String> =
        url.query_pairs().filter(|(name, _)| name == "state").map(|(_, value)| value.into_owned()).collect();
    match states.as_slice() {
        [state] if !state.is_empty() => Ok((url.clone(), state.clone())),
        _ => Err(bad("without exactly one state")),
    }
}

/// Tells the owner where to go; returns the lines of stdin where a pasted address may come by them.
fn invite(session: &mut Session<'_>, address: &Url, no_browser: bool) -> Option<Receiver<String>> {
    let world = &mut *session.world;
    world.note("Sign in and agree in your browser, at:");
    world.note("");
    world.note(&format!("  {address}"));
    world.note("");
    if !no_browser && world.screen {
        if (world.browse)(address) {
            world.note("A browser should open. Waiting for it to come back (10 minutes).");
        } else {
            world.note("No browser could be opened: open the address by hand, on this machine.");
        }
        return None;
    }
    world.note(
        "With a browser on another machine, the last page will not load: it is at 127.0.0.1, which is here.",
    );
    world.note("Copy the whole address of that page, paste it here, and press enter.");
    Some(world.ask.lines())
}

/// Waits for the browser or for a pasted address, whichever comes first.
async fn wait(
    session: &mut Session<'_>,
    callback: Callback,
    redirect_uri: &str,
    state: &str,
    mut pasted: Option<Receiver<String>>,
) -> Result<Answer, Failure> {
    let answer = callback.answer(state.to_owned());
    tokio::pin!(answer);
    loop {
        let line = tokio::select! {
            answer = &mut answer => return Ok(answer?),
            line = next(&mut pasted) => line,
        };
        let Some(line) = line.map(Zeroizing::new) else {
            // Stdin has ended; the browser can still come back by itself.
            pasted = None;
            continue;
        };
        if line.trim().is_empty() {
            continue;
        }
        match from_pasted(&line, redirect_uri, state) {
            Ok(answer) => return Ok(answer),
            Err(error) => {
                let world = &mut *session.world;
                world.note(&format!("That is not the address: {error}."));
                world.note(&format!(
                    "It begins with {redirect_uri}? and has the state of this attempt. Paste it whole."
                ));
            }
        }
    }
}

async fn next(lines: &mut Option<Receiver<String>>) -> Option<String> {
    match lines {
        Some(lines) => lines.recv().await,
        None => std::future::pending().await,
    }
}

/// What the provider's refusal means.
fn denied(error: &str) -> Failure {
    match error {
        "access_denied" => Failure::new(
            "access was not given: somebody said no in the browser, which is fine; nothing was stored",
        )
        .hint("run it again to change your mind, or ask for less with --for read")
        .hint("an app in Google's \"testing\" state lets in only its listed test users"),
        "invalid_scope" => Failure::new("the provider does not know what was asked for (invalid_scope)")
            .hint("enable the service's API in the provider's console"),
        "unauthorized_client" | "invalid_client" => {
            Failure::new(format!("the provider does not take this OAuth client ({error})"))
                .hint("make one of type \"Desktop app\", and hand it in with --client-file")
        }
        "server_error" | "temporarily_unavailable" => {
            Failure::new(format!("the provider cannot do it now ({error})")).hint("try again in a while")
        }
        other => Failure::new(format!("the provider refused ({other})"))
            .hint("its console may tell more; then run `claviger connect` again"),
    }
}

fn report(session: &Session<'_>, finished: &FinishConnectResponse) -> Report {
    let default = Default::default();
    let stored = finished.secret.as_ref().unwrap_or(&default);
    let mut page = session.page();
    let whom = if stored.email.is_empty() { &stored.subject } else { &stored.email };
    page.toned(Tone::Good, format!("{} is connected, as {whom}", stored.name));
    page.fields(&[
        ("granted", stored.scopes.join("\n")),
        ("missing", finished.missing_scopes.join("\n")),
        ("will not work", finished.crippled_tools.join("\n")),
    ]);
    if !finished.missing_scopes.is_empty() {
        page.toned(
            Tone::Alarm,
            format!(
                "warning: not all was granted; `claviger connect {} --renew --for …` asks again",
                stored.name
            ),
        );
    }
    page.line(format!("next: claviger grant add AGENT {} --read", stored.name));
    let json = json!({
        "secret": json::secret(stored),
        "missing_scopes": finished.missing_scopes,
        "crippled_tools": finished.crippled_tools,
    });
    Report::new(json, page)
}

/// The file as Google's console hands it out.
#[derive(Deserialize)]
struct ClientFile {
    installed: Option<ClientParts>,
    web: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct ClientParts {
    client_id: String,
    client_secret: String,
}

fn read_client(path: &Path) -> Result<Client, Failure> {
    let bad = |why: String| {
        Failure::new(format!("the client file {} cannot be used: {why}", path.display())).hint(
            "in Google's console: Credentials, Create OAuth client, type \"Desktop app\", download its JSON",
        )
    };
    let file = std::fs::File::open(path).map_err(|error| bad(error.to_string()))?;
    let mut text = Zeroizing::new(String::with_capacity(MAX_CLIENT_FILE as usize + 1));
    file.take(MAX_CLIENT_FILE + 1).read_to_string(&mut text).map_err(|error| bad(error.to_string()))?;
    if text.len() as u64 > MAX_CLIENT_FILE {
        return Err(bad("it is too long".to_owned()));
    }
    // What serde_json says may hold a piece of the file.
    let file: ClientFile =
        serde_json::from_str(&text).map_err(|_| bad("it is not the console's JSON".to_owned()))?;
    match (file.installed, file.web) {
        (Some(ClientParts { client_id, client_secret }), _) if !client_id.is_empty() => {
            Ok(Client { id: client_id, secret: SecretString::from(client_secret) })
        }
        (_, Some(_)) => Err(bad("it is of a client of type \"Web application\"".to_owned())),
        _ => Err(bad("it has no \"installed\" client".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn where_a_browser_may_be_sent() {
        let check = |text: &str, good: bool| assert_eq!(authorize_url(text).is_ok(), good, "{text}");
        check("https://accounts.google.com/o/oauth2/v2/auth?state=s&x=y", true);
        check("http://accounts.google.com/?state=s", false);
        check("file:///etc/passwd?state=s", false);
        check("javascript:alert(1)//?state=s", false);
        check("https://accounts.google.com/", false);
        check("https://accounts.google.com/?state=", false);
        check("https://accounts.google.com/?state=a&state=b", false);
        check("--help", false);
    }

    #[test]
    fn client_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("client_secret.json");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_client(&path)
        };
        let client =
            read(r#"{"installed":{"client_id":"i","client_secret":"s3cret","auth_uri":"x"}}"#).ok().unwrap();
        // EXPOSE: a test looks at its own secret.
        assert_eq!((client.id.as_str(), client.secret.expose_secret()), ("i", "s3cret"));
        for bad in [
            r#"{"web":{"client_id":"i","client_secret":"s3cret"}}"#,
            r#"{"installed":{"client_id":"","client_secret":"s3cret"}}"#,
            r#"{"installed":{"client_id":5,"client_secret":"s3cret"}}"#,
            "s3cret",
            "{}",
        ] {
            let failure = read(bad).err().unwrap();
            assert!(!format!("{failure:?}").contains("s3cret"), "{failure:?}");
        }
        assert!(read(&" ".repeat(100_000)).is_err());
    }

    #[test]
    fn refusals_of_the_provider_say_what_to_do() {
        for error in ["access_denied", "invalid_scope", "invalid_client", "server_error", "else"] {
            assert!(!denied(error).hints.is_empty());
        }
    }
}
