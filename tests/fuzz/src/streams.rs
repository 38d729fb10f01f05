//! What is read as it comes: how the bytes are cut into pieces changes nothing.

use std::sync::{Arc, LazyLock};

use claviger_domain::codec::member::MemberReader;
use claviger_vault::egress::{Needles, Watcher};
use serde_json::Value;

use crate::input::Input;

const SECRET: &[u8] = b"ya29.a0+B/x y";

static NEEDLES: LazyLock<Arc<Needles>> = LazyLock::new(|| {
    let mut needles = Needles::default();
    needles.add(SECRET);
    Arc::new(needles)
});

/// Any bytes in any pieces: the watch for secrets and the reader of one member say what they say of the whole; and a
/// secret is seen whatever stands around it.
///
/// # Panics
/// Where that does not hold.
pub fn streams(data: &[u8]) {
    let mut input = Input::new(data);
    let mut cuts: [u8; 8] = input.array();
    let bytes = input.rest();
    cuts.iter_mut().for_each(|cut| *cut = (*cut).max(1));
    let pieces = || {
        let (mut at, mut turn) = (0, 0);
        std::iter::from_fn(move || {
            let end = bytes.len().min(at + usize::from(cuts[turn % cuts.len()]));
            let piece = bytes.get(at..end).filter(|piece| !piece.is_empty())?;
            (at, turn) = (end, turn + 1);
            Some(piece)
        })
    };
    watch(bytes, &mut pieces());
    member(bytes, &mut pieces());
}

fn watch(bytes: &[u8], pieces: &mut dyn Iterator<Item = &[u8]>) {
    let new = || Watcher::new(Arc::clone(&NEEDLES));
    let whole = new().feed(bytes);
    let mut cut = new();
    let mut seen = false;
    for piece in pieces {
        let now = cut.feed(piece);
        assert!(now || !seen, "what was seen stays seen");
        seen = now;
    }
    assert_eq!(seen, whole, "the pieces and the whole");
    let plain = bytes.windows(SECRET.len()).any(|window| window == SECRET);
    assert!(whole || !plain, "the secret as it is");
    // Behind any bytes, and cut in its middle. (An escape that was begun may take up the first byte in the views that
    // undo escapes, but not in the text as it came.)
    let mut hidden = new();
    let (first, second) = SECRET.split_at(usize::from(bytes.first().copied().unwrap_or(0)) % SECRET.len());
    hidden.feed(bytes);
    hidden.feed(first);
    assert!(hidden.feed(second), "the secret behind other bytes");
}

fn member<'a>(bytes: &[u8], pieces: &mut dyn Iterator<Item = &'a [u8]>) {
    let read = |pieces: &mut dyn Iterator<Item = &'a [u8]>| {
        let mut reader = MemberReader::new("data");
        let mut decoded = Vec::new();
        for piece in pieces {
            reader.feed(piece, &mut decoded).ok()?;
        }
        reader.finish().ok().map(|()| decoded)
    };
    let cut = read(pieces);
    let mut whole = MemberReader::new("data");
    let mut decoded = Vec::new();
    let fine = whole.feed(bytes, &mut decoded).is_ok() && whole.finish().is_ok();
    assert_eq!(cut, fine.then(|| decoded.clone()), "the pieces and the whole");
    // What it accepts, another reader reads the same; but for the text's bytes, which may be no UTF-8 elsewhere.
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    let theirs = value.get("data").and_then(Value::as_str).and_then(base64);
    // What it refuses may be there twice, escaped, too deep or too long: of no interest here.
    if fine {
        assert_eq!(Some(decoded), theirs, "what stands in the member");
    }
}

fn base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&base64::alphabet::URL_SAFE, config).decode(text).ok()
}
