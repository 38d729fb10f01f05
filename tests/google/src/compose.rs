//! Writes the mails that a seed consists of.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clock::rfc5322_date;

/// A mail in the making; [`Letter::build`] gives its RFC 5322 bytes.
#[derive(Debug, Clone)]
pub struct Letter {
    headers: Vec<(String, String)>,
    text: String,
    html: Option<String>,
    attachments: Vec<(String, String, Vec<u8>)>,
}

impl Letter {
    /// A mail with its three inevitable headers; values are written as they are, so they must be one line of ASCII.
    #[must_use]
    pub fn new(from: &str, to: &str, subject: &str) -> Self {
        let headers = [("From", from), ("To", to), ("Subject", subject)];
        Self {
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            text: String::new(),
            html: None,
            attachments: Vec::new(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Puts on top what Gmail writes when it takes a mail in for `owner`: `verdict` is what it found, such as
    /// `dmarc=pass (p=REJECT) header.from=example.com` (RFC 8601).
    #[must_use]
    pub fn received(mut self, owner: &str, verdict: &str) -> Self {
        let results = format!("mx.google.com;\r\n       {verdict}");
        let top = [("Delivered-To", owner), ("Authentication-Results", results.as_str())];
        self.headers.splice(0..0, top.map(|(name, value)| (name.to_owned(), value.to_owned())));
        self
    }

    /// Sets the plain text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        text.clone_into(&mut self.text);
        self
    }

    /// Adds an HTML alternative.
    #[must_use]
    pub fn html(mut self, html: &str) -> Self {
        self.html = Some(html.to_owned());
        self
    }

    /// Adds an attachment.
    #[must_use]
    pub fn attach(mut self, name: &str, mime_type: &str, content: &[u8]) -> Self {
        self.attachments.push((name.to_owned(), mime_type.to_owned(), content.to_vec()));
        self
    }

    /// The mail's bytes with CRLF line ends; `at_ms` (milliseconds since 1970) becomes its `Date`.
    #[must_use]
    pub fn build(&self, at_ms: i64) -> Vec<u8> {
        let mut out = String::new();
        for (name, value) in &self.headers {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        out.push_str(&format!("Date: {}\r\n", rfc5322_date(at_ms)));
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("message-id")) {
            out.push_str(&format!("Message-ID: <{at_ms}.{}@mail.example.com>\r\n", self.text.len()));
        }
        out.push_str("MIME-Version: 1.0\r\n");
        if self.attachments.is_empty() {
            out.push_str(&self.body());
            return out.into_bytes();
        }
        out.push_str("Content-Type: multipart/mixed; boundary=\"=_mixed\"\r\n\r\n--=_mixed\r\n");
        out.push_str(&self.body());
        for (name, mime_type, content) in &self.attachments {
            out.push_str(&format!(
                "\r\n--=_mixed\r\nContent-Type: {mime_type}; name=\"{name}\"\r\nContent-Disposition: attachment; \
                 filename=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
                base64_lines(content)
            ));
        }
        out.push_str("--=_mixed--\r\n");
        out.into_bytes()
    }

    fn body(&self) -> String {
        let text = part("text/plain", &self.text);
        match &self.html {
            None => text,
            Some(html) => format!(
                "Content-Type: multipart/alternative; boundary=\"=_alt\"\r\n\r\n--=_alt\r\n{text}\r\n--=_alt\r\n{}\r\n\
                 --=_alt--\r\n",
                part("text/html", html)
            ),
        }
    }
}

fn part(mime_type: &str, text: &str) -> String {
    let kind = format!("Content-Type: {mime_type}; charset=utf-8\r\n");
    if text.is_ascii() {
        let lines = text.lines().collect::<Vec<_>>().join("\r\n");
        return format!("{kind}Content-Transfer-Encoding: 7bit\r\n\r\n{lines}\r\n");
    }
    format!("{kind}Content-Transfer-Encoding: base64\r\n\r\n{}\r\n", base64_lines(text.as_bytes()))
}

fn base64_lines(bytes: &[u8]) -> String {
    let encoded = STANDARD.encode(bytes);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(76).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    lines.join("\r\n")
}
