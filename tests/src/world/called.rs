//! What became of a tool call.

use serde_json::Value;

use super::ran::Ran;

/// A call by `claviger-agent call --json`.
#[derive(Debug, Clone)]
pub struct Called {
    /// What the program said.
    pub ran: Ran,
    /// What it printed; null where that is no JSON.
    pub json: Value,
}

/// What an agent is told when it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The class.
    pub class: String,
    /// The field; empty if there is none.
    pub field: String,
    /// What `claviger why` takes; empty if there is none.
    pub reference: String,
}

impl Called {
    /// What `claviger-agent call --json` has printed.
    #[must_use]
    pub fn of(ran: Ran) -> Self {
        Self::read(ran)
    }

    pub(super) fn read(ran: Ran) -> Self {
        let json = serde_json::from_str(&ran.out).unwrap_or(Value::Null);
        Self { ran, json }
    }

    /// The structured answer of a call that went well.
    ///
    /// # Panics
    /// It did not go well.
    #[must_use]
    #[track_caller]
    pub fn ok(&self) -> &Value {
        assert_eq!((self.ran.code, &self.json["ok"]), (0, &Value::Bool(true)), "{:?}", self.ran);
        &self.json["structured"]
    }

    /// What the agent was told instead.
    ///
    /// # Panics
    /// It was not refused.
    #[must_use]
    #[track_caller]
    pub fn refused(&self) -> Refused {
        let refusal = &self.json["refusal"];
        assert!(refusal.is_object(), "not refused: {:?}", self.ran);
        assert_ne!(self.ran.code, 0);
        let text = |name: &str| refusal[name].as_str().unwrap_or_default().to_owned();
        Refused { class: text("class"), field: text("field"), reference: text("reference") }
    }

    /// The class and the field of the refusal.
    ///
    /// # Panics
    /// It was not refused.
    #[track_caller]
    pub fn assert_refused(&self, class: &str, field: &str) {
        let refused = self.refused();
        assert_eq!((refused.class.as_str(), refused.field.as_str()), (class, field), "{:?}", self.ran);
    }
}

/// An object as `key:=JSON` words.
pub(super) fn words(args: &Value) -> Vec<String> {
    let members = args.as_object().expect("arguments are an object");
    members.iter().map(|(key, value)| format!("{key}:={value}")).collect()
}
