//! Links: every host that any reader of a text could be led to, and whether it is one of those allowed.
//!
//! A text has no grammar: mail programs, browsers and chat clients each find links in it in ways of their own. So this
//! does not look for URLs as one of them would. It looks for whatever *any* of them could take for a host, in every
//! reading of the text ([`reading`]), and allows the text only if all of these are on the list. Over-strict is right
//! here: `end.Next` without a space reads as a host, and is refused as one.
//!
//! What it cannot see: an address spelled out for a person (`evil dot com`), a picture of one, and what is encoded for a
//! program that decodes it (base64, a script's own escapes).
//!
//! A mint waits for this, so nearly every text must be cheap: it is read where it stands, without a copy, and only a
//! colon, a full stop or a slash makes anybody look closer. No text, however it was made, is read over and over.

#[cfg(test)]
mod naive;
mod reading;
mod scan;
mod token;

use crate::host::HostPattern;

/// Whether every host in the text is one of these; with none, whether it has no host at all.
///
/// # Errors
/// What was found that is not allowed, as it reads once decoded: at most 100 characters, for the owner.
pub fn check(text: &str, allowed: &[HostPattern]) -> Result<(), String> {
    let readings = reading::of(text).ok_or("text that is encoded over and over")?;
    readings.iter().try_for_each(|reading| scan::run(reading, allowed))
}

/// Schemes that lead to a host.
const WEB: [&str; 5] = ["http", "https", "ftp", "ws", "wss"];

/// Schemes that run what follows.
const SCRIPTS: [&str; 3] = ["javascript", "vbscript", "livescript"];

/// Schemes that do something without `//`, and that no list of hosts can speak of.
const OTHER: [&str; 20] = [
    "javascript",
    "vbscript",
    "livescript",
    "data",
    "blob",
    "filesystem",
    "file",
    "view-source",
    "mhtml",
    "jar",
    "intent",
    "mailto",
    "tel",
    "sms",
    "facetime",
    "skype",
    "magnet",
    "about",
    "cid",
    "res",
];

#[cfg(test)]
mod tests;
