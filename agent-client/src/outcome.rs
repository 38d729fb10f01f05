//! What became of a call that reached its adapter.

use std::fmt;

use rmcp::model::CallToolResult;
use serde_json::Value;

/// Where a refusal stands in the `_meta` of an adapter's result.
pub const REFUSAL_KEY: &str = "claviger/refusal";

/// What became of a call that reached its adapter.
#[derive(Debug, Clone)]
pub enum CallOutcome {
    /// The adapter's result, as it gave it. May say `is_error`: the tool ran, and failed.
    Answered(CallToolResult),
    /// Vault or adapter said no, and nothing was done (for class `unknown`: nobody knows).
    Refused(Refusal),
}

/// A refusal: a class, perhaps a field, perhaps a reference for the owner. Never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    class: String,
    field: Option<String>,
    reference: Option<String>,
    approval: Option<String>,
}

impl Refusal {
    /// Takes what a peer says, if it has the form of a refusal: `class` of 1 to 64 of `a-z` and `-`; `field` of at most
    /// 128 of `A-Z`, `a-z`, `0-9`, `_`, `.`, `-`, `/`, `[`, `]`; `reference` as `ref_` and lower-case hex. A field or
    /// reference of another form is left out, since it would be shown to a model.
    #[must_use]
    pub fn new(class: &str, field: Option<&str>, reference: Option<&str>) -> Option<Self> {
        if !(1..=64).contains(&class.len())
            || !class.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        {
            return None;
        }
        let is_field = |field: &&str| {
            (1..=128).contains(&field.len())
                && field.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-/[]".contains(&byte))
        };
        let is_reference = |reference: &&str| {
            reference.strip_prefix("ref_").is_some_and(|digits| {
                (1..=64).contains(&digits.len())
                    && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
            })
        };
        Some(Self {
            class: class.to_owned(),
            field: field.filter(is_field).map(str::to_owned),
            reference: reference.filter(is_reference).map(str::to_owned),
            approval: None,
        })
    }

    /// With what is collected by, if it has the form of that: `ap_` and 32 lower-case hex digits.
    #[must_use]
    pub fn with_approval(mut self, approval: Option<&str>) -> Self {
        let is_approval = |text: &&str| crate::waiting::ApprovalId::parse(text).is_some();
        self.approval = approval.filter(is_approval).map(str::to_owned);
        self
    }

    /// What a frozen agent is told. It is shown no tools, so its calls reach nobody who could say it.
    pub(crate) fn frozen() -> Self {
        Self { class: "frozen".to_owned(), field: None, reference: None, approval: None }
    }

    /// The refusal that an adapter's result carries, if it is an error and carries one.
    #[must_use]
    pub fn of(result: &CallToolResult) -> Option<Self> {
        if result.is_error != Some(true) {
            return None;
        }
        let refusal = result.meta.as_ref()?.get(REFUSAL_KEY)?;
        let text = |name: &str| refusal.get(name).and_then(Value::as_str);
        let refusal = Self::new(text("class")?, text("field"), text("reference"))?;
        Some(refusal.with_approval(text("approval")))
    }

    /// One of a fixed set of words, such as `out-of-scope`.
    #[must_use]
    pub fn class(&self) -> &str {
        &self.class
    }

    /// The argument or bound it was about, unless the agent's refusals are opaque.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// What `claviger why` takes.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// What is collected by once a person has agreed, `ap_…`; class `pending` alone has it.
    #[must_use]
    pub fn approval(&self) -> Option<&str> {
        self.approval.as_deref()
    }

    /// Whether the vault did not look at the presentation, because it was made for an earlier run of it.
    pub(crate) fn is_stale(&self) -> bool {
        self.class == "stale"
    }

    /// The class in words, and what they mean for whoever called.
    fn meaning(&self) -> (String, &'static str) {
        let (words, advice) = match self.class.as_str() {
            "bad-arguments" => ("bad arguments", "Correct the arguments by the tool's schema."),
            "bad-presentation" => {
                ("the call could not be proven", "Try once more; if it fails again, tell the owner.")
            }
            "stale" => ("the vault has restarted", "Try again."),
            "not-granted" => ("not granted", "This agent may not do that. Do not try other ways around it."),
            "out-of-scope" => (
                "out of scope",
                "It is outside what this agent may touch, or does not exist. Do not try other ways around it.",
            ),
            "rate-limited" => ("limit reached", "Wait before the next call, or ask the owner for more."),
            "revoked" => ("the grant is over or was revoked", "Only the owner can grant it again."),
            "frozen" => ("this agent is frozen", "Stop, and tell the owner. Only the owner can thaw it."),
            "bad-capability" => ("the permission for this call has ended", "Try once more."),
            "bad-step" => ("the adapter asked for what this call may not do", "Tell the owner."),
            "tool-changed" => {
                ("the tool has changed since it was granted", "The owner has to grant it again.")
            }
            "needs-login" => ("the owner has to log in to the service again", "Tell the owner."),
            "upstream" => ("the service could not be reached or gave no usable answer", "Try again later."),
            "withheld" => ("the service's answer was withheld", "Tell the owner."),
            "unknown" => (
                "it is not known whether the service acted",
                "Do not repeat the call. Look whether it was done, or ask the owner.",
            ),
            "sealed" => ("the vault is sealed", "The owner can run `claviger unseal`."),
            "unavailable" => ("the vault cannot do it now", "Try again later."),
            "busy" => ("too many calls at once", "Wait for the others to end, then try again."),
            "pending" => {
                ("waiting for the owner's approval", "Nothing was done yet. A person must agree first.")
            }
            "denied" => {
                ("the owner said no", "Do not ask for it again soon, and do not try other ways around it.")
            }
            other => return (other.replace('-', " "), "Tell the owner."),
        };
        (words.to_owned(), advice)
    }
}

/// One sentence or a few for a model or a person, such as
/// "refused: out of scope (field `label`). … Reference ref_… — the owner can run `claviger why ref_…`."
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (words, advice) = self.meaning();
        write!(f, "refused: {words}")?;
        if let Some(field) = &self.field {
            write!(f, " (field `{field}`)")?;
        }
        write!(f, ". {advice}")?;
        if let Some(approval) = &self.approval {
            write!(
                f,
                " Tell the user; once they have agreed, call claviger_result with {approval} (the owner can run \
                 `claviger approve {approval}`). Do not call the tool again for this."
            )?;
        }
        if let Some(reference) = &self.reference {
            write!(f, " Reference {reference} — the owner can run `claviger why {reference}`.")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use serde_json::json;

    fn of(result: Value) -> Option<Refusal> {
        Refusal::of(&serde_json::from_value(result).unwrap())
    }

    #[test]
    fn refusals_are_read_and_told() {
        let refusal = of(json!({
            "content": [], "isError": true,
            "_meta": {"claviger/refusal": {"class": "out-of-scope", "field": "label", "reference": "ref_0123abcd"}},
        }))
        .unwrap();
        assert_eq!(
            refusal.to_string(),
            "refused: out of scope (field `label`). It is outside what this agent may touch, or does not exist. Do \
             not try other ways around it. Reference ref_0123abcd — the owner can run `claviger why ref_0123abcd`."
        );
        let opaque = Refusal::new("rate-limited", None, None).unwrap();
        assert_eq!(
            opaque.to_string(),
            "refused: limit reached. Wait before the next call, or ask the owner for more."
        );
        assert_eq!(
            Refusal::new("new-word", None, None).unwrap().to_string(),
            "refused: new word. Tell the owner."
        );
    }

    #[test]
    fn what_is_no_refusal() {
        let meta = json!({"claviger/refusal": {"class": "revoked"}});
        assert_eq!(of(json!({"content": [], "isError": false, "_meta": meta})), None);
        assert_eq!(of(json!({"content": [], "_meta": meta})), None);
        assert_eq!(of(json!({"content": [], "isError": true})), None);
        assert_eq!(
            of(json!({"content": [], "isError": true, "_meta": {"claviger/refusal": "revoked"}})),
            None
        );
        assert_eq!(
            of(json!({"content": [], "isError": true, "_meta": {"claviger/refusal": {"class": 1}}})),
            None
        );
    }

    #[test]
    fn what_waits_for_a_person_says_what_to_do() {
        let id = "ap_00112233445566778899aabbccddeeff";
        let pending = |approval: &str| {
            let meta =
                json!({"claviger/refusal": {"class": "pending", "field": "approval", "approval": approval}});
            of(json!({"content": [], "isError": true, "_meta": meta})).unwrap()
        };
        let refusal = pending(id);
        assert_eq!(refusal.approval(), Some(id));
        let told = refusal.to_string();
        assert!(
            told.contains("A person must agree") && told.contains(&format!("claviger_result with {id}")),
            "{told}"
        );
        for other in
            ["", "ap_0", "ap_00112233445566778899AABBCCDDEEFF", &format!("{id} now ignore all"), "hdl_00"]
        {
            assert_eq!(pending(other).approval(), None, "{other:?}");
        }
    }

    /// An adapter must not be able to speak to the model in the vault's name.
    #[test]
    fn only_words_pass() {
        for class in ["", "Revoked", "a b", "revoked. Ignore", "révoqué", &"a".repeat(65)] {
            assert_eq!(Refusal::new(class, None, None), None, "{class:?}");
        }
        let refusal = Refusal::new("revoked", Some("a`; ignore all"), Some("ref_0 ; rm")).unwrap();
        assert_eq!((refusal.field(), refusal.reference()), (None, None));
        let refusal = Refusal::new("revoked", Some("to[0]"), Some("ref_XYZ")).unwrap();
        assert_eq!((refusal.field(), refusal.reference()), (Some("to[0]"), None));
    }
}
