//! Looking at many bytes at once. What is found is the same for every implementation; the portable one is
//! the measure of the others. Loads of 64 bytes (AVX-512) were tried and are no faster: values are short.

/// Bytes that every load may touch.
pub(super) const REACH: usize = 64;

/// Which of some bytes are what; bit 0 is the first byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Classes {
    pub quote: u64,
    pub backslash: u64,
    pub newline: u64,
    /// Not ASCII.
    pub high: u64,
}

/// A way of looking at bytes.
pub(super) trait Vector {
    /// How many bytes [`Vector::classes`] and [`Vector::no_digit`] look at; at most 64.
    const WIDTH: usize;

    /// # Safety
    /// The processor must have the features of the implementation.
    unsafe fn classes(bytes: &[u8; REACH]) -> Classes;

    /// Which bytes are no decimal digits.
    ///
    /// # Safety
    /// The processor must have the features of the implementation.
    unsafe fn no_digit(bytes: &[u8; REACH]) -> u64;

    /// Whether the first 32 bytes are equal to `head` wherever `mask` has a bit.
    ///
    /// # Safety
    /// The processor must have the features of the implementation.
    unsafe fn same(bytes: &[u8; REACH], head: &[u8; 32], mask: u32) -> bool;
}

/// The implementation that needs nothing.
pub(super) struct Portable;

impl Vector for Portable {
    const WIDTH: usize = 16;

    #[inline(always)]
    unsafe fn classes(bytes: &[u8; REACH]) -> Classes {
        let mut c = Classes { quote: 0, backslash: 0, newline: 0, high: 0 };
        for (i, b) in bytes[..Self::WIDTH].iter().enumerate() {
            c.quote |= u64::from(*b == b'"') << i;
            c.backslash |= u64::from(*b == b'\\') << i;
            c.newline |= u64::from(*b == b'\n') << i;
            c.high |= u64::from(*b >= 0x80) << i;
        }
        c
    }

    #[inline(always)]
    unsafe fn no_digit(bytes: &[u8; REACH]) -> u64 {
        let is = |(i, b): (usize, &u8)| u64::from(!b.is_ascii_digit()) << i;
        bytes[..Self::WIDTH].iter().enumerate().map(is).sum()
    }

    #[inline(always)]
    unsafe fn same(bytes: &[u8; REACH], head: &[u8; 32], mask: u32) -> bool {
        // A mask has its bits at the bottom.
        let n = mask.trailing_ones() as usize;
        bytes[..n] == head[..n]
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::Avx2;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Classes, REACH, Vector};

    /// 32 bytes at a time.
    pub struct Avx2;

    impl Vector for Avx2 {
        const WIDTH: usize = 32;

        #[inline(always)]
        unsafe fn classes(bytes: &[u8; REACH]) -> Classes {
            // SAFETY: the caller vouches for AVX2; 32 of the 64 bytes are read, at any alignment.
            unsafe {
                let v = _mm256_loadu_si256(bytes.as_ptr().cast());
                let is = |c: u8| {
                    let hits = _mm256_cmpeq_epi8(v, _mm256_set1_epi8(c.cast_signed()));
                    u64::from(_mm256_movemask_epi8(hits).cast_unsigned())
                };
                Classes {
                    quote: is(b'"'),
                    backslash: is(b'\\'),
                    newline: is(b'\n'),
                    high: u64::from(_mm256_movemask_epi8(v).cast_unsigned()),
                }
            }
        }

        #[inline(always)]
        unsafe fn no_digit(bytes: &[u8; REACH]) -> u64 {
            // SAFETY: as above.
            unsafe {
                let v = _mm256_loadu_si256(bytes.as_ptr().cast());
                // Digits become 0 to 9, everything else more.
                let n = _mm256_sub_epi8(v, _mm256_set1_epi8(b'0'.cast_signed()));
                let nine = _mm256_set1_epi8(9);
                let digit = _mm256_cmpeq_epi8(_mm256_max_epu8(n, nine), nine);
                u64::from(!_mm256_movemask_epi8(digit).cast_unsigned())
            }
        }

        #[inline(always)]
        unsafe fn same(bytes: &[u8; REACH], head: &[u8; 32], mask: u32) -> bool {
            // SAFETY: as above; `head` has 32 bytes.
            unsafe {
                let a = _mm256_loadu_si256(bytes.as_ptr().cast());
                let b = _mm256_loadu_si256(head.as_ptr().cast());
                let equal = _mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b)).cast_unsigned();
                !equal & mask == 0
            }
        }
    }
}

/// The bits of the characters that a backslash escapes. `carry`: 1 if the first one is escaped by what
/// came before; becomes that for the next `width` bytes.
#[inline(always)]
pub(super) fn escaped(backslash: u64, carry: &mut u64, width: usize) -> u64 {
    const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
    // In a run of backslashes every second one escapes. A subtraction finds the ends of the runs: where a
    // run begins at an even bit, the borrow leaves its odd bits set, and the other way round.
    let potential = backslash & !*carry;
    let codes = ((potential << 1) | ODD).wrapping_sub(potential) ^ ODD;
    let escaped = codes ^ (backslash | *carry);
    *carry = (codes & backslash) >> (width - 1) & 1;
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(b'\\'), Just(b'"'), Just(b'\n'), b'/'..=b':', any::<u8>()];
        prop::collection::vec(byte, 64..200)
    }

    fn check<V: Vector>(bytes: &[u8; REACH], head: &[u8; 32], mask: u32) {
        let low = |n: usize| if n == 64 { u64::MAX } else { (1 << n) - 1 };
        // SAFETY: the caller has looked for the features.
        let (c, d, s) = unsafe { (V::classes(bytes), V::no_digit(bytes), V::same(bytes, head, mask)) };
        for (i, b) in bytes[..V::WIDTH].iter().enumerate() {
            let bit = |m: u64| m >> i & 1 == 1;
            assert_eq!(
                (bit(c.quote), bit(c.backslash), bit(c.newline), bit(c.high), bit(d)),
                (*b == b'"', *b == b'\\', *b == b'\n', *b >= 0x80, !b.is_ascii_digit())
            );
        }
        assert_eq!((c.quote | c.backslash | c.newline | c.high | d) & !low(V::WIDTH), 0);
        let n = mask.trailing_ones() as usize;
        assert_eq!(s, bytes[..n] == head[..n]);
    }

    proptest! {
        #[test]
        fn all_ways_see_the_same(text in text(), n in 0u32..=32, other in any::<(u8, u8)>()) {
            for at in 0..=text.len() - REACH {
                let bytes: &[u8; REACH] = text[at..at + REACH].try_into().unwrap();
                let mut head: [u8; 32] = bytes[..32].try_into().unwrap();
                let mask = if n == 32 { u32::MAX } else { (1 << n) - 1 };
                check::<Portable>(bytes, &head, mask);
                head[usize::from(other.0) % 32] = other.1;
                check::<Portable>(bytes, &head, mask);
                #[cfg(target_arch = "x86_64")]
                if is_x86_feature_detected!("avx2") {
                    check::<Avx2>(bytes, &head, mask);
                }
            }
        }

        #[test]
        fn escapes_are_found(text in text(), wide: bool) {
            let width = if wide { 32 } else { 16 };
            let mut carry = 0;
            let mut escapes = false;
            for block in text.chunks_exact(width) {
                let backslash = block.iter().enumerate().map(|(i, b)| u64::from(*b == b'\\') << i).sum();
                let got = escaped(backslash, &mut carry, width);
                for (i, b) in block.iter().enumerate() {
                    prop_assert_eq!(got >> i & 1 == 1, escapes, "byte {}", i);
                    escapes = *b == b'\\' && !escapes;
                }
                prop_assert_eq!(carry == 1, escapes);
            }
        }
    }
}
