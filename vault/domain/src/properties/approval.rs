//! An approval is for one exact call, and for no other; and when a person is asked.

use std::collections::BTreeSet;

use claviger_canonical::Digest;
use proptest::prelude::*;

use serde_json::json;

use super::scope::labelling;
use super::world::{everything, ident, parse};
use crate::approval::{
    Approval, Asking, CALL_LIFE_MS, Call, Event, Kind, Reach, State, Why, cool_down_ms, due,
};
use crate::effect::Effect;
use crate::grant::Approve;
use crate::id::{ApprovalId, GrantId, HandleId};
use crate::refusal::Class;
use crate::seen::{Party, Seen};
use crate::step::{Check, Probe};
use crate::tool::{Definition, Tool};

fn call() -> Call {
    Call {
        agent: "ann".parse().unwrap(),
        grant: GrantId::from_bytes([1; 8]),
        handle: HandleId::from_bytes([2; 16]),
        secret: "gmail/me".parse().unwrap(),
        secret_version: 3,
        tool: "gmail.send_message".parse().unwrap(),
        definition: Definition([4; 32]),
        digest: Digest::of(b"arguments"),
        seen: Some([5; 32]),
    }
}

fn approval(written: State) -> Approval {
    Approval {
        id: ApprovalId::from_bytes([9; 16]),
        kind: Kind::Call,
        agent: "ann".parse().unwrap(),
        call: Some(call()),
        written,
        created_at_ms: 1_000,
        expires_at_ms: 1_000 + CALL_LIFE_MS,
        why: String::new(),
    }
}

proptest! {
    /// Whatever one bound thing is changed to, the approval covers the call no more.
    #[test]
    fn no_other_call_passes(which in 0..9_usize, byte in 0..32_usize, bit in 0..8_u32, number in any::<u32>()) {
        let mut other = call();
        let flip = |bytes: &mut [u8]| { let at = byte % bytes.len(); bytes[at] ^= 1 << bit; };
        match which {
            0 => other.agent = "bob".parse().unwrap(),
            1 => { let mut id = [1; 8]; flip(&mut id); other.grant = GrantId::from_bytes(id); }
            2 => { let mut id = [2; 16]; flip(&mut id); other.handle = HandleId::from_bytes(id); }
            3 => other.secret = "gmail/you".parse().unwrap(),
            4 => { prop_assume!(number != 3); other.secret_version = number; }
            5 => other.tool = "gmail.send_draft".parse().unwrap(),
            6 => flip(&mut other.definition.0),
            7 => other.digest = Digest::of(&number.to_be_bytes()),
            _ => { let mut seen = [5; 32]; flip(&mut seen); other.seen = (number % 2 == 0).then_some(seen); }
        }
        prop_assert!(approval(State::Approved).covers(&other, 2_000).is_err());
        prop_assert!(approval(State::Approved).covers(&call(), 2_000).is_ok());
    }

    /// Only a yes covers, and only within its time.
    #[test]
    fn only_a_yes_in_time(state in 0..5_usize, now in 0..(3 * CALL_LIFE_MS)) {
        let state = State::ALL[state];
        let covered = approval(state).covers(&call(), now).is_ok();
        prop_assert_eq!(covered, state == State::Approved && now < 1_000 + CALL_LIFE_MS);
    }

    /// Once over, always over: no event brings one back, and one is used once at most.
    #[test]
    fn states_only_go_on(events in proptest::collection::vec(0..3_usize, 0..12), step in 0..(CALL_LIFE_MS / 3)) {
        let mut one = approval(State::Pending);
        let (mut now, mut used, mut over) = (1_000, 0, false);
        for event in events {
            let event = [Event::Yes, Event::No, Event::Use][event];
            now += step;
            over |= one.state(now).is_over();
            if let Ok(next) = one.after(event, now) {
                prop_assert!(!over);
                used += u32::from(event == Event::Use);
                one.written = next;
            }
        }
        prop_assert!(used <= 1);
    }

    /// Knowing more never asks more, and taint never asks less.
    #[test]
    fn asking_is_monotone(
        approve in 0..5_usize, effect in 0..4_usize, tainted in any::<bool>(), sink in any::<bool>(),
        reaches in proptest::collection::btree_set(0..4_u8, 0..4), known in proptest::collection::btree_set(0..4_u8, 0..4),
        unknown in any::<bool>(),
    ) {
        let mut reaches: BTreeSet<Reach> =
            reaches.into_iter().map(|n| Reach::Place("label".to_owned(), n.to_string())).collect();
        if unknown {
            reaches.insert(Reach::Unknown);
        }
        let known: BTreeSet<String> = known.into_iter().map(|n| format!("label:{n}")).collect();
        let none = BTreeSet::new();
        let asking = Asking {
            approve: Approve::ALL[approve], effect: Effect::ALL[effect], tainted, trusted_sink: sink, task: false,
            reaches: &reaches, known: &known,
        };
        if due(&asking).is_some() {
            let others = [
                Asking { known: &none, ..asking },
                Asking { tainted: true, ..asking },
                Asking { trusted_sink: false, ..asking },
            ];
            prop_assert!(others.iter().all(|other| due(other).is_some()));
        }
        prop_assert_eq!(due(&Asking { task: true, ..asking }), None);
        // Who cannot be named is new each time.
        if unknown && asking.approve == Approve::New && !asking.effect.is_read() {
            prop_assert!(due(&asking).is_some());
        }
    }
}

#[test]
fn each_mode_asks_for_what_it_says() {
    use Approve::{Always, Default, Never, New, Tainted};
    use Effect::{Delete, Read, Send, Write};
    let to = BTreeSet::from([Reach::Person("a@example.org".to_owned())]);
    let known = BTreeSet::from(["to:a@example.org".to_owned()]);
    let (empty, nowhere) = (BTreeSet::new(), BTreeSet::new());
    let base = |approve, effect| Asking {
        approve,
        effect,
        tainted: false,
        trusted_sink: false,
        task: false,
        reaches: &to,
        known: &empty,
    };
    for (asking, asked) in [
        (base(Default, Read), false),
        (base(Default, Write), false),
        (base(Default, Send), true),
        (base(Default, Delete), true),
        (base(Never, Delete), false),
        (base(Always, Read), true),
        (base(Tainted, Send), false),
        (Asking { tainted: true, ..base(Tainted, Write) }, true),
        (Asking { tainted: true, ..base(Tainted, Read) }, false),
        (Asking { tainted: true, trusted_sink: true, ..base(Tainted, Send) }, false),
        (Asking { tainted: true, trusted_sink: true, ..base(Tainted, Delete) }, true),
        (Asking { tainted: true, trusted_sink: true, ..base(Default, Send) }, true),
        (base(New, Send), true),
        (base(New, Read), false),
        (Asking { known: &known, ..base(New, Send) }, false),
        (Asking { reaches: &nowhere, ..base(New, Delete) }, true),
        (Asking { reaches: &nowhere, ..base(New, Write) }, false),
        (Asking { task: true, ..base(Always, Send) }, false),
    ] {
        assert_eq!(due(&asking).is_some(), asked, "{asking:?}");
    }
    assert_eq!(due(&base(New, Send)), Some(Why::New(vec!["to:a@example.org".to_owned()])));
}

#[test]
fn what_changed_since_is_asked_anew_and_what_differs_is_refused() {
    let class = |other: &Call| approval(State::Approved).covers(other, 2_000).unwrap_err().class;
    assert_eq!(class(&Call { secret_version: 4, ..call() }), Class::Pending);
    assert_eq!(class(&Call { seen: None, ..call() }), Class::Pending);
    assert_eq!(class(&Call { definition: Definition([0; 32]), ..call() }), Class::ToolChanged);
    assert_eq!(class(&Call { digest: Digest::of(b"x"), ..call() }), Class::BadPresentation);
    for kind in [Kind::Task, Kind::Grant, Kind::Question] {
        let other = Approval { kind, ..approval(State::Approved) };
        assert_eq!(other.covers(&call(), 2_000).unwrap_err().class, Class::BadPresentation);
        // An answer that was given stays given.
        assert_eq!(other.state(u64::MAX), State::Approved);
    }
}

#[test]
fn an_approval_of_another_agents_covers_nothing() {
    let other = Approval { agent: "bob".parse().unwrap(), ..approval(State::Approved) };
    assert_eq!(other.covers(&call(), 2_000).unwrap_err().class, Class::BadPresentation);
    assert_eq!(
        other.covers(&Call { agent: other.agent.clone(), ..call() }, 2_000).unwrap_err().class,
        Class::BadPresentation
    );
}

#[test]
fn an_approval_ends_at_its_moment() {
    let at = |now| approval(State::Approved).state(now);
    assert_eq!(at(1_000 + CALL_LIFE_MS - 1), State::Approved);
    assert_eq!(at(1_000 + CALL_LIFE_MS), State::Expired);
    let class = |state, now| approval(state).covers(&call(), now).unwrap_err().class;
    assert_eq!(class(State::Approved, 1_000 + CALL_LIFE_MS), Class::BadPresentation);
    assert_eq!(class(State::Pending, 1_000), Class::Pending);
    assert_eq!(class(State::Denied, 1_000), Class::Denied);
    assert_eq!(class(State::Done, 1_000), Class::BadPresentation);
    let over = State::ALL.map(State::is_over);
    assert_eq!(over, [false, false, true, true, true]);
}

#[test]
fn words_and_states_are_one() {
    for kind in Kind::ALL {
        assert_eq!(Kind::from_word(kind.as_str()), Some(kind));
    }
    for state in State::ALL {
        assert_eq!(State::from_word(state.as_str()), Some(state));
    }
    assert_eq!(Kind::ALL.map(Kind::as_str), ["call", "task", "grant", "question"]);
    assert_eq!(State::ALL.map(State::as_str), ["pending", "approved", "denied", "expired", "done"]);
    for word in ["", "Call", "pending ", "yes"] {
        assert_eq!((Kind::from_word(word), State::from_word(word)), (None, None));
    }
}

#[test]
fn a_person_is_told_why() {
    for (why, part) in [
        (Why::Effect(Effect::Delete), "destroys"),
        (Why::Effect(Effect::Send), "reach somebody else"),
        (Why::Tainted, "what strangers can write"),
        (Why::New(vec!["to:a@b.cd".to_owned(), "host:b.cd".to_owned()]), "to:a@b.cd, host:b.cd"),
        (Why::Unnamed, "cannot be told"),
        (Why::Always, "each time"),
    ] {
        assert!(why.to_string().contains(part), "{why}");
    }
}

/// Whatever of a call could lead somewhere is among what it reaches: with `approve = "new"` nothing else is asked for.
#[test]
fn all_that_a_call_reaches_is_told() {
    let mut tool = everything();
    let given = json!({
        "folder_id": "F1", "needed": "a", "boxes": ["b1", "b2"], "to": ["Ann@B.cd"], "cc": [], "ids": ["i1"],
        "url": "https://Host.example/x", "line": "l", "path": "a",
    });
    let args = parse(&tool, &given).unwrap();
    let seen = Seen {
        people: vec![Party::Address("Bob@x.yz".parse().unwrap()), Party::Unknown],
        ..Seen::nothing(Effect::Read)
    };
    let texts = |tool: &Tool, seen: &Seen| -> Vec<String> {
        Reach::of(tool, &args, seen).iter().map(|to| to.to_text().unwrap_or_else(|| "?".to_owned())).collect()
    };
    let nothing = Seen::nothing(Effect::Read);
    let named = ["to:ann@b.cd", "host:host.example", "folder:F1", "folder:b1", "folder:b2", "path:a"];
    assert_eq!(texts(&tool, &nothing), named);
    assert_eq!(
        texts(&tool, &seen),
        [
            "to:ann@b.cd",
            "to:bob@x.yz",
            "host:host.example",
            "folder:F1",
            "folder:b1",
            "folder:b2",
            "path:a",
            "?"
        ]
    );
    // What a step would add to the object is somewhere too.
    let probe = Probe { add: Some(ident("ids")), ..labelling().1 };
    tool.steps[0].checks.insert(ident("label"), Check { probe: Some(probe), ..Check::default() });
    assert!(texts(&tool, &nothing).contains(&"label:i1".to_owned()));
    // Recipients that are no addresses could be anybody.
    tool.steps[0].recipients.push(ident("line"));
    assert_eq!(texts(&tool, &nothing).last().map(String::as_str), Some("?"));
}

#[test]
fn denials_cool_down_longer_and_longer() {
    let minutes: Vec<u64> = [1, 2, 3, 4, 5, 100, u32::MAX].map(|n| cool_down_ms(n) / 60_000).to_vec();
    assert_eq!(minutes, [5, 10, 20, 40, 60, 60, 60]);
}
