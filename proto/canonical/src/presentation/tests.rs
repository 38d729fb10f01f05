//! A presentation is worth something only exactly as it was signed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use proptest::prelude::*;

use super::*;
use crate::base64url;

const KEY: [u8; 32] = *b"0123456789abcdef0123456789ABCDEF";

fn key() -> ProofKey {
    ProofKey::new(KEY)
}

fn claim() -> Claim {
    Claim {
        handle: [0x11; 16],
        tool: "gmail.send_message".parse().unwrap(),
        digest: Digest::of(b"{}"),
        issued_at_ms: 1_700_000_000_123,
        nonce: [0x22; 12],
        replica: [0x33; 8],
        boot: [0x44; 16],
        approval: None,
    }
}

fn approved() -> Claim {
    Claim { approval: Some([0x55; 16]), ..claim() }
}

fn verify(text: &str) -> Result<Claim, PresentationError> {
    Presentation::parse(text)?.verify(&key()).map(Verified::into_claim)
}

/// Text made by another implementation (Python's `hmac`, `struct` and `base64`), so that the wire form cannot drift.
#[test]
fn the_wire_form_is_pinned() {
    for (claim, expected) in
        [(claim(), include_str!("plain.txt")), (approved(), include_str!("approved.txt"))]
    {
        assert_eq!(Presentation::sign(&key(), claim.clone()).as_str(), expected.trim_end());
        assert_eq!(verify(expected.trim_end()), Ok(claim));
    }
}

#[test]
fn the_longest_fits() {
    let longest = Claim { tool: "x".repeat(64).parse().unwrap(), ..approved() };
    let text = Presentation::sign(&key(), longest.clone()).into_text();
    assert_eq!(text.len(), 285);
    assert_eq!(verify(&text), Ok(longest));
}

#[test]
fn any_one_flipped_bit_is_refused() {
    for claim in [claim(), approved()] {
        let text = Presentation::sign(&key(), claim).into_text();
        for position in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.clone().into_bytes();
                bytes[position] ^= 1 << bit;
                // A text that is not UTF-8 cannot even be asked about.
                if let Ok(changed) = String::from_utf8(bytes) {
                    assert!(verify(&changed).is_err(), "bit {bit} of byte {position}");
                }
            }
        }
    }
}

#[test]
fn any_one_changed_field_is_refused() {
    let mac = key().mac(&claim());
    let signed = |claim: &Claim| wire::encode(claim, mac.as_ref());
    assert_eq!(verify(&signed(&claim())), Ok(claim()));
    let original = claim;
    for changed in [
        Claim { handle: [0x12; 16], ..original() },
        Claim { tool: "gmail.send_messagf".parse().unwrap(), ..original() },
        Claim { tool: "gmail.send_messag".parse().unwrap(), ..original() },
        Claim { digest: Digest::of(b"{ }"), ..original() },
        Claim { issued_at_ms: 1_700_000_000_124, ..original() },
        Claim { nonce: [0x23; 12], ..original() },
        Claim { replica: [0x34; 8], ..original() },
        Claim { boot: [0x45; 16], ..original() },
        Claim { approval: Some([0; 16]), ..original() },
    ] {
        assert_eq!(verify(&signed(&changed)), Err(PresentationError::Forged), "{changed:?}");
    }
    let mac = key().mac(&approved());
    for changed in [claim(), Claim { approval: Some([0x56; 16]), ..claim() }] {
        assert_eq!(verify(&wire::encode(&changed, mac.as_ref())), Err(PresentationError::Forged));
    }
}

#[test]
fn another_key_is_refused() {
    let text = Presentation::sign(&key(), claim()).into_text();
    for bit in 0..256 {
        let mut other = KEY;
        other[bit / 8] ^= 1 << (bit % 8);
        let verdict =
            Presentation::parse(&text).unwrap().verify(&ProofKey::new(other)).map(Verified::into_claim);
        assert_eq!(verdict, Err(PresentationError::Forged));
    }
}

#[test]
fn only_one_text_is_read() {
    let text = Presentation::sign(&key(), claim()).into_text();
    let body = text.strip_prefix("claviger1.").unwrap();
    let bytes = base64url::decode(body).unwrap();
    let with = |bytes: &[u8]| format!("claviger1.{}", base64url::encode(bytes));
    let approval_at = 92;
    let tool_length_at = 93;
    let patched = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        with(&bytes)
    };
    for (changed, expected) in [
        (String::new(), PresentationError::UnknownVersion),
        (body.to_owned(), PresentationError::UnknownVersion),
        (format!(" {text}"), PresentationError::UnknownVersion),
        (format!("Claviger1.{body}"), PresentationError::UnknownVersion),
        (format!("claviger2.{body}"), PresentationError::UnknownVersion),
        ("claviger1.".to_owned(), PresentationError::Layout),
        (format!("{text}="), PresentationError::Encoding),
        (format!("{text}\n"), PresentationError::Encoding),
        (format!("{text}.x"), PresentationError::Encoding),
        (format!("claviger1.+{}", &body[1..]), PresentationError::Encoding),
        (format!("{text}{}", "A".repeat(512)), PresentationError::TooLong),
        (with(&[&bytes[..], b"x"].concat()), PresentationError::Layout),
        (with(&bytes[..bytes.len() - 1]), PresentationError::Layout),
        (with(&bytes[..tool_length_at]), PresentationError::Layout),
        (patched(approval_at, 2), PresentationError::Layout),
        (patched(approval_at, 0xff), PresentationError::Layout),
        (patched(tool_length_at, 0), PresentationError::Tool),
        (patched(tool_length_at, 255), PresentationError::Layout),
        (patched(tool_length_at, 19), PresentationError::Tool),
        (patched(tool_length_at + 1, b'G'), PresentationError::Tool),
        (patched(tool_length_at + 1, 0xff), PresentationError::Tool),
        (patched(tool_length_at + 1, 0), PresentationError::Tool),
    ] {
        // The MAC byte that follows the name may by chance be a letter: then the layout is short by one instead.
        let got = verify(&changed).unwrap_err();
        assert!(
            got == expected || (expected == PresentationError::Tool && got == PresentationError::Layout),
            "{got}"
        );
    }
}

/// Neither key nor MAC may show in what is logged.
#[test]
fn debug_shows_neither_key_nor_mac() {
    let presentation = Presentation::sign(&key(), claim());
    let text = presentation.as_str().to_owned();
    assert_eq!(format!("{presentation:?} {:?}", key()), "Presentation(..) ProofKey(..)");
    let unverified = Presentation::parse(&text).unwrap();
    let shown = format!("{unverified:?}");
    let verified = unverified.verify(&key()).unwrap();
    let mac: Vec<u8> = key().mac(&claim()).as_ref().to_vec();
    let first = format!("{}, {}, {}", mac[0], mac[1], mac[2]);
    for shown in [shown, format!("{verified:?}")] {
        assert!(shown.contains("gmail.send_message") && shown.contains("Digest(..)"), "{shown}");
        assert!(!shown.contains(&first) && !shown.contains(&text[text.len() - 40..]), "{shown}");
    }
    assert_eq!(verified.claim(), &claim());
}

fn any_claim() -> impl Strategy<Value = Claim> {
    (
        any::<([u8; 16], [u8; 32], u64, [u8; 12], [u8; 8], [u8; 16])>(),
        any::<Option<[u8; 16]>>(),
        "[a-z0-9_.-]{1,64}",
    )
        .prop_map(|((handle, digest, issued_at_ms, nonce, replica, boot), approval, tool)| Claim {
            handle,
            tool: tool.parse().unwrap(),
            digest: Digest::from_bytes(digest),
            issued_at_ms,
            nonce,
            replica,
            boot,
            approval,
        })
}

proptest! {
    #[test]
    fn what_was_signed_verifies(claim in any_claim(), key in any::<[u8; 32]>()) {
        let text = Presentation::sign(&ProofKey::new(key), claim.clone()).into_text();
        prop_assert!(text.len() <= MAX_TEXT);
        let verified = Presentation::parse(&text).unwrap().verify(&ProofKey::new(key)).unwrap();
        prop_assert_eq!(verified.into_claim(), claim);
    }

    #[test]
    fn different_claims_have_different_macs(left in any_claim(), right in any_claim()) {
        prop_assume!(left != right);
        let (left, right) = (key().mac(&left), key().mac(&right));
        prop_assert_ne!(left.as_ref(), right.as_ref());
    }

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        prop_assert!(verify(&text).is_err());
    }

    /// Whatever parses is the text that its own claim and MAC would be given.
    #[test]
    fn what_parses_writes_back(tail in proptest::collection::vec(any::<u8>(), 0..150), approval in 0u8..3, length in 0u8..70) {
        let mut bytes = vec![7; 92];
        bytes.push(approval);
        if approval == 1 {
            bytes.extend([9; 16]);
        }
        bytes.push(length);
        bytes.extend(vec![b'a'; usize::from(length)]);
        bytes.extend(&tail);
        let text = format!("claviger1.{}", base64url::encode(&bytes));
        if let Ok(unverified) = Presentation::parse(&text) {
            prop_assert_eq!(wire::encode(&unverified.claim, &unverified.mac), text);
            prop_assert_eq!(tail.len(), 32);
        }
    }
}
