//! The list of what is never touched. It goes by names alone, before anything is opened, so that nothing is read to find
//! out.
//!
//! A pattern is a path of globs: `*` and `?` stand for characters within one name, `**` for any number of directories.
//! `**/.ssh/**` is every `.ssh` and all below it; what is denied takes all below it along. A pattern without a slash
//! holds anywhere; any other is a path from a root's name on: `media/tax/**`.
//!
//! Names are compared folded: case, accents, compatibility forms and unseen characters do not count, nor do dots and
//! spaces at the end, nor what follows a colon. A file system that takes several spellings for one name is so met with
//! all of them; and other names of one file, such as `CREDEN~1`, are not there for anybody: only what a directory lists is.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::path::is_unseen;

/// What is always denied. A settings file adds to it and can take nothing away.
pub const ALWAYS: &[&str] = &[
    "**/.ssh/**",
    "**/.gnupg/**",
    "**/.password-store/**",
    "**/.aws/**",
    "**/.azure/**",
    "**/.kube/**",
    "**/.docker/**",
    "**/.config/gcloud/**",
    "**/.config/rclone/**",
    "**/.config/claviger/**",
    "**/.local/share/keyrings/**",
    "**/.mozilla/**",
    "**/*CREDENTIAL*",
    "**/*PASSWORD*",
    "**/*SECRET*",
    "**/*.pem",
    "**/*.key",
    "**/*.p12",
    "**/*.pfx",
    "**/*.jks",
    "**/*.keystore",
    "**/*.kdb",
    "**/*.kdbx",
    "**/*.ovpn",
    "**/*.age",
    "**/*.gpg",
    "**/.env*",
    "**/*.env",
    "**/id_rsa*",
    "**/id_dsa*",
    "**/id_ecdsa*",
    "**/id_ed25519*",
    "**/.netrc*",
    "**/_netrc",
    "**/.pgpass",
    "**/.my.cnf",
    "**/.npmrc",
    "**/.pypirc",
    "**/.git-credentials",
    "**/.htpasswd",
    "**/shadow",
    "**/shadow-",
    "**/wallet.dat",
    "**/*_history",
    // What this adapter makes while it writes.
    "**/.claviger-*",
];

/// How many patterns a guard takes.
const MOST: usize = 512;
/// The longest pattern, in bytes.
const LONGEST: usize = 512;

/// All patterns, folded.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    patterns: Vec<Vec<Piece>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// `**`
    Any,
    /// One name's glob.
    Name(Vec<char>),
}

impl Guard {
    /// The patterns that always hold, and these.
    ///
    /// # Errors
    /// What is wrong with one of them, as a clause.
    pub(super) fn new(more: &[String]) -> Result<Self, String> {
        if more.len() > MOST {
            return Err(format!("at most {MOST} patterns"));
        }
        let all = ALWAYS.iter().copied().chain(more.iter().map(String::as_str));
        Ok(Self { patterns: all.map(compile).collect::<Result<_, _>>()? })
    }

    /// Whether a path, or anything above it, is denied. `path` begins with a root's name.
    pub(super) fn denies<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> bool {
        let names: Vec<[Vec<char>; 2]> = path.into_iter().map(spellings).collect();
        self.patterns.iter().any(|pattern| begins(pattern, &names))
    }
}

fn compile(pattern: &str) -> Result<Vec<Piece>, String> {
    if pattern.is_empty() || pattern.len() > LONGEST {
        return Err(format!("{pattern:?}: a pattern has 1 to {LONGEST} bytes"));
    }
    let piece = |segment: &str| match segment {
        "**" => Ok(Piece::Any),
        "" | "." | ".." => {
            Err(format!("{pattern:?}: a pattern is relative, its segments are names or globs"))
        }
        name if name.contains("**") => Err(format!("{pattern:?}: ** stands alone between slashes")),
        name => match fold(name) {
            folded if folded.is_empty() => Err(format!("{pattern:?}: nothing of a name is left to compare")),
            folded => Ok(Piece::Name(folded)),
        },
    };
    let mut pieces = pattern.split('/').map(piece).collect::<Result<Vec<_>, _>>()?;
    if pieces.len() == 1 {
        pieces.insert(0, Piece::Any);
    }
    Ok(pieces)
}

/// The forms in which a name is compared: whole, and without what follows a colon (a stream of some file systems).
fn spellings(name: &str) -> [Vec<char>; 2] {
    let stream = name.split(':').next().unwrap_or(name);
    [fold(name), fold(stream)]
}

/// A name without what file systems that are lenient about names do not count.
pub(super) fn fold(name: &str) -> Vec<char> {
    let seen = |c: &char| !is_combining_mark(*c) && !is_unseen(*c) && !matches!(c, '\u{200c}'..='\u{200f}');
    let shouted: String = name.nfkd().filter(seen).flat_map(char::to_uppercase).collect();
    let folded: String = shouted.to_lowercase().nfkd().filter(seen).collect();
    folded.trim_end_matches(['.', ' ']).trim_start_matches(' ').chars().collect()
}

/// Whether the pattern fits the path or one of the paths above it.
fn begins(pattern: &[Piece], names: &[[Vec<char>; 2]]) -> bool {
    // reached[j]: the pieces so far fit the first j names.
    let mut reached = vec![false; names.len() + 1];
    reached[0] = true;
    for piece in pattern {
        match piece {
            Piece::Any => {
                let mut any = false;
                for here in &mut reached {
                    any |= *here;
                    *here = any;
                }
            }
            Piece::Name(glob) => {
                for at in (1..reached.len()).rev() {
                    reached[at] = reached[at - 1] && names[at - 1].iter().any(|name| fits(glob, name));
                }
                reached[0] = false;
            }
        }
    }
    reached.iter().skip(1).any(|reached| *reached)
}

/// Whether a name fits a glob of `*` and `?`. At most the product of their lengths.
fn fits(glob: &[char], name: &[char]) -> bool {
    let (mut g, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, n));
                g += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                g += 1;
                n += 1;
            }
            _ => match &mut star {
                // The last star takes one more.
                Some((at, taken)) => {
                    *taken += 1;
                    (g, n) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    fn denies(guard: &Guard, path: &str) -> bool {
        guard.denies(path.split('/'))
    }

    #[test]
    fn secrets_are_denied_in_every_spelling() {
        let guard = Guard::new(&[]).unwrap();
        for path in [
            "nas/.ssh",
            "nas/.ssh/known_hosts",
            "nas/a/b/.ssh/x/y",
            "nas/.SSH/config",
            "nas/.Ssh./config",
            "nas/.ssh /config",
            "nas/.ssh. . /config",
            "nas/.\u{ff53}\u{ff53}\u{ff48}/config",
            "nas/.\u{17f}sh/config",
            "nas/.s\u{301}sh/config",
            "nas/.\u{15b}sh/config",
            "nas/.ss\u{200d}h/config",
            "nas/.ss\u{200b}h/config",
            "nas/my_credentials.txt",
            "nas/My Cre\u{301}dential",
            "nas/\u{24b8}redential.txt",
            "nas/.env",
            "nas/.env.local",
            "nas/.ENV:$DATA",
            "nas/x.pem:stream",
            "nas/x.PEM::$DATA",
            "nas/x.pem..",
            "nas/id_rsa",
            "nas/id_rsa.pub",
            "nas/ID_RSA ",
            "nas/ id_rsa",
            "nas/\u{2170}d_rsa",
            "nas/db.KDBX",
            "nas/.claviger-0.tmp",
            "nas/etc/shadow",
            "nas/.config/gcloud/x",
        ] {
            assert!(denies(&guard, path), "{path:?}");
        }
        for path in [
            "nas",
            "nas/ssh",
            "nas/.sshx/y",
            "nas/notes.txt",
            "nas/pem",
            "nas/env/x",
            "nas/monkey",
            "nas/a.keys",
        ] {
            assert!(!denies(&guard, path), "{path:?}");
        }
    }

    #[test]
    fn patterns_are_added_and_mean_what_they_say() {
        let more = ["nas/tax/**", "*.bak", "**/a/*/c", "nas/x?y", "stra\u{df}e"].map(str::to_owned);
        let guard = Guard::new(&more).unwrap();
        for (path, denied) in [
            ("nas/tax", true),
            ("nas/tax/2026/x", true),
            ("NAS/Tax", true),
            ("other/tax", false),
            ("nas/b/tax", false),
            ("nas/deep/x.bak", true),
            ("nas/x.bak/below", true),
            ("nas/a/b/c", true),
            ("nas/a/c", false),
            ("nas/a/b/b/c", false),
            ("nas/xzy", true),
            ("nas/xy", false),
            ("nas/STRASSE", true),
            ("nas/.ssh", true),
        ] {
            assert_eq!(denies(&guard, path), denied, "{path}");
        }
        for bad in ["", "/etc", "a//b", "../x", "a/./b", "a**/b", "...", "x/ /y"] {
            assert!(Guard::new(&[bad.to_owned()]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_glob_ends_soon_whatever_it_is_given() {
        let glob: Vec<char> = "*a".repeat(100).chars().collect();
        let name: Vec<char> = "a".repeat(254).chars().chain(['b']).collect();
        assert!(!fits(&glob, &name));
        for (glob, name, expected) in [
            ("*", "", true),
            ("?", "", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b", "axxbc", false),
            ("**", "x", true),
        ] {
            let (glob, name): (Vec<char>, Vec<char>) = (glob.chars().collect(), name.chars().collect());
            assert_eq!(fits(&glob, &name), expected, "{glob:?} {name:?}");
        }
    }
}
