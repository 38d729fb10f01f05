//! Bytes that are too many for a tool's result: what a service's module hands to the host instead.
//!
//! The module does the call's small steps and says by which step the bytes come or go. The host makes a ticket of it, and
//! the agent's client redeems that on the bulk socket: see [`crate::host::bulk`].

use serde_json::Value;

use crate::call::{Answer, Call};
use crate::failure::{Failure, Refused};
use crate::service::Shaped;
use crate::text::clean;

/// Bytes that wait to be fetched or put.
pub enum Transfer {
    /// Out of the service.
    Fetch(Fetch),
    /// Into the service.
    Put(Put),
}

/// Bytes that come out of the service.
pub struct Fetch {
    /// What they are called, in the words of strangers.
    pub name: String,
    /// How many the whole has, where that is known.
    pub size: Option<u64>,
    /// SHA-256 of the whole, lower-case hex, where the service told it.
    pub sha256: Option<String>,
    /// A word for this state of the object, where the service told one.
    pub version: Option<String>,
    /// Where they begin in the whole.
    pub offset: u64,
    /// Where they are.
    pub source: Source,
}

/// Where bytes come from.
pub enum Source {
    /// The vault's answer to this step, with these parameters.
    Step {
        /// The step.
        name: &'static str,
        /// Ids from an earlier answer of the call.
        params: Vec<(String, String)>,
    },
    /// An earlier answer of the call held them already.
    Here(Vec<u8>),
}

/// Bytes that go into the service. The presented arguments bind them by size and SHA-256.
pub struct Put {
    /// What they are called.
    pub name: String,
    /// How many there are.
    pub size: u64,
    /// The step whose body they are.
    pub step: &'static str,
    /// Ids from an earlier answer of the call.
    pub params: Vec<(String, String)>,
    /// Shapes the service's answer.
    pub finish: fn(&Call, &Answer) -> Result<Shaped, Failure>,
}

impl Put {
    /// The file that this argument of the call names, as the body of that step.
    ///
    /// # Errors
    /// As bad arguments, where none is named. The vault has checked the form: a client that gave another would have been
    /// refused when the call was minted.
    pub fn of(
        call: &Call,
        argument: &str,
        step: &'static str,
        finish: fn(&Call, &Answer) -> Result<Shaped, Failure>,
    ) -> Result<Self, Failure> {
        let refused = || Failure::Refused(Refused::here(Refused::BAD_ARGUMENTS));
        let file = call.argument(argument).ok_or_else(refused)?;
        let name = file.get("name").and_then(Value::as_str).unwrap_or_default();
        let size = file.get("size").and_then(Value::as_u64).ok_or_else(refused)?;
        Ok(Self { name: clean::line(name, 1000), size, step, params: Vec::new(), finish })
    }
}

/// Says what and how much, not what it is called: that is content.
impl std::fmt::Debug for Transfer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fetch(fetch) => write!(f, "Fetch({:?} bytes)", fetch.size),
            Self::Put(put) => write!(f, "Put({} bytes)", put.size),
        }
    }
}
