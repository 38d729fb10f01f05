//! Changing one member of a JSON file, and nothing else of it: order and layout stay as somebody wrote them.
//!
//! The text is first read by the strict parser, then walked by a small scanner that knows where each member stands. What
//! comes out is read again, and must differ from what went in by exactly the change that was meant.

use std::collections::HashSet;
use std::ops::Range;

use serde_json::Value;

use super::ordered::{Layout, Ordered, quoted};

/// The deepest nesting that is walked.
const MAX_DEPTH: usize = 64;

/// Why a text is left as it is. Holds nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::cli) enum Unfit {
    /// The strict parser does not take it.
    #[error("it is not strict JSON (comments, commas at the end of a list, or an error in it)")]
    NotStrict,
    /// One object has a name twice: programs differ in which of the two they take.
    #[error("an object in it has the same name twice")]
    Twice,
    /// Nested too deeply.
    #[error("it is nested more than 64 levels deep")]
    Deep,
    /// Something else stands where the servers should.
    #[error("what should be an object of servers is something else")]
    Shape,
    /// It is no TOML.
    #[error("it is not TOML")]
    NotToml,
    /// The change would have touched more than was meant.
    #[error("the entry cannot be put in without touching something else")]
    Entangled,
}

/// Where a member of an object stands.
struct Member {
    name: String,
    start: usize,
    value: Node,
}

/// Where a value stands; the members, if it is an object.
struct Node {
    span: Range<usize>,
    members: Option<Vec<Member>>,
}

impl Node {
    fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().flatten().find(|member| member.name == name)
    }
}

/// The text read strictly, names that stand twice refused.
///
/// # Errors
/// See [`Unfit`].
pub(in crate::cli) fn parse(text: &str) -> Result<Value, Unfit> {
    scan(text).map(|(value, _)| value)
}

fn scan(text: &str) -> Result<(Value, Node), Unfit> {
    let mut scan = Scan { bytes: text.as_bytes(), text, at: 0 };
    // The scanner goes first: it stops at a depth that the parser would also refuse, with a worse reason.
    let walked = scan.whole();
    if let Err(Unfit::Deep) = walked {
        return Err(Unfit::Deep);
    }
    let value = serde_json::from_str(text).map_err(|_| Unfit::NotStrict)?;
    Ok((value, walked?))
}

/// Puts a member into the object at `path`, which is made where it is missing; in place of a member of that name.
///
/// # Errors
/// See [`Unfit`]; then nothing is to be written.
pub(super) fn put(
    text: &str,
    path: &[&'static str],
    name: &'static str,
    value: &Ordered,
) -> Result<String, Unfit> {
    let (before, root) = scan(text)?;
    let mut object = &root;
    let mut missing = path;
    while let [first, rest @ ..] = missing {
        let Some(member) = object.member(first) else { break };
        (object, missing) = (&member.value, rest);
    }
    let Some(members) = &object.members else { return Err(Unfit::Shape) };
    // What is missing of the path comes with it.
    let names: Vec<&'static str> = missing.iter().copied().chain([name]).collect();
    let new = names[1..].iter().rev().fold(value.clone(), |inner, name| Ordered::Object(vec![(name, inner)]));
    let layout = layout(text, &root, object);
    let after = match object.member(names[0]) {
        Some(member) => {
            let Range { start, end } = member.value.span;
            format!("{}{}{}", &text[..start], new.text(&layout), &text[end..])
        }
        None => {
            let member = format!("{}{}: {}", layout.lead(), quoted(names[0]), new.text(&layout));
            match members.last() {
                Some(last) => {
                    let at = last.value.span.end;
                    format!("{},{member}{}", &text[..at], &text[at..])
                }
                None => {
                    // Whatever space stood between the braces makes room.
                    let Range { start, end } = object.span;
                    let outer = outdented(&layout);
                    format!("{}{{{member}{outer}}}{}", &text[..start], &text[end..])
                }
            }
        }
    };
    let expected = with(before, path, name, Some(value.value())).ok_or(Unfit::Shape)?;
    if parse(&after)? == expected { Ok(after) } else { Err(Unfit::Entangled) }
}

/// Takes members out of the object at `path`; those that are not there are none.
///
/// # Errors
/// See [`Unfit`]; then nothing is to be written.
pub(in crate::cli) fn take(text: &str, path: &[&'static str], names: &[String]) -> Result<String, Unfit> {
    let mut text = text.to_owned();
    for name in names {
        let (before, root) = scan(&text)?;
        let object =
            path.iter().try_fold(&root, |object, step| object.member(step).map(|member| &member.value));
        let Some(members) = object.and_then(|object| object.members.as_ref()) else { continue };
        let Some(at) = members.iter().position(|member| member.name == *name) else { continue };
        let Range { start: open, end: close } = object.map(|object| object.span.clone()).unwrap_or_default();
        let gone = match (at, members.get(at + 1)) {
            (0, None) => open + 1..close - 1,
            (0, Some(next)) => members[0].start..next.start,
            _ => members[at - 1].value.span.end..members[at].value.span.end,
        };
        let after = format!("{}{}", &text[..gone.start], &text[gone.end..]);
        let expected = with(before, path, name, None).ok_or(Unfit::Shape)?;
        if parse(&after)? != expected {
            return Err(Unfit::Entangled);
        }
        text = after;
    }
    Ok(text)
}

/// The value with that member set or taken out, as it is to be in the end.
fn with(mut root: Value, path: &[&str], name: &str, value: Option<Value>) -> Option<Value> {
    let mut object = root.as_object_mut()?;
    for step in path {
        object =
            object.entry(*step).or_insert_with(|| Value::Object(serde_json::Map::new())).as_object_mut()?;
    }
    match value {
        Some(value) => object.insert(name.to_owned(), value),
        None => object.remove(name),
    };
    Some(root)
}

/// How members of that object are written.
fn layout(text: &str, root: &Node, object: &Node) -> Layout {
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let first = object.members.as_ref().and_then(|members| members.first());
    let indent_of = |member: &Member, node: &Node| {
        let lead = &text[node.span.start + 1..member.start];
        lead.rsplit_once('\n').map(|(_, indent)| indent.to_owned())
    };
    let own = line_indent(text, object.span.start);
    if let Some(member) = first {
        return match indent_of(member, object) {
            Some(indent) => {
                let unit =
                    indent.strip_prefix(own).filter(|unit| !unit.is_empty()).unwrap_or("  ").to_owned();
                Layout { lines: true, newline, indent, unit }
            }
            None => Layout { lines: false, newline, indent: String::new(), unit: String::new() },
        };
    }
    // An empty object shows no layout; the whole file may.
    let top = root.members.as_ref().and_then(|members| members.first());
    let unit = top.and_then(|member| indent_of(member, root)).filter(|unit| !unit.is_empty());
    let unit = unit.unwrap_or_else(|| "  ".to_owned());
    Layout { lines: true, newline, indent: format!("{own}{unit}"), unit }
}

/// What stands before the brace that closes an object of that layout.
fn outdented(layout: &Layout) -> String {
    let indent = layout.indent.strip_suffix(layout.unit.as_str()).unwrap_or(&layout.indent);
    format!("{}{indent}", layout.newline)
}

/// The white space that the line of that place begins with.
fn line_indent(text: &str, at: usize) -> &str {
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let rest = &text[line..];
    &rest[..rest.len() - rest.trim_start_matches([' ', '\t']).len()]
}

struct Scan<'t> {
    bytes: &'t [u8],
    text: &'t str,
    at: usize,
}

impl Scan<'_> {
    fn whole(&mut self) -> Result<Node, Unfit> {
        self.space();
        let node = self.value(0)?;
        self.space();
        if self.at == self.bytes.len() { Ok(node) } else { Err(Unfit::NotStrict) }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    fn value(&mut self, depth: usize) -> Result<Node, Unfit> {
        if depth > MAX_DEPTH {
            return Err(Unfit::Deep);
        }
        let start = self.at;
        let mut members = None;
        match self.peek() {
            Some(b'{') => members = Some(self.object(depth)?),
            Some(b'[') => self.list(depth)?,
            Some(b'"') => {
                self.string()?;
            }
            _ => {
                let ends = |byte: &u8| b",]} \t\r\n".contains(byte);
                let length = self.bytes[start..].iter().position(ends).unwrap_or(self.bytes.len() - start);
                if length == 0 {
                    return Err(Unfit::NotStrict);
                }
                self.at += length;
            }
        }
        Ok(Node { span: start..self.at, members })
    }

    fn object(&mut self, depth: usize) -> Result<Vec<Member>, Unfit> {
        let (mut members, mut names) = (Vec::<Member>::new(), HashSet::new());
        self.at += 1;
        self.space();
        if self.eat(b'}') {
            return Ok(members);
        }
        loop {
            self.space();
            let start = self.at;
            let name = self.string()?;
            self.space();
            if !self.eat(b':') {
                return Err(Unfit::NotStrict);
            }
            self.space();
            let value = self.value(depth + 1)?;
            if !names.insert(name.clone()) {
                return Err(Unfit::Twice);
            }
            members.push(Member { name, start, value });
            self.space();
            if self.eat(b'}') {
                return Ok(members);
            }
            if !self.eat(b',') {
                return Err(Unfit::NotStrict);
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<(), Unfit> {
        self.at += 1;
        self.space();
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            self.space();
            self.value(depth + 1)?;
            self.space();
            if self.eat(b']') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(Unfit::NotStrict);
            }
        }
    }

    /// A string, with its escapes resolved.
    fn string(&mut self) -> Result<String, Unfit> {
        let start = self.at;
        if !self.eat(b'"') {
            return Err(Unfit::NotStrict);
        }
        loop {
            match self.peek() {
                None => return Err(Unfit::NotStrict),
                Some(b'\\') => self.at += 2,
                Some(b'"') => break,
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        serde_json::from_str(self.text.get(start..self.at).ok_or(Unfit::NotStrict)?)
            .map_err(|_| Unfit::NotStrict)
    }
}

#[cfg(test)]
#[path = "json_text_tests.rs"]
mod tests;
