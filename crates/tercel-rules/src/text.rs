//! The shared matchers of a subject's texts: all its patterns in one look at the value.
//!
//! Everything is looked for in the folded text. A pattern that ignores case is decided by that. For the
//! others it is a filter that passes too much, never too little (folding works character by character, so
//! whatever a text has, its folded form has folded), and a check against the text itself decides.

use crate::hash::{FastMap, hash_bytes};
use crate::literal::required;
use crate::pattern::Test;
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use hashbrown::HashTable;
use regex::Regex;
use std::sync::OnceLock;
use tercel_ir::function::{compile_regex, fold, has_term};

/// Automata larger than this are not built; their patterns are looked for one by one.
const MAX_AUTOMATON: usize = 64 << 20;

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
    fn holds(&self, text: &str, folded: &str) -> bool {
        match self {
            Check::Equals(n) => *text == **n,
            Check::Starts(n) => text.starts_with(&**n),
            Check::Ends(n) => text.ends_with(&**n),
            Check::Contains(n) => text.contains(&**n),
            Check::Term { needle, cs, before, after } => {
                has_term(if *cs { text } else { folded }, needle, *before, *after)
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

/// Texts met from one end, byte by byte.
#[derive(Default)]
struct Trie {
    /// By node and byte.
    next: FastMap<u64, u32>,
    lists: Lists,
}

impl Trie {
    fn of(texts: Vec<(Vec<u8>, Entry)>) -> Trie {
        let mut next = FastMap::default();
        let mut lists: Vec<Vec<Entry>> = vec![Vec::new()];
        for (text, entry) in texts {
            let mut node = 0u32;
            for b in text {
                node = *next.entry(u64::from(node) << 8 | u64::from(b)).or_insert_with(|| {
                    lists.push(Vec::new());
                    lists.len() as u32 - 1
                });
            }
            lists[node as usize].push(entry);
        }
        Trie { next, lists: Lists::of(lists) }
    }

    fn walk(&self, bytes: impl Iterator<Item = u8>, found: &mut impl FnMut(Entry)) {
        let mut node = 0u32;
        for b in bytes {
            match self.next.get(&(u64::from(node) << 8 | u64::from(b))) {
                Some(n) => node = *n,
                None => return,
            }
            self.lists.get(node).iter().for_each(|e| found(*e));
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
    automaton: Option<AhoCorasick>,
    inner_lists: Lists,
    /// What the automaton was too large for.
    one_by_one: Vec<(Box<str>, Vec<Entry>)>,
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
        let (inner_texts, inner_entries): (Vec<Box<str>>, Vec<Vec<Entry>>) = inner.into_iter().unzip();
        let mut automaton = None;
        let mut one_by_one = Vec::new();
        let mut inner_lists = Lists::default();
        if !inner_texts.is_empty() {
            automaton = automaton_of(&inner_texts);
            match automaton {
                Some(_) => inner_lists = Lists::of(inner_entries),
                None => one_by_one = inner_texts.into_iter().zip(inner_entries).collect(),
            }
        }
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
            automaton,
            inner_lists,
            one_by_one,
            always,
            regexes,
        }
    }

    /// Reports every pattern that holds for a text that is not null, some of them more than once. `seen` is
    /// of patterns, begun for this value.
    pub(crate) fn run(&self, text: &str, folded: &str, seen: &mut Seen, found: &mut impl FnMut(u32)) {
        let mut meet = |e: Entry| {
            if e.check == 0 {
                found(e.pattern);
            } else if seen.first(e.pattern) && self.checks[e.check as usize].holds(text, folded) {
                found(e.pattern);
            }
        };
        let bytes = folded.as_bytes();
        if !self.exact_texts.is_empty() {
            let hit =
                self.exact.find(hash_bytes(bytes, 0), |i| self.exact_texts[*i as usize].as_bytes() == bytes);
            if let Some(i) = hit {
                self.exact_lists.get(*i).iter().for_each(|e| meet(*e));
            }
        }
        self.starts.walk(bytes.iter().copied(), &mut meet);
        self.ends.walk(bytes.iter().rev().copied(), &mut meet);
        if let Some(a) = &self.automaton {
            for m in a.find_overlapping_iter(bytes) {
                self.inner_lists.get(m.pattern().as_u32()).iter().for_each(|e| meet(*e));
            }
        }
        for (needle, entries) in &self.one_by_one {
            if folded.contains(&**needle) {
                entries.iter().for_each(|e| meet(*e));
            }
        }
        self.always.iter().for_each(|e| meet(*e));
        if !self.regexes.is_empty() && !text.is_ascii() && text.contains('ſ') {
            self.regexes.iter().for_each(|e| meet(*e));
        }
    }
}

fn automaton_of(texts: &[Box<str>]) -> Option<AhoCorasick> {
    let bytes: usize = texts.iter().map(|t| t.len()).sum();
    // The automaton takes some tens of bytes for each of the texts' bytes while it is built.
    if bytes > MAX_AUTOMATON / 16 {
        return None;
    }
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .match_kind(MatchKind::Standard)
        .build(texts.iter().map(|t| t.as_bytes()))
        .ok()
}
