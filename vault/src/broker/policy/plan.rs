//! What a list of grants would change, and changing it: the same list twice changes nothing the second time.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use claviger_canonical::Digest;
use claviger_domain::caveat::Caveat;
use claviger_domain::event::{Actor, Detail, Kind};
use claviger_domain::grant::Grant;
use claviger_domain::id::{GrantId, HandleId};
use claviger_domain::sentence::sentence;

use super::super::error::AdminError;
use super::super::persist::Plain;
use super::super::records::{self, GrantRecord};
use super::super::state::GrantEntry;
use super::super::{Broker, lock};
use super::{Change, ChangeKind, PlanAsk, Planned};
use crate::port::Purpose;

/// The most grants one list may have.
const MOST: usize = 500;

impl Broker {
    /// Says what a list of grants would change, and changes it where the plan that was looked at is still the same.
    ///
    /// Changes are carried out one by one, each whole. Where one fails, those before it stand: the same list again does
    /// the rest.
    ///
    /// # Errors
    /// As for making a grant; a name twice; with `apply`, a test that does not hold or a plan that has changed since.
    pub async fn plan(self: &Arc<Self>, admin: Actor, ask: PlanAsk) -> Result<Planned, AdminError> {
        self.require_unsealed()?;
        let broker = Arc::clone(self);
        self.in_task(async move { broker.try_plan(admin, ask).await }).await
    }

    async fn try_plan(self: &Arc<Self>, admin: Actor, ask: PlanAsk) -> Result<Planned, AdminError> {
        let PlanAsk { grants, tests, prune, apply } = ask;
        if grants.len() > MOST {
            return Err(AdminError::invalid(
                format!("a list has at most {MOST} grants"),
                "make one list for each agent",
            ));
        }
        let mut desired: Vec<Grant> = Vec::with_capacity(grants.len());
        for grant in grants {
            let grant = self.proposed(admin.clone(), grant).await?;
            let twice = |other: &Grant| {
                other.agent == grant.agent && other.name.is_some() && other.name == grant.name
            };
            if let Some(other) = desired.iter().find(|other| twice(other)) {
                return Err(AdminError::invalid(
                    format!(
                        "two grants to {} are called {}",
                        other.agent,
                        other.name.as_deref().unwrap_or_default()
                    ),
                    "give each its own name",
                ));
            }
            desired.push(grant);
        }
        let mut planned = self.compare(desired, prune);
        planned.changes.sort_by_key(turn);
        planned.digest = digest(&planned.changes);
        let after = in_order(&planned.changes);
        {
            let (state, now_ms) = (self.read(), self.now_ms());
            for test in tests {
                let got = self.verdict(&state, &after, &test.call, now_ms)?;
                planned.tests.push((test, got));
            }
        }
        let Some(digest) = apply else { return Ok(planned) };
        if let Some((test, got)) = planned.tests.iter().find(|(test, got)| test.word != got.word()) {
            return Err(AdminError::invalid(
                format!(
                    "a test of the list does not hold: {} {} is to be {}, and would be {}",
                    test.call.agent,
                    test.call.tool,
                    test.word,
                    got.word()
                ),
                "nothing was changed; look at it with `claviger plan`",
            ));
        }
        if digest != planned.digest {
            return Err(AdminError::Conflict);
        }
        for change in &planned.changes {
            self.carry_out(admin.clone(), change).await?;
        }
        planned.applied = true;
        Ok(planned)
    }

    /// Sets what is to be against what is.
    fn compare(&self, desired: Vec<Grant>, prune: bool) -> Planned {
        let now_ms = self.now_ms();
        let mut present: Vec<Grant> = {
            let state = self.read();
            let agents: std::collections::BTreeSet<_> = desired.iter().map(|grant| &grant.agent).collect();
            let live = agents.into_iter().flat_map(|agent| state.live_grants(agent, now_ms));
            live.map(|entry| entry.grant.clone()).collect()
        };
        let mut changes = Vec::new();
        for wanted in desired {
            let found = find(&present, &wanted).map(|at| present.remove(at));
            changes.extend(difference(found, wanted, now_ms));
        }
        let rest = if prune { ChangeKind::Revoke } else { ChangeKind::Unmanaged };
        changes.extend(present.into_iter().map(|grant| Change {
            kind: rest,
            after: (rest == ChangeKind::Unmanaged).then(|| grant.clone()),
            before: Some(grant),
        }));
        Planned { digest: String::new(), changes, tests: Vec::new(), applied: false }
    }

    async fn carry_out(self: &Arc<Self>, admin: Actor, change: &Change) -> Result<(), AdminError> {
        match (change.kind, &change.before, &change.after) {
            (ChangeKind::Add, _, Some(grant)) => self.make_grant(admin, grant.clone()).await.map(|_| ()),
            (ChangeKind::Revoke, Some(grant), _) => self.revoke(admin, grant.id).await.map(|_| ()),
            (ChangeKind::Change, Some(before), Some(after)) => {
                self.change_grant(admin, before, after.clone()).await
            }
            _ => Ok(()),
        }
    }

    /// Puts a grant in the place of what it was: the same id, the same handle, the same counters.
    async fn change_grant(
        self: &Arc<Self>,
        admin: Actor,
        before: &Grant,
        after: Grant,
    ) -> Result<(), AdminError> {
        let turn = self.admin.lock().await;
        let id = after.id;
        let entry = self.read().grants.get(&id).cloned();
        let entry = entry.filter(|entry| entry.grant == *before && entry.alive(self.now_ms()).is_ok());
        let entry = entry.ok_or(AdminError::Conflict)?;
        self.require_own_names(&after, self.now_ms())?;
        let mut event = self.event(Kind::GrantChanged, admin.clone());
        event.agent = Some(after.agent.clone());
        event.secret = Some(after.secret.clone());
        event.grant = Some(id);
        let mut detail = Detail::default();
        detail.add("before", Some(&sentence(before)));
        detail.add("after", Some(&sentence(&after)));
        self.ports.audit.record(event, detail).await?;
        let plain = || Plain::Sealed(Purpose::Record, records::encode(&GrantRecord::of(&after)));
        let version = self.put_over(&format!("grant/{id}"), entry.version, plain).await?;
        {
            let mut state = self.write();
            // A revocation that came meanwhile stays: it waits for its turn now.
            let revoked =
                state.grants.get(&id).is_none_or(|now| now.revoked.load(std::sync::atomic::Ordering::SeqCst));
            let revoked = AtomicBool::new(revoked);
            // What was decided under the old words carries the old bounds.
            if let Some(agent) = state.agents.get_mut(&after.agent) {
                agent.rules += 1;
            }
            state.grants.insert(id, Arc::new(GrantEntry { grant: after, version, revoked }));
        }
        let agent = before.agent.clone();
        lock(&self.capabilities).forget(|minted| minted.agent == agent);
        self.changed();
        drop(turn);
        self.end_tasks(admin, id).await
    }

    /// Ends what the owner agreed to as a task under the old words: nobody agreed to it under the new ones.
    async fn end_tasks(self: &Arc<Self>, admin: Actor, grant: GrantId) -> Result<(), AdminError> {
        let tasks: Vec<HandleId> = {
            let state = self.read();
            let of_grant = state.handles.children(grant).iter();
            of_grant.filter(|entry| entry.handle.task).map(|entry| entry.handle.id).collect()
        };
        for task in tasks {
            match self.revoke_handle(admin.clone(), task).await {
                Ok(_) | Err(AdminError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The present grant that a wanted one describes: by its name, or else by agent, secret and tools.
fn find(present: &[Grant], wanted: &Grant) -> Option<usize> {
    if wanted.name.is_some() {
        return present.iter().position(|grant| grant.agent == wanted.agent && grant.name == wanted.name);
    }
    let alike = |grant: &Grant| {
        grant.name.is_none()
            && grant.agent == wanted.agent
            && grant.secret == wanted.secret
            && grant.deny == wanted.deny
            && grant.tools.iter().map(|tool| &tool.name).eq(wanted.tools.iter().map(|tool| &tool.name))
    };
    let same = present.iter().position(|grant| alike(grant) && same(grant, wanted));
    same.or_else(|| present.iter().position(alike))
}

fn difference(found: Option<Grant>, mut wanted: Grant, now_ms: u64) -> Vec<Change> {
    let add = |wanted| Change { kind: ChangeKind::Add, before: None, after: Some(wanted) };
    match found {
        None => vec![add(wanted)],
        // What uses another secret, or forbids what it allowed, is another grant.
        Some(before) if before.secret != wanted.secret || before.deny != wanted.deny => {
            vec![Change { kind: ChangeKind::Revoke, before: Some(before), after: None }, add(wanted)]
        }
        Some(before) => {
            wanted.id = before.id;
            wanted.root = before.root;
            wanted.created_at_ms = before.created_at_ms;
            wanted.state = before.state;
            wanted.expires_at_ms = end(&before, &wanted, now_ms);
            let kind = if same(&before, &wanted) { ChangeKind::Keep } else { ChangeKind::Change };
            let after = if kind == ChangeKind::Keep { before.clone() } else { wanted };
            vec![Change { kind, before: Some(before), after: Some(after) }]
        }
    }
}

/// When a changed grant ends: as it was where neither its span nor a moment among its bounds is another, or else by what
/// they say now.
fn end(before: &Grant, wanted: &Grant, now_ms: u64) -> Option<u64> {
    let moments = |grant: &Grant| {
        let moments = grant.caveats.iter().filter_map(|caveat| match caveat {
            Caveat::Expires(at_ms) => Some(*at_ms),
            _ => None,
        });
        moments.collect::<Vec<_>>()
    };
    let (then, now) = (moments(before), moments(wanted));
    let same_span = wanted.lasts_s == before.lasts_s;
    if same_span && then == now {
        return before.expires_at_ms;
    }
    let span = wanted.lasts_s.map(|seconds| {
        let first = before.created_at_ms + seconds * 1000;
        match before.expires_at_ms {
            _ if !same_span => now_ms + seconds * 1000,
            // A moment came before the end of the span, which may have begun anew since the grant was made.
            Some(end) if then.contains(&end) => first.max(end),
            Some(end) => end,
            None => first,
        }
    });
    now.into_iter().chain(span).min()
}

/// When a change has its turn: what forbids comes before what allows, and goes after it, so that a plan that stops on the
/// way never allows what its whole would not.
fn turn(change: &Change) -> u8 {
    let deny = change.after.as_ref().or(change.before.as_ref()).is_some_and(|grant| grant.deny);
    match (change.kind, deny) {
        (ChangeKind::Add | ChangeKind::Change, true) => 0,
        (ChangeKind::Revoke, false) => 1,
        (ChangeKind::Add | ChangeKind::Change | ChangeKind::Keep | ChangeKind::Unmanaged, _) => 2,
        (ChangeKind::Revoke, true) => 3,
    }
}

/// The grants that would stand, in the order in which they would be asked: those that are there as they were made, then
/// the new ones.
fn in_order(changes: &[Change]) -> Vec<&Grant> {
    let there = |change: &&Change| change.before.is_some();
    let mut old: Vec<&Grant> =
        changes.iter().filter(there).filter_map(|change| change.after.as_ref()).collect();
    old.sort_by_key(|grant| (grant.created_at_ms, grant.id));
    old.extend(
        changes.iter().filter(|change| change.before.is_none()).filter_map(|change| change.after.as_ref()),
    );
    old
}

/// Whether two grants say the same; what people call the ids, and the moment they were made, aside.
fn same(one: &Grant, other: &Grant) -> bool {
    let bare = |grant: &Grant| {
        let caveats = grant.caveats.iter().cloned().map(|caveat| match caveat {
            Caveat::Resource(mut bound) => {
                bound.shown = Vec::new();
                Caveat::Resource(bound)
            }
            other => other,
        });
        caveats.collect::<Vec<_>>()
    };
    one.tools == other.tools
        && bare(one) == bare(other)
        && one.approve == other.approve
        && one.trusted_sink == other.trusted_sink
        && one.lasts_s == other.lasts_s
        && one.name == other.name
}

/// A digest of what would change. The ids of grants that are not there yet are no part of it: they are drawn anew each
/// time.
fn digest(changes: &[Change]) -> String {
    let mut text = String::new();
    for change in changes {
        let say = |grant: &Option<Grant>| {
            grant.as_ref().map(|grant| {
                let tools: Vec<String> =
                    grant.tools.iter().map(|tool| format!("{} {}", tool.name, tool.definition)).collect();
                let caveats: Vec<String> = grant.caveats.iter().map(|caveat| format!("{caveat:?}")).collect();
                format!(
                    "{}|{}|{}|{:?}|{:?}|{}|{}|{:?}|{:?}",
                    grant.agent,
                    grant.secret,
                    tools.join(","),
                    caveats,
                    grant.approve,
                    grant.deny,
                    grant.trusted_sink,
                    grant.lasts_s,
                    grant.name
                )
            })
        };
        let id = change.before.as_ref().map(|grant| grant.id.to_string());
        text.push_str(&format!(
            "{}|{id:?}|{:?}|{:?}\n",
            change.kind.as_str(),
            say(&change.before),
            say(&change.after)
        ));
    }
    let digest = Digest::of(text.as_bytes());
    digest.as_bytes().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
