#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const GOOD: &str = "mx.google.com; dkim=pass header.i=@example.org header.s=sel header.b=\"Ab+/cd=\"; \
                    spf=pass (google.com: domain of ann@example.org designates 192.0.2.1 as permitted sender) \
                    smtp.mailfrom=ann@example.org; dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.org";

fn mail() -> Authors {
    let who =
        Who::Mail { headers: "/payload/headers".parse().unwrap(), provider: "mx.google.com".to_owned() };
    by(who)
}

fn by(who: Who) -> Authors {
    Authors {
        step: None,
        elements: None,
        who: vec![who],
        must: Vec::new(),
        if_given: Vec::new(),
        calendar: None,
        hide: Vec::new(),
    }
}

fn at(text: &str) -> Pointer {
    text.parse().unwrap()
}

fn own() -> [Address; 1] {
    ["me@example.org".parse().unwrap()]
}

fn trusted() -> Vec<Pattern> {
    ["ann@example.org", "*@family.example"].iter().map(|text| text.parse().unwrap()).collect()
}

fn message(headers: &[(&str, &str)]) -> Value {
    let headers: Vec<_> = headers.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({"id": "m1", "payload": {"headers": headers}, "snippet": "Ignore me"})
}

fn is_trusted(headers: &[(&str, &str)]) -> bool {
    mail().all_trusted(&message(headers), &trusted(), &[])
}

fn with_results(results: &str) -> bool {
    is_trusted(&[("Authentication-Results", results), ("From", "Ann <ann@example.org>")])
}

#[test]
fn a_mail_that_its_receiver_vouches_for_is_its_authors() {
    for from in [
        "ann@example.org",
        "Ann <ann@example.org>",
        "<ANN@Example.ORG>",
        "\"Smith, Ann (home) <x@evil.example>\" <ann@example.org>",
        "Ann (evil@evil.example) <ann@example.org> (really)",
        "ann@example.org (Ann)",
        "Änn Ö <ann@example.org>",
        "=?utf-8?q?Ann?= <ann@example.org>",
    ] {
        assert!(is_trusted(&[("Authentication-Results", GOOD), ("From", from)]), "{from}");
        assert!(is_trusted(&[("from", from), ("AUTHENTICATION-RESULTS", GOOD)]), "{from}");
    }
    for results in [
        "mx.google.com; dmarc=pass header.from=example.org",
        "mx.google.com 1; dmarc=pass header.from=example.org",
        "mx.google.com (a comment); dmarc = pass (p=NONE) header.from=EXAMPLE.org",
        "MX.Google.COM;\r\n dmarc=PASS\r\n\theader.from=example.org",
        "mx.google.com; dmarc=pass reason=\"it; fits\" header.from=\"example.org\"",
        "mx.google.com; dmarc/1=pass header.from=example.org;",
        "\"mx.google.com\"; spf=fail smtp.mailfrom=\"; dmarc=fail\"; dmarc=pass header.from=example.org",
        "mx.google.com; arc=pass (i=1 spf=pass dkim=pass); dmarc=pass header . from = example.org",
    ] {
        assert!(with_results(results), "{results}");
    }
    // Servers on the way had their own say, lower down.
    assert!(is_trusted(&[
        ("Authentication-Results", GOOD),
        ("Authentication-Results", "mx.other.example; dmarc=fail header.from=example.org"),
        ("Authentication-Results", "not at all well formed ((("),
        ("From", "ann@example.org"),
    ]));
}

#[test]
fn results_that_do_not_vouch_are_not_believed() {
    for results in [
        "",
        "mx.google.com",
        "mx.google.com;",
        "mx.google.com; none",
        "mx.google.com; dmarc=fail header.from=example.org",
        "mx.google.com; dmarc=none header.from=example.org",
        "mx.google.com; dmarc=temperror header.from=example.org",
        "mx.google.com; dmarc=bestguesspass header.from=example.org",
        "mx.google.com; dmarc=pass",
        "mx.google.com; dmarc=pass header.from=evil.example",
        "mx.google.com; dmarc=pass header.from=sub.example.org",
        "mx.google.com; dmarc=pass header.from=example.org.evil.example",
        "mx.google.com; dmarc=pass header.from=@example.org",
        "mx.google.com; dmarc=pass header.from=evil.example header.from=example.org",
        "mx.google.com; dmarc=pass header.d=example.org",
        "mx.google.com; dkim=pass header.i=@example.org header.from=example.org",
        "mx.google.com; spf=pass smtp.mailfrom=ann@example.org",
        // The look-alike servers.
        "mx.google.com.evil.example; dmarc=pass header.from=example.org",
        "evil.mx.google.com; dmarc=pass header.from=example.org",
        "evil.example; dmarc=pass header.from=example.org",
        "mx.goog1e.com; dmarc=pass header.from=example.org",
        "mх.google.com; dmarc=pass header.from=example.org",
        "mx.google.com evil.example; dmarc=pass header.from=example.org",
        "(mx.google.com) evil.example; dmarc=pass header.from=example.org",
        "mx.google.com 2; dmarc=pass header.from=example.org",
        // Where an attacker's words stand.
        "mx.google.com; spf=fail (dmarc=pass header.from=example.org) smtp.mailfrom=x@evil.example",
        "mx.google.com; spf=fail (\\); dmarc=pass header.from=example.org) smtp.mailfrom=x@evil.example",
        "mx.google.com; spf=fail ((a); dmarc=pass header.from=example.org) smtp.mailfrom=x@evil.example",
        "mx.google.com; spf=fail reason=\"; dmarc=pass header.from=example.org\"",
        "mx.google.com; spf=fail smtp.mailfrom=\"x; dmarc=pass header.from=example.org; \"@evil.example",
        "mx.google.com; spf=fail smtp.mailfrom=\"\\\"; dmarc=pass header.from=example.org;\"",
        "mx.google.com; dmarc=fail (dmarc=pass) header.from=example.org",
        "mx.google.com; dmarc=fail reason=\"dmarc=pass\" header.from=example.org",
        "mx.google.com; dmarc=fail header.from=example.org; dmarc=pass header.from=example.org",
        "mx.google.com; dmarc=pass header.from=example.org; dmarc=fail header.from=example.org",
        "mx.google.com; dmarc=pass header.from=example.org; dmarc=pass header.from=example.org",
        // Malformed in any part: all of it is worth nothing.
        "mx.google.com; dmarc=pass header.from=example.org; (",
        "mx.google.com; dmarc=pass header.from=example.org; \"",
        "mx.google.com; dmarc=pass header.from=example.org; spf",
        "mx.google.com; dmarc=pass header.from=example.org; none",
        "mx.google.com; none; dmarc=pass header.from=example.org",
        "mx.google.com; ; dmarc=pass header.from=example.org",
        "mx.google.com; dmarc=pass header.from=example.org,evil.example",
        "mx.google.com; dmarc=pass header.from=example.org <x>",
        "mx.google.com; dmarc=pass(c)header.from=example.org extra",
        "mx.google.com dmarc=pass header.from=example.org",
        "mx.google.com; dmarc==pass header.from=example.org",
        "mx.google.com; dmarc=pass header.from=",
        "; dmarc=pass header.from=example.org",
        // Line ends that fold nothing would begin another header.
        "mx.google.com; dmarc=fail\r\nX: mx.google.com; dmarc=pass header.from=example.org",
        "mx.google.com; dmarc=pass\nheader.from=example.org",
        "mx.google.com; dmarc=pass\rheader.from=example.org",
        "mx.google.com; dmarc=pass\0 header.from=example.org",
        "mx.google.com; dmarc=pass header.from=exаmple.org",
    ] {
        assert!(!with_results(results), "{results}");
    }
    assert!(!with_results(&format!("mx.google.com; dmarc=pass {} header.from=example.org", "(".repeat(20))));
    assert!(!with_results(&format!("{GOOD}; x=pass reason=\"{}\"", "x".repeat(20_000))));
}

#[test]
fn a_from_that_names_nobody_or_several_is_nobodys() {
    for from in [
        "",
        "ann",
        "ann@example.org, evil@evil.example",
        "evil@evil.example, ann@example.org",
        "<ann@example.org> <evil@evil.example>",
        "<ann@example.org>, <evil@evil.example>",
        "evil@evil.example <ann@example.org>",
        "ann@example.org <evil@evil.example>",
        "group: ann@example.org;",
        "Ann <ann@example.org",
        "Ann ann@example.org>",
        "<<ann@example.org>>",
        "Ann <ann@example.org> evil",
        "Ann <@evil.example:ann@example.org>",
        "\"Ann\" <\"ann\"@example.org>",
        "\"ann@example.org",
        "ann@example.org(",
        "ann@example.org\r\nTo: x",
        "ann@example.org\0",
        "аnn@example.org",
        "ann+x@example.org",
        "Ann <ann @example.org>",
    ] {
        assert!(!is_trusted(&[("Authentication-Results", GOOD), ("From", from)]), "{from}");
    }
    let two = [("Authentication-Results", GOOD), ("From", "ann@example.org"), ("FROM", "ann@example.org")];
    assert!(!is_trusted(&two));
    // What others write of themselves is no author.
    for name in ["Sender", "Reply-To", "Resent-From", "X-From", "From ", "Return-Path"] {
        let alone = [("Authentication-Results", GOOD), (name, "ann@example.org")];
        assert_eq!(is_trusted(&alone), name.trim() == "From", "{name}");
    }
}

#[test]
fn only_the_topmost_results_count_and_no_second_may_pose_as_the_provider() {
    let from = ("From", "ann@example.org");
    let fail = "mx.google.com; dmarc=fail header.from=example.org";
    for headers in [
        vec![from],
        vec![("Authentication-Results", fail), ("Authentication-Results", GOOD), from],
        vec![("Authentication-Results", GOOD), ("Authentication-Results", GOOD), from],
        vec![("Authentication-Results", GOOD), ("Authentication-Results", fail), from],
        vec![("Authentication-Results", GOOD), ("authentication-results", "((mx.google.com"), from],
        vec![("Authentication-Results", "evil.example; none"), ("Authentication-Results", GOOD), from],
        vec![("Authentication-Results", "broken ("), ("Authentication-Results", GOOD), from],
        vec![("ARC-Authentication-Results", GOOD), from],
        vec![("X-Authentication-Results", GOOD), from],
    ] {
        assert!(!is_trusted(&headers), "{headers:?}");
    }
}

#[test]
fn a_stranger_is_a_stranger_and_shapes_that_are_not_headers_are_nobodys() {
    let good = ("Authentication-Results", GOOD);
    assert!(!mail().all_trusted(&message(&[good, ("From", "ann@example.org")]), &[], &[]));
    let own: Address = "ann@example.org".parse().unwrap();
    // The owner's own name on a mail is no proof, and quotes whom it likes.
    assert!(!mail().all_trusted(
        &message(&[good, ("From", "ann@example.org")]),
        &[],
        std::slice::from_ref(&own)
    ));
    for answer in [
        json!({}),
        json!({"payload": {}}),
        json!({"payload": {"headers": {}}}),
        json!({"payload": {"headers": []}}),
        json!({"payload": {"headers": "From: ann@example.org"}}),
        json!({"payload": {"headers": [{"name": "From"}]}}),
        json!({"payload": {"headers": [
            {"name": "Authentication-Results", "value": GOOD}, {"name": "From", "value": ["ann@example.org"]}
        ]}}),
        Value::Null,
    ] {
        assert!(!mail().all_trusted(&answer, &trusted(), &[]), "{answer}");
    }
}

#[test]
fn every_element_needs_its_own_author() {
    let authors = Authors { elements: Some("/messages".parse().unwrap()), ..mail() };
    let good = message(&[("Authentication-Results", GOOD), ("From", "ann@example.org")]);
    let bad = message(&[("From", "ann@example.org")]);
    for (answer, expected) in [
        (json!({"messages": [good, good], "id": "t1", "historyId": "5"}), true),
        (json!({"messages": []}), true),
        (json!({"id": "t1"}), true),
        (json!({"id": "Do as I say"}), false),
        (json!({"messages": [good, bad]}), false),
        (json!({"messages": [bad]}), false),
        (json!({"messages": [good], "snippet": "Do as I say"}), false),
        (json!({"messages": good}), false),
        (json!({"messages": null}), false),
        (json!([good]), false),
    ] {
        assert_eq!(authors.all_trusted(&answer, &trusted(), &[]), expected, "{answer}");
    }
}

#[test]
fn a_file_is_trusted_when_all_who_may_edit_it_are() {
    let authors = by(Who::Editors(at("/permissions")));
    let may =
        |role: &str, kind: &str, address: &str| json!({"role": role, "type": kind, "emailAddress": address});
    let mine = may("owner", "user", "me@example.org");
    for (permissions, expected) in [
        (json!([mine]), true),
        (json!([mine, may("writer", "user", "ann@example.org")]), true),
        (json!([mine, may("reader", "user", "evil@evil.example")]), true),
        (json!([mine, {"role": "reader", "type": "anyone"}]), true),
        (json!([mine, may("writer", "user", "evil@evil.example")]), false),
        (json!([mine, may("fileOrganizer", "user", "evil@evil.example")]), false),
        (json!([mine, may("Reader", "user", "evil@evil.example")]), false),
        (json!([mine, {"role": "writer", "type": "anyone"}]), false),
        // An export of a document has its comments in it.
        (json!([mine, may("commenter", "user", "ann@example.org")]), true),
        (json!([mine, may("commenter", "user", "evil@evil.example")]), false),
        (json!([mine, {"role": "commenter", "type": "anyone"}]), false),
        (json!([mine, may("organizer", "user", "evil@evil.example")]), false),
        // Look-alikes.
        (json!([mine, may("writer", "user", "ann@examp1e.org")]), false),
        (json!([mine, may("writer", "user", "ann@example.org.evil.example")]), false),
        (json!([mine, may("writer", "user", "аnn@example.org")]), false),
        (json!([mine, may("writer", "user", "x@sub.family.example")]), false),
        (json!([mine, may("writer", "user", "ann@example.org, x@evil.example")]), false),
        (json!([mine, may("writer", "user", "Ann <ann@example.org>")]), false),
        (json!([mine, may("writer", "user", "")]), false),
        (json!([mine, {"role": "writer", "type": "domain", "domain": "family.example"}]), false),
        (json!([mine, may("writer", "group", "all@family.example")]), false),
        (json!([mine, {"role": "writer", "type": "user"}]), false),
        (json!([mine, {"type": "user", "emailAddress": "ann@example.org"}]), false),
        (json!([mine, {"role": "writer", "emailAddress": "ann@example.org"}]), false),
        (json!([mine, "x"]), false),
        (json!([may("reader", "user", "me@example.org")]), false),
        (json!([]), false),
        (json!({}), false),
        (Value::Null, false),
    ] {
        let answer = json!({"id": "f", "name": "a file", "permissions": permissions});
        assert_eq!(authors.all_trusted(&answer, &trusted(), &own()), expected, "{answer}");
    }
    assert!(!authors.all_trusted(&json!({"id": "f"}), &trusted(), &own()));
    assert!(!authors.all_trusted(&json!({"permissions": [mine]}), &trusted(), &[]));
}

#[test]
fn an_event_is_trusted_when_organiser_and_guests_are() {
    let who = Who::People(vec!["/organizer/email".parse().unwrap(), "/attendees/*/email".parse().unwrap()]);
    let authors = by(who);
    let (me, ann, evil) = (
        json!({"email": "me@example.org"}),
        json!({"email": "ann@example.org"}),
        json!({"email": "x@evil.example"}),
    );
    for (answer, expected) in [
        (json!({"organizer": me}), true),
        (json!({"organizer": ann, "attendees": [me, ann]}), true),
        (json!({"organizer": ann, "attendees": []}), true),
        (json!({"organizer": evil, "attendees": [me]}), false),
        (json!({"organizer": me, "attendees": [ann, evil]}), false),
        (json!({"organizer": me, "attendees": [{"displayName": "x"}]}), false),
        (json!({"organizer": me, "attendees": [{"email": 3}]}), false),
        (json!({"organizer": me, "attendees": {"email": "ann@example.org"}}), false),
        (json!({"attendees": [me]}), false),
        (json!({}), false),
    ] {
        assert_eq!(authors.all_trusted(&answer, &trusted(), &own()), expected, "{answer}");
    }
}

#[test]
fn a_list_of_ids_has_no_author_and_a_text_belies_it() {
    let authors = by(Who::Nobody);
    for (answer, expected) in [
        (json!({"messages": [{"id": "18a", "threadId": "18b"}], "nextPageToken": "Ab_-=="}), true),
        (json!({"resultSizeEstimate": 5}), true),
        (json!({"messages": [{"id": "18a", "snippet": "Hello there"}]}), false),
        (json!({"id": "Grüße"}), false),
        (json!({"id": "a\nb"}), false),
        (json!({"id": "x".repeat(513)}), false),
    ] {
        assert_eq!(authors.all_trusted(&answer, &[], &[]), expected, "{answer}");
    }
}

#[test]
fn a_list_of_people_is_by_all_on_it() {
    let authors = Authors {
        if_given: vec![IfGiven { at: at("/nextPageToken"), is: None }],
        hide: vec!["nextPageToken".to_owned()],
        ..by(Who::Sharers(at("/permissions")))
    };
    let may =
        |role: &str, kind: &str, address: &str| json!({"role": role, "type": kind, "emailAddress": address});
    let mine = may("owner", "user", "me@example.org");
    for (answer, expected) in [
        (json!({"permissions": [mine, may("reader", "user", "ann@example.org")]}), true),
        // Readers, too, chose their names.
        (json!({"permissions": [mine, may("reader", "user", "x@evil.example")]}), false),
        (json!({"permissions": [mine, {"role": "reader", "type": "anyone"}]}), false),
        (json!({"permissions": [mine, may("reader", "group", "all@family.example")]}), false),
        (json!({"permissions": [mine], "nextPageToken": "more"}), false),
        (json!({"permissions": [mine], "nextPageToken": null}), false),
        (json!({"permissions": []}), false),
    ] {
        assert_eq!(authors.all_trusted(&answer, &trusted(), &own()), expected, "{answer}");
    }
    let mut answer = json!({"permissions": [mine], "nextPageToken": "more"});
    authors.hide(&mut answer);
    assert_eq!(answer, json!({"permissions": [mine]}));
}

#[test]
fn each_condition_must_hold_and_of_none_nobody_is_trusted() {
    let both = Authors {
        who: vec![Who::Editors(at("/permissions")), Who::People(vec![at("/last/email")])],
        elements: Some(at("/files")),
        hide: vec!["permissions".to_owned(), "last".to_owned()],
        ..by(Who::Nobody)
    };
    let file = |editor: &str, last: Value| {
        json!({"id": "f", "name": "a name", "last": last,
            "permissions": [{"role": "owner", "type": "user", "emailAddress": editor}]})
    };
    let me = json!({"email": "me@example.org"});
    for (answer, expected) in [
        (json!({"files": [file("me@example.org", me.clone())]}), true),
        (json!({"files": [file("x@evil.example", me.clone())]}), false),
        // Whoever wrote last and may no longer; or who did not sign in.
        (json!({"files": [file("me@example.org", json!({"email": "x@evil.example"}))]}), false),
        (json!({"files": [file("me@example.org", json!({}))]}), false),
        (json!({"files": [file("me@example.org", Value::Null)]}), false),
        (json!({"files": [file("me@example.org", me.clone()), file("x@evil.example", me.clone())]}), false),
        (json!({"files": []}), true),
    ] {
        assert_eq!(both.all_trusted(&answer, &trusted(), &own()), expected, "{answer}");
    }
    let mut answer = json!({"files": [file("me@example.org", me)], "nextPageToken": "t"});
    both.hide(&mut answer);
    assert_eq!(answer, json!({"files": [{"id": "f", "name": "a name"}], "nextPageToken": "t"}));
    let none = Authors { who: Vec::new(), ..by(Who::Nobody) };
    assert!(!none.all_trusted(&json!({}), &trusted(), &own()));
}

#[test]
fn what_is_said_of_an_event_must_be_so() {
    let says = |place: &str, is: bool| IfGiven { at: at(place), is: Some(json!(is)) };
    let authors = Authors {
        must: vec![Holds { at: at("/eventType"), is: json!("default") }],
        if_given: vec![says("/guestsCanModify", false), says("/guestsCanSeeOtherGuests", true)],
        ..by(Who::People(vec![at("/organizer/email")]))
    };
    let event = |more: Value| {
        let mut event = json!({"eventType": "default", "organizer": {"email": "me@example.org"}});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    for (more, expected) in [
        (json!({}), true),
        (json!({"guestsCanModify": false, "guestsCanSeeOtherGuests": true}), true),
        (json!({"guestsCanModify": true}), false),
        (json!({"guestsCanModify": null}), false),
        (json!({"guestsCanModify": "false"}), false),
        (json!({"guestsCanSeeOtherGuests": false}), false),
        (json!({"eventType": "fromGmail"}), false),
        (json!({"eventType": ["default"]}), false),
        (json!({"eventType": null}), false),
    ] {
        assert_eq!(authors.all_trusted(&event(more.clone()), &trusted(), &own()), expected, "{more}");
    }
    let bare = json!({"organizer": {"email": "me@example.org"}});
    assert!(!authors.all_trusted(&bare, &trusted(), &own()), "what must be there is not");
}

#[test]
fn whoever_may_write_into_a_calendar_is_an_author() {
    let authors = by(Who::Writers(at("/items")));
    let rule =
        |role: &str, kind: &str, who: &str| json!({"role": role, "scope": {"type": kind, "value": who}});
    let mine = rule("owner", "user", "me@example.org");
    for (rules, expected) in [
        (json!([mine]), true),
        (json!([mine, rule("writer", "user", "ann@example.org")]), true),
        (json!([mine, rule("reader", "user", "x@evil.example")]), true),
        (json!([mine, rule("freeBusyReader", "default", "")]), true),
        (json!([mine, rule("none", "domain", "evil.example")]), true),
        (json!([mine, rule("writer", "user", "x@evil.example")]), false),
        (json!([mine, rule("owner", "user", "x@evil.example")]), false),
        (json!([mine, rule("writer", "group", "all@family.example")]), false),
        (json!([mine, rule("writer", "domain", "family.example")]), false),
        (json!([mine, rule("writer", "default", "")]), false),
        (json!([mine, rule("writerWithoutPrivateAccess", "user", "x@evil.example")]), false),
        (json!([mine, rule("Reader", "user", "x@evil.example")]), false),
        (json!([mine, {"role": "writer"}]), false),
        (json!([mine, {"scope": {"type": "user", "value": "ann@example.org"}}]), false),
        (json!([rule("reader", "user", "me@example.org")]), false),
        (json!([]), false),
        (Value::Null, false),
    ] {
        let answer = json!({"items": rules});
        assert_eq!(authors.all_trusted(&answer, &trusted(), &own()), expected, "{answer}");
    }
}

/// What a stranger may do to a list: have a word in it.
fn stranger() -> impl Strategy<Value = Value> {
    let role = prop_oneof!["writer", "commenter", "owner", "organizer", "fileOrganizer", "[a-z]{0,8}"];
    let kind = prop_oneof!["user", "group", "domain", "anyone", "[a-z]{0,6}"];
    let address = prop_oneof![
        "x@evil.example",
        "ann@example.org\\.evil\\.example",
        "[a-z]{1,4}@family\\.exampl[f-z]",
        ""
    ];
    (role, kind, address).prop_map(|(role, kind, address)| {
        json!({"role": role, "type": kind, "emailAddress": address, "scope": {"type": kind, "value": address}})
    })
}

proptest! {
    /// One stranger anywhere in a list that is trusted is enough, and no order of it makes a difference.
    #[test]
    fn one_stranger_is_enough(one in stranger(), place in 0..3_usize) {
        let known = |address: &str| {
            json!({"role": "writer", "type": "user", "emailAddress": address, "scope": {"type": "user", "value": address}})
        };
        let mut list = vec![known("me@example.org"), known("ann@example.org")];
        for who in [Who::Editors(at("/l")), Who::Sharers(at("/l")), Who::Writers(at("/l"))] {
            let trusts = by(who).all_trusted(&json!({"l": list}), &trusted(), &own());
            prop_assert!(trusts);
        }
        let looks = ["reader", "none"].contains(&one["role"].as_str().unwrap());
        list.insert(place, one);
        for who in [Who::Editors(at("/l")), Who::Sharers(at("/l")), Who::Writers(at("/l"))] {
            let trusts = by(who).all_trusted(&json!({"l": list}), &trusted(), &own());
            prop_assert!(looks || !trusts);
        }
    }

    #[test]
    fn no_header_panics_and_what_is_read_reads_the_same_folded(text in "(mx|[a-z.;=()\\\\\" @]|dmarc=pass |header.from=a.b |\\r\\n |é){0,30}") {
        let read = Results::parse(&text);
        if let Ok(results) = &read {
            prop_assert!(!results.server.is_empty());
            prop_assert_eq!(&Results::parse(&text.replace("\r\n ", "\n\t")), &read);
        }
        let _ = from_address(&text);
    }

    #[test]
    fn nothing_in_a_comment_or_in_quotes_vouches(lie in "[ -~]{0,60}") {
        let quoted = lie.replace('\\', "\\\\").replace('"', "\\\"");
        let commented = lie.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)");
        let quoted_text = format!("mx.google.com; spf=fail smtp.mailfrom=\"{quoted}\"");
        let commented_text = format!("mx.google.com; spf=fail ({commented})");
        for text in [quoted_text, commented_text] {
            let results = Results::parse(&text).unwrap();
            prop_assert_eq!(results.outcomes.len(), 1);
            prop_assert!(!with_results(&text));
        }
    }
}
