//! Random trees: counters against a model, and no end that leaves anything alive below it.

use std::collections::BTreeMap;
use std::sync::Arc;

use claviger_canonical::{Canonical, Claim, Presentation, ProofKey};
use claviger_domain::caveat::Caveat;
use claviger_domain::grant::Handle;
use claviger_domain::id::{GrantId, HandleId};
use proptest::prelude::*;
use serde_json::json;

use super::world::{ADMIN, World, adapter, agent};
use crate::broker::counters::Counter;
use crate::broker::state::{HandleEntry, State};
use crate::port::{Clock, Entropy};

const GET: &str = "gmail.get_message";

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        // Numerical Recipes' linear congruence; its high bits are good enough to pick by.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }
}

/// What the vault should know: each node's parent, limit and count.
#[derive(Default)]
struct Model(BTreeMap<HandleId, (Option<HandleId>, Option<u64>, u64)>);

impl Model {
    fn chain(&self, id: HandleId) -> Vec<HandleId> {
        let mut chain = vec![id];
        while let Some((Some(parent), ..)) = chain.last().and_then(|id| self.0.get(id)) {
            chain.push(*parent);
        }
        chain
    }

    fn charge(&mut self, id: HandleId) -> bool {
        let chain = self.chain(id);
        let room = chain
            .iter()
            .all(|id| self.0.get(id).is_some_and(|(_, most, made)| most.is_none_or(|most| *made < most)));
        if room {
            for id in chain {
                self.0.entry(id).and_modify(|node| node.2 += 1);
            }
        }
        room
    }

    fn end(&mut self, id: HandleId) {
        let gone: Vec<HandleId> =
            self.0.keys().copied().filter(|other| self.chain(*other).contains(&id)).collect();
        self.0.retain(|other, _| !gone.contains(other));
    }
}

async fn get(world: &World, handle: HandleId) -> bool {
    let opened = world.broker.open_handles(&agent("ann"), &[handle]).unwrap();
    let Some(found) = opened.handles.first() else { return false };
    let arguments = Canonical::from_json(&json!({"message_id": "m1"})).unwrap();
    let mut nonce = [0; 12];
    world.entropy.fill(&mut nonce);
    let claim = Claim {
        handle: *handle.as_bytes(),
        tool: GET.parse().unwrap(),
        digest: arguments.digest(),
        issued_at_ms: world.clock.wall_ms(),
        nonce,
        replica: *opened.replica.as_bytes(),
        boot: *opened.boot.as_bytes(),
        approval: None,
    };
    let text = Presentation::sign(&ProofKey::new(*found.proof_key), claim).into_text();
    world.broker.mint(&adapter("gmail"), &text, arguments.bytes()).await.is_ok()
}

#[tokio::test]
async fn counters_do_as_a_model_does_whatever_ends_and_restarts() {
    let mut dice = Dice(7);
    for _ in 0..6 {
        let mut world = World::new().await;
        let most = u64::try_from(dice.below(20) + 5).unwrap();
        let root = world.grant(&[GET], vec![Caveat::Calls(most)]).await.grant.root;
        let mut model = Model::default();
        model.0.insert(root, (None, Some(most), 0));
        let mut all = vec![root];
        for _ in 0..60 {
            let id = all[dice.below(all.len())];
            match dice.below(10) {
                0..=2 => {
                    let most = (dice.below(3) > 0).then(|| u64::try_from(dice.below(9) + 1).unwrap());
                    let caveats = most.map(Caveat::Calls).into_iter().collect();
                    let made = world.broker.narrow(&agent("ann"), id, caveats, String::new()).await;
                    assert_eq!(made.is_ok(), model.0.contains_key(&id) && model.chain(id).len() <= 8);
                    if let Ok(child) = made {
                        model.0.insert(child.id, (Some(id), most, 0));
                        all.push(child.id);
                    }
                }
                3 if id != root => {
                    let there = model.0.contains_key(&id);
                    if dice.below(2) == 0 {
                        assert_eq!(world.broker.release_handle(&agent("ann"), id).await.is_ok(), there);
                    } else {
                        assert_eq!(world.broker.revoke_handle(ADMIN, id).await.is_ok(), there);
                    }
                    model.end(id);
                }
                4 if dice.below(3) == 0 => world.restart().await,
                _ => assert_eq!(get(&world, id).await, model.charge(id)),
            }
        }
        let view = world.broker.grants(None, false).unwrap().remove(0);
        assert_eq!(view.calls_made, model.0[&root].2);
        let live: Vec<HandleId> = view.children.iter().map(|child| child.handle.id).collect();
        assert_eq!(live.len() + 1, model.0.len());
        assert!(live.iter().all(|id| model.0.contains_key(id)));
        for child in view.children {
            let (_, most, made) = model.0[&child.handle.id];
            assert_eq!(child.calls_made, if most.is_some() { made } else { 0 });
        }
    }
}

/// A tree as the places of parents: each hangs from one that was made before.
fn tree() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(any::<prop::sample::Index>(), 1..40)
        .prop_map(|at| at.iter().enumerate().map(|(own, at)| at.index(own + 1)).collect())
}

fn id(at: usize) -> HandleId {
    let mut bytes = [0; 16];
    bytes[0] = u8::try_from(at).unwrap();
    HandleId::from_bytes(bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_end_leaves_anything_alive_below_it(parents in tree(), ends in prop::collection::vec(any::<prop::sample::Index>(), 1..5)) {
        let mut state = State::default();
        let mut above: Vec<Vec<HandleId>> = vec![Vec::new()];
        for (own, parent) in parents.iter().enumerate() {
            let mut ancestors = vec![id(*parent)];
            ancestors.extend(&above[*parent]);
            above.push(ancestors);
            prop_assert!(*parent <= own);
        }
        for (at, ancestors) in above.iter().enumerate() {
            let handle = Handle {
                id: id(at),
                grant: GrantId::from_bytes([1; 8]),
                ancestors: ancestors.clone(),
                caveats: Vec::new(),
                label: String::new(),
                task: false,
                created_at_ms: 0,
            };
            state.handles.insert(Arc::new(HandleEntry { handle, counter: Counter::default() }));
        }
        for end in ends {
            let ended = id(end.index(above.len()));
            let before = state.handles.len();
            let gone = state.forget_subtree(ended);
            prop_assert_eq!(before - gone.len(), state.handles.len());
            for entry in state.handles.iter() {
                let own = entry.handle.id;
                prop_assert!(own != ended && !entry.handle.ancestors.contains(&ended));
                prop_assert!(state.chain(own).is_some(), "what is left hangs together");
            }
            for own in gone.iter().map(|entry| entry.handle.id) {
                prop_assert!(state.chain(own).is_none());
                let at = usize::from(own.as_bytes()[0]);
                prop_assert!(own == ended || above[at].contains(&ended), "and nothing else goes");
            }
        }
        // The store is told of all that ended, but for a root, which goes with its grant.
        for own in state.ended.keys() {
            prop_assert!(!state.handles.contains(*own) && *own != id(0));
        }
    }
}
