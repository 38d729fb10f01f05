//! A mail around a file that comes later: all of the mail that is not the file, and the file's lines as its bytes come.
//!
//! What stands around the file is made of the arguments alone, the file's size and SHA-256 among them. So whoever brings
//! the bytes chooses nothing of it: neither a header, nor the text, nor the boundary, which stands in no base64 anyway.

use super::{
    Mail, MailError, base64_lines, border, closing, file_head, head, opening, parts, text_part, with_parts,
};
use crate::codec::attachment::MediaType;
use crate::upload::Upload;

/// How many bytes of a file one line holds: 76 characters of base64 (RFC 2045 section 6.8).
const LINE: u64 = 57;

/// All of a mail but the content of its last attachment. Only [`Around::new`] makes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Around {
    before: Vec<u8>,
    after: Vec<u8>,
    size: u64,
}

impl std::fmt::Debug for Around {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Around({} bytes)", self.length())
    }
}

impl Around {
    /// The mail as [`super::render`] writes it, with the file as its last attachment.
    ///
    /// # Errors
    /// As [`super::render`].
    pub fn new(mail: &Mail<'_>, file: &Upload, kind: &MediaType) -> Result<Self, MailError> {
        let head = head(mail)?;
        let mut parts = parts(text_part(mail), mail);
        let file_head = file_head(kind.as_str(), file.name());
        let mut bound = file_head.clone().into_bytes();
        bound.extend(file.size().to_be_bytes());
        bound.extend(file.sha256());
        parts.push(bound);
        let boundary = border(&parts)?;
        parts.pop();
        let mut before = with_parts(head, &boundary, &parts);
        before.extend(opening(&boundary).into_bytes());
        before.extend(file_head.into_bytes());
        // Without content, the empty line after the headers would be taken for the boundary's.
        let mut after = if file.size() == 0 { b"\r\n".to_vec() } else { Vec::new() };
        after.extend(closing(&boundary).into_bytes());
        Ok(Self { before, after, size: file.size() })
    }

    /// What stands before the file's first line.
    #[must_use]
    pub fn before(&self) -> &[u8] {
        &self.before
    }

    /// What stands after its last. Without it the mail is not whole.
    #[must_use]
    pub fn after(&self) -> &[u8] {
        &self.after
    }

    /// How many bytes the whole mail has, the file's lines included.
    #[must_use]
    pub fn length(&self) -> u64 {
        let lines = self.size.div_ceil(3) * 4 + self.size.div_ceil(LINE) * 2;
        (self.before.len() + self.after.len()) as u64 + lines
    }
}

/// A file's bytes as lines of base64, each ended by CRLF, as they come. It holds less than a line of them.
#[derive(Default)]
pub struct Lines {
    held: Vec<u8>,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lines({} bytes held)", self.held.len())
    }
}

impl Lines {
    /// Takes more bytes; returns the lines that are full.
    #[must_use]
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let line = usize::try_from(LINE).unwrap_or(usize::MAX);
        self.held.extend_from_slice(bytes);
        let rest = self.held.split_off(self.held.len() / line * line);
        written(&std::mem::replace(&mut self.held, rest))
    }

    /// No more bytes come: the last line, if there is a part of one.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        written(&self.held)
    }
}

fn written(bytes: &[u8]) -> Vec<u8> {
    let mut out = String::with_capacity(bytes.len() / 57 * 78 + 78);
    base64_lines(&mut out, bytes);
    out.into_bytes()
}

#[cfg(test)]
mod tests;
