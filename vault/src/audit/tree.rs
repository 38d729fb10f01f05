//! The Merkle tree over the records (RFC 6962 section 2.1, RFC 9162 section 2.1): append, root, proofs.

use ring::digest::{Context, SHA256};

/// A SHA-256 hash: of a leaf, a node or a whole tree.
pub type Hash = [u8; 32];

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// SHA-256 of the bytes themselves, without a domain prefix.
#[must_use]
pub fn plain_hash(parts: &[&[u8]]) -> Hash {
    sha256(parts)
}

/// The hash of a leaf: SHA-256 of 0x00 and the record's bytes.
#[must_use]
pub fn leaf_hash(record: &[u8]) -> Hash {
    sha256(&[&[0], record])
}

/// The hash of an inner node: SHA-256 of 0x01 and both children.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// What must be remembered of a tree to append to it: the roots of its perfect subtrees, largest first (at most 64).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// How many leaves the tree has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds one leaf by its hash.
    pub fn append(&mut self, leaf: Hash) {
        let mut hash = leaf;
        let mut rest = self.size;
        while rest & 1 == 1 {
            // As many peaks as set bits, so one is there for each set bit.
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
            rest >>= 1;
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root; for the empty tree the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return sha256(&[]) };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// The root over a list of leaf hashes.
#[must_use]
pub fn root_of(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    leaves.iter().for_each(|leaf| frontier.append(*leaf));
    frontier.root()
}

/// The largest power of two below `n`, for `n` of at least 2.
fn split(n: usize) -> usize {
    1 << (usize::BITS - 1 - (n - 1).leading_zeros())
}

/// The path that proves that the leaf at `index` is in the tree over these leaves, from the leaf upwards
/// (RFC 9162 section 2.1.3.1); `None` where there is no such leaf.
#[must_use]
pub fn inclusion_proof(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    let (mut path, mut rest, mut index) = (Vec::new(), leaves, index);
    while rest.len() > 1 {
        let (left, right) = rest.split_at(split(rest.len()));
        if index < left.len() {
            path.push(root_of(right));
            rest = left;
        } else {
            path.push(root_of(left));
            index -= left.len();
            rest = right;
        }
    }
    path.reverse();
    Some(path)
}

/// The path that proves that the first `old` of these leaves are a prefix of all of them (RFC 9162 section
/// 2.1.4.1); empty for all of them or none, `None` where there are not so many.
#[must_use]
pub fn consistency_proof(leaves: &[Hash], old: usize) -> Option<Vec<Hash>> {
    if old > leaves.len() {
        return None;
    }
    if old == 0 || old == leaves.len() {
        return Some(Vec::new());
    }
    let (mut path, mut rest, mut old, mut whole) = (Vec::new(), leaves, old, true);
    while old < rest.len() {
        let (left, right) = rest.split_at(split(rest.len()));
        if old <= left.len() {
            path.push(root_of(right));
            rest = left;
        } else {
            path.push(root_of(left));
            old -= left.len();
            rest = right;
            whole = false;
        }
    }
    if !whole {
        path.push(root_of(rest));
    }
    path.reverse();
    Some(path)
}

/// Whether the path proves the leaf's place in the tree of that size and root (RFC 9162 section 2.1.3.2).
#[must_use]
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut inner, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if inner & 1 == 1 || inner == last {
            hash = node_hash(sibling, &hash);
            while inner & 1 == 0 && inner != 0 {
                inner >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        inner >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether the path proves that the older tree is a prefix of the newer one (RFC 9162 section 2.1.4.2). Sizes and
/// roots as two signed checkpoints give them.
#[must_use]
pub fn verify_consistency(old: u64, old_root: &Hash, new: u64, new_root: &Hash, path: &[Hash]) -> bool {
    if old > new {
        return false;
    }
    if old == new {
        return path.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return path.is_empty() && *old_root == sha256(&[]);
    }
    let mut path = path.iter();
    let first = if old.is_power_of_two() { Some(old_root) } else { path.next() };
    let Some(first) = first else { return false };
    let (mut inner, mut last) = (old - 1, new - 1);
    while inner & 1 == 1 {
        inner >>= 1;
        last >>= 1;
    }
    let (mut from_old, mut from_new) = (*first, *first);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if inner & 1 == 1 || inner == last {
            from_old = node_hash(sibling, &from_old);
            from_new = node_hash(sibling, &from_new);
            while inner & 1 == 0 && inner != 0 {
                inner >>= 1;
                last >>= 1;
            }
        } else {
            from_new = node_hash(&from_new, sibling);
        }
        inner >>= 1;
        last >>= 1;
    }
    last == 0 && from_old == *old_root && from_new == *new_root
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    fn hash(text: &str) -> Hash {
        hex(text).try_into().unwrap()
    }

    /// The leaves of the test vectors that Certificate Transparency implementations share.
    fn known_leaves() -> Vec<Hash> {
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
            .iter()
            .map(|leaf| leaf_hash(&hex(leaf)))
            .collect()
    }

    #[test]
    fn roots_of_the_known_vectors() {
        let leaves = known_leaves();
        for (size, root) in [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(root_of(&leaves[..size]), hash(root), "size {size}");
        }
    }

    #[test]
    fn proofs_of_the_known_vectors() {
        let leaves = known_leaves();
        let from_first = [
            hash("96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"),
            hash("5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"),
            hash("6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"),
        ];
        assert_eq!(inclusion_proof(&leaves, 0).unwrap(), from_first);
        assert_eq!(consistency_proof(&leaves, 1).unwrap(), from_first);
        assert_eq!(
            consistency_proof(&leaves, 6).unwrap(),
            [
                hash("0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"),
                hash("ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"),
                hash("d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
            ]
        );
        assert_eq!(inclusion_proof(&leaves, 8), None);
        assert_eq!(consistency_proof(&leaves, 9), None);
    }

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|index| leaf_hash(&index.to_be_bytes())).collect()
    }

    proptest! {
        #[test]
        fn every_inclusion_proof_holds_and_no_other(size in 1_usize..70, pick in any::<usize>(), wrong in any::<usize>()) {
            let leaves = leaves(size);
            let (index, root) = (pick % size, root_of(&leaves));
            let path = inclusion_proof(&leaves, index).unwrap();
            let total = size as u64;
            prop_assert!(verify_inclusion(&leaves[index], index as u64, total, &path, &root));
            let other = wrong % size;
            if other != index {
                prop_assert!(!verify_inclusion(&leaves[index], other as u64, total, &path, &root));
                prop_assert!(!verify_inclusion(&leaves[other], index as u64, total, &path, &root));
            }
            prop_assert!(!verify_inclusion(&leaves[index], total, total, &path, &root));
            for at in 0..path.len() {
                let mut bent = path.clone();
                bent[at][wrong % 32] ^= 1;
                prop_assert!(!verify_inclusion(&leaves[index], index as u64, total, &bent, &root));
                prop_assert!(!verify_inclusion(&leaves[index], index as u64, total, &path[..at], &root));
            }
            let mut longer = path;
            longer.push([7; 32]);
            prop_assert!(!verify_inclusion(&leaves[index], index as u64, total, &longer, &root));
        }

        #[test]
        fn every_consistency_proof_holds_and_no_other(new in 1_usize..70, pick in any::<usize>(), bend in 0_usize..32) {
            let leaves = leaves(new);
            let old = pick % (new + 1);
            let (old_root, new_root) = (root_of(&leaves[..old]), root_of(&leaves));
            let path = consistency_proof(&leaves, old).unwrap();
            let (o, n) = (old as u64, new as u64);
            prop_assert!(verify_consistency(o, &old_root, n, &new_root, &path));
            let mut other = old_root;
            other[bend] ^= 1;
            prop_assert!(!verify_consistency(o, &other, n, &new_root, &path));
            if old > 0 {
                let mut other = new_root;
                other[bend] ^= 1;
                prop_assert!(!verify_consistency(o, &old_root, n, &other, &path));
            }
            for at in 0..path.len() {
                let mut bent = path.clone();
                bent[at][bend] ^= 1;
                prop_assert!(!verify_consistency(o, &old_root, n, &new_root, &bent));
                prop_assert!(!verify_consistency(o, &old_root, n, &new_root, &path[..at]));
            }
            prop_assert!(!verify_consistency(n + 1, &old_root, n, &new_root, &path));
        }
    }
}
