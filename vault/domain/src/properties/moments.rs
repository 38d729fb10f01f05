//! Moments that only some readers take are none, and names and origins have one spelling.

use crate::moment::day;
use crate::name::{Account, Ident, ToolName};
use crate::origin::{BadOrigin, Host, Origin};

#[test]
fn other_forms_of_iso_8601_are_no_moments() {
    for good in [
        "2026-01-01T00:00:00.1Z",
        "2026-01-01T00:00:00.123456789Z",
        "2026-01-01T00:00:00.5+00:30",
        "2026-01-01T00:00:00-00:30",
    ] {
        assert!(day(good).is_some(), "{good}");
    }
    for bad in [
        "2026-01-01T00:00:00.1234567890Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.1x2Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T00:00Z",
        "2026-01-01T00Z",
        "2026-01-01T00:00:00+0100",
        "2026-01-01T00:00:00+01",
        "2026-01-01T00:00:00+01:00:00",
        "2026-01-01T000000Z",
        "20260101T000000Z",
        "20260101T00:00:00Z",
        "+002026-01-01T00:00:00Z",
        "2026-01-01T00:00:00\u{2212}01:00",
        "2026-01-01T00:00:00 +01:00",
        "2026-01-01T00:00:00Z[UTC]",
        "2026-001T00:00:00Z",
        "2026-01-01TT00:00:00Z",
    ] {
        assert_eq!(day(bad), None, "{bad}");
    }
}

#[test]
fn names_end_where_they_say() {
    let account = |text: &str| text.parse::<Account>().is_ok();
    let ident = |text: &str| text.parse::<Ident>().is_ok();
    for good in ["me", "2", "2-a", "a-", &"a".repeat(32)] {
        assert!(account(good), "{good}");
    }
    for bad in ["", "-a", "aB", "a_b", "a.b", "a/b", "é", "Me", "2A", &"a".repeat(33)] {
        assert!(!account(bad), "{bad}");
    }
    for good in ["a", "a_2", "a_", &"a".repeat(40)] {
        assert!(ident(good), "{good}");
    }
    for bad in ["", "_a", "2a", "aB", "a-b", "a.b", "A", "é", &"a".repeat(41)] {
        assert!(!ident(bad), "{bad}");
    }
    let name = |tool: usize| format!("{}.{}", "s".repeat(32), "t".repeat(tool)).parse::<ToolName>().unwrap();
    assert_eq!(name(31).mcp_name(None).map(|name| name.len()), Some(64));
    assert_eq!(name(32).mcp_name(None), None);
    let me: Account = "me".parse().unwrap();
    assert_eq!(name(28).mcp_name(Some(&me)).map(|name| name.len()), Some(64));
    assert_eq!(name(29).mcp_name(Some(&me)), None);
}

#[test]
fn an_origin_is_a_host_and_a_port() {
    let parse = |text: &str| text.parse::<Origin>();
    assert_eq!(parse("https://x.example").unwrap().port(), 443);
    assert_eq!(parse("https://x.example:8443").unwrap().port(), 8443);
    assert_eq!(parse("https://x.example:65535").unwrap().port(), 65535);
    assert_eq!(*parse("https://x.example").unwrap().host(), Host::Name("x.example".to_owned()));
    assert_eq!(parse("https://[::1]").unwrap().to_string(), "https://[::1]");
    assert_eq!(parse("https://[::1]:443").unwrap().to_string(), "https://[::1]");
    assert_eq!(parse("https://[::1]:"), Err(BadOrigin::Port));
    assert_eq!(parse("https://[::1"), Err(BadOrigin::Host));
    assert_eq!(parse("https://x.example:08"), Err(BadOrigin::Port));
    assert_eq!(parse("https://x.example:8a"), Err(BadOrigin::Port));
    let label = |text: String| parse(&format!("https://{text}"));
    assert!(label("a".repeat(63)).is_ok() && label("a".repeat(64)).is_err());
    let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
    assert!(label(longest.clone()).is_ok() && label(format!("{longest}b")).is_err());
    for good in ["3com.com", "a.b1", "x-y.example", "a1", "a.1b"] {
        assert!(label(good.to_owned()).is_ok(), "{good}");
    }
    for bad in
        ["-a.org", "a-.org", "a..b", ".a", "a_b.org", "a.12", "1.2.3.4.5", "a.0x7f", "a.0x", "a b", "*.org"]
    {
        assert_eq!(label(bad.to_owned()), Err(BadOrigin::Host), "{bad}");
    }
}
