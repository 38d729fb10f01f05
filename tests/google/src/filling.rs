//! The bytes of a resumable upload, as Google documents it: sent by PUT, asked about by a PUT without bytes. What came of one
//! that was cut is kept in multiples of 256 KiB.

use crate::google_error as refuse;
use crate::wire::{Call, Reply};

/// What is kept of an upload that was cut is a multiple of this.
const KEPT: usize = 256 * 1024;

/// What has come of an upload.
#[derive(Debug)]
pub(crate) struct Filling {
    /// How many bytes were announced, if any were.
    announced: Option<usize>,
    came: Vec<u8>,
    largest: usize,
}

/// What one PUT brings.
#[derive(Debug)]
pub(crate) struct Brings {
    /// How long the whole is, where the request says so.
    total: Option<usize>,
    /// How many bytes this request brings, where it says so.
    length: Option<usize>,
}

impl Filling {
    /// Of a session that is begun by this request; `largest` is how many bytes it takes at most.
    pub(crate) fn new(call: &Call, largest: usize) -> Result<Self, Reply> {
        let announced = match call.header("x-upload-content-length").map(str::parse::<usize>) {
            None => None,
            Some(Ok(length)) if length <= largest => Some(length),
            Some(_) => return Err(refuse::bad_request("Invalid X-Upload-Content-Length.")),
        };
        Ok(Self { announced, came: Vec::new(), largest })
    }

    fn kept(&self) -> usize {
        self.came.len() / KEPT * KEPT
    }

    /// 308: go on from there.
    fn incomplete(&self) -> Reply {
        match self.kept() {
            0 => Reply::new(308, ""),
            kept => Reply::new(308, "").with("range", &format!("bytes=0-{}", kept - 1)),
        }
    }

    /// Judges the head of a PUT. The error is the answer to one that brings nothing.
    pub(crate) fn put(&mut self, call: &Call) -> Result<Brings, Reply> {
        let wrong = || refuse::bad_request("Failed to parse Content-Range header.");
        let length = call.header("content-length").and_then(|length| length.parse().ok());
        let Some(range) = call.header("content-range") else {
            self.came.clear();
            return Ok(Brings { total: length, length });
        };
        let (part, total) =
            range.strip_prefix("bytes ").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
        let total: Option<usize> = match total {
            "*" => None,
            total => Some(total.parse().map_err(|_| wrong())?),
        };
        if part == "*" {
            return Err(self.incomplete());
        }
        let (first, last) = part.split_once('-').ok_or_else(wrong)?;
        let (first, last): (usize, usize) =
            (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
        if last < first || total.is_some_and(|total| last >= total) || length != Some(last - first + 1) {
            return Err(wrong());
        }
        let kept = self.kept();
        self.came.truncate(kept);
        if first != kept {
            return Err(self.incomplete());
        }
        Ok(Brings { total, length })
    }

    /// Takes bytes as they come.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        if self.came.len() + bytes.len() <= self.largest {
            self.came.extend_from_slice(bytes);
        }
    }

    /// All of it, once the request that brought the last has ended.
    pub(crate) fn finish(&mut self, brings: &Brings) -> Result<Vec<u8>, Reply> {
        let whole = brings.total.or(self.announced).filter(|_| brings.length.is_some());
        let whole = whole.unwrap_or(self.came.len());
        if self.announced.is_some_and(|announced| announced != whole) || self.came.len() > whole {
            return Err(refuse::bad_request("Invalid upload: the length is not the one that was announced."));
        }
        if self.came.len() < whole {
            return Err(self.incomplete());
        }
        Ok(std::mem::take(&mut self.came))
    }
}
