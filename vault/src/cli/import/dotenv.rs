//! A file of variables (`.env`): which of them are secrets, and the file without those that were taken.

use std::collections::HashMap;
use std::rc::Rc;

use claviger_proto::v1::Service;
use secrecy::SecretString;

use super::super::client_install::Held;
use super::found::{Find, Fit, Place, Value, looks_secret};
use super::reference::is_name;

/// What the names of a service's token end in.
const ENDS: [&str; 6] =
    ["_TOKEN", "_API_TOKEN", "_ACCESS_TOKEN", "_PERSONAL_ACCESS_TOKEN", "_API_KEY", "_PAT"];

/// A line that sets a variable.
struct Set<'t> {
    name: &'t str,
    value: Result<&'t str, &'static str>,
}

/// The secrets of a file, each with the service whose token its name says it is.
pub(super) fn finds(held: &Held, catalog: &[Service]) -> (Vec<Find>, Vec<String>) {
    let (mut finds, mut notes, mut times) = (Vec::new(), Vec::new(), HashMap::new());
    for set in held.text().lines().filter_map(set) {
        *times.entry(set.name).or_insert(0) += 1;
    }
    let place = || Place::File(held.path().to_owned());
    for (at, line) in held.text().lines().enumerate() {
        let Some(Set { name, value }) = set(line) else {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') && notes.len() < 20 {
                notes.push(format!("{}: line {} sets no variable", held.path().display(), at + 1));
            }
            continue;
        };
        if !looks_secret(name) || value.is_ok_and(str::is_empty) {
            continue;
        }
        let left = |why: &str| Find::left(place(), name, "unknown", "", why);
        finds.push(match (value, service(name, catalog)) {
            _ if times.get(name).is_some_and(|times| *times > 1) => {
                left("it is set more than once, and programs differ in which counts")
            }
            (Err(why), _) => left(why),
            (Ok(_), None) if name.starts_with("GOOGLE_") => left(
                "an OAuth client alone opens nothing: `claviger connect gmail/me --for read --client-id ID`",
            ),
            (Ok(_), None) => {
                left("no service of the catalog has such a token; what reads it here still needs it")
            }
            (Ok(value), Some(service)) => Find {
                place: place(),
                key: name.to_owned(),
                kind: "token",
                server: String::new(),
                fit: Fit::Named(service, Rc::new(Value::Bearer(SecretString::from(value)))),
                also: Vec::new(),
            },
        });
    }
    (finds, notes)
}

/// The service whose token a variable of that name holds, if the catalog has it and it takes a bearer token.
pub(super) fn service(name: &str, catalog: &[Service]) -> Option<String> {
    let named = |service: &&Service| {
        let id = service.id.to_ascii_uppercase().replace('-', "_");
        let rest = name.strip_prefix(id.as_str());
        rest.is_some_and(|rest| ENDS.contains(&rest)) || service.id == "github" && name == "GH_TOKEN"
    };
    catalog.iter().filter(|service| service.auth == "bearer").find(named).map(|service| service.id.clone())
}

/// The text without those variables; a line says where each went. All else stays, byte for byte.
pub(super) fn without(text: &str, taken: &[(String, String)]) -> String {
    let mut kept = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let name = set(line.trim_end_matches(['\n', '\r'])).map(|set| set.name);
        match taken.iter().find(|(key, _)| Some(key.as_str()) == name) {
            Some((key, secret)) => {
                let end = &line[line.trim_end_matches(['\n', '\r']).len()..];
                kept.push_str(&format!("# {key} is in the vault now, as {secret}{end}"));
            }
            None => kept.push_str(line),
        }
    }
    kept
}

/// What a line sets. A value that more than one reading is possible of is none.
fn set(line: &str) -> Option<Set<'_>> {
    let line = line.trim();
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let (name, value) = line.split_once('=')?;
    let (name, value) = (name.trim_end(), value.trim());
    if !is_name(name) {
        return None;
    }
    Some(Set { name, value: plain(value) })
}

fn plain(value: &str) -> Result<&str, &'static str> {
    for quote in ['"', '\'', '`'] {
        if let Some(rest) = value.strip_prefix(quote) {
            let (inside, after) = rest.split_once(quote).ok_or("its value goes on in the next line")?;
            let after = after.trim_start();
            if !after.is_empty() && !after.starts_with('#') || inside.contains('\\') {
                return Err("its value can be read in more than one way");
            }
            if quote == '"' && inside.contains('$') {
                return Err("its value refers to another variable");
            }
            return Ok(inside);
        }
    }
    let value = value.split_once(" #").map_or(value, |(value, _)| value.trim_end());
    match value {
        _ if value.contains('$') => Err("its value refers to another variable"),
        _ if value.contains(['"', '\'', '`', '\\', '#']) => Err("its value can be read in more than one way"),
        _ => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_can_be_read_in_one_way() {
        let check = |line: &str, expected: Option<(&str, Option<&str>)>| {
            let found = set(line);
            assert_eq!(found.map(|set| (set.name, set.value.ok())), expected, "{line}");
        };
        check("A=b", Some(("A", Some("b"))));
        check("  export A = b # c", Some(("A", Some("b"))));
        check("A=\"b c\" # d", Some(("A", Some("b c"))));
        check("A='$b'", Some(("A", Some("$b"))));
        check("A=", Some(("A", Some(""))));
        check("A=\"b", Some(("A", None)));
        check("A=\"b\"c", Some(("A", None)));
        check("A=\"b\\\"\"", Some(("A", None)));
        check("A=${B}", Some(("A", None)));
        check("A=b#c", Some(("A", None)));
        check("# A=b", None);
        check("A b=c", None);
        check("A", None);
    }

    #[test]
    fn a_line_goes_and_nothing_else() {
        let text = "# x\r\nA=1\r\nexport B=2\nC=A=3";
        let taken = [("A".to_owned(), "a/me".to_owned()), ("B".to_owned(), "b/me".to_owned())];
        let kept = "# x\r\n# A is in the vault now, as a/me\r\n# B is in the vault now, as b/me\nC=A=3";
        assert_eq!(without(text, &taken), kept);
        assert_eq!(without(kept, &taken), kept);
        assert_eq!(without(text, &[]), text);
    }

    #[test]
    fn a_name_tells_a_service_of_the_catalog_with_a_bearer_token() {
        let service =
            |id: &str, auth: &str| Service { id: id.into(), auth: auth.into(), ..Service::default() };
        let catalog = [service("github", "bearer"), service("gmail", "oauth2"), service("my-wiki", "bearer")];
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(super::service(name, &catalog).as_deref(), expected, "{name}");
        };
        check("GITHUB_TOKEN", Some("github"));
        check("GITHUB_PERSONAL_ACCESS_TOKEN", Some("github"));
        check("GH_TOKEN", Some("github"));
        check("MY_WIKI_API_KEY", Some("my-wiki"));
        check("GMAIL_TOKEN", None);
        check("GITHUB_WEBHOOK_SECRET", None);
        check("MY_GITHUB_TOKEN", None);
    }
}
