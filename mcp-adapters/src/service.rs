//! What a service's module has to do, and which modules there are.

pub mod listing;

use futures_util::future::BoxFuture;
use rmcp::model::ContentBlock;
use serde_json::{Map, Value};

use crate::calendar::Calendar;
use crate::call::Call;
use crate::contacts::Contacts;
use crate::drive::Drive;
use crate::failure::Failure;
use crate::github::Github;
use crate::gmail::Gmail;
use crate::transfer::Transfer;

/// What a tool call gave, before the host marks and wraps it.
pub struct Shaped {
    /// The result for programs; the host adds `untrusted` where that is due.
    pub structured: Map<String, Value>,
    /// The result for readers.
    pub text: String,
    /// What does not fit into text: embedded resources.
    pub attached: Vec<ContentBlock>,
    /// What is too long for a result, and goes over the bulk socket.
    pub transfer: Option<Transfer>,
}

impl Shaped {
    /// A result of structured content and its text.
    #[must_use]
    pub fn new(structured: Map<String, Value>, text: impl Into<String>) -> Self {
        Self { structured, text: text.into(), attached: Vec::new(), transfer: None }
    }

    /// With bytes that the caller fetches, or puts, afterwards.
    #[must_use]
    pub fn with_transfer(mut self, transfer: Transfer) -> Self {
        self.transfer = Some(transfer);
        self
    }
}

/// The module of one service: runs a tool's steps and shapes what they gave.
pub trait Service: Send + Sync {
    /// Runs the call. `tool` is the part after the dot, `get_message`.
    fn run<'a>(&'a self, tool: &'a str, call: &'a Call) -> BoxFuture<'a, Result<Shaped, Failure>>;
}

impl Service for &'static dyn Service {
    fn run<'a>(&'a self, tool: &'a str, call: &'a Call) -> BoxFuture<'a, Result<Shaped, Failure>> {
        (**self).run(tool, call)
    }
}

/// The module of that name; `None` means that [`crate::generic`] serves it.
#[must_use]
pub fn service(name: &str) -> Option<&'static dyn Service> {
    match name {
        "gmail" => Some(&Gmail),
        "drive" => Some(&Drive),
        "calendar" => Some(&Calendar),
        "contacts" => Some(&Contacts),
        "github" => Some(&Github),
        _ => None,
    }
}
