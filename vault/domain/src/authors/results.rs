//! `Authentication-Results`, as RFC 8601 section 2.2 writes it.
//!
//! The text is partly an attacker's: a server repeats the sender's addresses in it. So it is read whole or not at all,
//! and nothing that stands in a comment or in quotes is ever taken for structure.

/// The header's value is not what RFC 8601 allows, or longer than any server writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no well-formed Authentication-Results")]
pub struct BadResults;

/// Longest value that is read, in bytes.
const LONGEST: usize = 16 * 1024;

/// Deepest nesting of comments.
const DEEPEST: u32 = 8;

/// What one server found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Results {
    /// Its authserv-id.
    pub server: String,
    /// What it found, in the order of the header; empty for `none`.
    pub outcomes: Vec<Outcome>,
}

/// The outcome of one method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `dmarc`, `dkim`, `spf`, …, in lower case.
    pub method: String,
    /// `pass`, `fail`, …, in lower case.
    pub result: String,
    /// Pairs such as `header.from` (in lower case) and `example.org` (as it was written).
    pub properties: Vec<(String, String)>,
}

impl Results {
    /// Reads the value of one header, folded or not.
    ///
    /// # Errors
    /// [`BadResults`] for anything that RFC 8601 does not allow.
    pub fn parse(value: &str) -> Result<Self, BadResults> {
        if value.len() > LONGEST {
            return Err(BadResults);
        }
        let mut reader = Reader { rest: unfold(value)? };
        let reader = &mut reader;
        reader.blank()?;
        let server = reader.value(|b| is_token(b) || b == b'/' || b == b':')?;
        let spaced = reader.blank()?;
        // An authres-version; only the first there ever was is known.
        if reader.peek().is_some_and(|b| b.is_ascii_digit()) {
            if !spaced || reader.word(|b| b.is_ascii_digit())? != "1" {
                return Err(BadResults);
            }
            reader.blank()?;
        }
        let mut outcomes = Vec::new();
        let mut none = false;
        while reader.peek().is_some() {
            reader.expect(b';')?;
            reader.blank()?;
            match reader.peek() {
                // Some servers end with a semicolon.
                None => break,
                _ if none => return Err(BadResults),
                _ => {}
            }
            match reader.outcome()? {
                Some(outcome) => outcomes.push(outcome),
                None if outcomes.is_empty() => none = true,
                None => return Err(BadResults),
            }
        }
        if outcomes.is_empty() && !none {
            return Err(BadResults);
        }
        Ok(Self { server, outcomes })
    }
}

/// Line ends that are followed by white space become a space; any other is no part of a header.
fn unfold(value: &str) -> Result<Vec<u8>, BadResults> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes().peekable();
    while let Some(b) = rest.next() {
        let folded = match b {
            b'\r' => {
                rest.next_if_eq(&b'\n').ok_or(BadResults)?;
                true
            }
            b'\n' => true,
            _ => false,
        };
        match b {
            _ if folded => {
                if !matches!(rest.peek(), Some(b' ' | b'\t')) {
                    return Err(BadResults);
                }
                bytes.push(b' ');
            }
            b'\t' => bytes.push(b' '),
            0..=0x1f | 0x7f => return Err(BadResults),
            b => bytes.push(b),
        }
    }
    // Read from the end of the vector, so that taking a byte is cheap.
    bytes.reverse();
    Ok(bytes)
}

/// What is left, backwards.
struct Reader {
    rest: Vec<u8>,
}

impl Reader {
    fn peek(&self) -> Option<u8> {
        self.rest.last().copied()
    }

    fn next(&mut self) -> Result<u8, BadResults> {
        self.rest.pop().ok_or(BadResults)
    }

    fn expect(&mut self, wanted: u8) -> Result<(), BadResults> {
        if self.next()? == wanted { Ok(()) } else { Err(BadResults) }
    }

    /// White space and comments; whether there were any.
    fn blank(&mut self) -> Result<bool, BadResults> {
        let mut any = false;
        loop {
            match self.peek() {
                Some(b' ') => drop(self.next()?),
                Some(b'(') => self.comment()?,
                _ => return Ok(any),
            }
            any = true;
        }
    }

    fn comment(&mut self) -> Result<(), BadResults> {
        let mut depth = 0_u32;
        loop {
            match self.next()? {
                b'(' if depth == DEEPEST => return Err(BadResults),
                b'(' => depth += 1,
                b')' if depth == 1 => return Ok(()),
                b')' => depth -= 1,
                b'\\' => drop(self.next()?),
                _ => {}
            }
        }
    }

    /// A run of at least one such byte.
    fn word(&mut self, allowed: impl Fn(u8) -> bool) -> Result<String, BadResults> {
        let mut word = String::new();
        while let Some(b) = self.peek().filter(|b| allowed(*b)) {
            word.push(char::from(b));
            self.rest.pop();
        }
        if word.is_empty() { Err(BadResults) } else { Ok(word) }
    }

    /// A run of such bytes, or a quoted string without its quotes.
    fn value(&mut self, allowed: impl Fn(u8) -> bool) -> Result<String, BadResults> {
        if self.peek() != Some(b'"') {
            return self.word(allowed);
        }
        self.next()?;
        let mut bytes = Vec::new();
        loop {
            match self.next()? {
                b'"' => return String::from_utf8(bytes).map_err(|_| BadResults),
                b'\\' => bytes.push(self.next()?),
                b => bytes.push(b),
            }
        }
    }

    /// One method's outcome, up to the next semicolon or the end; `None` for the word `none`.
    fn outcome(&mut self) -> Result<Option<Outcome>, BadResults> {
        let method = self.word(is_keyword)?.to_ascii_lowercase();
        self.blank()?;
        if self.peek() == Some(b'/') {
            self.next()?;
            self.blank()?;
            if self.word(|b| b.is_ascii_digit())? != "1" {
                return Err(BadResults);
            }
            self.blank()?;
        }
        if method == "none" && matches!(self.peek(), None | Some(b';')) {
            return Ok(None);
        }
        self.expect(b'=')?;
        self.blank()?;
        let result = self.word(is_keyword)?.to_ascii_lowercase();
        let mut properties = Vec::new();
        loop {
            let spaced = self.blank()?;
            match self.peek() {
                None | Some(b';') => return Ok(Some(Outcome { method, result, properties })),
                // What follows a result or a value stands apart from it.
                Some(_) if !spaced => return Err(BadResults),
                Some(_) => {}
            }
            let name = self.word(is_keyword)?.to_ascii_lowercase();
            self.blank()?;
            let name = match self.next()? {
                b'.' => {
                    self.blank()?;
                    let property = self.word(is_keyword)?.to_ascii_lowercase();
                    self.blank()?;
                    self.expect(b'=')?;
                    format!("{name}.{property}")
                }
                // A reason is for people.
                b'=' if name == "reason" => name,
                _ => return Err(BadResults),
            };
            self.blank()?;
            properties.push((name, self.value(is_loose)?));
        }
    }
}

/// RFC 2045 section 5.1: neither a space, a control character nor one of the tspecials.
fn is_token(b: u8) -> bool {
    b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b)
}

/// RFC 5321 section 4.1.2; and the underscore, which some methods have.
fn is_keyword(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-' || b == b'_'
}

/// What servers write unquoted as a value: addresses, base64, URLs. Never what could begin another part.
fn is_loose(b: u8) -> bool {
    b.is_ascii_graphic() && !b"()<>;\\\",".contains(&b)
}

#[cfg(test)]
mod tests;
