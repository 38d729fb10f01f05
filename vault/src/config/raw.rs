//! Reading values out of TOML tables, each fault noted and the reading continued.

use toml::{Table, Value};

use super::Fault;
use super::nearest::nearest;

/// Words that people use for a key of another name.
const OTHER_WORDS: [(&str, &str); 12] = [
    ("admins", "admin-uids"),
    ("admin-uid", "admin-uids"),
    ("user-mode", "mode"),
    ("log-level", "log"),
    ("level", "log"),
    ("runtime-dir", "run-dir"),
    ("catalog", "services-dir"),
    ("database", "store-path"),
    ("retention", "retention-days"),
    ("max-size", "max-bytes"),
    ("url", "origin"),
    ("auth", "authorize"),
];

/// A table that is being read: each key is taken out, and what is left at the end is unknown.
pub(super) struct Reader<'a> {
    prefix: String,
    table: Table,
    known: Vec<&'static str>,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(prefix: &str, table: Table, faults: &'a mut Vec<Fault>) -> Self {
        Self { prefix: prefix.to_owned(), table, known: Vec::new(), faults }
    }

    /// Notes a fault of that key.
    pub(super) fn fault(&mut self, key: &str, problem: impl Into<String>) {
        let key = join(&self.prefix, key);
        self.faults.push(Fault { key, problem: problem.into(), hint: None });
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// A text, if the key is there.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => Some(text),
            other => {
                self.fault(key, format!("must be a text in quotes, not {}", kind(&other)));
                None
            }
        }
    }

    /// A text that must be there.
    pub(super) fn required(&mut self, key: &'static str) -> Option<String> {
        if !self.table.contains_key(key) {
            self.known.push(key);
            self.fault(key, "is missing");
            return None;
        }
        self.text(key)
    }

    /// `true` or `false`; `false` if the key is not there.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        match self.take(key) {
            None => false,
            Some(Value::Boolean(flag)) => flag,
            Some(other) => {
                self.fault(key, format!("must be true or false, not {}", kind(&other)));
                false
            }
        }
    }

    /// A whole number in that range.
    pub(super) fn number(&mut self, key: &'static str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        match self.take(key)? {
            Value::Integer(number) if range.contains(&number) => Some(number),
            Value::Integer(_) => {
                self.fault(key, format!("must be from {} to {}", range.start(), range.end()));
                None
            }
            other => {
                self.fault(key, format!("must be a whole number, not {}", kind(&other)));
                None
            }
        }
    }

    /// A size: bytes as a number, or a text such as `64 MiB`.
    pub(super) fn size(&mut self, key: &'static str) -> Option<u64> {
        let size = match self.take(key)? {
            Value::Integer(bytes) => u64::try_from(bytes).ok(),
            Value::String(text) => size(&text),
            _ => None,
        };
        if size.is_none() {
            self.fault(key, "must be a size, such as 67108864 or \"64 MiB\" (KiB, MiB or GiB)");
        }
        size
    }

    /// A list of whole numbers.
    pub(super) fn numbers(&mut self, key: &'static str) -> Option<Vec<i64>> {
        let Value::Array(items) = self.take(key)? else {
            self.fault(key, "must be a list of whole numbers, such as [1000]");
            return None;
        };
        let numbers = items.iter().map(Value::as_integer).collect::<Option<Vec<_>>>();
        if numbers.is_none() {
            self.fault(key, "must be a list of whole numbers, such as [1000]");
        }
        numbers
    }

    /// A table below this one; empty if it is not there.
    pub(super) fn table(&mut self, key: &'static str) -> Table {
        match self.take(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                self.fault(key, format!("must be a table, [{key}], not {}", kind(&other)));
                Table::new()
            }
        }
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(self) {
        let Self { prefix, table, known, faults } = self;
        for key in table.keys() {
            let meant = OTHER_WORDS
                .iter()
                .find(|(word, name)| *word == key.replace('_', "-") && known.contains(name))
                .map(|(_, name)| *name)
                .or_else(|| nearest(key, known.iter().copied()));
            let hint = match meant {
                Some(name) => format!("the key is called `{name}`"),
                None => format!("known here: {}", known.join(", ")),
            };
            faults.push(Fault {
                key: join(&prefix, key),
                problem: "there is no such key".to_owned(),
                hint: Some(hint),
            });
        }
    }
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// Bytes of a size such as `4 GiB`; digits, then at most one space, then the unit.
fn size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.strip_prefix(' ').unwrap_or(unit) {
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}
