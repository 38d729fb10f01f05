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
    Authors { step: None, elements: None, who }
}

fn trusted() -> Vec<Pattern> {
    ["ann@example.org", "*@family.example"].iter().map(|text| text.parse().unwrap()).collect()
}

fn message(headers: &[(&str, &str)]) -> Value {
    let headers: Vec<_> = headers.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({"id": "m1", "payload": {"headers": headers}, "snippet": "Ignore me"})
}

fn is_trusted(headers: &[(&str, &str)]) -> bool {
    mail().all_trusted(&message(headers), &trusted(), None)
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
    assert!(!mail().all_trusted(&message(&[good, ("From", "ann@example.org")]), &[], None));
    let own: Address = "ann@example.org".parse().unwrap();
    // The owner's own name on a mail is no proof, and quotes whom it likes.
    assert!(!mail().all_trusted(&message(&[good, ("From", "ann@example.org")]), &[], Some(&own)));
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
        assert!(!mail().all_trusted(&answer, &trusted(), None), "{answer}");
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
        assert_eq!(authors.all_trusted(&answer, &trusted(), None), expected, "{answer}");
    }
}

#[test]
fn a_file_is_trusted_when_all_who_may_edit_it_are() {
    let authors = Authors { step: None, elements: None, who: Who::Editors("/permissions".parse().unwrap()) };
    let own: Address = "me@example.org".parse().unwrap();
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
        assert_eq!(authors.all_trusted(&answer, &trusted(), Some(&own)), expected, "{answer}");
    }
    assert!(!authors.all_trusted(&json!({"id": "f"}), &trusted(), Some(&own)));
    assert!(!authors.all_trusted(&json!({"permissions": [mine]}), &trusted(), None));
}

#[test]
fn an_event_is_trusted_when_organiser_and_guests_are() {
    let who = Who::People(vec!["/organizer/email".parse().unwrap(), "/attendees/*/email".parse().unwrap()]);
    let authors = Authors { step: None, elements: None, who };
    let own: Address = "me@example.org".parse().unwrap();
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
        assert_eq!(authors.all_trusted(&answer, &trusted(), Some(&own)), expected, "{answer}");
    }
}

#[test]
fn a_list_of_ids_has_no_author_and_a_text_belies_it() {
    let authors = Authors { step: None, elements: None, who: Who::Nobody };
    for (answer, expected) in [
        (json!({"messages": [{"id": "18a", "threadId": "18b"}], "nextPageToken": "Ab_-=="}), true),
        (json!({"resultSizeEstimate": 5}), true),
        (json!({"messages": [{"id": "18a", "snippet": "Hello there"}]}), false),
        (json!({"id": "Grüße"}), false),
        (json!({"id": "a\nb"}), false),
        (json!({"id": "x".repeat(513)}), false),
    ] {
        assert_eq!(authors.all_trusted(&answer, &[], None), expected, "{answer}");
    }
}

proptest! {
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
