//! A task that the owner agreed to, and how far it went.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use claviger_canonical::{Canonical, Digest};

use crate::grants::{Effect, Grants};
use crate::outcome::Refusal;

/// How long a task is left alone that has reached a limit which may pass, in milliseconds.
const PAUSE_MS: u64 = 60_000;

/// How many calls are remembered that a task does not cover.
const BEYOND: usize = 64;

/// A task's handle, and what it was found not to reach.
///
/// What is written here decides on calls to come, never on the one that was refused: that it was refused is the adapter's
/// word, and a second handle presented on it would let an adapter that lies do one call twice.
pub(super) struct Task {
    grants: Arc<Grants>,
    /// Until when it is left alone.
    paused_until_ms: AtomicU64,
    /// Calls that it does not cover, newest last.
    beyond: Mutex<VecDeque<(String, Digest)>>,
}

/// What a refusal means for the task it was made under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on; the refusal was about something else.
    GoesOn,
    /// It does not go as far as this call.
    Beyond,
    /// It is over, or all its calls are made.
    Over,
}

impl Task {
    pub(super) fn new(grants: Arc<Grants>) -> Arc<Self> {
        Arc::new(Self { grants, paused_until_ms: AtomicU64::new(0), beyond: Mutex::default() })
    }

    /// What is open by it.
    pub(super) fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Whether it is this handle's.
    pub(super) fn is_of(&self, handle: &str) -> bool {
        self.grants.handles().iter().any(|own| own.id() == handle)
    }

    /// Whether that tool changes nothing.
    pub(super) fn reads(&self, mcp_name: &str) -> bool {
        self.grants.tool(mcp_name).is_ok_and(|(tool, _)| tool.effect == Effect::Read)
    }

    /// Whether a call is to be made by it, as far as is known here.
    pub(super) fn takes(&self, mcp_name: &str, arguments: &Canonical, now_ms: u64) -> bool {
        let over = |ends_at_ms: u64| (1..=now_ms).contains(&ends_at_ms);
        let beyond = || {
            let digest = arguments.digest();
            let beyond = self.beyond.lock().unwrap_or_else(PoisonError::into_inner);
            beyond.iter().any(|(name, known)| name == mcp_name && *known == digest)
        };
        !self.grants.handles().iter().any(|handle| over(handle.expires_at_ms()))
            && self.grants.tool(mcp_name).is_ok()
            && now_ms >= self.paused_until_ms.load(Ordering::Relaxed)
            && !beyond()
    }

    /// What a refusal under it means. For the calls that follow, it is remembered.
    pub(super) fn learn(
        &self,
        refusal: &Refusal,
        mcp_name: &str,
        arguments: &Canonical,
        now_ms: u64,
    ) -> Verdict {
        match (refusal.class(), refusal.field()) {
            ("stale" | "revoked", _) | ("rate-limited", Some("calls")) => Verdict::Over,
            // A rate or the bytes of a day; or an agent that is not told which: then it may be the calls, too.
            ("rate-limited", _) => {
                self.paused_until_ms.store(now_ms.saturating_add(PAUSE_MS), Ordering::Relaxed);
                Verdict::Beyond
            }
            // A read is asked for by the other handle at once, and may be within the task the next time.
            ("out-of-scope" | "not-granted", _) if self.reads(mcp_name) => Verdict::Beyond,
            ("out-of-scope" | "not-granted", _) => {
                let mut beyond = self.beyond.lock().unwrap_or_else(PoisonError::into_inner);
                if beyond.len() == BEYOND {
                    beyond.pop_front();
                }
                beyond.push_back((mcp_name.to_owned(), arguments.digest()));
                Verdict::Beyond
            }
            _ => Verdict::GoesOn,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use claviger_proto::v1;
    use serde_json::json;

    const NOW: u64 = 1_000_000;

    fn task(expires_at_ms: u64) -> Arc<Task> {
        let tool = |name: &str, effect: &str| v1::Tool {
            effect: effect.to_owned(),
            name: format!("gmail.{name}"),
            mcp_name: name.to_owned(),
            input_schema: b"{}".to_vec(),
            ..Default::default()
        };
        let handle = v1::OpenHandle {
            id: "hdl_000102030405060708090a0b0c0d0eff".to_owned(),
            proof_key: vec![3; 32],
            tools: vec![tool("send", "send"), tool("get", "read")],
            expires_at_ms,
            ..Default::default()
        };
        let answer = v1::OpenResponse {
            boot: vec![1; 16],
            replica: vec![2; 8],
            handles: vec![handle],
            ..Default::default()
        };
        Task::new(Arc::new(Grants::read(answer).unwrap()))
    }

    fn to(who: &str) -> Canonical {
        Canonical::from_json(&json!({ "to": who })).unwrap()
    }

    #[test]
    fn each_refusal_has_its_consequence_for_the_calls_that_follow() {
        for (class, field, verdict, same, other) in [
            ("out-of-scope", Some("to"), Verdict::Beyond, false, true),
            ("not-granted", None, Verdict::Beyond, false, true),
            ("rate-limited", Some("rate"), Verdict::Beyond, false, false),
            ("rate-limited", None, Verdict::Beyond, false, false),
            // Whoever asks takes it away then.
            ("rate-limited", Some("calls"), Verdict::Over, true, true),
            ("stale", None, Verdict::Over, true, true),
            ("revoked", None, Verdict::Over, true, true),
            ("pending", None, Verdict::GoesOn, true, true),
            ("denied", None, Verdict::GoesOn, true, true),
            ("unknown", None, Verdict::GoesOn, true, true),
            ("busy", None, Verdict::GoesOn, true, true),
            ("new-word", None, Verdict::GoesOn, true, true),
        ] {
            let task = task(0);
            let refusal = Refusal::new(class, field, None).unwrap();
            assert!(task.takes("send", &to("a"), NOW));
            assert_eq!(task.learn(&refusal, "send", &to("a"), NOW), verdict, "{class}");
            assert_eq!(task.takes("send", &to("a"), NOW), same, "{class}");
            assert_eq!(task.learn(&refusal, "get", &to("c"), NOW), verdict, "{class}");
            assert_eq!(task.takes("get", &to("c"), NOW), other, "{class}");
            for (name, arguments) in [("send", to("b")), ("get", to("a"))] {
                assert_eq!(task.takes(name, &arguments, NOW), other, "{class} {name}");
            }
        }
    }

    #[test]
    fn a_limit_passes_and_what_is_remembered_is_bounded() {
        let limited = Refusal::new("rate-limited", Some("rate"), None).unwrap();
        let task = task(NOW + 2 * PAUSE_MS);
        task.learn(&limited, "send", &to("a"), NOW);
        assert!(!task.takes("send", &to("a"), NOW + PAUSE_MS - 1));
        assert!(task.takes("send", &to("a"), NOW + PAUSE_MS));
        assert!(!task.takes("send", &to("a"), NOW + 2 * PAUSE_MS));
        assert!(!task.takes("none", &to("a"), NOW + PAUSE_MS));
        let beyond = Refusal::new("out-of-scope", None, None).unwrap();
        for n in 0..=BEYOND {
            task.learn(&beyond, "send", &to(&n.to_string()), NOW);
        }
        assert!(
            task.takes("send", &to("0"), NOW + PAUSE_MS) && !task.takes("send", &to("1"), NOW + PAUSE_MS)
        );
        assert_eq!(task.beyond.lock().unwrap().len(), BEYOND);
    }
}
