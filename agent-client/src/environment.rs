//! Every environment variable that is read, and no other.

/// Path of the unix socket on which the vault serves this agent, such as `/run/claviger/agent/agent.sock`.
/// The same as `--socket`, which wins.
pub const SOCKET: &str = "CLAVIGER_AGENT_SOCKET";

/// Numeric user id that must be serving that socket. The same as `--vault-uid`, which wins. Without either, the owner
/// of the socket's directory must be, and nobody else may be able to write there.
pub const VAULT_UID: &str = "CLAVIGER_VAULT_UID";

/// How much is logged to standard error: `off`, `error`, `warn` (the default), `info` or `debug`. The same as `--log`,
/// which wins. No level shows arguments, answers or keys.
pub const LOG: &str = "CLAVIGER_AGENT_LOG";

/// The one directory in which tools save files, and from which they send them. The same as `--folder`, which wins. Without
/// either, tools that need one are refused.
pub const FOLDER: &str = "CLAVIGER_FOLDER";
