//! What the vault has opened for this agent.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use claviger_canonical::{ProofKey, ToolName};
use claviger_proto::connect::Server;
use claviger_proto::v1;
use serde_json::{Map, Value};
use zeroize::Zeroize as _;

use crate::bulk::Needs;
use crate::error::ClientError;
use crate::suggest;

/// Everything that is granted to this agent, as of one `Open`.
#[derive(Debug)]
pub struct Grants {
    agent: String,
    frozen: bool,
    pub(crate) boot: [u8; 16],
    pub(crate) replica: [u8; 8],
    handles: Vec<Handle>,
    /// By the name that hosts see.
    tools: BTreeMap<String, Arc<Tool>>,
}

impl Grants {
    /// The agent's name, as the vault knows it.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// Whether both were opened in one run of one vault.
    pub(crate) fn is_of_the_run_of(&self, other: &Self) -> bool {
        self.boot == other.boot && self.replica == other.replica
    }

    /// Whether the owner has stopped this agent: its calls are refused until it is thawed.
    #[must_use]
    pub fn frozen(&self) -> bool {
        self.frozen
    }

    /// The handles, in the vault's order.
    #[must_use]
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }

    /// The granted tools, by name.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<Tool>> {
        self.tools.values()
    }

    /// The tool of exactly that name, as hosts see it, and its handle.
    ///
    /// # Errors
    /// [`ClientError::UnknownTool`], with names that look like it.
    pub fn tool(&self, mcp_name: &str) -> Result<(&Arc<Tool>, &Handle), ClientError> {
        self.tools.get(mcp_name).and_then(|tool| Some((tool, self.handles.get(tool.handle)?))).ok_or_else(
            || ClientError::UnknownTool {
                suggestions: suggest::similar(mcp_name, self.tools.keys().map(String::as_str)),
            },
        )
    }

    /// Checks the vault's answer and takes it over; the proof keys in it are erased.
    pub(crate) fn read(answer: v1::OpenResponse) -> Result<Self, ClientError> {
        let v1::OpenResponse { agent, boot, replica, handles, frozen } = answer;
        let mut grants = Self {
            agent,
            frozen,
            boot: fixed(&boot, "the boot id is not 16 bytes")?,
            replica: fixed(&replica, "the replica id is not 8 bytes")?,
            handles: Vec::new(),
            tools: BTreeMap::new(),
        };
        for mut handle in handles {
            // Whatever is wrong with the rest of it: no copy of the key stays behind.
            let proof = fixed(&handle.proof_key, "a proof key is not 32 bytes").map(ProofKey::new);
            handle.proof_key.zeroize();
            grants.add(handle, proof?)?;
        }
        Ok(grants)
    }

    fn add(&mut self, handle: v1::OpenHandle, proof: ProofKey) -> Result<(), ClientError> {
        let v1::OpenHandle { id, grant, secret, proof_key: _, tools, expires_at_ms, adapter, parent, label } =
            handle;
        let index = self.handles.len();
        let mut count = 0;
        for tool in tools {
            let tool = Tool::read(tool, index)?;
            count += 1;
            // The first handle that offers a name presents it. Where several grants name one tool, the vault shows in
            // each what all of them allow, and chooses among them itself.
            if self.tools.contains_key(&tool.mcp_name) {
                continue;
            }
            self.tools.insert(tool.mcp_name.clone(), Arc::new(tool));
        }
        let bytes = handle_bytes(&id).ok_or(ClientError::BadAnswer("a handle's id is not one"))?;
        let endpoint = adapter.map(Endpoint::read).transpose()?;
        let parent = (!parent.is_empty()).then_some(parent);
        let handle =
            Handle { id, bytes, grant, secret, parent, label, expires_at_ms, tools: count, proof, endpoint };
        self.handles.push(handle);
        Ok(())
    }
}

/// The opaque reference to a grant. Its proof key can be used, not seen.
pub struct Handle {
    id: String,
    pub(crate) bytes: [u8; 16],
    grant: String,
    secret: String,
    parent: Option<String>,
    label: String,
    expires_at_ms: u64,
    tools: usize,
    pub(crate) proof: ProofKey,
    pub(crate) endpoint: Option<Endpoint>,
}

impl Handle {
    /// Its text, `hdl_…`. No secret.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The grant behind it.
    #[must_use]
    pub fn grant(&self) -> &str {
        &self.grant
    }

    /// The name of the secret that its calls use, such as `gmail/me`.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The handle it was narrowed from; `None` for a grant's own.
    #[must_use]
    pub fn parent(&self) -> Option<&str> {
        self.parent.as_deref()
    }

    /// What whoever narrowed it called it; may be empty.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// When it ends, in milliseconds since 1970; 0 for never.
    #[must_use]
    pub fn expires_at_ms(&self) -> u64 {
        self.expires_at_ms
    }

    /// How many tools are called by it.
    #[must_use]
    pub fn tool_count(&self) -> usize {
        self.tools
    }

    /// The name of the adapter that serves its tools, if one does.
    #[must_use]
    pub fn adapter(&self) -> Option<&str> {
        self.endpoint.as_ref().map(|endpoint| endpoint.adapter.as_str())
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Where an adapter serves, and who must be serving there.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) adapter: String,
    pub(crate) socket: PathBuf,
    pub(crate) server: Server,
}

impl Endpoint {
    fn read(endpoint: v1::Endpoint) -> Result<Self, ClientError> {
        let v1::Endpoint { adapter, socket, uid } = endpoint;
        let socket = PathBuf::from(socket);
        if !socket.is_absolute() {
            return Err(ClientError::BadAnswer("an adapter's socket is not an absolute path"));
        }
        Ok(Self { adapter, socket, server: uid.map_or(Server::OwnerOfDirectory, Server::Uid) })
    }
}

/// One thing this agent may do.
#[derive(Debug, Clone)]
pub struct Tool {
    /// The name a host sees, such as `gmail_search_messages`: 1 to 64 of `A-Z`, `a-z`, `0-9`, `_`, `-`.
    pub mcp_name: String,
    /// The name the vault and the adapter know it by, such as `gmail.search_messages`.
    pub name: ToolName,
    /// A title for people; may be empty.
    pub title: String,
    /// What it does, for a model.
    pub description: String,
    /// JSON Schema (2020-12) of its arguments, already narrowed by the grant.
    pub input_schema: Arc<Map<String, Value>>,
    /// What it does to the world.
    pub effect: Effect,
    /// Whether its answers are written by strangers.
    pub untrusted: bool,
    /// What it needs of the folder.
    pub(crate) needs: Needs,
    /// Position of its handle.
    handle: usize,
}

impl Tool {
    fn read(tool: v1::Tool, handle: usize) -> Result<Self, ClientError> {
        let v1::Tool { name, mcp_name, title, description, input_schema, effect, untrusted, definition: _ } =
            tool;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if !(1..=64).contains(&mcp_name.len()) || !mcp_name.bytes().all(allowed) {
            return Err(ClientError::BadAnswer("a tool has a name that hosts cannot take"));
        }
        let mut schema: Map<String, Value> = serde_json::from_slice(&input_schema)
            .map_err(|_| ClientError::BadAnswer("a tool's schema is not a JSON object"))?;
        let needs = Needs::take(&mut schema);
        Ok(Self {
            mcp_name,
            name: name.parse().map_err(|_| ClientError::BadAnswer("a tool's name is not one"))?,
            title,
            description,
            input_schema: Arc::new(schema),
            effect: Effect::from_word(&effect),
            untrusted,
            needs,
            handle,
        })
    }

    /// One line that says what it does: the title, or the first line of the description.
    #[must_use]
    pub fn summary(&self) -> &str {
        if self.title.is_empty() { self.description.lines().next().unwrap_or_default() } else { &self.title }
    }
}

/// What a call does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing changes upstream.
    Read,
    /// Something of the owner's changes.
    Write,
    /// Bytes can reach somebody besides the owner.
    Send,
    /// Something is destroyed.
    Delete,
}

impl Effect {
    /// The effect of that word. A word that is not known means send, since not knowing does.
    fn from_word(word: &str) -> Self {
        match word {
            "read" => Self::Read,
            "write" => Self::Write,
            "delete" => Self::Delete,
            _ => Self::Send,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Send => "send",
            Self::Delete => "delete",
        }
    }
}

fn fixed<const N: usize>(bytes: &[u8], fault: &'static str) -> Result<[u8; N], ClientError> {
    bytes.try_into().map_err(|_| ClientError::BadAnswer(fault))
}

/// The 16 bytes of `hdl_` and exactly 32 lower-case hex digits.
pub(crate) fn handle_bytes(id: &str) -> Option<[u8; 16]> {
    let digits = id.strip_prefix("hdl_")?.as_bytes();
    let mut bytes = [0; 16];
    if digits.len() != 32 {
        return None;
    }
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    fn answer() -> v1::OpenResponse {
        v1::OpenResponse {
            agent: "openclaw".to_owned(),
            boot: vec![1; 16],
            replica: vec![2; 8],
            frozen: false,
            handles: vec![v1::OpenHandle {
                parent: String::new(),
                label: String::new(),
                id: "hdl_000102030405060708090a0b0c0d0eff".to_owned(),
                grant: "gr_0001020304050607".to_owned(),
                secret: "gmail/me".to_owned(),
                proof_key: vec![3; 32],
                tools: vec![v1::Tool {
                    name: "gmail.send_message".to_owned(),
                    mcp_name: "gmail_send_message".to_owned(),
                    input_schema: b"{}".to_vec(),
                    effect: "send".to_owned(),
                    description: "Send a mail\nand more".to_owned(),
                    ..Default::default()
                }],
                expires_at_ms: 7,
                adapter: Some(v1::Endpoint {
                    adapter: "gmail".to_owned(),
                    socket: "/run/gmail.sock".to_owned(),
                    uid: Some(7),
                }),
            }],
        }
    }

    #[test]
    fn a_good_answer_is_taken() {
        let grants = Grants::read(answer()).unwrap();
        let (tool, handle) = grants.tool("gmail_send_message").unwrap();
        assert_eq!(
            (tool.name.as_str(), tool.effect, tool.summary()),
            ("gmail.send_message", Effect::Send, "Send a mail")
        );
        assert_eq!(handle.bytes[14..], [0x0e, 0xff]);
        assert_eq!((handle.tool_count(), handle.adapter()), (1, Some("gmail")));
        assert_eq!(handle.endpoint.as_ref().unwrap().server, Server::Uid(7));
        assert!(!format!("{grants:?}").contains("3, 3"));
    }

    #[test]
    fn malformed_answers_are_refused() {
        type Break = fn(&mut v1::OpenResponse);
        let breaks: [(&str, Break); 9] = [
            ("boot", |answer| answer.boot.truncate(15)),
            ("replica", |answer| answer.replica.push(0)),
            ("key", |answer| answer.handles[0].proof_key.truncate(31)),
            ("id", |answer| answer.handles[0].id.push('0')),
            ("id case", |answer| answer.handles[0].id.make_ascii_uppercase()),
            ("mcp name", |answer| answer.handles[0].tools[0].mcp_name.push('.')),
            ("name", |answer| answer.handles[0].tools[0].name.push(' ')),
            ("schema", |answer| answer.handles[0].tools[0].input_schema = b"[]".to_vec()),
            ("socket", |answer| answer.handles[0].adapter.as_mut().unwrap().socket = "a.sock".to_owned()),
        ];
        for (what, break_it) in breaks {
            let mut answer = answer();
            break_it(&mut answer);
            assert!(matches!(Grants::read(answer), Err(ClientError::BadAnswer(_))), "{what}");
        }
    }

    #[test]
    fn unknown_effects_mean_send() {
        for (word, expected) in [
            ("read", Effect::Read),
            ("write", Effect::Write),
            ("delete", Effect::Delete),
            ("", Effect::Send),
            ("Read", Effect::Send),
        ] {
            assert_eq!(Effect::from_word(word), expected, "{word}");
        }
    }

    /// Exact names only: a name that is nearly right calls nothing.
    #[test]
    fn names_are_never_corrected() {
        let grants = Grants::read(answer()).unwrap();
        for name in
            ["gmail_send_mesage", "gmail.send_message", "GMAIL_SEND_MESSAGE", "gmail_send_message ", ""]
        {
            assert!(matches!(grants.tool(name), Err(ClientError::UnknownTool { .. })), "{name}");
        }
        let error = grants.tool("gmail.send_message").unwrap_err();
        assert_eq!(error.to_string(), "no tool of that name is granted; did you mean gmail_send_message?");
    }
}
