//! Segments and whole logs: what was changed is refused, wherever it was changed.

use std::fs;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use claviger_domain::event::{Actor, Ending, Event, Kind};
use claviger_domain::id::{BootId, Ref, UseId, VaultId};
use claviger_vault::audit::checkpoint::Signer;
use claviger_vault::audit::record::encode;
use claviger_vault::audit::segment::{End, FRAME, HEADER, Header, Previous, Walk, file_name, frame};
use claviger_vault::audit::tree::Frontier;
use claviger_vault::audit::{Report, VerifyFault, verify};
use tempfile::TempDir;

use crate::input::Input;

/// Any bytes as a segment, and a good log with changes in it: nothing is read that does not write back to the same
/// bytes, and a change shows.
///
/// # Panics
/// Where that does not hold.
pub fn log(data: &[u8]) {
    let mut input = Input::new(data);
    if input.flag() { segment(input.rest()) } else { changed(&mut input) }
}

/// Any bytes as a segment's.
fn segment(bytes: &[u8]) {
    let first = match Header::decode(bytes) {
        Some(header) => {
            assert_eq!(header.encode(), bytes[..HEADER]);
            header.first
        }
        None => 0,
    };
    walk(bytes, first);
}

/// Walks to the end and returns how many records there were, how it ended, and whether that is damage.
fn walk(bytes: &[u8], first: u64) -> (u64, End, bool) {
    let mut walk = Walk::new(bytes, first);
    loop {
        let (offset, index) = (walk.offset(), walk.index());
        let framed = match walk.step() {
            Ok(framed) => framed,
            Err(end) => {
                assert_eq!((walk.offset(), walk.index()), (offset, index), "a fault does not move on");
                assert!(end != End::Clean || bytes.get(offset..).unwrap_or_default().iter().all(|b| *b == 0));
                return (index - first, end, walk.damaged());
            }
        };
        assert_eq!((framed.offset, framed.index), (offset, index));
        assert!(framed.group <= framed.offset && walk.offset() == offset + FRAME + framed.payload.len());
        let mut again = Vec::new();
        let group = u32::try_from(framed.group).expect("a group's offset");
        assert_eq!(frame(&mut again, index, group, framed.payload), framed.leaf);
        assert_eq!(again, bytes[offset..walk.offset()], "a record that is written another way");
    }
}

/// A good log of two segments, and a folder in which it lies changed.
struct Good {
    home: TempDir,
    key: String,
    segments: [Vec<u8>; 2],
    /// Where the last group of each begins.
    last: [usize; 2],
    /// Where the records of each end; zeros follow.
    ends: [usize; 2],
    note: String,
}

/// The indices of the first records.
const FIRST: [u64; 2] = [0, 5];

static GOOD: LazyLock<Mutex<Good>> = LazyLock::new(|| Mutex::new(Good::new()));

impl Good {
    fn new() -> Self {
        let mut tree = Frontier::default();
        let header = Header { first: FIRST[0], previous: None, root: tree.root() };
        let mut first = header.encode().to_vec();
        groups(&mut first, 0, &[1, 3], &mut tree);
        let mut last = [first.len(), 0];
        groups(&mut first, 4, &[1], &mut tree);
        let previous = Previous { first: FIRST[0], len: first.len() as u64, abandoned: false };
        let header = Header { first: FIRST[1], previous: Some(previous), root: tree.root() };
        let mut second = header.encode().to_vec();
        groups(&mut second, FIRST[1], &[2], &mut tree);
        last[1] = second.len();
        groups(&mut second, FIRST[1] + 2, &[3], &mut tree);
        let ends = [first.len(), second.len()];
        first.resize(first.len() + 40, 0);
        second.resize(second.len() + 40, 0);
        let signer = Signer::new(VaultId::from_bytes([7; 16]), &[9; 32]).expect("a key");
        // Memory, where there is such a folder: this is written many times a second.
        let memory = Path::new("/dev/shm");
        let home = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.expect("a folder");
        fs::create_dir(home.path().join("segments")).expect("a folder");
        fs::create_dir(home.path().join("sidecar")).expect("a folder");
        let note = signer.sign(tree.size(), &tree.root(), Some(3));
        let good = Self { home, key: signer.verifier().text(), segments: [first, second], last, ends, note };
        let report = good.with(&good.segments, &good.note).expect("a good log");
        assert_eq!((report.records, report.signed, report.segments), (10, 10, 2));
        good
    }

    fn with(&self, segments: &[Vec<u8>; 2], note: &str) -> Result<Report, VerifyFault> {
        for (bytes, first) in segments.iter().zip(FIRST) {
            fs::write(self.home.path().join("segments").join(file_name(first)), bytes).expect("written");
        }
        fs::write(self.home.path().join("checkpoint"), note).expect("written");
        verify(self.home.path(), &self.key, None)
    }
}

/// Groups of that many records each, from that index on.
fn groups(bytes: &mut Vec<u8>, mut index: u64, groups: &[usize], tree: &mut Frontier) {
    for group in groups {
        let start = u32::try_from(bytes.len()).expect("small");
        for _ in 0..*group {
            let leaf = frame(bytes, index, start, &payload(index));
            tree.append(leaf);
            index += 1;
        }
    }
}

fn payload(index: u64) -> Vec<u8> {
    let kind = [Kind::Minted, Kind::Intent, Kind::Outcome][index as usize % 3];
    let actor = Actor::Agent("openclaw".parse().expect("a name"));
    let reference = Ref::from_bytes(index.to_be_bytes());
    let mut event =
        Event::new(kind, reference, 1_790_000_000_000 + index, BootId::from_bytes([1; 16]), actor);
    event.tool = Some("gmail.send_message".parse().expect("a name"));
    event.use_id = Some(UseId::from_bytes([index as u8 / 3; 8]));
    event.ending = (kind == Kind::Outcome).then_some(Ending::Released);
    encode(&event, None).expect("a short record")
}

/// One change at any place of a good log's bytes.
fn changed(input: &mut Input<'_>) {
    let good = GOOD.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut segments = good.segments.clone();
    let which = usize::from(input.flag());
    let mut resized = false;
    for _ in 0..1 + (input.byte() & 3) {
        let bytes = &mut segments[which];
        let at = input.below(bytes.len() + 1);
        let before = bytes.len();
        match input.byte() % 6 {
            0 if at < bytes.len() => bytes[at] ^= 1 << (input.byte() & 7),
            1 if at < bytes.len() => bytes[at] = input.byte(),
            2 => bytes.truncate(at),
            3 => drop(bytes.splice(at..at, input.bytes().iter().copied())),
            4 => {
                let to = (at + input.below(200)).min(bytes.len());
                drop(bytes.drain(at..to));
            }
            _ => {
                let (from, length) = (input.below(bytes.len() + 1), input.below(200));
                let copied = bytes[from..bytes.len().min(from + length)].to_vec();
                let to = bytes.len().min(at + copied.len());
                bytes.splice(at..to, copied);
            }
        }
        resized |= bytes.len() != before;
    }
    let (bytes, whole, end) = (&segments[which], &good.segments[which], good.ends[which]);
    // Behind the records only zeros count for nothing; how many there are says nothing.
    let tail = bytes.get(end..).is_some_and(|tail| tail.iter().all(|byte| *byte == 0));
    let harmless = bytes.get(..end) == Some(&whole[..end]) && tail;
    assert!(resized || harmless == (bytes == whole), "only a length can change without a fault");
    let verified = good.with(&segments, &good.note);
    assert_eq!(verified.is_ok(), harmless, "{:?}", verified.err());

    // What stands before the change is read all the same, and nothing else is.
    let first = FIRST[which];
    let first_change = whole.iter().zip(bytes).take_while(|(old, new)| old == new).count();
    if first_change >= HEADER {
        let (count, ended, damaged) = walk(bytes, first);
        let sound = sound_before(whole, end, first_change, first);
        assert!(count >= sound, "{count} of {sound} records before the change");
        let clean = ended == End::Clean;
        assert!(!(clean && damaged), "a clean end is no damage");
        // Before the last group it was durable, and what follows says so; in it, it may be a write that was torn.
        let last = good.last[which];
        let follows = bytes.get(last..end) == Some(&whole[last..end]);
        assert!(!(first_change < last && follows) || damaged, "damage passes for a torn write");
        assert!(first_change < last || !damaged, "a torn write passes for damage");
    } else {
        assert_eq!(Header::decode(bytes), None, "a changed header");
    }
    // A note that was changed vouches for nothing.
    let mut note = good.note.clone().into_bytes();
    let at = input.below(note.len());
    let byte = input.byte();
    if note[at] != byte
        && let Ok(note) = String::from_utf8({
            note[at] = byte;
            note
        })
    {
        assert!(good.with(&good.segments, &note).is_err(), "a changed note");
    }
}

/// How many records of the good segment end at or before that place.
fn sound_before(whole: &[u8], end: usize, place: usize, first: u64) -> u64 {
    let mut walk = Walk::new(&whole[..end], first);
    let mut count = 0;
    while walk.step().is_ok() && walk.offset() <= place {
        count += 1;
    }
    count
}
