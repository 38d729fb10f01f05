//! From text to words.

/// What stands in a source, comments and literals left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// A keyword or a name.
    Name(String),
    /// `::`
    Colons,
    /// Any other character that is not white space.
    Mark(char),
}

impl Word {
    /// Whether it is this name.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        matches!(self, Word::Name(own) if own == name)
    }
}

/// A word and its line, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The word.
    pub word: Word,
    /// Its line.
    pub line: usize,
}

/// The words of a source that compiles.
#[must_use]
pub fn words(text: &str) -> Vec<Token> {
    let mut reader = Reader { rest: text, line: 1 };
    let mut tokens = Vec::new();
    while let Some(next) = reader.rest.chars().next() {
        let line = reader.line;
        let word = match next {
            _ if reader.rest.starts_with("//") => {
                reader.skip(reader.rest.find('\n').unwrap_or(reader.rest.len()));
                continue;
            }
            _ if reader.rest.starts_with("/*") => {
                reader.skip_block_comment();
                continue;
            }
            _ if reader.rest.starts_with("::") => {
                reader.skip(2);
                Word::Colons
            }
            '"' => {
                reader.skip_text();
                continue;
            }
            '\'' => {
                reader.skip_character_or_lifetime();
                continue;
            }
            _ if next.is_alphanumeric() || next == '_' => {
                let name = reader.name();
                if matches!(name, "r" | "br" | "cr") && reader.skip_raw_text()
                    || matches!(name, "b" | "c") && reader.rest.starts_with(['"', '\''])
                {
                    // The prefix of a literal; what follows is skipped in the next round, or was just now.
                    continue;
                }
                Word::Name(name.to_owned())
            }
            _ => {
                reader.skip(next.len_utf8());
                if next.is_whitespace() {
                    continue;
                }
                Word::Mark(next)
            }
        };
        tokens.push(Token { word, line });
    }
    tokens
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.rest.split_at(bytes.min(self.rest.len()));
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }

    fn name(&mut self) -> &'a str {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let name = &self.rest[..end];
        self.skip(end);
        name
    }

    /// They nest.
    fn skip_block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.skip(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.skip(2);
            } else {
                self.skip(self.rest.chars().next().map_or(0, char::len_utf8));
            }
            if depth == 0 || self.rest.is_empty() {
                return;
            }
        }
    }

    /// From one quotation mark to the next that has no backslash before it.
    fn skip_text(&mut self) {
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find(|&(_, c)| {
            let end = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            end
        });
        self.skip(end.map_or(self.rest.len(), |(at, _)| at + 1));
    }

    /// After the `r`: `"…"` or `#"…"#`, with any number of `#`. False, and nothing skipped, where it is neither.
    fn skip_raw_text(&mut self) -> bool {
        let hashes = self.rest.len() - self.rest.trim_start_matches('#').len();
        if !self.rest[hashes..].starts_with('"') {
            return false;
        }
        let end = format!("\"{}", &self.rest[..hashes]);
        let length = self.rest[hashes + 1..].find(&end).unwrap_or(self.rest.len());
        self.skip(hashes + 1 + length + end.len());
        true
    }

    /// `'a'` and `'\u{61}'` are characters, `'a` is a lifetime.
    fn skip_character_or_lifetime(&mut self) {
        let mut after = self.rest[1..].chars();
        let (first, second) = (after.next(), after.next());
        if first == Some('\\') {
            // The character after the backslash may be a quotation mark itself.
            let end = self.rest.char_indices().skip(3).find(|&(_, c)| c == '\'');
            self.skip(end.map_or(self.rest.len(), |(at, _)| at + 1));
        } else if second == Some('\'') {
            self.skip(2 + first.map_or(0, char::len_utf8));
        } else {
            self.skip(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<String> = words(text)
            .into_iter()
            .map(|token| match token.word {
                Word::Name(name) => name,
                Word::Colons => "::".to_owned(),
                Word::Mark(mark) => mark.to_string(),
            })
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn comments_and_literals_are_left_out() {
        check("a::b; // c::d\ne", &["a", "::", "b", ";", "e"]);
        check("a /* b /* c */ d */ e", &["a", "e"]);
        check(r#"a "b \" c \\" d"#, &["a", "d"]);
        check(r##"a r#"b " c"# d br"e\" f"##, &["a", "d", "f"]);
        check(r#"b"a" c"b" b'c' d"#, &["d"]);
        check(r"'a' '\'' '\u{61}' 'é' b", &["b"]);
        check("&'a str <'_>", &["&", "a", "str", "<", "_", ">"]);
        check("r#type", &["r", "#", "type"]);
    }

    #[test]
    fn each_word_knows_its_line() {
        let tokens = words("a\n\"x\ny\"\n/*\n*/ b");
        assert_eq!(tokens.iter().map(|token| token.line).collect::<Vec<_>>(), [1, 5]);
    }
}
