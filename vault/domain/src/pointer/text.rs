//! Pointers as the catalog writes them.

use std::fmt;
use std::str::FromStr;

use super::{Part, Pointer, Unlike};

/// Most parts a pointer has; catalogs need three or four.
const PARTS_MAX: usize = 32;

/// The text is not a pointer. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPointer {
    /// Neither empty nor beginning with a slash.
    #[error("a pointer is empty or begins with a slash")]
    NoSlash,
    /// A `~` that is not `~0` or `~1`.
    #[error("in a pointer, ~ stands only in ~0 and ~1")]
    Escape,
    /// A part that begins with `*[` and is no `*[name=…]` and no `*[member!=…]`.
    #[error("in a pointer, a part that selects is *[name=TEXT] or *[MEMBER!=WORD,WORD]; two are joined by &")]
    Selector,
    /// More than 32 parts.
    #[error("a pointer has at most 32 parts")]
    TooDeep,
}

impl FromStr for Pointer {
    type Err = BadPointer;

    fn from_str(text: &str) -> Result<Self, BadPointer> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let parts = text.strip_prefix('/').ok_or(BadPointer::NoSlash)?;
        if parts.split('/').count() > PARTS_MAX {
            return Err(BadPointer::TooDeep);
        }
        parts
            .split('/')
            .map(|part| match part.strip_prefix("*[") {
                _ if part == "*" => Ok(Part::Each),
                None => unescape(part).map(Part::Name),
                Some(rest) => match rest.strip_suffix(']').map(|rest| (rest, rest.strip_prefix("name="))) {
                    Some((_, Some(name))) if !name.is_empty() => unescape(name).map(Part::Named),
                    Some((rest, None)) => but(rest).ok_or(BadPointer::Selector),
                    _ => Err(BadPointer::Selector),
                },
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
        for part in &self.0 {
            match part {
                Part::Each => f.write_str("/*")?,
                Part::Name(name) => write!(f, "/{}", escaped(name))?,
                Part::Named(name) => write!(f, "/*[name={}]", escaped(name))?,
                Part::But(tests) => {
                    let tests: Vec<String> = tests
                        .iter()
                        .map(|Unlike { member, words }| format!("{}!={}", member.join("."), words.join(",")))
                        .collect();
                    write!(f, "/*[{}]", tests.join("&"))?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn unescape(part: &str) -> Result<String, BadPointer> {
    let mut name = String::with_capacity(part.len());
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        name.push(match (c, if c == '~' { chars.next() } else { None }) {
            ('~', Some('0')) => '~',
            ('~', Some('1')) => '/',
            ('~', _) => return Err(BadPointer::Escape),
            (other, _) => other,
        });
    }
    Ok(name)
}

/// What stands between the brackets of `*[member!=a,b]`.
fn but(text: &str) -> Option<Part> {
    let plain = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric());
    let all = |text: &str, by: char| -> Option<Vec<String>> {
        text.split(by).map(|word| plain(&word).then(|| word.to_owned())).collect()
    };
    let unlike = |text: &str| {
        let (member, words) = text.split_once("!=")?;
        Some(Unlike { member: all(member, '.')?, words: all(words, ',')? })
    };
    text.split('&').map(unlike).collect::<Option<_>>().map(Part::But)
}
