//! Character references of HTML.

/// The names that mails and Gmail's snippets use. Others stay as they are written.
const NAMED: &[(&str, &str)] = &[
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", " "),
    ("ensp", " "),
    ("emsp", " "),
    ("thinsp", " "),
    ("shy", ""),
    ("zwnj", ""),
    ("zwj", ""),
    ("lrm", ""),
    ("rlm", ""),
    ("copy", "©"),
    ("reg", "®"),
    ("trade", "™"),
    ("hellip", "…"),
    ("ndash", "–"),
    ("mdash", "—"),
    ("lsquo", "‘"),
    ("rsquo", "’"),
    ("sbquo", "‚"),
    ("ldquo", "“"),
    ("rdquo", "”"),
    ("bdquo", "„"),
    ("laquo", "«"),
    ("raquo", "»"),
    ("lsaquo", "‹"),
    ("rsaquo", "›"),
    ("bull", "•"),
    ("middot", "·"),
    ("larr", "←"),
    ("uarr", "↑"),
    ("rarr", "→"),
    ("darr", "↓"),
    ("times", "×"),
    ("divide", "÷"),
    ("plusmn", "±"),
    ("minus", "−"),
    ("deg", "°"),
    ("micro", "µ"),
    ("para", "¶"),
    ("sect", "§"),
    ("euro", "€"),
    ("pound", "£"),
    ("yen", "¥"),
    ("cent", "¢"),
    ("frac12", "½"),
    ("frac14", "¼"),
    ("frac34", "¾"),
    ("sup2", "²"),
    ("sup3", "³"),
    ("iexcl", "¡"),
    ("iquest", "¿"),
    ("ordf", "ª"),
    ("ordm", "º"),
    ("szlig", "ß"),
    ("Auml", "Ä"),
    ("Ouml", "Ö"),
    ("Uuml", "Ü"),
    ("auml", "ä"),
    ("ouml", "ö"),
    ("uuml", "ü"),
    ("euml", "ë"),
    ("iuml", "ï"),
    ("Agrave", "À"),
    ("Aacute", "Á"),
    ("Acirc", "Â"),
    ("Atilde", "Ã"),
    ("Aring", "Å"),
    ("AElig", "Æ"),
    ("Ccedil", "Ç"),
    ("Egrave", "È"),
    ("Eacute", "É"),
    ("Ecirc", "Ê"),
    ("Iacute", "Í"),
    ("Ntilde", "Ñ"),
    ("Oacute", "Ó"),
    ("Oslash", "Ø"),
    ("Uacute", "Ú"),
    ("agrave", "à"),
    ("aacute", "á"),
    ("acirc", "â"),
    ("atilde", "ã"),
    ("aring", "å"),
    ("aelig", "æ"),
    ("ccedil", "ç"),
    ("egrave", "è"),
    ("eacute", "é"),
    ("ecirc", "ê"),
    ("igrave", "ì"),
    ("iacute", "í"),
    ("icirc", "î"),
    ("ntilde", "ñ"),
    ("ograve", "ò"),
    ("oacute", "ó"),
    ("ocirc", "ô"),
    ("otilde", "õ"),
    ("oslash", "ø"),
    ("oelig", "œ"),
    ("ugrave", "ù"),
    ("uacute", "ú"),
    ("ucirc", "û"),
    ("yacute", "ý"),
    ("thorn", "þ"),
    ("eth", "ð"),
];

/// The longest reference, without `&` and `;`, that is looked at.
const LONGEST: usize = 10;

/// Replaces `&amp;`, `&#39;` and `&#x27;` by what they stand for. What is not known stays as it is.
pub(super) fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        let window = &rest.as_bytes()[..rest.len().min(LONGEST + 1)];
        let found = window.iter().position(|&byte| byte == b';').filter(|&end| push(&rest[..end], &mut out));
        match found {
            Some(end) => rest = &rest[end + 1..],
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    out
}

/// Appends what the reference stands for; `false` if it stands for nothing.
fn push(name: &str, out: &mut String) -> bool {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return match code.ok().and_then(char::from_u32) {
            Some('\u{a0}') => {
                out.push(' ');
                true
            }
            Some(c) => {
                out.push(c);
                true
            }
            None => false,
        };
    }
    match NAMED.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => {
            out.push_str(text);
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        for (input, expected) in [
            ("a &amp; b &lt;c&gt;", "a & b <c>"),
            ("it&#39;s &#x1F600; &#XE9;", "it's 😀 é"),
            ("&auml;&Auml;&nbsp;x", "äÄ x"),
            ("&unknown; &; &#; &#xD800; &#99999999;", "&unknown; &; &#; &#xD800; &#99999999;"),
            ("AT&T", "AT&T"),
            ("&é;", "&é;"),
            ("&", "&"),
            ("&amp;lt;", "&lt;"),
        ] {
            assert_eq!(decode(input), expected, "{input}");
        }
    }
}
