//! Taint: whether an agent has read what strangers can write, by what, and who may forget it.
//!
//! The mark belongs to the agent: whatever handle read, whatever child, in whatever run. It is durable before anything
//! of a tainting answer is released. Where nothing but the answer can say who wrote it, the mark is decided when the
//! answer is there; until it is decided the agent counts as tainted, so nobody can use the time between. That is as safe
//! as a mark with the intent: what taints is what an agent learns, and it learns nothing before the release. A crash in
//! between releases nothing, and a read whose answer was withheld, or never came, has told nothing.
//!
//! What it does not follow: what one agent tells another outside the vault, and what an agent remembers that was removed
//! and registered again. An agent whose inputs are `open` is always tainted.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use claviger_domain::address::{Address, Pattern};
use claviger_domain::arg::Arguments;
use claviger_domain::authors::{Authors, Who};
use claviger_domain::event::{Actor, Detail, Kind};
use claviger_domain::look::calendars_own;
use claviger_domain::name::{AgentName, SecretName};
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::step::Step;
use serde_json::Value;

use super::error::AdminError;
use super::persist::Plain;
use super::records::{self, AgentRecord, TaintRecord};
use super::state::AgentEntry;
use super::usage::Purposeful;
use super::view::{AgentView, SecretView};
use super::{Broker, lock, secrets};
use crate::port::Purpose;

/// How many sources of its taint are remembered of an agent: the first one, and the newest.
const SOURCES: usize = 32;

/// How many patterns of trusted authors a secret may have.
const PATTERNS: usize = 256;

/// What an agent has read.
#[derive(Default)]
pub(super) struct Taint {
    /// What tainted it, newest first. The record follows now and then.
    sources: Mutex<Vec<TaintRecord>>,
    unsaved: AtomicBool,
    /// Reads under way of which it is not decided whether they taint.
    reading: AtomicU32,
    /// An admin is about to forget it all: what is in the record no longer counts for who reads now.
    clearing: AtomicBool,
}

impl Taint {
    /// As an earlier run left it.
    pub(super) fn of(record: &AgentRecord) -> Arc<Self> {
        Arc::new(Self { sources: Mutex::new(record.taint.clone()), ..Self::default() })
    }

    /// What tainted it, newest first.
    pub(super) fn sources(&self) -> Vec<TaintRecord> {
        lock(&self.sources).clone()
    }

    fn add(&self, source: TaintRecord) {
        let mut sources = lock(&self.sources);
        sources.insert(0, source);
        // The first one stays: since when, and by what.
        if sources.len() > SOURCES {
            sources.remove(SOURCES - 1);
        }
        self.unsaved.store(true, Ordering::SeqCst);
    }
}

/// A read under way: the agent counts as tainted until this is gone.
pub(super) struct Reading(Option<Arc<Taint>>);

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(taint) = &self.0 {
            taint.reading.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl AgentEntry {
    /// Whether it counts as having read what strangers can write: a read under way may be one.
    pub(super) fn is_tainted(&self) -> bool {
        !self.record.inputs_vault_only || self.record.tainted || self.taint.reading.load(Ordering::SeqCst) > 0
    }
}

impl Broker {
    /// Whether the agent counts as having read what strangers can write. Where nothing is known of it, the worse is
    /// assumed.
    pub(super) fn is_tainted(&self, agent: &AgentName) -> bool {
        self.read().agents.get(agent).is_none_or(AgentEntry::is_tainted)
    }

    /// Whether the agent also reads outside the vault, and so is always tainted.
    pub(super) fn reads_anything(&self, agent: &AgentName) -> bool {
        self.read().agents.get(agent).is_none_or(|entry| !entry.record.inputs_vault_only)
    }

    /// Before a step is sent: marks the agent where its answer will taint whatever it says, and holds it for tainted
    /// where the answer decides.
    pub(super) async fn begin_reading(
        &self,
        purpose: &Purposeful,
        step: &Step,
        secret: &SecretName,
    ) -> Result<Reading, Denial> {
        if !purpose.taints {
            return Ok(Reading(None));
        }
        let taint = purpose.about.agent.as_ref().and_then(|agent| {
            let state = self.read();
            let taint = Arc::clone(&state.agents.get(agent)?.taint);
            taint.reading.fetch_add(1, Ordering::SeqCst);
            Some(taint)
        });
        let reading = Reading(taint);
        if step.authors.is_empty() || !step.authors.iter().all(|one| self.may_be_trusted(one, secret)) {
            self.taint(purpose).await?;
        }
        Ok(reading)
    }

    /// Before an answer is released: whether it taints, and the signs in it. The mark is durable when this returns.
    ///
    /// `trusted` is whether all who may have written it are; see [`Broker::is_by_trusted`].
    pub(super) async fn weigh(
        &self,
        purpose: &Purposeful,
        answer: (Option<&Value>, &[u8]),
        trusted: bool,
    ) -> Result<BTreeSet<String>, Denial> {
        let guard = &self.catalog().guard;
        let flags = match answer {
            (Some(json), _) => guard.scan_json(json),
            (None, bytes) => std::str::from_utf8(bytes).map(|text| guard.scan(text)).unwrap_or_default(),
        };
        if !flags.is_empty() {
            self.flag(purpose, &flags)?;
        }
        let by_strangers = purpose.taints && !trusted;
        // A text that speaks to the model is no friend's, whoever it is said to be by.
        if by_strangers || !flags.is_empty() {
            self.taint(&Purposeful { taints: true, ..purpose.clone() }).await?;
        }
        Ok(flags)
    }

    /// Signs go to the log by name alone.
    fn flag(&self, purpose: &Purposeful, flags: &BTreeSet<String>) -> Result<(), Denial> {
        let mut event = self.event(Kind::Flagged, purpose.actor.clone());
        purpose.about.fill(&mut event);
        event.field = Some(flags.iter().cloned().collect::<Vec<_>>().join(" "));
        event.taints = true;
        self.ports
            .audit
            .record_queued(event, Detail::default())
            .map_err(|fault| Denial::new(Class::Unavailable).field("audit").fix(fault.to_string()))
    }

    /// Whether there is anybody at all whose writing would not taint.
    pub(super) fn may_be_trusted(&self, authors: &Authors, secret: &SecretName) -> bool {
        let state = self.read();
        let record = state.secrets.get(secret).map(|entry| &entry.record);
        let (listed, own) = record
            .map(|record| (!record.trusted_authors.is_empty(), record.email.is_some()))
            .unwrap_or_default();
        authors.who.iter().all(|who| match who {
            Who::Nobody => true,
            Who::Mail { .. } => listed,
            Who::Editors(_) | Who::Sharers(_) | Who::Writers(_) | Who::People(_) => listed || own,
        })
    }

    /// Whether what was told says that all who wrote it are trusted by this secret's owner, or are the owner.
    pub(super) fn is_by_trusted(
        &self,
        authors: &Authors,
        secret: &SecretName,
        args: &Arguments,
        told: &Value,
    ) -> bool {
        let state = self.read();
        let Some(entry) = state.secrets.get(secret) else { return false };
        let patterns: Vec<Pattern> =
            entry.record.trusted_authors.iter().filter_map(|text| text.parse().ok()).collect();
        let mut own: Vec<Address> =
            entry.record.email.iter().filter_map(|email| email.parse().ok()).collect();
        own.extend(authors.calendar.as_ref().and_then(|name| args.get(name)).and_then(calendars_own));
        authors.all_trusted(told, &patterns, &own)
    }

    /// Marks the agent, durably, where it is not marked yet; and remembers what it read.
    pub(super) async fn taint(&self, purpose: &Purposeful) -> Result<(), Denial> {
        let Some(name) = purpose.about.agent.as_ref().filter(|_| purpose.taints) else { return Ok(()) };
        let source = self.taint_source(purpose);
        let unavailable =
            |_| Denial::new(Class::Unavailable).field("taint").fix("the store could not take the mark");
        if self.is_marked(name) {
            if let Some(entry) = self.read().agents.get(name) {
                let known =
                    lock(&entry.taint.sources).iter().any(|known| known.reference == source.reference);
                // A call reads in steps.
                if !known {
                    entry.taint.add(source);
                }
            }
            return Ok(());
        }
        let _turn = self.admin.lock().await;
        let (mut record, seen) = self.agent_record(name).map_err(unavailable)?;
        if !record.tainted {
            let mut event = self.event(Kind::Tainted, Actor::Vault);
            purpose.about.fill(&mut event);
            event.taints = true;
            let recorded = self.ports.audit.record(event, Detail::default()).await;
            recorded
                .map_err(|fault| Denial::new(Class::Unavailable).field("audit").fix(fault.to_string()))?;
            record.tainted = true;
            record.tainted_at_ms = source.at_ms;
            record.taint.insert(0, source.clone());
            record.taint.truncate(SOURCES);
            self.put_agent(name, record, seen).await.map_err(unavailable)?;
            if let Some(entry) = self.read().agents.get(name) {
                entry.taint.add(source);
            }
        }
        Ok(())
    }

    /// Whether the mark is durable, or none is needed.
    fn is_marked(&self, name: &AgentName) -> bool {
        self.read().agents.get(name).is_none_or(|entry| {
            !entry.record.inputs_vault_only
                || (entry.record.tainted && !entry.taint.clearing.load(Ordering::SeqCst))
        })
    }

    fn taint_source(&self, purpose: &Purposeful) -> TaintRecord {
        let about = &purpose.about;
        let text = |name: Option<String>| name.unwrap_or_default();
        TaintRecord {
            at_ms: self.now_ms(),
            tool: text(about.tool.as_ref().map(ToString::to_string)),
            secret: text(about.secret.as_ref().map(ToString::to_string)),
            // A call has the digits of a reference, and is found by them.
            reference: text(about.call.map(|call| call.to_string().replace("call_", "ref_"))),
        }
    }

    /// Forgets what an agent has read. Recorded and durable first.
    ///
    /// # Errors
    /// No such agent, or it is reading at this moment; not recorded, or not durable, and then it stays tainted.
    pub async fn untaint(&self, actor: Actor, name: &AgentName) -> Result<AgentView, AdminError> {
        self.require_unsealed()?;
        let _turn = self.admin.lock().await;
        let (mut record, seen) = self.agent_record(name)?;
        let taint = {
            // Whoever begins to read takes this lock too: either its read is counted here, or it sees the clearing and
            // marks the agent anew.
            let state = self.write();
            let entry = state.agents.get(name).ok_or(AdminError::Conflict)?;
            if entry.taint.reading.load(Ordering::SeqCst) > 0 {
                return Err(AdminError::invalid(
                    "the agent is reading at this moment",
                    format!("try again, or freeze it first: claviger freeze {name}"),
                ));
            }
            entry.taint.clearing.store(true, Ordering::SeqCst);
            Arc::clone(&entry.taint)
        };
        let cleared = async {
            let mut event = self.event(Kind::Untainted, actor);
            event.agent = Some(name.clone());
            self.ports.audit.record(event, Detail::default()).await?;
            record.tainted = false;
            record.tainted_at_ms = 0;
            record.taint.clear();
            self.put_agent(name, record, seen).await
        };
        let cleared = cleared.await;
        if cleared.is_ok() {
            lock(&taint.sources).clear();
            taint.unsaved.store(false, Ordering::SeqCst);
        }
        taint.clearing.store(false, Ordering::SeqCst);
        cleared?;
        self.agent(name)
    }

    /// One agent, with what tainted it.
    ///
    /// # Errors
    /// The vault is sealed, or there is no such agent.
    pub fn show_agent(&self, name: &AgentName) -> Result<AgentView, AdminError> {
        self.require_unsealed()?;
        self.agent(name)
    }

    /// Says whose writing does not taint those who read with this secret; nobody's where there is no pattern.
    ///
    /// # Errors
    /// No such secret, a pattern that is none or means everybody, not recorded, or not durable.
    pub async fn trust_authors(
        &self,
        actor: Actor,
        name: &SecretName,
        patterns: Vec<String>,
    ) -> Result<SecretView, AdminError> {
        self.require_unsealed()?;
        let mut kept = BTreeSet::new();
        for text in patterns {
            match text.parse::<Pattern>() {
                Ok(_) if text == "*" => {
                    return Err(AdminError::invalid(
                        "a pattern for everybody would leave nobody a stranger",
                        "name addresses or domains: family@example.org '*@example.com'",
                    ));
                }
                Ok(pattern) => drop(kept.insert(pattern.to_string())),
                Err(error) => {
                    return Err(AdminError::invalid(
                        error.to_string(),
                        "name addresses or domains: family@example.org '*@example.com'",
                    ));
                }
            }
        }
        if kept.len() > PATTERNS {
            return Err(AdminError::invalid(
                format!("a secret has at most {PATTERNS} trusted authors"),
                "a domain counts as one: '*@example.com'",
            ));
        }
        let _turn = self.admin.lock().await;
        let entry = self.secret_entry(name)?;
        let mut record = entry.record.clone();
        record.trusted_authors = kept.into_iter().collect();
        let mut event = self.event(Kind::TrustChanged, actor);
        event.secret = Some(name.clone());
        let mut detail = Detail::default();
        detail.add("authors", Some(&record.trusted_authors.join(", ")));
        self.ports.audit.record(event, detail).await?;
        let plain = || Plain::Sealed(Purpose::Record, records::encode(&record));
        let version = self.put_over(&secrets::key(name), entry.version, plain).await?;
        self.adopt_record(&entry, record, version);
        self.secret(name)
    }

    /// Writes what tainted agents since their records were written. Lost in a crash; the mark itself never is.
    pub(super) async fn save_taints(&self) {
        let unsaved: Vec<AgentName> = {
            let state = self.read();
            let unsaved = state.agents.iter().filter(|(_, entry)| entry.taint.unsaved.load(Ordering::SeqCst));
            unsaved.map(|(name, _)| name.clone()).collect()
        };
        for name in unsaved {
            let _turn = self.admin.lock().await;
            let Some(taint) = self.read().agents.get(&name).map(|entry| Arc::clone(&entry.taint)) else {
                continue;
            };
            taint.unsaved.store(false, Ordering::SeqCst);
            if let Err(error) = self.save_agent(&name).await {
                taint.unsaved.store(true, Ordering::SeqCst);
                tracing::warn!(agent = %name, %error, "what tainted it could not be saved yet");
            }
        }
    }
}
