//! What the broker shows: to agents, to adapters, to admins. Nothing here is a stored secret.

use bytes::Bytes;
use claviger_domain::approval::{Approval, State};
use claviger_domain::caveat::Caveat;
use claviger_domain::effect::Effect;
use claviger_domain::event::{Detail, Event};
use claviger_domain::grant::{Approve, Grant, Handle};
use claviger_domain::id::{ApprovalId, BootId, CallId, DecoyId, GrantId, HandleId, ReplicaId};
use claviger_domain::name::{AdapterName, AgentName, SecretName, ToolName};
use claviger_domain::show::Lines;
use claviger_domain::tool::Definition;
use zeroize::Zeroizing;

/// A tool as a host needs to know it.
#[derive(Debug, Clone)]
pub struct ToolView {
    /// Its full name.
    pub name: ToolName,
    /// The name an MCP host sees.
    pub mcp_name: String,
    /// What a model is told it does.
    pub summary: String,
    /// JSON Schema of its arguments, under what bounds them.
    pub schema: serde_json::Value,
    /// Its effect.
    pub effect: Effect,
    /// Whether strangers can write what it answers.
    pub untrusted: bool,
    /// What a grant pins.
    pub definition: Definition,
}

/// What an agent's client gets.
pub struct Opened {
    /// The agent.
    pub agent: AgentName,
    /// This run of the vault.
    pub boot: BootId,
    /// This replica.
    pub replica: ReplicaId,
    /// Whether the agent is frozen; then there are no handles.
    pub frozen: bool,
    /// One for each live grant.
    pub handles: Vec<OpenedHandle>,
}

/// One handle with its proof key.
pub struct OpenedHandle {
    /// The handle.
    pub id: HandleId,
    /// Its grant.
    pub grant: GrantId,
    /// Its parent, where it is a child.
    pub parent: Option<HandleId>,
    /// What whoever narrowed it called it.
    pub label: String,
    /// The grant's secret.
    pub secret: SecretName,
    /// Proves that whoever presents the handle opened it.
    pub proof_key: Zeroizing<[u8; 32]>,
    /// The tools, narrowed.
    pub tools: Vec<ToolView>,
    /// When the grant ends, in milliseconds since 1970.
    pub expires_at_ms: Option<u64>,
    /// Where the tools are served.
    pub adapter: AdapterView,
}

/// What an adapter gets for a good presentation.
pub struct Minted {
    /// Public id and secret, 32 bytes.
    pub capability: Zeroizing<Vec<u8>>,
    /// The call.
    pub call: CallId,
    /// How long it lives, in milliseconds.
    pub expires_in_ms: u32,
    /// How many requests it is good for.
    pub requests: u32,
    /// The tool.
    pub tool: ToolName,
    /// Its effect.
    pub effect: Effect,
    /// Whether strangers can write what it answers.
    pub untrusted: bool,
    /// For each resource a step may be asked to choose from and that is bounded: the ids in scope.
    pub choices: Vec<(String, Vec<String>)>,
}

/// An answer, judged and released.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The upstream's status, 200 to 299.
    pub status: u16,
    /// Headers that may pass.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Bytes,
    /// Whether strangers can have written it.
    pub untrusted: bool,
    /// Signs that it speaks to the model: names of patterns of the guard's.
    pub flags: Vec<String>,
}

/// An agent, as an admin sees it.
#[derive(Debug, Clone)]
pub struct AgentView {
    /// Its name.
    pub name: AgentName,
    /// The user it runs as; `None` in single-user mode.
    pub uid: Option<u32>,
    /// Why it is frozen, if it is.
    pub frozen: Option<String>,
    /// Whether its refusals tell class and reference only.
    pub opaque: bool,
    /// Whether it reads nothing outside the vault.
    pub inputs_vault_only: bool,
    /// Whether it has read what strangers can write.
    pub tainted: bool,
    /// Since when, in milliseconds since 1970; 0 where the vault does not know.
    pub tainted_at_ms: u64,
    /// What tainted it, newest first; the last is the first there was.
    pub taint: Vec<TaintView>,
    /// How many live grants it has.
    pub grants: u32,
}

/// What tainted an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaintView {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// By which tool.
    pub tool: String,
    /// With which secret.
    pub secret: String,
    /// What `claviger why` takes.
    pub reference: String,
}

/// A decoy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecoyView {
    /// The decoy.
    pub id: DecoyId,
    /// `handle` or `credential`.
    pub kind: String,
    /// What to plant.
    pub value: String,
    /// The owner's note.
    pub note: String,
    /// When it was made, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// How often it was used.
    pub used: u32,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertView {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Its type: `denial-burst`, `first-use`, `new-recipient`, `unusual-volume`, `decoy-used`, `secret-echoed`.
    pub what: String,
    /// Whose; empty where that is not known.
    pub agent: String,
    /// What `claviger why` takes.
    pub reference: String,
}

/// An adapter, as an admin or a client sees it.
#[derive(Debug, Clone)]
pub struct AdapterView {
    /// Its name.
    pub name: AdapterName,
    /// The user it runs as; `None` in single-user mode.
    pub uid: Option<u32>,
    /// The socket on which it serves MCP.
    pub endpoint: String,
}

/// One version of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionView {
    /// Its number, from 1.
    pub number: u32,
    /// `current`, `retiring` or `retired`.
    pub state: &'static str,
    /// When it came in, in milliseconds since 1970.
    pub created_at_ms: u64,
}

/// All that may be known of a secret.
#[derive(Debug, Clone)]
pub struct SecretView {
    /// Its name.
    pub name: SecretName,
    /// `oauth2`, `bearer`, `header`, `basic`.
    pub kind: String,
    /// The current version.
    pub version: u32,
    /// The origins it is pinned to.
    pub origins: Vec<String>,
    /// Whether these may be private addresses.
    pub private: bool,
    /// The token endpoint it is pinned to.
    pub token_endpoint: Option<String>,
    /// The account, as the provider names it.
    pub subject: Option<String>,
    /// The account's address.
    pub email: Option<String>,
    /// What it may do, as the provider said.
    pub scopes: Vec<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// When its current version came in.
    pub rotated_at_ms: u64,
    /// Whether the upstream no longer takes it.
    pub needs_login: bool,
    /// Whether its tools have the short names.
    pub default: bool,
    /// How many live grants use it.
    pub grants: u32,
    /// Its versions, oldest first.
    pub versions: Vec<VersionView>,
    /// Tools that its scopes are enough for.
    pub serves: Vec<ToolName>,
    /// Tools that they are not enough for.
    pub cannot_serve: Vec<ToolName>,
    /// Patterns of addresses whose writing does not taint.
    pub trusted_authors: Vec<String>,
}

/// A grant, as an admin sees it.
#[derive(Debug, Clone)]
pub struct GrantView {
    /// The grant.
    pub grant: Grant,
    /// `active`, `expired` or `revoked`.
    pub state: &'static str,
    /// Calls charged so far, where a caveat counts them.
    pub calls_made: u64,
    /// Tools whose definition has changed since.
    pub changed: Vec<ToolName>,
    /// What was approved before under it and is remembered.
    pub known: Vec<String>,
    /// What it lets the agent do.
    pub sentence: String,
    /// What an owner should think about.
    pub warnings: Vec<String>,
    /// Its live child handles, in the order they were made.
    pub children: Vec<ChildView>,
}

/// A child handle, as an admin sees it.
#[derive(Debug, Clone)]
pub struct ChildView {
    /// The handle.
    pub handle: Handle,
    /// Calls charged to its own count so far, where a caveat of its own counts them.
    pub calls_made: u64,
}

/// What an admin asks for in a new grant. Resource values are names, or ids after `id:`.
#[derive(Debug, Clone)]
pub struct GrantAsk {
    /// To whom.
    pub agent: AgentName,
    /// With which secret.
    pub secret: SecretName,
    /// Which tools.
    pub tools: Vec<ToolName>,
    /// All tools of these effects, besides.
    pub effects: Vec<Effect>,
    /// Within which bounds; resource ids are not resolved yet.
    pub caveats: Vec<Caveat>,
    /// For how long, in seconds; `None` for no end.
    pub expires_in_s: Option<u64>,
    /// The admin's word on approvals.
    pub approve: Approve,
    /// Whether it forbids.
    pub deny: bool,
    /// Whether its recipients are harmless under taint.
    pub trusted_sink: bool,
    /// What a list of grants knows it by.
    pub name: Option<String>,
}

/// What came of connecting an account.
#[derive(Debug, Clone)]
pub struct Connected {
    /// The secret.
    pub secret: SecretView,
    /// Scopes asked for and not granted.
    pub missing_scopes: Vec<String>,
    /// Tools that will not work without them.
    pub crippled_tools: Vec<ToolName>,
}

/// A value on its way in.
pub enum NewValue {
    /// Nothing: the service takes no credential, and the capability alone gates it.
    None,
    /// A bearer token.
    Bearer(claviger_domain::secret::SecretBytes),
    /// A header's value; the header's name comes from the service.
    Header(claviger_domain::secret::SecretBytes),
    /// User and password.
    Basic(String, claviger_domain::secret::SecretBytes),
    /// An OAuth client and a refresh token.
    OAuth2 {
        /// The client's id.
        client_id: String,
        /// The client's secret.
        client_secret: claviger_domain::secret::SecretBytes,
        /// The refresh token.
        refresh_token: claviger_domain::secret::SecretBytes,
    },
}

/// What `claviger why` shows.
#[derive(Debug, Clone)]
pub struct Explained {
    /// The event of that reference.
    pub event: (Event, Detail),
    /// Its grant, if there is one.
    pub grant: Option<GrantView>,
    /// All events of the same call, oldest first.
    pub call: Vec<(Event, Detail)>,
}

/// What to look for in the log.
#[derive(Debug, Clone, Default)]
pub struct LogAsk {
    /// Only this agent's.
    pub agent: Option<AgentName>,
    /// Only this secret's.
    pub secret: Option<SecretName>,
    /// Only this tool's.
    pub tool: Option<ToolName>,
    /// Only refusals.
    pub refused: bool,
    /// Only alerts.
    pub alerts: bool,
    /// Only since then, in milliseconds since 1970.
    pub since_ms: u64,
    /// At most so many.
    pub limit: usize,
}

/// How the vault is.
#[derive(Debug, Clone, Default)]
pub struct StatusView {
    /// Whether it is sealed.
    pub sealed: bool,
    /// Why uses are refused by the audit log, if they are.
    pub audit_trouble: Option<String>,
    /// Whether the wall clock went back too far.
    pub clock_refuses: bool,
    /// Things an owner should act on.
    pub warnings: Vec<String>,
    /// How many agents there are.
    pub agents: u32,
    /// How many adapters.
    pub adapters: u32,
    /// How many secrets.
    pub secrets: u32,
    /// How many live grants.
    pub grants: u32,
    /// How many capabilities are live.
    pub live_capabilities: u64,
    /// How many alerts the last day had; at most 256 are counted.
    pub alerts: u32,
    /// The newest few of them, newest first.
    pub newest_alerts: Vec<AlertView>,
}

/// What to connect an account for.
pub struct ConnectAsk {
    /// The secret to make, or to renew.
    pub secret: SecretName,
    /// For all tools of these effects.
    pub effects: Vec<Effect>,
    /// And for these.
    pub tools: Vec<ToolName>,
    /// Where the provider sends the browser back to: on this machine.
    pub redirect_uri: String,
    /// The OAuth client's id and secret, if they are not known yet.
    pub client: Option<(String, claviger_domain::secret::SecretBytes)>,
    /// Whether the secret is there and is to be renewed.
    pub renew: bool,
}

/// A login that has begun.
#[derive(Clone)]
pub struct ConnectBegun {
    /// Names it.
    pub session: String,
    /// What the owner's browser must open.
    pub authorize_url: String,
}

/// What an agent asks its owner for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// What it is for, in the agent's words.
    pub purpose: String,
    /// For a task: under which handle.
    pub handle: Option<HandleId>,
    /// For a grant: of which secret.
    pub secret: Option<SecretName>,
    /// Which tools.
    pub tools: Vec<ToolName>,
    /// Within which bounds; names are not looked up before somebody agrees.
    pub caveats: Vec<Caveat>,
    /// For how long, in seconds; 0 where it is not said.
    pub expires_in_s: u64,
}

/// Something waits for a person now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// What it is collected by.
    pub id: ApprovalId,
    /// Until when somebody can decide, in milliseconds since 1970.
    pub expires_at_ms: u64,
}

/// What became of something that waited for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected {
    /// How it stands.
    pub state: State,
    /// The handle to present, or the one that came of it.
    pub handle: Option<HandleId>,
    /// Of a call that was approved: its tool.
    pub tool: Option<ToolName>,
    /// Of a call that was approved: its exact arguments, canonical.
    pub arguments: Vec<u8>,
    /// When it is over, in milliseconds since 1970.
    pub expires_at_ms: u64,
    /// What the owner said.
    pub answer: String,
}

/// What waits, or waited, for a person, as an admin sees it.
#[derive(Debug, Clone)]
pub struct ApprovalView {
    /// The approval.
    pub approval: Approval,
    /// How it stands now.
    pub state: State,
    /// Of a call, where it is shown whole: the effect it would have.
    pub effect: Option<Effect>,
    /// With which secret.
    pub secret: Option<SecretName>,
    /// By which handle, or the one that came of it.
    pub handle: Option<HandleId>,
    /// What it is about, in one line.
    pub summary: String,
    /// All that a person must see; empty in a list.
    pub shown: Lines,
    /// The agent's own words, made visible.
    pub purpose: String,
    /// What the owner answered.
    pub answer: String,
}
