//! Which scopes each method accepts, from Google's discovery documents of Gmail v1, Drive v3, Calendar v3 and
//! People v1.

use std::collections::BTreeSet;

/// What all scopes but a few begin with.
const PREFIX: &str = "https://www.googleapis.com/auth/";

/// The scopes a client may ask for, relative to Google's prefix unless whole.
const KNOWN: &[&str] = &[
    "openid",
    "email",
    "profile",
    "userinfo.email",
    "userinfo.profile",
    "https://mail.google.com/",
    "gmail.compose",
    "gmail.insert",
    "gmail.labels",
    "gmail.metadata",
    "gmail.modify",
    "gmail.readonly",
    "gmail.send",
    "gmail.settings.basic",
    "gmail.settings.sharing",
    "drive",
    "drive.appdata",
    "drive.apps.readonly",
    "drive.file",
    "drive.meet.readonly",
    "drive.metadata",
    "drive.metadata.readonly",
    "drive.photos.readonly",
    "drive.readonly",
    "drive.scripts",
    "calendar",
    "calendar.readonly",
    "calendar.events",
    "calendar.events.readonly",
    "calendar.events.owned",
    "calendar.events.owned.readonly",
    "calendar.freebusy",
    "calendar.events.freebusy",
    "calendar.calendarlist",
    "calendar.calendarlist.readonly",
    "calendar.acls",
    "calendar.acls.readonly",
    "contacts",
    "contacts.readonly",
    "contacts.other.readonly",
];

const MAIL: &str = "https://mail.google.com/";
const GMAIL_READ: &[&str] = &[MAIL, "gmail.metadata", "gmail.modify", "gmail.readonly"];
const GMAIL_PROFILE: &[&str] = &[MAIL, "gmail.compose", "gmail.metadata", "gmail.modify", "gmail.readonly"];
const GMAIL_CONTENT: &[&str] = &[MAIL, "gmail.modify", "gmail.readonly"];
const GMAIL_MODIFY: &[&str] = &[MAIL, "gmail.modify"];
const GMAIL_DRAFTS_READ: &[&str] = &[MAIL, "gmail.compose", "gmail.modify", "gmail.readonly"];
const GMAIL_DRAFTS_WRITE: &[&str] = &[MAIL, "gmail.compose", "gmail.modify"];
const GMAIL_SEND: &[&str] = &[MAIL, "gmail.compose", "gmail.modify", "gmail.send"];
const GMAIL_LABELS_READ: &[&str] =
    &[MAIL, "gmail.labels", "gmail.metadata", "gmail.modify", "gmail.readonly"];
const GMAIL_LABELS_WRITE: &[&str] = &[MAIL, "gmail.labels", "gmail.modify"];

const DRIVE_READ: &[&str] =
    &["drive", "drive.file", "drive.metadata", "drive.metadata.readonly", "drive.readonly"];
const DRIVE_CONTENT: &[&str] = &["drive", "drive.file", "drive.readonly"];
const DRIVE_WRITE: &[&str] = &["drive", "drive.file"];
const DRIVE_UPDATE: &[&str] = &["drive", "drive.file", "drive.metadata"];

const CALENDAR_LIST: &[&str] =
    &["calendar", "calendar.calendarlist", "calendar.calendarlist.readonly", "calendar.readonly"];
const CALENDAR_ACL: &[&str] = &["calendar", "calendar.acls", "calendar.acls.readonly"];
const EVENTS_READ: &[&str] = &[
    "calendar",
    "calendar.events",
    "calendar.events.freebusy",
    "calendar.events.owned",
    "calendar.events.owned.readonly",
    "calendar.events.readonly",
    "calendar.readonly",
];
const EVENTS_WRITE: &[&str] = &["calendar", "calendar.events", "calendar.events.owned"];
const BUSY: &[&str] = &["calendar", "calendar.events.freebusy", "calendar.freebusy", "calendar.readonly"];

/// The scopes of which a token needs at least one; an unknown method accepts none.
pub(crate) fn accepted(method: &str) -> &'static [&'static str] {
    match method {
        "gmail.users.getProfile" => GMAIL_PROFILE,
        "gmail.users.messages.list"
        | "gmail.users.messages.get"
        | "gmail.users.threads.get"
        | "gmail.users.threads.list" => GMAIL_READ,
        "gmail.users.drafts.list" | "gmail.users.drafts.get" => GMAIL_DRAFTS_READ,
        "gmail.users.drafts.create"
        | "gmail.users.drafts.update"
        | "gmail.users.drafts.send"
        | "gmail.users.drafts.delete" => GMAIL_DRAFTS_WRITE,
        "gmail.users.messages.attachments.get" => GMAIL_CONTENT,
        "gmail.users.messages.modify"
        | "gmail.users.messages.batchModify"
        | "gmail.users.messages.trash"
        | "gmail.users.messages.untrash" => GMAIL_MODIFY,
        "gmail.users.messages.delete" | "gmail.users.messages.batchDelete" => &[MAIL],
        "gmail.users.messages.send" => GMAIL_SEND,
        "gmail.users.labels.list" | "gmail.users.labels.get" => GMAIL_LABELS_READ,
        "gmail.users.labels.create" => GMAIL_LABELS_WRITE,
        "drive.files.list" | "drive.files.get" | "drive.permissions.list" | "drive.about.get" => DRIVE_READ,
        "drive.files.get.media" | "drive.files.export" => DRIVE_CONTENT,
        "drive.files.create"
        | "drive.files.copy"
        | "drive.files.delete"
        | "drive.files.update.media"
        | "drive.permissions.create"
        | "drive.permissions.delete" => DRIVE_WRITE,
        "drive.files.update" => DRIVE_UPDATE,
        "calendar.calendarList.list" | "calendar.calendarList.get" => CALENDAR_LIST,
        "calendar.acl.list" => CALENDAR_ACL,
        "calendar.events.list" | "calendar.events.get" => EVENTS_READ,
        "calendar.events.insert" | "calendar.events.patch" | "calendar.events.delete" => EVENTS_WRITE,
        "calendar.freebusy.query" => BUSY,
        "people.searchContacts" => &["contacts", "contacts.readonly"],
        "people.otherContacts.search" => &["contacts.other.readonly"],
        "oauth2.userinfo" => &["openid", "userinfo.email", "userinfo.profile"],
        _ => &[],
    }
}

/// A scope as Google writes it in answers: whole, with `email` and `profile` spelt out.
pub(crate) fn full(scope: &str) -> String {
    match scope {
        "openid" => scope.to_owned(),
        "email" | "profile" => format!("{PREFIX}userinfo.{scope}"),
        whole if whole.starts_with("https://") => whole.to_owned(),
        short => format!("{PREFIX}{short}"),
    }
}

/// Reads a space-separated scope parameter; the error is the first scope nobody knows.
pub(crate) fn parse(text: &str) -> Result<BTreeSet<String>, String> {
    let known: BTreeSet<String> = KNOWN.iter().map(|scope| full(scope)).collect();
    text.split(' ')
        .filter(|word| !word.is_empty())
        .map(|word| {
            // On the wire only `openid`, `email` and `profile` may be short.
            let whole = match word {
                "openid" | "email" | "profile" => full(word),
                other => other.to_owned(),
            };
            if known.contains(&whole) { Ok(whole) } else { Err(word.to_owned()) }
        })
        .collect()
}

/// Whether a set of whole scopes has one of the accepted, possibly short ones.
pub(crate) fn any(granted: &BTreeSet<String>, accepted: &[&str]) -> bool {
    accepted.iter().any(|scope| granted.contains(&full(scope)))
}

/// Whether a set of whole scopes has this one.
pub(crate) fn has(granted: &BTreeSet<String>, scope: &str) -> bool {
    granted.contains(&full(scope))
}
