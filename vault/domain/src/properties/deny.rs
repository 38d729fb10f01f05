//! What is forbidden stays forbidden, whatever is allowed.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::grants::grant;
use super::world::{allowed, arg, call, caveats, everything, ident, parse, resource_bound, step, tool};
use crate::arg::{ArgKind, Arguments};
use crate::caveat::{Bound, Caveat, ResourceBound};
use crate::deny::{Forbids, check, excluded, forbids, forbids_seen};
use crate::effect::Effect;
use crate::grant::{Approve, Grant};
use crate::refusal::Class;
use crate::scope::{Found, Limit, Scope, judge_probe};
use crate::seen::Party;
use crate::sentence::sentence;
use crate::sound::sound;
use crate::step::{Check, Elements, Probe, Step};
use crate::warning::warnings;

fn deny(caveats: Vec<Caveat>) -> Grant {
    Grant { deny: true, approve: Approve::Default, ..grant(&[("drive.act", Effect::Read)], caveats) }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn folder(ids: &[&str]) -> ResourceBound {
    ResourceBound { resource: ident("folder"), ids: words(ids), shown: Vec::new(), nested: false }
}

fn forbidden(grant: &Grant, args: &Arguments) -> bool {
    match forbids(grant, &everything(), args) {
        Ok(()) => false,
        Err(denial) => {
            assert_eq!((denial.class, denial.field.as_deref()), (Class::NotGranted, Some("deny")));
            true
        }
    }
}

#[test]
fn a_deny_grant_forbids_its_tools_or_one_thing() {
    for (caveats, good) in [
        (vec![], true),
        (vec![Caveat::Recipients(vec!["*@evil.com".parse().unwrap()])], true),
        (vec![Caveat::Resource(folder(&["a"]))], true),
        (vec![Caveat::Argument(ident("line"), Bound::OneOf(words(&["a"])))], true),
        (vec![Caveat::Argument(ident("ids"), Bound::EachIn(words(&["a"])))], true),
        (vec![Caveat::Paths(vec!["a".parse().unwrap()])], true),
        // An empty list would forbid nothing.
        (vec![Caveat::Recipients(Vec::new())], false),
        (vec![Caveat::Resource(folder(&[]))], false),
        (vec![Caveat::Argument(ident("line"), Bound::OneOf(Vec::new()))], false),
        (vec![Caveat::Paths(Vec::new())], false),
        (vec![Caveat::Argument(ident("line"), Bound::Absent)], false),
        (vec![Caveat::Argument(ident("line"), Bound::Max(3))], false),
        (vec![Caveat::Calls(1)], false),
        (vec![Caveat::Rate("1/1h".parse().unwrap())], false),
        (vec![Caveat::Links(Vec::new())], false),
        (vec![Caveat::MadeByAgent], false),
        (vec![Caveat::Paths(vec!["a".parse().unwrap()]), Caveat::Resource(folder(&["a"]))], false),
    ] {
        let grant = deny(caveats);
        assert_eq!(check(&grant).is_ok(), good, "{:?}", grant.caveats);
        assert_eq!(sound(&grant).is_ok(), good, "{:?}", grant.caveats);
        assert!(!sentence(&grant).is_empty() && warnings(&grant).len() < 3);
        // One that cannot be meant forbids all that it speaks of.
        let args = parse(&everything(), &json!({ "folder_id": "z", "needed": "a", "path": "z" })).unwrap();
        if !good {
            assert!(forbidden(&grant, &args));
        }
    }
    assert!(check(&Grant { trusted_sink: true, ..deny(Vec::new()) }).is_err());
    assert!(check(&Grant { approve: Approve::Never, ..deny(Vec::new()) }).is_err());
}

#[test]
fn what_is_forbidden_has_no_other_spelling() {
    let tool = everything();
    let no = |caveat: Caveat, more: Value, expected: bool| {
        let mut whole = json!({ "folder_id": "z", "needed": "a", "path": "z", "boxes": ["z"], "cc": [] });
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let args = parse(&tool, &whole).unwrap();
        let grant = deny(vec![caveat.clone()]);
        assert_eq!(Forbids::of(&grant).unwrap().enforceable(&tool), Ok(()));
        assert_eq!(forbidden(&grant, &args), expected, "{} on {more}", caveat.to_text());
    };
    let to = |text: &str| Caveat::Recipients(vec![text.parse().unwrap()]);
    no(to("a@b.cd"), json!({ "to": ["a@b.cd"] }), true);
    no(to("a@b.cd"), json!({ "cc": ["x@b.cd", "A+x@B.cd"] }), true);
    no(to("*@b.cd"), json!({ "to": ["x@y.zz"], "cc": ["q@b.cd"] }), true);
    no(to("a@b.cd"), json!({ "to": ["b@b.cd"] }), false);
    no(to("a@b.cd"), json!({}), false);
    no(Caveat::Resource(folder(&["A"])), json!({ "folder_id": "a" }), true);
    no(Caveat::Resource(folder(&["a"])), json!({ "boxes": ["b", "a"] }), true);
    no(Caveat::Resource(folder(&["a"])), json!({ "boxes": ["b"] }), false);
    let line = |bound| Caveat::Argument(ident("line"), bound);
    no(line(Bound::OneOf(words(&["Ab"]))), json!({ "line": "aB" }), true);
    no(line(Bound::OneOf(words(&["Ab"]))), json!({ "line": "b" }), false);
    no(line(Bound::OneOf(words(&["Ab"]))), json!({}), false);
    no(Caveat::Argument(ident("ids"), Bound::EachIn(words(&["a"]))), json!({ "ids": ["b", "A"] }), true);
    // A default is what would be sent.
    no(Caveat::Argument(ident("pick"), Bound::OneOf(words(&["b"]))), json!({}), true);
    let under = |text: &str| Caveat::Paths(vec![text.parse().unwrap()]);
    no(under("a/b"), json!({ "path": "a/b" }), true);
    no(under("a/b"), json!({ "path": "A/B/c" }), true);
    no(under("a/b"), json!({ "path": "a/bc" }), false);
    no(under("a/b"), json!({ "path": "a" }), false);
    no(under(""), json!({ "path": "q" }), true);
    // To change what lies above is to change it too.
    let mut writes = everything();
    writes.effect = Effect::Write;
    let args = parse(&tool, &json!({ "folder_id": "z", "needed": "a", "path": "a" })).unwrap();
    assert!(forbids(&deny(vec![under("a/b")]), &writes, &args).is_err());
    // So is to search there, though it reads only.
    let mut searches = everything();
    for check in searches.steps.iter_mut().filter_map(|step| step.checks.get_mut(&ident("path"))) {
        check.below = true;
    }
    assert!(forbids(&deny(vec![under("a/b")]), &searches, &args).is_err());
    assert!(forbids(&deny(vec![under("ab")]), &searches, &args).is_ok());
    // A grant that allows forbids nothing, nor does one for other tools.
    let args = parse(&tool, &json!({ "folder_id": "z", "needed": "a" })).unwrap();
    assert!(forbids(&grant(&[("drive.act", Effect::Read)], Vec::new()), &tool, &args).is_ok());
    let other = Grant { deny: true, ..grant(&[("drive.other", Effect::Read)], Vec::new()) };
    assert!(forbids(&other, &tool, &args).is_ok() && excluded(&other, &tool).is_none());
}

/// The services change while grants stand: what a tool can no longer be held to is not what it may do.
#[test]
fn a_tool_that_can_no_longer_be_held_to_it_is_forbidden() {
    let given =
        json!({ "folder_id": "z", "boxes": ["z"], "needed": "a", "path": "z", "line": "z", "cc": [] });
    let args = parse(&everything(), &given).unwrap();
    let to = Caveat::Recipients(vec!["a@b.cd".parse().unwrap()]);
    let line = Caveat::Argument(ident("line"), Bound::OneOf(words(&["a"])));
    let mut mute = everything();
    mute.looks.clear();
    mute.steps.iter_mut().for_each(|step| step.recipients.clear());
    let mut without_line = everything();
    without_line.args.remove(&ident("line"));
    let mut unbounded = everything();
    unbounded.steps.iter_mut().for_each(|step| step.checks.clear());
    for (caveat, changed) in [
        (to, mute),
        (line, without_line),
        (Caveat::Resource(folder(&["a"])), unbounded.clone()),
        (Caveat::Paths(vec!["a".parse().unwrap()]), unbounded),
    ] {
        let grant = deny(vec![caveat]);
        assert!(forbids(&grant, &everything(), &args).is_ok(), "{:?}", grant.caveats);
        assert!(forbids(&grant, &changed, &args).is_err(), "{:?}", grant.caveats);
    }
}

#[test]
fn people_who_are_only_seen_are_forbidden_too() {
    let grant = deny(vec![Caveat::Recipients(vec!["*@evil.com".parse().unwrap()])]);
    let seen = |people: &[Party]| forbids_seen(&grant, &everything(), people).is_ok();
    let party = |text: &str| Party::Address(text.parse().unwrap());
    assert!(seen(&[]) && seen(&[party("a@b.cd")]));
    assert!(!seen(&[party("a@b.cd"), party("x@EVIL.com")]));
    assert!(!seen(&[Party::Unknown]));
}

#[test]
fn one_of_several_that_are_forbidden_is_enough() {
    let tool = everything();
    let args =
        parse(&tool, &json!({ "folder_id": "z", "needed": "a", "path": "n/a", "to": ["a@b.cd"] })).unwrap();
    let to = |texts: &[&str]| Caveat::Recipients(texts.iter().map(|text| text.parse().unwrap()).collect());
    let paths = |texts: &[&str]| Caveat::Paths(texts.iter().map(|text| text.parse().unwrap()).collect());
    assert!(forbidden(&deny(vec![to(&["x@y.zz", "a@b.cd"])]), &args));
    assert!(forbidden(&deny(vec![paths(&["m", "n"])]), &args));
    let seen =
        |grant: &Grant| forbids_seen(grant, &tool, &[Party::Address("a@b.cd".parse().unwrap())]).is_err();
    assert!(seen(&deny(vec![to(&["x@y.zz", "a@b.cd"])])));
    // Only a grant that forbids, of this tool, and people.
    assert!(!seen(&Grant { deny: false, ..deny(vec![to(&["a@b.cd"])]) }));
    assert!(!seen(&Grant { deny: true, ..grant(&[("drive.other", Effect::Read)], vec![to(&["a@b.cd"])]) }));
    assert!(!seen(&deny(vec![paths(&["n"])])));
    // Recipients that are no addresses, and paths that are none, cannot be compared.
    let mut odd = everything();
    odd.steps[0].recipients.push(ident("needed"));
    assert!(forbids(&deny(vec![to(&["x@y.zz"])]), &odd, &args).is_err());
    let mut odd = everything();
    odd.steps[0].checks.get_mut(&ident("path")).unwrap().arg = Some(ident("needed"));
    assert!(forbids(&deny(vec![paths(&["m"])]), &odd, &args).is_err());
}

#[test]
fn what_is_excluded_is_the_object_that_a_deny_grant_names() {
    let tool = everything();
    let bound = folder(&["a", "b"]);
    let named = || vec![Caveat::Resource(bound.clone())];
    assert_eq!(excluded(&deny(named()), &tool), Some(&bound));
    assert_eq!(excluded(&Grant { deny: false, ..deny(named()) }, &tool), None);
    assert_eq!(
        excluded(&Grant { deny: true, ..grant(&[("drive.other", Effect::Read)], named()) }, &tool),
        None
    );
    assert_eq!(excluded(&deny(Vec::new()), &tool), None);
    assert_eq!(excluded(&deny(vec![Caveat::MadeByAgent]), &tool), None);
}

#[test]
fn every_step_tells_or_nothing_is_kept_from_it() {
    let grant = deny(vec![Caveat::Resource(folder(&["a"]))]);
    let enforceable = |tool: &crate::tool::Tool| Forbids::of(&grant).unwrap().enforceable(tool).is_ok();
    let mut tool = everything();
    assert!(enforceable(&tool));
    *tool.steps[1].checks.get_mut(&ident("folder")).unwrap() = Check::default();
    assert!(!enforceable(&tool));
    tool.steps[1].checks.clear();
    assert!(!enforceable(&tool));
    tool.steps.clear();
    assert!(!enforceable(&tool));
}

#[test]
fn a_list_that_does_not_tell_cannot_be_kept_from_anything() {
    let mut lists = tool([("folder_id", arg(ArgKind::Id))], vec![step("list")]);
    lists.steps[0].checks.insert(ident("folder"), Check::default());
    let grant = deny(vec![Caveat::Resource(folder(&["a"]))]);
    assert!(Forbids::of(&grant).unwrap().enforceable(&lists).is_err());
    let mut scope = Scope::default();
    scope.exclude(folder(&["a"]));
    assert!(scope.checks(&lists.steps[0]).is_err());
    assert!(scope.judge(&lists.steps[0], json!({ "id": 1 })).is_err());
    assert!(scope.judge(&step("none"), json!({ "id": 1 })).is_err());
}

fn reading() -> Step {
    let mut step = step("get");
    let elements =
        Elements { list: "/files".parse().unwrap(), at: "/parents".parse().unwrap(), nonempty: false };
    let check =
        Check { response: Some("/parents".parse().unwrap()), elements: Some(elements), ..Check::default() };
    step.checks.insert(ident("folder"), check);
    step
}

#[test]
fn an_object_that_does_not_say_could_be_the_forbidden_one() {
    let mut scope = Scope::default();
    scope.exclude(folder(&["a"]));
    for (parents, expected) in [
        (json!(["b"]), true),
        (json!("b"), true),
        (json!(["b", "a"]), false),
        (json!(["A"]), false),
        (json!([]), false),
        (json!(null), false),
        (json!({ "b": "b" }), false),
        (json!(["b", 1]), true),
        (json!(["b", 1.5]), false),
        (json!(["b", true]), false),
        (json!([["b"]]), false),
    ] {
        let answer = json!({ "parents": parents });
        assert_eq!(scope.judge(&reading(), answer.clone()).is_ok(), expected, "{answer}");
    }
    assert!(scope.judge(&reading(), json!({})).is_err());
    let probe = Probe {
        step: ident("labels"),
        at: "/labels".parse().unwrap(),
        again: false,
        add: Some(ident("add")),
        remove: Some(ident("remove")),
        each: None,
        of: None,
        adds: Vec::new(),
        removes: Vec::new(),
        span: None,
    };
    let kind = || arg(ArgKind::Ids { max: 5 });
    let tool = tool([("add", kind()), ("remove", kind())], vec![step("modify")]);
    let passes = |has: Value, change: Value| {
        let args = parse(&tool, &change).unwrap();
        judge_probe(&Limit::Not(folder(&["a"])), &probe, &args, &json!({ "labels": has })).is_ok()
    };
    assert!(passes(json!(["b"]), json!({})));
    assert!(passes(json!(["b"]), json!({ "add": ["c"] })));
    assert!(!passes(json!(["b"]), json!({ "add": ["A"] })));
    assert!(!passes(json!(["a", "b"]), json!({ "remove": ["a"] })));
    assert!(!passes(json!([]), json!({ "add": ["b"] })));
    assert!(!passes(json!(null), json!({})));
}

#[test]
fn what_lies_below_the_forbidden_must_be_known() {
    let nested = ResourceBound { nested: true, ..folder(&["a"]) };
    let mut scope = Scope::default();
    scope.exclude(nested);
    assert!(scope.forbidden_roots().contains_key(&ident("folder")) && scope.roots().is_empty());
    let tool = everything();
    let args = |id: &str| parse(&tool, &json!({ "folder_id": id, "needed": "a", "boxes": ["z"] })).unwrap();
    assert!(scope.settle(&Found::default(), &tool, &args("z")).is_err());
    let mut found = Found::default();
    // What was found for a bound that allows may be a part of it.
    found.below.entry(ident("folder")).or_default().insert("a".to_owned(), ["b".to_owned()].into());
    assert!(scope.settle(&found, &tool, &args("z")).is_err());
    found.forbidden.clone_from(&found.below);
    let settled = scope.settle(&found, &tool, &args("z")).unwrap();
    assert!(settled.judge(&reading(), json!({ "parents": ["b"] })).is_err());
    assert!(settled.judge(&reading(), json!({ "parents": ["c"] })).is_ok());
    assert!(scope.settle(&found, &tool, &args("b")).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Whatever grants allow a call, one that forbids any of its values refuses it.
    #[test]
    fn deny_beats_allow(given in call(), list in caveats(), at in any::<prop::sample::Index>()) {
        let tool = everything();
        if !allowed(&tool, &list, &given) {
            return Ok(());
        }
        let args = parse(&tool, &given).unwrap();
        prop_assert!(forbidden(&deny(Vec::new()), &args));
        let values: Vec<_> = args.iter().collect();
        let (name, value) = values[at.index(values.len())];
        for text in value.texts() {
            for bound in [Bound::OneOf(vec![text.to_uppercase(), "zz".to_owned()]), Bound::EachIn(vec![text.clone()])] {
                let words = deny(vec![Caveat::Argument(name.clone(), bound)]);
                prop_assert!(forbidden(&words, &args) || !text.is_ascii(), "{name} {text}");
            }
            if tool.recipient_args().contains(&name) {
                prop_assert!(forbidden(&deny(vec![Caveat::Recipients(vec![text.parse().unwrap()])]), &args));
            }
            if tool.resource_args(&ident("folder")).contains(&name) {
                prop_assert!(forbidden(&deny(vec![Caveat::Resource(folder(&[text.as_str()]))]), &args));
            }
            if name.as_str() == "path" {
                prop_assert!(forbidden(&deny(vec![Caveat::Paths(vec![text.parse().unwrap()])]), &args));
            }
        }
    }

    /// Nothing that says it belongs to a forbidden id is ever released, whatever is allowed; and nothing else is lost.
    #[test]
    fn nothing_forbidden_is_released(
        items in prop::collection::vec(prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "A"]), 0..3), 0..5),
        bounds in prop::collection::vec(resource_bound(), 0..2),
        never in prop::sample::subsequence(vec!["a", "b", "c"], 1..3),
    ) {
        let allow: Vec<Caveat> = bounds.into_iter().map(Caveat::Resource).collect();
        let mut list = reading();
        list.checks.get_mut(&ident("folder")).unwrap().response = None;
        let answer = json!({ "files": items.iter().map(|parents| json!({ "parents": parents })).collect::<Vec<_>>() });
        let before = Scope::of(&allow);
        let mut after = before.clone();
        after.exclude(folder(&never));
        let all = before.judge(&list, answer.clone()).unwrap();
        let some = after.judge(&list, answer).unwrap();
        let is_forbidden = |item: &&Value| {
            let parents = item["parents"].as_array().unwrap();
            parents.is_empty() || parents.iter().any(|id| never.iter().any(|never| id.as_str().unwrap().eq_ignore_ascii_case(never)))
        };
        let expected: Vec<&Value> = all["files"].as_array().unwrap().iter().filter(|item| !is_forbidden(item)).collect();
        prop_assert_eq!(some["files"].as_array().unwrap().iter().collect::<Vec<_>>(), expected);
        let choices = after.choices(&ident("folder"));
        prop_assert!(choices.is_none_or(|ids| ids.iter().all(|id| !never.contains(&id.as_str()))));
    }
}
