//! What an import would do: decided once, from what was read and what the vault has, and then only carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;

use claviger_proto::v1::{AddGrantRequest, Agent, Caveat, Change, PlanRequest, Secret, Service, caveat};
use zeroize::Zeroizing;

use super::super::client::Admin;
use super::super::client_install::{self, Host, entry_of};
use super::super::failure::Failure;
use super::super::limits::Ends;
use super::dotenv;
use super::found::{Find, Fit, Place, Reading, Server, Value, shown};
use super::journal::Journal;
use super::known::Known;
use super::lists::{self, Mapped};
use super::servers::WRAP;

/// The longest name of a grant, in bytes.
const MAX_NAME: usize = 60;
/// What the name of a grant that forbids ends in.
const DENIED: &str = "-denied";

/// What the vault has, and what was typed.
pub(super) struct Given {
    /// For whom.
    pub(super) agent: Agent,
    /// The catalog.
    pub(super) catalog: Vec<Service>,
    /// The secrets that are there.
    pub(super) secrets: Vec<Secret>,
    /// What secrets are called after the slash.
    pub(super) account: String,
    /// Servers that are to stay.
    pub(super) keep: Vec<String>,
    /// Whether reading is granted where no list says anything.
    pub(super) read: bool,
    /// When grants end.
    pub(super) expires: Ends,
    /// Whether what the vault has under a secret's name is that account.
    pub(super) use_existing: bool,
    /// What an earlier run that was cut off had begun to store.
    pub(super) journal: Journal,
}

/// A secret as it is shown.
pub(super) struct Row {
    /// Where it is.
    pub(super) place: String,
    /// Under which name.
    pub(super) key: String,
    /// What kind it is.
    pub(super) kind: &'static str,
    /// The server's name.
    pub(super) server: String,
    /// The secrets of ours that it becomes, or is already.
    pub(super) becomes: Vec<String>,
    /// Why it does not, or that it is there.
    pub(super) why: String,
}

/// All of it.
#[derive(Default)]
pub(super) struct Plan {
    /// Every secret that was found.
    pub(super) rows: Vec<Row>,
    /// Those that go into the vault.
    pub(super) adds: Vec<(String, Rc<Value>)>,
    /// The grants that are to be there.
    pub(super) grants: Vec<AddGrantRequest>,
    /// How those whose secret is there already differ from what is there.
    pub(super) changes: Vec<Change>,
    /// Tools that become nothing, with the reason.
    pub(super) not_taken: Vec<(String, String)>,
    /// Servers that stay, with the reason.
    pub(super) stays: Vec<(String, String)>,
    /// Servers, or variables, that go out of the file.
    pub(super) out: Vec<String>,
    /// The new text of the file, where it changes.
    pub(super) text: Option<Zeroizing<String>>,
    /// Files that values were taken from.
    pub(super) sources: BTreeSet<PathBuf>,
    /// Variables of the environment that values were taken from.
    pub(super) variables: BTreeSet<String>,
    /// Which find becomes which secret.
    pub(super) journal: Journal,
    /// What an owner should know.
    pub(super) notes: Vec<String>,
}

impl Plan {
    /// Whether everything is as it is to be.
    pub(super) fn is_done(&self) -> bool {
        let same = |grant: &AddGrantRequest| {
            self.changes.iter().any(|change| change.name == grant.name && change.kind == "keep")
        };
        self.adds.is_empty() && self.text.is_none() && self.grants.iter().all(same)
    }

    /// Asks the vault how the grants differ from those it has, as far as their secrets are there.
    pub(super) async fn compare(&mut self, admin: &mut Admin) -> Result<(), Failure> {
        let new: BTreeSet<&str> = self.adds.iter().map(|(name, _)| name.as_str()).collect();
        let grants: Vec<_> =
            self.grants.iter().filter(|grant| !new.contains(grant.secret.as_str())).cloned().collect();
        if grants.is_empty() {
            return Ok(());
        }
        self.changes =
            admin.plan(PlanRequest { grants, ..PlanRequest::default() }).await?.into_inner().changes;
        self.changes.retain(|change| change.kind != "unmanaged");
        Ok(())
    }
}

/// Decides.
pub(super) fn make(given: &Given, reading: &Reading) -> Result<Plan, Failure> {
    let mut plan = Plan { notes: reading.notes.clone(), ..Plan::default() };
    let mapped = lists::map(given, reading, &mut plan);
    let own = secrets(given, reading, &mapped, &mut plan);
    for server in &reading.servers {
        match stays(given, server, &mapped, own.get(&server.name)) {
            Some(why) => plan.stays.push((shown(&server.name), why)),
            None => plan.out.push(server.name.clone()),
        }
    }
    // A server's tools are granted with its own account, and with no other that happens to have the name.
    let has = |server: &str, secret: &str| match reading.servers.iter().find(|other| other.name == server) {
        Some(server) => {
            own.get(&server.name).is_some_and(|own| own.contains(secret)) || existing(given, server, secret)
        }
        None => given.has(secret),
    };
    for (service, tools) in lists::merge(given, &mapped, has, &mut plan) {
        let secret = given.secret(&service);
        let name = format!("import-{service}-{}", given.account);
        if name.len() + DENIED.len() > MAX_NAME {
            return Err(Failure::usage("no grant can have so long a name").hint("choose a shorter --account"));
        }
        plan.grants.extend(grant(given, &secret, &tools.allow, name.clone(), false));
        plan.grants.extend(grant(given, &secret, &tools.deny, format!("{name}{DENIED}"), true));
    }
    plan.text = text(given, reading, &mut plan)?;
    Ok(plan)
}

impl Given {
    /// The name of a service's secret.
    pub(super) fn secret(&self, service: &str) -> String {
        format!("{service}/{}", self.account)
    }

    /// Whether the vault has it.
    pub(super) fn has(&self, secret: &str) -> bool {
        self.secrets.iter().any(|there| there.name == secret)
    }
}

/// Whether a server whose credential was not found is to use the vault's, because its owner says so.
fn existing(given: &Given, server: &Server, secret: &str) -> bool {
    server.missing.is_some() && given.use_existing && given.has(secret)
}

/// The services of a known server that a credential of it is taken for.
fn wanted(given: &Given, server: &str, known: &Known, mapped: &Mapped) -> Vec<String> {
    let has = |id: &str| given.catalog.iter().any(|service| service.id == id);
    let used = |id: &str| match mapped.of_server.get(server) {
        Some(services) => services.contains_key(id),
        None => !mapped.listed.contains(server),
    };
    known.services.iter().filter(|id| has(id) && used(id)).map(|id| (*id).to_owned()).collect()
}

/// The secrets that each server's credential becomes, or is already.
type Own = BTreeMap<String, BTreeSet<String>>;

/// Which secrets go into the vault, under which names.
fn secrets(given: &Given, reading: &Reading, mapped: &Mapped, plan: &mut Plan) -> Own {
    let mut own = Own::new();
    for find in &reading.finds {
        let server = reading.servers.iter().find(|server| server.name == find.server);
        let (services, value) = match &find.fit {
            Fit::Left(why) => {
                plan.rows.push(row(find, Vec::new(), why.clone()));
                continue;
            }
            Fit::Named(service, value) => (vec![service.clone()], value),
            Fit::Offered(value) => {
                let known = server.and_then(|server| server.known);
                (known.map(|known| wanted(given, &find.server, known, mapped)).unwrap_or_default(), value)
            }
        };
        if given.keep.contains(&find.server) || given.keep.contains(&find.key) {
            plan.rows.push(row(find, Vec::new(), "it stays, as you said".to_owned()));
            continue;
        }
        if let Err(failure) = value.check() {
            plan.rows.push(row(find, Vec::new(), failure.message));
            continue;
        }
        let (mut becomes, mut why) = (Vec::new(), Vec::new());
        for service in services {
            let name = given.secret(&service);
            if let Some(there) = given.secrets.iter().find(|secret| secret.name == name) {
                let whom = if there.email.is_empty() { &there.subject } else { &there.email };
                let whom = if whom.is_empty() { String::new() } else { format!(" as {whom}") };
                // Its value cannot be compared with this one: the vault tells none.
                if given.use_existing || given.journal.has(&name, find) {
                    why.push(format!("{name} is in the vault already{whom}, and is used"));
                    becomes.push(name);
                } else {
                    why.push(format!(
                        "{name} is in the vault already{whom}: --use-existing if it is this account, --account NAME if not"
                    ));
                }
            } else if let Some((_, other)) = plan.adds.iter().find(|(add, _)| *add == name) {
                if other.same(value) {
                    becomes.push(name);
                } else {
                    why.push(format!(
                        "{name} is another one already: import it with --account, and --keep the other"
                    ));
                }
            } else {
                plan.adds.push((name.clone(), Rc::clone(value)));
                becomes.push(name);
            }
        }
        if becomes.is_empty() && why.is_empty() {
            why.push(
                "this vault's catalog has no service for it, or no list allows a tool of one".to_owned(),
            );
        }
        if !becomes.is_empty() {
            own.entry(find.server.clone()).or_default().extend(becomes.iter().cloned());
            plan.journal.note(&becomes, find);
            plan.sources.extend(find.also.iter().cloned());
            match &find.place {
                Place::File(path) => drop(plan.sources.insert(path.clone())),
                Place::Environment => drop(plan.variables.insert(find.key.clone())),
            }
        }
        plan.rows.push(row(find, becomes, why.join("; ")));
    }
    own
}

fn row(find: &Find, becomes: Vec<String>, why: String) -> Row {
    let Find { place, key, kind, server, fit: _, also: _ } = find;
    Row { place: place.text(), key: key.clone(), kind, server: shown(server), becomes, why }
}

/// Why a server stays in the file; `None` if it goes.
fn stays(given: &Given, server: &Server, mapped: &Mapped, own: Option<&BTreeSet<String>>) -> Option<String> {
    if given.keep.contains(&server.name) {
        return Some("you said so".to_owned());
    }
    let Some(known) = server.known else {
        return Some(if server.remote {
            format!("it is reached by an address; {WRAP}")
        } else {
            WRAP.to_owned()
        });
    };
    let wanted = wanted(given, &server.name, known, mapped);
    if wanted.is_empty() {
        return Some(
            "this vault's catalog has no service for it, or no list allows a tool of one".to_owned(),
        );
    }
    let has = |secret: &str| own.is_some_and(|own| own.contains(secret)) || existing(given, server, secret);
    let lacking = wanted.iter().map(|service| given.secret(service)).find(|secret| !has(secret))?;
    Some(match &server.missing {
        Some(why) if given.has(&lacking) => {
            format!("its credential was not found: {why}; --use-existing if {lacking} is its account")
        }
        Some(why) => format!("its credential was not found: {why}"),
        None => format!("its credential does not become {lacking}"),
    })
}

fn grant(given: &Given, secret: &str, tools: &[String], name: String, deny: bool) -> Option<AddGrantRequest> {
    let mut request = AddGrantRequest {
        agent: given.agent.name.clone(),
        secret: secret.to_owned(),
        tools: tools.to_vec(),
        name,
        deny,
        ..AddGrantRequest::default()
    };
    // What is forbidden is so for ever.
    match given.expires {
        _ if deny => {}
        Ends::Never => {}
        Ends::In(seconds) => request.expires_in_seconds = seconds,
        Ends::At(at_ms) => request.caveats.push(Caveat { kind: Some(caveat::Kind::ExpiresAtMs(at_ms)) }),
    }
    (!tools.is_empty()).then_some(request)
}

/// The file's new text, where something goes out of it.
fn text(given: &Given, reading: &Reading, plan: &mut Plan) -> Result<Option<Zeroizing<String>>, Failure> {
    let Some(held) = &reading.file else { return Ok(None) };
    let unfit = |unfit: client_install::Unfit| Failure::new(format!("{}: {unfit}", held.path().display()));
    let Some(host) = reading.host else {
        let taken: Vec<(String, String)> = plan
            .rows
            .iter()
            .filter(|row| row.place == held.path().display().to_string())
            .filter_map(|row| Some((row.key.clone(), row.becomes.first()?.clone())))
            .collect();
        plan.out = taken.iter().map(|(name, _)| name.clone()).collect();
        let text = dotenv::without(held.text(), &taken);
        return Ok((text != held.text()).then(|| Zeroizing::new(text)));
    };
    if plan.out.is_empty() {
        return Ok(None);
    }
    let text = Zeroizing::new(client_install::take(held.text(), host.path(), &plan.out).map_err(unfit)?);
    let entry = entry_of(&given.agent)?;
    if let Some(uid) = given.agent.uid.filter(|uid| *uid != rustix::process::geteuid().as_raw()) {
        let agent = &given.agent.name;
        plan.notes.push(format!("{agent} runs as uid {uid}: its host reads that user's files, not this one"));
    }
    match host.there(&text).map_err(unfit)? {
        Some(there) if there != entry.value() => {
            plan.notes.push(format!(
                "another entry is called {} there and stays: look at `claviger client install {} --print`",
                client_install::NAME,
                word(host)
            ));
            Ok(Some(text))
        }
        Some(_) => Ok(Some(text)),
        None => Ok(Some(Zeroizing::new(host.with(&text, &entry).map_err(unfit)?))),
    }
}

/// The word for a host on the command line.
pub(super) fn word(host: Host) -> String {
    clap::ValueEnum::to_possible_value(&host).map(|value| value.get_name().to_owned()).unwrap_or_default()
}
