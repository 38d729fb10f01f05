//! Steps: typed request templates, and what is checked around them. The vault renders requests from these alone.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::authors::Authors;
use crate::codec::letter;
use crate::name::Ident;
use crate::pointer::Pointer;
use crate::refusal::{Class, Denial};

/// An HTTP method a step may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    /// The method as it stands in a request line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// One segment of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Text of the catalog's.
    Literal(String),
    /// One parameter, percent-encoded, never `.` or `..` or empty.
    Param(Ident),
    /// The end of the path: a parameter that is a path itself. Each of its parts is a segment, percent-encoded, never `.`
    /// or `..` or empty; where it is absent, or the empty path, the request's path ends before it.
    Rest(Ident),
}

/// What a part of a request is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Template {
    /// Text of the catalog's.
    Literal(String),
    /// The value of an argument or parameter; absent where that is absent.
    Param(Ident),
    /// Each of these that is there.
    List(Vec<Template>),
    /// Named parts, those that are there.
    Object(BTreeMap<String, Template>),
    /// What a codec makes of its fields.
    Codec(Codec, BTreeMap<String, Template>),
}

/// The pure codecs. The set is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// A JSON body of `fields`.
    Json,
    /// Base64url of `of`.
    Base64url,
    /// Base64 of `of`, with padding (RFC 4648 section 4).
    Base64,
    /// Git's full name of the branch `of`: `refs/heads/` before it.
    BranchRef,
    /// A mail (RFC 5322) of `to`, `cc`, `bcc`, `reply_to`, `subject`, `body`, `attachments`; of `in_reply_to` and
    /// `references` (message ids), `quote` (text below the body) and `original` (a whole mail in base64url, attached as it
    /// is). With `unaddressed` it needs no recipient.
    Rfc5322,
    /// Gmail's search language of typed terms.
    GmailQuery,
    /// Drive's search language of typed terms.
    DriveQuery,
    /// A multipart/related body (RFC 2387) of `metadata`, `content`, `content_type`.
    MultipartRelated,
    /// Plain `words`, with nothing in them that any search takes for an operator.
    PlainWords,
    /// A list of objects that have each element of `of` as the member called `named`.
    Each,
    /// The moment `at` as RFC 3339; a day is its midnight in UTC.
    Moment,
    /// The beginning or the end of an event: `at`, shown in `time_zone`.
    EventTime,
    /// The whole guest list of an event: those `present`, and those in `add`, without those in `remove`, the account's own
    /// answer being `response`. Absent where none of the three is given.
    Guests,
    /// The only element of the list `of`: an upstream that takes one address, from an argument of addresses.
    Only,
    /// Yes or no, as `is` says.
    Flag,
}

impl Codec {
    /// The codec's name in the catalog, and the fields it takes.
    pub const ALL: [(Codec, &'static str, &'static [&'static str]); 15] = [
        (Codec::Json, "json", &["fields"]),
        (Codec::Base64url, "base64url", &["of"]),
        (Codec::Base64, "base64", &["of"]),
        (Codec::BranchRef, "branch_ref", &["of"]),
        (
            Codec::Rfc5322,
            "rfc5322",
            &[
                "to",
                "cc",
                "bcc",
                "reply_to",
                "subject",
                "body",
                "attachments",
                "in_reply_to",
                "references",
                "quote",
                "original",
                "unaddressed",
            ],
        ),
        (
            Codec::GmailQuery,
            "gmail_query",
            &[
                "from",
                "to",
                "cc",
                "subject",
                "words",
                "filename",
                "after",
                "before",
                "has_attachment",
                "unread",
            ],
        ),
        (
            Codec::DriveQuery,
            "drive_query",
            &["parent", "name", "name_contains", "full_text", "mime_type", "modified_after", "trashed"],
        ),
        (Codec::MultipartRelated, "multipart_related", &["metadata", "content", "content_type"]),
        (Codec::PlainWords, "plain_words", &["words"]),
        (Codec::Each, "each", &["of", "named"]),
        (Codec::Moment, "moment", &["at"]),
        (Codec::EventTime, "event_time", &["at", "time_zone"]),
        (Codec::Guests, "guests", &["present", "add", "remove", "response"]),
        (Codec::Only, "only", &["of"]),
        (Codec::Flag, "flag", &["is"]),
    ];

    /// The codec of that name, with the fields it takes.
    #[must_use]
    pub fn from_word(word: &str) -> Option<(Codec, &'static [&'static str])> {
        Codec::ALL.into_iter().find(|(_, name, _)| *name == word).map(|(codec, _, fields)| (codec, fields))
    }
}

/// Where a parameter that is no argument comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamSource {
    /// From the adapter, if an earlier answer under the same capability contained it.
    Answer,
    /// From the adapter or the vault, if it is one of the ids in scope of that resource; absent where none is bounded.
    Scope(Ident),
    /// From the vault, out of what a look of the tool's has seen: what a person agreed to, and what is still there.
    Look {
        /// The look.
        look: Ident,
        /// Where its answer has it.
        at: Pointer,
        /// As what it is taken.
        kind: LookedUp,
    },
}

/// As what a parameter is taken out of a look's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookedUp {
    /// One text, as it stands there.
    Text,
    /// The addresses of every text there, headers included.
    Addresses,
    /// The value as JSON, for a codec that takes it apart; absent where nothing stands there.
    Json,
}

/// What an answer may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerKind {
    /// A JSON object; only these fields of it are released.
    Json {
        /// Names of top-level fields. `issues.user.login` is of `issues` the member `user`, and of that the member `login`;
        /// of a list on the way, each element's.
        fields: Vec<String>,
    },
    /// Bytes as they are.
    Bytes,
    /// Bytes that are too many to be held, passed on as they come.
    Stream(Streamed),
}

impl AnswerKind {
    /// Whether it is JSON, which says of itself what it belongs to.
    #[must_use]
    pub fn is_json(&self) -> bool {
        matches!(self, AnswerKind::Json { .. })
    }
}

/// How an answer is passed on as it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streamed {
    /// The argument that says from which byte on (RFC 9110 section 14.2): a number; absent or 0 is the beginning.
    pub offset: Option<Ident>,
    /// The stream is one member of a JSON object, in base64url.
    pub member: Option<String>,
    /// How many bytes it has at most.
    pub max: u64,
}

/// A body that is sent beside the arguments, as one of them binds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadBody {
    /// The argument, of kind `upload`.
    pub arg: Ident,
    /// What the body is said to be; unsaid means any bytes.
    pub content_type: Option<Template>,
    /// The step of the service's that begins a session, in which an upload that was cut goes on: it is answered with where.
    pub start: Option<Ident>,
    /// The file is not the body itself, but stands in one.
    pub within: Option<Within>,
}

/// A mail whose last attachment a file is, as it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Within {
    /// [`Codec::Rfc5322`] with its fields: all of the mail but the file.
    pub mail: Template,
    /// How many bytes the whole mail has at most.
    pub max: u64,
}

/// How the upstream's page tokens are kept from everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging {
    /// Where the token stands in an answer.
    pub take: Pointer,
    /// Which query parameter takes it back.
    pub query: String,
    /// The argument, a whole number, that says how many elements a page has.
    pub size: Option<Ident>,
    /// The upstream counts its pages and gives no token: the vault counts along, until one is empty.
    pub numbered: bool,
    /// The list whose elements a bound may drop: the vault then turns the upstream's pages itself, for how full they are
    /// tells of what was dropped. `None` where nothing is dropped element by element.
    pub list: Option<Pointer>,
}

/// How a step keeps to a resource that a grant bounds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Check {
    /// The upstream filters by this query parameter, which the vault fills from the scope; the catalog trusts it.
    pub query: Option<QueryFilter>,
    /// This argument names such an object outright.
    pub arg: Option<Ident>,
    /// That argument is a path, and the step takes in all that lies below it.
    pub below: bool,
    /// The answer says which the object belongs to.
    pub response: Option<Pointer>,
    /// The answer is a list; elements that do not belong are dropped.
    pub elements: Option<Elements>,
    /// The vault looks at the object itself, before.
    pub probe: Option<Probe>,
    /// Of a day's bound: that the object takes time.
    pub span: Option<Span>,
}

/// That an object has an end besides its beginning, and must lie within its days with all that is between.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Span {
    /// Where it says when it ends, exclusively; `None` where only the arguments tell.
    pub until: Option<Pointer>,
    /// Where something stands if it comes again on other days.
    pub recurs: Option<Pointer>,
    /// The arguments that give it a beginning and an end, in the place of those that it has.
    pub given: Option<(Ident, Ident)>,
}

/// A filter of the upstream's that the vault fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryFilter {
    /// The query parameter.
    pub query: String,
    /// The step's parameter that comes from the scope.
    pub param: Ident,
}

/// A list whose elements are judged one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elements {
    /// The list.
    pub list: Pointer,
    /// In each element: what it belongs to.
    pub at: Pointer,
    /// Where no element remains, the object itself is out of scope: a thread of no message.
    pub nonempty: bool,
}

/// A request of the vault's own that tells what an object belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// A step of the service.
    pub step: Ident,
    /// Where its answer says it.
    pub at: Pointer,
    /// Whether to look again after the body came and before it is released.
    pub again: bool,
    /// The argument that will be added to what it belongs to.
    pub add: Option<Ident>,
    /// The argument that will be taken from it.
    pub remove: Option<Ident>,
    /// One probe for each object that an argument lists, instead of one for all.
    pub each: Option<Each>,
    /// One probe for each element of the answer's list, after the answer came: elements out of scope are dropped.
    pub of: Option<Of>,
    /// What the request itself adds to what the object belongs to, whatever its arguments.
    pub adds: Vec<String>,
    /// What the request itself takes from it.
    pub removes: Vec<String>,
    /// As the check's own, [`Check::span`].
    pub span: Option<Span>,
}

/// How a probe goes over the elements of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Of {
    /// The list.
    pub list: Pointer,
    /// In each element: its id.
    pub id: Pointer,
    /// The parameter of the probe's step that takes the id.
    pub param: Ident,
}

/// Where an answer has a mail that is to be read: its facts are then added to the answer, as the member `letter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LetterAt {
    /// A message of Gmail's JSON, format `full`.
    Message(Pointer),
    /// A whole mail in base64url.
    Raw(Pointer),
}

/// How a probe goes over the objects that an argument lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Each {
    /// The argument, a list of ids.
    pub arg: Ident,
    /// The parameter of the probe's step that takes one of them.
    pub param: Ident,
}

/// What an answer, or an element of it, may not have: what has it counts as not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refuse {
    /// The list whose elements are looked at; `None` for the answer itself.
    pub elements: Option<Pointer>,
    /// Where it would stand.
    pub at: Pointer,
    /// What would stand there: a text, or yes or no.
    pub is: Value,
}

impl Refuse {
    /// Whether that object has it: as its value, or in a list that is its value.
    #[must_use]
    pub fn has(&self, object: &Value) -> bool {
        self.at.select(object).into_iter().any(|found| match found {
            Value::Array(items) => items.contains(&self.is),
            found => *found == self.is,
        })
    }
}

/// One typed request template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name within its tool, or within its service.
    pub name: Ident,
    /// The method.
    pub method: Method,
    /// The path, segment by segment.
    pub path: Vec<Segment>,
    /// Query parameters in order; a list gives one pair an element.
    pub query: Vec<(String, Template)>,
    /// Headers of the catalog's, each with its one value.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Template>,
    /// Parameters that are no arguments.
    pub params: BTreeMap<Ident, ParamSource>,
    /// Per resource: how it is kept to.
    pub checks: BTreeMap<Ident, Check>,
    /// Arguments that hold recipients.
    pub recipients: Vec<Ident>,
    /// Ids that its answer makes usable as parameters of later steps, each with where they stand.
    pub yields: BTreeMap<Ident, Vec<Pointer>>,
    /// What its answer may be.
    pub answer: AnswerKind,
    /// The upstream answers with a bare list, which stands under this name from then on.
    pub list: Option<String>,
    /// How its pages are turned.
    pub page: Option<Paging>,
    /// The OAuth scopes of which any one suffices; the first is the narrowest. Empty for a tool's step, which uses
    /// its tool's.
    pub scope: Vec<String>,
    /// What an answer may not have.
    pub refuse: Vec<Refuse>,
    /// Where its answer names what it made.
    pub makes: Option<Pointer>,
    /// The adapter does the work itself once the vault has said yes: nothing is sent. Method and path say nothing then.
    pub local: bool,
    /// The look whose etag the request carries in `If-Match`.
    pub if_match: Option<Ident>,
    /// Where it stands who wrote what it answers, or carries; each must say so. Of none: strangers.
    pub authors: Vec<Authors>,
    /// A mail in its answer, to be read where the step is a look.
    pub letter: Option<LetterAt>,
    /// A body that is sent beside the arguments.
    pub upload: Option<UploadBody>,
}

impl Step {
    /// Whether its answer or its body is passed on in pieces, and never held whole.
    #[must_use]
    pub fn is_streamed(&self) -> bool {
        self.upload.is_some() || matches!(self.answer, AnswerKind::Stream(_))
    }

    /// An answer as the rest of the step speaks of it: a bare list stands under its name.
    ///
    /// # Errors
    /// Class `upstream`, field `answer`, where a list was declared and something else came.
    pub fn named(&self, answer: Value) -> Result<Value, Denial> {
        match (&self.list, answer) {
            (None, answer) => Ok(answer),
            (Some(name), list @ Value::Array(_)) => {
                Ok(Value::Object(serde_json::Map::from_iter([(name.clone(), list)])))
            }
            (Some(_), _) => Err(Denial::new(Class::Upstream)
                .field("answer")
                .fix("the upstream did not answer with a list")),
        }
    }

    /// An answer with the facts of the mail in it, as its member `letter`, where the step says that there is one.
    ///
    /// # Errors
    /// Class `out-of-scope` where the mail is not there, or could be read in more than one way.
    pub fn with_letter(&self, mut answer: Value) -> Result<Value, Denial> {
        let Some(place) = &self.letter else { return Ok(answer) };
        let one = |at: &Pointer| match at.select(&answer).as_slice() {
            &[only] => Some(only.clone()),
            _ => None,
        };
        let facts = match place {
            LetterAt::Message(at) => one(at).and_then(|message| letter::of_message(&message)),
            LetterAt::Raw(at) => one(at).and_then(|raw| letter::of_raw(raw.as_str()?)),
        };
        let denial = || {
            Denial::new(Class::OutOfScope)
                .field("object")
                .fix("the mail is not there, or its headers could be read in two ways")
        };
        let facts = facts.ok_or_else(denial)?;
        answer.as_object_mut().ok_or_else(denial)?.insert("letter".to_owned(), facts);
        Ok(answer)
    }

    /// How the step keeps to what is bounded under that name: a resource's, or one of [`crate::reserved`].
    #[must_use]
    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|(known, _)| known.as_str() == name).map(|(_, check)| check)
    }

    /// Every name that fills a part of its request.
    #[must_use]
    pub fn names(&self) -> Vec<&Ident> {
        let mut names = self.path_names();
        names.extend(self.path.iter().filter_map(|segment| match segment {
            Segment::Rest(name) => Some(name),
            Segment::Literal(_) | Segment::Param(_) => None,
        }));
        self.query.iter().for_each(|(_, template)| template.names(&mut names));
        self.body.iter().for_each(|template| template.names(&mut names));
        if let Some(upload) = &self.upload {
            upload.content_type.iter().for_each(|template| template.names(&mut names));
            upload.within.iter().for_each(|within| within.mail.names(&mut names));
        }
        names
    }

    /// The names that fill its path: without one of these there is no request.
    #[must_use]
    pub fn path_names(&self) -> Vec<&Ident> {
        let name = |segment| match segment {
            &Segment::Literal(_) | &Segment::Rest(_) => None,
            Segment::Param(name) => Some(name),
        };
        self.path.iter().filter_map(name).collect()
    }
}

impl Template {
    fn names<'a>(&'a self, found: &mut Vec<&'a Ident>) {
        match self {
            Template::Literal(_) => {}
            Template::Param(name) => found.push(name),
            Template::List(items) => items.iter().for_each(|item| item.names(found)),
            Template::Object(fields) | Template::Codec(_, fields) => {
                fields.values().for_each(|field| field.names(found));
            }
        }
    }
}
