//! Where in a JSON value something stands.

mod text;

use serde_json::Value;

pub use text::BadPointer;

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

/// RFC 6901 section 4: digits without a leading zero. `-`, the element after the last, is never there.
fn index(name: &str) -> Option<usize> {
    let plain = name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    if plain { name.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
