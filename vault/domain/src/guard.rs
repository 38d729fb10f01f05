//! Signs that a text speaks to the model that reads it.
//!
//! A list of phrases and shapes, looked for in linear time, without a regular expression. It is a signal and never a
//! wall: whoever knows the list writes around it, and an honest mail may well look like one. What it finds is told to
//! the agent's host and to the owner, and taints; nothing is refused for it.

mod fold;
mod hidden;
mod markup;

use std::collections::{BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use hidden::Shape;

/// Most words that a gap in a phrase takes.
const GAP: u32 = 3;

/// Most words a phrase is made of, gaps included: so that where it can end fits into the bits of a number.
const LONGEST_PHRASE: u32 = 60;

/// How many words before a phrase may undo it.
const UNDONE_WITHIN: usize = 6;

/// Deepest value that is looked into.
const DEEPEST: u32 = 64;

/// One sign, as the list names it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sign {
    /// Its name, which is all that is ever told of it.
    pub name: String,
    /// Phrases: words in order, `a|b` for one of several, `*` for up to three words of any kind.
    pub phrases: Vec<String>,
    /// Words that undo a phrase where they stand shortly before it: "never send your password".
    pub unless: Vec<String>,
    /// Shapes of hidden text: `zero-width`, `bidi-override`, `tag-characters`, `html-comment`, `hidden-style`.
    pub shapes: Vec<String>,
    /// Words that make hidden text suspicious, however short it is.
    pub cues: Vec<String>,
}

/// The list makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("sign {sign}: {why}")]
pub struct BadSign {
    /// Which sign.
    pub sign: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// All signs, ready to be looked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Guard {
    names: Vec<String>,
    words: HashMap<String, u32>,
    /// Which lengths the words have that begin with a byte: most words of a text are none of them, and this says so
    /// sooner.
    lengths: Vec<u64>,
    phrases: Vec<Phrase>,
    /// Phrases by their first word.
    starts: HashMap<u32, Vec<usize>>,
    /// Per sign: words that undo its phrases.
    unless: Vec<Vec<u32>>,
    shapes: Vec<(Shape, usize)>,
    cues: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq)]
struct Phrase {
    sign: usize,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
struct Part {
    /// Up to so many words before it.
    gap: u32,
    /// One of these.
    words: Vec<u32>,
}

/// A word that is in no phrase.
const OTHER: u32 = 0;
/// The end of a sentence: no phrase goes across.
const STOP: u32 = u32::MAX;

impl Guard {
    /// Of that list.
    ///
    /// # Errors
    /// An unknown shape, an empty phrase, one that begins or ends with a gap, or one that is too long.
    pub fn of(signs: &[Sign]) -> Result<Self, BadSign> {
        let mut guard = Self::default();
        for sign in signs {
            let bad = |why| BadSign { sign: sign.name.clone(), why };
            let number = guard.names.len();
            guard.names.push(sign.name.clone());
            for phrase in &sign.phrases {
                let parts = guard.parts(phrase).map_err(bad)?;
                for word in &parts[0].words {
                    guard.starts.entry(*word).or_default().push(guard.phrases.len());
                }
                guard.phrases.push(Phrase { sign: number, parts });
            }
            let unless = sign.unless.iter().flat_map(|word| fold::words(word)).collect::<Vec<_>>();
            let unless = unless.iter().map(|word| guard.word(word)).collect();
            guard.unless.push(unless);
            for shape in &sign.shapes {
                let shape = Shape::from_word(shape).ok_or(bad("there is no such shape"))?;
                guard.shapes.push((shape, number));
            }
            guard.cues.extend(sign.cues.iter().flat_map(|word| fold::words(word)));
        }
        Ok(guard)
    }

    /// Whether there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names of all signs in a text, markup and what is left without it both looked at.
    #[must_use]
    pub fn scan(&self, text: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.look(text, &mut found);
        self.named(&found)
    }

    /// The names of all signs in a JSON answer: in every text, and in what the text of a member `data` decodes to, as
    /// mail services put the parts of a mail there in base64url.
    #[must_use]
    pub fn scan_json(&self, answer: &Value) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.look_into(answer, &mut found, DEEPEST);
        self.named(&found)
    }

    fn named(&self, found: &BTreeSet<usize>) -> BTreeSet<String> {
        found.iter().filter_map(|number| self.names.get(*number).cloned()).collect()
    }

    fn look_into(&self, value: &Value, found: &mut BTreeSet<usize>, depth: u32) {
        match value {
            _ if depth == 0 => {}
            Value::String(text) => self.look(text, found),
            Value::Array(items) => items.iter().for_each(|item| self.look_into(item, found, depth - 1)),
            Value::Object(members) => {
                for (name, value) in members {
                    self.look(name, found);
                    self.look_into(value, found, depth - 1);
                    if let (true, Value::String(text)) = (name == "data", value)
                        && let Some(text) = decoded(text)
                    {
                        self.look(&text, found);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn look(&self, text: &str, found: &mut BTreeSet<usize>) {
        self.look_for_phrases(text, found);
        let plain = markup::stripped(text);
        if let Some(plain) = &plain {
            self.look_for_phrases(plain, found);
        }
        for (shape, sign) in &self.shapes {
            if !found.contains(sign)
                && (shape.is_in(text, &self.cues)
                    || plain.as_ref().is_some_and(|plain| shape.is_in(plain, &self.cues)))
            {
                found.insert(*sign);
            }
        }
    }

    fn look_for_phrases(&self, text: &str, found: &mut BTreeSet<usize>) {
        if self.phrases.is_empty() {
            return;
        }
        let mut tokens = Vec::new();
        fold::each_word(text, |word| {
            tokens.push(word.map_or(STOP, |word| self.token(word)));
        });
        for (at, token) in tokens.iter().enumerate() {
            for phrase in self.starts.get(token).into_iter().flatten() {
                let Phrase { sign, parts } = &self.phrases[*phrase];
                if !found.contains(sign) && fits(parts, &tokens[at..]) && !self.is_undone(*sign, &tokens, at)
                {
                    found.insert(*sign);
                }
            }
        }
    }

    fn token(&self, word: &str) -> u32 {
        let first = word.as_bytes().first();
        let lengths =
            first.and_then(|first| self.lengths.get(usize::from(*first))).copied().unwrap_or_default();
        if lengths & length_bit(word) == 0 {
            return OTHER;
        }
        self.words.get(word).copied().unwrap_or(OTHER)
    }

    fn is_undone(&self, sign: usize, tokens: &[u32], at: usize) -> bool {
        let before = &tokens[at.saturating_sub(UNDONE_WITHIN)..at];
        let sentence = before.iter().rev().take_while(|token| **token != STOP);
        let unless = &self.unless[sign];
        sentence.into_iter().any(|token| unless.contains(token))
    }

    fn parts(&mut self, phrase: &str) -> Result<Vec<Part>, &'static str> {
        let mut parts = Vec::new();
        let mut gap = 0;
        for text in phrase.split_whitespace() {
            if text == "*" {
                gap += GAP;
                continue;
            }
            let words: Vec<String> = text.split('|').flat_map(fold::words).collect();
            if words.len() != text.split('|').count() {
                return Err("each word of a phrase is one word");
            }
            parts.push(Part { gap, words: words.iter().map(|word| self.word(word)).collect() });
            gap = 0;
        }
        match parts.first() {
            None => Err("a phrase has words"),
            Some(first) if first.gap > 0 || gap > 0 => Err("a phrase begins and ends with a word"),
            Some(_) if parts.iter().map(|part| part.gap + 1).sum::<u32>() > LONGEST_PHRASE => {
                Err("a phrase is too long")
            }
            Some(_) => Ok(parts),
        }
    }

    fn word(&mut self, word: &str) -> u32 {
        let next = u32::try_from(self.words.len()).unwrap_or(STOP - 2) + 1;
        if let Some(first) = word.as_bytes().first() {
            self.lengths.resize(256, 0);
            self.lengths[usize::from(*first)] |= length_bit(word);
        }
        *self.words.entry(word.to_owned()).or_insert(next)
    }
}

/// A bit for the length of a word; all long ones share the last.
fn length_bit(word: &str) -> u64 {
    1 << word.len().min(63)
}

/// Whether the tokens begin with the phrase. Each bit of `ends` is a number of tokens that may have been taken so far.
fn fits(parts: &[Part], tokens: &[u32]) -> bool {
    let mut ends: u64 = 1;
    for part in parts {
        let mut places = ends;
        for _ in 0..part.gap {
            places |= (places & !stops(places, tokens)) << 1;
        }
        let mut next = 0;
        for at in bits(places) {
            if tokens.get(at).is_some_and(|token| part.words.contains(token)) {
                next |= 1 << (at + 1);
            }
        }
        if next == 0 {
            return false;
        }
        ends = next;
    }
    true
}

/// Those of the places where a sentence ends.
fn stops(places: u64, tokens: &[u32]) -> u64 {
    bits(places).filter(|at| tokens.get(*at) == Some(&STOP)).fold(0, |all, at| all | 1 << at)
}

fn bits(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (set != 0).then(|| {
            let at = set.trailing_zeros();
            set &= set - 1;
            at as usize
        })
    })
}

/// What a base64url text says, where that is text.
fn decoded(text: &str) -> Option<String> {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::URL_SAFE,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    String::from_utf8(ENGINE.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests;
