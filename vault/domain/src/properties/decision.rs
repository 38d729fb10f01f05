//! The one decision, rule by rule: each refuses alone.

use std::collections::BTreeMap;

use claviger_canonical::{Canonical, Claim, Digest, Presentation, ProofKey, Verified};
use serde_json::{Value, json};

use super::world::{everything, ident};
use crate::caveat::{Bound, Caveat};
use crate::grant::{Approve, Grant, GrantedTool, Handle, State};
use crate::id::{GrantId, HandleId};
use crate::name::AdapterName;
use crate::origin::Pin;
use crate::permit::{Permit, Question, counters, decide};
use crate::rate::Rate;
use crate::refusal::{Class, Denial};
use crate::tool::{Auth, Definition, Service};

const NOW: u64 = 1_800_000_000_000;

struct Case {
    adapter: AdapterName,
    frozen: bool,
    handle: Handle,
    grant: Grant,
    service: Service,
    tool: &'static str,
    claimed: Value,
    given: Value,
    claimed_handle: [u8; 16],
}

fn case() -> Case {
    let tool = everything();
    let (grant, handle) = (GrantId::from_bytes([1; 8]), HandleId::from_bytes([2; 16]));
    let given = json!({ "folder_id": "a", "needed": "a" });
    Case {
        adapter: "drive".parse().unwrap(),
        frozen: false,
        handle: Handle {
            id: handle,
            grant,
            ancestors: Vec::new(),
            caveats: Vec::new(),
            label: String::new(),
            task: false,
            created_at_ms: 0,
        },
        grant: Grant {
            id: grant,
            agent: "bot".parse().unwrap(),
            secret: "drive/me".parse().unwrap(),
            tools: vec![GrantedTool {
                name: tool.name.clone(),
                effect: tool.effect,
                definition: tool.definition,
            }],
            caveats: Vec::new(),
            expires_at_ms: Some(NOW + 1),
            approve: Approve::Default,
            created_at_ms: 0,
            state: State::Active,
            root: handle,
            deny: false,
            trusted_sink: false,
            name: None,
            lasts_s: None,
        },
        service: Service {
            id: "drive".parse().unwrap(),
            title: "Drive".to_owned(),
            pin: Pin { origins: vec!["https://x.example".parse().unwrap()], private: false, roots_pem: None },
            auth: Auth::None,
            resources: BTreeMap::new(),
            steps: BTreeMap::new(),
            tools: BTreeMap::from([(tool.name.tool().clone(), tool)]),
        },
        tool: "drive.act",
        claimed: given.clone(),
        given,
        claimed_handle: [2; 16],
    }
}

fn verified(handle: [u8; 16], tool: &str, digest: Digest) -> Verified {
    let key = ProofKey::new([9; 32]);
    let claim = Claim {
        handle,
        tool: tool.parse().unwrap(),
        digest,
        issued_at_ms: NOW,
        nonce: [0; 12],
        replica: [0; 8],
        boot: [0; 16],
        approval: None,
    };
    Presentation::parse(Presentation::sign(&key, claim).as_str()).unwrap().verify(&key).unwrap()
}

impl Case {
    fn decide(&self) -> Result<Permit, Denial> {
        let question = Question {
            now_ms: NOW,
            adapter: &self.adapter,
            frozen: self.frozen,
            handle: &self.handle,
            grant: &self.grant,
            service: &self.service,
            ancestors: &[],
        };
        let digest = Canonical::from_json(&self.claimed).unwrap().digest();
        decide(
            &question,
            &verified(self.claimed_handle, self.tool, digest),
            &Canonical::from_json(&self.given).unwrap(),
        )
    }
}

fn refused(change: impl FnOnce(&mut Case), class: Class, field: Option<&str>) {
    let mut case = case();
    change(&mut case);
    let denial = case.decide().expect_err("refused");
    assert_eq!((denial.class, denial.field.as_deref()), (class, field), "{denial:?}");
}

#[test]
fn a_call_within_all_rules_is_allowed() {
    let (tool, arguments, scope) = case().decide().unwrap().consume();
    assert_eq!(tool.to_string(), "drive.act");
    assert_eq!(arguments.get(&ident("folder_id")).unwrap().texts(), ["a"]);
    assert!(scope.is_unbounded());
}

#[test]
fn each_rule_refuses_alone() {
    refused(|case| case.adapter = "gmail".parse().unwrap(), Class::BadPresentation, Some("adapter"));
    refused(|case| case.frozen = true, Class::Frozen, Some("agent"));
    refused(|case| case.grant.state = State::Revoked { at_ms: 1 }, Class::Revoked, Some("grant"));
    refused(|case| case.grant.expires_at_ms = Some(NOW), Class::Revoked, Some("expires"));
    refused(|case| case.claimed_handle = [3; 16], Class::BadPresentation, Some("handle"));
    refused(|case| case.handle.grant = GrantId::from_bytes([4; 8]), Class::BadPresentation, Some("handle"));
    refused(
        |case| case.given = json!({ "folder_id": "b", "needed": "a" }),
        Class::BadPresentation,
        Some("digest"),
    );
    refused(|case| case.tool = "drive.other", Class::NotGranted, Some("tool"));
    refused(|case| case.tool = "gmail.act", Class::NotGranted, Some("tool"));
    refused(|case| case.grant.tools.clear(), Class::NotGranted, Some("tool"));
    refused(|case| case.grant.tools[0].definition = Definition([8; 32]), Class::ToolChanged, Some("tool"));
    refused(|case| case.service.tools.clear(), Class::ToolChanged, Some("tool"));
    refused(
        |case| {
            case.given = json!({ "folder_id": "a", "needed": "a", "x": 1 });
            case.claimed = case.given.clone();
        },
        Class::BadArguments,
        None,
    );
    let absent = || Caveat::Argument(ident("folder_id"), Bound::Absent);
    refused(|case| case.grant.caveats.push(absent()), Class::OutOfScope, Some("folder_id"));
    refused(|case| case.handle.caveats.push(absent()), Class::OutOfScope, Some("folder_id"));
}

#[test]
fn a_secret_never_serves_another_services_tool() {
    refused(|case| case.grant.secret = "gmail/me".parse().unwrap(), Class::NotGranted, Some("tool"));
    refused(
        |case| {
            case.tool = "gmail.act";
            case.grant.tools[0].name = "gmail.act".parse().unwrap();
        },
        Class::NotGranted,
        Some("tool"),
    );
}

#[test]
fn a_child_handle_is_refused_while_its_parents_bounds_are_not_asked() {
    refused(
        |case| case.handle.ancestors.push(HandleId::from_bytes([5; 16])),
        Class::BadPresentation,
        Some("handle"),
    );
}

#[test]
fn every_rate_is_charged_and_the_least_of_all_calls() {
    let rate = |count| Caveat::Rate(Rate::new(count, 60).unwrap());
    let list = [rate(1), Caveat::Calls(5), rate(2), Caveat::Calls(3), Caveat::Calls(9)];
    let (rates, calls) = counters(list.iter());
    assert_eq!(rates.iter().map(|rate| rate.count()).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(calls, Some(3));
    assert_eq!(counters([].iter()), (Vec::new(), None));
}
