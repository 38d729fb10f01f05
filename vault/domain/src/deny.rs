//! Deny grants: what they name is forbidden, whatever other grants allow.

use crate::arg::Arguments;
use crate::grant::Grant;
use crate::tool::Tool;

/// Whether a live deny grant forbids that call with its secret. One without bounds forbids the whole tool; one whose
/// bounds cannot be read as a statement about the arguments forbids it too: not knowing means no.
#[must_use]
pub fn forbids(grant: &Grant, tool: &Tool, _args: &Arguments) -> bool {
    grant.deny && grant.tool(&tool.name).is_some()
}
