//! One member of a JSON object, read as it comes: bytes in base64url that are too many to be held (an attachment of
//! Gmail's). Everything else of the answer is passed over and never held.
//!
//! Strict where it matters: the member is a text at the top of the object, is there exactly once, and has no escapes in
//! it, so what is decoded is what stands there.

/// How deep a member that is passed over may be nested.
const DEEP: usize = 32;
/// How long a member's name may be, in bytes.
const LONGEST_NAME: usize = 256;
/// How much may be passed over, in bytes.
const PASSED_OVER: usize = 64 * 1024;

/// What came is not an object with that member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not a JSON object with that one text in base64url")]
pub struct BadMember;

/// Reads one object.
#[derive(Debug)]
pub struct MemberReader {
    member: String,
    state: State,
    found: bool,
    passed_over: usize,
    quad: Quad,
}

#[derive(Debug)]
enum State {
    /// Before the object.
    Begin,
    /// Where a name stands; `first` where the object may also end.
    Name {
        first: bool,
    },
    InName(Vec<u8>),
    /// After a name: whether it is the one.
    Colon(bool),
    /// Before a value: whether it is the one.
    Value(bool),
    InMember,
    Over(Over),
    /// After a value.
    After,
    End,
}

/// Inside a value that is passed over.
#[derive(Debug, Default)]
struct Over {
    /// What closes what is open.
    closers: Vec<u8>,
    in_text: bool,
    escaped: bool,
    /// Whether it is a number or a word, which ends where something else begins.
    bare: bool,
}

/// Up to four characters of base64url.
#[derive(Debug, Default)]
struct Quad {
    bits: u32,
    count: u8,
    padding: u8,
}

impl MemberReader {
    /// For the member of that name.
    #[must_use]
    pub fn new(member: &str) -> Self {
        Self {
            member: member.to_owned(),
            state: State::Begin,
            found: false,
            passed_over: 0,
            quad: Quad::default(),
        }
    }

    /// Takes the next bytes of the object and adds what they decode to.
    ///
    /// # Errors
    /// [`BadMember`]; the reader is of no use then.
    pub fn feed(&mut self, bytes: &[u8], decoded: &mut Vec<u8>) -> Result<(), BadMember> {
        decoded.reserve(bytes.len() / 4 * 3 + 3);
        bytes.iter().try_for_each(|byte| self.take(*byte, decoded))
    }

    /// Whether the object came whole, with its member.
    ///
    /// # Errors
    /// [`BadMember`].
    pub fn finish(&self) -> Result<(), BadMember> {
        if matches!(self.state, State::End) && self.found { Ok(()) } else { Err(BadMember) }
    }

    fn take(&mut self, byte: u8, decoded: &mut Vec<u8>) -> Result<(), BadMember> {
        if matches!(self.state, State::InMember) {
            if self.quad.take(byte, decoded)? {
                self.state = State::After;
            }
            return Ok(());
        }
        self.passed_over += 1;
        if self.passed_over > PASSED_OVER {
            return Err(BadMember);
        }
        let space = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        match &mut self.state {
            State::Begin if byte == b'{' => self.state = State::Name { first: true },
            State::Name { .. } if byte == b'"' => self.state = State::InName(Vec::new()),
            State::Name { first: true } if byte == b'}' => self.state = State::End,
            State::InName(name) => match byte {
                b'"' => self.state = State::Colon(name == self.member.as_bytes()),
                // A name with an escape could be the one after all.
                b'\\' | 0..=31 => return Err(BadMember),
                _ if name.len() >= LONGEST_NAME => return Err(BadMember),
                _ => name.push(byte),
            },
            State::Colon(wanted) if byte == b':' => self.state = State::Value(*wanted),
            State::Value(true) if byte == b'"' && !self.found => {
                self.found = true;
                self.state = State::InMember;
            }
            State::Value(false) if !space => match Over::begin(byte) {
                Some(over) => self.state = State::Over(over),
                None => return Err(BadMember),
            },
            State::Over(over) => match over.take(byte)? {
                Passed::On => {}
                Passed::Ended => self.state = State::After,
                Passed::EndedBefore => {
                    self.state = State::After;
                    return self.take(byte, decoded);
                }
            },
            State::After if byte == b',' => self.state = State::Name { first: false },
            State::After if byte == b'}' => self.state = State::End,
            State::Begin
            | State::Name { .. }
            | State::Colon(_)
            | State::Value(_)
            | State::After
            | State::End
                if space => {}
            _ => return Err(BadMember),
        }
        Ok(())
    }
}

enum Passed {
    On,
    /// With this byte.
    Ended,
    /// Before it.
    EndedBefore,
}

impl Over {
    fn begin(byte: u8) -> Option<Self> {
        match byte {
            b'"' => Some(Self { in_text: true, ..Self::default() }),
            b'{' => Some(Self { closers: vec![b'}'], ..Self::default() }),
            b'[' => Some(Self { closers: vec![b']'], ..Self::default() }),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Some(Self { bare: true, ..Self::default() }),
            _ => None,
        }
    }

    fn take(&mut self, byte: u8) -> Result<Passed, BadMember> {
        if self.in_text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                0..=31 => return Err(BadMember),
                _ => {}
            }
            return Ok(if !self.in_text && self.closers.is_empty() { Passed::Ended } else { Passed::On });
        }
        if self.bare {
            return Ok(match byte {
                b'+' | b'-' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E' => Passed::On,
                _ => Passed::EndedBefore,
            });
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' => self.closers.push(b'}'),
            b'[' => self.closers.push(b']'),
            b'}' | b']' if self.closers.pop() != Some(byte) => return Err(BadMember),
            b'}' | b']' if self.closers.is_empty() => return Ok(Passed::Ended),
            _ => {}
        }
        if self.closers.len() > DEEP { Err(BadMember) } else { Ok(Passed::On) }
    }
}

impl Quad {
    /// Takes one character; returns whether it was the text's end.
    fn take(&mut self, byte: u8, decoded: &mut Vec<u8>) -> Result<bool, BadMember> {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            b'=' => {
                self.padding += 1;
                // It fills the last four up, and nothing else.
                let fits = self.count >= 2 && self.count + self.padding <= 4;
                return if fits { Ok(false) } else { Err(BadMember) };
            }
            b'"' => return self.end(decoded).map(|()| true),
            _ => return Err(BadMember),
        };
        if self.padding > 0 {
            return Err(BadMember);
        }
        self.bits = self.bits << 6 | u32::from(value);
        self.count += 1;
        if self.count == 4 {
            decoded.extend_from_slice(&self.bits.to_be_bytes()[1..]);
            *self = Self::default();
        }
        Ok(false)
    }

    fn end(&mut self, decoded: &mut Vec<u8>) -> Result<(), BadMember> {
        if self.padding > 0 && self.count + self.padding != 4 {
            return Err(BadMember);
        }
        let bits = self.bits << (6 * (4 - u32::from(self.count)));
        let [_, first, second, third] = bits.to_be_bytes();
        match self.count {
            0 => {}
            // Bits that no byte holds are zero (RFC 4648 section 3.5): no text has a second spelling.
            2 if second == 0 && third == 0 => decoded.push(first),
            3 if third == 0 => decoded.extend_from_slice(&[first, second]),
            _ => return Err(BadMember),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use crate::codec::base64url;
    use proptest::prelude::*;
    use serde_json::json;

    /// Reads a whole text in pieces of that many bytes.
    fn read(text: &str, piece: usize) -> Result<Vec<u8>, BadMember> {
        let (mut reader, mut decoded) = (MemberReader::new("data"), Vec::new());
        for bytes in text.as_bytes().chunks(piece.max(1)) {
            reader.feed(bytes, &mut decoded)?;
        }
        reader.finish().map(|()| decoded)
    }

    #[test]
    fn the_member_is_read_wherever_it_stands() {
        for text in [
            r#"{"data":"aGVsbG8="}"#,
            r#"{"data":"aGVsbG8"}"#,
            "\r\n {\t\"data\" : \"aGVsbG8=\" } \n",
            r#"{"size":5,"data":"aGVsbG8="}"#,
            r#"{"data":"aGVsbG8=","size":5}"#,
            r#"{"a":null,"b":true,"c":-1.5e+3,"d":"x\"}\\","e":{"data":"AAAA","f":[1,{"}":"]"}]},"data":"aGVsbG8="}"#,
            r#"{"Data":"AAAA","data":"aGVsbG8=","data2":"AAAA"}"#,
            r#"{"e":[],"f":{},"data":"aGVsbG8="}"#,
        ] {
            for piece in [1, 2, 3, 7, 1000] {
                assert_eq!(read(text, piece).as_deref(), Ok(&b"hello"[..]), "{text}");
            }
        }
        assert_eq!(read(r#"{"data":""}"#, 9), Ok(Vec::new()));
    }

    #[test]
    fn anything_else_is_refused() {
        let deep = format!(r#"{{"a":{}{},"data":""}}"#, "[".repeat(40), "]".repeat(40));
        let long = format!(r#"{{"a":"{}","data":""}}"#, "x".repeat(PASSED_OVER));
        let name = format!(r#"{{"{}":1,"data":""}}"#, "x".repeat(LONGEST_NAME + 1));
        for text in [
            "",
            "{}",
            "[]",
            "null",
            r#""data""#,
            r#"{"data":"aGVsbG8="#,
            r#"{"data":"aGVsbG8=""#,
            r#"{"data":"aGVsbG8="}}"#,
            r#"{"data":"aGVsbG8="} x"#,
            r#"{"data":"aGVsbG8=",}"#,
            r#"{"data":"aGVsbG8=" "size":5}"#,
            r#"{"size":5}"#,
            r#"{"a":{"data":"aGVsbG8="}}"#,
            // Twice: nobody can say which is meant.
            r#"{"data":"aGVsbG8=","data":"aGVsbG8="}"#,
            r#"{"data":null}"#,
            r#"{"data":5}"#,
            r#"{"data":["aGVsbG8="]}"#,
            // Escapes, in the member, and in a name that could be the member's.
            r#"{"data":"aGVs\u0062G8="}"#,
            r#"{"data":"aGVsbG8\/"}"#,
            r#"{"d\u0061ta":"aGVsbG8="}"#,
            // Not base64url.
            r#"{"data":"aGVsbG8+"}"#,
            r#"{"data":"aGVsbG8/"}"#,
            r#"{"data":"aGVs bG8="}"#,
            r#"{"data":"a"}"#,
            r#"{"data":"aGVsbG9="}"#,
            r#"{"data":"aGVsbG8=="}"#,
            r#"{"data":"aGVsbA="}"#,
            r#"{"data":"aGVs=bG8"}"#,
            r#"{"data":"="}"#,
            r#"{"data":"aGVs===="}"#,
            r#"{"a":[1},"data":""}"#,
            r#"{"a":,"data":""}"#,
            r#"{"a":x,"data":""}"#,
            &deep,
            &long,
            &name,
        ] {
            for piece in [1, 5, 1_000_000] {
                assert_eq!(read(text, piece), Err(BadMember), "{text}");
            }
        }
    }

    proptest! {
        /// Whatever the borders of the pieces, and whatever stands around it.
        #[test]
        fn pieces_make_no_difference(bytes in prop::collection::vec(any::<u8>(), 0..300), before in "\\PC{0,20}",
            after in "\\PC{0,20}", padded in any::<bool>(), piece in 1usize..50) {
            let data = base64url::encode(&bytes);
            let data = if padded { data.as_str() } else { data.trim_end_matches('=') };
            let (before, after) = (json!(before), json!({ "x": [after] }));
            let text = format!(r#"{{"before":{before},"data":"{data}","after":{after}}}"#);
            prop_assert_eq!(read(&text, piece), Ok(bytes));
        }

        /// What is taken is what a whole reader would take; nothing panics.
        #[test]
        fn nothing_is_read_that_is_not_there(text in r#"(\{|\}|"|data|:|,|\[|\]|A|=|\\| |1|n){0,24}"#, piece in 1usize..5) {
            if let Ok(decoded) = read(&text, piece)
                && let Ok(value) = serde_json::from_str::<serde_json::Value>(&text)
            {
                prop_assert_eq!(base64url::decode(value["data"].as_str().unwrap()), Some(decoded));
            }
        }
    }
}
