#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
use super::pattern::glob;
use super::*;
use proptest::prelude::*;

#[test]
fn plain_addresses_are_taken() {
    for (text, kept) in [
        ("family@example.org", "family@example.org"),
        ("Family@Example.ORG", "Family@example.org"),
        ("first.last+tag@mail.example.co.uk", "first.last+tag@mail.example.co.uk"),
        ("o'brien@example.org", "o'brien@example.org"),
        ("prvs=12ab=x@example.org", "prvs=12ab=x@example.org"),
        ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("a@3com.com", "a@3com.com"),
        ("a@example.xn--p1ai", "a@example.xn--p1ai"),
    ] {
        let address: Address = text.parse().unwrap();
        assert_eq!(address.to_string(), kept);
        assert_eq!(format!("{}@{}", address.local(), address.domain()), kept);
    }
    let edge = format!("{}@{}.{}.org", "l".repeat(64), "d".repeat(63), "e".repeat(63));
    assert!(edge.parse::<Address>().is_ok());
    let longest = |last: usize| {
        format!("{}@{}.{}.{}", "l".repeat(64), "d".repeat(63), "e".repeat(63), "f".repeat(last))
    };
    assert_eq!(longest(61).parse::<Address>().unwrap().as_str().len(), 254);
    assert_eq!(longest(62).parse::<Address>(), Err(BadAddress::TooLong));
}

#[test]
fn everything_else_is_refused() {
    use BadAddress::{Domain, Local, Shape, TooLong};
    let long_local = format!("{}@example.org", "l".repeat(65));
    let long_label = format!("a@{}.org", "d".repeat(64));
    let long = format!("{}@{}org", "l".repeat(64), "d.".repeat(100));
    for (text, error) in [
        ("", Shape),
        ("family", Shape),
        ("a@b@c", Shape),
        ("a@b@example.org", Shape),
        ("Family <family@example.org>", Local),
        ("<family@example.org>", Local),
        ("\"a\"@b.c", Local),
        ("a@[1.2.3.4]", Domain),
        ("a@1.2.3.4", Domain),
        ("a@[IPv6:::1]", Domain),
        ("a@example.org.", Domain),
        ("a@.example.org", Domain),
        ("a@example..org", Domain),
        ("a@localhost", Domain),
        ("a@-x.org", Domain),
        ("a@x-.org", Domain),
        ("a@ex_ample.org", Domain),
        ("a@", Domain),
        ("@example.org", Local),
        (".a@example.org", Local),
        ("a.@example.org", Local),
        ("a..b@example.org", Local),
        ("a(comment)@example.org", Local),
        ("a@example.org(comment)", Domain),
        ("group:a@example.org;", Local),
        ("a@example.org,b", Domain),
        ("a@example.org;", Domain),
        ("a@example.org\r\nBcc: x", Domain),
        ("a\r\nBcc: b@example.org", Local),
        ("a\n@example.org", Local),
        (" a@example.org", Local),
        ("a@example.org ", Domain),
        ("a@example.org\0", Domain),
        ("a\t@example.org", Local),
        ("a\u{7f}@example.org", Local),
        ("=?utf-8?q?x?=@example.org", Local),
        ("victim%elsewhere.org@example.org", Local),
        ("elsewhere.org!victim@example.org", Local),
        ("*@example.org", Local),
        ("fаmily@example.org", Local),
        ("a@exаmple.org", Domain),
        ("a＠example.org", Shape),
        ("a@example。org", Domain),
        (&long_local, Local),
        (&long_label, Domain),
        (&long, TooLong),
    ] {
        assert_eq!(text.parse::<Address>(), Err(error), "{text:?}");
    }
}

#[test]
fn patterns_have_one_spelling() {
    for (text, kept) in [
        ("*", "*"),
        ("*@Example.com", "*@example.com"),
        ("Family@example.org", "family@example.org"),
        ("news-*@example.org", "news-*@example.org"),
        ("a*b.*@example.org", "a*b.*@example.org"),
    ] {
        let pattern: Pattern = text.parse().unwrap();
        assert_eq!(pattern.to_string(), kept);
        assert_eq!(pattern.is_wild(), text.contains('*'));
    }
    for bad in [
        "",
        "**",
        "@",
        "*@",
        "@*",
        "*@*",
        "*@*.com",
        "*@*.example.com",
        "*@example.*",
        "*.com",
        "**@example.com",
        "*@*@example.com",
        "*@example.com.",
        "*@com",
        "\"*\"@example.com",
        "* @example.com",
        "*@example.com\n",
        "=?*@example.com",
        "*@ex*mple.com",
        "a%*@example.com",
        "*..a@example.com",
        "*@exаmple.com",
    ] {
        assert!(bad.parse::<Pattern>().is_err(), "{bad:?} was taken");
    }
}

#[test]
fn a_star_stays_on_its_side_of_the_at() {
    for (pattern, address, expected) in [
        ("*", "anybody@elsewhere.net", true),
        ("*@example.com", "a@example.com", true),
        ("*@example.com", "A.b+c@EXAMPLE.com", true),
        ("*@example.com", "a@sub.example.com", false),
        ("*@example.com", "a@example.com.evil.net", false),
        ("*@example.com", "a@notexample.com", false),
        ("family@example.org", "Family@example.org", true),
        ("family@example.org", "family2@example.org", false),
        ("family@example.org", "xfamily@example.org", false),
        ("family@gmail.com", "fa.mily@gmail.com", false),
        ("family@gmail.com", "family+x@gmail.com", false),
        ("family@gmail.com", "family@googlemail.com", false),
        ("family+*@gmail.com", "family+x@gmail.com", true),
        ("news-*@example.org", "news-@example.org", true),
        ("news-*@example.org", "news@example.org", false),
        ("*-bot@example.org", "a-bot-b-bot@example.org", true),
        ("*-bot@example.org", "a-bot-b@example.org", false),
        ("a*b*c@example.org", "axxbxxbxc@example.org", true),
        ("a*b*c@example.org", "acb@example.org", false),
    ] {
        let matched = pattern.parse::<Pattern>().unwrap().matches(&address.parse().unwrap());
        assert_eq!(matched, expected, "{pattern} on {address}");
    }
}

#[test]
fn what_is_forbidden_has_other_spellings() {
    for (pattern, address, expected) in [
        ("family@gmail.com", "fa.mily@gmail.com", true),
        ("family@gmail.com", "FAMILY+x@googlemail.com", true),
        ("fa.mily+news@gmail.com", "family@gmail.com", true),
        ("fam*@gmail.com", "f.amily@gmail.com", true),
        ("*@evil.com", "a@evil.com", true),
        ("*", "a@b.cd", true),
        ("family@gmail.com", "family2@gmail.com", false),
        ("family@gmail.com", "family@example.com", false),
        ("*@evil.com", "a@sub.evil.com", false),
        ("a@b.cd", "+a@b.cd", false),
        // What is nothing but a tag is a name of its own.
        ("+x@b.cd", "+y@b.cd", false),
    ] {
        let resembles = pattern.parse::<Pattern>().unwrap().resembles(&address.parse().unwrap());
        assert_eq!(resembles, expected, "{pattern} on {address}");
    }
}

#[test]
fn domains_that_only_look_alike_are_no_domains() {
    for look_alike in [
        "me@exаmple.org",
        "me@examp\u{13cf}e.org",
        "me@ｅxample.org",
        "me@example\u{3002}org",
        "me@example\u{ff0e}org",
        "me@examp\u{200b}le.org",
        "me@example.org\u{ad}",
        "me@exam\u{307}ple.org",
        "me@bücher.example",
        "me\u{ff20}example.org",
    ] {
        assert!(look_alike.parse::<Address>().is_err(), "{look_alike:?}");
        assert!(look_alike.parse::<Pattern>().is_err(), "{look_alike:?}");
    }
    // In its ASCII form it is another domain, and reads as one.
    let mine: Pattern = "*@example.org".parse().unwrap();
    assert!(!mine.matches(&"me@xn--exmple-4nf.org".parse().unwrap()));
}

/// The plain definition of a glob, slow but easy to believe.
fn slow_glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skip| slow_glob(rest, &text[skip..])),
        Some((first, rest)) => {
            text.split_first().is_some_and(|(t, tail)| t == first && slow_glob(rest, tail))
        }
    }
}

proptest! {
    #[test]
    fn the_quick_glob_is_the_slow_one(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
        prop_assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), slow_glob(pattern.as_bytes(), text.as_bytes()));
    }

    #[test]
    fn what_is_taken_is_plain(text in "([a-z0-9.+=?*%!\"<>\\[\\], \r\n@-]|\\PC){0,24}@?[a-z0-9.*-]{0,12}") {
        if let Ok(address) = text.parse::<Address>() {
            let kept = address.to_string();
            prop_assert!(kept.bytes().all(|b| b.is_ascii_graphic() && !b"\"(),:;<>[]\\*%!".contains(&b)));
            prop_assert_eq!(kept.matches('@').count(), 1);
            prop_assert_eq!(kept.parse::<Address>().unwrap(), address.clone());
            prop_assert!(kept.parse::<Pattern>().unwrap().matches(&address));
        }
    }

    #[test]
    fn a_pattern_never_matches_another_domain(
        local in "[a-z*]{1,6}",
        domain in "[a-z]{1,4}\\.[a-z]{2,3}",
        address in "[a-z]{1,6}@[a-z]{1,4}\\.[a-z]{2,3}",
    ) {
        if let (Ok(pattern), Ok(address)) =
            (format!("{local}@{domain}").parse::<Pattern>(), address.parse::<Address>())
        {
            prop_assert!(!pattern.matches(&address) || address.domain() == domain);
        }
    }
}
