//! Every mail that the vault writes is read by two readers that know nothing of it, nor of each other: the stand-in's,
//! and `mail-parser`. Both must find exactly what was given, whoever chose it.
//!
//! `PROPTEST_CASES` says how many mails; 5000 if it does not.

use claviger_domain::address::Address;
use claviger_domain::codec::attachment::Attachment;
use claviger_domain::codec::base64url;
use claviger_domain::codec::letter;
use claviger_domain::codec::rfc5322::{Mail, MailError, render};
use mail_parser::{MessageParser, MimeHeaders as _, PartType};
use proptest::prelude::*;
use proptest::test_runner::Config;
use stand_in_google::{ReadPart, read_mail};

#[allow(clippy::disallowed_methods, reason = "proptest's own variable, read to tell whether it is set")]
fn cases() -> u32 {
    if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { 5_000 }
}

/// One mail's makings.
#[derive(Debug, Clone)]
struct Makings {
    lists: [Vec<Address>; 4],
    subject: String,
    answered: String,
    references: String,
    body: String,
    quote: String,
    attachments: Vec<(String, String, Vec<u8>)>,
    original: Option<String>,
}

/// Text that tries to be more than text.
fn hostile() -> BoxedStrategy<String> {
    let piece = prop_oneof![
        Just("\r\n".to_owned()),
        Just("\n".to_owned()),
        Just("\r".to_owned()),
        Just("\r\nBcc: evil@evil.example\r\n".to_owned()),
        Just("\r\n\r\n".to_owned()),
        Just("--=_".to_owned()),
        Just("\r\n--=_0123456789abcdef--\r\n".to_owned()),
        Just("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n".to_owned()),
        Just("=?utf-8?b?eA==?=".to_owned()),
        Just("=?utf-8?q?=0D=0ABcc:_evil@evil.example?=".to_owned()),
        Just("\"; filename=\"evil.exe".to_owned()),
        Just("''".to_owned()),
        Just("%0d%0a".to_owned()),
        Just(".".to_owned()),
        Just(" ".to_owned()),
        "[a-zA-Z0-9 ]{0,80}",
        "\\PC{0,20}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat()).boxed()
}

fn addresses() -> impl Strategy<Value = Vec<Address>> {
    let one = "[a-zA-Z0-9+._=-]{1,20}@[a-z]{1,9}\\.[a-z]{2,5}";
    prop::collection::vec(one.prop_filter_map("an address", |text| text.parse().ok()), 0..4)
}

fn message_id() -> impl Strategy<Value = String> {
    prop_oneof![4 => "<[a-zA-Z0-9.]{1,12}@[a-z]{1,9}>", 2 => Just(String::new()), 1 => hostile()]
}

fn makings() -> impl Strategy<Value = Makings> {
    let media = prop_oneof![
        4 => prop::sample::select(vec!["text/plain", "application/pdf", "text/html", "image/png", "text/calendar"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["multipart/mixed; boundary=x", "message/rfc822", "text/plain\r\nX: y"]).prop_map(str::to_owned),
    ];
    let content = prop_oneof![any::<Vec<u8>>(), hostile().prop_map(String::into_bytes)];
    let attachment = (hostile(), media, content);
    (
        [addresses(), addresses(), addresses(), addresses()],
        hostile(),
        message_id(),
        prop::collection::vec(message_id(), 0..3).prop_map(|ids| ids.join(" ")),
        hostile(),
        hostile(),
        prop::collection::vec(attachment, 0..4),
        prop::option::weighted(0.3, hostile().prop_map(|text| format!("Subject: inner\r\n\r\n{text}\r\n"))),
    )
        .prop_map(|(lists, subject, answered, references, body, quote, attachments, original)| Makings {
            lists,
            subject,
            answered,
            references,
            body,
            quote,
            attachments,
            original,
        })
}

fn crlf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}

fn texts(list: &[Address]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn is_header(part: &ReadPart, name: &str) -> Option<String> {
    part.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

proptest! {
    #![proptest_config(Config {
        cases: cases(),
        ..Config::default()
    })]

    #[test]
    fn two_readers_find_what_was_given_and_nothing_else(made in makings()) {
        let Makings { lists, subject, answered, references, body, quote, attachments, original } = made;
        let attachments: Vec<Attachment> = attachments
            .into_iter()
            .filter_map(|(name, media, content)| Attachment::new(&name, &media, content).ok())
            .collect();
        let [to, cc, bcc, reply_to] = &lists;
        let mail = Mail {
            to, cc, bcc, reply_to, unaddressed: false, subject: &subject, in_reply_to: &answered, references: &references,
            body: &body, quote: &quote, attachments: &attachments, original: original.as_deref().map(str::as_bytes),
        };
        let bytes = match render(&mail) {
            Ok(bytes) => bytes,
            Err(MailError::Subject) => { prop_assert!(subject.chars().any(char::is_control)); return Ok(()); }
            Err(MailError::NoRecipient) => { prop_assert!(to.is_empty() && cc.is_empty() && bcc.is_empty()); return Ok(()); }
            Err(MailError::Reference) => return Ok(()),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        let mut text = crlf(&body);
        if !quote.is_empty() {
            text.truncate(text.trim_end().len());
            text = if text.is_empty() { crlf(&quote) } else { format!("{text}\r\n\r\n{}", crlf(&quote)) };
        }

        // The stand-in's reader.
        let parts = read_mail(&bytes).expect("it is a mail");
        let many = !attachments.is_empty() || original.is_some();
        let mut names = vec!["MIME-Version"];
        for (name, list) in ["To", "Cc", "Bcc", "Reply-To"].into_iter().zip(&lists) {
            if !list.is_empty() {
                names.push(name);
                prop_assert_eq!(is_header(&parts[0], name), Some(texts(list).join(", ")));
            }
        }
        names.push("Subject");
        let wanted_ids: Vec<&str> = references.split(' ').filter(|id| !id.is_empty()).collect();
        if !answered.trim_matches(' ').is_empty() { names.push("In-Reply-To"); }
        if !wanted_ids.is_empty() {
            names.push("References");
            prop_assert_eq!(is_header(&parts[0], "References"), Some(wanted_ids.join(" ")));
        }
        names.push("Content-Type");
        if !many { names.push("Content-Transfer-Encoding"); }
        let found: Vec<&str> = parts[0].headers.iter().map(|(name, _)| name.as_str()).collect();
        prop_assert_eq!(found, names.clone());
        prop_assert_eq!(is_header(&parts[0], "Subject"), Some(subject.clone()));
        let leaves = if many { &parts[1..] } else { &parts[..] };
        prop_assert_eq!(leaves.len(), 1 + attachments.len() + usize::from(original.is_some()));
        prop_assert_eq!(&leaves[0].content, text.as_bytes());
        prop_assert_eq!(leaves[0].filename.as_str(), "");
        for (leaf, attachment) in leaves[1..].iter().zip(&attachments) {
            prop_assert_eq!(leaf.filename.as_str(), attachment.name());
            prop_assert_eq!(leaf.mime_type.as_str(), attachment.media_type());
            prop_assert_eq!(leaf.content.as_slice(), attachment.content());
        }
        if let Some(original) = &original {
            let last = leaves.last().unwrap();
            prop_assert_eq!((last.mime_type.as_str(), last.filename.as_str()), ("message/rfc822", "original.eml"));
            prop_assert_eq!(last.content.as_slice(), original.as_bytes());
        }

        // The other reader.
        let other = MessageParser::default().parse(&bytes).expect("it is a mail");
        let people = |list: Option<&mail_parser::Address<'_>>| -> Vec<String> {
            list.into_iter().flat_map(|list| list.iter()).filter_map(|one| one.address().map(str::to_owned)).collect()
        };
        prop_assert_eq!(people(other.to()), texts(to));
        prop_assert_eq!(people(other.cc()), texts(cc));
        prop_assert_eq!(people(other.bcc()), texts(bcc));
        prop_assert_eq!(people(other.reply_to()), texts(reply_to));
        prop_assert_eq!(other.headers().len(), names.len());
        let inner = usize::from(many);
        prop_assert_eq!(other.parts.len(), leaves.len() + inner);
        prop_assert_eq!(other.parts[inner].contents(), text.as_bytes());
        for (part, attachment) in other.parts[inner + 1..].iter().zip(&attachments) {
            prop_assert_eq!(part.attachment_name(), Some(attachment.name()));
            if !matches!(part.body, PartType::Text(_) | PartType::Html(_)) {
                prop_assert_eq!(part.contents(), attachment.content());
            }
        }

        // And the vault's own, which decides to whom a draft goes.
        let facts = letter::of_raw(&base64url::encode(&bytes)).expect("what it wrote, it can read");
        for (member, list) in ["to", "cc", "bcc", "reply_to"].into_iter().zip(&lists) {
            let own: Vec<String> = facts[member].as_array().unwrap().iter()
                .flat_map(|value| claviger_domain::people::addresses(value.as_str().unwrap()).unwrap())
                .map(|address| address.to_string())
                .collect();
            prop_assert_eq!(own, texts(list), "{}", member);
        }
    }
}
