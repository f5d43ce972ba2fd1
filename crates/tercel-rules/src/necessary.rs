//! Whether the text of an event can have what is looked for in it, asked of the event's values.
//!
//! Rows of columns have no text until someone writes it, and writing costs more than all the rest. But every
//! text that is looked for has a *piece* that JSON writes as it is and never across two values: where no value
//! and no name has one of the pieces, the text of the event has none of the texts.

use crate::literal::required;
use crate::pattern::Test;
use crate::scan::Scanner;
use tercel_ir::function::fold;
use tercel_telemetry::RawValue;

/// Shorter pieces are everywhere.
const MIN_LENGTH: usize = 3;
/// What numbers, times, truth and nothing are written with, folded.
const PLAIN: &str = "0123456789+-.:_ etrufalsnyizd";

/// The pieces of everything that is looked for in a text.
pub(crate) struct Necessary {
    scanner: Scanner,
    /// How long the shortest piece is.
    shortest: usize,
}

/// The part of a folded text that stands inside one value, or name, wherever the text stands in JSON
/// without white space between its parts; and not in a number.
fn piece(text: &str) -> Option<&str> {
    // What is escaped, and what stands between values. A colon stands between name and value only behind a
    // quotation mark, so that inside of a piece it is the value's.
    let apart = |c: char| c.is_control() || !c.is_ascii() || "\"\\,{}[]".contains(c);
    let own = |p: &&str| p.len() >= MIN_LENGTH && p.chars().any(|c| !PLAIN.contains(c));
    text.split(apart).map(|p| p.trim_start_matches(':')).filter(own).max_by_key(|p| p.len())
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
        let shortest = pieces.iter().map(|p| p.len()).min()?;
        Some(Necessary { scanner: Scanner::new(pieces.into_iter()), shortest })
    }

    fn in_text(&self, text: &str) -> bool {
        // Other characters fold to ASCII, too.
        if text.len() < self.shortest || !text.is_ascii() {
            return text.len() >= self.shortest;
        }
        let mut found = false;
        self.scanner.run(text.as_bytes(), &mut |_| found = true);
        found
    }

    /// Whether a name may have a piece.
    pub(crate) fn may_name(&self, name: &str) -> bool {
        self.in_text(name)
    }

    /// Whether a value may have a piece.
    pub(crate) fn may(&self, value: &RawValue<'_>) -> bool {
        match *value {
            RawValue::Null
            | RawValue::Bool(_)
            | RawValue::Long(_)
            | RawValue::Real(_)
            | RawValue::Time(_)
            | RawValue::Number(_) => false,
            // Escapes may stand for any character.
            RawValue::Str { escaped: true, .. } | RawValue::Utf16(_) => true,
            RawValue::Json(text) => text.contains('\\') || self.in_text(text),
            RawValue::Str { body: text, .. } | RawValue::Text(text) => self.in_text(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tercel_telemetry::push_json_value;

    #[test]
    fn pieces_are_what_json_leaves_as_it_is() {
        for (text, want) in [
            ("\\mimilib.dll", Some("mimilib.dll")),
            ("sekurlsa::", Some("sekurlsa::")),
            ("::key", Some("key")),
            ("\"a\":\"kerberos::\"", Some("kerberos::")),
            ("ab", None),
            ("12:30", None),
            ("true", None),
            ("k\u{e9}rb", None),
        ] {
            assert_eq!(piece(text), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_missed(
            values in prop::collection::vec("[kKq:\\\\\",1 ]{0,9}", 1..4),
            number in any::<i64>(),
            from in 0usize..60,
            len in 3usize..12,
            upper in any::<bool>(),
        ) {
            let mut raws: Vec<RawValue<'_>> = values.iter().map(|v| RawValue::Text(v)).collect();
            raws.push(RawValue::Long(number));
            raws.push(RawValue::Json("{\"k\":[\"qkq\",1]}"));
            let mut text = String::from("{");
            for (i, v) in raws.iter().enumerate() {
                text.push_str(if i > 0 { ",\"n\":" } else { "\"n\":" });
                push_json_value(v, &mut text);
            }
            text.push('}');
            // Whatever part of the text is looked for, a value has its piece.
            let needle = &text[from.min(text.len())..(from + len).min(text.len())];
            let needle = if upper { needle.to_uppercase() } else { needle.to_owned() };
            let test = Test::Contains { needle: fold(&needle).into(), cs: false };
            if let Some(n) = Necessary::of(std::iter::once(&test)) {
                prop_assert!(raws.iter().any(|v| n.may(v)) || n.may_name("n"), "{} in {}", needle, text);
            }
        }
    }
}
