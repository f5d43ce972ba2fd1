//! The characters that a search needs to try: one of each class that no automaton tells apart.

use crate::atom::TextTest;
use crate::budget::Meter;
use crate::hash::QuickSet;
use crate::lens::{CaseMap, Lens};
use crate::regexes::{Distinctions, cased, fold_char, fold_class};
use std::sync::LazyLock;

/// What one automaton can tell apart.
struct View<'a> {
    lens: &'a Lens,
    ci: bool,
    /// In order.
    mentioned: Vec<char>,
    terms: bool,
    regex: Option<Distinctions>,
}

pub(crate) struct Alphabet {
    /// Printable ASCII.
    pub plain: Vec<char>,
    /// All others.
    pub rest: Vec<char>,
    /// Something is told apart that the automata cannot express exactly.
    pub inexact: bool,
}

/// No letter or digit is beyond; a test looks.
const LAST_TERM: u32 = 0x3_FFFF;

/// Where `char::is_alphanumeric` changes.
fn term_edges() -> &'static [u32] {
    static EDGES: LazyLock<Vec<u32>> = LazyLock::new(|| {
        let mut out = Vec::new();
        let mut was = false;
        for i in 0..=LAST_TERM + 1 {
            let is = char::from_u32(i).is_some_and(char::is_alphanumeric);
            if is != was {
                out.push(i);
            }
            was = is;
        }
        out
    });
    &EDGES
}

/// Readable characters first, so that they stand for their classes.
const LIKED: &str =
    "axe1 .-_0bcdfghijklmnopqrstuvwyz23456789\\/:,;=\"'()[]{}<>|&%$#@!?*+~^`ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// `None` when time ran out.
pub(crate) fn alphabet(
    tests: &[(&TextTest, &Lens)],
    no_separators: bool,
    meter: &mut Meter,
) -> Option<Alphabet> {
    let mut inexact = false;
    let views: Vec<View> = tests
        .iter()
        .map(|(t, lens)| {
            let mut v = View { lens, ci: false, mentioned: Vec::new(), terms: false, regex: None };
            match t {
                TextTest::Literal { text, ci, .. } => {
                    v.mention(text);
                    v.ci = *ci;
                }
                TextTest::Term { text, ci, .. } => {
                    v.mention(text);
                    v.ci = *ci;
                    v.terms = true;
                }
                TextTest::Regex(p) => {
                    v.regex = Distinctions::of(p);
                    inexact |= v.regex.is_none();
                }
            }
            v
        })
        .collect();

    // The first character of every interval in which nothing is told apart.
    let mut edges: Vec<u32> = vec![0, 0xE000];
    let mut single = |c: char| edges.extend([c as u32, c as u32 + 1]);
    for v in &views {
        for c in &v.mentioned {
            single(*c);
            if v.ci {
                fold_class(*c).unwrap_or_default().iter().for_each(|x| single(*x));
            }
        }
        if !v.lens.maps.is_empty() {
            cased().iter().for_each(|c| single(*c));
        }
        if let Some(d) = &v.regex {
            if d.lines {
                single('\n');
                single('\r');
            }
            if d.words {
                single('_');
            }
        }
    }
    single('\\');
    single('/');
    for v in &views {
        let words = v.regex.as_ref().is_some_and(|d| d.words);
        if v.terms || words {
            edges.extend(term_edges());
        }
        if words {
            edges.push(0x80);
        }
        for (a, b) in v.regex.iter().flat_map(|d| d.classes.iter().flatten()) {
            edges.extend([*a as u32, *b as u32 + 1]);
        }
    }
    edges.sort_unstable();
    edges.dedup();

    // Of a regex, a character is its membership in the classes; looked up, since there may be many ranges.
    let mut taken: QuickSet<Vec<u64>> = QuickSet::default();
    let mut signature = Vec::with_capacity(views.len());
    let mut out = Alphabet { plain: Vec::new(), rest: Vec::new(), inexact };
    let others =
        edges.into_iter().filter_map(char::from_u32).filter(|c| !(c.is_ascii_graphic() || *c == ' '));
    for c in LIKED.chars().chain(others) {
        if no_separators && matches!(c, '\\' | '/') || c == '\u{10FFFF}' {
            continue;
        }
        if !meter.work(views.len()) {
            return None;
        }
        signature.clear();
        views.iter().for_each(|v| v.sign(c, &mut signature));
        if !taken.contains(&signature) {
            taken.insert(signature.clone());
            if c == ' ' || c.is_ascii_graphic() { out.plain.push(c) } else { out.rest.push(c) }
        }
    }
    // `Σ` becomes `σ` or `ς` in lower case, depending on its neighbours; the automata take `σ`.
    let lowers = views.iter().filter(|v| v.lens.maps.contains(&CaseMap::Lower));
    for v in lowers {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        v.sign_image('σ', &mut a);
        v.sign_image('ς', &mut b);
        out.inexact |= a != b;
    }
    Some(out)
}

impl View<'_> {
    fn mention(&mut self, text: &str) {
        self.mentioned = text.chars().collect();
        self.mentioned.sort_unstable();
        self.mentioned.dedup();
    }
    fn sign(&self, c: char, out: &mut Vec<u64>) {
        if self.lens.base && matches!(c, '\\' | '/') {
            out.push(u64::MAX);
            return;
        }
        if self.lens.maps.is_empty() {
            self.sign_image(c, out);
            return;
        }
        let mut now = vec![c];
        for m in &self.lens.maps {
            let mut next = Vec::new();
            now.iter().for_each(|c| m.of(*c, &mut next));
            now = next;
        }
        out.push(now.len() as u64);
        now.iter().for_each(|x| self.sign_image(*x, out));
    }
    fn sign_image(&self, c: char, out: &mut Vec<u64>) {
        let c = if self.ci { fold_char(c) } else { c };
        if let Some(d) = &self.regex {
            let mut bits = 0u64;
            for (i, class) in d.classes.iter().enumerate() {
                let at = class.partition_point(|r| r.1 < c);
                let inside = class.get(at).is_some_and(|r| r.0 <= c);
                bits |= u64::from(inside) << (i % 64);
                if i % 64 == 63 {
                    out.push(bits);
                    bits = 0;
                }
            }
            out.push(bits);
            if d.lines {
                out.push(u64::from(c == '\n') + 2 * u64::from(c == '\r'));
            }
            if d.words {
                let word = c.is_ascii_alphanumeric() || c == '_';
                out.push(u64::from(word) + 2 * u64::from(c.is_ascii()));
            }
        } else if self.mentioned.last().is_some_and(|last| c <= *last)
            && self.mentioned.binary_search(&c).is_ok()
        {
            out.push(u64::from(u32::from(c)) << 2 | 3);
        } else {
            out.push(u64::from(self.terms && c.is_alphanumeric()));
        }
        if self.regex.is_none() && self.terms {
            out.push(u64::from(c.is_alphanumeric()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_letters_beyond_the_last() {
        assert!((LAST_TERM + 1..=0x10_FFFF).filter_map(char::from_u32).all(|c| !c.is_alphanumeric()));
    }

    #[test]
    fn liked_are_the_printable_ones_of_ascii() {
        let mut liked: Vec<char> = LIKED.chars().collect();
        liked.sort_unstable();
        assert!(liked.iter().copied().eq(' '..='~'));
    }
}
