//! Hashing of keys. Every table compares whole keys, so a collision costs time, never an answer.

use std::hash::{BuildHasherDefault, Hasher};

const K: u64 = 0x9E37_79B9_7F4A_7C15;
const M: u64 = 0xD6E8_FEB8_6659_FD93;

#[inline(always)]
fn mix(a: u64, b: u64) -> u64 {
    let r = u128::from(a) * u128::from(b);
    (r as u64) ^ ((r >> 64) as u64)
}

#[inline(always)]
fn word(b: &[u8]) -> u64 {
    let mut w = [0; 8];
    w.copy_from_slice(b);
    u64::from_le_bytes(w)
}

/// Of bytes.
#[inline]
pub(crate) fn hash_bytes(b: &[u8], seed: u64) -> u64 {
    let n = b.len();
    let mut h = seed ^ (n as u64).wrapping_mul(K);
    if n >= 8 {
        let mut rest = b;
        while rest.len() > 16 {
            h = mix(word(&rest[..8]) ^ K, word(&rest[8..16]) ^ h);
            rest = &rest[16..];
        }
        if rest.len() > 8 {
            h = mix(word(&rest[..8]) ^ M, h ^ K);
        }
        // The last eight bytes, some of them for the second time.
        return mix(word(&b[n - 8..]) ^ K, h ^ M);
    }
    let mut w = 0u64;
    if n >= 4 {
        let mut a = [0; 4];
        a.copy_from_slice(&b[..4]);
        let mut z = [0; 4];
        z.copy_from_slice(&b[n - 4..]);
        w = u64::from(u32::from_le_bytes(a)) << 32 | u64::from(u32::from_le_bytes(z));
    } else if n > 0 {
        w = u64::from(b[0]) << 16 | u64::from(b[n / 2]) << 8 | u64::from(b[n - 1]);
    }
    mix(w ^ K, h ^ M)
}

/// Of a list of numbers.
#[inline]
pub(crate) fn hash_ids(ids: &[u32]) -> u64 {
    let mut h = ids.len() as u64 ^ K;
    for i in ids {
        h = mix(h ^ u64::from(*i), M);
    }
    h
}

/// For small keys.
#[derive(Default, Clone, Copy)]
pub(crate) struct FastHasher(u64);

impl Hasher for FastHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash_bytes(bytes, self.0);
    }
    #[inline]
    fn write_u64(&mut self, n: u64) {
        self.0 = mix(self.0 ^ n ^ K, M);
    }
    #[inline]
    fn write_u32(&mut self, n: u32) {
        self.write_u64(u64::from(n));
    }
    #[inline]
    fn write_u8(&mut self, n: u8) {
        self.write_u64(u64::from(n));
    }
    #[inline]
    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }
    #[inline]
    fn write_i64(&mut self, n: i64) {
        self.write_u64(n.cast_unsigned());
    }
}

pub(crate) type FastMap<K, V> = hashbrown::HashMap<K, V, BuildHasherDefault<FastHasher>>;
pub(crate) type FastSet<K> = hashbrown::HashSet<K, BuildHasherDefault<FastHasher>>;
