//! The shared matchers of a subject's texts: all its patterns in one look at the value.
//!
//! Everything is looked for in the folded text. A pattern that ignores case is decided by that. For the
//! others it is a filter that passes too much, never too little (folding works character by character, so
//! whatever a text has, its folded form has folded), and a check against the text itself decides.

use crate::hash::{FastMap, hash_bytes};
use crate::literal::required;
use crate::pattern::Test;
use crate::scan::Scanner;
use hashbrown::HashTable;
use regex::Regex;
use std::sync::OnceLock;
use tercel_ir::function::{compile_regex, fold, has_term};

/// A pattern, and what is still to be checked where its text was found.
#[derive(Clone, Copy, Debug)]
struct Entry {
    pattern: u32,
    /// 0: nothing.
    check: u32,
}

enum Check {
    Equals(Box<str>),
    Starts(Box<str>),
    Ends(Box<str>),
    Contains(Box<str>),
    /// In the folded text, or (`cs`) in the text.
    Term {
        needle: Box<str>,
        cs: bool,
        before: bool,
        after: bool,
    },
    Regex {
        pattern: Box<str>,
        regex: OnceLock<Option<Regex>>,
    },
}

impl Check {
    fn holds(&self, text: &str, folded: &mut Folded<'_>) -> bool {
        match self {
            Check::Equals(n) => *text == **n,
            Check::Starts(n) => text.starts_with(&**n),
            Check::Ends(n) => text.ends_with(&**n),
            Check::Contains(n) => text.contains(&**n),
            Check::Term { needle, cs, before, after } => {
                has_term(if *cs { text } else { folded.text() }, needle, *before, *after)
            }
            Check::Regex { pattern, regex } => {
                regex.get_or_init(|| compile_regex(pattern).ok()).as_ref().is_some_and(|r| r.is_match(text))
            }
        }
    }
}

/// Lists of entries by number.
#[derive(Default)]
struct Lists {
    starts: Vec<u32>,
    entries: Vec<Entry>,
}

impl Lists {
    fn of(lists: Vec<Vec<Entry>>) -> Lists {
        let mut out = Lists { starts: vec![0], entries: Vec::new() };
        for l in lists {
            out.entries.extend(l);
            out.starts.push(out.entries.len() as u32);
        }
        out
    }
    fn get(&self, i: u32) -> &[Entry] {
        let i = i as usize;
        &self.entries[self.starts[i] as usize..self.starts[i + 1] as usize]
    }
}

/// Texts met from one end. Where only one text goes on, its bytes are compared in one go.
#[derive(Default)]
struct Trie {
    nodes: Vec<TrieNode>,
    /// Edges, those of a node together and in order of their first bytes.
    firsts: Vec<u8>,
    edges: Vec<TrieEdge>,
    labels: Vec<u8>,
    lists: Lists,
}

struct TrieNode {
    edges: (u32, u32),
}

/// The node that it leads to has the number of the edge and one more: the root has no edge.
struct TrieEdge {
    label: (u32, u32),
}

impl Trie {
    fn of(mut texts: Vec<(Vec<u8>, Entry)>) -> Trie {
        if texts.is_empty() {
            return Trie::default();
        }
        texts.sort_by(|a, b| a.0.cmp(&b.0));
        let mut trie = Trie::default();
        let mut lists = vec![Vec::new()];
        trie.nodes.push(TrieNode { edges: (0, 0) });
        // Nodes yet to be taken apart: the node, its texts, how many bytes of them lead to it.
        let mut open = std::collections::VecDeque::from([(0usize, 0..texts.len(), 0usize)]);
        while let Some((node, range, depth)) = open.pop_front() {
            let mut from = range.start;
            while from < range.end && texts[from].0.len() == depth {
                lists[node].push(texts[from].1);
                from += 1;
            }
            let first_edge = trie.edges.len() as u32;
            while from < range.end {
                let byte = texts[from].0[depth];
                let same = texts[from..range.end].partition_point(|t| t.0[depth] == byte);
                let group = from..from + same;
                // Sorted: what the first and the last have in common all of them have.
                let (a, b) = (&texts[group.start].0, &texts[group.end - 1].0);
                let to = depth + a[depth..].iter().zip(&b[depth..]).take_while(|(a, b)| a == b).count();
                let label = trie.labels.len() as u32;
                trie.labels.extend_from_slice(&a[depth..to]);
                trie.firsts.push(byte);
                trie.edges.push(TrieEdge { label: (label, trie.labels.len() as u32) });
                trie.nodes.push(TrieNode { edges: (0, 0) });
                lists.push(Vec::new());
                open.push_back((trie.nodes.len() - 1, group, to));
                from += same;
            }
            trie.nodes[node].edges = (first_edge, trie.edges.len() as u32);
        }
        trie.lists = Lists::of(lists);
        trie
    }

    /// `bytes` are those of the text from the end where texts are met.
    fn walk(&self, mut bytes: impl Iterator<Item = u8>, found: &mut impl FnMut(Entry)) {
        let mut at = 0usize;
        let Some(mut node) = self.nodes.first() else { return };
        loop {
            self.lists.get(at as u32).iter().for_each(|e| found(*e));
            let Some(byte) = bytes.next() else { return };
            let (from, to) = node.edges;
            let firsts = &self.firsts[from as usize..to as usize];
            let place = match firsts {
                [one] => (*one == byte).then_some(0),
                _ => firsts.binary_search(&byte).ok(),
            };
            let Some(place) = place else { return };
            let edge = from as usize + place;
            let (from, to) = self.edges[edge].label;
            // The first byte of a label is known to be the same.
            let label = &self.labels[from as usize + 1..to as usize];
            if !label.iter().all(|l| bytes.next() == Some(*l)) {
                return;
            }
            at = edge + 1;
            node = &self.nodes[at];
        }
    }
}

/// Which patterns have been seen in this value.
#[derive(Default)]
pub(crate) struct Seen {
    stamps: Vec<u32>,
    now: u32,
}

impl Seen {
    /// Begins a new value, with things numbered below `n`.
    pub(crate) fn begin(&mut self, n: usize) {
        if self.stamps.len() < n {
            self.stamps.resize(n, 0);
        }
        self.now = self.now.wrapping_add(1);
        if self.now == 0 {
            self.stamps.fill(0);
            self.now = 1;
        }
    }
    /// Marks; `true` the first time.
    #[inline]
    pub(crate) fn first(&mut self, i: u32) -> bool {
        let s = &mut self.stamps[i as usize];
        let first = *s != self.now;
        *s = self.now;
        first
    }
    #[inline]
    pub(crate) fn has(&self, i: u32) -> bool {
        self.stamps[i as usize] == self.now
    }
}

/// The matchers of one subject.
pub(crate) struct TextIndex {
    checks: Vec<Check>,
    /// Whole texts, folded.
    exact: HashTable<u32>,
    exact_texts: Vec<Box<str>>,
    exact_lists: Lists,
    starts: Trie,
    ends: Trie,
    scanner: Option<Scanner>,
    /// Needles that only a text beyond ASCII can have, and where theirs begin among the lists.
    beyond: Option<Scanner>,
    beyond_from: u32,
    inner_lists: Lists,
    /// The length of the longest whole text.
    longest: usize,
    /// Checked on every text.
    always: Vec<Entry>,
    /// Checked where filters do not hold (see [`required`]).
    regexes: Vec<Entry>,
}

impl TextIndex {
    /// Of a subject's text patterns; others are passed over.
    pub(crate) fn new<'t>(patterns: impl Iterator<Item = (u32, &'t Test)>) -> TextIndex {
        let mut checks = vec![Check::Equals("".into())];
        let mut exact: FastMap<Box<str>, Vec<Entry>> = FastMap::default();
        let mut inner: FastMap<Box<str>, Vec<Entry>> = FastMap::default();
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        let (mut always, mut regexes) = (Vec::new(), Vec::new());
        for (pattern, test) in patterns {
            let mut checked = |c: Option<Check>| match c {
                None => Entry { pattern, check: 0 },
                Some(c) => {
                    checks.push(c);
                    Entry { pattern, check: checks.len() as u32 - 1 }
                }
            };
            let folded = |n: &str, cs: bool| -> Box<str> { if cs { fold(n).into() } else { n.into() } };
            match test {
                Test::Equals { needle, cs } => {
                    let e = checked(cs.then(|| Check::Equals(needle.clone())));
                    exact.entry(folded(needle, *cs)).or_default().push(e);
                }
                Test::Starts { needle, cs } => {
                    let e = checked(cs.then(|| Check::Starts(needle.clone())));
                    starts.push((folded(needle, *cs).as_bytes().to_vec(), e));
                }
                Test::Ends { needle, cs } => {
                    let e = checked(cs.then(|| Check::Ends(needle.clone())));
                    ends.push((folded(needle, *cs).bytes().rev().collect(), e));
                }
                Test::Contains { needle, cs } => {
                    let e = checked(cs.then(|| Check::Contains(needle.clone())));
                    inner.entry(folded(needle, *cs)).or_default().push(e);
                }
                Test::Term { needle, cs, before, after } => {
                    let (needle, cs, before, after) = (needle.clone(), *cs, *before, *after);
                    let key = folded(&needle, cs);
                    let e = checked(Some(Check::Term { needle, cs, before, after }));
                    inner.entry(key).or_default().push(e);
                }
                Test::Regex(r) => {
                    let e = checked(Some(Check::Regex { pattern: r.clone(), regex: OnceLock::new() }));
                    match required(r) {
                        Some(texts) => {
                            regexes.push(e);
                            for t in texts {
                                inner.entry(t.into()).or_default().push(e);
                            }
                        }
                        None => always.push(e),
                    }
                }
                _ => {}
            }
        }
        let (ascii, other): (Vec<_>, Vec<_>) = inner.into_iter().partition(|(t, _)| t.is_ascii());
        let beyond_from = ascii.len() as u32;
        let mut inner_entries = Vec::with_capacity(ascii.len() + other.len());
        let mut texts = |needles: Vec<(Box<str>, Vec<Entry>)>| -> Vec<Box<str>> {
            needles.into_iter().map(|(text, entries)| (text, inner_entries.push(entries)).0).collect()
        };
        let (ascii, other) = (texts(ascii), texts(other));
        let scanner_of = |texts: Vec<Box<str>>| {
            let bytes = texts.into_iter().map(|t| t.into_string().into_bytes().into());
            (bytes.len() > 0).then(|| Scanner::new(bytes))
        };
        let (scanner, beyond) = (scanner_of(ascii), scanner_of(other));
        let inner_lists = Lists::of(inner_entries);
        let longest = exact.keys().map(|t| t.len()).max().unwrap_or(0);
        let mut table = HashTable::with_capacity(exact.len());
        let (mut exact_texts, mut exact_entries) = (Vec::new(), Vec::new());
        for (text, entries) in exact {
            let id = exact_texts.len() as u32;
            exact_texts.push(text);
            exact_entries.push(entries);
            let texts: &Vec<Box<str>> = &exact_texts;
            let hash = |i: &u32| hash_bytes(texts[*i as usize].as_bytes(), 0);
            table.insert_unique(hash(&id), id, hash);
        }
        TextIndex {
            checks,
            exact: table,
            exact_texts,
            exact_lists: Lists::of(exact_entries),
            starts: Trie::of(starts),
            ends: Trie::of(ends),
            scanner,
            beyond,
            beyond_from,
            inner_lists,
            longest,
            always,
            regexes,
        }
    }

    /// Reports every pattern that holds for a text that is not null, some of them more than once. `seen` is
    /// of patterns, begun for this value; `buffer` is room to fold in.
    pub(crate) fn run(&self, text: &str, buffer: &mut String, seen: &mut Seen, found: &mut impl FnMut(u32)) {
        // Of a text that is all ASCII no folded copy is made.
        if text.is_ascii() {
            let folded = Folded::Later { text, buffer };
            self.run_on(text, folded, text.bytes().map(|b| b.to_ascii_lowercase()), seen, found);
        } else {
            fold_into(text, buffer);
            let folded = &*buffer;
            self.run_on(text, Folded::Now(folded), folded.bytes(), seen, found);
        }
    }

    /// `bytes` are those of the folded text.
    fn run_on(
        &self,
        text: &str,
        mut folded: Folded<'_>,
        bytes: impl DoubleEndedIterator<Item = u8> + Clone,
        seen: &mut Seen,
        found: &mut impl FnMut(u32),
    ) {
        let (now, len) = (folded.now(), folded.len());
        if len <= self.longest {
            let whole = folded.text().as_bytes();
            let same = |i: &u32| self.exact_texts[*i as usize].as_bytes() == whole;
            if let Some(i) = self.exact.find(hash_bytes(whole, 0), same) {
                let mut meet = Meet { index: self, text, folded: &mut folded, seen, found };
                self.exact_lists.get(*i).iter().for_each(|e| meet.meet(*e));
            }
        }
        let mut meet = Meet { index: self, text, folded: &mut folded, seen, found };
        self.starts.walk(bytes.clone(), &mut |e| meet.meet(e));
        self.ends.walk(bytes.rev(), &mut |e| meet.meet(e));
        if let Some(scanner) = &self.scanner {
            scanner.run(now.unwrap_or(text).as_bytes(), &mut |i| {
                self.inner_lists.get(i).iter().for_each(|e| meet.meet(*e));
            });
        }
        if let Some(beyond) = &self.beyond
            && let Some(folded) = now.filter(|f| !f.is_ascii())
        {
            beyond.run(folded.as_bytes(), &mut |i| {
                self.inner_lists.get(self.beyond_from + i).iter().for_each(|e| meet.meet(*e));
            });
        }
        self.always.iter().for_each(|e| meet.meet(*e));
        if !self.regexes.is_empty() && !text.is_ascii() && text.contains('ſ') {
            self.regexes.iter().for_each(|e| meet.meet(*e));
        }
    }
}

/// The text folded, as [`fold`] does it, without looking at ASCII one character at a time.
fn fold_into(text: &str, out: &mut String) {
    out.clear();
    let mut rest = text;
    while !rest.is_empty() {
        let bytes = rest.as_bytes();
        // Long texts are mostly ASCII; eight bytes are asked at a time.
        let words = bytes.chunks_exact(8).take_while(|w| w.is_ascii()).count() * 8;
        let plain = words + bytes[words..].iter().take_while(|b| b.is_ascii()).count();
        let from = out.len();
        out.push_str(&rest[..plain]);
        out[from..].make_ascii_lowercase();
        rest = &rest[plain..];
        let other = rest.chars().take_while(|c| !c.is_ascii()).map(char::len_utf8).sum();
        if other > 0 {
            out.push_str(&fold(&rest[..other]));
            rest = &rest[other..];
        }
    }
}

/// The folded form of a text.
enum Folded<'f> {
    Now(&'f str),
    /// Made when something asks for it; the text is ASCII.
    Later {
        text: &'f str,
        buffer: &'f mut String,
    },
    Own(String),
}

impl<'f> Folded<'f> {
    fn now(&self) -> Option<&'f str> {
        match self {
            Folded::Now(f) => Some(f),
            _ => None,
        }
    }
    fn len(&self) -> usize {
        match self {
            Folded::Now(f) => f.len(),
            Folded::Later { text, .. } => text.len(),
            Folded::Own(f) => f.len(),
        }
    }
    fn text(&mut self) -> &str {
        if let Folded::Later { text, buffer } = self {
            fold_into(text, buffer);
            let buffer = std::mem::take(*buffer);
            *self = Folded::Own(buffer);
        }
        match self {
            Folded::Now(f) => f,
            Folded::Own(f) => f,
            Folded::Later { text, .. } => text,
        }
    }
}

/// What is done with what is found.
struct Meet<'m, 'f, F> {
    index: &'m TextIndex,
    text: &'m str,
    folded: &'m mut Folded<'f>,
    seen: &'m mut Seen,
    found: &'m mut F,
}

impl<F: FnMut(u32)> Meet<'_, '_, F> {
    #[inline]
    fn meet(&mut self, e: Entry) {
        let holds = e.check == 0
            || self.seen.first(e.pattern)
                && self.index.checks[e.check as usize].holds(self.text, self.folded);
        if holds {
            (self.found)(e.pattern);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Test;
    use tercel_ir::Value;

    #[test]
    fn folds_like_the_registry() {
        let mut out = String::new();
        for t in ["", "ABC", "ÄÖü", "aÄb\u{212A}\u{130}ẞſΣς", "ÄABCDEFGHIJKLMNOPQRSTUVWXYZÄabcdefghABCDEFGHÄ"]
        {
            fold_into(t, &mut out);
            assert_eq!(out, fold(t));
        }
    }

    #[test]
    fn each_matcher_says_what_its_test_says() {
        let b = |s: &str| -> Box<str> { s.into() };
        let mut tests = Vec::new();
        for (ci, cs) in [("ab", "aB"), ("k", "K"), ("ß", "ẞ"), ("\\cmd.exe", "\\CMD.exe"), ("-enc", "-Enc")]
        {
            for (n, cs) in [(b(ci), false), (b(cs), true)] {
                tests.push(Test::Equals { needle: n.clone(), cs });
                tests.push(Test::Starts { needle: n.clone(), cs });
                tests.push(Test::Ends { needle: n.clone(), cs });
                tests.push(Test::Contains { needle: n.clone(), cs });
                tests.push(Test::Term { needle: n.clone(), cs, before: true, after: true });
                tests.push(Test::Term { needle: n.clone(), cs, before: true, after: false });
                tests.push(Test::Term { needle: n, cs, before: false, after: true });
            }
        }
        for r in ["a.*b", "(?i)ks", "(?i)stra.e", "^ab$", "(?i)s{2}", "", "("] {
            tests.push(Test::Regex(b(r)));
        }
        let index = TextIndex::new(tests.iter().enumerate().map(|(i, t)| (i as u32, t)));
        let (mut seen, mut buffer) = (Seen::default(), String::new());
        let short = [
            "",
            "ab",
            "AB",
            "aB",
            "xaB",
            "aBx",
            "K",
            "\u{212A}s",
            "ẞ",
            "C:\\CMD.exe",
            "x -Enc y",
            "-encoded",
            "ſS",
            "STRASE",
        ];
        let long: Vec<String> = short.iter().map(|t| format!("{t} {} {t}", "y".repeat(200))).collect();
        for text in short.iter().map(|t| t.to_string()).chain(long) {
            let mut got = vec![false; tests.len()];
            seen.begin(tests.len());
            index.run(&text, &mut buffer, &mut seen, &mut |p| got[p as usize] = true);
            for (t, got) in tests.iter().zip(got) {
                assert_eq!(got, t.holds(&Value::str(text.as_str())), "{t:?} on {text:?}");
            }
        }
    }
}
