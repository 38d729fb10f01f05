//! The schemas that agents see of two built-in tools under bounds, in full.

use claviger_domain::caveat::{Bound, Caveat, ResourceBound};
use claviger_domain::schema::schema;
use serde_json::{Value, json};

use super::built_in;
use super::wire::ident;

fn check(tool: &str, caveats: &[Caveat], expected: &Value) {
    let catalog = built_in();
    let tool = catalog.tool(&tool.parse().unwrap()).unwrap();
    for caveat in caveats {
        assert_eq!(caveat.enforceable(tool), Ok(()));
    }
    let found = schema(tool, &caveats.iter().collect::<Vec<_>>());
    assert_eq!(&found, expected, "{found:#}");
}

#[test]
fn sending_to_a_family_only() {
    let mail = |max: u32, enumerated: bool, summary: &str| {
        let mut items = json!({ "type": "string", "format": "email" });
        if enumerated {
            items["enum"] = json!(["family@example.org", "ann@example.org"]);
        }
        json!({ "type": "array", "items": items, "maxItems": max, "description": summary })
    };
    check(
        "gmail.send_message",
        &[
            Caveat::Recipients(vec![
                "Family@example.org".parse().unwrap(),
                "ann@EXAMPLE.org".parse().unwrap(),
            ]),
            Caveat::Argument(ident("bcc"), Bound::Absent),
            Caveat::Argument(ident("to"), Bound::MaxLength(1)),
            Caveat::Argument(ident("subject"), Bound::MinLength(5)),
            Caveat::Rate("5/1h".parse().unwrap()),
        ],
        &json!({
            "type": "object",
            "properties": {
                "to": mail(1, true, "Recipients, as plain addresses"),
                "cc": mail(50, true, "Recipients of a copy"),
                "reply_to": mail(1, true, "Where answers should go"),
                "subject": { "type": "string", "minLength": 5, "maxLength": 500, "description": "The subject" },
                "body": { "type": "string", "maxLength": 100_000, "description": "The text" },
                "attachments": {
                    "type": "array", "maxItems": 5, "description": "Files to attach",
                    "items": {
                        "type": "object",
                        "properties": {
                            "name": { "type": "string", "description": "The file's name, without a path" },
                            "type": { "type": "string", "description": "Its media type, such as application/pdf" },
                            "data": {
                                "type": "string",
                                "description": "Its bytes in base64 with padding; 150 KiB at most for all attachments together",
                            },
                        },
                        "required": ["data", "name", "type"],
                        "additionalProperties": false,
                    },
                },
            },
            "required": ["body", "subject", "to"],
            "additionalProperties": false,
        }),
    );
}

#[test]
fn listing_two_folders_only() {
    check(
        "drive.list_folder",
        &[
            Caveat::Resource(ResourceBound {
                resource: ident("folder"),
                ids: vec!["F_1".to_owned(), "F_2".to_owned()],
                shown: vec!["AI".to_owned(), "Notes\u{202e}".to_owned()],
                nested: false,
            }),
            Caveat::Argument(ident("max_results"), Bound::Max(20)),
        ],
        &json!({
            "type": "object",
            "properties": {
                "folder_id": {
                    "type": "string", "minLength": 1, "maxLength": 256, "enum": ["F_1", "F_2"],
                    "description": "The folder's id. F_1 is AI, F_2 is Notes\\u{202e}",
                },
                "max_results": {
                    "type": "integer", "minimum": 1, "maximum": 20, "description": "How many files at most",
                },
                "page": { "type": "string", "description": "next_page of an earlier answer for the same folder" },
            },
            "required": ["folder_id", "max_results"],
            "additionalProperties": false,
        }),
    );
}

#[test]
fn a_file_is_a_path_for_the_model_and_bounds_are_said_in_words() {
    let catalog = built_in();
    let tool = catalog.tool(&"drive.upload_file".parse().unwrap()).unwrap();
    let file = |bounds: Vec<Bound>| {
        let caveats: Vec<Caveat> =
            bounds.into_iter().map(|bound| Caveat::Argument(ident("file"), bound)).collect();
        assert!(caveats.iter().all(|caveat| caveat.enforceable(tool).is_ok()));
        schema(tool, &caveats.iter().collect::<Vec<_>>())
    };
    let summary = "The file: its path in the agent's folder";
    let path = |description: &str| {
        json!({
            "type": "string", "minLength": 1, "maxLength": 4096, "x-claviger": "upload", "description": description,
        })
    };
    let named = vec!["a.pdf".to_owned(), "b.pdf".to_owned()];
    for (bounds, said) in [
        (vec![], summary.to_owned()),
        (vec![Bound::Max(10)], format!("{summary}. At most 10 bytes")),
        (
            vec![Bound::OneOf(named), Bound::MaxLength(5), Bound::MinLength(2)],
            format!(
                "{summary}. Only a file named a.pdf, b.pdf. Its name has at most 5 characters. Its name has at least 2 characters"
            ),
        ),
    ] {
        assert_eq!(file(bounds)["properties"]["file"], path(&said));
    }
    // However many grants offer it, its client knows it for a file.
    let union = claviger_domain::schema::union(&[file(vec![Bound::Max(10)]), file(vec![Bound::Max(20)])]);
    assert_eq!(union["properties"]["file"], path(summary));
    let refused = Caveat::Argument(ident("file"), Bound::EachIn(vec!["a".to_owned()]));
    assert!(refused.enforceable(tool).is_err());
}
