//! What the text of an event is made of, for those who only want to know whether something can be in it.
//!
//! Event logs and rows of columns have no text until someone writes it as JSON, and writing costs more than
//! all the rest. Names, and what else is the same in every event of a kind, are asked for once; of the event's
//! own values the characters are enough, without escapes, and without those that stand for nothing but numbers,
//! times, truth and nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::value::RawValue;

/// What a character beyond ASCII becomes: no text in UTF-8 has this byte.
const OTHER: u8 = 0xFF;
/// What stands between two values: JSON has one at either end of every text.
const APART: u8 = b'"';

/// The parts of a text that is not written yet.
///
/// Whatever stands in the written text, in one piece without quotation marks, commas, brackets and what is
/// escaped, stands in one of the fixed parts, in one of the event's own, or is made of the characters of
/// [`PLAIN`]; but for up to five characters at its beginning, which may be the end of an escape (`n` of `\n`,
/// `u001f`).
pub trait TextParts {
    /// Calls `each` with the parts that many events share.
    fn fixed(&self, each: &mut dyn FnMut(&FixedText));
    /// Appends the event's own texts, case as it is, with `"` before each: ASCII as it is, any other
    /// character as bytes that no text has, unless it folds to ASCII. `false`: that cannot be said.
    fn own(&self, out: &mut Vec<u8>) -> bool;
    /// Appends the event as JSON.
    fn render(&self, out: &mut String);
}

/// What numbers, times, identifiers, binary data, truth and nothing are written with, folded.
pub const PLAIN: &str = "0123456789+-.:_ abcdefilnrstuxyz{}";

/// Text that many events share.
#[derive(Debug)]
pub struct FixedText {
    /// Stands for the text: no two have the same in the life of a process.
    pub id: u64,
    pub text: String,
}

impl FixedText {
    /// A text with a number of its own.
    pub fn new(text: String) -> FixedText {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        FixedText { id: NEXT.fetch_add(1, Ordering::Relaxed), text }
    }
}

fn plain_char(c: char) -> u8 {
    match c {
        '\u{212A}' => b'k',
        // Only regular expressions that ignore case take it for this.
        '\u{17F}' => b's',
        c if c.is_ascii() => c as u8,
        _ => OTHER,
    }
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    out.push(APART);
    if text.is_ascii() {
        out.extend_from_slice(text.as_bytes());
    } else {
        out.extend(text.chars().map(plain_char));
    }
}

/// Appends UTF-16 text, all of it.
pub(crate) fn push_units(units: &[u8], out: &mut Vec<u8>) {
    out.push(APART);
    let (blocks, rest) = units.as_chunks::<32>();
    let slow = |units: &[u8], out: &mut Vec<u8>| {
        let unit = |p: &[u8; 2]| char::from_u32(u32::from(u16::from_le_bytes(*p)));
        out.extend(units.as_chunks::<2>().0.iter().map(|p| unit(p).map_or(OTHER, plain_char)));
    };
    for block in blocks {
        let mut bytes = [0u8; 16];
        let mut seen = 0u16;
        for (to, pair) in bytes.iter_mut().zip(block.as_chunks::<2>().0) {
            seen |= u16::from_le_bytes(*pair);
            *to = pair[0];
        }
        if seen < 0x80 {
            out.extend_from_slice(&bytes);
        } else {
            slow(block, out);
        }
    }
    slow(rest, out);
}

/// Appends a value: see [`TextParts::own`].
pub fn push_own(value: &RawValue<'_>, out: &mut Vec<u8>) -> bool {
    match *value {
        RawValue::Null
        | RawValue::Bool(_)
        | RawValue::Long(_)
        | RawValue::Real(_)
        | RawValue::Time(_)
        | RawValue::Number(_) => {}
        RawValue::Str { body, escaped } if escaped => return body.is_empty(),
        RawValue::Json(text) if text.contains('\\') => return false,
        RawValue::Str { body: text, .. } | RawValue::Text(text) | RawValue::Json(text) => {
            push_text(text, out);
        }
        RawValue::Utf16(units) => push_units(units, out),
    }
    true
}

/// Holds parts to what [`TextParts`] promises of the text that they were made into. Returns whether they said anything.
#[cfg(test)]
pub(crate) fn check(parts: &dyn TextParts, text: &str) -> bool {
    let mut own = Vec::new();
    if !parts.own(&mut own) {
        return false;
    }
    parts.fixed(&mut |t| {
        own.push(APART);
        own.extend_from_slice(t.text.as_bytes());
    });
    own.make_ascii_lowercase();
    let text = text.to_ascii_lowercase();
    let apart = |c: char| c.is_control() || !c.is_ascii() || "\"\\,{}[]".contains(c);
    let mut at = 0;
    for run in text.split(apart) {
        let escaped = text[..at].ends_with('\\');
        at = text[at..].find(run).map_or(at, |i| at + i) + run.len();
        at += text[at..].chars().next().map_or(0, char::len_utf8);
        let run = run.trim_start_matches(':');
        let most = if escaped { run.len().min(5) } else { 0 };
        let stands = (0..=most).any(|k| memchr::memmem::find(&own, &run.as_bytes()[k..]).is_some());
        assert!(stands || run.chars().all(|c| PLAIN.contains(c)), "{run:?} of {text}");
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tercel_ir::function::fold;

    #[test]
    fn what_folds_to_ascii_is_kept() {
        for c in ('\u{80}'..=char::MAX).filter(|c| fold(&c.to_string()).is_ascii()) {
            assert_eq!(plain_char(c), fold(&c.to_string()).as_bytes()[0], "{c}");
        }
    }

    proptest! {
        #[test]
        fn units_are_characters(text in "[aK\\\\\"é\u{212A}\u{17F}\u{1F600}]{0,50}") {
            let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let (mut of_units, mut of_text) = (Vec::new(), Vec::new());
            push_units(&units, &mut of_units);
            push_text(&text, &mut of_text);
            // Two units make one character.
            let once = |mut v: Vec<u8>| { v.dedup_by(|a, b| *a == OTHER && *b == OTHER); v };
            prop_assert_eq!(once(of_units), once(of_text));
        }
    }
}
