//! Where lists go on: the upstream's page tokens, and elements that were let through and did not fit on a page. They are
//! content, so they stay here, per handle, in memory alone, and are forgotten with the handle, by a freeze and by a seal.

use std::collections::{BTreeMap, HashMap, VecDeque};

use claviger_domain::id::HandleId;
use claviger_domain::name::{AgentName, Ident, ToolName};

/// How many pages of one handle are remembered; the oldest goes first.
const PER_HANDLE: usize = 64;

/// How much of one agent's pages is remembered, in bytes; the oldest goes first.
const PER_AGENT: usize = 8 << 20;

/// How much is remembered of all agents' pages, in bytes; the oldest of the agent that has the most goes first.
const IN_ALL: usize = 64 << 20;

/// What a page weighs besides its texts, in bytes, roughly.
const WEIGHT: usize = 512;

/// The longest token that is remembered, in bytes; a list with a longer one has no next page.
pub(super) const LONGEST: usize = 8 * 1024;

/// Where a list goes on.
#[derive(Clone, Default)]
pub(super) struct Onward {
    /// Elements that come before whatever the upstream has, as the text of a JSON list; empty where there are none.
    pub(super) rest: String,
    /// The upstream's token, where it has another page.
    pub(super) token: Option<String>,
}

impl Onward {
    /// Whether elements wait.
    pub(super) fn is_kept(&self) -> bool {
        !self.rest.is_empty()
    }
}

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
    /// What is on it.
    pub(super) onward: Onward,
}

impl Page {
    fn weight(&self) -> usize {
        let params: usize = self.params.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        WEIGHT + params + self.onward.rest.len() + self.onward.token.as_ref().map_or(0, String::len)
    }
}

/// A page, the mark that stands for it, and whose it is.
struct Kept {
    handle: HandleId,
    mark: String,
    page: Page,
}

/// One agent's pages, oldest first.
#[derive(Default)]
struct Shelf {
    kept: VecDeque<Kept>,
    bytes: usize,
}

impl Shelf {
    fn remove(&mut self, at: usize) -> usize {
        let weight = self.kept.remove(at).map_or(0, |kept| kept.page.weight());
        self.bytes -= weight;
        weight
    }
}

/// All pages, by the mark that stands for each.
#[derive(Default)]
pub(super) struct Pages {
    agents: HashMap<AgentName, Shelf>,
    bytes: usize,
}

impl Pages {
    /// Remembers a page under that mark.
    pub(super) fn keep(&mut self, agent: &AgentName, handle: HandleId, mark: String, page: Page) {
        let weight = page.weight();
        if weight > PER_AGENT {
            return;
        }
        let shelf = self.agents.entry(agent.clone()).or_default();
        let own = |kept: &Kept| kept.handle == handle;
        if shelf.kept.iter().filter(|kept| own(kept)).count() >= PER_HANDLE
            && let Some(oldest) = shelf.kept.iter().position(own)
        {
            self.bytes -= shelf.remove(oldest);
        }
        while shelf.bytes + weight > PER_AGENT {
            self.bytes -= shelf.remove(0);
        }
        shelf.kept.push_back(Kept { handle, mark, page });
        shelf.bytes += weight;
        self.bytes += weight;
        while self.bytes > IN_ALL {
            let Some(most) = self.agents.values_mut().max_by_key(|shelf| shelf.bytes) else { break };
            self.bytes -= most.remove(0);
        }
    }

    /// The page of that mark, if it is this handle's, this tool's and this step's.
    pub(super) fn find(
        &self,
        agent: &AgentName,
        handle: HandleId,
        mark: &str,
        tool: &ToolName,
        step: &Ident,
    ) -> Option<Page> {
        let kept =
            self.agents.get(agent)?.kept.iter().find(|kept| kept.handle == handle && kept.mark == mark)?;
        (kept.page.tool == *tool && kept.page.step == *step).then(|| kept.page.clone())
    }

    /// Keeps the pages of those handles only.
    pub(super) fn retain(&mut self, live: impl Fn(&HandleId) -> bool) {
        for shelf in self.agents.values_mut() {
            shelf.kept.retain(|kept| live(&kept.handle));
            shelf.bytes = shelf.kept.iter().map(|kept| kept.page.weight()).sum();
        }
        self.agents.retain(|_, shelf| !shelf.kept.is_empty());
        self.bytes = self.agents.values().map(|shelf| shelf.bytes).sum();
    }

    /// Forgets a handle's pages.
    pub(super) fn forget(&mut self, handle: HandleId) {
        self.retain(|known| *known != handle);
    }

    /// Forgets an agent's pages.
    pub(super) fn forget_agent(&mut self, agent: &AgentName) {
        if let Some(shelf) = self.agents.remove(agent) {
            self.bytes -= shelf.bytes;
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
