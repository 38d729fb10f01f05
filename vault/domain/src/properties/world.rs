//! A tool with an argument of every kind, and random calls and bounds for it.

use std::collections::BTreeMap;

use claviger_canonical::Canonical;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::address::Pattern;
use crate::arg::{Arg, ArgKind, ArgValue, Arguments};
use crate::caveat::{Bound, Caveat, DateBound, PeopleBound, ResourceBound, Role};
use crate::effect::Effect;
use crate::host::HostPattern;
use crate::name::Ident;
use crate::rate::Rate;
use crate::refusal::Denial;
use crate::step::{AnswerKind, Check, Method, Segment, Step};
use crate::tool::{Definition, Tool};

pub(super) fn ident(text: &str) -> Ident {
    text.parse().unwrap()
}

pub(super) fn step(name: &str) -> Step {
    Step {
        name: ident(name),
        method: Method::Get,
        path: vec![Segment::Literal("x".to_owned())],
        query: Vec::new(),
        headers: Vec::new(),
        body: None,
        params: BTreeMap::new(),
        checks: BTreeMap::new(),
        recipients: Vec::new(),
        yields: BTreeMap::new(),
        answer: AnswerKind::Json { fields: vec!["id".to_owned(), "files".to_owned()] },
        list: None,
        page: None,
        scope: Vec::new(),
        refuse: Vec::new(),
        makes: None,
        local: false,
        if_match: None,
        authors: Vec::new(),
        letter: None,
        upload: None,
    }
}

pub(super) fn tool(args: impl IntoIterator<Item = (&'static str, Arg)>, steps: Vec<Step>) -> Tool {
    Tool {
        name: "drive.act".parse().unwrap(),
        summary: "Act".to_owned(),
        effect: Effect::Read,
        untrusted: true,
        carries: false,
        scope: Vec::new(),
        requests: 3,
        rescopes: false,
        show: Vec::new(),
        args: args.into_iter().map(|(name, arg)| (ident(name), arg)).collect(),
        looks: Vec::new(),
        sends_with: Vec::new(),
        steps,
        definition: Definition([7; 32]),
    }
}

pub(super) fn arg(kind: ArgKind) -> Arg {
    Arg { kind, required: false, default: None, deny: Vec::new(), summary: "An argument".to_owned() }
}

/// `folder_id` and `boxes` name folders outright; `to` and `cc` hold recipients.
pub(super) fn everything() -> Tool {
    let with = |kind, default| Arg { default: Some(default), ..arg(kind) };
    let choice = || ArgKind::Choice(["a", "b", "c"].map(str::to_owned).to_vec());
    let mut step = step("act");
    step.recipients = vec![ident("to"), ident("cc")];
    step.checks.insert(ident("folder"), Check { arg: Some(ident("folder_id")), ..Check::default() });
    let mut second = self::step("second");
    for step in [&mut step, &mut second] {
        for name in ["sender", "owner", "attendee", "date", "made"] {
            let response = Some(format!("/{name}").parse().unwrap());
            step.checks.insert(ident(name), Check { response, ..Check::default() });
        }
        step.checks.insert(ident("path"), Check { arg: Some(ident("path")), ..Check::default() });
    }
    second.checks.insert(ident("folder"), Check { arg: Some(ident("boxes")), ..Check::default() });
    let args = [
        ("folder_id", Arg { required: true, ..arg(ArgKind::Id) }),
        ("boxes", with(ArgKind::Ids { max: 3 }, ArgValue::Texts(vec!["a".to_owned()]))),
        ("ids", Arg { deny: vec!["TRASH".to_owned()], ..arg(ArgKind::Ids { max: 3 }) }),
        ("line", arg(ArgKind::Line { max: 4 })),
        ("body", with(ArgKind::Text { max: 6 }, ArgValue::Text("abc".to_owned()))),
        ("number", with(ArgKind::Integer { min: 1, max: 20 }, ArgValue::Integer(10))),
        ("flag", arg(ArgKind::Boolean)),
        ("other_flag", with(ArgKind::Boolean, ArgValue::Boolean(true))),
        ("day", with(ArgKind::Date, ArgValue::Date("2026-01-02".parse().unwrap()))),
        ("to", arg(ArgKind::Addresses { max: 3 })),
        ("cc", with(ArgKind::Addresses { max: 2 }, ArgValue::Addresses(vec!["a@b.cd".parse().unwrap()]))),
        ("pick", with(choice(), ArgValue::Text("b".to_owned()))),
        ("needed", Arg { required: true, ..arg(choice()) }),
        ("page", arg(ArgKind::Page)),
        ("path", with(ArgKind::Path, ArgValue::Path("a".parse().unwrap()))),
        ("url", arg(ArgKind::Url)),
        ("repo", arg(ArgKind::Name)),
        ("branch", with(ArgKind::Branch, ArgValue::Text("main".to_owned()))),
    ];
    tool(args, vec![step, second])
}

pub(super) fn parse(tool: &Tool, given: &Value) -> Result<Arguments, Denial> {
    Arguments::parse(&tool.args, Canonical::from_json(given).unwrap().value())
}

pub(super) fn allowed(tool: &Tool, caveats: &[Caveat], given: &Value) -> bool {
    parse(tool, given).is_ok_and(|args| caveats.iter().all(|caveat| caveat.decide(tool, &args, 0).is_ok()))
}

fn word() -> BoxedStrategy<String> {
    prop_oneof![
        30 => prop::sample::select(vec!["a", "b", "c", "abc"]).prop_map(str::to_owned),
        2 => prop::sample::select(vec!["TRASH", "trash"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["", "..", "a/b", "%2e", "a\n", "a\0", "ä", "abcdefg"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["b.cd", "x.yz", "//x"]).prop_map(str::to_owned),
    ]
    .boxed()
}

/// Addresses in lower case, because the schema shows an address in one spelling and a pattern takes it in any.
fn mail() -> BoxedStrategy<String> {
    prop_oneof![
        30 => prop::sample::select(vec!["a@b.cd", "b@b.cd", "a@x.yz"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["a", "<a@b.cd>", "a@b.cd\r\nBcc: x@y.zz", "a@b@c.de"]).prop_map(str::to_owned),
    ]
    .boxed()
}

/// A value for an argument of that kind, mostly of the right form.
fn value(kind: &ArgKind) -> BoxedStrategy<Value> {
    let list = |item: BoxedStrategy<String>| prop::collection::vec(item, 0..4).prop_map(Value::from).boxed();
    let right = match kind {
        ArgKind::Id | ArgKind::Line { .. } | ArgKind::Text { .. } => word().prop_map(Value::from).boxed(),
        ArgKind::Choice(_) => {
            prop::sample::select(vec!["a", "a", "b", "b", "c", "c", "d", "A"]).prop_map(Value::from).boxed()
        }
        ArgKind::Ids { .. } => list(word()),
        ArgKind::Integer { .. } => (0_i64..22).prop_map(Value::from).boxed(),
        ArgKind::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        ArgKind::Calendar | ArgKind::Event | ArgKind::Name | ArgKind::Branch => {
            word().prop_map(Value::from).boxed()
        }
        ArgKind::Calendars { .. } => list(word()),
        ArgKind::DateTime => prop::sample::select(vec!["2026-01-02", "2026-01-02T03:04:05Z", "2026-01-02T3"])
            .prop_map(Value::from)
            .boxed(),
        ArgKind::Date => prop::sample::select(vec!["2026-01-02", "2026-01-03", "2026-02-30", "2026-1-2"])
            .prop_map(Value::from)
            .boxed(),
        ArgKind::Addresses { .. } => list(mail()),
        ArgKind::Attachments { .. } => {
            Just(json!([{ "name": "a", "type": "text/plain", "data": "aGk=" }])).boxed()
        }
        ArgKind::Upload { .. } => Just(json!({ "name": "a", "sha256": "0".repeat(64), "size": 3 })).boxed(),
        ArgKind::Page => {
            prop::sample::select(vec!["page_0123456789abcdef", "page_", "x"]).prop_map(Value::from).boxed()
        }
        ArgKind::Path => {
            prop::sample::select(vec!["", "a", "a/b", "../a", "a//b"]).prop_map(Value::from).boxed()
        }
        ArgKind::Url => prop::sample::select(vec![
            "https://b.cd/a",
            "https://a.b.cd/?x",
            "http://b.cd/",
            "https://u@b.cd/",
        ])
        .prop_map(Value::from)
        .boxed(),
    };
    let wrong = prop::sample::select(vec![
        json!(null),
        json!(1),
        json!("1"),
        json!(true),
        json!([]),
        json!({}),
        json!([1]),
        json!(["a", null]),
        json!(1.5),
    ]);
    prop_oneof![60 => right, 1 => wrong].boxed()
}

/// Arguments for [`everything`], some left out, now and then one too many.
pub(super) fn call() -> impl Strategy<Value = Value> {
    let fields: Vec<_> = everything()
        .args
        .into_iter()
        .map(|(name, arg)| {
            let there = if arg.required { 0.98 } else { 0.3 };
            prop::option::weighted(there, value(&arg.kind))
                .prop_map(move |value| value.map(|value| (name.to_string(), value)))
        })
        .collect();
    (fields, prop::bool::weighted(0.03)).prop_map(|(fields, extra)| {
        let mut object: Map<String, Value> = fields.into_iter().flatten().collect();
        if extra {
            object.insert("unknown".to_owned(), json!("x"));
        }
        Value::Object(object)
    })
}

fn bound() -> impl Strategy<Value = Bound> {
    let words = || {
        let word = prop_oneof![
            word(),
            mail(),
            prop::sample::select(vec!["1", "5", "05", "+5", "10", "true", "false", "2026-01-02"])
                .prop_map(str::to_owned)
        ];
        prop::collection::vec(word, 0..6)
    };
    prop_oneof![
        words().prop_map(Bound::EachIn),
        words().prop_map(Bound::OneOf),
        (0_i64..25).prop_map(Bound::Max),
        Just(Bound::Absent),
        (0_u64..8).prop_map(Bound::MaxLength),
        (0_u64..4).prop_map(Bound::MinLength),
    ]
}

fn patterns() -> impl Strategy<Value = Vec<Pattern>> {
    let text = prop::sample::select(vec!["a@b.cd", "*@b.cd", "b@b.cd", "*", "x*@x.yz"]);
    prop::collection::vec(text.prop_map(|text| text.parse().unwrap()), 0..3)
}

fn hosts() -> impl Strategy<Value = Vec<HostPattern>> {
    let text = prop::sample::select(vec!["b.cd", "*.b.cd", "x.yz"]);
    prop::collection::vec(text.prop_map(|text| text.parse().unwrap()), 0..3)
}

fn days() -> impl Strategy<Value = DateBound> {
    let day = || prop::option::of(prop::sample::select(vec!["2026-01-02", "2026-06-01"]));
    let parsed = |day: Option<&str>| day.map(|day| day.parse().unwrap());
    (day(), day()).prop_map(move |(after, before)| DateBound { after: parsed(after), before: parsed(before) })
}

/// Any one caveat, enforceable or not. [`allowed`] decides at the first moment of 1970, a Thursday.
pub(super) fn caveat() -> impl Strategy<Value = Caveat> {
    let names: Vec<Ident> = everything().args.into_keys().collect();
    let hours = prop::sample::select(vec![
        "00:00-01:00,UTC",
        "thu,23:00-00:30,UTC",
        "wed,23:00-00:30,UTC",
        "01:00-24:00,UTC",
    ]);
    let tools = prop::collection::vec(prop::sample::select(vec!["drive.act", "drive.other"]), 0..3);
    let paths = prop::collection::vec(prop::sample::select(vec!["", "a", "a/b", "ab"]), 0..3);
    let role = prop::sample::select(Role::ALL.to_vec());
    let simple = prop_oneof![
        Just(Caveat::Rate(Rate::new(1, 1).unwrap())),
        (0_u64..3).prop_map(Caveat::Calls),
        (0_u64..3).prop_map(Caveat::BytesADay),
        (0_u64..3).prop_map(Caveat::Expires),
        (0_u64..2).prop_map(Caveat::NotBefore),
        hours.prop_map(|text| Caveat::Hours(text.parse().unwrap())),
        tools.prop_map(|names| Caveat::Tools(names.iter().map(|name| name.parse().unwrap()).collect())),
        days().prop_map(Caveat::Within),
        Just(Caveat::MadeByAgent),
    ];
    prop_oneof![
        2 => simple,
        1 => patterns().prop_map(Caveat::Recipients),
        1 => (role, patterns()).prop_map(|(role, patterns)| Caveat::People(PeopleBound { role, patterns })),
        1 => paths.prop_map(|paths| Caveat::Paths(paths.iter().map(|path| path.parse().unwrap()).collect())),
        1 => hosts().prop_map(Caveat::Links),
        1 => resource_bound().prop_map(Caveat::Resource),
        6 => (prop::sample::select(names), bound()).prop_map(|(name, bound)| Caveat::Argument(name, bound)),
        1 => (hosts(), any::<bool>()).prop_map(|(hosts, query)| Caveat::Argument(ident("url"), Bound::Hosts { hosts, query })),
    ]
}

pub(super) fn resource_bound() -> impl Strategy<Value = ResourceBound> {
    let ids =
        prop::collection::vec(prop::sample::select(vec!["a", "b", "c", ""]).prop_map(str::to_owned), 0..3);
    ids.prop_map(|ids| ResourceBound { resource: ident("folder"), shown: ids.clone(), ids, nested: false })
}

/// Few caveats that [`everything`] can enforce, as every grant's are.
pub(super) fn caveats() -> impl Strategy<Value = Vec<Caveat>> {
    let enforceable = |caveat: &Caveat| caveat.enforceable(&everything()).is_ok();
    prop::collection::vec(caveat().prop_filter("enforceable", enforceable), 0..3)
}
