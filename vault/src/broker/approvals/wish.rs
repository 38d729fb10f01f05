//! What an agent asks its owner for: a task, a grant, an answer. Inert until the owner agrees.

use std::sync::Arc;

use claviger_domain::approval::{ASK_LIFE_MS, Approval, Kind, State};
use claviger_domain::caveat::Caveat;
use claviger_domain::event::{Actor, Detail, Kind as EventKind};
use claviger_domain::id::{ApprovalId, HandleId};
use claviger_domain::name::{AgentName, SecretName, ToolName};
use claviger_domain::refusal::{Class, Denial, Refusal};
use claviger_domain::show::excerpt;

use super::Entry;
use crate::broker::Broker;
use crate::broker::records::{ApprovalRecord, CaveatRecord, WishRecord};
use crate::broker::refuse::About;
use crate::broker::view::{Asked, Wish};

/// The longest purpose, in characters.
const PURPOSE: usize = 2000;

/// The most tools, and the most bounds, of one wish.
const PARTS: usize = 50;

/// The longest a task may run, in seconds.
pub(super) const LONGEST_TASK_S: u64 = 7 * 86_400;

/// The longest that a grant may run that an agent asks for, and how long it runs where it says nothing, in seconds.
pub(super) const LONGEST_GRANT_S: u64 = 90 * 86_400;

impl Broker {
    /// Asks the owner. A handle makes it a task, a secret a grant, neither a question.
    ///
    /// # Errors
    /// Class `bad-arguments` where it makes no sense; `revoked` for a handle that is not the agent's or not live;
    /// `frozen`; `busy`, `denied` or `rate-limited` where it may not ask now.
    pub async fn ask(self: &Arc<Self>, agent: &AgentName, wish: Wish) -> Result<Asked, Refusal> {
        let mut about =
            About { agent: Some(agent.clone()), opaque: self.is_opaque(agent), ..About::default() };
        let asked = self.try_ask(agent, wish, &mut about).await;
        asked.map_err(|denial| self.refuse(Actor::Agent(agent.clone()), about, denial))
    }

    async fn try_ask(
        self: &Arc<Self>,
        agent: &AgentName,
        wish: Wish,
        about: &mut About,
    ) -> Result<Asked, Denial> {
        if !self.is_unsealed() {
            return Err(Denial::new(Class::Sealed));
        }
        self.require_clock()?;
        let entry_frozen = self.read().agents.get(agent).map(|entry| entry.record.frozen.is_some());
        match entry_frozen {
            None => return Err(Denial::new(Class::NotGranted).field("agent")),
            Some(true) => {
                return Err(Denial::new(Class::Frozen)
                    .field("agent")
                    .fix("look at its log, then run `claviger thaw`"));
            }
            Some(false) => {}
        }
        let kind = self.check_wish(agent, &wish, about)?;
        let now_ms = self.now_ms();
        let approval = Approval {
            id: ApprovalId::from_bytes(self.random()),
            kind,
            agent: agent.clone(),
            call: None,
            written: State::Pending,
            created_at_ms: now_ms,
            expires_at_ms: now_ms + ASK_LIFE_MS,
            why: "the agent asks".to_owned(),
        };
        let Wish { purpose, handle, secret, tools, caveats, expires_in_s } = wish;
        let mut record = ApprovalRecord::of(&approval);
        record.summary = excerpt(&purpose, 160);
        record.wish = Some(WishRecord {
            handle: handle.map(|handle| handle.as_bytes().to_vec()).unwrap_or_default(),
            secret: secret.as_ref().map(ToString::to_string).unwrap_or_default(),
            tools: tools.iter().map(ToString::to_string).collect(),
            caveats: caveats.iter().map(CaveatRecord::of).collect(),
            expires_in_s,
            purpose: purpose.clone(),
        });
        {
            let mut table = self.approvals.lock();
            let new = Entry::new(approval.clone(), &record, 0);
            if let Some(same) = table.pending(agent, now_ms).find(|entry| entry.wish == new.wish) {
                return Ok(Asked { id: same.approval.id, expires_at_ms: same.approval.expires_at_ms });
            }
            table.admit(&approval, now_ms)?;
            table.entries.insert(approval.id, new);
        }
        let mut event = self.event(EventKind::Asked, Actor::Agent(agent.clone()));
        about.fill(&mut event);
        event.step = Some(kind.as_str().to_owned());
        let mut detail = Detail::default();
        detail.add("approval", Some(&approval.id.to_string()));
        detail.add("purpose", Some(&purpose));
        for tool in &tools {
            detail.add("tool", Some(&tool.to_string()));
        }
        for caveat in &caveats {
            detail.add("bound", Some(&caveat.to_text()));
        }
        let asked = Asked { id: approval.id, expires_at_ms: approval.expires_at_ms };
        self.keep_new(approval, record, event, detail).await.map_err(|_| {
            Denial::new(Class::Unavailable)
                .field("approval")
                .fix("it could not be recorded that a person is asked")
        })?;
        Ok(asked)
    }

    /// What kind of wish it is, if it makes sense.
    fn check_wish(&self, agent: &AgentName, wish: &Wish, about: &mut About) -> Result<Kind, Denial> {
        let bad = |field: &str, why: &str| Denial::new(Class::BadArguments).field(field).fix(why);
        let Wish { purpose, handle, secret, tools, caveats, expires_in_s } = wish;
        if purpose.trim().is_empty() || purpose.chars().count() > PURPOSE {
            return Err(bad("purpose", "a purpose has 1 to 2000 characters"));
        }
        if tools.len() > PARTS || caveats.len() > PARTS {
            return Err(bad("tools", "at most 50 tools and 50 bounds"));
        }
        match (handle, secret) {
            (Some(_), Some(_)) => {
                Err(bad("secret", "a task is under a handle, a grant is of a secret: one of them"))
            }
            (Some(handle), None) => self.check_task(agent, *handle, tools, caveats, *expires_in_s, about),
            (None, Some(secret)) => self.check_draft(secret, tools, caveats, *expires_in_s, about),
            (None, None) if tools.is_empty() && caveats.is_empty() && *expires_in_s == 0 => {
                Ok(Kind::Question)
            }
            (None, None) => Err(bad("handle", "tools and bounds need the handle or the secret they are of")),
        }
    }

    fn check_task(
        &self,
        agent: &AgentName,
        handle: HandleId,
        tools: &[ToolName],
        caveats: &[Caveat],
        expires_in_s: u64,
        about: &mut About,
    ) -> Result<Kind, Denial> {
        let bad = |field: &str, why: String| Denial::new(Class::BadArguments).field(field).fix(why);
        let state = self.read();
        let gone = || Denial::new(Class::Revoked).field("handle").fix("there is no such live handle");
        let entry = state.handles.get(handle).ok_or_else(gone)?;
        let grant = state.grants.get(&entry.handle.grant).ok_or_else(gone)?;
        // Another agent's handle and none at all read the same.
        if grant.grant.agent != *agent {
            return Err(gone());
        }
        grant.alive(self.now_ms())?;
        about.grant = Some(grant.grant.id);
        about.handle = Some(handle);
        about.secret = Some(grant.grant.secret.clone());
        if !(1..=LONGEST_TASK_S).contains(&expires_in_s) {
            return Err(bad("expires_in_seconds", "a task ends: within 7 days".to_owned()));
        }
        if tools.is_empty() {
            return Err(bad("tools", "a task names its tools".to_owned()));
        }
        let catalog = self.catalog();
        let service = catalog.service_of(&grant.grant.secret).ok_or_else(gone)?;
        for name in tools {
            let tool = service.tools.get(name.tool()).filter(|tool| tool.name == *name);
            let tool = tool.filter(|_| grant.grant.tool(name).is_some());
            let tool = tool.ok_or_else(|| Denial::new(Class::NotGranted).field("tools"))?;
            for caveat in caveats {
                caveat.enforceable(tool).map_err(|why| bad("caveats", why))?;
            }
        }
        Ok(Kind::Task)
    }

    /// A draft of a grant. Whether the secret is there, and what its labels are called, is not told to who asks.
    fn check_draft(
        &self,
        secret: &SecretName,
        tools: &[ToolName],
        caveats: &[Caveat],
        expires_in_s: u64,
        about: &mut About,
    ) -> Result<Kind, Denial> {
        let bad = |field: &str, why: String| Denial::new(Class::BadArguments).field(field).fix(why);
        about.secret = Some(secret.clone());
        if expires_in_s > LONGEST_GRANT_S {
            return Err(bad(
                "expires_in_seconds",
                "a grant that an agent asks for ends: within 90 days".to_owned(),
            ));
        }
        if tools.is_empty() {
            return Err(bad("tools", "a grant names its tools".to_owned()));
        }
        for name in tools {
            // What tools there are is no secret: it stands in the catalog.
            let catalog = self.catalog();
            let tool = catalog.tool(name).filter(|_| name.service() == secret.service());
            let tool =
                tool.ok_or_else(|| bad("tools", "the secret's service has no such tool".to_owned()))?;
            for caveat in caveats {
                caveat.enforceable(tool).map_err(|why| bad("caveats", why))?;
            }
        }
        Ok(Kind::Grant)
    }
}
