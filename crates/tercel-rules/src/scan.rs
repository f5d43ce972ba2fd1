//! Many texts looked for in a long one.
//!
//! An automaton takes a step for every byte. Here only every `stride`-th position is looked at: the four bytes
//! (or three) that begin there are asked of a bitmap that holds all such *grams* of a stretch of each needle. The stretch
//! is long enough that wherever the needle stands, one of its grams begins at a position that is looked at.
//! What the bitmap lets through is compared in full, so nothing is found that is not there, and nothing is missed.
//!
//! Case of ASCII letters does not count: bit 5 of every byte is set before a gram is asked for, and the
//! comparison ignores case. Needles are folded.

use crate::hash::{FastMap, FastSet};
use crate::probe::Probes;
use crate::triples::Triples;

/// Needles from this length are looked for in strides.
const LONG: usize = 8;
/// No wider strides: a stretch has as many grams as the stride is wide.
const MAX_STRIDE: usize = 12;

/// Words of a bitmap for few grams, and for many: the processor's nearest cache holds either.
const FEW: usize = 512;
const MANY: usize = 4096;
/// Words of a bitmap of all pairs of bytes.
const PAIRS: usize = (1 << 16) / 64;

/// Where a gram stands in a needle.
struct Place {
    needle: u32,
    offset: u32,
    /// The first gram of the needle. Many needles share an end, as `.dll`, and are told apart by this without
    /// a call.
    first: u32,
}

/// One width of grams.
struct Lane {
    gram: usize,
    stride: usize,
    bitmap: Vec<u64>,
    /// Where every position is looked at, by many at a time if that serves.
    triples: Option<Triples>,
    /// Where it does not: the pairs of bytes that grams begin with, a bit each. Asking for them first takes no
    /// arithmetic.
    pairs: Vec<u64>,
    /// By gram: a range of `places`.
    starts: FastMap<u32, (u32, u32)>,
    places: Vec<Place>,
}

pub(crate) struct Scanner {
    needles: Vec<Box<[u8]>>,
    /// Where they serve, there are no lanes.
    probes: Option<Probes>,
    lanes: Vec<Lane>,
    /// Needles too short for grams.
    tiny: Vec<u32>,
}

/// What many events have: needles are recognised by other parts where they have other parts.
const COMMON: &str = "\\windows\\system32\\program files (x86)\\microsoft\\users\\appdata\\local\\temp\\software\\currentversion\\\
    .exe.dll.sys.log process event privilege security user name source message information logon account access \
    command driver print service time data record channel provider powershell script host operational keyword task \
    level version category type domain object target image handle thread registry value file create delete network";

/// The bytes of a gram that count.
const fn mask(width: usize) -> u32 {
    if width == 4 { u32::MAX } else { 0xFF_FFFF }
}

#[inline(always)]
fn gram_at(b: &[u8], width: usize) -> u32 {
    // Always four bytes if there are; the mask cuts.
    let w = match b.first_chunk::<4>() {
        Some(w) => u32::from_le_bytes(*w),
        None => b.iter().rev().fold(0, |w, b| w << 8 | u32::from(*b)),
    };
    (w | 0x2020_2020) & mask(width)
}

#[inline(always)]
fn slot(gram: u32, shift: u32) -> (usize, u64) {
    let h = gram.wrapping_mul(0x9E37_79B1) >> shift;
    ((h >> 6) as usize, 1 << (h & 63))
}

impl Lane {
    fn new(needles: &[Box<[u8]>], ids: &[u32], gram: usize, stride: usize) -> Lane {
        // How many needles have a gram: stretches are taken from the rarer parts of needles.
        let mut common: FastMap<u32, u32> = FastMap::default();
        for id in ids {
            for w in needles[*id as usize].windows(gram) {
                *common.entry(gram_at(w, gram)).or_default() += 1;
            }
        }
        let events: FastSet<u32> = COMMON.as_bytes().windows(gram).map(|w| gram_at(w, gram)).collect();
        let mut by_gram: FastMap<u32, Vec<(u32, u32)>> = FastMap::default();
        for id in ids {
            let grams: Vec<u32> = needles[*id as usize].windows(gram).map(|w| gram_at(w, gram)).collect();
            let cost = |g: &u32| {
                let usual =
                    g.to_le_bytes()[..gram].iter().filter(|b| b" 0123456789\",-\\/".contains(b)).count();
                common[g] as usize + 8 * usual + if events.contains(g) { 100 } else { 0 }
            };
            let costs: Vec<usize> = grams.iter().map(cost).collect();
            let stretch = (0..=grams.len() - stride)
                .min_by_key(|s| costs[*s..*s + stride].iter().sum::<usize>())
                .unwrap_or(0);
            for (i, g) in grams.iter().enumerate().skip(stretch).take(stride) {
                by_gram.entry(*g).or_default().push((*id, i as u32));
            }
        }
        // What the bitmap lets through by chance costs more than a larger bitmap, as long as that stays in the
        // processor's nearest cache.
        let words = if by_gram.len() <= FEW { FEW } else { MANY };
        let shift = 32 - 6 - words.trailing_zeros();
        let mut bitmap = vec![0; words];
        let every = stride == 1;
        let triples = if every && gram == 3 {
            Triples::new(&by_gram.keys().copied().collect::<Vec<_>>())
        } else {
            None
        };
        let by_pairs = every && triples.is_none();
        let mut pairs = vec![0; if by_pairs { PAIRS } else { 0 }];
        let mut starts = FastMap::default();
        let mut places = Vec::new();
        for (g, list) in by_gram {
            let (word, bit) = slot(g, shift);
            bitmap[word] |= bit;
            if by_pairs {
                let pair = (g & 0xFFFF) as usize;
                pairs[pair >> 6] |= 1 << (pair & 63);
            }
            let from = places.len() as u32;
            places.extend(list.into_iter().map(|(needle, offset)| {
                let first = gram_at(&needles[needle as usize], gram);
                Place { needle, offset, first }
            }));
            starts.insert(g, (from, places.len() as u32));
        }
        Lane { gram, stride, bitmap, triples, pairs, starts, places }
    }

    fn run(&self, needles: &[Box<[u8]>], text: &[u8], found: &mut impl FnMut(u32)) {
        let mut meet = |at, gram| self.check(needles, text, at, gram, found);
        let may_be = |g| match <&[u64; FEW]>::try_from(&self.bitmap[..]) {
            Ok(few) => may_be(few, g),
            Err(_) => <&[u64; MANY]>::try_from(&self.bitmap[..]).is_ok_and(|many| may_be(many, g)),
        };
        if let Some(triples) = &self.triples {
            return triples.run(text, &mut |at| {
                let g = gram_at(&text[at..], self.gram);
                if may_be(g) {
                    meet(at, g);
                }
            });
        }
        if let Ok(pairs) = <&[u64; PAIRS]>::try_from(&self.pairs[..]) {
            return every(pairs, self.gram, text, &mut |at, g| {
                if may_be(g) {
                    meet(at, g);
                }
            });
        }
        // With the sizes known, no access needs a check of bounds.
        if let Ok(few) = <&[u64; FEW]>::try_from(&self.bitmap[..]) {
            by_stride(few, self.gram, self.stride, text, &mut meet);
        } else if let Ok(many) = <&[u64; MANY]>::try_from(&self.bitmap[..]) {
            by_stride(many, self.gram, self.stride, text, &mut meet);
        }
    }

    #[cold]
    fn check(&self, needles: &[Box<[u8]>], text: &[u8], at: usize, gram: u32, found: &mut impl FnMut(u32)) {
        let Some((from, to)) = self.starts.get(&gram) else { return };
        for place in &self.places[*from as usize..*to as usize] {
            let Some(start) = at.checked_sub(place.offset as usize) else { continue };
            if gram_at(&text[start..], self.gram) != place.first {
                continue;
            }
            let needle = &needles[place.needle as usize];
            if text.get(start..start + needle.len()).is_some_and(|t| t.eq_ignore_ascii_case(needle)) {
                found(place.needle);
            }
        }
    }
}

/// Every position whose pair of bytes may begin a gram, with the gram there.
fn every(pairs: &[u64; PAIRS], gram: usize, text: &[u8], meet: &mut impl FnMut(usize, u32)) {
    const STEP: usize = 6;
    let known = |pair: u64| pairs[(pair & 0xFFFF) as usize >> 6] >> (pair & 63) & 1;
    let mut at = 0;
    // A word has six positions with three bytes each.
    while let Some(word) = text.get(at..).and_then(|t| t.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word) | 0x2020_2020_2020_2020;
        let hits = (0..STEP).fold(0, |hits, i| hits | known(word >> (8 * i)) << i);
        if hits != 0 {
            for i in (0..STEP).filter(|i| hits >> i & 1 == 1 && at + i + gram <= text.len()) {
                meet(at + i, gram_at(&text[at + i..], gram));
            }
        }
        at += STEP;
    }
    for at in (at..text.len()).take_while(|at| at + gram <= text.len()) {
        meet(at, gram_at(&text[at..], gram));
    }
}

fn by_stride<const WORDS: usize>(
    bitmap: &[u64; WORDS],
    gram: usize,
    stride: usize,
    text: &[u8],
    meet: &mut impl FnMut(usize, u32),
) {
    match (gram, stride) {
        (4, 5) => strides::<5, WORDS>(bitmap, text, meet),
        (4, 6) => strides::<6, WORDS>(bitmap, text, meet),
        (4, 7) => strides::<7, WORDS>(bitmap, text, meet),
        (4, 8) => strides::<8, WORDS>(bitmap, text, meet),
        (4, 9) => strides::<9, WORDS>(bitmap, text, meet),
        (4, 10) => strides::<10, WORDS>(bitmap, text, meet),
        (4, 11) => strides::<11, WORDS>(bitmap, text, meet),
        (4, 12) => strides::<12, WORDS>(bitmap, text, meet),
        // Right for any widths.
        _ => {
            for at in (0..text.len()).step_by(stride).take_while(|at| at + gram <= text.len()) {
                let g = gram_at(&text[at..], gram);
                if may_be(bitmap, g) {
                    meet(at, g);
                }
            }
        }
    }
}

#[inline(always)]
fn may_be<const WORDS: usize>(bitmap: &[u64; WORDS], gram: u32) -> bool {
    let (word, bit) = slot(gram, 32 - 6 - WORDS.trailing_zeros());
    bitmap[word & (WORDS - 1)] & bit != 0
}

/// Grams of four bytes, several at a time.
#[inline]
fn strides<const STRIDE: usize, const WORDS: usize>(
    bitmap: &[u64; WORDS],
    text: &[u8],
    meet: &mut impl FnMut(usize, u32),
) {
    let gram = |c: &[u8; STRIDE]| u32::from_le_bytes([c[0], c[1], c[2], c[3]]) | 0x2020_2020;
    let (steps, rest) = text.as_chunks::<STRIDE>();
    let (fours, last) = steps.as_chunks::<4>();
    for (i, four) in fours.iter().enumerate() {
        let grams = [gram(&four[0]), gram(&four[1]), gram(&four[2]), gram(&four[3])];
        let any = grams.map(|g| may_be(bitmap, g));
        if any[0] | any[1] | any[2] | any[3] {
            for (k, g) in grams.into_iter().enumerate().filter(|(k, _)| any[*k]) {
                meet((i * 4 + k) * STRIDE, g);
            }
        }
    }
    for (i, step) in last.iter().enumerate() {
        let g = gram(step);
        if may_be(bitmap, g) {
            meet((fours.len() * 4 + i) * STRIDE, g);
        }
    }
    if rest.len() >= 4 {
        let g = gram_at(rest, 4);
        if may_be(bitmap, g) {
            meet(steps.len() * STRIDE, g);
        }
    }
}

impl Scanner {
    /// Of folded needles that are not empty.
    pub(crate) fn new(needles: impl Iterator<Item = Box<[u8]>>) -> Scanner {
        let needles: Vec<Box<[u8]>> = needles.collect();
        let (mut long, mut short, mut tiny) = (Vec::new(), Vec::new(), Vec::new());
        for (i, n) in needles.iter().enumerate() {
            match n.len() {
                0..3 => tiny.push(i as u32),
                3..LONG => short.push(i as u32),
                _ => long.push(i as u32),
            }
        }
        let mut lanes = Vec::new();
        let probes = if tiny.is_empty() { Probes::new(&needles, COMMON.as_bytes()) } else { None };
        if probes.is_some() {
            return Scanner { needles, probes, lanes, tiny };
        }
        if let Some(least) = long.iter().map(|i| needles[*i as usize].len()).min() {
            lanes.push(Lane::new(&needles, &long, 4, (least - 3).min(MAX_STRIDE)));
        }
        if !short.is_empty() {
            lanes.push(Lane::new(&needles, &short, 3, 1));
        }
        Scanner { needles, probes, lanes, tiny }
    }

    /// Reports the needles that the text has, some more than once. The text is folded, or all ASCII.
    pub(crate) fn run(&self, text: &[u8], found: &mut impl FnMut(u32)) {
        if let Some(probes) = &self.probes {
            return probes.run(&self.needles, text, found);
        }
        for lane in &self.lanes {
            lane.run(&self.needles, text, found);
        }
        for id in &self.tiny {
            let needle = &self.needles[*id as usize];
            let first = needle[0];
            let mut places = memchr::memchr2_iter(first, first.to_ascii_uppercase(), text);
            let stands =
                |at: usize| text.get(at..at + needle.len()).is_some_and(|t| t.eq_ignore_ascii_case(needle));
            if places.any(stands) {
                found(*id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tercel_ir::function::fold;

    proptest! {
        #[test]
        fn finds_what_is_there(needles in prop::collection::vec("[abAé@`.]{1,14}", 1..20), text in "[abABé@`.]{0,200}", put in 0usize..20) {
            let mut needles: Vec<String> = needles.iter().map(|n| fold(n)).collect();
            needles.dedup();
            // One of them stands somewhere.
            let text = fold(&format!("{text}{}ab", needles[put % needles.len()]));
            let s = Scanner::new(needles.iter().map(|n| n.as_bytes().into()));
            let mut got = vec![false; needles.len()];
            s.run(text.as_bytes(), &mut |i| got[i as usize] = true);
            let want: Vec<bool> = needles.iter().map(|n| text.contains(n.as_str())).collect();
            prop_assert_eq!(&got, &want);
            // An ASCII text need not be folded.
            if text.is_ascii() {
                let mut got = vec![false; needles.len()];
                s.run(text.to_ascii_uppercase().as_bytes(), &mut |i| got[i as usize] = true);
                prop_assert_eq!(got, want);
            }
        }
    }
}
