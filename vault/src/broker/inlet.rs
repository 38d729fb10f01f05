//! Reading many records of the store: while one page is read, those before it are opened and decoded beside.
//!
//! A record costs more to open than to read, so a start with a million of them takes as long as the machine has cores
//! for it. What comes of it does not depend on that: records are handed on in the order of their keys, and the first one
//! that is not authentic, or not readable, ends it.

use std::collections::VecDeque;
use std::str::FromStr;
use std::sync::Arc;

use prost::Message;

use super::Broker;
use super::load::UnsealError;
use super::records;
use crate::port::{Item, Purpose, SealFault, Sealer, StoreFault};

/// How many records are read at a time.
const PAGE: usize = 4096;

/// What opens records, away from the broker.
#[derive(Clone)]
pub(super) struct Inlet(Arc<dyn Sealer>);

impl Inlet {
    /// Opens and decodes one.
    pub(super) fn read<M: Message + Default>(&self, item: &Item) -> Result<M, UnsealError> {
        read(&*self.0, item)
    }
}

impl Broker {
    /// Makes something of each record whose key begins so, and keeps it: in the order of their keys.
    ///
    /// # Errors
    /// The store's, or the first of what `make` says.
    pub(super) async fn read_all<T: Send + 'static>(
        &self,
        prefix: &str,
        make: impl Fn(&Inlet, &Item) -> Result<T, UnsealError> + Copy + Send + 'static,
        mut keep: impl FnMut(T),
    ) -> Result<(), UnsealError> {
        let beside = std::thread::available_parallelism().map_or(1, usize::from);
        let mut open = VecDeque::with_capacity(beside + 1);
        let mut after = None;
        loop {
            let page = self.ports.store.page(prefix, after.take(), PAGE).await?;
            let last = page.last().map(|item| item.key.clone());
            let ends = last.is_none();
            after = last;
            if !ends {
                let inlet = Inlet(Arc::clone(&self.ports.sealer));
                open.push_back(tokio::task::spawn_blocking(move || -> Result<Vec<T>, UnsealError> {
                    page.iter().map(|item| make(&inlet, item)).collect()
                }));
            }
            while open.len() > beside || (ends && !open.is_empty()) {
                let Some(oldest) = open.pop_front() else { break };
                let made = oldest.await.map_err(|_| StoreFault::Unavailable("a reader has ended".into()))?;
                made?.into_iter().for_each(&mut keep);
            }
            if ends {
                return Ok(());
            }
        }
    }
}

/// Opens and decodes a record.
pub(super) fn read<M: Message + Default>(sealer: &dyn Sealer, item: &Item) -> Result<M, UnsealError> {
    let plain = sealer.open(Purpose::Record, &item.key, item.version, &item.value);
    let plain = plain.map_err(|fault| forged(item, fault))?;
    records::decode(&plain).map_err(|_| unreadable(item))
}

/// A record says who it is; one that was moved under another key is not believed.
pub(super) fn require_key(item: &Item, key: &str) -> Result<(), UnsealError> {
    if item.key == key { Ok(()) } else { Err(UnsealError::Forged { key: item.key.clone() }) }
}

/// The same of an id, which has one form: reading it off the key is cheaper than writing it out.
pub(super) fn require_id<T: FromStr + PartialEq>(
    item: &Item,
    prefix: &str,
    id: T,
) -> Result<(), UnsealError> {
    let found = item.key.strip_prefix(prefix).and_then(|text| text.parse().ok());
    if found == Some(id) { Ok(()) } else { Err(UnsealError::Forged { key: item.key.clone() }) }
}

pub(super) fn unreadable(item: &Item) -> UnsealError {
    UnsealError::Unreadable { key: item.key.clone() }
}

pub(super) fn forged(item: &Item, _: SealFault) -> UnsealError {
    UnsealError::Forged { key: item.key.clone() }
}
