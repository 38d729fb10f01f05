//! A thousand trees of handles: whatever a child may do, its parent may do.

use claviger_canonical::Canonical;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::decision::{Case, NOW, case, verified};
use super::world::{call, caveat, ident, step};
use crate::caveat::Caveat;
use crate::grant::{DEPTH, Grant, Handle};
use crate::id::{GrantId, HandleId};
use crate::permit::{Permit, Question, decide, decide_by};
use crate::refusal::{Class, Denial};
use crate::scope::Scope;
use crate::step::{Check, Elements};

/// Any bound that a child may be asked for: those of arguments and objects, of tools and of time.
fn any_caveat() -> impl Strategy<Value = Caveat> {
    let tools = prop::sample::subsequence(vec!["drive.act", "drive.other"], 0..3);
    prop_oneof![
        12 => caveat(),
        1 => tools.prop_map(|names| Caveat::Tools(names.iter().map(|name| name.parse().unwrap()).collect())),
        1 => (NOW - 1..NOW + 3).prop_map(Caveat::Expires),
        1 => (NOW - 1..NOW + 2).prop_map(Caveat::NotBefore),
        1 => (0_u64..9).prop_map(Caveat::BytesADay),
    ]
}

/// What each handle adds to the one above it, from the root down.
fn chain() -> impl Strategy<Value = Vec<Vec<Caveat>>> {
    prop::collection::vec(prop::collection::vec(any_caveat(), 0..2), 1..=DEPTH + 1)
}

fn id(depth: usize) -> HandleId {
    HandleId::from_bytes([u8::try_from(depth + 1).unwrap(); 16])
}

/// The handle at each depth, over one grant.
fn handles(chain: &[Vec<Caveat>]) -> Vec<Handle> {
    let grant = GrantId::from_bytes([1; 8]);
    let handle = |(depth, caveats): (usize, &Vec<Caveat>)| Handle {
        id: id(depth),
        grant,
        ancestors: (0..depth).rev().map(id).collect(),
        caveats: caveats.clone(),
        label: String::new(),
        task: false,
        created_at_ms: 0,
    };
    chain.iter().enumerate().map(handle).collect()
}

/// What the handle at that depth is told.
fn ask(
    case: &Case,
    grant: &Grant,
    handles: &[Handle],
    depth: usize,
    given: &Value,
) -> Result<Permit, Denial> {
    let ancestors: Vec<&Handle> = handles[..depth].iter().rev().collect();
    let question = Question {
        now_ms: NOW,
        adapter: &case.adapter,
        frozen: false,
        handle: &handles[depth],
        ancestors: &ancestors,
        grant,
        service: &case.service,
    };
    let arguments = Canonical::from_json(given).unwrap();
    decide(&question, &verified(*id(depth).as_bytes(), "drive.act", arguments.digest()), &arguments)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_child_is_allowed_what_its_parent_is_refused(
        chain in chain(),
        granted in prop::collection::vec(any_caveat(), 0..2),
        calls in prop::collection::vec(call(), 1..6),
    ) {
        let case = case();
        let handles = handles(&chain);
        let grant = Grant { caveats: granted, root: id(0), ..case.grant.clone() };
        for given in calls {
            for depth in 1..handles.len() {
                let Ok(permit) = ask(&case, &grant, &handles, depth, &given) else { continue };
                let parent = ask(&case, &grant, &handles, depth - 1, &given);
                prop_assert!(parent.is_ok(), "{given} at {depth}: {:?}", parent.err());
                // Nor may what it carries along let through more.
                let above = parent.unwrap();
                for resource in ["folder", "label"] {
                    let resource = ident(resource);
                    match (permit.scope().choices(&resource), above.scope().choices(&resource)) {
                        (_, None) => {}
                        (Some(own), Some(above)) => prop_assert!(own.is_subset(&above)),
                        (None, Some(_)) => prop_assert!(false, "a bound was lost"),
                    }
                }
            }
        }
    }

    /// What is released to a child is released to its parent.
    #[test]
    fn no_child_is_shown_what_its_parent_is_not(
        chain in chain(),
        objects in prop::collection::vec(prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 0..3), 0..5),
    ) {
        let mut list = step("list");
        let elements = Elements { list: "/files".parse().unwrap(), at: "/parents".parse().unwrap(), nonempty: false };
        list.checks.insert(ident("folder"), Check { elements: Some(elements), ..Check::default() });
        let answer = json!({ "files": objects.iter().map(|parents| json!({ "parents": parents })).collect::<Vec<_>>() });
        let shown = |depth: usize| {
            let scope = Scope::of(chain[..=depth].iter().flatten());
            scope.judge(&list, answer.clone()).ok().map(|shown| shown["files"].as_array().unwrap().clone())
        };
        for depth in 1..chain.len() {
            let Some(own) = shown(depth) else { continue };
            let above = shown(depth - 1).expect("what a child may list, its parent may");
            prop_assert!(own.iter().all(|object| above.contains(object)));
            prop_assert!(own.len() <= above.len());
        }
    }

    /// A bound that a tool cannot keep to is never ignored, however deep it stands.
    #[test]
    fn what_a_child_is_allowed_every_bound_above_it_can_be_held_to(chain in chain(), given in call()) {
        let case = case();
        let handles = handles(&chain);
        let grant = Grant { root: id(0), ..case.grant.clone() };
        let tool = &case.service.tools[&ident("act")];
        let depth = handles.len() - 1;
        if ask(&case, &grant, &handles, depth, &given).is_ok() {
            for caveat in chain.iter().flatten() {
                prop_assert!(caveat.enforceable(tool).is_ok(), "{}", caveat.to_text());
            }
        }
    }

    /// Where another grant stands in, it is that grant's own word; and a child stands for itself.
    #[test]
    fn another_grant_allows_only_what_it_would_allow_itself(
        one in prop::collection::vec(any_caveat(), 0..2),
        other in prop::collection::vec(any_caveat(), 0..2),
        given in call(),
    ) {
        let case = case();
        let handles = handles(&[Vec::new(), Vec::new()]);
        let mut second = handles[0].clone();
        second.id = HandleId::from_bytes([9; 16]);
        second.grant = GrantId::from_bytes([9; 8]);
        let one = Grant { caveats: one, root: id(0), ..case.grant.clone() };
        let other = Grant { caveats: other, id: second.grant, root: second.id, ..case.grant.clone() };
        let arguments = Canonical::from_json(&given).unwrap();
        let proof = |handle: HandleId| verified(*handle.as_bytes(), "drive.act", arguments.digest());
        let question = |grant, handle, ancestors| Question {
            now_ms: NOW, adapter: &case.adapter, frozen: false, handle, ancestors, grant, service: &case.service,
        };
        let above = [&handles[0]];
        let presented = question(&one, &handles[0], &[]);
        let child = question(&one, &handles[1], &above);
        let by = decide_by(&presented, &question(&other, &second, &[]), &proof(id(0)), &arguments).is_ok();
        let itself = decide(&question(&other, &second, &[]), &proof(second.id), &arguments).is_ok();
        prop_assert_eq!(by, itself);
        let stranger = decide_by(&child, &question(&other, &second, &[]), &proof(id(1)), &arguments);
        prop_assert_eq!(stranger.unwrap_err().class, Class::NotGranted);
        let narrowed = decide_by(&presented, &child, &proof(id(0)), &arguments);
        prop_assert_eq!(narrowed.unwrap_err().class, Class::NotGranted);
        // Nor for another agent, nor by a proof of another handle.
        let by = decide_by(&presented, &question(&other, &second, &[]), &proof(second.id), &arguments);
        prop_assert_eq!(by.unwrap_err().class, Class::BadPresentation);
        let elses = Grant { agent: "else".parse().unwrap(), ..other.clone() };
        let by = decide_by(&presented, &question(&elses, &second, &[]), &proof(id(0)), &arguments);
        prop_assert_eq!(by.unwrap_err().class, Class::NotGranted);
    }
}

#[test]
fn a_chain_with_a_handle_left_out_or_changed_is_refused() {
    let case = case();
    let handles = handles(&[Vec::new(), vec![Caveat::Calls(1)], Vec::new()]);
    let grant = Grant { root: id(0), ..case.grant.clone() };
    let given = json!({ "folder_id": "a", "needed": "a" });
    let arguments = Canonical::from_json(&given).unwrap();
    let proof = verified(*id(2).as_bytes(), "drive.act", arguments.digest());
    let refused = |ancestors: &[&Handle]| {
        let question = Question {
            now_ms: NOW,
            adapter: &case.adapter,
            frozen: false,
            handle: &handles[2],
            ancestors,
            grant: &grant,
            service: &case.service,
        };
        decide(&question, &proof, &arguments).err().map(|denial| denial.class)
    };
    assert_eq!(refused(&[&handles[1], &handles[0]]), None);
    for ancestors in [&[][..], &[&handles[1]], &[&handles[0]], &[&handles[0], &handles[1]]] {
        assert_eq!(refused(ancestors), Some(Class::BadPresentation));
    }
    let mut other = handles[0].clone();
    other.grant = GrantId::from_bytes([7; 8]);
    assert_eq!(refused(&[&handles[1], &other]), Some(Class::BadPresentation));
}
