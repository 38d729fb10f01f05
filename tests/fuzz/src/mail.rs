//! Mails, ours and theirs, held against another reader of mail.

use std::collections::BTreeSet;

use claviger_domain::address::Address;
use claviger_domain::authors::from_address;
use claviger_domain::codec::attachment::Attachment;
use claviger_domain::codec::rfc5322::{Mail, render};
use claviger_domain::codec::{base64url, letter};
use claviger_domain::people::addresses;
use mail_parser::{HeaderName, HeaderValue, Message, MessageParser, MimeHeaders as _, PartType};
use serde_json::Value;

use crate::input::Input;

/// The headers that a mail of ours may have, each at most once.
const HEADERS: [&str; 10] = [
    "MIME-Version",
    "To",
    "Cc",
    "Bcc",
    "Reply-To",
    "Subject",
    "In-Reply-To",
    "References",
    "Content-Type",
    "Content-Transfer-Encoding",
];

/// The longest that the facts of a letter may be: its text, kept once and quoted twice, and its headers a few times over.
const FACTS: usize = 2 << 20;

/// Any content for a mail: what is rendered reads back, by another reader, as these recipients, this subject, text,
/// threading and these attachments, and nothing beside them.
///
/// # Panics
/// Where that does not hold.
pub fn mime_render(data: &[u8]) {
    let mut input = Input::new(data);
    let list = |input: &mut Input<'_>| -> Vec<Address> {
        (0..input.byte() & 3).filter_map(|_| address(input).parse().ok()).collect()
    };
    let [to, cc, bcc, reply_to] = [list(&mut input), list(&mut input), list(&mut input), list(&mut input)];
    let (subject, body, quote) = (input.text(), input.text(), input.text());
    let (in_reply_to, references) = (ids(&mut input), ids(&mut input));
    let attachments: Vec<Attachment> = (0..input.byte() & 3)
        .filter_map(|_| {
            let kind = input.pick(&["text/plain", "application/pdf", "TEXT/HTML", "image/x!#$&^_.+-"]);
            Attachment::new(&input.text(), kind, input.bytes().to_vec()).ok()
        })
        .collect();
    let unaddressed = input.flag();
    let original = input.flag().then(|| input.rest());
    let mail = Mail {
        to: &to,
        cc: &cc,
        bcc: &bcc,
        reply_to: &reply_to,
        unaddressed,
        subject: &subject,
        in_reply_to: &in_reply_to,
        references: &references,
        body: &body,
        quote: &quote,
        attachments: &attachments,
        original,
    };
    let Ok(bytes) = render(&mail) else { return };
    assert!(render(&mail).as_ref() == Ok(&bytes), "the same again");
    if original.is_none() {
        sound(&bytes);
    }
    let read = MessageParser::default().parse(&bytes).expect("another reader reads it");
    headers(&read);
    let found = [read.to(), read.cc(), read.bcc(), read.reply_to()].map(people);
    let given =
        [&to, &cc, &bcc, &reply_to].map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(found, given, "recipients");
    assert_eq!(read.subject().unwrap_or_default(), subject, "the subject");
    assert_eq!(named(read.in_reply_to()), words(&in_reply_to), "what it answers");
    assert_eq!(named(read.references()), words(&references), "its thread");
    text(&read, &mail);
    files(&read, &mail);
}

/// Our part of a mail: ASCII lines that end with CRLF, one head with headers of the known names.
///
/// # Panics
/// Where it is not so.
pub(crate) fn sound(bytes: &[u8]) {
    if !bytes.is_ascii() {
        // Only an original that is carried along as it is has other bytes.
        return;
    }
    let text = std::str::from_utf8(bytes).expect("ASCII");
    let (head, _) = text.split_once("\r\n\r\n").expect("an end of the head");
    let mut seen = BTreeSet::new();
    for line in head.split("\r\n") {
        assert!(line.len() <= 998 && !line.contains(|c: char| c.is_control()), "{line:?}");
        if line.starts_with(' ') {
            assert!(!line.trim().is_empty() && !seen.is_empty());
            continue;
        }
        let (name, _) = line.split_once(':').expect("a header");
        assert!(HEADERS.contains(&name) && seen.insert(name), "{name}");
    }
}

fn headers(read: &Message<'_>) {
    let mut seen = BTreeSet::new();
    for header in read.headers() {
        let name = header.name.as_str();
        assert!(HEADERS.contains(&name) && seen.insert(name), "a header {name}");
        assert!(!matches!(header.name, HeaderName::Other(_)), "{name}");
    }
}

fn people(list: Option<&mail_parser::Address<'_>>) -> Vec<String> {
    let one = |found: &mail_parser::Addr<'_>| {
        assert_eq!(found.name, None);
        found.address().expect("an address").to_owned()
    };
    list.map(|list| list.as_list().expect("no group").iter().map(one).collect()).unwrap_or_default()
}

/// Message ids without their brackets, which the other reader takes off.
fn words(ids: &str) -> Vec<String> {
    ids.split(' ').filter(|id| !id.is_empty()).map(|id| id[1..id.len() - 1].to_owned()).collect()
}

fn named(value: &HeaderValue<'_>) -> Vec<String> {
    match value {
        HeaderValue::Empty => Vec::new(),
        HeaderValue::Text(one) => vec![one.to_string()],
        HeaderValue::TextList(several) => several.iter().map(ToString::to_string).collect(),
        other => panic!("message ids read as {other:?}"),
    }
}

/// The first text is body and quote, with one kind of line end.
fn text(read: &Message<'_>, mail: &Mail<'_>) {
    let lines = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
    let mut expected = lines(mail.body);
    if !mail.quote.is_empty() {
        expected.truncate(expected.trim_end().len());
        expected.push_str(if expected.is_empty() { "" } else { "\r\n\r\n" });
        expected.push_str(&lines(mail.quote));
    }
    let part = read.parts.iter().find(|part| !part.is_multipart()).expect("a text");
    let PartType::Text(found) = &part.body else { panic!("the text is another part") };
    assert_eq!(*found, expected, "the text");
}

/// Behind the text come the attachments, and the original last.
fn files(read: &Message<'_>, mail: &Mail<'_>) {
    let mut parts = read.parts.iter().filter(|part| !part.is_multipart()).skip(1);
    for attachment in mail.attachments {
        let part = parts.next().expect("an attachment");
        // Of a text that is no UTF-8 the other reader replaces what it cannot read.
        if !part.is_text() || std::str::from_utf8(attachment.content()).is_ok() {
            assert_eq!(part.contents(), attachment.content());
        }
        assert_eq!(part.attachment_name(), Some(attachment.name()));
        let kind = part.content_type().expect("a type");
        let kind = format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default());
        assert_eq!(kind, attachment.media_type());
    }
    assert_eq!(parts.next().is_some(), mail.original.is_some(), "the original");
    assert!(parts.next().is_none(), "a part that nobody attached");
}

/// Text that may be an address: one of letters mostly, any text now and then.
pub(crate) fn address(input: &mut Input<'_>) -> String {
    let letters = b"abcABC019#$&'+-/=?^_`{|}~.";
    match input.byte() {
        0..16 => input.text(),
        16..32 => format!("a@{}", input.text()),
        32..48 => format!("{}@example.org", input.text()),
        _ => {
            let local =
                input.bytes().iter().map(|byte| char::from(letters[usize::from(*byte) % letters.len()]));
            let domain = input.pick(&["example.org", "Example.COM", "a-b.c0", "xn--bcher-kva.example"]);
            format!("a{}@{domain}", local.take(63).collect::<String>())
        }
    }
}

/// What may be a list of message ids.
fn ids(input: &mut Input<'_>) -> String {
    match input.byte() {
        0..32 => input.text(),
        number => {
            let one = |input: &mut Input<'_>| {
                let visible = input.bytes().iter().map(|byte| char::from(b'!' + byte % 94));
                format!("<{}@example.org>", visible.filter(|c| !"<>".contains(*c)).collect::<String>())
            };
            (0..number & 3).map(|_| one(input)).collect::<Vec<_>>().join(" ")
        }
    }
}

/// Any bytes as a mail that came in, whole or as Gmail's JSON: it is read or not, in bounds; and where one person is
/// named by a header that we read, no other reader finds another.
///
/// # Panics
/// Where that does not hold.
pub fn mime_parse(data: &[u8]) {
    if let Ok(message) = serde_json::from_slice::<Value>(data) {
        if let Some(facts) = letter::of_message(&message) {
            bounded(&facts);
        }
        return;
    }
    if let Ok(text) = std::str::from_utf8(data) {
        header(text.split(['\r', '\n']).next().unwrap_or_default());
    }
    let Some(facts) = letter::of_raw(&base64url::encode(data)) else { return };
    bounded(&facts);
    let read = MessageParser::default().parse(data).expect("another reader reads it, too");
    // RFC 5322, section 2.1: an empty line ends the headers. That reader passes over it behind a date that it cannot read,
    // and takes lines of the body for headers.
    if read.root_part().offset_body as usize > body(data) {
        return;
    }
    for (name, found) in [
        ("from", read.from()),
        ("to", read.to()),
        ("cc", read.cc()),
        ("bcc", read.bcc()),
        ("reply_to", read.reply_to()),
    ] {
        let values = facts[name].as_array().expect("a list");
        let ours: Option<Vec<Vec<Address>>> =
            values.iter().map(|value| addresses(value.as_str().expect("a text")).ok()).collect();
        if let Some(ours) = ours {
            same(&ours.concat(), found, name);
        }
    }
}

/// Where the body begins: behind the first empty line.
fn body(data: &[u8]) -> usize {
    let mut at = 0;
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        if matches!(line, b"\n" | b"\r\n") {
            break;
        }
    }
    at
}

/// One header of addresses.
fn header(value: &str) {
    let one = from_address(value);
    let Ok(ours) = addresses(value) else { return };
    if let Some(author) = &one {
        assert_eq!(ours.as_slice(), std::slice::from_ref(author), "both readers of ours");
    }
    let mail = format!("From: {value}\r\n\r\n");
    let read = MessageParser::default().parse(mail.as_bytes()).expect("a mail");
    same(&ours, read.from(), "from");
}

/// That another reader finds nobody else. Names are not compared: whoever wrote them wrote what they wanted.
fn same(ours: &[Address], found: Option<&mail_parser::Address<'_>>, name: &str) {
    let theirs: Vec<String> = found
        .iter()
        .flat_map(|list| list.iter())
        .filter_map(|one| one.address())
        .map(|text| text.to_ascii_lowercase())
        .collect();
    let ours: Vec<String> = ours.iter().map(|address| address.as_str().to_ascii_lowercase()).collect();
    assert_eq!(ours, theirs, "{name}");
}

fn bounded(facts: &Value) {
    let size = facts.to_string().len();
    assert!(size <= FACTS, "the facts of a letter have {size} bytes");
    let members = facts.as_object().expect("an object");
    for name in ["subject", "date", "reply_subject", "forward_subject"] {
        let line = members[name].as_str().expect("a text");
        assert!(!line.contains(|c: char| c.is_control()), "{name}: {line:?}");
    }
    for name in ["message_id", "in_reply_to"] {
        let id = members[name].as_str().expect("a text");
        assert!(id.is_empty() || id.len() <= 252 && id.bytes().all(|b| b.is_ascii_graphic()), "{id:?}");
    }
    for name in ["references", "answers"] {
        let ids = members[name].as_str().expect("a text");
        assert!(ids.split(' ').count() <= 20 && ids.bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
    }
}
