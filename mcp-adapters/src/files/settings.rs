//! The settings file of the `files` adapter.
//!
//! ```toml
//! deny = ["**/tax/**"]          # added to what is always denied
//!
//! [roots]                       # what can be read: a name, and its directory
//! media = "/srv/nas/media"
//!
//! [writable]                    # at most one folder that can be written, too
//! name = "drop"
//! path = "/srv/nas/agent"
//! max-file-bytes  = 1048576
//! max-total-bytes = 104857600
//! max-files       = 1000
//! ```

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::path::is_segment;

/// What the file says, checked; directories are not looked at yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilesSettings {
    /// The roots, by name; the writable one is among them.
    pub roots: Vec<RootSettings>,
    /// Patterns added to those that always hold.
    pub deny: Vec<String>,
    /// How much may be written.
    pub quota: Quota,
}

/// One root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootSettings {
    /// What agents call it: the first segment of every path.
    pub name: String,
    /// Its directory; absolute.
    pub path: PathBuf,
    /// Whether it may be written to.
    pub writable: bool,
}

/// How much may be written. What is denied by name is not counted: nobody learns from a quota what is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The largest file that is written, in bytes.
    pub file_bytes: u64,
    /// All files of the writable folder together, in bytes.
    pub total_bytes: u64,
    /// How many files and directories the writable folder holds.
    pub files: u64,
}

impl Default for Quota {
    /// 1 MiB a file, 100 MiB in 1000 files and directories.
    fn default() -> Self {
        Self { file_bytes: 1 << 20, total_bytes: 100 << 20, files: 1000 }
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It says something that it must not, or is no TOML.
    #[error("{}: {}", path.display(), faults.join("; "))]
    Faults {
        /// The file.
        path: PathBuf,
        /// Each fault.
        faults: Vec<String>,
    },
}

impl FilesSettings {
    /// Reads the settings file.
    ///
    /// # Errors
    /// It cannot be read, or every fault that it has.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|faults| SettingsError::Faults { path: path.to_owned(), faults })
    }

    /// Checks the text of a settings file.
    ///
    /// # Errors
    /// Every fault that it has.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let mut table =
            text.parse::<Table>().map_err(|error| vec![error.to_string().trim_end().to_owned()])?;
        let mut faults = Vec::new();
        let mut settings = Self { roots: Vec::new(), deny: Vec::new(), quota: Quota::default() };
        match table.remove("roots") {
            None => {}
            Some(Value::Table(roots)) => {
                for (name, path) in roots {
                    settings.root(name, Some(path), false, &mut faults);
                }
            }
            Some(_) => faults.push("roots is a table of names and directories".to_owned()),
        }
        match table.remove("writable") {
            None => {}
            Some(Value::Table(writable)) => settings.writable(writable, &mut faults),
            Some(_) => faults.push("writable is a table with name and path".to_owned()),
        }
        match table.remove("deny").map(Value::try_into::<Vec<String>>) {
            None => {}
            Some(Ok(deny)) => settings.deny = deny,
            Some(Err(_)) => faults.push("deny is a list of patterns".to_owned()),
        }
        faults.extend(table.keys().map(|key| format!("{key}: there is no such key")));
        if let Err(fault) = super::guard::Guard::new(&settings.deny) {
            faults.push(format!("deny: {fault}"));
        }
        if settings.roots.is_empty() && faults.is_empty() {
            faults.push("no roots: there is nothing to serve".to_owned());
        }
        if faults.is_empty() { Ok(settings) } else { Err(faults) }
    }

    fn root(&mut self, name: String, path: Option<Value>, writable: bool, faults: &mut Vec<String>) {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.len() > 64 || !name.chars().all(plain) || !is_segment(&name) {
            faults.push(format!("{name:?}: a root's name is 1 to 64 letters, digits, `-` or `_`"));
        }
        if self.roots.iter().any(|known| known.name.eq_ignore_ascii_case(&name)) {
            faults.push(format!("{name}: two roots have that name"));
        }
        match path {
            Some(Value::String(path)) if path.starts_with('/') => {
                self.roots.push(RootSettings { name, path: path.into(), writable });
            }
            _ => faults.push(format!("{name}: its directory is an absolute path")),
        }
    }

    fn writable(&mut self, mut table: Table, faults: &mut Vec<String>) {
        let path = table.remove("path");
        match table.remove("name") {
            Some(Value::String(name)) => self.root(name, path, true, faults),
            _ => faults.push("writable.name is missing".to_owned()),
        }
        let mut number = |key: &str, place: &mut u64| match table.remove(key) {
            None => {}
            Some(Value::Integer(number)) if number >= 0 => *place = number.unsigned_abs(),
            Some(_) => faults.push(format!("writable.{key} is a number that is not negative")),
        };
        number("max-file-bytes", &mut self.quota.file_bytes);
        number("max-total-bytes", &mut self.quota.total_bytes);
        number("max-files", &mut self.quota.files);
        faults.extend(table.keys().map(|key| format!("writable.{key}: there is no such key")));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn a_file_is_read_whole_or_refused_whole() {
        let settings = FilesSettings::parse(
            "deny = [\"**/tax/**\"]\n[roots]\nmedia = \"/srv/media\"\n[writable]\nname = \"drop\"\npath = \
             \"/srv/drop\"\nmax-files = 3\n",
        )
        .unwrap();
        assert_eq!(settings.deny, ["**/tax/**"]);
        assert_eq!(settings.quota, Quota { files: 3, ..Quota::default() });
        let roots: Vec<_> = settings.roots.iter().map(|root| (root.name.as_str(), root.writable)).collect();
        assert_eq!(roots, [("media", false), ("drop", true)]);
        let faults = FilesSettings::parse(
            "allow = []\ndeny = [\"/x\"]\n[roots]\n\"..\" = \"/a\"\nb = \"relative\"\nc = 1\n[writable]\nname = \
             \"w\"\npath = \"/w\"\nmax-files = -1\nmax = 1\n",
        )
        .unwrap_err();
        for word in ["allow", "\"/x\"", "\"..\"", "b:", "c:", "max-files", "writable.max:"] {
            assert!(faults.iter().any(|fault| fault.contains(word)), "{word} {faults:?}");
        }
        for bad in ["", "roots = 1", "[writable]\npath = \"/w\"", "[roots]\na = \"/a\"\nA = \"/b\"", "x"] {
            assert!(FilesSettings::parse(bad).is_err(), "{bad}");
        }
    }
}
