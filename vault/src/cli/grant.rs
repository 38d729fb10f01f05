//! `claviger grant` and `revoke`.

use clap::{Args, Subcommand, ValueEnum};
use claviger_proto::v1::{
    AddGrantRequest, Caveat, ChildHandle, ForgetKnownRequest, Grant, ListGrantsRequest, RevokeRequest,
    ShowGrantRequest, caveat,
};
use serde_json::json;

use super::args::EffectWord;
use super::caveat::BoundArgs;
use super::client::{Named, Session, explained};
use super::failure::Failure;
use super::limits::Ends;
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
    /// Forbid an agent tools of a secret, or one thing with them, whatever other grants allow.
    Deny(Box<DenyArgs>),
    /// List grants.
    Ls(ListArgs),
    /// Show one grant.
    Show(IdArgs),
    /// Be asked again: forget what was agreed to before under a grant.
    Forget(ForgetArgs),
    /// Revoke a grant, for good (the same as `claviger revoke`).
    Rm(IdArgs),
}

/// Who, with what, which tools.
#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = true)]
struct ToolArgs {
    /// One tool, such as search_messages or gmail.search_messages; can be repeated.
    #[arg(long = "tool", value_name = "TOOL")]
    tools: Vec<String>,
    /// All tools that only read.
    #[arg(long)]
    read: bool,
    /// All tools that change something of the owner's.
    #[arg(long)]
    write: bool,
    /// All tools by which bytes reach somebody else.
    #[arg(long)]
    send: bool,
    /// All tools that destroy something.
    #[arg(long)]
    delete: bool,
}

/// Arguments of `grant add`.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// Who may.
    agent: String,
    /// With which secret, such as gmail/me.
    secret: String,
    #[command(flatten)]
    what: ToolArgs,
    #[command(flatten)]
    bounds: BoundArgs,
    /// How long it lives, such as 30d, until when, such as 2027-01-31, or `never` for no end.
    #[arg(long, value_parser = limits::expires, default_value = "30d", value_name = "SPAN")]
    expires: Ends,
    /// When a person must agree to a call; without this, each time a tool sends or deletes, and never else.
    #[arg(long, value_enum)]
    approve: Option<Approve>,
    /// Its sends are harmless even from an agent that has read what strangers write; needs whole addresses as recipients.
    #[arg(long)]
    trusted_sink: bool,
}

/// Arguments of `grant deny`.
#[derive(Debug, Args)]
pub(super) struct DenyArgs {
    /// Who may not.
    agent: String,
    /// With which secret, such as gmail/me.
    secret: String,
    #[command(flatten)]
    what: ToolArgs,
    #[command(flatten)]
    bounds: BoundArgs,
    /// How long it is forbidden, such as 30d.
    #[arg(long, value_parser = limits::expires, default_value = "never", value_name = "SPAN")]
    expires: Ends,
}

/// When a person must agree.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Approve {
    /// Nobody is asked.
    Never,
    /// To each call, while the agent has read what strangers write.
    Tainted,
    /// To a call that reaches somebody or some place not yet agreed to.
    New,
    /// To each call.
    Always,
}

impl Approve {
    /// The word on the wire.
    fn word(self) -> String {
        match self {
            Approve::Never => "never",
            Approve::Tainted => "tainted",
            Approve::New => "new",
            Approve::Always => "always",
        }
        .to_owned()
    }
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
        GrantCommand::Add(args) => add(session, args.into_request()?).await,
        GrantCommand::Deny(args) => add(session, args.into_request()?).await,
        GrantCommand::Ls(args) => list(session, args).await,
        GrantCommand::Show(args) => show(session, args).await,
        GrantCommand::Forget(args) => forget(session, args).await,
        GrantCommand::Rm(args) => revoke(session, &args.id).await,
    }
}

async fn add(session: &mut Session<'_>, request: AddGrantRequest) -> Result<Report, Failure> {
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

impl ToolArgs {
    /// Tools with their service, which the secret's name tells; and effects.
    fn into_words(self, secret: &str) -> (Vec<String>, Vec<String>) {
        let ToolArgs { tools, read, write, send, delete } = self;
        let service = secret.split('/').next().unwrap_or_default();
        let whole = |tool: String| if tool.contains('.') { tool } else { format!("{service}.{tool}") };
        let effects = [
            (read, EffectWord::Read),
            (write, EffectWord::Write),
            (send, EffectWord::Send),
            (delete, EffectWord::Delete),
        ];
        let effects = effects.into_iter().filter(|(wanted, _)| *wanted).map(|(_, effect)| effect.word());
        (tools.into_iter().map(whole).collect(), effects.collect())
    }
}

impl AddArgs {
    /// What the vault is asked for.
    pub(super) fn into_request(self) -> Result<AddGrantRequest, Failure> {
        let AddArgs { agent, secret, what, bounds, expires, approve, trusted_sink } = self;
        let approve = approve.map_or_else(String::new, Approve::word);
        let asked = asked(agent, secret, what, bounds, expires)?;
        Ok(AddGrantRequest { approve, trusted_sink, ..asked })
    }
}

impl DenyArgs {
    fn into_request(self) -> Result<AddGrantRequest, Failure> {
        let DenyArgs { agent, secret, what, bounds, expires } = self;
        let asked = asked(agent, secret, what, bounds, expires)?;
        Ok(AddGrantRequest { deny: true, ..asked })
    }
}

fn asked(
    agent: String,
    secret: String,
    what: ToolArgs,
    bounds: BoundArgs,
    expires: Ends,
) -> Result<AddGrantRequest, Failure> {
    let (tools, effects) = what.into_words(&secret);
    let mut caveats = bounds.into_caveats()?;
    let expires_in_seconds = match expires {
        Ends::In(seconds) => seconds,
        Ends::Never => 0,
        // The vault's clock decides, not this one's.
        Ends::At(at_ms) => {
            caveats.push(Caveat { kind: Some(caveat::Kind::ExpiresAtMs(at_ms)) });
            0
        }
    };
    Ok(AddGrantRequest {
        agent,
        secret,
        tools,
        effects,
        caveats,
        expires_in_seconds,
        ..AddGrantRequest::default()
    })
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
