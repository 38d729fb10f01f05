//! `claviger agent show`, `claviger agent untaint` and `claviger secret trust`.

use clap::Args;
use claviger_proto::v1::{Agent, ShowAgentRequest, TaintSource, TrustAuthorsRequest, UntaintRequest};
use secrecy::ExposeSecret;
use serde_json::json;

use super::agent::uid_text;
use super::client::{Named, Session, explained};
use super::failure::Failure;
use super::json;
use super::page::{Page, Tone};
use super::report::Report;
use super::secret::describe;
use super::time::{moment, relative};
use super::world::World;

/// Arguments of `agent untaint`.
#[derive(Debug, Args)]
pub(super) struct UntaintArgs {
    /// The agent.
    name: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// Arguments of `secret trust`.
#[derive(Debug, Args)]
pub(super) struct TrustArgs {
    /// The secret.
    name: String,
    /// Addresses, or patterns such as '*@example.com': all of them, in place of those that were named before.
    #[arg(required_unless_present = "none", value_name = "ADDRESS")]
    authors: Vec<String>,
    /// Nobody.
    #[arg(long, conflicts_with = "authors")]
    none: bool,
}

/// Runs `claviger agent show`.
pub(super) async fn show(session: &mut Session<'_>, name: String) -> Result<Report, Failure> {
    let agent = asked(session, &name).await?;
    let now_ms = session.world.now_ms;
    let mut page = session.page();
    page.fields(&[
        ("agent", agent.name.clone()),
        ("state", if agent.frozen { format!("frozen: {}", agent.frozen_why) } else { "active".to_owned() }),
        ("uid", uid_text(agent.uid)),
        ("inputs", agent.inputs.clone()),
        ("refusals", if agent.opaque_refusals { "opaque" } else { "with their field" }.to_owned()),
        ("grants", agent.grants.to_string()),
        ("socket", agent.socket.clone()),
    ]);
    page.gap();
    taint(&mut page, &agent, now_ms);
    Ok(Report::new(json::agent(&agent), page))
}

/// Since when it is tainted, by what, and what can be done.
fn taint(page: &mut Page, agent: &Agent, now_ms: u64) {
    match (agent.inputs.as_str(), agent.tainted) {
        ("open", _) => page.line(
            "tainted: always, for it also reads outside the vault (`--inputs vault` when it is added says otherwise)",
        ),
        (_, false) => page.toned(Tone::Good, "not tainted: it has read nothing that strangers can write"),
        (_, true) => {
            let since = moment(agent.tainted_at_ms, now_ms);
            let since = if since.is_empty() { "a read that is under way".to_owned() } else { since };
            page.line(format!("tainted since {since}"));
        }
    }
    if !agent.taint.is_empty() {
        page.line("it has read what strangers can write:");
        let row = |source: &TaintSource| {
            vec![
                relative(source.at_ms, now_ms),
                source.tool.clone(),
                source.secret.clone(),
                source.reference.clone(),
            ]
        };
        let rows: Vec<_> = agent.taint.iter().map(row).collect();
        page.table(&["when", "by", "with", "reference"], &rows, "");
    }
    if agent.inputs != "open" && agent.tainted {
        page.line(format!(
            "`claviger agent untaint {}` forgets these {}; what the agent itself remembers, it cannot make it forget",
            agent.name,
            agent.taint.len()
        ));
    }
}

async fn asked(session: &mut Session<'_>, name: &str) -> Result<Agent, Failure> {
    let mut admin = session.admin().await?;
    match admin.show_agent(ShowAgentRequest { name: name.to_owned() }).await {
        Ok(response) => Ok(response.into_inner()),
        Err(status) => Err(explained(&mut admin, status, &[Named::Agent(name)]).await),
    }
}

/// Runs `claviger agent untaint`.
pub(super) async fn untaint(session: &mut Session<'_>, args: UntaintArgs) -> Result<Report, Failure> {
    let UntaintArgs { name, yes } = args;
    if !yes {
        let agent = asked(session, &name).await?;
        let mut page = session.page();
        taint(&mut page, &agent, session.world.now_ms);
        for line in page.into_text().lines() {
            session.world.note(line);
        }
        if !agrees(session.world, &format!("forget what {name} has read?"))? {
            return Err(Failure::new("nothing was changed").hint("answer y, or say --yes"));
        }
    }
    let mut admin = session.admin().await?;
    let agent = match admin.untaint(UntaintRequest { name: name.clone() }).await {
        Ok(response) => response.into_inner(),
        Err(status) => return Err(explained(&mut admin, status, &[Named::Agent(&name)]).await),
    };
    let mut page = session.page();
    if agent.inputs == "open" {
        page.line(format!(
            "what tainted {name} is forgotten; it counts as tainted all the same: its inputs are open"
        ));
    } else {
        page.toned(Tone::Good, format!("agent {name} is not tainted any more"));
        page.line("begin a new session of it: what it has in its context, it still has");
    }
    Ok(Report::new(json::agent(&agent), page))
}

/// Asks a person; anything but a yes is a no, and nobody there is one too.
fn agrees(world: &mut World, question: &str) -> Result<bool, Failure> {
    if !world.ask.is_person() {
        return Err(Failure::usage("there is nobody to ask").hint("say --yes"));
    }
    world.note(&format!("{question} [y/N]"));
    let answer = world.ask.line()?;
    // EXPOSE: no secret; a line of stdin comes in that wrapper.
    let answer = answer.expose_secret().trim();
    Ok(answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes"))
}

/// Runs `claviger secret trust`.
pub(super) async fn trust(session: &mut Session<'_>, args: TrustArgs) -> Result<Report, Failure> {
    let TrustArgs { name, authors, none: _ } = args;
    let mut admin = session.admin().await?;
    let request = TrustAuthorsRequest { secret: name.clone(), patterns: authors };
    let secret = match admin.trust_authors(request).await {
        Ok(response) => response.into_inner(),
        Err(status) => return Err(explained(&mut admin, status, &[Named::Secret(&name)]).await),
    };
    let mut page = session.page();
    if secret.trusted_authors.is_empty() {
        page.line(format!("whatever is read with {name} taints"));
    } else {
        page.line(format!(
            "a read with {name} does not taint where one of these wrote all of it, and the service vouches for it: {}",
            secret.trusted_authors.join(", ")
        ));
    }
    page.gap();
    describe(&mut page, &secret, session.world.now_ms);
    Ok(Report::new(json!({ "secret": json::secret(&secret) }), page))
}
