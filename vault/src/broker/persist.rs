//! How the broker writes: sealed or authenticated bytes, each under the version it had when it was read.

use claviger_domain::id::VaultId;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::Broker;
use super::error::AdminError;
use crate::port::{Commit, Item, Precondition, Purpose, SealFault, Transaction, Write};

/// What a record is before it is written.
#[derive(Clone)]
pub(super) enum Plain {
    /// Encrypted under that purpose.
    Sealed(Purpose, Vec<u8>),
    /// Readable, but authenticated under the registry's key.
    Registry(Vec<u8>),
}

/// One record to write.
#[derive(Clone)]
pub(super) struct Put {
    /// Its key.
    pub(super) key: String,
    /// The version it has now; 0 for a new one.
    pub(super) version: u64,
    /// What it will be.
    pub(super) plain: Plain,
}

/// How often a commit of unknown fate is looked up before the answer is "unknown".
const LOOK_UPS: u32 = 3;

impl Broker {
    /// Writes these records together or not at all.
    ///
    /// # Errors
    /// Conflict, no room, no store; or unknown, where looking it up did not help.
    pub(super) async fn commit(&self, puts: Vec<Put>) -> Result<(), AdminError> {
        self.commit_all(puts, Vec::new()).await
    }

    /// Writes and deletes together or not at all. A deleted key is named with the version it has.
    pub(super) async fn commit_all(
        &self,
        puts: Vec<Put>,
        deletes: Vec<(String, u64)>,
    ) -> Result<(), AdminError> {
        let mut transaction =
            Transaction { id: self.random(), preconditions: Vec::new(), writes: Vec::new() };
        for Put { key, version, plain } in puts {
            let value = self.protect(&key, version + 1, plain).map_err(|_| AdminError::Sealed)?;
            transaction.preconditions.push(Precondition { key: key.clone(), version });
            transaction.writes.push(Write::Put(key, value));
        }
        for (key, version) in deletes {
            transaction.preconditions.push(Precondition { key: key.clone(), version });
            transaction.writes.push(Write::Delete(key));
        }
        let id = transaction.id;
        match self.ports.store.commit(transaction).await {
            Commit::Committed(_) => Ok(()),
            Commit::Conflict => Err(AdminError::Conflict),
            Commit::Unavailable => Err(AdminError::Store("it does not answer")),
            Commit::Full => Err(AdminError::Store("there is no room")),
            Commit::Unknown => self.look_up(id).await,
        }
    }

    /// Writes a record that only this process writes, and of which what is in memory is the truth. Where an earlier
    /// commit had happened without our knowing (unknown, or its caller gone), the version is looked up and it is tried
    /// once more. Returns the version it has now. A record that is gone stays gone.
    ///
    /// # Errors
    /// As for [`Broker::commit_all`].
    pub(super) async fn put_over(
        &self,
        key: &str,
        version: u64,
        plain: impl Fn() -> Plain + Send,
    ) -> Result<u64, AdminError> {
        let put = |version| Put { key: key.to_owned(), version, plain: plain() };
        match self.commit(vec![put(version)]).await {
            Ok(()) => Ok(version + 1),
            Err(AdminError::Conflict) => {
                let item = self.ports.store.get(key).await;
                let item = item.map_err(|_| AdminError::Store("it does not answer"))?;
                let version = item.ok_or(AdminError::Conflict)?.version;
                self.commit(vec![put(version)]).await?;
                Ok(version + 1)
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes records that only this process writes, together or not at all. Where an earlier commit had happened without
    /// our knowing, what is still there is looked up and it is tried once more; what is gone needs no deleting.
    ///
    /// # Errors
    /// As for [`Broker::commit_all`].
    pub(super) async fn delete_over(&self, deletes: Vec<(String, u64)>) -> Result<(), AdminError> {
        match self.commit_all(Vec::new(), deletes.clone()).await {
            Err(AdminError::Conflict) => {}
            done => return done,
        }
        let mut left = Vec::with_capacity(deletes.len());
        for (key, _) in deletes {
            match self.version_of(&key).await? {
                0 => {}
                version => left.push((key, version)),
            }
        }
        if left.is_empty() { Ok(()) } else { self.commit_all(Vec::new(), left).await }
    }

    /// The version that the store has of a record; 0 where it has none.
    ///
    /// # Errors
    /// The store does not answer.
    pub(super) async fn version_of(&self, key: &str) -> Result<u64, AdminError> {
        let item = self.ports.store.get(key).await;
        let item = item.map_err(|_| AdminError::Store("it does not answer"))?;
        Ok(item.map_or(0, |item| item.version))
    }

    /// Unknown is not failure: the store itself knows whether the transaction happened.
    async fn look_up(&self, id: [u8; 16]) -> Result<(), AdminError> {
        for _ in 0..LOOK_UPS {
            match self.ports.store.happened(id).await {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => return Err(AdminError::Store("the commit did not happen")),
                Err(_) => {}
            }
        }
        Err(AdminError::StoreUnknown)
    }

    fn protect(&self, key: &str, version: u64, plain: Plain) -> Result<Vec<u8>, SealFault> {
        match plain {
            Plain::Sealed(purpose, bytes) => {
                let bytes = Zeroizing::new(bytes);
                self.ports.sealer.seal(purpose, key, version, &bytes)
            }
            Plain::Registry(bytes) => {
                let mut value = self.registry_mac(self.settings.vault, key, version, &bytes)?.to_vec();
                value.extend_from_slice(&bytes);
                Ok(value)
            }
        }
    }

    /// Opens a sealed record.
    pub(super) fn unseal_item(&self, purpose: Purpose, item: &Item) -> Result<Zeroizing<Vec<u8>>, SealFault> {
        self.ports.sealer.open(purpose, &item.key, item.version, &item.value)
    }

    /// The readable part of a registry record. While sealed it is believed for who may connect, and for nothing else.
    pub(super) fn registry_plain(item: &Item) -> Option<&[u8]> {
        item.value.get(32..)
    }

    /// Checks that a registry record is one of ours.
    pub(super) fn verify_registry(&self, item: &Item) -> Result<(), SealFault> {
        let (mac, plain) = item.value.split_at_checked(32).ok_or(SealFault::Forged)?;
        let ours = self.registry_mac(self.settings.vault, &item.key, item.version, plain)?;
        if bool::from(ours.ct_eq(mac)) { Ok(()) } else { Err(SealFault::Forged) }
    }

    fn registry_mac(
        &self,
        vault: VaultId,
        key: &str,
        version: u64,
        plain: &[u8],
    ) -> Result<[u8; 32], SealFault> {
        let fields: [&[u8]; 4] = [vault.as_bytes(), key.as_bytes(), &version.to_be_bytes(), plain];
        // The derived bytes are the tag itself: a PRF of all the fields, each length-prefixed by the sealer.
        Ok(*self.ports.sealer.derive(Purpose::Registry, &fields)?)
    }
}
