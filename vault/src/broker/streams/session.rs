//! Where uploads that were cut go on: addresses that an upstream made, each a bearer of its own. They stay here, in memory,
//! for ten minutes, and nobody is shown them.

use std::collections::HashMap;

use claviger_domain::id::HandleId;
use claviger_domain::name::{AgentName, ToolName};
use claviger_domain::origin::{Origin, Pin};
use claviger_domain::secret::SecretBytes;

use super::exchange::Version;
use super::hash::Running;

/// How long one is kept after its upload was cut, in microseconds.
const LIFE_US: u64 = 600_000_000;
/// How many one agent has.
const PER_AGENT: usize = 8;
/// How many all have together.
const IN_ALL: usize = 64;
/// How long an address may be, in bytes.
const LONGEST: usize = 4096;

/// Which call an upload is of: the same handle, tool and arguments find it again.
pub(super) type Key = (HandleId, ToolName, [u8; 32]);

/// Where an upload goes on, by the upstream's word.
pub(super) struct SessionUrl {
    pub(super) origin: Origin,
    /// Path and query: whoever has it can write there.
    pub(super) target: SecretBytes,
}

/// An upload that was cut.
pub(super) struct Session {
    pub(super) url: SessionUrl,
    /// Which version of the secret began it.
    pub(super) version: Version,
    /// Of what was taken for it.
    pub(super) hash: Running,
    /// Whether its last piece was handed over: then it may have been made.
    pub(super) handed_over: bool,
}

struct Kept {
    agent: AgentName,
    at_us: u64,
    session: Session,
}

/// The uploads that may go on.
#[derive(Default)]
pub(in crate::broker) struct Sessions(HashMap<Key, Kept>);

impl Sessions {
    /// Takes one out: of two that go on with it, one begins anew.
    pub(super) fn take(&mut self, key: &Key, now_us: u64) -> Option<Session> {
        self.sweep(now_us);
        self.0.remove(key).map(|kept| kept.session)
    }

    /// Keeps one; the agent's oldest makes room for it.
    pub(super) fn keep(&mut self, key: Key, agent: AgentName, session: Session, now_us: u64) {
        self.sweep(now_us);
        let own = self.0.iter().filter(|(_, kept)| kept.agent == agent);
        let oldest = own.clone().min_by_key(|(_, kept)| kept.at_us).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest.filter(|_| own.count() >= PER_AGENT) {
            self.0.remove(&oldest);
        }
        if self.0.len() < IN_ALL {
            self.0.insert(key, Kept { agent, at_us: now_us, session });
        }
    }

    /// Forgets them all: they begin anew.
    pub(in crate::broker) fn clear(&mut self) {
        self.0.clear();
    }

    fn sweep(&mut self, now_us: u64) {
        self.0.retain(|_, kept| now_us.saturating_sub(kept.at_us) < LIFE_US);
    }
}

impl SessionUrl {
    /// Reads a `Location`: https, one of the secret's origins, at or below that path, and nothing in it that two readers
    /// could read differently.
    pub(super) fn parse(location: &[u8], pin: &Pin, below: &str) -> Option<Self> {
        let text = std::str::from_utf8(location).ok().filter(|text| text.len() <= LONGEST)?;
        let rest = text.strip_prefix("https://")?;
        let (authority, target) = rest.split_at(rest.find('/')?);
        let origin: Origin = format!("https://{authority}").parse().ok()?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/:@!$&'()*+,;=".contains(&b);
        let sound = path.bytes().all(plain)
            && query.bytes().all(|b| plain(b) || matches!(b, b'%' | b'?'))
            && !path.split('/').any(|segment| matches!(segment, "." | ".."));
        let lies_below = path
            .strip_prefix(below)
            .is_some_and(|rest| rest.is_empty() || (rest.starts_with('/') && !rest.contains("//")));
        (sound && lies_below && pin.origins.contains(&origin))
            .then(|| Self { origin, target: SecretBytes::from_text(target.to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    fn parse(text: &str) -> Option<SessionUrl> {
        let origins =
            vec!["https://up.example".parse().unwrap(), "https://two.example:8443".parse().unwrap()];
        let pin = Pin { origins, private: false, roots_pem: None };
        SessionUrl::parse(text.as_bytes(), &pin, "/upload/v3/files")
    }

    #[test]
    fn a_session_is_where_the_secret_may_go() {
        for text in [
            "https://up.example/upload/v3/files?uploadType=resumable&upload_id=A-b_c%3D",
            "https://up.example/upload/v3/files/abc",
            "https://up.example/upload/v3/files",
            "https://two.example:8443/upload/v3/files?upload_id=x",
        ] {
            let url = parse(text).unwrap_or_else(|| panic!("{text}"));
            // EXPOSE: a test looks.
            assert!(text.ends_with(std::str::from_utf8(url.target.expose_secret()).unwrap()), "{text}");
        }
        let long = |length: usize| format!("{:x<length$}", "https://up.example/upload/v3/files?");
        assert!(parse(&long(LONGEST)).is_some() && parse(&long(LONGEST + 1)).is_none());
    }

    #[test]
    fn anywhere_else_is_refused() {
        let long = format!("https://up.example/upload/v3/files?{}", "x".repeat(LONGEST));
        for text in [
            "",
            "/upload/v3/files?upload_id=x",
            "//up.example/upload/v3/files",
            "http://up.example/upload/v3/files",
            "HTTPS://up.example/upload/v3/files",
            "https://UP.example/upload/v3/files",
            "https://evil.example/upload/v3/files",
            "https://up.example:444/upload/v3/files",
            "https://up.example.evil.example/upload/v3/files",
            "https://up.example@evil.example/upload/v3/files",
            "https://me@up.example/upload/v3/files",
            "https://evil.example/?https://up.example/upload/v3/files",
            "https://up.example\\@evil.example/upload/v3/files",
            "https://up.example?/upload/v3/files",
            "https://up.example",
            "https://up.example/drive/v3/files",
            "https://up.example/upload/v3/filesystem",
            "https://up.example/upload/v3/files/../../../oauth2/token",
            "https://up.example/upload/v3/files/./x",
            "https://up.example/upload/v3/files/%2e%2e/x",
            "https://up.example/upload/v3/files//x",
            "https://up.example//upload/v3/files",
            "https://up.example/upload/v3/files#x",
            "https://up.example/upload/v3/files?x#y",
            "https://up.example/upload/v3/files?x y",
            "https://up.example/upload/v3/files?x\r\ny: z",
            "https://up.example/upload/v3/files?\u{e4}",
            &long,
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn they_are_bounded_and_end() {
        let session = || Session {
            url: parse("https://up.example/upload/v3/files?x").unwrap(),
            version: Version::new(1, 2),
            hash: Running::new(),
            handed_over: false,
        };
        let key = |number: u8| {
            (HandleId::from_bytes([0; HandleId::BYTES]), "drive.upload_file".parse().unwrap(), [number; 32])
        };
        let agent = |name: &str| name.parse::<AgentName>().unwrap();
        let mut sessions = Sessions::default();
        for number in 0..20 {
            sessions.keep(key(number), agent("ann"), session(), u64::from(number));
        }
        assert_eq!(sessions.0.len(), PER_AGENT);
        assert!(sessions.take(&key(11), 20).is_none(), "the oldest went");
        assert!(sessions.take(&key(19), 20).is_some());
        assert!(sessions.take(&key(19), 20).is_none(), "once");
        for number in 0..100 {
            sessions.keep(key(number), agent(&format!("a{number}")), session(), 30);
        }
        assert_eq!(sessions.0.len(), IN_ALL);
        assert!(sessions.take(&key(15), 30 + LIFE_US).is_none(), "its time is over");
    }
}
