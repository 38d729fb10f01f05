//! Steps that an adapter does itself: the vault's yes is all that it sends.
//!
//! There is no upstream and no credential. What gates the work is the capability, and what tells of it is the log: the
//! intent is durable before the yes, and so is the outcome of whatever changes something. The vault cannot see what the
//! adapter then does; it says what the adapter was allowed to do.

use bytes::Bytes;
use claviger_domain::event::{Detail, Ending};
use claviger_domain::refusal::{Class, Denial};
use claviger_domain::tool::Tool;

use super::Broker;
use super::errand::Errand;
use super::view::Sent;

impl Broker {
    /// Says yes to a local step.
    ///
    /// # Errors
    /// What was taken away meanwhile, or a log that cannot take it.
    pub(super) async fn allow_local(&self, errand: &Errand, tool: &Tool) -> Result<Sent, Denial> {
        let leased = self.read().lease(&errand.secret);
        let (secret, _lease) = leased
            .ok_or_else(|| Denial::new(Class::Revoked).field("secret").fix("the secret was removed"))?;
        let begun = self.begin(&errand.purpose, &secret, 0).await?;
        self.end(begun, Ending::Released, Some(200), 0, Detail::default()).await?;
        Ok(Sent {
            status: 200,
            headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
            body: Bytes::from_static(b"{}"),
            untrusted: tool.untrusted,
            flags: Vec::new(),
        })
    }
}
