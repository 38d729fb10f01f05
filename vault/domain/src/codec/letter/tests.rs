#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
use super::*;
use crate::codec::base64url;
use proptest::prelude::*;

fn raw(text: &str) -> Option<Value> {
    of_raw(&base64url::encode(text.as_bytes()))
}

fn message(headers: &[(&str, &str)], labels: &[&str], text: &str) -> Value {
    let headers: Vec<Value> =
        headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({
        "id": "m", "labelIds": labels,
        "payload": {
            "mimeType": "multipart/mixed", "filename": "", "headers": headers, "body": { "size": 0 },
            "parts": [
                { "mimeType": "text/html", "filename": "", "body": { "data": base64url::encode(b"<p>no</p>") } },
                { "mimeType": "text/plain", "filename": "", "body": { "data": base64url::encode(text.as_bytes()) } },
                { "mimeType": "application/pdf", "filename": "bill\u{202e}.pdf", "body": { "attachmentId": "x", "size": 9 } },
            ],
        },
    })
}

const ORDINARY: [(&str, &str); 8] = [
    ("Delivered-To", "owner@example.com"),
    ("From", "=?utf-8?Q?J=C3=B6rg?= <joerg@example.org>"),
    ("To", "Olga <Owner@example.com>, \"Bo, B\" <bo@example.org>"),
    ("Cc", "cy@example.org, joerg@example.org"),
    ("Subject", "=?utf-8?B?R3LDvMOfZQ==?="),
    ("Date", "Mon, 2 Nov 2026 08:00:00 +0000"),
    ("Message-Id", "<2@example.org>"),
    ("References", "<0@example.org> nonsense <1@example.org>"),
];

#[test]
fn a_message_becomes_an_answer() {
    let facts = of_message(&message(&ORDINARY, &["INBOX"], "Hi\r\nyou\u{202e}\r\n")).unwrap();
    for (member, expected) in [
        ("answer_to", json!(["=?utf-8?Q?J=C3=B6rg?= <joerg@example.org>"])),
        // Neither the owner, nor whom the answer goes to anyway.
        ("answer_cc", json!(["bo@example.org", "cy@example.org"])),
        ("subject", json!("Grüße")),
        ("reply_subject", json!("Re: Grüße")),
        ("forward_subject", json!("Fwd: Grüße")),
        ("message_id", json!("<2@example.org>")),
        ("references", json!("<0@example.org> <1@example.org> <2@example.org>")),
        ("text", json!("Hi\nyou\u{fffd}")),
        ("attachments", json!(["bill .pdf (application/pdf, 9 bytes)"])),
        (
            "quote",
            json!("On Mon, 2 Nov 2026 08:00:00 +0000, Jörg <joerg@example.org> wrote:\n> Hi\n> you\u{fffd}"),
        ),
    ] {
        assert_eq!(facts[member], expected, "{member}");
    }
    let forward = facts["forward_text"].as_str().unwrap();
    assert!(
        forward.contains("From: Jörg <joerg@example.org>\n") && forward.ends_with("\n\nHi\nyou\u{fffd}"),
        "{forward}"
    );
    assert!(forward.contains("Not attached: bill .pdf"));
}

#[test]
fn who_gets_the_answer() {
    let with = |extra: &[(&str, &str)], labels: &[&str]| {
        let headers: Vec<(&str, &str)> = ORDINARY.iter().chain(extra).copied().collect();
        of_message(&message(&headers, labels, "x"))
    };
    let to = |facts: Value| (facts["answer_to"].clone(), facts["answer_cc"].clone());
    // The stranger's own header chooses, and the vault says so.
    let (answer, cc) = to(with(&[("Reply-To", "evil@evil.example")], &[]).unwrap());
    assert_eq!(answer, json!(["evil@evil.example"]));
    assert_eq!(cc, json!(["bo@example.org", "cy@example.org", "joerg@example.org"]));
    // To a mail of one's own: those whom it went to.
    let (answer, cc) = to(with(&[], &["SENT"]).unwrap());
    assert_eq!(answer, json!(["Olga <Owner@example.com>, \"Bo, B\" <bo@example.org>"]));
    assert_eq!(cc, json!(["cy@example.org", "joerg@example.org"]));
    // Two of what there is one of.
    for name in ["From", "from", "Reply-To"] {
        assert_eq!(with(&[(name, "a@example.org"), ("Reply-To", "b@example.org")], &[]), None, "{name}");
    }
    // What is not understood stays, for the next reader to refuse; an empty group is nobody.
    let (_, cc) = to(with(&[("Cc", "a@example.org b@example.org")], &[]).unwrap());
    assert_eq!(cc[2], "a@example.org b@example.org");
    let (_, cc) = to(with(&[("Cc", "team: a@example.org, b@example.org;")], &[]).unwrap());
    assert_eq!(cc, json!(["bo@example.org", "cy@example.org", "a@example.org", "b@example.org"]));
    let (_, cc) = to(with(&[("Cc", "undisclosed-recipients:;")], &[]).unwrap());
    assert_eq!(cc.as_array().unwrap().len(), 2);
}

#[test]
fn subjects_get_one_prefix() {
    for (subject, reply, forward) in [
        ("x", "Re: x", "Fwd: x"),
        ("Re: x", "Re: x", "Fwd: Re: x"),
        ("RE: x", "RE: x", "Fwd: RE: x"),
        ("AW: x", "AW: x", "Fwd: AW: x"),
        ("Fwd: x", "Re: Fwd: x", "Fwd: x"),
        ("", "Re: ", "Fwd: "),
        ("=?utf-8?q?a=0D=0ABcc:_x?=", "Re: a Bcc: x", "Fwd: a Bcc: x"),
    ] {
        let facts = of_message(&message(&[("Subject", subject)], &[], "x")).unwrap();
        assert_eq!(
            (facts["reply_subject"].as_str().unwrap(), facts["forward_subject"].as_str().unwrap()),
            (reply, forward)
        );
    }
}

#[test]
fn a_message_without_the_parts_one_needs() {
    assert_eq!(of_message(&json!({})), None);
    assert_eq!(of_message(&json!({ "payload": {} })), None);
    assert_eq!(of_message(&json!({ "payload": { "headers": [{ "name": "From" }] } })), None);
    let facts = of_message(&json!({ "payload": { "headers": [] } })).unwrap();
    assert_eq!(
        (&facts["answer_to"], &facts["message_id"], &facts["text"]),
        (&json!([]), &json!(""), &json!(""))
    );
    // A message id that is none is none.
    for id in ["x", "<a b>", "<a>\r\n<b>", "<a\r\nBcc: x>"] {
        let facts = of_message(&message(&[("Message-ID", id)], &[], "x")).unwrap();
        assert_eq!(facts["message_id"], "", "{id:?}");
    }
}

#[test]
fn html_alone_is_made_readable() {
    let html = "<style>p{x}</style><p>Hello&nbsp;<b>you</b> &lt;x&gt;</p><script>evil()</script><div>bye</div><!-- no -->";
    let part = json!({ "payload": {
        "headers": [], "mimeType": "text/html", "filename": "", "body": { "data": base64url::encode(html.as_bytes()) },
    } });
    assert_eq!(of_message(&part).unwrap()["text"], "Hello you <x>\n\nbye");
}

#[test]
fn a_draft_is_read_as_it_will_be_sent() {
    let facts = raw(
        "From: Owner <owner@example.com>\r\nTo: a@example.org,\r\n b@example.org\r\nBcc: c@example.org\r\n\
         Reply-To: d@example.org\r\nSubject: =?utf-8?q?Hi?=\r\nContent-Type: multipart/mixed; boundary=\"x\"\r\n\r\n\
         --x\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n--y\r\n\r\nplain\r\n--y\r\n\
         Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<b>other=3D</b>\r\n--y--\r\n\
         --x\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=\"a.csv\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\nYSxi\r\n--x--\r\n",
    )
    .unwrap();
    assert_eq!(facts["to"], json!(["a@example.org, b@example.org"]));
    assert_eq!((&facts["bcc"], &facts["reply_to"]), (&json!(["c@example.org"]), &json!(["d@example.org"])));
    // Both alternatives are shown: a reader may see either.
    assert_eq!(facts["text"], "[text/plain]\nplain\n\n[text/html]\n<b>other=</b>");
    assert_eq!(facts["attachments"], json!(["a.csv (text/csv, 3 bytes)"]));
    let empty = "To: a@example.org\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\n--x--\r\n";
    assert_eq!(raw(empty).unwrap()["text"], "");
    assert_eq!(raw("To: a@example.org\r\n\r\nHi\r\n").unwrap()["text"], "Hi");
    assert_eq!(raw("\r\nHi").unwrap()["to"], json!([]));
}

#[test]
fn what_could_be_read_in_two_ways_is_not_read() {
    let good = "To: a@example.org\r\nSubject: x\r\n";
    assert!(raw(&format!("{good}\r\nbody")).is_some());
    for bad in [
        "To: b@example.org\r\n",
        "TO: b@example.org\r\n",
        "Bcc: b@example.org\r\nbcc: c@example.org\r\n",
        "Bcc : b@example.org\r\n",
        " Bcc: b@example.org\r\nBcc\t: c@example.org\r\n",
        "X: y\rBcc: b@example.org\r\n",
        "X: y\nBcc: b@example.org\r\n",
        "X: y\r\n \r\nBcc: b@example.org\r\n",
        "X: y\0\r\n",
        "B\u{441}c: b@example.org\r\n",
        "X: \u{e9}\r\n",
        "no colon\r\n",
        ": x\r\n",
        "Resent-To: b@example.org\r\n",
        "resent-bcc: b@example.org\r\n",
        "Apparently-To: b@example.org\r\n",
        "From: a@example.org\r\nFrom: b@example.org\r\n",
        "Reply-To: a@example.org\r\nReply-To: b@example.org\r\n",
        "Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=x\r\n",
        "Content-Transfer-Encoding: rot13\r\n",
        "Content-Type: multipart/mixed\r\n",
    ] {
        assert_eq!(raw(&format!("{good}{bad}\r\nbody")), None, "{bad:?}");
    }
    assert_eq!(raw("To: a@example.org"), None);
    assert_eq!(raw(" To: a@example.org\r\n\r\n"), None);
    assert_eq!(of_raw("not base64url!"), None);
    let deep: String =
        (0..20).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n")).collect();
    assert_eq!(raw(&deep), None);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in any::<Vec<u8>>(), text in "(\r\n|To: |a@b.c|--x|multipart/mixed; boundary=x|Content-Type: |\\PC){0,30}") {
        let _ = of_raw(&base64url::encode(&bytes));
        let _ = raw(&text);
        let _ = of_message(&message(&[("From", &text), ("Subject", &text)], &[], &text));
    }

    /// Nothing in a mail can put another line into what an answer is made of.
    #[test]
    fn what_an_answer_is_made_of_is_one_line_each(value in any::<String>()) {
        let headers = [("Subject", value.as_str()), ("Message-ID", &value), ("References", &value), ("Date", &value)];
        let facts = of_message(&message(&headers, &[], &value)).unwrap();
        for member in ["reply_subject", "forward_subject", "message_id", "references", "date"] {
            prop_assert!(!facts[member].as_str().unwrap().chars().any(char::is_control), "{member}");
        }
        let quote = facts["quote"].as_str().unwrap();
        prop_assert!(quote.lines().skip(1).all(|line| line.starts_with('>')), "{quote}");
    }
}
