//! Requests that must not pass, and those that must.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use claviger_domain::caveat::{Bound, Caveat};
use claviger_domain::effect::Effect;
use claviger_domain::event::{Actor, Detail, Event, Kind};
use claviger_domain::id::{BootId, Ref};
use claviger_domain::tool::Auth;
use claviger_proto::v1;
use claviger_proto::v1::argument_bound::Bound as WireBound;
use claviger_proto::v1::caveat::Kind as WireCaveat;
use claviger_proto::v1::secret_value::Kind as WireSecret;
use secrecy::ExposeSecret;

use super::{answer, ask};
use crate::broker::error::AdminError;
use crate::broker::view::NewValue;
use crate::rpc::peer::Users;

fn users() -> Users {
    Users { own: 500, overflow: 65534, admins: vec![1000] }
}

/// It was refused in words, with a hint, and no canary is among them.
fn refused<T>(what: &str, result: Result<T, AdminError>) {
    match result {
        Err(AdminError::Invalid { why, hints }) => {
            assert!(!why.is_empty() && hints.iter().any(|hint| !hint.is_empty()), "{what}");
            assert!(!format!("{why}{hints:?}").contains("canary"), "{what}: {why} {hints:?}");
        }
        Err(other) => panic!("{what}: {other}"),
        Ok(_) => panic!("{what} was taken"),
    }
}

fn hostile() -> Vec<String> {
    let mut names: Vec<String> = [
        "",
        " ",
        "a b",
        "A",
        "ä",
        "a/../b",
        "../a",
        "a\0",
        "a\n",
        "%2e%2e",
        "a;b",
        "-a",
        "a-",
        "1a",
        "a.b",
        "\u{202e}a",
    ]
    .map(str::to_owned)
    .into();
    names.push("a".repeat(33));
    names.push("a".repeat(100_000));
    names
}

#[test]
fn names() {
    for name in hostile() {
        refused(&name, ask::agent(&name));
        refused(&name, ask::adapter(&name));
        refused(&name, ask::secret(&name));
        refused(&name, ask::secret(&format!("gmail/{name}")).and_then(|_| ask::agent(&name)));
        refused(&name, ask::grant_or_handle(&name));
        refused(&name, ask::reference(v1::WhyRequest { reference: name.clone() }));
    }
    assert_eq!(ask::agent("bot").unwrap().as_str(), "bot");
    assert!(ask::grant_or_handle("gr_0011223344556677").is_ok());
    assert!(ask::grant_or_handle("hdl_00112233445566770011223344556677").is_ok());
}

#[test]
fn peers() {
    let agent = |uid, inputs: &str| v1::AddAgentRequest {
        name: "bot".into(),
        uid,
        opaque_refusals: true,
        inputs: inputs.into(),
    };
    let (_, uid, opaque, vault_only) = ask::add_agent(agent(Some(2000), "vault"), &users()).unwrap();
    assert_eq!((uid, opaque, vault_only), (Some(2000), true, true));
    assert!(!ask::add_agent(agent(None, ""), &users()).unwrap().3);
    for uid in [0, 500, 65534, u32::MAX] {
        refused("a user", ask::add_agent(agent(Some(uid), ""), &users()));
    }
    for word in ["Vault", "none", " "] {
        refused(word, ask::add_agent(agent(None, word), &users()));
    }
    let adapter = |endpoint: &str| v1::AddAdapterRequest {
        name: "gmail".into(),
        uid: Some(3000),
        endpoint: endpoint.into(),
    };
    assert_eq!(ask::add_adapter(adapter(""), &users()).unwrap().2, None);
    assert_eq!(ask::add_adapter(adapter("/run/x.sock"), &users()).unwrap().2.unwrap(), "/run/x.sock");
    for path in ["x.sock", "../x", "/run/\0x", "/run/x\n", &format!("/{}", "x".repeat(107))] {
        refused(path, ask::add_adapter(adapter(path), &users()));
    }
    refused("a reason", ask::freeze(v1::FreezeRequest { name: "bot".into(), why: "a\u{1b}[2J".into() }));
    refused("a reason", ask::freeze(v1::FreezeRequest { name: "bot".into(), why: "a".repeat(5000) }));
}

#[test]
fn keys() {
    refused("no key", ask::key(v1::UnsealRequest { key: None }).map(drop));
    let passphrase = v1::unseal_request::Key::Passphrase("canary".into());
    let Ok(ask::Key::Passphrase(text)) = ask::key(v1::UnsealRequest { key: Some(passphrase) }) else {
        panic!()
    };
    // EXPOSE: a test's own word.
    assert_eq!(text.expose_secret(), "canary");
}

fn value(kind: WireSecret) -> Option<v1::SecretValue> {
    Some(v1::SecretValue { kind: Some(kind) })
}

fn add(name: &str, value: Option<v1::SecretValue>) -> Result<NewValue, AdminError> {
    let header = Auth::Header { name: "x-api-key".into() };
    ask::add_secret(v1::AddSecretRequest { name: name.into(), value }, |_| Some(header))
        .map(|(_, value)| value)
}

#[test]
fn secrets() {
    refused("no value", add("github/me", None));
    refused("no kind", add("github/me", Some(v1::SecretValue { kind: None })));
    refused("no name", add("", value(WireSecret::Bearer("canary".into()))));
    for bad in ["", "canary\n", "canary\r\nX: y", "canary\0", &"canary".repeat(10_000)] {
        refused("a token", add("github/me", value(WireSecret::Bearer(bad.into()))));
        let header = v1::HeaderValue { name: String::new(), value: bad.into() };
        refused("a header", add("github/me", value(WireSecret::Header(header))));
        let basic = v1::BasicValue { user: "me".into(), password: bad.into() };
        refused("a password", add("github/me", value(WireSecret::Basic(basic))));
        let oauth2 = v1::Oauth2Value {
            client_id: "id".into(),
            client_secret: "canary".into(),
            refresh_token: bad.into(),
        };
        refused("a refresh token", add("github/me", value(WireSecret::Oauth2(oauth2))));
    }
    for user in ["", "a:b", "a\nb"] {
        let basic = v1::BasicValue { user: user.into(), password: "canary".into() };
        refused("a user", add("github/me", value(WireSecret::Basic(basic))));
    }
    let header =
        |name: &str| value(WireSecret::Header(v1::HeaderValue { name: name.into(), value: "canary".into() }));
    refused("another header", add("github/me", header("authorization")));
    assert!(matches!(add("github/me", header("X-API-Key")), Ok(NewValue::Header(_))));
    let Ok(NewValue::Bearer(token)) = add("github/me", value(WireSecret::Bearer("canary".into()))) else {
        panic!()
    };
    // EXPOSE: a test's own word.
    assert_eq!(token.expose_secret(), b"canary");

    let connect = |id: &str, secret: &str| {
        ask::begin_connect(v1::BeginConnectRequest {
            secret: "gmail/me".into(),
            effects: vec!["read".into()],
            client_id: id.into(),
            client_secret: secret.into(),
            ..Default::default()
        })
    };
    refused("a client secret alone", connect("", "canary"));
    refused("a broken client secret", connect("id", "canary\n"));
    assert!(connect("", "").unwrap().client.is_none());
    assert!(connect("id", "").unwrap().client.is_some());
    assert_eq!(connect("id", "x").unwrap().effects, [Effect::Read]);
    let finish = v1::FinishConnectRequest { session: "s".into(), code: String::new(), state: "t".into() };
    refused("no code", ask::finish_connect(finish));
}

fn grant(caveats: Vec<WireCaveat>) -> Result<Vec<Caveat>, AdminError> {
    let caveats = caveats.into_iter().map(|kind| v1::Caveat { kind: Some(kind) }).collect();
    ask::grant(v1::AddGrantRequest {
        agent: "bot".into(),
        secret: "gmail/me".into(),
        tools: vec!["gmail.get_message".into()],
        caveats,
        ..Default::default()
    })
    .map(|ask| ask.caveats)
}

fn list(items: &[&str]) -> v1::Patterns {
    v1::Patterns { patterns: items.iter().map(|item| (*item).to_owned()).collect() }
}

fn bound(bound: Option<WireBound>) -> Vec<WireCaveat> {
    vec![WireCaveat::Argument(v1::ArgumentBound { argument: "limit".into(), bound })]
}

#[test]
fn caveats_that_cannot_be_meant() {
    let resource = |name: &str, values: &[&str], shown: &[&str]| {
        vec![WireCaveat::Resource(v1::Resource {
            nested: false,
            name: name.into(),
            values: list(values).patterns,
            shown: list(shown).patterns,
        })]
    };
    let cases: Vec<(&str, Vec<WireCaveat>)> = vec![
        ("no rate", vec![WireCaveat::Rate(v1::Rate { count: 0, per_seconds: 1 })]),
        ("a rate over no time", vec![WireCaveat::Rate(v1::Rate { count: 1, per_seconds: 0 })]),
        ("a rate over all time", vec![WireCaveat::Rate(v1::Rate { count: 1, per_seconds: u64::MAX })]),
        ("no calls", vec![WireCaveat::Calls(0)]),
        ("no recipients", vec![WireCaveat::Recipients(list(&[]))]),
        ("an empty recipient", vec![WireCaveat::Recipients(list(&["a@example.com", ""]))]),
        ("no address", vec![WireCaveat::Recipients(list(&["example.com"]))]),
        ("a star after the @", vec![WireCaveat::Recipients(list(&["a@*.com"]))]),
        ("a line break", vec![WireCaveat::Recipients(list(&["a@example.com\nBcc: x"]))]),
        ("no values", resource("label", &[], &[])),
        ("an empty value", resource("label", &[""], &[])),
        ("names beside ids", resource("label", &["id:1"], &["AI"])),
        ("a resource's name", resource("La bel", &["AI"], &[])),
        ("no bound", bound(None)),
        ("an empty list", bound(Some(WireBound::OneOf(list(&[]))))),
        ("an empty list", bound(Some(WireBound::EachIn(list(&[]))))),
        ("not absent", bound(Some(WireBound::Absent(false)))),
        ("a large number", bound(Some(WireBound::Max(i64::MAX)))),
        ("a large number", bound(Some(WireBound::Max(i64::MIN)))),
    ];
    for (what, caveats) in cases {
        refused(what, grant(caveats));
    }
    let unknown = ask::grant(v1::AddGrantRequest {
        agent: "bot".into(),
        secret: "gmail/me".into(),
        caveats: vec![v1::Caveat { kind: None }],
        ..Default::default()
    });
    refused("an unknown caveat", unknown);
    let many = vec![WireCaveat::Calls(1); 1001];
    refused("too many", grant(many));
    let longest = "x".repeat(3000);
    refused("a long value", grant(resource("label", &[&longest], &[])));
}

#[test]
fn caveats() {
    let good = |caveats: Vec<WireCaveat>, expected: &str| {
        assert_eq!(grant(caveats).unwrap()[0].to_text(), expected);
    };
    good(vec![WireCaveat::Rate(v1::Rate { count: 60, per_seconds: 3600 })], "rate = 60/1h");
    good(vec![WireCaveat::Calls(20)], "calls = 20");
    good(vec![WireCaveat::Recipients(list(&["*@example.com"]))], "recipients = *@example.com");
    good(bound(Some(WireBound::Max(-3))), "limit.max = -3");
    let absent = grant(bound(Some(WireBound::Absent(true)))).unwrap();
    assert!(matches!(&absent[0], Caveat::Argument(_, Bound::Absent)));
}

/// What is asked for is what stands in the grant, and what is shown of it asks for the same again.
#[test]
fn every_kind_of_caveat_comes_and_goes() {
    let hosts = |items: &[&str], query| v1::Hosts { hosts: list(items).patterns, query };
    let days = |after: &str, before: &str| {
        WireCaveat::Within(v1::Within { after: after.into(), before: before.into() })
    };
    let people = |role: &str, items: &[&str]| {
        WireCaveat::People(v1::People { role: role.into(), patterns: list(items).patterns })
    };
    let hours = |zone: &str, days: &[u32], from_minute, to_minute| {
        WireCaveat::Hours(v1::Hours { zone: zone.into(), days: days.to_vec(), from_minute, to_minute })
    };
    let paths = |items: &[&str]| WireCaveat::Paths(v1::Paths { prefixes: list(items).patterns });
    let tools = |items: &[&str]| WireCaveat::Tools(v1::Tools { names: list(items).patterns });
    let good: Vec<WireCaveat> = vec![
        WireCaveat::Rate(v1::Rate { count: 60, per_seconds: 3600 }),
        WireCaveat::Calls(20),
        WireCaveat::Recipients(list(&["*@example.com", "me@example.org"])),
        WireCaveat::ExpiresAtMs(1_800_000_000_000),
        WireCaveat::NotBeforeMs(1),
        hours("Europe/Berlin", &[1, 5], 480, 1080),
        hours("UTC", &[], 1320, 360),
        WireCaveat::BytesADay(10),
        tools(&["gmail.get_message"]),
        people("sender", &["*@example.com"]),
        people("owner", &["me@example.org"]),
        people("attendee", &["*"]),
        days("2026-01-31", ""),
        days("", "2026-02-01"),
        days("2026-01-31", "2026-02-01"),
        paths(&["a/b", "c"]),
        paths(&[""]),
        WireCaveat::MadeByAgent(true),
        WireCaveat::Links(hosts(&["example.org", "*.example.com"], false)),
        WireCaveat::Links(hosts(&[], false)),
        bound(Some(WireBound::Hosts(hosts(&["example.org"], true)))).remove(0),
        bound(Some(WireBound::Hosts(hosts(&["example.org"], false)))).remove(0),
        bound(Some(WireBound::EachIn(list(&["a"])))).remove(0),
        bound(Some(WireBound::MaxLength(5))).remove(0),
    ];
    for kind in good {
        let shown = format!("{kind:?}");
        let asked = grant(vec![kind.clone()]).unwrap_or_else(|_| panic!("{shown}")).remove(0);
        assert_eq!(super::caveats::answer(asked).kind, Some(kind));
    }
    let bad: Vec<(&str, WireCaveat)> = vec![
        ("the end of time", WireCaveat::ExpiresAtMs(0)),
        ("the beginning of time", WireCaveat::NotBeforeMs(0)),
        ("no zone", hours("", &[], 0, 1)),
        ("a zone of nowhere", hours("Nowhere/Else", &[], 0, 1)),
        ("a zone in a file", hours("../../etc/localtime", &[], 0, 1)),
        ("an eighth day", hours("UTC", &[8], 0, 1)),
        ("a day out of range", hours("UTC", &[257], 0, 1)),
        ("no time", hours("UTC", &[], 5, 5)),
        ("more than a day", hours("UTC", &[], 0, 1441)),
        ("a time out of range", hours("UTC", &[], 65_536, 65_537)),
        ("no bytes", WireCaveat::BytesADay(0)),
        ("no tools", tools(&[])),
        ("a tool of no service", tools(&["get_message"])),
        ("a role", people("reader", &["*"])),
        ("nobody", people("sender", &[])),
        ("no days", days("", "")),
        ("no day between", days("2026-02-01", "2026-02-01")),
        ("no such day", days("2026-02-30", "")),
        ("no paths", paths(&[])),
        ("a way up", paths(&["a", "../b"])),
        ("a way down from the root", paths(&["/a"])),
        ("not made", WireCaveat::MadeByAgent(false)),
        ("links with a query", WireCaveat::Links(hosts(&["example.org"], true))),
        ("a URL for a host", WireCaveat::Links(hosts(&["https://example.org"], false))),
        ("no hosts", bound(Some(WireBound::Hosts(hosts(&[], false)))).remove(0)),
    ];
    for (what, kind) in bad {
        refused(what, grant(vec![kind]));
    }
}

#[test]
fn grants() {
    let request = || v1::AddGrantRequest {
        agent: "bot".into(),
        secret: "gmail/me".into(),
        effects: vec!["send".into()],
        approve: "never".into(),
        expires_in_seconds: 60,
        ..Default::default()
    };
    let asked = ask::grant(request()).unwrap();
    assert_eq!((asked.expires_in_s, asked.approve), (Some(60), claviger_domain::grant::Approve::Never));
    assert_eq!(
        ask::grant(v1::AddGrantRequest { expires_in_seconds: 0, ..request() }).unwrap().expires_in_s,
        None
    );
    for approve in ["Always", "Never", "default", "sometimes", " "] {
        refused(approve, ask::grant(v1::AddGrantRequest { approve: approve.into(), ..request() }));
    }
    refused("for ever", ask::grant(v1::AddGrantRequest { expires_in_seconds: u64::MAX, ..request() }));
    refused("an effect", ask::grant(v1::AddGrantRequest { effects: vec!["Send".into()], ..request() }));
    refused("a tool", ask::grant(v1::AddGrantRequest { tools: vec!["gmail".into()], ..request() }));
}

#[test]
fn the_log_is_shown_in_bounds() {
    let limit = |limit| ask::log(v1::ReadLogRequest { limit, ..Default::default() }).unwrap().limit;
    assert_eq!((limit(0), limit(7), limit(u32::MAX)), (100, 7, 10_000));
    refused("a tool", ask::log(v1::ReadLogRequest { tool: "x".into(), ..Default::default() }));

    let mut event = Event::new(
        Kind::Refused,
        Ref::from_bytes([1; 8]),
        5,
        BootId::from_bytes([0; 16]),
        Actor::Agent("bot".parse().unwrap()),
    );
    event.digest = Some([7; 32]);
    event.status = Some(404);
    let shown = answer::event((event, Detail(vec![("value".into(), "x".into())])));
    assert_eq!((shown.kind.as_str(), shown.actor.as_str(), shown.status), ("refused", "agent bot", 404));
    assert_eq!(shown.detail.len(), 1);
    assert!(!shown.secret.contains('7') && shown.class.is_empty());
}
