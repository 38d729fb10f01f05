//! Google Drive: files as they can be read.
//!
//! | tool | structured content |
//! |---|---|
//! | `search_files`, `list_folder` | `files: [`file`]`, `next_page` or `next_pages: [{folder, page}]` |
//! | `get_file_metadata` | a file, with `created`, `description` and `link` where Drive told them |
//! | `read_file` | a file, and [`read`]: `content` (`text` or `blob`), `text` |
//! | `create_file` | a file |
//!
//! A file has `id`, `name`, `mime_type`, `size` (bytes; `null` for Google's own formats), `modified` (RFC 3339),
//! `parents`, `shared` (`null` where it was not told) and `folder`.

pub mod read;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use crate::call::Call;
use crate::failure::{Failure, Refused};
use crate::service::listing::{Listing, gather, tell_pages};
use crate::service::{Service, Shaped};
use crate::text::clean;

/// The MIME type of folders.
const FOLDER: &str = "application/vnd.google-apps.folder";

/// The module of Google Drive.
pub struct Drive;

impl Service for Drive {
    fn run<'a>(&'a self, tool: &'a str, call: &'a Call) -> BoxFuture<'a, Result<Shaped, Failure>> {
        async move {
            match tool {
                "search_files" => {
                    let several = call.choices("folder").is_some_and(|ids| ids.len() > 1);
                    Ok(list(gather(call, "list", "folder", "files").await?, several))
                }
                // The folder is an argument here: the vault has checked it, there is nothing to choose.
                "list_folder" => Ok(list(one_list(call).await?, false)),
                "get_file_metadata" => metadata(&call.json("get", &[]).await?),
                "read_file" => read::run(call).await,
                "create_file" => created(&call.json("create", &[]).await?),
                // A tool that an admin added in an overriding catalog file.
                _ => crate::generic::Generic.run(tool, call).await,
            }
        }
        .boxed()
    }
}

async fn one_list(call: &Call) -> Result<Listing, Failure> {
    let mut answer = call.json("list", &[]).await?;
    let page = answer.get("nextPageToken").and_then(Value::as_str).map(|page| (None, page.to_owned()));
    let items = match answer.get_mut("files").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    Ok(Listing { items, pages: page.into_iter().collect(), sent: 1 })
}

/// A member as one line of text; empty if there is none.
fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).map(|text| clean::line(text, 1000)).unwrap_or_default()
}

/// The size in bytes: Drive writes 64-bit numbers as text.
fn size(file: &Value) -> Option<u64> {
    match file.get("size")? {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_u64(),
        _ => None,
    }
}

/// A file in our words.
fn file(file: &Value) -> Map<String, Value> {
    let parents = file.get("parents").and_then(Value::as_array);
    let parents: Vec<String> =
        parents.into_iter().flatten().filter_map(Value::as_str).map(|id| clean::line(id, 200)).collect();
    let mime_type = text(file, "mimeType");
    Map::from_iter([
        ("id".to_owned(), text(file, "id").into()),
        ("name".to_owned(), text(file, "name").into()),
        ("folder".to_owned(), (mime_type == FOLDER).into()),
        ("mime_type".to_owned(), mime_type.into()),
        ("size".to_owned(), size(file).into()),
        ("modified".to_owned(), text(file, "modifiedTime").into()),
        ("parents".to_owned(), parents.into()),
        ("shared".to_owned(), file.get("shared").and_then(Value::as_bool).into()),
    ])
}

/// One line about a file.
fn describe(file: &Map<String, Value>) -> String {
    let line = |name: &str| file.get(name).and_then(Value::as_str).unwrap_or_default();
    let kind = if file.get("folder") == Some(&Value::Bool(true)) { "folder" } else { line("mime_type") };
    let size =
        file.get("size").and_then(Value::as_u64).map(|size| format!(", {size} bytes")).unwrap_or_default();
    let shared = if file.get("shared") == Some(&Value::Bool(true)) { ", shared" } else { "" };
    let modified = line("modified");
    let changed = if modified.is_empty() { String::new() } else { format!(", changed {modified}") };
    format!("{} (id {}, {kind}{size}{changed}{shared})", line("name"), line("id"))
}

fn list(listing: Listing, several: bool) -> Shaped {
    let files: Vec<Map<String, Value>> = listing.items.iter().map(file).collect();
    let mut text = match files.len() {
        0 => "No files.".to_owned(),
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    };
    for file in &files {
        text.push('\n');
        text.push_str(&describe(file));
    }
    let files: Vec<Value> = files.into_iter().map(Value::Object).collect();
    let mut structured = Map::from_iter([("files".to_owned(), Value::Array(files))]);
    let more = tell_pages(listing.pages, several, "folder", &mut structured);
    text.push_str(&more);
    Shaped::new(structured, text)
}

fn metadata(answer: &Value) -> Result<Shaped, Failure> {
    let mut told = file(answer);
    let mut lines = vec![describe(&told)];
    for (theirs, ours, word) in [
        ("createdTime", "created", "Made"),
        ("description", "description", "Description"),
        ("webViewLink", "link", "Link"),
    ] {
        let value = text(answer, theirs);
        if !value.is_empty() {
            lines.push(format!("{word}: {value}"));
            told.insert(ours.to_owned(), value.into());
        }
    }
    Ok(Shaped::new(told, lines.join("\n")))
}

fn created(answer: &Value) -> Result<Shaped, Failure> {
    let mut told = file(answer);
    if text(answer, "id").is_empty() {
        // Drive made it, or it did not: without an id nobody here can say.
        return Err(Failure::Refused(Refused::here(Refused::UNKNOWN)));
    }
    let line = format!("Made {}", describe(&told));
    let link = text(answer, "webViewLink");
    if !link.is_empty() {
        told.insert("link".to_owned(), link.into());
    }
    Ok(Shaped::new(told, line))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use serde_json::json;

    #[test]
    fn files_in_our_words() {
        let answer = json!({
            "id": "f1", "name": "plan\u{202e}txt.exe", "mimeType": "text/plain", "size": "12",
            "modifiedTime": "2024-01-01T00:00:00.000Z", "createdTime": "2023-01-01T00:00:00.000Z",
            "parents": ["p1"], "shared": true, "description": "line\nbreak", "owners": ["not told"],
        });
        let shaped = metadata(&answer).unwrap();
        assert_eq!(
            Value::Object(shaped.structured),
            json!({
                "id": "f1", "name": "plan<U+202E>txt.exe", "mime_type": "text/plain", "size": 12,
                "modified": "2024-01-01T00:00:00.000Z", "created": "2023-01-01T00:00:00.000Z",
                "parents": ["p1"], "shared": true, "folder": false, "description": "line break",
            })
        );
        assert_eq!(
            shaped.text,
            "plan<U+202E>txt.exe (id f1, text/plain, 12 bytes, changed 2024-01-01T00:00:00.000Z, shared)\n\
             Made: 2023-01-01T00:00:00.000Z\nDescription: line break"
        );
        let folder = file(&json!({"id": "d", "name": "n", "mimeType": FOLDER}));
        assert_eq!(describe(&folder), "n (id d, folder)");
        assert_eq!((&folder["size"], &folder["shared"]), (&Value::Null, &Value::Null));
        assert!(created(&json!({})).is_err());
        assert_eq!(created(&answer).unwrap().structured["id"], "f1");
    }
}
