//! Looks for secrets in what an upstream answers, in the encodings an echo is likely to come in.
//!
//! This is the second wall: it catches services that show a request back, not one that wants to smuggle. Searched is
//! the text as it came, percent-decoded (with and without `+` as a space) and JSON-unescaped, each for the secret
//! itself and for its base64 in both alphabets at all three offsets; and for its hex, in any case. Escapes are undone
//! rather than guessed, so it does not matter which characters the upstream chose to escape, or how.

mod view;

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use memchr::memmem;
use zeroize::Zeroizing;

use self::view::{Undo, View};

/// Secrets shorter than this are not looked for. They would be found in ordinary text by chance, and each withheld
/// answer would tell whoever chose that text a part of the secret.
const SHORTEST: usize = 8;

/// What to look for. Held in memory that is wiped; shows nothing of itself.
#[derive(Default)]
pub struct Needles {
    /// Searched in every view: secrets and the part of their base64 that does not depend on their neighbours.
    text: Vec<Zeroizing<Vec<u8>>>,
    /// Searched in lower-cased text: hex.
    lower: Vec<Zeroizing<Vec<u8>>>,
}

impl Needles {
    /// Adds a secret in all its encodings; one of fewer than 8 bytes is left out.
    pub fn add(&mut self, secret: &[u8]) {
        if secret.len() < SHORTEST {
            return;
        }
        self.add_text(Zeroizing::new(secret.to_vec()));
        for alphabet in [&alphabet::STANDARD, &alphabet::URL_SAFE] {
            let engine = GeneralPurpose::new(alphabet, NO_PAD);
            for offset in 0..3 {
                self.add_text(core(&engine, secret, offset));
            }
        }
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let mut hex = Zeroizing::new(Vec::with_capacity(secret.len() * 2));
        for byte in secret {
            hex.push(DIGITS[usize::from(byte >> 4)]);
            hex.push(DIGITS[usize::from(byte & 15)]);
        }
        self.lower.push(hex);
    }

    fn add_text(&mut self, needle: Zeroizing<Vec<u8>>) {
        // The two alphabets mostly agree. What is compared here are patterns of ours, not somebody's guess.
        if !self.text.iter().any(|known| **known == *needle) {
            self.text.push(needle);
        }
    }

    fn longest(&self) -> usize {
        self.text.iter().chain(&self.lower).map(|needle| needle.len()).max().unwrap_or(0)
    }

    /// Whether all of them are longer than a whole text of that many bytes. Undoing escapes makes no text longer, so
    /// such a text need not be looked through.
    pub(super) fn exceed(&self, length: usize) -> bool {
        self.text.iter().chain(&self.lower).all(|needle| needle.len() > length)
    }
}

impl std::fmt::Debug for Needles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Needles(…)")
    }
}

/// The characters of the secret's base64 that are the same whatever stands before and after it, if it begins `offset`
/// bytes into a group of three.
fn core(engine: &GeneralPurpose, secret: &[u8], offset: usize) -> Zeroizing<Vec<u8>> {
    let mut padded = Zeroizing::new(Vec::with_capacity(secret.len() + offset));
    padded.resize(offset, 0);
    padded.extend_from_slice(secret);
    let encoded = Zeroizing::new(engine.encode(&padded));
    // Characters of 6 bits that hold bits of the bytes before: 8 bits touch two of them, 16 bits touch three.
    let first = [0, 2, 3][offset];
    // An incomplete last group ends in a character that also holds bits of the byte after.
    let last = encoded.len() - usize::from(padded.len() % 3 != 0);
    Zeroizing::new(encoded.as_bytes()[first..last].to_vec())
}

/// Looks through one stream of bytes, given in chunks of any size; what lies across chunks is found.
pub struct Watcher {
    needles: Arc<Needles>,
    /// The text as it came.
    text: View,
    /// With its escapes undone, and whether only secrets with a space in them can be in it and in no other.
    undone: Vec<(View, bool)>,
    lower: View,
    found: bool,
}

impl Watcher {
    /// For one stream from its beginning: a body, or one header's value.
    #[must_use]
    pub fn new(needles: Arc<Needles>) -> Self {
        let reach = needles.longest().saturating_sub(1);
        let undone = [Undo::Percent, Undo::PercentAndPlus, Undo::Json];
        // A plus that was undone is a space: what has none in it is shown by the other view of percents, too.
        let undone = undone.map(|undo| (View::new(undo, reach), undo == Undo::PercentAndPlus));
        Self {
            text: View::new(Undo::Nothing, reach),
            undone: undone.into(),
            lower: View::new(Undo::Case, reach),
            needles,
            found: false,
        }
    }

    /// Takes the next bytes; returns whether a secret has been seen, in these or before. Once true it stays true.
    pub fn feed(&mut self, chunk: &[u8]) -> bool {
        if self.found || self.needles.text.is_empty() || chunk.is_empty() {
            return self.found;
        }
        let Needles { text, lower } = &*self.needles;
        self.text.take(chunk);
        self.found |= text.iter().any(|needle| contains(self.text.shown(), needle));
        self.text.forget();
        for (view, spaced) in &mut self.undone {
            view.take(chunk);
            // Elsewhere it shows what the text itself shows, which was searched just now.
            let wanted = |needle: &&Zeroizing<Vec<u8>>| !*spaced || needle.contains(&b' ');
            for needle in text.iter().filter(wanted) {
                self.found |= view.shown_anew().any(|shown| contains(shown, needle));
            }
            view.forget();
        }
        self.lower.take(chunk);
        self.found |= lower.iter().any(|needle| contains(self.lower.shown(), needle));
        self.lower.forget();
        self.found
    }
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("found", &self.found).finish_non_exhaustive()
    }
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    memmem::find(text, needle).is_some()
}

/// The values of those fields of a form that are secrets wherever OAuth uses them (RFC 6749, 7009, 7521, 7636).
pub(super) fn form_values(form: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    const SECRET_FIELDS: [&[u8]; 9] = [
        b"access_token",
        b"assertion",
        b"client_assertion",
        b"client_secret",
        b"code",
        b"code_verifier",
        b"password",
        b"refresh_token",
        b"token",
    ];
    form.split(|b| *b == b'&')
        .filter_map(|field| {
            let at = field.iter().position(|b| *b == b'=')?;
            let (name, value) = (&field[..at], &field[at + 1..]);
            SECRET_FIELDS.contains(&name).then(|| {
                let mut view = View::new(Undo::PercentAndPlus, 0);
                view.take(value);
                Zeroizing::new(view.shown().to_vec())
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
