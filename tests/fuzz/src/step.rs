//! Rendering: whatever the arguments are, the request is the one that its step describes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use claviger_canonical::Canonical;
use claviger_domain::arg::{ArgKind, ArgValue, Arguments};
use claviger_domain::catalog::Catalog;
use claviger_domain::codec::base64url;
use claviger_domain::name::Ident;
use claviger_domain::render::{Filling, Request, render};
use claviger_domain::step::{Codec, LookedUp, ParamSource, Segment, Step, Template};
use claviger_domain::tool::{Service, Tool};
use claviger_vault::catalog::load;
use serde_json::{Map, Value, json};
use url::Url;

use crate::input::Input;
use crate::mail;

static CATALOG: LazyLock<Catalog> =
    LazyLock::new(|| load(None, &BTreeMap::new(), &BTreeMap::new()).expect("the built-in catalog loads"));

/// Each tool of the built-in catalog, with its service.
static TOOLS: LazyLock<Vec<(&Service, &Tool)>> = LazyLock::new(|| {
    CATALOG
        .services
        .values()
        .flat_map(|service| service.tools.values().map(move |tool| (service, tool)))
        .collect()
});

/// Texts that mean more than themselves somewhere.
const HOSTILE: [&str; 12] = [
    "..",
    ".",
    "a/../../b?x=1#y",
    "a%2f..%2fb",
    "%2e%2e",
    "a\r\nX: y",
    "a&q=b",
    "\\..\\",
    "//evil.example/",
    "a\"b",
    "it's \\' x",
    "\u{202e}",
];

/// Any arguments and parameters for any built-in tool: what is rendered reads back, by readers that we did not write, as
/// the step's own origin, path, query names and body.
///
/// # Panics
/// Where that does not hold.
pub fn step(data: &[u8]) {
    let mut input = Input::new(data);
    let (service, tool) = TOOLS[input.below(TOOLS.len())];
    let page = input.flag().then(|| text(&mut input));
    let params = params(tool, &mut input);
    let given = if input.flag() {
        let Ok(given) = serde_json::from_slice(input.rest()) else { return };
        given
    } else {
        arguments(tool, &mut input)
    };
    let Ok(canonical) = Canonical::from_json(&given) else { return };
    let Ok(args) = Arguments::parse(&tool.args, canonical.value()) else { return };
    for step in tool.steps.iter().chain(service.steps.values()).filter(|step| !step.local) {
        let filling = Filling { args: &args, params: &params, page_token: page.as_deref() };
        let Ok(request) = render(step, filling) else { continue };
        assert!(render(step, filling).as_ref() == Ok(&request), "the same again");
        Check { step, args: &args, params: &params, page: page.as_deref() }.request(service, &request);
    }
}

/// A value for each argument, mostly one that fits its kind.
fn arguments(tool: &Tool, input: &mut Input<'_>) -> Value {
    let mut given = Map::new();
    for (name, arg) in &tool.args {
        // Most calls give what they must.
        if arg.required || input.flag() {
            given.insert(name.to_string(), value(&arg.kind, input));
        }
    }
    Value::Object(given)
}

/// A text, hostile now and then.
fn text(input: &mut Input<'_>) -> String {
    match usize::from(input.byte()) {
        known if known < HOSTILE.len() => HOSTILE[known].to_owned(),
        _ => input.text(),
    }
}

/// A text of these letters, or any text.
fn of_letters(letters: &[u8], input: &mut Input<'_>) -> String {
    if input.byte() < 16 {
        return text(input);
    }
    let found = input.bytes().iter().map(|byte| char::from(letters[usize::from(*byte) % letters.len()]));
    format!("a{}", found.collect::<String>())
}

fn list(input: &mut Input<'_>, mut item: impl FnMut(&mut Input<'_>) -> Value) -> Value {
    (0..input.byte() & 3).map(|_| item(input)).collect()
}

const ID: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

fn value(kind: &ArgKind, input: &mut Input<'_>) -> Value {
    let day = |input: &mut Input<'_>| {
        format!("20{:02}-{:02}-{:02}", input.byte() % 100, input.byte() % 13, input.byte() % 32)
    };
    match kind {
        ArgKind::Id => of_letters(ID, input).into(),
        ArgKind::Ids { .. } => list(input, |input| of_letters(ID, input).into()),
        ArgKind::Line { .. } | ArgKind::Text { .. } => text(input).into(),
        ArgKind::Integer { min, .. } => (min + i64::from(input.byte())).into(),
        ArgKind::Boolean => input.flag().into(),
        ArgKind::Date => day(input).into(),
        ArgKind::DateTime if input.flag() => day(input).into(),
        ArgKind::DateTime => format!("{}T{:02}:30:00+01:00", day(input), input.byte() % 25).into(),
        ArgKind::Calendar => calendar(input),
        ArgKind::Calendars { .. } => list(input, calendar),
        ArgKind::Event => of_letters(b"abcdefghijklmnopqrstuv0123456789_", input).into(),
        ArgKind::Addresses { .. } => list(input, |input| mail::address(input).into()),
        ArgKind::Choice(words) => words[input.below(words.len())].clone().into(),
        ArgKind::Page => format!("page_{:016x}", input.number()).into(),
        ArgKind::Attachments { .. } => list(input, |input| {
            let (name, kind) = (text(input), text(input));
            json!({ "name": name, "type": kind, "data": base64(input.bytes()) })
        }),
        ArgKind::Name => of_letters(b"abcABC019_.-", input).into(),
        ArgKind::Branch => of_letters(b"abc019_.-/@#+=", input).into(),
        ArgKind::Path | ArgKind::Url if input.flag() => text(input).into(),
        ArgKind::Path => of_letters(b"abc./ _-%?#\\", input).into(),
        ArgKind::Url => format!("https://example.org/{}", of_letters(b"abc./?#%2eF&=@", input)).into(),
        ArgKind::Upload { .. } => {
            json!({ "name": text(input), "sha256": "0".repeat(64), "size": input.below(65_536) })
        }
    }
}

fn calendar(input: &mut Input<'_>) -> Value {
    format!("{}@example.org", of_letters(b"abc.#_+-09", input)).into()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Parameters under the names that steps have, of the kinds that they come in.
fn params(tool: &Tool, input: &mut Input<'_>) -> BTreeMap<Ident, String> {
    let mut params = BTreeMap::new();
    for (name, source) in tool.steps.iter().flat_map(|step| &step.params) {
        if input.byte() < 32 {
            continue;
        }
        let value = match source {
            ParamSource::Look { kind: LookedUp::Json, .. } if input.flag() => guests(input).to_string(),
            ParamSource::Answer | ParamSource::Scope(_) => of_letters(ID, input),
            ParamSource::Look { .. } => text(input),
        };
        params.insert(name.clone(), value);
    }
    params
}

/// A guest list, as an answer may have it.
fn guests(input: &mut Input<'_>) -> Value {
    list(
        input,
        |input| json!({ "email": mail::address(input), "self": input.flag(), "responseStatus": text(input) }),
    )
}

struct Check<'a> {
    step: &'a Step,
    args: &'a Arguments,
    params: &'a BTreeMap<Ident, String>,
    page: Option<&'a str>,
}

impl Check<'_> {
    fn request(&self, service: &Service, request: &Request) {
        assert_eq!(request.method, self.step.method);
        let target = &request.path_and_query;
        assert!(target.starts_with('/') && target.bytes().all(|b| b.is_ascii_graphic()), "{target}");
        let uri: http::Uri = target.parse().expect("a request target");
        let origin = &service.pin.origins[0];
        let url = Url::parse(&format!("{origin}{target}")).expect("a URL");
        let home = Url::parse(&origin.to_string()).expect("an origin");
        assert_eq!(url.origin(), home.origin());
        assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
        let (path, query) = target.split_once('?').map_or((target.as_str(), None), |(p, q)| (p, Some(q)));
        // Neither reader resolves a segment, and both see the same.
        assert_eq!((uri.path(), uri.query()), (path, query));
        assert_eq!((url.path(), url.query()), (path, query));
        self.path(&url);
        self.query(&url);
        for value in request.content_type.iter().chain(&request.if_match) {
            http::HeaderValue::from_str(value).expect("a header's value");
        }
        assert!(request.if_match.is_none());
        assert_eq!(request.headers.len(), self.step.headers.len());
        for ((name, value), known) in request.headers.iter().zip(&self.step.headers) {
            assert_eq!((name.as_ref(), value), (known.0.as_str(), &known.1));
            http::HeaderValue::from_str(value).expect("a header's value");
        }
        self.body(request);
    }

    fn path(&self, url: &Url) {
        let segments: Vec<&str> = url.path_segments().expect("a path").collect();
        let value = |name: &Ident| match self.args.get(name) {
            Some(ArgValue::Upload(upload)) => Some(upload.name().to_owned()),
            Some(value) => value.texts().pop(),
            None => self.params.get(name).cloned(),
        };
        let expected: Vec<String> = self
            .step
            .path
            .iter()
            .flat_map(|segment| match segment {
                Segment::Literal(text) => vec![text.clone()],
                Segment::Param(name) => vec![value(name).expect("a value")],
                Segment::Rest(name) => {
                    let text = value(name).filter(|text| !text.is_empty());
                    text.iter().flat_map(|text| text.split('/')).map(str::to_owned).collect()
                }
            })
            .collect();
        assert_eq!(segments.len(), expected.len(), "{url}");
        for (found, expected) in segments.into_iter().zip(expected) {
            let decoded = decoded(found);
            assert_eq!(decoded, expected);
            assert!(!decoded.split(['/', '\\', ';']).any(|part| matches!(part, "." | "..")), "{decoded}");
            assert!(!decoded.is_empty() && !decoded.chars().any(char::is_control));
        }
    }

    /// The pairs of the query are those of the template, in its order, and none beside them.
    fn query(&self, url: &Url) {
        let mut expected: Vec<(&str, Option<String>)> = Vec::new();
        let mut pairs = url.query_pairs();
        for (name, template) in &self.step.query {
            match self.texts(template) {
                Some(texts) => expected.extend(texts.into_iter().map(|text| (name.as_str(), Some(text)))),
                None => expected.push((name, None)),
            }
        }
        if let (Some(paging), Some(token)) = (&self.step.page, self.page) {
            expected.push((&paging.query, Some(token.to_owned())));
        }
        let mut found = pairs.next();
        for (name, text) in expected {
            match (&found, text) {
                (Some((key, value)), Some(text)) if key == name && *value == text => {}
                // What a codec makes: in the language of the search there, or nothing at all.
                (Some((key, value)), None) if key == name => self.search(name, value),
                (_, None) => continue,
                (found, Some(text)) => panic!("{found:?} where {name}={text:?} is expected"),
            }
            found = pairs.next();
        }
        assert_eq!(found, None, "a pair that no template has");
    }

    /// What a template of plain values comes to; `None` for what a codec makes.
    fn texts(&self, template: &Template) -> Option<Vec<String>> {
        match template {
            Template::Literal(text) => Some(vec![text.clone()]),
            Template::Param(name) => Some(match (self.args.get(name), self.params.get(name)) {
                (Some(ArgValue::Upload(upload)), _) => vec![upload.name().to_owned()],
                (Some(value), _) => value.texts(),
                (None, Some(text)) => vec![text.clone()],
                (None, None) => Vec::new(),
            }),
            Template::List(items) => {
                items.iter().map(|item| self.texts(item)).collect::<Option<Vec<_>>>().map(|all| all.concat())
            }
            Template::Object(_) | Template::Codec(..) => None,
        }
    }

    /// A search has the operators of its codec, and whatever arguments said stands in quotes.
    fn search(&self, name: &str, value: &str) {
        let template = self.step.query.iter().find(|(known, _)| known == name).map(|(_, template)| template);
        match template {
            Some(Template::Codec(Codec::GmailQuery, _)) => gmail_terms(value),
            Some(Template::Codec(Codec::DriveQuery, _)) => drive_terms(value),
            Some(Template::Codec(Codec::PlainWords, _)) => {
                assert!(!value.contains(['"', ':', '\\', '(', ')']), "{value}");
            }
            _ => {}
        }
    }

    fn body(&self, request: &Request) {
        let kind = request.content_type.as_deref();
        match (&self.step.body, kind) {
            (None, _) => assert!(request.body.is_empty()),
            (Some(_), None) => assert!(request.body.is_empty()),
            (Some(Template::Codec(Codec::Json, fields)), Some(kind)) => {
                assert_eq!(kind, "application/json");
                let body: Value = serde_json::from_slice(&request.body).expect("JSON");
                self.fits(&fields["fields"], &body);
            }
            (Some(Template::Codec(Codec::MultipartRelated, _)), Some(kind)) => parts(kind, &request.body),
            (Some(Template::Codec(Codec::Rfc5322, _)), Some(_)) => mail::sound(&request.body),
            (Some(_), Some(_)) => {}
        }
    }

    /// A JSON body has the members of its template and no others, wherever they are.
    fn fits(&self, template: &Template, value: &Value) {
        match template {
            Template::Literal(text) => assert_eq!(value, text),
            Template::Param(name) => {
                if let Some(ArgValue::Text(text)) = self.args.get(name) {
                    assert_eq!(value, text);
                }
            }
            Template::List(items) => assert!(value.as_array().expect("a list").len() <= items.len()),
            Template::Object(fields) => {
                for (name, value) in value.as_object().expect("an object") {
                    self.fits(fields.get(name).expect("a member of the template's"), value);
                }
            }
            Template::Codec(Codec::Base64url, fields) => {
                let bytes = base64url::decode(value.as_str().expect("a text")).expect("base64url");
                if let Some(Template::Codec(Codec::Rfc5322, _)) = fields.get("of") {
                    mail::sound(&bytes);
                }
            }
            Template::Codec(..) => {}
        }
    }
}

/// RFC 3986 section 2.1; what is rendered is UTF-8.
fn decoded(segment: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = segment.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let digits = [bytes.next().expect("a digit"), bytes.next().expect("a digit")];
            let digits = std::str::from_utf8(&digits).expect("digits");
            out.push(u8::from_str_radix(digits, 16).expect("digits"));
        } else {
            out.push(b);
        }
    }
    String::from_utf8(out).expect("UTF-8")
}

/// Gmail: words in double quotes behind an operator of a few, and dates and flags that we write.
fn gmail_terms(query: &str) {
    let mut rest = query;
    while !rest.is_empty() {
        let operators = ["from:", "to:", "cc:", "subject:", "filename:", ""];
        let quoted = operators.iter().find_map(|operator| rest.strip_prefix(operator)?.strip_prefix('"'));
        rest = match quoted {
            Some(inside) => {
                let (word, after) = inside.split_once('"').expect("a quote that ends");
                assert!(!word.is_empty() && !word.contains(char::is_whitespace), "{query}");
                after
            }
            None => {
                let (word, _) = rest.split_once(' ').unwrap_or((rest, ""));
                let day = |word: &str| word.bytes().all(|b| b.is_ascii_digit() || b == b'/');
                let dated = ["after:", "before:"].iter().any(|op| word.strip_prefix(op).is_some_and(day));
                let flags = ["has:attachment", "-has:attachment", "is:unread", "-is:unread"];
                assert!(dated || flags.contains(&word), "{query}");
                &rest[word.len()..]
            }
        };
        rest = match rest.strip_prefix(' ') {
            Some(next) if !next.is_empty() => next,
            None if rest.is_empty() => rest,
            _ => panic!("{query}"),
        };
    }
}

/// Drive: terms joined by `and`, with what arguments said in single quotes.
fn drive_terms(query: &str) {
    let mut outside = String::new();
    let mut chars = query.chars();
    let mut inside = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => assert!(inside && matches!(chars.next(), Some('\\' | '\'')), "{query}"),
            '\'' => {
                inside = !inside;
                outside.push('\'');
            }
            c if !inside => outside.push(c),
            _ => {}
        }
    }
    assert!(!inside, "{query}");
    let known = [
        "'' in parents",
        "name = ''",
        "name contains ''",
        "fullText contains ''",
        "mimeType = ''",
        "modifiedTime >= ''",
        "trashed = false",
    ];
    let terms: Vec<&str> = outside.split(" and ").filter(|term| !term.is_empty()).collect();
    assert!(terms.iter().all(|term| known.contains(term)), "{query}");
    assert!((1..terms.len()).all(|n| !terms[..n].contains(&terms[n])), "each once: {query}");
}

/// A multipart/related body of exactly two parts, each with one header.
fn parts(kind: &str, body: &[u8]) {
    let boundary = kind.strip_prefix("multipart/related; boundary=").expect("a boundary");
    let body = [b"\r\n", body].concat();
    let marker = format!("\r\n--{boundary}");
    let at: Vec<usize> = (0..body.len()).filter(|at| body[*at..].starts_with(marker.as_bytes())).collect();
    let [first, second, end] = at[..] else { panic!("{} boundaries", at.len()) };
    assert_eq!(body[end + marker.len()..], *b"--\r\n");
    for (from, to) in [(first, second), (second, end)] {
        let part = &body[from + marker.len()..to];
        let line = part.strip_prefix(b"\r\nContent-Type: ").expect("a type");
        let head = line.windows(4).position(|four| four == b"\r\n\r\n").expect("an end of the head");
        assert!(line[..head].iter().all(|b| (b' '..=b'~').contains(b)), "one header");
    }
    let json = &body[first + marker.len()..second];
    let json = &json[json.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4..];
    serde_json::from_slice::<Value>(json).expect("metadata in JSON");
}
