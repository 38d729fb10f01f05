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

#[test]
fn headers_without_a_value_name_nobody_and_a_thread_is_what_came_before() {
    let headers = [("To", ""), ("Cc", " "), ("Reply-To", "a@example.org"), ("Reply-To", "")];
    let facts = of_message(&message(&headers, &[], "Hi")).unwrap();
    assert_eq!(
        (&facts["to"], &facts["cc"], &facts["reply_to"]),
        (&json!([]), &json!([]), &json!(["a@example.org"]))
    );
    let facts = of_message(&message(&ORDINARY, &[], "x")).unwrap();
    assert_eq!(facts["answers"], "<0@example.org> <1@example.org>");
    let ids: Vec<String> = (0..25).map(|n| format!("<{n}@x.org>")).collect();
    let headers = [("References", ids.join(" ")), ("Message-ID", "<24@x.org>".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let facts = of_message(&message(&headers, &[], "x")).unwrap();
    assert_eq!(facts["answers"], ids[4..24].join(" "));
    assert_eq!(facts["references"], ids[5..].join(" "));
}

/// Whom an own mail went to gets the answer to it; also one who cannot be read is named there once.
#[test]
fn an_own_mails_readers_are_not_copied_too() {
    let headers =
        [("From", "me@example.com"), ("To", "a@example.org b@example.org"), ("Cc", "c@example.org")];
    let facts = of_message(&message(&headers, &["SENT"], "x")).unwrap();
    assert_eq!(facts["answer_to"], json!(["a@example.org b@example.org"]));
    assert_eq!(facts["answer_cc"], json!(["c@example.org"]));
}

#[test]
fn a_long_text_says_that_it_goes_on() {
    let text = |length: usize| {
        let facts = of_message(&message(&[], &[], &"ü".repeat(length))).unwrap();
        facts["text"].as_str().unwrap().to_owned()
    };
    assert_eq!(text(30_000), "ü".repeat(30_000));
    assert_eq!(text(30_001), format!("{}\n[…]", "ü".repeat(30_000)));
}

fn part(kind: &str, content: &str, parts: Vec<Value>) -> Value {
    json!({ "mimeType": kind, "filename": "", "headers": [], "body": { "data": base64url::encode(content.as_bytes()) }, "parts": parts })
}

fn text_of(payload: Value) -> String {
    let facts = of_message(&json!({ "payload": payload })).unwrap();
    facts["text"].as_str().unwrap().to_owned()
}

#[test]
fn so_many_parts_are_read_and_so_deep() {
    let many = |count: usize| {
        part("multipart/mixed", "", (0..count).map(|n| part("text/plain", &n.to_string(), vec![])).collect())
    };
    // The whole is a part too.
    assert_eq!(text_of(many(199)).lines().count(), 199);
    assert_eq!(text_of(many(250)).lines().last(), Some("198"));
    let deep = |count: usize| {
        (0..count)
            .fold(part("text/plain", "deep", vec![]), |inner, _| part("multipart/mixed", "", vec![inner]))
    };
    assert_eq!((text_of(deep(12)), text_of(deep(13))), ("deep".to_owned(), String::new()));
    let nested = |count: usize| {
        let heads: String = (0..count)
            .map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}.\r\n\r\n--b{n}.\r\n"))
            .collect();
        raw(&format!("{heads}\r\ndeep"))
    };
    assert_eq!(nested(12).unwrap()["text"], "deep");
    assert_eq!(nested(13), None);
    let parts = |count: usize| {
        raw(&format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n",
            "--b\r\n\r\nx\r\n".repeat(count)
        ))
    };
    assert!(parts(199).is_some());
    assert_eq!(parts(200), None);
}

#[test]
fn what_is_attached_is_no_text() {
    let with = |filename: &str, id: Value| {
        let part = json!({ "mimeType": "text/plain", "filename": filename, "body": { "attachmentId": id, "size": 3, "data": "aGk" } });
        let part = match id {
            Value::Null => {
                let mut part = part;
                part["body"].as_object_mut().unwrap().remove("attachmentId");
                part
            }
            _ => part,
        };
        let facts = of_message(&json!({ "payload": { "headers": [], "parts": [part] } })).unwrap();
        (facts["text"].as_str().unwrap().to_owned(), facts["attachments"].clone())
    };
    assert_eq!(with("", Value::Null), ("hi".to_owned(), json!([])));
    assert_eq!(with("a.txt", Value::Null), (String::new(), json!(["a.txt (text/plain, 3 bytes)"])));
    assert_eq!(with("", json!("x")), (String::new(), json!(["without a name (text/plain, 3 bytes)"])));
    // A blank alternative hides nothing.
    let both = part(
        "multipart/alternative",
        "",
        vec![part("text/plain", " \r\n", vec![]), part("text/html", "<p>seen</p>", vec![])],
    );
    assert_eq!(text_of(both).trim(), "seen");
    let blanks = part("text/html", "<p></p><p></p>a<p></p><p></p><p></p>b", vec![]);
    assert_eq!(text_of(blanks), "a\n\nb");
}

#[test]
fn a_drafts_parts_are_read_by_their_headers() {
    let one = |headers: &str, body: &str| {
        let facts = raw(&format!("Content-Type: multipart/mixed; x=\"y;z\"; boundary=\"b\"\r\n\r\n--b\r\n{headers}\r\n\r\n{body}\r\n--b--\r\n")).unwrap();
        (facts["text"].as_str().unwrap().to_owned(), facts["attachments"].clone())
    };
    // A single text that is not plain is called what it is.
    assert_eq!(one("Content-Type: text/html", "<b>"), ("[text/html]\n<b>".to_owned(), json!([])));
    let file = "Content-Type: a/b; name=\"x;y.bin\"";
    assert_eq!(one(file, "abc").1, json!(["x;y.bin (a/b, 3 bytes)"]));
    assert_eq!(
        one(&format!("{file}\r\nContent-Transfer-Encoding: base64"), "YW\r\nJj\r\n").1,
        json!(["x;y.bin (a/b, 3 bytes)"])
    );
    let printed = "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable";
    assert_eq!(one(printed, "a=\r\nb=3D=zz=4").0, "ab==zz=4");
}

#[test]
fn encoded_words_are_read_as_readers_show_them() {
    for (subject, shown) in [
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?= x =?utf-8?q?b?=", "a x b"),
        ("x =?utf-8?q?a?=", "x a"),
        ("=?utf-8?q?a?= =?nonsense =?utf-8?q?b?=", "a =?nonsense b"),
        ("=?iso-8859-1?q?=E9?=", "é"),
        ("=?windows-1252?B?6Q==?=", "é"),
        ("=?utf-8*en?q?a_b?=", "a b"),
        ("=?koi8-r?q?a?=", "=?koi8-r?q?a?="),
        ("=?utf-8?q?=E9?=", "=?utf-8?q?=E9?="),
    ] {
        let facts = of_message(&message(&[("Subject", subject)], &[], "x")).unwrap();
        assert_eq!(facts["subject"], shown, "{subject}");
    }
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

/// Mail that strangers write is read while an agent waits, and others with it. Each of these took minutes, where a header
/// was compared with all before it, or read to its end from each place in it.
#[test]
fn long_headers_are_read_once() {
    let message = |name: &str, value: &str| {
        let headers = [("From", "a@example.org"), ("Delivered-To", "me@example.org"), (name, value)];
        let headers: Vec<Value> =
            headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        of_message(&json!({ "payload": { "headers": headers } })).unwrap()
    };
    let ids: Vec<String> = (0..60_000).map(|number| format!("<{number}@x>")).collect();
    let last = ids[ids.len() - 20..].join(" ");
    assert_eq!(message("References", &ids.join(" "))["references"], last);

    let to: Vec<Value> = (0..10)
        .map(|header| {
            let list: Vec<String> = (0..4_000).map(|number| format!("{header}.{number}@x.org")).collect();
            json!({ "name": "To", "value": list.join(",") })
        })
        .collect();
    let read = of_message(&json!({ "payload": { "headers": to } })).unwrap();
    assert_eq!(read["answer_cc"].as_array().unwrap().len(), 40_000);

    let words = "=?utf-8?Q?a ".repeat(40_000);
    assert_eq!(message("Subject", &words)["subject"], words.trim_end());
    // The longest word is one, and so is what follows it.
    for (length, read) in [(998, true), (999, false)] {
        let word = format!("=?utf-8?Q?{}?=", "a".repeat(length - 12));
        let subject = message("Subject", &format!("{word} b"))["subject"].as_str().unwrap().to_owned();
        assert_eq!(subject, format!("{} b", if read { &word[10..word.len() - 2] } else { &word }));
    }
}
