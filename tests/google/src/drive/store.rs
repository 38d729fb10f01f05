//! The files themselves, and their JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::content::Content;
use super::session::Sessions;
use crate::clock::rfc3339;
use crate::google_error as refuse;
use crate::random;
use crate::scopes;
use crate::seed::SeedFile;
use crate::wire::Reply;
use crate::world::Bearer;

/// One file or folder.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) mime_type: String,
    pub(super) description: Option<String>,
    /// At most one folder; a stranger's shared file has none.
    pub(super) parents: Vec<String>,
    pub(super) content: Content,
    /// Milliseconds since 1970.
    pub(super) created_ms: i64,
    /// Milliseconds since 1970.
    pub(super) modified_ms: i64,
    pub(super) shares: Vec<Share>,
    pub(super) owner: String,
    /// Who changed it last; `None` for somebody who did not sign in.
    pub(super) changed_by: Option<String>,
    pub(super) trashed: bool,
    /// The shared drive it belongs to.
    pub(super) drive_id: Option<String>,
    /// What a shortcut stands for.
    pub(super) target: Option<String>,
    /// The OAuth client that made it; `drive.file` shows a client its own files only.
    pub(super) made_by: Option<String>,
}

/// Somebody who can see a file besides its owner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Share {
    /// The address; `None` for everybody.
    pub(super) address: Option<String>,
    /// `reader`, `commenter` or `writer`.
    pub(super) role: String,
}

impl Share {
    fn new(address: &str, role: &str) -> Self {
        Self { address: Some(address.to_owned()), role: role.to_owned() }
    }

    /// Google's id of the permission.
    pub(super) fn id(&self) -> String {
        self.address.as_deref().map_or_else(|| "anyoneWithLink".to_owned(), permission_id)
    }
}

impl File {
    /// Whether it is one of Google's own types, which have no bytes.
    pub(super) fn is_google_type(&self) -> bool {
        self.mime_type.starts_with("application/vnd.google-apps.")
    }
}

/// Where a file lies, by names, and its id.
type PathAndId = (String, String);

/// All files.
#[derive(Debug)]
pub(crate) struct Drive {
    files: BTreeMap<String, File>,
    root: String,
    me: String,
    made: u64,
    /// Mails that Google sent about shares: the file, and to whom.
    pub(super) notices: Vec<(String, String)>,
    /// Uploads that have not come to their end, and what came of those that have.
    pub(super) uploads: Sessions,
}

impl Drive {
    /// A drive with nothing but its root folder.
    pub(crate) fn new(owner: &str) -> Self {
        let mut drive = Self {
            files: BTreeMap::new(),
            root: String::new(),
            me: owner.to_owned(),
            made: 0,
            notices: Vec::new(),
            uploads: Sessions::default(),
        };
        let mut root = drive.blank("My Drive", SeedFile::FOLDER, 0);
        root.parents.clear();
        // Root ids are shorter than all others and begin with 0A.
        root.id = format!("0A{}", root.id.get(1..18).unwrap_or_default());
        drive.root.clone_from(&root.id);
        drive.files.insert(root.id.clone(), root);
        drive
    }

    /// A new file in the root folder that is not yet in the drive.
    pub(super) fn blank(&mut self, name: &str, mime_type: &str, now_ms: i64) -> File {
        self.made += 1;
        let digest = random::sha256_base64url(format!("file {} {}", self.made, self.me).as_bytes());
        File {
            id: format!("1{}", digest.get(..32).unwrap_or(&digest)),
            name: name.to_owned(),
            mime_type: mime_type.to_owned(),
            description: None,
            parents: vec![self.root.clone()],
            content: Content::default(),
            created_ms: now_ms,
            modified_ms: now_ms,
            shares: Vec::new(),
            owner: self.me.clone(),
            changed_by: Some(self.me.clone()),
            trashed: false,
            drive_id: None,
            target: None,
            made_by: None,
        }
    }

    /// Puts a file in or replaces it.
    pub(super) fn put(&mut self, file: File) {
        self.files.insert(file.id.clone(), file);
    }

    /// Puts a seeded file in; `None` if its folder does not exist.
    pub(crate) fn add(&mut self, seed: &SeedFile) -> Option<String> {
        let (folder, name) = seed.path.rsplit_once('/').unwrap_or(("", &seed.path));
        let parent = self.by_path(folder)?;
        let mut file = self.blank(name, &seed.mime_type, seed.at_ms);
        file.parents = vec![parent];
        file.content = Content::new(seed.content.clone());
        file.shares = seed.shared_with.iter().map(|address| Share::new(address, "reader")).collect();
        file.drive_id.clone_from(&seed.drive_id);
        file.trashed = seed.trashed;
        if let Some(target) = &seed.shortcut_to {
            file.target = Some(self.by_path(target)?);
        }
        if !seed.owned {
            "stranger@elsewhere.example".clone_into(&mut file.owner);
            file.changed_by = Some(file.owner.clone());
            file.shares.push(Share::new(&self.me, if seed.editable { "writer" } else { "reader" }));
        }
        let id = file.id.clone();
        self.put(file);
        Some(id)
    }

    /// The id at a path of names; `""` is the root.
    pub(crate) fn by_path(&self, path: &str) -> Option<String> {
        let names = path.split('/').filter(|name| !name.is_empty());
        names.into_iter().try_fold(self.root.clone(), |folder, name| {
            let inside = |file: &&File| file.name == name && file.parents.contains(&folder);
            self.files.values().find(inside).map(|file| file.id.clone())
        })
    }

    /// Paths and ids of all folders, and of all other files.
    pub(crate) fn paths(&self) -> (Vec<PathAndId>, Vec<PathAndId>) {
        self.files
            .values()
            .filter(|file| file.id != self.root)
            .map(|file| (self.path_of(file), file.id.clone()))
            .partition(|(_, id)| self.files.get(id).is_some_and(|file| file.mime_type == SeedFile::FOLDER))
    }

    fn path_of(&self, file: &File) -> String {
        let mut names = vec![file.name.as_str()];
        let mut at = file;
        // A folder moved into itself would go round for ever; no real path is this deep.
        while let Some(parent) = at.parents.first().and_then(|id| self.files.get(id))
            && parent.id != self.root
            && names.len() < 64
        {
            names.push(&parent.name);
            at = parent;
        }
        names.reverse();
        names.join("/")
    }

    /// A file as a bearer may see it; `root` is an alias. 404 for what is absent or hidden from this client.
    pub(super) fn visible(&self, id: &str, bearer: &Bearer) -> Result<&File, Reply> {
        let id = if id == "root" { &self.root } else { id };
        let found = self.files.get(id).filter(|file| self.sees(file, bearer));
        found.ok_or_else(|| refuse::not_found(&format!("File not found: {id}.")))
    }

    /// Whether a bearer sees a file: with only `drive.file`, the root and what its own client made.
    pub(super) fn sees(&self, file: &File, bearer: &Bearer) -> bool {
        const ALL: [&str; 4] = ["drive", "drive.readonly", "drive.metadata", "drive.metadata.readonly"];
        scopes::any(&bearer.scopes, &ALL)
            || file.id == self.root
            || file.made_by.as_deref() == Some(bearer.client_id.as_str())
    }

    /// Everything but the root folder.
    pub(super) fn all(&self) -> impl Iterator<Item = &File> {
        self.files.values().filter(|file| file.id != self.root)
    }

    /// The shared drive a file belongs to.
    pub(super) fn drive_of(&self, id: &str) -> Option<String> {
        self.files.get(id).and_then(|file| file.drive_id.clone())
    }

    /// The file of that id, whoever asks.
    pub(super) fn find(&self, id: &str) -> Option<&File> {
        self.files.get(id)
    }

    /// The root folder's id.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// Removes a file for good.
    pub(super) fn remove(&mut self, id: &str) {
        self.files.remove(id);
    }

    /// Whether somebody else can see a file, by itself or by a folder above.
    pub(super) fn is_shared(&self, file: &File) -> bool {
        file.owner != self.me || !self.shares(file).is_empty()
    }

    /// Everybody but the owner who can see a file, by itself or by a folder above; each once.
    pub(super) fn shares(&self, file: &File) -> Vec<Share> {
        let mut shares = file.shares.clone();
        for above in self.above(file) {
            shares.extend(above.shares.iter().cloned());
        }
        shares.retain(|share| share.address.as_ref() != Some(&file.owner));
        shares.sort();
        shares.dedup_by(|a, b| a.address == b.address);
        shares
    }

    /// The folders above a file, nearest first.
    fn above<'a>(&'a self, file: &'a File) -> impl Iterator<Item = &'a File> {
        let next = |file: &File| file.parents.first().and_then(|id| self.files.get(id));
        std::iter::successors(next(file), move |file| next(file)).take(64)
    }

    /// Whether the account's owner may change a file.
    pub(super) fn can_write(&self, file: &File) -> bool {
        let mine = |share: &Share| share.address.as_ref() == Some(&self.me) && share.role == "writer";
        file.owner == self.me || file.drive_id.is_some() || self.shares(file).iter().any(mine)
    }

    /// Whether a file lies in the bin, by itself or by a folder above.
    pub(super) fn is_trashed(&self, file: &File) -> bool {
        file.trashed || self.above(file).any(|above| above.trashed)
    }

    /// Whether `folder` is `id` or lies below it.
    pub(super) fn is_below(&self, folder: &str, id: &str) -> bool {
        let mut at = Some(folder);
        for _ in 0..64 {
            match at {
                Some(here) if here == id => return true,
                Some(here) => {
                    at = self.files.get(here).and_then(|file| file.parents.first()).map(String::as_str)
                }
                None => return false,
            }
        }
        true
    }

    /// A file's JSON with every field this stand-in has.
    pub(super) fn json(&self, file: &File) -> Value {
        let owner = |address: &str| {
            json!({ "kind": "drive#user", "emailAddress": address, "displayName": address,
                    "me": address == self.me, "permissionId": permission_id(address) })
        };
        let mut value = json!({
            "kind": "drive#file",
            "id": file.id,
            "name": file.name,
            "mimeType": file.mime_type,
            "createdTime": rfc3339(file.created_ms),
            "modifiedTime": rfc3339(file.modified_ms),
            "trashed": self.is_trashed(file),
            "explicitlyTrashed": file.trashed,
            "starred": false,
            "version": "1",
            "spaces": ["drive"],
            "webViewLink": format!("https://drive.google.com/file/d/{}/view?usp=drivesdk", file.id),
        });
        // Of what a shared drive holds Google tells neither owners nor whether it is shared.
        if let Some(drive) = &file.drive_id {
            value["driveId"] = json!(drive);
        } else {
            value["shared"] = json!(self.is_shared(file));
            value["ownedByMe"] = json!(file.owner == self.me);
            value["owners"] = json!([owner(&file.owner)]);
            // Only who may share a file sees with whom it is shared.
            if self.can_write(file) {
                value["permissions"] = self.permissions(file);
            }
        }
        if let Some(address) = &file.changed_by {
            value["lastModifyingUser"] = owner(address);
        }
        if let Some(target) = &file.target {
            let kind = self.files.get(target).map(|file| file.mime_type.clone());
            value["shortcutDetails"] = json!({ "targetId": target, "targetMimeType": kind });
        }
        if !file.parents.is_empty() {
            value["parents"] = json!(file.parents);
        }
        if let Some(description) = &file.description {
            value["description"] = json!(description);
        }
        if !file.is_google_type() {
            value["size"] = json!(file.content.len().to_string());
            value["md5Checksum"] = json!(file.content.md5());
            value["sha256Checksum"] = json!(file.content.sha256());
            value["originalFilename"] = json!(file.name);
        }
        value
    }

    /// A file's permissions: the owner's, then one for each other.
    pub(super) fn permissions(&self, file: &File) -> Value {
        let owner = (file.drive_id.is_none()).then(|| Share::new(&file.owner, "owner"));
        owner.into_iter().chain(self.shares(file)).map(|share| permission(&share)).collect()
    }

    /// Gives somebody access.
    pub(super) fn give(&mut self, id: &str, share: Share) {
        if let Some(file) = self.files.get_mut(id) {
            file.shares.retain(|known| known.address != share.address);
            file.shares.push(share);
        }
    }

    /// Takes the permission of that id from a file; `false` if the file itself does not give it.
    pub(super) fn take(&mut self, id: &str, permission: &str) -> bool {
        let Some(file) = self.files.get_mut(id) else { return false };
        let before = file.shares.len();
        file.shares.retain(|share| share.id() != permission);
        file.shares.len() < before
    }

    /// A file's JSON, for tests.
    pub(crate) fn describe(&self, id: &str) -> Option<Value> {
        self.files.get(id).map(|file| self.json(file))
    }

    /// Somebody writes into a file from outside the API, without signing in for `None`; `false` if it does not exist.
    pub(crate) fn write_as(&mut self, id: &str, who: Option<&str>, content: &[u8]) -> bool {
        let Some(file) = self.files.get_mut(id) else { return false };
        file.content = Content::new(content.to_vec());
        file.changed_by = who.map(str::to_owned);
        true
    }

    /// A file's bytes, for tests.
    pub(crate) fn content(&self, id: &str) -> Option<Vec<u8>> {
        self.files.get(id).map(|file| file.content.to_vec())
    }

    /// Moves a file from outside the API; `false` if file or folder does not exist.
    pub(crate) fn move_to(&mut self, id: &str, folder: &str) -> bool {
        if !self.files.contains_key(folder) {
            return false;
        }
        self.files.get_mut(id).map(|file| file.parents = vec![folder.to_owned()]).is_some()
    }

    /// Shares a file from outside the API; `false` if it does not exist.
    pub(crate) fn share(&mut self, id: &str, with: Option<&str>, role: &str) -> bool {
        let known = self.files.contains_key(id);
        self.give(id, Share { address: with.map(str::to_owned), role: role.to_owned() });
        known
    }

    /// The mails that Google sent about shares.
    pub(crate) fn notices(&self) -> Vec<(String, String)> {
        self.notices.clone()
    }
}

/// A permission as Google tells it.
pub(super) fn permission(share: &Share) -> Value {
    let mut value = json!({ "kind": "drive#permission", "id": share.id(), "role": share.role });
    match &share.address {
        Some(address) => {
            value["type"] = json!("user");
            value["emailAddress"] = json!(address);
            value["displayName"] = json!(address);
            value["deleted"] = json!(false);
            value["pendingOwner"] = json!(false);
        }
        None => {
            value["type"] = json!("anyone");
            value["allowFileDiscovery"] = json!(false);
        }
    }
    value
}

/// Google's permission ids are 20 digits, the same for one person everywhere.
fn permission_id(address: &str) -> String {
    let digits = random::sha256_hex(address.as_bytes());
    let number = u64::from_str_radix(digits.get(..15).unwrap_or("0"), 16).unwrap_or(0);
    format!("{number:020}")
}
