//! `claviger grant` and `revoke`.

use clap::{Args, Subcommand, ValueEnum};
use claviger_proto::v1::{
    AddGrantRequest, ArgumentBound, Caveat, ChildHandle, ForgetKnownRequest, Grant, ListGrantsRequest,
    Patterns, Rate, Resource, RevokeRequest, ShowGrantRequest, caveat,
};
use serde_json::json;

use super::args::EffectWord;
use super::client::{Named, Session, explained};
use super::failure::Failure;
use super::page::{Page, Tone};
use super::report::Report;
use super::time::moment;
use super::{json, limits};

/// How many handles a vault lets stand above another, and then some.
const MAX_DEPTH: usize = 32;

/// `claviger grant …`.
#[derive(Debug, Subcommand)]
pub(super) enum GrantCommand {
    /// Give an agent tools of a secret, within bounds.
    Add(Box<AddArgs>),
    /// List grants.
    Ls(ListArgs),
    /// Show one grant.
    Show(IdArgs),
    /// Be asked again: forget what was agreed to before under a grant.
    Forget(ForgetArgs),
    /// Revoke a grant, for good (the same as `claviger revoke`).
    Rm(IdArgs),
}

/// Arguments of `grant add`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub(super) struct AddArgs {
    /// Who may.
    agent: String,
    /// With which secret, such as gmail/me.
    secret: String,
    /// One tool, such as gmail.search_messages; can be repeated.
    #[arg(long = "tool", value_name = "SERVICE.TOOL", group = "what")]
    tools: Vec<String>,
    /// All tools that only read.
    #[arg(long, group = "what")]
    read: bool,
    /// All tools that change something of the owner's.
    #[arg(long, group = "what")]
    write: bool,
    /// All tools by which bytes reach somebody else.
    #[arg(long, group = "what")]
    send: bool,
    /// All tools that destroy something.
    #[arg(long, group = "what")]
    delete: bool,
    /// Only what has this label; can be repeated (any of them).
    #[arg(long = "label", value_name = "NAME", value_parser = limits::name)]
    labels: Vec<String>,
    /// Only what lies directly in this folder; can be repeated (any of them).
    #[arg(long = "folder", value_name = "NAME", value_parser = limits::name)]
    folders: Vec<String>,
    /// Only to these addresses; `*@example.com` for a whole domain.
    #[arg(long, value_name = "A,B", value_parser = limits::name)]
    recipients: Option<String>,
    /// At most so often, such as 60/1h.
    #[arg(long, value_parser = limits::rate, value_name = "N/SPAN")]
    rate: Option<Rate>,
    /// At most so many calls altogether.
    #[arg(long, value_parser = limits::calls, value_name = "N")]
    calls: Option<u64>,
    /// How long it lives, such as 30d, or `never` for no end.
    #[arg(long, value_parser = limits::expires, default_value = "30d", value_name = "SPAN")]
    expires: u64,
    /// Whether a person must agree to each call; `never` must be said where a tool sends or deletes.
    #[arg(long, value_enum)]
    approve: Option<Approve>,
    /// A bound on an argument, such as limit.max=10 or bcc.absent; can be repeated.
    #[arg(long = "bound", value_parser = limits::bound, value_name = "ARG.RULE=VALUE")]
    bounds: Vec<ArgumentBound>,
}

/// When a person must agree.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Approve {
    /// Nobody is asked.
    Never,
}

/// Arguments of `grant ls`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only of this agent.
    #[arg(long, default_value = "", value_name = "NAME")]
    agent: String,
    /// Expired and revoked ones too.
    #[arg(long)]
    all: bool,
}

/// Arguments of `grant forget`.
#[derive(Debug, Args)]
pub(super) struct ForgetArgs {
    /// A grant's id (gr_…).
    id: String,
    /// One of what `grant show` says is known, such as to:mona@example.com; all of it where left out.
    #[arg(default_value = "", value_name = "KNOWN")]
    known: String,
}

/// A grant's id.
#[derive(Debug, Args)]
pub(super) struct IdArgs {
    /// A grant's id (gr_…), or a handle's (hdl_…): to revoke a child handle alone, with all below it.
    pub(super) id: String,
}

/// Runs `claviger grant …`.
pub(super) async fn run(session: &mut Session<'_>, command: GrantCommand) -> Result<Report, Failure> {
    match command {
        GrantCommand::Add(args) => add(session, *args).await,
        GrantCommand::Ls(args) => list(session, args).await,
        GrantCommand::Show(args) => show(session, args).await,
        GrantCommand::Forget(args) => forget(session, args).await,
        GrantCommand::Rm(args) => revoke(session, &args.id).await,
    }
}

async fn add(session: &mut Session<'_>, args: AddArgs) -> Result<Report, Failure> {
    let request = args.into_request()?;
    let mut admin = session.admin().await?;
    let grant = match admin.add_grant(request.clone()).await {
        Ok(response) => response.into_inner(),
        Err(status) => {
            let mut names = vec![Named::Agent(&request.agent), Named::Secret(&request.secret)];
            names.extend(request.tools.iter().map(|tool| Named::Tool(tool)));
            return Err(explained(&mut admin, status, &names).await);
        }
    };
    let mut page = session.page();
    page.line(&grant.sentence);
    page.gap();
    page.fields(&[
        ("grant", grant.id.clone()),
        ("handle", grant.handle.clone()),
        ("ends", end(&grant, session.world.now_ms)),
    ]);
    page.warnings(&grant.warnings);
    Ok(Report::new(json::grant(&grant), page))
}

impl AddArgs {
    pub(super) fn into_request(self) -> Result<AddGrantRequest, Failure> {
        let AddArgs {
            agent,
            secret,
            tools,
            read,
            write,
            send,
            delete,
            labels,
            folders,
            recipients,
            rate,
            calls,
            expires,
            approve,
            bounds,
        } = self;
        let effects = [
            (read, EffectWord::Read),
            (write, EffectWord::Write),
            (send, EffectWord::Send),
            (delete, EffectWord::Delete),
        ];
        let effects = effects.into_iter().filter(|(wanted, _)| *wanted).map(|(_, effect)| effect.word());
        let resource = |name: &str, values: Vec<String>| {
            let resource = Resource { name: name.to_owned(), values, shown: Vec::new(), nested: false };
            (!resource.values.is_empty()).then_some(caveat::Kind::Resource(resource))
        };
        let recipients = recipients.map(|text| limits::list(&text)).transpose().map_err(|error| {
            Failure::usage(format!("--recipients: {error}"))
                .hint("such as --recipients '*@example.com,me@example.org'")
        })?;
        let kinds = [
            rate.map(caveat::Kind::Rate),
            calls.map(caveat::Kind::Calls),
            recipients.map(|patterns| caveat::Kind::Recipients(Patterns { patterns })),
            resource("label", labels),
            resource("folder", folders),
        ];
        let bounds = bounds.into_iter().map(caveat::Kind::Argument);
        Ok(AddGrantRequest {
            agent,
            secret,
            tools,
            effects: effects.collect(),
            caveats: kinds
                .into_iter()
                .flatten()
                .chain(bounds)
                .map(|kind| Caveat { kind: Some(kind) })
                .collect(),
            expires_in_seconds: expires,
            approve: approve.map_or_else(String::new, |Approve::Never| "never".to_owned()),
            deny: false,
            trusted_sink: false,
            name: String::new(),
        })
    }
}

async fn list(session: &mut Session<'_>, args: ListArgs) -> Result<Report, Failure> {
    let ListArgs { agent, all } = args;
    let mut admin = session.admin().await?;
    let grants = match admin.list_grants(ListGrantsRequest { agent: agent.clone(), all }).await {
        Ok(response) => response.into_inner().grants,
        Err(status) => return Err(explained(&mut admin, status, &[Named::Agent(&agent)]).await),
    };
    let now_ms = session.world.now_ms;
    let row = |grant: &Grant| {
        let tools: Vec<_> = grant.tools.iter().map(|tool| tool.name.as_str()).collect();
        let ends = if grant.expires_at_ms == 0 {
            "never".to_owned()
        } else {
            super::time::relative(grant.expires_at_ms, now_ms)
        };
        vec![
            grant.id.clone(),
            grant.agent.clone(),
            grant.secret.clone(),
            grant.state.clone(),
            ends,
            grant.calls_made.to_string(),
            tools.join(" "),
        ]
    };
    let mut page = session.page();
    let rows: Vec<_> = grants.iter().map(row).collect();
    page.table(
        &["grant", "agent", "secret", "state", "ends", "calls", "tools"],
        &rows,
        "no grants; `claviger grant add AGENT SECRET --read` makes one",
    );
    for grant in grants.iter().filter(|grant| grant.tools.iter().any(|tool| tool.changed)) {
        page.toned(
            Tone::Alarm,
            format!("warning: a tool of {} has changed since and waits for a new grant", grant.id),
        );
    }
    Ok(Report::new(json!({ "grants": grants.iter().map(json::grant).collect::<Vec<_>>() }), page))
}

async fn show(session: &mut Session<'_>, args: IdArgs) -> Result<Report, Failure> {
    let request = ShowGrantRequest { id: args.id };
    let grant = session.admin().await?.show_grant(request).await.map_err(no_such_grant)?.into_inner();
    let mut page = session.page();
    describe(&mut page, &grant, session.world.now_ms);
    Ok(Report::new(json::grant(&grant), page))
}

async fn forget(session: &mut Session<'_>, args: ForgetArgs) -> Result<Report, Failure> {
    let ForgetArgs { id, known } = args;
    let request = ForgetKnownRequest { grant: id, value: known.clone() };
    let grant = session.admin().await?.forget_known(request).await.map_err(no_such_grant)?.into_inner();
    let mut page = session.page();
    let what = if known.is_empty() { "everything it knew" } else { known.as_str() };
    page.line(format!("{} has forgotten {what}: you are asked again", grant.id));
    Ok(Report::new(json::grant(&grant), page))
}

/// Runs `claviger revoke`.
pub(super) async fn revoke(session: &mut Session<'_>, id: &str) -> Result<Report, Failure> {
    let request = RevokeRequest { id: id.to_owned() };
    let grant = session.admin().await?.revoke(request).await.map_err(no_such_grant)?.into_inner();
    let mut page = session.page();
    if grant.state == "revoked" {
        page.line(format!("{} is revoked, for good: every use that starts now is refused", grant.id));
        page.line(format!("it was: {}", grant.sentence));
    } else {
        page.line(format!("{id} is revoked, for good, with every handle below it"));
        page.line(format!("{} stands: {}", grant.id, grant.sentence));
    }
    Ok(Report::new(json::grant(&grant), page))
}

fn no_such_grant(status: tonic::Status) -> Failure {
    let mut failure = Failure::from(status);
    if failure.hints.is_empty()
        && matches!(failure.class.as_deref(), Some("out-of-scope" | "bad-arguments" | "not-granted"))
    {
        failure.hints.push("`claviger grant ls --all` lists grants".to_owned());
    }
    failure
}

fn describe(page: &mut Page, grant: &Grant, now_ms: u64) {
    page.line(&grant.sentence);
    page.gap();
    let tools: Vec<_> = grant
        .tools
        .iter()
        .map(|tool| {
            let changed = if tool.changed { ", changed since: waits for a new grant" } else { "" };
            format!("{} [{}]{changed}", tool.name, tool.effect)
        })
        .collect();
    let caveats: Vec<_> = grant.caveats.iter().map(super::caveat::text).collect();
    page.fields(&[
        ("grant", grant.id.clone()),
        ("handle", grant.handle.clone()),
        ("state", grant.state.clone()),
        ("agent", grant.agent.clone()),
        ("secret", grant.secret.clone()),
        ("tools", tools.join("\n")),
        ("bounds", caveats.join("\n")),
        ("approve", grant.approve.clone()),
        ("known", grant.known.join("\n")),
        ("made", moment(grant.created_at_ms, now_ms)),
        ("ends", end(grant, now_ms)),
        ("calls", grant.calls_made.to_string()),
    ]);
    if !grant.children.is_empty() {
        page.gap();
        page.line("child handles:");
        tree(page, &grant.children, &grant.handle, 1, now_ms);
    }
    page.warnings(&grant.warnings);
}

/// The children of a handle, each with its own below it.
fn tree(page: &mut Page, children: &[ChildHandle], parent: &str, depth: usize, now_ms: u64) {
    // A vault that sends a circle gets no tree from us without an end.
    if depth > MAX_DEPTH {
        return;
    }
    for child in children.iter().filter(|child| child.parent == parent) {
        let label = if child.label.is_empty() { String::new() } else { format!(" \"{}\"", child.label) };
        let task = if child.task { ", a task you agreed to" } else { "" };
        let made = moment(child.created_at_ms, now_ms);
        page.line(format!("{}{}{label}{task}, made {made}", "  ".repeat(depth), child.id));
        for caveat in &child.caveats {
            page.line(format!("{}{}", "  ".repeat(depth + 2), super::caveat::text(caveat)));
        }
        if child.caveats.iter().any(|caveat| matches!(caveat.kind, Some(caveat::Kind::Calls(_)))) {
            page.line(format!("{}{} calls made", "  ".repeat(depth + 2), child.calls_made));
        }
        tree(page, children, &child.id, depth + 1, now_ms);
    }
}

fn end(grant: &Grant, now_ms: u64) -> String {
    match grant.expires_at_ms {
        0 => "never".to_owned(),
        at => moment(at, now_ms),
    }
}
