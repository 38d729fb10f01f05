//! Decoys: what nobody should use, and who does.

use claviger_domain::refusal::Denial;

use super::Broker;
use super::mint::Calling;

impl Broker {
    /// Looks for decoys in what a call was given.
    ///
    /// # Errors
    /// Class `frozen` where it used one: the agent is frozen from now on.
    pub(super) async fn spring(&self, _calling: &Calling<'_>) -> Result<(), Denial> {
        Ok(())
    }
}
