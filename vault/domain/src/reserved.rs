//! The names under which a step may keep to a bound that is no resource of its service.

use crate::caveat::Role;

/// A bound that every service knows. A service may still define `file` as a resource, so that names of files become
/// ids; the others it cannot define.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// People: `sender`, `owner`, `attendee`.
    Person(Role),
    /// The object's day: `date`.
    Date,
    /// The object's own id, for a grant of these very objects: `file`.
    File,
    /// The object's own id, for what the agent itself made: `made`.
    Made,
    /// A path below the service's root: `path`.
    Path,
}

impl Reserved {
    /// All of them.
    pub const ALL: [Reserved; 7] = [
        Reserved::Person(Role::Sender),
        Reserved::Person(Role::Owner),
        Reserved::Person(Role::Attendee),
        Reserved::Date,
        Reserved::File,
        Reserved::Made,
        Reserved::Path,
    ];

    /// The word in the catalog.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reserved::Person(role) => role.as_str(),
            Reserved::Date => "date",
            Reserved::File => "file",
            Reserved::Made => "made",
            Reserved::Path => "path",
        }
    }

    /// The bound of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Reserved::ALL.into_iter().find(|reserved| reserved.as_str() == word)
    }
}
