//! Texts that refer to variables of the environment: `${NAME}`, `${NAME:-otherwise}`, and mcporter's `$env:NAME`.

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// The longest text that comes of it, in bytes: longer than any secret may be.
const MAX: usize = 64 * 1024;

/// What a text comes to.
pub(super) struct Resolved {
    /// The value; or the first name that is not set, if there is one.
    pub(super) value: Result<SecretString, String>,
    /// The variables it was taken from.
    pub(super) names: Vec<String>,
}

/// Puts the values of variables in the place of their names. What looks like a reference and is none stays as it is; a
/// value is not looked through again.
pub(super) fn resolve(text: &str, variable: fn(&str) -> Option<SecretString>) -> Resolved {
    let mut names = Vec::new();
    let mut value = Zeroizing::new(String::with_capacity(text.len()));
    if let Some(name) = text.strip_prefix("$env:").filter(|name| is_name(name)) {
        let value = variable(name).ok_or_else(|| name.to_owned());
        return Resolved { value, names: vec![name.to_owned()] };
    }
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        value.push_str(before);
        let inside = after.split_once('}').map(|(inside, rest)| {
            let (name, otherwise) = inside.split_once(":-").map_or((inside, None), |(n, o)| (n, Some(o)));
            (name, otherwise, rest)
        });
        match inside {
            Some((name, otherwise, after)) if is_name(name) => {
                match (variable(name), otherwise) {
                    (Some(set), _) => {
                        // EXPOSE: put into the text that refers to it, which is a secret then.
                        value.push_str(set.expose_secret());
                        names.push(name.to_owned());
                    }
                    (None, Some(otherwise)) => value.push_str(otherwise),
                    (None, None) => return Resolved { value: Err(name.to_owned()), names },
                }
                rest = after;
            }
            _ => {
                value.push_str("${");
                rest = after;
            }
        }
        if value.len() > MAX {
            value.truncate(0);
            break;
        }
    }
    value.push_str(rest);
    Resolved { value: Ok(SecretString::from(value.as_str())), names }
}

/// Whether that is the name of a variable as shells take it (POSIX, "Name").
pub(super) fn is_name(name: &str) -> bool {
    let head = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.len() <= 256 && name.starts_with(head) && name.chars().all(|c| head(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    fn variable(name: &str) -> Option<SecretString> {
        match name {
            "A" => Some("1".into()),
            "B" => Some("${A}".into()),
            _ => None,
        }
    }

    #[test]
    fn references_are_resolved_once() {
        let check = |text: &str, expected: Result<&str, &str>, from: &[&str]| {
            let Resolved { value, names } = resolve(text, variable);
            match (&value, expected) {
                // EXPOSE: a test looks at its own value.
                (Ok(value), Ok(expected)) => assert_eq!(value.expose_secret(), expected),
                (Err(name), Err(expected)) => assert_eq!(name, expected),
                _ => panic!("{text}"),
            }
            assert_eq!(names, from, "{text}");
        };
        check("plain", Ok("plain"), &[]);
        check("${A}", Ok("1"), &["A"]);
        check("Bearer ${A}!", Ok("Bearer 1!"), &["A"]);
        check("${A}${B}", Ok("1${A}"), &["A", "B"]);
        check("${C}", Err("C"), &[]);
        check("${C:-else}", Ok("else"), &[]);
        check("${A:-else}", Ok("1"), &["A"]);
        check("$env:A", Ok("1"), &["A"]);
        check("$env:C", Err("C"), &["C"]);
        check("${A", Ok("${A"), &[]);
        check("${}${1x}${A B}$A", Ok("${}${1x}${A B}$A"), &[]);
        check("${${A}", Ok("${1"), &["A"]);
    }
}
