//! Steps over a text, many positions at a time: what the searches of [`crate::probe`] and [`crate::triples`]
//! have in common.

/// Whether this processor has the instructions.
pub(crate) fn runs_here() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    use std::arch::x86_64::*;

    /// Positions looked at in one step.
    const STEP: usize = 32;
    /// Bytes that a step looks at: what stands at the last position ends two further at most.
    pub(crate) const REACH: usize = STEP + 2;

    /// The bytes from the `at`-th of a step on, which is one of the first three, with bit 5 set.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) fn folded_from(b: &[u8; REACH], at: usize) -> __m256i {
        let b = &b[at..at + STEP];
        // SAFETY: a slice of 32 bytes; any alignment will do.
        let v = unsafe { _mm256_loadu_si256(b.as_ptr().cast()) };
        _mm256_or_si256(v, _mm256_set1_epi8(0x20))
    }

    /// Calls `meet` with the positions that `look` has a bit for. What stands there has two or three bytes; some
    /// positions may be so near to the end, or behind it, that it does not stand there whole.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) fn every(text: &[u8], look: impl Fn(&[u8; REACH]) -> u32, meet: &mut impl FnMut(usize)) {
        let mut report = |from: usize, mut hits: u32| {
            while hits != 0 {
                meet(from + hits.trailing_zeros() as usize);
                hits &= hits - 1;
            }
        };
        let mut at = 0;
        while let Some(b) = text.get(at..).and_then(|t| t.first_chunk::<REACH>()) {
            let hits = look(b);
            if hits != 0 {
                report(at, hits);
            }
            at += STEP;
        }
        // Of the last bytes, 33 at most, two begin at the first 32 at most.
        let rest = &text[at.min(text.len())..];
        let mut last = [0; REACH];
        last[..rest.len()].copy_from_slice(rest);
        report(at, look(&last));
    }
}
