//! A strict, bounded JSON parser (RFC 8259, narrowed by RFC 7493 and further).
//!
//! General parsers round large integers, let the last of two equal keys win, or mend broken text. Each of these lets
//! two readers of the same bytes see different arguments, so here all of them are refused.

use crate::number::{Fraction, is_safe};
use crate::object::Object;
use crate::value::Value;

/// No fraction has a longer canonical text (`-0.0000033333333333333333` has 25 bytes); longer ones are refused unread.
const LONGEST_FRACTION: usize = 25;

/// Parses one JSON text. Whitespace, key order and escapes are free; numbers must be in canonical form, because a
/// number in another form cannot be told from one that would be rounded.
///
/// # Errors
/// The first fault found, with its byte offset; nothing of the input.
pub fn parse(input: &[u8], limits: &Limits) -> Result<Value, ParseError> {
    if input.len() > limits.bytes {
        return Err(ParseError::new(ErrorKind::TooLarge, limits.bytes));
    }
    if input.starts_with(b"\xef\xbb\xbf") {
        return Err(ParseError::new(ErrorKind::ByteOrderMark, 0));
    }
    let text = std::str::from_utf8(input)
        .map_err(|fault| ParseError::new(ErrorKind::InvalidUtf8, fault.valid_up_to()))?;
    let mut parser = Parser { text, at: 0, limits };
    parser.skip_whitespace();
    let value = parser.value(0)?;
    parser.skip_whitespace();
    if parser.at < text.len() {
        return Err(parser.fault(ErrorKind::TrailingBytes));
    }
    Ok(value)
}

/// What a text may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most arrays and objects that may be open at once. The parser recurses this deep, so it is small by type.
    pub depth: u8,
    /// The most bytes of input.
    pub bytes: usize,
    /// Whether numbers with a fractional part are accepted.
    pub fractions: bool,
}

impl Limits {
    /// The limits of a tool call's arguments: depth 32, 256 KiB. Fractions parse; the tool's schema decides which
    /// argument may be one.
    pub const ARGUMENTS: Self = Self { depth: 32, bytes: 262_144, fractions: true };
}

/// Why and where a text was refused. Holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct ParseError {
    kind: ErrorKind,
    offset: usize,
}

impl ParseError {
    pub(crate) fn new(kind: ErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }

    /// Returns the class of the fault.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns where the fault was seen, in bytes from the start of the input.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }
}

/// The class of a fault in a text or value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ErrorKind {
    /// More bytes than the limit.
    #[error("too many bytes")]
    TooLarge,
    /// More nested arrays and objects than the limit.
    #[error("nested too deeply")]
    TooDeep,
    /// The text starts with U+FEFF.
    #[error("byte order mark")]
    ByteOrderMark,
    /// The bytes are not UTF-8.
    #[error("invalid utf-8")]
    InvalidUtf8,
    /// The text ends within a value.
    #[error("unexpected end")]
    UnexpectedEnd,
    /// A byte that no JSON text has here.
    #[error("unexpected byte")]
    UnexpectedByte,
    /// Something follows the value.
    #[error("bytes after the value")]
    TrailingBytes,
    /// A character below U+0020 stands unescaped in a string.
    #[error("unescaped control character")]
    ControlCharacter,
    /// An escape that JSON does not know.
    #[error("unknown escape")]
    BadEscape,
    /// Half of a surrogate pair, which no Unicode text contains.
    #[error("lone surrogate")]
    LoneSurrogate,
    /// A key occurs twice in one object.
    #[error("duplicate key")]
    DuplicateKey,
    /// Not a number by JSON's grammar, such as `01` or `1.`.
    #[error("malformed number")]
    MalformedNumber,
    /// A number in another form than its one canonical form, such as `-0`, `1.0`, `1e3` or `0.10`, or one that no
    /// double holds.
    #[error("number not in canonical form")]
    NonCanonicalNumber,
    /// An integer outside ±(2^53 − 1).
    #[error("integer outside the safe range")]
    IntegerOutOfRange,
    /// A fraction where none is allowed.
    #[error("fraction not allowed")]
    FractionNotAllowed,
    /// Valid, but not in canonical form.
    #[error("not in canonical form")]
    NotCanonical,
}

/// A position in a text that is known to be UTF-8.
struct Parser<'a> {
    text: &'a str,
    at: usize,
    limits: &'a Limits,
}

impl Parser<'_> {
    /// Parses the value at the cursor, inside `depth` open containers.
    fn value(&mut self, depth: u8) -> Result<Value, ParseError> {
        match self.peek() {
            Some(b'{') => self.object(self.deeper(depth)?),
            Some(b'[') => self.array(self.deeper(depth)?),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.word("null", Value::Null),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            _ => Err(self.unexpected()),
        }
    }

    fn deeper(&self, depth: u8) -> Result<u8, ParseError> {
        if depth >= self.limits.depth { Err(self.fault(ErrorKind::TooDeep)) } else { Ok(depth + 1) }
    }

    fn object(&mut self, depth: u8) -> Result<Value, ParseError> {
        let mut object = Object::new();
        self.at += 1;
        self.skip_whitespace();
        if self.eat(b'}') {
            return Ok(Value::Object(object));
        }
        loop {
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.unexpected());
            }
            let key = self.string()?;
            self.skip_whitespace();
            self.expect(b':')?;
            self.skip_whitespace();
            let value = self.value(depth)?;
            object.insert(key, value).map_err(|_| ParseError::new(ErrorKind::DuplicateKey, start))?;
            self.skip_whitespace();
            if self.eat(b'}') {
                return Ok(Value::Object(object));
            }
            self.expect(b',')?;
            self.skip_whitespace();
        }
    }

    fn array(&mut self, depth: u8) -> Result<Value, ParseError> {
        let mut elements = Vec::new();
        self.at += 1;
        self.skip_whitespace();
        if self.eat(b']') {
            return Ok(Value::Array(elements));
        }
        loop {
            elements.push(self.value(depth)?);
            self.skip_whitespace();
            if self.eat(b']') {
                return Ok(Value::Array(elements));
            }
            self.expect(b',')?;
            self.skip_whitespace();
        }
    }

    /// Parses the string whose opening quote is at the cursor.
    fn string(&mut self) -> Result<String, ParseError> {
        let mut text = String::new();
        self.at += 1;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let plain = rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0x00..=0x1f)).count();
            // Both ends lie next to an ASCII byte, so the slice falls on character borders.
            text.push_str(&self.text[self.at..self.at + plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.fault(ErrorKind::ControlCharacter)),
                None => return Err(self.fault(ErrorKind::UnexpectedEnd)),
            }
        }
    }

    /// Parses the escape whose backslash is at the cursor; a surrogate pair is two escapes and one character.
    fn escape(&mut self) -> Result<char, ParseError> {
        let start = self.at;
        self.at += 1;
        let plain = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b't') => '\t',
            Some(b'n') => '\n',
            Some(b'f') => '\u{c}',
            Some(b'r') => '\r',
            Some(b'u') => return self.unicode(start),
            Some(_) => return Err(ParseError::new(ErrorKind::BadEscape, start)),
            None => return Err(self.fault(ErrorKind::UnexpectedEnd)),
        };
        self.at += 1;
        Ok(plain)
    }

    /// Parses `uXXXX` at the cursor, and the second half of a pair where the first half needs one.
    fn unicode(&mut self, start: usize) -> Result<char, ParseError> {
        let lone = ParseError::new(ErrorKind::LoneSurrogate, start);
        let first = self.code_unit(start)?;
        if let Some(character) = char::from_u32(u32::from(first)) {
            return Ok(character);
        }
        if !self.text[self.at..].starts_with("\\u") {
            return Err(lone);
        }
        let second_start = self.at;
        self.at += 1;
        let second = self.code_unit(second_start)?;
        match char::decode_utf16([first, second]).next() {
            Some(Ok(character)) => Ok(character),
            _ => Err(lone),
        }
    }

    /// Parses `uXXXX` at the cursor into a UTF-16 code unit.
    fn code_unit(&mut self, start: usize) -> Result<u16, ParseError> {
        let bad = ParseError::new(ErrorKind::BadEscape, start);
        self.at += 1;
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or(bad)?;
        let mut unit = 0u16;
        for digit in digits {
            let nibble = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                b'A'..=b'F' => digit - b'A' + 10,
                _ => return Err(bad),
            };
            unit = unit << 4 | u16::from(nibble);
        }
        self.at += 4;
        Ok(unit)
    }

    fn number(&mut self) -> Result<Value, ParseError> {
        let start = self.at;
        let fault = |kind| ParseError::new(kind, start);
        self.eat(b'-');
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (leading_zero && whole > 1) {
            return Err(fault(ErrorKind::MalformedNumber));
        }
        let mut fraction_syntax = false;
        if self.eat(b'.') {
            fraction_syntax = true;
            if self.digits() == 0 {
                return Err(fault(ErrorKind::MalformedNumber));
            }
        }
        if self.eat(b'e') || self.eat(b'E') {
            fraction_syntax = true;
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            if self.digits() == 0 {
                return Err(fault(ErrorKind::MalformedNumber));
            }
        }
        let text = &self.text[start..self.at];
        if fraction_syntax { self.fraction(text).map_err(fault) } else { integer(text).map_err(fault) }
    }

    fn fraction(&self, text: &str) -> Result<Value, ErrorKind> {
        if !self.limits.fractions {
            return Err(ErrorKind::FractionNotAllowed);
        }
        if text.len() > LONGEST_FRACTION {
            return Err(ErrorKind::NonCanonicalNumber);
        }
        text.parse::<f64>()
            .ok()
            .and_then(Fraction::new)
            .filter(|fraction| fraction.to_text() == text)
            .map(Value::Fraction)
            .ok_or(ErrorKind::NonCanonicalNumber)
    }

    /// Passes over decimal digits and returns how many there were.
    fn digits(&mut self) -> usize {
        let count = self.text.as_bytes()[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, ParseError> {
        for expected in word.bytes() {
            self.expect(expected)?;
        }
        Ok(value)
    }

    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), ParseError> {
        if self.eat(byte) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn fault(&self, kind: ErrorKind) -> ParseError {
        ParseError::new(kind, self.at)
    }

    fn unexpected(&self) -> ParseError {
        self.fault(if self.at < self.text.len() {
            ErrorKind::UnexpectedByte
        } else {
            ErrorKind::UnexpectedEnd
        })
    }
}

/// Reads an integer that the grammar has accepted.
fn integer(text: &str) -> Result<Value, ErrorKind> {
    if text == "-0" {
        return Err(ErrorKind::NonCanonicalNumber);
    }
    match text.parse::<i64>() {
        Ok(integer) if is_safe(integer) => Ok(Value::Integer(integer)),
        _ => Err(ErrorKind::IntegerOutOfRange),
    }
}

#[cfg(test)]
mod tests;
