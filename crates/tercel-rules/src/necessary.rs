//! Whether the text of an event can have what is looked for in it, asked of what the text is made of.
//!
//! Event logs and rows of columns have no text until someone writes it, and writing costs more than all the rest.
//! But every text that is looked for has a *piece* that JSON writes as it is and never across two values: where
//! neither the event's own texts nor those that it shares with others have one of the pieces, its text has none
//! of the texts (see [`TextParts`](tercel_telemetry::TextParts)).

use crate::literal::required;
use crate::pattern::Test;
use crate::scan::Scanner;
use tercel_ir::function::fold;
use tercel_telemetry::PLAIN;

/// Shorter pieces are everywhere.
const MIN_LENGTH: usize = 3;

/// The pieces of everything that is looked for in a text.
pub(crate) struct Necessary {
    scanner: Scanner,
}

/// The part of a folded text that stands inside one value, or name, wherever the text stands in JSON
/// without white space between its parts; and not in a number, a time or what else has no letters of its own.
fn piece(text: &str) -> Option<&str> {
    // What is escaped, and what stands between values. A colon stands between name and value only behind a
    // quotation mark, so that inside of a piece it is the value's.
    let apart = |c: char| c.is_control() || !c.is_ascii() || "\"\\,{}[]".contains(c);
    let own = |p: &&str| p.len() >= MIN_LENGTH && p.chars().any(|c| !PLAIN.contains(c));
    text.split(apart).map(|p| behind_escape(p.trim_start_matches(':'))).filter(own).max_by_key(|p| p.len())
}

/// A text without what may be the end of an escape: in JSON `\n` and `ew` read `\new`, in which `new` stands.
fn behind_escape(text: &str) -> &str {
    let hex = |c: &u8| c.is_ascii_digit() || matches!(c, b'a'..=b'f');
    let short = text.trim_start_matches(['b', 'f', 'n', 'r', 't']).len();
    let long = match text.as_bytes() {
        [b'u', b'0', b'0', a, b, ..] if hex(a) && hex(b) => 5,
        [b'0', b'0', a, b, ..] if hex(a) && hex(b) => 4,
        [b'0', a, b, ..] if hex(a) && hex(b) => 3,
        [a, b, ..] if hex(a) && hex(b) => 2,
        [a, ..] if hex(a) => 1,
        _ => 0,
    };
    &text[long.max(text.len() - short)..]
}

impl Necessary {
    /// Of the tests of one text. `None`: some can hold without a piece.
    pub(crate) fn of<'t>(tests: impl Iterator<Item = &'t Test>) -> Option<Necessary> {
        let mut pieces: Vec<Box<[u8]>> = Vec::new();
        let mut add = |text: &str| -> Option<()> {
            pieces.push(piece(&fold(text))?.as_bytes().into());
            Some(())
        };
        for test in tests {
            match test {
                Test::Equals { needle, .. }
                | Test::Starts { needle, .. }
                | Test::Ends { needle, .. }
                | Test::Contains { needle, .. }
                | Test::Term { needle, .. } => add(needle)?,
                Test::Regex(r) => required(r)?.iter().try_for_each(|t| add(t))?,
                Test::NotNull | Test::NotEmpty => {}
                Test::Cidr(_) | Test::Number(_) | Test::Compare(..) | Test::True | Test::False => {
                    return None;
                }
            }
        }
        if pieces.is_empty() {
            return None;
        }
        Some(Necessary { scanner: Scanner::new(pieces.into_iter()) })
    }

    /// Whether a piece stands in a text: ASCII, whatever its case, and other bytes that are no characters.
    pub(crate) fn stands_in(&self, text: &[u8]) -> bool {
        let mut found = false;
        self.scanner.run(text, &mut |_| found = true);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tercel_telemetry::{RawValue, push_json_value, push_own};

    #[test]
    fn pieces_are_what_json_leaves_as_it_is() {
        for (text, want) in [
            ("\\mimilib.dll", Some("mimilib.dll")),
            ("sekurlsa::", Some("sekurlsa::")),
            ("::key", Some("key")),
            ("\"a\":\"kerberos::\"", Some("kerberos::")),
            ("network", Some("etwork")),
            ("u001bmove", Some("move")),
            ("ab", None),
            ("12:30", None),
            ("true", None),
            ("s-1-5-21", None),
            ("k\u{e9}rb", None),
        ] {
            assert_eq!(piece(text), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_missed(
            values in prop::collection::vec("[kKqnx0u1:\\\\\",\n\u{1b}\u{212A} ]{0,9}", 1..4),
            number in any::<i64>(),
            from in 0usize..60,
            len in 3usize..12,
            upper in any::<bool>(),
        ) {
            let mut raws: Vec<RawValue<'_>> = values.iter().map(|v| RawValue::Text(v)).collect();
            let units: Vec<u8> = values[0].encode_utf16().flat_map(u16::to_le_bytes).collect();
            raws[0] = RawValue::Utf16(&units);
            raws.extend([RawValue::Long(number), RawValue::Json("{\"k\":[\"qkq\",1]}"), RawValue::Bool(true)]);
            let (mut text, mut own) = (String::from("{"), Vec::new());
            for (i, v) in raws.iter().enumerate() {
                text.push_str(if i > 0 { ",\"n\":" } else { "\"n\":" });
                push_json_value(v, &mut text);
                prop_assert!(push_own(v, &mut own));
            }
            text.push('}');
            // Whatever part of the text is looked for, a value has its piece, or the name.
            let chars: Vec<char> = text.chars().collect();
            let end = (from + len).min(chars.len());
            let needle: String = chars[from.min(end)..end].iter().collect();
            let needle = if upper { needle.to_uppercase() } else { needle };
            let test = Test::Contains { needle: fold(&needle).into(), cs: false };
            if let Some(n) = Necessary::of(std::iter::once(&test)) {
                prop_assert!(n.stands_in(&own) || n.stands_in(b"n"), "{} in {}", needle, text);
            }
        }
    }
}
