//! Names that strangers gave, made fit for a folder.

use claviger_beneath::is_unseen;

/// The longest name, in bytes; leaves room for a number.
const LONGEST: usize = 200;
/// The longest ending that is kept when a name is cut.
const ENDING: usize = 16;
/// What a file is called that has no name.
const NAMELESS: &str = "download";

/// A name that is one segment, hides nothing, and means nothing to a shell's or a program's rules for names: it begins
/// neither with a dot nor with a hyphen.
pub(super) fn fit(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if matches!(c, '/' | '\\' | ':') || is_unseen(c) || c == '\u{fffd}' { '_' } else { c })
        .collect();
    let mut plain = plain.trim_start().trim_end_matches(|c: char| c == '.' || c.is_whitespace()).to_owned();
    if plain.starts_with(['.', '-', '~']) {
        plain.replace_range(..1, "_");
    }
    let (stem, ending) = split(&plain);
    let stem = cut(stem, LONGEST - ending.len());
    let whole = format!("{stem}{ending}");
    if whole.is_empty() || whole.chars().all(|c| c == '_') { NAMELESS.to_owned() } else { whole }
}

/// The same with a number before its ending; the first has none.
pub(super) fn numbered(name: &str, number: u32) -> String {
    if number < 2 {
        return name.to_owned();
    }
    let (stem, ending) = split(name);
    format!("{stem} ({number}){ending}")
}

/// Before the last dot, and from it on.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= ENDING => name.split_at(at),
        _ => (name, ""),
    }
}

fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_strangers() {
        for (name, expected) in [
            ("report.pdf", "report.pdf"),
            ("Grüße an alle.txt", "Grüße an alle.txt"),
            ("../../etc/passwd", "_._.._etc_passwd"),
            ("/etc/passwd", "_etc_passwd"),
            ("..", "download"),
            (".", "download"),
            ("", "download"),
            ("   ", "download"),
            ("///", "download"),
            (".bashrc", "_bashrc"),
            ("-rf", "_rf"),
            ("~root", "_root"),
            ("a\0b\nc\u{202e}gpj.exe", "a_b_c_gpj.exe"),
            ("C:\\x\\y.txt", "C__x_y.txt"),
            ("name. . ", "name"),
        ] {
            assert_eq!(fit(name), expected, "{name:?}");
            assert!(claviger_beneath::is_segment(&fit(name)));
        }
    }

    #[test]
    fn long_names_keep_their_ending() {
        for name in [format!("{}.pdf", "é".repeat(300)), "x".repeat(1000), format!("x.{}", "y".repeat(400))]
        {
            let fit = fit(&name);
            assert!(fit.len() <= LONGEST && claviger_beneath::is_segment(&numbered(&fit, 999)), "{fit}");
            assert_eq!(fit.ends_with(".pdf"), name.ends_with(".pdf"));
        }
    }

    #[test]
    fn numbers_stand_before_the_ending() {
        assert_eq!(numbered("a.tar", 1), "a.tar");
        assert_eq!(numbered("a.tar", 2), "a (2).tar");
        assert_eq!(numbered("a", 10), "a (10)");
    }
}
