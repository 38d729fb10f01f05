//! What an account begins with.

use crate::compose::Letter;

/// The account's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The mail address.
    pub email: String,
    /// Google's stable number of the account, as a string.
    pub sub: String,
    /// The display name.
    pub name: String,
}

impl Default for Owner {
    fn default() -> Self {
        Self {
            email: "owner@example.com".to_owned(),
            sub: "118042424242424242424".to_owned(),
            name: "Olga Owner".to_owned(),
        }
    }
}

/// A mail to put into the mailbox.
#[derive(Debug, Clone)]
pub struct SeedMail {
    /// Label names or ids; unknown names become user labels.
    pub labels: Vec<String>,
    /// When it came, in milliseconds since 1970.
    pub at_ms: i64,
    /// Its RFC 5322 bytes.
    pub raw: Vec<u8>,
    /// The subject of an earlier mail whose thread it joins.
    pub thread_of: Option<String>,
}

impl SeedMail {
    /// It joins the thread of an earlier mail with that subject.
    #[must_use]
    pub fn in_thread_of(mut self, subject: &str) -> Self {
        self.thread_of = Some(subject.to_owned());
        self
    }

    /// A mail from a letter, in a thread of its own.
    #[must_use]
    pub fn new(labels: &[&str], at_ms: i64, letter: Letter) -> Self {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Self { labels, at_ms, raw: letter.build(at_ms), thread_of: None }
    }
}

/// A file or folder to put into the drive.
#[derive(Debug, Clone)]
pub struct SeedFile {
    /// Where it lies, by names from the root: `Agent/Reports/july.txt`. The folders must come earlier in the list.
    pub path: String,
    /// Its MIME type; [`SeedFile::FOLDER`] for a folder.
    pub mime_type: String,
    /// Its bytes; for a Google document, its text.
    pub content: Vec<u8>,
    /// When it was made and last changed, in milliseconds since 1970.
    pub at_ms: i64,
    /// Whom it is shared with, by address; they may read it.
    pub shared_with: Vec<String>,
    /// Whether the account's owner owns it; if not, a stranger shared it with the owner.
    pub owned: bool,
    /// Of a stranger's file: whether the account's owner may change it, too.
    pub editable: bool,
    /// The shared drive it belongs to. Then nobody owns it.
    pub drive_id: Option<String>,
    /// Whether it lies in the bin.
    pub trashed: bool,
    /// For a shortcut: where what it stands for lies. That must come earlier in the list.
    pub shortcut_to: Option<String>,
}

impl SeedFile {
    /// The MIME type of folders.
    pub const FOLDER: &'static str = "application/vnd.google-apps.folder";
    /// The MIME type of Google documents, which can be exported but not downloaded.
    pub const DOCUMENT: &'static str = "application/vnd.google-apps.document";
    /// The MIME type of Google sheets; their content here is CSV.
    pub const SHEET: &'static str = "application/vnd.google-apps.spreadsheet";
    /// The MIME type of Google presentations; their content here is text.
    pub const SLIDES: &'static str = "application/vnd.google-apps.presentation";
    /// The MIME type of shortcuts.
    pub const SHORTCUT: &'static str = "application/vnd.google-apps.shortcut";

    /// An owned file that is shared with nobody.
    #[must_use]
    pub fn new(path: &str, mime_type: &str, content: &str, at_ms: i64) -> Self {
        Self {
            path: path.to_owned(),
            mime_type: mime_type.to_owned(),
            content: content.as_bytes().to_vec(),
            at_ms,
            shared_with: Vec::new(),
            owned: true,
            editable: false,
            drive_id: None,
            trashed: false,
            shortcut_to: None,
        }
    }

    /// A shortcut to another file.
    #[must_use]
    pub fn shortcut(path: &str, to: &str, at_ms: i64) -> Self {
        Self { shortcut_to: Some(to.to_owned()), ..Self::new(path, Self::SHORTCUT, "", at_ms) }
    }
}

/// A calendar to put beside the owner's own, which every account has.
#[derive(Debug, Clone)]
pub struct SeedCalendar {
    /// Its name.
    pub name: String,
    /// What the account may do with it: `owner`, `writer`, `reader` or `freeBusyReader`.
    pub role: String,
    /// Whether the owner hid it from the list.
    pub hidden: bool,
    /// Who else sees it: an address, a domain or `default` (everybody), each with a role.
    pub shared_with: Vec<(String, String)>,
}

impl SeedCalendar {
    /// A calendar in which the account has that role, shared with nobody else.
    #[must_use]
    pub fn new(name: &str, role: &str) -> Self {
        Self { name: name.to_owned(), role: role.to_owned(), hidden: false, shared_with: Vec::new() }
    }
}

/// An event to put into a calendar.
#[derive(Debug, Clone)]
pub struct SeedEvent {
    /// The calendar's name; `primary` is the owner's own.
    pub calendar: String,
    /// Its title.
    pub title: String,
    /// When it begins: a day, or a moment with an offset.
    pub start: String,
    /// When it ends, in the same form.
    pub end: String,
    /// A longer text.
    pub description: Option<String>,
    /// The guests' addresses.
    pub attendees: Vec<String>,
    /// Who invited the owner; `None` for the calendar's own.
    pub organizer: Option<String>,
    /// Whether it is one event of a series.
    pub series: bool,
}

impl SeedEvent {
    /// An event without guests.
    #[must_use]
    pub fn new(calendar: &str, title: &str, start: &str, end: &str) -> Self {
        Self {
            calendar: calendar.to_owned(),
            title: title.to_owned(),
            start: start.to_owned(),
            end: end.to_owned(),
            description: None,
            attendees: Vec::new(),
            organizer: None,
            series: false,
        }
    }

    /// The same event with these guests.
    #[must_use]
    pub fn with(mut self, guests: &[&str]) -> Self {
        self.attendees = guests.iter().map(|guest| (*guest).to_owned()).collect();
        self
    }
}

/// Somebody the owner knows.
#[derive(Debug, Clone)]
pub struct SeedContact {
    /// The name.
    pub name: String,
    /// Mail addresses.
    pub addresses: Vec<String>,
    /// A telephone number.
    pub phone: String,
    /// Whether the owner keeps the contact; if not, the owner only wrote to them.
    pub kept: bool,
}

/// An account; the default one has an owner and nothing else.
#[derive(Debug, Clone, Default)]
pub struct Seed {
    /// Whose account it is.
    pub owner: Owner,
    /// User labels in the order of their ids: the first is `Label_1`.
    pub labels: Vec<String>,
    /// The mails.
    pub mails: Vec<SeedMail>,
    /// Drafts: their RFC 5322 bytes.
    pub drafts: Vec<Vec<u8>>,
    /// The files, folders before what lies in them.
    pub files: Vec<SeedFile>,
    /// The calendars besides the owner's own.
    pub calendars: Vec<SeedCalendar>,
    /// The events.
    pub events: Vec<SeedEvent>,
    /// The contacts.
    pub contacts: Vec<SeedContact>,
}
