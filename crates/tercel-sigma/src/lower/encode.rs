//! Encodings that are worked out when a rule is lowered: what remains are plain texts to look for.

use crate::pattern::{Part, Pattern};
use tercel_ir::function::base64_encode;

/// The characters that introduce a flag on a Windows command line, as `windash` has them.
pub(super) const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// Beyond so many dashes in one value (5^4 = 625 texts) a character class takes over.
const MOST_DASHES: usize = 4;

/// What `windash` makes of a pattern.
pub(super) enum Dashed {
    /// Every combination, the value as written first.
    Each(Vec<Pattern>),
    /// A regular expression for all of them; the value has too many dashes to write them out.
    Regex(String),
}

/// Every text that comes of exchanging dashes for each other. A dash counts where a flag may start:
/// after the start or a character that is no letter, digit or underscore, and before one that is.
pub(super) fn windash(p: &Pattern) -> Dashed {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    // (index of the part, byte offset in it) of each dash that counts.
    let mut places: Vec<(usize, usize)> = Vec::new();
    for (n, part) in p.parts().iter().enumerate() {
        let Part::Literal(text) = part else { continue };
        for (i, c) in text.char_indices() {
            // At the edge to a wildcard the neighbour is unknown; a dash there counts as one at the edge of the text.
            let before = text[..i].chars().next_back();
            let after = text[i + c.len_utf8()..].chars().next();
            if DASHES.contains(&c) && !before.is_some_and(word) && after.is_some_and(word) {
                places.push((n, i));
            }
        }
    }
    if places.len() > MOST_DASHES {
        return Dashed::Regex(dash_regex(p, &places));
    }
    let mut out = vec![p.clone()];
    let combinations = DASHES.len().pow(places.len() as u32);
    for k in 0..combinations {
        let mut k = k;
        let mut choice = Vec::with_capacity(places.len());
        for _ in &places {
            choice.push(DASHES[k % DASHES.len()]);
            k /= DASHES.len();
        }
        let q = replaced(p, &places, &choice);
        if q != *p {
            out.push(q);
        }
    }
    Dashed::Each(out)
}

fn replaced(p: &Pattern, places: &[(usize, usize)], choice: &[char]) -> Pattern {
    let mut glob = Pattern::default();
    let mut at = 0;
    for (n, part) in p.parts().iter().enumerate() {
        let Part::Literal(text) = part else {
            glob.append(&match part {
                Part::One => Pattern::parse("?"),
                _ => Pattern::parse("*"),
            });
            continue;
        };
        let mut new = String::with_capacity(text.len());
        for (i, c) in text.char_indices() {
            if places.get(at) == Some(&(n, i)) {
                new.push(choice[at]);
                at += 1;
            } else {
                new.push(c);
            }
        }
        glob.append(&Pattern::literal(&new));
    }
    glob
}

fn dash_regex(p: &Pattern, places: &[(usize, usize)]) -> String {
    let mut out = String::from("^");
    let mut at = 0;
    for (n, part) in p.parts().iter().enumerate() {
        match part {
            Part::Any => out.push_str(".*"),
            Part::One => out.push('.'),
            Part::Literal(text) => {
                for (i, c) in text.char_indices() {
                    if places.get(at) == Some(&(n, i)) {
                        out.push_str("[-/\u{2013}\u{2014}\u{2015}]");
                        at += 1;
                    } else {
                        out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
                    }
                }
            }
        }
    }
    out.push('$');
    out
}

/// A text in UTF-16.
pub(super) fn utf16(text: &str, big_endian: bool, mark: bool) -> Vec<u8> {
    let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
    units.flat_map(|u| if big_endian { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
}

/// The three texts of which one occurs in any Base64 text that holds `bytes`, whatever stands before and
/// after: the characters at the edges that depend on the neighbours are cut off.
pub(super) fn base64_offsets(bytes: &[u8]) -> Vec<String> {
    const START: [usize; 3] = [0, 2, 3];
    const END: [usize; 3] = [0, 3, 2];
    let mut out: Vec<String> = Vec::with_capacity(3);
    for (shift, start) in START.into_iter().enumerate() {
        let mut shifted = vec![b' '; shift];
        shifted.extend_from_slice(bytes);
        let text = base64_encode(&shifted);
        let end = text.len() - END[shifted.len() % 3];
        let cut = text.get(start..end).unwrap_or("").to_string();
        if !cut.is_empty() && !out.contains(&cut) {
            out.push(cut);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes() {
        let texts = |s: &str| match windash(&Pattern::parse(s)) {
            Dashed::Each(v) => v.iter().map(Pattern::glob).collect::<Vec<_>>(),
            Dashed::Regex(r) => vec![r],
        };
        assert_eq!(texts(" -enc"), [" -enc", " /enc", " \u{2013}enc", " \u{2014}enc", " \u{2015}enc"]);
        assert_eq!(texts("a-b/c"), ["a-b/c"], "inside a word a dash is a dash");
        assert_eq!(texts("x - y"), ["x - y"]);
        assert_eq!(texts("/a -b").len(), 25);
        assert_eq!(texts("-a -b -c -d").len(), 625);
        let many = texts("-a -b -c -d -e");
        assert_eq!(many.len(), 1);
        assert!(many[0].starts_with("^[-/\u{2013}"), "{many:?}");
    }

    #[test]
    fn base64_at_any_offset() {
        let parts = base64_offsets(b"http://");
        assert_eq!(parts, ["aHR0cDovL", "h0dHA6Ly", "odHRwOi8v"]);
        for prefix in ["", "x", "xy"] {
            let whole = base64_encode(format!("{prefix}http://and more").as_bytes());
            assert!(parts.iter().any(|p| whole.contains(p)), "{whole}");
        }
        assert_eq!(base64_encode(&utf16("cmd", false, false)), "YwBtAGQA");
        assert_eq!(utf16("a", false, true), [0xff, 0xfe, b'a', 0]);
        assert_eq!(utf16("a", true, false), [0, b'a']);
    }
}
