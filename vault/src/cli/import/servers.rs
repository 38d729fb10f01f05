//! The servers in a client's configuration: which are known, and where their credentials are.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use claviger_proto::v1::Service;
use secrecy::ExposeSecret;
use serde_json::Value as Json;

use super::super::client_install::{Held, Host, NAME};
use super::super::world::World;
use super::found::{Find, Fit, Line, Place, Reading, Server, Value, looks_secret, path_in, shown};
use super::known::{self, Credential, Known};
use super::reference::{Resolved, resolve};
use super::{dotenv, google};

/// The most servers of one file, and secrets of one server.
const MOST: usize = 500;
/// Why a server that is not known stays.
pub(super) const WRAP: &str = "it needs wrapping, which this version cannot do";

/// What is looked at besides the file.
pub(super) struct Around<'w> {
    /// The world.
    pub(super) world: &'w World,
    /// The catalog.
    pub(super) catalog: &'w [Service],
}

/// Reads the servers of a configuration that was parsed.
pub(super) fn read(around: &Around<'_>, held: &Held, host: Host, root: &Json, reading: &mut Reading) {
    let servers = host.path().iter().try_fold(root, |value, step| value.get(step)).and_then(Json::as_object);
    let count = servers.map_or(0, serde_json::Map::len);
    if count > MOST {
        reading.notes.push(format!("only the first {MOST} of {count} servers were looked at"));
    }
    for (name, entry) in servers.into_iter().flatten().take(MOST).filter(|(name, _)| *name != NAME) {
        let one = One { around, held, name, entry };
        let known = known::of_command(one.words().iter().copied());
        let missing = match known {
            Some(known) => one.credential(known, &mut reading.finds).err(),
            None => None,
        };
        one.others(known, &mut reading.finds);
        reading.lines.extend(one.lines());
        let remote = ["baseUrl", "url", "serverUrl"].iter().any(|key| entry.get(key).is_some());
        let limited = entry.get("allowedTools").is_some();
        reading.servers.push(Server { name: name.clone(), known, missing, remote, limited });
    }
    if host == Host::Openclaw {
        rest(root, held, &mut reading.finds);
    }
}

/// One server of the file.
struct One<'o> {
    around: &'o Around<'o>,
    held: &'o Held,
    name: &'o str,
    entry: &'o Json,
}

impl<'o> One<'o> {
    /// Command and arguments.
    fn words(&self) -> Vec<&'o str> {
        let command = self.entry.get("command").into_iter();
        let args = self.entry.get("args").and_then(Json::as_array).into_iter().flatten();
        // mcporter takes a command that is a list, too.
        let list = self.entry.get("command").and_then(Json::as_array).into_iter().flatten();
        command.chain(list).chain(args).filter_map(Json::as_str).take(MOST).collect()
    }

    fn members(&self, key: &str) -> impl Iterator<Item = (&'o String, &'o Json)> {
        self.entry.get(key).and_then(Json::as_object).into_iter().flatten().take(MOST)
    }

    fn place(&self) -> Place {
        Place::File(self.held.path().to_owned())
    }

    fn key(&self, part: &str, name: &str) -> String {
        format!("{}.{part}.{}", shown(self.name), shown(name))
    }

    /// The text of an `env` member, with its references resolved; `None` where it has none.
    fn variable(&self, name: &str) -> Option<Resolved> {
        let text = self.entry.get("env")?.get(name)?.as_str()?;
        Some(resolve(text, self.around.world.variable))
    }

    /// A path from an `env` member, else below the home.
    fn path(&self, (name, otherwise): (&str, Option<&str>)) -> Result<PathBuf, String> {
        let home = self.around.world.user_home.as_deref();
        match self.variable(name) {
            Some(Resolved { value: Ok(path), .. }) => {
                let directory = self.held.path().parent().unwrap_or(Path::new("/"));
                // EXPOSE: it is the path of a file, and is shown as such.
                Ok(path_in(path.expose_secret(), home, directory))
            }
            Some(Resolved { value: Err(unset), .. }) => {
                Err(format!("{name} refers to {unset}, which is not set here"))
            }
            None => match (otherwise, home) {
                (Some(otherwise), Some(home)) => Ok(home.join(otherwise)),
                _ => Err(format!("{name} is not set, and nothing else says where its file is")),
            },
        }
    }

    /// Finds the credential of a known server.
    fn credential(&self, known: &'static Known, finds: &mut Vec<Find>) -> Result<(), String> {
        let offered = |value| Fit::Offered(Rc::new(value));
        let server = self.name.to_owned();
        match known.credential {
            Credential::Google { client, token } => {
                let (client, token) = (self.path(client)?, self.path(token)?);
                let value = google::from_files(&client, &token)?;
                let (kind, key) = ("OAuth client and refresh token", "refresh_token".to_owned());
                finds.push(Find {
                    place: Place::File(token),
                    key,
                    kind,
                    server,
                    fit: offered(value),
                    also: vec![client],
                });
            }
            Credential::Workspace => {
                let names = ["WORKSPACE_MCP_CREDENTIALS_DIR", "GOOGLE_MCP_CREDENTIALS_DIR"];
                let name = names.into_iter().find(|name| self.variable(name).is_some()).unwrap_or(names[0]);
                let directory = self.path((name, Some(".google_workspace_mcp/credentials")))?;
                let (file, value) = google::workspace(&directory)?;
                let (kind, key) = ("OAuth client and refresh token", "refresh_token".to_owned());
                finds.push(Find {
                    place: Place::File(file),
                    key,
                    kind,
                    server,
                    fit: offered(value),
                    also: Vec::new(),
                });
            }
            Credential::Variable(names) => {
                let Some(name) = names.iter().find(|name| self.variable(name).is_some()) else {
                    return Err(format!("its env has no {}", names[0]));
                };
                let Some(Resolved { value, names }) = self.variable(name) else { return Err(String::new()) };
                let value =
                    value.map_err(|unset| format!("{name} refers to {unset}, which is not set here"))?;
                let place = if names.is_empty() { self.place() } else { Place::Environment };
                let key = names.first().cloned().unwrap_or_else(|| self.key("env", name));
                let also = if names.is_empty() { Vec::new() } else { vec![self.held.path().to_owned()] };
                finds.push(Find {
                    place,
                    key,
                    kind: "token",
                    server,
                    fit: offered(Value::Bearer(value)),
                    also,
                });
            }
        }
        Ok(())
    }

    /// Lists whatever else looks like a secret, and stays.
    fn others(&self, known: Option<&'static Known>, finds: &mut Vec<Find>) {
        let own: &[&str] = match known.map(|known| known.credential) {
            Some(Credential::Variable(names)) => names,
            _ => &[],
        };
        for part in ["env", "headers"] {
            let secret = |name: &str| looks_secret(name) && !own.contains(&name);
            for (name, value) in self.members(part).filter(|(name, _)| secret(name)) {
                let Some(text) = value.as_str().filter(|text| !text.is_empty()) else { continue };
                let Resolved { value, names } = resolve(text, self.around.world.variable);
                let why = match (value, dotenv::service(name, self.around.catalog)) {
                    (Err(unset), _) => format!("it refers to {unset}, which is not set here"),
                    (Ok(_), Some(service)) => {
                        format!(
                            "{WRAP}; the token itself fits: claviger secret add {service}/NAME --kind bearer"
                        )
                    }
                    (Ok(_), None) if known.is_some() => "nothing here needs it".to_owned(),
                    (Ok(_), None) => WRAP.to_owned(),
                };
                let place = if names.is_empty() { self.place() } else { Place::Environment };
                finds.push(Find::left(place, &self.key(part, name), "unknown", self.name, why));
            }
        }
        // The name alone: what stands behind it is not looked at.
        let flag =
            |word: &&&str| word.starts_with('-') && looks_secret(word.split('=').next().unwrap_or_default());
        for word in self.words().iter().filter(flag) {
            let name = word.split('=').next().unwrap_or_default();
            finds.push(Find::left(self.place(), &self.key("args", name), "unknown", self.name, WRAP));
        }
    }

    /// What its own lists allow and forbid.
    fn lines(&self) -> Vec<Line> {
        let list = |key: &str, allowed: bool| {
            let tools = self.entry.get(key).and_then(Json::as_array).into_iter().flatten().take(MOST);
            let line =
                move |tool: &str| Line { server: self.name.to_owned(), tool: tool.to_owned(), allowed };
            tools.filter_map(Json::as_str).map(line).collect::<Vec<_>>()
        };
        [list("allowedTools", true), list("blockedTools", false)].concat()
    }
}

/// Whatever else in a host's own configuration looks like a secret: the host needs it, and it stays.
fn rest(root: &Json, held: &Held, finds: &mut Vec<Find>) {
    let mut todo = vec![(String::new(), root)];
    while let Some((path, value)) = todo.pop() {
        for (name, value) in value.as_object().into_iter().flatten() {
            let path = if path.is_empty() { shown(name) } else { format!("{path}.{}", shown(name)) };
            if path == "mcp.servers" || finds.len() > MOST {
                continue;
            }
            if looks_secret(name)
                && value.as_str().is_some_and(|text| !text.is_empty() && !text.starts_with("${"))
            {
                let place = Place::File(held.path().to_owned());
                finds.push(Find::left(place, &path, "unknown", "", "the host itself uses it"));
            } else {
                todo.push((path, value));
            }
        }
    }
}
