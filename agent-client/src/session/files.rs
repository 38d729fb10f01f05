//! Calls whose bytes go past the model: what they need of the folder before they are presented, and what becomes of their
//! tickets.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use claviger_canonical::{Canonical, Presentation, ToolName};
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value, json};

use super::{CallOptions, Session, without_presentation};
use crate::bulk::{Direction, Fetched, Needs, Progress, Ticket, fetch, put};
use crate::error::ClientError;
use crate::folder::part::{PartName, Saved, short};
use crate::folder::{Folder, FolderError, Upload};
use crate::grants::{Endpoint, Grants};
use crate::outcome::{CallOutcome, Refusal};

/// How many files of calls that wait for a person are remembered.
const REMEMBERED: usize = 64;

/// Which files were to be sent: their SHA-256 as the arguments say it, and their path below the folder; newest last.
pub(super) type Asked = Vec<(String, String)>;

/// A call that can be presented, and what of the folder belongs to it.
pub(super) struct Prepared {
    /// What is presented.
    pub(super) arguments: Canonical,
    /// The file that is to be sent.
    upload: Option<Upload>,
    download: Option<Download>,
}

/// What is known of a file that is to be saved, before it is asked for.
struct Download {
    /// Which call this is, wherever it begins.
    asked: String,
    /// The argument that says where the bytes begin, if the tool has one.
    argument: Option<String>,
    /// What was kept of it, and how many bytes that has.
    kept: Option<(PartName, u64)>,
    /// The arguments from the start.
    plain: Map<String, Value>,
    folder: Arc<Folder>,
}

impl Prepared {
    /// Where the bytes begin.
    fn offset(&self) -> u64 {
        self.download.as_ref().and_then(|download| download.kept.as_ref()).map_or(0, |(_, size)| *size)
    }

    /// Forgets what was kept. Returns whether there was something.
    pub(super) fn begin_anew(&mut self) -> Result<bool, ClientError> {
        let Some(download) = &mut self.download else { return Ok(false) };
        let Some((part, _)) = download.kept.take() else { return Ok(false) };
        download.folder.forget(&part)?;
        self.arguments = canonical(download.plain.clone())?;
        Ok(true)
    }
}

fn canonical(arguments: Map<String, Value>) -> Result<Canonical, ClientError> {
    Canonical::from_json(&Value::Object(arguments)).map_err(ClientError::Arguments)
}

impl Session {
    /// Makes a call ready: opens and measures a file that is to be sent, and looks what was kept of one that is to be saved.
    pub(super) async fn prepare(
        &self,
        mcp_name: &str,
        mut arguments: Map<String, Value>,
    ) -> Result<Prepared, ClientError> {
        let Some((name, secret, needs)) = self.needs(mcp_name) else {
            return Ok(Prepared { arguments: canonical(arguments)?, upload: None, download: None });
        };
        let folder = self.folder.clone().ok_or(ClientError::NoFolder)?;
        let mut upload = None;
        for argument in &needs.uploads {
            let Some(Value::String(path)) = arguments.get(argument).cloned() else { continue };
            // One stream has one body.
            if upload.is_some() {
                return Err(ClientError::Bulk("two files in one call"));
            }
            let opened = open(&folder, path.clone()).await?;
            let told = opened.argument();
            self.remember(&told, path);
            arguments.insert(argument.clone(), told);
            upload = Some(opened);
        }
        let mut download = None;
        if needs.download {
            // Only this client knows where to begin: what a caller says of it was never offered to them.
            if let Some(offset) = &needs.offset {
                arguments.remove(offset);
            }
            let plain = arguments.clone();
            let asked = asked(&name, &secret, &plain)?;
            let kept = match &needs.offset {
                Some(argument) => {
                    let kept = folder.kept(&asked, self.clock.now_ms())?.filter(|(_, size)| *size > 0);
                    if let Some((_, size)) = &kept {
                        arguments.insert(argument.clone(), (*size).into());
                    }
                    kept
                }
                None => None,
            };
            download = Some(Download { asked, argument: needs.offset, kept, plain, folder });
        }
        Ok(Prepared { arguments: canonical(arguments)?, upload, download })
    }

    /// Makes a call ready that a person has agreed to: its arguments are what they saw, and so must its file be. Before
    /// the yes is used up.
    pub(super) async fn prepare_agreed(
        &self,
        grants: &Grants,
        tool: &ToolName,
        arguments: &Canonical,
    ) -> Result<Prepared, ClientError> {
        let (mut upload, mut download) = (None, None);
        let found = grants.tools().find(|known| known.name == *tool);
        if let Some(known) = found.filter(|known| known.needs.folder()) {
            let folder = self.folder.clone().ok_or(ClientError::NoFolder)?;
            let Value::Object(told) = Value::from(arguments.value()) else {
                return Err(ClientError::Arguments(claviger_canonical::CanonicalError::NotAnObject));
            };
            for file in known.needs.uploads.iter().filter_map(|argument| told.get(argument)) {
                upload = Some(self.find(&folder, file).await?);
            }
            if known.needs.download {
                let (_, handle) = grants.tool(&known.mcp_name)?;
                let argument = known.needs.offset.clone();
                let mut plain = told;
                let offset = argument.as_ref().and_then(|name| plain.remove(name));
                let offset = offset.as_ref().and_then(Value::as_u64).unwrap_or(0);
                let asked = asked(tool.as_str(), handle.secret(), &plain)?;
                let kept = folder.kept(&asked, self.clock.now_ms())?.filter(|(_, size)| *size == offset);
                if offset > 0 && kept.is_none() {
                    return Err(ClientError::OtherVersion);
                }
                let kept = kept.filter(|_| offset > 0);
                download = Some(Download { asked, argument, kept, plain, folder });
            }
        }
        Ok(Prepared { arguments: arguments.clone(), upload, download })
    }

    /// The name, the secret and the needs of a tool that needs the folder.
    fn needs(&self, mcp_name: &str) -> Option<(String, String, Needs)> {
        let tasks = self.tasks.read().unwrap_or_else(PoisonError::into_inner).clone();
        let granted = self.grants();
        for grants in tasks.iter().map(|task| task.grants()).chain([&*granted]) {
            if let Ok((tool, handle)) = grants.tool(mcp_name) {
                let told = (tool.name.as_str().to_owned(), handle.secret().to_owned(), tool.needs.clone());
                return Some(told).filter(|_| tool.needs.folder());
            }
        }
        None
    }

    fn remember(&self, told: &Value, path: String) {
        let Some(sha256) = told["sha256"].as_str() else { return };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|(known, _)| known != sha256);
        asked.push((sha256.to_owned(), path));
        let over = asked.len().saturating_sub(REMEMBERED);
        asked.drain(..over);
    }

    /// The file that a person agreed to: where it lay when this process asked, or under its name in the folder.
    async fn find(&self, folder: &Arc<Folder>, file: &Value) -> Result<Upload, ClientError> {
        let remembered = {
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.iter().find(|(sha256, _)| file["sha256"] == **sha256).map(|(_, path)| path.clone())
        };
        let by_name = file["name"].as_str().map(str::to_owned);
        for path in remembered.into_iter().chain(by_name) {
            if let Ok(upload) = open(folder, path).await
                && upload.is(file)
            {
                return Ok(upload);
            }
        }
        Err(ClientError::UploadGone)
    }

    /// Lets the bytes of a call pass, and tells what became of them.
    pub(super) async fn redeem(
        &self,
        endpoint: &Endpoint,
        ticket: &Ticket,
        result: CallToolResult,
        call: &Prepared,
        presentation: &Presentation,
        options: &CallOptions,
    ) -> Result<CallOutcome, ClientError> {
        let progress = Progress::new(options.progress.clone(), self.clock.clone());
        match ticket.direction {
            Direction::Put => {
                let upload = call
                    .upload
                    .clone()
                    .ok_or(ClientError::Bulk("a body is wanted that was not asked for"))?;
                let told = match put(endpoint, ticket, upload, progress).await? {
                    Ok(told) => without_presentation(told, presentation)?,
                    Err(refusal) => return Ok(CallOutcome::Refused(refusal)),
                };
                Ok(match Refusal::of(&told) {
                    Some(refusal) => CallOutcome::Refused(refusal),
                    None => CallOutcome::Answered(told),
                })
            }
            Direction::Fetch => {
                let folder = self.folder.clone().ok_or(ClientError::NoFolder)?;
                self.save(endpoint, ticket, result, call, folder, progress).await
            }
        }
    }

    async fn save(
        &self,
        endpoint: &Endpoint,
        ticket: &Ticket,
        result: CallToolResult,
        call: &Prepared,
        folder: Arc<Folder>,
        progress: Progress,
    ) -> Result<CallOutcome, ClientError> {
        let offset = call.offset();
        if ticket.offset != offset {
            return Err(ClientError::Bulk("another beginning than was asked for"));
        }
        let asked = match &call.download {
            Some(download) => download.asked.clone(),
            // The schema did not say that it saves something; nothing of it is kept.
            None => short(call.arguments.bytes()),
        };
        let part = PartName::new(&asked, &state(ticket));
        let begun = call.download.as_ref().and_then(|download| download.kept.as_ref());
        if begun.is_some_and(|(begun, _)| *begun != part) {
            return Err(ClientError::OtherVersion);
        }
        // Only where the same call can go on, and the service tells one version from another.
        let goes_on = call.download.as_ref().is_some_and(|download| download.argument.is_some());
        let kept = goes_on && (ticket.sha256.is_some() || ticket.version.is_some());
        let place = folder.path().to_owned();
        let opening = tokio::task::spawn_blocking(move || folder.part(&part, offset, kept));
        let part = opening.await.map_err(|_| ClientError::Folder(FolderError::Changed))?;
        let part = match part {
            Err(FolderError::Changed) if offset > 0 => return Err(ClientError::OtherVersion),
            part => part?,
        };
        match fetch(endpoint, ticket, part, kept, progress).await? {
            Fetched::Saved(saved) => Ok(CallOutcome::Answered(told(result, &saved, &place))),
            Fetched::Refused(refusal) => Ok(CallOutcome::Refused(refusal)),
        }
    }
}

async fn open(folder: &Arc<Folder>, path: String) -> Result<Upload, ClientError> {
    let folder = folder.clone();
    let opening = tokio::task::spawn_blocking(move || Upload::open(&folder, &path));
    Ok(opening.await.map_err(|_| ClientError::Folder(FolderError::Changed))??)
}

/// Which call this is, wherever it begins: 16 hex digits.
fn asked(tool: &str, secret: &str, plain: &Map<String, Value>) -> Result<String, ClientError> {
    let arguments = canonical(plain.clone())?;
    let words = json!([tool, secret]).to_string();
    Ok(short(&[words.as_bytes(), arguments.bytes()].concat()))
}

/// What tells one state of a file from another.
fn state(ticket: &Ticket) -> Vec<u8> {
    json!([ticket.name, ticket.size, ticket.sha256, ticket.version]).to_string().into_bytes()
}

/// The adapter's result, with where the bytes are now.
fn told(mut result: CallToolResult, saved: &Saved, place: &Path) -> CallToolResult {
    let Saved { name, size, sha256 } = saved;
    // As JSON writes it: the name is a stranger's, though it lost what does not show.
    let quoted = Value::from(name.as_str());
    let place = place.display().to_string();
    result
        .content
        .push(ContentBlock::text(format!("Saved in {place} as {quoted}: {size} bytes, sha256 {sha256}")));
    let structured = result.structured_content.get_or_insert_with(|| json!({}));
    if let Some(members) = structured.as_object_mut() {
        members.insert("saved_as".to_owned(), name.as_str().into());
        members.insert("folder".to_owned(), place.into());
        members.insert("saved_bytes".to_owned(), (*size).into());
        members.insert("sha256".to_owned(), sha256.as_str().into());
    }
    result
}
