//! Each kind of caveat, by example: what it takes, what it decides, how it reads.

use serde_json::{Value, json};

use super::grants::grant;
use super::world::{everything, ident, parse};
use crate::caveat::{Bound, Caveat, DateBound, PeopleBound, ResourceBound, Role};
use crate::effect::Effect;
use crate::grant::{Approve, Grant};
use crate::refusal::Class;
use crate::sentence::sentence;
use crate::sound::sound;
use crate::step::{LookedUp, ParamSource};
use crate::warning::warnings;

const MOMENT: u64 = 1_800_000_000_000;

fn decides(caveat: &Caveat, more: &Value, now_ms: u64) -> Result<(), Class> {
    let tool = everything();
    assert_eq!(caveat.enforceable(&tool), Ok(()), "{}", caveat.to_text());
    let mut whole = json!({ "folder_id": "a", "needed": "a" });
    whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let args = parse(&tool, &whole).unwrap();
    caveat.decide(&tool, &args, now_ms).map_err(|denial| denial.class)
}

fn paths(texts: &[&str]) -> Caveat {
    Caveat::Paths(texts.iter().map(|text| text.parse().unwrap()).collect())
}

fn links(texts: &[&str]) -> Caveat {
    Caveat::Links(texts.iter().map(|text| text.parse().unwrap()).collect())
}

fn people(role: Role, texts: &[&str]) -> Caveat {
    Caveat::People(PeopleBound { role, patterns: texts.iter().map(|text| text.parse().unwrap()).collect() })
}

#[test]
fn each_kind_decides() {
    let yes = |caveat: Caveat, more: Value| {
        assert_eq!(decides(&caveat, &more, MOMENT), Ok(()), "{} {more}", caveat.to_text())
    };
    let no = |caveat: Caveat, more: Value| {
        assert_eq!(decides(&caveat, &more, MOMENT), Err(Class::OutOfScope), "{} {more}", caveat.to_text());
    };
    // Time.
    yes(Caveat::Expires(MOMENT + 1), json!({}));
    assert_eq!(decides(&Caveat::Expires(MOMENT), &json!({}), MOMENT), Err(Class::Revoked));
    yes(Caveat::NotBefore(MOMENT), json!({}));
    assert_eq!(decides(&Caveat::NotBefore(MOMENT + 1), &json!({}), MOMENT), Err(Class::Revoked));
    // 2027-01-15, a Friday, 08:00 UTC.
    yes(Caveat::Hours("fri,08:00-09:00,UTC".parse().unwrap()), json!({}));
    no(Caveat::Hours("fri,08:00-09:00,Europe/Berlin".parse().unwrap()), json!({}));
    // Tools.
    yes(Caveat::Tools(vec!["drive.act".parse().unwrap()]), json!({}));
    no(Caveat::Tools(vec!["drive.other".parse().unwrap()]), json!({}));
    // Paths, segment by segment.
    yes(paths(&["a"]), json!({ "path": "a/b" }));
    yes(paths(&["x", "a/b"]), json!({ "path": "a/b" }));
    yes(paths(&[""]), json!({ "path": "a" }));
    yes(paths(&["a"]), json!({}));
    no(paths(&["b"]), json!({}));
    no(paths(&["a"]), json!({ "path": "ab" }));
    no(paths(&["a/b"]), json!({ "path": "a" }));
    no(paths(&["a"]), json!({ "path": "" }));
    no(paths(&["a"]), json!({ "path": "A" }));
    no(paths(&[]), json!({ "path": "a" }));
    // Links, in every argument that holds text.
    yes(links(&["b.cd"]), json!({ "line": "b.cd", "body": "b.cd/x" }));
    yes(links(&[]), json!({ "line": "abc", "to": ["a@x.yz"] }));
    no(links(&["b.cd"]), json!({ "line": "x.yz" }));
    no(links(&["b.cd"]), json!({ "body": "x.yz" }));
    no(links(&[]), json!({ "line": "b.cd" }));
    no(links(&["b.cd"]), json!({ "url": "https://x.yz/" }));
    // A URL's host, and its query.
    let hosts = |query| {
        Caveat::Argument(ident("url"), Bound::Hosts { hosts: vec!["*.b.cd".parse().unwrap()], query })
    };
    yes(hosts(false), json!({ "url": "https://a.b.cd/x" }));
    yes(hosts(true), json!({ "url": "https://A.b.cd/x?y#z" }));
    for bad in [
        "https://b.cd/",
        "https://xb.cd/",
        "https://a.b.cd.evil.com/",
        "https://a.b.cd/?x",
        "https://a.b.cd/#x",
    ] {
        no(hosts(false), json!({ "url": bad }));
    }
    no(hosts(true), json!({}));
    // People: those whom arguments name are decided here, those of objects where they are seen.
    yes(people(Role::Attendee, &["*@b.cd"]), json!({ "to": ["a@b.cd"] }));
    no(people(Role::Attendee, &["*@b.cd"]), json!({ "to": ["a@b.cd", "a@x.yz"] }));
    yes(people(Role::Sender, &["*@b.cd"]), json!({ "to": ["a@x.yz"] }));
    yes(Caveat::MadeByAgent, json!({}));
    yes(Caveat::BytesADay(1), json!({}));
}

#[test]
fn what_a_tool_cannot_keep_to_is_refused_when_the_grant_is_made() {
    let mut tool = everything();
    tool.steps[1].checks.retain(|name, _| name.as_str() == "folder");
    let days = DateBound { after: Some("2026-01-01".parse().unwrap()), before: None };
    for caveat in [
        people(Role::Sender, &["*"]),
        people(Role::Owner, &["*"]),
        Caveat::Within(days),
        Caveat::MadeByAgent,
        paths(&["a"]),
    ] {
        assert!(caveat.enforceable(&tool).is_err(), "{}", caveat.to_text());
    }
    assert_eq!(links(&[]).enforceable(&tool), Ok(()));
    // What is copied out of an object, nobody has looked through for links.
    tool.effect = Effect::Send;
    let look = ParamSource::Look { look: ident("draft"), at: "/raw".parse().unwrap(), kind: LookedUp::Text };
    tool.steps[0].params.insert(ident("raw"), look);
    assert!(links(&[]).enforceable(&tool).is_err());
    assert!(
        Caveat::Argument(ident("line"), Bound::Hosts { hosts: Vec::new(), query: false })
            .enforceable(&tool)
            .is_err()
    );
}

fn every_kind() -> Vec<(Caveat, &'static str, &'static str)> {
    let day = |text: &str| Some(text.parse().unwrap());
    let within = |after, before| Caveat::Within(DateBound { after, before });
    let folder = ResourceBound {
        resource: ident("folder"),
        ids: vec!["id1".to_owned()],
        shown: vec!["Work".to_owned()],
        nested: true,
    };
    let hosts =
        |query| Caveat::Argument(ident("url"), Bound::Hosts { hosts: vec!["b.cd".parse().unwrap()], query });
    let list = |bound: fn(Vec<String>) -> Bound| {
        Caveat::Argument(ident("x"), bound(vec!["a".to_owned(), "b".to_owned()]))
    };
    vec![
        (Caveat::Rate("60/1h".parse().unwrap()), "rate = 60/1h", "at most 60/1h"),
        (Caveat::Calls(20), "calls = 20", "20 times altogether"),
        (Caveat::BytesADay(10_000_000), "bytes_a_day = 10MB", "at most 10MB in and out a day"),
        (Caveat::BytesADay(1_234), "bytes_a_day = 1234B", "at most 1234B in and out a day"),
        (Caveat::Expires(MOMENT), "expires = 2027-01-15T08:00:00Z", "until 2027-01-15T08:00:00Z"),
        (
            Caveat::NotBefore(MOMENT + 1),
            "not_before = 2027-01-15T08:00:00.001Z",
            "from 2027-01-15T08:00:00.001Z on",
        ),
        (
            Caveat::Hours("mon-fri,08:00-18:00,Europe/Berlin".parse().unwrap()),
            "hours = mon-fri,08:00-18:00,Europe/Berlin",
            "only at these hours: mon-fri,08:00-18:00,Europe/Berlin",
        ),
        (Caveat::Tools(vec!["drive.act".parse().unwrap()]), "tools = drive.act", "only with drive.act"),
        (Caveat::Recipients(vec!["*@b.cd".parse().unwrap()]), "recipients = *@b.cd", "only to *@b.cd"),
        (
            people(Role::Sender, &["a@b.cd", "*@x.yz"]),
            "senders = a@b.cd, *@x.yz",
            "only what says it is from a@b.cd or *@x.yz",
        ),
        (people(Role::Owner, &["a@b.cd"]), "owners = a@b.cd", "only what belongs to a@b.cd"),
        (people(Role::Attendee, &["a@b.cd"]), "attendees = a@b.cd", "only with a@b.cd as guests"),
        (within(day("2026-01-01"), None), "after = 2026-01-01", "only what is dated from 2026-01-01 on"),
        (
            within(day("2026-01-01"), day("2026-02-01")),
            "after = 2026-01-01, before = 2026-02-01",
            "only what is dated from 2026-01-01 on and before 2026-02-01",
        ),
        (paths(&["a/b", ""]), "paths = a/b, .", "only under a/b or the root"),
        (Caveat::MadeByAgent, "made_by_agent", "only what it made itself"),
        (links(&[]), "links = none", "without links in its texts"),
        (links(&["b.cd"]), "links = b.cd", "with links in its texts only to b.cd"),
        (Caveat::Resource(folder), "resource.folder = Work and all below", "only folder Work and all below"),
        (list(Bound::EachIn), "x.each_in = a, b", "with each of x among `a` or `b`"),
        (list(Bound::OneOf), "x.one_of = a, b", "with x `a` or `b`"),
        (Caveat::Argument(ident("x"), Bound::Max(5)), "x.max = 5", "with x at most 5"),
        (Caveat::Argument(ident("x"), Bound::MaxLength(5)), "x.max_length = 5", "with x no longer than 5"),
        (Caveat::Argument(ident("x"), Bound::MinLength(5)), "x.min_length = 5", "with x no shorter than 5"),
        (Caveat::Argument(ident("x"), Bound::Absent), "x.absent", "without x"),
        (hosts(false), "url.hosts = b.cd", "with url only at b.cd, without a query"),
        (hosts(true), "url.hosts_with_query = b.cd", "with url only at b.cd"),
    ]
}

#[test]
fn each_kind_reads_plainly() {
    for (caveat, text, clause) in every_kind() {
        assert_eq!(caveat.to_text(), text);
        let grant = grant(&[("drive.act", Effect::Read)], vec![caveat]);
        assert_eq!(sentence(&grant), format!("openclaw may read (act) with gmail/me, {clause}."));
        // What is bounded on objects is not told to be unbounded.
        assert!(!warnings(&grant).iter().any(|line| line.contains('{')));
    }
}

#[test]
fn approvals_trust_and_denials_are_said() {
    let send = || {
        grant(
            &[("gmail.send_message", Effect::Send)],
            vec![Caveat::Recipients(vec!["a@b.cd".parse().unwrap()])],
        )
    };
    let base = "openclaw may send (send_message) with gmail/me, only to a@b.cd";
    for (approve, end) in [
        (Approve::Default, ", after asking you each time."),
        (Approve::Always, ", after asking you each time."),
        (Approve::New, ", after asking you the first time it writes to somebody or somewhere new."),
        (Approve::Tainted, ", after asking you each time while it has read what strangers write."),
        (Approve::Never, ", without asking you."),
    ] {
        assert_eq!(sentence(&Grant { approve, ..send() }), format!("{base}{end}"));
    }
    let sink = Grant { approve: Approve::Tainted, trusted_sink: true, ..send() };
    assert!(sentence(&sink).ends_with(", and may send so even while it has read what strangers write."));
    let deny = |caveats| Grant { deny: true, ..grant(&[("gmail.send_message", Effect::Send)], caveats) };
    assert_eq!(
        sentence(&deny(vec![Caveat::Recipients(vec!["*@evil.com".parse().unwrap()])])),
        "openclaw may never send (send_message) with gmail/me to *@evil.com, whatever other grants say."
    );
    assert_eq!(
        sentence(&deny(Vec::new())),
        "openclaw may never send (send_message) with gmail/me, whatever other grants say."
    );
}

#[test]
fn a_trusted_sink_has_a_list_of_addresses() {
    let to = |texts: &[&str]| Caveat::Recipients(texts.iter().map(|text| text.parse().unwrap()).collect());
    let sink =
        |caveats| Grant { trusted_sink: true, ..grant(&[("gmail.send_message", Effect::Send)], caveats) };
    assert_eq!(sound(&sink(vec![to(&["a@b.cd", "b@b.cd"])])), Ok(()));
    assert_eq!(sound(&sink(vec![to(&["*@b.cd"]), to(&["a@b.cd"])])), Ok(()));
    assert!(sound(&sink(vec![])).is_err());
    assert!(sound(&sink(vec![to(&["a@b.cd", "*@b.cd"])])).is_err());
    assert!(sound(&sink(vec![to(&["*"])])).is_err());
    let reads = Grant {
        tools: grant(&[("gmail.get_message", Effect::Read)], Vec::new()).tools,
        ..sink(vec![to(&["a@b.cd"])])
    };
    assert!(sound(&reads).is_err());
    let other = grant(
        &[("gmail.get_message", Effect::Read)],
        vec![Caveat::Tools(vec!["gmail.other".parse().unwrap()])],
    );
    assert!(sound(&other).is_err());
}

#[test]
fn what_is_lopsided_is_said() {
    let to = |text: &str| Caveat::Recipients(vec![text.parse().unwrap()]);
    let says = |grant: &Grant, part: &str, expected: bool| {
        let found = warnings(grant);
        assert_eq!(found.iter().any(|line| line.contains(part)), expected, "{part} in {found:?}");
    };
    let send = |caveats| grant(&[("gmail.send_message", Effect::Send)], caveats);
    let some = Caveat::Argument(ident("to"), Bound::EachIn(vec!["a@b.cd".to_owned()]));
    says(&send(vec![some.clone()]), "only to is bounded", true);
    says(&send(vec![some, to("a@b.cd")]), "only to is bounded", false);
    says(&send(vec![to("*@b.cd")]), "--links", true);
    says(&send(vec![to("a@b.cd")]), "--links", false);
    says(&send(vec![to("*@b.cd"), links(&[])]), "--links", false);
    says(&send(vec![]), "nobody is asked", true);
    says(&send(vec![to("a@b.cd")]), "nobody is asked", false);
    let both = [("gmail.send_message", Effect::Send), ("gmail.create_draft", Effect::Write)];
    let drafts = Grant { approve: Approve::Default, ..grant(&both, vec![to("a@b.cd")]) };
    says(&drafts, "create_draft, which can lead to one", true);
    says(&Grant { approve: Approve::Always, ..drafts }, "which can lead to one", false);
    says(&Grant { trusted_sink: true, ..send(vec![to("*@b.cd")]) }, "trusted sink", true);
    let read = |caveats| grant(&[("gmail.get_message", Effect::Read)], caveats);
    says(&read(vec![]), "reads everything", true);
    for caveat in [people(Role::Sender, &["a@b.cd"]), paths(&["a"]), Caveat::MadeByAgent] {
        says(&read(vec![caveat]), "reads everything", false);
    }
    let within = |resource: &str| {
        let ids = vec!["10".to_owned()];
        Caveat::Resource(ResourceBound {
            resource: ident(resource),
            shown: vec!["me/notes".to_owned()],
            ids,
            nested: false,
        })
    };
    let push = |caveats| grant(&[("github.create_branch", Effect::Send)], caveats);
    says(&push(vec![within("repository")]), "whoever sees a repository", true);
    says(&push(vec![within("repository")]), "--recipients bounds that", false);
    says(&push(vec![within("repository"), to("a@b.cd")]), "whoever sees a repository", false);
    says(&push(vec![within("folder")]), "whoever sees a repository", false);
    says(&push(vec![within("folder")]), "--recipients bounds that", true);
    says(&push(vec![]), "without a bound", true);
    assert!(sentence(&push(vec![within("repository")])).contains("only repository me/notes"));
    let deny = |caveats| Grant { deny: true, ..send(caveats) };
    says(&deny(vec![to("a@evil.com")]), "whole domain", true);
    says(&deny(vec![to("*@evil.com")]), "whole domain", false);
    says(&deny(vec![]), "once it has expired", true);
}

#[test]
fn a_grant_is_sound_where_one_of_its_tools_is_left() {
    let both = [("gmail.get_message", Effect::Read), ("gmail.send_message", Effect::Send)];
    let tools = |names: &[&str]| Caveat::Tools(names.iter().map(|name| name.parse().unwrap()).collect());
    assert_eq!(sound(&grant(&both, vec![tools(&["gmail.other", "gmail.get_message"])])), Ok(()));
    assert!(sound(&grant(&both, vec![tools(&[])])).is_err());
    let to = Caveat::Recipients(vec!["a@b.cd".parse().unwrap()]);
    assert_eq!(sound(&Grant { trusted_sink: true, ..grant(&both, vec![to]) }), Ok(()));
    let none = Grant { trusted_sink: true, ..grant(&both, Vec::new()) };
    assert!(sound(&none).unwrap_err().contains("needs --recipients"));
}

#[test]
fn a_sentence_says_who_is_asked_and_what_is_forbidden() {
    let read = ("gmail.get_message", Effect::Read);
    let both = [read, ("gmail.send_message", Effect::Send)];
    let says = |grant: Grant, end: &str| assert!(sentence(&grant).ends_with(end), "{}", sentence(&grant));
    let default = |tools: &[(&str, Effect)]| Grant { approve: Approve::Default, ..grant(tools, Vec::new()) };
    says(default(&both), ", after asking you each time it sends or deletes.");
    says(default(&both[1..]), ", after asking you each time.");
    says(default(&[read]), "with gmail/me.");
    says(Grant { approve: Approve::Never, ..grant(&[read], Vec::new()) }, "with gmail/me.");
    let never = |caveat| sentence(&Grant { deny: true, ..grant(&[read], vec![caveat]) });
    let folder = |nested| {
        let shown = vec!["Work".to_owned()];
        Caveat::Resource(ResourceBound {
            resource: ident("folder"),
            ids: vec!["f".to_owned()],
            shown,
            nested,
        })
    };
    for (caveat, part) in [
        (folder(true), "with gmail/me what is in folder Work or below, whatever"),
        (folder(false), "with gmail/me what is in folder Work, whatever"),
        (Caveat::Argument(ident("x"), Bound::OneOf(vec!["a".to_owned()])), "where x is `a`, whatever"),
        (paths(&["a", ""]), "under a or the root, whatever"),
    ] {
        assert!(never(caveat.clone()).contains(part), "{}", never(caveat));
    }
}

#[test]
fn each_warning_is_for_what_it_says() {
    let says = |grant: &Grant, part: &str| warnings(grant).iter().any(|line| line.contains(part));
    let to = |texts: &[&str]| Caveat::Recipients(texts.iter().map(|text| text.parse().unwrap()).collect());
    let send = |caveats| grant(&[("gmail.send_message", Effect::Send)], caveats);
    // All lists hold at once: one of addresses is enough, and in one list any `*` is everybody.
    assert!(says(&send(vec![to(&["a@b.cd", "*"])]), "`*` bounds nothing"));
    assert!(!says(&send(vec![to(&["*"]), to(&["a@b.cd"])]), "`*` bounds nothing"));
    assert!(!says(&send(vec![to(&["*@b.cd"])]), "`*` bounds nothing"));
    assert!(says(&send(vec![to(&["a@b.cd", "*@b.cd"])]), "--links"));
    assert!(!says(&send(vec![to(&["*@b.cd"]), to(&["a@b.cd"])]), "--links"));
    for (name, warned) in [("to", true), ("cc", true), ("bcc", true), ("subject", false)] {
        let some = Caveat::Argument(ident(name), Bound::EachIn(vec!["a@b.cd".to_owned()]));
        assert_eq!(says(&send(vec![some]), "is bounded: the other ways"), warned, "{name}");
    }
    let with = |tool: &str, effect| {
        let both = [("gmail.send_message", Effect::Send), (tool, effect)];
        Grant { approve: Approve::Default, ..grant(&both, vec![to(&["a@b.cd"])]) }
    };
    assert!(says(&with("gmail.share_file", Effect::Write), "not before share_file"));
    assert!(!says(&with("gmail.label_message", Effect::Write), "which can lead to one"));
    assert!(!says(&with("gmail.get_draft", Effect::Read), "which can lead to one"));
    let alone =
        Grant { approve: Approve::Default, ..grant(&[("gmail.create_draft", Effect::Write)], Vec::new()) };
    assert!(!says(&alone, "which can lead to one"));
    // What bounds objects bounds what is read, and only that does.
    let read = |caveat| grant(&[("gmail.get_message", Effect::Read)], vec![caveat]);
    assert!(says(&read(Caveat::Calls(1)), "reads everything"));
    assert!(says(&read(links(&[])), "reads everything"));
    let deny = |caveat| Grant { deny: true, ..send(vec![caveat]) };
    assert!(says(&deny(to(&["*@evil.com", "a@b.cd"])), "whole domain"));
    assert!(says(&deny(Caveat::Argument(ident("x"), Bound::OneOf(vec!["a".to_owned()]))), "other spellings"));
    assert!(!says(&deny(paths(&["a"])), "other spellings"));
}
