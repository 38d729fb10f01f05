//! Bounds on one argument.

use super::Caveat;
use crate::address::Address;
use crate::arg::{ArgKind, ArgValue};
use crate::host::HostPattern;
use crate::name::Ident;
use crate::refusal::{Class, Denial};

/// A bound on one argument. Missing data denies, but for [`Bound::Absent`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// Each element of a list is one of these. An empty list satisfies nothing.
    EachIn(Vec<String>),
    /// The value is one of these.
    OneOf(Vec<String>),
    /// The number is at most this.
    Max(i64),
    /// The caller does not give the argument; the catalog's default may stand in for it.
    Absent,
    /// The text has at most so many characters, or the list so many elements.
    MaxLength(u64),
    /// The text has at least so many characters, or the list so many elements.
    MinLength(u64),
    /// The URL points to one of these hosts. An empty list satisfies nothing.
    Hosts {
        /// Which hosts.
        hosts: Vec<HostPattern>,
        /// Whether a query string or fragment may follow.
        query: bool,
    },
}

impl Bound {
    /// The word for it in a grant.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Bound::EachIn(_) => "each_in",
            Bound::OneOf(_) => "one_of",
            Bound::Max(_) => "max",
            Bound::Absent => "absent",
            Bound::MaxLength(_) => "max_length",
            Bound::MinLength(_) => "min_length",
            Bound::Hosts { query: false, .. } => "hosts",
            Bound::Hosts { query: true, .. } => "hosts_with_query",
        }
    }

    /// Whether a call that leaves the argument to this default keeps the bound.
    pub(crate) fn takes_default(&self, name: &Ident, default: &ArgValue) -> bool {
        self.decide(name, Some(default), false).is_ok()
    }

    /// Whether it says anything about an argument of that kind.
    pub(super) fn fits(&self, kind: &ArgKind) -> bool {
        let list =
            matches!(kind, ArgKind::Ids { .. } | ArgKind::Addresses { .. } | ArgKind::Calendars { .. });
        let text = matches!(
            kind,
            ArgKind::Id
                | ArgKind::Calendar
                | ArgKind::Event
                | ArgKind::Line { .. }
                | ArgKind::Text { .. }
                | ArgKind::Choice(_)
                | ArgKind::Path
                | ArgKind::Name
                | ArgKind::Branch
                | ArgKind::Url
        );
        // Of a file: its name is a text, its size a number.
        let file = matches!(kind, ArgKind::Upload { .. });
        match self {
            Bound::EachIn(_) => list,
            Bound::OneOf(_) => {
                text || file
                    || matches!(
                        kind,
                        ArgKind::Integer { .. } | ArgKind::Date | ArgKind::DateTime | ArgKind::Boolean
                    )
            }
            Bound::Max(_) => file || matches!(kind, ArgKind::Integer { .. }),
            Bound::Absent => true,
            Bound::MaxLength(_) | Bound::MinLength(_) => list || text || file,
            Bound::Hosts { .. } => matches!(kind, ArgKind::Url),
        }
    }

    /// Decides the value that a call would use; `given` says whether the caller chose it.
    pub(super) fn decide(&self, name: &Ident, value: Option<&ArgValue>, given: bool) -> Result<(), Denial> {
        let holds = match (self, value) {
            (Bound::Absent, _) => !given,
            (_, None) => false,
            (Bound::EachIn(words), Some(ArgValue::Addresses(addresses))) => {
                let one_of =
                    |address: &Address| words.iter().any(|word| word.parse().as_ref() == Ok(address));
                !addresses.is_empty() && addresses.iter().all(one_of)
            }
            (Bound::EachIn(words), Some(value)) => {
                let given = value.texts();
                !given.is_empty() && given.iter().all(|text| words.contains(text))
            }
            (Bound::OneOf(words), Some(ArgValue::Upload(upload))) => {
                words.iter().any(|word| word == upload.name())
            }
            (Bound::OneOf(words), Some(value)) => {
                matches!(value.texts().as_slice(), [only] if words.contains(only))
            }
            (Bound::Max(most), Some(ArgValue::Integer(number))) => number <= most,
            (Bound::Max(most), Some(ArgValue::Upload(upload))) => {
                u64::try_from(*most).is_ok_and(|most| upload.size() <= most)
            }
            (Bound::Hosts { hosts, query }, Some(ArgValue::Url(url))) => {
                (*query || !url.has_query()) && hosts.iter().any(|host| host.matches(url.host()))
            }
            (Bound::Max(_) | Bound::Hosts { .. }, Some(_)) => false,
            (Bound::MaxLength(most), Some(value)) => length(value).is_some_and(|length| length <= *most),
            (Bound::MinLength(least), Some(value)) => length(value).is_some_and(|length| length >= *least),
        };
        if holds {
            return Ok(());
        }
        let caveat = Caveat::Argument(name.clone(), self.clone()).to_text();
        let shown = value.map(|value| value.texts().join(", "));
        Err(Denial::new(Class::OutOfScope)
            .field(name.as_str())
            .value(shown.unwrap_or_else(|| "(not given)".to_owned()))
            .fix(format!("call it so that {caveat} holds, or make a grant with another bound"))
            .caveat(caveat))
    }
}

fn length(value: &ArgValue) -> Option<u64> {
    match value {
        ArgValue::Text(text) => u64::try_from(text.chars().count()).ok(),
        ArgValue::Texts(texts) => u64::try_from(texts.len()).ok(),
        ArgValue::Addresses(addresses) => u64::try_from(addresses.len()).ok(),
        ArgValue::Path(path) => u64::try_from(path.as_str().chars().count()).ok(),
        ArgValue::Url(url) => u64::try_from(url.as_str().chars().count()).ok(),
        ArgValue::Attachments(attachments) => u64::try_from(attachments.len()).ok(),
        ArgValue::Upload(upload) => u64::try_from(upload.name().chars().count()).ok(),
        ArgValue::Integer(_) | ArgValue::Boolean(_) | ArgValue::Date(_) | ArgValue::DateTime(_) => None,
    }
}
