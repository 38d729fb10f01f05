//! What every engine refuses, whatever it could hold.

use crate::port::{Transaction, Write};

/// The most preconditions, and the most writes, of one transaction.
pub(super) const MAX_PARTS: usize = 64;
/// The longest key, in bytes.
pub(super) const MAX_KEY: usize = 256;
/// The longest value, in bytes.
pub(super) const MAX_VALUE: usize = 1024 * 1024;

/// A transaction that no engine applies: a fault of the program, never of a peer. The engine logs it and answers
/// [`Commit::Conflict`](crate::port::Commit::Conflict), which is true in that nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misuse {
    #[error("more than 64 preconditions or writes")]
    TooMany,
    #[error("a key is not 1 to 256 printable ASCII characters")]
    Key,
    #[error("a value is longer than 1 MiB")]
    Value,
    #[error("a key is put without a precondition on it")]
    Unguarded,
    #[error("a key has two preconditions or two writes")]
    Twice,
}

/// Whether the transaction is fit to be tried. A put needs a precondition on its key, since who writes without having
/// looked overwrites what somebody else has just written.
pub(super) fn check(transaction: &Transaction) -> Result<(), Misuse> {
    let Transaction { id: _, preconditions, writes } = transaction;
    if preconditions.len() > MAX_PARTS || writes.len() > MAX_PARTS {
        return Err(Misuse::TooMany);
    }
    let guarded: Vec<&str> = preconditions.iter().map(|precondition| precondition.key.as_str()).collect();
    let mut written = Vec::with_capacity(writes.len());
    for write in writes {
        let (Write::Put(key, _) | Write::Delete(key)) = write;
        written.push(key.as_str());
        if let Write::Put(key, value) = write {
            if value.len() > MAX_VALUE {
                return Err(Misuse::Value);
            }
            if !guarded.contains(&key.as_str()) {
                return Err(Misuse::Unguarded);
            }
        }
    }
    if !guarded.iter().chain(&written).all(|key| is_key(key)) {
        return Err(Misuse::Key);
    }
    if has_twice(guarded) || has_twice(written) {
        return Err(Misuse::Twice);
    }
    Ok(())
}

/// Whether it is 1 to 256 printable ASCII characters, the space not among them.
pub(super) fn is_key(key: &str) -> bool {
    (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
}

fn has_twice(mut keys: Vec<&str>) -> bool {
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Precondition;

    fn transaction(guarded: &[&str], writes: Vec<Write>) -> Transaction {
        let precondition = |key: &&str| Precondition { key: (*key).to_owned(), version: 0 };
        Transaction { id: [0; 16], preconditions: guarded.iter().map(precondition).collect(), writes }
    }

    fn put(key: &str) -> Write {
        Write::Put(key.into(), vec![])
    }

    #[test]
    fn each_limit_by_itself() {
        let check = |guarded: &[&str], writes: Vec<Write>, expected| {
            assert_eq!(check(&transaction(guarded, writes)), expected);
        };
        check(&[], vec![], Ok(()));
        check(&["a"], vec![put("a"), Write::Delete("b".into())], Ok(()));
        check(&["b"], vec![put("a")], Err(Misuse::Unguarded));
        check(&["a", "a"], vec![], Err(Misuse::Twice));
        check(&["a"], vec![put("a"), Write::Delete("a".into())], Err(Misuse::Twice));
        for bad in ["", "a b", "a\n", "ä", "a\0", &"k".repeat(MAX_KEY + 1)] {
            check(&[bad], vec![], Err(Misuse::Key));
            check(&[], vec![Write::Delete(bad.into())], Err(Misuse::Key));
        }
        check(&[&"k".repeat(MAX_KEY)], vec![], Ok(()));
        check(&["a"], vec![Write::Put("a".into(), vec![0; MAX_VALUE])], Ok(()));
        check(&["a"], vec![Write::Put("a".into(), vec![0; MAX_VALUE + 1])], Err(Misuse::Value));
        let keys: Vec<String> = (0..=MAX_PARTS).map(|n| format!("k{n}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        check(&keys[..MAX_PARTS], keys[..MAX_PARTS].iter().map(|key| put(key)).collect(), Ok(()));
        check(&keys, vec![], Err(Misuse::TooMany));
        check(&[], keys.iter().map(|key| Write::Delete((*key).into())).collect(), Err(Misuse::TooMany));
    }
}
