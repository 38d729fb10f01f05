//! Words as they are compared: without case, without diacritics, and with what looks like a Latin letter taken for one.

/// The longest word that is looked up, in bytes; longer ones are in no phrase.
const LONGEST: usize = 48;

/// Calls `take` with each word, and with `None` at each end of a sentence.
pub(super) fn each_word(text: &str, take: impl FnMut(Option<&str>)) {
    if text.is_ascii() { each_ascii_word(text, take) } else { each_folded_word(text, take) }
}

/// The same for what most texts are: a byte is a character, and nothing looks like another letter.
fn each_ascii_word(text: &str, mut take: impl FnMut(Option<&str>)) {
    let mut word = String::with_capacity(LONGEST);
    let mut long = false;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'A'..=b'Z' => {
                if word.len() < LONGEST {
                    word.push(char::from(byte.to_ascii_lowercase()));
                } else {
                    long = true;
                }
            }
            b'\'' => {}
            _ => {
                if !word.is_empty() {
                    take(Some(if long { "" } else { &word }));
                    word.clear();
                    long = false;
                }
                let ends = bytes.get(at + 1).is_none_or(|next| char::from(*next).is_whitespace());
                if matches!(byte, b'.' | b'!' | b'?') && ends {
                    take(None);
                }
            }
        }
    }
    if !word.is_empty() {
        take(Some(if long { "" } else { &word }));
    }
}

fn each_folded_word(text: &str, mut take: impl FnMut(Option<&str>)) {
    let mut word = String::new();
    let mut long = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match fold(c) {
            Folded::Nothing => {}
            Folded::Letter(letter) => {
                if word.len() < LONGEST {
                    word.push(letter);
                } else {
                    long = true;
                }
            }
            Folded::Letters(letters) => word.push_str(letters),
            Folded::Gap => {
                if !word.is_empty() {
                    take(Some(if long { "" } else { &word }));
                    word.clear();
                    long = false;
                }
                if matches!(c, '.' | '!' | '?') && chars.peek().is_none_or(|next| next.is_whitespace()) {
                    take(None);
                }
            }
        }
    }
    if !word.is_empty() {
        take(Some(if long { "" } else { &word }));
    }
}

/// The words of a text.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    each_word(text, |word| words.extend(word.map(str::to_owned)));
    words
}

/// Whether a character shows nothing and takes no room.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}'
        | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{e0000}'..='\u{e01ef}')
}

enum Folded {
    /// It stands in no word and ends none.
    Nothing,
    Letter(char),
    Letters(&'static str),
    Gap,
}

fn fold(c: char) -> Folded {
    match c {
        'a'..='z' | '0'..='9' => Folded::Letter(c),
        'A'..='Z' => Folded::Letter(c.to_ascii_lowercase()),
        // "don't" is one word, however its apostrophe is written.
        '\'' | '\u{2019}' | '\u{2bc}' => Folded::Nothing,
        _ if c.is_ascii() => Folded::Gap,
        // Combining marks: a letter with a mark of its own is the letter.
        '\u{300}'..='\u{36f}' => Folded::Nothing,
        _ if is_invisible(c) => Folded::Nothing,
        'ß' => Folded::Letters("ss"),
        'æ' | 'Æ' => Folded::Letters("ae"),
        'œ' | 'Œ' => Folded::Letters("oe"),
        _ => match lookalike(c) {
            Some(letter) => Folded::Letter(letter),
            None if c.is_alphanumeric() => c.to_lowercase().next().map_or(Folded::Gap, Folded::Letter),
            None => Folded::Gap,
        },
    }
}

/// Per Latin letter: letters that carry a mark, and letters of other scripts that look the same.
const LOOKALIKES: [(char, &str); 26] = [
    ('a', "àáâãäåāăąǎȁȃȧạảấầẩẫậắằẳẵặÀÁÂÃÄÅĀĂĄǍẠẢаАαΑɑ"),
    ('b', "ḃḅЬьВβΒḂḄ"),
    ('c', "çćĉċčÇĆĈĊČсСϲⅽ"),
    ('d', "ďđḋḍĎĐḊḌԁⅾ"),
    ('e', "èéêëēĕėęěȅȇẹẻẽếềểễệÈÉÊËĒĔĖĘĚẸẺẼеЕёЁєεΕ℮"),
    ('f', "ḟƒḞ"),
    ('g', "ĝğġģǧǵĜĞĠĢɡ"),
    ('h', "ĥħḣḥĤĦНһΗ"),
    ('i', "ìíîïĩīĭįıǐȉȋịỉÌÍÎÏĨĪĬĮİǏỊỈіІїιΙⅰ"),
    ('j', "ĵǰĴјЈ"),
    ('k', "ķĸǩḱḳĶкКκΚ"),
    ('l', "ĺļľŀłḷĹĻĽĿŁӏⅼ"),
    ('m', "ḿṁṃМмΜⅿ"),
    ('n', "ñńņňŉŋǹṅṇÑŃŅŇŊпηΝ"),
    ('o', "òóôõöøōŏőơǒȍȏọỏốồổỗộớờởỡợÒÓÔÕÖØŌŎŐƠỌỎоОοΟօσ"),
    ('p', "ṕṗрРρΡ"),
    ('q', "ԛɋ"),
    ('r', "ŕŗřȑȓṙṛŔŖŘгꭇ"),
    ('s', "śŝşšșṡṣŚŜŞŠȘѕЅ"),
    ('t', "ţťŧțṫṭŢŤŦȚТтτΤ"),
    ('u', "ùúûüũūŭůűųưǔȕȗụủứừửữựÙÚÛÜŨŪŬŮŰŲƯỤỦυս"),
    ('v', "ṽṿνѵⅴ"),
    ('w', "ŵẁẃẅŴẀẂẄԝω"),
    ('x', "ẋẍхХχΧⅹ"),
    ('y', "ýÿŷȳỳỵỷỹÝŸŶỲỴуУүγΥ"),
    ('z', "źżžẑẓŹŻŽΖ"),
];

fn lookalike(c: char) -> Option<char> {
    let ascii = |offset: u32, first: u8| u8::try_from(offset).ok().map(|offset| char::from(first + offset));
    match u32::from(c) {
        // Fullwidth forms.
        code @ 0xff10..=0xff19 => ascii(code - 0xff10, b'0'),
        code @ 0xff21..=0xff3a => ascii(code - 0xff21, b'a'),
        code @ 0xff41..=0xff5a => ascii(code - 0xff41, b'a'),
        // Letters in circles.
        code @ 0x24b6..=0x24e9 => ascii((code - 0x24b6) % 26, b'a'),
        // Mathematical alphabets, thirteen of them, capital and small; and their digits.
        code @ 0x1d400..=0x1d6a3 => ascii((code - 0x1d400) % 26, b'a'),
        code @ 0x1d7ce..=0x1d7ff => ascii((code - 0x1d7ce) % 10, b'0'),
        // Letters as regional indicators.
        code @ 0x1f1e6..=0x1f1ff => ascii(code - 0x1f1e6, b'a'),
        _ => LOOKALIKES.iter().find(|(_, others)| others.contains(c)).map(|(letter, _)| *letter),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(each: impl FnOnce(&mut dyn FnMut(Option<&str>))) -> Vec<Option<String>> {
        let mut found = Vec::new();
        each(&mut |word| found.push(word.map(str::to_owned)));
        found
    }

    proptest! {
        /// Plain texts take the short way, and come to the same.
        #[test]
        fn the_short_way_says_what_the_long_way_says(text in "[ -~\\t\\n\\x00\\x0b]{0,60}|[a-c'. ]{0,60}|[A-Za-z]{40,60}") {
            prop_assert!(text.is_ascii());
            let short = all(|take| each_ascii_word(&text, take));
            let long = all(|take| each_folded_word(&text, take));
            prop_assert_eq!(short, long);
        }
    }
}
