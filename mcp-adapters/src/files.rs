//! Files of this machine, such as a mounted NAS: roots that can be read, and at most one folder that can be written.
//!
//! Nothing goes to an upstream here. The vault still decides each call: the adapter asks it for the step right before it
//! acts, and acts only on a yes; so scope, taint, approvals and the log are the same as for any other service.
//!
//! | tool | structured content |
//! |---|---|
//! | `list_directory` | `files: [`file`]`, `next_after` where there is more; for the path "" the roots |
//! | `search_files` | `files: [`file`]`, `cut`: whether there was more |
//! | `file_info` | a file |
//! | `read_file` | a file, `offset`, `content` (`text` or `blob`), `text`, `next_offset` where there is more |
//! | `write_file`, `make_directory`, `move_file`, `delete_file` | a file |
//!
//! A file has `path`, `name`, `folder`, `size` (bytes) and `modified` (RFC 3339), both `null` for a directory. A root
//! has `path`, `name`, `folder` and `writable`.
//!
//! What is denied by name ([`guard`]), what is neither file nor directory, and what lies on another file system than its
//! root is not there: not in lists, not in counts, and asking for it gives the refusal that an absent file gives.

mod area;
mod change;
pub mod guard;
mod look;
mod open;
mod path;
pub mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rmcp::model::{ContentBlock, MetaObject, ResourceContents};
use serde_json::{Map, Value};

pub use area::AreaError;

use crate::call::Call;
use crate::failure::{Failure, Refused};
use crate::host::mark::UNTRUSTED_KEY;
use crate::service::{Service, Shaped};
use crate::text::clean;
use area::Area;
use change::WriteMode;
use look::{Found, Node, Part};
use open::Fault;
use path::FilePath;
use settings::FilesSettings;

/// The service's id, and the adapter's name.
pub const NAME: &str = "files";

/// The module of local files.
#[derive(Debug, Clone)]
pub struct Files {
    area: Arc<Area>,
}

impl Files {
    /// Looks at the roots.
    ///
    /// # Errors
    /// A root that is not there or lies in what is denied, or a kernel without `openat2`.
    pub fn new(settings: &FilesSettings) -> Result<Self, AreaError> {
        Ok(Self { area: Arc::new(Area::new(settings)?) })
    }
}

impl Service for Files {
    fn run<'a>(&'a self, tool: &'a str, call: &'a Call) -> BoxFuture<'a, Result<Shaped, Failure>> {
        async move {
            let Some(deed) = Deed::of(tool, call) else {
                // A tool that is in the catalog and not here, or arguments that the vault should have refused.
                return Err(Failure::Refused(Refused::here(Refused::BAD_ARGUMENTS)));
            };
            // The vault's yes, in the log before anything is touched.
            for step in deed.steps() {
                call.send(step, &[]).await?.success()?;
            }
            let area = Arc::clone(&self.area);
            let read = call.minted().effect == "read";
            let done = tokio::task::spawn_blocking(move || deed.run(&area)).await;
            done.unwrap_or(Err(Fault::Unknown(rustix::io::Errno::IO))).map_err(|fault| match fault {
                Fault::Absent => call.absent(),
                Fault::Unfit(text) => Failure::Unfit(text),
                Fault::System(errno) => {
                    tracing::warn!(%errno, "the file system has trouble");
                    Failure::Refused(Refused::here(Refused::UNAVAILABLE))
                }
                Fault::Unknown(errno) => {
                    tracing::warn!(%errno, "the file system has trouble");
                    Failure::Refused(Refused::here(if read {
                        Refused::UNAVAILABLE
                    } else {
                        Refused::UNKNOWN
                    }))
                }
            })
        }
        .boxed()
    }
}

/// What a call wants done. The defaults are those of the catalog.
enum Deed {
    List { path: FilePath, after: Option<String>, most: usize },
    Search { path: FilePath, words: String, most: usize },
    Info { path: FilePath },
    Read { path: FilePath, offset: u64, length: u64 },
    Write { path: FilePath, content: String, mode: WriteMode },
    MakeDirectory { path: FilePath },
    Move { path: FilePath, to: FilePath },
    Delete { path: FilePath },
}

impl Deed {
    fn of(tool: &str, call: &Call) -> Option<Self> {
        let text = |name: &str| call.argument(name).and_then(Value::as_str);
        let number = |name: &str, default: u64| call.argument(name).map_or(Some(default), Value::as_u64);
        let count = |default: u64| usize::try_from(number("max_results", default)?).ok();
        let path = |name: &str| FilePath::parse(text(name)?);
        Some(match tool {
            "list_directory" => {
                Self::List { path: path("path")?, after: text("after").map(str::to_owned), most: count(100)? }
            }
            "search_files" => {
                Self::Search { path: path("path")?, words: text("name")?.to_owned(), most: count(50)? }
            }
            "file_info" => Self::Info { path: path("path")? },
            "read_file" => Self::Read {
                path: path("path")?,
                offset: number("offset", 0)?,
                length: number("length", 256 * 1024)?,
            },
            "write_file" => Self::Write {
                path: path("path")?,
                content: text("content")?.to_owned(),
                mode: WriteMode::from_word(text("mode"))?,
            },
            "make_directory" => Self::MakeDirectory { path: path("path")? },
            "move_file" => Self::Move { path: path("path")?, to: path("to")? },
            "delete_file" => Self::Delete { path: path("path")? },
            _ => return None,
        })
    }

    /// The steps of the catalog that the vault is asked for: one for each path.
    fn steps(&self) -> &'static [&'static str] {
        match self {
            Self::List { .. } => &["list"],
            Self::Search { .. } => &["search"],
            Self::Info { .. } => &["info"],
            Self::Read { .. } => &["read"],
            Self::Write { .. } => &["write"],
            Self::MakeDirectory { .. } => &["make"],
            Self::Move { .. } => &["from", "move"],
            Self::Delete { .. } => &["delete"],
        }
    }

    fn run(self, area: &Area) -> Result<Shaped, Fault> {
        match self {
            Self::List { path, .. } if path.split().is_none() => Ok(roots(area)),
            Self::List { path, after, most } => {
                look::list(area, &path, after.as_deref(), most).map(|found| listed(found, true))
            }
            Self::Search { path, words, most } => {
                look::search(area, &path, &words, most).map(|found| listed(found, false))
            }
            Self::Info { path } => look::info(area, &path).map(|node| told("", &node)),
            Self::Read { path, offset, length } => {
                look::read(area, &path, offset, length).map(|part| content(part, offset))
            }
            Self::Write { path, content, mode } => {
                change::write(area, &path, content.as_bytes(), mode).map(|node| told("Wrote ", &node))
            }
            Self::MakeDirectory { path } => {
                change::make_directory(area, &path).map(|node| told("Made ", &node))
            }
            Self::Move { path, to } => {
                change::move_file(area, &path, &to).map(|node| told("Moved to ", &node))
            }
            Self::Delete { path } => change::delete_file(area, &path).map(|node| told("Deleted ", &node)),
        }
    }
}

/// A file in our words. Paths can be asked for again as they stand: what is unseen in a name is never listed.
fn file(node: &Node) -> Map<String, Value> {
    let modified = node.file.and_then(|facts| jiff::Timestamp::from_second(facts.modified).ok());
    Map::from_iter([
        ("path".to_owned(), node.path.as_str().into()),
        ("name".to_owned(), node.name.as_str().into()),
        ("folder".to_owned(), node.file.is_none().into()),
        ("size".to_owned(), node.file.map(|facts| facts.size).into()),
        ("modified".to_owned(), modified.map(|time| time.to_string()).into()),
    ])
}

/// One line about a file.
fn describe(node: &Node) -> String {
    let path = clean::line(&node.path, 5000);
    match node.file {
        None => format!("{path}/ (folder)"),
        Some(facts) => match jiff::Timestamp::from_second(facts.modified) {
            Ok(time) => format!("{path} ({} bytes, changed {time})", facts.size),
            Err(_) => format!("{path} ({} bytes)", facts.size),
        },
    }
}

fn told(word: &str, node: &Node) -> Shaped {
    Shaped::new(file(node), format!("{word}{}", describe(node)))
}

fn roots(area: &Area) -> Shaped {
    let mut text = String::from("The first part of every path is one of:");
    let roots = area.roots().iter().map(|root| {
        text.push_str(&format!(
            "\n{} ({})",
            root.name,
            if root.writable { "can be written" } else { "can be read" }
        ));
        Value::Object(Map::from_iter([
            ("path".to_owned(), root.name.as_str().into()),
            ("name".to_owned(), root.name.as_str().into()),
            ("folder".to_owned(), true.into()),
            ("writable".to_owned(), root.writable.into()),
        ]))
    });
    let roots: Vec<Value> = roots.collect();
    Shaped::new(Map::from_iter([("files".to_owned(), roots.into())]), text)
}

fn listed(found: Found, pages: bool) -> Shaped {
    let Found { nodes, cut } = found;
    let mut text = match nodes.len() {
        0 => "Nothing.".to_owned(),
        1 => "1 entry".to_owned(),
        count => format!("{count} entries"),
    };
    for node in &nodes {
        text.push('\n');
        text.push_str(&describe(node));
    }
    let mut structured = Map::new();
    let last = nodes.last().map(|node| node.name.clone()).filter(|_| cut);
    match last {
        Some(last) if pages => {
            text.push_str(&format!("\n\nThere is more: after={}", clean::line(&last, 300)));
            structured.insert("next_after".to_owned(), last.into());
        }
        _ => {
            if cut {
                text.push_str(
                    "\n\nThere was more to look at: search in a folder further down, or for more words.",
                );
            }
            if !pages {
                structured.insert("cut".to_owned(), cut.into());
            }
        }
    }
    let files: Vec<Value> = nodes.iter().map(|node| Value::Object(file(node))).collect();
    structured.insert("files".to_owned(), files.into());
    Shaped::new(structured, text)
}

fn content(part: Part, offset: u64) -> Shaped {
    let Part { node, mut bytes } = part;
    let size = node.file.map_or(0, |facts| facts.size);
    let text = cut_to_text(&mut bytes, offset, size);
    let mut structured = file(&node);
    let mut line = describe(&node);
    structured.insert("offset".to_owned(), offset.into());
    let next = offset.saturating_add(bytes.len() as u64);
    if next < size && !bytes.is_empty() {
        structured.insert("next_offset".to_owned(), next.into());
        line.push_str(&format!("\nbytes {offset} to {next}; there is more: offset={next}"));
    }
    if let Some(text) = text {
        let text = clean::block(&text);
        structured.insert("content".to_owned(), "text".into());
        line.push_str(&format!("\n\n{text}"));
        structured.insert("text".to_owned(), text.into());
        return Shaped::new(structured, line);
    }
    structured.insert("content".to_owned(), "blob".into());
    line.push_str(&format!("\n\n(no text: {} bytes follow as a resource)", bytes.len()));
    let mark = MetaObject(Map::from_iter([(UNTRUSTED_KEY.to_owned(), Value::Bool(true))]));
    let resource = ResourceContents::blob(STANDARD.encode(&bytes), "files:///content")
        .with_mime_type("application/octet-stream")
        .with_meta(mark);
    let mut shaped = Shaped::new(structured, line);
    shaped.attached.push(ContentBlock::resource(resource));
    shaped
}

/// The bytes as text, if they are UTF-8. A character that the part's end cuts through is left to the next part.
fn cut_to_text(bytes: &mut Vec<u8>, offset: u64, size: u64) -> Option<String> {
    let more = offset.saturating_add(bytes.len() as u64) < size;
    let whole = match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(fault) if more && fault.error_len().is_none() && fault.valid_up_to() > 0 => fault.valid_up_to(),
        Err(_) => return None,
    };
    if bytes[..whole].contains(&0) {
        return None;
    }
    bytes.truncate(whole);
    let marked = if offset == 0 { bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes) } else { bytes };
    std::str::from_utf8(marked).ok().map(str::to_owned)
}
