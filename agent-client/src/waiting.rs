//! What waits for a person, in an agent's words: what is asked for, and what became of it.

use std::fmt;

use claviger_canonical::{Canonical, ToolName};
use claviger_proto::v1::{self, caveat};

use crate::error::ClientError;
use crate::outcome::CallOutcome;

/// Names something that waits for a person: `ap_` and 32 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovalId(pub(crate) [u8; 16]);

impl ApprovalId {
    /// Reads its one form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("ap_")?.as_bytes();
        if digits.len() != 32 {
            return None;
        }
        let nibble = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for ApprovalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ap_")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody has decided.
    Pending,
    /// The owner said yes, or answered.
    Approved,
    /// The owner said no.
    Denied,
    /// Nobody decided in time, or the yes was not used in time.
    Expired,
    /// It was carried out.
    Done,
}

impl State {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Done => "done",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Pending, Self::Approved, Self::Denied, Self::Expired, Self::Done]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// What became of something that waited for a person.
#[derive(Debug, Clone)]
pub struct Collected {
    /// How it stands.
    pub state: State,
    /// What the owner said, if they said something; their text as it is.
    pub answer: String,
    /// Until when, in milliseconds since 1970.
    pub expires_at_ms: u64,
    /// The handle that came of it, or by which the call is made; `hdl_…` or empty.
    pub handle: String,
    /// Of a call that was approved: the tool and the exact arguments, as the vault kept them.
    pub(crate) call: Option<(ToolName, Canonical)>,
}

impl Collected {
    pub(crate) fn read(answer: v1::CollectResponse) -> Result<Self, ClientError> {
        let v1::CollectResponse { state, handle, tool, arguments, expires_at_ms, answer } = answer;
        let state = State::from_word(&state).ok_or(ClientError::BadAnswer("a state that is not known"))?;
        let call = match tool.as_str() {
            "" => None,
            name => {
                let name = name.parse().map_err(|_| ClientError::BadAnswer("a tool's name is not one"))?;
                let arguments = Canonical::from_bytes(&arguments)
                    .map_err(|_| ClientError::BadAnswer("the arguments are not canonical"))?;
                Some((name, arguments))
            }
        };
        Ok(Self { state, answer, expires_at_ms, handle, call })
    }
}

/// What came of looking.
#[derive(Debug)]
pub enum Waited {
    /// It was a call that the owner agreed to, and it was made now, once.
    Ran(CallOutcome),
    /// Nothing was to be done; this is how it stands.
    Told(Collected),
}

/// What the owner is asked for.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// What it is for; the owner sees these words as the agent's.
    pub purpose: String,
    /// A task under this handle (`hdl_…`); empty for the handle of the tools named, or where there is a secret.
    pub handle: String,
    /// A grant of this secret's tools; empty for none.
    pub secret: String,
    /// Tools: by the names that hosts see for a task, in full (`gmail.send_message`) for a grant.
    pub tools: Vec<String>,
    /// Within which bounds.
    pub bounds: AskBounds,
    /// For how long, in seconds; a task needs it.
    pub seconds: u64,
}

/// The bounds that an agent can ask for by name.
#[derive(Debug, Clone, Default)]
pub struct AskBounds {
    /// Only to these addresses, or `*@example.com`.
    pub recipients: Vec<String>,
    /// Only what has one of these labels.
    pub labels: Vec<String>,
    /// Only what lies in one of these folders.
    pub folders: Vec<String>,
    /// Only in these calendars.
    pub calendars: Vec<String>,
    /// So many calls altogether; 0 for no bound.
    pub calls: u64,
}

impl AskBounds {
    pub(crate) fn into_caveats(self) -> Vec<v1::Caveat> {
        let Self { recipients, labels, folders, calendars, calls } = self;
        let mut kinds = Vec::new();
        if !recipients.is_empty() {
            kinds.push(caveat::Kind::Recipients(v1::Patterns { patterns: recipients }));
        }
        for (name, values) in [("label", labels), ("folder", folders), ("calendar", calendars)] {
            if !values.is_empty() {
                let name = name.to_owned();
                kinds.push(caveat::Kind::Resource(v1::Resource { name, values, ..Default::default() }));
            }
        }
        if calls > 0 {
            kinds.push(caveat::Kind::Calls(calls));
        }
        kinds.into_iter().map(|kind| v1::Caveat { kind: Some(kind) }).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn ids_have_one_form() {
        let text = "ap_00112233445566778899aabbccddeeff";
        assert_eq!(ApprovalId::parse(text).unwrap().to_string(), text);
        for wrong in [
            "",
            "ap_",
            "ap_00",
            "hdl_00112233445566778899aabbccddeeff",
            &format!("{text}0"),
            &text.to_uppercase(),
        ] {
            assert_eq!(ApprovalId::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn answers_of_another_form_are_refused() {
        let answer = |state: &str, tool: &str, arguments: &[u8]| {
            Collected::read(v1::CollectResponse {
                state: state.to_owned(),
                tool: tool.to_owned(),
                arguments: arguments.to_vec(),
                ..Default::default()
            })
        };
        assert!(answer("approved", "gmail.send_message", b"{}").unwrap().call.is_some());
        assert!(answer("denied", "", b"").unwrap().call.is_none());
        for (state, tool, arguments) in
            [("", "", &b""[..]), ("agreed", "", b""), ("approved", "a b", b"{}"), ("approved", "a.b", b"{ }")]
        {
            assert!(answer(state, tool, arguments).is_err(), "{state} {tool}");
        }
    }
}
