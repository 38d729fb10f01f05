//! What an adapter can do with a capability, and what it cannot.

use std::collections::BTreeMap;

use serde_json::json;

use super::world::{ident, step};
use crate::arg::Arguments;
use crate::capability::{Capability, CapabilitySecret, LIFE_US, Minting, PROBES};
use crate::caveat::{Caveat, ResourceBound};
use crate::effect::Effect;
use crate::id::{CallId, CapabilityId, GrantId, HandleId};
use crate::name::AdapterName;
use crate::permit::Permit;
use crate::refusal::Class;
use crate::scope::Scope;
use crate::step::{LookedUp, ParamSource, Step};

fn adapter() -> AdapterName {
    "drive".parse().unwrap()
}

fn secret() -> CapabilitySecret {
    CapabilitySecret::new([3; 16])
}

fn minted(effect: Effect, bounds: &[&[&str]]) -> Capability {
    let caveats: Vec<Caveat> = bounds
        .iter()
        .map(|ids| {
            let ids = ids.iter().map(|id| (*id).to_owned()).collect();
            Caveat::Resource(ResourceBound {
                resource: ident("folder"),
                ids,
                shown: Vec::new(),
                nested: false,
            })
        })
        .collect();
    let nothing = claviger_canonical::Canonical::from_json(&json!({})).unwrap();
    let permit = Permit::for_tests(
        "drive.act".parse().unwrap(),
        Arguments::parse(&BTreeMap::new(), nothing.value()).unwrap(),
        Scope::of(&caveats),
    );
    let minting = Minting {
        rules: 0,
        id: CapabilityId::from_bytes([1; 16]),
        call: CallId::from_bytes([1; 8]),
        adapter: adapter(),
        agent: "bot".parse().unwrap(),
        grant: GrantId::from_bytes([1; 8]),
        handle: HandleId::from_bytes([1; 16]),
        ancestors: Vec::new(),
        secret: "drive/me".parse().unwrap(),
        effect,
        requests: 2,
        seen: None,
        digest: [0; 32],
        now_us: 1_000,
    };
    Capability::mint(permit, minting, &secret())
}

fn listing() -> Step {
    let mut step = step("list");
    step.params.insert(ident("folder"), ParamSource::Scope(ident("folder")));
    step
}

fn reading() -> Step {
    let mut step = step("get");
    step.params.insert(ident("file_id"), ParamSource::Answer);
    step.yields.insert(ident("file_id"), vec!["/files/*/id".parse().unwrap()]);
    step
}

fn given(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn it_is_good_for_its_requests_its_adapter_and_its_time() {
    let mut one = minted(Effect::Read, &[]);
    let refused = |one: &mut Capability, adapter: &str, secret: [u8; 16], now| {
        let denial = one.spend(&adapter.parse().unwrap(), &CapabilitySecret::new(secret), now).unwrap_err();
        // One class, no field: an adapter cannot tell which of them it was.
        assert_eq!((denial.class, denial.field), (Class::BadCapability, None));
    };
    refused(&mut one, "gmail", [3; 16], 1_000);
    refused(&mut one, "drive", [4; 16], 1_000);
    refused(&mut one, "drive", [3; 16], 1_000 + LIFE_US);
    // None of these spent anything.
    one.spend(&adapter(), &secret(), 1_000).unwrap();
    one.spend(&adapter(), &secret(), 999 + LIFE_US).unwrap();
    refused(&mut one, "drive", [3; 16], 1_000);
    for _ in 0..PROBES {
        one.spend_probe().unwrap();
    }
    assert_eq!(one.spend_probe().unwrap_err().class, Class::BadCapability);
}

/// How often lists are looked at depends on what is out of scope, and must fail nothing else.
#[test]
fn looks_are_apart_from_requests_and_probes() {
    let mut capability = minted(Effect::Read, &[]);
    assert_eq!((0..1000).filter(|_| capability.spend_look()).count(), 200);
    assert!(capability.spend_probe().is_ok());
    assert!(capability.spend(&adapter(), &secret(), 0).is_ok());
    while capability.spend_probe().is_ok() {}
    assert!(minted(Effect::Read, &[]).spend_look());
}

#[test]
fn racers_share_its_requests() {
    let one = std::sync::Mutex::new(minted(Effect::Read, &[]));
    let spent = std::thread::scope(|threads| {
        let racers: Vec<_> = (0..64)
            .map(|_| threads.spawn(|| one.lock().unwrap().spend(&adapter(), &secret(), 1_000).is_ok()))
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).filter(|spent| *spent).count()
    });
    assert_eq!(spent, 2);
}

#[test]
fn the_vault_chooses_where_there_is_one_choice_and_takes_only_what_is_in_scope() {
    let check = |bounds: &[&[&str]], pairs: &[(&str, &str)], expected: Result<Option<&str>, Class>| {
        let found = minted(Effect::Read, bounds).params(&listing(), &given(pairs));
        let found = found.map(|params| params.get(&ident("folder")).cloned()).map_err(|denial| denial.class);
        assert_eq!(found, expected.map(|id| id.map(str::to_owned)), "{bounds:?} {pairs:?}");
    };
    check(&[], &[], Ok(None));
    check(&[], &[("folder", "a")], Err(Class::BadStep));
    check(&[&["a"]], &[], Ok(Some("a")));
    check(&[&["a", "a"]], &[], Ok(Some("a")));
    check(&[&["a"]], &[("folder", "a")], Ok(Some("a")));
    check(&[&["a"]], &[("folder", "b")], Err(Class::OutOfScope));
    check(&[&["a"]], &[("folder", "A")], Err(Class::OutOfScope));
    check(&[&["a"]], &[("folder", "")], Err(Class::OutOfScope));
    check(&[&["a", "b"]], &[], Err(Class::OutOfScope));
    check(&[&["a", "b"]], &[("folder", "b")], Ok(Some("b")));
    check(&[&["a", "b"], &["b"]], &[], Ok(Some("b")));
    check(&[&["a", "b"], &["b"]], &[("folder", "a")], Err(Class::OutOfScope));
    check(&[&["a"], &["b"]], &[], Err(Class::OutOfScope));
    check(&[&[]], &[], Err(Class::OutOfScope));
    check(&[&[]], &[("folder", "")], Err(Class::OutOfScope));
    // An empty id would be an empty filter, and an upstream may read that as none.
    check(&[&[""]], &[], Err(Class::OutOfScope));
    check(&[&[""]], &[("folder", "")], Err(Class::OutOfScope));
    check(&[&["a' or 'b"]], &[], Err(Class::OutOfScope));
    check(&[], &[("file_id", "a")], Err(Class::BadStep));
    check(&[&["a"]], &[("Folder", "a")], Err(Class::BadStep));
}

#[test]
fn an_adapter_names_only_ids_that_an_answer_contained() {
    let mut one = minted(Effect::Read, &[]);
    let class = |one: &Capability, id: &str| {
        one.params(&reading(), &given(&[("file_id", id)]))
            .map(|params| params[&ident("file_id")].clone())
            .map_err(|d| d.class)
    };
    assert_eq!(class(&one, "f1"), Err(Class::BadStep));
    assert_eq!(one.params(&reading(), &given(&[])).unwrap_err().class, Class::BadStep);
    let malicious =
        ["", "..", "../f1", "f1/../x", "a//b", "%2e%2e", "f1%2fx", "f1\0", "f1?x=1", "f1#", "f 1", "ä"];
    let files: Vec<_> = malicious.iter().map(|id| json!({ "id": id })).collect();
    one.learn(&reading(), &json!({ "files": files }));
    for id in malicious {
        assert_eq!(class(&one, id), Err(Class::BadStep), "{id:?}");
    }
    one.learn(
        &reading(),
        &json!({ "files": [{ "id": "f1" }, { "id": 7 }, {}, "f3", { "id": ["f4"] }], "id": "f5" }),
    );
    assert_eq!(class(&one, "f1"), Ok("f1".to_owned()));
    for id in ["7", "f3", "f4", "f5", "F1", "f1 "] {
        assert_eq!(class(&one, id), Err(Class::BadStep), "{id:?}");
    }
    // What one kind of id was learned for is no other kind of parameter, and another call learned nothing.
    let mut other = reading();
    other.params = BTreeMap::from([(ident("message_id"), ParamSource::Answer)]);
    assert!(one.params(&other, &given(&[("message_id", "f1")])).is_err());
    assert!(class(&minted(Effect::Read, &[]), "f1").is_err());
}

#[test]
fn what_a_call_learns_is_bounded() {
    let mut one = minted(Effect::Read, &[]);
    let files: Vec<_> = (0..5_000).map(|n| json!({ "id": format!("f{n}") })).collect();
    one.learn(&reading(), &json!({ "files": files }));
    assert!(one.params(&reading(), &given(&[("file_id", "f1999")])).is_ok());
    assert!(one.params(&reading(), &given(&[("file_id", "f2000")])).is_err());
}

#[test]
fn a_tool_that_acts_takes_no_parameter_from_an_adapter() {
    for effect in [Effect::Write, Effect::Send, Effect::Delete] {
        let one = minted(effect, &[&["a", "b"]]);
        let denial = one.params(&listing(), &given(&[("folder", "b")])).unwrap_err();
        assert_eq!(denial.class, Class::BadStep);
        let fixed = minted(effect, &[&["a"]]).params(&listing(), &given(&[])).unwrap();
        assert_eq!(fixed[&ident("folder")], "a");
    }
}

#[test]
fn a_long_parameter_is_not_kept_whole() {
    let long = "x".repeat(1 << 20);
    let denial = minted(Effect::Read, &[]).params(&step("get"), &given(&[(&long, "a")])).unwrap_err();
    assert_eq!(denial.value.unwrap().len(), 500);
}

#[test]
fn what_the_vault_saw_is_the_vaults_to_fill() {
    let mut sending = step("send");
    let source =
        ParamSource::Look { look: ident("draft"), at: "/raw".parse().unwrap(), kind: LookedUp::Text };
    sending.params.insert(ident("raw"), source);
    let one = minted(Effect::Read, &[]);
    assert_eq!(one.params(&sending, &given(&[])).unwrap(), BTreeMap::new());
    let denial = one.params(&sending, &given(&[("raw", "mine")])).unwrap_err();
    assert_eq!((denial.class, denial.field.as_deref()), (Class::BadStep, Some("raw")));
}

#[test]
fn it_carries_what_was_permitted_and_nothing_else() {
    let one = minted(Effect::Send, &[&["a"]]);
    assert_eq!(one.tool().to_string(), "drive.act");
    assert_eq!(one.minted().effect, Effect::Send);
    assert_eq!(one.scope().choices(&ident("folder")), Some(["a".to_owned()].into()));
    assert!(one.scope().choices(&ident("label")).is_none() && !one.scope().is_unbounded());
    assert_eq!(one.arguments().iter().count(), 0);
    let given = json!({ "folder_id": "a", "needed": "a" });
    let args = super::world::parse(&super::world::everything(), &given).unwrap();
    let permit = Permit::for_tests("drive.act".parse().unwrap(), args.clone(), Scope::default());
    let other = Capability::mint(permit, one.minted().clone(), &secret());
    assert_eq!(*other.arguments(), args);
    assert!(!one.is_over(999 + LIFE_US) && one.is_over(1_000 + LIFE_US));
}
