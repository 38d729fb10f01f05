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
    /// It was made by the handle of a task that does not go so far.
    beyond_task: bool,
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
            beyond_task: false,
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
        Self { class: "frozen".to_owned(), field: None, reference: None, approval: None, beyond_task: false }
    }

    /// The same of a call under a task that does not go so far; the next goes by what is granted anyway.
    pub(crate) fn beyond_task(self) -> Self {
        Self { beyond_task: true, ..self }
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

    /// The class in words, and what to do next: one sentence, since it is what a model acts on.
    fn meaning(&self) -> (String, &'static str) {
        let (words, next) = match (self.class.as_str(), self.field()) {
            ("bad-arguments", _) => ("bad arguments", "Correct the arguments by the tool's schema."),
            ("bad-presentation", _) => {
                ("the call could not be proven", "Try once more; if it fails again, tell the user.")
            }
            ("stale", _) => ("the vault has restarted", "Try again."),
            ("not-granted", _) => (
                "not granted",
                "This agent may not do that: tell the user, and do not try other ways around it.",
            ),
            ("out-of-scope", _) => (
                "out of scope",
                "It is outside what this agent may touch, or does not exist: do not try other ways around it.",
            ),
            ("rate-limited", Some("calls")) => (
                "all calls that were granted are made",
                "Stop, and tell the user; only the owner can grant more.",
            ),
            ("rate-limited", Some("bytes_a_day")) => (
                "the bytes of this day are used up",
                "Go on tomorrow (UTC), or tell the user; only the owner can grant more.",
            ),
            ("rate-limited", Some("asks")) => (
                "the owner was asked too often today",
                "Tell the user what you would have asked for, and ask again tomorrow.",
            ),
            ("rate-limited", _) => ("limit reached", "Wait before the next call, or ask the owner for more."),
            ("revoked", _) => {
                ("the grant is over or was revoked", "Tell the user; only the owner can grant it again.")
            }
            ("frozen", _) => ("this agent is frozen", "Stop, and tell the user; only the owner can thaw it."),
            ("bad-capability", _) => ("the permission for this call has ended", "Try once more."),
            ("bad-step", _) => (
                "the adapter asked for what this call may not do",
                "Tell the user; it is a fault of the adapter's.",
            ),
            ("tool-changed", _) => (
                "the tool has changed since it was granted",
                "Tell the user; the owner has to grant it again.",
            ),
            ("needs-login", _) => (
                "the owner has to log in to the service again",
                "Tell the user, and do not try again before they have.",
            ),
            ("upstream", _) => {
                ("the service could not be reached or gave no usable answer", "Try again later.")
            }
            ("withheld", _) => ("the service's answer was withheld", "Tell the user, and do not try again."),
            ("unknown", _) => (
                "it is not known whether the service acted",
                "Do not repeat the call: look whether it was done, or ask the user.",
            ),
            ("sealed", _) => ("the vault is sealed", "Tell the user; the owner can run `claviger unseal`."),
            ("unavailable", _) => ("the vault cannot do it now", "Try again later."),
            ("busy", Some("approvals")) => (
                "too many things wait for the owner",
                "Tell the user that they have to decide those first: `claviger approvals` lists them.",
            ),
            ("busy", Some("children")) => {
                ("there are too many child handles", "Release some that are no longer used, then try again.")
            }
            ("busy", Some("looks")) => (
                "too much was looked up for calls that came to nothing",
                "Wait some minutes before the next call.",
            ),
            ("busy", Some("audit")) => {
                ("this agent fills the log too fast", "Wait some minutes before the next call.")
            }
            ("busy", _) => ("too many calls at once", "Wait for the others to end, then try again."),
            ("pending", _) if self.approval.is_some() => {
                ("waiting for the owner's approval", "A person must agree first, and nothing was done yet.")
            }
            ("pending", _) => (
                "waiting for the owner's approval",
                "A person must agree first: tell the user, who finds it with `claviger approvals`, and do not call the \
                 tool again before they have agreed.",
            ),
            ("denied", _) => (
                "the owner said no",
                "Tell the user and go on without it; do not ask for it again soon, or try other ways around it.",
            ),
            (other, _) => return (other.replace('-', " "), "Tell the user."),
        };
        (words.to_owned(), next)
    }
}

/// One sentence or a few for a model or a person, such as
/// "refused: out of scope (field `label`). … Reference ref_… — the owner can run `claviger why ref_…`."
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (words, next) = self.meaning();
        write!(f, "refused: {words}")?;
        if let Some(field) = &self.field {
            write!(f, " (field `{field}`)")?;
        }
        if self.beyond_task {
            f.write_str(
                ". That was by the task that the owner agreed to, which does not go further: if it is still needed, \
                 make the call again, and what is granted besides decides.",
            )?;
        } else {
            write!(f, ". {next}")?;
        }
        if let Some(approval) = self.approval.as_ref().filter(|_| self.class == "pending") {
            write!(
                f,
                " Tell the user, and once they have agreed, call claviger_result with {approval} instead of calling the \
                 tool again (the owner can run `claviger approve {approval}`)."
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
            "refused: out of scope (field `label`). It is outside what this agent may touch, or does not exist: do \
             not try other ways around it. Reference ref_0123abcd — the owner can run `claviger why ref_0123abcd`."
        );
        let opaque = Refusal::new("rate-limited", None, None).unwrap();
        assert_eq!(
            opaque.to_string(),
            "refused: limit reached. Wait before the next call, or ask the owner for more."
        );
        assert_eq!(
            Refusal::new("new-word", None, None).unwrap().to_string(),
            "refused: new word. Tell the user."
        );
    }

    /// Every class says in a sentence what to do, and none leaves a model to guess.
    #[test]
    fn each_class_says_what_to_do_next() {
        let classes = [
            "bad-arguments",
            "bad-presentation",
            "stale",
            "not-granted",
            "out-of-scope",
            "rate-limited",
            "revoked",
            "frozen",
            "bad-capability",
            "bad-step",
            "tool-changed",
            "needs-login",
            "upstream",
            "withheld",
            "unknown",
            "sealed",
            "unavailable",
            "busy",
            "pending",
            "denied",
        ];
        let verbs =
            ["Correct", "Try", "Tell", "Wait", "Stop", "Go on", "Do not", "do not", "tell", "Release"];
        for class in classes {
            for field in
                [None, Some("calls"), Some("approvals"), Some("asks"), Some("bytes_a_day"), Some("looks")]
            {
                let told = Refusal::new(class, field, None).unwrap().to_string();
                assert!(verbs.iter().any(|verb| told.contains(verb)), "{told}");
                assert!(told.ends_with('.') && !told.contains(".."), "{told}");
            }
        }
    }

    /// Only what waits is collected by: an adapter cannot hang an approval on a refusal of another class.
    #[test]
    fn what_does_not_wait_is_not_collected() {
        let id = "ap_00112233445566778899aabbccddeeff";
        let denied = Refusal::new("denied", None, None).unwrap().with_approval(Some(id)).to_string();
        assert!(!denied.contains(id), "{denied}");
        let waits = Refusal::new("pending", Some("approval"), None).unwrap().to_string();
        assert!(waits.contains("claviger approvals") && !waits.contains("claviger_result"), "{waits}");
    }

    #[test]
    fn beyond_a_task_the_next_call_is_said_to_go_by_the_grant() {
        let refusal = Refusal::new("rate-limited", Some("calls"), Some("ref_01")).unwrap().beyond_task();
        assert_eq!(
            refusal.to_string(),
            "refused: all calls that were granted are made (field `calls`). That was by the task that the owner agreed to, \
             which does not go further: if it is still needed, make the call again, and what is granted besides decides. \
             Reference ref_01 — the owner can run `claviger why ref_01`."
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
