//! Each bound at its edge: the last moment, the last person, the last path that it allows, and the first that it does not.

use serde_json::{Value, json};

use super::decision::case;
use super::world::{everything, ident, parse, step, tool};
use crate::caveat::{Caveat, PeopleBound, Role};
use crate::effect::Effect;
use crate::grant::Handle;
use crate::people::{Unreadable, addresses};
use crate::refusal::Class;
use crate::seen::Party;
use crate::step::{Check, LookedUp, ParamSource};
use crate::tool::Tool;

fn to(texts: &[&str]) -> Caveat {
    Caveat::Recipients(texts.iter().map(|text| text.parse().unwrap()).collect())
}

fn guests(texts: &[&str]) -> Caveat {
    let patterns = texts.iter().map(|text| text.parse().unwrap()).collect();
    Caveat::People(PeopleBound { role: Role::Attendee, patterns })
}

fn party(text: &str) -> Party {
    Party::Address(text.parse().unwrap())
}

/// A tool whose look sees people.
fn looking() -> Tool {
    let mut tool = everything();
    tool.looks.push(crate::look::Look {
        name: ident("event"),
        step: ident("get"),
        optional: false,
        when: None,
        people: vec!["/guests".parse().unwrap()],
        except: Vec::new(),
        except_calendar: None,
        private: None,
        sends_if: Vec::new(),
        pin: Vec::new(),
        show: [].into(),
        etag: None,
    });
    tool
}

#[test]
fn a_time_begins_with_its_first_moment_and_ends_before_its_last() {
    let tool = everything();
    let args = parse(&tool, &json!({ "folder_id": "a", "needed": "a" })).unwrap();
    for (caveat, now, expected) in [
        (Caveat::Expires(10), 9, true),
        (Caveat::Expires(10), 10, false),
        (Caveat::NotBefore(10), 9, false),
        (Caveat::NotBefore(10), 10, true),
        (Caveat::Hours("00:00-01:00,UTC".parse().unwrap()), 3_599_999, true),
        (Caveat::Hours("00:00-01:00,UTC".parse().unwrap()), 3_600_000, false),
    ] {
        assert_eq!(caveat.decide(&tool, &args, now).is_ok(), expected, "{} at {now}", caveat.to_text());
        // A handle is as dead as its own bounds make it, whatever it is asked for.
        if !matches!(caveat, Caveat::Hours(_)) {
            let handle = Handle { caveats: vec![Caveat::Calls(1), caveat], ..case().handle };
            assert_eq!(handle.alive(now).is_ok(), expected);
            assert!(handle.alive(now).map_err(|denial| denial.class) != Err(Class::OutOfScope));
        }
    }
    let handle = |ends: &[u64]| {
        let caveats = ends.iter().map(|end| Caveat::Expires(*end)).chain([Caveat::NotBefore(3)]).collect();
        Handle { caveats, ..case().handle }
    };
    assert_eq!(handle(&[]).ends_at_ms(), None);
    assert_eq!(handle(&[9, 5, 7]).ends_at_ms(), Some(5));
    assert!(!handle(&[]).is_over(u64::MAX) && !handle(&[5]).is_over(4) && handle(&[5, 9]).is_over(5));
}

#[test]
fn a_call_reaches_those_it_names_and_those_who_are_seen() {
    let reaches = |caveat: &Caveat, tool: &Tool, given: Value, seen: Option<&[Party]>| {
        let mut whole = json!({ "folder_id": "a", "needed": "a", "cc": [] });
        whole.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        let args = parse(tool, &whole).unwrap();
        caveat.reaches(tool, &args, seen).map_err(|denial| denial.field.unwrap_or_default())
    };
    let (plain, looks) = (everything(), looking());
    let no = |field: &str| Err(field.to_owned());
    for bound in [to(&["*@b.cd"]), guests(&["*@b.cd"])] {
        assert_eq!(reaches(&bound, &plain, json!({ "to": ["a@b.cd"] }), None), Ok(()));
        assert_eq!(reaches(&bound, &plain, json!({ "to": ["a@b.cd", "a@x.yz"] }), None), no("to"));
        assert_eq!(reaches(&bound, &plain, json!({ "cc": ["a@x.yz"] }), None), no("cc"));
        assert_eq!(reaches(&bound, &looks, json!({}), Some(&[party("a@b.cd")])), Ok(()));
        assert_eq!(
            reaches(&bound, &looks, json!({}), Some(&[party("a@b.cd"), party("a@x.yz")])),
            no("object")
        );
        assert_eq!(reaches(&bound, &looks, json!({}), Some(&[Party::Unknown])), no("object"));
        // Those who are seen do not excuse those who are named, nor the other way round.
        assert_eq!(reaches(&bound, &looks, json!({ "to": ["a@x.yz"] }), Some(&[party("a@b.cd")])), no("to"));
        assert_eq!(
            reaches(&bound, &looks, json!({ "to": ["a@b.cd"] }), Some(&[Party::Unknown])),
            no("object")
        );
    }
    // A mail goes to somebody; an event without guests is its owner's.
    assert_eq!(reaches(&to(&["*"]), &plain, json!({}), None), no("recipients"));
    assert_eq!(reaches(&to(&["*"]), &looks, json!({}), None), Ok(()));
    assert_eq!(reaches(&to(&["*"]), &looks, json!({}), Some(&[])), no("recipients"));
    assert_eq!(reaches(&guests(&["*"]), &plain, json!({}), None), Ok(()));
    assert_eq!(reaches(&guests(&["*"]), &looks, json!({}), Some(&[])), Ok(()));
    // Recipients that are no addresses cannot be compared.
    let mut odd = everything();
    odd.steps[0].recipients.push(ident("line"));
    assert_eq!(reaches(&to(&["*"]), &odd, json!({ "to": ["a@b.cd"], "line": "a" }), None), no("line"));
    // Other bounds, and other people of the object, say nothing of it.
    let owner = Caveat::People(PeopleBound { role: Role::Owner, patterns: Vec::new() });
    for caveat in [owner, Caveat::Calls(0), Caveat::MadeByAgent] {
        assert_eq!(reaches(&caveat, &looks, json!({ "to": ["a@x.yz"] }), Some(&[Party::Unknown])), Ok(()));
    }
}

#[test]
fn every_path_that_a_call_names_lies_below() {
    let mut moves = everything();
    moves.args.insert(ident("from"), super::world::arg(crate::arg::ArgKind::Path));
    moves.steps[1].checks.insert(ident("path"), Check { arg: Some(ident("from")), ..Check::default() });
    let decide = |tool: &Tool, paths: &[&str], given: Value| {
        let mut whole = json!({ "folder_id": "a", "needed": "a" });
        whole.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        let caveat = Caveat::Paths(paths.iter().map(|path| path.parse().unwrap()).collect());
        caveat
            .decide(tool, &parse(tool, &whole).unwrap(), 0)
            .map_err(|denial| denial.field.unwrap_or_default())
    };
    let no = |field: &str| Err(field.to_owned());
    assert_eq!(decide(&moves, &["n"], json!({ "path": "n/a", "from": "n/b" })), Ok(()));
    assert_eq!(decide(&moves, &["n"], json!({ "path": "n/a", "from": "m/b" })), no("from"));
    assert_eq!(decide(&moves, &["n"], json!({ "path": "m/a", "from": "n/b" })), no("path"));
    assert_eq!(decide(&moves, &["n"], json!({ "path": "n/a" })), no("from"));
    assert_eq!(decide(&moves, &["n", "m"], json!({ "path": "n/a", "from": "m" })), Ok(()));
    assert_eq!(decide(&moves, &[""], json!({ "path": "", "from": "x" })), Ok(()));
    assert_eq!(decide(&moves, &["n/a"], json!({ "path": "n", "from": "n/a" })), no("path"));
    assert_eq!(decide(&moves, &["n"], json!({ "path": "n", "from": "nn" })), no("from"));
    // A tool that names no path cannot be within any.
    let mut none = everything();
    none.steps.iter_mut().for_each(|step| drop(step.checks.remove(&ident("path"))));
    assert_eq!(decide(&none, &[""], json!({})), no("path"));
}

#[test]
fn a_path_lies_within_itself_and_what_is_above() {
    let path = |text: &str| text.parse::<crate::path::RelativePath>();
    for (below, above, expected) in [
        ("a/b", "a", true),
        ("a/b", "a/b", true),
        ("a/b", "", true),
        ("", "", true),
        ("", "a", false),
        ("a", "a/b", false),
        ("ab", "a", false),
        ("A/b", "a", false),
        ("b/a", "a", false),
    ] {
        assert_eq!(path(below).unwrap().is_within(&path(above).unwrap()), expected, "{below} in {above}");
    }
    let long = |segments: usize, length: usize| vec!["a".repeat(length); segments].join("/");
    assert!(path(&long(16, 255)).is_ok() && long(16, 255).len() == 4095);
    assert!(path(&long(1, 256)).is_err() && path(&format!("{}/aa", long(16, 255))).is_err());
    assert!(path(&format!("{}/a", long(16, 254))).is_ok());
    for bad in [
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/./b",
        "a\\b",
        "a\0",
        "a\n",
        "a\u{202e}b",
        "/",
        "a/\u{200b}",
    ] {
        assert!(path(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn what_cannot_be_held_to_is_not_granted() {
    let every = everything();
    let bare = tool([], vec![step("act")]);
    let people = |role| Caveat::People(PeopleBound { role, patterns: Vec::new() });
    for caveat in [
        people(Role::Sender),
        people(Role::Owner),
        people(Role::Attendee),
        Caveat::Within(crate::caveat::DateBound { after: None, before: None }),
        Caveat::Paths(Vec::new()),
        Caveat::MadeByAgent,
        to(&["*"]),
    ] {
        assert_eq!(caveat.enforceable(&every), Ok(()), "{}", caveat.to_text());
        assert!(caveat.enforceable(&bare).is_err(), "{}", caveat.to_text());
        // One step that does not tell is enough.
        let mut half = everything();
        half.steps.push(step("third"));
        let told = matches!(
            caveat,
            Caveat::Recipients(_) | Caveat::People(PeopleBound { role: Role::Attendee, .. })
        );
        assert_eq!(caveat.enforceable(&half).is_ok(), told, "{}", caveat.to_text());
    }
    // What a look sees of the guests is as good as a check.
    let mut sees = looking();
    sees.steps = vec![step("act")];
    assert_eq!(people(Role::Attendee).enforceable(&sees), Ok(()));
    assert_eq!(to(&["*"]).enforceable(&sees), Ok(()));
    assert!(people(Role::Owner).enforceable(&sees).is_err());
    for caveat in [
        Caveat::Rate("1/1h".parse().unwrap()),
        Caveat::Calls(1),
        Caveat::Expires(1),
        Caveat::NotBefore(1),
        Caveat::Hours("00:00-01:00,UTC".parse().unwrap()),
        Caveat::Tools(Vec::new()),
        Caveat::BytesADay(1),
    ] {
        assert_eq!(caveat.enforceable(&bare), Ok(()), "{}", caveat.to_text());
    }
}

#[test]
fn a_text_that_is_taken_over_unread_has_links_that_nobody_saw() {
    let links = Caveat::Links(Vec::new());
    let with = |kind, effect| {
        let mut tool = tool([], vec![step("act")]);
        tool.effect = effect;
        let source = ParamSource::Look { look: ident("draft"), at: "/raw".parse().unwrap(), kind };
        tool.steps[0].params.insert(ident("raw"), source);
        tool.steps[0].params.insert(ident("id"), ParamSource::Answer);
        tool
    };
    for (kind, copies) in [(LookedUp::Text, true), (LookedUp::Json, true), (LookedUp::Addresses, false)] {
        for effect in Effect::ALL {
            let expected = !copies || effect == Effect::Read;
            assert_eq!(links.enforceable(&with(kind, effect)).is_ok(), expected, "{kind:?} {effect}");
        }
    }
    let decide = |given: Value| {
        let tool = everything();
        let mut whole = json!({ "folder_id": "a", "needed": "a" });
        whole.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        links
            .decide(&tool, &parse(&tool, &whole).unwrap(), 0)
            .map_err(|denial| denial.field.unwrap_or_default())
    };
    assert_eq!(decide(json!({ "line": "abc", "to": ["a@b.cd"], "path": "b.cd" })), Ok(()));
    assert_eq!(decide(json!({ "line": "b.cd" })), Err("line".to_owned()));
    assert_eq!(decide(json!({ "body": "//x" })), Err("body".to_owned()));
    assert_eq!(decide(json!({ "url": "https://b.cd/" })), Err("url".to_owned()));
}

#[test]
fn a_file_cannot_be_looked_through_for_links() {
    let files = super::world::arg(crate::arg::ArgKind::Attachments { max: 2 });
    let tool = tool([("files", files)], vec![step("act")]);
    let one = json!({ "name": "a.txt", "type": "text/plain", "data": "aGk=" });
    let decide = |given: Value| Caveat::Links(Vec::new()).decide(&tool, &parse(&tool, &given).unwrap(), 0);
    assert!(decide(json!({})).is_ok());
    assert_eq!(decide(json!({ "files": [one] })).unwrap_err().field.as_deref(), Some("files"));
}

#[test]
fn a_header_has_a_longest_and_a_deepest() {
    let padded = |length: usize| format!("{}a@x.org", " ".repeat(length - 7));
    assert_eq!(addresses(&padded(64 * 1024)).unwrap().len(), 1);
    assert_eq!(addresses(&padded(64 * 1024 + 1)), Err(Unreadable));
    let nested = |deep: usize| format!("{}{} a@x.org", "(".repeat(deep), ")".repeat(deep));
    assert_eq!(addresses(&nested(8)).unwrap().len(), 1);
    assert_eq!(addresses(&nested(9)), Err(Unreadable));
    // A comment may stand where a blank may, and joins nothing.
    let read = |text: &str| {
        addresses(text).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    };
    for (text, expected) in [
        ("a@x.org(c), b@y.org(d)", "a@x.org b@y.org"),
        ("a@x.org(c)\t, b@y.org", "a@x.org b@y.org"),
        ("Team: a@x.org(c), b@y.org(d);", "a@x.org b@y.org"),
        ("Team : a@x.org;, b@y.org", "a@x.org b@y.org"),
        ("Ann (c) <a@x.org>", "a@x.org"),
        ("\"Ann\"(c) <a@x.org>", "a@x.org"),
        ("<\ta@x.org >", "a@x.org"),
        ("\"a@y.org\" \"B\" <a@x.org>", "a@x.org"),
        ("Team:;, b@y.org", "b@y.org"),
    ] {
        assert_eq!(read(text).as_deref(), Ok(expected), "{text:?}");
    }
    for text in [
        "a@y.org B <a@x.org>",
        "B a@y.org: a@x.org;",
        "Ann(c)<a@x.org>",
        "\"B\"\"C\" <a@x.org>",
        "B\"C\" <a@x.org>",
        "<a@x.org> (c) b@y.org",
        "<a@x.org>\"b\"",
        // What never ends, and what no header holds, hides nobody.
        "a@x.org (c",
        "a@x.org (c\\",
        "a@x.org (c (d)",
        "\"A\nB\" <a@x.org>",
        "(A\0B) a@x.org",
        "\"A\"b <a@x.org>",
        "a@x.org: b@y.org;;",
        "T: a@x.org; b@y.org",
    ] {
        assert_eq!(addresses(text), Err(Unreadable), "{text:?}");
    }
}
