//! The mailbox: mails, labels, the outbox.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::send::Sent;
use super::session::Sessions;
use crate::mime::{MimeError, Part};
use crate::seed::SeedMail;

/// The labels every account has.
pub(super) const SYSTEM_LABELS: [&str; 14] = [
    "CHAT",
    "SENT",
    "INBOX",
    "IMPORTANT",
    "TRASH",
    "DRAFT",
    "SPAM",
    "STARRED",
    "UNREAD",
    "CATEGORY_FORUMS",
    "CATEGORY_UPDATES",
    "CATEGORY_PERSONAL",
    "CATEGORY_PROMOTIONS",
    "CATEGORY_SOCIAL",
];

/// One mail.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(super) id: String,
    pub(super) thread_id: String,
    pub(super) labels: BTreeSet<String>,
    /// Milliseconds since 1970.
    pub(super) at_ms: i64,
    pub(super) history: u64,
    pub(super) raw: Bytes,
    pub(super) parsed: Part,
}

/// All mails of the owner.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    mails: BTreeMap<String, Mail>,
    /// User labels: id to name.
    labels: BTreeMap<String, String>,
    pub(super) history: u64,
    made: u64,
    /// Drafts: id to the id of the mail that holds it now.
    drafts: BTreeMap<String, String>,
    pub(crate) outbox: Vec<Sent>,
    /// Mails that come piece by piece.
    pub(super) uploads: Sessions,
}

impl Mailbox {
    /// Adds a user label; returns the id of the new label or of the one that has that name.
    pub(crate) fn add_label(&mut self, name: &str) -> String {
        if let Some(id) = self.label_id(name) {
            return id;
        }
        let id = format!("Label_{}", self.labels.len() + 1);
        self.labels.insert(id.clone(), name.to_owned());
        id
    }

    /// A label's id by its id or its name (case does not matter, as in Gmail's search).
    pub(crate) fn label_id(&self, name: &str) -> Option<String> {
        let system = SYSTEM_LABELS.iter().find(|label| label.eq_ignore_ascii_case(name));
        if let Some(system) = system {
            return Some((*system).to_owned());
        }
        let same = |known: &str| known.to_lowercase() == name.to_lowercase();
        let found = self.labels.iter().find(|(id, known)| same(known) || same(id));
        found.map(|(id, _)| id.clone())
    }

    /// Whether there is a label of this id.
    pub(super) fn is_label(&self, id: &str) -> bool {
        SYSTEM_LABELS.contains(&id) || self.labels.contains_key(id)
    }

    /// The user labels: id and name.
    pub(crate) fn user_labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|(id, name)| (id.as_str(), name.as_str()))
    }

    /// Puts a seeded mail in; its labels are made when they do not exist.
    pub(crate) fn add(&mut self, seed: &SeedMail) -> Result<String, MimeError> {
        let labels: BTreeSet<String> = seed.labels.iter().map(|name| self.add_label(name)).collect();
        let thread = seed.thread_of.as_ref().and_then(|subject| self.by_subject(subject));
        self.insert(seed.raw.clone().into(), seed.at_ms, labels, thread)
    }

    /// Puts a seeded draft in; returns its id.
    pub(crate) fn add_draft(&mut self, raw: &[u8], at_ms: i64) -> Result<String, MimeError> {
        let labels = BTreeSet::from(["DRAFT".to_owned()]);
        let mail = self.insert(raw.to_vec().into(), at_ms, labels, None)?;
        Ok(self.new_draft(&mail))
    }

    /// Makes a mail a draft; returns the draft's id.
    pub(super) fn new_draft(&mut self, mail: &str) -> String {
        self.made += 1;
        let id = format!("r{:019}", 7_206_537_436_000_000_000_u64 + self.made);
        self.drafts.insert(id.clone(), mail.to_owned());
        id
    }

    /// The mail that holds a draft.
    pub(super) fn draft(&self, id: &str) -> Option<&str> {
        self.drafts.get(id).map(String::as_str)
    }

    /// The draft that a mail holds.
    pub(super) fn draft_of(&self, mail: &str) -> Option<&str> {
        self.drafts.iter().find(|(_, held)| *held == mail).map(|(id, _)| id.as_str())
    }

    /// A draft is held by another mail from now on.
    pub(super) fn redraft(&mut self, id: &str, mail: &str) {
        self.drafts.insert(id.to_owned(), mail.to_owned());
    }

    /// There is no such draft any more.
    pub(super) fn forget_draft(&mut self, id: &str) {
        self.drafts.remove(id);
    }

    /// Another program of the owner writes a draft anew; `false` if there is no such draft or the bytes are no mail.
    pub(crate) fn rewrite_draft(&mut self, id: &str, raw: &[u8], at_ms: i64) -> bool {
        let Some(old) = self.drafts.get(id).cloned() else { return false };
        let labels = BTreeSet::from(["DRAFT".to_owned()]);
        let thread = self.mails.get(&old).map(|mail| mail.thread_id.clone());
        let Ok(new) = self.insert(raw.to_vec().into(), at_ms, labels, thread) else { return false };
        self.mails.remove(&old);
        self.drafts.insert(id.to_owned(), new);
        true
    }

    /// All drafts: their ids and the bytes they hold.
    pub(crate) fn drafts(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.drafts.iter().filter_map(|(id, mail)| Some((id.as_str(), &self.mails.get(mail)?.raw)))
    }

    /// Puts a mail in; a thread of its own unless one is given.
    pub(super) fn insert(
        &mut self,
        raw: Bytes,
        at_ms: i64,
        labels: BTreeSet<String>,
        thread_id: Option<String>,
    ) -> Result<String, MimeError> {
        let own = labels.contains("SENT") || labels.contains("DRAFT");
        let parsed = if own { Part::parse(&raw)? } else { Part::arrived(&raw)? };
        self.made += 1;
        self.history += 1;
        // Gmail's ids are the time in their upper bits; 44 bits of milliseconds and 20 of a counter look the same.
        let time = u64::try_from(at_ms).unwrap_or(0);
        let id = format!("{:016x}", (time << 20) | (self.made & 0xf_ffff));
        let thread_id = thread_id.unwrap_or_else(|| id.clone());
        let mail = Mail { id: id.clone(), thread_id, labels, at_ms, history: self.history, raw, parsed };
        self.mails.insert(id.clone(), mail);
        Ok(id)
    }

    /// A mail by its id.
    pub(super) fn get(&self, id: &str) -> Option<&Mail> {
        self.mails.get(id)
    }

    /// Changes a mail's labels; `None` if there is no such mail.
    pub(super) fn relabel(&mut self, id: &str, change: impl FnOnce(&mut BTreeSet<String>)) -> Option<&Mail> {
        let mail = self.mails.get_mut(id)?;
        change(&mut mail.labels);
        self.history += 1;
        mail.history = self.history;
        Some(mail)
    }

    /// Sets a mail's labels from outside, as another program of the owner would; `false` if there is no such mail.
    pub(crate) fn set_labels(&mut self, id: &str, names: &[&str]) -> bool {
        let labels: BTreeSet<String> = names.iter().map(|name| self.add_label(name)).collect();
        self.relabel(id, |kept| *kept = labels).is_some()
    }

    /// A mail's label ids.
    pub(crate) fn labels_of(&self, id: &str) -> Option<Vec<String>> {
        Some(self.mails.get(id)?.labels.iter().cloned().collect())
    }

    /// Removes a mail for good; `false` if there is no such mail.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        self.mails.remove(id).is_some()
    }

    /// All mails, newest first.
    pub(super) fn newest_first(&self) -> Vec<&Mail> {
        let mut all: Vec<&Mail> = self.mails.values().collect();
        all.sort_by(|a, b| (b.at_ms, &b.id).cmp(&(a.at_ms, &a.id)));
        all
    }

    /// A thread's mails, oldest first.
    pub(super) fn thread(&self, id: &str) -> Vec<&Mail> {
        let mut all: Vec<&Mail> = self.mails.values().filter(|mail| mail.thread_id == id).collect();
        all.sort_by_key(|mail| (mail.at_ms, mail.id.clone()));
        all
    }

    /// Subjects and ids, for the info file of the demo.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = (&str, &str)> {
        self.mails.values().map(|mail| (mail.parsed.header("subject"), mail.id.as_str()))
    }

    /// The thread of the first mail with that subject.
    pub(crate) fn thread_of(&self, subject: &str) -> Option<String> {
        self.by_subject(subject)
    }

    fn by_subject(&self, subject: &str) -> Option<String> {
        let mail = self.mails.values().find(|mail| mail.parsed.header("subject") == subject)?;
        Some(mail.thread_id.clone())
    }
}
