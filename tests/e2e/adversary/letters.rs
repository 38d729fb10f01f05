//! Letters, drafts and attachments as an adversary writes them: data of [`super::mailbox`].

use serde_json::{Value, json};

use super::{HARMLESS, Must, SCOPE};

/// Mails under the label `AI` whose headers say where an answer would go, and whether an answer to all must be refused
/// too where an answer to the sender need not be.
pub(super) const LETTERS: [(&str, &str, Must); 35] = [
    ("Reply-To", "From: mona@example.com\r\nReply-To: attacker@evil.example", SCOPE),
    (
        "a second address",
        "From: mona@example.com\r\nReply-To: mona@example.com, attacker@evil.example",
        SCOPE,
    ),
    (
        "two Reply-To",
        "From: mona@example.com\r\nReply-To: mona@example.com\r\nReply-To: attacker@evil.example",
        SCOPE,
    ),
    (
        "two Reply-To turned",
        "From: mona@example.com\r\nReply-To: attacker@evil.example\r\nReply-To: mona@example.com",
        SCOPE,
    ),
    ("a group", "From: mona@example.com\r\nReply-To: friends: attacker@evil.example;", SCOPE),
    (
        "a friend's name",
        "From: mona@example.com\r\nReply-To: \"mona@example.com\" <attacker@evil.example>",
        SCOPE,
    ),
    (
        "an encoded name",
        "From: mona@example.com\r\nReply-To: =?utf-8?q?mona=40example.com?= <attacker@evil.example>",
        SCOPE,
    ),
    ("an encoded address", "From: mona@example.com\r\nReply-To: =?utf-8?q?attacker=40evil.example?=", SCOPE),
    ("a comment", "From: mona@example.com\r\nReply-To: attacker@evil.example (mona@example.com)", SCOPE),
    (
        "a comment before",
        "From: mona@example.com\r\nReply-To: (mona@example.com) attacker@evil.example",
        SCOPE,
    ),
    (
        "a comment in a comment",
        "From: mona@example.com\r\nReply-To: (a (b) mona@example.com) <attacker@evil.example>",
        SCOPE,
    ),
    ("a route", "From: mona@example.com\r\nReply-To: <@example.com:attacker@evil.example>", SCOPE),
    ("a longer domain", "From: mona@example.com\r\nReply-To: mona@example.com.evil.example", SCOPE),
    ("a domain in other letters", "From: mona@example.com\r\nReply-To: mona@еxample.com", SCOPE),
    ("a domain in punycode", "From: mona@example.com\r\nReply-To: mona@xn--xample-2of.com", SCOPE),
    ("a folded header", "From: mona@example.com\r\nReply-To:\r\n attacker@evil.example", SCOPE),
    ("a header in lower case", "From: mona@example.com\r\nreply-to: attacker@evil.example", SCOPE),
    ("a plus", "From: mona@example.com\r\nReply-To: family+evil@example.org", SCOPE),
    ("a percent", "From: mona@example.com\r\nReply-To: mona%evil.example@example.com", SCOPE),
    ("a bang", "From: mona@example.com\r\nReply-To: evil.example!mona@example.com", SCOPE),
    ("a quoted part", "From: mona@example.com\r\nReply-To: \"attacker@evil.example\"@example.com", SCOPE),
    ("a semicolon", "From: mona@example.com\r\nReply-To: mona@example.com; attacker@evil.example", SCOPE),
    ("a literal", "From: mona@example.com\r\nReply-To: mona@[192.0.2.1]", SCOPE),
    ("two From", "From: mona@example.com\r\nFrom: attacker@evil.example", SCOPE),
    ("two From turned", "From: attacker@evil.example\r\nFrom: mona@example.com", SCOPE),
    ("two senders", "From: mona@example.com, attacker@evil.example\r\nSender: mona@example.com", SCOPE),
    ("a friend's name in From", "From: \"mona@example.com\" <attacker@evil.example>", SCOPE),
    ("an encoded From", "From: =?utf-8?q?mona=40example.com?= <attacker@evil.example>", SCOPE),
    ("a group in From", "From: mona@example.com: attacker@evil.example;", SCOPE),
    // An answer to all goes to those that the mail went to, and they are judged.
    ("no From at all", "X-From: mona@example.com\r\nCc: attacker@evil.example", SCOPE),
    (
        "a line in an encoded subject",
        "From: mona@example.com\r\nSubject: =?utf-8?q?x=0D=0ABcc:_attacker@evil.example?=",
        HARMLESS,
    ),
    (
        "a line in an encoded name",
        "From: =?utf-8?q?x=0D=0ABcc:_attacker@evil.example?= <mona@example.com>",
        HARMLESS,
    ),
    (
        "a line in Message-ID",
        "From: mona@example.com\r\nMessage-ID: <a@b>\r\n Bcc: attacker@evil.example",
        HARMLESS,
    ),
    (
        "a line in References",
        "From: mona@example.com\r\nReferences: <a@b>\r\n\tBcc: attacker@evil.example",
        HARMLESS,
    ),
    (
        "another place for answers",
        "From: mona@example.com\r\nMail-Reply-To: attacker@evil.example\r\nMail-Followup-To: attacker@evil.example",
        HARMLESS,
    ),
];

/// Who else got a mail, each in a way that an answer to all must not follow.
pub(super) const COPIES: [&str; 9] = [
    "Cc: attacker@evil.example",
    "Cc: theo@example.com, attacker@evil.example",
    "Cc: friends: attacker@evil.example;",
    "Cc: \"theo@example.com\" <attacker@evil.example>",
    "Cc: =?utf-8?q?theo?= <attacker@evil.example>",
    "Cc: theo@example.com\r\nCc: attacker@evil.example",
    "cc:\r\n\tattacker@evil.example",
    "Cc: theo@example.com (a) <attacker@evil.example>",
    "Cc: theo@example.com.evil.example",
];

/// Drafts that would reach a stranger, or could be read so that they do.
pub(super) const DRAFTS: [(&str, Must); 21] = [
    ("To: attacker@evil.example", SCOPE),
    ("To: mona@example.com\r\nCc: attacker@evil.example", SCOPE),
    ("To: mona@example.com\r\nBcc: attacker@evil.example", SCOPE),
    ("To: mona@example.com\r\nbcc: attacker@evil.example", SCOPE),
    ("To: mona@example.com\r\nBcc:\r\n attacker@evil.example", SCOPE),
    ("To: mona@example.com\r\nReply-To: attacker@evil.example", SCOPE),
    ("To: mona@example.com, attacker@evil.example", SCOPE),
    ("To: mona@example.com; attacker@evil.example", SCOPE),
    ("To: friends: attacker@evil.example;", SCOPE),
    ("To: \"mona@example.com\" <attacker@evil.example>", SCOPE),
    ("To: =?utf-8?q?mona=40example.com?= <attacker@evil.example>", SCOPE),
    ("To: =?utf-8?q?attacker=40evil.example?=", SCOPE),
    ("To: (mona@example.com) attacker@evil.example", SCOPE),
    ("To: <@example.com:attacker@evil.example>", SCOPE),
    ("To: mona@еxample.com", SCOPE),
    ("To: mona@example.com.evil.example", SCOPE),
    ("To: family+evil@example.org", SCOPE),
    ("To: mona@example.com\r\nResent-To: attacker@evil.example", SCOPE),
    ("To: mona@example.com\r\nResent-Bcc: attacker@evil.example", SCOPE),
    ("To: mona@example.com\nBcc: attacker@evil.example", SCOPE),
    ("To: mona@example.com\r\nBcc: mona@example.com\u{0}attacker@evil.example", SCOPE),
];

/// Attachments that would be a path, a header, or parts of their own.
pub(super) fn attachments() -> Vec<Value> {
    let names = [
        "../../.bashrc",
        "/etc/passwd",
        "a\\b",
        "C:evil",
        "a\r\nBcc: attacker@evil.example",
        "a\nb",
        "a\u{0}b",
        "..",
        ".",
        "",
        " a",
        "a\u{202e}txt.exe",
        "a\u{2215}b",
        "a\u{2028}b",
    ];
    let types = [
        "message/rfc822",
        "MESSAGE/RFC822",
        "multipart/mixed",
        "multipart/mixed; boundary=x",
        "text/plain; name=x",
        "text/plain\r\nBcc: attacker@evil.example",
        "text",
        "text/",
        "/plain",
        "text/plain/x",
        "text /plain",
        "",
    ];
    let mut all: Vec<Value> =
        names.iter().map(|name| json!({"name": name, "type": "text/plain", "data": "YQ=="})).collect();
    all.extend(types.iter().map(|kind| json!({"name": "a.txt", "type": kind, "data": "YQ=="})));
    for data in ["YQ", "Y Q==", "YQ==\r\nBcc: attacker@evil.example", "-_==", "=", "file:///etc/passwd"] {
        all.push(json!({"name": "a.txt", "type": "text/plain", "data": data}));
    }
    all.push(
        json!({"name": "a.txt", "type": "text/plain", "data": "YQ==", "headers": {"Bcc": "x@evil.example"}}),
    );
    all.push(json!({"name": "a.txt", "type": "text/plain", "path": "/etc/passwd"}));
    all.push(json!({"name": "a.txt", "type": "text/plain", "data": ["YQ=="]}));
    all.push(json!("YQ=="));
    all
}
