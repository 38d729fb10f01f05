//! What a program that ended has said.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::PATIENCE;

/// A program that ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// What was typed.
    pub line: String,
    /// The exit code; -1 where a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// Runs a program to its end.
    ///
    /// # Panics
    /// It cannot be started, or does not end in time.
    pub async fn of(command: &mut Command, stdin: &str) -> Self {
        let line = format!("{:?}", command.as_std());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        // A program that does not read what it is given is right to end without it.
        let _ = pipe.write_all(stdin.as_bytes()).await;
        drop(pipe);
        let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        let output = ended.unwrap_or_else(|_| panic!("it does not end: {line}")).unwrap();
        Self {
            line,
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The same, if it ended with that code.
    ///
    /// # Panics
    /// It ended with another one.
    #[must_use]
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}\n{}", self.line, self.out, self.err);
        self
    }

    /// The same, if it went well.
    ///
    /// # Panics
    /// It did not.
    #[must_use]
    #[track_caller]
    pub fn success(self) -> Self {
        self.code(0)
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// It is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}\n{}", self.line, self.out, self.err))
    }

    /// Standard output and error.
    #[must_use]
    pub fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}
