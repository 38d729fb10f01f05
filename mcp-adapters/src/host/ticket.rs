//! What a result says of the bytes that wait on the bulk socket: see [`claviger_proto::bulk`].

use claviger_proto::bulk::{FETCH, PUT};
use serde_json::{Map, Value};

use crate::text::clean;
use crate::transfer::{Fetch, Put, Transfer};

/// How many characters of a name are told.
const LONGEST_NAME: usize = 255;

/// All of it but the ticket itself. `socket` is the name of the bulk socket.
pub(super) fn told(transfer: &Transfer, socket: &str) -> Map<String, Value> {
    let mut told = Map::from_iter([("socket".to_owned(), socket.into())]);
    let mut tell = |name: &str, value: Value| {
        if !value.is_null() {
            told.insert(name.to_owned(), value);
        }
    };
    match transfer {
        Transfer::Fetch(Fetch { name, size, sha256, version, offset, source: _ }) => {
            tell("direction", FETCH.into());
            tell("name", clean::line(name, LONGEST_NAME).into());
            tell("size", (*size).into());
            tell("offset", (*offset).into());
            tell("sha256", sha256.as_deref().filter(|text| is_sha256(text)).into());
            tell("version", version.as_deref().map(|text| clean::line(text, LONGEST_NAME)).into());
        }
        Transfer::Put(Put { name, size, step: _, params: _, finish: _ }) => {
            tell("direction", PUT.into());
            tell("name", clean::line(name, LONGEST_NAME).into());
            tell("size", (*size).into());
        }
    }
    told
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
