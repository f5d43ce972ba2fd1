//! UTF-16 text as event logs hold it: little-endian code units, decoded only when somebody looks.

/// Units decoded at a time while all of them are ASCII.
const LANES: usize = 16;

/// The ASCII form of a whole block of units.
#[inline]
fn ascii_block(units: &[u8; 2 * LANES]) -> Option<[u8; LANES]> {
    let mut out = [0; LANES];
    let mut seen = 0u16;
    for (o, pair) in out.iter_mut().zip(units.as_chunks::<2>().0) {
        let unit = u16::from_le_bytes(*pair);
        seen |= unit;
        *o = pair[0];
    }
    (seen < 0x80).then_some(out)
}

/// Appends the text. A lone surrogate becomes U+FFFD; an odd byte at the end is no unit.
pub fn decode(units: &[u8], out: &mut String) {
    out.reserve(units.len() / 2);
    let mut rest = units;
    while let Some((block, tail)) = rest.split_first_chunk::<{ 2 * LANES }>()
        && let Some(ascii) = ascii_block(block)
    {
        match std::str::from_utf8(&ascii) {
            Ok(text) => out.push_str(text),
            // ASCII is UTF-8.
            Err(_) => break,
        }
        rest = tail;
    }
    let units = rest.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair));
    out.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
}

/// Whether this is the given text.
#[inline]
pub fn equals(units: &[u8], text: &str) -> bool {
    let pairs = units.as_chunks::<2>().0;
    // ASCII has as many units as bytes.
    if text.is_ascii() {
        return pairs.len() == text.len() && pairs.iter().zip(text.bytes()).all(|(p, b)| *p == [b, 0]);
    }
    let decoded = char::decode_utf16(pairs.iter().map(|p| u16::from_le_bytes(*p)));
    decoded.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).eq(text.chars())
}

/// Calls `f` with the text, without an allocation where it is short ASCII, as numbers and times are.
#[inline]
pub fn with_text<T>(units: &[u8], f: impl FnOnce(&str) -> T) -> T {
    let mut short = [0u8; 64];
    let pairs = units.as_chunks::<2>().0;
    if pairs.len() <= short.len() {
        let mut seen = 0u16;
        for (o, pair) in short.iter_mut().zip(pairs) {
            seen |= u16::from_le_bytes(*pair);
            *o = pair[0];
        }
        if seen < 0x80
            && let Ok(text) = std::str::from_utf8(&short[..pairs.len()])
        {
            return f(text);
        }
    }
    let mut text = String::new();
    decode(units, &mut text);
    f(&text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    fn units(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn decoded(units: &[u8]) -> String {
        let mut out = String::from("<");
        super::decode(units, &mut out);
        out.split_off(1)
    }

    #[test]
    fn lone_surrogates_and_odd_bytes() {
        assert_eq!(decoded(&[0x61, 0, 0, 0xD8, 0x62, 0, 0x63]), "a\u{FFFD}b");
        assert_eq!(decoded(&[]), "");
        assert!(super::equals(&[0, 0xD8], "\u{FFFD}"));
        assert!(!super::equals(&[0x61, 0], "a\u{0}"));
    }

    proptest! {
        #[test]
        fn as_the_standard_library_decodes(words in proptest::collection::vec(
            prop_oneof![4 => 0x20u16..0x7f, 1 => any::<u16>()], 0..90), other in "\\PC{0,20}")
        {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
            let expected = String::from_utf16_lossy(&words);
            prop_assert_eq!(decoded(&bytes), expected.clone());
            prop_assert!(super::equals(&bytes, &expected));
            prop_assert_eq!(super::equals(&bytes, &other), expected == other);
            prop_assert!(super::with_text(&bytes, |t| t == expected));
        }

        #[test]
        fn text_survives(text in "\\PC{0,60}", longer in "\\PC{1,3}") {
            prop_assert_eq!(decoded(&units(&text)), text.clone());
            prop_assert!(super::equals(&units(&text), &text));
            let more = format!("{text}{longer}");
            prop_assert!(!super::equals(&units(&text), &more));
            prop_assert!(!super::equals(&units(&more), &text));
        }
    }
}
