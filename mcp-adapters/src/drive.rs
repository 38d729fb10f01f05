//! Google Drive: files as they can be read, changed and shared.
//!
//! | tool | structured content |
//! |---|---|
//! | `search_files`, `list_folder` | `files: [`file`]`, `next_page` or `next_pages: [{folder, page}]` |
//! | `get_file_metadata` | a file, with `created`, `description` and `link` where Drive told them |
//! | `read_file` | a file, and [`read`]: `content` (`text` or `blob`), `text` |
//! | `download_file` | a file; its bytes go over the bulk socket |
//! | `upload_file` | a file, and `link` where Drive told it; its bytes come over the bulk socket |
//! | `create_file`, `create_folder`, `copy_file` | a file, and `link` where Drive told it |
//! | `update_file`, `rename_file`, `move_file`, `trash_file`, `untrash_file` | a file, without what others may have written |
//! | `list_permissions` | `permissions: [{id, type, role, email, domain, name}]`, what is not there `null` |
//! | `share_file` | `permission` |
//! | `unshare_file` | `done` |
//!
//! A file has `id`, `name`, `mime_type`, `size` (bytes; `null` for Google's own formats), `modified` (RFC 3339),
//! `parents`, `shared` (`null` where it was not told), `shared_drive` (its id, or `null`), `owners` (addresses) and
//! `folder`.

mod bulk;
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
                "download_file" => bulk::download(call).await,
                "upload_file" => bulk::upload(call),
                "create_file" | "create_folder" => changed("Made", &call.json("create", &[]).await?),
                "copy_file" => changed("Copied to", &call.json("copy", &[]).await?),
                "update_file" => changed("Changed", &call.json("update", &[]).await?),
                "rename_file" => changed("Renamed to", &call.json("rename", &[]).await?),
                "move_file" => changed("Moved", &call.json("move", &[]).await?),
                "trash_file" => changed("Put into the bin:", &call.json("trash", &[]).await?),
                "untrash_file" => changed("Taken back from the bin:", &call.json("untrash", &[]).await?),
                "list_permissions" => Ok(permissions(&call.json("list", &[]).await?)),
                "share_file" => shared(&call.json("share", &[]).await?),
                "unshare_file" => {
                    call.send("unshare", &[]).await?.success()?;
                    let done = Map::from_iter([("done".to_owned(), true.into())]);
                    Ok(Shaped::new(done, "The access was taken away."))
                }
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
        ("shared_drive".to_owned(), some_text(file, "driveId").into()),
        ("owners".to_owned(), owners(file).into()),
    ])
}

/// A member as one line of text, if there is one.
fn some_text(value: &Value, name: &str) -> Option<String> {
    Some(text(value, name)).filter(|text| !text.is_empty())
}

/// The owners' addresses, as far as they were told.
fn owners(file: &Value) -> Vec<String> {
    let owners = file.get("owners").and_then(Value::as_array);
    owners.into_iter().flatten().filter_map(|owner| some_text(owner, "emailAddress")).collect()
}

/// One line about a file.
fn describe(file: &Map<String, Value>) -> String {
    let line = |name: &str| file.get(name).and_then(Value::as_str).unwrap_or_default();
    let kind = if file.get("folder") == Some(&Value::Bool(true)) { "folder" } else { line("mime_type") };
    let kind = if kind.is_empty() { String::new() } else { format!(", {kind}") };
    let size =
        file.get("size").and_then(Value::as_u64).map(|size| format!(", {size} bytes")).unwrap_or_default();
    let in_drive = file.get("shared_drive").is_some_and(Value::is_string);
    let shared = match file.get("shared") {
        _ if in_drive => ", in a shared drive",
        Some(Value::Bool(true)) => ", shared",
        _ => "",
    };
    let modified = line("modified");
    let changed = if modified.is_empty() { String::new() } else { format!(", changed {modified}") };
    let name = file.get("name").and_then(Value::as_str).unwrap_or("the file");
    format!("{name} (id {}{kind}{size}{changed}{shared})", line("id"))
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

/// The file that a change made or left. What Drive was not asked for is left out: an answer that is trusted tells no name
/// that others may have given.
fn changed(word: &str, answer: &Value) -> Result<Shaped, Failure> {
    let mut told = file(answer);
    for (theirs, ours) in [("name", "name"), ("mimeType", "mime_type"), ("mimeType", "folder")] {
        if answer.get(theirs).is_none() {
            told.remove(ours);
        }
    }
    if text(answer, "id").is_empty() {
        // Drive did it, or it did not: without an id nobody here can say.
        return Err(Failure::Refused(Refused::here(Refused::UNKNOWN)));
    }
    let line = format!("{word} {}", describe(&told));
    if let Some(link) = some_text(answer, "webViewLink") {
        told.insert("link".to_owned(), link.into());
    }
    Ok(Shaped::new(told, line))
}

/// Who has access, in our words.
fn permission(permission: &Value) -> (Map<String, Value>, String) {
    let told = [
        ("id", "id"),
        ("type", "type"),
        ("role", "role"),
        ("email", "emailAddress"),
        ("domain", "domain"),
        ("name", "displayName"),
    ];
    let whom = some_text(permission, "emailAddress")
        .or_else(|| some_text(permission, "domain"))
        .unwrap_or_else(|| text(permission, "type"));
    let line = format!("{whom}: {} (id {})", text(permission, "role"), text(permission, "id"));
    let told = told.map(|(ours, theirs)| (ours.to_owned(), some_text(permission, theirs).into()));
    (Map::from_iter(told), line)
}

fn permissions(answer: &Value) -> Shaped {
    let all = answer.get("permissions").and_then(Value::as_array);
    let (told, lines): (Vec<_>, Vec<_>) = all.into_iter().flatten().map(permission).unzip();
    let told: Vec<Value> = told.into_iter().map(Value::Object).collect();
    let text = if lines.is_empty() { "Nobody is told.".to_owned() } else { lines.join("\n") };
    Shaped::new(Map::from_iter([("permissions".to_owned(), told.into())]), text)
}

fn shared(answer: &Value) -> Result<Shaped, Failure> {
    if text(answer, "id").is_empty() {
        return Err(Failure::Refused(Refused::here(Refused::UNKNOWN)));
    }
    let (told, line) = permission(answer);
    Ok(Shaped::new(Map::from_iter([("permission".to_owned(), told.into())]), format!("Shared with {line}")))
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
            "parents": ["p1"], "shared": true, "description": "line\nbreak", "owners": [{"emailAddress": "o@example.com"}, {}, "odd"],
        });
        let shaped = metadata(&answer).unwrap();
        assert_eq!(
            Value::Object(shaped.structured),
            json!({
                "id": "f1", "name": "plan<U+202E>txt.exe", "mime_type": "text/plain", "size": 12,
                "modified": "2024-01-01T00:00:00.000Z", "created": "2023-01-01T00:00:00.000Z",
                "parents": ["p1"], "shared": true, "folder": false, "description": "line break",
                "shared_drive": null, "owners": ["o@example.com"],
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
        let team = file(&json!({"id": "t", "name": "n", "mimeType": "text/plain", "driveId": "0A"}));
        assert_eq!(describe(&team), "n (id t, text/plain, in a shared drive)");
        assert!(changed("Made", &json!({})).is_err());
        let plain = changed("Moved", &json!({"id": "f1", "parents": ["p1"], "shared": false})).unwrap();
        assert_eq!(plain.text, "Moved the file (id f1)");
        assert!(!["name", "mime_type", "folder"].iter().any(|name| plain.structured.contains_key(*name)));
        assert_eq!(changed("Made", &answer).unwrap().structured["id"], "f1");
    }

    #[test]
    fn permissions_in_our_words() {
        let shaped = permissions(&json!({"permissions": [
            {"id": "1", "type": "user", "role": "owner", "emailAddress": "o@example.com", "displayName": "O\u{202e}"},
            {"id": "anyoneWithLink", "type": "anyone", "role": "reader"},
        ]}));
        assert_eq!(
            shaped.structured["permissions"],
            json!([
                {"id": "1", "type": "user", "role": "owner", "email": "o@example.com", "domain": null, "name": "O<U+202E>"},
                {"id": "anyoneWithLink", "type": "anyone", "role": "reader", "email": null, "domain": null, "name": null},
            ])
        );
        assert_eq!(shaped.text, "o@example.com: owner (id 1)\nanyone: reader (id anyoneWithLink)");
        assert_eq!(permissions(&json!({})).text, "Nobody is told.");
        assert!(shared(&json!({})).is_err());
    }
}
