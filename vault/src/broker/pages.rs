//! The upstream's page tokens: they are content, so they stay here, per handle, and die with the process.

use std::collections::{BTreeMap, HashMap, VecDeque};

use claviger_domain::id::HandleId;
use claviger_domain::name::{Ident, ToolName};

/// How many pages of one handle are remembered; the oldest goes first.
const PER_HANDLE: usize = 64;

/// The longest token that is remembered, in bytes; a list with a longer one has no next page.
pub(super) const LONGEST: usize = 8 * 1024;

/// A page that can be turned to.
#[derive(Clone)]
pub(super) struct Page {
    /// For which tool.
    pub(super) tool: ToolName,
    /// For which step of it.
    pub(super) step: Ident,
    /// With which parameters the page before was asked for.
    pub(super) params: BTreeMap<Ident, String>,
    /// A digest of the other arguments that the page before was asked for with.
    pub(super) terms: [u8; 32],
    /// The upstream's token.
    pub(super) token: String,
}

/// All pages, by the mark that stands for each.
#[derive(Default)]
pub(super) struct Pages(HashMap<HandleId, VecDeque<(String, Page)>>);

impl Pages {
    /// Remembers a page under that mark.
    pub(super) fn keep(&mut self, handle: HandleId, mark: String, page: Page) {
        let pages = self.0.entry(handle).or_default();
        if pages.len() >= PER_HANDLE {
            pages.pop_front();
        }
        pages.push_back((mark, page));
    }

    /// The page of that mark, if it is this handle's, this tool's and this step's.
    pub(super) fn find(&self, handle: HandleId, mark: &str, tool: &ToolName, step: &Ident) -> Option<Page> {
        let (_, page) = self.0.get(&handle)?.iter().find(|(known, _)| known == mark)?;
        (page.tool == *tool && page.step == *step).then(|| page.clone())
    }

    /// Keeps the pages of those handles only.
    pub(super) fn retain(&mut self, live: impl Fn(&HandleId) -> bool) {
        self.0.retain(|handle, _| live(handle));
    }

    /// Forgets a handle's pages.
    pub(super) fn forget(&mut self, handle: HandleId) {
        self.0.remove(&handle);
    }
}
