#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use proptest::prelude::*;

use super::{check, naive};
use crate::host::HostPattern;

fn hosts(texts: &[&str]) -> Vec<HostPattern> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn listed() -> Vec<HostPattern> {
    hosts(&["good.org", "*.below.example", "good.co", "good.com", "xn--bcher-kva.example"])
}

/// Each leads somebody's reader to a host that is not listed.
const HOSTILE: &[&str] = &[
    // Plain.
    "https://evil.com",
    "http://evil.com/x",
    "HTTPS://EVIL.COM",
    "ftp://evil.com",
    "ws://evil.com",
    "see https://good.org and https://evil.com",
    "https://good.org/,https://evil.com",
    "https://good.org/?u=https://evil.com",
    "https://good.org/?u=//evil.com",
    "https://below.example/",
    "https://notbelow.example",
    "https://good.org.evil.com",
    "https://evilgood.org",
    "https://good.org-evil.com",
    "https://good.org-",
    "see https://good.org- and more",
    "https://good.org-./x",
    "//good.org--/x",
    "https://-good.org/",
    "https:/-good.org",
    "//_good.org",
    "https://good.orgevil.com",
    // Without a scheme.
    "//evil.com/x",
    "<a href=//evil.com>x</a>",
    "www.evil.com",
    "WWW.evil",
    "evil.com",
    "go to evil.com/path now",
    "evil.com:8080",
    "end.Next",
    "(evil.io)",
    "evil.zip",
    "mail me@evil.com",
    "jane.doe@good.org",
    "good.org@evil.com",
    "report.pdf/x",
    "me@report.pdf",
    // Schemes.
    "javascript:alert(1)",
    "JaVaScRiPt: alert(1)",
    "java\nscript:alert(1)",
    "java\tscript:alert(1)",
    "&#106;avascript:alert(1)",
    "javascript&colon;alert(1)",
    "vbscript:x",
    "data:text/html,<script>",
    "data: text/html,x",
    "data:,x",
    "mailto:me@good.org",
    "mailto:anybody",
    "file:///etc/passwd",
    "blob:https://good.org/1",
    "view-source:https://good.org",
    "intent://good.org#Intent;end",
    "zoommtg://zoom/join",
    "hxxp://good.org",
    "ht\ntps://evil",
    // Users, ports, slashes.
    "https://good.org@evil.com",
    "https://good.org:443@evil.com/",
    "https://good.org%40evil.com",
    "https://user:pass@evil",
    "https://good.org;@2130706433/",
    "https://good.org,@localhost",
    "https://good.org\\@evil.com",
    "https://good.org\\.evil.com",
    "https:\\\\evil.com",
    "https:/\\evil",
    "https:/evil",
    "https:evil",
    "https:///evil",
    "https:////evil.com",
    "/\\evil/x",
    "\\\\evil\\share",
    "https://good.org#@evil.com",
    "https://good.org?@evil.com",
    "https://good.org%2eevil.com",
    "https://good.org%00.evil.com",
    "https://good.org&.evil.com",
    "https://good.org$evil",
    "https://good.org..evil.com",
    "https://.evil.com",
    "https://good.org:10.evil",
    // Encodings.
    "https://%65vil.com",
    "https%3A%2F%2Fevil.com",
    "https%253A%252F%252Fevil",
    "evil%2Ecom",
    "evil%252ecom",
    "evil&#46;com",
    "evil&#x2e;com",
    "evil&#x0000002E;com",
    "evil&period;com",
    "evil&amp;period;com",
    "https&colon;&sol;&sol;evil",
    "&#104;ttps://evil",
    "https://good.co&#109;.evil",
    "evil&#46%63om",
    "evil=\n.com",
    "https://ev=\r\nil.com",
    "evil.c=\nom",
    // Line ends and tabs inside.
    "https://ev\til.com",
    "https://ev\nil.com",
    "https:\n//evil.com",
    "https://good.org\n.evil.com",
    "<a href=\"https://good.org\nevil\">x</a>",
    "[x](https://good.co\ng)",
    // Invisible and wide characters.
    "https://ev\u{200b}il.com",
    "ht\u{ad}tps://evil.com",
    "evil\u{200d}.com",
    "evil\u{2060}.\u{2060}com",
    "evil.\u{fe0f}com",
    "good.org\u{200b}.evil.com",
    // Characters that look like a mark, or are read as one.
    "\u{2044}\u{2044}intranet",
    "\u{2215}\u{29f8}intranet",
    "\u{fe68}\u{fe68}intranet",
    "\u{2216}\u{29f5}intranet",
    "\u{29f9}/intranet",
    "https\u{fe55}intranet",
    "https\u{fe13}intranet",
    "https\u{a789}intranet",
    "https\u{2236}intranet",
    "https://good.org\u{fe6b}evil",
    "report.pdf\u{fe5f}x",
    "report.pdf\u{fe56}x",
    "x\u{2010}good.org",
    "x\u{2011}good.org",
    "\u{2024}x\u{fe52}evil.com",
    "evil\u{fe52}com",
    // What looks like the path of no host is looked at too.
    "1.2/evil.com",
    "v1.2:80/evil.com",
    // Only where the mark ends a word is it another host.
    "x.\u{200b}below.example",
    "x\u{3002}below.example",
    "https://good.com\u{200b}evil",
    "evil\u{3002}com",
    "evil\u{ff0e}com",
    "evil\u{ff61}com",
    "evil\u{2024}com",
    "https\u{ff1a}\u{ff0f}\u{ff0f}evil",
    "https:\u{ff0f}\u{ff0f}evil",
    "https://good.org\u{ff20}evil",
    "https://good.org\u{ff0e}evil.com",
    "\u{ff45}\u{ff56}\u{ff49}\u{ff4c}.com",
    "\u{ff57}\u{ff57}\u{ff57}.evil.example",
    "https://\u{24d4}vil.com",
    "evil.\u{24d2}\u{24de}\u{24dc}",
    "evil.\u{1d41c}\u{1d428}\u{1d426}",
    "evil.\u{2121}",
    "https://go\u{ff3c}evil",
    // Other scripts.
    "https://gооd.org",
    "gооd.org",
    "https://gοοd.org",
    "https://good.оrg",
    "https://аррӏе.com",
    "https://xn--80ak6aa92e.com",
    "xn--80ak6aa92e.com",
    "https://büchеr.example",
    "https://bu\u{308}cher.example",
    "пример.рф",
    "例子.中国",
    "https://例子.测试",
    "请访问evil.com获取",
    "evil.com。我们去",
    "evil.com에서",
    "مثال.إختبار",
    // Addresses in numbers.
    "https://1.2.3.4/",
    "1.2.3.4",
    "0x7f.0.0.1",
    "0177.0.0.01",
    "https://2130706433",
    "https://0x7f000001/",
    "https://017700000001",
    "https://127.1",
    "https://[::1]/",
    "//[::ffff:1.2.3.4]:80",
    // Markup.
    "[good.org](https://evil.com)",
    "[good](//evil)",
    "[1]: https://evil",
    "<https://evil>",
    "<img src=https://evil/x.png>",
    "<img src='//evil'>",
    "<base href=\"//evil/\">",
    "**evil.com**",
    "_evil.com_",
    "evil.com_x",
    "evil.com1",
    "evil.com.pdf",
    "evil.com.",
    "...evil.com...",
    "\"evil.com\"",
    "evil.com,good.org",
    "good.org,evil.com",
    "good.org/evil.com@evil.com",
    "https://localhost/",
    "https://intranet",
];

/// Nothing in these leads anywhere but to listed hosts.
const HARMLESS: &[&str] = &[
    "",
    "Hello, how are you?",
    "Let us meet at 10:30. I will bring the papers.",
    "It costs 12.50 or 1.299,00 in all.",
    "e.g. this, i.e. that, z.B. dies, a.m. and p.m., U.S.A.",
    "Version 2.0.1 is out; 3.5mm, v1.2, 1.0-rc1.",
    "On 23.11.2026 at 8 o'clock...",
    "wait...what",
    "The file report.pdf and the table data.csv.",
    "Did you get report.pdf? Or notes.txt!",
    "docs/annual_report.pdf",
    "First line.\nSecond line.\r\nThird.",
    "Note: this. Data: 5 items. About: nothing.",
    "https://good.org",
    "https://good.org.",
    "http://good.org/",
    "See https://good.org, or (https://good.org/a/b.html).",
    "<https://good.org/x>",
    "[a page](https://good.org/x/y) and **https://good.org**",
    "https://good.org:8443/x",
    "https://GOOD.org/x?y=1&z=2#part",
    "https://a.below.example/x and a.b.below.example",
    "good.org",
    "Go to good.org/wiki/Foo.Bar now.",
    "https://good.org/a/evil.com/b",
    "me@good.org",
    "https://bücher.example/x",
    "https://xn--bcher-kva.example",
    "https://good.org\nNext line",
    "请访问 https://good.org 获取。今天天气很好。我们去公园",
    "请访问good.org获取",
    "Das kostet 5 €. Schön!",
    "Привет. Как дела?",
    "やりました。ありがとう",
    "می\u{200c}خواهم. سلام",
    "50% off & more",
    "a/b and c/d, and/or",
    "// a comment",
    "C:\\Users\\me\\x.txt",
    "\u{1f600} fine \u{2764}\u{fe0f}",
    "x = y; a < b > c",
    "100%",
    "Begin it with https:// and not with http: alone.",
    "https://good.org:10.",
    "Transcript:\nhttps://good.org\nNext",
];

#[test]
fn hostile_spellings_are_refused() {
    assert!(HOSTILE.len() >= 80, "{}", HOSTILE.len());
    let taken = |text: &&&str| {
        let inside = format!("Hello, look: {text} and bye");
        check(text, &listed()).is_ok() || check(text, &[]).is_ok() || check(&inside, &listed()).is_ok()
    };
    let taken: Vec<_> = HOSTILE.iter().filter(taken).collect();
    assert!(taken.is_empty(), "these were taken: {taken:?}");
}

#[test]
fn harmless_texts_pass() {
    assert!(HARMLESS.len() >= 30, "{}", HARMLESS.len());
    let refused: Vec<_> =
        HARMLESS.iter().filter_map(|text| Some((text, check(text, &listed()).err()?))).collect();
    assert!(refused.is_empty(), "these were refused: {refused:?}");
    for text in &HARMLESS[..13] {
        assert_eq!(check(text, &[]), Ok(()), "{text:?}");
    }
}

#[test]
fn what_is_told_is_short() {
    let long = format!("https://evil.com/{}", "x".repeat(50_000));
    assert_eq!(check(&long, &[]).unwrap_err().chars().count(), 100);
    // Encoded so that decoding never ends within reason; a little less is decoded to its end.
    let levels = |count: usize| format!("%{}41", "25".repeat(count - 1));
    assert_eq!(check(&levels(23), &[]), Ok(()));
    assert!(check(&levels(24), &[]).is_err());
    let hidden = format!("evil%{}2ecom", "25".repeat(22));
    assert!(check(&hidden, &[]).is_err_and(|found| found == "evil.com"));
    let deep = format!("%{}41", "25".repeat(60));
    assert!(check(&deep, &[]).is_err());
}

/// Each was once read anew from many of its places: a quarter of a megabyte would take minutes.
#[test]
fn no_text_is_read_over_and_over() {
    let big = |piece: &str, end: &str| piece.repeat(256 * 1024 / piece.len()) + end;
    let cases = [
        (big("good.org/", "@good.org"), true),
        (big("https:good.org,", ""), true),
        (big("https:good.org,", "@evil.com"), false),
        (big("a.", ""), true),
        (big("a.1.", "evil.com"), false),
        (big("e..", ""), true),
        (big(".", ""), true),
        (big("/", ""), true),
        (big("a:", ""), true),
        (big("data: ", ""), true),
        (big("good.org:1111111", ""), false),
        (big("中。", ""), true),
        (
            format!("https://{}.example", (0x4e00..0x9f00).filter_map(char::from_u32).collect::<String>()),
            false,
        ),
    ];
    for (text, expected) in cases {
        let begin: String = text.chars().take(20).collect();
        assert_eq!(check(&text, &listed()).is_ok(), expected, "{begin:?}");
    }
}

fn pattern() -> impl Strategy<Value = HostPattern> {
    prop::sample::select(vec!["good.org", "*.good.org", "fine.example", "*.below.example", "a-b.co.uk"])
        .prop_map(|text| text.parse().unwrap())
}

fn piece() -> impl Strategy<Value = String> {
    let known = HOSTILE.iter().chain(HARMLESS).map(|text| (*text).to_owned()).collect::<Vec<_>>();
    prop_oneof![
        2 => prop::sample::select(known),
        3 => "[a-z]{1,8}",
        1 => "(https?:)?//[a-z.@%\\\\]{1,12}",
        1 => "[a-z.&#;%=\n ]{0,12}",
        1 => "\\PC{0,6}",
    ]
}

fn edge() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "", "", " ", "\n", ".", "..", ":", "/", "//", "@", "\u{2009}", "=\n", "%", "&", "\u{200b}", "。",
    ])
}

fn mark() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "good.org",
        "good",
        "org",
        "1",
        "pdf",
        ".",
        ".",
        "..",
        ":",
        ":80",
        "/",
        "/",
        "\\",
        "@",
        "?",
        "#",
        " ",
        "\n",
        "\t",
        "-",
        "_",
        "~",
        ",",
        "=",
        "\"",
        "<",
        "](",
        "https",
        "data",
        "javascript",
        "x+",
        "%2e",
        "%",
        "&",
        "&#46;",
        "&amp",
        "ü",
        "中",
        "中国",
        "。",
        "．",
        "／",
        "\u{200b}",
        "\u{2488}",
        "\u{a0}",
        "’",
        "=\r\n",
        "www.",
        "0x7f",
        "127",
    ])
}

/// A URL of listed hosts as people write it.
fn url() -> impl Strategy<Value = String> {
    let host = prop::sample::select(vec!["good.org", "a.below.example", "GOOD.ORG", "x.y.below.example"]);
    (
        prop::sample::select(vec!["https://", "http://", ""]),
        host,
        "(:[1-9][0-9]{1,3})?",
        "(/[a-z0-9._-]{1,8}){0,3}",
    )
        .prop_map(|(scheme, host, port, path)| format!("{scheme}{host}{port}{path}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn one_more_host_never_refuses_more(pieces in prop::collection::vec(piece(), 0..4), some in prop::collection::vec(pattern(), 0..3), more in pattern()) {
        let text = pieces.join(" ");
        if check(&text, &some).is_ok() {
            let mut all = some;
            all.push(more);
            prop_assert_eq!(check(&text, &all), Ok(()), "{:?}", text);
        }
    }

    #[test]
    fn what_is_made_of_listed_urls_passes(parts in prop::collection::vec((url(), prop::sample::select(vec![" ", "\n", ", ", " and ", ") (", ". ", "\n\n", "; ", "! "])), 0..5)) {
        let text: String = parts.into_iter().map(|(url, between)| url + between).collect();
        prop_assert_eq!(check(&text, &listed()), Ok(()), "{:?}", text);
    }

    /// Wherever it stands and whatever is around it, with a character between that belongs to neither.
    #[test]
    fn one_hostile_spelling_anywhere_refuses(before in piece(), hostile in prop::sample::select(HOSTILE), after in piece(), edge in prop::sample::select(vec![" ", "\n", "\u{a0}", " (", "\n\n"])) {
        let text = format!("{before}{edge}{hostile} {after}");
        prop_assert!(check(&text, &listed()).is_err(), "{:?}", text);
    }

    /// A plain one is refused even where nothing stands between.
    #[test]
    fn a_plain_url_is_refused_even_within_a_word(before in "[a-zA-Z0-9 ./:@?=&-]{0,12}", after in "[a-zA-Z0-9 ./:@?=&-]{0,12}") {
        let text = format!("{before}https://evil.com/{after}");
        prop_assert!(check(&text, &listed()).is_err(), "{:?}", text);
    }

    /// The quick way and the plain definition agree to the letter, also on what they tell the owner.
    #[test]
    fn every_text_is_decided_as_the_plain_definition_does(pieces in prop::collection::vec((piece(), edge()), 0..5)) {
        let text: String = pieces.into_iter().map(|(piece, edge)| piece + edge).collect();
        prop_assert_eq!(check(&text, &listed()), naive::check(&text, &listed()), "{:?}", text);
        prop_assert_eq!(check(&text, &[]), naive::check(&text, &[]), "{:?}", text);
    }

    /// The same on texts that are made of nothing but what either of them looks at.
    #[test]
    fn every_heap_of_marks_is_decided_so_too(marks in prop::collection::vec(mark(), 0..12)) {
        let text = marks.concat();
        prop_assert_eq!(check(&text, &listed()), naive::check(&text, &listed()), "{:?}", text);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,60}|[&#x0-9;%./:@\\\\\n=-]{0,60}") {
        let _ = check(&text, &listed());
    }
}
