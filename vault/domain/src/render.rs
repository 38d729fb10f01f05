//! Rendering: a step, the presented arguments and a few checked parameters become one request, byte for byte.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::address::Address;
use crate::arg::{ArgValue, Arguments};
use crate::codec::attachment::MediaType;
use crate::codec::drive_query::{self, DriveTerms};
use crate::codec::gmail_query::{self, GmailTerms};
use crate::codec::rfc5322::{self, Around, Mail, MailError};
use crate::codec::{base64url, event, multipart, percent, plain_words};
use crate::date::Date;
use crate::name::Ident;
use crate::refusal::{Class, Denial};
use crate::step::{Codec, Method, Segment, Step, Template, UploadBody, Within};
use crate::when::When;

/// A request, but for its origin and its credential.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query, encoded.
    pub path_and_query: String,
    /// The body's type, where there is a body.
    pub content_type: Option<String>,
    /// The etag that the object must still have (RFC 9110 section 13.1.1).
    pub if_match: Option<String>,
    /// The step's headers, and those of the vault's own making: a range, an upload that is announced.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// What stands around the file that comes beside the arguments, where the file is not the body itself.
    pub around: Option<Around>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Request({} …, {} bytes)", self.method.as_str(), self.body.len())
    }
}

/// What fills a template.
#[derive(Debug, Clone, Copy)]
pub struct Filling<'a> {
    /// The presented arguments.
    pub args: &'a Arguments,
    /// Parameters that were checked: ids from answers, ids in scope.
    pub params: &'a BTreeMap<Ident, String>,
    /// The upstream's own page token, where a page is turned.
    pub page_token: Option<&'a str>,
}

/// Renders one request.
///
/// # Errors
/// Class `bad-arguments` where a value does not fit where it must stand, such as a quote in a search term.
pub fn render(step: &Step, filling: Filling<'_>) -> Result<Request, Denial> {
    let mut path = String::new();
    for segment in &step.path {
        match segment {
            Segment::Literal(text) => {
                path.push('/');
                path.push_str(text);
            }
            Segment::Param(name) => {
                let text = filling.text(name).ok_or_else(|| missing(name))?;
                path.push('/');
                path.push_str(&percent::path_segment(&text).map_err(|_| bad(name))?);
            }
            Segment::Rest(name) => {
                for part in
                    filling.text(name).filter(|text| !text.is_empty()).iter().flat_map(|t| t.split('/'))
                {
                    path.push('/');
                    path.push_str(&percent::path_segment(part).map_err(|_| bad(name))?);
                }
            }
        }
    }
    let mut query = Vec::new();
    for (name, template) in &step.query {
        match filling.fill(template)? {
            Part::Absent => {}
            Part::Text(text) => query.push((name.clone(), text)),
            Part::Json(Value::Array(items)) => {
                for item in items {
                    query.push((name.clone(), scalar(item)?));
                }
            }
            Part::Json(value) => query.push((name.clone(), scalar(value)?)),
            Part::Bytes { .. } => return Err(unfit()),
        }
    }
    if let (Some(paging), Some(token)) = (&step.page, filling.page_token) {
        query.push((paging.query.clone(), token.to_owned()));
    }
    let path_and_query =
        if query.is_empty() { path } else { format!("{path}?{}", percent::join_query(&query)) };
    let (content_type, body) = match step.body.as_ref().map(|template| filling.fill(template)).transpose()? {
        None | Some(Part::Absent) => (None, Vec::new()),
        Some(Part::Bytes { content_type, bytes }) => (Some(content_type), bytes),
        Some(Part::Text(_) | Part::Json(_)) => return Err(unfit()),
    };
    let (content_type, around) = match &step.upload {
        None => (content_type, None),
        Some(upload) => {
            let kind = filling.media_type(upload.content_type.as_ref())?;
            match &upload.within {
                None => (Some(kind), None),
                Some(within) => (Some(MAIL.to_owned()), Some(filling.around(upload, within, &kind)?)),
            }
        }
    };
    Ok(Request {
        method: step.method,
        path_and_query,
        content_type,
        if_match: None,
        headers: step.headers.iter().map(|(name, value)| (Cow::Owned(name.clone()), value.clone())).collect(),
        body,
        around,
    })
}

/// What a whole mail is (RFC 2046 section 5.2.1).
const MAIL: &str = "message/rfc822";

/// One value of a query. A list or an object has no place there, and to pass it over could lose a filter.
fn scalar(value: Value) -> Result<String, Denial> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(yes) => Ok(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(unfit()),
    }
}

/// What a template came to.
enum Part {
    Absent,
    Text(String),
    Json(Value),
    Bytes { content_type: String, bytes: Vec<u8> },
}

impl Filling<'_> {
    /// What a body is said to be.
    fn media_type(self, template: Option<&Template>) -> Result<String, Denial> {
        match template.map_or(Ok(Part::Absent), |template| self.fill(template))? {
            Part::Absent => Ok("application/octet-stream".to_owned()),
            Part::Text(text) => Ok(text),
            Part::Json(_) | Part::Bytes { .. } => Err(unfit()),
        }
    }

    /// The mail that the file stands in.
    fn around(self, upload: &UploadBody, within: &Within, kind: &str) -> Result<Around, Denial> {
        let Template::Codec(Codec::Rfc5322, fields) = &within.mail else { return Err(unfit()) };
        let Some(ArgValue::Upload(file)) = self.args.get(&upload.arg) else {
            return Err(missing(&upload.arg));
        };
        let refused =
            |field: &Ident, why: String| Denial::new(Class::BadArguments).field(field.as_str()).fix(why);
        let kind = MediaType::parse(kind).map_err(|error| match &upload.content_type {
            Some(Template::Param(name)) => refused(name, format!("{name} {error}")),
            _ => unfit(),
        })?;
        let fields = Fields { filling: self, fields };
        let around = fields.write(|mail| Around::new(mail, file, &kind))?;
        if around.length() > within.max {
            let why = format!("the mail with the file in it would have more than {} bytes", within.max);
            return Err(refused(&upload.arg, why));
        }
        Ok(around)
    }

    fn fill(self, template: &Template) -> Result<Part, Denial> {
        Ok(match template {
            Template::Literal(text) => Part::Text(text.clone()),
            Template::Param(name) => match (self.args.get(name), self.params.get(name)) {
                (Some(value), _) => Part::from_value(value),
                (None, Some(text)) => Part::Text(text.clone()),
                (None, None) => Part::Absent,
            },
            Template::List(items) => {
                let mut list = Vec::new();
                for item in items {
                    match self.fill(item)? {
                        Part::Absent => {}
                        part => list.push(part.into_json()?),
                    }
                }
                Part::Json(Value::Array(list))
            }
            Template::Object(fields) => Part::Json(Value::Object(self.object(fields)?)),
            Template::Codec(codec, fields) => self.encode(*codec, fields)?,
        })
    }

    fn object(self, fields: &BTreeMap<String, Template>) -> Result<serde_json::Map<String, Value>, Denial> {
        let mut object = serde_json::Map::new();
        for (name, template) in fields {
            match self.fill(template)? {
                Part::Absent => {}
                part => {
                    object.insert(name.clone(), part.into_json()?);
                }
            }
        }
        Ok(object)
    }

    fn encode(self, codec: Codec, fields: &BTreeMap<String, Template>) -> Result<Part, Denial> {
        let fields = Fields { filling: self, fields };
        Ok(match codec {
            Codec::Json => match fields.part("fields")? {
                Part::Absent => Part::Absent,
                part => Part::Bytes {
                    content_type: "application/json".to_owned(),
                    bytes: part.into_json()?.to_string().into_bytes(),
                },
            },
            Codec::Base64url => match fields.part("of")? {
                Part::Absent => Part::Absent,
                Part::Bytes { bytes, .. } => Part::Text(base64url::encode(&bytes)),
                Part::Text(text) => Part::Text(base64url::encode(text.as_bytes())),
                Part::Json(_) => return Err(unfit()),
            },
            Codec::Base64 => match fields.part("of")? {
                Part::Absent => Part::Absent,
                Part::Bytes { bytes, .. } => Part::Text(STANDARD.encode(bytes)),
                Part::Text(text) => Part::Text(STANDARD.encode(text)),
                Part::Json(_) => return Err(unfit()),
            },
            Codec::BranchRef => match fields.text("of")? {
                None => Part::Absent,
                Some(branch) => Part::Text(format!("refs/heads/{branch}")),
            },
            Codec::Rfc5322 => {
                Part::Bytes { content_type: MAIL.to_owned(), bytes: fields.write(rfc5322::render)? }
            }
            Codec::GmailQuery => {
                let [from, to, cc] = [fields.text("from")?, fields.text("to")?, fields.text("cc")?];
                let [subject, words, filename] =
                    [fields.text("subject")?, fields.text("words")?, fields.text("filename")?];
                let terms = GmailTerms {
                    from: from.as_deref(),
                    to: to.as_deref(),
                    cc: cc.as_deref(),
                    filename: filename.as_deref(),
                    subject: subject.as_deref(),
                    words: words.as_deref(),
                    after: fields.date("after")?,
                    before: fields.date("before")?,
                    has_attachment: fields.flag("has_attachment")?,
                    unread: fields.flag("unread")?,
                };
                gmail_query::render(&terms)
                    .map_err(|error| fields.refuse(error.field, &error))?
                    .map_or(Part::Absent, Part::Text)
            }
            Codec::DriveQuery => {
                let [parent, name, part] =
                    [fields.text("parent")?, fields.text("name")?, fields.text("name_contains")?];
                let [text, mime] = [fields.text("full_text")?, fields.text("mime_type")?];
                let terms = DriveTerms {
                    parent: parent.as_deref(),
                    name: name.as_deref(),
                    name_contains: part.as_deref(),
                    full_text: text.as_deref(),
                    mime_type: mime.as_deref(),
                    modified_after: fields.date("modified_after")?,
                    with_trashed: match fields.text("trashed")?.as_deref() {
                        None => false,
                        Some("any") => true,
                        Some(_) => return Err(unfit()),
                    },
                };
                Part::Text(drive_query::render(&terms).map_err(|error| fields.refuse(error.field, &error))?)
            }
            Codec::MultipartRelated => {
                let metadata = fields.part("metadata")?.into_json()?;
                let content = fields.text("content")?.unwrap_or_default();
                let kind = fields.text("content_type")?.ok_or_else(unfit)?;
                let (content_type, bytes) =
                    multipart::related(&metadata, &kind, content.as_bytes()).map_err(|_| unfit())?;
                Part::Bytes { content_type, bytes }
            }
            Codec::PlainWords => match fields.text("words")? {
                None => Part::Absent,
                Some(words) => Part::Text(
                    plain_words::render("words", &words).map_err(|error| fields.refuse("words", &error))?,
                ),
            },
            Codec::Each => match (fields.part("of")?, fields.text("named")?) {
                (Part::Absent, _) => Part::Absent,
                (Part::Json(Value::Array(items)), Some(name)) => {
                    let one = |item| Value::Object(serde_json::Map::from_iter([(name.clone(), item)]));
                    Part::Json(items.into_iter().map(one).collect())
                }
                _ => return Err(unfit()),
            },
            Codec::Moment => match fields.when("at")? {
                None => Part::Absent,
                Some(when) => Part::Text(when.moment().to_string()),
            },
            Codec::EventTime => match fields.when("at")? {
                None => Part::Absent,
                Some(when) => Part::Json(event::time(when, fields.text("time_zone")?.as_deref())),
            },
            Codec::Guests => fields.guests()?,
            Codec::Only => match fields.part("of")? {
                Part::Absent => Part::Absent,
                Part::Json(Value::Array(mut items)) if items.len() == 1 => {
                    items.pop().map_or(Part::Absent, Part::Json)
                }
                _ => return Err(unfit()),
            },
            Codec::Flag => Part::Json(Value::Bool(fields.text("is")?.as_deref() == Some("true"))),
        })
    }

    /// A value that stands for one text: an id, a line, a number.
    fn text(self, name: &Ident) -> Option<String> {
        match (self.args.get(name), self.params.get(name)) {
            (Some(ArgValue::Texts(_) | ArgValue::Addresses(_) | ArgValue::Attachments(_)), _)
            | (None, None) => None,
            (Some(ArgValue::Upload(upload)), _) => Some(upload.name().to_owned()),
            (Some(value), _) => value.texts().pop(),
            (None, Some(text)) => Some(text.clone()),
        }
    }
}

/// The fields of one codec, typed.
struct Fields<'a> {
    filling: Filling<'a>,
    fields: &'a BTreeMap<String, Template>,
}

impl Fields<'_> {
    /// A mail of its typed fields, written in one way or another.
    fn write<T>(&self, write: impl FnOnce(&Mail<'_>) -> Result<T, MailError>) -> Result<T, Denial> {
        let (to, cc) = (self.addresses("to")?, self.addresses("cc")?);
        let (bcc, reply_to) = (self.addresses("bcc")?, self.addresses("reply_to")?);
        let text = |field: &str| self.text(field).map(Option::unwrap_or_default);
        let (subject, body, quote) = (text("subject")?, text("body")?, text("quote")?);
        let (in_reply_to, references) = (text("in_reply_to")?, text("references")?);
        let original =
            self.text("original")?.map(|raw| base64url::decode(&raw).ok_or_else(unfit)).transpose()?;
        let attachments = match self.value("attachments")? {
            None => &[][..],
            Some(ArgValue::Attachments(attachments)) => attachments,
            Some(_) => return Err(unfit()),
        };
        let mail = Mail {
            to: &to,
            cc: &cc,
            bcc: &bcc,
            reply_to: &reply_to,
            unaddressed: self.fields.contains_key("unaddressed"),
            subject: &subject,
            in_reply_to: &in_reply_to,
            references: &references,
            body: &body,
            quote: &quote,
            attachments,
            original: original.as_deref(),
        };
        write(&mail).map_err(|error| {
            let field = match error {
                MailError::Subject => "subject",
                MailError::NoRecipient => "to",
                MailError::Reference => "references",
                MailError::Boundary => "attachments",
            };
            self.refuse(field, &error)
        })
    }

    fn part(&self, field: &str) -> Result<Part, Denial> {
        self.fields.get(field).map_or(Ok(Part::Absent), |template| self.filling.fill(template))
    }

    fn text(&self, field: &str) -> Result<Option<String>, Denial> {
        match self.part(field)? {
            Part::Absent => Ok(None),
            Part::Text(text) => Ok(Some(text)),
            Part::Json(_) | Part::Bytes { .. } => Err(unfit()),
        }
    }

    /// What a codec said against one of its fields, under the name of the argument that filled it.
    fn refuse(&self, field: &str, error: &dyn std::fmt::Display) -> Denial {
        let name = match self.fields.get(field) {
            Some(Template::Param(name)) => name.as_str(),
            _ => field,
        };
        Denial::new(Class::BadArguments).field(name).fix(error.to_string())
    }

    /// The argument a field is made of, with its type.
    fn value(&self, field: &str) -> Result<Option<&ArgValue>, Denial> {
        match self.fields.get(field) {
            None => Ok(None),
            Some(Template::Param(name)) => Ok(self.filling.args.get(name)),
            Some(_) => Err(unfit()),
        }
    }

    fn date(&self, field: &str) -> Result<Option<Date>, Denial> {
        match self.value(field)? {
            None => Ok(None),
            Some(ArgValue::Date(date)) => Ok(Some(*date)),
            Some(_) => Err(unfit()),
        }
    }

    fn when(&self, field: &str) -> Result<Option<When>, Denial> {
        match self.value(field)? {
            None => Ok(None),
            Some(ArgValue::DateTime(when)) => Ok(Some(*when)),
            Some(_) => Err(unfit()),
        }
    }

    /// The guest list that results; absent where nothing is said of guests.
    fn guests(&self) -> Result<Part, Denial> {
        let (add, remove) = (self.addresses("add")?, self.addresses("remove")?);
        let response = self.text("response")?;
        if add.is_empty() && remove.is_empty() && response.is_none() {
            return Ok(Part::Absent);
        }
        // The vault fills this from its own look at the event, as JSON.
        let present = match self.part("present")? {
            Part::Absent => Value::Null,
            Part::Json(value) => value,
            Part::Text(text) => serde_json::from_str(&text).map_err(|_| unfit())?,
            Part::Bytes { .. } => return Err(unfit()),
        };
        let changes = event::Changes { add: &add, remove: &remove, response: response.as_deref() };
        event::guests(&present, changes).map(Part::Json).map_err(|error| self.refuse("add", &error))
    }

    fn flag(&self, field: &str) -> Result<Option<bool>, Denial> {
        match self.value(field)? {
            None => Ok(None),
            Some(ArgValue::Boolean(yes)) => Ok(Some(*yes)),
            Some(_) => Err(unfit()),
        }
    }

    fn addresses(&self, field: &str) -> Result<Vec<Address>, Denial> {
        match self.value(field)? {
            None => Ok(Vec::new()),
            Some(ArgValue::Addresses(addresses)) => Ok(addresses.clone()),
            Some(_) => Err(unfit()),
        }
    }
}

impl Part {
    fn from_value(value: &ArgValue) -> Self {
        match value {
            ArgValue::Text(text) => Part::Text(text.clone()),
            ArgValue::Texts(texts) => Part::Json(texts.clone().into()),
            ArgValue::Integer(number) => Part::Json((*number).into()),
            ArgValue::Boolean(yes) => Part::Json((*yes).into()),
            ArgValue::Date(date) => Part::Text(date.to_string()),
            ArgValue::DateTime(when) => Part::Text(when.to_string()),
            ArgValue::Path(path) => Part::Text(path.to_string()),
            ArgValue::Url(url) => Part::Text(url.to_string()),
            ArgValue::Addresses(addresses) => {
                Part::Json(addresses.iter().map(ToString::to_string).collect::<Vec<_>>().into())
            }
            // Bytes have no place but in a mail: where a text was meant, what people read of them stands.
            ArgValue::Attachments(_) => Part::Json(value.texts().into()),
            // Of a file its name is a text; its bytes come beside the arguments.
            ArgValue::Upload(upload) => Part::Text(upload.name().to_owned()),
        }
    }

    fn into_json(self) -> Result<Value, Denial> {
        match self {
            Part::Absent => Ok(Value::Null),
            Part::Text(text) => Ok(Value::String(text)),
            Part::Json(value) => Ok(value),
            Part::Bytes { .. } => Err(unfit()),
        }
    }
}

fn missing(name: &Ident) -> Denial {
    Denial::new(Class::BadStep).field(name.as_str()).fix(format!("the step needs {name}"))
}

fn bad(name: &Ident) -> Denial {
    Denial::new(Class::BadArguments).field(name.as_str())
}

/// A template that makes no sense. The catalog's loader refuses these; this is the wall behind it.
fn unfit() -> Denial {
    Denial::new(Class::BadStep).fix("the catalog's template does not fit its arguments")
}
