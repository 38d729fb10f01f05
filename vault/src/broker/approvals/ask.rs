//! Asking a person for one exact call.

use std::sync::Arc;

use claviger_domain::approval::{Approval, CALL_LIFE_MS, Call, Kind, State};
use claviger_domain::event::{Actor, Detail, Kind as EventKind};
use claviger_domain::id::ApprovalId;
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::seen::Seen;
use claviger_domain::show::excerpt;

use super::{Entry, key};
use crate::broker::Broker;
use crate::broker::error::AdminError;
use crate::broker::mint::{Calling, shown};
use crate::broker::records::{ApprovalRecord, SeenRecord};

/// The most bytes of arguments and of what was seen that one approval keeps: a record has its bounds, and a person too.
const MOST_BYTES: usize = 700 * 1024;

/// How long the line is by which an approval stands in a list, in characters.
const SUMMARY: usize = 160;

impl Broker {
    /// Asks a person for that call: the denial says by which id it is collected. The same call asked for again is the
    /// same approval.
    pub(in crate::broker) async fn ask_person(
        self: &Arc<Self>,
        calling: &Calling<'_>,
        seen: &Seen,
        call: Call,
        why: String,
    ) -> Denial {
        let agent = call.agent.clone();
        let approve = calling.presented.grant.grant.approve;
        let pending = |id: ApprovalId| {
            Denial::new(Class::Pending)
                .field("approval")
                .caveat(format!("approve = {}", approve.as_str()))
                .fix(format!("look at it and decide: claviger approve {id}"))
                .approval(id)
        };
        let bytes = calling.arguments.bytes().len()
            + seen.shown.iter().map(|(name, text)| name.len() + text.len()).sum::<usize>();
        if bytes > MOST_BYTES {
            return Denial::new(Class::BadArguments)
                .field("approval")
                .fix("it is too large to be shown to a person: make it smaller");
        }
        let now_ms = self.now_ms();
        let approval = Approval {
            id: ApprovalId::from_bytes(self.random()),
            kind: Kind::Call,
            agent: agent.clone(),
            call: Some(call),
            written: State::Pending,
            created_at_ms: now_ms,
            expires_at_ms: now_ms + CALL_LIFE_MS,
            why,
        };
        let mut record = ApprovalRecord::of(&approval);
        record.summary = excerpt(&shown(calling.tool, calling.args), SUMMARY);
        record.arguments = calling.arguments.bytes().to_vec();
        record.seen = Some(SeenRecord::of(seen, self.is_tainted(&agent)));
        {
            let mut table = self.approvals.lock();
            let same = |entry: &&Entry| {
                entry.approval.call == approval.call
                    && matches!(entry.approval.state(now_ms), State::Pending | State::Approved)
            };
            if let Some(entry) = table.entries.values().find(same) {
                return pending(entry.approval.id);
            }
            if let Err(denial) = table.admit(&approval, now_ms) {
                return denial;
            }
            table.entries.insert(approval.id, Entry::new(approval.clone(), &record, 0));
        }
        let mut event = self.event(EventKind::ApprovalAsked, Actor::Adapter(calling.adapter.clone()));
        calling.about.fill(&mut event);
        event.secret_version = approval.call.as_ref().map(|call| call.secret_version);
        event.effect = Some(seen.effect);
        let mut detail = Detail::default();
        detail.add("approval", Some(&approval.id.to_string()));
        detail.add("why", Some(&approval.why));
        detail.add("arguments", calling.about.arguments.as_deref());
        let id = approval.id;
        match self.keep_new(approval, record, event, detail).await {
            Ok(()) => pending(id),
            Err(_) => Denial::new(Class::Unavailable)
                .field("approval")
                .fix("it could not be recorded that a person is asked"),
        }
    }

    /// Makes an entry durable that stands in the table already, once it is recorded; takes it out again where that
    /// fails. Runs to its end, even if whoever asked goes away.
    pub(super) async fn keep_new(
        self: &Arc<Self>,
        approval: Approval,
        record: ApprovalRecord,
        event: claviger_domain::event::Event,
        detail: Detail,
    ) -> Result<(), AdminError> {
        let broker = Arc::clone(self);
        self.in_task(async move {
            let id = approval.id;
            let gone = broker.approvals.lock().too_many(&approval.agent, approval.created_at_ms);
            let kept = async {
                broker.ports.audit.record(event, detail).await?;
                let deletes = gone.iter().map(|(id, version)| (key(*id), *version)).collect();
                broker.commit_all(vec![Self::approval_put(&record, id, 0)], deletes).await
            };
            match kept.await {
                Ok(()) => {
                    broker.forget_entries(&gone);
                    broker.approvals.lock().settled(id, &record, 1);
                    Ok(())
                }
                Err(error) => {
                    tracing::warn!(%error, "nobody could be asked");
                    broker.approvals.lock().entries.remove(&id);
                    Err(error)
                }
            }
        })
        .await
    }
}
