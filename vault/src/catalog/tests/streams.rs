//! The catalog's words for streams: what a step may be whose answer or body is too long to be held.

use claviger_domain::arg::ArgKind;
use claviger_domain::step::{AnswerKind, Streamed};

use super::service;
use super::wire::ident;

const BASE: &str = r#"
id = "x"
title = "X"
origin = "https://x.example"
auth = { kind = "bearer" }
[step.facts]
method = "GET"
path = "/things/{thing}"
[step.begin]
method = "POST"
path = "/upload/things"
body = { codec = "json", fields = { name = "{file}" } }
[step.look]
method = "GET"
path = "/upload/things"
[step.other]
method = "POST"
path = "/upload/{elsewhere}"
[resource.box]
summary = "boxes"
resolve = { step = "facts", list = "/a", match = "/n", take = "/i" }

[tool.get]
summary = "G"
effect = "read"
answers = "untrusted"
args.thing = { type = "id", required = true, summary = "" }
args.box_id = { type = "id", required = true, summary = "" }
args.from = { type = "integer", min = 0, max = 9, summary = "" }
args.below = { type = "integer", min = -1, max = 9, summary = "" }
[[tool.get.step]]
name = "content"
method = "GET"
path = "/things/{thing}"
answer = "stream"
offset = "{from}"
max = 1000
check.box = { probe = "facts", at = "/box", again = true }

[tool.put]
summary = "P"
effect = "write"
args.file = { type = "upload", required = true, max = 1000, summary = "" }
args.kind = { type = "choice", of = ["text/plain"], summary = "" }
args.text = { type = "line", summary = "" }
[[tool.put.step]]
name = "upload"
method = "PUT"
path = "/upload/things"
body = { upload = "file", type = "{kind}" }
resumable = { start = "begin" }
fields = ["id"]
"#;

#[test]
fn streams_are_read_as_they_are_written() {
    let read = service::parse(BASE).unwrap();
    let get = &read.tools[&ident("get")].steps[0];
    let streamed = Streamed { offset: Some(ident("from")), member: None, max: 1000 };
    assert_eq!(get.answer, AnswerKind::Stream(streamed));
    assert!(get.is_streamed());
    let put = &read.tools[&ident("put")];
    assert_eq!(put.args[&ident("file")].kind, ArgKind::Upload { max: 1000 });
    let upload = put.steps[0].upload.as_ref().unwrap();
    assert_eq!((&upload.arg, &upload.start), (&ident("file"), &Some(ident("begin"))));
    // What is left out: 16 GiB, any bytes, one plain request.
    let plain = BASE.replace("max = 1000\ncheck", "check").replace("resumable = { start = \"begin\" }\n", "");
    let read = service::parse(&plain.replace(", type = \"{kind}\"", "")).unwrap();
    let AnswerKind::Stream(streamed) = &read.tools[&ident("get")].steps[0].answer else { panic!() };
    assert_eq!(streamed.max, 16 << 30);
    let upload = read.tools[&ident("put")].steps[0].upload.as_ref().unwrap();
    assert_eq!((&upload.start, upload.content_type.is_none()), (&None, true));
    let mail = "within = { codec = \"rfc5322\", subject = \"{text}\" }, max = 1000";
    let with_mail = BASE.replace("type = \"{kind}\" }", &format!("type = \"{{kind}}\", {mail} }}"));
    let read = service::parse(&with_mail).unwrap();
    let upload = read.tools[&ident("put")].steps[0].upload.as_ref().unwrap();
    assert_eq!(upload.within.as_ref().map(|within| within.max), Some(1000));
    // What a file in a mail may be said to be has a place in a mail.
    for (kind, fits) in
        [("multipart/mixed", false), ("message/rfc822", false), ("text", false), ("a/b", true)]
    {
        let kinds = format!("of = [\"text/plain\", \"{kind}\"]");
        let changed = with_mail.replace("of = [\"text/plain\"]", &kinds);
        assert_eq!(service::parse(&changed).is_ok(), fits, "{kind}");
    }
    let decoded = BASE.replace("offset = \"{from}\"", "decode = { json = \"/data\", as = \"base64url\" }");
    let read = service::parse(&decoded).unwrap();
    let AnswerKind::Stream(streamed) = &read.tools[&ident("get")].steps[0].answer else { panic!() };
    assert_eq!(streamed.member.as_deref(), Some("data"));
}

#[test]
fn a_stream_that_could_not_be_bounded_is_refused() {
    for (from, to) in [
        // Nothing is decided after the first byte.
        (
            "check.box = { probe = \"facts\", at = \"/box\", again = true }",
            "check.box = { response = \"/box\" }",
        ),
        (
            "check.box = { probe = \"facts\", at = \"/box\", again = true }",
            "check.box = { elements = \"/things\", at = \"/box\" }",
        ),
        // Only what is asked for, and what strangers may have written.
        (
            "method = \"GET\"\npath = \"/things/{thing}\"\nanswer",
            "method = \"POST\"\npath = \"/things/{thing}\"\nanswer",
        ),
        ("effect = \"read\"", "effect = \"write\""),
        ("answers = \"untrusted\"", "answers = \"trusted\""),
        // A place that is no number, may be below 0, or is unknown.
        ("offset = \"{from}\"", "offset = \"{thing}\""),
        ("offset = \"{from}\"", "offset = \"{below}\""),
        ("offset = \"{from}\"", "offset = \"{absent}\""),
        ("offset = \"{from}\"", "offset = \"0\""),
        // Members that are not at the top, other encodings, and ranges of what is no stream of bytes.
        ("offset = \"{from}\"", "decode = { json = \"/a/data\", as = \"base64url\" }"),
        ("offset = \"{from}\"", "decode = { json = \"/*\", as = \"base64url\" }"),
        ("offset = \"{from}\"", "decode = { json = \"/data\", as = \"base64\" }"),
        ("offset = \"{from}\"", "offset = \"{from}\"\ndecode = { json = \"/data\", as = \"base64url\" }"),
        ("answer = \"stream\"", "answer = \"json\""),
        ("answer = \"stream\"", "answer = \"bytes\""),
        ("answer = \"stream\"", "answer = \"stream\"\nyields.thing = \"/id\""),
        ("answer = \"stream\"", "answer = \"stream\"\nauthors = { nobody = true }"),
        ("answer = \"stream\"", "answer = \"stream\"\nrefuse = [{ at = \"/kind\", is = \"x\" }]"),
        ("answer = \"stream\"", "answer = \"stream\"\nbody = { codec = \"json\", fields = { a = \"b\" } }"),
        // A service's own step is never one.
        ("[step.look]\nmethod = \"GET\"", "[step.look]\nanswer = \"stream\"\nmethod = \"GET\""),
        // Uploads.
        ("body = { upload = \"file\"", "body = { upload = \"text\""),
        ("body = { upload = \"file\"", "body = { upload = \"absent\""),
        ("body = { upload = \"file\"", "body = { upload = \"file\", more = \"x\""),
        ("type = \"{kind}\"", "type = \"{text}\""),
        ("type = \"{kind}\"", "type = \"{file}\""),
        ("start = \"begin\"", "start = \"absent\""),
        ("start = \"begin\"", "start = \"look\""),
        ("start = \"begin\"", "start = \"other\""),
        ("method = \"PUT\"", "method = \"POST\""),
        ("method = \"PUT\"", "method = \"GET\""),
        ("path = \"/upload/things\"\nbody = { upload", "path = \"/upload/{text}\"\nbody = { upload"),
        ("effect = \"write\"", "effect = \"read\""),
        ("fields = [\"id\"]", "answer = \"bytes\""),
        // A file within a mail: of a known most, in a session, and in nothing but a mail.
        (
            "type = \"{kind}\" }",
            "type = \"{kind}\", within = { codec = \"rfc5322\", subject = \"{text}\" } }",
        ),
        ("type = \"{kind}\" }", "type = \"{kind}\", max = 1000 }"),
        (
            "type = \"{kind}\" }",
            "type = \"{kind}\", within = { codec = \"rfc5322\", subject = \"{text}\" }, max = -1 }",
        ),
        (
            "type = \"{kind}\" }",
            "type = \"{kind}\", within = { codec = \"rfc5322\", subject = \"{text}\" }, max = \"1\" }",
        ),
        (
            "type = \"{kind}\" }",
            "type = \"{kind}\", within = { codec = \"rfc5322\", subject = \"{file}\" }, max = 1000, more = 1 }",
        ),
        (
            "type = \"{kind}\" }",
            "type = \"{kind}\", within = { codec = \"rfc5322\", file = \"{file}\" }, max = 1000 }",
        ),
        (
            "type = \"{kind}\" }",
            "type = \"{kind}\", within = { codec = \"json\", fields = { a = \"{text}\" } }, max = 1000 }",
        ),
        ("type = \"{kind}\" }", "type = \"{kind}\", within = \"{text}\", max = 1000 }"),
        (
            "type = \"{kind}\" }",
            "type = \"message/rfc822\", within = { codec = \"rfc5322\", subject = \"{text}\" }, max = 1000 }",
        ),
        (
            "type = \"{kind}\" }\nresumable = { start = \"begin\" }",
            "type = \"{kind}\", within = { codec = \"rfc5322\", subject = \"{text}\" }, max = 1000 }",
        ),
        (
            "body = { upload = \"file\", type = \"{kind}\" }\nresumable = { start = \"begin\" }",
            "body = { codec = \"json\", fields = { name = \"{file}\" } }",
        ),
        (
            "body = { upload = \"file\", type = \"{kind}\" }",
            "body = { codec = \"json\", fields = { name = \"{file}\" } }",
        ),
    ] {
        let changed = BASE.replacen(from, to, 1);
        assert_ne!(changed, BASE, "{from}");
        assert!(service::parse(&changed).is_err(), "{to} was taken");
    }
}
