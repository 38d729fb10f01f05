//! Canonical arguments, held against another reader of JSON.

use std::collections::BTreeSet;

use claviger_canonical::{Canonical, CanonicalError, ErrorKind, Limits, Value, parse, require_canonical};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The greatest integer that every double holds, and all below it.
const SAFE: u64 = (1 << 53) - 1;

/// Any bytes as arguments: what is accepted means the same to `serde_json` and has one form; what only `serde_json`
/// accepts is refused for a reason that is true.
///
/// # Panics
/// Where that does not hold.
pub fn canonical(data: &[u8]) {
    match (parse(data, &Limits::ARGUMENTS), Facts::of(data)) {
        (Ok(_), None) => panic!("accepted what another reader refuses"),
        (Ok(value), Some(facts)) => {
            assert!(!facts.duplicate && facts.depth <= 32 && !facts.wide, "{facts:?}");
            accepted(data, &value);
        }
        (Err(fault), facts) => {
            assert!(fault.offset() <= data.len());
            assert!(Canonical::from_bytes(data).is_err() && require_canonical(data).is_err());
            if let Some(facts) = facts {
                refused(fault.kind(), data, &facts);
            }
        }
    }
}

fn accepted(data: &[u8], value: &Value) {
    let bytes = value.to_canonical();
    assert!(bytes.len() <= data.len(), "the canonical form is never longer");
    let again = parse(&bytes, &Limits::ARGUMENTS).expect("the canonical form parses");
    assert!(again == *value && again.to_canonical() == bytes, "it is its own form");
    assert!(require_canonical(&bytes).as_ref() == Ok(value));
    assert_eq!(require_canonical(data).is_ok(), bytes == data, "and no other bytes are it");

    let theirs: serde_json::Value = serde_json::from_slice(data).expect("read a moment ago");
    assert_eq!(serde_json::Value::from(value), theirs, "both read the same value");
    assert!(Value::try_from(&theirs).as_ref() == Ok(value));
    let (vault, client) = (Canonical::from_bytes(&bytes), Canonical::from_json(&theirs));
    if value.as_object().is_none() {
        assert!(vault == Err(CanonicalError::NotAnObject) && client == Err(CanonicalError::NotAnObject));
        return;
    }
    let (vault, client) = (vault.expect("an object"), client.expect("an object"));
    assert!(vault == client && vault.bytes() == bytes && vault.digest() == client.digest());
}

/// What another reader accepts is refused by a rule of ours, and the rule applies.
fn refused(kind: ErrorKind, data: &[u8], facts: &Facts) {
    let applies = match kind {
        ErrorKind::TooLarge => data.len() > Limits::ARGUMENTS.bytes,
        ErrorKind::TooDeep => facts.depth > usize::from(Limits::ARGUMENTS.depth),
        ErrorKind::DuplicateKey => facts.duplicate,
        ErrorKind::IntegerOutOfRange => facts.wide,
        ErrorKind::NonCanonicalNumber => facts.numbers,
        _ => false,
    };
    assert!(applies, "refused as {kind:?}, but another reader saw {facts:?}");
}

/// What another reader sees in a text that it accepts.
#[derive(Debug, Default)]
struct Facts {
    /// Whether a key comes twice in one object.
    duplicate: bool,
    /// How many arrays and objects are open at once.
    depth: usize,
    /// Whether an integer is beyond what every double holds.
    wide: bool,
    /// Whether there is any number.
    numbers: bool,
}

impl Facts {
    fn of(data: &[u8]) -> Option<Self> {
        let mut facts = Self::default();
        let mut reader = serde_json::Deserializer::from_slice(data);
        Look { facts: &mut facts, depth: 0 }.deserialize(&mut reader).ok()?;
        reader.end().ok()?;
        Some(facts)
    }
}

struct Look<'a> {
    facts: &'a mut Facts,
    depth: usize,
}

impl Look<'_> {
    fn inside(&mut self) -> Look<'_> {
        self.facts.depth = self.facts.depth.max(self.depth + 1);
        Look { facts: self.facts, depth: self.depth + 1 }
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.facts.numbers = true;
        self.facts.wide |= number.unsigned_abs() > SAFE;
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.facts.numbers = true;
        self.facts.wide |= number > SAFE;
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.facts.numbers = true;
        self.facts.wide |= number.fract() == 0.0 && number.abs() > SAFE as f64;
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let inside = self.inside();
        while items.next_element_seed(Look { facts: inside.facts, depth: inside.depth })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let inside = self.inside();
        let mut seen = BTreeSet::new();
        while let Some(key) = members.next_key::<String>()? {
            inside.facts.duplicate |= !seen.insert(key);
            members.next_value_seed(Look { facts: inside.facts, depth: inside.depth })?;
        }
        Ok(())
    }
}
