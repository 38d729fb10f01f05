//! The handle by which a test holds a stand-in.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::calendar::{Calendars, Invitation};
use crate::config::{Config, ConsentMode};
use crate::drive::Drive;
use crate::faults::Fault;
use crate::gmail::{Mailbox, Sent};
use crate::log::LoggedRequest;
use crate::pages::Pages;
use crate::people::People;
use crate::scopes;
use crate::seed::{SeedEvent, SeedFile, SeedMail};
use crate::server::{Shared, serve};
use crate::tls;
use crate::tokens::{Lineage, Tokens};
use crate::world::World;

/// When seeded drafts were written: 7 November 2026, in milliseconds since 1970.
const SEEDED_MS: i64 = 1_794_009_600_000;

/// A running stand-in. Dropping it ends it without waiting; [`StandIn::shutdown`] waits.
#[derive(Debug)]
pub struct StandIn {
    shared: Arc<Shared>,
    ca_pem: String,
    client_id: String,
    client_secret: String,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl StandIn {
    /// Starts a stand-in on 127.0.0.1.
    ///
    /// # Errors
    /// When the port is taken, or a seeded mail or file is malformed.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await.context("cannot listen")?;
        let origin = format!("https://localhost:{}", listener.local_addr()?.port());
        let (tls, ca_pem) = tls::server_config(config.http2)?;
        let mut tokens = Tokens::new(config.token_lifetime, config.rotate_refresh);
        let (client_id, client_secret) = tokens.add_client();
        let mut mailbox = Mailbox::default();
        for label in &config.seed.labels {
            mailbox.add_label(label);
        }
        for mail in &config.seed.mails {
            mailbox.add(mail).map_err(|error| anyhow::anyhow!("a seeded mail is malformed: {error:?}"))?;
        }
        for draft in &config.seed.drafts {
            mailbox
                .add_draft(draft, SEEDED_MS)
                .map_err(|error| anyhow::anyhow!("a seeded draft is malformed: {error:?}"))?;
        }
        let mut drive = Drive::new(&config.seed.owner.email);
        for file in &config.seed.files {
            drive
                .add(file)
                .with_context(|| format!("the folder of {} is not in the seed before it", file.path))?;
        }
        let mut calendars = Calendars::new(&config.seed.owner.email);
        for calendar in &config.seed.calendars {
            let _ = calendars.add_calendar(calendar);
        }
        for event in &config.seed.events {
            calendars
                .add_event(event)
                .with_context(|| format!("the calendar of {} is not in the seed", event.title))?;
        }
        let mut people = People::default();
        config.seed.contacts.iter().for_each(|contact| people.add(contact));
        let world = World {
            owner: config.seed.owner,
            consent: ConsentMode::Grant,
            tokens,
            mailbox,
            drive,
            calendars,
            people,
            pages: Pages::default(),
        };
        let shared = Arc::new(Shared::new(origin, config.control, world));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve(listener, tls, Arc::clone(&shared), stopped));
        Ok(Self { shared, ca_pem, client_id, client_secret, stop, task })
    }

    /// `https://localhost:PORT`. The certificate is good for 127.0.0.1, `::1` and `stand-in.test`, too.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.shared.origin
    }

    /// The certificate of the stand-in's own authority, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The OAuth client's id.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The OAuth client's secret.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        &self.client_secret
    }

    /// Registers one more OAuth client; returns its id and secret.
    #[must_use]
    pub fn add_client(&self) -> (String, String) {
        self.shared.state().world.tokens.add_client()
    }

    /// Ends the server and all its connections, and waits for it.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        let _ = (&mut self.task).await;
    }

    /// Puts the stand-in's clock forward: tokens and codes expire, new mails are later.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// The time by the stand-in's clock, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.shared.clock.now_ms()
    }

    /// The mails that were sent, oldest first.
    #[must_use]
    pub fn outbox(&self) -> Vec<Sent> {
        self.shared.state().world.mailbox.outbox.clone()
    }

    /// Every request that arrived, oldest first; not those to `/stand-in/`.
    #[must_use]
    pub fn log(&self) -> Vec<LoggedRequest> {
        self.shared.state().log.clone()
    }

    /// How many requests the log has.
    #[must_use]
    pub fn arrived(&self) -> usize {
        self.shared.state().log.len()
    }

    /// Takes the log away: what was in it.
    #[must_use]
    pub fn take_log(&self) -> Vec<LoggedRequest> {
        std::mem::take(&mut self.shared.state().log)
    }

    /// The paths of all files that are no folders; one that is there twice is told twice.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let (_, files) = self.shared.state().world.drive.paths();
        files.into_iter().map(|(path, _)| path).collect()
    }

    /// For each time that a replaced refresh token came back while its family lived, which ends the family: whether the
    /// access token that came with the newest refresh token had been used by then. A client that makes a new refresh
    /// token durable before it uses what came with it never sees `true`, wherever it is killed.
    #[must_use]
    pub fn reuses(&self) -> Vec<bool> {
        self.shared.state().world.tokens.reuses.clone()
    }

    /// Empties the log.
    pub fn clear_log(&self) {
        self.shared.state().log.clear();
    }

    /// Orders a fault for the next request whose path begins with `prefix` (`""`: any).
    pub fn fault_once(&self, prefix: &str, fault: Fault) {
        self.shared.state().faults.add(prefix, fault, false);
    }

    /// Orders a fault for every request whose path begins with `prefix`, until [`StandIn::clear_faults`].
    pub fn fault_always(&self, prefix: &str, fault: Fault) {
        self.shared.state().faults.add(prefix, fault, true);
    }

    /// Forgets all ordered faults.
    pub fn clear_faults(&self) {
        self.shared.state().faults.clear();
    }

    /// Says what the pretended user does on the consent page from now on.
    pub fn set_consent(&self, consent: ConsentMode) {
        self.shared.state().world.consent = consent;
    }

    /// Turns rotation of refresh tokens on or off.
    pub fn set_rotate_refresh(&self, rotate: bool) {
        self.shared.state().world.tokens.rotate = rotate;
    }

    /// Sets how long a refresh token is still taken after another took its place; none at first.
    pub fn set_refresh_grace(&self, grace: Duration) {
        self.shared.state().world.tokens.grace = grace;
    }

    /// Where a token stands in its family, by its name in the log ([`LoggedRequest::token_id`]).
    #[must_use]
    pub fn lineage(&self, token_id: &str) -> Option<Lineage> {
        self.shared.state().world.tokens.lineage(token_id)
    }

    /// The newest refresh token of a token's family: its generation, and whether the family was revoked. `None`: there is
    /// no such token.
    #[must_use]
    pub fn newest(&self, token: &str) -> Option<(Lineage, bool)> {
        let state = self.shared.state();
        let tokens = &state.world.tokens;
        let family = tokens.lineage(&LoggedRequest::token_id(token))?.family;
        Some((Lineage { family, generation: tokens.generation(family) }, tokens.is_revoked(family)))
    }

    /// Sets how long access tokens live that are issued from now on.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.shared.state().world.tokens.lifetime = lifetime;
    }

    /// Revokes every token, as the owner can on Google's account page.
    pub fn revoke_all(&self) {
        self.shared.state().world.tokens.revoke_all();
    }

    /// Revokes one token and its family; `false` if it is unknown or already dead.
    #[must_use]
    pub fn revoke(&self, token: &str) -> bool {
        let now = self.now_ms();
        self.shared.state().world.tokens.revoke(token, now)
    }

    /// Every access token and every refresh token that it has ever given out.
    #[must_use]
    pub fn issued(&self) -> Vec<String> {
        self.shared.state().world.tokens.issued()
    }

    /// An access token of the first client without the OAuth dance. Scopes may be short (`gmail.readonly`).
    #[must_use]
    pub fn direct_token(&self, wanted: &[&str]) -> String {
        let now = self.now_ms();
        self.shared.state().world.tokens.direct_access(&self.client_id, whole(wanted), now)
    }

    /// A refresh token of the first client without the OAuth dance. Scopes may be short.
    #[must_use]
    pub fn direct_refresh_token(&self, wanted: &[&str]) -> String {
        self.shared.state().world.tokens.direct_refresh(&self.client_id, whole(wanted))
    }

    /// Adds a user label, if there is none of that name; returns its id.
    #[must_use]
    pub fn add_label(&self, name: &str) -> String {
        self.shared.state().world.mailbox.add_label(name)
    }

    /// A mail arrives; returns its id.
    ///
    /// # Errors
    /// When its bytes are no mail.
    pub fn add_mail(&self, mail: &SeedMail) -> anyhow::Result<String> {
        let added = self.shared.state().world.mailbox.add(mail);
        added.map_err(|error| anyhow::anyhow!("the mail is malformed: {error:?}"))
    }

    /// Another program of the owner writes a draft; returns its id.
    ///
    /// # Errors
    /// When its bytes are no mail.
    pub fn add_draft(&self, raw: &[u8]) -> anyhow::Result<String> {
        let now = self.now_ms();
        let added = self.shared.state().world.mailbox.add_draft(raw, now);
        added.map_err(|error| anyhow::anyhow!("the draft is malformed: {error:?}"))
    }

    /// Another program of the owner writes a draft anew; `false` if there is none of that id, or the bytes are no mail.
    #[must_use]
    pub fn rewrite_draft(&self, id: &str, raw: &[u8]) -> bool {
        let now = self.now_ms();
        self.shared.state().world.mailbox.rewrite_draft(id, raw, now)
    }

    /// All drafts: ids and the bytes they hold now.
    #[must_use]
    pub fn drafts(&self) -> Vec<(String, Vec<u8>)> {
        let state = self.shared.state();
        state.world.mailbox.drafts().map(|(id, raw)| (id.to_owned(), raw.to_vec())).collect()
    }

    /// The thread that the first mail with that subject is in.
    #[must_use]
    pub fn thread_id(&self, subject: &str) -> Option<String> {
        let state = self.shared.state();
        state.world.mailbox.thread_of(subject)
    }

    /// Another program of the owner sets a mail's labels (names or ids); `false` if there is no such mail.
    #[must_use]
    pub fn set_mail_labels(&self, id: &str, labels: &[&str]) -> bool {
        self.shared.state().world.mailbox.set_labels(id, labels)
    }

    /// A mail's label ids; `None` if there is no such mail.
    #[must_use]
    pub fn mail_labels(&self, id: &str) -> Option<Vec<String>> {
        self.shared.state().world.mailbox.labels_of(id)
    }

    /// The id of the first mail with that subject.
    #[must_use]
    pub fn mail_id(&self, subject: &str) -> Option<String> {
        let state = self.shared.state();
        let mut all = state.world.mailbox.subjects();
        all.find(|(known, _)| *known == subject).map(|(_, id)| id.to_owned())
    }

    /// A label's id by its name.
    #[must_use]
    pub fn label_id(&self, name: &str) -> Option<String> {
        self.shared.state().world.mailbox.label_id(name)
    }

    /// A file appears; returns its id.
    ///
    /// # Errors
    /// When its folder does not exist.
    pub fn add_file(&self, file: &SeedFile) -> anyhow::Result<String> {
        let added = self.shared.state().world.drive.add(file);
        added.with_context(|| format!("the folder of {} does not exist", file.path))
    }

    /// The id of the file or folder at a path such as `Agent/Notes.txt`.
    #[must_use]
    pub fn file_id(&self, path: &str) -> Option<String> {
        self.shared.state().world.drive.by_path(path)
    }

    /// A file's metadata with every field, as `fields=*` gives it.
    #[must_use]
    pub fn file(&self, id: &str) -> Option<Value> {
        self.shared.state().world.drive.describe(id)
    }

    /// A file's bytes.
    #[must_use]
    pub fn file_content(&self, id: &str) -> Option<Vec<u8>> {
        self.shared.state().world.drive.content(id)
    }

    /// Somebody who may edit a file writes into it, without signing in for `None`; `false` if it does not exist.
    #[must_use]
    pub fn write_file_as(&self, id: &str, who: Option<&str>, content: &[u8]) -> bool {
        self.shared.state().world.drive.write_as(id, who, content)
    }

    /// Another program of the owner moves a file into another folder; `false` if one of them does not exist.
    #[must_use]
    pub fn move_file(&self, id: &str, folder_id: &str) -> bool {
        self.shared.state().world.drive.move_to(id, folder_id)
    }

    /// Another program of the owner shares a file; `false` if it does not exist.
    #[must_use]
    pub fn share_file(&self, id: &str, with: &str) -> bool {
        self.share_file_as(id, Some(with), "reader")
    }

    /// The same, as `reader`, `commenter` or `writer`; `None` is everybody.
    #[must_use]
    pub fn share_file_as(&self, id: &str, with: Option<&str>, role: &str) -> bool {
        self.shared.state().world.drive.share(id, with, role)
    }

    /// The mails that Google sent about shares: the file's id, and to whom.
    #[must_use]
    pub fn share_notices(&self) -> Vec<(String, String)> {
        self.shared.state().world.drive.notices()
    }

    /// An event appears; returns its id.
    ///
    /// # Errors
    /// When its calendar does not exist.
    pub fn add_event(&self, event: &SeedEvent) -> anyhow::Result<String> {
        let added = self.shared.state().world.calendars.add_event(event);
        added.with_context(|| format!("the calendar of {} does not exist", event.title))
    }

    /// A calendar's id by its name; `primary` is the owner's own.
    #[must_use]
    pub fn calendar_id(&self, name: &str) -> Option<String> {
        self.shared.state().world.calendars.id_of(name)
    }

    /// The id of the first event of that title.
    #[must_use]
    pub fn event_id(&self, title: &str) -> Option<String> {
        self.shared.state().world.calendars.by_title(title)
    }

    /// An event as `events.get` gives it.
    #[must_use]
    pub fn event(&self, id: &str) -> Option<Value> {
        self.shared.state().world.calendars.describe(id)
    }

    /// Another program of the owner invites somebody; `false` if there is no such event.
    #[must_use]
    pub fn invite(&self, event: &str, guest: &str) -> bool {
        self.shared.state().world.calendars.invite(event, guest)
    }

    /// Another program of the owner shares a calendar; `false` if it does not exist.
    #[must_use]
    pub fn share_calendar(&self, id: &str, with: &str, role: &str) -> bool {
        self.shared.state().world.calendars.share(id, with, role)
    }

    /// The mails that went to guests of events, oldest first.
    #[must_use]
    pub fn invitations(&self) -> Vec<Invitation> {
        self.shared.state().world.calendars.invitations.clone()
    }

    /// What a demo needs to know: origin, client, owner, and the ids of labels, folders, files and mails.
    #[must_use]
    pub fn info(&self) -> Value {
        let state = self.shared.state();
        let mailbox = &state.world.mailbox;
        let map = |pairs: Vec<(String, String)>| {
            pairs.into_iter().map(|(key, value)| (key, Value::String(value))).collect::<Map<_, _>>()
        };
        let labels = mailbox.user_labels().map(|(id, name)| (name.to_owned(), id.to_owned())).collect();
        let mails = mailbox.subjects().map(|(subject, id)| (subject.to_owned(), id.to_owned())).collect();
        let (folders, files) = state.world.drive.paths();
        let (calendars, events) = state.world.calendars.names();
        json!({
            "stand_in": "this is stand-in-google, not Google",
            "origin": self.shared.origin,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "owner": state.world.owner.email,
            "labels": map(labels),
            "mails": map(mails),
            "folders": map(folders),
            "files": map(files),
            "calendars": map(calendars),
            "events": map(events),
        })
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn whole(wanted: &[&str]) -> BTreeSet<String> {
    wanted.iter().map(|scope| scopes::full(scope)).collect()
}
