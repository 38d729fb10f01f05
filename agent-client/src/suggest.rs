//! Which names look like one that is not there. For people and models to read; nothing is ever corrected by it.

/// The most names suggested.
const MOST: usize = 3;

/// How many letters may be wrong. More, and `get_message` looks like `send_message`: a model that is refused a read must not
/// be led to a send.
const WRONG: usize = 2;

/// The `candidates` that look like `name`, the closest first, then by name.
pub(crate) fn similar<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<String> {
    // Names longer than any tool's are not worth the work.
    if name.len() > 128 {
        return Vec::new();
    }
    let mut found: Vec<(usize, &str)> = candidates
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= WRONG)
        .collect();
    found.sort_unstable();
    found.into_iter().take(MOST).map(|(_, candidate)| candidate.to_owned()).collect()
}

/// How many letters must be added, left out, changed or swapped with their neighbour (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in right.iter().enumerate() {
            let mut cost =
                (above[column] + usize::from(a != b)).min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && *a == right[column - 1] && left[row - 1] == *b {
                cost = cost.min(before[column - 1] + 1);
            }
            current.push(cost);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (left, right, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("echo", "ecoh", 1),
            ("abc", "abd", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(left, right), expected, "{left} {right}");
            assert_eq!(distance(right, left), expected, "{right} {left}");
        }
    }

    #[test]
    fn only_what_looks_like_it() {
        let names = ["gmail_search_messages", "gmail_send_message", "drive_search_files"];
        let similar = |name| similar(name, names.iter().copied());
        assert_eq!(similar("gmail.search_messages"), ["gmail_search_messages"]);
        assert_eq!(similar("gmail_serach_messages"), ["gmail_search_messages"]);
        assert!(similar("calendar").is_empty());
        assert!(similar("gmail_get_message").is_empty());
        assert!(similar(&"x".repeat(1000)).is_empty());
    }
}
