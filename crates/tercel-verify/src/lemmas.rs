//! Implications between literals that their texts show: `contains "abc"` implies `contains "b"`.
//!
//! A literal test is written as a marked text: `⊢abc⊣` is equality, `⊢abc` a prefix, `abc⊣` a suffix, `abc`
//! anywhere. One test implies another exactly when the other's text is part of its own.

use crate::atom::{Atoms, Order, Test, TextTest, VarId};
use crate::formula::AtomId;
use crate::lens::Lens;
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::collections::HashMap;
use std::sync::Arc;
use tercel_ir::function::fold;

/// Bytes that never occur in UTF-8.
const START: u8 = 0xFF;
const END: u8 = 0xFE;

/// Implications of one field; beyond, the theory finds what is needed.
const MOST: usize = 150_000;
/// Up to so many literals of a field exclusions are found pairwise.
const PAIRWISE: usize = 220;

#[derive(Default)]
pub(crate) struct Lemmas {
    /// Atoms of each variable that have been looked at.
    seen: HashMap<VarId, usize>,
}

/// Equalities with different values: of those with one key at most one holds. The last part tells
/// comparisons that look at case from those that do not.
pub(crate) type OneOf = (VarId, Option<Arc<Lens>>, bool);

/// The group of an atom that is an equality.
pub(crate) fn one_of(atoms: &Atoms, a: AtomId) -> Option<OneOf> {
    let atom = atoms.atom(a);
    match &atom.test {
        Test::Text(l, TextTest::Literal { start: true, end: true, ci, .. }) => {
            Some((atom.var, Some(l.clone()), *ci))
        }
        Test::Whole(Order::Eq, _) => Some((atom.var, None, false)),
        _ => None,
    }
}

/// Longer texts are left out of the automata that find implications.
const LONG: usize = 256;

struct Text {
    atom: AtomId,
    bytes: Vec<u8>,
    start: bool,
    end: bool,
}

/// A term search among tests that ignore case.
struct TermText {
    atom: AtomId,
    text: Arc<str>,
    before: bool,
    after: bool,
}

/// Matches of one text that are looked at, and of those the longest that become implications.
const MATCHES: usize = 4_000;
const LONGEST: usize = 64;

impl Lemmas {
    /// Facts about atoms that are new since the last call.
    pub(crate) fn learn(&mut self, atoms: &Atoms, out: &mut Vec<Vec<(AtomId, bool)>>) {
        for (id, var) in atoms.vars.iter().enumerate() {
            let seen = self.seen.entry(id as VarId).or_default();
            let fresh = *seen;
            if var.atoms.len() == fresh {
                continue;
            }
            *seen = var.atoms.len();
            texts(atoms, &var.atoms, fresh, out);
            base_names(atoms, &var.atoms, fresh, out);
            numbers(atoms, &var.atoms, out);
        }
    }
}

fn marked(text: &str, start: bool, end: bool) -> Vec<u8> {
    let mut b = Vec::with_capacity(text.len() + 2);
    if start {
        b.push(START);
    }
    b.extend_from_slice(text.as_bytes());
    if end {
        b.push(END);
    }
    b
}

fn texts(atoms: &Atoms, list: &[AtomId], fresh: usize, out: &mut Vec<Vec<(AtomId, bool)>>) {
    // Tests through different lenses are about different texts.
    let mut lenses: Vec<(Arc<Lens>, OfLens)> = Vec::new();
    let fresh_atoms = &list[fresh..];
    for a in list {
        let Test::Text(lens, t) = &atoms.atom(*a).test else { continue };
        let (text, start, end, ci, term) = match t {
            TextTest::Literal { text, start, end, ci } => (text, *start, *end, *ci, false),
            // A term search implies that its text is there.
            TextTest::Term { text, ci, .. } => (text, false, false, *ci, true),
            TextTest::Regex(_) => continue,
        };
        let at = lenses.iter().position(|l| l.0 == *lens).unwrap_or_else(|| {
            lenses.push((lens.clone(), OfLens::default()));
            lenses.len() - 1
        });
        let OfLens { folded, exact, sources, terms } = &mut lenses[at].1;
        let make = |t: &str| Text { atom: *a, bytes: marked(t, start, end), start, end };
        if !term {
            if ci { folded.push(make(text)) } else { exact.push(make(text)) }
        }
        // What it implies among the tests that ignore case, and among those that do not.
        let bytes = marked(&fold(text), start, end);
        sources.push(match t {
            // Where its edge is a letter or digit, a term ends like a text.
            TextTest::Term { before, after, .. } => Text { atom: *a, bytes, start: *before, end: *after },
            _ => Text { atom: *a, bytes, start, end },
        });
        if let TextTest::Term { text, before, after, ci: true } = t {
            terms.push(TermText { atom: *a, text: text.clone(), before: *before, after: *after });
        }
    }
    for (_, OfLens { folded, exact, sources, terms }) in &lenses {
        in_terms(terms, sources, fresh_atoms, out);
        implications(folded, sources, fresh_atoms, out);
        implications(exact, exact, fresh_atoms, out);
        exclusions(folded, fresh_atoms, out);
        exclusions(exact, fresh_atoms, out);
    }
}

/// A text that ends in a separator and a name has that base name, which decides all tests of base names
/// that heed case no more than it does: `endswith "\lsass.exe"` is not `basename contains "cmd"`.
fn base_names(atoms: &Atoms, list: &[AtomId], fresh: usize, out: &mut Vec<Vec<(AtomId, bool)>>) {
    let test = |a: &AtomId| match &atoms.atom(*a).test {
        Test::Text(l, t) => Some((*a, l.clone(), t.clone())),
        _ => None,
    };
    let all: Vec<_> = list.iter().filter_map(test).collect();
    let tests: Vec<_> = all.iter().filter(|(_, l, _)| l.base).collect();
    if tests.is_empty() {
        return;
    }
    let is_fresh = |a: &AtomId| list[fresh..].binary_search(a).is_ok();
    let mut made = 0;
    for (source, lens, t) in &all {
        let TextTest::Literal { text, start, end: true, ci } = t else { continue };
        if !lens.is_identity() || !(*start || text.contains(['\\', '/'])) {
            continue;
        }
        for (a, l, t) in &tests {
            let blind = l.maps.is_empty()
                && matches!(t, TextTest::Literal { ci: true, .. } | TextTest::Term { ci: true, .. });
            if (*ci && !blind) || !(is_fresh(a) || is_fresh(source)) {
                continue;
            }
            if made == MOST {
                return;
            }
            let image = l.apply(text);
            out.push(vec![(*source, false), (*a, atoms.holds_of_image(*a, &image, &fold(&image)))]);
            made += 1;
        }
    }
}

/// The literals of one column as seen through one lens.
#[derive(Default)]
struct OfLens {
    folded: Vec<Text>,
    exact: Vec<Text>,
    sources: Vec<Text>,
    terms: Vec<TermText>,
}

/// `source ⇒ term search` wherever the needle stands in the source's text between visible boundaries; and
/// an equality excludes the searches that it does not imply.
fn in_terms(targets: &[TermText], sources: &[Text], fresh: &[AtomId], out: &mut Vec<Vec<(AtomId, bool)>>) {
    if targets.is_empty() {
        return;
    }
    let targets: Vec<&TermText> = targets.iter().filter(|t| t.text.len() <= LONG).collect();
    let Ok(automaton) = AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(targets.iter().map(|t| t.text.as_bytes()))
    else {
        return;
    };
    let is_fresh = |a: AtomId| fresh.binary_search(&a).is_ok();
    let mut made = 0;
    for s in sources {
        let bytes: Vec<u8> = s.bytes.iter().copied().filter(|b| *b < END).collect();
        let Ok(text) = std::str::from_utf8(&bytes) else { continue };
        let mut implied: Vec<AtomId> = Vec::new();
        for m in automaton.find_overlapping_iter(text).take(MATCHES) {
            let t = &targets[m.pattern().as_usize()];
            let term = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            let left = !t.before
                || !term(t.text.chars().next())
                || match text[..m.start()].chars().next_back() {
                    Some(c) => !c.is_alphanumeric(),
                    None => s.start,
                };
            let right = !t.after
                || !term(t.text.chars().next_back())
                || match text[m.end()..].chars().next() {
                    Some(c) => !c.is_alphanumeric(),
                    None => s.end,
                };
            if left && right {
                implied.push(t.atom);
            }
        }
        implied.sort_unstable();
        implied.dedup();
        for t in &implied {
            if *t != s.atom && (is_fresh(*t) || is_fresh(s.atom)) && made < MOST {
                out.push(vec![(s.atom, false), (*t, true)]);
                made += 1;
            }
        }
        let equality = s.bytes.first() == Some(&START) && s.bytes.last() == Some(&END);
        if equality && targets.len() <= PAIRWISE && sources.len() <= PAIRWISE {
            for t in &targets {
                let (a, b) = (t.atom, s.atom);
                if implied.binary_search(&a).is_err()
                    && (is_fresh(a) || is_fresh(b))
                    && !tercel_ir::function::has_term(text, &t.text, t.before, t.after)
                {
                    out.push(vec![(a, false), (b, false)]);
                }
            }
        }
    }
}

/// `source ⇒ target` wherever the target's text is part of the source's.
fn implications(targets: &[Text], sources: &[Text], fresh: &[AtomId], out: &mut Vec<Vec<(AtomId, bool)>>) {
    if targets.is_empty() || sources.len() < 2 {
        return;
    }
    let is_fresh = |a: AtomId| fresh.binary_search(&a).is_ok();
    let mut made = 0;
    if targets.len() <= 24 {
        for s in sources {
            for t in targets {
                if s.atom != t.atom && (is_fresh(s.atom) || is_fresh(t.atom)) && contains(&s.bytes, &t.bytes)
                {
                    out.push(vec![(s.atom, false), (t.atom, true)]);
                }
            }
        }
        return;
    }
    let targets: Vec<&Text> = targets.iter().filter(|t| t.bytes.len() <= LONG).collect();
    let automaton = AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(targets.iter().map(|t| &t.bytes));
    let Ok(automaton) = automaton else { return };
    for s in sources {
        let mut found: Vec<usize> =
            automaton.find_overlapping_iter(&s.bytes).take(MATCHES).map(|m| m.pattern().as_usize()).collect();
        // The longest first: what they imply in turn needs no clause of its own.
        found.sort_unstable_by_key(|t| (std::cmp::Reverse(targets[*t].bytes.len()), *t));
        found.dedup();
        for t in found.into_iter().map(|t| targets[t]).filter(|t| t.atom != s.atom).take(LONGEST) {
            if is_fresh(s.atom) || is_fresh(t.atom) {
                out.push(vec![(s.atom, false), (t.atom, true)]);
                made += 1;
                if made > MOST {
                    return;
                }
            }
        }
    }
}

fn contains(a: &[u8], b: &[u8]) -> bool {
    let Some(first) = b.first() else { return true };
    b.len() <= a.len() && a.windows(b.len()).any(|w| w[0] == *first && w == b)
}

/// Pairs that cannot both hold: of one kind of comparison, so that their texts can be compared.
fn exclusions(list: &[Text], fresh: &[AtomId], out: &mut Vec<Vec<(AtomId, bool)>>) {
    if list.len() > PAIRWISE {
        return;
    }
    let is_fresh = |a: AtomId| fresh.binary_search(&a).is_ok();
    for (i, x) in list.iter().enumerate() {
        for y in &list[i + 1..] {
            if !is_fresh(x.atom) && !is_fresh(y.atom) {
                continue;
            }
            let excluded = match (x.start && x.end, y.start && y.end) {
                // At most one equality holds; that is said for all of them together.
                (true, true) => false,
                (true, false) => !contains(&x.bytes, &y.bytes),
                (false, true) => !contains(&y.bytes, &x.bytes),
                _ => {
                    x.start && y.start && !x.bytes.starts_with(&y.bytes) && !y.bytes.starts_with(&x.bytes)
                        || x.end && y.end && !x.bytes.ends_with(&y.bytes) && !y.bytes.ends_with(&x.bytes)
                }
            };
            if excluded {
                out.push(vec![(x.atom, false), (y.atom, false)]);
            }
        }
    }
}

/// Comparisons with neighbouring numbers imply each other.
fn numbers(atoms: &Atoms, list: &[AtomId], out: &mut Vec<Vec<(AtomId, bool)>>) {
    let mut le: Vec<(i64, AtomId)> = Vec::new();
    let mut ge: Vec<(i64, AtomId)> = Vec::new();
    let mut eq: Vec<(i64, AtomId)> = Vec::new();
    for a in list {
        if let Test::Whole(o, k) = atoms.atom(*a).test {
            match o {
                Order::Le => le.push((k, *a)),
                Order::Ge => ge.push((k, *a)),
                _ => eq.push((k, *a)),
            }
        }
    }
    le.sort_unstable();
    ge.sort_unstable();
    for w in le.windows(2) {
        out.push(vec![(w[0].1, false), (w[1].1, true)]);
    }
    for w in ge.windows(2) {
        out.push(vec![(w[1].1, false), (w[0].1, true)]);
    }
    for (k, a) in &eq {
        if let Some((_, l)) = le.get(le.partition_point(|x| x.0 < *k)) {
            out.push(vec![(*a, false), (*l, true)]);
        }
        let g = ge.partition_point(|x| x.0 <= *k);
        if let Some((_, g)) = g.checked_sub(1).and_then(|g| ge.get(g)) {
            out.push(vec![(*a, false), (*g, true)]);
        }
    }
}
