//! Two adversaries, each with everything its role has, and a table of what they try.
//!
//! [`agent`] has an agent's proof keys and the adapters' sockets: it signs whatever it likes. [`adapter`] has an adapter's
//! way to the vault: it mints what passes by and sends what it likes under it. Each attempt must be refused, or must do
//! no harm, and then its row says how that shows. What they try is told by theme: [`mailbox`], [`shares`], [`calendar`],
//! [`contacts`] and [`nas`] are the services' further tools, [`people`] is about consent, taint and decoys, [`trees`] about child handles
//! and counters, [`changes`] about what changes between a look and a use; `agent` and `adapter` have the first tools of mail and drive. After the whole table nothing may have reached the upstream that a
//! grant does not allow: that is looked at in the upstream's own log, not in what the vault says.
//!
//! A table in which nothing could ever get through would hold whatever the vault did. So each is played again by an agent
//! whose grants bound nothing ([`control`]): then a good share of what scope had refused must get through.

mod adapter;
mod agent;
mod calendar;
mod changes;
mod contacts;
mod harm;
mod letters;
mod mailbox;
mod nas;
mod people;
mod shares;
mod trees;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use claviger_tests::world::raw::{Thief, call_adapter};
use claviger_tests::world::users::Who;
use claviger_tests::world::{AGENT, World};
use rmcp::RoleClient;
use rmcp::service::RunningService;
use serde_json::Value;

/// What an attempt may end in.
#[derive(Debug, Clone, Copy)]
enum Must {
    /// A refusal of one of these classes.
    BeRefused(&'static [&'static str]),
    /// An answer in which none of these texts stands.
    NotTell(&'static [&'static str]),
}

/// Refused by the arguments' own form.
const FORM: Must = Must::BeRefused(&["bad-arguments"]);
/// The class of what the adapter itself refuses, in words: it does not fit what is there.
const UNFIT: &str = "error";
/// Refused by scope, or as what is not there.
const SCOPE: Must = Must::BeRefused(&["out-of-scope"]);
/// Either: which of the two sees it first does not matter.
const FORM_OR_SCOPE: Must = Must::BeRefused(&["bad-arguments", "out-of-scope"]);
/// No grant says so.
const UNGRANTED: Must = Must::BeRefused(&["not-granted", "bad-presentation"]);

/// One attempt: what it is called, at which tool, with which arguments, and how it must end.
struct Attempt {
    what: String,
    tool: &'static str,
    args: Value,
    must: Must,
}

fn attempt(what: impl Into<String>, tool: &'static str, args: Value, must: Must) -> Attempt {
    Attempt { what: what.into(), tool, args, must }
}

/// The agent's side without our client: proof keys, and a plain MCP client at each adapter.
struct Puppet {
    thief: Thief,
    adapters: BTreeMap<String, RunningService<RoleClient, ()>>,
}

impl Puppet {
    async fn new(world: &World) -> Self {
        Self::of(world, AGENT).await
    }

    /// The side of the agent of that name, in a world of one user.
    async fn of(world: &World, agent: &str) -> Self {
        let thief = world.thief(agent).await;
        let mut adapters = BTreeMap::new();
        for handle in &thief.opened.handles {
            let name = handle.adapter.as_ref().unwrap().adapter.clone();
            if let Entry::Vacant(place) = adapters.entry(name) {
                let client = world.mcp_client(place.key(), Who::Agent).await;
                place.insert(client);
            }
        }
        Self { thief, adapters }
    }

    /// Calls a tool with a good presentation; the class of the refusal, or the answer's whole text.
    async fn call(&self, tool: &str, args: &Value) -> Result<String, String> {
        let service = tool.split('.').next().unwrap();
        let (presentation, _) = self.present(tool, args);
        let result = call_adapter(&self.adapters[service], tool, args, &presentation).await;
        let refusal = result.meta.as_ref().and_then(|meta| meta.get(claviger_agent::REFUSAL_KEY));
        match refusal {
            Some(refusal) => Err(refusal["class"].as_str().unwrap_or_default().to_owned()),
            None if result.is_error == Some(true) => Err(format!("error: {:?}", result.content)),
            None => Ok(serde_json::to_string(&result).unwrap()),
        }
    }

    /// A presentation of any tool, granted or not: by the handle that has it, or else by one of its service.
    fn present(&self, tool: &str, args: &Value) -> (String, Vec<u8>) {
        let held = |name: &str| {
            self.thief.opened.handles.iter().any(|handle| handle.tools.iter().any(|tool| tool.name == name))
        };
        if held(tool) {
            return self.thief.present(tool, args);
        }
        let service = tool.split('.').next().unwrap();
        let other = self
            .thief
            .opened
            .handles
            .iter()
            .flat_map(|handle| &handle.tools)
            .find(|tool| tool.name.starts_with(&format!("{service}.")))
            .unwrap();
        let canonical = claviger_canonical::Canonical::from_json(args).unwrap();
        let (mut claim, key) = self.thief.claim(&other.name, &canonical);
        claim.tool = tool.parse().unwrap();
        (claviger_canonical::Presentation::sign(&key, claim).into_text(), canonical.bytes().to_vec())
    }
}

/// Makes all attempts; the faults of those that did not end as they must.
async fn play(puppet: &Puppet, attempts: &[Attempt]) -> Vec<String> {
    let mut faults = Vec::new();
    for Attempt { what, tool, args, must } in attempts {
        let got = puppet.call(tool, args).await;
        let well = match (must, &got) {
            (Must::BeRefused(classes), Err(class)) => {
                classes.iter().any(|one| one == class || *one == UNFIT && class.starts_with("error: "))
            }
            (Must::NotTell(texts), Ok(answer)) => !texts.iter().any(|text| answer.contains(text)),
            // A refusal tells nothing.
            (Must::NotTell(_), Err(class)) => !class.starts_with("error"),
            (Must::BeRefused(_), Ok(_)) => false,
        };
        if !well {
            faults.push(format!("{what} ({tool} {args}): {got:?}, and must {must:?}"));
        }
    }
    faults
}

/// Either way, as long as no harm is done: what it would be stands in the upstream's state.
const HARMLESS: Must = Must::NotTell(&[]);

/// Makes all attempts; each must end as it must, and none may have done harm upstream.
async fn hold(world: &World, puppet: &Puppet, attempts: &[Attempt], least: usize) {
    assert!(attempts.len() >= least, "{} attempts", attempts.len());
    let faults = play(puppet, attempts).await;
    let harm = harm::done(world);
    let all: Vec<&str> = faults.iter().chain(&harm).map(String::as_str).collect();
    assert!(all.is_empty(), "{} of {} attempts:\n{}", all.len(), attempts.len(), all.join("\n"));
}

/// Plays the same attempts again, by an agent that has the same tools and no bounds: at least so many of those that scope
/// alone had refused, or that had told nothing, get through now. It comes last: what they do is harm.
async fn control(world: &World, attempts: &[Attempt], least: usize) {
    let bounded = |attempt: &&Attempt| match attempt.must {
        Must::BeRefused(classes) => {
            classes.iter().any(|class| ["out-of-scope", "not-granted"].contains(class))
        }
        Must::NotTell(texts) => !texts.is_empty(),
    };
    let attempts: Vec<&Attempt> = attempts.iter().filter(bounded).collect();
    world.admin(&["agent", "add", "free"]).await;
    let mut tools: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Attempt { tool, .. } in &attempts {
        let all = tools.entry(tool.split('.').next().unwrap()).or_default();
        if !all.contains(tool) {
            all.push(tool);
        }
    }
    for (service, tools) in tools {
        let secret = if service == "files" { "files/nas".to_owned() } else { format!("{service}/me") };
        let mut line = vec!["free", &secret, "--approve", "never"];
        line.extend(tools.iter().flat_map(|tool| ["--tool", tool]));
        world.grant(&line).await;
    }
    let puppet = Puppet::of(world, "free").await;
    let mut through = 0;
    for Attempt { tool, args, must, .. } in &attempts {
        let got = puppet.call(tool, args).await;
        through += usize::from(match (must, got) {
            (Must::NotTell(texts), Ok(answer)) => texts.iter().any(|text| answer.contains(text)),
            (Must::BeRefused(_), Ok(_)) => true,
            (_, Err(_)) => false,
        });
    }
    assert!(through >= least, "only {through} of {} get through without bounds", attempts.len());
}

/// An object with more members, or others in their place.
fn with(base: &Value, more: Value) -> Value {
    let mut all = base.clone();
    let members = more.as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.clone()));
    all.as_object_mut().unwrap().extend(members);
    all
}

/// Arguments that no schema has, and that would be another request upstream.
fn pollution() -> Vec<(&'static str, Value)> {
    use serde_json::json;
    vec![
        ("a method override", json!({"X-HTTP-Method-Override": "DELETE"})),
        ("another method override", json!({"$httpMethod": "DELETE"})),
        ("other fields", json!({"fields": "*"})),
        ("media", json!({"alt": "media"})),
        ("an upload", json!({"uploadType": "resumable"})),
        ("another user", json!({"quotaUser": "x"})),
        ("a key", json!({"key": "AIza"})),
        ("a path", json!({"path_override": "/batch"})),
        ("an escaped name", json!({"%66ields": "*"})),
    ]
}
