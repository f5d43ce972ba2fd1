//! What can be told from the structure of a regular expression: whether it is a list of plain texts,
//! texts that it matches, the classes of characters that it tells apart.

use crate::atom::TextTest;
use regex_syntax::hir::{Class, Hir, HirKind, Look};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Texts that one expression may stand for.
const MAX_TEXTS: usize = 2_000;
/// Characters of one such text.
const MAX_LENGTH: usize = 400;

type Ranges = Vec<(char, char)>;

/// Characters beyond which none changes under folding or a case map.
const LAST_CASED: u32 = 0x1_E95F;

/// Every character that some case map or folding changes.
pub(crate) fn cased() -> &'static [char] {
    static CASED: LazyLock<Vec<char>> = LazyLock::new(|| {
        (0..=LAST_CASED)
            .filter_map(char::from_u32)
            .filter(|c| !c.to_lowercase().eq([*c]) || !c.to_uppercase().eq([*c]))
            .collect()
    });
    &CASED
}

/// Folded character to all characters that fold to it, itself included; only where there are others.
pub(crate) fn fold_class(c: char) -> Option<&'static [char]> {
    static CLASSES: LazyLock<HashMap<char, Vec<char>>> = LazyLock::new(|| {
        let mut m: HashMap<char, Vec<char>> = HashMap::new();
        for c in cased() {
            let f = fold_char(*c);
            if f != *c {
                m.entry(f).or_insert_with(|| vec![f]).push(*c);
            }
        }
        m
    });
    CLASSES.get(&c).map(Vec::as_slice)
}

/// Folding of one character, as the registry folds texts.
pub(crate) fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let mut l = c.to_lowercase();
    match (l.next(), l.next()) {
        (Some(x), None) => x,
        _ => c,
    }
}

/// Whether a text holds this one exactly when it holds it up to case: nothing else folds to its characters.
pub(crate) fn caseless(text: &str) -> bool {
    // Nearly all texts have a letter of ASCII.
    if text.bytes().any(|b| b.is_ascii_alphabetic()) {
        return false;
    }
    text.chars().all(|c| {
        if c.is_ascii() { !c.is_ascii_alphabetic() } else { fold_char(c) == c && fold_class(c).is_none() }
    })
}

fn parse(pattern: &str) -> Option<Hir> {
    regex_syntax::Parser::new().parse(pattern).ok()
}

/// The expression as a disjunction of plain text tests that is exactly equal to it.
pub(crate) fn as_literals(pattern: &str) -> Option<Vec<TextTest>> {
    let hir = parse(pattern)?;
    let mut out = Vec::new();
    branch(&hir, &mut out)?;
    (out.len() <= MAX_TEXTS).then_some(out)
}

fn branch(hir: &Hir, out: &mut Vec<TextTest>) -> Option<()> {
    match hir.kind() {
        HirKind::Alternation(items) => return items.iter().try_for_each(|i| branch(i, out)),
        HirKind::Capture(c) => return branch(&c.sub, out),
        _ => {}
    }
    let single = [hir.clone()];
    let mut items: &[Hir] = match hir.kind() {
        HirKind::Concat(items) => items,
        _ => &single,
    };
    let (mut start, mut end) = (false, false);
    if let [first, rest @ ..] = items
        && matches!(first.kind(), HirKind::Look(Look::Start))
    {
        start = true;
        items = rest;
    }
    if let [rest @ .., last] = items
        && matches!(last.kind(), HirKind::Look(Look::End))
    {
        end = true;
        items = rest;
    }
    // Any repetition that may be empty does nothing at an open end; `(?s:.)*` opens a closed one.
    while let [first, rest @ ..] = items {
        match idle(first) {
            Idle::AnyText => start = false,
            Idle::MayBeEmpty if !start => {}
            _ => break,
        }
        items = rest;
    }
    while let [rest @ .., last] = items {
        match idle(last) {
            Idle::AnyText => end = false,
            Idle::MayBeEmpty if !end => {}
            _ => break,
        }
        items = rest;
    }
    let mut texts: Vec<Vec<Ranges>> = vec![Vec::new()];
    for i in items {
        texts = product(texts, sequences(i)?)?;
    }
    for t in texts {
        literal_tests(&t, start, end, out)?;
    }
    Some(())
}

enum Idle {
    AnyText,
    MayBeEmpty,
    No,
}

fn idle(h: &Hir) -> Idle {
    match h.kind() {
        HirKind::Repetition(r) if r.min == 0 => {
            let all = r.max.is_none()
                && matches!(r.sub.kind(), HirKind::Class(Class::Unicode(c)) if c.ranges().len() == 1
                    && c.ranges()[0].start() == '\0' && c.ranges()[0].end() == char::MAX);
            // Anchors inside would make the repetition say something.
            if all {
                Idle::AnyText
            } else if r.sub.properties().look_set().is_empty() {
                Idle::MayBeEmpty
            } else {
                Idle::No
            }
        }
        HirKind::Capture(c) => idle(&c.sub),
        _ => Idle::No,
    }
}

fn product(a: Vec<Vec<Ranges>>, b: Vec<Vec<Ranges>>) -> Option<Vec<Vec<Ranges>>> {
    if a.len().checked_mul(b.len())? > MAX_TEXTS {
        return None;
    }
    let mut out = Vec::with_capacity(a.len() * b.len());
    for x in &a {
        for y in &b {
            if x.len() + y.len() > MAX_LENGTH {
                return None;
            }
            out.push(x.iter().chain(y).cloned().collect());
        }
    }
    Some(out)
}

/// All texts of a part, as sequences of character classes.
fn sequences(h: &Hir) -> Option<Vec<Vec<Ranges>>> {
    Some(match h.kind() {
        HirKind::Empty => vec![Vec::new()],
        HirKind::Literal(l) => {
            vec![std::str::from_utf8(&l.0).ok()?.chars().map(|c| vec![(c, c)]).collect()]
        }
        HirKind::Class(Class::Unicode(c)) => {
            vec![vec![c.ranges().iter().map(|r| (r.start(), r.end())).collect()]]
        }
        HirKind::Capture(c) => sequences(&c.sub)?,
        HirKind::Concat(items) => {
            let mut all = vec![Vec::new()];
            for i in items {
                all = product(all, sequences(i)?)?;
            }
            all
        }
        HirKind::Alternation(items) => {
            let mut all = Vec::new();
            for i in items {
                all.extend(sequences(i)?);
                if all.len() > MAX_TEXTS {
                    return None;
                }
            }
            all
        }
        HirKind::Repetition(r) => {
            let max = r.max.filter(|m| *m <= 6)?;
            let one = sequences(&r.sub)?;
            let (mut all, mut power) = (Vec::new(), vec![Vec::new()]);
            for n in 0..=max {
                if n >= r.min {
                    all.extend(power.iter().cloned());
                }
                if n < max {
                    power = product(power, one.clone())?;
                }
                if all.len() > MAX_TEXTS {
                    return None;
                }
            }
            all
        }
        _ => return None,
    })
}

fn literal_tests(t: &[Ranges], start: bool, end: bool, out: &mut Vec<TextTest>) -> Option<()> {
    // Ignoring case, where every class is all spellings of one character.
    let folded: Option<String> = t.iter().map(whole_fold_class).collect();
    if let Some(text) = folded {
        out.push(TextTest::Literal { text: text.into(), start, end, ci: true });
        return Some(());
    }
    let mut texts = vec![String::new()];
    for r in t {
        let size: u64 = r.iter().map(|(a, b)| u64::from(*b as u32 - *a as u32) + 1).sum();
        if size.saturating_mul(texts.len() as u64) > 64 {
            return None;
        }
        let chars: Vec<char> = r.iter().flat_map(|(a, b)| *a..=*b).collect();
        texts = texts.iter().flat_map(|s| chars.iter().map(move |c| format!("{s}{c}"))).collect();
    }
    out.extend(texts.iter().map(|s| crate::build::literal(s, start, end, false)));
    Some(())
}

/// The folded character of which the class holds every spelling.
fn whole_fold_class(r: &Ranges) -> Option<char> {
    let size: u32 = r.iter().map(|(a, b)| *b as u32 - *a as u32 + 1).fold(0, u32::saturating_add);
    if size > 8 {
        return None;
    }
    let f = fold_char(r.first()?.0);
    let class: &[char] = match fold_class(f) {
        Some(c) => c,
        None => &[f],
    };
    let inside = |c: &char| r.iter().any(|(a, b)| a <= c && c <= b);
    (class.len() == size as usize && class.iter().all(inside)).then_some(f)
}

// ---- instances ------------------------------------------------------------------------------------

/// A few texts that the expression matches, short ones, of printable characters where it allows.
pub(crate) fn instances(pattern: &str) -> Vec<String> {
    let Some(hir) = parse(pattern) else { return Vec::new() };
    let mut out: Vec<String> = Vec::new();
    for variant in 0..6 {
        let mut s = String::new();
        sample(&hir, variant, &mut s);
        if s.len() <= 4096 && !out.contains(&s) {
            out.push(s);
        }
    }
    out
}

/// Texts that the expression matches, with this text where its first group stands.
pub(crate) fn around_group(pattern: &str, text: &str) -> Vec<String> {
    let Some(hir) = parse(pattern) else { return Vec::new() };
    (0..3)
        .map(|variant| {
            let mut s = String::new();
            sample_with(&hir, variant, Some(text), &mut s);
            s
        })
        .filter(|s| s.len() <= 8192)
        .collect()
}

fn sample(h: &Hir, variant: usize, out: &mut String) {
    sample_with(h, variant, None, out);
}

fn sample_with(h: &Hir, variant: usize, group: Option<&str>, out: &mut String) {
    if out.len() > 4096 {
        return;
    }
    match h.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(l) => out.push_str(&String::from_utf8_lossy(&l.0)),
        HirKind::Class(Class::Unicode(c)) => {
            let ranges: Ranges = c.ranges().iter().map(|r| (r.start(), r.end())).collect();
            out.extend(pick(&ranges, variant));
        }
        HirKind::Class(Class::Bytes(c)) => {
            let ranges: Ranges = c.ranges().iter().map(|r| (r.start().into(), r.end().into())).collect();
            out.extend(pick(&ranges, variant));
        }
        HirKind::Capture(c) => match group {
            Some(text) if c.index == 1 => out.push_str(text),
            _ => sample_with(&c.sub, variant, group, out),
        },
        HirKind::Concat(items) => items.iter().for_each(|i| sample_with(i, variant, group, out)),
        HirKind::Alternation(items) => {
            if let Some(i) = items.get(variant % items.len().max(1)) {
                sample_with(i, variant, group, out);
            }
        }
        HirKind::Repetition(r) => {
            let extra = u32::from(variant >= 3 && r.max.is_none_or(|m| m > r.min));
            for _ in 0..(r.min + extra).min(4096) {
                sample_with(&r.sub, variant, group, out);
                if out.len() > 4096 {
                    return;
                }
            }
        }
    }
}

/// A printable member of a class, if it has one.
fn pick(ranges: &Ranges, variant: usize) -> Option<char> {
    const LIKED: &str = "a1 x.-_/\\09bcdefghijklmnopqrstuvwyzAZ\"'=:";
    let inside = |c: &char| ranges.iter().any(|(a, b)| a <= c && c <= b);
    let liked: Vec<char> = LIKED.chars().filter(inside).take(3).collect();
    if let Some(c) = liked.get(variant % liked.len().max(1)) {
        return Some(*c);
    }
    ('!'..='~').find(inside).or_else(|| ranges.first().map(|r| r.0))
}

// ---- classes --------------------------------------------------------------------------------------

/// What an expression distinguishes.
#[derive(Default)]
pub(crate) struct Distinctions {
    pub classes: Vec<Ranges>,
    /// It asks for Unicode word boundaries, which the automata know for ASCII only.
    pub words: bool,
    /// It asks for ends of lines.
    pub lines: bool,
}

impl Distinctions {
    pub(crate) fn of(pattern: &str) -> Option<Distinctions> {
        let mut d = Distinctions::default();
        d.collect(&parse(pattern)?);
        Some(d)
    }
    fn collect(&mut self, h: &Hir) {
        match h.kind() {
            HirKind::Empty => {}
            HirKind::Look(l) => match l {
                Look::Start | Look::End => {}
                Look::StartLF | Look::EndLF | Look::StartCRLF | Look::EndCRLF => self.lines = true,
                _ => self.words = true,
            },
            HirKind::Literal(l) => {
                for c in String::from_utf8_lossy(&l.0).chars() {
                    self.add(vec![(c, c)]);
                }
            }
            HirKind::Class(Class::Unicode(c)) => {
                self.add(c.ranges().iter().map(|r| (r.start(), r.end())).collect());
            }
            HirKind::Class(Class::Bytes(c)) => {
                self.add(c.ranges().iter().map(|r| (r.start().into(), r.end().into())).collect());
            }
            HirKind::Capture(c) => self.collect(&c.sub),
            HirKind::Repetition(r) => self.collect(&r.sub),
            HirKind::Concat(v) | HirKind::Alternation(v) => v.iter().for_each(|x| self.collect(x)),
        }
    }
    fn add(&mut self, r: Ranges) {
        if !self.classes.contains(&r) {
            self.classes.push(r);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(p: &str) -> Option<Vec<String>> {
        as_literals(p).map(|v| {
            v.into_iter()
                .map(|t| match t {
                    TextTest::Literal { text, start, end, ci } => format!(
                        "{}{text}{}{}",
                        if start { "^" } else { "" },
                        if end { "$" } else { "" },
                        if ci { "i" } else { "" }
                    ),
                    t => format!("{t:?}"),
                })
                .collect()
        })
    }

    #[test]
    fn plain_texts() {
        assert_eq!(shown("^abc$").unwrap(), ["^abc$"]);
        assert_eq!(shown(".*a[bc]d.*").unwrap(), ["abd", "acd"]);
        assert_eq!(shown("(?s)^.*abc$").unwrap(), ["abc$"]);
        assert_eq!(shown("^(cmd|pwn)\\.exe$").unwrap(), ["^cmd.exe$", "^pwn.exe$"]);
        assert_eq!(shown("(?i)^cmd$").unwrap(), ["^cmd$i"]);
        // The regex crate lets `ſ` match `s`; folding does not.
        assert_eq!(shown("(?i)^s$").unwrap(), ["^S$", "^s$", "^ſ$i"]);
        assert!(shown("^.*abc$").is_none(), "a dot stops at line feeds");
        assert!(shown("a+b").is_none());
        assert_eq!(shown("^a$|b").unwrap(), ["^a$", "b"]);
    }

    #[test]
    fn instances_match() {
        for p in
            [r"^[a-f0-9]{8}-\d{4}$", r"\s-e(nc)?\s+[A-Za-z+/=]{20,}", "(a|b)*c", r"(?i)\\Temp\\[^\\]+\.exe$"]
        {
            let r = tercel_ir::function::compile_regex(p).unwrap();
            let found = instances(p);
            assert!(found.iter().any(|s| r.is_match(s)), "{p}: {found:?}");
        }
    }
}
