//! A list of allowed actions: one `server.tool` a line; what is commented out is what its owner does not allow.

use std::path::Path;

use super::super::client_install::{For, Held};
use super::super::failure::Failure;
use super::found::Line;

/// Where such a list usually is.
pub(super) const FILE: &str = "/etc/mcporter/allowed-actions.txt";
/// The most lines that are read.
const MOST: usize = 10_000;

/// What a list says, and notes on what in it says nothing.
pub(super) struct List {
    /// Its lines.
    pub(super) lines: Vec<Line>,
    /// What an owner should know.
    pub(super) notes: Vec<String>,
}

/// Reads a list. `None` if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<List>, Failure> {
    let held = Held::open(path, For::Reading)?;
    if !held.exists() {
        return Ok(None);
    }
    if held.text().lines().count() > MOST {
        return Err(Failure::new(format!("{} has more than {MOST} lines", path.display()))
            .hint("nothing was read; make a shorter list"));
    }
    let (lines, odd) = parse(held.text());
    // The lines themselves are not shown: whatever is in the wrong file may be a secret.
    let notes = odd.iter().map(|number| format!("{}: line {number} is no `server.tool`", path.display()));
    Ok(Some(List { lines, notes: notes.take(20).collect() }))
}

/// The lines that say something, and the numbers of those that do not.
fn parse(text: &str) -> (Vec<Line>, Vec<usize>) {
    let (mut lines, mut odd) = (Vec::new(), Vec::new());
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        match line.strip_prefix('#') {
            // Only what stands there like an action, by itself or with a reason, is one that was commented out.
            Some(comment) => {
                let comment = comment.trim_start_matches('#').trim();
                let (action, reason) = comment.split_once(char::is_whitespace).unwrap_or((comment, ""));
                if reason.is_empty() || reason.trim_start().starts_with(['-', '#', '(', '–', '—']) {
                    lines.extend(self::line(action, false));
                }
            }
            // As the wrapper took it: exactly, and alone on the line.
            None => match self::line(line, true) {
                Some(line) => lines.push(line),
                None => odd.push(at + 1),
            },
        }
    }
    (lines, odd)
}

fn line(action: &str, allowed: bool) -> Option<Line> {
    let (server, tool) = action.split_once('.')?;
    let fine = |part: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-/".contains(&b);
        (1..=64).contains(&part.len()) && part.bytes().all(plain)
    };
    (fine(server) && fine(tool)).then(|| Line { server: server.to_owned(), tool: tool.to_owned(), allowed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_says() {
        let text = "# MCP A\nmcp_a.read_list\n#mcp_a.write_list - don't allow\n\n  mcp_b.foo  \r\n# b.bar\n## b.baz # no\n# see mcp_a.read_list for more\n# e.g. this\nmcp_b.foo now\nfoo\n*\nb.*\na.b.c\n\u{202e}a.b\n";
        let (lines, odd) = parse(text);
        let said: Vec<_> =
            lines.iter().map(|line| (line.server.as_str(), line.tool.as_str(), line.allowed)).collect();
        assert_eq!(
            said,
            [
                ("mcp_a", "read_list", true),
                ("mcp_a", "write_list", false),
                ("mcp_b", "foo", true),
                ("b", "bar", false),
                ("b", "baz", false),
            ]
        );
        assert_eq!(odd, [10, 11, 12, 13, 14, 15]);
    }
}
