//! HTML, as far as it takes to see what a reader of it sees.

/// The text without its tags and comments and with its character references undone; `None` where there is neither.
///
/// Tags of inline elements vanish, so that `ig<b>nore</b>` is one word; any other becomes a space.
pub(super) fn stripped(text: &str) -> Option<String> {
    if !text.contains('<') && !text.contains('&') {
        return None;
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '&']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((c, length)) = reference(rest) {
            plain.push(c);
            rest = &rest[length..];
        } else if let Some(tag) = tag(rest) {
            if !tag.is_inline() {
                plain.push(' ');
            }
            rest = &rest[tag.length..];
        } else {
            plain.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    plain.push_str(rest);
    Some(plain)
}

/// One tag, or one comment.
pub(super) struct Tag<'a> {
    /// Its name as it is written; empty for a comment, with a slash before it for an end tag.
    pub(super) name: &'a str,
    /// All between its name and its end.
    pub(super) inside: &'a str,
    /// How many bytes it takes.
    pub(super) length: usize,
}

impl Tag<'_> {
    fn is_inline(&self) -> bool {
        const INLINE: [&str; 16] = [
            "a", "abbr", "b", "big", "code", "em", "font", "i", "mark", "s", "small", "span", "strong",
            "sub", "sup", "u",
        ];
        let name = self.name.trim_start_matches('/');
        self.name.is_empty() || INLINE.iter().any(|inline| inline.eq_ignore_ascii_case(name))
    }
}

/// The longest tag that is taken for one, in bytes; so that a text of nothing but `<` costs no more than its length.
const LONGEST_TAG: usize = 1024;

/// The longest comment that is taken for one, in bytes.
pub(super) const LONGEST_COMMENT: usize = 4 * 1024;

/// The longest character reference that is taken for one, in bytes after its `&`: that of `ZeroWidthSpace`.
const LONGEST_REFERENCE: usize = 16;

/// The tag that `text` begins with.
pub(super) fn tag(text: &str) -> Option<Tag<'_>> {
    if let Some(comment) = text.strip_prefix("<!--") {
        let end = within(comment, LONGEST_COMMENT).find("-->")?;
        return Some(Tag { name: "", inside: &comment[..end], length: end + 7 });
    }
    let rest = text.strip_prefix('<')?;
    let head = within(rest, LONGEST_TAG);
    let first = head.strip_prefix('/').unwrap_or(head).chars().next()?;
    if !first.is_ascii_alphabetic() && first != '!' {
        return None;
    }
    let end = head.find('>')?;
    let whole = &head[..end];
    let name = whole.find(|c: char| c.is_whitespace()).unwrap_or(whole.len());
    Some(Tag { name: &whole[..name], inside: &whole[name..], length: end + 2 })
}

/// The beginning of a text, at most so many bytes of it.
pub(super) fn within(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The character reference that `text` begins with, and its length in bytes.
fn reference(text: &str) -> Option<(char, usize)> {
    let rest = within(text.strip_prefix('&')?, LONGEST_REFERENCE);
    let end = rest.find(';')?;
    let name = &rest[..end];
    let c = match name.strip_prefix('#') {
        Some(number) => {
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
        None => match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            "nbsp" => ' ',
            "shy" => '\u{ad}',
            "zwnj" => '\u{200c}',
            "zwj" => '\u{200d}',
            "ZeroWidthSpace" => '\u{200b}',
            "auml" => 'ä',
            "ouml" => 'ö',
            "uuml" => 'ü',
            "Auml" => 'Ä',
            "Ouml" => 'Ö',
            "Uuml" => 'Ü',
            "szlig" => 'ß',
            _ => return None,
        },
    };
    Some((c, end + 2))
}
