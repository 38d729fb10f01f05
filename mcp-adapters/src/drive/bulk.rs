//! `download_file` and `upload_file`: bytes that go past the model, between a file and the agent's folder.
//!
//! `download_file` tells the file; the client adds where it saved it. What `upload_file` tells comes when the bytes have
//! gone: the file, as `create_file` tells it.

use serde_json::Value;

use super::{FOLDER, changed, describe, file, size, some_text, text};
use crate::call::{Answer, Call};
use crate::failure::Failure;
use crate::service::Shaped;
use crate::transfer::{Fetch, Put, Source, Transfer};

/// The step that tells what the file is.
const FACTS: &str = "metadata";
/// The step whose answer is the file's content.
const CONTENT: &str = "content";
/// The step whose body is the file's content.
const UPLOAD: &str = "upload";

pub(super) async fn download(call: &Call) -> Result<Shaped, Failure> {
    let metadata = call.json(FACTS, &[]).await?;
    can_be_downloaded(&text(&metadata, "mimeType"))?;
    let offset = call.argument("offset").and_then(Value::as_u64).unwrap_or(0);
    let size = size(&metadata);
    // Nothing is left to ask for: a range that begins at the end is refused by every service.
    let source = match size {
        Some(size) if offset > 0 && offset >= size => Source::Here(Vec::new()),
        _ => Source::Step { name: CONTENT, params: Vec::new() },
    };
    let told = file(&metadata);
    let line = describe(&told);
    let fetch = Fetch {
        name: text(&metadata, "name"),
        size,
        sha256: some_text(&metadata, "sha256Checksum"),
        version: ["headRevisionId", "md5Checksum", "modifiedTime"]
            .into_iter()
            .find_map(|name| some_text(&metadata, name)),
        offset,
        source,
    };
    Ok(Shaped::new(told, line).with_transfer(Transfer::Fetch(fetch)))
}

/// Only what has bytes of its own.
fn can_be_downloaded(mime_type: &str) -> Result<(), Failure> {
    if mime_type == FOLDER {
        return Err(Failure::Unfit("This is a folder: list_folder shows what lies in it.".to_owned()));
    }
    if mime_type.starts_with("application/vnd.google-apps.") {
        return Err(Failure::Unfit(
            "This is a Google document, which has no bytes of its own: read_file reads it.".to_owned(),
        ));
    }
    Ok(())
}

pub(super) fn upload(call: &Call) -> Result<Shaped, Failure> {
    let put = Put::of(call, "file", UPLOAD, made)?;
    Ok(Shaped::new(Default::default(), "The bytes are awaited.").with_transfer(Transfer::Put(put)))
}

fn made(_: &Call, answer: &Answer) -> Result<Shaped, Failure> {
    changed("Made", &answer.json()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn only_what_has_bytes_can_be_downloaded() {
        for (mime_type, fine) in [
            ("application/pdf", true),
            ("", true),
            (FOLDER, false),
            ("application/vnd.google-apps.document", false),
            ("application/vnd.google-apps.shortcut", false),
        ] {
            assert_eq!(can_be_downloaded(mime_type).is_ok(), fine, "{mime_type}");
        }
    }
}
