//! What a request is made of: each codec of its own arguments, and none that half fits.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::world::{arg, ident, parse, step, tool};
use crate::arg::ArgKind;
use crate::refusal::Class;
use crate::render::{Filling, render};
use crate::step::{Codec, LetterAt, Paging, Segment, Step, Template, UploadBody, Within};
use crate::tool::Tool;

fn param(name: &str) -> Template {
    Template::Param(ident(name))
}

fn codec(codec: Codec, fields: &[(&str, Template)]) -> Template {
    Template::Codec(codec, fields.iter().map(|(name, field)| ((*name).to_owned(), field.clone())).collect())
}

fn literal(text: &str) -> Template {
    Template::Literal(text.to_owned())
}

fn declared(step: Step) -> Tool {
    let args = [
        ("ids", arg(ArgKind::Ids { max: 3 })),
        ("line", arg(ArgKind::Line { max: 60 })),
        ("text", arg(ArgKind::Text { max: 600 })),
        ("to", arg(ArgKind::Addresses { max: 3 })),
        ("gone", arg(ArgKind::Addresses { max: 3 })),
        ("flag", arg(ArgKind::Boolean)),
        ("day", arg(ArgKind::Date)),
        ("when", arg(ArgKind::DateTime)),
        ("files", arg(ArgKind::Attachments { max: 2 })),
        ("file", arg(ArgKind::Upload { max: 1 << 40 })),
        ("branch", arg(ArgKind::Branch)),
    ];
    tool(args, vec![step])
}

/// A refusal's class and field.
type Refusal = (Class, Option<String>);

/// The type and the body of the request that the template makes of these arguments.
fn body(template: Template, given: Value) -> Result<Option<(String, String)>, Refusal> {
    let mut step = step("post");
    step.body = Some(template);
    let tool = declared(step);
    let args = parse(&tool, &given).unwrap();
    let filling = Filling { args: &args, params: &BTreeMap::new(), page_token: None };
    let request = render(&tool.steps[0], filling).map_err(|denial| (denial.class, denial.field))?;
    Ok(request.content_type.map(|kind| (kind, String::from_utf8(request.body).unwrap())))
}

/// The JSON that such a value becomes.
fn value(template: Template, given: Value) -> Result<Option<Value>, Refusal> {
    let fields = Template::Object(BTreeMap::from([("v".to_owned(), template)]));
    let found = body(codec(Codec::Json, &[("fields", fields)]), given)?;
    let (kind, text) = found.unwrap();
    assert_eq!(kind, "application/json");
    let whole: Value = serde_json::from_str(&text).unwrap();
    Ok(whole.get("v").cloned())
}

const UNFIT: Refusal = (Class::BadStep, None);

#[test]
fn what_is_not_given_leaves_nothing_behind() {
    let fields =
        Template::Object(BTreeMap::from([("a".to_owned(), param("line")), ("b".to_owned(), param("flag"))]));
    let json = |given| body(codec(Codec::Json, &[("fields", fields.clone())]), given).unwrap().unwrap().1;
    assert_eq!(json(json!({ "line": "x", "flag": false })), "{\"a\":\"x\",\"b\":false}");
    assert_eq!(json(json!({ "line": "x" })), "{\"a\":\"x\"}");
    assert_eq!(json(json!({})), "{}");
    assert_eq!(body(codec(Codec::Json, &[]), json!({})), Ok(None));
    assert_eq!(body(codec(Codec::Json, &[("fields", param("line"))]), json!({})), Ok(None));
    assert_eq!(
        value(Template::List(vec![param("line"), param("text")]), json!({ "text": "t" })),
        Ok(Some(json!(["t"])))
    );
    // A body of text or of JSON alone has no type.
    for bare in [param("line"), param("ids"), literal("x")] {
        assert_eq!(body(bare, json!({ "line": "x", "ids": ["a"] })), Err(UNFIT));
    }
}

#[test]
fn each_codec_takes_what_it_is_for() {
    let each = || codec(Codec::Each, &[("of", param("to")), ("named", literal("email"))]);
    assert_eq!(value(each(), json!({ "to": ["a@b.cd"] })), Ok(Some(json!([{ "email": "a@b.cd" }]))));
    assert_eq!(value(each(), json!({ "to": [] })), Ok(Some(json!([]))));
    assert_eq!(value(each(), json!({})), Ok(None));
    assert_eq!(value(codec(Codec::Each, &[("of", param("to"))]), json!({ "to": ["a@b.cd"] })), Err(UNFIT));
    let of_text = codec(Codec::Each, &[("of", param("line")), ("named", literal("email"))]);
    assert_eq!(value(of_text, json!({ "line": "x" })), Err(UNFIT));
    let only = || codec(Codec::Only, &[("of", param("ids"))]);
    assert_eq!(value(only(), json!({ "ids": ["a"] })), Ok(Some(json!("a"))));
    assert_eq!(value(only(), json!({})), Ok(None));
    for several in [json!({ "ids": ["a", "b"] }), json!({ "ids": [] })] {
        assert_eq!(value(only(), several), Err(UNFIT));
    }
    assert_eq!(value(codec(Codec::Only, &[("of", param("line"))]), json!({ "line": "a" })), Err(UNFIT));
    let flag = || codec(Codec::Flag, &[("is", param("line"))]);
    for (given, expected) in
        [(json!({ "line": "true" }), true), (json!({ "line": "yes" }), false), (json!({}), false)]
    {
        assert_eq!(value(flag(), given), Ok(Some(json!(expected))));
    }
    let packed = |of: Template| codec(Codec::Base64url, &[("of", of)]);
    assert_eq!(value(packed(param("line")), json!({ "line": "hi?" })), Ok(Some(json!("aGk_"))));
    assert_eq!(value(packed(param("line")), json!({})), Ok(None));
    assert_eq!(value(packed(param("ids")), json!({ "ids": ["a"] })), Err(UNFIT));
    let padded = |of: Template| codec(Codec::Base64, &[("of", of)]);
    assert_eq!(value(padded(param("line")), json!({ "line": "hi?>" })), Ok(Some(json!("aGk/Pg=="))));
    assert_eq!(value(padded(param("text")), json!({ "text": "" })), Ok(Some(json!(""))));
    assert_eq!(value(padded(param("line")), json!({})), Ok(None));
    assert_eq!(value(padded(param("ids")), json!({ "ids": ["a"] })), Err(UNFIT));
    let branch = || codec(Codec::BranchRef, &[("of", param("branch"))]);
    assert_eq!(value(branch(), json!({ "branch": "fix/a" })), Ok(Some(json!("refs/heads/fix/a"))));
    assert_eq!(value(branch(), json!({})), Ok(None));
    let words = || codec(Codec::PlainWords, &[("words", param("line"))]);
    assert_eq!(value(words(), json!({ "line": "Two Words" })), Ok(Some(json!("two words"))));
    assert_eq!(value(words(), json!({})), Ok(None));
    // What a codec refuses is said of the argument that filled its field.
    assert_eq!(value(words(), json!({ "line": "a:b" })), Err((Class::BadArguments, Some("line".to_owned()))));
}

#[test]
fn times_are_written_as_they_were_given() {
    let moment = || codec(Codec::Moment, &[("at", param("when"))]);
    assert_eq!(value(moment(), json!({ "when": "2026-03-01" })), Ok(Some(json!("2026-03-01T00:00:00Z"))));
    assert_eq!(value(moment(), json!({})), Ok(None));
    assert_eq!(
        value(codec(Codec::Moment, &[("at", param("day"))]), json!({ "day": "2026-03-01" })),
        Err(UNFIT)
    );
    assert_eq!(value(codec(Codec::Moment, &[("at", literal("2026-03-01"))]), json!({})), Err(UNFIT));
    let event = || codec(Codec::EventTime, &[("at", param("when")), ("time_zone", param("line"))]);
    let given = json!({ "when": "2026-03-01T09:00:00Z", "line": "UTC" });
    let expected = json!({ "date": null, "dateTime": "2026-03-01T09:00:00Z", "timeZone": "UTC" });
    assert_eq!(value(event(), given), Ok(Some(expected)));
    assert_eq!(value(event(), json!({ "line": "UTC" })), Ok(None));
    let search = |field: &str, of: Template| codec(Codec::GmailQuery, &[(field, of)]);
    let day = json!({ "day": "2026-03-01", "when": "2026-03-01", "flag": true, "line": "x" });
    let after = value(search("after", param("day")), day.clone()).unwrap().unwrap();
    assert!(after.as_str().unwrap().contains("2026/03/01"), "{after}");
    assert_eq!(value(search("after", param("when")), day.clone()), Err(UNFIT));
    let attached = value(search("has_attachment", param("flag")), day.clone()).unwrap().unwrap();
    assert_eq!(attached, json!("has:attachment"));
    assert_eq!(
        value(search("has_attachment", param("flag")), json!({ "flag": false })).unwrap(),
        Some(json!("-has:attachment"))
    );
    assert_eq!(value(search("has_attachment", param("flag")), json!({})), Ok(None));
    assert_eq!(value(search("has_attachment", param("line")), day), Err(UNFIT));
}

#[test]
fn guests_are_said_only_where_something_is() {
    let guests = |present: Template| {
        let fields = [
            ("add", param("to")),
            ("remove", param("gone")),
            ("response", param("line")),
            ("present", present),
        ];
        codec(Codec::Guests, &fields)
    };
    let there = || literal("[{\"email\":\"a@b.cd\"},{\"email\":\"me@b.cd\",\"self\":true}]");
    let emails = |found: Option<Value>| {
        found.map(|all| {
            all.as_array()
                .unwrap()
                .iter()
                .map(|one| one["email"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
                .join(" ")
        })
    };
    let check = |given: Value, expected: Option<&str>| {
        assert_eq!(emails(value(guests(there()), given.clone()).unwrap()).as_deref(), expected, "{given}");
    };
    check(json!({}), None);
    check(json!({ "to": [], "gone": [] }), None);
    check(json!({ "to": ["x@y.zz"] }), Some("a@b.cd me@b.cd x@y.zz"));
    check(json!({ "gone": ["a@b.cd"] }), Some("me@b.cd"));
    check(json!({ "line": "accepted" }), Some("a@b.cd me@b.cd"));
    assert_eq!(
        emails(value(guests(literal("null")), json!({ "to": ["x@y.zz"] })).unwrap()).as_deref(),
        Some("x@y.zz")
    );
    for odd in [literal("{}"), literal("not json"), literal("[{}]")] {
        assert!(value(guests(odd), json!({ "to": ["x@y.zz"] })).is_err());
    }
    assert_eq!(
        value(guests(literal("[]")), json!({ "line": "accepted" })),
        Err((Class::BadArguments, Some("to".to_owned())))
    );
}

#[test]
fn a_mail_is_made_of_its_fields() {
    let fields = [
        ("to", param("to")),
        ("subject", param("line")),
        ("body", param("text")),
        ("attachments", param("files")),
    ];
    let mail = || codec(Codec::Rfc5322, &fields);
    let file = json!({ "name": "a.txt", "type": "text/plain", "data": "aGk=" });
    let given = json!({ "to": ["a@b.cd"], "line": "Hi", "text": "body", "files": [file] });
    let (kind, text) = body(mail(), given).unwrap().unwrap();
    assert_eq!(kind, "message/rfc822");
    for part in ["To: a@b.cd\r\n", "Subject: Hi\r\n", &STANDARD.encode("body"), "a.txt", "aGk="] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let field = |field: &str| Err((Class::BadArguments, Some(field.to_owned())));
    assert_eq!(body(mail(), json!({ "line": "Hi" })), field("to"));
    let draft = codec(Codec::Rfc5322, &[("unaddressed", literal("yes")), ("body", param("text"))]);
    assert!(body(draft, json!({ "text": "x" })).unwrap().is_some());
    let answer = |field: &str| codec(Codec::Rfc5322, &[("to", param("to")), (field, param("line"))]);
    assert_eq!(body(answer("references"), json!({ "to": ["a@b.cd"], "line": "no id" })), field("line"));
    assert_eq!(body(answer("original"), json!({ "to": ["a@b.cd"], "line": "not base64url!" })), Err(UNFIT));
    assert_eq!(body(answer("attachments"), json!({ "to": ["a@b.cd"], "line": "x" })), Err(UNFIT));
    assert_eq!(body(answer("cc"), json!({ "to": ["a@b.cd"], "line": "a@b.cd" })), Err(UNFIT));
    assert_eq!(body(codec(Codec::Rfc5322, &[("to", literal("a@b.cd"))]), json!({})), Err(UNFIT));
    let listed = codec(Codec::Rfc5322, &[("to", param("to")), ("subject", param("ids"))]);
    assert_eq!(body(listed, json!({ "to": ["a@b.cd"], "ids": ["x"] })), Err(UNFIT));
}

#[test]
fn files_are_searched_and_written_by_their_fields() {
    let search =
        |trashed: Template| codec(Codec::DriveQuery, &[("name", param("line")), ("trashed", trashed)]);
    let query = |trashed| value(search(trashed), json!({ "line": "a" }));
    assert!(query(param("text")).unwrap().unwrap().as_str().unwrap().contains("trashed"));
    assert!(!query(literal("any")).unwrap().unwrap().as_str().unwrap().contains("trashed"));
    assert_eq!(query(literal("some")), Err(UNFIT));
    let fields = |kind: Template| {
        let metadata = Template::Object(BTreeMap::from([("name".to_owned(), param("line"))]));
        codec(
            Codec::MultipartRelated,
            &[("metadata", metadata), ("content", param("text")), ("content_type", kind)],
        )
    };
    let (kind, text) =
        body(fields(literal("text/plain")), json!({ "line": "a", "text": "hi" })).unwrap().unwrap();
    assert!(
        kind.starts_with("multipart/related;")
            && text.contains("{\"name\":\"a\"}")
            && text.contains("\r\n\r\nhi\r\n")
    );
    assert_eq!(body(fields(param("text")), json!({ "line": "a" })), Err(UNFIT));
    assert_eq!(body(fields(literal("no type")), json!({ "line": "a" })), Err(UNFIT));
}

#[test]
fn a_page_is_turned_where_the_step_has_pages() {
    let mut list = step("list");
    list.query = vec![("q".to_owned(), param("line"))];
    list.page = Some(Paging {
        take: "/next".parse().unwrap(),
        query: "pageToken".to_owned(),
        size: None,
        numbered: false,
        list: None,
    });
    let turned = |step: &Step, page_token| {
        let tool = declared(step.clone());
        let args = parse(&tool, &json!({ "line": "x" })).unwrap();
        render(step, Filling { args: &args, params: &BTreeMap::new(), page_token }).unwrap().path_and_query
    };
    assert_eq!(turned(&list, None), "/x?q=x");
    assert_eq!(turned(&list, Some("a&b")), "/x?q=x&pageToken=a%26b");
    list.page = None;
    assert_eq!(turned(&list, Some("a")), "/x?q=x");
}

/// A step whose body is the file, within a mail of at most so many bytes.
fn within(mail: Template, kind: Option<Template>, max: u64) -> Step {
    let mut step = step("put");
    let within = Some(Within { mail, max });
    step.upload = Some(UploadBody { arg: ident("file"), content_type: kind, start: None, within });
    step
}

#[test]
fn a_file_stands_in_a_mail_that_fits() {
    let mail = || codec(Codec::Rfc5322, &[("to", param("to")), ("subject", param("line"))]);
    let made = |step: Step, given: Value| {
        let tool = declared(step);
        let args = parse(&tool, &given).unwrap();
        let filling = Filling { args: &args, params: &BTreeMap::new(), page_token: None };
        let request = render(&tool.steps[0], filling).map_err(|denial| (denial.class, denial.field))?;
        assert_eq!((request.content_type.as_deref(), request.body.len()), (Some("message/rfc822"), 0));
        Ok(request.around.unwrap().length())
    };
    let file = |size: u64| json!({ "name": "a.pdf", "sha256": "0".repeat(64), "size": size });
    let given = |size: u64| json!({ "to": ["a@b.cd"], "line": "text/plain", "file": file(size) });
    let kind = || Some(literal("application/pdf"));
    let length = made(within(mail(), kind(), u64::MAX), given(100)).unwrap();
    // Two lines, of 57 bytes and of 43.
    assert_eq!(made(within(mail(), kind(), u64::MAX), given(0)).unwrap() - 2, length - (76 + 2 + 60 + 2));
    assert_eq!(made(within(mail(), kind(), length), given(100)), Ok(length));
    let refused = |class: Class, field: &str| Err((class, Some(field.to_owned())));
    for size in [101, 1 << 30, 1 << 40] {
        let sent = made(within(mail(), kind(), length), given(size));
        // Base64 goes by threes.
        assert_eq!(
            sent,
            if size == 101 { Ok(length) } else { refused(Class::BadArguments, "file") },
            "{size}"
        );
    }
    assert_eq!(made(within(mail(), kind(), length - 1), given(100)), refused(Class::BadArguments, "file"));
    // What it is said to be is a type of bytes, whoever says it.
    assert_eq!(made(within(mail(), None, u64::MAX), given(100)).map(drop), Ok(()));
    assert_eq!(made(within(mail(), Some(param("line")), u64::MAX), given(100)).map(drop), Ok(()));
    for bad in ["message/rfc822", "multipart/mixed; boundary=x", "text/plain\u{a0}", "x"] {
        let mut given = given(100);
        given["line"] = json!(bad);
        let sent = made(within(mail(), Some(param("line")), u64::MAX), given);
        assert_eq!(sent, refused(Class::BadArguments, "line"), "{bad}");
    }
    assert_eq!(made(within(mail(), Some(literal("x")), u64::MAX), given(100)), Err(UNFIT));
    // The mail's own rules, under the names of its arguments.
    let mut nobody = given(100);
    nobody["to"] = json!([]);
    assert_eq!(made(within(mail(), kind(), u64::MAX), nobody), refused(Class::BadArguments, "to"));
    // Without its file there is no mail, and in no other codec.
    let mut none = given(100);
    none.as_object_mut().unwrap().remove("file");
    assert_eq!(made(within(mail(), kind(), u64::MAX), none), refused(Class::BadStep, "file"));
    let other = within(codec(Codec::Json, &[("fields", param("line"))]), kind(), u64::MAX);
    assert_eq!(made(other, given(100)), Err(UNFIT));
}

#[test]
fn a_step_tells_every_name_that_fills_it() {
    let mut one = step("get");
    one.path =
        vec![Segment::Literal("x".to_owned()), Segment::Param(ident("line")), Segment::Param(ident("text"))];
    one.query = vec![("q".to_owned(), Template::List(vec![param("ids"), literal("z")]))];
    let inner =
        Template::Object(BTreeMap::from([("a".to_owned(), param("to")), ("b".to_owned(), literal("y"))]));
    one.body = Some(codec(Codec::Json, &[("fields", inner)]));
    let texts =
        |names: Vec<&crate::name::Ident>| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(texts(one.path_names()), "line text");
    assert_eq!(texts(one.names()), "line text ids to");
    // The end of a path may be left out.
    one.path.push(Segment::Rest(ident("branch")));
    assert_eq!(texts(one.path_names()), "line text");
    assert_eq!(texts(one.names()), "line text branch ids to");
    let mail = codec(Codec::Rfc5322, &[("to", param("to")), ("subject", param("line"))]);
    assert_eq!(texts(within(mail, Some(param("text")), 1).names()), "text line to");
}

#[test]
fn a_bare_list_gets_a_name_and_nothing_else_does() {
    let mut one = step("list");
    assert_eq!(one.named(json!([1])).unwrap(), json!([1]));
    one.list = Some("items".to_owned());
    assert_eq!(one.named(json!([1])).unwrap(), json!({ "items": [1] }));
    assert_eq!(one.named(json!([])).unwrap(), json!({ "items": [] }));
    for odd in [json!({ "items": [1] }), json!({}), json!("x"), json!(null)] {
        assert_eq!(one.named(odd).unwrap_err().class, Class::Upstream);
    }
}

#[test]
fn a_mail_in_an_answer_is_read_where_there_is_one() {
    let mut one = step("get");
    let answer = json!({ "payload": { "headers": [{ "name": "Subject", "value": "Hi" }] } });
    assert_eq!(one.with_letter(answer.clone()).unwrap(), answer);
    one.letter = Some(LetterAt::Message("".parse().unwrap()));
    assert_eq!(one.with_letter(answer.clone()).unwrap()["letter"]["subject"], "Hi");
    let refused = |step: &Step, answer: Value| step.with_letter(answer).unwrap_err().class;
    assert_eq!(refused(&one, json!({})), Class::OutOfScope);
    one.letter = Some(LetterAt::Message("/messages/*".parse().unwrap()));
    assert_eq!(one.with_letter(json!({ "messages": [answer] })).unwrap()["letter"]["subject"], "Hi");
    // Two could be meant.
    assert_eq!(refused(&one, json!({ "messages": [answer, answer] })), Class::OutOfScope);
    one.letter = Some(LetterAt::Raw("/raw".parse().unwrap()));
    let raw = crate::codec::base64url::encode(b"Subject: Raw\r\n\r\nx");
    assert_eq!(one.with_letter(json!({ "raw": raw })).unwrap()["letter"]["subject"], "Raw");
    for odd in [json!({}), json!({ "raw": 1 }), json!({ "raw": "!" }), json!([])] {
        assert_eq!(refused(&one, odd), Class::OutOfScope);
    }
}
