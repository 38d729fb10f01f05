//! What a mail with a file may be: whom it may reach, what a person is shown of it, and what of it an adapter may not choose.

use super::*;

/// The bounds of a mail hold before any byte, and those of a file too.
#[tokio::test]
async fn bounds_are_those_of_a_mail_and_of_a_file() {
    let to = |patterns: &[&str]| {
        vec![Caveat::Recipients(patterns.iter().map(|text| text.parse().unwrap()).collect())]
    };
    let bound = |bound: Bound| vec![Caveat::Argument("file".parse().unwrap(), bound)];
    // What the mail of ten bytes has in all, as it is announced.
    let length = {
        let (world, _gmail) = world(vec![]).await;
        send(&world, &content(10), &[PIECE]).await.unwrap();
        body(&world).0.len() as u64
    };
    for (caveats, fits) in [
        (to(&["*@example.org"]), true),
        (to(&["mona@example.org"]), false),
        (to(&["*@example.org"]).into_iter().chain(to(&["*@example.com"])).collect(), false),
        // Nobody looks for links in a file.
        (vec![Caveat::Links(vec!["example.org".parse().unwrap()])], false),
        (vec![Caveat::Links(vec![])], false),
        (bound(Bound::Max(10)), true),
        (bound(Bound::Max(9)), false),
        (bound(Bound::OneOf(vec!["other.pdf".to_owned()])), false),
        // The whole mail counts, and what it answers.
        (vec![Caveat::BytesADay(length + 1000)], true),
        (vec![Caveat::BytesADay(length - 1)], false),
    ] {
        let shown = format!("{caveats:?}");
        let (world, gmail) = world(caveats).await;
        let sent = send(&world, &content(10), &[PIECE]).await;
        assert_eq!(sent.is_ok(), fits, "{shown}: {:?}", sent.map(drop));
        assert_eq!(gmail.lock().unwrap().sent, usize::from(fits), "{shown}");
        assert_eq!(acts(&world).is_empty(), !fits, "{shown}: nothing went out");
    }
    // As with attachments.
    let (world, _gmail) = world(vec![Caveat::Calls(1)]).await;
    send(&world, &content(10), &[PIECE]).await.unwrap();
    assert!(world.mint(SEND_FILE, mail(&content(10))).await.is_err(), "one call was granted");
    assert_eq!(acts(&world), ["POST", "PUT"]);
}

#[tokio::test]
async fn what_is_no_mail_or_no_file_is_refused_before_any_byte() {
    let (world, _gmail) = world(vec![]).await;
    let with = |name: &str, value: Value| {
        let mut mail = mail(&content(10));
        mail[name] = value;
        mail
    };
    let file = |name: &str, size: u64| json!({ "name": name, "sha256": "0".repeat(64), "size": size });
    for given in [
        with("subject", json!("x\r\nBcc: eve@evil.example")),
        with("to", json!(["mona@example.org\r\nBcc: eve@evil.example"])),
        with("file", file("a.pdf\"\r\nContent-Type: text/html\r\n\r\n", 10)),
        with("file", file("../a.pdf", 10)),
        with("file", file("a\u{202e}fdp.exe", 10)),
        with("mime_type", json!("multipart/mixed; boundary=x")),
        with("mime_type", json!("message/rfc822")),
        with("mime_type", json!("text/plain\r\nBcc: eve@evil.example")),
        // 25 MiB, and not a byte more.
        with("file", file("a.pdf", 26_214_401)),
        with("attachments", json!([{ "name": "a", "type": "text/plain", "data": "" }])),
        with("from", json!("eve@evil.example")),
    ] {
        assert_eq!(class(world.mint(SEND_FILE, given.clone()).await), Class::BadArguments, "{given}");
    }
    // The largest, with as much text and as many recipients as arguments can hold, is within what Gmail takes.
    let many = |label: &str| -> Value {
        (0..50).map(|at| format!("{}{at}@{}.example.org", "a".repeat(60), label.repeat(60))).collect()
    };
    let mut most = with("file", file(&"ü".repeat(100), 26_214_400));
    for list in ["to", "cc", "bcc"] {
        most[list] = many(&list[..1]);
    }
    most["body"] = json!("\u{1f600}".repeat(50_000));
    let uploading = begin(&world, most).await.unwrap();
    let begun = world.upstream.calls().into_iter().find(|seen| seen.method == "POST").unwrap();
    let length: u64 = begun.header("x-upload-content-length").unwrap().parse().unwrap();
    assert!((36_000_000..=36_700_160).contains(&length), "{length}");
    drop(uploading);
}

/// The adapter brings the file and nothing else: no parameter, no other step, no request by another way.
#[tokio::test]
async fn an_adapter_chooses_nothing_of_the_mail() {
    let (world, gmail) = world(vec![]).await;
    let all = content(10);
    let minted = world.mint(SEND_FILE, mail(&all)).await.unwrap();
    for name in ["to", "subject", "body", "boundary", "file"] {
        let params = [(name.to_owned(), "eve@evil.example".to_owned())].into();
        let until = CancellationToken::new();
        let gone = world.broker.upload(&adapter("gmail"), &minted.capability, "send", params, until).await;
        assert!(gone.is_err(), "{name}");
    }
    let minted = world.mint(SEND_FILE, mail(&all)).await.unwrap();
    assert!(world.send(&minted, "send", &[]).await.is_err(), "it is no plain step");
    assert!(acts(&world).is_empty() && gmail.lock().unwrap().sent == 0);
    // A file that looks like the end of the mail is base64 like any other.
    let hostile = b"\r\n--=_--\r\n\r\nBcc: eve@evil.example\r\n".repeat(10);
    send(&world, &hostile, &[7]).await.unwrap();
    assert!(file_in(&body(&world).0) == hostile);
}

#[tokio::test]
async fn a_person_is_shown_the_mail_and_the_file() {
    let (world, gmail) = world(vec![]).await;
    let grant = world.broker.open(&agent("ann")).unwrap().handles[0].grant;
    world.broker.revoke(ADMIN, grant).await.unwrap();
    let mut always = ask("ann", &[SEND_FILE], vec![]);
    always.approve = Approve::Always;
    world.broker.add_grant(ADMIN, always).await.unwrap();
    let given = mail(&content(100));
    let refused = world.mint(SEND_FILE, given.clone()).await.err().unwrap();
    assert_eq!(refused.class, Class::Pending);
    let shown = world.broker.show_approval(ADMIN, refused.approval.unwrap()).await.unwrap();
    let shown = format!("{:?}", shown.shown);
    let hash = given["file"]["sha256"].as_str().unwrap();
    for text in [
        "mona@example.org",
        "theo@example.org",
        "cy@example.org",
        "di@example.org",
        "me@example.org",
        "On Friday.",
        "Olga",
        ".pdf",
        "application/pdf",
        "(\"file, size\", \"100\")",
        hash,
    ] {
        assert!(shown.contains(text), "{text} in {shown}");
    }
    assert!(acts(&world).is_empty() && gmail.lock().unwrap().sent == 0);
}

#[tokio::test]
async fn no_record_no_mail() {
    let (world, gmail) = world(vec![]).await;
    let minted = world.mint(SEND_FILE, mail(&content(5))).await.unwrap();
    world.audit.break_door(Door::Intent);
    assert_eq!(class(opened(&world, &minted, CancellationToken::new()).await), Class::Unavailable);
    assert!(acts(&world).is_empty());
    world.audit.mend();
    let uploading = begin(&world, mail(&content(5))).await.unwrap();
    feed(&uploading, &content(5)).await;
    world.audit.break_door(Door::Outcome);
    assert_eq!(class(done(uploading).await), Class::Unknown);
    assert_eq!(gmail.lock().unwrap().sent, 1);
}
