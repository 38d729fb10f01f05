//! What is said where nothing is done.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::cli::{Exit, print};

/// The most letters of a word that are shown again.
const SHOWN: usize = 40;
/// What there is.
const VERBS: &str = "there is `list`, `call` (or `tool`) and `daemon status`";

/// What is to be written, and what to end with, without anything being asked of the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// For standard output: help, or the version.
    pub out: String,
    /// For standard error: a denial.
    pub err: String,
    /// [`Exit::Ok`] for help and version, else [`Exit::Failed`].
    pub exit: Exit,
}

/// A denial, for this reason.
pub(super) fn denied(reason: &str) -> Told {
    Told { out: String::new(), err: format!("Denied: {}\n", print::line(reason)), exit: Exit::Failed }
}

impl Told {
    /// What becomes of words that are none of `mcp`'s. A value is not shown again, and what looks like a word is not offered.
    pub(super) fn of(fault: &clap::Error) -> Self {
        match fault.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                Self { out: fault.to_string(), err: String::new(), exit: Exit::Ok }
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
                denied(&format!("it is not said what to do; {VERBS}"))
            }
            ErrorKind::InvalidSubcommand => {
                let verb = context(fault, ContextKind::InvalidSubcommand);
                denied(&format!("{}; {VERBS}", about_verb(&verb)))
            }
            ErrorKind::UnknownArgument => denied(&about_option(&context(fault, ContextKind::InvalidArg))),
            ErrorKind::MissingRequiredArgument => {
                denied(&format!("{} is missing", context(fault, ContextKind::InvalidArg)))
            }
            ErrorKind::InvalidUtf8 => denied("a word is not UTF-8"),
            // One that is given twice, or has a value that it does not take.
            _ => denied(&format!("`{}` cannot be taken so", context(fault, ContextKind::InvalidArg))),
        }
    }
}

fn about_verb(verb: &str) -> String {
    match verb {
        "auth" => "an agent does not log in: the owner does, with `claviger connect`".to_owned(),
        "start" | "stop" | "restart" => "the vault is the owner's to start and stop".to_owned(),
        "config" | "vault" => "an agent does not configure: the owner does, with `claviger`".to_owned(),
        _ => format!("`{verb}` is not done here"),
    }
}

fn about_option(option: &str) -> String {
    match option {
        "--stdio" | "--stdio-arg" | "--http-url" | "--allow-http" | "--sse" | "--header" | "--env"
        | "--cwd" | "--name" | "--description" | "--persist" | "--config" | "--root" => {
            format!("no `{option}`: which servers there are, the owner says, and no word does")
        }
        _ if option.starts_with('-') => {
            format!("no `{option}`; arguments of a tool are written KEY=VALUE")
        }
        _ => format!("`{option}` is one word too many"),
    }
}

/// The word that a fault is about, in letters that can be shown; without a value that hangs on it.
fn context(fault: &clap::Error, kind: ContextKind) -> String {
    let word = match fault.get(kind) {
        Some(ContextValue::String(word)) => word.as_str(),
        Some(ContextValue::Strings(words)) => words.first().map(String::as_str).unwrap_or_default(),
        _ => "",
    };
    let name: String = word.chars().take_while(|letter| *letter != '=').take(SHOWN).collect();
    print::line(&name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;
    use crate::cli::shim::{Asked, Words};
    use clap::CommandFactory as _;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    fn read(line: &[&str]) -> Result<Asked, Told> {
        Asked::read(line.iter().map(OsString::from))
    }

    #[test]
    fn the_definition_is_sound() {
        Words::command().debug_assert();
    }

    #[test]
    fn what_can_be_asked() {
        for line in [
            &["list"][..],
            &["list", "gmail"],
            &["list", "gmail.get_message", "--schema"],
            &["list", "--json"],
            &["list", "gmail", "--json", "--schema"],
            &["list", "--output", "json"],
            &["call", "mcp_a.read_list"],
            &["tool", "mcp_a.read_list"],
            &["call", "mcp_a.read_list", "k=v", "k=@/etc/passwd", "l:=[1]"],
            &["call", "mcp_a.read_list", "k=v", "--output", "json", "--timeout", "5000", "l=w"],
            &["call", "mcp_a.read_list", "--output", "markdown"],
            &["call", "mcp_a.read_list", "--args", r#"{"k":"@/etc/passwd"}"#],
            &["call", "mcp_a.read_list", "--json", "{}"],
            &["call", "mcp_a.read_list", "--", "-k=v"],
            &["daemon", "status"],
        ] {
            assert!(read(line).is_ok(), "{line:?}: {:?}", read(line));
        }
    }

    /// Each verb and option that mcporter has and `mcp` has not, and tricks with those that it has.
    #[test]
    fn what_cannot() {
        let verbs = [
            "auth",
            "config",
            "generate-cli",
            "inspect-cli",
            "inspect",
            "serve",
            "record",
            "replay",
            "emit-ts",
            "resource",
            "resources",
            "vault",
            "describe",
            "list-tools",
            "help",
            "version",
            "start",
            "List",
            "LIST",
            "lis",
            "listt",
            "cal",
            "calls",
            "CALL",
            "tools",
            "call ",
            " call",
            "c\u{430}ll",
            "list\u{200b}",
            "mcp_a.read_list",
            "mcp_a.read_list(k: 1)",
            "mcp_a",
            "https://host.example/mcp",
            "https://host.example/mcp.tool",
            "/bin/sh",
            "./server.js",
            "npx -y server",
            "@list",
            "-",
            "",
        ];
        for verb in verbs {
            for rest in [&[][..], &["mcp_a.read_list"], &["mcp_a.read_list", "k=v"]] {
                let line: Vec<&str> = [verb].iter().chain(rest).copied().collect();
                assert_denied(&line);
            }
        }
        let options = [
            "--stdio",
            "--stdio-arg",
            "--http-url",
            "--allow-http",
            "--sse",
            "--header",
            "--env",
            "--cwd",
            "--name",
            "--description",
            "--persist",
            "--config",
            "--root",
            "--yes",
            "--server",
            "--mcp",
            "--tool",
            "--tail-log",
            "--no-oauth",
            "--save-images",
            "--raw-strings",
            "--no-coerce",
            "--raw",
            "--log-level",
            "--oauth-timeout",
            "--socket",
            "--vault-uid",
            "--handle",
            "--folder",
            "--outp",
            "--OUTPUT",
            "--k",
            "-o",
            "-v",
            "-k",
        ];
        for option in options {
            for line in [
                &[option, "list"][..],
                &[option, "x", "call", "mcp_a.read_list"],
                &["list", option],
                &["call", option, "mcp_a.read_list"],
                &["call", "mcp_a.read_list", option],
                &["call", "mcp_a.read_list", option, "x"],
                &["call", "mcp_a.read_list", &format!("{option}=x")],
                &["call", "mcp_a.read_list", "k=v", option, "x"],
                &["daemon", "status", option],
            ] {
                assert_denied(line);
            }
        }
        for line in [
            &[][..],
            &["call"],
            &["tool"],
            &["daemon"],
            &["daemon", "start"],
            &["daemon", "stop"],
            &["daemon", "restart"],
            &["daemon", "help"],
            &["daemon", "Status"],
            &["daemon", "stat"],
            &["daemon", "status", "x"],
            &["list", "gmail", "drive"],
            &["list", "Gmail"],
            &["list", "https://host.example/mcp"],
            &["list", "--json", "--json"],
            &["list", "--json", "--output", "text"],
            &["list", "--output", "raw"],
            &["call", "mcp_a"],
            &["call", "mcp_a", "read_list"],
            &["call", "mcp_a", "tool=read_list"],
            &["call", "server=mcp_a", "tool=read_list"],
            &["call", "mcp_a.read_list(k: 1)"],
            &["call", "mcp_a.read_list()"],
            &["call", "mcp_a.Read_list"],
            &["call", "mcp_a:read_list"],
            &["call", "mcp_a/read_list"],
            &["call", "mcp_a.read_list "],
            &["call", "mcp_a.read_list\n"],
            &["call", "mcp_a.read_list\0"],
            &["call", "mcp_a.read_l\u{456}st"],
            &["call", "https://host.example/mcp.read_list"],
            &["call", "npx -y server", "read_list"],
            &["call", "/usr/bin/server", "read_list"],
            &["call", "@/etc/passwd"],
            &["call", "-"],
            &["call", ""],
            &["call", "mcp_a.read_list", "--output", "raw"],
            &["call", "mcp_a.read_list", "--output", "JSON"],
            &["call", "mcp_a.read_list", "--output", "json", "--output", "json"],
            &["call", "mcp_a.read_list", "--timeout", "0"],
            &["call", "mcp_a.read_list", "--timeout", "-1"],
            &["call", "mcp_a.read_list", "--timeout", "1s"],
            &["call", "mcp_a.read_list", "--timeout", "3600001"],
            &["call", "mcp_a.read_list", "--timeout"],
            &["call", "mcp_a.read_list", "--json"],
            &["call", "mcp_a.read_list", "--args", "-"],
            &["call", "mcp_a.read_list", "--args", "@/etc/passwd"],
            &["call", "mcp_a.read_list", "--args", "/etc/passwd"],
            &["call", "mcp_a.read_list", "--args", "[]"],
            &["call", "mcp_a.read_list", "--args", r#"{"a":1,"a":2}"#],
            &["call", "mcp_a.read_list", "--args", "{}", "--json", "{}"],
        ] {
            assert_denied(line);
        }
        for line in [[&b"li\xffst"[..], b"x"], [b"call", b"mcp_a.re\xffad"], [b"list", b"\xff"]] {
            let told = Asked::read(line.map(|word| OsString::from_vec(word.to_vec()))).unwrap_err();
            assert!(told.err.starts_with("Denied: "), "{told:?}");
        }
    }

    #[track_caller]
    fn assert_denied(line: &[&str]) {
        let Err(Told { out, err, exit }) = read(line) else { panic!("{line:?} was taken") };
        assert_eq!((out.as_str(), exit), ("", Exit::Failed), "{line:?}");
        // One sentence, without a value, and without a word that would do.
        assert!(
            err.starts_with("Denied: ") && err.ends_with('\n') && err.lines().count() == 1,
            "{line:?}: {err}"
        );
        assert!(
            !err.contains("/etc/passwd") && !err.contains("tip:") && !err.contains("Usage"),
            "{line:?}: {err}"
        );
    }

    #[test]
    fn the_reason_is_said() {
        for (line, expected) in [
            (
                &["auth", "gmail"][..],
                "Denied: an agent does not log in: the owner does, with `claviger connect`; there is `list`, `call` (or \
                 `tool`) and `daemon status`\n",
            ),
            (
                &["call", "--stdio", "sh -c id", "x"],
                "Denied: no `--stdio`: which servers there are, the owner says, and no word does\n",
            ),
            (
                &["call", "a.b", "--canary=\u{1b}[2J"],
                "Denied: no `--canary`; arguments of a tool are written KEY=VALUE\n",
            ),
            (
                &["call", "a.b(c: 1)"],
                "Denied: a tool is SERVER.TOOL, by its exact name; no address, command, path or expression\n",
            ),
            (&["list", "a", "b=canary"], "Denied: `b` is one word too many\n"),
            (&["call"], "Denied: <SERVER.TOOL> is missing\n"),
            (&["call", "a.b", "--output", "raw"], "Denied: `--output <FORMAT>` cannot be taken so\n"),
            (&["list", "a", "b\u{1b}[2J\nc"], "Denied: `b\\u{1b}[2J c` is one word too many\n"),
            (
                &["\u{202e}tsil"],
                "Denied: `\\u{202e}tsil` is not done here; there is `list`, `call` (or `tool`) and `daemon status`\n",
            ),
            (
                &["call", "a.b", "--args", "@canary"],
                "Denied: `--args` is not JSON that can be sent: unexpected byte at byte 0; it is the object itself, and \
                 neither a file nor standard input\n",
            ),
        ] {
            assert_eq!(read(line).unwrap_err().err, expected, "{line:?}");
        }
    }

    #[test]
    fn help_and_version_ask_nobody() {
        for line in [&["--help"][..], &["-h"], &["list", "--help"], &["call", "-h"], &["daemon", "--help"]] {
            let told = read(line).unwrap_err();
            assert!(
                told.exit == Exit::Ok && told.err.is_empty() && told.out.contains("Usage: mcp"),
                "{told:?}"
            );
        }
        for line in [["--version"], ["-V"]] {
            assert_eq!(read(&line).unwrap_err().out, format!("mcp {}\n", env!("CARGO_PKG_VERSION")));
        }
    }
}
