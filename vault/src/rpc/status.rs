//! Refusals and faults as gRPC statuses: vague towards agents and adapters, exact towards admins.

use claviger_domain::refusal::{Class, Refusal};
use claviger_proto::refusal::to_status;
use claviger_proto::v1;
use tonic::{Code, Status};

use crate::broker::error::AdminError;
use crate::port::AuditFault;

/// The longest line for people, in bytes: all of a status must fit the 16 KiB of headers that clients take.
const MAX_MESSAGE: usize = 2000;
/// The longest hint, in bytes, and how many there are.
const HINTS: (usize, usize) = (500, 8);

/// The gRPC code of a class. Clients decide by the class; the code is for tools that know nothing else.
///
/// `Unavailable` is only said where nothing happened, because generic clients send such a call again.
#[must_use]
pub fn code(class: Class) -> Code {
    match class {
        Class::BadArguments | Class::BadStep => Code::InvalidArgument,
        Class::BadPresentation | Class::BadCapability => Code::Unauthenticated,
        Class::Stale | Class::ToolChanged | Class::NeedsLogin | Class::Sealed | Class::Pending => {
            Code::FailedPrecondition
        }
        Class::NotGranted | Class::Revoked | Class::Frozen | Class::Denied => Code::PermissionDenied,
        Class::OutOfScope => Code::NotFound,
        Class::RateLimited | Class::Busy => Code::ResourceExhausted,
        Class::Upstream | Class::Withheld => Code::Aborted,
        Class::Unknown => Code::Unknown,
        Class::Unavailable => Code::Unavailable,
    }
}

/// What an agent or an adapter is told: class, field, reference.
#[must_use]
pub fn refused(refusal: &Refusal) -> Status {
    let Refusal { class, field, reference, approval } = refusal;
    to_status(
        code(*class),
        &v1::Refusal {
            class: class.as_str().to_owned(),
            field: field.clone().unwrap_or_default(),
            reference: reference.map(|reference| reference.to_string()).unwrap_or_default(),
            message: String::new(),
            hints: Vec::new(),
            approval: approval.map(|approval| approval.to_string()).unwrap_or_default(),
        },
    )
}

/// A refusal of that class without anything else: what is said before the broker was asked.
#[must_use]
pub fn bare(class: Class) -> Status {
    refused(&Refusal { class, field: None, reference: None, approval: None })
}

/// What an admin is told: the fault in words and what to do next.
#[must_use]
pub fn failed(error: AdminError) -> Status {
    let message = error.to_string();
    let (class, field, hints) = parts(error);
    to_status(
        code(class),
        &v1::Refusal {
            class: class.as_str().to_owned(),
            field: field.to_owned(),
            reference: String::new(),
            message: cut(message, MAX_MESSAGE),
            hints: hints.into_iter().take(HINTS.1).map(|hint| cut(hint, HINTS.0)).collect(),
            approval: String::new(),
        },
    )
}

/// As much of a text as there is room for.
fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate((0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
        text.push('…');
    }
    text
}

/// As [`failed`], for a class that the broker has no error for.
#[must_use]
pub fn told(class: Class, message: &str, hint: &str) -> Status {
    to_status(
        code(class),
        &v1::Refusal {
            class: class.as_str().to_owned(),
            field: String::new(),
            reference: String::new(),
            message: message.to_owned(),
            hints: vec![hint.to_owned()],
            approval: String::new(),
        },
    )
}

fn parts(error: AdminError) -> (Class, &'static str, Vec<String>) {
    let hint = |text: &str| vec![text.to_owned()];
    match error {
        AdminError::Sealed => (Class::Sealed, "", hint("`claviger unseal` hands in the key")),
        AdminError::Missing { what, name: _, near } => {
            // What there is; which of them was meant, the command line tells by what was typed.
            let hints = match near.as_slice() {
                [] => Vec::new(),
                [only] => hint(&format!("there is only {only}")),
                all => hint(&format!("there are {}", all.join(", "))),
            };
            (Class::OutOfScope, what, hints)
        }
        AdminError::Exists { what, name } => {
            (Class::BadArguments, what, vec![format!("take another name, or remove {name} first")])
        }
        AdminError::Invalid { why: _, hints } => (Class::BadArguments, "", hints),
        AdminError::Conflict => (Class::Busy, "", hint("look at it again, then repeat the command")),
        AdminError::Store(_) => {
            (Class::Unavailable, "", hint("nothing was changed; look whether the disk has room"))
        }
        AdminError::StoreUnknown => {
            (Class::Unknown, "", hint("look whether it is there before you do it again"))
        }
        AdminError::Audit(AuditFault::Busy) => {
            (Class::Busy, "", hint("nothing was done; try again in a moment"))
        }
        AdminError::Audit(AuditFault::Full | AuditFault::Broken | AuditFault::Closed) => (
            Class::Unavailable,
            "",
            hint("nothing was done; `claviger status` says what the audit log needs"),
        ),
        AdminError::Upstream { why: _, hints } => (Class::Upstream, "", hints),
        AdminError::Undone { .. } => (
            Class::Unavailable,
            "",
            hint("look whether it still waits (`claviger approvals`), then decide again"),
        ),
        AdminError::NotDurable(_) => (
            Class::Unknown,
            "",
            hint("make room on the disk, then do it again so that it outlives a restart"),
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use claviger_domain::id::Ref;
    use claviger_proto::refusal::from_status;

    use super::*;

    #[test]
    fn every_class_has_a_code_and_arrives_as_it_was() {
        for class in Class::ALL {
            assert_ne!(code(class), Code::Ok, "{class}");
            let status = bare(class);
            assert_eq!(status.code(), code(class));
            assert_eq!(status.message(), class.as_str());
            assert_eq!(Class::from_word(&from_status(&status).unwrap().class), Some(class));
        }
        // What may have happened must not look as if it can be sent again.
        let again: Vec<Class> =
            Class::ALL.into_iter().filter(|class| code(*class) == Code::Unavailable).collect();
        assert_eq!(again, [Class::Unavailable]);
    }

    #[test]
    fn peers_are_told_class_field_and_reference() {
        let refusal = Refusal {
            approval: None,
            class: Class::OutOfScope,
            field: Some("to".into()),
            reference: Some(Ref::from_bytes([1; 8])),
        };
        let told = from_status(&refused(&refusal)).unwrap();
        assert_eq!((told.field.as_str(), told.reference.as_str()), ("to", "ref_0101010101010101"));
        assert!(told.message.is_empty() && told.hints.is_empty());
    }

    #[test]
    fn admins_are_told_what_to_do() {
        let errors = [
            AdminError::Sealed,
            AdminError::Missing { what: "agent", name: "bto".into(), near: vec!["bot".into()] },
            AdminError::Exists { what: "an agent", name: "bot".into() },
            AdminError::Invalid { why: "no".into(), hints: vec!["do".into()] },
            AdminError::Conflict,
            AdminError::Store("no room"),
            AdminError::StoreUnknown,
            AdminError::Audit(AuditFault::Full),
            AdminError::Audit(AuditFault::Broken),
            AdminError::Audit(AuditFault::Busy),
            AdminError::Audit(AuditFault::Closed),
            AdminError::Upstream { why: "no".into(), hints: vec!["look".into()] },
            AdminError::Undone { what: "a grant".into(), why: "no room".into() },
            AdminError::NotDurable("no room".into()),
        ];
        for error in errors {
            let words = error.to_string();
            let told = from_status(&failed(error)).unwrap();
            assert_eq!(told.message, words);
            assert!(!told.hints.is_empty(), "{words}: no hint");
            assert!(Class::from_word(&told.class).is_some(), "{words}");
        }
        let long = AdminError::Invalid { why: "é".repeat(9000), hints: vec!["é".repeat(9000); 100] };
        let told = from_status(&failed(long)).unwrap();
        assert!(told.message.len() < 2010 && told.hints.len() == 8 && told.hints[0].len() < 510);
        let missing = AdminError::Missing { what: "agent", name: "bto".into(), near: vec!["bot".into()] };
        assert_eq!(from_status(&failed(missing)).unwrap().hints, ["there is only bot"]);
    }
}
