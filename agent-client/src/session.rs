//! A session with the vault: what is granted, and calls of it.

mod files;
mod task;
mod waiting;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use claviger_canonical::presentation::META_KEY;
use claviger_canonical::{Canonical, Claim, Presentation, ToolName};
use claviger_proto::connect::Server;
use claviger_proto::v1::NarrowRequest;
use ring::rand::{SecureRandom as _, SystemRandom};
use rmcp::model::{CallToolRequestParams, CallToolResult, ProgressNotificationParam, RequestMetaObject};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::adapter::Adapters;
use crate::bulk::Ticket;
use crate::clock::{Clock, SystemClock};
use crate::error::ClientError;
use crate::folder::Folder;
use crate::grants::{Grants, Handle, Tool, handle_bytes};
use crate::narrow::{Bounds, Child};
use crate::outcome::{CallOutcome, Refusal};
use crate::vault::Vault;
use files::Prepared;
use task::Task;

/// What is opened for this agent, and how it is used. Shared by reference among any number of calls at once.
pub struct Session {
    vault: Vault,
    clock: Arc<dyn Clock>,
    random: SystemRandom,
    grants: RwLock<Arc<Grants>>,
    /// Held while the vault is asked anew, so that calls that are stale together ask once.
    refreshing: tokio::sync::Mutex<()>,
    adapters: Adapters,
    /// Child handles that were made here.
    children: Mutex<BTreeSet<String>>,
    /// Handles of tasks that the owner agreed to, newest first: they are tried before what is granted anyway.
    tasks: RwLock<Vec<Arc<Task>>>,
    /// Where files come from and are saved.
    folder: Option<Arc<Folder>>,
    /// Which files were to be sent by calls that wait for a person.
    asked: Mutex<files::Asked>,
}

/// How a call is made.
#[derive(Debug, Default)]
pub struct CallOptions {
    /// How long to wait for the answer; without one, for ever.
    pub timeout: Option<Duration>,
    /// Where the adapter's progress goes. When full, progress is dropped; nothing waits for it.
    pub progress: Option<mpsc::Sender<ProgressNotificationParam>>,
}

impl Session {
    /// Connects to the vault's agent socket, after looking who serves it, and opens what is granted.
    ///
    /// # Errors
    /// Nobody there, or somebody else; a sealed vault; an agent the vault does not know; an answer of another form.
    pub async fn open(socket: &Path, server: Server) -> Result<Self, ClientError> {
        Self::open_with(socket, server, Arc::new(SystemClock)).await
    }

    /// As [`Session::open`], with a clock of the caller's.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub async fn open_with(
        socket: &Path,
        server: Server,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClientError> {
        Self::open_handles(socket, server, &[], clock).await
    }

    /// Opens exactly these handles, children too, and uses no other: so a sub-agent's session is begun. Without any, as
    /// [`Session::open_with`].
    ///
    /// The wall between two handles of one agent is the process that opened them: whoever runs as the agent's user can
    /// open all of its handles.
    ///
    /// # Errors
    /// As [`Session::open`]; and a handle that is none. One that has ended is no error here: nothing is granted by it.
    pub async fn open_handles(
        socket: &Path,
        server: Server,
        handles: &[String],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClientError> {
        Self::over(Vault::connect(socket, server, handles).await?, clock).await
    }

    /// Opens over a connection that there is already.
    pub(crate) async fn over(vault: Vault, clock: Arc<dyn Clock>) -> Result<Self, ClientError> {
        let grants = RwLock::new(Arc::new(vault.open().await?));
        Ok(Self {
            vault,
            clock,
            random: SystemRandom::new(),
            grants,
            refreshing: tokio::sync::Mutex::default(),
            adapters: Adapters::default(),
            children: Mutex::default(),
            tasks: RwLock::default(),
            folder: None,
            asked: Mutex::default(),
        })
    }

    /// The same session, whose tools may save files in this folder and send files that lie in it. Without one, such tools
    /// are not called.
    #[must_use]
    pub fn with_folder(self, folder: Option<Arc<Folder>>) -> Self {
        Self { folder, ..self }
    }

    /// Whether every handle this session was opened for is there. True for one that was opened for all grants.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let grants = self.grants();
        grants.frozen() || self.vault.only().iter().all(|id| grants.handles().iter().any(|h| h.id() == id))
    }

    /// Makes a child of a handle, bounded further. What the child may do, its parent may do; what it uses up, its parent
    /// has used up; it ends with its parent.
    ///
    /// # Errors
    /// [`ClientError::NoSuchHandle`] where this session was opened for certain handles and this is neither one of them
    /// nor a child made here; a tool or a bound that is none; [`ClientError::Refused`].
    pub async fn narrow(&self, handle: &str, bounds: &Bounds) -> Result<Child, ClientError> {
        self.may_name(handle)?;
        let tools = bounds.tools.iter().map(|name| self.full_name(name)).collect::<Result<_, _>>()?;
        let caveats = bounds.caveats(tools, self.clock.now_ms())?;
        let request = NarrowRequest { handle: handle.to_owned(), caveats, label: bounds.label.clone() };
        let child = self.vault.narrow(request).await?;
        self.children.lock().unwrap_or_else(PoisonError::into_inner).insert(child.id.clone());
        Ok(child)
    }

    /// Ends a child handle with all below it, for good. Returns how many handles that were.
    ///
    /// # Errors
    /// As [`Session::narrow`]. A grant's own handle is ended by its owner alone.
    pub async fn release(&self, handle: &str) -> Result<u32, ClientError> {
        self.may_name(handle)?;
        let released = self.vault.release(handle).await?;
        self.children.lock().unwrap_or_else(PoisonError::into_inner).remove(handle);
        Ok(released)
    }

    /// A session for certain handles speaks of those and of what it made of them: a sub-agent's model that has heard of
    /// its parent's handle gets nowhere with it.
    fn may_name(&self, handle: &str) -> Result<(), ClientError> {
        let only = self.vault.only();
        let made = || self.children.lock().unwrap_or_else(PoisonError::into_inner).contains(handle);
        if handle_bytes(handle).is_some()
            && (only.is_empty() || only.iter().any(|known| known == handle) || made())
        {
            Ok(())
        } else {
            Err(ClientError::NoSuchHandle)
        }
    }

    /// A tool's name in the catalog, by that or by the one hosts see.
    fn full_name(&self, name: &str) -> Result<String, ClientError> {
        let grants = self.grants();
        match grants.tools().find(|tool| tool.name.as_str() == name) {
            Some(tool) => Ok(tool.name.as_str().to_owned()),
            None => Ok(grants.tool(name)?.0.name.as_str().to_owned()),
        }
    }

    /// What is granted, as of the last time the vault was asked.
    #[must_use]
    pub fn grants(&self) -> Arc<Grants> {
        self.grants.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The granted tools, by name.
    #[must_use]
    pub fn tools(&self) -> Vec<Arc<Tool>> {
        self.grants().tools().cloned().collect()
    }

    /// Asks the vault anew what is granted. The proof keys of before are erased once no call uses them.
    ///
    /// # Errors
    /// As [`Session::open`]; then what was granted before stays.
    pub async fn refresh(&self) -> Result<(), ClientError> {
        let _alone = self.refreshing.lock().await;
        self.replace().await
    }

    /// Asks anew, unless somebody has since `seen` was current.
    async fn refresh_after(&self, seen: &Arc<Grants>) -> Result<(), ClientError> {
        let _alone = self.refreshing.lock().await;
        if Arc::ptr_eq(seen, &self.grants()) { self.replace().await } else { Ok(()) }
    }

    async fn replace(&self) -> Result<(), ClientError> {
        let fresh = Arc::new(self.vault.open().await?);
        self.adapters.keep(fresh.handles().iter().filter_map(|handle| handle.endpoint.as_ref()));
        *self.grants.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Makes the proof that this agent asks for this tool with these arguments, now, once.
    ///
    /// # Errors
    /// No such tool; no random numbers.
    pub fn present(&self, mcp_name: &str, arguments: &Canonical) -> Result<Presentation, ClientError> {
        let grants = self.grants();
        let (tool, handle) = grants.tool(mcp_name)?;
        self.sign(&grants, &tool.name, handle, arguments, None)
    }

    fn sign(
        &self,
        grants: &Grants,
        tool: &ToolName,
        handle: &Handle,
        arguments: &Canonical,
        approval: Option<[u8; 16]>,
    ) -> Result<Presentation, ClientError> {
        let mut nonce = [0; 12];
        self.random.fill(&mut nonce).map_err(|_| ClientError::Entropy)?;
        let claim = Claim {
            handle: handle.bytes,
            tool: tool.clone(),
            digest: arguments.digest(),
            issued_at_ms: self.clock.now_ms(),
            nonce,
            replica: grants.replica,
            boot: grants.boot,
            approval,
        };
        Ok(Presentation::sign(&handle.proof, claim))
    }

    /// Calls a tool, by the name that hosts see.
    ///
    /// # Errors
    /// As [`Session::call_with`].
    pub async fn call(
        &self,
        mcp_name: &str,
        arguments: Map<String, Value>,
    ) -> Result<CallOutcome, ClientError> {
        self.call_with(mcp_name, arguments, &CallOptions::default()).await
    }

    /// Calls a tool, by the name that hosts see. A refusal is an outcome, not an error.
    ///
    /// A call is made once. Where the adapter says that the presentation was made for an earlier run of the vault, and so
    /// was never used, the grants are opened anew. Only where the vault itself then is another run than before is a new
    /// presentation made, once: the adapter's word alone buys none.
    ///
    /// # Errors
    /// No such tool; arguments without a canonical form; a file that cannot be read or saved; an adapter that cannot be reached, is somebody else, breaks
    /// off, answers otherwise than MCP says, or too late.
    pub async fn call_with(
        &self,
        mcp_name: &str,
        arguments: Map<String, Value>,
        options: &CallOptions,
    ) -> Result<CallOutcome, ClientError> {
        let mut prepared = self.prepare(mcp_name, arguments).await?;
        match self.call_prepared(mcp_name, &prepared, options).await {
            // What was kept of it is of no use any more: once, from the start.
            Err(ClientError::OtherVersion) if prepared.begin_anew()? => {
                self.call_prepared(mcp_name, &prepared, options).await
            }
            outcome => outcome,
        }
    }

    async fn call_prepared(
        &self,
        mcp_name: &str,
        call: &Prepared,
        options: &CallOptions,
    ) -> Result<CallOutcome, ClientError> {
        let mut grants = self.grants();
        if grants.frozen() {
            // It may have been thawed since.
            self.refresh_after(&grants).await?;
            grants = self.grants();
            if grants.frozen() {
                return Ok(CallOutcome::Refused(Refusal::frozen()));
            }
        }
        if let Some(outcome) = self.call_by_task(mcp_name, call, options).await? {
            return Ok(outcome);
        }
        match self.call_once(&grants, mcp_name, call, options).await? {
            CallOutcome::Refused(refusal) if refusal.is_stale() => {
                self.refresh_after(&grants).await?;
                let fresh = self.grants();
                if fresh.is_of_the_run_of(&grants) {
                    tracing::warn!(
                        "an adapter calls a presentation stale that was made for this run of the vault"
                    );
                    return Ok(CallOutcome::Refused(refusal));
                }
                tracing::info!("the vault has restarted: opening again");
                drop(grants);
                self.call_once(&fresh, mcp_name, call, options).await
            }
            outcome => Ok(outcome),
        }
    }

    async fn call_once(
        &self,
        grants: &Grants,
        mcp_name: &str,
        call: &Prepared,
        options: &CallOptions,
    ) -> Result<CallOutcome, ClientError> {
        let (tool, handle) = grants.tool(mcp_name)?;
        self.run(grants, &tool.name, handle, call, None, options).await
    }

    async fn run(
        &self,
        grants: &Grants,
        tool: &ToolName,
        handle: &Handle,
        call: &Prepared,
        approval: Option<[u8; 16]>,
        options: &CallOptions,
    ) -> Result<CallOutcome, ClientError> {
        let arguments = &call.arguments;
        let endpoint = handle.endpoint.as_ref().ok_or(ClientError::NoAdapter)?;
        let adapter = self.adapters.connection(endpoint).await?;
        // What is sent is what was signed: made of the canonical value, not of what the caller gave.
        let Value::Object(sent) = Value::from(arguments.value()) else {
            return Err(ClientError::Arguments(claviger_canonical::CanonicalError::NotAnObject));
        };
        let params = CallToolRequestParams::new(tool.as_str().to_owned()).with_arguments(sent);
        let presentation = self.sign(grants, tool, handle, arguments, approval)?;
        let mut meta = RequestMetaObject::new();
        meta.insert(META_KEY.to_owned(), Value::String(presentation.as_str().to_owned()));
        let result = adapter.call(params, meta, options).await?;
        let mut result = without_presentation(result, &presentation)?;
        if let Some(refusal) = Refusal::of(&result) {
            return Ok(CallOutcome::Refused(refusal));
        }
        // The connection of the call is held until the bytes have passed: they end with it.
        match Ticket::take(&mut result)? {
            Some(ticket) => self.redeem(endpoint, &ticket, result, call, &presentation, options).await,
            None => Ok(CallOutcome::Answered(result)),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session(..)")
    }
}

/// Takes the presentation out of a result's `_meta`, at any depth outside of structured content; where it stands
/// anywhere else, nothing of the result is passed on.
fn without_presentation(
    result: CallToolResult,
    presentation: &Presentation,
) -> Result<CallToolResult, ClientError> {
    // The result came as JSON, so it can be written as JSON.
    let mut text = serde_json::to_string(&result).map_err(|_| ClientError::Echo)?;
    let mut result = result;
    if text.contains(META_KEY) {
        let mut value = serde_json::from_str(&text).map_err(|_| ClientError::Echo)?;
        strip(&mut value);
        text = value.to_string();
        result = serde_json::from_value(value).map_err(|_| ClientError::Echo)?;
    }
    // The part after the version is the proof; it is base64url and so never written otherwise in JSON.
    let whole = presentation.as_str();
    let proof = whole.split_once('.').map_or(whole, |(_, proof)| proof);
    if text.contains(proof) { Err(ClientError::Echo) } else { Ok(result) }
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::Object(meta)) = members.get_mut("_meta") {
                meta.remove(META_KEY);
            }
            members
                .iter_mut()
                .filter(|(key, _)| *key != "structuredContent")
                .for_each(|(_, inner)| strip(inner));
        }
        Value::Array(elements) => elements.iter_mut().for_each(strip),
        _ => {}
    }
}
