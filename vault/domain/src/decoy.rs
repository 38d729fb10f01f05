//! Decoy credentials: texts that look like a provider's token and are nobody's, and how they are found again.
//!
//! Whoever uses one has looked where there was nothing for them. So they are looked for in every call's arguments, in
//! the encodings in which one would carry a stolen token away. It is one pass over each text, whatever the number of
//! decoys: a table of the first two bytes says where it is worth looking closer.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use claviger_canonical::Value;

use crate::id::DecoyId;

/// The shortest text that is looked for, in bytes: a shorter one would be found by chance.
const SHORTEST: usize = 16;

/// The shortest form of it, in bytes. At 16 bytes, the core of a base64 has 19 at least.
const SHORTEST_FORM: usize = 16;

/// How often a text is percent-decoded again.
const DECODINGS: usize = 3;

/// What a decoy credential looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A Google API key.
    Google,
    /// A GitHub personal access token.
    GitHub,
    /// The id of an AWS access key.
    Aws,
    /// A Slack bot token.
    Slack,
}

impl Look {
    /// All looks.
    pub const ALL: [Look; 4] = [Look::Google, Look::GitHub, Look::Aws, Look::Slack];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Look::Google => "google",
            Look::GitHub => "github",
            Look::Aws => "aws",
            Look::Slack => "slack",
        }
    }

    /// The look of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Look::ALL.into_iter().find(|look| look.as_str() == word)
    }

    /// A text of that look, made of random bytes: at least 80 bits of them end up in it.
    #[must_use]
    pub fn dress(self, random: &[u8; 48]) -> String {
        const ALNUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        const URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        const DIGITS: &[u8] = b"0123456789";
        let some = |from: usize, count: usize, alphabet: &[u8]| -> String {
            let bytes = random.iter().skip(from).take(count);
            bytes.map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect()
        };
        match self {
            Look::Google => format!("AIzaSy{}", some(0, 33, URL)),
            Look::GitHub => format!("ghp_{}", some(0, 36, ALNUM)),
            Look::Aws => format!("AKIA{}", some(0, 16, BASE32)),
            Look::Slack => {
                format!("xoxb-{}-{}-{}", some(0, 12, DIGITS), some(12, 12, DIGITS), some(24, 24, ALNUM))
            }
        }
    }
}

/// All decoy credentials, ready to be looked for.
#[derive(Default)]
pub struct Lures {
    /// Each form of each decoy.
    forms: Vec<(Vec<u8>, DecoyId)>,
    /// One bit for each pair of first bytes that a form has; empty where there is no form.
    pairs: Vec<u64>,
}

impl Lures {
    /// Of these texts. One that is too short is left out.
    #[must_use]
    pub fn of<'a>(decoys: impl IntoIterator<Item = (DecoyId, &'a str)>) -> Self {
        let mut lures = Self::default();
        for (id, text) in decoys {
            if text.len() >= SHORTEST {
                lures.add(id, text.as_bytes());
            }
        }
        lures
    }

    /// Whether there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// The first decoy found in any text of these arguments, names of members included.
    #[must_use]
    pub fn in_arguments(&self, arguments: &Value) -> Option<DecoyId> {
        if self.is_empty() {
            return None;
        }
        match arguments {
            Value::String(text) => self.in_text(text),
            Value::Array(items) => items.iter().find_map(|item| self.in_arguments(item)),
            Value::Object(members) => members
                .iter()
                .find_map(|(name, value)| self.in_text(name).or_else(|| self.in_arguments(value))),
            _ => None,
        }
    }

    /// The first decoy found in a text: as it is, with its white space taken out, and percent-decoded up to three times.
    #[must_use]
    pub fn in_text(&self, text: &str) -> Option<DecoyId> {
        if self.is_empty() || text.len() < SHORTEST_FORM {
            return None;
        }
        let mut view = text.as_bytes().to_vec();
        for _ in 0..=DECODINGS {
            let found = self.search(&view).or_else(|| {
                let blank = |b: &u8| b.is_ascii_whitespace();
                let packed: Option<Vec<u8>> =
                    view.iter().any(blank).then(|| view.iter().copied().filter(|b| !blank(b)).collect());
                packed.and_then(|packed| self.search(&packed))
            });
            if found.is_some() {
                return found;
            }
            view = percent_decoded(&view)?;
        }
        None
    }

    fn add(&mut self, id: DecoyId, text: &[u8]) {
        let mut forms = vec![text.to_vec(), text.iter().rev().copied().collect()];
        for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
            let pair = |b: &u8| [digits[usize::from(b >> 4)], digits[usize::from(b & 15)]];
            forms.push(text.iter().flat_map(pair).collect());
        }
        for alphabet in [&alphabet::STANDARD, &alphabet::URL_SAFE] {
            let engine = GeneralPurpose::new(alphabet, NO_PAD);
            forms.extend((0..3).map(|offset| core(&engine, text, offset)));
        }
        for form in forms {
            // A form that another decoy has too names the first.
            if form.len() >= SHORTEST_FORM && !self.forms.iter().any(|(known, _)| *known == form) {
                self.pairs.resize(1024, 0);
                let pair = pair(&form, 0);
                self.pairs[pair / 64] |= 1 << (pair % 64);
                self.forms.push((form, id));
            }
        }
    }

    fn search(&self, text: &[u8]) -> Option<DecoyId> {
        for at in 0..text.len().saturating_sub(SHORTEST_FORM - 1) {
            let pair = pair(text, at);
            if self.pairs[pair / 64] & (1 << (pair % 64)) == 0 {
                continue;
            }
            // Not constant in time: whoever guesses at a decoy has used it when the guess is right.
            if let Some((_, id)) = self.forms.iter().find(|(form, _)| text[at..].starts_with(form)) {
                return Some(*id);
            }
        }
        None
    }
}

impl std::fmt::Debug for Lures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lures({} forms)", self.forms.len())
    }
}

fn pair(text: &[u8], at: usize) -> usize {
    usize::from(text[at]) << 8 | usize::from(text[at + 1])
}

/// The characters of a text's base64 that are the same whatever stands before and after it, if it begins `offset`
/// bytes into a group of three.
fn core(engine: &GeneralPurpose, text: &[u8], offset: usize) -> Vec<u8> {
    let mut padded = vec![0; offset];
    padded.extend_from_slice(text);
    let encoded = engine.encode(&padded);
    let first = [0, 2, 3][offset];
    let last = encoded.len() - usize::from(!padded.len().is_multiple_of(3));
    encoded.as_bytes()[first..last].to_vec()
}

/// With each `%XX` undone; `None` where there is none.
fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut any = false;
    let mut at = 0;
    while at < text.len() {
        let escaped = if text[at] == b'%' {
            text.get(at + 1).and_then(digit).zip(text.get(at + 2).and_then(digit))
        } else {
            None
        };
        match escaped {
            Some((high, low)) => {
                decoded.push(high << 4 | low);
                any = true;
                at += 3;
            }
            None => {
                decoded.push(text[at]);
                at += 1;
            }
        }
    }
    any.then_some(decoded)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use claviger_canonical::Canonical;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn id(n: u8) -> DecoyId {
        DecoyId::from_bytes([n; 8])
    }

    fn random(seed: u8) -> [u8; 48] {
        std::array::from_fn(|at| {
            seed.wrapping_mul(31).wrapping_add(u8::try_from(at).unwrap().wrapping_mul(57))
        })
    }

    #[test]
    fn each_look_is_its_providers_and_not_another_ones() {
        for (look, prefix, length) in [
            (Look::Google, "AIzaSy", 39),
            (Look::GitHub, "ghp_", 40),
            (Look::Aws, "AKIA", 20),
            (Look::Slack, "xoxb-", 55),
        ] {
            let text = look.dress(&random(1));
            assert!(text.starts_with(prefix) && text.len() == length, "{text}");
            assert_ne!(text, look.dress(&random(2)));
            assert_eq!(Look::from_word(look.as_str()), Some(look));
        }
        assert_eq!(Look::from_word("gitlab"), None);
    }

    #[test]
    fn a_decoy_is_found_however_it_is_wrapped() {
        for look in Look::ALL {
            let text = look.dress(&random(3));
            let other = look.dress(&random(4));
            let lures = Lures::of([(id(2), other.as_str()), (id(1), text.as_str())]);
            let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
            let percent: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
            let twice = percent.replace('%', "%25");
            let spaced = text.chars().map(|c| format!("{c} ")).collect::<String>();
            let wraps = [
                text.clone(),
                format!("the key is {text}, use it"),
                text.chars().rev().collect(),
                hex.clone(),
                hex.to_uppercase(),
                percent.clone(),
                twice,
                spaced,
                text.replacen('A', "%41", 1),
                STANDARD.encode(&text),
                STANDARD.encode(format!("x{text}")),
                STANDARD.encode(format!("xy{text}z")),
                URL_SAFE_NO_PAD.encode(format!("key: {text}\n")),
                STANDARD
                    .encode(format!("some mail\n{text}\nbye"))
                    .chars()
                    .collect::<Vec<_>>()
                    .chunks(20)
                    .map(|line| line.iter().collect::<String>() + "\r\n")
                    .collect(),
            ];
            for wrap in &wraps {
                assert_eq!(lures.in_text(wrap), Some(id(1)), "{look:?}: {wrap}");
                let arguments = Canonical::from_json(&json!({ "to": ["a", wrap] })).unwrap();
                assert_eq!(lures.in_arguments(arguments.value()), Some(id(1)));
                let name = Canonical::from_json(&json!({ wrap.as_str(): 1 })).unwrap();
                assert_eq!(lures.in_arguments(name.value()), Some(id(1)));
            }
            for innocent in
                ["", "hello", "%", "%%%41", &text[1..], &text[..text.len() - 1], &"A".repeat(5000)]
            {
                assert_eq!(lures.in_text(innocent), None, "{innocent}");
            }
        }
    }

    #[test]
    fn without_decoys_nothing_is_found_and_short_ones_are_left_out() {
        assert!(Lures::default().is_empty());
        assert_eq!(Lures::default().in_text(&"A".repeat(100)), None);
        assert!(Lures::of([(id(1), "short")]).is_empty());
    }

    #[test]
    fn the_shortest_is_found_alone_and_at_either_end() {
        let shortest = "0123456789abcdef";
        let lures = Lures::of([(id(1), shortest)]);
        for text in
            [shortest.to_owned(), format!("{shortest}."), format!(".{shortest}"), format!("x {shortest}")]
        {
            assert_eq!(lures.in_text(&text), Some(id(1)), "{text}");
        }
        assert!(Lures::of([(id(1), &shortest[1..])]).is_empty());
        // Whatever its first two bytes are.
        for first in ["a@", "@@", "\u{80}", "k{", "??"] {
            let text = format!("{first}0123456789abcdef");
            assert_eq!(
                Lures::of([(id(2), text.as_str())]).in_text(&format!("x{text}")),
                Some(id(2)),
                "{text}"
            );
        }
        // Two of one form are the first.
        let both = Lures::of([(id(1), shortest), (id(2), shortest), (id(3), "fedcba9876543210")]);
        assert_eq!((both.in_text(shortest), both.in_text("fedcba9876543210")), (Some(id(1)), Some(id(1))));
    }

    proptest! {
        #[test]
        fn any_place_in_any_text_will_do(before in ".{0,40}", after in ".{0,40}", seed in any::<u8>()) {
            let text = Look::GitHub.dress(&random(seed));
            let lures = Lures::of([(id(1), text.as_str())]);
            prop_assert_eq!(lures.in_text(&format!("{before}{text}{after}")), Some(id(1)));
            let encoded = STANDARD.encode(format!("{before}{text}{after}"));
            prop_assert_eq!(lures.in_text(&encoded), Some(id(1)));
        }

        #[test]
        fn no_text_panics(text in "(%|[0-9a-f]|.){0,200}") {
            let lures = Lures::of([(id(1), "ghp_0123456789abcdefghij")]);
            let _ = lures.in_text(&text);
        }
    }
}
