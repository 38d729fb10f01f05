//! What `can` answers: the word that minting would have, of the same grants.

use claviger_canonical::Canonical;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::decision::{NOW, case, verified};
use super::world::{call, caveat, caveats, everything, ident};
use crate::caveat::{Bound, Caveat, ResourceBound};
use crate::effect::Effect;
use crate::grant::{Approve, Grant, State};
use crate::id::GrantId;
use crate::look::Look;
use crate::permit::{Question, decide};
use crate::policy::{Case, Verdict, judge};
use crate::refusal::Class;
use crate::tool::{Definition, Tool};

fn granted(id: u8, caveats: Vec<Caveat>) -> Grant {
    Grant { id: GrantId::from_bytes([id; 8]), caveats, approve: Approve::Never, ..case().grant }
}

fn denied(id: u8, caveats: Vec<Caveat>) -> Grant {
    Grant { deny: true, ..granted(id, caveats) }
}

fn ask(grants: &[Grant], tool: &Tool, given: &Value, tainted: bool) -> Verdict {
    let arguments = Canonical::from_json(given).unwrap();
    let case = case();
    let asked = Case { service: &case.service, tool, arguments: arguments.value(), now_ms: NOW, tainted };
    judge(grants.iter(), &asked)
}

/// The verdict's word, and the grants it names.
fn told(grants: &[Grant]) -> (&'static str, Vec<u8>) {
    let verdict = ask(grants, &everything(), &given(), false);
    let ids = match &verdict {
        Verdict::Yes { grant, .. } | Verdict::Approval { grant, .. } => vec![Some(*grant)],
        Verdict::No { objections } => objections.iter().map(|(grant, _)| *grant).collect(),
    };
    (verdict.word(), ids.into_iter().map(|id| id.map_or(0, |id| id.as_bytes()[0])).collect())
}

fn given() -> Value {
    json!({ "folder_id": "a", "needed": "a" })
}

fn never() -> Caveat {
    Caveat::Expires(NOW)
}

#[test]
fn the_first_grant_that_allows_it_is_the_one() {
    assert_eq!(told(&[]), ("no", vec![0]));
    assert_eq!(told(&[granted(1, vec![])]), ("yes", vec![1]));
    assert_eq!(told(&[granted(1, vec![]), granted(2, vec![])]), ("yes", vec![1]));
    assert_eq!(told(&[granted(1, vec![never()]), granted(2, vec![])]), ("yes", vec![2]));
    assert_eq!(told(&[granted(1, vec![never()]), granted(2, vec![never()])]), ("no", vec![1, 2]));
    let asks = Grant { approve: Approve::Always, ..granted(1, vec![]) };
    assert_eq!(told(&[asks, granted(2, vec![])]), ("approval", vec![1]));
    // One for other tools is not asked, nor is one that forbids asked to allow.
    let other = Grant { tools: Vec::new(), ..granted(1, vec![]) };
    assert_eq!(told(&[other]), ("no", vec![0]));
    assert_eq!(told(&[denied(1, vec![])]), ("no", vec![0]));
    for change in [
        |grant: &mut Grant| grant.state = State::Revoked { at_ms: 1 },
        |grant: &mut Grant| grant.expires_at_ms = Some(NOW),
        |grant: &mut Grant| grant.tools[0].definition = Definition([8; 32]),
    ] {
        let mut one = granted(1, vec![]);
        change(&mut one);
        assert_eq!(told(&[one.clone(), granted(2, vec![])]), ("yes", vec![2]));
        assert_eq!(told(&[one]), ("no", vec![1]));
    }
}

#[test]
fn what_forbids_beats_what_allows_as_long_as_it_lives() {
    assert_eq!(told(&[granted(1, vec![]), denied(2, vec![])]), ("no", vec![2]));
    assert_eq!(told(&[denied(2, vec![]), granted(1, vec![])]), ("no", vec![2]));
    let here = denied(2, vec![Caveat::Argument(ident("folder_id"), Bound::OneOf(vec!["A".to_owned()]))]);
    let there = denied(2, vec![Caveat::Argument(ident("folder_id"), Bound::OneOf(vec!["b".to_owned()]))]);
    assert_eq!(told(&[granted(1, vec![]), here]), ("no", vec![2]));
    assert_eq!(told(&[granted(1, vec![]), there]), ("yes", vec![1]));
    let other = Grant { secret: "drive/you".parse().unwrap(), ..denied(2, vec![]) };
    assert_eq!(told(&[granted(1, vec![]), other]), ("yes", vec![1]));
    let over = Grant { expires_at_ms: Some(NOW), ..denied(2, vec![]) };
    assert_eq!(told(&[granted(1, vec![]), over]), ("yes", vec![1]));
}

#[test]
fn what_is_still_to_be_seen_is_a_condition() {
    let conditions =
        |caveats: Vec<Caveat>, tool: &Tool| match ask(&[granted(1, caveats)], tool, &given(), false) {
            Verdict::Yes { conditions, .. } => conditions,
            other => panic!("{other:?}"),
        };
    let folder = |resource: &str| {
        let shown = vec!["Work".to_owned()];
        Caveat::Resource(ResourceBound {
            resource: ident(resource),
            ids: vec!["a".to_owned()],
            shown,
            nested: false,
        })
    };
    let tool = everything();
    assert!(conditions(vec![], &tool).is_empty());
    // What the arguments decide is decided; what only the object tells is not.
    assert!(conditions(vec![folder("folder"), Caveat::NotBefore(0)], &tool).is_empty());
    for (caveat, part) in [
        (Caveat::Rate("6/1h".parse().unwrap()), "6/1h"),
        (Caveat::Calls(7), "fewer than 7 calls"),
        (Caveat::BytesADay(1_000), "keeps to bytes_a_day = 1kB"),
        (Caveat::MadeByAgent, "keeps to made_by_agent"),
        (folder("label"), "if the label is Work"),
    ] {
        let found = conditions(vec![caveat], &tool);
        assert!(matches!(found.as_slice(), [only] if only.contains(part)), "{found:?}");
    }
    let mut looks = everything();
    let at = |text: &str| text.parse().unwrap();
    looks.looks.push(Look {
        name: ident("event"),
        step: ident("get"),
        optional: false,
        when: Some(ident("line")),
        people: vec![at("/guests")],
        except: Vec::new(),
        except_calendar: None,
        private: None,
        sends_if: Vec::new(),
        pin: Vec::new(),
        show: [].into(),
        etag: None,
    });
    assert!(conditions(vec![], &looks).is_empty());
    looks.looks[0].when = None;
    assert!(conditions(vec![], &looks)[0].contains("looked at first"));
}

#[test]
fn who_is_asked_is_told_why() {
    let mut sends = everything();
    sends.effect = Effect::Send;
    let why = |approve, tainted, given: Value| {
        let grant = Grant { approve, ..granted(1, vec![Caveat::Calls(7)]) };
        match ask(&[grant], &sends, &given, tainted) {
            Verdict::Approval { conditions, .. } => {
                assert!(conditions.len() == 2 && conditions[1].contains("7 calls"));
                Some(conditions[0].clone())
            }
            _ => None,
        }
    };
    let to = json!({ "folder_id": "a", "needed": "a", "to": ["ann@b.cd"] });
    assert!(why(Approve::Default, false, given()).unwrap().contains("reach somebody else"));
    assert_eq!(why(Approve::Never, true, given()), None);
    assert_eq!(why(Approve::Tainted, false, given()), None);
    assert!(why(Approve::Tainted, true, given()).unwrap().contains("strangers"));
    let new = why(Approve::New, false, to).unwrap();
    assert!(new.contains("to:ann@b.cd") && new.ends_with(", unless it was agreed to before"), "{new}");
    assert!(!why(Approve::Always, false, given()).unwrap().contains("unless"));
}

#[test]
fn arguments_that_do_not_fit_are_no_grants_fault() {
    match ask(&[granted(1, vec![])], &everything(), &json!({ "needed": "a" }), false) {
        Verdict::No { objections } => {
            assert!(matches!(objections.as_slice(), [(None, denial)] if denial.class == Class::BadArguments));
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// It says yes where the decision of minting does, and no where that does.
    #[test]
    fn it_agrees_with_the_decision(caveats in caveats(), given in call()) {
        let case = case();
        let grant = granted(1, caveats);
        let arguments = Canonical::from_json(&given).unwrap();
        let question = Question {
            now_ms: NOW, adapter: &case.adapter, frozen: false, handle: &case.handle, ancestors: &[],
            grant: &Grant { id: case.grant.id, ..grant.clone() }, service: &case.service,
        };
        let decided = decide(&question, &verified([2; 16], "drive.act", arguments.digest()), &arguments);
        let verdict = ask(&[grant], &everything(), &given, false);
        prop_assert_eq!(decided.is_ok(), verdict.word() == "yes", "{:?} {:?}", decided.err(), verdict);
    }

    /// One more grant that forbids never turns a no into a yes.
    #[test]
    fn what_forbids_only_takes_away(allow in caveats(), forbid in prop::collection::vec(caveat(), 0..2), given in call()) {
        let tool = everything();
        let before = ask(&[granted(1, allow.clone())], &tool, &given, false);
        let after = ask(&[granted(1, allow), denied(2, forbid)], &tool, &given, false);
        prop_assert!(before.word() == "yes" || after.word() == "no");
    }
}
