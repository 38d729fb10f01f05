//! Google's partial responses: `fields=files(id,name),nextPageToken`.

use serde_json::{Map, Value};

use crate::google_error as refuse;
use crate::wire::Reply;

/// A parsed `fields` parameter: names, each with what is wanted below it. An empty list below means everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, Fields)>);

impl Fields {
    /// Parses; 400 for a selection that is none.
    pub(crate) fn parse(text: &str) -> Result<Self, Reply> {
        let mut rest = text;
        let fields = list(&mut rest, 0).filter(|_| rest.is_empty());
        fields.ok_or_else(|| refuse::error(400, "INVALID_ARGUMENT", "invalidParameter", &invalid(text)))
    }

    /// Refuses names the resource does not have; `known` lists them, and below `inner` the names of its elements.
    pub(crate) fn check(&self, known: &[&str], inner: Option<(&str, &[&str])>) -> Result<(), Reply> {
        for (name, below) in &self.0 {
            let unknown = || refuse::error(400, "INVALID_ARGUMENT", "invalidParameter", &invalid(name));
            if name != "*" && !known.contains(&name.as_str()) {
                return Err(unknown());
            }
            if let Some((list, names)) = inner
                && list == name
            {
                below.check(names, None)?;
            }
        }
        Ok(())
    }

    /// Refuses names that a resource does not have; `known` is a selection of everything that it has.
    pub(crate) fn within(&self, known: &str) -> Result<(), Reply> {
        self.fits(&Self::parse(known)?)
    }

    fn fits(&self, known: &Self) -> Result<(), Reply> {
        for (name, below) in self.0.iter().filter(|(name, _)| name != "*") {
            let unknown = || refuse::error(400, "INVALID_ARGUMENT", "invalidParameter", &invalid(name));
            let (_, all) = known.0.iter().find(|(known, _)| known == name).ok_or_else(unknown)?;
            below.fits(all)?;
        }
        Ok(())
    }

    /// Keeps of a value only what is selected.
    pub(crate) fn project(&self, value: &Value) -> Value {
        if self.0.is_empty() {
            return value.clone();
        }
        match value {
            Value::Array(items) => Value::Array(items.iter().map(|item| self.project(item)).collect()),
            Value::Object(map) => {
                let mut kept = Map::new();
                for (name, below) in &self.0 {
                    for (key, item) in map.iter().filter(|(key, _)| name == "*" || *key == name) {
                        kept.insert(key.clone(), below.project(item));
                    }
                }
                Value::Object(kept)
            }
            other => other.clone(),
        }
    }
}

fn invalid(what: &str) -> String {
    format!("Invalid field selection {what}")
}

fn list(rest: &mut &str, depth: usize) -> Option<Fields> {
    let mut fields = Vec::new();
    loop {
        fields.push(path(rest, depth)?);
        match rest.strip_prefix(',') {
            Some(more) => *rest = more,
            None => return Some(Fields(fields)),
        }
    }
}

fn path(rest: &mut &str, depth: usize) -> Option<(String, Fields)> {
    if depth > 8 {
        return None;
    }
    let trimmed = rest.trim_start();
    let end = trimmed.find(|c: char| !c.is_ascii_alphanumeric() && c != '*').unwrap_or(trimmed.len());
    let (name, after) = trimmed.split_at_checked(end)?;
    if name.is_empty() {
        return None;
    }
    *rest = after.trim_start();
    let below = if let Some(inside) = rest.strip_prefix('(') {
        *rest = inside;
        let below = list(rest, depth + 1)?;
        *rest = rest.strip_prefix(')')?.trim_start();
        below
    } else if let Some(inside) = rest.strip_prefix('/') {
        *rest = inside;
        Fields(vec![path(rest, depth + 1)?])
    } else {
        Fields(Vec::new())
    };
    Some((name.to_owned(), below))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_selection_keeps_only_what_it_names() {
        let value =
            json!({ "kind": "k", "files": [{ "id": 1, "name": "a", "x": { "y": 1, "z": 2 } }], "t": "p" });
        let check = |text: &str, expected: Value| {
            assert_eq!(Fields::parse(text).unwrap().project(&value), expected, "{text}");
        };
        check("files(id)", json!({ "files": [{ "id": 1 }] }));
        check("files/id, t", json!({ "files": [{ "id": 1 }], "t": "p" }));
        check("files(id,x/z)", json!({ "files": [{ "id": 1, "x": { "z": 2 } }] }));
        check("*", value.clone());
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", ",", "files(", "files(id", "a)", "a,,b", "files()", "a b"] {
            assert_eq!(Fields::parse(bad).unwrap_err().status, 400, "{bad}");
        }
        let fields = Fields::parse("files(id,secret)").unwrap();
        assert!(fields.check(&["files"], Some(("files", &["id"]))).is_err());
        assert!(fields.check(&["files"], Some(("files", &["id", "secret"]))).is_ok());
    }
}
