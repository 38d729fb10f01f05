//! Names in a version control system: of what keeps versions, and of what points at one.

/// The name of a repository or of its owner: 1 to 100 of `[A-Za-z0-9._-]`, neither `.` nor `..`, and without `.git` at
/// its end: a service may take `notes.git` for `notes`, and two names of one thing are a way round a bound.
///
/// # Errors
/// The rule it breaks, as the end of a sentence.
pub fn parse_name(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let fits = (1..=100).contains(&text.len()) && text.bytes().all(plain) && !matches!(text, "." | "..");
    if fits && !ends_with(text, ".git") {
        Ok(text.to_owned())
    } else {
        Err("is a name of 1 to 100 letters, digits, ., _ or -, without .git at its end".to_owned())
    }
}

/// The name of a branch or a tag, or the hash of a commit: 1 to 200 of `[A-Za-z0-9._/@+#=-]` in parts with single slashes
/// between, by the rules of `git check-ref-format`: no part begins with a dot, or ends with one or with `.lock`; nowhere
/// `..` or `@{`; it is not `@`. Besides, it does not begin with `-`, nor with `refs/`, which would be another spelling. It
/// holds no `:`, by which services name a branch of somebody else's copy.
///
/// # Errors
/// The rule it breaks, as the end of a sentence.
pub fn parse_branch(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._/@+#=-".contains(&b);
    let part = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && !part.ends_with('.') && !ends_with(part, ".lock")
    };
    let fits = (1..=200).contains(&text.len())
        && text.bytes().all(plain)
        && text.split('/').all(part)
        && !text.contains("..")
        && text != "@"
        && !text.starts_with('-')
        && text.get(..5).is_none_or(|start| !start.eq_ignore_ascii_case("refs/"));
    if fits {
        Ok(text.to_owned())
    } else {
        Err("is the plain name of a branch or a tag, such as main or feature/x, or a commit's hash"
            .to_owned())
    }
}

fn ends_with(text: &str, end: &str) -> bool {
    let at = text.len().checked_sub(end.len());
    at.and_then(|at| text.get(at..)).is_some_and(|found| found.eq_ignore_ascii_case(end))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for good in ["notes", "My.Notes_2-x", ".github", "a", "...", "git", "x.gitx", &"a".repeat(100)] {
            assert_eq!(parse_name(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a\\b",
            "a%2fb",
            "%2e%2e",
            "a b",
            "a:b",
            "a?b",
            "a#b",
            "ä",
            "a\n",
            "notes.git",
            "notes.GIT",
            ".git",
            &"a".repeat(101),
        ] {
            assert!(parse_name(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn branches() {
        for good in [
            "main",
            "feature/x",
            "v1.2.3",
            "dependabot/npm_and_yarn/@types/node-1.0",
            "fix#7",
            "a=b+c",
            "refsx/y",
            "refs",
            "0123456789abcdef0123456789abcdef01234567",
        ] {
            assert_eq!(parse_branch(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "..",
            ".",
            "a/../b",
            "a..b",
            ".a",
            "a/.b",
            "a.",
            "a./b",
            "a.lock",
            "a.LOCK/b",
            "@",
            "a@{1}",
            "-a",
            "refs/heads/main",
            "REFS/heads/main",
            "other:main",
            "a b",
            "a~1",
            "a^",
            "a?",
            "a*",
            "a[",
            "a\\b",
            "a%2fb",
            "a\n",
            "ä",
            &"a".repeat(201),
        ] {
            assert!(parse_branch(bad).is_err(), "{bad:?} was taken");
        }
    }

    proptest! {
        /// Whatever is taken stands in a path as it is, segment by segment, and leads nowhere else.
        #[test]
        fn what_is_taken_needs_no_care(text in "[a-zA-Z0-9._/@{}:%\\\\-]{0,12}|\\PC{0,8}") {
            for taken in [parse_name(&text), parse_branch(&text)].into_iter().flatten() {
                prop_assert_eq!(&taken, &text);
                prop_assert!(taken.split('/').all(|part| !matches!(part, "" | "." | "..")));
                let plain = taken.bytes().all(|b| b.is_ascii_graphic() && !b"%?:\\;{}".contains(&b));
                prop_assert!(plain, "{taken}");
            }
            if let Ok(name) = parse_name(&text) {
                prop_assert!(!name.contains('/'));
            }
        }
    }
}
