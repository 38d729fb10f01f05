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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    fn page(rest: usize) -> Page {
        Page {
            tool: "drive.search_files".parse().unwrap(),
            step: "list".parse().unwrap(),
            params: BTreeMap::new(),
            terms: [0; 32],
            onward: Onward { rest: "x".repeat(rest), token: None },
        }
    }

    struct Tried(Pages);

    impl Tried {
        fn keep(&mut self, agent: &str, handle: u8, mark: usize, rest: usize) {
            let handle = HandleId::from_bytes([handle; HandleId::BYTES]);
            self.0.keep(&agent.parse().unwrap(), handle, mark.to_string(), page(rest));
        }

        fn has(&self, agent: &str, handle: u8, mark: usize) -> bool {
            let (tool, step) = ("drive.search_files".parse().unwrap(), "list".parse().unwrap());
            let handle = HandleId::from_bytes([handle; HandleId::BYTES]);
            self.0.find(&agent.parse().unwrap(), handle, &mark.to_string(), &tool, &step).is_some()
        }

        /// What is remembered, counted anew.
        fn sound(&self) {
            let weigh = |shelf: &Shelf| shelf.kept.iter().map(|kept| kept.page.weight()).sum::<usize>();
            assert!(
                self.0.agents.values().all(|shelf| shelf.bytes == weigh(shelf) && shelf.bytes <= PER_AGENT)
            );
            assert_eq!(self.0.bytes, self.0.agents.values().map(weigh).sum::<usize>());
            assert!(self.0.bytes <= IN_ALL);
        }
    }

    #[test]
    fn a_handle_has_so_many_pages_and_takes_none_of_anothers() {
        let mut pages = Tried(Pages::default());
        pages.keep("ann", 2, 0, 10);
        for mark in 0..PER_HANDLE + 3 {
            pages.keep("ann", 1, mark, 10);
        }
        assert!(pages.has("ann", 2, 0) && !pages.has("ann", 1, 2) && pages.has("ann", 1, 3));
        assert!(!pages.has("bob", 1, 3) && !pages.has("ann", 3, 3));
        pages.sound();
    }

    #[test]
    fn an_agent_keeps_so_many_bytes_and_the_oldest_goes_first() {
        let mut pages = Tried(Pages::default());
        pages.keep("bob", 9, 0, 10);
        // Over many handles as over one.
        for mark in 0..20 {
            pages.keep("ann", u8::try_from(mark).unwrap(), mark, 1 << 20);
            pages.sound();
        }
        assert!(pages.has("bob", 9, 0) && pages.has("ann", 19, 19) && !pages.has("ann", 12, 12));
        // One that is larger than all room is not kept, and takes nobody's.
        pages.keep("ann", 19, 99, PER_AGENT);
        assert!(pages.has("ann", 19, 19) && !pages.has("ann", 19, 99));
        pages.sound();
    }

    #[test]
    fn what_fits_exactly_is_kept() {
        let mut pages = Tried(Pages::default());
        // Eight agents that each fill their own room fill all there is.
        for agent in 0..IN_ALL / PER_AGENT {
            pages.keep(&format!("a{agent}"), 1, 0, PER_AGENT - WEIGHT);
            pages.sound();
        }
        for agent in 0..IN_ALL / PER_AGENT {
            assert!(pages.has(&format!("a{agent}"), 1, 0), "{agent}");
        }
        pages.keep("one-more", 1, 0, 1);
        assert!(pages.has("one-more", 1, 0));
        pages.sound();
    }

    #[test]
    fn all_texts_of_a_page_weigh() {
        let (bare, mut full) = (page(3), page(3));
        full.onward.token = Some("t".repeat(20));
        full.params = [("folder_id".parse().unwrap(), "x".repeat(5000))].into();
        assert_eq!((bare.weight(), full.weight()), (WEIGHT + 3, WEIGHT + 3 + 20 + 5009));
    }

    #[test]
    fn who_has_most_makes_room() {
        let mut pages = Tried(Pages::default());
        pages.keep("small", 1, 0, 10);
        for agent in 0..12 {
            for mark in 0..7 {
                pages.keep(&format!("a{agent}"), 1, mark, 1 << 20);
                pages.sound();
            }
        }
        assert!(pages.has("small", 1, 0) && pages.has("a11", 1, 6));
    }

    #[test]
    fn what_is_forgotten_weighs_nothing() {
        let mut pages = Tried(Pages::default());
        for handle in 0..4 {
            pages.keep(if handle < 2 { "ann" } else { "bob" }, handle, 0, 100);
        }
        pages.0.forget(HandleId::from_bytes([0; HandleId::BYTES]));
        assert!(!pages.has("ann", 0, 0) && pages.has("ann", 1, 0));
        pages.sound();
        pages.0.forget_agent(&"bob".parse().unwrap());
        assert!(!pages.has("bob", 2, 0) && !pages.has("bob", 3, 0) && pages.has("ann", 1, 0));
        pages.sound();
        pages.0.clear();
        assert!(!pages.has("ann", 1, 0));
        pages.sound();
    }
}
