//! What lies in the memory of another process, for those who look for secrets in it. Only root may look.
//!
//! Every page that the process has is read through `/proc/PID/mem`, whatever it is: heap, freed heap, stacks, what is
//! mapped of files. Pages that it never touched hold nothing and are passed over (`/proc/PID/pagemap`). What the kernel
//! shows to nobody, such as `memfd_secret(2)`, is counted as unreadable.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ring::digest;

/// How many bytes are looked at together. A secret that was broken by other bytes still shows, if so many are left.
const PIECE: usize = 12;
/// The shortest thing that can be looked for.
const SHORTEST: usize = 8;
/// What a mapping is called that is a thread's stack.
const STACK: &str = "a thread's stack";
/// How much is read at a time, in bytes.
const CHUNK: usize = 1 << 20;

/// What is looked for.
#[derive(Default)]
pub struct Needles {
    all: Vec<(String, Vec<u8>)>,
    by_start: HashMap<[u8; SHORTEST], Vec<usize>>,
    /// Which pairs of bytes any needle begins with.
    pairs: Vec<bool>,
    longest: usize,
}

impl Needles {
    /// Looks for these bytes as a whole, under that name. Several may share a name.
    ///
    /// # Panics
    /// They are so few that chance would find them.
    pub fn whole(&mut self, name: &str, bytes: &[u8]) {
        let start: [u8; SHORTEST] = *bytes.first_chunk().expect("a needle has at least eight bytes");
        self.pairs.resize(1 << 16, false);
        self.pairs[pair(bytes)] = true;
        self.longest = self.longest.max(bytes.len());
        self.by_start.entry(start).or_default().push(self.all.len());
        self.all.push((name.to_owned(), bytes.to_vec()));
    }

    /// Looks for any piece of a text that is secret from its `from`th byte on: what the allocator writes into a freed
    /// block hides its beginning only.
    pub fn text(&mut self, name: &str, text: &str, from: usize) {
        let secret = &text.as_bytes()[from..];
        let at = |start: usize| start.min(secret.len().saturating_sub(PIECE));
        for start in (0..secret.len()).step_by(PIECE) {
            let piece = &secret[at(start)..];
            self.whole(name, &piece[..piece.len().min(PIECE)]);
        }
    }

    /// Looks for the 32 bytes of a key: as they are, as text, and as what a keyed hash makes of them, which is as good as
    /// the key (RFC 2104: the padded key, and the state of SHA-256 after it).
    pub fn key(&mut self, name: &str, key: &[u8; 32]) {
        for half in key.chunks(16) {
            self.whole(&format!("{name}, as it is"), half);
        }
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        self.text(&format!("{name}, in hex"), &hex, 0);
        self.text(&format!("{name}, in hex"), &hex.to_uppercase(), 0);
        for coded in [STANDARD_NO_PAD.encode(key), URL_SAFE_NO_PAD.encode(key)] {
            self.text(&format!("{name}, in base64"), &coded, 0);
        }
        for pad in [0x36, 0x5c] {
            let padded: Vec<u8> = key.iter().copied().chain([0; 32]).map(|byte| byte ^ pad).collect();
            for half in padded[..32].chunks(16) {
                self.whole(&format!("{name}, padded for a keyed hash"), half);
            }
            let state = sha256_block(padded.as_slice().try_into().unwrap());
            for words in state.chunks(4) {
                let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
                self.whole(&format!("{name}, as the state of a keyed hash"), &bytes);
            }
        }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The names of those that occur in `bytes`, and where.
    fn find(&self, bytes: &[u8], mut found: impl FnMut(&str, usize)) {
        if self.is_empty() {
            return;
        }
        for at in 0..bytes.len().saturating_sub(SHORTEST - 1) {
            if !self.pairs[pair(&bytes[at..])] {
                continue;
            }
            let rest = &bytes[at..];
            let Some(near) = rest.first_chunk().and_then(|start: &[u8; SHORTEST]| self.by_start.get(start))
            else {
                continue;
            };
            for (name, needle) in near.iter().map(|near| &self.all[*near]) {
                if rest.starts_with(needle) {
                    found(name, at);
                }
            }
        }
    }
}

fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// What a look through a process has shown.
#[derive(Debug, Default)]
pub struct Look {
    /// How much was read, in bytes.
    pub read: u64,
    /// The mappings of which pages were there and none could be read.
    pub unreadable: Vec<String>,
    /// What was found: its name, and how often in which mapping.
    pub found: BTreeMap<String, BTreeMap<String, usize>>,
}

impl Look {
    /// Whether anything of that name was found elsewhere than on the stack of a thread.
    #[must_use]
    pub fn has_off_stacks(&self, name: &str) -> bool {
        self.found.get(name).is_some_and(|places| places.keys().any(|place| !place.ends_with(STACK)))
    }

    /// Whether anything of that name was found.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.found.contains_key(name)
    }
}

/// A mapping of a process (proc_pid_maps(5)).
struct Mapping {
    from: u64,
    to: u64,
    shown: String,
}

/// Looks through all memory of a process.
///
/// # Errors
/// It has ended, or this is not root.
pub fn look(pid: u32, needles: &Needles) -> io::Result<Look> {
    let mut look = Look::default();
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let pages = File::open(format!("/proc/{pid}/pagemap"))?;
    for mapping in mappings(pid)? {
        let mut failed = false;
        let mut any = false;
        for (from, to) in present(&pages, &mapping)? {
            let mut at = from;
            while at < to {
                // Each chunk takes up what could have been cut in two before it.
                let overlap = if at == from { 0 } else { needles.longest as u64 };
                let begin = at.saturating_sub(overlap).max(from);
                let mut bytes = vec![0; usize::try_from((at + CHUNK as u64).min(to) - begin).unwrap()];
                match memory.read_exact_at(&mut bytes, begin) {
                    Ok(()) => {
                        any = true;
                        look.read += bytes.len() as u64 - (at - begin);
                        needles.find(&bytes, |name, _| {
                            let places = look.found.entry(name.to_owned()).or_default();
                            *places.entry(mapping.shown.clone()).or_default() += 1;
                        });
                    }
                    Err(_) => failed = true,
                }
                at += CHUNK as u64;
            }
        }
        if failed {
            let how = if any { "in part " } else { "" };
            look.unreadable.push(format!("{how}{}", mapping.shown));
        }
    }
    Ok(look)
}

fn mappings(pid: u32) -> io::Result<Vec<Mapping>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let read = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (from, to) = range.split_once('-')?;
        let mut words = rest.split_whitespace();
        let rights = words.next()?;
        let path: Vec<&str> = words.skip(3).collect();
        let path = if path.is_empty() { "anonymous".to_owned() } else { path.join(" ") };
        let number = |hex| u64::from_str_radix(hex, 16).ok();
        let (from, to) = (number(from)?, number(to)?);
        // What Rust gives a thread, unless it is told otherwise; an arena of the heap never has just that size.
        let path = if path == "anonymous" && to - from == 2 << 20 { STACK.to_owned() } else { path };
        Some(Mapping { from, to, shown: format!("{rights} {path}") })
    };
    // The kernel's own page for old programs lies above all others, and is the same in every process.
    Ok(text.lines().filter_map(read).filter(|mapping| mapping.from < 1 << 63).collect())
}

/// The ranges of a mapping that are there: in memory, or swapped out.
fn present(pages: &File, mapping: &Mapping) -> io::Result<Vec<(u64, u64)>> {
    let size = page_size()?;
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    let mut at = mapping.from;
    while at < mapping.to {
        let count = ((mapping.to - at) / size).min(8192);
        let mut entries = vec![0; usize::try_from(count * 8).unwrap()];
        pages.read_exact_at(&mut entries, at / size * 8)?;
        for entry in entries.chunks_exact(8) {
            let entry = u64::from_ne_bytes(entry.try_into().unwrap());
            // Bit 63: present, bit 62: swapped (pagemap, in the kernel's documentation).
            if entry >> 62 != 0 {
                match ranges.last_mut() {
                    Some((_, to)) if *to == at => *to = at + size,
                    _ => ranges.push((at, at + size)),
                }
            }
            at += size;
        }
    }
    Ok(ranges)
}

/// The size of a page, in bytes, as the kernel tells it to each program (getauxval(3): `AT_PAGESZ` is 6).
fn page_size() -> io::Result<u64> {
    let told = std::fs::read("/proc/self/auxv")?;
    let words: Vec<u64> =
        told.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap())).collect();
    let size = words.chunks_exact(2).find(|pair| pair[0] == 6).map(|pair| pair[1]);
    size.ok_or_else(|| io::Error::other("the kernel does not tell the size of a page"))
}

/// The line of `/proc/PID/status` or `/proc/PID/limits` that begins so, without that beginning.
#[must_use]
pub fn line_of(pid: u32, file: &str, begins: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(begins)).map(|rest| rest.trim().to_owned())
}

/// SHA-256's state after its first block (FIPS 180-4, 6.2.2): no library shows it.
fn sha256_block(block: &[u8; 64]) -> [u32; 8] {
    let mut words = [0_u32; 64];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = u32::from_be_bytes(bytes.try_into().unwrap());
    }
    for at in 16..64 {
        let (near, far) = (words[at - 2], words[at - 15]);
        let near = near.rotate_right(17) ^ near.rotate_right(19) ^ near >> 10;
        let far = far.rotate_right(7) ^ far.rotate_right(18) ^ far >> 3;
        words[at] = words[at - 16].wrapping_add(far).wrapping_add(words[at - 7]).wrapping_add(near);
    }
    // The fractional parts of the square and cube roots of the first primes.
    let primes: Vec<u32> = (2..312).filter(|n| (2..*n).all(|m| n % m != 0)).collect();
    let begin: Vec<u32> = primes[..8].iter().map(|prime| root_bits(u128::from(*prime), 2)).collect();
    let constants: Vec<u32> = primes[..64].iter().map(|prime| root_bits(u128::from(*prime), 3)).collect();
    let mut state: [u32; 8] = begin.as_slice().try_into().unwrap();
    for (word, constant) in words.iter().zip(constants) {
        let [a, b, c, d, e, f, g, h] = state;
        let high = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let chosen = (e & f) ^ (!e & g);
        let first = h.wrapping_add(high).wrapping_add(chosen).wrapping_add(constant).wrapping_add(*word);
        let low = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let most = (a & b) ^ (a & c) ^ (b & c);
        state = [first.wrapping_add(low).wrapping_add(most), a, b, c, d.wrapping_add(first), e, f, g];
    }
    for (word, before) in state.iter_mut().zip(begin) {
        *word = word.wrapping_add(before);
    }
    state
}

/// The first 32 bits behind the point of a number's square or cube root.
fn root_bits(number: u128, degree: u32) -> u32 {
    let target = number << (32 * degree);
    let (mut low, mut high) = (0_u128, 1 << 37);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if middle.pow(degree) <= target { low = middle } else { high = middle }
    }
    low as u32
}

/// HKDF-SHA256's first block of output (RFC 5869, 2.3) under a key that is random already.
#[must_use]
pub fn expand(key: &[u8; 32], info: &[u8]) -> [u8; 32] {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
    ring::hmac::sign(&key, &[info, &[1]].concat()).as_ref().try_into().unwrap()
}

/// The 32 bytes of an age identity's text (BIP 173; its checksum was looked at by whoever wrote it).
///
/// # Panics
/// It is none.
#[must_use]
pub fn identity_bytes(text: &str) -> [u8; 32] {
    const ALPHABET: &[u8] = b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
    let data = text.strip_prefix("AGE-SECRET-KEY-1").unwrap();
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in data[..data.len() - 6].bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter).unwrap();
        bits = bits << 5 | value as u32;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    bytes.try_into().unwrap()
}

/// SHA-256, for those who compare with what was computed here.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().unwrap()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_state_of_a_hash_is_right() {
        // "abc", padded to one block, whose hash is the state itself.
        let mut block = [0; 64];
        block[..4].copy_from_slice(b"abc\x80");
        block[63] = 24;
        let state: Vec<u8> = sha256_block(&block).iter().flat_map(|word| word.to_be_bytes()).collect();
        assert_eq!(state, sha256(b"abc"));
    }

    #[test]
    fn needles_are_found_where_they_are_and_as_what_they_are() {
        let mut needles = Needles::default();
        let key: [u8; 32] = std::array::from_fn(|at| at as u8 * 7 + 3);
        needles.key("key", &key);
        needles.text("token", "ya29.a0abcdefghijklmnopqrstuvwxyz0123456789", 7);
        let found = |bytes: &[u8]| {
            let mut names = BTreeSet::new();
            needles.find(bytes, |name, _| {
                names.insert(name.to_owned());
            });
            names.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(found(&[&[1, 2, 3], &key[..], &[4]].concat()), ["key, as it is"]);
        assert_eq!(found(&key[16..]), ["key, as it is"]);
        assert_eq!(found(&key.map(|byte| byte ^ 0x36)), ["key, padded for a keyed hash"]);
        assert_eq!(found(STANDARD_NO_PAD.encode(key).as_bytes()), ["key, in base64"]);
        assert_eq!(found(b"................mnopqrstuvwxyz0123456789"), ["token"]);
        assert_eq!(found(b"ya29.a0 and nothing of it"), [""; 0]);
        assert_eq!(found(&[0; 4096]), [""; 0]);
    }
}
