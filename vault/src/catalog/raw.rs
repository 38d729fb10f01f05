//! Catalog files as they are written, before anything of them is believed.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Value;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawService {
    pub(super) id: String,
    pub(super) title: String,
    /// Left out where every step of every tool is local.
    pub(super) origin: Option<String>,
    #[serde(default)]
    pub(super) private: bool,
    pub(super) roots_pem: Option<String>,
    pub(super) auth: RawAuth,
    /// Headers of every request, but where a step has its own.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) resource: BTreeMap<String, RawResource>,
    #[serde(default)]
    pub(super) step: BTreeMap<String, RawStep>,
    #[serde(default)]
    pub(super) tool: BTreeMap<String, RawTool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuth {
    pub(super) kind: String,
    pub(super) provider: Option<String>,
    pub(super) header: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawResource {
    pub(super) summary: String,
    pub(super) resolve: RawResolve,
    pub(super) nested: Option<RawNested>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNested {
    pub(super) step: String,
    pub(super) list: String,
    pub(super) take: String,
    pub(super) arg: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawResolve {
    pub(super) step: String,
    pub(super) list: String,
    pub(super) r#match: String,
    pub(super) take: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTool {
    pub(super) summary: String,
    pub(super) effect: String,
    /// `trusted` or `untrusted`; unsaid means untrusted.
    pub(super) answers: Option<String>,
    #[serde(default)]
    pub(super) scope: Vec<String>,
    pub(super) requests: Option<u32>,
    #[serde(default)]
    pub(super) rescopes: bool,
    #[serde(default)]
    pub(super) carries: bool,
    #[serde(default)]
    pub(super) show: Vec<String>,
    #[serde(default)]
    pub(super) sends_with: Vec<String>,
    #[serde(default)]
    pub(super) args: BTreeMap<String, RawArg>,
    #[serde(default)]
    pub(super) look: Vec<RawLook>,
    #[serde(default)]
    pub(super) step: Vec<RawStep>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLook {
    pub(super) name: String,
    pub(super) step: String,
    #[serde(default)]
    pub(super) optional: bool,
    pub(super) when: Option<String>,
    #[serde(default)]
    pub(super) people: Vec<String>,
    #[serde(default)]
    pub(super) except: Vec<String>,
    pub(super) except_calendar: Option<String>,
    pub(super) private: Option<RawHolds>,
    #[serde(default)]
    pub(super) sends_if: Vec<String>,
    #[serde(default)]
    pub(super) pin: Vec<String>,
    #[serde(default)]
    pub(super) show: BTreeMap<String, String>,
    pub(super) etag: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHolds {
    pub(super) at: String,
    pub(super) is: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRefuse {
    pub(super) elements: Option<String>,
    pub(super) at: String,
    pub(super) is: Value,
}

/// One pointer, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RawPointers {
    One(String),
    Several(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLetter {
    pub(super) message: Option<String>,
    pub(super) raw: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMakes {
    pub(super) id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawArg {
    pub(super) r#type: String,
    #[serde(default)]
    pub(super) required: bool,
    pub(super) default: Option<Value>,
    pub(super) min: Option<i64>,
    pub(super) max: Option<i64>,
    #[serde(default)]
    pub(super) of: Vec<String>,
    #[serde(default)]
    pub(super) deny: Vec<String>,
    pub(super) summary: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStep {
    pub(super) name: Option<String>,
    pub(super) method: Option<String>,
    pub(super) path: Option<String>,
    /// The adapter does it itself: no method and no path.
    #[serde(default)]
    pub(super) local: bool,
    pub(super) if_match: Option<String>,
    #[serde(default)]
    pub(super) refuse: Vec<RawRefuse>,
    pub(super) makes: Option<RawMakes>,
    pub(super) letter: Option<RawLetter>,
    #[serde(default)]
    pub(super) query: BTreeMap<String, Value>,
    /// Headers of this request, besides the service's or in their place.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Option<Value>,
    /// The name under which a bare list stands.
    pub(super) list: Option<String>,
    #[serde(default)]
    pub(super) fields: Vec<String>,
    /// `json`, `bytes` or `stream`; unsaid means json.
    pub(super) answer: Option<String>,
    /// Of a stream: the argument that says from which byte on.
    pub(super) offset: Option<String>,
    /// Of a stream: that it is one member of a JSON object.
    pub(super) decode: Option<RawDecode>,
    /// Of a stream: how many bytes it has at most.
    pub(super) max: Option<u64>,
    /// Of a body that is sent beside the arguments: that it goes on after a cut.
    pub(super) resumable: Option<RawResumable>,
    pub(super) page: Option<RawPage>,
    #[serde(default)]
    pub(super) param: BTreeMap<String, RawParam>,
    #[serde(default)]
    pub(super) yields: BTreeMap<String, RawPointers>,
    #[serde(default)]
    pub(super) check: BTreeMap<String, RawCheck>,
    #[serde(default)]
    pub(super) scope: Vec<String>,
    pub(super) authors: Option<RawAuthorsList>,
}

/// One source of authors, or several of which each must say that all are trusted.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RawAuthorsList {
    One(Box<RawAuthors>),
    Several(Vec<RawAuthors>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIfGiven {
    pub(super) at: String,
    pub(super) is: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDecode {
    pub(super) json: String,
    pub(super) r#as: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawResumable {
    pub(super) start: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAuthors {
    /// The service's step whose answer says it, where the answer itself does not.
    pub(super) step: Option<String>,
    pub(super) elements: Option<String>,
    #[serde(default)]
    pub(super) nobody: bool,
    pub(super) mail: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) editors: Option<String>,
    pub(super) sharers: Option<String>,
    pub(super) writers: Option<String>,
    pub(super) people: Option<Vec<String>>,
    #[serde(default)]
    pub(super) must: Vec<RawHolds>,
    #[serde(default)]
    pub(super) if_given: Vec<RawIfGiven>,
    pub(super) calendar: Option<String>,
    #[serde(default)]
    pub(super) hide: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGuard {
    #[serde(default)]
    pub(super) sign: Vec<RawSign>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSign {
    pub(super) name: String,
    #[serde(default)]
    pub(super) phrases: Vec<String>,
    #[serde(default)]
    pub(super) unless: Vec<String>,
    #[serde(default)]
    pub(super) shapes: Vec<String>,
    #[serde(default)]
    pub(super) cues: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPage {
    pub(super) take: String,
    pub(super) query: String,
    pub(super) size: Option<String>,
    /// The upstream counts its pages.
    #[serde(default)]
    pub(super) numbered: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawParam {
    pub(super) from: String,
    pub(super) resource: Option<String>,
    pub(super) look: Option<String>,
    pub(super) at: Option<String>,
    pub(super) r#as: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCheck {
    pub(super) query: Option<String>,
    pub(super) param: Option<String>,
    pub(super) arg: Option<String>,
    #[serde(default)]
    pub(super) below: bool,
    pub(super) args: Option<Vec<String>>,
    pub(super) response: Option<String>,
    pub(super) elements: Option<String>,
    pub(super) probe: Option<String>,
    pub(super) at: Option<String>,
    #[serde(default)]
    pub(super) again: bool,
    pub(super) add: Option<String>,
    pub(super) remove: Option<String>,
    #[serde(default)]
    pub(super) nonempty: bool,
    pub(super) each: Option<String>,
    pub(super) r#as: Option<String>,
    pub(super) take: Option<String>,
    #[serde(default)]
    pub(super) adds: Vec<String>,
    #[serde(default)]
    pub(super) removes: Vec<String>,
    pub(super) until: Option<String>,
    pub(super) recurs: Option<String>,
    pub(super) begins: Option<String>,
    pub(super) ends: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProvider {
    pub(super) id: String,
    pub(super) authorize: String,
    pub(super) token: String,
    pub(super) revoke: Option<String>,
    /// `token` or `account`: how much one revocation ends. Unsaid means account, which never does harm.
    pub(super) revokes: Option<String>,
    pub(super) userinfo: Option<String>,
    #[serde(default)]
    pub(super) scope_prefix: String,
    #[serde(default)]
    pub(super) identity_scopes: Vec<String>,
    #[serde(default)]
    pub(super) authorize_params: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) private: bool,
    pub(super) roots_pem: Option<String>,
}
