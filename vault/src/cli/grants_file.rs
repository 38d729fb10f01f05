//! A file of grants: each `[[grant]]` says in TOML what `claviger grant add` says in flags, word for word.
//!
//! A key is a flag's name, so there is one way to write a bound and one parser for it. Three spellings are the file's
//! own: `tools` for several `tool`, `effects = ["read"]` for `read = true`, and `resource.label` for `label`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Parser};
use claviger_proto::v1::{AddGrantRequest, PlanTest};
use serde_json::Value as Json;
use toml::{Table, Value};

use super::can::canonical;
use super::failure::Failure;
use super::grant::AddArgs;

/// Where the file is.
#[derive(Debug, Args)]
pub(super) struct FileArg {
    /// The file of grants (TOML).
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(super) file: PathBuf,
}

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct GrantsFile {
    /// Its grants, in order.
    pub(super) grants: Vec<AddGrantRequest>,
    /// Its tests, in order.
    pub(super) tests: Vec<PlanTest>,
}

/// The longest file that is read, in bytes.
const MOST_BYTES: u64 = 4 << 20;

/// Flags that are repeated for each item of a list; all others take a list with commas.
const REPEATED: [&str; 8] = ["tool", "label", "folder", "calendar", "repository", "file", "path", "bound"];

/// One grant, as the command line reads it.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
struct Line {
    #[command(flatten)]
    args: AddArgs,
}

/// Reads a file of grants.
///
/// # Errors
/// It cannot be read, is no TOML, or one of its entries says what no flag says; with where.
pub(super) fn read(path: &Path) -> Result<GrantsFile, Failure> {
    let shown = path.display();
    let cannot = |why: String| {
        Failure::new(format!("{shown}: {why}"))
            .hint("`-f` takes the path of a file of grants, or `claviger suggest AGENT` writes one")
    };
    let length = std::fs::metadata(path).map_err(|error| cannot(error.to_string()))?.len();
    if length > MOST_BYTES {
        return Err(cannot("it is longer than 4 MiB".to_owned()).hint("make one file for each agent"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| cannot(error.to_string()))?;
    parse(&text).map_err(|failure| failure.at(&shown.to_string()))
}

/// Reads the text of a file of grants.
pub(super) fn parse(text: &str) -> Result<GrantsFile, Failure> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| Failure::usage(error.to_string()))?;
    let mut file = GrantsFile::default();
    for (key, value) in table {
        let entries = match value {
            Value::Array(entries) if key == "grant" || key == "test" => entries,
            _ => return Err(Failure::usage(format!("`{key}` is neither [[grant]] nor [[test]]"))),
        };
        for (number, entry) in entries.into_iter().enumerate() {
            let at = format!("[[{key}]] {}", number + 1);
            let Value::Table(entry) = entry else {
                return Err(Failure::usage(format!("{at} is no table")));
            };
            if key == "grant" {
                file.grants.push(grant(entry).map_err(|failure| failure.at(&at))?);
            } else {
                file.tests.push(test(entry).map_err(|failure| failure.at(&at))?);
            }
        }
    }
    Ok(file)
}

fn grant(mut entry: Table) -> Result<AddGrantRequest, Failure> {
    let agent = word(&mut entry, "agent")?;
    let secret = word(&mut entry, "secret")?;
    let name = if entry.contains_key("name") { word(&mut entry, "name")? } else { String::new() };
    let deny = match entry.remove("deny") {
        None => false,
        Some(Value::Boolean(deny)) => deny,
        Some(_) => return Err(Failure::usage("deny is true or false")),
    };
    let mut line: Vec<OsString> = Vec::new();
    for (key, value) in entry {
        match (key.as_str(), value) {
            ("tools", value) => flags(&mut line, "tool", value)?,
            ("effects", Value::Array(effects)) => {
                for effect in effects {
                    line.push(format!("--{}", text(&effect, "effects")?).into());
                }
            }
            ("resource", Value::Table(resources)) => {
                for (resource, value) in resources {
                    flags(&mut line, &resource, value)?;
                }
            }
            (_, value) => flags(&mut line, &key.replace('_', "-"), value)?,
        }
    }
    line.extend([OsString::from("--"), agent.into(), secret.into()]);
    let parsed = Line::try_parse_from(line).map_err(|error| {
        let told = error.to_string();
        let first = told.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Failure::usage(first).hint("a key is a flag of `claviger grant add`; see `claviger grant add --help`")
    })?;
    Ok(AddGrantRequest { name, deny, ..parsed.args.into_request()? })
}

/// A key and its value as flags.
fn flags(line: &mut Vec<OsString>, key: &str, value: Value) -> Result<(), Failure> {
    let flag = format!("--{key}");
    match value {
        Value::Boolean(true) => line.push(flag.into()),
        Value::Boolean(false) => {}
        Value::Array(items) => {
            let items = items.iter().map(|item| text(item, key)).collect::<Result<Vec<_>, _>>()?;
            if REPEATED.contains(&key) {
                if items.is_empty() {
                    return Err(Failure::usage(format!(
                        "the list of {key} is empty, and would allow nothing"
                    )));
                }
                line.extend(items.into_iter().map(|item| OsString::from(format!("{flag}={item}"))));
            } else if items.iter().any(|item| item.contains(',')) {
                return Err(Failure::usage(format!("an item of {key} contains a comma")));
            } else {
                line.push(format!("{flag}={}", items.join(",")).into());
            }
        }
        value => line.push(format!("{flag}={}", text(&value, key)?).into()),
    }
    Ok(())
}

fn test(mut entry: Table) -> Result<PlanTest, Failure> {
    let agent = word(&mut entry, "agent")?;
    let tool = word(&mut entry, "tool")?;
    let expect = word(&mut entry, "expect")?;
    let secret = if entry.contains_key("secret") { word(&mut entry, "secret")? } else { String::new() };
    let arguments = match entry.remove("args") {
        None => Json::Object(serde_json::Map::new()),
        Some(value @ Value::Table(_)) => json(value)?,
        Some(_) => {
            return Err(Failure::usage("args is a table, such as args = { to = [\"a@example.org\"] }"));
        }
    };
    match entry.keys().next() {
        Some(key) => {
            Err(Failure::usage(format!("a test has no `{key}`"))
                .hint("it has agent, tool, secret, args, expect"))
        }
        None => Ok(PlanTest { agent, tool, arguments: canonical(&arguments)?, secret, expect }),
    }
}

fn json(value: Value) -> Result<Json, Failure> {
    Ok(match value {
        Value::String(text) => text.into(),
        Value::Integer(number) => number.into(),
        Value::Boolean(yes) => yes.into(),
        Value::Array(items) => Json::Array(items.into_iter().map(json).collect::<Result<_, _>>()?),
        Value::Table(table) => {
            let members = table.into_iter().map(|(key, value)| Ok((key, json(value)?)));
            Json::Object(members.collect::<Result<_, Failure>>()?)
        }
        Value::Datetime(moment) => moment.to_string().into(),
        Value::Float(_) => return Err(Failure::usage("an argument is no fraction")),
    })
}

fn word(entry: &mut Table, key: &str) -> Result<String, Failure> {
    match entry.remove(key) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Failure::usage(format!("{key} is a text"))),
        None => Err(Failure::usage(format!("{key} is missing"))),
    }
}

fn text(value: &Value, key: &str) -> Result<String, Failure> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Datetime(moment) => Ok(moment.to_string()),
        _ => Err(Failure::usage(format!("{key} is a text, a number, or a list of them"))),
    }
}
