//! The parts of a mail: Gmail's tree of them, and a whole mail's own (RFC 2045, 2046).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

/// How deep parts are followed.
const DEPTH: usize = 12;
/// How many parts are looked at.
const PARTS: usize = 200;
/// Longest head of a mail, in bytes.
const HEAD_MAX: usize = 256 * 1024;

const LOOSE: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LOOSE);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LOOSE);

/// The bytes of Gmail's base64url, with or without padding.
pub(super) fn base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE.decode(text.trim_end_matches('=')).ok()
}

/// The readable text of a tree of parts in Gmail's JSON: the plain one, else the one made of HTML. A line about each
/// other part goes into `attachments`.
pub(super) fn readable(payload: &Value, attachments: &mut Vec<String>) -> String {
    let mut found = Found { plain: Vec::new(), html: Vec::new(), attachments, parts: 0 };
    found.walk(payload, 0);
    let Found { plain, html, .. } = found;
    if plain.is_empty() { html.join("\n") } else { plain.join("\n") }
}

struct Found<'a> {
    plain: Vec<String>,
    html: Vec<String>,
    attachments: &'a mut Vec<String>,
    parts: usize,
}

impl Found<'_> {
    fn walk(&mut self, part: &Value, depth: usize) {
        self.parts += 1;
        if depth > DEPTH || self.parts > PARTS {
            return;
        }
        let text = |pointer: &str| part.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let kind = text("/mimeType").to_ascii_lowercase();
        let size = part.pointer("/body/size").and_then(Value::as_u64).unwrap_or(0);
        if !text("/filename").is_empty() || part.pointer("/body/attachmentId").is_some() {
            self.attachments.push(described(text("/filename"), &kind, size));
            return;
        }
        let data = base64url(text("/body/data")).map(|bytes| to_text(&bytes));
        match (kind.as_str(), data) {
            ("text/plain", Some(data)) if !data.trim().is_empty() => self.plain.push(data),
            ("text/html", Some(data)) => self.html.push(without_tags(&data)),
            _ => {}
        }
        let children = part.get("parts").and_then(Value::as_array);
        children.into_iter().flatten().for_each(|child| self.walk(child, depth + 1));
    }
}

fn described(name: &str, kind: &str, size: impl std::fmt::Display) -> String {
    super::line(&format!("{} ({kind}, {size} bytes)", if name.is_empty() { "without a name" } else { name }))
}

/// UTF-8 where it is that, else as if each byte were a character of Latin-1.
fn to_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// What HTML says, roughly: tags gone, blocks on lines of their own, the commonest entities decoded.
fn without_tags(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        out.push_str(&rest[..start]);
        let tail = &rest[start..];
        let lower: String = tail.chars().take(10).collect::<String>().to_ascii_lowercase();
        let skipped = ["<style", "<script", "<!--"].iter().position(|tag| lower.starts_with(tag));
        let end = match skipped {
            Some(n) => ["</style>", "</script>", "-->"]
                .get(n)
                .and_then(|end| find(tail, end).map(|at| at + end.len())),
            None => tail.find('>').map(|at| at + 1),
        };
        let block = ["<p", "<br", "<div", "</p", "</div", "<tr", "<li", "<h"]
            .iter()
            .any(|tag| lower.starts_with(tag));
        out.push_str(if block { "\n" } else { "" });
        rest = end.and_then(|end| tail.get(end..)).unwrap_or_default();
    }
    out.push_str(rest);
    let entities =
        [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    for (entity, text) in entities {
        out = out.replace(entity, text);
    }
    let mut lines: Vec<String> = Vec::new();
    for line in out.lines() {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if !line.is_empty() || lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// Where `what` (in lower case) stands, ASCII case ignored.
fn find(text: &str, what: &str) -> Option<usize> {
    text.as_bytes().windows(what.len()).position(|window| window.eq_ignore_ascii_case(what.as_bytes()))
}

/// A whole mail, read.
pub(super) struct Whole {
    pub(super) headers: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) attachments: Vec<String>,
}

/// Reads a whole mail as strictly as it must be read where its headers decide who gets it.
pub(super) fn whole(bytes: &[u8]) -> Option<Whole> {
    let (headers, body) = head(bytes)?;
    for (n, (name, _)) in headers.iter().enumerate() {
        let lower = name.to_ascii_lowercase();
        // Headers by which some servers choose recipients, and which no draft needs.
        if lower.starts_with("resent-") || lower == "apparently-to" || lower == "delivered-to" {
            return None;
        }
        let once = ["from", "sender", "to", "cc", "bcc", "reply-to", "subject", "content-type"]
            .contains(&lower.as_str());
        if once && headers[..n].iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            return None;
        }
    }
    let mut shown = Vec::new();
    let mut attachments = Vec::new();
    let mut parts = 0;
    leaves(&headers, body, 0, &mut parts, &mut shown, &mut attachments)?;
    // One plain text needs no heading; anything else says what each text is, for the alternatives may differ.
    let text = match shown.as_slice() {
        [(kind, text)] if kind == "text/plain" => text.clone(),
        several => {
            several.iter().map(|(kind, text)| format!("[{kind}]\n{text}")).collect::<Vec<_>>().join("\n\n")
        }
    };
    Some(Whole { headers, text, attachments })
}

type Headers = Vec<(String, String)>;

/// The headers, unfolded, and what follows them. `None` for whatever could be read in two ways: a line end that is not
/// CRLF, a NUL, a byte beyond ASCII, white space before the colon, a line of white space, no empty line at the end.
fn head(bytes: &[u8]) -> Option<(Headers, &[u8])> {
    let window = &bytes[..bytes.len().min(HEAD_MAX)];
    let (head, body) = if bytes.starts_with(b"\r\n") {
        (&bytes[..0], &bytes[2..])
    } else {
        let end = window.windows(4).position(|four| four == b"\r\n\r\n")?;
        (&bytes[..end], &bytes[end + 4..])
    };
    let text = std::str::from_utf8(head).ok()?;
    let plain = |c: char| c == '\t' || (' '..='~').contains(&c);
    let mut headers: Headers = Vec::new();
    for line in text.split("\r\n").filter(|line| !(line.is_empty() && head.is_empty())) {
        if !line.chars().all(plain) || line.trim().is_empty() {
            return None;
        }
        if line.starts_with([' ', '\t']) {
            headers.last_mut()?.1.push_str(line);
            continue;
        }
        let (name, value) = line.split_once(':')?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return None;
        }
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Some((headers, body))
}

/// The texts of a part and all below, each with its type; a line about each other one.
fn leaves(
    headers: &Headers,
    body: &[u8],
    depth: usize,
    parts: &mut usize,
    shown: &mut Vec<(String, String)>,
    attachments: &mut Vec<String>,
) -> Option<()> {
    *parts += 1;
    if depth > DEPTH || *parts > PARTS {
        return None;
    }
    let header = |name: &str| {
        headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value.as_str())
    };
    let content_type = header("content-type");
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let kind = if kind.is_empty() { "text/plain".to_owned() } else { kind };
    if kind.starts_with("multipart/") {
        let marker = format!("--{}", parameter(content_type, "boundary")?);
        for part in split(body, &marker) {
            // A part may end with its headers (RFC 2046 section 5.1): the empty line was the boundary's then.
            let bare = [part, b"\r\n\r\n".as_slice()].concat();
            let complete = part.starts_with(b"\r\n") || part.windows(4).any(|four| four == b"\r\n\r\n");
            let (headers, body) = head(if complete { part } else { &bare })?;
            leaves(&headers, body, depth + 1, parts, shown, attachments)?;
        }
        return Some(());
    }
    let content = match header("content-transfer-encoding").trim().to_ascii_lowercase().as_str() {
        "base64" => {
            let packed: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            STANDARD.decode(packed).ok()?
        }
        "quoted-printable" => quoted_printable(body),
        "" | "7bit" | "8bit" | "binary" => body.to_vec(),
        _ => return None,
    };
    let disposition = header("content-disposition");
    let attached = disposition.trim_start().to_ascii_lowercase().starts_with("attachment");
    if kind.starts_with("text/") && !attached {
        shown.push((kind, to_text(&content)));
    } else {
        let name = parameter(disposition, "filename")
            .or_else(|| parameter(content_type, "name"))
            .unwrap_or_default();
        attachments.push(described(&super::words::decode(&name), &kind, content.len()));
    }
    Some(())
}

/// The parts between the lines that begin with the marker (RFC 2046 section 5.1.1).
fn split<'a>(body: &'a [u8], marker: &str) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let (mut start, mut at) = (None, 0);
    while at < body.len() {
        let end = body[at..].iter().position(|byte| *byte == b'\n').map_or(body.len(), |n| at + n + 1);
        let line = body[at..end].trim_ascii_end();
        if let Some(tail) = line.strip_prefix(marker.as_bytes())
            && (tail.is_empty() || tail == b"--")
        {
            if let Some(from) = start {
                let part = &body[from..at];
                parts.push(part.strip_suffix(b"\r\n").unwrap_or(part));
            }
            if tail == b"--" {
                return parts;
            }
            start = Some(end);
        }
        at = end;
    }
    parts.extend(start.map(|from| &body[from..]));
    parts
}

/// A parameter of a structured header (RFC 2045, and the single-piece form of RFC 2231).
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut quoted = false;
    let pieces = value.split(|c| {
        quoted ^= c == '"';
        c == ';' && !quoted
    });
    pieces.skip(1).find_map(|piece| {
        let (found, value) = piece.split_once('=')?;
        let found = found.trim().trim_end_matches('*');
        let value = value.trim().trim_matches('"');
        found.eq_ignore_ascii_case(name).then(|| value.to_owned())
    })
}

fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut at = 0;
    while at < body.len() {
        let rest = &body[at..];
        let digits = rest.get(1..3).and_then(|pair| std::str::from_utf8(pair).ok());
        let octet = digits.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        if rest.starts_with(b"=\r\n") {
            at += 3;
        } else if let (b'=', Some(octet)) = (rest[0], octet) {
            out.push(octet);
            at += 3;
        } else {
            out.push(rest[0]);
            at += 1;
        }
    }
    out
}
