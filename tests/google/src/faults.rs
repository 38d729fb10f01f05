//! Misbehaviour on order.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::body::Ending;
use crate::random::hex;
use crate::wire::Reply;

/// How a bearer is put into an answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EchoForm {
    /// As it came.
    Raw,
    /// Standard base64, after `skip` bytes of padding text, so that all three offsets can be had.
    Base64 {
        /// 0, 1 or 2 bytes before the bearer.
        skip: usize,
    },
    /// Every byte percent-encoded.
    Url,
    /// Lower-case hex.
    Hex,
    /// In a JSON string with every character as `\u00xx`.
    Json,
}

/// One way for an upstream to misbehave.
///
/// `Slow`, `Truncate`, `TooLong`, `Gzip`, `SetCookie` and `LoseAnswer` act on the real answer, so the request takes
/// effect. The others answer in its place, and it has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A status with Google's error body, and `Retry-After` in seconds if given.
    Status(u16, Option<u64>),
    /// A redirect.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// The `Location`.
        location: String,
    },
    /// The answer comes late.
    Slow(Duration),
    /// Half the body, then the end of the connection, though `Content-Length` promised all of it.
    Truncate,
    /// More bytes than `Content-Length` says.
    TooLong,
    /// The bearer comes back in the body of a 200.
    EchoAuthorization(EchoForm),
    /// The bearer comes back in a header of a 200 that clients like to pass on.
    EchoInHeader,
    /// The answer is compressed, asked for or not.
    Gzip,
    /// The answer sets a cookie.
    SetCookie,
    /// The connection ends without an answer, and the request had no effect.
    Close,
    /// The request takes effect, then the connection ends without an answer.
    LoseAnswer,
    /// A 200 with this many bytes of JSON and no `Content-Length`.
    HugeBody(usize),
    /// A 200 with 64 headers of 4 KiB each.
    HugeHeaders,
}

impl Fault {
    /// Whether the request still runs.
    pub(crate) fn lets_it_run(&self) -> bool {
        matches!(
            self,
            Self::Slow(_) | Self::Truncate | Self::TooLong | Self::Gzip | Self::SetCookie | Self::LoseAnswer
        )
    }
}

/// A fault, where it applies, and whether it stays.
#[derive(Debug)]
struct Rule {
    prefix: String,
    fault: Fault,
    stays: bool,
}

/// The faults a test has ordered, in order.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Rule>);

impl Faults {
    /// Orders a fault for paths that begin with `prefix`; once, or until cleared.
    pub(crate) fn add(&mut self, prefix: &str, fault: Fault, stays: bool) {
        self.0.push(Rule { prefix: prefix.to_owned(), fault, stays });
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault for this request, if there is one; a one-time fault is used up.
    pub(crate) fn take(&mut self, path: &str) -> Option<Fault> {
        let at = self.0.iter().position(|rule| path.starts_with(&rule.prefix))?;
        let rule = self.0.get(at)?;
        Some(if rule.stays { rule.fault.clone() } else { self.0.remove(at).fault })
    }
}

/// What goes out in the end.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// `None`: the connection ends without an answer.
    pub(crate) reply: Option<Reply>,
    pub(crate) delay: Duration,
    pub(crate) ending: Ending,
}

impl Outcome {
    /// A well-behaved answer.
    pub(crate) fn plain(reply: Reply) -> Self {
        Self { reply: Some(reply), delay: Duration::ZERO, ending: Ending::Whole }
    }
}

/// Applies a fault. `reply` is the real answer if the request ran; `bearer` what the request brought.
pub(crate) fn apply(fault: &Fault, reply: Reply, bearer: &str) -> Outcome {
    let mut out = Outcome::plain(reply);
    match fault {
        Fault::Slow(delay) => out.delay = *delay,
        Fault::Truncate => out.ending = Ending::Cut,
        Fault::TooLong => out.ending = Ending::Surplus,
        Fault::Close | Fault::LoseAnswer => out.reply = None,
        Fault::Gzip => out.reply = out.reply.map(gzip_reply),
        Fault::SetCookie => {
            out.reply =
                out.reply.map(|reply| reply.with("set-cookie", "SID=stand-in; Secure; HttpOnly; Path=/"));
        }
        Fault::Status(status, retry_after) => {
            let reply = crate::google_error::error(*status, "UNAVAILABLE", "backendError", "Backend Error");
            out.reply = Some(match retry_after {
                Some(seconds) => reply.with("retry-after", &seconds.to_string()),
                None => reply,
            });
        }
        Fault::Redirect { status, location } => {
            out.reply = Some(Reply::new(*status, "").with("location", location));
        }
        Fault::EchoAuthorization(form) => {
            out.reply = Some(Reply::new(200, echo(*form, bearer)).with("content-type", "application/json"));
        }
        Fault::EchoInHeader => {
            out.reply = Some(Reply::json(200, &serde_json::json!({})).with("etag", &format!("\"{bearer}\"")));
        }
        Fault::HugeBody(size) => {
            // White space is JSON to the last byte but one; the 0 makes it a document.
            let mut body = vec![b' '; size.saturating_sub(1)];
            body.push(b'0');
            out.reply = Some(Reply::new(200, body).with("content-type", "application/json"));
            out.ending = Ending::Unannounced;
        }
        Fault::HugeHeaders => {
            let reply = Reply::json(200, &serde_json::json!({}));
            let long = "x".repeat(4096);
            out.reply = Some((0..64).fold(reply, |reply, _| reply.with("x-stand-in-filler", &long)));
        }
    }
    out
}

fn echo(form: EchoForm, bearer: &str) -> Bytes {
    let inside = match form {
        EchoForm::Raw => bearer.to_owned(),
        EchoForm::Base64 { skip } => STANDARD.encode(format!("{}{bearer}", "-".repeat(skip.min(2)))),
        EchoForm::Url => bearer.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        EchoForm::Hex => hex(bearer.as_bytes()),
        EchoForm::Json => bearer.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect(),
    };
    Bytes::from(format!("{{\"id\": \"{inside}\"}}"))
}

fn gzip_reply(mut reply: Reply) -> Reply {
    reply.body = gzip(&reply.body);
    reply.with("content-encoding", "gzip")
}

/// A gzip member of stored blocks (RFC 1951 section 3.2.4, RFC 1952): legal, and needs no compressor.
fn gzip(bytes: &[u8]) -> Bytes {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let chunks: Vec<&[u8]> = if bytes.is_empty() { vec![bytes] } else { bytes.chunks(0xffff).collect() };
    for (at, chunk) in chunks.iter().enumerate() {
        let size = u16::try_from(chunk.len()).unwrap_or(u16::MAX);
        out.push(u8::from(at + 1 == chunks.len()));
        out.extend(size.to_le_bytes());
        out.extend((!size).to_le_bytes());
        out.extend(*chunk);
    }
    out.extend(crc32(bytes).to_le_bytes());
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    Bytes::from(out)
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_has_its_check_value() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn faults_are_used_up_in_order_and_by_path() {
        let mut faults = Faults::default();
        faults.add("/gmail", Fault::Close, false);
        faults.add("", Fault::Gzip, true);
        assert_eq!(faults.take("/drive"), Some(Fault::Gzip));
        assert_eq!(faults.take("/gmail/v1"), Some(Fault::Close));
        assert_eq!(faults.take("/gmail/v1"), Some(Fault::Gzip));
        faults.clear();
        assert_eq!(faults.take("/gmail/v1"), None);
    }
}
