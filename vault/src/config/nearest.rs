//! "Did you mean": the nearest of some known names.

/// The known name that is nearest to what was written, if one is near enough to have been meant.
///
/// Near enough is a third of the longer of the two in edits, and a name that differs only in case or in `-`, `_`
/// and spaces is always near. An exact match is no suggestion.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A peer's or a user's text of any length comes here; distances are quadratic.
    if written.len() > 128 {
        return None;
    }
    known
        .into_iter()
        .filter(|name| *name != written && name.len() <= 128)
        .filter_map(|name| {
            let distance = if plain(name) == plain(written) { 0 } else { distance(written, name) };
            let allowed = written.chars().count().max(name.chars().count()).div_ceil(3);
            (distance <= allowed.min(4)).then_some((distance, name))
        })
        .min()
        .map(|(_, name)| name)
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '-' | '_' | ' ' | '.')).flat_map(char::to_lowercase).collect()
}

/// Edits (insert, delete, change, swap of neighbours) from one to the other: optimal string alignment.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut best = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant() {
        let check = |written: &str, known: &[&str], expected: Option<&str>| {
            assert_eq!(nearest(written, known.iter().copied()), expected, "{written}");
        };
        check("opencalw", &["openclaw", "other"], Some("openclaw"));
        check("gmail/mee", &["gmail/me", "drive/me"], Some("gmail/me"));
        check("gmail_send_message", &["gmail.send_message", "gmail.get_message"], Some("gmail.send_message"));
        check("max_bytes", &["max-bytes", "dir"], Some("max-bytes"));
        check("completely-different", &["openclaw"], None);
        check("same", &["same"], None);
        check("x", &[], None);
        check("ab", &["ba"], Some("ba"));
        check(&"a".repeat(10_000), &["a"], None);
    }
}
