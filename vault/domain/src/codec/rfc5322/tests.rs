//! Mails are read back by a small reader of their own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use super::*;
use proptest::prelude::*;

fn list(addresses: &[&str]) -> Vec<Address> {
    addresses.iter().map(|text| text.parse().unwrap()).collect()
}

fn with_subject(subject: &str) -> Result<String, MailError> {
    let to = list(&["a@example.org"]);
    let mail = Mail { to: &to, subject, ..Mail::default() };
    render(&mail).map(|bytes| String::from_utf8(bytes).unwrap())
}

/// Headers, unfolded, in order; and the body, decoded.
fn read(bytes: &[u8]) -> (Vec<(String, String)>, String) {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.is_ascii() && !text.replace("\r\n", "").contains(['\r', '\n']), "a bare line end");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.split("\r\n").all(|line| line.len() <= 998 && !line.trim().is_empty()));
    let headers = head.replace("\r\n ", " ");
    let headers = headers.split("\r\n").map(|line| line.split_once(':').unwrap());
    let headers =
        headers.map(|(name, value)| (name.to_owned(), value.strip_prefix(' ').unwrap_or(value).to_owned()));
    assert!(body.split("\r\n").all(|line| line.len() <= 76));
    let body = STANDARD.decode(body.replace("\r\n", "")).unwrap();
    (headers.collect(), String::from_utf8(body).unwrap())
}

/// Undoes encoded words, each decoded alone, with the spaces between them dropped.
fn words(value: &str) -> String {
    if !value.contains("=?") {
        return value.to_owned();
    }
    let mut out = String::new();
    for word in value.split(' ') {
        assert!(word.len() <= 75);
        let inner = word.strip_prefix("=?UTF-8?B?").unwrap().strip_suffix("?=").unwrap();
        out.push_str(&String::from_utf8(STANDARD.decode(inner).unwrap()).unwrap());
    }
    out
}

#[test]
fn one_mail_byte_for_byte() {
    let (to, cc) = (list(&["a@example.org", "B@example.com"]), list(&["c@example.org"]));
    let (bcc, reply_to) = (list(&["d@example.org"]), list(&["e@example.org"]));
    let mail = Mail {
        to: &to,
        cc: &cc,
        bcc: &bcc,
        reply_to: &reply_to,
        subject: "Dinner at eight",
        body: "Yes\nno",
        ..Mail::default()
    };
    assert_eq!(
        String::from_utf8(render(&mail).unwrap()).unwrap(),
        "MIME-Version: 1.0\r\n\
         To: a@example.org, B@example.com\r\n\
         Cc: c@example.org\r\n\
         Bcc: d@example.org\r\n\
         Reply-To: e@example.org\r\n\
         Subject: Dinner at eight\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: base64\r\n\
         \r\n\
         WWVzDQpubw==\r\n"
    );
}

#[test]
fn subjects() {
    for (subject, expected) in [
        ("", "Subject:\r\n"),
        ("Hi", "Subject: Hi\r\n"),
        ("Bcc: x@example.org", "Subject: Bcc: x@example.org\r\n"),
        ("Grüße", "Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n"),
        ("=?utf-8?q?x?=", "Subject: =?UTF-8?B?PT91dGYtOD9xP3g/PQ==?=\r\n"),
        (" a", "Subject: =?UTF-8?B?IGE=?=\r\n"),
        ("a ", "Subject: =?UTF-8?B?YSA=?=\r\n"),
        ("a  b", "Subject: =?UTF-8?B?YSAgYg==?=\r\n"),
        (" ", "Subject: =?UTF-8?B?IA==?=\r\n"),
    ] {
        let mail = with_subject(subject).unwrap();
        assert!(mail.contains(&format!("\r\n{expected}Content-Type:")), "{subject:?} in {mail}");
    }
    for bad in ["a\r\nBcc: x@example.org", "a\nb", "a\rb", "a\0", "a\tb", "\u{7f}", "\u{85}", "\u{1b}[2J"] {
        assert_eq!(with_subject(bad), Err(MailError::Subject), "{bad:?}");
    }
}

#[test]
fn long_headers_are_folded() {
    let plain = "word ".repeat(99) + "end";
    let encoded = "ß€😀".repeat(60);
    let unbroken = "x".repeat(500);
    for (subject, width) in [(&plain, 78), (&encoded, 76), (&unbroken, 76)] {
        let mail = with_subject(subject).unwrap();
        let (headers, _) = read(mail.as_bytes());
        let kept = &headers.iter().find(|(name, _)| name == "Subject").unwrap().1;
        assert_eq!(&words(kept), subject);
        assert!(mail.split("\r\n").all(|line| line.len() <= width), "{mail}");
        assert!(mail.split("\r\n").count() > 10);
    }
    let to: Vec<Address> = (0..50).map(|i| format!("recipient-{i}@example.org").parse().unwrap()).collect();
    let mail = Mail { to: &to, ..Mail::default() };
    let bytes = render(&mail).unwrap();
    assert!(bytes.split(|b| *b == b'\n').all(|line| line.len() <= 79));
    let wanted: Vec<&str> = to.iter().map(Address::as_str).collect();
    assert_eq!(read(&bytes).0[1], ("To".to_owned(), wanted.join(", ")));
}

#[test]
fn a_mail_needs_a_recipient() {
    let one = list(&["a@example.org"]);
    let none = Mail { reply_to: &one, subject: "s", ..Mail::default() };
    assert_eq!(render(&none), Err(MailError::NoRecipient));
    let draft = Mail { unaddressed: true, ..none };
    for mail in [Mail { to: &one, ..none }, Mail { cc: &one, ..none }, Mail { bcc: &one, ..none }, draft] {
        assert!(render(&mail).is_ok());
    }
}

#[test]
fn line_ends_become_one_kind() {
    for (body, kept) in [
        ("", ""),
        ("a\nb", "a\r\nb"),
        ("a\rb", "a\r\nb"),
        ("a\r\nb", "a\r\nb"),
        ("a\n\rb", "a\r\n\r\nb"),
        ("a\r\r\nb\n", "a\r\n\r\nb\r\n"),
        (".\n\nFrom x\n", ".\r\n\r\nFrom x\r\n"),
    ] {
        let to = list(&["a@example.org"]);
        let mail = Mail { to: &to, body, ..Mail::default() };
        assert_eq!(read(&render(&mail).unwrap()).1, kept, "{body:?}");
    }
}

#[test]
fn a_mail_with_all_that_there_is_byte_for_byte() {
    let to = list(&["a@example.org"]);
    let attachments = [
        Attachment::new("notes.txt", "text/plain", b"hi".to_vec()).unwrap(),
        Attachment::new("Übersicht \"Q3\".bin", "application/octet-stream", vec![0xff]).unwrap(),
    ];
    let mail = Mail {
        to: &to,
        subject: "Re: x",
        in_reply_to: "<2@example.org>",
        references: "<1@example.org> <2@example.org>",
        body: "Yes\n\n",
        quote: "> no",
        attachments: &attachments,
        original: Some(b"Subject: old\r\n\r\n\xffx"),
        ..Mail::default()
    };
    let bytes = render(&mail).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let boundary = text.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(boundary.len(), 50);
    assert_eq!(
        text.replace(&boundary, "B"),
        "MIME-Version: 1.0\r\n\
         To: a@example.org\r\n\
         Subject: Re: x\r\n\
         In-Reply-To: <2@example.org>\r\n\
         References: <1@example.org>\r\n <2@example.org>\r\n\
         Content-Type: multipart/mixed;\r\n boundary=\"B\"\r\n\r\n\
         --B\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         WWVzDQoNCj4gbm8=\r\n\
         --B\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: attachment;\r\n \
         filename=\"notes.txt\"\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=\r\n\
         --B\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment;\r\n \
         filename*=UTF-8''%C3%9Cbersicht%20%22Q3%22.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n/w==\r\n\
         --B\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment; filename=\"original.eml\"\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\nSubject: old\r\n\r\n\u{fffd}x\r\n\
         --B--\r\n"
    );
}

#[test]
fn whom_an_original_went_to_blindly_is_left_out() {
    for (mail, expected) in [
        (
            "To: a\r\nBcc: b@x.org,\r\n c@x.org\r\n\td@x.org\r\nSubject: s\r\n\r\nBcc: text\r\n",
            "To: a\r\nSubject: s\r\n\r\nBcc: text\r\n",
        ),
        ("BCC : b\nTo: a\n\nx", "To: a\n\nx"),
        ("Resent-Bcc: b\r\nbCc:\r\n b\r\n\r\nx", "\r\nx"),
        ("To: a\rBcc: b\r\n c\r\n\r\nx", "To: a\r\r\nx"),
        ("To: a\r\rBcc: b\r\n\r\nx", "To: a\r\r\r\nx"),
        ("Bcc: b", ""),
        ("Bcc-x: b\r\n\r\n", "Bcc-x: b\r\n\r\n"),
        ("\r\nBcc: b\r\n", "\r\nBcc: b\r\n"),
        ("", ""),
    ] {
        assert_eq!(String::from_utf8(without_bcc(mail.as_bytes())).unwrap(), expected, "{mail:?}");
    }
    let to = ["a@example.org".parse().unwrap()];
    let mail = Mail { to: &to, original: Some(b"Bcc: canary@x.org\r\n\r\nx"), ..Mail::default() };
    assert!(!String::from_utf8(render(&mail).unwrap()).unwrap().contains("canary"));
}

#[test]
fn long_names_are_in_pieces() {
    let name = format!("{}.txt", "ü".repeat(60));
    let mut out = String::new();
    file_name(&mut out, &name);
    assert!(out.split("\r\n").all(|line| line.len() <= FOLD), "{out}");
    let joined: String = out
        .split("\r\n ")
        .skip(1)
        .map(|line| line.split_once('=').unwrap().1.trim_end_matches(';'))
        .collect();
    assert_eq!(joined.strip_prefix("UTF-8''").unwrap(), format!("{}.txt", "%C3%BC".repeat(60)));
    assert!(out.contains(" filename*0*=UTF-8''%C3") && out.contains(" filename*1*=%"));
    // Each piece but the last says that another follows.
    let lines: Vec<&str> = out.split("\r\n ").skip(1).collect();
    let (last, before) = lines.split_last().unwrap();
    assert!(!before.is_empty() && before.iter().all(|line| line.ends_with(';')) && !last.ends_with(';'));
    let named = |name: &str| {
        let mut out = String::new();
        file_name(&mut out, name);
        out
    };
    assert_eq!(named(&"a".repeat(48)), format!("\r\n filename=\"{}\"", "a".repeat(48)));
    let begin = format!("\r\n filename*0*=UTF-8''{};\r\n filename*1*=a", "a".repeat(48));
    assert_eq!(named(&"a".repeat(49)), begin);
    assert_eq!(named(&"ü".repeat(8)), format!("\r\n filename*=UTF-8''{}", "%C3%BC".repeat(8)));
}

#[test]
fn message_ids_stay_what_they_are() {
    let to = list(&["a@example.org"]);
    for bad in [
        "x@example.org",
        "<a b@example.org>",
        "<>",
        "<a\r\nBcc:x@y.example>",
        "<a>\r\nBcc: x@y.example",
        "<a<b>",
        "<é@example.org>",
        "<a@b>,<c@d>",
        "(x) <a@b>",
    ] {
        let mail = Mail { to: &to, in_reply_to: bad, ..Mail::default() };
        assert_eq!(render(&mail), Err(MailError::Reference), "{bad:?}");
        let mail = Mail { to: &to, references: bad, ..Mail::default() };
        assert_eq!(render(&mail), Err(MailError::Reference), "{bad:?}");
    }
    assert!(
        is_message_id("<a!#$%&'*+=?^_`{|}~-.@[127.0.0.1]>")
            && !is_message_id(&format!("<{}>", "x".repeat(251)))
    );
}

#[test]
fn a_boundary_that_stands_in_the_original_is_not_used() {
    let part = b"x".to_vec();
    let first = border(std::slice::from_ref(&part)).unwrap();
    // Whoever could write the boundary of a mail into it would change the boundary.
    let hostile = format!("--{first}--\r\nBcc: x@example.org").into_bytes();
    assert!(!String::from_utf8_lossy(&hostile).contains(&border(std::slice::from_ref(&hostile)).unwrap()));
}

#[test]
fn a_line_is_folded_only_where_it_must_be() {
    let line = |lengths: &[usize]| {
        let to: Vec<Address> = lengths
            .iter()
            .map(|length| format!("{}@x.org", "a".repeat(length - 6)).parse().unwrap())
            .collect();
        let mut out = String::new();
        addresses(&mut out, "To", &to);
        out.split("\r\n").map(str::len).collect::<Vec<_>>()
    };
    // "To:", and a space before each; a comma after each but the last.
    assert_eq!(line(&[34, 38]), [78, 0]);
    assert_eq!(line(&[34, 39]), [39, 40, 0]);
    assert_eq!(line(&[34, 38, 10]), [39, 51, 0]);
    assert_eq!(line(&[34, 37, 10]), [78, 11, 0]);
    // Never before the first, however long it is.
    assert_eq!(line(&[70, 20]), [75, 21, 0]);
    let long = list(&[&format!("{}@{}.example.org", "a".repeat(40), "b".repeat(40)), "c@x.org"]);
    let mut out = String::new();
    addresses(&mut out, "To", &long);
    assert!(out.starts_with("To: aaaa") && out.ends_with("org,\r\n c@x.org\r\n"), "{out}");
    let subject = |words: &[usize]| {
        let mut out = String::new();
        let words: Vec<String> = words.iter().map(|length| "a".repeat(*length)).collect();
        write_subject(&mut out, &words.join(" "));
        out.split("\r\n").map(str::len).collect::<Vec<_>>()
    };
    assert_eq!(subject(&[34, 34]), [78, 0]);
    assert_eq!(subject(&[34, 35]), [43, 36, 0]);
    assert_eq!(subject(&[60, 9]), [79 - 10, 10, 0]);
    // Encoded words fill their lines.
    let mut out = String::new();
    write_subject(&mut out, &"ü".repeat(40));
    assert_eq!(out.split("\r\n").map(str::len).collect::<Vec<_>>(), [73, 69, 0]);
}

#[test]
fn each_kind_of_part_makes_a_multipart() {
    let to = list(&["a@example.org"]);
    let written = |mail: Mail<'_>| String::from_utf8(render(&Mail { to: &to, ..mail }).unwrap()).unwrap();
    let file =
        |name: &str, kind: &str, content: &[u8]| [Attachment::new(name, kind, content.to_vec()).unwrap()];
    assert!(!written(Mail::default()).contains("multipart/mixed"));
    let original = written(Mail { original: Some(b"Subject: o\r\n\r\nx"), ..Mail::default() });
    assert!(original.contains("multipart/mixed") && original.contains("Subject: o\r\n\r\nx\r\n--"));
    assert!(original.contains("Content-Transfer-Encoding: 7bit"));
    let empty = file("a.bin", "a/b", b"");
    let attached = written(Mail { attachments: &empty, ..Mail::default() });
    // The empty line after the headers is not the boundary's.
    assert!(attached.contains("multipart/mixed") && attached.contains("base64\r\n\r\n\r\n--"), "{attached}");
    for (kind, content, charset) in [
        ("text/csv", b"a,b".as_slice(), true),
        ("text/csv", b"\xff", false),
        ("application/pdf", b"a", false),
        ("application/pdf", b"\xff", false),
    ] {
        let files = file("a", kind, content);
        let text = written(Mail { attachments: &files, ..Mail::default() });
        let part = text.split(kind).nth(1).unwrap();
        assert_eq!(part.starts_with("; charset=utf-8\r\n"), charset, "{kind} {content:?}");
    }
    // A quote alone has nothing before it.
    let mail = Mail { to: &to, quote: "> no", ..Mail::default() };
    assert_eq!(read(&render(&mail).unwrap()).1, "> no");
    let mail = Mail { body: "Yes", ..mail };
    assert_eq!(read(&render(&mail).unwrap()).1, "Yes\r\n\r\n> no");
}

fn some_addresses() -> impl Strategy<Value = Vec<Address>> {
    let one =
        "[a-z=?+]{1,64}@[a-z]{1,63}\\.[a-z]{1,63}".prop_filter_map("an address", |text| text.parse().ok());
    proptest::collection::vec(one, 0..6)
}

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\r\nBcc: x@example.org".to_owned()),
        Just("\r\n\r\n".to_owned()),
        Just("\n".to_owned()),
        Just("=?utf-8?b?eA==?=".to_owned()),
        Just(" ".to_owned()),
        "[a-z ]{0,90}",
        "\\PC{0,40}",
        any::<String>(),
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_mail_has_what_it_was_given_and_no_more(
        to in some_addresses(), cc in some_addresses(), bcc in some_addresses(), reply_to in some_addresses(),
        subject in hostile(), body in hostile(),
    ) {
        let mail = Mail { to: &to, cc: &cc, bcc: &bcc, reply_to: &reply_to, subject: &subject, body: &body, ..Mail::default() };
        match render(&mail) {
            Err(MailError::Subject) => prop_assert!(subject.chars().any(char::is_control)),
            Err(MailError::NoRecipient) => prop_assert!(to.is_empty() && cc.is_empty() && bcc.is_empty()),
                Err(_) => prop_assert!(false, "nothing else can be wrong"),
            Ok(bytes) => {
                prop_assert_eq!(&bytes, &render(&mail).unwrap());
                let (headers, text) = read(&bytes);
                let mut expected = vec![("MIME-Version".to_owned(), "1.0".to_owned())];
                for (name, list) in [("To", &to), ("Cc", &cc), ("Bcc", &bcc), ("Reply-To", &reply_to)] {
                    if !list.is_empty() {
                        let joined: Vec<&str> = list.iter().map(Address::as_str).collect();
                        expected.push((name.to_owned(), joined.join(", ")));
                    }
                }
                expected.push(("Subject".to_owned(), subject.clone()));
                expected.push(("Content-Type".to_owned(), "text/plain; charset=utf-8".to_owned()));
                expected.push(("Content-Transfer-Encoding".to_owned(), "base64".to_owned()));
                let headers: Vec<(String, String)> = headers
                    .into_iter()
                    .map(|(name, value)| if name == "Subject" { let value = words(&value); (name, value) } else { (name, value) })
                    .collect();
                prop_assert_eq!(headers, expected);
                prop_assert_eq!(text, crlf(&body));
            }
        }
    }
}
