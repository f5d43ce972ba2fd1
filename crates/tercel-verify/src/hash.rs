//! A quick hash for keys that are numbers which this crate gave out itself. Texts that come from rules are
//! hashed with the standard library's, which cannot be predicted.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// Multiply and rotate, a word at a time (as the compiler's own tables do).
#[derive(Default, Clone, Copy)]
pub(crate) struct Quick(u64);

impl Quick {
    fn word(&mut self, w: u64) {
        self.0 = (self.0.rotate_left(5) ^ w).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|w| self.word(u64::from_le_bytes(*w)));
        rest.iter().for_each(|b| self.word((*b).into()));
    }
    fn write_u8(&mut self, n: u8) {
        self.word(n.into());
    }
    fn write_u32(&mut self, n: u32) {
        self.word(n.into());
    }
    fn write_u64(&mut self, n: u64) {
        self.word(n);
    }
    fn write_usize(&mut self, n: usize) {
        self.word(n as u64);
    }
    fn finish(&self) -> u64 {
        // The tables look at the upper bits.
        self.0.rotate_left(26)
    }
}

pub(crate) type QuickMap<K, V> = HashMap<K, V, BuildHasherDefault<Quick>>;
pub(crate) type QuickSet<K> = HashSet<K, BuildHasherDefault<Quick>>;

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher;

    #[test]
    fn neighbours_differ() {
        let b = BuildHasherDefault::<Quick>::default();
        let all: QuickSet<u64> = (0..10_000u32).map(|n| b.hash_one(n)).collect();
        assert_eq!(all.len(), 10_000);
        let pairs: QuickSet<u64> = (0..100u32)
            .flat_map(|x| (0..100u32).map(move |y| (x, vec![(y, true)])))
            .map(|k| b.hash_one(k))
            .collect();
        assert_eq!(pairs.len(), 10_000);
    }
}
