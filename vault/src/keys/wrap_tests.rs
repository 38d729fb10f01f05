#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::keys::entropy::SystemEntropy;
use crate::keys::identity::identity_new;

const VAULT: VaultId = VaultId::from_bytes([5; 16]);

fn key(name: &str, recipient: &str) -> NewRecipient {
    NewRecipient { name: name.into(), key: NewKey::X25519(recipient.into()) }
}

fn passphrase(name: &str, text: &str) -> NewRecipient {
    NewRecipient { name: name.into(), key: NewKey::Passphrase(text.into()) }
}

fn make(dir: &Path, recipients: &[NewRecipient]) -> Result<RootKey, CreateFault> {
    create(dir, VAULT, recipients, &SystemEntropy::new(), WorkFactor::weak_for_tests())
}

fn fault(result: Result<RootKey, UnlockFault>) -> UnlockFault {
    result.map(|_| ()).unwrap_err()
}

/// A ring with a key and a passphrase: its parent, its directory, the identity, the root's check value.
fn ring() -> (TempDir, PathBuf, SecretString, [u8; 8]) {
    let above = tempfile::tempdir().unwrap();
    let dir = above.path().join("keys");
    let (identity, recipient) = identity_new();
    let root = make(&dir, &[passphrase("daily", "correct horse"), key("recovery", &recipient)]).unwrap();
    (above, dir, identity, root.check())
}

#[test]
fn every_recipient_unlocks_the_same_key() {
    let (above, dir, identity, check) = ring();
    let by_key = unlock_with_identity(&dir, &identity).unwrap();
    let by_passphrase = unlock_with_passphrase(&dir, "correct horse".into()).unwrap();
    assert_eq!((by_key.check(), by_passphrase.check()), (check, check));
    assert_eq!((by_key.vault(), by_key.generation()), (VAULT, 1));
    let ring = Ring::read(&dir).unwrap();
    assert_eq!((ring.vault, ring.generation, ring.holders.len()), (VAULT, 1, 2));
    assert_eq!(ring.holders[0], Holder { name: "daily".into(), kind: Kind::Passphrase });
    // Nothing but the ring, readable by its owner alone.
    assert_eq!(std::fs::read_dir(above.path()).unwrap().count(), 1);
    assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in std::fs::read_dir(&dir).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn the_key_is_not_in_its_files() {
    let (_above, dir, identity, _) = ring();
    let root = unlock_with_identity(&dir, &identity).unwrap();
    for entry in std::fs::read_dir(&dir).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(KEY_BYTES).any(|window| window == root.bytes()));
    }
}

#[test]
fn who_is_no_recipient_stays_out() {
    let (above, dir, _, _) = ring();
    assert_eq!(fault(unlock_with_identity(&dir, &identity_new().0)), UnlockFault::WrongIdentity);
    assert_eq!(fault(unlock_with_passphrase(&dir, "correct horsf".into())), UnlockFault::WrongPassphrase);
    assert!(matches!(fault(unlock_with_identity(&dir, &"nonsense".into())), UnlockFault::BadIdentity(_)));
    let nowhere = above.path().join("nowhere");
    assert_eq!(fault(unlock_with_passphrase(&nowhere, "correct horse".into())), UnlockFault::NoRing);
    let keys_only = above.path().join("keys-only");
    make(&keys_only, &[key("daily", &identity_new().1), key("recovery", &identity_new().1)]).unwrap();
    let result = unlock_with_passphrase(&keys_only, "correct horse".into());
    assert_eq!(fault(result), UnlockFault::NoSuchKind("passphrase"));
    let words_only = above.path().join("words-only");
    make(&words_only, &[passphrase("daily", "one passphrase"), passphrase("recovery", "two passphrases")])
        .unwrap();
    assert_eq!(
        fault(unlock_with_identity(&words_only, &identity_new().0)),
        UnlockFault::NoSuchKind("identity")
    );
    // Both passphrases are tried.
    assert!(unlock_with_passphrase(&words_only, "two passphrases".into()).is_ok());
}

#[test]
fn a_ring_is_made_only_of_sound_parts_and_only_once() {
    let above = tempfile::tempdir().unwrap();
    let dir = above.path().join("keys");
    let (one, two) = (identity_new().1, identity_new().1);
    let check = |recipients: &[NewRecipient], expected: CreateFault| {
        assert_eq!(make(&dir, recipients).map(|_| ()).unwrap_err(), expected);
        assert_eq!(std::fs::read_dir(above.path()).unwrap().count(), 0, "{expected:?} left something behind");
    };
    check(&[], CreateFault::TooFew);
    check(&[key("daily", &one)], CreateFault::TooFew);
    check(&[key("daily", &one), key("daily", &two)], CreateFault::Same);
    check(&[key("daily", &one), key("recovery", &one)], CreateFault::Same);
    check(&[passphrase("a", "the same words"), passphrase("b", "the same words")], CreateFault::Same);
    check(&[key("daily", &one), key("../recovery", &two)], CreateFault::BadName);
    check(&[key("daily", &one), key("recovery", "age1nonsense")], CreateFault::BadRecipient);
    check(&[key("daily", &one), passphrase("recovery", "short")], CreateFault::ShortPassphrase);
    let many: Vec<_> = (0..17).map(|n| key(&format!("r{n}"), &identity_new().1)).collect();
    check(&many, CreateFault::TooMany);

    make(&dir, &[key("daily", &one), key("recovery", &two)]).unwrap();
    let before = std::fs::read(dir.join("daily.age")).unwrap();
    let again = make(&dir, &[key("daily", &one), key("recovery", &two)]);
    assert_eq!(again.map(|_| ()).unwrap_err(), CreateFault::Exists);
    assert_eq!(std::fs::read(dir.join("daily.age")).unwrap(), before);
    // A wrapped key without its ring may be the last one there is.
    std::fs::remove_file(dir.join(ring::FILE)).unwrap();
    let again = make(&dir, &[key("daily", &one), key("recovery", &two)]);
    assert_eq!(again.map(|_| ()).unwrap_err(), CreateFault::Exists);
}

#[test]
fn damage_is_noticed() {
    let (_above, dir, identity, check) = ring();
    let file = dir.join("recovery.age");
    let good = std::fs::read(&file).unwrap();
    let mut position = 0;
    while position < good.len() {
        let mut bad = good.clone();
        bad[position] ^= 1;
        std::fs::write(&file, &bad).unwrap();
        assert!(
            matches!(fault(unlock_with_identity(&dir, &identity)), UnlockFault::Damaged(_)),
            "byte {position}"
        );
        std::fs::write(&file, &good[..position]).unwrap();
        assert!(
            matches!(fault(unlock_with_identity(&dir, &identity)), UnlockFault::Damaged(_)),
            "cut at {position}"
        );
        position += 1;
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(
        fault(unlock_with_identity(&dir, &identity)),
        UnlockFault::Damaged("a wrapped key is missing")
    );
    // The other recipient is not hurt by it.
    assert_eq!(unlock_with_passphrase(&dir, "correct horse".into()).unwrap().check(), check);
}

#[test]
fn a_wrapped_key_of_another_root_is_refused() {
    let (_here, dir, identity, _) = ring();
    let file = dir.join("recovery.age");
    let good = std::fs::read(&file).unwrap();
    let recipient = identity::recipient_of(&identity).unwrap();
    let replace = |vault, generation| {
        let root = RootKey::new(vault, generation, &SystemEntropy::new());
        std::fs::write(
            &file,
            wrap(&root, &NewKey::X25519(recipient.clone()), WorkFactor::PRODUCTION).unwrap(),
        )
        .unwrap();
        fault(unlock_with_identity(&dir, &identity))
    };
    assert_eq!(replace(VaultId::from_bytes([6; 16]), 1), UnlockFault::OtherVault);
    assert_eq!(replace(VAULT, 2), UnlockFault::OtherRoot);
    assert_eq!(replace(VAULT, 1), UnlockFault::OtherRoot);
    std::fs::write(&file, good).unwrap();
    assert!(unlock_with_identity(&dir, &identity).is_ok());
}

#[test]
fn a_bad_ring_is_damaged_and_never_leads_outside() {
    let (_above, dir, identity, _) = ring();
    let file = dir.join(ring::FILE);
    let good = std::fs::read_to_string(&file).unwrap();
    let check = |text: &str, expected: fn(&UnlockFault) -> bool| {
        std::fs::write(&file, text).unwrap();
        let fault = fault(unlock_with_identity(&dir, &identity));
        assert!(expected(&fault), "{fault:?} for {text}");
    };
    let damaged: fn(&UnlockFault) -> bool = |fault| matches!(fault, UnlockFault::Damaged(_));
    check("", damaged);
    check(&good[..good.len() / 2], damaged);
    check(&good.replace("\"recovery\"", "\"../recovery\""), damaged);
    check(&good.replace("\"recovery\"", "\"daily\""), damaged);
    check(&good.replace("vlt_", "vlt-"), damaged);
    check(&good.replace("generation = 1", "generation = 0"), damaged);
    check(&good.replace("generation = 1", "generation = 1\nsurprise = 1"), damaged);
    check(&good.replace("kind = \"x25519\"", "kind = \"passphrase\""), damaged);
    check(&"x".repeat(70_000), damaged);
    check(&good.replace("generation = 1", "generation = 2"), |fault| *fault == UnlockFault::OtherRoot);
    check(&good.replace("version = 1", "version = 2"), |fault| *fault == UnlockFault::Newer);
    std::fs::write(&file, good).unwrap();
    assert!(unlock_with_identity(&dir, &identity).is_ok());
}

#[test]
fn the_work_factor_is_pinned_and_bounded() {
    let root = RootKey::new(VAULT, 1, &SystemEntropy::new());
    let words = || NewKey::Passphrase("correct horse".into());
    let header = |work| {
        let wrapped = wrap(&root, &words(), work).unwrap();
        let text = String::from_utf8_lossy(&wrapped).into_owned();
        text.lines().nth(1).unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(header(WorkFactor::PRODUCTION), "17");
    let (_above, dir, _, _) = ring();
    // A stanza that asks for more than this program ever does is refused before any of that work.
    let file = dir.join("daily.age");
    let good = std::fs::read(&file).unwrap();
    let end = good.windows(3).position(|window| window == b" 2\n").unwrap();
    let greedy = [&good[..end], b" 30\n", &good[end + 3..]].concat();
    std::fs::write(&file, greedy).unwrap();
    assert!(matches!(
        fault(unlock_with_passphrase(&dir, "correct horse".into())),
        UnlockFault::Damaged("a wrapped key asks for more work than this program ever does")
    ));
}
