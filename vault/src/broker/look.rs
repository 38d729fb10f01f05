//! Looking before deciding: what a call would do, seen in the object and not only in its arguments.

use std::sync::Arc;

use claviger_domain::refusal::Denial;
use claviger_domain::seen::Seen;

use super::Broker;
use super::mint::Calling;

impl Broker {
    /// Looks at whatever decides the call's effect and its recipients besides its arguments.
    ///
    /// # Errors
    /// What cannot be seen is refused, or counts as a send.
    pub(super) async fn look(self: &Arc<Self>, calling: &Calling<'_>) -> Result<Seen, Denial> {
        Ok(Seen::nothing(calling.tool.effect))
    }
}
