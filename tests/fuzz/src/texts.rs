//! Small texts with one form each: addresses, web addresses, pointers, names, bounds, and what a server says of a mail.

use std::fmt::Display;
use std::str::FromStr;

use claviger_domain::address::{Address, Pattern};
use claviger_domain::authors::Results;
use claviger_domain::codec::percent;
use claviger_domain::date::Date;
use claviger_domain::host::HostPattern;
use claviger_domain::hours::Hours;
use claviger_domain::id::{GrantId, HandleId, Ref};
use claviger_domain::name::{AgentName, Ident, SecretName, ToolName};
use claviger_domain::origin::Origin;
use claviger_domain::path::RelativePath;
use claviger_domain::pointer::Pointer;
use claviger_domain::rate::Rate;
use claviger_domain::url::Url;
use claviger_domain::when::When;
use serde_json::{Value, json};

/// Any text as each of these: what is accepted has one form, which reads back as the same; and a web address or a mail
/// address is what other readers take it for.
///
/// # Panics
/// Where that does not hold.
pub fn texts(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    one_form::<Pattern>(text);
    one_form::<HostPattern>(text);
    one_form::<Date>(text);
    one_form::<When>(text);
    one_form::<Hours>(text);
    one_form::<Rate>(text);
    one_form::<RelativePath>(text);
    one_form::<AgentName>(text);
    one_form::<SecretName>(text);
    one_form::<ToolName>(text);
    one_form::<Ident>(text);
    one_form::<GrantId>(text);
    one_form::<HandleId>(text);
    one_form::<Ref>(text);
    if let Some(address) = one_form::<Address>(text) {
        let everybody: Pattern = format!("*@{}", address.domain()).parse().expect("a pattern");
        assert!(everybody.matches(&address));
        assert!(address.as_str().matches('@').count() == 1 && address.as_str().is_ascii());
    }
    if let Some(url) = one_form::<Url>(text)
        && let Some(theirs) = read_by_url(url.as_str())
    {
        // But for an apostrophe, which browsers encode in a query (WHATWG URL section 1.3).
        assert_eq!(
            theirs.as_str().replace("%27", "'"),
            url.as_str().replace("%27", "'"),
            "and changes nothing"
        );
        assert_eq!((theirs.host_str(), theirs.port()), (Some(url.host()), url.port()));
        assert!(theirs.username().is_empty() && theirs.password().is_none() && theirs.scheme() == "https");
        assert_eq!(url.has_query(), theirs.query().is_some() || theirs.fragment().is_some());
        let raw = url::Url::parse(text).expect("as it was given, too");
        assert_eq!((raw.host_str(), raw.port()), (Some(url.host()), url.port()));
    }
    if let Some(origin) = one_form::<Origin>(text)
        && let Some(theirs) = read_by_url(&origin.to_string())
    {
        assert_eq!(theirs.origin().ascii_serialization(), origin.to_string());
        assert!(theirs.path() == "/" && theirs.query().is_none());
    }
    if let Some(path) = one_form::<RelativePath>(text) {
        let outside = |part: std::path::Component<'_>| !matches!(part, std::path::Component::Normal(_));
        assert!(!std::path::Path::new(path.as_str()).components().any(outside), "{path} leads out");
    }
    if let Some(pointer) = one_form::<Pointer>(text) {
        points(&pointer);
    }
    if let Ok(results) = Results::parse(text) {
        // What of it counts stands in the header itself.
        let lower = text.to_ascii_lowercase();
        assert!(lower.contains(&results.server.to_ascii_lowercase()));
        assert!(results.outcomes.len() <= text.len());
    }
    if let Ok(segment) = percent::path_segment(text) {
        let url = url::Url::parse(&format!("https://example.org/a/{segment}/b?{segment}#{segment}"))
            .expect("a URL");
        let segments: Vec<&str> = url.path_segments().expect("a path").collect();
        assert_eq!(segments, ["a", segment.as_str(), "b"]);
        assert_eq!((url.query(), url.fragment()), (Some(segment.as_str()), Some(segment.as_str())));
    }
}

/// What another reader takes it for. It must take it, but for names that are made to look like encoded ones
/// (RFC 5890 section 2.3.2.1): those lead nowhere.
fn read_by_url(text: &str) -> Option<url::Url> {
    let read = url::Url::parse(text);
    assert!(read.is_ok() || text.contains("xn--"), "{text:?}: {read:?}");
    read.ok()
}

/// A text that is accepted: shown, it reads back as the same, and is shown as before.
fn one_form<T: FromStr + Display + PartialEq>(text: &str) -> Option<T> {
    let read = text.parse::<T>().ok()?;
    let shown = read.to_string();
    let Ok(again) = shown.parse::<T>() else { panic!("{shown:?}, of {text:?}, does not read back") };
    assert!(again == read && again.to_string() == shown, "{shown:?}, of {text:?}, reads back as another");
    Some(read)
}

/// How a pointer looks into a value: each way of looking sees the same things, or says that something is missing.
fn points(pointer: &Pointer) {
    let value = json!({
        "a": [{ "name": "From", "a": 1, "role": "owner" }, { "name": "b", "role": "reader", "b": { "c": true } }],
        "b": { "c": [1, 2, [3]], "": null }, "name": "x", "0": [[], {}],
    });
    let found = pointer.select(&value);
    if let Some(every) = pointer.every(&value) {
        assert_eq!(every, found, "where nothing is missing, both see the same");
        assert!(pointer.every_given(&value).as_ref() == Some(&every));
    }
    if let Some(strict) = pointer.select_strictly(&value) {
        assert_eq!(strict, found);
    }
    assert!(pointer.is_many() || found.len() <= 1);
    let mut changed = value.clone();
    if let Some(old) = pointer.replace_one(&mut changed, Value::from("new")) {
        assert_eq!((found.as_slice(), pointer.select(&changed)), ([&old].as_slice(), vec![&json!("new")]));
        pointer.replace_one(&mut changed, old);
    }
    assert_eq!(changed, value);
    let mut made = Value::Null;
    if pointer.put(&mut made, Value::from(7)) {
        assert_eq!(pointer.select(&made), [&json!(7)]);
    }
}
