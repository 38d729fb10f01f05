//! From words to paths.

use super::words::{Token, Word, words};

/// A path of at least two segments, as a source has it. `use a::{b, c::d}` is two: `a::b` and `a::c::d`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its segments.
    pub segments: Vec<String>,
    /// The modules of this file that it is in, outermost first; none at the file's top.
    pub inside: Vec<String>,
    /// Its line, counted from 1.
    pub line: usize,
}

/// The paths of a source, without those in `#[cfg(test)]` modules.
pub(super) fn paths(text: &str) -> Vec<Found> {
    let tokens = words(text);
    let mut found = Vec::new();
    // The modules we are in: name, depth of their brace, whether for tests only.
    let mut modules: Vec<(String, usize, bool)> = Vec::new();
    let (mut depth, mut at) = (0_usize, 0);
    while at < tokens.len() {
        if let Some((name, true)) = declaration(&tokens, at) {
            modules.push((name.to_owned(), depth, is_for_tests(&tokens, at)));
            depth += 1;
            at += 3;
            continue;
        }
        match &tokens[at].word {
            Word::Mark('{') => depth += 1,
            Word::Mark('}') => {
                depth = depth.saturating_sub(1);
                modules.pop_if(|(_, own, _)| *own == depth);
            }
            Word::Name(_) if word(&tokens, at + 1) == Some(&Word::Colons) => {
                let mut ends = Vec::new();
                let next = path(&tokens, at, &[], &mut ends);
                if !modules.iter().any(|(.., tests)| *tests) {
                    let inside: Vec<String> = modules.iter().map(|(name, ..)| name.clone()).collect();
                    let line = tokens[at].line;
                    found.extend(ends.into_iter().map(|segments| Found {
                        segments,
                        inside: inside.clone(),
                        line,
                    }));
                }
                at = next;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// The names of the modules that a source declares for tests only, those with a file of their own.
pub(super) fn test_modules(text: &str) -> Vec<String> {
    let tokens = words(text);
    (0..tokens.len())
        .filter(|&at| is_for_tests(&tokens, at))
        .filter_map(|at| declaration(&tokens, at))
        .filter(|(_, inline)| !inline)
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// The module declared at this word, and whether its body follows.
fn declaration(tokens: &[Token], at: usize) -> Option<(&str, bool)> {
    if !word(tokens, at)?.is("mod") {
        return None;
    }
    match (word(tokens, at + 1)?, word(tokens, at + 2)?) {
        (Word::Name(name), Word::Mark('{')) => Some((name, true)),
        (Word::Name(name), Word::Mark(';')) => Some((name, false)),
        _ => None,
    }
}

/// Whether `#[cfg(test)]` stands right before what begins here; `pub`, `pub(crate)` and the like may be between.
fn is_for_tests(tokens: &[Token], mut at: usize) -> bool {
    let names = |at: usize, name: &str| word(tokens, at).is_some_and(|word| word.is(name));
    let mark = |at: usize, mark: char| word(tokens, at) == Some(&Word::Mark(mark));
    if at >= 4 && mark(at - 1, ')') && mark(at - 3, '(') && names(at - 4, "pub") {
        at -= 4;
    } else if at >= 1 && names(at - 1, "pub") {
        at -= 1;
    }
    at >= 7
        && mark(at - 7, '#')
        && mark(at - 6, '[')
        && names(at - 5, "cfg")
        && mark(at - 4, '(')
        && names(at - 3, "test")
        && mark(at - 2, ')')
        && mark(at - 1, ']')
}

/// Follows one path, or one branch of it, from its first segment; puts the ends it leads to into `ends`. Returns where
/// to read on.
fn path(tokens: &[Token], mut at: usize, before: &[String], ends: &mut Vec<Vec<String>>) -> usize {
    let mut here = before.to_vec();
    loop {
        match word(tokens, at) {
            Some(Word::Name(name)) => {
                here.push(name.clone());
                at += 1;
                if word(tokens, at) != Some(&Word::Colons) {
                    break;
                }
                at += 1;
            }
            Some(Word::Mark('{')) => return group(tokens, at + 1, &here, ends),
            Some(Word::Mark('*')) => {
                at += 1;
                break;
            }
            _ => break,
        }
    }
    ends.push(here);
    at
}

/// Follows each branch of a `{…}` in a `use`.
fn group(tokens: &[Token], mut at: usize, before: &[String], ends: &mut Vec<Vec<String>>) -> usize {
    loop {
        match word(tokens, at) {
            None => return at,
            Some(Word::Mark('}')) => return at + 1,
            Some(Word::Mark(',')) => at += 1,
            Some(name) if name.is("as") => at += 2,
            Some(_) => {
                let next = path(tokens, at, before, ends);
                at = next.max(at + 1);
            }
        }
    }
}

fn word(tokens: &[Token], at: usize) -> Option<&Word> {
    tokens.get(at).map(|token| &token.word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<String> = paths(text).into_iter().map(|found| found.segments.join("::")).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn every_branch_of_a_use_is_a_path() {
        check("use a::b;", &["a::b"]);
        check(
            "use a::{b, c::d, e::{self, f as g, h::*}, i};",
            &["a::b", "a::c::d", "a::e::self", "a::e::f", "a::e::h", "a::i"],
        );
        check("let x = a::b::<c::D>(e); f::g!()", &["a::b", "c::D", "f::g"]);
        check("pub(in crate::a) fn b()", &["crate::a"]);
        check("// a::b\n\"c::d\"", &[]);
    }

    #[test]
    fn what_is_for_tests_is_left_out() {
        check("#[cfg(test)] mod tests { use a::b; mod c { use d::e; } } use f::g;", &["f::g"]);
        check("mod tests { use a::b; }", &["a::b"]);
        check("#[cfg(unix)] mod tests { use a::b; }", &["a::b"]);
        assert_eq!(test_modules("#[cfg(test)]\nmod a; mod b; #[cfg(test)] pub(crate) mod c;"), ["a", "c"]);
    }

    #[test]
    fn a_path_knows_its_modules() {
        let found = paths("mod a { mod b { fn f() { c::d } } } e::f");
        let inside: Vec<&[String]> = found.iter().map(|found| found.inside.as_slice()).collect();
        assert_eq!(inside, [&["a".to_owned(), "b".to_owned()][..], &[]]);
    }
}
