//! Names that an owner writes: what they are looked up by, and what is told where they are none.

use claviger_domain::caveat::{Caveat, ResourceBound};
use serde_json::json;

use super::boxes::boxes;
use super::fakes::Door;
use super::upstream::json as answer;
use super::world::{World, within};
use crate::broker::error::AdminError;
use crate::broker::view::GrantView;

const GET: &str = "gmail.get_message";

fn named(name: &str) -> Caveat {
    Caveat::Resource(ResourceBound {
        resource: "label".parse().unwrap(),
        ids: vec![name.to_owned()],
        shown: Vec::new(),
        nested: false,
    })
}

fn invalid(result: Result<GrantView, AdminError>) -> (String, Vec<String>) {
    match result {
        Err(AdminError::Invalid { why, hints }) => (why, hints),
        other => panic!("{other:?}"),
    }
}

/// A world whose mail has labels of these names.
async fn labels(names: impl IntoIterator<Item = String>) -> World {
    let world = World::new().await;
    let labels = names.into_iter().enumerate().map(|(n, name)| (format!("Label_{n}"), name));
    world.google.lock().unwrap().labels = labels.collect();
    world
}

#[tokio::test]
async fn who_names_what_is_not_there_is_told_what_is() {
    let few = labels(["Work".to_owned(), "Home".to_owned()]).await;
    let (why, hints) = invalid(few.try_grant("ann", &[GET], vec![named("work")]).await);
    assert!(why.contains("called work"), "{why}");
    assert_eq!(hints, ["there are: Work, Home"]);
    // Some services list only what has the very name.
    let none = labels([]).await;
    let (_, hints) = invalid(none.try_grant("ann", &[GET], vec![named("Work")]).await);
    assert_eq!(hints, ["names are exact; or give its id, as id:…"]);
    // As many as can be read, and how many there are.
    for count in [50, 51, 120] {
        let many = labels((0..count).map(|n| format!("L{n}"))).await;
        let (_, hints) = invalid(many.try_grant("ann", &[GET], vec![named("Work")]).await);
        assert_eq!(hints[0].contains(&format!("there are {count}, among them")), count > 50, "{hints:?}");
        assert_eq!(hints[0].matches(", L").count(), 49, "{hints:?}");
    }
}

#[tokio::test]
async fn who_bounds_by_what_a_service_does_not_have_is_told_what_it_has() {
    let boxes = boxes(&[]).await;
    let label = || vec![within("label", &["x"])];
    let (why, hints) = invalid(boxes.world.try_grant("ann", &["box.read"], label()).await);
    assert_eq!(
        (why.as_str(), hints),
        ("box has no label", vec!["its tools can be bounded by folder".to_owned()])
    );
    let (why, hints) = invalid(boxes.world.try_grant("ann", &["nas.read"], label()).await);
    assert_eq!(why, "nas has no label");
    assert_eq!(hints, ["`claviger services nas` shows what its tools can be bounded by"]);
}

/// A look under an admin's command is a use like any other, and only an answer of success names anything.
#[tokio::test]
async fn a_name_is_not_taken_from_a_failed_or_an_unrecorded_answer() {
    let world = World::new().await;
    world.audit.break_door(Door::OutcomeQueued);
    let unrecorded = world.try_grant("ann", &[GET], vec![named("AI")]).await;
    assert!(unrecorded.is_err(), "{unrecorded:?}");
    world.audit.mend();
    for status in [500, 403, 203] {
        let google = super::google::serve(&world.google);
        world.upstream.answer_with(move |seen| match seen.is_token() {
            true => google(seen),
            false => answer(status, &json!({ "labels": [{ "id": "Label_evil", "name": "AI" }] })),
        });
        let failed = world.try_grant("ann", &[GET], vec![named("AI")]).await;
        assert!(matches!(failed, Err(AdminError::Upstream { .. })), "{status} {failed:?}");
    }
    assert!(world.broker.grants(None, true).unwrap().is_empty());
    world.upstream.answer_with(super::google::serve(&world.google));
    let view = world.try_grant("ann", &[GET], vec![named("AI")]).await.unwrap();
    let Caveat::Resource(bound) = &view.grant.caveats[0] else { panic!("{:?}", view.grant.caveats) };
    assert_eq!(bound.ids, ["Label_ai"]);
}
