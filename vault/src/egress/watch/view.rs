//! One way of reading a stream: with its escapes undone, chunk by chunk.

use std::ops::Range;

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
    /// Where in it something was undone. Whatever is shown elsewhere, the stream itself shows too.
    touched: Vec<Range<usize>>,
    /// Touched places that are no further apart than this are one.
    reach: usize,
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
    /// At the beginning of a stream in which nothing longer than `reach + 1` bytes is looked for.
    pub(super) fn new(undo: Undo, reach: usize) -> Self {
        let text = Zeroizing::new(Vec::new());
        Self { undo, text, touched: Vec::new(), reach, state: State::Plain, high: None }
    }

    /// Takes the next bytes.
    pub(super) fn take(&mut self, chunk: &[u8]) {
        // A new buffer, because a vector that grows leaves its old one behind unwiped.
        let mut next = Zeroizing::new(Vec::with_capacity(self.text.len() + chunk.len() + 8));
        next.extend_from_slice(&self.text);
        let escapes = self.undo == Undo::Case || self.escape(chunk).is_some();
        if escapes || !matches!(self.state, State::Plain) || self.high.is_some() {
            self.undo(chunk, &mut next);
        } else {
            next.extend_from_slice(chunk);
        }
        self.text = next;
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

    /// What is shown now around each place where something was undone: all that the stream itself does not show.
    pub(super) fn shown_anew(&self) -> impl Iterator<Item = &[u8]> {
        let end = self.text.len();
        self.touched.iter().map(move |at| {
            let from = at.start.saturating_sub(self.reach).min(end);
            &self.text[from..at.end.saturating_add(self.reach).min(end)]
        })
    }

    /// Forgets all but the last bytes, as far as what is looked for could still reach into what comes.
    pub(super) fn forget(&mut self) {
        let drop = self.text.len().saturating_sub(self.reach);
        self.text.drain(..drop);
        self.touched.retain_mut(|at| {
            *at = at.start.saturating_sub(drop)..at.end.saturating_sub(drop);
            at.end > 0
        });
    }

    /// Something was undone, and what is shown next is not what stands there.
    fn touch(&mut self, at: usize) {
        match self.touched.last_mut() {
            Some(last) if at <= last.end.saturating_add(self.reach) => last.end = last.end.max(at + 1),
            _ => self.touched.push(at..at + 1),
        }
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
                    self.touch(out.len());
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
                self.touch(out.len());
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
                    self.touch(out.len());
                    self.unit(value << 4 | u16::from(low), out);
                }
                Some(low) => self.state = State::Unicode(count + 1, value << 4 | u16::from(low)),
                // Not JSON; the other views show it as it is.
                None => {
                    self.touch(out.len());
                    self.again(byte, out);
                }
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
            (Undo::PercentAndPlus, b'+') => {
                self.touch(out.len());
                out.push(b' ');
            }
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
