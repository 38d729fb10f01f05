//! HTML of strangers as plain text, in one pass and without a tree.
//!
//! A tree is what hostile HTML attacks: a few kilobytes of nested or misnested elements make browsers' algorithms build
//! millions of nodes, or a recursion that overflows the stack. This reads tags one after the other, remembers only
//! whether it is in something unseen (`script`, `style`) or preformatted, and so takes time and memory linear in the
//! input. Links and pictures are told by their addresses; the words of a link do not say where it leads.

use super::entities;

/// Replaces the character references of a text that is otherwise plain, such as Gmail's snippets.
#[must_use]
pub fn unescape(text: &str) -> String {
    entities::decode(text)
}

/// Elements whose content nobody sees, up to their end tag.
const UNSEEN: &[&str] = &[
    "script", "style", "head", "title", "template", "noscript", "svg", "math", "object", "iframe", "select",
];

/// Elements that begin and end a line.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "header",
    "hr",
    "html",
    "li",
    "main",
    "nav",
    "ol",
    "section",
    "table",
    "tbody",
    "tfoot",
    "thead",
    "tr",
    "ul",
];

/// Elements with an empty line around them.
const PARAGRAPHS: &[&str] = &["p", "h1", "h2", "h3", "h4", "h5", "h6", "pre"];

/// The text of an HTML document, with at most two line breaks in a row. The output has at most about twice the bytes of
/// the input.
#[must_use]
pub fn to_text(html: &str) -> String {
    let mut writer = Writer::default();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        writer.text(&rest[..start]);
        rest = &rest[start..];
        match next(rest) {
            Markup::Text => {
                writer.text("<");
                rest = &rest[1..];
            }
            Markup::Ignored(length) => rest = &rest[length..],
            Markup::Tag(tag, length) => {
                rest = &rest[length..];
                if !tag.end && UNSEEN.contains(&tag.name.as_str()) {
                    rest = after_end(rest, &tag.name);
                } else {
                    writer.tag(&tag);
                }
            }
        }
    }
    writer.text(rest);
    writer.out.trim().to_owned()
}

struct Tag {
    name: String,
    end: bool,
    /// `href` of a link, `alt` of a picture.
    told: Option<String>,
}

enum Markup {
    /// A `<` that begins no markup.
    Text,
    /// A comment, doctype or processing instruction of that length in bytes.
    Ignored(usize),
    Tag(Tag, usize),
}

/// Reads the markup that begins with the `<` at the beginning of `text`.
fn next(text: &str) -> Markup {
    let until = |mark: &str| text.find(mark).map_or(text.len(), |at| at + mark.len());
    if text.starts_with("<!--") {
        return Markup::Ignored(until("-->"));
    }
    if text.starts_with("<!") || text.starts_with("<?") {
        return Markup::Ignored(until(">"));
    }
    let end = text.starts_with("</");
    let body = &text[if end { 2 } else { 1 }..];
    if !body.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Markup::Text;
    }
    let length = body.find(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/').unwrap_or(body.len());
    let name = body[..length].to_ascii_lowercase();
    let wanted = match name.as_str() {
        "a" => Some("href"),
        "img" => Some("alt"),
        _ => None,
    };
    let (told, rest) = attributes(&body[length..], wanted);
    Markup::Tag(Tag { name, end, told }, text.len() - rest.len())
}

/// Reads attributes up to and with the `>`; returns the wanted one's value and what follows the tag.
fn attributes<'a>(mut text: &'a str, wanted: Option<&str>) -> (Option<String>, &'a str) {
    let mut told = None;
    loop {
        text = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if text.is_empty() {
            return (told, "");
        }
        if let Some(rest) = text.strip_prefix('>') {
            return (told, rest);
        }
        // An attribute's name may begin with `=`, and has at least one character.
        let first = text.chars().next().map_or(0, char::len_utf8);
        let stop = |c: char| c.is_ascii_whitespace() || matches!(c, '=' | '>' | '/');
        let length = text[first..].find(stop).map_or(text.len(), |at| at + first);
        let (name, after) = text.split_at(length);
        let Some(value) = after.trim_start().strip_prefix('=') else {
            text = after;
            continue;
        };
        let value = value.trim_start();
        let (value, after) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let inner = &value[1..];
                inner.split_once(quote).unwrap_or((inner, ""))
            }
            _ => {
                let end = value.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(value.len());
                value.split_at(end)
            }
        };
        if told.is_none() && wanted.is_some_and(|wanted| name.eq_ignore_ascii_case(wanted)) {
            told = Some(entities::decode(value));
        }
        text = after;
    }
}

/// What follows the end tag of an unseen element; nothing, if it never ends (as browsers do for scripts).
fn after_end<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        rest = &rest[at + 2..];
        let same = rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        if same {
            return rest.split_once('>').map_or("", |(_, after)| after);
        }
    }
    ""
}

#[derive(Default)]
struct Writer {
    out: String,
    /// A space is due before the next word.
    space: bool,
    preformatted: bool,
    /// Where the open link leads, and where in `out` its words begin.
    link: Option<(String, usize)>,
}

impl Writer {
    fn text(&mut self, raw: &str) {
        if raw.is_empty() {
            return;
        }
        let text = entities::decode(raw);
        if self.preformatted {
            self.out.push_str(&text);
            return;
        }
        for c in text.chars() {
            if c.is_whitespace() {
                self.space = true;
            } else {
                self.word_break();
                self.out.push(c);
            }
        }
    }

    fn word_break(&mut self) {
        if self.space && !self.out.is_empty() && !self.out.ends_with(['\n', ' ', '\t']) {
            self.out.push(' ');
        }
        self.space = false;
    }

    fn tag(&mut self, tag: &Tag) {
        match (tag.name.as_str(), tag.end) {
            ("br", _) => self.newline(),
            ("li", false) => {
                self.lines(1);
                self.out.push_str("- ");
            }
            ("hr", false) => {
                self.lines(1);
                self.out.push_str("---\n");
            }
            ("td" | "th", true) => self.cell(),
            ("img", false) => {
                if let Some(alt) = tag.told.as_deref().map(str::trim).filter(|alt| !alt.is_empty()) {
                    self.word_break();
                    self.out.push_str("[picture: ");
                    self.out.push_str(alt);
                    self.out.push(']');
                }
            }
            ("a", false) => {
                self.close_link();
                self.word_break();
                self.link = tag.told.clone().map(|href| (href, self.out.len()));
            }
            ("a", true) => self.close_link(),
            ("pre", end) => {
                self.lines(2);
                self.preformatted = !end;
            }
            (name, _) if PARAGRAPHS.contains(&name) => self.lines(2),
            (name, _) if BLOCKS.contains(&name) => self.lines(1),
            _ => {}
        }
    }

    /// Says where a link leads, unless its words do.
    fn close_link(&mut self) {
        let Some((href, start)) = self.link.take() else { return };
        let words = self.out.get(start..).unwrap_or_default().trim();
        let href = href.trim();
        let told = href.strip_prefix("mailto:").unwrap_or(href);
        if !href.is_empty() && !href.starts_with('#') && words != told && words != href {
            self.out.push_str(if words.is_empty() { "(" } else { " (" });
            self.out.push_str(href);
            self.out.push(')');
        }
    }

    fn cell(&mut self) {
        self.space = false;
        if !self.out.is_empty() && !self.out.ends_with(['\n', '\t']) {
            self.out.push('\t');
        }
    }

    fn newline(&mut self) {
        self.space = false;
        self.trim();
        if !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    /// Makes sure that `count` line breaks (one ends a line, two leave one empty) stand at the end.
    fn lines(&mut self, count: usize) {
        self.space = false;
        self.trim();
        if self.out.is_empty() {
            return;
        }
        let there = self.out.bytes().rev().take(count).take_while(|&byte| byte == b'\n').count();
        (there..count).for_each(|_| self.out.push('\n'));
    }

    fn trim(&mut self) {
        let end = self.out.trim_end_matches([' ', '\t']).len();
        self.out.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn html_reads_like_text() {
        for (html, expected) in [
            ("<p>Hello  <b>wor</b>ld</p><p>Second</p>", "Hello world\n\nSecond"),
            ("a<br>b<BR/>c", "a\nb\nc"),
            ("<ul><li>one</li><li>two</li></ul>after", "- one\n- two\nafter"),
            ("<a href='https://evil.example/x'>my bank</a>", "my bank (https://evil.example/x)"),
            ("<a href=https://a.example>https://a.example</a>", "https://a.example"),
            ("<a href=\"mailto:a@b.example\">a@b.example</a>!", "a@b.example!"),
            ("<a href=\"https://a.example/?a=1&amp;b=2\">x</a>", "x (https://a.example/?a=1&b=2)"),
            ("<img src=x alt=\"A cat\"> <img src=tracker>", "[picture: A cat]"),
            ("<head><title>t</title></head><style>p{}</style>x<script>1<2</script >y", "xy"),
            ("<script>never ends", ""),
            ("<!-- c > d -->a<!doctype html>b<?x?>", "ab"),
            ("<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>", "1\t2\n3"),
            ("<pre>  a\n   b</pre>c", "a\n   b\n\nc"),
            ("1 < 2 &lt;b&gt; &amp; 3", "1 < 2 <b> & 3"),
            ("<p title='a > b'>x</p>", "x"),
            ("<a href=\"unended>x", ""),
            ("a<b", "a"),
            ("é<ü>", "é<ü>"),
            ("<p =x é=é>ok", "ok"),
            ("<hr>x<hr>", "---\nx\n---"),
            ("", ""),
        ] {
            assert_eq!(to_text(html), expected, "{html}");
        }
        assert_eq!(unescape("it&#39;s &lt;ok&gt;"), "it's <ok>");
    }

    /// Each of these costs a tree-building parser quadratic work, gigabytes, or its stack.
    #[test]
    fn hostile_html_takes_linear_time() {
        let n = 100_000;
        let distinct: String = (0..n).map(|i| format!("<b x{i}><p>")).collect();
        #[allow(clippy::disallowed_methods, reason = "what is tested is the time it takes")]
        let begin = Instant::now();
        for html in [
            "<div>".repeat(n),
            "<b><p>".repeat(n),
            distinct,
            "<table><tr><td>".repeat(n),
            "<a href='".repeat(n),
            "<a href=x>".repeat(n),
            "<!--".repeat(n),
            "<![CDATA[".repeat(n),
            "<script>".repeat(n),
            "<script></style>".repeat(n),
            "<title".repeat(n),
            "&amp".repeat(n),
            "<".repeat(n),
            "</".repeat(n),
            "<a ".repeat(n),
            "<br>".repeat(n),
            format!("<pre>{}</pre>", " ".repeat(n)),
            format!("<pre>{}{}", "\n".repeat(n), "<p>".repeat(n)),
        ] {
            assert!(to_text(&html).len() <= html.len() * 2);
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    }
}
