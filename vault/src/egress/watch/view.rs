//! One way of reading a stream: with its escapes undone, chunk by chunk.

use zeroize::Zeroizing;

/// What a view undoes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Undo {
    /// Nothing: the text as it came.
    Nothing,
    /// Upper case (ASCII).
    Case,
    /// `%2f` (RFC 3986, section 2.1).
    Percent,
    /// `%2f`, and `+` for a space (forms).
    PercentAndPlus,
    /// `\/`, `\"`, `\u002f` (RFC 8259, section 7).
    Json,
}

/// A stream with something undone: a tail of what was shown before, and the newest bytes.
pub(super) struct View {
    undo: Undo,
    /// What is shown: the kept tail, then what the last chunk added.
    text: Zeroizing<Vec<u8>>,
    /// How many of the last bytes shown are the text as it came.
    same: usize,
    state: State,
    /// The first half of a surrogate pair that waits for its second.
    high: Option<u16>,
}

/// How far into an escape the stream is.
#[derive(Clone, Copy)]
enum State {
    Plain,
    /// After `%`.
    Percent,
    /// After `%` and one digit.
    PercentDigit(u8),
    /// After `\`.
    Backslash,
    /// After `\u` and that many digits of that value.
    Unicode(u8, u16),
}

impl View {
    /// At the beginning of a stream.
    pub(super) fn new(undo: Undo) -> Self {
        Self { undo, text: Zeroizing::new(Vec::new()), same: usize::MAX, state: State::Plain, high: None }
    }

    /// Takes the next bytes. Returns whether what is shown needs searching: `false` if it is, byte for byte, what the
    /// stream itself shows.
    pub(super) fn take(&mut self, chunk: &[u8]) -> bool {
        // A new buffer, because a vector that grows leaves its old one behind unwiped.
        let mut next = Zeroizing::new(Vec::with_capacity(self.text.len() + chunk.len() + 8));
        next.extend_from_slice(&self.text);
        let escapes = self.undo == Undo::Case || self.escape(chunk).is_some();
        if escapes || !matches!(self.state, State::Plain) || self.high.is_some() {
            self.same = 0;
            self.undo(chunk, &mut next);
        } else {
            self.same = self.same.saturating_add(chunk.len());
            next.extend_from_slice(chunk);
        }
        self.text = next;
        self.undo == Undo::Nothing || self.same < self.text.len()
    }

    /// Undoes what there is to undo. What lies between two escapes is taken at once: a stream may be long.
    fn undo(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        if self.undo == Undo::Case {
            let from = out.len();
            out.extend_from_slice(chunk);
            out[from..].make_ascii_lowercase();
            return;
        }
        let mut rest = chunk;
        while let Some((byte, more)) = rest.split_first() {
            let plain = match self.state {
                State::Plain => self.escape(rest).unwrap_or(rest.len()),
                _ => 0,
            };
            if plain > 0 {
                self.high = None;
                out.extend_from_slice(&rest[..plain]);
                rest = &rest[plain..];
            } else {
                self.step(*byte, out);
                rest = more;
            }
        }
    }

    /// Where the first byte is that may stand for another one.
    fn escape(&self, text: &[u8]) -> Option<usize> {
        match self.undo {
            Undo::Nothing | Undo::Case => None,
            Undo::Percent => memchr::memchr(b'%', text),
            Undo::PercentAndPlus => memchr::memchr2(b'%', b'+', text),
            Undo::Json => memchr::memchr(b'\\', text),
        }
    }

    /// What is shown now.
    pub(super) fn shown(&self) -> &[u8] {
        &self.text
    }

    /// Forgets all but the last `keep` bytes.
    pub(super) fn keep(&mut self, keep: usize) {
        let drop = self.text.len().saturating_sub(keep);
        self.text.drain(..drop);
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        match self.state {
            State::Plain => self.plain(byte, out),
            State::Percent if byte.is_ascii_hexdigit() => self.state = State::PercentDigit(byte),
            State::Percent => {
                out.push(b'%');
                self.again(byte, out);
            }
            State::PercentDigit(first) => match (digit(first), digit(byte)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    self.state = State::Plain;
                }
                _ => {
                    out.extend([b'%', first]);
                    self.again(byte, out);
                }
            },
            State::Backslash => {
                self.state = State::Plain;
                match byte {
                    b'u' => self.state = State::Unicode(0, 0),
                    b'n' => out.push(b'\n'),
                    b't' => out.push(b'\t'),
                    b'r' => out.push(b'\r'),
                    b'b' => out.push(8),
                    b'f' => out.push(12),
                    b'"' | b'\\' | b'/' => out.push(byte),
                    _ => out.extend([b'\\', byte]),
                }
            }
            State::Unicode(count, value) => match digit(byte) {
                Some(low) if count == 3 => {
                    self.state = State::Plain;
                    self.unit(value << 4 | u16::from(low), out);
                }
                Some(low) => self.state = State::Unicode(count + 1, value << 4 | u16::from(low)),
                // Not JSON; the other views show it as it is.
                None => self.again(byte, out),
            },
        }
    }

    fn again(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.state = State::Plain;
        self.plain(byte, out);
    }

    fn plain(&mut self, byte: u8, out: &mut Vec<u8>) {
        if byte != b'\\' {
            self.high = None;
        }
        match (self.undo, byte) {
            (Undo::Percent | Undo::PercentAndPlus, b'%') => self.state = State::Percent,
            (Undo::PercentAndPlus, b'+') => out.push(b' '),
            (Undo::Json, b'\\') => self.state = State::Backslash,
            _ => out.push(byte),
        }
    }

    /// One UTF-16 code unit of a `\u` escape.
    fn unit(&mut self, unit: u16, out: &mut Vec<u8>) {
        let units = self.high.take().into_iter().chain([unit]);
        if (0xd800..0xdc00).contains(&unit) {
            self.high = Some(unit);
            return;
        }
        for char in char::decode_utf16(units) {
            let char = char.unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
