//! The tools that are the bridge's own, granted by nobody: handing a part on, and what a person must agree to.

use std::time::Duration;

use rmcp::model::{CallToolResult, ErrorData, Tool as McpTool};
use serde_json::{Map, Value};

use super::{asking, children};
use crate::session::Session;

/// Whether a tool is one of these. No service can be called `claviger`, so no granted tool is.
pub(super) fn is_own(name: &str) -> bool {
    children::is(name) || asking::is(name)
}

/// As hosts are told of them while the vault is there. With nothing granted there is nothing to hand on.
pub(super) fn tools(granted: bool) -> Vec<McpTool> {
    let mut tools = if granted { children::tools() } else { Vec::new() };
    tools.extend(asking::tools());
    tools
}

/// Calls one of them.
pub(super) async fn call(
    session: &Session,
    name: &str,
    arguments: Map<String, Value>,
    patience: Duration,
) -> Result<CallToolResult, ErrorData> {
    if children::is(name) {
        children::call(session, name, arguments).await
    } else {
        Ok(asking::call(session, name, &arguments, patience).await)
    }
}
