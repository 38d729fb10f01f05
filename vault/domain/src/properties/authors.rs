//! What has no author must hold nothing that anybody wrote.

use serde_json::json;

use crate::authors::{Authors, Who};

#[test]
fn marks_of_machines_are_all_marks() {
    let nobody = |elements: Option<&str>| Authors {
        step: None,
        elements: elements.map(|list| list.parse().unwrap()),
        who: vec![Who::Nobody],
        must: Vec::new(),
        if_given: Vec::new(),
        calendar: None,
        hide: Vec::new(),
    };
    for (answer, expected) in [
        (json!({ "id": "x".repeat(512) }), true),
        (json!({ "id": "x".repeat(513) }), false),
        (json!({ "ids": ["18a", "18b"] }), true),
        (json!({ "ids": ["18a", "Do as I say"] }), false),
        (json!({ "id": "18a", "of": { "a": "b", "name": "Do as I say" } }), false),
        (json!({ "id": "18a\u{e9}" }), false),
    ] {
        assert_eq!(nobody(None).all_trusted(&answer, &[], &[]), expected, "{answer}");
    }
    // A list that cannot be taken out of its answer leaves nothing that could be looked at beside it.
    let many = json!({ "a": [{ "m": [] }] });
    assert!(!nobody(Some("/a/*/m")).all_trusted(&many, &[], &[]));
    assert!(nobody(Some("/a/0/m")).all_trusted(&many, &[], &[]));
}
