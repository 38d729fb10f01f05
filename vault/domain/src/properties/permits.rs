//! Whose word a permit is: only a live root handle's of the same agent and secret, and only with all its bounds.

use claviger_canonical::Canonical;
use serde_json::json;

use super::decision::{NOW, case, verified};
use super::world::ident;
use crate::caveat::{Caveat, PeopleBound, ResourceBound, Role};
use crate::grant::{Grant, Handle, State};
use crate::id::{GrantId, HandleId};
use crate::permit::{Question, decide, decide_by};
use crate::refusal::Class;
use crate::scope::Found;

fn id(n: u8) -> HandleId {
    HandleId::from_bytes([n; 16])
}

/// Two grants with a root handle each, numbered 1 and 2.
fn grants() -> [(Grant, Handle); 2] {
    [1, 2].map(|n| {
        let case = case();
        let grant = Grant { id: GrantId::from_bytes([n; 8]), root: id(n), ..case.grant };
        let handle = Handle { id: id(n), grant: grant.id, ..case.handle };
        (grant, handle)
    })
}

/// What the second grant says to a call that was presented by the first one's handle.
fn stands_in(
    change: impl FnOnce(&mut [(Grant, Handle); 2], &mut bool),
) -> Result<(), (Class, Option<String>)> {
    let (mut grants, mut frozen) = (grants(), false);
    change(&mut grants, &mut frozen);
    let case = case();
    let question = |(grant, handle): &'_ (Grant, Handle), frozen| -> Result<(), (Class, Option<String>)> {
        let arguments = Canonical::from_json(&json!({ "folder_id": "a", "needed": "a" })).unwrap();
        let proof = verified(*grants[0].1.id.as_bytes(), "drive.act", arguments.digest());
        let presented = Question {
            now_ms: NOW,
            adapter: &case.adapter,
            frozen: false,
            handle: &grants[0].1,
            ancestors: &[],
            grant: &grants[0].0,
            service: &case.service,
        };
        let by = Question { frozen, handle, grant, ..copy(&presented) };
        decide_by(&presented, &by, &proof, &arguments)
            .map(drop)
            .map_err(|denial| (denial.class, denial.field))
    };
    question(&grants[1], frozen)
}

fn copy<'a>(question: &Question<'a>) -> Question<'a> {
    Question { ..*question }
}

#[test]
fn only_a_live_root_stands_in_for_another() {
    let no = |class, field: &str| Err((class, Some(field.to_owned())));
    assert_eq!(stands_in(|_, _| {}), Ok(()));
    assert_eq!(stands_in(|_, frozen| *frozen = true), no(Class::Frozen, "agent"));
    assert_eq!(
        stands_in(|grants, _| grants[1].0.state = State::Revoked { at_ms: 1 }),
        no(Class::Revoked, "grant")
    );
    let other = no(Class::NotGranted, "handle");
    for n in [0, 1] {
        assert_eq!(stands_in(|grants, _| grants[n].0.root = id(9)), other, "{n}");
    }
    assert_eq!(stands_in(|grants, _| grants[1].1.grant = GrantId::from_bytes([9; 8])), other);
    assert_eq!(stands_in(|grants, _| grants[1].1.ancestors = vec![id(9)]), other);
    assert_eq!(stands_in(|grants, _| grants[1].0.agent = "else".parse().unwrap()), other);
    assert_eq!(stands_in(|grants, _| grants[1].0.secret = "drive/you".parse().unwrap()), other);
    // What the one that stands in is bounded by holds; what the one that was presented is bounded by does not.
    let never = || vec![Caveat::Expires(NOW)];
    assert_eq!(stands_in(|grants, _| grants[1].0.caveats = never()), no(Class::Revoked, "expires"));
    assert_eq!(stands_in(|grants, _| grants[0].0.caveats = never()), Ok(()));
}

/// A child stands for itself, and for itself it is decided as always.
#[test]
fn a_child_decides_for_itself() {
    let case = case();
    let [(grant, root), _] = grants();
    let child = Handle { id: id(3), ancestors: vec![root.id], ..root.clone() };
    let above = [&root];
    let question = Question {
        now_ms: NOW,
        adapter: &case.adapter,
        frozen: false,
        handle: &child,
        ancestors: &above,
        grant: &grant,
        service: &case.service,
    };
    let arguments = Canonical::from_json(&json!({ "folder_id": "a", "needed": "a" })).unwrap();
    let proof = verified(*child.id.as_bytes(), "drive.act", arguments.digest());
    assert!(decide_by(&question, &question, &proof, &arguments).is_ok());
}

#[test]
fn a_bound_of_a_handle_that_the_tool_cannot_keep_to_refuses() {
    let mut case = case();
    case.service.tools.values_mut().for_each(|tool| tool.steps[1].checks.clear());
    let owner = Caveat::People(PeopleBound { role: Role::Owner, patterns: vec!["*".parse().unwrap()] });
    let [(grant, root), _] = grants();
    let bounded = Handle { caveats: vec![owner], ..root.clone() };
    let child = Handle { id: id(3), ancestors: vec![root.id], ..root.clone() };
    let arguments = Canonical::from_json(&json!({ "folder_id": "a", "needed": "a" })).unwrap();
    let ask = |handle: &Handle, ancestors: &[&Handle]| {
        let question = Question {
            now_ms: NOW,
            adapter: &case.adapter,
            frozen: false,
            handle,
            ancestors,
            grant: &grant,
            service: &case.service,
        };
        let proof = verified(*handle.id.as_bytes(), "drive.act", arguments.digest());
        decide(&question, &proof, &arguments).map(drop).map_err(|denial| (denial.class, denial.field))
    };
    let refused = Err((Class::OutOfScope, Some("tool".to_owned())));
    assert_eq!(ask(&root, &[]), Ok(()));
    assert_eq!(ask(&bounded, &[]), refused);
    assert_eq!(ask(&child, &[&root]), Ok(()));
    assert_eq!(ask(&child, &[&bounded]), refused);
}

#[test]
fn a_permit_carries_its_arguments_and_its_scope() {
    let mut case = case();
    let folder = |ids: &[&str], nested| ResourceBound {
        resource: ident("folder"),
        ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        shown: Vec::new(),
        nested,
    };
    case.grant.caveats = vec![Caveat::Resource(folder(&["a", "b"], false))];
    let arguments = Canonical::from_json(&json!({ "folder_id": "a", "needed": "a" })).unwrap();
    let question = Question {
        now_ms: NOW,
        adapter: &case.adapter,
        frozen: false,
        handle: &case.handle,
        ancestors: &[],
        grant: &case.grant,
        service: &case.service,
    };
    let mut permit =
        decide(&question, &verified([2; 16], "drive.act", arguments.digest()), &arguments).unwrap();
    let choices = |permit: &crate::permit::Permit| {
        permit.scope().choices(&ident("folder")).map(|ids| ids.into_iter().collect::<String>())
    };
    assert_eq!(permit.arguments().get(&ident("folder_id")).unwrap().texts(), ["a"]);
    assert_eq!(choices(&permit).as_deref(), Some("ab"));
    permit.exclude(folder(&["b"], false));
    assert_eq!(choices(&permit).as_deref(), Some("a"));
    // Once it is settled, what it names is decided anew.
    let tool = &case.service.tools[&ident("act")];
    permit.settle(&Found::default(), tool).unwrap();
    permit.exclude(folder(&["A"], false));
    assert_eq!(permit.settle(&Found::default(), tool).unwrap_err().class, Class::OutOfScope);
    // Of what is forbidden with all that lies below, all must be known.
    let mut permit =
        decide(&question, &verified([2; 16], "drive.act", arguments.digest()), &arguments).unwrap();
    permit.exclude(folder(&["z"], true));
    assert_eq!(permit.settle(&Found::default(), tool).unwrap_err().class, Class::OutOfScope);
}
