//! Elements that wait for a page are judged like those of an answer.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{ident, resource_bound, step};
use crate::arg::{Arg, ArgKind, ArgValue, Arguments};
use crate::caveat::Caveat;
use crate::scope::Scope;
use crate::step::{Check, Elements, Of, Probe, Refuse, Step};

fn listing() -> Step {
    let mut step = step("list");
    let list: crate::pointer::Pointer = "/files".parse().unwrap();
    let elements = Elements { list: list.clone(), at: "/parents".parse().unwrap(), nonempty: false };
    step.checks.insert(ident("folder"), Check { elements: Some(elements), ..Check::default() });
    step.refuse.push(Refuse { elements: Some(list), at: "/kind".parse().unwrap(), is: json!("shortcut") });
    step
}

fn element() -> impl Strategy<Value = Value> {
    let parents = prop_oneof![
        prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "A", ""]), 0..3)
            .prop_map(|all| json!(all)),
        Just(Value::Null),
        Just(json!({ "a": "a" })),
        Just(json!("a")),
        Just(json!(["a", 1])),
    ];
    let kind = prop::sample::select(vec!["shortcut", "text"]);
    (parents, kind, any::<bool>()).prop_map(|(parents, kind, bare)| match bare {
        true => json!({ "parents": parents }),
        false => json!({ "parents": parents, "kind": kind }),
    })
}

fn scopes() -> impl Strategy<Value = Scope> {
    (prop::collection::vec(resource_bound(), 0..2), prop::collection::vec(resource_bound(), 0..2)).prop_map(
        |(allowed, forbidden)| {
            let caveats: Vec<Caveat> = allowed.into_iter().map(Caveat::Resource).collect();
            let mut scope = Scope::of(&caveats);
            forbidden.into_iter().for_each(|bound| scope.exclude(bound));
            scope
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_waits_is_judged_as_what_comes(scope in scopes(), items in prop::collection::vec(element(), 0..12)) {
        let judged = scope.judge(&listing(), json!({ "files": items })).unwrap();
        let waited = scope.still_within(&listing(), items).unwrap();
        prop_assert_eq!(&judged["files"], &json!(waited));
        prop_assert_eq!(scope.still_within(&listing(), waited.clone()).unwrap(), waited);
    }
}

#[test]
fn a_bound_drops_elements_where_its_check_says_so() {
    let bounded = Scope::of(&[Caveat::Resource(resource())]);
    assert!(bounded.drops(&listing()).unwrap());
    assert!(!Scope::default().drops(&listing()).unwrap());
    let mut probed = step("list");
    let of = Of { list: "/files".parse().unwrap(), id: "/id".parse().unwrap(), param: ident("part") };
    let probe = |of| Probe {
        step: ident("facts"),
        at: "/parents".parse().unwrap(),
        again: false,
        add: None,
        remove: None,
        each: None,
        of,
        adds: Vec::new(),
        removes: Vec::new(),
        span: None,
    };
    for (of, drops) in [(Some(of), true), (None, false)] {
        probed.checks.insert(ident("folder"), Check { probe: Some(probe(of)), ..Check::default() });
        assert_eq!(bounded.drops(&probed).unwrap(), drops);
    }
    // What cannot be checked is refused here too.
    assert!(bounded.drops(&step("none")).is_err());
    assert!(bounded.still_within(&step("none"), Vec::new()).is_err());
}

fn resource() -> crate::caveat::ResourceBound {
    crate::caveat::ResourceBound {
        resource: ident("folder"),
        ids: vec!["a".to_owned()],
        shown: Vec::new(),
        nested: false,
    }
}

#[test]
fn the_number_asked_for_is_the_vaults() {
    let kind = ArgKind::Integer { min: 1, max: 9 };
    let count = Arg { kind, ..super::world::arg(ArgKind::Boolean) };
    let declared = [(ident("count"), count)].into();
    let given = claviger_canonical::Canonical::from_json(&json!({ "count": 3 })).unwrap();
    let args = Arguments::parse(&declared, given.value()).unwrap();
    assert_eq!(args.asking_for(&ident("count"), 9).get(&ident("count")), Some(&ArgValue::Integer(9)));
    assert_eq!(args.get(&ident("count")), Some(&ArgValue::Integer(3)));
}
