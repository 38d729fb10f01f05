//! What each agent has made with each secret, by the vault's own record: what `made_by_agent` means.
//!
//! The upstream is not asked: who made an object there is the account, whoever used it. A record is written after the
//! outcome of the step that made the object, and before the agent learns of it. There is room for the last ten thousand
//! of an agent and a secret, in chunks that are used in turn; the oldest are forgotten, and so are out of scope.

use std::collections::{BTreeMap, HashMap};

use claviger_domain::arg::parse_id;
use claviger_domain::name::{AgentName, SecretName};
use prost::Message;

use super::Broker;
use super::error::AdminError;
use super::load::UnsealError;
use super::persist::Plain;
use super::records;
use super::state::State;
use crate::port::Purpose;

/// How many ids one record holds.
const CHUNK: usize = 250;

/// How many records there are of an agent and a secret.
const CHUNKS: u32 = 40;

/// One chunk, at rest.
#[derive(Clone, PartialEq, Message)]
pub(super) struct MadeRecord {
    #[prost(string, tag = "1")]
    pub(super) agent: String,
    #[prost(string, tag = "2")]
    pub(super) secret: String,
    /// Its place, 0 to 39.
    #[prost(uint32, tag = "3")]
    pub(super) place: u32,
    /// Grows each time a chunk is begun: the highest is the one that is being filled.
    #[prost(uint64, tag = "4")]
    pub(super) round: u64,
    #[prost(string, repeated, tag = "5")]
    pub(super) ids: Vec<String>,
}

impl MadeRecord {
    fn key(&self) -> String {
        format!("made/{}/{}/{:02}", self.agent, self.secret, self.place)
    }
}

/// How many records one commit deletes.
const AT_ONCE: usize = 64;

/// Whose a record is, by its key.
fn whose(key: &str) -> Option<(AgentName, SecretName)> {
    let (agent, rest) = key.strip_prefix("made/")?.split_once('/')?;
    let (secret, _) = rest.rsplit_once('/')?;
    Some((agent.parse().ok()?, secret.parse().ok()?))
}

/// All chunks, by agent and secret, each with the version its record has.
#[derive(Default)]
pub(super) struct Made(HashMap<(AgentName, SecretName), BTreeMap<u32, (u64, MadeRecord)>>);

impl Made {
    fn ids(&self, agent: &AgentName, secret: &SecretName) -> Vec<String> {
        let chunks = self.0.get(&(agent.clone(), secret.clone()));
        chunks.into_iter().flat_map(BTreeMap::values).flat_map(|(_, chunk)| chunk.ids.clone()).collect()
    }

    /// The chunk that an id goes into, as it is to be written, with the version it has now; `None` where it is known.
    fn with(&self, agent: &AgentName, secret: &SecretName, id: &str) -> Option<(u64, MadeRecord)> {
        let none = BTreeMap::new();
        let chunks = self.0.get(&(agent.clone(), secret.clone())).unwrap_or(&none);
        if chunks.values().any(|(_, chunk)| chunk.ids.iter().any(|known| known == id)) {
            return None;
        }
        let newest = chunks.values().max_by_key(|(_, chunk)| chunk.round);
        match newest {
            Some((version, chunk)) if chunk.ids.len() < CHUNK => {
                let mut chunk = chunk.clone();
                chunk.ids.push(id.to_owned());
                Some((*version, chunk))
            }
            full => {
                let (place, round) =
                    full.map_or((0, 1), |(_, chunk)| ((chunk.place + 1) % CHUNKS, chunk.round + 1));
                let version = chunks.get(&place).map_or(0, |(version, _)| *version);
                let (agent, secret) = (agent.to_string(), secret.to_string());
                Some((version, MadeRecord { agent, secret, place, round, ids: vec![id.to_owned()] }))
            }
        }
    }
}

impl Broker {
    /// The ids of what an agent made with a secret.
    pub(super) fn made_ids(&self, agent: &AgentName, secret: &SecretName) -> Vec<String> {
        self.read().made.ids(agent, secret)
    }

    /// Remembers that the agent made this. Where the store does not take it, it is out of scope for `made_by_agent`, and
    /// the answer is released all the same: the object is there.
    pub(super) async fn remember_made(&self, agent: &AgentName, secret: &SecretName, id: &str) {
        if parse_id(id).is_err() {
            return;
        }
        let _turn = self.making.lock().await;
        let Some((version, chunk)) = self.read().made.with(agent, secret, id) else { return };
        let plain = || Plain::Sealed(Purpose::Record, records::encode(&chunk));
        match self.put_over(&chunk.key(), version, plain).await {
            Ok(version) => {
                // Where one of them was removed meanwhile, too: the store has it, and the next of that name is let in only
                // when what is known here is forgotten.
                let mut state = self.write();
                let chunks = state.made.0.entry((agent.clone(), secret.clone())).or_default();
                chunks.insert(chunk.place, (version, chunk));
            }
            Err(error) => {
                tracing::warn!(%agent, %secret, %error, "that the agent made an object could not be recorded");
            }
        }
    }

    /// Forgets what was made by an earlier agent, or with an earlier secret, of a name: the next one made none of it.
    /// Their records begin with `prefix`.
    ///
    /// # Errors
    /// The store did not take it; then they are still remembered.
    pub(super) async fn forget_made(
        &self,
        prefix: &str,
        wanted: impl Fn(&AgentName, &SecretName) -> bool,
    ) -> Result<(), AdminError> {
        let _turn = self.making.lock().await;
        // By what the store has: a record of unknown fate may be there and not in memory.
        let items = self.ports.store.scan(prefix).await;
        let (_, items) = items.map_err(|_| AdminError::Store("it does not answer"))?;
        let gone = items
            .into_iter()
            .filter(|item| whose(&item.key).is_some_and(|(agent, secret)| wanted(&agent, &secret)));
        let deletes: Vec<(String, u64)> = gone.map(|item| (item.key, item.version)).collect();
        for some in deletes.chunks(AT_ONCE) {
            self.commit_all(Vec::new(), some.to_vec()).await?;
        }
        self.write().made.0.retain(|(agent, secret), _| !wanted(agent, secret));
        Ok(())
    }

    /// Reads the records at unseal.
    pub(super) async fn read_made(&self, state: &mut State) -> Result<(), UnsealError> {
        for item in self.ports.store.scan("made/").await?.1 {
            let forged = || UnsealError::Forged { key: item.key.clone() };
            let unreadable = || UnsealError::Unreadable { key: item.key.clone() };
            let plain = self.unseal_item(Purpose::Record, &item).map_err(|_| forged())?;
            let chunk: MadeRecord = records::decode(&plain).map_err(|_| unreadable())?;
            if chunk.key() != item.key {
                return Err(forged());
            }
            let agent: AgentName = chunk.agent.parse().map_err(|_| unreadable())?;
            let secret: SecretName = chunk.secret.parse().map_err(|_| unreadable())?;
            let chunks = state.made.0.entry((agent, secret)).or_default();
            chunks.insert(chunk.place, (item.version, chunk));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn the_last_ten_thousand_are_known() {
        let (ann, bob): (AgentName, AgentName) = ("ann".parse().unwrap(), "bob".parse().unwrap());
        let (mine, other): (SecretName, SecretName) =
            ("drive/me".parse().unwrap(), "drive/b".parse().unwrap());
        let mut made = Made::default();
        let most = CHUNK * usize::try_from(CHUNKS).unwrap();
        let mut add = |number: usize| {
            let (version, chunk) = made.with(&ann, &mine, &format!("id{number}")).unwrap();
            let chunks = made.0.entry((ann.clone(), mine.clone())).or_default();
            assert_eq!(version, chunks.get(&chunk.place).map_or(0, |(version, _)| *version));
            chunks.insert(chunk.place, (version + 1, chunk));
        };
        (0..most).for_each(&mut add);
        assert_eq!(made.ids(&ann, &mine).len(), most);
        assert!(made.with(&ann, &mine, "id0").is_none(), "known already");
        assert!(made.ids(&bob, &mine).is_empty() && made.ids(&ann, &other).is_empty());
        let mut add = |number: usize| {
            let (version, chunk) = made.with(&ann, &mine, &format!("id{number}")).unwrap();
            let chunks = made.0.entry((ann.clone(), mine.clone())).or_default();
            chunks.insert(chunk.place, (version + 1, chunk));
        };
        add(most);
        let ids = made.ids(&ann, &mine);
        assert_eq!(ids.len(), most - CHUNK + 1);
        assert!(ids.contains(&format!("id{most}")) && ids.contains(&format!("id{CHUNK}")));
        assert!(!ids.contains(&"id0".to_owned()));
    }
}
