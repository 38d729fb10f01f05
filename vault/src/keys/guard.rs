//! Memory for keys: the best page that this kernel gives, wiped when it is dropped.

use memfd_secret::MemfdSecret;
use memmap2::{Advice, MmapMut};
use zeroize::{Zeroize, Zeroizing};

/// How well a page is guarded, best first. `status` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `memfd_secret(2)`: not even the kernel maps it, so nothing but this process reads it.
    Secret,
    /// Locked: never swapped, not in a core dump; root can still read it.
    Locked,
    /// Ordinary memory that may be swapped; only wiped after use.
    Plain,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Secret => "memfd-secret",
            Kind::Locked => "locked",
            Kind::Plain => "plain",
        })
    }
}

enum Page {
    Secret(MemfdSecret),
    Locked(MmapMut),
    Plain(Zeroizing<Vec<u8>>),
}

/// Bytes of fixed number on a page of their own. Neither cloned nor printed.
pub(super) struct Guard {
    page: Page,
    len: usize,
}

impl Guard {
    /// That many zero bytes (at least one) on the best page there is.
    pub(super) fn new(len: usize) -> Self {
        let page = MemfdSecret::new(len)
            .map(Page::Secret)
            .or_else(|_| locked(len).map(Page::Locked))
            .unwrap_or_else(|_| Page::Plain(Zeroizing::new(vec![0; len])));
        Self { page, len }
    }

    /// How well it is guarded.
    pub(super) fn kind(&self) -> Kind {
        match self.page {
            Page::Secret(_) => Kind::Secret,
            Page::Locked(_) => Kind::Locked,
            Page::Plain(_) => Kind::Plain,
        }
    }

    /// The bytes, as many as were asked for.
    pub(super) fn bytes(&self) -> &[u8] {
        let page: &[u8] = match &self.page {
            Page::Secret(page) => page,
            Page::Locked(page) => page,
            Page::Plain(page) => page,
        };
        &page[..self.len]
    }

    /// The same bytes, to be filled in place.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        let page: &mut [u8] = match &mut self.page {
            Page::Secret(page) => page,
            Page::Locked(page) => page,
            Page::Plain(page) => page,
        };
        &mut page[..self.len]
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The kernel drops the page anyway; wiping first leaves no moment in which it is free and still full.
        self.bytes_mut().zeroize();
    }
}

/// An anonymous mapping that is locked into memory and left out of core dumps.
fn locked(len: usize) -> std::io::Result<MmapMut> {
    let page = MmapMut::map_anon(len)?;
    page.lock()?;
    page.advise(Advice::DontDump)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn every_kind_holds_what_was_put_in_and_can_be_wiped() {
        let pages = [
            Some(Guard::new(40)),
            locked(40).ok().map(|page| Guard { page: Page::Locked(page), len: 40 }),
            Some(Guard { page: Page::Plain(Zeroizing::new(vec![0; 40])), len: 40 }),
        ];
        for mut guard in pages.into_iter().flatten() {
            assert_eq!(guard.bytes(), [0; 40]);
            guard.bytes_mut().copy_from_slice(&[7; 40]);
            assert_eq!(guard.bytes(), [7; 40]);
            guard.bytes_mut().zeroize();
            assert_eq!(guard.bytes(), [0; 40]);
        }
    }

    #[test]
    fn the_best_page_of_this_kernel_is_taken() {
        let best = match (MemfdSecret::new(1), locked(1)) {
            (Ok(_), _) => Kind::Secret,
            (Err(_), Ok(_)) => Kind::Locked,
            _ => Kind::Plain,
        };
        assert_eq!(Guard::new(32).kind(), best);
    }
}
