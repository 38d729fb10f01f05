//! Where in a JSON value something stands.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// Most parts a pointer has; catalogs need three or four.
const PARTS_MAX: usize = 32;

/// The text is not a pointer. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPointer {
    /// Neither empty nor beginning with a slash.
    #[error("a pointer is empty or begins with a slash")]
    NoSlash,
    /// A `~` that is not `~0` or `~1`.
    #[error("in a pointer, ~ stands only in ~0 and ~1")]
    Escape,
    /// A part that begins with `*[` and is no `*[name=…]` and no `*[member!=…]`.
    #[error("in a pointer, a part that selects is *[name=TEXT] or *[MEMBER!=WORD,WORD]; two are joined by &")]
    Selector,
    /// More than 32 parts.
    #[error("a pointer has at most 32 parts")]
    TooDeep,
}

/// A JSON pointer (RFC 6901), in which a part `*` means each element of an array: `/messages/*/id`.
///
/// A part `*[name=From]` means each element of an array of objects whose member `name` is that text, ASCII case
/// ignored: headers are written so. `*[role!=owner,reader]` means each element but those whose member `role` is one of
/// these words, or `true` or `false`; one that lacks the member counts. `*[role!=none&scope.type!=user]` means those for
/// which both hold, `scope.type` being the member `type` of the member `scope`. So a member whose name is `*`, or begins with
/// `*[`, cannot be pointed at. The empty pointer is the whole value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pointer(Vec<Part>);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part {
    /// A member's name, or an element's index where the value is an array.
    Name(String),
    Each,
    /// Each element whose member `name` is this text, ASCII case ignored.
    Named(String),
    /// Each element for which all of these hold.
    But(Vec<Unlike>),
}

/// That an element's member, or a member's member, is none of these words, ASCII case ignored.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Unlike {
    member: Vec<String>,
    words: Vec<String>,
}

impl Pointer {
    /// Whether it has a `*`, and so may stand for many values.
    #[must_use]
    pub fn is_many(&self) -> bool {
        self.0.iter().any(|part| !matches!(part, Part::Name(_)))
    }

    /// Whether it is the whole value.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// The name of the one member it points at, right at the top; `None` for any other pointer.
    #[must_use]
    pub fn top(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Name(name)] => Some(name),
            _ => None,
        }
    }

    /// Every value it points at, in the order of the document; none where a part is missing or of another type.
    ///
    /// An element that lacks what comes after the `*` is passed over in silence. Who must check *each* element selects
    /// the elements first, and then looks into every one with a second pointer: missing data denies.
    #[must_use]
    pub fn select<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let mut here = vec![value];
        for part in &self.0 {
            here = match part {
                Part::Name(name) => here.into_iter().filter_map(|value| child(value, name)).collect(),
                Part::Each => here.into_iter().filter_map(Value::as_array).flatten().collect(),
                Part::Named(name) => here
                    .into_iter()
                    .filter_map(Value::as_array)
                    .flatten()
                    .filter(|element| named(element).is_some_and(|found| found.eq_ignore_ascii_case(name)))
                    .collect(),
                Part::But(tests) => here
                    .into_iter()
                    .filter_map(Value::as_array)
                    .flatten()
                    .filter(|element| passes(element, tests))
                    .collect(),
            };
        }
        here
    }

    /// Every value it points at, or `None` where any part of the way is missing or of another type, in any element: what
    /// must hold for all of them may not pass over one. An empty array is no fault; it selects nothing.
    #[must_use]
    pub fn every<'a>(&self, value: &'a Value) -> Option<Vec<&'a Value>> {
        self.each(value, false)
    }

    /// As [`Pointer::every`], but where an object lacks the array of a `*` or a `*[member!=…]` altogether, that array
    /// counts as empty: some upstreams leave out empty lists. The array of a `*[name=…]` must be there.
    #[must_use]
    pub fn every_given<'a>(&self, value: &'a Value) -> Option<Vec<&'a Value>> {
        self.each(value, true)
    }

    fn each<'a>(&self, value: &'a Value, left_out: bool) -> Option<Vec<&'a Value>> {
        let mut here = vec![value];
        for (at, part) in self.0.iter().enumerate() {
            let list = left_out && matches!(self.0.get(at + 1), Some(Part::Each | Part::But(..)));
            let mut next = Vec::new();
            for value in here {
                match part {
                    Part::Name(name) if list && value.as_object().is_some_and(|o| !o.contains_key(name)) => {}
                    Part::Name(name) => next.push(child(value, name)?),
                    Part::Each => next.extend(value.as_array()?),
                    Part::But(tests) => {
                        next.extend(value.as_array()?.iter().filter(|one| passes(one, tests)));
                    }
                    Part::Named(name) => {
                        for element in value.as_array()? {
                            if named(element)?.eq_ignore_ascii_case(name) {
                                next.push(element);
                            }
                        }
                    }
                }
            }
            here = next;
        }
        Some(here)
    }

    /// Every value it points at, like [`Pointer::select`]; `None` where anything that a `*` stands for lacks what comes
    /// after it, or where the list of a `*` is not there at all though something is in its place.
    #[must_use]
    pub fn select_strictly<'a>(&self, value: &'a Value) -> Option<Vec<&'a Value>> {
        let mut here = vec![value];
        let mut many = false;
        for part in &self.0 {
            let mut next = Vec::new();
            for value in here {
                match part {
                    Part::Each => {
                        many = true;
                        next.extend(value.as_array()?);
                    }
                    Part::But(tests) => {
                        many = true;
                        next.extend(value.as_array()?.iter().filter(|one| passes(one, tests)));
                    }
                    Part::Named(name) => {
                        many = true;
                        for element in value.as_array()? {
                            if named(element)?.eq_ignore_ascii_case(name) {
                                next.push(element);
                            }
                        }
                    }
                    Part::Name(name) => match child(value, name) {
                        Some(child) => next.push(child),
                        None if many => return None,
                        None => {}
                    },
                }
            }
            here = next;
        }
        Some(here)
    }

    /// The one value it points at, to be changed; `None` where nothing stands there or the pointer has a `*`.
    pub fn get_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        let mut here = value;
        for part in &self.0 {
            let Part::Name(name) = part else { return None };
            here = match here {
                Value::Object(members) => members.get_mut(name)?,
                Value::Array(elements) => elements.get_mut(index(name)?)?,
                _ => return None,
            };
        }
        Some(here)
    }

    /// Whether the value is an object that lacks even the member where the way begins. `false` for a pointer that begins
    /// with `*`, or to the whole value.
    #[must_use]
    pub fn is_left_out(&self, value: &Value) -> bool {
        match (self.0.first(), value) {
            (Some(Part::Name(name)), Value::Object(members)) => !members.contains_key(name),
            _ => false,
        }
    }

    /// Puts `new` where it points and returns what stood there.
    ///
    /// Returns `None`, and changes nothing, where nothing stands there or the pointer has a `*`; it never makes a
    /// member or an element.
    pub fn replace_one(&self, value: &mut Value, new: Value) -> Option<Value> {
        self.get_mut(value).map(|here| std::mem::replace(here, new))
    }

    /// Puts `new` where it points, and makes the objects on the way to it where nothing stands yet.
    ///
    /// Returns `false`, and puts nothing, where something else than an object is on the way, or the pointer has a `*`.
    pub fn put(&self, value: &mut Value, new: Value) -> bool {
        let mut here = value;
        for part in &self.0 {
            let Part::Name(name) = part else { return false };
            if here.is_null() {
                *here = Value::Object(serde_json::Map::new());
            }
            let Value::Object(members) = here else { return false };
            here = members.entry(name.clone()).or_insert(Value::Null);
        }
        *here = new;
        true
    }
}

fn child<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => members.get(name),
        Value::Array(elements) => elements.get(index(name)?),
        _ => None,
    }
}

fn named(element: &Value) -> Option<&str> {
    element.get("name")?.as_str()
}

/// Whether none of the members is one of its words.
fn passes(element: &Value, tests: &[Unlike]) -> bool {
    tests.iter().all(|Unlike { member, words }| {
        let found = member.iter().try_fold(element, |value, name| value.get(name));
        let found = match found {
            Some(Value::String(text)) => text.as_str(),
            Some(Value::Bool(true)) => "true",
            Some(Value::Bool(false)) => "false",
            _ => return true,
        };
        !words.iter().any(|word| word.eq_ignore_ascii_case(found))
    })
}

/// What stands between the brackets of `*[member!=a,b]`.
fn but(text: &str) -> Option<Part> {
    let plain = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric());
    let all = |text: &str, by: char| -> Option<Vec<String>> {
        text.split(by).map(|word| plain(&word).then(|| word.to_owned())).collect()
    };
    let unlike = |text: &str| {
        let (member, words) = text.split_once("!=")?;
        Some(Unlike { member: all(member, '.')?, words: all(words, ',')? })
    };
    text.split('&').map(unlike).collect::<Option<_>>().map(Part::But)
}

/// RFC 6901 section 4: digits without a leading zero. `-`, the element after the last, is never there.
fn index(name: &str) -> Option<usize> {
    let plain = name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    if plain { name.parse().ok() } else { None }
}

fn unescape(part: &str) -> Result<String, BadPointer> {
    let mut name = String::with_capacity(part.len());
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        name.push(match (c, if c == '~' { chars.next() } else { None }) {
            ('~', Some('0')) => '~',
            ('~', Some('1')) => '/',
            ('~', _) => return Err(BadPointer::Escape),
            (other, _) => other,
        });
    }
    Ok(name)
}

impl FromStr for Pointer {
    type Err = BadPointer;

    fn from_str(text: &str) -> Result<Self, BadPointer> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let parts = text.strip_prefix('/').ok_or(BadPointer::NoSlash)?;
        if parts.split('/').count() > PARTS_MAX {
            return Err(BadPointer::TooDeep);
        }
        parts
            .split('/')
            .map(|part| match part.strip_prefix("*[") {
                _ if part == "*" => Ok(Part::Each),
                None => unescape(part).map(Part::Name),
                Some(rest) => match rest.strip_suffix(']').map(|rest| (rest, rest.strip_prefix("name="))) {
                    Some((_, Some(name))) if !name.is_empty() => unescape(name).map(Part::Named),
                    Some((rest, None)) => but(rest).ok_or(BadPointer::Selector),
                    _ => Err(BadPointer::Selector),
                },
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
        for part in &self.0 {
            match part {
                Part::Each => f.write_str("/*")?,
                Part::Name(name) => write!(f, "/{}", escaped(name))?,
                Part::Named(name) => write!(f, "/*[name={}]", escaped(name))?,
                Part::But(tests) => {
                    let tests: Vec<String> = tests
                        .iter()
                        .map(|Unlike { member, words }| format!("{}!={}", member.join("."), words.join(",")))
                        .collect();
                    write!(f, "/*[{}]", tests.join("&"))?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check(value: &Value, pointer: &str, expected: &Value) {
        let found: Vec<Value> =
            pointer.parse::<Pointer>().unwrap().select(value).into_iter().cloned().collect();
        assert_eq!(&Value::Array(found), expected, "{pointer:?}");
    }

    #[test]
    fn the_examples_of_rfc_6901() {
        let value = json!({
            "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8
        });
        check(&value, "", &json!([value]));
        check(&value, "/foo", &json!([["bar", "baz"]]));
        check(&value, "/foo/0", &json!(["bar"]));
        for (pointer, number) in [
            ("/", 0),
            ("/a~1b", 1),
            ("/c%d", 2),
            ("/e^f", 3),
            ("/g|h", 4),
            ("/i\\j", 5),
            ("/k\"l", 6),
            ("/ ", 7),
            ("/m~0n", 8),
        ] {
            check(&value, pointer, &json!([number]));
        }
    }

    #[test]
    fn a_star_is_each_element_and_nothing_else() {
        let value = json!({ "m": [{ "id": "a", "l": ["x", "y"] }, { "l": ["z"] }, 3, { "id": null }], "o": { "k": 1 }, "*": 9 });
        check(&value, "/m/*/id", &json!(["a", null]));
        check(&value, "/m/*/l/*", &json!(["x", "y", "z"]));
        check(&value, "/m/*/l/0", &json!(["x", "z"]));
        check(&value, "/o/*", &json!([]));
        check(&value, "/*", &json!([]));
        check(&json!([1, 2]), "/*", &json!([1, 2]));
        check(&json!({ "m": [] }), "/m/*", &json!([]));
        assert!("/m/*".parse::<Pointer>().unwrap().is_many());
        assert!(!"/m/**".parse::<Pointer>().unwrap().is_many());
    }

    #[test]
    fn elements_are_selected_by_their_name() {
        let value = json!({ "h": [
            { "name": "From", "value": "a" }, { "name": "Subject", "value": "s" }, { "name": "FROM", "value": "b" },
        ] });
        check(&value, "/h/*[name=From]/value", &json!(["a", "b"]));
        check(&value, "/h/*[name=from]/value", &json!(["a", "b"]));
        check(&value, "/h/*[name=Fro]/value", &json!([]));
        check(&json!({ "h": { "name": "From" } }), "/h/*[name=From]", &json!([]));
        check(&json!({ "h": [{ "name": "a/b~]" }] }), "/h/*[name=a~1b~0]]/name", &json!(["a/b~]"]));
        assert!("/h/*[name=From]".parse::<Pointer>().unwrap().is_many());
        for bad in ["/*[", "/*[name]", "/*[name=]", "/*[id=x]", "/*[name=x", "/*[name=~]"] {
            assert!(bad.parse::<Pointer>().is_err(), "{bad}");
        }
        assert_eq!("/h/*[name=a~1b]/v".parse::<Pointer>().unwrap().to_string(), "/h/*[name=a~1b]/v");
    }

    #[test]
    fn some_elements_are_left_aside_and_none_by_mistake() {
        let rules = json!({ "r": [
            { "role": "owner", "v": 1 }, { "role": "Reader", "v": 2 }, { "v": 3 }, { "role": null, "v": 4 },
            { "role": ["owner"], "v": 5 }, { "role": "owners", "v": 6 },
        ] });
        check(&rules, "/r/*[role!=owner]/v", &json!([2, 3, 4, 5, 6]));
        check(&rules, "/r/*[role!=owner,reader]/v", &json!([3, 4, 5, 6]));
        let guests = json!({ "g": [{ "self": true, "e": "me" }, { "self": false, "e": "a" }, { "e": "b" }] });
        check(&guests, "/g/*[self!=true]/e", &json!(["a", "b"]));
        let every = |value: &Value| {
            "/g/*[self!=true]/e".parse::<Pointer>().unwrap().every(value).map(|found| json!(found))
        };
        assert_eq!(every(&guests), Some(json!(["a", "b"])));
        // Somebody without an address is not passed over, but for whoever is left aside.
        assert_eq!(every(&json!({ "g": [{ "e": "a" }, {}] })), None);
        assert_eq!(every(&json!({ "g": [{ "e": "a" }, { "self": true }] })), Some(json!(["a"])));
        for odd in [
            json!({}),
            json!({ "g": null }),
            json!({ "g": {} }),
            json!({ "g": "a" }),
            json!({ "g": [3] }),
            json!([]),
            json!(3),
        ] {
            assert_eq!(every(&odd), None, "{odd}");
        }
        let pointer = "/g/*[role!=owner,reader]/v".parse::<Pointer>().unwrap();
        assert!(pointer.is_many());
        assert_eq!(pointer.to_string(), "/g/*[role!=owner,reader]/v");
        for bad in
            ["/*[]", "/*[a!=]", "/*[!=b]", "/*[a!=b", "/*[a!=b,]", "/*[a=b]", "/*[a!=b~1]", "/*[a!=b]c"]
        {
            assert_eq!(bad.parse::<Pointer>(), Err(BadPointer::Selector), "{bad}");
        }
    }

    #[test]
    fn every_passes_over_nothing() {
        let every = |value: &Value, pointer: &str| {
            pointer.parse::<Pointer>().unwrap().every(value).map(|found| json!(found))
        };
        let value = json!({ "m": [{ "e": "a" }, { "e": "b" }], "n": [{ "e": "a" }, {}], "o": [{ "e": "a" }, 3], "p": [] });
        assert_eq!(every(&value, "/m/*/e"), Some(json!(["a", "b"])));
        assert_eq!(every(&value, "/n/*/e"), None);
        assert_eq!(every(&value, "/o/*/e"), None);
        assert_eq!(every(&value, "/p/*/e"), Some(json!([])));
        assert_eq!(every(&value, "/q/*/e"), None);
        assert_eq!(every(&value, "/m/e"), None);
        // An element without a name could be the header that is looked for.
        let headers = |more: Value| json!({ "h": [{ "name": "From", "value": "a" }, more] });
        assert_eq!(every(&headers(json!({ "name": "To" })), "/h/*[name=From]/value"), Some(json!(["a"])));
        for odd in [json!({ "value": "b" }), json!({ "name": 1 }), json!("From"), json!(null)] {
            assert_eq!(every(&headers(odd), "/h/*[name=From]/value"), None);
        }
        assert_eq!(every(&headers(json!({ "name": "from" })), "/h/*[name=From]/value"), None);
        // Only a list that is left out is an empty one.
        let given = |value: &Value, pointer: &str| {
            pointer.parse::<Pointer>().unwrap().every_given(value).map(|found| json!(found))
        };
        assert_eq!(given(&json!({}), "/m/*/e"), Some(json!([])));
        assert_eq!(given(&json!({ "m": null }), "/m/*/e"), None);
        assert_eq!(given(&json!({ "m": {} }), "/m/*/e"), None);
        assert_eq!(given(&json!({ "m": [{}] }), "/m/*/e"), None);
        assert_eq!(given(&json!([]), "/m/*/e"), None);
        assert_eq!(given(&json!({}), "/o/m/*/e"), None);
        assert_eq!(given(&json!({}), "/m"), None);
        assert_eq!(given(&json!({}), "/h/*[name=From]/value"), None);
    }

    #[test]
    fn an_index_has_one_spelling() {
        let value = json!(["a", "b"]);
        for pointer in
            ["/01", "/00", "/+1", "/-", "/-1", "/1 ", "/2", "/", "/1.0", "/99999999999999999999999999", "/١"]
        {
            check(&value, pointer, &json!([]));
        }
        check(&value, "/1", &json!(["b"]));
        check(&json!("text"), "/0", &json!([]));
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for (text, error) in [
            ("a", BadPointer::NoSlash),
            ("#/a", BadPointer::NoSlash),
            ("*", BadPointer::NoSlash),
            (" /a", BadPointer::NoSlash),
            ("/~", BadPointer::Escape),
            ("/~2", BadPointer::Escape),
            ("/a~/b", BadPointer::Escape),
            (&"/a".repeat(33), BadPointer::TooDeep),
        ] {
            assert_eq!(text.parse::<Pointer>(), Err(error), "{text:?}");
        }
        assert!("/a".repeat(32).parse::<Pointer>().is_ok());
    }

    #[test]
    fn replacing_makes_nothing_new() {
        let before = json!({ "a": [{ "b": 1 }], "c": "x" });
        for (pointer, old, after) in [
            ("/c", Some(json!("x")), json!({ "a": [{ "b": 1 }], "c": 0 })),
            ("/a/0/b", Some(json!(1)), json!({ "a": [{ "b": 0 }], "c": "x" })),
            ("", Some(before.clone()), json!(0)),
            ("/d", None, before.clone()),
            ("/a/1", None, before.clone()),
            ("/a/-", None, before.clone()),
            ("/a/*", None, before.clone()),
            ("/a/*/b", None, before.clone()),
            ("/c/0", None, before.clone()),
        ] {
            let mut value = before.clone();
            assert_eq!(
                pointer.parse::<Pointer>().unwrap().replace_one(&mut value, json!(0)),
                old,
                "{pointer:?}"
            );
            assert_eq!(value, after, "{pointer:?}");
        }
    }

    proptest! {
        #[test]
        fn text_and_pointer_are_one(text in "(/([a-z0-9*]|~0|~1|\\PC){0,4}){0,5}") {
            if let Ok(pointer) = text.parse::<Pointer>() {
                prop_assert_eq!(pointer.to_string(), text);
            }
        }

        #[test]
        fn without_a_star_it_is_what_serde_json_means(text in "(/[ab012~*-]{0,2}){0,3}") {
            let value = json!({ "a": [{ "b": 1 }, ["x"], { "": { "a": 2 } }], "b": { "0": { "a": [1] } }, "": 3, "~": 4 });
            if let Ok(pointer) = text.parse::<Pointer>()
                && !pointer.is_many()
            {
                prop_assert_eq!(pointer.select(&value), value.pointer(&text).into_iter().collect::<Vec<_>>());
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,20}") {
            let _ = text.parse::<Pointer>();
        }
    }

    #[test]
    fn what_is_put_makes_its_way() {
        let put = |at: &str, mut value: Value| {
            let done = at.parse::<Pointer>().unwrap().put(&mut value, json!(1));
            (done, value)
        };
        assert_eq!(put("/a", Value::Null), (true, json!({ "a": 1 })));
        assert_eq!(put("/a/b", json!({ "c": 2 })), (true, json!({ "a": { "b": 1 }, "c": 2 })));
        assert_eq!(put("/a", json!({ "a": "x" })), (true, json!({ "a": 1 })));
        assert_eq!(put("/a/b", json!({ "a": "x" })), (false, json!({ "a": "x" })));
        assert_eq!(put("/0", json!([7])), (false, json!([7])));
        assert!(!put("/a/*/b", json!({ "a": [{ "b": 2 }] })).0);
    }
}
