//! An admin who changes things while agents call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use claviger_proto::v1::admin_service_client::AdminServiceClient;
use claviger_proto::v1::{
    AddGrantRequest, Caveat, CheckpointRequest, DecideRequest, FreezeRequest, ListApprovalsRequest,
    Oauth2Value, ReadLogRequest, Resource, RevokeRequest, RotateSecretRequest, SecretValue, StatusRequest,
    ThawRequest, caveat, secret_value,
};
use tonic::Status;
use tonic::transport::Channel;

use super::dice::Dice;
use super::ledger::{Fate, Frost, Ledger, now_ms};
use super::{DOOR, MAIL};
use crate::world::AGENT;

/// The longest that a change may take: a rotation waits for what is under way.
const LONGEST: Duration = Duration::from_secs(90);
/// How many grants of the agent whose grants come and go live at a time.
const GRANTS: usize = 3;

/// What a rotation by hand is made of.
pub struct Fresh {
    /// The OAuth client's id and secret.
    pub client: (String, String),
    /// Refresh tokens that nobody had yet.
    pub tokens: Vec<String>,
}

/// One who changes one thing after another.
pub struct Admin {
    pub(super) client: AdminServiceClient<Channel>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) dice: Dice,
    pub(super) fresh: Fresh,
    /// Whether the service renews refresh tokens now.
    pub(super) renews: bool,
    pub(super) stop: Arc<AtomicBool>,
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Grant,
    Revoke,
    Freeze,
    Thaw,
    Rotate,
    Renew,
    Decide,
    Checkpoint,
    Look,
}

const OPS: [(Op, u64); 9] = [
    (Op::Grant, 4),
    (Op::Revoke, 3),
    (Op::Freeze, 2),
    (Op::Thaw, 4),
    (Op::Rotate, 1),
    (Op::Renew, 1),
    (Op::Decide, 4),
    (Op::Checkpoint, 1),
    (Op::Look, 1),
];

impl Admin {
    /// Changes things until it is told to stop, or nobody answers. Returns what must not be.
    pub async fn run(mut self) -> Vec<String> {
        let mut troubles = Vec::new();
        while !self.stop.load(Ordering::SeqCst) {
            let op = self.dice.pick(&OPS);
            match tokio::time::timeout(LONGEST, self.one(op)).await {
                Ok(Ok(())) => {}
                // A refusal is an answer like any other; nothing was changed, or it is not known.
                Ok(Err(status)) if claviger_proto::refusal::from_status(&status).is_some() => {}
                Ok(Err(_)) => break,
                Err(_) => troubles.push(format!("the admin's {op:?} has no end")),
            }
            tokio::task::yield_now().await;
        }
        troubles
    }

    async fn one(&mut self, op: Op) -> Result<(), Status> {
        match op {
            Op::Grant => self.grant().await,
            Op::Revoke => self.revoke().await,
            Op::Freeze => self.freeze().await,
            Op::Thaw => self.thaw().await,
            Op::Rotate => self.rotate().await,
            Op::Renew => self.renew().await,
            Op::Decide => self.decide().await,
            Op::Checkpoint => self.client.checkpoint(CheckpointRequest {}).await.map(drop),
            Op::Look => {
                self.client.status(StatusRequest {}).await?;
                let all = ReadLogRequest { limit: 50, ..ReadLogRequest::default() };
                self.client.read_log(all).await.map(drop)
            }
        }
    }

    async fn grant(&mut self) -> Result<(), Status> {
        if self.ledger.book().grants.values().filter(|(_, fate)| *fate == Fate::Active).count() >= GRANTS {
            return Ok(());
        }
        let made = self.client.add_grant(grant(DOOR, "drive/me", "drive.create_file", Vec::new())).await?;
        let made = made.into_inner();
        let mut book = self.ledger.book();
        book.grants.insert(made.id, (made.handle, Fate::Active));
        book.told += 1;
        Ok(())
    }

    async fn revoke(&mut self) -> Result<(), Status> {
        let chosen = {
            let mut book = self.ledger.book();
            let active: Vec<String> = book
                .grants
                .iter()
                .filter(|(_, (_, fate))| *fate == Fate::Active)
                .map(|(id, _)| id.clone())
                .collect();
            let chosen = active.get(self.dice.below(active.len() as u64) as usize).cloned();
            if let Some((_, fate)) = chosen.as_ref().and_then(|id| book.grants.get_mut(id)) {
                *fate = Fate::Perhaps;
            }
            chosen
        };
        let Some(id) = chosen else { return Ok(()) };
        self.client.revoke(RevokeRequest { id: id.clone() }).await?;
        let told = now_ms();
        let mut book = self.ledger.book();
        if let Some((_, fate)) = book.grants.get_mut(&id) {
            *fate = Fate::Revoked(told);
        }
        book.told += 1;
        Ok(())
    }

    async fn freeze(&mut self) -> Result<(), Status> {
        // One that is frozen stays so since then.
        if matches!(self.ledger.book().frost, Some(Frost::Frozen(_))) {
            return Ok(());
        }
        self.ledger.book().frost = Some(Frost::Perhaps);
        self.client.freeze(FreezeRequest { name: DOOR.into(), why: "a test".into() }).await?;
        let told = now_ms();
        let mut book = self.ledger.book();
        book.frost = Some(Frost::Frozen(told));
        book.told += 1;
        Ok(())
    }

    async fn thaw(&mut self) -> Result<(), Status> {
        {
            let mut book = self.ledger.book();
            if let Some(Frost::Frozen(from)) = book.frost {
                let to = now_ms();
                book.freezes.push((from, to));
            }
            book.frost = Some(Frost::Perhaps);
        }
        self.client.thaw(ThawRequest { name: DOOR.into() }).await?;
        let mut book = self.ledger.book();
        book.frost = Some(Frost::Thawed);
        book.told += 1;
        Ok(())
    }

    /// Enters a new refresh token.
    async fn rotate(&mut self) -> Result<(), Status> {
        let Some(token) = self.fresh.tokens.pop() else { return Ok(()) };
        let (client_id, client_secret) = self.fresh.client.clone();
        let value = Oauth2Value { client_id, client_secret, refresh_token: token.clone() };
        let value = SecretValue { kind: Some(secret_value::Kind::Oauth2(value)) };
        self.ledger.book().rotating = true;
        let rotated =
            self.client.rotate_secret(RotateSecretRequest { name: MAIL.into(), value: Some(value) }).await?;
        let mut book = self.ledger.book();
        let old = std::mem::replace(&mut book.token, token);
        book.replaced.push(old);
        self.rotated(&mut book, rotated.into_inner().secret.map_or(0, |secret| secret.version));
        Ok(())
    }

    /// Has the service give out a new refresh token.
    async fn renew(&mut self) -> Result<(), Status> {
        if !self.renews {
            return Ok(());
        }
        self.ledger.book().rotating = true;
        let rotated =
            self.client.rotate_secret(RotateSecretRequest { name: MAIL.into(), value: None }).await?;
        let mut book = self.ledger.book();
        self.rotated(&mut book, rotated.into_inner().secret.map_or(0, |secret| secret.version));
        Ok(())
    }

    fn rotated(&self, book: &mut super::ledger::Book, version: u32) {
        book.version = book.version.max(version);
        book.rotating = false;
        book.told += 1;
        book.rotations += 1;
    }

    /// Agrees to what waits.
    async fn decide(&mut self) -> Result<(), Status> {
        let asked = ListApprovalsRequest { agent: AGENT.into(), all: false };
        let waiting = self.client.list_approvals(asked).await?.into_inner().approvals;
        for approval in waiting.into_iter().filter(|approval| approval.state == "pending") {
            let yes = DecideRequest { id: approval.id.clone(), yes: true, answer: String::new() };
            self.client.decide(yes).await?;
            let told = now_ms();
            // What the person saw says which call it is, also where the agent's answer was lost.
            let subject = approval.shown.iter().find_map(|line| {
                line.text
                    .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
                    .find(|word| word.starts_with("asked-"))
            });
            let mut wishes = self.ledger.wishes();
            let wish = wishes.entry(approval.id).or_default();
            wish.agreed_ms = Some(told);
            if let Some(subject) = subject {
                wish.subject = Some(subject.to_owned());
            }
            drop(wishes);
            self.ledger.book().told += 1;
        }
        Ok(())
    }
}

/// A grant that asks nobody, bounded to the folder of the agents where it is of files.
#[must_use]
pub fn grant(agent: &str, secret: &str, tool: &str, mut caveats: Vec<Caveat>) -> AddGrantRequest {
    if secret.starts_with("drive") {
        let folder = Resource { name: "folder".into(), values: vec!["Agent".into()], ..Resource::default() };
        caveats.push(Caveat { kind: Some(caveat::Kind::Resource(folder)) });
    }
    AddGrantRequest {
        agent: agent.to_owned(),
        secret: secret.to_owned(),
        tools: vec![tool.to_owned()],
        caveats,
        approve: "never".to_owned(),
        expires_in_seconds: 86_400,
        ..AddGrantRequest::default()
    }
}
