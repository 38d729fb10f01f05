//! Lines of a stream that nobody trusts: each is bounded, and what is beyond the bound is read away and counted.

use tokio::io::{AsyncRead, AsyncReadExt};

/// One line, without its line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its bytes, at most as many as the reader keeps.
    pub bytes: Vec<u8>,
    /// How many more bytes it had, which were read and dropped.
    pub cut: u64,
}

/// Reads lines of at most a given length, in memory of that length.
///
/// Whoever does not ask for the next line makes the writer wait, so an endless writer costs nothing but its own time.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    longest: usize,
    buffer: Vec<u8>,
    /// How much of the buffer was used.
    at: usize,
    line: Line,
    started: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of `reader`, of which at most `longest` bytes each are kept.
    pub fn new(reader: R, longest: usize) -> Self {
        Self {
            reader,
            longest,
            buffer: Vec::new(),
            at: 0,
            line: Line { bytes: Vec::new(), cut: 0 },
            started: false,
        }
    }

    /// The next line; `None` at the end. A last line without a line feed counts. Safe to cancel.
    ///
    /// # Errors
    /// The reader's.
    pub async fn next(&mut self) -> std::io::Result<Option<Line>> {
        loop {
            if self.at == self.buffer.len() {
                self.at = 0;
                self.buffer.clear();
                self.buffer.reserve(4096);
                if self.reader.read_buf(&mut self.buffer).await? == 0 {
                    return Ok(self.started.then(|| self.take()));
                }
            }
            let fresh = self.buffer.get(self.at..).unwrap_or_default();
            let end = fresh.iter().position(|byte| *byte == b'\n');
            let part = fresh.get(..end.unwrap_or(fresh.len())).unwrap_or_default();
            let kept = part.len().min(self.longest.saturating_sub(self.line.bytes.len()));
            self.line.bytes.extend_from_slice(part.get(..kept).unwrap_or_default());
            self.line.cut += (part.len() - kept) as u64;
            self.at += part.len() + usize::from(end.is_some());
            self.started = true;
            if end.is_some() {
                return Ok(Some(self.take()));
            }
        }
    }

    fn take(&mut self) -> Line {
        self.started = false;
        std::mem::replace(&mut self.line, Line { bytes: Vec::new(), cut: 0 })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

    use super::*;

    async fn all(text: &[u8], longest: usize) -> Vec<(String, u64)> {
        let mut lines = Lines::new(text, longest);
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            found.push((String::from_utf8(line.bytes).unwrap(), line.cut));
        }
        found
    }

    #[tokio::test]
    async fn lines_are_bounded_and_what_was_cut_is_counted() {
        assert_eq!(all(b"", 4).await, []);
        assert_eq!(all(b"one\n\ntwo", 4).await, [("one".into(), 0), (String::new(), 0), ("two".into(), 0)]);
        assert_eq!(all(b"four\nfives\n", 4).await, [("four".into(), 0), ("five".into(), 1)]);
        assert_eq!(all(b"\n", 0).await, [(String::new(), 0)]);
    }

    #[tokio::test]
    async fn an_endless_line_takes_no_more_memory_than_its_bound() {
        let mut lines = Lines::new(tokio::io::repeat(b'x').take(64 << 20), 100);
        let line = lines.next().await.unwrap().unwrap();
        assert_eq!((line.bytes.len(), line.cut), (100, (64 << 20) - 100));
        assert!(lines.buffer.capacity() < 64 << 10 && line.bytes.capacity() < 64 << 10);
    }
}
