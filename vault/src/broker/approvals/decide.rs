//! Deciding: what a person sees of what waits, and their yes or no.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use claviger_canonical::Canonical;
use claviger_domain::approval::{Approval, Event, Kind, Reach, State};
use claviger_domain::arg::Arguments;
use claviger_domain::caveat::Caveat;
use claviger_domain::event::{Actor, Detail, Kind as EventKind};
use claviger_domain::grant::{Approve, Grant, Handle};
use claviger_domain::id::{ApprovalId, GrantId, HandleId};
use claviger_domain::name::{AgentName, ToolName};
use claviger_domain::show::{self, Lines, Showing, visible};

use super::Entry;
use super::wish::LONGEST_GRANT_S;
use crate::broker::Broker;
use crate::broker::error::AdminError;
use crate::broker::records::{ApprovalRecord, WishRecord};
use crate::broker::view::{ApprovalView, GrantAsk};

/// The longest answer of an owner's, in characters.
const ANSWER: usize = 2000;

/// How long a grant runs that an agent asked for without saying how long, in seconds.
const USUAL_GRANT_S: u64 = 30 * 86_400;

/// What a yes makes besides itself.
enum Made {
    Grant(GrantId),
    Child(HandleId),
}

impl Broker {
    /// What waits for a person, oldest first; what is over too, where `all`. Without what stands in it: that is for
    /// [`Broker::show_approval`].
    ///
    /// # Errors
    /// The vault is sealed, there is no such agent, or the store does not answer.
    pub async fn approvals(
        &self,
        agent: Option<&AgentName>,
        all: bool,
    ) -> Result<Vec<ApprovalView>, AdminError> {
        self.require_unsealed()?;
        if let Some(name) = agent {
            self.agent(name)?;
        }
        let unsure: Vec<ApprovalId> = {
            let table = self.approvals.lock();
            table.entries.iter().filter(|(_, entry)| entry.unsure).map(|(id, _)| *id).collect()
        };
        for id in unsure {
            self.make_sure(id).await?;
        }
        let now_ms = self.now_ms();
        let table = self.approvals.lock();
        let entries = table.entries.values().filter(|entry| entry.version > 0);
        let entries = entries.filter(|entry| agent.is_none_or(|agent| entry.approval.agent == *agent));
        let mut found: Vec<ApprovalView> = entries
            .filter(|entry| all || entry.over_since(now_ms).is_none())
            .map(|entry| view(entry, now_ms))
            .collect();
        found.sort_by_key(|view| (view.approval.created_at_ms, view.approval.id));
        Ok(found)
    }

    /// One of them, with all that a person must see before deciding.
    ///
    /// # Errors
    /// The vault is sealed, there is no such thing, or the store does not answer.
    pub async fn show_approval(&self, admin: Actor, id: ApprovalId) -> Result<ApprovalView, AdminError> {
        self.require_unsealed()?;
        self.record_view(admin, "approval").await?;
        self.approval_view(id).await
    }

    async fn approval_view(&self, id: ApprovalId) -> Result<ApprovalView, AdminError> {
        self.make_sure(id).await?;
        let (record, _) = self.read_approval(id).await?.ok_or_else(|| missing(id))?;
        let mut view = {
            let table = self.approvals.lock();
            view(table.get(id).ok_or_else(|| missing(id))?, self.now_ms())
        };
        view.answer.clone_from(&record.answer);
        if let Some(seen) = record.seen.as_ref().and_then(|seen| seen.to_domain().ok()) {
            view.effect = Some(seen.effect);
        }
        view.shown = match &record.wish {
            None => self.show_call(&view.approval, &record).await?,
            Some(wish) => {
                view.purpose = visible(&wish.purpose);
                view.secret = wish.secret.parse().ok();
                if view.handle.is_none() {
                    view.handle = HandleId::from_slice(&wish.handle);
                }
                self.show_wish(&view.approval, wish)?
            }
        };
        Ok(view)
    }

    async fn show_call(&self, approval: &Approval, record: &ApprovalRecord) -> Result<Lines, AdminError> {
        let unreadable = || AdminError::Store("a record is not readable");
        let call = approval.call.as_ref().ok_or_else(unreadable)?;
        let kept = record.seen.as_ref().ok_or_else(unreadable)?;
        let seen = kept.to_domain().map_err(|_| unreadable())?;
        let arguments = Canonical::from_bytes(&record.arguments).map_err(|_| unreadable())?;
        let catalog = self.catalog();
        let tool = catalog.tool(&call.tool).filter(|tool| tool.definition == call.definition);
        let parsed = tool.and_then(|tool| Arguments::parse(&tool.args, arguments.value()).ok());
        let reaches = tool.zip(parsed).map(|(tool, args)| Reach::of(tool, &args, &seen)).unwrap_or_default();
        let known: BTreeSet<String> = self.known_values_of(call.grant).await?;
        let mut lines = Lines::new();
        let mut line = |name: &str, text: String| lines.push((name.to_owned(), text));
        line("Agent", approval.agent.to_string());
        line("Tool", call.tool.to_string());
        line("With", format!("{} (version {})", call.secret, call.secret_version));
        let names = {
            let state = self.read();
            if let Some(entry) = state.grants.get(&call.grant) {
                line(
                    "Under",
                    format!("{}: {}", call.grant, claviger_domain::sentence::sentence(&entry.grant)),
                );
            }
            if let Some(entry) =
                state.handles.get(call.handle).filter(|entry| !entry.handle.ancestors.is_empty())
            {
                line(
                    "By",
                    format!("{} \u{201c}{}\u{201d}", call.handle, show::excerpt(&entry.handle.label, 100)),
                );
            }
            let handle = state.handles.get(call.handle);
            let grant = state.grants.get(&call.grant).map(|entry| entry.grant.caveats.as_slice());
            let own = handle.map(|entry| entry.handle.caveats.as_slice());
            called(grant.into_iter().chain(own).flatten())
        };
        if tool.is_none() {
            line("Careful", "the tool's definition has changed since: it will not be run".to_owned());
        }
        let summary = tool.map_or("(the catalog no longer says)", |tool| tool.summary.as_str());
        lines.extend(show::call(&Showing {
            summary,
            arguments: arguments.value(),
            seen: &seen,
            reaches: &reaches,
            known: &known,
            names: &names,
            tainted: kept.tainted,
            why: &approval.why,
        }));
        Ok(lines)
    }

    fn show_wish(&self, approval: &Approval, wish: &WishRecord) -> Result<Lines, AdminError> {
        let caveats = caveats_of(wish)?;
        let mut lines = Lines::new();
        let mut line = |name: &str, text: String| lines.push((name.to_owned(), text));
        line("Agent", approval.agent.to_string());
        match approval.kind {
            Kind::Task => line("It asks for", "a task: these calls, without asking you each time".to_owned()),
            Kind::Grant => line("It asks for", "a grant".to_owned()),
            Kind::Question | Kind::Call => line("It asks for", "an answer in words".to_owned()),
        }
        line("In its own words", visible(&wish.purpose));
        if self.is_tainted(&approval.agent) {
            line(
                "Careful",
                "this agent has read what strangers can write; they may have told it to ask".to_owned(),
            );
        }
        let state = self.read();
        if let Some(handle) = HandleId::from_slice(&wish.handle) {
            let grant = state.handles.get(handle).and_then(|entry| state.grants.get(&entry.handle.grant));
            match grant {
                Some(entry) => line(
                    "Under",
                    format!("{}: {}", entry.grant.id, claviger_domain::sentence::sentence(&entry.grant)),
                ),
                None => line("Careful", "its handle is gone: it cannot be agreed to".to_owned()),
            }
        }
        if !wish.secret.is_empty() {
            line("With", visible(&wish.secret));
        }
        let catalog = self.catalog();
        for name in &wish.tools {
            let tool = name.parse::<ToolName>().ok().and_then(|name| catalog.tool(&name));
            let effect = tool.map(|tool| format!(" [{}] {}", tool.effect, tool.summary)).unwrap_or_default();
            line("Tool", visible(&format!("{name}{effect}")));
        }
        for caveat in &caveats {
            line("Bounded by", visible(&caveat.to_text()));
        }
        if approval.kind == Kind::Task {
            line("For", span(wish.expires_in_s));
        }
        if approval.kind == Kind::Grant {
            line("For", span(grant_seconds(wish)));
            let now_ms = self.now_ms();
            let secret = wish.secret.parse().ok();
            let present: Vec<&Grant> = state
                .live_grants(&approval.agent, now_ms)
                .map(|entry| &entry.grant)
                .filter(|grant| Some(&grant.secret) == secret.as_ref())
                .collect();
            lines.extend(show::difference(&wish.tools, &caveats, &present));
        }
        Ok(lines)
    }

    /// A person's yes or no, with what the agent is told. A task's yes makes a child handle, a grant's yes a grant.
    ///
    /// # Errors
    /// Nothing of that id waits; what was asked for cannot be made; or it could not be recorded or made durable.
    pub async fn decide(
        self: &Arc<Self>,
        admin: Actor,
        id: ApprovalId,
        yes: bool,
        answer: String,
    ) -> Result<ApprovalView, AdminError> {
        self.require_unsealed()?;
        if answer.chars().count() > ANSWER {
            return Err(AdminError::invalid("an answer has at most 2000 characters", "say it shorter"));
        }
        let broker = Arc::clone(self);
        self.in_task(async move {
            broker.try_decide(admin, id, yes, answer).await?;
            broker.approval_view(id).await
        })
        .await
    }

    async fn try_decide(
        self: &Arc<Self>,
        admin: Actor,
        id: ApprovalId,
        yes: bool,
        answer: String,
    ) -> Result<(), AdminError> {
        self.make_sure(id).await?;
        let event = if yes { Event::Yes } else { Event::No };
        let (taken, next, denials) = {
            let mut table = self.approvals.lock();
            let entry = table.get(id).ok_or_else(|| missing(id))?;
            let next = entry.approval.after(event, self.now_ms()).map_err(decided)?;
            let denials = table.next_denial(entry);
            let taken = self.approvals.take(&mut table, id).map_err(|_| AdminError::Conflict)?;
            (taken, next, denials)
        };
        let (mut record, version) = self.read_approval(id).await?.ok_or_else(|| missing(id))?;
        let approval = record.to_domain().map_err(|_| AdminError::Store("a record is not readable"))?;
        if version != taken.version {
            return Err(AdminError::Conflict);
        }
        record.set_state(next);
        record.answer = answer;
        record.decided_at_ms = self.now_ms();
        record.denials = if yes { 0 } else { denials };
        let child = match (yes, approval.kind, record.wish.clone()) {
            (true, Kind::Task, Some(wish)) => Some(self.task_handle(admin.clone(), &approval, &wish).await?),
            _ => None,
        };
        let mut made = None;
        if let (true, Kind::Grant, Some(wish)) = (yes, approval.kind, record.wish.clone()) {
            let ask = grant_ask(&approval, &wish)?;
            let granted = self.add_grant(admin.clone(), ask).await?;
            record.made = granted.grant.root.as_bytes().to_vec();
            made = Some(Made::Grant(granted.grant.id));
        }
        if let Some(handle) = child {
            let kept = self.keep_child(admin.clone(), &approval.agent, handle).await;
            let child = kept.map_err(AdminError::from_denial)?.id;
            record.made = child.as_bytes().to_vec();
            made = Some(Made::Child(child));
        }
        let decided = async {
            self.record_decision(admin.clone(), &approval, &record, yes).await?;
            self.commit(vec![Self::approval_put(&record, id, version)]).await.map(drop)
        };
        if let Err(error) = decided.await {
            return Err(self.unmake(admin, made, error).await);
        }
        self.approvals.lock().settled(id, &record, version + 1);
        self.changed();
        drop(taken);
        Ok(())
    }

    /// A yes that could not be kept gives nothing: what was made by it goes, in memory at once.
    async fn unmake(&self, admin: Actor, made: Option<Made>, error: AdminError) -> AdminError {
        let (what, undone) = match made {
            None => return error,
            Some(Made::Grant(id)) => (format!("grant {id}"), self.revoke(admin, id).await.map(drop)),
            Some(Made::Child(id)) => (format!("handle {id}"), self.end_child(admin, id).await.map(drop)),
        };
        match undone {
            Ok(()) => AdminError::Undone { what, why: error.to_string() },
            Err(fault) => {
                AdminError::NotDurable(format!("{error}; {what} was made and revoked again; {fault}"))
            }
        }
    }

    /// The child handle that a task becomes, not yet anywhere.
    async fn task_handle(
        self: &Arc<Self>,
        admin: Actor,
        approval: &Approval,
        wish: &WishRecord,
    ) -> Result<Handle, AdminError> {
        let gone = || {
            AdminError::invalid(
                "the handle that the task is under is gone",
                "deny it; the agent can ask again",
            )
        };
        let find = || {
            let state = self.read();
            let parent = state.handles.get(HandleId::from_slice(&wish.handle)?)?.clone();
            let grant = state.grants.get(&parent.handle.grant)?.clone();
            let alive = grant.grant.agent == approval.agent && grant.alive(self.now_ms()).is_ok();
            alive.then_some((parent, grant))
        };
        let (parent, grant) = find().ok_or_else(gone)?;
        let catalog = self.catalog();
        let service = catalog.service_of(&grant.grant.secret).ok_or_else(gone)?;
        let wanted = caveats_of(wish)?;
        let mut caveats = vec![Caveat::Tools(tools_of(wish)?)];
        let now_ms = self.now_ms();
        caveats.push(Caveat::Expires(now_ms + wish.expires_in_s * 1000));
        caveats.extend(self.resolve_caveats(admin, &grant.grant.secret, service, &wanted).await?);
        // Looking the names up took time.
        find().ok_or_else(gone)?;
        let mut ancestors = vec![parent.handle.id];
        ancestors.extend(&parent.handle.ancestors);
        Ok(Handle {
            id: HandleId::from_bytes(self.random()),
            grant: grant.grant.id,
            ancestors,
            caveats,
            label: show::excerpt(&wish.purpose, 55),
            task: true,
            created_at_ms: now_ms,
        })
    }

    async fn record_decision(
        &self,
        admin: Actor,
        approval: &Approval,
        record: &ApprovalRecord,
        yes: bool,
    ) -> Result<(), AdminError> {
        let kind = if yes { EventKind::Approved } else { EventKind::ApprovalDenied };
        let mut event = self.event(kind, admin);
        event.agent = Some(approval.agent.clone());
        event.step = Some(approval.kind.as_str().to_owned());
        let mut detail = Detail::default();
        detail.add("approval", Some(&approval.id.to_string()));
        if let Some(call) = &approval.call {
            event.secret = Some(call.secret.clone());
            event.secret_version = Some(call.secret_version);
            event.grant = Some(call.grant);
            event.handle = Some(call.handle);
            event.tool = Some(call.tool.clone());
            detail.add("arguments", std::str::from_utf8(&record.arguments).ok());
        }
        if let Some(wish) = &record.wish {
            event.secret = wish.secret.parse().ok();
            event.handle = HandleId::from_slice(&wish.handle);
            detail.add("purpose", Some(&wish.purpose));
        }
        detail.add("why", Some(&approval.why));
        detail.add("answer", Some(record.answer.as_str()).filter(|answer| !answer.is_empty()));
        Ok(self.ports.audit.record(event, detail).await?)
    }
}

fn view(entry: &Entry, now_ms: u64) -> ApprovalView {
    let call = entry.approval.call.as_ref();
    ApprovalView {
        state: entry.approval.state(now_ms),
        effect: None,
        secret: call.map(|call| call.secret.clone()),
        handle: call.map(|call| call.handle).or(entry.made),
        summary: entry.summary.clone(),
        shown: Lines::new(),
        purpose: String::new(),
        answer: String::new(),
        approval: entry.approval.clone(),
    }
}

/// What the ids of resource bounds were called when they were pinned.
fn called<'a>(caveats: impl Iterator<Item = &'a Caveat>) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for caveat in caveats {
        if let Caveat::Resource(bound) = caveat {
            names.extend(bound.ids.iter().cloned().zip(bound.shown.iter().cloned()));
        }
    }
    names
}

fn caveats_of(wish: &WishRecord) -> Result<Vec<Caveat>, AdminError> {
    let read = |_| AdminError::Store("a record is not readable");
    wish.caveats.iter().map(|caveat| caveat.to_domain().map_err(read)).collect()
}

fn tools_of(wish: &WishRecord) -> Result<Vec<ToolName>, AdminError> {
    let read = |_| AdminError::Store("a record is not readable");
    wish.tools.iter().map(|tool| tool.parse().map_err(read)).collect()
}

fn grant_seconds(wish: &WishRecord) -> u64 {
    if wish.expires_in_s == 0 { USUAL_GRANT_S } else { wish.expires_in_s.min(LONGEST_GRANT_S) }
}

fn grant_ask(approval: &Approval, wish: &WishRecord) -> Result<GrantAsk, AdminError> {
    Ok(GrantAsk {
        agent: approval.agent.clone(),
        secret: wish.secret.parse().map_err(|_| AdminError::Store("a record is not readable"))?,
        tools: tools_of(wish)?,
        effects: Vec::new(),
        caveats: caveats_of(wish)?,
        expires_in_s: Some(grant_seconds(wish)),
        // Never what an agent would like: it is asked for where it sends or deletes.
        approve: Approve::Default,
        deny: false,
        trusted_sink: false,
        name: None,
    })
}

/// `90 s`, `15 min`, `7 h`, `7 d`: exact, in the greatest unit that is.
fn span(seconds: u64) -> String {
    match seconds {
        s if s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s % 3_600 == 0 => format!("{} h", s / 3_600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

fn missing(id: ApprovalId) -> AdminError {
    AdminError::Missing { what: "approval", name: id.to_string(), near: Vec::new() }
}

fn decided(state: State) -> AdminError {
    AdminError::invalid(
        format!("it is {} already", state.as_str()),
        "nothing was changed; `claviger approvals` lists what waits",
    )
}
