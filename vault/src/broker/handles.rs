//! The live handles: by their ids, and the children of each grant.
//!
//! Whoever asks about one grant or one agent looks at that grant's children alone. With a million handles, walking over
//! all of them under the lock would hold up every call.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use claviger_domain::id::{GrantId, HandleId};

use super::state::HandleEntry;

/// All live handles.
#[derive(Default)]
pub(super) struct Handles {
    all: HashMap<HandleId, Arc<HandleEntry>>,
    /// Those that have parents, by their grants. No grant is here with none.
    children: HashMap<GrantId, Vec<Arc<HandleEntry>>>,
}

impl Handles {
    /// All of these, whose ids differ.
    pub(super) fn of(entries: Vec<HandleEntry>) -> Self {
        let mut all = HashMap::with_capacity(entries.len());
        let mut below = Vec::with_capacity(entries.len());
        for entry in entries.into_iter().map(Arc::new) {
            if !entry.handle.ancestors.is_empty() {
                below.push((entry.handle.grant, Arc::clone(&entry)));
            }
            all.insert(entry.handle.id, entry);
        }
        below.sort_unstable_by_key(|(grant, _)| *grant);
        let mut children = HashMap::new();
        for siblings in below.chunk_by(|one, other| one.0 == other.0) {
            children.insert(siblings[0].0, siblings.iter().map(|(_, entry)| Arc::clone(entry)).collect());
        }
        Self { all, children }
    }

    /// Those above which one is missing.
    pub(super) fn orphans(&self) -> impl Iterator<Item = HandleId> {
        let children = self.children.values().flatten().map(|entry| &entry.handle);
        children
            .filter(|handle| !handle.ancestors.iter().all(|id| self.contains(*id)))
            .map(|handle| handle.id)
    }

    pub(super) fn get(&self, id: HandleId) -> Option<&Arc<HandleEntry>> {
        self.all.get(&id)
    }

    pub(super) fn contains(&self, id: HandleId) -> bool {
        self.all.contains_key(&id)
    }

    /// The children that hang from a grant, in no order.
    pub(super) fn children(&self, grant: GrantId) -> &[Arc<HandleEntry>] {
        self.children.get(&grant).map(Vec::as_slice).unwrap_or_default()
    }

    /// The grants that have children, in no order.
    pub(super) fn parents(&self) -> impl Iterator<Item = GrantId> {
        self.children.keys().copied()
    }

    /// Lets a handle live. One of the same id gives way to it.
    pub(super) fn insert(&mut self, entry: Arc<HandleEntry>) {
        let id = entry.handle.id;
        self.remove(id);
        if !entry.handle.ancestors.is_empty() {
            self.children.entry(entry.handle.grant).or_default().push(Arc::clone(&entry));
        }
        self.all.insert(id, entry);
    }

    /// Takes a handle away; what hangs from it stays.
    pub(super) fn remove(&mut self, id: HandleId) -> Option<Arc<HandleEntry>> {
        let gone = self.all.remove(&id)?;
        if let Entry::Occupied(mut siblings) = self.children.entry(gone.handle.grant) {
            let kept = siblings.get_mut();
            kept.retain(|entry| entry.handle.id != id);
            if kept.is_empty() {
                siblings.remove();
            }
        }
        Some(gone)
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// All of them, in no order.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<HandleEntry>> {
        self.all.values()
    }
}
