//! Text that a person does not see and a model does.

use std::collections::BTreeSet;

use super::fold;
use super::markup::{self, within};

/// So many invisible characters in a row carry something. Newsletters pad their first line with some of them, each
/// beside a space.
const RUN: usize = 8;

/// So many words with invisible characters inside, each between two Latin letters, are no accident.
const SPLIT: usize = 3;

/// Hidden text of more words than this is suspicious whatever it says; newsletters hide their first line.
const MANY_WORDS: usize = 60;

/// How much of a hidden element is looked at, in bytes, and how many elements of a text.
const ELEMENT: usize = 4096;
const ELEMENTS: usize = 256;

/// A way to hide text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    ZeroWidth,
    BidiOverride,
    TagCharacters,
    HtmlComment,
    HiddenStyle,
}

impl Shape {
    pub(super) fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "zero-width" => Shape::ZeroWidth,
            "bidi-override" => Shape::BidiOverride,
            "tag-characters" => Shape::TagCharacters,
            "html-comment" => Shape::HtmlComment,
            "hidden-style" => Shape::HiddenStyle,
            _ => return None,
        })
    }

    pub(super) fn is_in(self, text: &str, cues: &BTreeSet<String>) -> bool {
        match self {
            Shape::ZeroWidth => !text.is_ascii() && zero_width(text),
            Shape::BidiOverride => !text.is_ascii() && text.contains(['\u{202d}', '\u{202e}']),
            Shape::TagCharacters => !text.is_ascii() && tag_characters(text),
            // Most texts have no such character at all, which is found soonest.
            Shape::HtmlComment => text.contains('<') && comment(text, cues),
            Shape::HiddenStyle => text.contains('<') && style(text, cues),
        }
    }
}

fn zero_width(text: &str) -> bool {
    let mut run = 0;
    let mut split = 0;
    let mut before = ' ';
    let mut last = ' ';
    for c in text.chars() {
        if fold::is_invisible(c) {
            if run == 0 {
                before = last;
            }
            run += 1;
            if run >= RUN {
                return true;
            }
        } else {
            // A soft hyphen marks where a word may break, and is meant to stand inside.
            if run > 0 && last != '\u{ad}' && before.is_ascii_alphabetic() && c.is_ascii_alphabetic() {
                split += 1;
                if split >= SPLIT {
                    return true;
                }
            }
            run = 0;
        }
        last = c;
    }
    false
}

/// Tag characters spell ASCII that nobody sees. Only the flags of some regions are made of them.
fn tag_characters(text: &str) -> bool {
    let mut flag = false;
    let mut length = 0;
    for c in text.chars() {
        match c {
            '\u{1f3f4}' => (flag, length) = (true, 0),
            '\u{e0000}'..='\u{e007f}' => {
                length += 1;
                if !flag || length > 7 {
                    return true;
                }
            }
            _ => flag = false,
        }
    }
    false
}

fn comment(text: &str, cues: &BTreeSet<String>) -> bool {
    let mut rest = text;
    let mut seen = 0;
    while let Some(at) = rest.find("<!--") {
        rest = &rest[at..];
        seen += 1;
        match markup::tag(rest).filter(|_| seen <= ELEMENTS) {
            Some(tag) => {
                // Conditional comments hold markup for one mail program.
                let conditional = tag.inside.trim_start().starts_with("[if");
                if !conditional && is_suspicious(tag.inside, cues) {
                    return true;
                }
                rest = &rest[tag.length..];
            }
            None => return false,
        }
    }
    false
}

fn style(text: &str, cues: &BTreeSet<String>) -> bool {
    let mut rest = text;
    let mut seen = 0;
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        match markup::tag(rest) {
            Some(tag) => {
                let after = &rest[tag.length..];
                if !tag.name.is_empty() && !tag.name.starts_with('/') && hides(tag.inside) {
                    seen += 1;
                    if seen > ELEMENTS {
                        return false;
                    }
                    if is_suspicious(content(after, tag.name), cues) {
                        return true;
                    }
                }
                rest = after;
            }
            None => rest = &rest[1..],
        }
    }
    false
}

/// What stands in an element, up to its end tag; elements of the same name inside are counted.
fn content<'a>(text: &'a str, name: &str) -> &'a str {
    let text = within(text, ELEMENT);
    let mut depth = 0_u32;
    let mut at = 0;
    while let Some(found) = text[at..].find('<') {
        at += found;
        match markup::tag(&text[at..]) {
            Some(tag) => {
                if tag.name.eq_ignore_ascii_case(name) {
                    depth += 1;
                } else if tag.name.strip_prefix('/').is_some_and(|end| end.eq_ignore_ascii_case(name)) {
                    if depth == 0 {
                        return &text[..at];
                    }
                    depth -= 1;
                }
                at += tag.length;
            }
            None => at += 1,
        }
    }
    text
}

/// Whether an element's attributes make it invisible.
fn hides(attributes: &str) -> bool {
    let packed: String =
        attributes.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
    let zero = |property: &str| {
        packed.match_indices(property).any(|(at, _)| {
            let rest = &packed[at + property.len()..];
            let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            number.parse::<f32>().is_ok_and(|number| number < 0.1)
        })
    };
    let white = |property: &str| {
        ["#fff;", "#fff\"", "#fff'", "#ffffff", "white", "rgb(255,255,255)", "transparent"]
            .iter()
            .any(|value| packed.contains(&format!("{property}{value}")))
    };
    packed.contains("display:none")
        || packed.contains("visibility:hidden")
        || zero("font-size:")
        || zero("opacity:")
        || packed == "hidden"
        || packed.starts_with("hidden=")
        // White text is ordinary on a coloured ground, which another element may give.
        || white("\"color:") || white("'color:") || white(";color:") || packed.contains("color=\"white\"")
        || packed.contains("color=\"#ffffff\"")
}

/// Whether hidden words are more than a first line, or speak of what only a model would care for.
fn is_suspicious(text: &str, cues: &BTreeSet<String>) -> bool {
    let plain = markup::stripped(text);
    let words = fold::words(plain.as_deref().unwrap_or(text));
    words.len() > MANY_WORDS || words.iter().any(|word| cues.contains(word))
}
