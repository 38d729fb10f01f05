//! The arguments of a tool: a closed set of kinds, parsed once into values that cannot be wrong.

use std::collections::{BTreeMap, BTreeSet};

use claviger_canonical::Value;

use crate::address::Address;
use crate::calendar_id::{parse_calendar, parse_event};
use crate::codec::attachment::Attachment;
use crate::codec::is_invisible;
use crate::date::Date;
use crate::name::Ident;
use crate::path::RelativePath;
use crate::refusal::{Class, Denial};
use crate::upload::Upload;
use crate::url::Url;
pub use crate::version::{parse_branch, parse_name};
use crate::when::When;

/// What an argument may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgKind {
    /// An upstream's identifier: 1 to 256 of `[A-Za-z0-9_-]`, so that no path, query or escape hides in it.
    Id,
    /// Up to so many identifiers, each once.
    Ids {
        /// How many at most.
        max: usize,
    },
    /// One line: up to so many characters, none of them a control or another character that hides or reorders text.
    /// Joiners and direction marks (U+200C to U+200F) stay: several scripts cannot be written without them.
    Line {
        /// How many characters at most.
        max: usize,
    },
    /// Text: up to so many characters; of control characters only tab and line ends, and no override of direction
    /// (U+202D, U+202E). Marks, embeddings and isolates stay: a text in Arabic or Hebrew needs them.
    Text {
        /// How many characters at most.
        max: usize,
    },
    /// A whole number.
    Integer {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// Yes or no.
    Boolean,
    /// A day, `YYYY-MM-DD`.
    Date,
    /// A day, or a moment with its offset: see [`When`].
    DateTime,
    /// A calendar's id: see [`parse_calendar`].
    Calendar,
    /// Up to so many ids of calendars, each once.
    Calendars {
        /// How many at most.
        max: usize,
    },
    /// A calendar event's id: see [`parse_event`].
    Event,
    /// Up to so many mail addresses.
    Addresses {
        /// How many at most.
        max: usize,
    },
    /// One of these words.
    Choice(Vec<String>),
    /// A page mark that the vault gave out with an earlier answer.
    Page,
    /// Up to so many attachments, `{name, type, data}` with data in base64; together at most 150 KiB.
    Attachments {
        /// How many at most.
        max: usize,
    },
    /// A path below the service's root, in its one form.
    Path,
    /// The name of something that has no id in addresses, such as a repository: see [`parse_name`].
    Name,
    /// The name of a branch, a tag or a commit: see [`parse_branch`].
    Branch,
    /// A web address, in its one form.
    Url,
    /// A file that is sent beside the arguments, `{name, sha256, size}`, of up to so many bytes.
    Upload {
        /// How many bytes at most.
        max: u64,
    },
}

/// One argument, as the catalog declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// What it may be.
    pub kind: ArgKind,
    /// Whether it must be given.
    pub required: bool,
    /// What it is where it is not given.
    pub default: Option<ArgValue>,
    /// Values that are never taken, in any grant. ASCII case does not count: an upstream may ignore it.
    pub deny: Vec<String>,
    /// What the model is told about it.
    pub summary: String,
}

/// The value of one argument.
#[derive(Clone, PartialEq, Eq)]
pub enum ArgValue {
    /// An id, a line, a text, a choice or a page mark.
    Text(String),
    /// Ids.
    Texts(Vec<String>),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Boolean(bool),
    /// A day.
    Date(Date),
    /// A day, or a moment.
    DateTime(When),
    /// Mail addresses.
    Addresses(Vec<Address>),
    /// Attachments.
    Attachments(Vec<Attachment>),
    /// A path.
    Path(RelativePath),
    /// A web address.
    Url(Url),
    /// A file that is sent beside the arguments.
    Upload(Upload),
}

impl std::fmt::Debug for ArgValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ArgValue(…)")
    }
}

impl ArgValue {
    /// The value as people read it, lists joined by commas. For the owner's eyes and for comparing with bounds.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        match self {
            ArgValue::Text(text) => vec![text.clone()],
            ArgValue::Texts(texts) => texts.clone(),
            ArgValue::Integer(number) => vec![number.to_string()],
            ArgValue::Boolean(yes) => vec![yes.to_string()],
            ArgValue::Date(date) => vec![date.to_string()],
            ArgValue::DateTime(when) => vec![when.to_string()],
            ArgValue::Addresses(addresses) => addresses.iter().map(ToString::to_string).collect(),
            ArgValue::Attachments(attachments) => attachments.iter().map(Attachment::describe).collect(),
            ArgValue::Path(path) => vec![path.to_string()],
            ArgValue::Url(url) => vec![url.to_string()],
            ArgValue::Upload(upload) => vec![upload.describe()],
        }
    }
}

/// The arguments of one call: what was given, and defaults for the rest. Only [`Arguments::parse`] makes them; the default
/// is none at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    values: BTreeMap<Ident, ArgValue>,
    /// Which of them the caller left out.
    defaults: BTreeSet<Ident>,
}

impl Arguments {
    /// Fits canonical arguments to a tool's declaration. Unknown arguments are refused, never dropped.
    ///
    /// # Errors
    /// A denial of class `bad-arguments` that names the argument, or no argument where the name itself is unknown
    /// (an unknown name is text of the peer's).
    pub fn parse(declared: &BTreeMap<Ident, Arg>, given: &Value) -> Result<Self, Denial> {
        let bad = || Denial::new(Class::BadArguments);
        let Value::Object(given) = given else { return Err(bad()) };
        for (name, _) in given.iter() {
            if !declared.keys().any(|known| known.as_str() == name) {
                let known = declared.keys().map(Ident::as_str).collect::<Vec<_>>().join(", ");
                return Err(bad().value(name).fix(format!("this tool takes: {known}")));
            }
        }
        let mut values = BTreeMap::new();
        let mut defaults = BTreeSet::new();
        for (name, arg) in declared {
            match given.get(name.as_str()) {
                Some(value) => {
                    let value = arg.parse(value).map_err(|why| {
                        bad().field(name.as_str()).value(excerpt(value)).fix(format!("{name} {why}"))
                    })?;
                    values.insert(name.clone(), value);
                }
                None if arg.required => {
                    return Err(bad().field(name.as_str()).fix(format!("{name} must be given")));
                }
                None => {
                    if let Some(default) = &arg.default {
                        values.insert(name.clone(), default.clone());
                        defaults.insert(name.clone());
                    }
                }
            }
        }
        Ok(Self { values, defaults })
    }

    /// The value of that argument, if it was given or has a default.
    #[must_use]
    pub fn get(&self, name: &Ident) -> Option<&ArgValue> {
        self.values.get(name)
    }

    /// Whether the caller gave that argument; a default that stands in for it does not count.
    #[must_use]
    pub fn is_given(&self, name: &Ident) -> bool {
        self.values.contains_key(name) && !self.defaults.contains(name)
    }

    /// The same arguments, and values that the vault has read itself, under names that no argument has: a name that is
    /// taken keeps what the caller gave.
    #[must_use]
    pub fn with(&self, more: BTreeMap<Ident, ArgValue>) -> Self {
        let mut all = self.clone();
        for (name, value) in more {
            all.values.entry(name).or_insert(value);
        }
        all
    }

    /// The same arguments, but for one whole number: how many elements the vault asks a list for is not what the caller
    /// gets of them.
    #[must_use]
    pub fn asking_for(&self, name: &Ident, number: i64) -> Self {
        let mut all = self.clone();
        all.values.insert(name.clone(), ArgValue::Integer(number));
        all
    }

    /// All arguments by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Ident, &ArgValue)> {
        self.values.iter()
    }
}

/// What is kept of a wrong value for the owner: its canonical text, at most 200 characters.
fn excerpt(value: &Value) -> String {
    String::from_utf8_lossy(&value.to_canonical()).chars().take(200).collect()
}

impl Arg {
    /// Fits one value to this declaration; the error is the rule it breaks, for the owner.
    fn parse(&self, value: &Value) -> Result<ArgValue, String> {
        let parsed = self.kind.parse(value)?;
        let denied = |text: &&String| self.deny.iter().any(|never| never.eq_ignore_ascii_case(text));
        if let Some(denied) = parsed.texts().iter().find(denied) {
            return Err(format!("is never {denied}"));
        }
        Ok(parsed)
    }
}

impl ArgKind {
    /// Fits a value of the catalog's or of a call's.
    ///
    /// # Errors
    /// The rule that the value breaks, as the end of a sentence that begins with the argument's name.
    pub fn parse(&self, value: &Value) -> Result<ArgValue, String> {
        let text = || value.as_str().ok_or_else(|| "is a text".to_owned());
        match self {
            ArgKind::Id => parse_id(text()?).map(ArgValue::Text),
            ArgKind::Ids { max } => each_once(value, *max, parse_id).map(ArgValue::Texts),
            ArgKind::Calendar => parse_calendar(text()?).map(ArgValue::Text),
            ArgKind::Calendars { max } => each_once(value, *max, parse_calendar).map(ArgValue::Texts),
            ArgKind::Event => parse_event(text()?).map(ArgValue::Text),
            ArgKind::Line { max } => {
                let line = text()?;
                if line.is_empty() || line.chars().count() > *max {
                    Err(format!("has 1 to {max} characters"))
                } else if line.chars().any(is_invisible) {
                    Err("is one line without control or invisible characters".to_owned())
                } else {
                    Ok(ArgValue::Text(line.to_owned()))
                }
            }
            ArgKind::Text { max } => {
                let long = text()?;
                if long.chars().count() > *max {
                    Err(format!("has at most {max} characters"))
                } else if long.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
                    Err("has no control characters but tabs and line ends".to_owned())
                } else if long.contains(['\u{202d}', '\u{202e}']) {
                    Err("has no characters that override the direction of text".to_owned())
                } else {
                    Ok(ArgValue::Text(long.to_owned()))
                }
            }
            ArgKind::Integer { min, max } => match value.as_integer() {
                Some(number) if (*min..=*max).contains(&number) => Ok(ArgValue::Integer(number)),
                _ => Err(format!("is a whole number from {min} to {max}")),
            },
            ArgKind::Boolean => {
                value.as_bool().map(ArgValue::Boolean).ok_or_else(|| "is true or false".to_owned())
            }
            ArgKind::Date => {
                text()?.parse().map(ArgValue::Date).map_err(|_| "is a day, YYYY-MM-DD".to_owned())
            }
            ArgKind::DateTime => text()?.parse().map(ArgValue::DateTime).map_err(|_| {
                "is a day, YYYY-MM-DD, or a moment such as 2026-03-01T09:30:00+01:00".to_owned()
            }),
            ArgKind::Addresses { max } => {
                let addresses = each(value, *max, |text| {
                    text.parse::<Address>()
                        .map_err(|_| "has plain addresses such as me@example.org only".to_owned())
                })?;
                Ok(ArgValue::Addresses(addresses))
            }
            ArgKind::Choice(words) => {
                let word = text()?;
                if words.iter().any(|known| known == word) {
                    Ok(ArgValue::Text(word.to_owned()))
                } else {
                    Err(format!("is one of {}", words.join(", ")))
                }
            }
            ArgKind::Page => {
                let mark = text()?;
                let digits = mark.strip_prefix("page_").unwrap_or_default();
                if digits.len() == 16 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                    Ok(ArgValue::Text(mark.to_owned()))
                } else {
                    Err("is next_page of an earlier answer".to_owned())
                }
            }
            ArgKind::Attachments { max } => {
                let items = value.as_array().ok_or_else(|| "is a list".to_owned())?;
                if items.len() > *max {
                    return Err(format!("has at most {max} entries"));
                }
                Attachment::list(items).map(ArgValue::Attachments).map_err(|error| error.to_string())
            }
            ArgKind::Path => text()?.parse().map(ArgValue::Path).map_err(|_| {
                "is a relative path such as notes/plan.txt, without . or .. or empty parts".to_owned()
            }),
            ArgKind::Name => parse_name(text()?).map(ArgValue::Text),
            ArgKind::Branch => parse_branch(text()?).map(ArgValue::Text),
            ArgKind::Url => text()?.parse().map(ArgValue::Url).map_err(|_| {
                "is a web address such as https://example.org/page, in plain ASCII, without a user or dot segments"
                    .to_owned()
            }),
            ArgKind::Upload { max } => Upload::parse(value, *max).map(ArgValue::Upload),
        }
    }
}

/// An identifier of an upstream's, wherever it came from.
///
/// # Errors
/// The rule it breaks.
pub fn parse_id(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if (1..=256).contains(&text.len()) && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("is an id of 1 to 256 letters, digits, _ or -".to_owned())
    }
}

/// An identifier that a grant pins: an ordinary one, or a calendar's.
///
/// # Errors
/// The rule it breaks.
pub fn parse_pinned(text: &str) -> Result<String, String> {
    parse_id(text).or_else(|why| parse_calendar(text).map_err(|_| why))
}

/// As [`each`], and nothing comes twice.
fn each_once(
    value: &Value,
    max: usize,
    parse: impl Fn(&str) -> Result<String, String>,
) -> Result<Vec<String>, String> {
    let ids = each(value, max, parse)?;
    if ids.iter().enumerate().any(|(at, id)| ids[..at].contains(id)) {
        return Err("names each id once".to_owned());
    }
    Ok(ids)
}

fn each<T>(value: &Value, max: usize, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let items = value.as_array().ok_or_else(|| "is a list".to_owned())?;
    if items.len() > max {
        return Err(format!("has at most {max} entries"));
    }
    items.iter().map(|item| parse(item.as_str().ok_or_else(|| "is a list of texts".to_owned())?)).collect()
}
