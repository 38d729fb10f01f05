//! Putting one table into a TOML file: at its end, or in the place of the lines that were it.

use toml::{Table, Value};

use super::json_text::Unfit;

/// Puts the table `[OUTER.NAME]` into a text, in place of one that is there.
///
/// `lines` are the table's own, without its head. The result differs from the text by that table alone, or is refused.
///
/// # Errors
/// See [`Unfit`]; then nothing is to be written.
pub(super) fn put(text: &str, outer: &str, name: &str, lines: &str) -> Result<String, Unfit> {
    let before: Table = text.parse().map_err(|_| Unfit::NotToml)?;
    let there = member(&before, outer, name).is_some();
    let kept = if there { without(text, outer, name) } else { text.to_owned() };
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let gap = match kept.as_str() {
        "" => "",
        kept if kept.ends_with(&newline.repeat(2)) => "",
        kept if kept.ends_with('\n') => newline,
        _ => &newline.repeat(2),
    };
    let table = format!("[{outer}.{name}]\n{lines}").replace('\n', newline);
    let after = format!("{kept}{gap}{table}");
    let new: Table = lines.parse().map_err(|_| Unfit::Entangled)?;
    let mut expected = before;
    let servers = expected.entry(outer).or_insert_with(|| Value::Table(Table::new()));
    servers.as_table_mut().ok_or(Unfit::Shape)?.insert(name.to_owned(), Value::Table(new));
    match after.parse::<Table>() {
        Ok(read) if read == expected => Ok(after),
        _ => Err(Unfit::Entangled),
    }
}

/// The table `[OUTER.NAME]`, or whatever else has that name.
pub(super) fn member<'t>(table: &'t Table, outer: &str, name: &str) -> Option<&'t Value> {
    table.get(outer)?.as_table()?.get(name)
}

/// The lines but for those of that table and of the tables in it. A guess by lines: what it does is checked by reading.
fn without(text: &str, outer: &str, name: &str) -> String {
    let own = [format!("[{outer}.{name}]"), format!("[{outer}.\"{name}\"]")];
    let inner = [format!("[{outer}.{name}."), format!("[{outer}.\"{name}\".")];
    let mut skip = false;
    let mut kept = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let head = line.trim_start();
        if head.starts_with('[') {
            skip = own.iter().chain(&inner).any(|begin| head.starts_with(begin.as_str()));
        }
        if !skip {
            kept.push_str(line);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    const LINES: &str = "command = \"c\"\nargs = [\"mcp\"]\n";

    #[test]
    fn a_table_comes_at_the_end_and_goes_in_the_place_of_its_old_self() {
        let put = |text: &str| put(text, "mcp_servers", "claviger", LINES);
        let table = format!("[mcp_servers.claviger]\n{LINES}");
        assert_eq!(put("").unwrap(), table);
        let file = "# mine\nmodel = \"x\"  # good\n\n[mcp_servers.other]\ncommand = 'o'";
        assert_eq!(put(file).unwrap(), format!("{file}\n\n{table}"));
        assert_eq!(put(&format!("{file}\n")).unwrap(), format!("{file}\n\n{table}"));
        let old = format!(
            "{file}\n\n[mcp_servers.claviger]\ncommand = \"old\"\n[mcp_servers.claviger.env]\nA = \"b\"\n\n# last\n[z]\na = 1\n"
        );
        let new = put(&old).unwrap();
        assert!(new.starts_with(file) && new.contains("[z]\na = 1\n") && new.ends_with(&table), "{new}");
        assert!(!new.contains("old"));
        let again = put(&put("a = 1\r\n").unwrap()).unwrap();
        assert_eq!(again, format!("a = 1\r\n\r\n{}", table.replace('\n', "\r\n")));
    }

    #[test]
    fn what_cannot_be_done_by_lines_is_refused() {
        let check =
            |text: &str, why| assert_eq!(put(text, "mcp_servers", "claviger", LINES), Err(why), "{text}");
        check("a = ", Unfit::NotToml);
        check("mcp_servers = 1", Unfit::Shape);
        check("mcp_servers = { other = { command = 'o' } }", Unfit::Entangled);
        check("mcp_servers = { claviger = { command = 'o' } }", Unfit::Entangled);
        check("[mcp_servers]\nclaviger.command = 'o'\n", Unfit::Entangled);
        check("[[mcp_servers]]\na = 1\n", Unfit::Shape);
        // A line of a text that looks like a head.
        check("[mcp_servers.claviger]\ncommand = '''\n[z]\n'''\n", Unfit::Entangled);
    }
}
