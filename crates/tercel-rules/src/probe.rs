//! Few texts looked for in a long one, many bytes at a time.
//!
//! Where two to four *windows*, pairs or triples of bytes that are rare in events, are enough for every needle
//! to have one of them, every position of the text is asked for all of them at once. Only where a window
//! stands are needles compared in full. For many needles, or needles of common parts, there are no such
//! windows; see [`crate::scan`].
//!
//! As there, bit 5 of every byte is set before it is compared, and needles are folded.

use crate::step::runs_here;

/// Windows at most: more cost more than the grams of a lane.
const MAX_WINDOWS: usize = 4;
/// Needles that share a window at most, so that a text full of it costs no more than so many comparisons a
/// byte.
const MAX_PLACES: usize = 64;
/// How often windows may stand in a text, as a share of its bytes: the price of looking closer.
const MAX_SHARE: f32 = 1e-3;
/// What even the rarest window is taken to cost.
const LEAST_SHARE: f32 = 1e-4;

/// Two or three folded bytes in a row, and the needles that are looked at where they stand.
struct Window {
    bytes: [u8; 3],
    width: usize,
    /// Needle, and where in it the window begins.
    places: Vec<(u32, u32)>,
}

pub(crate) struct Probes {
    windows: Vec<Window>,
}

#[inline(always)]
fn folded(b: u8) -> u8 {
    b | 0x20
}

/// A guess at how many of a thousand bytes of events are this folded one.
pub(crate) fn share(b: u8) -> f32 {
    let n = match b {
        b'"' | b'e' => 60,
        b't' | b'i' | b's' => 50,
        b'a' | b'o' | b'n' | b'r' => 45,
        b' ' => 40,
        b'l' | b'd' | b'c' | b'|' => 30,
        b'm' => 25,
        b'u' | b'p' | b'f' | b':' | b',' => 20,
        b'0'..=b'9' | b'w' | b'h' | b'b' | b'.' => 15,
        b'g' | b'v' => 12,
        b'x' | b'-' => 10,
        b'k' | b'y' => 8,
        b'/' | b'{' | b'}' | 0x7F => 5,
        b'j' | b'q' | b'z' => 3,
        _ => 1,
    };
    n as f32 / 1000.0
}

impl Window {
    fn of(bytes: &[u8]) -> Window {
        let mut padded = [0; 3];
        padded.iter_mut().zip(bytes).for_each(|(p, b)| *p = folded(*b));
        Window { bytes: padded, width: bytes.len(), places: Vec::new() }
    }
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.width]
    }
    fn stands_at(&self, text: &[u8], at: usize) -> bool {
        text.get(at..at + self.width)
            .is_some_and(|t| t.iter().zip(self.bytes()).all(|(t, b)| folded(*t) == *b))
    }
    fn place_in(&self, needle: &[u8]) -> Option<u32> {
        (0..needle.len()).find(|at| self.stands_at(needle, *at)).map(|at| at as u32)
    }
}

impl Probes {
    /// Of folded needles. `common`: bytes as events have them; windows of three that stand there do not serve.
    /// `None`: no few windows would do, or this processor has no instructions for it.
    pub(crate) fn new(needles: &[Box<[u8]>], common: &[u8]) -> Option<Probes> {
        if needles.is_empty() || needles.len() > MAX_WINDOWS * MAX_PLACES || !runs_here() {
            return None;
        }
        let cost = |w: &Window| {
            let p: f32 = w.bytes().iter().map(|b| share(*b)).product();
            // Punctuation is hardly ever doubled.
            let doubled = w.bytes[0] == w.bytes[1] && w.bytes[0].is_ascii_punctuation();
            let usual = w.place_in(common).is_some();
            (if usual { 1.0 } else { p } * if doubled { 0.1 } else { 1.0 }).max(LEAST_SHARE)
        };
        let mut open: Vec<u32> = (0..needles.len() as u32).collect();
        let mut windows: Vec<Window> = Vec::new();
        let mut total = 0.0;
        while !open.is_empty() {
            if windows.len() == MAX_WINDOWS {
                return None;
            }
            // The window that serves most of what is left for its price. Every one that the first needle has
            // is a candidate: it must be served by one of them.
            let first = &needles[open[0] as usize];
            let candidates = (2..=3).flat_map(|n| first.windows(n)).map(Window::of);
            let serves = |w: &Window| {
                open.iter().filter(|n| w.place_in(&needles[**n as usize]).is_some()).count() as f32 / cost(w)
            };
            let mut best = candidates.max_by(|a, b| serves(a).total_cmp(&serves(b)))?;
            total += cost(&best);
            open.retain(|n| match best.place_in(&needles[*n as usize]) {
                Some(at) => {
                    best.places.push((*n, at));
                    false
                }
                None => true,
            });
            if total > MAX_SHARE || best.places.len() > MAX_PLACES {
                return None;
            }
            windows.push(best);
        }
        Some(Probes { windows })
    }

    /// Reports the needles that the text has, some more than once. The text is folded, or all ASCII.
    pub(crate) fn run(&self, needles: &[Box<[u8]>], text: &[u8], found: &mut impl FnMut(u32)) {
        let mut meet = |at: usize| self.check(needles, text, at, found);
        #[cfg(target_arch = "x86_64")]
        if runs_here() {
            // SAFETY: the processor has the features.
            unsafe {
                match &self.windows[..] {
                    [a] => x86::scan([a], text, &mut meet),
                    [a, b] => x86::scan([a, b], text, &mut meet),
                    [a, b, c] => x86::scan([a, b, c], text, &mut meet),
                    [a, b, c, d, ..] => x86::scan([a, b, c, d], text, &mut meet),
                    [] => {}
                }
            }
            return;
        }
        (0..text.len()).for_each(&mut meet);
    }

    #[cold]
    fn check(&self, needles: &[Box<[u8]>], text: &[u8], at: usize, found: &mut impl FnMut(u32)) {
        for window in self.windows.iter().filter(|w| w.stands_at(text, at)) {
            for (id, offset) in &window.places {
                let needle = &needles[*id as usize];
                let Some(start) = at.checked_sub(*offset as usize) else { continue };
                if text.get(start..start + needle.len()).is_some_and(|t| t.eq_ignore_ascii_case(needle)) {
                    found(*id);
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Window;
    use crate::step::x86::{REACH, every, folded_from};

    /// Calls `meet` with every position where one of the windows stands, and perhaps with others.
    #[target_feature(enable = "avx2")]
    pub(super) fn scan<const N: usize>(windows: [&Window; N], text: &[u8], meet: &mut impl FnMut(usize)) {
        let all = |b: u8| _mm256_set1_epi8(b.cast_signed());
        let first = windows.map(|w| all(w.bytes[0]));
        let second = windows.map(|w| all(w.bytes[1]));
        let third = windows.map(|w| all(w.bytes[2]));
        // Of a pair the third byte may be anything.
        let any = windows.map(|w| all(if w.width == 2 { 0xFF } else { 0 }));
        let look = |b: &[u8; REACH]| {
            let (x, y, z) = (folded_from(b, 0), folded_from(b, 1), folded_from(b, 2));
            let mut hits = _mm256_setzero_si256();
            for i in 0..N {
                let two = _mm256_and_si256(_mm256_cmpeq_epi8(x, first[i]), _mm256_cmpeq_epi8(y, second[i]));
                let three = _mm256_or_si256(_mm256_cmpeq_epi8(z, third[i]), any[i]);
                hits = _mm256_or_si256(hits, _mm256_and_si256(two, three));
            }
            _mm256_movemask_epi8(hits).cast_unsigned()
        };
        every(text, look, meet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tercel_ir::function::fold;

    #[test]
    fn common_words_have_no_windows() {
        let of = |n: &[&str]| n.iter().map(|n| n.as_bytes().into()).collect::<Vec<Box<[u8]>>>();
        let common = b"system windows service";
        assert!(Probes::new(&of(&["system"]), common).is_none());
        let few = Probes::new(&of(&["privilege::debug", "sekurlsa::x", "kiwi"]), common);
        assert!(few.is_some_and(|p| p.windows.len() == 2) || !runs_here());
    }

    proptest! {
        #[test]
        fn finds_what_is_there(
            needles in prop::collection::vec("[qz:~@`Z]{2,9}", 1..4),
            text in "[qQz:~@`xé]{0,120}",
            lead in 0usize..70,
            put in 0usize..4,
        ) {
            let needles: Vec<Box<[u8]>> = needles.iter().map(|n| fold(n).into_bytes().into()).collect();
            let needle = std::str::from_utf8(&needles[put % needles.len()]).unwrap_or_default();
            let text = fold(&format!("{}{text}{needle}", "y".repeat(lead)));
            let want: Vec<bool> = needles
                .iter()
                .map(|n| text.as_bytes().windows(n.len()).any(|w| *w == **n))
                .collect();
            if let Some(p) = Probes::new(&needles, b"") {
                let mut got = vec![false; needles.len()];
                p.run(&needles, text.as_bytes(), &mut |i| got[i as usize] = true);
                prop_assert_eq!(&got, &want);
                if text.is_ascii() {
                    let mut got = vec![false; needles.len()];
                    p.run(&needles, text.to_ascii_uppercase().as_bytes(), &mut |i| got[i as usize] = true);
                    prop_assert_eq!(&got, &want);
                }
            }
        }
    }
}
