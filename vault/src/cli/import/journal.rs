//! What a run is about to store, in a file beside the configuration, for the run after one that was cut off.
//!
//! The vault tells no value, so what it has under a name cannot be compared with what was found. The journal says that it
//! was this find that was being stored under that name. It holds names and places, no value, and goes at the end.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::super::client_install::{For, Held};
use super::super::failure::Failure;
use super::found::Find;

/// What its name ends in.
const END: &str = ".claviger-import";

/// Secrets' names, each with where its value was found.
#[derive(Default)]
pub(super) struct Journal {
    entries: Map<String, Value>,
}

impl Journal {
    /// The journal beside that file; empty where there is none, or none that can be read.
    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        let held = Held::open(&beside(file), For::Writing)?;
        Ok(Self { entries: serde_json::from_str(held.text()).unwrap_or_default() })
    }

    /// Whether that find was being stored under that name.
    pub(super) fn has(&self, secret: &str, find: &Find) -> bool {
        self.entries.get(secret).and_then(Value::as_array).is_some_and(|places| places.contains(&place(find)))
    }

    /// Takes down that the find becomes those secrets.
    pub(super) fn note(&mut self, secrets: &[String], find: &Find) {
        for secret in secrets {
            let places = self.entries.entry(secret.as_str()).or_insert_with(|| json!([]));
            if let Some(places) = places.as_array_mut() {
                places.push(place(find));
            }
        }
    }

    /// Writes it, durably, before anything is stored.
    pub(super) fn write(&self, file: &Path) -> Result<(), Failure> {
        if self.entries.is_empty() {
            return Ok(());
        }
        Held::open(&beside(file), For::Writing)?.write(&Value::Object(self.entries.clone()).to_string())
    }

    /// Takes it away, when all is done.
    pub(super) fn remove(file: &Path) {
        // If it stays, it says of a later run what is still true.
        let _ = std::fs::remove_file(beside(file));
    }
}

fn place(find: &Find) -> Value {
    json!([find.place.text(), find.key, find.server])
}

fn beside(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(END);
    path.into()
}
