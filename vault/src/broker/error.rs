//! What goes wrong for an admin, exactly.

use claviger_domain::refusal::Denial;

use crate::port::AuditFault;

/// Why an admin's command did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// The vault is sealed.
    #[error("the vault is sealed")]
    Sealed,
    /// There is no such thing.
    #[error("there is no {what} {name}")]
    Missing {
        /// `agent`, `grant`, `secret`, …
        what: &'static str,
        /// What was asked for.
        name: String,
        /// Names that look like it.
        near: Vec<String>,
    },
    /// There is one already.
    #[error("there is already {what} {name}")]
    Exists {
        /// `an agent`, `a secret`, …
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// It makes no sense, or is not allowed.
    #[error("{why}")]
    Invalid {
        /// What is wrong.
        why: String,
        /// What to do next.
        hints: Vec<String>,
    },
    /// Somebody else changed the same thing at the same time.
    #[error("it was changed by somebody else at the same time")]
    Conflict,
    /// The store could not take it. It did not happen.
    #[error("the store cannot take it: {0}")]
    Store(&'static str),
    /// It is not known whether the store took it.
    #[error("it is not known whether the store took it")]
    StoreUnknown,
    /// It could not be recorded, and so did not happen.
    #[error("it could not be recorded: {0}")]
    Audit(#[from] AuditFault),
    /// The upstream said no, or nothing.
    #[error("{why}")]
    Upstream {
        /// What happened.
        why: String,
        /// What to do next.
        hints: Vec<String>,
    },
    /// It was not agreed to after all, and what the yes had made was taken away again.
    #[error("{why}; {what} was made, and is revoked again")]
    Undone {
        /// What was made.
        what: String,
        /// Why it could not stay.
        why: String,
    },
    /// It holds in memory at once, but is not durable: a restart would undo it.
    #[error("it holds now, but could not be made durable: {0}")]
    NotDurable(String),
}

impl AdminError {
    /// An invalid command, with what to do next.
    pub(crate) fn invalid(why: impl Into<String>, hint: impl Into<String>) -> Self {
        AdminError::Invalid { why: why.into(), hints: vec![hint.into()] }
    }

    /// A rule's denial, told to an admin whole.
    pub(crate) fn from_denial(denial: Denial) -> Self {
        let field = denial.field.map(|field| format!(" ({field})")).unwrap_or_default();
        AdminError::Upstream {
            why: format!("{}{field}", denial.class),
            hints: denial.fix.into_iter().collect(),
        }
    }
}
