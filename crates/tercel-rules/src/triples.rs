//! A few dozen triples of bytes looked for at every position of a text, many positions at a time.
//!
//! The triples are dealt into eight sets. Two tables of sixteen entries for each of the three bytes say, by
//! its lower and by its upper half, which sets have such a byte there: one shuffle of a vector asks a table for
//! 32 bytes at once. What stands in all six tables is a candidate; some candidates are no triple of the set, and
//! whoever asked looks closer.
//!
//! As in [`crate::scan`], bit 5 of every byte is set before it is compared.

use crate::probe::share;
use crate::step::runs_here;

/// More triples let too much through.
const MAX_TRIPLES: usize = 64;
/// Candidates, as a share of all positions, up to which this is cheaper than a look at every position.
const MAX_SHARE: f32 = 0.05;

/// One bit for each set of triples.
const SETS: usize = 8;

/// For each of the three bytes: sets by the byte's half.
#[derive(Clone, Copy, Default)]
struct Tables {
    low: [[u8; 16]; 3],
    high: [[u8; 16]; 3],
}

impl Tables {
    fn add(&mut self, triple: [u8; 3], set: usize) {
        for (i, b) in triple.into_iter().enumerate() {
            self.low[i][usize::from(b & 15)] |= 1 << set;
            self.high[i][usize::from(b >> 4)] |= 1 << set;
        }
    }

    /// How often one of a set's candidates stands at a position, by a guess.
    fn share(&self, set: usize) -> f32 {
        let has = |halves: &[u8; 16], half: u8| halves[usize::from(half)] >> set & 1 == 1;
        let of_byte = |i: usize| -> f32 {
            let may = |b: &u8| b & 0x20 != 0 && has(&self.low[i], b & 15) && has(&self.high[i], b >> 4);
            (0..=u8::MAX).filter(may).map(share).sum()
        };
        (0..3).map(of_byte).product()
    }
}

pub(crate) struct Triples {
    tables: Tables,
}

impl Triples {
    /// Of folded triples, the first byte lowest. `None`: there are too many, or too usual ones, or this
    /// processor has no instructions for it.
    pub(crate) fn new(triples: &[u32]) -> Option<Triples> {
        if triples.is_empty() || triples.len() > MAX_TRIPLES || !runs_here() {
            return None;
        }
        let mut tables = Tables::default();
        let mut shares = [0.0; SETS];
        for t in triples {
            let [a, b, c, _] = t.to_le_bytes();
            // Into the set that lets the least more through by it.
            let with = |set: usize| {
                let mut more = tables;
                more.add([a, b, c], set);
                (set, more.share(set))
            };
            let (set, share) =
                (0..SETS).map(with).min_by(|x, y| (x.1 - shares[x.0]).total_cmp(&(y.1 - shares[y.0])))?;
            tables.add([a, b, c], set);
            shares[set] = share;
        }
        (shares.iter().sum::<f32>() <= MAX_SHARE).then_some(Triples { tables })
    }

    /// Calls `meet` with every position where one of the triples stands whole, and with some others.
    pub(crate) fn run(&self, text: &[u8], meet: &mut impl FnMut(usize)) {
        let mut whole = |at: usize| {
            if at + 3 <= text.len() {
                meet(at);
            }
        };
        #[cfg(target_arch = "x86_64")]
        if runs_here() {
            // SAFETY: the processor has the features.
            unsafe { x86::scan(&self.tables, text, &mut whole) };
            return;
        }
        (0..text.len()).for_each(&mut whole);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Tables;
    use crate::step::x86::{REACH, every, folded_from};

    #[target_feature(enable = "avx2")]
    pub(super) fn scan(tables: &Tables, text: &[u8], meet: &mut impl FnMut(usize)) {
        let table = |t: &[u8; 16]| {
            // SAFETY: 16 bytes are read, at any alignment.
            let half = unsafe { _mm_loadu_si128(t.as_ptr().cast()) };
            _mm256_broadcastsi128_si256(half)
        };
        let low = tables.low.each_ref().map(table);
        let high = tables.high.each_ref().map(table);
        let half = _mm256_set1_epi8(15);
        let look = |b: &[u8; REACH]| {
            let sets = |i: usize| {
                let v = folded_from(b, i);
                let lower = _mm256_and_si256(v, half);
                let upper = _mm256_and_si256(_mm256_srli_epi16(v, 4), half);
                _mm256_and_si256(_mm256_shuffle_epi8(low[i], lower), _mm256_shuffle_epi8(high[i], upper))
            };
            let all = _mm256_and_si256(_mm256_and_si256(sets(0), sets(1)), sets(2));
            let none = _mm256_cmpeq_epi8(all, _mm256_setzero_si256());
            !_mm256_movemask_epi8(none).cast_unsigned()
        };
        every(text, look, meet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn triple(b: &[u8]) -> u32 {
        u32::from_le_bytes([b[0] | 0x20, b[1] | 0x20, b[2] | 0x20, 0])
    }

    #[test]
    fn too_many_are_refused() {
        let some = |n: u32| -> Vec<u32> {
            (0..n).map(|i| triple(&[b'q', b'0' + (i & 7) as u8, b'@' + (i >> 3) as u8])).collect()
        };
        assert!(Triples::new(&some(MAX_TRIPLES as u32 + 1)).is_none());
        assert_eq!(Triples::new(&some(MAX_TRIPLES as u32)).is_some(), runs_here());
        assert!(Triples::new(&[]).is_none());
    }

    proptest! {
        #[test]
        fn none_is_missed(
            triples in prop::collection::vec("[-qzQ~k@]{3}", 1..24),
            text in "[-qzQ~k@x]{0,150}",
        ) {
            let wanted: Vec<u32> = triples.iter().map(|t| triple(t.as_bytes())).collect();
            if let Some(t) = Triples::new(&wanted) {
                let text = text.as_bytes();
                let mut met = vec![false; text.len()];
                t.run(text, &mut |at| {
                    assert!(at + 3 <= text.len());
                    met[at] = true;
                });
                for (at, w) in text.windows(3).enumerate() {
                    prop_assert!(met[at] || !wanted.contains(&triple(w)), "at {}", at);
                }
            }
        }
    }
}
