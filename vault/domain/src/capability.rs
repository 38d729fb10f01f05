//! Capabilities: one tool call of one adapter, for seconds.

use std::collections::{BTreeMap, BTreeSet};

use claviger_canonical::Digest;
use subtle::ConstantTimeEq;

use crate::arg::{Arguments, parse_id};
use crate::effect::Effect;
use crate::id::{CallId, CapabilityId, GrantId, HandleId};
use crate::name::{AdapterName, AgentName, Ident, SecretName, ToolName};
use crate::permit::Permit;
use crate::refusal::{Class, Denial};
use crate::scope::Scope;
use crate::step::{ParamSource, Step};

/// How long a capability lives, in microseconds.
pub const LIFE_US: u64 = 60_000_000;

/// How many probes one call may cause, besides its requests.
pub const PROBES: u32 = 200;

/// How many times one call may cause a look at an element of a list, or a further page of one. They are counted apart from
/// the probes: how many there are depends on what is out of scope, and a call must not fail by it.
pub const LOOKS: u32 = 200;

/// How many ids of one kind one call may learn from answers.
const YIELDS: usize = 2_000;

/// How long an id that an answer names may be, in bytes: Gmail's ids of attachments have some 400.
const YIELD_MAX: usize = 1_024;

/// Whether an id of an answer's can be a parameter: like any id, but longer, for no caller has to write it.
fn is_yield(id: &str) -> bool {
    (1..=YIELD_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// The secret half of a capability, as an adapter shows it. Never kept: the vault holds its hash.
pub struct CapabilitySecret([u8; 16]);

impl CapabilitySecret {
    /// From 16 random bytes, or from what an adapter sent.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    fn hash(&self) -> [u8; 32] {
        *Digest::of(&self.0).as_bytes()
    }
}

/// All that a mint knows besides the permit.
#[derive(Debug, Clone)]
pub struct Minting {
    /// The public half.
    pub id: CapabilityId,
    /// Names the call.
    pub call: CallId,
    /// Whom it is minted for.
    pub adapter: AdapterName,
    /// Whose authority it carries.
    pub agent: AgentName,
    /// The grant.
    pub grant: GrantId,
    /// The handle.
    pub handle: HandleId,
    /// The handle's ancestors, nearest first.
    pub ancestors: Vec<HandleId>,
    /// The secret.
    pub secret: SecretName,
    /// The call's effect: the tool's, or the worse one that was seen in the object.
    pub effect: Effect,
    /// What the looks of the tool saw before the call was decided: SHA-256, as in [`crate::seen::Seen`].
    pub seen: Option<[u8; 32]>,
    /// How many requests it is good for.
    pub requests: u32,
    /// Keyed digest of the arguments, for the log.
    pub digest: [u8; 32],
    /// Which rules of the agent's the call was decided by: once they have changed, it is worth nothing.
    pub rules: u64,
    /// Monotonic time, in microseconds.
    pub now_us: u64,
}

/// A live capability, as the vault keeps it.
#[derive(Debug)]
pub struct Capability {
    minted: Minting,
    secret_hash: [u8; 32],
    tool: ToolName,
    arguments: Arguments,
    scope: Scope,
    requests_left: u32,
    probes_left: u32,
    looks_left: u32,
    yielded: BTreeMap<Ident, BTreeSet<String>>,
}

impl Capability {
    /// Turns a permit into a capability. The permit is gone.
    #[must_use]
    pub fn mint(permit: Permit, minted: Minting, secret: &CapabilitySecret) -> Self {
        let (tool, arguments, scope) = permit.consume();
        Self {
            secret_hash: secret.hash(),
            tool,
            arguments,
            scope,
            requests_left: minted.requests,
            probes_left: PROBES,
            looks_left: LOOKS,
            yielded: BTreeMap::new(),
            minted,
        }
    }

    /// Takes one request out of it.
    ///
    /// # Errors
    /// Class `bad-capability`: another peer's, another secret, too late, or spent. They are not told apart.
    pub fn spend(
        &mut self,
        adapter: &AdapterName,
        secret: &CapabilitySecret,
        now_us: u64,
    ) -> Result<(), Denial> {
        let denial = |why: &str| Denial::new(Class::BadCapability).fix(why);
        if self.minted.adapter != *adapter {
            return Err(denial("it was minted for another adapter"));
        }
        if !bool::from(self.secret_hash.ct_eq(&secret.hash())) {
            return Err(denial("its secret is wrong"));
        }
        if self.is_over(now_us) {
            return Err(denial("it has expired"));
        }
        self.requests_left = self.requests_left.checked_sub(1).ok_or_else(|| denial("it is spent"))?;
        Ok(())
    }

    /// Takes one probe out of it.
    ///
    /// # Errors
    /// Class `bad-capability` where the cap is reached.
    pub fn spend_probe(&mut self) -> Result<(), Denial> {
        self.probes_left = self
            .probes_left
            .checked_sub(1)
            .ok_or_else(|| Denial::new(Class::BadCapability).fix("the call caused too many probes"))?;
        Ok(())
    }

    /// Takes one look at an element of a list, or at a further page of one; `false` where none is left. A list ends there
    /// as if nothing came after.
    #[must_use]
    pub fn spend_look(&mut self) -> bool {
        let left = self.looks_left.checked_sub(1);
        self.looks_left = left.unwrap_or(0);
        left.is_some()
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self, now_us: u64) -> bool {
        now_us >= self.minted.now_us.saturating_add(LIFE_US)
    }

    /// Checks the parameters an adapter gave for a step and adds those that the vault fills itself.
    ///
    /// # Errors
    /// Class `bad-step` for a parameter the step does not take from an adapter, any parameter at all for a tool that
    /// does not only read, or an id that no answer contained; `out-of-scope` for an id outside the scope.
    pub fn params(
        &self,
        step: &Step,
        given: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<Ident, String>, Denial> {
        if let Some(unknown) =
            given.keys().find(|name| !step.params.keys().any(|known| known.as_str() == name.as_str()))
        {
            return Err(Denial::new(Class::BadStep).value(unknown).fix("the step takes no such parameter"));
        }
        if !self.minted.effect.is_read() && !given.is_empty() {
            return Err(Denial::new(Class::BadStep).field("params").fix(
                "only a tool that reads takes parameters: anything else is made of the arguments alone",
            ));
        }
        let mut params = BTreeMap::new();
        for (name, source) in &step.params {
            let given = given.get(name.as_str());
            let value = match source {
                ParamSource::Answer => Some(self.learned(name, given)?),
                ParamSource::Scope(resource) => self.chosen(name, resource, given)?,
                // The vault's own to fill, once it has looked again.
                ParamSource::Look { .. } if given.is_none() => None,
                ParamSource::Look { .. } => {
                    return Err(Denial::new(Class::BadStep)
                        .field(name.as_str())
                        .fix("the vault fills it from what it saw"));
                }
            };
            if let Some(value) = value {
                params.insert(name.clone(), value);
            }
        }
        Ok(params)
    }

    fn learned(&self, name: &Ident, given: Option<&String>) -> Result<String, Denial> {
        let denial = || Denial::new(Class::BadStep).field(name.as_str());
        let given = given.ok_or_else(|| denial().fix("the step needs it"))?;
        if self.yielded.get(name).is_some_and(|ids| ids.contains(given)) {
            Ok(given.clone())
        } else {
            Err(denial().value(given).fix("no answer of this call contained it"))
        }
    }

    fn chosen(
        &self,
        name: &Ident,
        resource: &Ident,
        given: Option<&String>,
    ) -> Result<Option<String>, Denial> {
        let denial = || Denial::new(Class::OutOfScope).field(resource.as_str());
        // An empty id would make an empty filter, which filters nothing.
        let well_formed =
            |id: &String| parse_id(id).map_err(|why| denial().value(id).fix(format!("the id {why}")));
        match (self.scope.choices(resource), given) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Denial::new(Class::BadStep).field(name.as_str()).fix("nothing bounds it")),
            (Some(ids), Some(given)) if ids.contains(given) => well_formed(given).map(Some),
            (Some(_), Some(given)) => Err(denial().value(given)),
            (Some(ids), None) => match ids.first() {
                Some(only) if ids.len() == 1 => well_formed(only).map(Some),
                _ => Err(denial().fix("the step must choose one of the ids in scope")),
            },
        }
    }

    /// Learns the ids that an answer makes usable. Malformed ones are passed over: they can be no parameter.
    ///
    /// The answer must be the one that [`Scope::judge`] let through: from any other, ids out of scope would become
    /// parameters.
    pub fn learn(&mut self, step: &Step, answer: &serde_json::Value) {
        for (name, pointers) in &step.yields {
            let known = self.yielded.entry(name.clone()).or_default();
            let found = pointers.iter().flat_map(|pointer| pointer.select(answer));
            for id in found.filter_map(serde_json::Value::as_str) {
                if known.len() < YIELDS && is_yield(id) {
                    known.insert(id.to_owned());
                }
            }
        }
    }

    /// What the mint knew.
    #[must_use]
    pub fn minted(&self) -> &Minting {
        &self.minted
    }

    /// The tool.
    #[must_use]
    pub fn tool(&self) -> &ToolName {
        &self.tool
    }

    /// The presented arguments.
    #[must_use]
    pub fn arguments(&self) -> &Arguments {
        &self.arguments
    }

    /// What the call may touch.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }
}
