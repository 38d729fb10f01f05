//! What the writer does besides records: details, checkpoints, the key.

use std::io;

use super::super::checkpoint::{Checkpoint, Signer};
use super::super::disk::{is_full, replace};
use super::super::queue::{CheckpointFault, Class, Control, Job, ROOM};
use super::Writer;
use crate::port::AuditFault;

impl Writer {
    /// Details are a service to the owner, not part of the promise: a failure costs them and nothing else.
    pub(super) fn write_details(&mut self, group: &[Job]) {
        const DAY_MS: u64 = 86_400_000;
        let mut details = group
            .iter()
            .filter_map(|job| Some((job.event.at_ms, (job.event.reference, job.sealed.as_deref()?))))
            .peekable();
        while let Some((at_ms, first)) = details.next() {
            let mut same_day = vec![first];
            while let Some((_, next)) = details.next_if(|(at, _)| at / DAY_MS == at_ms / DAY_MS) {
                same_day.push(next);
            }
            if let Err(fault) = self.sidecar.append(at_ms, &same_day) {
                tracing::warn!(%fault, "details of audit events are not kept");
            }
        }
    }

    pub(super) fn sync_details(&mut self) {
        if let Err(fault) = self.sidecar.sync() {
            tracing::warn!(%fault, "details of audit events may be lost");
        }
    }

    pub(super) fn control(&mut self, control: Control) {
        // Whoever asked may be gone: the answers are sent for what they are worth.
        match control {
            Control::Unsealed(signer, reply) => {
                let _ = reply.send(self.unseal(signer));
            }
            Control::Checkpoint(revision, reply) => {
                self.store_revision = self.store_revision.max(revision);
                let _ = reply.send(self.checkpoint());
            }
            Control::Sealing(reply) => {
                let signed = self.checkpoint().map(|_| ());
                self.sync_details();
                self.signer = None;
                let _ = reply.send(signed);
            }
            Control::Sweep(now_ms, reply) => {
                let erased = self.sidecar.sweep(now_ms, self.limits.retention_ms);
                let _ = reply.send(erased.map_err(|_| AuditFault::Broken));
            }
            Control::Settle(reply) => {
                let _ = reply.send(());
            }
            Control::Probe => {
                if self.fits(Class::Intent, ROOM) {
                    self.shared.set_trouble(None);
                } else {
                    let _ = self.make_room(Class::Intent, ROOM);
                }
            }
        }
    }

    pub(super) fn unseal(&mut self, signer: Box<Signer>) -> Result<(), CheckpointFault> {
        let text = signer.verifier().text() + "\n";
        match std::fs::read_to_string(self.dir.join("audit.pub")) {
            Ok(there) if there == text => {}
            Ok(_) => return Err(CheckpointFault::OtherKey),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                replace(self.disk.as_ref(), &self.dir, "audit.pub", text.as_bytes()).map_err(broken)?;
            }
            Err(fault) => return Err(broken(fault)),
        }
        self.signer = Some(signer);
        self.checkpoint().map(|_| ())
    }

    /// Signs all that is durable, and keeps the note.
    pub(super) fn checkpoint(&mut self) -> Result<String, CheckpointFault> {
        if self.signer.is_none() {
            return Err(CheckpointFault::Sealed);
        }
        if !self.carry.is_empty() {
            return Err(self.shared.trouble().unwrap_or(AuditFault::Broken).into());
        }
        self.name_current().map_err(CheckpointFault::Log)?;
        let signer = self.signer.as_ref().ok_or(CheckpointFault::Sealed)?;
        let root = self.tree.root();
        let note = signer.sign(self.tree.size(), &root, self.store_revision);
        replace(self.disk.as_ref(), &self.dir, "checkpoint", note.as_bytes()).map_err(broken)?;
        self.shared.set_last_checkpoint(Some(Checkpoint {
            origin: note.lines().next().unwrap_or_default().to_owned(),
            size: self.tree.size(),
            root,
            store_revision: self.store_revision,
        }));
        self.unsigned = 0;
        self.sync_details();
        Ok(note)
    }
}

fn broken(fault: io::Error) -> CheckpointFault {
    tracing::warn!(%fault, "the checkpoint of the audit log could not be written");
    CheckpointFault::Log(if is_full(&fault) { AuditFault::Full } else { AuditFault::Broken })
}
