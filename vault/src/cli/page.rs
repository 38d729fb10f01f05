//! Plain text for people: lines, names with values, and aligned tables. All of it made visible on the way in.

use super::visible::visible;

/// A text that grows.
pub(super) struct Page {
    text: String,
    colour: bool,
}

/// A colour with a meaning.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tone {
    /// Something to act on.
    Alarm,
    /// Something that is well.
    Good,
}

impl Page {
    /// An empty page, in colour or not.
    pub(super) fn new(colour: bool) -> Self {
        Self { text: String::new(), colour }
    }

    /// One line.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(&visible(line.as_ref()));
        self.text.push('\n');
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// One line in a colour, if there are colours.
    pub(super) fn toned(&mut self, tone: Tone, line: impl AsRef<str>) {
        let code = match tone {
            Tone::Alarm => "31",
            Tone::Good => "32",
        };
        let line = visible(line.as_ref());
        if self.colour {
            self.text.push_str(&format!("\x1b[{code}m{line}\x1b[0m\n"));
        } else {
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    /// Lines an owner should act on.
    pub(super) fn warnings(&mut self, warnings: &[String]) {
        for warning in warnings {
            self.toned(Tone::Alarm, format!("warning: {warning}"));
        }
    }

    /// Names and values, aligned; those without a value are left out. Line breaks in a value begin an aligned line.
    pub(super) fn fields(&mut self, fields: &[(&str, String)]) {
        let fields: Vec<_> = fields.iter().filter(|(_, value)| !value.is_empty()).collect();
        let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in fields {
            for (index, part) in value.split('\n').enumerate() {
                let name = if index == 0 { name } else { "" };
                let line = format!("{name:width$}  {}", visible(part));
                self.text.push_str(line.trim_end());
                self.text.push('\n');
            }
        }
    }

    /// A name, and below it a text that somebody else wrote: every line of it behind a bar, and none so long that a
    /// terminal would break it and begin a line of its own.
    pub(super) fn block(&mut self, name: &str, text: &str) {
        self.line(name);
        for line in text.split('\n') {
            let mut bar = "  │ ";
            for part in wrapped(&visible(line)) {
                self.text.push_str(bar);
                self.text.push_str(&part);
                self.text.push('\n');
                // A break that is not the text's.
                bar = "  ┆ ";
            }
        }
    }

    /// A table: the head, then rows of as many cells. Without rows, the line `none` is said instead.
    pub(super) fn table(&mut self, head: &[&str], rows: &[Vec<String>], none: &str) {
        if rows.is_empty() {
            self.line(none);
            return;
        }
        let head: Vec<String> = head.iter().map(|name| name.to_uppercase()).collect();
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| visible(cell)).collect()).collect();
        let width = |column: usize| {
            let cells = rows.iter().chain([&head]).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        for row in [&head].into_iter().chain(&rows) {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            self.text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            self.text.push('\n');
        }
    }

    /// What was written.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// The line in parts of at most 72 columns; what is not ASCII may be two wide.
fn wrapped(line: &str) -> Vec<String> {
    const COLUMNS: usize = 72;
    let (mut parts, mut part, mut width) = (Vec::new(), String::new(), 0);
    for c in line.chars() {
        let columns = if c.is_ascii() { 1 } else { 2 };
        if width + columns > COLUMNS {
            parts.push(std::mem::take(&mut part));
            width = 0;
        }
        part.push(c);
        width += columns;
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_cannot_leave_its_bars() {
        let mut page = Page::new(false);
        let forged = format!("Hi\n\nto (1 of 1)\n  │ boss@example.org\u{1b}[9A{}to", " ".repeat(200));
        page.block("body", &forged);
        page.block("漢字", &"漢".repeat(80));
        let text = page.into_text();
        let own: Vec<&str> =
            text.lines().filter(|line| !line.starts_with("  │ ") && !line.starts_with("  ┆ ")).collect();
        assert_eq!(own, ["body", "漢字"]);
        assert!(text.contains("  │   │ boss@example.org\\u{1b}[9A"), "{text}");
        assert!(
            text.lines()
                .all(|line| line.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<usize>() <= 80)
        );
        // Nothing of it is left out.
        let said: String = text.lines().filter_map(|line| line.get(6..)).collect();
        assert_eq!(said.matches('漢').count(), 80);
    }

    #[test]
    fn tables_are_aligned_and_safe() {
        let mut page = Page::new(false);
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        page.table(&["name", "x"], &[row("ä", "1"), row("longer", "\x1b[31m")], "nothing");
        page.fields(&[("a", "1\n2".into()), ("long", "x".into()), ("left out", String::new())]);
        page.table(&["name"], &[], "nothing");
        page.toned(Tone::Alarm, "red");
        assert_eq!(
            page.into_text(),
            "NAME    X\nä       1\nlonger  \\u{1b}[31m\na     1\n      2\nlong  x\nnothing\nred\n"
        );
        let mut page = Page::new(true);
        page.warnings(&["w".into()]);
        assert_eq!(page.into_text(), "\x1b[31mwarning: w\x1b[0m\n");
    }
}
