//! Reads mails: RFC 5322 headers, RFC 2045/2046 parts, RFC 2047 words. Bounded in depth and parts.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

const MAX_DEPTH: usize = 16;
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Why bytes are no mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MimeError {
    /// A header line without a colon, or with a name that is none.
    Header,
    /// A header that may come once comes twice (RFC 5322 section 3.6).
    Repeated,
    /// Multiparts nested too deep.
    Depth,
}

/// One part of a mail; the mail itself is the outermost.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// `""` for the mail, then `0`, `1`, `1.0`, as Gmail numbers them.
    pub(crate) id: String,
    /// Names as written; values unfolded, encoded words decoded.
    pub(crate) headers: Vec<(String, String)>,
    /// In lower case, `text/plain` when absent.
    pub(crate) mime_type: String,
    /// Empty when the part has none.
    pub(crate) filename: String,
    /// The content with its transfer encoding undone, text as UTF-8; empty for a multipart.
    pub(crate) content: Vec<u8>,
    pub(crate) parts: Vec<Part>,
}

impl Part {
    /// Reads a mail that came from elsewhere: nobody kept its sender from saying a thing twice.
    pub(crate) fn arrived(raw: &[u8]) -> Result<Self, MimeError> {
        parse_part(raw, String::new(), 0)
    }

    /// Reads a whole mail.
    pub(crate) fn parse(raw: &[u8]) -> Result<Self, MimeError> {
        let mail = parse_part(raw, String::new(), 0)?;
        for once in ["from", "to", "cc", "bcc", "subject", "date", "message-id", "reply-to", "content-type"] {
            if mail.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(once)).count() > 1 {
                return Err(MimeError::Repeated);
            }
        }
        Ok(mail)
    }

    /// The first header of that name, `""` if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    /// This part and all below, outermost first.
    pub(crate) fn walk(&self) -> Vec<&Part> {
        let mut all = vec![self];
        all.extend(self.parts.iter().flat_map(Part::walk));
        all
    }

    /// Whether Gmail would give this part as an attachment.
    pub(crate) fn is_attachment(&self) -> bool {
        !self.filename.is_empty()
    }

    /// The readable text: the plain parts, else the HTML ones with their tags removed.
    pub(crate) fn text(&self) -> String {
        let of = |kind: &str| {
            self.walk()
                .into_iter()
                .filter(|part| part.mime_type == kind && !part.is_attachment())
                .map(|part| String::from_utf8_lossy(&part.content).into_owned())
                .collect::<Vec<_>>()
                .join("\n")
        };
        let plain = of("text/plain");
        if plain.is_empty() { strip_tags(&of("text/html")) } else { plain }
    }
}

/// One part of a mail as the stand-in reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadPart {
    /// Names as written; values unfolded and decoded.
    pub headers: Vec<(String, String)>,
    /// In lower case.
    pub mime_type: String,
    /// Empty when the part has none.
    pub filename: String,
    /// Decoded; empty for a multipart.
    pub content: Vec<u8>,
}

/// A mail and all its parts, outermost first; `None` where the bytes are no mail.
#[must_use]
pub fn read_mail(raw: &[u8]) -> Option<Vec<ReadPart>> {
    let mail = Part::parse(raw).ok()?;
    let read = |part: &Part| ReadPart {
        headers: part.headers.clone(),
        mime_type: part.mime_type.clone(),
        filename: part.filename.clone(),
        content: part.content.clone(),
    };
    Some(mail.walk().into_iter().map(read).collect())
}

/// The addresses in a header such as `To`, without display names.
pub(crate) fn addresses(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut quoted = false;
    let mut piece = String::new();
    for c in value.chars().chain([',']) {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                let text = piece.rsplit_once('<').map_or(piece.as_str(), |(_, rest)| rest);
                let address = text.trim().trim_end_matches('>').trim();
                if address.contains('@') {
                    found.push(address.to_owned());
                }
                piece.clear();
                continue;
            }
            _ => {}
        }
        piece.push(c);
    }
    found
}

fn parse_part(raw: &[u8], id: String, depth: usize) -> Result<Part, MimeError> {
    if depth > MAX_DEPTH {
        return Err(MimeError::Depth);
    }
    let (headers, body) = split_headers(raw)?;
    let find = |name: &str| {
        headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.as_str())
    };
    let (kind, kind_params) = with_params(find("content-type"));
    let (_, disposition) = with_params(find("content-disposition"));
    let mime_type = if kind.contains('/') { kind } else { "text/plain".to_owned() };
    let filename =
        extended(&disposition, "filename").or_else(|| extended(&kind_params, "name")).unwrap_or_default();
    let boundary = param(&kind_params, "boundary").filter(|_| mime_type.starts_with("multipart/"));
    let mut part =
        Part { id, mime_type, filename, headers: Vec::new(), content: Vec::new(), parts: Vec::new() };
    if let Some(boundary) = boundary {
        for (at, piece) in split_multipart(body, &boundary).into_iter().enumerate() {
            let id = if part.id.is_empty() { at.to_string() } else { format!("{}.{at}", part.id) };
            part.parts.push(parse_part(piece, id, depth + 1)?);
        }
    } else {
        let encoding = find("content-transfer-encoding").trim().to_lowercase();
        part.content = match encoding.as_str() {
            "base64" => {
                let packed: Vec<u8> =
                    body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
                BASE64.decode(packed).unwrap_or_default()
            }
            "quoted-printable" => quoted_printable(body, false),
            _ => body.to_vec(),
        };
        if part.mime_type.starts_with("text/") {
            part.content = to_utf8(&part.content, &param(&kind_params, "charset").unwrap_or_default());
        }
    }
    part.headers = headers;
    Ok(part)
}

/// A header section's names and values, in order.
type Headers = Vec<(String, String)>;

fn split_headers(raw: &[u8]) -> Result<(Headers, &[u8]), MimeError> {
    let mut headers: Headers = Vec::new();
    let mut rest = raw;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            let (_, value) = headers.last_mut().ok_or(MimeError::Header)?;
            value.push_str(line);
            continue;
        }
        let (name, value) = line.split_once(':').ok_or(MimeError::Header)?;
        // A bare CR inside a line is how header injection looks after a careless codec.
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) || value.contains('\r') {
            return Err(MimeError::Header);
        }
        headers.push((name.to_owned(), value.trim_start().to_owned()));
    }
    for (_, value) in &mut headers {
        *value = decode_words(value.trim_end());
    }
    Ok((headers, rest))
}

fn with_params(value: &str) -> (String, Vec<(String, String)>) {
    let mut pieces = Vec::new();
    let mut quoted = false;
    let mut piece = String::new();
    for c in value.chars() {
        match c {
            '"' => quoted = !quoted,
            ';' if !quoted => pieces.push(std::mem::take(&mut piece)),
            _ => piece.push(c),
        }
    }
    pieces.push(piece);
    let mut pieces = pieces.into_iter();
    let kind = pieces.next().unwrap_or_default().trim().to_lowercase();
    let params = pieces
        .filter_map(|piece| {
            piece.split_once('=').map(|(key, value)| (key.trim().to_lowercase(), value.trim().to_owned()))
        })
        .collect();
    (kind, params)
}

fn param(params: &[(String, String)], name: &str) -> Option<String> {
    params.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}

/// A parameter that may be in pieces and percent-encoded (RFC 2231): `name`, `name*`, or `name*0*`, `name*1`, ….
fn extended(params: &[(String, String)], name: &str) -> Option<String> {
    if let Some(value) = param(params, &format!("{name}*")) {
        return Some(String::from_utf8_lossy(&percent(without_charset(&value))).into_owned());
    }
    let mut bytes = Vec::new();
    for n in 0.. {
        if let Some(piece) = param(params, &format!("{name}*{n}*")) {
            bytes.extend(percent(if n == 0 { without_charset(&piece) } else { &piece }));
        } else if let Some(piece) = param(params, &format!("{name}*{n}")) {
            bytes.extend(piece.into_bytes());
        } else {
            break;
        }
    }
    if bytes.is_empty() { param(params, name) } else { Some(String::from_utf8_lossy(&bytes).into_owned()) }
}

/// What follows `charset'language'`.
fn without_charset(value: &str) -> &str {
    value.splitn(3, '\'').nth(2).unwrap_or(value)
}

fn percent(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(octet) if *first == b'%' => {
                out.push(octet);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

/// The parts between `--boundary` lines (RFC 2046 section 5.1.1), also used for `multipart/related` uploads.
pub(crate) fn split_multipart<'a>(body: &'a [u8], boundary: &str) -> Vec<&'a [u8]> {
    let marker = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut start = None;
    let mut at = 0;
    while at < body.len() {
        let end = body.iter().skip(at).position(|byte| *byte == b'\n').map_or(body.len(), |n| at + n + 1);
        let line = body.get(at..end).unwrap_or_default().trim_ascii_end();
        let closing = line.strip_prefix(marker.as_bytes()).filter(|tail| tail.is_empty() || *tail == b"--");
        if let Some(tail) = closing {
            if let Some(from) = start {
                let part = body.get(from..at).unwrap_or_default();
                let part = part.strip_suffix(b"\n").unwrap_or(part);
                parts.push(part.strip_suffix(b"\r").unwrap_or(part));
            }
            start = (tail != b"--").then_some(end);
        }
        at = end;
    }
    parts
}

/// Undoes quoted-printable; with `underscore`, the Q encoding of RFC 2047.
fn quoted_printable(body: &[u8], underscore: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        at += 1;
        if byte == b'_' && underscore {
            out.push(b' ');
        } else if byte != b'=' {
            out.push(byte);
        } else if body.get(at..).is_some_and(|rest| rest.starts_with(b"\r\n")) {
            at += 2;
        } else if body.get(at) == Some(&b'\n') {
            at += 1;
        } else {
            let digits = body.get(at..at + 2).and_then(|pair| std::str::from_utf8(pair).ok());
            match digits.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
                Some(value) => {
                    out.push(value);
                    at += 2;
                }
                None => out.push(b'='),
            }
        }
    }
    out
}

fn to_utf8(bytes: &[u8], charset: &str) -> Vec<u8> {
    match charset.to_lowercase().as_str() {
        "iso-8859-1" | "latin1" | "windows-1252" => {
            bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes()
        }
        _ => bytes.to_vec(),
    }
}

/// Decodes `=?charset?B|Q?…?=`; white space between two encoded words goes away.
fn decode_words(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    let mut after_word = false;
    while let Some(start) = rest.find("=?") {
        let (before, tail) = rest.split_at(start);
        let Some((word, after)) = encoded_word(tail) else {
            out.push_str(before);
            out.push_str("=?");
            rest = tail.get(2..).unwrap_or("");
            after_word = false;
            continue;
        };
        if !(after_word && before.trim().is_empty()) {
            out.push_str(before);
        }
        out.push_str(&word);
        rest = after;
        after_word = true;
    }
    out.push_str(rest);
    out
}

fn encoded_word(text: &str) -> Option<(String, &str)> {
    let (charset, rest) = text.strip_prefix("=?")?.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (data, after) = rest.split_once("?=")?;
    let bytes = match encoding {
        "B" | "b" => BASE64.decode(data).ok()?,
        "Q" | "q" => quoted_printable(data.as_bytes(), true),
        _ => return None,
    };
    Some((String::from_utf8_lossy(&to_utf8(&bytes, charset)).into_owned(), after))
}

fn strip_tags(html: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                out.push(' ');
            }
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn a_nested_mail_becomes_a_tree() {
        let raw = b"From: a@b\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?B?IQ==?=\r\nContent-Type: \
            multipart/mixed; boundary=\"x;y\"\r\n\r\n--x;y\r\nContent-Type: multipart/alternative; \
            boundary=in\r\n\r\n--in\r\n\r\nhello=\r\n--in\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: \
            quoted-printable\r\n\r\n<p>h=C3=A9=\r\nllo</p>\r\n--in--\r\n--x;y\r\nContent-Type: text/csv; \
            name=a.csv\r\nContent-Transfer-Encoding: base64\r\n\r\nYSxi\r\n\r\n--x;y--\r\n";
        let mail = Part::parse(raw).unwrap();
        assert_eq!(mail.header("subject"), "Gr\u{fc}\u{df}e!");
        let ids: Vec<_> = mail.walk().iter().map(|part| part.id.clone()).collect();
        assert_eq!(ids, ["", "0", "0.0", "0.1", "1"]);
        assert_eq!(mail.parts[0].parts[1].content, "<p>h\u{e9}llo</p>".as_bytes());
        assert_eq!(
            (mail.parts[1].filename.as_str(), mail.parts[1].content.as_slice()),
            ("a.csv", &b"a,b"[..])
        );
        assert_eq!(mail.text(), "hello=");
    }

    #[test]
    fn broken_headers_are_refused() {
        let check = |raw: &str, expected| assert_eq!(Part::parse(raw.as_bytes()).unwrap_err(), expected);
        check("no colon here\r\n\r\n", MimeError::Header);
        check("To: a@b\rBcc: c@d\r\n\r\n", MimeError::Header);
        check("To: a@b\r\nTo: c@d\r\n\r\n", MimeError::Repeated);
    }

    #[test]
    fn addresses_lose_their_names() {
        assert_eq!(addresses("\"Doe, Jo\" <jo@x.example>, b@y.example"), ["jo@x.example", "b@y.example"]);
        assert!(addresses("undisclosed").is_empty());
    }
}
