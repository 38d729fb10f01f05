//! What the command line needs of the world: where to write, whom to ask, what time it is.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::failure::{Exit, Failure};
use super::report::Report;
use super::visible::{visible, visible_json};
use crate::config::env;

/// The longest line that is read, in bytes.
const MAX_LINE: usize = 64 * 1024;

/// Someone who can be asked.
pub trait Ask: Send {
    /// Whether a person sits there.
    fn is_person(&self) -> bool;
    /// Asks without showing the answer.
    ///
    /// # Errors
    /// There is no terminal.
    fn hidden(&mut self, prompt: &str) -> io::Result<SecretString>;
    /// The next line of stdin, without its end.
    ///
    /// # Errors
    /// There is none, or it is longer than 64 KiB, or no UTF-8.
    fn line(&mut self) -> io::Result<SecretString>;
    /// All further lines of stdin, as they come.
    fn lines(&mut self) -> tokio::sync::mpsc::Receiver<String>;
}

/// Everything outside of this process that a command touches, besides files and sockets.
pub struct World {
    /// Where results go.
    pub out: Box<dyn Write + Send>,
    /// Where everything else goes.
    pub err: Box<dyn Write + Send>,
    /// Whom to ask.
    pub ask: Box<dyn Ask>,
    /// Opens an https address in a browser; tells whether that was begun.
    pub browse: fn(&url::Url) -> bool,
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// Whether to colour results.
    pub colour: bool,
    /// Whether there is a screen for a browser.
    pub screen: bool,
    /// The home directory of the user, where programs keep their configuration.
    pub user_home: Option<PathBuf>,
    /// The current directory.
    pub directory: PathBuf,
    /// The value of an environment variable that a file refers to by name; it may be a secret.
    pub variable: fn(&str) -> Option<SecretString>,
}

impl World {
    /// The real one.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "the one place where the command line learns the time")]
    pub fn real() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            colour: io::stdout().is_terminal() && env::NO_COLOR.value().is_none(),
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            ask: Box::new(Terminal),
            browse: super::browser::browse,
            now_ms: now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX)),
            screen: env::has_screen(),
            user_home: env::HOME.value().map(PathBuf::from),
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            variable: env::referred,
        }
    }

    /// A line that is no result: progress, a question. Goes to stderr.
    pub(super) fn note(&mut self, line: &str) {
        // Nobody is there to be told that stderr is closed.
        let _ = writeln!(self.err, "{}", visible(line));
    }

    /// Prints one line of a result that comes line by line: a JSON value, without line breaks in it.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub(super) fn line(&mut self, value: &serde_json::Value) -> io::Result<()> {
        writeln!(self.out, "{}", visible_json(&value.to_string()))
    }

    /// Prints a result.
    pub(super) fn say(&mut self, report: &Report, json: bool) -> Exit {
        let written = match &report.json {
            Some(value) if json => writeln!(self.out, "{}", visible_json(&format!("{value:#}"))),
            _ => self.out.write_all(report.text.as_bytes()),
        };
        match written.and_then(|()| self.out.flush()) {
            Ok(()) => Exit::Done,
            // Whoever read, as `head` does, has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Err(error) => {
                self.note(&format!("error: the result cannot be written: {error}"));
                self.note("hint: it was done all the same; look with `claviger log`");
                Exit::Failed
            }
        }
    }

    /// Prints a failure, with what to do next.
    pub(super) fn complain(&mut self, failure: &Failure, json: bool) -> Exit {
        let hints = failure.all_hints();
        if json {
            let value = serde_json::json!({ "error": {
                "exit": failure.exit as u8,
                "class": failure.class,
                "message": failure.message,
                "hints": hints,
                "reference": failure.reference,
            }});
            let _ = writeln!(self.err, "{}", visible_json(&format!("{value:#}")));
        } else {
            // The list of a configuration's faults has lines of its own.
            for (index, line) in failure.message.lines().enumerate() {
                self.note(&if index == 0 { format!("error: {line}") } else { line.to_owned() });
            }
            for hint in hints {
                self.note(&format!("hint: {hint}"));
            }
        }
        failure.exit
    }

    /// Prints what the parser of arguments says: help, the version, or a fault with its suggestion.
    pub(super) fn say_usage(&mut self, error: &clap::Error) -> Exit {
        let rendered = error.render();
        if error.use_stderr() {
            let _ = write!(self.err, "{rendered}");
            return Exit::Usage;
        }
        let _ = write!(self.out, "{rendered}").and_then(|()| self.out.flush());
        Exit::Done
    }
}

/// A person at a terminal, or whatever stdin is.
struct Terminal;

impl Ask for Terminal {
    fn is_person(&self) -> bool {
        io::stdin().is_terminal()
    }

    fn hidden(&mut self, prompt: &str) -> io::Result<SecretString> {
        rpassword::prompt_password(prompt).map(SecretString::from)
    }

    fn line(&mut self) -> io::Result<SecretString> {
        read_line(&io::stdin()).map(|mut line| SecretString::from(std::mem::take(&mut *line)))
    }

    fn lines(&mut self) -> tokio::sync::mpsc::Receiver<String> {
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        // A thread of its own: nothing can end a read of a terminal, and the runtime must not wait for it.
        std::thread::spawn(move || {
            while let Ok(mut line) = read_line(&io::stdin()) {
                if sender.blocking_send(std::mem::take(&mut *line)).is_err() {
                    break;
                }
            }
        });
        receiver
    }
}

/// One line, byte by byte: a buffer of the standard library would keep a copy of it.
fn read_line(from: &impl AsFd) -> io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LINE));
    let mut ended = false;
    while !ended {
        let mut byte = Zeroizing::new([0; 1]);
        match rustix::io::read(from, &mut byte[..]) {
            Ok(0) if bytes.is_empty() => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "stdin has ended"));
            }
            Ok(0) => ended = true,
            Ok(_) if byte[0] == b'\n' => ended = true,
            Ok(_) if bytes.len() == MAX_LINE => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a line of stdin is longer than 64 KiB",
                ));
            }
            Ok(_) => bytes.push(byte[0]),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        io::Error::new(io::ErrorKind::InvalidData, "stdin is not UTF-8 text")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn lines_are_read_one_by_one() {
        let file = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            io::Seek::rewind(&mut file).unwrap();
            file
        };
        let two = file(b"first\r\nsecond");
        assert_eq!(*read_line(&two).unwrap(), "first");
        assert_eq!(*read_line(&two).unwrap(), "second");
        assert_eq!(read_line(&two).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(*read_line(&file(b"\n")).unwrap(), "");
        assert!(read_line(&file(b"\xff\n")).is_err());
        assert!(read_line(&file(&[b'x'; MAX_LINE + 1])).is_err());
    }
}
