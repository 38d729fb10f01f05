//! Presentations: one text for each, and no text that the key did not make.

use claviger_canonical::presentation::MAX_TEXT;
use claviger_canonical::{Claim, Digest, Presentation, PresentationError, ProofKey, base64url};

use crate::input::Input;

const PREFIX: &str = "claviger1.";
/// Bytes of the MAC at the end.
const MAC: usize = 32;

/// Any bytes as a presentation, and a real one with any change: neither ever verifies, and what parses has one text.
///
/// # Panics
/// Where that does not hold.
pub fn presentation(data: &[u8]) {
    let key = ProofKey::new([0xa5; 32]);
    if let Ok(text) = std::str::from_utf8(data) {
        hostile(text, &key);
    }
    // The same bytes behind the prefix, so that the layout is reached without learning base64url first.
    hostile(&format!("{PREFIX}{}", base64url::encode(data)), &key);

    let mut input = Input::new(data);
    let Some(claim) = claim(&mut input) else { return };
    let text = Presentation::sign(&key, claim.clone()).into_text();
    assert!(text.len() <= MAX_TEXT && text.is_ascii());
    let read = Presentation::parse(&text).expect("what was signed is read");
    assert!(*read.claim() == claim);
    let verified = read.verify(&key).expect("and verifies");
    assert!(*verified.claim() == claim && verified.into_claim() == claim);
    let other = Presentation::parse(&text).expect("as before").verify(&ProofKey::new([0xa4; 32]));
    assert!(matches!(other, Err(PresentationError::Forged)), "another key");

    let bytes = base64url::decode(&text[PREFIX.len()..]).expect("base64url");
    // Every byte in turn: a field that nobody signs shows whatever the input is.
    let bit = 1 << (input.byte() & 7);
    for at in 0..bytes.len() {
        let mut bent = bytes.clone();
        bent[at] ^= bit;
        refused(&format!("{PREFIX}{}", base64url::encode(&bent)), &key);
    }
    let cut = input.below(bytes.len());
    refused(&format!("{PREFIX}{}", base64url::encode(&bytes[..cut])), &key);
    let more = [bytes.as_slice(), &[input.byte()]].concat();
    refused(&format!("{PREFIX}{}", base64url::encode(&more)), &key);
    let mut letters = text.into_bytes();
    let at = input.below(letters.len());
    let other = input.byte() & 0x7f;
    if letters[at] != other {
        letters[at] = other;
        refused(std::str::from_utf8(&letters).expect("ASCII"), &key);
    }
}

fn refused(text: &str, key: &ProofKey) {
    let verified = Presentation::parse(text).and_then(|read| read.verify(key));
    assert!(verified.is_err(), "a changed presentation verifies");
}

/// A text that nobody signed: it never verifies, and if it parses at all, then signing its claim gives the same text up
/// to the MAC.
fn hostile(text: &str, key: &ProofKey) {
    let Ok(read) = Presentation::parse(text) else { return };
    assert!(text.len() <= MAX_TEXT);
    let signed = Presentation::sign(key, read.claim().clone()).into_text();
    assert_eq!(signed.len(), text.len());
    let bytes = |text: &str| base64url::decode(&text[PREFIX.len()..]).expect("it was parsed");
    let (ours, theirs) = (bytes(&signed), bytes(text));
    assert_eq!(ours[..ours.len() - MAC], theirs[..theirs.len() - MAC], "one text for one claim");
    assert_eq!(format!("{PREFIX}{}", base64url::encode(&theirs)), text, "in one spelling");
    assert!(read.verify(key).is_err(), "a forged presentation verifies");
}

fn claim(input: &mut Input<'_>) -> Option<Claim> {
    let with_approval = input.flag();
    let issued_at_ms = input.number();
    let tool = input.bytes();
    let alphabet = b"abcdefghijklmnopqrstuvwxyz0123456789_.-";
    let tool: String =
        tool.iter().map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect();
    Some(Claim {
        handle: input.array(),
        tool: tool.parse().ok()?,
        digest: Digest::of(input.bytes()),
        issued_at_ms,
        nonce: input.array(),
        replica: input.array(),
        boot: input.array(),
        approval: with_approval.then(|| input.array()),
    })
}
